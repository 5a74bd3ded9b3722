package bench

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/google/pprof/profile"

	"github.com/skein-cx/skein/pkg/chdb"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/tools/kafka"
)

// patience is how long a process may take to start or to end.
const patience = time.Minute

// Serve is a child process of a run, until ctx ends: "broker" is the embedded broker, "peer" the peer of ingest, "clickhouse" the engine.
func Serve(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	dir := flags.String("dir", "", "directory of the broker")
	addr := flags.String("addr", "", "address to listen on")
	metrics := flags.String("metrics", "", "address of the peer's metrics")
	brokers := flags.String("kafka", "", "where the peer's log is")
	if len(args) == 0 {
		return errors.New("bench: serve what: broker, peer or clickhouse")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	switch args[0] {
	case "broker":
		broker, err := embedded.Start(ctx, embedded.Config{Dir: *dir, Addr: *addr})
		if err != nil {
			return fmt.Errorf("bench: %w", err)
		}
		<-ctx.Done()
		return broker.Close()
	case "clickhouse":
		return chdb.Child(ctx, os.Stdin, os.Stdout, os.Stderr)
	case "peer":
		return servePeer(ctx, *brokers, *addr, *metrics)
	}
	return fmt.Errorf("bench: there is no child %q", args[0])
}

// broker is a log that runs in a process of its own.
type broker struct {
	name, addr string
	dataDir    string
	stop       func(ctx context.Context) error
}

// engine is a kind of log.
type engine struct {
	name  string
	start func(ctx context.Context, b *bench) (*broker, error)
}

const (
	embeddedName = "embedded"
	kafkaName    = "Apache Kafka"
)

// engines are the logs to measure on; the last one is the one that production has, where it is there.
func (b *bench) engines() []engine {
	all := []engine{{embeddedName, startEmbedded}}
	if b.Kafka {
		all = append(all, engine{kafkaName, startKafka})
	}
	return all
}

// withBroker runs something on a new, empty log.
func (b *bench) withBroker(ctx context.Context, e engine, run func(*broker) error) error {
	log, err := e.start(ctx, b)
	if err != nil {
		return err
	}
	err = run(log)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	return errors.Join(err, log.stop(stopping))
}

// onMain runs something on a new log of the engine that production has.
func (b *bench) onMain(ctx context.Context, run func(*broker) error) (name string, err error) {
	all := b.engines()
	main := all[len(all)-1]
	return main.name, b.withBroker(ctx, main, run)
}

func startEmbedded(ctx context.Context, b *bench) (*broker, error) {
	addr, err := freeAddr(ctx)
	if err != nil {
		return nil, err
	}
	dir := b.newDir()
	p, err := start(ctx, b.Self, "serve", "broker", "-dir", dir, "-addr", addr)
	if err != nil {
		return nil, err
	}
	err = p.await(ctx, func() bool {
		conn, err := (&net.Dialer{Timeout: time.Second}).DialContext(ctx, "tcp", addr)
		if err != nil {
			return false
		}
		return conn.Close() == nil
	})
	if err != nil {
		return nil, errors.Join(err, p.end(ctx))
	}
	return &broker{name: embeddedName, addr: addr, dataDir: dir, stop: func(ctx context.Context) error {
		return errors.Join(p.end(ctx), os.RemoveAll(dir))
	}}, nil
}

func startKafka(ctx context.Context, b *bench) (*broker, error) {
	cluster, err := kafka.Make(ctx, kafka.Config{Dir: b.newDir(), Heap: "1g", Owned: true, Progress: b.Progress})
	if err != nil {
		return nil, err
	}
	if err := cluster.Up(ctx); err != nil {
		return nil, errors.Join(err, cluster.Remove(context.WithoutCancel(ctx)))
	}
	return &broker{name: kafkaName, addr: cluster.Addrs()[0], dataDir: cluster.DataDir(1), stop: cluster.Remove}, nil
}

// freeAddr is one that nobody listens on, below those that outgoing connections take.
func freeAddr(ctx context.Context) (string, error) {
	for range 1000 {
		addr := net.JoinHostPort("127.0.0.1", strconv.Itoa(20_000+rand.IntN(10_000)))
		if l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr); err == nil {
			return addr, l.Close()
		}
	}
	return "", errors.New("no free port from 20000 to 29999")
}

// server is a gRPC server in a process of its own, with metrics.
type server struct {
	*process
	grpc, http string
	dir        string
}

// startSkein starts the program with some roles on a log.
func (b *bench) startSkein(ctx context.Context, log *broker, roles ...string) (*server, error) {
	s := &server{dir: b.newDir()}
	return s, b.launchSkein(ctx, s, log, roles)
}

