package event

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash"
	"sync"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// ID is a UUID of version 8 (RFC 9562, section 5.8): byte 0 is the version of the key, the rest HMAC-SHA-256 under the
// tenant's key, except for the six bits that RFC 9562 fixes. The zero ID means none.
type ID [16]byte

// String is the UUID's text form, in lower case.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// IsZero tells whether there is no id.
func (id ID) IsZero() bool { return id == ID{} }

// KeyVersion is the version of the key that made the id.
func (id ID) KeyVersion() int { return int(id[0]) }

// customerBit marks the id of a customer, in the first byte.
const customerBit = 0x80

// CustomerOf is the customer that an endpoint names: the one whose it is until a link, a merge or a split says otherwise. Nobody creates
// customers, and each is named after one of its endpoints. Of a customer's id it is that id.
func CustomerOf(endpoint ID) ID {
	endpoint[0] |= customerBit
	return endpoint
}

// EndpointOf is the endpoint that a customer is named after. Of an endpoint's id it is that id.
func EndpointOf(customer ID) ID {
	customer[0] &^= customerBit
	return customer
}

// IsCustomer tells the id of a customer from every other id that Skein makes.
func (id ID) IsCustomer() bool { return id[0]&customerBit != 0 }

var errID = errors.New("event: an id is a UUID: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12, joined by dashes")

// ParseID reads the text form of a UUID, in upper or lower case. It accepts every UUID, whatever its version, because
// ids also come from elsewhere (a customer's id, a causation).
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, errID
	}
	var digits [32]byte
	copy(digits[0:], s[0:8])
	copy(digits[8:], s[9:13])
	copy(digits[12:], s[14:18])
	copy(digits[16:], s[19:23])
	copy(digits[20:], s[24:36])
	if _, err := hex.Decode(id[:], digits[:]); err != nil {
		return ID{}, errID
	}
	return id, nil
}

// IDs makes the ids of one tenant under one version of the key. It is safe for concurrent use.
//
// What goes into an id is a label, which keeps the kinds of ids apart, and then each field with its length before it, so
// that no two inputs run together.
type IDs struct {
	version byte
	macs    sync.Pool // of *mac
}

// mac is a keyed HMAC with room for its input and output; a pool of them saves setting the key anew each time.
type mac struct {
	hash  hash.Hash
	input []byte
	sum   [sha256.Size]byte
}

func newIDs(version byte, key []byte) *IDs {
	return &IDs{version: version, macs: sync.Pool{New: func() any { return &mac{hash: hmac.New(sha256.New, key)} }}}
}

// KeyVersion is the version of the key, which every id of this maker bears.
func (ids *IDs) KeyVersion() int { return int(ids.version) }

// Endpoint is the id of a normalised address.
func (ids *IDs) Endpoint(e Endpoint) ID {
	m := ids.begin("endpoint")
	m.input = binary.AppendUvarint(m.input, uint64(e.Kind)) // the numbers of an enum, none negative
	m.field(e.Namespace)
	m.field(e.Value)
	return ids.end(m)
}

// Thread is the id of a thread: the inbox that it came in on, and the provider's id.
func (ids *IDs) Thread(inbox, native string) ID {
	m := ids.begin("thread")
	m.field(inbox)
	m.field(native)
	return ids.end(m)
}

// Event is the id of an event inside its thread: the provider's id, the type, which of several events of that type it
// is, and further bytes where a stranger can choose the provider's id.
func (ids *IDs) Event(thread ID, native, typ string, ordinal uint32, discriminator []byte) ID {
	m := ids.begin("event")
	m.input = append(m.input, thread[:]...)
	m.field(native)
	m.field(typ)
	m.input = binary.AppendUvarint(m.input, uint64(ordinal))
	m.input = binary.AppendUvarint(m.input, uint64(len(discriminator)))
	m.input = append(m.input, discriminator...)
	return ids.end(m)
}

// Interaction is the id of an interaction that the provider itself names.
func (ids *IDs) Interaction(thread ID, native string) ID {
	return ids.within("interaction", thread, native)
}

// Visit is the id of a queue visit.
func (ids *IDs) Visit(thread ID, native string) ID { return ids.within("visit", thread, native) }

// Assignment is the id of an assignment.
func (ids *IDs) Assignment(thread ID, native string) ID {
	return ids.within("assignment", thread, native)
}

// DigestSize is the length of a digest in bytes.
const DigestSize = 16

// Digest is a keyed hash of DigestSize bytes over data of any length.
func (ids *IDs) Digest(data []byte) []byte {
	m := ids.begin("digest")
	defer ids.macs.Put(m)
	m.input = append(m.input, data...)
	return m.digest()
}

// digestOf is the Digest of an encoded event.
func (ids *IDs) digestOf(e *eventv1.Event) ([]byte, error) {
	m := ids.begin("digest")
	defer ids.macs.Put(m)
	var err error
	if m.input, err = AppendEncoded(m.input, e); err != nil {
		return nil, err
	}
	return m.digest(), nil
}

func (m *mac) digest() []byte {
	m.hash.Reset()
	m.hash.Write(m.input)
	return append([]byte(nil), m.hash.Sum(m.sum[:0])[:DigestSize]...)
}

func (ids *IDs) within(label string, thread ID, native string) ID {
	m := ids.begin(label)
	m.input = append(m.input, thread[:]...)
	m.field(native)
	return ids.end(m)
}

func (ids *IDs) begin(label string) *mac {
	m, _ := ids.macs.Get().(*mac)
	m.input = m.input[:0]
	m.field(label)
	return m
}

func (m *mac) field(s string) {
	m.input = binary.AppendUvarint(m.input, uint64(len(s)))
	m.input = append(m.input, s...)
}

func (ids *IDs) end(m *mac) ID {
	m.hash.Reset()
	m.hash.Write(m.input)
	id := ID(m.hash.Sum(m.sum[:0])[:16])
	ids.macs.Put(m)
	id[0] = ids.version
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}
