// Package pgkv is the store in a PostgreSQL database, for any number of processes at once. Nothing of the driver shows in
// what it exports.
//
// Each namespace is a table of keys and values, listed in a catalogue; everything stands in a schema of its own. A snapshot
// is a transaction on a connection of its own, a batch one round trip. Locks by which batches wait for one another are
// advisory locks of PostgreSQL, which end with their transaction.
package pgkv

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/skein-cx/skein/pkg/kv"
)

const (
	// DefaultSchema is where everything stands unless Options say otherwise.
	DefaultSchema = "skein"
	// DefaultConnections is how many connections a store opens at most, unless the connection string says otherwise.
	DefaultConnections = 20
)

// grace is how long a query may go on after the context of its caller has ended. Then its connection is cut.
const grace = 5 * time.Second

// Options are all optional.
type Options struct {
	// Schema is the name of the schema: lower-case letters, digits and "_"; DefaultSchema unless set.
	Schema string
	// Logger is told of migrations, and of dropped tables that are still read.
	Logger *slog.Logger
}

// Store is a kv.Store in a database.
type Store struct {
	schema string
	log    *slog.Logger
	pool   *pgxpool.Pool
	slots  *slots // one for each snapshot that holds a connection: some connections are always left for batches
	calls  gate   // held by each call, and by each iterator until it is closed

	mu        sync.Mutex
	tables    map[kv.Namespace]*table // those known; another process may have dropped them
	snapshots map[*snapshot]struct{}

	once    sync.Once
	closing chan struct{}
	sweeper sweeper
}

// Open connects to the database that a connection string names (a URL, or words like host=db1,db2 user=skein), and brings
// its schema up to date. The parameter pool_max_conns sets how many connections are opened at most.
func Open(ctx context.Context, dsn string, opts Options) (*Store, error) {
	if opts.Schema == "" {
		opts.Schema = DefaultSchema
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	cfg, err := configure(dsn, opts.Schema)
	if err != nil {
		return nil, err
	}
	if err := migrate(ctx, cfg.ConnConfig, opts.Schema, opts.Logger); err != nil {
		return nil, err
	}
	pool, err := pgxpool.NewWithConfig(ctx, cfg)
	if err != nil {
		return nil, callError(ctx, "connect", err)
	}
	s := &Store{
		schema:    opts.Schema,
		log:       opts.Logger.With("store", Describe(dsn)),
		pool:      pool,
		slots:     newSlots(int(cfg.MaxConns - max(1, cfg.MaxConns/4))),
		calls:     gate{idle: make(chan struct{})},
		tables:    map[kv.Namespace]*table{},
		snapshots: map[*snapshot]struct{}{},
		closing:   make(chan struct{}),
		sweeper:   sweeper{wake: make(chan struct{}, 1), ended: make(chan struct{})},
	}
	s.startSweeper(ctx)
	return s, nil
}

// enter begins a call; leave ends it where it gave no error.
func (s *Store) enter(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if !s.calls.enter() {
		return kv.ErrClosed
	}
	return nil
}

func (s *Store) leave() { s.calls.leave() }

// acquire takes a connection out of the pool.
func (s *Store) acquire(ctx context.Context, doing string) (*pgxpool.Conn, error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return nil, callError(ctx, doing, err)
	}
	return conn, nil
}

// Namespaces implements kv.Store.
func (s *Store) Namespaces(ctx context.Context) ([]kv.Namespace, error) {
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	conn, err := s.acquire(ctx, "list the namespaces")
	if err != nil {
		return nil, err
	}
	defer conn.Release()
	for try := 1; ; try++ {
		all, err := listNamespaces(ctx, conn.Conn())
		switch {
		case err == nil:
			return all, nil
		case try == maxTries || !isCode(err, undefinedTable): // else one was dropped meanwhile
			return nil, callError(ctx, "list the namespaces", err)
		}
	}
}

// listNamespaces gives the namespaces of one moment whose tables are not empty.
func listNamespaces(ctx context.Context, conn *pgx.Conn) (all []kv.Namespace, err error) {
	moment := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}
	err = pgx.BeginTxFunc(ctx, conn, moment, func(tx pgx.Tx) error {
		listed, err := tx.Query(ctx, "SELECT id, slice, generation FROM namespaces")
		if err != nil {
			return err
		}
		type row struct {
			ID         int64
			Slice      string
			Generation uint32
		}
		rows, err := pgx.CollectRows(listed, pgx.RowToStructByPos[row])
		if err != nil {
			return err
		}
		looks := &pgx.Batch{}
		for _, r := range rows {
			looks.Queue("SELECT FROM " + tableName(r.ID) + " LIMIT 1").Query(func(found pgx.Rows) error {
				if found.Next() {
					all = append(all, kv.Namespace{Slice: r.Slice, Generation: r.Generation})
				}
				found.Close()
				return found.Err()
			})
		}
		return tx.SendBatch(ctx, looks).Close()
	})
	slices.SortFunc(all, kv.Namespace.Compare)
	return all, err
}

// Close implements kv.Store.
func (s *Store) Close() error {
	s.once.Do(func() {
		s.calls.shut()
		close(s.closing)
		<-s.calls.idle
		s.mu.Lock()
		forgotten := slices.Collect(maps.Keys(s.snapshots))
		s.mu.Unlock()
		for _, snap := range forgotten {
			snap.release()
		}
		s.stopSweeper()
		s.pool.Close()
	})
	return nil
}

// linger gives a context that ends a grace after the given one: what runs on a shared connection, or may have been written
// already, comes to its end where the server still answers. The caller calls done when it has.
func linger(ctx context.Context) (lingering context.Context, done func()) {
	lingering, cut := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.AfterFunc(grace, cut)
		context.AfterFunc(lingering, func() { timer.Stop() })
	})
	return lingering, func() {
		stop()
		cut()
	}
}
