package alerts

import (
	"container/heap"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// item is a rule and a queue or agent that it looks at.
type item struct {
	subject
	rule *rule // nil where it is not configured any more
	name string

	condition
	from    time.Time // since when it is too much, if it is so; may be ahead
	stopped time.Time // when it ceased to be too much

	raised    *boardv1.Alert // by the read model, or by what was published since
	confirmed bool           // this process has seen why
	learnt    time.Time      // when this process learnt that it is raised
	last      ended
	note      *eventlog.Position // what was published, until the read model has it
	mute      bool               // it cannot be published

	due   time.Time // what is to be done then
	index int       // in the heap; -1 where there is nothing to be done
}

// holds tells whether it is too much at a moment.
func (i *item) holds(now time.Time) bool { return i.so && !i.from.After(now) }

// deadline is when something is to be done, if nothing changes.
func (i *item) deadline(now time.Time, settle time.Duration) (due time.Time, ok bool) {
	switch {
	case i.mute:
		return time.Time{}, false
	case i.raised == nil:
		if i.rule == nil || !i.so {
			return time.Time{}, false
		}
		due = i.from.Add(i.rule.hold)
		if again := i.last.at.Add(settle); !i.last.at.IsZero() && due.Before(again) {
			due = again
		}
		return due, true
	case i.rule == nil:
		return i.learnt, true
	case i.holds(now):
		return time.Time{}, false
	}
	due = i.stopped.Add(i.rule.hold)
	if seen := i.learnt.Add(settle); !i.confirmed && due.Before(seen) {
		due = seen
	}
	if i.so && !i.from.After(due) {
		return time.Time{}, false // it will be too much again by then
	}
	return due, true
}

// see takes over what a row shows.
func (i *item) see(c condition, now time.Time) {
	held := i.holds(now)
	if held && i.raised != nil {
		i.confirmed = true
	}
	since := c.since
	if c.so && since.IsZero() {
		if since = now; i.so {
			since = i.since
		}
	}
	from := since.Add(i.rule.above)
	if held && c.so && !from.After(now) && i.from.Before(from) {
		from = i.from // another contact or state, and all the while too much
	}
	i.condition, i.from = condition{c.so, since, c.value}, from
	if held && !i.holds(now) {
		i.stopped = now
	}
}

// seen is what the item shows at a moment: seconds, contacts or a share.
func (i *item) seen(at time.Time) float64 {
	switch {
	case i.rule == nil:
		return 0
	case !i.rule.timed():
		return i.value
	case !i.so || at.Before(i.since):
		return 0
	}
	return at.Sub(i.since).Seconds()
}

// engine decides for one tenant what is to be told, from the board, the read model and the clock. It does nothing by itself, and is not
// safe for concurrent use.
type engine struct {
	rules  []*rule
	settle time.Duration

	items   map[subject]*item
	heap    deadlines
	last    map[subject]ended
	applied projection.Vector

	loaded   bool // the read model was read
	complete bool // the board was told as a whole
	queues   map[string]bool
	agents   map[string]bool
}

func newEngine(rules []*rule, settle time.Duration) *engine {
	return &engine{
		rules: rules, settle: settle, items: map[subject]*item{}, last: map[subject]ended{}, queues: map[string]bool{}, agents: map[string]bool{},
		complete: len(rules) == 0, // nobody tells of it
	}
}

// item finds or makes one.
func (e *engine) item(s subject, now time.Time) *item {
	i := e.items[s]
	if i == nil {
		i = &item{subject: s, index: -1, last: e.last[s], stopped: now}
		for _, r := range e.rules {
			if r.name == s.rule && r.kind == s.kind {
				i.rule = r
			}
		}
		e.items[s] = i
	}
	return i
}

// plan puts an item where its deadline belongs, or forgets one of which there is nothing to say.
func (e *engine) plan(i *item, now time.Time) {
	due, ok := i.deadline(now, e.settle)
	i.due = due
	switch {
	case ok && i.index < 0:
		heap.Push(&e.heap, i)
	case ok:
		heap.Fix(&e.heap, i.index)
	case i.index >= 0:
		heap.Remove(&e.heap, i.index)
	}
	if !i.so && i.raised == nil && i.note == nil {
		delete(e.items, i.subject)
	}
}

// take takes over news of the board.
func (e *engine) take(n BoardNews, now time.Time) {
	if n.Reset {
		e.lost()
	}
	for _, q := range n.Rows.GetQueues() {
		e.queues[q.GetQueue()] = true
		for _, r := range e.rules {
			if r.watchesQueue(q.GetQueue()) {
				e.see(subject{rule: r.name, kind: r.kind, queue: q.GetQueue()}, q.GetName(), r.ofQueue(q), now)
			}
		}
	}
	for _, a := range n.Rows.GetAgents() {
		e.agents[a.GetAgentId()] = true
		for _, r := range e.rules {
			c := condition{}
			if r.watchesAgent(a) {
				c = r.ofAgent(a)
			}
			if r.agents {
				e.see(subject{rule: r.name, kind: r.kind, agent: a.GetAgentId()}, a.GetName(), c, now)
			}
		}
	}
	for _, q := range n.Removed.GetQueues() {
		delete(e.queues, q.GetQueue())
		e.forget(subject{queue: q.GetQueue()}, now)
	}
	for _, a := range n.Removed.GetAgents() {
		delete(e.agents, a.GetAgentId())
		e.forget(subject{agent: a.GetAgentId()}, now)
	}
	if n.Complete {
		e.complete = true
		for s, i := range e.items {
			if i.rule != nil && !e.queues[s.queue] && !e.agents[s.agent] {
				e.see(s, i.name, condition{}, now)
			}
		}
	}
}

// lost notes that the board is not told any more: nothing is concluded from it until it is told as a whole again.
func (e *engine) lost() {
	e.complete = len(e.rules) == 0
	clear(e.queues)
	clear(e.agents)
}

func (e *engine) see(s subject, name string, c condition, now time.Time) {
	if e.items[s] == nil && !c.so {
		return
	}
	i := e.item(s, now)
	i.name = name
	i.see(c, now)
	e.plan(i, now)
}

// forget lets nothing be so any more of a queue or an agent.
func (e *engine) forget(of subject, now time.Time) {
	for _, r := range e.rules {
		e.see(subject{rule: r.name, kind: r.kind, queue: of.queue, agent: of.agent}, "", condition{}, now)
	}
}

// load takes over what the read model says, as far as it was applied. What was published behind that counts all the same.
func (e *engine) load(is *standing, applied projection.Vector, now time.Time) {
	e.loaded, e.applied = true, applied
	if is == nil {
		is = &standing{}
	}
	active := map[subject]*boardv1.Alert{}
	for _, a := range is.active {
		s := subjectOf(a.GetRaised())
		active[s] = a
		e.item(s, now)
	}
	e.last = is.last
	for s, i := range e.items {
		if i.note != nil && !applied.Includes(i.note.Partition, i.note.Offset) {
			continue
		}
		i.note, i.last = nil, e.last[s]
		if a := active[s]; a == nil {
			i.raised = nil
		} else if i.raised.GetEventId() != a.GetEventId() {
			i.raise(a, i.holds(now), now)
		}
		e.plan(i, now)
	}
}

func (i *item) raise(a *boardv1.Alert, confirmed bool, now time.Time) {
	i.raised, i.confirmed, i.learnt = a, confirmed, now
}

// task is something to be told: that an alert is raised, or cleared.
type task struct {
	subject
	at      time.Time
	raised  *eventv1.AlertRaised
	cleared *eventv1.AlertCleared
	last    string // event that cleared the one before
}

// tasks are what is to be told by now, in order, and when the next one is.
func (e *engine) tasks(now time.Time) (all []task, next time.Time) {
	if !e.loaded || !e.complete {
		return nil, time.Time{}
	}
	var taken []*item
	for len(e.heap) > 0 && !e.heap[0].due.After(now) {
		i, _ := heap.Pop(&e.heap).(*item)
		taken = append(taken, i)
		all = append(all, i.task())
	}
	if len(e.heap) > 0 {
		next = e.heap[0].due
	}
	for _, i := range taken { // until it is done
		heap.Push(&e.heap, i)
	}
	return all, next
}

// task is what is to be told when the deadline has come. Of what the rows date, it depends on nothing else: however late it is told, and
// by whomever, it is the same.
func (i *item) task() task {
	t := task{subject: i.subject, at: i.due, last: i.last.id}
	if i.raised == nil {
		value := i.seen(i.due)
		t.raised = &eventv1.AlertRaised{
			Rule: i.subject.rule, Kind: i.kind, Queue: i.queue, Agent: i.agent, Value: value, Threshold: i.rule.threshold, Since: timestamppb.New(i.from),
			Text: i.rule.words(i.subject, i.name, value),
		}
		return t
	}
	t.cleared = &eventv1.AlertCleared{
		RaisedEventId: i.raised.GetEventId(), Rule: i.subject.rule, Kind: i.kind, Queue: i.queue, Agent: i.agent, Value: i.seen(i.due), Since: i.raised.GetRaised().GetSince(),
	}
	return t
}

// done notes that a task stands in the log.
func (e *engine) done(t task, id string, at eventlog.Position, now time.Time) {
	if e.applied.Includes(at.Partition, at.Offset) {
		return // the read model has told already what came of it
	}
	i := e.item(t.subject, now)
	i.note = &at
	if t.raised != nil {
		i.raise(&boardv1.Alert{EventId: id, RaisedAt: timestamppb.New(t.at), Raised: t.raised}, true, now)
	} else {
		i.raised, i.last = nil, ended{id, t.at}
	}
	e.plan(i, now)
}

// silence notes that something can never be published.
func (e *engine) silence(t task, now time.Time) {
	i := e.item(t.subject, now)
	i.mute = true
	e.plan(i, now)
}

// deadlines is a heap of items, by when something is to be done.
type deadlines []*item

func (d *deadlines) Len() int           { return len(*d) }
func (d *deadlines) Less(i, j int) bool { return (*d)[i].due.Before((*d)[j].due) }
func (d *deadlines) Swap(i, j int) {
	all := *d
	all[i], all[j] = all[j], all[i]
	all[i].index, all[j].index = i, j
}

func (d *deadlines) Push(x any) {
	i, _ := x.(*item)
	i.index = len(*d)
	*d = append(*d, i)
}

func (d *deadlines) Pop() any {
	last := len(*d) - 1
	i := (*d)[last]
	i.index = -1
	*d = (*d)[:last]
	return i
}
