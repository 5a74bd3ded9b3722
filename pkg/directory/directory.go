// Package directory is what a tenant's directory says, as those see it who read events: whose the ids are that connectors know, who is
// in which team, and when a queue is open.
//
// Events name agents and queues as their connectors do. Whose those ids are is looked up when events are read, as of the moment at which
// they happened: an extension that another agent got on Monday gives each of them their own calls.
package directory

import (
	"cmp"
	"context"
	"iter"
	"maps"
	"math"
	"slices"
	"time"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The kinds of entries.
const (
	Agent   = "agent"
	Team    = "team"
	Queue   = "queue"
	Hours   = "hours"
	Setting = "setting"
)

// Books gives the directory of each tenant as it is at present. It is implemented by the service that keeps it, and safe for concurrent
// use.
type Books interface {
	// Book gives a tenant's; an empty one where the tenant has none. It does not change: ask again.
	Book(ctx context.Context, tenant string) (*Book, error)
	// Changed gives a channel that is closed when some book is another one. Take it before asking for the book.
	Changed() <-chan struct{}
}

// Version is what an entry says from a moment on.
type Version struct {
	// From is in nanoseconds since 1970.
	From int64
	// Stated has the entry; Removed where there is none from then on.
	Stated *eventv1.DirectoryUpdated
}

// Book is the directory of a tenant: every entry in each of its versions. It does not change, and is safe for concurrent use. The zero
// value, and nil, are empty.
type Book struct {
	entries map[string]map[string][]Version // by kind and id, in order of their moments
	ids     map[string][]string             // by kind, in their order
	natives map[string]map[native][]claim   // by kind; those that begin later behind
	zones   map[string]*time.Location       // that hours name
}

// native is what a connector calls something.
type native struct{ provider, id string }

// claim is a stretch of time in which an entry says that a native id is its own.
type claim struct {
	from, until int64
	entry       string
}

// NewBook makes a book of the versions of each entry, by kind and id, in order of their moments. Of several of one moment the last
// counts. It keeps the maps.
func NewBook(entries map[string]map[string][]Version) *Book {
	b := &Book{entries: entries, ids: map[string][]string{}, natives: map[string]map[native][]claim{}, zones: map[string]*time.Location{}}
	for kind, of := range entries {
		b.ids[kind] = slices.Sorted(maps.Keys(of))
		claims := map[native][]claim{}
		for _, id := range b.ids[kind] {
			of[id] = decisive(of[id])
			for _, v := range of[id] {
				b.know(v.Stated.GetHours().GetTimeZone())
			}
			for _, n := range claimed(of[id]) {
				k := native{n.Provider, n.ID}
				claims[k] = append(claims[k], claim{n.From, n.Until, id})
			}
		}
		for k := range claims {
			slices.SortStableFunc(claims[k], func(x, y claim) int { return cmp.Compare(x.from, y.from) })
		}
		b.natives[kind] = claims
	}
	return b
}

// decisive leaves the last of several versions of one moment.
func decisive(versions []Version) []Version {
	again := func(n int) bool { return n > 0 && versions[n-1].From == versions[n].From }
	n := 0
	for n < len(versions) && !again(n) {
		n++
	}
	if n == len(versions) {
		return versions
	}
	kept := make([]Version, 0, len(versions))
	for _, v := range versions {
		if n := len(kept); n > 0 && kept[n-1].From == v.From {
			kept[n-1] = v
		} else {
			kept = append(kept, v)
		}
	}
	return kept
}

// know looks a time zone up. One that this machine does not know, or that depends on the machine, is UTC.
func (b *Book) know(zone string) {
	if _, known := b.zones[zone]; known || zone == "" || zone == "Local" {
		return
	}
	if at, err := time.LoadLocation(zone); err == nil {
		b.zones[zone] = at
	}
}

// claimed are the ids of connectors that an entry claims. What several of its versions claim in a row it claims since the first of them.
func claimed(versions []Version) []Native {
	var all []Native
	for n, v := range versions {
		until := int64(math.MaxInt64)
		if n+1 < len(versions) {
			until = versions[n+1].From
		}
		for _, k := range nativeIDs(v.Stated) {
			same := func(c Native) bool {
				return c.Provider == k.GetProvider() && c.ID == k.GetId() && (c.Until == v.From || c.Until == until)
			}
			if i := slices.IndexFunc(all, same); i >= 0 {
				all[i].Until = until
			} else {
				all = append(all, Native{k.GetProvider(), k.GetId(), v.From, until})
			}
		}
	}
	return all
}

func nativeIDs(e *eventv1.DirectoryUpdated) []*eventv1.NativeId {
	switch {
	case e.GetRemoved():
		return nil
	case e.GetAgent() != nil:
		return e.GetAgent().GetIds()
	}
	return e.GetQueue().GetIds()
}

// At gives what an entry says at a moment (nanoseconds since 1970); nil where there is none, or it was removed.
func (b *Book) At(kind, id string, nanos int64) *eventv1.DirectoryUpdated {
	v := b.version(kind, id, nanos)
	if v == nil || v.Stated.GetRemoved() {
		return nil
	}
	return v.Stated
}

// Removed tells whether an entry was there and is not any more at a moment.
func (b *Book) Removed(kind, id string, nanos int64) bool {
	v := b.version(kind, id, nanos)
	return v != nil && v.Stated.GetRemoved()
}

func (b *Book) version(kind, id string, nanos int64) *Version {
	versions := b.Versions(kind, id)
	n, found := slices.BinarySearchFunc(versions, nanos, func(v Version, at int64) int { return cmp.Compare(v.From, at) })
	if !found {
		n--
	}
	if n < 0 {
		return nil
	}
	return &versions[n]
}

// Versions are those of an entry, in order of their moments. They are lent.
func (b *Book) Versions(kind, id string) []Version {
	if b == nil {
		return nil
	}
	return b.entries[kind][id]
}

// IDs are those of all entries of a kind that there ever were or are going to be, in their order. They are lent.
func (b *Book) IDs(kind string) []string {
	if b == nil {
		return nil
	}
	return b.ids[kind]
}

// All yields the entries of a kind that hold at a moment, in order of their ids.
func (b *Book) All(kind string, nanos int64) iter.Seq2[string, *eventv1.DirectoryUpdated] {
	return func(yield func(string, *eventv1.DirectoryUpdated) bool) {
		for _, id := range b.IDs(kind) {
			if e := b.At(kind, id, nanos); e != nil && !yield(id, e) {
				return
			}
		}
	}
}

// Owner gives the id of the entry whose a connector's id is at a moment: of the entry that claims it for that provider, else of
// one that claims it for all, else the id itself, whether or not there is an entry of that name. So what an entry says of an id counts
// more than that another one is named so.
//
// Where several claim it, the one that began to do so last counts: to be stated anew, with the id or under another name, takes nothing
// back from who has it since. Where they began at one moment, it is the last of them in the order of their ids.
func (b *Book) Owner(kind, provider, id string, nanos int64) string {
	if id == "" {
		return id
	}
	for _, connector := range [2]string{provider, ""} {
		if owner, claimed := b.Claimed(kind, connector, id, nanos); claimed {
			return owner
		}
	}
	return id
}

// Claimed gives the entry whose a connector's id is at a moment by what is said of that connector alone, or, where the provider is empty, of
// all; false where none claims it.
func (b *Book) Claimed(kind, provider, id string, nanos int64) (owner string, claimed bool) {
	if b == nil {
		return "", false
	}
	for _, c := range slices.Backward(b.natives[kind][native{provider, id}]) {
		if c.from <= nanos && nanos < c.until {
			return c.entry, true
		}
	}
	return "", false
}

// Native is what a connector calls an entry, and when.
type Native struct {
	Provider, ID string // the provider is empty for all
	From, Until  int64
}

// Natives gives all that an entry was ever called, its own id first. Whether an event that carries one of them is the entry's, Owner
// tells: another may have claimed it.
func (b *Book) Natives(kind, id string) []Native {
	return append([]Native{{ID: id, From: math.MinInt64, Until: math.MaxInt64}}, claimed(b.Versions(kind, id))...)
}

// Location gives the time zone of a queue's business hours at a moment; UTC where it has none, or one that this machine does not know.
func (b *Book) Location(queue string, nanos int64) *time.Location {
	hours := b.At(Hours, b.At(Queue, queue, nanos).GetQueue().GetHours(), nanos).GetHours()
	if b != nil {
		if zone := b.zones[hours.GetTimeZone()]; zone != nil {
			return zone
		}
	}
	return time.UTC
}

// Next is the first moment behind another one from which on some entry says something else; false where nothing of that kind is known.
func (b *Book) Next(nanos int64) (next int64, found bool) {
	if b == nil {
		return 0, false
	}
	for _, of := range b.entries {
		for _, versions := range of {
			n, at := slices.BinarySearchFunc(versions, nanos, func(v Version, at int64) int { return cmp.Compare(v.From, at) })
			if at {
				n++
			}
			if n < len(versions) && (!found || versions[n].From < next) {
				next, found = versions[n].From, true
			}
		}
	}
	return next, found
}
