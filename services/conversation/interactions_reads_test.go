package conversation_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/conversation/story"
)

// said is an event of a thread at a second.
func said(t rapid.TB, thread, id, typ string, second int, content *eventv1.Content) *eventv1.Event {
	t.Helper()
	e := &eventv1.Event{
		Id: hashed(id).String(), Tenant: lawTenant, Type: typ, ThreadId: hashed(thread).String(), Inbox: "web", Channel: eventv1.Channel_CHANNEL_WEB_CHAT,
		OccurredAt: timestamppb.New(lawEpoch.Add(time.Duration(second) * time.Second)), ReceivedAt: timestamppb.New(lawEpoch.Add(time.Hour)),
	}
	if content != nil {
		var err error
		if e.Content, err = proto.Marshal(content); err != nil {
			t.Fatal(err)
		}
	}
	return e
}

func folded(t rapid.TB, events ...*eventv1.Event) *conversation.View {
	t.Helper()
	j := newJournal(t)
	j.append(events...)
	store := memkv.New()
	j.fold(store, conversation.NewFold(lawPartitions, nil), 0, allBatches)
	return viewOf(t, store)
}

func TestAnIdStaysValidWhenALateEventGivesAnother(t *testing.T) {
	v := folded(t, said(t, "t", "second", event.TypeMessageReceived, 5, nil), said(t, "t", "first", event.TypeMessageReceived, 0, nil))
	defer func() { _ = v.Close() }()
	for _, id := range []string{"first", "second"} {
		i, found, err := v.Find(t.Context(), lawTenant, hashed(id))
		if err != nil || !found || i.GetId() != hashed("first").String() || i.GetMessagesIn() != 2 {
			t.Error(i, found, err)
		}
	}
	if i, found, err := v.Find(t.Context(), lawTenant, hashed("another")); err != nil || found {
		t.Error(i, found, err)
	}
	if i, found, err := v.Find(t.Context(), "another", hashed("first")); err != nil || found {
		t.Error(i, found, err)
	}
}

func TestTheProvidersNameBecomesTheIdAndTheFormerOneStaysValid(t *testing.T) {
	named := said(t, "t", "2", event.TypeMessageReceived, 5, nil)
	named.InteractionId = hashed("p").String()
	v := folded(t, said(t, "t", "1", event.TypeMessageReceived, 0, nil), named)
	defer func() { _ = v.Close() }()
	for _, id := range []string{"1", "p"} {
		i, found, err := v.Find(t.Context(), lawTenant, hashed(id))
		if err != nil || !found || i.GetId() != hashed("p").String() {
			t.Error(i, found, err)
		}
	}
}

func TestEveryMomentOfAThreadBelongsToOneStretch(t *testing.T) {
	end := &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{}}}
	v := folded(t, said(t, "t", "1", event.TypeMessageReceived, 10, nil), said(t, "t", "2", event.TypeInteractionEnded, 20, end),
		said(t, "t", "3", event.TypeMessageReceived, 30, nil), said(t, "t", "4", event.TypeInteractionEnded, 40, end), said(t, "t", "5", event.TypeMessageReceived, 50, nil))
	defer func() { _ = v.Close() }()
	second := func(s int) int64 { return lawEpoch.Add(time.Duration(s) * time.Second).UnixNano() }
	from := int64(math.MinInt64)
	for n, id := range []string{"1", "3", "5"} {
		span, found, err := v.Stretch(t.Context(), lawTenant, hashed(id))
		if err != nil || !found || span.From != from || span.ID != hashed("t") {
			t.Fatal(span, found, err)
		}
		if from = span.Until; n < 2 && from != second(30+20*n) {
			t.Error(span)
		}
	}
	if from != math.MaxInt64 {
		t.Error(from)
	}
	for s, want := range map[int]string{0: "1", 10: "1", 29: "1", 30: "3", 49: "3", 50: "5", 99: "5"} {
		i, found, err := v.At(t.Context(), lawTenant, hashed("t"), second(s))
		if err != nil || !found || i.GetId() != hashed(want).String() {
			t.Error(s, i, found, err)
		}
	}
	if _, found, err := v.At(t.Context(), lawTenant, hashed("another"), 0); found || err != nil {
		t.Error(found, err)
	}
	if _, found, err := v.Stretch(t.Context(), lawTenant, hashed("another")); found || err != nil {
		t.Error(found, err)
	}
	if all, err := v.Thread(t.Context(), lawTenant, hashed("another")); all != nil || err != nil {
		t.Error(all, err)
	}
}

