package timeline

import (
	"encoding/binary"
	"errors"
	"fmt"
	"time"

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
	b = binary.BigEndian.AppendUint64(b, uint64(m.occurred)^1<<63) // so that times before 1970 sort before those after
	b = binary.BigEndian.AppendUint64(b, uint64(m.received)^1<<63)
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

// momentAt is the lowest moment of a time.
func momentAt(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixNano())^1<<63)
}

func tenantPrefix(tenant string, sub byte, room int) []byte {
	b := make([]byte, 0, 3+len(tenant)+room)
	b = append(b, spaceTenant, byte(len(tenant)))
	b = append(b, tenant...)
	return append(b, sub)
}

func timelinePrefix(tenant string, endpoint event.ID) []byte {
	return append(tenantPrefix(tenant, subTimeline, 16+momentSize), endpoint[:]...)
}

func timelineKey(tenant string, endpoint event.ID, m moment) []byte {
	return m.append(timelinePrefix(tenant, endpoint))
}

func threadPrefix(tenant string, thread event.ID) []byte {
	return append(tenantPrefix(tenant, subThread, 16+momentSize), thread[:]...)
}

func threadKey(tenant string, thread event.ID, m moment) []byte {
	return m.append(threadPrefix(tenant, thread))
}

func seenKey(tenant string, thread, id event.ID) []byte {
	return append(append(tenantPrefix(tenant, subSeen, 32), thread[:]...), id[:]...)
}

func openerKey(tenant string, thread event.ID) []byte {
	return append(tenantPrefix(tenant, subOpener, 16), thread[:]...)
}

func changeKey(partition int32, offset int64, n int) []byte {
	b := append(make([]byte, 0, 17), spaceChanges)
	b = binary.BigEndian.AppendUint32(b, uint32(partition))
	b = binary.BigEndian.AppendUint64(b, uint64(offset))
	return binary.BigEndian.AppendUint32(b, uint32(n))
}

// A timeline row is the offset at which the record was filed, then the record.
func timelineValue(filed int64, record []byte) []byte {
	b := binary.AppendUvarint(make([]byte, 0, len(record)+binary.MaxVarintLen64), uint64(filed))
	return append(b, record...)
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

func filedValue(endpoint event.ID) []byte { return append([]byte{tagFiled}, endpoint[:]...) }

func waitingValue(record []byte) []byte {
	return append(append(make([]byte, 0, 1+len(record)), tagWaiting), record...)
}

// A seen row is the offset of the record that has the id, then its digest.
func seenValue(offset int64, digest []byte) []byte {
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(digest)), uint64(offset)), digest...)
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

func (c change) encode() []byte {
	b := make([]byte, 0, 1+len(c.tenant)+16+momentSize+16*len(c.endpoints))
	b = append(b, byte(len(c.tenant)))
	b = append(b, c.tenant...)
	b = append(b, c.thread[:]...)
	b = c.moment.append(b)
	for _, e := range c.endpoints {
		b = append(b, e[:]...)
	}
	return b
}
