package chdb

import (
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestTheHeadOfAnInsert(t *testing.T) {
	for sql, want := range map[string]struct {
		statement, format, data string
	}{
		"INSERT INTO t VALUES (1)":                                         {"INSERT INTO t ", "Values", " (1)"},
		"insert into t (a, b) values(1, 2)":                                {"insert into t (a, b) ", "Values", "(1, 2)"},
		"INSERT INTO t FORMAT Native\nDATA":                                {"INSERT INTO t ", "Native", "DATA"},
		"INSERT INTO t FORMAT CSV  \r\n\n1":                                {"INSERT INTO t ", "CSV", "\n1"},
		"INSERT INTO t FORMAT CSV;\n1":                                     {"INSERT INTO t ", "CSV", "1"},
		"INSERT INTO t FORMAT JSONEachRow {\"a\":1}":                       {"INSERT INTO t ", "JSONEachRow", "{\"a\":1}"},
		"/* c */ INSERT INTO t -- VALUES\n (`values`) FORMAT TSV\n1":       {"INSERT INTO t -- VALUES\n (`values`) ", "TSV", "1"},
		"INSERT INTO values VALUES (1)":                                    {"INSERT INTO values ", "Values", " (1)"},
		"INSERT INTO db.format FORMAT CSV\n1":                              {"INSERT INTO db.format ", "CSV", "1"},
		"INSERT INTO TABLE select VALUES (1)":                              {"INSERT INTO TABLE select ", "Values", " (1)"},
		"INSERT INTO t SETTINGS async_insert=0, x='VALUES' FORMAT CSV\n1":  {"INSERT INTO t SETTINGS async_insert=0, x='VALUES' ", "CSV", "1"},
		"INSERT INTO FUNCTION file('a', 'b', 'c String') VALUES ('it''s')": {"INSERT INTO FUNCTION file('a', 'b', 'c String') ", "Values", " ('it''s')"},
		"INSERT INTO t (a) FORMAT Native":                                  {"INSERT INTO t (a) ", "Native", ""},
	} {
		head, found, _ := parseInsert(sql)
		if !found || head.statement != want.statement || head.format != want.format || sql[head.data:] != want.data {
			t.Errorf("%q: %v %+v", sql, found, head)
		}
	}
	for sql, more := range map[string]bool{
		"SELECT 1": false, "INSERT INTO t SELECT 1": false, "INSERT INTO t (a) WITH x AS (SELECT 1) SELECT 1": false, "WITH 1 AS x INSERT INTO t SELECT x": false,
		"": true, "INS": true, " -- c": true, "/* c": true, "INSERT INTO t FORMAT": true, "INSERT INTO t ('": true,
	} {
		if _, found, got := parseInsert(sql); found || got != more {
			t.Errorf("%q: %v %v", sql, found, got)
		}
	}
}

func TestWordsOfAStatement(t *testing.T) {
	for sql, want := range map[string]string{
		"select 1": "SELECT", " -- x\n/* y */ # z\n#! w\n( ( with": "WITH", "": "", "'a'": "", ";;SHOW": "SHOW", "$$a$$": "",
	} {
		if got := firstWord(sql); got != want {
			t.Errorf("%q: %q", sql, got)
		}
	}
	for sql, want := range map[string]string{
		"SELECT 1 FORMAT JSON": "JSON", "SELECT 1 format CSV;": "CSV", "SELECT format(x) FROM (SELECT 1 FORMAT TSV)": "", "SELECT 'FORMAT x'": "", "SELECT 1 -- FORMAT JSON": "",
	} {
		if got := answerFormat(sql); got != want {
			t.Errorf("%q: %q", sql, got)
		}
	}
	for sql, want := range map[string][]string{
		"SELECT f (1), `g`/**/(2), \"H\\\"\"(3), 'i(', x'00' (SELECT) FROM “j”(4)": {"f", "g", `h"`, "j"},
		"SELECT $a$ f(1) $a$": nil, "SELECT ‘f(1)’": nil, "SELECT 1 -- f(": nil,
	} {
		if got, _ := calls(sql); !slices.Equal(got, want) {
			t.Errorf("%q: %q", sql, got)
		}
	}
	for sql, want := range map[string]bool{
		"SELECT 1 SETTINGS a=1": true, "SELECT 1 settings/**/`a` = 1": true, "SELECT settings = 1": false, "SELECT 'SETTINGS a=1'": false, "SELECT 1 FROM settings WHERE a = 1": false,
	} {
		if _, got := calls(sql); got != want {
			t.Errorf("%q: %v", sql, got)
		}
	}
}

func TestStructuresOfExternalTables(t *testing.T) {
	for structure, want := range map[string]bool{
		"a UInt8, `b c` Array(LowCardinality(String)), e Enum8('x)' = -1), d Decimal(9, 2), z DateTime64(3, 'UTC')": true,
		"a UInt8) ENGINE = File(": false, "a UInt8; DROP TABLE x": false, "a UInt8 DEFAULT 1": false, "a UInt8 alias file('x')": false, "a 'x": false, "(": false, "a UInt8 + 1": false,
	} {
		if got := plainStructure(structure); got != want {
			t.Errorf("%q: %v", structure, got)
		}
	}
	if got, err := numbered("UInt8, Tuple(String, Enum8('a,b' = 1)),String"); err != nil || got != "_1 UInt8, _2 Tuple(String, Enum8('a,b' = 1)), _3 String" {
		t.Fatal(got, err)
	}
}

func TestContentCodings(t *testing.T) {
	for accept, want := range map[string]string{"": "", "gzip": "gzip", "gzip, br": "br", "GZIP;q=0.5, deflate": "gzip", "br;q=0, gzip;q=0": "", "snappy": "", "*": ""} {
		if got := chooseCoding(accept); got != want {
			t.Errorf("%q: %q", accept, got)
		}
	}
}

func TestExceptionsKeepTheFirstCode(t *testing.T) {
	for text, want := range map[string]int{
		"Code: 60. DB::Exception: x. (UNKNOWN_TABLE)": 60, "Error: Code: 241. DB::Exception: Code: 1. DB::Exception: x": 241, "broken": 1001, "Code: x": 1001,
	} {
		e, ok := errors.AsType[*exceptionError](exceptionOf(text))
		if !ok || e.Code != want || !strings.HasPrefix(e.Message, "Code: ") {
			t.Errorf("%q: %+v", text, e)
		}
	}
	if exceptionOf("") != nil {
		t.Fatal("no text is no exception")
	}
}

var corpus = []string{
	"SELECT 1", "INSERT INTO t (a, `b`) SETTINGS x = 'y' FORMAT Native\nabc", "WITH x AS (SELECT $$a$$) SELECT * FROM x SETTINGS a = 1, b = [1, 2] FORMAT JSON",
	"INSERT INTO t VALUES ('it''s', \"q\", x'00')", "/* c */ -- d\n# e\nSELECT ‘a’, “b”", "INSERT INTO t FORMAT", "SELECT '", "/*", "$a$", "INSERT", "`", "x'", "(((",
}

// No text breaks the lexer, and what it gives are pieces of the text in their order.
func FuzzLexer(f *testing.F) {
	for _, sql := range corpus {
		f.Add(sql)
	}
	f.Fuzz(func(t *testing.T, sql string) {
		l := &lexer{text: sql}
		last := 0
		for {
			token, ok := l.next()
			if !ok {
				break
			}
			if token.start < last || token.end <= token.start || token.end > len(sql) {
				t.Fatalf("%+v after %d", token, last)
			}
			last = token.end
		}
		head, found, _ := parseInsert(sql)
		if found && (head.data < len(head.statement) || head.data > len(sql) || !strings.Contains(sql, head.statement)) {
			t.Fatalf("%+v", head)
		}
		if found && head.format != "Values" && !identifier.MatchString(head.format) {
			t.Fatalf("%+v", head)
		}
		names, _ := calls(sql)
		for _, name := range names {
			if name == "" && utf8.ValidString(sql) && !strings.Contains(sql, "``") && !strings.Contains(sql, `""`) && !strings.Contains(sql, "“”") {
				t.Fatalf("a call without a name in %q", sql)
			}
		}
		_, _ = firstWord(sql), answerFormat(sql)
		if plainStructure(sql) {
			if _, err := numbered(sql); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// No request breaks what reads it: parameters, codings, forms.
func FuzzRequest(f *testing.F) {
	f.Add("query=SELECT+1&max_threads=2", "text/plain", "gzip", "body")
	f.Add("param_x=%5Ct&compress=1&wait_end_of_query=true", "", "", "INSERT INTO t FORMAT CSV\n1")
	f.Add("t_structure=a+UInt8&decompress=1", "multipart/form-data; boundary=b", "deflate", "--b\r\nContent-Disposition: form-data; name=\"t\"; filename=\"\"\r\n\r\n1\r\n--b--\r\n")
	f.Add("default_format=;", "multipart/form-data", "zstd", "\x28\xb5\x2f\xfd")
	f.Fuzz(func(t *testing.T, query, kind, coding, body string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", strings.NewReader(body))
		r.URL.RawQuery = query
		r.Header.Set("Content-Type", kind)
		r.Header.Set("Content-Encoding", coding)
		r.Header.Set("Accept-Encoding", coding)
		q, err := readRequest(r)
		if err != nil {
			return
		}
		if err := q.answerAs(&answer{}); err != nil {
			return
		}
		for _, s := range q.settings {
			if slices.Contains(reserved, s.name) {
				t.Fatal(s)
			}
		}
		if q.parts == nil {
			_, head, rows, err := q.text()
			if err == nil && rows != nil && head.format == "" {
				t.Fatalf("%+v", head)
			}
			return
		}
		for {
			var part *multipart.Part
			if part, err = q.parts.NextPart(); err != nil {
				return
			}
			isFile(part)
			_, _ = io.Copy(io.Discard, part)
		}
	})
}
