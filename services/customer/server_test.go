package customer_test

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	anna  = "anna@example.com"
	bob   = "bob@example.com"
	carla = "carla@example.com"
)

func target(a *eventv1.Address) *customerv1.Target { return &customerv1.Target{Address: a} }

// desk is a client, and calls that must succeed.
type desk struct {
	customerv1.CustomerServiceClient
	t *testing.T
	w *world
}

func newDesk(t *testing.T) desk {
	t.Helper()
	w := newWorld(t)
	return desk{w.serve(t), t, w}
}

func (d desk) link(a *eventv1.Address, customer string) *customerv1.ChangeResponse {
	d.t.Helper()
	resp, err := d.Link(patient(d.t), &customerv1.LinkRequest{Endpoint: target(a), CustomerId: customer})
	must(d.t, err)
	return resp
}

func (d desk) merge(into, merged string) *customerv1.ChangeResponse {
	d.t.Helper()
	resp, err := d.Merge(patient(d.t), &customerv1.MergeRequest{Into: into, Merged: merged})
	must(d.t, err)
	return resp
}

func (d desk) get(id string) *customerv1.Customer {
	d.t.Helper()
	resp, err := d.Get(patient(d.t), &customerv1.GetRequest{CustomerId: id})
	must(d.t, err)
	return resp.GetCustomer()
}

func values(c *customerv1.Customer) []string {
	var all []string
	for _, e := range c.GetEndpoints() {
		all = append(all, e.GetValue())
	}
	slices.Sort(all)
	return all
}

func TestALinkIsAnsweredWithTheCustomerAsItIsThen(t *testing.T) {
	d := newDesk(t)
	d.w.seen[d.w.endpoint(mail(anna))] = scope.Seen{
		Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Address: anna, DisplayName: "Anna", First: epoch, Last: day(1),
	}
	resp, err := d.Link(patient(t), &customerv1.LinkRequest{
		Endpoint: target(phone("+49 30 901820")), CustomerId: d.w.named(anna), Change: &customerv1.Change{Reason: "she said so"},
	})
	must(t, err)
	if got := values(resp.GetCustomer()); resp.GetCustomer().GetId() != d.w.named(anna) || !slices.Equal(got, []string{"+4930901820", anna}) {
		t.Errorf("customer %v", resp.GetCustomer())
	}
	for _, e := range resp.GetCustomer().GetEndpoints() {
		switch e.GetKind() {
		case eventv1.EndpointKind_ENDPOINT_KIND_PHONE:
			if e.GetLinkedBy() != resp.GetEventId() || len(e.GetValidity()) != 1 || e.GetFirstSeen() != nil {
				t.Errorf("the phone: %v", e)
			}
		default:
			if e.GetLinkedBy() != "" || e.GetDisplayName() != "Anna" || !e.GetLastSeen().AsTime().Equal(day(1)) {
				t.Errorf("the mail address: %v", e)
			}
		}
	}
	again := d.get(d.w.endpoint(phone("+4930901820")).String())
	if !proto.Equal(again, resp.GetCustomer()) {
		t.Errorf("by the endpoint: %v; by the link: %v", again, resp.GetCustomer())
	}
	entries, err := d.History(patient(t), &customerv1.HistoryRequest{CustomerId: again.GetId()})
	must(t, err)
	e := entries.GetEntries()[0]
	if e.GetReason() != "she said so" || e.GetActor().GetId() != "agent-desktop" || !proto.Equal(e.GetPosition(), resp.GetPosition()) {
		t.Errorf("history: %v", e)
	}
	if _, err := d.Get(patient(t), &customerv1.GetRequest{CustomerId: d.w.named(bob)}); refusal(t, err) != "NotFound" {
		t.Errorf("somebody of whom nothing is known: %v", err)
	}
	resolved, err := d.Resolve(patient(t), &customerv1.ResolveRequest{
		Addresses: []*eventv1.Address{mail("Bob@Example.com"), phone("+4930901820")}, MinPositions: []*eventv1.Position{resp.GetPosition()},
	})
	must(t, err)
	if c := resolved.GetCustomers(); c[0].GetId() != d.w.named(bob) || values(c[0])[0] != bob || c[1].GetId() != d.w.named(anna) {
		t.Errorf("resolved: %v", c)
	}
	if _, err := d.Resolve(patient(t), &customerv1.ResolveRequest{Addresses: []*eventv1.Address{mail(bob), mail("no address")}}); refusal(t, err) != "addresses[1].value" {
		t.Errorf("an address that is none: %v", err)
	}
}

