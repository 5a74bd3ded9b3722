package email

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	netmail "net/mail"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message"
	"github.com/emersion/go-message/mail"
)

// Outgoing is a mail that the company sends.
type Outgoing struct {
	From    Address
	To, Cc  []Address
	Subject string
	// Date is when it was written: that of the request to send, so that another try gives the same mail.
	Date time.Time
	// MessageID is what MessageIDs.Make gave. InReplyTo and References are of the mail that it answers: its Message-ID, and its
	// References with its Message-ID at their end. All without angle brackets.
	MessageID, InReplyTo string
	References           []string
	// Text and HTML say the same; one of them may be empty.
	Text, HTML string
	Files      []File
	// AutoReply says that no person wrote it (RFC 3834).
	AutoReply bool
}

// File goes with a mail.
type File struct {
	// Name as it is shown; MediaType as it is known, else empty.
	Name, MediaType string
	// ContentID, without angle brackets, is how the HTML refers to it where it is shown inside.
	ContentID string
	// Data is read once.
	Data io.Reader
}

// ReferencesTo gives the References of an answer to a mail (RFC 5322, section 3.6.4): those of the mail and its Message-ID. Of many
// the first, which names the thread, and the last are kept.
func ReferencesTo(m *Mail) []string {
	list := m.References
	if len(list) == 0 && m.InReplyTo != "" {
		list = []string{m.InReplyTo}
	}
	if m.MessageID != "" {
		list = append(slices.Clip(list), m.MessageID)
	}
	const most = 20
	if len(list) > most {
		list = append(list[:1:1], list[len(list)-most+1:]...)
	}
	return list
}

// Compose writes a mail (RFC 5322, with MIME). The same Outgoing gives the same bytes. No field can bring in another one: what has a
// line end where there must be none is an error, as is a mail without sender, recipient, date or Message-ID. Blind copies are the
// envelope's affair alone.
func Compose(w io.Writer, o *Outgoing) error {
	h, err := o.header()
	if err != nil {
		return err
	}
	c := &composer{seed: o.MessageID}
	if err := c.write(w, h, o.body(c)); err != nil {
		return fmt.Errorf("email: compose: %w", err)
	}
	return nil
}

func (o *Outgoing) header() (message.Header, error) {
	var h mail.Header
	if len(o.To)+len(o.Cc) == 0 || o.Date.IsZero() || !isID(o.MessageID) {
		return h.Header, errors.New("email: compose: a mail needs a recipient, a date and a Message-ID")
	}
	// The field that is set last stands first.
	h.Set("MIME-Version", "1.0")
	if o.AutoReply {
		h.Set("Auto-Submitted", "auto-replied")
	}
	references := make([]string, 0, len(o.References))
	for _, id := range o.References {
		if isID(id) { // others cannot be written; the rest still hold the thread
			references = append(references, id)
		}
	}
	if len(references) > 0 {
		h.SetMsgIDList("References", references)
	}
	if isID(o.InReplyTo) {
		h.SetMsgIDList("In-Reply-To", []string{o.InReplyTo})
	}
	h.SetMessageID(o.MessageID)
	h.SetDate(o.Date)
	h.SetSubject(cleanLine(strings.ToValidUTF8(o.Subject, "\ufffd")))
	for _, field := range []struct {
		name string
		list []Address
	}{{"Cc", o.Cc}, {"To", o.To}, {"From", []Address{o.From}}} {
		list := make([]*mail.Address, len(field.list))
		for i, a := range field.list {
			parsed, err := netmail.ParseAddress("<" + a.Mailbox + ">")
			if err != nil || strings.ContainsAny(a.Mailbox, "\r\n\x00") {
				return h.Header, fmt.Errorf("email: compose: %s holds %s, which is no mail address", field.name, quote(a.Mailbox))
			}
			list[i] = &mail.Address{Name: cleanLine(strings.ToValidUTF8(a.Name, "\ufffd")), Address: parsed.Address}
		}
		if len(list) > 0 {
			h.SetAddressList(field.name, list)
		}
	}
	return h.Header, nil
}

