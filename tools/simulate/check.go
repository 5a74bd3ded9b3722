package simulate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
)

// Checker compares what a server tells of a day that is played with its truth.
type Checker struct {
	*Player
	// Ignore are last parts of names of fields that are not compared.
	Ignore map[string]bool
	// Settled is how long what reports look up, such as the directory, may be behind what they contain; 30 s where it is 0.
	Settled time.Duration

	mu     sync.Mutex
	found  []Difference
	tally  map[string]int    // what was compared
	shares map[string]string // names of assignments by their ids
}

// Difference is something that the server tells otherwise than it was.
type Difference struct {
	// Of what: "queue d-q01", and which reading of it: "board at 10:00:00.000".
	Reading, Of   string
	Field         string
	Server, Truth string
	// Known is what the truth knows of it, in lines.
	Known string
}

// Differences are all that were found.
func (c *Checker) Differences() []Difference { return c.found }

func (c *Checker) compared(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.tally == nil {
		c.tally = map[string]int{}
	}
	c.tally[what] += n
}

// compare notes the fields in which the server differs.
func (c *Checker) compare(reading, of string, server, truth fields, known func() string) {
	c.compared("fields", len(truth))
	told := false
	for _, d := range differences(server, truth) {
		if c.Ignore[d.field[strings.LastIndexAny(d.field, ".]")+1:]] {
			continue
		}
		diff := Difference{Reading: reading, Of: of, Field: d.field, Server: d.server, Truth: d.truth}
		if known != nil && !told {
			diff.Known, told = known(), true
		}
		c.mu.Lock()
		c.found = append(c.found, diff)
		c.mu.Unlock()
	}
}

// inOrder keeps the contacts of a state in the order of their begin.
func inOrder(f fields, contacts []*agentv1.Contact) {
	for n := 1; n < len(contacts); n++ {
		a, b := contacts[n-1], contacts[n]
		if c := a.GetOfferedAt().AsTime().Compare(b.GetOfferedAt().AsTime()); c > 0 || c == 0 && a.GetAssignmentId() > b.GetAssignmentId() {
			f.set("order of contacts", fmt.Sprintf("%d and %d are the wrong way round", n-1, n))
		}
	}
}

// identify holds together which assignment has which id.
func (c *Checker) identify(f fields, id, name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shares == nil {
		c.shares = map[string]string{}
	}
	for _, known := range [][2]string{{id, name}, {name, id}} {
		if before := c.shares[known[0]]; before != "" && before != known[1] {
			f.set("assignment_id of "+known[0], known[1]+", and before "+before)
		}
		c.shares[known[0]] = known[1]
	}
}

