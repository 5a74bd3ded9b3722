package linker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/continuation"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/pubsub"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/linker"
)

const (
	tenant = "acme"
	// patience ends a test that hangs; nothing waits for it otherwise.
	patience = time.Minute

	identifier = eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER
	visitor    = eventv1.EndpointKind_ENDPOINT_KIND_VISITOR
	phone      = eventv1.EndpointKind_ENDPOINT_KIND_PHONE
	email      = eventv1.EndpointKind_ENDPOINT_KIND_EMAIL
	social     = eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL
)

var noon = time.Date(2026, 5, 4, 12, 0, 0, 0, time.UTC)

// fataler is a test, or one try of a property.
type fataler interface {
	Helper()
	Fatal(...any)
	Fatalf(string, ...any)
}

func must(t fataler, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// world is a log and a store, in which processes come and go.
type world struct {
	t       fataler
	ctx     context.Context //nolint:containedctx // of the test
	log     eventlog.Log
	store   kv.Store
	blobs   *blob.Store
	keyring *event.Keyring
	host    *intake.Intake
	cfg     linker.Config // what a test sets; the rest is filled in
	reads   event.Blobs   // what a process reads contents from; blobs unless set
}

var topicPartitions = map[string]int{event.TopicInteractions: 3, event.TopicLinks: 1, event.TopicDead: 1}

func newWorld(t fataler) *world {
	t.Helper()
	w := &world{t: t, ctx: context.Background(), log: memlog.New(memlog.Config{}).Open(), store: memkv.New()}
	for name, n := range topicPartitions {
		must(t, w.log.EnsureTopics(w.ctx, eventlog.Topic{Name: name, Partitions: n}))
	}
	var err error
	w.keyring, err = event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	must(t, err)
	compiler, err := event.NewCompiler(w.keyring)
	must(t, err)
	w.blobs, err = blob.Open(w.ctx, "mem://")
	must(t, err)
	w.host = intake.New(intake.Config{Compiler: compiler, Keyring: w.keyring, Log: w.log, Blobs: w.blobs})
	return w
}

// start starts a process, and gives what ends it.
func (w *world) start() (stop func()) {
	w.t.Helper()
	cfg := w.cfg
	cfg.Log, cfg.Store, cfg.Host, cfg.Keyring, cfg.Blobs, cfg.Recheck = w.log, w.store, w.host, w.keyring, w.blobs, time.Millisecond
	cfg.Interactions = readings{w}
	if w.reads != nil {
		cfg.Blobs = w.reads
	}
	s, err := linker.New(cfg)
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			must(w.t, err)
		case <-time.After(patience):
			w.t.Fatal("it does not stop")
		}
	})
}

// run runs a process until all that the log holds has been looked at.
func (w *world) run() {
	w.t.Helper()
	stop := w.start()
	defer stop()
	w.settle()
}

// settle waits until all that the log holds has been looked at.
func (w *world) settle() { w.settleUnless(nil) }

// settleUnless waits for that, or until the process has been killed.
func (w *world) settleUnless(killed <-chan struct{}) {
	w.t.Helper()
	end := time.Now().Add(patience)
	for topic, ns := range map[string]kv.Namespace{event.TopicInteractions: linker.Namespace, event.TopicLinks: linker.LinksNamespace} {
		for p := range int32(topicPartitions[topic]) {
			for {
				_, to, err := w.log.Bounds(w.ctx, topic, p)
				must(w.t, err)
				next, _, err := pubsub.Places{Store: w.store, Namespace: ns}.Load(w.ctx, topic, p)
				must(w.t, err)
				if next >= to || to == 0 {
					break
				}
				select {
				case <-killed:
					return
				default:
					runtime.Gosched()
				}
				if time.Now().After(end) {
					w.t.Fatalf("%s/%d: at %d of %d", topic, p, next, to)
				}
			}
		}
	}
}

func (w *world) submit(all ...*eventv1.Submission) []channel.Acknowledgement {
	w.t.Helper()
	var acks []channel.Acknowledgement
	for _, s := range all {
		ack, err := w.host.Submit(w.ctx, tenant, s)
		must(w.t, err)
		acks = append(acks, ack...)
	}
	return acks
}

// asked are the links asked for, by event id, and the number of records that ask for them.
func (w *world) asked() (links map[string]*eventv1.Content, records int) {
	w.t.Helper()
	links = map[string]*eventv1.Content{}
	digests := map[string][]byte{}
	w.read(event.TopicLinks, 0, func(e *eventv1.Event, _ eventlog.Position) {
		if e.GetProvider() != "skein" {
			return
		}
		content, err := event.DecodeContent(e)
		must(w.t, err)
		if before, again := digests[e.GetId()]; again && !bytes.Equal(before, e.GetDigest()) {
			w.t.Fatalf("one id, two contents: %v and %v", links[e.GetId()], content)
		}
		links[e.GetId()], digests[e.GetId()] = content, e.GetDigest()
		records++
	})
	return links, records
}

