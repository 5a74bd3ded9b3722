package conversation

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/conversation/story"
)

// Changes older than changeWindow records of their partition are dropped, every trimEvery records: a pure function of
// the offset, so that every replay drops the same.
const (
	changeWindow = 1 << 20
	trimEvery    = 1 << 12
)

// Fold makes interactions of events. What it writes is a function of the events of each thread, sorted by their moments: an event that comes
// in order costs one step; one that comes late, the steps from the last checkpoint before it.
type Fold struct {
	partitions int
	keyring    *event.Keyring
	memory     int
}

// NewFold makes the fold for a topic with so many partitions. The keyring hashes the ids of interactions that others continue.
func NewFold(partitions int, keyring *event.Keyring) *Fold {
	return &Fold{partitions: partitions, keyring: keyring, memory: DefaultMemory}
}

// WithMemory gives a fold that remembers about so many bytes of each partition; 0 for nothing. What it writes is the same.
func (f *Fold) WithMemory(size int) *Fold {
	return &Fold{partitions: f.partitions, keyring: f.keyring, memory: size}
}

// Apply folds one record, remembering nothing.
func (f *Fold) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	return f.WithMemory(0).Begin().Apply(ctx, tx, r)
}

// Begin gives the fold of one partition, which remembers the threads of late.
func (f *Fold) Begin() projection.Fold { return &owned{fold: f, memory: newMemory(f.memory)} }

// owned is the fold of one partition.
type owned struct {
	fold       *Fold
	memory     memory
	in         incoming
	key, value []byte // of what is written next
	room       places // of the next ones
}

// Apply folds one record.
func (o *owned) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	var err error
	if o.fold.read(r, &o.in) {
		err = o.apply(ctx, tx, &o.in)
	}
	o.trim(tx, r)
	return err
}

// Prefetch tells which keys are read for a record, whatever they hold. What is remembered need not be read.
func (o *owned) Prefetch(r eventlog.Record) (reads [][]byte, apply func(context.Context, *projection.Tx) error) {
	in := &incoming{}
	if !o.fold.read(r, in) {
		return nil, func(_ context.Context, tx *projection.Tx) error { o.trim(tx, r); return nil }
	}
	t := o.memory.Get(in.name())
	if t == nil {
		reads = append(reads, appendThread(nil, in.tenant, subHead, in.thread))
	}
	if t == nil || !t.events.Lacks(in.fact.ID) {
		reads = append(reads, appendPair(nil, in.tenant, subSeen, in.thread, in.fact.ID))
	}
	return reads, func(ctx context.Context, tx *projection.Tx) error {
		err := o.apply(ctx, tx, in)
		o.trim(tx, r)
		return err
	}
}

func (o *owned) trim(tx *projection.Tx, r eventlog.Record) {
	if r.Offset%trimEvery == 0 && r.Offset > changeWindow {
		tx.Trim(appendChange(nil, r.Partition, 0), appendChange(nil, r.Partition, r.Offset-changeWindow))
	}
}

func (in *incoming) name() threadName { return threadName{in.tenant, in.thread} }

func (o *owned) apply(ctx context.Context, tx *projection.Tx, in *incoming) error {
	t, err := o.thread(ctx, tx, in)
	if err != nil {
		return err
	}
	o.key = appendPair(o.key[:0], in.tenant, subSeen, in.thread, in.fact.ID)
	if !t.events.Lacks(in.fact.ID) {
		if _, seen, err := tx.Get(ctx, o.key); seen || err != nil {
			return err
		}
	}
	o.value = in.fact.Append(o.value[:0])
	tx.Set(o.key, o.value)
	if t.events.Add(in.fact.ID) {
		o.memory.Grow(projection.SeenBytes)
	}
	if t.head.native == "" && in.event.GetSeal() == "" {
		t.head.native = nativeThread(in.event.GetContent())
	}
	o.key = appendMoment(o.key[:0], in.tenant, subFact, in.thread, in.fact.Moment)
	o.value = in.fact.Encode(o.value[:0])
	tx.Set(o.key, o.value)

	d := derivation{owned: o, ctx: ctx, tx: tx, in: in, thread: t}
	if t.head.at.Before(in.fact.Moment) {
		err = d.next()
	} else {
		err = d.late()
	}
	if err != nil {
		return err
	}
	t.head.offset = in.record.Offset
	o.key = appendThread(o.key[:0], in.tenant, subHead, in.thread)
	o.value = t.head.append(o.value[:0])
	tx.Set(o.key, o.value)
	if d.changed {
		slices.SortFunc(d.shares, func(a, b ChangedShare) int { return strings.Compare(a.Agent, b.Agent) })
		o.key = appendChange(o.key[:0], in.record.Partition, in.record.Offset)
		o.value = appendChangeValue(o.value[:0], in.tenant, in.thread, d.shares)
		tx.SetUnread(o.key, o.value)
	}
	return nil
}

