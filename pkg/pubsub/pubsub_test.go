package pubsub_test

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/pubsub"
)

// patience ends a test that hangs; nothing waits for it otherwise.
const patience = time.Minute

const topic = "topic"

func TestARecordThatWatermillDidNotWriteIsAMessage(t *testing.T) {
	m := pubsub.FromRecord(eventlog.Record{
		Position: eventlog.Position{Topic: "skein.interactions.v1", Partition: 3, Offset: 17},
		Key:      []byte("thread"), Value: []byte{0, 1, 0xff},
		Headers: []eventlog.Header{{Key: "a", Value: []byte("1")}, {Key: "a", Value: []byte("2")}},
	})
	if m.UUID != "skein.interactions.v1/3/17" {
		t.Errorf("the UUID is %q, want the position", m.UUID)
	}
	if string(m.Payload) != "\x00\x01\xff" || m.Metadata.Get(pubsub.KeyMetadata) != "thread" || m.Metadata.Get("a") != "2" {
		t.Errorf("payload %q, metadata %v", m.Payload, m.Metadata)
	}
}

func TestAMessageSurvivesTheLog(t *testing.T) {
	m := message.NewMessage("id", []byte("payload"))
	m.Metadata = message.Metadata{pubsub.KeyMetadata: "\x00\xff key", "correlation_id": "c", "empty": ""}
	appended := pubsub.ToMessage(topic, m)
	if string(appended.Key) != "\x00\xff key" {
		t.Errorf("the key is %q", appended.Key)
	}
	back := pubsub.FromRecord(eventlog.Record{Key: appended.Key, Value: appended.Value, Headers: appended.Headers})
	if !back.Equals(m) {
		t.Errorf("came back as %+v", back)
	}
}

func TestAMessageWithoutKeyIsKeyedByItsUUID(t *testing.T) {
	if m := pubsub.ToMessage(topic, message.NewMessage("id", nil)); string(m.Key) != "id" {
		t.Errorf("the key is %q", m.Key)
	}
}

func TestPublishTellsWhatTheLogSays(t *testing.T) {
	log := newLog(t, 2)
	pub := pubsub.NewPublisher(log)
	if err := pub.Publish("unknown", message.NewMessage("id", nil)); !errors.Is(err, eventlog.ErrUnknownTopic) {
		t.Errorf("an unknown topic gave %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := pub.Publish(topic, message.NewMessageWithContext(ended, "id", nil)); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context gave %v", err)
	}
	must(t, pub.Publish(topic))
	must(t, pub.Close())
	must(t, pub.Close())
	if err := pub.Publish(topic, message.NewMessage("id", nil)); !errors.Is(err, pubsub.ErrClosed) {
		t.Errorf("a closed publisher gave %v", err)
	}
}

func TestASubscriberRefusesWhatCannotWork(t *testing.T) {
	if _, err := pubsub.NewSubscriber(pubsub.Config{}); err == nil {
		t.Error("a subscriber without a log")
	}
	if _, err := pubsub.NewSubscriber(pubsub.Config{Log: memlog.New(memlog.Config{}).Open(), Group: "group"}); err == nil {
		t.Error("a group without Groups")
	}
	s := newSubscriber(t, pubsub.Config{Log: newLog(t, 1)})
	if _, err := s.Subscribe(t.Context(), "unknown"); !errors.Is(err, eventlog.ErrUnknownTopic) {
		t.Errorf("an unknown topic gave %v", err)
	}
	must(t, s.Close())
	if _, err := s.Subscribe(t.Context(), topic); !errors.Is(err, pubsub.ErrClosed) {
		t.Errorf("a closed subscriber gave %v", err)
	}
}

func TestSubscribeInitializeLeavesATopicAsItIs(t *testing.T) {
	log := newLog(t, 3)
	s := newSubscriber(t, pubsub.Config{Log: log, Partitions: 5})
	for name, want := range map[string]int{topic: 3, "new": 5} {
		must(t, s.SubscribeInitialize(name))
		if n, err := log.Partitions(t.Context(), name); n != want || err != nil {
			t.Errorf("%s has %d partitions, %v; want %d", name, n, err, want)
		}
	}
}

