package customer

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// A statement is a tag, then the message that it states; without one, that there is none any more.
const (
	tagAttribute = 'a'
	tagFact      = 'f'
	tagConsent   = 'c'
)

// parties are the endpoints of the customers that the event names.
func (in *incoming) parties() []event.ID {
	var all []event.ID
	for _, p := range in.event.GetParties() {
		if id, err := event.ParseID(p.GetEndpointId()); err == nil && p.GetSide() == eventv1.Side_SIDE_CUSTOMER && !slices.Contains(all, id) {
			all = append(all, id)
		}
	}
	return all
}

// state keeps a statement about each customer that the event names. A nil message says that there is none any more.
func (d *decision) state(ctx context.Context, tag byte, name []byte, m proto.Message) error {
	value := []byte{tag}
	if m != nil {
		var err error
		if value, err = (proto.MarshalOptions{Deterministic: true}).MarshalAppend(value, m); err != nil {
			return fmt.Errorf("customer: encode what is stated: %w", err)
		}
	}
	at := moment{
		occurred: d.in.event.GetOccurredAt().AsTime().UnixNano(), received: d.in.event.GetReceivedAt().AsTime().UnixNano(), offset: d.in.record.Offset,
	}.append(nil)
	for _, id := range d.in.parties() {
		d.tx.SetUnread(append(append(prefix(d.tenant, subStated, id), name...), at...), value)
		latest := append(prefix(d.tenant, subLatest, id), name...)
		before, found, err := d.tx.Get(ctx, latest)
		if err != nil {
			return err
		}
		if !found || bytes.Compare(before[:momentSize], at) < 0 {
			d.tx.Set(latest, append(slices.Clone(at), value...))
		}
	}
	return nil
}

func (d *decision) attributes(ctx context.Context, b *eventv1.CustomerAttributesUpdated) error {
	for name, value := range b.GetAttributes() {
		var m proto.Message
		if value != "" {
			m = &customerv1.Attribute{Name: name, Value: value, Source: b.GetSource()}
		}
		if err := d.state(ctx, tagAttribute, nameOf("attribute", b.GetSource(), name), m); err != nil {
			return err
		}
	}
	return nil
}

func (d *decision) fact(ctx context.Context, b *eventv1.CustomerFactRecorded) error {
	if b == nil {
		return nil
	}
	var m proto.Message
	if !b.GetRemoved() {
		m = &customerv1.Fact{
			Source: b.GetSource(), Kind: b.GetKind(), Id: b.GetId(), Title: b.GetTitle(), Status: b.GetStatus(),
			Amount: b.GetAmount(), Currency: b.GetCurrency(), Url: b.GetUrl(), Attributes: b.GetAttributes(),
		}
	}
	return d.state(ctx, tagFact, nameOf("fact", b.GetSource(), b.GetKind(), b.GetId()), m)
}

func (d *decision) consent(ctx context.Context, b *eventv1.ConsentChanged) error {
	if b.GetPurpose() == "" || len(d.in.parties()) == 0 {
		return nil
	}
	d.entry.Kind, d.entry.Detail = customerv1.ChangeKind_CHANGE_KIND_CONSENT, b.GetPurpose()+": withdrawn"
	if b.GetGranted() {
		d.entry.Detail = b.GetPurpose() + ": granted"
	}
	for _, id := range d.in.parties() {
		pieces, err := d.nameOwners(ctx, id)
		if err != nil {
			return err
		}
		d.entry.EndpointIds = append(d.entry.GetEndpointIds(), id.String())
		if owner := pieces[len(pieces)-1].node.String(); !slices.Contains(d.entry.GetCustomerIds(), owner) {
			d.entry.CustomerIds = append(d.entry.GetCustomerIds(), owner)
		}
	}
	return d.state(ctx, tagConsent, nameOf("consent", b.GetPurpose()),
		&customerv1.Consent{Purpose: b.GetPurpose(), Granted: b.GetGranted(), Evidence: b.GetEvidence()})
}

// statement is what was stated about an endpoint.
type statement struct {
	endpoint event.ID
	name     [nameSize]byte
	at       [momentSize]byte
	value    []byte
}

