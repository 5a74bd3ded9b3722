// Package intake takes submissions in: it compiles them into events, puts what is too large into the blob store, appends
// to the log and answers when the log has acknowledged. The gRPC service and every channel adapter come through here; it
// is the Host of channels.
package intake

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/deadletter"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Config is what an Intake works with.
type Config struct {
	Compiler *event.Compiler
	Keyring  *event.Keyring
	Log      eventlog.Appender
	Blobs    *blob.Store
	Limits   Limits
	// Room tells whether the disk has room for more; nil means always. Its error says what to do.
	Room func() error
	// Metrics may be nil.
	Metrics *Metrics
	// Now stamps received_at; nil means time.Now.
	Now func() time.Time
}

// Intake is safe for concurrent use.
type Intake struct {
	cfg     Config
	limiter *limiter
	letters *deadletter.Publisher
}

var _ channel.Host = (*Intake)(nil)

// New makes an intake.
func New(cfg Config) *Intake {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Room == nil {
		cfg.Room = func() error { return nil }
	}
	return &Intake{cfg: cfg, limiter: newLimiter(cfg.Limits), letters: deadletter.NewPublisher(cfg.Log)}
}

// Submit implements channel.Host. The fields of violations begin with "submissions[i].".
func (in *Intake) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	acks, err := in.submit(ctx, tenant, submissions)
	in.cfg.Metrics.submitted(tenant, len(submissions), err)
	return acks, err
}

func (in *Intake) submit(ctx context.Context, tenant string, submissions []*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if err := in.admit(tenant, len(submissions)); err != nil {
		return nil, err
	}
	records, err := in.compile(ctx, tenant, submissions)
	if err != nil {
		return nil, err
	}
	messages := make([]eventlog.Message, len(records))
	for i, r := range records {
		messages[i] = message(r)
	}
	positions, err := eventlog.AppendAll(ctx, in.cfg.Log, messages)
	if err != nil {
		return nil, retryable(fmt.Errorf("intake: append %d events: %w", len(messages), err))
	}
	acks := make([]channel.Acknowledgement, len(records))
	for i, r := range records {
		acks[i] = acknowledge(r, positions[i])
	}
	return acks, nil
}

// Begin hands one submission in and returns as soon as the log has it under way; done is then called once, from any
// goroutine, and must not block. Begin blocks while too much is under way. Where it returns an error, done is not called.
// The fields of violations begin at the submission.
func (in *Intake) Begin(ctx context.Context, tenant string, s *eventv1.Submission, done func(channel.Acknowledgement, error)) error {
	err := in.begin(ctx, tenant, s, func(ack channel.Acknowledgement, err error) {
		in.cfg.Metrics.submitted(tenant, 1, err)
		done(ack, err)
	})
	if err != nil {
		in.cfg.Metrics.submitted(tenant, 1, err)
	}
	return err
}

func (in *Intake) begin(ctx context.Context, tenant string, s *eventv1.Submission, done func(channel.Acknowledgement, error)) error {
	if err := in.admit(tenant, 1); err != nil {
		return err
	}
	r, _, err := in.record(ctx, make([]byte, 0, usualRecord), tenant, s, in.cfg.Now())
	if err != nil {
		return err
	}
	err = in.cfg.Log.Append(ctx, message(r), func(at eventlog.Position, err error) {
		if err != nil {
			done(channel.Acknowledgement{}, retryable(fmt.Errorf("intake: append: %w", err)))
			return
		}
		done(acknowledge(r, at), nil)
	})
	if err != nil {
		return retryable(fmt.Errorf("intake: append: %w", err))
	}
	return nil
}

func message(r event.Record) eventlog.Message {
	return eventlog.Message{Topic: r.Topic, Key: r.Key, Value: r.Value}
}

func acknowledge(r event.Record, at eventlog.Position) channel.Acknowledgement {
	return channel.Acknowledgement{EventID: r.EventID, ThreadID: r.ThreadID, Position: at}
}

// admit tells whether there is room for so many more events of a tenant.
func (in *Intake) admit(tenant string, n int) error {
	if err := in.room(); err != nil {
		return err
	}
	return in.limiter.allow(tenant, n, in.cfg.Now())
}

func (in *Intake) room() error {
	if err := in.cfg.Room(); err != nil {
		return fmt.Errorf("intake: %w: %w", channel.ErrRetry, err)
	}
	return nil
}

