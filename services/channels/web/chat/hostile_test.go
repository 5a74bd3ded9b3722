package chat_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/skein-cx/skein/services/channels/web/chat"
)

// served checks that somebody else can still chat.
func (s *site) served() {
	s.t.Helper()
	c := s.dial(s.session("").Token)
	c.resume("")
	c.next("ready")
	c.say("served", "Hello")
	for seen := map[string]bool{}; !seen["ack"] || !seen["event"]; {
		f, err := c.read()
		if err != nil {
			s.t.Fatal(err)
		}
		seen[f.Type] = true
	}
}

// tcp is a connection to the server.
func (s *site) tcp() *net.TCPConn {
	s.t.Helper()
	addr, err := net.ResolveTCPAddr("tcp", strings.TrimPrefix(s.root, "http://"))
	if err != nil {
		s.t.Fatal(err)
	}
	conn, err := net.DialTCP("tcp", nil, addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	return conn
}

// raw is a WebSocket connection whose client may break every rule.
func (s *site) raw(token string) (*net.TCPConn, *bufio.Reader) {
	s.t.Helper()
	conn := s.tcp()
	_, err := io.WriteString(conn, "GET /chat/v1/shop/ws HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer "+token+"\r\n\r\n")
	if err != nil {
		s.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	for line := ""; line != "\r\n"; {
		if line, err = r.ReadString('\n'); err != nil {
			s.t.Fatal(err)
		}
	}
	return conn, r
}

// text is a masked text frame, with a mask of zeros.
func text(payload string) []byte {
	b := []byte{0x81}
	if len(payload) < 126 {
		b = append(b, 0x80|byte(len(payload)))
	} else {
		b = append(b, 0x80|126)
		b = binary.BigEndian.AppendUint16(b, uint16(len(payload)))
	}
	return append(append(b, 0, 0, 0, 0), payload...)
}

func TestAVisitorThatIsTooFastIsToldWhenToSendAgain(t *testing.T) {
	s := start(t, limits(func(l *chat.Limits) { l.Rate, l.Burst = 0.01, 3 }))
	visitor := s.session("")
	c := s.dial(visitor.Token)
	for range 3 {
		c.say("m1", "Hello")
		c.next("ack")
	}
	c.say("m2", "Hello")
	if f := c.next("error"); f.ID != "m2" || f.Code != "rate_limited" || f.RetryAfter < 10 {
		t.Errorf("%+v", f)
	}
	again := s.dial(visitor.Token) // a new connection does not help
	again.send(`{"type":"ping"}`)
	if f := again.next("error"); f.Code != "rate_limited" {
		t.Errorf("%+v", f)
	}
	a := s.request("POST", s.url+"messages", visitor.Token, map[string]string{"id": "m2", "text": "Hello"}, nil, nil)
	if a.status != http.StatusTooManyRequests || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %v", a.status, a.header)
	}
	s.served()
}

func TestAFloodIsCutOff(t *testing.T) {
	for name, frame := range map[string]string{
		"of messages": `{"type":"message","id":"m","text":"x"}`,
		"of garbage":  `}{`,
		"of pings":    `{"type":"ping"}`,
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			c := s.dial(s.session("").Token)
			go func() {
				for c.Write(t.Context(), websocket.MessageText, []byte(frame)) == nil { //nolint:revive // until it is cut off
				}
			}()
			c.closed(websocket.StatusPolicyViolation)
			s.waitRefused("flood")
			if n := len(s.host.Events()); n > 1 {
				t.Errorf("%d events of one message", n)
			}
			s.served()
		})
	}
}

func TestFramesThatNobodyShouldSendEndTheConnection(t *testing.T) {
	for name, c := range map[string]struct {
		typ    websocket.MessageType
		frame  string
		code   websocket.StatusCode
		reason string
	}{
		"binary":             {websocket.MessageBinary, `{"type":"ping"}`, websocket.StatusUnsupportedData, "binary"},
		"not UTF-8":          {websocket.MessageText, "{\"type\":\"ping\",\"id\":\"\xff\"}", websocket.StatusInvalidFramePayloadData, "not_utf8"},
		"a byte above 64 KB": {websocket.MessageText, strings.Repeat("x", 64<<10+1), websocket.StatusMessageTooBig, "too_large"},
		"10 MB":              {websocket.MessageText, strings.Repeat("x", 10<<20), websocket.StatusMessageTooBig, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			client := s.dial(s.session("").Token)
			go func() { _ = client.Write(t.Context(), c.typ, []byte(c.frame)) }() // fails where it is cut off on the way
			client.closed(c.code)
			s.waitRefused(c.reason)
			s.served()
		})
	}
}

