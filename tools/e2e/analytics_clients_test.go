package e2e_test

import (
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// pythonClickHouse is what data teams ask ClickHouse with from Python.
const pythonClickHouse = "clickhouse-connect==1.12.0"

// asksClickHouse is what a data team would write.
const asksClickHouse = `
import datetime, sys
import clickhouse_connect
from clickhouse_connect.driver.exceptions import DatabaseError

host, port = sys.argv[1].split(":")
c = clickhouse_connect.get_client(host=host, port=int(port), database="skein")
rows = c.query(
    "SELECT kind, text, occurred_at FROM messages WHERE tenant = {tenant:String} AND text LIKE {like:String} AND occurred_at >= {since:DateTime} ORDER BY occurred_at",
    parameters={"tenant": "default", "like": "%酒店%", "since": datetime.datetime(2026, 3, 1)},
)
assert rows.column_names == ("kind", "text", "occurred_at"), rows.column_names
assert [r[:2] for r in rows.result_rows] == [("message", "酒店在哪里？"), ("message", "两家酒店")], rows.result_rows
assert rows.first_row[2].replace(tzinfo=None) == datetime.datetime(2026, 3, 2, 10), rows.first_row
columns = c.query("SELECT language, count() AS n, max(length(text)) FROM messages WHERE tenant = 'default' GROUP BY language ORDER BY language", column_oriented=True)
assert [tuple(col) for col in columns.result_set] == [("pl", "zh"), (1, 2), (19, 18)], columns.result_set
assert c.query("SELECT count() FROM messages WHERE text IN {all:Array(String)}", parameters={"all": ["Zażółć gęślą", "x"]}).result_rows == [(1,)]
with c.query_row_block_stream("SELECT number FROM numbers(100000)") as blocks:
    assert sum(len(b) for b in blocks) == 100000

reader = clickhouse_connect.get_client(host=host, port=int(port), database="skein", settings={"readonly": 1})
assert reader.query("SELECT count() FROM messages WHERE tenant = 'default'").result_rows == [(3,)]
for attempt in (
    lambda: reader.insert("messages", [["default", "mine"]], column_names=["tenant", "text"]),
    lambda: reader.command("INSERT INTO messages (tenant, text) SELECT 'default', 'mine'"),
    lambda: reader.command("TRUNCATE TABLE messages"),
):
    try:
        attempt()
    except DatabaseError as e:
        assert "READONLY" in str(e) or "readonly" in str(e), e
    else:
        raise AssertionError("a reader wrote")
print("fine")
`

// threeMessages are published, two in Chinese and one in Polish.
func threeMessages(h *house) {
	h.t.Helper()
	conn, err := rpc.Dial(h.site.GRPC, "", nil)
	must(h.t, err)
	defer conn.Close()
	request := &ingestv1.PublishRequest{}
	for n, text := range []string{"酒店在哪里？", "两家酒店", "Zażółć gęślą"} {
		language := "zh"
		if n == 2 {
			language = "pl"
		}
		request.Submissions = append(request.Submissions, &eventv1.Submission{
			Type: "message.received", OccurredAt: timestamppb.New(time.Date(2026, 3, 2, 10, n, 0, 0, time.UTC)), Channel: eventv1.Channel_CHANNEL_WEB_CHAT,
			Direction: eventv1.Direction_DIRECTION_INBOUND, Provider: "test", Inbox: "web", Thread: "t", NativeId: fmt.Sprint(n), Language: language,
			Parties: []*eventv1.SubmittedParty{{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: "v"}, Side: eventv1.Side_SIDE_CUSTOMER,
			}},
			Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: text}}},
		})
	}
	answer, err := ingestv1.NewIngestServiceClient(conn).Publish(h.t.Context(), request)
	must(h.t, err)
	var positions []*eventv1.Position
	for _, ack := range answer.GetAcknowledgements() {
		positions = append(positions, ack.GetPosition())
	}
	h.contains(positions)
}

