// Package archive imports mails that are kept as files: mbox files and folders of single mails (EML files, the folders of a Maildir).
package archive

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/emersion/go-mbox"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/history"
	"github.com/skein-cx/skein/services/channels/email"
)

// Config says where mails are, and whose they are.
type Config struct {
	// Path is an mbox file, or a folder of mails and of folders.
	Path string
	// Inbox that the mails belong to. They are history, whatever it says.
	Inbox email.Inbox
	// MaxMessageBytes is how large a mail may be; 35 MiB unless set. Larger ones are faults.
	MaxMessageBytes int64
}

const defaultMax = 35 << 20

// Open finds out whether it is a folder or an mbox file.
func Open(cfg Config) (history.Source, error) {
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = defaultMax
	}
	cfg.Inbox.Backfill = true
	info, err := os.Stat(cfg.Path)
	if err != nil {
		return nil, fmt.Errorf("email/archive: %w", err)
	}
	if !info.IsDir() {
		return &box{cfg, info.Size()}, nil
	}
	f := &folder{Config: cfg}
	err = f.walk("", func(string, fs.FileInfo) error { f.files++; return nil })
	if err != nil {
		return nil, fmt.Errorf("email/archive: %w", err)
	}
	return f, nil
}

// deliver hands one mail in.
func (c *Config) deliver(name string, raw []byte) func(context.Context, channel.Host) ([]history.Fault, error) {
	return func(ctx context.Context, host channel.Host) ([]history.Fault, error) {
		if int64(len(raw)) > c.MaxMessageBytes {
			return []history.Fault{{Name: name, Err: fmt.Errorf("it is larger than %d bytes", c.MaxMessageBytes)}}, nil
		}
		reason, err := email.Parse(raw).Deliver(ctx, host, c.Inbox)
		if reason != "" {
			return []history.Fault{{Name: name, Err: errors.New(reason)}}, nil
		}
		return nil, err
	}
}

// read reads a mail, and a byte more than is allowed.
func (c *Config) read(r io.Reader) ([]byte, error) {
	return io.ReadAll(io.LimitReader(r, c.MaxMessageBytes+1))
}

// folder is a folder of mails. Its cursors are paths, its size is the number of mails.
type folder struct {
	Config
	files int64
}

func (f *folder) Size() int64 { return f.files }

// walk visits the files in the order of their paths.
func (f *folder) walk(after string, visit func(path string, info fs.FileInfo) error) error {
	return filepath.WalkDir(f.Path, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(f.Path, path)
		switch {
		case err != nil:
			return err
		case rel != "." && strings.HasPrefix(d.Name(), "."):
			if d.IsDir() {
				return fs.SkipDir
			}
			return nil
		case d.IsDir() || !d.Type().IsRegular():
			return nil
		}
		if after != "" && !later(filepath.ToSlash(rel), after) {
			return nil
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		return visit(filepath.ToSlash(rel), info)
	})
}

// later compares paths as WalkDir orders them: element by element.
func later(path, than string) bool {
	a, b := strings.Split(path, "/"), strings.Split(than, "/")
	for i := range min(len(a), len(b)) {
		if a[i] != b[i] {
			return a[i] > b[i]
		}
	}
	return len(a) > len(b)
}

func (f *folder) Items(_ context.Context, cursor string, yield func(history.Item) error) error {
	return f.walk(cursor, func(path string, _ fs.FileInfo) error {
		raw, err := f.open(path)
		if err != nil {
			return fmt.Errorf("email/archive: %w", err)
		}
		return yield(history.Item{Cursor: path, Size: 1, Deliver: f.deliver(path, fromLine(raw))})
	})
}

func (f *folder) open(path string) ([]byte, error) {
	file, err := os.Open(filepath.Join(f.Path, filepath.FromSlash(path)))
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // nothing was written
	return f.read(file)
}

// fromLine takes away the line by which an mbox file separates mails: some programs leave it in single ones.
func fromLine(raw []byte) []byte {
	if bytes.HasPrefix(raw, []byte("From ")) {
		if _, rest, ok := bytes.Cut(raw, []byte("\n")); ok {
			return rest
		}
	}
	return raw
}

// box is an mbox file. Its cursors are numbers of mails, its size is in bytes.
type box struct {
	Config
	size int64
}

func (b *box) Size() int64 { return b.size }

func (b *box) Items(_ context.Context, cursor string, yield func(history.Item) error) error {
	skip, err := strconv.Atoi(cursor)
	if cursor != "" && err != nil {
		return fmt.Errorf("email/archive: %q is no cursor of an mbox file", cursor)
	}
	file, err := os.Open(b.Path)
	if err != nil {
		return fmt.Errorf("email/archive: %w", err)
	}
	defer func() { _ = file.Close() }() // nothing was written
	counted := &counter{r: file}
	mails := mbox.NewReader(counted)
	last := int64(0)
	for n := 1; ; n++ {
		r, err := mails.NextMessage()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("email/archive: %s, mail %d: %w", b.Path, n, err)
		}
		if n <= skip {
			last = counted.n
			continue // the reader skips the rest of a mail itself
		}
		raw, err := b.read(r)
		if err != nil {
			return fmt.Errorf("email/archive: %s, mail %d: %w", b.Path, n, err)
		}
		item := history.Item{Cursor: strconv.Itoa(n), Size: counted.n - last, Deliver: b.deliver("mail "+strconv.Itoa(n), raw)}
		last = counted.n
		if err := yield(item); err != nil {
			return err
		}
	}
}

// counter counts what is read.
type counter struct {
	r io.Reader
	n int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}
