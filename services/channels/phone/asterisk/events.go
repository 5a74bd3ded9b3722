package asterisk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider is the name of the provider in events and rejections.
const Provider = "asterisk"

// reading is a block on its way to events. It is a function of the block and the configuration of its switch alone.
type reading struct {
	*block
	sw      *line
	name    string // of the event, as the switch spells it
	at      time.Time
	digest  []byte
	missing []string
	out     []*eventv1.Submission
}

// read makes events of a block; none of one that is understood and of no interest, or unknown. The error says what a block
// lacks.
func (l *line) read(b *block) ([]*eventv1.Submission, error) {
	name := b.get("Event")
	tell := tellers[strings.ToLower(name)]
	if tell == nil {
		return nil, nil
	}
	if b.cut {
		return nil, fmt.Errorf("asterisk: %s is too large", name)
	}
	r := &reading{block: b, sw: l, name: name, at: b.time(), digest: b.digest()}
	tell(r)
	if len(r.missing) > 0 {
		return nil, fmt.Errorf("asterisk: %s lacks %s", name, strings.Join(r.missing, ", "))
	}
	return r.out, nil
}

// tellers are the events that are understood, by their names in lower case.
var tellers = map[string]func(*reading){ //nolint:gochecknoglobals // read only
	"newchannel":         (*reading).newChannel,
	"newstate":           (*reading).newState,
	"hangup":             (*reading).hangup,
	"dialbegin":          (*reading).dialBegin,
	"dialend":            (*reading).dialEnd,
	"dial":               (*reading).dial,
	"bridge":             (*reading).bridge,
	"localbridge":        (*reading).localBridge,
	"bridgeenter":        (*reading).bridgeEnter,
	"bridgeleave":        (*reading).bridgeLeave,
	"confbridgejoin":     (*reading).conferenceJoin,
	"confbridgeleave":    (*reading).conferenceLeave,
	"chanspystart":       (*reading).spyStart,
	"chanspystop":        (*reading).spyStop,
	"pickup":             (*reading).pickup,
	"unparkedcall":       (*reading).unpark,
	"hold":               func(r *reading) { r.hold(event.TypeAssignmentHeld) },
	"unhold":             func(r *reading) { r.hold(event.TypeAssignmentUnheld) },
	"blindtransfer":      (*reading).blindTransfer,
	"attendedtransfer":   (*reading).attendedTransfer,
	"mixmonitormute":     (*reading).recordingMute,
	"mixmonitorstop":     (*reading).recordingStop,
	"varset":             (*reading).varSet,
	"queuecallerjoin":    (*reading).queueJoin,
	"queuecallerabandon": (*reading).queueAbandon,
	"agentcalled":        (*reading).agentCalled,
	"agentringnoanswer":  (*reading).agentNoAnswer,
	"agentdump":          (*reading).agentDump,
	"agentconnect":       (*reading).agentConnect,
	"agentcomplete":      (*reading).agentComplete,
	"agentlogin":         (*reading).agentLogin,
	"agentlogoff":        (*reading).agentLogoff,
	"queuememberadded":   (*reading).memberAdded,
	"queuememberremoved": (*reading).memberRemoved,
	"queuememberpause":   (*reading).memberPause,
	"queuememberpaused":  (*reading).memberPause, // its name in AMI 1.x
	"queuememberstatus":  (*reading).memberStatus,
}

// need is the value of a key that an event must have.
func (r *reading) need(key string) string {
	value := r.get(key)
	if value == "" {
		r.missing = append(r.missing, key)
	}
	return value
}

// leg is a channel as a block shows it.
type leg struct {
	id, thread    string
	channel       string // its name
	number, name  string // of who is at its other end, as the switch shows them
	root, company bool
}

// leg reads the channel whose fields have a prefix. AMI 1.x tells no Linkedid: each channel is then a thread, until a block
// that names two channels joins them.
func (r *reading) leg(prefix string) leg {
	id := r.need(prefix + "Uniqueid")
	l := leg{
		id: id, thread: cmp.Or(r.get(prefix+"Linkedid"), id), channel: r.get(prefix + "Channel"),
		number: r.get(prefix + "CallerIDNum"), name: r.get(prefix + "CallerIDName"),
	}
	l.root = l.id == l.thread
	_, agent := r.sw.agents[device(l.channel)]
	l.company = agent || r.sw.numbers.own(l.number)
	return l
}

