package sender

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/email"
)

// maxMail is how large a mail with its files may become; most servers take no more than 25 MB.
const maxMail = 35 << 20

// Outbox is the channel.Sender of a mail inbox: what is asked for becomes a mail, which goes to a Sender's server. Its
// Message-ID holds the thread and the request, so another attempt is the same mail, byte for byte.
type Outbox struct {
	sender *Sender
	inbox  email.Inbox
	from   email.Address
}

var _ channel.Sender = (*Outbox)(nil)

// NewOutbox sends for an inbox, in the name of an address that is one of the inbox's own.
func NewOutbox(s *Sender, in email.Inbox, from email.Address) (*Outbox, error) {
	if _, own := in.Own.Find(from.Mailbox); !own || in.MessageIDs == nil {
		return nil, fmt.Errorf("email/sender: an outbox of the inbox %q needs a maker of Message-IDs, and an address that is the inbox's own", in.ID)
	}
	return &Outbox{sender: s, inbox: in, from: from}, nil
}

// Send implements channel.Sender.
func (o *Outbox) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	if out.Tenant != o.inbox.Tenant || out.Inbox != o.inbox.ID {
		return channel.Sent{}, &channel.RefusedError{Code: "unknown_inbox", Reason: "there is no such mail inbox"}
	}
	envelope := Envelope{From: o.from.Mailbox}
	for _, a := range out.To {
		if a.GetKind() == eventv1.EndpointKind_ENDPOINT_KIND_EMAIL {
			envelope.To = append(envelope.To, a.GetValue())
		}
	}
	if len(envelope.To) == 0 {
		return channel.Sent{}, &channel.RefusedError{Code: "no_recipient", Reason: "the request names no mail address"}
	}
	raw, err := o.compose(ctx, out, envelope.To)
	if err != nil {
		return channel.Sent{}, err
	}
	result, err := o.sender.Send(ctx, envelope, bytes.NewReader(raw))
	if err != nil {
		return channel.Sent{}, err
	}
	switch result.Outcome {
	case Accepted:
		m := email.Parse(raw)
		echo := m.Submission(o.inbox)
		for _, f := range out.Attachments { // the parser's are the same, but for where they lie
			echo.Content.Attachments = append(echo.Content.Attachments, f.Attachment)
		}
		return channel.Sent{NativeID: echo.GetNativeId(), Echo: echo}, nil
	case Refused:
		code := result.Status
		if code == "" {
			code = strconv.Itoa(result.Code)
		}
		return channel.Sent{}, &channel.RefusedError{Code: code, Reason: result.Reason}
	case Unknown:
		return channel.Sent{}, fmt.Errorf("email/sender: %w: %s", channel.ErrUnknown, result.Reason)
	case Retry:
	}
	return channel.Sent{}, fmt.Errorf("email/sender: %w: %s", channel.ErrRetry, result.Reason)
}

// Idempotent implements channel.Sender: a mail that is sent twice may arrive twice.
func (o *Outbox) Idempotent() bool { return false }

// AttemptTime is how long the server may take, from the greeting to its answer to the dot, for which alone RFC 5321, section 4.5.3.2, gives it ten
// minutes: of a mail that is given up there nobody knows whether it was sent.
func (o *Outbox) AttemptTime() time.Duration { return 15 * time.Minute }

// compose makes the mail. What cannot become one is refused.
func (o *Outbox) compose(ctx context.Context, out channel.Outgoing, to []string) ([]byte, error) {
	_, domain, _ := strings.Cut(o.from.Mailbox, "@")
	id, err := o.inbox.MessageIDs.Make(out.Tenant, out.Inbox, out.Thread, out.RequestID, domain)
	if err != nil {
		return nil, &channel.RefusedError{Code: "no_message_id", Reason: err.Error()}
	}
	m := out.Message
	mail := &email.Outgoing{
		From: o.from, Subject: m.GetSubject(), Date: out.RequestedAt, MessageID: id, InReplyTo: m.GetInReplyTo(), References: m.GetReferences(),
		Text: m.GetText(), HTML: m.GetHtml(), AutoReply: m.GetAutoReply(),
	}
	for _, address := range to {
		mail.To = append(mail.To, email.Address{Mailbox: address})
	}
	var opened []io.Closer
	defer func() {
		for _, f := range opened {
			_ = f.Close() // it was only read
		}
	}()
	for _, f := range out.Attachments {
		data, err := f.Open(ctx)
		if err != nil {
			return nil, err
		}
		opened = append(opened, data)
		mail.Files = append(mail.Files, email.File{
			Name: f.GetName(), MediaType: f.GetBlob().GetMediaType(), ContentID: f.GetContentId(), Data: data,
		})
	}
	var raw limited
	switch err := email.Compose(&raw, mail); {
	case errors.Is(err, errTooLarge):
		return nil, &channel.RefusedError{Code: "too_large", Reason: "the mail is larger than 35 MiB"}
	case err != nil:
		return nil, &channel.RefusedError{Code: "no_mail", Reason: err.Error()}
	}
	return raw.mail.Bytes(), nil
}

var errTooLarge = errors.New("email/sender: too large")

// limited holds as much as a mail may have.
type limited struct{ mail bytes.Buffer }

func (l *limited) Write(p []byte) (int, error) {
	if l.mail.Len()+len(p) > maxMail {
		return 0, errTooLarge
	}
	return l.mail.Write(p)
}
