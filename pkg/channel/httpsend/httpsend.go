// Package httpsend makes the one HTTP call by which a channel sends a message, and tells what is known where it fails: whether
// the request certainly stayed here or may have arrived. It reads no provider's answers.
package httpsend

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
)

// Client makes a client for Do that follows no redirects. The transport may be nil. Its requests last as long as their contexts.
func Client(transport http.RoundTripper) *http.Client {
	return &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Do makes a call once. Where there is no answer, the error is channel.ErrRetry if not a byte of the request went out (no
// connection came about), and channel.ErrUnknown otherwise. Close the body of the answer. The URL is left out of errors: it
// may hold a secret.
func Do(client *http.Client, r *http.Request) (*http.Response, error) {
	var connected atomic.Bool
	trace := &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) { connected.Store(true) }}
	// Without GetBody and without an idempotency header the transport tries a POST again only where nothing was written.
	resp, err := client.Do(r.WithContext(httptrace.WithClientTrace(r.Context(), trace))) //nolint:gosec // to where a channel is configured
	if err == nil {
		return resp, nil
	}
	kind := channel.ErrRetry
	if connected.Load() {
		kind = channel.ErrUnknown
	}
	var wrapped interface{ Unwrap() error }
	if errors.As(err, &wrapped) { // *url.Error
		err = wrapped.Unwrap()
	}
	return nil, fmt.Errorf("%w: %w", kind, err)
}

// Later is channel.ErrRetry with the time after which to come again, as an answer's Retry-After has it (RFC 9110, section
// 10.2.3); without one, whoever sends decides.
func Later(resp *http.Response, now time.Time) error {
	err := fmt.Errorf("%w: the provider answered %s", channel.ErrRetry, resp.Status)
	text := resp.Header.Get("Retry-After")
	if seconds, e := strconv.Atoi(text); e == nil && seconds >= 0 {
		return &laterError{err, time.Duration(min(seconds, int(maxLater/time.Second))) * time.Second}
	}
	if at, e := http.ParseTime(text); e == nil {
		return &laterError{err, min(max(at.Sub(now), 0), maxLater)}
	}
	return err
}

// maxLater is how far ahead a provider may send us away.
const maxLater = 24 * time.Hour

type laterError struct {
	err   error
	after time.Duration
}

func (e *laterError) Error() string { return e.err.Error() }

func (e *laterError) Unwrap() error { return e.err }

// RetryAfter says when to come again.
func (e *laterError) RetryAfter() time.Duration { return e.after }
