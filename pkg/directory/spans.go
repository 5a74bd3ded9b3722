package directory

import (
	"iter"
	"maps"
	"slices"
)

// Span is the moments from From (included) to Until (excluded), in nanoseconds since 1970.
type Span struct{ From, Until int64 }

// Spans gives when a connector's id is an entry's, by Owner, in order.
func (b *Book) Spans(kind, provider, id, owner string) []Span {
	const first, last = -1 << 63, 1<<63 - 1
	bounds := []int64{first, last}
	if b != nil {
		for _, k := range []native{{provider, id}, {"", id}} {
			for _, o := range b.natives[kind][k] {
				bounds = append(bounds, o.from, o.until)
			}
		}
	}
	slices.Sort(bounds)
	bounds = slices.Compact(bounds)
	var all []Span
	for n, from := range bounds[:len(bounds)-1] {
		switch {
		case b.Owner(kind, provider, id, from) != owner:
		case len(all) > 0 && all[len(all)-1].Until == from:
			all[len(all)-1].Until = bounds[n+1]
		default:
			all = append(all, Span{from, bounds[n+1]})
		}
	}
	return all
}

// Entries are the ids of a kind of which anything was ever stated, in no order.
func (b *Book) Entries(kind string) iter.Seq[string] {
	if b == nil {
		return func(func(string) bool) {}
	}
	return maps.Keys(b.entries[kind])
}
