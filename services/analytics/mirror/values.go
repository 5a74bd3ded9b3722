package mirror

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
)

// Values encodes the values of a row, in the order of its table's columns. What was encoded alike is alike. AppendValues decodes it.
// The zero value is ready. Not for concurrent use.
type Values struct{ b []byte }

// The kinds of values. They are stored: a number never gets another meaning.
const (
	valueNull = iota
	valueText
	valueID
	valueMillis
	valueMicros
	valueInt64
	valueInt32
	valueUint16
	valueUint32
	valueFloat64
	valueFalse
	valueTrue
	valueTexts
	valueIDs
	valueSpans
	valueTextMap
	valueIntMap
)

// Encoded gives what was encoded since the last time.
func (v *Values) Encoded() []byte {
	b := slices.Clone(v.b)
	v.b = v.b[:0]
	return b
}

func (v *Values) kind(k byte) { v.b = append(v.b, k) }

// Text encodes a String.
func (v *Values) Text(s string) {
	v.kind(valueText)
	v.b = appendText(v.b, s)
}

// ID encodes a UUID.
func (v *Values) ID(id [16]byte) {
	v.kind(valueID)
	v.b = append(v.b, id[:]...)
}

// Millis encodes a DateTime64(3), in milliseconds since 1970.
func (v *Values) Millis(ms int64) {
	v.kind(valueMillis)
	v.b = binary.AppendVarint(v.b, ms)
}

// The first and the last moment that tables hold, in microseconds since 1970. What begins before, or ends behind, does so there.
const (
	firstMicros = -2208988800_000_000 // 1900-01-01
	lastMicros  = math.MaxInt64 / 1000
)

// MicrosOf is a moment in nanoseconds since 1970 as a DateTime64(6) holds it.
func MicrosOf(nanos int64) int64 {
	switch nanos {
	case math.MinInt64:
		return firstMicros
	case math.MaxInt64:
		return lastMicros
	}
	return max(nanos/1000, firstMicros)
}

// Micros encodes a DateTime64(6), in microseconds since 1970.
func (v *Values) Micros(us int64) {
	v.kind(valueMicros)
	v.b = binary.AppendVarint(v.b, us)
}

// Null encodes that there is no value, of a column that is Nullable.
func (v *Values) Null() { v.kind(valueNull) }

// Int64 encodes an Int64.
func (v *Values) Int64(n int64) {
	v.kind(valueInt64)
	v.b = binary.AppendVarint(v.b, n)
}

// Int32 encodes an Int32.
func (v *Values) Int32(n int32) {
	v.kind(valueInt32)
	v.b = binary.AppendVarint(v.b, int64(n))
}

// Uint16 encodes a UInt16, the highest one for what is higher.
func (v *Values) Uint16(n int) {
	v.kind(valueUint16)
	v.b = binary.AppendUvarint(v.b, uint64(min(max(n, 0), math.MaxUint16)))
}

// Uint32 encodes a UInt32, the highest one for what is higher.
func (v *Values) Uint32(n int) {
	v.kind(valueUint32)
	v.b = binary.AppendUvarint(v.b, uint64(min(max(n, 0), math.MaxUint32)))
}

// Float64 encodes a Float64.
func (v *Values) Float64(f float64) {
	v.kind(valueFloat64)
	v.b = binary.LittleEndian.AppendUint64(v.b, math.Float64bits(f))
}

// Bool encodes a Bool.
func (v *Values) Bool(yes bool) {
	if yes {
		v.kind(valueTrue)
		return
	}
	v.kind(valueFalse)
}

// Texts encodes an Array(String).
func (v *Values) Texts(all []string) {
	v.kind(valueTexts)
	v.b = binary.AppendUvarint(v.b, uint64(len(all)))
	for _, s := range all {
		v.b = appendText(v.b, s)
	}
}

// IDs encodes an Array(UUID).
func (v *Values) IDs(all [][16]byte) {
	v.kind(valueIDs)
	v.b = binary.AppendUvarint(v.b, uint64(len(all)))
	for _, id := range all {
		v.b = append(v.b, id[:]...)
	}
}

// Spans encodes an Array(Tuple(DateTime64(3), DateTime64(3))), in milliseconds since 1970.
func (v *Values) Spans(all [][2]int64) {
	v.kind(valueSpans)
	v.b = binary.AppendUvarint(v.b, uint64(len(all)))
	for _, s := range all {
		v.b = binary.AppendVarint(binary.AppendVarint(v.b, s[0]), s[1])
	}
}

// TextMap encodes a Map(String, String).
func (v *Values) TextMap(m map[string]string) {
	v.kind(valueTextMap)
	v.b = binary.AppendUvarint(v.b, uint64(len(m)))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v.b = appendText(appendText(v.b, key), m[key])
	}
}

// IntMap encodes a Map(String, Int32).
func (v *Values) IntMap(m map[string]int32) {
	v.kind(valueIntMap)
	v.b = binary.AppendUvarint(v.b, uint64(len(m)))
	for _, key := range slices.Sorted(maps.Keys(m)) {
		v.b = binary.AppendVarint(appendText(v.b, key), int64(m[key]))
	}
}

var errValues = errors.New("mirror: a row is not of values")

// AppendValues is the Append of a table whose rows Values has encoded.
func AppendValues(b driver.Batch, data []byte, tail ...any) error {
	values, err := decodeValues(data, len(tail))
	if err != nil {
		return err
	}
	return b.Append(append(values, tail...)...)
}

func decodeValues(data []byte, more int) ([]any, error) {
	d := decoder{b: data}
	values := make([]any, 0, 64+more)
	for len(d.b) > 0 && !d.bad {
		kind := d.b[0]
		d.b = d.b[1:]
		value, known := d.value(kind)
		if !known {
			return nil, fmt.Errorf("%w: a value of the kind %d", errValues, kind)
		}
		values = append(values, value)
	}
	if d.bad {
		return nil, errValues
	}
	return values, nil
}

// value reads a value as the driver takes it.
func (d *decoder) value(kind byte) (v any, known bool) {
	switch kind {
	case valueNull:
		return nil, true
	case valueText:
		return string(d.bytes()), true
	case valueID:
		return uuid.UUID(d.id()), true
	case valueMillis:
		return time.UnixMilli(d.signed()).UTC(), true
	case valueMicros:
		return time.UnixMicro(d.signed()).UTC(), true
	case valueInt64:
		return d.signed(), true
	case valueInt32:
		return int32(d.signed()), true
	case valueUint16:
		return uint16(d.number()), true
	case valueUint32:
		return uint32(d.number()), true
	case valueFloat64:
		return math.Float64frombits(binary.LittleEndian.Uint64(d.fixed(8))), true
	case valueFalse, valueTrue:
		return kind == valueTrue, true
	}
	return d.several(kind)
}

// several reads a value that is several.
func (d *decoder) several(kind byte) (v any, known bool) {
	switch kind {
	case valueTexts:
		return list(d, func() string { return string(d.bytes()) }), true
	case valueIDs:
		return list(d, func() uuid.UUID { return d.id() }), true
	case valueSpans:
		return list(d, func() []any { return []any{time.UnixMilli(d.signed()).UTC(), time.UnixMilli(d.signed()).UTC()} }), true
	case valueTextMap:
		return dictionary(d, func() string { return string(d.bytes()) }), true
	case valueIntMap:
		return dictionary(d, func() int32 { return int32(d.signed()) }), true
	}
	return nil, false
}

func list[T any](d *decoder, read func() T) []T {
	n := d.number()
	all := make([]T, 0, min(n, uint64(len(d.b))))
	for ; n > 0 && !d.bad; n-- {
		all = append(all, read())
	}
	return all
}

func dictionary[T any](d *decoder, read func() T) map[string]T {
	n := d.number()
	all := make(map[string]T, min(n, uint64(len(d.b))))
	for ; n > 0 && !d.bad; n-- {
		key := string(d.bytes())
		all[key] = read()
	}
	return all
}

func (d *decoder) signed() int64 {
	n, size := binary.Varint(d.b)
	if size <= 0 {
		d.bad, d.b = true, nil
		return 0
	}
	d.b = d.b[size:]
	return n
}

func (d *decoder) id() (id [16]byte) {
	copy(id[:], d.fixed(len(id)))
	return id
}

func (d *decoder) fixed(size int) []byte {
	if len(d.b) < size {
		d.bad, d.b = true, nil
		return make([]byte, size)
	}
	b := d.b[:size]
	d.b = d.b[size:]
	return b
}
