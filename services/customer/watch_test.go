package customer_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/customer"
)

// watch waits for the scope of what an address names.
func (d desk) watch(address string) (changed <-chan struct{}, done func()) {
	d.t.Helper()
	s, err := d.w.customers.Scope(d.t.Context(), tenant, d.w.endpoint(mail(address)), scope.At{})
	must(d.t, err)
	return d.w.customers.Changed(s, tenant)
}

func (d desk) fires(what string, changed <-chan struct{}) {
	d.t.Helper()
	select {
	case <-changed:
	case <-time.After(patience):
		d.t.Fatalf("%s: nobody was told", what)
	}
}

func TestWhoeverIsConcernedIsToldOfAChange(t *testing.T) {
	d := newDesk(t)
	begun, enough := d.w.customers.Changed(scope.Scope{}, tenant)
	d.w.run(t, d.w.customers.Run)
	d.fires("the first pass", begun)
	enough()
	d.w.stretches[idOf('i', 1)] = scope.Span{ID: idOf('t', 1), Range: scope.Range{From: 1, Until: 5}}
	d.w.parties[idOf('i', 1)] = []event.ID{d.w.endpoint(mail(anna))}
	var last string
	for _, x := range []struct {
		what      string
		concerned []string
		change    func() (*customerv1.ChangeResponse, error)
	}{
		{"a link", []string{anna, bob}, func() (*customerv1.ChangeResponse, error) {
			return d.Link(patient(t), &customerv1.LinkRequest{Endpoint: target(mail(bob)), CustomerId: d.w.named(anna)})
		}},
		{"a merge", []string{anna, bob, carla}, func() (*customerv1.ChangeResponse, error) {
			return d.Merge(patient(t), &customerv1.MergeRequest{Into: d.w.named(carla), Merged: d.w.named(bob)})
		}},
		{"its undo", []string{anna, bob, carla}, func() (*customerv1.ChangeResponse, error) {
			return d.Undo(patient(t), &customerv1.UndoRequest{EventId: last})
		}},
		{"an attribution", []string{anna, carla}, func() (*customerv1.ChangeResponse, error) {
			return d.Attribute(patient(t), &customerv1.AttributeRequest{InteractionId: idOf('i', 1).String(), CustomerId: d.w.named(carla)})
		}},
		{"a split", []string{anna, bob}, func() (*customerv1.ChangeResponse, error) {
			return d.Split(patient(t), &customerv1.SplitRequest{CustomerId: d.w.named(anna), Endpoints: []*customerv1.Target{target(mail(bob))}})
		}},
	} {
		var waiting []<-chan struct{}
		for _, address := range x.concerned {
			changed, done := d.watch(address)
			t.Cleanup(done)
			waiting = append(waiting, changed)
		}
		unconcerned, done := d.watch("other@example.com")
		given, enough := d.watch(anna)
		enough()
		resp, err := x.change()
		must(t, err)
		last = resp.GetEventId()
		for i, changed := range waiting {
			d.fires(x.what+" of "+x.concerned[i], changed)
		}
		select {
		case <-unconcerned:
			t.Errorf("%s: one was told who is not concerned", x.what)
		case <-given:
			t.Errorf("%s: one was told who had enough", x.what)
		default:
		}
		done()
	}
}

// A rebuild gives the same read model, tells all who wait, and answers what was asked of the one before for as long as that is kept.
func TestARebuildGivesTheSameAndTellsEverybody(t *testing.T) {
	p := newPlay(t)
	seeded(t, p)
	p.fold(p.store, 3)
	want := p.hash(p.store, namespace)
	again := kv.Namespace{Slice: customer.Slice, Generation: 9}
	r := p.runner(p.store, again, 0)
	must(t, r.RunToEnd(t.Context()))
	r.Close()
	if got := p.hash(p.store, again); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
	must(t, p.store.Drop(t.Context(), again))

	id := p.model.endpoints[0]
	before, err := p.customers.Scope(t.Context(), tenant, id, scope.At{})
	must(t, err)
	manager, err := projection.NewManager(t.Context(), projection.Config{
		Log: p.log, Store: p.store, Namespace: kv.Namespace{Slice: customer.Slice}, Topic: event.TopicLinks, Fold: customer.NewFold(partitions), Progress: p.progress,
	}, 0)
	must(t, err)
	p.run(t, p.customers.Run)
	p.run(t, manager.Run)
	changed, done := p.customers.Changed(before, tenant)
	defer done()
	must(t, manager.Rebuild(t.Context(), nil))
	desk{t: t}.fires("the rebuild", changed)
	after, err := p.customers.Scope(t.Context(), tenant, id, scope.At{})
	must(t, err)
	old, err := p.customers.Scope(t.Context(), tenant, id, scope.At{Version: before.Version})
	must(t, err)
	if after.Version == before.Version || old.Version != before.Version {
		t.Errorf("versions %q, %q and %q", before.Version, old.Version, after.Version)
	}
	if fmt.Sprint(sorted(after)) != fmt.Sprint(sorted(before)) || fmt.Sprint(sorted(old)) != fmt.Sprint(sorted(before)) {
		t.Errorf("before %v, old %v, after %v", before, old, after)
	}
}

