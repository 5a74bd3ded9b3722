package mirror_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/analytics/mirror"
	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// when says at which moment of a call something fails.
type when int

const (
	never when = iota
	before
	after // it was done, and nobody knows
)

var errCrash = errors.New("the process died")

// bank is a warehouse in memory: it takes the rows of a token once, and all of an insert or nothing.
type bank struct {
	mu     sync.Mutex
	tables map[string][][]any
	tokens map[string]string
	ids    map[string]string
	site   bool // there is a database to build in
	// fault, look and poison may be nil. Look sees all tables behind each insert.
	fault  func(table string) (when, error)
	look   func()
	poison map[string]bool // data that it refuses for good
	faults []string        // of its callers
	inserts,
	reloads int
	largest int
}

func newBank() *bank {
	return &bank{tables: map[string][][]any{}, tokens: map[string]string{}, ids: map[string]string{}}
}

type memoryBatch struct {
	driver.Batch
	rows [][]any
}

func (b *memoryBatch) Append(values ...any) error {
	b.rows = append(b.rows, values)
	return nil
}

func (b *bank) Insert(_ context.Context, token string, rows warehouse.Rows) error {
	batch := &memoryBatch{}
	if err := rows.Append(batch); err != nil {
		return err
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	at, why := never, error(nil)
	if b.fault != nil {
		at, why = b.fault(rows.Table())
	}
	if at == before {
		return why
	}
	for _, r := range batch.rows {
		if text, ok := r[0].(string); ok && b.poison[text] {
			return fmt.Errorf("insert: %w", &clickhouse.Exception{Code: 469, Message: "constraint"})
		}
		if len(r) != len(rows.Columns()) {
			b.faults = append(b.faults, fmt.Sprintf("%d values for %v", len(r), rows.Columns()))
		}
	}
	if len(batch.rows) != rows.Len() {
		b.faults = append(b.faults, fmt.Sprintf("%d rows instead of %d", len(batch.rows), rows.Len()))
	}
	text := fmt.Sprint(batch.rows)
	b.inserts++
	b.largest = max(b.largest, rows.Len())
	if was, there := b.tokens[token]; !there {
		b.tokens[token] = text
		b.tables[rows.Table()] = append(b.tables[rows.Table()], batch.rows...)
	} else if was != text {
		b.faults = append(b.faults, "the token "+token+" was used for other rows")
	}
	if b.look != nil {
		b.look()
	}
	if at == after {
		return why
	}
	return nil
}

// does carries out something that may fail.
func (b *bank) does(what string, do func() error) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	at, why := never, error(nil)
	if b.fault != nil {
		at, why = b.fault(what)
	}
	if at == before {
		return why
	}
	if err := do(); err != nil {
		return err
	}
	if b.look != nil {
		b.look()
	}
	if at == after {
		return why
	}
	return nil
}

func (b *bank) Marks(_ context.Context, database, source string) (map[string]uint64, error) {
	marks := map[string]uint64{}
	return marks, b.does("marks", func() error {
		table := "mirrored_batches"
		if database != "" {
			table = database + "." + table
		}
		for _, r := range b.tables[table] {
			if as[string](r[0]) == source {
				marks[as[string](r[1])] = max(marks[as[string](r[1])], as[uint64](r[2]))
			}
		}
		return nil
	})
}

const site = "site."

func (b *bank) Build(context.Context) (string, error) {
	return "site", b.does("build", func() error {
		b.site = true
		return nil
	})
}

func (b *bank) Built(_ context.Context, tables ...string) (map[string]string, error) {
	built := map[string]string{}
	return built, b.does("built", func() error {
		if !b.site {
			return schema.ErrGone
		}
		for _, t := range tables {
			if b.ids[site+t] == "" {
				b.ids[site+t] = fmt.Sprint("id", len(b.tokens), t)
			}
			built[t] = b.ids[site+t]
		}
		return nil
	})
}

func (b *bank) Switch(_ context.Context, built map[string]string) error {
	return b.does("switch", func() error {
		for name, id := range built {
			if b.ids[name] != id && b.ids[site+name] != id {
				return schema.ErrGone
			}
		}
		for name, id := range built {
			if b.ids[name] != id {
				b.ids[name], b.ids[site+name] = b.ids[site+name], b.ids[name]
				b.tables[name], b.tables[site+name] = b.tables[site+name], b.tables[name]
			}
		}
		return nil
	})
}

