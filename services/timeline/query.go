package timeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var (
	// ErrForeignToken means that a page token belongs to another query.
	ErrForeignToken = errors.New("timeline: the page token belongs to another query")
	// ErrExpiredToken means that the read model no longer holds what the page token pinned.
	ErrExpiredToken = errors.New("timeline: the page token has expired: list again from the start")
)

// Limits of a page.
const (
	DefaultPageSize = 50
	MaxPageSize     = 1000
	maxPageBytes    = 3 << 20
	maxPageRows     = 20_000 // rows looked at, where a filter leaves most of them out
)

// Query says which events of whom, and in which order.
type Query struct {
	Tenant      string
	Endpoints   []event.ID
	Threads     []event.ID
	NewestFirst bool
	From, Until time.Time // zero where open; Until is not included
	Channels    []eventv1.Channel
	Types       []string // names, or groups as "message.*"
	PageSize    int
	OmitContent bool
	Topic       string
	Token       string
	digest      [8]byte
}

// Row is one event of a timeline.
type Row struct {
	Event     *eventv1.Event
	Content   *eventv1.Content // nil where it is sealed, left out or cannot be read
	Partition int32
	Offset    int64
}

// page is an answer and the token of what follows, empty at the end.
type page struct {
	rows []Row
	next string
}

// list reads one page.
func list(ctx context.Context, store kv.Store, q Query) (page, error) {
	ns, err := projection.Serving(ctx, store, Slice)
	if err != nil {
		return page{}, err
	}
	token := pageToken{generation: ns.Generation, query: q.digest}
	if q.Token != "" {
		if token, err = decodePageToken(q.Token); err != nil {
			return page{}, err
		}
		if token.query != q.digest {
			return page{}, ErrForeignToken
		}
		ns.Generation = token.generation // the one before a switch stays for as long as tokens live
	}
	snap, err := store.Snapshot(ctx, ns)
	if err != nil {
		return page{}, fmt.Errorf("timeline: list: %w", err)
	}
	defer snap.Close()
	applied, err := projection.Applied(ctx, snap, q.Topic)
	if err != nil {
		return page{}, err
	}
	if q.Token == "" {
		token.pinned = applied
	}
	for p, next := range token.pinned {
		if applied[p] < next {
			return page{}, ErrExpiredToken
		}
	}
	return q.read(ctx, snap, token)
}

func (q *Query) read(ctx context.Context, snap kv.Reader, token pageToken) (out page, err error) {
	var sources []source
	for _, id := range q.Endpoints {
		sources = append(sources, endpointSource(q.Tenant, id))
	}
	for _, id := range q.Threads {
		sources = append(sources, threadSource(q.Tenant, id))
	}
	m, err := merge(ctx, snap, sources, q.window(token))
	if err != nil {
		return page{}, fmt.Errorf("timeline: list: %w", err)
	}
	defer func() { err = errors.Join(err, m.close()) }()
	var looked, size int
	for {
		heads, err := m.next()
		if err != nil {
			return page{}, fmt.Errorf("timeline: list: %w", err)
		}
		if len(heads) == 0 {
			return out, nil
		}
		if len(out.rows) == q.PageSize || looked == maxPageRows || size >= maxPageBytes {
			out.next = token.encode()
			return out, nil
		}
		looked++
		token.after = [momentSize]byte(heads[0].moment)
		row, bytes, err := q.pick(ctx, snap, heads, token.pinned)
		if err != nil {
			return page{}, err
		}
		if row != nil {
			out.rows = append(out.rows, *row)
			size += bytes
		}
	}
}

// pick reads the event of a moment from the first source in which it was filed before the pin; nil where none or where
// the filters leave it out.
func (q *Query) pick(ctx context.Context, snap kv.Reader, heads []*head, pinned projection.Vector) (*Row, int, error) {
	at, err := decodeMoment(heads[0].moment)
	if err != nil {
		return nil, 0, err
	}
	for _, h := range heads {
		record, filed, err := q.record(ctx, snap, h, at)
		if err != nil {
			return nil, 0, err
		}
		if !pinned.Includes(at.partition, filed) {
			continue
		}
		row, err := q.row(record)
		if err != nil {
			return nil, 0, fmt.Errorf("timeline: record %s/%d/%d: %w", q.Topic, at.partition, at.offset, err)
		}
		if row != nil {
			row.Partition, row.Offset = at.partition, at.offset
		}
		return row, len(record), nil
	}
	return nil, 0, nil
}

// window is the time range, cut at where the last page ended.
func (q *Query) window(token pageToken) window {
	w := window{reverse: q.NewestFirst}
	if !q.From.IsZero() {
		w.low = momentAt(q.From)
	}
	if !q.Until.IsZero() {
		w.high = momentAt(q.Until)
	}
	if q.Token == "" {
		return w
	}
	if q.NewestFirst {
		w.high = token.after[:]
	} else {
		w.low = append(bytes.Clone(token.after[:]), 0) // just behind it
	}
	return w
}

// record gives the bytes of the row at which a source stands, and the offset at which it was filed there.
func (q *Query) record(ctx context.Context, snap kv.Reader, h *head, at moment) (record []byte, filed int64, err error) {
	value := h.it.Value()
	if !h.thread {
		filed, record, err = decodeTimelineValue(value)
		return record, filed, err
	}
	if len(value) == 0 {
		return nil, 0, errDamaged
	}
	if value[0] == tagWaiting {
		return value[1:], at.offset, nil
	}
	if len(value) != 1+len(event.ID{}) {
		return nil, 0, errDamaged
	}
	filedUnder, found, err := snap.Get(ctx, timelineKey(q.Tenant, event.ID(value[1:]), at))
	if err != nil || !found {
		return nil, 0, errors.Join(err, errDamaged)
	}
	_, record, err = decodeTimelineValue(filedUnder)
	return record, at.offset, err // a thread holds its events from their own offset on
}

// row decodes a record; nil where the filters leave it out.
func (q *Query) row(record []byte) (*Row, error) {
	e := &eventv1.Event{}
	if err := proto.Unmarshal(record, e); err != nil {
		return nil, err
	}
	if len(q.Channels) > 0 && !slices.Contains(q.Channels, e.GetChannel()) {
		return nil, nil
	}
	if len(q.Types) > 0 && !slices.ContainsFunc(q.Types, func(t string) bool { return matchesType(t, e.GetType()) }) {
		return nil, nil
	}
	row := &Row{Event: e}
	if !q.OmitContent && e.GetSeal() == "" {
		// Content that cannot be read leaves the event's ids, kinds and times readable.
		if content, err := event.DecodeContent(e); err == nil {
			row.Content = content
		}
	}
	e.Content = nil
	return row, nil
}

func matchesType(pattern, name string) bool {
	if group, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasSuffix(group, ".") {
		return strings.HasPrefix(name, group)
	}
	return pattern == name
}
