package simulate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Server is a Skein that runs in a directory and on ports of its own.
type Server struct {
	// GRPC is its address.
	GRPC string
	cmd  *exec.Cmd
	dir  string
	out  output
	done chan struct{}
}

// Serve starts a program in a temporary directory, and returns when it is ready.
func Serve(ctx context.Context, program string) (*Server, error) {
	const patience = 2 * time.Minute
	dir, err := os.MkdirTemp("", "simulate")
	if err != nil {
		return nil, fmt.Errorf("simulate: make a directory: %w", err)
	}
	addrs := make([]string, 5)
	for n := range addrs {
		if addrs[n], err = freeAddr(ctx); err != nil {
			return nil, errors.Join(err, os.RemoveAll(dir))
		}
	}
	s := &Server{GRPC: addrs[0], dir: dir, done: make(chan struct{})}
	s.cmd = exec.CommandContext(context.WithoutCancel(ctx), program, "up", "--data", filepath.Join(dir, "data"), //nolint:gosec // the caller's program
		"--grpc", addrs[0], "--http", addrs[1], "--smtp", addrs[2], "--lmtp", addrs[3])
	s.cmd.Stdout, s.cmd.Stderr = &s.out, &s.out
	s.cmd.Env = append(os.Environ(), "SKEIN_LOG_ADDR="+addrs[4], "SKEIN_LOGGING_LEVEL=warn")
	if err := s.cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("simulate: start %s: %w", program, err), os.RemoveAll(dir))
	}
	go func() {
		_ = s.cmd.Wait() // how it ended tells less than what it said
		close(s.done)
	}()
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ready(ctx, addrs[1]) {
		select {
		case <-tick.C:
		case <-s.done:
			return nil, errors.Join(fmt.Errorf("simulate: %s ended: %s", program, s.out.text()), os.RemoveAll(dir))
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("simulate: %s is not ready: %s", program, s.out.text()), s.Close())
		}
	}
	return s, nil
}

func ready(ctx context.Context, addr string) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	_ = answer.Body.Close() // nothing is read of it
	return answer.StatusCode == http.StatusOK
}

// Said is the end of what it has said.
func (s *Server) Said() string { return s.out.text() }

// Close ends it and removes what it kept.
func (s *Server) Close() error {
	const patience = 30 * time.Second
	_ = s.cmd.Process.Signal(syscall.SIGTERM) // it may have ended by now
	select {
	case <-s.done:
	case <-time.After(patience):
		_ = s.cmd.Process.Kill() // the same
		<-s.done
	}
	return os.RemoveAll(s.dir)
}

// freeAddr is one that nobody listens on, below those that outgoing connections take.
func freeAddr(ctx context.Context) (string, error) {
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(10_000))) //nolint:gosec // random, not secret
		if l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("simulate: no free port from 20000 to 29999")
}

// output keeps what a process says.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

// Write implements io.Writer.
func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) text() string {
	const most = 4096
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf.Bytes()
	return string(b[max(0, len(b)-most):])
}
