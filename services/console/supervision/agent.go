package supervision

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// contactsOnPage is how many contacts of a day are fetched at once.
const contactsOnPage = 100

// dayLayout is how a day is written in an address.
const dayLayout = "2006-01-02"

// agentDay is what the page of an agent shows.
type agentDay struct {
	id     string
	state  *agentv1.AgentState
	known  *book
	at     time.Time // the past moment that is shown; zero for now
	day    stretch
	until  time.Time // how far the day is told
	spans  []span
	totals *agentv1.Totals
	// contacts of the day, a page of them, and the next one
	contacts []*agentv1.HandledContact
	next     string
	// parts are the same on so many lanes.
	parts []part
	deep  int
}

// shown is the part of the day on the strip.
func (d *agentDay) shown(zone *time.Location) stretch { return worked(d.day, d.spans, zone) }

// today tells whether the day goes on.
func (d *agentDay) today() bool { return d.at.IsZero() && time.Now().Before(d.day.until) }

func (d *agentDay) path(parts ...string) string {
	return view.At(view.Supervision, append([]string{"agents", d.id}, parts...)...)
}

func (p *Pages) agent(c *web.Call) error {
	d, err := p.dayOfAgent(c)
	if err != nil {
		return err
	}
	return c.Show(view.Page{Title: agentName(d.state), Section: view.Supervision}, agentPage(d))
}

func agentName(s *agentv1.AgentState) string { return cmp.Or(s.GetName(), s.GetAgentId()) }

// dayOfAgent reads all that the page shows, at once.
func (p *Pages) dayOfAgent(c *web.Call) (*agentDay, error) {
	d := &agentDay{id: c.R.PathValue("agent")}
	var err error
	if d.at, err = moment(c); err != nil {
		return nil, err
	}
	if d.day, err = chosenDay(c, d.at); err != nil {
		return nil, err
	}
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() (err error) {
		d.known, err = p.names(ctx)
		return err
	})
	g.Go(func() error {
		if !d.at.IsZero() {
			answer, err := p.agents.At(ctx, &agentv1.AtRequest{AgentId: d.id, At: timestamppb.New(d.at)})
			d.state = answer.GetState()
			return err
		}
		answer, err := p.agents.Get(ctx, &agentv1.GetRequest{AgentId: d.id})
		d.state = answer.GetState()
		return err
	})
	g.Go(func() error { return p.tell(ctx, d) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	d.place()
	return d, nil
}

// place puts the contacts of the day on lanes.
func (d *agentDay) place() {
	inHand := map[string]bool{}
	if d.today() {
		for _, c := range d.state.GetContacts() {
			inHand[c.GetAssignmentId()] = true
		}
	}
	d.parts, d.deep = lanes(d.contacts, inHand, d.until)
}

// names reads what queues and teams are called.
func (p *Pages) names(ctx context.Context) (*book, error) {
	b := newBook()
	return b, p.stated(ctx, b)
}

// stated reads what the directory says of queues and teams.
func (p *Pages) stated(ctx context.Context, b *book) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		stated, err := p.site.Directory(ctx, "queue")
		for _, e := range stated {
			b.queues[e.GetId()] = e.GetQueue()
		}
		return err
	})
	g.Go(func() error {
		stated, err := p.site.Directory(ctx, "team")
		for _, e := range stated {
			b.teams[e.GetId()] = e.GetTeam()
		}
		return err
	})
	return g.Wait()
}

// tell reads what happened on the day, as far as it has come.
func (p *Pages) tell(ctx context.Context, d *agentDay) error {
	now := time.Now()
	if d.until = earlier(d.day.until, now); !d.day.from.Before(d.until) {
		return nil // it has not begun
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		answer, err := p.agents.Intervals(ctx, &agentv1.IntervalsRequest{AgentId: d.id, From: timestamppb.New(d.day.from), Until: timestamppb.New(d.until)})
		d.spans, d.totals = spansOf(answer.GetIntervals()), answer.GetTotals()
		return err
	})
	g.Go(func() error {
		contacts, next, err := p.contacts(ctx, d.id, d.day, "")
		d.contacts, d.next = contacts, next
		return err
	})
	return g.Wait()
}

func (p *Pages) contacts(ctx context.Context, agent string, day stretch, page string) ([]*agentv1.HandledContact, string, error) {
	answer, err := p.agents.Contacts(ctx, &agentv1.ContactsRequest{
		AgentId: agent, From: timestamppb.New(day.from), Until: timestamppb.New(day.until), PageSize: contactsOnPage, PageToken: page,
	})
	return answer.GetContacts(), answer.GetNextPageToken(), err
}

// olderContacts are those of the day behind the ones that the page shows.
func (p *Pages) olderContacts(c *web.Call) error {
	day, err := chosenDay(c, time.Time{})
	if err != nil {
		return err
	}
	d := &agentDay{id: c.R.PathValue("agent"), day: day}
	if d.contacts, d.next, err = p.contacts(c.Context(), d.id, day, c.Form("page")); err != nil {
		return err
	}
	if d.known, err = p.names(c.Context()); err != nil {
		return err
	}
	d.until = earlier(day.until, time.Now())
	d.place()
	return c.Parts(contactLines(d))
}

