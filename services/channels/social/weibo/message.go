package weibo

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// endpoint is where the fans service delivers. An empty answer says that nothing is replied here and now.
func (c *Channel) endpoint(a *account) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Timeout: answerTimeout,
		Authentic: func(r *http.Request, _ []byte) error { return c.authentic(a, r) },
		Handshake: c.handshake(a),
		Read: func(_ context.Context, _ channel.Host, body []byte) ([]*eventv1.Submission, error) {
			submissions, err := a.message(body)
			if err != nil {
				return nil, fmt.Errorf("social/weibo: %w", err)
			}
			return submissions, nil
		},
	}
}

// message is what the fans service delivers.
type message struct {
	Type       text            `json:"type"`
	ReceiverID text            `json:"receiver_id"`
	SenderID   text            `json:"sender_id"`
	CreatedAt  text            `json:"created_at"`
	Text       text            `json:"text"`
	Data       json.RawMessage `json:"data"`
}

// data is what belongs to it, by its type.
type data struct {
	Subtype   text `json:"subtype"`
	Key       text `json:"key"`
	ToVFID    text `json:"tovfid"`
	Longitude text `json:"longitude"`
	Latitude  text `json:"latitude"`
}

// message makes events of a body.
func (a *account) message(body []byte) ([]*eventv1.Submission, error) {
	var m message
	if err := json.Unmarshal(body, &m); err != nil {
		return nil, fmt.Errorf("it is no JSON as the fans service has it: %w", err)
	}
	sender := string(m.SenderID)
	switch {
	case string(m.ReceiverID) != a.UID:
		return nil, fmt.Errorf("it is for %.32q, not for this inbox's account", m.ReceiverID)
	case !isNumber(sender) || m.Type == "":
		return nil, errors.New("the sender or the type is missing")
	}
	at := created(m.CreatedAt)
	if at == nil {
		return nil, errors.New("created_at is no time, and tells messages apart")
	}
	var d data
	if len(m.Data) > 0 && m.Data[0] == '{' {
		if err := json.Unmarshal(m.Data, &d); err != nil {
			return nil, fmt.Errorf("data: %w", err)
		}
	}
	native, err := m.identity(at)
	if err != nil {
		return nil, err
	}
	s := a.from(sender, "", sender, native, eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, eventv1.PartyRole_PARTY_ROLE_SENDER)
	s.OccurredAt = at
	said := &eventv1.Message{Text: string(m.Text)}
	switch m.Type {
	case "text":
	case "position":
		said.Location = d.location()
	case "voice", "image":
		if d.ToVFID == "" || len(d.ToVFID) > maxSource {
			return nil, errors.New("tovfid, the id of the file, is missing")
		}
		s.Content = &eventv1.Content{Attachments: []*eventv1.Attachment{{Source: string(d.ToVFID)}}}
	case "event":
		return a.happened(s, &m, &d, body), nil
	case "mention":
		return a.mentioned(s, &d, said)
	default:
		s.Type, s.Content = extension(string(m.Type), body)
		return one(s), nil
	}
	return one(received(s, said)), nil
}

func one(s *eventv1.Submission) []*eventv1.Submission { return []*eventv1.Submission{s} }

// received makes a message.received of it, and keeps its files.
func received(s *eventv1.Submission, m *eventv1.Message) *eventv1.Submission {
	s.Type, s.Direction = event.TypeMessageReceived, eventv1.Direction_DIRECTION_INBOUND
	s.Content = &eventv1.Content{Attachments: s.GetContent().GetAttachments(), Body: &eventv1.Content_MessageReceived{MessageReceived: m}}
	return s
}

// identity tells messages of one sender apart: by their time, their type and what they say, in whatever order their fields are.
func (m *message) identity(at *timestamppb.Timestamp) (string, error) {
	var said any
	if len(m.Data) > 0 {
		if err := json.Unmarshal(m.Data, &said); err != nil {
			return "", fmt.Errorf("data: %w", err)
		}
	}
	content, err := json.Marshal([]any{string(m.Type), string(m.Text), said}) // objects come in the order of their names
	if err != nil {
		return "", fmt.Errorf("data: %w", err)
	}
	hash := sha256.Sum256(content)
	return fmt.Sprintf("%d/%s/%x", at.GetSeconds(), event.Word(string(m.Type)), hash[:16]), nil
}

