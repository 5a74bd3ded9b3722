package agent

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"maps"
	"slices"
	"strings"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent/state"
)

// coder reads numbers and texts of a row, one after the other. What is not there is an error at the end.
type coder struct {
	rest    []byte
	damaged bool
}

func (c *coder) number() int64 {
	v, n := binary.Varint(c.rest)
	if n <= 0 {
		c.damaged, c.rest = true, nil
		return 0
	}
	c.rest = c.rest[n:]
	return v
}

func (c *coder) text() string {
	n := c.number()
	if n < 0 || n > int64(len(c.rest)) {
		c.damaged, c.rest = true, nil
		return ""
	}
	s := string(c.rest[:n])
	c.rest = c.rest[n:]
	return s
}

// count is that of what takes a byte each, at least.
func (c *coder) count() int {
	n := c.number()
	if n < 0 || n > int64(len(c.rest)) {
		c.damaged, c.rest = true, nil
		return 0
	}
	return int(n)
}

func (c *coder) moment() state.Moment {
	return state.Moment{Occurred: c.number(), Received: c.number(), Offset: c.number()}
}

func (c *coder) chosen() state.Chosen {
	return state.Chosen{
		Presence: c.text(), Type: eventv1.PresenceType(c.number()), Reason: c.text(), ChangedBy: c.text(),
	}
}

func (c *coder) end() error {
	if c.damaged || len(c.rest) > 0 {
		return errDamaged
	}
	return nil
}

func appendNumber(b []byte, n int64) []byte { return binary.AppendVarint(b, n) }

func appendString(b []byte, s string) []byte { return append(appendNumber(b, int64(len(s))), s...) }

func appendMoment(b []byte, m state.Moment) []byte {
	return appendNumber(appendNumber(appendNumber(b, m.Occurred), m.Received), m.Offset)
}

func appendChosen(b []byte, c state.Chosen) []byte {
	b = appendNumber(appendString(b, c.Presence), int64(c.Type))
	return appendString(appendString(b, c.Reason), c.ChangedBy)
}

func appendStanding(b []byte, s *state.Standing) []byte {
	b = appendMoment(appendMoment(appendChosen(appendMoment(b, s.Last), s.Chosen), s.ChosenAt), s.Offline)
	b = appendMoment(appendNumber(b, int64(s.Status)), s.StatusAt)
	b = appendMoment(appendString(b, s.Next), s.NextAt)
	b = appendNumber(b, int64(len(s.Rooms)))
	for _, r := range s.Rooms {
		b = appendMoment(appendNumber(appendString(b, r.Channel), int64(r.Maximum)), r.At)
	}
	return b
}

func (c *coder) standing() state.Standing {
	s := state.Standing{Last: c.moment(), Chosen: c.chosen(), ChosenAt: c.moment(), Offline: c.moment()}
	s.Status = eventv1.RoutingStatus(c.number())
	s.StatusAt = c.moment()
	s.Next, s.NextAt = c.text(), c.moment()
	for range c.count() {
		s.Rooms = append(s.Rooms, state.Room{Channel: c.text(), Maximum: int32(c.number()), At: c.moment()})
	}
	return s
}

// decodeStanding reads the row of a series' last statement.
func decodeStanding(value []byte) (state.Standing, error) {
	c := coder{rest: value}
	s := c.standing()
	return s, c.end()
}

// stated is the row of a statement: what it says, and what those up to it come to.
type stated struct {
	state.Statement
	behind state.Standing
}

func (s *stated) encode() []byte {
	b := appendChosen([]byte{byte(s.Kind)}, s.Chosen)
	flags := int64(0)
	if s.Everywhere {
		flags = 1
	}
	b = appendString(appendNumber(appendNumber(b, flags), int64(s.Status)), s.Next)
	b = appendNumber(b, int64(len(s.Maximum)))
	for _, name := range slices.Sorted(maps.Keys(s.Maximum)) {
		b = appendNumber(appendString(b, name), int64(s.Maximum[name]))
	}
	return appendStanding(b, &s.behind)
}

// decodeStated reads the row of a series' statement; its key ends at the moment.
func decodeStated(key, value []byte, connector string) (stated, error) {
	if len(key) < momentSize || len(value) == 0 {
		return stated{}, errDamaged
	}
	s := stated{Statement: state.Statement{Moment: inverted(key[len(key)-momentSize:]), Connector: connector, Kind: state.Kind(value[0])}}
	c := coder{rest: value[1:]}
	s.Chosen = c.chosen()
	s.Everywhere = c.number() != 0
	s.Status, s.Next = eventv1.RoutingStatus(c.number()), c.text()
	for range c.count() {
		if s.Maximum == nil {
			s.Maximum = map[string]int32{}
		}
		name := c.text()
		s.Maximum[name] = int32(c.number())
	}
	s.behind = c.standing()
	return s, c.end()
}

