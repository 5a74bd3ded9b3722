package outbound_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/pkg/rpc"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/outbound"
)

// threads reads them from the log.
type threads struct{ *world }

func (r threads) Wait(context.Context, ...eventlog.Position) error { return nil }

func (r threads) Newest(_ context.Context, _ string, thread event.ID, yield func(channel.Filed) bool) error {
	all := slices.DeleteFunc(r.filed(), func(f filed) bool { return f.GetThreadId() != thread.String() })
	slices.Reverse(all)
	for _, f := range all {
		if !yield(channel.Filed{Event: f.Event, Content: f.content}) {
			break
		}
	}
	return nil
}

// serve serves a service over gRPC.
func (w *world) serve(s *outbound.Service) channelv1.ChannelServiceClient {
	w.t.Helper()
	authenticator, err := auth.New(nil, auth.Identity{Tenant: tenant, Name: "test"})
	must(w.t, err)
	server, err := rpc.NewServer(rpc.Config{
		Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	must(w.t, err)
	must(w.t, w.log.EnsureTopics(w.t.Context(), eventlog.Topic{Name: live.Topic, Partitions: live.Partitions, Retention: live.Retention}))
	hub, err := live.NewHub(live.Config{Log: w.log})
	must(w.t, err)
	must(w.t, hub.Open(w.t.Context()))
	running, end := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- hub.Run(running) }()
	w.hub, w.stopHub = hub, sync.OnceFunc(func() { end(); must(w.t, <-ended) })
	w.t.Cleanup(w.stopHub)
	outbound.NewServer(s, threads{w}, w.keyring, hub).Register(server)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(w.t, err)
	go func() { _ = server.Serve(l) }()
	conn, err := rpc.Dial(l.Addr().String(), "", nil)
	must(w.t, err)
	w.t.Cleanup(func() {
		_ = conn.Close()
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		server.Stop(ctx)
	})
	return channelv1.NewChannelServiceClient(conn)
}

func (w *world) received(thread, id, text string, change ...func(*eventv1.Submission)) {
	s := &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_EMAIL, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "smtp", Inbox: desk, Thread: thread, NativeId: id,
		Parties: []*eventv1.SubmittedParty{
			{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "Anna@Example.com"}, DisplayName: "Anna",
				Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
			},
			{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "support@skein.example"},
				Role:    eventv1.PartyRole_PARTY_ROLE_TO, Side: eventv1.Side_SIDE_COMPANY,
			},
			{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "bob@example.com"},
				Role:    eventv1.PartyRole_PARTY_ROLE_CC, Side: eventv1.Side_SIDE_CUSTOMER,
			},
			{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Value: "4711", Namespace: "crm"},
				Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
			},
		},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
			Subject: "Kettle", Text: text, References: []string{"m0@example.com"},
		}}},
	}
	for _, c := range change {
		c(s)
	}
	w.submit(s)
}

func say(id, text string) *channelv1.SendRequest {
	return &channelv1.SendRequest{Inbox: desk, Thread: "m0@example.com", RequestId: id, Message: &channelv1.OutgoingMessage{Text: text}}
}

