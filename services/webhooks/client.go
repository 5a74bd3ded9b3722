package webhooks

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/publicnet"
)

const (
	// answerBytes is how much of an answer's body is read, so that the connection can be used again, and excerptBytes how
	// much of it is told.
	answerBytes  = 64 << 10
	excerptBytes = 200

	userAgent   = "Skein-Webhooks/1"
	contentType = "application/cloudevents+json; charset=utf-8"
)

// newClient makes an HTTP client of an endpoint's own, which nobody else's connections can exhaust.
func newClient(cfg *Config) *http.Client {
	dialer := &net.Dialer{Timeout: cfg.Timeout}
	if !cfg.AllowPrivate {
		dialer.ControlContext = publicnet.Control
	}
	return &http.Client{
		Timeout:       cfg.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			// No proxy: it would resolve names and connect where the dialer must not.
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: cfg.RootCAs, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    cfg.Timeout,
			MaxResponseHeaderBytes: answerBytes,
			MaxConnsPerHost:        16,
			MaxIdleConnsPerHost:    16,
			IdleConnTimeout:        time.Minute,
			DisableCompression:     true,
			ForceAttemptHTTP2:      true,
		},
	}
}

// answerError is an answer other than 2xx.
type answerError struct {
	status  int
	excerpt string
	// after is how long the endpoint asks to be left alone.
	after time.Duration
}

func (e *answerError) Error() string {
	text := fmt.Sprintf("it answered %d %s", e.status, http.StatusText(e.status))
	if e.excerpt != "" {
		text += fmt.Sprintf(": %q", e.excerpt)
	}
	return text
}

// As lets back-off see how long to wait.
func (e *answerError) As(target any) bool {
	t, ok := target.(**backoff.RetryAfterError)
	if !ok || e.after <= 0 {
		return false
	}
	*t = &backoff.RetryAfterError{Duration: e.after}
	return true
}

// post makes one attempt to deliver a body.
func (w *worker) post(ctx context.Context, id string, body []byte) error {
	now := w.cfg.Now()
	signature, err := w.signer.Sign(id, now, body)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, w.URL, bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header = http.Header{
		"Content-Type":      {contentType},
		"User-Agent":        {userAgent},
		"Webhook-Id":        {id},
		"Webhook-Timestamp": {strconv.FormatInt(now.Unix(), 10)},
		"Webhook-Signature": {signature},
	}
	resp, err := w.client.Do(req)
	if err != nil {
		if wrapped, ok := errors.AsType[*url.Error](err); ok {
			err = wrapped.Err // it repeats the URL, in which there may be a password
		}
		return err
	}
	defer resp.Body.Close()
	head, err := io.ReadAll(io.LimitReader(resp.Body, answerBytes))
	switch {
	case resp.StatusCode < 200 || resp.StatusCode > 299:
		excerpt := strings.ToValidUTF8(string(head[:min(len(head), excerptBytes)]), "")
		return &answerError{resp.StatusCode, excerpt, min(retryAfter(resp.Header, now), w.cfg.LastRetry)}
	case err != nil: // it broke off before the end of its answer: who knows
		return err
	}
	return nil
}

// retryAfter reads the header of that name (RFC 9110, section 10.2.3); 0 where there is none.
func retryAfter(h http.Header, now time.Time) time.Duration {
	text := h.Get("Retry-After")
	if seconds, err := strconv.ParseUint(text, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second
	}
	if at, err := http.ParseTime(text); err == nil {
		return at.Sub(now)
	}
	return 0
}
