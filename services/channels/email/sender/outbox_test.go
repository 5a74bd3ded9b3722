package sender_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/sender"
)

func outbox(t *testing.T, addr string) (*sender.Outbox, email.Inbox) {
	t.Helper()
	ids, err := email.NewMessageIDs(make([]byte, 32))
	if err != nil {
		t.Fatal(err)
	}
	own := &email.Routes[struct{}]{}
	if err := own.Add("help@lumen.example", struct{}{}); err != nil {
		t.Fatal(err)
	}
	inbox := email.Inbox{Tenant: "lumen", ID: "support", Own: own, MessageIDs: ids}
	s, err := sender.New(sender.Config{Addr: addr, TLS: sender.None})
	if err != nil {
		t.Fatal(err)
	}
	o, err := sender.NewOutbox(s, inbox, email.Address{Name: "Lumen", Mailbox: "help@lumen.example"})
	if err != nil {
		t.Fatal(err)
	}
	return o, inbox
}

// asked is a request to answer Jo's mail.
func asked() channel.Outgoing {
	return channel.Outgoing{
		Tenant: "lumen", Inbox: "support", Thread: "lamp-1@mail.example", RequestID: "01f3a1c2-0000-8000-8000-000000000001",
		To:          []*eventv1.Address{{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "jo@example.com"}},
		Message:     &eventv1.Message{Subject: "Re: The lamp", Text: "We send a new one.", InReplyTo: "lamp-1@mail.example", References: []string{"lamp-1@mail.example"}},
		RequestedAt: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC), Attempt: 1,
	}
}

// handed gives the mail that a server was handed.
func handed(got string) string {
	_, after, _ := strings.Cut(got, "DATA\n")
	raw, _, _ := strings.Cut(after, "\n.\n")
	return strings.ReplaceAll(raw, "\n", "\r\n") + "\r\n"
}

func TestARequestBecomesAMailThatComesBackAsTheSameEvent(t *testing.T) {
	var mails []string
	for range 2 { // another attempt is the same mail
		addr, got := script(t, nil)
		o, inbox := outbox(t, addr)
		sent, err := o.Send(t.Context(), asked())
		if err != nil {
			t.Fatal(err)
		}
		raw := handed(<-got)
		mails = append(mails, raw)
		m := email.Parse([]byte(raw))
		if !proto.Equal(m.Submission(inbox), sent.Echo) || sent.NativeID != m.NativeID() {
			t.Errorf("the echo is\n%v\nand the mail in a folder of sent mails would be\n%v", sent.Echo, m.Submission(inbox))
		}
		if sent.Echo.GetType() != "message.sent" || sent.Echo.GetThread() != "lamp-1@mail.example" || sent.Echo.GetContent().GetMessageSent().GetText() != "We send a new one." {
			t.Errorf("the echo is %v", sent.Echo)
		}
	}
	if mails[0] != mails[1] {
		t.Errorf("the attempts differ:\n%s\n%s", mails[0], mails[1])
	}
}

// RFC 5321, section 4.5.3.2: ten minutes for the answer to the dot alone.
func TestAServerHasTheTimeThatTheStandardGivesIt(t *testing.T) {
	if given := (&sender.Outbox{}).AttemptTime(); given < 12*time.Minute {
		t.Errorf("an attempt is given up after %v, before the server has to answer", given)
	}
}

func TestWhatBecameOfARequest(t *testing.T) {
	large := asked()
	large.Attachments = []channel.OutgoingFile{{
		Attachment: &eventv1.Attachment{Name: "film.mp4"},
		Open: func(context.Context) (io.ReadCloser, error) {
			return io.NopCloser(io.LimitReader(endless{}, 64<<20)), nil
		},
	}}
	gone := asked()
	gone.Attachments = []channel.OutgoingFile{{
		Attachment: &eventv1.Attachment{Name: "gone"}, Open: func(context.Context) (io.ReadCloser, error) { return nil, channel.ErrRetry },
	}}
	nobody, elsewhere := asked(), asked()
	nobody.To = []*eventv1.Address{{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "+4930901820"}}
	elsewhere.Inbox = "sales"
	for name, c := range map[string]struct {
		answers map[string]string
		out     channel.Outgoing
		code    string // refused
		is      error
	}{
		"nobody of this name":        {map[string]string{"RCPT TO:<jo@example.com>": "550 5.1.1 no such user"}, asked(), "5.1.1", nil},
		"a server that is busy":      {map[string]string{"MAIL": "451 4.3.0 later"}, asked(), "", channel.ErrRetry},
		"a cut behind the mail":      {map[string]string{".": ""}, asked(), "", channel.ErrUnknown},
		"a file that is too large":   {nil, large, "too_large", nil},
		"a file that cannot be read": {nil, gone, "", channel.ErrRetry},
		"no mail address":            {nil, nobody, "no_recipient", nil},
		"another inbox":              {nil, elsewhere, "unknown_inbox", nil},
	} {
		t.Run(name, func(t *testing.T) {
			addr, _ := script(t, c.answers)
			o, _ := outbox(t, addr)
			_, err := o.Send(t.Context(), c.out)
			refused, isRefused := errors.AsType[*channel.RefusedError](err)
			if isRefused != (c.code != "") || isRefused && refused.Code != c.code || c.is != nil && !errors.Is(err, c.is) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// endless is a file without end.
type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }
