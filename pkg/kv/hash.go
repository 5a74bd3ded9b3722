package kv

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// Digest stands for all keys and values that a Reader sees. Readers with equal keys and values have equal digests,
// whatever the engine.
type Digest struct {
	// SHA256 is over the keys in order, each as: length of the key (8 bytes, big endian), key, length of the value,
	// value.
	SHA256 [sha256.Size]byte
	// Keys counts the keys, Bytes what they and their values hold.
	Keys, Bytes int64
}

// String shows all of it.
func (d Digest) String() string {
	return fmt.Sprintf("sha256:%x (%d keys, %d bytes)", d.SHA256, d.Keys, d.Bytes)
}

// Hash reads everything that r sees: the state hash by which generations and engines are compared.
func Hash(ctx context.Context, r Reader) (Digest, error) {
	it, err := r.Scan(ctx, Range{})
	if err != nil {
		return Digest{}, fmt.Errorf("kv: hash: %w", err)
	}
	defer func() { _ = it.Close() }() // nothing is written through an iterator
	var d Digest
	h := sha256.New()
	var frame []byte
	for it.Next() {
		key, value := it.Key(), it.Value()
		frame = binary.BigEndian.AppendUint64(frame[:0], uint64(len(key)))
		frame = append(frame, key...)
		frame = binary.BigEndian.AppendUint64(frame, uint64(len(value)))
		_, _ = h.Write(append(frame, value...)) // a hash never fails
		d.Keys++
		d.Bytes += int64(len(key) + len(value))
	}
	if err := it.Err(); err != nil {
		return Digest{}, fmt.Errorf("kv: hash: %w", err)
	}
	h.Sum(d.SHA256[:0])
	return d, nil
}
