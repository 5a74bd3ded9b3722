package customer_test

import (
	"context"
	"fmt"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/scope"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/customer"
)

// play is a world, the model that it has to be equal to, and what was asked of both.
type play struct {
	*world
	model     *model
	addresses []*eventv1.Address // of the model's endpoints
	ops       []*op
	offset    int   // of the next record
	clocks    []int // the latest time of receipt, in seconds, by offset
	events    []*eventv1.Event
}

func idOf(kind, n byte) event.ID { return event.ID{0: 1, 1: kind, 6: 0x80, 8: 0x80, 15: n} }

func newPlay(rt rapid.TB) *play {
	p := &play{world: newWorld(rt)}
	p.model = &model{stretches: p.stretches, kinds: map[event.ID]eventv1.EndpointKind{}}
	for i := range 5 {
		p.addresses = append(p.addresses, mail(fmt.Sprint(i, "@example.com")))
		p.model.endpoints = append(p.model.endpoints, p.endpoint(p.addresses[i]))
	}
	for i := range 3 {
		p.model.times = append(p.model.times, day(i).UnixNano())
		p.stretches[idOf('i', byte(i))] = scope.Span{ID: idOf('t', byte(i)), Range: scope.Range{From: int64(i), Until: int64(i) + 10}}
	}
	return p
}

func day(n int) time.Time { return epoch.AddDate(0, 0, n) }

// anyone is the id of an endpoint, or of the customer that it names.
func (p *play) anyone(rt *rapid.T, label string) event.ID {
	id := rapid.SampledFrom(p.model.endpoints).Draw(rt, label)
	if rapid.Bool().Draw(rt, label+" as a customer") {
		return event.CustomerOf(id)
	}
	return id
}

func (p *play) some(rt *rapid.T) (ids []event.ID, texts []string) {
	ids = rapid.SliceOfNDistinct(rapid.SampledFrom(p.model.endpoints), 1, 3, rapid.ID[event.ID]).Draw(rt, "endpoints")
	for _, id := range ids {
		texts = append(texts, id.String())
	}
	return ids, texts
}

// draw thinks of a change.
func (p *play) draw(rt *rapid.T) (o *op, content *eventv1.Content, typ string) {
	o = &op{id: idOf('c', byte(len(p.ops))), Range: scope.Ever}
	content = &eventv1.Content{}
	switch rapid.SampledFrom([]string{"link", "link", "link", "rule", "rule", "merge", "merge", "split", "split", "undo", "undo", "undo", "attribute", "erase"}).Draw(rt, "change") {
	case "rule":
		o.automatic = true
		o.limit = rapid.IntRange(0, 3).Draw(rt, "limit")
		fallthrough
	case "link":
		typ, o.kind = event.TypeEndpointLinked, customerv1.ChangeKind_CHANGE_KIND_LINK
		o.endpoints, o.named = []event.ID{rapid.SampledFrom(p.model.endpoints).Draw(rt, "endpoint")}, []event.ID{p.anyone(rt, "customer")}
		o.endpoint = eventv1.EndpointKind(rapid.IntRange(0, 2).Draw(rt, "kind"))
		b := &eventv1.EndpointLinked{
			EndpointId: o.endpoints[0].String(), CustomerId: o.named[0].String(), Automatic: o.automatic, Limit: uint32(o.limit), Kind: o.endpoint,
		}
		if from := rapid.IntRange(-3, 2).Draw(rt, "from"); from >= 0 {
			o.From, b.ValidFrom = day(from).UnixNano(), timestamppb.New(day(from))
		}
		if until := rapid.IntRange(-3, 2).Draw(rt, "until"); until >= 0 {
			o.Until, b.ValidUntil = day(until).UnixNano(), timestamppb.New(day(until))
		}
		if o.Empty() {
			o.refuse = customerv1.Refusal_REFUSAL_MALFORMED
		}
		content.Body = &eventv1.Content_EndpointLinked{EndpointLinked: b}
	case "merge":
		typ, o.kind = event.TypeCustomerMerged, customerv1.ChangeKind_CHANGE_KIND_MERGE
		o.named = []event.ID{p.anyone(rt, "into"), p.anyone(rt, "merged")}
		content.Body = &eventv1.Content_CustomerMerged{CustomerMerged: &eventv1.CustomerMerged{Into: o.named[0].String(), Merged: o.named[1].String()}}
	case "split":
		typ, o.kind = event.TypeCustomerSplit, customerv1.ChangeKind_CHANGE_KIND_SPLIT
		b := &eventv1.CustomerSplit{}
		o.endpoints, b.EndpointIds = p.some(rt)
		o.named = []event.ID{p.model.owner(math.MaxInt, o.endpoints[0], math.MaxInt64), o.endpoints[0]}
		if rapid.IntRange(0, 3).Draw(rt, "of anybody at 0") == 0 {
			o.named[0] = p.anyone(rt, "customer")
		}
		if rapid.Bool().Draw(rt, "to somebody") {
			o.named[1] = p.anyone(rt, "to")
			b.To = o.named[1].String()
		}
		b.CustomerId = o.named[0].String()
		content.Body = &eventv1.Content_CustomerSplit{CustomerSplit: b}
	case "attribute":
		typ, o.kind = event.TypeInteractionAttributed, customerv1.ChangeKind_CHANGE_KIND_ATTRIBUTION
		o.interaction, o.named = idOf('i', byte(rapid.IntRange(0, 2).Draw(rt, "interaction"))), []event.ID{p.anyone(rt, "customer")}
		b := &eventv1.InteractionAttributed{InteractionId: o.interaction.String(), CustomerId: o.named[0].String()}
		if rapid.Bool().Draw(rt, "from an endpoint") {
			o.endpoints = []event.ID{rapid.SampledFrom(p.model.endpoints).Draw(rt, "endpoint")}
			b.EndpointId = o.endpoints[0].String()
		}
		content.Body = &eventv1.Content_InteractionAttributed{InteractionAttributed: b}
	case "erase":
		typ, o.kind = event.TypeSubjectErased, customerv1.ChangeKind_CHANGE_KIND_ERASURE
		o.named = []event.ID{p.anyone(rt, "customer")}
		content.Body = &eventv1.Content_SubjectErased{SubjectErased: &eventv1.SubjectErased{CustomerId: o.named[0].String()}}
	case "undo":
		typ, o.kind = event.TypeLinkUndone, customerv1.ChangeKind_CHANGE_KIND_UNDO
		o.undoes = idOf('c', byte(rapid.IntRange(0, len(p.ops)).Draw(rt, "event"))) // this one, perhaps
		content.Body = &eventv1.Content_LinkUndone{LinkUndone: &eventv1.LinkUndone{EventId: o.undoes.String()}}
	}
	return o, content, typ
}

