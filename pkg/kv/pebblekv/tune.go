package pebblekv

import (
	"time"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/bloom"
)

const (
	defaultCache = 256 << 20
	memTable     = 64 << 20
)

// tune sets Pebble up for the read models: many small inserts in random places, lookups that mostly miss, and short scans
// from the end of a prefix.
func tune(cacheBytes int64, r *reporter) *pebble.Options {
	if cacheBytes <= 0 {
		cacheBytes = defaultCache
	}
	o := &pebble.Options{
		FormatMajorVersion: pebble.FormatNewest,
		Logger:             r,
		EventListener:      r.listener(),

		// Pebble takes its memtables out of the cache: one that is written and one that is flushed come on top here.
		CacheSize: cacheBytes + 2*memTable,

		// Large memtables give few, long flushes. Four of them absorb a burst while one is flushed.
		MemTableSize:                memTable,
		MemTableStopWritesThreshold: 4,

		// Each sublevel of L0 costs every read, so it is emptied early; writes wait for it only when compactions are far
		// behind.
		L0CompactionThreshold:      2,
		L0StopWritesThreshold:      20,
		CompactionConcurrencyRange: func() (lower, upper int) { return 1, 2 },

		// A dropped namespace gives its space back although nothing more is written.
		FlushDelayDeleteRange: 10 * time.Second,
	}
	// Blocks of 16 KB hold the last 50 events of a customer in one or two. Records are mostly ids and hashes, of
	// which zstd in the lower levels saved 1 % more.
	o.Levels[0].BlockSize = 16 << 10
	o.Levels[0].IndexBlockSize = 64 << 10
	o.Levels[0].FilterPolicy = bloom.FilterPolicy(10) // the levels below inherit it
	o.ApplyCompressionSettings(func() pebble.DBCompressionSettings { return pebble.DBCompressionFastest })
	// A filter is read as a whole: tables of at most 32 MB keep it small.
	o.TargetFileSizes[0] = 2 << 20
	for i := 1; i < len(o.TargetFileSizes); i++ {
		o.TargetFileSizes[i] = min(2*o.TargetFileSizes[i-1], 32<<20)
	}
	return o
}
