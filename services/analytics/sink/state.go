package sink

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"github.com/skein-cx/skein/pkg/kv"
)

// slice is where the sink keeps what it knows, one namespace for each generation of the tables. Generation 0 holds which one serves.
const slice = "analytics"

// Keys of a generation.
const (
	tagState = 0x00
	tagSeen  = 0x01
)

func stateKey() []byte { return []byte{tagState} }

// state is how far a generation is, and what may not have reached ClickHouse yet. Each write of it requires the one before.
type state struct {
	// Life makes the tokens of this generation its own: a store that begins anew never uses one again.
	Life string `json:"life"`
	// Batch is the number of the last batch.
	Batch uint64 `json:"batch"`
	// Positions are behind what the last batch holds.
	Positions []position `json:"positions"`
	// Pending are the batches that may not have reached ClickHouse, the older first.
	Pending []pending `json:"pending,omitempty"`
}

// position is how far a partition was read.
type position struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	// Next is the offset of the record to read next.
	Next int64 `json:"next"`
	// Checksum is that of the last record.
	Checksum uint64 `json:"checksum"`
	// Received is when the last event was received, in microseconds.
	Received int64 `json:"received"`
}

// pending is a batch that is on its way.
type pending struct {
	Batch  uint64 `json:"batch"`
	Ranges []span `json:"ranges"`
	// Refused are the pieces that ClickHouse has refused for good. Each was divided, and is never sent whole again.
	Refused []piece `json:"refused,omitempty"`
}

// span is a stretch of a partition, from First to the offset before Next.
type span struct {
	Topic     string `json:"topic"`
	Partition int32  `json:"partition"`
	First     int64  `json:"first"`
	Next      int64  `json:"next"`
}

// piece is rows of a batch, from From to the one before To.
type piece struct {
	Table    string `json:"table"`
	From, To int
}

func (s *state) encode() ([]byte, error) { return json.Marshal(s) }

// loadState reads a generation's state; raw is nil where there is none.
func loadState(ctx context.Context, store kv.Store, ns kv.Namespace) (s state, raw []byte, err error) {
	snap, err := store.Snapshot(ctx, ns)
	if err != nil {
		return state{}, nil, fmt.Errorf("analytics: read how far the sink is: %w", err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	raw, found, err := snap.Get(ctx, stateKey())
	if err != nil {
		return state{}, nil, fmt.Errorf("analytics: read how far the sink is: %w", err)
	}
	if !found {
		return state{}, nil, nil
	}
	if err := json.Unmarshal(raw, &s); err != nil {
		return state{}, nil, fmt.Errorf("analytics: the sink's state in %s is damaged: %w", ns, err)
	}
	return s, raw, nil
}

// maxKey and maxValue are the most that keys and values of seen events take, in bytes.
const maxKey, maxValue = 2 + maxTenant + 16 + 16, 1 + 5 + 10

// appendThreadKey is the key of a thread of which events were seen. Theirs begin with it.
func appendThreadKey(b []byte, tenant string, thread uuid.UUID) []byte {
	b = append(append(b, tagSeen, byte(len(tenant))), tenant...)
	return append(b, thread[:]...)
}

func appendSeenKey(b []byte, r *row) []byte {
	return append(appendThreadKey(b, r.tenant, r.thread), r.id[:]...)
}

// appendSeenValue is where the event stands that counts.
func appendSeenValue(b []byte, r *row) []byte {
	b = append(b, byte(topicNumber(r.topic)))
	b = binary.AppendUvarint(b, uint64(r.partition))
	return binary.AppendUvarint(b, uint64(r.offset))
}

// is tells whether a row is the one that a value of a seen key means.
func (r *row) is(seen []byte) bool {
	return bytes.Equal(seen, appendSeenValue(make([]byte, 0, 16), r))
}

// keyLease is a key of generation 0.
const keyLease = "lease"

// errFenced means that another process goes on.
var errFenced = errors.New("analytics: another process has moved the sink")
