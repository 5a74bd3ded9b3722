package chat_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"
	"github.com/golang-jwt/jwt/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/web/chat"
)

const (
	shop       = "https://shop.example"
	siteSecret = "the shop's own secret, 32 bytes at least" //nolint:gosec // for tests
)

var secret = []byte("a secret for tests of thirty-two bytes or more")

// site is a channel that runs behind a real server, over a host and a follower in memory.
type site struct {
	t        *testing.T
	url      string // of the widget "shop"
	root     string
	host     *channeltest.Host
	follower *channeltest.Follower
	registry *prometheus.Registry
	channel  *chat.Channel
	stop     func() error // and wait
}

// blobs reads what a host has stored.
type blobs struct{ host *channeltest.Host }

func (b blobs) Get(_ context.Context, ref *eventv1.Blob) ([]byte, error) {
	data, ok := b.host.Blob(ref)
	if !ok {
		return nil, blob.ErrNotFound
	}
	return data, nil
}

// option changes what a site is made with.
type option func(*chat.Config, *channel.Host)

func limits(change func(*chat.Limits)) option {
	return func(cfg *chat.Config, _ *channel.Host) { change(&cfg.Limits) }
}

func wrap(f func(channel.Host) channel.Host) option {
	return func(_ *chat.Config, h *channel.Host) { *h = f(*h) }
}

// unhurried lets a visitor send as fast as it likes.
var unhurried = limits(func(l *chat.Limits) { l.Rate, l.Burst = 1e9, 1_000_000_000 })

func start(t *testing.T, options ...option) *site {
	t.Helper()
	host := channeltest.NewHost()
	return startOn(t, host, channeltest.NewFollower(host), options...)
}

func startOn(t *testing.T, host *channeltest.Host, follower *channeltest.Follower, options ...option) *site {
	t.Helper()
	mux := http.NewServeMux()
	registry := prometheus.NewRegistry()
	cfg := chat.Config{
		Mux: mux, Follower: follower, Files: blobs{host}, Secret: secret, Registerer: registry,
		Widgets: []chat.Widget{
			{ID: "shop", Tenant: "acme", Name: "Shop <help>", Origins: []string{shop, "http://localhost:3000"}, Secret: []byte(siteSecret)},
			{ID: "blog", Tenant: "acme", Origins: []string{chat.AnyOrigin}},
			{ID: "desk", Tenant: "other"},
		},
	}
	used := channel.Host(host)
	for _, o := range options {
		o(&cfg, &used)
	}
	c, err := chat.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), used); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	stop := sync.OnceValue(func() error { cancel(); return <-done })
	server := httptest.NewServer(mux)
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Errorf("Run: %v", err)
		}
		server.Close()
	})
	return &site{t, server.URL + "/chat/v1/shop/", server.URL, host, follower, registry, c, stop}
}

// refused is the counter of a reason.
func (s *site) refused(reason string) int {
	s.t.Helper()
	families, err := s.registry.Gather()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == "skein_chat_refusals_total" && m.GetLabel()[0].GetValue() == reason {
				return int(m.GetCounter().GetValue())
			}
		}
	}
	return 0
}

// waitRefused waits until a reason was counted.
func (s *site) waitRefused(reason string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for s.refused(reason) == 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			s.t.Fatalf("nothing was refused as %s", reason)
		}
	}
}

// session is what POST session answers.
type session struct {
	Token, Visitor, Thread, Platform string
	Expires, Now                     time.Time
}

// frame is any frame of the server's, or the body of an answer.
type frame struct {
	Type, ID, Event, Cursor, Name, From, Author, At, Refers, Text string
	Code, Message, Field, Survey, By, Kind                        string
	On                                                            bool
	Reaction                                                      *string
	RetryAfter                                                    float64 `json:"retry_after"`
	Files                                                         []file
	Position                                                      struct {
		Topic     string
		Partition int32
		Offset    int64
	}
	Events []frame
}

