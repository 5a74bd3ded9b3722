package pebblekv

import (
	"context"
	"log/slog"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"
)

// OpenFS is Open on a file system for tests.
func OpenFS(dir string, opts Options, fs vfs.FS) (*Store, error) { return open(dir, opts, fs) }

// Tuned are the options with which Open opens Pebble, for comparisons.
func Tuned() *pebble.Options {
	return tune(0, &reporter{log: slog.New(slog.DiscardHandler), fail: func(string, bool) {}})
}

// Compact rewrites everything into the lowest level, as time would.
func Compact(s *Store) error {
	return s.db.Compact(context.Background(), []byte{0}, []byte{0xff}, false)
}

// Flush makes Pebble write a table soon. On a disk that fails it leaves a goroutine behind.
func Flush(s *Store) { go func() { _, _ = s.db.AsyncFlush() }() }
