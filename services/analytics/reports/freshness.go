package reports

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// progress reads how far the streams are, in order of their names.
func (s *Server) progress(ctx context.Context) ([]*analyticsv1.StreamStatus, error) {
	rows, err := s.rows(ctx, "read how much is contained", "SELECT stream, topic, partition, next_offset, complete_until FROM progress FINAL ORDER BY stream, topic, partition")
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what is wrong with it is told by Err
	var all []*analyticsv1.StreamStatus
	for rows.Next() {
		var (
			stream, topic string
			partition     int32
			next          int64
			until         time.Time
		)
		if err := rows.Scan(&stream, &topic, &partition, &next, &until); err != nil {
			return nil, s.failed(ctx, "read how much is contained", err)
		}
		if len(all) == 0 || all[len(all)-1].GetStream() != stream {
			all = append(all, &analyticsv1.StreamStatus{Stream: stream, CompleteUntil: timestamppb.New(until)})
		}
		of := all[len(all)-1]
		of.Next = append(of.Next, &eventv1.Position{Topic: topic, Partition: partition, Offset: next})
		if until.Before(of.GetCompleteUntil().AsTime()) {
			of.CompleteUntil = timestamppb.New(until)
		}
	}
	for _, of := range all {
		if of.GetCompleteUntil().AsTime().Unix() <= 0 { // nothing is known of some partition
			of.CompleteUntil = nil
		}
	}
	return all, s.failed(ctx, "read how much is contained", rows.Err())
}

// freshness is how much every stream contains.
func (s *Server) freshness(ctx context.Context) (*analyticsv1.Freshness, error) {
	streams, err := s.progress(ctx)
	if err != nil {
		return nil, err
	}
	f := &analyticsv1.Freshness{}
	for _, of := range streams {
		switch until := of.GetCompleteUntil(); {
		case until == nil:
			return &analyticsv1.Freshness{}, nil
		case f.GetCompleteUntil() == nil, until.AsTime().Before(f.GetCompleteUntil().AsTime()):
			f.CompleteUntil = until
		}
	}
	return f, nil
}

// Status tells how much ClickHouse contains.
func (s *Server) Status(ctx context.Context, _ *analyticsv1.StatusRequest) (*analyticsv1.StatusResponse, error) {
	if _, err := auth.From(ctx); err != nil {
		return nil, err
	}
	if err := s.cfg.Warehouse.Ping(ctx); err != nil {
		if ctx.Err() != nil {
			return nil, fmt.Errorf("analytics: reach ClickHouse: %w", ctx.Err())
		}
		s.cfg.Logger.WarnContext(ctx, "ClickHouse does not answer", "error", err)
		return &analyticsv1.StatusResponse{Problem: errUnavailable.Error()}, nil
	}
	streams, err := s.progress(ctx)
	if err != nil {
		return nil, err
	}
	return &analyticsv1.StatusResponse{Available: true, Streams: streams}, nil
}

var errBehind = errors.New("ClickHouse does not contain the positions yet")

// contained waits until positions are contained.
func (s *Server) contained(ctx context.Context, positions []*eventv1.Position) error {
	if len(positions) == 0 {
		return nil
	}
	var wrong wrongs
	for n, p := range positions {
		if !slices.Contains([]string{event.TopicInteractions, event.TopicAgents, event.TopicLinks, event.TopicDirectory}, p.GetTopic()) {
			wrong.add(fmt.Sprintf("min_positions[%d].topic", n), "analytics reads no topic %q", p.GetTopic())
		}
	}
	if len(wrong) > 0 {
		return rpc.Invalid(wrong...)
	}
	for {
		streams, err := s.progress(ctx)
		if err != nil {
			return err
		}
		if !slices.ContainsFunc(positions, func(p *eventv1.Position) bool { return !within(streams, p) }) {
			return nil
		}
		// The last moment is left for the answer.
		if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < 2*s.cfg.Poll {
			return rpc.Unavailable(errBehind)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("analytics: wait for positions: %w", ctx.Err())
		case <-time.After(s.cfg.Poll):
		}
	}
}

// within tells whether every stream that reads the position's topic contains it.
func within(streams []*analyticsv1.StreamStatus, p *eventv1.Position) bool {
	read := false
	for _, of := range streams {
		if !slices.ContainsFunc(of.GetNext(), func(next *eventv1.Position) bool { return next.GetTopic() == p.GetTopic() }) {
			continue
		}
		read = true
		if !slices.ContainsFunc(of.GetNext(), func(next *eventv1.Position) bool {
			return next.GetTopic() == p.GetTopic() && next.GetPartition() == p.GetPartition() && next.GetOffset() > p.GetOffset()
		}) {
			return false
		}
	}
	return read
}
