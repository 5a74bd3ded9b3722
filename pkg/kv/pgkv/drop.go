package pgkv

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-cx/skein/pkg/kv"
)

// sweepAgain is how long a table that somebody still reads is left alone.
const sweepAgain = 30 * time.Second

// sweeper drops the tables of namespaces that were dropped: at the start, after each Drop, and again while there are some
// that snapshots of any process still read.
type sweeper struct {
	wake  chan struct{}
	stop  context.CancelFunc
	ended chan struct{}
}

// Drop implements kv.Store. It waits for batches that are being written, not for snapshots; the disk space comes back in
// the background.
func (s *Store) Drop(ctx context.Context, ns kv.Namespace) error {
	if err := ns.Validate(); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	doing := "drop " + ns.String()
	conn, err := s.acquire(ctx, doing)
	if err != nil {
		return err
	}
	defer conn.Release()
	lingering, done := linger(ctx)
	defer done()
	trip := &pgx.Batch{}
	trip.Queue("SELECT pg_advisory_xact_lock($1)", s.namespaceLock(ns))
	trip.Queue("WITH gone AS (DELETE FROM namespaces WHERE slice = $1 AND generation = $2 RETURNING id) INSERT INTO garbage SELECT id FROM gone",
		ns.Slice, int64(ns.Generation))
	if err := conn.SendBatch(lingering, trip).Close(); err != nil {
		return engineError(doing, err)
	}
	s.remember(ns, nil)
	select {
	case s.sweeper.wake <- struct{}{}:
	default: // it is about to look anyway
	}
	return nil
}

func (s *Store) startSweeper(ctx context.Context) {
	ctx, stop := context.WithCancel(context.WithoutCancel(ctx))
	s.sweeper.stop = stop
	go func() {
		defer close(s.sweeper.ended)
		for {
			var again <-chan time.Time // never, while there is nothing left
			left, err := s.sweep(ctx)
			if err != nil && ctx.Err() == nil {
				s.log.WarnContext(ctx, "cannot drop tables that are garbage, trying again", "in", sweepAgain, "error", engineError("sweep", err))
			}
			if left > 0 || err != nil {
				again = time.After(sweepAgain)
			}
			select {
			case <-s.sweeper.wake:
			case <-again:
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (s *Store) stopSweeper() {
	s.sweeper.stop()
	<-s.sweeper.ended
}

// sweep drops what nobody holds and returns how many tables are left.
func (s *Store) sweep(ctx context.Context) (left int, err error) {
	conn, err := s.pool.Acquire(ctx)
	if err != nil {
		return 0, err
	}
	defer conn.Release()
	listed, err := conn.Query(ctx, "SELECT id FROM garbage ORDER BY id")
	if err != nil {
		return 0, err
	}
	ids, err := pgx.CollectRows(listed, pgx.RowTo[int64])
	if err != nil {
		return 0, err
	}
	var failed error
	for _, id := range ids {
		switch err := dropTable(ctx, conn.Conn(), id); {
		case isCode(err, lockNotAvailable):
			left++
		case err != nil:
			failed = errors.Join(failed, err)
		}
	}
	return left, failed
}

// dropTable drops a table unless somebody uses it. It does not wait: who waits for a table keeps others from it.
func dropTable(ctx context.Context, conn *pgx.Conn, id int64) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		// Another process may be at it.
		tag, err := tx.Exec(ctx, "DELETE FROM garbage WHERE id = (SELECT id FROM garbage WHERE id = $1 FOR UPDATE SKIP LOCKED)", id)
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		name := tableName(id)
		if _, err := tx.Exec(ctx, "LOCK TABLE "+name+" IN ACCESS EXCLUSIVE MODE NOWAIT"); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, "DROP TABLE "+name)
		return err
	})
}
