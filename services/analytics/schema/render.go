package schema

import (
	"bytes"
	"embed"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
	"text/template"
)

//go:embed migrations/*.sql
var migrations embed.FS

// files are the migrations as this target takes them.
func (t *target) files() (fs.FS, error) {
	sub, err := fs.Sub(migrations, "migrations")
	return rendered{FS: sub, functions: t.functions()}, err
}

// functions are what the migrations call.
func (t *target) functions() template.FuncMap {
	return template.FuncMap{
		"database":     func() string { return t.database },
		"local":        t.local,
		"onCluster":    t.onCluster,
		"engine":       t.engine,
		"everywhere":   t.everywhere,
		"dedupe":       t.dedupe,
		"distributed":  t.distributed,
		"source":       t.source,
		"entryID":      t.entryID,
		"entryName":    t.entryName,
		"entryTeams":   t.entryTeams,
		"queueTarget":  t.queueTarget,
		"customer":     t.customer,
		"conversation": t.conversation,
		"quarters":     quarters,
		"interval":     interval,
		"within":       within,
	}
}

// local names the table that holds this server's share of another one.
func (t *target) local(table string) string {
	if t.Sharded {
		return table + "_local"
	}
	return table
}

func (t *target) onCluster() string {
	if t.Cluster == "" {
		return ""
	}
	return " ON CLUSTER " + quote(t.Cluster)
}

// engine is the engine of a table of which every shard has a share, with its arguments.
func (t *target) engine(name string, arguments ...string) string {
	return t.mergeTree("/clickhouse/tables/{database}/{table}/{shard}", "{replica}", name, arguments)
}

// everywhere is the engine of a table that every server holds whole.
func (t *target) everywhere(name string, arguments ...string) string {
	return t.mergeTree("/clickhouse/tables/{database}/{table}/all", "{shard}-{replica}", name, arguments)
}

func (t *target) mergeTree(where, replica, name string, arguments []string) string {
	if t.Replicated {
		name = "Replicated" + name
		arguments = append([]string{quote(where), quote(replica)}, arguments...)
	}
	return name + "(" + strings.Join(arguments, ", ") + ")"
}

// blocks are how many inserted blocks a table knows again: far more than are in flight at once.
const blocks = 10_000

// dedupe are the settings by which a table knows an insert again.
func (t *target) dedupe() string {
	if t.Replicated {
		return fmt.Sprintf("replicated_deduplication_window = %d, replicated_deduplication_window_seconds = %d", blocks, 7*24*60*60)
	}
	return fmt.Sprintf("non_replicated_deduplication_window = %d", blocks)
}

// distributed is the statement that makes of all shares one table; nothing where there are none. Rows of one key stand in one shard.
func (t *target) distributed(table, key string) string {
	if !t.Sharded {
		return ""
	}
	return fmt.Sprintf(`-- +goose StatementBegin
CREATE TABLE IF NOT EXISTS %s%s AS %s
ENGINE = Distributed(%s, %s, %s, cityHash64(%s))
-- +goose StatementEnd`, table, t.onCluster(), t.local(table), quote(t.Cluster), quote(t.database), quote(t.local(table)), key)
}

// source is where a dictionary reads columns, and how it sees that something changed.
func (t *target) source(table, columns string) string {
	user := ""
	if t.user != "" {
		user = fmt.Sprintf("USER %s PASSWORD %s ", quote(t.user), quote(t.password))
	}
	from := identifier(t.database) + "." + table
	return fmt.Sprintf("SOURCE(CLICKHOUSE(%sQUERY %s INVALIDATE_QUERY %s))", user,
		quote("SELECT "+columns+" FROM "+from+" FINAL"), quote("SELECT count(), max(version) FROM "+from))
}

// lookUp looks up an attribute in a dictionary. Views may be read from another database, so its name is whole.
func (t *target) lookUp(dictionary, attribute, key string) string {
	return fmt.Sprintf("dictGet('%s.%s', '%s', %s)", t.database, dictionary, attribute, key)
}

// entryID is the directory's agent or queue for a connector's word at a moment.
func (t *target) entryID(kind, word, at string) string {
	by := func(provider string) string {
		key := fmt.Sprintf("(tenant, '%s', %s, %s), toUnixTimestamp64Micro(%s)", kind, provider, word, at)
		return "nullIf(" + t.lookUp("dict_native_ids", "id", key) + ", '')"
	}
	return fmt.Sprintf("coalesce(%s, %s, %s)", by("provider"), by("''"), word)
}

