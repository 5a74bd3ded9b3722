package email

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/emersion/go-sasl"
	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

// OAuth gets tokens by OAuth 2.0 (RFC 6749): with a refresh token, or else by the client's own credentials, as Microsoft 365
// and Google Workspace have it for mailboxes that no person signs in to.
type OAuth struct {
	TokenURL, ClientID, ClientSecret string
	RefreshToken                     string
	Scopes                           []string
}

// Source gives tokens, each for as long as it lasts.
func (o *OAuth) Source() (oauth2.TokenSource, error) {
	if u, err := url.Parse(o.TokenURL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || o.ClientID == "" {
		return nil, errors.New("email: OAuth needs the address of the token endpoint and a client id")
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: 30 * time.Second})
	if o.RefreshToken != "" {
		c := oauth2.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: oauth2.Endpoint{TokenURL: o.TokenURL}, Scopes: o.Scopes}
		return c.TokenSource(ctx, &oauth2.Token{RefreshToken: o.RefreshToken}), nil
	}
	c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes}
	return c.TokenSource(ctx), nil
}

// TokenAuth authenticates a user to a mail server by a token: as RFC 7628 has it, or by Google's XOAUTH2
// (https://developers.google.com/workspace/gmail/imap/xoauth2-protocol) where the server has only that.
func TokenAuth(username string, tokens oauth2.TokenSource, supports func(mechanism string) bool) (sasl.Client, error) {
	token, err := tokens.Token()
	if err != nil {
		if refused, ok := errors.AsType[*oauth2.RetrieveError](err); ok { // its text holds what the endpoint answered
			return nil, errors.New("email: the token endpoint refuses: " + strings.TrimSpace(refused.Response.Status+" "+refused.ErrorCode))
		}
		return nil, errors.New("email: the token endpoint does not answer as it should")
	}
	if supports(sasl.OAuthBearer) || !supports("XOAUTH2") {
		return sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: username, Token: token.AccessToken}), nil
	}
	return &xoauth2{username, token.AccessToken}, nil
}

type xoauth2 struct{ username, token string }

// Start implements sasl.Client.
func (x *xoauth2) Start() (mech string, first []byte, err error) {
	return "XOAUTH2", []byte("user=" + x.username + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next implements sasl.Client: the server tells as a challenge what is wrong, and says no once that was answered.
func (x *xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }
