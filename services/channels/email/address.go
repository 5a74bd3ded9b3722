package email

import (
	"strings"
)

// Address is a mailbox as a mail states it.
type Address struct {
	// Name as shown, decoded; empty where there is none.
	Name string
	// Mailbox is local part and domain, as written.
	Mailbox string
}

// addresses reads the address lists of fields such as To (RFC 5322, section 3.4). It takes what it can: an item that
// holds no address is left out and noted, and does not spoil the others, as it would in the standard library.
func (p *parser) addresses(field string, values []string) []Address {
	var list []Address
	for _, value := range values {
		for _, item := range splitAddresses(value) {
			if len(list) == maxAddresses {
				p.note("more than " + itoa(maxAddresses) + " addresses in " + field + ": the rest is only in the original")
				return list
			}
			a, ok := p.address(item)
			switch {
			case ok:
				list = append(list, a)
			case strings.Trim(item, " \t<>\"") != "":
				p.note(field + " holds something that is no address: " + quote(item))
			}
		}
	}
	return list
}

// splitAddresses divides a list at its commas, which may also stand in quotes, comments and angle brackets. Names of
// groups ("Team: a@example.com, b@example.com;") go.
func splitAddresses(s string) []string {
	var items []string
	start, comment := 0, 0
	quoted, angle := false, false
	at := false // since start, wherever it stood: to look for it at each colon would take as long as the square of what is written
	for i := 0; i < len(s); i++ {
		at = at || s[i] == '@'
		switch c := s[i]; {
		case c == '\\':
			if i++; i < len(s) {
				at = at || s[i] == '@'
			}
		case quoted:
			quoted = c != '"'
		case c == '(':
			comment++
		case c == ')' && comment > 0:
			comment--
		case comment > 0:
		case c == '"':
			quoted = true
		case c == '<':
			angle = true
		case c == '>':
			angle = false
		case c == ':' && !angle && !at:
			start = i + 1
		case (c == ',' || c == ';') && !angle:
			items = append(items, s[start:i])
			start, at = i+1, false
		}
	}
	if (quoted || comment > 0 || angle) && strings.ContainsAny(s[start:], ",;") { // never closed
		return append(items, strings.FieldsFunc(s[start:], func(r rune) bool { return r == ',' || r == ';' })...)
	}
	return append(items, s[start:])
}

// address reads "Name <mailbox>", "mailbox (Name)" or "mailbox".
func (p *parser) address(item string) (Address, bool) {
	item, comments := cutComments(item)
	name, mailbox := "", item
	if open := lastOutsideQuotes(item, '<'); open >= 0 {
		name = item[:open]
		mailbox, _, _ = strings.Cut(item[open+1:], ">")
		if strings.HasPrefix(strings.TrimSpace(mailbox), "@") { // an obsolete route
			if _, after, ok := strings.Cut(mailbox, ":"); ok {
				mailbox = after
			}
		}
	}
	if name = unquote(strings.TrimSpace(name)); name == "" {
		name = comments
	}
	mailbox = strings.TrimSpace(mailbox)
	if len(mailbox) > 7 && strings.EqualFold(mailbox[:7], "mailto:") {
		mailbox = mailbox[7:]
	}
	if strings.ContainsAny(mailbox, " \t") && !strings.HasPrefix(mailbox, `"`) {
		for word := range strings.FieldsSeq(mailbox) { // "John Doe john@example.com"
			if strings.Contains(word, "@") {
				mailbox = word
				break
			}
		}
	}
	mailbox, _ = toUTF8([]byte(mailbox), "", p.hints...)
	mailbox = strings.Trim(mailbox, "'<>.,;")
	at := strings.LastIndexByte(mailbox, '@')
	if at <= 0 || at == len(mailbox)-1 || len(mailbox) > maxAddress || cleanLine(mailbox) != mailbox {
		return Address{}, false
	}
	return Address{Name: cut(p.decodeWords(name), maxDisplayName), Mailbox: mailbox}, true
}

// cutComments takes the comments out of an address; the first serves as a name.
func cutComments(s string) (rest, comment string) {
	if !strings.Contains(s, "(") {
		return s, ""
	}
	var out, first strings.Builder
	depth, comments, quoted := 0, 0, false
	for i := 0; i < len(s); i++ {
		c := s[i]
		to := &out
		if depth > 0 {
			to = &first
		}
		switch {
		case c == '\\' && i+1 < len(s):
			if depth == 0 {
				to.WriteByte(c)
			}
			i++
			c = s[i]
		case c == '"' && depth == 0:
			quoted = !quoted
		case quoted:
		case c == '(':
			if depth++; depth == 1 {
				comments++
				continue
			}
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				continue
			}
		}
		if depth == 0 || comments == 1 {
			to.WriteByte(c)
		}
	}
	return out.String(), first.String()
}

func lastOutsideQuotes(s string, want byte) int {
	at, quoted := -1, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\':
			i++
		case s[i] == '"':
			quoted = !quoted
		case s[i] == want && !quoted:
			at = i
		}
	}
	if at < 0 && quoted { // a quote that is never closed hides nothing
		return strings.LastIndexByte(s, want)
	}
	return at
}

// unquote takes the quotes of a quoted string away.
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return strings.Trim(s, `"`)
	}
	var b strings.Builder
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
