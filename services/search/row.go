package search

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The fields of a document. All but the row are only to be found by, and say what the row says.
const (
	fieldText     = "text"     // of what is shown
	fieldTenant   = "tenant"   //
	fieldThread   = "thread"   // 16 bytes
	fieldEndpoint = "endpoint" // 16 bytes, of each
	fieldChannel  = "channel"  // one byte
	fieldMoment   = "moment"   // when, and where in the log: no two are equal
	fieldWaiting  = "waiting"  // tenant and thread, while nobody has opened that
	fieldRow      = "row"      // stored: all there is
)

// kind is what a row is about. It begins the id of its document.
type kind byte

const (
	// kindEvent: an event.
	kindEvent kind = 'e'
	// kindThread: who opened a thread.
	kindThread kind = 't'
)

// key names a row.
type key struct {
	kind   kind
	tenant string
	id     event.ID
}

// doc is the id of the row's document.
func (k key) doc() string { return string(byte(k.kind)) + string(k.id[:]) + k.tenant }

func parseKey(doc string) (key, error) {
	if len(doc) < 1+len(event.ID{}) {
		return key{}, errRow
	}
	return key{kind(doc[0]), doc[1+len(event.ID{}):], event.ID([]byte(doc[1 : 1+len(event.ID{})]))}, nil
}

// state is what is known of an event, or of a thread.
type state byte

const (
	// stateShown: the event can be found.
	stateShown state = iota + 1
	// stateGone: the event was taken back or erased, and does not come again.
	stateGone
	// stateEdited: the event is a message that was not seen yet, but was edited already: by, the event that told so, is found instead.
	stateEdited
	// stateWaiting: the thread has events, and nobody has opened it.
	stateWaiting
	// stateOpened: endpoints holds who opened the thread.
	stateOpened
)

// row is one document.
type row struct {
	state     state
	channel   eventv1.Channel
	direction eventv1.Direction
	partition int32
	offset    int64
	occurred  int64 // nanoseconds since 1970
	thread    event.ID
	by        event.ID // the edit in force; zero where there is none
	// edited and editedOffset are when the text in force was written, and where in the log.
	edited, editedOffset int64
	// named says that the event itself names its endpoints; else they are those who opened the thread, or there are none yet.
	named     bool
	endpoints []event.ID
	typ       string
	text      string
}

var errRow = errors.New("search: a row cannot be read: the index is damaged")

const rowSize = 4 + 4 + 8 + 8 + 16 + 16 + 8 + 8 + 1 + 1

func (r *row) encode() []byte {
	b := make([]byte, 0, rowSize+len(r.endpoints)*len(event.ID{})+len(r.typ)+len(r.text))
	named := byte(0)
	if r.named {
		named = 1
	}
	b = append(b, byte(r.state), byte(r.channel), byte(r.direction), named)
	b = binary.BigEndian.AppendUint32(b, uint32(r.partition))
	b = binary.BigEndian.AppendUint64(b, uint64(r.offset))
	b = binary.BigEndian.AppendUint64(b, uint64(r.occurred))
	b = append(append(b, r.thread[:]...), r.by[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(r.edited))
	b = binary.BigEndian.AppendUint64(b, uint64(r.editedOffset))
	b = append(b, byte(len(r.endpoints)), byte(len(r.typ)))
	for _, e := range r.endpoints {
		b = append(b, e[:]...)
	}
	return append(append(b, r.typ...), r.text...)
}

func decodeRow(b string) (*row, error) {
	if len(b) < rowSize {
		return nil, errRow
	}
	head := []byte(b[:rowSize])
	r := &row{
		state: state(head[0]), channel: eventv1.Channel(head[1]), direction: eventv1.Direction(head[2]), named: head[3] == 1,
		partition: int32(binary.BigEndian.Uint32(head[4:])), offset: int64(binary.BigEndian.Uint64(head[8:])),
		occurred: int64(binary.BigEndian.Uint64(head[16:])), thread: event.ID(head[24:40]), by: event.ID(head[40:56]),
		edited: int64(binary.BigEndian.Uint64(head[56:])), editedOffset: int64(binary.BigEndian.Uint64(head[64:])),
	}
	endpoints, typ := int(head[72]), int(head[73])
	rest := b[rowSize:]
	if len(rest) < endpoints*len(event.ID{})+typ {
		return nil, errRow
	}
	for range endpoints {
		r.endpoints = append(r.endpoints, event.ID([]byte(rest[:len(event.ID{})])))
		rest = rest[len(event.ID{}):]
	}
	r.typ, r.text = rest[:typ], rest[typ:]
	return r, nil
}

// appendNanos appends a time so that bytes are ordered as times are.
func appendNanos(b []byte, nanos int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(nanos)^(math.MaxInt64+1))
}

func (r *row) moment() []byte {
	b := appendNanos(make([]byte, 0, 8+4+8), r.occurred)
	b = binary.BigEndian.AppendUint32(b, uint32(r.partition))
	return binary.BigEndian.AppendUint64(b, uint64(r.offset))
}

func channelTerm(c eventv1.Channel) string { return string([]byte{byte(c)}) }

func idTerm(id event.ID) string { return string(id[:]) }

// waitingTerm is how the events of a thread are found that wait for somebody to open it.
func waitingTerm(tenant string, thread event.ID) string { return string(thread[:]) + tenant }

// document is what the index takes in.
func (r *row) document(k key) *document.Document {
	d := document.NewDocument(k.doc())
	d.AddField(document.NewTextFieldCustom(fieldRow, nil, r.encode(), index.StoreField, nil))
	if k.kind != kindEvent || r.state != stateShown {
		return d
	}
	word := func(field string, value []byte, options index.FieldIndexingOptions) {
		d.AddField(document.NewTextFieldCustom(field, nil, value, options|index.IndexField|index.SkipFreqNorm, nil))
	}
	word(fieldTenant, []byte(k.tenant), 0)
	word(fieldThread, r.thread[:], 0)
	word(fieldChannel, []byte{byte(r.channel)}, 0)
	word(fieldMoment, r.moment(), index.DocValues)
	for _, e := range r.endpoints {
		word(fieldEndpoint, e[:], 0)
	}
	if len(r.endpoints) == 0 {
		word(fieldWaiting, []byte(waitingTerm(k.tenant, r.thread)), 0)
	}
	if r.text != "" {
		d.AddField(document.NewTextFieldCustom(fieldText, nil, []byte(r.text), index.IndexField|index.IncludeTermVectors, analyser{}))
	}
	return d
}
