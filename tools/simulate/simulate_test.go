package simulate_test

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/tools/simulate"
)

func small(seed uint64) simulate.Config {
	return simulate.Config{
		Name: "d", Seed: seed, Start: time.Date(2026, 3, 2, 7, 0, 0, 0, time.UTC), Length: 10 * time.Hour, Agents: 60, Queues: 6, Contacts: 2000,
	}
}

func simulated(t testing.TB, c simulate.Config) *simulate.Day {
	t.Helper()
	d, err := simulate.Simulate(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// anyDay draws a day: of any size, in order or not.
func anyDay(t *rapid.T) *simulate.Day {
	c := small(rapid.Uint64().Draw(t, "seed"))
	c.Agents, c.Queues = rapid.IntRange(4, 80).Draw(t, "agents"), rapid.IntRange(1, 12).Draw(t, "queues")
	c.Contacts = rapid.IntRange(0, 600).Draw(t, "contacts")
	c.Length = time.Duration(rapid.IntRange(20, 600).Draw(t, "minutes")) * time.Minute
	if rapid.Bool().Draw(t, "disorder") {
		c.Disorder = simulate.Disorderly()
	}
	d, err := simulate.Simulate(c)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// written is everything that is handed in, as bytes.
func written(t testing.TB, d *simulate.Day) (sum [sha256.Size]byte) {
	t.Helper()
	var all bytes.Buffer
	write := func(m proto.Message) {
		raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(raw)
	}
	for _, e := range d.Directory() {
		write(e)
	}
	for _, delivery := range d.Deliveries() {
		write(d.Submission(delivery.Event))
	}
	return sha256.Sum256(all.Bytes())
}

func TestTheSameSeedGivesTheSameDayByteForByte(t *testing.T) {
	c := small(1)
	c.Disorder = simulate.Disorderly()
	if first := simulated(t, c); written(t, first) != written(t, simulated(t, c)) {
		t.Error("two days of one seed differ")
	} else if c.Seed = 2; written(t, first) == written(t, simulated(t, c)) {
		t.Error("two days of two seeds are the same")
	}
}

func TestEverySubmissionIsAccepted(t *testing.T) {
	keyring, err := event.NewKeyring(strings.NewReader(strings.Repeat("k", 1<<10)))
	if err != nil {
		t.Fatal(err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		t.Fatal(err)
	}
	d := simulated(t, small(3))
	ids := map[string]int{}
	for n := range d.Events() {
		e, err := compiler.Compile("default", d.Submission(n), d.End())
		if err != nil {
			t.Fatalf("%v: %v", d.Submission(n), err)
		}
		if before, twice := ids[e.Event.GetId()]; twice {
			t.Fatalf("events %d and %d have one id:\n%v\n%v", before, n, d.Submission(before), d.Submission(n))
		}
		ids[e.Event.GetId()] = n
		if !e.Event.GetOccurredAt().AsTime().Equal(d.Submission(n).GetOccurredAt().AsTime()) {
			t.Fatalf("the time of %v does not count", d.Submission(n))
		}
	}
}

// What is told in order of time is within the day, and no two events of a contact's parts are of one moment where their order matters.
func TestEventsAreToldWithinTheDay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDay(t)
		last := map[string]*eventv1.Submission{}
		for n := range d.Events() {
			s := d.Submission(n)
			at := s.GetOccurredAt().AsTime()
			if at.Before(d.Since()) || at.After(d.End().Add(time.Second)) {
				t.Fatalf("%v is outside of %v to %v", s, d.Since(), d.End())
			}
			if n > 0 && at.Before(d.Submission(n-1).GetOccurredAt().AsTime()) {
				t.Fatalf("event %d is earlier than the one before it", n)
			}
			before := last[s.GetThread()]
			if before != nil && before.GetOccurredAt().AsTime().Equal(at) && before.GetAssignment() != s.GetAssignment() {
				t.Fatalf("of one moment:\n%v\n%v", before, s)
			}
			last[s.GetThread()] = s
		}
		if !d.Since().Equal(d.Since().Truncate(15 * time.Minute)) {
			t.Fatalf("the day counts from %v", d.Since())
		}
	})
}

func TestTheDayEndsAboutAMinuteBeforeNow(t *testing.T) {
	for _, c := range []simulate.Config{small(1), {Length: time.Hour, Disorder: simulate.Disorderly()}} {
		now := time.Date(2026, 11, 28, 8, 30, 0, 123, time.UTC)
		c.Start = c.Ending(now)
		if before := now.Sub(c.End()); before < time.Minute || before > 2*time.Minute {
			t.Errorf("it ends %v before now", before)
		}
	}
}

func TestAnAgentHasNoMoreCallsThanOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDay(t)
		for _, a := range d.Agents {
			until := int64(0)
			var before *simulate.Assignment
			for _, share := range a.Assignments {
				if share.Contact.Channel != eventv1.Channel_CHANNEL_VOICE || share.Contact.Provider == simulate.Mailroom {
					continue
				}
				if until == -1 || share.Begin() < until-int64(10*time.Millisecond) { // what one provider tells of a moment is told a few milliseconds apart
					t.Fatalf("%s has %+v and %+v", a.ID, before, share)
				}
				before = share
				if until = max(share.Ended, share.Declined); until == 0 {
					until = -1 // goes on
				}
			}
		}
	})
}

