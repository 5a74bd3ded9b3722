package rpc

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/grpc/test/bufconn"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/auth"
)

const (
	// localBuffer is how many bytes may be under way to the server from its own process.
	localBuffer = 1 << 20
	// bodyTimeout is how long the body of a request may take to come.
	bodyTimeout = 30 * time.Second
)

// Gateway registers one service's REST endpoints, as grpc-gateway generates it.
type Gateway func(context.Context, *runtime.ServeMux, *grpc.ClientConn) error

// REST answers JSON over HTTP by calling the server's services within this process: so every call passes what a gRPC call passes. Fields
// have the names of the protos. Nothing is read of who has no token, and a body may be as large as a gRPC request. Where nobody needs a token, it answers
// programs of this machine only (OwnMachine). Serve must be called for it to answer; it is of no use once the server has stopped.
func (s *Server) REST(ctx context.Context, gateways ...Gateway) (http.Handler, error) {
	conn, err := s.Local()
	if err != nil {
		return nil, err
	}
	mux := runtime.NewServeMux(runtime.WithMarshalerOption(runtime.MIMEWildcard, &runtime.JSONPb{
		MarshalOptions: protojson.MarshalOptions{UseProtoNames: true},
	}))
	for _, register := range gateways {
		if err := register(ctx, mux, conn); err != nil {
			return nil, errors.Join(fmt.Errorf("rpc: register a service for REST: %w", err), conn.Close())
		}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		whole, err := s.edge.admit(w, r)
		if err != nil {
			_, out := runtime.MarshalerForRequest(mux, r)
			runtime.HTTPError(r.Context(), mux, out, w, r, err)
			return
		}
		mux.ServeHTTP(w, whole)
	}), nil
}

// admit lets a request in of who may call, and reads its body: the gateway would take a body of any size into memory, and only the call that follows
// finds out who makes it.
func (e *edge) admit(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	// For the refused as well: net/http reads what is left of their bodies before it sends the answer.
	conn := http.NewResponseController(w)
	_ = conn.SetReadDeadline(time.Now().Add(bodyTimeout)) // every server of net/http can
	if e.auth.Open() {
		if err := ownProgram(r); err != nil {
			return nil, status.Error(codes.PermissionDenied, err.Error())
		}
	}
	if _, err := e.auth.Authenticate(lastToken(r.Header.Values("Authorization"))); err != nil {
		return nil, toStatus(r.Context(), e.logger, err)
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return nil, &runtime.HTTPStatusError{
			HTTPStatus: http.StatusRequestEntityTooLarge,
			Err:        status.Errorf(codes.ResourceExhausted, "the body is larger than %d bytes", large.Limit),
		}
	case err != nil:
		return nil, status.Error(codes.InvalidArgument, "the body broke off, or came too slowly")
	}
	_ = conn.SetReadDeadline(time.Time{}) // net/http goes on to read, to see whether the caller leaves: a deadline would end a watch
	whole := *r
	whole.Body = io.NopCloser(bytes.NewReader(body))
	return &whole, nil
}

// Local connects to the server within this process, before Serve is called: calls of it wait until then.
func (s *Server) Local() (*grpc.ClientConn, error) {
	pipe := bufconn.Listen(localBuffer)
	conn, err := grpc.NewClient("passthrough:///local",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return pipe.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxRequest)))
	if err != nil {
		return nil, fmt.Errorf("rpc: connect to this process: %w", err)
	}
	s.local = append(s.local, pipe)
	return conn, nil
}

// Serve answers on a port, and calls from within this process.
func (s *Server) Serve(port net.Listener) error {
	for _, l := range s.local {
		go func() { _ = s.Server.Serve(l) }() // it ends with the server
	}
	return s.Server.Serve(port)
}

// lastToken is the token of the last Authorization header that holds one; empty where none does.
func lastToken(headers []string) (token string) {
	for _, h := range headers {
		if t := bearerToken(h); t != "" {
			token = t
		}
	}
	return token
}

// bearerToken is the token of an Authorization header; empty where there is none.
func bearerToken(header string) string {
	if scheme, rest, ok := strings.Cut(header, " "); ok && strings.EqualFold(scheme, "bearer") {
		return strings.TrimSpace(rest)
	}
	return ""
}

// Authenticated finds out who calls an HTTP handler, as for gRPC, and refuses who is not known. The handler finds the caller by auth.From. Where
// nobody needs a token, it lets programs of this machine call only (OwnMachine).
func Authenticated(a *auth.Authenticator, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.Open() {
			if err := ownProgram(r); err != nil {
				http.Error(w, err.Error(), http.StatusForbidden)
				return
			}
		}
		id, err := a.Authenticate(bearerToken(r.Header.Get("Authorization")))
		if err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, r.WithContext(auth.With(r.Context(), id)))
	})
}
