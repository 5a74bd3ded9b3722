package email

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider names this channel in events and dead letters, whichever way a mail came.
const Provider = "smtp"

// maxParties is how many parties a submission takes.
const maxParties = 2000

// Inbox is a mailbox of the company's.
type Inbox struct {
	Tenant, ID string
	// Own are the mail addresses of the tenant's company, those of all its inboxes among them.
	Own *Routes[struct{}]
	// Trusted are the mail servers whose Authentication-Results are believed, by the name that they call themselves there
	// (authserv-id). They must remove their own name from what they are sent (RFC 8601, section 5). None: nothing is known.
	Trusted []string
	// MessageIDs read the thread from what was sent; it may be nil.
	MessageIDs *MessageIDs
	// Sent says that the company sent what comes here, whatever its From: a folder of sent mails.
	Sent bool
	// Backfill says that what comes here is history.
	Backfill bool
}

// Submission is the event that the mail is for an inbox, without attachments and original. From one of the company's own
// addresses it is message.sent, else message.received. Parties are From, To and Cc in this order, each once; the company's own
// addresses are on its side, all others are customers. Of a delivery report the customers are those whom the mail did not
// reach, and its sender is on no side; nor is the sender of a mail of which a trusted server found that the company's address
// in it is forged: it is message.received. Addresses that Skein can give no id are left out; they are among the defects.
func (m *Mail) Submission(in Inbox) *eventv1.Submission {
	authentication, forged := m.authentication(in.Trusted)
	forged = forged && !in.Sent
	s := &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_EMAIL, Provider: Provider, Inbox: in.ID,
		Direction: eventv1.Direction_DIRECTION_INBOUND, Origin: eventv1.Origin_ORIGIN_INBOUND,
		Thread: m.ThreadIn(in), NativeId: m.NativeID(), Discriminator: m.Fingerprint[:], Language: m.Language, Backfill: in.Backfill,
	}
	if !m.Date.IsZero() {
		s.OccurredAt = timestamppb.New(m.Date)
	}
	var defects []string
	s.Parties, defects = m.parties(in, forged)
	hasSender := len(s.GetParties()) > 0 && s.GetParties()[0].GetRole() == eventv1.PartyRole_PARTY_ROLE_SENDER
	hasCustomer := slices.ContainsFunc(s.GetParties(), func(p *eventv1.SubmittedParty) bool {
		return p.GetSide() == eventv1.Side_SIDE_CUSTOMER
	})
	message := &eventv1.Message{
		Subject: m.Subject, Text: m.Text, QuotedText: m.Quoted, Html: m.HTML, InReplyTo: m.InReplyTo, References: m.References,
		AutoReply: m.AutoReply, Bulk: m.Bulk, Bounce: m.Bounce, Defects: append(slices.Clone(m.Defects), defects...),
	}
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: message}, Authentication: authentication}
	switch {
	case m.Bounce != nil:
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
	case hasSender && s.GetParties()[0].GetSide() == eventv1.Side_SIDE_COMPANY:
		s.Type = event.TypeMessageSent
		s.Content.Body = &eventv1.Content_MessageSent{MessageSent: message}
		s.Direction, s.Origin = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Origin_ORIGIN_OUTBOUND
		if !hasCustomer {
			s.Direction, s.Origin = eventv1.Direction_DIRECTION_INTERNAL, eventv1.Origin_ORIGIN_INTERNAL
		}
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: agentID(m.From[0].Mailbox)}
	case hasSender && s.GetParties()[0].GetSide() == eventv1.Side_SIDE_CUSTOMER:
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	}
	return s
}

