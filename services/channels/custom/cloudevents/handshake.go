package cloudevents

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// handshake tells a sender whether it may send here, and how fast (abuse protection of
// https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/http-webhook.md, section 4). Some senders ask by GET. Nobody need
// show a secret for it: it tells no more than the configuration says to everybody, and opens nothing.
func (in *Inbox) handshake(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Allow", "POST, OPTIONS")
	origin := r.Header.Get("WebHook-Request-Origin")
	switch {
	case origin == "" && r.Method == http.MethodGet:
		http.Error(w, "CloudEvents come by POST", http.StatusMethodNotAllowed)
		return
	case origin == "":
		w.WriteHeader(http.StatusNoContent)
		return
	case !in.allows(origin):
		http.Error(w, "this origin is not allowed", http.StatusForbidden)
		return
	}
	w.Header().Set("WebHook-Allowed-Origin", origin)
	rate := "*"
	if in.Rate > 0 {
		rate = strconv.Itoa(in.Rate)
	}
	w.Header().Set("WebHook-Allowed-Rate", rate)
	w.WriteHeader(http.StatusOK)
}

func (in *Inbox) allows(origin string) bool {
	return len(in.Origins) == 0 || slices.ContainsFunc(in.Origins, func(o string) bool { return o == "*" || strings.EqualFold(o, origin) })
}
