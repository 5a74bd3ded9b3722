package agents

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/fnv"
	"maps"
	"slices"

	"github.com/skein-cx/skein/pkg/directory"
)

// book is a directory, and what its agents were ever called.
type book struct {
	*directory.Book
	claimants map[string][]string // by the id of a connector
	sums      map[string]uint64   // of each agent: what is the agent's, and when
}

func newBook(b *directory.Book) *book {
	x := &book{Book: b, claimants: map[string][]string{}, sums: map[string]uint64{}}
	for _, agent := range b.IDs(directory.Agent) {
		h := fnv.New64a()
		var number []byte
		for n, native := range b.Natives(directory.Agent, agent) {
			if n > 0 && !slices.Contains(x.claimants[native.ID], agent) {
				x.claimants[native.ID] = append(x.claimants[native.ID], agent)
			}
			_, _ = fmt.Fprintf(h, "%q %q", native.Provider, native.ID) // a hash never fails
			for _, span := range b.Spans(directory.Agent, native.Provider, native.ID, agent) {
				number = binary.BigEndian.AppendUint64(number[:0], uint64(span.From))
				_, _ = h.Write(binary.BigEndian.AppendUint64(number, uint64(span.Until)))
			}
		}
		x.sums[agent] = h.Sum64()
	}
	return x
}

// sum tells one state of all that agents are called from another.
func (x *book) sum() uint64 {
	h := fnv.New64a()
	for _, agent := range slices.Sorted(maps.Keys(x.sums)) {
		_, _ = fmt.Fprintf(h, "%q %x", agent, x.sums[agent]) // a hash never fails
	}
	return h.Sum64()
}

// concerned are the agents who may have events under an id.
func (x *book) concerned(id string) []string {
	if slices.Contains(x.claimants[id], id) {
		return x.claimants[id]
	}
	return append([]string{id}, x.claimants[id]...)
}

// ids are those under which events of an agent may stand.
func (x *book) ids(agent string) []string {
	var all []string
	for _, n := range x.Natives(directory.Agent, agent) {
		if !slices.Contains(all, n.ID) {
			all = append(all, n.ID)
		}
	}
	return all
}

// others are the agents, known to the directory or not, who may have other events than by the book before; nobody where there was none.
func (x *book) others(before *book) []string {
	if before == nil {
		return nil
	}
	all := map[string]struct{}{}
	for _, of := range [][2]*book{{x, before}, {before, x}} {
		for agent, sum := range of[0].sums {
			if other, there := of[1].sums[agent]; there && other == sum {
				continue
			}
			for _, b := range of {
				for _, id := range b.ids(agent) {
					for _, who := range b.concerned(id) {
						all[who] = struct{}{}
					}
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(all))
}

// book gives the directory of a tenant as it is now.
func (s *Source) book(ctx context.Context, tenant string) (*book, error) {
	b, err := s.cfg.Books.Book(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("agents: read the directory: %w", err)
	}
	if known := s.latest[tenant]; known != nil && known.Book == b {
		return known, nil
	}
	x := newBook(b)
	s.latest[tenant] = x
	return x, nil
}
