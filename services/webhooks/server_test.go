package webhooks_test

import (
	"context"
	"errors"
	"net/http"
	"testing"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	"github.com/skein-cx/skein/services/webhooks"
)

func as(ctx context.Context, admin bool) context.Context {
	return auth.With(ctx, auth.Identity{Tenant: tenant, Name: "the operator", Admin: admin})
}

func TestTheServerListsAndSwitchesEndpoints(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	fails := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return false
	})
	fine := h.receiver(t, nil)
	s := h.run(t,
		endpoint(fails, func(e *webhooks.Endpoint) { e.ID = "fails" }),
		endpoint(fine, func(e *webhooks.Endpoint) { e.ID = "fine" }),
	)
	server := webhooks.NewServer(s)
	h.append(t, message(1, ""))
	fine.next(t)
	h.waitForFailure(t, s, 2)

	ctx := as(t.Context(), true)
	list, err := server.ListWebhooks(ctx, &adminv1.ListWebhooksRequest{})
	must(t, err)
	if len(list.GetWebhooks()) != 2 {
		t.Fatalf("listed %v", list)
	}
	w := list.GetWebhooks()[0]
	if w.GetId() != "fails" || w.GetTenant() != tenant || w.GetUrl() != fails.URL+"/hook?a=b" || w.GetOff() != nil || len(w.GetFailing()) != 1 {
		t.Fatalf("listed %v", w)
	}
	f := w.GetFailing()[0]
	if f.GetPosition().GetTopic() != event.TopicInteractions || f.GetAttempts() < 2 || f.GetError() != "it answered 500 Internal Server Error" ||
		f.GetSince().AsTime().After(f.GetLast().AsTime()) {
		t.Errorf("the failure is %v", f)
	}
	var lag int64
	for _, p := range w.GetPartitions() {
		lag += p.GetLagEvents()
		if p.GetNext().GetTopic() != event.TopicInteractions {
			t.Errorf("the place is %v", p)
		}
	}
	if len(w.GetPartitions()) != partitions || lag != 1 {
		t.Errorf("the places are %v", w.GetPartitions())
	}

	off, err := server.DisableWebhook(ctx, &adminv1.DisableWebhookRequest{Id: "fine"})
	must(t, err)
	if got := off.GetWebhook().GetOff(); got.GetReason() != "switched off by the operator" || !got.GetAt().AsTime().Equal(h.clock.Now()) {
		t.Errorf("it is off: %v", got)
	}
	off, err = server.DisableWebhook(ctx, &adminv1.DisableWebhookRequest{Id: "fails", Reason: "maintenance"})
	must(t, err)
	if reason := off.GetWebhook().GetOff().GetReason(); reason != "maintenance" {
		t.Errorf("it is off because of %q", reason)
	}
	for range 2 {
		on, err := server.EnableWebhook(ctx, &adminv1.EnableWebhookRequest{Id: "fine"})
		must(t, err)
		if on.GetWebhook().GetId() != "fine" || on.GetWebhook().GetOff() != nil {
			t.Errorf("it is %v", on)
		}
	}
	h.append(t, message(1, "next"))
	fine.next(t)
}

func TestTheServerRefusesStrangersAndUnknownEndpoints(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	server := webhooks.NewServer(h.run(t))
	calls := map[string]func(context.Context) error{
		"list": func(ctx context.Context) error {
			_, err := server.ListWebhooks(ctx, &adminv1.ListWebhooksRequest{})
			return err
		},
		"enable": func(ctx context.Context) error {
			_, err := server.EnableWebhook(ctx, &adminv1.EnableWebhookRequest{Id: "nobody"})
			return err
		},
		"disable": func(ctx context.Context) error {
			_, err := server.DisableWebhook(ctx, &adminv1.DisableWebhookRequest{Id: "nobody"})
			return err
		},
	}
	for name, call := range calls {
		if err := call(t.Context()); !errors.Is(err, auth.ErrUnauthenticated) {
			t.Errorf("%s without a caller: %v", name, err)
		}
		if err := call(as(t.Context(), false)); !errors.Is(err, auth.ErrForbidden) {
			t.Errorf("%s without the right: %v", name, err)
		}
		if err := call(as(t.Context(), true)); (name == "list") != (err == nil) || err != nil && !errors.Is(err, webhooks.ErrUnknownEndpoint) {
			t.Errorf("%s by an operator: %v", name, err)
		}
	}
}