// ids are those of the links asked for, in order.
func (w *world) ids() []string {
	links, _ := w.asked()
	return slices.Sorted(maps.Keys(links))
}

func (w *world) read(topic string, p int32, each func(*eventv1.Event, eventlog.Position)) {
	w.t.Helper()
	_, to, err := w.log.Bounds(w.ctx, topic, p)
	must(w.t, err)
	reader, err := w.log.Open(w.ctx, topic, p, 0)
	must(w.t, err)
	defer reader.Close()
	for at := int64(0); at < to; {
		records, err := reader.Read(w.ctx, 64)
		must(w.t, err)
		for _, r := range records {
			e, err := event.Decode(r.Value)
			must(w.t, err)
			each(e, r.Position)
			at = r.Offset + 1
		}
	}
}

// conversations are the pairs of members that links of a rule join, as written.
func (w *world) conversations(rule string) (pairs [][2]string) {
	links, _ := w.asked()
	for _, id := range w.ids() {
		if c := links[id].GetConversationLinked(); c.GetRule() == rule {
			if len(c.GetMembers()) != 2 || !c.GetAutomatic() || c.GetReason() == "" {
				w.t.Fatalf("the link is %v", c)
			}
			pairs = append(pairs, [2]string{c.GetMembers()[0], c.GetMembers()[1]})
		}
	}
	return pairs
}

// endpoints tell who is linked to whom by a rule: "visitor v1 → identifier anna".
func (w *world) endpoints(rule string) (told []string) {
	links, _ := w.asked()
	for _, content := range links {
		l := content.GetEndpointLinked()
		if l.GetRule() != rule {
			continue
		}
		e, anchor := content.GetParties()[0], content.GetParties()[1]
		told = append(told, fmt.Sprintf("%s → %s, %d at most", e.GetAddress(), anchor.GetAddress(), l.GetLimit()))
		customer, err := event.ParseID(l.GetCustomerId())
		must(w.t, err)
		if !l.GetAutomatic() || l.GetReason() == "" || !customer.IsCustomer() {
			w.t.Fatalf("the link is %v", l)
		}
	}
	slices.Sort(told)
	return told
}

// readings reads interactions from the log itself: that of an event is the provider's or the event that opened its thread.
type readings struct{ w *world }

func (x readings) At(_ context.Context, _ string, thread event.ID, _ int64, position eventlog.Position) (id event.ID, found bool, err error) {
	x.w.read(position.Topic, position.Partition, func(e *eventv1.Event, at eventlog.Position) {
		if e.GetThreadId() != thread.String() || at.Offset > position.Offset {
			return
		}
		if !found {
			id, err = event.ParseID(e.GetId())
			found = true
		}
		if e.GetInteractionId() != "" && at.Offset == position.Offset {
			id, err = event.ParseID(e.GetInteractionId())
		}
	})
	return id, found, err
}

func customer(kind eventv1.EndpointKind, namespace, value string, role eventv1.PartyRole) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: kind, Namespace: namespace, Value: value}, Role: role, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: "Anna",
	}
}

// said is a message of some people.
func said(native string, parties ...*eventv1.SubmittedParty) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "webchat", Inbox: "widget", Thread: "chat/" + native, NativeId: native, OccurredAt: timestamppb.New(noon), Parties: parties,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "Hello"}}},
	}
}

// signedIn is what a visitor says who has signed in.
func signedIn(native, visitorID, login string) *eventv1.Submission {
	const role = eventv1.PartyRole_PARTY_ROLE_INITIATOR
	return said(native, customer(visitor, "", visitorID, role), customer(identifier, "login", login, role))
}

// everything are events of which each rule makes something.
func everything(w *world) []*eventv1.Submission {
	tokens, err := continuation.New(w.keyring)
	must(w.t, err)
	chat := event.CustomerOf(event.ID{1, 2, 3})
	call := said("call", customer(phone, "", "+4930901820", eventv1.PartyRole_PARTY_ROLE_INITIATOR))
	call.CorrelationId = tokens.Issue(tenant, chat, noon.Add(time.Hour))
	return []*eventv1.Submission{
		mail("support", "a@x", "", "a@x"), mail("support", "b@x", "", "b@x", "a@x"), mail("sales", "b@x", "", "b@x", "a@x"),
		mail("support", "c@x", "d@x"), mail("support", "e@x", "", "a@x", "c@x"),
		call, started("leg-2", "leg-1"),
		signedIn("1", "v1", "anna"), signedIn("2", "v2", "anna"), signedIn("3", "v1", "bea"),
		asserted("crm-1", eventv1.IdentityEvidence_IDENTITY_EVIDENCE_RECORD,
			customer(email, "", "anna@example.com", 0), customer(identifier, "crm", "4711", 0), customer(identifier, "login", "anna", 0)),
	}
}

