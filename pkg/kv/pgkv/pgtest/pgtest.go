// Package pgtest runs PostgreSQL servers for tests: in a directory and on a port of their own, as processes that end with
// the test program. It touches no server that the machine has already.
package pgtest

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/skein-cx/skein/pkg/freeport"
)

const (
	// patience is how long a server may take for anything.
	patience = time.Minute
	// lookAgain is how often a condition of another process is looked at.
	lookAgain = 20 * time.Millisecond

	superuser, database = "skein", "postgres"
)

// requireVariable says what must not be missing, or "all".
const requireVariable = "SKEIN_REQUIRE"

// ErrMissing means that this machine has no PostgreSQL.
var ErrMissing = errors.New("pgtest: there is no PostgreSQL here: make postgres installs it")

// Options are all optional.
type Options struct {
	// Fast leaves the disk out: what was acknowledged survives the end of the server, not that of the machine.
	Fast bool
	// Settings of the server, such as max_connections=5.
	Settings []string
}

// Shared is a server for all tests of a program, which is started when the first one needs it.
type Shared struct {
	Options

	once   sync.Once
	server *Server
	err    error
}

// Need gives the server. The test is skipped where there is no PostgreSQL, and fails where it is required.
func (s *Shared) Need(t testing.TB) *Server {
	t.Helper()
	s.once.Do(func() { s.server, s.err = Start(s.Options) })
	check(t, s.err)
	return s.server
}

// Close ends the server. TestMain calls it.
func (s *Shared) Close() {
	if s.server != nil {
		s.server.Close()
	}
}

// New starts a server for one test. The test is skipped where there is no PostgreSQL, and fails where it is required.
func New(t testing.TB, opts Options) *Server {
	t.Helper()
	s, err := Start(opts)
	check(t, err)
	t.Cleanup(s.Close)
	return s
}

