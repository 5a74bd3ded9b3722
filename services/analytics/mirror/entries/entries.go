// Package entries mirrors the directory: its entries with their history, and whose the ids are that connectors know.
package entries

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

// Directory keeps the directories of all tenants. It is safe for concurrent use.
type Directory interface {
	directory.Books
	// Tenants are those who have a directory.
	Tenants(ctx context.Context) ([]string, error)
	// Followed brings the books up to what is applied, and tells how far that is in the topic of the directory.
	Followed(ctx context.Context) (projection.Vector, error)
}

// Config is what a Source reads.
type Config struct {
	Directory Directory
	// Wait is how long Next waits for a change at most; 0 for a second.
	Wait time.Duration
	// Page is about how many entities are named at once; 0 for 2048.
	Page int
}

// Source gives the directory. An entity is an entry, or what one id of connectors means. It remembers the books that it has told of, and goes
// through all of them where it does not: when the process begins.
type Source struct {
	cfg             Config
	entries, native *mirror.Table

	memory
	round int64 // of the last cursor
}

var _ mirror.Source = (*Source)(nil)

// New makes the source.
func New(cfg Config) *Source {
	if cfg.Wait == 0 {
		cfg.Wait = time.Second
	}
	if cfg.Page == 0 {
		cfg.Page = 2048
	}
	return &Source{
		cfg: cfg,
		entries: &mirror.Table{
			Name: "directory_entries",
			Columns: []string{
				"tenant", "kind", "id", "valid_from", "valid_until", "name", "teams", "skills", "hours", "time_zone", "open", "closed",
				"within_ms", "goal", "short_abandon_ms",
			},
			Append: mirror.AppendValues,
		},
		native: &mirror.Table{
			Name: "native_ids", Columns: []string{"tenant", "kind", "provider", "native", "valid_from", "valid_until", "id"}, Append: mirror.AppendValues,
		},
	}
}

// Name implements mirror.Source.
func (s *Source) Name() string { return "directory" }

// Tables implements mirror.Source.
func (s *Source) Tables() []*mirror.Table { return []*mirror.Table{s.entries, s.native} }

// separator stands between the parts of an entity's name: none of them has one.
const separator = "\x00"

// What an entity is.
const (
	ofEntry  = "entry"
	ofNative = "native"
)

func entity(tenant, what, kind, id string) string {
	return strings.Join([]string{tenant, what, kind, id}, separator)
}

// Rows implements mirror.Source.
func (s *Source) Rows(ctx context.Context, text string) ([]mirror.Row, error) {
	parts := strings.SplitN(text, separator, 4)
	if len(parts) != 4 {
		return nil, fmt.Errorf("entries: %q is no part of a directory", text)
	}
	tenant, what, kind, id := parts[0], parts[1], parts[2], parts[3]
	book, err := s.cfg.Directory.Book(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("entries: read the directory: %w", err)
	}
	if what == ofNative {
		return s.owners(tenant, book, kind, id), nil
	}
	return s.versions(tenant, book, kind, id), nil
}

// version is a row of an entry.
type version struct {
	from, until int64 // microseconds since 1970
	stated      *eventv1.DirectoryUpdated
	zone        string
}

// versions are the rows of an entry. That a queue's business hours are in another time zone is another version of the queue.
func (s *Source) versions(tenant string, book *directory.Book, kind, id string) []mirror.Row {
	var bounds []int64
	for _, v := range book.Versions(kind, id) {
		bounds = append(bounds, v.From)
		if kind == directory.Queue {
			for _, of := range book.Versions(directory.Hours, v.Stated.GetQueue().GetHours()) {
				bounds = append(bounds, of.From)
			}
		}
	}
	slices.Sort(bounds)
	bounds = append(slices.Compact(bounds), math.MaxInt64)
	var all []version
	for n, from := range bounds[:len(bounds)-1] {
		stated := book.At(kind, id, from)
		v := version{from: mirror.MicrosOf(from), until: mirror.MicrosOf(bounds[n+1]), stated: stated, zone: stated.GetHours().GetTimeZone()}
		if kind == directory.Queue {
			v.zone = book.At(directory.Hours, stated.GetQueue().GetHours(), from).GetHours().GetTimeZone()
		}
		before := len(all) - 1
		switch {
		case stated == nil, v.from == v.until:
		case before >= 0 && all[before].until == v.from && all[before].zone == v.zone && proto.Equal(all[before].bare(), v.bare()):
			all[before].until = v.until
		default:
			all = append(all, v)
		}
	}
	rows := make([]mirror.Row, len(all))
	for n, v := range all {
		rows[n] = mirror.Row{Table: s.entries, Key: fmt.Sprint(v.from), Data: v.encode(tenant, kind, id)}
	}
	return rows
}

