// Package warehouse is the ClickHouse that analytics writes to and reads from: a server, or the engine that a process carries with it.
// Only the DSN differs.
package warehouse

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// ErrUnavailable says that ClickHouse does not answer, or cannot take anything for now. The same call may succeed later; an insert that
// failed with it may have been written, and is to be repeated under its token.
var ErrUnavailable = errors.New("ClickHouse is unavailable")

// DefaultDatabase is where the tables stand, unless the DSN names another one.
const DefaultDatabase = "skein"

// Warehouse is a pool of connections. It is safe for concurrent use.
type Warehouse struct {
	driver.Conn
	options *clickhouse.Options
}

// Open prepares connections to a DSN such as clickhouse://user:password@host:9000/skein or http://127.0.0.1:7123/skein. It does not
// connect: the server may come later.
func Open(dsn string) (*Warehouse, error) {
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("warehouse: the DSN of ClickHouse: %w", err)
	}
	if o.Auth.Database == "" {
		o.Auth.Database = DefaultDatabase
	}
	conn, err := clickhouse.Open(o)
	if err != nil {
		return nil, fmt.Errorf("warehouse: the DSN of ClickHouse: %w", err)
	}
	return &Warehouse{Conn: conn, options: o}, nil
}

// In is the same ClickHouse with another database.
func (w *Warehouse) In(database string) (*Warehouse, error) {
	o := w.Options()
	o.Auth.Database = database
	conn, err := clickhouse.Open(&o)
	if err != nil {
		return nil, fmt.Errorf("warehouse: open the database %s: %w", database, err)
	}
	return &Warehouse{Conn: conn, options: &o}, nil
}

// Database is where the tables stand.
func (w *Warehouse) Database() string { return w.options.Auth.Database }

// Options are those that the DSN says, a copy.
func (w *Warehouse) Options() clickhouse.Options { return *w.options }

// Rows are rows of a table.
type Rows interface {
	// Table is where they go.
	Table() string
	// Columns are what Append appends, in its order.
	Columns() []string
	// Len is how many there are.
	Len() int
	// Append appends them to a batch.
	Append(b driver.Batch) error
}

// Typed are Rows that tell the types of their columns, so that the server need not be asked. They may differ from those of the table, as far as
// ClickHouse converts between them.
type Typed interface {
	Rows
	// Types are those of Columns, in their order.
	Types() []string
}

// Native are Rows that encode themselves. Where that can be sent as it is, the driver is spared its columns.
type Native interface {
	Typed
	// Encode makes Native have nothing left to do. It may be called by another goroutine, before.
	Encode()
	// Native is one block of all rows, as ClickHouse's format Native has it at revision 0. It is read no more once the insert has returned.
	Native() io.Reader
}

// Ready does of an Insert of rows what needs no connection, where there is such.
func (w *Warehouse) Ready(rows Rows) {
	if n, ok := rows.(Native); ok && w.takesNative() && rows.Len() > 0 {
		n.Encode()
	}
}

// Insert writes rows, once for each token: whoever does not know whether an insert succeeded repeats it with the same rows and the same
// token. A token must never be used for other rows: ClickHouse would drop them without a word. Materialised views see the rows once, too.
// It returns ErrUnavailable where a repetition may help.
func (w *Warehouse) Insert(ctx context.Context, token string, rows Rows) error {
	if rows.Len() == 0 {
		return nil
	}
	options := []clickhouse.QueryOption{clickhouse.WithSettings(clickhouse.Settings{
		"insert_deduplicate":                                 1,
		"insert_deduplication_token":                         token,
		"deduplicate_blocks_in_dependent_materialized_views": 1,
		"async_insert":                                       0,
		"max_partitions_per_insert_block":                    10_000,
		"max_insert_block_size":                              1 << 20,
		"distributed_foreground_insert":                      1,
	})}
	if t, ok := rows.(Typed); ok {
		columns := make([]clickhouse.ColumnNameAndType, len(t.Columns()))
		for i, typ := range t.Types() {
			columns[i] = clickhouse.ColumnNameAndType{Name: t.Columns()[i], Type: typ}
		}
		options = append(options, clickhouse.WithColumnNamesAndTypes(columns))
	}
	ctx = clickhouse.Context(ctx, options...)
	err := w.insert(ctx, rows)
	if err != nil {
		return fmt.Errorf("warehouse: insert %d rows into %s: %w", rows.Len(), rows.Table(), Classify(err))
	}
	return nil
}

