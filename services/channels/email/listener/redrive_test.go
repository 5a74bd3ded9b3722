package listener_test

import (
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/listener"
)

func TestARedrivenMailIsTheEventThatItWouldHaveBeen(t *testing.T) {
	l, err := listener.New(config(listener.LMTP))
	if err != nil {
		t.Fatal(err)
	}
	rejected := channel.Rejection{Tenant: "acme", Provider: email.Provider, Inbox: "help", Raw: []byte(mail)}
	host := channeltest.NewHost()
	for range 2 {
		if err := l.Redrive(t.Context(), host, rejected); err != nil {
			t.Fatal(err)
		}
	}
	want := channeltest.NewHost()
	if _, err := email.Parse([]byte(mail)).Deliver(t.Context(), want, email.Inbox{Tenant: "acme", ID: "help"}); err != nil {
		t.Fatal(err)
	}
	if got := host.Events(); len(got) != 1 || got[0].Event.GetId() != want.Events()[0].Event.GetId() {
		t.Errorf("events: %v", got)
	}

	rejected.Inbox = "gone"
	if err := l.Redrive(t.Context(), host, rejected); err == nil || !strings.Contains(err.Error(), `"gone"`) {
		t.Errorf("an inbox that is not configured: %v", err)
	}
}