// Moments are random moments of the day, in order, each a millisecond of its own.
func (d *Day) Moments(n int, seed uint64) []int64 {
	random := rand.New(rand.NewPCG(seed, 0xc4ec)) //nolint:gosec // random, not secret
	from := d.Start.UnixNano()
	length := d.End().UnixNano() - from
	all := make([]int64, n)
	for i := range all {
		at := from + random.Int64N(length)
		all[i] = at - at%int64(time.Millisecond)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Board compares the board with what it is by a moment, up to which the day was played.
func (c *Checker) Board(ctx context.Context, known int64) error {
	before := time.Now().UnixNano()
	answer, err := boardv1.NewBoardServiceClient(c.Conn).Get(ctx, &boardv1.GetRequest{
		Since: timestamppb.New(c.Day.Since()), MinPositions: c.Positions(),
	})
	if err != nil {
		return fmt.Errorf("simulate: get the board: %w", err)
	}
	after := time.Now().UnixNano()
	best := c.board(answer.GetRows(), known, after)
	if len(best) > 0 { // a deadline that passed meanwhile may have passed on either side
		if earlier := c.board(answer.GetRows(), known, before); len(earlier) < len(best) {
			best = earlier
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.found = append(c.found, best...)
	return nil
}

// board compares rows.
func (c *Checker) board(rows *boardv1.Rows, known, clock int64) []Difference {
	truth := c.Day.Board(known, clock)
	reading := "board at " + at(known)
	try := &Checker{Player: c.Player, Ignore: c.Ignore, shares: c.shares}
	queues, teams, agents := map[string]*boardv1.QueueRow{}, map[string]*boardv1.TeamRow{}, map[string]*boardv1.AgentRow{}
	for _, r := range rows.GetQueues() {
		queues[r.GetQueue()] = r
	}
	for _, r := range rows.GetTeams() {
		teams[r.GetTeam()] = r
	}
	for _, r := range rows.GetAgents() {
		agents[r.GetAgentId()] = r
	}
	for _, row := range truth.Queues {
		f, server := c.ofQueueRow(row, c.Day.Since()), fields(nil)
		if r := queues[row.Queue.ID]; r != nil {
			server = ofQueueRowProto(r, f)
		}
		delete(queues, row.Queue.ID)
		try.compare(reading, "queue "+row.Queue.ID, server, f, func() string { return c.Day.explainQueue(row.Queue, known) })
	}
	for _, row := range truth.Teams {
		server := fields(nil)
		if r := teams[row.Team.ID]; r != nil {
			server = ofTeamRowProto(r)
		}
		delete(teams, row.Team.ID)
		try.compare(reading, "team "+row.Team.ID, server, ofTeamRow(row), nil)
	}
	for _, s := range truth.Agents {
		server := fields(nil)
		if r := agents[s.Agent.ID]; r != nil {
			server = c.ofAgentRowProto(r)
			inOrder(server, r.GetContacts())
			for _, h := range r.GetContacts() {
				try.identify(server, h.GetAssignmentId(), shareName(c.name(h.GetThreadId()), when(h.GetOfferedAt())))
			}
		}
		delete(agents, s.Agent.ID)
		try.compare(reading, "agent "+s.Agent.ID, server, ofAgentRow(s, known), func() string { return c.Day.Explain(s.Agent, known) })
	}
	// Rows of the day that should not be there; others have other names.
	for _, id := range slices.Sorted(maps.Keys(queues)) {
		c.stray(try, reading, "queue", id)
	}
	for _, id := range slices.Sorted(maps.Keys(teams)) {
		c.stray(try, reading, "team", id)
	}
	for _, id := range slices.Sorted(maps.Keys(agents)) {
		c.stray(try, reading, "agent", id)
	}
	c.mu.Lock()
	c.shares = try.shares
	c.mu.Unlock()
	c.compared("boards", 1)
	c.compared("rows of boards", len(truth.Queues)+len(truth.Teams)+len(truth.Agents))
	c.compared("fields", try.tally["fields"])
	return try.found
}

func (c *Checker) stray(try *Checker, reading, kind, id string) {
	if strings.HasPrefix(id, c.Day.Name) {
		try.compare(reading, kind+" "+id, fields{"row": "is there"}, fields{}, nil)
	}
}

// States compares states of agents at random moments of the past.
func (c *Checker) States(ctx context.Context, moments []int64, seed uint64) error {
	service := agentv1.NewAgentServiceClient(c.Conn)
	random := rand.New(rand.NewPCG(seed, 0xa7)) //nolint:gosec // random, not secret
	positions := c.Positions()
	g, ctx := parallel(ctx)
	for _, moment := range moments {
		a := c.Day.Agents[random.IntN(len(c.Day.Agents))]
		g.Go(func() error {
			answer, err := service.At(ctx, &agentv1.AtRequest{AgentId: a.ID, At: stamp(moment), MinPositions: positions})
			if err != nil {
				return fmt.Errorf("simulate: ask for the state of %s at %s: %w", a.ID, at(moment), err)
			}
			c.State(answer.GetState(), c.Day.StateAt(a, moment), "at "+at(moment), moment)
			return nil
		})
	}
	return g.Wait()
}

// State compares a state of an agent; limit is up to when something is known.
func (c *Checker) State(server *agentv1.AgentState, truth State, reading string, limit int64) {
	f := c.ofStateProto(server, truth)
	inOrder(f, server.GetContacts())
	for _, h := range server.GetContacts() {
		c.identify(f, h.GetAssignmentId(), shareName(c.name(h.GetThreadId()), when(h.GetOfferedAt())))
	}
	c.compared("states", 1)
	c.compare(reading, "agent "+truth.Agent.ID, f, ofState(truth, limit), func() string { return c.Day.Explain(truth.Agent, limit) })
}

// Same tells whether the server tells the truth of a state; it notes nothing.
func (c *Checker) Same(server *agentv1.AgentState, truth State, limit int64) bool {
	c.mu.Lock()
	try := &Checker{Player: c.Player, Ignore: c.Ignore, shares: maps.Clone(c.shares)}
	c.mu.Unlock()
	try.State(server, truth, "", limit)
	return len(try.found) == 0
}

// parallel asks for a few things at once.
func parallel(ctx context.Context) (*errgroup.Group, context.Context) {
	const atOnce = 8
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	return g, ctx
}

// Days compares what every agent did all day, and how long that took in all.
func (c *Checker) Days(ctx context.Context) error {
	service := agentv1.NewAgentServiceClient(c.Conn)
	positions := c.Positions()
	g, ctx := parallel(ctx)
	for _, a := range c.Day.Agents {
		g.Go(func() error {
			answer, err := service.Intervals(ctx, &agentv1.IntervalsRequest{
				AgentId: a.ID, From: timestamppb.New(c.Day.Since()), Until: timestamppb.New(c.Day.End()), MinPositions: positions,
			})
			if err != nil {
				return fmt.Errorf("simulate: ask for the intervals of %s: %w", a.ID, err)
			}
			c.day(a, answer)
			return nil
		})
	}
	return g.Wait()
}

func (c *Checker) day(a *Agent, answer *agentv1.IntervalsResponse) {
	truth := c.Day.Intervals(a, c.Day.Since().UnixNano(), c.Day.End().UnixNano())
	server, want := c.lines(answer.GetIntervals()), make([]string, 0, len(truth))
	for _, i := range truth {
		want = append(want, at(i.From)+" to "+at(i.Until)+": "+ofInterval(i))
	}
	c.compared("intervals", len(want))
	for n := range max(len(server), len(want)) {
		s, t := "nothing", "nothing"
		if n < len(server) {
			s = server[n]
		}
		if n < len(want) {
			t = want[n]
		}
		if s != t { // what follows differs as well
			moment := c.Day.End().UnixNano()
			if n < len(truth) {
				moment = truth[n].From
			}
			c.compare("intervals", "agent "+a.ID, fields{fmt.Sprintf("interval %d of %d", n, len(want)): s},
				fields{fmt.Sprintf("interval %d of %d", n, len(want)): t}, func() string { return c.Day.Explain(a, moment) })
			break
		}
	}
	totals := TotalsOf(truth)
	f, w := fields{}, fields{}
	f.set("on_contact", answer.GetTotals().GetOnContact().AsDuration())
	w.set("on_contact", totals.OnContact)
	f.set("occupancy", about(answer.GetTotals().GetOccupancy()))
	w.set("occupancy", about(totals.Occupancy()))
	for name, of := range map[string]map[string]time.Duration{"presence_type": totals.Type, "presence": totals.Presence, "routing_status": totals.Routing} {
		for key, d := range of {
			if key != "" {
				w.set(name+"["+key+"]", d)
			}
		}
	}
	for key, d := range answer.GetTotals().GetPresenceType() {
		f.total("presence_type", key, d.AsDuration())
	}
	for key, d := range answer.GetTotals().GetPresence() {
		f.total("presence", key, d.AsDuration())
	}
	for key, d := range answer.GetTotals().GetRoutingStatus() {
		f.total("routing_status", key, d.AsDuration())
	}
	c.compare("totals of intervals", "agent "+a.ID, f, w, nil)
}

func (f fields) total(name, key string, d time.Duration) {
	if key != "" && d != 0 {
		f.set(name+"["+key+"]", d)
	}
}

// lines writes the server's intervals as the truth's are written. Two that are the same and follow one another are one.
func (c *Checker) lines(all []*agentv1.Interval) (lines []string) {
	last, from := "", ""
	for _, i := range all {
		var contacts []string
		for _, h := range i.GetContacts() {
			c.mu.Lock()
			name := c.shares[h.GetAssignmentId()]
			c.mu.Unlock()
			if name == "" {
				name = "assignment " + h.GetAssignmentId()
			}
			contacts = append(contacts, name+" "+word(h.GetState())+" "+h.GetQueue()+" "+word(h.GetChannel()))
		}
		line := intervalLine(i.GetPresence(), i.GetPresenceType(), i.GetReason(), i.GetVanished(), i.GetRoutingStatus(), contacts)
		if line == last {
			lines = lines[:len(lines)-1]
		} else {
			last, from = line, when(i.GetFrom())
		}
		lines = append(lines, from+" to "+when(i.GetUntil())+": "+line)
	}
	return lines
}

// Contacts compares what every agent had in hand all day.
func (c *Checker) Contacts(ctx context.Context) error {
	service := agentv1.NewAgentServiceClient(c.Conn)
	positions := c.Positions()
	g, ctx := parallel(ctx)
	for _, a := range c.Day.Agents {
		g.Go(func() error {
			request := &agentv1.ContactsRequest{
				AgentId: a.ID, From: timestamppb.New(c.Day.Since()), Until: timestamppb.New(c.Day.End().Add(time.Minute)), PageSize: 200, MinPositions: positions,
			}
			var all []*agentv1.HandledContact
			for {
				page, err := service.Contacts(ctx, request)
				if err != nil {
					return fmt.Errorf("simulate: ask for the contacts of %s: %w", a.ID, err)
				}
				all = append(all, page.GetContacts()...)
				if request.PageToken = page.GetNextPageToken(); request.GetPageToken() == "" {
					break
				}
			}
			c.contacts(a, all)
			return nil
		})
	}
	return g.Wait()
}

func (c *Checker) contacts(a *Agent, all []*agentv1.HandledContact) {
	f, w := fields{}, fields{}
	for n, h := range all {
		name := shareName(c.name(h.GetThreadId()), when(beginOf(h.GetAssignment())))
		prefix := "contacts[" + name + "]."
		c.identify(f, h.GetAssignment().GetId(), name)
		f.ofAssignmentProto(prefix, h.GetAssignment())
		f.set(prefix+"channel", word(h.GetChannel()))
		f.set(prefix+"direction", word(h.GetDirection()))
		f.set(prefix+"inbox", h.GetInbox())
		if n > 0 && beginOf(all[n-1].GetAssignment()).AsTime().Before(beginOf(h.GetAssignment()).AsTime()) {
			f.set("order of contacts", name+" is later than the one before it")
		}
	}
	for _, share := range a.Assignments {
		prefix := "contacts[" + shareName(contactName(share.Contact), at(share.Begin())) + "]."
		w.ofAssignment(prefix, share)
		w.set(prefix+"channel", word(share.Contact.Channel))
		w.set(prefix+"direction", word(share.Contact.Direction))
		w.set(prefix+"inbox", share.Contact.Inbox)
	}
	c.compared("contacts", len(a.Assignments))
	c.compare("contacts", "agent "+a.ID, f, w, nil)
}

// Interactions compares what the conversations tell of visits and assignments: where these are wrong, the states of agents and the board
// cannot be right.
func (c *Checker) Interactions(ctx context.Context) error {
	service := conversationv1.NewConversationServiceClient(c.Conn)
	positions := c.Positions()
	g, ctx := parallel(ctx)
	visits, shares := map[*Contact][]*Visit{}, map[*Contact][]*Assignment{}
	for _, v := range c.Day.Visits {
		visits[v.Contact] = append(visits[v.Contact], v)
	}
	for _, a := range c.Day.Assignments {
		shares[a.Contact] = append(shares[a.Contact], a)
	}
	for _, contact := range c.Day.Contacts {
		for stretch := range contact.Began {
			id := c.opener(contact, stretch)
			if id == "" {
				continue // not played
			}
			g.Go(func() error {
				answer, err := service.Get(ctx, &conversationv1.GetRequest{ConversationId: id, MinPositions: positions})
				if err != nil {
					return fmt.Errorf("simulate: get the conversation of %s: %w", contact.Thread, err)
				}
				f, w := c.interactionFields(answer.GetConversation(), contact, stretch), fields{"interaction": fmt.Sprint(stretch)}
				for _, v := range visits[contact] {
					if v.Stretch == stretch {
						w.ofVisit("visits["+at(v.Entered)+"].", v)
					}
				}
				for _, a := range shares[contact] {
					if a.Stretch == stretch {
						w.ofAssignment("assignments["+at(a.Begin())+"].", a)
					}
				}
				c.compared("interactions", 1)
				c.compare("conversation", "contact "+contact.Thread+" of "+contact.Provider, f, w, func() string { return c.Day.explainContact(contact) })
				return nil
			})
		}
	}
	return g.Wait()
}

// interactionFields takes the interaction of a contact apart that is at a place among those of its thread.
func (c *Checker) interactionFields(conversation *conversationv1.Conversation, contact *Contact, stretch int) fields {
	f := fields{}
	for _, i := range conversation.GetInteractions() {
		if c.name(i.GetThreadId()) != contactName(contact) || i.GetStartedAt().AsTime().UnixNano() != contact.Began[stretch] {
			continue // another, which a link joins with it
		}
		f.set("interaction", stretch)
		for _, v := range i.GetVisits() {
			f.ofVisitProto("visits["+when(v.GetEnteredAt())+"].", v)
		}
		for _, a := range i.GetAssignments() {
			c.identify(f, a.GetId(), shareName(contactName(contact), when(beginOf(a))))
			f.ofAssignmentProto("assignments["+when(beginOf(a))+"].", a)
		}
	}
	return f
}

func (f fields) ofVisit(prefix string, v *Visit) {
	f.set(prefix+"queue", v.Queue.Raw)
	f.set(prefix+"left_at", at(v.Left))
	f.set(prefix+"outcome", word(v.Outcome))
	f.set(prefix+"target", v.To)
	f.set(prefix+"sla_target", v.Target)
}

func (f fields) ofVisitProto(prefix string, v *conversationv1.QueueVisit) {
	f.set(prefix+"queue", v.GetQueue())
	f.set(prefix+"left_at", when(v.GetLeftAt()))
	f.set(prefix+"outcome", word(v.GetOutcome()))
	f.set(prefix+"target", v.GetTarget())
	f.set(prefix+"sla_target", v.GetSlaTarget().AsDuration())
}

// All compares everything that can be asked once the day is over: interactions, states at moments, days and contacts. What the server does
// not serve is an error.
func (c *Checker) All(ctx context.Context, moments []int64, seed uint64) error {
	return errors.Join(c.Interactions(ctx), c.States(ctx, moments, seed), c.Days(ctx), c.Contacts(ctx))
}

// Report writes what was compared and every difference: first how many there are of a kind, then each, with what the truth knows of it.
func (c *Checker) Report(w io.Writer, most int) {
	var compared []string
	for _, what := range slices.Sorted(maps.Keys(c.tally)) {
		compared = append(compared, fmt.Sprintf("%s %d", what, c.tally[what]))
	}
	fmt.Fprintf(w, "compared: %s\ndifferences: %d\n", strings.Join(compared, ", "), len(c.found))
	kinds := map[string]int{}
	for _, d := range c.found {
		reading, _, _ := strings.Cut(d.Reading, " at ")
		kind, _, _ := strings.Cut(d.Of, " ")
		kinds[reading+" | "+kind+" | "+d.Field[strings.LastIndexAny(d.Field, ".]")+1:]]++
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		fmt.Fprintf(w, "  %6d  %s\n", kinds[kind], kind)
	}
	for n, d := range c.found {
		if n == most {
			fmt.Fprintf(w, "... and %d more\n", len(c.found)-most)
			break
		}
		fmt.Fprintf(w, "%s, %s: %s\n    server: %s\n    truth:  %s\n", d.Reading, d.Of, d.Field, d.Server, d.Truth)
		if d.Known != "" {
			fmt.Fprintf(w, "    what happened:\n%s", d.Known)
		}
	}
}
