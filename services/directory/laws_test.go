package directory_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	books "github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/directory"
)

// stated is something that a test hands in.
type stated struct {
	id string
	e  *eventv1.DirectoryUpdated
}

func drawStated(t *rapid.T, most int) []stated {
	var all []stated
	for i := range rapid.IntRange(1, most).Draw(t, "statements") {
		id := rapid.SampledFrom([]string{"a", "b"}).Draw(t, "id")
		name := rapid.SampledFrom([]string{"x", "y", "z"}).Draw(t, "name")
		var e *eventv1.DirectoryUpdated
		switch rapid.IntRange(0, 3).Draw(t, "what") {
		case 0:
			e = agent(id, name)
		case 1:
			e = setting(id, name)
		case 2:
			e = gone("agent", id)
		default:
			e = gone("setting", id)
		}
		all = append(all, stated{fmt.Sprint(i), from(rapid.IntRange(0, 3).Draw(t, "from"), e)})
	}
	return all
}

// book is what a tenant's directory says, as text.
func book(w *world) string {
	b, err := directory.NewDirectory(w.store, partitions, nil, nil).Book(context.Background(), tenant)
	must(w.t, err)
	return text(b)
}

func text(b *books.Book) string {
	var all []string
	for hour := -1; hour <= 4; hour++ {
		for _, kind := range directory.Kinds() {
			for id, e := range b.All(kind, at(hour).AsTime().UnixNano()) {
				all = append(all, fmt.Sprint(hour, kind, id, e.GetAgent().GetName(), e.GetAttributes()["value"]))
			}
		}
	}
	return strings.Join(all, "\n")
}

func TestTheDirectoryIsWhatWasStatedLastOfEachMoment(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawStated(t, 10)
		w := newWorld(t)
		last := map[string]*eventv1.DirectoryUpdated{} // by kind, id and moment
		for _, s := range all {
			w.append(tenant, submission(s.id, s.e))
			kind := s.e.GetKind()
			if kind == "" {
				kind = books.Agent
			}
			last[fmt.Sprint(kind, " ", s.e.GetId(), " ", s.e.GetValidFrom().GetSeconds())] = s.e
		}
		w.fold(w.store, rapid.IntRange(1, 5).Draw(t, "batch"))
		b, err := w.directory.Book(context.Background(), tenant)
		must(t, err)
		for hour := -1; hour <= 4; hour++ {
			for _, kind := range []string{books.Agent, books.Setting} {
				for _, id := range []string{"a", "b"} {
					var want *eventv1.DirectoryUpdated
					for h := 0; h <= hour; h++ {
						if e := last[fmt.Sprint(kind, " ", id, " ", at(h).GetSeconds())]; e != nil {
							want = e
						}
					}
					got := b.At(kind, id, at(hour).AsTime().UnixNano())
					if (got == nil) != (want == nil || want.GetRemoved()) {
						t.Fatalf("%s %s at %d: %v, not %v", kind, id, hour, got, want)
					}
					if got != nil && (got.GetAgent().GetName() != want.GetAgent().GetName() || !maps.Equal(got.GetAttributes(), want.GetAttributes()) || got.GetKind() != kind) {
						t.Fatalf("%s %s at %d: %v, not %v", kind, id, hour, got, want)
					}
				}
			}
		}
	})
}

func TestWhatHoldsFromDifferentMomentsOnComesInAnyOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := drawStated(t, 10)
		moments := map[string]bool{}
		all = slices.DeleteFunc(all, func(s stated) bool {
			key := fmt.Sprint(s.e.GetKind(), s.e.GetAgent() != nil, s.e.GetId(), s.e.GetValidFrom().GetSeconds())
			if s.e.GetKind() == books.Agent {
				key = fmt.Sprint("", true, s.e.GetId(), s.e.GetValidFrom().GetSeconds())
			}
			twice := moments[key]
			moments[key] = true
			return twice
		})
		one, other := newWorld(t), newWorld(t)
		for _, s := range all {
			one.append(tenant, submission(s.id, s.e))
		}
		for _, s := range rapid.Permutation(all).Draw(t, "order") {
			other.append(tenant, submission(s.id, s.e))
		}
		one.fold(one.store, 0)
		other.fold(other.store, 0)
		if a, b := book(one), book(other); a != b {
			t.Fatalf("in the one order\n%s\nin the other\n%s", a, b)
		}
	})
}

