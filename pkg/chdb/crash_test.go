package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
)

// Each block of rows is one insert with a token of its own, which is sent again until it is acknowledged: what a sink does.
func TestAcknowledgedBlocksOutliveTenKillsWholeAndOnce(t *testing.T) {
	s := chdbtest.Start(t)
	conn := open(t, s)
	for _, sql := range []string{
		"CREATE TABLE facts (block UInt32, n UInt32, s String) ENGINE = MergeTree ORDER BY (block, n) SETTINGS non_replicated_deduplication_window = 10000",
		"CREATE TABLE sums (block UInt32, rows UInt64) ENGINE = SummingMergeTree ORDER BY block SETTINGS non_replicated_deduplication_window = 10000",
		"CREATE MATERIALIZED VIEW facts_to_sums TO sums AS SELECT block, toUInt64(count()) AS rows FROM facts GROUP BY block",
	} {
		must(t, conn.Exec(t.Context(), sql))
	}
	const rows = 200
	insert := func(block uint32) error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		defer cancel()
		ctx = clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{
			"insert_deduplication_token": fmt.Sprint("block-", block), "deduplicate_blocks_in_dependent_materialized_views": 1, "async_insert": 0,
		}))
		batch, err := conn.PrepareBatch(ctx, "INSERT INTO facts (block, n, s)")
		if err != nil {
			return err
		}
		for n := range uint32(rows) {
			if err := batch.Append(block, n, "some text\n\n"); err != nil {
				return err
			}
		}
		return batch.Send()
	}
	var next, acknowledged, again atomic.Uint32
	ctx, stop := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for ctx.Err() == nil {
				block := next.Add(1)
				for try := 0; ; try++ {
					if err := insert(block); err == nil {
						acknowledged.Add(1)
						break
					} else if e := (*clickhouse.Exception)(nil); errors.As(err, &e) {
						t.Errorf("block %d: %v", block, err)
						return
					}
					again.Add(1)
					<-time.After(5 * time.Millisecond) // as a client would, lest the restart starves
				}
			}
		})
	}
	for range 10 {
		before := acknowledged.Load()
		eventually(t, func() bool { return acknowledged.Load() > before+1 })
		s.Kill9()
		s.Restart()
	}
	stop()
	writers.Wait()
	must(t, conn.Exec(t.Context(), "SYSTEM FLUSH LOGS"))
	var count, blocks, broken, summed uint64
	must(t, conn.QueryRow(t.Context(), "SELECT sum(c), count(), countIf(c != 200 OR u != 200) FROM (SELECT count() AS c, uniqExact(n) AS u FROM facts GROUP BY block)").Scan(&count, &blocks, &broken))
	must(t, conn.QueryRow(t.Context(), "SELECT sum(rows) FROM sums").Scan(&summed))
	t.Logf("%d blocks acknowledged, %d sent again; %d rows", acknowledged.Load(), again.Load(), count)
	if broken != 0 || blocks != uint64(acknowledged.Load()) || count != blocks*rows || summed != count {
		t.Fatalf("%d blocks, %d of them broken, %d rows, %d summed; %d acknowledged", blocks, broken, count, summed, acknowledged.Load())
	}
	if again.Load() == 0 {
		t.Error("no kill hit an insert")
	}
}

func TestOneProcessServesADirectory(t *testing.T) {
	s := chdbtest.Start(t)
	_, err := chdb.Start(t.Context(), chdbtest.Command(), chdb.Config{Dir: s.Dir, Listen: "127.0.0.1:0", Library: chdbtest.Library(t)})
	if err == nil {
		t.Fatal("a second process serves the directory")
	}
	wantText(t, err, "another process serves this directory", fmt.Sprint("process ", s.PID()), s.Dir)
	_, err = chdb.Start(t.Context(), chdbtest.Command(), chdb.Config{Dir: t.TempDir(), Listen: s.Addr, Library: chdbtest.Library(t)})
	wantText(t, err, "address already in use")
	_, err = chdb.Start(t.Context(), chdbtest.Command(), chdb.Config{Dir: t.TempDir(), Listen: "0.0.0.0:0"})
	wantText(t, err, "Users must be set")
	_, err = chdb.Start(t.Context(), chdbtest.Command(), chdb.Config{Dir: t.TempDir(), Listen: "127.0.0.1:0", Library: "/dev/null"})
	wantText(t, err, "load /dev/null")
}
