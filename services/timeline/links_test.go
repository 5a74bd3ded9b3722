package timeline_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
)

// links is a scope.Source: all versions of what belonged to each id.
type links struct {
	tenant   string
	mu       sync.Mutex
	versions []version
	built    int // versions before this one are gone
	waiting  map[int]waiter
	waited   int
	reads    int
}

type version struct {
	received time.Time
	scopes   map[event.ID]scope.Scope
}

type waiter struct {
	id      event.ID
	changed chan struct{}
}

func newLinks() *links {
	return &links{tenant: tenant, versions: []version{{scopes: map[event.ID]scope.Scope{}}}, waiting: map[int]waiter{}}
}

// set makes a new version, in which scopes go under ids.
func (l *links) set(received time.Time, scopes map[event.ID]scope.Scope) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.versions[len(l.versions)-1].scopes
	now := maps.Clone(before)
	touched := map[event.ID]bool{}
	for id, s := range scopes {
		s.Version = strconv.Itoa(len(l.versions))
		touched[s.ID], touched[before[id].ID] = true, true
		now[id] = s
	}
	l.versions = append(l.versions, version{received, now})
	for n, w := range l.waiting {
		if touched[w.id] {
			close(w.changed)
			delete(l.waiting, n)
		}
	}
}

// rebuild forgets all versions but the present one.
func (l *links) rebuild() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.built = len(l.versions) - 1
}

func (l *links) Scope(_ context.Context, owner string, id event.ID, at scope.At) (scope.Scope, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.reads++
	n := len(l.versions) - 1
	switch {
	case at.Version != "":
		if n, _ = strconv.Atoi(at.Version); n < l.built {
			return scope.Scope{}, scope.ErrExpired
		}
	case !at.Time.IsZero():
		for n > 0 && l.versions[n].received.After(at.Time) {
			n--
		}
	}
	s, found := l.versions[n].scopes[id]
	if !found || owner != l.tenant {
		return scope.Scope{}, fmt.Errorf("links: %w", scope.ErrUnknown)
	}
	s.Version = strconv.Itoa(n)
	return s, nil
}

func (l *links) Changed(s scope.Scope, _ string) (<-chan struct{}, func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := l.waited
	l.waited++
	l.waiting[n] = waiter{s.ID, make(chan struct{})}
	return l.waiting[n].changed, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.waiting, n)
	}
}

// of is what belonged to an id in a version; the present one where that is empty.
func (l *links) of(id event.ID, version string) scope.Scope {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := len(l.versions) - 1
	if version != "" {
		n, _ = strconv.Atoi(version)
	}
	return l.versions[n].scopes[id]
}

// read is how often scopes were read.
func (l *links) read() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.reads
}

func (l *links) waiters() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.waiting)
}

// covers tells whether a moment lies in a span of an id.
func covers(spans []scope.Span, id event.ID, nanos int64) bool {
	return slices.ContainsFunc(spans, func(s scope.Span) bool { return s.ID == id && s.Contains(nanos) })
}

func excepted(s scope.Scope, thread, endpoint event.ID, nanos int64) bool {
	return slices.ContainsFunc(s.Without, func(e scope.Exception) bool {
		return e.Thread == thread && (e.Endpoint.IsZero() || e.Endpoint == endpoint) && e.Contains(nanos)
	})
}