func TestAnAnswerGoesToWhoWroteLastInTheThread(t *testing.T) {
	w := newWorld(t)
	got := make(chan channel.Outgoing, 1)
	s, _ := w.start(w.config(outbound.Inbox{Tenant: tenant, ID: desk, Sender: senderFunc(func(_ context.Context, out channel.Outgoing) (channel.Sent, error) {
		got <- out
		return channel.Sent{NativeID: "sent@skein.example"}, nil
	})}))
	service := w.serve(s)
	w.received("m0@example.com", "m1@example.com", "It leaks")
	req := say("a1", "We send a new one")
	req.Actor, req.Author = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "ada"}, "Ada"
	resp, err := service.Send(t.Context(), req)
	must(t, err)
	out := <-got
	if len(out.To) != 1 || out.To[0].GetValue() != "anna@example.com" || out.Thread != "m0@example.com" || out.RequestID != resp.GetEventId() {
		t.Errorf("it goes to %v in %s", out.To, out.Thread)
	}
	m := out.Message
	if m.GetText() != "We send a new one" || m.GetSubject() != "Re: Kettle" || m.GetInReplyTo() != "m1@example.com" ||
		!slices.Equal(m.GetReferences(), []string{"m0@example.com", "m1@example.com"}) {
		t.Errorf("it says %v", m)
	}
	sent := w.outcome(resp.GetEventId())
	if told(sent) != "sent" || sent.GetActor().GetId() != "ada" || len(sent.GetParties()) != 3 || sent.content.GetParties()[1].GetAddress() != "4711" {
		t.Errorf("it is told as %v %v", sent.Event, sent.content)
	}

	// Asked again, it is the same, although the thread has gone on.
	again, err := service.Send(t.Context(), proto.CloneOf(req))
	must(t, err)
	if !proto.Equal(again, resp) {
		t.Errorf("asked again, it is %v instead of %v", again, resp)
	}
	req.Message.Text = "We send two"
	if _, err := service.Send(t.Context(), req); !violates(err, "request_id") {
		t.Errorf("another message under the same id: %v", err)
	}
	byID := say("a2", "It is on its way")
	byID.ThreadId, byID.Inbox, byID.Thread = resp.GetThreadId(), "", ""
	if _, err := service.Send(t.Context(), byID); err != nil {
		t.Error(err)
	}
	if out := <-got; out.Message.GetInReplyTo() != "sent@skein.example" || out.To[0].GetValue() != "anna@example.com" {
		t.Errorf("the second answer: %v", out.Message)
	}
}

func violates(err error, field string) bool {
	_, ok := rpc.Violations(err)[field]
	return ok
}

func TestWhatCannotBeSentIsRefusedAtOnce(t *testing.T) {
	w := newWorld(t)
	s, _ := w.start(w.config(outbound.Inbox{Tenant: tenant, ID: desk, Remote: true}, outbound.Inbox{Tenant: tenant, ID: "silent"}))
	service := w.serve(s)
	elsewhere := func(inbox string) func(*eventv1.Submission) { return func(s *eventv1.Submission) { s.Inbox = inbox } }
	w.received("m0@example.com", "m1", "hi")
	w.received("t", "m1", "hi", elsewhere("silent"))
	w.received("t", "m1", "hi", elsewhere("unknown"))
	w.received("withheld", "m1", "hi", func(s *eventv1.Submission) { s.Parties = nil })
	for name, c := range map[string]struct {
		change func(*channelv1.SendRequest)
		field  string
	}{
		"an inbox that cannot send":   {func(r *channelv1.SendRequest) { r.Inbox, r.Thread = "silent", "t" }, "thread"},
		"an inbox of somebody else's": {func(r *channelv1.SendRequest) { r.Inbox, r.Thread = "unknown", "t" }, "thread"},
		"nobody to send to":           {func(r *channelv1.SendRequest) { r.Thread = "withheld" }, "thread"},
		"nothing to say":              {func(r *channelv1.SendRequest) { r.Message.Text = "" }, ""},
		"no request id":               {func(r *channelv1.SendRequest) { r.RequestId = "" }, "request_id"},
		"thread and id":               {func(r *channelv1.SendRequest) { r.ThreadId = "8b2c6f5e-0000-8000-8000-000000000000" }, ""},
		"an attachment of another one": {func(r *channelv1.SendRequest) {
			r.Message.Attachments = []*eventv1.Attachment{{Blob: &eventv1.Blob{Key: "evil/x"}}}
		}, "message.attachments[0].blob.key"},
		"an attachment that is nowhere": {func(r *channelv1.SendRequest) {
			r.Message.Attachments = []*eventv1.Attachment{{Name: "kettle.pdf", Source: "https://example.com/kettle.pdf"}}
		}, "message.attachments[0].blob"},
	} {
		req := say("r "+name, "hello")
		c.change(req)
		_, err := service.Send(t.Context(), req)
		if len(rpc.Violations(err)) == 0 || c.field != "" && !violates(err, c.field) {
			t.Errorf("%s: %v", name, err)
		}
	}
	unknown := say("r", "hello")
	unknown.Thread = "nobody"
	if _, err := service.Send(t.Context(), unknown); err == nil || len(rpc.Violations(err)) > 0 || !strings.Contains(err.Error(), "NotFound") {
		t.Errorf("an unknown thread: %v", err)
	}
	// What was refused may be mended under the same id.
	if _, err := service.Send(t.Context(), say("r an attachment of another one", "hello")); err != nil {
		t.Error(err)
	}
}