func TestARequestThatIsMadeAgainIsAnsweredAsBefore(t *testing.T) {
	d := newDesk(t)
	request := func(reason string) *customerv1.MergeRequest {
		return &customerv1.MergeRequest{Into: d.w.named(anna), Merged: d.w.named(bob), Change: &customerv1.Change{RequestId: "r1", Reason: reason}}
	}
	first, err := d.Merge(patient(t), request("twins"))
	must(t, err)
	second, err := d.Merge(patient(t), request("twins"))
	must(t, err)
	if !proto.Equal(first, second) {
		t.Errorf("%v and then %v", first, second)
	}
	if _, err := d.Merge(patient(t), request("no reason")); refusal(t, err) != "change.request_id" {
		t.Errorf("other content: %v", err)
	}
	_, err = d.Undo(patient(t), &customerv1.UndoRequest{EventId: first.GetEventId(), Change: &customerv1.Change{RequestId: "r1"}})
	if refusal(t, err) != "change.request_id" {
		t.Errorf("another change: %v", err)
	}
	refused := &customerv1.MergeRequest{Into: d.w.named(anna), Merged: d.w.named(bob), Change: &customerv1.Change{RequestId: "r2"}}
	for range 2 {
		if _, err := d.Merge(patient(t), refused); refusal(t, err) != "SAME_CUSTOMER" {
			t.Errorf("once more: %v", err)
		}
	}
	if _, next, err := d.w.log.Bounds(t.Context(), event.TopicLinks, first.GetPosition().GetPartition()); err != nil || next != 2 {
		t.Errorf("%d records, %v", next, err)
	}
}

func TestTwoWhoMergeAtOnceAreDecidedOneAfterTheOther(t *testing.T) {
	d := newDesk(t)
	outcome := make(chan error, 2)
	for _, ids := range [][2]string{{d.w.named(anna), d.w.named(bob)}, {d.w.named(bob), d.w.named(anna)}} {
		go func() {
			_, err := d.Merge(patient(t), &customerv1.MergeRequest{Into: ids[0], Merged: ids[1]})
			outcome <- err
		}()
	}
	words := []string{refusal(t, <-outcome), refusal(t, <-outcome)}
	if slices.Sort(words); !slices.Equal(words, []string{"", "SAME_CUSTOMER"}) {
		t.Errorf("outcomes %q", words)
	}
	if a, b := d.get(d.w.named(anna)), d.get(d.w.named(bob)); a.GetId() != b.GetId() || len(a.GetIds()) != 2 {
		t.Errorf("%v and %v", a, b)
	}
}