// entryName is the name of an entry now; where it is no more, what it was at a moment; else its id.
func (t *target) entryName(kind, id, at string) string {
	in := func(moment string) string {
		key := fmt.Sprintf("(tenant, '%s', %s), toUnixTimestamp64Micro(%s)", kind, id, moment)
		return "nullIf(" + t.lookUp("dict_entries", "name", key) + ", '')"
	}
	return fmt.Sprintf("coalesce(%s, %s, %s)", in("now64(6)"), in(at), id)
}

// entryTeams are the teams of an entry at a moment.
func (t *target) entryTeams(kind, id, at string) string {
	return t.lookUp("dict_entries", "teams", fmt.Sprintf("(tenant, '%s', %s), toUnixTimestamp64Micro(%s)", kind, id, at))
}

// queueTarget is within which time a queue's visits are to be answered, by the directory at a moment, in milliseconds; 0 where it does not say.
func (t *target) queueTarget(id, at string) string {
	return t.lookUp("dict_entries", "within_ms", fmt.Sprintf("(tenant, 'queue', %s), toUnixTimestamp64Micro(%s)", id, at))
}

// customer is whose an interaction is now: an attribution counts for one endpoint or for all of them, and goes over the link of the endpoint
// at a moment.
func (t *target) customer(interaction, endpoint, at string) string {
	attributed := func(attribute string) string {
		return t.lookUp("dict_attributions", attribute, "(tenant, "+interaction+")")
	}
	linked := t.lookUp("dict_customers", "customer", fmt.Sprintf("(tenant, %s), toUnixTimestamp64Micro(%s)", endpoint, at))
	return fmt.Sprintf("coalesce(if(%s IN (%s, %s), nullIf(%s, %s), NULL), nullIf(%s, %s), %s)",
		attributed("endpoint"), zeroID, endpoint, attributed("customer"), zeroID, linked, zeroID, endpoint)
}

// conversation is that of an interaction.
func (t *target) conversation(interaction string) string {
	return fmt.Sprintf("ifNull(nullIf(%s, %s), %s)",
		t.lookUp("dict_conversations", "conversation", "(tenant, "+interaction+")"), zeroID, interaction)
}

const zeroID = "toUUID('00000000-0000-0000-0000-000000000000')"

// quarters splits the time from one moment to another, in milliseconds, by quarters of an hour: an array of (quarter, milliseconds in it),
// where a quarter is the number of those since 1970. Of a time longer than 31 days, what is before them goes to the first of them.
func quarters(from, until string) string {
	first := fmt.Sprintf("greatest(intDiv(%s, 900000), intDiv(%s - 1, 900000) - 31 * 96 + 1)", from, until)
	return fmt.Sprintf("arrayMap(q -> (q, least(%[2]s, (q + 1) * 900000) - if(q = %[3]s, %[1]s, q * 900000)), range(%[3]s, intDiv(%[2]s - 1, 900000) + 1))",
		from, until, first)
}

// interval is the first moment of the interval of a quarter.
func interval() string {
	return `toTimeZone(multiIf(
        {step:String} = 'quarter', quarter,
        {step:String} = 'half_hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String}) % 30),
        {step:String} = 'hour', quarter - toIntervalMinute(toMinute(quarter, {tz:String})),
        {step:String} = 'day', toStartOfDay(quarter, {tz:String}),
        {step:String} = 'week', toDateTime(toMonday(quarter, {tz:String}), {tz:String}),
        {step:String} = 'month', toDateTime(toStartOfMonth(quarter, {tz:String}), {tz:String}),
        toDateTime(throwIf({step:String} NOT IN ('quarter', 'half_hour', 'hour', 'day', 'week', 'month'),
            'step is one of quarter, half_hour, hour, day, week, month'))), {tz:String})`
}

// within are the quarters that the parameters ask for.
func within() string {
	return "quarter >= toDateTime({since:String}, {tz:String}) AND quarter < toDateTime({until:String}, {tz:String})"
}

// quote makes a string literal.
func quote(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// identifier makes a quoted name.
func identifier(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}

// rendered are files whose text comes from templates.
type rendered struct {
	fs.FS
	functions template.FuncMap
}

// Open renders the file.
func (r rendered) Open(name string) (fs.File, error) {
	f, err := r.FS.Open(name)
	if err != nil || path.Ext(name) != ".sql" {
		return f, err
	}
	text, err := fs.ReadFile(r.FS, name)
	if err != nil {
		return nil, err
	}
	tmpl, err := template.New(name).Funcs(r.functions).Parse(string(text))
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	if err := tmpl.Execute(&b, nil); err != nil {
		return nil, err
	}
	return file{File: f, text: &b}, nil
}

// file is a file with another text.
type file struct {
	fs.File
	text io.Reader
}

func (f file) Read(p []byte) (int, error) { return f.text.Read(p) }
