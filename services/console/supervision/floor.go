package supervision

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/view"
)

// book is what the directory says, and how much room agents have. It is not changed once it is read.
type book struct {
	queues map[string]*eventv1.DirectoryQueue
	teams  map[string]*eventv1.DirectoryTeam
	skills map[string]map[string]int32
	rooms  map[string]map[string]*agentv1.ChannelRoom
}

func newBook() *book {
	return &book{
		queues: map[string]*eventv1.DirectoryQueue{}, teams: map[string]*eventv1.DirectoryTeam{}, skills: map[string]map[string]int32{},
		rooms: map[string]map[string]*agentv1.ChannelRoom{},
	}
}

// queueName is what a queue is called; its id, where nobody calls it anything.
func (b *book) queueName(id string) string { return cmp.Or(b.queues[id].GetName(), id) }

func (b *book) teamName(id string) string { return cmp.Or(b.teams[id].GetName(), id) }

// takes tells whether an agent can take from a queue.
func (b *book) takes(a *boardv1.AgentRow, queue string) bool {
	q := b.queues[queue]
	inTeam := slices.ContainsFunc(q.GetTeams(), func(team string) bool { return slices.Contains(a.GetTeams(), team) })
	return inTeam && !slices.ContainsFunc(q.GetSkills(), func(skill string) bool { _, has := b.skills[a.GetAgentId()][skill]; return !has })
}

// goal is which share of a queue's contacts is to be answered, and within which time.
func (b *book) goal(queue string) (share float64, within time.Duration) {
	const usualShare, usualWithin = 0.8, 20 * time.Second
	level := b.queues[queue].GetServiceLevel()
	return cmp.Or(level.GetGoal(), usualShare), cmp.Or(level.GetWithin().AsDuration(), usualWithin)
}

// floor is the whole board as it is known, for one page.
type floor struct {
	queues map[string]*boardv1.QueueRow
	agents map[string]*boardv1.AgentRow
	alerts []*boardv1.Alert
	needs  map[string]need
	known  *book
	cursor string // of the board, to go on behind it
}

func newFloor() *floor {
	return &floor{queues: map[string]*boardv1.QueueRow{}, agents: map[string]*boardv1.AgentRow{}, needs: map[string]need{}, known: newBook()}
}

// take takes a message of the board in.
func (f *floor) take(m *boardv1.WatchResponse) {
	if m.GetReset_() {
		clear(f.queues)
		clear(f.agents)
	}
	for _, q := range m.GetRemoved().GetQueues() {
		delete(f.queues, q.GetQueue())
	}
	for _, a := range m.GetRemoved().GetAgents() {
		delete(f.agents, a.GetAgentId())
	}
	for _, q := range m.GetRows().GetQueues() {
		f.queues[q.GetQueue()] = q
	}
	for _, a := range m.GetRows().GetAgents() {
		f.agents[a.GetAgentId()] = a
	}
}

// choice is what a page shows of the board, and in which order.
type choice struct {
	path               string // of the page
	ofQueue            bool   // the queue stands in the path
	queue, team, words string
	states             stateFilter
	by                 string // what agents are grouped by: queue, else team
	sort               string // of queues
	order              string // of agents
}

// most is how many agents a page shows: who wants others chooses a team, a queue or words.
const most = 600

// sight is what a page shows of a floor. Two sights are compared part by part: what is equal is not told again.
type sight struct {
	choice choice
	alerts []alertRow
	sums   sums
	queues []queueRow
	groups []group
	// left is how many agents are left out, because they are too many.
	left int
}

// alertRow is an alert, with what it is about.
type alertRow struct {
	*boardv1.Alert
	name string
}

func (a alertRow) same(b alertRow) bool { return a.GetEventId() == b.GetEventId() && a.name == b.name }

// sums are of all that is shown.
type sums struct {
	waiting, inContact, answeredWithin, counted int32
	oldest                                      time.Time
	late                                        bool
	agents                                      [8]int // whom each of stateFilters lets in
}

// queueRow is a queue.
type queueRow struct {
	*boardv1.QueueRow
	need                           need
	busy, away                     int
	late, below, deserted, alarmed bool // the oldest waits too long; service level below its goal; nobody is ready; an alert
	shorthanded                    bool
	goal                           float64
	title                          string
}

// group are agents of a team or a queue.
type group struct {
	groupHead
	agents []agentRow
}

