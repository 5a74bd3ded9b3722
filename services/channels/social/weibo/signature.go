package weibo

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Weibo signs with
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel/webhook"
)

// maxEcho is how long what Weibo wants to see again may be.
const maxEcho = 1024

// authentic checks the signature of a request and its time (https://open.weibo.com/wiki/消息推送服务). It says nothing about the body.
func (c *Channel) authentic(a *account, r *http.Request) error {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return fmt.Errorf("%w: the query cannot be read", webhook.ErrNotAuthentic)
	}
	timestamp := query.Get("timestamp")
	if !hmac.Equal([]byte(strings.ToLower(query.Get("signature"))), []byte(signature(a.AppSecret, timestamp, query.Get("nonce")))) {
		return fmt.Errorf("%w: signature", webhook.ErrNotAuthentic)
	}
	if c.cfg.Tolerance < 0 {
		return nil
	}
	at, ok := moment(timestamp)
	if off := c.now().Sub(at).Abs(); !ok || off > c.cfg.Tolerance {
		return fmt.Errorf("%w: timestamp is no time within %s of ours", webhook.ErrNotAuthentic, c.cfg.Tolerance)
	}
	return nil
}

// signature is the sum over the three, in the order of the alphabet.
func signature(secret, timestamp, nonce string) string {
	parts := []string{secret, timestamp, nonce}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // what Weibo signs with
	return hex.EncodeToString(sum[:])
}

// moment is a time in milliseconds, as Weibo gives it, or in seconds.
func moment(s string) (time.Time, bool) {
	n, err := strconv.ParseInt(s, 10, 64)
	switch {
	case err != nil, n <= 0, n > maxMillis:
		return time.Time{}, false
	case n < 100_000_000_000: // as milliseconds, it would be before March 1973
		return time.Unix(n, 0), true
	}
	return time.UnixMilli(n), true
}

// maxMillis is the end of the year 9999.
const maxMillis = 253402300799999

// handshake shows Weibo what it wants to see.
func (c *Channel) handshake(a *account) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		echo := r.URL.Query().Get("echostr")
		switch {
		case c.authentic(a, r) != nil:
			http.Error(w, "the signature is missing or wrong", http.StatusUnauthorized)
		case len(echo) > maxEcho:
			http.Error(w, "echostr is too long", http.StatusBadRequest)
		default:
			w.Header().Set("Content-Type", "text/plain; charset=utf-8")
			w.Header().Set("X-Content-Type-Options", "nosniff")
			_, _ = io.WriteString(w, echo) //nolint:gosec // plain text; whoever is gone asks again
		}
	}
}
