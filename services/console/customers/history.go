package customers

import (
	"context"
	"strings"

	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// historyPage is what was changed about whose an address is.
type historyPage struct {
	entries []*customerv1.HistoryEntry
	next    string
	// people are the customers that it is about, by the ids that it names: those of customers and of endpoints.
	people map[string]*customerv1.Customer
	// customer whose history it is; empty for what rules asked for of any.
	customer string
}

// history is a page of a customer's.
func (p *Pages) history(ctx context.Context, id, page string) (h historyPage, err error) {
	answer, err := p.customers.History(ctx, &customerv1.HistoryRequest{CustomerId: id, PageSize: onPage, PageToken: page})
	if err != nil {
		return h, err
	}
	return historyPage{entries: answer.GetEntries(), next: answer.GetNextPageToken(), people: p.site.People(ctx, named(answer.GetEntries())), customer: id}, nil
}

// named are the ids that changes name.
func named(entries []*customerv1.HistoryEntry) (ids []string) {
	for _, e := range entries {
		ids = append(append(ids, e.GetCustomerIds()...), e.GetEndpointIds()...)
	}
	return ids
}

// moreHistory is what was changed before what the page shows.
func (p *Pages) moreHistory(c *web.Call) error {
	h, err := p.history(c.Context(), c.R.PathValue("customer"), c.Form("page"))
	if err != nil {
		return err
	}
	return c.Parts(historyRows(h, c.Names()))
}

// conflicts are what rules asked for and was decided against; a further page of it comes as its rows.
func (p *Pages) conflicts(c *web.Call) error {
	answer, err := p.customers.Conflicts(c.Context(), &customerv1.ConflictsRequest{PageSize: onPage, PageToken: c.Form("page")})
	if err != nil {
		return err
	}
	h := historyPage{entries: answer.GetEntries(), next: answer.GetNextPageToken(), people: p.site.People(c.Context(), named(answer.GetEntries()))}
	if c.Form("page") != "" {
		return c.Parts(historyRows(h, c.Names()))
	}
	return c.Show(view.Page{Title: lang.T(c.Context(), "Conflicts"), Section: view.Customers}, conflictsPage(h, c.Names()))
}

// more is where the changes before these are.
func (h historyPage) more() string {
	if h.customer == "" {
		return view.With(view.At(view.Customers, "conflicts"), "page", h.next)
	}
	return view.With(view.At(view.Customers, h.customer, "history"), "page", h.next)
}

// called is what an endpoint or customer is called that a change names.
func (h historyPage) called(ctx context.Context, id string) string {
	c := h.people[id]
	for _, e := range c.GetEndpoints() {
		if e.GetId() == id {
			return view.Plain(endpointText(ctx, e))
		}
	}
	if c == nil {
		return lang.T(ctx, "Unknown customer")
	}
	return view.Plain(view.CustomerName(ctx, c))
}

func (h historyPage) calledAll(ctx context.Context, ids []string) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = h.called(ctx, id)
	}
	return strings.Join(all, ", ")
}

// happened is a change in words.
func (h historyPage) happened(ctx context.Context, e *customerv1.HistoryEntry) string {
	var goesOn, other string
	if ids := e.GetCustomerIds(); len(ids) > 0 {
		goesOn = h.called(ctx, ids[0])
		other = h.calledAll(ctx, ids[1:])
	}
	endpoints := h.calledAll(ctx, e.GetEndpointIds())
	switch e.GetKind() {
	case customerv1.ChangeKind_CHANGE_KIND_LINK:
		return lang.T(ctx, "Linked %s with %s", endpoints, goesOn)
	case customerv1.ChangeKind_CHANGE_KIND_MERGE:
		return lang.T(ctx, "Merged %s into %s", other, goesOn)
	case customerv1.ChangeKind_CHANGE_KIND_SPLIT:
		return lang.T(ctx, "Split off %s", endpoints)
	case customerv1.ChangeKind_CHANGE_KIND_UNDO:
		return lang.T(ctx, "Took a change back")
	case customerv1.ChangeKind_CHANGE_KIND_ATTRIBUTION:
		return lang.T(ctx, "Attributed a conversation to %s", goesOn)
	case customerv1.ChangeKind_CHANGE_KIND_CONSENT:
		return lang.T(ctx, "A consent was given or withdrawn")
	case customerv1.ChangeKind_CHANGE_KIND_ERASURE:
		return lang.T(ctx, "Erased the customer")
	case customerv1.ChangeKind_CHANGE_KIND_UNSPECIFIED:
	}
	return e.GetDetail()
}