func TestARebuildGivesTheSameBytesAndARepetitionChangesNothing(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		all := drawStated(t, 10)
		for _, s := range all {
			w.append(rapid.SampledFrom([]string{tenant, "globex", "initech"}).Draw(t, "tenant"), submission(s.id, s.e))
		}
		w.fold(w.store, 0)
		rebuilt := memkv.New()
		w.fold(rebuilt, rapid.IntRange(1, 4).Draw(t, "batch"))
		if w.hash(w.store) != w.hash(rebuilt) {
			t.Fatal("a rebuild gives something else")
		}
		first := w.append(tenant, submission("once", from(0, agent("a", "first"))))
		w.append(tenant, submission("later", from(0, agent("a", "later"))))
		w.fold(w.store, 0)
		before := book(w)
		w.appendEvent(first)
		w.fold(w.store, 0)
		if after := book(w); before != after {
			t.Fatalf("before\n%s\nafter\n%s", before, after)
		}
	})
}

func TestOfOneEventIDTheFirstInTheLogCounts(t *testing.T) {
	w := newWorld(t)
	w.append(tenant, submission("1", from(0, agent("anna", "first"))))
	w.append(tenant, submission("1", from(0, agent("anna", "second"))))
	w.fold(w.store, 0)
	if got := book(w); !strings.Contains(got, "annafirst") || strings.Contains(got, "second") {
		t.Error(got)
	}
	if len(w.letters) != 1 || w.letters[0].GetReason() != eventv1.DeadReason_DEAD_REASON_CONFLICT || w.letters[0].GetTenant() != tenant {
		t.Errorf("letters %v", w.letters)
	}
}

