package schema_test

import (
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// world is an engine.
type world struct {
	t   testing.TB
	dsn string // without the database
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return &world{t: t, dsn: chdbtest.Start(t).URL()}
}

// open is a warehouse in a database of that name.
func (w *world) open(database string) *warehouse.Warehouse {
	w.t.Helper()
	wh, err := warehouse.Open(w.dsn + database)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() { _ = wh.Close() })
	return wh
}

// migrated is a warehouse with everything in it.
func (w *world) migrated(database string) *house {
	w.t.Helper()
	h := &house{Warehouse: w.open(database), t: w.t, tokens: new(atomic.Int64)}
	h.migrate(schema.Config{})
	return h
}

// house is a warehouse whose failures end the test.
type house struct {
	*warehouse.Warehouse
	t      testing.TB
	tokens *atomic.Int64
}

// in is the same for another test.
func (h *house) in(t testing.TB) *house {
	t.Helper()
	return &house{Warehouse: h.Warehouse, t: t, tokens: h.tokens}
}

func (h *house) migrate(cfg schema.Config) {
	h.t.Helper()
	if err := schema.Migrate(h.t.Context(), h.Warehouse, cfg, quiet()); err != nil {
		h.t.Fatal(err)
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func (h *house) exec(sql string, args ...any) {
	h.t.Helper()
	if err := h.Exec(h.t.Context(), sql, args...); err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
}

// lines are the rows of a query, each as a line of values as ClickHouse's JSON has them, between blanks.
func (h *house) lines(sql string, args ...any) []string {
	h.t.Helper()
	out, err := lines(h.t.Context(), h.Warehouse, sql, args...)
	if err != nil {
		h.t.Fatalf("%s: %v", sql, err)
	}
	return out
}

func lines(ctx context.Context, w *warehouse.Warehouse, sql string, args ...any) (out []string, err error) {
	rows, err := w.Query(ctx, sql, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	types := rows.ColumnTypes()
	for rows.Next() {
		values := make([]any, len(types))
		for i, t := range types {
			values[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(values...); err != nil {
			return nil, err
		}
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = word(reflect.ValueOf(v).Elem().Interface())
		}
		out = append(out, strings.Join(words, " "))
	}
	return out, rows.Err()
}

func word(v any) string {
	switch v := v.(type) {
	case time.Time:
		return v.Format("2006-01-02T15:04:05.999Z07:00")
	case string:
		if v == "" {
			return "-"
		}
		return v
	case []string:
		return strings.ReplaceAll(fmt.Sprintf("%q", v), `" "`, `","`)
	}
	if p := reflect.ValueOf(v); p.Kind() == reflect.Pointer {
		if p.IsNil() {
			return "-"
		}
		return word(p.Elem().Interface())
	}
	return fmt.Sprint(v)
}

// is fails unless the rows of a query are those lines.
func (h *house) is(sql string, want ...string) {
	h.t.Helper()
	if got := h.lines(sql); !equal(got, want) {
		h.t.Errorf("%s\n got %s\nwant %s", sql, strings.Join(got, "\n     "), strings.Join(want, "\n     "))
	}
}

func equal(a, b []string) bool {
	return len(a) == 0 && len(b) == 0 || reflect.DeepEqual(a, b)
}

// insert writes rows under a token of their own.
func (h *house) insert(rows *table) {
	h.t.Helper()
	h.insertAs(fmt.Sprintf("%s-%d", h.t.Name(), h.tokens.Add(1)), rows)
}

func (h *house) insertAs(token string, rows *table) {
	h.t.Helper()
	if err := h.Insert(h.t.Context(), token, rows); err != nil {
		h.t.Fatal(err)
	}
}

// row is a row by column.
type row map[string]any

// table are rows of a table. Columns that a row lacks have their default.
type table struct {
	name    string
	columns []string
	rows    []row
}

func (t *table) Table() string     { return t.name }
func (t *table) Columns() []string { return t.columns }
func (t *table) Len() int          { return len(t.rows) }
func (t *table) Append(b driver.Batch) error {
	for _, r := range t.rows {
		values := make([]any, len(t.columns))
		for i, c := range t.columns {
			values[i] = r[c]
		}
		if err := b.Append(values...); err != nil {
			return err
		}
	}
	return nil
}

// of makes rows of a table; all have the columns of the first one.
func of(name string, rows ...row) *table {
	t := &table{name: name, rows: rows}
	if len(rows) > 0 {
		for c := range rows[0] {
			t.columns = append(t.columns, c)
		}
	}
	return t
}

// at is a time in UTC.
func at(s string) time.Time {
	for _, layout := range []string{"2006-01-02 15:04:05.999", "2006-01-02"} {
		if t, err := time.Parse(layout, s); err == nil {
			return t
		}
	}
	panic("no time: " + s)
}
