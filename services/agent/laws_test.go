package agent_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent"
	"github.com/skein-cx/skein/services/agent/state"
)

func hashed(name string) event.ID {
	sum := sha256.Sum256([]byte(name))
	return event.ID(sum[:16])
}

// eventOf makes an event of an agent; its id is made of its name.
func eventOf(name, who, connector string, at, received time.Time, content *eventv1.Content) *eventv1.Event {
	value, err := proto.Marshal(content)
	if err != nil {
		panic(err)
	}
	id := hashed(name)
	return &eventv1.Event{
		Id: id.String(), Tenant: tenant, Type: types[fmt.Sprintf("%T", content.GetBody())], ThreadId: hashed("thread").String(), Provider: connector,
		Actor: &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: who}, OccurredAt: stamp(at), ReceivedAt: stamp(received),
		Content: value, Digest: id[:],
	}
}

// span is in how many minutes most of it happens. Some lies days before.
const span = 120

func drawTime(rt *rapid.T, label string) time.Time {
	m := rapid.IntRange(0, span).Draw(rt, label)
	if rapid.IntRange(0, 9).Draw(rt, label+" days before at 0") == 0 {
		m -= rapid.IntRange(1, 4).Draw(rt, label+" days") * 24 * 60
	}
	return at(m)
}

// drawBook thinks of who has which id when.
func drawBook(rt *rapid.T) *directory.Book {
	agents := map[string][]directory.Version{}
	for _, who := range []string{"mei", "bo"} {
		for n := range rapid.IntRange(0, 3).Draw(rt, who+"'s versions") {
			from := at(n*50 - 30).UnixNano()
			if n == 0 {
				from = 0
			}
			ids := rapid.SliceOfN(rapid.SampledFrom([]*eventv1.NativeId{
				{Provider: "asterisk", Id: "101"}, {Provider: "desk", Id: "m1"}, {Id: "m1"}, {Id: "101"},
			}), 0, 3).Draw(rt, "ids")
			stated := &eventv1.DirectoryUpdated{Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{Ids: ids}}}
			if rapid.IntRange(0, 5).Draw(rt, "removed at 0") == 0 {
				stated = &eventv1.DirectoryUpdated{Removed: true}
			}
			agents[who] = append(agents[who], directory.Version{From: from, Stated: stated})
		}
	}
	queues := map[string][]directory.Version{"sales": {{From: at(60).UnixNano(), Stated: &eventv1.DirectoryUpdated{
		Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{Ids: []*eventv1.NativeId{{Provider: "asterisk", Id: "q7"}}}},
	}}}}
	return directory.NewBook(map[string]map[string][]directory.Version{directory.Agent: agents, directory.Queue: queues})
}

var rawIDs = []string{"mei", "mei", "bo", "101", "m1"}

func drawContent(rt *rapid.T) *eventv1.Content {
	switch rapid.SampledFrom([]string{"presence", "presence", "presence", "everywhere", "routing", "routing", "capacity", "beat", "beat", "beat", "sign"}).Draw(rt, "kind") {
	case "everywhere":
		c := presenceOf("Offline", eventv1.PresenceType_PRESENCE_TYPE_OFFLINE)
		if rapid.IntRange(0, 3).Draw(rt, "meeting at 0") == 0 {
			c = presenceOf("Meeting", eventv1.PresenceType_PRESENCE_TYPE_CUSTOM)
		}
		c.GetAgentPresenceChanged().Everywhere = true
		return c
	case "routing":
		return routingOf(eventv1.RoutingStatus(rapid.IntRange(1, 5).Draw(rt, "status")))
	case "capacity":
		return capacityOf("Meal", map[string]int32{"voice": 2})
	case "beat":
		return heartbeatOf(time.Duration(rapid.SampledFrom([]int{1, 2, 5, 20, 60, 3000}).Draw(rt, "minutes")) * time.Minute)
	case "sign":
		return heartbeatOf(0)
	}
	return rapid.SampledFrom([]*eventv1.Content{
		presenceOf("Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE), presenceOf("Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE),
		presenceOf("Meal", eventv1.PresenceType_PRESENCE_TYPE_CUSTOM), presenceOf("Offline", eventv1.PresenceType_PRESENCE_TYPE_OFFLINE),
	}).Draw(rt, "presence")
}

