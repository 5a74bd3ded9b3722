// Package pebblekv is the store on the local disk, on Pebble: one process, one directory. Nothing of Pebble shows in what
// it exports.
//
// A key of a namespace is stored under a prefix: the length of the slice's name (1 byte), the name, the generation
// (4 bytes, big endian). First bytes 0 and from 64 on are free for other uses of the same directory.
package pebblekv

import (
	"bytes"
	"context"
	"errors"
	"hash/maphash"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/skein-cx/skein/pkg/kv"
)

// Options are all optional.
type Options struct {
	// CacheBytes bounds the memory for blocks read from disk, 256 MB by default. Memory for recent writes comes on top: up
	// to 256 MB, 64 MB as a rule. A lookup of a missing key costs one microsecond or two while the cache has room for
	// the filters, 10 bits per key stored, and a read of the disk where it has not.
	CacheBytes int64
	// NoSync acknowledges what is not on the disk yet: for tests and rebuilds. A crash of the process or the machine may
	// lose the batches applied last, never a part of one.
	NoSync bool
	// Logger gets the engine's reports: what it does as debug, what slows it down as warnings, what fails as errors.
	Logger *slog.Logger
	// OnFatal is called once, from a goroutine of its own, when the engine can no longer write, such as on a full disk.
	// From then on every call returns the same error, and what was acknowledged before is safe; the directory stays
	// locked until the process ends. So end it, and say why.
	OnFatal func(error)
}

// Store is a kv.Store in a directory.
type Store struct {
	dir     string
	db      *pebble.DB
	lock    io.Closer
	write   *pebble.WriteOptions
	stripes stripes
	calls   gate // held by each call, and by each iterator until it is closed
	failure failure

	mu        sync.Mutex
	snapshots map[*snapshot]struct{}

	closing  sync.Once
	closed   chan struct{}
	closeErr error
}

// Open opens the store in a directory, and creates both where they are missing. A kv.ErrLocked means that it is open
// already, a kv.ErrFull that the disk is full.
func Open(dir string, opts Options) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, engineError("create "+dir, err)
	}
	// The lock tells directories apart by name: two names of one directory must not get past it.
	canonical, err := filepath.Abs(dir)
	if err == nil {
		canonical, err = filepath.EvalSymlinks(canonical)
	}
	if err != nil {
		return nil, engineError("open "+dir, err)
	}
	return open(canonical, opts, vfs.Default)
}

func open(dir string, opts Options, fs vfs.FS) (*Store, error) {
	lock, err := lockDirectory(dir, fs)
	if err != nil {
		return nil, err
	}
	s := &Store{
		dir:       dir,
		lock:      lock,
		write:     pebble.Sync,
		stripes:   stripes{seed: maphash.MakeSeed()},
		failure:   failure{happened: make(chan struct{})},
		calls:     gate{idle: make(chan struct{})},
		snapshots: map[*snapshot]struct{}{},
		closed:    make(chan struct{}),
	}
	if opts.NoSync {
		s.write = pebble.NoSync
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	log := opts.Logger.With("store", dir)
	fail := func(cause string, full bool) { s.failure.set(dir, log, cause, full) }
	guard := &guardedFS{FS: fs, fail: fail, failure: &s.failure}
	tuned := tune(opts.CacheBytes, &reporter{log: log, fail: fail})
	tuned.FS = guard
	tuned.WithFSDefaults() // notices a slow disk
	tuned.Lock = lock
	err = s.failure.orResult(func() (err error) {
		s.db, err = pebble.Open(dir, tuned)
		return err
	})
	if err != nil {
		if s.failure.err() == nil { // else Pebble may still be writing
			err = errors.Join(engineError("open "+dir, err), lock.Close())
		}
		return nil, err
	}
	guard.armed.Store(true)
	if opts.OnFatal != nil {
		go func() {
			select {
			case <-s.failure.happened:
				opts.OnFatal(s.failure.err())
			case <-s.closed:
			}
		}()
	}
	return s, nil
}

// enter begins a call; leave ends it where it gave no error.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.calls.enter() {
		return kv.ErrClosed
	}
	if err := s.failure.err(); err != nil {
		s.calls.leave()
		return err
	}
	return nil
}

