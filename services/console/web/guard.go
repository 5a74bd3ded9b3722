package web

import (
	"errors"
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"strings"
	"time"

	"github.com/klauspost/compress/gzhttp"
)

// securityPolicy is the Content-Security-Policy of every page: all that a page loads comes from here, and no script or style stands in it.
const securityPolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; " +
	"connect-src 'self'; font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// worthPacking is from how many bytes on an answer is compressed.
const worthPacking = 1024

// Guard is what holds for every answer of the console, also of files, redirects and errors: it forbids what no page needs, does nothing in a person's
// name that another site asks for, compresses pages and files, survives a page that panics, and counts.
func (s *Site) Guard(pages http.Handler) (http.Handler, error) {
	// Streams are left alone: news must not wait until there is enough to compress.
	pack, err := gzhttp.NewWrapper(gzhttp.MinSize(worthPacking), gzhttp.ContentTypes([]string{
		"text/html", "text/css", "text/javascript", "application/javascript", "image/svg+xml", "application/json", "text/csv",
	}))
	if err != nil {
		return nil, fmt.Errorf("web: compress: %w", err)
	}
	own := http.NewCrossOriginProtection()
	own.SetDenyHandler(http.HandlerFunc(s.stranger))
	inside := own.Handler(pages)
	answered := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answer := &answer{ResponseWriter: w}
		began := time.Now()
		defer func() {
			page := pageOf(r)
			s.metrics.requests.WithLabelValues(page, strconv.Itoa(answer.status())).Inc()
			if !streams(r) {
				s.metrics.seconds.WithLabelValues(page).Observe(time.Since(began).Seconds())
			}
		}()
		defer s.survive(answer, r)
		inside.ServeHTTP(answer, r)
	})
	packed := pack(answered)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", securityPolicy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if streams(r) {
			answered.ServeHTTP(w, r)
		} else {
			packed(w, r)
		}
	}), nil
}

// stranger answers a form or a script that comes from another site.
func (s *Site) stranger(w http.ResponseWriter, r *http.Request) {
	s.refuse(s.call(w, r), strangerError{r.Header.Get("Origin")})
}

// strangerError is a request that another site makes in the name of who is signed in here.
type strangerError struct{ origin string }

func (e strangerError) Error() string { return "asked for by another site, " + e.origin }

// survive answers for a page that panics.
func (s *Site) survive(w *answer, r *http.Request) {
	cause := recover() //nolint:revive // survive is what is deferred
	if cause == nil {
		return
	}
	if err, ok := cause.(error); ok && errors.Is(err, http.ErrAbortHandler) {
		panic(cause) //nolint:forbidigo // net/http's way to cut an answer
	}
	s.logger.ErrorContext(r.Context(), "a page of the console panicked", "path", r.URL.Path, "cause", cause, "stack", string(debug.Stack()))
	if w.code != 0 {
		panic(http.ErrAbortHandler) //nolint:forbidigo // so that the browser does not take a part for the whole
	}
	c := s.call(w, r)
	s.refuse(c, errPanicked)
}

var errPanicked = errors.New("it panicked, as was noted")

// answer remembers the code that was answered with.
type answer struct {
	http.ResponseWriter
	code int
}

func (a *answer) WriteHeader(code int) {
	if a.code == 0 {
		a.code = code
	}
	a.ResponseWriter.WriteHeader(code)
}

func (a *answer) Write(p []byte) (int, error) {
	if a.code == 0 {
		a.code = http.StatusOK
	}
	return a.ResponseWriter.Write(p)
}

// Unwrap lets http.ResponseController find what can flush.
func (a *answer) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *answer) status() int {
	if a.code == 0 {
		return http.StatusOK // which net/http sends where nobody says otherwise
	}
	return a.code
}

// streams tells a request for news.
func streams(r *http.Request) bool { return r.Header.Get("Accept") == streamType }

// pageOf is how the page is called in the metrics: the pattern of its address, so that there are as many as there are pages.
func pageOf(r *http.Request) string {
	_, path, found := strings.Cut(r.Pattern, " ")
	if !found {
		path = r.Pattern
	}
	if page := strings.TrimPrefix(path, Prefix); page != "" {
		return page
	}
	return "other"
}
