package board

import (
	"slices"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// graveFor is how long it is remembered that a row was removed.
const graveFor = 10 * time.Minute

// state is the board of a tenant as it is now.
type state struct {
	// changed tells of rows, applied of vectors and of when it is complete.
	changed, applied projection.Progress

	mu      sync.Mutex
	rows    rows
	book    *directory.Book
	booked  bool // a book was taken over
	zones   map[string]*time.Location
	oldest  int64 // first quarter of an hour that is counted
	queues  map[string]*queue
	teams   map[string]*team
	agents  map[string]*agent
	sources map[source]*source
	threads map[event.ID][]*visit
	takers  map[string][]*queue // those that a team takes from, by its id

	// What is told anew: nothing that is there counts as contained until it is complete.
	agentsAnew, workAnew bool
	told                 map[event.ID]struct{} // threads, while work is told anew
	round                int                   // how often it was

	byAgents, agentsWork, byWork projection.Vector // what is contained
	workAt                       projection.Vector // what is told
	hasAgents, hasWork           bool
}

func newState() *state {
	return &state{
		zones: map[string]*time.Location{}, queues: map[string]*queue{}, teams: map[string]*team{}, agents: map[string]*agent{},
		sources: map[source]*source{}, threads: map[event.ID][]*visit{}, takers: map[string][]*queue{},
		oldest: oldest(time.Now().UnixNano()), rows: rows{version: 1}, // nobody knows version 0
	}
}

// complete reports whether everything was read once.
func (s *state) complete() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.booked && s.hasAgents && s.hasWork
}

// contains reports whether what stands at an offset is a part of it.
func (s *state) contains(topic string, partition int32, offset int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if topic == event.TopicAgents {
		return s.byAgents.Includes(partition, offset)
	}
	return s.byWork.Includes(partition, offset) && s.agentsWork.Includes(partition, offset)
}

// change does something to it, and tells whoever waits.
func (s *state) change(do func()) {
	s.mu.Lock()
	before := s.rows.version
	do()
	changed := s.rows.version != before
	s.mu.Unlock()
	if changed {
		s.changed.Notify()
	}
	s.applied.Notify()
}

func (s *state) touch(r *row) { s.rows.touch(r, time.Now) }

// takeAgents takes over what is told of agents.
func (s *state) takeAgents(n AgentNews) {
	if n.Reset {
		s.agentsAnew = true
		for _, a := range s.agents {
			a.told = false
		}
	}
	for _, st := range n.States {
		a := s.agent(st.GetAgentId())
		a.state, a.told = st, true
		s.settle(a)
	}
	for _, id := range n.Gone {
		if a := s.agents[id]; a != nil {
			s.lose(a)
		}
	}
	if n.Complete {
		s.agentsAnew, s.hasAgents = false, true
		for _, a := range s.agents {
			if a.state != nil && !a.told {
				s.lose(a)
			}
		}
	}
	if !s.agentsAnew {
		s.byAgents, s.agentsWork = n.Agents, n.Work
	}
}

func (s *state) lose(a *agent) {
	a.state = nil
	s.settle(a)
	s.release(&a.row)
}

// settle makes of an agent's state what it means for queues, teams and the agent's row.
func (s *state) settle(a *agent) {
	to := standing{presence: a.state.GetPresence().GetType(), status: a.state.GetRoutingStatus()}
	if to.presence == eventv1.PresenceType_PRESENCE_TYPE_UNSPECIFIED {
		to.presence = eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
	}
	if to.status == eventv1.RoutingStatus_ROUTING_STATUS_UNSPECIFIED {
		to.status = eventv1.RoutingStatus_ROUTING_STATUS_OFF_QUEUE
	}
	for _, c := range a.state.GetContacts() {
		l := load{}
		switch c.GetState() {
		case agentv1.ContactState_CONTACT_STATE_CONNECTED, agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_PAUSED:
			l.connected = 1
			to.inHand++
		case agentv1.ContactState_CONTACT_STATE_ENDED:
			l.afterCallWork = 1
		default:
			continue
		}
		if c.GetQueue() != "" {
			to.add(s.queue(c.GetQueue()), l)
		}
	}
	from := a.counts
	a.counts = to
	if available, signedIn := to.available()-from.available(), to.signedIn()-from.signedIn(); available != 0 || signedIn != 0 {
		for _, q := range a.queues {
			q.available += available
			q.signedIn += signedIn
			s.touch(&q.row)
		}
	}
	if from.presence != to.presence || from.status != to.status || from.inHand != to.inHand {
		for _, t := range a.teams {
			t.count(&from, -1)
			t.count(&to, 1)
			s.touch(&t.row)
		}
	}
	if !slices.Equal(from.contacts, to.contacts) {
		for _, x := range to.contacts {
			x.queue.contacts.plus(x.load, 1)
		}
		for _, x := range from.contacts {
			x.queue.contacts.plus(x.load, -1)
		}
		for _, x := range to.contacts {
			s.touch(&x.queue.row)
		}
		for _, x := range from.contacts {
			s.touch(&x.queue.row)
			s.release(&x.queue.row)
		}
	}
	if a.make() {
		s.touch(&a.row)
	}
}