// launchSkein starts the program in a server's directory.
func (b *bench) launchSkein(ctx context.Context, s *server, log *broker, roles []string, env ...string) error {
	return s.launch(ctx, "/readyz", func() (program string, args []string) {
		args = append([]string{"run"}, roles...)
		return b.Skein, append(args, "--kafka", log.addr, "--data", s.dir, "--grpc", s.grpc, "--http", s.http)
	}, append(env, "SKEIN_DEBUG_PROFILES=true", "SKEIN_LOGGING_LEVEL=warn")...)
}

// startPeer starts the peer of ingest on a log.
func (b *bench) startPeer(ctx context.Context, log *broker) (*server, error) {
	s := &server{}
	err := s.launch(ctx, "/metrics", func() (program string, args []string) {
		return b.Self, []string{"serve", "peer", "-kafka", log.addr, "-addr", s.grpc, "-metrics", s.http}
	})
	return s, err
}

func (s *server) launch(ctx context.Context, ready string, command func() (program string, args []string), env ...string) (err error) {
	if s.grpc, err = freeAddr(ctx); err != nil {
		return err
	}
	if s.http, err = freeAddr(ctx); err != nil {
		return err
	}
	program, args := command()
	if s.process, err = startWith(ctx, env, program, args...); err != nil {
		return err
	}
	err = s.await(ctx, func() bool {
		_, err := s.get(ctx, ready)
		return err == nil
	})
	if err != nil {
		return errors.Join(err, s.end(ctx))
	}
	return nil
}

// close ends the process and removes what it kept.
func (s *server) close(ctx context.Context) error {
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), patience)
	defer cancel()
	err := s.end(stopping)
	if s.dir != "" {
		err = errors.Join(err, os.RemoveAll(s.dir))
	}
	return err
}

func (s *server) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+s.http+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", path, answer.Status)
	}
	return body, err
}

// used is what a process has used since it started.
type used struct {
	allocations, cpuSeconds float64
}

func (s *server) used(ctx context.Context) (u used, err error) {
	text, err := s.get(ctx, "/metrics")
	if err != nil {
		return used{}, err
	}
	for line := range strings.Lines(string(text)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch name {
		case "go_memstats_mallocs_total":
			u.allocations, err = strconv.ParseFloat(value, 64)
		case "process_cpu_seconds_total":
			u.cpuSeconds, err = strconv.ParseFloat(value, 64)
		}
		if err != nil {
			return used{}, fmt.Errorf("metrics: %w", err)
		}
	}
	return u, nil
}

func (u used) since(before used) used {
	return used{u.allocations - before.allocations, u.cpuSeconds - before.cpuSeconds}
}

// profile samples for some seconds where the process spends its time.
func (s *server) profile(ctx context.Context, d time.Duration) (*breakdown, error) {
	text, err := s.get(ctx, fmt.Sprintf("/debug/pprof/profile?seconds=%d", max(1, int(d.Seconds()))))
	if err != nil {
		return nil, err
	}
	p, err := profile.ParseData(text)
	if err != nil {
		return nil, fmt.Errorf("read a profile: %w", err)
	}
	return breakDown(p), nil
}

// process is a child.
type process struct {
	cmd  *exec.Cmd
	out  output
	done chan struct{} // closed when it has ended
}

func start(ctx context.Context, program string, args ...string) (*process, error) {
	return startWith(ctx, nil, program, args...)
}

func startWith(ctx context.Context, env []string, program string, args ...string) (*process, error) {
	p := &process{cmd: exec.CommandContext(context.WithoutCancel(ctx), program, args...), done: make(chan struct{})} // end ends it
	p.cmd.Stdout, p.cmd.Stderr = &p.out, &p.out
	p.cmd.Env = append(os.Environ(), env...)
	if err := p.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	go func() {
		_ = p.cmd.Wait() // how it ended tells less than what it said
		close(p.done)
	}()
	return p, nil
}

// await waits until the process does what it should.
func (p *process) await(ctx context.Context, does func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !does() {
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("%s ended: %s", filepath.Base(p.cmd.Path), p.out.text())
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w: %s", filepath.Base(p.cmd.Path), ctx.Err(), p.out.text())
		}
	}
	return nil
}

// end asks the process to end and waits for that; it kills it when ctx ends.
func (p *process) end(ctx context.Context) error {
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end %s: %w", filepath.Base(p.cmd.Path), err)
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = p.cmd.Process.Kill() // it may have ended by now
		<-p.done
	}
	return nil
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

// text is the end of it.
func (o *output) text() string {
	const most = 4096
	o.mu.Lock()
	defer o.mu.Unlock()
	b := o.buf.Bytes()
	return string(b[max(0, len(b)-most):])
}

// kafkaVersion is that of the real broker; empty where it is not known.
func kafkaVersion() string {
	version, err := kafka.Version()
	if err != nil {
		return ""
	}
	return version
}
