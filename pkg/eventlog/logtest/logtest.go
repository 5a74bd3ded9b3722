// Package logtest is the suite that every engine of the log passes. It needs nothing of an engine but the contract, so
// that it runs on a shared, real cluster as well: it uses topics of its own, and never looks at others.
package logtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// MaxMessageBytes is what the engine under test must be set to take: a value of a million bytes fits, one of
// MaxMessageBytes with its key does not.
const MaxMessageBytes = 1 << 20

// Open gives another log over the same data at each call. The suite closes it.
type Open func(t *testing.T) eventlog.Log

// Run runs the suite.
func Run(t *testing.T, open Open) {
	for _, test := range []struct {
		name string
		run  func(*testing.T, Open)
	}{
		{"an appended message is read back as it was", readBack},
		{"any bytes come back as they were", anyBytes},
		{"a message stands in the partition of its key", partitionOfKey},
		{"records are read at the positions that were acknowledged", positions},
		{"messages of one key keep their order", order},
		{"concurrent appenders get one acknowledgement for each message", concurrentAppenders},
		{"AppendAll gives positions in the order of its messages", appendAll},
		{"bytes belong to their owners", ownership},
		{"Read waits for an append", readWaits},
		{"Read returns at most what it was asked for", readAtMost},
		{"a cancelled Read loses nothing", cancelledRead},
		{"reading starts at any offset", startAnywhere},
		{"an offset out of bounds is refused", outOfBounds},
		{"bounds move with appends", boundsMove},
		{"a log that is opened again sees everything", openedAgain},
		{"two logs see each other's messages", twoLogs},
		{"a message that is too large is refused and harms no other", tooLarge},
		{"an unknown topic or partition is refused", unknownTopic},
		{"an ended context hands nothing over", endedContext},
		{"Close waits for the acknowledgements", closeFlushes},
		{"a closed log and reader refuse", closedRefuse},
		{"topics are ensured again and again", ensureAgain},
		{"a topic with other settings is refused", topicMismatch},
		{"a topic is described as it was made", described},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, open)
		})
	}
}

// patience ends a test that hangs; nothing waits for it otherwise.
const patience = time.Minute

