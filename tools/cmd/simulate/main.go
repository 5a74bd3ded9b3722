// Command simulate plays a simulated day of a contact centre to a Skein: the entries of the directory, and everything that happens with
// agents, queues and customers. With -check, it compares what the server tells of it with what was so: the board at so many moments while
// the day goes on, and afterwards interactions, states of agents, their days and their contacts, and where the server has analytics the
// standard reports. It ends with 1 where anything differs.
//
//	simulate -addr 127.0.0.1:7070 -agents 500 -queues 20 -contacts 60000 -seed 1 -speed 100 -check 1000
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
	"github.com/skein-cx/skein/tools/simulate"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "simulate:", err)
		os.Exit(1)
	}
}

type options struct {
	simulate.Config
	addr, token, skein, ignore string
	speed                      float64
	check, report              int
	disorder, interactions     bool
}

func run() (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	var o options
	flag.StringVar(&o.addr, "addr", "127.0.0.1:7070", "address of the gRPC server")
	flag.StringVar(&o.token, "token", "", "API token, where one is needed")
	flag.StringVar(&o.skein, "skein", "", "program to start in a temporary directory, instead of -addr")
	flag.StringVar(&o.Name, "name", "", "begin of every id; made of the seed and the time unless set, so that days do not meet")
	flag.Uint64Var(&o.Seed, "seed", 1, "decides everything that is left to chance")
	flag.IntVar(&o.Agents, "agents", 500, "agents")
	flag.IntVar(&o.Queues, "queues", 20, "queues")
	flag.IntVar(&o.Contacts, "contacts", 60_000, "contacts of customers")
	flag.DurationVar(&o.Length, "length", 10*time.Hour, "length of the day, which ends about a minute before now")
	flag.Float64Var(&o.speed, "speed", 100, "how many times faster than the day; 0 is as fast as it is acknowledged")
	flag.BoolVar(&o.disorder, "disorder", false, "deliver events late, twice and out of order, with clocks that are off; the board is compared at the end only")
	flag.IntVar(&o.check, "check", 0, "compare at so many moments")
	flag.IntVar(&o.report, "report", 50, "show so many differences in full")
	flag.BoolVar(&o.interactions, "interactions", false, "compare interactions only: their visits and assignments")
	flag.StringVar(&o.ignore, "ignore", "", "fields that are not compared, such as held,paused")
	flag.Parse()
	if o.disorder {
		o.Disorder = simulate.Disorderly()
	}
	o.Start = o.Ending(time.Now())
	if o.Name == "" {
		o.Name = fmt.Sprintf("d%d-%s", o.Seed, strings.ToLower(o.Start.Format("0102150405")))
	}
	if o.skein != "" {
		server, err := simulate.Serve(ctx, o.skein)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, server.Close()) }()
		o.addr = server.GRPC
	}
	return o.play(ctx)
}

func (o *options) play(ctx context.Context) error {
	began := time.Now()
	day, err := simulate.Simulate(o.Config)
	if err != nil {
		return err
	}
	fmt.Printf("day %s: %s to %s UTC, %d agents, %d queues, %d contacts, %d visits, %d assignments, %d events, made in %.1f s\n", day.Name,
		day.Start.Format(time.DateTime), day.End().Format(time.TimeOnly), len(day.Agents), len(day.Queues), len(day.Contacts), len(day.Visits),
		len(day.Assignments), day.Events(), time.Since(began).Seconds())
	conn, err := rpc.Dial(o.addr, o.token, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	player := &simulate.Player{Day: day, Conn: conn, Speed: o.speed, Patience: 30 * time.Second}
	checker := &simulate.Checker{Player: player, Ignore: map[string]bool{}}
	for field := range strings.SplitSeq(o.ignore, ",") {
		checker.Ignore[field] = true
	}
	if !o.interactions {
		if err := player.Describe(ctx); err != nil {
			return explained(err)
		}
	}
	if err := o.live(ctx, player, checker); err != nil {
		return explained(err)
	}
	if o.check == 0 {
		return nil
	}
	fmt.Println("comparing interactions, states, days and contacts ...")
	began = time.Now()
	if o.interactions {
		err = checker.Interactions(ctx)
	} else {
		err = errors.Join(checker.All(ctx, day.Moments(o.check, o.Seed+1), o.Seed), o.reports(ctx, checker))
	}
	fmt.Printf("compared in %.1f s\n", time.Since(began).Seconds())
	checker.Report(os.Stdout, o.report)
	if n := len(checker.Differences()); n > 0 {
		err = errors.Join(err, fmt.Errorf("%d differences", n))
	}
	return explained(err)
}

// reports compares those, where there are any.
func (o *options) reports(ctx context.Context, checker *simulate.Checker) error {
	const most = 100
	fmt.Println("comparing reports ...")
	err := checker.Reports(ctx, min(o.check, most), o.Seed)
	if errors.Is(err, simulate.ErrNoAnalytics) {
		fmt.Printf("%v: no report was compared\n", err)
		return nil
	}
	return err
}

// live plays the day, and compares the board on the way.
func (o *options) live(ctx context.Context, player *simulate.Player, checker *simulate.Checker) error {
	const tick = 2 * time.Second
	began, told := time.Now(), time.Now()
	day := player.Day
	all := len(day.Deliveries())
	var boards time.Duration
	progress := func(always bool) {
		if !always && time.Since(told) < tick {
			return
		}
		told = time.Now()
		n := player.Acknowledged()
		fmt.Printf("%s: %d of %d events acknowledged, %.0f a second, boards took %.1f s, %d differences so far\n",
			time.Unix(0, day.Deliveries()[max(0, min(n, all)-1)].At).UTC().Format(time.TimeOnly), n, all, float64(n)/time.Since(began).Seconds(),
			boards.Seconds(), len(checker.Differences()))
	}
	compare := func(known int64) error {
		from := time.Now()
		err := checker.Board(ctx, known)
		boards += time.Since(from)
		return err
	}
	stops := day.Moments(max(o.check, 100), o.Seed)
	for _, moment := range stops {
		if err := player.Play(ctx, player.Until(moment)); err != nil {
			return err
		}
		if o.check > 0 && !o.disorder && !o.interactions {
			if err := compare(moment); err != nil {
				return err
			}
		}
		progress(false)
	}
	if err := player.Play(ctx, all); err != nil {
		return err
	}
	progress(true)
	if o.check > 0 && !o.interactions {
		return compare(simulate.Everything)
	}
	return nil
}

func explained(err error) error {
	if err == nil {
		return nil
	}
	return errors.New(rpc.Explain(err))
}
