package webhooks

import (
	"errors"
	"fmt"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/message/router/middleware"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/deadletter"
	"github.com/skein-cx/skein/pkg/pubsub"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// unsendableError says that an event can never be sent, however often it is tried.
type unsendableError struct{ err error }

func (e *unsendableError) Error() string { return "it can never be sent: " + e.err.Error() }

func (e *unsendableError) Unwrap() error { return e.err }

func unsendable(err error) bool {
	var dead *unsendableError
	return errors.As(err, &dead)
}

// undertaker is the publisher of Watermill's poison queue: it makes dead letters of what can never be sent.
type undertaker struct{ *worker }

// Publish implements message.Publisher.
func (u undertaker) Publish(_ string, messages ...*message.Message) error {
	for _, m := range messages {
		r, ok := pubsub.RecordOf(m.Context())
		if !ok {
			return fmt.Errorf("webhooks: the message %q comes from no record", m.UUID)
		}
		err := u.cfg.DeadLetters.Publish(m.Context(), &eventv1.DeadLetter{
			Reason:  eventv1.DeadReason_DEAD_REASON_INVALID,
			Detail:  m.Metadata.Get(middleware.ReasonForPoisonedKey),
			Tenant:  u.Tenant,
			Source:  &eventv1.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset},
			Slice:   Namespace.Slice + "/" + u.ID,
			At:      timestamppb.New(u.cfg.Now()),
			Raw:     r.Value[:min(len(r.Value), deadletter.MaxRaw)],
			RawSize: int64(len(r.Value)),
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Close implements message.Publisher.
func (u undertaker) Close() error { return nil }
