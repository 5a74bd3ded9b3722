package webhooks_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/deadletter"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkagroup"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/webhooks"
)

// patience ends a test that hangs; nothing waits for it otherwise.
const patience = time.Minute

const (
	tenant     = "acme"
	secret     = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw0123456789+/" //nolint:gosec // of the tests alone
	partitions = 4
)

func TestAnEventArrivesAsASignedCloudEvent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, nil)
	h.run(t, endpoint(r, func(e *webhooks.Endpoint) { e.IncludeContent = true }))
	sent := message(1, "你好, all of you")
	h.append(t, sent)
	got := r.next(t)

	checker, err := standardwebhooks.NewWebhook(secret)
	must(t, err)
	must(t, checker.Verify(got.body, got.header))
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	must(t, err)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%s.%s", got.header.Get("Webhook-Id"), got.header.Get("Webhook-Timestamp"), got.body)
	if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.header.Get("Webhook-Signature") != want {
		t.Errorf("the signature is %s, want %s", got.header.Get("Webhook-Signature"), want)
	}
	if id := got.header.Get("Webhook-Id"); id != sent.GetId()+"_endpoint" {
		t.Errorf("the id is %s", id)
	}
	if typ := got.header.Get("Content-Type"); typ != "application/cloudevents+json; charset=utf-8" {
		t.Errorf("the content type is %s", typ)
	}

	var ce cloudevents.Event
	must(t, json.Unmarshal(got.body, &ce))
	must(t, ce.Validate())
	if ce.ID() != sent.GetId() || ce.Type() != "skein.message.received" || ce.Subject() != sent.GetThreadId() ||
		ce.Source() != "/skein/acme/support" || !ce.Time().Equal(sent.GetOccurredAt().AsTime()) || ce.DataContentType() != "application/json" {
		t.Errorf("it arrived as %s", ce)
	}
	content := &eventv1.Content{}
	must(t, protojson.Unmarshal(ce.Data(), content))
	if text := content.GetMessageReceived().GetText(); text != "你好, all of you" {
		t.Errorf("the text is %q", text)
	}
}

func TestContentStaysAtHomeUnlessItIsAskedForAndOpen(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	with, without := h.receiver(t, nil), h.receiver(t, nil)
	h.run(t,
		endpoint(with, func(e *webhooks.Endpoint) { e.ID, e.IncludeContent = "with", true }),
		endpoint(without, func(e *webhooks.Endpoint) { e.ID = "without" }),
	)
	sealed := message(1, "")
	sealed.Content, sealed.Seal = []byte("ciphertext"), "key-1"
	h.append(t, sealed)
	h.append(t, message(1, "open"))
	for _, got := range []delivery{with.next(t), without.next(t), without.next(t)} {
		if strings.Contains(string(got.body), `"data`) {
			t.Errorf("data came along: %s", got.body)
		}
	}
}

func TestAnEndpointGetsItsTenantsEventsOfTheTypesItWants(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, nil)
	h.run(t, endpoint(r, func(e *webhooks.Endpoint) { e.Types = []string{"message.*", "queue.left", "agent.presence_changed"} }))
	wanted, imported, foreign := message(1, ""), message(2, ""), message(3, "")
	imported.Backfill = true
	foreign.Tenant = "other"
	entered, left, presence, last := message(4, ""), message(5, ""), message(6, ""), message(7, "")
	entered.Type, left.Type, presence.Type, last.Type = event.TypeQueueEntered, event.TypeQueueLeft, event.TypeAgentPresenceChanged, event.TypeMessageSent
	for _, e := range []*eventv1.Event{wanted, imported, foreign, entered, left, last} {
		e.ThreadId = wanted.GetThreadId() // so that they come in order
		h.append(t, e)
	}
	h.appendTo(t, event.TopicInteractions, []byte(wanted.GetThreadId()), []byte("no event"))
	for _, want := range []*eventv1.Event{wanted, left, last} {
		if got := r.next(t); got.event != want.GetId() {
			t.Errorf("%s arrived, want %s", got.body, want.GetType())
		}
	}
	h.append(t, presence)
	if got := r.next(t); got.event != presence.GetId() {
		t.Errorf("%s arrived, want the agent's presence", got.body)
	}
}