// drawShare thinks of a share, which need not be a legal one.
func drawShare(rt *rapid.T, n int) state.Share {
	a := &conversationv1.Assignment{
		Id: hashed(fmt.Sprint("share", n)).String(), Agent: rapid.SampledFrom(rawIDs).Draw(rt, "agent"),
		Queue:         rapid.SampledFrom([]string{"", "sales", "q7"}).Draw(rt, "queue"),
		DeclineReason: eventv1.DeclineReason(rapid.IntRange(0, 3).Draw(rt, "decline")), EndReason: eventv1.EndReason(rapid.IntRange(5, 6).Draw(rt, "end")),
		Origin: rapid.SampledFrom([]eventv1.Origin{eventv1.Origin_ORIGIN_INBOUND, eventv1.Origin_ORIGIN_CALLBACK}).Draw(rt, "origin"),
	}
	legal := rapid.IntRange(0, 3).Draw(rt, "illegal at 0") > 0
	moment := drawTime(rt, "begin")
	next := func(label string) time.Time {
		if !legal {
			return drawTime(rt, label)
		}
		moment = moment.Add(time.Duration(rapid.IntRange(0, 15).Draw(rt, label)) * time.Minute)
		return moment
	}
	is := func(label string) bool { return rapid.IntRange(0, 4).Draw(rt, label+" is missing at 0") > 0 }
	if is("offered") {
		a.OfferedAt = stamp(next("offered"))
	}
	if rapid.IntRange(0, 3).Draw(rt, "declined at 0") == 0 {
		a.DeclinedAt = stamp(next("declined"))
		if legal {
			return share(n, a)
		}
	}
	if is("accepted") {
		a.AcceptedAt = stamp(next("accepted"))
	}
	if is("connected") {
		a.ConnectedAt = stamp(next("connected"))
		for range rapid.IntRange(0, 2).Draw(rt, "holds") {
			a.Held = append(a.GetHeld(), &conversationv1.Stretch{From: stamp(next("held")), Until: stamp(next("unheld"))})
		}
		if rapid.IntRange(0, 3).Draw(rt, "paused at 0") == 0 {
			a.Paused = append(a.GetPaused(), &conversationv1.Stretch{From: stamp(next("paused"))})
		}
	}
	if is("ended") {
		a.EndedAt = stamp(next("ended"))
		if is("wrapup") {
			a.WrapupStartedAt = stamp(next("wrapup started"))
			if is("wrapup ended") {
				a.WrapupEndedAt = stamp(next("wrapup ended"))
			}
		}
	}
	return share(n, a)
}

func share(n int, a *conversationv1.Assignment) state.Share {
	return state.Share{Assignment: a, Interaction: &conversationv1.Interaction{
		Id: hashed(fmt.Sprint("interaction", n)).String(), ThreadId: hashed(fmt.Sprint("thread", n)).String(), Provider: "asterisk",
		Channel: eventv1.Channel_CHANNEL_VOICE, Assignments: []*conversationv1.Assignment{a},
	}}
}

// play is a world with a model of it.
type play struct {
	*world
	*model
	events []*eventv1.Event
}

func newPlay(rt *rapid.T) *play {
	p := &play{world: newWorld(rt), model: &model{book: drawBook(rt)}}
	p.setBook(p.model.book)
	for n := range rapid.IntRange(0, 14).Draw(rt, "events") {
		occurred := drawTime(rt, "occurred")
		p.events = append(p.events, eventOf(fmt.Sprint(n), rapid.SampledFrom(rawIDs).Draw(rt, "agent"), rapid.SampledFrom([]string{"asterisk", "desk"}).Draw(rt, "connector"),
			occurred, at(rapid.IntRange(0, 3).Draw(rt, "received")), drawContent(rt)))
	}
	for n := range rapid.IntRange(0, 5).Draw(rt, "shares") {
		p.world.shares = append(p.world.shares, drawShare(rt, n))
	}
	p.model.shares = p.world.shares
	return p
}

