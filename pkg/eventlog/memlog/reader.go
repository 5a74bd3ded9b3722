package memlog

import (
	"bytes"
	"context"
	"fmt"
	"sync"

	"github.com/skein-cx/skein/pkg/eventlog"
)

type reader struct {
	log       *Log
	partition *partition
	next      int64
	closed    chan struct{}
	closeOnce sync.Once
}

// Read implements eventlog.Reader.
func (r *reader) Read(ctx context.Context, limit int) ([]eventlog.Record, error) {
	for {
		if err := r.usable(ctx); err != nil {
			return nil, fmt.Errorf("memlog: read: %w", err)
		}
		records, grown := r.partition.from(r.next, limit)
		if len(records) > 0 {
			r.next = records[len(records)-1].Offset + 1
			return records, nil
		}
		select {
		case <-grown:
		case <-r.closed:
		case <-r.log.closed:
		case <-ctx.Done():
		}
	}
}

// from copies records out, or gives the channel that the next append closes.
func (p *partition) from(offset int64, limit int) ([]eventlog.Record, <-chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := min(offset+int64(max(limit, 1)), int64(len(p.records)))
	var records []eventlog.Record
	for _, r := range p.records[offset:end] {
		r.Key, r.Value, r.Headers = bytes.Clone(r.Key), bytes.Clone(r.Value), cloneHeaders(r.Headers)
		records = append(records, r)
	}
	return records, p.grown
}

// Close implements eventlog.Reader.
func (r *reader) Close() error {
	r.closeOnce.Do(func() { close(r.closed) })
	return nil
}

func (r *reader) usable(ctx context.Context) error {
	select {
	case <-r.closed:
		return eventlog.ErrClosed
	default:
		return r.log.usable(ctx)
	}
}
