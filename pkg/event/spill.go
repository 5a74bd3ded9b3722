package event

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// What a spilled content may still hold, in bytes. Together with the native ids, the time and two references it stays
// below MaxContent.
const (
	spilledParties     = 128 << 10
	spilledAttachments = 64 << 10
	spilledOriginal    = 8 << 10
	spilledSubject     = 4 << 10
	spilledText        = 16 << 10
)

// Spill cuts the content of a compiled event down to what a record may hold, where it is larger than MaxContent. Store
// the complete content, c.Event.Content, in the blob store first: ref says where it stands. What remains is the parties
// and attachments (the first ones, where they alone are large), the provider's ids, the stated time, the reference to the
// original and what authenticated its sender, and of a message its subject and the head of its text. The digest stays that of the complete content.
func Spill(c *Compiled, ref *eventv1.Blob) error {
	full := c.Content
	head := &eventv1.Content{
		Parties:      fitting(full.GetParties(), spilledParties),
		NativeThread: full.GetNativeThread(),
		NativeId:     full.GetNativeId(),
		StatedAt:     full.GetStatedAt(),
		Attachments:  fitting(full.GetAttachments(), spilledAttachments),
		Spilled:      ref,
	}
	if proto.Size(full.GetOriginal()) <= spilledOriginal { // larger only by fields that this version does not know
		head.Original = full.GetOriginal()
	}
	if proto.Size(full.GetAuthentication()) <= spilledOriginal {
		head.Authentication = full.GetAuthentication()
	}
	switch body := full.GetBody().(type) {
	case *eventv1.Content_MessageReceived:
		head.Body = &eventv1.Content_MessageReceived{MessageReceived: headOf(body.MessageReceived)}
	case *eventv1.Content_MessageSendRequested:
		head.Body = &eventv1.Content_MessageSendRequested{MessageSendRequested: headOf(body.MessageSendRequested)}
	case *eventv1.Content_MessageSent:
		head.Body = &eventv1.Content_MessageSent{MessageSent: headOf(body.MessageSent)}
	case *eventv1.Content_MessageEdited:
		head.Body = &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{
			Message: cut(body.MessageEdited.GetMessage(), spilledSubject),
			Edited:  headOf(body.MessageEdited.GetEdited()),
		}}
	}
	data, err := deterministic.Marshal(head)
	if err != nil {
		return fmt.Errorf("event: serialise the head of a spilled content: %w", err)
	}
	c.Event.Content, c.Content = data, head
	return nil
}

func headOf(m *eventv1.Message) *eventv1.Message {
	return &eventv1.Message{
		Subject:   cut(m.GetSubject(), spilledSubject),
		Text:      cut(m.GetText(), spilledText),
		AutoReply: m.GetAutoReply(),
		Bulk:      m.GetBulk(),
		Truncated: true,
	}
}

// fitting gives the first messages that together serialise to no more bytes than room.
func fitting[M proto.Message](messages []M, room int) []M {
	for i, m := range messages {
		room -= proto.Size(m)
		if room < 0 {
			return messages[:i]
		}
	}
	return messages
}
