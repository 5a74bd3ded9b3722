// Package supervision are the pages for who leads a floor: the live board of queues and agents with its alerts, a queue with the staff that it needs, an
// agent's day, and the directory to read.
package supervision

import (
	"context"
	"net/http"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

const (
	// tellEvery is how often at most a page is told what has changed.
	tellEvery = 500 * time.Millisecond
	// lookEvery is how often the clock is looked at: a wait becomes too long without an event.
	lookEvery = time.Second
	// alertsEvery is how often it is asked what is raised.
	alertsEvery = time.Second
	// staffEvery is how often needed staff, skills and room are asked for.
	staffEvery = time.Minute
	// perSecond is how often at most the board tells something.
	perSecond = 4
	// onPage is how many entries of the directory, or states, are fetched at once.
	onPage = 1000
	// atOnce is how many queues are forecast at a time.
	atOnce = 2
)

// Pages are the pages of the supervision. They are safe for concurrent use.
type Pages struct {
	site      *web.Site
	board     boardv1.BoardServiceClient
	alerts    boardv1.AlertServiceClient
	agents    agentv1.AgentServiceClient
	staffing  staffingv1.StaffingServiceClient
	directory directoryv1.DirectoryServiceClient
	needs     *needs
}

// New makes them.
func New(site *web.Site) *Pages {
	api := site.API()
	staffing := staffingv1.NewStaffingServiceClient(api)
	return &Pages{
		site: site, board: boardv1.NewBoardServiceClient(api), alerts: boardv1.NewAlertServiceClient(api), agents: agentv1.NewAgentServiceClient(api),
		staffing: staffing, directory: directoryv1.NewDirectoryServiceClient(api), needs: &needs{staffing: staffing, kept: map[string]keptNeed{}},
	}
}

// Mount serves them.
func (p *Pages) Mount(mux *http.ServeMux) {
	at := view.Supervision.Path()
	mux.Handle("GET "+at, p.site.Handle(p.floor))
	mux.Handle("GET "+at+"/stream", p.site.Handle(p.floorStream))
	mux.Handle("GET "+at+"/queues/{queue}", p.site.Handle(p.queue))
	mux.Handle("GET "+at+"/queues/{queue}/stream", p.site.Handle(p.queueStream))
	mux.Handle("GET "+at+"/queues/{queue}/staff", p.site.Handle(p.whatIf))
	mux.Handle("GET "+at+"/agents/{agent}", p.site.Handle(p.agent))
	mux.Handle("GET "+at+"/agents/{agent}/stream", p.site.Handle(p.agentStream))
	mux.Handle("GET "+at+"/agents/{agent}/contacts", p.site.Handle(p.olderContacts))
	mux.Handle("GET "+at+"/directory", p.site.Handle(p.directoryPage))
	mux.Handle("GET "+at+"/directory/{kind}", p.site.Handle(p.directoryPage))
	mux.Handle("GET "+at+"/directory/{kind}/{id}", p.site.Handle(p.entryHistory))
	mux.Handle("POST "+at+"/agents/{agent}/presence", p.site.Handle(p.setPresence))
	mux.Handle("POST "+at+"/agents/{agent}/capacity", p.site.Handle(p.setCapacity))
	mux.Handle("POST "+at+"/agents/{agent}/sign-out", p.site.Handle(p.signOut))
}

// floor is the board.
func (p *Pages) floor(c *web.Call) error {
	f, err := p.now(c.Context())
	if err != nil {
		return err
	}
	page := view.Page{Title: lang.T(c.Context(), "Supervision"), Section: view.Supervision}
	return c.Show(page, boardPage(f.known, f.seen(choiceOf(c), time.Now())))
}

func (p *Pages) floorStream(c *web.Call) error {
	return p.follow(c, choiceOf(c))
}

// choiceOf is what a page was asked to show.
func choiceOf(c *web.Call) choice {
	return choice{
		path: view.Supervision.Path(), queue: c.Form("queue"), team: c.Form("team"), states: filterOf(c), words: c.Form("words"), by: c.Form("by"), sort: c.Form("sort"),
		order: c.Form("order"),
	}
}

// filterOf is the filter of states that was asked for; one that there is not is none.
func filterOf(c *web.Call) stateFilter {
	if f := stateFilter(c.Form("state")); slices.Contains(stateFilters(), f) {
		return f
	}
	return signedIn
}

// now reads everything that a board shows.
func (p *Pages) now(ctx context.Context) (*floor, error) {
	f := newFloor()
	var book *book
	var alerts []*boardv1.Alert
	g, asked := errgroup.WithContext(ctx)
	g.Go(func() (err error) {
		book, err = p.known(asked)
		return err
	})
	g.Go(func() (err error) {
		alerts, err = p.raised(asked)
		return err
	})
	g.Go(func() error { return p.whole(asked, f) })
	if err := g.Wait(); err != nil {
		return nil, err
	}
	f.known, f.alerts = book, alerts
	return f, nil
}

// whole reads the board as it is, in as many messages as it takes.
func (p *Pages) whole(ctx context.Context, f *floor) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	watch, err := p.board.Watch(ctx, &boardv1.WatchRequest{MaxPerSecond: perSecond})
	if err != nil {
		return err
	}
	for {
		m, err := watch.Recv()
		if err != nil {
			return err
		}
		f.take(m)
		if f.cursor = m.GetCursor(); m.GetComplete() {
			return nil
		}
	}
}

