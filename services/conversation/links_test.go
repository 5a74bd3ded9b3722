package conversation_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/scope"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
)

// model is what links make of interactions, by the plainest means: a list, and everything derived from it anew.
type model struct {
	w       *world
	stretch []stretch // interactions
	asked   []request
}

// stretch is an interaction: the event that opened it, and when.
type stretch struct {
	thread, id event.ID
	minute     int
}

type request struct {
	id      event.ID
	members []event.ID // of a link
	join    bool       // members are child and parent
	undoes  event.ID
}

// inForce are the links that hold behind the first so many requests.
func (m *model) inForce(n int) (all []request) {
	seen := map[event.ID]bool{}
	for _, r := range m.asked[:n] {
		switch {
		case seen[r.id]:
		case r.undoes.IsZero() && len(r.members) == 0: // refused
		case r.undoes.IsZero():
			all = append(all, r)
		default:
			all = slices.DeleteFunc(all, func(o request) bool { return o.id == r.undoes })
		}
		seen[r.id] = true
	}
	return all
}

// in are the interactions of a thread in order of their begin.
func (m *model) in(thread event.ID) (all []stretch) {
	for _, s := range m.stretch {
		if s.thread == thread {
			all = append(all, s)
		}
	}
	slices.SortFunc(all, func(a, b stretch) int { return a.minute - b.minute })
	return all
}

// under are a thread and what is joined under it.
func under(thread event.ID, links []request) []event.ID {
	all := []event.ID{thread}
	for n := 0; n < len(all); n++ {
		for _, l := range links {
			if l.join && l.members[1] == all[n] && !slices.Contains(all, l.members[0]) {
				all = append(all, l.members[0])
			}
		}
	}
	return all
}

// conversations gives the interactions of each one's conversation, in order of their begin, behind the first so many requests.
func (m *model) conversations(n int) map[event.ID][]event.ID {
	links := m.inForce(n)
	group := map[event.ID]event.ID{}
	for _, s := range m.stretch {
		group[s.id] = s.id
	}
	unite := func(ids []event.ID) {
		for _, id := range ids[1:] {
			from, to := group[id], group[ids[0]]
			for other, g := range group {
				if g == from {
					group[other] = to
				}
			}
		}
	}
	for _, l := range links {
		if l.join {
			for _, guest := range m.in(l.members[0]) {
				hosts := m.in(l.members[1])
				if len(hosts) == 0 {
					continue
				}
				host := hosts[0]
				for _, h := range hosts {
					if h.minute <= guest.minute {
						host = h
					}
				}
				unite([]event.ID{guest.id, host.id})
			}
			continue
		}
		var ids []event.ID
		for _, member := range l.members {
			if _, is := group[member]; is {
				ids = append(ids, member)
				continue
			}
			for _, thread := range under(member, links) {
				for _, s := range m.in(thread) {
					ids = append(ids, s.id)
				}
			}
		}
		if len(ids) > 0 {
			unite(ids)
		}
	}
	all := map[event.ID][]event.ID{}
	for _, s := range m.stretch {
		var together []stretch
		for _, o := range m.stretch {
			if group[o.id] == group[s.id] {
				together = append(together, o)
			}
		}
		slices.SortFunc(together, func(a, b stretch) int {
			if a.minute != b.minute {
				return a.minute - b.minute
			}
			return bytes.Compare(a.id[:], b.id[:])
		})
		for _, o := range together {
			all[s.id] = append(all[s.id], o.id)
		}
	}
	return all
}

// message publishes one that begins an interaction: the one of its thread before is resolved at once.
func (m *model) message(thread string, minute int) {
	id := fmt.Sprint(thread, minute)
	m.w.publish(message(thread, id, minute, ""), resolved(thread, id, minute))
	m.stretch = append(m.stretch, stretch{m.w.thread(thread), m.w.messageID(thread, id), minute})
}

var threads = []string{"a", "b", "c", "d"}