func background(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func opened(t *testing.T, open Open) eventlog.Log {
	log := open(t)
	t.Cleanup(func() { must(t, log.Close()) })
	return log
}

// topic makes a topic that no other test uses.
func topic(t *testing.T, log eventlog.Log, partitions int) string {
	name := "logtest." + strings.ToLower(rand.Text())
	must(t, log.EnsureTopics(background(t), eventlog.Topic{Name: name, Partitions: partitions}))
	return name
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantError(t *testing.T, what string, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Errorf("%s: %v, want %v", what, err, want)
	}
}

func appended(t *testing.T, log eventlog.Log, messages ...eventlog.Message) []eventlog.Position {
	t.Helper()
	positions, err := eventlog.AppendAll(background(t), log, messages)
	must(t, err)
	return positions
}

func reading(t *testing.T, log eventlog.Log, topic string, partition int32, offset int64) eventlog.Reader {
	t.Helper()
	r, err := log.Open(background(t), topic, partition, offset)
	must(t, err)
	t.Cleanup(func() { must(t, r.Close()) })
	return r
}

// read reads n records, in as many calls as it takes.
func read(t *testing.T, r eventlog.Reader, n int) []eventlog.Record {
	t.Helper()
	ctx := background(t)
	var records []eventlog.Record
	for len(records) < n {
		more, err := r.Read(ctx, n-len(records))
		must(t, err)
		if len(more) == 0 {
			t.Fatal("Read returned neither a record nor an error")
		}
		records = append(records, more...)
	}
	return records
}

// readTopic reads all that a topic holds, partition by partition.
func readTopic(t *testing.T, log eventlog.Log, topic string) []eventlog.Record {
	t.Helper()
	partitions, err := log.Partitions(background(t), topic)
	must(t, err)
	var records []eventlog.Record
	for p := range int32(partitions) {
		first, next, err := log.Bounds(background(t), topic, p)
		must(t, err)
		records = append(records, read(t, reading(t, log, topic, p, first), int(next-first))...)
	}
	return records
}

func number(i int) []byte { return fmt.Appendf(nil, "%d", i) }

func equal(r eventlog.Record, m eventlog.Message) bool {
	return r.Topic == m.Topic && bytes.Equal(r.Key, m.Key) && bytes.Equal(r.Value, m.Value) &&
		slices.EqualFunc(r.Headers, m.Headers, func(a, b eventlog.Header) bool {
			return a.Key == b.Key && bytes.Equal(a.Value, b.Value)
		})
}

func readBack(t *testing.T, open Open) {
	log := opened(t, open)
	m := eventlog.Message{
		Topic: topic(t, log, 3), Key: []byte("客户"), Value: []byte("hello"),
		Headers: []eventlog.Header{{Key: "a", Value: []byte{0, 1}}, {Key: "a", Value: []byte("again")}, {Key: "empty"}},
	}
	before := time.Now().Truncate(time.Millisecond)
	p := appended(t, log, m)[0]
	after := time.Now()
	r := read(t, reading(t, log, p.Topic, p.Partition, p.Offset), 1)[0]
	if !equal(r, m) || r.Position != p {
		t.Errorf("read %+v, want %+v at %s", r, m, p)
	}
	if r.Time.Before(before) || r.Time.After(after) {
		t.Errorf("its time is %s, appended between %s and %s", r.Time, before, after)
	}
	if !r.Time.Equal(r.Time.Truncate(time.Millisecond)) {
		t.Errorf("its time is %s, want whole milliseconds", r.Time)
	}
}

func anyBytes(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	every := make([]byte, 256)
	for i := range every {
		every[i] = byte(i)
	}
	large := make([]byte, 1_000_000)
	_, _ = rand.Read(large)
	messages := []eventlog.Message{
		{},
		{Key: []byte("key only")},
		{Value: []byte("value only")},
		{Key: []byte{}, Value: []byte{}},
		{Key: every, Value: every, Headers: []eventlog.Header{{Key: string(every), Value: every}}},
		{Key: []byte("large"), Value: large},
		{Headers: []eventlog.Header{{}}},
	}
	for i := range messages {
		messages[i].Topic = name
	}
	appended(t, log, messages...)
	for i, r := range read(t, reading(t, log, name, 0, 0), len(messages)) {
		if !equal(r, messages[i]) {
			t.Errorf("record %d is another one: key %.20x, value %.20x, headers %.40x", i, r.Key, r.Value, r.Headers)
		}
	}
}

// The partitions are those of Kafka's Java client for 12 partitions.
func partitionOfKey(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 12)
	for key, want := range map[string]int32{"": 9, "a": 4, "default": 7, "customer1": 11, "客户": 5} {
		if p := appended(t, log, eventlog.Message{Topic: name, Key: []byte(key)})[0]; p.Partition != want {
			t.Errorf("%q was appended to partition %d, want %d", key, p.Partition, want)
		}
	}
}

func positions(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 4)
	want := make(map[eventlog.Position]string)
	for i := range 500 {
		m := eventlog.Message{Topic: name, Key: number(i % 37), Value: number(i)}
		must(t, log.Append(background(t), m, func(eventlog.Position, error) {}))
	}
	messages := make([]eventlog.Message, 500)
	for i := range messages {
		messages[i] = eventlog.Message{Topic: name, Key: number(i % 37), Value: number(500 + i)}
	}
	for i, p := range appended(t, log, messages...) {
		want[p] = string(messages[i].Value)
	}
	for _, r := range readTopic(t, log, name) {
		if v, ok := want[r.Position]; ok && v != string(r.Value) {
			t.Errorf("%s holds %s, want %s", r.Position, r.Value, v)
		}
		delete(want, r.Position)
	}
	if len(want) > 0 {
		t.Errorf("%d acknowledged positions hold nothing", len(want))
	}
}

