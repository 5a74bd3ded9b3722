package app_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	"github.com/skein-cx/skein/services/app"
)

// What one tenant's webhook hands out comes in at another tenant's inbox for CloudEvents, and what that one's webhook hands
// out of it comes in nowhere again.
func TestAWebhookHandsOutWhatAnInboxTakesIn(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // of the tests alone
	type delivery struct{ path, body string }
	deliveries := make(chan delivery, 100)
	var proxy *httputil.ReverseProxy // set before anything is delivered
	between := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		answer := httptest.NewRecorder()
		proxy.ServeHTTP(answer, r)
		if answer.Code != http.StatusOK {
			t.Errorf("%s answered %d: %s", r.URL.Path, answer.Code, answer.Body)
		}
		w.WriteHeader(answer.Code)
		deliveries <- delivery{r.URL.Path, string(body)}
	}))
	defer between.Close()

	cfg := app.Default()
	cfg.Data, cfg.Log.Addr, cfg.GRPC.Addr, cfg.HTTP.Addr = t.TempDir(), "127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"
	cfg.Log.Partitions, cfg.Disk.MinFreeBytes = 2, 0
	cfg.Inboxes = append(
		cfg.Inboxes,
		app.InboxConfig{ID: "mirror", Tenant: "beta", Channel: "cloudevents", CloudEvents: app.CloudEventsConfig{SigningSecrets: []string{secret}}},
		app.InboxConfig{ID: "back", Tenant: "default", Channel: "cloudevents", CloudEvents: app.CloudEventsConfig{SigningSecrets: []string{secret}}},
	)
	cfg.Webhooks = app.WebhooksConfig{AllowPrivate: true, Endpoints: []app.WebhookConfig{
		{ID: "there", Tenant: "default", URL: between.URL + "/channels/cloudevents/beta/mirror", Secret: secret, Types: []string{"*"}, IncludeContent: true},
		{ID: "back", Tenant: "beta", URL: between.URL + "/channels/cloudevents/default/back", Secret: secret, Types: []string{"*"}, IncludeContent: true},
	}}
	a, err := app.New(cfg, []string{"ingest", "projector", "timeline", "webhooks", "custom"}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	serving, stop := context.WithCancel(ctx)
	ready, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- a.Run(serving, func() { close(ready) }) }()
	select {
	case <-ready:
	case err := <-ended:
		t.Fatal(err)
	}
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	proxy = httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: a.HTTPAddr()})
	conn, err := rpc.Dial(a.GRPCAddr(), "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()

	for _, id := range []string{"m1", "m2", "m3"} {
		_, err = ingestv1.NewIngestServiceClient(conn).Publish(ctx, &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{{
			Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
			Provider: "webchat", Inbox: "web", Thread: "t1", NativeId: id,
			Parties: []*eventv1.SubmittedParty{{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "Anna@example.com"},
				Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER,
			}},
			Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "Hello " + id}}},
		}}})
		if err != nil {
			t.Fatal(err)
		}
		// There, and back: what comes back is passed over, so that each is delivered twice and no more. Which of the two is answered first,
		// and told here, may be either.
		wants := map[string]struct{ source, provider, thread string }{
			"/channels/cloudevents/beta/mirror":  {"/skein/default/web", "webchat", "t1"},
			"/channels/cloudevents/default/back": {"/skein/beta/mirror", "skein", "/skein/default/web/t1"},
		}
		for range len(wants) {
			var got delivery
			select {
			case got = <-deliveries:
			case <-ctx.Done():
				t.Fatal(ctx.Err())
			}
			var e struct {
				Type, Source, Provider string
				Data                   struct {
					NativeThread, NativeID string
					MessageReceived        struct{ Text string }
					Parties                []struct{ Address string }
				}
			}
			if err := json.Unmarshal([]byte(got.body), &e); err != nil {
				t.Fatal(err)
			}
			want, waited := wants[got.path]
			delete(wants, got.path)
			if !waited || e.Type != "skein.message.received" || e.Source != want.source || e.Provider != want.provider || e.Data.NativeThread != want.thread ||
				e.Data.NativeID != id || e.Data.MessageReceived.Text != "Hello "+id || len(e.Data.Parties) != 1 || e.Data.Parties[0].Address != "anna@example.com" {
				t.Errorf("%s got %s, want %+v", got.path, got.body, want)
			}
		}
	}
	if n := len(deliveries); n > 0 {
		t.Errorf("%d deliveries too many", n)
	}
}