// step asks for a change, or for one again, or appends what is none.
func (p *play) step(rt *rapid.T) {
	received := max(0, len(p.clocks)*10-rapid.IntRange(0, 25).Draw(rt, "late by"))
	defer func() {
		if n := len(p.clocks); n > 0 && p.clocks[n-1] > received {
			received = p.clocks[n-1]
		}
		p.clocks = append(p.clocks, received)
		p.offset++
	}()
	switch dice := rapid.IntRange(0, 19).Draw(rt, "garbage, conflict or resend at 0, 1 and 2"); {
	case dice == 0:
		p.appendRaw(tenant, []byte("no event"))
		received = 0
		return
	case dice <= 2 && len(p.events) > 0:
		e := proto.CloneOf(rapid.SampledFrom(p.events).Draw(rt, "event"))
		if dice == 1 {
			e.Digest = []byte("another")
		}
		p.appendEvent(e)
		received = 0
		return
	}
	o, content, typ := p.draw(rt)
	o.offset = p.offset
	raw, err := proto.Marshal(content)
	must(rt, err)
	at := timestamppb.New(epoch.Add(time.Duration(received) * time.Second))
	e := &eventv1.Event{
		Id: o.id.String(), Tenant: tenant, Type: typ, OccurredAt: at, ReceivedAt: at, ThreadId: idOf('t', 99).String(), Content: raw, Digest: o.id[:],
	}
	p.appendEvent(e)
	p.events = append(p.events, e)
	p.model.decide(o)
	p.ops = append(p.ops, o)
}

// check compares all that can be asked with the model.
func (p *play) check(version int, at scope.At) {
	p.t.Helper()
	for _, e := range p.model.endpoints {
		got, err := p.customers.Scope(context.Background(), tenant, event.CustomerOf(e), at)
		must(p.t, err)
		if want := sorted(p.model.scope(version, e)); !reflect.DeepEqual(sorted(got), want) {
			p.t.Fatalf("at %d, scope of %s:\ngot  %v\nwant %v", version, e, sorted(got), want)
		}
		present := int64(math.MaxInt64) // long after all that is linked for a time
		if !at.Time.IsZero() {
			present = at.Time.UnixNano()
		}
		holder, err := p.customers.Scope(context.Background(), tenant, e, at)
		must(p.t, err)
		if want := p.model.owner(version, e, present); holder.ID != want {
			p.t.Fatalf("at %d, who has %s: got %s, want %s", version, e, holder.ID, want)
		}
	}
}