// Chats and mails stay within the room that the agents have.
func TestAnAgentHasNoMoreInHandThanThereIsRoomFor(t *testing.T) {
	d := simulated(t, small(5))
	for _, at := range d.Moments(300, 5) {
		for _, s := range d.Board(at, at).Agents {
			in := map[eventv1.Channel]int{}
			for _, h := range s.Contacts {
				switch h.State {
				case agentv1.ContactState_CONTACT_STATE_CONNECTED, agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD:
					in[h.Contact.Channel]++
				default:
				}
			}
			chats := in[eventv1.Channel_CHANNEL_WEB_CHAT] + in[eventv1.Channel_CHANNEL_SOCIAL_MESSAGE]
			if in[eventv1.Channel_CHANNEL_VOICE] > 1 || chats > 3 || in[eventv1.Channel_CHANNEL_EMAIL] > 6 || in[eventv1.Channel_CHANNEL_VOICE] > 0 && chats > 0 {
				t.Fatalf("%s has %v in hand:\n%s", s.Agent.ID, in, d.Explain(s.Agent, at))
			}
		}
	}
}

func TestEachVisitEndsOnceAndEachAssignmentGoesItsWay(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := anyDay(t)
		open := map[*simulate.Contact]*simulate.Visit{}
		for _, v := range d.Visits {
			if before := open[v.Contact]; before != nil && (before.Left == 0 || before.Left >= v.Entered) {
				t.Fatalf("%+v had not ended when %+v began", before, v)
			}
			open[v.Contact] = v
			if (v.Left == 0) != (v.Outcome == eventv1.QueueOutcome_QUEUE_OUTCOME_UNSPECIFIED) || v.Left != 0 && v.Left <= v.Entered {
				t.Fatalf("visit %+v", v)
			}
			answered := 0
			for _, a := range v.Assignments {
				if a.Connected != 0 && a.Connected == v.Left {
					answered++
				}
			}
			if want := map[bool]int{true: 1}[v.Outcome == eventv1.QueueOutcome_QUEUE_OUTCOME_ANSWERED]; answered != want {
				t.Fatalf("visit %+v is answered %d times", v, answered)
			}
		}
		for _, a := range d.Assignments {
			way := slices.DeleteFunc([]int64{a.Offered, a.Accepted, a.Connected, a.Declined, a.Ended, a.WrapupStarted, a.WrapupEnded}, func(t int64) bool { return t == 0 })
			if !slices.IsSorted(way) || a.Declined != 0 && (a.Ended != 0 || a.Connected != 0) || a.WrapupStarted != 0 && a.Ended == 0 {
				t.Fatalf("assignment %+v", a)
			}
			for _, all := range [][]simulate.Stretch{a.Held, a.Paused} {
				for _, s := range all {
					if s.From < a.Connected || s.Until != 0 && s.Until < s.From || s.Until == 0 && a.Ended != 0 {
						t.Fatalf("assignment %+v", a)
					}
				}
			}
		}
	})
}

