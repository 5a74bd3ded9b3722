package pubsub_test

import (
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/ThreeDotsLabs/watermill/pubsub/tests"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkagroup"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/pubsub"
)

// With a group, messages of one payload have one key, so that the suite finds their order.
func TestSubscribersInGroupsPassWatermillsSuite(t *testing.T) {
	onEach(t, subscribersInGroupsPassWatermillsSuite)
}

func subscribersInGroupsPassWatermillsSuite(t *testing.T, c cluster) {
	t.Helper()
	log := connect(t, c)
	groups := newGroups(t, c)
	construct := func(t *testing.T, group string) (message.Publisher, message.Subscriber) {
		t.Helper()
		key := message.MessageTransformPublisherDecorator(func(m *message.Message) {
			m.Metadata.Set(pubsub.KeyMetadata, string(m.Payload))
		})
		pub, err := key(pubsub.NewPublisher(log))
		must(t, err)
		return pub, subscriber(t, pubsub.Config{Log: log, Group: group, Groups: groups})
	}
	tests.TestPubSub(t,
		tests.Features{ConsumerGroups: true, GuaranteedOrder: true, Persistent: true, RestartServiceCommand: restart(c), ForceShort: raceDetector},
		func(t *testing.T) (message.Publisher, message.Subscriber) {
			t.Helper()
			return construct(t, "group")
		},
		construct,
	)
}

// Without a group, messages are spread over all partitions.
func TestSubscribersWithoutGroupPassWatermillsSuite(t *testing.T) {
	onEach(t, subscribersWithoutGroupPassWatermillsSuite)
}

func subscribersWithoutGroupPassWatermillsSuite(t *testing.T, c cluster) {
	t.Helper()
	log := connect(t, c)
	tests.TestPubSub(t,
		tests.Features{
			Persistent: true, NewSubscriberReceivesOldMessages: true, RestartServiceCommand: restart(c), ForceShort: raceDetector,
		},
		func(t *testing.T) (message.Publisher, message.Subscriber) {
			t.Helper()
			return pubsub.NewPublisher(log), subscriber(t, pubsub.Config{Log: log})
		},
		nil,
	)
}

// restart is the command for TestReconnect, unless that runs by itself: see TestWatermillsWholeSuiteWithoutTheRaceDetector.
func restart(c cluster) []string {
	if raceDetector {
		return nil
	}
	return c.restart
}

func newGroups(t *testing.T, c cluster) *kafkagroup.Groups {
	t.Helper()
	groups, err := kafkagroup.New(kafkagroup.Config{Brokers: c.brokers, Heartbeat: 200 * time.Millisecond})
	must(t, err)
	return groups
}

func connect(t *testing.T, c cluster) eventlog.Log {
	t.Helper()
	log, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: c.brokers, Patience: time.Minute})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	return log
}

// subscriber is one that does not make the suite wait: it rejects some messages hundreds of times, and leaves many that
// it was handed.
func subscriber(t *testing.T, cfg pubsub.Config) *pubsub.Subscriber {
	t.Helper()
	cfg.FirstPause, cfg.LastPause, cfg.Drain, cfg.Partitions = time.Millisecond, 10*time.Millisecond, 20*time.Millisecond, 4
	cfg.Want = holdLast()
	s, err := pubsub.NewSubscriber(cfg)
	must(t, err)
	return s
}

// holdLast holds the last message of TestReconnect back for a moment, after which the suite, which does not wait for its own
// publishers, has noted that it was published.
func holdLast() func(eventlog.Record) bool {
	const messagesCount = 10_000
	var mu sync.Mutex
	seen := make(map[string]bool)
	return func(r eventlog.Record) bool {
		mu.Lock()
		defer mu.Unlock()
		for _, h := range r.Headers {
			if h.Key == pubsub.UUIDHeader {
				seen[string(h.Value)] = true
			}
		}
		if len(seen) == messagesCount {
			<-time.After(500 * time.Millisecond)
		}
		return true
	}
}
