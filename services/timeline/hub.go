package timeline

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
)

const (
	// queueLength is how many filings wait for a watcher before it is sent back to read for itself.
	queueLength = 256
	// maxWatchers of one process.
	maxWatchers = 20_000
)

var (
	// ErrTooManyWatchers means that this process watches enough already.
	ErrTooManyWatchers = errors.New("timeline: too many watches on this process: try another one, or later")
	// ErrStopping means that this process is about to end: go on from the last cursor on another one.
	ErrStopping = errors.New("timeline: this process is stopping: go on from the last cursor")
)

// Hub follows what is applied, once for all watchers of a process, and hands each filing to those who wait for it.
type Hub struct {
	slice projection.Follower

	pass sync.Mutex // held while following, so that nobody joins in the middle

	mu        sync.Mutex
	stopped   bool
	serving   kv.Namespace
	followed  projection.Vector // everything before was handed out
	endpoints map[event.ID]map[*watcher]struct{}
	threads   map[event.ID]map[*watcher]struct{}
	watchers  map[*watcher]struct{}
}

// NewHub makes a hub of what is folded from a topic with so many partitions; Run makes it follow.
func NewHub(store kv.Store, topic string, partitions int, progress *projection.Progress, logger *slog.Logger) *Hub {
	return &Hub{
		slice:     projection.Follower{Store: store, Slice: Slice, Topic: topic, Partitions: partitions, Progress: progress, Logger: logger},
		endpoints: map[event.ID]map[*watcher]struct{}{}, threads: map[event.ID]map[*watcher]struct{}{}, watchers: map[*watcher]struct{}{},
	}
}

// filing is an event that became visible, as the hub hands it to all who wait for it.
type filing struct {
	partition int32
	at        place
	row       *row // shared by all who wait for it
}

// watcher is one who waits. Its queue is closed when it has to read for itself again, and when the generation changes.
type watcher struct {
	Selection
	queue chan filing
	// from is what was followed when it joined: everything behind it comes through the queue.
	from projection.Vector
	ns   kv.Namespace
}

// Run follows until ctx ends. What keeps it from reading it tries again.
func (h *Hub) Run(ctx context.Context) error {
	projection.Poll(ctx, h.slice.Logger, Slice, h.Follow, h.slice.Progress, nil)
	h.stop()
	return nil
}

// Follow hands out everything that was applied since the last call.
func (h *Hub) Follow(ctx context.Context) error {
	h.pass.Lock()
	defer h.pass.Unlock()
	return h.slice.Once(ctx, h.handOutAll)
}

func (h *Hub) handOutAll(ctx context.Context, p projection.Pass) error {
	h.mu.Lock()
	if p.Reset || len(h.watchers) == 0 {
		// Nobody waits for what was before; those who wait for another generation have to list again.
		h.expel()
		h.serving, h.followed = p.Namespace, maps.Clone(p.Until)
		h.mu.Unlock()
		return nil
	}
	followed := maps.Clone(h.followed) // further than the pass where the one before broke off
	h.mu.Unlock()
	for partition, next := range p.Until {
		if next > followed[partition] {
			if err := h.partition(ctx, p, partition, followed[partition], next); err != nil {
				return err
			}
		}
	}
	return nil
}

func (h *Hub) partition(ctx context.Context, snap kv.Reader, partition int32, from, until int64) error {
	var filings []filing
	var changes []change
	err := eachChange(ctx, snap, partition, place{offset: from}, until, func(at place, c change) error {
		if !h.awaited(c) {
			return nil
		}
		r, err := load(ctx, snap, c)
		if err != nil {
			return err
		}
		filings, changes = append(filings, filing{partition: partition, at: at, row: r}), append(changes, c)
		return nil
	})
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, f := range filings {
		h.handOut(f, changes[i])
	}
	h.followed[partition] = until
	return nil
}

func load(ctx context.Context, snap kv.Reader, c change) (*row, error) {
	record, err := c.record(ctx, snap)
	if err != nil {
		return nil, err
	}
	return newRow(record, c.moment)
}

