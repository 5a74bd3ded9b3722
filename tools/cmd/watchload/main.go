// Command watchload measures a running server: many watches, a steady stream of events, and the delay from an event's
// acknowledgement to its delivery.
//
//	watchload -grpc 127.0.0.1:7070 -watchers 1000 -rate 5000 -for 20s
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"time"

	"github.com/skein-cx/skein/tools/watchload"
)

func main() { os.Exit(run()) }

func run() int {
	var cfg watchload.Config
	flag.StringVar(&cfg.Addr, "grpc", "127.0.0.1:7070", "address of the gRPC server")
	flag.StringVar(&cfg.Token, "token", "", "API token")
	flag.IntVar(&cfg.Watchers, "watchers", 1000, "watches at once, each of a customer of its own")
	flag.IntVar(&cfg.Rate, "rate", 5000, "events per second")
	flag.DurationVar(&cfg.For, "for", 20*time.Second, "how long")
	flag.Parse()
	cfg.Ready = func(after time.Duration) {
		fmt.Printf("%d watches ready after %.1f s\n", cfg.Watchers, after.Seconds())
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	r, err := watchload.Run(ctx, cfg)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Printf("%d events in %.1f s (%.0f a second), acknowledged %d, delivered %d, missing %d, doubled %d\n",
		r.Sent, r.Took.Seconds(), float64(r.Sent)/r.Took.Seconds(), r.Acknowledged, r.Delivered, r.Missing, r.Doubled)
	at := func(fraction float64) time.Duration { return r.Delay(fraction).Round(100 * time.Microsecond) }
	fmt.Printf("from acknowledgement to delivery: p50 %v, p90 %v, p99 %v, max %v\n", at(0.5), at(0.9), at(0.99), at(1))
	return 0
}
