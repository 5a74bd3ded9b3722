package customers

import (
	"context"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// find looks for a customer by any identifier, for a conversation by its id, and for words; asked nothing, it shows who was heard of last.
func (p *Pages) find(c *web.Call) error {
	query := c.Form("q")
	if query == "" {
		heard, err := p.heard(c.Context(), "")
		if err != nil {
			return err
		}
		return c.Show(view.Page{Title: lang.T(c.Context(), "Customers"), Section: view.Customers}, beginning(heard))
	}
	if path, err := p.named(c.Context(), query); err != nil || path != "" {
		if err != nil {
			return err
		}
		return c.GoTo(path)
	}
	found, err := p.found(c.Context(), &searchv1.SearchRequest{Query: query, PageSize: onPage})
	if err != nil {
		return err
	}
	return c.Show(view.Page{Title: lang.T(c.Context(), "Found"), Section: view.Customers}, results(query, found))
}

// named is the page of what a text names; empty where it names nothing.
func (p *Pages) named(ctx context.Context, text string) (path string, err error) {
	if address := addressOf(text); address != nil {
		known, err := p.customers.Resolve(ctx, &customerv1.ResolveRequest{Addresses: []*eventv1.Address{address}})
		if err != nil {
			return "", err
		}
		return view.At(view.Customers, known.GetCustomers()[0].GetId()), nil
	}
	if number := bareNumber(text); number != nil { // it may be an order's as well
		known, err := p.customers.Resolve(ctx, &customerv1.ResolveRequest{Addresses: []*eventv1.Address{number}})
		if err != nil || !heardOf(known.GetCustomers()[0]) {
			return "", err
		}
		return view.At(view.Customers, known.GetCustomers()[0].GetId()), nil
	}
	if _, err := event.ParseID(text); err != nil {
		return "", nil //nolint:nilerr // it names nothing
	}
	known, err := p.customers.Get(ctx, &customerv1.GetRequest{CustomerId: text})
	if err == nil {
		return view.At(view.Customers, known.GetCustomer().GetId()), nil
	}
	if !web.Absent(err) {
		return "", err
	}
	conversation, err := p.conversations.Get(ctx, &conversationv1.GetRequest{ConversationId: text})
	switch {
	case web.Absent(err) || web.Unserved(err):
		return "", nil
	case err != nil:
		return "", err
	}
	id := conversation.GetConversation().GetId()
	if customer := firstOf(conversation.GetConversation().GetCustomerIds()); customer != "" {
		return view.With(view.At(view.Customers, customer), "view", byConversation, "open", id) + "#c-" + id, nil
	}
	return view.At(view.Work, id), nil
}

// addressOf reads an address or identifier, and a telephone number that begins with the digits to dial abroad.
func addressOf(text string) *eventv1.Address {
	if rest, found := strings.CutPrefix(text, "00"); found && bareNumber(rest) != nil {
		text = "+" + rest
	}
	a, err := event.ParseAddress(text)
	if err != nil {
		return nil
	}
	return a
}

// bareNumber reads digits that may be a telephone number with its country code, but without the "+".
func bareNumber(text string) *eventv1.Address {
	const fewest = 8
	digits := strings.NewReplacer(" ", "", "-", "", "(", "", ")", "", "/", "").Replace(text)
	if len(digits) < fewest || strings.Trim(digits, "0123456789") != "" {
		return nil
	}
	a, err := event.ParseAddress("+" + digits)
	if err != nil {
		return nil
	}
	return a
}

// heardOf tells a customer with events, or with more than one address, from one that nobody knows.
func heardOf(c *customerv1.Customer) bool {
	for _, e := range c.GetEndpoints() {
		if e.GetFirstSeen() != nil {
			return true
		}
	}
	return len(c.GetEndpoints()) > 1
}

// lately is who was heard of last: each customer once, by the interaction that was active last.
type lately struct {
	rows   []heard
	people map[string]*customerv1.Customer
	next   string // token of the page behind
}

// heard is what was heard of a customer.
type heard struct {
	work     *conversationv1.Work // active last
	channels []eventv1.Channel
}

// latest are further customers.
func (p *Pages) latest(c *web.Call) error {
	all, err := p.heard(c.Context(), c.Form("page"))
	if err != nil {
		return err
	}
	return c.Parts(heardRows(all))
}

func (p *Pages) heard(ctx context.Context, page string) (l lately, err error) {
	answer, err := p.conversations.List(ctx, &conversationv1.ListRequest{
		Order: conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY, PageSize: onPage, Filter: &conversationv1.Filter{Statuses: everyStatus()}, PageToken: page,
	})
	if err != nil {
		return l, err
	}
	l.rows, l.next = byCustomer(answer.GetWork()), answer.GetNextPageToken()
	ids := make([]string, len(l.rows))
	for i, h := range l.rows {
		ids[i] = h.work.GetCustomerId()
	}
	l.people = p.site.People(ctx, ids)
	if page == "" {
		return l, nil
	}
	// Who was heard of later than that stands on a page before.
	keep := make([]bool, len(l.rows))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(atOnce)
	for i, h := range l.rows {
		g.Go(func() error {
			last, err := p.worked(ctx, h.work.GetCustomerId(), "", 1)
			keep[i] = h.work.GetCustomerId() == "" || len(last.GetWork()) > 0 && last.GetWork()[0].GetInteraction().GetId() == h.work.GetInteraction().GetId()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return l, err
	}
	var rows []heard
	for i, h := range l.rows {
		if keep[i] {
			rows = append(rows, h)
		}
	}
	l.rows = rows
	return l, nil
}

// atOnce is how many calls are made at a time.
const atOnce = 8

// byCustomer gives each customer of work once, in its order; work of nobody who is known stands for itself.
func byCustomer(work []*conversationv1.Work) (rows []heard) {
	at := map[string]int{}
	for _, w := range work {
		i, seen := at[w.GetCustomerId()]
		if !seen || w.GetCustomerId() == "" {
			i = len(rows)
			at[w.GetCustomerId()] = i
			rows = append(rows, heard{work: w})
		}
		rows[i].channels = withChannel(rows[i].channels, w.GetInteraction().GetChannel())
	}
	return rows
}

func withChannel(all []eventv1.Channel, c eventv1.Channel) []eventv1.Channel {
	if slices.Contains(all, c) {
		return all
	}
	return append(all, c)
}

// hits are further ones.
func (p *Pages) hits(c *web.Call) error {
	found, err := p.found(c.Context(), &searchv1.SearchRequest{Query: c.Form("q"), PageSize: onPage, PageToken: c.Form("page")})
	if err != nil {
		return err
	}
	return c.Parts(hitRows(c.Form("q"), found))
}

// everyStatus is work of any status, settled or not.
func everyStatus() []conversationv1.WorkStatus {
	return []conversationv1.WorkStatus{
		conversationv1.WorkStatus_WORK_STATUS_OPEN, conversationv1.WorkStatus_WORK_STATUS_PENDING, conversationv1.WorkStatus_WORK_STATUS_SNOOZED,
		conversationv1.WorkStatus_WORK_STATUS_RESOLVED, conversationv1.WorkStatus_WORK_STATUS_CLOSED,
	}
}

// worked is a page of a customer's interactions, the one that was active last first. A server without that role knows none.
func (p *Pages) worked(ctx context.Context, customer, page string, size int32) (*conversationv1.ListResponse, error) {
	answer, err := p.conversations.List(ctx, &conversationv1.ListRequest{
		Filter: &conversationv1.Filter{CustomerId: customer, Statuses: everyStatus()}, Order: conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY,
		PageSize: size, PageToken: page,
	})
	if web.Unserved(err) {
		return &conversationv1.ListResponse{}, nil
	}
	return answer, err
}

// hitsPage is what a search found, with whose it is.
type hitsPage struct {
	*searchv1.SearchResponse
	customers map[string]*customerv1.Customer // by endpoint
}

func (p *Pages) found(ctx context.Context, req *searchv1.SearchRequest) (hitsPage, error) {
	answer, err := p.search.Search(ctx, req)
	if err != nil {
		return hitsPage{}, err
	}
	var endpoints []string
	for _, h := range answer.GetHits() {
		endpoints = append(endpoints, firstOf(h.GetEndpointIds()))
	}
	return hitsPage{answer, p.site.People(ctx, endpoints)}, nil
}

func firstOf(all []string) string {
	if len(all) == 0 {
		return ""
	}
	return all[0]
}
