// Package demo is the story that "skein up --demo" plays through the real channels. Its mails are the same at every
// play, so that playing it again adds nothing.
package demo

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// Inbox is the company's address in the story.
const Inbox = "support@skein.example"

// Mail is one mail of the story.
type Mail struct {
	// From is the sender.
	From string
	// Raw is the mail as it goes over the wire.
	Raw []byte
}

// Addresses are the customers of the story.
func Addresses() []string { return []string{anna, lina} }

// Story composes the mails.
func Story() ([]Mail, error) {
	var mails []Mail
	for _, s := range scenes() {
		raw, err := s.compose()
		if err != nil {
			return nil, fmt.Errorf("demo: compose %s: %w", s.id, err)
		}
		mails = append(mails, Mail{From: s.from.Address, Raw: raw})
	}
	return mails, nil
}

// Send delivers the mail to the inbox by SMTP.
func (m Mail) Send(ctx context.Context, addr string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("demo: %w", err)
	}
	c := smtp.NewClient(conn)
	defer c.Close()
	if err := c.SendMail(m.From, []string{Inbox}, bytes.NewReader(m.Raw)); err != nil {
		return fmt.Errorf("demo: send a mail to %s: %w", addr, err)
	}
	return nil
}

func (s scene) compose() ([]byte, error) {
	var h mail.Header
	h.SetDate(s.at)
	h.SetAddressList("From", []*mail.Address{s.from})
	h.SetAddressList("To", []*mail.Address{s.to})
	h.SetSubject(s.subject)
	h.SetMessageID(s.id)
	if len(s.after) > 0 {
		h.SetMsgIDList("In-Reply-To", s.after[len(s.after)-1:])
		h.SetMsgIDList("References", s.after)
	}
	var b bytes.Buffer
	w, err := mail.CreateWriter(&b, h)
	if err != nil {
		return nil, err
	}
	if err := s.writeText(w); err != nil {
		return nil, err
	}
	if s.fileName != "" {
		var ah mail.AttachmentHeader
		ah.SetFilename(s.fileName)
		ah.SetContentType(s.fileType, nil)
		if err := write(w.CreateAttachment(ah))(s.file); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func (s scene) writeText(w *mail.Writer) error {
	var h mail.InlineHeader
	h.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	return write(w.CreateSingleInline(h))([]byte(s.text))
}

func write(w io.WriteCloser, err error) func([]byte) error {
	return func(b []byte) error {
		if err != nil {
			return err
		}
		if _, err := w.Write(b); err != nil {
			return err
		}
		return w.Close()
	}
}

func at(day, hour, minute int) time.Time {
	return time.Date(2026, time.March, day, hour, minute, 0, 0, time.UTC)
}
