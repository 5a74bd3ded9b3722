package conversation_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/conversation/story"
)

func timeOf(t *timestamppb.Timestamp) time.Time {
	if t == nil {
		return time.Time{}
	}
	return t.AsTime()
}

// beginOf and overOf are the span of an assignment, by its message; zero where there is none.
func beginOf(a *conversationv1.Assignment) (begin time.Time) {
	for _, t := range []*timestamppb.Timestamp{a.GetOfferedAt(), a.GetAcceptedAt(), a.GetConnectedAt()} {
		if t != nil && (begin.IsZero() || t.AsTime().Before(begin)) {
			begin = t.AsTime()
		}
	}
	return begin
}

func overOf(a *conversationv1.Assignment) time.Time {
	switch {
	case a.GetDeclinedAt() != nil:
		return a.GetDeclinedAt().AsTime()
	case a.GetEndedAt() == nil || a.GetWrapupStartedAt() != nil && a.GetWrapupEndedAt() == nil:
		return time.Time{}
	case a.GetWrapupStartedAt() != nil && a.GetWrapupEndedAt().AsTime().After(a.GetEndedAt().AsTime()):
		return a.GetWrapupEndedAt().AsTime()
	}
	return a.GetEndedAt().AsTime()
}

// shownShare is an assignment as text.
func shownShare(a *conversationv1.Assignment) string {
	b, err := proto.MarshalOptions{Deterministic: true}.Marshal(a)
	return fmt.Sprintf("%x %v", b, err)
}

// overlaps is what Shares promises.
func overlaps(a *conversationv1.Assignment, from, until time.Time) bool {
	begin, over := beginOf(a), overOf(a)
	return !begin.IsZero() && (until.IsZero() || begin.Before(until)) && (over.IsZero() || !over.Before(from))
}

// visitOf is what is counted of a visit, by its interaction.
func visitOf(i *conversationv1.Interaction, thread event.ID, q *conversationv1.QueueVisit) conversation.Visit {
	id, _ := event.ParseID(q.GetId())
	v := conversation.Visit{
		ID: id, Thread: thread, Queue: q.GetQueue(), Provider: i.GetProvider(), Channel: i.GetChannel(), Backfill: i.GetBackfill(), Entered: timeOf(q.GetEnteredAt()),
		Left: timeOf(q.GetLeftAt()), Outcome: q.GetOutcome(), SLATarget: q.GetSlaTarget().AsDuration(), Agent: q.GetAgent(),
	}
	for _, a := range i.GetAssignments() {
		if a.GetVisitId() != q.GetId() || a.GetConnectedAt() == nil || a.GetEndedAt() == nil || overOf(a).IsZero() {
			continue
		}
		v.Handled++
		v.HandleTime += a.GetEndedAt().AsTime().Sub(a.GetConnectedAt().AsTime()) - a.GetPauseTime().AsDuration()
		if a.GetWrapupStartedAt() != nil {
			v.HandleTime += a.GetWrapupEndedAt().AsTime().Sub(a.GetWrapupStartedAt().AsTime())
		}
	}
	return v
}

