package embedded_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/freeport"
)

const topic = "topic"

func TestARestartKeepsEverything(t *testing.T) {
	for _, sync := range []bool{false, true} {
		t.Run(fmt.Sprintf("SyncWrites=%t", sync), func(t *testing.T) {
			t.Parallel()
			cfg := embedded.Config{Dir: filepath.Join(t.TempDir(), "not", "there", "yet"), Addr: "127.0.0.1:0", SyncWrites: sync}
			for round := range 3 {
				broker := start(t, cfg)
				log := connected(t, broker, kafkalog.Config{})
				want := round * 100
				if got := len(readAll(t, log)); got != want {
					t.Errorf("start %d found %d records, want %d", round, got, want)
				}
				for i, p := range appendAll(t, log, numbered(want, 100)) {
					if p.Offset != int64(want+i) {
						t.Fatalf("message %d was appended at %s", want+i, p)
					}
				}
				must(t, log.Close())
				must(t, broker.Close())
				must(t, broker.Close())
			}
		})
	}
}

func TestWhatIsTransientIsDeletedAndNothingElse(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Transient: map[string]time.Duration{"transient": 300 * time.Millisecond, "not there": time.Millisecond}}
	for round := range 2 { // whose second one begins with what the first one left
		broker := start(t, cfg)
		log := connected(t, broker, kafkalog.Config{})
		must(t, log.EnsureTopics(background(t), eventlog.Topic{Name: "transient", Partitions: 1, Retention: time.Minute}))
		kept := appendAll(t, log, numbered(round*100, 100))
		gone := func() bool {
			first, next, err := log.Bounds(background(t), "transient", 0)
			must(t, err)
			return first == next
		}
		_, next, err := log.Bounds(background(t), "transient", 0)
		must(t, err)
		reader, err := log.Open(background(t), "transient", 0, next)
		must(t, err)
		for n := range 3 {
			m := eventlog.Message{Topic: "transient", Value: []byte{byte(n)}}
			at, err := eventlog.AppendAll(background(t), log, []eventlog.Message{m, m, m})
			must(t, err)
			for read := 0; read < 3; { // who reads at the end goes on there, whatever is deleted before
				records, err := reader.Read(background(t), 3)
				must(t, err)
				for i, r := range records {
					if r.Offset != at[read+i].Offset || !bytes.Equal(r.Value, m.Value) {
						t.Errorf("read %s instead of %s", r.Position, at[read+i])
					}
				}
				read += len(records)
			}
			for tick := time.NewTicker(time.Millisecond); !gone(); {
				<-tick.C
			}
		}
		must(t, reader.Close())
		if got := len(readAll(t, log)); got != (round+1)*100 || kept[99].Offset != int64(round*100+99) {
			t.Errorf("%d records are left, the last at %d", got, kept[99].Offset)
		}
		must(t, log.Close())
		must(t, broker.Close())
	}
}

func TestOnlyOneBrokerHasADirectory(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"}
	broker := start(t, cfg)
	_, err := embedded.Start(background(t), cfg)
	if !errors.Is(err, eventlog.ErrLocked) || !strings.Contains(err.Error(), cfg.Dir) {
		t.Errorf("%v, want ErrLocked with %s", err, cfg.Dir)
	}
	must(t, broker.Close())
	must(t, start(t, cfg).Close())
}

func TestAUsedAddressIsNamed(t *testing.T) {
	broker := start(t, embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	t.Cleanup(func() { must(t, broker.Close()) })
	dir := t.TempDir()
	_, err := embedded.Start(background(t), embedded.Config{Dir: dir, Addr: broker.Addr()})
	if err == nil || !strings.Contains(err.Error(), broker.Addr()+" is in use") || !strings.Contains(err.Error(), "another address") {
		t.Errorf("%v, want it to name %s and what to do", err, broker.Addr())
	}
	must(t, start(t, embedded.Config{Dir: dir, Addr: "127.0.0.1:0"}).Close()) // the directory is free again
}

func TestAnAddressMustBeOneThatClientsReach(t *testing.T) {
	for _, addr := range []string{"0.0.0.0:0", ":0", "[::]:0", "nonsense"} {
		if _, err := embedded.Start(background(t), embedded.Config{Dir: t.TempDir(), Addr: addr}); err == nil {
			t.Errorf("%q was taken", addr)
		}
	}
}

func TestTheDataIsReadableByItsOwnerOnly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "log")
	must(t, start(t, embedded.Config{Dir: dir, Addr: "127.0.0.1:0"}).Close())
	info, err := os.Stat(dir)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the directory's mode is %s", info.Mode())
	}
}

