package pgkv

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"

	"github.com/skein-cx/skein/pkg/kv"
)

const (
	firstPage = 64 // rows: a screenful of a timeline
	lastPage  = 1024
	pageBytes = 4 << 20 // about; then pages get shorter
)

// iterator reads page by page. It holds the connection only while it reads one.
type iterator struct {
	ctx  context.Context
	snap *snapshot
	low  []byte // what is left of the range
	high []byte // nil where it is open
	down bool
	none bool // nothing is left of it

	rows int // of the next page
	data []byte
	page []row
	at   int // in the page; -1 before its first row
	big  []byte

	ended bool
	open  bool
	err   error
}

// row is where a key and its value stand in the page's data. A large value is not there.
type row struct {
	key, value, end int
	large           bool
}

// Scan implements kv.Reader.
func (s *snapshot) Scan(ctx context.Context, r kv.Range) (kv.Iterator, error) {
	if err := s.store.enter(ctx); err != nil {
		return nil, err
	}
	it := &iterator{ctx: ctx, snap: s, low: filled(r.Start), down: r.Reverse, rows: firstPage, at: -1, open: true}
	if len(r.End) > 0 {
		it.high = r.End
		it.none = string(r.Start) >= string(r.End)
	}
	// Nothing is read yet, but a snapshot that was closed says so.
	if err := s.read(ctx, "scan", func(context.Context, *pgx.Conn, *table) error { return nil }); err != nil {
		s.store.leave()
		return nil, err
	}
	return it, nil
}

func (i *iterator) Next() bool {
	if i.ended {
		return false
	}
	i.big = nil
	i.at++
	if i.err = i.ctx.Err(); i.err == nil && i.at == len(i.page) {
		i.err = i.read()
	}
	if i.err == nil && i.at < len(i.page) && i.page[i.at].large {
		i.err = i.snap.read(i.ctx, "scan", func(ctx context.Context, conn *pgx.Conn, t *table) (err error) {
			i.big, err = getOne(ctx, conn, t, i.Key())
			return err
		})
	}
	i.ended = i.err != nil || i.at >= len(i.page)
	return !i.ended
}

// read gets the next page; an empty one is the end.
func (i *iterator) read() error {
	i.page, i.data, i.at = i.page[:0], i.data[:0], 0
	if i.none {
		return nil
	}
	err := i.snap.read(i.ctx, "scan", func(ctx context.Context, conn *pgx.Conn, t *table) error {
		rows, err := i.query(ctx, conn, t)
		if err != nil {
			return err
		}
		var key, value pgtype.DriverBytes
		_, err = pgx.ForEachRow(rows, []any{&key, &value}, func() error {
			r := row{key: len(i.data), large: value == nil}
			i.data = append(i.data, key...)
			r.value = len(i.data)
			i.data = append(i.data, value...)
			r.end = len(i.data)
			i.page = append(i.page, r)
			return nil
		})
		return err
	})
	if err != nil {
		return err
	}
	n := len(i.page)
	if i.none = n < i.rows; !i.none {
		last := i.data[i.page[n-1].key:i.page[n-1].value]
		if i.down {
			i.high = append([]byte{}, last...)
			i.none = len(last) == 0 // nothing is below the empty key
		} else {
			i.low = append(append(make([]byte, 0, len(last)+1), last...), 0)
		}
		i.rows = max(1, min(4*i.rows, lastPage, n*pageBytes/(len(i.data)+1)))
	}
	return nil
}

func (i *iterator) query(ctx context.Context, conn *pgx.Conn, t *table) (pgx.Rows, error) {
	switch {
	case i.down && i.high != nil:
		return conn.Query(ctx, t.downFrom, i.rows, i.low, i.high)
	case i.down:
		return conn.Query(ctx, t.down, i.rows, i.low)
	case i.high != nil:
		return conn.Query(ctx, t.upTo, i.rows, i.low, i.high)
	default:
		return conn.Query(ctx, t.up, i.rows, i.low)
	}
}

func (i *iterator) Key() []byte {
	if i.ended || i.at < 0 {
		return nil
	}
	r := i.page[i.at]
	return i.data[r.key:r.value:r.value]
}

func (i *iterator) Value() []byte {
	if i.ended || i.at < 0 {
		return nil
	}
	if i.big != nil {
		return i.big
	}
	r := i.page[i.at]
	return i.data[r.value:r.end:r.end]
}

func (i *iterator) Err() error { return i.err }

func (i *iterator) Close() error {
	i.ended = true
	if i.open {
		i.open = false
		i.snap.store.leave()
	}
	return nil
}
