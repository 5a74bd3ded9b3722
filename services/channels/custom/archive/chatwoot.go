package archive

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Chatwoot's API gives conversations and their messages in these shapes (https://developers.chatwoot.com/api-reference). Fields that tell nothing of
// a customer are left out.

type conversation struct {
	ID        json.Number `json:"id"`
	Status    string      `json:"status"`
	CreatedAt moment      `json:"created_at"`
	Activity  moment      `json:"last_activity_at"`
	Labels    []string    `json:"labels"`
	Meta      struct {
		Sender   person `json:"sender"`
		Assignee person `json:"assignee"`
		Channel  string `json:"channel"`
	} `json:"meta"`
	Messages []json.RawMessage `json:"messages"`
}

type person struct {
	ID         json.Number `json:"id"`
	Name       string      `json:"name"`
	Email      string      `json:"email"`
	Phone      string      `json:"phone_number"`
	Identifier string      `json:"identifier"`
	Type       string      `json:"type"` // contact, user, agent_bot
}

type message struct {
	ID          json.Number     `json:"id"`
	Content     string          `json:"content"`
	Kind        json.RawMessage `json:"message_type"` // 0 incoming, 1 outgoing, 2 activity, 3 template; or these words
	ContentType string          `json:"content_type"`
	CreatedAt   moment          `json:"created_at"`
	Private     bool            `json:"private"`
	Status      string          `json:"status"`
	Sender      person          `json:"sender"`
	Attributes  struct {
		Deleted   bool            `json:"deleted"`
		InReplyTo json.Number     `json:"in_reply_to"`
		Error     string          `json:"external_error"`
		Submitted json.RawMessage `json:"submitted_values"`
		Email     struct {
			Subject string `json:"subject"`
		} `json:"email"`
	} `json:"content_attributes"`
	Attachments []struct {
		URL       string  `json:"data_url"`
		Kind      string  `json:"file_type"`
		Title     string  `json:"fallback_title"`
		Latitude  float64 `json:"coordinates_lat"`
		Longitude float64 `json:"coordinates_long"`
	} `json:"attachments"`
}

// moment is a time, as seconds since 1970 or as RFC 3339.
type moment struct{ time.Time }

// UnmarshalJSON implements json.Unmarshaler.
func (m *moment) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "null" || text == "" {
		return nil
	}
	if seconds, err := strconv.ParseFloat(text, 64); err == nil && seconds >= 0 && seconds < 1e11 {
		m.Time = time.UnixMilli(int64(seconds * 1000)).UTC()
		return nil
	}
	var err error
	if m.Time, err = time.Parse(time.RFC3339Nano, text); err != nil {
		return fmt.Errorf("%q is no time", text)
	}
	return nil
}

func (m moment) stamp() *timestamppb.Timestamp {
	if m.IsZero() {
		return nil
	}
	return timestamppb.New(m.Time)
}

// chatwoot is a file of conversations.
type chatwoot struct{ file }

// OpenChatwoot opens a file of conversations with their messages, as Chatwoot's API gives them out: one after the other, in a list, or in the
// pages of the API (payload, or data.payload).
func OpenChatwoot(cfg Config) (history.Source, error) {
	f, err := stat(cfg)
	return &chatwoot{f}, err
}

// Items implements history.Source. An item is a conversation.
func (c *chatwoot) Items(_ context.Context, cursor string, yield func(history.Item) error) error {
	in, read, skip, done, err := c.open(cursor)
	if err != nil {
		return err
	}
	defer done()
	n := 0
	each := func(raw json.RawMessage) error {
		if n++; n <= skip {
			return nil
		}
		var g gathered
		c.gather(&g, "conversation "+strconv.Itoa(n), raw)
		return yield(g.item(c.Tenant, strconv.Itoa(n), read.since()))
	}
	decoder := json.NewDecoder(in)
	for {
		err := stream(decoder, each)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("custom/archive: %s, after conversation %d: %w", c.Path, n, err)
		}
	}
}

// stream gives each conversation of the next value: it is one, a list of them, or a page.
func stream(d *json.Decoder, each func(json.RawMessage) error) error {
	var raw json.RawMessage
	if err := d.Decode(&raw); err != nil {
		return err
	}
	return unfold(raw, each)
}

