package event

import (
	"errors"
	"strings"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// ErrAddressForm lists the forms of an address as text.
var ErrAddressForm = errors.New(`event: write an address as
  anna@example.com  or mailto:anna@example.com
  +49301234         or tel:+49301234, tel:110;phone-context=de
  sip:anna@example.com
  visitor:ID        or visitor/NAMESPACE:ID
  social:PROVIDER/ACCOUNT:ID, such as social:wechat/gh_1:OPENID
  id:NAMESPACE:ID, such as id:crm:4711`)

const phoneContext = ";phone-context="

// ParseAddress reads an address as a person types it on a command line. It gives the address as typed; Normalise
// accepts it. The error is ErrAddressForm or that of Normalise.
func ParseAddress(s string) (*eventv1.Address, error) {
	a := parseForm(strings.TrimSpace(s))
	if a == nil {
		return nil, ErrAddressForm
	}
	if _, err := Normalise(a); err != nil {
		return nil, err
	}
	return a, nil
}

func parseForm(s string) *eventv1.Address {
	scheme, rest, found := strings.Cut(s, ":")
	scheme = strings.ToLower(scheme)
	if !found {
		scheme = ""
	}
	switch scheme {
	case "mailto":
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: rest}
	case "tel":
		number, region := cutRegion(rest)
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: number, Region: region}
	case "sip", "sips":
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SIP, Value: rest}
	case "visitor":
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: rest}
	case "social":
		namespace, id, _ := strings.Cut(rest, ":")
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: unescapeNamespace(namespace), Value: id}
	case "id":
		namespace, id, _ := strings.Cut(rest, ":")
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: unescapeNamespace(namespace), Value: id}
	}
	const visitor = "visitor/"
	switch {
	case found && strings.HasPrefix(scheme, visitor):
		namespace := s[len(visitor):len(scheme)]
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Namespace: unescapeNamespace(namespace), Value: rest}
	case strings.Contains(s, "@"):
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: s}
	case strings.HasPrefix(s, "+"):
		return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: s}
	}
	return nil
}

// FormatAddress writes a normalised address so that ParseAddress reads the same one.
func FormatAddress(a *eventv1.Address) string {
	value := a.GetValue()
	switch a.GetKind() {
	case eventv1.EndpointKind_ENDPOINT_KIND_EMAIL:
		if strings.Contains(value, ":") { // might look like another form
			return "mailto:" + value
		}
		return value
	case eventv1.EndpointKind_ENDPOINT_KIND_PHONE:
		switch {
		case a.GetRegion() != "":
			return "tel:" + value + phoneContext + strings.ToLower(a.GetRegion())
		case strings.HasPrefix(value, "+"):
			return value
		}
		return "tel:" + value
	case eventv1.EndpointKind_ENDPOINT_KIND_SIP:
		return "sip:" + value
	case eventv1.EndpointKind_ENDPOINT_KIND_VISITOR:
		if a.GetNamespace() != "" {
			return "visitor/" + escapeNamespace(a.GetNamespace()) + ":" + value
		}
		return "visitor:" + value
	case eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL:
		return "social:" + escapeNamespace(a.GetNamespace()) + ":" + value
	case eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER:
		return "id:" + escapeNamespace(a.GetNamespace()) + ":" + value
	default:
		return value
	}
}

// cutRegion reads a region as the phone-context of RFC 3966, which may be any domain name, so a country's, too.
func cutRegion(number string) (rest, region string) {
	at := strings.LastIndex(number, phoneContext)
	if at < 0 || len(number) != at+len(phoneContext)+2 {
		return number, ""
	}
	return number[:at], strings.ToUpper(number[at+len(phoneContext):])
}

// A namespace may hold colons, but no "%".
func escapeNamespace(s string) string   { return strings.ReplaceAll(s, ":", "%3A") }
func unescapeNamespace(s string) string { return strings.ReplaceAll(s, "%3A", ":") }