// file is one that an event shows.
type file struct {
	File, Name string
	MediaType  string `json:"media_type"`
	Size       int64
}

// answer is what a request was answered with, without its body.
type answer struct {
	status int
	header http.Header
	path   string // that was asked in the end
}

// request sends a request and reads the answer into v: JSON, or a text.
func (s *site) request(method, url, token string, body any, header http.Header, v any) answer {
	s.t.Helper()
	raw, err := json.Marshal(body)
	if err != nil {
		s.t.Fatal(err)
	}
	if text, ok := body.(string); ok {
		raw = []byte(text)
	}
	r, err := http.NewRequestWithContext(s.t.Context(), method, url, bytes.NewReader(raw))
	if err != nil {
		s.t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	got, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatal(err)
	}
	defer got.Body.Close()
	if raw, err = io.ReadAll(got.Body); err != nil {
		s.t.Fatal(err)
	}
	if text, ok := v.(*string); ok {
		*text = string(raw)
	} else if v != nil {
		if err := json.Unmarshal(raw, v); err != nil {
			s.t.Fatalf("%s %s: %s: %v in %q", method, url, got.Status, err, raw)
		}
	}
	return answer{got.StatusCode, got.Header, got.Request.URL.Path}
}

func (s *site) session(token string) session {
	s.t.Helper()
	var got session
	if a := s.request("POST", s.url+"session", token, nil, nil, &got); a.status != http.StatusOK {
		s.t.Fatalf("session: %d", a.status)
	}
	return got
}

// post posts a message.
func (s *site) post(token string, body any) (frame, int) {
	s.t.Helper()
	var f frame
	a := s.request("POST", s.url+"messages", token, body, nil, &f)
	return f, a.status
}

// client is a WebSocket of a visitor's. It holds every frame against docs/web-chat.asyncapi.yaml: those of the server as they
// come, and its own when they are acknowledged.
type client struct {
	t *testing.T
	*websocket.Conn
	sent *sync.Map // by id
}

func (s *site) dial(token string) client {
	s.t.Helper()
	conn, a, err := s.tryDial(token, nil)
	if err != nil {
		s.t.Fatalf("%v: %v", err, a)
	}
	s.t.Cleanup(func() { _ = conn.CloseNow() })
	return client{s.t, conn, &sync.Map{}}
}

func (s *site) tryDial(token string, header http.Header) (*websocket.Conn, answer, error) {
	conn, got, err := websocket.Dial(s.t.Context(), s.url+"ws", &websocket.DialOptions{
		Subprotocols: []string{"skein.chat.v1", "bearer." + token}, HTTPHeader: header,
	})
	if err == nil && conn.Subprotocol() != "skein.chat.v1" {
		s.t.Errorf("the subprotocol is %q", conn.Subprotocol())
	}
	if got == nil {
		return conn, answer{}, err
	}
	if got.Body != nil {
		_ = got.Body.Close()
	}
	return conn, answer{status: got.StatusCode, header: got.Header}, err
}

// send sends a frame.
func (c client) send(frame string) {
	c.t.Helper()
	var named struct{ ID string }
	if json.Unmarshal([]byte(frame), &named) == nil {
		c.sent.Store(named.ID, []byte(frame))
	}
	if err := c.Write(c.t.Context(), websocket.MessageText, []byte(frame)); err != nil {
		c.t.Fatal(err)
	}
}

func (c client) say(id, text string) {
	c.send(`{"type":"message","id":"` + id + `","text":"` + text + `"}`)
}

// read reads the next frame.
func (c client) read() (f frame, err error) {
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	_, raw, err := c.Read(ctx)
	if err != nil {
		return f, err
	}
	if err := json.Unmarshal(raw, &f); err != nil {
		return f, err
	}
	documented(c.t, "toVisitor", raw)
	if own, ok := c.sent.Load(f.ID); ok && f.Type == "ack" {
		documented(c.t, "fromVisitor", own.([]byte)) //nolint:errcheck,forcetypeassert // send stores nothing else
	}
	return f, nil
}