// thread remembers the thread of a record, or reads it.
func (o *owned) thread(ctx context.Context, tx *projection.Tx, in *incoming) (*thread, error) {
	name := in.name()
	if t := o.memory.Get(name); t != nil {
		return t, nil
	}
	o.key = appendThread(o.key[:0], in.tenant, subHead, in.thread)
	value, found, err := tx.Get(ctx, o.key)
	if err != nil {
		return nil, err
	}
	t := &thread{events: projection.NewSeen(!found), tail: tail{known: !found}}
	if found {
		if t.head, err = decodeHead(value); err != nil {
			return nil, err
		}
		if t.head.begun > 0 {
			o.key = appendMoment(o.key[:0], in.tenant, subRow, in.thread, t.head.start)
			value, found, err := tx.Get(ctx, o.key)
			if err != nil {
				return nil, err
			}
			if !found {
				return nil, errDamaged
			}
			if t.last, err = readFiled(value); err != nil {
				return nil, err
			}
		}
	}
	o.memory.Keep(name, t)
	return t, nil
}

// filed is an interaction and what is written of it.
type filed struct {
	*story.Interaction
	row    []byte // as it is stored; nil where it is not
	places places
}

// places are the rows by which an interaction is found, and their values.
type places struct {
	id           event.ID
	settled      int64
	unfinished   bool // it is settled, and an assignment goes on
	queue, agent string
	brief        []byte // of work; nil where it is settled
	timers       []story.Timer
	shares       []sharePlace
	sums         []uint64 // of the shares, each tells one state of it from another
	visits       []visitPlace
}

// sharePlace is the row by which an assignment is found.
type sharePlace struct {
	agent string
	class byte
	begin int64
	id    event.ID
}

// visitPlace is the row by which a visit is counted.
type visitPlace struct {
	queue   string
	entered int64
	id      event.ID
	brief   story.VisitBrief
}

func readFiled(row []byte) (*filed, error) {
	i, err := story.DecodeInteraction(row)
	if err != nil {
		return nil, err
	}
	return &filed{Interaction: i, row: bytes.Clone(row), places: placesOf(i, places{})}, nil
}

// placesOf gives those of an interaction, in the room of some that are not needed any more.
func placesOf(i *story.Interaction, room places) places {
	p := places{
		id: i.ID(), settled: i.SettledAt(), queue: i.Queue, agent: i.Agent(), timers: i.Timers(), shares: room.shares[:0],
		sums: room.sums[:0], visits: room.visits[:0],
	}
	for n := range i.Shares {
		s := &i.Shares[n]
		if begin := s.Begin(); begin != 0 && s.Agent != "" {
			p.shares = append(p.shares, sharePlace{s.Agent, s.Class(), begin, s.ID})
			p.sums = append(p.sums, i.ShareSum(s))
		}
	}
	for n := range i.Visits {
		if v := &i.Visits[n]; v.Queue != "" {
			p.visits = append(p.visits, visitPlace{v.Queue, v.Entered, v.ID, i.VisitBrief(v)})
		}
	}
	if p.settled == 0 {
		brief := i.Brief()
		p.brief = brief.Encode(room.brief[:0])
	}
	p.unfinished = p.settled != 0 && i.Unfinished()
	return p
}

// derivation tells a thread one fact more, or some again.
type derivation struct {
	*owned
	ctx     context.Context
	tx      *projection.Tx
	in      *incoming
	thread  *thread
	state   story.Thread
	begun   uint64   // interactions so far
	last    *filed   // of the state
	left    []*filed // interactions that were the last one, in order, from the one at which it begins
	formers []*filed // interactions from before that, as far as facts name them
	changed bool
	shares  []ChangedShare // that changed: one of each agent, the first
}

