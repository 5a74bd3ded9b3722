package twilio

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// maxRedirects of the API: files of messages are kept elsewhere.
const maxRedirects = 5

// apiClient gives the client for the API: the one that is configured, with redirects as they are to be.
func apiClient(configured *http.Client) *http.Client {
	c := http.Client{}
	if configured != nil {
		c = *configured
	} else if transport, ok := http.DefaultTransport.(*http.Transport); ok {
		transport = transport.Clone()
		transport.ResponseHeaderTimeout = defaultTimeout
		c.Transport = transport
	}
	c.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		switch first := via[0]; {
		case first.Method != http.MethodGet:
			return http.ErrUseLastResponse // what is sent is not sent twice
		case len(via) > maxRedirects:
			return errors.New("too many redirects")
		case first.URL.Scheme == "https" && r.URL.Scheme != "https":
			return errors.New("a redirect leaves https")
		}
		return nil // net/http keeps the credentials from other hosts
	}
	return &c
}

// fetch gets a recording or a file of a message from the API into the blob store, with the account's credentials, which only
// the account's own part of the API is given. Limit is how long that may take, 0 for as long as ctx: what takes longer, is
// too large or is not there is an error for good, so that the webhook is kept and can be redriven. Where the API does not
// work, the error is channel.ErrRetry.
func (c *Channel) fetch(ctx context.Context, host channel.Host, a *account, limit time.Duration, thread, address string) (*eventv1.Blob, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host != a.api.Host || u.Scheme != a.api.Scheme || u.User != nil ||
		!strings.HasPrefix(u.EscapedPath(), a.api.EscapedPath()+"/2010-04-01/Accounts/"+a.AccountSID+"/") || strings.Contains(u.EscapedPath(), "..") {
		return nil, errors.New("a URL is not one of the account at the API")
	}
	fetching := ctx
	if limit > 0 {
		var cancel context.CancelFunc
		fetching, cancel = context.WithTimeout(ctx, limit)
		defer cancel()
	}
	tooLong := func() bool { return fetching.Err() != nil && ctx.Err() == nil }
	request, err := http.NewRequestWithContext(fetching, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, errors.New("a URL is not one of the account at the API")
	}
	request.SetBasicAuth(a.AccountSID, a.AuthToken)
	answer, err := c.cfg.Client.Do(request)
	switch {
	case err != nil && tooLong():
		return nil, errors.New("fetching took too long")
	case err != nil:
		return nil, fmt.Errorf("fetch: %w: %w", channel.ErrRetry, bare(err))
	}
	defer answer.Body.Close()
	switch {
	case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode/100 == 5:
		return nil, fmt.Errorf("fetch: the API answered %s: %w", answer.Status, channel.ErrRetry)
	case answer.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("fetch: the API answered %s", answer.Status)
	case answer.ContentLength > c.cfg.MaxMediaBytes:
		return nil, fmt.Errorf("fetch: it is larger than %d bytes", c.cfg.MaxMediaBytes)
	}
	mediaType, _, err := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if err != nil || len(mediaType) > 255 {
		mediaType = ""
	}
	body := &bounded{r: answer.Body, left: c.cfg.MaxMediaBytes}
	blob, err := host.PutBlob(ctx, channel.BlobInfo{Tenant: a.Tenant, Inbox: a.Inbox, Thread: thread, MediaType: mediaType}, body)
	switch {
	case err == nil:
		return blob, nil
	case body.exceeded:
		return nil, fmt.Errorf("fetch: it is larger than %d bytes", c.cfg.MaxMediaBytes)
	case body.err != nil && tooLong():
		return nil, errors.New("fetching took too long")
	case body.err != nil:
		return nil, fmt.Errorf("fetch: %w: %w", channel.ErrRetry, body.err)
	}
	return nil, err
}

// bare takes the address out of an error of net/http: it says where a customer's file is.
func bare(err error) error {
	if at, ok := errors.AsType[*url.Error](err); ok {
		return at.Err
	}
	return err
}

// bounded is a body that must not be longer than what is left.
type bounded struct {
	r        io.Reader
	left     int64
	exceeded bool
	err      error // other than its end
}

func (b *bounded) Read(p []byte) (int, error) {
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.r.Read(p)
	if int64(n) > b.left {
		b.exceeded = true
		return 0, errors.New("it is too large")
	}
	b.left -= int64(n)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
