package entries_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/mirror"
	"github.com/skein-cx/skein/services/analytics/mirror/entries"
)

// shelf is a directory whose books the test states.
type shelf struct {
	books   map[string]*directory.Book
	changed chan struct{}
}

func newShelf() *shelf {
	return &shelf{books: map[string]*directory.Book{}, changed: make(chan struct{})}
}

func (s *shelf) Book(_ context.Context, tenant string) (*directory.Book, error) {
	return s.books[tenant], nil
}

func (s *shelf) Changed() <-chan struct{} { return s.changed }

func (s *shelf) Tenants(context.Context) ([]string, error) {
	return slices.Sorted(maps.Keys(s.books)), nil
}

func (s *shelf) Followed(context.Context) (projection.Vector, error) {
	return projection.Vector{0: 7}, nil
}

const hour = int64(time.Hour)

func drawVersions(rt *rapid.T, label string, state func() *eventv1.DirectoryUpdated) (all []directory.Version) {
	from := int64(0)
	for range rapid.IntRange(0, 3).Draw(rt, label) {
		from += int64(rapid.IntRange(1, 3).Draw(rt, "hours")) * hour
		all = append(all, directory.Version{From: from + int64(rapid.SampledFrom([]int{0, 0, 1}).Draw(rt, "nanoseconds")), Stated: state()})
	}
	return all
}

func drawBook(rt *rapid.T) *directory.Book {
	of := map[string]map[string][]directory.Version{directory.Agent: {}, directory.Queue: {}, directory.Hours: {}}
	ids := func() []*eventv1.NativeId {
		return rapid.SliceOfN(rapid.SampledFrom([]*eventv1.NativeId{
			{Provider: "asterisk", Id: "101"}, {Provider: "desk", Id: "101"}, {Id: "101"}, {Id: "mei"}, {Provider: "desk", Id: "bo"},
		}), 0, 3).Draw(rt, "ids")
	}
	removed := func() bool { return rapid.IntRange(0, 4).Draw(rt, "removed at 0") == 0 }
	for _, who := range []string{"mei", "bo", "li"} {
		of[directory.Agent][who] = drawVersions(rt, who, func() *eventv1.DirectoryUpdated {
			return &eventv1.DirectoryUpdated{Removed: removed(), Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{
				Name: who, Ids: ids(), Teams: []string{"a"}, Skills: map[string]int32{"de": 3, "en": 1},
			}}}
		})
	}
	of[directory.Queue]["sales"] = drawVersions(rt, "sales", func() *eventv1.DirectoryUpdated {
		return &eventv1.DirectoryUpdated{Removed: removed(), Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{
			Name: "Sales", Ids: ids(), Hours: rapid.SampledFrom([]string{"", "office"}).Draw(rt, "hours"), ServiceLevel: &eventv1.ServiceLevel{Goal: 0.8},
		}}}
	})
	of[directory.Hours]["office"] = drawVersions(rt, "office", func() *eventv1.DirectoryUpdated {
		return &eventv1.DirectoryUpdated{Removed: removed(), Entry: &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{
			TimeZone: rapid.SampledFrom([]string{"", "Europe/Berlin", "Asia/Shanghai"}).Draw(rt, "zone"),
		}}}
	})
	return directory.NewBook(of)
}

type row struct {
	driver.Batch
	values []any
}

func (r *row) Append(values ...any) error {
	r.values = values
	return nil
}

// table is what a mirror makes of a source.
type table struct {
	cursor []byte
	rows   map[string][]mirror.Row
	unseen map[string]bool
}

func (c *table) follow(t rapid.TB, s *entries.Source) {
	t.Helper()
	for quiet := false; !quiet; {
		n, err := s.Next(context.Background(), c.cursor)
		if err != nil {
			t.Fatal(err)
		}
		if n.Reset {
			c.unseen = map[string]bool{}
			for e := range c.rows {
				c.unseen[e] = true
			}
		}
		named := n.Entities
		for _, e := range named {
			delete(c.unseen, e)
		}
		if n.Done {
			named = append(slices.Clone(named), slices.Collect(maps.Keys(c.unseen))...)
		}
		for _, e := range named {
			if c.rows[e], err = s.Rows(context.Background(), e); err != nil {
				t.Fatal(err)
			}
		}
		c.cursor, quiet = n.Cursor, len(n.Entities) == 0 && n.At != nil
	}
}

// of gives the values of a table's rows, in order.
func (c *table) of(t rapid.TB, name string) (all [][]any) {
	t.Helper()
	for _, e := range slices.Sorted(maps.Keys(c.rows)) {
		keys := map[string]bool{}
		for _, r := range c.rows[e] {
			if keys[r.Table.Name+r.Key] {
				t.Fatalf("two rows of %q have the key %q", e, r.Key)
			}
			keys[r.Table.Name+r.Key] = true
			if r.Table.Name == name {
				b := &row{}
				if err := r.Table.Append(b, r.Data); err != nil {
					t.Fatal(err)
				}
				all = append(all, b.values)
			}
		}
	}
	return all
}

