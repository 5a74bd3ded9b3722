package event

import (
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/text/unicode/norm"
)

const (
	maxLocalPart = 256 // RFC 5321 says 64, but return paths that carry another address are longer
	maxDomain    = 253
	maxLabel     = 63
)

// normaliseMail takes text in NFC.
func normaliseMail(value string) (string, error) {
	if value == "<>" {
		return "", ErrNoEndpoint
	}
	local, domain, err := splitMail(value)
	if err != nil {
		return "", err
	}
	local = norm.NFC.String(strings.ToLower(local))
	if local == "" || len(local) > maxLocalPart {
		return "", &AddressError{"value", "must have 1 to 256 bytes before the @"}
	}
	domain, err = normaliseHost(domain)
	if err != nil {
		return "", err
	}
	if strings.HasPrefix(domain, "[") && strings.Contains(domain, ":") {
		domain = "[ipv6:" + domain[1:]
	}
	if strings.ContainsFunc(local, func(r rune) bool { return !isLocalRune(r) }) {
		local = `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(local) + `"`
	}
	return local + "@" + domain, nil
}

// splitMail gives the local part, without quotes, and the domain.
func splitMail(value string) (local, domain string, err error) {
	if rest, quoted := strings.CutPrefix(value, `"`); quoted {
		local, rest, ok := unquote(rest)
		domain, at := strings.CutPrefix(rest, "@")
		if !ok || !at {
			return "", "", &AddressError{"value", "has a quoted part that does not end before the @"}
		}
		return local, domain, nil
	}
	local, domain, ok := strings.Cut(value, "@")
	switch {
	case !ok:
		return "", "", &AddressError{"value", "is no mail address: it has no @"}
	case strings.ContainsFunc(local, func(r rune) bool { return !isLocalRune(r) }):
		return "", "", &AddressError{"value", "must be one mail address and nothing else, without name, spaces or comment"}
	}
	return local, domain, nil
}

// unquote reads a quoted string (RFC 5321) whose opening quote is behind us.
func unquote(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// isLocalRune tells what may stand in a local part without quotes: everything but the specials of RFC 5322, other than
// the dot, and spaces.
func isLocalRune(r rune) bool {
	return !unicode.IsSpace(r) && !strings.ContainsRune(`()<>[]:;@\,"`, r)
}

// lookup maps names as a resolver does (UTS 46, not transitional), but lets "_" and any hyphens pass.
var lookup = idna.New(idna.MapForLookup(), idna.StrictDomainName(false), idna.CheckHyphens(false)) //nolint:gochecknoglobals // read only

// normaliseHost gives a domain in IDNA's ASCII form and lower case, or an IP address in brackets.
func normaliseHost(host string) (string, error) {
	if literal, ok := strings.CutPrefix(host, "["); ok {
		return normaliseLiteral(literal)
	}
	if strings.ContainsFunc(host, func(r rune) bool { return r >= utf8.RuneSelf }) {
		ascii, err := lookup.ToASCII(host)
		if err != nil {
			return "", &AddressError{"value", "has a domain that is no internationalised domain name"}
		}
		host = ascii
	}
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	if host == "" || len(host) > maxDomain {
		return "", &AddressError{"value", "must have a domain of 1 to 253 bytes"}
	}
	for label := range strings.SplitSeq(host, ".") {
		if label == "" || len(label) > maxLabel {
			return "", &AddressError{"value", "has a domain with a label that is empty or longer than 63 bytes"}
		}
		for _, c := range []byte(label) {
			if !isAlphanumeric(c) && c != '-' && c != '_' {
				return "", &AddressError{"value", "has a domain with something else than letters, digits, - and _"}
			}
		}
	}
	return host, nil
}

// normaliseLiteral reads an address literal (RFC 5321, section 4.1.3; RFC 3261 has it without "IPv6:") whose opening
// bracket is behind us.
func normaliseLiteral(s string) (string, error) {
	s, closed := strings.CutSuffix(s, "]")
	ip, err := netip.ParseAddr(cutPrefixFold(s, "ipv6:"))
	if !closed || err != nil || ip.Zone() != "" {
		return "", &AddressError{"value", "has brackets that hold no IP address"}
	}
	return "[" + ip.String() + "]", nil
}
