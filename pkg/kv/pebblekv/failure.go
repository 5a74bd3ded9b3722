package pebblekv

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/skein-cx/skein/pkg/kv"
)

// failure is what ended the engine for good.
type failure struct {
	once     sync.Once
	happened chan struct{}
	cause    error // set before happened is closed
}

// set records the first failure, and reports it.
func (f *failure) set(dir string, log *slog.Logger, cause string, full bool) {
	f.once.Do(func() {
		f.cause = errors.New("pebblekv: " + dir + " can no longer be written, end the process: " + cause)
		if full {
			f.cause = fmt.Errorf("pebblekv: %s: %w: free space and start again: %s", dir, kv.ErrFull, cause)
		}
		log.Error("the store has failed", "error", f.cause)
		close(f.happened)
	})
}

// err is nil while nothing has failed.
func (f *failure) err() error {
	select {
	case <-f.happened:
		return f.cause
	default:
		return nil
	}
}

// orResult returns what a call gives, or the failure if that comes first: then the call may never end.
func (f *failure) orResult(call func() error) error {
	if err := f.err(); err != nil {
		return err
	}
	result := make(chan error, 1)
	go func() { result <- call() }()
	select {
	case err := <-result:
		return err
	case <-f.happened:
		return f.cause
	}
}

// engineError says what was being done, and keeps the engine's own error types inside.
func engineError(doing string, err error) error {
	if vfs.IsNoSpaceError(err) {
		return fmt.Errorf("pebblekv: %s: %w: free space and try again: %s", doing, kv.ErrFull, err.Error())
	}
	return errors.New("pebblekv: " + doing + ": " + err.Error())
}
