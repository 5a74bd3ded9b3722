package pebblekv

import (
	"hash/maphash"
	"slices"
	"sync"

	"github.com/skein-cx/skein/pkg/kv"
)

// stripes keeps batches that require the same key apart. A key belongs to one of the locks; two keys may share one.
type stripes struct {
	seed  maphash.Seed
	locks [256]sync.Mutex
}

// lock takes the locks of the required keys, and returns what gives them back. Everybody takes them in ascending order, so
// that nobody waits for one another.
func (s *stripes) lock(sp space, requires []kv.Requirement) (unlock func()) {
	indices := make([]int, 0, 8)
	for _, r := range requires {
		var h maphash.Hash
		h.SetSeed(s.seed)
		_, _ = h.Write(sp.prefix) // a hash never fails
		_, _ = h.Write(r.Key)
		indices = append(indices, int(h.Sum64()%uint64(len(s.locks))))
	}
	slices.Sort(indices)
	indices = slices.Compact(indices)
	for _, i := range indices {
		s.locks[i].Lock()
	}
	return func() {
		for _, i := range indices {
			s.locks[i].Unlock()
		}
	}
}

// lockAll keeps out every batch that requires something.
func (s *stripes) lockAll() (unlock func()) {
	for i := range s.locks {
		s.locks[i].Lock()
	}
	return func() {
		for i := range s.locks {
			s.locks[i].Unlock()
		}
	}
}