// publish puts events into the log, some of them twice.
func (p *play) publish(rt *rapid.T, events []*eventv1.Event) {
	for i, e := range events {
		pos := p.append(e)
		if rapid.IntRange(0, 5).Draw(rt, "an earlier one again at 0") == 0 {
			p.append(events[rapid.IntRange(0, i).Draw(rt, "which")])
		}
		content := &eventv1.Content{}
		must(rt, proto.Unmarshal(e.GetContent(), content))
		p.model.events = append(p.model.events, raw{
			id: e.GetActor().GetId(), connector: e.GetProvider(), at: nanos(e.GetOccurredAt()), received: nanos(e.GetReceivedAt()),
			partition: pos.Partition, offset: pos.Offset, content: content, timeout: min(int64(content.GetAgentHeartbeat().GetTimeout().AsDuration()), 24*3600e9),
		})
	}
}

// Whatever is stated, by whichever connectors, under whichever ids, in whatever order, and whatever shares there are: every state of the past,
// and the present one, is the one that the rules give.
func TestStatesAreWhatTheRulesSay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(rt)
		p.publish(rt, p.events)
		p.fold(p.store, rapid.IntRange(1, 5).Draw(rt, "batch"))
		moments := append(p.moments(), at(rapid.IntRange(-10, span+60).Draw(rt, "moment")).UnixNano())
		for _, who := range []string{"mei", "bo"} {
			p.setClock(time.Unix(0, 1)) // before whoever claims anything for every connector
			for _, m := range moments {
				got, err := p.agents.At(context.Background(), tenant, who, time.Unix(0, m))
				if errors.Is(err, agent.ErrUnknown) {
					continue
				}
				must(rt, err)
				if want := p.at(who, m, m); got.GetAgentId() == who && said(got) != want {
					rt.Fatalf("%s at %d:\ngot\n%swant\n%s", who, m, said(got), want)
				}
			}
			p.setClock(at(rapid.IntRange(0, span).Draw(rt, "now")))
			now := p.clock().UnixNano()
			got, err := p.agents.Present(context.Background(), tenant, who)
			if errors.Is(err, agent.ErrUnknown) {
				continue
			}
			must(rt, err)
			if want := p.at(got.GetAgentId(), forever, now); said(got) != want {
				rt.Fatalf("%s at present, %d:\ngot\n%swant\n%s", got.GetAgentId(), now, said(got), want)
			}
		}
	})
}

// Whatever there is: the intervals of a stretch are the states at each of their moments, and no two neighbours are the same.
func TestIntervalsAreTheStatesOneBehindTheOther(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(rt)
		p.publish(rt, p.events)
		p.fold(p.store, 0)
		from := at(rapid.IntRange(-10, span).Draw(rt, "from"))
		until := from.Add(time.Duration(rapid.IntRange(1, span).Draw(rt, "minutes")) * time.Minute)
		all, totals, err := p.agents.Intervals(context.Background(), tenant, "mei", from, until)
		if errors.Is(err, agent.ErrUnknown) {
			return
		}
		must(rt, err)
		next, sum := from, time.Duration(0)
		for n, i := range all {
			if !i.GetFrom().AsTime().Equal(next) || !i.GetUntil().AsTime().After(next) {
				rt.Fatalf("%v follows %v", i, next)
			}
			next = i.GetUntil().AsTime()
			sum += next.Sub(i.GetFrom().AsTime())
			for _, m := range append(p.moments(), nanos(i.GetFrom()), nanos(i.GetUntil())-1) {
				if m < nanos(i.GetFrom()) || m >= nanos(i.GetUntil()) {
					continue
				}
				s, err := p.agents.At(context.Background(), tenant, "mei", time.Unix(0, m))
				must(rt, err)
				if want := intervalOf(s); !proto.Equal(want, bare(i)) {
					rt.Fatalf("at %d:\ngot  %v\nwant %v", m, i, want)
				}
			}
			if n > 0 && proto.Equal(bare(all[n-1]), bare(i)) {
				rt.Fatalf("twice %v", i)
			}
		}
		if !next.Equal(until) {
			rt.Fatalf("they end at %v instead of %v", next, until)
		}
		for _, d := range totals.GetRoutingStatus() {
			sum -= d.AsDuration()
		}
		if sum != 0 {
			rt.Fatalf("%v is missing in %v", sum, totals)
		}
	})
}

