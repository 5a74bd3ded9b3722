package work

import (
	"context"
	"net/url"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/view"
)

// kettles is a directory in which Twilio calls the queue and Tom by names of its own.
func kettles() view.Names {
	return view.NewNames([]*eventv1.DirectoryUpdated{{Id: "tom", Entry: &eventv1.DirectoryUpdated_Agent{
		Agent: &eventv1.DirectoryAgent{Name: "Tom", Ids: []*eventv1.NativeId{{Provider: "twilio", Id: "WK1"}}},
	}}}, []*eventv1.DirectoryUpdated{{Id: "kettles", Entry: &eventv1.DirectoryUpdated_Queue{
		Queue: &eventv1.DirectoryQueue{Name: "Kettles", Ids: []*eventv1.NativeId{{Provider: "twilio", Id: "WQ1"}}},
	}}}, nil)
}

func TestAnAddressSelectsWork(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 2, 9, 0, 30, 0, time.UTC)
	for query, want := range map[string]*conversationv1.Filter{
		"":                             {},
		"order=latest":                 {},
		"status=settled":               {Statuses: []conversationv1.WorkStatus{conversationv1.WorkStatus_WORK_STATUS_RESOLVED, conversationv1.WorkStatus_WORK_STATUS_CLOSED}},
		"agent=me&channel=email":       {Agents: []string{"tom", "WK1"}, Channels: []eventv1.Channel{eventv1.Channel_CHANNEL_EMAIL}},
		"agent=none&queue=kettles":     {Unassigned: true, Queues: []string{"kettles", "WQ1"}},
		"agent=eve&queue=other":        {Agents: []string{"eve"}, Queues: []string{"other"}},
		"due=missed&tag=vip&inbox=web": {Breached: true, Tags: []string{"vip"}, Inboxes: []string{"web"}},
		"due=1h":                       {DueBefore: timestamppb.New(time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC))},
		"customer=2d3c":                {CustomerId: "2d3c"},
	} {
		q, err := url.ParseQuery(query)
		if err != nil {
			t.Fatal(err)
		}
		got, none, err := selected(q).filter(t.Context(), kettles(), "tom", now)
		if err != nil || none || got.String() != want.String() {
			t.Errorf("%q selects %v (%v) instead of %v", query, got, err, want)
		}
		if again, err := url.Parse(selected(q).at()); err != nil || selected(again.Query()) != selected(q) {
			t.Errorf("%q does not stand in the address %q", query, selected(q).at())
		}
	}
	for _, wrong := range []selection{{Status: "lost"}, {Order: "any"}, {Channel: "pigeon"}, {Due: "soon"}, {Due: "-1h"}} {
		if _, _, err := wrong.filter(t.Context(), kettles(), "tom", now); err == nil {
			t.Errorf("%v selects something", wrong)
		}
	}
	if _, none, err := (selection{Agent: me}).filter(t.Context(), kettles(), "", now); err != nil || !none {
		t.Error("nobody in particular has work")
	}
}

// timelines keep what they were asked for. They wait for positions for ever, and tell nothing.
type timelines struct {
	timelinev1.TimelineServiceClient
	asked []*timelinev1.ListRequest
}

func (t *timelines) List(ctx context.Context, req *timelinev1.ListRequest, _ ...grpc.CallOption) (*timelinev1.ListResponse, error) {
	t.asked = append(t.asked, proto.CloneOf(req))
	if len(req.GetMinPositions()) > 0 {
		<-ctx.Done()
	}
	return &timelinev1.ListResponse{}, ctx.Err()
}

func TestTheLastWordsOfARowAreNoOlderThanTheRowUnlessThatTakesTooLong(t *testing.T) {
	t.Parallel()
	at, told := &eventv1.Position{Topic: "skein.interactions.v1", Partition: 3, Offset: 7}, &timelines{}
	p := &Pages{timelines: told}
	waits, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	p.lastWords(t.Context(), waits, &conversationv1.Interaction{Position: at})
	if len(told.asked) != 2 || !proto.Equal(told.asked[0].GetMinPositions()[0], at) || len(told.asked[1].GetMinPositions()) != 0 {
		t.Errorf("the words are asked for by %v", told.asked)
	}
}

