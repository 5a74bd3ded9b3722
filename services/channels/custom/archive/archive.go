// Package archive imports what other products have kept: submissions as JSON lines, tables (CSV, TSV), and what Chatwoot's API gives out.
// Mails are imported by services/channels/email/archive.
package archive

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/history"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Config says where an archive is, and whose it is.
type Config struct {
	// Path of the file.
	Path string
	// Tenant it belongs to.
	Tenant string
	// Inbox its events get where it names none.
	Inbox string
}

const (
	// chunk is how many submissions are handed in at once.
	chunk = 200
	// maxLine is how long a line of JSON may be, in bytes.
	maxLine = 16 << 20
)

// file is a file that is read in order. Its cursors are numbers of lines, rows or conversations, its size is in bytes.
type file struct {
	Config
	size int64
}

func stat(cfg Config) (file, error) {
	info, err := os.Stat(cfg.Path)
	switch {
	case err != nil:
		return file{}, fmt.Errorf("custom/archive: %w", err)
	case info.IsDir():
		return file{}, fmt.Errorf("custom/archive: %s is a folder", cfg.Path)
	}
	return file{cfg, info.Size()}, nil
}

// Size implements history.Source.
func (f *file) Size() int64 { return f.size }

// open opens the file, without a byte order mark, and reads the cursor.
func (f *file) open(cursor string) (in *bufio.Reader, read *counter, skip int, done func(), err error) {
	if cursor != "" {
		if skip, err = strconv.Atoi(cursor); err != nil {
			return nil, nil, 0, nil, fmt.Errorf("custom/archive: %q is no cursor of this archive", cursor)
		}
	}
	opened, err := os.Open(f.Path)
	if err != nil {
		return nil, nil, 0, nil, fmt.Errorf("custom/archive: %w", err)
	}
	read = &counter{r: opened}
	in = bufio.NewReaderSize(read, 1<<16)
	if mark, err := in.Peek(3); err == nil && bytes.Equal(mark, []byte("\xef\xbb\xbf")) {
		_, _ = in.Discard(3) // they were there
	}
	return in, read, skip, func() { _ = opened.Close() }, nil // nothing was written
}

// counter counts what is read.
type counter struct {
	r       io.Reader
	n, last int64
}

func (c *counter) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

// since is how much was read since the last call.
func (c *counter) since() int64 {
	n := c.n - c.last
	c.last = c.n
	return n
}

// gathered are parts of an archive that are handed in together.
type gathered struct {
	named  []history.Named
	faults []history.Fault
}

func (g *gathered) fault(name string, err error) {
	g.faults = append(g.faults, history.Fault{Name: name, Err: err})
}

// item makes one of what was gathered, and begins anew.
func (g *gathered) item(tenant, cursor string, size int64) history.Item {
	all := *g
	*g = gathered{}
	return history.Item{Cursor: cursor, Size: size, Deliver: func(ctx context.Context, host channel.Host) ([]history.Fault, error) {
		faults, err := history.Submit(ctx, host, tenant, all.named)
		return append(all.faults, faults...), err
	}}
}

// lines is a file of submissions as JSON, one a line.
type lines struct{ file }

// OpenLines opens a file of skein.event.v1.Submission as JSON, one a line. They are history, whatever they say.
func OpenLines(cfg Config) (history.Source, error) {
	f, err := stat(cfg)
	return &lines{f}, err
}

// Items implements history.Source.
func (l *lines) Items(_ context.Context, cursor string, yield func(history.Item) error) error {
	in, read, skip, done, err := l.open(cursor)
	if err != nil {
		return err
	}
	defer done()
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 0, 1<<16), maxLine)
	var g gathered
	n := 0
	for scanner.Scan() {
		n++
		if n <= skip {
			continue
		}
		if line := bytes.TrimSpace(scanner.Bytes()); len(line) > 0 {
			l.gather(&g, "line "+strconv.Itoa(n), line)
		}
		if n%chunk == 0 {
			if err := yield(g.item(l.Tenant, strconv.Itoa(n), read.since())); err != nil {
				return err
			}
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("custom/archive: %s, after line %d: %w", l.Path, n, err)
	}
	if n <= skip {
		return nil
	}
	return yield(g.item(l.Tenant, strconv.Itoa(n), read.since()))
}

func (l *lines) gather(g *gathered, name string, line []byte) {
	s := &eventv1.Submission{}
	if err := protojson.Unmarshal(line, s); err != nil {
		g.fault(name, errors.New("it is no submission: "+err.Error()))
		return
	}
	s.Backfill = true
	if s.GetInbox() == "" {
		s.Inbox = l.Inbox
	}
	g.named = append(g.named, history.Named{Name: name, Submission: s})
}
