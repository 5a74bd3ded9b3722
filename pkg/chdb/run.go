package chdb

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// run is one query on its connection.
type run struct {
	b        *bridge
	a        *answer
	q        *request
	c        *conn
	marker   string
	readonly int
}

func (r *run) do() error {
	database := r.q.values.Get("database")
	if h := r.q.header.Get("X-ClickHouse-Database"); h != "" && database == "" {
		database = h
	}
	if database == "" {
		database = r.b.c.Database
	}
	if err := r.exec("USE " + quoteName(database)); err != nil {
		return err
	}
	if r.q.parts != nil {
		if err := r.external(); err != nil {
			return err
		}
	}
	sql, head, rows, err := r.q.text()
	if err != nil {
		return err
	}
	if strings.TrimSpace(sql) == "" {
		return refuse(codeSyntaxError, "Empty query")
	}
	if isHello(sql) {
		return r.hello()
	}
	if rows != nil {
		return r.insert(head, rows)
	}
	return r.statement(sql)
}

// exec runs a statement of the bridge's own.
func (r *run) exec(sql string) error {
	result, err := r.c.query(sql, "TabSeparated", nil)
	if err != nil {
		return err
	}
	result.free()
	return nil
}

func quoteName(name string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(name) + "`"
}

// restrict makes the connection one that cannot write, if that is what the user gets.
func (r *run) restrict() error {
	if r.readonly == 0 {
		return nil
	}
	return r.exec("SET readonly = " + strconv.Itoa(r.readonly))
}

func (r *run) insert(head insertHead, rows io.Reader) error {
	if r.readonly != 0 {
		return refuse(codeReadonly, "Cannot execute query in readonly mode")
	}
	if class, _ := r.c.classify(head.statement + " VALUES"); class == classUnknown {
		// Not what it looks like: the engine tells what is wrong.
		return r.materialised(head.statement + " VALUES")
	}
	in, err := r.c.insert(r.marker+head.statement, head.format, r.q.params)
	if err != nil {
		return err
	}
	if err := r.feed(in, rows); err != nil {
		if !errors.Is(err, errInsertFailed) {
			in.abandon()
			return refuse(codeCannotRead, "the rows cannot be read: %v", err)
		}
	}
	r.a.stats, err = in.finish()
	if err != nil {
		return err
	}
	r.a.format = ""
	return r.a.end()
}

// patience is how long a client may keep a query waiting for the next piece of its rows, or for reading the next piece of an answer.
const patience = 5 * time.Minute

