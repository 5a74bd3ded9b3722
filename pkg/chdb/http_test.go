package chdb_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/ch-go/compress"
	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"
	"github.com/pierrec/lz4/v4"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
)

// request is one that curl could send.
type request struct {
	method string
	params string // of the URL
	body   io.Reader
	header map[string]string
	user   string // name:password
}

type response struct {
	status int
	header http.Header
	body   string
	err    error // of reading the body
}

func (r request) send(t testing.TB, s *chdbtest.Server) response {
	t.Helper()
	method := r.method
	if method == "" {
		method = http.MethodPost
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL()+"?"+r.params, r.body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range r.header {
		req.Header.Set(k, v)
	}
	if name, password, ok := strings.Cut(r.user, ":"); ok {
		req.SetBasicAuth(name, password)
	}
	res, err := (&http.Client{Transport: &http.Transport{DisableCompression: true}}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return response{res.StatusCode, res.Header, string(body), err}
}

func post(t testing.TB, s *chdbtest.Server, sql string) response {
	t.Helper()
	return request{body: strings.NewReader(sql)}.send(t, s)
}

func (r response) want(t testing.TB, body string) {
	t.Helper()
	if r.status != http.StatusOK || r.body != body {
		t.Fatalf("%d %q, want %q", r.status, r.body, body)
	}
}

func (r response) wantCode(t testing.TB, code string) {
	t.Helper()
	if r.status == http.StatusOK || r.header.Get("X-ClickHouse-Exception-Code") != code || !strings.HasPrefix(r.body, "Code: "+code+". DB::Exception: ") {
		t.Fatalf("%d %s %q, want code %s", r.status, r.header.Get("X-ClickHouse-Exception-Code"), r.body, code)
	}
}

func get(address string) (status int, body string, err error) {
	res, err := http.Get(address) //nolint:gosec // the test's own server
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	all, err := io.ReadAll(res.Body)
	return res.StatusCode, string(all), err
}

func query(sql string) string { return "query=" + url.QueryEscape(sql) }

func TestTheHTTPInterface(t *testing.T) {
	s := chdbtest.Start(t, func(c *chdb.Config) { c.QueryTime = 20 * time.Second })
	t.Run("tells that it is there", func(t *testing.T) {
		for _, path := range []string{"ping", "replicas_status", ""} {
			if status, body, err := get(s.URL() + path); status != http.StatusOK || body != "Ok.\n" {
				t.Fatal(path, status, body, err)
			}
		}
		if status, body, err := get(s.URL() + "play"); status != http.StatusNotFound {
			t.Fatal(status, body, err)
		}
	})
	t.Run("gives an answer of many parts as one", func(t *testing.T) { manyParts(t, s) })
	t.Run("takes queries from the URL and the body", func(t *testing.T) {
		request{method: http.MethodGet, params: query("SELECT 1")}.send(t, s).want(t, "1\n")
		post(t, s, "SELECT 2").want(t, "2\n")
		request{params: query("SELECT 3"), body: strings.NewReader(" + 4")}.send(t, s).want(t, "7\n")
		request{params: "default_format=JSONEachRow", body: strings.NewReader("SELECT 5 AS n")}.send(t, s).want(t, "{\"n\":5}\n")
		request{params: "default_format=JSONEachRow", body: strings.NewReader("SELECT 5 AS n FORMAT CSV")}.send(t, s).want(t, "5\n")
		request{body: strings.NewReader("SELECT 5 AS n"), header: map[string]string{"X-ClickHouse-Format": "CSVWithNames"}}.send(t, s).want(t, "\"n\"\n5\n")
		request{params: "database=system", body: strings.NewReader("SELECT currentDatabase()")}.send(t, s).want(t, "system\n")
		request{header: map[string]string{"X-ClickHouse-Database": "system"}, body: strings.NewReader("SELECT currentDatabase()")}.send(t, s).want(t, "system\n")
		request{params: "database=nowhere", body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "81")
		request{params: "param_s=" + url.QueryEscape(`a\tb`) + "&param_n=7", body: strings.NewReader("SELECT {s:String} = 'a\tb', {n:UInt8}")}.send(t, s).want(t, "1\t7\n")
		request{params: "param_s=&param_n=7", body: strings.NewReader("SELECT {s:String} = '', {n:UInt8}")}.send(t, s).want(t, "1\t7\n")
		request{params: "max_threads=3", body: strings.NewReader("SELECT getSetting('max_threads')")}.send(t, s).want(t, "3\n")
		post(t, s, "SELECT 1 -- a comment").want(t, "1\n")
		post(t, s, "/* a comment */ SELECT 1;").want(t, "1\n")
		post(t, s, "(SELECT 1) UNION ALL (SELECT 1)").want(t, "1\n1\n")
		post(t, s, "WITH x AS (SELECT 3 AS n) SELECT n FROM x").want(t, "3\n")
		post(t, s, "FROM numbers(2) SELECT number").want(t, "0\n1\n")
		post(t, s, "SHOW DATABASES LIKE 'skein'").want(t, "skein\n")
		post(t, s, "EXISTS DATABASE skein").want(t, "1\n")
		post(t, s, "").wantCode(t, "62")
		post(t, s, "1 + 1").wantCode(t, "62")
		request{method: http.MethodDelete}.send(t, s).wantCode(t, "36")
	})
	t.Run("says what it answers", func(t *testing.T) {
		r := request{params: "query_id=mine&default_format=JSON", body: strings.NewReader("SELECT number FROM numbers(3)")}.send(t, s)
		if r.header.Get("X-ClickHouse-Query-Id") != "mine" || r.header.Get("X-ClickHouse-Format") != "JSON" || r.header.Get("X-ClickHouse-Server-Display-Name") != "skein" || r.header.Get("X-ClickHouse-Timezone") == "" ||
			!strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
			t.Fatal(r.header)
		}
		var summary map[string]string
		must(t, json.Unmarshal([]byte(r.header.Get("X-ClickHouse-Summary")), &summary))
		if summary["read_rows"] != "3" {
			t.Fatal(summary)
		}
	})
	t.Run("refuses settings that do not exist or do not fit", func(t *testing.T) {
		request{params: "max_thread=3", body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "115")
		request{params: "path=/tmp", body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "115")
		request{params: "max_threads=many", body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "27")
		request{params: "default_format=Nothing", body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "73")
	})
	t.Run("holds an answer until its end when told to", func(t *testing.T) {
		request{params: "wait_end_of_query=1", body: strings.NewReader("SELECT throwIf(number = 500000) FROM numbers(1000000)")}.send(t, s).wantCode(t, "395")
		r := request{params: "wait_end_of_query=1", body: strings.NewReader("SELECT repeat('x', 100) FROM numbers(200000)")}.send(t, s)
		if r.status != http.StatusOK || len(r.body) != 101*200000 {
			t.Fatal(r.status, len(r.body))
		}
	})
	t.Run("cuts an answer that fails in the middle, after saying why", func(t *testing.T) {
		r := request{params: "max_threads=1&max_block_size=1000", body: strings.NewReader("SELECT throwIf(number = 500000, 'half way') FROM numbers(1000000)")}.send(t, s)
		tag := r.header.Get("X-ClickHouse-Exception-Tag")
		if r.status != http.StatusOK || r.err == nil || len(tag) != 16 || !strings.Contains(r.body, "\r\n__exception__\r\n"+tag+"\r\nCode: 395. DB::Exception: ") || !strings.Contains(r.body, "half way") ||
			!strings.HasSuffix(r.body, " "+tag+"\r\n__exception__\r\n") {
			t.Fatal(r.status, r.err, r.body[max(0, len(r.body)-300):])
		}
	})
	t.Run("compresses as asked", func(t *testing.T) {
		for coding, open := range decoders {
			for _, hold := range []string{"", "&wait_end_of_query=1"} {
				r := request{params: "enable_http_compression=1" + hold, body: strings.NewReader("SELECT number FROM numbers(20000)"), header: map[string]string{"Accept-Encoding": coding}}.send(t, s)
				if r.header.Get("Content-Encoding") != coding {
					t.Fatal(coding, r.header)
				}
				plain, err := open(strings.NewReader(r.body))
				must(t, err)
				body, err := io.ReadAll(plain)
				must(t, err)
				if strings.Count(string(body), "\n") != 20000 {
					t.Fatal(coding, len(body))
				}
			}
		}
		r := request{params: "compress=1", body: strings.NewReader("SELECT number FROM numbers(20000)")}.send(t, s)
		body, err := io.ReadAll(compress.NewReader(strings.NewReader(r.body)))
		if strings.Count(string(body), "\n") != 20000 {
			t.Fatal(len(body), err)
		}
		request{header: map[string]string{"Accept-Encoding": "br, gzip"}, params: "enable_http_compression=0", body: strings.NewReader("SELECT 1")}.send(t, s).want(t, "1\n")
		request{header: map[string]string{"Accept-Encoding": "snappy, gzip;q=0"}, body: strings.NewReader("SELECT 1")}.send(t, s).want(t, "1\n")
		request{params: "compress=1&network_compression_method=rar", body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "89")
	})
	t.Run("takes rows of any format, compressed or not", func(t *testing.T) {
		post(t, s, "CREATE TABLE rows (n UInt32, s String) ENGINE = MergeTree ORDER BY n").want(t, "")
		post(t, s, "INSERT INTO rows VALUES (1, 'a'), (2, 'b;\n\nb')").want(t, "")
		request{params: query("INSERT INTO rows (n, s) VALUES"), body: strings.NewReader("(3, 'c')")}.send(t, s).want(t, "")
		request{params: query("INSERT INTO rows FORMAT CSV"), body: strings.NewReader("4,d\n5,\"e\n\ne\"\n")}.send(t, s).want(t, "")
		post(t, s, "INSERT INTO rows (s, n) FORMAT JSONEachRow\n{\"n\":6,\"s\":\"f\\n\\nf\"}\n\n{\"n\":7,\"s\":\"g\"}").want(t, "")
		post(t, s, "INSERT INTO skein.rows SELECT number + 8, 'h' FROM numbers(2)").want(t, "")
		post(t, s, "INSERT INTO rows SETTINGS insert_deduplication_token = 'x' FORMAT TSV\n10\ti\n").want(t, "")
		request{params: "param_n=11", body: strings.NewReader("INSERT INTO rows VALUES ({n:UInt32}, 'p')")}.send(t, s).want(t, "")
		r := request{params: query("INSERT INTO rows FORMAT RowBinary"), body: strings.NewReader("\x0c\x00\x00\x00\x04\n\n\n\n")}.send(t, s)
		r.want(t, "")
		if !strings.Contains(r.header.Get("X-ClickHouse-Summary"), `"written_rows":"1"`) {
			t.Fatal(r.header)
		}
		for coding, encode := range encoders {
			request{params: query("INSERT INTO rows FORMAT TSV"), body: encode("100\tz\n"), header: map[string]string{"Content-Encoding": coding}}.send(t, s).want(t, "")
		}
		w := compress.NewWriter(compress.LevelZero, compress.ZSTD)
		must(t, w.Compress([]byte("100\tz\n")))
		request{params: "decompress=1&" + query("INSERT INTO rows FORMAT TSV"), body: bytes.NewReader(w.Data)}.send(t, s).want(t, "")
		post(t, s, "SELECT count(), sum(n), countIf(s LIKE '%\n\n%') FROM rows").want(t, "19\t778\t4\n")
		request{params: query("INSERT INTO rows FORMAT TSV"), body: strings.NewReader("no number\tz\n")}.send(t, s).wantCode(t, "27")
		request{params: query("INSERT INTO nowhere FORMAT TSV"), body: strings.NewReader("1\tz\n")}.send(t, s).wantCode(t, "60")
		request{params: query("INSERT INTO rows FORMAT TSV"), body: strings.NewReader("zz"), header: map[string]string{"Content-Encoding": "gzip"}}.send(t, s).wantCode(t, "33")
		request{params: query("INSERT INTO rows FORMAT TSV"), body: strings.NewReader("zz"), header: map[string]string{"Content-Encoding": "rar"}}.send(t, s).wantCode(t, "89")
		request{params: "decompress=1&" + query("INSERT INTO rows FORMAT TSV"), body: strings.NewReader(strings.Repeat("zz", 100))}.send(t, s).wantCode(t, "33")
		post(t, s, "INSERT INTO rows FROM INFILE '/etc/passwd' FORMAT TSV").wantCode(t, "48")
		post(t, s, "SELECT count() FROM rows").want(t, "19\n")
	})
	t.Run("takes external tables from a form", func(t *testing.T) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, err := form.CreateFormFile("wanted", "wanted.tsv")
		must(t, err)
		_, err = io.WriteString(part, "2\tb\n4\td\n")
		must(t, err)
		must(t, form.WriteField("query", "SELECT groupArray((_1, _2)), {x:String} FROM wanted"))
		must(t, form.WriteField("param_x", "y"))
		must(t, form.Close())
		sent := body.Bytes()
		r := request{params: "wanted_types=" + url.QueryEscape("UInt8, Enum8('b' = 1, 'd' = 2)"), body: bytes.NewReader(sent), header: map[string]string{"Content-Type": form.FormDataContentType()}}
		r.send(t, s).want(t, "[(2,'b'),(4,'d')]\ty\n")
		for _, structure := range []string{"n UInt8 DEFAULT 1", "n UInt8) ENGINE = Memory AS SELECT (1", "n UInt8; SELECT 1", "n String, x String ALIAS file('/etc/passwd')", ""} {
			request{params: "wanted_structure=" + url.QueryEscape(structure), body: bytes.NewReader(sent), header: map[string]string{"Content-Type": form.FormDataContentType()}}.send(t, s).wantCode(t, "36")
		}
	})
	t.Run("holds no sessions, and says so where one would be needed", func(t *testing.T) {
		request{params: "session_id=a", body: strings.NewReader("SELECT 1")}.send(t, s).want(t, "1\n")
		for _, sql := range []string{"SET max_threads = 1", "USE system", "CREATE TEMPORARY TABLE x (n UInt8)"} {
			request{params: "session_id=a", body: strings.NewReader(sql)}.send(t, s).wantCode(t, "48")
		}
		post(t, s, "SET max_threads = 1").want(t, "")
		request{method: http.MethodGet, params: query("CREATE TABLE by_get (n UInt8) ENGINE = Memory")}.send(t, s).wantCode(t, "164")
	})
	t.Run("shows no file of the machine as a table", func(t *testing.T) {
		name := filepath.Join(t.TempDir(), "secret.tsv")
		must(t, os.WriteFile(name, []byte("1\n"), 0o600))
		request{params: "database=default", body: strings.NewReader("SELECT * FROM `" + name + "`")}.send(t, s).wantCode(t, "60")
		post(t, s, "SELECT * FROM default.`"+name+"`").wantCode(t, "60")
	})
	t.Run("refuses web pages while there are no users", func(t *testing.T) {
		request{body: strings.NewReader("SELECT 1"), header: map[string]string{"Origin": "https://example.org"}}.send(t, s).wantCode(t, "497")
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.URL()+"?"+query("SELECT 1"), http.NoBody)
		must(t, err)
		req.Host = "example.org"
		res, err := http.DefaultClient.Do(req)
		must(t, err)
		must(t, res.Body.Close())
		if res.StatusCode != http.StatusForbidden {
			t.Fatal(res.StatusCode)
		}
	})
	t.Run("kills a query whose client has gone", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL(), strings.NewReader("SELECT count() FROM numbers(10000000000000) WHERE sipHash64(number) = 1 SETTINGS max_execution_time = 0"))
		must(t, err)
		gone := make(chan struct{})
		go func() {
			defer close(gone)
			if res, err := http.DefaultClient.Do(req); err == nil {
				_ = res.Body.Close()
			}
		}()
		const count = "SELECT count() FROM system.processes WHERE query LIKE '%sipHash64%' AND query NOT LIKE '%system.processes%'"
		eventually(t, func() bool { return post(t, s, count).body == "1\n" })
		cancel()
		<-gone
		eventually(t, func() bool { return post(t, s, count).body == "0\n" })
	})
}