func (s *Store) leave() { s.calls.leave() }

// Snapshot implements kv.Store.
func (s *Store) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	if err := ns.Validate(); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	snap := &snapshot{store: s, pinned: s.db.NewSnapshot(), space: spaceOf(ns)}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots[snap] = struct{}{}
	return snap, nil
}

// Apply implements kv.Store.
func (s *Store) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	if err := errors.Join(ns.Validate(), b.Validate()); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	sp := spaceOf(ns)
	if requires := b.Requirements(); len(requires) > 0 {
		defer s.stripes.lock(sp, requires)()
		if err := s.check(sp, requires); err != nil {
			return err
		}
	}
	if b.Len() == 0 {
		return nil
	}
	batch := s.db.NewBatchWithSize(encodedSize(sp, b))
	if err := encode(batch, sp, b); err != nil {
		return errors.Join(engineError("encode a batch", err), batch.Close())
	}
	return s.commit(batch)
}

// check compares what the required keys hold.
func (s *Store) check(sp space, requires []kv.Requirement) error {
	for _, r := range requires {
		value, closer, err := s.db.Get(sp.key(nil, r.Key))
		if err != nil && !errors.Is(err, pebble.ErrNotFound) {
			return engineError("read a required key", err)
		}
		found := err == nil
		holds := found == (r.Value != nil) && bytes.Equal(value, r.Value)
		if found {
			if err := closer.Close(); err != nil {
				return engineError("read a required key", err)
			}
		}
		if !holds {
			return kv.ErrConflict
		}
	}
	return nil
}

// commit writes a batch. Where Pebble cannot, Commit never returns: the failure ends the call instead, and the batch is
// left to the goroutine that waits there for ever.
func (s *Store) commit(batch *pebble.Batch) error {
	return s.failure.orResult(func() error {
		if err := batch.Commit(s.write); err != nil {
			return engineError("write a batch", err)
		}
		return batch.Close()
	})
}

// Drop implements kv.Store. The disk space comes back in the background.
func (s *Store) Drop(ctx context.Context, ns kv.Namespace) error {
	if err := ns.Validate(); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	defer s.stripes.lockAll()()
	sp := spaceOf(ns)
	batch := s.db.NewBatch()
	if err := batch.DeleteRange(sp.prefix, sp.end, nil); err != nil {
		return errors.Join(engineError("drop "+ns.String(), err), batch.Close())
	}
	return s.commit(batch)
}

// Namespaces implements kv.Store.
func (s *Store) Namespaces(ctx context.Context) ([]kv.Namespace, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	it, err := s.db.NewIter(nil)
	if err != nil {
		return nil, engineError("list the namespaces", err)
	}
	var all []kv.Namespace
	for more := it.First(); more; {
		ns, sp, err := parseSpace(it.Key())
		if err != nil {
			return nil, errors.Join(err, it.Close())
		}
		all = append(all, ns)
		more = it.SeekGE(sp.end)
	}
	if err := it.Close(); err != nil { // tells what ended the iteration, too
		return nil, engineError("list the namespaces", err)
	}
	slices.SortFunc(all, kv.Namespace.Compare)
	return all, nil
}

// Close implements kv.Store. After a failure it returns that, without waiting.
func (s *Store) Close() error {
	s.closing.Do(func() {
		defer close(s.closed)
		s.calls.shut()
		s.closeErr = s.failure.orResult(func() error {
			<-s.calls.idle
			errs := []error{}
			s.mu.Lock()
			forgotten := slices.Collect(maps.Keys(s.snapshots))
			s.mu.Unlock()
			for _, snap := range forgotten {
				errs = append(errs, snap.release())
			}
			if err := errors.Join(append(errs, s.db.Close(), s.lock.Close())...); err != nil {
				return engineError("close "+s.dir, err)
			}
			return nil
		})
	})
	return s.closeErr
}