func TestRowsStandInTheOrderOfTheAPI(t *testing.T) {
	t.Parallel()
	at := func(minute int) *timestamppb.Timestamp {
		return timestamppb.New(time.Date(2026, 3, 2, 9, minute, 0, 0, time.UTC))
	}
	due := func(minute int, state conversationv1.SlaState) []*conversationv1.Sla {
		return []*conversationv1.Sla{{State: state, DueAt: at(minute)}}
	}
	all := map[string]*conversationv1.Interaction{
		"missed": {Slas: due(1, conversationv1.SlaState_SLA_STATE_MISSED), StartedAt: at(0), LastActivityAt: at(3)},
		"due":    {Slas: due(9, conversationv1.SlaState_SLA_STATE_ACTIVE), StartedAt: at(2), LastActivityAt: at(4), WaitingSince: at(2)},
		"urgent": {Priority: 1, StartedAt: at(3), LastActivityAt: at(5), WaitingSince: at(5)},
		"waits":  {Slas: due(2, conversationv1.SlaState_SLA_STATE_HIT), StartedAt: at(4), LastActivityAt: at(9), WaitingSince: at(4)},
		"rests":  {StartedAt: at(5), LastActivityAt: at(6)},
	}
	for order, want := range map[conversationv1.WorkOrder][]string{
		conversationv1.WorkOrder_WORK_ORDER_UNSPECIFIED:     {"missed", "due", "urgent", "waits", "rests"},
		conversationv1.WorkOrder_WORK_ORDER_OLDEST:          {"missed", "due", "urgent", "waits", "rests"},
		conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY: {"waits", "rests", "urgent", "due", "missed"},
	} {
		got := slices.Clone(want)
		slices.SortFunc(got, func(a, b string) int { // backwards, as the page does
			switch x, y := rank(all[a], order), rank(all[b], order); {
			case x > y:
				return -1
			case x < y:
				return 1
			}
			return 0
		})
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v instead of %v", order, got, want)
		}
	}
	if clock(all["waits"]) != nil || clock(all["missed"]) == nil {
		t.Error("what is done still counts, or what is missed does not")
	}
}

func TestWorkIsCountedByViewAndQueueHoweverAgentAndQueueAreCalled(t *testing.T) {
	t.Parallel()
	work := func(i *conversationv1.Interaction) *conversationv1.Work { return &conversationv1.Work{Interaction: i} }
	missed := []*conversationv1.Sla{{State: conversationv1.SlaState_SLA_STATE_MISSED}}
	got := count(kettles(), "tom", &conversationv1.ListResponse{Work: []*conversationv1.Work{
		work(&conversationv1.Interaction{Agent: "WK1", Queue: "WQ1", Slas: missed}), work(&conversationv1.Interaction{Agent: "tom", Queue: "kettles"}),
		work(&conversationv1.Interaction{Queue: "parcels"}), work(&conversationv1.Interaction{}),
	}, NextPageToken: "more"}, []*boardv1.QueueRow{{Queue: "kettles", Waiting: 3}})
	if got.All != 4 || got.Mine != 2 || got.Unassigned != 2 || got.Breached != 1 || !got.More || len(got.Queues) != 2 {
		t.Errorf("counted %+v", got)
	}
	if q := got.Queues[0]; q.Name != "Kettles" || q.Open != 2 || q.Breached != 1 || q.Row.GetWaiting() != 3 {
		t.Errorf("counted %+v", q)
	}
}

