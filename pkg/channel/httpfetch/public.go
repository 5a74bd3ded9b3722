package httpfetch

import (
	"context"
	"net/http"
	"net/url"

	"github.com/skein-cx/skein/pkg/channel"
)

// Public is a channel.Fetcher of files that are named by an address which anybody can get, by https and without credentials, because whoever
// wrote the event chose it: those of a connector, a mapped webhook, or an import.
type Public struct{ client *http.Client }

var _ channel.Fetcher = (*Public)(nil)

// NewPublic fetches from the public Internet.
func NewPublic() *Public { return &Public{Client(false)} }

// Fetch implements channel.Fetcher.
func (p *Public) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	u, err := url.Parse(f.Source)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil {
		return nil, &channel.RefusedError{Code: "no_address", Reason: "what the file is named by is no address by https"}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), http.NoBody)
	if err != nil {
		return nil, &channel.RefusedError{Code: "no_address", Reason: "what the file is named by is no address by https"}
	}
	return Do(p.client, r, MaxBytes)
}
