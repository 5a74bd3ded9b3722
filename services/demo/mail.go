package demo

import (
	"bytes"
	"context"
	"net"
	"strings"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// Mail is a scene that is a mail.
type Mail struct {
	From, To           *mail.Address
	After              []string // Message-IDs before it in its thread
	Subject, Text      string
	FileName, FileType string
	File               []byte
}

// send delivers the mail to the inbox by SMTP. The server says yes once the log has it.
func (p *Player) send(ctx context.Context, s Scene) error {
	raw, err := s.Compose()
	if err != nil {
		return err
	}
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", p.SMTP)
	if err != nil {
		return err
	}
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })() // the client below knows no context
	c := smtp.NewClient(conn)
	defer func() { _ = c.Close() }() // the server has answered
	return c.SendMail(s.Mail.From.Address, []string{Inbox}, bytes.NewReader(raw))
}

// Compose gives the mail as it goes over the wire: the same bytes at every call, since a boundary that changed would make
// another mail.
func (s Scene) Compose() ([]byte, error) {
	m := s.Mail
	var h mail.Header
	h.SetDate(s.At)
	h.SetAddressList("From", []*mail.Address{m.From})
	h.SetAddressList("To", []*mail.Address{m.To})
	h.SetSubject(m.Subject)
	h.SetMessageID(s.ID)
	if len(m.After) > 0 {
		h.SetMsgIDList("In-Reply-To", m.After[len(m.After)-1:])
		h.SetMsgIDList("References", m.After)
	}
	h.SetContentType("multipart/mixed", map[string]string{"boundary": strings.ReplaceAll(s.ID, "@", ".")})
	var b bytes.Buffer
	w, err := message.CreateWriter(&b, h.Header)
	if err != nil {
		return nil, err
	}
	var text message.Header
	text.SetContentType("text/plain", map[string]string{"charset": "utf-8"})
	text.Set("Content-Transfer-Encoding", "quoted-printable")
	if err := writePart(w, text, []byte(m.Text)); err != nil {
		return nil, err
	}
	if m.FileName != "" {
		var file message.Header
		file.SetContentType(m.FileType, nil)
		file.SetContentDisposition("attachment", map[string]string{"filename": m.FileName})
		file.Set("Content-Transfer-Encoding", "base64")
		if err := writePart(w, file, m.File); err != nil {
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
