package simulate

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/directory"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The providers of the day's events.
const (
	// PBX is a switch that tells little: no ids of waits and shares, no end of a share or a wait where the caller hangs up, no end of
	// after-call work.
	PBX = "pbx"
	// Cloud is a switch that tells everything.
	Cloud = "cloudtel"
	// Desk is where agents chat and message. Those who chat have their presence there, beside that at their switch.
	Desk = "webdesk"
	// Mailroom hands mails out.
	Mailroom = "mailroom"
	// Control is what supervisors sign agents out with.
	Control = "skein"
)

// maker is what a provider tells.
type maker struct {
	name                                                            string
	namesVisits, namesAssignments, namesInteractions, namesCustomer bool
	// terse: what an end of an interaction implies is not told.
	terse bool
	// accepts: it tells that an offer is accepted before agent and customer can talk.
	accepts bool
	// endsWrapup: it tells the end of after-call work.
	endsWrapup bool
}

func makerOf(provider string) maker {
	switch provider {
	case PBX:
		return maker{name: PBX, terse: true}
	case Cloud:
		return maker{name: Cloud, namesVisits: true, namesAssignments: true, namesCustomer: true, accepts: true, endsWrapup: true}
	case Desk:
		return maker{name: Desk, namesAssignments: true, namesInteractions: true, accepts: true, endsWrapup: true}
	}
	return maker{name: Mailroom, namesVisits: true, endsWrapup: true}
}

// Team is agents who work together.
type Team struct {
	ID, Name   string
	Supervisor *Agent
	Agents     []*Agent // the supervisor first
	telephone  string   // provider of its calls
}

// Queue is where contacts wait.
type Queue struct {
	Number   int
	ID, Name string
	Channel  eventv1.Channel
	Teams    []*Team
	Skills   []string
	// Raw is what its provider calls it.
	Provider, Raw string
	Inbox         string
	// Within is the service level of the directory; 0 for none, so that the usual one counts. Target is what visits carry, 0 for none.
	Within, Target, ShortAbandon time.Duration
	patience                     time.Duration
}

// Agent is a person who handles contacts, or leads those who do.
type Agent struct {
	Number   int
	ID, Name string
	Team     *Team
	Skills   map[string]int32
	Leads    bool
	// Capacity as the directory has it; Capacities as connectors state it later.
	Capacity map[string]Slots
	// Assignments are all of the agent's, in order of their begin.
	Assignments []*Assignment
	// Statements are what connectors tell of the agent, in order of the times that they state.
	Statements []*Statement

	telephone    string // provider; empty for who does not speak
	desk         bool
	ext          string // at the telephone's provider
	extFrom      int64  // from when on the extension is the agent's, where it was another's before
	extUntil     int64
	login        string // at every provider; empty where the own id is used
	reports      bool   // the switch reports the routing status
	beats        bool   // the desk sends heartbeats
	begin, until int64  // of the shift

	working
	indexed
}

// Slots are room on a channel.
type Slots struct{ Maximum, Weight int32 }

// pattern is the channels of queues, in order.
func pattern(n int) eventv1.Channel {
	const voice, chat, mail, social = eventv1.Channel_CHANNEL_VOICE, eventv1.Channel_CHANNEL_WEB_CHAT, eventv1.Channel_CHANNEL_EMAIL,
		eventv1.Channel_CHANNEL_SOCIAL_MESSAGE
	all := []eventv1.Channel{voice, chat, mail, social, voice, chat, voice, voice, mail, chat}
	return all[n%len(all)]
}

// people hires them.
func (s *sim) people() {
	const perTeam, mostTeams = 12, 20
	teams := min(max(2, s.Config.Agents/perTeam), mostTeams)
	for n := range teams {
		t := &Team{ID: fmt.Sprintf("%s-t%02d", s.Name, n), Name: fmt.Sprintf("Team %d", n), telephone: PBX}
		if n%2 == 1 {
			t.telephone = Cloud
		}
		s.Teams = append(s.Teams, t)
	}
	for n := range s.Config.Queues {
		s.openQueue(n)
	}
	for n := range s.Config.Agents {
		s.hire(n)
	}
	for _, q := range s.Queues {
		s.staff(q)
	}
	s.waiting = make([][]*Contact, len(s.Queues))
	s.capacities()
	work := float64(s.Config.Agents) * s.Length.Seconds() * 0.45
	s.scale = min(max(work/(float64(max(s.Config.Contacts, 1))*200), 0.02), 3)
}