func order(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 3)
	const keys, each = 20, 100
	var messages []eventlog.Message
	for i := range keys * each {
		messages = append(messages, eventlog.Message{Topic: name, Key: number(i % keys), Value: number(i)})
	}
	appended(t, log, messages...)
	last := make(map[string]int)
	for _, r := range readTopic(t, log, name) {
		var i int
		if _, err := fmt.Sscan(string(r.Value), &i); err != nil {
			t.Fatal(err)
		}
		if before, ok := last[string(r.Key)]; ok && i != before+keys {
			t.Fatalf("key %s: %d came after %d", r.Key, i, before)
		}
		last[string(r.Key)] = i
	}
	if len(last) != keys {
		t.Errorf("read %d keys, want %d", len(last), keys)
	}
}

func concurrentAppenders(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 5)
	const appenders, each = 16, 250
	var (
		mu   sync.Mutex
		acks = make(map[string][]eventlog.Position)
		busy sync.WaitGroup
	)
	for a := range appenders {
		busy.Go(func() {
			for i := range each {
				value := fmt.Sprintf("%d/%d", a, i)
				busy.Add(1)
				err := log.Append(background(t), eventlog.Message{Topic: name, Key: number(i), Value: []byte(value)},
					func(p eventlog.Position, err error) {
						if err != nil {
							t.Error(err)
						}
						mu.Lock()
						acks[value] = append(acks[value], p)
						mu.Unlock()
						busy.Done()
					})
				if err != nil {
					t.Error(err)
					busy.Done()
				}
			}
		})
	}
	busy.Wait()
	records := readTopic(t, log, name)
	if len(records) != appenders*each || len(acks) != appenders*each {
		t.Fatalf("%d records and %d acknowledged values, want %d", len(records), len(acks), appenders*each)
	}
	for _, r := range records {
		if got := acks[string(r.Value)]; len(got) != 1 || got[0] != r.Position {
			t.Errorf("%s at %s was acknowledged as %v", r.Value, r.Position, got)
		}
	}
}

func appendAll(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 4)
	messages := make([]eventlog.Message, 100)
	for i := range messages {
		messages[i] = eventlog.Message{Topic: name, Key: number(i), Value: number(i)}
	}
	for i, p := range appended(t, log, messages...) {
		if r := read(t, reading(t, log, name, p.Partition, p.Offset), 1)[0]; !equal(r, messages[i]) {
			t.Errorf("position %d, %s, holds %s", i, p, r.Value)
		}
	}
	if positions := appended(t, log); len(positions) != 0 {
		t.Errorf("no message gave the positions %v", positions)
	}
}

func ownership(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	key, value, header := []byte("key"), []byte("value"), []byte("header")
	done := make(chan error, 1)
	m := eventlog.Message{Topic: name, Key: key, Value: value, Headers: []eventlog.Header{{Key: "h", Value: header}}}
	must(t, log.Append(background(t), m, func(_ eventlog.Position, err error) { done <- err }))
	for _, b := range [][]byte{key, value, header} {
		clear(b)
	}
	must(t, <-done)
	for range 2 {
		r := read(t, reading(t, log, name, 0, 0), 1)[0]
		if string(r.Key) != "key" || string(r.Value) != "value" || string(r.Headers[0].Value) != "header" {
			t.Errorf("read %q, %q, %q", r.Key, r.Value, r.Headers[0].Value)
		}
		clear(r.Value)
		_ = append(r.Key, "overwrites what stands behind"...)
	}
}

func readWaits(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	r := reading(t, log, name, 0, 0)
	type outcome struct {
		records []eventlog.Record
		err     error
	}
	for i := range 3 {
		got := make(chan outcome)
		go func() {
			records, err := r.Read(background(t), 10)
			got <- outcome{records, err}
		}()
		m := eventlog.Message{Topic: name, Value: number(i)}
		appended(t, log, m)
		o := <-got
		must(t, o.err)
		if len(o.records) != 1 || !equal(o.records[0], m) {
			t.Fatalf("read %+v, want %s", o.records, m.Value)
		}
	}
}

