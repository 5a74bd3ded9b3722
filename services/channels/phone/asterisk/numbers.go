package asterisk

import (
	"errors"
	"fmt"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// numbers are the company's own, as patterns.
type numbers struct {
	region   string
	patterns []string
}

func newNumbers(region string, patterns []string) (numbers, error) {
	if region != "" {
		if _, err := event.Normalise(&eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "110", Region: region}); err != nil {
			return numbers{}, fmt.Errorf("region %q: %w", region, err)
		}
	}
	for _, p := range patterns {
		digits := strings.TrimSuffix(strings.TrimPrefix(p, "+"), "*")
		if digits == "" || strings.Trim(digits, "0123456789X") != "" {
			return numbers{}, fmt.Errorf("own number %q: it is made of digits, X for any digit, + before and * behind them", p)
		}
	}
	return numbers{region, patterns}, nil
}

// own tells whether a number is the company's, as the switch spells it or in its international form.
func (n numbers) own(number string) bool {
	if number == "" {
		return false
	}
	normal := number
	if a, _ := n.address(number); a != nil {
		if e, err := event.Normalise(a); err == nil {
			normal = e.Value
		}
	}
	for _, p := range n.patterns {
		if matches(p, number) || matches(p, normal) {
			return true
		}
	}
	return false
}

func matches(pattern, number string) bool {
	if head, ok := strings.CutSuffix(pattern, "*"); ok {
		if len(number) < len(head) {
			return false
		}
		pattern, number = head, number[:len(head)]
	}
	if len(pattern) != len(number) {
		return false
	}
	for i := range len(pattern) {
		if d := number[i]; pattern[i] != d && (pattern[i] != 'X' || d < '0' || d > '9') {
			return false
		}
	}
	return true
}

// address is where a number reaches somebody. It is nil for a withheld one and for what is none, such as the name of a SIP
// account; shown is then what there is to show, empty for a withheld one.
func (n numbers) address(number string) (a *eventv1.Address, shown string) {
	a = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: number, Region: n.region}
	if strings.Contains(number, "@") {
		a.Kind, a.Region = eventv1.EndpointKind_ENDPOINT_KIND_SIP, ""
	}
	_, err := event.Normalise(a)
	switch {
	case err == nil:
		return a, number
	case errors.Is(err, event.ErrNoEndpoint):
		return nil, ""
	}
	return nil, number
}

// dialable tells a number from what else stands in an extension: s, h, i, a feature code, a name.
func dialable(extension string) bool {
	digits := strings.TrimPrefix(extension, "+")
	return len(digits) >= 2 && len(digits) <= 15 && strings.Trim(digits, "0123456789") == ""
}

// isExtension tells what looks like an extension of a private exchange.
func isExtension(number string) bool {
	return dialable(number) && len(number) <= 7 && number[0] != '+' && number[0] != '0'
}

// device is the part of a channel's name that stays from call to call: PJSIP/2001 of PJSIP/2001-0000001a.
func device(channel string) string {
	channel, _, _ = strings.Cut(channel, ";") // the halves of a local channel
	if dash := strings.LastIndexByte(channel, '-'); dash > 0 && strings.Trim(channel[dash+1:], "0123456789abcdefABCDEF") == "" {
		channel = channel[:dash]
	}
	return strings.TrimSuffix(channel, "/n") // an option of a local channel
}
