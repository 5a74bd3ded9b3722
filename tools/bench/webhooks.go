package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// hook is a channel whose provider delivers by HTTP.
type hook struct {
	channel, message string
	// events that each delivery gives.
	events int
	open   func(mux *http.ServeMux) (channel.Channel, error)
	// next makes the nth delivery, signed.
	next func(n int64) (delivery, error)
	// least does with a delivery what no adapter can leave out.
	least func(delivery) error
}

// delivery is a POST of a provider's.
type delivery struct {
	url    string
	header map[string]string
	body   []byte
}

func (d delivery) request(ctx context.Context) *http.Request {
	r := httptest.NewRequestWithContext(ctx, http.MethodPost, d.url, http.NoBody)
	for name, value := range d.header {
		r.Header.Set(name, value)
	}
	return r
}

// prepared is how many deliveries are made beforehand, where making them is not to be measured.
const prepared = 500

func (h hook) source() source {
	return source{channel: h.channel, message: h.message, run: h.run, alone: h.alone, least: h.repeatLeast}
}

// mounted gives the handler of the opened channel.
func (h hook) mounted(ctx context.Context, host channel.Host) (http.Handler, error) {
	mux := http.NewServeMux()
	c, err := h.open(mux)
	if err != nil {
		return nil, err
	}
	return mux, c.Open(ctx, host)
}

// run delivers again and again, many at once, each time something new.
func (h hook) run(ctx context.Context, host *countingHost) error {
	handler, err := h.mounted(ctx, host)
	if err != nil {
		return err
	}
	return each(ctx, func(ctx context.Context, n int64) error {
		d, err := h.next(n)
		if err != nil {
			return err
		}
		return post(handler, d.request(ctx), d.body)
	})
}

// alone delivers one by one what was made beforehand.
func (h hook) alone(ctx context.Context, host *countingHost) error {
	handler, err := h.mounted(ctx, host)
	if err != nil {
		return err
	}
	deliveries, err := h.prepare()
	if err != nil {
		return err
	}
	requests := make([]*http.Request, len(deliveries))
	for i, d := range deliveries {
		requests[i] = d.request(ctx)
	}
	for i := 0; ctx.Err() == nil; i++ {
		at := i % prepared
		if err := post(handler, requests[at].WithContext(context.WithoutCancel(ctx)), deliveries[at].body); err != nil {
			return err
		}
	}
	return nil
}

// repeatLeast does the least with what was made beforehand.
func (h hook) repeatLeast(ctx context.Context, host *countingHost) error {
	deliveries, err := h.prepare()
	if err != nil {
		return err
	}
	for i := 0; ctx.Err() == nil; i++ {
		if err := h.least(deliveries[i%prepared]); err != nil {
			return err
		}
		host.durable.Add(int64(h.events))
	}
	return nil
}

func (h hook) prepare() ([]delivery, error) {
	deliveries := make([]delivery, prepared)
	for i := range deliveries {
		var err error
		if deliveries[i], err = h.next(int64(i)); err != nil {
			return nil, err
		}
	}
	return deliveries, nil
}

// post has a request with a body answered.
func post(handler http.Handler, r *http.Request, body []byte) error {
	r.Body, r.ContentLength = newBody(body), int64(len(body))
	a := &answer{code: http.StatusOK, header: http.Header{}}
	handler.ServeHTTP(a, r)
	if a.code >= http.StatusMultipleChoices {
		return fmt.Errorf("answered %d: %s", a.code, a.text)
	}
	return nil
}

// body of a request.
type body struct{ bytes.Reader }

func newBody(b []byte) *body {
	r := &body{}
	r.Reset(b)
	return r
}

// Close implements io.Closer.
func (*body) Close() error { return nil }

// answer is an http.ResponseWriter that costs as little as possible.
type answer struct {
	code   int
	header http.Header
	text   []byte
}

// Header implements http.ResponseWriter.
func (a *answer) Header() http.Header { return a.header }

// Write implements http.ResponseWriter.
func (a *answer) Write(p []byte) (int, error) {
	a.text = append(a.text, p...)
	return len(p), nil
}

// WriteHeader implements http.ResponseWriter.
func (a *answer) WriteHeader(code int) { a.code = code }

// idleHost takes everything and does nothing.
type idleHost struct{ channel.Host }

// Submit implements channel.Host.
func (idleHost) Submit(_ context.Context, _ string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	return make([]channel.Acknowledgement, len(submissions)), nil
}

// errSignature is a benchmark's mistake.
var errSignature = errors.New("the signature is wrong")
