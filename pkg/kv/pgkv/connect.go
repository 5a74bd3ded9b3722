package pgkv

import (
	"context"
	"fmt"
	"maps"
	"net"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/skein-cx/skein/pkg/kv"
)

// lockTimeout is how long a batch waits for others that require the same keys.
const lockTimeout = 30 * time.Second

// session are the settings of each connection.
func session(schema string) map[string]string {
	return map[string]string{
		"search_path":  schema,
		"lock_timeout": strconv.FormatInt(lockTimeout.Milliseconds(), 10),
		// What a statement reads after a lock must be what the lock's last holder left.
		"default_transaction_isolation": "read committed",
		// Every read is by the primary key, in its order. A plan that was made while a table was small or new would go on
		// to read all of it when it has grown; there is one right plan, so it is made once.
		"enable_seqscan":    "off",
		"enable_bitmapscan": "off",
		"enable_hashjoin":   "off",
		"enable_mergejoin":  "off",
		"enable_sort":       "off",
		"plan_cache_mode":   "force_generic_plan",
		"jit":               "off",
	}
}

// configure reads a connection string.
func configure(dsn, schema string) (*pgxpool.Config, error) {
	if !validSchema(schema) {
		return nil, fmt.Errorf("%w: pgkv: the schema %q must be 1 to 63 of a-z, 0-9 and _, and not begin with a digit", kv.ErrInvalid, schema)
	}
	cfg, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	if cfg.MaxConns <= kv.Deepest {
		return nil, fmt.Errorf("%w: pgkv: pool_max_conns must be %d at least: %d for the snapshots of a read, one for batches", kv.ErrInvalid, kv.Deepest+1, kv.Deepest)
	}
	c := cfg.ConnConfig
	if c.RuntimeParams["application_name"] == "" {
		c.RuntimeParams["application_name"] = "skein"
	}
	maps.Copy(c.RuntimeParams, session(schema))
	if c.ValidateConnect == nil { // a standby would show the past, and take no batch
		c.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	c.ConnectTimeout = min(max(c.ConnectTimeout, time.Second), 10*time.Second)
	c.DialFunc = dialer().DialContext
	cfg.AfterConnect = makeDurable
	return cfg, nil
}

func parse(dsn string) (*pgxpool.Config, error) {
	// The parser's own words hold the connection string, and with it the password.
	wrong := fmt.Errorf("%w: pgkv: this is no connection string: write postgres://user:password@host:5432/database, or host=HOST user=USER dbname=DATABASE", kv.ErrInvalid)
	plain, err := pgconn.ParseConfig(dsn)
	if err != nil {
		return nil, wrong
	}
	cfg, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		return nil, wrong
	}
	if plain.RuntimeParams["pool_max_conns"] == "" {
		cfg.MaxConns = DefaultConnections
	}
	return cfg, nil
}

// Check returns a kv.ErrInvalid that tells what is wrong with a connection string. It shows nothing of the string itself.
func Check(dsn string) error {
	_, err := configure(dsn, DefaultSchema)
	return err
}

// Describe names the database of a connection string, without user and password.
func Describe(dsn string) string {
	cfg, err := parse(dsn)
	if err != nil {
		return "postgres://?"
	}
	c := cfg.ConnConfig
	return fmt.Sprintf("postgres://%s/%s", net.JoinHostPort(c.Host, strconv.Itoa(int(c.Port))), c.Database)
}

func validSchema(name string) bool {
	for _, c := range []byte(name) {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' {
			return false
		}
	}
	return len(name) >= 1 && len(name) <= 63 && (name[0] < '0' || name[0] > '9')
}

// dialer makes connections that notice within half a minute that the other machine is gone.
func dialer() *net.Dialer {
	return &net.Dialer{
		KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3},
		Control:         userTimeout,
	}
}

// makeDurable makes a commit wait for the disk where the server's default is not to.
func makeDurable(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "SELECT set_config('synchronous_commit', 'on', false) WHERE current_setting('synchronous_commit') = 'off'")
	return err
}
