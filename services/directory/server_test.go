package directory_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	same     = directoryv1.Outcome_OUTCOME_SAME
	added    = directoryv1.Outcome_OUTCOME_ADDED
	changed  = directoryv1.Outcome_OUTCOME_CHANGED
	takenOut = directoryv1.Outcome_OUTCOME_REMOVED
)

func put(id string, entries ...*eventv1.DirectoryUpdated) *directoryv1.PutRequest {
	return &directoryv1.PutRequest{RequestId: id, Entries: entries}
}

// company is a whole directory.
func company(hour int) []*eventv1.DirectoryUpdated {
	all := []*eventv1.DirectoryUpdated{
		agent("anna", "Anna", "sales"), agent("bob", "Bob", "sales"), team("sales", "anna"), queue("sales", "office", "sales"), hours("office", "mon-fri 09:00-17:00"), setting("wallboard", "5s"),
	}
	all[2].GetTeam().Queue = "sales"
	for _, e := range all {
		from(hour, e)
	}
	return all
}

func (w *world) records() int64 {
	w.t.Helper()
	var n int64
	for p := range int32(partitions) {
		_, next, err := w.log.Bounds(context.Background(), event.TopicDirectory, p)
		must(w.t, err)
		n += next
	}
	return n
}

func TestAnEntryIsReadAsItHeldAtTheMoment(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	first, err := client.Put(ctx, put("1", from(1, agent("anna", "Anna Weber"))))
	must(t, err)
	second, err := client.Put(ctx, put("2", from(5, agent("anna", "Anna Weiß"))))
	must(t, err)
	_, err = client.Put(ctx, put("3", from(9, gone("agent", "anna"))))
	must(t, err)
	for hour, want := range map[int]string{0: "NotFound", 1: "Anna Weber", 4: "Anna Weber", 5: "Anna Weiß", 8: "Anna Weiß", 9: "NotFound"} {
		resp, err := client.Get(ctx, &directoryv1.GetRequest{Kind: "agent", Id: "anna", At: at(hour)})
		if got := resp.GetEntry().GetStated().GetAgent().GetName() + wrong(err); got != want {
			t.Errorf("at %d: %s, not %s", hour, got, want)
		}
	}
	resp, err := client.Get(ctx, &directoryv1.GetRequest{Kind: "agent", Id: "anna", At: at(2), MinPositions: []*eventv1.Position{second.GetPosition()}})
	must(t, err)
	e := resp.GetEntry()
	if e.GetEventId() != first.GetEventIds()[0] || !proto.Equal(e.GetPosition(), first.GetPosition()) || !proto.Equal(e.GetValidUntil(), at(5)) ||
		e.GetStated().GetKind() != "agent" || e.GetActor().GetId() != "team-lead" || e.GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_SYSTEM || e.GetStatedAt() == nil {
		t.Errorf("shown as %v", e)
	}
}

func TestTheHistoryTellsEverythingThatWasStated(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	for i, e := range []*eventv1.DirectoryUpdated{from(1, agent("anna", "a")), from(5, agent("anna", "b")), from(1, agent("anna", "c")), from(9, gone("agent", "anna"))} {
		_, err := client.Put(ctx, &directoryv1.PutRequest{RequestId: fmt.Sprint(i), Entries: []*eventv1.DirectoryUpdated{e}, Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: fmt.Sprint("lead", i)}})
		must(t, err)
	}
	resp, err := client.History(ctx, &directoryv1.HistoryRequest{Kind: "agent", Id: "anna"})
	must(t, err)
	var got []string
	for _, e := range resp.GetEntries() {
		until := "-"
		if e.GetValidUntil() != nil {
			until = fmt.Sprint(e.GetValidUntil().AsTime().Sub(epoch).Hours())
		}
		got = append(got, fmt.Sprint(e.GetStated().GetValidFrom().AsTime().Sub(epoch).Hours(), "..", until, " ", e.GetStated().GetAgent().GetName(), e.GetStated().GetRemoved(), " by ", e.GetActor().GetId()))
	}
	want := []string{"9..- true by lead3", "5..9 bfalse by lead1", "1..5 cfalse by lead2", "1..1 afalse by lead0"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if _, err := client.History(ctx, &directoryv1.HistoryRequest{Kind: "team", Id: "anna"}); wrong(err) != "NotFound" {
		t.Error(err)
	}
}

