package chat

import (
	"context"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
)

// Sender is the channel.Sender of web chats. Visitors are shown message.sent as it is filed, so sending is that event: there is
// nothing else to be done, and nothing that could be unknown. It needs no Channel in its process.
type Sender struct {
	tenants map[string]string // by widget
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends in the chats of these widgets.
func NewSender(widgets ...Widget) *Sender {
	s := &Sender{tenants: make(map[string]string, len(widgets))}
	for _, w := range widgets {
		s.tenants[w.ID] = w.Tenant
	}
	return s
}

// Send implements channel.Sender. A message with neither text nor files is refused.
func (s *Sender) Send(_ context.Context, out channel.Outgoing) (channel.Sent, error) {
	if s.tenants[out.Inbox] != out.Tenant {
		return channel.Sent{}, &channel.RefusedError{Code: "unknown_inbox", Reason: "there is no such web chat"}
	}
	if strings.TrimSpace(out.Message.GetText()) == "" && len(out.Attachments) == 0 {
		return channel.Sent{}, &channel.RefusedError{Code: "no_text", Reason: "a message in a web chat needs a text or a file"}
	}
	return channel.Sent{NativeID: out.RequestID}, nil
}

// Idempotent implements channel.Sender: the event's id derives from the request's.
func (s *Sender) Idempotent() bool { return true }
