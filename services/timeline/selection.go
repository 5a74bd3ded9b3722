package timeline

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Selection says which events of whom.
type Selection struct {
	Tenant string
	// Endpoints and Threads whose events it takes, and when they happened.
	Endpoints, Threads stretches[event.ID]
	// Without are parts of threads that it leaves out, as far as they are filed under an endpoint.
	Without  stretches[part]
	Channels []eventv1.Channel // none means all
	Types    []string          // names, or groups as "message.*"; none means all

	about subject
}

// subject is the customer or conversation whose scope a selection takes; none where it names endpoints and threads.
type subject struct {
	source scope.Source
	id     event.ID
}

func (s subject) none() bool { return s.source == nil }

// part is a thread as far as it is filed under an endpoint, or under any where that is zero.
type part struct{ thread, endpoint event.ID }

// stretches are what is taken of several things: stretches of time that neither overlap nor touch.
type stretches[K comparable] map[K][]scope.Range

func (s stretches[K]) add(key K, r scope.Range) {
	if r.Empty() {
		return
	}
	apart := make([]scope.Range, 0, 1)
	for _, have := range s[key] {
		if have.Until < r.From || r.Until < have.From {
			apart = append(apart, have)
		} else {
			r = scope.Range{From: min(r.From, have.From), Until: max(r.Until, have.Until)}
		}
	}
	s[key] = append(apart, r)
}

// hold reports whether a moment of a thing lies in them.
func (s stretches[K]) hold(key K, nanos int64) bool {
	for _, r := range s[key] {
		if r.Contains(nanos) {
			return true
		}
	}
	return false
}

// beyond gives the things of which they hold more than others do, or at another time.
func (s stretches[K]) beyond(others stretches[K]) []K {
	var keys []K
	for key, ranges := range s {
		if slices.ContainsFunc(ranges, func(r scope.Range) bool { return !covered(r, others[key]) }) {
			keys = append(keys, key)
		}
	}
	return keys
}

// covered reports whether a stretch lies in one of several that do not touch.
func covered(r scope.Range, by []scope.Range) bool {
	return slices.ContainsFunc(by, func(o scope.Range) bool { return o.From <= r.From && r.Until <= o.Until })
}

func stretchesOf(spans []scope.Span) stretches[event.ID] {
	s := make(stretches[event.ID], len(spans))
	for _, span := range spans {
		s.add(span.ID, span.Range)
	}
	return s
}

// always takes all of several things.
func always(ids ...event.ID) stretches[event.ID] {
	s := make(stretches[event.ID], len(ids))
	for _, id := range ids {
		s[id] = ever
	}
	return s
}

var ever = []scope.Range{scope.Ever} //nolint:gochecknoglobals // a constant

// scope reads what belongs to the subject.
func (s *Selection) scope(ctx context.Context, at scope.At) (scope.Scope, error) {
	sc, err := s.about.source.Scope(ctx, s.Tenant, s.about.id, at)
	if err != nil {
		return scope.Scope{}, fmt.Errorf("timeline: what belongs to %s: %w", s.about.id, err)
	}
	return sc, nil
}

// take makes it the selection of a scope.
func (s *Selection) take(sc scope.Scope) {
	s.Endpoints, s.Threads, s.Without = stretchesOf(sc.Endpoints), stretchesOf(sc.Threads), make(stretches[part], len(sc.Without))
	for _, e := range sc.Without {
		s.Without.add(part{e.Thread, e.Endpoint}, e.Range)
	}
}

// leavesOut reports whether what happened in a thread at a moment is left out under an endpoint.
func (s *Selection) leavesOut(thread, endpoint event.ID, nanos int64) bool {
	return len(s.Without) > 0 &&
		(s.Without.hold(part{thread, endpoint}, nanos) || s.Without.hold(part{thread: thread}, nanos))
}

// gainedOver tells what a selection takes that another one does not: endpoints, and threads, wholly or in part. A thread is gained too
// where an endpoint that both have does not leave it out any more.
func (s *Selection) gainedOver(old *Selection) (endpoints, threads []string) {
	ids := s.Threads.beyond(old.Threads)
	for _, f := range old.Without.beyond(s.Without) {
		if f.endpoint.IsZero() || s.Endpoints[f.endpoint] != nil && old.Endpoints[f.endpoint] != nil {
			ids = append(ids, f.thread)
		}
	}
	return texts(s.Endpoints.beyond(old.Endpoints)), texts(ids)
}

func texts(ids []event.ID) []string {
	var t []string
	for _, id := range ids {
		t = append(t, id.String())
	}
	slices.Sort(t)
	return slices.Compact(t)
}

// matches reports whether the filters leave an event in.
func (s *Selection) matches(r *row) bool {
	return (len(s.Channels) == 0 || slices.Contains(s.Channels, r.Channel)) &&
		(len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(t string) bool { return matchesType(t, r.Type) }))
}

func matchesType(pattern, name string) bool {
	if group, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasSuffix(group, ".") {
		return strings.HasPrefix(name, group)
	}
	return pattern == name
}

// row is one event of a timeline, not decoded: most are only handed on. It is not changed once it was read.
type row struct {
	event.Parts
	partition int32
	offset    int64
}

// newRow takes a record apart. It keeps a copy of what a store lends.
func newRow(record []byte, at moment) (*row, error) {
	parts, err := event.Split(bytes.Clone(record))
	if err != nil {
		return nil, fmt.Errorf("timeline: record %d/%d: %w", at.partition, at.offset, err)
	}
	return &row{Parts: parts, partition: at.partition, offset: at.offset}, nil
}

// entry decodes it. Content that is sealed or that cannot be read is left out: ids, kinds and times still can be.
func (r *row) entry() (*timelinev1.Entry, error) {
	e := &timelinev1.Entry{}
	if err := proto.Unmarshal(appendEntry(nil, r, false), e); err != nil {
		return nil, fmt.Errorf("timeline: record %d/%d: %w", r.partition, r.offset, err)
	}
	return e, nil
}