// connector takes requests as a connector in another language does.
type connector struct {
	t      testing.TB
	stream grpc.ServerStreamingClient[channelv1.RequestsResponse]
	cancel context.CancelFunc
	cursor string
}

func connect(t testing.TB, service channelv1.ChannelServiceClient, cursor string) *connector {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	stream, err := service.Requests(ctx, &channelv1.RequestsRequest{Inbox: desk, Cursor: cursor})
	must(t, err)
	c := &connector{t: t, stream: stream, cancel: cancel}
	first, err := stream.Recv()
	must(t, err)
	if first.GetRequest() != nil || first.GetCursor() == "" {
		t.Fatalf("the first message is %v", first)
	}
	c.cursor = first.GetCursor()
	return c
}

// next is the text of the next request, and whether it was handed out before.
func (c *connector) next() (id, text string, before bool) {
	c.t.Helper()
	m, err := c.stream.Recv()
	must(c.t, err)
	c.cursor = m.GetCursor()
	return m.GetRequest().GetEvent().GetId(), m.GetRequest().GetContent().GetMessageSendRequested().GetText(), m.GetRequest().GetHandedBefore()
}

func (w *world) remote() outbound.Config {
	return w.config(outbound.Inbox{Tenant: tenant, ID: desk, Remote: true})
}

func TestAConnectorGetsEachRequestOnceOverBrokenStreamsAndProcesses(t *testing.T) {
	w := newWorld(t)
	s, stop := w.start(w.remote())
	service := w.serve(s)
	var want, got []string
	ask := func(n int) {
		for range n {
			text := fmt.Sprintf("%02d", len(want))
			w.ask(fmt.Sprint("thread", len(want)%5), text, text)
			want = append(want, text)
		}
	}
	take := func(c *connector, n int) {
		for range n {
			_, text, _ := c.next() // what a stream had that broke meanwhile is said to be handed out before
			got = append(got, text)
		}
	}
	c := connect(t, service, "")
	ask(7)
	take(c, 7)
	cursor := c.cursor
	c.cancel()
	ask(5)
	c = connect(t, service, cursor)
	ask(3)
	take(c, 8)
	cursor = c.cursor
	stop() // the process ends; the connector goes on elsewhere
	if _, err := c.stream.Recv(); err == nil || !strings.Contains(err.Error(), "Unavailable") {
		t.Errorf("the stream ends with %v", err)
	}
	ask(2)
	s, _ = w.start(w.remote())
	service = w.serve(s)
	c = connect(t, service, cursor)
	take(c, 2)
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("the connector got %v, want %v", got, want)
	}
	// Whoever comes without a cursor gets what has no outcome, and is told that another one had it.
	c = connect(t, service, "")
	for range want {
		if _, text, before := c.next(); !before {
			t.Errorf("%s is said to be new", text)
		}
	}
}

func TestARequestWhoseContentIsLostEndsNoConnectorsStream(t *testing.T) {
	w := newWorld(t)
	s, stop := w.start(w.remote())
	c := connect(t, w.serve(s), "")
	known := w.ask("t", "r0", tooLong("handed out while it was whole"))
	c.next()
	stop()
	cfg := w.remote()
	cfg.Blobs = losing{blob.ErrNotFound}
	s, _ = w.start(cfg)
	service := w.serve(s)
	lost := w.ask("t", "r1", tooLong("first"))
	w.ask("t", "r2", "second")
	if _, text, _ := connect(t, service, "").next(); text != "second" {
		t.Errorf("it got %q", text[:min(len(text), 40)])
	}
	if got := told(w.outcome(lost)); got != "failed content_lost" {
		t.Errorf("it is told as %s", got)
	}
	_, err := service.Report(t.Context(), &channelv1.ReportRequest{EventId: known, Outcome: &channelv1.ReportRequest_Sent{Sent: &channelv1.ReportSent{NativeId: "N1"}}})
	must(t, err)
	if got := w.outcome(known); told(got) != "sent" || got.content.GetNativeId() != "N1" {
		t.Errorf("what had been handed out is told as %v %v", got.Event, got.content)
	}
}

