package customers

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/timestamppb"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/content"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// What the page of a customer shows beside who it is: the timeline, unless it is one of these.
const (
	byConversation = "conversations"
	changes        = "history"
)

// story is what the page of a customer shows.
type story struct {
	customer *customerv1.Customer
	work     *conversationv1.ListResponse
	files    view.Files
	// view is empty for the timeline.
	view string
	// asOf is the past moment that is shown, as it was known then; zero for now.
	asOf time.Time
	// at is the moment around which the timeline is opened; zero for the latest.
	at              time.Time
	timeline, later *timelinev1.ListResponse
	open            string // conversation that is open
	history         historyPage
	done            string // event of what was changed just now
}

func (p *Pages) customer(c *web.Call) error {
	s, err := p.told(c)
	if err != nil {
		return err
	}
	if s.customer.GetId() != c.R.PathValue("customer") { // it goes by another id by now
		path := view.At(view.Customers, s.customer.GetId())
		if query := c.R.URL.RawQuery; query != "" {
			path += "?" + query
		}
		return c.GoTo(path)
	}
	s.files = p.files(c, s.customer, s.work.GetWork())
	return c.Show(view.Page{Title: view.CustomerName(c.Context(), s.customer), Section: view.Customers}, page(s))
}

// told asks for all that the page shows, at once.
func (p *Pages) told(c *web.Call) (s story, err error) {
	id := c.R.PathValue("customer")
	s.view, s.open, s.done = c.Form("view"), c.Form("open"), c.Form("done")
	if s.asOf, err = c.Moment("as_of"); err != nil {
		return s, err
	}
	if s.at, err = c.Moment("at"); err != nil {
		return s, err
	}
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() error {
		answer, err := p.customers.Get(ctx, &customerv1.GetRequest{CustomerId: id, AsOf: &customerv1.AsOf{Time: stamp(s.asOf)}})
		s.customer = answer.GetCustomer()
		return err
	})
	g.Go(func() (err error) {
		s.work, err = p.worked(ctx, id, "", onPage)
		return err
	})
	switch s.view {
	case byConversation:
	case changes:
		g.Go(func() (err error) {
			s.history, err = p.history(ctx, id, "")
			return err
		})
	default:
		g.Go(func() (err error) {
			list := &timelinev1.ListRequest{CustomerId: id, PageSize: onPage, AsOf: stamp(s.asOf)}
			if !s.at.IsZero() {
				list.Until = stamp(s.at.Add(time.Nanosecond))
			}
			s.timeline, err = p.timelines.List(ctx, list)
			return err
		})
	}
	if s.view == "" && !s.at.IsZero() {
		g.Go(func() (err error) {
			s.later, err = p.timelines.List(ctx, laterThan(id, s.at, s.asOf, fewLater))
			return err
		})
	}
	return s, g.Wait()
}

// fewLater is how many events stand above the moment around which a timeline is opened.
const fewLater = 10

// laterThan asks for what happened behind a moment.
func laterThan(customer string, at, asOf time.Time, size int32) *timelinev1.ListRequest {
	return &timelinev1.ListRequest{
		CustomerId: customer, PageSize: size, Order: timelinev1.Order_ORDER_OLDEST_FIRST, From: stamp(at.Add(time.Nanosecond)), AsOf: stamp(asOf),
	}
}

// files are what a customer's events are drawn with.
func (p *Pages) files(c *web.Call, of *customerv1.Customer, work []*conversationv1.Work) view.Files {
	f := content.Files()
	f.Names, f.People, f.Work = c.Names(), view.ByEndpoint(c.Context(), slices.Values([]*customerv1.Customer{of})), partOf(work)
	return f
}

// partOf finds the interaction of an event: the last one of its thread that had begun.
func partOf(work []*conversationv1.Work) func(*eventv1.Event) *conversationv1.Work {
	threads := map[string][]*conversationv1.Work{}
	for _, w := range work {
		id := w.GetInteraction().GetThreadId()
		threads[id] = append(threads[id], w)
	}
	for _, all := range threads {
		slices.SortFunc(all, func(a, b *conversationv1.Work) int {
			return b.GetInteraction().GetStartedAt().AsTime().Compare(a.GetInteraction().GetStartedAt().AsTime())
		})
	}
	return func(e *eventv1.Event) *conversationv1.Work {
		for _, w := range threads[e.GetThreadId()] {
			if !w.GetInteraction().GetStartedAt().AsTime().After(e.GetOccurredAt().AsTime()) {
				return w
			}
		}
		return nil
	}
}

