package bench

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// queuesPerTeam is how many queues a team takes from. Nobody waits in the last of them but those who come while it is watched.
	queuesPerTeam = 10
	// forecastDays is how far back the history of the queue goes that is forecast.
	forecastDays = 42
	// dayContacts is how many contacts one agent of each team had in the last hours, and dayBreaks how many breaks.
	dayContacts, dayBreaks = 60, 12
	// shift is how long that agent has been there.
	shift = 10 * time.Hour
)

// floor is a contact centre: teams of agents, and queues. The first agent of each team has a day behind; three of ten have a contact in hand,
// two of ten get one while it is watched, and the presence of four of ten changes meanwhile.
type floor struct {
	events         *events
	agents, queues int // both multiples of teams
	teams, seats   int
	visits         int // of the queue that is forecast
	began          time.Time
	last           int64 // moment that was handed out
	next           int   // number of the event that happens next
}

func (b *bench) newFloor() *floor {
	f := &floor{events: b.events, teams: max(1, b.Queues/queuesPerTeam), visits: b.Visits, began: time.Now()}
	f.seats = max(10, b.Agents/f.teams)
	f.agents, f.queues = f.teams*f.seats, f.teams*queuesPerTeam
	return f
}

func teamID(n int) string  { return fmt.Sprintf("team-%03d", n) }
func queueID(n int) string { return fmt.Sprintf("queue-%04d", n) }
func agentID(n int) string { return fmt.Sprintf("agent-%05d", n) }

// seat is an agent of a team.
func (f *floor) seat(team, n int) string { return agentID(n*f.teams + team) }

// share is the first seat behind so many tenths of a team.
func (f *floor) share(tenths int) int { return f.seats * tenths / 10 }

// quiet is the queue of a team in which nobody waits at the begin.
func (f *floor) quiet(team int) string { return queueID((queuesPerTeam-1)*f.teams + team) }

// now is a moment that no other event has.
func (f *floor) now() time.Time {
	f.last = max(f.last+1, time.Now().UnixNano())
	return time.Unix(0, f.last)
}

// contact is an event of one contact; agent is empty where none does it.
func (f *floor) contact(thread string, customer int, typ, queue, agent string, at time.Time, body *eventv1.Content) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, OccurredAt: timestamppb.New(at), Channel: eventv1.Channel_CHANNEL_VOICE, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "bench", Inbox: "hotline", Thread: thread, NativeId: typ, Queue: queue, Content: body,
		Parties: []*eventv1.SubmittedParty{
			{Address: f.events.address(customer, 3), Role: eventv1.PartyRole_PARTY_ROLE_INITIATOR, Side: eventv1.Side_SIDE_CUSTOMER},
		},
	}
	if agent != "" {
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: agent}
	}
	return s
}

// presence is an event of an agent.
func (f *floor) presence(agent, presence string, typ eventv1.PresenceType, at time.Time) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeAgentPresenceChanged, OccurredAt: timestamppb.New(at), Provider: "bench", Inbox: "bench", Thread: agent,
		NativeId: fmt.Sprint(at.UnixNano()), Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: agent},
		Content: &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{
			AgentPresenceChanged: &eventv1.AgentPresenceChanged{Presence: presence, Type: typ},
		}},
	}
}

