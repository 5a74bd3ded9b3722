package chdb

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrInUse means that another process serves the directory.
var ErrInUse = errors.New("another process serves this directory")

// Serve runs the engine on a directory, in this process, and serves ClickHouse's HTTP interface until the context ends. Then queries under way may end
// within StopTime, the rest is cancelled, and the engine is closed. A process can serve once: the library does not start again, so this is what
// a child process does (see Child).
func Serve(ctx context.Context, config Config) error {
	c, err := config.withDefaults()
	if err != nil {
		return err
	}
	if c.Library == "" {
		if c.Library, err = Find(""); err != nil {
			return err
		}
	}
	configFile, err := c.settingsFiles()
	if err != nil {
		return err
	}
	unlock, err := c.lock()
	if err != nil {
		return err
	}
	defer unlock()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", c.Listen)
	if err != nil {
		return fmt.Errorf("chdb: Listen: %w", err)
	}
	defer listener.Close() //nolint:errcheck // the server closes it as well
	if err := os.RemoveAll(filepath.Join(c.Dir, "answers")); err != nil {
		return fmt.Errorf("chdb: Dir: %w", err)
	}
	removed, err := repairTokens(c.Dir)
	if err != nil {
		return err
	}
	if removed > 0 {
		c.Logger.InfoContext(ctx, "clickhouse: blocks that were noted and had not come before the last end are taken again", "tables", removed)
	}
	e, err := load(c.Library)
	if err != nil {
		return err
	}
	if err := e.open(c.Dir, configFile); err != nil {
		return fmt.Errorf("%w to %s; with EngineLog set, the engine's log tells more", err, c.Dir)
	}
	b, err := newBridge(e, c)
	if err != nil {
		e.close()
		return err
	}
	if err := b.listen(ctx, listener); err != nil {
		return err // with queries that still run, so that closing the engine would abort the process
	}
	e.close()
	return nil
}

// lock keeps other processes off the directory, with an error that says so: the engine would only refuse.
func (c Config) lock() (unlock func(), err error) {
	path := filepath.Join(c.Dir, "skein.lock")
	file, err := tryLock(path)
	if errors.Is(err, syscall.EWOULDBLOCK) {
		owner, _ := os.ReadFile(path) //nolint:gosec // in the configured directory, only for the message
		return nil, fmt.Errorf("chdb: %w: process %s has %s open; end it, or take another directory", ErrInUse, strings.TrimSpace(string(owner)), c.Dir)
	}
	if err != nil {
		return nil, fmt.Errorf("chdb: Dir: %w", err)
	}
	if err := file.Truncate(0); err == nil {
		_, _ = file.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0) // only for the message
	}
	return func() { _ = file.Close() }, nil // which gives the lock back
}

// listen serves until the context ends, then lets requests end, and cancels what is left of them.
func (b *bridge) listen(ctx context.Context, listener net.Listener) error {
	requests, cancelRequests := context.WithCancel(context.WithoutCancel(ctx))
	defer cancelRequests()
	server := &http.Server{
		Handler: b, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 1 << 20,
		BaseContext: func(net.Listener) context.Context { return requests },
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(listener) }()
	b.log.InfoContext(ctx, "clickhouse: ready", "address", listener.Addr().String(), "version", b.version, "dir", b.c.Dir)
	if b.c.Ready != nil {
		b.c.Ready(listener.Addr())
	}
	select {
	case err := <-failed:
		return fmt.Errorf("chdb: serve: %w", err)
	case <-ctx.Done():
	}
	grace, cancel := context.WithTimeout(requests, b.c.StopTime)
	defer cancel()
	if server.Shutdown(grace) == nil {
		return nil
	}
	cancelRequests()
	last, cancelLast := context.WithTimeout(context.WithoutCancel(ctx), b.c.StopTime)
	defer cancelLast()
	if err := server.Shutdown(last); err != nil {
		return fmt.Errorf("chdb: stop: queries did not end: %w", err)
	}
	return nil
}
