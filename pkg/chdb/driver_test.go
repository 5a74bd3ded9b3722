package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/ext"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"github.com/shopspring/decimal"

	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
)

// open connects a plain clickhouse-go client.
func open(t *testing.T, s *chdbtest.Server, change ...func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	options := &clickhouse.Options{Protocol: clickhouse.HTTP, Addr: []string{s.Addr}, Auth: clickhouse.Auth{Database: "skein"}, DialTimeout: 5 * time.Second}
	for _, c := range change {
		c(options)
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantCode(t *testing.T, err error, code int32) {
	t.Helper()
	var e *clickhouse.Exception
	if !errors.As(err, &e) {
		t.Fatalf("error %v, want an exception with code %d", err, code)
	}
	if e.Code != code {
		t.Fatalf("code %d (%s), want %d", e.Code, e.Message, code)
	}
}

func TestTheDriver(t *testing.T) {
	s := chdbtest.Start(t)
	conn := open(t, s)
	t.Run("pings and knows the server", func(t *testing.T) {
		must(t, conn.Ping(t.Context()))
		version, err := conn.ServerVersion()
		must(t, err)
		if version.Version.Major != 26 || version.DisplayName != "skein" || version.Revision != 0 {
			t.Fatalf("%+v", version)
		}
	})
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionGZIP, clickhouse.CompressionDeflate, clickhouse.CompressionBrotli, clickhouse.CompressionZSTD, clickhouse.CompressionLZ4} {
		t.Run("keeps every type with compression "+method.String(), func(t *testing.T) {
			everyType(t, open(t, s, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method, Level: 3} }), "types_"+method.String())
		})
	}
	t.Run("binds parameters and sends external tables", func(t *testing.T) {
		table, err := ext.NewTable("wanted", ext.Column("n", "UInt64"), ext.Column("name", "LowCardinality(String)"))
		must(t, err)
		must(t, table.Append(uint64(3), "three"))
		must(t, table.Append(uint64(5), "five"))
		word := `it's a "word" in 中文`
		ctx := clickhouse.Context(t.Context(), clickhouse.WithExternalTable(table), clickhouse.WithParameters(clickhouse.Parameters{"word": word, "most": "9"}))
		rows, err := conn.Query(ctx, "SELECT series.number, name, {word:String} FROM numbers(10) AS series INNER JOIN wanted ON n = series.number WHERE n < {most:UInt8} ORDER BY n")
		must(t, err)
		var got []string
		for rows.Next() {
			var n uint64
			var name, word string
			must(t, rows.Scan(&n, &name, &word))
			got = append(got, fmt.Sprint(n, name, word))
		}
		must(t, rows.Err())
		if strings.Join(got, "|") != "3three"+word+"|5five"+word {
			t.Fatalf("%q", got)
		}
	})
	t.Run("gets errors with their code", func(t *testing.T) {
		ctx := t.Context()
		wantCode(t, conn.Exec(ctx, "SELECT * FROM nowhere"), 60)
		wantCode(t, conn.Exec(ctx, "SELEC 1"), 62)
		wantCode(t, conn.Exec(ctx, "SELECT throwIf(1)"), 395)
		wantCode(t, conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_thread": 3})), "SELECT 1"), 115)
		wantCode(t, conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_threads": "many"})), "SELECT 1"), 27)
		wantCode(t, conn.Exec(ctx, "SELECT 1 SETTINGS max_thread = 3"), 115)
		wantCode(t, conn.Exec(ctx, "SELECT 1; SELECT 2"), 62)
		wantCode(t, conn.Exec(ctx, "SELECT 1 INTO OUTFILE '/tmp/never'"), 138)
		wantCode(t, conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_memory_usage": 1000000})), "SELECT groupArray(number) FROM numbers(10000000)"), 241)
		wantCode(t, conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"max_execution_time": 1})), "SELECT count() FROM numbers(1000000000000) WHERE sipHash64(number) = 1"), 159)
	})
	for _, method := range []clickhouse.CompressionMethod{clickhouse.CompressionNone, clickhouse.CompressionGZIP, clickhouse.CompressionLZ4} {
		t.Run("gets an error in mid-stream with its code, compression "+method.String(), func(t *testing.T) {
			conn := open(t, s, func(o *clickhouse.Options) { o.Compression = &clickhouse.Compression{Method: method} })
			ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 1000, "max_threads": 1}))
			rows, err := conn.Query(ctx, "SELECT number, throwIf(number = 50000, 'in the middle') FROM numbers(100000)")
			must(t, err)
			n := 0
			for rows.Next() {
				n++
			}
			wantCode(t, rows.Err(), 395)
			if n == 0 || n > 50000 {
				t.Fatal(n, "rows")
			}
		})
	}
	t.Run("streams large results", func(t *testing.T) {
		rows, err := conn.Query(t.Context(), "SELECT number, toString(number) FROM numbers(300000)")
		must(t, err)
		var sum, n uint64
		var text string
		for rows.Next() {
			must(t, rows.Scan(&n, &text))
			sum += n
		}
		must(t, rows.Err())
		if sum != 300000*299999/2 {
			t.Fatal(sum)
		}
	})
	t.Run("reads a result without rows", func(t *testing.T) {
		rows, err := conn.Query(t.Context(), "SELECT number FROM numbers(10) WHERE number > 100")
		must(t, err)
		if rows.Next() || rows.Err() != nil {
			t.Fatal(rows.Err())
		}
	})
}