// checkParts holds the rows of assignments, visits and work to the threads that a plain recomputation gives.
func (j *journal) checkParts(v *conversation.View, wholes map[event.ID][]*story.Interaction) {
	j.t.Helper()
	ctx := context.Background()
	fail := func(err error) {
		if err != nil {
			j.t.Helper()
			j.t.Fatal(err)
		}
	}
	type share struct {
		thread event.ID
		*conversationv1.Assignment
	}
	shares, visits := map[string][]share{}, map[string][]conversation.Visit{}
	for thread, whole := range wholes {
		for _, i := range whole {
			p := i.Proto()
			for _, a := range p.GetAssignments() {
				if a.GetAgent() != "" && !beginOf(a).IsZero() {
					shares[a.GetAgent()] = append(shares[a.GetAgent()], share{thread, a})
				}
			}
			for _, q := range p.GetVisits() {
				if q.GetQueue() != "" {
					visits[q.GetQueue()] = append(visits[q.GetQueue()], visitOf(p, thread, q))
				}
			}
		}
	}
	same := func(what string, got, want []string) {
		j.t.Helper()
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			j.t.Fatalf("%s: %q; want %q", what, got, want)
		}
	}
	second := func(n int) time.Time {
		if n < 0 {
			return time.Time{}
		}
		return lawEpoch.Add(time.Duration(n) * time.Second)
	}
	var seen, agents, queues, names []string
	for _, agent := range []string{"anna", "bob", "carl"} {
		if len(shares[agent]) > 0 {
			agents = append(agents, agent)
		}
		into := func(got *[]string) func(i *conversationv1.Interaction, a *conversationv1.Assignment) bool {
			return func(i *conversationv1.Interaction, a *conversationv1.Assignment) bool {
				if a.GetAgent() != agent || !slices.Contains(i.GetAssignments(), a) {
					j.t.Fatalf("of %s: %v in %v", agent, a, i)
				}
				*got = append(*got, i.GetThreadId()+" "+shownShare(a))
				return true
			}
		}
		for _, span := range [][2]int{{-1, -1}, {-1, 5}, {5, -1}, {0, 1}, {3, 3}, {4, 9}, {8, 12}, {15, 16}, {100, 200}} {
			from, until := second(span[0]), second(span[1])
			var got, want []string
			fail(v.Shares(ctx, lawTenant, agent, from, until, into(&got)))
			for _, s := range shares[agent] {
				if overlaps(s.Assignment, from, until) {
					want = append(want, s.thread.String()+" "+shownShare(s.Assignment))
				}
			}
			same(fmt.Sprint(agent, " ", from, until), got, want)
		}
		var earliest int64
		for _, s := range shares[agent] {
			if begin := beginOf(s.Assignment).UnixNano(); earliest == 0 || begin < earliest {
				earliest = begin
			}
		}
		if first, found, err := v.Began(ctx, lawTenant, agent); err != nil || first != earliest || found != (earliest != 0) {
			j.t.Fatalf("%s began at %d, %v, %v; want %d", agent, first, found, err, earliest)
		}
		var got, want []string
		fail(v.SharesInHand(ctx, lawTenant, agent, into(&got)))
		for _, s := range shares[agent] {
			if overOf(s.Assignment).IsZero() {
				want = append(want, s.thread.String()+" "+shownShare(s.Assignment))
			}
		}
		same(agent+" in hand", got, want)
	}
	fail(v.AgentsSeen(ctx, lawTenant, func(agent string) bool { seen = append(seen, agent); return true }))
	same("agents", seen, agents)
	for _, queue := range []string{"sales", "service", "none"} {
		if len(visits[queue]) > 0 {
			queues = append(queues, queue)
		}
		for _, span := range [][2]int{{-1, -1}, {-1, 5}, {5, -1}, {3, 3}, {4, 9}} {
			from, until := second(span[0]), second(span[1])
			var got, want []string
			last := time.Time{}
			fail(v.Visits(ctx, lawTenant, queue, from, until, func(o conversation.Visit) bool {
				if o.Entered.Before(last) {
					j.t.Fatalf("%v comes behind %v", o, last)
				}
				last = o.Entered
				got = append(got, fmt.Sprint(o))
				return true
			}))
			for _, o := range visits[queue] {
				if (from.IsZero() || !o.Entered.Before(from)) && (until.IsZero() || o.Entered.Before(until)) {
					want = append(want, fmt.Sprint(o))
				}
			}
			same(fmt.Sprint(queue, " ", from, until), got, want)
		}
	}
	fail(v.Queues(ctx, lawTenant, func(queue string) bool { names = append(names, queue); return true }))
	same("queues", names, queues)
	for _, of := range [][2]string{{"", ""}, {"sales", ""}, {"", "anna"}} {
		fail(v.Briefs(ctx, lawTenant, of[0], of[1], func(row, full story.Brief) {
			if fmt.Sprint(row) != fmt.Sprint(full) {
				j.t.Fatalf("a row of work says %+v; the interaction %+v", row, full)
			}
		}))
	}
}

