// Package email turns mails into events. Parse reads a mail, whatever it looks like; a Mail knows its thread, its event's
// native id and the submission for an inbox; Deliver hands it in.
//
// Everything derives from the bytes of the mail: nothing is looked up, and the envelope of the transport plays no part,
// so that a mail that comes by two ways, or twice, is one event. HTML is never cleaned, attachments are never opened,
// links are never followed.
//
// Parse divides and decodes on its own, on top of the standard library and golang.org/x/text, because MIME libraries give
// up a part, or all that follows, at the first byte that breaks a rule, and then mails would lose their text.
package email

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// What a mail may hold. What is beyond is noted among the defects and stands in the original only.
const (
	maxHeader      = 1 << 20 // bytes of one header
	maxDepth       = 20      // levels of multiparts
	maxParts       = 500
	maxText        = 1 << 20 // bytes of text, quoted text included, and of HTML
	maxHTML        = 4 << 20 // bytes of HTML that text is taken from
	maxSubject     = 2000    // bytes
	maxName        = 1000    // bytes of a file's name or Content-ID
	maxDisplayName = 500     // bytes
	maxAddress     = 500     // bytes
	maxAddresses   = 2000    // in one field
	maxID          = 900     // bytes of a message id; a longer one is hashed
	maxReferences  = 200
	maxDefects     = 50
)

// Mail is a mail as it was understood. All its strings are valid UTF-8.
type Mail struct {
	// Raw is the mail as it came, without the mbox line that may have stood before it. Do not change it.
	Raw []byte
	// MessageID, InReplyTo and References are message ids without angle brackets; empty where there is none.
	MessageID, InReplyTo string
	References           []string
	// Fingerprint is SHA-256 over From, Date and body.
	Fingerprint [sha256.Size]byte
	// From, To, Cc and Bcc as stated.
	From, To, Cc, Bcc []Address
	// Date is the zero time where none is stated or it cannot be read.
	Date    time.Time
	Subject string
	// Text is what is new; Quoted what is quoted from earlier messages. Where the mail has only HTML, both derive from it.
	Text, Quoted string
	// HTML as sent; empty above 1 MiB.
	HTML string
	// Language is BCP 47; empty where it is not stated.
	Language string
	// AutoReply is set where a machine wrote in answer; Bulk where many got it.
	AutoReply, Bulk bool
	// Bounce is the report of a delivery (RFC 3464); nil where the mail is none. Reported are the recipients that it names.
	Bounce      *eventv1.Bounce
	Reported    []string
	Attachments []Attachment
	// Defects tell in words what was wrong, and mended or left out.
	Defects []string

	trace    []byte // fields that mail servers put before it
	returned header // of the mail that did not arrive, where this one reports it
	failures []failure
}

// Attachment is a part that is not shown as text.
type Attachment struct {
	// Data is decoded. It may be a piece of the mail's raw bytes: do not change it.
	Data []byte
	// MediaType as stated, in lower case.
	MediaType string
	// Name as stated; never to be used as a path.
	Name string
	// Inline is set where it is shown inside the text; ContentID is how the text refers to it.
	Inline    bool
	ContentID string
}

// parser is the state of one Parse.
type parser struct {
	mail  *Mail
	hints []string // charsets that the mail states
	parts int

	deliveryStatus []byte // of a delivery status notification
}

// Parse reads a mail. It never fails: whatever the bytes are, it gives a mail, and Defects say what is wrong with it. Time
// and memory are bounded by a small multiple of the bytes. The mail keeps raw.
func Parse(raw []byte) *Mail {
	if bytes.HasPrefix(raw, []byte("From ")) || bytes.HasPrefix(raw, []byte(">From ")) { // mbox
		_, raw, _ = bytes.Cut(raw, []byte{'\n'})
	}
	m := &Mail{Raw: raw}
	p := &parser{mail: m}
	trace, sent := cutTrace(raw)
	m.trace = trace
	h, body := readHeader(sent, p.note)
	body = trimEnd(body)
	p.hints = statedCharsets([]byte(h.Get("Content-Type")), body)

	m.Fingerprint = fingerprint(h, body)
	m.MessageID = ownID(h.Get("Message-Id"))
	m.References = ids(h["References"])
	if answered := ids(h["In-Reply-To"]); len(answered) > 0 {
		m.InReplyTo = answered[len(answered)-1]
	}
	m.From = p.addresses("From", h["From"])
	m.To = p.addresses("To", h["To"])
	m.Cc = p.addresses("Cc", h["Cc"])
	m.Bcc = (&parser{mail: &Mail{}, hints: p.hints}).addresses("Bcc", h["Bcc"]) // only the sender's copy has it, and its defects
	if len(m.From) == 0 {
		p.note("no usable sender")
	}
	if m.MessageID == "" {
		p.note("no Message-ID")
	}
	m.Subject = cut(p.decodeWords(h.Get("Subject")), maxSubject)
	m.Language = statedLanguage(h.Get("Content-Language"))
	if stated := h.Get("Date"); stated == "" {
		p.note("no Date")
	} else if date, ok := parseDate(stated); ok {
		m.Date = date
	} else {
		p.note("a Date that cannot be read: " + quote(stated))
	}
	m.AutoReply, m.Bulk = classify(h)

	content := p.walk(entity{header: h, body: body, defaultType: "text/plain", root: true})
	m.Text, m.Quoted = SplitQuote(p.limit("text", content.text))
	if len(content.html) > maxText {
		p.note("HTML above 1 MiB: it is only in the original")
	} else {
		m.HTML = strings.ReplaceAll(content.html, "\x00", "")
	}
	p.bounce()
	return m
}

// note adds a defect; an empty or known one is left out.
func (p *parser) note(defect string) {
	if defect == "" || slices.Contains(p.mail.Defects, defect) {
		return
	}
	switch n := len(p.mail.Defects); {
	case n < maxDefects:
		p.mail.Defects = append(p.mail.Defects, defect)
	case n == maxDefects:
		p.mail.Defects = append(p.mail.Defects, "and more")
	}
}

func (p *parser) limit(what, s string) string {
	if len(s) > maxText {
		p.note(what + " above 1 MiB was cut: all of it is in the original")
	}
	return cut(s, maxText)
}

// statedCharsets are the first few charsets that the mail names beside ASCII and UTF-8, whatever the part: its author
// writes headers in them, too.
func statedCharsets(texts ...[]byte) []string {
	var found []string
	for _, raw := range texts {
		raw = bytes.ToLower(raw[:min(len(raw), 64<<10)])
		for len(found) < 3 {
			i := bytes.Index(raw, []byte("charset="))
			if i < 0 {
				break
			}
			raw = raw[i+len("charset="):]
			end := bytes.IndexAny(raw[:min(len(raw), 64)], "\r\n;> ")
			if end < 0 && len(raw) > 64 {
				continue
			}
			if end < 0 {
				end = len(raw)
			}
			label := cleanLabel(string(raw[:end]))
			if charset(label) != nil && !slices.Contains([]string{"us-ascii", "utf-8", "utf8"}, label) && !slices.Contains(found, label) {
				found = append(found, label)
			}
		}
	}
	return found
}

// statedLanguage reads a Content-Language (RFC 3282) that names one language.
func statedLanguage(field string) string {
	field = strings.TrimSpace(field)
	if field == "" || len(field) > 35 {
		return ""
	}
	tag, err := language.Parse(field)
	if err != nil {
		return ""
	}
	if base, _, _ := tag.Raw(); base.String() == "und" || len(tag.String()) > 35 { // "x-private" is no language
		return ""
	}
	return tag.String()
}