func TestThreadsKeepTheirOrderThroughFailures(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	var mu sync.Mutex
	failures := make(map[string]int)
	r := h.receiver(t, func(w http.ResponseWriter, got delivery) bool {
		mu.Lock()
		defer mu.Unlock()
		failures[got.event]++
		switch n := failures[got.event]; {
		case n == 1 && got.event[35] < '4': // a quarter fails at first
			http.Error(w, "overloaded", http.StatusInternalServerError)
			return false
		case n == 2 && got.event[35] < '2': // and some again, breaking off in the middle of a good answer
			w.Header().Set("Content-Length", "1000")
			_, _ = io.WriteString(w, "half")
			return false
		}
		return true
	})
	h.run(t, endpoint(r, nil))
	const threads, each = 8, 40
	h.conversation(t, threads, each)
	h.checkConversation(t, r, threads, each)
}

func TestAlertsArriveInTheirOrderAndWithWhatTheySay(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	tried := 0
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		if tried++; tried == 1 {
			http.Error(w, "overloaded", http.StatusServiceUnavailable)
		}
		return tried > 1
	})
	h.run(t, endpoint(r, func(e *webhooks.Endpoint) { e.Types, e.IncludeContent = []string{"alert.*"}, true }))
	told := func(typ string, content *eventv1.Content) *eventv1.Event {
		e := message(1, "")
		e.Type, e.Provider = typ, "skein"
		var err error
		e.Content, err = proto.Marshal(content)
		must(t, err)
		value, err := event.Encode(e)
		must(t, err)
		h.appendTo(t, event.TopicAlerts, []byte(tenant), value)
		return e
	}
	raised := told(event.TypeAlertRaised, &eventv1.Content{Body: &eventv1.Content_AlertRaised{AlertRaised: &eventv1.AlertRaised{Rule: "crowded", Queue: "sales", Value: 6, Threshold: 5}}})
	cleared := told(event.TypeAlertCleared, &eventv1.Content{Body: &eventv1.Content_AlertCleared{AlertCleared: &eventv1.AlertCleared{Rule: "crowded", RaisedEventId: raised.GetId()}}})
	for _, want := range []*eventv1.Event{raised, cleared} {
		got := r.next(t)
		var said struct {
			Type string `json:"type"`
			Data struct {
				AlertRaised  struct{ Rule string } `json:"alertRaised"`
				AlertCleared struct{ Rule string } `json:"alertCleared"`
			} `json:"data"`
		}
		must(t, json.Unmarshal(got.body, &said))
		if got.event != want.GetId() || said.Type != "skein."+want.GetType() || said.Data.AlertRaised.Rule+said.Data.AlertCleared.Rule != "crowded" {
			t.Errorf("%s arrived, want %s", got.body, want.GetType())
		}
	}
}

func TestASlowEndpointDoesNotDelayAnother(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	hangs := h.receiver(t, func(_ http.ResponseWriter, got delivery) bool {
		<-got.ended
		return false
	})
	fine := h.receiver(t, nil)
	h.run(t,
		endpoint(hangs, func(e *webhooks.Endpoint) { e.ID = "hangs" }),
		endpoint(fine, func(e *webhooks.Endpoint) { e.ID = "fine" }),
	)
	h.append(t, message(0, ""))
	hangs.attempt(t)
	h.conversation(t, 4, 50)
	for range 201 {
		fine.next(t)
	}
}

func TestARedirectIsAFailureAndNotFollowed(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	inside := h.receiver(t, nil)
	var answers int
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		if answers++; answers < 3 {
			w.Header().Set("Location", inside.URL)
			w.WriteHeader(http.StatusPermanentRedirect)
			return false
		}
		return true
	})
	h.run(t, endpoint(r, nil))
	h.append(t, message(1, ""))
	r.next(t)
	if n := len(inside.attempts); n > 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestAddressesThatAreNotPublicAreNeverReached(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, nil)
	h.cfg.AllowPrivate = false
	s := h.run(t, endpoint(r, func(e *webhooks.Endpoint) { e.URL = strings.Replace(r.URL, "127.0.0.1", "localhost", 1) }))
	h.append(t, message(1, ""))
	failure := h.waitForFailure(t, s, 2)
	if !strings.Contains(failure.Error, "no public address") {
		t.Errorf("it failed because of %q", failure.Error)
	}
	if n := len(r.attempts); n > 0 {
		t.Errorf("it was reached %d times", n)
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, nil)
	h.cfg.RootCAs = x509.NewCertPool()
	s := h.run(t, endpoint(r, nil))
	h.append(t, message(1, ""))
	if failure := h.waitForFailure(t, s, 1); !strings.Contains(failure.Error, "certificate") {
		t.Errorf("it failed because of %q", failure.Error)
	}
}