// Submissions are all events that the mail is for an inbox: Submission; message.failed for each recipient whom a mail of the
// company's did not reach, as it reports; party.joined for those who got a blind copy, as only the copy in a folder of sent mails
// tells: another way that the same mail comes must not give another event of it.
func (m *Mail) Submissions(in Inbox) []*eventv1.Submission {
	main := m.Submission(in)
	all := []*eventv1.Submission{main}
	also := func(kind string, ordinal int) *eventv1.Submission {
		s := &eventv1.Submission{
			Type: kind, Ordinal: uint32(ordinal), OccurredAt: main.GetOccurredAt(), Channel: main.GetChannel(), Provider: main.GetProvider(),
			Inbox: main.GetInbox(), Thread: main.GetThread(), NativeId: main.GetNativeId(), Discriminator: main.GetDiscriminator(),
			Direction: main.GetDirection(), Origin: main.GetOrigin(), Actor: main.GetActor(), Backfill: main.GetBackfill(),
		}
		all = append(all, s)
		return s
	}
	if m.reportsOwn(in) {
		for i, f := range m.failures {
			s := also(event.TypeMessageFailed, i)
			s.NativeId = m.Bounce.GetMessageId()
			s.Content = &eventv1.Content{Body: &eventv1.Content_MessageFailed{MessageFailed: &eventv1.MessageFailed{
				Message: m.Bounce.GetMessageId(), Code: f.status, Reason: f.diagnostic,
			}}}
			s.Parties, _ = partiesOf(in, []listed{{eventv1.PartyRole_PARTY_ROLE_RECIPIENT, []Address{{Mailbox: f.recipient}}}}, eventv1.Side_SIDE_CUSTOMER)
		}
	}
	if main.GetType() == event.TypeMessageSent {
		blind, _ := partiesOf(in, []listed{{eventv1.PartyRole_PARTY_ROLE_BCC, m.Bcc}}, eventv1.Side_SIDE_CUSTOMER)
		if blind = slices.DeleteFunc(blind, func(p *eventv1.SubmittedParty) bool { return p.GetSide() != eventv1.Side_SIDE_CUSTOMER }); len(blind) > 0 {
			s := also(event.TypePartyJoined, 0)
			s.Parties = blind
			s.Content = &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{}}}
		}
	}
	return all
}

// reportsOwn tells whether the mail reports that a mail of the company's did not arrive: one whose Message-ID Skein made, or
// whose From is the company's.
func (m *Mail) reportsOwn(in Inbox) bool {
	if m.Bounce.GetMessageId() == "" {
		return false
	}
	if _, made := in.MessageIDs.Thread(in.Tenant, in.ID, m.Bounce.GetMessageId()); made {
		return true
	}
	for _, a := range (&parser{mail: &Mail{}}).addresses("From", m.returned["From"]) {
		if _, own := in.Own.Find(a.Mailbox); own {
			return true
		}
	}
	return false
}

// listed are addresses that a mail lists in one role.
type listed struct {
	role      eventv1.PartyRole
	addresses []Address
}

// parties are those of a submission, and what was wrong with them.
func (m *Mail) parties(in Inbox, forged bool) (parties []*eventv1.SubmittedParty, defects []string) {
	reported := make([]Address, len(m.Reported))
	for i, recipient := range m.Reported {
		reported[i].Mailbox = recipient
	}
	lists := []listed{
		{eventv1.PartyRole_PARTY_ROLE_SENDER, m.From},
		{eventv1.PartyRole_PARTY_ROLE_RECIPIENT, reported},
		{eventv1.PartyRole_PARTY_ROLE_TO, m.To},
		{eventv1.PartyRole_PARTY_ROLE_CC, m.Cc},
	}
	sender := eventv1.Side_SIDE_CUSTOMER
	switch {
	case m.Bounce != nil:
		sender = eventv1.Side_SIDE_UNSPECIFIED
	case in.Sent:
		sender = eventv1.Side_SIDE_COMPANY
	}
	parties, defects = partiesOf(in, lists, sender)
	for _, p := range parties {
		if forged && p.GetRole() == eventv1.PartyRole_PARTY_ROLE_SENDER && p.GetSide() == eventv1.Side_SIDE_COMPANY {
			p.Side = eventv1.Side_SIDE_UNSPECIFIED
			defects = append(defects, "its sender is an address of the company's, and the mail server found that somebody else sent it")
		}
	}
	return parties, defects
}

