package webhook

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/http"
	"strings"
	"sync"
)

// Mux is where a channel mounts its endpoints, such as an *http.ServeMux.
type Mux interface {
	Handle(pattern string, handler http.Handler)
}

// Gate lets requests in until its channel ends, and then lets those under way finish. Its zero value is open.
type Gate struct {
	mu     sync.Mutex
	closed bool
	inside sync.WaitGroup
}

// Serve puts a handler behind the gate. Who comes too late gets 503.
func (g *Gate) Serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !g.enter() {
			http.Error(w, "stopping", http.StatusServiceUnavailable)
			return
		}
		defer g.inside.Done()
		next.ServeHTTP(w, r)
	})
}

func (g *Gate) enter() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.inside.Add(1)
	return true
}

// Run is the Run of a channel.Channel that only serves: it waits for the end of ctx, closes the gate, and returns nil when everybody is out.
func (g *Gate) Run(ctx context.Context) error {
	<-ctx.Done()
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.inside.Wait()
	return nil
}

// KnownSecret tells whether a secret is one of those that are known, as Authentic has to: in a time that says nothing about
// them. Several are known while one takes the place of another. An empty one never is.
func KnownSecret(secret string, known ...string) bool {
	given, found := sha256.Sum256([]byte(secret)), 0
	for _, k := range known {
		want := sha256.Sum256([]byte(k)) // of one length, whatever theirs
		found |= subtle.ConstantTimeCompare(given[:], want[:])
	}
	return secret != "" && found == 1
}

// Path is where an inbox's endpoint is mounted: /channels/PROVIDER/TENANT/INBOX. Tenant and inbox must be fit for it.
func Path(provider, tenant, inbox string) (string, error) {
	for _, part := range []string{tenant, inbox} {
		if part == "" || part == "." || part == ".." || strings.Trim(part, pathLetters) != "" {
			return "", errors.New("tenant and inbox stand in a path: letters, digits and any of . _ - ~")
		}
	}
	return "/channels/" + provider + "/" + tenant + "/" + inbox, nil
}

const pathLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-~"
