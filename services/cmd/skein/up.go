package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"github.com/skein-cx/skein/services/app"
)

func upCommand() *cobra.Command {
	var withDemo bool
	cmd := &cobra.Command{
		Use:   "up",
		Short: "Start everything in this process, with embedded engines",
		Long: `Start every role in this process. The log and the store are embedded, for development and for small single-machine
use; --kafka uses a Kafka cluster as the log, --store a PostgreSQL database as the store.

Data stay in --data and go on with the next start. Ctrl-C shuts down cleanly.`,
		Example: "  skein up\n  skein up --demo\n  skein up --kafka broker-1:9092,broker-2:9092",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return serve(cmd, app.RoleNames(), withDemo)
		},
	}
	cobra.CheckErr(serverFlags(cmd.Flags()))
	cmd.Flags().BoolVar(&withDemo, "demo", false, "play a short story by mail, in the web chat and on the telephone, and draw its timeline as it grows")
	return cmd
}

func runCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "run ROLE...",
		Short: "Start some roles in this process",
		Long: fmt.Sprintf(`Start some roles in this process; others run elsewhere, on the same Kafka.

Roles: %s.`, strings.Join(app.RoleNames(), ", ")),
		Example:   "  skein run ingest email --kafka broker-1:9092",
		Args:      cobra.MinimumNArgs(1),
		ValidArgs: app.RoleNames(),
		RunE: func(cmd *cobra.Command, roles []string) error {
			return serve(cmd, roles, false)
		},
	}
	cobra.CheckErr(serverFlags(cmd.Flags()))
	return cmd
}

// heapFloor is reserved and never touched, so that it takes no memory of the machine. It has the collector wait until as much
// again was allocated: beside a heap as small as that of a busy ingest it would run dozens of times a second, and take a fifth
// of the process's time.
const heapFloor = 64 << 20

func serve(cmd *cobra.Command, roles []string, withDemo bool) error {
	floor := make([]byte, heapFloor)
	defer runtime.KeepAlive(floor)
	cfg, err := load(cmd)
	if err != nil {
		return err
	}
	if withDemo && len(cfg.Auth.Tokens) > 0 {
		return errDemoTokens
	}
	if withDemo {
		cfg = withStage(cfg)
	}
	logger, err := app.NewLogger(cfg.Logging, os.Stderr)
	if err != nil {
		return err
	}
	cfg.Version, _ = programVersion()
	a, err := app.New(cfg, roles, logger)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(cmd.Context())
	defer cancel(nil)
	ended := make(chan struct{}) // of the demo
	ready := func() {
		for _, line := range a.Addresses() {
			logger.InfoContext(ctx, "listening", "for", line.What, "addr", line.Addr)
		}
		logger.InfoContext(ctx, "ready: Ctrl-C stops")
		go func() {
			defer close(ended)
			if !withDemo {
				return
			}
			if err := playDemo(ctx, cmd.OutOrStdout(), a, cfg); err != nil && ctx.Err() == nil {
				cancel(fmt.Errorf("demo: %w", err))
			}
		}()
	}
	started := false
	err = a.Run(ctx, func() { started = true; ready() })
	if started {
		cancel(nil)
		<-ended
	}
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) {
		err = errors.Join(cause, err)
	}
	if err == nil {
		logger.InfoContext(cmd.Context(), "stopped")
	}
	return err
}
