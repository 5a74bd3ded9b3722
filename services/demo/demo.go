// Package demo is the story that "skein up --demo" plays through the real channels. Its mails are the same at every
// play, so that playing it again adds nothing.
package demo

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/emersion/go-message"
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
	defer func() { _ = c.Close() }() // the server has answered
	if err := c.SendMail(m.From, []string{Inbox}, bytes.NewReader(m.Raw)); err != nil {
		return fmt.Errorf("demo: send a mail to %s: %w", addr, err)
	}
	return nil
}

// compose gives the same bytes at every call: a boundary that changed would make another mail.
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
	h.SetContentType("multipart/mixed", map[string]string{"boundary": strings.ReplaceAll(s.id, "@", ".")})
	var b bytes.Buffer
	w, err := message.CreateWriter(&b, h.Header)
	if err != nil {
		return nil, err
	}
	var text message.Header
	text.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	text.Set("Content-Transfer-Encoding", "quoted-printable")
	if err := writePart(w, text, []byte(s.text)); err != nil {
		return nil, err
	}
	if s.fileName != "" {
		var file message.Header
		file.SetContentType(s.fileType, nil)
		file.SetContentDisposition("attachment", map[string]string{"filename": s.fileName})
		file.Set("Content-Transfer-Encoding", "base64")
		if err := writePart(w, file, s.file); err != nil {
			return nil, err
		}
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func writePart(w *message.Writer, h message.Header, data []byte) error {
	part, err := w.CreatePart(h)
	if err != nil {
		return err
	}
	if _, err := part.Write(data); err != nil {
		return err
	}
	return part.Close()
}

func at(day, hour, minute int) time.Time {
	return time.Date(2026, time.March, day, hour, minute, 0, 0, time.UTC)
}