var decoders = map[string]func(io.Reader) (io.Reader, error){
	"gzip":    func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
	"deflate": func(r io.Reader) (io.Reader, error) { return zlib.NewReader(r) },
	"br":      func(r io.Reader) (io.Reader, error) { return brotli.NewReader(r), nil },
	"zstd":    func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	"lz4":     func(r io.Reader) (io.Reader, error) { return lz4.NewReader(r), nil },
}

var encoders = map[string]func(string) io.Reader{
	"":        func(s string) io.Reader { return strings.NewReader(s) },
	"gzip":    func(s string) io.Reader { var b bytes.Buffer; return written(&b, gzip.NewWriter(&b), s) },
	"deflate": func(s string) io.Reader { var b bytes.Buffer; return written(&b, zlib.NewWriter(&b), s) },
	"br":      func(s string) io.Reader { var b bytes.Buffer; return written(&b, brotli.NewWriter(&b), s) },
	"lz4":     func(s string) io.Reader { var b bytes.Buffer; return written(&b, lz4.NewWriter(&b), s) },
	"zstd": func(s string) io.Reader {
		var b bytes.Buffer
		w, err := zstd.NewWriter(&b)
		if err != nil {
			panic(err)
		}
		return written(&b, w, s)
	},
}

func written(b *bytes.Buffer, w io.WriteCloser, s string) io.Reader {
	if _, err := io.WriteString(w, s); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b
}