// Every row of the board is counted once more from the visits.
func TestTheBoardAgreesWithTheVisits(t *testing.T) {
	d := simulated(t, small(6))
	for _, at := range d.Moments(100, 6) {
		inHand := map[*simulate.Queue]int{}
		b := d.Board(at, at)
		for _, s := range b.Agents {
			for _, h := range s.Contacts {
				inHand[h.Queue]++
			}
		}
		for _, row := range b.Queues {
			entered, waiting, left := 0, 0, 0
			for _, v := range d.Visits {
				switch {
				case v.Queue != row.Queue || v.Entered > at:
					continue
				case v.Left == 0 || v.Left > at:
					waiting++
				default:
					left++
				}
				entered++
			}
			c := row.Counts
			if sum := c.Answered + c.Abandoned + c.FlowedOut + c.Deflected; c.Entered != entered || row.Waiting != waiting || c.Waiting != waiting || sum != left {
				t.Fatalf("queue %s: %+v, where %d entered and %d wait", row.Queue.ID, row, entered, waiting)
			}
			if row.InContact+row.AfterCallWork > inHand[row.Queue] || row.Offered > row.Waiting || row.Available > row.SignedIn || (row.Oldest != nil) != (waiting > 0) {
				t.Fatalf("queue %s: %+v", row.Queue.ID, row)
			}
		}
	}
}

func TestIntervalsAreWithoutAGapAndEachIsTheStateOfAllItsMoments(t *testing.T) {
	c := small(7)
	c.Disorder = simulate.Disorderly()
	d := simulated(t, c)
	from, until := d.Since().UnixNano(), d.End().UnixNano()
	moments := d.Moments(200, 7)
	for _, a := range d.Agents[:20] {
		all := d.Intervals(a, from, until)
		sum := int64(0)
		for n, i := range all {
			if i.From >= i.Until || n == 0 && i.From != from || n > 0 && all[n-1].Until != i.From {
				t.Fatalf("interval %d of %s is from %d to %d", n, a.ID, i.From, i.Until)
			}
			sum += i.Until - i.From
		}
		if sum != until-from {
			t.Fatalf("the intervals of %s take %v", a.ID, time.Duration(sum))
		}
		for _, at := range moments {
			n, found := slices.BinarySearchFunc(all, at, func(i simulate.Interval, at int64) int { return cmp.Compare(i.From, at) })
			if !found {
				n--
			}
			if s := d.StateAt(a, at); s.Routing != all[n].State.Routing || s.Presence.Text != all[n].State.Presence.Text || len(s.Contacts) != len(all[n].State.Contacts) {
				t.Fatalf("%s at %d is %+v, and in its interval %+v", a.ID, at, s, all[n].State)
			}
		}
	}
}

// A day has all of what it is to have: what never happens is not tested by it.
func TestADayHasEverythingInIt(t *testing.T) {
	d := simulated(t, small(1))
	seen := map[string]int{}
	for n := range d.Events() {
		seen[d.Submission(n).GetType()]++
	}
	for _, v := range d.Visits {
		seen[v.Outcome.String()]++
	}
	for _, a := range d.Assignments {
		seen[a.Origin.String()]++
		seen[a.Decline.String()]++
		if a.WrapupStarted != 0 && a.WrapupEnded == 0 {
			seen["no end of after-call work"]++
		}
	}
	for _, a := range d.Agents {
		for _, i := range d.Intervals(a, d.Since().UnixNano(), d.End().UnixNano()) {
			seen[i.State.Routing.String()]++
			seen[i.State.Presence.Type.String()]++
			if i.State.Presence.Vanished {
				seen["vanished"]++
			}
			for _, h := range i.State.Contacts {
				seen[h.State.String()]++
			}
		}
	}
	want := []string{
		event.TypeAgentPresenceChanged, event.TypeAgentHeartbeat, event.TypeAgentCapacityChanged, event.TypePartyJoined, event.TypePartyLeft, event.TypeBotStarted,
		event.TypeTransferStarted, event.TypeTransferCompleted, event.TypeTransferFailed, event.TypeAssignmentPaused, event.TypeAssignmentResumed,
		event.TypeInteractionResolved, event.TypeVoicemailLeft, event.TypeCallbackRequested, event.TypeCallDialed, event.TypeCallFailed,
	}
	for n := 1; n <= 6; n++ {
		want = append(want, eventv1.QueueOutcome(n).String())
	}
	for n := 1; n <= 3; n++ {
		want = append(want, eventv1.PresenceType(n).String(), eventv1.DeclineReason(n).String())
	}
	for n := 1; n <= 5; n++ {
		want = append(want, eventv1.RoutingStatus(n).String())
	}
	for n := 1; n <= 10; n++ {
		want = append(want, agentv1.ContactState(n).String())
	}
	want = append(want, "ORIGIN_CONSULT", "ORIGIN_TRANSFER", "ORIGIN_OUTBOUND", "ORIGIN_CALLBACK", "no end of after-call work", "vanished")
	for _, what := range want {
		if seen[what] == 0 {
			t.Errorf("there is no %s", what)
		}
	}
	t.Log(seen)
}

