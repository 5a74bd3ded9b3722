package history

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"github.com/skein-cx/skein/pkg/channel"
)

// File keeps cursors in a file, for one process at a time. It is safe for concurrent use.
type File struct {
	path string
	mu   sync.Mutex
}

var _ channel.Cursors = (*File)(nil)

// NewFile keeps cursors in a file, which is made when the first one is moved.
func NewFile(path string) *File { return &File{path: path} }

func (f *File) read() (map[string]string, error) {
	cursors := map[string]string{}
	raw, err := os.ReadFile(f.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return cursors, nil
	case err != nil:
		return nil, fmt.Errorf("history: %w", err)
	}
	if err := json.Unmarshal(raw, &cursors); err != nil {
		return nil, fmt.Errorf("history: %s: %w", f.path, err)
	}
	return cursors, nil
}

// Cursor implements channel.Cursors.
func (f *File) Cursor(_ context.Context, name string) (string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	cursors, err := f.read()
	return cursors[name], err
}

// MoveCursor implements channel.Cursors. The file is replaced as a whole, so that it is never half written.
func (f *File) MoveCursor(_ context.Context, name, was, is string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	cursors, err := f.read()
	switch {
	case err != nil:
		return err
	case cursors[name] != was:
		return channel.ErrCursorMoved
	}
	cursors[name] = is
	if is == "" {
		delete(cursors, name)
	}
	raw, err := json.MarshalIndent(cursors, "", "  ")
	if err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(f.path), 0o750); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	temporary := f.path + ".new"
	if err := os.WriteFile(temporary, raw, 0o600); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	if err := os.Rename(temporary, f.path); err != nil {
		return fmt.Errorf("history: %w", err)
	}
	return nil
}