// partiesOf gives each address that is listed once. Side is that of a sender who is not the company.
func partiesOf(in Inbox, lists []listed, sender eventv1.Side) (parties []*eventv1.SubmittedParty, defects []string) {
	known := map[string]bool{}
	for _, list := range lists {
		for _, a := range list.addresses {
			key, ok := normalise(a.Mailbox)
			switch {
			case !ok && len(defects) < maxDefects:
				defects = append(defects, "left out, because it is no mail address: "+quote(a.Mailbox))
			case !ok || known[key]:
			case len(parties) == maxParties:
				return parties, append(defects, "more than "+itoa(maxParties)+" parties: the rest is only in the original")
			default:
				known[key] = true
				side := eventv1.Side_SIDE_CUSTOMER
				if _, isOwn := in.Own.Find(key); isOwn {
					side = eventv1.Side_SIDE_COMPANY
				} else if list.role == eventv1.PartyRole_PARTY_ROLE_SENDER {
					side = sender
				}
				parties = append(parties, &eventv1.SubmittedParty{
					Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: a.Mailbox},
					Role:    list.role, Side: side, DisplayName: a.Name,
				})
			}
		}
	}
	return parties, defects
}

// agentID is the local part of the company's address that a mail came from, without tag: an actor's id is never an
// address. Empty where it holds characters that an id may not have.
func agentID(mailbox string) string {
	local, _, _ := strings.Cut(strings.ToLower(mailbox), "@")
	local, _, _ = strings.Cut(local, "+")
	if len(local) > 128 || strings.ContainsFunc(local, func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r))
	}) {
		return ""
	}
	return local
}

// Deliver stores the original and the attachments and hands the event in. Without an error the mail is durable and may be
// acknowledged: as an event or, where it cannot become one, among the dead letters for the reason that is returned. After
// an error deliver it again, whatever the error. Delivering a mail any number of times gives one event.
func (m *Mail) Deliver(ctx context.Context, host channel.Host, in Inbox) (deadReason string, err error) {
	err = m.submit(ctx, host, in)
	if err == nil || errors.Is(err, channel.ErrRetry) || ctx.Err() != nil {
		return "", err
	}
	reason := err.Error()
	err = host.Reject(ctx, channel.Rejection{Tenant: in.Tenant, Provider: Provider, Inbox: in.ID, Reason: reason, Raw: m.Raw})
	if err != nil {
		return "", fmt.Errorf("email: keep a rejected mail: %w", err)
	}
	return reason, nil
}

func (m *Mail) submit(ctx context.Context, host channel.Host, in Inbox) error {
	all := m.Submissions(in)
	s := all[0]
	info := channel.BlobInfo{Tenant: in.Tenant, Inbox: in.ID, Thread: s.GetThread(), MediaType: "message/rfc822"}
	var err error
	if s.Content.Original, err = host.PutBlob(ctx, info, bytes.NewReader(m.Raw)); err != nil {
		return fmt.Errorf("email: store the original: %w", err)
	}
	for _, a := range m.Attachments {
		info.MediaType = a.MediaType
		blob, err := host.PutBlob(ctx, info, bytes.NewReader(a.Data))
		if err != nil {
			return fmt.Errorf("email: store an attachment: %w", err)
		}
		s.Content.Attachments = append(s.Content.Attachments, &eventv1.Attachment{
			Blob: blob, Name: a.Name, Inline: a.Inline, ContentId: a.ContentID,
		})
	}
	if _, err := host.Submit(ctx, in.Tenant, all...); err != nil {
		return fmt.Errorf("email: submit: %w", err)
	}
	return nil
}