func TestAListGoesByWhatItsFirstPageSaw(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	_, err := client.Put(ctx, put("1", append(company(1), from(1, agent("zoe", "Zoe")))...))
	must(t, err)
	_, err = client.Put(ctx, put("2", from(2, gone("agent", "zoe")), from(3, agent("bob", "Robert", "sales")), from(50, agent("carol", "Carol"))))
	must(t, err)
	list := func(req *directoryv1.ListRequest, between func()) string {
		t.Helper()
		var all []string
		for {
			resp, err := client.List(ctx, req)
			must(t, err)
			if len(resp.GetEntries()) > int(req.GetPageSize()) && req.GetPageSize() > 0 {
				t.Fatalf("%d on a page", len(resp.GetEntries()))
			}
			for _, e := range resp.GetEntries() {
				all = append(all, e.GetStated().GetKind()+"/"+e.GetStated().GetId()+e.GetStated().GetAgent().GetName())
			}
			if req.PageToken = resp.GetNextPageToken(); req.GetPageToken() == "" {
				return strings.Join(all, " ")
			}
			between()
		}
	}
	all := "agent/annaAnna agent/bobRobert hours/office queue/sales setting/wallboard team/sales"
	n := 0
	disturb := func() {
		n++
		_, err := client.Put(ctx, put(fmt.Sprint("disturb", n), from(1, agent(fmt.Sprint("n", n), "N")), from(1, setting(fmt.Sprint("z", n), "z")), from(4, queue("sales", "office"))))
		must(t, err)
	}
	for size := range int32(8) {
		if got := list(&directoryv1.ListRequest{At: at(10), PageSize: size}, func() {}); got != all {
			t.Errorf("by %d: %s", size, got)
		}
	}
	if got := list(&directoryv1.ListRequest{At: at(10), PageSize: 2}, disturb); got != all {
		t.Errorf("while it changes: %s", got)
	}
	for hour, want := range map[int]string{0: "", 1: "agent/annaAnna agent/bobBob agent/n1N agent/n2N agent/zoeZoe", 2: "agent/annaAnna agent/bobBob agent/n1N agent/n2N"} {
		if got := list(&directoryv1.ListRequest{Kind: "agent", At: at(hour), PageSize: 1}, func() {}); got != want {
			t.Errorf("at %d: %s", hour, got)
		}
	}
	resp, err := client.List(ctx, &directoryv1.ListRequest{Kind: "agent", PageSize: 1, At: at(5)})
	must(t, err)
	for _, req := range []*directoryv1.ListRequest{
		{Kind: "team", PageToken: resp.GetNextPageToken(), At: at(5)}, {Kind: "agent", PageToken: resp.GetNextPageToken()}, {PageToken: "x"}, {PageToken: "AQAA"},
	} {
		if _, err := client.List(ctx, req); !strings.HasPrefix(wrong(err), "page_token: ") {
			t.Errorf("%v: %v", req, err)
		}
	}
}

func TestARequestIsWrittenOnce(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	_, err := client.Put(ctx, put("0", agent("bob", "Bob")))
	must(t, err)
	request := func() *directoryv1.PutRequest {
		return put("1", agent("anna", "Anna"), agent("bob", "Bob"), agent("bob2", "Bob"), gone("agent", "nobody"))
	}
	first, err := client.Put(ctx, request())
	must(t, err)
	if !slices.Equal(first.GetOutcomes(), []directoryv1.Outcome{added, same, added, same}) || first.GetEventIds()[0] == "" || first.GetEventIds()[1] != "" {
		t.Errorf("came of it: %v", first)
	}
	_, err = client.Put(ctx, put("2", agent("anna", "Anna again"), agent("bob", "Bob again")))
	must(t, err)
	before := w.records()
	again, err := client.Put(ctx, request())
	must(t, err)
	if !proto.Equal(first, again) || w.records() != before || len(w.letters) != 0 {
		t.Errorf("again: %v, not %v; %d more records", again, first, w.records()-before)
	}
	other := request()
	other.Entries[0].GetAgent().Name = "Anne"
	if _, err := client.Put(ctx, other); !strings.HasPrefix(wrong(err), "request_id: another request has it") {
		t.Error(err)
	}
}

