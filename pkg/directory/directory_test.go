package directory_test

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/directory"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func nativeIDs(ids []string) []*eventv1.NativeId {
	var all []*eventv1.NativeId
	for i := 0; i+1 < len(ids); i += 2 {
		all = append(all, &eventv1.NativeId{Provider: ids[i], Id: ids[i+1]})
	}
	return all
}

// agent is one that claims ids: provider, id, provider, id and so on.
func agent(ids ...string) *eventv1.DirectoryUpdated {
	return &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{Ids: nativeIDs(ids)}}}
}

func removed() *eventv1.DirectoryUpdated { return &eventv1.DirectoryUpdated{Removed: true} }

func agents(of map[string][]directory.Version) *directory.Book {
	return directory.NewBook(map[string]map[string][]directory.Version{directory.Agent: of})
}

func TestAnIDIsWhoseItWasAtTheMoment(t *testing.T) {
	b := agents(map[string][]directory.Version{
		"anna":  {{10, agent("asterisk", "201")}, {30, agent()}},
		"bob":   {{20, agent("asterisk", "201")}, {50, removed()}, {60, agent("asterisk", "201")}},
		"carol": {{10, agent("", "302", "asterisk", "anna")}},
		"dan":   {{40, agent("", "201", "", "carol")}},
	})
	for _, c := range []struct {
		name, provider, id string
		at                 int64
		want               string
	}{
		{"before anybody claims it, it is nobody's but its own", "asterisk", "201", 9, "201"},
		{"from the moment on at which it is claimed", "asterisk", "201", 10, "anna"},
		{"of two the one who began to claim it last", "asterisk", "201", 20, "bob"},
		{"whoever goes on without it does not matter", "asterisk", "201", 35, "bob"},
		{"a provider's own counts more than everybody's", "asterisk", "201", 45, "bob"},
		{"of another provider it is whose it is of all", "genesys", "201", 45, "dan"},
		{"a removed entry claims nothing", "asterisk", "201", 55, "dan"},
		{"until it is added again", "asterisk", "201", 60, "bob"},
		{"for every provider", "anything", "302", 11, "carol"},
		{"an entry's name of another's id: what is said counts more", "asterisk", "anna", 11, "carol"},
		{"but at that provider only", "genesys", "anna", 11, "anna"},
		{"and from then on only", "genesys", "carol", 39, "carol"},
		{"also for every provider", "genesys", "carol", 40, "dan"},
		{"nobody has no id", "asterisk", "", 40, ""},
	} {
		if got := b.Owner(directory.Agent, c.provider, c.id, c.at); got != c.want {
			t.Errorf("%s: %s's %s at %d is %s's, not %s's", c.name, c.provider, c.id, c.at, got, c.want)
		}
		if got := b.Owner(directory.Queue, c.provider, c.id, c.at); got != c.id {
			t.Errorf("%s: of another kind it is %s's", c.name, got)
		}
	}
}

func TestWhoIsRenamedTakesNothingBack(t *testing.T) {
	b := agents(map[string][]directory.Version{
		"anna": {{10, agent("", "201")}, {30, agent("", "302", "", "201")}, {40, agent("", "201", "", "201")}, {50, agent()}, {60, agent("", "201")}},
		"bob":  {{20, agent("", "201")}},
	})
	for at, want := range map[int64]string{19: "anna", 20: "bob", 30: "bob", 40: "bob", 59: "bob", 60: "anna"} {
		if got := b.Owner(directory.Agent, "", "201", at); got != want {
			t.Errorf("at %d it is %s's, not %s's", at, got, want)
		}
	}
	want := []directory.Native{{"", "anna", math.MinInt64, math.MaxInt64}, {"", "201", 10, 50}, {"", "302", 30, 40}, {"", "201", 60, math.MaxInt64}}
	if got := b.Natives(directory.Agent, "anna"); !slices.Equal(got, want) {
		t.Errorf("called %v", got)
	}
}

func TestOfSeveralStatementsOfOneMomentTheLastCounts(t *testing.T) {
	first, last := agent("", "201"), agent("", "302")
	b := agents(map[string][]directory.Version{"anna": {{10, first}, {10, removed()}, {10, last}, {20, first}, {20, removed()}}})
	if b.At(directory.Agent, "anna", 10) != last || b.At(directory.Agent, "anna", 19) != last || len(b.Versions(directory.Agent, "anna")) != 2 {
		t.Errorf("%v", b.Versions(directory.Agent, "anna"))
	}
	if b.Owner(directory.Agent, "", "201", 15) != "201" || b.Owner(directory.Agent, "", "302", 15) != "anna" {
		t.Error("what was replaced claims something")
	}
	if b.At(directory.Agent, "anna", 20) != nil || !b.Removed(directory.Agent, "anna", 20) || b.Removed(directory.Agent, "anna", 19) || b.Removed(directory.Agent, "bob", 20) {
		t.Error("removed at 20")
	}
	tie := agents(map[string][]directory.Version{"b": {{10, agent("", "201")}}, "a": {{10, agent("", "201")}}})
	if got := tie.Owner(directory.Agent, "", "201", 10); got != "b" {
		t.Errorf("of two of one moment %s counts", got)
	}
}