func readAtMost(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	const n = 100
	for i := range n {
		must(t, log.Append(background(t), eventlog.Message{Topic: name, Value: number(i)}, func(eventlog.Position, error) {}))
	}
	r := reading(t, log, name, 0, 0)
	for next := int64(0); next < n; {
		records, err := r.Read(background(t), 7)
		must(t, err)
		if len(records) < 1 || len(records) > 7 {
			t.Fatalf("Read(7) returned %d records", len(records))
		}
		for _, record := range records {
			if record.Offset != next || !bytes.Equal(record.Value, number(int(next))) {
				t.Fatalf("%s at %s, want offset %d", record.Value, record.Position, next)
			}
			next++
		}
	}
}

func cancelledRead(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	r := reading(t, log, name, 0, 0)
	var got []string
	for i := range 50 {
		ctx, cancel := context.WithCancel(background(t))
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			records, err := r.Read(ctx, 2)
			if err != nil && !errors.Is(err, context.Canceled) {
				t.Error(err)
			}
			for _, record := range records {
				got = append(got, string(record.Value))
			}
		}()
		if i%2 == 0 {
			appended(t, log, eventlog.Message{Topic: name, Value: number(i)})
		}
		cancel()
		<-ended
	}
	for _, record := range read(t, r, 25-len(got)) {
		got = append(got, string(record.Value))
	}
	for i, v := range got {
		if v != string(number(2*i)) {
			t.Fatalf("read %v", got)
		}
	}
}

func startAnywhere(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	const n = 50
	messages := make([]eventlog.Message, n)
	for i := range messages {
		messages[i] = eventlog.Message{Topic: name, Value: number(i)}
	}
	appended(t, log, messages...)
	for offset := range int64(n) {
		if r := read(t, reading(t, log, name, 0, offset), 1)[0]; r.Offset != offset || !bytes.Equal(r.Value, number(int(offset))) {
			t.Errorf("reading from %d began with %s at %s", offset, r.Value, r.Position)
		}
	}
}

func outOfBounds(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	appended(t, log, eventlog.Message{Topic: name}, eventlog.Message{Topic: name})
	for _, offset := range []int64{-2, -1, math.MinInt64, 3, math.MaxInt64} {
		r, err := log.Open(background(t), name, 0, offset)
		if err == nil {
			_, err = r.Read(background(t), 1)
			must(t, r.Close())
		}
		wantError(t, fmt.Sprintf("reading from %d", offset), err, eventlog.ErrOffsetOutOfRange)
	}
	r := reading(t, log, name, 0, 2)
	appended(t, log, eventlog.Message{Topic: name, Value: []byte("next")})
	if record := read(t, r, 1)[0]; string(record.Value) != "next" {
		t.Errorf("the end gave %s", record.Value)
	}
}

func boundsMove(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	for want := range int64(3) {
		first, next, err := log.Bounds(background(t), name, 0)
		must(t, err)
		if first != 0 || next != want {
			t.Errorf("bounds are %d and %d, want 0 and %d", first, next, want)
		}
		if p := appended(t, log, eventlog.Message{Topic: name})[0]; p.Offset != want {
			t.Errorf("appended at %d, want %d", p.Offset, want)
		}
	}
}

func openedAgain(t *testing.T, open Open) {
	log := open(t)
	name := topic(t, log, 2)
	m := eventlog.Message{Topic: name, Key: []byte("k"), Value: []byte("v")}
	p := appended(t, log, m)[0]
	must(t, log.Close())
	log = opened(t, open)
	if r := read(t, reading(t, log, name, p.Partition, 0), 1)[0]; !equal(r, m) || r.Position != p {
		t.Errorf("read %+v, want %+v at %s", r, m, p)
	}
	if again := appended(t, log, m)[0]; again.Partition != p.Partition || again.Offset != p.Offset+1 {
		t.Errorf("appended at %s, after %s", again, p)
	}
}

