package app

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/lifecycle"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/services/admin"
	"github.com/skein-cx/skein/services/analytics/mirror"
	"github.com/skein-cx/skein/services/analytics/mirror/agents"
	"github.com/skein-cx/skein/services/analytics/mirror/entries"
	"github.com/skein-cx/skein/services/analytics/mirror/owners"
	"github.com/skein-cx/skein/services/analytics/mirror/threads"
	"github.com/skein-cx/skein/services/analytics/reports"
	"github.com/skein-cx/skein/services/analytics/schema"
	"github.com/skein-cx/skein/services/analytics/sink"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

const (
	// lookForLibrary is how often it is looked whether the engine's library is there, where it could not be fetched.
	lookForLibrary = 15 * time.Second
	// lookForClickHouse is how often a ClickHouse that does not answer is asked again.
	lookForClickHouse = time.Second
	// fillAgain is after which time it is tried again to fill ClickHouse where that ended with an error.
	fillAgain = 5 * time.Second
)

// partsOfAnalytics are those of ClickHouse and of the roles that fill and read it. Where analytics are off, the roles do nothing.
func (a *App) partsOfAnalytics() []lifecycle.Part {
	if a.cfg.Analytics.Off {
		return []lifecycle.Part{{Name: roleAnalytics}, {Name: roleReports}}
	}
	house := lifecycle.Part{Name: partHouse, Start: a.openWarehouse, Stop: a.closeWarehouse}
	if a.cfg.embeddedClickHouse() && slices.Contains(a.roles, roleAnalytics) {
		house.Run = a.runClickHouse // the process that fills the embedded engine runs it
	}
	return []lifecycle.Part{
		house,
		{
			Name: roleAnalytics, Needs: []string{partHTTP, partLog, partStore, partLinks, partFloor, partHouse},
			Start: a.openAnalytics, Run: a.runAnalytics,
		},
		{Name: roleReports, Needs: []string{partHTTP, partGRPC, partHouse}, Start: a.openReports},
	}
}

// openWarehouse prepares connections to ClickHouse. It may come later: nothing else waits for it.
func (a *App) openWarehouse(context.Context) error {
	dsn := a.cfg.Analytics.ClickHouse
	if a.cfg.embeddedClickHouse() {
		dsn = "http://" + a.cfg.Analytics.Addr + "/" + chdb.DefaultDatabase
	}
	var err error
	a.warehouse, err = warehouse.Open(dsn)
	return err
}

func (a *App) closeWarehouse(context.Context) error {
	if err := a.warehouse.Close(); err != nil {
		return fmt.Errorf("close the connections to ClickHouse: %w", err)
	}
	return nil
}

// runClickHouse runs the embedded engine in a process of its own, once its library is there.
func (a *App) runClickHouse(ctx context.Context) error {
	library, err := a.libraryOfClickHouse(ctx)
	if err != nil {
		return nil //nolint:nilerr // the process ends
	}
	program, err := os.Executable()
	if err != nil {
		return fmt.Errorf("start the embedded ClickHouse: %w", err)
	}
	engine := &chdb.Process{
		Command: func() *exec.Cmd {
			return exec.CommandContext(context.WithoutCancel(ctx), program, "clickhouse", "serve")
		},
		Config: chdb.Config{
			Dir: a.cfg.clickhouseDir(), Listen: a.cfg.Analytics.Addr, Library: library, Logger: a.logger.With("of", "clickhouse"),
		},
	}
	return engine.Run(ctx)
}

// libraryOfClickHouse finds the engine's library, or fetches it, or waits until somebody else does. It fails only when ctx ends.
func (a *App) libraryOfClickHouse(ctx context.Context) (string, error) {
	told := false
	for {
		library, err := chdb.Find("")
		if err == nil {
			return library, nil
		}
		if !told && errors.Is(err, chdb.ErrMissing) {
			a.logger.InfoContext(ctx, "fetching the ClickHouse engine for analytics, once for this user; everything else is up")
			library, err = chdb.Fetch(ctx, "", a.tellOfFetch(ctx))
			if err == nil {
				return library, nil
			}
		}
		if !told && ctx.Err() == nil {
			told = true
			a.logger.WarnContext(ctx, "there are no analytics until the ClickHouse engine is here: run skein clickhouse fetch; they catch up from the log then", "error", err)
		}
		select {
		case <-ctx.Done():
			return "", ctx.Err()
		case <-time.After(lookForLibrary):
		}
	}
}

