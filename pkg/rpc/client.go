package rpc

import (
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
)

// Dial prepares a connection to a server; it is made at the first call. A token, where there is one, goes with each
// call; over an unencrypted connection it should be to this machine only.
func Dial(addr, token string, tls credentials.TransportCredentials) (*grpc.ClientConn, error) {
	if tls == nil {
		tls = insecure.NewCredentials()
	}
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(tls),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxRequest)),
	}
	if token != "" {
		options = append(options, grpc.WithPerRPCCredentials(bearer(token)))
	}
	conn, err := grpc.NewClient(addr, options...)
	if err != nil {
		return nil, fmt.Errorf("rpc: %s: %w", addr, err)
	}
	return conn, nil
}

type bearer string

func (b bearer) GetRequestMetadata(context.Context, ...string) (map[string]string, error) {
	return map[string]string{"authorization": "Bearer " + string(b)}, nil
}

func (bearer) RequireTransportSecurity() bool { return false }

// RetryAfter tells whether the call that gave this error may succeed later, and how long to wait before.
func RetryAfter(err error) (time.Duration, bool) {
	s, ok := status.FromError(err)
	if !ok || s.Code() != codes.Unavailable && s.Code() != codes.ResourceExhausted {
		return 0, false
	}
	for _, d := range s.Details() {
		if info, ok := d.(*errdetails.RetryInfo); ok {
			return info.GetRetryDelay().AsDuration(), true
		}
	}
	return time.Second, s.Code() == codes.Unavailable
}

// Explain makes a call's error readable for a person: the message, and each wrong field on a line of its own.
func Explain(err error) string {
	s, ok := status.FromError(err)
	if !ok {
		return err.Error()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s: %s", s.Code(), s.Message())
	for _, d := range s.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			b.Reset()
			fmt.Fprintf(&b, "%s:", s.Code())
			for _, v := range bad.GetFieldViolations() {
				b.WriteString("\n  ")
				if v.GetField() != "" { // else it is about the whole
					b.WriteString(v.GetField() + ": ")
				}
				b.WriteString(v.GetDescription())
			}
		}
	}
	return b.String()
}

// Violations are the wrong fields that a call's error names, by field.
func Violations(err error) map[string]string {
	wrong := map[string]string{}
	s, _ := status.FromError(err)
	for _, d := range s.Details() {
		if bad, ok := d.(*errdetails.BadRequest); ok {
			for _, v := range bad.GetFieldViolations() {
				wrong[v.GetField()] = v.GetDescription()
			}
		}
	}
	return wrong
}
