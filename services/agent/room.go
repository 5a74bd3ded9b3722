package agent

import (
	"container/list"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent/state"
)

const (
	// afterFailure is how long a store is left alone that could not be read.
	afterFailure = 500 * time.Millisecond
	// tidyEvery is how often it is looked whether anybody still follows.
	tidyEvery = time.Minute
	// maxGone is how many agents are remembered who have gone. Who has not been told of those before begins again.
	maxGone = 1024
	// loadTogether is how many agents are read at once: a store may be a round trip away.
	loadTogether = 8
)

// room is the floor of a tenant. One goroutine keeps it. There is one list of agents, in order of when they changed last: a follower remembers
// how far it has got, and takes whatever is behind.
type room struct {
	*Floor
	tenant string
	epoch  uint64
	loaded chan struct{}

	users int // by the floor's lock, like left
	left  time.Time

	mu       sync.Mutex
	dirty    map[string]struct{} // ids of which statements changed
	again    bool                // all did
	applied  projection.Vector   // as far as dirty tells
	signal   chan struct{}       // that there is something of these
	book     *index
	rows     map[string]*row
	order    *list.List // of *row, the one that changed last at the end
	version  uint64
	gone     int
	dropped  uint64 // the last version of those that are not remembered
	agentsAt projection.Vector
	workAt   projection.Vector
	news     chan struct{} // closed when rows change
	progress chan struct{} // closed when anything does

	// What follows is the goroutine's.
	complete bool
	working  map[string]struct{}              // ids that have something in hand, before all is told
	workNext projection.Vector                // what was told of work
	threads  map[event.ID]map[string]struct{} // agents who have shares in a thread
	members  map[string]*member
	todo     todo
	states   map[string]*agentv1.AgentState // to be shown
	turned   bool                           // the directory is another one
	turn     int64                          // when the directory says something else next
	looked   int64                          // when it was looked at last
	due      int64                          // when a connector falls silent next
}

// row is the state of an agent, as followers see it.
type row struct {
	agent   string
	state   *agentv1.AgentState
	version uint64
	gone    bool
	element *list.Element
}

// member is what the state of an agent is made of.
type member struct {
	history  *state.History // without shares
	from     int64          // everything behind it is there
	shares   map[event.ID][]state.Share
	deadline int64
}

// todo is which agents have to be read anew or only to be computed again.
type todo struct {
	all                bool
	whole, facts, same map[string]struct{}
}

func newTodo() todo {
	return todo{whole: map[string]struct{}{}, facts: map[string]struct{}{}, same: map[string]struct{}{}}
}

func newRoom(f *Floor, tenant string) *room {
	return &room{
		Floor: f, tenant: tenant, epoch: rand.Uint64(), loaded: make(chan struct{}), //nolint:gosec // it is no secret
		dirty: map[string]struct{}{}, applied: projection.Vector{}, signal: make(chan struct{}, 1), rows: map[string]*row{}, order: list.New(),
		news: make(chan struct{}), progress: make(chan struct{}), left: time.Now(), working: map[string]struct{}{},
		threads: map[event.ID]map[string]struct{}{}, members: map[string]*member{}, todo: newTodo(),
		states: map[string]*agentv1.AgentState{}, turn: endOfTime, due: endOfTime,
	}
}

// changed tells of statements that were applied.
func (r *room) changed(ids map[string]struct{}, all bool, applied projection.Vector) {
	r.mu.Lock()
	maps.Copy(r.dirty, ids)
	r.again = r.again || all
	r.applied = applied
	r.mu.Unlock()
	select {
	case r.signal <- struct{}{}:
	default:
	}
}

// told is a part of the list.
type told struct {
	rows           []*row // copies, in order of their versions
	version        uint64
	agents, work   projection.Vector
	news, progress <-chan struct{}
	book           *index
}

// since gives the rows behind a version. Vectors are shared: read only.
func (r *room) since(version uint64) told {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := told{version: r.version, agents: r.agentsAt, work: r.workAt, news: r.news, progress: r.progress, book: r.book}
	for e := r.order.Back(); e != nil; e = e.Prev() {
		x, _ := e.Value.(*row)
		if x.version <= version {
			break
		}
		copied := *x
		t.rows = append(t.rows, &copied)
	}
	slices.Reverse(t.rows)
	return t
}

