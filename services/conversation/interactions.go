package conversation

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

// Slice is the name of the read model of interactions.
const Slice = "interactions"

// Interactions reads the read model of interactions. It is safe for concurrent use.
type Interactions struct {
	store      kv.Store
	partitions int
	progress   *projection.Progress
}

// NewInteractions reads from a store that is folded from a topic with so many partitions; progress, which may be nil, tells of what is
// applied.
func NewInteractions(store kv.Store, partitions int, progress *projection.Progress) *Interactions {
	return &Interactions{store: store, partitions: partitions, progress: progress}
}

// View is the read model at one moment. Close it.
type View struct {
	snap       kv.Snapshot
	partitions int
	Namespace  kv.Namespace
}

// Change is that a record changed interactions of a thread.
type Change struct {
	Tenant string
	Thread event.ID
}

// Timer is what the clock has to do for an interaction.
type Timer struct {
	Tenant      string
	Thread      event.ID
	Interaction event.ID
	// Name is snooze, idle, sla.first_response, sla.next_response or sla.resolution.
	Name    string
	DueAt   time.Time
	ArmedBy event.ID
}

// View gives the read model that serves as it is now.
func (x *Interactions) View(ctx context.Context) (*View, error) {
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, fmt.Errorf("conversation: view: %w", err)
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("conversation: view: %w", err)
	}
	return x.Of(snap, ns), nil
}

// Of reads a view of a snapshot, such as that of a projection.Pass.
func (x *Interactions) Of(snap kv.Snapshot, ns kv.Namespace) *View {
	return &View{snap: snap, partitions: x.partitions, Namespace: ns}
}

// Close lets go of it.
func (v *View) Close() error { return v.snap.Close() }

// Find gives an interaction by any id that it ever had.
func (v *View) Find(ctx context.Context, tenant string, id event.ID) (*conversationv1.Interaction, bool, error) {
	t, i, err := v.find(ctx, tenant, id)
	if i == nil || err != nil {
		return nil, false, wrap("find an interaction", err)
	}
	return t.proto(i), true, nil
}

// find is Find, and the thread of it; nil where there is none.
func (v *View) find(ctx context.Context, tenant string, id event.ID) (*stored, *story.Interaction, error) {
	var (
		thread event.ID
		at     story.Moment
		found  bool
	)
	prefix := appendThread(nil, tenant, subID, id)
	err := v.scan(ctx, kv.Prefix(prefix), func(key, value []byte) (bool, error) {
		if len(key) != len(prefix)+idSize {
			return false, errDamaged
		}
		var err error
		thread, found = event.ID(key[len(prefix):]), true
		at, err = story.DecodeMoment(value)
		return false, err
	})
	if err != nil || !found {
		return nil, nil, err
	}
	t, err := v.stored(ctx, tenant, thread)
	if t == nil || err != nil {
		return nil, nil, err
	}
	i, err := t.at(ctx, at)
	return t, i, err
}

// stored is what is written of a thread.
type stored struct {
	v      *View
	tenant string
	thread event.ID
	head   head
}

// stored reads the head of a thread; nil where there is none.
func (v *View) stored(ctx context.Context, tenant string, thread event.ID) (*stored, error) {
	value, found, err := v.snap.Get(ctx, appendThread(nil, tenant, subHead, thread))
	if err != nil || !found {
		return nil, err
	}
	t := &stored{v: v, tenant: tenant, thread: thread}
	t.head, err = decodeHead(value)
	return t, err
}

// get reads the interaction that begins at a moment; nil where there is none.
func (t *stored) get(ctx context.Context, start story.Moment) (*story.Interaction, error) {
	row, found, err := t.v.snap.Get(ctx, appendMoment(nil, t.tenant, subRow, t.thread, start))
	if err != nil || !found {
		return nil, err
	}
	return story.DecodeInteraction(row)
}

