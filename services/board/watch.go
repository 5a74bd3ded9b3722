package board

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skein-cx/skein/pkg/rpc"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
)

const (
	// chunk is how many bytes of rows a message has, about.
	chunk = 128 << 10
	// checkpointEvery is how often a watch that has nothing to tell moves the cursor on, so that it does not grow too old.
	checkpointEvery = 10 * time.Second
	// slowest is how long a watch waits between two times that it tells something, at most.
	slowest = time.Hour
)

// view is what somebody wants to see of a board.
type view struct {
	*board
	filter *filter
	since  time.Time // zero: each queue's midnight
}

// news is a row that changed, or its name where it is gone.
type news struct {
	kind    kind
	id      string
	version uint64
	wire    []byte
	gone    bool
}

// changed are the rows that somebody is to be told of who knows a version, in the order in which they changed, and the version that is
// known by them. Where the board does not remember that version, all rows are.
func (v *view) changed(known uint64) (all []news, now uint64, reset bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if known < v.rows.forgotten || known > v.rows.version {
		known = 0
	}
	rows, n := v.rows.since(known)
	if v.filter.all() {
		all = make([]news, 0, n)
	}
	for r := range rows {
		n := news{kind: r.kind, id: r.id, version: r.version}
		switch v.filter.of(r, known) {
		case ignored:
			continue
		case removed:
			if known == 0 {
				continue
			}
			n.gone, n.wire = true, r.name()
		case sent:
			n.wire = v.wire(r)
		}
		all = append(all, n)
	}
	return all, v.rows.version, known == 0
}

func (v *view) wire(r *row) []byte {
	if q, is := r.body.(*queue); is && !v.since.IsZero() {
		return encode(queueKind, q.since(v.since))
	}
	return r.wire()
}

// watch is one caller's.
type watch struct {
	view
	metrics *metrics
	cursor  cursor
	every   time.Duration
	send    func(*boardv1.WatchResponse) error
	told    time.Time // when something was sent last
}

// run tells the board, and then what changes, until ctx or stopping ends.
func (w *watch) run(ctx context.Context, stopping <-chan struct{}) error {
	pace := time.NewTimer(0)
	defer pace.Stop()
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stopping:
			return rpc.Unavailable(ErrStopping)
		case <-pace.C:
		}
		more := w.state.changed.Changed()
		if err := w.turn(first); err != nil {
			return err
		}
		pace.Reset(w.every)
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-stopping:
			return rpc.Unavailable(ErrStopping)
		case <-more:
		}
	}
}

// turn tells what has changed since the last one.
func (w *watch) turn(first bool) error {
	if !w.since.IsZero() && w.since.Before(quarterStart(oldest(time.Now().UnixNano()))) {
		return rpc.OutOfRange(errSinceIsOver)
	}
	all, now, reset := w.changed(w.cursor.version)
	if !first && len(all) == 0 && time.Since(w.told) < checkpointEvery {
		w.cursor.version = now
		return nil
	}
	w.told = time.Now()
	whole := first || reset
	for {
		n, size := 0, 0
		for ; n < len(all) && size < chunk; n++ {
			size += len(all[n].wire)
			w.metrics.sent[all[n].kind].Inc()
		}
		m := &boardv1.WatchResponse{Reset_: reset, Rows: rowsOf(all[:n], false), Removed: rowsOf(all[:n], true)}
		w.cursor.version = now
		if n < len(all) {
			w.cursor.version = all[n-1].version
		}
		all, reset = all[n:], false
		m.Complete, m.Cursor = whole && len(all) == 0, w.cursor.encode()
		if err := w.send(m); err != nil {
			return err
		}
		if len(all) == 0 {
			return nil
		}
	}
}

// rowsOf puts those that are gone, or those that are not, together in order of their ids; nil where there are none. They are bytes that
// Protobuf has not looked at (unknown fields), which are written as they are: each was encoded once, for all who watch. So in this process
// the getters do not show them.
func rowsOf(all []news, gone bool) *boardv1.Rows {
	size, rows := 0, 0
	for n := range all {
		if all[n].gone == gone {
			size, rows = size+len(all[n].wire), rows+1
		}
	}
	if rows == 0 {
		return nil
	}
	some := make([]*news, 0, rows)
	for n := range all {
		if all[n].gone == gone {
			some = append(some, &all[n])
		}
	}
	slices.SortFunc(some, func(x, y *news) int { return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.id, y.id)) })
	b := make([]byte, 0, size)
	for _, n := range some {
		b = append(b, n.wire...)
	}
	m := &boardv1.Rows{}
	m.ProtoReflect().SetUnknown(protoreflect.RawFields(b))
	return m
}
