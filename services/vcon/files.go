package vcon

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/pkg/event"
)

// files is an archive of vCons. Its cursors are names of files, its size is in bytes.
type files struct {
	reader *Reader
	o      Options
	root   string
	names  []string // in order
	sizes  map[string]int64
	size   int64
}

// OpenFiles opens a vCon, or a folder with all the vCons below it: files that end in .vcon or .json, or these compressed (.gz).
func OpenFiles(path string, r *Reader, o Options) (history.Source, error) {
	f := &files{reader: r, o: o, root: path, sizes: map[string]int64{}}
	err := filepath.WalkDir(path, func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if bare := strings.TrimSuffix(strings.ToLower(name), ".gz"); name != path && !strings.HasSuffix(bare, ".vcon") && !strings.HasSuffix(bare, ".json") {
			return nil
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		f.names = append(f.names, name)
		f.sizes[name] = info.Size()
		f.size += info.Size()
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("vcon: files: %w", err)
	}
	slices.Sort(f.names)
	return f, nil
}

// Size implements history.Source.
func (f *files) Size() int64 { return f.size }

// Items implements history.Source. An item is a file.
func (f *files) Items(_ context.Context, cursor string, yield func(history.Item) error) error {
	for _, name := range f.names {
		label, err := filepath.Rel(f.root, name)
		if err != nil || label == "." {
			label = filepath.Base(name)
		}
		if label <= cursor && cursor != "" {
			continue
		}
		item := history.Item{Cursor: label, Size: f.sizes[name], Deliver: func(ctx context.Context, host channel.Host) ([]history.Fault, error) {
			return f.deliver(ctx, host, name, label)
		}}
		if err := yield(item); err != nil {
			return err
		}
	}
	return nil
}

// deliver takes a file in. Whatever is wrong with it is told, and so is what was left out.
func (f *files) deliver(ctx context.Context, host channel.Host, name, label string) ([]history.Fault, error) {
	raw, err := os.ReadFile(name) //nolint:gosec // whoever imports it names it
	if err != nil {
		return nil, fmt.Errorf("vcon: files: %w", err)
	}
	result, err := f.reader.Import(ctx, host, raw, f.o)
	var malformed *PathError
	_, refused := errors.AsType[*event.InvalidError](err)
	switch {
	case errors.As(err, &malformed), refused, errors.Is(err, ErrUnsigned), errors.Is(err, ErrNotTrusted):
		return []history.Fault{{Name: label, Err: err}}, nil
	case err != nil:
		return nil, err
	}
	var faults []history.Fault
	for _, n := range result.Notes {
		faults = append(faults, history.Fault{Name: label + " " + n.Path, Err: errors.New(n.Text)})
	}
	return faults, nil
}