// at reads the last interaction that began by a moment, else the first; nil where none has begun.
func (t *stored) at(ctx context.Context, m story.Moment) (i *story.Interaction, err error) {
	if t.head.begun == 0 {
		return nil, nil
	}
	if !m.Before(t.head.start) {
		return t.get(ctx, t.head.start)
	}
	prefix := appendThread(nil, t.tenant, subRow, t.thread)
	read := func(_, row []byte) (bool, error) {
		i, err = story.DecodeInteraction(row)
		return false, err
	}
	until := append(appendMoment(nil, t.tenant, subRow, t.thread, m), 0)
	if err := t.v.scan(ctx, kv.Range{Start: prefix, End: until, Reverse: true}, read); i != nil || err != nil {
		return i, err
	}
	err = t.v.scan(ctx, kv.Prefix(prefix), read)
	return i, err
}

func (t *stored) proto(i *story.Interaction) *conversationv1.Interaction {
	out := i.Proto()
	out.ThreadId, out.NativeThread = t.thread.String(), t.head.native
	out.Position = &eventv1.Position{
		Topic: event.TopicInteractions, Partition: eventlog.Partition([]byte(out.GetThreadId()), t.v.partitions), Offset: t.head.offset,
	}
	return out
}

// Thread gives the interactions of a thread in order of their begin.
func (v *View) Thread(ctx context.Context, tenant string, thread event.ID) ([]*conversationv1.Interaction, error) {
	t, err := v.stored(ctx, tenant, thread)
	if t == nil || err != nil {
		return nil, wrap("read a thread", err)
	}
	var all []*conversationv1.Interaction
	err = v.scan(ctx, kv.Prefix(appendThread(nil, tenant, subRow, thread)), func(_, row []byte) (bool, error) {
		i, err := story.DecodeInteraction(row)
		if err != nil {
			return false, err
		}
		all = append(all, t.proto(i))
		return true, nil
	})
	return all, wrap("read a thread", err)
}

// At gives the interaction of a thread to which an event of a moment belongs (nanoseconds since 1970); of several, the last that began
// by then. What comes before the first one belongs to it.
func (v *View) At(ctx context.Context, tenant string, thread event.ID, nanos int64) (*conversationv1.Interaction, bool, error) {
	t, err := v.stored(ctx, tenant, thread)
	if t == nil || err != nil {
		return nil, false, wrap("find the interaction of a moment", err)
	}
	i, err := t.at(ctx, story.Moment{Occurred: nanos, Received: math.MaxInt64, Offset: math.MaxInt64})
	if i == nil || err != nil {
		return nil, false, wrap("find the interaction of a moment", err)
	}
	return t.proto(i), true, nil
}

// Stretch is the part of its thread that an interaction takes: until the next one begins. That of the first one takes what comes before it.
func (v *View) Stretch(ctx context.Context, tenant string, id event.ID) (scope.Span, bool, error) {
	t, i, err := v.find(ctx, tenant, id)
	if i == nil || err != nil {
		return scope.Span{}, false, wrap("find a stretch", err)
	}
	span := scope.Span{ID: t.thread, Range: scope.Range{From: i.Start.Occurred, Until: math.MaxInt64}}
	if t.head.begun == 1 {
		span.From = math.MinInt64
		return span, true, nil
	}
	prefix := appendThread(nil, tenant, subRow, t.thread)
	start := i.Start.Append(append([]byte(nil), prefix...))
	isFirst := true
	err = v.scan(ctx, kv.Range{Start: prefix, End: start}, func(_, _ []byte) (bool, error) {
		isFirst = false
		return false, nil
	})
	if err != nil {
		return scope.Span{}, false, wrap("find a stretch", err)
	}
	if isFirst {
		span.From = math.MinInt64
	}
	r := kv.Prefix(prefix)
	r.Start = append(slices.Clone(start), 0)
	err = v.scan(ctx, r, func(key, _ []byte) (bool, error) {
		next, err := story.DecodeMoment(key[len(prefix):])
		span.Until = next.Occurred
		return false, err
	})
	return span, err == nil, wrap("find a stretch", err)
}

// Work yields the interactions that are not settled: of one queue or one agent, where those are named, else all.
func (v *View) Work(ctx context.Context, tenant, queue, agent string, yield func(*conversationv1.Interaction) bool) error {
	prefix := appendTenant(nil, tenant, subWork)
	switch {
	case agent != "":
		prefix = workPrefix(tenant, subAgent, agent)
	case queue != "":
		prefix = workPrefix(tenant, subQueue, queue)
	}
	err := v.each(ctx, tenant, kv.Prefix(prefix), len(prefix), func(i *conversationv1.Interaction) bool {
		if queue != "" && i.GetQueue() != queue || agent != "" && i.GetAgent() != agent {
			return true
		}
		return yield(i)
	})
	return wrap("read the work", err)
}

