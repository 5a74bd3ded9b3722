package email

import (
	"bytes"
	"net/textproto"
	"strings"
)

// header holds the fields of a mail or part: unfolded, in the bytes that came, several of one name in their order.
type header = textproto.MIMEHeader

// readHeader divides a mail or part into its header fields and its body. It accepts what a strict reader refuses: lines
// that are no fields are left out, and where the empty line is missing, the body begins at the first line that is none.
func readHeader(raw []byte, note func(string)) (header, []byte) {
	h := header{}
	var name string
	var value []byte
	keep := func() {
		if name != "" {
			h.Add(name, string(value))
		}
	}
	rest, read := raw, 0
	for len(rest) > 0 {
		line, after := cutLine(rest)
		if len(line) == 0 {
			rest = after
			break
		}
		if read += len(line); read > maxHeader {
			note("the header is too long: what follows its limit was taken for the body")
			break
		}
		field, content, isField := cutField(line)
		switch {
		case line[0] == ' ' || line[0] == '\t':
			if name == "" && len(h) == 0 && len(bytes.TrimSpace(line)) > 0 {
				note("no header: the first line is no field")
				return h, raw
			}
			if len(value) > 0 {
				value = append(value, ' ')
			}
			value = append(value, bytes.TrimSpace(line)...)
		case isField:
			keep()
			name, value = textproto.CanonicalMIMEHeaderKey(field), append(value[:0], content...)
		case len(h) == 0 && name == "":
			note("no header: the first line is no field")
			return h, raw
		case startsKnownField(after):
			note("the header holds a line that is no field")
		default:
			note("no empty line between header and body")
			keep()
			return h, rest
		}
		rest = after
	}
	keep()
	return h, rest
}

// cutLine takes the first line, without its end.
func cutLine(b []byte) (line, after []byte) {
	line, after, _ = bytes.Cut(b, []byte{'\n'})
	return bytes.TrimSuffix(line, []byte{'\r'}), after
}

// cutField divides "Name: value". A name is printable ASCII (RFC 5322, section 2.2); blanks before the colon are obsolete
// but allowed (section 4.5).
func cutField(line []byte) (name string, value []byte, ok bool) {
	before, after, found := bytes.Cut(line, []byte{':'})
	before = bytes.TrimRight(before, " \t")
	if !found || len(before) == 0 || len(before) > 128 {
		return "", nil, false
	}
	for _, c := range before {
		if c <= ' ' || c >= 0x7f {
			return "", nil, false
		}
	}
	return string(before), bytes.TrimSpace(after), true
}

// startsKnownField tells whether a line begins with a field that mails have: what stands before it is then no body.
func startsKnownField(b []byte) bool {
	line, _ := cutLine(b[:min(len(b), 256)])
	name, _, ok := cutField(line)
	if !ok {
		return false
	}
	switch name = strings.ToLower(name); name {
	case "from", "to", "cc", "bcc", "subject", "date", "message-id", "received", "return-path", "reply-to", "sender",
		"in-reply-to", "references", "mime-version", "precedence", "delivered-to":
		return true
	}
	return strings.HasPrefix(name, "content-") || strings.HasPrefix(name, "x-") || strings.HasPrefix(name, "list-")
}
