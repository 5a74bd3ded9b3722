package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// bentoVersion is the peer of the sink. Newer ones cannot be a dependency as they are: they replace one of their own.
const bentoVersion = "v1.20.0"

// bentoMain is Bento with the parts that the peer needs, and no others: they take an hour to build.
const bentoMain = `package main

import (
	"context"

	_ "github.com/ClickHouse/clickhouse-go/v2"
	_ "github.com/warpstreamlabs/bento/public/components/io"
	_ "github.com/warpstreamlabs/bento/public/components/kafka"
	_ "github.com/warpstreamlabs/bento/public/components/pure/extended"
	_ "github.com/warpstreamlabs/bento/public/components/sql/base"
	"github.com/warpstreamlabs/bento/public/service"
)

func main() { service.RunCLI(context.Background()) }
`

// bento builds the peer in a module of its own, once for this user.
func (b *bench) bento(ctx context.Context) (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "skein", "bento-"+bentoVersion)
	program := filepath.Join(dir, "bento")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	b.say("  building Bento %s, once for this user (some minutes) ...", bentoVersion)
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return "", err
	}
	module := "module bento\n\ngo 1.26\n\nrequire github.com/warpstreamlabs/bento " + bentoVersion + "\n"
	for name, text := range map[string]string{"go.mod": module, "main.go": bentoMain} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return "", err
		}
	}
	command := exec.CommandContext(ctx, "go", "build", "-trimpath", "-o", program+".new", ".")
	command.Dir = dir
	command.Env = append(os.Environ(), "GOWORK=off", "GOFLAGS=-mod=mod", "CGO_ENABLED=0")
	if said, err := command.CombinedOutput(); err != nil {
		said = bytes.TrimSpace(said)
		return "", fmt.Errorf("go build: %w: %s", err, said[max(0, len(said)-1000):])
	}
	return program, os.Rename(program+".new", program)
}

// bentoEvent is the envelope as far as the peer needs it. Content is what it holds, and read along with it.
const bentoEvent = `syntax = "proto3";
package peer;

import "google/protobuf/timestamp.proto";

message Party {
  string endpoint_id = 1;
  int32 side = 4;
}
message Actor {
  int32 kind = 1;
  string id = 2;
}
message Event {
  string id = 1;
  string tenant = 2;
  string type = 3;
  google.protobuf.Timestamp occurred_at = 4;
  google.protobuf.Timestamp received_at = 5;
  string thread_id = 6;
  repeated Party parties = 7;
  int32 channel = 8;
  int32 direction = 9;
  Actor actor = 10;
  string provider = 11;
  string inbox = 12;
  uint32 schema_version = 15;
  int32 origin = 16;
  string interaction_id = 17;
  string queue = 18;
  string visit_id = 19;
  string assignment_id = 20;
  string language = 21;
  string causation_id = 22;
  string correlation_id = 23;
  bool backfill = 24;
}
`

