package mirror

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
)

// What is stored, in a namespace for each generation of the tables. Every batch requires the state that was read before, so that of two
// processes one writes. Generation 0 holds which one serves, and the lease.
//
//	's', source             → state
//	'p', source, 0, path    → parcel: rows that are on their way
//	'e', source, 0, entity  → the rows of the entity as they were sent last
//	'x', source, 0, entity  → why the entity was put aside
const (
	spaceState  = 's'
	spaceParcel = 'p'
	spaceEntity = 'e'
	spaceAside  = 'x'
	leaseKey    = "lease"

	maxEntity    = 1024
	formatState  = 2
	versionShift = 32

	phaseFollow = 0 // what changes is told
	phaseScan   = 1 // the source names everything
	phaseSweep  = 2 // what the scan has not named is looked at
)

var errDamaged = errors.New("mirror: a row cannot be read: the store is damaged")

func stateKey(source string) []byte { return append([]byte{spaceState}, source...) }

func spaceKey(space byte, source string) []byte {
	return append(append(append(make([]byte, 0, 64), space), source...), 0)
}

func keyOf(space byte, source, name string) []byte { return append(spaceKey(space, source), name...) }

// state is how far a source was mirrored.
type state struct {
	// life makes the tokens of a generation of a source its own: a store that begins anew never uses one again.
	life string
	// role says what becomes of it.
	role role
	// pending says that there are parcels.
	pending bool
	// batch is the number of the last one.
	batch uint64
	// scan counts scans; what an entity's row says is which one saw it.
	scan  uint64
	phase byte
	// swept is how far a sweep is.
	swept string
	// held counts the entities of which something was sent.
	held uint64
	// cursor is the source's.
	cursor []byte
}

// role is what a generation of a source is for. It only goes on to the next one.
type role byte

const (
	builds role = iota
	serves
	retired // nobody writes it any more
	unknownRole
)

// equal tells whether it is what is stored.
func (s *state) equal(stored []byte) bool { return bytes.Equal(s.encode(), stored) }

func (s *state) encode() []byte {
	flags := s.phase << 1
	if s.pending {
		flags |= 1
	}
	b := []byte{formatState, flags, byte(s.role)}
	b = appendText(b, s.life)
	b = binary.AppendUvarint(b, s.batch)
	b = binary.AppendUvarint(b, s.scan)
	b = binary.AppendUvarint(b, s.held)
	b = appendText(b, s.swept)
	return appendText(b, s.cursor)
}

func decodeState(b []byte) (s state, err error) {
	if len(b) < 3 || b[0] != formatState || b[1]>>1 > phaseSweep || b[2] >= byte(unknownRole) {
		return state{}, errDamaged
	}
	s.pending, s.phase, s.role = b[1]&1 != 0, b[1]>>1, role(b[2])
	d := decoder{b: b[3:]}
	s.life = string(d.bytes())
	s.batch, s.scan, s.held = d.number(), d.number(), d.number()
	s.swept = string(d.bytes())
	s.cursor = d.bytes()
	return s, d.end()
}

// kept is a row that was sent.
type kept struct {
	table, key string
	data       []byte
}

// entity is what was sent of an entity.
type entity struct {
	// scan is the last one that saw it.
	scan uint64
	rows []kept // those of one table stand together
}

func (e *entity) encode() []byte {
	size := 16
	for _, r := range e.rows {
		size += len(r.table) + len(r.key) + len(r.data) + 12
	}
	b := binary.AppendUvarint(make([]byte, 0, size), e.scan)
	for n := 0; n < len(e.rows); {
		end := n + 1
		for end < len(e.rows) && e.rows[end].table == e.rows[n].table {
			end++
		}
		b = appendText(b, e.rows[n].table)
		b = binary.AppendUvarint(b, uint64(end-n))
		for ; n < end; n++ {
			b = appendText(b, e.rows[n].key)
			b = appendText(b, e.rows[n].data)
		}
	}
	return b
}

func decodeEntity(b []byte) (e entity, err error) {
	d := decoder{b: b}
	e.scan = d.number()
	for len(d.b) > 0 {
		table := string(d.bytes())
		for n := d.number(); n > 0 && !d.bad; n-- {
			e.rows = append(e.rows, kept{table: table, key: string(d.bytes()), data: d.bytes()})
		}
	}
	return e, d.end()
}

// scanOf reads only which scan saw an entity last.
func scanOf(b []byte) (uint64, error) {
	d := decoder{b: b}
	n := d.number()
	if d.bad {
		return 0, errDamaged
	}
	return n, nil
}

// change is what becomes of a row.
type change struct {
	kind changeKind
	key  string
	data []byte
}

type changeKind byte

const (
	holds  changeKind = iota // it is sent: it holds
	back                     // it is sent: it does not hold any more
	former                   // it is not sent: one of a higher version takes its place
	unknownKind
)

// group is what is sent of one entity.
type group struct {
	entity  string
	changes []change
}

// parcel is what one insert writes: all changes of some entities in one table.
type parcel struct {
	// path is what its token ends with: the table, and which part of it where it had to be split.
	path    string
	table   string
	version uint64
	groups  []group
}

func (p *parcel) len() (n int) {
	for _, g := range p.groups {
		for _, c := range g.changes {
			if c.kind != former {
				n++
			}
		}
	}
	return n
}

func (p *parcel) encode() []byte {
	size := 64
	for _, g := range p.groups {
		size += len(g.entity) + 12
		for _, c := range g.changes {
			size += len(c.key) + len(c.data) + 12
		}
	}
	b := appendText(make([]byte, 0, size), p.table)
	b = binary.AppendUvarint(b, p.version)
	for _, g := range p.groups {
		b = appendText(b, g.entity)
		b = binary.AppendUvarint(b, uint64(len(g.changes)))
		for _, c := range g.changes {
			b = append(b, byte(c.kind))
			b = appendText(b, c.key)
			b = appendText(b, c.data)
		}
	}
	return b
}

func decodeParcel(path string, b []byte) (*parcel, error) {
	d := decoder{b: b}
	p := &parcel{path: path, table: string(d.bytes()), version: d.number()}
	for len(d.b) > 0 {
		g := group{entity: string(d.bytes())}
		for n := d.number(); n > 0 && !d.bad; n-- {
			g.changes = append(g.changes, change{kind: d.kind(), key: string(d.bytes()), data: d.bytes()})
		}
		p.groups = append(p.groups, g)
	}
	if err := d.end(); err != nil {
		return nil, fmt.Errorf("mirror: parcel %s: %w", path, err)
	}
	return p, nil
}

func appendText[T string | []byte](b []byte, text T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

// decoder reads what was appended. What cannot be read is empty.
type decoder struct {
	b   []byte
	bad bool
}

func (d *decoder) number() uint64 {
	n, size := binary.Uvarint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) kind() changeKind {
	if len(d.b) == 0 || d.b[0] >= byte(unknownKind) {
		d.bad, d.b = true, nil
		return holds
	}
	k := changeKind(d.b[0])
	d.b = d.b[1:]
	return k
}

// bytes shares what is decoded.
func (d *decoder) bytes() []byte {
	size := d.number()
	if size > uint64(len(d.b)) {
		d.bad, d.b = true, nil
		return nil
	}
	text := d.b[:size:size]
	d.b = d.b[size:]
	return text
}

func (d *decoder) end() error {
	if d.bad || len(d.b) > 0 {
		return errDamaged
	}
	return nil
}
