package story_test

import (
	"bytes"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

// at is a fact of a second, received when it occurred.
func at(second int, kind story.Kind, more ...func(*story.Fact)) story.Fact {
	f := story.Fact{
		Moment:  story.Moment{Occurred: int64(second) * int64(time.Second), Received: int64(second) * int64(time.Second)},
		Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Kind: kind, ID: event.ID{1, byte(second >> 8), byte(second), byte(kind)},
	}
	for _, m := range more {
		m(&f)
	}
	return f
}

func byAnna(f *story.Fact) {
	f.Actor = story.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, ID: "anna"}
}

func says(b story.Body) func(*story.Fact) { return func(f *story.Fact) { f.Body = &b } }

// only gives the one interaction that facts make.
func only(t *testing.T, facts ...story.Fact) *story.Interaction {
	t.Helper()
	all := story.Whole(facts)
	if len(all) != 1 {
		t.Fatalf("%d interactions; want one", len(all))
	}
	return all[0]
}

// The documentation has the table of the kinds: every type, whether it opens an interaction, and whether it keeps it from being idle.
func TestTheTableOfTheDocumentationIsTheOneOfTheCode(t *testing.T) {
	doc, err := os.ReadFile("../../../docs/interactions.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := map[string][]string{}
	for line := range strings.Lines(string(doc)) {
		cells := strings.Split(line, "|")
		if len(cells) != 6 {
			continue
		}
		for name := range strings.FieldsSeq(strings.NewReplacer("`", " ", ",", " ").Replace(cells[1])) {
			rows[name] = []string{strings.TrimSpace(cells[2]), strings.TrimSpace(cells[3])}
		}
	}
	for _, typ := range event.Types() {
		if typ.Topic != event.TopicInteractions {
			continue
		}
		want := []string{"", ""}
		opens, acts := story.KindOf(typ.Name).Rule()
		if opens {
			want[0] = "opens"
		}
		if acts {
			want[1] = "acts"
		}
		if got, ok := rows[typ.Name]; !ok || !slices.Equal(got, want) {
			t.Errorf("%s: the documentation says %q; the code %q", typ.Name, got, want)
		}
	}
}

func TestEveryTypeHasAKindOrIsSilent(t *testing.T) {
	for _, typ := range []string{"ext.acme.thing", "no.such_type", event.TypeMessageDelivered} {
		if k := story.KindOf(typ); k != story.Silent {
			t.Errorf("%s: %v", typ, k)
		}
	}
	listed := story.ListedTypes()
	for _, typ := range event.Types() {
		if typ.Topic == event.TopicInteractions && listed[typ.Name] != 1 {
			t.Errorf("%s is listed %d times", typ.Name, listed[typ.Name])
		}
	}
}

func TestAnEndClosesUnlessSomebodySaidWhatIsToBeDone(t *testing.T) {
	opened, ended := at(0, story.Received), at(9, story.Ended)
	if got := only(t, opened, ended).Status(); got != story.Closed {
		t.Error(got)
	}
	for _, s := range []eventv1.InteractionStatus{1, 2, 3} {
		stated := at(5, story.StatusChanged, says(story.Body{Status: s, Until: math.MaxInt64}))
		if got := only(t, opened, stated, ended).Status(); int(got) != int(s) {
			t.Errorf("%v instead of %v", got, s)
		}
	}
}

func TestACustomersMessageMakesWhatWaitsOpen(t *testing.T) {
	for _, s := range []eventv1.InteractionStatus{2, 3} {
		i := only(t, at(0, story.Received), at(5, story.StatusChanged, says(story.Body{Status: s, Until: math.MaxInt64})), at(6, story.Received))
		if i.Status() != story.Open || len(i.Timers()) != 0 {
			t.Error(i.Status(), i.Timers())
		}
	}
}

func TestASnoozeThatWasSetAnewIsNotOverWithTheFirst(t *testing.T) {
	snooze := func(second int, until int64) story.Fact {
		return at(second, story.StatusChanged, says(story.Body{Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED, Until: until}))
	}
	first, second := snooze(1, int64(100*time.Second)), snooze(2, int64(200*time.Second))
	fired := func(second int, f story.Fact) story.Fact {
		return at(second, story.TimerFired, says(story.Body{Text: "snooze", ArmedBy: f.ID}))
	}
	if got := only(t, at(0, story.Received), first, second, fired(100, first)); got.Status() != story.Snoozed || got.Timers()[0].Due != int64(200*time.Second) {
		t.Error(got.Status(), got.Timers())
	}
	if got := only(t, at(0, story.Received), first, second, fired(200, second)); got.Status() != story.Open || len(got.Timers()) != 0 {
		t.Error(got.Status(), got.Timers())
	}
}

func TestResolvingAgainMeasuresFromTheFirst(t *testing.T) {
	i := only(t, at(0, story.Received), at(5, story.Resolved), at(9, story.Resolved, says(story.Body{Text: "so"})))
	if i.ResolvedAt != int64(5*time.Second) || i.Resolution != "so" {
		t.Error(i.ResolvedAt, i.Resolution)
	}
}

func TestAStatusReopensWhatIsResolved(t *testing.T) {
	i := only(t, at(0, story.Received), at(5, story.Resolved), at(9, story.StatusChanged, says(story.Body{Status: eventv1.InteractionStatus_INTERACTION_STATUS_PENDING})))
	if i.Status() != story.Pending || i.ResolvedAt != 0 || i.EndedAt != 0 || i.Reopened != 1 {
		t.Errorf("%+v", i)
	}
}

func TestACallThatIsReopenedStaysEnded(t *testing.T) {
	voice := func(f *story.Fact) { f.Channel = eventv1.Channel_CHANNEL_VOICE }
	i := only(t, at(0, story.Called, voice), at(5, story.Ended), at(6, story.Received), at(9, story.Reopened))
	if i.Status() != story.Open || i.EndedAt != int64(5*time.Second) || i.Reopened != 1 {
		t.Errorf("%+v", i)
	}
}

func TestATargetIsHitInTimeAndMissedBehindIt(t *testing.T) {
	const s = int64(time.Second)
	policy := func(second int, metric eventv1.SlaMetric, since, due int64) story.Fact {
		return at(second, story.PolicySet, says(story.Body{Clocks: []story.Clock{{Metric: metric, Since: since * s, Due: due * s}}}))
	}
	const response, resolution = eventv1.SlaMetric_SLA_METRIC_FIRST_RESPONSE, eventv1.SlaMetric_SLA_METRIC_RESOLUTION
	reply := func(second int) story.Fact { return at(second, story.Sent, byAnna) }
	fired := func(second int, f story.Fact, name string) story.Fact {
		return at(second, story.TimerFired, says(story.Body{Text: name, ArmedBy: f.ID}))
	}
	first := policy(1, response, 0, 10)
	for name, c := range map[string]struct {
		facts []story.Fact
		state story.SLAState
		done  int64
	}{
		"in time":                       {[]story.Fact{first, reply(10)}, story.SLAHit, 10},
		"too late":                      {[]story.Fact{first, reply(11)}, story.SLAMissed, 11},
		"never":                         {[]story.Fact{first, fired(10, first, "sla.first_response")}, story.SLAMissed, 0},
		"behind the clock":              {[]story.Fact{first, fired(10, first, "sla.first_response"), reply(12)}, story.SLAMissed, 12},
		"before the policy was told":    {[]story.Fact{reply(3), policy(5, response, 0, 10)}, story.SLAHit, 3},
		"before it counts":              {[]story.Fact{reply(3), policy(5, response, 4, 10)}, story.SLAActive, 0},
		"by whatever happens behind it": {[]story.Fact{first, at(11, story.NoteAdded)}, story.SLAMissed, 0},
		"but not in the moment":         {[]story.Fact{first, at(10, story.NoteAdded)}, story.SLAActive, 0},
		"by another timer":              {[]story.Fact{first, fired(10, reply(1), "sla.resolution")}, story.SLAMissed, 0},
		"not before it is due":          {[]story.Fact{first, fired(9, first, "sla.first_response")}, story.SLAActive, 0},
		"before it was set":             {[]story.Fact{policy(20, response, 0, 10)}, story.SLAMissed, 0},
		"ended first":                   {[]story.Fact{first, at(5, story.Ended)}, story.SLACancelled, 0},
		"resolved":                      {[]story.Fact{policy(1, resolution, 0, 10), at(5, story.Resolved)}, story.SLAHit, 5},
		"resolved too late":             {[]story.Fact{policy(1, resolution, 0, 10), at(15, story.Resolved)}, story.SLAMissed, 15},
		"resolved before it was told":   {[]story.Fact{at(5, story.Resolved), policy(6, resolution, 0, 10)}, story.SLAHit, 5},
		"never resolved":                {[]story.Fact{policy(1, resolution, 0, 10), at(5, story.Ended)}, story.SLACancelled, 0},
		"kept open": {
			[]story.Fact{policy(1, resolution, 0, 10), at(4, story.StatusChanged, says(story.Body{Status: 2})), at(5, story.Ended)},
			story.SLAActive, 0,
		},
		"not due at any time": {[]story.Fact{policy(1, response, 0, 0), reply(99)}, story.SLAHit, 99},
	} {
		i := only(t, append(c.facts, at(0, story.Received))...)
		got := i.SLAs[0]
		if got.State != c.state || got.Done != c.done*s {
			t.Errorf("%s: %v, done at %d; want %v at %d", name, got.State, got.Done/s, c.state, c.done)
		}
		if armed := len(i.Timers()) == 1; armed != (c.state == story.SLAActive && got.Due != 0) {
			t.Errorf("%s: %v", name, i.Timers())
		}
	}
}

func TestANewClockTakesThePlaceOfTheOneThatCounts(t *testing.T) {
	clock := says(story.Body{Clocks: []story.Clock{{Metric: eventv1.SlaMetric_SLA_METRIC_RESOLUTION, Due: int64(100 * time.Second)}}})
	i := only(t, at(0, story.Received), at(1, story.PolicySet, clock), at(2, story.PolicySet, clock))
	if len(i.SLAs) != 2 || i.SLAs[0].State != story.SLACancelled || i.SLAs[1].State != story.SLAActive {
		t.Errorf("%+v", i.SLAs)
	}
}

func TestHistoryArmsNoTimerUntilSomebodyActs(t *testing.T) {
	imported := func(f *story.Fact) { f.Backfill = true }
	facts := []story.Fact{
		at(0, story.Received, imported), at(1, story.PolicySet, says(story.Body{Time: time.Hour}), imported),
		at(2, story.StatusChanged, says(story.Body{Status: 3, Until: 9}), imported),
	}
	if i := only(t, facts...); !i.Backfill || len(i.Timers()) != 0 {
		t.Errorf("%+v", i)
	}
	if i := only(t, append(facts, at(3, story.NoteAdded, byAnna))...); i.Backfill || len(i.Timers()) != 2 {
		t.Errorf("%+v", i)
	}
}

func snoozes(second int, until time.Duration) story.Fact {
	return at(second, story.StatusChanged, says(story.Body{Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED, Until: int64(until)}))
}

func TestASnoozeUntilBeforeItselfIsOverAtOnce(t *testing.T) {
	facts := []story.Fact{at(0, story.Received), snoozes(9, 5*time.Second)}
	if i := only(t, facts...); i.Status() != story.Snoozed || i.Timers()[0].Due != int64(9*time.Second) {
		t.Error(i.Status(), i.Timers())
	}
	if i := only(t, append(facts, at(9, story.TimerFired))...); i.Status() != story.Open || len(i.Timers()) != 0 {
		t.Error(i.Status(), i.Timers())
	}
}

func TestATimeOutThatIsOverWhenItIsSetEndsThen(t *testing.T) {
	facts := []story.Fact{at(0, story.Received), at(20, story.PolicySet, says(story.Body{Time: 5 * time.Second, Window: time.Second}))}
	if i := only(t, append(facts, at(20, story.TimerFired))...); i.EndedAt != int64(20*time.Second) || i.ReopenUntil != int64(21*time.Second) {
		t.Errorf("%+v", i)
	}
}

// The window to reopen counts from when it was due, and of what is due at a time targets are missed before it ends.
func TestWhatWasDueIsDoneBeforeWhatComesLater(t *testing.T) {
	const resolution = eventv1.SlaMetric_SLA_METRIC_RESOLUTION
	facts := []story.Fact{
		at(1, story.Received),
		at(1, story.PolicySet, says(story.Body{Time: 30 * time.Second, Window: 10 * time.Second, Clocks: []story.Clock{{Metric: resolution, Due: int64(31 * time.Second)}}})),
	}
	for second, want := range map[int]struct{ interactions, reopened int }{31: {1, 0}, 32: {1, 1}, 40: {1, 1}, 41: {2, 0}} {
		for _, timers := range [][]story.Fact{nil, {at(31, story.TimerFired, func(f *story.Fact) { f.Received = math.MaxInt64 })}} {
			all := story.Whole(slices.Concat(facts, []story.Fact{at(second, story.Received)}, timers))
			if len(all) != want.interactions || int(all[0].Reopened) != want.reopened || all[len(all)-1].EndedAt != 0 {
				t.Errorf("a message of second %d: %+v", second, all)
			}
			if missed := all[0].SLAs[0].State == story.SLAMissed; missed != (second > 31 || timers != nil) {
				t.Errorf("a message of second %d: %+v", second, all[0].SLAs)
			}
		}
	}
}

func TestHistoryThatGoesOnCountsFromThere(t *testing.T) {
	imported := func(f *story.Fact) { f.Backfill = true }
	clock := says(story.Body{Time: time.Second, Clocks: []story.Clock{{Metric: eventv1.SlaMetric_SLA_METRIC_RESOLUTION, Due: int64(5 * time.Second)}}})
	snooze := snoozes(2, 3*time.Second)
	snooze.Backfill = true
	facts := []story.Fact{at(0, story.Received, imported), at(1, story.PolicySet, clock, imported), snooze, at(50, story.NoteAdded, imported)}
	if i := only(t, facts...); i.EndedAt != 0 || i.Status() != story.Snoozed || i.SLAs[0].State != story.SLAActive || i.LiveSince != 0 {
		t.Errorf("%+v", i)
	}
	i := only(t, append(facts, at(99, story.NoteAdded, byAnna))...)
	if i.LiveSince != int64(99*time.Second) || i.EndedAt != 0 || i.SnoozedUntil != i.LiveSince || i.SLAs[0].State != story.SLACancelled {
		t.Errorf("%+v", i)
	}
	for _, timer := range i.Timers() {
		if timer.Due < i.LiveSince {
			t.Error(timer)
		}
	}
}

// The clock may name an interaction by the event that would have opened it, had none come late, and by the provider's id.
func TestAnIdThatAnInteractionEverHadFindsIt(t *testing.T) {
	p, q := event.ID{7}, event.ID{8}
	named := func(name event.ID) func(*story.Fact) { return func(f *story.Fact) { f.Interaction = name } }
	once := at(2, story.Received)
	facts := []story.Fact{at(1, story.Received), once, at(3, story.Sent, named(p)), at(4, story.Received, named(q))}
	for about, want := range map[event.ID]int{once.ID: 0, facts[0].ID: 0, p: 0, q: 1, facts[3].ID: 1, {9}: 1} {
		policy := at(5, story.PolicySet, says(story.Body{Text: "it", About: about}))
		for n, i := range story.Whole(append(slices.Clone(facts), policy)) {
			if is := i.Policy == "it"; is != (n == want) {
				t.Errorf("%v: interaction %d has the policy %q", about, n, i.Policy)
			}
		}
	}
}

// What a provider tells without end does not make an interaction grow without end.
func TestAnInteractionHoldsSoMuchAndNoMore(t *testing.T) {
	facts := []story.Fact{at(0, story.Received)}
	for n := range 500 {
		party := func(f *story.Fact) { f.Parties = []story.Party{{Endpoint: event.ID{2, byte(n >> 8), byte(n)}}} }
		clock := says(story.Body{Clocks: []story.Clock{{Metric: 1, Since: int64(n), Due: math.MaxInt64}}, Added: []string{"t" + string(rune('a'+n))}})
		facts = append(facts, at(n+1, story.QueueEntered, party), at(n+1, story.Connected, byAnna, party), at(n+1, story.ShareEnded, byAnna),
			at(n+1, story.PolicySet, clock), at(n+1, story.Sent, byAnna), at(n+1, story.AttributesUpdated, clock))
	}
	i := only(t, facts...)
	if n := len(i.Encode(nil)); n > 32<<10 {
		t.Errorf("%d bytes", n)
	}
	if last := i.Shares[len(i.Shares)-1]; last.Connected != int64(500*time.Second) {
		t.Errorf("the last one is not there: %+v", last)
	}
}

// Facts that wait for an interaction which never begins are bounded as well.
func TestWhatNeverBeginsIsForgotten(t *testing.T) {
	var facts []story.Fact
	for n := range 1000 {
		facts = append(facts, at(n, story.NoteAdded))
	}
	if all := story.Whole(facts); len(all) != 0 {
		t.Fatal(all)
	}
	if i := only(t, append(facts, at(1000, story.Received))...); i.Notes == 0 || i.Notes > 100 {
		t.Error(i.Notes)
	}
}

func TestTimesAtTheEndsOfTimeAreTimes(t *testing.T) {
	first, last := at(0, story.Received), at(0, story.Ended, says(story.Body{Window: math.MaxInt64}))
	last.Occurred = math.MaxInt64
	i := only(t, first, at(1, story.PolicySet, says(story.Body{Time: math.MaxInt64})), last)
	if i.StartedAt == 0 || i.EndedAt != math.MaxInt64 || i.ReopenUntil != math.MaxInt64 {
		t.Errorf("%+v", i)
	}
	for _, timer := range only(t, first, at(1, story.PolicySet, says(story.Body{Time: math.MaxInt64}))).Timers() {
		if timer.Due != math.MaxInt64 {
			t.Error(timer)
		}
	}
}

// Whatever bytes a row holds: it is read, or it is damaged; and what was read is written as it was.
func FuzzRows(f *testing.F) {
	i := story.Whole([]story.Fact{at(0, story.Received), at(1, story.QueueEntered, says(story.Body{Added: []string{"a"}})), at(2, story.Connected, byAnna)})[0]
	fact := at(1, story.PolicySet, says(story.Body{Clocks: []story.Clock{{Metric: 1, Due: 7}}}))
	f.Add(i.Encode(nil))
	f.Add(fact.Encode(nil))
	f.Add((&story.Thread{Last: i, Waiting: []story.Fact{fact}}).Encode(nil))
	f.Fuzz(func(t *testing.T, row []byte) {
		if i, err := story.DecodeInteraction(row); err == nil {
			again, err := story.DecodeInteraction(i.Encode(nil))
			if err != nil || !bytes.Equal(again.Encode(nil), i.Encode(nil)) {
				t.Fatal(err, again)
			}
			i.Proto()
		}
		var fact story.Fact
		if err := fact.Decode(row, story.Moment{Occurred: 7}); err == nil {
			var again story.Fact
			if err := again.Decode(fact.Encode(nil), fact.Moment); err != nil || !bytes.Equal(again.Encode(nil), fact.Encode(nil)) {
				t.Fatal(err, again)
			}
		}
		if thread, err := story.DecodeThread(row); err == nil {
			if _, err := story.DecodeThread(thread.Encode(nil)); err != nil {
				t.Fatal(err)
			}
		}
		if facts, err := story.DecodeWaiting(row); err == nil { // any facts at all
			for _, i := range story.Whole(facts) {
				if i.EndedAt != 0 && i.EndedAt < i.StartedAt {
					t.Fatalf("%+v", i)
				}
				i.Proto()
				i.Timers()
				brief := i.Brief()
				var again story.Brief
				if err := again.Decode(brief.Encode(nil)); err != nil || !bytes.Equal(again.Encode(nil), brief.Encode(nil)) {
					t.Fatal(err, again)
				}
				for n := range i.Visits {
					v := &i.Visits[n]
					counted := i.VisitBrief(v)
					var again story.VisitBrief
					if err := again.Decode(counted.Encode(nil, v.Entered), v.Entered); err != nil || again != counted {
						t.Fatal(err, again, counted)
					}
				}
			}
		}
	})
}