func TestAMessageThatWasLostOnTheWayIsHandedOutAgain(t *testing.T) {
	w := newWorld(t)
	s, _ := w.start(w.remote())
	service := w.serve(s)
	c := connect(t, service, "")
	start := c.cursor
	w.ask("t", "r", "hello")
	c.next()
	c.cancel()
	if _, text, before := connect(t, service, start).next(); text != "hello" || !before {
		t.Errorf("it got %s, handed before %t", text, before)
	}
	if _, err := service.Requests(t.Context(), &channelv1.RequestsRequest{Inbox: desk}); err != nil {
		t.Error(err)
	}
	for _, c := range []struct{ inbox, cursor, field string }{{"other", "", "inbox"}, {desk, "x", "cursor"}, {desk, start[:len(start)-4] + "AAAA", "cursor"}} {
		stream, err := service.Requests(t.Context(), &channelv1.RequestsRequest{Inbox: c.inbox, Cursor: c.cursor})
		must(t, err)
		if _, err := stream.Recv(); !violates(err, c.field) {
			t.Errorf("%v: %v", c, err)
		}
	}
}

func TestReportsBecomeEventsOnceEach(t *testing.T) {
	w := newWorld(t)
	s, stop := w.start(w.remote())
	service := w.serve(s)
	c := connect(t, service, "")
	report := func(id string, r *channelv1.ReportRequest) (*channelv1.ReportResponse, error) {
		r.EventId = id
		return service.Report(t.Context(), r)
	}
	sent := func(native string) *channelv1.ReportRequest {
		return &channelv1.ReportRequest{Outcome: &channelv1.ReportRequest_Sent{Sent: &channelv1.ReportSent{NativeId: native}}}
	}
	failed := func(reason string) *channelv1.ReportRequest {
		return &channelv1.ReportRequest{Outcome: &channelv1.ReportRequest_Failed{Failed: &channelv1.ReportFailed{Code: "5.1.1", Reason: reason}}}
	}
	unknown := &channelv1.ReportRequest{Outcome: &channelv1.ReportRequest_Unknown{Unknown: &channelv1.ReportUnknown{Reason: "cut"}}}
	delivered := &channelv1.ReportRequest{Outcome: &channelv1.ReportRequest_Delivered{Delivered: &channelv1.ReportDelivered{NativeId: "N1"}}}
	handed := func(text string) string {
		w.ask("t", text, text)
		id, got, _ := c.next()
		if got != text {
			t.Fatalf("it got %s instead of %s", got, text)
		}
		return id
	}
	words := func(id string) string {
		var list []string
		for _, f := range w.outcomes(id) {
			list = append(list, told(f))
		}
		return strings.Join(list, ", ")
	}

	id := handed("good")
	for range 2 {
		for _, r := range []*channelv1.ReportRequest{sent("N1"), delivered} {
			if _, err := report(id, r); err != nil {
				t.Error(err)
			}
		}
	}
	for _, r := range []*channelv1.ReportRequest{sent("N2"), failed("no"), unknown} {
		if _, err := report(id, r); !violates(err, "outcome") {
			t.Errorf("after sent: %v", err)
		}
	}
	if got := words(id); got != "sent, delivered" {
		t.Errorf("it is told as %s", got)
	}

	id = handed("bad")
	for _, reason := range []string{"no such mailbox", "said otherwise the second time"} {
		if _, err := report(id, failed(reason)); err != nil {
			t.Error(err)
		}
	}
	if got := words(id); got != "failed 5.1.1" {
		t.Errorf("it is told as %s", got)
	}

	id = handed("unclear")
	for _, r := range []*channelv1.ReportRequest{unknown, unknown, sent("N3"), sent("N3")} {
		if _, err := report(id, r); err != nil {
			t.Error(err)
		}
	}
	if got := words(id); got != "unknown, sent" {
		t.Errorf("it is told as %s", got)
	}

	id = handed("late")
	never := "never taken"
	c.cancel()
	stop()
	neverID := w.ask("t", never, never)
	w.clock.pass(time.Hour)
	s, _ = w.start(w.remote())
	service = w.serve(s)
	w.outcome(id)
	w.outcome(neverID)
	if got := words(id) + "; " + words(neverID); got != "unknown expired; failed expired" {
		t.Errorf("they are told as %s", got)
	}
	if _, err := report(id, sent("N4")); err != nil {
		t.Error(err)
	}
	if got := words(id); got != "unknown expired, sent" {
		t.Errorf("it is told as %s", got)
	}
	if _, err := report("8b2c6f5e-0000-8000-8000-000000000000", sent("N5")); err == nil || !strings.Contains(err.Error(), "NotFound") {
		t.Errorf("an unknown request: %v", err)
	}

	list, err := service.ListRequests(t.Context(), &channelv1.ListRequestsRequest{})
	must(t, err)
	var states []string
	for _, r := range list.GetRequests() {
		states = append(states, strings.TrimPrefix(r.GetState().String(), "REQUEST_STATE_")+" "+r.GetCode())
	}
	if got := strings.Join(states, ", "); got != "FAILED expired, FAILED 5.1.1" {
		t.Errorf("listed are %s", got)
	}
}

