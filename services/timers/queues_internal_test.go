package timers

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/directory"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// shelfOfBooks has the books that the test puts there.
type shelfOfBooks struct {
	of  map[string]*directory.Book
	err error
}

func (s *shelfOfBooks) Book(_ context.Context, tenant string) (*directory.Book, error) {
	return s.of[tenant], s.err
}

func (s *shelfOfBooks) Changed() <-chan struct{} { return nil }

// statedQueue is a queue with a first response of so many minutes; 0 for no targets.
func statedQueue(minutes int, inHours bool, hours string) *eventv1.DirectoryUpdated {
	q := &eventv1.DirectoryQueue{Hours: hours}
	if minutes != 0 {
		q.Targets = &eventv1.SlaTargets{FirstResponse: durationpb.New(time.Duration(minutes) * time.Minute), InBusinessHours: inHours}
	}
	return &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Queue{Queue: q}}
}

// called gives a queue the name that asterisk has for it.
func called(id string, e *eventv1.DirectoryUpdated) *eventv1.DirectoryUpdated {
	e.GetQueue().Ids = []*eventv1.NativeId{{Provider: "asterisk", Id: id}}
	return e
}

func statedHours(open ...string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{Open: open}}}
}

// sinceDawn is in force long before the tests' interactions.
func sinceDawn(e *eventv1.DirectoryUpdated) []directory.Version {
	return []directory.Version{{From: 0, Stated: e}}
}

func bookOf(queues, hours map[string][]directory.Version) *directory.Book {
	return directory.NewBook(map[string]map[string][]directory.Version{directory.Queue: queues, directory.Hours: hours})
}

func TestAQueuePromisesWhatItDidWhenTheInteractionBegan(t *testing.T) {
	at := func(minute int) time.Time { return monday.Add(time.Duration(minute) * time.Minute) }
	books := &shelfOfBooks{of: map[string]*directory.Book{"acme": bookOf(map[string][]directory.Version{
		"sales": {
			{From: at(0).UnixNano(), Stated: called("q-100", statedQueue(5, false, ""))},
			{From: at(10).UnixNano(), Stated: statedQueue(15, true, "office")},
			{From: at(20).UnixNano(), Stated: statedQueue(0, false, "")},
			{From: at(30).UnixNano(), Stated: &eventv1.DirectoryUpdated{Removed: true}},
		},
		"odd":    sinceDawn(statedQueue(7, true, "broken")),
		"lost":   sinceDawn(statedQueue(7, true, "gone")),
		"absurd": sinceDawn(statedQueue(-7, false, "")),
	}, map[string][]directory.Version{"office": sinceDawn(statedHours("mon-fri 09:00-17:00")), "broken": sinceDawn(statedHours("whenever"))})}}
	targets := FromDirectory(books)
	for _, c := range []struct {
		name, provider, queue string
		minute, want          int // minutes; 0 for none
		always                bool
	}{
		{"before it was there", "asterisk", "q-100", -1, 0, true},
		{"by what the connector calls it", "asterisk", "q-100", 0, 5, true},
		{"by its own id", "genesys", "sales", 9, 5, true},
		{"but not by another connector's name", "genesys", "q-100", 9, 0, true},
		{"in business hours", "", "sales", 15, 15, false},
		{"without targets", "", "sales", 25, 0, true},
		{"removed", "", "sales", 35, 0, true},
		{"nobody's", "", "unknown", 5, 0, true},
		{"of no queue", "", "", 5, 0, true},
		{"hours that cannot be read", "", "odd", 5, 7, true},
		{"hours that are not there", "", "lost", 5, 7, true},
		{"a negative one", "", "absurd", 5, 0, true},
	} {
		for range 2 { // the second time from memory
			got, err := targets.Of(t.Context(), "acme", c.provider, c.queue, at(c.minute))
			must(t, err)
			switch {
			case (got == nil) != (c.want == 0):
				t.Errorf("%s: %v", c.name, got)
			case got != nil && (got.FirstResponse != time.Duration(c.want)*time.Minute || (got.Hours == nil) != c.always || got.NextResponse != 0 || got.Resolution != 0):
				t.Errorf("%s: %v", c.name, got)
			}
		}
	}
	for tenant, want := range map[string]bool{"acme": true, "globex": false} {
		if got, err := targets.Any(t.Context(), tenant); err != nil || got != want {
			t.Errorf("%s: %v, %v", tenant, got, err)
		}
	}
	books.of["acme"] = bookOf(map[string][]directory.Version{"sales": sinceDawn(statedQueue(0, false, ""))}, nil)
	if got, err := targets.Any(t.Context(), "acme"); err != nil || got {
		t.Errorf("another book: %v, %v", got, err)
	}
	books.err = errors.New("no store")
	if _, err := targets.Any(t.Context(), "acme"); !errors.Is(err, books.err) {
		t.Error(err)
	}
	if _, err := targets.Of(t.Context(), "acme", "", "sales", at(0)); !errors.Is(err, books.err) {
		t.Error(err)
	}
}