func twoLogs(t *testing.T, open Open) {
	one, other := opened(t, open), opened(t, open)
	name := topic(t, one, 1)
	r := reading(t, other, name, 0, 0)
	for i := range 4 {
		m := eventlog.Message{Topic: name, Value: number(i)}
		appended(t, []eventlog.Log{one, other}[i%2], m)
		if got := read(t, r, 1)[0]; !equal(got, m) {
			t.Errorf("read %s, want %s", got.Value, m.Value)
		}
	}
}

func tooLarge(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	before := appended(t, log, eventlog.Message{Topic: name})[0]
	_, err := eventlog.AppendAll(background(t), log, []eventlog.Message{
		{Topic: name, Key: []byte("k"), Value: make([]byte, MaxMessageBytes)},
	})
	wantError(t, "a large value", err, eventlog.ErrTooLarge)
	_, err = eventlog.AppendAll(background(t), log, []eventlog.Message{
		{Topic: name, Headers: []eventlog.Header{{Key: "k", Value: make([]byte, MaxMessageBytes)}}},
	})
	wantError(t, "a large header", err, eventlog.ErrTooLarge)
	if after := appended(t, log, eventlog.Message{Topic: name})[0]; after.Offset != before.Offset+1 {
		t.Errorf("the next message stands at %s, after %s", after, before)
	}
}

func unknownTopic(t *testing.T, open Open) {
	log := opened(t, open)
	ctx := background(t)
	_, err := eventlog.AppendAll(ctx, log, []eventlog.Message{{Topic: "logtest.unknown"}})
	wantError(t, "appending", err, eventlog.ErrUnknownTopic)
	_, err = log.Partitions(ctx, "logtest.unknown")
	wantError(t, "counting partitions", err, eventlog.ErrUnknownTopic)
	known := topic(t, log, 2)
	for _, unknown := range []eventlog.Position{{Topic: "logtest.unknown"}, {Topic: known, Partition: 2}, {Topic: known, Partition: -1}} {
		_, _, err = log.Bounds(ctx, unknown.Topic, unknown.Partition)
		wantError(t, "bounds of "+unknown.String(), err, eventlog.ErrUnknownTopic)
		_, err = log.Open(ctx, unknown.Topic, unknown.Partition, 0)
		wantError(t, "opening "+unknown.String(), err, eventlog.ErrUnknownTopic)
	}
}

func endedContext(t *testing.T, open Open) {
	log := opened(t, open)
	name := topic(t, log, 1)
	r := reading(t, log, name, 0, 0)
	ctx, cancel := context.WithCancel(background(t))
	cancel()
	wantError(t, "appending", log.Append(ctx, eventlog.Message{Topic: name}, func(eventlog.Position, error) {
		t.Error("done was called although Append returned an error")
	}), context.Canceled)
	_, err := r.Read(ctx, 1)
	wantError(t, "reading", err, context.Canceled)
	_, next, err := log.Bounds(background(t), name, 0)
	must(t, err)
	if next != 0 {
		t.Errorf("%d messages were appended", next)
	}
}

func closeFlushes(t *testing.T, open Open) {
	log := open(t)
	name := topic(t, log, 3)
	const n = 1000
	var mu sync.Mutex
	acknowledged := 0
	for i := range n {
		must(t, log.Append(background(t), eventlog.Message{Topic: name, Key: number(i)}, func(_ eventlog.Position, err error) {
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			acknowledged++
		}))
	}
	must(t, log.Close())
	mu.Lock()
	defer mu.Unlock()
	if acknowledged != n {
		t.Errorf("%d of %d messages were acknowledged when Close returned", acknowledged, n)
	}
}

