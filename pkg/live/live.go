// Package live carries what is worthless after seconds, that somebody is typing, between the processes that serve agents, bots and
// visitors. It goes through a topic of its own, whose records are deleted after a minute: it is no part of the log of truth, nothing is
// folded from it, and what got lost is not looked for. See docs/adr/0020-typing.md.
package live

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

const (
	// Topic is where signals go, by thread id.
	Topic = "skein.live.v1"
	// Partitions of the topic. Every process reads all of it, so that more would only be more to follow.
	Partitions = 1
	// Retention is how long signals are kept, at least.
	Retention = time.Minute
	// Fades is how long somebody who signals to type counts as typing, without signalling so again.
	Fades = 7 * time.Second
	// Every is how often the same is published of one actor in one thread, at most.
	Every = 2 * time.Second
)

const (
	// waiting is how many signals may wait to be appended, and how many are read at once.
	waiting = 1024
	// followerQueue is how many signals wait for a follower before it misses some.
	followerQueue = 64
	// maxFollowers of one process.
	maxFollowers = 20_000
	// afterFailure is how long the topic is left alone that could not be read.
	afterFailure = 500 * time.Millisecond
)

var (
	// ErrTooManyFollowers means that this process has as many followers as it takes.
	ErrTooManyFollowers = errors.New("live: too many followers on this process: try another one, or later")
	// ErrStopping means that this process is about to end: follow on another one.
	ErrStopping = errors.New("live: this process is stopping")
)

// Config says what a Hub works on.
type Config struct {
	// Log holds the topic.
	Log Log
	// Registerer takes the metrics; it may be nil.
	Registerer prometheus.Registerer
	// Logger may be nil.
	Logger *slog.Logger
}

// Log is what a Hub needs of a log.
type Log interface {
	eventlog.Appender
	Bounds(ctx context.Context, topic string, partition int32) (first, next int64, err error)
	Open(ctx context.Context, topic string, partition int32, offset int64) (eventlog.Reader, error)
}

// Hub publishes signals, and follows the topic once for all followers of a process. It is safe for concurrent use.
type Hub struct {
	log     Log
	logger  *slog.Logger
	metrics *metrics
	queue   chan *livev1.Signal
	next    int64 // where Run begins

	mu        sync.Mutex
	stopped   bool
	followers map[*Follower]struct{}
	byThread  map[place]map[*Follower]struct{}
	byInbox   map[place]map[*Follower]struct{}
	pace      pace
}

// place is a thread or an inbox of a tenant.
type place struct{ tenant, name string }

// NewHub makes a hub. Open and Run make it follow.
func NewHub(cfg Config) (*Hub, error) {
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return &Hub{
		log: cfg.Log, logger: cfg.Logger, metrics: m, queue: make(chan *livev1.Signal, waiting),
		followers: map[*Follower]struct{}{}, byThread: map[place]map[*Follower]struct{}{}, byInbox: map[place]map[*Follower]struct{}{},
	}, nil
}

// Open finds the end of the topic: what is published from now on comes to the followers.
func (h *Hub) Open(ctx context.Context) error {
	_, next, err := h.log.Bounds(ctx, Topic, 0)
	if err != nil {
		return fmt.Errorf("live: %w", err)
	}
	h.next = next
	return nil
}

// Run publishes and follows until ctx ends; then it lets the followers go. Where the topic cannot be read, it goes on at its end as
// soon as it can.
func (h *Hub) Run(ctx context.Context) error {
	var g sync.WaitGroup
	g.Go(func() { h.publish(ctx) })
	g.Go(func() { h.follow(ctx) })
	<-ctx.Done()
	h.stop()
	g.Wait()
	return nil
}

// Publish signals something, now. It never waits: what comes too often, or cannot be published, is counted and left out. The signal is
// the hub's from then on.
func (h *Hub) Publish(s *livev1.Signal) {
	now := time.Now()
	h.mu.Lock()
	fresh := h.pace.allow(s, now)
	h.mu.Unlock()
	if !fresh {
		h.metrics.limited.Inc()
		return
	}
	s.At = timestamppb.New(now)
	select {
	case h.queue <- s:
	default:
		h.metrics.dropped.Inc()
	}
}

