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

// ChangedShare is that an agent's assignment became another, or is not there any more.
type ChangedShare struct {
	// Agent whose it is or was, by the connector's id, of which the first 255 bytes count.
	Agent string
	// Begin is when it begins or did, in nanoseconds since 1970. What it changes lies at that moment or later.
	Begin int64
}

// Timer is what the clock has to do for an interaction.
type Timer struct {
	Tenant      string
	Thread      event.ID
	Interaction event.ID
	// Name is snooze, idle, wrapup, sla.first_response, sla.next_response or sla.resolution.
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
	prefix := workPrefix(tenant, queue, agent)
	err := v.each(ctx, tenant, kv.Prefix(prefix), len(prefix), func(i *conversationv1.Interaction) bool {
		if queue != "" && i.GetQueue() != queue || agent != "" && i.GetAgent() != agent {
			return true
		}
		return yield(i)
	})
	return wrap("read the work", err)
}

// work yields the briefs of what is not settled, like Work, but for names that are too long: of those, others come as well. A brief is good until
// yield returns.
func (v *View) work(ctx context.Context, tenant, queue, agent string, yield func(spot, *story.Brief) bool) error {
	prefix := workPrefix(tenant, queue, agent)
	var brief story.Brief
	err := v.spots(ctx, kv.Prefix(prefix), len(prefix), func(s spot, value []byte) (bool, error) {
		if err := brief.Decode(value); err != nil {
			return false, err
		}
		return yield(s, &brief), nil
	})
	return wrap("read the work", err)
}

func workPrefix(tenant, queue, agent string) []byte {
	switch {
	case agent != "":
		return appendNamed(nil, tenant, subAgent, agent)
	case queue != "":
		return appendNamed(nil, tenant, subQueue, queue)
	}
	return appendTenant(nil, tenant, subWork)
}

// Settled yields the interactions that are resolved or closed, the latest first.
func (v *View) Settled(ctx context.Context, tenant string, yield func(*conversationv1.Interaction) bool) error {
	r, behind := settledRange(tenant)
	return wrap("read what is settled", v.each(ctx, tenant, r, behind, yield))
}

// settled yields the briefs of what Settled yields. A brief is good until yield returns.
func (v *View) settled(ctx context.Context, tenant string, yield func(spot, *story.Brief) bool) error {
	r, behind := settledRange(tenant)
	return wrap("read what is settled", v.eachStored(ctx, tenant, r, behind, func(t *stored, i *story.Interaction) bool {
		brief := i.Brief()
		return yield(spot{t.thread, i.Start}, &brief)
	}))
}

// whole reads the interactions of some places, in their order.
func (v *View) whole(ctx context.Context, tenant string, spots []spot) ([]*conversationv1.Interaction, error) {
	all := make([]*conversationv1.Interaction, 0, len(spots))
	for some := range slices.Chunk(spots, readTogether) {
		err := v.read(ctx, tenant, some, func(t *stored, i *story.Interaction) (bool, error) {
			all = append(all, t.proto(i))
			return true, nil
		})
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// settledRange is where the keys of what is settled are, and how many bytes of each are in front of its place.
func settledRange(tenant string) (r kv.Range, behind int) {
	prefix := appendTenant(nil, tenant, subSettled)
	return kv.Prefix(prefix), len(prefix) + 8
}

// readTogether is how many interactions are read at once: a store may be a round trip away.
const readTogether = 256

// spot is where an interaction stands.
type spot struct {
	thread event.ID
	start  story.Moment
}

// each yields the interactions that the keys of a range name behind so many bytes.
func (v *View) each(ctx context.Context, tenant string, r kv.Range, behind int, yield func(*conversationv1.Interaction) bool) error {
	return v.eachStored(ctx, tenant, r, behind, func(t *stored, i *story.Interaction) bool { return yield(t.proto(i)) })
}

// eachStored is each, of what is stored.
func (v *View) eachStored(ctx context.Context, tenant string, r kv.Range, behind int, yield func(*stored, *story.Interaction) bool) error {
	var spots []spot
	stopped := false
	read := func() error {
		err := v.read(ctx, tenant, spots, func(t *stored, i *story.Interaction) (bool, error) {
			stopped = !yield(t, i)
			return !stopped, nil
		})
		spots = spots[:0]
		return err
	}
	err := v.spots(ctx, r, behind, func(s spot, _ []byte) (bool, error) {
		if spots = append(spots, s); len(spots) < readTogether {
			return true, nil
		}
		err := read()
		return !stopped, err
	})
	if err != nil || stopped {
		return err
	}
	return read()
}

// spots yields the keys of a range that name interactions behind so many bytes, with their values, until it returns false or an error.
func (v *View) spots(ctx context.Context, r kv.Range, behind int, yield func(s spot, value []byte) (bool, error)) error {
	return v.scan(ctx, r, func(key, value []byte) (bool, error) {
		if len(key) != behind+placeSize {
			return false, errDamaged
		}
		thread, start, err := decodePlace(key)
		if err != nil {
			return false, err
		}
		return yield(spot{thread, start}, value)
	})
}

// read yields the interactions of some places, in their order, until it returns false or an error.
func (v *View) read(ctx context.Context, tenant string, spots []spot, yield func(*stored, *story.Interaction) (bool, error)) error {
	if len(spots) == 0 {
		return nil
	}
	keys := make([][]byte, 0, 2*len(spots)) // head and interaction, in turn
	for _, s := range spots {
		keys = append(keys, appendThread(nil, tenant, subHead, s.thread), appendMoment(nil, tenant, subRow, s.thread, s.start))
	}
	values, err := v.snap.GetMany(ctx, keys)
	if err != nil {
		return err
	}
	for n, s := range spots {
		head, row := values[2*n], values[2*n+1]
		if head == nil || row == nil {
			return errDamaged
		}
		t := &stored{v: v, tenant: tenant, thread: s.thread}
		if t.head, err = decodeHead(head); err != nil {
			return err
		}
		i, err := story.DecodeInteraction(row)
		if err != nil {
			return err
		}
		if more, err := yield(t, i); err != nil || !more {
			return err
		}
	}
	return nil
}

// Changes yields what the records of a partition from one offset to before another have changed.
func (v *View) Changes(ctx context.Context, partition int32, from, until int64, yield func(offset int64, c Change) error) error {
	r := kv.Range{Start: appendChange(nil, partition, max(from, 0)), End: appendChange(nil, partition, max(until, 0))}
	var told error
	err := v.scan(ctx, r, func(key, value []byte) (bool, error) {
		offset, c, _, err := decodeChange(key, value)
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

// ShareChanges yields whose assignments the records of a partition from one offset to before another have changed, until yield fails: of the
// assignments of one agent that a record has changed, the first.
func (v *View) ShareChanges(ctx context.Context, partition int32, from, until int64, yield func(tenant string, s ChangedShare) error) error {
	r := kv.Range{Start: appendChange(nil, partition, max(from, 0)), End: appendChange(nil, partition, max(until, 0))}
	var told error
	err := v.scan(ctx, r, func(key, value []byte) (bool, error) {
		_, c, shares, err := decodeChange(key, value)
		for n := 0; err == nil && told == nil && n < len(shares); n++ {
			told = yield(c.Tenant, shares[n])
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
