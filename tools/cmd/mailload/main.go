// Command mailload sends a folder or archive of real mails through SMTP, and checks that each stands once where it
// belongs. It goes on through restarts of the server: a mail that was not acknowledged is sent again.
//
//	mailload send   -smtp 127.0.0.1:7025 -to support@skein.example mails.tar.xz
//	mailload verify -grpc 127.0.0.1:7070 -kafka 127.0.0.1:7092
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"

	"github.com/skein-cx/skein/tools/mailload"
)

func main() { os.Exit(run(os.Args[1:])) }

func run(args []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if len(args) == 0 {
		args = []string{"help"}
	}
	var err error
	switch args[0] {
	case "send":
		err = send(ctx, args[1:])
	case "verify":
		err = verify(ctx, args[1:])
	default:
		fmt.Fprintln(os.Stderr, "usage: mailload send [flags] FOLDER|ARCHIVE.tar.xz\n       mailload verify [flags]\nmailload send -h lists the flags")
		return 2
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "mailload:", err)
		return 1
	}
	return 0
}

func send(ctx context.Context, args []string) error {
	s := mailload.Sender{Progress: func(sent, all int) { fmt.Fprintf(os.Stderr, "%d of %d mails sent\n", sent, all) }}
	flags := flag.NewFlagSet("send", flag.ExitOnError)
	flags.StringVar(&s.Addr, "smtp", "127.0.0.1:7025", "address of the SMTP listener")
	flags.StringVar(&s.To, "to", "support@skein.example", "recipient")
	flags.IntVar(&s.Connections, "connections", 4, "connections at once")
	flags.DurationVar(&s.Patience, "patience", 0, "how long to try a mail again while the server is away; 0 gives up at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return errors.New("name one folder or archive")
	}
	mails, err := mailload.Read(flags.Arg(0))
	if err != nil {
		return err
	}
	sent, err := s.Send(ctx, mails)
	fmt.Println(sent)
	return err
}

func verify(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("verify", flag.ExitOnError)
	v := mailload.Verifier{}
	flags.StringVar(&v.GRPC, "grpc", "127.0.0.1:7070", "address of the gRPC server")
	kafka := flags.String("kafka", "127.0.0.1:7092", "addresses of the log's brokers, with commas between them")
	flags.StringVar(&v.Token, "token", "", "API token")
	dump := flags.String("dump", "", "write every timeline into this file, to be compared with another run's")
	if err := flags.Parse(args); err != nil {
		return err
	}
	v.Kafka = strings.Split(*kafka, ",")
	report, err := verifyInto(ctx, v, *dump)
	if err != nil {
		return err
	}
	fmt.Println(report)
	for _, wrong := range report.Wrong {
		fmt.Fprintln(os.Stderr, wrong)
	}
	if len(report.Wrong) > 0 {
		return fmt.Errorf("%d timelines do not hold what the log holds", len(report.Wrong))
	}
	return nil
}

// verifyInto verifies, and writes what it lists into a file if one is named.
func verifyInto(ctx context.Context, v mailload.Verifier, dump string) (mailload.Report, error) {
	if dump == "" {
		return v.Verify(ctx)
	}
	f, err := os.Create(dump)
	if err != nil {
		return mailload.Report{}, err
	}
	w := bufio.NewWriter(f)
	v.Dump = w
	report, err := v.Verify(ctx)
	return report, errors.Join(err, w.Flush(), f.Close())
}
