package whatsapp

import (
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

// call is a moment of a call over WhatsApp. What the two sides' devices agree on (session) is not kept
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/calling).
type call struct {
	ID               string         `json:"id"`
	From             string         `json:"from"`
	FromUserID       string         `json:"from_user_id"`
	FromParentUserID string         `json:"from_parent_user_id"`
	To               string         `json:"to"`
	ToUserID         string         `json:"to_user_id"`
	ToParentUserID   string         `json:"to_parent_user_id"`
	Event            string         `json:"event"`
	Timestamp        number         `json:"timestamp"`
	Direction        string         `json:"direction"`
	Status           string         `json:"status"`
	StartTime        number         `json:"start_time"`
	EndTime          number         `json:"end_time"`
	Errors           []meta.Problem `json:"errors"`
}

const byCompany = "BUSINESS_INITIATED"

func (r *reading) call(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var c call
	if err := json.Unmarshal(raw, &c); err != nil {
		return nil, err
	}
	if c.ID == "" || c.Event == "" {
		return nil, errors.New("a call has no id or no event")
	}
	outbound := c.Direction == byCompany
	who := r.customer(c.From, c.FromUserID, c.FromParentUserID)
	if outbound {
		who = r.customer(c.To, c.ToUserID, c.ToParentUserID)
	}
	if who.thread() == "" {
		return nil, errors.New("it does not say from whom or to whom")
	}
	// start makes an event of this call.
	start := func(typ, moment string, when number, content *eventv1.Content) *eventv1.Submission {
		s := r.inCall(c.ID, who, outbound)
		s.Type, s.NativeId, s.OccurredAt, s.Content = typ, c.ID+"/"+moment, at(when), content
		return s
	}
	switch strings.ToLower(c.Event) {
	case "connect":
		return []*eventv1.Submission{start(event.TypeInteractionStarted, "connect", c.Timestamp, &eventv1.Content{
			Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{}},
		})}, nil
	case "terminate":
		return r.terminated(c, outbound, start), nil
	}
	typ, content := extension("call_"+c.Event, raw)
	return []*eventv1.Submission{start(typ, strings.ToLower(c.Event), c.Timestamp, content)}, nil
}

func (r *reading) terminated(c call, outbound bool, start func(string, string, number, *eventv1.Content) *eventv1.Submission) []*eventv1.Submission {
	var all []*eventv1.Submission
	failed := strings.EqualFold(c.Status, "FAILED")
	problems := c.Errors
	if len(problems) == 0 && failed { // they stand beside the call as well
		problems = r.errors
	}
	why := c.Status
	if len(problems) > 0 {
		why = list(why, problem(problems[0]))
	}
	switch {
	case c.StartTime != 0 && !outbound: // of a call that the company makes, a status tells
		all = append(all, start(event.TypeCallAnswered, "answered", c.StartTime, &eventv1.Content{
			Body: &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{AnsweredBy: eventv1.AnsweredBy_ANSWERED_BY_PERSON}},
		}))
	case c.StartTime == 0 && (!outbound || failed):
		failure := eventv1.CallFailure_CALL_FAILURE_NO_ANSWER
		if len(problems) > 0 {
			failure = eventv1.CallFailure_CALL_FAILURE_ERROR
		}
		all = append(all, start(event.TypeCallFailed, "failed", c.Timestamp, &eventv1.Content{
			Body: &eventv1.Content_CallFailed{CallFailed: &eventv1.CallFailed{Failure: failure, ProviderReason: why}},
		}))
	}
	reason := eventv1.EndReason_END_REASON_UNSPECIFIED // WhatsApp does not say who hung up
	if failed {
		reason = eventv1.EndReason_END_REASON_ERROR
	}
	when := c.EndTime
	if when == 0 {
		when = c.Timestamp
	}
	return append(all, start(event.TypeInteractionEnded, "terminate", when, &eventv1.Content{
		Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{Reason: reason, ProviderReason: why}},
	}))
}

// callStatus is what becomes of a call that the company makes.
func (r *reading) callStatus(st status, who customer, raw json.RawMessage) ([]*eventv1.Submission, error) {
	s := r.inCall(st.ID, who, true)
	word := strings.ToLower(st.Status)
	s.NativeId, s.OccurredAt = st.ID+"/"+word, at(st.Timestamp)
	switch word {
	case "ringing":
		s.Type = event.TypeCallDialed
		s.Content = &eventv1.Content{Body: &eventv1.Content_CallDialed{CallDialed: &eventv1.CallDialed{Dialed: cmp.Or(who.waID, who.userID)}}}
	case "accepted":
		s.Type = event.TypeCallAnswered
		s.Content = &eventv1.Content{Body: &eventv1.Content_CallAnswered{CallAnswered: &eventv1.CallAnswered{AnsweredBy: eventv1.AnsweredBy_ANSWERED_BY_PERSON}}}
	case "rejected":
		failed := &eventv1.CallFailed{Failure: eventv1.CallFailure_CALL_FAILURE_REJECTED, ProviderReason: st.Status}
		if len(st.Errors) > 0 {
			failed.ProviderReason += " " + strconv.Itoa(st.Errors[0].Code)
		}
		s.Type, s.Content = event.TypeCallFailed, &eventv1.Content{Body: &eventv1.Content_CallFailed{CallFailed: failed}}
	default:
		s.Type, s.Content = extension("call_"+word, raw)
	}
	return []*eventv1.Submission{s}, nil
}

// inCall makes an event of a call.
func (r *reading) inCall(id string, who customer, outbound bool) *eventv1.Submission {
	s := r.with(who, outbound)
	s.Channel, s.Thread, s.Actor, s.Origin = eventv1.Channel_CHANNEL_VOICE, id, actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM), eventv1.Origin_ORIGIN_INBOUND
	caller, called := eventv1.PartyRole_PARTY_ROLE_INITIATOR, eventv1.PartyRole_PARTY_ROLE_RECIPIENT
	if outbound {
		s.Origin = eventv1.Origin_ORIGIN_OUTBOUND
	}
	for _, p := range s.GetParties() {
		p.Role = called
		if (p.GetSide() == eventv1.Side_SIDE_COMPANY) == outbound {
			p.Role = caller
		}
	}
	return s
}