func (f *floor) available(agent string, at time.Time) *eventv1.Submission {
	return f.presence(agent, "Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE, at)
}

func (f *floor) pause(agent string, at time.Time) *eventv1.Submission {
	return f.presence(agent, "Break", eventv1.PresenceType_PRESENCE_TYPE_CUSTOM, at)
}

// directory has everybody.
func (f *floor) directory() (entries []*eventv1.DirectoryUpdated) {
	from := timestamppb.New(f.began.Add(-2 * forecastDays * 24 * time.Hour))
	for n := range f.teams {
		entries = append(entries, &eventv1.DirectoryUpdated{
			Kind: directory.Team, Id: teamID(n), ValidFrom: from,
			Entry: &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{Name: fmt.Sprint("Team ", n)}},
		})
	}
	for n := range f.queues {
		entries = append(entries, &eventv1.DirectoryUpdated{
			Kind: directory.Queue, Id: queueID(n), ValidFrom: from,
			Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{
				Name: fmt.Sprint("Queue ", n), Teams: []string{teamID(n % f.teams)},
				ServiceLevel: &eventv1.ServiceLevel{Within: durationpb.New(20 * time.Second), Goal: 0.8},
			}},
		})
	}
	for n := range f.agents {
		entries = append(entries, &eventv1.DirectoryUpdated{
			Kind: directory.Agent, Id: agentID(n), ValidFrom: from,
			Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{
				Name: fmt.Sprint("Agent ", n), Teams: []string{teamID(n % f.teams)},
				Capacity: map[string]*eventv1.ChannelCapacity{"voice": {Maximum: 1}},
			}},
		})
	}
	return entries
}

// attendance is that everybody has signed in, and what the first of each team did all day.
func (f *floor) attendance() (all []*eventv1.Submission) {
	for n := range f.agents {
		if n >= f.teams {
			all = append(all, f.available(agentID(n), f.began.Add(-2*time.Hour)))
			continue
		}
		begin := f.began.Add(-shift)
		all = append(all, f.available(agentID(n), begin))
		for k := range dayBreaks {
			at := begin.Add(shift * time.Duration(k+1) / (dayBreaks + 1))
			all = append(all, f.pause(agentID(n), at), f.available(agentID(n), at.Add(5*time.Minute)))
		}
	}
	return all
}

// handled is a contact that is over.
func (f *floor) handled(thread string, n int, queue, agent string, at time.Time) []*eventv1.Submission {
	wait, handle := time.Duration(5+n%30)*time.Second, time.Duration(90+n%180)*time.Second
	begin := f.contact(thread, n, event.TypeQueueEntered, queue, "", at, nil)
	end := func(at time.Time) *eventv1.Submission {
		return f.contact(thread, n, event.TypeInteractionEnded, "", "", at, nil)
	}
	if n%10 == 0 {
		return []*eventv1.Submission{begin, f.contact(thread, n, event.TypeQueueLeft, queue, "", at.Add(wait), &eventv1.Content{
			Body: &eventv1.Content_QueueLeft{QueueLeft: &eventv1.QueueLeft{Outcome: eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED}},
		}), end(at.Add(wait))}
	}
	return []*eventv1.Submission{
		begin,
		f.contact(thread, n, event.TypeAssignmentConnected, queue, agent, at.Add(wait), nil),
		f.contact(thread, n, event.TypeAssignmentEnded, queue, agent, at.Add(wait+handle), nil),
		end(at.Add(wait + handle)),
	}
}

// past is what came to the queue that is forecast, and what the first agent of each team had in hand today.
func (f *floor) past() (all []*eventv1.Submission) {
	const history = forecastDays * 24 * time.Hour
	for n := range f.visits {
		at := f.began.Add(-history).Add(history / time.Duration(f.visits) * time.Duration(n))
		if f.began.Sub(at) < shift+time.Hour { // the rest is of today
			break
		}
		all = append(all, f.handled(fmt.Sprint("past-", n), n, queueID(0), agentID(n%f.teams), at)...)
	}
	for team := range f.teams {
		for k := range dayContacts {
			at := f.began.Add(-shift).Add(shift / (dayContacts + 1) * time.Duration(k))
			all = append(all, f.handled(fmt.Sprint("day-", team, "-", k), 1+k*10, queueID(team), agentID(team), at)...)
		}
	}
	return all
}

