// Command corpusload publishes dialogues that real people had as events: CrossWOZ's Chinese chats as web chats with an agent, EVI's calls in
// English and Polish as calls that a bot takes. Loaded twice with one seed, they stand once.
//
//	corpusload -grpc 127.0.0.1:7070 crosswoz=crosswoz.tar.xz evi=evi.tar.xz
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/tools/corpora"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "corpusload:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var l corpora.Loader
	addr := flag.String("grpc", "127.0.0.1:7070", "address of the gRPC server")
	token := flag.String("token", os.Getenv("SKEIN_TOKEN"), "API token (SKEIN_TOKEN)")
	most := flag.Int("dialogues", 0, "how many dialogues of each corpus; 0 for all")
	start := flag.String("start", "2026-03-02", "first day")
	flag.IntVar(&l.Plan.Days, "days", 5, "days over which the dialogues are spread")
	flag.Uint64Var(&l.Plan.Seed, "seed", 1, "decides when dialogues were had and how long who took for what")
	flag.DurationVar(&l.Patience, "patience", time.Minute, "how long to go on while the server is away or busy")
	flag.Parse()
	if flag.NArg() == 0 {
		return errors.New("name an archive, such as crosswoz=crosswoz.tar.xz")
	}
	var err error
	if l.Plan.Start, err = time.Parse(time.DateOnly, *start); err != nil {
		return fmt.Errorf("start: %w", err)
	}
	if l.Conn, err = rpc.Dial(*addr, *token, nil); err != nil {
		return err
	}
	defer l.Conn.Close()
	for _, arg := range flag.Args() {
		name, archive, _ := strings.Cut(arg, "=")
		dialogues, err := corpora.Read(corpora.Corpus(name), archive)
		if err != nil {
			return err
		}
		if *most > 0 {
			dialogues = dialogues[:min(*most, len(dialogues))]
		}
		told := time.Now()
		l.Progress = func(n int) {
			if time.Since(told) >= time.Second {
				told = time.Now()
				fmt.Fprintf(os.Stderr, "%s: %d of %d dialogues acknowledged\n", name, n, len(dialogues))
			}
		}
		loaded, err := l.Load(ctx, dialogues)
		fmt.Printf("%s: %v\n", name, loaded)
		if err != nil {
			return errors.New(rpc.Explain(err))
		}
	}
	return nil
}