// next reads the next frame and wants it to be of a type.
func (c client) next(typ string) frame {
	c.t.Helper()
	f, err := c.read()
	if err != nil {
		c.t.Fatalf("instead of %s: %v", typ, err)
	}
	if f.Type != typ {
		c.t.Fatalf("instead of %s: %+v", typ, f)
	}
	return f
}

// closed reads until the connection is closed, and wants a code.
func (c client) closed(code websocket.StatusCode) {
	c.t.Helper()
	for {
		if _, err := c.read(); err != nil {
			if websocket.CloseStatus(err) != code {
				c.t.Errorf("closed with %v instead of %v", err, code)
			}
			return
		}
	}
}

// publish hands in what an agent, a bot or anybody else says in a thread.
func (s *site) publish(thread, id, text string, change ...func(*eventv1.Submission)) string {
	s.t.Helper()
	sub := &eventv1.Submission{
		Type: event.TypeMessageSent, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_OUTBOUND,
		Provider: "desktop", Inbox: "shop", Thread: thread, NativeId: id,
		Parties: []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "jo@acme.example"},
			Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_COMPANY, DisplayName: "Jo",
		}},
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "jo"},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: text}}},
	}
	for _, f := range change {
		f(sub)
	}
	acks, err := s.host.Submit(s.t.Context(), "acme", sub)
	if err != nil {
		s.t.Fatal(err)
	}
	return acks[0].EventID
}

// gate holds submissions until it is opened.
type gate struct {
	channel.Host
	reached chan struct{}
	open    chan struct{}
}

func newGate() *gate { return &gate{reached: make(chan struct{}, 1000), open: make(chan struct{})} }

func (g *gate) wrap(h channel.Host) channel.Host { g.Host = h; return g }

