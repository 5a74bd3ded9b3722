package twilio

import (
	"errors"
	"fmt"
	"net/mail"
	"net/url"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// form is the body of a webhook.
type form struct {
	values url.Values
	raw    []byte
}

func parse(body []byte) (form, error) {
	values, err := url.ParseQuery(string(body))
	if err != nil {
		return form{}, errors.New("the body is no form") // err holds a piece of it
	}
	return form{values, body}, nil
}

func (f form) get(name string) string { return f.values.Get(name) }

func (f form) has(name string) bool { return f.get(name) != "" }

func (f form) is(name string) bool {
	return strings.EqualFold(f.get(name), "true") || f.get(name) == "1"
}

// sid gives a parameter that is one of Twilio's ids.
func (f form) sid(name, prefix string) (string, error) {
	if sid := f.get(name); isSID(sid, prefix) {
		return sid, nil
	}
	return "", fmt.Errorf("%s is no sid that begins with %s", name, prefix)
}

// isSID tells whether s is an id of Twilio's: two letters and 32 hexadecimal digits.
func isSID(s, prefix string) bool {
	return len(s) == 34 && strings.HasPrefix(s, prefix) && strings.Trim(s[2:], "0123456789abcdefABCDEF") == ""
}

// seconds is a number of seconds that Twilio states; nil where there is none, or one that is no length.
func (f form) seconds(name string) *durationpb.Duration {
	n, err := strconv.ParseInt(f.get(name), 10, 32)
	if err != nil || n < 0 {
		return nil
	}
	return durationpb.New(time.Duration(n) * time.Second)
}

func (f form) number(name string) (int32, bool) {
	n, err := strconv.ParseInt(f.get(name), 10, 32)
	return int32(n), err == nil
}

// at is the time in a parameter; nil where there is none that can be read, so that the time of receipt counts.
func (f form) at(name string) *timestamppb.Timestamp { return stamp(f.get(name)) }

// stamp reads the ways in which Twilio writes a time: RFC 2822 for calls and conferences, seconds or milliseconds since 1970
// for TaskRouter, ISO 8601 for transcriptions.
func stamp(s string) *timestamppb.Timestamp {
	var t time.Time
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		if t = time.Unix(n, 0); n > 1e11 { // later than the year 5138 in seconds
			t = time.UnixMilli(n)
		}
	} else if t, err = mail.ParseDate(s); err != nil {
		if t, err = time.Parse(time.RFC3339Nano, s); err != nil {
			return nil
		}
	}
	if at := timestamppb.New(t); at.IsValid() {
		return at
	}
	return nil
}

// side tells whose an address is: the company's, a customer's, or unspecified for none.
func (a *account) side(address string) eventv1.Side {
	switch {
	case address == "":
		return eventv1.Side_SIDE_UNSPECIFIED
	case a.own[address], strings.HasPrefix(address, "client:"), isOwnSIP(address):
		return eventv1.Side_SIDE_COMPANY
	}
	return eventv1.Side_SIDE_CUSTOMER
}

// isOwnSIP tells whether an address is one of the account's own SIP domains, whose users are the company's
// (https://www.twilio.com/docs/voice/api/sip-registration).
func isOwnSIP(address string) bool {
	rest, ok := strings.CutPrefix(address, "sip:")
	if !ok {
		return false
	}
	host := rest[strings.LastIndex(rest, "@")+1:]
	if i := strings.IndexAny(host, ":;?"); i >= 0 {
		host = host[:i]
	}
	host = strings.ToLower(host)
	return strings.HasPrefix(host, "sip.") && strings.HasSuffix(host, ".twilio.com") || strings.Contains(host, ".sip.") && strings.HasSuffix(host, ".twilio.com")
}

// agentOf gives the id of the agent that an address names; empty where it names none.
func agentOf(address string) string {
	if name, ok := strings.CutPrefix(address, "client:"); ok {
		return actorID(name)
	}
	if isOwnSIP(address) {
		user, _, _ := strings.Cut(strings.TrimPrefix(address, "sip:"), "@")
		return actorID(user)
	}
	return ""
}

// actorID gives an id that may stand in an actor, or nothing: names of clients may hold what ids may not.
func actorID(id string) string {
	if len(id) > 128 || strings.Trim(id, actorLetters) != "" {
		return ""
	}
	return id
}

const actorLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-"

// party makes a party of what Twilio gives for an address. One that is none, such as a sender's name or a number that
// cannot be dialled, is only shown.
func party(address string, role eventv1.PartyRole, side eventv1.Side) *eventv1.SubmittedParty {
	p := &eventv1.SubmittedParty{Role: role, Side: side}
	scheme, rest, ok := strings.Cut(address, ":")
	switch {
	case !ok:
		p.Address = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: address}
	case scheme == "sip", scheme == "sips":
		p.Address = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SIP, Value: address}
	case scheme == "client":
		p.DisplayName = rest
	default: // whatsapp:+49..., rcs:...
		p.Address = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: rest}
	}
	if p.GetAddress() == nil {
		return p
	}
	_, err := event.Normalise(p.GetAddress())
	if err != nil && !errors.Is(err, event.ErrNoEndpoint) {
		p.Address, p.DisplayName = nil, address
	}
	return p
}

func actor(kind eventv1.ActorKind, id string) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: kind, Id: id}
}

func agent(id string) *eventv1.SubmittedActor {
	return actor(eventv1.ActorKind_ACTOR_KIND_AGENT, actorID(id))
}

// joined tells that the thread child is read under the thread parent. It says nothing else, so that it is always the same.
func joined(child, parent string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeThreadJoined, Channel: eventv1.Channel_CHANNEL_VOICE, Thread: child, NativeId: "joined/" + parent,
		Actor:   actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, ""),
		Content: &eventv1.Content{Body: &eventv1.Content_ThreadJoined{ThreadJoined: &eventv1.ThreadJoined{ParentThread: parent}}},
	}
}
