package email

import (
	"strings"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// failure is a recipient whom a mail did not reach for good.
type failure struct {
	recipient, status, diagnostic string
}

// maxFailures of one delivery report that become events.
const maxFailures = 100

// keepReturned remembers the header of a mail inside this one: in a delivery report it is the mail that did not arrive.
func (p *parser) keepReturned(data []byte) {
	if p.mail.returned == nil {
		_, data = cutTrace(data)
		p.mail.returned, _ = readHeader(data, func(string) {})
	}
}

// bounce reads a delivery status notification (RFC 3464): fields about the message, then a group for each recipient,
// divided by empty lines. Several recipients give one bounce, of the first that failed.
func (p *parser) bounce() {
	if p.deliveryStatus == nil {
		return
	}
	var chosen *eventv1.Bounce
	rest := p.deliveryStatus
	for groups := 0; len(rest) > 0 && groups <= maxAddresses; groups++ {
		var group header
		group, rest = readHeader(rest, func(string) {})
		if len(group) == 0 {
			_, rest = cutLine(rest) // what is no field, or a second empty line
			continue
		}
		recipient := p.statusAddress(group.Get("Final-Recipient"))
		if recipient == "" {
			recipient = p.statusAddress(group.Get("Original-Recipient"))
		}
		if recipient == "" {
			continue
		}
		p.mail.Reported = append(p.mail.Reported, recipient)
		failed := action(group) == "failed"
		first := chosen == nil || chosen.GetAction() != "failed" && failed
		if !first && (!failed || len(p.mail.failures) == maxFailures) {
			continue
		}
		_, diagnostic, found := strings.Cut(group.Get("Diagnostic-Code"), ";")
		if !found {
			diagnostic = group.Get("Diagnostic-Code")
		}
		status, _, _ := strings.Cut(strings.TrimSpace(group.Get("Status")), " ")
		f := failure{recipient, cut(p.decodeWords(status), 20), cut(p.decodeWords(diagnostic), maxSubject)}
		if first {
			chosen = &eventv1.Bounce{Recipient: recipient, Action: action(group), Status: f.status, Diagnostic: f.diagnostic}
		}
		if failed && len(p.mail.failures) < maxFailures {
			p.mail.failures = append(p.mail.failures, f)
		}
	}
	if chosen == nil {
		p.note("a delivery report that names no recipient")
		chosen = &eventv1.Bounce{}
	}
	if n := len(p.mail.Reported); n > 1 {
		p.note("a delivery report about " + itoa(n) + " recipients: its status is that of " + chosen.GetRecipient())
	}
	chosen.MessageId = ownID(p.mail.returned.Get("Message-Id"))
	p.mail.Bounce = chosen
}

func action(group header) string {
	return cut(cleanLine(strings.ToLower(strings.ToValidUTF8(group.Get("Action"), ""))), 20)
}

// statusAddress reads "rfc822; jo@example.com" or "utf-8; …".
func (p *parser) statusAddress(field string) string {
	kind, value, found := strings.Cut(field, ";")
	if !found {
		value = kind
	}
	a, ok := p.address(value)
	if !ok {
		return ""
	}
	return a.Mailbox
}