func (g *gate) Submit(ctx context.Context, tenant string, s ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	g.reached <- struct{}{}
	select {
	case <-g.open:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	return g.Host.Submit(ctx, tenant, s...)
}

func TestAMessageBecomesAnEventOfItsWidgetThreadAndVisitor(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	c.send(`{"type":"message","id":"m1","text":"Is it back in stock? 有货吗？","at":"2026-03-01T11:59:30.25Z"}`)
	ack := c.next("ack")
	e := s.host.Events()[0]
	if e.Tenant != "acme" || e.Event.GetInbox() != "shop" || e.Event.GetType() != event.TypeMessageReceived ||
		e.Event.GetChannel() != eventv1.Channel_CHANNEL_WEB_CHAT || e.Event.GetDirection() != eventv1.Direction_DIRECTION_INBOUND {
		t.Errorf("event %v", e.Event)
	}
	if e.Content.GetNativeThread() != visitor.Thread || e.Content.GetNativeId() != "m1" || e.Content.GetMessageReceived().GetText() != "Is it back in stock? 有货吗？" {
		t.Errorf("content %v", e.Content)
	}
	party := e.Submission.GetParties()[0]
	if party.GetAddress().GetKind() != eventv1.EndpointKind_ENDPOINT_KIND_VISITOR || party.GetAddress().GetValue() != visitor.Visitor ||
		party.GetSide() != eventv1.Side_SIDE_CUSTOMER || len(e.Submission.GetParties()) != 1 {
		t.Errorf("parties %v", e.Submission.GetParties())
	}
	if got := e.Event.GetOccurredAt().AsTime(); !got.Equal(time.Date(2026, 3, 1, 11, 59, 30, 25e7, time.UTC)) {
		t.Errorf("occurred at %v", got)
	}
	if ack.ID != "m1" || ack.Event != e.Event.GetId() || ack.Position.Topic != event.TopicInteractions {
		t.Errorf("acknowledged as %+v", ack)
	}
}

func TestAMessageIsAcknowledgedOnlyAfterTheLogHasIt(t *testing.T) {
	g := newGate()
	s := start(t, wrap(g.wrap))
	c := s.dial(s.session("").Token)
	c.say("m1", "Hello")
	<-g.reached
	c.send(`{"type":"ping"}`)
	c.next("pong") // and no acknowledgement
	close(g.open)
	c.next("ack")
	if n := len(s.host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestWhileTheLogIsAwayTheClientIsToldToSendAgainAndThenThereIsOneEvent(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	s.host.Fail(channel.ErrRetry)
	c.say("m1", "Hello")
	if f := c.next("error"); f.ID != "m1" || f.Code != "unavailable" || f.RetryAfter <= 0 {
		t.Errorf("error %+v", f)
	}
	if f, status := s.post(visitor.Token, map[string]string{"id": "m1", "text": "Hello"}); status != http.StatusServiceUnavailable || f.RetryAfter <= 0 {
		t.Errorf("%d %+v", status, f)
	}
	s.host.Fail(nil)
	c.say("m1", "Hello")
	first := c.next("ack")
	c.say("m1", "Hello")
	again := c.next("ack")
	posted, status := s.post(visitor.Token, map[string]string{"id": "m1", "text": "Hello"})
	if status != http.StatusOK || first.Event == "" || again.Event != first.Event || posted.Event != first.Event {
		t.Errorf("acknowledged as %+v, %+v and %+v", first, again, posted)
	}
	if len(s.host.Events()) != 1 || len(s.host.Conflicts()) != 0 {
		t.Errorf("%d events, %d conflicts", len(s.host.Events()), len(s.host.Conflicts()))
	}
}

func TestMessagesOfAConnectionStayInTheirOrder(t *testing.T) {
	g := newGate()
	s := start(t, wrap(g.wrap))
	c := s.dial(s.session("").Token)
	for i := range 12 { // one waits for the log, and the others for that one
		c.say(fmt.Sprint("m", i), "text")
	}
	close(g.open)
	for i := range 12 {
		if f := c.next("ack"); f.ID != fmt.Sprint("m", i) {
			t.Errorf("acknowledgement %d is of %s", i, f.ID)
		}
	}
	for i, e := range s.host.Events() {
		if e.Content.GetNativeId() != fmt.Sprint("m", i) {
			t.Errorf("event %d is %s", i, e.Content.GetNativeId())
		}
	}
}

// picky refuses one text for good.
type picky struct{ channel.Host }

func (p picky) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	for _, s := range submissions {
		if s.GetContent().GetMessageReceived().GetText() == "wrong" {
			return nil, &event.InvalidError{Violations: []event.Violation{{Field: "content", Reason: "is wrong"}}}
		}
	}
	return p.Host.Submit(ctx, tenant, submissions...)
}

func TestOfMessagesThatWaitTogetherOnlyTheWrongOneIsRefused(t *testing.T) {
	g := newGate()
	s := start(t, wrap(func(h channel.Host) channel.Host { return g.wrap(picky{h}) }))
	c := s.dial(s.session("").Token)
	c.say("m0", "first")
	<-g.reached
	for i, text := range []string{"fine", "wrong", "fine"} {
		c.say(fmt.Sprint("m", i+1), text)
	}
	c.send(`{"type":"ping"}`)
	c.next("pong") // all of them wait
	close(g.open)
	for i, want := range []string{"ack", "ack", "error", "ack"} {
		if f := c.next(want); f.ID != fmt.Sprint("m", i) || want == "error" && (f.Code != "invalid" || f.RetryAfter != 0) {
			t.Errorf("%+v", f)
		}
	}
}

func TestANewVisitorGetsATokenAndARefreshKeepsVisitorAndThread(t *testing.T) {
	now := time.Now()
	s := start(t, func(cfg *chat.Config, _ *channel.Host) { cfg.Now = func() time.Time { return now } })
	a, b := s.session(""), s.session("")
	if a.Visitor == b.Visitor || a.Thread == b.Thread || len(a.Visitor) < 20 || len(a.Thread) < 20 {
		t.Errorf("visitors %+v and %+v", a, b)
	}
	now = now.Add(29 * 24 * time.Hour)
	again := s.session(a.Token)
	if again.Visitor != a.Visitor || again.Thread != a.Thread || again.Expires.Sub(a.Expires) != 29*24*time.Hour || !again.Now.Equal(now) {
		t.Errorf("%+v became %+v", a, again)
	}
	now = now.Add(2 * 24 * time.Hour)
	if got := s.request("POST", s.url+"session", a.Token, nil, nil, nil); got.status != http.StatusUnauthorized {
		t.Errorf("a token of 31 days ago: %d", got.status)
	}
	if kept := s.session(again.Token); kept.Visitor != a.Visitor {
		t.Errorf("%+v became %+v", again, kept)
	}
}

// sign makes a token of the site's.
func sign(t *testing.T, secret string, change func(*chat.Claims)) string {
	t.Helper()
	claims := chat.Claims{
		RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(time.Now().Add(time.Hour))},
		Tenant:           "acme", Widget: "shop", Visitor: "u-4711", Thread: "t-4711", Customer: "4711",
	}
	if change != nil {
		change(&claims)
	}
	token, err := chat.Sign(claims, []byte(secret))
	if err != nil {
		t.Fatal(err)
	}
	return token
}

func TestASiteMaySignTokensWhichNameItsCustomer(t *testing.T) {
	s := start(t)
	token := sign(t, siteSecret, nil)
	if got := s.session(token); got.Token != token || got.Visitor != "u-4711" {
		t.Errorf("a token of the site's became %+v", got)
	}
	c := s.dial(token)
	c.say("m1", "Hello")
	c.next("ack")
	parties := s.host.Events()[0].Submission.GetParties()
	if len(parties) != 2 || parties[1].GetAddress().GetKind() != eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER ||
		parties[1].GetAddress().GetNamespace() != "login" || parties[1].GetAddress().GetValue() != "4711" || parties[1].GetSide() != eventv1.Side_SIDE_CUSTOMER {
		t.Errorf("parties %v", parties)
	}
}

func TestThisProcessMaySignATokenForAVisitorThatItNames(t *testing.T) {
	s := start(t)
	token, err := s.channel.Token("shop", "anna", "kettle")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.session(token); got.Visitor != "anna" || got.Thread != "kettle" {
		t.Errorf("the session is %+v", got)
	}
	for _, wrong := range [][3]string{{"shoe", "anna", "kettle"}, {"shop", "", "kettle"}, {"shop", "anna", "ket tle"}} {
		if _, err := s.channel.Token(wrong[0], wrong[1], wrong[2]); err == nil {
			t.Errorf("%q: no error", wrong)
		}
	}
}

func TestTokensThatAreForgedExpiredOrOfElsewhereAreRefusedEverywhere(t *testing.T) {
	s := start(t)
	good := s.session("").Token
	head, rest, _ := strings.Cut(good, ".")
	body, signature, _ := strings.Cut(rest, ".")
	var blog session
	s.request("POST", s.root+"/chat/v1/blog/session", "", nil, nil, &blog)
	unsigned, err := jwt.NewWithClaims(jwt.SigningMethodNone, chat.Claims{Tenant: "acme", Widget: "shop", Visitor: "v", Thread: "t"}).SignedString(jwt.UnsafeAllowNoneSignatureType)
	if err != nil {
		t.Fatal(err)
	}
	flipped := []byte(signature)
	flipped[3] ^= 1
	for name, c := range map[string]struct{ token, says string }{
		"none":                   {"", "no token"},
		"no token at all":        {"gibberish", "not valid"},
		"another signature":      {head + "." + body + "." + string(flipped), "not valid"},
		"other claims":           {head + "." + body[:len(body)-8] + "AAAAAAAA." + signature, "not valid"},
		"no signature":           {unsigned, "not valid"},
		"another secret":         {sign(t, "somebody else's secret, as long as ours", nil), "not valid"},
		"another widget":         {blog.Token, "not valid"},
		"the site's, for others": {sign(t, siteSecret, func(c *chat.Claims) { c.Tenant = "other" }), "not valid"},
		"the site's, malformed":  {sign(t, siteSecret, func(c *chat.Claims) { c.Visitor = "a visitor" }), "not valid"},
		"expired":                {sign(t, siteSecret, func(c *chat.Claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(-time.Second)) }), "has expired"},
		"without an end":         {sign(t, siteSecret, func(c *chat.Claims) { c.ExpiresAt = nil }), "not valid"},
		"endless":                {strings.Repeat("x", 10_000), "not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			check := func(what string, status int, f frame) {
				t.Helper()
				if status != http.StatusUnauthorized || f.Code != "unauthorized" || !strings.Contains(f.Message, c.says) || !strings.Contains(f.Message, "POST session") {
					t.Errorf("%s: %d %+v", what, status, f)
				}
			}
			var f frame
			if c.token != "" {
				check("session", s.request("POST", s.url+"session", c.token, nil, nil, &f).status, f)
			}
			check("events", s.request("GET", s.url+"events", c.token, nil, nil, &f).status, f)
			posted, status := s.post(c.token, map[string]string{"id": "m", "text": "x"})
			check("messages", status, posted)
			if _, a, err := s.tryDial(c.token, nil); err == nil || a.status != http.StatusUnauthorized {
				t.Errorf("ws: %v %v", a, err)
			}
		})
	}
	if len(s.host.Events()) != 0 || s.refused("unauthorized") == 0 {
		t.Errorf("%d events, %d refused", len(s.host.Events()), s.refused("unauthorized"))
	}
}

