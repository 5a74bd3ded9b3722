package schema

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Config says where the tables stand and for how long. The zero value means one server that keeps everything.
type Config struct {
	// Cluster is the cluster on whose servers everything is made, as system.clusters names it; empty for one server.
	Cluster string
	// Replicated tables are held by every replica of their shard. The servers need the macros shard and replica. It needs a Cluster.
	Replicated bool
	// Sharded tables are spread over the shards: <name>_local holds a share, and <name> is all of them. It needs a Cluster.
	Sharded bool
	// Retention is after which time rows are deleted, by table ("messages": for every tenant) or by tenant and table ("acme/messages": for
	// this one, in place of what holds for the others; 0 for ever). A table that is not named keeps everything. See RetentionTables.
	Retention map[string]time.Duration
}

// target is a database with what its SQL depends on.
type target struct {
	Config
	database       string
	user, password string // of the dictionaries, which read tables in the name of a user
	ttl            map[string][]expiry
}

var (
	databases = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,63}$`)
	clusters  = regexp.MustCompile(`^([A-Za-z0-9_.-]{1,128}|\{cluster\})$`)
)

func newTarget(options clickhouse.Options, cfg Config) (*target, error) {
	t := &target{Config: cfg, database: options.Auth.Database, user: options.Auth.Username, password: options.Auth.Password}
	switch {
	case !databases.MatchString(t.database):
		return nil, fmt.Errorf("schema: the database %q: letters, digits and _, at most 64, no digit first", t.database)
	case cfg.Cluster != "" && !clusters.MatchString(cfg.Cluster):
		return nil, fmt.Errorf("schema: cluster %q: letters, digits, _, . and -, at most 128, or {cluster}", cfg.Cluster)
	case cfg.Cluster == "" && cfg.Replicated:
		return nil, errors.New("schema: replicated: it needs a cluster")
	case cfg.Cluster == "" && cfg.Sharded:
		return nil, errors.New("schema: sharded: it needs a cluster")
	}
	var err error
	t.ttl, err = expiries(cfg.Retention)
	return t, err
}

// expiry is for how long rows are kept: those of a tenant, or those of everybody but some.
type expiry struct {
	tenant string   // empty for everybody
	but    []string // those who have an expiry of their own
	after  time.Duration
}

// retained are the tables that retention can be configured for, with the time that it counts from.
var retained = map[string]string{ //nolint:gochecknoglobals // a constant
	"events":            "occurred_at",
	"messages":          "occurred_at",
	"surveys":           "occurred_at",
	"interaction_facts": "started_at",
	"visit_facts":       "entered_at",
	"assignment_facts":  "begun_at",
	"sla_facts":         "since",
	"agent_state_facts": "started_at",
}

// RetentionTables are the tables that Config.Retention can name, sorted.
func RetentionTables() []string { return slices.Sorted(maps.Keys(retained)) }

// shortest is the least that a retention can be: what is younger may still be corrected.
const shortest = 24 * time.Hour

func expiries(retention map[string]time.Duration) (map[string][]expiry, error) {
	everybody := map[string]time.Duration{}
	tenants := map[string]map[string]time.Duration{}
	for _, name := range slices.Sorted(maps.Keys(retention)) {
		after := retention[name]
		tenant, table, own := strings.Cut(name, "/")
		if !own {
			tenant, table = "", name
		}
		switch {
		case retained[table] == "":
			return nil, fmt.Errorf("schema: retention %q: no such table: it is one of %s, alone or behind tenant/", name, strings.Join(RetentionTables(), ", "))
		case own && tenant == "":
			return nil, fmt.Errorf("schema: retention %q: no tenant stands before the /", name)
		case after != 0 && after < shortest:
			return nil, fmt.Errorf("schema: retention %q: %v is less than %v; 0 means for ever", name, after, shortest)
		case after%time.Second != 0:
			return nil, fmt.Errorf("schema: retention %q: %v is no whole number of seconds", name, after)
		}
		if !own {
			everybody[table] = after
			continue
		}
		if tenants[table] == nil {
			tenants[table] = map[string]time.Duration{}
		}
		tenants[table][tenant] = after
	}
	out := map[string][]expiry{}
	for table := range retained {
		own := slices.Sorted(maps.Keys(tenants[table]))
		if after := everybody[table]; after > 0 {
			out[table] = append(out[table], expiry{but: own, after: after})
		}
		for _, tenant := range own {
			if after := tenants[table][tenant]; after > 0 {
				out[table] = append(out[table], expiry{tenant: tenant, after: after})
			}
		}
	}
	return out, nil
}