func changeIcon(k customerv1.ChangeKind) string {
	switch k {
	case customerv1.ChangeKind_CHANGE_KIND_MERGE:
		return "merge"
	case customerv1.ChangeKind_CHANGE_KIND_SPLIT:
		return "split"
	case customerv1.ChangeKind_CHANGE_KIND_UNDO:
		return "undo"
	case customerv1.ChangeKind_CHANGE_KIND_CONSENT:
		return "check"
	case customerv1.ChangeKind_CHANGE_KIND_ERASURE:
		return "close"
	case customerv1.ChangeKind_CHANGE_KIND_LINK, customerv1.ChangeKind_CHANGE_KIND_ATTRIBUTION, customerv1.ChangeKind_CHANGE_KIND_UNSPECIFIED:
	}
	return "link"
}

// undoable tells what can be taken back.
func undoable(e *customerv1.HistoryEntry) bool {
	switch e.GetKind() {
	case customerv1.ChangeKind_CHANGE_KIND_LINK, customerv1.ChangeKind_CHANGE_KIND_MERGE, customerv1.ChangeKind_CHANGE_KIND_SPLIT,
		customerv1.ChangeKind_CHANGE_KIND_ATTRIBUTION:
		return e.GetRefusal() == customerv1.Refusal_REFUSAL_UNSPECIFIED && e.GetUndoneBy() == ""
	case customerv1.ChangeKind_CHANGE_KIND_UNDO, customerv1.ChangeKind_CHANGE_KIND_CONSENT, customerv1.ChangeKind_CHANGE_KIND_ERASURE,
		customerv1.ChangeKind_CHANGE_KIND_UNSPECIFIED:
	}
	return false
}

// changedBy is who made a change.
func changedBy(ctx context.Context, e *customerv1.HistoryEntry, names view.Names) string {
	switch a := e.GetActor(); {
	case e.GetRule() != "":
		return lang.T(ctx, "Rule %s", e.GetRule())
	case a.GetKind() == eventv1.ActorKind_ACTOR_KIND_AGENT:
		return names.Agents.Name("", a.GetId())
	case a.GetId() != "":
		return a.GetId()
	}
	return lang.T(ctx, "System")
}

// refusal is why a change was decided against, in words; same says it of customers that are one.
func refusal(ctx context.Context, reason, same string) string {
	switch reason {
	case "SAME_CUSTOMER":
		if same != "" {
			return same
		}
		return lang.T(ctx, "It is the same customer already.")
	case "ERASED":
		return lang.T(ctx, "The customer is erased.")
	case "TOO_MANY_ENDPOINTS":
		return lang.T(ctx, "The customer would have too many addresses.")
	case "NOT_LINKED":
		return lang.T(ctx, "The customer does not have this address by a link. What came by a merge or a split is taken back in the history.")
	case "UNKNOWN_EVENT":
		return lang.T(ctx, "There is no such change, or it cannot be taken back.")
	case "ALREADY_UNDONE":
		return lang.T(ctx, "It is taken back already.")
	case "CONFLICT":
		return lang.T(ctx, "The address is another customer's by a link, and a rule does not take it from there.")
	case "MALFORMED":
		return lang.T(ctx, "The request says nothing that can be done: something is missing or wrong.")
	}
	return lang.T(ctx, "It was decided against: %s", reason)
}

func refusalOf(ctx context.Context, e *customerv1.HistoryEntry) string {
	return refusal(ctx, strings.TrimPrefix(e.GetRefusal().String(), "REFUSAL_"), "")
}
