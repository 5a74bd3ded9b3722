package chdb

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// DefaultDatabase is the one that requests get that name none.
const DefaultDatabase = "skein"

// User may ask the bridge.
type User struct {
	Name     string
	Password string
	// ReadOnly lets only statements through that read the databases: neither writing, nor files, nor other servers, nor settings that matter.
	ReadOnly bool
}

// Config says how to serve a directory. Only Dir must be set.
type Config struct {
	// Dir holds the data. One process at a time uses it. It is made if it does not exist.
	Dir string
	// Listen is the address of the HTTP interface; 127.0.0.1:7123 if empty. A port of 0 takes a free one.
	Listen string
	// Library is the file of the shared library; if empty, it is the one that Find knows.
	Library string
	// Database is made if it does not exist, and meant where a request names none; DefaultDatabase if empty.
	Database string
	// Users may ask. Without any, everybody may do everything, which only an address of this machine allows.
	Users []User
	// Logger gets what happens; slog.Default() if nil.
	Logger *slog.Logger `json:"-"`
	// Memory is what the engine may use in all, in bytes; a quarter of what the machine has, within 1 and 8 GiB, if 0.
	Memory int64
	// QueryMemory is what one query may use, in bytes, unless it is told otherwise; half of Memory if 0.
	QueryMemory int64
	// QueryTime ends queries that run longer, unless they are told otherwise; 10 minutes if 0.
	QueryTime time.Duration
	// Queries may run at once; 16 if 0. Others wait.
	Queries int
	// QueueTime is how long a query waits to run before it is refused with code 202; 10 seconds if 0.
	QueueTime time.Duration
	// StopTime is how long Serve waits for queries under way when it is told to end, before it cancels them; 5 seconds if 0.
	StopTime time.Duration
	// EngineLog writes the engine's own log into this file, in turn by size; none if empty.
	EngineLog string
	// Ready is called with the address that is served, if not nil.
	Ready func(addr net.Addr) `json:"-"`
}

