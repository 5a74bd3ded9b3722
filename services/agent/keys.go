package agent

import (
	"encoding/binary"
	"errors"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/services/agent/state"
)

// The spaces of the slice. Every key is written from one partition only: the one that holds the id that events carry.
//
//	tenant, 'h', id                          → connectors of which anything is known, and since when
//	tenant, 'l', id, series                  → the moment of its last statement, and what all of them come to
//	tenant, 's', id, series, moment inverted → statement, and what those up to it come to
//	tenant, 'b', id, connector, day inverted → when the connector was alive on that day (UTC)
//	tenant, 'e', id, event                   → offset, digest: statements that were seen
//	changes, partition, offset               → tenant, id of whom something changed, and since when, for those who follow
//	seen, partition, epoch, tenant, id, event → offset, digest: heartbeats that were seen of late
//
// A series is a connector, or those of its statements that hold at every one. What a statement comes to stands beside it, so the state of a moment
// takes one look at each series; one that comes late changes the rows behind it. A day of heartbeats is one stretch in one row.
const (
	spaceTenant  = 0x01
	spaceChanges = 0x02
	spaceSeen    = 0x03

	subHead      = 'h'
	subLatest    = 'l'
	subStatement = 's'
	subBeats     = 'b'
	subEvent     = 'e'
)

// What keys can hold: lengths are one byte, times are nanoseconds in 64 bits.
const (
	maxTenant = 63
	maxAgent  = 128
	maxName   = 64
	maxYear   = 2261
)

// everywhere is before the connector in the name of the series of its statements that hold at every connector. No connector is called so,
// because it is no UTF-8.
const everywhere = "\xff"

func appendTenant(b []byte, tenant string, sub byte) []byte {
	b = append(b, spaceTenant, byte(len(tenant)))
	return append(append(b, tenant...), sub)
}

func appendText(b []byte, s string) []byte { return append(append(b, byte(len(s))), s...) }

func tenantPrefix(tenant string, sub byte) []byte { return appendTenant(nil, tenant, sub) }

func agentKey(tenant string, sub byte, id string) []byte {
	return appendText(appendTenant(make([]byte, 0, 4+len(tenant)+len(id)+maxName+momentSize), tenant, sub), id)
}

func seriesKey(tenant string, sub byte, id, series string) []byte {
	b := agentKey(tenant, sub, id)
	if connector, all := strings.CutPrefix(series, everywhere); all {
		return appendText(append(b, everywhere...), connector)
	}
	return appendText(b, series)
}

const momentSize = 3 * 8

// invert makes later moments come first.
func invert(b []byte, m state.Moment) []byte {
	for _, n := range []int64{m.Occurred, m.Received, m.Offset} {
		b = binary.BigEndian.AppendUint64(b, ^(uint64(n) ^ 1<<63))
	}
	return b
}

func inverted(b []byte) state.Moment {
	number := func(at int) int64 { return int64(^binary.BigEndian.Uint64(b[at:]) ^ 1<<63) }
	return state.Moment{Occurred: number(0), Received: number(8), Offset: number(16)}
}

func statementKey(tenant, id, series string, m state.Moment) []byte {
	return invert(seriesKey(tenant, subStatement, id, series), m)
}

// dayNanos is the length of a day.
const dayNanos = 24 * 60 * 60 * 1e9

func beatsKey(tenant, id, connector string, day int64) []byte {
	return binary.BigEndian.AppendUint32(seriesKey(tenant, subBeats, id, connector), ^uint32(day))
}

func eventKey(tenant, id string, e event.ID) []byte {
	return append(agentKey(tenant, subEvent, id), e[:]...)
}

func changeKey(partition int32, offset int64) []byte {
	b := binary.BigEndian.AppendUint32([]byte{spaceChanges}, uint32(partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

func epochKey(partition int32, epoch int64) []byte {
	b := binary.BigEndian.AppendUint32([]byte{spaceSeen}, uint32(partition))
	return binary.BigEndian.AppendUint64(b, uint64(epoch))
}

func seenKey(partition int32, epoch int64, tenant, id string, e event.ID) []byte {
	return append(appendText(appendText(epochKey(partition, epoch), tenant), id), e[:]...)
}

var errDamaged = errors.New("agent: the read model is damaged: rebuild it")
