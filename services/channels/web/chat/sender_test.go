package chat_test

import (
	"errors"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/web/chat"
)

func TestAMessageToAVisitorIsSentByBeingToldAndRefusedWhereNothingWouldShow(t *testing.T) {
	s := chat.NewSender(chat.Widget{ID: "web", Tenant: "acme"})
	out := channel.Outgoing{Tenant: "acme", Inbox: "web", Thread: "t", RequestID: "r", Message: &eventv1.Message{Text: "Hello"}}
	if sent, err := s.Send(t.Context(), out); err != nil || sent.NativeID != "r" || sent.Echo != nil || !s.Idempotent() {
		t.Errorf("sent %v, %v", sent, err)
	}
	file := out
	file.Message, file.Attachments = nil, []channel.OutgoingFile{{Attachment: &eventv1.Attachment{Name: "invoice.pdf"}}}
	if _, err := s.Send(t.Context(), file); err != nil {
		t.Errorf("a file without a text: %v", err)
	}
	for code, change := range map[string]func(*channel.Outgoing){
		"no_text":       func(o *channel.Outgoing) { o.Message = &eventv1.Message{Html: "<b>Hello</b>"} },
		"unknown_inbox": func(o *channel.Outgoing) { o.Tenant = "other" },
	} {
		out := out
		change(&out)
		var refused *channel.RefusedError
		if _, err := s.Send(t.Context(), out); !errors.As(err, &refused) || refused.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
}
