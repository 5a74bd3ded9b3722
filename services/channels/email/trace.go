package email

import (
	"bytes"
	"slices"
	"strings"
)

// A mail server on the way puts lines before a mail, ends its lines in its own way and adds empty ones at its end. Whatever
// is read from a mail is read from what is left without all this, so that each way gives the same.

// cutTrace divides a mail into the fields that servers put before it, and the mail as its sender wrote it.
func cutTrace(raw []byte) (trace, mail []byte) {
	rest := raw
	for len(rest) > 0 {
		line, after := cutLine(rest)
		name, _, ok := cutField(line)
		if !ok || !isTrace(name) || len(raw)-len(rest) > maxHeader {
			break
		}
		for len(after) > 0 && (after[0] == ' ' || after[0] == '\t') {
			_, after = cutLine(after)
		}
		rest = after
	}
	return raw[:len(raw)-len(rest)], rest
}

// isTrace tells whether servers on the way write a field, and nobody reads anything from it but who sent the mail.
func isTrace(name string) bool {
	switch name = strings.ToLower(name); name {
	case "return-path", "received", "delivered-to", "x-delivered-to", "x-original-to", "x-forwarded-to", "x-forwarded-for", "envelope-to", "x-envelope-to",
		"x-envelope-from", "delivery-date", "authentication-results", "x-authentication-results", "received-spf", "dkim-filter", "dmarc-filter",
		"x-received", "x-google-smtp-source", "x-gm-message-state", "x-sieve", "x-uidl", "x-mozilla-status", "x-mozilla-status2", "x-virus-scanned",
		"x-virus-status", "x-quarantine-id", "status", "x-status", "x-keywords", "content-length":
		return true
	}
	return strings.HasPrefix(name, "arc-") || strings.HasPrefix(name, "x-spam") || strings.HasPrefix(name, "x-rspamd-")
}

// trimEnd ends a body with one line end; an empty one stays empty.
func trimEnd(body []byte) []byte {
	text := bytes.TrimRight(body, "\r\n")
	switch end := body[len(text):]; {
	case len(text) == 0:
		return nil
	case bytes.HasPrefix(end, []byte("\r\n")):
		return body[:len(text)+2]
	}
	return append(slices.Clip(text), "\r\n"...)
}

// crlf ends the lines of a text as mails on the wire do (RFC 5322, section 2.3). Several carriage returns before a line feed, which
// some servers reduce to one, are one.
func crlf(b []byte) []byte {
	if !needsCRLF(b) {
		return b
	}
	out := make([]byte, 0, len(b)+len(b)/32)
	for len(b) > 0 {
		line, after, found := bytes.Cut(b, []byte{'\n'})
		if !found {
			return append(out, line...)
		}
		out = append(append(out, bytes.TrimRight(line, "\r")...), "\r\n"...)
		b = after
	}
	return out
}

func needsCRLF(b []byte) bool {
	for i := 0; i < len(b); i++ {
		next := bytes.IndexByte(b[i:], '\n')
		if next < 0 {
			break
		}
		if i += next; i == 0 || b[i-1] != '\r' || i > 1 && b[i-2] == '\r' {
			return true
		}
	}
	return false
}
