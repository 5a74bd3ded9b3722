package kafkalog

import (
	"encoding/binary"
	"hash/crc32"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// A batch is encoded as it grows, in Kafka's record batch format version 2 behind its length
// (https://kafka.apache.org/documentation/#recordbatch), so that it is sent and sent again as it stands. These are the
// places of its header's fields, counted from the length.
const (
	atBatchLength     = 12
	atLeaderEpoch     = 16
	atMagic           = 20
	atChecksum        = 21
	atAttributes      = 25
	atLastOffsetDelta = 27
	atFirstTime       = 31
	atLastTime        = 39
	atProducer        = 47 // id, epoch and sequence: 14 bytes, all ones for none
	atCount           = 61
	batchOverhead     = 65

	// At most: the lengths of the record, its key, its value and its headers' number, two deltas and the attributes.
	recordOverhead = 4*binary.MaxVarintLen32 + 2*binary.MaxVarintLen64 + 1
	headerOverhead = 2 * binary.MaxVarintLen32
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli) //nolint:gochecknoglobals // read only

type batch struct {
	encoded []byte
	done    []func(eventlog.Position, error)
	size    int64 // what it took of the room in flight
	begun   time.Time
	last    int64 // greatest time of a record, in Unix milliseconds
	sent    int   // how many requests it was put into
}

// sizeOf is what a message takes in a batch, at most.
func sizeOf(m eventlog.Message) int {
	n := recordOverhead + len(m.Key) + len(m.Value)
	for _, h := range m.Headers {
		n += headerOverhead + len(h.Key) + len(h.Value)
	}
	return n
}

// fits says whether a message of a size may be added. The first one always may.
func (b *batch) fits(size, limit int) bool {
	return len(b.done) == 0 || len(b.encoded)+size <= limit
}

func (b *batch) add(m eventlog.Message, size int, done func(eventlog.Position, error)) {
	now := time.Now()
	if len(b.done) == 0 {
		b.encoded = append(b.encoded[:0], make([]byte, batchOverhead)...)
		b.begun, b.last = now, now.UnixMilli()
	}
	b.last = max(b.last, now.UnixMilli())
	b.encoded = appendRecord(b.encoded, m, now.UnixMilli()-b.begun.UnixMilli(), int64(len(b.done)))
	b.done = append(b.done, done)
	b.size += int64(size)
}

func appendRecord(b []byte, m eventlog.Message, timeDelta, offsetDelta int64) []byte {
	length := 1 + varintLen(timeDelta) + varintLen(offsetDelta) + bytesLen(m.Key) + bytesLen(m.Value) + varintLen(int64(len(m.Headers)))
	for _, h := range m.Headers {
		length += varintLen(int64(len(h.Key))) + len(h.Key) + bytesLen(h.Value)
	}
	b = binary.AppendVarint(b, int64(length))
	b = append(b, 0) // attributes: none are defined
	b = binary.AppendVarint(b, timeDelta)
	b = binary.AppendVarint(b, offsetDelta)
	b = appendBytes(b, m.Key)
	b = appendBytes(b, m.Value)
	b = binary.AppendVarint(b, int64(len(m.Headers)))
	for _, h := range m.Headers {
		b = binary.AppendVarint(b, int64(len(h.Key)))
		b = append(b, h.Key...)
		b = appendBytes(b, h.Value)
	}
	return b
}

// appendBytes writes nil as Kafka's null, whose length is -1.
func appendBytes(b, v []byte) []byte {
	if v == nil {
		return binary.AppendVarint(b, -1)
	}
	return append(binary.AppendVarint(b, int64(len(v))), v...)
}

func bytesLen(v []byte) int {
	if v == nil {
		return 1
	}
	return varintLen(int64(len(v))) + len(v)
}

func varintLen(v int64) int {
	n := 1
	for u := uint64(v<<1) ^ uint64(v>>63); u >= 0x80; u >>= 7 { // the zigzag encoding of encoding/binary
		n++
	}
	return n
}

// seal writes the header. Nothing is added afterwards.
func (b *batch) seal() []byte {
	e, be := b.encoded, binary.BigEndian
	count := len(b.done)
	be.PutUint32(e, u32(len(e)-4))
	be.PutUint32(e[atBatchLength:], u32(len(e)-atLeaderEpoch))
	be.PutUint32(e[atLeaderEpoch:], ^uint32(0)) // not known
	e[atMagic] = 2
	be.PutUint32(e[atLastOffsetDelta:], u32(count-1))
	be.PutUint64(e[atFirstTime:], uint64(b.begun.UnixMilli()))
	be.PutUint64(e[atLastTime:], uint64(b.last)) // a time since 1970
	for i := atProducer; i < atCount; i++ {
		e[i] = 0xff
	}
	be.PutUint32(e[atCount:], u32(count))
	be.PutUint32(e[atChecksum:], crc32.Checksum(e[atAttributes:], castagnoli))
	return e
}

func u32(n int) uint32 { return uint32(n) } // a batch is smaller than 2 GiB

// reset makes a batch empty for another use.
func (b *batch) reset() {
	clear(b.done)
	b.done, b.size, b.sent = b.done[:0], 0, 0
}
