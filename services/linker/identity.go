package linker

import (
	"cmp"
	"context"
	"slices"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// RuleIdentifier is the rule that links an address and the identifiers that a channel shows with it, RuleAsserted the one that follows
// identity.asserted.
const (
	RuleIdentifier = "identity.identifier"
	RuleAsserted   = "identity.asserted"
)

// identifiers links the address by which a customer was reached and the identifiers that the channel shows with it: the visitor of a
// chat who has signed in, the user of a messenger and the id that all accounts of one company share.
type identifiers struct{ *policies }

func (*identifiers) wants(e *eventv1.Event) bool {
	var address, identifier bool
	for _, p := range e.GetParties() {
		if p.GetSide() == eventv1.Side_SIDE_CUSTOMER {
			identifier = identifier || isIdentifier(p)
			address = address || !isIdentifier(p)
		}
	}
	return address && identifier && happened(e)
}

func (x *identifiers) find(_ context.Context, r *record) ([]request, error) {
	var all []request
	var done []eventv1.PartyRole
	for _, p := range r.GetParties() {
		if slices.Contains(done, p.GetRole()) {
			continue
		}
		done = append(done, p.GetRole())
		people, complete := r.customers(func(other *eventv1.Party) bool { return other.GetRole() == p.GetRole() })
		if complete && onePerson(people) {
			all = append(all, x.link(r.GetTenant(), RuleIdentifier, "the channel shows both as one customer", people, eventv1.IdentityEvidence_IDENTITY_EVIDENCE_UNSPECIFIED)...)
		}
	}
	return all, nil
}

// onePerson tells whether customers of one role can only be one: there is one address, the rest are identifiers. A telephone number and
// the user of a messenger who is named after it are one address.
func onePerson(people []named) bool {
	addresses := slices.DeleteFunc(slices.Clone(people), func(n named) bool { return n.kind == eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER })
	switch len(addresses) {
	case 1:
		return len(people) > 1
	case 2:
		slices.SortFunc(addresses, func(a, b named) int { return cmp.Compare(a.kind, b.kind) })
		phone, social := addresses[0], addresses[1]
		return len(people) > 2 && phone.kind == eventv1.EndpointKind_ENDPOINT_KIND_PHONE && social.kind == eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL &&
			phone.value == "+"+social.value
	}
	return false
}

func isIdentifier(p *eventv1.Party) bool {
	return p.GetKind() == eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER
}

// assertions follows what others say about who is one person.
type assertions struct{ *policies }

func (*assertions) wants(e *eventv1.Event) bool { return e.GetType() == event.TypeIdentityAsserted }

func (x *assertions) find(_ context.Context, r *record) ([]request, error) {
	people, _ := r.customers(func(*eventv1.Party) bool { return true })
	return x.link(r.GetTenant(), RuleAsserted, "it was asserted that they are one person", people, r.content.GetIdentityAsserted().GetEvidence()), nil
}

// customers are the customers of an event that match. They are not complete where one of them shows no address, or the envelope shows
// not all of them.
func (r *record) customers(match func(*eventv1.Party) bool) (people []named, complete bool) {
	details := r.content.GetParties()
	complete = len(details) == len(r.GetParties())
	for i, p := range r.GetParties() {
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER || !match(p) {
			continue
		}
		id, err := event.ParseID(p.GetEndpointId())
		if err != nil || i >= len(details) || details[i].GetAddress() == "" {
			complete = false
			continue
		}
		people = append(people, named{id, p.GetKind(), details[i].GetAddress(), details[i].GetNamespace()})
	}
	return people, complete
}
