package x

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"

	"github.com/skein-cx/skein/pkg/channel/webhook"
)

// The headers that sign a webhook, by the consumer secret and by the client secret
// (https://docs.x.com/x-api/webhooks/introduction#signature-headers).
const (
	headerOAuth1 = "X-Twitter-Webhooks-Signature"
	headerOAuth2 = "X-Twitter-Webhooks-Signature-OAuth2"
)

// authentic checks the signature of a body.
func (a *account) authentic(r *http.Request, body []byte) error {
	header, secret := headerOAuth1, a.ConsumerSecret
	if a.ClientSecret != "" && (r.Header.Get(headerOAuth2) != "" || secret == "") {
		header, secret = headerOAuth2, a.ClientSecret
	}
	if !hmac.Equal([]byte(r.Header.Get(header)), []byte(signature(secret, body))) {
		return fmt.Errorf("%w: %s", webhook.ErrNotAuthentic, header)
	}
	return nil
}

func signature(secret string, data []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(data)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// maxToken is how long a token of a challenge may be; X's have some 50 characters.
const maxToken = 512

// challenge answers X's challenge-response check: it signs a token as bodies are signed. Anybody may ask; so what could be the body of a
// webhook is not signed (https://docs.x.com/x-api/webhooks/quickstart).
func (a *account) challenge(w http.ResponseWriter, r *http.Request) {
	token := r.URL.Query().Get("crc_token")
	if token == "" || len(token) > maxToken || strings.Trim(token, tokenLetters) != "" {
		http.Error(w, "crc_token is missing, or no token", http.StatusBadRequest)
		return
	}
	secret := a.ClientSecret
	if secret == "" {
		secret = a.ConsumerSecret
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]string{"response_token": signature(secret, []byte(token))}) //nolint:errchkjson // whoever is gone asks again
}

const tokenLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+/=_.~-"