// groupHead is what stands above a group.
type groupHead struct {
	id, title                          string
	queue                              bool
	available, busy, wrapUp, away, off int
}

// agentRow is an agent in a group.
type agentRow struct {
	*boardv1.AgentRow
	in      string // the group
	state   state
	since   time.Time
	alarmed bool
	rooms   string // channel=used/maximum, by channel
	title   string
}

// order of queues and agents.
const (
	byName    = "name"
	byWaiting = "waiting"
	byOldest  = "oldest"
	byLevel   = "level"
	byLongest = "longest"
	byState   = "" // of agents: who needs a person first
	byQueue   = "queue"
)

// seen is what a choice shows at a moment.
func (f *floor) seen(c choice, now time.Time) *sight {
	s := &sight{choice: c}
	alarmed := map[string]bool{} // queue/ID, agent/ID
	for _, a := range f.alerts {
		row := alertRow{Alert: a, name: f.known.queueName(a.GetRaised().GetQueue())}
		about := "queue/" + a.GetRaised().GetQueue()
		if id := a.GetRaised().GetAgent(); id != "" {
			row.name, about = cmp.Or(f.agents[id].GetName(), id), "agent/"+id
		}
		alarmed[about] = true
		if f.about(c, a.GetRaised()) {
			s.alerts = append(s.alerts, row)
		}
	}
	agents := f.seenAgents(c, alarmed)
	s.queues = f.seenQueues(c, now, alarmed)
	s.groups, s.left = f.grouped(c, agents)
	s.sums = sum(s.queues, agents)
	return s
}

// about tells whether an alert is about something that a choice shows.
func (f *floor) about(c choice, raised *eventv1.AlertRaised) bool {
	if id := raised.GetAgent(); id != "" {
		a := f.agents[id]
		return (c.team == "" || slices.Contains(a.GetTeams(), c.team)) && (c.queue == "" || f.known.takes(a, c.queue))
	}
	return (c.queue == "" || c.queue == raised.GetQueue()) && (c.team == "" || slices.Contains(f.known.queues[raised.GetQueue()].GetTeams(), c.team))
}

func (f *floor) seenQueues(c choice, now time.Time, alarmed map[string]bool) (rows []queueRow) {
	for id, q := range f.queues {
		title := cmp.Or(q.GetName(), id)
		switch {
		case c.queue != "" && c.queue != id,
			c.team != "" && !slices.Contains(f.known.queues[id].GetTeams(), c.team),
			c.words != "" && c.queue == "" && !contains(title+" "+id, c.words) && f.anybody(id, c.words) == 0:
			continue
		}
		goal, within := f.known.goal(id)
		r := queueRow{QueueRow: q, title: title, goal: goal, need: f.needs[id], alarmed: alarmed["queue/"+id]}
		for _, a := range f.agents {
			if !f.known.takes(a, id) {
				continue
			}
			switch st, _ := rowState(a); st {
			case available, offline:
			case away, vanished, notResponding:
				r.away++
			case onHold, ringing, onContact, otherCall, wrapUp:
				r.busy++
			}
		}
		r.late = q.GetOldestEnteredAt() != nil && now.Sub(q.GetOldestEnteredAt().AsTime()) > within
		r.below = q.GetCounts().ServiceLevel != nil && q.GetCounts().GetServiceLevel() < goal
		r.deserted = q.GetWaiting() > 0 && q.GetAvailableAgents() == 0
		r.shorthanded = r.need.known && r.need.agents > q.GetSignedInAgents()
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b queueRow) int {
		by := 0
		switch c.sort {
		case byWaiting:
			by = cmp.Compare(b.GetWaiting(), a.GetWaiting())
		case byOldest:
			by = compareSince(a.GetOldestEnteredAt().AsTime(), b.GetOldestEnteredAt().AsTime())
		case byLevel:
			by = cmp.Compare(level(a), level(b))
		}
		return cmp.Or(by, cmp.Compare(strings.ToLower(a.title), strings.ToLower(b.title)), cmp.Compare(a.GetQueue(), b.GetQueue()))
	})
	return rows
}

// anybody counts who can take from a queue and is called by the words.
func (f *floor) anybody(queue, words string) (n int) {
	for id, a := range f.agents {
		if contains(a.GetName()+" "+id, words) && f.known.takes(a, queue) {
			n++
		}
	}
	return n
}

