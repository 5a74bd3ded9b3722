package chdb

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// What a child says on its standard output, a line each. Other lines are the engine's.
const (
	saysReady  = "skein-clickhouse-ready "
	saysFailed = "skein-clickhouse-failed "
)

// Child is the whole of a child process that a Process or Start has started: it reads the Config from in, serves, and ends when in does, so that no
// child outlives its parent, however that ends. What happens goes to out and, as log lines, to log. The command of a child calls it with its
// standard streams and exits with 1 on an error, which the parent knows already.
func Child(ctx context.Context, in io.Reader, out, log io.Writer) error {
	err := child(ctx, in, out, log)
	if err != nil {
		_, _ = fmt.Fprintln(out, saysFailed+strings.ReplaceAll(err.Error(), "\n", " ")) // without a parent nobody reads it
	}
	return err
}

func child(ctx context.Context, in io.Reader, out, log io.Writer) error {
	lines := bufio.NewReader(in)
	line, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("chdb: child: read the config: %w", err)
	}
	var c Config
	if err := json.Unmarshal(line, &c); err != nil {
		return fmt.Errorf("chdb: child: read the config: %w", err)
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		defer cancel()
		_, _ = io.Copy(io.Discard, lines) // its end, of whatever kind, is the sign to stop
	}()
	c.Logger = slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	c.Ready = func(addr net.Addr) {
		_, _ = fmt.Fprintln(out, saysReady+addr.String()) // without a parent nobody reads it
	}
	return Serve(ctx, c)
}

// Running is a child process that serves.
type Running struct {
	// Addr is the address that it serves, host and port.
	Addr  string
	cmd   *exec.Cmd
	stdin io.WriteCloser
	done  chan struct{}
	err   error // why it ended; to be read after done
	grace time.Duration
	// last is what the child said about its failure, or a line of its standard error that was no log line.
	last atomic.Pointer[string]
}

// Start starts a child process, hands it the config and returns when it is ready. The command must call Child. Its standard streams are Start's.
// The child's log lines go to the config's Logger.
func Start(ctx context.Context, cmd *exec.Cmd, c Config) (*Running, error) {
	logger := c.Logger
	if logger == nil {
		logger = slog.Default()
	}
	config, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("chdb: start: %w", err)
	}
	r := &Running{cmd: cmd, done: make(chan struct{}), grace: 2*c.StopTime + 15*time.Second}
	if r.stdin, err = cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("chdb: start: %w", err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("chdb: start: %w", err)
	}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("chdb: start: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("chdb: start %s: %w", cmd.Path, err)
	}
	ready := make(chan string, 1)
	var readers sync.WaitGroup
	readers.Go(func() { r.readOut(stdout, ready, logger) })
	readers.Go(func() { r.readLog(ctx, stderr, logger) })
	go func() {
		readers.Wait()
		r.ended(cmd.Wait())
	}()
	if _, err := r.stdin.Write(append(config, '\n')); err != nil {
		r.Kill()
		return nil, fmt.Errorf("chdb: start: hand over the config: %w", errors.Join(err, r.err))
	}
	select {
	case r.Addr = <-ready:
		return r, nil
	case <-r.done:
		return nil, fmt.Errorf("chdb: start: %w", r.err)
	case <-ctx.Done():
		r.Kill()
		return nil, fmt.Errorf("chdb: start: %w", ctx.Err())
	}
}

func (r *Running) readOut(out io.Reader, ready chan<- string, logger *slog.Logger) {
	eachLine(out, func(line string) {
		if addr, ok := strings.CutPrefix(line, saysReady); ok {
			ready <- addr
			return
		}
		if reason, ok := strings.CutPrefix(line, saysFailed); ok {
			r.last.Store(&reason)
			return
		}
		logger.Info("clickhouse: " + line)
	})
}

// readLog passes the child's log lines on.
func (r *Running) readLog(ctx context.Context, log io.Reader, logger *slog.Logger) {
	eachLine(log, func(line string) {
		var record map[string]any
		if json.Unmarshal([]byte(line), &record) != nil {
			died := strings.HasPrefix(line, "panic: ") || strings.HasPrefix(line, "fatal error: ") || strings.HasPrefix(line, "SIG")
			if died || r.last.Load() == nil && strings.TrimSpace(line) != "" {
				r.last.Store(&line)
			}
			logger.Warn("clickhouse: " + line)
			return
		}
		var level slog.Level
		if text, ok := record[slog.LevelKey].(string); !ok || level.UnmarshalText([]byte(text)) != nil {
			level = slog.LevelInfo
		}
		message, _ := record[slog.MessageKey].(string)
		attributes := make([]any, 0, len(record))
		for key, value := range record {
			if key != slog.LevelKey && key != slog.MessageKey && key != slog.TimeKey {
				attributes = append(attributes, slog.Any(key, value))
			}
		}
		logger.Log(ctx, level, message, attributes...)
	})
}

func eachLine(r io.Reader, do func(line string)) {
	lines := bufio.NewReaderSize(r, 64<<10)
	for {
		line, tooLong, err := lines.ReadLine()
		if len(line) > 0 {
			do(string(line))
		}
		for tooLong && err == nil {
			_, tooLong, err = lines.ReadLine()
		}
		if err != nil {
			return
		}
	}
}

func (r *Running) ended(err error) {
	if err == nil {
		err = errStopped
	} else if last := r.last.Load(); last != nil {
		err = errors.Join(errors.New(*last), err)
	}
	r.err = err
	close(r.done)
}

var errStopped = errors.New("the ClickHouse process ended")

// Done is closed when the process has ended.
func (r *Running) Done() <-chan struct{} { return r.done }

// Err tells why the process ended; nil before.
func (r *Running) Err() error {
	select {
	case <-r.done:
		return r.err
	default:
		return nil
	}
}

// PID is the number of the process.
func (r *Running) PID() int { return r.cmd.Process.Pid }

// Stop ends the process in good order: queries under way may end within the config's StopTime. It is killed if that takes too long, which is an error.
func (r *Running) Stop() error {
	_ = r.stdin.Close() // a process that is gone has closed it
	timer := time.NewTimer(r.grace)
	defer timer.Stop()
	select {
	case <-r.done:
		if errors.Is(r.err, errStopped) {
			return nil
		}
		return r.err
	case <-timer.C:
		r.Kill()
		return fmt.Errorf("chdb: stop: the process had to be killed after %s", r.grace)
	}
}

// Kill ends the process at once, as a crash would, and waits until it is gone. What was acknowledged is kept.
func (r *Running) Kill() {
	_ = r.cmd.Process.Kill() // one that is gone cannot be killed
	<-r.done
	_ = r.stdin.Close()
}
