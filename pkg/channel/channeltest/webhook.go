package channeltest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
)

// Webhook is an adapter whose provider delivers by HTTP, as the kit wants it.
type Webhook struct {
	// Open makes a new adapter over a host and gives what its provider reaches. It is called for each test.
	Open func(t *testing.T, host channel.Host) http.Handler
	// Story is what the provider delivers, in its order.
	Story []Delivery
	// Sign makes the request one of the provider's; its URL and headers are those of the delivery.
	Sign func(r *http.Request, body []byte)
	// Unsign takes the signature away again, wherever it stands.
	Unsign func(r *http.Request)
	// Wrap makes what is delivered of a body, where the provider encrypts: the Body of a Delivery is then what Unwrap gives again, and
	// what is kept of a delivery that is not understood. Sign gets what is delivered. It need not give the same twice. Nil where a
	// body is delivered as it is.
	Wrap func(body []byte) []byte
	// BodyUnsigned tells that the provider proves who it is and signs nothing of the body, so that a body can be changed on its
	// way; the kit then only takes the proof away.
	BodyUnsigned bool
	// Ordered tells that the provider itself keeps the order of deliveries, so that the kit does not change it.
	Ordered bool
	// Told says that clients read their answers: what is authentic and not understood is answered by 400, with the reason, and
	// not kept.
	Told bool
}

// Delivery is one request of a provider.
type Delivery struct {
	// Name says what it tells.
	Name string
	// URL is absolute, as the provider knows it.
	URL string
	// ContentType of the body.
	ContentType string
	Body        string
}

// TestWebhook is the kit for adapters whose provider delivers by HTTP: what must hold of each of them. What the events say,
// the adapter's own tests compare.
func TestWebhook(t *testing.T, w Webhook) {
	t.Helper()
	if len(w.Story) == 0 {
		t.Fatal("the kit needs a story")
	}
	told := w.told(t, w.Story)
	if len(told) == 0 {
		t.Fatal("the story gives no event")
	}
	t.Run("what is delivered twice is stored once", func(t *testing.T) {
		twice := slices.Concat(w.Story, w.Story)
		for i, d := range w.Story {
			twice = slices.Insert(twice, 2*i, d)
		}
		same(t, told, w.told(t, twice))
	})
	if !w.Ordered {
		t.Run("the order of deliveries changes nothing", func(t *testing.T) {
			backwards := slices.Clone(w.Story)
			slices.Reverse(backwards)
			same(t, told, w.told(t, backwards))
			for seed := range uint64(20) {
				shuffled := slices.Clone(w.Story)
				rand.New(rand.NewPCG(seed, 0)).Shuffle(len(shuffled), func(i, j int) { shuffled[i], shuffled[j] = shuffled[j], shuffled[i] })
				same(t, told, w.told(t, shuffled))
			}
		})
	}
	t.Run("a delivery without a signature, or with another's, is refused", func(t *testing.T) { w.testSignatures(t) })
	if w.Told {
		t.Run("what is signed and not understood is told, and not kept", func(t *testing.T) { w.testTold(t) })
	} else {
		t.Run("what is signed and not understood is kept, and not asked for again", func(t *testing.T) { w.testGibberish(t) })
	}
	t.Run("a body that is too large is refused", func(t *testing.T) { w.testSize(t) })
	t.Run("while the log does not answer, the provider is asked to come again", func(t *testing.T) { w.testAway(t, told) })
	t.Run("a flood is stored once", func(t *testing.T) { w.testFlood(t, told) })
}

// wrap makes what is delivered of a body.
func (w Webhook) wrap(body string) []byte {
	if w.Wrap == nil {
		return []byte(body)
	}
	return w.Wrap([]byte(body))
}

// request makes a delivery's request, with another body.
func (w Webhook) request(t *testing.T, d Delivery, body []byte) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, d.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatalf("%s: %v", d.Name, err)
	}
	if d.ContentType != "" {
		r.Header.Set("Content-Type", d.ContentType)
	}
	r.RemoteAddr = "192.0.2.1:4711"
	return r
}

func (w Webhook) deliver(t *testing.T, h http.Handler, d Delivery) *http.Response {
	t.Helper()
	body := w.wrap(d.Body)
	r := w.request(t, d, body)
	w.Sign(r, body)
	return serve(h, r)
}

func serve(h http.Handler, r *http.Request) *http.Response {
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder.Result()
}

// told gives the events of a story, each as its id and digest.
func (w Webhook) told(t *testing.T, story []Delivery) []string {
	t.Helper()
	host := NewHost()
	h := w.Open(t, host)
	for _, d := range story {
		answer := w.deliver(t, h, d)
		_ = answer.Body.Close()
		if answer.StatusCode/100 != 2 {
			t.Fatalf("%s: answered %s", d.Name, answer.Status)
		}
	}
	for _, r := range host.Rejections() {
		t.Errorf("rejected: %s: %q", r.Reason, r.Raw)
	}
	return Fingerprint(t, host)
}

// Fingerprint gives the events of a host, each as its type, id and digest, in no order. Conflicts are errors.
func Fingerprint(t *testing.T, host *Host) []string {
	t.Helper()
	for _, c := range host.Conflicts() {
		t.Errorf("another event has the id of %s %s: %v", c.Event.GetType(), c.Event.GetId(), c.Content)
	}
	var all []string
	for _, e := range host.Events() {
		all = append(all, fmt.Sprintf("%s %s %x", e.Event.GetType(), e.Event.GetId(), e.Event.GetDigest()))
	}
	slices.Sort(all)
	return all
}

