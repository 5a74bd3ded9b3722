package sink

import (
	"bytes"
	"encoding/binary"
	"io"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
)

// The tables.
const (
	tableEvents   = "events"
	tableMessages = "messages"
	tableSurveys  = "surveys"
	tableRejected = "rejected_events"
	tableProgress = "progress"
)

// column is one of a table's.
type column[R any] struct {
	name, typ string
	// encode appends the values of rows as the format Native has them at revision 0. What it leaves to the end, close appends; that may be nil.
	encode func(e *encoded, rows []R)
	close  func(e *encoded)
	// fill hands them to the driver. It serves one goroutine: it keeps its room.
	fill func(c driver.BatchColumn, rows []R) error
}

// encoded are values of a column. What Native has before them all is kept apart: the ends of arrays, which are missing, or a dictionary.
type encoded struct {
	before, values []byte
	end            uint64 // of the last array
	words          dictionary
}

func (e *encoded) reset() {
	e.before, e.values, e.end = e.before[:0], e.values[:0], 0
	e.words.reset()
}

// typed is a column of values of one type.
func typed[R, T any](name, typ string, get func(R) T, put func([]byte, T) []byte) column[R] {
	var room []T
	return column[R]{
		name: name, typ: typ,
		encode: func(e *encoded, rows []R) {
			b := e.values
			for _, r := range rows {
				b = put(b, get(r))
			}
			e.values = b
		},
		fill: func(c driver.BatchColumn, rows []R) error {
			room = room[:0]
			for _, r := range rows {
				room = append(room, get(r))
			}
			defer clear(room)
			return c.Append(room)
		},
	}
}

// lists is a column of arrays, which the driver takes faster one by one.
func lists[R, T any](name, typ string, get func(R) []T, put func([]byte, T) []byte) column[R] {
	return column[R]{
		name: name, typ: "Array(" + typ + ")",
		encode: func(e *encoded, rows []R) {
			for _, r := range rows {
				all := get(r)
				for _, v := range all {
					e.values = put(e.values, v)
				}
				e.end += uint64(len(all))
				e.before = binary.LittleEndian.AppendUint64(e.before, e.end)
			}
		},
		fill: func(c driver.BatchColumn, rows []R) error {
			for _, r := range rows {
				if err := c.AppendRow(get(r)); err != nil {
					return err
				}
			}
			return nil
		},
	}
}

func text[R any](name string, get func(R) string) column[R] {
	return typed(name, "String", get, putString)
}

// term is a column of texts that come again and again: each is sent once, and then where it stands among them.
func term[R any](name string, get func(R) string) column[R] {
	c := text(name, get)
	c.typ = "LowCardinality(String)"
	c.encode = func(e *encoded, rows []R) {
		for _, r := range rows {
			e.words.add(get(r))
		}
	}
	c.close = func(e *encoded) { e.words.encode(e) }
	return c
}

// dictionary gives words numbers.
type dictionary struct {
	numbers map[string]uint32 // from 1 on
	words   []byte            // encoded, in the order of their numbers
	places  []uint32          // the number of each value
	last    string            // value
}

func (d *dictionary) add(w string) {
	if n := len(d.places); n > 0 && w == d.last {
		d.places = append(d.places, d.places[n-1])
		return
	}
	number, known := d.numbers[w]
	if !known {
		if d.numbers == nil {
			d.numbers = map[string]uint32{}
		}
		number = uint32(len(d.numbers) + 1)
		d.numbers[w] = number
		d.words = putString(d.words, w)
	}
	d.places, d.last = append(d.places, number), w
}

func (d *dictionary) reset() {
	clear(d.numbers)
	d.words, d.places, d.last = d.words[:0], d.places[:0], ""
}

// Parts of a dictionary in Native.
const (
	wordsVersion = 1
	// wordsOwn says that the block brings a dictionary of its own; the lowest bits say how wide the numbers are.
	wordsOwn                            = 1<<9 | 1<<10
	wordsNarrow, wordsMiddle, wordsWide = 0, 1, 2
)

