package sink_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/sink"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// shelf is a ClickHouse in memory, as far as the sink sees it: tables that take blocks of the native format, once for each token.
type shelf struct {
	t testing.TB

	mu     sync.Mutex
	tables map[string]*stack // by database and name
	bytes  map[string][]byte // of an insert, by table and token
	refuse func(table string, r record) bool
	twice  int // inserts that came again
	ids    int

	book           // the progress of what serves
	building *book // and of what is built
}

// book is what progress says.
type book struct {
	next    map[sink.Partition]int64
	last    map[sink.Partition]time.Time
	written time.Time
}

func newBook() *book {
	return &book{next: map[sink.Partition]int64{}, last: map[sink.Partition]time.Time{}}
}

type stack struct {
	id     string
	rows   []record
	tokens map[string]bool
}

type record map[string]any

func newShelf(t testing.TB) *shelf {
	t.Helper()
	s := &shelf{
		t: t, tables: map[string]*stack{}, bytes: map[string][]byte{}, book: *newBook(), building: newBook(),
	}
	s.make("")
	return s
}

var filled = []string{"events", "messages", "surveys", "rejected_events"}

func (s *shelf) make(database string) {
	for _, name := range append([]string{"progress"}, filled...) {
		if s.tables[database+name] == nil {
			s.ids++
			s.tables[database+name] = &stack{id: fmt.Sprint(s.ids), tokens: map[string]bool{}}
		}
	}
}

type sheet struct {
	driver.Batch
	block *proto.Block
}

func (s sheet) Column(i int) driver.BatchColumn { return cell{s.block.Columns[i]} }

type cell struct{ column.Interface }

func (c cell) Append(v any) error {
	_, err := c.Interface.Append(v)
	return err
}

// fold encodes rows as the driver sends them, which is how they encode themselves.
func fold(rows warehouse.Rows) ([]byte, error) {
	typed, ok := rows.(warehouse.Typed)
	if !ok {
		return nil, fmt.Errorf("%T does not tell its types", rows)
	}
	block := proto.NewBlock()
	for i, typ := range typed.Types() {
		if err := block.AddColumn(rows.Columns()[i], column.Type(typ)); err != nil {
			return nil, err
		}
	}
	if err := rows.Append(sheet{block: block}); err != nil {
		return nil, err
	}
	var b chproto.Buffer
	if err := block.Encode(&b, 0); err != nil {
		return nil, err
	}
	if n, ok := rows.(warehouse.Native); ok {
		own, err := io.ReadAll(n.Native())
		if err != nil || !bytes.Equal(own, b.Buf) {
			return nil, fmt.Errorf("%s is encoded in another way than the driver does it: %w", rows.Table(), err)
		}
	}
	return b.Buf, nil
}

// unfold gives rows as ClickHouse reads them from what the driver sends.
func unfold(rows warehouse.Rows) ([]record, []byte, error) {
	raw, err := fold(rows)
	if err != nil {
		return nil, nil, err
	}
	read := proto.NewBlock()
	if err := read.Decode(chproto.NewReader(bytes.NewReader(raw)), 0); err != nil {
		return nil, nil, err
	}
	out := make([]record, rows.Len())
	for i := range out {
		out[i] = record{}
		for n, c := range read.Columns {
			out[i][rows.Columns()[n]] = c.Row(i, false)
		}
	}
	return out, raw, nil
}

func (s *shelf) Ready(rows warehouse.Rows) {
	if n, ok := rows.(warehouse.Native); ok && rows.Len() > 0 {
		n.Encode()
	}
}

func (s *shelf) Insert(ctx context.Context, token string, rows warehouse.Rows) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if rows.Len() == 0 {
		return nil
	}
	records, raw, err := unfold(rows)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.tables[rows.Table()]
	if t == nil {
		return &clickhouse.Exception{Code: 60, Message: "there is no table " + rows.Table()}
	}
	for _, r := range records {
		if s.refuse != nil && s.refuse(rows.Table(), r) {
			return fmt.Errorf("insert: %w", &clickhouse.Exception{Code: 469, Message: "constraint"})
		}
	}
	if t.tokens[token] {
		s.twice++
		if table := rows.Table(); table != "rejected_events" && !bytes.Equal(s.bytes[t.id+token], raw) {
			s.t.Errorf("the token %s was used for other rows of %s", token, table)
		}
		return nil
	}
	t.tokens[token], s.bytes[t.id+token] = true, raw
	t.rows = append(t.rows, records...)
	for _, r := range records {
		switch rows.Table() {
		case "progress":
			s.progress(r)
		case buildings + ".progress":
			s.building.progress(r)
		}
	}
	return nil
}

func (s *shelf) Contained(_ context.Context, database string) (map[sink.Partition]int64, time.Time, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if database == buildings {
		return maps.Clone(s.building.next), s.building.written, nil
	}
	return maps.Clone(s.next), s.written, nil
}

// progress is what a row of progress says, unless one says it that was written later.
func (s *book) progress(r record) {
	p, at := sink.Partition{Topic: is[string](r, "topic"), Partition: is[int32](r, "partition")}, is[time.Time](r, "written_at")
	if !at.Before(s.last[p]) {
		s.next[p], s.last[p] = is[int64](r, "next_offset"), at
	}
	s.written = later(s.written, at)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

const buildings = "build"

func (s *shelf) Build(context.Context) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.make(buildings + ".")
	return buildings, nil
}

func (s *shelf) Built(context.Context) (map[string]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	built := map[string]string{}
	for _, name := range filled {
		t := s.tables[buildings+"."+name]
		if t == nil {
			return nil, schema.ErrGone
		}
		built[name] = t.id
	}
	return built, nil
}

func (s *shelf) Switch(_ context.Context, built map[string]string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name, id := range built {
		waiting := s.tables[buildings+"."+name]
		if s.tables[name].id != id && (waiting == nil || waiting.id != id) {
			return schema.ErrGone
		}
	}
	for name, id := range built {
		if s.tables[name].id != id {
			s.tables[name], s.tables[buildings+"."+name] = s.tables[buildings+"."+name], s.tables[name]
		}
	}
	return nil
}

func (s *shelf) Discard(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.building = newBook()
	maps.DeleteFunc(s.tables, func(name string, _ *stack) bool { return strings.HasPrefix(name, buildings+".") })
	return nil
}

// rows are those of a table, as they are now.
func (s *shelf) rows(table string) []record {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]record(nil), s.tables[table].rows...)
}

// is gives what a row has in a column, which is of a type.
func is[T any](r record, name string) T {
	v, ok := r[name].(T)
	if !ok {
		panic(fmt.Sprintf("%s is a %T", name, r[name]))
	}
	return v
}
