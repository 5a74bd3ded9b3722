package x

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/dghubble/oauth1"

	"github.com/skein-cx/skein/pkg/channel"
)

// errNoToken means that an account has nothing to speak to the API with.
var errNoToken = errors.New("the account has no access token")

// authorize puts the account's credentials into the head of a request, and nowhere else, so that nobody to whom an answer leads gets
// them. Neither JSON nor a multipart body is part of a signature (RFC 5849, section 3.4.1.3.1).
func (a *account) authorize(ctx context.Context, r *http.Request) error {
	switch {
	case a.Tokens != nil:
		t, err := a.Tokens.Token()
		if err != nil {
			return fmt.Errorf("%w: get a token: %w", channel.ErrRetry, err)
		}
		t.SetAuthHeader(r)
	case a.AccessToken != "":
		bare := r.Clone(ctx)
		bare.Body = nil
		signing := context.WithValue(ctx, oauth1.HTTPClient, &http.Client{Transport: into(r.Header)})
		answer, err := oauth1.NewConfig(a.ConsumerKey, a.ConsumerSecret).Client(signing, oauth1.NewToken(a.AccessToken, a.AccessSecret)).Transport.RoundTrip(bare)
		if err != nil {
			return fmt.Errorf("%w: sign: %w", channel.ErrRetry, err)
		}
		return answer.Body.Close()
	default:
		return errNoToken
	}
	return nil
}

// into is a transport that goes nowhere: it hands the signature over.
type into http.Header

// RoundTrip implements http.RoundTripper.
func (h into) RoundTrip(r *http.Request) (*http.Response, error) {
	http.Header(h).Set("Authorization", r.Header.Get("Authorization"))
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: r}, nil
}
