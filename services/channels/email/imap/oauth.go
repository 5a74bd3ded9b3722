package imap

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
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

func (o *OAuth) source() (oauth2.TokenSource, error) {
	if u, err := url.Parse(o.TokenURL); err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || o.ClientID == "" {
		return nil, errors.New("OAuth needs the address of the token endpoint and a client id")
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: 30 * time.Second})
	if o.RefreshToken != "" {
		c := oauth2.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, Endpoint: oauth2.Endpoint{TokenURL: o.TokenURL}, Scopes: o.Scopes}
		return c.TokenSource(ctx, &oauth2.Token{RefreshToken: o.RefreshToken}), nil
	}
	c := clientcredentials.Config{ClientID: o.ClientID, ClientSecret: o.ClientSecret, TokenURL: o.TokenURL, Scopes: o.Scopes}
	return c.TokenSource(ctx), nil
}

// login authenticates: by a token (RFC 7628, or Google's XOAUTH2 where the server has only that), or by a password.
func (a *account) login(c *imapclient.Client) error {
	caps := c.Caps()
	if a.tokens == nil {
		if caps.Has(imap.AuthCap(sasl.Plain)) {
			return c.Authenticate(sasl.NewPlainClient("", a.Username, a.Password))
		}
		return c.Login(a.Username, a.Password).Wait()
	}
	token, err := a.tokens.Token()
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) { // its text may hold what the endpoint answered
			return errors.New("the token endpoint refuses: " + refused.ErrorCode + " " + refused.Response.Status)
		}
		return err
	}
	if caps.Has(imap.AuthCap(sasl.OAuthBearer)) || !caps.Has(imap.AuthCap("XOAUTH2")) {
		return c.Authenticate(sasl.NewOAuthBearerClient(&sasl.OAuthBearerOptions{Username: a.Username, Token: token.AccessToken}))
	}
	return c.Authenticate(&xoauth2{a.Username, token.AccessToken})
}

// xoauth2 is the mechanism of https://developers.google.com/workspace/gmail/imap/xoauth2-protocol.
type xoauth2 struct{ username, token string }

// Start implements sasl.Client.
func (x *xoauth2) Start() (mech string, first []byte, err error) {
	return "XOAUTH2", []byte("user=" + x.username + "\x01auth=Bearer " + x.token + "\x01\x01"), nil
}

// Next implements sasl.Client: the server tells as a challenge what is wrong, and says no once that was answered.
func (x *xoauth2) Next([]byte) ([]byte, error) { return []byte{}, nil }
