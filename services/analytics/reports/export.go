package reports

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// exportChunk is what one message of an export has at most.
const exportChunk = 64 << 10

// Export streams rows of a table.
func (s *Server) Export(req *analyticsv1.ExportRequest, stream grpc.ServerStreamingServer[analyticsv1.ExportResponse]) error {
	ctx := stream.Context()
	caller, err := auth.From(ctx)
	if err != nil {
		return err
	}
	var wrong wrongs
	q := &query{}
	q.from, q.until = q.period("period", req.GetPeriod(), s.cfg.Now(), &wrong)
	time, ok := tables()[req.GetTable()]
	if !ok {
		wrong.add("table", "there is no table %q: it is one of %s", req.GetTable(), strings.Join(tableNames(), ", "))
	}
	format, ok := formats()[req.GetFormat()]
	if !ok {
		wrong.add("format", "there is no format %d", req.GetFormat())
	}
	if len(wrong) > 0 {
		return rpc.Invalid(wrong...)
	}
	if s.cfg.Warehouse.Options().Protocol != clickhouse.HTTP {
		return rpc.Refused("NEEDS_HTTP", errors.New("ClickHouse writes files over HTTP only: give analytics a DSN that begins with http:// or https://"))
	}
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	columns, err := s.columns(ctx, req.GetTable(), req.GetColumns())
	if err != nil {
		return err
	}
	sql := "SELECT " + strings.Join(columns, ", ") + " FROM " + req.GetTable() +
		" WHERE tenant = {tenant:String} AND " + time + " >= fromUnixTimestamp64Milli({from:Int64}, 'UTC') AND " + time + " < fromUnixTimestamp64Milli({until:Int64}, 'UTC')"
	return s.send(ctx, format, sql, stream,
		clickhouse.Named("tenant", caller.Tenant), clickhouse.Named("from", q.from.UnixMilli()), clickhouse.Named("until", q.until.UnixMilli()))
}

func formats() map[analyticsv1.Format]string {
	return map[analyticsv1.Format]string{
		analyticsv1.Format_FORMAT_UNSPECIFIED: "Parquet", analyticsv1.Format_FORMAT_PARQUET: "Parquet", analyticsv1.Format_FORMAT_ARROW: "ArrowStream",
		analyticsv1.Format_FORMAT_CSV: "CSVWithNames", analyticsv1.Format_FORMAT_JSON_LINES: "JSONEachRow",
	}
}

func (s *Server) send(ctx context.Context, format, sql string, stream grpc.ServerStreamingServer[analyticsv1.ExportResponse], args ...any) error {
	bounded, settings := s.bounded(ctx)
	rows, err := s.cfg.Warehouse.QueryFormat(bounded, format, sql+settings, args...)
	if err != nil {
		return s.failed(ctx, "export a table", err)
	}
	defer func() { _ = rows.Close() }() // what is wrong with it is told by Read
	chunk := make([]byte, exportChunk)
	for {
		n, err := io.ReadFull(rows, chunk)
		if n > 0 {
			if err := stream.Send(&analyticsv1.ExportResponse{Data: chunk[:n]}); err != nil {
				return err
			}
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return nil
		case err != nil:
			return s.failed(ctx, "export a table", err)
		}
	}
}

// columns are those of a table that are asked for, in that order; all of them where none are.
func (s *Server) columns(ctx context.Context, table string, asked []string) ([]string, error) {
	rows, err := s.rows(ctx, "look at the columns of a table", "SELECT name FROM system.columns WHERE database = {database:String} AND table = {table:String} ORDER BY position",
		clickhouse.Named("database", s.cfg.Warehouse.Database()), clickhouse.Named("table", table))
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }() // what is wrong with it is told by Err
	var all []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, s.failed(ctx, "look at the columns of a table", err)
		}
		all = append(all, name)
	}
	if err := rows.Err(); err != nil {
		return nil, s.failed(ctx, "look at the columns of a table", err)
	}
	if len(asked) == 0 {
		asked = all
	}
	var (
		wrong  wrongs
		quoted []string
	)
	for n, name := range asked {
		if !slices.Contains(all, name) {
			wrong.add(fmt.Sprintf("columns[%d]", n), "%s has no column %q", table, name)
			continue
		}
		quoted = append(quoted, "`"+name+"`") // one of the table's own
	}
	if len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	return quoted, nil
}
