package conversation

import (
	"encoding/binary"
	"errors"
	"math"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/services/conversation/story"
)

// The spaces of the slice of interactions. Every key is written from one partition only, because it holds a thread or a position.
//
//	tenant, 'h', thread                        → head: what the thread needs to go on
//	tenant, 's', thread, event                 → moment of the event
//	tenant, 'f', thread, moment                → fact: what matters of an event
//	tenant, 'c', thread, moment from the last  → checkpoint: the state behind the fact of that moment
//	tenant, 'r', thread, start                 → interaction
//	tenant, 'n', thread, name                  → starts of the former interactions that bear the name
//	tenant, 'i', id, thread                    → moment of the event that opened the interaction which has or had the id
//	tenant, 'w', thread, start                 → brief: it is not settled
//	tenant, 'q', queue, thread, start          → brief: the same, by its queue
//	tenant, 'a', agent, thread, start          → brief: the same, by its agent
//	tenant, 'z', time from the last, thread, start → nothing: it was settled then
//	tenant, 'o', thread, start                 → nothing: it is settled, and an assignment of it goes on
//	tenant, 'g', agent, class, begin, thread, start, assignment → nothing: an assignment of the agent, by how long it took
//	tenant, 'v', queue, entered, thread, start, visit → brief of the visit: a wait in the queue, with what is counted of it
//	changes, partition, offset                 → tenant, thread, agents whose assignments changed, and since when
//	timers, due, tenant, thread, start, name, armed by → id of the interaction
const (
	spaceTenant  = 0x01
	spaceChanges = 0x02
	spaceTimers  = 0x03

	subHead       = 'h'
	subSeen       = 's'
	subFact       = 'f'
	subCheckpoint = 'c'
	subRow        = 'r'
	subName       = 'n'
	subID         = 'i'
	subWork       = 'w'
	subQueue      = 'q'
	subAgent      = 'a'
	subSettled    = 'z'
	subUnfinished = 'o'
	subShare      = 'g'
	subVisit      = 'v'
)

const (
	idSize = len(event.ID{})
	// maxTenant is the length of the longest tenant, which one byte holds.
	maxTenant = 63
	// maxName is how much of the name of a queue or agent a key holds.
	maxName = 255
)

var errDamaged = errors.New("conversation: a row cannot be read: the store is damaged")

func appendTenant(b []byte, tenant string, sub byte) []byte {
	b = append(b, spaceTenant, byte(len(tenant)))
	return append(append(b, tenant...), sub)
}

func appendThread(b []byte, tenant string, sub byte, thread event.ID) []byte {
	return append(appendTenant(b, tenant, sub), thread[:]...)
}

func appendMoment(b []byte, tenant string, sub byte, thread event.ID, m story.Moment) []byte {
	return m.Append(appendThread(b, tenant, sub, thread))
}

func appendPair(b []byte, tenant string, sub byte, one, two event.ID) []byte {
	return append(appendThread(b, tenant, sub, one), two[:]...)
}

// appendCheckpoint has the later moments first, because a fold only scans forward.
func appendCheckpoint(b []byte, tenant string, thread event.ID, m story.Moment) []byte {
	b = appendMoment(b, tenant, subCheckpoint, thread, m)
	invert(b[len(b)-story.MomentSize:])
	return b
}

func decodeCheckpoint(key []byte) (story.Moment, error) {
	if len(key) < story.MomentSize {
		return story.Moment{}, errDamaged
	}
	m := append([]byte(nil), key[len(key)-story.MomentSize:]...)
	invert(m)
	return story.DecodeMoment(m)
}

func invert(b []byte) {
	for i := range b {
		b[i] = ^b[i]
	}
}

// appendNamed is what the rows of a queue or agent begin with.
func appendNamed(b []byte, tenant string, sub byte, name string) []byte {
	name = name[:min(len(name), maxName)]
	return append(append(appendTenant(b, tenant, sub), byte(len(name))), name...)
}

// decodeNamed reads the name at the end of what appendTenant and then appendNamed append.
func decodeNamed(key []byte, behind int) (name string, end int, err error) {
	if len(key) <= behind || len(key) < behind+1+int(key[behind]) {
		return "", 0, errDamaged
	}
	end = behind + 1 + int(key[behind])
	return string(key[behind+1 : end]), end, nil
}

// appendTime is in the order of time.
func appendTime(b []byte, nanos int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(nanos)^1<<63)
}

func decodeTime(b []byte) int64 { return int64(binary.BigEndian.Uint64(b) ^ 1<<63) }

// classSize and partSize are how much of a key says when a part of an interaction began, behind the name, and which one it is.
const (
	classSize = 1 + 8
	partSize  = placeSize + idSize
)

// appendPart is which part of an interaction it is, behind what orders it.
func appendPart(b []byte, thread event.ID, start story.Moment, part event.ID) []byte {
	return append(appendPlace(b, thread, start), part[:]...)
}

func decodePart(key []byte) (thread event.ID, start story.Moment, part event.ID, err error) {
	if len(key) < partSize {
		return thread, start, part, errDamaged
	}
	part = event.ID(key[len(key)-idSize:])
	thread, start, err = decodePlace(key[:len(key)-idSize])
	return thread, start, part, err
}

// appendPlace is where an interaction stands, behind what orders it.
func appendPlace(b []byte, thread event.ID, start story.Moment) []byte {
	return start.Append(append(b, thread[:]...))
}

// placeSize is the length of what appendPlace appends.
const placeSize = idSize + story.MomentSize

func decodePlace(key []byte) (thread event.ID, start story.Moment, err error) {
	if len(key) < placeSize {
		return thread, start, errDamaged
	}
	key = key[len(key)-placeSize:]
	start, err = story.DecodeMoment(key[idSize:])
	return event.ID(key), start, err
}