// encode writes what was added.
func (d *dictionary) encode(e *encoded) {
	width := uint64(wordsWide)
	switch n := len(d.numbers); {
	case n < math.MaxUint8:
		width = wordsNarrow
	case n < math.MaxUint16:
		width = wordsMiddle
	}
	for _, place := range d.places {
		switch width {
		case wordsNarrow:
			e.values = append(e.values, uint8(place))
		case wordsMiddle:
			e.values = putUint16(e.values, uint16(place))
		default:
			e.values = putUint32(e.values, place)
		}
	}
	for _, v := range [...]uint64{wordsVersion, wordsOwn | width, uint64(len(d.numbers) + 1)} {
		e.before = binary.LittleEndian.AppendUint64(e.before, v)
	}
	e.before = append(putString(e.before, ""), d.words...) // the first one stands for what is missing, of which there is none
	e.before = binary.LittleEndian.AppendUint64(e.before, uint64(len(d.places)))
}

func id128[R any](name string, get func(R) uuid.UUID) column[R] {
	return typed(name, "UUID", get, putUUID)
}

func flag[R any](name string, get func(R) bool) column[R] { return typed(name, "Bool", get, putBool) }

func number[R any](name string, get func(R) float64) column[R] {
	return typed(name, "Float64", get, putFloat64)
}

func putString(b []byte, s string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(s))), s...)
}

func putUUID(b []byte, id uuid.UUID) []byte {
	b = binary.LittleEndian.AppendUint64(b, binary.BigEndian.Uint64(id[:8]))
	return binary.LittleEndian.AppendUint64(b, binary.BigEndian.Uint64(id[8:]))
}

func putBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}

func putFloat64(b []byte, v float64) []byte {
	return binary.LittleEndian.AppendUint64(b, math.Float64bits(v))
}

func putUint8(b []byte, v uint8) []byte   { return append(b, v) }
func putUint16(b []byte, v uint16) []byte { return binary.LittleEndian.AppendUint16(b, v) }
func putUint32(b []byte, v uint32) []byte { return binary.LittleEndian.AppendUint32(b, v) }
func putInt32(b []byte, v int32) []byte   { return binary.LittleEndian.AppendUint32(b, uint32(v)) }
func putInt64(b []byte, v int64) []byte   { return binary.LittleEndian.AppendUint64(b, uint64(v)) }

// moment is a column of times in microseconds.
func moment[R any](name string, get func(R) int64) column[R] {
	c := typed(name, "DateTime64(6, 'UTC')", func(r R) time.Time { return time.UnixMicro(get(r)) }, nil)
	c.encode = func(e *encoded, rows []R) {
		for _, r := range rows {
			e.values = putInt64(e.values, get(r))
		}
	}
	return c
}

// optional is a column of numbers that may be missing.
func optional[R any](name string, get func(R) *float64) column[R] {
	c := typed(name, "Nullable(Float64)", get, nil)
	c.encode = func(e *encoded, rows []R) {
		for _, r := range rows {
			p, v := get(r), 0.0
			if p != nil {
				v = *p
			}
			e.before = putBool(e.before, p == nil)
			e.values = putFloat64(e.values, v)
		}
	}
	return c
}

// table knows the columns of a table, in their order. One goroutine may encode its rows while another one inserts some.
type table[R any] struct {
	name    string
	columns []column[R]
	names   []string
	types   []string
	rooms   sync.Pool // *[]encoded
}

func newTable[R any](name string, columns ...column[R]) *table[R] {
	t := &table[R]{name: name, columns: columns}
	for _, c := range columns {
		t.names, t.types = append(t.names, c.name), append(t.types, c.typ)
	}
	return t
}

// room is for encoded columns, empty.
func (t *table[R]) room() []encoded {
	used, _ := t.rooms.Get().(*[]encoded)
	if used == nil {
		return make([]encoded, len(t.columns))
	}
	for n := range *used {
		(*used)[n].reset()
	}
	return *used
}

// of gives rows to insert, into the table of a database; the empty one is the connection's own.
func (t *table[R]) of(database string, rows []R) *insertion[R] {
	return &insertion[R]{table: t, name: in(database, t.name), rows: rows}
}

// in names a table of a database; the empty one is the connection's own.
func in(database, table string) string {
	if database == "" {
		return table
	}
	return database + "." + table
}

// insertion is a warehouse.Native.
type insertion[R any] struct {
	table   *table[R]
	name    string
	rows    []R
	encoded []encoded // by column; nil until it is
}