// Whatever assignments take, from nothing to years: those of a time are those that overlap it.
func TestTheAssignmentsOfATimeAreThoseThatOverlapIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		j := newJournal(rt)
		took := func(label string) time.Duration {
			d := time.Duration(1) << rapid.IntRange(0, 57).Draw(rt, label)
			return d + time.Duration(rapid.IntRange(-1, 1).Draw(rt, "and"))
		}
		var moments []time.Time
		n := rapid.IntRange(1, 100).Draw(rt, "assignments")
		for k := range n {
			begin := lawEpoch.Add(took("begins"))
			moments = append(moments, begin)
			offered := said(rt, "call", fmt.Sprint("offered", k), event.TypeAssignmentOffered, 0, nil)
			offered.OccurredAt, offered.ThreadId = timestamppb.New(begin), hashed(fmt.Sprint("t", k%7)).String()
			offered.AssignmentId, offered.Actor = hashed(fmt.Sprint("a", k)).String(), &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "anna"}
			offered.Channel = eventv1.Channel_CHANNEL_VOICE
			j.append(offered)
			if rapid.IntRange(0, 9).Draw(rt, "goes on at 0") == 0 {
				continue
			}
			declined := said(rt, "call", fmt.Sprint("declined", k), event.TypeAssignmentDeclined, 0, nil)
			over := begin.Add(took("takes"))
			moments = append(moments, over)
			declined.OccurredAt, declined.ThreadId, declined.AssignmentId = timestamppb.New(over), offered.GetThreadId(), offered.GetAssignmentId()
			declined.Actor, declined.Channel = offered.GetActor(), offered.GetChannel()
			j.append(declined)
		}
		store := memkv.New()
		j.fold(store, conversation.NewFold(lawPartitions, nil), 0, allBatches)
		v := viewOf(rt, store)
		defer func() { _ = v.Close() }()
		var all []*conversationv1.Assignment
		for k := range 7 {
			thread, err := v.Thread(context.Background(), lawTenant, hashed(fmt.Sprint("t", k)))
			if err != nil {
				rt.Fatal(err)
			}
			for _, i := range thread {
				all = append(all, i.GetAssignments()...)
			}
		}
		moment := func(label string) time.Time {
			if rapid.IntRange(0, 4).Draw(rt, label+" is open at 0") == 0 {
				return time.Time{}
			}
			return rapid.SampledFrom(moments).Draw(rt, label).Add(time.Duration(rapid.IntRange(-1, 1).Draw(rt, "and")))
		}
		for range 5 {
			from, until := moment("from"), moment("until")
			got, want := map[string]int{}, 0
			err := v.Shares(context.Background(), lawTenant, "anna", from, until, func(_ *conversationv1.Interaction, a *conversationv1.Assignment) bool {
				if got[a.GetId()]++; got[a.GetId()] > 1 || !overlaps(a, from, until) {
					rt.Errorf("of %v to %v: %v, %d times", from, until, a, got[a.GetId()])
				}
				return true
			})
			for _, a := range all {
				if overlaps(a, from, until) {
					want++
				}
			}
			if err != nil || len(got) != want {
				rt.Errorf("of %v to %v: %d, want %d, %v", from, until, len(got), want, err)
			}
		}
	})
}

// Readers that have enough stop.
func TestAReadOfPartsStopsWhenItIsToldTo(t *testing.T) {
	j := newJournal(t)
	for k := range 600 {
		e := said(t, fmt.Sprint("t", k), fmt.Sprint("e", k), event.TypeAssignmentOffered, k, nil)
		e.Queue, e.Actor = fmt.Sprint("q", k%3), &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: fmt.Sprint("agent", k%2)}
		in := said(t, fmt.Sprint("t", k), fmt.Sprint("in", k), event.TypeQueueEntered, k, nil)
		in.Queue = e.GetQueue()
		j.append(in, e)
	}
	store := memkv.New()
	j.fold(store, conversation.NewFold(lawPartitions, nil), 0, allBatches)
	v := viewOf(t, store)
	defer func() { _ = v.Close() }()
	n := 0
	more := func() bool { n++; return n < 2 }
	for name, read := range map[string]func() error{
		"shares": func() error {
			return v.Shares(t.Context(), lawTenant, "agent0", time.Time{}, time.Time{}, func(*conversationv1.Interaction, *conversationv1.Assignment) bool { return more() })
		},
		"in hand": func() error {
			return v.SharesInHand(t.Context(), lawTenant, "agent0", func(*conversationv1.Interaction, *conversationv1.Assignment) bool { return more() })
		},
		"agents": func() error { return v.AgentsSeen(t.Context(), lawTenant, func(string) bool { return more() }) },
		"queues": func() error { return v.Queues(t.Context(), lawTenant, func(string) bool { return more() }) },
		"visits": func() error {
			return v.Visits(t.Context(), lawTenant, "q0", time.Time{}, time.Time{}, func(conversation.Visit) bool { return more() })
		},
	} {
		n = 0
		if err := read(); err != nil || n != 2 {
			t.Errorf("%s: %d, %v", name, n, err)
		}
	}
}