// remembers tells whether whoever was told a version can go on from there.
func (r *room) remembers(epoch, version uint64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return epoch == r.epoch && r.dropped <= version && version <= r.version
}

// run keeps the floor until ctx ends or nobody has followed it for a while.
func (r *room) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(kv.Job(ctx))
	var helpers sync.WaitGroup
	defer helpers.Wait()
	defer cancel()
	work := make(chan WorkNews)
	helpers.Go(func() { r.followWork(ctx, work) })
	tidy := time.NewTicker(tidyEvery)
	defer tidy.Stop()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		books := r.agents.books.Changed()
		pause := time.Duration(endOfTime)
		if err := r.catchUp(ctx); err != nil && ctx.Err() == nil {
			r.logger.ErrorContext(ctx, "cannot read the states of agents, trying again", "tenant", r.tenant, "in", afterFailure, "error", err)
			pause = afterFailure
		} else if r.complete {
			pause = time.Duration(min(r.due, r.turn) - r.agents.now().UnixNano())
		}
		timer.Reset(max(pause, 0))
		select {
		case <-ctx.Done():
			return
		case <-books:
		case <-timer.C:
		case <-r.signal:
		case n := <-work:
			r.hear(n)
		case <-tidy.C:
			if r.forget(r) {
				return
			}
		}
	}
}

