package event

import (
	"errors"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Endpoint is a normalised address. Two spellings of one address give equal endpoints, so it can be compared and used as
// a key of a map.
type Endpoint struct {
	Kind eventv1.EndpointKind
	// Namespace is provider and account of a social address or identifier, perhaps of a visitor; the region of a short
	// telephone number; else empty.
	Namespace string
	Value     string
}

// ErrNoEndpoint means that a party is there but its address is not: a withheld number, an empty value, the null sender of
// a mail. It is no fault of the submission.
var ErrNoEndpoint = errors.New("event: the address is withheld or empty")

// AddressError tells what is wrong with an address.
type AddressError struct {
	Field  string // kind, value, namespace or region
	Reason string
}

// Error names the field and the reason.
func (e *AddressError) Error() string { return "event: address: " + e.Field + " " + e.Reason }

// maxAddress is the length of an address in characters, stated or normalised.
const maxAddress = 512

// Normalise gives the one form of an address that its id is made of. The error is ErrNoEndpoint or an *AddressError.
// A normalised address stays as it is when it is normalised again.
//
//   - Telephone: E.164, by libphonenumber's rules; region says how to read a number without country code. Extensions
//     are dropped. A service or short number (110, 95588), an extension of a private exchange and every other number
//     that has no E.164 form is kept as its digits in the namespace of its region; without a region, up to seven digits.
//     After "+", up to fifteen digits are kept as they are where libphonenumber knows better of none: a caller may show
//     any number. Words and numbers that stand for a withheld one give ErrNoEndpoint.
//   - Mail (RFC 5321): one address without a name, in lower case and NFC, its domain in IDNA's ASCII form. Taken as found
//     in the wild: dots anywhere in the local part, a quoted local part, a domain without dot or with "_", an address
//     literal. Refused: names and comments, spaces and control characters outside quotes, a local part above 256 bytes,
//     a domain above 253 bytes or with a label that is empty, above 63 bytes or (beyond ASCII) refused by IDNA.
//   - Visitor, social, identifier: trimmed, NFC, case kept, without control characters. Social addresses and
//     identifiers need a namespace; its part before the first "/", the provider, is put in lower case.
//   - SIP (RFC 3261): user@host without scheme, password, default port, parameters and headers; the host in lower case.
//     anonymous.invalid (RFC 3323) gives ErrNoEndpoint.
func Normalise(a *eventv1.Address) (Endpoint, error) {
	value := strings.TrimSpace(a.GetValue())
	if err := checkText("value", value); err != nil {
		return Endpoint{}, err
	}
	if utf8.RuneCountInString(value) > maxAddress {
		return Endpoint{}, &AddressError{"value", "is longer than 512 characters"}
	}
	if value == "" {
		return Endpoint{}, ErrNoEndpoint
	}
	e := Endpoint{Kind: a.GetKind()}
	var err error
	switch a.GetKind() {
	case eventv1.EndpointKind_ENDPOINT_KIND_PHONE:
		e.Namespace, e.Value, err = normalisePhone(value, a.GetRegion())
	case eventv1.EndpointKind_ENDPOINT_KIND_EMAIL:
		e.Value, err = normaliseMail(norm.NFC.String(value))
	case eventv1.EndpointKind_ENDPOINT_KIND_SIP:
		e.Value, err = normaliseSIP(norm.NFC.String(value))
	case eventv1.EndpointKind_ENDPOINT_KIND_VISITOR,
		eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL,
		eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER:
		e.Value = norm.NFC.String(value)
		e.Namespace, err = normaliseNamespace(a.GetKind(), a.GetNamespace())
	default:
		return Endpoint{}, &AddressError{"kind", "is not stated or not known"}
	}
	switch {
	case err != nil:
		return Endpoint{}, err
	case e.Namespace == "" && a.GetNamespace() != "":
		return Endpoint{}, &AddressError{"namespace", "must be empty for an address of this kind"}
	case utf8.RuneCountInString(e.Value) > maxAddress:
		return Endpoint{}, &AddressError{"value", "is longer than 512 characters when it is normalised"}
	}
	return e, nil
}

// Address is the endpoint as an address that normalises to it.
func (e Endpoint) Address() *eventv1.Address {
	if e.Kind == eventv1.EndpointKind_ENDPOINT_KIND_PHONE {
		return &eventv1.Address{Kind: e.Kind, Value: e.Value, Region: e.Namespace}
	}
	return &eventv1.Address{Kind: e.Kind, Value: e.Value, Namespace: e.Namespace}
}

// checkText refuses what never belongs into an address.
func checkText(field, s string) error {
	for i, r := range s {
		switch {
		case r == utf8.RuneError && !isReplacement(s[i:]):
			return &AddressError{field, "is not valid UTF-8"}
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return &AddressError{field, "holds a control character"}
		}
	}
	return nil
}

// isReplacement tells a replacement character that was written from one that stands for a wrong byte.
func isReplacement(s string) bool { return strings.HasPrefix(s, "\uFFFD") }

func normaliseNamespace(kind eventv1.EndpointKind, namespace string) (string, error) {
	if namespace == "" {
		if kind == eventv1.EndpointKind_ENDPOINT_KIND_VISITOR {
			return "", nil
		}
		return "", &AddressError{"namespace", "is missing: it says whose id this is, such as wechat/gh_0123 or crm"}
	}
	if len(namespace) > 256 || strings.ContainsFunc(namespace, func(r rune) bool { return !isNamespaceRune(r) }) {
		return "", &AddressError{"namespace", "must be at most 256 letters, digits and any of . _ : / -"}
	}
	provider, account, found := strings.Cut(namespace, "/")
	if provider == "" {
		return "", &AddressError{"namespace", "must begin with the provider's name"}
	}
	provider = strings.ToLower(provider)
	if !found {
		return provider, nil
	}
	return provider + "/" + account, nil
}

func isNamespaceRune(r rune) bool {
	return isAlphanumeric(r) || strings.ContainsRune("._:/-", r)
}

func isAlphanumeric[C byte | rune](c C) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}