func check(t testing.TB, err error) {
	t.Helper()
	if required := os.Getenv(requireVariable); errors.Is(err, ErrMissing) && required != "all" && !strings.Contains(required, "postgres") {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// Server is a PostgreSQL server. Its methods must not be called at the same time.
type Server struct {
	bin, dir string
	port     int
	release  func() // the port
	password string
	settings []string
	cmd      *exec.Cmd
	ended    chan struct{} // closed when it has
}

// Start makes a server and waits until it answers.
func Start(opts Options) (*Server, error) {
	bin, err := binaries()
	if err != nil {
		return nil, err
	}
	// Its socket's path must be short, and every user must get there.
	dir, err := os.MkdirTemp("", "skein-pg-")
	if err != nil {
		return nil, fmt.Errorf("pgtest: %w", err)
	}
	s := &Server{bin: bin, dir: dir, password: rand.Text(), settings: opts.Settings}
	if opts.Fast {
		s.settings = append([]string{"fsync=off", "full_page_writes=off"}, s.settings...)
	}
	if err := errors.Join(s.init(), s.Up()); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// binaries finds the directory of the server's programs.
func binaries() (string, error) {
	var dirs []string
	if out, err := exec.Command("pg_config", "--bindir").Output(); err == nil {
		dirs = append(dirs, strings.TrimSpace(string(out)))
	}
	installed, _ := filepath.Glob("/usr/lib/postgresql/*/bin") // the pattern is right
	slices.Reverse(installed)
	dirs = append(dirs, installed...)
	if found, err := exec.LookPath("postgres"); err == nil {
		dirs = append(dirs, filepath.Dir(found))
	}
	for _, dir := range dirs {
		_, noServer := os.Stat(filepath.Join(dir, "postgres"))
		_, noInit := os.Stat(filepath.Join(dir, "initdb"))
		if noServer == nil && noInit == nil {
			return dir, nil
		}
	}
	return "", ErrMissing
}

func (s *Server) init() error {
	var err error
	if s.port, s.release, err = freeport.Reserve(context.Background()); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	secret := filepath.Join(s.dir, "password")
	if err := os.WriteFile(secret, []byte(s.password), 0o600); err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	owner, err := owner()
	if err != nil {
		return err
	}
	if owner != nil {
		for _, path := range []string{s.dir, secret} {
			if err := os.Chown(path, int(owner.Uid), int(owner.Gid)); err != nil {
				return fmt.Errorf("pgtest: %w", err)
			}
		}
	}
	// The socket stands in a directory that is its owner's alone; the port is anybody's on this machine.
	cmd := exec.Command(filepath.Join(s.bin, "initdb"), "--pgdata", s.data(), "--username", superuser, "--pwfile", secret,
		"--auth-local=trust", "--auth-host=scram-sha-256", "--encoding=UTF8", "--no-locale", "--no-sync", "--no-instructions")
	cmd.Dir, cmd.SysProcAttr = s.dir, &syscall.SysProcAttr{Credential: owner}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("pgtest: initdb: %w\n%s", err, out)
	}
	return nil
}

func (s *Server) data() string { return filepath.Join(s.dir, "data") }

// DSN is how to connect through the socket.
func (s *Server) DSN() string {
	return fmt.Sprintf("host=%s port=%d user=%s dbname=%s", s.dir, s.port, superuser, database)
}

// URL is how to connect through the network, with a password.
func (s *Server) URL() string {
	return fmt.Sprintf("postgres://%s:%s@127.0.0.1:%d/%s", superuser, s.password, s.port, database)
}

// Password is the one in URL.
func (s *Server) Password() string { return s.password }

// Up starts the server that was ended, and waits until it answers.
func (s *Server) Up() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for {
		if err := s.launch(); err != nil {
			return err
		}
		err := s.await(ctx)
		if err == nil || ctx.Err() != nil || !strings.Contains(s.log(), "still in use") {
			return err
		}
		// Processes of a server that was killed are about to notice it.
	}
}

func (s *Server) launch() error {
	out, err := os.Create(s.logFile())
	if err != nil {
		return fmt.Errorf("pgtest: %w", err)
	}
	defer func() { _ = out.Close() }() // the server writes to it, not we
	owner, err := owner()
	if err != nil {
		return err
	}
	args := []string{"-D", s.data(), "-k", s.dir, "-h", "127.0.0.1", "-p", fmt.Sprint(s.port)}
	for _, setting := range s.settings {
		args = append(args, "-c", setting)
	}
	cmd := exec.Command(filepath.Join(s.bin, "postgres"), args...)
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = s.dir, out, out, owned(owner)
	s.cmd, s.ended = cmd, make(chan struct{})
	started := make(chan error)
	go func() {
		defer close(s.ended)
		runtime.LockOSThread() // the end of the thread that started it would end the server
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended, its log tells
		}
	}()
	if err := <-started; err != nil {
		return fmt.Errorf("pgtest: start postgres: %w", err)
	}
	return nil
}

func (s *Server) await(ctx context.Context) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		conn, err := pgx.Connect(ctx, s.DSN())
		if err == nil {
			return conn.Close(ctx)
		}
		select {
		case <-tick.C:
		case <-s.ended:
			return fmt.Errorf("pgtest: postgres has ended:\n%s", s.log())
		case <-ctx.Done():
			return fmt.Errorf("pgtest: postgres does not answer: %w\n%s", err, s.log())
		}
	}
}

func (s *Server) logFile() string { return filepath.Join(s.dir, "log") }

func (s *Server) log() string {
	text, err := os.ReadFile(s.logFile())
	if err != nil {
		return err.Error()
	}
	return string(bytes.TrimSpace(text))
}

// Stop ends the server: it lets nobody in any more and ends everybody's work.
func (s *Server) Stop() error {
	if err := s.cmd.Process.Signal(syscall.SIGINT); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("pgtest: stop postgres: %w", err)
	}
	select {
	case <-s.ended:
		return nil
	case <-time.After(patience):
		return fmt.Errorf("pgtest: postgres does not end:\n%s", s.log())
	}
}

// Kill ends the server and the processes that work for it as a crash would.
func (s *Server) Kill() {
	workers := children(s.cmd.Process.Pid)
	_ = s.cmd.Process.Kill() // it may have ended
	for _, pid := range workers {
		_ = syscall.Kill(pid, syscall.SIGKILL)
	}
	<-s.ended
}

// Close ends the server and removes what it held.
func (s *Server) Close() {
	if s.cmd != nil {
		s.Kill()
	}
	if s.release != nil {
		s.release()
	}
	_ = os.RemoveAll(s.dir)
}