func TestTheListTellsWhatIsPending(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	s, _ := w.start(w.config(w.pager(p)))
	service := w.serve(s)
	w.ask("t1", "r", "hang")
	w.ask("t2", "r", "503")
	w.outcome(w.ask("t3", "r", "400"))
	w.until("two are under way", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.calls["hang"] == 1 && p.calls["503"] > 0 })
	list, err := service.ListRequests(t.Context(), &channelv1.ListRequestsRequest{States: []channelv1.RequestState{channelv1.RequestState_REQUEST_STATE_FAILED}})
	must(t, err)
	if r := list.GetRequests(); len(r) != 1 || r[0].GetCode() != "21610" || r[0].GetReason() != "the recipient has unsubscribed" || r[0].GetAttempts() != 1 {
		t.Errorf("failed are %v", r)
	}
	list, err = service.ListRequests(t.Context(), &channelv1.ListRequestsRequest{Inbox: desk, Limit: 2})
	must(t, err)
	if len(list.GetRequests()) != 2 || !list.GetMore() || list.GetRequests()[0].GetState() == channelv1.RequestState_REQUEST_STATE_FAILED {
		t.Errorf("listed are %v", list)
	}
}

// "Retry-After: 0" does not mean that we should ask as fast as we can.
func TestAProviderThatWantsNoPauseGetsOneAllTheSame(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	cfg := w.config(w.pager(p))
	cfg.FirstRetry, cfg.LastRetry = 10*time.Minute, 10*time.Minute
	s, _ := w.start(cfg)
	service := w.serve(s)
	request := w.ask("t", "r", "429**") // once
	var next time.Time
	w.until("it is to be tried again", func() bool {
		list, err := service.ListRequests(t.Context(), &channelv1.ListRequestsRequest{})
		must(t, err)
		for _, r := range list.GetRequests() {
			if r.GetNextAttemptAt() != nil {
				next = r.GetNextAttemptAt().AsTime()
			}
		}
		return !next.IsZero() || len(w.outcomes(request)) > 0
	})
	if soon := w.clock.now().Add(9 * time.Minute); next.Before(soon) {
		t.Fatalf("it is tried again at %v, and should not be before %v", next, soon)
	}
	w.clock.pass(10 * time.Minute)
	if got := told(w.outcome(request)); got != "sent" {
		t.Errorf("it is told as %s", got)
	}
}

func TestACursorOutlivesTheStore(t *testing.T) {
	w := newWorld(t)
	s, stop := w.start(w.remote())
	service := w.serve(s)
	w.ask("t", "r1", "one")
	c := connect(t, service, "")
	c.next()
	stop()
	w.store = memkv.New()
	s, _ = w.start(w.remote())
	w.ask("t", "r2", "two")
	if _, text, _ := connect(t, w.serve(s), c.cursor).next(); text != "two" {
		t.Errorf("it got %s", text)
	}
}