func TestWhatCannotBeUnderstoodIsADeadLetterAndStopsNothing(t *testing.T) {
	w := newWorld(t)
	bad := func(change func(e *eventv1.DirectoryUpdated)) *eventv1.DirectoryUpdated {
		e := agent("anna", "Anna")
		change(e)
		return e
	}
	for _, c := range []struct {
		e    *eventv1.DirectoryUpdated
		want string
	}{
		{bad(func(e *eventv1.DirectoryUpdated) { e.Kind = "office" }), `kind: "office" is none; there are agent, hours, queue, setting, team`},
		{bad(func(e *eventv1.DirectoryUpdated) { e.Entry = nil }), "kind: is missing"},
		{bad(func(e *eventv1.DirectoryUpdated) { e.Kind = "team" }), `agent: stands in an entry of the kind "team"`},
		{bad(func(e *eventv1.DirectoryUpdated) { e.Kind = "setting" }), `agent: stands in an entry of the kind "setting"`},
		{bad(func(e *eventv1.DirectoryUpdated) { e.Kind, e.Removed = "team", true }), `agent: stands in an entry of the kind "team"`},
		{bad(func(e *eventv1.DirectoryUpdated) { e.Id = "" }), "id: is missing"},
		{bad(func(e *eventv1.DirectoryUpdated) { e.Id = "an\x00na" }), "id: has a control character"},
		{bad(func(e *eventv1.DirectoryUpdated) { e.Id = strings.Repeat("n", 129) }), "id: is longer than 128 bytes"},
		{bad(func(e *eventv1.DirectoryUpdated) {
			e.ValidFrom = timestamppb.New(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC))
		}), "valid_from: is in the year 1900: it must be in 1970 to 2261"},
		{nil, "kind: is missing"},
	} {
		w.letters = nil
		s := submission(c.want, c.e)
		if c.e == nil {
			s.Content = nil
		}
		w.append(tenant, s)
		w.fold(w.store, 0)
		if len(w.letters) != 1 || w.letters[0].GetReason() != eventv1.DeadReason_DEAD_REASON_INVALID || w.letters[0].GetDetail() != "content.directory_updated."+c.want {
			t.Errorf("%s: %v", c.want, w.letters)
		}
	}
	good := w.append(tenant, submission("good", agent("good", "Good")))
	w.letters = nil
	for name, change := range map[string]func(e *eventv1.Event){
		"sealed":            func(e *eventv1.Event) { e.Seal = "k1" },
		"longer than 63":    func(e *eventv1.Event) { e.Tenant = strings.Repeat("t", 64) },
		"content":           func(e *eventv1.Event) { e.Content = []byte{0xff} },
		"larger than":       func(e *eventv1.Event) { e.Content = spilled(t) },
		"the record's key ": nil,
	} {
		e := proto.CloneOf(good)
		e.Id = event.ID{8, 1}.String()
		before := len(w.letters)
		if change == nil {
			value, err := event.Encode(e)
			must(t, err)
			w.appendRaw("globex", value)
		} else {
			change(e)
			w.appendEvent(e)
		}
		w.fold(w.store, 0)
		if len(w.letters) != before+1 || !strings.Contains(w.letters[before].GetDetail(), name) {
			t.Errorf("%s: %v", name, w.letters[before:])
		}
	}
	w.appendRaw(tenant, []byte("nonsense"))
	w.append(tenant, submission("after", agent("after", "After")))
	w.fold(w.store, 0)
	b, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	if len(b.Versions(books.Agent, "good")) != 1 || len(b.Versions(books.Agent, "after")) != 1 || len(b.Versions(books.Agent, "anna")) != 0 {
		t.Error("what is good is not all that is there")
	}
}

func spilled(t *testing.T) []byte {
	t.Helper()
	b, err := proto.Marshal(&eventv1.Content{Spilled: &eventv1.Blob{Key: "acme/x"}})
	must(t, err)
	return b
}

func TestAStatementWithoutAMomentHoldsFromWhenItWasMade(t *testing.T) {
	w := newWorld(t)
	s := submission("1", &eventv1.DirectoryUpdated{Kind: "agent", Id: "anna", Attributes: map[string]string{"floor": "3"}})
	s.OccurredAt = at(-5)
	w.append(tenant, s)
	w.fold(w.store, 0)
	b, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	e := b.At(books.Agent, "anna", at(-5).AsTime().UnixNano())
	if e.GetAgent() == nil || e.GetAttributes()["floor"] != "3" || b.At(books.Agent, "anna", at(-5).AsTime().UnixNano()-1) != nil {
		t.Errorf("says %v", e)
	}
}

