package x

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
)

// The hosts of X's files: those of direct messages, pictures and videos.
const (
	hostDirect   = "ton.twitter.com"
	hostPictures = "pbs.twimg.com"
	hostVideos   = "video.twimg.com"
)

// The codes of files that cannot be had.
const (
	CodeNotAtX  = "not_at_x"
	CodeNoToken = "no_token"
)

// directFile is the path of a direct message's picture: message, media and file.
var directFile = regexp.MustCompile(`^/1\.1/ton/data/dm/(\d{1,20})/(\d{1,20})/([A-Za-z0-9_-][A-Za-z0-9._-]{0,63})$`)

// Fetch implements channel.Fetcher. A picture of a direct message is got by the API with the account's credentials
// (https://docs.x.com/x-api/direct-messages/download-dm-media); what lies at pbs.twimg.com and video.twimg.com is public, but for the
// videos of direct messages, which get an OAuth 1.0a signature where the account has one. Nothing is fetched from anywhere else.
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, ok := c.accounts[Key{f.Tenant, f.Inbox}]
	if !ok {
		return nil, fmt.Errorf("social/x: the inbox %q of tenant %q is not configured", f.Inbox, f.Tenant)
	}
	at, err := url.Parse(f.Source)
	if err != nil || at.Scheme != "https" || at.User != nil || at.Port() != "" {
		return nil, notAtX()
	}
	client, address, authorize := c.public, f.Source, false
	switch at.Host {
	case hostDirect:
		part := directFile.FindStringSubmatch(at.Path)
		if part == nil {
			return nil, notAtX()
		}
		client, address, authorize = c.cfg.Client, a.APIURL+"/2/dm_conversations/media/"+part[1]+"/"+part[2]+"/"+part[3], true
	case hostVideos:
		authorize = strings.HasPrefix(at.Path, "/dm_") && a.AccessToken != ""
	case hostPictures:
	default:
		return nil, notAtX()
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, notAtX()
	}
	if authorize {
		if err := a.authorize(ctx, r); errors.Is(err, errNoToken) {
			return nil, &channel.RefusedError{Code: CodeNoToken, Reason: "files of direct messages need an access token, and the account has none"}
		} else if err != nil {
			return nil, fmt.Errorf("social/x: fetch: %w", err)
		}
	}
	return httpfetch.Do(client, r, httpfetch.MaxBytes)
}

func notAtX() error {
	return &channel.RefusedError{Code: CodeNotAtX, Reason: "the file is said to lie where X keeps none"}
}