// A crash may leave a part of the batch that was being written.
func TestATornTailIsCutOff(t *testing.T) {
	for _, tail := range []string{"x", "half a batch, longer than its header is, but nothing that makes sense in any way at all"} {
		var said bytes.Buffer
		cfg := embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0", Logger: slog.New(slog.NewTextHandler(&said, nil))}
		broker := start(t, cfg)
		log := connected(t, broker, kafkalog.Config{})
		appendAll(t, log, numbered(0, 10))
		must(t, log.Close())
		must(t, broker.Close())
		segments, err := filepath.Glob(filepath.Join(cfg.Dir, "partitions", "*", "*.dat"))
		must(t, err)
		f, err := os.OpenFile(segments[0], os.O_APPEND|os.O_WRONLY, 0)
		must(t, err)
		_, err = f.WriteString(tail)
		must(t, err)
		must(t, f.Close())

		broker = start(t, cfg)
		log = connected(t, broker, kafkalog.Config{})
		appendAll(t, log, numbered(10, 10))
		checkNumbered(t, readAll(t, log), 20)
		must(t, log.Close())
		must(t, broker.Close())
		if !strings.Contains(said.String(), "truncating") {
			t.Errorf("nothing was told of the repair:\n%s", said.String())
		}
	}
}

func TestAFullDiskIsAnErrorAndNotALoss(t *testing.T) {
	dir := t.TempDir()
	broker := start(t, embedded.Config{Dir: dir, Addr: "127.0.0.1:0"})
	log := connected(t, broker, kafkalog.Config{})
	appendAll(t, log, numbered(0, 10))
	must(t, log.Close())
	must(t, broker.Close())

	full := start(t, embedded.Config{Dir: dir, Addr: "127.0.0.1:0", MinFreeBytes: 1 << 60})
	log = connected(t, full, kafkalog.Config{Timeout: 5 * time.Second})
	_, err := eventlog.AppendAll(background(t), log, numbered(10, 1))
	wantFull(t, err)
	wantFull(t, log.EnsureTopics(background(t), eventlog.Topic{Name: "other", Partitions: 1}))
	checkNumbered(t, readAll(t, log), 10)
	must(t, log.Close())
	must(t, full.Close())

	broker = start(t, embedded.Config{Dir: dir, Addr: "127.0.0.1:0"})
	log = connected(t, broker, kafkalog.Config{})
	appendAll(t, log, numbered(10, 10))
	checkNumbered(t, readAll(t, log), 20)
	must(t, log.Close())
	must(t, broker.Close())
}

func wantFull(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "nearly full") {
		t.Errorf("%v, want ErrUnavailable because the disk is nearly full", err)
	}
}

