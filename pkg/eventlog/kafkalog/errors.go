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
	// askAtOnce is how many ask for bounds at once. The driver opens connections for each that finds none idle: without a limit, hundreds of
	// readers that begin together wait for connections until their time is over, and begin again.
	askAtOnce = 16

	firstPause = 20 * time.Millisecond
	lastPause  = time.Second
)

// classify says whether trying again may help against an error of the driver, and which of the contract's errors it is.
func classify(err error) (again bool, kind error) {
	if code, ok := errors.AsType[kafka.Error](err); ok {
		switch code {
		case kafka.OffsetOutOfRange:
			return false, eventlog.ErrOffsetOutOfRange
		case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge:
			return false, eventlog.ErrTooLarge
		case kafka.UnknownTopicOrPartition, kafka.UnknownTopicID:
			return true, eventlog.ErrUnknownTopic
		case kafka.InvalidTopic:
			return false, eventlog.ErrUnknownTopic
		case kafka.Unknown, kafka.BrokerNotAvailable:
			return true, eventlog.ErrUnavailable
		default:
			return code.Temporary(), eventlog.ErrUnavailable
		}
	}
	if errors.Is(err, protocol.ErrNoTopic) || errors.Is(err, protocol.ErrNoPartition) {
		return true, eventlog.ErrUnknownTopic
	}
	return true, eventlog.ErrUnavailable // the network: refused, reset, timed out, cut off
}

// stale says whether an error may come from a connection that died with its broker, or from an old layout of the cluster.
// A pool keeps the one until it is used again, and the other for seconds.
func stale(err error) bool {
	code, ok := errors.AsType[kafka.Error](err)
	if !ok {
		return true
	}
	switch code {
	case kafka.NotLeaderForPartition, kafka.LeaderNotAvailable, kafka.FencedLeaderEpoch, kafka.NotController,
		kafka.BrokerNotAvailable, kafka.UnknownTopicOrPartition, kafka.UnknownTopicID:
		return true
	default:
		return false
	}
}

// retry calls fn until it succeeds, fails for good or would be tried again after the deadline. The error is one of the
// contract's, or the context's.
func (l *Log) retry(ctx context.Context, what string, deadline time.Time, fn func(context.Context, *kafka.Client) error) error {
	limited, cancel := context.WithDeadline(ctx, deadline)
	defer cancel()
	var before error
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		client := l.client.Load()
		err := fn(limited, client)
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return fmt.Errorf("kafkalog: %s: %w", what, ctx.Err())
		}
		if limited.Err() != nil && before != nil {
			err = before // tells more than that the time is over
		}
		err = l.reason(limited, client, err)
		again, kind := classify(err)
		if !again || time.Until(deadline) < pause {
			return fmt.Errorf("kafkalog: %s: %w: %v", what, kind, err) //nolint:errorlint // the driver's errors stay here
		}
		if stale(err) {
			l.renew(client)
		}
		if before == nil {
			l.cfg.Logger.WarnContext(ctx, "the log does not answer, trying again", "call", what, "error", err, "until", deadline)
		}
		before = err
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