func (p *play) checkNow() {
	p.t.Helper()
	p.check(math.MaxInt, scope.At{})
	for _, e := range p.model.endpoints {
		for _, t := range append(p.model.moments(), math.MaxInt64) {
			got, err := p.customers.Owner(context.Background(), tenant, e, t)
			must(p.t, err)
			if want := p.model.owner(math.MaxInt, e, t); got != want {
				p.t.Fatalf("owner of %s at %d: got %s, want %s", e, t, got, want)
			}
		}
	}
}

// Whatever is asked for in whatever order, and however it is folded: what is decided, whose endpoints are and what belongs to a customer
// is what the list of changes gives by itself, now and at every version and moment before.
func TestCustomersAreWhatTheModelSays(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(rt)
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			p.step(rt)
			if rapid.IntRange(0, 2).Draw(rt, "fold at 0") == 0 { // by another process each time
				p.fold(p.store, rapid.IntRange(1, 9).Draw(rt, "batch"))
				p.checkNow()
			}
		}
		p.fold(p.store, rapid.IntRange(1, 9).Draw(rt, "batch"))
		p.checkNow()
		for _, o := range p.ops {
			got, found, err := p.customers.Decided(context.Background(), tenant, o.id)
			must(rt, err)
			if !found || got.GetRefusal() != o.refuse || got.GetUndoneBy() != "" != (o.undoneAt < math.MaxInt && o.refuse == 0) {
				rt.Fatalf("%v of %s: got %v, want %v", o.kind, o.id, got, o.refuse)
			}
		}
		for version := range p.offset + 1 {
			p.check(version, scope.At{Version: fmt.Sprintf("1.%d", version)})
		}
		for second := 0; second <= len(p.clocks)*10; second += 5 {
			version := 0
			for version < p.offset && p.clocks[version] <= second {
				version++
			}
			p.check(version, scope.At{Time: epoch.Add(time.Duration(second) * time.Second)})
		}
	})
}

// far is a store that is a round trip away.
type far struct{ kv.Store }

func (s far) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	snap, err := s.Store.Snapshot(ctx, ns)
	return farSnapshot{snap}, err
}

type farSnapshot struct{ kv.Snapshot }

func (farSnapshot) Distant() bool { return true }

// Whatever the batches and the restarts, on whatever engine: the store is the same to the byte, and so are the dead letters.
func TestEveryWayToFoldALogGivesTheSameStore(t *testing.T) {
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(rt)
		for range rapid.IntRange(1, 25).Draw(rt, "steps") {
			p.step(rt)
		}
		p.fold(p.store, 1)
		want, letters := p.hash(p.store, namespace), len(p.letters)
		n++
		disk, err := pebblekv.Open(fmt.Sprintf("%s/%d", t.TempDir(), n), pebblekv.Options{NoSync: true})
		must(rt, err)
		defer func() { must(rt, disk.Close()) }()
		for name, store := range map[string]kv.Store{"memory": memkv.New(), "disk": disk, "far away": far{memkv.New()}} {
			p.letters = nil
			for folded := 1; folded > 0; {
				r := p.runner(store, namespace, rapid.IntRange(1, 9).Draw(rt, "batch"))
				for range rapid.IntRange(1, 3).Draw(rt, "batches until it ends") {
					folded, err = r.RunOnce(context.Background())
					must(rt, err)
				}
				r.Close()
			}
			if got := p.hash(store, namespace); got != want {
				rt.Errorf("%s: got %v, want %v", name, got, want)
			}
			if len(p.letters) != letters {
				rt.Errorf("%s: %d letters, want %d", name, len(p.letters), letters)
			}
		}
	})
}