func (s *sim) openQueue(n int) {
	q := &Queue{
		Number: n, ID: fmt.Sprintf("%s-q%02d", s.Name, n), Name: fmt.Sprintf("Queue %d", n), Channel: pattern(n),
		Skills: []string{fmt.Sprintf("product-%d", n)},
	}
	if n%5 == 3 {
		q.Skills = append(q.Skills, "german")
	}
	first := s.Teams[n%len(s.Teams)]
	q.Teams = []*Team{first}
	second := s.Teams[(n+2)%len(s.Teams)] // of the same telephone
	if second != first && (second.telephone == first.telephone || q.Channel != eventv1.Channel_CHANNEL_VOICE) {
		q.Teams = append(q.Teams, second)
	}
	q.Raw, q.Inbox = q.ID, s.Name+"-"+strings.ToLower(strings.TrimPrefix(q.Channel.String(), "CHANNEL_"))
	switch q.Channel {
	case eventv1.Channel_CHANNEL_VOICE:
		q.Provider, q.patience = first.telephone, 150*time.Second
		q.Raw = fmt.Sprintf("%s/%d", s.Name, 800+n)
		q.Within, q.ShortAbandon = 20*time.Second, 5*time.Second
	case eventv1.Channel_CHANNEL_EMAIL:
		q.Provider = Mailroom
		q.Within = 30 * time.Minute
	default:
		q.Provider, q.patience = Desk, 240*time.Second
	}
	switch n % 4 { // where nobody states a target, 20 s count
	case 1:
		q.Target = 45 * time.Second
	case 2:
		q.Within, q.ShortAbandon = 0, 0
	}
	s.Queues = append(s.Queues, q)
}

func (s *sim) hire(n int) {
	team := s.Teams[n%len(s.Teams)]
	a := &Agent{
		Number: n, ID: fmt.Sprintf("%s-a%03d", s.Name, n), Name: fmt.Sprintf("Agent %d", n), Team: team, Skills: map[string]int32{},
		Leads: len(team.Agents) == 0, Capacity: map[string]Slots{}, extUntil: 1<<63 - 1, extFrom: -1 << 63,
	}
	switch nth := n / len(s.Teams); {
	case a.Leads, nth%4 == 1, nth%4 == 3 && s.chance(0.5):
		a.telephone = team.telephone
	case nth%4 == 2:
		a.desk = true
	default:
		a.telephone, a.desk = team.telephone, true
	}
	a.ext = fmt.Sprintf("%s/%d", s.Name, 4000+n)
	if n%3 != 0 {
		a.login = fmt.Sprintf("%s.u%d@work", s.Name, n)
	}
	a.reports = a.telephone == Cloud && n%7 == 1
	a.beats = a.desk && (a.telephone == "" || s.chance(0.3))
	for _, q := range s.Queues {
		if slices.Contains(q.Teams, team) && s.chance(0.8) {
			for _, skill := range q.Skills {
				a.Skills[skill] = int32(s.random.IntN(11))
			}
		}
	}
	if a.Leads {
		team.Supervisor = a
	}
	team.Agents = append(team.Agents, a)
	s.Agents = append(s.Agents, a)
}

// staff makes sure that somebody can take from a queue.
func (s *sim) staff(q *Queue) {
	able := 0
	for _, t := range q.Teams {
		for _, a := range t.Agents {
			if a.handles(q) {
				able++
			}
		}
	}
	const fewest = 3
	for _, t := range q.Teams {
		for _, a := range t.Agents {
			if able >= fewest || a.Leads || a.handles(q) {
				continue
			}
			if q.Channel == eventv1.Channel_CHANNEL_VOICE {
				a.telephone = t.telephone
			} else {
				a.desk = true
			}
			for _, skill := range q.Skills {
				a.Skills[skill] = 5
			}
			able++
		}
	}
}