func TestAnAnswerWithoutEndDoesNotHoldUpDeliveries(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.cfg.Timeout = patience
	r := h.receiver(t, func(w http.ResponseWriter, got delivery) bool {
		line := []byte(strings.Repeat("all is well ", 1000))
		for {
			if _, err := w.Write(line); err != nil || got.request.Err() != nil {
				return true
			}
		}
	})
	h.run(t, endpoint(r, nil))
	h.conversation(t, 1, 5)
	for range 5 {
		r.next(t)
	}
}

func TestAnEndpointThatIsGoneIsSwitchedOffAndGoesOnWhereItStopped(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	var mu sync.Mutex
	gone := false
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		mu.Lock()
		defer mu.Unlock()
		if gone {
			w.WriteHeader(http.StatusGone)
		}
		return !gone
	})
	s := h.run(t, endpoint(r, nil))
	h.append(t, message(0, "before"))
	r.next(t)
	mu.Lock()
	gone = true
	mu.Unlock()
	h.conversation(t, 1, 10) // of one thread, so that nothing is on its way when it is switched on again
	status := h.waitForStatus(t, s, func(s webhooks.Status) bool { return s.Off != nil })
	if !strings.Contains(status.Off.Reason, "410") {
		t.Errorf("the reason is %q", status.Off.Reason)
	}
	if n := gauge(t, h, "skein_webhooks_disabled"); n != 1 {
		t.Errorf("the gauge says %v", n)
	}
	mu.Lock()
	gone = false
	mu.Unlock()
	must(t, s.SwitchOn(t.Context(), "endpoint"))
	h.checkConversation(t, r, 1, 10)
	if n := gauge(t, h, "skein_webhooks_disabled"); n != 0 {
		t.Errorf("the gauge says %v", n)
	}
}

func TestAnEndpointIsSwitchedOffAfterADayOfFailures(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.cfg.Timeout = time.Hour // so that an hour may pass between two attempts
	var mu sync.Mutex
	status := http.StatusInternalServerError
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		mu.Lock()
		defer mu.Unlock()
		w.WriteHeader(status)
		return status == http.StatusNoContent
	})
	s := h.run(t, endpoint(r, nil))
	h.conversation(t, 1, 3)
	for range 23 {
		before := h.waitForFailure(t, s, 1).Attempts
		h.clock.advance(time.Hour)
		h.waitForFailure(t, s, before+2)
	}
	if got := h.status(t, s); got.Off != nil {
		t.Fatalf("it was switched off early: %s", got.Off.Reason)
	}
	h.clock.advance(time.Hour)
	got := h.waitForStatus(t, s, func(s webhooks.Status) bool { return s.Off != nil })
	if !strings.Contains(got.Off.Reason, "24h") || !strings.Contains(got.Off.Reason, "500") {
		t.Errorf("the reason is %q", got.Off.Reason)
	}
	mu.Lock()
	status = http.StatusNoContent
	mu.Unlock()
	must(t, s.SwitchOn(t.Context(), "endpoint"))
	h.checkConversation(t, r, 1, 3)
	if got := h.status(t, s); len(got.Failing) > 0 {
		t.Errorf("still failing: %+v", got.Failing)
	}
}

func TestTimeInWhichNobodyTriedIsNoTimeOfFailure(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		w.WriteHeader(http.StatusBadGateway)
		return false
	})
	s := h.run(t, endpoint(r, nil))
	h.append(t, message(1, ""))
	h.waitForFailure(t, s, 1)
	h.stop(t)
	h.clock.advance(72 * time.Hour)
	s = h.run(t, endpoint(r, nil))
	failure := h.waitForFailure(t, s, 1)
	for failure.Since.Before(h.clock.Now()) {
		failure = h.waitForFailure(t, s, 1)
	}
	if got := h.status(t, s); got.Off != nil {
		t.Errorf("it was switched off: %s", got.Off.Reason)
	}
}

