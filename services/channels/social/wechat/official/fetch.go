package official

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// mediaPath gives out what customers sent, for three days
// (https://developers.weixin.qq.com/doc/service/api/material/temporary/api_getmedia).
const mediaPath = "/cgi-bin/media/get"

// Fetch implements channel.Fetcher: it gets a file by its MediaId, or a picture from its address where that does not help.
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, ok := c.accounts[Key{f.Tenant, f.Inbox}]
	if !ok {
		return nil, fmt.Errorf("wechat/official: the inbox %q of tenant %q is not configured", f.Inbox, f.Tenant)
	}
	mediaID, address, _ := strings.Cut(f.Source, " ")
	if isAddress(mediaID) {
		mediaID, address = "", mediaID
	}
	var err error = &channel.RefusedError{Code: "no_source", Reason: "it does not say which file it is"}
	if mediaID != "" {
		var file *channel.FetchedFile
		file, err = c.media(ctx, a, mediaID)
		if _, refused := errors.AsType[*channel.RefusedError](err); !refused || !isAddress(address) {
			return file, err
		}
	}
	if !isAddress(address) {
		return nil, err
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return nil, &channel.RefusedError{Code: "no_address", Reason: "the picture lies at what is no web address"}
	}
	file, err := httpfetch.Do(c.cfg.Files, r, c.cfg.MaxMediaBytes)
	if err != nil {
		return nil, fmt.Errorf("wechat/official: %w", err)
	}
	return file, nil
}

func (c *Channel) media(ctx context.Context, a *account, mediaID string) (*channel.FetchedFile, error) {
	if a.api == nil {
		return nil, &channel.RefusedError{Code: codeNoSecret, Reason: "the inbox has no AppSecret, by which files are fetched"}
	}
	file, err := a.api.Media(ctx, mediaPath, url.Values{"media_id": {mediaID}}, c.cfg.MaxMediaBytes)
	said, ok := errors.AsType[*wechat.Error](err)
	switch {
	case err == nil:
		return file, nil
	case ok && (said.Token || said.Temporary()): // whatever is wrong with the token's request will be mended
		return nil, fmt.Errorf("wechat/official: fetch: %w", said.Later())
	case ok:
		return nil, &channel.RefusedError{Code: strconv.Itoa(said.Code), Reason: said.Message}
	}
	return nil, fmt.Errorf("wechat/official: fetch: %w", err)
}
