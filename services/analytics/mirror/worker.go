package mirror

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

const (
	// readTogether is of how many entities it is read at once what was sent.
	readTogether = 256
	// sweptTogether is how many entities a sweep looks at before it says how far it is.
	sweptTogether = 16_384
	// recordEvery is how often it is recorded how far a source was read where nothing changes.
	recordEvery = 10 * time.Second
	// triesOfEntity is how often it is tried to read an entity before it is put aside.
	triesOfEntity = 5
)

// worker mirrors one source into one generation of its tables. It is one goroutine's; status is anybody's.
type worker struct {
	cfg        *Config
	generation uint32
	database   string // of the tables; empty for the one that serves
	role       role
	enough     func() bool // asked once everything up to the last news is sent: whether that is all; nil where it never is
	source     Source
	name       string
	tables     map[string]*Table
	tableNames []string
	report     *reporter
	told       told

	// raw is the state as it is stored, and state what it says; cursor and at are ahead of it by what is in names.
	raw       []byte
	state     state
	names     []string
	named     map[string]bool
	cursor    []byte
	done      bool // the scan ends with names
	at        map[string]projection.Vector
	until     time.Time
	aside     map[string]bool
	tries     map[string]int // of entities that could not be read
	committed time.Time
}

// namespace is where all of it is stored.
func (w *worker) namespace() kv.Namespace { return namespace(w.generation) }

func namespace(generation uint32) kv.Namespace {
	return kv.Namespace{Slice: slice, Generation: generation}
}

// run mirrors while ctx lasts, and gives nil, or until that is enough. It fails where it has no business any more, with errMoved, and where
// ClickHouse does not hold what was sent, with ErrWarehouseMismatch. What else fails it tries again.
func (w *worker) run(ctx context.Context) error {
	ctx = kv.Job(ctx)
	pause := newPause()
	for ctx.Err() == nil {
		began := time.Now()
		err := w.session(ctx)
		if err == nil || errors.Is(err, errMoved) || errors.Is(err, ErrWarehouseMismatch) {
			return err
		}
		if ctx.Err() != nil {
			break
		}
		if time.Since(began) > longestPause {
			pause.Reset()
		}
		in := pause.NextBackOff()
		w.cfg.Metrics.retried(w.name)
		w.told.set(func(s *Status) { s.Problem = err.Error() })
		w.cfg.Logger.WarnContext(ctx, "cannot mirror a read model, trying again", "source", w.name, "in", in, "error", err)
		wait(ctx, in)
	}
	return nil //nolint:nilerr // it was told to end
}

// session goes on from what is stored, until something fails or that is enough.
func (w *worker) session(ctx context.Context) error {
	if err := w.open(ctx); err != nil {
		return err
	}
	for {
		if err := w.gather(ctx); err != nil {
			return err
		}
		if err := w.flush(ctx); err != nil {
			return err
		}
		if w.enough != nil && w.followed() && w.enough() {
			return nil
		}
	}
}

// open reads what is stored, makes sure that ClickHouse holds it, and finishes what was begun.
func (w *worker) open(ctx context.Context) error {
	if err := w.load(ctx); err != nil {
		return err
	}
	if err := w.check(ctx); err != nil {
		return err
	}
	w.report.changed(w.tableNames...)
	if w.state.pending {
		if err := w.resume(ctx); err != nil {
			return err
		}
	}
	return w.sweep(ctx)
}

// errMoved means that a generation is not written any more in the role that a worker has.
var errMoved = errors.New("mirror: another generation of the tables is written by now")

