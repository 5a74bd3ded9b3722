package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/live"
)

// deadRetention is how long dead letters wait for somebody to look at them.
const deadRetention = 30 * 24 * time.Hour

// startPatience is how long a start waits for a log that is not ready yet: on a machine that has just booted, its brokers start
// at the same time.
const startPatience = time.Minute

// clientID names this software to Kafka.
const clientID = "skein"

func (a *App) openKeyring(ctx context.Context) error {
	if err := os.MkdirAll(a.cfg.Data, 0o750); err != nil {
		return fmt.Errorf("data directory: %w", err)
	}
	path := filepath.Join(a.cfg.Data, "keyring.json")
	var err error
	if a.keyring, err = event.LoadKeyring(path); err == nil {
		return nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	// A new keyring gives every customer new ids: it must never stand beside old data.
	for _, old := range []string{a.cfg.storeDir(), a.logDir()} {
		if _, statErr := os.Stat(old); statErr == nil {
			return fmt.Errorf("%w: %s holds data that was written under it: put the keyring back from your backup", err, old)
		}
	}
	if a.keyring, err = event.CreateKeyring(path); err != nil {
		return err
	}
	a.logger.InfoContext(ctx, "made a new keyring: back it up with the log, customers cannot be found without it", "path", path)
	return nil
}

func (a *App) logDir() string { return filepath.Join(a.cfg.Data, "log") }

func (a *App) startBroker(ctx context.Context) error {
	var err error
	a.broker, err = embedded.Start(ctx, embedded.Config{
		Dir: a.logDir(), Addr: a.cfg.Log.Addr, SyncWrites: a.cfg.Log.Sync, Logger: a.logger,
		Transient: map[string]time.Duration{live.Topic: live.Retention},
	})
	return err
}

func (a *App) stopBroker(context.Context) error { return a.broker.Close() }

func (a *App) openLog(ctx context.Context) error {
	cfg, err := a.cfg.Log.kafkalog(a.KafkaAddrs())
	if err != nil {
		return err
	}
	cfg.Logger, cfg.Patience = a.logger, startPatience
	if a.log, err = kafkalog.Open(ctx, cfg); err != nil {
		return err
	}
	return a.log.EnsureTopics(ctx, Topics(a.cfg.Log.Partitions)...)
}

func (a *App) closeLog(context.Context) error { return a.log.Close() }

func (a *App) openBlobs(ctx context.Context) error {
	bucket := a.cfg.Blobs.URL
	if bucket == "" {
		dir, err := filepath.Abs(filepath.Join(a.cfg.Data, "blobs"))
		if err != nil {
			return fmt.Errorf("blob directory: %w", err)
		}
		u := url.URL{Scheme: "file", Path: filepath.ToSlash(dir)}
		u.RawQuery = url.Values{"create_dir": {"true"}, "no_tmp_dir": {"true"}, "metadata": {"skip"}}.Encode()
		bucket = u.String()
	}
	var err error
	a.blobs, err = blob.Open(ctx, bucket)
	return err
}

func (a *App) closeBlobs(context.Context) error { return a.blobs.Close() }

func (a *App) openIntake(context.Context) error {
	compiler, err := event.NewCompiler(a.keyring)
	if err != nil {
		return err
	}
	a.intake = intake.New(intake.Config{
		Compiler: compiler, Keyring: a.keyring, Log: a.log, Blobs: a.blobs,
		Limits:  intake.Limits{EventsPerSecond: a.cfg.Limits.EventsPerSecond, Burst: a.cfg.Limits.Burst},
		Room:    a.room.check,
		Metrics: intake.NewMetrics(a.registry),
	})
	return nil
}
