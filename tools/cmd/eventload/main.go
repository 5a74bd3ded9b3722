// Command eventload streams numbered events into running servers and then verifies that each stands in its timeline once.
//
//	eventload -grpc 127.0.0.1:7070,127.0.0.1:7071 -events 2000000 -rate 5000
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/skein-cx/skein/tools/eventload"
)

func main() { os.Exit(run()) }

func run() int {
	s := &eventload.Sender{}
	flag.StringVar(&s.Name, "name", fmt.Sprint("load-", time.Now().Unix()), "name of the load; the same name is the same events")
	servers := flag.String("grpc", "127.0.0.1:7070", "addresses of the gRPC servers, with commas between them")
	flag.StringVar(&s.Token, "token", os.Getenv("SKEIN_TOKEN"), "API token (SKEIN_TOKEN)")
	flag.IntVar(&s.Events, "events", 100_000, "how many events")
	flag.IntVar(&s.Customers, "customers", 1000, "how many customers")
	flag.IntVar(&s.Rate, "rate", 0, "events per second; 0 for as many as possible")
	flag.IntVar(&s.Streams, "streams", 4, "streams at once")
	flag.IntVar(&s.RepeatOneIn, "repeat-one-in", 0, "send one in so many events twice")
	flag.DurationVar(&s.Patience, "patience", 2*time.Minute, "how long nothing may be acknowledged")
	flag.Parse()
	s.Servers = strings.Split(*servers, ",")
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	sent, err := s.Send(ctx)
	fmt.Println(sent)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	report, err := eventload.Verify(ctx, s.Load, s.Servers[0], s.Token, sent)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	fmt.Println(report)
	for _, w := range report.Wrong {
		fmt.Println(" ", w)
	}
	if !report.Good() {
		return 1
	}
	return 0
}
