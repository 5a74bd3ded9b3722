package timeline

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Endpoints tells what events show of endpoints. It is safe for concurrent use.
type Endpoints struct{ store kv.Store }

var _ scope.Endpoints = (*Endpoints)(nil)

// NewEndpoints reads from a store.
func NewEndpoints(store kv.Store) *Endpoints { return &Endpoints{store: store} }

// handful is how many rows at either end of a timeline are looked at for what they show.
const handful = 8

// Seen implements scope.Endpoints. It looks at the newest rows, and where none of them shows the address, as in a long call, at the
// oldest ones.
func (e *Endpoints) Seen(ctx context.Context, tenant string, endpoint event.ID) (scope.Seen, bool, error) {
	seen, found, err := e.seen(ctx, tenant, endpoint)
	if err != nil {
		return scope.Seen{}, false, fmt.Errorf("timeline: what is seen of endpoint %s: %w", endpoint, err)
	}
	return seen, found, nil
}

func (e *Endpoints) seen(ctx context.Context, tenant string, endpoint event.ID) (seen scope.Seen, found bool, err error) {
	ns, err := projection.Serving(ctx, e.store, Slice)
	if err != nil {
		return seen, false, err
	}
	snap, err := e.store.Snapshot(ctx, ns)
	if err != nil {
		return seen, false, err
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	rows := kv.Prefix(timelinePrefix(tenant, endpoint))
	if seen.First, found, err = look(ctx, snap, rows, 1, func([]byte) error { return nil }); err != nil || !found {
		return seen, false, err
	}
	learn := func(record []byte) error { return learn(&seen, record, endpoint) }
	newest := rows
	newest.Reverse = true
	if seen.Last, _, err = look(ctx, snap, newest, handful, learn); err == nil && seen.Address == "" {
		_, _, err = look(ctx, snap, rows, handful, learn)
	}
	return seen, true, err
}

// look reads the first few rows of a range, and gives the time of the first.
func look(ctx context.Context, snap kv.Reader, rows kv.Range, few int, yield func(record []byte) error) (first time.Time, found bool, err error) {
	it, err := snap.Scan(ctx, rows)
	if err != nil {
		return first, false, err
	}
	defer func() { err = errors.Join(err, it.Close()) }()
	for range few {
		if !it.Next() {
			break
		}
		if !found {
			at, err := decodeMoment(it.Key()[max(0, len(it.Key())-momentSize):])
			if err != nil {
				return first, false, err
			}
			first, found = time.Unix(0, at.occurred).UTC(), true
		}
		_, record, err := decodeTimelineValue(it.Value())
		if err == nil {
			err = yield(record)
		}
		if err != nil {
			return first, found, err
		}
	}
	return first, found, it.Err()
}

// learn fills in what is not known yet with what a record shows of an endpoint. Content that nobody can read shows nothing.
func learn(seen *scope.Seen, record []byte, endpoint event.ID) error {
	if seen.Address != "" && seen.DisplayName != "" {
		return nil
	}
	e, err := event.Decode(record)
	if err != nil {
		return err
	}
	var content *eventv1.Content
	for i, p := range e.GetParties() {
		if id, err := event.ParseID(p.GetEndpointId()); err != nil || id != endpoint {
			continue
		}
		seen.Kind = p.GetKind()
		if content == nil {
			if content, err = event.DecodeContent(e); err != nil {
				return nil //nolint:nilerr // another record may show it
			}
		}
		if i >= len(content.GetParties()) {
			continue
		}
		d := content.GetParties()[i]
		if seen.Address == "" {
			seen.Address, seen.Namespace = d.GetAddress(), d.GetNamespace()
		}
		if seen.DisplayName == "" {
			seen.DisplayName = d.GetDisplayName()
		}
	}
	return nil
}
