package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

// What the test binary does as a child of itself: append numbers to a broker in the directory and print each that was
// acknowledged with its offset, until it is killed or the file size limit is reached.
const (
	childDir   = "SKEIN_TEST_EMBEDDED_DIR"
	childLimit = "SKEIN_TEST_EMBEDDED_LIMIT" // greatest size of a file, in bytes
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := appendForEver(dir, os.Getenv(childLimit)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func appendForEver(dir, limit string) error {
	ctx := context.Background()
	broker, err := embedded.Start(ctx, embedded.Config{Dir: dir, Addr: "127.0.0.1:0"})
	if err != nil {
		return err
	}
	cfg := kafkalog.Config{Brokers: []string{broker.Addr()}, MaxInFlightBytes: 1 << 20}
	if limit != "" {
		cfg.Timeout = 10 * time.Second // as long as it takes to notice that nothing is written any more
	}
	log, err := kafkalog.Open(ctx, cfg)
	if err != nil {
		return err
	}
	if err := log.EnsureTopics(ctx, eventlog.Topic{Name: topic, Partitions: 1}); err != nil {
		return err
	}
	if limit != "" {
		var n uint64
		if _, err := fmt.Sscan(limit, &n); err != nil {
			return err
		}
		signal.Ignore(syscall.SIGXFSZ)
		if err := unix.Setrlimit(unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: n, Max: n}); err != nil {
			return err
		}
	}
	failed := make(chan error, 1)
	padding := make([]byte, 200)
	for i := 0; ; i++ {
		err := log.Append(ctx, eventlog.Message{Topic: topic, Key: padding, Value: fmt.Appendf(nil, "%d", i)}, func(p eventlog.Position, err error) {
			if err != nil {
				select {
				case failed <- err:
				default:
				}
				return
			}
			fmt.Println(i, p.Offset)
		})
		if err != nil {
			return err
		}
		select {
		case err := <-failed:
			if !errors.Is(err, eventlog.ErrUnavailable) {
				return err
			}
			return log.Close()
		default:
		}
	}
}

// child starts the binary as a child. What it acknowledges comes from acks until it ends.
func child(t *testing.T, dir, limit string) (cmd *exec.Cmd, acks *bufio.Scanner) {
	t.Helper()
	cmd = exec.CommandContext(background(t), os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir, childLimit+"="+limit)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	return cmd, bufio.NewScanner(out)
}

func TestWhatWasAcknowledgedSurvivesKill(t *testing.T) {
	dir := t.TempDir()
	cmd, acks := child(t, dir, "")
	acknowledged := make(map[int64]int)
	for acks.Scan() {
		note(t, acknowledged, acks.Text())
		if len(acknowledged) == 20_000 {
			must(t, cmd.Process.Kill())
		}
	}
	if err := cmd.Wait(); err == nil {
		t.Error("the child ended by itself")
	}
	checkAcknowledged(t, dir, acknowledged)
}

// A file that may not grow stands for a disk that is full.
func TestWhatCouldNotBeWrittenIsNotAcknowledged(t *testing.T) {
	dir := t.TempDir()
	cmd, acks := child(t, dir, strconv.Itoa(1<<20))
	acknowledged := make(map[int64]int)
	for acks.Scan() {
		note(t, acknowledged, acks.Text())
	}
	must(t, cmd.Wait())
	if len(acknowledged) < 1000 {
		t.Errorf("%d messages were acknowledged before the disk was full, want some thousands", len(acknowledged))
	}
	checkAcknowledged(t, dir, acknowledged)
}

func note(t *testing.T, acknowledged map[int64]int, line string) {
	t.Helper()
	var i int
	var offset int64
	if _, err := fmt.Sscan(line, &i, &offset); err != nil {
		return // the last line of a killed child may be cut off
	}
	if _, again := acknowledged[offset]; again {
		t.Errorf("offset %d was given twice", offset)
	}
	acknowledged[offset] = i
}

func checkAcknowledged(t *testing.T, dir string, acknowledged map[int64]int) {
	t.Helper()
	broker := start(t, embedded.Config{Dir: dir, Addr: "127.0.0.1:0"})
	log := connected(t, broker, kafkalog.Config{})
	for _, r := range readAll(t, log) {
		if i, ok := acknowledged[r.Offset]; ok && i != number(t, r) {
			t.Errorf("offset %d holds %s, %d was acknowledged", r.Offset, r.Value, i)
		}
		delete(acknowledged, r.Offset)
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged messages are lost", len(acknowledged))
	}
	appendAll(t, log, numbered(0, 1))
	must(t, log.Close())
	must(t, broker.Close())
}
