package app

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// room tells whether the disk under a directory has space left. Taking nothing in on a disk that is almost full keeps
// enough of it for the log and the store to end their work.
type room struct {
	dir     string
	minFree int64

	mu      sync.Mutex
	checked time.Time
	last    error
}

// lookEvery is how old an answer may be.
const lookEvery = 500 * time.Millisecond

func (a *App) watchRoom(context.Context) error {
	if err := os.MkdirAll(a.cfg.Data, 0o750); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	a.room = &room{dir: a.cfg.Data, minFree: a.cfg.Disk.MinFreeBytes}
	return nil
}

func (r *room) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.checked) >= lookEvery {
		r.checked, r.last = now, r.look()
	}
	return r.last
}

func (r *room) look() error {
	var s unix.Statfs_t
	if err := unix.Statfs(r.dir, &s); err != nil {
		return fmt.Errorf("free space of %s: %w", r.dir, err)
	}
	if free := int64(s.Bavail) * s.Bsize; free < r.minFree {
		return fmt.Errorf("the disk under %s is full: %d MiB are free and %d MiB must be (disk.min_free_bytes): free some space",
			r.dir, free>>20, r.minFree>>20)
	}
	return nil
}
