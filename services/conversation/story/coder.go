package story

import (
	"encoding/binary"
	"errors"
	"time"

	"github.com/skein-cx/skein/pkg/event"
)

// ErrDamaged means that bytes are not what was written.
var ErrDamaged = errors.New("story: a row cannot be read: the store is damaged")

// coder writes values one behind the other, or reads them: whoever names its fields to a coder once, can be written and read.
type coder struct {
	b       []byte
	reading bool
	base    int64 // that times are near to
	damaged bool
}

func (c *coder) uint(v *uint64) {
	if !c.reading {
		c.b = binary.AppendUvarint(c.b, *v)
		return
	}
	u, n := binary.Uvarint(c.b)
	if n <= 0 {
		c.fail()
		return
	}
	*v, c.b = u, c.b[n:]
}

func (c *coder) fail() { c.damaged, c.b = true, nil }

func (c *coder) int(v *int64) {
	u := uint64(*v)<<1 ^ uint64(*v>>63)
	c.uint(&u)
	*v = int64(u>>1) ^ -int64(u&1)
}

// time is nanoseconds since 1970; 0 is none.
func (c *coder) time(v *int64) {
	var u uint64
	if *v != 0 {
		d := *v - c.base
		u = (uint64(d)<<1 ^ uint64(d>>63)) + 1
	}
	c.uint(&u)
	if c.reading {
		if *v = 0; u != 0 {
			u--
			*v = c.base + (int64(u>>1) ^ -int64(u&1))
		}
	}
}

func (c *coder) duration(v *time.Duration) { c.int((*int64)(v)) }

func (c *coder) bool(v *bool) {
	var u uint64
	if *v {
		u = 1
	}
	c.uint(&u)
	*v = u != 0
}

func (c *coder) text(v *string) {
	n := uint64(len(*v))
	c.uint(&n)
	switch {
	case !c.reading:
		c.b = append(c.b, *v...)
	case n > uint64(len(c.b)):
		c.fail()
	default:
		*v, c.b = string(c.b[:n]), c.b[n:]
	}
}

// id takes one byte where there is none.
func (c *coder) id(v *event.ID) {
	there := !v.IsZero()
	c.bool(&there)
	switch {
	case !there:
		*v = event.ID{}
	case !c.reading:
		c.b = append(c.b, v[:]...)
	case len(c.b) < len(v):
		c.fail()
	default:
		*v, c.b = event.ID(c.b[:len(v)]), c.b[len(v):]
	}
}

func (c *coder) moment(v *Moment) {
	c.int(&v.Occurred)
	d := v.Received - v.Occurred
	c.int(&d)
	v.Received = v.Occurred + d
	c.int(&v.Offset)
}

// enum is a number of a Protobuf enum.
func enum[E ~int32](c *coder, v *E) {
	u := uint64(uint32(*v))
	c.uint(&u)
	*v = E(uint32(u))
}

// list is any number of things.
func list[T any](c *coder, v *[]T, each func(*coder, *T)) {
	n := uint64(len(*v))
	c.uint(&n)
	if c.reading {
		if n > uint64(len(c.b)) { // each takes a byte at least
			c.fail()
			return
		}
		if *v = nil; n > 0 {
			*v = make([]T, n)
		}
	}
	for i := range *v {
		each(c, &(*v)[i])
	}
}

func texts(c *coder, v *[]string) { list(c, v, (*coder).text) }

// decode reads all of some bytes.
func decode(b []byte, read func(*coder)) error {
	c := &coder{b: b, reading: true}
	read(c)
	if c.damaged || len(c.b) > 0 {
		return ErrDamaged
	}
	return nil
}