var identifier = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// withDefaults gives the config with every field set, or what is wrong with it.
func (c Config) withDefaults() (Config, error) {
	if c.Dir == "" {
		return c, errors.New("chdb: Dir is empty")
	}
	dir, err := filepath.Abs(c.Dir)
	if err != nil {
		return c, fmt.Errorf("chdb: Dir: %w", err)
	}
	c.Dir = dir
	if c.Listen == "" {
		c.Listen = "127.0.0.1:7123"
	}
	if c.Database == "" {
		c.Database = DefaultDatabase
	}
	if !identifier.MatchString(c.Database) || c.Database == "default" || c.Database == "system" {
		return c, fmt.Errorf("chdb: Database: %q is not the name of a database of its own", c.Database)
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Memory == 0 {
		c.Memory = min(max(physicalMemory()/4, 1<<30), 8<<30)
	}
	if c.QueryMemory == 0 {
		c.QueryMemory = c.Memory / 2
	}
	if c.QueryTime == 0 {
		c.QueryTime = 10 * time.Minute
	}
	if c.Queries == 0 {
		c.Queries = 16
	}
	if c.QueueTime == 0 {
		c.QueueTime = 10 * time.Second
	}
	if c.StopTime == 0 {
		c.StopTime = 5 * time.Second
	}
	seen := map[string]bool{}
	for i, u := range c.Users {
		if u.Name == "" || seen[u.Name] {
			return c, fmt.Errorf("chdb: Users[%d].Name: %q is empty or twice", i, u.Name)
		}
		seen[u.Name] = true
	}
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return c, fmt.Errorf("chdb: Listen: %w", err)
	}
	if len(c.Users) == 0 && !isLoopback(host) {
		return c, fmt.Errorf("chdb: Listen: %s can be reached from other machines, so Users must be set", c.Listen)
	}
	return c, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// settingsFiles writes the engine's config into the directory and gives the path of it. All paths in it are absolute: with others the engine
// refuses to start and does not say why.
func (c Config) settingsFiles() (string, error) {
	if err := os.MkdirAll(filepath.Join(c.Dir, "metadata"), 0o750); err != nil {
		return "", fmt.Errorf("chdb: Dir: %w", err)
	}
	users, config := filepath.Join(c.Dir, "users.xml"), filepath.Join(c.Dir, "config.xml")
	// The engine's own database "default" shows the files of the machine as tables. A plain one stands in its place.
	files := map[string]string{
		filepath.Join(c.Dir, "metadata", "default.sql"): "ATTACH DATABASE default\nENGINE = Memory\n",
		users:  usersXML,
		config: c.xml(users),
	}
	for path, content := range files {
		if err := writeFile(path, content); err != nil {
			return "", fmt.Errorf("chdb: Dir: %w", err)
		}
	}
	return config, nil
}

// writeFile replaces a file at once, so that a process that dies leaves either version.
func writeFile(path, content string) error {
	if old, err := os.ReadFile(path); err == nil && string(old) == content { //nolint:gosec // in the configured directory
		return nil
	}
	if err := os.WriteFile(path+".new", []byte(content), 0o600); err != nil {
		return err
	}
	return os.Rename(path+".new", path)
}

const usersXML = `<clickhouse>
  <profiles><default></default></profiles>
  <quotas><default></default></quotas>
  <users><default>
    <password></password>
    <networks><ip>::/0</ip></networks>
    <profile>default</profile>
    <quota>default</quota>
    <named_collection_control>1</named_collection_control>
  </default></users>
</clickhouse>
`

// xml is the engine's config: modest sizes, for a machine that does other work as well.
func (c Config) xml(users string) string {
	logger := "" // with none, the engine logs nothing
	if c.EngineLog != "" {
		logger = "\n  <log-level>information</log-level>\n  <logger><log>" + escaped(c.EngineLog) + "</log><size>20M</size><count>3</count></logger>"
	}
	backups := escaped(filepath.Join(c.Dir, "backups"))
	return fmt.Sprintf(`<clickhouse>%s
  <users_config>%s</users_config>
  <default_database></default_database>
  <database>default</database>
  <max_server_memory_usage>%d</max_server_memory_usage>
  <mark_cache_size>%d</mark_cache_size>
  <index_mark_cache_size>%d</index_mark_cache_size>
  <uncompressed_cache_size>0</uncompressed_cache_size>
  <primary_index_cache_size>%[5]d</primary_index_cache_size>
  <query_condition_cache_size>16777216</query_condition_cache_size>
  <mmap_cache_size>128</mmap_cache_size>
  <compiled_expression_cache_size>33554432</compiled_expression_cache_size>
  <background_pool_size>2</background_pool_size>
  <background_move_pool_size>1</background_move_pool_size>
  <background_fetches_pool_size>1</background_fetches_pool_size>
  <background_common_pool_size>2</background_common_pool_size>
  <background_schedule_pool_size>4</background_schedule_pool_size>
  <background_message_broker_schedule_pool_size>1</background_message_broker_schedule_pool_size>
  <background_distributed_schedule_pool_size>1</background_distributed_schedule_pool_size>
  <merge_tree>
    <number_of_free_entries_in_pool_to_execute_mutation>1</number_of_free_entries_in_pool_to_execute_mutation>
    <number_of_free_entries_in_pool_to_lower_max_size_of_merge>1</number_of_free_entries_in_pool_to_lower_max_size_of_merge>
    <number_of_free_entries_in_pool_to_execute_optimize_entire_partition>1</number_of_free_entries_in_pool_to_execute_optimize_entire_partition>
  </merge_tree>
  <backups><allowed_path>%[6]s</allowed_path></backups>
  <user_scripts_path>%[7]s</user_scripts_path>
</clickhouse>
`, logger, escaped(users), c.Memory, min(c.Memory/8, 512<<20), min(c.Memory/16, 128<<20), backups, escaped(filepath.Join(c.Dir, "user_scripts")))
}

func escaped(s string) string {
	var b bytes.Buffer
	_ = xml.EscapeText(&b, []byte(s)) // a bytes.Buffer takes everything
	return b.String()
}