func unfold(raw json.RawMessage, each func(json.RawMessage) error) error {
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		var list []json.RawMessage
		if err := json.Unmarshal(raw, &list); err != nil {
			return err
		}
		for _, one := range list {
			if err := each(one); err != nil {
				return err
			}
		}
		return nil
	}
	var page struct {
		Payload json.RawMessage `json:"payload"`
		Data    struct {
			Payload json.RawMessage `json:"payload"`
		} `json:"data"`
	}
	if json.Unmarshal(raw, &page) == nil {
		for _, list := range []json.RawMessage{page.Payload, page.Data.Payload} {
			if len(list) > 0 && list[0] == '[' {
				return unfold(list, each)
			}
		}
	}
	return each(raw)
}

// gather makes the events of a conversation.
func (c *chatwoot) gather(g *gathered, name string, raw json.RawMessage) {
	var conv conversation
	if err := json.Unmarshal(raw, &conv); err != nil {
		g.fault(name, fmt.Errorf("it is no conversation: %w", err))
		return
	}
	if conv.ID == "" {
		g.fault(name, errors.New("its id is missing"))
		return
	}
	name = "conversation " + string(conv.ID)
	r := &reading{chatwoot: c, conversation: &conv, g: g}
	if s := r.event(event.TypeInteractionStarted, "started", conv.CreatedAt); s != nil {
		s.Content.Body = &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{}}
		r.add(name, s)
	}
	for _, raw := range conv.Messages {
		var m message
		if err := json.Unmarshal(raw, &m); err != nil {
			g.fault(name, fmt.Errorf("a message cannot be read: %w", err))
			continue
		}
		if m.ID == "" {
			g.fault(name, errors.New("a message has no id"))
			continue
		}
		r.message(name+", message "+string(m.ID), &m, raw)
	}
	if len(conv.Labels) > 0 {
		s := r.event(event.TypeInteractionAttributesUpdated, "labels", conv.Activity)
		s.Content.Body = &eventv1.Content_InteractionAttributesUpdated{InteractionAttributesUpdated: &eventv1.AttributesUpdated{TagsAdded: conv.Labels}}
		r.add(name, s)
	}
	if conv.Status == "resolved" {
		s := r.event(event.TypeInteractionResolved, "resolved", conv.Activity)
		s.Content.Body = &eventv1.Content_InteractionResolved{InteractionResolved: &eventv1.InteractionResolved{}}
		r.add(name, s)
	}
}

// reading makes the events of one conversation.
type reading struct {
	*chatwoot
	*conversation
	g *gathered
}

func (r *reading) add(name string, s *eventv1.Submission) {
	r.g.named = append(r.g.named, history.Named{Name: name, Submission: s})
}

// event is an event of the conversation, by the system unless somebody else is named.
func (r *reading) event(typ, id string, at moment) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, Channel: mediumOf(r.Meta.Channel), Direction: eventv1.Direction_DIRECTION_INBOUND, Provider: "chatwoot", Inbox: r.Inbox,
		Thread: "chatwoot/" + string(r.ID), NativeId: id, OccurredAt: at.stamp(), Backfill: true,
		Parties: r.Meta.Sender.parties(r.Inbox, eventv1.PartyRole_PARTY_ROLE_INITIATOR),
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}, Content: &eventv1.Content{},
	}
}

// parties are the customer, by all that Chatwoot knows.
func (p *person) parties(inbox string, role eventv1.PartyRole) []*eventv1.SubmittedParty {
	var addresses []*eventv1.Address
	if p.Email != "" {
		addresses = append(addresses, &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: p.Email})
	}
	if p.Phone != "" {
		addresses = append(addresses, &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: p.Phone})
	}
	if p.Identifier != "" {
		addresses = append(addresses, &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: "chatwoot/" + inbox, Value: p.Identifier})
	}
	if p.ID != "" {
		addresses = append(addresses, &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: "chatwoot/" + inbox + "/contact", Value: string(p.ID)})
	}
	parties := make([]*eventv1.SubmittedParty, len(addresses))
	for i, a := range addresses {
		parties[i] = &eventv1.SubmittedParty{Address: a, Role: role, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: p.Name}
	}
	return parties
}