func TestAConnectionEndsWithItsToken(t *testing.T) {
	s := start(t)
	c := s.dial(sign(t, siteSecret, func(c *chat.Claims) { c.ExpiresAt = jwt.NewNumericDate(time.Now().Add(5100 * time.Millisecond)) }))
	if f := c.next("error"); f.Code != "unauthorized" {
		t.Errorf("%+v", f)
	}
	c.closed(websocket.StatusPolicyViolation)
}

func TestOnlyTheSitesOfAWidgetMayUseIt(t *testing.T) {
	s := start(t)
	token := s.session("").Token
	for name, c := range map[string]struct {
		widget, origin string
		allowed        bool
	}{
		"no browser":                   {"shop", "", true},
		"a site of the widget":         {"shop", shop, true},
		"the same on another port":     {"shop", shop + ":8443", false},
		"the same without TLS":         {"shop", "http://shop.example", false},
		"a name that ends so":          {"shop", "https://evil-shop.example", false},
		"a name that begins so":        {"shop", shop + ".evil.example", false},
		"nobody knows":                 {"shop", "null", false},
		"the page of the server":       {"shop", s.root, true},
		"a widget of any site":         {"blog", "https://somewhere.example", true},
		"a widget of no site":          {"desk", shop, false},
		"a widget of no site, no site": {"desk", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			s := *s
			s.t = t
			url := s.root + "/chat/v1/" + c.widget + "/"
			header := http.Header{}
			if c.origin != "" {
				header.Set("Origin", c.origin)
			}
			for method, path := range map[string]string{"POST": "session", "OPTIONS": "messages"} {
				a := s.request(method, url+path, "", nil, header, nil)
				if allowed := a.status < 300; allowed != c.allowed {
					t.Errorf("%s: %d", method, a.status)
				}
				want := ""
				if c.allowed {
					want = c.origin
				}
				if got := a.header.Get("Access-Control-Allow-Origin"); got != want || a.header.Get("Vary") != "Origin" {
					t.Errorf("%s: headers %v", method, a.header)
				}
			}
			if c.widget != "shop" {
				return
			}
			conn, a, err := s.tryDial(token, header)
			if err == nil {
				_ = conn.CloseNow()
			}
			if (err == nil) != c.allowed || !c.allowed && a.status != http.StatusForbidden {
				t.Errorf("ws: %v", err)
			}
		})
	}
	if s.refused("foreign_origin") == 0 {
		t.Error("nothing was counted")
	}
}