// looked finds the row of a key at a moment; nil where there is none, an error where there are several.
func looked(t rapid.TB, all [][]any, from, until int, at time.Time, key ...any) (found []any) {
	t.Helper()
	for _, r := range all {
		if slices.Equal(r[:len(key)], key) && !at.Before(as[time.Time](r[from])) && at.Before(as[time.Time](r[until])) {
			if found != nil {
				t.Fatalf("%v and %v overlap", found, r)
			}
			found = r
		}
	}
	return found
}

// Whatever directories say, and however they change: who is looked up in the tables is who the book says, and an entry is what it says.
func TestTheTablesSayWhatTheBookSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		shelf, c := newShelf(), &table{rows: map[string][]mirror.Row{}}
		open := func() *entries.Source {
			return entries.New(entries.Config{Directory: shelf, Wait: time.Nanosecond, Page: 3})
		}
		source := open()
		for range rapid.IntRange(1, 4).Draw(rt, "changes") {
			shelf.books[rapid.SampledFrom([]string{"acme", "zeta"}).Draw(rt, "tenant")] = drawBook(rt)
			if rapid.IntRange(0, 3).Draw(rt, "restarts at 0") == 0 {
				source = open()
			}
			if rapid.IntRange(0, 3).Draw(rt, "goes back at 0") == 0 {
				c.cursor = nil
			}
			c.follow(rt, source)
		}
		natives, versions := c.of(rt, "native_ids"), c.of(rt, "directory_entries")
		for tenant, book := range shelf.books {
			for moment := range int64(24) {
				nanos := moment * hour / 2
				at := time.Unix(0, nanos)
				for _, kind := range []string{directory.Agent, directory.Queue} {
					for _, provider := range []string{"asterisk", "desk", "web", ""} {
						for _, id := range []string{"101", "mei", "bo"} {
							got := id
							if r := looked(rt, natives, 4, 5, at, tenant, kind, provider, id); r != nil {
								got = as[string](r[6])
							} else if r := looked(rt, natives, 4, 5, at, tenant, kind, "", id); r != nil {
								got = as[string](r[6])
							}
							if want := book.Owner(kind, provider, id, nanos+999); got != want {
								rt.Fatalf("%s %s %q %s at %v: %s instead of %s", tenant, kind, provider, id, at, got, want)
							}
						}
					}
				}
				for _, kind := range []string{directory.Agent, directory.Queue, directory.Hours} {
					for _, id := range book.IDs(kind) {
						r, e := looked(rt, versions, 3, 4, at, tenant, kind, id), book.At(kind, id, nanos+999)
						if (r == nil) != (e == nil) {
							rt.Fatalf("%s %s at %v: %v; the book says %v", kind, id, at, r, e)
						}
						if r == nil {
							continue
						}
						if name := e.GetAgent().GetName() + e.GetQueue().GetName(); r[5] != name {
							rt.Fatalf("%v is called %q", r, name)
						}
						zone := e.GetHours().GetTimeZone()
						if kind == directory.Queue {
							zone = book.At(directory.Hours, e.GetQueue().GetHours(), nanos+999).GetHours().GetTimeZone()
						}
						if r[9] != zone {
							rt.Fatalf("%v at %v: the time zone is %q", r, at, zone)
						}
					}
				}
			}
		}
	})
}

func TestAChangeNamesWhatItConcernsOnly(t *testing.T) {
	shelf := newShelf()
	agents := func(name string) map[string][]directory.Version {
		of := map[string][]directory.Version{}
		for n := range 1000 {
			who := fmt.Sprint("agent", n)
			of[who] = []directory.Version{{From: 0, Stated: &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{
				Name: who, Ids: []*eventv1.NativeId{{Provider: "desk", Id: fmt.Sprint(n)}},
			}}}}}
		}
		of["agent7"][0].Stated.GetAgent().Name = name
		return of
	}
	shelf.books["acme"] = directory.NewBook(map[string]map[string][]directory.Version{directory.Agent: agents("Mei")})
	source, c := entries.New(entries.Config{Directory: shelf, Wait: time.Nanosecond}), &table{rows: map[string][]mirror.Row{}}
	c.follow(t, source)
	shelf.books["acme"] = directory.NewBook(map[string]map[string][]directory.Version{directory.Agent: agents("Mei Li")})
	n, err := source.Next(t.Context(), c.cursor)
	if err != nil || n.Reset || len(n.Entities) != 2 || bytes.Equal(n.Cursor, c.cursor) {
		t.Errorf("%+v, %v", n, err)
	}
}

// as is a value of a row, as what its column holds.
func as[T any](v any) T {
	of, _ := v.(T)
	return of
}
