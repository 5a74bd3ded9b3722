package board

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// patience is how long Get waits for a board that is being read for the first time.
const patience = 5 * time.Second

// Server answers skein.board.v1.BoardService. It is safe for concurrent use.
type Server struct {
	boardv1.UnimplementedBoardServiceServer
	cfg     Config
	metrics *metrics
	process [8]byte

	// feed is what boards are fed under: it outlives who asks first, and ends when the process stops.
	feed    context.Context
	stop    context.CancelFunc
	feeding sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	boards  map[string]*board
	made    uint64 // boards so far
	watches int
}

// NewServer makes a server. Run it, so that it ends gracefully.
func NewServer(cfg Config) (*Server, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	s := &Server{cfg: cfg, boards: map[string]*board{}}
	s.feed, s.stop = context.WithCancel(context.Background())
	_, _ = rand.Read(s.process[:]) // never fails
	var err error
	s.metrics, err = newMetrics(cfg.Registerer, s.shown)
	return s, err
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { boardv1.RegisterBoardServiceServer(r, s) }

// Run waits until ctx ends; then it ends every watch, and keeps no board any more.
func (s *Server) Run(ctx context.Context) error {
	<-ctx.Done()
	s.mu.Lock()
	s.stopped = true
	s.stop()
	for _, b := range s.boards {
		s.drop(b)
	}
	s.mu.Unlock()
	s.feeding.Wait()
	return nil
}

// Get reads the board.
func (s *Server) Get(ctx context.Context, req *boardv1.GetRequest) (*boardv1.GetResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	since, err := sinceOf(req.GetSince(), time.Now())
	if err != nil {
		return nil, err
	}
	if err := s.checkPositions(req.GetMinPositions()); err != nil {
		return nil, err
	}
	b, err := s.look(caller.Tenant) //nolint:contextcheck // a board outlives the one who asks first
	if err != nil {
		return nil, err
	}
	defer s.leave(b)
	impatient, cancel := context.WithTimeoutCause(ctx, patience, ErrReading)
	defer cancel()
	if err := s.await(impatient, b, b.complete); err != nil {
		return nil, err
	}
	for _, p := range req.GetMinPositions() {
		if err := s.await(ctx, b, func() bool { return b.contains(p.GetTopic(), p.GetPartition(), p.GetOffset()) }); err != nil {
			return nil, fmt.Errorf("board: wait until %s/%d/%d is applied: %w", p.GetTopic(), p.GetPartition(), p.GetOffset(), err)
		}
	}
	v := &view{board: b, filter: newFilter(req.GetFilter()), since: since}
	all, _, _ := v.changed(0)
	for _, n := range all {
		s.metrics.sent[n.kind].Inc()
	}
	rows := rowsOf(all, false)
	if rows == nil {
		rows = &boardv1.Rows{}
	}
	return &boardv1.GetResponse{Rows: rows}, nil
}

// checkPositions refuses those for which nobody could wait.
func (s *Server) checkPositions(positions []*eventv1.Position) error {
	for n, p := range positions {
		partitions := s.cfg.InteractionPartitions
		switch p.GetTopic() {
		case event.TopicInteractions:
		case event.TopicAgents:
			partitions = s.cfg.AgentPartitions
		default:
			return rpc.InvalidField(fmt.Sprintf("min_positions[%d].topic", n),
				fmt.Errorf("must be %s or %s, of which the board is made", event.TopicInteractions, event.TopicAgents))
		}
		if p.GetPartition() < 0 || int(p.GetPartition()) >= partitions {
			return rpc.InvalidField(fmt.Sprintf("min_positions[%d].partition", n),
				fmt.Errorf("must be one of the %d partitions of %s, from 0 on", partitions, p.GetTopic()))
		}
	}
	return nil
}

// Watch tells the board, and then what changes, until the caller has enough.
func (s *Server) Watch(req *boardv1.WatchRequest, stream grpc.ServerStreamingServer[boardv1.WatchResponse]) error {
	caller, err := auth.From(stream.Context())
	if err != nil {
		return err
	}
	return s.Follow(stream.Context(), caller.Tenant, req, stream.Send)
}

// Follow is Watch inside the process. The rows of what it yields are bytes, as on the wire: marshal and unmarshal them to read them.
func (s *Server) Follow(ctx context.Context, tenant string, req *boardv1.WatchRequest, yield func(*boardv1.WatchResponse) error) error {
	since, err := sinceOf(req.GetSince(), time.Now())
	if err != nil {
		return err
	}
	query, err := queryDigest(tenant, req.GetFilter(), since)
	if err != nil {
		return err
	}
	known := cursor{}
	if req.GetCursor() != "" {
		if known, err = decodeCursor(req.GetCursor()); err == nil && known.query != query {
			err = ErrForeignCursor
		}
		if err != nil {
			return rpc.InvalidField("cursor", err)
		}
	}
	if err := s.admit(); err != nil {
		return err
	}
	defer s.dismiss()
	b, err := s.look(tenant) //nolint:contextcheck // a board outlives the one who asks first
	if err != nil {
		return err
	}
	defer s.leave(b)
	if err := s.await(ctx, b, b.complete); err != nil {
		return err
	}
	w := &watch{
		view:    view{board: b, filter: newFilter(req.GetFilter()), since: since},
		metrics: s.metrics, cursor: cursor{process: s.process, board: b.epoch, query: query}, every: interval(req.GetMaxPerSecond()), send: yield,
	}
	if known.process == s.process && known.board == b.epoch {
		w.cursor.version = known.version
	}
	return w.run(ctx, s.feed.Done())
}

// interval is how long a watch waits that tells something so many times a second.
func interval(perSecond float64) time.Duration {
	if perSecond == 0 {
		perSecond = 1
	}
	return time.Duration(min(float64(time.Second)/perSecond, float64(slowest)))
}

// admit counts one more who watches.
func (s *Server) admit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.watches >= s.cfg.MaxWatches {
		return rpc.Exhausted(ErrTooManyWatches, time.Minute)
	}
	s.watches++
	s.metrics.watches.Inc()
	return nil
}