func TestChangesTellWhichRecordsChangedAnything(t *testing.T) {
	events := []*eventv1.Event{
		said(t, "t", "1", event.TypeMessageReceived, 0, nil), said(t, "t", "2", event.TypeMessageDelivered, 1, nil),
		said(t, "t", "1", event.TypeMessageReceived, 0, nil), said(t, "t", "3", event.TypeNoteAdded, 2, nil), said(t, "t", "4", event.TypeTimerFired, 3, nil),
	}
	v := folded(t, events...)
	defer func() { _ = v.Close() }()
	partition := eventlog.Partition([]byte(events[0].GetThreadId()), lawPartitions)
	changes := func(from, until int64) (offsets []int64) {
		err := v.Changes(t.Context(), partition, from, until, func(offset int64, c conversation.Change) error {
			if c != (conversation.Change{Tenant: lawTenant, Thread: hashed("t")}) {
				t.Error(c)
			}
			offsets = append(offsets, offset)
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return offsets
	}
	if got := changes(0, 100); !slices.Equal(got, []int64{0, 3}) {
		t.Error(got)
	}
	if got := changes(1, 3); len(got) != 0 {
		t.Error(got)
	}
	stop := errors.New("enough")
	if err := v.Changes(t.Context(), partition, 0, 100, func(int64, conversation.Change) error { return stop }); !errors.Is(err, stop) {
		t.Error(err)
	}
}

func TestTheClockIsToldWhatIsDueAndWhenTheNextIs(t *testing.T) {
	snooze := func(second int) *eventv1.Content {
		return &eventv1.Content{Body: &eventv1.Content_InteractionStatusChanged{InteractionStatusChanged: &eventv1.InteractionStatusChanged{
			Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED, SnoozedUntil: timestamppb.New(lawEpoch.Add(time.Duration(second) * time.Second)),
		}}}
	}
	var events []*eventv1.Event
	for n, due := range []int{300, 100, 200} {
		thread := fmt.Sprint("t", n)
		events = append(events, said(t, thread, thread+"1", event.TypeMessageReceived, 0, nil), said(t, thread, thread+"2", event.TypeInteractionStatusChanged, 1, snooze(due)))
	}
	v := folded(t, events...)
	defer func() { _ = v.Close() }()
	due := func(by, most int) (names []string, next time.Time) {
		next, err := v.Due(t.Context(), lawEpoch.Add(time.Duration(by)*time.Second), func(timer conversation.Timer) bool {
			if timer.Name != "snooze" || timer.Tenant != lawTenant || timer.Interaction == (event.ID{}) || timer.Thread == (event.ID{}) {
				t.Error(timer)
			}
			names = append(names, timer.DueAt.Sub(lawEpoch).String())
			return len(names) < most
		})
		if err != nil {
			t.Fatal(err)
		}
		return names, next
	}
	for _, c := range []struct {
		by, most int
		names    []string
		next     int
	}{
		{50, 9, nil, 100},
		{100, 9, []string{"1m40s"}, 200},
		{250, 9, []string{"1m40s", "3m20s"}, 300},
		{250, 1, []string{"1m40s"}, 200},
		{999, 9, []string{"1m40s", "3m20s", "5m0s"}, 0},
	} {
		names, next := due(c.by, c.most)
		want := lawEpoch.Add(time.Duration(c.next) * time.Second)
		if c.next == 0 {
			want = time.Time{}
		}
		if !slices.Equal(names, c.names) || !next.Equal(want) {
			t.Errorf("by %d: %v, next %s", c.by, names, next)
		}
	}
}

func TestWhatIsSettledComesLatestFirst(t *testing.T) {
	var events []*eventv1.Event
	for n, second := range []int{20, 30, 10} {
		thread := fmt.Sprint("t", n)
		events = append(events, said(t, thread, thread+"1", event.TypeMessageReceived, 0, nil), said(t, thread, thread+"2", event.TypeInteractionResolved, second, nil))
	}
	v := folded(t, events...)
	defer func() { _ = v.Close() }()
	var got []int
	read := func(most int) {
		got = nil
		err := v.Settled(t.Context(), lawTenant, func(i *conversationv1.Interaction) bool {
			got = append(got, int(i.GetResolvedAt().AsTime().Sub(lawEpoch)/time.Second))
			return len(got) < most
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if read(9); !slices.Equal(got, []int{30, 20, 10}) {
		t.Error(got)
	}
	if read(1); !slices.Equal(got, []int{30}) {
		t.Error(got)
	}
}

func TestWhatAnInteractionContinuesIsTheThreadOfTheProvidersId(t *testing.T) {
	keyring, err := event.NewKeyring(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	started := &eventv1.Content{NativeThread: "this call", Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{Continues: "that call"}}}
	j := newJournal(t)
	sealed := said(t, "t", "0", event.TypeMessageReceived, 0, nil)
	sealed.Seal, sealed.Content = "key", []byte("nothing that can be read")
	j.append(sealed, said(t, "t", "1", event.TypeInteractionStarted, 0, started))
	store := memkv.New()
	j.fold(store, conversation.NewFold(lawPartitions, keyring), 0, allBatches)
	v := viewOf(t, store)
	defer func() { _ = v.Close() }()
	i, found, err := v.Find(t.Context(), lawTenant, hashed("0"))
	if err != nil || !found || i.GetContinues() != keyring.Tenant(lawTenant).Thread("web", "that call").String() || i.GetNativeThread() != "this call" {
		t.Error(i, found, err)
	}
	if at := i.GetPosition(); at.GetTopic() != event.TopicInteractions || at.GetOffset() != 1 ||
		at.GetPartition() != eventlog.Partition([]byte(i.GetThreadId()), lawPartitions) {
		t.Error(at)
	}
}

// What is broken is told by the timeline; here it is passed over.
func TestRecordsThatAreNoEventsChangeNothing(t *testing.T) {
	good := said(t, "t", "1", event.TypeMessageReceived, 0, nil)
	for name, spoil := range map[string]func(*eventv1.Event){
		"no tenant": func(e *eventv1.Event) { e.Tenant = "" }, "no id": func(e *eventv1.Event) { e.Id = "" },
		"a long tenant": func(e *eventv1.Event) { e.Tenant = string(make([]byte, 64)) },
		"a far year":    func(e *eventv1.Event) { e.OccurredAt = timestamppb.New(time.Date(9000, 1, 1, 0, 0, 0, 0, time.UTC)) },
		"no type":       func(e *eventv1.Event) { e.Type = "" },
	} {
		e := proto.CloneOf(good)
		spoil(e)
		v := folded(t, e)
		if i, found, err := v.Find(t.Context(), lawTenant, hashed("1")); found || err != nil {
			t.Error(name, i, err)
		}
		_ = v.Close()
	}
	value, err := event.Encode(good)
	if err != nil {
		t.Fatal(err)
	}
	for name, r := range map[string]eventlog.Record{
		"garbage":           {Key: []byte(good.GetThreadId()), Value: []byte("no event")},
		"another key":       {Key: []byte("another"), Value: value},
		"another partition": {Key: []byte(good.GetThreadId()), Value: value, Position: eventlog.Position{Partition: 1 - eventlog.Partition([]byte(good.GetThreadId()), lawPartitions)}},
	} {
		if _, ok := conversation.NewFold(lawPartitions, nil).FactOf(r); ok {
			t.Error(name)
		}
	}
}

// distant is a store each of whose reads is a round trip, or so it says.
type distant struct{ kv.Store }

func (s distant) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	snap, err := s.Store.Snapshot(ctx, ns)
	return distantSnapshot{snap}, err
}

type distantSnapshot struct{ kv.Snapshot }

func (distantSnapshot) Distant() bool { return true }

func TestReadingAheadChangesNoInteraction(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		j := newJournal(rt)
		j.append(anyEvents(rt, rapid.IntRange(1, 60).Draw(rt, "events"))...)
		near, far := memkv.New(), memkv.New()
		j.fold(near, conversation.NewFold(lawPartitions, nil).WithMemory(0), 0, allBatches)
		j.fold(distant{far}, conversation.NewFold(lawPartitions, nil).WithMemory(rapid.SampledFrom([]int{0, 3000}).Draw(rt, "memory")),
			rapid.IntRange(1, 20).Draw(rt, "batch"), allBatches)
		if got, want := stateOf(rt, far), stateOf(rt, near); got != want {
			rt.Errorf("%s; want %s", got, want)
		}
	})
}

// alone is a fold without its memory: record by record.
type alone struct{ fold *conversation.Fold }

func (a alone) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	return a.fold.Apply(ctx, tx, r)
}

func TestAFoldNeedsNoMemory(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		j := newJournal(rt)
		j.append(anyEvents(rt, 30)...)
		want, got := memkv.New(), memkv.New()
		j.fold(want, conversation.NewFold(lawPartitions, nil), 0, allBatches)
		r, err := projection.NewRunner(context.Background(), projection.Config{
			Log: j.log, Store: got, Namespace: lawNamespace, Topic: event.TopicInteractions, Fold: alone{conversation.NewFold(lawPartitions, nil)},
		})
		if err != nil {
			rt.Fatal(err)
		}
		defer r.Close()
		if err := r.RunToEnd(context.Background()); err != nil {
			rt.Fatal(err)
		}
		if got, want := stateOf(rt, got), stateOf(rt, want); got != want {
			rt.Errorf("%s; want %s", got, want)
		}
	})
}