func TestAReadOnlyUserReadsAndNothingElse(t *testing.T) {
	s := chdbtest.Start(t, func(c *chdb.Config) {
		c.Users = []chdb.User{{Name: "admin", Password: "a:b"}, {Name: "reader", Password: "r", ReadOnly: true}}
	})
	admin := func(sql string) response {
		return request{user: "admin:a:b", body: strings.NewReader(sql)}.send(t, s)
	}
	reader := func(sql string) response {
		return request{user: "reader:r", body: strings.NewReader(sql)}.send(t, s)
	}
	secret := filepath.Join(t.TempDir(), "secret")
	must(t, os.WriteFile(secret, []byte("swordfish\n"), 0o600))
	admin("CREATE TABLE t (n UInt8, readonly UInt8 DEFAULT 0) ENGINE = MergeTree ORDER BY n").want(t, "")
	admin("INSERT INTO t (n) VALUES (1)").want(t, "")
	t.Run("who asks is checked", func(t *testing.T) {
		post(t, s, "SELECT 1").wantCode(t, "194")
		request{user: "reader:x", body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "516")
		request{user: "nobody:r", body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "516")
		request{params: "user=reader&password=r", body: strings.NewReader("SELECT 1")}.send(t, s).want(t, "1\n")
		request{header: map[string]string{"X-ClickHouse-User": "reader", "X-ClickHouse-Key": "r"}, body: strings.NewReader("SELECT 1")}.send(t, s).want(t, "1\n")
	})
	t.Run("reading works", func(t *testing.T) {
		for sql, want := range map[string]string{
			"SELECT n FROM t": "1\n",
			"WITH x AS (SELECT n FROM t) SELECT n FROM x":     "1\n",
			"SELECT readonly FROM t":                          "0\n",
			"SHOW TABLES":                                     "t\n",
			"EXISTS t":                                        "1\n",
			"DESCRIBE t FORMAT CSV":                           "\"n\",\"UInt8\",\"\",\"\",\"\",\"\",\"\"\n\"readonly\",\"UInt8\",\"DEFAULT\",\"0\",\"\",\"\",\"\"\n",
			"SELECT count() FROM merge('skein', '^t$')":       "1\n",
			"SELECT 'INSERT INTO FUNCTION file(1); SETTINGS'": "INSERT INTO FUNCTION file(1); SETTINGS\n",
			"SELECT getSetting('readonly')":                   "1\n",
		} {
			t.Run(sql, func(t *testing.T) { reader(sql).want(t, want) })
		}
		request{user: "reader:r", params: "max_execution_time=5&output_format_json_quote_64bit_integers=1&join_use_nulls=1", body: strings.NewReader("SELECT getSetting('max_execution_time')")}.send(t, s).want(t, "5\n")
		request{user: "reader:r", params: "param_d=" + url.QueryEscape("1"), body: strings.NewReader("SELECT n FROM t WHERE n = {d:UInt8}")}.send(t, s).want(t, "1\n")
	})
	t.Run("nothing else does", func(t *testing.T) {
		file := "file('" + secret + "', 'LineAsString')"
		for _, sql := range []string{
			"INSERT INTO t (n) VALUES (2)",
			"INSERT INTO t (n) SELECT 2",
			"INSERT INTO FUNCTION file('" + secret + ".new', 'TSV', 'n UInt8') SELECT 1",
			"INSERT INTO FUNCTION file('" + secret + ".new', 'TSV', 'n UInt8') VALUES (1)",
			"INSERT INTO t (n) SETTINGS readonly = 0 VALUES (2)",
			"/* SELECT */ INSERT INTO t (n) VALUES (2)",
			"-- SELECT 1\nINSERT INTO t (n) VALUES (2)",
			"WITH x AS (SELECT 1) INSERT INTO t (n) SELECT 2 FROM x",
			"EXPLAIN ANALYZE INSERT INTO t (n) SELECT 2",
			"SELECT 1; INSERT INTO t (n) VALUES (2)",
			"SELECT 1;\n\nDROP TABLE t",
			"SELECT * FROM " + file,
			"SELECT * FROM " + file + " SETTINGS readonly = 0",
			"SELECT * FROM (SELECT * FROM " + file + " SETTINGS readonly = 0)",
			"SELECT * FROM (SELECT * FROM " + file + " SETTINGS/**/`readonly`=0)",
			"SELECT * FROM (SELECT * FROM " + file + " SETTINGS max_threads = 1, \"readonly\" = 0)",
			"SELECT * FROM view(SELECT * FROM " + file + " SETTINGS readonly = 0)",
			"SELECT * FROM (SELECT 1 SETTINGS readonly = 0)",
			"WITH (SELECT any(line) FROM " + file + " SETTINGS readonly = 0) AS x SELECT x",
			"DESCRIBE " + file,
			"DESCRIBE (SELECT * FROM " + file + " SETTINGS readonly = 0)",
			"SELECT file('" + secret + "')",
			"SELECT `file`('" + secret + "')",
			"SELECT \"file\"('" + secret + "')",
			"SELECT arrayMap(x -> file(x), ['" + secret + "'])",
			"SELECT FILE('" + secret + "')",
			"SHOW TABLES WHERE file('" + secret + "') LIKE 'sword%'",
			"SHOW TABLES WHERE name IN (SELECT 't' FROM " + file + " SETTINGS readonly = 0)",
			"SELECT 1 SETTINGS max_threads = 2",
			"EXPLAIN SELECT file('" + secret + "')",
			"SELECT * FROM `" + secret + "`",
			"SELECT * FROM default.`" + secret + "`",
			"SELECT * FROM url('http://127.0.0.1:9/', 'LineAsString')",
			"SELECT * FROM executable('x', 'LineAsString', 's String')",
			"SELECT * FROM remote('127.0.0.1', system.one)",
			"SELECT * FROM eval('SELECT 1')",
			"SELECT * FROM s3('http://127.0.0.1:9/x')",
			"SELECT catboostEvaluate('" + secret + "', 1)",
			"SELECT 1 INTO OUTFILE '" + secret + ".new'",
			"SELECT 1 INTO OUTFILE '" + secret + ".new' TRUNCATE FORMAT TSV",
			"CREATE TABLE u (n UInt8) ENGINE = Memory",
			"CREATE TEMPORARY TABLE u (n UInt8)",
			"CREATE FUNCTION f AS (x) -> file(x)",
			"ALTER TABLE t DELETE WHERE 1",
			"DELETE FROM t WHERE 1",
			"DROP TABLE t", "TRUNCATE TABLE t", "RENAME TABLE t TO u", "OPTIMIZE TABLE t", "DETACH TABLE t", "CHECK TABLE t",
			"KILL QUERY WHERE 1", "SYSTEM DROP MARK CACHE", "SYSTEM SHUTDOWN", "SET readonly = 0", "SET max_threads = 1", "USE system",
			"BACKUP TABLE t TO File('" + secret + ".backup')",
		} {
			r := reader(sql)
			if r.status == http.StatusOK || strings.Contains(r.body, "swordfish") {
				t.Errorf("%s: %d %q", sql, r.status, r.body)
			}
		}
		for _, setting := range []string{"readonly=0", "allow_ddl=1", "max_memory_usage=0", "max_memory_usage=100000000000000", "max_execution_time=0", "max_execution_time=100000", "allow_introspection_functions=1", "log_queries=1", "format_schema=x", "format_template_row=x", "output_format_schema=x", "format_avro_schema_registry_url=x"} {
			request{user: "reader:r", params: setting, body: strings.NewReader("SELECT 1")}.send(t, s).wantCode(t, "164")
		}
		if left, err := filepath.Glob(secret + ".*"); err != nil || len(left) > 0 {
			t.Fatal(left, err)
		}
		admin("SELECT count(), sum(n) FROM t").want(t, "1\t1\n")
	})
	t.Run("external tables work for it as well", func(t *testing.T) {
		var body bytes.Buffer
		form := multipart.NewWriter(&body)
		part, err := form.CreateFormFile("wanted", "x")
		must(t, err)
		_, err = io.WriteString(part, "1\n2\n")
		must(t, err)
		must(t, form.WriteField("query", "SELECT count() FROM t WHERE n IN wanted"))
		must(t, form.Close())
		request{user: "reader:r", params: "wanted_structure=n+UInt8", body: &body, header: map[string]string{"Content-Type": form.FormDataContentType()}}.send(t, s).want(t, "1\n")
	})
}

