package customers

import (
	"context"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// side is a customer as a preview shows it.
type side struct {
	customer *customerv1.Customer
	// interactions are how many it has; more says that they were not all counted.
	interactions int
	more         bool
}

// counted is up to how many interactions a preview counts.
const counted = 500

func (p *Pages) side(ctx context.Context, id string) (s side, err error) {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		answer, err := p.customers.Get(ctx, &customerv1.GetRequest{CustomerId: id})
		s.customer = answer.GetCustomer()
		return err
	})
	g.Go(func() error {
		work, err := p.worked(ctx, id, "", counted)
		s.interactions, s.more = len(work.GetWork()), work.GetNextPageToken() != ""
		return err
	})
	return s, g.Wait()
}

// seen is when a customer was heard of first and last; zero for never.
func seen(c *customerv1.Customer) (first, last time.Time) {
	for _, e := range c.GetEndpoints() {
		if t := e.GetFirstSeen(); t != nil && (first.IsZero() || t.AsTime().Before(first)) {
			first = t.AsTime()
		}
		if t := e.GetLastSeen(); t != nil && t.AsTime().After(last) {
			last = t.AsTime()
		}
	}
	return first, last
}

// difference is an attribute of two customers.
type difference struct {
	name, here, there string
}

// differences are the attributes of two customers, by name.
func differences(a, b *customerv1.Customer) (all []difference) {
	at := map[string]int{}
	put := func(c *customerv1.Customer, value func(*difference) *string) {
		for _, attribute := range c.GetAttributes() {
			i, known := at[attribute.GetName()]
			if !known {
				i = len(all)
				at[attribute.GetName()] = i
				all = append(all, difference{name: attribute.GetName()})
			}
			*value(&all[i]) = attribute.GetValue()
		}
	}
	put(a, func(d *difference) *string { return &d.here })
	put(b, func(d *difference) *string { return &d.there })
	return all
}

// known finds a customer by what a person wrote; wrong says what is wrong with that.
func (p *Pages) known(ctx context.Context, text string) (id, wrong string, err error) {
	if address := addressOf(text); address != nil {
		answer, err := p.customers.Resolve(ctx, &customerv1.ResolveRequest{Addresses: []*eventv1.Address{address}})
		if err != nil {
			return "", "", err
		}
		return answer.GetCustomers()[0].GetId(), "", nil
	}
	if _, err := event.ParseID(text); err == nil {
		answer, err := p.customers.Get(ctx, &customerv1.GetRequest{CustomerId: text})
		if web.Absent(err) {
			return "", lang.T(ctx, "There is no customer with this id."), nil
		}
		return answer.GetCustomer().GetId(), "", err
	}
	return "", lang.T(ctx, "This is no identifier: write a telephone number with + and its country code, a mail address, social:wechat/gh_1:OPENID, id:crm:4711 or a customer's id."), nil
}

// other finds the other customer of a change, which must not be the same one.
func (p *Pages) other(c *web.Call, field string) (id, wrong string, err error) {
	text := c.Form(field)
	if text == "" {
		return "", "", nil
	}
	id, wrong, err = p.known(c.Context(), text)
	if id == c.R.PathValue("customer") {
		return "", lang.T(c.Context(), "This is the same customer already."), nil
	}
	return id, wrong, err
}

// mergePlan is what a merge would change.
type mergePlan struct {
	here        side
	with, wrong string
	there       *side // nil until it is found
}