// load reads the state, the parcels excepted. Where there is none, it makes one.
func (w *worker) load(ctx context.Context) error {
	snap, err := w.cfg.Store.Snapshot(ctx, w.namespace())
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	raw, found, err := snap.Get(ctx, stateKey(w.name))
	if err != nil {
		return fmt.Errorf("mirror: read the state of %s: %w", w.name, err)
	}
	w.raw, w.names, w.named, w.done, w.at, w.until = raw, nil, map[string]bool{}, false, nil, time.Time{}
	w.aside = map[string]bool{}
	if !found {
		w.state = state{life: rand.Text(), role: w.role}
		w.cursor = nil
		return w.apply(ctx, &kv.Batch{})
	}
	if w.state, err = decodeState(raw); err != nil {
		return fmt.Errorf("mirror: the state of %s: %w", w.name, err)
	}
	if w.state.role != w.role {
		return errMoved
	}
	w.cursor = w.state.cursor
	err = eachKey(ctx, snap, kv.Prefix(spaceKey(spaceAside, w.name)), func(key, _ []byte) (bool, error) {
		entity := string(key[len(spaceKey(spaceAside, w.name)):])
		w.aside[entity] = true
		w.add(entity) // perhaps it is well by now
		return true, nil
	})
	w.tell()
	return err
}

// ErrWarehouseMismatch means that ClickHouse does not hold what the mirror sent: it or the store was dropped or restored from a backup. The
// mirror then makes the tables anew.
var ErrWarehouseMismatch = errors.New("mirror: ClickHouse does not hold what was sent to it")

// check compares what the tables say that they hold with what was sent. The mark of the last batch may be missing while it is pending.
func (w *worker) check(ctx context.Context) error {
	marks, err := w.cfg.Warehouse.Marks(ctx, w.database, w.name)
	if err != nil {
		return err
	}
	batch := marks[w.state.life]
	delete(marks, w.state.life)
	if len(marks) == 0 && (batch == w.state.batch || w.state.pending && batch+1 == w.state.batch) {
		return nil
	}
	snap, err := w.cfg.Store.Snapshot(ctx, w.namespace())
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	if raw, _, err := snap.Get(ctx, stateKey(w.name)); err != nil || !bytes.Equal(raw, w.raw) {
		return cmp.Or(err, fmt.Errorf("mirror: another process writes %s: %w", w.name, kv.ErrConflict))
	}
	switch {
	case len(marks) > 0:
		return fmt.Errorf("%w: it contains %s as another store sent it: the store was dropped or restored", ErrWarehouseMismatch, w.name)
	case batch > w.state.batch:
		return fmt.Errorf("%w: it contains %s up to batch %d, and the store knows only of %d: the store was restored", ErrWarehouseMismatch, w.name, batch, w.state.batch)
	default:
		return fmt.Errorf("%w: it contains %s up to batch %d, and %d were sent: it was dropped or restored", ErrWarehouseMismatch, w.name, batch, w.state.batch)
	}
}

// apply writes a batch together with the state, if nobody else has written since.
func (w *worker) apply(ctx context.Context, b *kv.Batch) error {
	next := w.state.encode()
	b.Require(stateKey(w.name), w.raw)
	b.Set(stateKey(w.name), next)
	if err := w.cfg.Store.Apply(ctx, w.namespace(), b); err != nil {
		return fmt.Errorf("mirror: record what is sent of %s: %w", w.name, err)
	}
	w.raw, w.committed = next, time.Now()
	w.tell()
	return nil
}

// add names an entity.
func (w *worker) add(entity string) {
	if !w.named[entity] {
		w.named[entity] = true
		w.names = append(w.names, entity)
	}
}

// gather waits for news, and collects them for a while.
func (w *worker) gather(ctx context.Context) error {
	until := time.Now().Add(w.cfg.Interval)
	for len(w.names) < w.cfg.Rows && !w.done {
		some := len(w.names) > 0
		left := time.Until(until)
		if some && left <= 0 {
			return nil
		}
		news, err := w.next(ctx, some, left)
		switch {
		case errors.Is(err, errWaited):
			return nil
		case err != nil:
			return err
		}
		if news.Reset {
			w.names, w.named = nil, map[string]bool{} // the scan names them, or the sweep behind it looks at them
			w.state.scan++
			w.state.phase = phaseScan
		}
		for _, e := range news.Entities {
			w.add(e)
		}
		w.cursor, w.at, w.until, w.done = news.Cursor, news.At, w.cfg.until(news.At), news.Done
		if len(w.names) > 0 {
			if !some {
				until = time.Now().Add(w.cfg.Interval)
			}
			continue
		}
		w.caughtUp()
		if w.enough != nil || time.Since(w.committed) >= recordEvery {
			return nil
		}
	}
	return nil
}

