package e2e_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

func visitor(name string) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: name}
}

// customerOf gives the customer behind a visitor.
func (d *desk) customerOf(name string) *customerv1.Customer {
	d.t.Helper()
	return got(d, d.customers.Resolve, &customerv1.ResolveRequest{Addresses: []*eventv1.Address{visitor(name)}}).GetCustomers()[0]
}

// entries are those of a customer's timeline.
func (d *desk) entries(customer string, asOf *timestamppb.Timestamp) *timelinev1.ListResponse {
	d.t.Helper()
	page := got(d, d.timeline.List, &timelinev1.ListRequest{CustomerId: customer, PageSize: 1000, AsOf: asOf})
	page.WatchCursor = "" // it says how far the log was read
	return page
}

// encoded is a message, byte for byte.
func encoded(t *testing.T, m proto.Message) []byte {
	t.Helper()
	raw, err := proto.MarshalOptions{Deterministic: true}.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// known is what the API tells of customers, byte for byte.
func (d *desk) known(at *timestamppb.Timestamp, customers ...string) (all []byte) {
	d.t.Helper()
	for _, id := range customers {
		all = append(all, encoded(d.t, got(d, d.customers.Get, &customerv1.GetRequest{CustomerId: id, AsOf: &customerv1.AsOf{Time: at}}))...)
		all = append(all, encoded(d.t, d.entries(id, at))...)
	}
	return all
}

// watched gives what a watch of a customer tells, without its checkpoints.
func (d *desk) watched(customer, cursor string) <-chan *timelinev1.WatchResponse {
	d.t.Helper()
	ctx := d.t.Context()
	stream, err := d.timeline.Watch(ctx, &timelinev1.WatchRequest{CustomerId: customer, Cursor: cursor})
	if err != nil {
		d.t.Fatal(err)
	}
	news := make(chan *timelinev1.WatchResponse)
	go func() {
		defer close(news)
		for {
			m, err := stream.Recv()
			if err != nil {
				return
			}
			if m.GetNews() == nil {
				continue
			}
			select {
			case news <- m:
			case <-ctx.Done():
				return
			}
		}
	}()
	return news
}

func next[T any](t *testing.T, news <-chan T) (m T) {
	t.Helper()
	select {
	case m, ok := <-news:
		if !ok {
			t.Fatal("the watch has ended")
		}
		return m
	case <-time.After(2 * time.Minute):
		t.Fatal("the watch tells nothing")
	}
	return m
}

func TestAMergeShowsAtOnceAndItsUndoGivesTheSameBytes(t *testing.T) {
	s := newSite(t)
	srv := s.Up()
	d := newDesk(s)
	d.chatIn("merge-a", "v-a")
	d.chatIn("merge-b", "v-b")
	d.chatIn("merge-c", "v-c")
	a, b, c := d.customerOf("v-a").GetId(), d.customerOf("v-b").GetId(), d.customerOf("v-c").GetId()
	endpointOfB := d.customerOf("v-b").GetEndpoints()[0].GetId()
	news := d.watched(a, got(d, d.timeline.List, &timelinev1.ListRequest{CustomerId: a}).GetWatchCursor())
	before, then := d.known(nil, a, b), timestamppb.Now()

	merge := &customerv1.MergeRequest{Into: a, Merged: b, Change: &customerv1.Change{RequestId: "merge 1", Reason: "she said so", Actor: agent("ben")}}
	merged := got(d, d.customers.Merge, merge)
	for _, id := range []string{a, b} {
		m := got(d, d.customers.Get, &customerv1.GetRequest{CustomerId: id}).GetCustomer()
		if list := d.entries(id, nil); m.GetId() != a || !slices.Equal(m.GetIds(), []string{a, b}) || len(m.GetEndpoints()) != 2 || list.GetId() != a || threadsOf(list.GetEntries()) != 2 {
			t.Errorf("merged, %s is %v with %v", id, m, list)
		}
	}
	if !bytes.Equal(d.known(then, a, b), before) {
		t.Error("what was known before the merge is told in another way now")
	}
	if changed := next(t, news).GetScopeChanged(); changed.GetId() != a || !slices.Equal(changed.GetEndpointsAdded(), []string{endpointOfB}) {
		t.Errorf("of the merge, the watch tells %v", changed)
	}

	undo := &customerv1.UndoRequest{EventId: merged.GetEventId(), Change: &customerv1.Change{RequestId: "undo 1"}}
	undone := got(d, d.customers.Undo, undo)
	if !bytes.Equal(d.known(nil, a, b), before) {
		t.Error("undone, it is not what it was")
	}
	if changed := next(t, news).GetScopeChanged(); !slices.Equal(changed.GetEndpointsRemoved(), []string{endpointOfB}) {
		t.Errorf("of the undo, the watch tells %v", changed)
	}
	// Asked again, both say what they did.
	if again := got(d, d.customers.Merge, merge); again.GetEventId() != merged.GetEventId() || !proto.Equal(again.GetPosition(), merged.GetPosition()) {
		t.Errorf("merged again: %v, not %v", again, merged)
	}
	if again := got(d, d.customers.Undo, undo); again.GetEventId() != undone.GetEventId() {
		t.Errorf("undone again: %v, not %v", again, undone)
	}

	second := got(d, d.customers.Merge, &customerv1.MergeRequest{Into: a, Merged: b, Change: &customerv1.Change{RequestId: "merge 2"}})
	if next(t, news).GetScopeChanged() == nil {
		t.Error("the second merge is not told")
	}
	sent := d.publish(message("merge-b", "2", "v-b"))[0].GetEventId()
	if e := next(t, news).GetEntry(); e.GetEvent().GetId() != sent {
		t.Errorf("of what came to b, the watch tells %v", e)
	}
	// What names a customer that was merged goes to another one; to have it stand alone again, the merge is undone.
	split := &customerv1.SplitRequest{CustomerId: a, Endpoints: []*customerv1.Target{{EndpointId: endpointOfB}}, Change: &customerv1.Change{RequestId: "alone"}}
	if _, err := d.customers.Split(t.Context(), split); status.Code(err) != codes.FailedPrecondition || !strings.Contains(err.Error(), second.GetEventId()) {
		t.Errorf("split off alone: %v", err)
	}
	split.To, split.Change.RequestId = c, "to c"
	if to := got(d, d.customers.Split, split).GetCustomer(); to.GetId() != c || len(to.GetEndpoints()) != 2 {
		t.Errorf("split, it is %v", to)
	}
	if b, a := d.customerOf("v-b").GetId(), d.customerOf("v-a").GetId(); b != c || a == c {
		t.Errorf("split, b is %s and a %s", b, a)
	}
	if next(t, news).GetScopeChanged() == nil {
		t.Error("the split is not told")
	}
	history := slices.DeleteFunc(got(d, d.customers.History, &customerv1.HistoryRequest{CustomerId: a}).GetEntries(), func(e *customerv1.HistoryEntry) bool {
		return e.GetRefusal() != customerv1.Refusal_REFUSAL_UNSPECIFIED // it is told, too
	})
	var kinds []customerv1.ChangeKind
	for _, e := range history {
		kinds = append(kinds, e.GetKind())
	}
	if !slices.Equal(kinds, []customerv1.ChangeKind{
		customerv1.ChangeKind_CHANGE_KIND_SPLIT, customerv1.ChangeKind_CHANGE_KIND_MERGE, customerv1.ChangeKind_CHANGE_KIND_UNDO, customerv1.ChangeKind_CHANGE_KIND_MERGE,
	}) || history[3].GetUndoneBy() != undone.GetEventId() || history[3].GetActor().GetId() != "ben" || history[1].GetEventId() != second.GetEventId() {
		t.Errorf("the history is %v", history)
	}
	quit(t, srv)
}

func threadsOf(entries []*timelinev1.Entry) int {
	threads := map[string]bool{}
	for _, e := range entries {
		threads[e.GetEvent().GetThreadId()] = true
	}
	return len(threads)
}

// refusedFor tells whether a call was refused for a reason.
func refusedFor(err error, reason string) bool {
	answer := status.Convert(err)
	return answer.Code() == codes.FailedPrecondition && slices.ContainsFunc(answer.Details(), func(d any) bool {
		info, ok := d.(*errdetails.ErrorInfo)
		return ok && info.GetReason() == reason
	})
}

func TestWhatCannotBeDoneIsRefusedByItsReasonOrField(t *testing.T) {
	s := newSite(t)
	srv := s.Up()
	d := newDesk(s)
	chat, other := d.chatIn("bad-a", "v-a"), d.chatIn("bad-b", "v-b")
	d.chatIn("bad-c", "v-c")
	a, b, c := d.customerOf("v-a").GetId(), d.customerOf("v-b").GetId(), d.customerOf("v-c").GetId()
	merge := func(into, merged string) error {
		_, err := d.customers.Merge(t.Context(), &customerv1.MergeRequest{Into: into, Merged: merged})
		return err
	}
	if err := merge(a, a); !refusedFor(err, "SAME_CUSTOMER") {
		t.Errorf("with itself: %v", err)
	}
	if err := merge(a, b); err != nil {
		t.Fatal(err)
	}
	if err := merge(b, a); !refusedFor(err, "SAME_CUSTOMER") {
		t.Errorf("in a circle: %v", err)
	}
	_, err := d.customers.Unlink(t.Context(), &customerv1.UnlinkRequest{CustomerId: a, Endpoint: &customerv1.Target{Address: visitor("v-c")}})
	if !refusedFor(err, "NOT_LINKED") {
		t.Errorf("unlink of what was never linked: %v", err)
	}
	_, err = d.customers.Undo(t.Context(), &customerv1.UndoRequest{EventId: chat})
	if !refusedFor(err, "UNKNOWN_EVENT") {
		t.Errorf("undo of a message: %v", err)
	}
	_, err = d.conversations.Unlink(t.Context(), &conversationv1.UnlinkRequest{EventId: chat, RequestId: "1"})
	if !refusedFor(err, "UNKNOWN_EVENT") {
		t.Errorf("unlink of a message: %v", err)
	}
	_, err = d.conversations.Reopen(t.Context(), &conversationv1.ReopenRequest{Command: &conversationv1.Command{ConversationId: chat, RequestId: "1"}})
	if !refusedFor(err, "NOT_SETTLED") {
		t.Errorf("reopen of what is open: %v", err)
	}
	if _, err := d.conversations.Get(t.Context(), &conversationv1.GetRequest{ConversationId: a}); status.Code(err) != codes.NotFound {
		t.Errorf("the conversation of a customer's id: %v", err)
	}
	wrong := func(what, field string, err error) {
		t.Helper()
		if status.Code(err) != codes.InvalidArgument || rpc.Violations(err)[field] == "" {
			t.Errorf("%s: %v, %v, want a wrong %s", what, err, rpc.Violations(err), field)
		}
	}
	now := timestamppb.Now()
	_, err = d.customers.Link(t.Context(), &customerv1.LinkRequest{
		Endpoint: &customerv1.Target{Address: visitor("v-c")}, CustomerId: a, Validity: &customerv1.Validity{From: now, Until: timestamppb.New(now.AsTime().Add(-time.Hour))},
	})
	wrong("a link that ends before it begins", "validity.until", err)
	_, err = d.customers.Link(t.Context(), &customerv1.LinkRequest{Endpoint: &customerv1.Target{Address: anna(), EndpointId: a}, CustomerId: a})
	wrong("two endpoints", "endpoint", err)
	_, err = d.conversations.SetStatus(t.Context(), &conversationv1.SetStatusRequest{
		Command: &conversationv1.Command{ConversationId: chat, RequestId: "2"}, Status: eventv1.InteractionStatus_INTERACTION_STATUS_SNOOZED,
	})
	wrong("snoozed for ever", "snoozed_until", err)

	_ = got(d, d.customers.Split, &customerv1.SplitRequest{CustomerId: a, Endpoints: []*customerv1.Target{{Address: visitor("v-b")}}, To: c})
	token := got(d, d.customers.History, &customerv1.HistoryRequest{CustomerId: a, PageSize: 1}).GetNextPageToken()
	_, err = d.customers.History(t.Context(), &customerv1.HistoryRequest{CustomerId: c, PageSize: 1, PageToken: token})
	wrong("another history's token", "page_token", err)
	d.publish(message("bad-a", "2", "v-a"))
	var page *timelinev1.ListResponse
	srv.WaitFor("filing a second message", func() bool {
		page = got(d, d.timeline.List, &timelinev1.ListRequest{CustomerId: a, PageSize: 1, Types: []string{"message.received"}})
		return page.GetNextPageToken() != ""
	})
	_, err = d.timeline.List(t.Context(), &timelinev1.ListRequest{CustomerId: c, PageSize: 1, PageToken: page.GetNextPageToken()})
	wrong("another list's token", "page_token", err)
	work := got(d, d.conversations.List, &conversationv1.ListRequest{PageSize: 1})
	_, err = d.conversations.List(t.Context(), &conversationv1.ListRequest{PageSize: 1, PageToken: work.GetNextPageToken(), Order: conversationv1.WorkOrder_WORK_ORDER_OLDEST})
	wrong("a token of another order", "page_token", err)
	timelines, err := d.timeline.Watch(t.Context(), &timelinev1.WatchRequest{CustomerId: c, Cursor: page.GetWatchCursor()})
	if err == nil {
		_, err = timelines.Recv()
	}
	wrong("another watch's cursor", "cursor", err)
	works, err := d.conversations.Watch(t.Context(), &conversationv1.WatchRequest{ConversationId: other, Cursor: work.GetWatchCursor()})
	if err == nil {
		_, err = works.Recv()
	}
	wrong("the cursor of a list of work", "cursor", err)

	for _, rest := range []struct{ what, path, body, field, reason string }{
		{"a merge with itself", "/v1/customers/" + a + ":merge", `{"merged":"` + a + `"}`, "", "SAME_CUSTOMER"},
		{"what is no id", "/v1/customers/" + a + ":merge", `{"merged":"x"}`, "merged", ""},
		{"a token of another query", "/v1/timeline:list", `{"customerId":"` + c + `","pageSize":1,"pageToken":"` + page.GetNextPageToken() + `"}`, "page_token", ""},
		{"an unlink", "/v1/customers/" + a + ":unlink", `{"endpoint":{"address":{"kind":"ENDPOINT_KIND_VISITOR","value":"v-c"}}}`, "", "NOT_LINKED"},
	} {
		code, answer := request(s, http.MethodPost, rest.path, rest.body, nil)
		var told struct {
			Details []struct {
				Reason          string
				FieldViolations []struct{ Field string } `json:"field_violations"`
			}
		}
		if err := json.Unmarshal([]byte(answer), &told); err != nil || code != http.StatusBadRequest || len(told.Details) == 0 {
			t.Errorf("%s: %d %s", rest.what, code, answer)
			continue
		}
		if detail := told.Details[0]; detail.Reason != rest.reason || rest.field != "" && (len(detail.FieldViolations) == 0 || detail.FieldViolations[0].Field != rest.field) {
			t.Errorf("%s: %s", rest.what, answer)
		}
	}
	if code, answer := request(s, http.MethodGet, "/v1/conversations/"+a, "", nil); code != http.StatusNotFound {
		t.Errorf("a conversation that there is not: %d %s", code, answer)
	}
	quit(t, srv)
}

func TestWhatIsToldLateOrInAnImpossibleOrderIsReadAsItHappened(t *testing.T) {
	s := newSite(t)
	srv := s.Up()
	d := newDesk(s)
	now := time.Now().Truncate(time.Second)
	at := func(id string, when time.Time) *eventv1.Submission {
		m := message("late", id, "v-late")
		m.Channel, m.OccurredAt = eventv1.Channel_CHANNEL_EMAIL, timestamppb.New(when)
		return m
	}
	first := d.publish(at("1", now.Add(-time.Hour)))[0]
	end := at("2", now.Add(-2*time.Hour))
	end.Type, end.Content = event.TypeInteractionEnded, &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{}}}
	ended := d.publish(end)[0]
	i := d.conversation(first.GetEventId(), ended.GetPosition()).GetInteractions()[0]
	if begin := i.GetStartedAt().AsTime(); !begin.Equal(now.Add(-time.Hour)) || !i.GetEndedAt().AsTime().Equal(begin) {
		t.Errorf("an end before the begin: %v", i)
	}
	// With an earlier begin, that end is behind it, and what came an hour later begins another one: nothing said that it could reopen it.
	late := d.publish(at("3", now.AddDate(0, 0, -3)))[0]
	c := d.conversation(late.GetEventId(), late.GetPosition())
	if i := c.GetInteractions()[0]; len(c.GetInteractions()) != 1 || !i.GetStartedAt().AsTime().Equal(now.AddDate(0, 0, -3)) || !i.GetEndedAt().AsTime().Equal(now.Add(-2*time.Hour)) || i.GetMessagesIn() != 1 {
		t.Errorf("an event three days late: %v", c)
	}
	if c := d.conversation(first.GetEventId()); c.GetId() != first.GetEventId() || c.GetInteractions()[0].GetEndedAt() != nil {
		t.Errorf("what came first: %v", c)
	}
	quit(t, srv)
}