// What the first attempt wrote is folded only while the second one is under way already.
func TestARequestThatWasCutOffIsCompleted(t *testing.T) {
	w := newWorld(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	request := func() *directoryv1.PutRequest { return put("1", agent("a", "A"), agent("b", "B"), agent("c", "C")) }
	w.mu.Lock()
	w.only = 2
	w.mu.Unlock()
	if _, err := client.Put(ctx, request()); wrong(err) != "Unavailable" {
		t.Fatal(err)
	}
	w.mu.Lock()
	w.only = -1
	w.mu.Unlock()
	select { // of the first attempt
	case <-w.asked:
	default:
	}
	go func() {
		select {
		case <-w.asked:
			w.startFold(t)
		case <-ctx.Done():
		}
	}()
	resp, err := client.Put(ctx, request())
	must(t, err)
	if w.records() != 3 || len(w.letters) != 0 || slices.Contains(resp.GetEventIds(), "") || !slices.Equal(resp.GetOutcomes(), []directoryv1.Outcome{added, added, added}) {
		t.Errorf("%v, %d records", resp, w.records())
	}
	one, err := client.Get(ctx, &directoryv1.GetRequest{Kind: "agent", Id: "a", At: at(100)})
	must(t, err)
	last, err := client.Get(ctx, &directoryv1.GetRequest{Kind: "agent", Id: "c", At: at(100)})
	must(t, err)
	if !proto.Equal(one.GetEntry().GetStated().GetValidFrom(), last.GetEntry().GetStated().GetValidFrom()) {
		t.Error("one request has two moments")
	}
}

func TestWhatSaysTheSameWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	_, err := client.Put(ctx, put("1", company(1)...))
	must(t, err)
	before := w.records()
	resp, err := client.Put(ctx, put("2", company(5)...))
	must(t, err)
	if resp.GetPosition() != nil || w.records() != before || slices.ContainsFunc(resp.GetOutcomes(), func(o directoryv1.Outcome) bool { return o != same }) {
		t.Errorf("%v, %d more", resp, w.records()-before)
	}
	// Of several statements of one entry each is compared with those before its moment, whatever their order.
	resp, err = client.Put(ctx, put("3", from(9, agent("bob", "Bob", "sales")), from(7, agent("bob", "Robert", "sales")), from(8, agent("bob", "Robert", "sales")), from(10, gone("agent", "bob")), from(11, gone("agent", "bob"))))
	must(t, err)
	if !slices.Equal(resp.GetOutcomes(), []directoryv1.Outcome{changed, changed, same, takenOut, same}) {
		t.Errorf("%v", resp.GetOutcomes())
	}
	// An earlier statement does not hide that a later one says so already.
	resp, err = client.Put(ctx, put("4", from(12, agent("bob", "Bob", "sales"))))
	must(t, err)
	if !slices.Equal(resp.GetOutcomes(), []directoryv1.Outcome{added}) {
		t.Errorf("%v", resp.GetOutcomes())
	}
}

func TestADryRunTellsAndWritesNothing(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	req := put("1", company(1)...)
	req.DryRun = true
	resp, err := client.Put(ctx, req)
	must(t, err)
	if w.records() != 0 || resp.GetPosition() != nil || !slices.Equal(resp.GetOutcomes(), []directoryv1.Outcome{added, added, added, added, added, added}) {
		t.Errorf("%v, %d records", resp, w.records())
	}
	req = put("1", from(1, agent("anna", "Anna", "sales")))
	req.DryRun = true
	if _, err := client.Put(ctx, req); wrong(err) != `entries[0].agent.teams[0]: there is no team "sales" at 2026-03-02T09:00:00Z` {
		t.Error(err)
	}
	if _, err = client.Put(ctx, put("1", company(1)...)); err != nil {
		t.Error(err)
	}
}

