package schema_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// structure is everything that stands in a database.
func structure(h *house) []string {
	return h.lines(`SELECT name, engine_full, replaceAll(create_table_query, database, 'db') FROM system.tables
		WHERE database = currentDatabase() ORDER BY name`)
}

func TestASecondMigrationChangesNothing(t *testing.T) {
	t.Parallel()
	h := newWorld(t).migrated("twice")
	before := structure(h)
	if len(before) < 20 {
		t.Fatalf("only %d tables", len(before))
	}
	var log strings.Builder
	if err := schema.Migrate(t.Context(), h.Warehouse, schema.Config{}, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("it did something: %s", log.String())
	}
	if after := structure(h); !equal(before, after) {
		t.Errorf("got %v\nwant %v", after, before)
	}
}

// cut is a proxy that breaks the connection at every statement once: before the engine has seen it, or behind it, in turn.
type cut struct {
	mu     sync.Mutex
	seen   map[string]bool
	proxy  *httputil.ReverseProxy
	breaks int
}

func (c *cut) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	r.Body = io.NopCloser(strings.NewReader(string(body)))
	statement := r.URL.Query().Get("query") + string(body)
	c.mu.Lock()
	fresh := !c.seen[statement] && !strings.HasPrefix(statement, "SELECT")
	c.seen[statement] = true
	if fresh {
		c.breaks++
	}
	behind := c.breaks%2 == 0
	c.mu.Unlock()
	if !fresh {
		c.proxy.ServeHTTP(w, r)
		return
	}
	if behind {
		c.proxy.ServeHTTP(httptest.NewRecorder(), r)
	}
	panic(http.ErrAbortHandler)
}

func (c *cut) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.breaks
}

func TestAMigrationThatIsKilledAtEveryStatementIsRepeated(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	whole := structure(w.migrated("whole"))
	target, err := url.Parse(w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	c := &cut{seen: map[string]bool{}, proxy: httputil.NewSingleHostReverseProxy(target)}
	server := httptest.NewServer(c)
	defer server.Close()
	killed, err := warehouse.Open(server.URL + "/killed")
	if err != nil {
		t.Fatal(err)
	}
	attempts := 0
	for ; ; attempts++ {
		before := c.count()
		err := schema.Migrate(t.Context(), killed, schema.Config{Retention: map[string]time.Duration{"messages": 48 * time.Hour}}, quiet())
		if err == nil {
			break
		}
		if c.count() == before {
			t.Fatalf("a repetition fails by itself: %v", err)
		}
	}
	t.Logf("%d statements were killed in %d attempts", c.count(), attempts)
	h := &house{Warehouse: killed, t: t}
	h.migrate(schema.Config{})
	if got := structure(h); !equal(got, whole) {
		t.Errorf("got %s\nwant %s", strings.Join(got, "\n"), strings.Join(whole, "\n"))
	}
}

func TestProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var g errgroup.Group
	for range 4 {
		wh := w.open("at_once")
		g.Go(func() error { return schema.Migrate(context.WithoutCancel(t.Context()), wh, schema.Config{}, quiet()) })
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	h := &house{Warehouse: w.open("at_once"), t: t}
	h.migrate(schema.Config{})
	if got, want := structure(h), structure(w.migrated("alone")); !equal(got, want) {
		t.Errorf("got %v\nwant %v", got, want)
	}
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	h := newWorld(t).migrated("newer")
	h.exec("INSERT INTO schema_versions (version_id, is_applied) VALUES (999, true)")
	err := schema.Migrate(t.Context(), h.Warehouse, schema.Config{}, quiet())
	if !errors.Is(err, schema.ErrNewer) {
		t.Fatal(err)
	}
	if want := "the database newer has version 999 and this program knows"; !strings.Contains(err.Error(), want) {
		t.Errorf("%q lacks %q", err, want)
	}
}

func TestRetentionIsWhatTheConfigurationSaysNow(t *testing.T) {
	t.Parallel()
	h := newWorld(t).migrated("retention")
	day := 24 * time.Hour
	ttl := func() string {
		return strings.Join(h.lines("SELECT extract(engine_full, ' TTL (.*) SETTINGS') FROM system.tables WHERE database = currentDatabase() AND name = 'messages'"), "")
	}
	for _, c := range []struct {
		retention map[string]time.Duration
		want      string
	}{
		{map[string]time.Duration{"messages": 30 * day}, "toDateTime(occurred_at) + toIntervalSecond(2592000)"},
		{
			map[string]time.Duration{"messages": 2 * day, "acme/messages": 30 * day, "it's/messages": 0},
			`toDateTime(occurred_at) + toIntervalSecond(172800) WHERE tenant NOT IN ('acme', 'it\'s'), toDateTime(occurred_at) + toIntervalSecond(2592000) WHERE tenant = 'acme'`,
		},
		{map[string]time.Duration{"messages": 2 * day, "acme/messages": 0}, "toDateTime(occurred_at) + toIntervalSecond(172800) WHERE tenant NOT IN ('acme')"},
		{nil, "-"},
		{map[string]time.Duration{"acme/messages": 30 * day}, "toDateTime(occurred_at) + toIntervalSecond(2592000) WHERE tenant = 'acme'"},
	} {
		h.migrate(schema.Config{Retention: c.retention})
		if got := ttl(); got != c.want {
			t.Errorf("%v\n got %s\nwant %s", c.retention, got, c.want)
		}
		var log strings.Builder
		if err := schema.Migrate(t.Context(), h.Warehouse, schema.Config{Retention: c.retention}, slog.New(slog.NewTextHandler(&log, nil))); err != nil {
			t.Fatal(err)
		}
		if log.Len() > 0 {
			t.Errorf("%v: set again: %s", c.retention, log.String())
		}
	}
	old := time.Now().Add(-40 * day)
	h.insert(of("messages", row{"tenant": "acme", "occurred_at": old}, row{"tenant": "other", "occurred_at": old}, row{"tenant": "acme", "occurred_at": time.Now()}))
	h.exec("OPTIMIZE TABLE messages FINAL")
	h.is("SELECT tenant, occurred_at < now() - 86400 FROM messages ORDER BY ALL", "acme 0", "other 1")
}

func TestAConfigurationThatCannotBeIsRefusedByName(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	for want, c := range map[string]struct {
		database string
		config   schema.Config
	}{
		`the database "a-b": letters`:    {database: "a-b"},
		`cluster "it's": letters`:        {config: schema.Config{Cluster: "it's"}},
		`replicated: it needs a cluster`: {config: schema.Config{Replicated: true}},
		`sharded: it needs a cluster`:    {config: schema.Config{Sharded: true}},
		`retention "mesages": no such table: it is one of agent_state_facts, assignment_facts`: {config: schema.Config{Retention: map[string]time.Duration{"mesages": day}}},
		`retention "/messages": no tenant`:                   {config: schema.Config{Retention: map[string]time.Duration{"/messages": day}}},
		`retention "messages": 1h0m0s is less than 24h0m0s`:  {config: schema.Config{Retention: map[string]time.Duration{"messages": time.Hour}}},
		`retention "acme/messages": 24h0m0.001s is no whole`: {config: schema.Config{Retention: map[string]time.Duration{"acme/messages": day + time.Millisecond}}},
	} {
		database := c.database
		if database == "" {
			database = "ok"
		}
		w, err := warehouse.Open("http://127.0.0.1:1/" + database)
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Migrate(t.Context(), w, c.config, quiet()); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %s", err, want)
		}
	}
}
