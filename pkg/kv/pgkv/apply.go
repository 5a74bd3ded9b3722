package pgkv

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/skein-cx/skein/pkg/kv"
)

const (
	// maxStatement bounds what one statement carries, maxTrip what goes to the server at once.
	maxStatement = 2 << 20
	maxTrip      = 16 << 20
	// maxTries is how often something is tried that another process came in the way of, such as by dropping the namespace.
	maxTries = 10
)

// Apply implements kv.Store. A batch is one round trip, unless it is very large or the first of its namespace.
func (s *Store) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	if err := errors.Join(ns.Validate(), b.Validate()); err != nil {
		return err
	}
	if err := s.enter(ctx); err != nil {
		return err
	}
	defer s.leave()
	w := arrange(b.Ops())
	conn, err := s.acquire(ctx, "write a batch")
	if err != nil {
		return err
	}
	defer conn.Release()
	lingering, done := linger(ctx)
	defer done()
	known := s.known(ns)
	for try := 1; ; try++ {
		if err := ctx.Err(); err != nil {
			return err
		}
		t, err := known, error(nil)
		if t == nil {
			t, err = s.tableFor(lingering, conn.Conn(), ns, b.Requirements(), w)
		}
		if err == nil && t != nil {
			err = s.write(lingering, conn.Conn(), t, ns, b.Requirements(), w)
		}
		switch {
		case err == nil:
			return nil
		case isCode(err, requirementOpen):
			return kv.ErrConflict
		case isCode(err, namespaceGone), try < maxTries && isCode(err, undefinedTable):
			// Another process has dropped it. What this one believes to know may be older still: from now on, it looks.
			known = nil
		case try < maxTries && (isCode(err, deadlockDetected) || isCode(err, serializationFailure)):
			// Nothing was written, and the other batch has what it wanted.
		default:
			return engineError("write a batch", err)
		}
	}
}

// tableFor gives the table to write to, and makes it for the first keys of a namespace. It is nil where there is nothing to
// do, since there is no such namespace.
func (s *Store) tableFor(ctx context.Context, conn *pgx.Conn, ns kv.Namespace, requires []kv.Requirement, w *writes) (*table, error) {
	t, err := find(ctx, conn, ns)
	if err == nil && t == nil {
		for _, r := range requires {
			if r.Value != nil {
				return nil, kv.ErrConflict
			}
		}
		if len(w.keys) == 0 {
			return nil, nil //nolint:nilnil // there is nothing to do
		}
		t, err = s.create(ctx, conn, ns)
	}
	if err != nil {
		return nil, err
	}
	s.remember(ns, t)
	return t, nil
}

// statement is one step of a batch, and about how many bytes it carries.
type statement struct {
	sql  string
	args []any
	size int
}

// write sends the statements of a batch. Those that fit into one trip are a transaction by themselves.
func (s *Store) write(ctx context.Context, conn *pgx.Conn, t *table, ns kv.Namespace, requires []kv.Requirement, w *writes) error {
	steps := s.statements(t, ns, requires, w)
	size := 0
	for _, st := range steps {
		size += st.size
	}
	if size > maxTrip {
		steps = append(append([]statement{{sql: "BEGIN"}}, steps...), statement{sql: "COMMIT"})
	}
	for len(steps) > 0 {
		trip := &pgx.Batch{}
		carried := 0
		for len(steps) > 0 && (carried == 0 || carried+steps[0].size <= maxTrip) {
			trip.Queue(steps[0].sql, steps[0].args...)
			carried += steps[0].size
			steps = steps[1:]
		}
		if err := conn.SendBatch(ctx, trip).Close(); err != nil {
			return errors.Join(err, rollBack(ctx, conn))
		}
	}
	return nil
}

// rollBack ends a transaction that failed halfway, so that the connection can be used again.
func rollBack(ctx context.Context, conn *pgx.Conn) error {
	if conn.IsClosed() || conn.PgConn().TxStatus() == 'I' {
		return nil
	}
	if _, err := conn.Exec(ctx, "ROLLBACK"); err != nil {
		return fmt.Errorf("roll back: %w", err)
	}
	return nil
}

func (s *Store) statements(t *table, ns kv.Namespace, requires []kv.Requirement, w *writes) []statement {
	locks := s.keyLocks(ns, requires)
	alone := len(locks) > maxKeyLocks
	if alone {
		locks = locks[:0]
	}
	// Batches that only set take the rows one after the other; one that deletes what is not there yet takes nothing.
	alone = alone || len(requires) == 0 && w.deletesAny()
	steps := []statement{{sql: "SELECT begin_batch($1, $2, $3, $4)", args: []any{t.id, s.namespaceLock(ns), alone, locks}}}
	if len(requires) > 0 {
		keys, values := make([][]byte, 0, len(requires)), make([][]byte, 0, len(requires))
		size := 0
		for _, r := range requires {
			keys, values = append(keys, filled(r.Key)), append(values, r.Value)
			size += len(r.Key) + len(r.Value)
		}
		steps = append(steps, statement{t.check, []any{keys, values}, size})
	}
	steps = inChunks(steps, t.deleteRanges, w.lows, w.highs)
	if w.from != nil {
		steps = append(steps, statement{sql: t.deleteFrom, args: []any{w.from}})
	}
	steps = inChunks(steps, t.deleteKeys, w.deletes, nil)
	return inChunks(steps, t.set, w.keys, w.values)
}

// inChunks appends a statement for each part of the columns; the second one may be nil.
func inChunks(steps []statement, sql string, first, second [][]byte) []statement {
	start, size := 0, 0
	for i := range first {
		size += len(first[i])
		if second != nil {
			size += len(second[i])
		}
		if size < maxStatement && i+1 < len(first) {
			continue
		}
		args := []any{first[start : i+1]}
		if second != nil {
			args = append(args, second[start:i+1])
		}
		steps = append(steps, statement{sql, args, size})
		start, size = i+1, 0
	}
	return steps
}
