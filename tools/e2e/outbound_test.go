package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-smtp"

	"github.com/skein-cx/skein/pkg/freeport"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// smarthost is a mail server that keeps what it is handed.
type smarthost struct {
	mu    sync.Mutex
	mails []string
}

func (s *smarthost) NewSession(*smtp.Conn) (smtp.Session, error) { return s, nil }
func (s *smarthost) Reset()                                      {}
func (s *smarthost) Logout() error                               { return nil }
func (s *smarthost) Mail(string, *smtp.MailOptions) error        { return nil }
func (s *smarthost) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody@") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user"}
	}
	return nil
}

func (s *smarthost) Data(r io.Reader) error {
	raw, err := io.ReadAll(r)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.mails = append(s.mails, string(raw))
	return err
}

func (s *smarthost) got() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string(nil), s.mails...)
}

// startSmarthost starts one that ends with the test.
func startSmarthost(t *testing.T) (*smarthost, string) {
	t.Helper()
	host := &smarthost{}
	server := smtp.NewServer(host)
	server.Addr = freeport.Addr(t)
	go func() { _ = server.ListenAndServe() }()
	t.Cleanup(func() { _ = server.Close() })
	return host, server.Addr
}

// entries are what the timeline of an address holds: type, thread and text.
func entries(s *skeintest.Site, address string) (types []string, thread, shown string) {
	s.T.Helper()
	shown = s.Run("timeline", "--json", "--server", s.GRPC, address)
	for line := range strings.Lines(shown) {
		var e struct {
			Event struct{ Type, ThreadID string }
		}
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.T.Fatalf("%v in %s", err, line)
		}
		types, thread = append(types, e.Event.Type), e.Event.ThreadID
	}
	return types, thread, shown
}

// A reply goes out through the channel that it came from, once, though Skein is killed: as a mail whose answer comes into its
// thread, and as a short message. What nobody takes is told as failed.
func TestAReplyGoesOutThroughItsChannelOnce(t *testing.T) {
	host, relay := startSmarthost(t)
	var sms sync.Map
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		sms.Store(r.Form.Get("To")+": "+r.Form.Get("Body"), true)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprint(w, `{"sid":"SM00000000000000000000000000000001","status":"queued"}`)
	}))
	defer api.Close()
	config := filepath.Join(t.TempDir(), "skein.yaml")
	text := `inboxes:
  - {id: support, tenant: default, channel: email, addresses: ["support@skein.example"], from: support@skein.example, name: Support, smtp: {addr: "` + relay + `", tls: none}}
  - {id: sms, tenant: default, channel: twilio, twilio: {account_sid: AC00000000000000000000000000000000, auth_token: t0ken, numbers: ["+4930200100"],
     base_urls: ["https://skein.example"], api_url: "` + api.URL + `"}}
`
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	srv := s.Up("-c", config)
	post := func(from, subject, more string) {
		t.Helper()
		mail := "From: <" + from + ">\r\nTo: support@skein.example\r\nSubject: " + subject + "\r\nDate: Mon, 2 Mar 2026 08:14:00 +0000\r\nMessage-ID: <" +
			subject + "@mail.example>\r\n" + more + "\r\nIt is about " + subject + ".\r\n"
		c, err := smtp.Dial(s.SMTP)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if err := c.SendMail(from, []string{"support@skein.example"}, strings.NewReader(mail)); err != nil {
			t.Fatal(err)
		}
	}
	settled := func(address, typ string) string {
		t.Helper()
		var thread string
		srv.WaitFor("telling of "+typ, func() bool {
			types, in, _ := entries(s, address)
			thread = in
			return strings.Contains(strings.Join(types, " "), typ)
		})
		return thread
	}

	post("anna@example.com", "kettle", "")
	thread := settled("anna@example.com", "message.received")
	request := []string{"send", "--server", s.GRPC, "--thread", thread, "--agent", "ada", "--text", "A new one is on its way.", "--id", "r-1"}
	s.Run(request...)
	settled("anna@example.com", "message.sent")
	srv.Kill()
	srv = s.Up("-c", config)
	s.Run(request...) // asked again, nothing more is sent
	if sent := host.got(); len(sent) != 1 || !strings.Contains(sent[0], "A new one is on its way.") || !strings.Contains(sent[0], "In-Reply-To: <kettle@mail.example>") {
		t.Fatalf("the server got %q", sent)
	}
	_, id, _ := strings.Cut(host.got()[0], "Message-Id: <")
	id, _, _ = strings.Cut(id, ">")
	post("anna@example.com", "thanks", "In-Reply-To: <"+id+">\r\n") // and no References
	srv.WaitFor("showing the answer in its thread", func() bool {
		_, _, shown := entries(s, "anna@example.com")
		return strings.Count(shown, thread) >= 4 && strings.Contains(shown, "It is about thanks.")
	})

	post("nobody@example.com", "parcel", "")
	s.Run("send", "--server", s.GRPC, "--thread", settled("nobody@example.com", "message.received"), "--text", "Hello?")
	settled("nobody@example.com", "message.failed")

	incoming := filepath.Join(t.TempDir(), "sms.json")
	if err := os.WriteFile(incoming, []byte(`{"type":"message.received","channel":"CHANNEL_SMS","direction":"DIRECTION_INBOUND","provider":"twilio","inbox":"sms","thread":"+4930901820/+4930200100","nativeId":"SM1","parties":[{"address":{"kind":"ENDPOINT_KIND_PHONE","value":"+4930901820"},"role":"PARTY_ROLE_SENDER","side":"SIDE_CUSTOMER"}],"actor":{"kind":"ACTOR_KIND_CUSTOMER"},"content":{"messageReceived":{"text":"Where is it?"}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Run("publish", "--server", s.GRPC, incoming)
	s.Run("send", "--server", s.GRPC, "--thread", settled("+4930901820", "message.received"), "--text", "At your door.")
	settled("+4930901820", "message.sent")
	if _, ok := sms.Load("+4930901820: At your door."); !ok {
		t.Error("no short message went out")
	}
	quit(t, srv)
}
