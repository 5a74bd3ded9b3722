package board

import (
	"container/list"
	"iter"
	"slices"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"
)

// kind is which rows a row belongs to: the field of Rows, which a test holds to the proto.
type kind uint8

const (
	queueKind kind = 1 + iota
	teamKind
	agentKind
	kinds
)

// fieldID is the field of an id in every row.
const fieldID = 1

// row is a row of the board, or one that was.
type row struct {
	kind    kind
	id      string
	body    body
	version uint64        // when it changed last
	place   *list.Element // nil while nobody can know of it
	shown   bool
	encoded []byte // as a field of Rows; nil where it is to be made
}

// body is what a row shows.
type body interface {
	// shows reports whether there is anything to show.
	shows() bool
	message() proto.Message
}

// wire is the row as a field of Rows. It is made once for each change, and shared.
func (r *row) wire() []byte {
	if r.encoded == nil {
		r.encoded = encode(r.kind, r.body.message())
	}
	return r.encoded
}

// name is the row with nothing but its id, as a field of Rows.
func (r *row) name() []byte {
	return field(protowire.Number(r.kind), field(fieldID, []byte(r.id)))
}

// encode makes a field of Rows of a message. Its texts are valid: they come from messages that were decoded.
func encode(k kind, m proto.Message) []byte {
	size := proto.Size(m)
	b := protowire.AppendTag(make([]byte, 0, size+8), protowire.Number(k), protowire.BytesType)
	b = protowire.AppendVarint(b, uint64(size))
	b, _ = proto.MarshalOptions{UseCachedSize: true}.MarshalAppend(b, m)
	return b
}

func field(n protowire.Number, value []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(make([]byte, 0, len(value)+8), n, protowire.BytesType), value)
}

// rows are all rows in the order in which they changed last.
type rows struct {
	version   uint64 // of the last change
	forgotten uint64 // of the last change that is not remembered: that a row was removed
	order     list.List
	shown     [kinds]int
	graves    []grave // in order
}

// grave is a row that was removed.
type grave struct {
	*row
	version uint64
	at      time.Time
}

// touch notes that a row has changed. The row of what shows nothing is removed.
func (rs *rows) touch(r *row, now func() time.Time) {
	shows := r.body.shows()
	if !shows && !r.shown {
		return
	}
	rs.version++
	r.version, r.encoded = rs.version, nil
	if r.place == nil {
		r.place = rs.order.PushBack(r)
	} else {
		rs.order.MoveToBack(r.place)
	}
	switch {
	case shows && !r.shown:
		rs.shown[r.kind]++
	case !shows:
		rs.shown[r.kind]--
		rs.graves = append(rs.graves, grave{r, r.version, now()})
	}
	r.shown = shows
}

// since are the rows that changed behind a version, in order, and how many they are.
func (rs *rows) since(version uint64) (changed iter.Seq[*row], n int) {
	last := rs.order.Back()
	for ; last != nil; last = last.Prev() {
		if r, _ := last.Value.(*row); r.version <= version {
			break
		}
		n++
	}
	return func(yield func(*row) bool) {
		e := rs.order.Front()
		if last != nil {
			e = last.Next()
		}
		for ; e != nil; e = e.Next() {
			if r, _ := e.Value.(*row); !yield(r) {
				return
			}
		}
	}, n
}

// forget forgets what was removed before a moment, and calls gone for it.
func (rs *rows) forget(before time.Time, gone func(*row)) {
	n := 0
	for ; n < len(rs.graves) && rs.graves[n].at.Before(before); n++ {
		g := rs.graves[n]
		rs.forgotten = max(rs.forgotten, g.version)
		if g.row.version != g.version { // it came again
			continue
		}
		rs.order.Remove(g.place)
		g.place = nil
		gone(g.row)
	}
	rs.graves = slices.Delete(rs.graves, 0, n)
}
