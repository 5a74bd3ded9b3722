package pebblekv_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/skein-cx/skein/pkg/kv/kvtest"
	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

// jobVariable makes this test program a child that does a job on the store in its first argument.
const jobVariable = "SKEIN_PEBBLEKV_TEST_JOB"

func TestMain(m *testing.M) {
	jobs := map[string]func(dir string, rounds []string) error{"hold": holdStore, "write": writeLedger}
	job, child := jobs[os.Getenv(jobVariable)]
	if !child {
		os.Exit(m.Run())
	}
	if err := job(os.Args[1], os.Args[2:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// process is a child and what it prints.
type process struct {
	cmd   *exec.Cmd
	stdin io.WriteCloser
	lines *bufio.Scanner
}

// start starts a child; the test kills it at its end, if nobody has before.
func start(t *testing.T, job string, args ...string) *process {
	t.Helper()
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Env = append(os.Environ(), jobVariable+"="+job)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd: cmd, stdin: stdin, lines: bufio.NewScanner(stdout)}
}

// line waits for what the child prints next; false at its end.
func (p *process) line() (string, bool) {
	more := p.lines.Scan()
	return p.lines.Text(), more
}

// holdStore keeps a store open until its input ends.
func holdStore(dir string, _ []string) error {
	store, err := pebblekv.Open(dir, pebblekv.Options{})
	if err != nil {
		return err
	}
	fmt.Println("open")
	if _, err := io.Copy(io.Discard, os.Stdin); err != nil {
		return err
	}
	return store.Close()
}

// writeLedger goes on with the ledger for ever, a writer for each round that is given, and prints what is acknowledged.
func writeLedger(dir string, rounds []string) error {
	store, err := pebblekv.Open(dir, pebblekv.Options{})
	if err != nil {
		return err
	}
	var printing sync.Mutex
	failures := make(chan error)
	for w, last := range rounds {
		var round int
		if _, err := fmt.Sscan(last, &round); err != nil {
			return err
		}
		go func() {
			for {
				round++
				if err := kvtest.WriteRound(store, w, round); err != nil {
					failures <- fmt.Errorf("writer %d, round %d: %w", w, round, err)
					return
				}
				printing.Lock()
				_, err := fmt.Println(w, round)
				printing.Unlock()
				if err != nil {
					failures <- err
					return
				}
			}
		}()
	}
	return <-failures
}

func words(numbers []int) []string { return strings.Fields(strings.Trim(fmt.Sprint(numbers), "[]")) }
