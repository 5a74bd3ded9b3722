package meta

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
)

// media is what the API says of a file
// (https://developers.facebook.com/docs/whatsapp/cloud-api/reference/media#retrieve-media-url).
type media struct {
	URL      string      `json:"url"`
	MimeType string      `json:"mime_type"`
	Size     jsonInteger `json:"file_size"`
}

// Media fetches a file by its id: the API says where it lies, and the file is fetched from there. Its errors are a
// channel.Fetcher's; a token that is not good any more is one of them that another try may help with.
func (g *Graph) Media(ctx context.Context, access Access, id string) (*channel.FetchedFile, error) {
	if id == "" || strings.Trim(id, challengeLetters) != "" || strings.Trim(id, ".") == "" {
		return nil, &channel.RefusedError{Code: "invalid", Reason: "the file's id is none"}
	}
	var m media
	if err := g.Get(ctx, access, id, nil, &m); err != nil {
		if said, ok := errors.AsType[*Error](err); ok && said.canBeMended() {
			again := *said
			again.kind = channel.ErrRetry
			return nil, &again
		}
		return nil, err
	}
	if int64(m.Size) > g.maxFile {
		return nil, &channel.RefusedError{Code: httpfetch.CodeTooLarge, Reason: "the file is larger than " + strconv.FormatInt(g.maxFile, 10) + " bytes"}
	}
	f, err := g.fetch(ctx, access, m.URL)
	if err != nil {
		return nil, err
	}
	if f.MediaType == "" || f.MediaType == "application/octet-stream" {
		f.MediaType, _, _ = strings.Cut(m.MimeType, ";")
	}
	return f, nil
}

// File fetches a file from the address that a webhook has named, which may be a stranger's choice: without the token, and from the
// public Internet only. Its errors are a channel.Fetcher's.
func (g *Graph) File(ctx context.Context, address string) (*channel.FetchedFile, error) {
	r, err := get(ctx, address)
	if err != nil {
		return nil, err
	}
	return httpfetch.Do(g.files, r, g.maxFile)
}

// fetch gets a file from where the API says that it lies. Only Meta's own hosts and the API's are given the token.
func (g *Graph) fetch(ctx context.Context, access Access, address string) (*channel.FetchedFile, error) {
	r, err := get(ctx, address)
	if err != nil {
		return nil, err
	}
	client, own := g.files, r.URL.Scheme == g.base.Scheme && r.URL.Host == g.base.Host
	if own { // it is configured, and may be a private one
		client = g.inside
	}
	if own || r.URL.Scheme == "https" && isMetas(r.URL.Hostname()) {
		r.Header.Set("Authorization", "Bearer "+access.Token)
	}
	return httpfetch.Do(client, r, g.maxFile)
}

func get(ctx context.Context, address string) (*http.Request, error) {
	u, err := url.Parse(address)
	if err == nil && u.Host != "" && u.User == nil && (u.Scheme == "https" || u.Scheme == "http") {
		if r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody); err == nil {
			return r, nil
		}
	}
	return nil, &channel.RefusedError{Code: "invalid", Reason: "the file's address is none"}
}

// isMetas tells the hosts from which Meta gives out files.
func isMetas(host string) bool {
	host = strings.ToLower(host)
	domains := []string{"fbsbx.com", "facebook.com", "fbcdn.net", "whatsapp.net", "whatsapp.com", "instagram.com", "cdninstagram.com"}
	return slices.ContainsFunc(domains, func(domain string) bool { return host == domain || strings.HasSuffix(host, "."+domain) })
}

// jsonInteger is a number that is sometimes written as a text.
type jsonInteger int64

// UnmarshalJSON implements json.Unmarshaler. What is no whole number is 0.
func (n *jsonInteger) UnmarshalJSON(raw []byte) error {
	value, err := strconv.ParseInt(strings.Trim(string(raw), `"`), 10, 64)
	if err != nil {
		value = 0
	}
	*n = jsonInteger(value)
	return nil
}
