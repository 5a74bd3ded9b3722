package twilio

import (
	"net/http"
	"testing"
	"time"

	"github.com/twilio/twilio-go/client"
)

// Authentic checks a signature as an account does that is reached under a base URL.
func Authentic(tb testing.TB, token, base string, r *http.Request, body []byte) error {
	tb.Helper()
	a := &account{Account: Account{BaseURLs: []string{base}}, validator: client.NewRequestValidator(token)}
	return a.authentic(r, body)
}

// LimitFetching sets how long fetching may take while Twilio waits.
func LimitFetching(tb testing.TB, c *Channel, limit time.Duration) {
	tb.Helper()
	c.limit = limit
}