func TestAQueueHasTheTimeZoneOfItsHours(t *testing.T) {
	hours := func(zone string) *eventv1.DirectoryUpdated {
		return &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{TimeZone: zone}}}
	}
	queue := func(hours string) []directory.Version {
		return []directory.Version{{10, &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{Hours: hours}}}}}
	}
	b := directory.NewBook(map[string]map[string][]directory.Version{
		directory.Hours: {"office": {{10, hours("Europe/Berlin")}, {20, hours("Asia/Shanghai")}, {30, removed()}}, "odd": {{10, hours("Atlantis")}}, "machine": {{10, hours("Local")}}},
		directory.Queue: {"sales": queue("office"), "odd": queue("odd"), "machine": queue("machine"), "always": queue(""), "lost": queue("gone")},
	})
	for _, c := range []struct {
		queue string
		at    int64
		want  string
	}{
		{"sales", 9, "UTC"},
		{"sales", 10, "Europe/Berlin"},
		{"sales", 25, "Asia/Shanghai"},
		{"sales", 30, "UTC"},
		{"odd", 15, "UTC"},
		{"machine", 15, "UTC"},
		{"always", 15, "UTC"},
		{"lost", 15, "UTC"},
		{"unknown", 15, "UTC"},
	} {
		if got := b.Location(c.queue, c.at); got.String() != c.want {
			t.Errorf("%s at %d: %v", c.queue, c.at, got)
		}
	}
}

func TestNoBookIsAnEmptyOne(t *testing.T) {
	for _, b := range []*directory.Book{nil, {}, directory.NewBook(nil)} {
		if b.At(directory.Agent, "a", 0) != nil || b.Removed(directory.Agent, "a", 0) || b.Versions(directory.Agent, "a") != nil ||
			b.Owner(directory.Agent, "p", "a", 0) != "a" || b.Location("q", 0) != time.UTC || len(b.Natives(directory.Agent, "a")) != 1 {
			t.Error("something is in it")
		}
		for id := range b.All(directory.Agent, 0) {
			t.Error(id)
		}
	}
}

// The model looks at each moment on its own: it knows nothing of stretches, and no order but that of the statements.
func TestABookSaysWhatWasStated(t *testing.T) {
	names, providers := []string{"a", "b", "c", "1"}, []string{"", "p", "q"}
	const moments = 8
	rapid.Check(t, func(t *rapid.T) {
		entries := map[string][]directory.Version{}
		for _, id := range names {
			froms := rapid.SliceOfN(rapid.Int64Range(0, moments), 0, 6).Draw(t, "moments of "+id)
			slices.Sort(froms)
			for _, from := range froms {
				stated := removed()
				if rapid.IntRange(0, 3).Draw(t, "there") > 0 {
					var ids []string
					for range rapid.IntRange(0, 3).Draw(t, "ids") {
						ids = append(ids, rapid.SampledFrom(providers).Draw(t, "provider"), rapid.SampledFrom(names).Draw(t, "native"))
					}
					stated = agent(ids...)
				}
				entries[id] = append(entries[id], directory.Version{From: from, Stated: stated})
			}
		}
		at := func(id string, moment int64) (v *directory.Version) {
			for i := range entries[id] {
				if entries[id][i].From <= moment {
					v = &entries[id][i]
				}
			}
			return v
		}
		claims := func(id, provider, native string, moment int64) bool {
			v := at(id, moment)
			return v != nil && slices.ContainsFunc(v.Stated.GetAgent().GetIds(), func(n *eventv1.NativeId) bool {
				return n.GetProvider() == provider && n.GetId() == native
			})
		}
		owner := func(provider, native string, moment int64) string {
			for _, of := range []string{provider, ""} {
				who, since := "", int64(-1)
				for _, id := range slices.Sorted(slices.Values(names)) {
					if !claims(id, of, native, moment) {
						continue
					}
					began := moment
					for began > 0 && claims(id, of, native, began-1) {
						began--
					}
					if began >= since {
						who, since = id, began
					}
				}
				if who != "" {
					return who
				}
			}
			return native
		}
		of := map[string][]directory.Version{}
		for id := range entries {
			of[id] = slices.Clone(entries[id])
		}
		b := agents(of)
		for moment := int64(-1); moment <= moments+1; moment++ {
			var all, want []string
			for id, e := range b.All(directory.Agent, moment) {
				all = append(all, fmt.Sprint(id, e))
			}
			for _, id := range slices.Sorted(slices.Values(names)) {
				v := at(id, moment)
				there := v != nil && !v.Stated.GetRemoved()
				if there {
					want = append(want, fmt.Sprint(id, v.Stated))
				}
				if e := b.At(directory.Agent, id, moment); (e != nil) != there || there && !proto.Equal(e, v.Stated) || b.Removed(directory.Agent, id, moment) != (v != nil && !there) {
					t.Fatalf("%s at %d: %v, not %v", id, moment, e, v)
				}
				for _, provider := range providers {
					if got, want := b.Owner(directory.Agent, provider, id, moment), owner(provider, id, moment); got != want {
						t.Fatalf("%s's %s at %d is %s's, not %s's", provider, id, moment, got, want)
					}
				}
			}
			if !slices.Equal(all, want) {
				t.Fatalf("at %d: %v, not %v", moment, all, want)
			}
		}
		for _, id := range names {
			for _, n := range b.Natives(directory.Agent, id)[1:] {
				for moment := int64(-1); moment <= moments; moment++ {
					if in := n.From <= moment && moment < n.Until; in && !claims(id, n.Provider, n.ID, moment) {
						t.Fatalf("%s is not called %v at %d", id, n, moment)
					}
				}
			}
		}
	})
}

func BenchmarkOwner(b *testing.B) {
	of := map[string][]directory.Version{}
	for i := range 1000 {
		of[fmt.Sprint("agent", i)] = []directory.Version{{0, agent("asterisk", fmt.Sprint(i))}}
	}
	book := agents(of)
	b.ReportAllocs()
	for b.Loop() {
		book.Owner(directory.Agent, "asterisk", "500", 7)
	}
}
