package board

import (
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/directory"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// takeBook takes over what the directory says at a moment. It looks at every entry, and touches the rows of those that say something else.
func (s *state) takeBook(book *directory.Book, now time.Time) {
	another := book != s.book
	s.book, s.booked = book, true
	nanos := now.UnixNano()
	for id, e := range changes(book, directory.Team, nanos, (*eventv1.DirectoryUpdated).GetTeam, s.teams, func(t *team) *eventv1.DirectoryTeam { return t.entry }) {
		t := s.team(id)
		t.entry = e
		s.touch(&t.row)
		s.release(&t.row)
	}
	staffed := s.takeQueues(nanos)
	changed := changes(book, directory.Agent, nanos, (*eventv1.DirectoryUpdated).GetAgent, s.agents, func(a *agent) *eventv1.DirectoryAgent { return a.entry })
	for _, a := range s.agents {
		name, removed := s.lastName(directory.Agent, a.id, nanos), book.Removed(directory.Agent, a.id, nanos)
		if a.name != name || a.removed != removed {
			a.name, a.removed = name, removed
			if a.make() {
				s.touch(&a.row)
			}
		}
	}
	if staffed {
		s.staff()
		for _, a := range s.agents {
			if _, also := changed[a.id]; !also {
				s.enroll(a)
			}
		}
	}
	for id, e := range changed {
		a := s.agent(id)
		a.entry, a.name, a.removed = e, s.lastName(directory.Agent, id, nanos), e == nil
		s.enroll(a)
		if a.make() {
			s.touch(&a.row)
		}
		s.release(&a.row)
	}
	if another {
		s.rekey()
	}
	s.turn(now)
}

// changes are the entries of a kind that say something else than what is known, by their ids: nothing where there is none any more.
func changes[K any, M interface {
	proto.Message
	comparable
}](
	book *directory.Book, kind string, nanos int64, get func(*eventv1.DirectoryUpdated) M, known map[string]K, entry func(K) M,
) map[string]M {
	var none M
	changed, there := map[string]M{}, map[string]struct{}{}
	for id, stated := range book.All(kind, nanos) {
		there[id] = struct{}{}
		before, now := none, get(stated)
		if of, ok := known[id]; ok {
			before = entry(of)
		}
		if before != now && (before == none || !proto.Equal(before, now)) {
			changed[id] = now
		}
	}
	for id, of := range known {
		if _, ok := there[id]; !ok && entry(of) != none {
			changed[id] = none
		}
	}
	return changed
}

// takeQueues takes over queues, and reports whether others take from them than before.
func (s *state) takeQueues(nanos int64) (staffed bool) {
	entry := func(q *queue) *eventv1.DirectoryQueue { return q.entry }
	for id, e := range changes(s.book, directory.Queue, nanos, (*eventv1.DirectoryUpdated).GetQueue, s.queues, entry) {
		q := s.queue(id)
		aim := q.aim()
		if (e == nil) != (q.entry == nil) || !slices.Equal(q.entry.GetTeams(), e.GetTeams()) || !slices.Equal(q.entry.GetSkills(), e.GetSkills()) {
			staffed = true
		}
		q.entry, q.name, q.removed = e, s.lastName(directory.Queue, id, nanos), e == nil
		if q.aim() != aim {
			q.tallies.recount(q.aim())
		}
		s.touch(&q.row)
		s.release(&q.row)
	}
	for _, q := range s.queues {
		q.zone = s.zone(q, nanos) // turn touches those for which another day begins by this
		name, removed := s.lastName(directory.Queue, q.id, nanos), s.book.Removed(directory.Queue, q.id, nanos)
		if q.name != name || q.removed != removed { // of what is not there any more, the past may be told otherwise
			q.name, q.removed = name, removed
			s.touch(&q.row)
		}
	}
	return staffed
}

func (s *state) zone(q *queue, nanos int64) *time.Location {
	if q.entry.GetHours() == "" {
		return time.UTC
	}
	name := s.book.At(directory.Hours, q.entry.GetHours(), nanos).GetHours().GetTimeZone()
	if s.zones[name] == nil {
		s.zones[name] = s.book.Location(q.id, nanos)
	}
	return s.zones[name]
}

// staff notes which queues each team takes from.
func (s *state) staff() {
	clear(s.takers)
	for _, q := range s.queues {
		for n, t := range q.entry.GetTeams() {
			if !slices.Contains(q.entry.GetTeams()[:n], t) {
				s.takers[t] = append(s.takers[t], q)
			}
		}
	}
}

// enroll makes an agent one of the teams that its entry names, and of those who take from their queues.
func (s *state) enroll(a *agent) {
	teams, queues := []*team(nil), map[*queue]struct{}{}
	for _, id := range a.entry.GetTeams() {
		if t := s.team(id); !slices.Contains(teams, t) {
			teams = append(teams, t)
		}
		for _, q := range s.takers[id] {
			if skilled(a.entry, q.entry) {
				queues[q] = struct{}{}
			}
		}
	}
	for _, t := range teams {
		if !slices.Contains(a.teams, t) {
			t.count(&a.counts, 1)
			s.touch(&t.row)
		}
	}
	left := a.teams
	a.teams = teams
	for _, t := range left {
		if slices.Contains(teams, t) {
			continue
		}
		t.count(&a.counts, -1)
		s.touch(&t.row)
		s.release(&t.row)
		if a.parted = append(a.parted, parting{t.id, s.rows.version + 1}); len(a.parted) > maxParted {
			s.rows.forgotten = max(s.rows.forgotten, a.parted[0].version)
			a.parted = slices.Delete(a.parted, 0, 1)
		}
	}
	kept := a.queues[:0]
	for _, q := range a.queues {
		if _, still := queues[q]; still {
			kept = append(kept, q)
			delete(queues, q)
			continue
		}
		s.serve(a, q, -1)
	}
	clear(a.queues[len(kept):])
	for q := range queues {
		kept = append(kept, q)
		s.serve(a, q, 1)
	}
	a.queues = kept
}

func (s *state) serve(a *agent, q *queue, n int) {
	available, signedIn := n*a.counts.available(), n*a.counts.signedIn()
	q.available += available
	q.signedIn += signedIn
	if available != 0 || signedIn != 0 {
		s.touch(&q.row)
	}
}

// skilled reports whether an agent has all skills that a queue needs, however good at them.
func skilled(a *eventv1.DirectoryAgent, q *eventv1.DirectoryQueue) bool {
	for _, skill := range q.GetSkills() {
		if _, has := a.GetSkills()[skill]; !has {
			return false
		}
	}
	return true
}

// rekey puts visits into other queues, where others claim their names.
func (s *state) rekey() {
	for _, visits := range s.threads {
		for _, v := range visits {
			id := s.book.Owner(directory.Queue, v.source.provider, v.source.native, v.entered)
			if id == v.queue.id {
				continue
			}
			from, to := v.queue, s.queue(id)
			from.take(v)
			v.queue = to
			to.put(v, s.oldest)
			s.touch(&from.row)
			s.touch(&to.row)
			s.release(&from.row)
		}
	}
}
