package outbound

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Threads reads what is filed of threads. It is safe for concurrent use.
type Threads interface {
	// Newest calls yield for the events of a thread, newest first, until it returns false.
	Newest(ctx context.Context, tenant string, thread event.ID, yield func(channel.Filed) bool) error
	// Wait waits until records are applied.
	Wait(ctx context.Context, positions ...eventlog.Position) error
}

var (
	// ErrUnknownThread means that nothing is filed of a thread.
	ErrUnknownThread = errors.New("outbound: nothing is filed of this thread")
	// ErrCannotSend means that the thread's inbox is not configured, or cannot send.
	ErrCannotSend = errors.New("outbound: the inbox of this thread is not set up for sending")
	// ErrUnreachable means that the thread names no address to which a message could go.
	ErrUnreachable = errors.New("outbound: the thread names no customer's address that can be reached")
	// ErrRequestIDUsed means that another message of the thread was asked for under the same request id.
	ErrRequestIDUsed = errors.New("outbound: another message was asked for under this request id")
)

// Ask is a message that somebody asks to send.
type Ask struct {
	Tenant string
	Thread event.ID
	// RequestID is the caller's: asking again with the same one asks for nothing more.
	RequestID   string
	Message     *eventv1.Message
	Attachments []*eventv1.Attachment
	// Actor says it, under the name Author.
	Actor                      *eventv1.SubmittedActor
	Author                     string
	CausationID, CorrelationID string
}

// hash tells one message from another.
func (a *Ask) hash() ([]byte, error) {
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(a.submission(&identity{}))
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(append([]byte(a.Author+"\x00"), raw...))
	return sum[:], nil
}

// identity is what a thread's events tell of it.
type identity struct {
	inbox, native, provider string
	channel                 eventv1.Channel
	parties                 []*eventv1.SubmittedParty // the customer who wrote last
	subject                 string
	last                    string // the provider's id of the newest message
	references              []string
}

// maxLooked is how many events of a thread are looked at for who wrote last.
const maxLooked = 2000

// identify finds out where a thread belongs and who is there.
func identify(ctx context.Context, threads Threads, tenant string, thread event.ID) (*identity, error) {
	var id identity
	var others []*eventv1.SubmittedParty // of an event that is no message from the customer
	looked := 0
	err := threads.Newest(ctx, tenant, thread, func(f channel.Filed) bool {
		looked++
		if f.Content == nil || f.Content.GetNativeThread() == "" {
			return looked < maxLooked
		}
		e := f.Event
		if id.native == "" {
			id.native, id.inbox, id.channel, id.provider = f.Content.GetNativeThread(), e.GetInbox(), e.GetChannel(), e.GetProvider()
		}
		said := f.Content.GetMessageReceived()
		if e.GetType() == event.TypeMessageSent {
			said = f.Content.GetMessageSent()
		}
		if said != nil && id.last == "" {
			id.last, id.subject = f.Content.GetNativeId(), said.GetSubject()
			id.references = append(append([]string(nil), said.GetReferences()...), id.last)
		}
		parties := customers(event.SubmittedParties(e, f.Content))
		if e.GetType() == event.TypeMessageReceived && len(recipients(parties)) > 0 {
			id.parties = parties
			return false
		}
		if len(others) == 0 && len(recipients(parties)) > 0 {
			others = parties
		}
		return looked < maxLooked
	})
	switch {
	case err != nil:
		return nil, err
	case id.native == "":
		return nil, ErrUnknownThread
	case len(id.parties) == 0:
		id.parties = others
	}
	if len(id.parties) == 0 {
		return nil, ErrUnreachable
	}
	return &id, nil
}

// lastReceived is when the customer last wrote in a request's thread before it; zero where that is not known.
func (s *Service) lastReceived(ctx context.Context, q *request) (at time.Time, err error) {
	if s.cfg.Threads == nil {
		return at, nil
	}
	thread, err := event.ParseID(q.event.GetThreadId())
	if err != nil {
		return at, err
	}
	if err := s.cfg.Threads.Wait(ctx, q.position); err != nil {
		return at, err
	}
	looked := 0
	err = s.cfg.Threads.Newest(ctx, q.event.GetTenant(), thread, func(f channel.Filed) bool {
		looked++
		if f.Event.GetType() == event.TypeMessageReceived {
			at = f.Event.GetOccurredAt().AsTime()
		}
		return at.IsZero() && looked < maxLooked
	})
	return at, err
}

// customers are those who wrote, or else the first who can be reached, with their other names.
func customers(parties []*eventv1.SubmittedParty) []*eventv1.SubmittedParty {
	var wrote, all []*eventv1.SubmittedParty
	for _, p := range parties {
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER || p.GetAddress() == nil {
			continue
		}
		to := &eventv1.SubmittedParty{Address: p.GetAddress(), Role: eventv1.PartyRole_PARTY_ROLE_TO, Side: p.GetSide(), DisplayName: p.GetDisplayName()}
		if slices.Contains([]eventv1.PartyRole{
			eventv1.PartyRole_PARTY_ROLE_SENDER, eventv1.PartyRole_PARTY_ROLE_INITIATOR, eventv1.PartyRole_PARTY_ROLE_AUTHOR,
		}, p.GetRole()) {
			wrote = append(wrote, to)
		}
		if len(all) == 0 || !reachable(p.GetAddress()) {
			all = append(all, to)
		}
	}
	if len(recipients(wrote)) > 0 {
		return wrote
	}
	return all
}