// answers are all that can be asked about everybody, byte by byte.
func (p *play) answers() string {
	p.t.Helper()
	server := customer.NewServer(customer.Config{Customers: p.customers, Keyring: p.keyring, Endpoints: p.world})
	ctx := auth.With(context.Background(), auth.Identity{Tenant: tenant})
	bytes := func(m proto.Message) string {
		b, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		must(p.t, err)
		return string(b)
	}
	var all strings.Builder
	for i, e := range p.model.endpoints {
		for _, id := range []event.ID{e, event.CustomerOf(e)} {
			got, err := server.Get(ctx, &customerv1.GetRequest{CustomerId: id.String()})
			must(p.t, err)
			all.WriteString(bytes(got))
			s, err := p.customers.Scope(ctx, tenant, id, scope.At{})
			must(p.t, err)
			s.Version = ""
			fmt.Fprintln(&all, s)
		}
		got, err := server.Resolve(ctx, &customerv1.ResolveRequest{Addresses: p.addresses[i : i+1]})
		must(p.t, err)
		all.WriteString(bytes(got))
	}
	return all.String()
}

// ask appends an event with the content of a change.
func (p *play) ask(typ string, content *eventv1.Content) *eventv1.Event {
	return p.append(submission(typ, fmt.Sprint("more ", p.clock), content))
}

// However much happened before and meanwhile, what was undone leaves no trace in any answer but the history.
func TestAnUndoneMergeGivesByteEqualAnswers(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(rt)
		for i, e := range p.model.endpoints {
			p.seen[e] = scope.Seen{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, DisplayName: fmt.Sprint("number ", i), First: epoch, Last: day(i)}
			p.append(submission(event.TypeCustomerAttributesUpdated, fmt.Sprint("a", i), &eventv1.Content{
				Body: &eventv1.Content_CustomerAttributesUpdated{CustomerAttributesUpdated: &eventv1.CustomerAttributesUpdated{
					Source: "crm", Attributes: map[string]string{"plan": fmt.Sprint(i), "language": "zh"},
				}},
			}, p.addresses[i]))
		}
		for range rapid.IntRange(0, 15).Draw(rt, "steps") {
			p.step(rt)
		}
		p.fold(p.store, 0)
		before := p.answers()
		var merges []*eventv1.Event
		for range rapid.IntRange(1, 3).Draw(rt, "merges") {
			into, merged := p.anyone(rt, "into"), p.anyone(rt, "merged")
			merges = append(merges, p.ask(event.TypeCustomerMerged, &eventv1.Content{Body: &eventv1.Content_CustomerMerged{
				CustomerMerged: &eventv1.CustomerMerged{Into: into.String(), Merged: merged.String()},
			}}))
		}
		p.fold(p.store, 0)
		during := p.answers()
		for _, m := range rapid.Permutation(merges).Draw(rt, "order of the undos") {
			p.ask(event.TypeLinkUndone, &eventv1.Content{Body: &eventv1.Content_LinkUndone{LinkUndone: &eventv1.LinkUndone{EventId: m.GetId()}}})
		}
		p.fold(p.store, 0)
		if got := p.answers(); got != before {
			rt.Fatalf("before %q\nafter  %q", before, got)
		}
		for _, m := range merges {
			o, _, err := p.customers.Decided(context.Background(), tenant, idFrom(rt, m.GetId()))
			must(rt, err)
			if o.GetRefusal() == 0 && during == before {
				rt.Fatalf("merge %v changed nothing", o)
			}
		}
	})
}

func idFrom(t rapid.TB, text string) event.ID {
	t.Helper()
	id, err := event.ParseID(text)
	must(t, err)
	return id
}

// Whatever is asked for: whose scope is another one afterwards was told.
func TestNobodyMissesAChangeOfTheirScope(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(rt)
		ctx, stop := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		begun, done := p.customers.Changed(scope.Scope{}, tenant)
		go func() { ended <- p.customers.Run(ctx) }()
		defer func() {
			stop()
			must(rt, <-ended)
		}()
		<-begun
		done()
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			before, told := map[event.ID]scope.Scope{}, map[event.ID]<-chan struct{}{}
			for _, e := range p.model.endpoints {
				s, err := p.customers.Scope(ctx, tenant, e, scope.At{})
				must(rt, err)
				changed, done := p.customers.Changed(s, tenant)
				rt.Cleanup(done)
				before[e], told[e] = sorted(s), changed
			}
			p.step(rt)
			p.fold(p.store, 0)
			for _, e := range p.model.endpoints {
				after, err := p.customers.Scope(ctx, tenant, e, scope.At{})
				must(rt, err)
				if reflect.DeepEqual(before[e], sorted(after)) {
					continue
				}
				select {
				case <-told[e]:
				case <-time.After(patience):
					rt.Fatalf("%s has another scope, and was not told:\nbefore %v\nafter  %v", e, before[e], sorted(after))
				}
			}
		}
	})
}
