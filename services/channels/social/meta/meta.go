// Package meta is what the messaging products of Meta have in common: the signature and the handshake of their webhooks, and
// the Graph API, by which messages are sent and files are fetched.
//
// Sources: https://developers.facebook.com/docs/graph-api/webhooks/getting-started,
// https://developers.facebook.com/docs/graph-api/guides/error-handling,
// https://developers.facebook.com/docs/graph-api/guides/secure-requests,
// https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes,
// https://developers.facebook.com/docs/messenger-platform/error-codes.
package meta

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/skein-cx/skein/pkg/channel/webhook"
)

// SignatureHeader holds "sha256=" and the hexadecimal HMAC-SHA-256 of the body as it came, under the app's secret.
const SignatureHeader = "X-Hub-Signature-256"

const signaturePrefix = "sha256="

// maxChallenge is how long a challenge may be. Meta's are numbers of ten digits.
const maxChallenge = 256

// Authentic makes the webhook.Endpoint.Authentic of an app: Meta signs with the app's secret. The comparison takes the same
// time wherever the signature is wrong.
func Authentic(appSecret string) func(*http.Request, []byte) error {
	return func(r *http.Request, body []byte) error {
		values := r.Header.Values(SignatureHeader)
		switch {
		case appSecret == "":
			return fmt.Errorf("%w: there is no app secret to check it by", webhook.ErrNotAuthentic)
		case len(values) == 0:
			return fmt.Errorf("%w: there is no %s", webhook.ErrNotAuthentic, SignatureHeader)
		case len(values) > 1:
			return fmt.Errorf("%w: there are several %s", webhook.ErrNotAuthentic, SignatureHeader)
		}
		digits, ok := strings.CutPrefix(values[0], signaturePrefix)
		got, err := hex.DecodeString(digits)
		if !ok || err != nil || len(got) != sha256.Size {
			return fmt.Errorf("%w: %s is not sha256= and 64 hexadecimal digits", webhook.ErrNotAuthentic, SignatureHeader)
		}
		if !hmac.Equal(got, digest(appSecret, body)) {
			return fmt.Errorf("%w: %s does not match", webhook.ErrNotAuthentic, SignatureHeader)
		}
		return nil
	}
}

// Sign gives the header's value for a body.
func Sign(appSecret string, body []byte) string {
	return signaturePrefix + hex.EncodeToString(digest(appSecret, body))
}

func digest(secret string, text []byte) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(text)
	return mac.Sum(nil)
}

// Handshake makes the webhook.Endpoint.Handshake: Meta asks with hub.mode=subscribe, the token that the company has chosen
// (hub.verify_token), and hub.challenge, which is echoed as plain text. A wrong token gets 403. A challenge that is not short or
// has other than letters, digits and . _ - gets 400, so that nobody's markup is echoed.
func Handshake(verifyToken string) http.HandlerFunc {
	want := digest("", []byte(verifyToken)) // of one length, whatever is asked
	return func(w http.ResponseWriter, r *http.Request) {
		query := r.URL.Query()
		challenge := query.Get("hub.challenge")
		switch {
		case verifyToken == "" || !hmac.Equal(want, digest("", []byte(query.Get("hub.verify_token")))):
			http.Error(w, "hub.verify_token is missing or wrong", http.StatusForbidden)
		case query.Get("hub.mode") != "subscribe":
			http.Error(w, "hub.mode is not subscribe", http.StatusBadRequest)
		case challenge == "" || len(challenge) > maxChallenge || strings.Trim(challenge, challengeLetters) != "":
			http.Error(w, "hub.challenge is not letters, digits and any of . _ -, at most 256", http.StatusBadRequest)
		default:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			_, _ = io.WriteString(w, challenge) //nolint:gosec // letters and digits as plain text; whoever is gone will ask again
		}
	}
}

const challengeLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
