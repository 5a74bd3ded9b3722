package board_test

import (
	"context"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/board"
)

const (
	tenant     = "acme"
	partitions = 2
)

func caller() context.Context {
	return auth.With(context.Background(), auth.Identity{Tenant: tenant})
}

func idOf(n int) (id event.ID) {
	binary.BigEndian.PutUint64(id[8:], uint64(n+1))
	return id
}

func stamp(t time.Time) *timestamppb.Timestamp { return timestamppb.New(t) }

// world is all that a board is fed with: the directory, threads and agents' states of one tenant, kept in memory.
type world struct {
	mu       sync.Mutex
	entries  map[string]map[string][]directory.Version
	book     *directory.Book
	another  chan struct{}
	threads  map[event.ID][]*conversationv1.Interaction
	states   map[string]*agentv1.AgentState
	work     map[*feed[board.WorkNews]]struct{}
	agents   map[*feed[board.AgentNews]]struct{}
	worked   int64 // offset behind what is in threads
	stated   int64
	chunk    int // threads or states of one piece of news
	hold     chan struct{}
	fails    int // how many loads fail
	visiting int // how many loads there were
}

// feed is news that wait for one who follows.
type feed[T any] struct {
	news []T
	wake chan struct{}
}

func (f *feed[T]) push(n T) {
	f.news = append(f.news, n)
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

func newWorld() *world {
	w := &world{
		entries: map[string]map[string][]directory.Version{}, another: make(chan struct{}), threads: map[event.ID][]*conversationv1.Interaction{},
		states: map[string]*agentv1.AgentState{}, work: map[*feed[board.WorkNews]]struct{}{}, agents: map[*feed[board.AgentNews]]struct{}{}, chunk: 3,
	}
	w.book = directory.NewBook(nil)
	return w
}

func (w *world) server(t rapid.TB, more ...func(*board.Config)) *board.Server {
	cfg := board.Config{Books: w, Agents: w, Work: w, InteractionPartitions: partitions, AgentPartitions: partitions}
	for _, m := range more {
		m(&cfg)
	}
	s, err := board.NewServer(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// running calls do while a server runs.
func (w *world) running(t rapid.TB, do func(s *board.Server), more ...func(*board.Config)) {
	s := w.server(t, more...)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- s.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	do(s)
}

func (w *world) Book(context.Context, string) (*directory.Book, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.book, nil
}

func (w *world) Changed() <-chan struct{} {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.another
}

// put states an entry from a moment on.
func (w *world) put(from time.Time, e *eventv1.DirectoryUpdated) {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := map[string]map[string][]directory.Version{}
	for kind, of := range w.entries {
		all[kind] = maps.Clone(of)
	}
	if all[e.GetKind()] == nil {
		all[e.GetKind()] = map[string][]directory.Version{}
	}
	at := from.UnixNano()
	versions := slices.DeleteFunc(slices.Clone(all[e.GetKind()][e.GetId()]), func(v directory.Version) bool { return v.From == at })
	versions = append(versions, directory.Version{From: at, Stated: e})
	slices.SortFunc(versions, func(x, y directory.Version) int { return int(x.From - y.From) })
	all[e.GetKind()][e.GetId()] = versions
	w.entries, w.book = all, directory.NewBook(all)
	close(w.another)
	w.another = make(chan struct{})
}

func (w *world) vector() projection.Vector { return projection.Vector{1: w.worked} }

// open tells whether a thread has open work.
func open(all []*conversationv1.Interaction) bool {
	return slices.ContainsFunc(all, func(i *conversationv1.Interaction) bool {
		return i.GetState() == conversationv1.InteractionState_INTERACTION_STATE_ACTIVE
	})
}

func (w *world) workAnew() (all []board.WorkNews) {
	n := board.WorkNews{Reset: true, At: w.vector()}
	for thread, is := range w.threads {
		if !open(is) {
			continue
		}
		if n.Threads = append(n.Threads, board.ThreadWork{Thread: thread, Interactions: is}); len(n.Threads) >= w.chunk {
			all, n = append(all, n), board.WorkNews{At: w.vector()}
		}
	}
	n.Complete = true
	return append(all, n)
}

func (w *world) agentsAnew() (all []board.AgentNews) {
	n := board.AgentNews{Reset: true, Agents: projection.Vector{0: w.stated}, Work: w.vector()}
	for _, s := range w.states {
		if n.States = append(n.States, s); len(n.States) >= w.chunk {
			all, n = append(all, n), board.AgentNews{Agents: n.Agents, Work: n.Work}
		}
	}
	n.Complete = true
	return append(all, n)
}

var errCut = errors.New("cut off")

func follow[T any](ctx context.Context, w *world, feeds map[*feed[T]]struct{}, anew func() []T, yield func(T) error) error {
	f := &feed[T]{wake: make(chan struct{}, 1)}
	w.mu.Lock()
	feeds[f] = struct{}{}
	f.news = anew()
	w.mu.Unlock()
	for {
		w.mu.Lock()
		_, on := feeds[f]
		news := f.news
		f.news = nil
		w.mu.Unlock()
		for _, n := range news {
			if err := yield(n); err != nil {
				return err
			}
		}
		if !on {
			return errCut
		}
		if len(news) > 0 {
			continue
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.wake:
		}
	}
}

func (w *world) FollowWork(ctx context.Context, _ string, yield func(board.WorkNews) error) error {
	return follow(ctx, w, w.work, w.workAnew, yield)
}

func (w *world) Follow(ctx context.Context, _ string, yield func(board.AgentNews) error) error {
	return follow(ctx, w, w.agents, w.agentsAnew, yield)
}

func (w *world) Queues(_ context.Context, _ string, yield func(string) bool) error {
	w.mu.Lock()
	w.visiting++
	names, hold := map[string]struct{}{}, w.hold
	w.eachVisit(func(_ event.ID, _ *conversationv1.Interaction, v *conversationv1.QueueVisit) {
		names[v.GetQueue()] = struct{}{}
	})
	if w.fails--; w.fails >= 0 {
		w.mu.Unlock()
		return errCut
	}
	w.mu.Unlock()
	for name := range names {
		if !yield(name) {
			break
		}
	}
	if hold != nil {
		<-hold
	}
	return nil
}

func (w *world) eachVisit(do func(thread event.ID, i *conversationv1.Interaction, v *conversationv1.QueueVisit)) {
	for thread, is := range w.threads {
		for _, i := range is {
			for _, v := range i.GetVisits() {
				do(thread, i, v)
			}
		}
	}
}

func (w *world) Visits(_ context.Context, _, queue string, from, until time.Time, yield func(board.Visit) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.eachVisit(func(thread event.ID, i *conversationv1.Interaction, v *conversationv1.QueueVisit) {
		entered := v.GetEnteredAt().AsTime()
		if v.GetQueue() != queue || entered.Before(from) || !entered.Before(until) {
			return
		}
		id, _ := event.ParseID(v.GetId())
		interaction, _ := event.ParseID(i.GetId())
		stored := board.Visit{
			ID: id, Thread: thread, Interaction: interaction, Provider: i.GetProvider(), Backfill: measuredNot(i, v), Entered: entered.UnixNano(),
			Outcome: v.GetOutcome(), SLATarget: v.GetSlaTarget().AsDuration(),
		}
		if v.GetLeftAt() != nil {
			stored.Left = v.GetLeftAt().AsTime().UnixNano()
		}
		stored.Handled, stored.HandleTime = handled(i, v)
		yield(stored)
	})
	return nil
}

// set makes a thread what it is now, and tells it.
func (w *world) set(thread event.ID, is ...*conversationv1.Interaction) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.threads[thread] = is
	w.worked++
	for f := range w.work {
		f.push(board.WorkNews{Threads: []board.ThreadWork{{Thread: thread, Interactions: is}}, At: w.vector()})
	}
	for f := range w.agents {
		f.push(board.AgentNews{Agents: projection.Vector{0: w.stated}, Work: w.vector()})
	}
}

// state makes an agent's state what it is now, and tells it; nil where there is none any more.
func (w *world) state(id string, s *agentv1.AgentState) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stated++
	n := board.AgentNews{Agents: projection.Vector{0: w.stated}, Work: w.vector()}
	if s == nil {
		delete(w.states, id)
		n.Gone = []string{id}
	} else {
		s.AgentId = id
		w.states[id] = s
		n.States = []*agentv1.AgentState{s}
	}
	for f := range w.agents {
		f.push(n)
	}
}

// anew makes those who follow begin anew: cut off, or told everything again.
func (w *world) anew(cut bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for f := range w.work {
		f.push(board.WorkNews{At: w.vector()})
		if cut {
			delete(w.work, f)
		} else {
			f.news = append(f.news, w.workAnew()...)
		}
	}
	for f := range w.agents {
		f.push(board.AgentNews{Agents: projection.Vector{0: w.stated}, Work: w.vector()})
		if cut {
			delete(w.agents, f)
		} else {
			f.news = append(f.news, w.agentsAnew()...)
		}
	}
}

func get(t rapid.TB, s *board.Server, req *boardv1.GetRequest) *boardv1.Rows {
	resp, err := s.Get(caller(), req)
	if err != nil {
		t.Fatal(err)
	}
	return received(t, resp).GetRows()
}

// received is a message as a client gets it.
func received[M proto.Message](t rapid.TB, m M) M {
	b, err := proto.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	got, _ := m.ProtoReflect().New().Interface().(M)
	if err := proto.Unmarshal(b, got); err != nil {
		t.Fatal(err)
	}
	return got
}

// client watches, applies what it is told, and can be cut off and go on.
type client struct {
	grpc.ServerStream
	t      rapid.TB
	server *board.Server
	req    *boardv1.WatchRequest

	mu       sync.Mutex
	ctx      context.Context
	cancel   context.CancelFunc
	ended    chan error
	cut      int // after how many messages it is cut off; 0 for never
	messages int
	resets   int
	complete bool
	largest  int
	rows     map[string]proto.Message // by kind and id
	sentAt   []time.Time
}

func watching(t rapid.TB, s *board.Server, req *boardv1.WatchRequest) *client {
	c := &client{t: t, server: s, req: req, rows: map[string]proto.Message{}}
	c.connect(0)
	return c
}

func (c *client) connect(cut int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ctx, c.cancel = context.WithCancel(caller())
	c.ended, c.cut, c.messages = make(chan error, 1), cut, 0
	go func(req *boardv1.WatchRequest, ended chan error) { ended <- c.server.Watch(req, c) }(proto.CloneOf(c.req), c.ended)
}

func (c *client) disconnect() error {
	c.cancel()
	return <-c.ended
}

func (c *client) Context() context.Context { return c.ctx }

func (c *client) Send(m *boardv1.WatchResponse) error {
	m = received(c.t, m)
	c.mu.Lock()
	defer c.mu.Unlock()
	if m.GetReset_() {
		clear(c.rows)
		c.resets++
		c.complete = false
	}
	for k := range keyed(m.GetRemoved()) {
		delete(c.rows, k)
	}
	maps.Copy(c.rows, keyed(m.GetRows()))
	c.complete = c.complete || m.GetComplete()
	c.req.Cursor = m.GetCursor()
	c.largest = max(c.largest, proto.Size(m))
	c.sentAt = append(c.sentAt, time.Now())
	if c.messages++; c.messages == c.cut {
		c.cancel()
		return c.ctx.Err()
	}
	return nil
}

func (c *client) knows() map[string]proto.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.rows)
}

func keyed(rows *boardv1.Rows) map[string]proto.Message {
	all := map[string]proto.Message{}
	for _, q := range rows.GetQueues() {
		all["queue "+q.GetQueue()] = q
	}
	for _, t := range rows.GetTeams() {
		all["team "+t.GetTeam()] = t
	}
	for _, a := range rows.GetAgents() {
		all["agent "+a.GetAgentId()] = a
	}
	return all
}