func TestNothingIsLostWhenTheProcessRestarts(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	dir := t.TempDir()
	open := func() *pebblekv.Store {
		store, err := pebblekv.Open(dir, pebblekv.Options{})
		must(t, err)
		h.cfg.Store = store
		return store
	}
	store := open()
	r := h.receiver(t, nil)
	h.run(t, endpoint(r, nil))
	const threads, each = 4, 100
	h.conversation(t, threads, each)
	c := newConversation(threads)
	for round := 1; round <= 3; round++ {
		for c.events < round*each { // some come twice, where the process ended before their answer was noted
			c.note(t, r.next(t))
		}
		h.stop(t)
		must(t, store.Close())
		store = open()
		h.run(t, endpoint(r, nil))
	}
	for c.events < threads*each {
		c.note(t, r.next(t))
	}
	h.stop(t)
	must(t, store.Close())
}

func TestANewEndpointBeginsWithWhatComesOrWithEverything(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	old := message(1, "old")
	h.append(t, old)
	fresh, all := h.receiver(t, nil), h.receiver(t, nil)
	endpoints := []webhooks.Endpoint{
		endpoint(fresh, func(e *webhooks.Endpoint) { e.ID = "fresh" }),
		endpoint(all, func(e *webhooks.Endpoint) { e.ID, e.FromStart = "all", true }),
	}
	h.run(t, endpoints...)
	young := message(1, "young")
	h.append(t, young)
	for _, x := range []struct {
		r    *receiver
		want *eventv1.Event
	}{{fresh, young}, {all, old}, {all, young}} {
		if got := x.r.next(t); got.event != x.want.GetId() {
			t.Errorf("%s arrived, want %s", got.event, x.want.GetId())
		}
	}
}

func TestWhatCanNeverBeSentBecomesADeadLetterAndTheNextOneIsSent(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, nil)
	h.run(t, endpoint(r, func(e *webhooks.Endpoint) { e.IncludeContent = true }))
	broken, next := message(1, ""), message(1, "fine")
	broken.Content = []byte{0xff}
	h.append(t, broken)
	h.append(t, next)
	if got := r.next(t); got.event != next.GetId() {
		t.Errorf("%s arrived", got.body)
	}
	letter := h.deadLetter(t)
	if letter.GetReason() != eventv1.DeadReason_DEAD_REASON_INVALID || letter.GetTenant() != tenant || letter.GetSlice() != "webhooks/endpoint" ||
		letter.GetSource().GetTopic() != event.TopicInteractions || !strings.Contains(letter.GetDetail(), "never be sent") {
		t.Errorf("the letter is %v", letter)
	}
	raw, err := event.Decode(letter.GetRaw())
	must(t, err)
	if !proto.Equal(raw, broken) {
		t.Errorf("the letter holds %v", raw)
	}
}

func TestProcessesSwitchEndpointsOffAndOnForEachOther(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, nil)
	h.run(t, endpoint(r, nil))
	other, err := webhooks.New(t.Context(), h.cfg)
	must(t, err)
	must(t, other.SwitchOff(t.Context(), "endpoint", "maintenance"))
	h.append(t, message(1, ""))
	must(t, other.SwitchOn(t.Context(), "endpoint"))
	r.next(t)
	if err := other.SwitchOn(t.Context(), "nobody"); !errors.Is(err, webhooks.ErrUnknownEndpoint) {
		t.Errorf("an unknown endpoint gave %v", err)
	}
	if err := other.SwitchOff(t.Context(), "nobody", ""); !errors.Is(err, webhooks.ErrUnknownEndpoint) {
		t.Errorf("an unknown endpoint gave %v", err)
	}
}

func TestAnEndpointIsLeftAloneForAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	h.cfg.FirstRetry, h.cfg.LastRetry = patience, 2*patience // would be too late
	asked := false
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		if asked {
			return true
		}
		asked = true
		w.Header().Set("Retry-After", "1")
		w.WriteHeader(http.StatusTooManyRequests)
		return false
	})
	h.run(t, endpoint(r, nil))
	h.append(t, message(1, ""))
	r.next(t)
}

func TestAttemptsAreCounted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	failed := false
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		if !failed {
			failed = true
			w.WriteHeader(http.StatusTeapot)
			return false
		}
		return true
	})
	s := h.run(t, endpoint(r, nil))
	h.append(t, message(1, ""))
	r.next(t)
	h.waitUntilNoted(t, s)
	h.stop(t)
	must(t, testutil.GatherAndCompare(h.registry, strings.NewReader(`
# HELP skein_webhooks_attempts_total Attempts to deliver an event, by outcome: delivered, failed, gone (410), dead (can never be sent).
# TYPE skein_webhooks_attempts_total counter
skein_webhooks_attempts_total{endpoint="endpoint",outcome="dead"} 0
skein_webhooks_attempts_total{endpoint="endpoint",outcome="delivered"} 1
skein_webhooks_attempts_total{endpoint="endpoint",outcome="failed"} 1
skein_webhooks_attempts_total{endpoint="endpoint",outcome="gone"} 0
`), "skein_webhooks_attempts_total"))
}

