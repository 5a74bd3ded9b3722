package freeswitch

import (
	"errors"
	"maps"
	"strings"
	"unicode/utf8"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	inbound  = eventv1.Direction_DIRECTION_INBOUND
	outbound = eventv1.Direction_DIRECTION_OUTBOUND
	internal = eventv1.Direction_DIRECTION_INTERNAL

	customer = eventv1.Side_SIDE_CUSTOMER
	company  = eventv1.Side_SIDE_COMPANY
)

// book knows the company's side of a switch: its numbers and its agents.
type book struct {
	region string
	own    map[event.Endpoint]bool
	agents map[string]string
}

func newBook(sw Switch) (*book, error) {
	b := &book{region: sw.Region, own: map[event.Endpoint]bool{}, agents: map[string]string{}}
	var errs []error
	for _, number := range sw.OwnNumbers {
		endpoint, err := event.Normalise(b.phone(number))
		if err != nil {
			errs = append(errs, err)
			continue
		}
		b.own[endpoint] = true
	}
	twice := map[string]bool{}
	for name, id := range sw.Agents { // "1000" stands for "1000@domain" where only one domain has it
		local, _, _ := strings.Cut(name, "@")
		if other, known := b.agents[local]; known && other != id {
			twice[local] = true
		}
		b.agents[local] = id
	}
	for local := range twice {
		delete(b.agents, local)
	}
	maps.Copy(b.agents, sw.Agents)
	return b, errors.Join(errs...)
}

// agent gives the directory's id of an agent by a name or an extension; empty where it is nobody's.
func (b *book) agent(names ...string) string {
	for _, name := range names {
		if id := b.agents[name]; id != "" && name != "" {
			return id
		}
		if local, _, found := strings.Cut(name, "@"); found && b.agents[local] != "" {
			return b.agents[local]
		}
	}
	return ""
}

// agentOf is an agent of mod_callcenter: one that the configuration does not name goes by the name that the switch has.
func (b *book) agentOf(name string) string {
	if id := b.agent(name); id != "" {
		return id
	}
	return strings.Map(func(r rune) rune {
		if r < utf8.RuneSelf && (r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._:/@+-", r)) {
			return r
		}
		return '_'
	}, name)
}

// isOwn tells whether a number is one of the company's or an agent's.
func (b *book) isOwn(number string) bool {
	if b.agent(number) != "" {
		return true
	}
	endpoint, err := event.Normalise(b.phone(number))
	return err == nil && b.own[endpoint]
}

func (b *book) phone(number string) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: number, Region: b.region}
}

// party makes a party of what the switch calls a number: a telephone number, an extension, a SIP address, a user's name. What
// is no address gives a party that goes by its name only.
func (b *book) party(number, name string, role eventv1.PartyRole, side eventv1.Side) *eventv1.SubmittedParty {
	p := &eventv1.SubmittedParty{Role: role, Side: side}
	if name != number {
		p.DisplayName = cut(name)
	}
	phone := b.phone(number)
	if b.agent(number) != "" || side == company && isExtension(number) {
		phone.Region = ""
	}
	for _, address := range []*eventv1.Address{phone, {Kind: eventv1.EndpointKind_ENDPOINT_KIND_SIP, Value: number}} {
		if address.GetKind() == eventv1.EndpointKind_ENDPOINT_KIND_SIP && !strings.Contains(number, "@") {
			break
		}
		_, err := event.Normalise(address)
		if err == nil {
			p.Address = address
			return p
		}
		if errors.Is(err, event.ErrNoEndpoint) {
			return p
		}
	}
	if p.GetDisplayName() == "" {
		p.DisplayName = cut(number)
	}
	return p
}

// isExtension tells what is dialled within the company from a number of the country, as which it could be read, too.
func isExtension(number string) bool {
	const longest = 6
	return len(number) <= longest && number != "" && number[0] != '0' && strings.Trim(number, "0123456789") == ""
}

// cut keeps to the length that a name may have.
func cut(s string) string {
	const most = 512
	if r := []rune(s); len(r) > most {
		return string(r[:most])
	}
	return s
}

// sides are who a channel of a call brings together.
type sides struct {
	direction                            eventv1.Direction
	caller, callee                       string
	callerName, calleeName, callersAgent string
	callerSide, calleeSide               eventv1.Side
}

// sides tells from an event of a channel who calls whom. What comes from one of the company's own numbers or agents goes out,
// whatever the switch calls it: Call-Direction is how the leg goes as the switch sees it, so an agent's own telephone calls
// "inbound".
func (b *book) sides(e occurrence) sides {
	s := sides{
		caller:     e.First("Caller-Caller-ID-Number", "Caller-Orig-Caller-ID-Number", "Caller-ANI"),
		callerName: e.First("Caller-Caller-ID-Name", "Caller-Orig-Caller-ID-Name"),
		callee:     e.First("Caller-Destination-Number", "Caller-Callee-ID-Number"),
		calleeName: e.Get("Caller-Callee-ID-Name"),
	}
	user := e.Get("Caller-Username")
	s.callerSide, s.calleeSide = customer, company
	ours := b.isOwn(s.caller)
	if e.Get("Call-Direction") == "inbound" {
		s.callersAgent = b.agent(user, s.caller)
		ours = ours || s.callersAgent != ""
	} else {
		s.callersAgent = b.agent(s.caller)
		ours = ours || e.alone() // the switch itself calls
	}
	if e.Get("Caller-Privacy-Hide-Number") == "true" && !ours {
		s.caller = ""
	}
	switch {
	case ours && b.isOwn(s.callee):
		s.direction, s.callerSide = internal, company
	case ours:
		s.direction, s.callerSide, s.calleeSide = outbound, company, customer
	default:
		s.direction = inbound
	}
	return s
}

func (b *book) parties(s sides) []*eventv1.SubmittedParty {
	return []*eventv1.SubmittedParty{
		b.party(s.caller, s.callerName, eventv1.PartyRole_PARTY_ROLE_INITIATOR, s.callerSide),
		b.party(s.callee, s.calleeName, eventv1.PartyRole_PARTY_ROLE_RECIPIENT, s.calleeSide),
	}
}