// step is something that happens to links or interactions.
func (m *model) step(rt *rapid.T) {
	n := len(m.asked)
	name := fmt.Sprint("r", n)
	switch rapid.IntRange(0, 9).Draw(rt, "step") {
	case 0, 1: // a further interaction; in each thread they come in order
		thread := rapid.SampledFrom(threads).Draw(rt, "thread")
		minute := 1
		if have := m.in(m.w.thread(thread)); len(have) > 0 {
			minute = have[len(have)-1].minute + rapid.IntRange(1, 3).Draw(rt, "later")
		}
		if minute < 12 {
			m.message(thread, minute)
		}
	case 2, 3:
		child, parent := rapid.SampledFrom(threads).Draw(rt, "child"), rapid.SampledFrom(threads).Draw(rt, "parent")
		ack := m.w.publish(joined(name, child, parent))[0]
		r := request{id: parse(rt, ack.EventID), join: true}
		if child != parent {
			r.members = []event.ID{m.w.thread(child), m.w.thread(parent)}
		}
		m.ask(r)
	case 4, 5:
		target := hashed("unknown")
		if n > 0 {
			target = m.asked[rapid.IntRange(0, n-1).Draw(rt, "undone")].id
		}
		ack := m.w.publish(undone(name, target.String()))[0]
		m.ask(request{id: parse(rt, ack.EventID), undoes: target})
	case 6:
		if n == 0 {
			return
		}
		again := m.asked[rapid.IntRange(0, n-1).Draw(rt, "again")]
		if len(again.members) > 0 && !again.join { // the same id once more, with other members: the first keeps it
			m.w.publish(linked(fmt.Sprint("r", slices.IndexFunc(m.asked, func(r request) bool { return r.id == again.id })), m.w.thread("a").String()))
			m.ask(again)
		}
	default:
		var members []event.ID
		for range rapid.IntRange(1, 3).Draw(rt, "members") {
			thread := rapid.SampledFrom(threads).Draw(rt, "of")
			if rapid.IntRange(0, 3).Draw(rt, "all of it at 0") == 0 {
				members = append(members, m.w.thread(thread))
				continue
			}
			// Perhaps one that nobody knows yet.
			minute := rapid.IntRange(1, 4).Draw(rt, "minute")
			members = append(members, m.w.messageID(thread, fmt.Sprint(thread, minute)))
		}
		var texts []string
		for _, id := range members {
			texts = append(texts, id.String())
		}
		ack := m.w.publish(linked(name, texts...))[0]
		m.ask(request{id: parse(rt, ack.EventID), members: members})
	}
}

func (m *model) ask(r request) { m.asked = append(m.asked, r) }

func parse(t rapid.TB, text string) event.ID {
	t.Helper()
	id, err := event.ParseID(text)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func (m *model) scope(rt *rapid.T, id event.ID, at scope.At) scope.Scope {
	s, err := m.w.conversations.Scope(context.Background(), tenant, id, at)
	if err != nil {
		rt.Fatal(err)
	}
	return s
}

// check compares every conversation with the model.
func (m *model) check(rt *rapid.T) {
	want := m.conversations(len(m.asked))
	for _, s := range m.stretch {
		c := m.w.get(s.id.String())
		var ids []string
		for _, id := range want[s.id] {
			ids = append(ids, id.String())
		}
		expect(rt, "interactions", idsOf(c), ids)
		expect(rt, "id", c.GetId(), ids[0])
		got := m.scope(rt, s.id, scope.At{})
		expect(rt, "id of the scope", got.ID.String(), ids[0])
		for _, id := range want[s.id] { // the stretch of each interaction is in the scope
			span, err := m.w.conversations.Stretch(context.Background(), tenant, id)
			if err != nil {
				rt.Fatal(err)
			}
			if !slices.ContainsFunc(got.Threads, func(o scope.Span) bool { return o.ID == span.ID && o.Intersect(span.Range) == span.Range }) {
				rt.Errorf("%v is not within %v", span, got.Threads)
			}
		}
	}
}

// Links, undos, members that are threads, joins, interactions and all of them again in any order: conversations are those that a plain list
// of links in force gives, now and at every state of the links before. And whoever awaits a change is told of it.
func TestConversationsAreWhatAPlainListOfLinksGives(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{w: newWorld(rt, memory())}
		m.message("a", 1)
		m.message("b", 2)
		type state struct {
			version string
			asked   int
		}
		var states []state
		for range rapid.IntRange(1, 12).Draw(rt, "steps") {
			m.w.fold(rapid.IntRange(1, 3).Draw(rt, "batch"))
			if err := m.w.conversations.Follow(context.Background()); err != nil {
				rt.Fatal(err)
			}
			var before []scope.Scope
			var alarms []<-chan struct{}
			for _, s := range m.stretch {
				before = append(before, m.scope(rt, s.id, scope.At{}))
				changed, done := m.w.conversations.Changed(before[len(before)-1], tenant)
				rt.Cleanup(done)
				alarms = append(alarms, changed)
			}
			states = append(states, state{before[0].Version, len(m.asked)})
			m.step(rt)
			m.w.fold(2)
			if err := m.w.conversations.Follow(context.Background()); err != nil {
				rt.Fatal(err)
			}
			for n, b := range before {
				now := m.scope(rt, m.stretch[n].id, scope.At{})
				same := now.ID == b.ID && slices.Equal(now.Threads, b.Threads)
				select {
				case <-alarms[n]:
				default:
					if !same {
						rt.Errorf("nobody was told that %v became %v", b, now)
					}
				}
			}
			m.check(rt)
		}
		for _, s := range states {
			want := m.conversations(s.asked)
			for _, one := range m.stretch {
				expect(rt, "id as of "+s.version, m.scope(rt, one.id, scope.At{Version: s.version}).ID, want[one.id][0])
			}
		}
	})
}

