package kafka_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/kafka"
)

// patience ends a test that hangs; nothing waits for it otherwise.
const patience = 2 * time.Minute

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// config is for a cluster that lives no longer than the test and leaves room for others.
func config(t *testing.T) kafka.Config {
	t.Helper()
	err := kafka.Check(t.Context())
	skeintest.Require(t, "kafka", err == nil, fmt.Sprint(err))
	return kafka.Config{Dir: filepath.Join(t.TempDir(), "kafka"), Heap: "256m", Frugal: true, Owned: true}
}

func up(t *testing.T, cfg kafka.Config) *kafka.Cluster {
	t.Helper()
	c, err := kafka.Make(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { must(t, c.Remove(context.Background())) })
	must(t, c.Up(t.Context()))
	return c
}

// access is how Skein reaches a secure cluster.
func access(t *testing.T, c *kafka.Cluster) kafkalog.Config {
	t.Helper()
	text, err := os.ReadFile(c.CAFile())
	must(t, err)
	authorities := x509.NewCertPool()
	if !authorities.AppendCertsFromPEM(text) {
		t.Fatal("no authority")
	}
	username, password := c.Credentials()
	return kafkalog.Config{
		Brokers: c.Addrs(), TLS: &tls.Config{RootCAs: authorities, MinVersion: tls.VersionTLS12},
		SASL:     &kafkalog.SASL{Mechanism: "SCRAM-SHA-512", Username: username, Password: password},
		Patience: patience,
	}
}

func connect(t *testing.T, cfg kafkalog.Config) eventlog.Log {
	t.Helper()
	cfg.Timeout, cfg.Patience = patience, patience
	log, err := kafkalog.Open(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { must(t, log.Close()) })
	return log
}

func ensure(t *testing.T, log eventlog.Log, topic string, partitions int) {
	t.Helper()
	must(t, log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: partitions}))
}

func appendAll(t *testing.T, log eventlog.Log, messages ...eventlog.Message) []eventlog.Position {
	t.Helper()
	positions, err := eventlog.AppendAll(t.Context(), log, messages)
	must(t, err)
	return positions
}

// readAll reads all that a topic holds, partition by partition.
func readAll(t *testing.T, log eventlog.Log, topic string) (records []eventlog.Record) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	partitions, err := log.Partitions(ctx, topic)
	must(t, err)
	for p := range int32(partitions) {
		first, next, err := log.Bounds(ctx, topic, p)
		must(t, err)
		r, err := log.Open(ctx, topic, p, first)
		must(t, err)
		for offset := first; offset < next; {
			more, err := r.Read(ctx, 1000)
			must(t, err)
			records = append(records, more...)
			offset = more[len(more)-1].Offset + 1
		}
		must(t, r.Close())
	}
	return records
}

// load appends numbered messages of some keys, many at once, until it is ended, and notes what was acknowledged.
type load struct {
	log   eventlog.Log
	topic string
	stop  context.CancelFunc
	ended chan struct{}

	mu           sync.Mutex
	changed      *sync.Cond
	acknowledged map[eventlog.Position]string
	failures     []error
}

func startLoad(t *testing.T, log eventlog.Log, topic string) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	l := &load{log: log, topic: topic, stop: stop, ended: make(chan struct{}), acknowledged: make(map[eventlog.Position]string)}
	l.changed = sync.NewCond(&l.mu)
	t.Cleanup(stop)
	go l.run(ctx)
	return l
}

// Some thousand messages a second leave the machine to the brokers.
const (
	loadKeys = 16
	loadTick = 5 * time.Millisecond
	loadEach = 20 // messages a tick
)

func (l *load) run(ctx context.Context) {
	defer close(l.ended)
	var underWay sync.WaitGroup
	defer underWay.Wait()
	tick := time.NewTicker(loadTick)
	defer tick.Stop()
	for i := 0; ; i++ {
		if i%loadEach == 0 {
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
		value := fmt.Sprintf("%d/%d", i%loadKeys, i/loadKeys)
		underWay.Add(1)
		err := l.log.Append(ctx, eventlog.Message{Topic: l.topic, Key: fmt.Append(nil, i%loadKeys), Value: []byte(value)},
			func(p eventlog.Position, err error) {
				l.note(p, value, err)
				underWay.Done()
			})
		if err != nil { // ctx has ended
			underWay.Done()
		}
	}
}

func (l *load) note(p eventlog.Position, value string, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.failures = append(l.failures, err)
	} else {
		l.acknowledged[p] = value
	}
	l.changed.Broadcast()
}

// goesOn waits until n more messages were acknowledged.
func (l *load) goesOn(t *testing.T, n int) {
	t.Helper()
	late := false
	defer time.AfterFunc(patience, func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		late = true
		l.changed.Broadcast()
	}).Stop()
	l.mu.Lock()
	defer l.mu.Unlock()
	for want := len(l.acknowledged) + n; len(l.acknowledged) < want && !late; {
		l.changed.Wait()
	}
	if late {
		t.Fatal("no appends are acknowledged any more")
	}
}

// end stops appending and compares what was acknowledged with what the log holds. A batch may stand there twice, where its
// acknowledgement was lost; a message may be missing nowhere, and none may overtake another one of its key.
func (l *load) end(t *testing.T) {
	t.Helper()
	l.stop()
	<-l.ended
	for _, err := range l.failures {
		t.Errorf("an append failed: %v", err)
	}
	repeated, left := 0, len(l.acknowledged)
	next := make(map[string]int)
	for _, r := range readAll(t, l.log, l.topic) {
		if want, ok := l.acknowledged[r.Position]; ok {
			left--
			if want != string(r.Value) {
				t.Errorf("%s was acknowledged for %s and holds %s", r.Position, want, r.Value)
			}
		}
		key, number, _ := strings.Cut(string(r.Value), "/")
		var i int
		if _, err := fmt.Sscan(number, &i); err != nil {
			t.Fatal(err)
		}
		switch {
		case i < next[key]:
			repeated++
		case i > next[key]:
			t.Errorf("%s stands at %s, where %d is due", r.Value, r.Position, next[key])
			fallthrough
		default:
			next[key] = i + 1
		}
	}
	if left > 0 {
		t.Errorf("%d of %d acknowledged messages are lost", left, len(l.acknowledged))
	}
	t.Logf("%d acknowledged, none lost, %d stand there twice", len(l.acknowledged), repeated)
}

func wantMismatch(t *testing.T, err error, tells ...string) {
	t.Helper()
	if !errors.Is(err, eventlog.ErrTopicMismatch) {
		t.Fatalf("%v, want ErrTopicMismatch", err)
	}
	for _, part := range tells {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}
