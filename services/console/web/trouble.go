package web

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
)

// Bad says what is wrong with what a person handed in, in the person's language.
func Bad(text string) error { return badError(text) }

type badError string

func (e badError) Error() string { return string(e) }

// Missing says that there is no such page.
func Missing(path string) error { return status.Error(codes.NotFound, path) }

// Unserved tells that the server has not the role that would answer: a page that can do without shows the rest.
func Unserved(err error) bool { return status.Code(err) == codes.Unimplemented }

// Forbidden tells that the person lacks the right.
func Forbidden(err error) bool { return status.Code(err) == codes.PermissionDenied }

// Absent tells that there is no such thing.
func Absent(err error) bool { return status.Code(err) == codes.NotFound }

// Impossible tells that things are not so that it could be done, such as a forecast without a history.
func Impossible(err error) bool { return status.Code(err) == codes.FailedPrecondition }

// Away tells that whoever would answer cannot do so at the moment.
func Away(err error) bool {
	return status.Code(err) == codes.Unavailable || status.Code(err) == codes.DeadlineExceeded
}

// Unanswerable tells that what was asked for is wrong, or more than can be answered: Explain says it, and the person asks otherwise.
func Unanswerable(err error) bool { return httpStatus(err) == http.StatusUnprocessableEntity }

// Refusal is the API's word for why something cannot be done as things stand, such as SAME_CUSTOMER; empty for any other error.
func Refusal(err error) string {
	for _, d := range status.Convert(err).Details() {
		if info, ok := d.(*errdetails.ErrorInfo); ok {
			return info.GetReason()
		}
	}
	return ""
}

// refuse answers what could not be done, in the way that fits who asks: a page for a page, words for a form or a script.
func (s *Site) refuse(c *Call, err error) {
	if errors.Is(err, context.Canceled) || c.R.Context().Err() != nil {
		return // the person is gone
	}
	code := httpStatus(err)
	switch {
	case code == http.StatusUnauthorized:
		s.askToSignIn(c)
		return
	case code == http.StatusInternalServerError && !errors.Is(err, errPanicked):
		s.logger.ErrorContext(c.ctx, "a page of the console failed", "path", c.R.URL.Path, "err", err)
	}
	text := Explain(c.ctx, err)
	switch {
	case c.R.Header.Get("HX-Request") != "" && code == http.StatusUnprocessableEntity:
		_ = c.Wrong(text)
	case c.scripted():
		http.Error(c.W, text, code)
	default:
		title := lang.T(c.ctx, "This did not work")
		if code == http.StatusNotFound {
			title = lang.T(c.ctx, "There is nothing here")
		}
		_ = c.show(code, view.Page{Title: title, Bare: c.User.Tenant == ""}, view.Trouble(title, text))
	}
}

func httpStatus(err error) int {
	if bad := badError(""); errors.As(err, &bad) {
		return http.StatusUnprocessableEntity
	}
	if away, stranger := (rpc.ElsewhereError{}), (strangerError{}); errors.As(err, &away) || errors.As(err, &stranger) {
		return http.StatusForbidden
	}
	code, known := map[codes.Code]int{
		codes.Unauthenticated:    http.StatusUnauthorized,
		codes.NotFound:           http.StatusNotFound,
		codes.PermissionDenied:   http.StatusForbidden,
		codes.InvalidArgument:    http.StatusUnprocessableEntity,
		codes.FailedPrecondition: http.StatusUnprocessableEntity,
		codes.OutOfRange:         http.StatusUnprocessableEntity,
		codes.AlreadyExists:      http.StatusUnprocessableEntity,
		codes.Aborted:            http.StatusUnprocessableEntity,
		codes.Unavailable:        http.StatusServiceUnavailable,
		codes.DeadlineExceeded:   http.StatusServiceUnavailable,
		codes.ResourceExhausted:  http.StatusTooManyRequests,
		codes.Unimplemented:      http.StatusNotImplemented,
	}[status.Code(err)]
	if !known {
		return http.StatusInternalServerError
	}
	return code
}

// Explain is an error of the API in words for the person.
func Explain(ctx context.Context, err error) string {
	if bad := badError(""); errors.As(err, &bad) {
		return string(bad)
	}
	if away := (rpc.ElsewhereError{}); errors.As(err, &away) {
		return lang.T(ctx, "Without tokens the console is for its own machine only, as localhost or 127.0.0.1. You asked for %s: configure auth.tokens.", away.Host)
	}
	if stranger := (strangerError{}); errors.As(err, &stranger) {
		return lang.T(ctx, "This came from another site (%s), and was not done. A proxy before the console must hand on the header Host.", stranger.origin)
	}
	said := status.Convert(err).Message()
	switch httpStatus(err) {
	case http.StatusNotFound:
		return lang.T(ctx, "There is no such thing: %s", said)
	case http.StatusForbidden:
		return lang.T(ctx, "Your token does not allow this: %s", said)
	case http.StatusServiceUnavailable:
		return lang.T(ctx, "The server cannot answer this at the moment. Try again shortly. (%s)", said)
	case http.StatusNotImplemented:
		return lang.T(ctx, "This server has not the role that answers this. (%s)", said)
	case http.StatusInternalServerError:
		return lang.T(ctx, "Something went wrong here. It was noted in the server's log.")
	}
	_, text, _ := strings.Cut(rpc.Explain(err), ":")
	return strings.TrimSpace(text)
}

// Busy tells that the server cannot answer at this moment.
func Busy(err error) bool { return status.Code(err) == codes.Unavailable }