// next tells the fact that comes in order.
func (d *derivation) next() error {
	t := d.thread
	d.state, d.begun, d.last = story.Thread{Waiting: t.head.waiting}, t.head.begun, t.last
	if t.last != nil {
		d.state.Last = t.last.Interaction
	}
	d.memory.insert(t, d.in.fact.Moment, d.value)
	if err := d.tell(&d.in.fact); err != nil {
		return err
	}
	return d.file(nil)
}

// late tells the facts from the last checkpoint before a fact that comes late.
func (d *derivation) late() error {
	t := d.thread
	d.memory.insert(t, d.in.fact.Moment, d.value)
	base, facts := t.tail.base, t.tail.facts
	if !t.tail.known || !base.at.Before(d.in.fact.Moment) || d.memory.Off() {
		var err error
		if base, err = d.rewind(d.in.fact.Moment); err != nil {
			return err
		}
		if facts, err = d.factsFrom(base.at); err != nil {
			return err
		}
	}
	if err := d.restore(base); err != nil {
		return err
	}
	old, err := d.stored()
	if err != nil {
		return err
	}
	t.tail = tail{known: true, base: base}
	for _, f := range facts {
		var fact story.Fact
		if err := fact.Decode(f.value, f.at); err != nil {
			return err
		}
		if t.tail.known {
			t.tail.facts = append(t.tail.facts, f)
		}
		if err := d.tell(&fact); err != nil {
			return err
		}
	}
	return d.file(old)
}

// restore takes the state of a checkpoint up.
func (d *derivation) restore(base checkpoint) error {
	d.state, d.begun, d.last = story.Thread{}, 0, nil
	if base.value == nil {
		return nil
	}
	begun, state, err := decodeCheckpointValue(base.value)
	if err != nil {
		return err
	}
	d.state, d.begun = *state, begun
	if state.Last != nil {
		d.last = &filed{Interaction: state.Last}
	}
	return nil
}

// stored gives the interactions that are written, from the last one of the state on.
func (d *derivation) stored() (old []*filed, err error) {
	t := d.thread
	if t.last == nil {
		return nil, nil
	}
	if d.last != nil && d.begun == t.head.begun {
		return []*filed{t.last}, nil
	}
	r := kv.Prefix(appendThread(nil, d.in.tenant, subRow, d.in.thread))
	if d.last != nil {
		r.Start = appendMoment(nil, d.in.tenant, subRow, d.in.thread, d.last.Start)
	}
	scanErr := d.tx.Scan(d.ctx, r, func(_, row []byte) bool {
		var f *filed
		if f, err = readFiled(row); err == nil {
			old = append(old, f)
		}
		return err == nil
	})
	if scanErr != nil {
		return nil, scanErr
	}
	return old, err
}

// rewind finds the state behind the last facts that come before a moment, the zero one where there is none, and removes those from that
// moment on: what they hold is not so any more.
func (d *derivation) rewind(m story.Moment) (base checkpoint, err error) {
	var keys [][]byte
	scanErr := d.tx.Scan(d.ctx, kv.Prefix(appendThread(nil, d.in.tenant, subCheckpoint, d.in.thread)), func(key, value []byte) bool {
		var at story.Moment
		if at, err = decodeCheckpoint(key); err != nil {
			return false
		}
		if at.Before(m) {
			base = checkpoint{at, bytes.Clone(value)}
			return false
		}
		keys = append(keys, bytes.Clone(key))
		return true
	})
	for _, key := range keys {
		d.tx.Delete(key)
	}
	if scanErr != nil {
		return checkpoint{}, scanErr
	}
	return base, err
}

// factsFrom reads the facts behind a moment.
func (d *derivation) factsFrom(m story.Moment) (facts []encodedFact, err error) {
	prefix := appendThread(nil, d.in.tenant, subFact, d.in.thread)
	r := kv.Prefix(prefix)
	if !m.IsZero() {
		r.Start = append(m.Append(bytes.Clone(prefix)), 0)
	}
	scanErr := d.tx.Scan(d.ctx, r, func(key, value []byte) bool {
		f := encodedFact{value: bytes.Clone(value)}
		f.at, err = story.DecodeMoment(key[len(prefix):])
		facts = append(facts, f)
		return err == nil
	})
	if scanErr != nil {
		return nil, scanErr
	}
	return facts, err
}

