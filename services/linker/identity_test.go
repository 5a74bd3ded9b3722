package linker_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/linker"
)

const (
	sender = eventv1.PartyRole_PARTY_ROLE_SENDER
	to     = eventv1.PartyRole_PARTY_ROLE_TO
	record = eventv1.IdentityEvidence_IDENTITY_EVIDENCE_RECORD
)

// asserted says that some are one person.
func asserted(native string, evidence eventv1.IdentityEvidence, parties ...*eventv1.SubmittedParty) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeIdentityAsserted, Provider: "crm", Inbox: "crm", Thread: "people", NativeId: native, Parties: parties,
		Content: &eventv1.Content{Body: &eventv1.Content_IdentityAsserted{IdentityAsserted: &eventv1.IdentityAsserted{Evidence: evidence, Source: "crm"}}},
	}
}

func (w *world) expect(rule string, want ...string) {
	w.t.Helper()
	if got := w.endpoints(rule); !slices.Equal(got, want) {
		w.t.Fatalf("%s:\n%s\nwant\n%s", rule, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func TestAVisitorWhoHasSignedInIsLinkedToTheLoginsCustomer(t *testing.T) {
	w := newWorld(t)
	w.submit(signedIn("1", "v1", "anna"), signedIn("2", "v2", "anna"))
	w.run()
	w.expect(linker.RuleIdentifier, "v1 → anna, 100 at most", "v2 → anna, 100 at most")
	links, _ := w.asked()
	anna, err := event.Normalise(&eventv1.Address{Kind: identifier, Namespace: "login", Value: "anna"})
	must(t, err)
	for _, content := range links {
		l := content.GetEndpointLinked()
		if l.GetCustomerId() != event.CustomerOf(w.keyring.Tenant(tenant).Endpoint(anna)).String() || l.GetKind() != visitor {
			t.Errorf("the link is %v", l)
		}
	}
}

// A messenger that knows the number names the same user by it; its own ids of the person come beside both.
func TestANumberAndTheUserWhoIsNamedAfterItAreOneAddress(t *testing.T) {
	w := newWorld(t)
	w.submit(
		said("1", customer(phone, "", "+4930901820", sender), customer(social, "whatsapp/1", "4930901820", sender), customer(identifier, "whatsapp", "DE.1", sender)),
		said("2", customer(phone, "", "+4930901821", sender), customer(social, "whatsapp/1", "4930909999", sender), customer(identifier, "whatsapp", "DE.2", sender)),
		said("3", customer(phone, "", "+4930901822", sender), customer(social, "whatsapp/1", "4930901822", sender)),
	)
	w.run()
	w.expect(linker.RuleIdentifier, "+4930901820 → DE.1, 5 at most", "4930901820 → DE.1, 5 at most")
}

func TestWhoeverMightBeSeveralIsNotLinked(t *testing.T) {
	for name, parties := range map[string][]*eventv1.SubmittedParty{
		"two addresses":               {customer(email, "", "a@example.com", to), customer(email, "", "b@example.com", to), customer(identifier, "login", "anna", to)},
		"other roles":                 {customer(email, "", "a@example.com", sender), customer(identifier, "login", "anna", to)},
		"identifiers alone":           {customer(identifier, "crm", "1", sender), customer(identifier, "login", "anna", sender)},
		"an address alone":            {customer(email, "", "a@example.com", sender)},
		"one who shows no address":    {customer(phone, "", "+4930901820", sender), {Role: sender, Side: eventv1.Side_SIDE_CUSTOMER}, customer(identifier, "login", "anna", sender)},
		"an identifier of an agent's": {customer(phone, "", "+4930901820", sender), {Role: sender, Side: eventv1.Side_SIDE_COMPANY, Address: &eventv1.Address{Kind: identifier, Namespace: "login", Value: "agent"}}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.submit(said("1", parties...))
			w.run()
			w.expect(linker.RuleIdentifier)
		})
	}
}

func TestMorePartiesThanTheEnvelopeShowsLinkNobody(t *testing.T) {
	w := newWorld(t)
	parties := []*eventv1.SubmittedParty{customer(phone, "", "+4930901820", sender), customer(identifier, "login", "anna", sender)}
	for i := range event.MaxParties {
		parties = append(parties, customer(email, "", fmt.Sprintf("p%d@example.com", i), to))
	}
	w.submit(said("1", parties...))
	w.run()
	w.expect(linker.RuleIdentifier)
}

// The fold of the links gives an address to one customer, and a rule does not take it from there: so however many people share a
// telephone, each request names a customer of its own, and no two of these people are asked to be one.
func TestASharedPhoneMakesNoMegaCustomer(t *testing.T) {
	w := newWorld(t)
	const people = 200
	for i := range people {
		login := fmt.Sprintf("user%d", i)
		w.submit(
			said(login, customer(phone, "", "+4930901820", sender), customer(identifier, "login", login, sender)),
			asserted(login, record, customer(phone, "", "+4930901820", 0), customer(identifier, "login", login, 0)),
		)
	}
	w.run()
	links, _ := w.asked()
	owner := map[string]string{} // as the fold decides: the first link counts, and a rule takes nothing away
	taken := map[string]map[string]bool{}
	for _, content := range links {
		l := content.GetEndpointLinked()
		if content.GetParties()[0].GetAddress() != "+4930901820" || l.GetLimit() != 5 {
			t.Fatalf("asked for %v", l)
		}
		if owner[l.GetEndpointId()] == "" {
			owner[l.GetEndpointId()] = l.GetCustomerId()
		}
		if taken[l.GetRule()] == nil {
			taken[l.GetRule()] = map[string]bool{}
		}
		taken[l.GetRule()][l.GetCustomerId()] = true
	}
	if len(owner) != 1 || len(taken[linker.RuleIdentifier]) != people || len(taken[linker.RuleAsserted]) != people {
		t.Errorf("%d endpoints, %d and %d customers", len(owner), len(taken[linker.RuleIdentifier]), len(taken[linker.RuleAsserted]))
	}
}

func TestAnAssertionLinksAllToTheHighestIdentifier(t *testing.T) {
	w := newWorld(t)
	w.cfg.Default.Identity.Types = []linker.Type{{Kind: "identifier", Namespace: "crm", Priority: 200}}
	w.submit(asserted("1", record, customer(email, "", "anna@example.com", 0), customer(identifier, "login", "anna", 0),
		customer(identifier, "crm", "4711", 0), customer(identifier, "wechat/unionid", "o1", 0)))
	w.submit(asserted("2", record, customer(phone, "", "+4930901820", 0), customer(email, "", "bea@example.com", 0)))
	w.run()
	w.expect(linker.RuleAsserted, "+4930901820 → bea@example.com, 5 at most", "anna → 4711, 1 at most", "anna@example.com → 4711, 5 at most", "o1 → 4711, 5 at most")
}

func TestEvidenceDecidesWhetherAnAssertionLinks(t *testing.T) {
	pairOf := func(i int) []*eventv1.SubmittedParty {
		return []*eventv1.SubmittedParty{customer(email, "", fmt.Sprintf("p%d@example.com", i), 0), customer(identifier, "login", fmt.Sprintf("p%d", i), 0)}
	}
	say := func(w *world) {
		for name, number := range eventv1.IdentityEvidence_value {
			w.submit(asserted(name, eventv1.IdentityEvidence(number), pairOf(int(number))...))
		}
		w.run()
	}
	w := newWorld(t)
	say(w)
	w.expect(linker.RuleAsserted, "p1@example.com → p1, 5 at most", "p2@example.com → p2, 5 at most", "p3@example.com → p3, 5 at most", "p4@example.com → p4, 5 at most")
	w = newWorld(t)
	w.cfg.Tenants = map[string]linker.Settings{tenant: {Identity: linker.Policy{Types: []linker.Type{
		{Kind: "identifier", Evidence: []string{"stated", "signed_in"}}, {Kind: "email", Evidence: []string{"stated"}},
	}}}}
	say(w)
	w.expect(linker.RuleAsserted, "p5@example.com → p5, 5 at most")
}

func TestABlockedValueLinksNothingAndIsCounted(t *testing.T) {
	w := newWorld(t)
	registry := prometheus.NewRegistry()
	w.cfg.Metrics = linker.NewMetrics(registry)
	w.cfg.Default.Identity.Types = []linker.Type{{Kind: "phone", Blocked: []string{`^\+49309018\d+$`}}}
	for i, login := range []string{"000", "-1", "NULL", "anonymous", "undefined", "Unknown", "0-0"} {
		w.submit(signedIn(fmt.Sprint(i), "v1", login))
	}
	w.submit(
		said("test", customer(phone, "", "+4930901820", sender), customer(identifier, "login", "tester", sender)),
		said("anna", customer(phone, "", "+4930111111", sender), customer(identifier, "login", "anna", sender)),
		said("two", customer(visitor, "", "v2", sender), customer(identifier, "login", "null", sender), customer(identifier, "crm", "4711", sender)),
	)
	w.run()
	w.expect(linker.RuleIdentifier, "+4930111111 → anna, 5 at most", "v2 → 4711, 100 at most")
	must(t, testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP skein_linker_blocked_total Addresses and identifiers that a person was not linked by, because their value is blocked.
# TYPE skein_linker_blocked_total counter
skein_linker_blocked_total{kind="identifier",tenant="acme"} 8
skein_linker_blocked_total{kind="phone",tenant="acme"} 1
# HELP skein_linker_links_total Links asked for, by rule. The folds of the links decide on them.
# TYPE skein_linker_links_total counter
skein_linker_links_total{rule="identity.identifier",tenant="acme"} 2
`)))
}

// A type says what is different; the rest of it is as usual, for the ids of providers, too.
func TestWhatATypeDoesNotSayIsAsUsual(t *testing.T) {
	w := newWorld(t)
	w.cfg.Default.Identity.Types = []linker.Type{{Kind: "identifier", Blocked: []string{"^test"}}, {Kind: "visitor", Priority: 300}}
	w.submit(
		said("1", customer(email, "", "a@example.com", sender), customer(identifier, "wechat/unionid", "o1", sender), customer(identifier, "login", "anna", sender)),
		said("2", customer(email, "", "b@example.com", sender), customer(identifier, "login", "test1", sender)),
		signedIn("3", "v1", "bea"),
	)
	w.run()
	w.expect(linker.RuleIdentifier, "a@example.com → anna, 5 at most", "bea → v1, 1 at most", "o1 → anna, 5 at most")
}

func TestATenantsLimitsStandInItsRequests(t *testing.T) {
	w := newWorld(t)
	w.cfg.Default.Identity.Types = []linker.Type{{Kind: "visitor", Limit: -1}, {Kind: "identifier", Namespace: "shop/*", Limit: 3}}
	w.submit(said("1", customer(visitor, "", "v1", sender), customer(identifier, "login", "anna", sender), customer(identifier, "shop/de", "17", sender)))
	w.run()
	w.expect(linker.RuleIdentifier, "17 → anna, 3 at most", "v1 → anna, 0 at most")
}

// What is undone is undone: the next message of the same visitor asks for nothing, and neither does a linker that has lost what it knew
// and works by other settings.
func TestAnUndoneLinkDoesNotComeBackWithTheNextMessage(t *testing.T) {
	w := newWorld(t)
	w.submit(signedIn("1", "v1", "anna"))
	w.run()
	undone := w.ids()
	w.submit(&eventv1.Submission{
		Type: event.TypeLinkUndone, Provider: "desktop", Inbox: "desktop", Thread: "links", NativeId: "undo",
		Content: &eventv1.Content{Body: &eventv1.Content_LinkUndone{LinkUndone: &eventv1.LinkUndone{EventId: undone[0]}}},
	}, signedIn("2", "v1", "anna"))
	w.run()
	if _, records := w.asked(); records != 1 {
		t.Errorf("asked for in %d records", records)
	}
	must(t, w.store.Drop(t.Context(), linker.Namespace))
	w.cfg.Default.Identity.Types = []linker.Type{{Kind: "visitor", Limit: 9}}
	w.run()
	if _, records := w.asked(); records != 1 {
		t.Errorf("asked for in %d records once the store was lost", records)
	}
}
