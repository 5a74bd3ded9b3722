package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"

	"github.com/skein-cx/skein/pkg/eventlog"
)

const (
	// requestTimeout is how long one answer may take; the broker is told to give up after half of it.
	requestTimeout = 10 * time.Second
	// askTimeout is how long a call that changes nothing is tried again.
	askTimeout = 5 * time.Second

	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// classify says which of the contract's errors an error of the driver is, and whether trying again may help.
func classify(err error) (kind error, again bool) {
	var code kafka.Error
	if errors.As(err, &code) {
		switch code {
		case kafka.OffsetOutOfRange:
			return eventlog.ErrOffsetOutOfRange, false
		case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge:
			return eventlog.ErrTooLarge, false
		case kafka.UnknownTopicOrPartition, kafka.UnknownTopicID:
			return eventlog.ErrUnknownTopic, true
		case kafka.InvalidTopic:
			return eventlog.ErrUnknownTopic, false
		case kafka.Unknown, kafka.BrokerNotAvailable:
			return eventlog.ErrUnavailable, true
		}
		return eventlog.ErrUnavailable, code.Temporary()
	}
	if errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition) {
		return eventlog.ErrUnknownTopic, true
	}
	return eventlog.ErrUnavailable, true // the network: refused, reset, timed out, cut off
}

// retry calls fn until it succeeds, fails for good or would be tried again after the deadline; each failure renews the
// connections, because a pool keeps those that died with their broker and an old layout of the cluster. The error is one
// of the contract's, or the context's.
func (l *Log) retry(ctx context.Context, what string, deadline time.Time, fn func(context.Context, *kafka.Client) error) error {
	limited, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		client := l.client.Load()
		err := fn(limited, client)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("kafkalog: %s: %w", what, ctx.Err())
		}
		err = l.reason(limited, client, err)
		kind, again := classify(err)
		if !again || time.Until(deadline) < pause {
			return fmt.Errorf("kafkalog: %s: %w: %v", what, kind, err) //nolint:errorlint // the driver's errors stay here
		}
		l.renew(client)
		if pause == firstPause {
			l.cfg.Logger.WarnContext(ctx, "the log does not answer, trying again", "call", what, "error", err, "until", deadline)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return fmt.Errorf("kafkalog: %s: %w", what, ctx.Err())
		}
	}
}

// reason gives the cause of an error. A pool that never reached the cluster knows no topics and says just that; it tells
// why only who asks for metadata.
func (l *Log) reason(ctx context.Context, client *kafka.Client, err error) error {
	if !errors.Is(err, protocol.ErrNoTopic) {
		return err
	}
	if _, cause := client.Metadata(ctx, &kafka.MetadataRequest{}); cause != nil {
		return cause
	}
	return err
}

// renew replaces the connections, unless another call has done so already. Requests on the old ones end undisturbed.
func (l *Log) renew(old *kafka.Client) {
	if l.client.CompareAndSwap(old, l.dial()) {
		release(old)
	}
}

func release(c *kafka.Client) {
	if t, ok := c.Transport.(*kafka.Transport); ok {
		t.CloseIdleConnections()
	}
}
