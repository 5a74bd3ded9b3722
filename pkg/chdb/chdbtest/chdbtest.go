// Package chdbtest gives tests a real ClickHouse engine, in a process of its own, on a directory of its own.
//
// The process is the test's own binary, started again: importing this package is all that a test needs to do. The shared library
// is fetched through npm into the user's cache by the first test that needs it. Where it cannot be had the test is skipped, and fails
// where SKEIN_REQUIRE asks for it.
package chdbtest

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/pkg/freeport"
)

const (
	// childVariable makes a test binary a ClickHouse process.
	childVariable = "SKEIN_CHDBTEST_CHILD"
	// requireVariable says what must not be missing, or "all".
	requireVariable = "SKEIN_REQUIRE"
)

func init() { //nolint:gochecknoinits // the way for a test's binary to be another program without a TestMain in every package
	if os.Getenv(childVariable) == "" {
		return
	}
	if err := chdb.Child(context.Background(), os.Stdin, os.Stdout, os.Stderr); err != nil {
		os.Exit(1) //nolint:forbidigo // it is the command of a child
	}
	os.Exit(0) //nolint:forbidigo // it is the command of a child
}

// Server is a ClickHouse process of a test.
type Server struct {
	// Addr is the address of the HTTP interface, host and port. It stays the same over Restart.
	Addr string
	// Dir holds the data.
	Dir     string
	t       testing.TB
	config  chdb.Config
	running *chdb.Running
}

// Start starts a process on a fresh directory, with the changes that the options make to its config. It ends with the test.
func Start(t testing.TB, options ...func(*chdb.Config)) *Server {
	t.Helper()
	library := Library(t)
	s := &Server{t: t, Dir: t.TempDir(), config: chdb.Config{Listen: freeport.Addr(t), Memory: 2 << 30, StopTime: 2 * time.Second, Library: library, Logger: logger(t)}}
	for _, option := range options {
		option(&s.config)
	}
	if s.config.Dir == "" {
		s.config.Dir = s.Dir
	}
	s.Dir = s.config.Dir
	s.start()
	t.Cleanup(func() {
		if s.running == nil {
			return
		}
		if err := s.running.Stop(); err != nil {
			t.Errorf("chdbtest: %v", err)
		}
	})
	return s
}

// Library is the path of the shared library. The test is skipped where it cannot be had, and fails where it is required.
func Library(t testing.TB) string {
	t.Helper()
	path, err := library()
	if err == nil {
		return path
	}
	if slices.ContainsFunc(strings.Split(os.Getenv(requireVariable), ","), func(what string) bool { return what == "all" || what == "clickhouse" }) {
		t.Fatalf("the ClickHouse library is required: %v", err)
	}
	t.Skipf("skipped: the ClickHouse library is not here (SKEIN_REQUIRE=clickhouse makes this a failure): %v", err)
	return ""
}

var library = sync.OnceValues(func() (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	return chdb.Fetch(ctx, "", nil)
})

// Command starts the test's binary as a ClickHouse process, for tests that use a chdb.Process.
func Command() *exec.Cmd {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"=1")
	return cmd
}

func (s *Server) start() {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	running, err := chdb.Start(ctx, Command(), s.config)
	if err != nil {
		s.t.Fatalf("chdbtest: %v", err)
	}
	s.running, s.Addr, s.config.Listen = running, running.Addr, running.Addr
}

// DSN names the server and its database for clickhouse-go.
func (s *Server) DSN() string {
	database := s.config.Database
	if database == "" {
		database = chdb.DefaultDatabase
	}
	return fmt.Sprintf("http://%s/%s", s.Addr, database)
}

// URL is the address of the HTTP interface.
func (s *Server) URL() string { return "http://" + s.Addr + "/" }

// PID is the number of the process.
func (s *Server) PID() int { return s.running.PID() }

// Kill9 kills the process as a crash would. Restart brings it back.
func (s *Server) Kill9() { s.running.Kill() }

// Restart starts the process again on the same directory and address, after stopping it if it runs.
func (s *Server) Restart() {
	s.t.Helper()
	select {
	case <-s.running.Done():
	default:
		if err := s.running.Stop(); err != nil {
			s.t.Fatalf("chdbtest: %v", err)
		}
	}
	s.start()
}

// logger writes warnings into the test's log. Later ones than its end are dropped.
func logger(t testing.TB) *slog.Logger {
	t.Helper()
	w := &testWriter{t: t}
	t.Cleanup(w.end)
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

type testWriter struct {
	mu    sync.Mutex
	t     testing.TB
	ended bool
}

func (w *testWriter) end() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ended = true
}

func (w *testWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.ended {
		w.t.Log(strings.TrimSpace(string(p)))
	}
	return len(p), nil
}