// stamp is a moment for the API; none for none.
func stamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

// further is what a further page of a timeline needs to know beside its entries.
func (p *Pages) further(c *web.Call, req *timelinev1.ListRequest) (answer *timelinev1.ListResponse, files view.Files, err error) {
	asOf, err := c.Moment("as_of")
	if err != nil {
		return nil, files, err
	}
	req.AsOf, req.PageToken = stamp(asOf), c.Form("page")
	var of *customerv1.GetResponse
	var work *conversationv1.ListResponse
	id := c.R.PathValue("customer")
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() (err error) {
		answer, err = p.timelines.List(ctx, req)
		return err
	})
	g.Go(func() (err error) {
		of, err = p.customers.Get(ctx, &customerv1.GetRequest{CustomerId: id, AsOf: &customerv1.AsOf{Time: req.GetAsOf()}})
		return err
	})
	g.Go(func() (err error) {
		work, err = p.worked(ctx, id, "", onPage)
		return err
	})
	if err := g.Wait(); err != nil {
		return nil, files, err
	}
	return answer, p.files(c, of.GetCustomer(), work.GetWork()), nil
}

// older are the entries behind those that the page shows.
func (p *Pages) older(c *web.Call) error {
	at, err := c.Moment("at")
	if err != nil {
		return err
	}
	req := &timelinev1.ListRequest{CustomerId: c.R.PathValue("customer"), PageSize: onPage}
	if !at.IsZero() {
		req.Until = stamp(at.Add(time.Nanosecond))
	}
	answer, files, err := p.further(c, req)
	if err != nil {
		return err
	}
	return c.Parts(view.Entries(answer.GetEntries(), files), more(c.R.PathValue("customer"), c.Form("as_of"), c.Form("at"), answer.GetNextPageToken()))
}

// newer are the entries above those that the page shows, where it was opened around a moment.
func (p *Pages) newer(c *web.Call) error {
	at, err := c.Moment("at")
	if err != nil {
		return err
	}
	id := c.R.PathValue("customer")
	answer, files, err := p.further(c, laterThan(id, at, time.Time{}, fewLater))
	if err != nil {
		return err
	}
	return c.Parts(before(id, c.Form("as_of"), c.Form("at"), answer.GetNextPageToken()), view.Entries(answer.GetEntries(), files))
}

// mostLive is how many events come onto a page as they are filed: then it is loaded anew, and begins with the latest.
const mostLive = 1000

// stream sends the events of a customer as they are filed. What changes about whose they are has the page loaded anew.
func (p *Pages) stream(c *web.Call) error {
	id := c.R.PathValue("customer")
	return c.Stream(func(ctx context.Context, cursor string, send func(web.News) error) error {
		of, err := p.customers.Get(ctx, &customerv1.GetRequest{CustomerId: id})
		if err != nil {
			return err
		}
		watch, err := p.timelines.Watch(ctx, &timelinev1.WatchRequest{CustomerId: id, Cursor: cursor})
		if err != nil {
			return err
		}
		files, asked := p.files(c, of.GetCustomer(), nil), map[string]bool{}
		came := 0
		return web.Each(watch, func(m *timelinev1.WatchResponse) error {
			news := web.News{Cursor: m.GetCursor(), Again: m.GetReset_() != nil || m.GetScopeChanged() != nil}
			if e := m.GetEntry(); e != nil {
				came++
				news.Again = came > mostLive
				if thread := e.GetEvent().GetThreadId(); !asked[thread] {
					asked[thread] = true
					if work, err := p.worked(ctx, id, "", onPage); err == nil { // else the heading says less
						files.Work = partOf(work.GetWork())
					}
				}
				news.Parts = append(news.Parts, view.NewEntry("timeline", e, files))
			}
			return send(news)
		})
	})
}
