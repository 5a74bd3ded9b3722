package whatsapp

import (
	"cmp"
	"errors"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// maxName is how long a party's name may be, in bytes.
const maxName = 512

// customer is somebody who writes or is written to.
type customer struct {
	waID, userID, parentUserID string
	name, username             string
}

// customer puts together what an item says of somebody, and what the contact says that belongs to it: the one of the same wa_id
// or user_id, never just any.
func (r *reading) customer(waID, userID, parentUserID string) customer {
	if isUserID(waID) { // where there is no number, some lists have the user id in its place
		waID, userID = "", cmp.Or(userID, waID)
	}
	c := customer{waID: waID, userID: userID, parentUserID: parentUserID}
	for _, known := range r.contacts {
		if (waID == "" || known.WaID != waID) && (userID == "" || known.UserID != userID) {
			continue
		}
		c.waID, c.userID, c.parentUserID = cmp.Or(c.waID, known.WaID), cmp.Or(c.userID, known.UserID), cmp.Or(c.parentUserID, known.ParentUserID)
		c.name, c.username = known.Profile.Name, known.Profile.Username
		return c
	}
	if waID == "" && userID == "" && len(r.contacts) == 1 { // nobody else can be meant
		only := r.contacts[0]
		return customer{only.WaID, only.UserID, only.ParentUserID, only.Profile.Name, only.Profile.Username}
	}
	return c
}

// isUserID tells a BSUID: a country's two letters, a dot, and letters and digits.
func isUserID(s string) bool {
	country, id, ok := strings.Cut(s, ".")
	return ok && len(country) == 2 && id != "" && strings.Trim(country, "ABCDEFGHIJKLMNOPQRSTUVWXYZ") == ""
}

// thread is that of the customer's messages.
func (c customer) thread() string { return cmp.Or(c.waID, c.userID) }

// parties are all names of the customer, the phone number first.
func (c customer) parties(phoneNumberID string, role eventv1.PartyRole) []*eventv1.SubmittedParty {
	var all []*eventv1.SubmittedParty
	name := event.Clip(cmp.Or(c.name, c.username), maxName)
	add := func(kind eventv1.EndpointKind, namespace, value string) {
		a := &eventv1.Address{Kind: kind, Namespace: namespace, Value: value}
		if value == "" {
			return
		}
		if _, err := event.Normalise(a); err != nil && (kind == eventv1.EndpointKind_ENDPOINT_KIND_PHONE || errors.Is(err, event.ErrNoEndpoint)) {
			return // it is no number; the social address says what it is
		}
		all = append(all, &eventv1.SubmittedParty{Address: a, Role: role, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: name})
	}
	if isDigits(c.waID) {
		add(eventv1.EndpointKind_ENDPOINT_KIND_PHONE, "", "+"+c.waID)
	}
	add(eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Provider+"/"+phoneNumberID, c.thread())
	add(eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Provider, c.userID)
	add(eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Provider, c.parentUserID)
	return all
}

// with makes an event between a customer and the company: of the customer's unless outbound.
func (r *reading) with(c customer, outbound bool) *eventv1.Submission {
	s := &eventv1.Submission{
		Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND, Thread: c.thread(),
	}
	company := &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: Provider + "/" + r.PhoneNumberID, Value: r.PhoneNumberID},
		Role:    eventv1.PartyRole_PARTY_ROLE_TO, Side: eventv1.Side_SIDE_COMPANY,
	}
	if !outbound {
		s.Actor = actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER)
		s.Parties = append(c.parties(r.PhoneNumberID, eventv1.PartyRole_PARTY_ROLE_SENDER), company)
		return s
	}
	s.Direction, company.Role = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.PartyRole_PARTY_ROLE_SENDER
	s.Parties = append([]*eventv1.SubmittedParty{company}, c.parties(r.PhoneNumberID, eventv1.PartyRole_PARTY_ROLE_TO)...)
	return s
}

// joined puts the thread of a user id under that of the number, where a customer may be told of by either: who has a username. It
// is the same event whichever message tells it, so a history does not.
func (r *reading) joined(c customer) []*eventv1.Submission {
	if r.backfill || c.username == "" || c.waID == "" || c.userID == "" {
		return nil
	}
	return []*eventv1.Submission{{
		Type: event.TypeThreadJoined, Direction: eventv1.Direction_DIRECTION_INTERNAL, Thread: c.userID, NativeId: "joined/" + c.waID,
		Actor:   actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM),
		Content: &eventv1.Content{Body: &eventv1.Content_ThreadJoined{ThreadJoined: &eventv1.ThreadJoined{ParentThread: c.waID}}},
	}}
}

func actor(kind eventv1.ActorKind) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: kind}
}
