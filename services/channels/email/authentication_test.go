package email_test

import (
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/email"
)

// The fields are composed after RFC 8601, appendix B, and what OpenDMARC, rspamd and Microsoft write.
func TestAForgedSenderIsNotTheCompany(t *testing.T) {
	in := support(t)
	in.Trusted = []string{"mx.lumen.example"}
	const sent, received = event.TypeMessageSent, event.TypeMessageReceived
	for name, tt := range map[string]struct{ fields, want string }{
		"nothing is known":                 {"", sent},
		"DMARC passes":                     {"mx.lumen.example; dmarc=pass header.from=lumen.example", sent},
		"DMARC fails":                      {"mx.lumen.example; dmarc=fail (p=none; dis=none) header.from=lumen.example", received},
		"DMARC fails, SPF passes":          {"mx.lumen.example; spf=pass smtp.mailfrom=evil.example; dmarc=fail header.from=lumen.example", received},
		"DMARC fails in another field":     {"mx.lumen.example; spf=pass smtp.mailfrom=lumen.example\nAuthentication-Results: mx.lumen.example; dmarc=fail header.from=lumen.example", received},
		"a pass was put beside the fail":   {"mx.lumen.example; dmarc=fail header.from=lumen.example\nAuthentication-Results: mx.lumen.example; dmarc=pass", received},
		"another server says so":           {"mx.evil.example; dmarc=fail header.from=lumen.example", sent},
		"DKIM of the company passes":       {"mx.lumen.example 1; dkim=pass header.d=mail.lumen.example; spf=fail smtp.mailfrom=x@list.example", sent},
		"DKIM of somebody passes":          {"mx.lumen.example; dkim=pass header.d=evil.example; dkim=fail header.d=lumen.example", received},
		"DKIM fails":                       {"mx.lumen.example; dkim=fail (signature did not verify) header.d=lumen.example", received},
		"SPF fails":                        {"mx.lumen.example; spf=fail smtp.mailfrom=jo@lumen.example", received},
		"SPF fails softly":                 {"mx.lumen.example; spf=softfail smtp.mailfrom=jo@lumen.example", sent},
		"the sender's mailbox says a pass": {`mx.lumen.example; spf=pass smtp.mailfrom="x; dmarc=pass smtp.mailfrom=lumen.example"@evil.example; dkim=fail header.d=lumen.example`, received},
		"the sender's mailbox hides it":    {`mx.lumen.example; spf=none smtp.mailfrom="; x"@evil.example; dmarc=fail header.from=lumen.example`, received},
		"a comment hides it":               {`mx.lumen.example; spf=none (helo=evil( smtp.mailfrom=evil.example; dmarc=fail header.from=lumen.example`, received},
		"it logged in":                     {"mx.lumen.example; auth=pass smtp.auth=help", sent},
		"nothing was checked":              {"mx.lumen.example; none", sent},
	} {
		raw := "Return-Path: <x@evil.example>\nReceived: from evil by mx\n"
		if tt.fields != "" {
			raw += "Authentication-Results: " + tt.fields + "\n"
		}
		raw += "From: help@lumen.example\nTo: jo@example.com\nMessage-ID: <1@a>\n\nPay here\n"
		s := email.Parse([]byte(raw)).Submission(in)
		if s.GetType() != tt.want {
			t.Errorf("where %s it is %s, want %s", name, s.GetType(), tt.want)
		}
		forged := tt.want == received
		if side := s.GetParties()[0].GetSide(); forged && (side != eventv1.Side_SIDE_UNSPECIFIED || s.GetActor() != nil) {
			t.Errorf("where %s its sender is %v, its actor %v", name, side, s.GetActor())
		}
	}
}

// A field that the sender wrote stands below those of the servers on the way, behind the mail's own, and counts for nothing.
func TestResultsThatTheSenderWroteCountForNothing(t *testing.T) {
	in := support(t)
	in.Trusted = []string{"mx.lumen.example"}
	m := parse(t, "From: help@lumen.example", "Authentication-Results: mx.lumen.example; dmarc=pass", "", "x")
	if a := m.Submission(in).GetContent().GetAuthentication(); a != nil {
		t.Errorf("found %v", a)
	}
}

func TestWhatTheServerFoundOutIsKeptAndIsNoPartOfTheDigest(t *testing.T) {
	in := support(t)
	in.Trusted = []string{"mx.lumen.example"}
	const mail = "From: jo@example.com\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
	host := channeltest.NewHost()
	for _, raw := range []string{
		"Authentication-Results: mx.lumen.example;\r\n\tdkim=pass header.d=example.com;\r\n\tspf=softfail smtp.mailfrom=<jo@bounce.example.com>;\r\n" +
			"\tdmarc=pass (p=reject; dis=none) header.from=example.com\r\n" + mail, mail,
		"Authentication-Results: mx.lumen.example; dkim=temperror header.d=example.com\r\n" + mail,
	} {
		if reason, err := email.Parse([]byte(raw)).Deliver(t.Context(), host, in); err != nil || reason != "" {
			t.Fatal(err, reason)
		}
	}
	if len(host.Events()) != 1 || len(host.Conflicts()) != 0 {
		t.Fatalf("%d events, %d conflicts", len(host.Events()), len(host.Conflicts()))
	}
	a := host.Events()[0].Content.GetAuthentication()
	var got []string
	for _, r := range a.GetResults() {
		got = append(got, r.GetMethod()+" "+r.GetResult()+" "+r.GetDomain())
	}
	if want := "dkim pass example.com, spf softfail bounce.example.com, dmarc pass example.com"; strings.Join(got, ", ") != want || a.GetServer() != "mx.lumen.example" {
		t.Errorf("%s found %s", a.GetServer(), strings.Join(got, ", "))
	}
}

func FuzzAuthenticationResults(f *testing.F) {
	for _, seed := range []string{
		"mx.lumen.example; dmarc=fail header.from=lumen.example", `mx.lumen.example 1; spf=pass smtp.mailfrom="a;b"@x; dkim=pass (a(b)c) header.d=x`,
		"mx.lumen.example; dkim==; ;;=; arc=pass header.oldest-pass=x", "(\"",
	} {
		f.Add(seed)
	}
	in := support(f)
	in.Trusted = []string{"mx.lumen.example"}
	f.Fuzz(func(t *testing.T, field string) {
		// What stands in quotes or comments turns no failure into a pass.
		quoted := strings.NewReplacer("\r", "", "\n", "", `"`, "", `\`, "").Replace(field)
		raw := "Authentication-Results: mx.lumen.example; spf=pass smtp.mailfrom=\"" + quoted + "\"@evil.example; dkim=fail header.d=lumen.example\r\n" +
			"From: help@lumen.example\r\n\r\nx\r\n"
		if s := email.Parse([]byte(raw)).Submission(in); s.GetType() != event.TypeMessageReceived {
			t.Errorf("%q makes it %s", field, s.GetType())
		}
		raw = "Authentication-Results: " + strings.NewReplacer("\r", "", "\n", "").Replace(field) + "\r\nFrom: jo@example.com\r\n\r\nx\r\n"
		host := channeltest.NewHost()
		if reason, err := email.Parse([]byte(raw)).Deliver(t.Context(), host, in); err != nil || reason != "" {
			t.Fatal(err, reason)
		}
	})
}