func (i *insertion[R]) Table() string     { return i.name }
func (i *insertion[R]) Columns() []string { return i.table.names }
func (i *insertion[R]) Types() []string   { return i.table.types }
func (i *insertion[R]) Len() int          { return len(i.rows) }

// cached is how many rows the caches of a processor hold, about: they are read once for each column.
const cached = 128

// Encode implements warehouse.Native.
func (i *insertion[R]) Encode() {
	if i.encoded != nil {
		return
	}
	i.encoded = i.table.room()
	for rows := range slices.Chunk(i.rows, cached) {
		for n, c := range i.table.columns {
			c.encode(&i.encoded[n], rows)
		}
	}
	for n, c := range i.table.columns {
		if c.close != nil {
			c.close(&i.encoded[n])
		}
	}
}

// Native implements warehouse.Native.
func (i *insertion[R]) Native() io.Reader {
	i.Encode()
	columns := i.table.columns
	head := binary.AppendUvarint(binary.AppendUvarint(nil, uint64(len(columns))), uint64(len(i.rows)))
	parts := []io.Reader{bytes.NewReader(head)}
	for n, c := range columns {
		e := &i.encoded[n]
		parts = append(parts, bytes.NewReader(putString(putString(nil, c.name), c.typ)), bytes.NewReader(e.before), bytes.NewReader(e.values))
	}
	return io.MultiReader(parts...)
}

// done gives the room back once nobody reads it any more.
func (i *insertion[R]) done() {
	if used := i.encoded; used != nil {
		i.encoded = nil
		i.table.rooms.Put(&used)
	}
}

func (i *insertion[R]) Append(b driver.Batch) error {
	for n, c := range i.table.columns {
		if err := c.fill(b.Column(n), i.rows); err != nil {
			return err
		}
	}
	return nil
}

// tables are those that rows go to.
type tables struct {
	events, messages, surveys *table[*row]
	rejected                  *table[*rejection]
	progress                  *table[progressRow]
}

// inserts are those of a batch.
func (t *tables) inserts(database string, b *batch) []*insertion[*row] {
	return []*insertion[*row]{t.events.of(database, b.events), t.messages.of(database, b.messages), t.surveys.of(database, b.surveys)}
}