func TestWhatCannotBeIsRefusedWithAWord(t *testing.T) {
	d := newDesk(t)
	a, b, c := d.w.named(anna), d.w.named(bob), d.w.named(carla)
	merged := d.merge(b, a)
	d.merge(c, b)
	d.w.append(submission(event.TypeSubjectErased, "erase", &eventv1.Content{Body: &eventv1.Content_SubjectErased{
		SubjectErased: &eventv1.SubjectErased{CustomerId: d.w.named("gone@example.com")},
	}}))
	undone := d.merge(d.w.named("u@example.com"), d.w.named("v@example.com"))
	undo, err := d.Undo(patient(t), &customerv1.UndoRequest{EventId: undone.GetEventId()})
	must(t, err)
	for _, x := range []struct {
		name, word string
		call       func() error
	}{
		{"a merge with itself", "SAME_CUSTOMER", func() error {
			_, err := d.Merge(patient(t), &customerv1.MergeRequest{Into: a, Merged: a})
			return err
		}},
		{"a circle of merges", "SAME_CUSTOMER", func() error {
			_, err := d.Merge(patient(t), &customerv1.MergeRequest{Into: a, Merged: c})
			return err
		}},
		{"a merge into one who is erased", "ERASED", func() error {
			_, err := d.Merge(patient(t), &customerv1.MergeRequest{Into: d.w.named("gone@example.com"), Merged: a})
			return err
		}},
		{"a link to one who is erased", "ERASED", func() error {
			_, err := d.Link(patient(t), &customerv1.LinkRequest{Endpoint: target(mail(anna)), CustomerId: d.w.named("gone@example.com")})
			return err
		}},
		{"a link to the customer that the endpoint names", "SAME_CUSTOMER", func() error {
			_, err := d.Link(patient(t), &customerv1.LinkRequest{Endpoint: target(mail("n@example.com")), CustomerId: d.w.named("n@example.com")})
			return err
		}},
		{"a link that ends before it begins", "validity.until", func() error {
			_, err := d.Link(patient(t), &customerv1.LinkRequest{
				Endpoint: target(mail(anna)), CustomerId: b, Validity: &customerv1.Validity{From: timestamppb.New(day(2)), Until: timestamppb.New(day(1))},
			})
			return err
		}},
		{"a split of what is not the customer's", "NOT_LINKED", func() error {
			_, err := d.Split(patient(t), &customerv1.SplitRequest{CustomerId: a, Endpoints: []*customerv1.Target{target(mail("x@example.com"))}})
			return err
		}},
		{"a split of what came by a merge, to itself", "SAME_CUSTOMER", func() error {
			_, err := d.Split(patient(t), &customerv1.SplitRequest{CustomerId: a, Endpoints: []*customerv1.Target{target(mail(anna))}})
			return err
		}},
		{"an unlink of what was never linked", "NOT_LINKED", func() error {
			_, err := d.Unlink(patient(t), &customerv1.UnlinkRequest{Endpoint: target(mail("x@example.com")), CustomerId: a})
			return err
		}},
		{"an unlink of what came by a merge", "NOT_LINKED", func() error {
			_, err := d.Unlink(patient(t), &customerv1.UnlinkRequest{Endpoint: target(mail(anna)), CustomerId: c})
			if err != nil && !strings.Contains(err.Error(), merged.GetEventId()) {
				t.Errorf("it does not name event %s: %v", merged.GetEventId(), err)
			}
			return err
		}},
		{"an undo of nothing", "UNKNOWN_EVENT", func() error {
			_, err := d.Undo(patient(t), &customerv1.UndoRequest{EventId: a})
			return err
		}},
		{"a second undo", "ALREADY_UNDONE", func() error {
			_, err := d.Undo(patient(t), &customerv1.UndoRequest{EventId: undone.GetEventId()})
			return err
		}},
		{"an undo of an undo", "UNKNOWN_EVENT", func() error {
			_, err := d.Undo(patient(t), &customerv1.UndoRequest{EventId: undo.GetEventId()})
			return err
		}},
		{"an attribution of no interaction", "NotFound", func() error {
			_, err := d.Attribute(patient(t), &customerv1.AttributeRequest{InteractionId: a, CustomerId: a})
			return err
		}},
		{"an actor that is none", "change.actor.id", func() error {
			_, err := d.Merge(patient(t), &customerv1.MergeRequest{Into: a, Merged: a, Change: &customerv1.Change{
				Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER, Id: "anna"},
			}})
			return err
		}},
	} {
		if got := refusal(t, x.call()); got != x.word {
			t.Errorf("%s: %q, want %q", x.name, got, x.word)
		}
	}
	if !d.get(d.w.named("gone@example.com")).GetErased() {
		t.Error("the erased one is not")
	}
}

