package channel_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Pager is the adapter of a paging service. The service posts each page that a customer sends, as JSON, and signs the body:
// {"id":"17","from":"+4930901820","text":"Call me"}.
type Pager struct {
	Mux    *http.ServeMux
	Inbox  string
	Secret []byte
}

// Name implements channel.Channel.
func (p *Pager) Name() string { return "pager.webhook" }

// Open implements channel.Channel.
func (p *Pager) Open(_ context.Context, host channel.Host) error {
	p.Mux.Handle("POST /channels/pager", webhook.Handler(host, p.endpoint(), nil, nil))
	return nil
}

// Run implements channel.Channel. What serves the mux serves the pager.
func (p *Pager) Run(ctx context.Context) error { <-ctx.Done(); return nil }

// Redrive implements channel.Redriver.
func (p *Pager) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	_, err := webhook.Deliver(ctx, host, p.endpoint(), r.Raw)
	return err
}

func (p *Pager) endpoint() webhook.Endpoint {
	return webhook.Endpoint{Tenant: "acme", Provider: "pager", Inbox: p.Inbox, Authentic: p.authentic, Read: p.read}
}

func (p *Pager) authentic(r *http.Request, body []byte) error {
	if !hmac.Equal([]byte(r.Header.Get("X-Pager-Signature")), []byte(p.signature(body))) {
		return fmt.Errorf("%w: X-Pager-Signature", webhook.ErrNotAuthentic)
	}
	return nil
}

func (p *Pager) signature(body []byte) string {
	mac := hmac.New(sha256.New, p.Secret)
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// read derives everything from the body, so the same body is the same event.
func (p *Pager) read(_ context.Context, _ channel.Host, body []byte) ([]*eventv1.Submission, error) {
	var page struct{ ID, From, Text string }
	if err := json.Unmarshal(body, &page); err != nil {
		return nil, fmt.Errorf("pager: %w", err)
	}
	return []*eventv1.Submission{{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_SMS, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "pager", Inbox: p.Inbox, Thread: page.From, NativeId: page.ID,
		Parties: []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: page.From},
			Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
		}},
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: page.Text}}},
	}}, nil
}

// A whole adapter, and all that its author tests: the kit delivers its story twice, backwards, unsigned, cut, too large and
// as a flood, and while the log is away.
func TestThePagerPassesTheKit(t *testing.T) {
	pager := &Pager{Inbox: "desk", Secret: []byte("s3cret")}
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open: func(t *testing.T, host channel.Host) http.Handler {
			t.Helper()
			opened := &Pager{Mux: http.NewServeMux(), Inbox: pager.Inbox, Secret: pager.Secret}
			if err := opened.Open(t.Context(), host); err != nil {
				t.Fatal(err)
			}
			return opened.Mux
		},
		Story: []channeltest.Delivery{
			{Name: "a page", URL: "https://skein.example/channels/pager", Body: `{"id":"17","from":"+49 30 901820","text":"Call me"}`},
			{Name: "another", URL: "https://skein.example/channels/pager", Body: `{"id":"18","from":"+49 30 901820","text":"Now"}`},
		},
		Sign:   func(r *http.Request, body []byte) { r.Header.Set("X-Pager-Signature", pager.signature(body)) },
		Unsign: func(r *http.Request) { r.Header.Del("X-Pager-Signature") },
	})
}

var _ channel.Redriver = (*Pager)(nil)
