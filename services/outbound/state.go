package outbound

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/pubsub"
)

// The rows. They hold no content: what is to be sent is read from the log again.
//
//	'n', partition                            → offset of the next record to be taken in (pubsub.Places)
//	'b', partition                            → where this store began
//	'r', tenant, request                      → how a request stands; kept for ever, so that a request that comes again is known
//	'q', tenant, inbox, partition, offset     → request that has no outcome yet
//	'x', tenant, inbox, partition, offset     → request that failed, or of which it is not known
//	'k', tenant, thread, request id of caller → what Send was asked for, and its event
const (
	spaceBegin   = 'b'
	spaceRow     = 'r'
	spacePending = 'q'
	spaceFailed  = 'x'
	spaceAsked   = 'k'
)

// How a request stands.
const (
	stateWaiting = "waiting" // not under way
	stateSending = "sending" // an attempt is under way, or was when its process ended
	stateDecided = "decided" // its outcome is known, and perhaps not in the log yet
	stateSent    = "sent"
	stateFailed  = "failed"
	stateUnknown = "unknown"
)

// row is how a request stands.
type row struct {
	Inbox     string    `json:"inbox"`
	Thread    string    `json:"thread"`
	Partition int32     `json:"partition"`
	Offset    int64     `json:"offset"`
	Requested time.Time `json:"requested"`
	State     string    `json:"state"`
	// Maybe says that it may have been sent: by an idempotent sender, or by a connector.
	Maybe    bool `json:"maybe,omitempty"`
	Attempts int  `json:"attempts,omitempty"`
	// Next is when another attempt is due.
	Next time.Time `json:"next,omitzero"`
	// Owner has it under way until Until at the latest.
	Owner string    `json:"owner,omitempty"`
	Until time.Time `json:"until,omitzero"`
	// Code and Reason are of the outcome, or of the last attempt.
	Code   string `json:"code,omitempty"`
	Reason string `json:"reason,omitempty"`
	// Outcome is what is to be submitted, and Becomes the state behind it.
	Outcome []byte `json:"outcome,omitempty"`
	Becomes string `json:"becomes,omitempty"`
	// Native is the provider's id, where it was sent.
	Native string `json:"native,omitempty"`

	raw []byte // as it was read
}

// outcome is what became of a request.
type outcome struct{ state, code, reason, native string }

// terminal tells whether a request has an outcome in the log.
func (r *row) terminal() bool {
	return r.State == stateSent || r.State == stateFailed || r.State == stateUnknown
}

// codeExpired is the code of requests that have become too old, codeContentLost of those that cannot be read any more, and codeFileGone of those
// with a file that cannot.
const (
	codeExpired     = "expired"
	codeContentLost = "content_lost"
	codeFileGone    = "file_gone"
)

// open tells whether a further outcome is news: nothing is known better than that it was sent.
func (r *row) open(o outcome) bool {
	switch r.State {
	case stateSent:
		return false
	case stateFailed:
		return o.state == stateSent || r.Code == codeExpired && o.state == stateFailed && o.code != codeExpired
	case stateUnknown:
		return o.state != stateUnknown
	}
	return true
}

// decided notes an outcome that is to be told.
func (r *row) decided(o outcome, submissions []byte, owner string, until time.Time) {
	r.State, r.Becomes, r.Outcome = stateDecided, o.state, submissions
	r.Code, r.Reason, r.Native = o.code, o.reason, o.native
	r.Owner, r.Until, r.Next = owner, until, time.Time{}
}

// state is what is kept, and how far the log was taken in.
type state struct {
	pubsub.Places
	store kv.Store
}

func names(space byte, texts ...string) []byte {
	b := []byte{space}
	for _, t := range texts {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(t))), t...) // 1,024 bytes at most, as events have them
	}
	return b
}

func rowKey(tenant string, id event.ID) []byte { return append(names(spaceRow, tenant), id[:]...) }

func placeKey(space byte, tenant string, r *row) []byte {
	b := names(space, tenant, r.Inbox)
	b = binary.BigEndian.AppendUint32(b, uint32(r.Partition))
	return binary.BigEndian.AppendUint64(b, uint64(r.Offset))
}

func partitionKey(space byte, partition int32) []byte {
	return binary.BigEndian.AppendUint32([]byte{space}, uint32(partition))
}

func (s *state) get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	snap, err := s.store.Snapshot(ctx, Namespace)
	if err != nil {
		return nil, false, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	return snap.Get(ctx, key)
}

// row reads how a request stands; nil where it is not known.
func (s *state) row(ctx context.Context, tenant string, id event.ID) (*row, error) {
	raw, found, err := s.get(ctx, rowKey(tenant, id))
	if err != nil || !found {
		return nil, err
	}
	return decodeRow(raw)
}

func decodeRow(raw []byte) (*row, error) {
	r := &row{raw: raw}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("a row of the pending set cannot be read: the store is damaged: %w", err)
	}
	return r, nil
}

// put writes a row in the place of what was read. kv.ErrConflict means that somebody else has written it meanwhile.
func (s *state) put(ctx context.Context, tenant string, id event.ID, r *row) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var b kv.Batch
	key := rowKey(tenant, id)
	b.Require(key, r.raw)
	b.Set(key, raw)
	pending, failed := placeKey(spacePending, tenant, r), placeKey(spaceFailed, tenant, r)
	switch {
	case !r.terminal():
		b.Set(pending, id[:])
	case r.State == stateSent:
		b.Delete(pending)
		b.Delete(failed)
	default:
		b.Delete(pending)
		b.Set(failed, id[:])
	}
	if err := s.store.Apply(ctx, Namespace, &b); err != nil {
		return err
	}
	r.raw = raw
	return nil
}