var errWaited = errors.New("mirror: waited long enough")

// next asks the source, no longer than so long where something waits already.
func (w *worker) next(ctx context.Context, some bool, left time.Duration) (News, error) {
	asking, cancel := context.WithCancel(ctx)
	if some {
		asking, cancel = context.WithTimeout(ctx, left)
	}
	defer cancel()
	news, err := w.source.Next(asking, w.cursor)
	switch {
	case err != nil && some && asking.Err() != nil && ctx.Err() == nil:
		return News{}, errWaited
	case err != nil:
		return News{}, fmt.Errorf("mirror: ask %s what has changed: %w", w.name, err)
	}
	return news, nil
}

// flush records and sends what was gathered, in as many batches as that takes.
func (w *worker) flush(ctx context.Context) error {
	for {
		c := w.newCollector()
		n, err := w.collect(ctx, c, w.names)
		if err != nil {
			return err
		}
		last := n == len(w.names)
		if last {
			w.state.cursor = w.cursor
			if w.done {
				w.state.phase, w.state.swept = phaseSweep, ""
			}
		}
		if err := w.commit(ctx, c); err != nil {
			return err
		}
		for _, e := range w.names[:n] {
			delete(w.named, e)
		}
		w.names = w.names[n:]
		if last {
			break
		}
	}
	w.names, w.done = nil, false
	if err := w.sweep(ctx); err != nil {
		return err
	}
	w.caughtUp()
	return nil
}

// sweep takes back what a scan did not name, if one has ended.
func (w *worker) sweep(ctx context.Context) error {
	for w.state.phase == phaseSweep {
		names, swept, err := w.unseen(ctx)
		if err != nil {
			return err
		}
		for {
			c := w.newCollector()
			n, err := w.collect(ctx, c, names)
			if err != nil {
				return err
			}
			if names = names[n:]; len(names) == 0 {
				if w.state.swept = swept; swept == "" {
					w.state.phase = phaseFollow
				}
			}
			if err := w.commit(ctx, c); err != nil {
				return err
			}
			if len(names) == 0 {
				break
			}
		}
	}
	return nil
}

