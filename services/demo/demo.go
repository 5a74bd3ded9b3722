// Package demo is the story that "skein up --demo" plays: two customers write mails and chat on the site; one of them calls, and writes
// by WhatsApp and WeChat as well; agents and a bot answer. It is a client like any other, and goes through the real channels: mail.go sends
// mails by SMTP, chat.go says what visitors say over a WebSocket, call.go and social.go deliver what Twilio, Meta and Tencent tell by
// signed webhooks, and answer.go publishes over gRPC what the company answers. staff.go tells who works there.
//
// Ids, times and texts are the same at every play, so that playing it again adds nothing.
package demo

import (
	"context"
	"fmt"
	"time"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

const (
	// Inbox is the company's mail address in the story.
	Inbox = "support@skein.example"
	// Widget is the web chat on the company's site.
	Widget = "web"
)

// Addresses are those of the story's customers, for a timeline: each writes mails and visits the site; Anna calls and writes by
// WhatsApp from the same number, and has an open id at WeChat.
func Addresses() []string {
	return []string{anna, "visitor:" + annaVisit.Visitor, annaPhone, "social:wechat/" + WeChatApp + ":" + annaOpenID, lina, "visitor:" + linaVisit.Visitor}
}

// Scene is one moment of the story: a Mail, a Line of a chat, something of a Call, a Delivery of a social network's, or what the company
// has Said by a program of its own.
type Scene struct {
	// ID is the event's native id: the Message-ID of the mail, the id of the message in the chat, or the provider's of what it tells.
	ID string
	// At is when it happened.
	At       time.Time
	Mail     *Mail
	Line     *Line
	Call     *Call
	Delivery *Delivery
	Said     *eventv1.Submission
}

// Player plays scenes against a server. Close it in the end.
type Player struct {
	// SMTP is the address to which mails go.
	SMTP string
	// Chat is the widget's address, such as http://127.0.0.1:7080/chat/v1/web/.
	Chat string
	// Token signs a token for a visitor of the widget, as the site would do for who has signed in.
	Token func(visitor, thread string) (string, error)
	// HTTP is where Twilio's webhooks go, such as http://127.0.0.1:7080, for an inbox of Tenant; TwilioToken signs them.
	HTTP, Tenant, TwilioToken string
	// Sign makes deliveries of a social inbox its provider's, by the inbox.
	Sign map[string]Signer
	// Ingest takes what the company answers.
	Ingest ingestv1.IngestServiceClient
	// Directory and Agents take who works there, and who is at work.
	Directory directoryv1.DirectoryServiceClient
	Agents    agentv1.AgentServiceClient

	sockets map[Visit]*socket
}

// Play lets a scene happen. When it returns, the log has the event and, in a chat, the visitor's page has shown it.
func (p *Player) Play(ctx context.Context, s Scene) error {
	var err error
	switch {
	case s.Mail != nil:
		err = p.send(ctx, s)
	case s.Call != nil:
		err = p.ring(ctx, s)
	case s.Delivery != nil:
		err = p.deliver(ctx, s.Delivery)
	case s.Said != nil:
		err = p.publish(ctx, s.Said)
	case s.Line.By == nil:
		err = p.say(ctx, s)
	default:
		err = p.answer(ctx, s)
	}
	if err != nil {
		return fmt.Errorf("demo: play %s: %w", s.ID, err)
	}
	return nil
}

// Close lets the visitors leave.
func (p *Player) Close() {
	for _, s := range p.sockets {
		s.close()
	}
}
