package pgkv_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/kvtest"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
)

func TestStoreKeepsTheContract(t *testing.T) {
	t.Parallel()
	dsn := server.Need(t).DSN() + " pool_max_conns=30"
	kvtest.Run(t, func(t *testing.T) kv.Store {
		t.Helper()
		return open(t, dsn, newSchema())
	})
}

func TestEnginesAgreeOnTheStateHash(t *testing.T) {
	t.Parallel()
	database, memory := open(t, server.Need(t).DSN(), newSchema()), memkv.New()
	defer database.Close()
	defer memory.Close()
	for round := range 50 {
		if err := errors.Join(kvtest.WriteRound(database, 0, round+1), kvtest.WriteRound(memory, 0, round+1)); err != nil {
			t.Fatal(err)
		}
	}
	if d, m := digest(t, database), digest(t, memory); d != m || d.Keys == 0 {
		t.Fatalf("in the database %s, in memory %s", d, m)
	}
}

func digest(t testing.TB, store kv.Store) kv.Digest {
	t.Helper()
	snap, err := store.Snapshot(context.Background(), kvtest.LedgerNamespace())
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	d, err := kv.Hash(context.Background(), snap)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func set(t testing.TB, store kv.Store, ns kv.Namespace, key, value string) {
	t.Helper()
	b := &kv.Batch{}
	b.Set([]byte(key), []byte(value))
	if err := store.Apply(context.Background(), ns, b); err != nil {
		t.Fatal(err)
	}
}

// get is what a key holds; nothing where it is missing.
func get(t testing.TB, store kv.Store, ns kv.Namespace, key string) string {
	t.Helper()
	snap, err := store.Snapshot(context.Background(), ns)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	value, _, err := snap.Get(context.Background(), []byte(key))
	if err != nil {
		t.Fatal(err)
	}
	return string(value)
}

// connect opens a connection beside the store's.
func connect(t testing.TB, dsn string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(context.Background(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("not in time: %s", what)
		}
	}
}

func TestTwoProcessesSeeWhatTheOtherDoes(t *testing.T) {
	t.Parallel()
	schema := newSchema()
	one, two := open(t, server.Need(t).DSN(), schema), open(t, server.Need(t).DSN(), schema)
	defer one.Close()
	defer two.Close()
	ns := kv.Namespace{Slice: "timeline", Generation: 3}
	if got := get(t, two, ns, "a"); got != "" {
		t.Errorf("before: %q", got)
	}
	set(t, one, ns, "a", "1")
	if got := get(t, two, ns, "a"); got != "1" {
		t.Errorf("what one wrote, two reads as %q", got)
	}
	set(t, two, ns, "a", "2")
	if got := get(t, one, ns, "a"); got != "2" {
		t.Errorf("what two wrote, one reads as %q", got)
	}
	if err := one.Drop(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	if got := get(t, two, ns, "a"); got != "" {
		t.Errorf("what one dropped, two reads as %q", got)
	}
	set(t, two, ns, "b", "3")
	if a, b := get(t, one, ns, "a"), get(t, one, ns, "b"); a != "" || b != "3" {
		t.Errorf("after the drop: a is %q, b is %q", a, b)
	}
	// It still believes in the table that the other one dropped, which a snapshot keeps there.
	snap, err := one.Snapshot(t.Context(), ns)
	if err != nil {
		t.Fatal(err)
	}
	defer snap.Close()
	if err := two.Drop(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	set(t, one, ns, "c", "4")
	if got := get(t, two, ns, "c"); got != "4" {
		t.Errorf("what one wrote after two had dropped, two reads as %q", got)
	}
	b := &kv.Batch{}
	b.Require([]byte("c"), []byte("4"))
	b.Set([]byte("d"), []byte("5"))
	if err := errors.Join(one.Drop(t.Context(), ns), two.Apply(t.Context(), ns, b)); !errors.Is(err, kv.ErrConflict) {
		t.Errorf("a key of a dropped namespace is required: %v", err)
	}
}

func TestProcessesThatDropAndWriteAtOnceNeverFail(t *testing.T) {
	t.Parallel()
	schema := newSchema()
	ns := kv.Namespace{Slice: "timeline", Generation: 1}
	var working sync.WaitGroup
	for range 3 {
		store := open(t, server.Need(t).DSN(), schema)
		t.Cleanup(func() { _ = store.Close() })
		for worker := range 3 {
			working.Go(func() {
				for round := range 60 {
					var err error
					switch {
					case worker == 0 && round%4 == 0:
						err = store.Drop(context.Background(), ns)
					case worker == 1:
						_, err = store.Namespaces(context.Background())
					default:
						b := &kv.Batch{}
						b.Set([]byte("a"), []byte("1"))
						b.Set([]byte("b"), []byte("1"))
						err = store.Apply(context.Background(), ns, b)
					}
					if err == nil {
						err = both(store, ns)
					}
					if err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
	working.Wait()
}

// both expects two keys to be there, or none.
func both(store kv.Store, ns kv.Namespace) error {
	snap, err := store.Snapshot(context.Background(), ns)
	if err != nil {
		return err
	}
	defer snap.Close()
	values, err := snap.GetMany(context.Background(), [][]byte{[]byte("a"), []byte("b")})
	if err == nil && (values[0] == nil) != (values[1] == nil) {
		err = fmt.Errorf("half of a batch: %q", values)
	}
	return err
}

func TestADroppedNamespacesTableGoesWhenNobodyReadsItAnyMore(t *testing.T) {
	t.Parallel()
	dsn, schema := server.Need(t).DSN(), newSchema()
	store := open(t, dsn, schema)
	defer store.Close()
	other := open(t, dsn, schema)
	defer other.Close()
	beside := connect(t, dsn)
	tables := func() (n int) {
		err := beside.QueryRow(t.Context(), "SELECT count(*) FROM pg_tables WHERE schemaname = $1 AND tablename LIKE 'keys_%'", schema).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	ns := kv.Namespace{Slice: "timeline"}
	set(t, store, ns, "a", "1")
	snap, err := other.Snapshot(t.Context(), ns)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.Drop(t.Context(), ns); err != nil { // does not wait for the snapshot
		t.Fatal(err)
	}
	set(t, store, kv.Namespace{Slice: "other"}, "a", "1")
	if value, _, err := snap.Get(t.Context(), []byte("a")); err != nil || string(value) != "1" {
		t.Errorf("the snapshot sees %q, %v", value, err)
	}
	if n := tables(); n != 2 {
		t.Errorf("%d tables while one is read", n)
	}
	snap.Close()
	if err := store.Drop(t.Context(), kv.Namespace{Slice: "other"}); err != nil { // makes it look again
		t.Fatal(err)
	}
	eventually(t, "both tables are gone", func() bool { return tables() == 0 })
}

func TestStartsAtOnceMigrateOnce(t *testing.T) {
	t.Parallel()
	schema := newSchema()
	var starting sync.WaitGroup
	for range 8 {
		starting.Go(func() {
			store, err := pgkv.Open(context.Background(), server.Need(t).DSN(), pgkv.Options{Schema: schema})
			if err != nil {
				t.Error(err)
				return
			}
			if _, err := store.Namespaces(context.Background()); err != nil {
				t.Error(err)
			}
			_ = store.Close()
		})
	}
	starting.Wait()
}

func TestADatabaseOfANewerVersionIsRefused(t *testing.T) {
	t.Parallel()
	dsn, schema := server.Need(t).DSN(), newSchema()
	if err := open(t, dsn, schema).Close(); err != nil {
		t.Fatal(err)
	}
	_, err := connect(t, dsn).Exec(t.Context(), "INSERT INTO "+schema+".goose_db_version (version_id, is_applied) VALUES (999, true)")
	if err != nil {
		t.Fatal(err)
	}
	_, err = pgkv.Open(t.Context(), dsn, pgkv.Options{Schema: schema})
	if !errors.Is(err, pgkv.ErrNewer) || !strings.Contains(err.Error(), "version 999") {
		t.Errorf("got %v", err)
	}
}

func TestSnapshotsNeverTakeTheConnectionsOfBatches(t *testing.T) {
	t.Parallel()
	store := open(t, server.Need(t).DSN()+" pool_max_conns=8", newSchema())
	defer store.Close()
	ns := kv.Namespace{Slice: "timeline"}
	set(t, store, ns, "a", "1")
	var open []kv.Snapshot
	job := kv.Job(t.Context())
	for range store.Metrics().MaxSnapshots - (kv.Deepest - 1) {
		snap, err := store.Snapshot(job, ns)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, snap)
	}
	tooMany := func(ctx context.Context, used string) {
		t.Helper()
		ctx, cancel := context.WithTimeout(ctx, 200*time.Millisecond)
		defer cancel()
		_, err := store.Snapshot(ctx, ns)
		if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), used+" of 6 connections for snapshots are in use") {
			t.Errorf("one snapshot too many: %v", err)
		}
	}
	tooMany(t.Context(), "3")
	tooMany(kv.Job(t.Context()), "3")
	for range kv.Deepest - 1 { // the last ones are for who has begun
		snap, err := store.Snapshot(job, ns)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, snap)
	}
	tooMany(job, "6")
	set(t, store, ns, "a", "2")
	if m := store.Metrics(); m.Snapshots != 6 || m.Max != 8 || m.InUse != 6 {
		t.Errorf("metrics: %+v", m)
	}
	next := make(chan error, 1)
	go func() {
		snap, err := store.Snapshot(context.Background(), ns)
		if err == nil {
			err = snap.Close()
		}
		next <- err
	}()
	for _, snap := range open {
		snap.Close()
	}
	if err := <-next; err != nil {
		t.Errorf("who waited for a snapshot: %v", err)
	}
}

// A batch whose context ends while it is being written is written, or not, as its error says.
func TestAnEndedContextIsReportedAsWhatCameOfIt(t *testing.T) {
	t.Parallel()
	store := open(t, server.Need(t).DSN(), newSchema())
	defer store.Close()
	ns := kv.Namespace{Slice: "timeline"}
	written, refused := 0, 0
	for i := range 300 {
		key := fmt.Sprint(i)
		b := &kv.Batch{}
		b.Require([]byte("fence"), nil)
		for n := range 50 {
			b.Set(fmt.Appendf(nil, "%s/%d", key, n), []byte("1"))
		}
		b.Set([]byte(key), []byte("1"))
		ctx, cancel := context.WithTimeout(context.Background(), time.Duration(rand.IntN(1500))*time.Microsecond)
		err := store.Apply(ctx, ns, b)
		cancel()
		switch found := get(t, store, ns, key) == "1"; {
		case err == nil && found:
			written++
		case errors.Is(err, context.DeadlineExceeded) && !found:
			refused++
		default:
			t.Fatalf("batch %d: error %v, written %v", i, err, found)
		}
	}
	t.Logf("%d written, %d refused", written, refused)
}

func TestAPasswordIsNeverShown(t *testing.T) {
	t.Parallel()
	s := server.Need(t)
	store := open(t, s.URL(), newSchema()) // by the network, with the password
	_ = store.Close()
	if got := pgkv.Describe(s.URL()); strings.Contains(got, s.Password()) || !strings.HasPrefix(got, "postgres://127.0.0.1:") {
		t.Errorf("described as %s", got)
	}
	const secret = "hunter2"
	for _, dsn := range []string{
		strings.Replace(s.URL(), s.Password(), secret, 1),
		"postgres://skein:" + secret + "@127.0.0.1:no-port/skein",
		"host=127.0.0.1 password=" + secret + " port=no-port",
		"password='" + secret,
		"postgres://skein:" + secret + "@127.0.0.1:1/skein",
		"postgres://skein:" + secret + "@127.0.0.1:1/skein?pool_max_conns=1",
		secret,
	} {
		_, err := pgkv.Open(t.Context(), dsn, pgkv.Options{})
		if err == nil || strings.Contains(err.Error(), secret) || strings.Contains(pgkv.Describe(dsn), secret) {
			t.Errorf("%v, %s", err, pgkv.Describe(dsn))
		}
	}
	_, err := pgkv.Open(t.Context(), "postgres://skein@127.0.0.1:1/skein", pgkv.Options{})
	if !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("nobody listens: %v", err)
	}
	for _, schema := range []string{"1a", "a-b", "A", strings.Repeat("a", 64), "a;b"} {
		if _, err := pgkv.Open(t.Context(), s.DSN(), pgkv.Options{Schema: schema}); !errors.Is(err, kv.ErrInvalid) {
			t.Errorf("the schema %q: %v", schema, err)
		}
	}
}

// A plan is made once, maybe while a table is empty: it must be the right one for a large table.
func TestEveryStatementGoesByThePrimaryKey(t *testing.T) {
	t.Parallel()
	dsn, schema := server.Need(t).DSN(), newSchema()
	store := open(t, dsn, schema)
	defer store.Close()
	ns := kv.Namespace{Slice: "timeline"}
	set(t, store, ns, "a", "1")
	beside := connect(t, dsn)
	for name, value := range pgkv.Session(schema) {
		if _, err := beside.Exec(t.Context(), "SELECT set_config($1, $2, false)", name, value); err != nil {
			t.Fatal(err)
		}
	}
	for sql, args := range pgkv.Statements(store, ns) {
		rows, err := beside.Query(t.Context(), "EXPLAIN "+sql, args...)
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		lines, err := pgx.CollectRows(rows, pgx.RowTo[string])
		if err != nil {
			t.Fatalf("%s: %v", sql, err)
		}
		plan := strings.Join(lines, "\n")
		if !strings.Contains(plan, "Index Scan") || !strings.Contains(plan, "Index Cond: (key") && !strings.Contains(plan, "Index Cond: ((key") ||
			strings.Contains(plan, "Seq Scan") || strings.Contains(plan, "Sort") {
			t.Errorf("%s\n%s", sql, plan)
		}
	}
}

// Batches that write the same keys and require nothing come one after the other even where some delete.
func TestBatchesThatDeleteDoNotMixWithOthers(t *testing.T) {
	t.Parallel()
	store := open(t, server.Need(t).DSN(), newSchema())
	defer store.Close()
	ns := kv.Namespace{Slice: "timeline"}
	set(t, store, ns, "other", "1")
	deletes, sets := &kv.Batch{}, &kv.Batch{}
	deletes.Delete([]byte("x"))
	deletes.Set([]byte("y"), []byte("deletes"))
	sets.Set([]byte("x"), []byte("sets"))
	sets.Set([]byte("y"), []byte("sets"))
	var writing sync.WaitGroup
	for range 2 {
		for _, b := range []*kv.Batch{deletes, sets} {
			writing.Go(func() {
				for range 150 {
					if err := store.Apply(context.Background(), ns, b); err != nil {
						t.Error(err)
					}
					snap, err := store.Snapshot(context.Background(), ns)
					if err != nil {
						t.Error(err)
						return
					}
					values, err := snap.GetMany(context.Background(), [][]byte{[]byte("x"), []byte("y")})
					snap.Close()
					if got := fmt.Sprintf("%q", values); err != nil || got != `["" "deletes"]` && got != `["sets" "sets"]` {
						t.Errorf("x and y are %s, %v", got, err)
					}
				}
			})
		}
	}
	writing.Wait()
}

// What goes to the server in several trips is one batch all the same.
func TestAVeryLargeBatchIsWholeOrNotAtAll(t *testing.T) {
	t.Parallel()
	dsn, schema := server.Need(t).DSN(), newSchema()
	store := open(t, dsn+" application_name="+schema, schema)
	defer store.Close()
	ns := kv.Namespace{Slice: "timeline"}
	set(t, store, ns, "before", "1")
	const keys = 30
	value := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	write := func(required string) error {
		b := &kv.Batch{}
		b.Require([]byte("before"), []byte(required))
		for i := range keys {
			b.Set(fmt.Appendf(nil, "%02d", i), value)
		}
		b.DeleteRange([]byte("05"), []byte("07"))
		return store.Apply(context.Background(), ns, b)
	}
	if err := write("2"); !errors.Is(err, kv.ErrConflict) {
		t.Fatalf("got %v", err)
	}
	count := func() (n int64) {
		snap, err := store.Snapshot(t.Context(), ns)
		if err != nil {
			t.Fatal(err)
		}
		defer snap.Close()
		d, err := kv.Hash(t.Context(), snap)
		if err != nil {
			t.Fatal(err)
		}
		return d.Keys
	}
	if n := count(); n != 1 {
		t.Errorf("%d keys after a conflict", n)
	}
	if err := write("1"); err != nil {
		t.Fatal(err)
	}
	if n := count(); n != 1+keys-2 {
		t.Errorf("%d keys", n)
	}

	// It comes as far as its last key, and is cut off there.
	value = []byte("other")
	value = append(value, make([]byte, 1<<20)...)
	beside := connect(t, dsn)
	run := func(sql string, args ...any) (n int64) {
		t.Helper()
		tag, err := beside.Exec(t.Context(), sql, args...)
		if err != nil {
			t.Fatal(err)
		}
		return tag.RowsAffected()
	}
	run("BEGIN")
	run("SELECT FROM "+schema+".keys_1 WHERE key = $1 FOR UPDATE", fmt.Appendf(nil, "%02d", keys-1))
	cut := make(chan error, 1)
	go func() { cut <- write("1") }()
	eventually(t, "it waits for its last key", func() bool {
		return run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1 AND wait_event_type = 'Lock'", schema) > 0
	})
	if err := <-cut; !errors.Is(err, kv.ErrUnavailable) {
		t.Errorf("cut off: %v", err)
	}
	run("ROLLBACK")
	for i := range keys {
		if got := get(t, store, ns, fmt.Sprintf("%02d", i)); strings.HasPrefix(got, "other") {
			t.Errorf("key %d of a batch that was cut off is there", i)
		}
	}
}