// has tells whether an agent of one of the queue's teams has all its skills.
func (a *Agent) has(q *Queue) bool {
	if !slices.Contains(q.Teams, a.Team) {
		return false
	}
	for _, skill := range q.Skills {
		if _, ok := a.Skills[skill]; !ok {
			return false
		}
	}
	return true
}

// handles tells whether an agent also has what it takes to speak or write.
func (a *Agent) handles(q *Queue) bool {
	if a.Leads || !a.has(q) {
		return false
	}
	if q.Channel == eventv1.Channel_CHANNEL_VOICE {
		return a.telephone == q.Provider
	}
	return a.desk
}

// capacities writes down how much everybody can take. Some have none on voice: one contact, then.
func (s *sim) capacities() {
	for _, a := range s.Agents {
		if a.telephone != "" && a.Number%5 != 0 {
			a.Capacity["voice"] = Slots{1, 1}
		}
		if a.desk {
			a.Capacity["web_chat"] = Slots{3, 0}
			a.Capacity["social_message"] = Slots{6, 2}
			a.Capacity["email"] = Slots{4, 1}
		}
		a.chats = 3
	}
}

// raw is what a provider calls the agent at a moment.
func (a *Agent) raw(provider string, at int64) string {
	switch {
	case (provider == PBX || provider == Cloud) && at >= a.extFrom && at < a.extUntil:
		return a.ext
	case a.login != "" && provider == Desk:
		return a.login
	}
	return a.ID
}

// Directory gives the entries of the directory.
func (d *Day) Directory() (entries []*eventv1.DirectoryUpdated) {
	from := d.Start.Add(-24 * time.Hour).UnixNano()
	for _, t := range d.Teams {
		entries = append(entries, &eventv1.DirectoryUpdated{
			Kind: directory.Team, Id: t.ID, ValidFrom: stamp(from),
			Entry: &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{Name: t.Name, Supervisors: []string{t.Supervisor.ID}}},
		})
	}
	for _, q := range d.Queues {
		entries = append(entries, q.entry(from))
	}
	for _, a := range d.Agents {
		if a.extFrom > from {
			entries = append(entries, a.entry(from, false))
		}
		entries = append(entries, a.entry(max(from, a.extFrom), true))
		if a.extUntil != 1<<63-1 {
			entries = append(entries, a.entry(a.extUntil, false))
		}
	}
	return entries
}

func (q *Queue) entry(from int64) *eventv1.DirectoryUpdated {
	e := &eventv1.DirectoryQueue{Name: q.Name, Skills: q.Skills}
	for _, t := range q.Teams {
		e.Teams = append(e.Teams, t.ID)
	}
	if q.Raw != q.ID {
		e.Ids = []*eventv1.NativeId{{Provider: q.Provider, Id: q.Raw}}
	}
	if q.Within > 0 {
		e.ServiceLevel = &eventv1.ServiceLevel{Within: durationpb.New(q.Within), Goal: 0.8, ShortAbandon: durationpb.New(q.ShortAbandon)}
	}
	return &eventv1.DirectoryUpdated{
		Kind: directory.Queue, Id: q.ID, ValidFrom: stamp(from), Entry: &eventv1.DirectoryUpdated_Queue{Queue: e},
	}
}

func (a *Agent) entry(from int64, withExt bool) *eventv1.DirectoryUpdated {
	e := &eventv1.DirectoryAgent{Name: a.Name, Teams: []string{a.Team.ID}, Skills: a.Skills, Capacity: map[string]*eventv1.ChannelCapacity{}}
	if withExt && a.telephone != "" {
		e.Ids = append(e.Ids, &eventv1.NativeId{Provider: a.telephone, Id: a.ext})
	}
	if a.login != "" {
		e.Ids = append(e.Ids, &eventv1.NativeId{Id: a.login})
	}
	for _, channel := range slices.Sorted(maps.Keys(a.Capacity)) {
		e.Capacity[channel] = &eventv1.ChannelCapacity{Maximum: a.Capacity[channel].Maximum, Weight: a.Capacity[channel].Weight}
	}
	return &eventv1.DirectoryUpdated{
		Kind: directory.Agent, Id: a.ID, ValidFrom: stamp(from), Entry: &eventv1.DirectoryUpdated_Agent{Agent: e},
	}
}