func TestQueriesWaitForAPlaceAndAreRefusedWhenNoneComes(t *testing.T) {
	s := chdbtest.Start(t, func(c *chdb.Config) { c.Queries, c.QueueTime = 2, 300*time.Millisecond })
	ctx, cancel := context.WithCancel(t.Context())
	var waiting sync.WaitGroup
	for range 2 {
		waiting.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodPost, s.URL(), strings.NewReader("SELECT sleepEachRow(0.05) FROM numbers(100000) SETTINGS max_block_size = 1 FORMAT Null"))
			if err != nil {
				t.Error(err)
				return
			}
			if res, err := http.DefaultClient.Do(req); err == nil {
				_, _ = io.Copy(io.Discard, res.Body)
				_ = res.Body.Close()
			}
		})
	}
	eventually(t, func() bool { return post(t, s, "SELECT 1").header.Get("X-ClickHouse-Exception-Code") == "202" })
	r := post(t, s, "SELECT 1")
	r.wantCode(t, "202")
	if !strings.Contains(r.body, "TOO_MANY_SIMULTANEOUS_QUERIES") {
		t.Fatal(r.body)
	}
	cancel()
	waiting.Wait()
	eventually(t, func() bool { return post(t, s, "SELECT 1").body == "1\n" })
}

func TestManyClientsAtOnce(t *testing.T) {
	s := chdbtest.Start(t)
	post(t, s, "CREATE TABLE t (who UInt32, n UInt32) ENGINE = MergeTree ORDER BY who").want(t, "")
	var clients sync.WaitGroup
	for who := range 8 {
		clients.Go(func() {
			for n := range 10 {
				r := request{params: query("INSERT INTO t FORMAT CSV"), body: strings.NewReader(fmt.Sprintf("%d,%d\n", who, n))}.send(t, s)
				if r.status != http.StatusOK {
					t.Error(r.body)
				}
				if r := post(t, s, fmt.Sprintf("SELECT count() FROM t WHERE who = %d", who)); r.body != fmt.Sprintln(n+1) {
					t.Error(r.body)
				}
			}
		})
	}
	clients.Wait()
	post(t, s, "SELECT count() FROM t").want(t, "80\n")
}

