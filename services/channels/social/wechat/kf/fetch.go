package kf

import (
	"context"
	"fmt"

	"github.com/skein-cx/skein/pkg/channel"
)

// Fetch implements channel.Fetcher. WeChat keeps a file for three days.
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, ok := c.accounts[Key{f.Tenant, f.Inbox}]
	if !ok {
		return nil, fmt.Errorf("social/wechat/kf: the inbox %q of tenant %q is not configured any more", f.Inbox, f.Tenant)
	}
	return a.api.CorpMedia(ctx, f.Source, c.cfg.MaxMediaBytes)
}