// unseen gives the next entities that the last scan did not see, and how far they were looked for: empty for all.
func (w *worker) unseen(ctx context.Context) (names []string, swept string, err error) {
	snap, err := w.cfg.Store.Snapshot(ctx, w.namespace())
	if err != nil {
		return nil, "", fmt.Errorf("mirror: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	prefix := spaceKey(spaceEntity, w.name)
	r := kv.Prefix(prefix)
	if w.state.swept != "" {
		r.Start = append(keyOf(spaceEntity, w.name, w.state.swept), 0)
	}
	looked := 0
	err = eachKey(ctx, snap, r, func(key, value []byte) (bool, error) {
		if looked++; looked > sweptTogether || len(names) >= w.cfg.Rows {
			return false, nil
		}
		swept = string(key[len(prefix):])
		scan, err := scanOf(value)
		if err == nil && scan < w.state.scan {
			names = append(names, swept)
		}
		return true, err
	})
	if looked <= sweptTogether && len(names) < w.cfg.Rows {
		swept = ""
	}
	return names, swept, err
}

// collector collects what a batch sends.
type collector struct {
	batch   kv.Batch
	parcels map[string]*parcel // by table
	rows    int
	changed int // entities
}

func (w *worker) newCollector() *collector { return &collector{parcels: map[string]*parcel{}} }

// collect compares entities with what was sent of them, as many as a batch takes, and tells how many it were.
func (w *worker) collect(ctx context.Context, c *collector, names []string) (int, error) {
	taken := 0
	for some := range slices.Chunk(names, readTogether) {
		old, err := w.sent(ctx, some)
		if err != nil {
			return taken, err
		}
		for n, name := range some {
			if c.rows >= w.cfg.Rows {
				return taken, nil
			}
			if err := w.compare(ctx, c, name, old[n]); err != nil {
				return taken, err
			}
			taken++
		}
	}
	return taken, nil
}

// sent reads what was sent of entities; nil where nothing was.
func (w *worker) sent(ctx context.Context, names []string) ([][]byte, error) {
	keys := make([][]byte, len(names))
	for n, name := range names {
		keys[n] = keyOf(spaceEntity, w.name, name)
		if len(name) > maxEntity {
			keys[n] = spaceKey(spaceEntity, w.name) // it is refused below
		}
	}
	snap, err := w.cfg.Store.Snapshot(ctx, w.namespace())
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	values, err := snap.GetMany(ctx, keys)
	if err != nil {
		return nil, fmt.Errorf("mirror: read what was sent of %s: %w", w.name, err)
	}
	return values, nil
}

// compare adds what changed of an entity.
func (w *worker) compare(ctx context.Context, c *collector, name string, raw []byte) error {
	if len(name) > maxEntity {
		w.refuse(ctx, name, "", fmt.Errorf("%w: a name of %d bytes; %d are allowed", errRows, len(name), maxEntity))
		return nil
	}
	var old entity
	if raw != nil {
		var err error
		if old, err = decodeEntity(raw); err != nil {
			return fmt.Errorf("mirror: what was sent of %q: %w", name, err)
		}
	}
	now, err := w.source.Rows(ctx, name)
	if err != nil {
		w.tries[name]++
		if ctx.Err() != nil || errors.Is(err, kv.ErrUnavailable) || w.tries[name] < triesOfEntity {
			return fmt.Errorf("mirror: read the rows of %q of %s: %w", name, w.name, err)
		}
		w.putAside(ctx, &c.batch, name, "", err)
		return nil
	}
	delete(w.tries, name)
	changes, rows, err := difference(old.rows, now, w.tables)
	if err != nil {
		w.putAside(ctx, &c.batch, name, "", err)
		return nil
	}
	if w.aside[name] {
		delete(w.aside, name)
		c.batch.Delete(keyOf(spaceAside, w.name, name))
	}
	key := keyOf(spaceEntity, w.name, name)
	switch {
	case len(rows) == 0 && raw == nil:
		return nil
	case len(rows) == 0:
		c.batch.Delete(key)
		w.state.held--
	case raw == nil:
		w.state.held++
		fallthrough
	case len(changes) > 0 || w.state.phase != phaseFollow && old.scan < w.state.scan:
		e := entity{scan: w.state.scan, rows: rows}
		c.batch.Set(key, e.encode())
	}
	if len(changes) == 0 {
		return nil
	}
	c.changed++
	for table, some := range changes {
		p := c.parcels[table]
		if p == nil {
			p = &parcel{path: table, table: table}
			c.parcels[table] = p
		}
		p.groups = append(p.groups, group{entity: name, changes: some})
		for _, change := range some {
			if change.kind != former {
				c.rows++
			}
		}
	}
	return nil
}

// commit records a batch, and sends it.
func (w *worker) commit(ctx context.Context, c *collector) error {
	w.state.pending = len(c.parcels) > 0
	if w.state.pending {
		w.state.batch++
	}
	var parcels []*parcel
	for _, table := range slices.Sorted(maps.Keys(c.parcels)) {
		p := c.parcels[table]
		p.version = uint64(w.generation)<<versionShift | w.state.batch
		c.batch.Set(keyOf(spaceParcel, w.name, p.path), p.encode())
		parcels = append(parcels, p)
	}
	if !w.state.pending && c.batch.Len() == 0 && w.state.equal(w.raw) && time.Since(w.committed) < recordEvery {
		return nil
	}
	if err := w.apply(ctx, &c.batch); err != nil {
		return err
	}
	if !w.state.pending {
		return nil
	}
	w.cfg.Metrics.batch(w.name, c.changed)
	return w.deliver(ctx, parcels)
}

// resume sends what was recorded by whoever was here before.
func (w *worker) resume(ctx context.Context) error {
	snap, err := w.cfg.Store.Snapshot(ctx, w.namespace())
	if err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	var parcels []*parcel
	prefix := spaceKey(spaceParcel, w.name)
	err = eachKey(ctx, snap, kv.Prefix(prefix), func(key, value []byte) (bool, error) {
		p, err := decodeParcel(string(key[len(prefix):]), slices.Clone(value))
		parcels = append(parcels, p)
		return true, err
	})
	if err != nil {
		return fmt.Errorf("mirror: read what is to be sent of %s: %w", w.name, err)
	}
	return w.deliver(ctx, parcels)
}

// deliver sends parcels, and records that they are sent.
func (w *worker) deliver(ctx context.Context, parcels []*parcel) error {
	pending := 0
	for _, p := range parcels {
		pending += p.len()
	}
	for _, p := range parcels {
		w.told.set(func(s *Status) { s.Pending = pending })
		w.cfg.Metrics.waiting(w.name, pending)
		if err := w.send(ctx, p); err != nil {
			return err
		}
		pending -= p.len()
	}
	err := w.insert(ctx, w.token("mark"), mark{w.database, w.name, w.state.life, w.state.batch})
	if err != nil {
		return err
	}
	w.told.set(func(s *Status) { s.Pending, s.Problem = 0, "" })
	w.cfg.Metrics.waiting(w.name, 0)
	b := &kv.Batch{}
	r := kv.Prefix(spaceKey(spaceParcel, w.name))
	b.DeleteRange(r.Start, r.End)
	w.state.pending = false
	return w.apply(ctx, b)
}

// send inserts a parcel, however long that takes. What is refused for good it splits, until it knows the entity.
func (w *worker) send(ctx context.Context, p *parcel) error {
	table := w.tables[p.table]
	if table == nil {
		return fmt.Errorf("mirror: rows of %s are to be sent, which %s does not declare", p.table, w.name)
	}
	err := w.insert(ctx, w.token(p.path), sending{p, table, w.database})
	switch {
	case err == nil:
		w.cfg.Metrics.sent(w.name, p.table, p.len())
		w.report.changed(p.table)
		return nil
	case ctx.Err() == nil && refused(err):
		return w.split(ctx, p, err)
	}
	return err
}

// token is what ClickHouse knows an insert again by.
func (w *worker) token(path string) string {
	return fmt.Sprintf("mirror/%s/%d.%s/%d/%s", w.name, w.generation, w.state.life, w.state.batch, path)
}

// insert inserts until ClickHouse has it or refuses it for good. A ClickHouse that was away may have been restored meanwhile: it is checked
// before it gets anything.
func (w *worker) insert(ctx context.Context, token string, rows warehouse.Rows) error {
	pause := newPause()
	err := w.attempt(ctx, token, rows)
	for err != nil && ctx.Err() == nil && !refused(err) && !errors.Is(err, ErrWarehouseMismatch) && !errors.Is(err, kv.ErrConflict) {
		in := pause.NextBackOff()
		w.cfg.Metrics.retried(w.name)
		w.told.set(func(s *Status) { s.Problem = err.Error() })
		w.cfg.Logger.WarnContext(ctx, "cannot write into ClickHouse, trying again", "source", w.name, "table", rows.Table(), "in", in, "error", err)
		wait(ctx, in)
		if err = w.check(ctx); err == nil {
			err = w.attempt(ctx, token, rows)
		}
	}
	return err
}

func (w *worker) attempt(ctx context.Context, token string, rows warehouse.Rows) error {
	ctx, cancel := context.WithTimeout(ctx, insertWithin)
	defer cancel()
	return w.cfg.Warehouse.Insert(ctx, token, rows)
}

// split halves a parcel that was refused; one of a single entity it puts aside. The token of what was refused is not used again.
func (w *worker) split(ctx context.Context, p *parcel, why error) error {
	b := &kv.Batch{}
	b.Delete(keyOf(spaceParcel, w.name, p.path))
	if len(p.groups) > 1 {
		half := len(p.groups) / 2
		parts := []*parcel{
			{path: p.path + "/0", table: p.table, version: p.version, groups: p.groups[:half]},
			{path: p.path + "/1", table: p.table, version: p.version, groups: p.groups[half:]},
		}
		for _, part := range parts {
			b.Set(keyOf(spaceParcel, w.name, part.path), part.encode())
		}
		if err := w.apply(ctx, b); err != nil {
			return err
		}
		for _, part := range parts {
			if err := w.send(ctx, part); err != nil {
				return err
			}
		}
		return nil
	}
	for _, g := range p.groups {
		raw, err := w.sent(ctx, []string{g.entity})
		if err != nil {
			return err
		}
		var e entity
		if raw[0] != nil {
			if e, err = decodeEntity(raw[0]); err != nil {
				return fmt.Errorf("mirror: what was sent of %q: %w", g.entity, err)
			}
		}
		if e.rows = withdraw(e.rows, p.table, g.changes); len(e.rows) > 0 {
			b.Set(keyOf(spaceEntity, w.name, g.entity), e.encode())
		} else {
			b.Delete(keyOf(spaceEntity, w.name, g.entity))
			if raw[0] != nil {
				w.state.held--
			}
		}
		w.putAside(ctx, b, g.entity, p.table, why)
	}
	return w.apply(ctx, b)
}

// putAside notes that an entity cannot be sent: it is left as it was sent last, and looked at again when it changes, at the next start and by the
// next scan.
func (w *worker) putAside(ctx context.Context, b *kv.Batch, entity, table string, why error) {
	b.Set(keyOf(spaceAside, w.name, entity), []byte(why.Error()))
	w.aside[entity] = true
	delete(w.tries, entity)
	w.refuse(ctx, entity, table, why)
}

func (w *worker) refuse(ctx context.Context, entity, table string, why error) {
	w.cfg.Metrics.refused(w.name)
	w.cfg.Logger.ErrorContext(ctx, "what ClickHouse cannot take of a read model is left out", "source", w.name, "entity", entity, "table", table, "error", why)
}

// followed tells whether everything up to the last news is sent, and how far that is.
func (w *worker) followed() bool {
	return w.state.phase == phaseFollow && w.at != nil && len(w.names) == 0
}

// caughtUp tells that everything up to the last news is sent.
func (w *worker) caughtUp() {
	if w.followed() {
		w.told.set(func(s *Status) { s.At, s.Until, s.Problem = w.at, w.until, "" })
		w.report.contains(w.name, w.at, w.until)
		w.cfg.Metrics.contains(w.name, w.until)
	}
}

func (w *worker) tell() {
	w.told.set(func(s *Status) {
		s.Generation, s.Batch, s.Scanning, s.Aside = w.generation, w.state.batch, w.state.phase != phaseFollow, len(w.aside)
	})
}

func (w *worker) status() Status {
	s := w.told.get()
	s.Source = w.name
	return s
}

// eachKey yields the keys of a range until it returns false or an error.
func eachKey(ctx context.Context, r kv.Reader, of kv.Range, yield func(key, value []byte) (bool, error)) error {
	it, err := r.Scan(ctx, of)
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