// awaited reports whether anybody waits for a change. Nobody joins during a pass.
func (h *Hub) awaited(c change) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.threads[c.thread]) > 0 {
		return true
	}
	for _, e := range c.endpoints {
		if len(h.endpoints[e]) > 0 {
			return true
		}
	}
	return false
}

// handOut queues a filing once for each watcher who waits for it.
func (h *Hub) handOut(f filing, c change) {
	for w := range h.threads[c.thread] {
		h.push(w, f, c)
	}
	for i, e := range c.endpoints {
		for w := range h.endpoints[e] {
			if !w.waitsAlsoFor(c, i) {
				h.push(w, f, c)
			}
		}
	}
}

// waitsAlsoFor reports whether the watcher got the filing for its thread, or for an endpoint before the i-th.
func (w *watcher) waitsAlsoFor(c change, i int) bool {
	return w.Threads[c.thread] != nil || slices.ContainsFunc(c.endpoints[:i], func(e event.ID) bool { return w.Endpoints[e] != nil })
}

func (h *Hub) push(w *watcher, f filing, c change) {
	if !w.selects(f.at, c) || !w.matches(f.row) {
		return
	}
	select {
	case w.queue <- f:
	default:
		h.remove(w)
	}
}

// selects reports whether a filing is news to the selection: it is its tenant's, at a time when it takes that, and it did not stand
// in one of its threads before it was filed under an endpoint.
func (s *Selection) selects(at place, c change) bool {
	if s.Tenant != c.tenant {
		return false
	}
	if s.Threads.hold(c.thread, c.moment.occurred) {
		return c.own(at)
	}
	return slices.ContainsFunc(c.endpoints, func(e event.ID) bool {
		return s.Endpoints.hold(e, c.moment.occurred) && !s.leavesOut(c.thread, e, c.moment.occurred)
	})
}

// join makes a watcher wait for everything that is applied from now on.
func (h *Hub) join(ctx context.Context, s Selection) (*watcher, error) {
	h.pass.Lock()
	defer h.pass.Unlock()
	if err := h.slice.Once(ctx, h.handOutAll); err != nil { // a cursor may be ahead of the last pass
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, ErrStopping
	}
	if len(h.watchers) >= maxWatchers {
		return nil, ErrTooManyWatchers
	}
	w := &watcher{Selection: s, queue: make(chan filing, queueLength), from: maps.Clone(h.followed), ns: h.serving}
	h.watchers[w] = struct{}{}
	for id := range s.Endpoints {
		add(h.endpoints, id, w)
	}
	for id := range s.Threads {
		add(h.threads, id, w)
	}
	return w, nil
}

// position gives what was followed, if the watcher has taken everything out of its queue and still waits.
func (h *Hub) position(w *watcher) (projection.Vector, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, waits := h.watchers[w]; !waits || len(w.queue) > 0 {
		return nil, false
	}
	return maps.Clone(h.followed), true
}

// leave makes a watcher wait no longer; a second call does nothing.
func (h *Hub) leave(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(w)
}

func (h *Hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.expel()
}

// expel sends every watcher back to join again.
func (h *Hub) expel() {
	for w := range h.watchers {
		h.remove(w)
	}
}

func (h *Hub) remove(w *watcher) {
	if _, waits := h.watchers[w]; !waits {
		return
	}
	delete(h.watchers, w)
	for id := range w.Endpoints {
		drop(h.endpoints, id, w)
	}
	for id := range w.Threads {
		drop(h.threads, id, w)
	}
	close(w.queue)
}

func add(index map[event.ID]map[*watcher]struct{}, id event.ID, w *watcher) {
	if index[id] == nil {
		index[id] = map[*watcher]struct{}{}
	}
	index[id][w] = struct{}{}
}

func drop(index map[event.ID]map[*watcher]struct{}, id event.ID, w *watcher) {
	delete(index[id], w)
	if len(index[id]) == 0 {
		delete(index, id)
	}
}