// publish hands signals to the log, which may let it wait.
func (h *Hub) publish(ctx context.Context) {
	for {
		var s *livev1.Signal
		select {
		case <-ctx.Done():
			return
		case s = <-h.queue:
		}
		if time.Since(s.GetAt().AsTime()) > Fades { // the log did not answer meanwhile
			h.metrics.dropped.Inc()
			continue
		}
		value, err := proto.Marshal(s)
		if err == nil {
			err = h.log.Append(ctx, eventlog.Message{Topic: Topic, Key: []byte(s.GetThreadId()), Value: value}, func(_ eventlog.Position, err error) {
				if err != nil {
					h.metrics.failed.Inc()
				} else {
					h.metrics.published.Inc()
				}
			})
		}
		if err != nil {
			h.metrics.failed.Inc()
		}
	}
}

// follow reads the topic, from its end whenever it could not.
func (h *Hub) follow(ctx context.Context) {
	for {
		err := h.read(ctx)
		if ctx.Err() != nil {
			return
		}
		h.logger.WarnContext(ctx, "signals of typing cannot be read, going on at their end", "in", afterFailure, "error", err)
		for err != nil {
			select {
			case <-ctx.Done():
				return
			case <-time.After(afterFailure):
			}
			err = h.Open(ctx)
		}
	}
}

func (h *Hub) read(ctx context.Context) error {
	reader, err := h.log.Open(ctx, Topic, 0, h.next)
	if err != nil {
		return err
	}
	defer func() { _ = reader.Close() }() // nothing is written
	for {
		records, err := reader.Read(ctx, waiting)
		if err != nil {
			return err
		}
		for _, r := range records {
			s := &livev1.Signal{}
			if err := proto.Unmarshal(r.Value, s); err != nil {
				h.metrics.unreadable.Inc()
				continue
			}
			h.handOut(s)
		}
	}
}

// handOut gives a signal to those who follow its thread or inbox. Who does not take it in time misses it.
func (h *Hub) handOut(s *livev1.Signal) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, all := range []map[*Follower]struct{}{h.byThread[place{s.GetTenant(), s.GetThreadId()}], h.byInbox[place{s.GetTenant(), s.GetInbox()}]} {
		for f := range all {
			select {
			case f.queue <- s:
			default:
				h.metrics.missed.Inc()
			}
		}
	}
}

func (h *Hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	for f := range h.followers {
		h.remove(f)
	}
}

// Selection is what a follower hears of.
type Selection struct {
	// Tenant whose threads they are.
	Tenant string
	// Threads, or none.
	Threads []event.ID
	// Inbox of which all threads are followed; empty for none.
	Inbox string
}

// Follower is one who follows.
type Follower struct {
	hub *Hub
	Selection
	queue chan *livev1.Signal
}

// Follow follows what is published from now on. Call Close at the end. ErrTooManyFollowers and ErrStopping tell that another
// process may let in.
func (h *Hub) Follow(sel Selection) (*Follower, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.stopped:
		return nil, ErrStopping
	case len(h.followers) >= maxFollowers:
		return nil, ErrTooManyFollowers
	}
	f := &Follower{hub: h, Selection: sel, queue: make(chan *livev1.Signal, followerQueue)}
	h.followers[f] = struct{}{}
	f.each(func(index map[place]map[*Follower]struct{}, p place) {
		if index[p] == nil {
			index[p] = map[*Follower]struct{}{}
		}
		index[p][f] = struct{}{}
	})
	return f, nil
}

// Signals are those that are published. They are shared by all followers: do not change them. The channel is closed when the process
// is stopping, or by Close.
func (f *Follower) Signals() <-chan *livev1.Signal { return f.queue }

// Close ends following. A second call does nothing.
func (f *Follower) Close() {
	f.hub.mu.Lock()
	defer f.hub.mu.Unlock()
	f.hub.remove(f)
}

func (h *Hub) remove(f *Follower) {
	if _, ok := h.followers[f]; !ok {
		return
	}
	delete(h.followers, f)
	f.each(func(index map[place]map[*Follower]struct{}, p place) {
		if delete(index[p], f); len(index[p]) == 0 {
			delete(index, p)
		}
	})
	close(f.queue)
}

// each calls do for every place where the follower stands.
func (f *Follower) each(do func(index map[place]map[*Follower]struct{}, p place)) {
	for _, t := range f.Threads {
		do(f.hub.byThread, place{f.Tenant, t.String()})
	}
	if f.Inbox != "" {
		do(f.hub.byInbox, place{f.Tenant, f.Inbox})
	}
}