func TestABookIsReadAnewForTheTenantsThatChanged(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	w.run(t, w.directory.Run)
	acks, err := w.intake.Submit(t.Context(), "globex", submission("1", agent("gina", "Gina")))
	must(t, err)
	must(t, w.directory.Wait(patient(t), acks[0].Position))
	one, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	other, err := w.directory.Book(t.Context(), "globex")
	must(t, err)
	changed := w.directory.Changed()
	acks, err = w.intake.Submit(t.Context(), tenant, submission("1", agent("anna", "Anna")))
	must(t, err)
	select {
	case <-changed:
	case <-time.After(patience):
		t.Fatal("nobody tells of it")
	}
	must(t, w.directory.Wait(patient(t), acks[0].Position))
	again, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	if again == one || len(again.Versions(books.Agent, "anna")) != 1 || len(one.Versions(books.Agent, "anna")) != 0 {
		t.Errorf("says %v", again.Versions(books.Agent, "anna"))
	}
	if same, err := w.directory.Book(t.Context(), "globex"); err != nil || same != other {
		t.Errorf("the other tenant's is another one: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	beyond := acks[0].Position
	beyond.Offset += 100
	if err := w.directory.Wait(ctx, beyond); err == nil {
		t.Error("what is not there yet was waited for")
	}
}

func TestWhoWaitsFindsItInTheBookWithoutAnybodyRunning(t *testing.T) {
	w := newWorld(t)
	_, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	acks, err := w.intake.Submit(t.Context(), tenant, submission("1", agent("anna", "Anna")))
	must(t, err)
	w.fold(w.store, 0)
	must(t, w.directory.Wait(patient(t), acks[0].Position))
	b, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	if len(b.Versions(books.Agent, "anna")) != 1 {
		t.Error("it is not there")
	}
}

func TestOldChangesAreDroppedAndBooksAreReadAllTheSame(t *testing.T) {
	w := newWorld(t)
	_, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	must(t, w.directory.Wait(t.Context()))
	const many = 3<<10 + 1
	ctx := context.Background()
	all := make([]*eventv1.Submission, many)
	for i := range all {
		all[i] = submission(fmt.Sprint(i), from(0, setting("n", fmt.Sprint(i))))
	}
	acks, err := w.intake.Submit(ctx, tenant, all...)
	must(t, err)
	w.fold(w.store, 0)
	must(t, w.directory.Wait(patient(t), acks[many-1].Position))
	b, err := w.directory.Book(ctx, tenant)
	must(t, err)
	if got := b.At(books.Setting, "n", at(1).AsTime().UnixNano()).GetAttributes()["value"]; got != fmt.Sprint(many-1) {
		t.Errorf("says %s", got)
	}
	snap, err := w.store.Snapshot(ctx, namespace)
	must(t, err)
	defer snap.Close()
	it, err := snap.Scan(ctx, kv.Prefix([]byte{0x02}))
	must(t, err)
	defer it.Close()
	n := 0
	for it.Next() {
		n++
	}
	if n > 1<<11+1<<8 {
		t.Errorf("%d changes are kept", n)
	}
}

func TestABookThatFollowsIsTheOneThatIsReadAtOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t)
		ctx := context.Background()
		_, err := w.directory.Book(ctx, tenant)
		must(t, err)
		n := 0
		for range rapid.IntRange(1, 4).Draw(t, "rounds") {
			var all []*eventv1.Submission
			for _, s := range drawStated(t, 5) {
				n++
				all = append(all, submission(fmt.Sprint(n), s.e))
			}
			acks, err := w.intake.Submit(ctx, tenant, all...)
			must(t, err)
			w.fold(w.store, 0)
			must(t, w.directory.Wait(ctx, acks[len(acks)-1].Position))
			followed, err := w.directory.Book(ctx, tenant)
			must(t, err)
			if at, want := text(followed), book(w); at != want {
				t.Fatalf("followed\n%s\nread\n%s", at, want)
			}
		}
	})
}

func TestManyChangesAtOnceAreAllInTheBook(t *testing.T) {
	w := newWorld(t)
	before, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	all := []*eventv1.Submission{submission("first", agent("m0", "first"))}
	for n := range 2 {
		acks, err := w.intake.Submit(t.Context(), tenant, all...)
		must(t, err)
		w.fold(w.store, 0)
		must(t, w.directory.Wait(t.Context(), acks[len(acks)-1].Position))
		if n == 1 {
			break
		}
		for i := range 300 { // more than are read one by one
			all = append(all, submission(fmt.Sprint(i), from(i%3, agent(fmt.Sprint("m", i), "x"))))
		}
	}
	followed, err := w.directory.Book(t.Context(), tenant)
	must(t, err)
	if text(followed) != book(w) || text(before) != "" {
		t.Errorf("followed\n%s\nread\n%s", text(followed), book(w))
	}
}