// head is which connectors are known of an id, and since when, in order of their names.
type head []known

type known struct {
	connector string
	first     int64
}

func decodeHead(value []byte) (head, error) {
	c := coder{rest: value}
	var h head
	for range c.count() {
		h = append(h, known{c.text(), c.number()})
	}
	return h, c.end()
}

func (h head) encode() []byte {
	b := appendNumber(nil, int64(len(h)))
	for _, k := range h {
		b = appendNumber(appendString(b, k.connector), k.first)
	}
	return b
}

// see gives it with the note that something of a connector is known from a moment on, and reports whether that is new.
func (h head) see(connector string, at int64) (head, bool) {
	n, found := slices.BinarySearchFunc(h, connector, func(k known, name string) int { return strings.Compare(k.connector, name) })
	switch {
	case !found:
		return slices.Insert(h, n, known{connector, at}), true
	case at < h[n].first:
		h[n].first = at
		return h, true
	}
	return h, false
}

// beats is when a connector was alive on a day: the stretches that were promised and kept, and the moments of the heartbeats that promised
// nothing. Both are relative to the begin of the day, and in order.
type beats struct {
	alive []state.Stretch
	signs []int64
	// thinned: there were too many signs, and of those of one quarter of an hour the first is left.
	thinned bool
}

const (
	maxSigns = 256
	quarter  = dayNanos / 96
)

func decodeBeats(value []byte) (beats, error) {
	c := coder{rest: value}
	b := beats{thinned: c.number() != 0}
	at := int64(0)
	for range c.count() {
		s := state.Stretch{From: at + c.number()}
		at = s.From + c.number()
		s.Until = at
		b.alive = append(b.alive, s)
	}
	at = 0
	for range c.count() {
		at += c.number()
		b.signs = append(b.signs, at)
	}
	return b, c.end()
}

func (b *beats) encode() []byte {
	flags := int64(0)
	if b.thinned {
		flags = 1
	}
	out := appendNumber(appendNumber(nil, flags), int64(len(b.alive)))
	at := int64(0)
	for _, s := range b.alive {
		out = appendNumber(appendNumber(out, s.From-at), s.Until-s.From)
		at = s.Until
	}
	out, at = appendNumber(out, int64(len(b.signs))), 0
	for _, s := range b.signs {
		out = appendNumber(out, s-at)
		at = s
	}
	return out
}

// promise adds a stretch of the day.
func (b *beats) promise(s state.Stretch) {
	n, _ := slices.BinarySearchFunc(b.alive, s.From, func(x state.Stretch, from int64) int { return cmp.Compare(x.Until, from) })
	m := n
	for m < len(b.alive) && b.alive[m].From <= s.Until {
		s.From, s.Until = min(s.From, b.alive[m].From), max(s.Until, b.alive[m].Until)
		m++
	}
	b.alive = slices.Replace(b.alive, n, m, s)
}

// sign adds a moment of the day. What comes of several does not depend on their order.
func (b *beats) sign(at int64) {
	n, found := slices.BinarySearch(b.signs, at)
	if found {
		return
	}
	b.signs = slices.Insert(b.signs, n, at)
	if b.thinned = b.thinned || len(b.signs) > maxSigns; b.thinned {
		b.signs = slices.CompactFunc(b.signs, func(x, y int64) bool { return x/quarter == y/quarter })
	}
}

// seen is what is kept of an event to know it again.
type seen struct {
	offset int64
	digest []byte
}

func (s seen) encode() []byte {
	return append(binary.BigEndian.AppendUint64(nil, uint64(s.offset)), s.digest...)
}

func decodeSeen(value []byte) (seen, error) {
	if len(value) < 8 {
		return seen{}, errDamaged
	}
	return seen{int64(binary.BigEndian.Uint64(value)), bytes.Clone(value[8:])}, nil
}

// Changed is that something stated of an agent became another thing.
type Changed struct {
	// ID is the one that events carry.
	ID, Tenant string
	// Since is the moment from which on states may be others than before, in nanoseconds since 1970; on its day, heartbeats that promise
	// nothing may have changed before it.
	Since int64
}

const sinceSize = 8

func (c Changed) encode() []byte {
	b := appendText(appendText(nil, c.Tenant), c.ID)
	return binary.BigEndian.AppendUint64(b, uint64(c.Since))
}

func decodeChanged(value []byte) (c Changed, err error) {
	text := func() string {
		if len(value) == 0 || len(value) < 1+int(value[0]) {
			err = errDamaged
			return ""
		}
		s := string(value[1 : 1+value[0]])
		value = value[1+value[0]:]
		return s
	}
	c.Tenant = text()
	c.ID = text()
	if len(value) != sinceSize {
		return c, errDamaged
	}
	c.Since = int64(binary.BigEndian.Uint64(value))
	return c, err
}
