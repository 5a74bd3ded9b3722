package telegram

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
)

const (
	// maxFile is how large a file may be that a bot gets (https://core.telegram.org/bots/api#getfile).
	maxFile   = 20 << 20
	maxAnswer = 1 << 20 // of the API, in bytes
)

func tooLarge() error {
	return &channel.RefusedError{Code: httpfetch.CodeTooLarge, Reason: "Telegram gives bots files of up to 20 MB only"}
}

// Fetch implements channel.Fetcher: the source is a file_id. Telegram is asked where the file lies at present, and it is got
// from there.
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, err := c.account(Key{f.Tenant, f.Inbox})
	if err != nil {
		return nil, err
	}
	lies, err := c.place(ctx, a, f.Source)
	if err != nil {
		return nil, wrapFetch(err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, a.file+(&url.URL{Path: lies}).EscapedPath(), http.NoBody)
	if err != nil {
		return nil, &channel.RefusedError{Code: "bad_path", Reason: "where Telegram says that the file lies is no path"}
	}
	fetched, err := httpfetch.Do(c.files, request, maxFile)
	if err != nil {
		return nil, wrapFetch(err)
	}
	if fetched.MediaType == "application/octet-stream" { // as Telegram calls all files; the message said more
		fetched.MediaType = ""
	}
	return fetched, nil
}

func wrapFetch(err error) error { return fmt.Errorf("social/telegram: fetch: %w", err) }

// place asks where a file lies, for an hour at least.
func (c *Channel) place(ctx context.Context, a *account, id string) (string, error) {
	said, err := c.call(ctx, a, "getFile", struct {
		FileID string `json:"file_id"`
	}{id}, maxAnswer)
	switch {
	case err != nil:
		return "", err
	case said.later != nil:
		return "", said.later
	case !said.OK && strings.Contains(said.Description, "file is too big"):
		return "", tooLarge()
	case !said.OK && said.status == http.StatusBadRequest && !strings.Contains(said.Description, "temporarily"):
		code, reason := said.refusal()
		return "", &channel.RefusedError{Code: code, Reason: reason}
	case !said.OK: // a token that was changed, among others
		_, reason := said.refusal()
		return "", fmt.Errorf("getFile: %w: %s", channel.ErrRetry, reason)
	}
	var file struct {
		Size int64  `json:"file_size"`
		Path string `json:"file_path"`
	}
	switch err := json.Unmarshal(said.Result, &file); {
	case err != nil, file.Path == "":
		return "", fmt.Errorf("getFile: %w: the answer says no path", channel.ErrRetry)
	case file.Size > maxFile:
		return "", tooLarge()
	case path.IsAbs(file.Path), path.Clean("/"+file.Path) != "/"+file.Path:
		return "", &channel.RefusedError{Code: "bad_path", Reason: "where the API says that the file lies is no path below it: a local Bot API server must not run in local mode"}
	}
	return file.Path, nil
}