func TestWhatIsNoRequestHarmsNobody(t *testing.T) {
	broker := start(t, embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	t.Cleanup(func() { must(t, broker.Close()) })
	for _, junk := range []string{
		"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"\x00\x00\x00\x0a\x7f\xff\x00\x00\x00\x00\x00\x01\xff\xff",
		"\x00\x00\x00\x01\x00\x00",
		"\xff\xff\xff\xff\x00\x00\x00\x00",
		"\x00\x00\x00\x10\x00\x00\x00\x09\x00\x00\x00\x01\xff\xffnonsense",
	} {
		conn, err := new(net.Dialer).DialContext(background(t), "tcp", broker.Addr())
		must(t, err)
		_, err = conn.Write([]byte(junk))
		must(t, err)
		_, _ = io.Copy(io.Discard, conn) // until the broker hangs up, orderly or not
		must(t, conn.Close())
	}
	log := connected(t, broker, kafkalog.Config{})
	appendAll(t, log, numbered(0, 1))
	must(t, log.Close())
}

// Another process stands for the broker that is restarted: the log is opened once, and goes on.
func TestALogGoesOnWhenItsBrokerIsRestarted(t *testing.T) {
	cfg := embedded.Config{Dir: t.TempDir(), Addr: freeport.Addr(t)}
	broker := start(t, cfg)
	log := connected(t, broker, kafkalog.Config{})
	r, err := log.Open(background(t), topic, 0, 0)
	must(t, err)
	const restarts, each = 3, 200
	var outcomes sync.WaitGroup
	for round := range restarts {
		for _, m := range numbered(round*each, each) {
			outcomes.Add(1)
			must(t, log.Append(background(t), m, func(_ eventlog.Position, err error) {
				if err != nil {
					t.Error(err)
				}
				outcomes.Done()
			}))
		}
		must(t, broker.Close())
		broker = start(t, cfg)
	}
	outcomes.Wait()
	_, next, err := log.Bounds(background(t), topic, 0)
	must(t, err)
	seen := make(map[string]bool)
	last := -1
	for read := int64(0); read < next; {
		records, err := r.Read(background(t), 1000)
		must(t, err)
		for _, record := range records {
			read++
			if i := number(t, record); !seen[string(record.Value)] {
				if i != last+1 {
					t.Fatalf("%d was appended after %d", i, last)
				}
				seen[string(record.Value)], last = true, i
			}
		}
	}
	if len(seen) != restarts*each {
		t.Errorf("read %d messages, want %d", len(seen), restarts*each)
	}
	must(t, r.Close())
	must(t, log.Close())
	must(t, broker.Close())
}

// patience ends a test that hangs; nothing waits for it otherwise.
const patience = time.Minute

func background(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func start(t *testing.T, cfg embedded.Config) *embedded.Broker {
	t.Helper()
	broker, err := embedded.Start(background(t), cfg)
	must(t, err)
	return broker
}

// connected opens a log with the topic, of one partition.
func connected(t *testing.T, broker *embedded.Broker, cfg kafkalog.Config) *kafkalog.Log {
	t.Helper()
	cfg.Brokers = []string{broker.Addr()}
	if cfg.Timeout == 0 && cfg.Patience == 0 {
		cfg.Patience = time.Minute
	}
	log, err := kafkalog.Open(background(t), cfg)
	must(t, err)
	must(t, log.EnsureTopics(background(t), eventlog.Topic{Name: topic, Partitions: 1}))
	return log
}

func numbered(from, n int) []eventlog.Message {
	messages := make([]eventlog.Message, n)
	for i := range messages {
		messages[i] = eventlog.Message{Topic: topic, Value: fmt.Appendf(nil, "%d", from+i)}
	}
	return messages
}

func number(t *testing.T, r eventlog.Record) int {
	t.Helper()
	var i int
	_, err := fmt.Sscan(string(r.Value), &i)
	must(t, err)
	return i
}

func appendAll(t *testing.T, log eventlog.Log, messages []eventlog.Message) []eventlog.Position {
	t.Helper()
	positions, err := eventlog.AppendAll(background(t), log, messages)
	must(t, err)
	return positions
}

func readAll(t *testing.T, log eventlog.Log) []eventlog.Record {
	t.Helper()
	first, next, err := log.Bounds(background(t), topic, 0)
	must(t, err)
	r, err := log.Open(background(t), topic, 0, first)
	must(t, err)
	var records []eventlog.Record
	for int64(len(records)) < next-first {
		more, err := r.Read(background(t), 1000)
		must(t, err)
		records = append(records, more...)
	}
	must(t, r.Close())
	return records
}

func checkNumbered(t *testing.T, records []eventlog.Record, n int) {
	t.Helper()
	if len(records) != n {
		t.Errorf("read %d records, want %d", len(records), n)
	}
	for i, r := range records {
		if number(t, r) != i || r.Offset != int64(i) {
			t.Fatalf("%s holds %s", r.Position, r.Value)
		}
	}
}
