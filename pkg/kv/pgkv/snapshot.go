package pgkv

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/skein-cx/skein/pkg/kv"
)

// beginSnapshot begins a transaction that sees one moment: that of its first query.
const beginSnapshot = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY"

// snapshot is a transaction. Its calls take turns on the connection; between the pages of a scan others get theirs.
type snapshot struct {
	store *Store
	job   any           // whose it is, as kv.JobOf tells
	turn  chan struct{} // holds one token: who has it may use what is below

	table  *table        // nil where the namespace does not exist
	conn   *pgxpool.Conn // nil there, and once it is closed
	lost   error         // why the transaction has ended
	closed bool
}

// Snapshot implements kv.Store.
func (s *Store) Snapshot(ctx context.Context, ns kv.Namespace) (kv.Snapshot, error) {
	if err := ns.Validate(); err != nil {
		return nil, err
	}
	if err := s.enter(ctx); err != nil {
		return nil, err
	}
	defer s.leave()
	if err := s.slots.take(ctx, s.closing); err != nil {
		return nil, err
	}
	job := kv.JobOf(ctx)
	conn, err := s.acquire(ctx, "take a snapshot")
	if err != nil {
		s.slots.giveBack(job)
		return nil, err
	}
	snap := &snapshot{store: s, job: job, turn: make(chan struct{}, 1), conn: conn}
	if snap.table, err = s.pin(ctx, conn.Conn(), ns); err != nil {
		snap.giveBack(ctx)
		return nil, callError(ctx, "take a snapshot", err)
	}
	if snap.table == nil {
		snap.giveBack(ctx)
	}
	snap.turn <- struct{}{}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.snapshots[snap] = struct{}{}
	return snap, nil
}

// pin begins the transaction and takes hold of the table, so that nobody drops it before the transaction ends; nil where
// the moment has no such namespace. It is one round trip where the table is known.
func (s *Store) pin(ctx context.Context, conn *pgx.Conn, ns kv.Namespace) (*table, error) {
	lingering, done := linger(ctx)
	defer done()
	guess := s.known(ns)
	for try := 1; ; try++ {
		found, err := tryPin(lingering, conn, ns, guess)
		switch {
		case err == nil:
			s.remember(ns, found)
			return found, nil
		case try == maxTries || !isCode(err, undefinedTable):
			return nil, err
		}
		guess = nil // it was dropped, maybe between the look into the catalogue and the one at the table
		if err := rollBack(lingering, conn); err != nil {
			return nil, err
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
	}
}

// tryPin begins a transaction, looks the table up and holds it. The guess is held unseen.
func tryPin(ctx context.Context, conn *pgx.Conn, ns kv.Namespace, guess *table) (found *table, err error) {
	trip := &pgx.Batch{}
	trip.Queue(beginSnapshot)
	trip.Queue(findTable, ns.Slice, int64(ns.Generation)).QueryRow(func(row pgx.Row) error {
		var id int64
		err := row.Scan(&id)
		switch {
		case errors.Is(err, pgx.ErrNoRows):
			return nil
		case err != nil:
			return err
		}
		if found = guess; guess == nil || guess.id != id {
			found = newTable(id)
		}
		return nil
	})
	if guess != nil {
		trip.Queue(guess.hold)
	}
	if err := conn.SendBatch(ctx, trip).Close(); err != nil {
		return nil, err
	}
	if found != nil && found != guess {
		_, err = conn.Exec(ctx, found.hold)
	}
	return found, err
}

// use runs a query when it is this call's turn. What comes of a call whose context ends meanwhile does not hurt others.
func (s *snapshot) use(ctx context.Context, doing string, query func(context.Context, *pgx.Conn, *table) error) error {
	if err := s.store.enter(ctx); err != nil {
		return err
	}
	defer s.store.leave()
	return s.read(ctx, doing, query)
}

// read is use within a call that has begun.
func (s *snapshot) read(ctx context.Context, doing string, query func(context.Context, *pgx.Conn, *table) error) error {
	select {
	case <-s.turn:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { s.turn <- struct{}{} }()
	switch {
	case s.closed:
		return kv.ErrClosed
	case s.table == nil:
		return nil
	case s.lost != nil:
		return fmt.Errorf("pgkv: %s: %w", doing, s.lost)
	}
	lingering, done := linger(ctx)
	defer done()
	err := query(lingering, s.conn.Conn(), s.table)
	if err == nil {
		return nil
	}
	if s.conn.Conn().PgConn().TxStatus() != 'T' { // an error ends a transaction
		s.lost = fmt.Errorf("%w: the snapshot was lost, take another one", kv.ErrUnavailable)
	}
	return callError(ctx, doing, err)
}

// Get implements kv.Reader.
func (s *snapshot) Get(ctx context.Context, key []byte) (value []byte, found bool, err error) {
	err = s.use(ctx, "get", func(ctx context.Context, conn *pgx.Conn, t *table) error {
		value, err = getOne(ctx, conn, t, key)
		return err
	})
	return value, value != nil, err
}

func getOne(ctx context.Context, conn *pgx.Conn, t *table, key []byte) (value []byte, err error) {
	err = conn.QueryRow(ctx, t.get, filled(key)).Scan(&value)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, nil
	}
	return value, err
}

// GetMany implements kv.Reader.
func (s *snapshot) GetMany(ctx context.Context, keys [][]byte) (values [][]byte, err error) {
	wanted := make([][]byte, len(keys))
	for i, key := range keys {
		wanted[i] = filled(key)
	}
	values = make([][]byte, len(keys))
	err = s.use(ctx, "get", func(ctx context.Context, conn *pgx.Conn, t *table) error {
		rows, err := conn.Query(ctx, t.getMany, wanted)
		if err != nil {
			return err
		}
		var n int64
		var value []byte
		_, err = pgx.ForEachRow(rows, []any{&n, &value}, func() error {
			values[n-1] = value
			return nil
		})
		return err
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// Distant tells that each call is a round trip, as kv.Distant asks.
func (s *snapshot) Distant() bool { return s.table != nil }

// Close implements kv.Snapshot.
func (s *snapshot) Close() error {
	if !s.store.calls.enter() {
		return nil // the store's Close has released it, or is about to
	}
	defer s.store.leave()
	s.release()
	return nil
}

func (s *snapshot) release() {
	s.store.mu.Lock()
	delete(s.store.snapshots, s)
	s.store.mu.Unlock()
	<-s.turn
	defer func() { s.turn <- struct{}{} }()
	s.closed = true
	if s.conn != nil {
		s.giveBack(context.Background())
	}
}

// giveBack ends the transaction and returns the connection. One that does not answer is closed by the pool.
func (s *snapshot) giveBack(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	_ = rollBack(ctx, s.conn.Conn()) // then the pool sees that it is not idle
	s.conn.Release()
	s.conn = nil
	s.store.slots.giveBack(s.job)
}
