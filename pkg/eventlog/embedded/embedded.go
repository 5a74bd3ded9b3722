// Package embedded runs a Kafka broker inside the process: franz-go's kfake over a directory. It is for development,
// demonstration and small use on a single machine. It keeps its data over restarts and kill -9, and keeps every record for
// ever, whatever a topic's retention says, but for topics that are configured to be transient. It reads the whole log when it starts, and takes as much memory for it. It is
// never a cluster, and has no authentication: listen on loopback.
package embedded

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// Config says where the data is and where to listen. Only Dir must be set.
type Config struct {
	// Dir holds the data. It is created where it does not exist, readable by the user only.
	Dir string
	// Addr is the address (host:port) to listen on, and the one that clients are told. 127.0.0.1:7092 unless set; port 0
	// takes any.
	Addr string
	// SyncWrites waits for the disk at each append, so that what was acknowledged survives a loss of power. Without it,
	// it survives the end of the process only, and Close waits for the disk.
	SyncWrites bool
	// MinFreeBytes is the free space below which appends and new topics are refused. 64 MiB unless set.
	MinFreeBytes int64
	// Transient are topics whose records are worthless after a time, and how long that is: they are deleted between once and twice as
	// long after they were appended, or after the start. Their offsets may begin again with a start.
	Transient map[string]time.Duration
	// Logger is told of the start, of repairs and of a full disk. Nothing is logged unless it is set.
	Logger *slog.Logger
}

// Broker is a running broker.
type Broker struct {
	cfg     Config
	addr    string
	lock    *os.File
	cluster *kfake.Cluster
	stop    context.CancelFunc
	space   sync.WaitGroup // what runs until stop is called
	once    sync.Once
	err     error
}

// Start loads the data and serves. ErrLocked names a directory that another broker uses.
func Start(ctx context.Context, cfg Config) (*Broker, error) {
	if cfg.Dir == "" {
		return nil, errors.New("embedded: no directory is configured")
	}
	if cfg.Addr == "" {
		cfg.Addr = "127.0.0.1:7092"
	}
	if cfg.MinFreeBytes == 0 {
		cfg.MinFreeBytes = 64 << 20
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("embedded: create the log's directory: %w", err)
	}
	b := &Broker{cfg: cfg}
	var err error
	if b.lock, err = lock(cfg.Dir); err != nil {
		return nil, err
	}
	listener, err := listen(ctx, cfg.Addr)
	if err != nil {
		return nil, errors.Join(err, b.lock.Close())
	}
	b.addr = listener.Addr().String()
	if b.cluster, err = b.load(ctx, listener); err != nil {
		return nil, errors.Join(fmt.Errorf("embedded: load %s: %w", cfg.Dir, err), listener.Close(), b.lock.Close())
	}
	watcher := &space{cfg: cfg, cluster: b.cluster}
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	b.stop = stop
	b.space.Go(func() { watcher.watch(watching) })
	for topic, after := range cfg.Transient {
		b.space.Go(func() { forget(watching, b.cluster, topic, after) })
	}
	return b, nil
}

// listen claims the address, so that a used one is named before anything is loaded.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("embedded: %s is in use: stop what listens there, or configure another address for the embedded log: %w", addr, err)
	}
	if err != nil {
		return nil, fmt.Errorf("embedded: %w", err)
	}
	if tcp, ok := listener.Addr().(*net.TCPAddr); ok && tcp.IP.IsUnspecified() {
		return nil, errors.Join(fmt.Errorf("embedded: listen on %q: name a host, since clients are told to connect to it", addr), listener.Close())
	}
	return &guardedListener{Listener: listener}, nil
}

// load reads what the directory holds.
func (b *Broker) load(ctx context.Context, listener net.Listener) (*kfake.Cluster, error) {
	began, size := time.Now(), size(b.cfg.Dir)
	log := b.cfg.Logger.With("dir", b.cfg.Dir, "bytes", size)
	log.InfoContext(ctx, "loading the log")
	progress := time.NewTicker(5 * time.Second)
	defer progress.Stop()
	loaded := make(chan struct{})
	defer close(loaded)
	go func() {
		for {
			select {
			case <-progress.C:
				log.InfoContext(ctx, "still loading the log", "for", time.Since(began).Round(time.Second))
			case <-loaded:
				return
			}
		}
	}()
	never := strconv.FormatInt(int64(100*365*24*time.Hour/time.Millisecond), 10)
	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.ClusterID("skein-embedded"),
		kfake.DataDir(b.cfg.Dir),
		kfake.ListenFn(func(string, string) (net.Listener, error) { return listener, nil }),
		kfake.WithLogger(logger{log: b.cfg.Logger}),
		kfake.BrokerConfigs(map[string]string{
			"log.retention.ms": "-1", "log.retention.bytes": "-1",
			// Nor on request of a topic: a partition from which retention took everything starts again at offset 0.
			"log.cleaner.backoff.ms": never,
		}),
	}
	if b.cfg.SyncWrites {
		options = append(options, kfake.SyncWrites())
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		return nil, err
	}
	log.InfoContext(ctx, "the log is loaded", "took", time.Since(began).Round(time.Millisecond), "addr", b.addr)
	return cluster, nil
}

// Addr is the address (host:port) to which clients connect.
func (b *Broker) Addr() string { return b.addr }

// Close stops serving, writes what was loaded and appended to the disk, and frees the directory. Close the logs on this
// broker before. A second call does nothing.
func (b *Broker) Close() error {
	b.once.Do(func() {
		b.stop()
		b.space.Wait()
		b.cluster.Close()
		if !b.cfg.SyncWrites {
			b.err = flush(b.cfg.Dir)
		}
		b.err = errors.Join(b.err, b.lock.Close())
	})
	return b.err
}

// size adds up the files in a directory; what cannot be read counts nothing.
func size(dir string) (n int64) {
	_ = filepath.WalkDir(dir, func(_ string, d fs.DirEntry, err error) error {
		if err != nil {
			return nil //nolint:nilerr // loading will tell
		}
		if info, err := d.Info(); err == nil && info.Mode().IsRegular() {
			n += info.Size()
		}
		return nil
	})
	return n
}

// logger passes on what the broker tells.
type logger struct{ log *slog.Logger }

func (l logger) Logf(level kfake.LogLevel, format string, args ...any) {
	to := map[kfake.LogLevel]slog.Level{
		kfake.LogLevelError: slog.LevelError, kfake.LogLevelWarn: slog.LevelWarn, kfake.LogLevelInfo: slog.LevelDebug, kfake.LogLevelDebug: slog.LevelDebug - 4,
	}[level]
	if ctx := context.Background(); l.log.Enabled(ctx, to) {
		l.log.Log(ctx, to, "broker: "+fmt.Sprintf(format, args...))
	}
}
