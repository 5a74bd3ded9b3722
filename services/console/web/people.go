package web

import (
	"context"

	"golang.org/x/sync/errgroup"

	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
)

// atOnce is how many customers are asked for at a time.
const atOnce = 8

// People fetches customers by any of their ids, each once. One who cannot be told is left out: a list is of use without a name.
func (s *Site) People(ctx context.Context, ids []string) map[string]*customerv1.Customer {
	wanted := map[string]bool{}
	for _, id := range ids {
		if id != "" {
			wanted[id] = true
		}
	}
	type answer struct {
		id string
		c  *customerv1.Customer
	}
	answers := make(chan answer, len(wanted))
	api := customerv1.NewCustomerServiceClient(s.api)
	var g errgroup.Group
	g.SetLimit(atOnce)
	for id := range wanted {
		g.Go(func() error {
			if got, err := api.Get(ctx, &customerv1.GetRequest{CustomerId: id}); err == nil {
				answers <- answer{id, got.GetCustomer()}
			}
			return nil
		})
	}
	_ = g.Wait() // nothing in it fails
	close(answers)
	all := map[string]*customerv1.Customer{}
	for a := range answers {
		all[a.id] = a.c
	}
	return all
}
