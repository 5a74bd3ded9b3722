package chdb_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
)

// pythonPackage is the client that data teams use.
const pythonPackage = "clickhouse-connect==1.12.0"

const pythonClient = `
import sys, clickhouse_connect
host, port = sys.argv[1].split(":")
for options in ({}, {"autogenerate_session_id": False}, {"compress": "gzip"}, {"compress": "zstd"}, {"compress": "lz4"}, {"compress": False}):
    c = clickhouse_connect.get_client(host=host, port=int(port), username="admin", password="a", database="skein", **options)
    c.command("CREATE TABLE IF NOT EXISTS py (n UInt32, s String, a Array(Nullable(String))) ENGINE = MergeTree ORDER BY n")
    c.command("TRUNCATE TABLE py")
    c.insert("py", [[1, "a\n\nb", ["x", None]], [2, "中", []]], column_names=["n", "s", "a"])
    assert c.query("SELECT n, s, a FROM py ORDER BY n").result_rows == [(1, "a\n\nb", ["x", None]), (2, "中", [])]
    assert c.query("SELECT s FROM py WHERE n = {n:UInt32}", parameters={"n": 2}).result_rows == [("中",)]
    with c.query_row_block_stream("SELECT number FROM numbers(200000)") as blocks:
        assert sum(len(b) for b in blocks) == 200000
    try:
        c.query("SELECT * FROM nowhere")
        assert False
    except clickhouse_connect.driver.exceptions.DatabaseError as e:
        assert "UNKNOWN_TABLE" in str(e), e
    r = clickhouse_connect.get_client(host=host, port=int(port), username="reader", password="r", database="skein", **options)
    assert r.query("SELECT count() FROM py").result_rows == [(2,)]
    try:
        r.command("DROP TABLE py")
        assert False
    except clickhouse_connect.driver.exceptions.DatabaseError as e:
        assert "READONLY" in str(e), e
print("fine")
`

// python is one that has clickhouse-connect.
func python(t *testing.T) string {
	t.Helper()
	environment := filepath.Join(t.TempDir(), "venv")
	program := filepath.Join(environment, "bin", "python")
	out, err := exec.CommandContext(t.Context(), "python3", "-m", "venv", environment).CombinedOutput()
	if err == nil {
		out, err = exec.CommandContext(t.Context(), program, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", pythonPackage).CombinedOutput()
	}
	if err == nil {
		return program
	}
	if required := os.Getenv("SKEIN_REQUIRE"); required == "all" || strings.Contains(required, "python") {
		t.Fatalf("pip cannot install %s: %v: %s", pythonPackage, err, out)
	}
	t.Skipf("skipped: pip cannot install %s (SKEIN_REQUIRE=python makes this a failure): %v", pythonPackage, err)
	return ""
}

func TestPythonsClickHouseConnectWorks(t *testing.T) {
	client := python(t)
	s := chdbtest.Start(t, func(c *chdb.Config) {
		c.Users = []chdb.User{{Name: "admin", Password: "a"}, {Name: "reader", Password: "r", ReadOnly: true}}
	})
	out, err := exec.CommandContext(t.Context(), client, "-c", pythonClient, s.Addr).CombinedOutput()
	if err != nil || !strings.HasSuffix(string(out), "fine\n") {
		t.Fatalf("%v\n%s", err, out)
	}
}