// The directory's book gives the ids that events carry to those who acted.
func TestTheDirectoryKnowsWhoActed(t *testing.T) {
	d := simulated(t, small(8))
	entries := map[string]map[string][]directory.Version{}
	for _, e := range d.Directory() {
		if entries[e.GetKind()] == nil {
			entries[e.GetKind()] = map[string][]directory.Version{}
		}
		entries[e.GetKind()][e.GetId()] = append(entries[e.GetKind()][e.GetId()], directory.Version{From: e.GetValidFrom().AsTime().UnixNano(), Stated: e})
	}
	book := directory.NewBook(entries)
	lent := map[string]map[string]bool{}
	for _, a := range d.Agents {
		for _, share := range a.Assignments {
			if owner := book.Owner(directory.Agent, share.Contact.Provider, share.Raw, share.Begin()); owner != a.ID {
				t.Fatalf("%s at %s is %s's, and not %s's", share.Raw, share.Contact.Provider, owner, a.ID)
			}
			if share.Queue != nil && book.Owner(directory.Queue, share.Contact.Provider, share.Queue.Raw, share.Begin()) != share.Queue.ID {
				t.Fatalf("%s at %s is not %s", share.Queue.Raw, share.Contact.Provider, share.Queue.ID)
			}
			if lent[share.Raw] == nil {
				lent[share.Raw] = map[string]bool{}
			}
			lent[share.Raw][a.ID] = true
		}
	}
	if !slices.ContainsFunc(d.Agents, func(a *simulate.Agent) bool {
		return slices.ContainsFunc(a.Assignments, func(s *simulate.Assignment) bool { return len(lent[s.Raw]) > 1 })
	}) {
		t.Error("no extension is used by two")
	}
}

// What is told live, as the day goes on, is what is told of the same moment later: but for deadlines, which have passed by then, and for
// after-call work whose end comes only later.
func TestThePresentStateIsThatOfTheMomentUpToWhichTheDayIsKnown(t *testing.T) {
	c := small(10)
	c.Start = c.Ending(time.Now())
	d := simulated(t, c)
	now := time.Now().UnixNano()
	beats := map[*simulate.Agent]bool{}
	for _, a := range d.Agents {
		beats[a] = slices.ContainsFunc(a.Statements, func(s *simulate.Statement) bool { return s.Type == event.TypeAgentHeartbeat })
	}
	for _, at := range append(d.Moments(50, 10), d.End().UnixNano()) {
		for _, a := range d.Agents {
			live, past := d.Present(a, at, now), d.StateBy(a, at, at)
			if !beats[a] && (live.Routing != past.Routing || live.RoutingSince != past.RoutingSince || live.Presence != past.Presence || len(live.Contacts) != len(past.Contacts)) {
				t.Fatalf("%s at %d: live %+v, and later %+v\n%s", a.ID, at, live, past, d.Explain(a, at))
			}
			if whole := d.StateAt(a, at); at >= d.End().UnixNano() && (whole.Routing != past.Routing || whole.RoutingSince != past.RoutingSince) {
				t.Fatalf("%s: %+v, and by the end of the day %+v", a.ID, whole, past)
			}
		}
	}
	for _, s := range d.Board(simulate.Everything, now).Agents {
		if s.RoutingSince > now || s.Presence.Since > now {
			t.Fatalf("%+v", s)
		}
	}
}
