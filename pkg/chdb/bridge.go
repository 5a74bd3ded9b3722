package chdb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// bridge serves ClickHouse's HTTP interface from the engine of this process.
type bridge struct {
	e        *engine
	c        Config
	log      *slog.Logger
	running  chan struct{} // a place for each query that may run
	known    map[string]bool
	denied   map[string]bool // functions that no read-only user may call
	version  string
	timezone string
	spool    string
}

// newBridge makes the database and learns from the engine what it knows. The engine must be open.
func newBridge(e *engine, c Config) (*bridge, error) {
	b := &bridge{
		e: e, c: c, log: c.Logger, running: make(chan struct{}, c.Queries), known: map[string]bool{}, denied: map[string]bool{},
		spool: filepath.Join(c.Dir, "answers"),
	}
	if err := os.MkdirAll(b.spool, 0o750); err != nil {
		return nil, fmt.Errorf("chdb: Dir: %w", err)
	}
	if _, err := b.ask("CREATE DATABASE IF NOT EXISTS " + c.Database); err != nil {
		return nil, err
	}
	rows, err := b.ask("SELECT name FROM system.settings")
	if err != nil {
		return nil, err
	}
	for name := range strings.FieldsSeq(rows) {
		b.known[name] = true
	}
	// What reads files, other servers or another text as a query. The engine refuses these table functions to a reader as well; their names that are
	// names of plain functions too are left to it.
	rows, err = b.ask("SELECT name FROM system.table_functions WHERE (NOT allow_readonly OR name IN ('eval', 'cluster', 'clusterAllReplicas')) AND name NOT IN (SELECT name FROM system.functions)" +
		" UNION ALL SELECT name FROM system.functions WHERE name IN ('file', 'catboostEvaluate') OR name ILIKE 'ai%' OR name ILIKE 'addressTo%' OR origin = 'ExecutableUserDefined'")
	if err != nil {
		return nil, err
	}
	for name := range strings.FieldsSeq(rows) {
		b.denied[strings.ToLower(name)] = true
	}
	rows, err = b.ask("SELECT version(), timezone()")
	if err != nil {
		return nil, err
	}
	b.version, b.timezone, _ = strings.Cut(strings.TrimSpace(rows), "\t")
	return b, nil
}

// ask runs a statement of the bridge's own on a connection of its own.
func (b *bridge) ask(sql string) (string, error) {
	c, err := b.e.connect(nil)
	if err != nil {
		return "", err
	}
	defer c.close()
	r, err := c.query(sql, "TabSeparatedRaw", nil)
	if err != nil {
		return "", fmt.Errorf("chdb: %s: %w", sql, err)
	}
	defer r.free()
	return string(r.bytes()), nil
}

// ServeHTTP serves /, /ping and /replicas_status.
func (b *bridge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("X-ClickHouse-Server-Display-Name", b.c.Database)
	switch r.URL.Path {
	case "/ping", "/replicas_status":
		_, _ = w.Write([]byte("Ok.\n")) // a client that has gone is no failure
	case "", "/":
		b.serve(w, r)
	default:
		http.Error(w, "There is no "+r.URL.Path+". Queries go to /, and /ping tells that the server is there.", http.StatusNotFound)
	}
}

func (b *bridge) serve(w http.ResponseWriter, r *http.Request) {
	a := &answer{w: w, begin: time.Now(), dir: b.spool, tag: randomName(), timezone: b.timezone, queryID: r.URL.Query().Get("query_id")}
	defer a.release()
	if a.queryID == "" {
		a.queryID = randomName() + randomName()
	}
	w.Header().Set("X-ClickHouse-Query-Id", strings.Map(printable, a.queryID))
	err := b.handle(a, r)
	if err == nil {
		return
	}
	e, ok := errors.AsType[*exceptionError](err)
	if !ok {
		e = &exceptionError{1001, "Code: 1001. DB::Exception: " + err.Error() + ". (STD_EXCEPTION)"}
	}
	b.log.DebugContext(r.Context(), "clickhouse: a query failed", "query_id", a.queryID, "code", e.Code, "error", e.Message)
	a.fail(e)
}

func printable(r rune) rune {
	if r < ' ' || r > '~' {
		return -1
	}
	return r
}