// side is whose side a leg is on, where that can be told: a call's first channel is a customer's unless it is an own one.
// Any other one may be the customer that the company has called, or a colleague's telephone that is nowhere configured.
func (l leg) side() eventv1.Side {
	switch {
	case l.company:
		return eventv1.Side_SIDE_COMPANY
	case l.root:
		return eventv1.Side_SIDE_CUSTOMER
	}
	return eventv1.Side_SIDE_UNSPECIFIED
}

func (r *reading) party(number, name string, role eventv1.PartyRole, side eventv1.Side) *eventv1.SubmittedParty {
	address, shown := r.sw.numbers.address(number)
	if address != nil && side == eventv1.Side_SIDE_COMPANY && isExtension(number) {
		address.Region = "" // no number of the public network
	}
	if name == "" || strings.EqualFold(strings.Trim(name, "<>"), "unknown") {
		name = ""
		if address == nil {
			name = shown
		}
	}
	return &eventv1.SubmittedParty{Address: address, Role: role, Side: side, DisplayName: upTo(name, 512)}
}

// legParty is who is at a leg's other end.
func (r *reading) legParty(l leg, role eventv1.PartyRole, side eventv1.Side) *eventv1.SubmittedParty {
	return r.party(l.number, l.name, role, side)
}

// actor is who acts at a leg's other end.
func (r *reading) actor(l leg) *eventv1.SubmittedActor {
	if l.side() == eventv1.Side_SIDE_CUSTOMER {
		return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	}
	if device(l.channel) == "" {
		return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT}
	}
	return agentActor(r.sw.agent(device(l.channel)))
}

func agentActor(id string) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: id}
}

func systemActor() *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
}

// tell adds an event. Its native id is the id of the channel or agent, the name of the switch's event and the switch's time;
// the digest of the block tells apart what these leave alike.
func (r *reading) tell(typ, thread, id string, content *eventv1.Content) *eventv1.Submission {
	native := id + "/" + r.name
	if stated := r.get("Timestamp"); stated != "" {
		native += "/" + stated
	}
	s := &eventv1.Submission{
		Type: typ, Channel: eventv1.Channel_CHANNEL_VOICE, Provider: Provider, Inbox: r.sw.Inbox,
		Thread: thread, NativeId: native, Discriminator: r.digest, Content: content,
	}
	if !r.at.IsZero() {
		s.OccurredAt = timestamppb.New(r.at)
	}
	r.out = append(r.out, s)
	return s
}

// join tells that threads are one call: Asterisk lets the oldest id survive. It is the same event whatever told of it, so it
// has no time and no digest.
func (r *reading) join(threads ...string) {
	parent, children := family(threads)
	for _, child := range children {
		r.out = append(r.out, &eventv1.Submission{
			Type: event.TypeThreadJoined, Channel: eventv1.Channel_CHANNEL_VOICE, Provider: Provider, Inbox: r.sw.Inbox,
			Thread: child, NativeId: "join/" + parent, Actor: systemActor(),
			Content: &eventv1.Content{Body: &eventv1.Content_ThreadJoined{ThreadJoined: &eventv1.ThreadJoined{ParentThread: parent}}},
		})
	}
}

// merge joins the threads of calls that each had begun by themselves: the younger ones go on in the oldest.
func (r *reading) merge(threads ...string) {
	r.join(threads...)
	parent, children := family(threads)
	for _, child := range children {
		s := r.tell(event.TypeInteractionEnded, child, child, &eventv1.Content{
			Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{
				Reason: eventv1.EndReason_END_REASON_TRANSFER, ProviderReason: r.name + " into " + parent,
			}},
		})
		s.Actor = systemActor()
	}
}

// family is the oldest of threads, and the others, each once. Empty ones are none.
func family(threads []string) (parent string, children []string) {
	parent = oldest(threads...)
	children = slices.DeleteFunc(slices.Clone(threads), func(t string) bool { return t == "" || t == parent })
	slices.Sort(children)
	return parent, slices.Compact(children)
}

// oldest is the thread that survives.
func oldest(threads ...string) string {
	oldest := ""
	for _, t := range threads {
		if t != "" && (oldest == "" || older(t, oldest)) {
			oldest = t
		}
	}
	return oldest
}

// upTo is the begin of a text, of at most n bytes.
func upTo(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