// location is where the sender says to be; nil where that is nowhere on the earth.
func (d *data) location() *eventv1.Location {
	longitude, errLongitude := strconv.ParseFloat(string(d.Longitude), 64)
	latitude, errLatitude := strconv.ParseFloat(string(d.Latitude), 64)
	if errors.Join(errLongitude, errLatitude) != nil || !(latitude >= -90 && latitude <= 90 && longitude >= -180 && longitude <= 180) {
		return nil
	}
	return &eventv1.Location{Latitude: latitude, Longitude: longitude}
}

// happened is an event that is no message.
func (a *account) happened(s *eventv1.Submission, m *message, d *data, body []byte) []*eventv1.Submission {
	flow := map[text]string{"click": "menu", "view": "menu", "scan": "scan", "scan_follow": "scan"}[d.Subtype]
	if flow == "" {
		s.Type, s.Content = extension(cmp.Or(string(d.Subtype), "event"), body)
		return one(s)
	}
	all := one(s)
	if d.Subtype == "scan_follow" {
		followed := a.from(string(m.SenderID), "", s.GetThread(), s.GetNativeId(), s.GetChannel(), eventv1.PartyRole_PARTY_ROLE_SENDER)
		followed.OccurredAt = s.GetOccurredAt()
		followed.Type, followed.Content = extension("scan_follow", body)
		all = append(all, followed)
	}
	s.Type = event.TypeFlowStepEntered
	s.Content = &eventv1.Content{Body: &eventv1.Content_FlowStepEntered{FlowStepEntered: &eventv1.FlowStepEntered{
		Flow: flow, Step: string(d.Key), Input: string(m.Text),
	}}}
	return all
}

// mentioned is a mention in a post or in a comment, of which not even the post is told.
func (a *account) mentioned(s *eventv1.Submission, d *data, m *eventv1.Message) ([]*eventv1.Submission, error) {
	key := string(d.Key)
	switch {
	case a.Posts:
		return nil, nil // the API tells of it
	case !isNumber(key):
		return nil, errors.New("the key of what mentions the account is missing")
	}
	s.Channel, s.NativeId, s.Thread = eventv1.Channel_CHANNEL_SOCIAL_POST, key, postThread(key)
	if d.Subtype != "status" {
		s.Thread = "comment/" + key
	}
	s.Parties[0].Role, s.Parties[1].Role = eventv1.PartyRole_PARTY_ROLE_AUTHOR, eventv1.PartyRole_PARTY_ROLE_MENTIONED
	return one(received(s, m)), nil
}

// extension carries what has no type of its own.
func extension(name string, raw []byte) (string, *eventv1.Content) {
	return event.ForeignType(Provider, name), &eventv1.Content{Body: &eventv1.Content_Extension{Extension: &eventv1.Extension{
		MediaType: "application/json", Data: raw,
	}}}
}

// from makes an event of what another user did, or another account of the company's.
func (a *account) from(who, name, thread, native string, medium eventv1.Channel, role eventv1.PartyRole) *eventv1.Submission {
	s := &eventv1.Submission{
		Channel: medium, Direction: eventv1.Direction_DIRECTION_INBOUND, Provider: Provider, Inbox: a.Inbox, Thread: thread, NativeId: native,
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER},
		Parties: []*eventv1.SubmittedParty{a.party(who, name, role)},
	}
	ours := eventv1.PartyRole_PARTY_ROLE_TO
	if role == eventv1.PartyRole_PARTY_ROLE_AUTHOR {
		ours = eventv1.PartyRole_PARTY_ROLE_MENTIONED
	}
	if a.company[who] {
		s.Actor, s.Direction = nil, eventv1.Direction_DIRECTION_OUTBOUND
	}
	if who != a.UID {
		s.Parties = append(s.Parties, a.party(a.UID, "", ours))
	}
	return s
}

// party is a customer, or the company where it is one of its accounts.
func (a *account) party(id, name string, role eventv1.PartyRole) *eventv1.SubmittedParty {
	side := eventv1.Side_SIDE_CUSTOMER
	if a.company[id] {
		side, name = eventv1.Side_SIDE_COMPANY, ""
	}
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: Provider + "/" + a.UID, Value: id},
		Role:    role, Side: side, DisplayName: event.Clip(name, maxName),
	}
}