func appendSettled(b []byte, tenant string, at int64) []byte {
	return binary.BigEndian.AppendUint64(appendTenant(b, tenant, subSettled), ^(uint64(at) ^ 1<<63))
}

func appendChange(b []byte, partition int32, offset int64) []byte {
	b = binary.BigEndian.AppendUint32(append(b, spaceChanges), uint32(partition))
	return binary.BigEndian.AppendUint64(b, uint64(offset))
}

func appendChangeValue(b []byte, tenant string, thread event.ID, shares []ChangedShare) []byte {
	b = append(append(append(b, byte(len(tenant))), tenant...), thread[:]...)
	for _, s := range shares {
		name := s.Agent[:min(len(s.Agent), maxName)]
		b = append(append(appendTime(b, s.Begin), byte(len(name))), name...)
	}
	return b
}

func decodeChange(key, value []byte) (offset int64, c Change, shares []ChangedShare, err error) {
	if len(key) != 1+4+8 || len(value) < 1 || len(value) < 1+int(value[0])+idSize {
		return 0, Change{}, nil, errDamaged
	}
	c.Tenant = string(value[1 : 1+value[0]])
	c.Thread = event.ID(value[1+value[0]:])
	const head = 8 + 1
	for rest := value[1+int(value[0])+idSize:]; len(rest) > 0; {
		if len(rest) < head || len(rest) < head+int(rest[8]) {
			return 0, Change{}, nil, errDamaged
		}
		shares = append(shares, ChangedShare{Begin: decodeTime(rest), Agent: string(rest[head : head+int(rest[8])])})
		rest = rest[head+int(rest[8]):]
	}
	return int64(binary.BigEndian.Uint64(key[5:])), c, shares, nil
}

func appendDue(b []byte, due int64) []byte {
	return binary.BigEndian.AppendUint64(append(b, spaceTimers), uint64(due)^1<<63)
}

func appendTimer(b []byte, tenant string, thread event.ID, start story.Moment, t story.Timer) []byte {
	b = append(appendDue(b, t.Due), byte(len(tenant)))
	b = appendPlace(append(b, tenant...), thread, start)
	return append(append(b, byte(t.Name)), t.ArmedBy[:]...)
}

func decodeTimer(key, value []byte) (due int64, t Timer, err error) {
	const fixed = 1 + 8 + 1 + placeSize + 1 + idSize
	if len(key) < fixed || len(key) != fixed+int(key[9]) || len(value) != idSize {
		return 0, Timer{}, errDamaged
	}
	rest := key[10+key[9]:]
	t = Timer{
		Tenant: string(key[10 : 10+key[9]]), Thread: event.ID(rest), Interaction: event.ID(value), Name: story.TimerName(rest[placeSize]).String(),
		ArmedBy: event.ID(rest[placeSize+1:]),
	}
	return int64(binary.BigEndian.Uint64(key[1:]) ^ 1<<63), t, nil
}

// head is what a thread needs to go on, beside the interaction that began last.
type head struct {
	at      story.Moment // of the last fact
	offset  int64        // of the record that was applied last
	begun   uint64       // how many interactions there are
	start   story.Moment // of the last one
	native  string       // the provider's id of the thread, where any content of it could be read
	waiting []story.Fact
}

func (h *head) append(b []byte) []byte {
	b = h.at.Append(b)
	b = binary.AppendUvarint(b, uint64(h.offset))
	if b = binary.AppendUvarint(b, h.begun); h.begun > 0 {
		b = h.start.Append(b)
	}
	b = append(binary.AppendUvarint(b, uint64(len(h.native))), h.native...)
	if len(h.waiting) > 0 {
		b = story.EncodeWaiting(b, h.waiting)
	}
	return b
}

func decodeHead(b []byte) (h head, err error) {
	number := func() uint64 {
		u, n := binary.Uvarint(b)
		if n <= 0 {
			err, b = errDamaged, nil
			return 0
		}
		b = b[n:]
		return u
	}
	moment := func() (m story.Moment) {
		if len(b) < story.MomentSize {
			err, b = errDamaged, nil
			return m
		}
		m, err = story.DecodeMoment(b[:story.MomentSize])
		b = b[story.MomentSize:]
		return m
	}
	h.at = moment()
	h.offset = int64(number())
	if h.begun = number(); h.begun > 0 {
		h.start = moment()
	}
	size := number()
	if err != nil || size > uint64(len(b)) || size > math.MaxInt32 {
		return head{}, errDamaged
	}
	h.native, b = string(b[:size]), b[size:]
	if len(b) > 0 {
		h.waiting, err = story.DecodeWaiting(b)
	}
	return h, err
}

func appendStarts(b []byte, starts []story.Moment) []byte {
	for _, s := range starts {
		b = s.Append(b)
	}
	return b
}

func decodeStarts(b []byte) (starts []story.Moment, err error) {
	for ; len(b) >= story.MomentSize; b = b[story.MomentSize:] {
		s, err := story.DecodeMoment(b[:story.MomentSize])
		if err != nil {
			return nil, err
		}
		starts = append(starts, s)
	}
	if len(b) > 0 {
		return nil, errDamaged
	}
	return starts, nil
}

// A checkpoint is how many interactions there are, then the state.
func encodeCheckpoint(begun uint64, t *story.Thread) []byte {
	return t.Encode(binary.AppendUvarint(nil, begun))
}

func decodeCheckpointValue(b []byte) (begun uint64, t *story.Thread, err error) {
	begun, n := binary.Uvarint(b)
	if n <= 0 {
		return 0, nil, errDamaged
	}
	t, err = story.DecodeThread(b[n:])
	return begun, t, err
}