func same(t *testing.T, want, got []string) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Fatalf("got the events\n  %s\nwant\n  %s", strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

func (w Webhook) testSignatures(t *testing.T) {
	host := NewHost()
	h := w.Open(t, host)
	for _, d := range w.Story {
		body := w.wrap(d.Body)
		changes := map[string]func(r *http.Request){"unsigned": w.Unsign}
		if !w.BodyUnsigned {
			changes["with a changed signature"] = func(r *http.Request) { w.Sign(r, w.wrap(d.Body+"&x=1")) }
		}
		for name, change := range changes {
			r := w.request(t, d, body)
			w.Sign(r, body)
			change(r)
			answer := serve(h, r)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s, %s: answered %s", d.Name, name, answer.Status)
			}
		}
		if cut := body[:len(body)/2]; len(cut) > 0 && !w.BodyUnsigned { // signed whole, delivered half
			r := w.request(t, d, cut)
			w.Sign(r, body)
			answer := serve(h, r)
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusUnauthorized && answer.StatusCode != http.StatusForbidden {
				t.Errorf("%s, cut in half: answered %s", d.Name, answer.Status)
			}
		}
	}
	if n, m := len(host.Events()), len(host.Rejections()); n+m > 0 {
		t.Errorf("%d events and %d rejections", n, m)
	}
}

// gibberish is what no adapter understands.
func gibberish() []string {
	return []string{"", "\x00\xff\xfe", "{", "<xml>", strings.Repeat("[", 10_000), "a=1&b=%zz"}
}

func (w Webhook) testTold(t *testing.T) {
	first := w.Story[0]
	for _, body := range gibberish() {
		host := NewHost()
		answer := w.deliver(t, w.Open(t, host), Delivery{Name: "gibberish", URL: first.URL, ContentType: first.ContentType, Body: body})
		reason, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusBadRequest || len(reason) == 0 || err != nil {
			t.Errorf("%.20q: answered %s %q", body, answer.Status, reason)
		}
		if n, m := len(host.Events()), len(host.Rejections()); n+m > 0 {
			t.Errorf("%.20q: %d events and %d rejections", body, n, m)
		}
	}
}

func (w Webhook) testGibberish(t *testing.T) {
	first := w.Story[0]
	for _, body := range gibberish() {
		host := NewHost()
		d := Delivery{Name: "gibberish", URL: first.URL, ContentType: first.ContentType, Body: body}
		answer := w.deliver(t, w.Open(t, host), d)
		_ = answer.Body.Close()
		if answer.StatusCode/100 != 2 {
			t.Errorf("%.20q: answered %s", body, answer.Status)
		}
		if n := len(host.Events()); n > 0 {
			t.Errorf("%.20q: %d events", body, n)
		}
		if kept := host.Rejections(); len(kept) != 1 || !bytes.Equal(kept[0].Raw, []byte(body)) || kept[0].Reason == "" || kept[0].Inbox == "" {
			t.Errorf("%.20q: kept %v", body, kept)
		}
	}
	for _, d := range w.Story { // half of what is understood, signed: whatever comes of it, the provider need not come again
		host := NewHost()
		for _, n := range []int{1, len(d.Body) / 3, len(d.Body) / 2, len(d.Body) - 1} {
			answer := w.deliver(t, w.Open(t, host), Delivery{Name: d.Name, URL: d.URL, ContentType: d.ContentType, Body: d.Body[:n]})
			_ = answer.Body.Close()
			if answer.StatusCode/100 != 2 {
				t.Errorf("%s, %d of its bytes: answered %s", d.Name, n, answer.Status)
			}
		}
	}
}

func (w Webhook) testSize(t *testing.T) {
	host, first := NewHost(), w.Story[0]
	answer := w.deliver(t, w.Open(t, host), Delivery{Name: "too large", URL: first.URL, ContentType: first.ContentType, Body: strings.Repeat("x", 40<<20)})
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusRequestEntityTooLarge || len(host.Rejections()) > 0 {
		t.Errorf("answered %s, kept %d", answer.Status, len(host.Rejections()))
	}
}

func (w Webhook) testAway(t *testing.T, told []string) {
	host := NewHost()
	h := w.Open(t, host)
	host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	var telling []Delivery // something, each by itself
	for _, d := range w.Story {
		answer := w.deliver(t, h, d)
		_ = answer.Body.Close()
		if len(w.told(t, []Delivery{d})) == 0 {
			continue
		}
		telling = append(telling, d)
		if answer.StatusCode/100 != 5 {
			t.Errorf("%s: answered %s while the log was away", d.Name, answer.Status)
		}
	}
	host.Fail(errors.New("for good"))
	answer := w.deliver(t, h, telling[0])
	_ = answer.Body.Close()
	if answer.StatusCode/100 == 2 {
		t.Errorf("answered %s although nothing was kept", answer.Status)
	}
	host.Fail(nil)
	if n := len(host.Events()); n > 0 {
		t.Errorf("%d events while the log was away", n)
	}
	for _, d := range w.Story {
		answer := w.deliver(t, h, d)
		_ = answer.Body.Close()
		if answer.StatusCode/100 != 2 {
			t.Errorf("%s: answered %s afterwards", d.Name, answer.Status)
		}
	}
	same(t, told, Fingerprint(t, host))
}

func (w Webhook) testFlood(t *testing.T, told []string) {
	host := NewHost()
	h := w.Open(t, host)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			for _, d := range w.Story {
				answer := w.deliver(t, h, d)
				_ = answer.Body.Close()
				if answer.StatusCode/100 != 2 {
					t.Errorf("%s: answered %s", d.Name, answer.Status)
				}
			}
		})
	}
	wg.Wait()
	same(t, told, Fingerprint(t, host))
}
