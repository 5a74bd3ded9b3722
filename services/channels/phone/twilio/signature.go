package twilio

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/channel/webhook"
)

// authentic tells whether Twilio made a request, by the signature over the URL that Twilio used and either the sorted
// parameters or, for other bodies than forms, a hash in the query
// (https://www.twilio.com/docs/usage/webhooks/webhooks-security). It is compared in constant time, with and without port.
func (a *account) authentic(r *http.Request, body []byte) error {
	signature := r.Header.Get("X-Twilio-Signature")
	if signature == "" {
		return fmt.Errorf("phone/twilio: there is no X-Twilio-Signature: %w", webhook.ErrNotAuthentic)
	}
	for _, base := range a.BaseURLs {
		if a.signed(strings.TrimSuffix(base, "/")+r.URL.RequestURI(), body, signature) {
			return nil
		}
	}
	return fmt.Errorf("phone/twilio: the signature fits none of the base URLs: %w", webhook.ErrNotAuthentic)
}

func (a *account) signed(address string, body []byte, signature string) bool {
	if u, err := url.Parse(address); err != nil {
		return false
	} else if u.Query().Has("bodySHA256") {
		return a.validator.ValidateBody(address, body, signature)
	}
	// What cannot be read as a form has the parameters that could be read; it is rejected later.
	form, _ := url.ParseQuery(string(body))
	return a.validator.Validate(address, parameters(form), signature)
}

// parameters are those that are signed. Twilio's libraries sign each value of a repeated one, sorted and once, with the
// name before it; that of Go takes one value for each name and puts the name before it, so that the others bring their own.
func parameters(form url.Values) map[string]string {
	signed := make(map[string]string, len(form))
	for name, values := range form {
		values = slices.Clone(values)
		slices.Sort(values)
		signed[name] = strings.Join(slices.Compact(values), name)
	}
	return signed
}
