// Package deadletter keeps what could not be understood in a topic of the log, with the reason and the raw bytes, so that
// it can be looked at and tried again.
package deadletter

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// MaxRaw is how many raw bytes a letter carries; the rest is cut.
const MaxRaw = 256 << 10

// Publisher writes dead letters to the log. It is safe for concurrent use.
type Publisher struct {
	log eventlog.Appender
}

// NewPublisher writes to a log.
func NewPublisher(log eventlog.Appender) *Publisher { return &Publisher{log: log} }

// Publish returns when all letters are durable. Bytes in their words that are no UTF-8 are replaced. A letter's key is its source, so that the same one published twice is
// known by it.
func (p *Publisher) Publish(ctx context.Context, letters ...*eventv1.DeadLetter) error {
	messages := make([]eventlog.Message, 0, len(letters))
	for _, l := range letters {
		value, err := marshal(l)
		if err != nil {
			return fmt.Errorf("deadletter: marshal the letter of %s: %w", key(l), err)
		}
		messages = append(messages, eventlog.Message{Topic: event.TopicDead, Key: []byte(key(l)), Value: value})
	}
	if _, err := eventlog.AppendAll(ctx, p.log, messages); err != nil {
		return fmt.Errorf("deadletter: publish %d letters: %w", len(letters), err)
	}
	return nil
}

// marshal writes a letter. Words that quote what could not be understood may be no UTF-8; that must not stop the letter.
func marshal(l *eventv1.DeadLetter) ([]byte, error) {
	options := proto.MarshalOptions{Deterministic: true}
	value, err := options.Marshal(l)
	if err == nil {
		return value, nil
	}
	l = proto.CloneOf(l)
	for _, text := range []*string{&l.Detail, &l.Tenant, &l.Slice, &l.Provider, &l.Inbox} {
		*text = strings.ToValidUTF8(*text, "\ufffd")
	}
	return options.Marshal(l)
}

func key(l *eventv1.DeadLetter) string {
	if s := l.GetSource(); s != nil {
		return eventlog.Position{Topic: s.GetTopic(), Partition: s.GetPartition(), Offset: s.GetOffset()}.String()
	}
	return l.GetTenant() + "/" + l.GetProvider() + "/" + l.GetInbox()
}
