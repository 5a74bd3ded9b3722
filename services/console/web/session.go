package web

import (
	"net/http"
	"net/url"
	"path"
	"strings"
	"time"

	"github.com/gorilla/securecookie"
	"google.golang.org/grpc/metadata"

	authv1 "github.com/skein-cx/skein/proto/skein/auth/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
)

// The cookies of a person. Only the session is a secret.
const (
	sessionCookie = "skein_session"
	themeCookie   = "skein_theme"
	agentCookie   = "skein_agent"
)

// sessionAge is how long a session holds: a working day.
const sessionAge = 12 * time.Hour

// settingAge is how long a choice is remembered.
const settingAge = 400 * 24 * time.Hour

// sessions seal tokens into cookies: so any process with the same secret knows the session, and none keeps it.
type sessions struct{ cookies *securecookie.SecureCookie }

func newSessions(secret []byte) *sessions {
	const half = 32 // bytes: one key to sign with, one to encrypt with
	keys := make([]byte, 2*half)
	copy(keys, secret)
	if len(secret) < len(keys) {
		keys = securecookie.GenerateRandomKey(len(keys)) // nobody else's
	}
	s := securecookie.New(keys[:half], keys[half:])
	s.MaxAge(int(sessionAge / time.Second))
	return &sessions{cookies: s}
}

// token is that of the session; empty where there is none, or it is over.
func (s *sessions) token(r *http.Request) string {
	c, err := r.Cookie(sessionCookie)
	if err != nil {
		return ""
	}
	var token string
	if err := s.cookies.Decode(sessionCookie, c.Value, &token); err != nil {
		return ""
	}
	return token
}

func (s *sessions) begin(w http.ResponseWriter, r *http.Request, token string) error {
	sealed, err := s.cookies.Encode(sessionCookie, token)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the browser came by TLS
		Name: sessionCookie, Value: sealed, Path: Prefix, HttpOnly: true, Secure: encrypted(r), SameSite: http.SameSiteLaxMode, MaxAge: int(sessionAge / time.Second),
	})
	return nil
}

func (s *sessions) end(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the browser came by TLS
		Name: sessionCookie, Path: Prefix, HttpOnly: true, Secure: encrypted(r), SameSite: http.SameSiteLaxMode, MaxAge: -1,
	})
}

// encrypted tells whether the person's browser came by TLS, here or at a proxy before.
func encrypted(r *http.Request) bool {
	return r.TLS != nil || strings.EqualFold(r.Header.Get("X-Forwarded-Proto"), "https")
}

// askToSignIn answers whoever is not known: a page goes to the sign-in and comes back; a script says so, and keeps what was written.
func (s *Site) askToSignIn(c *Call) {
	if c.scripted() {
		http.Error(c.W, lang.T(c.ctx, "Your session is over. Sign in again: what you wrote is kept."), http.StatusUnauthorized)
		return
	}
	next := Prefix
	if c.R.Method == http.MethodGet {
		next = c.R.URL.RequestURI()
	}
	http.Redirect(c.W, c.R, Prefix+"sign-in?next="+url.QueryEscape(next), http.StatusSeeOther)
}

// MountSessions serves signing in and out, and what a person chooses for every page.
func (s *Site) MountSessions(mux *http.ServeMux) {
	mux.HandleFunc("GET "+Prefix+"sign-in", func(w http.ResponseWriter, r *http.Request) {
		c := s.call(w, r)
		_ = c.show(http.StatusOK, view.Page{Title: lang.T(c.ctx, "Sign in"), Bare: true}, view.SignIn(local(r.FormValue("next")), ""))
	})
	mux.HandleFunc("POST "+Prefix+"sign-in", s.signIn)
	mux.HandleFunc("POST "+Prefix+"sign-out", func(w http.ResponseWriter, r *http.Request) {
		s.sessions.end(w, r)
		http.Redirect(w, r, Prefix+"sign-in", http.StatusSeeOther)
	})
	mux.HandleFunc("POST "+Prefix+"settings", s.settings)
	// A stream that fails does not tell a script why: this does.
	mux.Handle("GET "+Prefix+"session", s.Handle(func(c *Call) error {
		c.W.WriteHeader(http.StatusNoContent)
		return nil
	}))
}

func (s *Site) signIn(w http.ResponseWriter, r *http.Request) {
	c := s.call(w, r)
	token, next := strings.TrimSpace(r.PostFormValue("token")), local(r.PostFormValue("next"))
	ctx := metadata.NewOutgoingContext(c.ctx, metadata.Pairs("authorization", "Bearer "+token))
	if _, err := authv1.NewAuthServiceClient(s.api).Whoami(ctx, &authv1.WhoamiRequest{}); err != nil {
		code, text := httpStatus(err), lang.T(c.ctx, "The server does not know this token.")
		if code != http.StatusUnauthorized {
			text = Explain(c.ctx, err)
		}
		_ = c.show(code, view.Page{Title: lang.T(c.ctx, "Sign in"), Bare: true}, view.SignIn(next, text))
		return
	}
	if err := s.sessions.begin(w, r, token); err != nil {
		s.refuse(c, err)
		return
	}
	http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // local has checked that it is a page of the console
}

// settings keeps what a person chose: language, theme, the agent to act as.
func (s *Site) settings(w http.ResponseWriter, r *http.Request) {
	for field, name := range map[string]string{"language": lang.LanguageCookie, "theme": themeCookie, "agent": agentCookie} {
		if err := r.ParseForm(); err != nil || !r.PostForm.Has(field) {
			continue
		}
		http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure wherever the browser came by TLS
			Name: name, Value: url.QueryEscape(r.PostFormValue(field)), Path: Prefix, HttpOnly: true, Secure: encrypted(r), SameSite: http.SameSiteLaxMode,
			MaxAge: int(settingAge / time.Second),
		})
	}
	http.Redirect(w, r, local(r.PostFormValue("next")), http.StatusSeeOther) //nolint:gosec // local has checked it
}

// local is a page of the console to go on to: a stranger's link leads nowhere else.
func local(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.IsAbs() || u.Host != "" || !strings.HasPrefix(u.Path, Prefix) || strings.HasPrefix(u.Path, Prefix+"sign-in") ||
		!strings.HasPrefix(path.Clean(u.Path)+"/", Prefix) {
		return Prefix
	}
	return u.RequestURI()
}
