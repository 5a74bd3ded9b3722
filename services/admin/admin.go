// Package admin operates a running Skein: how far its read models are, rebuilds, topics.
package admin

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/rpc"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
)

// Slice is a read model that this process keeps up to date.
type Slice struct {
	// Topic that it is folded from.
	Topic   string
	Manager *projection.Manager
}

// Rebuilder builds something anew from the log or from read models. What a Status tells is as a projection's.
type Rebuilder interface {
	Rebuild(ctx context.Context, report func(projection.Status)) error
}

// Tables are what can be rebuilt and is no read model.
type Tables interface {
	Rebuilder
	// Status tells which generation serves, and how far the one is that is being built.
	Status(ctx context.Context) (projection.Status, error)
}

// Channel is one that this process has opened.
type Channel struct {
	channel.Channel
	// Paths of the HTTP server where it waits to be called.
	Paths []string
}

// Config is what a Server operates.
type Config struct {
	Log    eventlog.Log
	Store  kv.Store
	Slices map[string]Slice
	// Tables are what else can be rebuilt, by name.
	Tables map[string]Tables
	// Topics are the names of Skein's.
	Topics []string
	// Channels gives the channels of this process; nil means that there are none.
	Channels func() []Channel
	// Settings are those in force, without any secret.
	Settings []*adminv1.Setting
	// Process tells what this process is.
	Process *adminv1.GetProcessResponse
	// Now measures delays; nil means time.Now.
	Now func() time.Time
}

// Server answers skein.admin.v1.AdminService.
type Server struct {
	adminv1.UnimplementedAdminServiceServer
	cfg Config
}

// NewServer makes a server.
func NewServer(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{cfg: cfg}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { adminv1.RegisterAdminServiceServer(r, s) }

// ListSlices tells how far the read models are.
func (s *Server) ListSlices(ctx context.Context, _ *adminv1.ListSlicesRequest) (*adminv1.ListSlicesResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	resp := &adminv1.ListSlicesResponse{}
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Slices)) {
		slice, err := s.slice(ctx, name, s.cfg.Slices[name])
		if err != nil {
			return nil, err
		}
		resp.Slices = append(resp.Slices, slice)
	}
	for _, name := range slices.Sorted(maps.Keys(s.cfg.Tables)) {
		st, err := s.cfg.Tables[name].Status(ctx)
		if err != nil {
			return nil, err
		}
		resp.Tables = append(resp.Tables, &adminv1.Tables{Name: name, Serving: st.Serving, Building: st.Building, Done: st.Done, Total: st.Total})
	}
	return resp, nil
}

func (s *Server) slice(ctx context.Context, name string, in Slice) (*adminv1.Slice, error) {
	status := in.Manager.Status()
	snap, err := s.cfg.Store.Snapshot(ctx, kv.Namespace{Slice: name, Generation: status.Serving})
	if err != nil {
		return nil, fmt.Errorf("admin: look at %s: %w", name, err)
	}
	defer func() { _ = snap.Close() }() // nothing is written through a snapshot
	partitions, err := s.cfg.Log.Partitions(ctx, in.Topic)
	if err != nil {
		return nil, fmt.Errorf("admin: look at %s: %w", in.Topic, err)
	}
	applied, err := projection.Applied(ctx, snap, in.Topic, partitions)
	if err != nil {
		return nil, err
	}
	out := &adminv1.Slice{Name: name, Serving: status.Serving, Building: status.Building, Done: status.Done, Total: status.Total, Topic: in.Topic}
	for p := range int32(partitions) {
		lag, err := s.lag(ctx, in.Topic, p, applied[p])
		if err != nil {
			return nil, err
		}
		out.Partitions = append(out.Partitions, lag)
	}
	return out, nil
}

func (s *Server) lag(ctx context.Context, topic string, partition int32, applied int64) (*adminv1.SlicePartition, error) {
	first, next, err := s.cfg.Log.Bounds(ctx, topic, partition)
	if err != nil {
		return nil, fmt.Errorf("admin: look at %s/%d: %w", topic, partition, err)
	}
	applied = max(applied, first)
	out := &adminv1.SlicePartition{Partition: partition, NextOffset: applied, LagEvents: next - applied, Lag: durationpb.New(0)}
	if out.GetLagEvents() == 0 {
		return out, nil
	}
	oldest, err := eventlog.ReadAt(ctx, s.cfg.Log, eventlog.Position{Topic: topic, Partition: partition, Offset: applied})
	if err != nil {
		return nil, err
	}
	out.Lag = durationpb.New(max(s.cfg.Now().Sub(oldest.Time), 0))
	return out, nil
}