func TestWhatIsPutOffComesBackAtAMomentOfThePersonsZone(t *testing.T) {
	t.Parallel()
	shanghai := time.FixedZone("Asia/Shanghai", 8*60*60)
	now := time.Date(2026, 3, 2, 18, 40, 0, 0, shanghai) // a Monday
	for _, c := range []struct {
		button, field string
		want          time.Time
	}{
		{"1h", "", now.Add(time.Hour)},
		{"tomorrow", "", time.Date(2026, 3, 3, 9, 0, 0, 0, shanghai)},
		{"monday", "", time.Date(2026, 3, 9, 9, 0, 0, 0, shanghai)},
		{"", "2026-03-04T07:30", time.Date(2026, 3, 4, 7, 30, 0, 0, shanghai)},
	} {
		if got, ok := wake(c.button, c.field, now); !ok || !got.Equal(c.want) {
			t.Errorf("%q %q: %s instead of %s", c.button, c.field, got, c.want)
		}
	}
	for day := range 7 {
		if got, _ := wake("monday", "", now.AddDate(0, 0, day)); got.Weekday() != time.Monday || !got.After(now.AddDate(0, 0, day)) || got.Sub(now) > 8*24*time.Hour+14*time.Hour {
			t.Errorf("the Monday after %s is %s", now.AddDate(0, 0, day), got)
		}
	}
	for _, wrong := range [][2]string{{"", ""}, {"", "soon"}, {"never", ""}, {"-1h", ""}} {
		if got, ok := wake(wrong[0], wrong[1], now); ok {
			t.Errorf("%q is %s", wrong, got)
		}
	}
}

func TestSeveralWordsAreCutAtTheSignsOfBothLanguages(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"": nil, " , ": nil, "vip": {"vip"}, "vip, two words,": {"vip", "two words"}, "哨子，水壶、 退货": {"哨子", "水壶", "退货"},
	} {
		if got := several(text, ",，、;"); !slices.Equal(got, want) {
			t.Errorf("%q: %q instead of %q", text, got, want)
		}
	}
}

// entry is an event about a message.
func entry(id, causedBy, native string, c *eventv1.Content) *timelinev1.Entry {
	c.NativeId = native
	return &timelinev1.Entry{Event: &eventv1.Event{Id: id, CausationId: causedBy}, Content: c}
}

func TestAMessageIsShownOnceAndSaysHowItStands(t *testing.T) {
	t.Parallel()
	asked := func(id string) *timelinev1.Entry {
		return entry(id, "", "", &eventv1.Content{Body: &eventv1.Content_MessageSendRequested{MessageSendRequested: &eventv1.Message{Text: id}}})
	}
	sent := func(id, request, native string) *timelinev1.Entry {
		return entry(id, request, native, &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{}}})
	}
	refused := func(id, request, code string, unknown bool) *timelinev1.Entry {
		return entry(id, request, "", &eventv1.Content{Body: &eventv1.Content_MessageFailed{MessageFailed: &eventv1.MessageFailed{Code: code, Reason: "24 hours", Unknown: unknown}}})
	}
	read := entry("7", "", "", &eventv1.Content{Body: &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: "n1"}}})
	delivered := entry("8", "", "", &eventv1.Content{Body: &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: "n1"}}})
	all := []*timelinev1.Entry{
		asked("1"), sent("2", "1", "n1"), read, delivered, asked("3"), refused("4", "3", "window_closed", false), asked("5"), refused("6", "5", "", true), asked("9"),
	}
	f := fatesOf(all)
	if f.closed != "24 hours" {
		t.Errorf("the window is closed because of %q", f.closed)
	}
	want := map[string]string{"2": "Read", "3": "Not sent", "5": "Perhaps not sent", "9": "Is being sent"}
	for _, e := range f.shown(all, true) {
		id := e.GetEvent().GetId()
		if id == "1" {
			t.Error("what was sent stands there twice")
		}
		if got := f.of(t.Context(), e).Text; got != want[id] {
			t.Errorf("%s: %q instead of %q", id, got, want[id])
		}
	}
	for _, e := range f.shown(all, false) { // of earlier entries, the outcome stands on the page already
		if e.GetEvent().GetId() == "9" {
			t.Error("what was asked for long ago is on its way")
		}
	}
	if f := fatesOf(append(all, sent("10", "", "n2"))); f.closed != "" {
		t.Error("a window that took a message is closed")
	}
}
