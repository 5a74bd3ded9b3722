package channeltest_test

import (
	"context"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// TestAProviderThatEncrypts runs the kit over an adapter whose provider wraps what it delivers, and proves itself by a header that does not
// depend on the body.
func TestAProviderThatEncrypts(t *testing.T) {
	const secret = "s3cret"
	endpoint := webhook.Endpoint{
		Tenant: "acme", Provider: "pager", Inbox: "desk",
		Authentic: func(r *http.Request, _ []byte) error {
			if subtle.ConstantTimeCompare([]byte(r.Header.Get("X-Secret")), []byte(secret)) != 1 {
				return fmt.Errorf("%w: X-Secret", webhook.ErrNotAuthentic)
			}
			return nil
		},
		Unwrap: func(_ *http.Request, body []byte) ([]byte, error) {
			return base64.StdEncoding.DecodeString(string(body))
		},
		Read: func(_ context.Context, _ channel.Host, body []byte) ([]*eventv1.Submission, error) {
			var page struct{ ID, Text string }
			if err := json.Unmarshal(body, &page); err != nil {
				return nil, fmt.Errorf("page: %w", err)
			}
			return []*eventv1.Submission{submission(page.ID, page.Text)}, nil
		},
	}
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open: func(_ *testing.T, host channel.Host) http.Handler { return webhook.Handler(host, endpoint, nil, nil) },
		Story: []channeltest.Delivery{
			{Name: "a page", URL: "https://skein.example/pager", Body: `{"id":"17","text":"Call me"}`},
			{Name: "another", URL: "https://skein.example/pager", Body: `{"id":"18","text":"Now"}`},
		},
		Sign:         func(r *http.Request, _ []byte) { r.Header.Set("X-Secret", secret) },
		Unsign:       func(r *http.Request) { r.Header.Del("X-Secret") },
		Wrap:         func(body []byte) []byte { return []byte(base64.StdEncoding.EncodeToString(body)) },
		BodyUnsigned: true,
	})
}
