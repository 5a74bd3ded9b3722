// Package owners mirrors what links say now: whose the endpoints and interactions are, and which interactions are one conversation.
package owners

import (
	"context"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

// CustomerLinks are the links of customers at one moment. Close it. It serves one goroutine.
type CustomerLinks interface {
	// Generation is that of the read model, and Applied how far the topic of links is contained; Window is of how many records of a partition
	// back Changes tells.
	Generation() uint32
	Applied() projection.Vector
	Window() int64
	Tenants(ctx context.Context) ([]string, error)
	// Changes yields the customers who gained or lost anything by the records of a partition from one offset to before another, by their ids
	// before and after, and the interaction that was attributed, zero for none.
	Changes(ctx context.Context, partition int32, from, until int64, yield func(tenant string, customers []event.ID, interaction event.ID) error) error
	// Members gives the endpoints that were ever a customer's, or of one who is a part of it, and the interactions that were ever attributed to
	// it.
	Members(ctx context.Context, tenant string, customer event.ID) (endpoints, interactions []event.ID, err error)
	// Endpoints and Interactions give those of which anything is known, and that were ever attributed, behind one, in order, so many at most.
	Endpoints(ctx context.Context, tenant string, behind event.ID, most int) ([]event.ID, error)
	Interactions(ctx context.Context, tenant string, behind event.ID, most int) ([]event.ID, error)
	// Owners gives whose an endpoint is, and when; without the times at which it is alone.
	Owners(ctx context.Context, tenant string, endpoint event.ID) ([]scope.Span, error)
	// Attributed gives the customer to whom an interaction is attributed, and the endpoint from which it is taken, zero for whichever has it;
	// false where it is attributed to nobody.
	Attributed(ctx context.Context, tenant string, interaction event.ID) (to, endpoint event.ID, attributed bool, err error)
	Close() error
}

// Customers gives whose endpoints are, and interactions that were attributed. An entity is an endpoint or such an interaction.
type Customers struct {
	timing                  Timing
	open                    func(ctx context.Context) (CustomerLinks, error)
	endpoints, interactions *mirror.Table
	view                    CustomerLinks // nil for none
}

var _ mirror.Source = (*Customers)(nil)

// NewCustomers makes the source. Open gives the links as they are now.
func NewCustomers(t Timing, open func(ctx context.Context) (CustomerLinks, error)) *Customers {
	return &Customers{
		timing: t.orDefault(), open: open,
		endpoints: &mirror.Table{
			Name: "customer_endpoints", Columns: []string{"tenant", "endpoint", "valid_from", "valid_until", "customer"}, Append: mirror.AppendValues,
		},
		interactions: &mirror.Table{
			Name: "interaction_customers", Columns: []string{"tenant", "interaction", "endpoint", "customer"}, Append: mirror.AppendValues,
		},
	}
}

// Name implements mirror.Source.
func (s *Customers) Name() string { return "customers" }

// Tables implements mirror.Source.
func (s *Customers) Tables() []*mirror.Table { return []*mirror.Table{s.endpoints, s.interactions} }

// Next implements mirror.Source.
func (s *Customers) Next(ctx context.Context, cursor []byte) (mirror.News, error) {
	s.drop()
	return next(ctx, s.timing, cursor, func(ctx context.Context) (links, error) {
		v, err := s.open(ctx)
		return customerLinks{v}, err
	})
}

func (s *Customers) drop() {
	if s.view != nil {
		_ = s.view.Close() // nothing is written through it
		s.view = nil
	}
}

// What an entity is.
const (
	ofEndpoint    = "endpoint"
	ofInteraction = "interaction"
	ofThread      = "thread"
)

// Rows implements mirror.Source. All rows behind one call of Next are of one moment.
func (s *Customers) Rows(ctx context.Context, text string) ([]mirror.Row, error) {
	tenant, what, id, err := parseEntity(text)
	if err != nil {
		return nil, err
	}
	if s.view == nil {
		if s.view, err = s.open(ctx); err != nil {
			return nil, err
		}
	}
	var rows []mirror.Row
	if what == ofEndpoint {
		rows, err = s.owners(ctx, tenant, id)
	} else {
		rows, err = s.attributed(ctx, tenant, id)
	}
	if err != nil {
		s.drop()
	}
	return rows, err
}

func (s *Customers) owners(ctx context.Context, tenant string, endpoint event.ID) (rows []mirror.Row, err error) {
	spans, err := s.view.Owners(ctx, tenant, endpoint)
	for _, span := range spans {
		from, until := mirror.MicrosOf(span.From), mirror.MicrosOf(span.Until)
		if from == until {
			continue
		}
		var v mirror.Values
		v.Text(tenant)
		v.ID(endpoint)
		v.Micros(from)
		v.Micros(until)
		v.ID(span.ID)
		rows = append(rows, mirror.Row{Table: s.endpoints, Key: fmt.Sprint(from), Data: v.Encoded()})
	}
	return rows, err
}

func (s *Customers) attributed(ctx context.Context, tenant string, interaction event.ID) ([]mirror.Row, error) {
	to, endpoint, attributed, err := s.view.Attributed(ctx, tenant, interaction)
	if err != nil || !attributed {
		return nil, err
	}
	var v mirror.Values
	v.Text(tenant)
	v.ID(interaction)
	v.ID(endpoint)
	v.ID(to)
	return []mirror.Row{{Table: s.interactions, Data: v.Encoded()}}, nil
}

// customerLinks are the links as they are followed.
type customerLinks struct{ CustomerLinks }

func (l customerLinks) places() (map[string]place, map[string]int64) {
	return map[string]place{event.TopicLinks: {l.Generation(), l.Applied()}}, map[string]int64{event.TopicLinks: l.Window()}
}

func (l customerLinks) tenants(ctx context.Context) ([]string, error) { return l.Tenants(ctx) }

func (l customerLinks) parts() int { return 2 }

func (l customerLinks) scan(ctx context.Context, tenant string, part int, behind event.ID, most int) ([]event.ID, error) {
	if part == 0 {
		return l.Endpoints(ctx, tenant, behind, most)
	}
	return l.Interactions(ctx, tenant, behind, most)
}

func (l customerLinks) named(_ context.Context, tenant string, part int, id event.ID, yield func(string)) error {
	yield(entity(tenant, [...]string{ofEndpoint, ofInteraction}[part], id))
	return nil
}

func (l customerLinks) changes(ctx context.Context, from map[string]place, yield func(string)) error {
	type who struct {
		tenant string
		id     event.ID
	}
	seen := map[who]bool{}
	for partition, until := range l.Applied() {
		err := l.Changes(ctx, partition, from[event.TopicLinks].Next[partition], until, func(tenant string, customers []event.ID, interaction event.ID) error {
			if !interaction.IsZero() {
				yield(entity(tenant, ofInteraction, interaction))
			}
			for _, id := range customers {
				if seen[who{tenant, id}] {
					continue
				}
				seen[who{tenant, id}] = true
				endpoints, interactions, err := l.Members(ctx, tenant, id)
				if err != nil {
					return err
				}
				for _, e := range endpoints {
					yield(entity(tenant, ofEndpoint, e))
				}
				for _, i := range interactions {
					yield(entity(tenant, ofInteraction, i))
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}
