package event

import (
	"strconv"
	"strings"
	"unicode"
)

// normaliseSIP takes text in NFC and gives user@host, or host alone. A port belongs to a connection, not to whom it
// reaches: a telephone behind a router shows another one every day.
func normaliseSIP(value string) (string, error) {
	rest := cutPrefixFold(value, "sips:")
	if rest == value {
		rest = cutPrefixFold(value, "sip:")
	}
	user, host := "", rest
	if at := strings.LastIndexByte(rest, '@'); at >= 0 { // the user part may hold ; and ? but no @
		user, host = rest[:at], rest[at+1:]
		user, _, _ = strings.Cut(user, ":") // the rest is a password
		if user == "" || strings.ContainsFunc(user, func(r rune) bool { return unicode.IsSpace(r) || strings.ContainsRune(`<>"@`, r) }) {
			return "", &AddressError{"value", "must be one SIP address, user@host, and nothing else"}
		}
	}
	name, _, _ := strings.Cut(user, ";") // the rest are its parameters
	switch strings.ToLower(name) {
	case "anonymous", "restricted", "unavailable", "unknown":
		return "", ErrNoEndpoint
	}
	if end := strings.IndexAny(host, ";?"); end >= 0 {
		host = host[:end]
	}
	if colon := strings.LastIndexByte(host, ':'); colon > strings.LastIndexByte(host, ']') {
		if _, err := strconv.ParseUint(host[colon+1:], 10, 16); err != nil {
			return "", &AddressError{"value", "has a port that is no number"}
		}
		host = host[:colon]
	}
	withheld := user == "" && isWithheldWord(host) // as it is written, for in a host name a Chinese word is no word any more
	host, err := normaliseHost(host)
	switch {
	case withheld:
		return "", ErrNoEndpoint
	case err != nil:
		return "", err
	case host == "anonymous.invalid", user == "" && isWithheldWord(host):
		return "", ErrNoEndpoint
	case user == "":
		return host, nil
	}
	return user + "@" + host, nil
}