func TestABrowserIsToldWhatAPageOfTheSiteMayDo(t *testing.T) {
	s := start(t)
	a := s.request("OPTIONS", s.url+"messages", "", nil, http.Header{"Origin": {shop}, "Access-Control-Request-Method": {"POST"}}, nil)
	if a.status != http.StatusNoContent || a.header.Get("Access-Control-Allow-Headers") != "Authorization, Content-Type" ||
		a.header.Get("Access-Control-Allow-Methods") != "GET, POST" {
		t.Errorf("%d, %v", a.status, a.header)
	}
}

func TestAnUnknownWidgetIsNamedAsSuch(t *testing.T) {
	s := start(t)
	var f frame
	a := s.request("POST", s.root+"/chat/v1/shopp/session", "", nil, nil, &f)
	if a.status != http.StatusNotFound || f.Code != "unknown_widget" {
		t.Errorf("%d %+v", a.status, f)
	}
}

func TestAMessageOverPlainHTTPIsTakenLikeAnother(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	ack, status := s.post(visitor.Token, map[string]string{"id": "m1", "text": "Hello", "at": "2026-03-01T11:00:00Z"})
	if status != http.StatusOK || ack.Type != "ack" || ack.ID != "m1" || ack.Event != s.host.Events()[0].Event.GetId() {
		t.Errorf("%d %+v", status, ack)
	}
	c := s.dial(visitor.Token)
	c.send(`{"type":"message","id":"m1","text":"Hello","at":"2026-03-01T11:00:00Z"}`)
	if f := c.next("ack"); f.Event != ack.Event || len(s.host.Events()) != 1 || len(s.host.Conflicts()) != 0 {
		t.Errorf("%+v; %d events, %d conflicts", f, len(s.host.Events()), len(s.host.Conflicts()))
	}
}

