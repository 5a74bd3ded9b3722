package chat

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
)

// markEvery is how often the cursor of a thread in which nothing happens moves on, so that it does not grow too old.
const markEvery = 5 * time.Minute

// socket is a visitor's WebSocket (RFC 6455). One goroutine reads, one hands messages in, one follows the thread, one those who type in it,
// one pings.
type socket struct {
	c       *Channel
	widget  *widget
	who     Claims
	conn    *websocket.Conn
	visitor *visitor
	queue   chan incoming
	said    chan string // who has said something in the thread: agent or bot
	ended   sync.Once

	refusals  int // in a row
	following sync.Once
	ready     bool      // a mark was sent
	marked    time.Time // when a cursor was sent last

	mu       sync.Mutex
	stopping bool
	pending  sync.WaitGroup // frames in the queue or under way
}

// webSocket answers GET ws.
func (c *Channel) webSocket(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
	who, p := c.authenticate(wd, r)
	if p != nil {
		return p
	}
	visitor, leave, p := c.visitors.connect(who)
	if p != nil {
		return p
	}
	defer leave()
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		Subprotocols:       []string{subprotocol},
		InsecureSkipVerify: true, // guard has looked at the origin
	})
	if err != nil {
		c.metrics.refused("handshake")
		return nil // Accept has answered
	}
	conn.SetReadLimit(-1) // read has a limit of its own, which lets the client know
	s := &socket{c: c, widget: wd, who: who, conn: conn, visitor: visitor, queue: make(chan incoming, c.limits.InFlight), said: make(chan string)}
	c.metrics.connections.Inc()
	defer c.metrics.connections.Dec()
	s.serve(r.Context())
	return nil
}

func (s *socket) serve(ctx context.Context) {
	open, cancel := context.WithCancel(ctx)
	var g sync.WaitGroup
	g.Go(func() { s.handIn(ctx) })
	g.Go(func() { s.ping(open) })
	g.Go(func() { s.stop(open) })
	expiry := time.AfterFunc(s.who.ExpiresAt.Sub(s.c.cfg.Now()), func() {
		s.write(ctx, unauthorized("the token has expired: get a new one by POST session without a token, or from the site that signed it"))
		s.end(websocket.StatusPolicyViolation, "unauthorized", "the token has expired")
	})
	s.read(open, &g)
	expiry.Stop()
	cancel()
	close(s.queue) // what was received is handed in, though nobody hears of it
	g.Wait()
	_ = s.conn.CloseNow() // it is closed already, or broken
}

// end closes the connection, once, and tells the client why.
func (s *socket) end(code websocket.StatusCode, reason, text string) {
	s.ended.Do(func() {
		s.c.metrics.refused(reason)
		_ = s.conn.Close(code, text) // the client may be gone
	})
}

// write sends a frame. A client that does not read it in time is cut off.
func (s *socket) write(ctx context.Context, frame any) bool {
	body, err := json.Marshal(frame)
	if err != nil {
		s.c.log.Error("a frame cannot be written", "error", err)
		return false
	}
	slow := time.AfterFunc(s.c.limits.Write, func() {
		s.ended.Do(func() { s.c.metrics.refused("slow") })
		_ = s.conn.CloseNow() // it does not read: there is nobody to tell
	})
	defer slow.Stop()
	return s.conn.Write(ctx, websocket.MessageText, body) == nil
}

// read takes frames until the connection is closed.
func (s *socket) read(ctx context.Context, g *sync.WaitGroup) {
	idle := time.AfterFunc(s.c.limits.Idle, func() { s.end(websocket.StatusNormalClosure, "idle", "idle") })
	defer idle.Stop()
	for {
		typ, frame, err := readFrame(ctx, s.conn)
		if err != nil {
			if websocket.CloseStatus(err) < 0 {
				s.ended.Do(func() { s.c.metrics.refused("broken") })
			}
			return
		}
		idle.Reset(s.c.limits.Idle)
		switch {
		case len(frame) > maxFrame:
			s.end(websocket.StatusMessageTooBig, "too_large", "a frame has 64 KiB at most")
			return
		case typ != websocket.MessageText:
			s.end(websocket.StatusUnsupportedData, "binary", "frames are JSON text")
			return
		case !utf8.Valid(frame):
			s.end(websocket.StatusInvalidFramePayloadData, "not_utf8", "frames are UTF-8")
			return
		}
		id, p := s.take(ctx, g, frame)
		if p == nil {
			s.refusals = 0
			continue
		}
		s.c.metrics.refused(p.Code)
		p.ID = id
		if s.refusals++; s.refusals > s.c.limits.Refusals {
			s.end(websocket.StatusPolicyViolation, "flood", "too many frames that cannot be taken")
			return
		}
		if !s.write(ctx, p) {
			return
		}
	}
}

// readFrame reads a frame, or as much of it as shows that it is too large.
func readFrame(ctx context.Context, conn *websocket.Conn) (websocket.MessageType, []byte, error) {
	typ, r, err := conn.Reader(ctx)
	if err != nil {
		return 0, nil, err
	}
	frame, err := io.ReadAll(io.LimitReader(r, maxFrame+1))
	return typ, frame, err
}