func TestAnEndpointWhoseStoreIsLostGoesOnWhereItsGroupHasCommitted(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, nil)
	s := h.run(t, endpoint(r, nil))
	h.conversation(t, 8, 5)
	c := newConversation(8)
	for c.events < 8*5 {
		c.note(t, r.next(t))
	}
	h.waitUntilNoted(t, s)
	h.stop(t)
	h.cfg.Store = memkv.New()
	missed := message(1, "while it was away")
	missed.CorrelationId = "1/5"
	h.append(t, missed)
	h.run(t, endpoint(r, func(e *webhooks.Endpoint) { e.FromStart = true }))
	for c.events < 8*5+1 {
		got := r.next(t)
		c.note(t, got)
		if got.event != missed.GetId() {
			t.Errorf("%s arrived again", got.event)
		}
	}
}

func TestSwitchingOffAndOnAgainChangesNothingMore(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return false
	})
	s := h.run(t, endpoint(r, nil))
	h.append(t, message(1, ""))
	since := h.waitForFailure(t, s, 2).Since
	must(t, s.SwitchOn(t.Context(), "endpoint"))
	if got := h.status(t, s); len(got.Failing) != 1 || !got.Failing[0].Since.Equal(since) {
		t.Errorf("switching on an endpoint that is on made its failures %+v", got.Failing)
	}
	must(t, s.SwitchOff(t.Context(), "endpoint", "first"))
	must(t, s.SwitchOff(t.Context(), "endpoint", "second"))
	if off := h.status(t, s).Off; off == nil || off.Reason != "first" {
		t.Errorf("it is off because of %+v", off)
	}
	h.clock.advance(time.Second)
	must(t, s.SwitchOn(t.Context(), "endpoint"))
	if got := h.waitForFailure(t, s, 1); got.Since.Equal(since) {
		t.Error("the failures before it was off still count")
	}
}

func TestTheStatusTellsOfWhatTheEndpointWantsNow(t *testing.T) {
	t.Parallel()
	h := newHarness(t)
	r := h.receiver(t, func(w http.ResponseWriter, _ delivery) bool {
		w.WriteHeader(http.StatusInternalServerError)
		return false
	})
	s := h.run(t, endpoint(r, func(e *webhooks.Endpoint) { e.Types = []string{"*"} }))
	h.append(t, message(1, ""))
	h.waitForFailure(t, s, 1)
	total := func(s webhooks.Status) (lag int64) {
		for _, p := range s.Places {
			lag += p.Lag
		}
		return lag
	}
	if got := h.status(t, s); len(got.Places) != 5*partitions || total(got) != 1 {
		t.Errorf("the places are %+v", got.Places)
	}
	h.stop(t)
	s = h.run(t, endpoint(r, func(e *webhooks.Endpoint) { e.Types = []string{"call.*"} }))
	got := h.waitForStatus(t, s, func(s webhooks.Status) bool { return total(s) == 0 })
	if len(got.Failing) > 0 || len(got.Places) != partitions {
		t.Errorf("it tells of %+v and %+v", got.Failing, got.Places)
	}
}

// harness is a broker and what a service works with.
type harness struct {
	cfg      webhooks.Config
	log      *kafkalog.Log
	clock    *clock
	registry *prometheus.Registry
	halt     func(t *testing.T)
}

