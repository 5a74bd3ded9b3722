package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/simulate"
)

// The long run: SKEIN_KILLS=100 SKEIN_CONTACTS=30000 go test ./tools/e2e -run TestClickHouseHoldsTheLogToTheRow -v -timeout 1h
func TestClickHouseHoldsTheLogToTheRowThoughWriterEngineAndBrokerAreKilled(t *testing.T) {
	t.Parallel()
	kills, random := setting(t, "SKEIN_KILLS", 20), rand.New(rand.NewPCG(uint64(setting(t, "SKEIN_SEED", 20261128)), 0))
	c := cluster(t, 1)
	s := newSite(t).WithAnalytics()
	h := &house{t: t, site: s, addr: s.ClickHouse}
	up := func() *skeintest.Process { return s.Up("--kafka", strings.Join(c.Addrs(), ",")) }
	srv := up()
	day := aDay(t, simulate.Disorderly())
	check := dayAt(s, day)
	all := len(day.Deliveries())

	played := make(chan error, 1)
	go func() { played <- check.Play(t.Context(), all) }()
	for n := range kills {
		next := int((float64(n) + random.Float64()) * float64(all) / float64(kills))
		srv.WaitFor("at the next kill", func() bool { return check.Acknowledged() >= next })
		switch n % 3 {
		case 0:
			t.Log("the engine is killed")
			killEngine(t, srv)
		case 1:
			t.Log("the server is killed, and its engine with it")
			srv.Kill()
			srv = up()
		case 2:
			t.Log("the broker is killed")
			must(t, c.Restart(t.Context(), 1))
		}
	}
	must(t, <-played)

	log, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: c.Addrs()})
	must(t, err)
	t.Cleanup(func() { _ = log.Close() })
	var want logged
	holds := func() {
		t.Helper()
		srv.WaitFor("ClickHouse holds as many events as the log", func() bool {
			want = eventsOf(t, log) // timers and alerts go on
			return h.table("SELECT count() FROM skein.events") == strconv.Itoa(want.n)
		})
		if got := h.table("SELECT uniqExact(event_id), uniqExact(topic, partition, offset) FROM skein.events"); got != fmt.Sprintf("%d\t%[1]d", want.n) {
			t.Errorf("%s distinct events and positions of %d", got, want.n)
		}
		if got := h.table("SELECT type, count() FROM skein.events GROUP BY type ORDER BY type"); got != want.types {
			t.Errorf("events by type:\n%s\nin the log:\n%s", got, want.types)
		}
		if got := h.table("SELECT type, sum(events) AS n FROM skein.event_hours GROUP BY type HAVING n != 0 ORDER BY type"); got != want.types {
			t.Errorf("events by type in event_hours:\n%s\nin the log:\n%s", got, want.types)
		}
	}
	holds()
	must(t, check.Reports(t.Context(), 10, 1))
	none(t, check, srv)

	// What was filled through all that is what is filled in peace.
	before := h.digests()
	for _, tables := range []string{"clickhouse-events", "clickhouse-facts"} {
		s.Run("rebuild", tables, "--server", s.GRPC)
	}
	must(t, check.Reports(t.Context(), 10, 1))
	none(t, check, srv)
	holds()
	after := h.digests()
	for _, table := range slices.Sorted(maps.Keys(before)) {
		if before[table] != after[table] {
			t.Errorf("%s has %s, and rebuilt %s", table, before[table], after[table])
		}
	}
	t.Logf("%d events, %d kills, %d tables alike", want.n, kills, len(before))
	quit(t, srv)
}

// killEngine kills the process of the embedded ClickHouse, and waits for nothing.
func killEngine(t *testing.T, srv *skeintest.Process) {
	t.Helper()
	var pids []string
	srv.WaitFor("the engine", func() bool {
		out, _ := exec.CommandContext(t.Context(), "pgrep", "-P", strconv.Itoa(srv.PID()), "-f", "clickhouse serve").Output() // none is an error
		pids = strings.Fields(string(out))
		return len(pids) > 0
	})
	pid, err := strconv.Atoi(pids[0])
	must(t, err)
	must(t, syscall.Kill(pid, syscall.SIGKILL))
}

// logged is what the log holds.
type logged struct {
	n     int
	types string // with their numbers, a line each
}

// eventsOf reads every event of the log, each once.
func eventsOf(t *testing.T, log *kafkalog.Log) logged {
	t.Helper()
	seen, types := map[string]bool{}, map[string]int{}
	for _, topic := range []string{event.TopicInteractions, event.TopicAgents, event.TopicLinks, event.TopicDirectory, event.TopicAlerts} {
		partitions, err := log.Partitions(t.Context(), topic)
		must(t, err)
		for p := range int32(partitions) {
			must(t, eachRecord(t.Context(), log, topic, p, func(r eventlog.Record) error {
				e, err := event.Decode(r.Value)
				if err == nil && !seen[e.GetThreadId()+e.GetId()] {
					seen[e.GetThreadId()+e.GetId()] = true
					types[e.GetType()]++
				}
				return err
			}))
		}
	}
	var lines []string
	for _, name := range slices.Sorted(maps.Keys(types)) {
		lines = append(lines, fmt.Sprintf("%s\t%d", name, types[name]))
	}
	return logged{n: len(seen), types: strings.Join(lines, "\n")}
}

func eachRecord(ctx context.Context, log *kafkalog.Log, topic string, partition int32, yield func(eventlog.Record) error) (err error) {
	first, next, err := log.Bounds(ctx, topic, partition)
	if err != nil || first == next {
		return err
	}
	r, err := log.Open(ctx, topic, partition, first)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	for {
		records, err := r.Read(ctx, 1000)
		if err != nil {
			return err
		}
		for _, record := range records {
			if err := yield(record); err != nil {
				return err
			}
			if record.Offset == next-1 {
				return nil
			}
		}
	}
}

// digests tell of each table how many rows it has, and a hash over them in any order.
func (h *house) digests() map[string]string {
	h.t.Helper()
	all := map[string]string{}
	tables := h.table("SELECT name, engine FROM system.tables WHERE database = 'skein' AND engine LIKE '%MergeTree' AND name NOT IN ('progress', 'mirrored_batches', 'goose_db_version') AND name NOT LIKE '.%' ORDER BY name")
	for line := range strings.Lines(tables) {
		table, engine, _ := strings.Cut(strings.TrimSpace(line), "\t")
		final := " FINAL"
		if engine == "MergeTree" {
			final = ""
		}
		// Maps stand in any order.
		sorted := h.table("SELECT arrayStringConcat(groupArray('mapSort(' || name || ') AS ' || name), ', ') FROM system.columns WHERE database = 'skein' AND table = '" + table + "' AND type LIKE 'Map%'")
		if sorted != "" {
			sorted = " REPLACE (" + sorted + ")"
		}
		all[table] = h.table("SELECT count(), sum(cityHash64(toString(tuple(*)))) FROM (SELECT * EXCEPT (version)" + sorted + " FROM skein." + table + final + ")")
	}
	if len(all) < 15 {
		h.t.Errorf("%d tables only: %v", len(all), all)
	}
	return all
}

// table gives the answer to a query, or why there is none.
func (h *house) table(sql string) string {
	h.t.Helper()
	text, err := h.ask(http.MethodPost, sql, nil)
	if err != nil {
		return err.Error()
	}
	return text
}
