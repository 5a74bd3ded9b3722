package demo

import (
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Known is what the company's CRM and shop know, and tell: which addresses are one person's, what plan they have, what they ordered. It makes
// the story's contacts two customers'. Telling it again adds nothing.
func Known() []*eventv1.Submission {
	mail, visitor := eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, eventv1.EndpointKind_ENDPOINT_KIND_VISITOR
	annas := []*eventv1.Address{
		record("1042"),
		{Kind: mail, Value: anna},
		{Kind: visitor, Value: annaVisit.Visitor},
		{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: annaPhone},
		{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: "wechat/" + WeChatApp, Value: annaOpenID},
	}
	linas := []*eventv1.Address{record("2087"), {Kind: mail, Value: lina}, {Kind: visitor, Value: linaVisit.Visitor}}
	return []*eventv1.Submission{
		samePerson("1042", annas), samePerson("2087", linas),
		attributes("1042", map[string]string{"plan": "gold", "language": "en"}), attributes("2087", map[string]string{"plan": "basic", "language": "zh"}),
		order("1042", &eventv1.CustomerFactRecorded{Id: "4711", Title: "Kettle K-200", Status: "replaced", Amount: 89.9, Currency: "EUR"}),
		order("2087", &eventv1.CustomerFactRecorded{Id: "8802", Title: "电热水壶 K-200", Status: "delivered", Amount: 699, Currency: "CNY"}),
	}
}

func record(id string) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: "crm", Value: id}
}

// stated is what a system of the company's tells of customers.
func stated(typ, source, id, native string, who []*eventv1.Address, content *eventv1.Content) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, OccurredAt: timestamppb.New(at(22, 3, 0)), Provider: source, Inbox: source, Thread: id, NativeId: native,
		Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}, Content: content,
	}
	for _, a := range who {
		s.Parties = append(s.Parties, &eventv1.SubmittedParty{Address: a, Role: eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, Side: eventv1.Side_SIDE_CUSTOMER})
	}
	return s
}

func samePerson(id string, who []*eventv1.Address) *eventv1.Submission {
	return stated(event.TypeIdentityAsserted, "crm", id, "record-1", who, &eventv1.Content{Body: &eventv1.Content_IdentityAsserted{
		IdentityAsserted: &eventv1.IdentityAsserted{Evidence: eventv1.IdentityEvidence_IDENTITY_EVIDENCE_RECORD, Source: "crm"},
	}})
}

func attributes(id string, all map[string]string) *eventv1.Submission {
	return stated(event.TypeCustomerAttributesUpdated, "crm", id, "attributes-1", []*eventv1.Address{record(id)}, &eventv1.Content{
		Body: &eventv1.Content_CustomerAttributesUpdated{CustomerAttributesUpdated: &eventv1.CustomerAttributesUpdated{Source: "crm", Attributes: all}},
	})
}

func order(id string, fact *eventv1.CustomerFactRecorded) *eventv1.Submission {
	fact.Source, fact.Kind = "shop", "order"
	return stated(event.TypeCustomerFactRecorded, "shop", id, "order-"+fact.GetId(), []*eventv1.Address{record(id)}, &eventv1.Content{
		Body: &eventv1.Content_CustomerFactRecorded{CustomerFactRecorded: fact},
	})
}