// raised are the alerts of this moment; none where this server raises none.
func (p *Pages) raised(ctx context.Context) ([]*boardv1.Alert, error) {
	answer, err := p.alerts.Active(ctx, &boardv1.ActiveRequest{})
	if web.Unserved(err) {
		return nil, nil
	}
	return answer.GetAlerts(), err
}

// known reads what the directory says of queues, teams and agents' skills, and how much room agents have.
func (p *Pages) known(ctx context.Context) (*book, error) {
	b := newBook()
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.stated(ctx, b) })
	g.Go(func() error {
		stated, err := p.site.Directory(ctx, "agent")
		for _, e := range stated {
			b.skills[e.GetId()] = e.GetAgent().GetSkills()
		}
		return err
	})
	g.Go(func() error {
		for token := ""; ; {
			answer, err := p.agents.List(ctx, &agentv1.ListRequest{PageSize: onPage, PageToken: token})
			if web.Unserved(err) {
				return nil
			}
			if err != nil {
				return err
			}
			for _, s := range answer.GetStates() {
				b.rooms[s.GetAgentId()] = s.GetCapacity()
			}
			if token = answer.GetNextPageToken(); token == "" {
				return nil
			}
		}
	})
	return b, g.Wait()
}

// follow tells a page what changes about its board, and begins with all of it: a page that comes back has missed nothing.
func (p *Pages) follow(c *web.Call, chosen choice) error {
	return c.Stream(func(ctx context.Context, _ string, send func(web.News) error) error {
		f, err := p.now(ctx)
		if err != nil {
			return err
		}
		shown := f.seen(chosen, time.Now())
		if err := send(web.News{Parts: everything(shown)}); err != nil {
			return err
		}
		g, ctx := errgroup.WithContext(ctx)
		changes := make(chan func(*floor))
		g.Go(func() error { return p.watchBoard(ctx, f.cursor, changes) })
		g.Go(func() error { return p.watchAlerts(ctx, changes) })
		g.Go(func() error { return p.watchStaff(ctx, c.User.Tenant, chosen, f.known, changes) })
		g.Go(func() error { return watchClock(ctx, changes) })
		g.Go(func() error {
			return paced(ctx, changes, tellEvery, func(change func(*floor)) { change(f) }, func() error {
				before := shown
				shown = f.seen(chosen, time.Now())
				if parts := changed(before, shown); len(parts) > 0 {
					return send(web.News{Parts: parts})
				}
				return nil
			})
		})
		return g.Wait()
	})
}

func put[M any](ctx context.Context, changes chan<- M, change M) error {
	select {
	case changes <- change:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// watchBoard goes on behind what was read. Where the board is told anew, it counts once it is whole.
func (p *Pages) watchBoard(ctx context.Context, cursor string, changes chan<- func(*floor)) error {
	watch, err := p.board.Watch(ctx, &boardv1.WatchRequest{MaxPerSecond: perSecond, Cursor: cursor})
	if err != nil {
		return err
	}
	var anew []*boardv1.WatchResponse
	return web.Each(watch, func(m *boardv1.WatchResponse) error {
		if anew = append(anew, m); anew[0].GetReset_() && !m.GetComplete() {
			return nil
		}
		news := anew
		anew = nil
		return put(ctx, changes, func(f *floor) {
			for _, m := range news {
				f.take(m)
			}
		})
	})
}

func (p *Pages) watchAlerts(ctx context.Context, changes chan<- func(*floor)) error {
	return every(ctx, alertsEvery, func() error {
		alerts, err := p.raised(ctx)
		if err != nil {
			return err
		}
		return put(ctx, changes, func(f *floor) { f.alerts = alerts })
	})
}

// watchStaff asks how many agents the shown queues need, and what the directory says by now.
func (p *Pages) watchStaff(ctx context.Context, tenant string, chosen choice, known *book, changes chan<- func(*floor)) error {
	for first := true; ; first = false {
		if !first {
			again, err := p.known(ctx)
			if err != nil {
				return err
			}
			known = again
			if err := put(ctx, changes, func(f *floor) { f.known = again }); err != nil {
				return err
			}
		}
		g, asked := errgroup.WithContext(ctx)
		g.SetLimit(atOnce)
		for id := range known.queues {
			if chosen.queue != "" && chosen.queue != id {
				continue
			}
			g.Go(func() error {
				n := p.needs.of(asked, tenant, id)
				return put(asked, changes, func(f *floor) { f.needs[id] = n })
			})
		}
		if err := g.Wait(); err != nil {
			return err
		}
		select {
		case <-time.After(staffEvery):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// watchClock changes nothing: what is too long by the clock shows.
func watchClock(ctx context.Context, changes chan<- func(*floor)) error {
	return every(ctx, lookEvery, func() error { return put(ctx, changes, func(*floor) {}) })
}

// every does something at once, and then again and again, until it fails or the person is gone.
func every(ctx context.Context, pause time.Duration, do func() error) error {
	ticks := time.NewTicker(pause)
	defer ticks.Stop()
	for {
		if err := do(); err != nil {
			return err
		}
		select {
		case <-ticks.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// paced takes changes as they come, and tells what they come to: at once after a quiet time, and every so often at most. It ends with an error of tell, or
// with ctx.
func paced[M any](ctx context.Context, changes <-chan M, pause time.Duration, take func(M), tell func() error) error {
	var due <-chan time.Time // nil while there is nothing to tell
	var told time.Time
	for {
		select {
		case m := <-changes:
			take(m)
			if due == nil {
				due = time.After(max(0, pause-time.Since(told)))
			}
		case <-due:
			due, told = nil, time.Now()
			if err := tell(); err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}
