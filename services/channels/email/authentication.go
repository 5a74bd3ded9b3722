package email

import (
	"strings"

	"github.com/emersion/go-msgauth/authres"
	"golang.org/x/net/publicsuffix"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	maxResults   = 50
	maxTraceRead = 256 << 10 // bytes of trace fields that are looked at
)

// authentication reads what a trusted server found out about the mail's sender (RFC 8601), from the fields that servers put
// before the mail; nil where it says nothing. Forged is set where it found that the mail is not from the domain in From.
//
// DMARC decides where the server checked it. Else a domain that signed, or that the envelope's sender was allowed for, must be
// From's or belong to the same organisation (RFC 7489, section 3.1); where none is and one of the checks failed, it is forged.
// Of two results that contradict one another the failure counts: the server is to remove its name from what it is sent, but a
// sender can only gain by a pass.
func (m *Mail) authentication(trusted []string) (found *eventv1.Authentication, forged bool) {
	if len(trusted) == 0 {
		return nil, false
	}
	fields, _ := readHeader(m.trace[:min(len(m.trace), maxTraceRead)], func(string) {})
	from := ""
	if len(m.From) > 0 {
		from = domainOf(m.From[0].Mailbox)
	}
	dmarcPass, dmarcFail, aligned, failed := false, false, false, false
	for _, field := range fields["Authentication-Results"] {
		server, results, whole := readResults(field)
		if !trusts(trusted, server) {
			continue
		}
		if !whole && strings.Contains(strings.ToLower(field), "dmarc=fail") {
			dmarcFail = true
		}
		for _, r := range results {
			switch r.GetMethod() {
			case "dmarc":
				dmarcPass = dmarcPass || r.GetResult() == "pass"
				dmarcFail = dmarcFail || r.GetResult() == "fail"
			case "dkim", "spf":
				aligned = aligned || r.GetResult() == "pass" && sameOrganisation(r.GetDomain(), from)
				failed = failed || r.GetResult() == "fail" || r.GetResult() == "hardfail"
			default:
				continue
			}
			if found == nil {
				found = &eventv1.Authentication{Server: cut(server, 255)}
			}
			if len(found.GetResults()) < maxResults {
				found.Results = append(found.Results, r)
			}
		}
	}
	return found, dmarcFail || !dmarcPass && !aligned && failed
}

func trusts(trusted []string, server string) bool {
	for _, t := range trusted {
		if strings.EqualFold(t, server) {
			return true
		}
	}
	return false
}

// readResults reads one Authentication-Results. What a stranger can choose in it (the envelope's sender, in quotes; comments)
// is taken out first, so that it says nothing: authres divides at every semicolon and blank. It is not whole where a quote or
// comment does not end.
func readResults(field string) (server string, results []*eventv1.AuthenticationResult, whole bool) {
	field, whole = plainResults(field)
	server, rest, _ := strings.Cut(field, ";")
	server, _, _ = strings.Cut(strings.TrimSpace(server), " ") // a version may follow
	for part := range strings.SplitSeq(rest, ";") {
		if len(results) == maxResults {
			return server, results, false
		}
		_, parsed, err := authres.Parse("x; " + strings.ToValidUTF8(part, ""))
		if err != nil || len(parsed) == 0 {
			continue
		}
		r := &eventv1.AuthenticationResult{}
		switch p := parsed[0].(type) {
		case *authres.DMARCResult:
			r.Method, r.Result, r.Domain = "dmarc", string(p.Value), p.From
		case *authres.DKIMResult:
			r.Method, r.Result, r.Domain = "dkim", string(p.Value), p.Domain
			if r.GetDomain() == "" {
				r.Domain = p.Identifier
			}
		case *authres.SPFResult:
			r.Method, r.Result, r.Domain = "spf", string(p.Value), p.From
			if r.GetDomain() == "" {
				r.Domain = p.Helo
			}
		default:
			continue
		}
		r.Result, r.Domain = cut(cleanLine(r.GetResult()), 32), cut(domainOf(cleanLine(r.GetDomain())), 255)
		results = append(results, r)
	}
	return server, results, whole
}

// plainResults takes comments out and what stands in quotes, but for the quotes.
func plainResults(s string) (plain string, whole bool) {
	var b strings.Builder
	quoted, depth := false, 0
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case c == '\\' && (quoted || depth > 0):
			i++
		case quoted:
			if quoted = c != '"'; !quoted {
				b.WriteByte(c)
			}
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			if depth--; depth == 0 {
				b.WriteByte(' ')
			}
		case depth > 0:
		default:
			quoted = c == '"'
			b.WriteByte(c)
		}
	}
	return b.String(), !quoted && depth == 0
}

// domainOf is the domain of an address, in lower case; a domain alone is its own.
func domainOf(address string) string {
	return strings.ToLower(strings.Trim(address[strings.LastIndexByte(address, '@')+1:], " .<>\""))
}

// sameOrganisation tells whether two domains belong to one organisation.
func sameOrganisation(a, b string) bool {
	if a == "" || b == "" {
		return false
	}
	if a == b {
		return true
	}
	x, errX := publicsuffix.EffectiveTLDPlusOne(a)
	y, errY := publicsuffix.EffectiveTLDPlusOne(b)
	return errX == nil && errY == nil && x == y
}
