package kafkalog_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

func TestAppendBlocksWhileTooManyBytesAreUnderWay(t *testing.T) {
	// Nothing is sent before Close: the batch neither gets old nor full.
	log, topic := onTopic(t, fake(t), kafkalog.Config{MaxMessageBytes: 1 << 16, MaxInFlightBytes: 1 << 16, BatchTimeout: time.Hour})
	var outcomes sync.WaitGroup
	done := func(_ eventlog.Position, err error) {
		if err != nil {
			t.Error(err)
		}
		outcomes.Done()
	}
	never := func(eventlog.Position, error) { t.Error("done was called although Append returned an error") }
	m := eventlog.Message{Topic: topic, Value: make([]byte, 4<<10)}
	appended := 0
	for {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		outcomes.Add(1)
		err := log.Append(ctx, m, done)
		cancel()
		if errors.Is(err, context.DeadlineExceeded) {
			outcomes.Done()
			break
		}
		must(t, err)
		appended++
	}
	if appended < 10 || appended > 16 {
		t.Errorf("%d messages of 4 KiB were under way, want as many as 64 KiB hold", appended)
	}
	blocked := make(chan error)
	go func() { blocked <- log.Append(context.Background(), m, never) }()
	must(t, log.Close())
	if err := <-blocked; !errors.Is(err, eventlog.ErrClosed) {
		t.Errorf("Close ended a blocked Append with %v, want ErrClosed", err)
	}
	outcomes.Wait()
}

func TestAppendGoesOnAsMessagesAreAcknowledged(t *testing.T) {
	log, topic := onTopic(t, fake(t), kafkalog.Config{MaxMessageBytes: 1 << 14, MaxInFlightBytes: 1 << 14})
	const size, n = 1 << 10, 2000
	var underWay, most atomic.Int64
	var outcomes sync.WaitGroup
	for range n {
		outcomes.Add(1)
		must(t, log.Append(background(t), eventlog.Message{Topic: topic, Value: make([]byte, size)}, func(_ eventlog.Position, err error) {
			if err != nil {
				t.Error(err)
			}
			underWay.Add(-1)
			outcomes.Done()
		}))
		most.Store(max(most.Load(), underWay.Add(1)))
	}
	outcomes.Wait()
	if got := most.Load(); got > (1<<14)/size+1 {
		t.Errorf("%d KiB were under way, 16 are allowed", got)
	}
	_, next, err := log.Bounds(background(t), topic, 0)
	must(t, err)
	if next != n {
		t.Errorf("%d messages were appended, want %d", next, n)
	}
}

func TestAppendTriesAgainWhatMaySucceedLater(t *testing.T) {
	c := fake(t)
	log, topic := onTopic(t, c, kafkalog.Config{})
	requests := refuseAppends(c, kerr.NotLeaderForPartition.Code, kerr.NotEnoughReplicas.Code, kerr.KafkaStorageError.Code, kerr.UnknownServerError.Code)
	positions, err := eventlog.AppendAll(background(t), log, []eventlog.Message{{Topic: topic}})
	must(t, err)
	if positions[0].Offset != 0 || requests() != 5 {
		t.Errorf("appended at %v after %d requests, want offset 0 after 5", positions, requests())
	}
}

func TestAppendTellsWhyItFailed(t *testing.T) {
	for _, test := range []struct {
		name     string
		code     *kerr.Error
		messages int
		want     error
		tells    string
	}{
		{"what will never be taken", kerr.MessageTooLarge, 1, eventlog.ErrTooLarge, ""},
		{"a batch that is too large is no reason to give up its messages", kerr.MessageTooLarge, 2, eventlog.ErrUnavailable, "max.message.bytes"},
		{"what is forbidden", kerr.TopicAuthorizationFailed, 1, eventlog.ErrUnavailable, "Authorization"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			log, topic := onTopic(t, c, kafkalog.Config{BatchTimeout: time.Second})
			requests := refuseAppends(c, test.code.Code, test.code.Code)
			_, err := eventlog.AppendAll(background(t), log, empty(topic, test.messages))
			if !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.tells) || errors.As(err, new(*kerr.Error)) {
				t.Errorf("%v, want %v, %s", err, test.want, test.tells)
			}
			if requests() != 1 {
				t.Errorf("it was tried %d times", requests())
			}
		})
	}
}

// empty makes messages without a value.
func empty(topic string, n int) []eventlog.Message {
	messages := make([]eventlog.Message, n)
	for i := range messages {
		messages[i].Topic = topic
	}
	return messages
}

func TestEachMessageGetsItsOutcomeWhenTheBrokerIsGone(t *testing.T) {
	t.Parallel()
	c := fake(t)
	log, topic := onTopic(t, c, kafkalog.Config{Timeout: time.Second})
	c.Close()
	const n = 1000
	var outcomes [n]atomic.Int32
	for i := range n {
		must(t, log.Append(background(t), eventlog.Message{Topic: topic, Value: make([]byte, 10_000)}, func(_ eventlog.Position, err error) {
			if !errors.Is(err, eventlog.ErrUnavailable) {
				t.Errorf("%v, want ErrUnavailable", err)
			}
			outcomes[i].Add(1)
		}))
	}
	must(t, log.Close())
	for i := range outcomes {
		if got := outcomes[i].Load(); got != 1 {
			t.Errorf("message %d got %d outcomes", i, got)
		}
	}
}

func TestOrderHoldsWhileRequestsFail(t *testing.T) {
	c := fake(t)
	log, topic := onTopic(t, c, kafkalog.Config{MaxMessageBytes: 1 << 10, BatchTimeout: -1})
	refuseAppends(c, kerr.NotEnoughReplicasAfterAppend.Code, kerr.RequestTimedOut.Code, 0, kerr.NotLeaderForPartition.Code)
	const n = 300
	messages := empty(topic, n)
	for i := range messages {
		messages[i].Value = fmt.Appendf(nil, "%d", i)
	}
	_, err := eventlog.AppendAll(background(t), log, messages)
	must(t, err)
	for i, r := range read(t, log, topic, 0, n) {
		if !bytes.Equal(r.Value, messages[i].Value) {
			t.Fatalf("%s stands at %s", r.Value, r.Position)
		}
	}
}
