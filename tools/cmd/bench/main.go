// Command bench measures Skein beside its ceilings and its peers on this machine, and writes the page of it.
//
//	bench                       everything; takes three quarters of an hour
//	bench -only ingest,fold     some jobs
//	bench -growth 10000000      a store that grows, too
//	bench -rows 10000000        a ClickHouse of so many events
//	bench -quick                small sizes, to see that everything runs; the figures mean nothing
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/skein-cx/skein/tools/bench"
	"github.com/skein-cx/skein/tools/kafka"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) (err error) {
	if len(args) > 0 && args[0] == "serve" { // a child of a run
		return bench.Serve(ctx, args[1:])
	}
	cfg := bench.Config{Progress: os.Stderr}
	flags := flag.NewFlagSet("bench", flag.ExitOnError)
	flags.StringVar(&cfg.Skein, "skein", "bin/skein", "the program")
	flags.IntVar(&cfg.Events, "events", 1_000_000, "events of the jobs over a filled log")
	flags.IntVar(&cfg.Rows, "rows", 1_000_000, "events that ClickHouse is filled with")
	flags.IntVar(&cfg.Growth, "growth", 0, "grow a store to so many events; 0 leaves that out")
	flags.DurationVar(&cfg.Each, "each", 10*time.Second, "how long each measurement by time takes")
	flags.IntVar(&cfg.Turns, "turns", 3, "turns of contenders that alternate")
	flags.IntVar(&cfg.Rate, "rate", 20_000, "events per second of the paced jobs")
	flags.IntVar(&cfg.Watchers, "watchers", 1000, "watches at once")
	flags.IntVar(&cfg.WatchRate, "watch-rate", 5000, "events per second that the watches see")
	flags.IntVar(&cfg.Agents, "agents", 10_000, "agents of the board")
	flags.IntVar(&cfg.Queues, "queues", 1000, "queues of the board, ten to a team")
	flags.IntVar(&cfg.Visits, "visits", 30_000, "visits in the history of the queue that is forecast")
	flags.IntVar(&cfg.BoardRate, "board-rate", 50, "events per second while the board is watched")
	flags.StringVar(&cfg.Data, "data", "../shared/data", "conversations to search: the directory of crosswoz and multidogo")
	only := flags.String("only", "", "jobs to run, with commas between them: "+strings.Join(bench.Jobs(), ", "))
	page := flags.String("o", "docs/benchmarks.md", "the page to write")
	quick := flags.Bool("quick", false, "small sizes, to see that everything runs")
	if err := flags.Parse(args); err != nil {
		return err // not reached: the flags end the process
	}
	if *quick {
		cfg.Events, cfg.Each, cfg.Turns, cfg.Rate, cfg.Watchers, cfg.WatchRate = 50_000, 2*time.Second, 1, 2000, 100, 500
		cfg.Rows = cfg.Events
		cfg.Agents, cfg.Queues, cfg.Visits, cfg.BoardRate = 1000, 100, 3000, 50
	}
	if *only != "" {
		cfg.Only = strings.Split(*only, ",")
	}
	if cfg.Self, err = os.Executable(); err != nil {
		return err
	}
	if err := kafka.Check(ctx); err == nil {
		cfg.Kafka = true
	} else {
		fmt.Fprintln(os.Stderr, "without a real Kafka:", err)
	}
	cfg.PostgreSQL = bench.HasPostgreSQL() //nolint:contextcheck // a server that tests start takes no context
	if cfg.Dir, err = os.MkdirTemp("", "skein-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(cfg.Dir)) }()
	report, err := bench.Run(ctx, cfg)
	if report == nil || len(report.Tables) == 0 {
		return err
	}
	if failed := report.Write(*page); failed != nil {
		return errors.Join(err, failed)
	}
	fmt.Fprintln(os.Stderr, "wrote", *page)
	return err
}
