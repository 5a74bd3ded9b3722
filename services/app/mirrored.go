package app

import (
	"context"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/agent"
	"github.com/skein-cx/skein/services/analytics/mirror/agents"
	"github.com/skein-cx/skein/services/analytics/mirror/owners"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/customer"
)

// mirroredStatements are the statements about agents, as the mirror follows them.
type mirroredStatements struct{ *agent.Agents }

// View implements agents.Told.
func (m mirroredStatements) View(ctx context.Context) (agents.View, error) {
	s, err := m.Statements(ctx)
	if err != nil {
		return nil, err
	}
	return statementsView{s}, nil
}

type statementsView struct{ *agent.Statements }

func (statementsView) Topic() string { return event.TopicAgents }

func (statementsView) Window() int64 { return agent.ChangeWindow }

func (v statementsView) Changes(ctx context.Context, partition int32, from, until int64, yield func(agents.Change) error) error {
	return v.Statements.Changes(ctx, partition, from, until, func(c agent.Changed) error {
		return yield(agents.Change{Tenant: c.Tenant, ID: c.ID, Since: c.Since})
	})
}

// mirroredShares are agents' shares of the work, as the mirror follows them.
type mirroredShares struct{ *conversation.Interactions }

// View implements agents.Told.
func (m mirroredShares) View(ctx context.Context) (agents.View, error) {
	v, err := m.Interactions.View(ctx)
	if err != nil {
		return nil, err
	}
	applied, err := v.Applied(ctx)
	if err != nil {
		_ = v.Close() // nothing is written through a view
		return nil, err
	}
	return sharesView{v, applied}, nil
}

type sharesView struct {
	*conversation.View
	applied projection.Vector
}

func (v sharesView) Generation() uint32 { return v.Namespace.Generation }

func (sharesView) Topic() string { return event.TopicInteractions }

func (v sharesView) Applied() projection.Vector { return v.applied }

func (sharesView) Window() int64 { return conversation.ChangeWindow }

func (v sharesView) IDs(ctx context.Context, tenant string, yield func(id string) error) error {
	var told error
	err := v.AgentsSeen(ctx, tenant, func(id string) bool {
		told = yield(id)
		return told == nil
	})
	if told != nil {
		return told
	}
	return err
}

func (v sharesView) Since(ctx context.Context, tenant, id string) (nanos int64, known bool, err error) {
	return v.Began(ctx, tenant, id)
}

func (v sharesView) Changes(ctx context.Context, partition int32, from, until int64, yield func(agents.Change) error) error {
	return v.ShareChanges(ctx, partition, from, until, func(tenant string, s conversation.ChangedShare) error {
		return yield(agents.Change{Tenant: tenant, ID: s.Agent, Since: s.Begin})
	})
}

// mirroredCustomers gives the links of customers, as the mirror follows them.
func mirroredCustomers(c *customer.Customers) func(context.Context) (owners.CustomerLinks, error) {
	return func(ctx context.Context) (owners.CustomerLinks, error) {
		l, err := c.Links(ctx)
		if err != nil {
			return nil, err
		}
		return customerLinks{l}, nil
	}
}

type customerLinks struct{ *customer.Links }

func (customerLinks) Window() int64 { return customer.ChangeWindow }

func (l customerLinks) Changes(
	ctx context.Context, partition int32, from, until int64, yield func(tenant string, customers []event.ID, interaction event.ID) error,
) error {
	return l.Links.Changes(ctx, partition, from, until, func(c customer.Change) error { return yield(c.Tenant, c.Customers, c.Interaction) })
}

// mirroredJoins gives what joins interactions, as the mirror follows it.
func mirroredJoins(c *conversation.Conversations) func(context.Context) (owners.Joins, error) {
	return func(ctx context.Context) (owners.Joins, error) {
		j, err := c.Joins(ctx)
		if err != nil {
			return nil, err
		}
		return joins{j}, nil
	}
}

type joins struct{ *conversation.Joins }

func (joins) Windows() (links, work int64) {
	return conversation.LinksChangeWindow, conversation.ChangeWindow
}