func TestAMessageKnowsItsRecord(t *testing.T) {
	log := newLog(t, 1)
	publish(t, log, "a", 1)
	type name struct{}
	messages := subscribe(t, context.WithValue(t.Context(), name{}, "value"), pubsub.Config{Log: log})
	m := receive(t, messages)
	r, ok := pubsub.RecordOf(m.Context())
	if !ok || r.Position != (eventlog.Position{Topic: topic}) || string(r.Key) != "a" {
		t.Errorf("the record is %+v, %v", r, ok)
	}
	if m.Context().Value(name{}) != "value" {
		t.Error("the values of Subscribe's context are missing")
	}
	if _, ok := pubsub.RecordOf(context.Background()); ok {
		t.Error("a record of nothing")
	}
}

func TestARejectedMessageComesAgainBeforeTheNextOneAndHoldsBackItsPartitionOnly(t *testing.T) {
	log := newLog(t, 2)
	stubborn, other := keysOfTwoPartitions()
	publish(t, log, stubborn, 2)
	publish(t, log, other, 50)
	messages := subscribe(t, t.Context(), pubsub.Config{Log: log, FirstPause: time.Millisecond, LastPause: 2 * time.Millisecond})
	var rejected, accepted int
	for accepted < 50 || rejected < 20 {
		m := receive(t, messages)
		if m.Metadata.Get(pubsub.KeyMetadata) == other {
			accepted++
			m.Ack()
			continue
		}
		if string(m.Payload) != "0" {
			t.Fatalf("message %s came although the one before was never acknowledged", m.Payload)
		}
		rejected++
		m.Nack()
	}
}

func TestUnwantedRecordsAreNotDelivered(t *testing.T) {
	log := newLog(t, 1)
	publish(t, log, "a", 100)
	offsets := newOffsets()
	messages := subscribe(t, t.Context(), pubsub.Config{
		Log: log, Offsets: offsets, Want: func(r eventlog.Record) bool { return strings.HasSuffix(string(r.Value), "7") },
	})
	for i := 7; i < 100; i += 10 {
		m := receive(t, messages)
		if string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("got %s, want %d", m.Payload, i)
		}
		m.Ack()
	}
	offsets.wait(t, 100)
}

func TestOffsetsSayWhereToBeginAndAreToldWhatIsDone(t *testing.T) {
	log := newLog(t, 1)
	publish(t, log, "a", 5)
	offsets := newOffsets()
	offsets.next[0] = 3
	messages := subscribe(t, t.Context(), pubsub.Config{Log: log, Offsets: offsets})
	m := receive(t, messages)
	if string(m.Payload) != "3" {
		t.Fatalf("it began with %s, want 3", m.Payload)
	}
	m.Ack()
	offsets.wait(t, 4)
}

// What could not be noted is delivered again, so that nothing is lost when the process ends.
func TestAPartitionIsGivenUpAndTakenAgainWhenItsProgressCannotBeNoted(t *testing.T) {
	log := newLog(t, 1)
	publish(t, log, "a", 2)
	offsets := newOffsets()
	offsets.failures = 1
	messages := subscribe(t, t.Context(), pubsub.Config{Log: log, Offsets: offsets})
	receive(t, messages).Ack()
	for m := range messages { // the second message may come before the failure is seen
		m.Ack()
		if string(m.Payload) == "0" {
			break
		}
	}
	m := receive(t, messages)
	m.Ack()
	if string(m.Payload) != "1" {
		t.Errorf("got %s, want 1", m.Payload)
	}
	offsets.wait(t, 2)
}