func (s *Server) dismiss() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.watches--
	s.metrics.watches.Dec()
}

// look gives the board of a tenant to somebody, who leaves it afterwards.
func (s *Server) look(tenant string) (*board, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stopped {
		return nil, rpc.Unavailable(ErrStopping)
	}
	b := s.boards[tenant]
	if b == nil {
		s.made++
		ctx, cancel := context.WithCancel(s.feed)
		b = &board{state: newState(), tenant: tenant, epoch: s.made, cfg: &s.cfg, cancel: cancel}
		s.boards[tenant] = b
		s.metrics.boards.Inc()
		s.feeding.Go(func() { b.run(ctx) })
	}
	if b.users++; b.expires != nil {
		b.expires.Stop()
		b.expires = nil
	}
	return b, nil
}

func (s *Server) leave(b *board) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if b.users--; b.users > 0 || s.stopped {
		return
	}
	var expires *time.Timer
	expires = time.AfterFunc(s.cfg.Linger, func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if b.expires == expires {
			s.drop(b)
		}
	})
	b.expires = expires
}

func (s *Server) drop(b *board) {
	if s.boards[b.tenant] != b {
		return
	}
	delete(s.boards, b.tenant)
	s.metrics.boards.Dec()
	b.cancel()
	if b.expires != nil {
		b.expires.Stop()
	}
}

// await waits until something is so of a board.
func (s *Server) await(ctx context.Context, b *board, so func() bool) error {
	for {
		applied := b.applied.Changed()
		if so() {
			return nil
		}
		select {
		case <-s.feed.Done():
			return rpc.Unavailable(ErrStopping)
		case <-ctx.Done():
			if errors.Is(context.Cause(ctx), ErrReading) {
				return rpc.Unavailable(ErrReading)
			}
			return ctx.Err()
		case <-applied:
		}
	}
}

// shown counts the rows of all boards.
func (s *Server) shown(k kind) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.boards {
		b.mu.Lock()
		n += b.rows.shown[k]
		b.mu.Unlock()
	}
	return n
}