// seeded does the same things each time.
func seeded(t *testing.T, p *play) {
	t.Helper()
	for i, a := range p.addresses {
		to := event.CustomerOf(p.model.endpoints[i/2]).String()
		p.ask(event.TypeEndpointLinked, &eventv1.Content{Body: &eventv1.Content_EndpointLinked{
			EndpointLinked: &eventv1.EndpointLinked{EndpointId: p.endpoint(a).String(), CustomerId: to},
		}})
	}
	p.ask(event.TypeCustomerMerged, &eventv1.Content{Body: &eventv1.Content_CustomerMerged{CustomerMerged: &eventv1.CustomerMerged{
		Into: p.model.endpoints[0].String(), Merged: p.model.endpoints[2].String(),
	}}})
}

func TestACustomerHasNoMoreEndpointsThanAreAllowed(t *testing.T) {
	w := newWorld(t)
	to := event.CustomerOf(idOf('e', 0)).String()
	link := func(i int) event.ID {
		id := event.ID{0: 1, 1: 'm', 14: byte(i >> 8), 15: byte(i)}
		e := w.append(submission(event.TypeEndpointLinked, fmt.Sprint(i), &eventv1.Content{Body: &eventv1.Content_EndpointLinked{
			EndpointLinked: &eventv1.EndpointLinked{EndpointId: id.String(), CustomerId: to},
		}}))
		return idFrom(t, e.GetId())
	}
	for i := range customer.MaxEndpoints - 1 { // beside the one that names it
		link(i)
	}
	merged := w.append(submission(event.TypeCustomerMerged, "m", &eventv1.Content{Body: &eventv1.Content_CustomerMerged{
		CustomerMerged: &eventv1.CustomerMerged{Into: to, Merged: idOf('x', 1).String()},
	}}))
	last := link(customer.MaxEndpoints)
	w.fold(w.store, 0)
	for _, id := range []event.ID{last, idFrom(t, merged.GetId())} {
		if o, _, err := w.customers.Decided(t.Context(), tenant, id); err != nil || o.GetRefusal() != customerv1.Refusal_REFUSAL_TOO_MANY_ENDPOINTS {
			t.Errorf("decided %v, %v", o, err)
		}
	}
	s, err := w.customers.Scope(t.Context(), tenant, idOf('e', 0), scope.At{})
	if err != nil || len(s.Endpoints) != customer.MaxEndpoints {
		t.Errorf("%d endpoints, %v", len(s.Endpoints), err)
	}
}

func TestWhatIsBrokenGoesToTheDeadLettersAndStopsNothing(t *testing.T) {
	w := newWorld(t)
	good := func(id string) *eventv1.Event {
		c, err := w.compiler.Compile(tenant, submission(event.TypeCustomerMerged, id, &eventv1.Content{Body: &eventv1.Content_CustomerMerged{
			CustomerMerged: &eventv1.CustomerMerged{Into: idOf('e', 1).String(), Merged: idOf('e', 2).String()},
		}}), epoch)
		must(t, err)
		return c.Event
	}
	encoded := func(e *eventv1.Event) []byte {
		value, err := event.Encode(e)
		must(t, err)
		return value
	}
	w.appendRaw(tenant, []byte("no event"))
	w.appendRaw("another tenant", encoded(good("1")))
	content := good("2")
	content.Content = []byte{0xff}
	w.appendEvent(content)
	w.appendEvent(good("3"))
	w.appendEvent(good("3"))
	conflict := good("3")
	conflict.Digest = []byte("another")
	w.appendEvent(conflict)
	sealed := good("4")
	sealed.Seal = "key"
	w.appendEvent(sealed)
	unknown := good("5")
	unknown.Type = "customer.greeted"
	w.appendEvent(unknown)
	w.fold(w.store, 3)
	var reasons []eventv1.DeadReason
	for _, l := range w.letters {
		reasons = append(reasons, l.GetReason())
	}
	slices.Sort(reasons)
	if want := []eventv1.DeadReason{
		eventv1.DeadReason_DEAD_REASON_UNDECODABLE, eventv1.DeadReason_DEAD_REASON_INVALID, eventv1.DeadReason_DEAD_REASON_INVALID, eventv1.DeadReason_DEAD_REASON_CONFLICT,
	}; !slices.Equal(reasons, slices.Sorted(slices.Values(want))) {
		t.Errorf("letters: %v", w.letters)
	}
	if s, err := w.customers.Scope(t.Context(), tenant, idOf('e', 2), scope.At{}); err != nil || len(s.Endpoints) != 2 {
		t.Errorf("the good one: %v, %v", s, err)
	}
	if o, found, err := w.customers.Decided(t.Context(), tenant, idFrom(t, sealed.GetId())); err != nil || !found || o.GetRefusal() != customerv1.Refusal_REFUSAL_MALFORMED {
		t.Errorf("the sealed one: %v, %v", o, err)
	}
}

