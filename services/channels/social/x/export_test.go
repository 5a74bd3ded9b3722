package x

import "net/http"

// FetchBy makes a channel get public files by another client.
func FetchBy(c *Channel, client *http.Client) { c.public = client }
