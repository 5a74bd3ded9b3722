// Package httpfetch is how channels get files from their providers by HTTP: from the public Internet only, within a limit,
// and with errors that say whether to try again.
package httpfetch

import (
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/publicnet"
)

// MaxBytes is how large a file may be: what the blob store takes.
const MaxBytes = 64 << 20

// The codes of what cannot be had.
const (
	CodeNotPublic = "not_public"
	CodeTooLarge  = "too_large"
)

const (
	maxRedirects = 5
	patience     = 30 * time.Second // for a connection, and for the head of an answer
)

// Client makes a client for Do. Its requests last as long as their contexts. AllowPrivate lets it reach addresses that are not
// public: for what the configuration names, and for tests; never for an address that somebody sent.
func Client(allowPrivate bool) *http.Client {
	dialer := &net.Dialer{Timeout: patience}
	if !allowPrivate {
		dialer.ControlContext = publicnet.Control
	}
	return &http.Client{
		Transport: &http.Transport{
			DialContext: dialer.DialContext, ForceAttemptHTTP2: true, TLSHandshakeTimeout: patience, ResponseHeaderTimeout: patience,
			MaxResponseHeaderBytes: 64 << 10, MaxIdleConnsPerHost: 16, IdleConnTimeout: time.Minute,
		},
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			switch {
			case len(via) > maxRedirects:
				return errors.New("too many redirects")
			case via[0].URL.Scheme == "https" && r.URL.Scheme != "https":
				return errors.New("a redirect leaves https")
			case r.URL.Hostname() != via[0].URL.Hostname():
				r.Header = http.Header{} //nolint:gosec // nobody else gets the credentials, whatever header they are in
			}
			return nil
		},
	}
}

// Do makes a request and gives the file that is answered, of at most so many bytes. A *channel.RefusedError means that it cannot
// be had: the status is 404, 410 or another one of the caller's mistakes, it is too large (which may show in the middle of
// the body), or it lies at an address that is not public. All other errors are worth another try, a refused token's
// among them, which somebody will renew. Addresses are left out of errors: they may hold secrets.
func Do(client *http.Client, r *http.Request, maxBytes int64) (*channel.FetchedFile, error) {
	answer, err := client.Do(r) //nolint:gosec // the client goes where it may
	if err != nil {
		if inside, ok := errors.AsType[*publicnet.RefusedError](err); ok {
			return nil, &channel.RefusedError{Code: CodeNotPublic, Reason: "the file lies at " + inside.Addr.String() + ", which is no public address"}
		}
		if at, ok := errors.AsType[*url.Error](err); ok {
			err = at.Err
		}
		return nil, fmt.Errorf("fetch: %w: %w", channel.ErrRetry, err)
	}
	if err := verdict(answer, maxBytes); err != nil {
		_ = answer.Body.Close() // nobody reads it
		return nil, err
	}
	f := &channel.FetchedFile{Body: &bounded{ReadCloser: answer.Body, left: maxBytes, most: maxBytes}}
	if mediaType, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type")); err == nil && len(mediaType) <= 255 {
		f.MediaType = mediaType
	}
	if _, params, err := mime.ParseMediaType(answer.Header.Get("Content-Disposition")); err == nil && len(params["filename"]) <= 1024 {
		f.Name = event.Clip(params["filename"], 1024) // it may be Latin-1
	}
	return f, nil
}

func verdict(answer *http.Response, maxBytes int64) error {
	switch status := answer.StatusCode; {
	case status == http.StatusTooManyRequests, status/100 == 5:
		return httpsend.Later(answer, time.Now())
	case status == http.StatusUnauthorized, status == http.StatusForbidden, status == http.StatusRequestTimeout:
		return fmt.Errorf("fetch: %w: the provider answered %s", channel.ErrRetry, answer.Status)
	case status != http.StatusOK:
		return &channel.RefusedError{Code: strconv.Itoa(status), Reason: "the provider answered " + answer.Status}
	case answer.ContentLength > maxBytes:
		return tooLarge(maxBytes)
	}
	return nil
}

func tooLarge(most int64) error {
	return &channel.RefusedError{Code: CodeTooLarge, Reason: fmt.Sprintf("the file is larger than %d bytes", most)}
}

// bounded is a body that must not be longer than what is left.
type bounded struct {
	io.ReadCloser
	left, most int64
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if int64(n) > b.left {
		return 0, tooLarge(b.most)
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		err = fmt.Errorf("fetch: %w: %w", channel.ErrRetry, err)
	}
	return n, err
}
