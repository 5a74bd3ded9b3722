package timeline

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
)

// The spaces of the slice. Every key is written from one partition only, because it holds a thread or a position.
//
//	tenant, 't', endpoint, moment  → offset at which it was filed, record bytes
//	tenant, 'h', thread, moment    → endpoint that it is filed under, or the record bytes while no party is known
//	tenant, 's', thread, event     → offset of the record that has the id, its digest
//	tenant, 'p', thread            → endpoint that opened the thread, or nothing while records wait for one
//	changes, partition, offset, n  → tenant, thread, moment, endpoints: one row for each filing, for those who watch
const (
	spaceTenant  = 0x01
	spaceChanges = 0x02

	subTimeline = 't'
	subThread   = 'h'
	subSeen     = 's'
	subOpener   = 'p'
)

// momentSize is the length of an encoded moment.
const momentSize = 8 + 8 + 4 + 8

// moment is where an event stands among all events of a tenant: by when it happened, when it was received, and its
// position in the log. No two records have the same one.
type moment struct {
	occurred, received int64 // nanoseconds since 1970
	partition          int32
	offset             int64
}

func (m moment) append(b []byte) []byte {
	b = appendTime(b, m.occurred)
	b = appendTime(b, m.received)
	b = binary.BigEndian.AppendUint32(b, uint32(m.partition))
	return binary.BigEndian.AppendUint64(b, uint64(m.offset))
}

func decodeMoment(b []byte) (moment, error) {
	if len(b) != momentSize {
		return moment{}, fmt.Errorf("timeline: moment of %d bytes instead of %d", len(b), momentSize)
	}
	return moment{
		occurred:  int64(binary.BigEndian.Uint64(b) ^ 1<<63),
		received:  int64(binary.BigEndian.Uint64(b[8:]) ^ 1<<63),
		partition: int32(binary.BigEndian.Uint32(b[16:])),
		offset:    int64(binary.BigEndian.Uint64(b[20:])),
	}, nil
}

// appendTime appends nanoseconds since 1970: what begins a moment, so that it sorts before all moments of that time.
func appendTime(b []byte, nanos int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(nanos)^1<<63) // so that times before 1970 sort before those after
}

// Keys and values are appended to what they are given, so that the fold writes all of them in one place.

func appendPrefix(b []byte, tenant string, sub byte, id event.ID) []byte {
	b = append(b, spaceTenant, byte(len(tenant)))
	b = append(append(b, tenant...), sub)
	return append(b, id[:]...)
}

// prefix is that of the keys that have an id; there is room for a moment behind it, and one byte.
func prefix(tenant string, sub byte, id event.ID) []byte {
	return appendPrefix(make([]byte, 0, 3+len(tenant)+len(id)+momentSize+1), tenant, sub, id)
}

func timelinePrefix(tenant string, endpoint event.ID) []byte {
	return prefix(tenant, subTimeline, endpoint)
}

func appendTimelineKey(b []byte, tenant string, endpoint event.ID, m moment) []byte {
	return m.append(appendPrefix(b, tenant, subTimeline, endpoint))
}

func timelineKey(tenant string, endpoint event.ID, m moment) []byte {
	return m.append(timelinePrefix(tenant, endpoint))
}

func threadPrefix(tenant string, thread event.ID) []byte { return prefix(tenant, subThread, thread) }

func appendThreadKey(b []byte, tenant string, thread event.ID, m moment) []byte {
	return m.append(appendPrefix(b, tenant, subThread, thread))
}

func threadKey(tenant string, thread event.ID, m moment) []byte {
	return m.append(threadPrefix(tenant, thread))
}

func appendSeenKey(b []byte, tenant string, thread, id event.ID) []byte {
	return append(appendPrefix(b, tenant, subSeen, thread), id[:]...)
}

func appendOpenerKey(b []byte, tenant string, thread event.ID) []byte {
	return appendPrefix(b, tenant, subOpener, thread)
}

func appendChangeKey(b []byte, partition int32, offset int64, n int) []byte {
	b = binary.BigEndian.AppendUint32(append(b, spaceChanges), uint32(partition))
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

func changeKey(partition int32, offset int64, n int) []byte {
	return appendChangeKey(nil, partition, offset, n)
}

// A timeline row is the offset at which the record was filed, then the record.
func appendTimelineValue(b []byte, filed int64, record []byte) []byte {
	return append(binary.AppendUvarint(b, uint64(filed)), record...)
}

var errDamaged = errors.New("timeline: a row cannot be read: the store is damaged")

func decodeTimelineValue(b []byte) (filed int64, record []byte, err error) {
	u, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errDamaged
	}
	return int64(u), b[n:], nil
}

// A thread row is a tag, then the endpoint that holds the record or the record itself.
const (
	tagFiled   = 0
	tagWaiting = 1
)

func appendFiledValue(b []byte, endpoint event.ID) []byte {
	return append(append(b, tagFiled), endpoint[:]...)
}

func appendWaitingValue(b, record []byte) []byte { return append(append(b, tagWaiting), record...) }

// A seen row is the offset of the record that has the id, then its digest.
func appendSeenValue(b []byte, offset int64, digest []byte) []byte {
	return append(binary.BigEndian.AppendUint64(b, uint64(offset)), digest...)
}

func decodeSeenValue(b []byte) (offset int64, digest []byte, err error) {
	if len(b) < 8 {
		return 0, nil, errDamaged
	}
	return int64(binary.BigEndian.Uint64(b)), b[8:], nil
}

// change is one filing: an event became visible in the timelines of endpoints, or in its thread only.
type change struct {
	tenant    string
	thread    event.ID
	moment    moment
	endpoints []event.ID
}

func (c change) append(b []byte) []byte {
	b = append(b, byte(len(c.tenant)))
	b = append(b, c.tenant...)
	b = append(b, c.thread[:]...)
	b = c.moment.append(b)
	for _, e := range c.endpoints {
		b = append(b, e[:]...)
	}
	return b
}
