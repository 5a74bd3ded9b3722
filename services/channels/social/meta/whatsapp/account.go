package whatsapp

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// preference is that a customer wants the company's marketing messages, or does not
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/user_preferences). It has no id.
func (r *reading) preference(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var p struct {
		WaID         string `json:"wa_id"`
		UserID       string `json:"user_id"`
		ParentUserID string `json:"parent_user_id"`
		Detail       string `json:"detail"`
		Category     string `json:"category"`
		Value        string `json:"value"`
		Timestamp    number `json:"timestamp"`
	}
	if err := json.Unmarshal(raw, &p); err != nil {
		return nil, err
	}
	c := r.customer(p.WaID, p.UserID, p.ParentUserID)
	if c.thread() == "" || p.Category == "" {
		return nil, errors.New("it does not say whose preference it is, or for what")
	}
	s := r.with(c, false)
	s.NativeId, s.OccurredAt = p.Category+"/"+p.Value+"/"+strconv.FormatInt(int64(p.Timestamp), 10), at(p.Timestamp)
	switch granted := p.Value == "resume" || p.Value == "signup"; {
	case granted, p.Value == "stop":
		purpose := p.Category
		if purpose == "marketing_messages" {
			purpose = "marketing"
		}
		s.Type, s.Content = event.TypeConsentChanged, &eventv1.Content{Body: &eventv1.Content_ConsentChanged{
			ConsentChanged: &eventv1.ConsentChanged{Purpose: purpose, Granted: granted, Evidence: p.Detail},
		}}
	default:
		s.Type, s.Content = extension("user_preferences", raw)
	}
	return []*eventv1.Submission{s}, nil
}

// stateSync is a contact of the WhatsApp Business app that was there, is new, or is gone
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/smb_app_state_sync).
func (r *reading) stateSync(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var sync struct {
		Type    string `json:"type"`
		Action  string `json:"action"`
		Contact struct {
			FullName    string `json:"full_name"`
			FirstName   string `json:"first_name"`
			PhoneNumber string `json:"phone_number"`
			UserID      string `json:"user_id"`
		} `json:"contact"`
		Metadata struct {
			Timestamp number `json:"timestamp"`
		} `json:"metadata"`
	}
	if err := json.Unmarshal(raw, &sync); err != nil {
		return nil, err
	}
	c := customer{waID: strings.TrimPrefix(sync.Contact.PhoneNumber, "+"), userID: sync.Contact.UserID, name: cmp.Or(sync.Contact.FullName, sync.Contact.FirstName)}
	if c.thread() == "" {
		return nil, errors.New("it does not say whose contact it is")
	}
	s := r.with(c, false)
	s.Actor, s.Direction = actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM), eventv1.Direction_DIRECTION_INTERNAL
	for _, p := range s.GetParties() {
		p.Role = eventv1.PartyRole_PARTY_ROLE_PARTICIPANT
	}
	s.Type, s.Content = extension(cmp.Or(sync.Type, "contact")+"_"+cmp.Or(sync.Action, "sync"), raw)
	s.NativeId, s.OccurredAt, s.Backfill = "state_sync/"+digest(raw), at(sync.Metadata.Timestamp), true
	return []*eventv1.Submission{s}, nil
}

// history is what was written in the WhatsApp Business app before the number came to the platform, up to 180 days back
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference/history). A message that was delivered
// on its own as well is the same event; the first of the two counts.
func (r *reading) history(raw json.RawMessage) []item {
	past := *r
	past.backfill = true
	whole := item{account: r.account, raw: func() []byte { return wrapItem(r.entry, r.field, r.value, "history", raw) }}
	var h struct {
		Metadata json.RawMessage   `json:"metadata"`
		Threads  []json.RawMessage `json:"threads"`
	}
	if whole.err = json.Unmarshal(raw, &h); whole.err != nil {
		return []item{whole}
	}
	if len(h.Threads) == 0 { // the company does not share its history, or a part of it is empty
		whole.submissions, whole.err = past.finish(past.aboutAccount("history", raw))
		return []item{whole}
	}
	var all []item
	for _, rawThread := range h.Threads {
		var t struct {
			ID      string            `json:"id"`
			Context json.RawMessage   `json:"context"`
			Wrote   []json.RawMessage `json:"messages"`
		}
		one := whole
		one.raw = func() []byte {
			return wrapItem(r.entry, r.field, r.value, "history", encode(map[string]any{"metadata": h.Metadata, "threads": []json.RawMessage{rawThread}}))
		}
		if one.err = json.Unmarshal(rawThread, &t); one.err == nil && t.ID == "" {
			one.err = errors.New("a thread of the history has no id")
		}
		if one.err != nil {
			all = append(all, one)
			continue
		}
		for _, wrote := range t.Wrote {
			it := item{account: r.account, raw: func() []byte {
				thread := map[string]any{"id": t.ID, "messages": []json.RawMessage{wrote}}
				if len(t.Context) > 0 {
					thread["context"] = t.Context
				}
				return wrapItem(r.entry, r.field, r.value, "history", encode(map[string]any{"metadata": h.Metadata, "threads": []any{thread}}))
			}}
			if it.submissions, it.err = past.finish(past.past(t.ID, t.Context, wrote)); it.err != nil {
				it.err = fmt.Errorf("history: %w", it.err)
			}
			all = append(all, it)
		}
	}
	return all
}

// past reads a message of the history: the customer's where it comes from whom the thread is with, else the company's.
func (r *reading) past(thread string, context, raw json.RawMessage) ([]*eventv1.Submission, error) {
	var m struct {
		From       string `json:"from"`
		FromUserID string `json:"from_user_id"`
		To         string `json:"to"`
		ToUserID   string `json:"to_user_id"`
		Type       string `json:"type"`
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return nil, err
	}
	one := *r
	var c contact
	if json.Unmarshal(context, &c) == nil { // who the thread is with, where it says so
		if c.WaID == "" && isDigits(thread) {
			c.WaID = thread
		}
		if c.UserID == "" && isUserID(thread) {
			c.UserID = thread
		}
		one.contacts = append([]contact{c}, r.contacts...)
	}
	theirs := m.From == thread || m.FromUserID == thread || m.From != "" && m.From == c.WaID || m.FromUserID != "" && m.FromUserID == c.UserID
	if !theirs && m.To == "" && m.ToUserID == "" { // an outgoing message need not say to whom
		filled := map[string]json.RawMessage{}
		if err := json.Unmarshal(raw, &filled); err != nil {
			return nil, err
		}
		filled["to"] = encode(thread)
		raw = encode(filled)
	}
	return one.wrote(raw, !theirs)
}

// other reads a change that has no items: what becomes of the account, its templates and its numbers, what went wrong, and what is
// not known yet.
func (r *reading) other(raw json.RawMessage) ([]*eventv1.Submission, error) {
	name := r.field
	if len(r.errors) > 0 {
		name = "errors"
	}
	return r.aboutAccount(name, raw)
}

// accountThread begins the thread of the account, which is no customer's number.
const accountThread = "account/"

// aboutAccount is an event of the account itself. It has no id but its time and what it says.
func (r *reading) aboutAccount(name string, raw json.RawMessage) ([]*eventv1.Submission, error) {
	s := &eventv1.Submission{
		Direction: eventv1.Direction_DIRECTION_INTERNAL, Thread: accountThread + r.BusinessAccountID, OccurredAt: at(r.entry.Time),
		NativeId: event.Word(name) + "/" + strconv.FormatInt(int64(r.entry.Time), 10) + "/" + digest(raw),
		Actor:    actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM),
	}
	s.Type, s.Content = extension(name, raw)
	return []*eventv1.Submission{s}, nil
}

// digest stands for an id where Meta gives none.
func digest(raw json.RawMessage) string {
	sum := sha256.Sum256(compact(raw))
	return hex.EncodeToString(sum[:16])
}