// bentoConfig reads the log, decodes the envelope, and inserts rows of events by a mapping: every column but those that the content
// fills. The batches are as large as those of the sink.
func bentoConfig(brokers, group, protos, dsn string) string {
	columns := []struct{ name, mapping string }{
		{"tenant", "this.tenant"},
		{"event_id", "this.id"},
		{"type", "this.type"},
		{"occurred_at", `this.occurred_at.ts_parse("2006-01-02T15:04:05Z07:00")`},
		{"received_at", `this.received_at.ts_parse("2006-01-02T15:04:05Z07:00")`},
		{"channel", `["","voice","web_chat","email","sms","social_message","social_post","in_app","video","task"].index(this.channel | 0)`},
		{"direction", `["","inbound","outbound","internal"].index(this.direction | 0)`},
		{"origin", `["","inbound","outbound","transfer","callback","campaign","escalation","consult","internal"].index(this.origin | 0)`},
		{"provider", `this.provider | ""`},
		{"inbox", `this.inbox | ""`},
		{"thread", "this.thread_id"},
		{"interaction", "this.interaction_id | $none"},
		{"endpoint", "$customers.index(0) | $none"},
		{"endpoints", "$customers"},
		{"actor_kind", `["","customer","agent","bot","system"].index(this.actor.kind | 0)`},
		{"actor", `this.actor.id | ""`},
		{"queue", `this.queue | ""`},
		{"visit", "this.visit_id | $none"},
		{"assignment", "this.assignment_id | $none"},
		{"language", `this.language | ""`},
		{"causation", "this.causation_id | $none"},
		{"correlation", `this.correlation_id | ""`},
		{"backfill", "this.backfill | false"},
		{"schema_version", "(this.schema_version | 0).uint8()"},
		{"topic", `@kafka_topic`},
		{"partition", `@kafka_partition.int32()`},
		{"offset", `@kafka_offset.int64()`},
	}
	var names, mappings []string
	for _, c := range columns {
		names, mappings = append(names, c.name), append(mappings, c.mapping)
	}
	return fmt.Sprintf(`
http: {enabled: false}
logger: {level: ERROR}
input:
  kafka_franz:
    seed_brokers: [%q]
    topics: [%q]
    consumer_group: %q
    start_from_oldest: true
    checkpoint_limit: 200000
    batching: {count: 50000, period: 1s}
pipeline:
  threads: -1
  processors:
    - protobuf:
        operator: to_json
        message: peer.Event
        import_paths: [%q]
        use_proto_names: true
        discard_unknown: true
output:
  sql_insert:
    driver: clickhouse
    dsn: %q
    table: events
    columns: [%s]
    max_in_flight: 4
    args_mapping: |
      let none = "00000000-0000-0000-0000-000000000000"
      let customers = (this.parties | []).filter(p -> (p.side | 0) == 1 && (p.endpoint_id | "") != "").map_each(p -> p.endpoint_id)
      root = [
        %s,
      ]
`, brokers, foldTopic, group, protos, dsn, strings.Join(names, ", "), strings.Join(mappings, ",\n        "))
}

// bentoShare is the time that the peer gets, in those that a measurement by time takes.
const bentoShare = 3

// bentoSink has Bento fill the table of events for a while, or until it has all of n.
func (b *bench) bentoSink(ctx context.Context, program string, log *broker, house *clickHouse, n int) (s sunk, err error) {
	dir := b.newDir()
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return sunk{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	config := filepath.Join(dir, "config.yaml")
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "event.proto"), []byte(bentoEvent), 0o600),
		os.WriteFile(config, []byte(bentoConfig(log.addr, fmt.Sprint("bento-", b.dirs), dir, house.dsn())), 0o600),
	)
	if err != nil {
		return sunk{}, err
	}
	p, err := start(ctx, program, "-c", config)
	if err != nil {
		return sunk{}, err
	}
	defer func() {
		stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		err = errors.Join(err, p.end(stopping))
	}()
	rows := func() (int, error) {
		var there uint64
		err := house.ask(ctx, "SELECT count() FROM events", &there)
		return int(there), err
	}
	first := 0
	err = p.await(ctx, func() bool { // what it takes to begin does not count
		first, err = rows()
		return err != nil || first > 0
	})
	if err != nil {
		return sunk{}, fmt.Errorf("bento: %w", err)
	}
	began, own, engine := time.Now(), cpuOf(p.cmd.Process.Pid), cpuOf(house.PID())
	there := first
	for there < n && time.Since(began) < bentoShare*b.Each {
		select {
		case <-p.done:
			return sunk{}, fmt.Errorf("bento ended: %s", p.out.text())
		case <-ctx.Done():
			return sunk{}, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
		if there, err = rows(); err != nil {
			return sunk{}, err
		}
	}
	s.events, s.took = there-first, time.Since(began)
	s.own, s.engine = cpuOf(p.cmd.Process.Pid)-own, cpuOf(house.PID())-engine
	if s.events == 0 {
		return sunk{}, fmt.Errorf("bento: it was done with %d rows before anybody looked: %s", first, p.out.text())
	}
	return s, nil
}
