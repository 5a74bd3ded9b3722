package webhooks

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
)

// Status is how an endpoint is.
type Status struct {
	ID, Tenant, URL string
	// Off is nil while the endpoint is on.
	Off *Off
	// Failing are the events that hold up their partitions.
	Failing []Failure
	// Places is where each partition goes on.
	Places []Place
}

// Place is where a partition goes on.
type Place struct {
	Next eventlog.Position
	// Lag is how many events the partition holds from there on, those among them that the endpoint does not want.
	Lag int64
}

// Off says why an endpoint gets nothing.
type Off struct {
	At     time.Time `json:"at"`
	Reason string    `json:"reason"`
}

// Failure is an event that could not be delivered yet.
type Failure struct {
	Position eventlog.Position `json:"-"`
	Offset   int64             `json:"offset"`
	// Since is when the failures began that have gone on without a long pause since then.
	Since time.Time `json:"since"`
	// Last is the last attempt, Attempts how many there were since Since, Error how the last one ended.
	Last     time.Time `json:"last"`
	Attempts int       `json:"attempts"`
	Error    string    `json:"error"`
}

// state is what is kept of an endpoint, under these keys:
//
//	off/ENDPOINT                        an Off, while it is off
//	failing/ENDPOINT/TOPIC/PARTITION    a Failure, while there is one
//	next/ENDPOINT/TOPIC/PARTITION       offset of the next event, 8 bytes, big-endian
type state struct {
	store    kv.Store
	endpoint string
}

func (s *state) offKey() []byte { return []byte("off/" + s.endpoint) }

func (s *state) key(kind, topic string, partition int32) []byte {
	return []byte(s.prefix(kind) + topic + "/" + strconv.Itoa(int(partition)))
}

func (s *state) prefix(kind string) string { return kind + "/" + s.endpoint + "/" }

func (s *state) get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	snap, err := s.store.Snapshot(ctx, Namespace)
	if err != nil {
		return nil, false, err
	}
	defer snap.Close()
	return snap.Get(ctx, key)
}

func (s *state) set(ctx context.Context, key, value []byte) error {
	var b kv.Batch
	b.Set(key, value)
	return s.store.Apply(ctx, Namespace, &b)
}

// off is nil while the endpoint is on.
func (s *state) off(ctx context.Context) (*Off, error) {
	value, found, err := s.get(ctx, s.offKey())
	if err != nil || !found {
		return nil, err
	}
	off := &Off{}
	return off, json.Unmarshal(value, off)
}

// switchOff keeps the first reason: it tells nothing new where the endpoint is off already.
func (s *state) switchOff(ctx context.Context, off Off) (changed bool, err error) {
	value, err := json.Marshal(off)
	if err != nil {
		return false, err
	}
	var b kv.Batch
	b.Require(s.offKey(), nil)
	b.Set(s.offKey(), value)
	return s.changed(ctx, &b)
}

// switchOn forgets the failures, too. It leaves an endpoint that is on as it is.
func (s *state) switchOn(ctx context.Context) error {
	value, found, err := s.get(ctx, s.offKey())
	if err != nil || !found {
		return err
	}
	var b kv.Batch
	b.Require(s.offKey(), value)
	b.Delete(s.offKey())
	failing := kv.Prefix([]byte(s.prefix("failing")))
	b.DeleteRange(failing.Start, failing.End)
	_, err = s.changed(ctx, &b)
	return err
}