// A message is read without decoding all of it, with the same result.
func FuzzMessages(f *testing.F) {
	for _, c := range []*eventv1.Content{
		{NativeThread: "t", Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Subject: "s", AutoReply: true}}},
		{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: "s", Bulk: true}}},
		{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Bounce: &eventv1.Bounce{}}}},
	} {
		b, err := proto.Marshal(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, content []byte) {
		e := said(t, "t", "1", event.TypeMessageReceived, 0, nil)
		e.Content = content
		value, err := event.Encode(e)
		if err != nil {
			t.Fatal(err)
		}
		key := []byte(e.GetThreadId())
		fact, ok := conversation.NewFold(lawPartitions, nil).FactOf(eventlog.Record{
			Key: key, Value: value, Position: eventlog.Position{Partition: eventlog.Partition(key, lawPartitions)},
		})
		if !ok || fact.Kind != story.Received {
			t.Fatal(fact)
		}
		decoded := &eventv1.Content{}
		if proto.Unmarshal(content, decoded) != nil {
			return
		}
		canonical, err := proto.MarshalOptions{Deterministic: true}.Marshal(decoded)
		if err != nil || !bytes.Equal(canonical, content) {
			return // a field that is there twice, which nobody writes
		}
		m := decoded.GetMessageReceived()
		if decoded.GetBody() == nil || m == nil {
			return
		}
		if fact.Machine != (m.GetAutoReply() || m.GetBulk() || m.GetBounce() != nil) || fact.Subject != event.Clip(m.GetSubject(), 1024) {
			t.Errorf("%+v of %v", fact, m)
		}
	})
}
