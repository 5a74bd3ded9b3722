package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	chproto "github.com/ClickHouse/ch-go/proto"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/ClickHouse/clickhouse-go/v2/lib/proto"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/sink"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

// clickHouse is the engine that skein up has, in a process of its own, with its tables.
type clickHouse struct {
	*chdb.Running
	*warehouse.Warehouse
	dir string
}

// hasClickHouse finds the engine's library, or fetches it. errLeftOut says that it is not to be had.
func hasClickHouse(ctx context.Context) (library string, err error) {
	if library, err = chdb.Fetch(ctx, "", nil); err != nil {
		return "", fmt.Errorf("%w: there is no ClickHouse: %w", errLeftOut, err)
	}
	return library, nil
}

// withClickHouse runs something with an empty engine.
func (b *bench) withClickHouse(ctx context.Context, run func(*clickHouse) error) error {
	library, err := hasClickHouse(ctx)
	if err != nil {
		return err
	}
	c := &clickHouse{dir: b.newDir()}
	command := exec.CommandContext(context.WithoutCancel(ctx), b.Self, "serve", "clickhouse") // Stop ends it
	c.Running, err = chdb.Start(ctx, command, chdb.Config{
		Dir: c.dir, Listen: "127.0.0.1:0", Library: library, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return err
	}
	if c.Warehouse, err = warehouse.Open(c.dsn()); err == nil {
		if err = schema.Migrate(ctx, c.Warehouse, schema.Config{}, slog.New(slog.DiscardHandler)); err == nil {
			err = run(c)
		}
		err = errors.Join(err, c.Close())
	}
	return errors.Join(err, c.Stop(), os.RemoveAll(c.dir))
}

func (c *clickHouse) dsn() string { return dsnOf(c.Addr) }

func dsnOf(addr string) string { return "http://" + addr + "/" + chdb.DefaultDatabase }

// ask asks for one row.
func (c *clickHouse) ask(ctx context.Context, query string, into ...any) error {
	if err := c.QueryRow(ctx, query).Scan(into...); err != nil {
		return fmt.Errorf("ask ClickHouse: %s: %w", query, err)
	}
	return nil
}

// empty takes all rows out of all tables.
func (c *clickHouse) empty(ctx context.Context) error {
	rows, err := c.Query(ctx, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree' AND name != 'schema_versions'")
	if err != nil {
		return fmt.Errorf("find the tables: %w", err)
	}
	var tables []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return errors.Join(err, rows.Close())
		}
		tables = append(tables, name)
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return fmt.Errorf("find the tables: %w", err)
	}
	for _, name := range tables {
		if err := c.Exec(ctx, "TRUNCATE TABLE "+name); err != nil {
			return fmt.Errorf("empty %s: %w", name, err)
		}
	}
	return nil
}

// post sends a request as it is, and gives how long the answer is.
func (c *clickHouse) post(ctx context.Context, q url.Values, body io.Reader) (int64, error) {
	q.Set("database", chdb.DefaultDatabase)
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+c.Addr+"/?"+q.Encode(), body)
	if err != nil {
		return 0, err
	}
	return answerOf(request)
}

// answerOf sends a request, and gives how long the answer is.
func answerOf(request *http.Request) (int64, error) {
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		said, _ := io.ReadAll(io.LimitReader(answer.Body, 1000)) // it is wrong in any case
		return 0, fmt.Errorf("ClickHouse: %s: %s", answer.Status, said)
	}
	return io.Copy(io.Discard, answer.Body)
}

// block is an insert as bytes in a file.
type block struct {
	table, path string
	query       string
	rows        int
}

// press takes what a sink inserts and keeps it as encoded blocks, with the types that the tables have.
type press struct {
	house  *clickHouse
	dir    string
	types  map[string]map[string]string // by table and column
	mu     sync.Mutex
	blocks []block
}

var _ sink.Warehouse = (*press)(nil)

func (b *bench) newPress(ctx context.Context, c *clickHouse) (*press, error) {
	p := &press{house: c, dir: b.newDir(), types: map[string]map[string]string{}}
	rows, err := c.Query(ctx, "SELECT table, name, type FROM system.columns WHERE database = currentDatabase()")
	if err != nil {
		return nil, fmt.Errorf("find the columns: %w", err)
	}
	for rows.Next() {
		var table, name, typ string
		if err := rows.Scan(&table, &name, &typ); err != nil {
			return nil, errors.Join(err, rows.Close())
		}
		if p.types[table] == nil {
			p.types[table] = map[string]string{}
		}
		p.types[table][name] = typ
	}
	return p, errors.Join(rows.Err(), rows.Close(), os.MkdirAll(p.dir, 0o750))
}

