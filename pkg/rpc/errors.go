package rpc

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"buf.build/go/protovalidate"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
)

// kind is what a caller can do about an error.
type kind int

const (
	kindInvalid kind = iota
	kindOutOfRange
	kindUnavailable
	kindExhausted
	kindNotFound
	kindRefused
)

// callError is an error that a service gives a kind.
type callError struct {
	kind       kind
	err        error
	violations []event.Violation
	after      time.Duration
	reason     string
}

func (e *callError) Error() string { return e.err.Error() }
func (e *callError) Unwrap() error { return e.err }

// Invalid says that fields of the request are wrong: INVALID_ARGUMENT with google.rpc.BadRequest.
func Invalid(violations ...event.Violation) error {
	return &callError{kind: kindInvalid, err: &event.InvalidError{Violations: violations}, violations: violations}
}

// InvalidField says that one field of the request is wrong, because of err.
func InvalidField(field string, err error) error {
	return &callError{kind: kindInvalid, err: err, violations: []event.Violation{{Field: field, Reason: err.Error()}}}
}

// OutOfRange says that a cursor or token is of a past that is gone.
func OutOfRange(err error) error { return &callError{kind: kindOutOfRange, err: err} }

// Unavailable says that another process, or this one in a moment, can do it.
func Unavailable(err error) error {
	return &callError{kind: kindUnavailable, err: err, after: time.Second}
}

// Exhausted says that there is no room for more, and when to come again.
func Exhausted(err error, after time.Duration) error {
	return &callError{kind: kindExhausted, err: err, after: after}
}

// NotFound says that there is no such thing.
func NotFound(err error) error { return &callError{kind: kindNotFound, err: err} }

// Refused says that the call cannot be served as things stand: FAILED_PRECONDITION with google.rpc.ErrorInfo, whose reason is a word in
// capitals for programs.
func Refused(reason string, err error) error {
	return &callError{kind: kindRefused, err: err, reason: reason}
}

// limited is implemented by errors that know when the caller may come again.
type limited interface{ RetryAfter() time.Duration }

// toStatus is the one place that turns errors into status codes. What is not known here is INTERNAL; its text stays in
// the log and does not go out.
func toStatus(ctx context.Context, logger *slog.Logger, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := status.FromError(err); ok {
		return err
	}
	var (
		call       *callError
		invalid    *event.InvalidError
		validation *protovalidate.ValidationError
		limit      limited
	)
	switch {
	case errors.As(err, &call):
		return call.status()
	case errors.As(err, &invalid):
		return badRequest(invalid.Error(), invalid.Violations)
	case errors.As(err, &validation):
		violations := make([]event.Violation, 0, len(validation.Violations))
		for _, v := range validation.Violations {
			violations = append(violations, event.Violation{
				Field:  protovalidate.FieldPathString(v.Proto.GetField()),
				Reason: v.Proto.GetMessage(),
			})
		}
		return badRequest((&event.InvalidError{Violations: violations}).Error(), violations)
	case errors.Is(err, auth.ErrUnauthenticated):
		return status.Error(codes.Unauthenticated, err.Error())
	case errors.Is(err, auth.ErrForbidden):
		return status.Error(codes.PermissionDenied, err.Error())
	case errors.As(err, &limit):
		return withDetails(codes.ResourceExhausted, err.Error(),
			&errdetails.RetryInfo{RetryDelay: durationpb.New(limit.RetryAfter())})
	case errors.Is(err, eventlog.ErrTooLarge):
		return status.Error(codes.InvalidArgument, err.Error())
	case errors.Is(err, context.DeadlineExceeded):
		return status.Error(codes.DeadlineExceeded, err.Error())
	case errors.Is(err, context.Canceled):
		return status.Error(codes.Canceled, err.Error())
	case errors.Is(err, kv.ErrUnavailable): // whose text names machines
		logger.WarnContext(ctx, "a call could not be served", "error", err)
		return withDetails(codes.Unavailable, "the store is unavailable, try again", &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
	case errors.Is(err, channel.ErrRetry), errors.Is(err, eventlog.ErrUnavailable), errors.Is(err, eventlog.ErrClosed), errors.Is(err, kv.ErrClosed):
		return withDetails(codes.Unavailable, err.Error(), &errdetails.RetryInfo{RetryDelay: durationpb.New(time.Second)})
	}
	logger.ErrorContext(ctx, "a call failed", "error", err)
	return status.Error(codes.Internal, "an internal error; its cause is in the server's log")
}

// errorDomain is whose reasons those of google.rpc.ErrorInfo are.
const errorDomain = "skein"

func (e *callError) status() error {
	switch e.kind {
	case kindOutOfRange:
		return status.Error(codes.OutOfRange, e.Error())
	case kindNotFound:
		return status.Error(codes.NotFound, e.Error())
	case kindRefused:
		return withDetails(codes.FailedPrecondition, e.Error(), &errdetails.ErrorInfo{Reason: e.reason, Domain: errorDomain})
	case kindUnavailable:
		return withDetails(codes.Unavailable, e.Error(), &errdetails.RetryInfo{RetryDelay: durationpb.New(e.after)})
	case kindExhausted:
		return withDetails(codes.ResourceExhausted, e.Error(), &errdetails.RetryInfo{RetryDelay: durationpb.New(e.after)})
	default:
		return badRequest(e.Error(), e.violations)
	}
}

func badRequest(message string, violations []event.Violation) error {
	details := &errdetails.BadRequest{}
	for _, v := range violations {
		details.FieldViolations = append(details.FieldViolations,
			&errdetails.BadRequest_FieldViolation{Field: v.Field, Description: v.Reason})
	}
	return withDetails(codes.InvalidArgument, message, details)
}

func withDetails(code codes.Code, message string, detail protoadapt.MessageV1) error {
	s, err := status.New(code, message).WithDetails(detail)
	if err != nil {
		return status.Error(code, message) // the details are too much to tell: the code is what matters
	}
	return s.Err()
}
