package e2e_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// burst is many calls that change something, four for each customer: each with a request id, so that it can be made again.
type burst struct {
	customers, merged, conversations []string

	mu     sync.Mutex
	events map[string]string // by request id
	wrong  []string
	done   atomic.Int64
}

const burstCustomers = 50

func newBurst(d *desk) *burst {
	b := &burst{events: map[string]string{}}
	for i := range burstCustomers {
		b.conversations = append(b.conversations, d.chatIn(fmt.Sprint("burst-", i), fmt.Sprint("v-", i)))
		b.customers = append(b.customers, d.customerOf(fmt.Sprint("v-", i)).GetId())
		b.merged = append(b.merged, d.customerOf(fmt.Sprint("w-", i)).GetId())
	}
	return b
}

// told notes what a call has done: whenever it is made again, it must be the same.
func (b *burst) told(request, event string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if before := b.events[request]; before != "" && before != event {
		b.wrong = append(b.wrong, fmt.Sprintf("%s is %s and was %s", request, event, before))
	}
	b.events[request] = event
	b.done.Add(1)
}

// run makes all calls, in parallel by customer.
func (b *burst) run(ctx context.Context, d *desk) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(8)
	for i := range burstCustomers {
		g.Go(func() error { return b.of(ctx, d, i) })
	}
	return g.Wait()
}

func (b *burst) of(ctx context.Context, d *desk, i int) error {
	change := func(what string) *customerv1.Change { return &customerv1.Change{RequestId: fmt.Sprint(what, " ", i)} }
	linked, err := d.customers.Link(ctx, &customerv1.LinkRequest{
		Endpoint: &customerv1.Target{Address: visitor(fmt.Sprint("u-", i))}, CustomerId: b.customers[i], Change: change("link"),
	})
	if err != nil {
		return err
	}
	b.told(fmt.Sprint("link ", i), linked.GetEventId())
	merged, err := d.customers.Merge(ctx, &customerv1.MergeRequest{Into: b.customers[i], Merged: b.merged[i], Change: change("merge")})
	if err != nil {
		return err
	}
	b.told(fmt.Sprint("merge ", i), merged.GetEventId())
	undone, err := d.customers.Undo(ctx, &customerv1.UndoRequest{EventId: merged.GetEventId(), Change: change("undo")})
	if err != nil {
		return err
	}
	b.told(fmt.Sprint("undo ", i), undone.GetEventId())
	assigned, err := d.conversations.Assign(ctx, &conversationv1.AssignRequest{
		Command: &conversationv1.Command{ConversationId: b.conversations[i], RequestId: fmt.Sprint("assign ", i)}, Agent: "ben",
	})
	if err != nil {
		return err
	}
	b.told(fmt.Sprint("assign ", i), strings.Join(assigned.GetEventIds(), " "))
	return nil
}

// answers are what the API says of all of it.
func (b *burst) answers(d *desk) (all []byte) {
	add := func(m proto.Message) { all = append(all, encoded(d.t, m)...) }
	for i := range burstCustomers {
		add(got(d, d.customers.Get, &customerv1.GetRequest{CustomerId: b.customers[i]}))
		add(got(d, d.customers.History, &customerv1.HistoryRequest{CustomerId: b.customers[i]}))
		add(d.conversation(b.conversations[i]))
		add(d.entries(b.customers[i], nil))
	}
	return all
}

// check holds what there is against what was asked for: each once.
func (b *burst) check(d *desk) {
	d.t.Helper()
	for i := range burstCustomers {
		var kinds []customerv1.ChangeKind
		for _, e := range got(d, d.customers.History, &customerv1.HistoryRequest{CustomerId: b.customers[i]}).GetEntries() {
			kinds = append(kinds, e.GetKind())
			if e.GetRefusal() != customerv1.Refusal_REFUSAL_UNSPECIFIED {
				d.t.Errorf("customer %d: refused: %v", i, e)
			}
		}
		if !slices.Equal(kinds, []customerv1.ChangeKind{customerv1.ChangeKind_CHANGE_KIND_UNDO, customerv1.ChangeKind_CHANGE_KIND_MERGE, customerv1.ChangeKind_CHANGE_KIND_LINK}) {
			d.t.Errorf("customer %d: %v", i, kinds)
		}
		c := d.conversation(b.conversations[i])
		if a := c.GetInteractions()[0].GetAssignments(); len(a) != 1 || a[0].GetAgent() != "ben" || c.GetAgent() != "ben" {
			d.t.Errorf("conversation %d: %v", i, c)
		}
		types := map[string]int{}
		for _, e := range d.entries(b.customers[i], nil).GetEntries() {
			types[e.GetEvent().GetType()]++
		}
		if types["assignment.accepted"] != 1 || types["assignment.connected"] != 1 || types["assignment.ended"] != 0 {
			d.t.Errorf("conversation %d: %v", i, types)
		}
	}
}