// ListTopics tells what the topics hold.
func (s *Server) ListTopics(ctx context.Context, _ *adminv1.ListTopicsRequest) (*adminv1.ListTopicsResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	resp := &adminv1.ListTopicsResponse{}
	for _, topic := range s.cfg.Topics {
		d, err := s.cfg.Log.Describe(ctx, topic)
		if err != nil {
			return nil, fmt.Errorf("admin: look at %s: %w", topic, err)
		}
		out := &adminv1.Topic{Name: topic, Replicas: int32(d.Replicas), Lagging: d.Lagging, Settings: d.Settings}
		if d.Retention > 0 {
			out.Retention = durationpb.New(d.Retention)
		}
		partitions, err := s.cfg.Log.Partitions(ctx, topic)
		if err != nil {
			return nil, fmt.Errorf("admin: look at %s: %w", topic, err)
		}
		for p := range int32(partitions) {
			first, next, err := s.cfg.Log.Bounds(ctx, topic, p)
			if err != nil {
				return nil, fmt.Errorf("admin: look at %s/%d: %w", topic, p, err)
			}
			out.Partitions = append(out.Partitions, &adminv1.TopicPartition{Partition: p, FirstOffset: first, NextOffset: next})
		}
		resp.Topics = append(resp.Topics, out)
	}
	return resp, nil
}

// ErrNoSlice means that this process does not keep such a read model.
var ErrNoSlice = errors.New("admin: this process keeps no such read model")

// Rebuild builds a read model anew and tells the progress.
func (s *Server) Rebuild(req *adminv1.RebuildRequest, stream grpc.ServerStreamingServer[adminv1.RebuildResponse]) error {
	ctx := stream.Context()
	if err := auth.RequireAdmin(ctx); err != nil {
		return err
	}
	var rebuilt Rebuilder
	if slice, ok := s.cfg.Slices[req.GetSlice()]; ok {
		rebuilt = slice.Manager
	} else if rebuilt, ok = s.cfg.Tables[req.GetSlice()]; !ok {
		there := slices.Sorted(maps.Keys(s.cfg.Slices))
		return rpc.NotFound(fmt.Errorf("%w: %q; there are: %v", ErrNoSlice, req.GetSlice(), slices.AppendSeq(there, maps.Keys(s.cfg.Tables))))
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	err := rebuilt.Rebuild(ctx, func(st projection.Status) {
		err := stream.Send(&adminv1.RebuildResponse{Serving: st.Serving, Building: st.Building, Done: st.Done, Total: st.Total})
		if err != nil {
			cancel(err)
		}
	})
	if errors.Is(err, projection.ErrStopped) {
		return rpc.Unavailable(err)
	}
	return err
}

// ListChannels tells whether the channels of this process work.
func (s *Server) ListChannels(ctx context.Context, _ *adminv1.ListChannelsRequest) (*adminv1.ListChannelsResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	resp := &adminv1.ListChannelsResponse{}
	if s.cfg.Channels == nil {
		return resp, nil
	}
	for _, c := range s.cfg.Channels() {
		out := &adminv1.Channel{Name: c.Name(), Paths: c.Paths}
		if r, ok := c.Channel.(channel.Reporter); ok {
			for _, status := range r.Statuses() {
				out.Sources = append(out.Sources, source(status))
			}
		}
		resp.Channels = append(resp.Channels, out)
	}
	return resp, nil
}

func source(s channel.Status) *adminv1.ChannelSource {
	out := &adminv1.ChannelSource{Tenant: s.Tenant, Inbox: s.Inbox, Source: s.Source}
	if s.Err != nil {
		out.Error = s.Err.Error()
	}
	if !s.Since.IsZero() {
		out.Since = timestamppb.New(s.Since)
	}
	return out
}

// GetConfig tells the settings in force.
func (s *Server) GetConfig(ctx context.Context, _ *adminv1.GetConfigRequest) (*adminv1.GetConfigResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	return &adminv1.GetConfigResponse{Settings: s.cfg.Settings}, nil
}

// GetProcess tells what this process is.
func (s *Server) GetProcess(ctx context.Context, _ *adminv1.GetProcessRequest) (*adminv1.GetProcessResponse, error) {
	if err := auth.RequireAdmin(ctx); err != nil {
		return nil, err
	}
	return s.cfg.Process, nil
}
