package demo

import (
	"context"
	"fmt"
	"time"

	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// Visit is a visitor's chat.
type Visit struct{ Visitor, Thread string }

// Line is a scene that is a message in a chat.
type Line struct {
	Visit
	// By is who answers; the visitor speaks where it is nil.
	By   *Colleague
	Text string
}

// say says what a visitor says, and waits until the log has it.
func (p *Player) say(ctx context.Context, s Scene) error {
	socket, err := p.socket(ctx, s.Line.Visit)
	if err != nil {
		return err
	}
	return socket.say(ctx, said{Type: "message", ID: s.ID, Text: s.Line.Text, At: s.At})
}

// socket is the visitor's connection, which stays open until the end of the story.
func (p *Player) socket(ctx context.Context, v Visit) (*socket, error) {
	if s, ok := p.sockets[v]; ok {
		return s, nil
	}
	token, err := p.Token(v.Visitor, v.Thread)
	if err != nil {
		return nil, err
	}
	s, err := dial(ctx, p.Chat+"ws", token)
	if err != nil {
		return nil, fmt.Errorf("chat as %s: %w", v.Visitor, err)
	}
	if p.sockets == nil {
		p.sockets = map[Visit]*socket{}
	}
	p.sockets[v] = s
	return s, nil
}

// socket speaks the protocol of docs/web-chat.md, as much of it as a story needs.
type socket struct {
	conn *websocket.Conn
	// heard are the acknowledgements and events that came, by message id.
	heard map[heard]bool
}

type heard struct{ typ, id string }

// said is a frame of the visitor's, and told one of the server's.
type (
	said struct {
		Type string    `json:"type"`
		ID   string    `json:"id,omitempty"`
		Text string    `json:"text,omitempty"`
		At   time.Time `json:"at,omitzero"`
	}
	told struct {
		Type, ID, Code, Message string
	}
)

// maxFrame is the longest frame that is read.
const maxFrame = 1 << 20

func dial(ctx context.Context, url, token string) (*socket, error) {
	conn, refusal, err := websocket.Dial(ctx, url, &websocket.DialOptions{Subprotocols: []string{"skein.chat.v1", "bearer." + token}})
	if refusal != nil && refusal.Body != nil {
		_ = refusal.Body.Close() // the error says what it held
	}
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(maxFrame)
	s := &socket{conn: conn, heard: map[heard]bool{}}
	if err := wsjson.Write(ctx, conn, said{Type: "resume"}); err != nil { // show me what was said, and what comes
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *socket) say(ctx context.Context, m said) error {
	if err := wsjson.Write(ctx, s.conn, m); err != nil {
		return err
	}
	return s.hear(ctx, "ack", m.ID)
}

// hear reads until a message was acknowledged, or shown as an event.
func (s *socket) hear(ctx context.Context, typ, id string) error {
	for !s.heard[heard{typ, id}] {
		var f told
		if err := wsjson.Read(ctx, s.conn, &f); err != nil {
			return err
		}
		if f.Type == "error" {
			return fmt.Errorf("the chat says %s: %s", f.Code, f.Message)
		}
		s.heard[heard{f.Type, f.ID}] = true
	}
	return nil
}

func (s *socket) close() { _ = s.conn.Close(websocket.StatusNormalClosure, "") } // the server may be gone