// tellOfFetch logs how far the fetching of the library is, every tenth of it.
func (a *App) tellOfFetch(ctx context.Context) func(done, total int64) {
	var told int64
	return func(done, total int64) {
		if tenth := done * 10 / max(total, 1); tenth > told {
			told = tenth
			a.logger.InfoContext(ctx, "fetching the ClickHouse engine", "mb", done>>20, "of_mb", total>>20)
		}
	}
}

// analytics are the writers of ClickHouse.
type analytics struct {
	sink    *sink.Sink
	mirror  *mirror.Mirror
	horizon *mirror.Horizon
}

func (a *App) openAnalytics(context.Context) error {
	alone := !a.cfg.sharedStore()
	tables, err := mirror.NewClickHouse(a.warehouse, a.schema(), a.logger)
	if err != nil {
		return err
	}
	horizon := mirror.NewHorizon(a.ends, 0, event.TopicInteractions, event.TopicAgents, event.TopicLinks, event.TopicDirectory)
	interactions := a.links.interactions.read
	m, err := mirror.New(mirror.Config{
		Store: a.store, Warehouse: tables, Alone: alone, Interval: a.cfg.Analytics.BatchTime, Until: horizon.Until,
		Metrics: mirror.NewMetrics(a.registry), Logger: a.logger,
		Sources: func() []mirror.Source {
			return []mirror.Source{
				threads.New(threads.Config{Model: threadModel{interactions}, Customers: a.links.customers}),
				agents.New(agents.Config{
					Agents: a.floor.agents, Statements: mirroredStatements{a.floor.agents}, Work: mirroredShares{interactions}, Books: a.books,
				}),
				entries.New(entries.Config{Directory: a.books}),
				owners.NewCustomers(owners.Timing{}, mirroredCustomers(a.links.customers)),
				owners.NewConversations(owners.Timing{}, mirroredJoins(a.links.conversations)),
			}
		},
	})
	if err != nil {
		return err
	}
	a.analytics = &analytics{
		mirror: m, horizon: horizon,
		sink: sink.New(sink.Config{
			Log: a.log, Store: a.store, Warehouse: sink.NewClickHouse(a.warehouse, a.schema(), a.logger), Shared: !alone,
			MaxRows: a.cfg.Analytics.BatchRows, MaxAge: a.cfg.Analytics.BatchTime, Metrics: sink.NewMetrics(a.registry), Logger: a.logger,
		}),
	}
	return nil
}

// ends tells where the partitions of a topic end.
func (a *App) ends(ctx context.Context, topic string) (projection.Vector, error) {
	partitions, err := a.log.Partitions(ctx, topic)
	if err != nil {
		return nil, err
	}
	ends := projection.Vector{}
	for p := range int32(partitions) {
		if _, ends[p], err = a.log.Bounds(ctx, topic, p); err != nil {
			return nil, err
		}
	}
	return ends, nil
}

// The names by which tables of ClickHouse are rebuilt.
const (
	tablesOfEvents = "clickhouse-events"
	tablesOfFacts  = "clickhouse-facts"
)

// tables are what can be rebuilt; nothing where this process does not fill ClickHouse.
func (a *analytics) tables() map[string]admin.Tables {
	if a == nil {
		return nil
	}
	return map[string]admin.Tables{tablesOfEvents: rebuiltEvents{a.sink}, tablesOfFacts: rebuiltFacts{a.mirror}}
}

type rebuiltEvents struct{ *sink.Sink }

func (rebuiltEvents) status(b sink.Rebuilding) projection.Status {
	return projection.Status{Generations: projection.Generations{Serving: b.Serving, Building: b.Building}, Done: b.Done, Total: b.Total}
}

// Rebuild implements admin.Rebuilder.
func (r rebuiltEvents) Rebuild(ctx context.Context, report func(projection.Status)) error {
	return r.Sink.Rebuild(ctx, func(b sink.Rebuilding) { report(r.status(b)) })
}

// Status implements admin.Tables.
func (r rebuiltEvents) Status(ctx context.Context) (projection.Status, error) {
	b, err := r.Rebuilding(ctx)
	return r.status(b), err
}