func (b *bridge) handle(a *answer, r *http.Request) error {
	if r.Method != http.MethodGet && r.Method != http.MethodPost && r.Method != http.MethodHead && r.Method != http.MethodPut {
		return refuse(codeBadArguments, "a query comes by GET or POST, not %s", r.Method)
	}
	u, err := b.user(r)
	if err != nil {
		return err
	}
	q, err := readRequest(r)
	if err != nil {
		return err
	}
	if q.query == "" && (r.Method == http.MethodGet || r.Method == http.MethodHead) {
		_, err := a.w.Write([]byte("Ok.\n"))
		return err
	}
	settings, err := b.settings(u, q)
	if err != nil {
		return err
	}
	if err := q.answerAs(a); err != nil {
		return err
	}
	if err := b.enter(r.Context()); err != nil {
		return err
	}
	defer func() { <-b.running }()
	c, err := b.connect(settings)
	if err != nil {
		return err
	}
	run := &run{b: b, a: a, q: q, c: c, marker: "/*skein:" + randomName() + "*/ "}
	switch {
	case u.ReadOnly:
		run.readonly = 1
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		run.readonly = 2
	}
	stop := b.watch(r.Context(), run.marker)
	// The connection is closed when nothing can be running on it any more, and the watch is over before.
	defer func() {
		stop()
		c.close()
	}()
	err = run.do()
	if e, ok := errors.AsType[*exceptionError](err); ok {
		return &exceptionError{e.Code, strings.ReplaceAll(e.Message, run.marker, "")}
	}
	return err
}

// enter waits for a place among the queries that run.
func (b *bridge) enter(ctx context.Context) error {
	select {
	case b.running <- struct{}{}:
		return nil
	default:
	}
	wait := time.NewTimer(b.c.QueueTime)
	defer wait.Stop()
	select {
	case b.running <- struct{}{}:
		return nil
	case <-wait.C:
		return refuse(codeTooManyQueries, "%d queries are running and none ended within %s", b.c.Queries, b.c.QueueTime)
	case <-ctx.Done():
		return refuse(codeQueryCancelled, "the client went while the query waited")
	}
}

// connect opens a connection with settings. The engine does not say which of them it does not take, so a second try by SET finds out.
func (b *bridge) connect(settings []setting) (*conn, error) {
	c, err := b.e.connect(settings)
	if !errors.Is(err, errConnect) || len(settings) == 0 {
		return c, err
	}
	c, err = b.e.connect(nil)
	if err != nil {
		return nil, err
	}
	defer c.close()
	for _, s := range settings {
		r, err := c.query("SET "+s.name+" = "+quote(s.value), "TabSeparated", nil)
		if err != nil {
			return nil, err
		}
		r.free()
	}
	return nil, errConnect
}

// quote writes a string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// watch kills the query with the marker once the context ends, until it is told to stop. One KILL is not enough: it may come before the query has begun.
func (b *bridge) watch(ctx context.Context, marker string) (stop func()) {
	stopped, over := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(over)
		select {
		case <-stopped:
			return
		case <-ctx.Done():
		}
		for wait := 10 * time.Millisecond; ; wait = min(2*wait, time.Second) {
			if _, err := b.ask("KILL QUERY WHERE startsWith(query, " + quote(strings.TrimSpace(marker)) + ") ASYNC"); err != nil {
				b.log.Warn("clickhouse: a query that nobody waits for could not be killed", "error", err)
			}
			select {
			case <-stopped:
				return
			case <-time.After(wait):
			}
		}
	}()
	return func() {
		close(stopped)
		<-over
	}
}

// defaults are the settings that every query begins with.
func (b *bridge) defaults() []setting {
	return []setting{
		{"max_memory_usage", strconv.FormatInt(b.c.QueryMemory, 10)},
		{"max_execution_time", strconv.FormatFloat(b.c.QueryTime.Seconds(), 'f', -1, 64)},
		{"implicit_select", "0"},
		{"allow_introspection_functions", "0"},
	}
}

// settings gives those of a request after the defaults.
func (b *bridge) settings(u User, q *request) ([]setting, error) {
	settings := b.defaults()
	for _, s := range q.settings {
		if !b.known[s.name] {
			return nil, refuse(codeUnknownSetting, "Setting %s is neither a builtin setting nor a parameter of the HTTP interface", s.name)
		}
		if s.name == "readonly" && u.ReadOnly && (s.value == "1" || s.value == "2") {
			continue
		}
		if u.ReadOnly {
			if err := b.readerMaySet(s); err != nil {
				return nil, err
			}
		}
		settings = append(settings, s)
	}
	return settings, nil
}
