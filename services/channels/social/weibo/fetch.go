package weibo

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
)

// The codes of files that cannot be had.
const (
	CodeNotAtWeibo = "not_at_weibo"
	CodeNoToken    = "no_token"
)

// picturesHost is where Weibo keeps the pictures of posts.
const picturesHost = ".sinaimg.cn"

// Fetch implements channel.Fetcher. The sound or picture of a private message is got by its id with the account's token
// (https://open.weibo.com/wiki/Receive_General_Message); the pictures of posts lie at sinaimg.cn and are public. Nothing is fetched from
// anywhere else.
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, ok := c.accounts[Key{f.Tenant, f.Inbox}]
	if !ok {
		return nil, fmt.Errorf("social/weibo: the inbox %q of tenant %q is not configured", f.Inbox, f.Tenant)
	}
	if strings.Contains(f.Source, "/") {
		return c.picture(ctx, f.Source)
	}
	switch {
	case f.Source == "":
		return nil, notAtWeibo()
	case a.AccessToken == "":
		return nil, &channel.RefusedError{Code: CodeNoToken, Reason: "files of messages need an access token, and the account has none"}
	}
	query := url.Values{"access_token": {a.AccessToken}, "fid": {f.Source}}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, a.FilesURL+"/2/mss/msget?"+query.Encode(), http.NoBody)
	if err != nil {
		return nil, notAtWeibo()
	}
	file, err := httpfetch.Do(c.cfg.Client, r, httpfetch.MaxBytes)
	if err != nil || file.MediaType != "application/json" {
		return file, err
	}
	// No file, but what is wrong.
	defer file.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(file.Body, maxAnswer))
	if err != nil {
		return nil, err
	}
	said := failureOf(http.StatusOK, raw)
	switch {
	case said == nil:
		return nil, fmt.Errorf("social/weibo: fetch: %w: the answer is no file", channel.ErrRetry)
	case said.isOurs() || said.isPassing():
		return nil, fmt.Errorf("social/weibo: fetch: %w: %w", channel.ErrRetry, said)
	}
	return nil, &channel.RefusedError{Code: said.code, Reason: said.reason}
}

func (c *Channel) picture(ctx context.Context, source string) (*channel.FetchedFile, error) {
	at, err := url.Parse(source)
	if err != nil || at.Scheme != "https" && at.Scheme != "http" || at.User != nil || at.Port() != "" || !strings.HasSuffix(at.Host, picturesHost) {
		return nil, notAtWeibo()
	}
	at.Scheme = "https"
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, at.String(), http.NoBody)
	if err != nil {
		return nil, notAtWeibo()
	}
	return httpfetch.Do(c.public, r, httpfetch.MaxBytes)
}

func notAtWeibo() error {
	return &channel.RefusedError{Code: CodeNotAtWeibo, Reason: "the file is said to lie where Weibo keeps none"}
}