// level sorts queues of which no service level is known behind the others.
func level(q queueRow) float64 {
	if q.GetCounts().ServiceLevel == nil {
		return 2
	}
	return q.GetCounts().GetServiceLevel()
}

// compareSince puts what began first first, and what has not begun last.
func compareSince(a, b time.Time) int {
	none := func(t time.Time) bool { return t.Unix() <= 0 }
	switch {
	case none(a) && none(b):
		return 0
	case none(a):
		return 1
	case none(b):
		return -1
	}
	return a.Compare(b)
}

// seenAgents are the agents that a choice lets in, whatever they do.
func (f *floor) seenAgents(c choice, alarmed map[string]bool) (rows []agentRow) {
	for id, a := range f.agents {
		switch {
		case c.team != "" && !slices.Contains(a.GetTeams(), c.team),
			c.queue != "" && !f.known.takes(a, c.queue) && !hasFrom(a, c.queue),
			c.words != "" && !contains(a.GetName()+" "+id, c.words) && !f.inHandOf(a, c.words):
			continue
		}
		r := agentRow{AgentRow: a, title: cmp.Or(a.GetName(), id), alarmed: alarmed["agent/"+id], rooms: rooms(a, f.known.rooms[id])}
		r.state, r.since = rowState(a)
		rows = append(rows, r)
	}
	slices.SortFunc(rows, func(a, b agentRow) int {
		by := 0
		switch c.order {
		case byState:
			by = cmp.Compare(slices.Index(everyState(), a.state), slices.Index(everyState(), b.state))
		case byLongest:
			by = compareSince(a.since, b.since)
		}
		return cmp.Or(by, cmp.Compare(strings.ToLower(a.title), strings.ToLower(b.title)), cmp.Compare(a.GetAgentId(), b.GetAgentId()))
	})
	return rows
}

func hasFrom(a *boardv1.AgentRow, queue string) bool {
	return slices.ContainsFunc(a.GetContacts(), func(c *agentv1.Contact) bool { return c.GetQueue() == queue })
}

// inHandOf tells whether an agent takes from a queue of that name.
func (f *floor) inHandOf(a *boardv1.AgentRow, words string) bool {
	for id, q := range f.known.queues {
		if contains(q.GetName()+" "+id, words) && f.known.takes(a, id) {
			return true
		}
	}
	return false
}

func contains(text, words string) bool {
	text = strings.ToLower(text)
	for word := range strings.FieldsSeq(strings.ToLower(words)) {
		if !strings.Contains(text, word) {
			return false
		}
	}
	return true
}

// rooms is how much of an agent's room on each channel is taken.
func rooms(a *boardv1.AgentRow, known map[string]*agentv1.ChannelRoom) string {
	used := map[string]int32{}
	for channel, room := range known {
		if room.GetMaximum() > 0 {
			used[channel] = 0
		}
	}
	for _, c := range a.GetContacts() {
		used[view.ChannelKey(c.GetChannel())] += 0
		switch c.GetState() {
		case agentv1.ContactState_CONTACT_STATE_PAUSED, agentv1.ContactState_CONTACT_STATE_MISSED, agentv1.ContactState_CONTACT_STATE_REJECTED,
			agentv1.ContactState_CONTACT_STATE_ERROR:
			continue // takes no room
		case agentv1.ContactState_CONTACT_STATE_UNSPECIFIED, agentv1.ContactState_CONTACT_STATE_INCOMING, agentv1.ContactState_CONTACT_STATE_PENDING,
			agentv1.ContactState_CONTACT_STATE_CONNECTING, agentv1.ContactState_CONTACT_STATE_CONNECTED,
			agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_ENDED:
		}
		used[view.ChannelKey(c.GetChannel())] += max(1, c.GetWeight())
	}
	var all []string
	for _, channel := range slices.Sorted(maps.Keys(used)) {
		all = append(all, channel+"="+count(used[channel])+"/"+count(max(known[channel].GetMaximum(), 1)))
	}
	return strings.Join(all, " ")
}