// usualRecord is how many bytes a record has, more or less; where more is needed, it is found.
const usualRecord = 512

// compile compiles all of them or tells everything that is wrong with any.
func (in *Intake) compile(ctx context.Context, tenant string, submissions []*eventv1.Submission) ([]event.Record, error) {
	received := in.cfg.Now()
	records := make([]event.Record, len(submissions))
	buf := make([]byte, 0, usualRecord*len(submissions))
	var violations []event.Violation
	for i, s := range submissions {
		var err error
		records[i], buf, err = in.record(ctx, buf, tenant, s, received)
		var invalid *event.InvalidError
		switch {
		case errors.As(err, &invalid):
			for _, v := range invalid.Violations {
				v.Field = fmt.Sprintf("submissions[%d].%s", i, v.Field)
				violations = append(violations, v)
			}
		case err != nil:
			return nil, fmt.Errorf("intake: submission %d: %w", i, err)
		}
	}
	if len(violations) > 0 {
		return nil, &event.InvalidError{Violations: violations}
	}
	return records, nil
}

// record compiles a submission and appends its record to b, which it gives back.
func (in *Intake) record(ctx context.Context, b []byte, tenant string, s *eventv1.Submission, received time.Time) (event.Record, []byte, error) {
	r, b, err := in.cfg.Compiler.AppendRecord(b, tenant, s, received)
	if !errors.Is(err, event.ErrLarge) {
		return r, b, err
	}
	c, err := in.cfg.Compiler.Compile(tenant, s, received)
	if err != nil {
		return event.Record{}, b, err
	}
	if err := in.spill(ctx, &c); err != nil {
		return event.Record{}, b, err
	}
	return c.AppendRecord(b)
}

// spill puts content that is too large for the log into the blob store.
func (in *Intake) spill(ctx context.Context, c *event.Compiled) error {
	ref, err := in.cfg.Blobs.Put(ctx, c.Event.GetTenant(), c.Event.GetThreadId(), "application/protobuf", bytes.NewReader(c.Event.GetContent()))
	if err != nil {
		return retryable(err)
	}
	if err := event.Spill(c, ref); err != nil {
		return fmt.Errorf("intake: %w", err)
	}
	return nil
}

// PutBlob implements channel.Host.
func (in *Intake) PutBlob(ctx context.Context, info channel.BlobInfo, r io.Reader) (*eventv1.Blob, error) {
	if err := in.room(); err != nil {
		return nil, err
	}
	thread := in.cfg.Keyring.Tenant(info.Tenant).Thread(info.Inbox, info.Thread)
	ref, err := in.cfg.Blobs.Put(ctx, info.Tenant, thread.String(), info.MediaType, r)
	if errors.Is(err, blob.ErrTooLarge) {
		return nil, err
	}
	return ref, retryable(err)
}

// rejected is where blobs of dead letters lie instead of a thread's id.
const rejected = "rejected"

// Reject implements channel.Host.
func (in *Intake) Reject(ctx context.Context, r channel.Rejection) error {
	letter := &eventv1.DeadLetter{
		Reason:   eventv1.DeadReason_DEAD_REASON_REJECTED,
		Detail:   r.Reason,
		Tenant:   r.Tenant,
		Provider: r.Provider,
		Inbox:    r.Inbox,
		At:       timestamppb.New(in.cfg.Now()),
		Raw:      r.Raw[:min(len(r.Raw), deadletter.MaxRaw)],
		RawSize:  int64(len(r.Raw)),
	}
	if err := in.room(); err != nil {
		return err
	}
	if len(letter.GetRaw()) < len(r.Raw) {
		var err error
		letter.RawBlob, err = in.cfg.Blobs.Put(ctx, cmp.Or(letter.GetTenant(), "-"), rejected, "application/octet-stream", bytes.NewReader(r.Raw))
		if err != nil && !errors.Is(err, blob.ErrTooLarge) { // what nothing can hold is cut
			return retryable(err)
		}
	}
	if err := in.letters.Publish(ctx, letter); err != nil {
		return retryable(err)
	}
	in.cfg.Metrics.rejected(r.Provider)
	return nil
}

// retryable marks errors after which the same call may succeed.
func retryable(err error) error {
	if err == nil || errors.Is(err, channel.ErrRetry) || errors.Is(err, eventlog.ErrTooLarge) {
		return err
	}
	return fmt.Errorf("%w: %w", channel.ErrRetry, err)
}