func TestPythonAndCurlAskClickHouseAndAReaderWritesNothing(t *testing.T) {
	h, srv := newHouse(t)
	threeMessages(h)
	t.Run("python", func(t *testing.T) {
		environment := filepath.Join(t.TempDir(), "venv")
		python := filepath.Join(environment, "bin", "python")
		out, err := exec.CommandContext(t.Context(), "python3", "-m", "venv", environment).CombinedOutput()
		if err == nil {
			out, err = exec.CommandContext(t.Context(), python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", pythonClickHouse).CombinedOutput()
		}
		skeintest.Require(t, "python", err == nil, fmt.Sprintf("pip cannot install %s: %s", pythonClickHouse, out))
		out, err = exec.CommandContext(t.Context(), python, "-c", asksClickHouse, h.addr).CombinedOutput()
		if err != nil || !strings.HasSuffix(string(out), "fine\n") {
			t.Fatalf("%v\n%s", err, out)
		}
	})
	t.Run("curl", func(t *testing.T) {
		_, err := exec.LookPath("curl")
		skeintest.Require(t, "curl", err == nil, "there is no curl")
		curl := func(args ...string) string {
			out, err := exec.CommandContext(t.Context(), "curl", append([]string{"--silent", "--show-error"}, args...)...).CombinedOutput()
			if err != nil {
				t.Fatalf("curl %v: %v\n%s", args, err, out)
			}
			return string(out)
		}
		at := "http://" + h.addr + "/"
		const count = "SELECT count() FROM skein.messages WHERE tenant = 'default' AND text LIKE '%酒店%'"
		for name, got := range map[string]string{
			"by GET":                        curl("--get", at, "--data-urlencode", "query="+count),
			"by POST":                       curl(at, "--data-binary", count),
			"by POST, with the database":    curl(at+"?database=skein", "--data-binary", "SELECT count() FROM messages WHERE language = 'zh'"),
			"with a parameter":              curl(at+"?param_like=%25%E9%85%92%E5%BA%97%25", "--data-binary", "SELECT count() FROM skein.messages WHERE text LIKE {like:String}"),
			"compressed":                    curl("--compressed", at+"?enable_http_compression=1", "--data-binary", count),
			"a query in parts, with a body": curl(at+"?query=SELECT+count()+FROM+skein.messages", "--data-binary", "WHERE language = 'zh'"),
		} {
			if got != "2\n" {
				t.Errorf("%s it says %q", name, got)
			}
		}
		file := filepath.Join(t.TempDir(), "rows.parquet")
		curl("--output", file, at, "--data-binary", "SELECT * FROM skein.messages FORMAT Parquet")
		if rows, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(rows), "PAR1") || !strings.HasSuffix(string(rows), "PAR1") {
			t.Errorf("it is not Parquet: %v", err)
		}
		for _, got := range []string{
			curl("--get", at, "--data-urlencode", "query=INSERT INTO skein.messages (tenant, text) SELECT 'default', 'mine'"),
			curl(at+"?readonly=1", "--data-binary", "INSERT INTO skein.messages (tenant, text) SELECT 'default', 'mine'"),
			curl(at+"?readonly=1", "--data-binary", "DROP TABLE skein.messages"),
		} {
			if !strings.Contains(got, "READONLY") {
				t.Errorf("a reader that writes is told %q", got)
			}
		}
		if got := curl("--get", at, "--data-urlencode", "query=SELECT no_such_column FROM skein.messages"); !strings.Contains(got, "UNKNOWN_IDENTIFIER") {
			t.Errorf("who asks for what is not there is told %q", got)
		}
	})
	h.says(3, "SELECT count() FROM skein.messages", nil)
	if _, err := h.ask(http.MethodGet, "CREATE TABLE skein.mine (n UInt8) ENGINE = Memory", nil); err == nil {
		t.Error("a GET made a table")
	}
	quit(t, srv)
}
