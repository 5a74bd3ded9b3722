package pebblekv

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/cockroachdb/pebble/v2"
	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/skein-cx/skein/pkg/kv"
)

// lockDirectory takes the lock of a directory, which the operating system gives back when the process ends.
func lockDirectory(dir string, filesystem vfs.FS) (*pebble.Lock, error) {
	if err := filesystem.MkdirAll(dir, 0o700); err != nil {
		return nil, engineError("create "+dir, err)
	}
	lock, err := pebble.LockDirectory(dir, filesystem)
	if err == nil {
		return lock, nil
	}
	var pathError *fs.PathError // creating the lock's file failed
	var errno syscall.Errno     // locking it failed
	busy := !errors.As(err, &pathError) && (!errors.As(err, &errno) || errno == syscall.EAGAIN || errno == syscall.EACCES)
	if busy {
		return nil, fmt.Errorf("pebblekv: %s: %w: stop that process, or give this one another directory", dir, kv.ErrLocked)
	}
	return nil, engineError("lock "+dir, err)
}