// take does what a frame asks for, or tells what is wrong with it. It waits where too many messages are under way.
func (s *socket) take(ctx context.Context, g *sync.WaitGroup, frame []byte) (id string, p *problem) {
	in, wrong := decodeFrame(frame, "")
	if isID(in.ID) {
		id = in.ID
	}
	if p := s.visitor.allow(); p != nil {
		return id, p
	}
	if wrong != nil {
		return id, wrong
	}
	if in.told != nil {
		if p := in.check(s.widget, s.who); p != nil {
			return id, p
		}
		s.enqueue(in)
		return id, nil
	}
	switch in.Type {
	case framePing:
		s.write(ctx, mark{Type: "pong"})
	case frameTyping:
		if s.c.cfg.Live != nil {
			s.c.cfg.Live.Typing(s.who.thread(), in.On == nil || *in.On)
		}
	case frameResume:
		p = badFrame("this connection follows the thread already: open another one")
		s.following.Do(func() {
			typing := s.followTyping() // before the history is complete, so that whoever knows that it is misses nothing
			g.Go(func() { s.watchTyping(ctx, typing) })
			g.Go(func() { s.follow(ctx, in.Cursor) })
			p = nil
		})
	default:
		p = badFrame("there is no such type of frame; there are " + strings.Join(frameTypes(), ", "))
	}
	return id, p
}

// enqueue leaves a frame to handIn, unless the channel is stopping: then its client sends it again, elsewhere.
func (s *socket) enqueue(in incoming) {
	s.mu.Lock()
	if s.stopping {
		s.mu.Unlock()
		return
	}
	s.pending.Add(1)
	s.mu.Unlock()
	s.queue <- in
}

// handIn hands frames in, one batch after the other, so that they stay in their order, and acknowledges them.
func (s *socket) handIn(ctx context.Context) {
	for in := range s.queue {
		batch := []incoming{in}
		for more := true; more && len(batch) < cap(s.queue); {
			select {
			case in, more = <-s.queue:
				if more {
					batch = append(batch, in)
				}
			default:
				more = false
			}
		}
		for _, done := range s.c.submit(ctx, s.widget, s.who, batch...) {
			if done.problem != nil {
				s.c.metrics.refused(done.problem.Code)
				s.write(ctx, done.problem)
			} else {
				s.write(ctx, done.ack)
			}
			s.pending.Done()
		}
	}
}

// stop closes the connection once the channel is stopping and every frame that was taken has its answer.
func (s *socket) stop(ctx context.Context) {
	select {
	case <-ctx.Done():
		return
	case <-s.c.stopping:
	}
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.pending.Wait()
	s.end(websocket.StatusGoingAway, "stopping", "this server is stopping: go on elsewhere")
}

// ping finds out whether the client is there.
func (s *socket) ping(ctx context.Context) {
	tick := time.NewTicker(s.c.limits.Ping)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		waiting, cancel := context.WithTimeout(ctx, s.c.limits.Ping)
		err := s.conn.Ping(waiting)
		cancel()
		if err != nil && ctx.Err() == nil {
			s.ended.Do(func() { s.c.metrics.refused("silent") })
			_ = s.conn.CloseNow() // it does not answer: there is nobody to tell
			return
		}
	}
}

var errNotRead = errors.New("the client is gone")

// follow shows the visitor what happens in the thread.
func (s *socket) follow(ctx context.Context, cursor string) {
	for {
		err := s.c.cfg.Follower.Follow(ctx, s.who.thread(), cursor, func(f channel.Filed) error { return s.show(ctx, f) })
		switch {
		case ctx.Err() != nil, errors.Is(err, errNotRead):
			return
		case errors.Is(err, channel.ErrStaleCursor):
			s.c.metrics.resets.Inc()
			if s.ready, cursor = false, ""; !s.write(ctx, mark{Type: "reset"}) {
				return
			}
		default:
			s.c.log.Warn("a thread cannot be followed now: its client comes again", "error", err)
			s.end(websocket.StatusTryAgainLater, "unavailable", "the thread cannot be followed now: come again with your cursor")
			return
		}
	}
}

// show sends an event. Where there is none, or none for visitors, the cursor is sent on its own: once, which tells that the
// history is complete, and then from time to time.
func (s *socket) show(ctx context.Context, filed channel.Filed) error {
	f, ok := visible(filed, s.widget, s.who)
	switch {
	case ok:
		s.c.metrics.events.Inc()
		if ok = s.write(ctx, f); ok && f.Name == event.TypeMessageSent {
			select {
			case s.said <- f.From:
			case <-ctx.Done():
			}
		}
	case filed.Cursor == "", s.ready && time.Since(s.marked) < markEvery:
		return nil
	default:
		s.ready = true
		ok = s.write(ctx, mark{Type: "ready", Cursor: filed.Cursor})
	}
	if filed.Cursor != "" {
		s.marked = time.Now()
	}
	if !ok {
		return errNotRead
	}
	return nil
}