// hashes are those of the newest generation of each of some read models.
func hashes(s *skeintest.Site, slice ...string) map[string]string {
	s.T.Helper()
	newest, found := map[string]string{}, map[string]string{}
	for line := range strings.Lines(s.Run("store", "hash", "--data", s.Dir)) {
		name, hash, _ := strings.Cut(strings.TrimSpace(line), "\t")
		of, generation, ok := strings.Cut(name, "/")
		if ok && slices.Contains(slice, of) && generation > newest[of] {
			newest[of], found[of] = generation, hash
		}
	}
	return found
}

// foldedAll tells whether no read model is behind the log.
func foldedAll(s *skeintest.Site) bool {
	s.T.Helper()
	for line := range strings.Lines(s.Run("lag", "--server", s.GRPC)) {
		if fields := strings.Fields(line); len(fields) == 7 && fields[0] != "SLICE" && fields[5] != "0" {
			return false
		}
	}
	return true
}

func TestEveryRequestHasOneEffectThoughTheServerIsKilledAndItsReadModelsAreBuiltAnew(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	srv := s.Up()
	d := newDesk(s)
	b := newBurst(d)
	ended := make(chan error, 1)
	go func() { ended <- b.run(t.Context(), d) }()
	srv.WaitFor("in the middle", func() bool { return b.done.Load() >= burstCustomers })
	srv.Kill()
	if err := <-ended; err == nil {
		t.Fatal("the burst was over before the kill")
	}
	t.Logf("%d of %d calls were answered before the kill", b.done.Load(), 4*burstCustomers)

	srv = s.Up()
	d = newDesk(s)
	for range 2 {
		if err := b.run(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	for _, w := range b.wrong {
		t.Error(w)
	}
	if len(b.events) != 4*burstCustomers {
		t.Errorf("%d requests were answered", len(b.events))
	}
	b.check(d)
	before := b.answers(d)

	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	watch, err := d.timeline.Watch(ctx, &timelinev1.WatchRequest{CustomerId: b.customers[0]})
	if err != nil {
		t.Fatal(err)
	}
	work, err := d.conversations.Watch(ctx, &conversationv1.WatchRequest{ConversationId: b.conversations[0]})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := work.Recv(); err != nil {
		t.Fatal(err)
	}
	for _, slice := range []string{"customers", "interactions", "conversations"} {
		if out := s.Run("rebuild", slice, "--server", s.GRPC); !strings.Contains(out, "Generation 2 of "+slice+" serves.") {
			t.Errorf("rebuild says:\n%s", out)
		}
		if !bytes.Equal(b.answers(d), before) {
			t.Errorf("with %s built anew, the answers are others", slice)
		}
	}
	for reset := false; !reset; {
		m, err := work.Recv()
		if err != nil {
			t.Fatalf("the watch of a conversation ends with %v, not with a reset", err)
		}
		reset = m.GetReset_()
	}
	// The timelines were not built anew: a watch of them goes on, with the links that were.
	got(d, d.customers.Link, &customerv1.LinkRequest{
		Endpoint: &customerv1.Target{Address: visitor("later")}, CustomerId: b.customers[0], Change: &customerv1.Change{RequestId: "later"},
	})
	before = b.answers(d)
	for changed := false; !changed; {
		m, err := watch.Recv()
		if err != nil {
			t.Fatalf("the watch of a customer ends with %v", err)
		}
		changed = len(m.GetScopeChanged().GetEndpointsAdded()) == 1
	}
	quit(t, srv)

	models := []string{"timeline", "interactions", "customers", "conversations"}
	hash := hashes(s, models...)
	s.Run("store", "drop", "--data", s.Dir)
	srv = s.Up()
	d = newDesk(s)
	srv.WaitFor("folding everything again", func() bool { return foldedAll(s) })
	if !bytes.Equal(b.answers(d), before) {
		t.Error("folded again, the answers are others")
	}
	quit(t, srv)
	if dropped := hashes(s, models...); len(hash) != 4 || !maps.Equal(hash, dropped) {
		t.Errorf("state hash before the drop %v, after it %v", hash, dropped)
	}
}