func (p *press) remove() error { return os.RemoveAll(p.dir) }

// sheet is a batch of the driver that is encoded here.
type sheet struct {
	driver.Batch
	block *proto.Block
}

// Column implements driver.Batch.
func (s sheet) Column(i int) driver.BatchColumn { return cell{s.block.Columns[i]} }

type cell struct{ column.Interface }

// Append implements driver.BatchColumn.
func (c cell) Append(v any) error {
	_, err := c.Interface.Append(v)
	return err
}

// Ready implements sink.Warehouse.
func (*press) Ready(warehouse.Rows) {}

// Insert implements sink.Warehouse.
func (p *press) Insert(_ context.Context, _ string, rows warehouse.Rows) error {
	if rows.Len() == 0 || rows.Table() == "progress" {
		return nil
	}
	sheet := sheet{block: proto.NewBlock()}
	for _, name := range rows.Columns() {
		if err := sheet.block.AddColumn(name, column.Type(p.types[rows.Table()][name])); err != nil {
			return fmt.Errorf("encode %s: %w", rows.Table(), err)
		}
	}
	if err := rows.Append(sheet); err != nil {
		return fmt.Errorf("encode %s: %w", rows.Table(), err)
	}
	var encoded chproto.Buffer
	if err := sheet.block.Encode(&encoded, 0); err != nil {
		return fmt.Errorf("encode %s: %w", rows.Table(), err)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	path := filepath.Join(p.dir, strconv.Itoa(len(p.blocks)))
	if err := os.WriteFile(path, encoded.Buf, 0o600); err != nil {
		return err
	}
	query := "INSERT INTO " + rows.Table() + " (" + strings.Join(rows.Columns(), ", ") + ") FORMAT Native"
	p.blocks = append(p.blocks, block{rows.Table(), path, query, rows.Len()})
	return nil
}

// Contained implements sink.Warehouse.
func (*press) Contained(context.Context, string) (map[sink.Partition]int64, time.Time, error) {
	return nil, time.Time{}, nil
}

// errPress is what a press does not do.
var errPress = errors.New("nothing is rebuilt here")

// Build implements sink.Warehouse.
func (*press) Build(context.Context) (string, error) { return "", errPress }

// Built implements sink.Warehouse.
func (*press) Built(context.Context) (map[string]string, error) { return nil, errPress }

// Switch implements sink.Warehouse.
func (*press) Switch(context.Context, map[string]string) error { return errPress }

// Discard implements sink.Warehouse.
func (*press) Discard(context.Context) error { return errPress }

// send inserts the blocks as the sink inserts its own, with tokens that were not there before.
func (p *press) send(ctx context.Context, turn int) (f full, err error) {
	began := time.Now()
	for i, block := range p.blocks {
		body, err := os.ReadFile(block.path)
		if err != nil {
			return full{}, err
		}
		said, err := p.house.post(ctx, url.Values{
			"query": {block.query}, "insert_deduplication_token": {fmt.Sprintf("bench/%d/%d", turn, i)}, "insert_deduplicate": {"1"},
			"deduplicate_blocks_in_dependent_materialized_views": {"1"}, "async_insert": {"0"}, "max_insert_block_size": {"1048576"},
			"max_partitions_per_insert_block": {"10000"}, "distributed_foreground_insert": {"1"},
		}, bytes.NewReader(body))
		if err == nil && said > 0 {
			err = errors.New("it answered something")
		}
		if err != nil {
			return full{}, fmt.Errorf("insert a block into %s: %w", block.table, err)
		}
		if block.table == "events" {
			f.events += block.rows
		}
	}
	f.took = time.Since(began)
	return f, nil
}

// cpuOf is the processor time that a process has taken, in ticks of 10 ms; 0 where the system does not tell.
func cpuOf(pid int) time.Duration {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	fields := strings.Fields(string(raw[bytes.LastIndexByte(raw, ')')+1:]))
	const tick = 10 * time.Millisecond
	var took time.Duration
	for _, f := range fields[min(11, len(fields)):min(13, len(fields))] {
		n, err := strconv.Atoi(f)
		if err != nil {
			return 0
		}
		took += time.Duration(n) * tick
	}
	return took
}