func TestUnlinkUndoesEveryLinkAndIsAnsweredTheSameAgain(t *testing.T) {
	d := newDesk(t)
	a := d.w.named(anna)
	d.link(mail(bob), a)
	d.link(mail(bob), a)
	request := &customerv1.UnlinkRequest{Endpoint: target(mail(bob)), CustomerId: a, Change: &customerv1.Change{RequestId: "once"}}
	first, err := d.Unlink(patient(t), request)
	must(t, err)
	if got := values(first.GetCustomer()); len(got) != 1 {
		t.Errorf("the customer still has %q", got)
	}
	d.link(mail(bob), a) // somebody else, since
	second, err := d.Unlink(patient(t), request)
	must(t, err)
	if second.GetEventId() != first.GetEventId() || len(second.GetCustomer().GetEndpoints()) != 2 {
		t.Errorf("again: %v", second)
	}
	request.Endpoint = target(mail(carla))
	if _, err := d.Unlink(patient(t), request); refusal(t, err) != "change.request_id" {
		t.Errorf("another endpoint: %v", err)
	}
	split, err := d.Split(patient(t), &customerv1.SplitRequest{CustomerId: a, Endpoints: []*customerv1.Target{target(mail(bob))}, To: d.w.named(carla)})
	must(t, err)
	if split.GetCustomer().GetId() != d.w.named(carla) || len(split.GetCustomer().GetEndpoints()) != 2 {
		t.Errorf("split to %v", split.GetCustomer())
	}
	_, err = d.Unlink(patient(t), &customerv1.UnlinkRequest{Endpoint: target(mail(bob)), CustomerId: d.w.named(carla)})
	if refusal(t, err) != "NOT_LINKED" || !strings.Contains(err.Error(), split.GetEventId()) {
		t.Errorf("unlink of what was split: %v", err)
	}
	back, err := d.Undo(patient(t), &customerv1.UndoRequest{EventId: split.GetEventId()})
	must(t, err)
	if len(d.get(a).GetEndpoints()) != 2 || len(back.GetCustomer().GetEndpoints()) != 1 {
		t.Errorf("after the undo: %v and %v", d.get(a), back.GetCustomer())
	}
}

// An id whose endpoint went to somebody else for good answers as that one, and what is done to it is done to that one.
func TestAnIdThatHasNothingLeftMeansWhoeverHasItsEndpoint(t *testing.T) {
	d := newDesk(t)
	a, b := d.w.named(anna), d.w.named(bob)
	d.link(mail(bob), a)
	if got := d.get(b); got.GetId() != a || !slices.Equal(got.GetIds(), []string{a, b}) {
		t.Errorf("bob: %v", got)
	}
	if got := d.link(mail(carla), b).GetCustomer(); got.GetId() != a || len(got.GetEndpoints()) != 3 {
		t.Errorf("a link to bob: %v", got)
	}
}

func TestAnAddressMeansWhoeverHasItThoughTheCustomerNamedAfterItGoesOn(t *testing.T) {
	d := newDesk(t)
	a, b, c := d.w.named(anna), d.w.named(bob), d.w.named(carla)
	d.merge(a, b)
	_, err := d.Split(patient(t), &customerv1.SplitRequest{CustomerId: a, Endpoints: []*customerv1.Target{target(mail(bob))}, To: c})
	must(t, err)
	resolved, err := d.Resolve(patient(t), &customerv1.ResolveRequest{Addresses: []*eventv1.Address{mail(bob)}})
	must(t, err)
	named, err := event.ParseID(b)
	must(t, err)
	for what, got := range map[string]string{
		"by its address": resolved.GetCustomers()[0].GetId(), "by the endpoint's id": d.get(event.EndpointOf(named).String()).GetId(),
	} {
		if got != c {
			t.Errorf("%s it is %s's, not %s's", what, got, c)
		}
	}
	if got := d.get(b).GetId(); got != a {
		t.Errorf("the customer of that name became %s, not %s", got, a)
	}
}