func newTables() *tables {
	return &tables{
		events: newTable(
			tableEvents,
			term("tenant", func(r *row) string { return r.tenant }),
			id128("event_id", func(r *row) uuid.UUID { return r.id }),
			term("type", func(r *row) string { return r.typ }),
			moment("occurred_at", func(r *row) int64 { return r.occurred }),
			moment("received_at", func(r *row) int64 { return r.received }),
			term("channel", func(r *row) string { return r.channel }),
			term("direction", func(r *row) string { return r.direction }),
			term("origin", func(r *row) string { return r.origin }),
			term("provider", func(r *row) string { return r.provider }),
			term("inbox", func(r *row) string { return r.inbox }),
			id128("thread", func(r *row) uuid.UUID { return r.thread }),
			id128("interaction", func(r *row) uuid.UUID { return r.interaction }),
			id128("endpoint", func(r *row) uuid.UUID { return r.endpoint }),
			lists("endpoints", "UUID", func(r *row) []uuid.UUID { return r.endpoints }, putUUID),
			term("actor_kind", func(r *row) string { return r.actorKind }),
			text("actor", func(r *row) string { return r.actor }),
			term("queue", func(r *row) string { return r.queue }),
			id128("visit", func(r *row) uuid.UUID { return r.visit }),
			id128("assignment", func(r *row) uuid.UUID { return r.assignment }),
			term("language", func(r *row) string { return r.language }),
			term("reason", func(r *row) string { return r.reason }),
			text("detail", func(r *row) string { return r.detail }),
			optional("value", func(r *row) *float64 {
				if !r.valued {
					return nil
				}
				return &r.value
			}),
			typed("text_length", "UInt32", func(r *row) uint32 { return r.textLength }, putUint32),
			typed("attachments", "UInt16", func(r *row) uint16 { return r.attachments }, putUint16),
			id128("causation", func(r *row) uuid.UUID { return r.causation }),
			text("correlation", func(r *row) string { return r.correlation }),
			flag("backfill", func(r *row) bool { return r.backfill }),
			flag("sealed", func(r *row) bool { return r.sealed }),
			typed("schema_version", "UInt8", func(r *row) uint8 { return r.version }, putUint8),
			term("topic", func(r *row) string { return r.topic }),
			typed("partition", "Int32", func(r *row) int32 { return r.partition }, putInt32),
			typed("offset", "Int64", func(r *row) int64 { return r.offset }, putInt64),
		),
		messages: newTable(
			tableMessages,
			term("tenant", func(r *row) string { return r.tenant }),
			id128("event_id", func(r *row) uuid.UUID { return r.id }),
			moment("occurred_at", func(r *row) int64 { return r.occurred }),
			term("kind", func(r *row) string { return r.message.kind }),
			term("channel", func(r *row) string { return r.channel }),
			term("direction", func(r *row) string { return r.direction }),
			term("provider", func(r *row) string { return r.provider }),
			term("inbox", func(r *row) string { return r.inbox }),
			id128("thread", func(r *row) uuid.UUID { return r.thread }),
			id128("endpoint", func(r *row) uuid.UUID { return r.endpoint }),
			term("actor_kind", func(r *row) string { return r.actorKind }),
			text("actor", func(r *row) string { return r.actor }),
			term("language", func(r *row) string { return r.language }),
			text("subject", func(r *row) string { return r.message.subject }),
			text("text", func(r *row) string { return r.message.text }),
			flag("auto_reply", func(r *row) bool { return r.message.auto }),
			flag("bulk", func(r *row) bool { return r.message.bulk }),
		),
		surveys: newTable(
			tableSurveys,
			term("tenant", func(r *row) string { return r.tenant }),
			id128("event_id", func(r *row) uuid.UUID { return r.id }),
			moment("occurred_at", func(r *row) int64 { return r.occurred }),
			flag("answered", func(r *row) bool { return r.survey.answered }),
			term("channel", func(r *row) string { return r.channel }),
			term("provider", func(r *row) string { return r.provider }),
			term("inbox", func(r *row) string { return r.inbox }),
			id128("thread", func(r *row) uuid.UUID { return r.thread }),
			id128("interaction", func(r *row) uuid.UUID { return r.interaction }),
			id128("endpoint", func(r *row) uuid.UUID { return r.endpoint }),
			id128("assignment", func(r *row) uuid.UUID { return r.assignment }),
			term("queue", func(r *row) string { return r.queue }),
			term("survey", func(r *row) string { return r.survey.name }),
			term("metric", func(r *row) string { return r.survey.metric }),
			number("score", func(r *row) float64 { return r.survey.score }),
			number("scale_min", func(r *row) float64 { return r.survey.least }),
			number("scale_max", func(r *row) float64 { return r.survey.most }),
			lists("drivers", "String", func(r *row) []string { return r.survey.drivers }, putString),
			flag("backfill", func(r *row) bool { return r.backfill }),
		),
		rejected: newTable(
			tableRejected,
			text("tenant", func(r *rejection) string { return r.row.tenant }),
			id128("event_id", func(r *rejection) uuid.UUID { return r.row.id }),
			text("type", func(r *rejection) string { return r.row.typ }),
			moment("occurred_at", func(r *rejection) int64 { return r.row.occurred }),
			text("table", func(r *rejection) string { return r.table }),
			text("reason", func(r *rejection) string { return r.reason }),
			text("topic", func(r *rejection) string { return r.row.topic }),
			typed("partition", "Int32", func(r *rejection) int32 { return r.row.partition }, putInt32),
			typed("offset", "Int64", func(r *rejection) int64 { return r.row.offset }, putInt64),
			moment("rejected_at", func(r *rejection) int64 { return r.at }),
		),
		progress: newTable(
			tableProgress,
			term("stream", func(progressRow) string { return stream }),
			term("topic", func(r progressRow) string { return r.Topic }),
			typed("partition", "Int32", func(r progressRow) int32 { return r.Partition }, putInt32),
			typed("next_offset", "Int64", func(r progressRow) int64 { return r.Next }, putInt64),
			moment("complete_until", func(r progressRow) int64 { return r.CompleteUntil.UnixMicro() }),
			moment("written_at", func(r progressRow) int64 { return r.written }),
		),
	}
}