type rebuiltFacts struct{ *mirror.Mirror }

func (rebuiltFacts) status(b mirror.Rebuilding) projection.Status {
	return projection.Status{Generations: projection.Generations{Serving: b.Serving, Building: b.Building}, Done: b.Done, Total: b.Total}
}

// Rebuild implements admin.Rebuilder.
func (r rebuiltFacts) Rebuild(ctx context.Context, report func(projection.Status)) error {
	return r.Mirror.Rebuild(ctx, func(b mirror.Rebuilding) { report(r.status(b)) })
}

// Status implements admin.Tables.
func (r rebuiltFacts) Status(ctx context.Context) (projection.Status, error) {
	b, err := r.Rebuilding(ctx)
	return r.status(b), err
}

// runAnalytics fills ClickHouse. What keeps it from that stops nothing else of the process.
func (a *App) runAnalytics(ctx context.Context) error {
	for {
		err := a.fillClickHouse(ctx)
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the process ends
		}
		a.logger.ErrorContext(ctx, "ClickHouse is not being filled, trying again", "error", err, "in", fillAgain)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(fillAgain):
		}
	}
}

// fillClickHouse works as soon as ClickHouse is there, until ctx ends or something fails.
func (a *App) fillClickHouse(ctx context.Context) error {
	if err := a.warehouse.Up(ctx, lookForClickHouse); err != nil {
		return err
	}
	if err := schema.Migrate(ctx, a.warehouse, a.schema(), a.logger); err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return a.analytics.sink.Run(ctx) })
	g.Go(func() error { return a.analytics.mirror.Run(ctx) })
	g.Go(func() error { return a.analytics.horizon.Run(ctx) })
	return g.Wait()
}

func (a *App) schema() schema.Config {
	c := a.cfg.Analytics
	return schema.Config{Cluster: c.Cluster, Sharded: c.Sharded, Replicated: c.Replicated, Retention: c.Retention}
}

func (a *App) openReports(context.Context) error {
	reports.NewServer(reports.Config{Warehouse: a.warehouse, Logger: a.logger}).Register(a.grpc)
	return nil
}

// analytics verifies what is said about ClickHouse.
func (v *verifier) analytics(roles []string, c *Config) {
	o := &c.Analytics
	if o.Off {
		named := slices.Contains(roles, roleAnalytics) || slices.Contains(roles, roleReports)
		v.check(!named || len(roles) == len(RoleNames()), "analytics.off", "the roles analytics and reports have nothing to do without ClickHouse: leave them out, or analytics.off")
		return
	}
	if c.embeddedClickHouse() {
		v.address("analytics.addr", o.Addr)
		v.check(!v.foreign(o.Addr), "analytics.addr", "the embedded ClickHouse has no access control: listen on a loopback address, or use a server (analytics.clickhouse)")
		v.check(o.Cluster == "", "analytics.cluster", "the embedded ClickHouse has no cluster: name a server (analytics.clickhouse)")
		v.check(!slices.Contains(roles, roleReports) || slices.Contains(roles, roleAnalytics), "roles",
			"reports and analytics share the embedded ClickHouse: run them in one process, or name a server (analytics.clickhouse)")
	} else if w, err := warehouse.Open(o.ClickHouse); err != nil {
		v.add("analytics.clickhouse", err.Error())
	} else {
		_ = w.Close() // it was never connected
	}
	v.check(!o.Replicated || o.Cluster != "", "analytics.replicated", "replicas belong to a cluster: name it (analytics.cluster)")
	v.check(o.BatchRows >= 100 && o.BatchRows <= 1_000_000, "analytics.batch_rows", "must be 100 to 1000000")
	v.check(o.BatchTime >= 10*time.Millisecond && o.BatchTime <= time.Minute, "analytics.batch_time", "must be 10ms to 1m")
}

// ClickHouseAccess is the SQL that gives readers of tenants their rights on the server that is configured.
func ClickHouseAccess(cfg Config, tenants []string) (string, error) {
	a := &App{cfg: cfg}
	if err := a.openWarehouse(context.Background()); err != nil {
		return "", err
	}
	defer func() { _ = a.warehouse.Close() }() // it was never connected
	return schema.Access(a.warehouse.Database(), a.schema(), tenants)
}
