package outbound

import (
	"context"
	"errors"
	"time"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/pkg/rpc"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

// Signal tells that an agent or bot is typing.
func (s *Server) Signal(ctx context.Context, req *channelv1.SignalRequest) (*channelv1.SignalResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	thread := s.keyring.Tenant(caller.Tenant).Thread(req.GetInbox(), req.GetThread())
	if req.GetThreadId() != "" {
		if thread, err = event.ParseID(req.GetThreadId()); err != nil {
			return nil, rpc.InvalidField("thread_id", err)
		}
	}
	s.live.Publish(&livev1.Signal{
		Tenant: caller.Tenant, ThreadId: thread.String(), Inbox: req.GetInbox(), ActorKind: req.GetActor().GetKind(), ActorId: req.GetActor().GetId(),
		Author: req.GetAuthor(), Activity: req.GetActivity(),
	})
	return &channelv1.SignalResponse{}, nil
}

// comeAgain is when one who follows may, where there are too many.
const comeAgain = 10 * time.Second

// Signals tells what visitors do.
func (s *Server) Signals(req *channelv1.SignalsRequest, stream grpc.ServerStreamingServer[channelv1.SignalsResponse]) error {
	caller, err := auth.From(stream.Context())
	if err != nil {
		return err
	}
	sel := live.Selection{Tenant: caller.Tenant, Inbox: req.GetInbox()}
	for _, text := range req.GetThreadIds() {
		id, err := event.ParseID(text)
		if err != nil {
			return rpc.InvalidField("thread_ids", err)
		}
		sel.Threads = append(sel.Threads, id)
	}
	follower, err := s.live.Follow(sel)
	switch {
	case errors.Is(err, live.ErrTooManyFollowers):
		return rpc.Exhausted(err, comeAgain)
	case err != nil:
		return rpc.Unavailable(err)
	}
	defer follower.Close()
	if err := stream.Send(&channelv1.SignalsResponse{}); err != nil { // it has begun
		return err
	}
	for {
		select {
		case <-stream.Context().Done():
			return stream.Context().Err()
		case signal, ok := <-follower.Signals():
			if !ok {
				return rpc.Unavailable(live.ErrStopping)
			}
			if signal.GetActorKind() != eventv1.ActorKind_ACTOR_KIND_CUSTOMER {
				continue
			}
			err := stream.Send(&channelv1.SignalsResponse{Signal: &channelv1.VisitorSignal{
				ThreadId: signal.GetThreadId(), Inbox: signal.GetInbox(), Activity: signal.GetActivity(), At: signal.GetAt(),
			}})
			if err != nil {
				return err
			}
		}
	}
}