// Settled yields the interactions that are resolved or closed, the latest first.
func (v *View) Settled(ctx context.Context, tenant string, yield func(*conversationv1.Interaction) bool) error {
	prefix := appendTenant(nil, tenant, subSettled)
	return wrap("read what is settled", v.each(ctx, tenant, kv.Prefix(prefix), len(prefix)+8, yield))
}

// readTogether is how many interactions are read at once: a store may be a round trip away.
const readTogether = 256

// each yields the interactions that the keys of a range name behind so many bytes.
func (v *View) each(ctx context.Context, tenant string, r kv.Range, behind int, yield func(*conversationv1.Interaction) bool) error {
	var threads []event.ID
	var rows [][]byte // head and interaction, in turn
	read := func() (more bool, err error) {
		values, err := v.snap.GetMany(ctx, rows)
		if err != nil {
			return false, err
		}
		for n, thread := range threads {
			head, row := values[2*n], values[2*n+1]
			if head == nil || row == nil {
				return false, errDamaged
			}
			t := &stored{v: v, tenant: tenant, thread: thread}
			if t.head, err = decodeHead(head); err != nil {
				return false, err
			}
			i, err := story.DecodeInteraction(row)
			if err != nil {
				return false, err
			}
			if !yield(t.proto(i)) {
				return false, nil
			}
		}
		threads, rows = threads[:0], rows[:0]
		return true, nil
	}
	stopped := false
	err := v.scan(ctx, r, func(key, _ []byte) (bool, error) {
		if len(key) != behind+placeSize {
			return false, errDamaged
		}
		thread, start, err := decodePlace(key)
		if err != nil {
			return false, err
		}
		threads = append(threads, thread)
		rows = append(rows, appendThread(nil, tenant, subHead, thread), appendMoment(nil, tenant, subRow, thread, start))
		if len(threads) < readTogether {
			return true, nil
		}
		more, err := read()
		stopped = !more
		return more, err
	})
	if err != nil || stopped {
		return err
	}
	_, err = read()
	return err
}

// Changes yields what the records of a partition from one offset to before another have changed.
func (v *View) Changes(ctx context.Context, partition int32, from, until int64, yield func(offset int64, c Change) error) error {
	r := kv.Range{Start: appendChange(nil, partition, max(from, 0)), End: appendChange(nil, partition, max(until, 0))}
	var told error
	err := v.scan(ctx, r, func(key, value []byte) (bool, error) {
		offset, c, err := decodeChange(key, value)
		if err == nil {
			told = yield(offset, c)
		}
		return told == nil, err
	})
	if told != nil {
		return told
	}
	return wrap("read the changes", err)
}

// Due yields the timers that are due by a moment, the longest due first, of all tenants, until it returns false; next is when the first
// of the others is due, zero where there is none.
func (v *View) Due(ctx context.Context, by time.Time, yield func(Timer) bool) (next time.Time, err error) {
	r := kv.Prefix([]byte{spaceTimers})
	stopped := false
	err = v.scan(ctx, r, func(key, value []byte) (bool, error) {
		due, t, err := decodeTimer(key, value)
		if err != nil {
			return false, err
		}
		t.DueAt = time.Unix(0, due).UTC()
		if stopped || t.DueAt.After(by) {
			next = t.DueAt
			return false, nil
		}
		stopped = !yield(t)
		return true, nil
	})
	return next, wrap("read the timers", err)
}

// scan yields the keys of a range until it returns false or an error.
func (v *View) scan(ctx context.Context, r kv.Range, yield func(key, value []byte) (bool, error)) error {
	it, err := v.snap.Scan(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }() // nothing is written through an iterator
	for it.Next() {
		more, err := yield(it.Key(), it.Value())
		if err != nil || !more {
			return err
		}
	}
	return it.Err()
}