func (w *Warehouse) insert(ctx context.Context, rows Rows) (err error) {
	into := "INSERT INTO " + rows.Table() + " (" + strings.Join(rows.Columns(), ", ") + ")"
	if n, ok := rows.(Native); ok && w.takesNative() {
		rows := &lent{rows: n.Native()}
		defer rows.back()
		return w.InsertFormat(ctx, "Native", into, rows)
	}
	b, err := w.PrepareBatch(ctx, into)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, b.Close()) }()
	if err := rows.Append(b); err != nil {
		return err
	}
	return b.Send()
}

// lent is read until it is given back: of a request that failed, HTTP may go on reading for a while.
type lent struct {
	mu   sync.Mutex
	rows io.Reader
}

func (l *lent) Read(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.rows == nil {
		return 0, io.ErrClosedPipe
	}
	return l.rows.Read(p)
}

func (l *lent) back() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rows = nil
}

// takesNative tells whether the driver sends what is encoded as the DSN asks: over HTTP alone, and there it compresses only batches of its own
// with LZ4 and ZSTD.
func (w *Warehouse) takesNative() bool {
	if c := w.options.Compression; c != nil && (c.Method == clickhouse.CompressionLZ4 || c.Method == clickhouse.CompressionZSTD) {
		return false
	}
	return w.options.Protocol == clickhouse.HTTP
}

// Classify makes ErrUnavailable of an error that may pass.
func Classify(err error) error {
	if e := new(clickhouse.Exception); errors.As(err, &e) && !passing[e.Code] {
		return err
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	if u := new(url.Error); errors.As(err, &u) {
		err = u.Err // without the address, which holds the whole request
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// OfRow tells of the error of an insert that it is about what a row holds: it would come again however often that row is repeated, and the
// other rows would go in. What is wrong with the table, the rights or the way there somebody has to set right, or it passes.
func OfRow(err error) bool {
	e := new(clickhouse.Exception)
	return errors.As(err, &e) && ofRow[e.Code]
}

// ofRow are the codes of errors that come of what a row holds.
var ofRow = map[int32]bool{ //nolint:gochecknoglobals // a constant
	6:   true, // CANNOT_PARSE_TEXT
	26:  true, // CANNOT_PARSE_QUOTED_STRING
	27:  true, // CANNOT_PARSE_INPUT_ASSERTION_FAILED
	38:  true, // CANNOT_PARSE_DATE
	41:  true, // CANNOT_PARSE_DATETIME
	53:  true, // TYPE_MISMATCH
	69:  true, // ARGUMENT_OUT_OF_BOUND
	70:  true, // CANNOT_CONVERT_TYPE
	72:  true, // CANNOT_PARSE_NUMBER
	117: true, // INCORRECT_DATA
	128: true, // TOO_LARGE_ARRAY_SIZE
	131: true, // TOO_LARGE_STRING_SIZE
	190: true, // SIZES_OF_ARRAYS_DONT_MATCH
	321: true, // VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE
	349: true, // CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN
	376: true, // CANNOT_PARSE_UUID
	395: true, // FUNCTION_THROW_IF_VALUE_IS_NON_ZERO
	407: true, // DECIMAL_OVERFLOW
	469: true, // VIOLATED_CONSTRAINT
	691: true, // UNKNOWN_ELEMENT_OF_ENUM
}

// passing are the codes of errors after which the same insert may succeed later.
var passing = map[int32]bool{ //nolint:gochecknoglobals // a constant
	159: true, // TIMEOUT_EXCEEDED
	202: true, // TOO_MANY_SIMULTANEOUS_QUERIES
	209: true, // SOCKET_TIMEOUT
	210: true, // NETWORK_ERROR
	241: true, // MEMORY_LIMIT_EXCEEDED
	242: true, // TABLE_IS_READ_ONLY
	243: true, // NOT_ENOUGH_SPACE
	252: true, // TOO_MANY_PARTS
	279: true, // ALL_CONNECTION_TRIES_FAILED
	285: true, // TOO_FEW_LIVE_REPLICAS
	319: true, // UNKNOWN_STATUS_OF_INSERT
	394: true, // QUERY_WAS_CANCELLED
	425: true, // SYSTEM_ERROR
	999: true, // KEEPER_EXCEPTION
}

// Up waits until ClickHouse answers, or ctx ends.
func (w *Warehouse) Up(ctx context.Context, every time.Duration) error {
	for {
		err := w.Ping(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("warehouse: %w: %w", ErrUnavailable, err)
		case <-time.After(every):
		}
	}
}
