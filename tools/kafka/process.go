package kafka

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lookAgain is how often a condition of another process is looked at.
const lookAgain = 50 * time.Millisecond

var errRuns = errors.New("it runs")

// process is a broker that this process has started.
type process struct {
	cmd   *exec.Cmd
	ended chan struct{}
}

// kill ends a broker that does not come up. One that was not started here is left alone.
func (p *process) kill() {
	if p != nil {
		_ = p.cmd.Process.Kill()
		<-p.ended
	}
}

// lock takes the lock that a broker holds while it runs. It returns nil when the broker runs.
func (c *Cluster) lock(n int) (*os.File, error) {
	return lock(filepath.Join(c.brokerDir(n), "running"))
}

// turn waits for one's turn to restart a broker, which lasts until the file is closed.
func (c *Cluster) turn(ctx context.Context, n int) (*os.File, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		if f, err := lock(filepath.Join(c.brokerDir(n), "restarting")); f != nil || err != nil {
			return f, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, fmt.Errorf("kafka: wait for another restart of broker %d: %w", n, ctx.Err())
		}
	}
}

// lock takes the lock on a file, which is made if need be. It returns nil when somebody else has it.
func lock(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil {
		return f, nil
	}
	_ = f.Close() // nothing was written
	if errors.Is(err, syscall.EWOULDBLOCK) {
		return nil, nil //nolint:nilnil // somebody else has it
	}
	return nil, fmt.Errorf("kafka: lock %s: %w", f.Name(), err)
}

