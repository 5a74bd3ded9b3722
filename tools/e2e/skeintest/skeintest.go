// Package skeintest runs the real program for tests: it builds it, starts it on ports and a directory of its own, waits
// until it is ready, and ends it gently or as a crash would.
package skeintest

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/chdb/chdbtest"
	"github.com/skein-cx/skein/pkg/freeport"
)

// patience is how long a process may take for anything.
const patience = 2 * time.Minute

// Build builds the program into a directory. Root is the workspace's.
func Build(root, dir string) (binary string, err error) {
	binary = filepath.Join(dir, "skein")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "./services/cmd/skein")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("skeintest: build skein: %w\n%s", err, out)
	}
	return binary, nil
}

// Require skips a test that lacks something, or fails it where SKEIN_REQUIRE names it or says "all".
func Require(t *testing.T, what string, there bool, lacks string) {
	t.Helper()
	if there {
		return
	}
	if required := os.Getenv("SKEIN_REQUIRE"); required == "all" || strings.Contains(required, what) {
		t.Fatalf("%s is required: %s", what, lacks)
	}
	t.Skipf("needs %s: %s", what, lacks)
}

// Site is a data directory and the addresses at which servers on it listen.
type Site struct {
	T                             *testing.T
	Binary, Dir                   string
	GRPC, HTTP, SMTP, LMTP, Kafka string
	// ClickHouse is the address of the embedded ClickHouse; without, the site has no analytics.
	ClickHouse string
}

// NewSite takes an empty directory and free ports.
func NewSite(t *testing.T, binary string) *Site {
	t.Helper()
	return &Site{
		T: t, Binary: binary, Dir: filepath.Join(t.TempDir(), "data"),
		GRPC: freeport.Addr(t), HTTP: freeport.Addr(t), SMTP: freeport.Addr(t), LMTP: freeport.Addr(t), Kafka: freeport.Addr(t),
	}
}

// WithAnalytics gives a site a ClickHouse. Its library is fetched where it is not on this machine; where it cannot be had, the test is skipped,
// or fails where SKEIN_REQUIRE asks for it.
func (s *Site) WithAnalytics() *Site {
	s.T.Helper()
	chdbtest.Library(s.T)
	s.ClickHouse = freeport.Addr(s.T)
	return s
}

// Args are a command's arguments and those that name the site.
func (s *Site) Args(command ...string) []string {
	return append(command, "--data", s.Dir, "--grpc", s.GRPC, "--http", s.HTTP, "--smtp", s.SMTP, "--lmtp", s.LMTP)
}

// Up starts a server with all roles and waits until it is ready.
func (s *Site) Up(extra ...string) *Process {
	s.T.Helper()
	return s.Serve([]string{"up"}, extra...)
}

// Serve starts a server by a command and waits until it is ready.
func (s *Site) Serve(command []string, extra ...string) *Process {
	s.T.Helper()
	p := s.Start(append(s.Args(command...), extra...)...)
	p.WaitFor("ready", func() bool {
		request, err := http.NewRequestWithContext(s.T.Context(), http.MethodGet, "http://"+s.HTTP+"/readyz", http.NoBody)
		if err != nil {
			return false
		}
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return p
}

// Start starts the program.
func (s *Site) Start(args ...string) *Process {
	s.T.Helper()
	p := &Process{t: s.T, cmd: exec.Command(s.Binary, args...), done: make(chan struct{})}
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.Env = append(os.Environ(), "SKEIN_LOG_ADDR="+s.Kafka, "SKEIN_SEARCH_DIR="+filepath.Join(s.Dir, "search-"+strings.TrimPrefix(s.GRPC, "127.0.0.1:")))
	if s.ClickHouse == "" {
		p.cmd.Env = append(p.cmd.Env, "SKEIN_ANALYTICS_OFF=true")
	} else {
		p.cmd.Env = append(p.cmd.Env, "SKEIN_ANALYTICS_ADDR="+s.ClickHouse)
	}
	if err := p.cmd.Start(); err != nil {
		s.T.Fatal(err)
	}
	go func() { p.err = p.cmd.Wait(); close(p.done) }()
	s.T.Cleanup(func() { _ = p.cmd.Process.Kill() })
	return p
}

// Run runs the program to its end and returns what it said.
func (s *Site) Run(args ...string) string {
	s.T.Helper()
	p := s.Start(args...)
	if err := p.End(); err != nil {
		s.T.Fatalf("skein %s: %v\n%s", strings.Join(args, " "), err, p.Out())
	}
	return p.Out()
}

// Process is the running program.
type Process struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed when it has ended
	err  error
}

// Out is what it has said so far.
func (p *Process) Out() string { return p.out.String() }

// WaitFor waits until a condition holds; the process must live meanwhile.
func (p *Process) WaitFor(what string, holds func() bool) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-p.done:
			p.t.Fatalf("the process ended (%v) before it was %s:\n%s", p.err, what, p.Out())
		case <-ctx.Done():
			p.t.Fatalf("not %s in time:\n%s", what, p.Out())
		}
	}
}

// Kill ends the process as a crash would.
func (p *Process) Kill() {
	p.t.Helper()
	if err := p.cmd.Process.Kill(); err != nil {
		p.t.Fatal(err)
	}
	<-p.done
}

// Stop asks the process to end, as Ctrl-C does, and returns how it ended.
func (p *Process) Stop() error {
	p.t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGINT); err != nil {
		p.t.Fatal(err)
	}
	return p.End()
}

// End waits until the process has ended by itself.
func (p *Process) End() error {
	p.t.Helper()
	select {
	case <-p.done:
	case <-time.After(patience):
		p.t.Fatalf("the process does not end:\n%s", p.Out())
	}
	return p.err
}

// output collects what a process says.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// PID is the number of the process.
func (p *Process) PID() int { return p.cmd.Process.Pid }
