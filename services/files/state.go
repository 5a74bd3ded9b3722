package files

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/pubsub"
)

// The rows. They hold no content: which file it is, is read from the log again.
//
//	'n', partition                              → offset of the next record to be taken in (pubsub.Places)
//	'r', event, index                           → how a file stands; kept for ever, so that a message that comes again is known
//	'q', tenant, inbox, due, event, index       → nothing; a file that is to be fetched, and when
const (
	spaceRow   = 'r'
	spaceQueue = 'q'
)

// fileKey names a file: an attachment of an event.
type fileKey struct {
	event event.ID
	index int32
}

const fileKeyLength = len(event.ID{}) + 4

func (k fileKey) append(b []byte) []byte {
	return binary.BigEndian.AppendUint32(append(b, k.event[:]...), uint32(k.index))
}

// row is how a file stands.
type row struct {
	Tenant    string `json:"tenant"`
	Inbox     string `json:"inbox"`
	Partition int32  `json:"partition"`
	Offset    int64  `json:"offset"`
	// Since is when the message was taken in.
	Since time.Time `json:"since"`
	// Due is when the next attempt may begin: while one is under way, when it counts as interrupted.
	Due      time.Time `json:"due"`
	Attempts int       `json:"attempts,omitempty"`
	// Reason is what the last attempt said.
	Reason string `json:"reason,omitempty"`
	// Done says that the log tells what became of it.
	Done bool `json:"done,omitempty"`

	raw []byte // as it was read
	due []byte // its key in the queue, as it was read
}

// state is what is kept, and how far the log was taken in.
type state struct {
	pubsub.Places
	store kv.Store
}

func queuePrefix(tenant, inbox string) []byte {
	b := []byte{spaceQueue}
	for _, t := range []string{tenant, inbox} {
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(t))), t...)
	}
	return b
}

func queueKey(r *row, k fileKey) []byte {
	b := binary.BigEndian.AppendUint64(queuePrefix(r.Tenant, r.Inbox), uint64(max(r.Due.UnixMilli(), 0)))
	return k.append(b)
}

func rowKey(k fileKey) []byte { return k.append([]byte{spaceRow}) }

// row reads how a file stands; nil where it is not known.
func (s *state) row(ctx context.Context, k fileKey) (*row, error) {
	snap, err := s.store.Snapshot(ctx, Namespace)
	if err != nil {
		return nil, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	raw, found, err := snap.Get(ctx, rowKey(k))
	if err != nil || !found {
		return nil, err
	}
	r := &row{raw: raw}
	if err := json.Unmarshal(raw, r); err != nil {
		return nil, fmt.Errorf("a row of a file cannot be read: the store is damaged: %w", err)
	}
	r.due = queueKey(r, k)
	return r, nil
}

// put writes a row in the place of what was read. kv.ErrConflict means that somebody else has written it meanwhile.
func (s *state) put(ctx context.Context, k fileKey, r *row) error {
	raw, err := json.Marshal(r)
	if err != nil {
		return err
	}
	var b kv.Batch
	b.Require(rowKey(k), r.raw)
	b.Set(rowKey(k), raw)
	if r.due != nil {
		b.Delete(r.due)
	}
	due := queueKey(r, k)
	if r.Done {
		due = nil
	} else {
		b.Set(due, nil)
	}
	if err := s.store.Apply(ctx, Namespace, &b); err != nil {
		return err
	}
	r.raw, r.due = raw, due
	return nil
}

// add notes a file, unless it is known.
func (s *state) add(ctx context.Context, k fileKey, r *row) error {
	if err := s.put(ctx, k, r); !errors.Is(err, kv.ErrConflict) {
		return err
	}
	return nil
}

// settle notes that the log tells what became of a file.
func (s *state) settle(ctx context.Context, k fileKey) error {
	for {
		r, err := s.row(ctx, k)
		if err != nil || r == nil || r.Done {
			return err
		}
		r.Done, r.Reason = true, ""
		if err = s.put(ctx, k, r); !errors.Is(err, kv.ErrConflict) {
			return err
		}
	}
}

// due reads which files of an inbox are due, the longest due first, at most so many, and when the next one is; zero where there is none.
func (s *state) due(ctx context.Context, tenant, inbox string, now time.Time, most int) (files []fileKey, next time.Time, err error) {
	snap, err := s.store.Snapshot(ctx, Namespace)
	if err != nil {
		return nil, next, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	prefix := queuePrefix(tenant, inbox)
	it, err := snap.Scan(ctx, kv.Prefix(prefix))
	if err != nil {
		return nil, next, err
	}
	defer func() { _ = it.Close() }() // nothing is written through an iterator
	for it.Next() {
		rest := it.Key()[len(prefix):]
		if len(rest) != 8+fileKeyLength {
			return nil, next, errors.New("a key of the files to fetch cannot be read: the store is damaged")
		}
		at := time.UnixMilli(int64(binary.BigEndian.Uint64(rest)))
		if at.After(now) || len(files) == most {
			return files, at, nil
		}
		rest = rest[8:]
		files = append(files, fileKey{event.ID(rest[:len(event.ID{})]), int32(binary.BigEndian.Uint32(rest[len(event.ID{}):]))})
	}
	return files, next, it.Err()
}
