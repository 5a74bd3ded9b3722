package linker_test

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/linker"
)

// mail is a mail in an inbox; its thread is named as that of a real one.
func mail(inbox, id, inReplyTo string, references ...string) *eventv1.Submission {
	thread := id
	switch {
	case len(references) > 0:
		thread = references[0]
	case inReplyTo != "":
		thread = inReplyTo
	}
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_EMAIL, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "smtp", Inbox: inbox, Thread: thread, NativeId: id, OccurredAt: timestamppb.New(noon),
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{
			Subject: "Kettle", Text: "It leaks", InReplyTo: inReplyTo, References: references,
		}}},
	}
}

// threadOf is a thread's id.
func (w *world) threadOf(inbox, native string) string {
	return w.keyring.Tenant(tenant).Thread(inbox, native).String()
}

func sorted(a, b string) [2]string {
	if a > b {
		return [2]string{b, a}
	}
	return [2]string{a, b}
}

func TestAMailThatRefersToMailsOfTwoThreadsJoinsThem(t *testing.T) {
	w := newWorld(t)
	w.submit(mail("support", "a@x", ""), mail("support", "b@x", ""))
	w.run()
	if got := w.conversations(linker.RuleReferences); len(got) != 0 {
		t.Fatalf("strangers are joined: %v", got)
	}
	w.submit(mail("support", "c@x", "", "a@x", "b@x"))
	w.run()
	got := w.conversations(linker.RuleReferences)
	if want := sorted(w.threadOf("support", "a@x"), w.threadOf("support", "b@x")); len(got) != 1 || got[0] != want {
		t.Errorf("joined %v, want %v", got, want)
	}
}

// The program of somebody who answers an answer may name the answer only: its thread is not that of the first mail.
func TestAnAnswerThatComesBeforeWhatItAnswersJoinsItsThread(t *testing.T) {
	w := newWorld(t)
	w.submit(mail("support", "c@x", "b@x"), mail("support", "b@x", "a@x"))
	w.run()
	got := w.conversations(linker.RuleReferences)
	if want := sorted(w.threadOf("support", "a@x"), w.threadOf("support", "b@x")); len(got) != 1 || got[0] != want {
		t.Errorf("joined %v, want %v", got, want)
	}
}

func TestAMailToTwoInboxesIsOneMatter(t *testing.T) {
	w := newWorld(t)
	w.submit(mail("support", "a@x", ""), mail("sales", "a@x", ""), mail("support", "b@x", "a@x"), mail("sales", "c@x", "a@x"))
	w.run()
	got := w.conversations(linker.RuleReferences)
	if want := sorted(w.threadOf("support", "a@x"), w.threadOf("sales", "a@x")); len(got) != 1 || got[0] != want {
		t.Errorf("joined %v, want %v", got, want)
	}
}

// Two tenants may correspond with each other: one's threads are none of the other's.
func TestMailsOfTwoTenantsAreNotJoined(t *testing.T) {
	w := newWorld(t)
	w.submit(mail("support", "a@x", ""))
	_, err := w.host.Submit(t.Context(), "other", mail("support", "b@x", "", "b@x", "a@x"))
	must(t, err)
	w.run()
	if links, _ := w.asked(); len(links) != 0 {
		t.Error(links)
	}
}

// What is no message id names a mail in its inbox only: the mail 17 of another inbox is another one.
func TestWhatIsNoMessageIDJoinsNothing(t *testing.T) {
	w := newWorld(t)
	w.submit(mail("support", "17", ""), mail("sales", "17", ""), mail("sales", "b@x", "17"))
	w.run()
	if links, _ := w.asked(); len(links) != 0 {
		t.Error(links)
	}
}

func TestTheReferencesOfALargeMailCount(t *testing.T) {
	w := newWorld(t)
	large := mail("support", "c@x", "", "a@x", "b@x")
	large.GetContent().GetMessageReceived().Text = strings.Repeat("long ", 100_000)
	w.submit(mail("support", "b@x", ""), large)
	w.run()
	if got := w.conversations(linker.RuleReferences); len(got) != 1 {
		t.Errorf("joined %v", got)
	}
}

func TestAReportJoinsTheThreadOfTheMailThatDidNotArrive(t *testing.T) {
	w := newWorld(t)
	report := mail("support", "report@x", "z@x")
	report.GetContent().GetMessageReceived().Bounce = &eventv1.Bounce{MessageId: "b@x"}
	w.submit(mail("support", "b@x", "a@x"), report)
	w.run()
	got := w.conversations(linker.RuleReferences)
	if want := sorted(w.threadOf("support", "a@x"), w.threadOf("support", "z@x")); len(got) != 1 || got[0] != want {
		t.Errorf("joined %v, want %v", got, want)
	}
}

// However mails refer to one another, in whichever inboxes and order they come: the links join those threads whose mails share a message
// id, directly or by way of others, and no others.
func TestLinksOfMailsAreTheComponentsOfTheirReferences(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		w := newWorld(rt)
		id := rapid.StringMatching(`[a-l]@x`)
		count := rapid.IntRange(1, 12).Draw(rt, "mails")
		var pairs [][2]string
		var want []string
		for range count {
			inbox := rapid.SampledFrom([]string{"support", "sales"}).Draw(rt, "inbox")
			m := mail(inbox, id.Draw(rt, "id"), rapid.OneOf(rapid.Just(""), id).Draw(rt, "in reply to"), rapid.SliceOfN(id, 0, 3).Draw(rt, "references")...)
			m.Discriminator = binary.AppendUvarint(nil, uint64(len(pairs)))
			w.submit(m)
			message := m.GetContent().GetMessageReceived()
			for _, ref := range append([]string{m.GetNativeId(), message.GetInReplyTo()}, message.GetReferences()...) {
				if ref != "" {
					pairs = append(pairs, [2]string{w.threadOf(inbox, m.GetThread()), ref})
				}
			}
		}
		w.run()
		got := components(w.conversations(linker.RuleReferences))
		for _, c := range components(pairs) { // of threads and ids
			if c = slices.DeleteFunc(c, func(m string) bool { return strings.Contains(m, "@") }); len(c) > 1 {
				want = append(want, strings.Join(c, " "))
			}
		}
		if len(got) != len(want) {
			rt.Fatalf("joined %v, want %v", got, want)
		}
		for _, c := range got {
			if !slices.Contains(want, strings.Join(c, " ")) {
				rt.Fatalf("joined %v, want one of %v", c, want)
			}
		}
	})
}
