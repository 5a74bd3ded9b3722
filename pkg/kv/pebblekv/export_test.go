package pebblekv

import "github.com/cockroachdb/pebble/v2/vfs"

// OpenFS is Open on a file system for tests.
func OpenFS(dir string, opts Options, fs vfs.FS) (*Store, error) { return open(dir, opts, fs) }