// tell tells the next fact.
func (d *derivation) tell(f *story.Fact) error {
	i, err := d.state.Apply(f, d)
	if err != nil {
		return err
	}
	switch {
	case d.state.Last != nil && (d.last == nil || d.state.Last != d.last.Interaction):
		if d.last != nil {
			d.left = append(d.left, d.last)
			if err := d.note(d.last); err != nil {
				return err
			}
		}
		d.last = &filed{Interaction: d.state.Last}
		d.begun++
	case i != nil && i != d.state.Last:
		if err := d.strayed(i); err != nil {
			return err
		}
	}
	d.thread.head.at = f.Moment
	if isCheckpoint(f.ID) {
		d.check(f.Moment)
	}
	return nil
}

// checkEvery is behind how many facts there is a checkpoint, on average.
const checkEvery = 64

// isCheckpoint tells whether there is one behind a fact. Ids are hashes, so it is one of so many, and the same ones at every replay.
func isCheckpoint(id event.ID) bool { return id[len(id)-1]%checkEvery == 0 }

// check keeps the state as it is behind a moment.
func (d *derivation) check(m story.Moment) {
	c := checkpoint{at: m, value: encodeCheckpoint(d.begun, &d.state)}
	d.tx.Set(appendCheckpoint(nil, d.in.tenant, d.in.thread, m), c.value)
	d.thread.tail = tail{known: true, base: c}
}

// strayed notes that a former interaction was told something: checkpoints that know it as a former one do not hold what it was then.
func (d *derivation) strayed(i *story.Interaction) error {
	for _, f := range slices.Concat(d.left, d.formers) {
		if f.Interaction == i {
			if err := d.note(f); err != nil {
				return err
			}
		}
	}
	if !d.thread.tail.base.at.Before(i.Start) {
		d.thread.tail = tail{}
	}
	_, err := d.rewind(i.Start)
	return err
}

// Named finds the last former interaction that bears a name: among those that this derivation has left, else in the store, where only
// those that began before them are as they are now.
func (d *derivation) Named(name event.ID) (*story.Interaction, error) {
	if d.begun <= 1 {
		return nil, nil
	}
	first := d.last
	for _, f := range slices.Backward(d.left) {
		if first = f; f.Bears(name) {
			return f.Interaction, nil
		}
	}
	starts, err := d.starts(name)
	if err != nil {
		return nil, err
	}
	for _, start := range slices.Backward(starts) {
		if !start.Before(first.Start) {
			continue // of an interaction that is not, or not yet
		}
		f, err := d.former(start)
		if err != nil {
			return nil, err
		}
		if f != nil && f.Bears(name) {
			return f.Interaction, nil
		}
	}
	return nil, nil
}

// Moment gives where an event of the thread stands; zero where it has none of that id.
func (d *derivation) Moment(id event.ID) (story.Moment, error) {
	value, found, err := d.tx.Get(d.ctx, appendPair(nil, d.in.tenant, subSeen, d.in.thread, id))
	if err != nil || !found {
		return story.Moment{}, err
	}
	return story.DecodeMoment(value)
}

// At finds the last former interaction that began by a moment, like Named.
func (d *derivation) At(m story.Moment) (*story.Interaction, error) {
	if d.begun <= 1 {
		return nil, nil
	}
	first := d.last
	for _, f := range slices.Backward(d.left) {
		if first = f; !m.Before(f.Start) {
			return f.Interaction, nil
		}
	}
	prefix := appendThread(nil, d.in.tenant, subRow, d.in.thread)
	until := append(m.Append(bytes.Clone(prefix)), 0)
	if start := first.Start.Append(bytes.Clone(prefix)); bytes.Compare(start, until) < 0 {
		until = start
	}
	var last []byte
	if err := d.tx.Scan(d.ctx, kv.Range{Start: prefix, End: until}, func(key, _ []byte) bool {
		last = append(last[:0], key[len(prefix):]...)
		return true
	}); err != nil || last == nil {
		return nil, err
	}
	start, err := story.DecodeMoment(last)
	if err != nil {
		return nil, err
	}
	f, err := d.former(start)
	if f == nil || err != nil {
		return nil, err
	}
	return f.Interaction, nil
}