func TestALinkThatEndsInTheFutureCountsUntilThen(t *testing.T) {
	d := newDesk(t)
	shared, b := phone("+4930901820"), d.w.named(bob)
	until := time.Now().Add(time.Hour)
	_, err := d.Link(patient(t), &customerv1.LinkRequest{
		Endpoint: target(shared), CustomerId: b, Validity: &customerv1.Validity{Until: timestamppb.New(until)},
	})
	must(t, err)
	resolved, err := d.Resolve(patient(t), &customerv1.ResolveRequest{Addresses: []*eventv1.Address{shared}})
	must(t, err)
	if got := resolved.GetCustomers()[0].GetId(); got != b {
		t.Errorf("the number is %s's, not %s's", got, b)
	}
	reads, endpoint := d.w.reads(d.w.store), d.w.endpoint(shared)
	s, err := reads.Scope(t.Context(), tenant, endpoint, scope.At{})
	must(t, err)
	again, err := reads.Scope(t.Context(), tenant, endpoint, scope.At{Version: s.Version}) // as a later page asks, whenever that is
	must(t, err)
	if s.ID.String() != b || !reflect.DeepEqual(again, s) {
		t.Errorf("its scope is %v, and then %v", s, again)
	}
}

func TestOfLinksThatOverlapTheLaterCounts(t *testing.T) {
	d := newDesk(t)
	shared := phone("+4930901820")
	validity := func(from, until int) *customerv1.Validity {
		return &customerv1.Validity{From: timestamppb.New(day(from)), Until: timestamppb.New(day(until))}
	}
	for _, x := range []struct {
		to   string
		when *customerv1.Validity
	}{{d.w.named(anna), nil}, {d.w.named(bob), validity(2, 8)}, {d.w.named(carla), validity(4, 6)}} {
		_, err := d.Link(patient(t), &customerv1.LinkRequest{Endpoint: target(shared), CustomerId: x.to, Validity: x.when})
		must(t, err)
	}
	phone := d.w.endpoint(shared)
	for at, want := range map[int]string{1: anna, 2: bob, 4: carla, 5: carla, 6: bob, 8: anna} {
		if got, err := d.w.customers.Owner(t.Context(), tenant, phone, day(at).UnixNano()); err != nil || got.String() != d.w.named(want) {
			t.Errorf("on day %d it is %s's (%v), not %s's", at, got, err, want)
		}
	}
	i := slices.IndexFunc(d.get(d.w.named(bob)).GetEndpoints(), func(e *customerv1.Endpoint) bool { return e.GetId() == phone.String() })
	got := d.get(d.w.named(bob)).GetEndpoints()[i].GetValidity()
	if want := []*customerv1.Validity{validity(2, 4), validity(6, 8)}; len(got) != 2 || !proto.Equal(got[0], want[0]) || !proto.Equal(got[1], want[1]) {
		t.Errorf("bob has it %v", got)
	}
}