// stated gives what was stated last about an endpoint, while it was the customer's, by name.
func (v *view) stated(ctx context.Context, h holding) (map[[nameSize]byte]statement, error) {
	all := map[[nameSize]byte]statement{}
	if ranges := h.ranges(); v.walk.at == now && len(ranges) == 1 && ranges[0] == scope.Ever {
		start := prefix(v.walk.tenant, subLatest, h.endpoint)
		return all, v.scan(ctx, kv.Prefix(start), func(key, value []byte) error {
			if len(key) != len(start)+nameSize || len(value) <= momentSize {
				return errDamaged
			}
			name := [nameSize]byte(key[len(start):])
			all[name] = statement{h.endpoint, name, [momentSize]byte(value), bytes.Clone(value[momentSize:])}
			return nil
		})
	}
	start := prefix(v.walk.tenant, subStated, h.endpoint)
	return all, v.scan(ctx, kv.Prefix(start), func(key, value []byte) error {
		if len(key) != len(start)+nameSize+momentSize || len(value) == 0 {
			return errDamaged
		}
		name, at := [nameSize]byte(key[len(start):]), [momentSize]byte(key[len(start)+nameSize:])
		m := decodeMoment(at[:])
		if !v.walk.at.sees(stamp{m.offset, m.received}) || !slices.ContainsFunc(h.pieces, func(p piece) bool { return p.Contains(m.occurred) }) {
			return nil
		}
		all[name] = statement{h.endpoint, name, at, bytes.Clone(value)} // in the order of their moments
		return nil
	})
}

// state fills in what was stated about a customer: of an attribute or fact what was stated last by any of its endpoints, consents for each.
func (v *view) state(ctx context.Context, c *customer, out *customerv1.Customer) error {
	last := map[[nameSize]byte]statement{}
	for _, h := range c.holdings {
		stated, err := v.stated(ctx, h)
		if err != nil {
			return err
		}
		for name, s := range stated {
			if s.value[0] == tagConsent {
				if err := s.show(out); err != nil {
					return err
				}
			} else if before, found := last[name]; !found || bytes.Compare(before.at[:], s.at[:]) < 0 ||
				before.at == s.at && compare(s.endpoint, before.endpoint) < 0 {
				last[name] = s
			}
		}
	}
	for _, s := range last {
		if err := s.show(out); err != nil {
			return err
		}
	}
	slices.SortFunc(out.GetAttributes(), func(a, b *customerv1.Attribute) int {
		return cmp.Or(strings.Compare(a.GetName(), b.GetName()), strings.Compare(a.GetSource(), b.GetSource()))
	})
	slices.SortFunc(out.GetFacts(), func(a, b *customerv1.Fact) int {
		return cmp.Or(b.GetAt().AsTime().Compare(a.GetAt().AsTime()), strings.Compare(a.GetSource(), b.GetSource()),
			strings.Compare(a.GetKind(), b.GetKind()), strings.Compare(a.GetId(), b.GetId()))
	})
	slices.SortFunc(out.GetConsents(), func(a, b *customerv1.Consent) int {
		return cmp.Or(strings.Compare(a.GetPurpose(), b.GetPurpose()), strings.Compare(a.GetEndpointId(), b.GetEndpointId()))
	})
	return nil
}

// show adds a statement to a customer.
func (s statement) show(out *customerv1.Customer) error {
	if len(s.value) == 1 {
		return nil
	}
	at, by := timestamppb.New(time.Unix(0, decodeMoment(s.at[:]).occurred)), s.endpoint.String()
	var err error
	switch s.value[0] {
	case tagAttribute:
		m := &customerv1.Attribute{}
		err = proto.Unmarshal(s.value[1:], m)
		m.At, m.EndpointId = at, by
		out.Attributes = append(out.Attributes, m)
	case tagFact:
		m := &customerv1.Fact{}
		err = proto.Unmarshal(s.value[1:], m)
		m.At, m.EndpointId = at, by
		out.Facts = append(out.Facts, m)
	case tagConsent:
		m := &customerv1.Consent{}
		err = proto.Unmarshal(s.value[1:], m)
		m.At, m.EndpointId = at, by
		out.Consents = append(out.Consents, m)
	default:
		return errDamaged
	}
	if err != nil {
		return errDamaged
	}
	return nil
}
