package linker

import (
	"context"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// RuleReferences is the rule that joins threads of mails.
const RuleReferences = "mail.references"

// references joins the threads of mails that refer to one another. A thread is named after the first reference of a mail; programs cut
// References, and one exchange comes into several inboxes, so that it falls into several threads.
type references struct {
	memory *memory
	blobs  event.Blobs
}

func (*references) wants(e *eventv1.Event) bool {
	return e.GetChannel() == eventv1.Channel_CHANNEL_EMAIL && (e.GetType() == event.TypeMessageReceived || e.GetType() == event.TypeMessageSent)
}

func (x *references) find(ctx context.Context, r *record) ([]request, error) {
	content, err := event.Whole(ctx, r.content, x.blobs)
	if err != nil {
		return nil, err
	}
	here := r.thread()
	messages := messageIDs(content)
	if len(messages) == 0 {
		return nil, nil
	}
	threads, err := x.memory.threads(ctx, r.GetTenant(), messages, here)
	if err != nil {
		return nil, err
	}
	var all []request
	for _, there := range threads {
		if there != here {
			all = append(all, conversation(RuleReferences, "a mail of one thread refers to a mail of the other", there, here))
		}
	}
	return all, nil
}

// messageIDs are those that a mail shows, each once: its own, what it answers and refers to, the mail that it reports on, and the one that its thread
// is named after. A text without "@" is none: it names a mail inside its inbox at most.
func messageIDs(content *eventv1.Content) []string {
	m := content.GetMessageReceived()
	if m == nil {
		m = content.GetMessageSent()
	}
	ids := append([]string{content.GetNativeId(), content.GetNativeThread(), m.GetInReplyTo(), m.GetBounce().GetMessageId()}, m.GetReferences()...)
	ids = slices.DeleteFunc(ids, func(id string) bool { return !strings.Contains(id, "@") })
	slices.Sort(ids)
	return slices.Compact(ids)
}