func TestAnAttributedInteractionBelongsToOneAndNotToTheOther(t *testing.T) {
	d := newDesk(t)
	mother, son := d.w.endpoint(mail(anna)), d.w.endpoint(mail(bob))
	call, chat := idOf('i', 1), idOf('i', 2)
	d.w.stretches[call] = scope.Span{ID: idOf('t', 1), Range: scope.Range{From: 1, Until: 5}}
	d.w.stretches[chat] = scope.Span{ID: idOf('t', 2), Range: scope.Range{From: 2, Until: 6}}
	d.w.parties[call] = []event.ID{mother}
	d.w.parties[chat] = []event.ID{mother, d.w.endpoint(mail(carla))}
	var last *customerv1.ChangeResponse
	for _, interaction := range []event.ID{call, chat} {
		var err error
		last, err = d.Attribute(patient(t), &customerv1.AttributeRequest{InteractionId: interaction.String(), CustomerId: son.String()})
		must(t, err)
	}
	if got := last.GetCustomer().GetAttributedInteractions(); len(got) != 2 {
		t.Errorf("attributed: %v", got)
	}
	spans := func(id event.ID) (threads []scope.Span, without []scope.Exception) {
		s, err := d.w.customers.Scope(t.Context(), tenant, id, scope.At{})
		must(t, err)
		s = sorted(s)
		return s.Threads, s.Without
	}
	if threads, without := spans(son); !slices.Equal(threads, []scope.Span{d.w.stretches[call], d.w.stretches[chat]}) || without != nil {
		t.Errorf("the son's: %v without %v", threads, without)
	}
	some := scope.Exception{Thread: idOf('t', 2), Range: scope.Range{From: 2, Until: 6}}
	if threads, without := spans(mother); threads != nil || !slices.Equal(without, []scope.Exception{{Thread: idOf('t', 1), Endpoint: mother, Range: scope.Range{From: 1, Until: 5}}, some}) {
		t.Errorf("the mother's: %v without %v", threads, without)
	}
	if _, without := spans(d.w.endpoint(mail(carla))); !slices.Equal(without, []scope.Exception{some}) {
		t.Errorf("the other's: without %v", without)
	}
	_, err := d.Undo(patient(t), &customerv1.UndoRequest{EventId: last.GetEventId()})
	must(t, err)
	if threads, _ := spans(son); !slices.Equal(threads, []scope.Span{d.w.stretches[call]}) {
		t.Errorf("after the undo: %v", threads)
	}
}

