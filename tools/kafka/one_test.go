package kafka_test

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/tools/kafka"
)

func TestOneBroker(t *testing.T) {
	cfg := config(t)
	c := up(t, cfg)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *kafka.Cluster, kafka.Config)
	}{
		{"a cluster is its directory", isItsDirectory},
		{"a topic that would lose events is refused, and what is told to do helps", foreignTopics},
		{"records of the Java client are read, by whatever they are compressed", javaRecords},
		{"nothing acknowledged is lost when the broker is killed", killedUnderLoad},
		{"a record that has changed on the disk is never read as if it had not", corrupted},
		{"what a crash took is told, not skipped", cutOff},
		{"a broker that cannot start says why", cannotStart},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c, cfg) })
	}
}

func isItsDirectory(t *testing.T, c *kafka.Cluster, cfg kafka.Config) {
	t.Helper()
	must(t, c.Up(t.Context())) // does nothing
	found, err := kafka.Find(t.Context(), kafka.Config{Dir: cfg.Dir})
	must(t, err)
	if found.Addrs()[0] != c.Addrs()[0] {
		t.Errorf("found at %v, made at %v", found.Addrs(), c.Addrs())
	}
	wantRunning(t, found, true)
	more := cfg
	more.Brokers = 3
	if _, err := kafka.Make(t.Context(), more); err == nil || !strings.Contains(err.Error(), cfg.Dir) {
		t.Errorf("three brokers in the directory of one: %v", err)
	}
	if _, err := kafka.Find(t.Context(), kafka.Config{Dir: t.TempDir()}); !errors.Is(err, kafka.ErrNoCluster) {
		t.Errorf("an empty directory gave %v", err)
	}
	if err := c.Kill(t.Context(), 2); err == nil {
		t.Error("broker 2 of 1 was killed")
	}
	must(t, found.Stop(t.Context(), 1))
	wantRunning(t, c, false)
	must(t, c.Down(t.Context())) // does nothing
	must(t, c.Up(t.Context()))
	wantRunning(t, found, true)
}

func wantRunning(t *testing.T, c *kafka.Cluster, want bool) {
	t.Helper()
	if runs, err := c.Running(1); runs != want || err != nil {
		t.Errorf("running: %v, %v; want %v", runs, err, want)
	}
}

func java(t *testing.T, c *kafka.Cluster, input, class string, args ...string) {
	t.Helper()
	program := c.Java(t.Context(), class, append([]string{"--bootstrap-server", c.Addrs()[0]}, args...)...)
	program.Stdin = strings.NewReader(input)
	if out, err := program.CombinedOutput(); err != nil {
		t.Errorf("%s %s: %v\n%s", class, args, err, out)
	}
}

func foreignTopics(t *testing.T, c *kafka.Cluster, _ kafka.Config) {
	t.Helper()
	log := connect(t, kafkalog.Config{Brokers: c.Addrs(), MaxMessageBytes: 2 << 20})
	java(t, c, "", "org.apache.kafka.tools.TopicCommand", "--create", "--topic", "foreign", "--partitions", "2",
		"--config", "retention.bytes=1000000", "--config", "cleanup.policy=compact")
	wantMismatch(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: "foreign", Partitions: 3}), "foreign", "2 partitions", "3 are wanted")
	wanted := eventlog.Topic{Name: "foreign", Partitions: 2}
	var changed []string
	err := log.EnsureTopics(t.Context(), wanted)
	for ; err != nil && len(changed) < 5; err = log.EnsureTopics(t.Context(), wanted) {
		wantMismatch(t, err, "foreign", "is wanted")
		_, command, _ := strings.Cut(err.Error(), "kafka-configs.sh ")
		java(t, c, "", "org.apache.kafka.tools.ConfigCommand", strings.Fields(command)...)
		changed = append(changed, command)
	}
	if err != nil || len(changed) != 4 {
		t.Errorf("after %q: %v", changed, err)
	}
}

// The key says which partition Java's client chooses.
func javaRecords(t *testing.T, c *kafka.Cluster, _ kafka.Config) {
	t.Helper()
	log := connect(t, kafkalog.Config{Brokers: c.Addrs()})
	ensure(t, log, "java", 5)
	const each = 200
	codecs := []string{"none", "gzip", "snappy", "lz4", "zstd"}
	var all sync.WaitGroup
	for _, codec := range codecs {
		all.Go(func() {
			var lines strings.Builder
			for i := range each {
				fmt.Fprintf(&lines, "%s-%d|%s\n", codec, i, strings.Repeat("值", i))
			}
			java(t, c, lines.String(), "org.apache.kafka.tools.ConsoleProducer", "--topic", "java", "--compression-codec", codec,
				"--reader-property", "parse.key=true", "--reader-property", "key.separator=|")
		})
	}
	all.Wait()
	left := make(map[string]string)
	for _, codec := range codecs {
		for i := range each {
			left[fmt.Sprintf("%s-%d", codec, i)] = strings.Repeat("值", i)
		}
	}
	for _, r := range readAll(t, log, "java") {
		if value, ok := left[string(r.Key)]; !ok || value != string(r.Value) {
			t.Errorf("%s holds %s: %s", r.Position, r.Key, r.Value)
		}
		delete(left, string(r.Key))
		if want := eventlog.Partition(r.Key, 5); r.Partition != want {
			t.Errorf("%s stands in partition %d, ours is %d", r.Key, r.Partition, want)
		}
	}
	if len(left) > 0 {
		t.Errorf("%d records were not read", len(left))
	}
}