func bare(i *agentv1.Interval) *agentv1.Interval {
	i = proto.CloneOf(i)
	i.From, i.Until = nil, nil
	return i
}

func intervalOf(s *agentv1.AgentState) *agentv1.Interval {
	i := &agentv1.Interval{
		Presence: s.GetPresence().GetPresence(), PresenceType: s.GetPresence().GetType(), Reason: s.GetPresence().GetReason(),
		Vanished: s.GetPresence().GetVanished(), RoutingStatus: s.GetRoutingStatus(),
	}
	for _, c := range s.GetContacts() {
		i.Contacts = append(i.Contacts, &agentv1.IntervalContact{AssignmentId: c.GetAssignmentId(), State: c.GetState(), Queue: c.GetQueue(), Channel: c.GetChannel()})
	}
	return i
}

// Whatever the batches and the restarts, on whatever engine: the store is the same to the byte.
func TestEveryWayToFoldALogGivesTheSameStore(t *testing.T) {
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		p := newPlay(rt)
		p.publish(rt, p.events)
		p.fold(p.store, 1)
		want := p.hash(p.store)
		n++
		disk, err := pebblekv.Open(fmt.Sprintf("%s/%d", t.TempDir(), n), pebblekv.Options{NoSync: true})
		must(rt, err)
		defer func() { must(rt, disk.Close()) }()
		for name, store := range map[string]kv.Store{"memory": memkv.New(), "disk": disk} {
			for folded := 1; folded > 0; {
				r := p.runner(store, rapid.IntRange(1, 5).Draw(rt, "batch"))
				for range rapid.IntRange(1, 3).Draw(rt, "batches until it ends") {
					folded, err = r.RunOnce(context.Background())
					must(rt, err)
				}
				r.Close()
			}
			if got := p.hash(store); got != want {
				rt.Errorf("%s: got %v, want %v", name, got, want)
			}
		}
	})
}

// In whatever order events come: each state is the same.
func TestTheOrderOfArrivalDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		p, other := newPlay(rt), newWorld(rt)
		for i, e := range p.events { // of one moment, the order of receipt counts
			e.ReceivedAt = stamp(at(i))
		}
		p.publish(rt, p.events)
		p.fold(p.store, 0)
		other.setBook(p.model.book)
		other.shares = p.world.shares
		for _, e := range rapid.Permutation(p.events).Draw(rt, "another order") {
			other.append(e)
		}
		other.fold(other.store, 0)
		for _, m := range p.moments() {
			for _, who := range rawIDs {
				got, err := other.agents.At(context.Background(), tenant, who, time.Unix(0, m))
				want, wanted := p.agents.At(context.Background(), tenant, who, time.Unix(0, m))
				if (err == nil) != (wanted == nil) || !proto.Equal(got, want) {
					rt.Fatalf("%s at %d:\ngot  %s %v\nwant %s %v", who, m, prototext.Format(got), err, prototext.Format(want), wanted)
				}
			}
		}
	})
}

func TestYearsOfHeartbeatsAreARowADay(t *testing.T) {
	w := newWorld(t)
	const days, every = 20, 2 * time.Minute
	n := 0
	for day := range days {
		for beat := time.Duration(0); beat < 8*time.Hour; beat += every {
			n++
			moment := epoch.AddDate(0, 0, day).Add(beat)
			w.append(eventOf(fmt.Sprint(n), "mei", "desk", moment, moment, heartbeatOf(90*time.Second+every)))
		}
	}
	w.fold(w.store, 0)
	rows, size := w.count(t, 'b')
	if rows != days || size > 100*days {
		t.Errorf("%d heartbeats take %d rows of %d bytes in all", n, rows, size)
	}
}

// count counts the rows of a space of the tenant's.
func (w *world) count(t *testing.T, sub byte) (rows, size int) {
	t.Helper()
	snap, err := w.store.Snapshot(t.Context(), namespace)
	must(t, err)
	defer snap.Close()
	it, err := snap.Scan(t.Context(), kv.Prefix(slices.Concat([]byte{1, byte(len(tenant))}, []byte(tenant), []byte{sub})))
	must(t, err)
	defer it.Close()
	for it.Next() {
		rows++
		size += len(it.Key()) + len(it.Value())
	}
	return rows, size
}
