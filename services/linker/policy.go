package linker

import (
	"bytes"
	"cmp"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Policy says how addresses and identifiers of one person are linked: all to the customer of one of them, the anchor.
type Policy struct {
	// Types of addresses and identifiers, the first that fits counts. What a type does not say, and every other type, is as usual.
	Types []Type `koanf:"types" help:"how addresses and identifiers are linked, the first that fits counts"`
}

// Type is a type of addresses or identifiers.
type Type struct {
	// Kind: identifier, email, phone, social, sip or visitor.
	Kind string `koanf:"kind" help:"identifier, email, phone, social, sip or visitor"`
	// Namespace as a pattern in which * stands for anything but a slash; any unless set.
	Namespace string `koanf:"namespace" help:"name space, such as crm or wechat/*; any unless set"`
	// Priority: the anchor is the one of the highest. Usual are 100 for identifiers, 80 for those that a provider gives, 60 for mail
	// addresses, 50 for numbers, 40 for users of social networks, 30 for SIP addresses, 10 for visitors.
	Priority int `koanf:"priority" help:"the others are linked to the customer of the one with the highest"`
	// Limit is how many of this kind and name space a customer may have by rules: 1 identifier unless set, 5 of those that a provider
	// gives and of anything else, 100 visitors; -1 for any number.
	Limit int `koanf:"limit" help:"how many a customer may have by rules; -1 for any number"`
	// Blocked are patterns (RE2) of values by which nobody is linked, such as numbers of tests. What stands for no value is blocked
	// always.
	Blocked []string `koanf:"blocked" help:"patterns of values by which nobody is linked"`
	// Evidence that is enough to link one of this type by an assertion: signed_in, verified_address, provider, record, stated; all but
	// stated unless set.
	Evidence []string `koanf:"evidence" help:"what is enough to link it: signed_in, verified_address, provider, record, stated"`
}

// usual is the policy where nothing is configured. What comes first counts.
//
//nolint:gochecknoglobals // constants
var usual = []Type{
	{Kind: "identifier", Namespace: "wechat/*", Priority: 80, Limit: 5},
	{Kind: "identifier", Namespace: "wecom/*", Priority: 80, Limit: 5},
	{Kind: "identifier", Namespace: "whatsapp", Priority: 80, Limit: 5},
	{Kind: "identifier", Namespace: "messenger/*", Priority: 80, Limit: 5},
	{Kind: "identifier", Namespace: "instagram/*", Priority: 80, Limit: 5},
	{Kind: "identifier", Priority: 100, Limit: 1},
	{Kind: "email", Priority: 60, Limit: 5},
	{Kind: "phone", Priority: 50, Limit: 5},
	{Kind: "social", Priority: 40, Limit: 5},
	{Kind: "sip", Priority: 30, Limit: 5},
	{Kind: "visitor", Priority: 10, Limit: 100},
}

// noValues are texts that stand for no value, as programs write them into a field for an id.
var noValues = regexp.MustCompile(`(?i)^(?:[0-]*|-1|null|anonymous|undefined|unknown)$`)

//nolint:gochecknoglobals // constants
var (
	usualEvidence = []string{"signed_in", "verified_address", "provider", "record"}
	kindNames     = map[eventv1.EndpointKind]string{
		eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER: "identifier",
		eventv1.EndpointKind_ENDPOINT_KIND_EMAIL:      "email",
		eventv1.EndpointKind_ENDPOINT_KIND_PHONE:      "phone",
		eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL:     "social",
		eventv1.EndpointKind_ENDPOINT_KIND_SIP:        "sip",
		eventv1.EndpointKind_ENDPOINT_KIND_VISITOR:    "visitor",
	}
)

// policy is a Policy that was checked.
type policy struct{ types, usual []identityType }

// identityType is a Type that was checked; what it does not say is zero.
type identityType struct {
	Type
	blocked  []*regexp.Regexp
	evidence []eventv1.IdentityEvidence
}

func compilePolicy(p Policy) (*policy, error) {
	out := &policy{}
	for i, t := range p.Types {
		compiled, err := compileType(t)
		if err != nil {
			return nil, fmt.Errorf("types[%d].%w", i, err)
		}
		out.types = append(out.types, compiled)
	}
	for _, t := range usual {
		t.Evidence = usualEvidence
		compiled, err := compileType(t)
		if err != nil {
			return nil, err
		}
		out.usual = append(out.usual, compiled)
	}
	return out, nil
}

func compileType(t Type) (identityType, error) {
	out := identityType{Type: t}
	switch {
	case !slices.ContainsFunc(usual, func(u Type) bool { return u.Kind == t.Kind }):
		return out, fmt.Errorf("kind: %q is none of identifier, email, phone, social, sip and visitor", t.Kind)
	case t.Priority < 0:
		return out, fmt.Errorf("priority: %d is below 0", t.Priority)
	case t.Limit < -1:
		return out, fmt.Errorf("limit: %d is below -1", t.Limit)
	}
	if _, err := path.Match(t.Namespace, ""); err != nil {
		return out, fmt.Errorf("namespace: %q: %w", t.Namespace, err)
	}
	for _, pattern := range t.Blocked {
		re, err := regexp.Compile(pattern)
		if err != nil {
			return out, fmt.Errorf("blocked: %w", err)
		}
		out.blocked = append(out.blocked, re)
	}
	for _, name := range t.Evidence {
		number, ok := eventv1.IdentityEvidence_value["IDENTITY_EVIDENCE_"+strings.ToUpper(name)]
		if !ok || number == 0 {
			return out, fmt.Errorf("evidence: %q is none of signed_in, verified_address, provider, record and stated", name)
		}
		out.evidence = append(out.evidence, eventv1.IdentityEvidence(number))
	}
	return out, nil
}

func matches(pattern, namespace string) bool {
	ok, _ := path.Match(pattern, namespace) // the pattern was checked
	return pattern == "" || ok
}

// of is the type of an endpoint: the first that fits, and what it does not say as usual. It is false for a kind that this version does
// not know.
func (p *policy) of(n named) (t identityType, ok bool) {
	fits := func(t identityType) bool { return t.Kind == kindNames[n.kind] && matches(t.Namespace, n.namespace) }
	at := slices.IndexFunc(p.usual, fits)
	if at < 0 {
		return identityType{}, false
	}
	t = p.usual[at]
	if at = slices.IndexFunc(p.types, fits); at >= 0 {
		own := p.types[at]
		t.Priority, t.Limit, t.blocked = cmp.Or(own.Priority, t.Priority), cmp.Or(own.Limit, t.Limit), own.blocked
		if len(own.evidence) > 0 {
			t.evidence = own.evidence
		}
	}
	return t, true
}

// atMost is the limit as a link bears it: 0 for any number.
func (t *identityType) atMost() uint32 { return uint32(max(t.Limit, 0)) }

func (t *identityType) blocks(value string) bool {
	return noValues.MatchString(value) || slices.ContainsFunc(t.blocked, func(re *regexp.Regexp) bool { return re.MatchString(value) })
}

// policies are those of all tenants.
type policies struct {
	of      map[string]*policy
	others  *policy
	metrics *Metrics
}

// link asks for links that make people one person's, as far as the tenant's policy lets it. Evidence is what an assertion rests on; unspecified where a
// channel shows it.
func (x *policies) link(tenant, rule, reason string, people []named, evidence eventv1.IdentityEvidence) []request {
	p := x.of[tenant]
	if p == nil {
		p = x.others
	}
	type candidate struct {
		named
		identityType
	}
	var able []candidate
	for _, n := range people {
		switch t, known := p.of(n); {
		case !known || rule == RuleAsserted && !slices.Contains(t.evidence, evidence):
		case t.blocks(n.value):
			x.metrics.block(tenant, n.kind)
		default:
			able = append(able, candidate{n, t})
		}
	}
	if len(able) < 2 {
		return nil
	}
	anchor := slices.MinFunc(able, func(a, b candidate) int {
		return cmp.Or(b.Priority-a.Priority, strings.Compare(a.namespace, b.namespace), bytes.Compare(a.id[:], b.id[:]))
	})
	var all []request
	for _, c := range able {
		if c.id != anchor.id {
			all = append(all, endpoint(rule, reason, c.named, anchor.named, c.atMost()))
		}
	}
	return all
}