// former reads a former interaction; nil where none begins there.
func (d *derivation) former(start story.Moment) (*filed, error) {
	if n := slices.IndexFunc(d.formers, func(f *filed) bool { return f.Start == start }); n >= 0 {
		return d.formers[n], nil
	}
	row, found, err := d.tx.Get(d.ctx, appendMoment(nil, d.in.tenant, subRow, d.in.thread, start))
	if err != nil || !found {
		return nil, err
	}
	f, err := readFiled(row)
	if err != nil {
		return nil, err
	}
	d.formers = append(d.formers, f)
	return f, nil
}

// starts are where interactions begin that bear a name, or did when a late event was not there yet, in order.
func (d *derivation) starts(name event.ID) ([]story.Moment, error) {
	value, _, err := d.tx.Get(d.ctx, appendPair(nil, d.in.tenant, subName, d.in.thread, name))
	if err != nil {
		return nil, err
	}
	return decodeStarts(value)
}

// note writes where the names of a former interaction are found.
func (d *derivation) note(f *filed) error {
	for _, name := range f.Names() {
		starts, err := d.starts(name)
		if err != nil {
			return err
		}
		if n, found := slices.BinarySearchFunc(starts, f.Start, story.Moment.Compare); !found {
			d.tx.Set(appendPair(nil, d.in.tenant, subName, d.in.thread, name), appendStarts(nil, slices.Insert(starts, n, f.Start)))
		}
	}
	return nil
}

// file writes what has come of it, in place of the old.
func (d *derivation) file(old []*filed) error {
	if d.last != nil {
		d.left = append(d.left, d.last)
	}
	for _, f := range append(d.left, d.formers...) {
		if n := slices.IndexFunc(old, func(o *filed) bool { return o.Start == f.Start }); n >= 0 {
			f.row, f.places = old[n].row, old[n].places
			old = slices.Delete(old, n, n+1)
		}
		d.refile(f)
	}
	for _, f := range old {
		d.remove(f)
	}
	t := d.thread
	t.last, t.head.begun, t.head.waiting = d.last, d.begun, d.state.Waiting
	if d.last != nil {
		t.head.start = d.last.Start
	}
	return nil
}

// refile writes an interaction, if it is another than what is written, and the rows by which it is found.
func (d *derivation) refile(f *filed) {
	d.value = f.Encode(d.value[:0])
	if bytes.Equal(d.value, f.row) {
		return
	}
	d.changed = true
	d.key = appendMoment(d.key[:0], d.in.tenant, subRow, d.in.thread, f.Start)
	d.tx.Set(d.key, d.value)
	isNew := f.row == nil
	f.row = append(f.row[:0], d.value...)
	was, now := f.places, placesOf(f.Interaction, d.room)
	f.places = now
	if isNew || was.id != now.id {
		d.name(f)
	}
	d.move(f, was, now, isNew)
	d.moveParts(f, was, now)
	d.touch(was, now)
	for _, t := range was.timers {
		if was.id != now.id || !slices.Contains(now.timers, t) {
			d.tx.Delete(d.timer(f, t))
		}
	}
	for _, t := range now.timers {
		if was.id != now.id || !slices.Contains(was.timers, t) {
			d.tx.SetUnread(d.timer(f, t), now.id[:])
		}
	}
	d.room = was
}

// timer is the key of a timer, until the next one.
func (d *derivation) timer(f *filed, t story.Timer) []byte {
	d.key = appendTimer(d.key[:0], d.in.tenant, d.in.thread, f.Start, t)
	return d.key
}

// name makes an interaction known by its id, and by that of the event that opened it.
func (d *derivation) name(f *filed) {
	d.value = f.Start.Append(d.value[:0])
	for _, id := range []event.ID{f.Opener, f.Name} {
		if !id.IsZero() {
			d.tx.SetUnread(appendPair(nil, d.in.tenant, subID, id, d.in.thread), d.value)
		}
	}
}