// bare is what it says, but for since when.
func (v version) bare() *eventv1.DirectoryUpdated {
	e := proto.CloneOf(v.stated)
	e.ValidFrom = nil
	return e
}

func (v version) encode(tenant, kind, id string) []byte {
	e := v.stated
	skills := maps.Clone(e.GetAgent().GetSkills())
	if skills == nil {
		skills = map[string]int32{}
	}
	for _, name := range e.GetQueue().GetSkills() {
		skills[name] = 0
	}
	level := e.GetQueue().GetServiceLevel()
	var out mirror.Values
	out.Text(tenant)
	out.Text(kind)
	out.Text(id)
	out.Micros(v.from)
	out.Micros(v.until)
	out.Text(cmp.Or(e.GetAgent().GetName(), e.GetTeam().GetName(), e.GetQueue().GetName(), e.GetHours().GetName()))
	out.Texts(append(slices.Clone(e.GetAgent().GetTeams()), e.GetQueue().GetTeams()...))
	out.IntMap(skills)
	out.Text(e.GetQueue().GetHours())
	out.Text(v.zone)
	out.Texts(e.GetHours().GetOpen())
	out.Texts(e.GetHours().GetExcept())
	out.Int64(level.GetWithin().AsDuration().Milliseconds())
	out.Float64(level.GetGoal())
	out.Int64(level.GetShortAbandon().AsDuration().Milliseconds())
	return out.Encoded()
}

// owners are the rows of an id of connectors: for each of them who has it when, and for all others. Who is not among those of a connector at a
// moment is looked up among those of all.
func (s *Source) owners(tenant string, book *directory.Book, kind, id string) []mirror.Row {
	claims := map[string][]int64{} // by connector: where claims begin and end
	for _, owner := range book.IDs(kind) {
		for _, n := range book.Natives(kind, owner)[1:] {
			if n.ID == id {
				claims[n.Provider] = append(claims[n.Provider], n.From, n.Until)
			}
		}
	}
	var rows []mirror.Row
	for _, connector := range slices.Sorted(maps.Keys(claims)) {
		bounds := claims[connector]
		slices.Sort(bounds)
		bounds = slices.Compact(bounds)
		var all []owned
		for n, from := range bounds[:len(bounds)-1] {
			owner, claimed := book.Claimed(kind, connector, id, from)
			o := owned{mirror.MicrosOf(from), mirror.MicrosOf(bounds[n+1]), owner}
			before := len(all) - 1
			switch {
			case !claimed, o.from == o.until:
			case before >= 0 && all[before].until == o.from && all[before].owner == owner:
				all[before].until = o.until
			default:
				all = append(all, o)
			}
		}
		for _, o := range all {
			var v mirror.Values
			v.Text(tenant)
			v.Text(kind)
			v.Text(connector)
			v.Text(id)
			v.Micros(o.from)
			v.Micros(o.until)
			v.Text(o.owner)
			rows = append(rows, mirror.Row{Table: s.native, Key: connector + separator + fmt.Sprint(o.from), Data: v.Encoded()})
		}
	}
	return rows
}

// owned is when an id is somebody's, in microseconds since 1970.
type owned struct {
	from, until int64
	owner       string
}

// topic is the one of which directories are made.
const topic = event.TopicDirectory
