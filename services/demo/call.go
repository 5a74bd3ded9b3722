package demo

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio signs with
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

const (
	// Hotline is the company's telephone inbox in the story.
	Hotline = "hotline"
	// HotlineNumber is its number, which Twilio serves.
	HotlineNumber = "+4930200100"
	// HotlineAccount is Twilio's id of the company's account.
	HotlineAccount = "AC00000000000000000000000000000000"
	// PublicURL is where Twilio believes the company to be, and signs.
	PublicURL = "https://skein.example"
)

// Call is a scene of a telephone call: something that Twilio tells by a webhook.
type Call struct {
	// Kind is the last part of the webhook's path.
	Kind string
	Form map[string]string
}

// ring delivers a webhook as Twilio does, with its signature. The answer comes once the log has what it tells.
func (p *Player) ring(ctx context.Context, s Scene) error {
	form := url.Values{}
	for name, value := range s.Call.Form {
		form.Set(name, value)
	}
	form.Set("AccountSid", HotlineAccount)
	path := "/channels/twilio/" + p.Tenant + "/" + Hotline + "/" + s.Call.Kind
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.HTTP+path, strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("X-Twilio-Signature", p.signature(PublicURL+path, form))
	return taken(req)
}

// taken delivers a webhook, which must be answered well.
func taken(req *http.Request) error {
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = answer.Body.Close() }() // nothing is read of it
	if answer.StatusCode/100 != http.StatusOK/100 {
		return fmt.Errorf("the webhook answers %s", answer.Status)
	}
	return nil
}

// signature is over the address and each parameter in order of its name (https://www.twilio.com/docs/usage/security).
func (p *Player) signature(address string, form url.Values) string {
	mac := hmac.New(sha1.New, []byte(p.TwilioToken))
	mac.Write([]byte(address))
	for _, name := range slices.Sorted(maps.Keys(form)) {
		mac.Write([]byte(name + form.Get(name)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}