func TestAnOffsetThatTheLogDoesNotHoldBeginsAtItsFirstMessage(t *testing.T) {
	log := newLog(t, 1)
	publish(t, log, "a", 1)
	offsets := newOffsets()
	offsets.next[0] = 1000
	m := receive(t, subscribe(t, t.Context(), pubsub.Config{Log: log, Offsets: offsets}))
	if string(m.Payload) != "0" {
		t.Errorf("it began with %s, want the first message", m.Payload)
	}
}

func TestAMessageUnderWayMayEndWhileTheSubscriberCloses(t *testing.T) {
	log := newLog(t, 1)
	publish(t, log, "a", 2)
	offsets := newOffsets()
	s := newSubscriber(t, pubsub.Config{Log: log, Offsets: offsets, Drain: patience})
	messages, err := s.Subscribe(t.Context(), topic)
	must(t, err)
	m := receive(t, messages)
	closed := make(chan error, 1)
	go func() { closed <- s.Close() }()
	for {
		if _, err := s.Subscribe(t.Context(), topic); errors.Is(err, pubsub.ErrClosed) {
			break
		}
	}
	if err := m.Context().Err(); err != nil {
		t.Errorf("its context has ended already: %v", err)
	}
	m.Ack()
	must(t, <-closed)
	offsets.wait(t, 1)
	if m, ok := <-messages; ok {
		t.Errorf("%s was delivered after Close", m.Payload)
	}
}

func TestCloseDoesNotWaitForAHandlerThatHangs(t *testing.T) {
	log := newLog(t, 1)
	publish(t, log, "a", 1)
	s := newSubscriber(t, pubsub.Config{Log: log, Drain: time.Millisecond})
	messages, err := s.Subscribe(t.Context(), topic)
	must(t, err)
	m := receive(t, messages)
	must(t, s.Close())
	if m.Context().Err() == nil {
		t.Error("its context has not ended")
	}
}

func TestMembersOfAGroupShareMessagesAndTakeOverFromEachOther(t *testing.T) {
	onEach(t, membersOfAGroupShareMessagesAndTakeOverFromEachOther)
}

func membersOfAGroupShareMessagesAndTakeOverFromEachOther(t *testing.T, c cluster) {
	t.Helper()
	log := connect(t, c)
	shared := "shared." + rand.Text()
	must(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: shared, Partitions: 4}))
	const keys, each = 8, 100
	groups := newGroups(t, c)
	cfg := pubsub.Config{Log: log, Group: shared, Groups: groups, Drain: patience}
	received := make(chan *message.Message)
	join := func() *pubsub.Subscriber {
		s := newSubscriber(t, cfg)
		messages, err := s.Subscribe(t.Context(), shared)
		must(t, err)
		go func() {
			for m := range messages {
				received <- m
			}
		}()
		return s
	}
	pub := pubsub.NewPublisher(log)
	for i := range each {
		for k := range keys {
			m := message.NewMessage(fmt.Sprintf("%d/%d", k, i), nil)
			m.Metadata.Set(pubsub.KeyMetadata, fmt.Sprint(k))
			must(t, pub.Publish(shared, m))
		}
	}
	members := []*pubsub.Subscriber{join()}
	next := make(map[int]int)
	for n := range keys * each {
		switch n {
		case 100, 200, 300: // one comes
			members = append(members, join())
		case 400, 500: // one goes, which must not wait for us
			go func(s *pubsub.Subscriber) {
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}(members[0])
			members = members[1:]
		}
		m := receive(t, received)
		var k, i int
		if _, err := fmt.Sscanf(m.UUID, "%d/%d", &k, &i); err != nil {
			t.Fatal(err)
		}
		if i != next[k] {
			t.Fatalf("message %d of key %d came, want %d: partitions changed hands with care, so none may be lost or come twice", i, k, next[k])
		}
		next[k]++
		m.Ack()
	}
	for _, s := range members {
		must(t, s.Close())
	}
}

func TestAGroupGoesOnWhereItStopped(t *testing.T) { onEach(t, aGroupGoesOnWhereItStopped) }