// feed hands rows over as they come, a bounded piece at a time.
func (r *run) feed(in *inserting, rows io.Reader) error {
	deadline := func(at time.Time) {
		_ = http.NewResponseController(r.a.w).SetReadDeadline(at) // a writer without deadlines has no patience to lose
	}
	defer deadline(time.Time{})
	buffer := make([]byte, 256<<10)
	for {
		deadline(time.Now().Add(patience))
		n, err := rows.Read(buffer)
		if n > 0 {
			if _, err := in.Write(buffer[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (r *run) statement(sql string) error {
	class, statements := r.c.classify(sql)
	word := firstWord(sql)
	if statements > 1 {
		return refuse(codeSyntaxError, "Syntax error (Multi-statements are not allowed): there are %d statements", statements)
	}
	if hasWord(sql, "OUTFILE") && class == classControl {
		return refuse(codeIntoOutfile, "INTO OUTFILE is not allowed")
	}
	if word == "INSERT" && hasWord(sql, "INFILE") {
		return refuse(codeNotImplemented, "FROM INFILE is the command line client's, not the server's")
	}
	if r.q.values.Get("session_id") != "" && class == classControl && (word == "SET" || word == "USE" || word == "CREATE" || word == "BEGIN") {
		return refuse(codeNotImplemented, "sessions hold nothing here: neither SET nor USE nor temporary tables outlast a request. Give settings and the database with each request, and session_id with none")
	}
	if r.readonly == 1 {
		if err := r.b.readerMayRun(r.c, sql, r.q.params); err != nil {
			return err
		}
	}
	if r.readonly != 0 && class != classRead && class != classUnknown {
		return refuse(codeReadonly, "Cannot execute query in readonly mode")
	}
	if err := r.restrict(); err != nil {
		return err
	}
	if class == classRead {
		if format := answerFormat(sql); format != "" {
			r.a.format = format
		}
		heads, ok := streams(r.a.format)
		if ok && (word == "SELECT" || word == "WITH" || word == "FROM") && !r.arrays(sql) {
			return r.streamed(sql, &parts{format: r.a.format, heads: heads})
		}
	}
	return r.materialised(sql)
}

func hasWord(sql, word string) bool {
	l := &lexer{text: sql}
	for {
		t, ok := l.next()
		if !ok {
			return false
		}
		if l.is(t, word) {
			return true
		}
	}
}

// arrays tells whether formats of a row each put all rows into one array.
func (r *run) arrays(sql string) bool {
	const name = "output_format_json_array_of_rows"
	return strings.Contains(sql, name) || slices.ContainsFunc(r.q.settings, func(s setting) bool { return s.name == name })
}

func (r *run) streamed(sql string, joined *parts) error {
	stream, err := r.c.stream(r.marker+sql, r.q.format, r.q.params)
	if err != nil {
		return err
	}
	defer stream.free()
	for {
		part, err := r.c.fetch(stream)
		if err != nil {
			return err
		}
		rows := part.bytes()
		if len(rows) == 0 {
			part.free()
			return r.a.end()
		}
		r.a.stats.add(part.stats())
		err = r.a.write(joined.next(rows))
		part.free()
		if err != nil {
			r.c.cancel(stream)
			return refuse(codeQueryCancelled, "the answer cannot be sent: %v", err)
		}
	}
}

func (r *run) materialised(sql string) error {
	result, err := r.c.query(r.marker+sql, r.q.format, r.q.params)
	if err != nil {
		return err
	}
	defer result.free()
	r.a.stats = result.stats()
	if rows := result.bytes(); len(rows) > 0 {
		if err := r.a.write(rows); err != nil {
			return refuse(codeQueryCancelled, "the answer cannot be sent: %v", err)
		}
	}
	return r.a.end()
}

// external reads a form: its files become temporary tables of the connection, its field query the query.
func (r *run) external() error {
	for {
		part, err := r.q.parts.NextPart()
		if errors.Is(err, io.EOF) {
			r.q.body = strings.NewReader("")
			return nil
		}
		if err != nil {
			return refuse(codeBadArguments, "the form cannot be read: %v", err)
		}
		name := part.FormName()
		if isFile(part) {
			if err := r.table(name, part); err != nil {
				return err
			}
			continue
		}
		value, err := io.ReadAll(io.LimitReader(part, maxText+1))
		if err != nil {
			return refuse(codeBadArguments, "the field %q of the form cannot be read: %v", name, err)
		}
		if len(value) > maxText {
			return refuse(codeQueryTooLarge, "the field %q of the form has more than %d bytes", name, maxText)
		}
		switch {
		case name == "query":
			r.q.query += string(value)
		case strings.HasPrefix(name, "param_"):
			r.q.add(name, string(value))
		default:
			r.q.values.Set(name, string(value))
		}
	}
}

// isFile tells a file of a form from a field: clickhouse-go sends files with an empty name.
func isFile(part *multipart.Part) bool {
	disposition := part.Header.Get("Content-Disposition")
	return strings.Contains(disposition, "filename=") || strings.Contains(disposition, "filename*=")
}

func (r *run) table(name string, rows io.Reader) error {
	if !identifier.MatchString(name) {
		return refuse(codeBadArguments, "%q is not the name of an external table", name)
	}
	structure, format := r.q.values.Get(name+"_structure"), r.q.values.Get(name+"_format")
	if structure == "" {
		var err error
		if structure, err = numbered(r.q.values.Get(name + "_types")); err != nil {
			return err
		}
	}
	if structure == "" {
		return refuse(codeBadArguments, "the external table %s needs %s_structure or %s_types", name, name, name)
	}
	if !plainStructure(structure) {
		return refuse(codeBadArguments, "%s_structure may have names and types only", name)
	}
	if format == "" {
		format = "TabSeparated"
	}
	if !identifier.MatchString(format) {
		return refuse(codeUnknownFormat, "Unknown format %s", format)
	}
	if err := r.exec("CREATE TEMPORARY TABLE " + quoteName(name) + " (" + structure + ") ENGINE = Memory"); err != nil {
		return err
	}
	in, err := r.c.insert("INSERT INTO "+quoteName(name), format, nil)
	if err != nil {
		return err
	}
	if err := r.feed(in, rows); err != nil && !errors.Is(err, errInsertFailed) {
		in.abandon()
		return refuse(codeCannotRead, "the external table %s cannot be read: %v", name, err)
	}
	_, err = in.finish()
	return err
}

// numbered makes a structure of types alone: the columns are _1, _2, ...
func numbered(types string) (string, error) {
	if types == "" {
		return "", nil
	}
	if !plainStructure(types) {
		return "", refuse(codeBadArguments, "the types of an external table may be types only")
	}
	var b strings.Builder
	for i, t := range splitTop(types) {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("_" + strconv.Itoa(i+1) + " " + t)
	}
	return b.String(), nil
}

// splitTop cuts at the commas outside parentheses.
func splitTop(list string) (parts []string) {
	l := &lexer{text: list}
	depth, begin := 0, 0
	for {
		t, ok := l.next()
		if !ok {
			return append(parts, strings.TrimSpace(list[begin:]))
		}
		switch {
		case l.symbol(t, '('):
			depth++
		case l.symbol(t, ')'):
			depth--
		case depth == 0 && l.symbol(t, ','):
			parts, begin = append(parts, strings.TrimSpace(list[begin:t.start])), t.end
		}
	}
}

// plainStructure is true for a list of names and types, which cannot end the list or compute anything.
func plainStructure(structure string) bool {
	l := &lexer{text: structure}
	depth := 0
	for {
		t, ok := l.next()
		if !ok {
			return depth == 0
		}
		switch t.kind {
		case tokenBad:
			return false
		case tokenSymbol:
			switch structure[t.start] {
			case '(':
				depth++
			case ')':
				depth--
			case ',', '=', '-', '.':
			default:
				return false
			}
			if depth < 0 {
				return false
			}
		case tokenWord:
			switch strings.ToUpper(structure[t.start:t.end]) {
			case "DEFAULT", "MATERIALIZED", "EPHEMERAL", "ALIAS", "CODEC", "TTL", "STATISTICS", "SETTINGS", "CONSTRAINT", "INDEX", "PROJECTION", "SELECT":
				return false
			}
		case tokenQuoted, tokenString, tokenNumber:
		}
	}
}

// isHello tells the query by which clickhouse-go learns about the server.
func isHello(sql string) bool {
	return strings.Join(strings.Fields(sql), " ") == "SELECT displayName(), version(), revision(), timezone()"
}

// hello says that the server speaks revision 0 of the protocol, since that is what the engine's Native format is here. The answer itself is a block
// of the revision that the client asked with.
func (r *run) hello() error {
	revision := 0
	if value := r.q.values.Get("client_protocol_version"); value != "" {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return refuse(codeBadArguments, "client_protocol_version: %q is no number", value)
		}
		revision = n
	}
	if r.q.format != "Native" {
		return r.statement("SELECT " + quote(r.b.c.Database) + " AS `displayName()`, version(), toUInt32(0) AS `revision()`, timezone()")
	}
	r.a.stats.resultRows = 1
	if err := r.a.write(helloBlock(revision, r.b.c.Database, r.b.version, r.b.timezone)); err != nil {
		return err
	}
	return r.a.end()
}

// helloBlock is one row in ClickHouse's Native format.
func helloBlock(revision int, display, version, timezone string) []byte {
	const (
		withBlockInfo     = 51903
		withSerialization = 54454
	)
	var b []byte
	text := func(s string) { b = append(appendUvarint(b, len(s)), s...) }
	if revision >= withBlockInfo {
		b = append(b, 1, 0, 2, 0xff, 0xff, 0xff, 0xff, 0) // no overflow, no bucket
	}
	b = append(b, 4, 1) // columns, rows
	column := func(name, kind string) {
		text(name)
		text(kind)
		if revision >= withSerialization {
			b = append(b, 0)
		}
	}
	column("displayName()", "String")
	text(display)
	column("version()", "String")
	text(version)
	column("revision()", "UInt32")
	b = append(b, 0, 0, 0, 0)
	column("timezone()", "String")
	text(timezone)
	return b
}

func appendUvarint(b []byte, n int) []byte {
	for n >= 0x80 {
		b = append(b, byte(n)|0x80)
		n >>= 7
	}
	return append(b, byte(n))
}

var _ http.Handler = (*bridge)(nil)