func (b *bank) Discard(context.Context) error {
	return b.does("discard", func() error {
		b.site = false
		maps.DeleteFunc(b.ids, func(name, _ string) bool { return strings.HasPrefix(name, site) })
		maps.DeleteFunc(b.tables, func(name string, _ [][]any) bool { return strings.HasPrefix(name, site) })
		return nil
	})
}

func (b *bank) Reload(context.Context, ...string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.reloads++
	return nil
}

// as is a value of the type that it has; the zero one of another type.
func as[T any](v any) T {
	t, _ := v.(T)
	return t
}

// collapsed gives the rows of the signed table that hold, by entity, and what cannot be.
func (b *bank) collapsed() (map[string][]string, error) {
	sums, keys := map[string]int{}, map[string]int{}
	for _, r := range b.tables["facts"] {
		data, sign := as[string](r[0]), int(as[int8](r[1]))
		sums[data] += sign
		keys[strings.Join(strings.Split(data, "|")[:2], "|")] += sign
	}
	out := map[string][]string{}
	for data, n := range sums {
		switch n {
		case 0:
		case 1:
			entity, _, _ := strings.Cut(data, "|")
			out[entity] = append(out[entity], data)
		default:
			return nil, fmt.Errorf("the row %q is there %d times", data, n)
		}
	}
	for key, n := range keys {
		if n != 0 && n != 1 {
			return nil, fmt.Errorf("rows of %q are there %d times", key, n)
		}
	}
	for _, rows := range out {
		slices.Sort(rows)
	}
	return out, nil
}

// replaced gives the rows of the table with versions that hold.
func (b *bank) replaced() []string {
	type held struct {
		version uint64
		data    string
		removed bool
	}
	byKey := map[string]held{}
	for _, r := range b.tables["entries"] {
		h := held{as[uint64](r[1]), as[string](r[0]), as[bool](r[2])}
		key := strings.Join(strings.Split(h.data, "|")[:2], "|")
		if h.version >= byKey[key].version {
			byKey[key] = h
		}
	}
	var all []string
	for _, h := range byKey {
		if !h.removed {
			all = append(all, h.data)
		}
	}
	slices.Sort(all)
	return all
}

func text(b driver.Batch, data []byte, tail ...any) error {
	if strings.HasSuffix(string(data), "broken") {
		return errors.New("this row cannot be encoded")
	}
	return b.Append(append([]any{string(data)}, tail...)...)
}

// model is a read model, and the source that tells of it. A change is a line of a log; what is too old is told by a scan.
type model struct {
	name    string
	signed  *mirror.Table
	replace *mirror.Table
	page    int // of a scan

	mu       sync.Mutex
	entities map[string]map[string]string // key → value
	history  map[string][]string          // states of an entity, in order
	log      []string
	trimmed  int
	failing  map[string]bool // entities that cannot be read
	asked    int
}

// another is a source of its own over the same model.
type another struct {
	*model
	signed, replace *mirror.Table
}

func (m *model) source() mirror.Source {
	signed, replace := *m.signed, *m.replace
	return another{m, &signed, &replace}
}

func (a another) Tables() []*mirror.Table { return []*mirror.Table{a.signed, a.replace} }

func (a another) Rows(ctx context.Context, entity string) ([]mirror.Row, error) {
	rows, err := a.model.Rows(ctx, entity)
	for n := range rows {
		if rows[n].Table == a.model.signed {
			rows[n].Table = a.signed
		} else {
			rows[n].Table = a.replace
		}
	}
	return rows, err
}

func newModel(name string) *model {
	m := &model{
		name: name, page: 3, entities: map[string]map[string]string{}, history: map[string][]string{}, failing: map[string]bool{},
		signed:  &mirror.Table{Name: "facts", Columns: []string{"data"}, Signed: true, Append: text},
		replace: &mirror.Table{Name: "entries", Columns: []string{"data"}, Append: text},
	}
	if name != "things" {
		m.signed.Name, m.replace.Name = name+"_facts", name+"_entries"
	}
	return m
}

func (m *model) Name() string { return m.name }

// set changes an entity; an empty value takes the key away.
func (m *model) set(entity, key, value string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.change(entity, func(e map[string]string) {
		if value == "" {
			delete(e, key)
			return
		}
		e[key] = value
	})
	m.log = append(m.log, entity)
}

// lose takes an entity away without a word, as a read model that was built anew does.
func (m *model) lose(entity string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.change(entity, func(e map[string]string) { clear(e) })
	m.log = append(m.log, "")
	m.trimmed = len(m.log)
}