func TestBrokenFramesEndTheirConnectionOnly(t *testing.T) {
	whole := text(`{"type":"message","id":"m","text":"Hello"}`)
	unmasked := append([]byte{0x81, 15}, `{"type":"ping"}`...)
	for name, bytes := range map[string][]byte{
		"a half frame":               whole[:len(whole)/2],
		"half a header":              whole[:1],
		"not masked":                 unmasked,
		"a reserved bit":             append([]byte{0xc1}, whole[1:]...),
		"an unknown opcode":          append([]byte{0x83}, whole[1:]...),
		"a length of 2^63 and more":  {0x81, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0},
		"a control frame in pieces":  {0x09, 0x80, 0, 0, 0, 0},
		"a continuation of nothing":  {0x80, 0x80, 0, 0, 0, 0},
		"HTTP instead of a frame":    []byte("GET / HTTP/1.1\r\n\r\n"),
		"a close with half its code": {0x88, 0x81, 0, 0, 0, 0, 3},
	} {
		t.Run(name, func(t *testing.T) {
			s := start(t)
			conn, _ := s.raw(s.session("").Token)
			if _, err := conn.Write(bytes); err != nil {
				t.Fatal(err)
			}
			if err := conn.CloseWrite(); err != nil {
				t.Fatal(err)
			}
			s.waitRefused("broken")
			if n := len(s.host.Events()); n != 0 {
				t.Errorf("%d events", n)
			}
			s.served()
		})
	}
}

func TestAClientThatStopsInTheMiddleOfAFrameIsCutOff(t *testing.T) {
	s := start(t, limits(func(l *chat.Limits) { l.Ping = 20 * time.Millisecond }))
	conn, r := s.raw(s.session("").Token)
	whole := text(`{"type":"message","id":"m","text":"Hello"}`)
	if _, err := conn.Write(whole[:len(whole)/2]); err != nil {
		t.Fatal(err)
	}
	_, _ = io.Copy(io.Discard, r) // until it is cut off
	s.waitRefused("silent")
}

func TestAMessageInPiecesThatNeverEndsIsCutOffAsIdle(t *testing.T) {
	s := start(t, limits(func(l *chat.Limits) { l.Idle = 50 * time.Millisecond }))
	conn, r := s.raw(s.session("").Token)
	go func() {
		tick := time.NewTicker(time.Millisecond)
		defer tick.Stop()
		_, err := conn.Write([]byte{0x01, 0x80, 0, 0, 0, 0}) // the first piece
		for err == nil {
			<-tick.C
			_, err = conn.Write([]byte{0x00, 0x80, 0, 0, 0, 0}) // and another
		}
	}()
	_, _ = io.Copy(io.Discard, r) // until it is cut off
	s.waitRefused("idle")
}

func TestAClientThatNeverReadsIsCutOffAndOthersAreServed(t *testing.T) {
	s := start(t, unhurried, limits(func(l *chat.Limits) { l.Write = time.Second }))
	visitor := s.session("")
	conn, _ := s.raw(visitor.Token)
	if err := conn.SetReadBuffer(1); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write(text(`{"type":"resume","cursor":""}`)); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 100<<10)
	for i := range 200 { // more than any buffer between here and there holds
		s.publish(visitor.Thread, string(rune('a'+i)), long)
	}
	s.waitRefused("slow")
	s.served()
}

func TestAClientThatSendsNothingForLongIsSentAway(t *testing.T) {
	s := start(t, limits(func(l *chat.Limits) { l.Idle = 50 * time.Millisecond }))
	c := s.dial(s.session("").Token)
	c.closed(websocket.StatusNormalClosure)
	s.waitRefused("idle")
}

