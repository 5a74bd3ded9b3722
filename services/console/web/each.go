package web

import (
	"errors"
	"io"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

var errEnded = status.Error(codes.Unavailable, "the watch ended")

// Each takes what a watch of the API tells, one message after the other, and returns the error by which that ends: of the watch or of take. A watch that
// just ends is an error, too, one that has the page connect again: what follows beside it must not go on without it.
func Each[M any](watch grpc.ServerStreamingClient[M], take func(*M) error) error {
	for {
		m, err := watch.Recv()
		if errors.Is(err, io.EOF) {
			return errEnded
		}
		if err == nil {
			err = take(m)
		}
		if err != nil {
			return err
		}
	}
}