// grouped puts agents into the groups that a choice asks for, an agent of two teams into both, and leaves out whom its filter does not let in.
func (f *floor) grouped(c choice, agents []agentRow) (groups []group, left int) {
	byID := map[string]*group{}
	for _, a := range agents {
		for _, id := range f.groupsOf(c, a.AgentRow) {
			g := byID[id]
			if g == nil {
				g = &group{groupHead: groupHead{id: id, title: f.known.teamName(id), queue: c.by == byQueue}}
				if g.queue {
					g.title = f.known.queueName(id)
				}
				byID[id] = g
			}
			g.groupHead = g.counted(a.state)
			if c.states.lets(a.state, a.alarmed) {
				a.in = id
				g.agents = append(g.agents, a)
			}
		}
	}
	for _, g := range byID {
		groups = append(groups, *g)
	}
	slices.SortFunc(groups, func(a, b group) int { // who is in none comes last
		return cmp.Or(cmp.Compare(bit(a.id == ""), bit(b.id == "")), cmp.Compare(strings.ToLower(a.title), strings.ToLower(b.title)), cmp.Compare(a.id, b.id))
	})
	shown := 0
	for i := range groups {
		fits := min(len(groups[i].agents), most-shown)
		left += len(groups[i].agents) - fits
		groups[i].agents = groups[i].agents[:fits]
		shown += fits
	}
	return groups, left
}

// groupsOf are the groups that an agent stands in.
func (f *floor) groupsOf(c choice, a *boardv1.AgentRow) []string {
	var ids []string
	if c.by == byQueue {
		for id := range f.known.queues {
			if f.known.takes(a, id) && (c.queue == "" || c.queue == id) {
				ids = append(ids, id)
			}
		}
	} else {
		for _, id := range a.GetTeams() {
			if c.team == "" || c.team == id {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return []string{""}
	}
	return ids
}

// counted is a head with one more agent.
func (g groupHead) counted(s state) groupHead {
	switch s {
	case available:
		g.available++
	case onContact, onHold, otherCall, ringing:
		g.busy++
	case wrapUp:
		g.wrapUp++
	case away, notResponding, vanished:
		g.away++
	case offline:
		g.off++
	}
	return g
}

// sum counts each queue and each agent once.
func sum(queues []queueRow, agents []agentRow) (s sums) {
	for _, q := range queues {
		s.waiting += q.GetWaiting()
		s.inContact += q.GetInContact()
		s.answeredWithin += q.GetCounts().GetAnsweredWithin()
		s.counted += q.GetCounts().GetEntered() - q.GetWaiting() - q.GetCounts().GetShortAbandoned()
		s.late = s.late || q.late
		if at := q.GetOldestEnteredAt(); at != nil && (s.oldest.IsZero() || at.AsTime().Before(s.oldest)) {
			s.oldest = at.AsTime()
		}
	}
	for i, filter := range stateFilters() {
		for _, a := range agents {
			s.agents[i] += bit(filter.lets(a.state, a.alarmed))
		}
	}
	return s
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// everything is all of a sight.
func everything(s *sight) []templ.Component {
	return []templ.Component{alertList(s), sumTiles(s), newQueueBody(s), stateTabs(s), floorAgents(s)}
}

// changed are the parts of a page that show something else by now: rows where the same ones stand in the same order, else what holds them.
func changed(before, after *sight) (parts []templ.Component) {
	if !slices.EqualFunc(before.alerts, after.alerts, alertRow.same) {
		parts = append(parts, alertList(after))
	}
	if before.sums != after.sums {
		parts = append(parts, sumTiles(after), stateTabs(after))
	}
	if slices.EqualFunc(before.queues, after.queues, func(a, b queueRow) bool { return a.GetQueue() == b.GetQueue() }) {
		for i, q := range after.queues {
			if q != before.queues[i] {
				parts = append(parts, newQueueLine(q))
			}
		}
	} else {
		parts = append(parts, newQueueBody(after))
	}
	if before.left != after.left || !slices.EqualFunc(before.groups, after.groups, func(a, b group) bool { return a.id == b.id && a.title == b.title }) {
		return append(parts, floorAgents(after))
	}
	for i, g := range after.groups {
		parts = append(parts, changedGroup(before.groups[i], g)...)
	}
	return parts
}

func changedGroup(before, after group) (parts []templ.Component) {
	same := slices.EqualFunc(before.agents, after.agents, func(a, b agentRow) bool { return a.GetAgentId() == b.GetAgentId() })
	if !same {
		return []templ.Component{groupPart(after)}
	}
	if before.groupHead != after.groupHead {
		parts = append(parts, groupTitle(after.groupHead))
	}
	for i, a := range after.agents {
		if a != before.agents[i] {
			parts = append(parts, agentTile(a))
		}
	}
	return parts
}
