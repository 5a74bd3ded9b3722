package linker_test

import (
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/continuation"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/linker"
)

// started tells that a call began that continues another one.
func started(call, continues string) *eventv1.Submission {
	s := said(call)
	s.Type, s.Thread, s.Channel, s.Inbox, s.Provider = event.TypeInteractionStarted, call, eventv1.Channel_CHANNEL_VOICE, "hotline", "asterisk"
	s.Content = &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{Continues: continues}}}
	return s
}

func TestATokenJoinsTheInteractionThatItNamesAndTheOneThatBringsIt(t *testing.T) {
	w := newWorld(t)
	tokens, err := continuation.New(w.keyring)
	must(t, err)
	chat, err := event.ParseID(w.submit(said("chat"))[0].EventID)
	must(t, err)
	call := said("call")
	call.CorrelationId = tokens.Issue(tenant, chat, noon.Add(time.Minute))
	first := w.submit(call)[0].EventID
	later := said("later")
	later.Thread, later.CorrelationId = call.GetThread(), call.GetCorrelationId()
	w.submit(later)
	w.run()
	got := w.conversations(linker.RuleContinuation)
	if want := sorted(chat.String(), first); len(got) != 1 || got[0] != want {
		t.Errorf("joined %v, want %v", got, want)
	}
}

func TestATokenThatIsNotGoodJoinsNothing(t *testing.T) {
	w := newWorld(t)
	tokens, err := continuation.New(w.keyring)
	must(t, err)
	chat, err := event.ParseID(w.submit(said("chat"))[0].EventID)
	must(t, err)
	good := tokens.Issue(tenant, chat, noon.Add(time.Minute))
	for name, token := range map[string]string{
		"expired when it was brought": tokens.Issue(tenant, chat, noon),
		"another tenant's":            tokens.Issue("other", chat, noon.Add(time.Minute)),
		"made up":                     good[:len(good)-2] + "AA",
		"no token":                    "order-17",
	} {
		s := said("call " + name)
		s.CorrelationId = token
		w.submit(s)
	}
	itself := said("itself")
	itself.Thread, itself.CorrelationId = "chat/chat", good
	w.submit(itself)
	w.run()
	if links, _ := w.asked(); len(links) != 0 {
		t.Error(links)
	}
}

func TestACallThatContinuesACallIsJoinedToIt(t *testing.T) {
	w := newWorld(t)
	second := w.submit(started("call-1", ""), started("call-2", "call-1"))[1].EventID
	w.run()
	got := w.conversations(linker.RuleContinues)
	if want := sorted(w.threadOf("hotline", "call-1"), second); len(got) != 1 || got[0] != want {
		t.Errorf("joined %v, want %v", got, want)
	}
}

func TestAnInteractionThatTheProviderNamesContinuesOneOfItsThread(t *testing.T) {
	w := newWorld(t)
	s := started("conversation", "leg-1")
	s.Interaction = "leg-2"
	w.submit(s)
	w.run()
	ids := w.keyring.Tenant(tenant)
	thread := ids.Thread("hotline", "conversation")
	got := w.conversations(linker.RuleContinues)
	if want := sorted(ids.Interaction(thread, "leg-1").String(), ids.Interaction(thread, "leg-2").String()); len(got) != 1 || got[0] != want {
		t.Errorf("joined %v, want %v", got, want)
	}
}