func aGroupGoesOnWhereItStopped(t *testing.T, c cluster) {
	t.Helper()
	log := connect(t, c)
	resumed := "resumed." + rand.Text()
	must(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: resumed, Partitions: 1}))
	pub := pubsub.NewPublisher(log)
	for i := range 10 {
		m := message.NewMessage(fmt.Sprint(i), nil)
		m.Metadata.Set(pubsub.KeyMetadata, "a")
		must(t, pub.Publish(resumed, m))
	}
	for i := range 10 {
		s := newSubscriber(t, pubsub.Config{Log: log, Group: resumed, Groups: newGroups(t, c), Drain: -1})
		messages, err := s.Subscribe(t.Context(), resumed)
		must(t, err)
		m := receive(t, messages)
		if m.UUID != fmt.Sprint(i) {
			t.Fatalf("it went on with %s, want %d", m.UUID, i)
		}
		m.Ack()
		must(t, s.Close())
	}
}

func newLog(t *testing.T, partitions int) eventlog.Log {
	t.Helper()
	log := memlog.New(memlog.Config{}).Open()
	t.Cleanup(func() { must(t, log.Close()) })
	must(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: partitions}))
	return log
}

func newSubscriber(t *testing.T, cfg pubsub.Config) *pubsub.Subscriber {
	t.Helper()
	s, err := pubsub.NewSubscriber(cfg)
	must(t, err)
	return s
}

// subscribe subscribes to the topic until the test ends; nothing under way is waited for then.
func subscribe(t *testing.T, ctx context.Context, cfg pubsub.Config) <-chan *message.Message {
	t.Helper()
	cfg.Drain = -1
	s := newSubscriber(t, cfg)
	t.Cleanup(func() { must(t, s.Close()) })
	messages, err := s.Subscribe(ctx, topic)
	must(t, err)
	return messages
}

func receive(t *testing.T, messages <-chan *message.Message) *message.Message {
	t.Helper()
	select {
	case m, ok := <-messages:
		if !ok {
			t.Fatal("the subscription has ended")
		}
		return m
	case <-time.After(patience):
		t.Fatal("no message came")
	}
	return nil
}

// publish publishes the numbers from 0 on.
func publish(t *testing.T, log eventlog.Log, key string, n int) {
	t.Helper()
	messages := make([]*message.Message, n)
	for i := range messages {
		messages[i] = message.NewMessage(fmt.Sprintf("%s/%d", key, i), fmt.Append(nil, i))
		messages[i].Metadata.Set(pubsub.KeyMetadata, key)
	}
	must(t, pubsub.NewPublisher(log).Publish(topic, messages...))
}

func keysOfTwoPartitions() (string, string) {
	other := 1
	for eventlog.Partition(fmt.Append(nil, other), 2) == eventlog.Partition([]byte("0"), 2) {
		other++
	}
	return "0", fmt.Sprint(other)
}

// offsets are kept in memory.
type offsets struct {
	mu       sync.Mutex
	changed  *sync.Cond
	next     map[int32]int64
	failures int // how often saving fails
}

func newOffsets() *offsets {
	o := &offsets{next: make(map[int32]int64)}
	o.changed = sync.NewCond(&o.mu)
	return o
}

func (o *offsets) Load(_ context.Context, _ string, partition int32) (int64, bool, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	next, found := o.next[partition]
	return next, found, nil
}

func (o *offsets) Save(_ context.Context, _ string, partition int32, next int64) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.failures > 0 {
		o.failures--
		return errors.New("the disk is full")
	}
	o.next[partition] = next
	o.changed.Broadcast()
	return nil
}

// wait waits until everything before an offset of partition 0 is noted.
func (o *offsets) wait(t *testing.T, next int64) {
	t.Helper()
	defer time.AfterFunc(patience, func() { panic("it is never noted") }).Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	for o.next[0] < next {
		o.changed.Wait()
	}
	if o.next[0] > next {
		t.Errorf("%d is noted, want %d", o.next[0], next)
	}
}