// add notes a request, unless it is known.
func (s *state) add(ctx context.Context, tenant string, id event.ID, r *row) (added bool, err error) {
	err = s.put(ctx, tenant, id, r)
	if errors.Is(err, kv.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// settle notes what became of a request, where that is news.
func (s *state) settle(ctx context.Context, tenant string, id event.ID, o outcome) error {
	for {
		r, err := s.row(ctx, tenant, id)
		if err != nil || r == nil || !r.open(o) {
			return err
		}
		r.State, r.Code, r.Reason, r.Native = o.state, o.code, o.reason, o.native
		r.Owner, r.Until, r.Next, r.Outcome, r.Becomes = "", time.Time{}, time.Time{}, nil, ""
		if err = s.put(ctx, tenant, id, r); !errors.Is(err, kv.ErrConflict) {
			return err
		}
	}
}

// listed is a request in a list.
type listed struct {
	id event.ID
	*row
}

// list reads requests of an inbox, or of all of a tenant's where that is empty, in the order of the log. It ends where more
// returns false.
func (s *state) list(ctx context.Context, space byte, tenant, inbox string, reverse bool, more func(listed) bool) error {
	prefix := names(space, tenant)
	if inbox != "" {
		prefix = names(space, tenant, inbox)
	}
	snap, err := s.store.Snapshot(ctx, Namespace)
	if err != nil {
		return err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	r := kv.Prefix(prefix)
	r.Reverse = reverse
	it, err := snap.Scan(ctx, r)
	if err != nil {
		return err
	}
	defer func() { _ = it.Close() }() // nothing is written through an iterator
	for it.Next() {
		if len(it.Value()) != len(event.ID{}) {
			return errors.New("a key of the pending set cannot be read: the store is damaged")
		}
		id := event.ID(it.Value())
		raw, found, err := snap.Get(ctx, rowKey(tenant, id))
		if err != nil {
			return err
		}
		if !found {
			continue
		}
		decoded, err := decodeRow(raw)
		if err != nil {
			return err
		}
		if !more(listed{id, decoded}) {
			return nil
		}
	}
	return it.Err()
}

// beginning is where a partition of the log was when this store was new, or when it was put back.
type beginning struct {
	// End is the offset of the next record then.
	End int64 `json:"end"`
	// Lost says that another store was there before, or that this one had been further.
	Lost bool `json:"lost,omitempty"`

	raw []byte
}

// beginning is nil where the store has none.
func (s *state) beginning(ctx context.Context, partition int32) (*beginning, error) {
	raw, found, err := s.get(ctx, partitionKey(spaceBegin, partition))
	if err != nil || !found {
		return nil, err
	}
	b := &beginning{raw: raw}
	return b, json.Unmarshal(raw, b)
}

// begin notes a beginning in the place of the one that was read, unless another process has; it returns the one that counts.
func (s *state) begin(ctx context.Context, partition int32, was, b *beginning) (*beginning, error) {
	raw, err := json.Marshal(b)
	if err != nil {
		return nil, err
	}
	var batch kv.Batch
	key := partitionKey(spaceBegin, partition)
	if was == nil {
		was = &beginning{}
	}
	batch.Require(key, was.raw)
	batch.Set(key, raw)
	err = s.store.Apply(ctx, Namespace, &batch)
	if errors.Is(err, kv.ErrConflict) {
		return s.beginning(ctx, partition)
	}
	return b, err
}

// asked is what Send was asked for.
type asked struct {
	// Hash tells another message under the same id.
	Hash []byte `json:"hash"`
	// Submission is kept until it is in the log.
	Submission []byte `json:"submission,omitempty"`
	// EventID, ThreadID and Position are where it stands then.
	EventID  string            `json:"event,omitempty"`
	ThreadID string            `json:"thread,omitempty"`
	Position eventlog.Position `json:"position,omitzero"`

	raw []byte
}

func askedKey(tenant string, thread event.ID, id string) []byte {
	return append(append(names(spaceAsked, tenant), thread[:]...), id...)
}

func (s *state) asked(ctx context.Context, key []byte) (*asked, error) {
	raw, found, err := s.get(ctx, key)
	if err != nil || !found {
		return nil, err
	}
	a := &asked{raw: raw}
	return a, json.Unmarshal(raw, a)
}

// ask writes what was asked for in the place of what was read.
func (s *state) ask(ctx context.Context, key []byte, a *asked) error {
	raw, err := json.Marshal(a)
	if err != nil {
		return err
	}
	var b kv.Batch
	b.Require(key, a.raw)
	b.Set(key, raw)
	if err := s.store.Apply(ctx, Namespace, &b); err != nil {
		return err
	}
	a.raw = raw
	return nil
}

// forget takes back what was asked for: it cannot be an event.
func (s *state) forget(ctx context.Context, key []byte, a *asked) error {
	var b kv.Batch
	b.Require(key, a.raw)
	b.Delete(key)
	return s.store.Apply(ctx, Namespace, &b)
}