func TestAnAddressIsFoundUnderTheKeyThatItWasMadeWith(t *testing.T) {
	w := newWorld(t)
	file := filepath.Join(t.TempDir(), "keyring")
	key := func(version byte) map[string]any {
		return map[string]any{"version": version, "secret": append(make([]byte, 31), version)}
	}
	raw, err := json.Marshal(map[string]any{"current": 2, "keys": []any{key(1), key(2)}})
	must(t, err)
	must(t, os.WriteFile(file, raw, 0o600))
	keyring, err := event.LoadKeyring(file)
	must(t, err)
	address, err := event.Normalise(mail(anna))
	must(t, err)
	server := customer.NewServer(customer.Config{Customers: w.customers, Keyring: keyring, Endpoints: w})
	ctx := auth.With(t.Context(), auth.Identity{Tenant: tenant})
	ask := func() string {
		resp, err := server.Resolve(ctx, &customerv1.ResolveRequest{Addresses: []*eventv1.Address{mail(anna)}})
		must(t, err)
		return resp.GetCustomers()[0].GetId()
	}
	old, current := keyring.TenantAt(tenant, 1).Endpoint(address), keyring.Tenant(tenant).Endpoint(address)
	if got := ask(); got != event.CustomerOf(current).String() {
		t.Errorf("nobody knows it: %s", got)
	}
	w.seen[old] = scope.Seen{Address: anna}
	if got := ask(); got != event.CustomerOf(old).String() {
		t.Errorf("it is known under the old key: %s", got)
	}
}

// linked is a store with customers of five endpoints each.
func linked(b *testing.B, customers int) (*world, []event.ID) {
	b.Helper()
	w := newWorld(b)
	var ids []event.ID
	for i := range customers {
		first := event.ID{0: 1, 1: 'b', 12: byte(i >> 8), 13: byte(i)}
		ids = append(ids, first)
		for n := range byte(4) {
			id := first
			id[15] = n + 1
			w.append(submission(event.TypeEndpointLinked, id.String(), &eventv1.Content{Body: &eventv1.Content_EndpointLinked{
				EndpointLinked: &eventv1.EndpointLinked{EndpointId: id.String(), CustomerId: first.String()},
			}}))
		}
	}
	w.fold(w.store, 0)
	return w, ids
}

// BenchmarkMergeShows is from the merge of two customers of five endpoints to their common scope, over a store in memory; every second
// one is the undo of the one before.
func BenchmarkMergeShows(b *testing.B) {
	w, ids := linked(b, 1000)
	r := w.runner(w.store, namespace, 0)
	defer r.Close()
	var merged *eventv1.Event
	for i := 0; b.Loop(); i++ {
		pair := ids[i/2*2%len(ids):][:2]
		want := 10
		if i%2 == 0 {
			merged = w.append(submission(event.TypeCustomerMerged, fmt.Sprint("bench ", i), &eventv1.Content{Body: &eventv1.Content_CustomerMerged{
				CustomerMerged: &eventv1.CustomerMerged{Into: pair[0].String(), Merged: pair[1].String()},
			}}))
		} else {
			want = 5
			w.append(submission(event.TypeLinkUndone, fmt.Sprint("bench ", i), &eventv1.Content{Body: &eventv1.Content_LinkUndone{
				LinkUndone: &eventv1.LinkUndone{EventId: merged.GetId()},
			}}))
		}
		must(b, r.RunToEnd(b.Context()))
		s, err := w.customers.Scope(b.Context(), tenant, pair[1], scope.At{})
		if err != nil || len(s.Endpoints) != want {
			b.Fatalf("%d endpoints, %v", len(s.Endpoints), err)
		}
	}
}

// BenchmarkScope reads the scope of a customer of five endpoints.
func BenchmarkScope(b *testing.B) {
	w, ids := linked(b, 1000)
	for i := 0; b.Loop(); i++ {
		if _, err := w.customers.Scope(b.Context(), tenant, ids[i%len(ids)], scope.At{}); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkFold decides about links, four to each customer.
func BenchmarkFold(b *testing.B) {
	w, _ := linked(b, 1000)
	records := int64(0)
	for p := range int32(partitions) {
		_, next, err := w.log.Bounds(b.Context(), event.TopicLinks, p)
		must(b, err)
		records += next
	}
	for b.Loop() {
		b.StopTimer()
		must(b, w.store.Drop(context.Background(), namespace))
		b.StartTimer()
		w.fold(w.store, 0)
	}
	b.ReportMetric(float64(records)*float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
