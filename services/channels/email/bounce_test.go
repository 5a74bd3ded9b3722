package email_test

import (
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// A report that a mail did not arrive belongs to that mail's thread, and tells that it failed.
func TestABounceBelongsToItsMail(t *testing.T) {
	in := support(t)
	in.MessageIDs = messageIDs(t, 1)
	ours := makeID(t, in.MessageIDs, "0@example.com", "request 1")
	for name, tt := range map[string]struct {
		report, returned, thread string
		failed                   int
	}{
		"first of a thread":           {"X-Id: 1", "From: help@lumen.example\nMessage-ID: <out@lumen.example>", "out@lumen.example", 1},
		"answer":                      {"X-Id: 1", "From: help@lumen.example\nMessage-ID: <out@lumen.example>\nReferences: <0@example.com> <1@example.com>", "0@example.com", 1},
		"answer without references":   {"X-Id: 1", "From: help@lumen.example\nMessage-ID: <out@lumen.example>\nIn-Reply-To: <1@example.com>", "1@example.com", 1},
		"one that holds its thread":   {"X-Id: 1", "From: robot@else.example\nMessage-ID: <" + ours + ">", "0@example.com", 1},
		"report with references":      {"References: <7@example.com>", "From: help@lumen.example\nMessage-ID: <out@lumen.example>", "7@example.com", 1},
		"somebody else's mail":        {"X-Id: 1", "From: jo@else.example\nMessage-ID: <out@else.example>", "out@else.example", 0},
		"mail without a Message-ID":   {"X-Id: 1", "From: help@lumen.example", "report@mx.example", 0},
		"mail behind a server's line": {"X-Id: 1", "Received: from a by b\nFrom: help@lumen.example\nMessage-ID: <out@lumen.example>", "out@lumen.example", 1},
	} {
		for _, returned := range []string{"message/rfc822", "text/rfc822-headers"} {
			m := parse(t, "From: MAILER-DAEMON@mx.example", "Message-ID: <report@mx.example>", tt.report, "Content-Type: multipart/report; report-type=delivery-status; boundary=b",
				"", "--b", "", "It did not arrive.", "--b", "Content-Type: message/delivery-status", "", "Reporting-MTA: dns; mx.example", "",
				"Final-Recipient: rfc822; jo@example.com", "Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; 550 no such user", "",
				"Final-Recipient: rfc822; late@example.com", "Action: delayed", "Status: 4.4.1", "--b", "Content-Type: "+returned, "", tt.returned, "", "--b--")
			all := m.Submissions(in)
			if len(all) != 1+tt.failed || all[0].GetType() != event.TypeMessageReceived || all[0].GetThread() != tt.thread {
				t.Fatalf("%s: %d events, the first %s in %s", name, len(all), all[0].GetType(), all[0].GetThread())
			}
			for _, s := range all[1:] {
				f := s.GetContent().GetMessageFailed()
				if s.GetType() != event.TypeMessageFailed || s.GetThread() != tt.thread || s.GetNativeId() != m.Bounce.GetMessageId() || f.GetMessage() != m.Bounce.GetMessageId() ||
					f.GetCode() != "5.1.1" || f.GetReason() != "550 no such user" || len(s.GetParties()) != 1 ||
					s.GetParties()[0].GetAddress().GetValue() != "jo@example.com" || s.GetParties()[0].GetSide() != eventv1.Side_SIDE_CUSTOMER {
					t.Errorf("%s: %v", name, s)
				}
			}
		}
	}
}

// Blind copies stand only in the sender's own copy, so they are an event beside the mail's.
func TestBlindCopiesAreAnEventOfTheirOwn(t *testing.T) {
	in := support(t)
	const mail = "From: help@lumen.example\nTo: jo@example.com\nMessage-ID: <1@lumen.example>\n"
	plain := parse(t, strings.Split(mail, "\n")[0], strings.Split(mail, "\n")[1], strings.Split(mail, "\n")[2], "", "x").Submissions(in)
	kept := parse(t, "From: help@lumen.example", "To: jo@example.com", "Bcc: Bo <bo@example.com>, colleague@lumen.example, junk", "Message-ID: <1@lumen.example>", "", "x").Submissions(in)
	if len(plain) != 1 || len(kept) != 2 || kept[1].GetType() != event.TypePartyJoined {
		t.Fatalf("%d and %d events", len(plain), len(kept))
	}
	if plain[0].String() != kept[0].String() {
		t.Errorf("the sender's copy says %v, the other %v", kept[0], plain[0])
	}
	if p := kept[1].GetParties(); len(p) != 1 || p[0].GetAddress().GetValue() != "bo@example.com" || p[0].GetRole() != eventv1.PartyRole_PARTY_ROLE_BCC {
		t.Errorf("parties %v", p)
	}
}

func TestWhatLiesInAFolderOfSentMailsTheCompanySent(t *testing.T) {
	in := support(t)
	in.Sent = true
	s := parse(t, "From: jo.private@elsewhere.example", "To: jo@example.com", "", "x").Submission(in)
	if s.GetType() != event.TypeMessageSent || s.GetActor().GetKind() != eventv1.ActorKind_ACTOR_KIND_AGENT || s.GetParties()[0].GetSide() != eventv1.Side_SIDE_COMPANY {
		t.Errorf("it is %v", s)
	}
}
