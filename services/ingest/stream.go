package ingest

import (
	"context"
	"errors"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/intake"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

const (
	// window is how many events of one stream may be unanswered.
	window = 10_000
	// maxResults go out in one message.
	maxResults = 1_000
	// retryAfter is what callers are told who may try again at any time.
	retryAfter = time.Second
)

// Stream takes events in and answers each by itself.
func (s *Server) Stream(stream grpc.BidiStreamingServer[ingestv1.StreamRequest, ingestv1.StreamResponse]) error {
	caller, err := auth.From(stream.Context())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	t := &taking{
		intake: s.intake, tenant: caller.Tenant,
		places:  make(chan struct{}, window),
		results: make(chan *ingestv1.StreamResult, window), // so that an answer never waits for the caller
	}
	go func() { // ends with the stream at the latest, which ends when this call returns
		if err := t.receive(ctx, stream.Recv); err != nil {
			cancel(err)
		}
	}()
	if err := t.answer(ctx, stream.Send); ctx.Err() == nil {
		return err
	}
	return context.Cause(ctx)
}

// taking is one stream. An event takes a place when it comes and gives it back when its answer is sent.
type taking struct {
	intake  *intake.Intake
	tenant  string
	places  chan struct{}
	results chan *ingestv1.StreamResult
}

func (t *taking) receive(ctx context.Context, recv func() (*ingestv1.StreamRequest, error)) error {
	for {
		req, err := recv()
		if errors.Is(err, io.EOF) {
			return t.finish(ctx)
		}
		if err != nil {
			return err
		}
		for _, item := range req.GetItems() {
			if err := t.take(ctx, item); err != nil {
				return err
			}
		}
	}
}

// finish waits until everything is answered: whoever holds all places knows that nobody else does.
func (t *taking) finish(ctx context.Context) error {
	for range window {
		select {
		case t.places <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	close(t.results)
	return nil
}

func (t *taking) take(ctx context.Context, item *ingestv1.StreamItem) error {
	select {
	case t.places <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	done := func(ack channel.Acknowledgement, err error) { t.results <- result(item.GetId(), ack, err) }
	for {
		err := t.intake.Begin(ctx, t.tenant, item.GetSubmission(), done)
		var limited *intake.LimitedError
		switch {
		case err == nil:
			return nil
		case !errors.As(err, &limited):
			done(channel.Acknowledgement{}, err)
			return nil
		}
		if err := pause(ctx, limited.RetryAfter()); err != nil { // the caller feels it as flow control
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// answer sends the results that are at hand, many at once, until there will be no more.
func (t *taking) answer(ctx context.Context, send func(*ingestv1.StreamResponse) error) error {
	for {
		var resp ingestv1.StreamResponse
		select {
		case r, more := <-t.results:
			if !more {
				return nil
			}
			resp.Results = append(resp.Results, r)
		case <-ctx.Done():
			return ctx.Err()
		}
		for len(resp.GetResults()) < maxResults && len(t.results) > 0 {
			resp.Results = append(resp.Results, <-t.results)
		}
		if err := send(&resp); err != nil {
			return err
		}
		for range resp.GetResults() {
			<-t.places
		}
	}
}

func result(id uint64, ack channel.Acknowledgement, err error) *ingestv1.StreamResult {
	r := &ingestv1.StreamResult{Id: id}
	if err == nil {
		r.Outcome = &ingestv1.StreamResult_Acknowledgement{Acknowledgement: new(acknowledged).fill(ack)}
		return r
	}
	refusal := &ingestv1.Refusal{Reason: err.Error()}
	var invalid *event.InvalidError
	switch {
	case errors.As(err, &invalid):
		for _, v := range invalid.Violations {
			refusal.Violations = append(refusal.Violations, &ingestv1.FieldViolation{Field: v.Field, Description: v.Reason})
		}
	case errors.Is(err, channel.ErrRetry), errors.Is(err, context.Canceled):
		refusal.RetryAfter = durationpb.New(retryAfter)
	}
	r.Outcome = &ingestv1.StreamResult_Refusal{Refusal: refusal}
	return r
}
