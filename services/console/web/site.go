// Package web is what every page of the console stands on: who asks, in which language, how a page, a part of one, an error and a stream of news are
// answered. It calls the API as everybody does, with the token of whoever asks, and has no way of its own to any data.
package web

import (
	"context"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/a-h/templ"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
)

// Prefix begins the path of every page.
const Prefix = view.Prefix

// Config is what a site is made of.
type Config struct {
	// API answers what the pages ask.
	API grpc.ClientConnInterface
	// Secret seals the sessions: processes with the same one know each other's.
	Secret []byte
	// Asset is the address of a file that the pages use.
	Asset      func(name string) string
	Registerer prometheus.Registerer
	Logger     *slog.Logger
}

// Site answers pages. It is safe for concurrent use.
type Site struct {
	api       grpc.ClientConnInterface
	sessions  *sessions
	languages *lang.Languages
	asset     func(string) string
	metrics   *metrics
	logger    *slog.Logger
	known     acquaintances
	// over is closed when the server stops: streams end then.
	over chan struct{}
	// reading is how long a person's browser may take for one message of a stream.
	reading time.Duration

	directories *directories
}

// NewSite makes a site.
func NewSite(cfg Config) (*Site, error) {
	languages, err := lang.New()
	if err != nil {
		return nil, err
	}
	metrics, err := newMetrics(cfg.Registerer)
	if err != nil {
		return nil, err
	}
	return &Site{
		api: cfg.API, sessions: newSessions(cfg.Secret), languages: languages, asset: cfg.Asset, metrics: metrics, logger: cfg.Logger,
		over: make(chan struct{}), reading: reading,
		directories: &directories{known: map[string]directory{}},
	}, nil
}

// Close ends the streams, and answers no further ones. It is called once.
func (s *Site) Close() { close(s.over) }

// API answers what the pages ask, in the name of whoever made the Call whose context is used.
func (s *Site) API() grpc.ClientConnInterface { return s.api }

// Call is one request by a person who is known.
type Call struct {
	W    http.ResponseWriter
	R    *http.Request
	User view.User
	site *Site
	ctx  context.Context //nolint:containedctx // that of the request, which speaks for the person
}

// Context is that of the request; calls of the API with it are made in the person's name, and parts drawn with it are in the person's language.
func (c *Call) Context() context.Context { return c.ctx }

// Form is a value that was handed in, without the space around it.
func (c *Call) Form(name string) string { return strings.TrimSpace(c.R.FormValue(name)) }

// Moment is one that was handed in, as the page's fields write it: in the person's time zone, to the minute or finer. It is zero where none was.
func (c *Call) Moment(name string) (time.Time, error) {
	text := c.Form(name)
	if text == "" {
		return time.Time{}, nil
	}
	for _, layout := range []string{"2006-01-02T15:04", "2006-01-02T15:04:05", time.RFC3339Nano} {
		if t, err := time.ParseInLocation(layout, text, lang.Zone(c.ctx)); err == nil {
			return t, nil
		}
	}
	return time.Time{}, Bad(lang.T(c.ctx, "write the moment as 2026-03-12T18:40"))
}

// Actor is in whose name something is done: the agent that the person acts as, else whom the API finds behind the token.
func (c *Call) Actor() *eventv1.SubmittedActor {
	if c.User.Agent == "" {
		return nil
	}
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: c.User.Agent}
}

// Handle answers requests of people who are known, and asks who is not to sign in. What answer cannot do it returns as an error.
func (s *Site) Handle(answer func(*Call) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c := s.call(w, r)
		err := s.recognise(c)
		if err == nil {
			err = answer(c)
		}
		if err != nil {
			s.refuse(c, err)
		}
	})
}

// Nowhere answers what no page is at.
func (s *Site) Nowhere() http.Handler {
	return s.Handle(func(c *Call) error { return Missing(c.R.URL.Path) })
}

// call is a request by whoever holds the session, if anybody does.
func (s *Site) call(w http.ResponseWriter, r *http.Request) *Call {
	ctx := lang.With(r.Context(), s.languages.Speaker(r))
	if token := s.sessions.token(r); token != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+token)
	}
	return &Call{W: w, R: r, site: s, ctx: ctx}
}

// Show answers with a whole page.
func (c *Call) Show(p view.Page, body templ.Component) error {
	return c.show(http.StatusOK, p, body)
}

func (c *Call) show(code int, p view.Page, body templ.Component) error {
	p.User, p.Path, p.Theme, p.Asset = c.User, c.R.URL.RequestURI(), cookie(c.R, themeCookie), c.site.asset
	c.W.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.W.WriteHeader(code)
	return c.drawn(view.Shell(p, body).Render(c.ctx, c.W))
}

// Parts answers with parts of a page.
func (c *Call) Parts(parts ...templ.Component) error {
	c.W.Header().Set("Content-Type", "text/html; charset=utf-8")
	return c.drawn(templ.Join(parts...).Render(c.ctx, c.W))
}

// Wrong answers a form with what is wrong about it, to be shown in its place for that.
func (c *Call) Wrong(text string) error {
	c.W.Header().Set("Content-Type", "text/html; charset=utf-8")
	c.W.WriteHeader(http.StatusUnprocessableEntity)
	return c.drawn(view.Wrong(text).Render(c.ctx, c.W))
}

// GoTo answers a form that was taken: the browser goes on to another page, or to the same one anew.
func (c *Call) GoTo(path string) error {
	if c.scripted() {
		c.W.Header().Set("HX-Redirect", path)
		c.W.WriteHeader(http.StatusNoContent)
		return nil
	}
	http.Redirect(c.W, c.R, path, http.StatusSeeOther)
	return nil
}

// Done answers a form that was taken and changes nothing about the page by itself: what came of it comes as news. Without the page's script the browser
// goes on to the path.
func (c *Call) Done(path string) error {
	if c.scripted() {
		c.W.WriteHeader(http.StatusNoContent)
		return nil
	}
	return c.GoTo(path)
}

// scripted tells a request of the page's script from one of the browser for a page.
func (c *Call) scripted() bool {
	return c.R.Header.Get("HX-Request") != "" || streams(c.R)
}

// drawn tells the log of what was not drawn to its end. Its beginning is on its way, so there is nothing more to answer; mostly the person is gone.
func (c *Call) drawn(err error) error {
	if err != nil && c.ctx.Err() == nil {
		c.site.logger.InfoContext(c.ctx, "a page of the console was not drawn to its end", "path", c.R.URL.Path, "err", err)
	}
	return nil
}

func cookie(r *http.Request, name string) string {
	c, err := r.Cookie(name)
	if err != nil {
		return ""
	}
	value, err := url.QueryUnescape(c.Value)
	if err != nil {
		return ""
	}
	return value
}

// Letter answers with a mail as it was written; html has been sanitised. Without its pictures it says how to see them.
func (c *Call) Letter(html string, pictures bool, withPictures string) error {
	c.W.Header().Set("Content-Type", "text/html; charset=utf-8")
	return c.drawn(view.Written(html, pictures, withPictures, c.site.asset).Render(c.ctx, c.W))
}