func TestEveryWrongFieldIsNamedAndNothingIsWritten(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	_, err := client.Put(ctx, put("1", company(1)...))
	must(t, err)
	_, err = client.Put(ctx, put("2", from(5, gone("team", "sales"))))
	must(t, err)
	before := w.records()
	q := queue("q", "")
	q.GetQueue().ServiceLevel.Within = durationpb.New(-1)
	q.GetQueue().ServiceLevel.ShortAbandon = &durationpb.Duration{Seconds: 1, Nanos: -1}
	q.GetQueue().Targets = &eventv1.SlaTargets{FirstResponse: durationpb.New(-1), Resolution: &durationpb.Duration{Seconds: 300 * 365 * 86400}}
	q.GetQueue().Ids = []*eventv1.NativeId{{Id: "a"}, {Provider: "p", Id: "a"}, {Id: "a"}, {Id: " a"}}
	large := setting("large", strings.Repeat("x", 200_000))
	for _, c := range []struct {
		entries []*eventv1.DirectoryUpdated
		want    string
	}{
		{
			[]*eventv1.DirectoryUpdated{{Id: "x"}, {Kind: "office", Id: "x"}, {Kind: "team", Id: "x", Entry: agent("x", "").GetEntry()}, agent("", "x"), agent(" x", "x"), setting("a\x01b", "")},
			`entries[0].kind: is missing
entries[1].kind: "office" is none; there are agent, hours, queue, setting, team
entries[2].agent: stands in an entry of the kind "team"
entries[3].id: is missing
entries[4].id: begins or ends with a space
entries[5].id: has a control character`,
		},
		{
			[]*eventv1.DirectoryUpdated{q, hours("h", "mon-fri 9-5"), hours("never"), large},
			`entries[0].queue.ids[2]: stands twice
entries[0].queue.ids[3].id: begins or ends with a space
entries[0].queue.service_level.short_abandon: is no valid duration
entries[0].queue.service_level.within: is negative
entries[0].queue.targets.first_response: is negative
entries[0].queue.targets.resolution: is no valid duration
entries[1].hours.open[0]: "mon-fri 9-5": "9-5" is no opening, such as 09:00-17:30
entries[2].hours.open: there is no opening at all
entries[3]: has 200039 bytes: 131072 is the most`,
		},
		{
			[]*eventv1.DirectoryUpdated{from(2, agent("carol", "Carol", "sales", "support")), from(6, agent("dan", "Dan", "sales")), from(6, team("support", "anna", "eve")), from(2, queue("q", "night", "sales"))},
			`entries[0].agent.teams[1]: there is no team "support" at 2026-03-02T10:00:00Z
entries[1].agent.teams[0]: there is no team "sales" at 2026-03-02T14:00:00Z
entries[2].team.supervisors[1]: there is no agent "eve" at 2026-03-02T14:00:00Z
entries[3].queue.hours: there is no hours "night" at 2026-03-02T10:00:00Z`,
		},
		{
			[]*eventv1.DirectoryUpdated{from(2, agent("carol", "Carol")), from(2, agent("carol", "Carola")), from(3, agent("carol", "Carola"))},
			`entries[1]: states agent "carol" from the same moment on as entries[0]`,
		},
		{
			[]*eventv1.DirectoryUpdated{func() *eventv1.DirectoryUpdated { q := queue("q", ""); q.GetQueue().ServiceLevel.Goal = 80; return q }()},
			`entries[0].queue.service_level.goal: must be greater than or equal to 0 and less than or equal to 1`,
		},
	} {
		if _, err := client.Put(ctx, put("3", c.entries...)); wrong(err) != c.want {
			t.Errorf("got\n%s\nwant\n%s", wrong(err), c.want)
		}
	}
	if w.records() != before {
		t.Errorf("%d records were written", w.records()-before)
	}
	for _, req := range []*directoryv1.GetRequest{{Kind: "office", Id: "x"}, {Kind: "agent"}, {Kind: "agent", Id: "a\x00b"}} {
		if _, err := client.Get(ctx, req); !strings.Contains(err.Error(), "InvalidArgument") {
			t.Errorf("%v: %v", req, err)
		}
	}
}

func TestWhatIsReferredToMayBeRemovedAndWhatSaysTheSameIsNotCheckedAgain(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	_, err := client.Put(ctx, put("1", company(1)...))
	must(t, err)
	_, err = client.Put(ctx, put("2", from(5, gone("team", "sales"))))
	must(t, err)
	resp, err := client.Put(ctx, put("3", from(6, agent("anna", "Anna", "sales"))))
	must(t, err)
	if !slices.Equal(resp.GetOutcomes(), []directoryv1.Outcome{same}) {
		t.Error(resp.GetOutcomes())
	}
}

func TestOnlyWhoMayChangesTheDirectory(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	ctx := patient(t)
	reader := w.serve(t, auth.Identity{Tenant: tenant, Name: "desk"})
	if _, err := reader.Put(ctx, put("1", agent("anna", "Anna"))); wrong(err) != "PermissionDenied" {
		t.Error(err)
	}
	admin := w.serve(t, auth.Identity{Tenant: tenant, Name: "root", Admin: true})
	resp, err := admin.Put(ctx, put("1", agent("anna", "Anna")))
	must(t, err)
	if _, err := reader.Get(ctx, &directoryv1.GetRequest{Kind: "agent", Id: "anna", MinPositions: []*eventv1.Position{resp.GetPosition()}}); err != nil {
		t.Error(err)
	}
	foreign := w.serve(t, auth.Identity{Tenant: "globex", Name: "root", Admin: true})
	if _, err := foreign.Get(ctx, &directoryv1.GetRequest{Kind: "agent", Id: "anna"}); wrong(err) != "NotFound" {
		t.Error(err)
	}
}

func TestWhatConnectorsStateIsReadTheSameWay(t *testing.T) {
	w := newWorld(t)
	w.startFold(t)
	client, ctx := w.serve(t, keeper()), patient(t)
	acks, err := w.intake.Submit(ctx, tenant, submission("emp-17", from(1, agent("anna", "Anna"))))
	must(t, err)
	resp, err := client.Get(ctx, &directoryv1.GetRequest{
		Kind: "agent", Id: "anna", At: at(2), MinPositions: []*eventv1.Position{{Topic: acks[0].Position.Topic, Partition: acks[0].Position.Partition, Offset: acks[0].Position.Offset}},
	})
	must(t, err)
	if resp.GetEntry().GetEventId() != acks[0].EventID {
		t.Error(resp)
	}
	put, err := client.Put(ctx, put("1", from(3, agent("anna", "Anna"))))
	must(t, err)
	if put.GetOutcomes()[0] != same {
		t.Error(put)
	}
}
