package chdb_test

import (
	"context"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/google/uuid"

	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
)

func BenchmarkStart(b *testing.B) {
	s := chdbtest.Start(b)
	for b.Loop() {
		s.Kill9()
		s.Restart()
	}
}

func BenchmarkSelectOne(b *testing.B) {
	conn := openBench(b, chdbtest.Start(b))
	var one uint8
	for b.Loop() {
		if err := conn.QueryRow(context.Background(), "SELECT 1").Scan(&one); err != nil {
			b.Fatal(err)
		}
	}
}

// Rows of 15 columns in batches of 50,000.
func BenchmarkInsert(b *testing.B) {
	conn := openBench(b, chdbtest.Start(b))
	ctx := context.Background()
	if err := conn.Exec(ctx, `CREATE TABLE facts (id UUID, thread UUID, tenant LowCardinality(String), kind LowCardinality(String), channel LowCardinality(String), at DateTime64(6, 'UTC'),
		received DateTime64(6, 'UTC'), queue LowCardinality(String), agent LowCardinality(String), part UInt32, pos UInt64, wait UInt32, talk UInt32, text String, tags Array(String)) ENGINE = MergeTree ORDER BY (tenant, at)`); err != nil {
		b.Fatal(err)
	}
	const rows = 50000
	id, when := uuid.New(), time.Now()
	kinds := []string{"message", "call", "mail", "visit"}
	sent := 0
	for b.Loop() {
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO facts")
		if err != nil {
			b.Fatal(err)
		}
		for i := range rows {
			id[15] = byte(i)
			if err := batch.Append(id, id, "acme", kinds[i%4], "web", when.Add(time.Duration(i)*time.Millisecond), when, "sales", "ann", uint32(i%12), uint64(i), uint32(i), uint32(i), "some text of a message", []string{"a", "b"}); err != nil {
				b.Fatal(err)
			}
		}
		if err := batch.Send(); err != nil {
			b.Fatal(err)
		}
		sent += rows
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "rows/s")
}

func openBench(b *testing.B, s *chdbtest.Server) clickhouse.Conn {
	b.Helper()
	conn, err := clickhouse.Open(&clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{s.Addr}, Auth: clickhouse.Auth{Database: "skein"}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return conn
}
