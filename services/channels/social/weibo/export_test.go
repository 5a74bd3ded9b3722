package weibo

import (
	"net/http"
	"time"
)

// FetchBy makes a channel get public files by another client.
func FetchBy(c *Channel, client *http.Client) { c.public = client }

// At makes it another time.
func At(c *Channel, now time.Time) { c.now = func() time.Time { return now } }

// Depth makes the API go back so far only, as the channel knows.
func Depth(c *Channel, depth int) { c.depth = depth }

// Signature is the signature of a time and a number.
func Signature(secret, timestamp, nonce string) string { return signature(secret, timestamp, nonce) }