func everyType(t *testing.T, conn driver.Conn, table string) {
	t.Helper()
	ctx := t.Context()
	must(t, conn.Exec(ctx, `CREATE TABLE `+table+` (u UUID, l LowCardinality(String), d DateTime64(6, 'UTC'), a Array(String), m Map(String, UInt64), n Nullable(String),
		e Enum8('one' = 1, 'two' = 2), c Decimal(18, 4), i IPv6, b Bool, f Float64, x FixedString(4), z Tuple(Int8, String), s String CODEC(ZSTD), day Date, k Array(LowCardinality(Nullable(String)))) ENGINE = MergeTree ORDER BY u`))
	batch, err := conn.PrepareBatch(ctx, "INSERT INTO "+table)
	must(t, err)
	id, when := uuid.New(), time.Date(2026, 11, 28, 1, 2, 3, 456789000, time.UTC)
	text := "blank line\n\nFORMAT Native; '\\ \x00 中文"
	word := "w"
	for i := range 3 {
		row := []any{id, "low", when, []string{"a", text}, map[string]uint64{"k": 7}, (*string)(nil), "two", decimal.RequireFromString("12.3456"), net.ParseIP("2001:db8::1"), true, 1.5, "abcd", []any{int8(1), "t"}, text, when, []*string{&word, nil}}
		if i == 1 {
			row[5] = &word
		}
		must(t, batch.Append(row...))
	}
	must(t, batch.Send())
	var (
		u     uuid.UUID
		l, e  string
		d     time.Time
		a     []string
		m     map[string]uint64
		c     decimal.Decimal
		ip    net.IP
		b     bool
		f     float64
		x, sv string
		z     []any
		day   time.Time
		k     []*string
		count uint64
		nulls uint64
	)
	must(t, conn.QueryRow(ctx, "SELECT u, l, d, a, m, e, c, i, b, f, x, z, s, day, k FROM "+table+" LIMIT 1").Scan(&u, &l, &d, &a, &m, &e, &c, &ip, &b, &f, &x, &z, &sv, &day, &k))
	if u != id || l != "low" || !d.Equal(when) || len(a) != 2 || a[1] != text || m["k"] != 7 || e != "two" || c.String() != "12.3456" || !ip.Equal(net.ParseIP("2001:db8::1")) || !b || f != 1.5 || x != "abcd" ||
		fmt.Sprint(z) != "[1 t]" || sv != text || day.Format(time.DateOnly) != "2026-11-28" || len(k) != 2 || *k[0] != "w" || k[1] != nil {
		t.Fatal(u, l, d, a, m, e, c, ip, b, f, x, z, sv, day, k)
	}
	must(t, conn.QueryRow(ctx, "SELECT count(), countIf(n IS NULL) FROM "+table).Scan(&count, &nulls))
	if count != 3 || nulls != 2 {
		t.Fatal(count, nulls)
	}
}

func TestAQueryThatNobodyWaitsForIsKilled(t *testing.T) {
	s := chdbtest.Start(t)
	conn, other := open(t, s), open(t, s)
	must(t, conn.Exec(t.Context(), "CREATE TABLE sink (n UInt64) ENGINE = MergeTree ORDER BY n"))
	for name, sql := range map[string]string{
		"asleep":           "SELECT sleepEachRow(0.1) FROM numbers(100000) SETTINGS max_block_size = 1, function_sleep_max_microseconds_per_block = 0",
		"an aggregate":     "SELECT count() FROM numbers(10000000000000) WHERE sipHash64(number) = 1",
		"a cross join":     "SELECT count() FROM numbers(10000000) AS a CROSS JOIN numbers(10000000) AS b WHERE a.number + b.number = 1",
		"a stream of rows": "SELECT number FROM numbers(10000000000000)",
		"an INSERT SELECT": "INSERT INTO sink SELECT number FROM numbers(10000000000000) WHERE sipHash64(number) = 1",
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() {
				if strings.HasPrefix(sql, "INSERT") {
					done <- conn.Exec(ctx, sql)
					return
				}
				rows, err := conn.Query(ctx, sql)
				if err == nil {
					for rows.Next() {
					}
					err = rows.Err()
				}
				done <- err
			}()
			eventually(t, func() bool { return running(t, other) == 1 })
			cancel()
			if err := <-done; err == nil {
				t.Error("it went on to its end")
			}
			eventually(t, func() bool { return running(t, other) == 0 })
		})
	}
}

func running(t *testing.T, conn driver.Conn) (n uint64) {
	t.Helper()
	must(t, conn.QueryRow(t.Context(), "SELECT count() FROM system.processes WHERE query NOT LIKE '%system.processes%'").Scan(&n))
	return n
}

// eventually waits until a condition holds.
func eventually(t *testing.T, holds func() bool) {
	t.Helper()
	end := time.After(time.Minute)
	for !holds() {
		select {
		case <-end:
			t.Fatal("it did not come")
		case <-time.After(5 * time.Millisecond):
		}
	}
}
