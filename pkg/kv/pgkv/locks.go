package pgkv

import (
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/skein-cx/skein/pkg/kv"
)

// maxKeyLocks is how many locks a batch takes for its required keys. One that requires more takes the namespace's lock for
// itself alone: the server's table of locks has room for some thousands only.
const maxKeyLocks = 64

// Advisory locks are numbers that all who use the database share. Those of two things that happen to be equal make them
// wait for one another, no more.
func lockNumber(parts ...string) int64 {
	h := xxhash.New()
	for _, p := range append([]string{"skein"}, parts...) {
		_, _ = h.WriteString(p) // a hash never fails
		_, _ = h.Write([]byte{0})
	}
	return int64(h.Sum64())
}

func schemaLock(schema string) int64 { return lockNumber("schema", schema) }

func (s *Store) namespaceLock(ns kv.Namespace) int64 {
	return lockNumber("namespace", s.schema, ns.String())
}

// keyLocks are the locks of the required keys in ascending order, so that nobody waits for one another.
func (s *Store) keyLocks(ns kv.Namespace, requires []kv.Requirement) []int64 {
	locks := make([]int64, 0, len(requires))
	for _, r := range requires {
		locks = append(locks, lockNumber("key", s.schema, ns.String(), string(r.Key)))
	}
	slices.Sort(locks)
	return slices.Compact(locks)
}
