package chat

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"
)

const (
	// maxFrame is how many bytes a frame or a body may have.
	maxFrame = 64 << 10
	// bodyTimeout is how long a client may take to send a body.
	bodyTimeout = 30 * time.Second
	// preflightAge is how long a browser need not ask again, in seconds.
	preflightAge = "600"
)

// endpoint answers a request for a widget, or says what is wrong and has written nothing.
type endpoint func(w http.ResponseWriter, r *http.Request, wd *widget) *problem

func (c *Channel) routes() (http.Handler, error) {
	mux := http.NewServeMux()
	handle := func(method, path string, e endpoint) { mux.Handle(method+" "+prefix+"{widget}"+path, c.guard(e)) }
	handle("POST", "/session", c.session)
	handle("GET", "/ws", c.webSocket)
	handle("POST", "/messages", c.post)
	handle("GET", "/events", c.poll)
	handle("POST", "/files", c.upload)
	handle("GET", "/files/{file}", c.download)
	handle("OPTIONS", "/{endpoint...}", preflight)
	return mux, c.page(handle)
}

// guard lets a request through that the channel still takes, for a widget that there is, from a page that may use it.
func (c *Channel) guard(e endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if p := c.serve(e, w, r); p != nil {
			c.metrics.refused(p.Code)
			p.write(w)
		}
	})
}

func (c *Channel) serve(e endpoint, w http.ResponseWriter, r *http.Request) *problem {
	done, ok := c.begin()
	if !ok {
		return unavailable("this server is stopping: try again, it goes on elsewhere", time.Second)
	}
	defer done()
	wd, ok := c.widgets[r.PathValue("widget")]
	if !ok {
		return newProblem(http.StatusNotFound, "unknown_widget", "there is no such widget: the address is "+prefix+"WIDGET/, with the id of an inbox for web chat")
	}
	w.Header().Add("Vary", "Origin")
	if !wd.allows(r) {
		return newProblem(http.StatusForbidden, "foreign_origin", "pages of this site may not use this widget: the operator can add the site to the widget's origins")
	}
	if origin := r.Header.Get("Origin"); origin != "" {
		w.Header().Set("Access-Control-Allow-Origin", origin)
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After, Content-Disposition")
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(c.work, cancel)() //nolint:contextcheck // a request ends with the channel, too
	return e(w, r.WithContext(ctx), wd)
}

// preflight answers a browser that asks what a page of another site may do.
func preflight(w http.ResponseWriter, _ *http.Request, _ *widget) *problem {
	w.Header().Set("Access-Control-Allow-Methods", "GET, POST")
	w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
	w.Header().Set("Access-Control-Max-Age", preflightAge)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// readBody reads the body of a request.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, *problem) {
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout)) // every server of net/http can
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxFrame))
	_ = conn.SetReadDeadline(time.Time{})
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, tooLarge("longer than 64 KiB")
	case err != nil:
		return nil, badFrame("the body broke off")
	}
	return raw, nil
}