// manyParts: the engine streams an answer in parts, each formatted as a whole one.
func manyParts(t *testing.T, s *chdbtest.Server) {
	t.Helper()
	const n = 300_000
	ask := func(format string) string {
		t.Helper()
		r := post(t, s, fmt.Sprintf("SELECT number, 'a\nb' AS `two\nlines` FROM numbers(%d) FORMAT %s", n, format))
		if r.status != http.StatusOK || r.err != nil {
			t.Fatal(format, r.status, r.err, r.body[:min(len(r.body), 200)])
		}
		return r.body
	}
	for plain, heads := range map[string][]string{
		"TabSeparated":              {"number\ttwo\\nlines\n", "UInt64\tString\n"},
		"TSV":                       {"number\ttwo\\nlines\n", "UInt64\tString\n"},
		"CSV":                       {"\"number\",\"two\nlines\"\n", "\"UInt64\",\"String\"\n"},
		"JSONCompactEachRow":        {"[\"number\", \"two\\nlines\"]\n", "[\"UInt64\", \"String\"]\n"},
		"JSONCompactStringsEachRow": {"[\"number\", \"two\\nlines\"]\n", "[\"UInt64\", \"String\"]\n"},
		"RowBinary":                 {"\x02\x06number\x09two\nlines", "\x06UInt64\x06String"},
	} {
		rows := ask(plain)
		if ask(plain+"WithNames") != heads[0]+rows {
			t.Errorf("%sWithNames has other heads than one", plain)
		}
		if ask(plain+"WithNamesAndTypes") != heads[0]+heads[1]+rows {
			t.Errorf("%sWithNamesAndTypes has other heads than one", plain)
		}
	}
	var whole struct {
		Data []struct{ Number json.Number }
		Rows int
	}
	if err := json.Unmarshal([]byte(ask("JSON")), &whole); err != nil || len(whole.Data) != n || whole.Rows != n {
		t.Error("JSON:", err, len(whole.Data), whole.Rows)
	}
	if file := ask("Parquet"); strings.Count(file, "PAR1") != 2 {
		t.Errorf("Parquet: %d files", strings.Count(file, "PAR1")/2)
	}
	var all []json.RawMessage
	array := request{params: "output_format_json_array_of_rows=1", body: strings.NewReader(fmt.Sprintf("SELECT number FROM numbers(%d) FORMAT JSONEachRow", n))}.send(t, s)
	if err := json.Unmarshal([]byte(array.body), &all); err != nil || len(all) != n {
		t.Error("JSONEachRow as an array:", err, len(all))
	}
}