func (x *standing) add(q *queue, l load) {
	for n := range x.contacts {
		if x.contacts[n].queue == q {
			x.contacts[n].plus(l, 1)
			return
		}
	}
	x.contacts = append(x.contacts, share{q, l})
}

func (x *standing) available() int {
	if x.status == eventv1.RoutingStatus_ROUTING_STATUS_IDLE {
		return 1
	}
	return 0
}

func (x *standing) signedIn() int {
	if x.presence == eventv1.PresenceType_PRESENCE_TYPE_OFFLINE {
		return 0
	}
	return 1
}

func (l *load) plus(m load, n int) {
	l.connected += n * m.connected
	l.afterCallWork += n * m.afterCallWork
}

// takeWork takes over what is told of threads. Once all of them were told anew, it gives the round for which what is stored is to be
// loaded; else 0.
func (s *state) takeWork(n WorkNews) (round int) {
	if n.Reset {
		s.workAnew, s.told = true, map[event.ID]struct{}{}
		s.round++
	}
	for _, t := range n.Threads {
		if s.workAnew {
			s.told[t.Thread] = struct{}{}
		}
		s.replace(t.Thread, s.waits(t))
	}
	if s.workAt = n.At; !s.workAnew {
		s.byWork = n.At
	}
	if n.Complete && s.workAnew {
		return s.round
	}
	return 0
}

// loaded takes over what is stored of the threads that were not told, once in each round. Of a thread that is neither told nor stored,
// nothing is left.
func (s *state) loaded(round int, stored map[event.ID][]wait) {
	if !s.workAnew || round != s.round {
		return
	}
	for thread := range s.threads {
		if _, told := s.told[thread]; !told && stored[thread] == nil {
			s.replace(thread, nil)
		}
	}
	for thread, waits := range stored {
		if _, told := s.told[thread]; !told {
			s.replace(thread, waits)
		}
	}
	s.workAnew, s.told, s.hasWork, s.byWork = false, nil, true, s.workAt
}

// replace makes some visits those of a thread. Those that stay the same are not touched.
func (s *state) replace(thread event.ID, waits []wait) {
	before := s.threads[thread]
	var after, begun []*visit
	for _, w := range waits {
		if w.left != 0 && (w.backfill || quarter(w.entered) < s.oldest) {
			continue // it counts for nothing
		}
		if n := slices.IndexFunc(before, func(v *visit) bool { return v.wait == w }); n >= 0 {
			after = append(after, before[n])
			before = slices.Delete(before, n, n+1)
		} else {
			begun = append(begun, &visit{wait: w})
		}
	}
	for _, v := range before {
		v.queue.take(v)
	}
	for _, v := range begun {
		v.queue = s.queue(s.book.Owner(directory.Queue, v.source.provider, v.source.native, v.entered))
		v.queue.put(v, s.oldest)
		s.touch(&v.queue.row)
	}
	for _, v := range before {
		s.touch(&v.queue.row)
		s.release(&v.queue.row)
	}
	if after = append(after, begun...); len(after) == 0 {
		delete(s.threads, thread)
	} else {
		s.threads[thread] = after
	}
}

// waits are the visits of a thread. Those whose ids are none are left out.
func (s *state) waits(t ThreadWork) []wait {
	var all []wait
	for _, i := range t.Interactions {
		if len(i.GetVisits()) == 0 {
			continue
		}
		interaction, err := event.ParseID(i.GetId())
		if err != nil {
			continue
		}
		for _, v := range i.GetVisits() {
			id, err := event.ParseID(v.GetId())
			if err != nil {
				continue
			}
			w := wait{
				id: id, thread: t.Thread, interaction: interaction, source: s.source(i.GetProvider(), v.GetQueue()),
				entered: v.GetEnteredAt().AsTime().UnixNano(), outcome: v.GetOutcome(), target: v.GetSlaTarget().AsDuration(),
			}
			w.backfill = i.GetBackfill() || i.GetLiveSince() != nil && w.entered < i.GetLiveSince().AsTime().UnixNano()
			if v.GetLeftAt() != nil {
				w.left = v.GetLeftAt().AsTime().UnixNano()
			}
			w.assign(v.GetId(), i.GetAssignments())
			all = append(all, w)
		}
	}
	return all
}