func TestNoVisitorTakesAllConnections(t *testing.T) {
	s := start(t, limits(func(l *chat.Limits) { l.Connections, l.PerVisitor = 3, 2 }))
	dial := func(token string, status int, retry bool) *websocket.Conn {
		t.Helper()
		conn, a, err := s.tryDial(token, nil)
		if a.status != status || (a.header.Get("Retry-After") != "") != retry {
			t.Errorf("%v %v", a, err)
		}
		if err == nil {
			t.Cleanup(func() { _ = conn.CloseNow() })
		}
		return conn
	}
	greedy := s.session("").Token
	first := dial(greedy, http.StatusSwitchingProtocols, false)
	dial(greedy, http.StatusSwitchingProtocols, false)
	dial(greedy, http.StatusTooManyRequests, true)
	dial(s.session("").Token, http.StatusSwitchingProtocols, false)
	dial(s.session("").Token, http.StatusServiceUnavailable, true)
	if s.refused("too_many_connections") != 1 || s.refused("unavailable") != 1 {
		t.Error("not counted")
	}
	_ = first.Close(websocket.StatusNormalClosure, "")
	for s.t.Context().Err() == nil { // the server learns of it in its own time
		conn, _, err := s.tryDial(s.session("").Token, nil)
		if err == nil {
			_ = conn.CloseNow()
			return
		}
	}
}

func TestABodyThatBreaksOffIsNoMessage(t *testing.T) {
	s := start(t)
	token := s.session("").Token
	conn := s.tcp()
	_, err := io.WriteString(conn, "POST /chat/v1/shop/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nAuthorization: Bearer "+token+"\r\n\r\n{\"id\":\"m\",\"te")
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	s.waitRefused("bad_frame")
	if n := len(s.host.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
	s.served()
}

func TestStoppingAnswersWhatIsUnderWayAndSendsClientsElsewhere(t *testing.T) {
	g := newGate()
	s := start(t, wrap(g.wrap))
	visitor := s.session("")
	idle, busy := s.dial(visitor.Token), s.dial(visitor.Token)
	idle.resume("")
	cursor := idle.next("ready").Cursor
	polled := make(chan frame, 1)
	go func() {
		var f frame
		s.request("GET", s.url+"events?cursor="+cursor, visitor.Token, nil, nil, &f)
		polled <- f
	}()
	busy.say("m1", "Hello")
	<-g.reached
	stopped := make(chan error, 1)
	go func() { stopped <- s.stop() }()
	idle.closed(websocket.StatusGoingAway)
	if f := <-polled; f.Code != "unavailable" && (len(f.Events) != 0 || f.Cursor != cursor) { // one that came too late is sent elsewhere
		t.Errorf("the poll ended with %+v", f)
	}
	var f frame
	if a := s.request("POST", s.url+"session", "", nil, nil, &f); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
		t.Errorf("%d %+v", a.status, f)
	}
	close(g.open)
	busy.next("ack")
	busy.closed(websocket.StatusGoingAway)
	if err := <-stopped; err != nil {
		t.Error(err)
	}

	elsewhere := startOn(t, s.host, s.follower)
	c := elsewhere.dial(visitor.Token)
	c.resume(cursor)
	if texts, _ := c.texts(1); texts[0] != "Hello" {
		t.Errorf("elsewhere: %v", texts)
	}
}

func TestStoppingCutsOffWhatTakesTooLong(t *testing.T) {
	g := newGate()
	s := start(t, wrap(g.wrap), limits(func(l *chat.Limits) { l.Stop = 10 * time.Millisecond }))
	c := s.dial(s.session("").Token)
	c.say("m1", "Hello")
	<-g.reached
	if err := s.stop(); err != nil {
		t.Error(err)
	}
	if f, err := c.read(); err == nil && f.Type == "ack" {
		t.Error("acknowledged what the log has not")
	}
	if n := len(s.host.Events()); n != 0 {
		t.Errorf("%d events", n)
	}
}

func TestAnEndedRequestIsNoFault(t *testing.T) {
	s := start(t)
	token := s.session("").Token
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"events", bytes.NewReader(nil))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	cancel()
	if answer, err := http.DefaultClient.Do(r); err == nil {
		answer.Body.Close()
		t.Error(answer.Status)
	}
	s.served()
}