func newHarness(t *testing.T) *harness {
	t.Helper()
	broker, err := embedded.Start(t.Context(), embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(func() { must(t, broker.Close()) })
	log, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: []string{broker.Addr()}, Patience: time.Minute})
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	for _, topic := range []string{event.TopicInteractions, event.TopicAgents, event.TopicLinks, event.TopicDirectory, event.TopicAlerts, event.TopicDead} {
		must(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: partitions}))
	}
	groups, err := kafkagroup.New(kafkagroup.Config{Brokers: []string{broker.Addr()}, Heartbeat: 50 * time.Millisecond})
	must(t, err)
	h := &harness{log: log, clock: &clock{now: time.Now()}, registry: prometheus.NewRegistry(), halt: func(*testing.T) {}}
	h.cfg = webhooks.Config{
		Log: log, Groups: groups, Store: kv.Store(memkv.New()), DeadLetters: deadletter.NewPublisher(log), AllowPrivate: true,
		RootCAs: x509.NewCertPool(), FirstRetry: time.Millisecond, LastRetry: 20 * time.Millisecond, Recheck: 20 * time.Millisecond, Metrics: webhooks.NewMetrics(h.registry), Now: h.clock.Now,
	}
	t.Cleanup(func() { h.halt(t) })
	return h
}

// run runs a service until stop or the end of the test.
func (h *harness) run(t *testing.T, endpoints ...webhooks.Endpoint) *webhooks.Service {
	t.Helper()
	h.cfg.Endpoints = endpoints
	s, err := webhooks.New(t.Context(), h.cfg)
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	h.halt = func(t *testing.T) {
		t.Helper()
		cancel()
		must(t, <-ended)
		h.halt = func(*testing.T) {}
	}
	return s
}

func (h *harness) stop(t *testing.T) {
	t.Helper()
	h.halt(t)
}

func (h *harness) append(t *testing.T, e *eventv1.Event) {
	t.Helper()
	value, err := event.Encode(e)
	must(t, err)
	topic, ok := event.TopicOf(e.GetType())
	if !ok {
		t.Fatalf("no topic holds %s", e.GetType())
	}
	h.appendTo(t, topic, []byte(e.GetThreadId()), value)
}

func (h *harness) appendTo(t *testing.T, topic string, key, value []byte) {
	t.Helper()
	_, err := eventlog.AppendAll(t.Context(), h.log, []eventlog.Message{{Topic: topic, Key: key, Value: value}})
	must(t, err)
}

// conversation appends so many messages to so many threads, which say their number each.
func (h *harness) conversation(t *testing.T, threads, each int) {
	t.Helper()
	var messages []eventlog.Message
	for i := range each {
		for thread := 1; thread <= threads; thread++ {
			e := message(thread, "")
			e.CorrelationId = fmt.Sprintf("%d/%d", thread, i)
			value, err := event.Encode(e)
			must(t, err)
			messages = append(messages, eventlog.Message{Topic: event.TopicInteractions, Key: []byte(e.GetThreadId()), Value: value})
		}
	}
	_, err := eventlog.AppendAll(t.Context(), h.log, messages)
	must(t, err)
}

func (h *harness) checkConversation(t *testing.T, r *receiver, threads, each int) {
	t.Helper()
	c := newConversation(threads)
	for c.events < threads*each {
		c.note(t, r.next(t))
	}
}

func (h *harness) status(t *testing.T, s *webhooks.Service) webhooks.Status {
	t.Helper()
	list, err := s.Status(t.Context())
	must(t, err)
	return list[0]
}

// waitUntilNoted waits until all that was delivered is known to be: it is told after the receiver has answered.
func (h *harness) waitUntilNoted(t *testing.T, s *webhooks.Service) {
	t.Helper()
	h.waitForStatus(t, s, func(s webhooks.Status) bool {
		return !slices.ContainsFunc(s.Places, func(p webhooks.Place) bool { return p.Lag > 0 })
	})
}

func (h *harness) waitForStatus(t *testing.T, s *webhooks.Service, ok func(webhooks.Status) bool) webhooks.Status {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		if status := h.status(t, s); ok(status) {
			return status
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the status stays %+v", h.status(t, s))
		case <-time.After(time.Millisecond):
		}
	}
}

// waitForFailure waits until an event has failed so often at least.
func (h *harness) waitForFailure(t *testing.T, s *webhooks.Service, attempts int) webhooks.Failure {
	t.Helper()
	return h.waitForStatus(t, s, func(s webhooks.Status) bool { return len(s.Failing) == 1 && s.Failing[0].Attempts >= attempts }).Failing[0]
}