// changed applies a batch, and says whether what it requires was there.
func (s *state) changed(ctx context.Context, b *kv.Batch) (bool, error) {
	err := s.store.Apply(ctx, Namespace, b)
	if errors.Is(err, kv.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// failed notes an attempt. What is noted of an earlier event, or stopped more than gap ago, is over.
func (s *state) failed(ctx context.Context, p eventlog.Position, at time.Time, cause error, gap time.Duration) (Failure, error) {
	key := s.key("failing", p.Topic, p.Partition)
	value, found, err := s.get(ctx, key)
	if err != nil {
		return Failure{}, err
	}
	var f Failure
	if found {
		if err := json.Unmarshal(value, &f); err != nil {
			return Failure{}, err
		}
	}
	if f.Offset != p.Offset || f.Attempts == 0 || at.Sub(f.Last) > gap {
		f = Failure{Offset: p.Offset, Since: at}
	}
	f.Position, f.Last, f.Error = p, at, cause.Error()
	f.Attempts++
	if value, err = json.Marshal(f); err != nil {
		return Failure{}, err
	}
	return f, s.set(ctx, key, value)
}

// succeeded forgets the failures of a partition.
func (s *state) succeeded(ctx context.Context, p eventlog.Position) error {
	key := s.key("failing", p.Topic, p.Partition)
	if _, found, err := s.get(ctx, key); err != nil || !found {
		return err
	}
	var b kv.Batch
	b.Delete(key)
	return s.store.Apply(ctx, Namespace, &b)
}

// Load implements pubsub.Offsets.
func (s *state) Load(ctx context.Context, topic string, partition int32) (next int64, found bool, err error) {
	value, found, err := s.get(ctx, s.key("next", topic, partition))
	if err != nil || !found {
		return 0, false, err
	}
	next, err = decodeNext(value)
	return next, true, err
}

// Save implements pubsub.Offsets.
func (s *state) Save(ctx context.Context, topic string, partition int32, next int64) error {
	return s.set(ctx, s.key("next", topic, partition), encodeNext(next))
}

// place sets where a partition begins, unless it has begun.
func (s *state) place(ctx context.Context, topic string, partition int32, next int64) error {
	key := s.key("next", topic, partition)
	var b kv.Batch
	b.Require(key, nil)
	b.Set(key, encodeNext(next))
	_, err := s.changed(ctx, &b)
	return err
}

func encodeNext(next int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(next)) }

func decodeNext(value []byte) (int64, error) {
	if len(value) != 8 {
		return 0, fmt.Errorf("an offset of %d bytes", len(value))
	}
	return int64(binary.BigEndian.Uint64(value)), nil
}

// status tells of these topics; more may be kept, of what the endpoint wanted once.
func (s *state) status(ctx context.Context, topics []string) (Status, error) {
	var status Status
	var err error
	if status.Off, err = s.off(ctx); err != nil {
		return Status{}, err
	}
	next := make(map[eventlog.Position]int64)
	err = s.each(ctx, "next", func(p eventlog.Position, value []byte) error {
		if !slices.Contains(topics, p.Topic) {
			return nil
		}
		place := p
		var err error
		place.Offset, err = decodeNext(value)
		next[p] = place.Offset
		status.Places = append(status.Places, Place{Next: place})
		return err
	})
	if err != nil {
		return Status{}, err
	}
	err = s.each(ctx, "failing", func(p eventlog.Position, value []byte) error {
		f := Failure{}
		if err := json.Unmarshal(value, &f); err != nil {
			return err
		}
		if at, ok := next[p]; !ok || f.Offset < at { // it is over: the endpoint got the event after all, or does not want it any more
			return nil
		}
		f.Position = p
		f.Position.Offset = f.Offset
		status.Failing = append(status.Failing, f)
		return nil
	})
	return status, err
}

// each goes through the partitions' keys of one kind.
func (s *state) each(ctx context.Context, kind string, fn func(p eventlog.Position, value []byte) error) error {
	snap, err := s.store.Snapshot(ctx, Namespace)
	if err != nil {
		return err
	}
	defer snap.Close()
	it, err := snap.Scan(ctx, kv.Prefix([]byte(s.prefix(kind))))
	if err != nil {
		return err
	}
	defer it.Close()
	for it.Next() {
		topic, number, _ := strings.Cut(strings.TrimPrefix(string(it.Key()), s.prefix(kind)), "/")
		partition, err := strconv.ParseInt(number, 10, 32)
		if err == nil {
			err = fn(eventlog.Position{Topic: topic, Partition: int32(partition)}, it.Value())
		}
		if err != nil {
			return fmt.Errorf("the key %q: %w", it.Key(), err)
		}
	}
	return it.Err()
}