func killedUnderLoad(t *testing.T, c *kafka.Cluster, _ kafka.Config) {
	t.Helper()
	log := connect(t, kafkalog.Config{Brokers: c.Addrs()})
	ensure(t, log, "load", 3)
	l := startLoad(t, log, "load")
	l.goesOn(t, 2000)
	must(t, c.Kill(t.Context(), 1))
	must(t, c.Start(t.Context(), 1))
	l.goesOn(t, 2000)
	var restarts sync.WaitGroup
	for range 2 { // one after the other
		restarts.Go(func() {
			if err := c.Restart(t.Context(), 1); err != nil {
				t.Error(err)
			}
		})
	}
	restarts.Wait()
	l.goesOn(t, 2000)
	l.end(t)
}

// segment is the file that holds what was appended to a topic of one partition.
func segment(c *kafka.Cluster, topic string) string {
	return filepath.Join(c.DataDir(1), topic+"-0", "00000000000000000000.log")
}

func corrupted(t *testing.T, c *kafka.Cluster, _ kafka.Config) {
	t.Helper()
	log := connect(t, kafkalog.Config{Brokers: c.Addrs()})
	ensure(t, log, "corrupted", 1)
	appendAll(t, log, eventlog.Message{Topic: "corrupted", Value: []byte("as it was")})
	appendAll(t, log, eventlog.Message{Topic: "corrupted", Value: []byte("what is changed")})
	must(t, c.Stop(t.Context(), 1))
	text, err := os.ReadFile(segment(c, "corrupted"))
	must(t, err)
	at := bytes.Index(text, []byte("changed"))
	text[at] ^= 1
	must(t, os.WriteFile(segment(c, "corrupted"), text, 0o600))
	must(t, c.Start(t.Context(), 1))

	impatient, err := kafkalog.Open(t.Context(), kafkalog.Config{Brokers: c.Addrs(), Timeout: time.Second})
	must(t, err)
	defer impatient.Close()
	r, err := impatient.Open(t.Context(), "corrupted", 0, 0)
	must(t, err)
	defer r.Close()
	for {
		records, err := r.Read(t.Context(), 1)
		if err != nil {
			if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "corrupted/0") {
				t.Errorf("%v, want ErrUnavailable with the place", err)
			}
			break
		}
		if string(records[0].Value) != "as it was" {
			t.Fatalf("read %s", records[0].Value)
		}
	}
}

// A lone broker that loses power may lose what it had acknowledged. Whoever has read that must not go on as if nothing were.
func cutOff(t *testing.T, c *kafka.Cluster, _ kafka.Config) {
	t.Helper()
	log := connect(t, kafkalog.Config{Brokers: c.Addrs()})
	ensure(t, log, "cut", 1)
	appendAll(t, log, eventlog.Message{Topic: "cut", Value: []byte("stays")})
	last := appendAll(t, log, eventlog.Message{Topic: "cut", Value: []byte("is lost")})[0]
	r, err := log.Open(t.Context(), "cut", 0, last.Offset+1)
	must(t, err)
	defer r.Close()
	must(t, c.Kill(t.Context(), 1))
	info, err := os.Stat(segment(c, "cut"))
	must(t, err)
	must(t, os.Truncate(segment(c, "cut"), info.Size()-1))
	must(t, c.Start(t.Context(), 1))
	if records, err := r.Read(t.Context(), 1); !errors.Is(err, eventlog.ErrOffsetOutOfRange) {
		t.Errorf("read %v, %v; want ErrOffsetOutOfRange", records, err)
	}
	if _, err := log.Open(t.Context(), "cut", 0, last.Offset+1); !errors.Is(err, eventlog.ErrOffsetOutOfRange) {
		t.Errorf("opened behind the end: %v, want ErrOffsetOutOfRange", err)
	}
	if records := readAll(t, log, "cut"); len(records) != 1 || string(records[0].Value) != "stays" {
		t.Errorf("read %v", records)
	}
}

func cannotStart(t *testing.T, c *kafka.Cluster, cfg kafka.Config) {
	t.Helper()
	must(t, c.Stop(t.Context(), 1))
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", c.Addrs()[0])
	must(t, err)
	if err := c.Start(t.Context(), 1); err == nil || !strings.Contains(err.Error(), c.Addrs()[0]) || !strings.Contains(err.Error(), "in use") {
		t.Errorf("a port that is taken: %v", err)
	}
	must(t, l.Close())
	properties := filepath.Join(cfg.Dir, "1", "server.properties")
	text, err := os.ReadFile(properties)
	must(t, err)
	must(t, os.WriteFile(properties, append(text, "num.io.threads=many\n"...), 0o600))
	if err := c.Up(t.Context()); err == nil || !strings.Contains(err.Error(), "num.io.threads") || !strings.Contains(err.Error(), c.LogFile(1)) {
		t.Errorf("a setting that is wrong: %v", err)
	}
	wantRunning(t, c, false)
}