// chosenDay is the day that is asked for: that of a past moment, else the one that is named, else today.
func chosenDay(c *web.Call, at time.Time) (stretch, error) {
	if !at.IsZero() {
		return dayOf(c.Context(), at), nil
	}
	text := c.Form("day")
	if text == "" {
		return dayOf(c.Context(), time.Now()), nil
	}
	t, err := time.ParseInLocation(dayLayout, text, lang.Zone(c.Context()))
	if err != nil {
		return stretch{}, web.Bad(lang.T(c.Context(), "write the day as 2026-03-12"))
	}
	return dayOf(c.Context(), t), nil
}

// moment is the past moment that is asked for, in the person's time zone; zero for now.
func moment(c *web.Call) (time.Time, error) {
	t, err := c.Moment("at")
	if err == nil && t.After(time.Now()) {
		err = web.Bad(lang.T(c.Context(), "the moment lies in the future"))
	}
	return t, err
}

// agentStream tells how an agent is, and what that makes of the day.
func (p *Pages) agentStream(c *web.Call) error {
	d, err := p.dayOfAgent(c)
	if err != nil {
		return err
	}
	return c.Stream(func(ctx context.Context, _ string, send func(web.News) error) error {
		g, ctx := errgroup.WithContext(ctx)
		changes := make(chan *agentv1.AgentState)
		g.Go(func() error { return p.watchAgent(ctx, d.id, changes) })
		g.Go(func() error { // the day goes on without an event
			return every(ctx, staffEvery, func() error { return put(ctx, changes, nil) })
		})
		g.Go(func() error {
			return paced(ctx, changes, tellEvery, func(s *agentv1.AgentState) {
				if s != nil {
					d.state = s
				}
			}, func() error {
				if err := p.tell(ctx, d); err != nil {
					return err
				}
				d.place()
				return send(web.News{Parts: dayParts(d)})
			})
		})
		return g.Wait()
	})
}

func (p *Pages) watchAgent(ctx context.Context, id string, changes chan<- *agentv1.AgentState) error {
	watch, err := p.agents.Watch(ctx, &agentv1.WatchRequest{Filter: &agentv1.AgentFilter{AgentIds: []string{id}}})
	if err != nil {
		return err
	}
	return web.Each(watch, func(m *agentv1.WatchResponse) error {
		if m.GetState() == nil {
			return nil
		}
		return put(ctx, changes, m.GetState())
	})
}

// by is who asks for a change.
func by(c *web.Call) string { return cmp.Or(c.User.Agent, c.User.Name) }

func (p *Pages) setPresence(c *web.Call) error {
	id := c.R.PathValue("agent")
	_, err := p.agents.SetPresence(c.Context(), &agentv1.SetPresenceRequest{
		AgentId: id, Presence: c.Form("presence"), Reason: c.Form("reason"), RequestId: c.Form("request"), ChangedBy: by(c),
	})
	if err != nil {
		return err
	}
	return c.GoTo(view.At(view.Supervision, "agents", id))
}

func (p *Pages) setCapacity(c *web.Call) error {
	id, request, maximum := c.R.PathValue("agent"), c.Form("request"), map[string]int32{}
	for name := range c.R.Form {
		channel, is := strings.CutPrefix(name, "max-")
		text := c.Form(name)
		if !is || text == "" {
			continue
		}
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			return web.Bad(lang.T(c.Context(), "%s: write a whole number", view.ChannelName(c.Context(), view.ChannelOf(channel))))
		}
		maximum[channel] = int32(n)
	}
	if _, err := p.agents.SetCapacity(c.Context(), &agentv1.SetCapacityRequest{AgentId: id, Maximum: maximum, RequestId: request}); err != nil {
		return err
	}
	return c.GoTo(view.At(view.Supervision, "agents", id))
}

func (p *Pages) signOut(c *web.Call) error {
	id := c.R.PathValue("agent")
	_, err := p.agents.SignOut(c.Context(), &agentv1.SignOutRequest{AgentId: id, Reason: c.Form("reason"), RequestId: c.Form("request"), Actor: c.Actor()})
	if err != nil {
		return err
	}
	return c.GoTo(view.At(view.Supervision, "agents", id))
}

// capacityChannels are the channels of which a supervisor can say how much an agent takes: those that are known, and the usual ones.
func capacityChannels(s *agentv1.AgentState) []string {
	all := []string{"voice", "web_chat", "email", "social_message"}
	for channel := range s.GetCapacity() {
		if !slices.Contains(all, channel) {
			all = append(all, channel)
		}
	}
	slices.SortFunc(all, func(a, b string) int { return int(view.ChannelOf(a)) - int(view.ChannelOf(b)) })
	return all
}

// rowOf is an agent's state as the board has it.
func rowOf(s *agentv1.AgentState) *boardv1.AgentRow {
	return &boardv1.AgentRow{
		AgentId: s.GetAgentId(), Name: s.GetName(), Teams: s.GetTeams(), Presence: s.GetPresence().GetPresence(), PresenceType: s.GetPresence().GetType(),
		PresenceSince: s.GetPresence().GetSince(), Reason: s.GetPresence().GetReason(), Vanished: s.GetPresence().GetVanished(),
		RoutingStatus: s.GetRoutingStatus(), RoutingStatusSince: s.GetRoutingStatusSince(), Contacts: s.GetContacts(),
	}
}
