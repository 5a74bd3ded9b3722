package timeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
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

// Query says which events, and in which order.
type Query struct {
	Selection
	NewestFirst bool
	From, Until time.Time // zero where open; Until is not included
	AsOf        time.Time // only what was received by then, and what was linked by then; zero for now
	PageSize    int
	Topic       string
	Partitions  int
	Token       string
	digest      [8]byte
}

// page is an answer and the token of what follows, empty at the end.
type page struct {
	rows       []*row
	next       string
	generation uint32
	pinned     projection.Vector
	scope      string   // version of the links that it was read by
	about      event.ID // under which its subject goes
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
	var about event.ID
	if !q.about.none() {
		if about, token.scope, err = q.resolve(ctx, token.scope); err != nil {
			return page{}, err
		}
	}
	snap, err := store.Snapshot(ctx, ns)
	if err != nil {
		return page{}, fmt.Errorf("timeline: list: %w", err)
	}
	defer snap.Close()
	applied, err := projection.Applied(ctx, snap, q.Topic, q.Partitions)
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
	p, err := q.read(ctx, snap, token)
	p.generation, p.pinned, p.scope, p.about = token.generation, token.pinned, token.scope, about
	return p, err
}

// resolve makes the query take what belongs to its subject, by the version of the links that the first page read, which it returns
// behind the id under which the subject goes.
func (q *Query) resolve(ctx context.Context, version string) (event.ID, string, error) {
	at := scope.At{Version: version}
	if version == "" {
		at.Time = q.AsOf
	}
	s, err := q.scope(ctx, at)
	if err != nil {
		return event.ID{}, "", err
	}
	q.take(s)
	return s.ID, s.Version, nil
}

func (q *Query) read(ctx context.Context, snap kv.Reader, token pageToken) (out page, err error) {
	m, err := merge(ctx, snap, q.sources(token), q.NewestFirst)
	if err != nil {
		return page{}, fmt.Errorf("timeline: list: %w", err)
	}
	defer func() { err = errors.Join(err, m.close()) }()
	var looked, size int
	decided := false // whether the event of the moment belongs to the answer
	for {
		h, err := m.next()
		if err != nil {
			return page{}, fmt.Errorf("timeline: list: %w", err)
		}
		if h == nil {
			return out, nil
		}
		if !bytes.Equal(h.moment, token.after[:]) {
			if len(out.rows) == q.PageSize || looked == maxPageRows || size >= maxPageBytes {
				out.next = token.encode()
				return out, nil
			}
			looked++
			token.after, decided = [momentSize]byte(h.moment), false
		}
		if decided {
			continue
		}
		var r *row
		if r, decided, err = q.pick(ctx, snap, h, token.pinned); err != nil {
			return page{}, err
		}
		if r != nil {
			out.rows = append(out.rows, r)
			size += len(r.Envelope) + len(r.Content)
		}
	}
}

// pick reads the event at which a source stands; nil where it is left out. It is not decided where another source may hold it: it was
// filed in this one after the pin, or does not count under its endpoint.
func (q *Query) pick(ctx context.Context, snap kv.Reader, h *head, pinned projection.Vector) (r *row, decided bool, err error) {
	at, err := decodeMoment(h.moment)
	if err != nil {
		return nil, false, err
	}
	if !q.AsOf.IsZero() && at.received > q.AsOf.UnixNano() {
		return nil, true, nil
	}
	record, filed, err := q.record(ctx, snap, h, at)
	if err != nil || !pinned.Includes(at.partition, filed) {
		return nil, false, err
	}
	if r, err = newRow(record, at); err != nil {
		return nil, false, err
	}
	if !h.thread && len(q.Without) > 0 {
		thread, err := event.ParseID(string(r.Thread))
		if err != nil {
			return nil, false, errDamaged
		}
		if q.leavesOut(thread, h.of, at.occurred) {
			return nil, false, nil
		}
	}
	if !q.matches(r) {
		return nil, true, nil
	}
	return r, true, nil
}

// sources are the stretches of the selection, as far as they lie in the time that is asked for and behind where the last page ended.
func (q *Query) sources(token pageToken) []source {
	asked := scope.Ever
	if !q.From.IsZero() {
		asked.From = q.From.UnixNano()
	}
	if !q.Until.IsZero() {
		asked.Until = q.Until.UnixNano()
	}
	var after []byte
	if q.Token != "" {
		after = token.after[:]
	}
	sources := make([]source, 0, len(q.Endpoints)+len(q.Threads))
	for id, ranges := range q.Endpoints {
		for _, r := range ranges {
			sources = append(sources, source{of: id, rows: q.rows(subTimeline, id, asked.Intersect(r), after)})
		}
	}
	for id, ranges := range q.Threads {
		for _, r := range ranges {
			sources = append(sources, source{of: id, thread: true, rows: q.rows(subThread, id, asked.Intersect(r), after)})
		}
	}
	return sources
}

// rows are the keys under an id of what happened in a stretch, behind a moment where one is given.
func (q *Query) rows(sub byte, id event.ID, r scope.Range, after []byte) kv.Range {
	start, end := prefix(q.Tenant, sub, id), prefix(q.Tenant, sub, id)
	n := len(start)
	start, end = appendTime(start, r.From), appendTime(end, r.Until)
	switch {
	case after == nil:
	case q.NewestFirst && bytes.Compare(after, end[n:]) < 0:
		end = append(end[:n], after...)
	case !q.NewestFirst && bytes.Compare(after, start[n:]) >= 0:
		start = append(append(start[:n], after...), 0) // just behind it
	}
	return kv.Range{Start: start, End: end, Reverse: q.NewestFirst}
}

// record gives the bytes of the row at which a source stands, and the offset at which it was filed there.
func (q *Query) record(ctx context.Context, snap kv.Reader, h *head, at moment) (record []byte, filed int64, err error) {
	if !h.thread {
		filed, record, err = decodeTimelineValue(h.it.Value())
		return record, filed, err
	}
	record, err = threadRecord(ctx, snap, q.Tenant, h.it.Value(), at)
	return record, at.offset, err // a thread holds its events from their own offset on
}

// threadRecord gives the record that a thread row stands for.
func threadRecord(ctx context.Context, snap kv.Reader, tenant string, row []byte, at moment) ([]byte, error) {
	switch {
	case len(row) > 0 && row[0] == tagWaiting:
		return row[1:], nil
	case len(row) != 1+len(event.ID{}):
		return nil, errDamaged
	}
	return timelineRecord(ctx, snap, tenant, event.ID(row[1:]), at)
}

// timelineRecord gives the record of a moment in an endpoint's timeline.
func timelineRecord(ctx context.Context, snap kv.Reader, tenant string, endpoint event.ID, at moment) ([]byte, error) {
	value, found, err := snap.Get(ctx, timelineKey(tenant, endpoint, at))
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, errDamaged
	}
	_, record, err := decodeTimelineValue(value)
	return record, err
}
