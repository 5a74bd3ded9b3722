package messenger

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

// Fetch implements channel.Fetcher: a file lies at the address that its webhook named, on Meta's servers for files, and is fetched from
// the public Internet only, without a token. A file of what the company itself wrote is named by message and number; the API
// says where it lies (https://developers.facebook.com/docs/graph-api/reference/message).
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, ok := c.accounts[Key{f.Tenant, f.Inbox}]
	if !ok {
		return nil, fmt.Errorf("social/meta/messenger: fetch: %w: the inbox %q of tenant %q is not configured", channel.ErrRetry, f.Inbox, f.Tenant)
	}
	address := f.Source
	if mid, n, ok := numbered(f.Source); ok {
		var err error
		if address, err = c.ofMessage(ctx, a, mid, n); err != nil {
			return nil, fmt.Errorf("social/meta/messenger: fetch: %w", err)
		}
	}
	file, err := c.graph.File(ctx, address)
	if err != nil {
		return nil, fmt.Errorf("social/meta/messenger: fetch: %w", err)
	}
	return file, nil
}

// numbered reads the name of a file by message and number.
func numbered(source string) (mid string, n int, ok bool) {
	if strings.Contains(source, "://") {
		return "", 0, false
	}
	i := strings.LastIndexByte(source, '/')
	if i <= 0 {
		return "", 0, false
	}
	n, err := strconv.Atoi(source[i+1:])
	return source[:i], n, err == nil && n >= 0
}

// noObject is Meta's code for what is not there, or not to be seen (https://developers.facebook.com/docs/graph-api/guides/error-handling).
const noObject = 100

// ofMessage asks where a message's file lies.
func (c *Channel) ofMessage(ctx context.Context, a *account, mid string, n int) (string, error) {
	if strings.Trim(mid, ".") == "" || strings.ContainsAny(mid, "/?#%\\") {
		return "", &channel.RefusedError{Code: "invalid", Reason: "the message's id is none"}
	}
	var said struct {
		Attachments struct {
			Data []struct {
				Image   struct{ URL string } `json:"image_data"`
				Video   struct{ URL string } `json:"video_data"`
				FileURL string               `json:"file_url"`
			} `json:"data"`
		} `json:"attachments"`
	}
	err := c.graph.Get(ctx, a.access(), mid, url.Values{"fields": {"attachments"}}, &said)
	if said, ok := errors.AsType[*meta.Error](err); ok && said.Code != noObject {
		return "", fmt.Errorf("%w: %s", channel.ErrRetry, said.Error()) // such as a token that somebody will renew
	}
	if err != nil {
		return "", err
	}
	if n >= len(said.Attachments.Data) {
		return "", &channel.RefusedError{Code: "no_file", Reason: "the message has no such file"}
	}
	f := said.Attachments.Data[n]
	for _, address := range []string{f.Image.URL, f.Video.URL, f.FileURL} {
		if address != "" {
			return address, nil
		}
	}
	return "", &channel.RefusedError{Code: "no_file", Reason: "the API does not give the file out"}
}