// assign takes what agents did about a visit.
func (w *wait) assign(visit string, assignments []*conversationv1.Assignment) {
	for _, a := range assignments {
		if a.GetVisitId() != visit {
			continue
		}
		if a.GetOfferedAt() != nil && a.GetAcceptedAt() == nil && a.GetConnectedAt() == nil && a.GetDeclinedAt() == nil && a.GetEndedAt() == nil {
			w.offered = true
		}
		if a.GetConnectedAt() == nil || a.GetEndedAt() == nil || a.GetWrapupStartedAt() != nil && a.GetWrapupEndedAt() == nil {
			continue
		}
		w.handled++
		w.handleTime += max(0, a.GetEndedAt().AsTime().Sub(a.GetConnectedAt().AsTime())-a.GetPauseTime().AsDuration())
		if a.GetWrapupStartedAt() != nil {
			w.handleTime += max(0, a.GetWrapupEndedAt().AsTime().Sub(a.GetWrapupStartedAt().AsTime()))
		}
	}
}

func (s *state) source(provider, native string) *source {
	key := source{provider, native}
	if s.sources[key] == nil {
		s.sources[key] = &key
	}
	return s.sources[key]
}

// queue gives a queue, and makes it where it is new.
func (s *state) queue(id string) *queue {
	q := s.queues[id]
	if q == nil {
		now := time.Now()
		q = newQueue(id)
		q.midnight = midnight(now, q.zone)
		q.name, q.removed = s.lastName(directory.Queue, id, now.UnixNano()), s.book.Removed(directory.Queue, id, now.UnixNano())
		s.queues[id] = q
	}
	return q
}

func (s *state) agent(id string) *agent {
	a := s.agents[id]
	if a == nil {
		now := time.Now().UnixNano()
		a = newAgent(id)
		a.name, a.removed = s.lastName(directory.Agent, id, now), s.book.Removed(directory.Agent, id, now)
		s.agents[id] = a
	}
	return a
}

func (s *state) team(id string) *team {
	t := s.teams[id]
	if t == nil {
		t = newTeam(id)
		s.teams[id] = t
	}
	return t
}

// lastName is the name that an entry has, or had before it was removed.
func (s *state) lastName(kind, id string, now int64) string {
	for _, v := range slices.Backward(s.book.Versions(kind, id)) {
		if v.From <= now && !v.Stated.GetRemoved() {
			if kind == directory.Queue {
				return v.Stated.GetQueue().GetName()
			}
			return v.Stated.GetAgent().GetName()
		}
	}
	return ""
}

// release lets go of what is behind a row that nobody knows, if nothing is known of it.
func (s *state) release(r *row) {
	if r.place != nil {
		return
	}
	switch of := r.body.(type) {
	case *queue:
		if of.idle() {
			delete(s.queues, of.id)
		}
	case *agent:
		if of.idle() {
			delete(s.agents, of.id)
		}
	case *team:
		if of.idle() {
			delete(s.teams, of.id)
		}
	}
}

// turn does what is due at a moment: days begin, visits become too old, and what was removed is forgotten.
func (s *state) turn(now time.Time) {
	if first := oldest(now.UnixNano()); first != s.oldest {
		s.oldest = first
		for _, q := range s.queues {
			s.expire(q)
		}
	}
	days := map[*time.Location]time.Time{}
	for _, q := range s.queues {
		day, known := days[q.zone]
		if !known {
			day = midnight(now, q.zone)
			days[q.zone] = day
		}
		if !day.Equal(q.midnight) {
			q.midnight = day
			s.touch(&q.row)
		}
	}
	s.rows.forget(now.Add(-graveFor), s.release)
}

// expire drops what is too old to be counted. Who still waits does so.
func (s *state) expire(q *queue) {
	dropped := false
	for len(q.tallies) > 0 && q.tallies[0].quarter < s.oldest {
		dropped = true
		for v := range q.tallies[0].visits {
			if v.counted = false; v.left == 0 {
				continue
			}
			q.visits--
			s.unfile(v)
		}
		q.tallies = slices.Delete(q.tallies, 0, 1)
	}
	if dropped {
		s.touch(&q.row)
		s.release(&q.row)
	}
}

// unfile takes a visit from its thread.
func (s *state) unfile(v *visit) {
	rest := slices.DeleteFunc(s.threads[v.thread], func(other *visit) bool { return other == v })
	if len(rest) == 0 {
		delete(s.threads, v.thread)
	} else {
		s.threads[v.thread] = rest
	}
}
