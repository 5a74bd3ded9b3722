package whatsapp

import (
	"cmp"
	"encoding/json"
	"errors"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

// trackerPrefix marks what this channel's Sender gives along with a message, and every status of it gives back: the request's id.
const trackerPrefix = "skein:"

// status is what became of a message that the company sent, or of a call that it makes
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/messages/status).
type status struct {
	ID                    string         `json:"id"`
	Status                string         `json:"status"`
	Type                  string         `json:"type"`
	Timestamp             number         `json:"timestamp"`
	RecipientID           string         `json:"recipient_id"`
	RecipientUserID       string         `json:"recipient_user_id"`
	RecipientParentUserID string         `json:"recipient_parent_user_id"`
	RecipientType         string         `json:"recipient_type"`
	ParticipantID         string         `json:"recipient_participant_id"`
	ParticipantUserID     string         `json:"recipient_participant_user_id"`
	ParticipantParentID   string         `json:"recipient_participant_parent_user_id"`
	Tracker               string         `json:"biz_opaque_callback_data"`
	Errors                []meta.Problem `json:"errors"`
}

func (r *reading) status(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var st status
	if err := json.Unmarshal(raw, &st); err != nil {
		return nil, err
	}
	if st.ID == "" || st.Status == "" {
		return nil, errors.New("a status has no id or says nothing")
	}
	word := strings.ToLower(st.Status)
	native := st.ID + "/" + word
	c := r.customer(st.RecipientID, st.RecipientUserID, st.RecipientParentUserID)
	thread := c.thread()
	if st.RecipientType == "group" {
		c = r.customer(st.ParticipantID, st.ParticipantUserID, st.ParticipantParentID)
		thread, native = st.RecipientID, native+"/"+c.thread()
	}
	if thread == "" {
		return nil, errors.New("it does not say to whom")
	}
	if st.Type == "call" {
		return r.callStatus(st, c, raw)
	}
	request := requestOf(st.Tracker)
	s := r.with(c, true)
	s.Thread, s.NativeId, s.OccurredAt, s.CausationId = thread, native, at(st.Timestamp), request
	s.Actor = actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM)
	switch {
	case st.Type != "" && st.Type != "message": // of a payment, for instance
		s.Type, s.Content = extension(st.Type+"_"+word, raw)
	case word == "sent" && request != "":
		return nil, nil // whoever asked for it tells so, and what it says
	case word == "delivered":
		s.Type = event.TypeMessageDelivered
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: st.ID}}}
	case word == "read", word == "played":
		s.Type, s.Actor = event.TypeMessageRead, actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER)
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: st.ID}}}
	case word == "failed":
		failed := &eventv1.MessageFailed{Message: st.ID}
		if len(st.Errors) > 0 {
			failed.Code = strconv.Itoa(st.Errors[0].Code)
			failed.Reason = list(cmp.Or(st.Errors[0].Title, st.Errors[0].Message), st.Errors[0].Details())
		}
		s.Type, s.Content = event.TypeMessageFailed, &eventv1.Content{Body: &eventv1.Content_MessageFailed{MessageFailed: failed}}
	default:
		s.Type, s.Content = extension("status_"+word, raw)
	}
	return []*eventv1.Submission{s}, nil
}

// requestOf is the request that a message was sent for; empty where somebody else has sent it.
func requestOf(tracker string) string {
	text, ours := strings.CutPrefix(tracker, trackerPrefix)
	id, err := uuid.Parse(text)
	if !ours || err != nil {
		return ""
	}
	return id.String()
}
