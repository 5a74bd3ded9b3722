package pgkv

import (
	"context"
	"errors"
	"strconv"

	"github.com/jackc/pgx/v5"

	"github.com/skein-cx/skein/pkg/kv"
)

// largeValue is the size above which a value is left out of a page, and read when its turn comes.
const largeValue = 64 << 10

// table holds the keys of a namespace. Its statements are put together once; each connection prepares them once.
type table struct {
	id int64

	hold, get, getMany       string
	up, upTo, down, downFrom string
	check                    string
	deleteRanges, deleteFrom string
	deleteKeys, set          string
}

func tableName(id int64) string { return "keys_" + strconv.FormatInt(id, 10) }

func newTable(id int64) *table {
	name := tableName(id)
	page := "SELECT key, CASE WHEN octet_length(value) <= " + strconv.Itoa(largeValue) + " THEN value END FROM " + name + " WHERE key >= $2"
	return &table{
		id:   id,
		hold: "LOCK TABLE " + name + " IN ACCESS SHARE MODE",
		get:  "SELECT value FROM " + name + " WHERE key = $1",
		getMany: "SELECT r.n, t.value FROM unnest($1::bytea[]) WITH ORDINALITY AS r (key, n) JOIN " + name +
			" AS t ON t.key = r.key",

		up:       page + " ORDER BY key LIMIT $1",
		upTo:     page + " AND key < $3 ORDER BY key LIMIT $1",
		down:     page + " ORDER BY key DESC LIMIT $1",
		downFrom: page + " AND key < $3 ORDER BY key DESC LIMIT $1",

		check: "SELECT refuse_batch() FROM unnest($1::bytea[], $2::bytea[]) AS r (key, value) LEFT JOIN " + name +
			" AS t ON t.key = r.key WHERE t.value IS DISTINCT FROM r.value LIMIT 1",
		deleteRanges: "DELETE FROM " + name + " AS t USING unnest($1::bytea[], $2::bytea[]) AS r (low, high) WHERE t.key >= r.low AND t.key < r.high",
		deleteFrom:   "DELETE FROM " + name + " WHERE key >= $1",
		deleteKeys:   "DELETE FROM " + name + " AS t USING unnest($1::bytea[]) AS r (key) WHERE t.key = r.key",
		set: "INSERT INTO " + name + " (key, value) SELECT * FROM unnest($1::bytea[], $2::bytea[])" +
			" ON CONFLICT (key) DO UPDATE SET value = excluded.value",
	}
}

func (s *Store) known(ns kv.Namespace) *table {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.tables[ns]
}

// remember keeps which table is a namespace's; nil forgets it.
func (s *Store) remember(ns kv.Namespace, t *table) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if t == nil {
		delete(s.tables, ns)
	} else {
		s.tables[ns] = t
	}
}

const findTable = "SELECT id FROM namespaces WHERE slice = $1 AND generation = $2"

// find looks a namespace's table up; nil where there is none.
func find(ctx context.Context, q interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, ns kv.Namespace,
) (*table, error) {
	var id int64
	err := q.QueryRow(ctx, findTable, ns.Slice, int64(ns.Generation)).Scan(&id)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // there is none
	case err != nil:
		return nil, err
	}
	return newTable(id), nil
}

// create makes a namespace and its table, unless somebody else just has.
func (s *Store) create(ctx context.Context, conn *pgx.Conn, ns kv.Namespace) (t *table, err error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if _, err := tx.Exec(ctx, "SELECT pg_advisory_xact_lock($1)", s.namespaceLock(ns)); err != nil {
			return err
		}
		if t, err = find(ctx, tx, ns); err != nil || t != nil {
			return err
		}
		var id int64
		err := tx.QueryRow(ctx, "INSERT INTO namespaces (slice, generation) VALUES ($1, $2) RETURNING id", ns.Slice, int64(ns.Generation)).Scan(&id)
		if err != nil {
			return err
		}
		t = newTable(id)
		_, err = tx.Exec(ctx, "CREATE TABLE "+tableName(id)+" (key bytea PRIMARY KEY, value bytea NOT NULL)")
		return err
	})
	return t, err
}