// oneShare is an assignment as text, without what says nothing of what the agent did when, and when it began.
type oneShare struct {
	provider, text string
	begin          int64
}

// agentsShares are the assignments of each agent in a thread, and how many times: several interactions may have one with the same id.
func agentsShares(t rapid.TB, v *conversation.View, thread event.ID) map[string]map[oneShare]int {
	t.Helper()
	all, err := v.Thread(context.Background(), lawTenant, thread)
	if err != nil {
		t.Fatal(err)
	}
	shares := map[string]map[oneShare]int{}
	for _, i := range all {
		for _, a := range i.GetAssignments() {
			at := beginOf(a)
			if at.IsZero() || a.GetAgent() == "" {
				continue
			}
			if shares[a.GetAgent()] == nil {
				shares[a.GetAgent()] = map[oneShare]int{}
			}
			bare := proto.CloneOf(a)
			bare.Disposition, bare.VisitId, bare.WrapupInferred, bare.Holds = "", "", false, 0
			shares[a.GetAgent()][oneShare{i.GetProvider(), shownShare(bare), at.UnixNano()}]++
		}
	}
	return shares
}

func TestAChangeNamesEveryAgentOfWhomAnAssignmentBecameAnotherAndSinceWhen(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		j, store := newJournal(rt), memkv.New()
		fold := conversation.NewFold(lawPartitions, nil).WithMemory(rapid.SampledFrom([]int{0, 3000}).Draw(rt, "memory"))
		applied, newest := projection.Vector{}, map[event.ID]time.Time{}
		for _, e := range anyEvents(rt, rapid.IntRange(1, 30).Draw(rt, "events")) {
			thread, err := event.ParseID(e.GetThreadId())
			if err != nil {
				rt.Fatal(err)
			}
			at := e.GetOccurredAt().AsTime()
			late := !at.After(newest[thread])
			if !late {
				newest[thread] = at
			}
			v := viewOf(rt, store)
			was := agentsShares(rt, v, thread)
			_ = v.Close()
			j.append(e)
			j.fold(store, fold, 1, 1)
			v = viewOf(rt, store)
			is := agentsShares(rt, v, thread)
			told := map[string]int64{}
			next, err := v.Applied(context.Background())
			if err != nil {
				rt.Fatal(err)
			}
			for partition, until := range next {
				err := v.ShareChanges(context.Background(), partition, applied[partition], until, func(_ string, s conversation.ChangedShare) error {
					told[s.Agent] = s.Begin
					return nil
				})
				if err != nil {
					rt.Fatal(err)
				}
			}
			applied = next
			_ = v.Close()
			wanted := map[string]int64{}
			note := func(of, other map[string]map[oneShare]int) {
				for agent, all := range of {
					for share, n := range all {
						if other[agent][share] != n && (wanted[agent] == 0 || share.begin < wanted[agent]) {
							wanted[agent] = share.begin
						}
					}
				}
			}
			note(was, is)
			note(is, was)
			for agent, at := range wanted {
				if since, named := told[agent]; !named || since > at {
					rt.Fatalf("%s changed since %d; told %v", agent, at, told)
				}
			}
			// One that comes late may move an assignment into another interaction.
			if e.GetType() == event.TypeMessageReceived && !late && len(wanted) == 0 && len(told) > 0 {
				rt.Fatalf("a message changes nobody's assignment; told %v", told)
			}
		}
	})
}