func TestTheLinksAreTheSameHoweverTheyAreFolded(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		m := &model{w: newWorld(rt, memory())}
		for range rapid.IntRange(1, 20).Draw(rt, "steps") {
			m.step(rt)
		}
		m.w.fold(1000)
		want := m.w.hash(rt, m.w.store)
		m.w.store = memkv.New()
		for done := false; !done; { // a batch or two, then another process
			r, err := projection.NewRunner(context.Background(), m.w.config(1, rapid.IntRange(1, 4).Draw(rt, "batch")))
			if err != nil {
				rt.Fatal(err)
			}
			n, err := r.RunOnce(context.Background())
			r.Close()
			if err != nil {
				rt.Fatal(err)
			}
			done = n == 0
		}
		expect(rt, "store", m.w.hash(rt, m.w.store), want)
	})
}

func (w *world) config(n, maxBatch int) projection.Config {
	cfg := w.configs()[n]
	cfg.Store, cfg.MaxBatch = w.store, maxBatch
	return cfg
}

func (w *world) hash(t rapid.TB, store kv.Store) kv.Digest {
	t.Helper()
	snap, err := store.Snapshot(context.Background(), kv.Namespace{Slice: conversation.LinksSlice, Generation: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	h, err := kv.Hash(context.Background(), snap)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

func TestWhatIsBrokenOrNotItsOwnLeavesTheLinksAsTheyAre(t *testing.T) {
	w := newWorld(t, memory())
	m := &model{w: w}
	m.message("a", 1)
	m.message("b", 2)
	ids := []string{m.stretch[0].id.String(), m.stretch[1].id.String()}
	w.fold(10)
	before := w.hash(t, w.store)
	foreign := linked("1", ids...)
	foreign.Type = event.TypeCustomerMerged
	foreign.Content = nil
	w.publish(foreign)
	good := linked("2", ids...)
	compiler, err := event.NewCompiler(w.keyring)
	if err != nil {
		t.Fatal(err)
	}
	c, err := compiler.Compile(tenant, good, w.now())
	if err != nil {
		t.Fatal(err)
	}
	value, err := event.Encode(c.Event)
	if err != nil {
		t.Fatal(err)
	}
	// Under another key, the record stands where another tenant's links are; and what is no event is none.
	other := "b"
	for eventlog.Partition([]byte(other), partitions) == eventlog.Partition([]byte(tenant), partitions) {
		other += "b"
	}
	for _, message := range []eventlog.Message{
		{Topic: event.TopicLinks, Key: []byte(other), Value: value},
		{Topic: event.TopicLinks, Key: []byte(tenant), Value: []byte("no event")},
	} {
		if _, err := eventlog.AppendAll(context.Background(), w.log, []eventlog.Message{message}); err != nil {
			t.Fatal(err)
		}
	}
	w.fold(10)
	if len(w.get(ids[0]).GetInteractions()) != 1 {
		t.Error("what is not its own joins interactions")
	}
	bad := []*eventv1.Submission{linked("3"), linked("4", "x"), joined("5", "a", "a"), joined("6", "a", ""), undone("7", "x")}
	w.publish(bad...)
	w.fold(10)
	if len(w.get(ids[0]).GetInteractions()) != 1 {
		t.Error("what is malformed joins interactions")
	}
	if w.hash(t, w.store) == before {
		t.Error("what was decided about malformed events is not kept")
	}
}

func TestAnUndoneLinkGivesByteEqualAnswers(t *testing.T) {
	w := newWorld(t, memory())
	m := &model{w: w}
	for n, thread := range threads {
		m.message(thread, n+1)
	}
	w.fold(10)
	var before [][]byte
	answers := func() (all [][]byte) {
		for _, s := range m.stretch {
			b, err := proto.MarshalOptions{Deterministic: true}.Marshal(w.get(s.id.String()))
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, b)
		}
		return all
	}
	before = answers()
	ack := w.publish(linked("1", m.stretch[0].id.String(), w.thread("c").String()))[0]
	w.publish(linked("2", m.stretch[2].id.String(), m.stretch[3].id.String()))
	w.fold(10)
	expect(t, "joined", len(w.get(m.stretch[3].id.String()).GetInteractions()), 3)
	w.publish(undone("3", ack.EventID))
	w.fold(10)
	expect(t, "joined", len(w.get(m.stretch[3].id.String()).GetInteractions()), 2)
	w.publish(undone("4", w.get(m.stretch[3].id.String()).GetLinks()[0].GetEventId()))
	w.fold(10)
	for n, b := range answers() {
		if !bytes.Equal(b, before[n]) {
			t.Errorf("conversation %d is not what it was", n)
		}
	}
}

func TestALinkIsFoundUnderEveryIDThatAnInteractionEverHad(t *testing.T) {
	w := newWorld(t, memory())
	m := &model{w: w}
	m.message("a", 5)
	m.message("b", 9)
	old, other := m.stretch[0].id.String(), m.stretch[1].id.String()
	w.fold(10)
	body := linked("1", old, other)
	body.GetContent().GetConversationLinked().ThreadIds = []string{w.thread("a").String(), w.thread("b").String()}
	w.publish(body)
	w.publish(message("a", "late", 4, "")) // it opens the interaction now
	w.fold(10)
	now := w.messageID("a", "late").String()
	for _, id := range []string{old, now, other} {
		c := w.get(id)
		expect(t, "interactions of "+id, idsOf(c), []string{now, other})
	}
}

func TestThePastOfLinksCanBeReadByTheTimeOfTheirReceipt(t *testing.T) {
	w := newWorld(t, memory())
	m := &model{w: w}
	m.message("a", 1)
	m.message("b", 2)
	w.publish(linked("1", m.stretch[0].id.String(), m.stretch[1].id.String()))
	between := w.now()
	w.fold(10)
	link := w.get(m.stretch[1].id.String()).GetLinks()[0].GetEventId()
	w.publish(undone("2", link))
	w.fold(10)
	id := m.stretch[1].id
	for _, c := range []struct {
		at   scope.At
		want event.ID
	}{
		{scope.At{Time: epoch}, id}, {scope.At{Time: between}, m.stretch[0].id}, {scope.At{Time: w.now()}, id}, {scope.At{}, id},
	} {
		s, err := w.conversations.Scope(context.Background(), tenant, id, c.at)
		if err != nil {
			t.Fatal(err)
		}
		expect(t, c.at.Time.String(), s.ID, c.want)
	}
	for _, version := range []string{"1.999", "7.1", "x", "1", "1.-1"} {
		if _, err := w.conversations.Scope(context.Background(), tenant, id, scope.At{Version: version}); !errors.Is(err, scope.ErrExpired) {
			t.Errorf("version %s: %v", version, err)
		}
	}
	if _, err := w.conversations.Scope(context.Background(), tenant, hashed("nobody"), scope.At{}); !errors.Is(err, scope.ErrUnknown) {
		t.Error(err)
	}
}

func TestChildrenAreThoseUnderChildrenToo(t *testing.T) {
	w := newWorld(t, memory())
	w.publish(joined("1", "b", "a"), joined("2", "c", "b"), joined("3", "a", "c")) // in a circle
	w.fold(10)
	children, err := w.conversations.Children(context.Background(), tenant, w.thread("a"))
	if err != nil {
		t.Fatal(err)
	}
	expect(t, "children", children, []event.ID{w.thread("b"), w.thread("c")})
	children, err = w.conversations.Children(context.Background(), tenant, w.thread("d"))
	expect(t, "children of one that nothing is joined to", children, []event.ID{})
	if err != nil {
		t.Error(err)
	}
}