func (p *Pages) askMerge(c *web.Call) error {
	plan := mergePlan{with: c.Form("with")}
	id, wrong, err := p.other(c, "with")
	if err != nil {
		return err
	}
	plan.wrong = wrong
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() (err error) {
		plan.here, err = p.side(ctx, c.R.PathValue("customer"))
		return err
	})
	if id != "" {
		plan.there = &side{}
		g.Go(func() (err error) {
			*plan.there, err = p.side(ctx, id)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return c.Show(view.Page{Title: lang.T(c.Context(), "Merge customers"), Section: view.Customers}, mergePage(plan))
}

func (p *Pages) merge(c *web.Call) error {
	change, err := changed(c)
	if err != nil {
		return err
	}
	done, err := p.customers.Merge(c.Context(), &customerv1.MergeRequest{Into: c.R.PathValue("customer"), Merged: c.Form("merged"), Change: change})
	if err != nil {
		return explained(c.Context(), err, lang.T(c.Context(), "Both are one customer already."))
	}
	return p.done(c, done)
}

// changed is who makes a change, and why; the reason is needed.
func changed(c *web.Call) (*customerv1.Change, error) {
	if c.Form("reason") == "" {
		return nil, web.Bad(lang.T(c.Context(), "Reason: it is missing. It is shown in the history."))
	}
	return &customerv1.Change{RequestId: c.Form("request"), Reason: c.Form("reason"), Actor: c.Actor()}, nil
}

// done goes on to the customer, which says what can be taken back.
func (p *Pages) done(c *web.Call, done *customerv1.ChangeResponse) error {
	return c.GoTo(view.With(view.At(view.Customers, c.R.PathValue("customer")), "done", done.GetEventId()))
}

// explained is why a change was decided against, in words; same says it of customers that are one.
func explained(ctx context.Context, err error, same string) error {
	if reason := web.Refusal(err); reason != "" {
		return web.Bad(refusal(ctx, reason, same))
	}
	if rpc.Violations(err)["change.reason"] != "" {
		return web.Bad(lang.T(ctx, "Reason: it is too long: 1,024 characters at most."))
	}
	return err
}

// splitPlan is what a split would change.
type splitPlan struct {
	customer    *customerv1.Customer
	chosen      []string // endpoints that leave
	to, wrong   string
	there       *customerv1.Customer // whom they go to; nil for a customer of their own
	keep, leave []*customerv1.Endpoint
}

func (p *Pages) askSplit(c *web.Call) error {
	answer, err := p.customers.Get(c.Context(), &customerv1.GetRequest{CustomerId: c.R.PathValue("customer")})
	if err != nil {
		return err
	}
	plan := splitPlan{customer: answer.GetCustomer(), chosen: c.R.URL.Query()["endpoint"], to: c.Form("to")}
	for _, e := range plan.customer.GetEndpoints() {
		if slices.Contains(plan.chosen, e.GetId()) {
			plan.leave = append(plan.leave, e)
		} else {
			plan.keep = append(plan.keep, e)
		}
	}
	id, wrong, err := p.other(c, "to")
	if err != nil {
		return err
	}
	plan.wrong = wrong
	if len(plan.keep) == 0 {
		plan.wrong = lang.T(c.Context(), "Choose fewer: one stays at least.")
	}
	if id != "" {
		to, err := p.customers.Get(c.Context(), &customerv1.GetRequest{CustomerId: id})
		if err != nil {
			return err
		}
		plan.there = to.GetCustomer()
	}
	return c.Show(view.Page{Title: lang.T(c.Context(), "Split the customer"), Section: view.Customers}, splitPage(plan))
}

func (p *Pages) split(c *web.Call) error {
	change, err := changed(c)
	if err != nil {
		return err
	}
	req := &customerv1.SplitRequest{CustomerId: c.R.PathValue("customer"), To: c.Form("to"), Change: change}
	for _, id := range c.R.PostForm["endpoint"] {
		req.Endpoints = append(req.Endpoints, &customerv1.Target{EndpointId: id})
	}
	done, err := p.customers.Split(c.Context(), req)
	if err != nil {
		return explained(c.Context(), err, lang.T(c.Context(), "The address by which this customer is named stays here: split the others off instead."))
	}
	return p.done(c, done)
}

func (p *Pages) askLink(c *web.Call) error {
	answer, err := p.customers.Get(c.Context(), &customerv1.GetRequest{CustomerId: c.R.PathValue("customer")})
	if err != nil {
		return err
	}
	return c.Show(view.Page{Title: lang.T(c.Context(), "Link an address"), Section: view.Customers}, linkPage(answer.GetCustomer()))
}

func (p *Pages) link(c *web.Call) error {
	ctx := c.Context()
	address := addressOf(c.Form("address"))
	if address == nil {
		return web.Bad(lang.T(ctx, "Address: write a telephone number with + and its country code, a mail address, social:wechat/gh_1:OPENID or id:crm:4711."))
	}
	from, err := c.Moment("from")
	if err != nil {
		return web.Bad(lang.T(ctx, "From: write the moment as 2026-03-12T18:40"))
	}
	until, err := c.Moment("until")
	if err != nil {
		return web.Bad(lang.T(ctx, "Until: write the moment as 2026-03-12T18:40"))
	}
	if !from.IsZero() && !until.IsZero() && !until.After(from) {
		return web.Bad(lang.T(ctx, "Until: it must be later than the begin."))
	}
	change, err := changed(c)
	if err != nil {
		return err
	}
	req := &customerv1.LinkRequest{Endpoint: &customerv1.Target{Address: address}, CustomerId: c.R.PathValue("customer"), Change: change}
	if !from.IsZero() || !until.IsZero() {
		req.Validity = &customerv1.Validity{From: stamp(from), Until: stamp(until)}
	}
	done, err := p.customers.Link(ctx, req)
	if err != nil {
		return explained(ctx, err, lang.T(ctx, "The address is this customer's already."))
	}
	return p.done(c, done)
}

func (p *Pages) askUnlink(c *web.Call) error {
	answer, err := p.customers.Get(c.Context(), &customerv1.GetRequest{CustomerId: c.R.PathValue("customer")})
	if err != nil {
		return err
	}
	for _, e := range answer.GetCustomer().GetEndpoints() {
		if e.GetId() == c.Form("endpoint") {
			return c.Show(view.Page{Title: lang.T(c.Context(), "Unlink an address"), Section: view.Customers}, unlinkPage(answer.GetCustomer(), e))
		}
	}
	return web.Missing(c.R.URL.Path)
}

func (p *Pages) unlink(c *web.Call) error {
	change, err := changed(c)
	if err != nil {
		return err
	}
	_, err = p.customers.Unlink(c.Context(), &customerv1.UnlinkRequest{
		Endpoint: &customerv1.Target{EndpointId: c.Form("endpoint")}, CustomerId: c.R.PathValue("customer"), Change: change,
	})
	if err != nil {
		return explained(c.Context(), err, "")
	}
	return c.GoTo(view.At(view.Customers, c.R.PathValue("customer")))
}

// attributePlan is whose an interaction would be.
type attributePlan struct {
	customer     *customerv1.Customer
	conversation *conversationv1.Conversation
	interaction  *conversationv1.Interaction
	with, wrong  string
	there        *customerv1.Customer
}

func (p *Pages) askAttribute(c *web.Call) error {
	plan := attributePlan{with: c.Form("with")}
	id, wrong, err := p.other(c, "with")
	if err != nil {
		return err
	}
	plan.wrong = wrong
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() error {
		answer, err := p.customers.Get(ctx, &customerv1.GetRequest{CustomerId: c.R.PathValue("customer")})
		plan.customer = answer.GetCustomer()
		return err
	})
	g.Go(func() error {
		answer, err := p.conversations.Get(ctx, &conversationv1.GetRequest{ConversationId: c.Form("interaction")})
		plan.conversation = answer.GetConversation()
		return err
	})
	if id != "" {
		g.Go(func() error {
			answer, err := p.customers.Get(ctx, &customerv1.GetRequest{CustomerId: id})
			plan.there = answer.GetCustomer()
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	for _, i := range plan.conversation.GetInteractions() {
		if i.GetId() == c.Form("interaction") {
			plan.interaction = i
		}
	}
	if plan.interaction == nil {
		return web.Missing(c.R.URL.Path)
	}
	return c.Show(view.Page{Title: lang.T(c.Context(), "Attribute to somebody else"), Section: view.Customers}, attributePage(plan))
}

func (p *Pages) attribute(c *web.Call) error {
	change, err := changed(c)
	if err != nil {
		return err
	}
	done, err := p.customers.Attribute(c.Context(), &customerv1.AttributeRequest{
		InteractionId: c.Form("interaction"), CustomerId: c.Form("to"), Change: change,
	})
	if err != nil {
		return explained(c.Context(), err, lang.T(c.Context(), "It is this customer's already."))
	}
	return p.done(c, done)
}

func (p *Pages) undo(c *web.Call) error {
	_, err := p.customers.Undo(c.Context(), &customerv1.UndoRequest{
		EventId: c.Form("event"), Change: &customerv1.Change{RequestId: c.Form("request"), Reason: c.Form("reason"), Actor: c.Actor()},
	})
	if err != nil {
		return explained(c.Context(), err, "")
	}
	return c.GoTo(view.With(view.At(view.Customers, c.R.PathValue("customer")), "view", changes))
}

// leaves tells an endpoint that was chosen to leave.
func leaves(plan splitPlan, e *customerv1.Endpoint) bool {
	return slices.Contains(plan.chosen, e.GetId())
}
