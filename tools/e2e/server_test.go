package e2e_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary is built once for all tests.
var binary string

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "skein-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	binary = filepath.Join(dir, "skein")
	build := exec.Command("go", "build", "-trimpath", "-o", binary, "./services/cmd/skein")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build skein: %v\n%s", err, out)
		return 1
	}
	return m.Run()
}

// require skips a test that lacks something, or fails it where SKEIN_REQUIRE demands everything.
func require(t *testing.T, what, path string) {
	t.Helper()
	if _, err := os.Stat(path); err == nil {
		return
	}
	if required := os.Getenv("SKEIN_REQUIRE"); required == "all" || strings.Contains(required, what) {
		t.Fatalf("%s is required and not there: %s", what, path)
	}
	t.Skipf("needs %s, which is not there: %s", what, path)
}

// site is a data directory and the addresses at which servers on it listen.
type site struct {
	t                             *testing.T
	dir                           string
	grpc, http, smtp, lmtp, kafka string
}

func newSite(t *testing.T) *site {
	t.Helper()
	return &site{
		t: t, dir: filepath.Join(t.TempDir(), "data"),
		grpc: freeAddr(t), http: freeAddr(t), smtp: freeAddr(t), lmtp: freeAddr(t), kafka: freeAddr(t),
	}
}

// freeAddr is a port that nobody listens on, below those that outgoing connections take.
func freeAddr(t *testing.T) string {
	t.Helper()
	for range 100 {
		addr := fmt.Sprintf("127.0.0.1:%d", 20000+rand.IntN(10000))
		if l, err := net.Listen("tcp", addr); err == nil {
			l.Close()
			return addr
		}
	}
	t.Fatal("no free port")
	return ""
}

func (s *site) args(command ...string) []string {
	return append(command, "--data", s.dir, "--grpc", s.grpc, "--http", s.http, "--smtp", s.smtp, "--lmtp", s.lmtp)
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

// server is a running process.
type server struct {
	t    *testing.T
	cmd  *exec.Cmd
	out  *output
	done chan error
}

// up starts a server and waits until it is ready.
func (s *site) up(extra ...string) *server {
	s.t.Helper()
	srv := s.start(append(s.args("up"), extra...)...)
	srv.waitFor("ready", func() bool {
		resp, err := http.Get("http://" + s.http + "/readyz")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return srv
}

func (s *site) start(args ...string) *server {
	s.t.Helper()
	srv := &server{t: s.t, cmd: exec.Command(binary, args...), out: &output{}, done: make(chan error, 1)}
	srv.cmd.Stdout, srv.cmd.Stderr = srv.out, srv.out
	srv.cmd.Env = append(os.Environ(), "SKEIN_LOG_ADDR="+s.kafka)
	if err := srv.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	go func() { srv.done <- srv.cmd.Wait() }()
	s.t.Cleanup(func() { _ = srv.cmd.Process.Kill() })
	return srv
}

// waitFor polls until a condition holds; the process must live meanwhile.
func (s *server) waitFor(what string, holds func() bool) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case err := <-s.done:
			s.t.Fatalf("the process ended (%v) before it was %s:\n%s", err, what, s.out)
		case <-ctx.Done():
			s.t.Fatalf("not %s in time:\n%s", what, s.out)
		}
	}
}

// kill ends the process as a crash would.
func (s *server) kill() {
	s.t.Helper()
	if err := s.cmd.Process.Kill(); err != nil {
		s.t.Fatal(err)
	}
	if err := <-s.done; err == nil {
		s.t.Fatal("the process ended by itself before it was killed")
	}
}

// stop asks the process to end, as Ctrl-C does, and returns how it ended.
func (s *server) stop() error {
	s.t.Helper()
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil {
		s.t.Fatal(err)
	}
	return s.end()
}

// end waits until the process has ended by itself.
func (s *server) end() error {
	s.t.Helper()
	select {
	case err := <-s.done:
		return err
	case <-time.After(time.Minute):
		s.t.Fatalf("the process does not end:\n%s", s.out)
		return errors.New("unreachable")
	}
}

// run runs a command to its end and returns what it said.
func (s *site) run(args ...string) string {
	s.t.Helper()
	srv := s.start(args...)
	if err := srv.end(); err != nil {
		s.t.Fatalf("skein %s: %v\n%s", strings.Join(args, " "), err, srv.out)
	}
	return srv.out.String()
}

func sha256Of(token string) string {
	sum := sha256.Sum256([]byte(token))
	return hex.EncodeToString(sum[:])
}