func TestWhatWasAskedForIsNotAskedForAgain(t *testing.T) {
	w := newWorld(t)
	all := everything(w)
	w.submit(all...)
	w.run()
	links, records := w.asked()
	if got := threadwise(w); len(got) != 8 || records != len(links) {
		t.Fatalf("%d links in %d records: %v", len(links), records, got)
	}
	again := signedIn("4", "v1", "anna") // a further message of people who are known, and each message once more
	w.submit(append(all, again)...)
	w.run()
	if _, after := w.asked(); after != records {
		t.Errorf("%d records, %d before", after, records)
	}
}

// losing is a blob store that cannot give out what it had, and says why.
type losing struct{ err error }

func (l losing) Get(context.Context, *eventv1.Blob) ([]byte, error) { return nil, l.err }

func TestAContentThatIsLostHoldsUpNothing(t *testing.T) {
	for _, lost := range []error{blob.ErrNotFound, blob.ErrDamaged} {
		t.Run(lost.Error(), func(t *testing.T) {
			w := newWorld(t)
			w.reads = losing{fmt.Errorf("%w: a key", lost)}
			long := mail("support", "a@x", "", "a@x")
			long.GetContent().GetMessageReceived().Text = strings.Repeat("long ", 100_000)
			w.submit(append([]*eventv1.Submission{long}, everything(w)[7:9]...)...)
			w.run()
			if got := w.endpoints(linker.RuleIdentifier); len(got) == 0 {
				t.Error("nothing is linked")
			}
		})
	}
}

// mortal is a store to which nothing comes through any more once its process has been killed: at a write.
type mortal struct {
	kv.Store
	left  atomic.Int64
	dead  chan struct{}
	death sync.Once
}

func (m *mortal) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	if m.left.Add(-1) < 0 {
		m.death.Do(func() { close(m.dead) })
		return errors.New("the process is dead")
	}
	return m.Store.Apply(ctx, ns, b)
}

// A process may be killed at any write, and what it knew may be lost with it: the same links are asked for in the end.
func TestAKilledProcessAndALostStoreGiveTheSameLinks(t *testing.T) {
	undisturbed := newWorld(t)
	undisturbed.submit(everything(undisturbed)...)
	undisturbed.run()
	want := threadwise(undisturbed)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		w.submit(everything(w)...)
		for _, writes := range rapid.SliceOfN(rapid.Int64Range(0, 20), 1, 3).Draw(rt, "writes") {
			store := &mortal{Store: w.store, dead: make(chan struct{})}
			store.left.Store(writes)
			alive := w.store
			w.store = store
			stop := w.start()
			w.settleUnless(store.dead)
			stop()
			w.store = alive
			if rapid.Bool().Draw(rt, "the store is lost") {
				w.store = memkv.New()
			}
		}
		w.run()
		if got := threadwise(w); !slices.Equal(got, want) {
			rt.Fatalf("%v, want %v", got, want)
		}
	})
}

// threadwise are the links asked for, those of mails by what they join together: which mail came first decides which threads name a link.
func threadwise(w *world) []string {
	links, _ := w.asked()
	var out []string
	for id, content := range links {
		if content.GetConversationLinked().GetRule() != linker.RuleReferences {
			out = append(out, id)
		}
	}
	for _, c := range components(w.conversations(linker.RuleReferences)) {
		out = append(out, fmt.Sprint(c))
	}
	slices.Sort(out)
	return out
}

// components are the threads that pairs join, each in order.
func components(pairs [][2]string) (all [][]string) {
	group := map[string]int{}
	of := func(m string) int {
		if _, ok := group[m]; !ok {
			group[m] = len(group)
		}
		return group[m]
	}
	for _, p := range pairs {
		a, b := of(p[0]), of(p[1])
		for m, g := range group {
			if g == b {
				group[m] = a
			}
		}
	}
	members := map[int][]string{}
	for _, m := range slices.Sorted(maps.Keys(group)) {
		members[group[m]] = append(members[group[m]], m)
	}
	for _, c := range members {
		all = append(all, c)
	}
	slices.SortFunc(all, slices.Compare)
	return all
}

func TestAnyOrderOfArrivalGivesTheSameLinks(t *testing.T) {
	inOrder := newWorld(t)
	inOrder.submit(everything(inOrder)...)
	inOrder.run()
	want := threadwise(inOrder)
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		all := everything(w)
		all = rapid.Permutation(all).Draw(rt, "order")
		cut := rapid.IntRange(0, len(all)).Draw(rt, "looked at before the rest comes")
		w.submit(all[:cut]...)
		w.run()
		w.submit(all[cut:]...)
		w.run()
		if got := threadwise(w); !slices.Equal(got, want) {
			rt.Fatalf("%v, want %v", got, want)
		}
	})
}

func TestTwoProcessesAskForTheSameLinks(t *testing.T) {
	one := newWorld(t)
	one.submit(everything(one)...)
	one.run()
	two := newWorld(t)
	a, b := two.start(), two.start()
	defer a()
	defer b()
	two.submit(everything(two)...)
	two.settle()
	a()
	b()
	two.run()
	if got, want := threadwise(two), threadwise(one); !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}