// present is what waits and what is in hand.
func (f *floor) present() (all []*eventv1.Submission) {
	busy := f.share(3)
	n := 0
	for seat := 1; seat <= busy; seat++ {
		for team := range f.teams {
			at := f.began.Add(-20 * time.Minute).Add(time.Duration(n) * 100 * time.Millisecond)
			queue, agent := queueID(seat%(queuesPerTeam-1)*f.teams+team), f.seat(team, seat)
			waiting, inHand := fmt.Sprint("waiting-", n), fmt.Sprint("in-hand-", n)
			all = append(all,
				f.contact(inHand, n, event.TypeQueueEntered, queue, "", at, nil),
				f.contact(inHand, n, event.TypeAssignmentOffered, queue, agent, at.Add(time.Second), nil),
				f.contact(inHand, n, event.TypeAssignmentConnected, queue, agent, at.Add(3*time.Second), nil),
				f.contact(waiting, f.agents+n, event.TypeQueueEntered, queue, "", at, nil),
			)
			n++
		}
	}
	return all
}

// happening is an event that is watched: it shows as its moment in a row of its agent, or of its queue where there is none.
type happening struct {
	agent, queue, team string
	at                 int64
	acknowledged       time.Time
}

// happen makes the next event: in turn one of an agent's presence, and one of a contact, of which as many go on as there are teams.
func (f *floor) happen() (*eventv1.Submission, *happening) {
	n := f.next / 2
	f.next++
	at := f.now()
	team := n % f.teams
	h := &happening{team: teamID(team), at: at.UnixNano()}
	if f.next%2 == 1 {
		first := f.share(6)
		h.agent = f.seat(team, first+n/f.teams%(f.seats-first))
		if n/f.teams/(f.seats-first)%2 == 0 {
			return f.pause(h.agent, at), h
		}
		return f.available(h.agent, at), h
	}
	steps := []string{
		event.TypeQueueEntered, event.TypeAssignmentOffered, event.TypeAssignmentConnected, event.TypeAssignmentEnded, event.TypeWrapupStarted,
		event.TypeWrapupEnded,
	}
	round, step := n/f.teams/len(steps), n/f.teams%len(steps)
	queue := f.quiet(team)
	if step == 0 {
		h.queue = queue
	} else {
		h.agent = f.seat(team, f.share(4)+round%(f.share(6)-f.share(4)))
	}
	return f.contact(fmt.Sprint("live-", round, "-", team), round*f.teams+team, steps[step], queue, h.agent, at, nil), h
}

// fill sets the floor up on a site, and waits until its board shows it.
func (f *floor) fill(ctx context.Context, b *bench, s *site) error {
	entries := f.directory()
	b.say("  putting %s entries into the directory ...", count(len(entries)))
	n := 0
	for some := range slices.Chunk(entries, perCall) {
		n++
		_, err := directoryv1.NewDirectoryServiceClient(s.conns[0]).Put(ctx, &directoryv1.PutRequest{Entries: some, RequestId: fmt.Sprint("bench-", n)})
		if err != nil {
			return fmt.Errorf("put: %s", rpc.Explain(err))
		}
	}
	var positions []*eventv1.Position
	for _, all := range [][]*eventv1.Submission{f.attendance(), append(f.past(), f.present()...)} {
		b.say("  handing %s events in ...", count(len(all)))
		last, err := s.publish(ctx, len(all), func(i int) *eventv1.Submission { return all[i] })
		if err != nil {
			return err
		}
		positions = append(positions, last...)
	}
	return s.shown(ctx, positions)
}

// shown waits until the board contains positions.
func (s *site) shown(ctx context.Context, positions []*eventv1.Position) error {
	ctx, cancel := context.WithTimeout(ctx, 5*patience)
	defer cancel()
	for {
		_, err := boardv1.NewBoardServiceClient(s.conns[0]).Get(ctx, &boardv1.GetRequest{
			Filter: &boardv1.BoardFilter{Queues: []string{queueID(0)}, WithoutTeams: true, WithoutAgents: true}, MinPositions: positions,
		})
		if err == nil {
			return nil
		}
		if _, again := rpc.RetryAfter(err); !again || ctx.Err() != nil {
			return fmt.Errorf("get of the board: %s", rpc.Explain(err))
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}