// deadLetter waits for a dead letter.
func (h *harness) deadLetter(t *testing.T) *eventv1.DeadLetter {
	t.Helper()
	letters := make(chan *eventv1.DeadLetter)
	for p := range int32(partitions) {
		reader, err := h.log.Open(t.Context(), event.TopicDead, p, 0)
		must(t, err)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		t.Cleanup(func() {
			cancel()
			<-ended
			reader.Close()
		})
		go func() {
			defer close(ended)
			records, err := reader.Read(ctx, 1)
			letter := &eventv1.DeadLetter{}
			if err != nil || proto.Unmarshal(records[0].Value, letter) != nil {
				return
			}
			select {
			case letters <- letter:
			case <-ctx.Done():
			}
		}()
	}
	select {
	case l := <-letters:
		return l
	case <-time.After(patience):
		t.Fatal("no dead letter came")
	}
	return nil
}

func gauge(t *testing.T, h *harness, name string) float64 {
	t.Helper()
	families, err := h.registry.Gather()
	must(t, err)
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no %s", name)
	return 0
}

// receiver is an endpoint over TLS.
type receiver struct {
	*httptest.Server
	attempts chan delivery // all
	accepted chan delivery // those that were answered with success
}

// delivery is a request that a receiver got.
type delivery struct {
	event   string
	header  http.Header
	body    []byte
	request context.Context
	ended   chan struct{} // closed with the test
}

// receiver starts an endpoint that answers by a function, which says whether it accepted; nil accepts all.
func (h *harness) receiver(t *testing.T, answer func(http.ResponseWriter, delivery) bool) *receiver {
	t.Helper()
	r := &receiver{attempts: make(chan delivery, 100_000), accepted: make(chan delivery, 100_000)}
	ended := make(chan struct{})
	r.Server = httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			return
		}
		id, _, _ := strings.Cut(req.Header.Get("Webhook-Id"), "_")
		got := delivery{id, req.Header, body, req.Context(), ended}
		r.attempts <- got
		if answer == nil || answer(w, got) {
			r.accepted <- got
		}
	}))
	h.cfg.RootCAs.AddCert(r.Certificate())
	t.Cleanup(r.Close)
	t.Cleanup(func() { close(ended) })
	return r
}

func (r *receiver) next(t *testing.T) delivery {
	t.Helper()
	return take(t, r.accepted)
}

func (r *receiver) attempt(t *testing.T) delivery {
	t.Helper()
	return take(t, r.attempts)
}

func take(t *testing.T, from <-chan delivery) delivery {
	t.Helper()
	select {
	case d := <-from:
		return d
	case <-time.After(patience):
		t.Fatal("nothing arrived")
	}
	return delivery{}
}

func endpoint(r *receiver, change func(*webhooks.Endpoint)) webhooks.Endpoint {
	e := webhooks.Endpoint{ID: "endpoint", Tenant: tenant, URL: r.URL + "/hook?a=b", Secret: secret, Types: []string{"message.*"}, PerSecond: 100_000}
	if change != nil {
		change(&e)
	}
	return e
}

// conversation is what has arrived of some threads.
type conversation struct {
	next   []int
	events int // that are new
}

func newConversation(threads int) *conversation { return &conversation{next: make([]int, threads+1)} }

// note takes in what arrived: the next one of its thread, or one that came before.
func (c *conversation) note(t *testing.T, got delivery) {
	t.Helper()
	var ce struct{ CorrelationID string }
	must(t, json.Unmarshal(got.body, &ce))
	var thread, i int
	if _, err := fmt.Sscanf(ce.CorrelationID, "%d/%d", &thread, &i); err != nil {
		t.Fatalf("%s: %v", got.body, err)
	}
	switch {
	case i > c.next[thread]:
		t.Fatalf("message %d of thread %d arrived, want %d", i, thread, c.next[thread])
	case i == c.next[thread]:
		c.next[thread]++
		c.events++
	}
}

// message is a message in one of several threads.
func message(thread int, text string) *eventv1.Event {
	content, err := proto.Marshal(&eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: text}}})
	if err != nil {
		panic(err)
	}
	now := timestamppb.New(time.Date(2026, 11, 23, 10, 0, 0, 0, time.UTC))
	return &eventv1.Event{
		Id: uuid.NewString(), Tenant: tenant, Type: event.TypeMessageReceived, OccurredAt: now, ReceivedAt: now,
		ThreadId: uuid.NewSHA1(uuid.NameSpaceURL, fmt.Append(nil, thread)).String(), Inbox: "support", Provider: "smtp", Content: content,
		Channel: eventv1.Channel_CHANNEL_EMAIL, SchemaVersion: 1,
	}
}

// clock is set by the test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
