package view

import (
	"cmp"
	"context"
	"iter"
	"time"

	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// ByEndpoint are what customers are called, by their endpoints.
func ByEndpoint(ctx context.Context, customers iter.Seq[*customerv1.Customer]) map[string]string {
	names := map[string]string{}
	for c := range customers {
		name := CustomerName(ctx, c)
		for _, e := range c.GetEndpoints() {
			names[e.GetId()] = name
		}
	}
	return names
}

// shortID is how many signs of a visitor's id tell one from another at a glance.
const shortID = 6

// CustomerName is what a customer is called: by the name that was shown last, else by an address. The id of a visitor says nothing to people: its
// beginning tells one visitor from another.
func CustomerName(ctx context.Context, c *customerv1.Customer) string {
	var name, address, visitor string
	var seen time.Time
	for _, a := range c.GetAttributes() {
		if a.GetName() == "name" && a.GetValue() != "" {
			return a.GetValue()
		}
	}
	for _, e := range c.GetEndpoints() {
		if e.GetKind() == eventv1.EndpointKind_ENDPOINT_KIND_VISITOR {
			id := []rune(e.GetValue())
			visitor = lang.T(ctx, "Visitor") + " " + string(id[:min(len(id), shortID)])
		} else if address == "" {
			address = e.GetValue()
		}
		if at := e.GetLastSeen().AsTime(); e.GetDisplayName() != "" && (name == "" || at.After(seen)) {
			name, seen = e.GetDisplayName(), at
		}
	}
	return cmp.Or(name, address, visitor, lang.T(ctx, "Unknown customer"))
}