// move writes under which work it is found, in place of the old.
func (d *derivation) move(f *filed, was, now places, isNew bool) {
	same := was.settled == now.settled && was.queue == now.queue && was.agent == now.agent && was.unfinished == now.unfinished
	if !isNew && same && bytes.Equal(was.brief, now.brief) {
		return
	}
	if !isNew && !same {
		d.eachPlace(f, was, d.tx.Delete)
	}
	d.eachPlace(f, now, func(key []byte) { d.tx.SetUnread(key, now.brief) })
}

// eachPlace yields the keys by which an interaction is found, each until the next one.
func (d *derivation) eachPlace(f *filed, p places, yield func(key []byte)) {
	place := func(key []byte) {
		d.key = appendPlace(key, d.in.thread, f.Start)
		yield(d.key)
	}
	tenant := d.in.tenant
	if p.unfinished {
		place(appendTenant(d.key[:0], tenant, subUnfinished))
	}
	if p.settled != 0 {
		place(appendSettled(d.key[:0], tenant, p.settled))
		return
	}
	place(appendTenant(d.key[:0], tenant, subWork))
	if p.queue != "" {
		place(appendNamed(d.key[:0], tenant, subQueue, p.queue))
	}
	if p.agent != "" {
		place(appendNamed(d.key[:0], tenant, subAgent, p.agent))
	}
}

// moveParts writes where its assignments and visits are found, in place of the old.
func (d *derivation) moveParts(f *filed, was, now places) {
	for n, s := range was.shares {
		if !among(now.shares, n, s) {
			d.tx.Delete(d.share(f, s))
		}
	}
	for n, s := range now.shares {
		if !among(was.shares, n, s) {
			d.tx.SetUnread(d.share(f, s), nil)
		}
	}
	for n, v := range was.visits {
		isAt := func(o visitPlace) bool { return o.id == v.id && o.entered == v.entered && o.queue == v.queue }
		if !(n < len(now.visits) && isAt(now.visits[n])) && !slices.ContainsFunc(now.visits, isAt) {
			d.tx.Delete(d.visit(f, v))
		}
	}
	for n, v := range now.visits {
		if !among(was.visits, n, v) {
			key := d.visit(f, v)
			d.value = v.brief.Encode(d.value[:0], v.entered)
			d.tx.SetUnread(key, d.value)
		}
	}
}

// touch notes whose assignments were something else, or are it now.
func (d *derivation) touch(was, now places) {
	for _, pair := range [2][2]places{{was, now}, {now, was}} {
		of, other := pair[0], pair[1]
		for n, s := range of.shares {
			if n < len(other.shares) && other.shares[n] == s && other.sums[n] == of.sums[n] {
				continue
			}
			if k := slices.Index(other.shares, s); k < 0 || other.sums[k] != of.sums[n] {
				d.touched(s)
			}
		}
	}
}

func (d *derivation) touched(s sharePlace) {
	for n := range d.shares {
		if of := &d.shares[n]; of.Agent == s.agent {
			of.Begin = min(of.Begin, s.begin)
			return
		}
	}
	d.shares = append(d.shares, ChangedShare{s.agent, s.begin})
}

// among tells whether something is in a list, most likely at a place.
func among[T comparable](list []T, place int, one T) bool {
	return place < len(list) && list[place] == one || slices.Contains(list, one)
}

// share and visit are the keys of those, until the next one.
func (d *derivation) share(f *filed, s sharePlace) []byte {
	d.key = appendNamed(d.key[:0], d.in.tenant, subShare, s.agent)
	d.key = appendPart(appendTime(append(d.key, s.class), s.begin), d.in.thread, f.Start, s.id)
	return d.key
}

func (d *derivation) visit(f *filed, v visitPlace) []byte {
	d.key = appendTime(appendNamed(d.key[:0], d.in.tenant, subVisit, v.queue), v.entered)
	d.key = appendPart(d.key, d.in.thread, f.Start, v.id)
	return d.key
}

// remove takes away an interaction that is none any more: an event that came late has made it a part of another.
func (d *derivation) remove(f *filed) {
	d.changed = true
	d.tx.Delete(appendMoment(nil, d.in.tenant, subRow, d.in.thread, f.Start))
	d.eachPlace(f, f.places, d.tx.Delete)
	d.moveParts(f, f.places, places{})
	d.touch(f.places, places{})
	for _, t := range f.places.timers {
		d.tx.Delete(d.timer(f, t))
	}
}
