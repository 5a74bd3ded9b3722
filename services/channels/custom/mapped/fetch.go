package mapped

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
)

// codeNoAddress is the code of a file whose source is no address.
const codeNoAddress = "no_address"

// Fetch implements channel.Fetcher: it gets a file whose source is an address by https, from the public Internet and without any
// credentials, because whoever wrote the body chose the address.
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	address, err := url.Parse(f.Source)
	if err != nil || address.Scheme != "https" || address.Host == "" || address.User != nil {
		return nil, &channel.RefusedError{Code: codeNoAddress, Reason: "the source of the file is no address by https"}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, f.Source, http.NoBody)
	if err != nil {
		return nil, &channel.RefusedError{Code: codeNoAddress, Reason: "the source of the file is no address by https"}
	}
	file, err := httpfetch.Do(c.cfg.Client, r, httpfetch.MaxBytes)
	if err != nil {
		return nil, fmt.Errorf("custom/mapped: %w", err)
	}
	return file, nil
}

var _ channel.Fetcher = (*Channel)(nil)