// followWork hands on what becomes of work.
func (r *room) followWork(ctx context.Context, work chan<- WorkNews) {
	for ctx.Err() == nil {
		err := r.agents.work.FollowWork(ctx, r.tenant, func(n WorkNews) error {
			select {
			case work <- n:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		if ctx.Err() != nil {
			return
		}
		r.logger.ErrorContext(ctx, "cannot follow work, trying again", "tenant", r.tenant, "in", afterFailure, "error", err)
		select {
		case <-time.After(afterFailure):
		case <-ctx.Done():
		}
	}
}

// hear notes what became of work.
func (r *room) hear(n WorkNews) {
	if n.Reset {
		r.complete = false
		clear(r.working)
	}
	r.workNext = n.At
	if r.complete && !r.todo.all {
		for _, t := range n.Threads {
			r.thread(t)
		}
		return
	}
	for _, t := range n.Threads {
		for _, i := range t.Interactions {
			for _, a := range i.GetAssignments() {
				r.working[a.GetAgent()] = struct{}{}
			}
		}
	}
	if n.Complete {
		r.complete, r.todo.all = true, true
	}
}

// thread takes the shares of a thread as they are now.
func (r *room) thread(t ThreadWork) {
	for agent := range r.threads[t.Thread] {
		delete(r.members[agent].shares, t.Thread)
		r.todo.same[agent] = struct{}{}
	}
	delete(r.threads, t.Thread)
	for _, i := range t.Interactions {
		for _, a := range i.GetAssignments() {
			s := state.Share{Interaction: i, Assignment: a}
			if _, begun := s.Begin(); !begun {
				continue
			}
			agent := s.Owner(r.book.Book)
			if r.members[agent] == nil {
				r.todo.whole[agent] = struct{}{}
				continue
			}
			r.put(agent, t.Thread, s)
			r.todo.same[agent] = struct{}{}
		}
	}
}

// put adds a share of a thread to an agent's. What does not matter of the interaction is let go.
func (r *room) put(agent string, thread event.ID, s state.Share) {
	i := &conversationv1.Interaction{
		Id: s.Interaction.GetId(), ThreadId: s.GetThreadId(), Channel: s.GetChannel(), Provider: s.GetProvider(), Inbox: s.GetInbox(),
		Direction: s.GetDirection(), Position: s.GetPosition(),
	}
	for _, p := range s.GetParticipants() {
		if p.GetRole() == eventv1.PartyRole_PARTY_ROLE_SUPERVISOR {
			i.Participants = append(i.Participants, p)
		}
	}
	m := r.members[agent]
	m.shares[thread] = append(m.shares[thread], state.Share{Interaction: i, Assignment: s.Assignment})
	if r.threads[thread] == nil {
		r.threads[thread] = map[string]struct{}{}
	}
	r.threads[thread][agent] = struct{}{}
}

// take drops a thread of an agent's.
func (r *room) take(agent string, thread event.ID) {
	delete(r.members[agent].shares, thread)
	if delete(r.threads[thread], agent); len(r.threads[thread]) == 0 {
		delete(r.threads, thread)
	}
}

// catchUp makes the states what they are by now.
func (r *room) catchUp(ctx context.Context) error {
	if !r.complete {
		return nil
	}
	r.mu.Lock()
	dirty, again, applied := r.dirty, r.again, r.applied
	r.dirty, r.again = map[string]struct{}{}, false
	r.mu.Unlock()
	v, err := r.agents.view(ctx, r.tenant)
	if err == nil {
		defer v.close()
		r.todo.all = r.todo.all || again
		for id := range dirty {
			for _, agent := range v.book.concerned(id) {
				r.todo.facts[agent] = struct{}{}
			}
		}
		now := r.agents.now().UnixNano()
		r.turnPage(v.book, now)
		r.silence(now)
		if err = r.bring(ctx, v, now); err == nil {
			r.show(v, applied)
		}
	}
	if err != nil {
		r.mu.Lock()
		defer r.mu.Unlock()
		maps.Copy(r.dirty, dirty)
		r.again = r.again || again
		return err
	}
	return nil
}

// turnPage notes whom the directory concerns that says something else than before.
func (r *room) turnPage(book *index, now int64) {
	before := r.book
	r.mu.Lock()
	r.book = book
	r.mu.Unlock()
	if before == book && now < r.turn {
		return
	}
	r.turned = true
	if before != nil {
		for _, agent := range differing(before.Book, book.Book, directory.Agent, r.looked, now) {
			for _, x := range []*index{before, book} {
				for _, id := range x.ids(agent) {
					for _, who := range x.concerned(id) {
						r.todo.whole[who] = struct{}{}
					}
				}
			}
		}
		if len(differing(before.Book, book.Book, directory.Queue, r.looked, now)) > 0 {
			for agent := range r.members {
				r.todo.same[agent] = struct{}{}
			}
		}
	}
	r.looked, r.turn = now, endOfTime
	for _, kind := range []string{directory.Agent, directory.Queue} {
		for id := range book.Entries(kind) {
			for _, v := range book.Versions(kind, id) {
				if v.From > now {
					r.turn = min(r.turn, v.From)
				}
			}
		}
	}
}

// differing gives the entries of a kind that two books do not say the same of, or of which another version holds since a moment.
func differing(a, b *directory.Book, kind string, since, now int64) []string {
	ids := map[string]struct{}{}
	for _, book := range []*directory.Book{a, b} {
		for id := range book.Entries(kind) {
			ids[id] = struct{}{}
		}
	}
	var all []string
	for id := range ids {
		was, is := a.Versions(kind, id), b.Versions(kind, id)
		turned := slices.ContainsFunc(is, func(v directory.Version) bool { return since < v.From && v.From <= now })
		if turned || !slices.EqualFunc(was, is, func(x, y directory.Version) bool {
			return x.From == y.From && (x.Stated == y.Stated || proto.Equal(x.Stated, y.Stated))
		}) {
			all = append(all, id)
		}
	}
	return all
}

// silence notes of which agents a connector has fallen silent by now.
func (r *room) silence(now int64) {
	if now < r.due {
		return
	}
	r.due = endOfTime
	for agent, m := range r.members {
		if m.deadline <= now {
			r.todo.same[agent] = struct{}{}
			m.deadline = endOfTime
		}
		r.due = min(r.due, m.deadline)
	}
}

// bring reads what has to be read, and computes the states.
func (r *room) bring(ctx context.Context, v *view, now int64) error {
	if r.todo.all {
		if err := r.everybody(ctx, v); err != nil {
			return err
		}
	}
	for agent := range r.todo.facts {
		m := r.members[agent]
		if m == nil {
			r.todo.whole[agent] = struct{}{}
			continue
		}
		h, from, err := v.presentFacts(ctx, agent, now)
		if err != nil {
			return err
		}
		if from < m.from {
			r.todo.whole[agent] = struct{}{}
			continue
		}
		m.history, m.from = h, from
		r.todo.same[agent] = struct{}{}
	}
	for agent := range r.todo.same {
		if _, whole := r.todo.whole[agent]; whole || r.members[agent] == nil {
			continue
		}
		out, ok := r.compute(v, agent, now)
		if !ok {
			r.todo.whole[agent] = struct{}{}
			continue
		}
		r.states[agent] = out
	}
	if err := r.load(ctx, v, now); err != nil {
		return err
	}
	for agent := range r.todo.whole {
		r.states[agent], _ = r.compute(v, agent, now)
	}
	return nil
}

// everybody notes all agents who may be known.
func (r *room) everybody(ctx context.Context, v *view) error {
	for agent := range v.book.Entries(directory.Agent) {
		r.todo.whole[agent] = struct{}{}
	}
	for agent := range r.members {
		r.todo.whole[agent] = struct{}{}
	}
	note := func(id string) {
		for _, agent := range v.book.concerned(id) {
			r.todo.whole[agent] = struct{}{}
		}
	}
	for id := range r.working {
		note(id)
	}
	return v.ids(ctx, note)
}

// load reads agents as a whole.
func (r *room) load(ctx context.Context, v *view, now int64) error {
	var mu sync.Mutex
	read := map[string]*member{}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(loadTogether)
	for agent := range r.todo.whole {
		group.Go(func() error {
			h, from, err := v.presentFacts(ctx, agent, now)
			if err == nil {
				err = v.addShares(ctx, h, from, endOfTime)
			}
			if err != nil {
				return fmt.Errorf("agent: read the state of %q: %w", agent, err)
			}
			mu.Lock()
			defer mu.Unlock()
			read[agent] = &member{history: h, from: from, deadline: endOfTime}
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	for agent, m := range read {
		if before := r.members[agent]; before != nil {
			for thread := range before.shares {
				r.take(agent, thread)
			}
		}
		shares := m.history.Shares
		m.history.Shares, m.shares = nil, map[event.ID][]state.Share{}
		r.members[agent] = m
		for _, s := range shares {
			thread, err := event.ParseID(s.GetThreadId())
			if err != nil {
				return fmt.Errorf("agent: read a share of %q: %w", agent, err)
			}
			r.put(agent, thread, s)
		}
	}
	return nil
}

// compute gives the state of a member, nil where nothing is known, and lets go of what does not matter any more. It reports whether all that it
// takes was there.
func (r *room) compute(v *view, agent string, now int64) (*agentv1.AgentState, bool) {
	m := r.members[agent]
	h := *m.history
	h.Book, h.Shares = v.book.Book, nil
	for _, thread := range slices.SortedFunc(maps.Keys(m.shares), func(a, b event.ID) int { return slices.Compare(a[:], b[:]) }) {
		h.Shares = append(h.Shares, m.shares[thread]...)
	}
	from := h.PresentWindow(now)
	if from < m.from {
		return nil, false
	}
	m.from = from
	out := h.Present(now)
	out.Positions = v.positions(agent, &h, out)
	for thread, shares := range m.shares {
		if !slices.ContainsFunc(shares, func(s state.Share) bool { return matters(s, from, out) }) {
			r.take(agent, thread)
		}
	}
	m.deadline = endOfTime
	if deadline, ok := h.Deadline(now); ok {
		m.deadline = deadline
		r.due = min(r.due, deadline)
	}
	for _, c := range out.GetContacts() {
		if until := c.GetSince().AsTime().UnixNano() + state.Lookback + 1; fleeting(c) {
			m.deadline = min(m.deadline, until)
			r.due = min(r.due, until)
		}
	}
	if len(h.Connectors) == 0 && len(out.GetContacts()) == 0 && v.book.At(directory.Agent, agent, now) == nil {
		if len(m.shares) == 0 {
			delete(r.members, agent)
		}
		return nil, true
	}
	return out, true
}

// fleeting tells whether a contact shows for a while only, though nothing happens.
func fleeting(c *agentv1.Contact) bool {
	return c.GetState() == agentv1.ContactState_CONTACT_STATE_MISSED || c.GetState() == agentv1.ContactState_CONTACT_STATE_REJECTED ||
		c.GetState() == agentv1.ContactState_CONTACT_STATE_ERROR
}

// matters tells whether a share goes on, was a contact since a moment, or still shows.
func matters(s state.Share, from int64, out *agentv1.AgentState) bool {
	at, settled := s.Settled()
	return !settled || at >= from ||
		slices.ContainsFunc(out.GetContacts(), func(c *agentv1.Contact) bool { return c.GetAssignmentId() == s.Assignment.GetId() })
}

// show puts states that are others than before to the end of the list.
func (r *room) show(v *view, applied projection.Vector) {
	r.mu.Lock()
	defer r.mu.Unlock()
	anew := false
	for _, agent := range slices.Sorted(maps.Keys(r.states)) {
		anew = r.set(agent, r.states[agent]) || anew
	}
	agentsAt := v.applied // which holds more than was told of, so that more may have changed
	if !r.todo.all {
		agentsAt = maps.Clone(r.agentsAt)
		for p, next := range applied {
			agentsAt[p] = max(agentsAt[p], next)
		}
	}
	turned := r.turned
	moved := !maps.Equal(r.agentsAt, agentsAt) || !maps.Equal(r.workAt, r.workNext)
	r.agentsAt, r.workAt = agentsAt, r.workNext
	r.todo, r.states = newTodo(), map[string]*agentv1.AgentState{}
	select {
	case <-r.loaded:
	default:
		close(r.loaded)
	}
	if anew || r.turned {
		r.turned = false
		close(r.news)
		r.news = make(chan struct{})
	}
	if anew || moved || turned {
		close(r.progress)
		r.progress = make(chan struct{})
	}
}

// set sets the state of an agent, nil for none, and reports whether that is news.
func (r *room) set(agent string, out *agentv1.AgentState) bool {
	x := r.rows[agent]
	if x == nil && out == nil || x != nil && x.gone && out == nil {
		return false
	}
	if x == nil {
		x = &row{agent: agent}
		x.element = r.order.PushBack(x)
		r.rows[agent] = x
	} else if out != nil && !x.gone && equal(x.state, out) {
		x.state = out
		return false
	}
	if x.gone {
		r.gone--
	}
	if x.gone = out == nil; x.gone {
		r.gone++
	}
	r.version++
	x.state, x.version = out, r.version
	r.order.MoveToBack(x.element)
	for e := r.order.Front(); r.gone > maxGone && e != nil; {
		old, _ := e.Value.(*row)
		next := e.Next()
		if old.gone {
			r.order.Remove(e)
			delete(r.rows, old.agent)
			r.dropped = old.version
			r.gone--
		}
		e = next
	}
	return true
}

// equal tells whether states differ by nothing that is news: not by when they were computed, of what, and how long somebody is alive.
func equal(a, b *agentv1.AgentState) bool {
	if !sameSince(a, b) {
		return false
	}
	return proto.Equal(essence(a), essence(b))
}

// sameSince takes what has been so for as long as it is followed back as the same.
func sameSince(a, b *agentv1.AgentState) bool {
	long := func(s *agentv1.AgentState) bool {
		return s.GetRoutingStatusSince() != nil && s.GetAt().AsTime().Sub(s.GetRoutingStatusSince().AsTime()) == time.Duration(state.Lookback)
	}
	return proto.Equal(a.GetRoutingStatusSince(), b.GetRoutingStatusSince()) || long(a) && long(b)
}

func essence(s *agentv1.AgentState) *agentv1.AgentState {
	s = proto.CloneOf(s)
	s.At, s.Positions, s.RoutingStatusSince = nil, nil, nil
	for _, p := range append([]*agentv1.Presence{s.GetPresence()}, s.GetConnectors()...) {
		p.AliveUntil = nil
	}
	return s
}