// isID tells whether a Message-ID may be written.
func isID(id string) bool {
	return id != "" && len(id) <= maxID && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == '<' || r == '>' })
}

// node is a part, or several.
type node struct {
	mediaType, disposition string
	params, shown          map[string]string
	encoding, contentID    string
	data                   io.Reader
	children               []*node
}

// body arranges text, HTML, what it shows inside, and files, in as few levels as do.
func (o *Outgoing) body(c *composer) *node {
	var shown, files []*node
	for _, f := range o.Files {
		n := c.file(f)
		if f.ContentID != "" && o.HTML != "" {
			n.disposition = "inline"
			shown = append(shown, n)
		} else {
			files = append(files, n)
		}
	}
	var n *node
	if o.HTML != "" {
		n = several("multipart/related", append([]*node{text("text/html", o.HTML)}, shown...))
	}
	if o.Text != "" || n == nil {
		alternatives := []*node{text("text/plain", o.Text)}
		if n != nil {
			alternatives = append(alternatives, n)
		}
		n = several("multipart/alternative", alternatives)
	}
	return several("multipart/mixed", append([]*node{n}, files...))
}

func text(mediaType, s string) *node {
	s = strings.ToValidUTF8(strings.ReplaceAll(s, "\r\n", "\n"), "\ufffd")
	return &node{
		mediaType: mediaType, params: map[string]string{"charset": "utf-8"}, encoding: "quoted-printable",
		data: strings.NewReader(strings.ReplaceAll(s, "\n", "\r\n") + "\r\n"),
	}
}

func several(mediaType string, children []*node) *node {
	if len(children) == 1 {
		return children[0]
	}
	return &node{mediaType: mediaType, children: children}
}

type composer struct {
	seed       string
	boundaries int
}

func (c *composer) file(f File) *node {
	n := &node{mediaType: "application/octet-stream", encoding: "base64", disposition: "attachment", data: f.Data}
	if mediaType, params, err := mime.ParseMediaType(f.MediaType); err == nil && strings.Contains(mediaType, "/") &&
		!strings.HasPrefix(mediaType, "multipart/") && !strings.HasPrefix(mediaType, "message/") {
		n.mediaType = mediaType
		if charset := params["charset"]; strings.EqualFold(charset, "utf-8") || strings.EqualFold(charset, "us-ascii") {
			n.params = map[string]string{"charset": charset}
		}
	}
	if name := cut(cleanLine(strings.ToValidUTF8(f.Name, "\ufffd")), maxName); name != "" {
		n.shown = map[string]string{"filename": name}
	}
	if isID(f.ContentID) {
		n.contentID = f.ContentID
	}
	return n
}

// fields puts a part's own fields into its header.
func (c *composer) fields(h *message.Header, n *node) {
	if n.contentID != "" {
		h.Set("Content-Id", "<"+n.contentID+">")
	}
	if n.disposition != "" {
		h.SetContentDisposition(n.disposition, n.shown)
	}
	if n.encoding != "" {
		h.Set("Content-Transfer-Encoding", n.encoding)
	}
	params := n.params
	if len(n.children) > 0 {
		c.boundaries++
		sum := sha256.Sum256(fmt.Appendf(nil, "%s\x00%d", c.seed, c.boundaries))
		params = map[string]string{"boundary": "=_" + hex.EncodeToString(sum[:16])}
	}
	h.SetContentType(n.mediaType, params)
}

func (c *composer) write(w io.Writer, h message.Header, n *node) error {
	c.fields(&h, n)
	mw, err := message.CreateWriter(w, h)
	if err != nil {
		return err
	}
	return c.fill(mw, n)
}

func (c *composer) fill(w *message.Writer, n *node) error {
	for _, child := range n.children {
		var h message.Header
		c.fields(&h, child)
		part, err := w.CreatePart(h)
		if err != nil {
			return err
		}
		if err := c.fill(part, child); err != nil {
			return err
		}
	}
	if n.data != nil {
		if _, err := io.Copy(w, n.data); err != nil {
			return err
		}
	}
	return w.Close()
}
