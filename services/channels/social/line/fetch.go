package line

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
)

// Fetch implements channel.Fetcher: a file that LINE keeps, by the id of its message, for as long as LINE does; or one that another
// bot's server keeps, by its address, which must be a public one and gets no token
// (https://developers.line.biz/en/reference/messaging-api/#get-content).
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, err := c.account(Key{f.Tenant, f.Inbox})
	if err != nil {
		return nil, err
	}
	client, address, own := c.public, f.Source, false
	if !strings.Contains(f.Source, ":") {
		client, address, own = c.files, a.DataURL+"/v2/bot/message/"+url.PathEscape(f.Source)+"/content", true
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil || request.URL.Host == "" || request.URL.Scheme != "https" && request.URL.Scheme != "http" {
		return nil, &channel.RefusedError{Code: "bad_address", Reason: "the address of the file cannot be used"}
	}
	if own {
		if err := a.authorise(request); err != nil {
			if refused, ok := errors.AsType[*channel.RefusedError](err); ok { // somebody will mend the secret
				err = fmt.Errorf("%w: %s", channel.ErrRetry, refused.Reason)
			}
			return nil, wrapFetch(err)
		}
	}
	fetched, err := httpfetch.Do(client, request, httpfetch.MaxBytes)
	if refused, ok := errors.AsType[*channel.RefusedError](err); ok && own && refused.Code == "202" {
		return nil, wrapFetch(fmt.Errorf("%w: LINE is still making the file ready", channel.ErrRetry))
	}
	if err != nil {
		return nil, wrapFetch(err)
	}
	return fetched, nil
}

func wrapFetch(err error) error { return fmt.Errorf("social/line: fetch: %w", err) }