func TestWrongMessagesAreRefusedByField(t *testing.T) {
	s := start(t, unhurried)
	visitor := s.session("")
	c := s.dial(visitor.Token)
	for name, bad := range map[string]struct{ body, code, field, id string }{
		"no id":             {`{"text":"x"}`, "invalid", "id", ""},
		"an id with spaces": {`{"id":"a b","text":"x"}`, "invalid", "id", ""},
		"a long id":         {`{"id":"` + strings.Repeat("x", 65) + `","text":"x"}`, "invalid", "id", ""},
		"no text":           {`{"id":"m"}`, "invalid", "text", "m"},
		"blank text":        {`{"id":"m","text":" \n\u3000"}`, "invalid", "text", "m"},
		"a long text":       {`{"id":"m","text":"` + strings.Repeat("好", 10_001) + `"}`, "invalid", "text", "m"},
		"no time":           {`{"id":"m","text":"x","at":"yesterday"}`, "invalid", "at", "m"},
		"a number for text": {`{"id":"m","text":7}`, "bad_frame", "", "m"},
		"no JSON":           {`hello`, "bad_frame", "", ""},
		"half of it":        {`{"id":"m","text":"x"`, "bad_frame", "", ""},
		"a list":            {`[]`, "bad_frame", "", ""},
	} {
		f, status := s.post(visitor.Token, bad.body)
		if status != http.StatusBadRequest || f.Code != bad.code || f.Field != bad.field || f.RetryAfter != 0 {
			t.Errorf("%s, posted: %d %+v", name, status, f)
		}
		c.send(strings.Replace(bad.body, "{", `{"type":"message",`, 1))
		if f := c.next("error"); f.Code != bad.code || f.Field != bad.field || f.ID != bad.id && name != "a number for text" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	for name, bad := range map[string]string{"no type": `{}`, "an unknown type": `{"type":"shout"}`, "null": `null`} {
		c.send(bad)
		if f := c.next("error"); f.Code != "bad_frame" {
			t.Errorf("%s: %+v", name, f)
		}
	}
	if f, status := s.post(visitor.Token, strings.Repeat(" ", 64<<10)+`{}`); status != http.StatusRequestEntityTooLarge || f.Code != "too_large" {
		t.Errorf("a large body: %d %+v", status, f)
	}
	c.say("fine", strings.Repeat("好", 10_000))
	c.next("ack")
	if n := len(s.host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestAWrongConfigurationIsNamedWhole(t *testing.T) {
	_, err := chat.New(chat.Config{Secret: []byte("short"), Widgets: []chat.Widget{
		{ID: "a", Tenant: "acme", Origins: []string{"*", "https://ok.example", "https://shop.example/", "https://Shop.example", "https://*.example", "shop.example", "https://shop.example:443"}},
		{ID: "b/c", Secret: []byte("short")},
		{ID: "d", Tenant: "acme", Origins: []string{chat.AnyOrigin, "https://ok.example"}},
		{ID: "e", Tenant: "acme"},
		{ID: "e", Tenant: "other"},
	}})
	for _, want := range []string{
		"a mux and a follower", "the secret must have 32 bytes", `origin "*"`, `"https://shop.example/"`, `"https://Shop.example"`, `"https://*.example"`,
		`"shop.example"`, `"https://shop.example:443"`, `widget "b/c"`, "a tenant is needed", "its secret must have", `"any" must stand alone`, `widget "e" stands twice`,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not speak of %s: %v", want, err)
		}
	}
	if err != nil && strings.Contains(err.Error(), `"https://ok.example" is none`) {
		t.Errorf("a good origin is refused: %v", err)
	}
}

func TestThePageIsServedUnderAStrictPolicy(t *testing.T) {
	s := start(t)
	get := func(url string, header http.Header) (got answer, body string) {
		t.Helper()
		got = s.request("GET", url, "", "", header, &body)
		return got, body
	}
	page, body := get(s.url, nil)
	policy := page.header.Get("Content-Security-Policy")
	if !strings.Contains(body, "<title>Shop &lt;help&gt;</title>") || strings.Contains(body, "<script>") || strings.Contains(body, "style=") {
		t.Errorf("page:\n%s", body)
	}
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'self' " + shop} {
		if !strings.Contains(policy, want) {
			t.Errorf("%q is not in the policy %s", want, policy)
		}
	}
	if strings.Contains(policy, "unsafe") {
		t.Errorf("policy %s", policy)
	}
	for _, name := range []string{"widget.js", "icon.svg"} {
		file, body := get(s.url+name, nil)
		if file.status != http.StatusOK || body == "" || file.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %d", name, file.status)
		}
		if again, _ := get(s.url+name, http.Header{"If-None-Match": {file.header.Get("ETag")}}); again.status != http.StatusNotModified {
			t.Errorf("%s again: %d", name, again.status)
		}
	}
	if got, _ := get(strings.TrimSuffix(s.url, "/"), nil); got.status != http.StatusOK || got.path != "/chat/v1/shop/" {
		t.Errorf("without its slash: %d at %s", got.status, got.path)
	}
}

func TestMetricsShowWhatHappens(t *testing.T) {
	s := start(t)
	c := s.dial(s.session("").Token)
	c.say("m1", "Hello")
	c.next("ack")
	want := "# HELP skein_chat_connections WebSockets that are open.\n# TYPE skein_chat_connections gauge\nskein_chat_connections 1\n"
	if err := testutil.GatherAndCompare(s.registry, strings.NewReader(want), "skein_chat_connections"); err != nil {
		t.Error(err)
	}
	if problems, err := testutil.GatherAndLint(s.registry); err != nil || len(problems) > 0 {
		t.Errorf("%v %v", problems, err)
	}
	if _, err := chat.New(chat.Config{Mux: http.NewServeMux(), Follower: s.follower, Secret: secret, Registerer: s.registry}); err == nil {
		t.Error("metrics were registered twice")
	}
}

// decode reads JSON.
func decode(t *testing.T, text string, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), v); err != nil {
		t.Fatalf("%v in %q", err, text)
	}
}
