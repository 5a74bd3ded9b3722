package pebblekv

import (
	"sync/atomic"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// walCategory is how Pebble marks the files of its write-ahead log.
const walCategory vfs.DiskWriteCategory = "pebble-wal"

// guardedFS keeps failures of the write-ahead log from Pebble, which answers them by a panic that cannot be recovered from:
// the call that failed is reported and never returns. What Pebble wants from it waits for ever, in goroutines of its
// own; nothing is written behind the gap. After any failure it makes no new file either: Pebble would try to flush again
// and again, as fast as it can.
type guardedFS struct {
	vfs.FS
	armed   atomic.Bool // while a store is being opened, Pebble returns errors
	fail    func(cause string, full bool)
	failure *failure
}

// stop does not return where there is an error.
func (g *guardedFS) stop(err error) error {
	if err != nil && g.armed.Load() {
		g.fail(err.Error(), vfs.IsNoSpaceError(err))
		select {}
	}
	return err
}

// file guards a file that was opened.
func (g *guardedFS) file(f vfs.File, err error) (vfs.File, error) {
	if err := g.stop(err); err != nil {
		return nil, err
	}
	return &guardedFile{f, g}, nil
}

func (g *guardedFS) Unwrap() vfs.FS { return g.FS }

func (g *guardedFS) Create(name string, category vfs.DiskWriteCategory) (vfs.File, error) {
	if g.armed.Load() && g.failure.err() != nil {
		select {}
	}
	f, err := g.FS.Create(name, category)
	if category != walCategory {
		return f, err
	}
	return g.file(f, err)
}

func (g *guardedFS) ReuseForWrite(oldname, newname string, category vfs.DiskWriteCategory) (vfs.File, error) {
	f, err := g.FS.ReuseForWrite(oldname, newname, category)
	if category != walCategory {
		return f, err
	}
	return g.file(f, err)
}

// OpenDir guards the directory, too: it is synced when a new file of the log is made.
func (g *guardedFS) OpenDir(name string) (vfs.File, error) {
	return g.file(g.FS.OpenDir(name))
}

type guardedFile struct {
	vfs.File
	guard *guardedFS
}

func (f *guardedFile) Write(p []byte) (int, error) {
	n, err := f.File.Write(p)
	return n, f.guard.stop(err)
}

func (f *guardedFile) Sync() error     { return f.guard.stop(f.File.Sync()) }
func (f *guardedFile) SyncData() error { return f.guard.stop(f.File.SyncData()) }
func (f *guardedFile) Close() error    { return f.guard.stop(f.File.Close()) }