func TestTheHistoryOfACustomerIsThatOfAllWhoBecameIt(t *testing.T) {
	d := newDesk(t)
	a, b := d.w.named(anna), d.w.named(bob)
	var want []string
	for i := range 3 {
		want = append(want, d.link(mail(fmt.Sprint(i, "@example.com")), a).GetEventId(), d.link(mail(fmt.Sprint(i, "@example.org")), b).GetEventId())
	}
	want = append(want, d.merge(a, b).GetEventId())
	undo, err := d.Undo(patient(t), &customerv1.UndoRequest{EventId: want[0]})
	must(t, err)
	want = append(want, undo.GetEventId())
	slices.Reverse(want)
	var got []string
	request := &customerv1.HistoryRequest{CustomerId: b, PageSize: 3}
	for pages := 1; ; pages++ {
		resp, err := d.History(patient(t), request)
		must(t, err)
		for _, e := range resp.GetEntries() {
			got = append(got, e.GetEventId())
			if e.GetEventId() == want[7] && e.GetUndoneBy() != want[0] {
				t.Errorf("what was undone: %v", e)
			}
		}
		if request.PageToken = resp.GetNextPageToken(); request.GetPageToken() == "" {
			if pages != 3 {
				t.Errorf("%d pages", pages)
			}
			break
		}
		other := &customerv1.HistoryRequest{CustomerId: d.w.named(carla), PageToken: request.GetPageToken()}
		if _, err := d.History(patient(t), other); refusal(t, err) != "page_token" {
			t.Errorf("another query: %v", err)
		}
		if _, err := d.Conflicts(patient(t), &customerv1.ConflictsRequest{PageToken: request.GetPageToken()}); refusal(t, err) != "page_token" {
			t.Errorf("another call: %v", err)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if _, err := d.History(patient(t), &customerv1.HistoryRequest{CustomerId: b, PageToken: "none"}); refusal(t, err) != "page_token" {
		t.Errorf("no token: %v", err)
	}
}

// rule appends an automatic link of the only endpoint of its kind that the customer may have.
func (d desk) rule(a *eventv1.Address, to string) event.ID {
	d.t.Helper()
	e := d.w.append(submission(event.TypeEndpointLinked, fmt.Sprint("rule ", d.w.clock), &eventv1.Content{Body: &eventv1.Content_EndpointLinked{
		EndpointLinked: &eventv1.EndpointLinked{
			EndpointId: d.w.endpoint(a).String(), CustomerId: to, Automatic: true, Rule: "same login", Limit: 1, Kind: a.GetKind(),
		},
	}}, a))
	return idFrom(d.t, e.GetId())
}

func TestARuleTakesNothingFromAnybodyAndAPersonIsTold(t *testing.T) {
	d := newDesk(t)
	a, b := d.w.named(anna), d.w.named(bob)
	d.rule(phone("+4930901820"), a)
	same := d.rule(phone("+4930901820"), a)
	taken := d.rule(phone("+4930901820"), b)
	limited := d.rule(phone("+4930901821"), a)
	d.link(mail(carla), a) // behind them
	resp, err := d.Conflicts(patient(t), &customerv1.ConflictsRequest{})
	must(t, err)
	if c := resp.GetEntries(); len(c) != 2 || c[0].GetEventId() != limited.String() || c[0].GetRefusal() != customerv1.Refusal_REFUSAL_TOO_MANY_ENDPOINTS ||
		c[1].GetEventId() != taken.String() || c[1].GetRefusal() != customerv1.Refusal_REFUSAL_CONFLICT || c[1].GetRule() != "same login" {
		t.Errorf("conflicts: %v", c)
	}
	if o, found, err := d.w.customers.Decided(t.Context(), tenant, same); err != nil || !found || o.GetRefusal() != customerv1.Refusal_REFUSAL_SAME_CUSTOMER {
		t.Errorf("what was so anyway: %v, %v", o, err)
	}
}

func TestWhatIsStatedLastCountsAndThePastIsKept(t *testing.T) {
	d := newDesk(t)
	shared := phone("+4930901820")
	said := 0
	say := func(minute int, a *eventv1.Address, plan string) {
		said++
		s := submission(event.TypeCustomerAttributesUpdated, fmt.Sprint("said ", said), &eventv1.Content{
			Body: &eventv1.Content_CustomerAttributesUpdated{CustomerAttributesUpdated: &eventv1.CustomerAttributesUpdated{
				Source: "crm", Attributes: map[string]string{"plan": plan},
			}},
		}, a)
		s.OccurredAt = timestamppb.New(epoch.Add(time.Duration(minute-100) * time.Minute))
		d.w.append(s)
	}
	plan := func(c *customerv1.Customer) string {
		if len(c.GetAttributes()) == 0 {
			return ""
		}
		return c.GetAttributes()[0].GetValue()
	}
	say(2, mail(anna), "gold")
	before := d.w.clock
	say(1, mail(anna), "late and old")
	say(3, shared, "silver")
	d.link(shared, d.w.named(anna))
	if got := plan(d.get(d.w.named(anna))); got != "silver" {
		t.Errorf("the plan is %q", got)
	}
	past, err := d.Get(patient(t), &customerv1.GetRequest{CustomerId: d.w.named(anna), AsOf: asOf(before)})
	must(t, err)
	if got := plan(past.GetCustomer()); got != "gold" || len(past.GetCustomer().GetEndpoints()) != 1 {
		t.Errorf("the past: %v", past)
	}
	_, err = d.Link(patient(t), &customerv1.LinkRequest{
		Endpoint: target(shared), CustomerId: d.w.named(bob), Validity: &customerv1.Validity{From: timestamppb.New(epoch.Add(-90 * time.Minute))},
	})
	must(t, err)
	say(50, shared, "bronze") // of whoever has the number then
	say(60, mail(carla), "")
	d.merge(d.w.named(carla), d.w.named(bob))
	if a, b := plan(d.get(d.w.named(anna))), plan(d.get(d.w.named(bob))); a != "silver" || b != "" {
		t.Errorf("anna's plan is %q, bob's %q", a, b)
	}
	fact := func(id string, removed bool) {
		d.w.append(submission(event.TypeCustomerFactRecorded, fmt.Sprint(id, removed), &eventv1.Content{Body: &eventv1.Content_CustomerFactRecorded{
			CustomerFactRecorded: &eventv1.CustomerFactRecorded{Source: "shop", Kind: "order", Id: id, Title: "Kettle " + id, Removed: removed},
		}}, mail(anna)))
	}
	fact("1", false)
	fact("2", false)
	fact("3", false)
	fact("2", true)
	d.w.append(submission(event.TypeConsentChanged, "consent", &eventv1.Content{Body: &eventv1.Content_ConsentChanged{
		ConsentChanged: &eventv1.ConsentChanged{Purpose: "marketing", Granted: true, Evidence: "form"},
	}}, mail(anna)))
	d.link(mail("another@example.com"), d.w.named(anna)) // behind them
	c := d.get(d.w.named(anna))
	if f := c.GetFacts(); len(f) != 2 || f[0].GetId() != "3" || f[1].GetTitle() != "Kettle 1" || f[1].GetEndpointId() != d.w.endpoint(mail(anna)).String() {
		t.Errorf("facts: %v", f)
	}
	if k := c.GetConsents(); len(k) != 1 || !k[0].GetGranted() || k[0].GetEvidence() != "form" {
		t.Errorf("consents: %v", k)
	}
	history, err := d.History(patient(t), &customerv1.HistoryRequest{CustomerId: c.GetId()})
	must(t, err)
	if e := history.GetEntries()[1]; e.GetKind() != customerv1.ChangeKind_CHANGE_KIND_CONSENT || e.GetDetail() != "marketing: granted" {
		t.Errorf("history: %v", e)
	}
}

func TestAVersionOfAnotherReadModelHasExpired(t *testing.T) {
	w := newWorld(t)
	for _, version := range []string{"1.5", "7.1", "x", "1", "1.-1", "1.2.3.4"} {
		if _, err := w.customers.Scope(t.Context(), tenant, idOf('e', 1), scope.At{Version: version}); !errors.Is(err, scope.ErrExpired) {
			t.Errorf("version %q: %v", version, err)
		}
	}
	if _, err := w.customers.Scope(t.Context(), tenant, event.ID{}, scope.At{}); !errors.Is(err, scope.ErrUnknown) {
		t.Errorf("no id: %v", err)
	}
}

func TestWhoseAnEndpointWasThenIsWhatTheLinksOfThenSay(t *testing.T) {
	w := newWorld(t)
	number := phone("+4930901820")
	endpoint := w.endpoint(number)
	link := func(id, to string) {
		w.append(submission(event.TypeEndpointLinked, id, &eventv1.Content{Body: &eventv1.Content_EndpointLinked{EndpointLinked: &eventv1.EndpointLinked{
			EndpointId: endpoint.String(), CustomerId: to,
		}}}))
		w.fold(w.store, 10)
	}
	alone := w.clock
	link("1", w.named(anna))
	annas := w.clock
	link("2", w.named(bob))
	bobs := w.clock
	for _, x := range []struct {
		at   time.Time
		want string
	}{{alone, endpoint.String()}, {annas, w.named(anna)}, {bobs, w.named(bob)}} {
		if got, err := w.customers.OwnerThen(t.Context(), tenant, endpoint, x.at); err != nil || got.String() != x.want {
			t.Errorf("at %v it was %s's (%v), not %s's", x.at, got, err, x.want)
		}
	}
	if got, err := w.customers.OwnerThen(t.Context(), tenant, w.endpoint(mail(anna)), annas); err != nil || got.String() != w.named(anna) {
		t.Errorf("her own address was %s's (%v)", got, err)
	}
	if got, err := w.customers.OwnerThen(t.Context(), tenant, w.endpoint(mail(carla)), bobs); err != nil || got != w.endpoint(mail(carla)) {
		t.Errorf("the address of one who is linked to nobody was %s's (%v)", got, err)
	}
}