func TestTheTargetsOfTheQueueHoldWhereNoPolicyHasAny(t *testing.T) {
	long := strings.Repeat("客", 42)
	cut := "queue:" + strings.Repeat("客", 40)
	books := &shelfOfBooks{of: map[string]*directory.Book{"acme": bookOf(map[string][]directory.Version{
		"sales": sinceDawn(called("q-100", statedQueue(10, false, ""))), "plain": sinceDawn(statedQueue(0, false, "")), long: sinceDawn(statedQueue(10, false, "")),
	}, nil)}}
	w := &Worker{cfg: WorkerConfig{Targets: FromDirectory(books), Policies: policiesOf(t,
		Policy{Name: "vip", Priorities: []int32{1}, FirstResponse: time.Minute},
		Policy{Name: "chat", Channels: []string{"web_chat"}, IdleTimeout: time.Hour, Hours: "office"},
	)}}
	for _, c := range []struct {
		it     *conversationv1.Interaction
		name   string
		target time.Duration
		idle   time.Duration
	}{
		{&conversationv1.Interaction{Queue: "sales", Priority: 1}, "vip", time.Minute, 0},
		{&conversationv1.Interaction{Queue: "sales"}, "queue:sales", 10 * time.Minute, 0},
		{&conversationv1.Interaction{Queue: "q-100", Provider: "asterisk", Channel: eventv1.Channel_CHANNEL_SMS}, "queue:sales", 10 * time.Minute, 24 * time.Hour},
		{&conversationv1.Interaction{Queue: "sales", Channel: eventv1.Channel_CHANNEL_WEB_CHAT}, "chat/queue:sales", 10 * time.Minute, time.Hour},
		{&conversationv1.Interaction{Queue: "plain", Channel: eventv1.Channel_CHANNEL_WEB_CHAT}, "chat", 0, time.Hour},
		{&conversationv1.Interaction{Queue: "plain"}, "default", 0, 0},
		{&conversationv1.Interaction{}, "default", 0, 0},
		{&conversationv1.Interaction{Queue: long}, cut, 10 * time.Minute, 0},
	} {
		c.it.StartedAt = after(0)
		p, err := w.policy(t.Context(), "acme", c.it)
		must(t, err)
		if p.Name != c.name || p.FirstResponse != c.target || p.windows(c.it.GetChannel()).idle != c.idle {
			t.Errorf("%v: %s, %v, %v", c.it, p.Name, p.FirstResponse, p.windows(c.it.GetChannel()))
		}
	}
}

func TestATransferToAnotherQueueSetsThatOnesTargets(t *testing.T) {
	w := newWorkbench(t)
	w.cfg.Policies = nil
	w.cfg.Targets = FromDirectory(&shelfOfBooks{of: map[string]*directory.Book{"acme": bookOf(map[string][]directory.Version{
		"sales": sinceDawn(statedQueue(10, false, "")), "care": sinceDawn(statedQueue(90, false, "")),
	}, nil)}})
	w.it.Queue = "sales"
	r, _ := w.message(0, nil)
	must(t, w.take(t.Context(), r))
	set := w.host.Events()[0].Content.GetInteractionPolicySet()
	if set.GetPolicy() != "queue:sales" || len(set.GetClocks()) != 1 || set.GetClocks()[0].GetTarget().AsDuration() != 10*time.Minute {
		t.Fatal(set)
	}
	first := set.GetClocks()[0]
	w.it.Policy, w.it.Queue = "queue:sales", "care"
	w.it.Slas = []*conversationv1.Sla{{Metric: first.GetMetric(), Since: first.GetSince(), DueAt: first.GetDueAt(), State: conversationv1.SlaState_SLA_STATE_ACTIVE}}
	r, _ = w.message(1, func(s *eventv1.Submission) { s.NativeId = "transferred" })
	must(t, w.take(t.Context(), r))
	set = w.host.Events()[1].Content.GetInteractionPolicySet()
	if set.GetPolicy() != "queue:care" || !set.GetClocks()[0].GetDueAt().AsTime().Equal(w.it.GetStartedAt().AsTime().Add(90*time.Minute)) {
		t.Error(set)
	}
}

func TestATenantWithoutPoliciesAndTargetsIsLeftAlone(t *testing.T) {
	books := &shelfOfBooks{of: map[string]*directory.Book{}}
	w := newWorkbench(t)
	w.cfg.Policies, w.cfg.Targets = nil, FromDirectory(books)
	r, _ := w.message(0, nil)
	must(t, w.take(t.Context(), r))
	if len(w.host.Events()) != 0 || len(w.awaited) != 0 {
		t.Errorf("%d events, waited %d times", len(w.host.Events()), len(w.awaited))
	}
	// As soon as one of its queues promises something, the channel's usual windows hold for everything else.
	books.of["acme"] = bookOf(map[string][]directory.Version{"sales": {{From: timestamppb.Now().AsTime().UnixNano(), Stated: statedQueue(10, false, "")}}}, nil)
	must(t, w.take(t.Context(), r))
	if events := w.host.Events(); len(events) != 1 || events[0].Content.GetInteractionPolicySet().GetPolicy() != defaultPolicy {
		t.Errorf("%v", events)
	}
	books.err = errors.New("no store")
	if err := w.take(t.Context(), r); !errors.Is(err, books.err) {
		t.Error(err)
	}
	w = newWorkbench(t) // it has policies
	w.cfg.Targets = FromDirectory(&shelfOfBooks{})
	must(t, w.take(t.Context(), r))
	if len(w.host.Events()) != 1 {
		t.Error("the tenant's own policies are not set")
	}
}