// submission is the request as an event of the thread.
func (a *Ask) submission(id *identity) *eventv1.Submission {
	message := proto.CloneOf(a.Message)
	if message.GetInReplyTo() == "" {
		message.InReplyTo, message.References = id.last, id.references
	}
	if message.GetSubject() == "" && id.channel == eventv1.Channel_CHANNEL_EMAIL {
		message.Subject = reply(id.subject)
	}
	s := &eventv1.Submission{
		Type: event.TypeMessageSendRequested, Channel: id.channel, Direction: eventv1.Direction_DIRECTION_OUTBOUND, Provider: id.provider,
		Inbox: id.inbox, Thread: id.native, NativeId: a.RequestID, Parties: append([]*eventv1.SubmittedParty(nil), id.parties...),
		Actor: a.Actor, CausationId: a.CausationID, CorrelationId: a.CorrelationID,
		Content: &eventv1.Content{
			Attachments: a.Attachments, Body: &eventv1.Content_MessageSendRequested{MessageSendRequested: message},
		},
	}
	if a.Author != "" {
		s.Parties = append(s.Parties, &eventv1.SubmittedParty{
			Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_COMPANY, DisplayName: a.Author,
		})
	}
	return s
}

// reply is the subject of an answer.
func reply(subject string) string {
	if len(subject) >= 3 && strings.EqualFold(subject[:3], "re:") || subject == "" {
		return subject
	}
	return "Re: " + subject
}

// Send asks to send a message, and returns when that is durable. What is asked for is kept until it is in the log, so that asking
// again asks for the same although the thread has gone on.
func (s *Service) Send(ctx context.Context, threads Threads, a Ask) (channel.Acknowledgement, error) {
	hash, err := a.hash()
	if err != nil {
		return channel.Acknowledgement{}, err
	}
	key := askedKey(a.Tenant, a.Thread, a.RequestID)
	known, err := s.state.asked(ctx, key)
	if err != nil {
		return channel.Acknowledgement{}, fmt.Errorf("outbound: look for the request: %w", err)
	}
	if known == nil {
		known, err = s.ask(ctx, threads, key, hash, a)
		if err != nil {
			return channel.Acknowledgement{}, err
		}
	}
	if !bytes.Equal(known.Hash, hash) {
		return channel.Acknowledgement{}, ErrRequestIDUsed
	}
	if known.EventID != "" {
		return channel.Acknowledgement{EventID: known.EventID, ThreadID: known.ThreadID, Position: known.Position}, nil
	}
	submissions, err := decode(known.Submission)
	if err != nil {
		return channel.Acknowledgement{}, fmt.Errorf("outbound: %w", err)
	}
	acks, err := s.cfg.Host.Submit(ctx, a.Tenant, submissions...)
	if err != nil {
		if _, wrong := errors.AsType[*event.InvalidError](err); wrong {
			if e := s.state.forget(ctx, key, known); e != nil && !errors.Is(e, kv.ErrConflict) {
				s.cfg.Logger.WarnContext(ctx, "a request that is wrong cannot be forgotten", "error", e)
			}
		}
		return channel.Acknowledgement{}, err
	}
	ack := acks[0]
	known.Submission, known.EventID, known.ThreadID, known.Position = nil, ack.EventID, ack.ThreadID, ack.Position
	if err := s.state.ask(ctx, key, known); err != nil && !errors.Is(err, kv.ErrConflict) { // then it is appended again, if it is asked for again
		s.cfg.Logger.WarnContext(ctx, "where a request stands cannot be noted", "request", ack.EventID, "error", err)
	}
	return ack, nil
}

// ask notes what is asked for; of two who ask at once, the first counts.
func (s *Service) ask(ctx context.Context, threads Threads, key, hash []byte, a Ask) (*asked, error) {
	id, err := identify(ctx, threads, a.Tenant, a.Thread)
	if err != nil {
		return nil, err
	}
	if w := s.workers[inboxKey{a.Tenant, id.inbox}]; w == nil || w.Sender == nil && !w.Remote {
		return nil, ErrCannotSend
	}
	for i, file := range a.Attachments {
		if file.GetBlob() == nil { // then nobody could send it
			return nil, &event.InvalidError{Violations: []event.Violation{{
				Field: fmt.Sprintf("content.attachments[%d].blob", i), Reason: "is missing: store the file first",
			}}}
		}
	}
	raw, err := encode([]*eventv1.Submission{a.submission(id)})
	if err != nil {
		return nil, fmt.Errorf("outbound: %w", err)
	}
	known := &asked{Hash: hash, Submission: raw}
	if err = s.state.ask(ctx, key, known); errors.Is(err, kv.ErrConflict) {
		if known, err = s.state.asked(ctx, key); err == nil && known == nil {
			err = fmt.Errorf("%w: another call has taken the request back", channel.ErrRetry)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("outbound: note the request: %w", err)
	}
	return known, nil
}