// pid is the process id of a broker that runs, or 0.
func (c *Cluster) pid(n int) (int, error) {
	lock, err := c.lock(n)
	if err != nil {
		return 0, err
	}
	if lock != nil {
		_ = lock.Close() // gives the lock back
		return 0, nil
	}
	text, err := os.ReadFile(filepath.Join(c.brokerDir(n), "running"))
	if err != nil {
		return 0, fmt.Errorf("kafka: %w", err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return -1, nil //nolint:nilerr // somebody else is starting or looking
	}
	return pid, nil
}

// soon tries something again a few times.
func soon(ctx context.Context, fn func() error) (err error) {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for range 4 {
		if err = fn(); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return err
}

// launch starts a broker, unless it runs: then it returns nil.
func (c *Cluster) launch(ctx context.Context, n int) (*process, error) {
	var lock *os.File
	err := soon(ctx, func() (err error) { // who looks whether it runs has the lock for a moment
		if lock, err = c.lock(n); lock == nil && err == nil {
			err = errRuns
		}
		return err
	})
	if errors.Is(err, errRuns) {
		return nil, nil //nolint:nilnil // there is nothing to launch
	}
	if err != nil {
		return nil, err
	}
	defer func() { _ = lock.Close() }() // the broker has it then
	if err := lock.Truncate(0); err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	p := c.state.Ports[n-1]
	for _, port := range []int{p.Clients, p.Internal, p.Controller} {
		err := soon(ctx, func() error { // a broker that ends gives its lock back a moment before its ports
			l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr(port))
			if err != nil {
				return err
			}
			return l.Close()
		})
		if err != nil {
			return nil, fmt.Errorf("kafka: broker %d cannot listen: %w: end the program that does, or remove %s for a cluster with other ports", n, err, c.cfg.Dir)
		}
	}
	if _, err := os.Stat(filepath.Join(c.DataDir(n), "meta.properties")); err != nil {
		if out, err := c.Java(ctx, "kafka.tools.StorageTool", c.formatArgs(n)...).CombinedOutput(); err != nil {
			return nil, fmt.Errorf("kafka: prepare the directory of broker %d: %w\n%s", n, err, bytes.TrimSpace(out))
		}
	}
	return c.spawn(n, lock)
}

// spawn starts the process of a broker and hands it the lock.
func (c *Cluster) spawn(n int, lock *os.File) (*process, error) {
	out, err := os.OpenFile(c.LogFile(n), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	defer func() { _ = out.Close() }() // the broker writes to it, not we
	options := []string{"-Xms" + c.state.Heap, "-Xmx" + c.state.Heap}
	if c.state.Frugal {
		options = append(options, frugal()...)
	}
	cmd := exec.Command(c.software.java, append(options, c.javaArgs("kafka.Kafka", c.propertiesFile(n))...)...) //nolint:noctx // it outlives the call
	cmd.Stdout, cmd.Stderr, cmd.ExtraFiles, cmd.SysProcAttr = out, out, []*os.File{lock}, apart(c.cfg.Owned)
	p, started := &process{cmd: cmd, ended: make(chan struct{})}, make(chan error)
	go func() {
		defer close(p.ended)
		runtime.LockOSThread() // which lives as long as the broker: the end of the thread would end one that is owned
		err := cmd.Start()
		if err == nil {
			_, err = lock.WriteAt([]byte(strconv.Itoa(cmd.Process.Pid)), 0)
		}
		started <- err
		if cmd.Process != nil {
			_ = cmd.Wait() // how it ended, its log tells
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("kafka: start broker %d: %w", n, err)
	}
	return p, nil
}

// await waits until a broker knows at least so many brokers, itself among them.
func (c *Cluster) await(ctx context.Context, n int, p *process, brokers int) error {
	var ended <-chan struct{} // never, where it was not started here
	if p != nil {
		ended = p.ended
	}
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for {
		known, err := knownBrokers(ctx, addr(c.state.Ports[n-1].Internal))
		if err == nil && known[n] && len(known) >= brokers {
			return nil
		}
		select {
		case <-tick.C:
		case <-ended:
			return fmt.Errorf("kafka: broker %d has ended; its log %s ends with:\n%s", n, c.LogFile(n), c.tail(n))
		case <-ctx.Done():
			return fmt.Errorf("kafka: broker %d does not serve in time (%w, it knows the brokers %v, %v); its log %s ends with:\n%s",
				n, ctx.Err(), known, err, c.LogFile(n), c.tail(n)) //nolint:errorlint // the reason is for people
		}
	}
}

// The signals that end a broker.
const (
	gently = syscall.SIGTERM
	atOnce = syscall.SIGKILL
)

// end ends a broker that runs, and waits until it has ended.
func (c *Cluster) end(ctx context.Context, n int, signal syscall.Signal) error {
	tick := time.NewTicker(lookAgain)
	defer tick.Stop()
	for signalled := false; ; {
		pid, err := c.pid(n)
		if pid == 0 || err != nil {
			return err
		}
		if !signalled && pid > 0 {
			if err := syscall.Kill(pid, signal); err != nil && !errors.Is(err, syscall.ESRCH) {
				return fmt.Errorf("kafka: end broker %d: %w", n, err)
			}
			signalled = true
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("kafka: broker %d (process %d) does not end: %w", n, pid, ctx.Err())
		}
	}
}

// Java runs a program of Kafka's, such as org.apache.kafka.tools.ConsoleProducer.
func (c *Cluster) Java(ctx context.Context, class string, args ...string) *exec.Cmd {
	options := append(frugal(), "-Xmx256m", "-Dskein.level=error")
	return exec.CommandContext(ctx, c.software.java, append(options, c.javaArgs(class, args...)...)...)
}

// frugal are the options of a program that does not live long enough for Java to optimise it.
func frugal() []string { return []string{"-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC"} }

func (c *Cluster) javaArgs(class string, args ...string) []string {
	return append([]string{
		"-Dlog4j2.configurationFile=" + filepath.Join(c.cfg.Dir, "log4j2.properties"),
		"-cp", filepath.Join(c.software.lib, "*"), class,
	}, args...)
}

// Status says of each broker whether it runs.
func (c *Cluster) Status(w io.Writer) error {
	for n := 1; n <= c.Brokers(); n++ {
		pid, err := c.pid(n)
		if err != nil {
			return err
		}
		state := "stopped"
		if pid != 0 {
			state = fmt.Sprint("runs, process ", pid)
		}
		fmt.Fprintf(w, "broker %d  %s  %s\n", n, addr(c.state.Ports[n-1].Clients), state)
	}
	return nil
}
