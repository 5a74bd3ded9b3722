package line

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/skein-cx/skein/pkg/channel"
)

// newTokens gives the access token that is configured, or stateless ones: each is kept until shortly before its end, and got once only,
// however many need it (https://developers.line.biz/en/reference/messaging-api/#issue-stateless-channel-access-token).
func newTokens(a *Account, client *http.Client) oauth2.TokenSource {
	if a.AccessToken != "" {
		return oauth2.StaticTokenSource(&oauth2.Token{AccessToken: a.AccessToken})
	}
	patient := *client
	if patient.Timeout == 0 {
		patient.Timeout = tokenTime
	}
	cfg := clientcredentials.Config{
		ClientID: a.ChannelID, ClientSecret: a.ChannelSecret, TokenURL: a.APIURL + "/oauth2/v3/token", AuthStyle: oauth2.AuthStyleInParams,
	}
	return cfg.TokenSource(context.WithValue(context.Background(), oauth2.HTTPClient, &patient))
}

// authorise puts the access token into a request. Nothing was sent where it fails.
func (a *account) authorise(r *http.Request) error {
	token, err := a.tokens.Token()
	if err != nil {
		var refused *oauth2.RetrieveError
		if errors.As(err, &refused) && refused.Response != nil && refused.Response.StatusCode/100 == 4 && refused.Response.StatusCode != http.StatusTooManyRequests {
			return &channel.RefusedError{Code: strconv.Itoa(refused.Response.StatusCode), Reason: "LINE gives no access token for the channel's id and secret"}
		}
		return fmt.Errorf("get an access token: %w", channel.ErrRetry) // err may hold more than is for others
	}
	token.SetAuthHeader(r)
	return nil
}