// message makes the events of a message.
func (r *reading) message(name string, m *message, raw json.RawMessage) {
	s := r.event("", string(m.ID), m.CreatedAt)
	text := &eventv1.Message{Text: m.Content, Subject: m.Attributes.Email.Subject, InReplyTo: string(m.Attributes.InReplyTo)}
	for _, a := range m.Attachments {
		switch {
		case a.URL != "":
			s.Content.Attachments = append(s.Content.Attachments, &eventv1.Attachment{Source: a.URL, Name: cmp.Or(a.Title, a.URL[strings.LastIndex(a.URL, "/")+1:])})
		case a.Kind == "location":
			text.Location = &eventv1.Location{Latitude: a.Latitude, Longitude: a.Longitude, Label: a.Title}
		}
	}
	switch kind := strings.Trim(string(m.Kind), `"`); {
	case kind == "0" || kind == "incoming":
		s.Type, s.Content.Body = event.TypeMessageReceived, &eventv1.Content_MessageReceived{MessageReceived: text}
		s.Actor.Kind = eventv1.ActorKind_ACTOR_KIND_CUSTOMER
		r.role(s, eventv1.PartyRole_PARTY_ROLE_SENDER)
	case kind == "2" || kind == "activity":
		s.Type, s.Content.Body = "ext.chatwoot.activity", &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/json", Data: raw}}
	case kind != "1" && kind != "outgoing" && kind != "3" && kind != "template":
		r.g.fault(name, fmt.Errorf("%s is no type of a message", cmp.Or(kind, "nothing")))
		return
	case m.Private:
		s.Type, s.Content.Body = event.TypeNoteAdded, &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: m.Content}}
		s.Direction = eventv1.Direction_DIRECTION_INTERNAL
		s.Actor = actor(&m.Sender)
	case m.ContentType == "input_csat" && len(m.Attributes.Submitted) > 2:
		r.survey(name, s, m)
		return
	default:
		s.Type, s.Content.Body = event.TypeMessageSent, &eventv1.Content_MessageSent{MessageSent: text}
		s.Direction = eventv1.Direction_DIRECTION_OUTBOUND
		s.Actor = actor(&m.Sender)
		r.role(s, eventv1.PartyRole_PARTY_ROLE_TO)
	}
	r.add(name, s)
	if m.Status == "failed" {
		f := r.event(event.TypeMessageFailed, string(m.ID)+"/failed", m.CreatedAt)
		f.Direction = eventv1.Direction_DIRECTION_OUTBOUND
		f.Content.Body = &eventv1.Content_MessageFailed{MessageFailed: &eventv1.MessageFailed{Message: string(m.ID), Reason: cmp.Or(m.Attributes.Error, "failed")}}
		r.add(name, f)
	}
	if m.Attributes.Deleted {
		d := r.event(event.TypeMessageDeleted, string(m.ID)+"/deleted", m.CreatedAt)
		d.Content.Body = &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: string(m.ID)}}
		r.add(name, d)
	}
}

func (r *reading) role(s *eventv1.Submission, role eventv1.PartyRole) {
	for _, p := range s.GetParties() {
		p.Role = role
	}
}

// survey is what the customer answered to Chatwoot's question, with one to five stars.
func (r *reading) survey(name string, s *eventv1.Submission, m *message) {
	var answer struct {
		CSAT struct {
			Rating  float64 `json:"rating"`
			Comment string  `json:"feedback_message"`
		} `json:"csat_survey_response"`
	}
	if err := json.Unmarshal(m.Attributes.Submitted, &answer); err != nil || answer.CSAT.Rating == 0 {
		r.g.fault(name, errors.New("the answer to the survey cannot be read"))
		return
	}
	s.Type = event.TypeSurveyAnswered
	s.Actor.Kind = eventv1.ActorKind_ACTOR_KIND_CUSTOMER
	s.Content.Body = &eventv1.Content_SurveyAnswered{SurveyAnswered: &eventv1.SurveyAnswered{
		Survey: "csat", Metric: eventv1.SurveyMetric_SURVEY_METRIC_CSAT, Score: answer.CSAT.Rating, ScaleMin: 1, ScaleMax: 5, Comment: answer.CSAT.Comment,
	}}
	r.add(name, s)
}

// actor is who wrote for the company.
func actor(p *person) *eventv1.SubmittedActor {
	switch p.Type {
	case "agent_bot":
		return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_BOT, Id: string(p.ID)}
	case "user":
		return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: cmp.Or(string(p.ID), p.Email)}
	}
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
}

// mediumOf is the channel of one of Chatwoot's inboxes.
func mediumOf(name string) eventv1.Channel {
	switch strings.TrimPrefix(name, "Channel::") {
	case "Email":
		return eventv1.Channel_CHANNEL_EMAIL
	case "WebWidget", "Api":
		return eventv1.Channel_CHANNEL_WEB_CHAT
	case "Sms", "TwilioSms":
		return eventv1.Channel_CHANNEL_SMS
	case "Voice":
		return eventv1.Channel_CHANNEL_VOICE
	}
	return eventv1.Channel_CHANNEL_SOCIAL_MESSAGE
}