func (m *model) change(entity string, how func(map[string]string)) {
	e := m.entities[entity]
	if e == nil {
		e = map[string]string{}
		m.entities[entity] = e
	}
	how(e)
	m.history[entity] = append(m.history[entity], fmt.Sprint(m.facts(entity)))
	if len(e) == 0 {
		delete(m.entities, entity)
	}
}

func (m *model) facts(entity string) (all []string) {
	for key, value := range m.entities[entity] {
		all = append(all, entity+"|"+key+"|"+value)
	}
	slices.Sort(all)
	return all
}

// trim drops the log, so that a scan is needed.
func (m *model) trim() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.log = append(m.log, "")
	m.trimmed = len(m.log)
}

func (m *model) Next(ctx context.Context, cursor []byte) (mirror.News, error) {
	for range 20 {
		if n, some := m.next(string(cursor)); some {
			return n, nil
		}
		select {
		case <-ctx.Done():
			return mirror.News{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at(mirror.News{Cursor: cursor}), nil
}

// at says how far the news are; a cursor is how far the log was read, or of a scan where it began and its last entity.
func (m *model) at(n mirror.News) mirror.News {
	if begun, _, scanning := strings.Cut(string(n.Cursor), ":"); !scanning {
		read, _ := strconv.Atoi(begun)
		n.At = map[string]projection.Vector{"log": {0: int64(read)}}
	}
	return n
}

func (m *model) next(cursor string) (mirror.News, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	begun, behind, scanning := strings.Cut(cursor, ":")
	read, err := strconv.Atoi(begun)
	switch {
	case err != nil || read < m.trimmed:
		return m.scan(len(m.log), "", true), true
	case scanning:
		return m.scan(read, behind, false), true
	case read == len(m.log):
		return mirror.News{}, false
	}
	n := mirror.News{Cursor: []byte(strconv.Itoa(len(m.log)))}
	for _, e := range m.log[read:] {
		if e != "" && !slices.Contains(n.Entities, e) {
			n.Entities = append(n.Entities, e)
		}
	}
	return m.at(n), true
}

func (m *model) scan(begun int, behind string, reset bool) mirror.News {
	n := mirror.News{Reset: reset}
	for _, e := range slices.Sorted(maps.Keys(m.entities)) {
		if e <= behind {
			continue
		}
		if len(n.Entities) == m.page {
			n.Cursor = fmt.Appendf(nil, "%d:%s", begun, n.Entities[len(n.Entities)-1])
			return n
		}
		n.Entities = append(n.Entities, e)
	}
	n.Done, n.Cursor = true, []byte(strconv.Itoa(begun))
	return m.at(n)
}

func (m *model) Rows(_ context.Context, entity string) ([]mirror.Row, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.failing[entity] {
		return nil, errors.New("cannot be read")
	}
	var rows []mirror.Row
	for _, data := range m.facts(entity) {
		key := strings.Split(data, "|")[1]
		rows = append(rows, mirror.Row{Table: m.signed, Key: key, Data: []byte(data)}, mirror.Row{Table: m.replace, Key: key, Data: []byte(data)})
	}
	return rows, nil
}

// everything is what the tables should hold.
func (m *model) everything() (byEntity map[string][]string, all []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	byEntity = map[string][]string{}
	for e := range m.entities {
		byEntity[e] = m.facts(e)
		all = append(all, byEntity[e]...)
	}
	slices.Sort(all)
	return byEntity, all
}

// witness sees to it that the table goes through states that there were, in their order.
type witness struct {
	m    *model
	seen map[string]int
}

func (w *witness) look(b *bank) error {
	now, err := b.collapsed()
	if err != nil {
		return err
	}
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	for e, states := range w.m.history {
		is := fmt.Sprint(now[e])
		if is == fmt.Sprint([]string(nil)) && w.seen[e] == 0 {
			continue // nothing of it was sent yet
		}
		from := max(w.seen[e]-1, 0)
		n := slices.Index(states[from:], is)
		if n < 0 {
			return fmt.Errorf("%s was never %s behind what was seen of it, %d of %v", e, is, w.seen[e], states)
		}
		w.seen[e] = from + n + 1
	}
	return nil
}

// store is one whose writes fail.
type store struct {
	kv.Store
	fault func() (when, error)
}

func (s *store) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	at, why := never, error(nil)
	if s.fault != nil {
		at, why = s.fault()
	}
	if at == before {
		return why
	}
	err := s.Store.Apply(ctx, ns, b)
	return cmp.Or(err, why)
}