func closedRefuse(t *testing.T, open Open) {
	log := open(t)
	ctx := background(t)
	name := topic(t, log, 1)
	r := reading(t, log, name, 0, 0)
	must(t, r.Close())
	_, err := r.Read(ctx, 1)
	wantError(t, "reading from a closed reader", err, eventlog.ErrClosed)
	must(t, log.Close())
	must(t, log.Close())
	wantError(t, "appending", log.Append(ctx, eventlog.Message{Topic: name}, func(eventlog.Position, error) {
		t.Error("done was called although Append returned an error")
	}), eventlog.ErrClosed)
	wantError(t, "ensuring topics", log.EnsureTopics(ctx, eventlog.Topic{Name: name, Partitions: 1}), eventlog.ErrClosed)
	_, err = log.Partitions(ctx, name)
	wantError(t, "counting partitions", err, eventlog.ErrClosed)
	_, _, err = log.Bounds(ctx, name, 0)
	wantError(t, "asking for bounds", err, eventlog.ErrClosed)
	_, err = log.Open(ctx, name, 0, 0)
	wantError(t, "opening", err, eventlog.ErrClosed)
}

func ensureAgain(t *testing.T, open Open) {
	log, other := opened(t, open), opened(t, open)
	forever := eventlog.Topic{Name: topic(t, log, 3), Partitions: 3}
	bounded := eventlog.Topic{Name: forever.Name + ".bounded", Partitions: 1, Retention: 30 * 24 * time.Hour}
	var busy sync.WaitGroup
	for _, l := range []eventlog.Log{log, other} {
		busy.Go(func() {
			for range 2 {
				if err := l.EnsureTopics(background(t), forever, bounded); err != nil {
					t.Error(err)
				}
			}
		})
	}
	busy.Wait()
	for _, want := range []eventlog.Topic{forever, bounded} {
		n, err := other.Partitions(background(t), want.Name)
		must(t, err)
		if n != want.Partitions {
			t.Errorf("%s has %d partitions, want %d", want.Name, n, want.Partitions)
		}
	}
	must(t, log.EnsureTopics(background(t)))
}

func topicMismatch(t *testing.T, open Open) {
	log := opened(t, open)
	ctx := background(t)
	forever := eventlog.Topic{Name: topic(t, log, 3), Partitions: 3}
	bounded := eventlog.Topic{Name: forever.Name + ".bounded", Partitions: 1, Retention: time.Hour}
	must(t, log.EnsureTopics(ctx, bounded))
	for _, wrong := range []eventlog.Topic{
		{Name: forever.Name, Partitions: 2},
		{Name: forever.Name, Partitions: 4},
		{Name: bounded.Name, Partitions: 1},
		{Name: bounded.Name, Partitions: 1, Retention: 2 * time.Hour},
	} {
		err := log.EnsureTopics(ctx, wrong)
		wantError(t, fmt.Sprintf("ensuring %+v", wrong), err, eventlog.ErrTopicMismatch)
		if err != nil && !strings.Contains(err.Error(), wrong.Name) {
			t.Errorf("the error does not name the topic %s: %v", wrong.Name, err)
		}
	}
	must(t, log.EnsureTopics(ctx,
		eventlog.Topic{Name: forever.Name, Partitions: 3, Retention: time.Hour},
		eventlog.Topic{Name: bounded.Name, Partitions: 1, Retention: time.Minute},
	))
}

func described(t *testing.T, open Open) {
	log := opened(t, open)
	ctx := background(t)
	for _, want := range []eventlog.Topic{
		{Name: topic(t, log, 2), Partitions: 2},
		{Name: "logtest." + strings.ToLower(rand.Text()), Partitions: 1, Retention: 48 * time.Hour},
		{Name: "logtest." + strings.ToLower(rand.Text()), Partitions: 1, Retention: time.Minute},
	} {
		must(t, log.EnsureTopics(ctx, want))
		d, err := log.Describe(ctx, want.Name)
		must(t, err)
		if d.Topic != want.Name || d.Retention != want.Retention || d.Replicas < 1 || len(d.Lagging) > 0 {
			t.Errorf("%+v is described as %+v", want, d)
		}
	}
	_, err := log.Describe(ctx, "logtest.unknown")
	wantError(t, "describing", err, eventlog.ErrUnknownTopic)
}
