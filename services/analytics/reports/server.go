// Package reports answers the standard reports of contact centres from ClickHouse, by the published definitions that its catalogue holds.
//
// A report is a few statements: one for the measures that count in the same view at the same moment, and one more for their total. Names
// in them come from the catalogue only; whatever a caller says goes as a parameter of the statement.
package reports

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"net"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

const (
	// mostRows are in an answer, mostCells are its values with those that it is compared with.
	mostRows  = 100_000
	mostCells = 2_000_000
	// mostGroups are told apart in one statement.
	mostGroups = 2_000_000
	// usualMemory is what one statement may use.
	usualMemory = 2 << 30
	// usualTime is how long a statement may take where the call has no deadline.
	usualTime = time.Minute
	// atOnce are statements of one call that run at once.
	atOnce = 2
)

// Config is what a Server works with. Warehouse must be set.
type Config struct {
	// Warehouse is read. Exports need it to be reached over HTTP.
	Warehouse *warehouse.Warehouse
	// Logger takes what callers are not told: the text of errors of ClickHouse. Nil means none.
	Logger *slog.Logger
	// Concurrent is how many calls read at once; others wait. 4 unless set.
	Concurrent int
	// Memory is what one statement may use, in bytes; 2 GiB unless set.
	Memory int64
	// Poll is how often it is looked whether positions are contained; 100 ms unless set.
	Poll time.Duration
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Server answers skein.analytics.v1.AnalyticsService. It is safe for concurrent use.
type Server struct {
	analyticsv1.UnimplementedAnalyticsServiceServer
	cfg       Config
	catalogue *catalogue
	room      chan struct{}
}

// NewServer makes a server.
func NewServer(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	cfg.Memory, cfg.Poll = cmp.Or(cfg.Memory, usualMemory), cmp.Or(cfg.Poll, 100*time.Millisecond)
	return &Server{cfg: cfg, catalogue: newCatalogue(), room: make(chan struct{}, cmp.Or(cfg.Concurrent, 4))}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) {
	analyticsv1.RegisterAnalyticsServiceServer(r, s)
}

// Metrics lists what reports know.
func (s *Server) Metrics(ctx context.Context, _ *analyticsv1.MetricsRequest) (*analyticsv1.MetricsResponse, error) {
	if _, err := auth.From(ctx); err != nil {
		return nil, err
	}
	resp := &analyticsv1.MetricsResponse{Tables: tableNames()}
	for _, m := range s.catalogue.metrics {
		resp.Metrics = append(resp.Metrics, &analyticsv1.Metric{
			Name: m.name, Title: m.title, Definition: m.definition, Unit: m.unit, Subject: m.numerator.of.subject, Dimensions: m.dims,
			Better: m.better,
		})
	}
	for _, d := range s.catalogue.dimensions {
		resp.Dimensions = append(resp.Dimensions, &analyticsv1.Dimension{Name: d.name, Description: d.description})
	}
	return resp, nil
}

// enter waits for room, and gives it back by the function that it returns.
func (s *Server) enter(ctx context.Context) (func(), error) {
	select {
	case s.room <- struct{}{}:
		return func() { <-s.room }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// bounded puts on a statement how much of ClickHouse it may use, and that it only reads.
func (s *Server) bounded(ctx context.Context) (context.Context, string) {
	limit := usualTime
	if deadline, ok := ctx.Deadline(); ok {
		limit = time.Until(deadline)
	}
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
		"readonly": 2, // reads, and these settings
		"cancel_http_readonly_queries_on_client_close": 1,
		"max_memory_usage":            s.cfg.Memory,
		"max_rows_to_group_by":        mostGroups,
		"group_by_overflow_mode":      "throw",
		"timeout_overflow_mode":       "throw",
		"allow_experimental_analyzer": 1,
		"join_use_nulls":              0,
		"transform_null_in":           0,
	}))
	// In the statement itself, as the driver sets it otherwise to a while behind the deadline.
	return ctx, fmt.Sprintf(" SETTINGS max_execution_time = %d", max(1, int(math.Ceil(limit.Seconds()))))
}

// Codes of errors of ClickHouse.
const (
	codeNoTable           = 60
	codeNoDatabase        = 81
	codeTooManyRows       = 158
	codeTimeout           = 159
	codeSetTooLarge       = 191
	codeTooManyQueries    = 202
	codeSocketTimeout     = 209
	codeNetwork           = 210
	codeMemory            = 241
	codeNoConnection      = 279
	codeTooManyBytes      = 307
	codeCancelled         = 394
	codeTooManyRowsOrByte = 396
)

var (
	errTooMuch     = errors.New("it is more than can be computed at once: ask for a coarser step, fewer dimensions or a shorter period")
	errNotYet      = errors.New("the tables of ClickHouse are not there yet: the process that fills them makes them")
	errUnavailable = errors.New("ClickHouse does not answer")
)

// rows runs a statement within the limits of a call. What names it where it fails.
func (s *Server) rows(ctx context.Context, what, sql string, args ...any) (driver.Rows, error) {
	bounded, settings := s.bounded(ctx)
	rows, err := s.cfg.Warehouse.Query(bounded, sql+settings, args...)
	if err != nil {
		return nil, s.failed(ctx, what, err)
	}
	return rows, nil
}

// failed makes of an error of ClickHouse what a caller can do about it.
func (s *Server) failed(ctx context.Context, what string, err error) error {
	if err == nil {
		return nil
	}
	if cause := ctx.Err(); cause != nil {
		return fmt.Errorf("analytics: %s: %w", what, cause)
	}
	if e := new(clickhouse.Exception); errors.As(err, &e) {
		switch e.Code {
		case codeTooManyRows, codeSetTooLarge, codeMemory, codeTooManyBytes, codeTooManyRowsOrByte:
			s.cfg.Logger.WarnContext(ctx, "a report asks for too much", "what", what, "error", err)
			return rpc.OutOfRange(errTooMuch)
		case codeTimeout:
			return fmt.Errorf("analytics: %s: %w", what, context.DeadlineExceeded)
		case codeTooManyQueries, codeSocketTimeout, codeNetwork, codeNoConnection, codeCancelled:
			s.cfg.Logger.WarnContext(ctx, "ClickHouse does not answer", "what", what, "error", err)
			return rpc.Unavailable(errUnavailable)
		case codeNoTable, codeNoDatabase:
			return rpc.Unavailable(errNotYet)
		}
		return fmt.Errorf("analytics: %s: %w", what, err)
	}
	if e := net.Error(nil); errors.As(err, &e) || errors.Is(err, clickhouse.ErrAcquireConnTimeout) {
		s.cfg.Logger.WarnContext(ctx, "ClickHouse does not answer", "what", what, "error", err)
		return rpc.Unavailable(errUnavailable)
	}
	return fmt.Errorf("analytics: %s: %w", what, err)
}
