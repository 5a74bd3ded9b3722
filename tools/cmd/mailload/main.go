// Command mailload sends a folder or archive of real mails through SMTP, and checks that each stands once where it
// belongs. It goes on through restarts of the server: a mail that was not acknowledged is sent again.
//
//	mailload send   -smtp 127.0.0.1:7025 -to support@skein.example mails.tar.xz
//	mailload verify -grpc 127.0.0.1:7070 -kafka 127.0.0.1:7092
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
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
		err = runSend(ctx, args[1:])
	case "verify":
		err = runVerify(ctx, args[1:])
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

func runSend(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("send", flag.ExitOnError)
	s := sender{}
	flags.StringVar(&s.addr, "smtp", "127.0.0.1:7025", "address of the SMTP listener")
	flags.StringVar(&s.to, "to", "support@skein.example", "recipient")
	flags.IntVar(&s.connections, "connections", 4, "connections at once")
	flags.DurationVar(&s.patience, "patience", 0, "how long to try a mail again while the server is away; 0 gives up at once")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 {
		return fmt.Errorf("name one folder or archive")
	}
	mails, err := readMails(flags.Arg(0))
	if err != nil {
		return err
	}
	return s.send(ctx, mails)
}

func runVerify(ctx context.Context, args []string) error {
	flags := flag.NewFlagSet("verify", flag.ExitOnError)
	v := verifier{}
	var kafka string
	flags.StringVar(&v.grpc, "grpc", "127.0.0.1:7070", "address of the gRPC server")
	flags.StringVar(&kafka, "kafka", "127.0.0.1:7092", "addresses of the log's brokers")
	flags.StringVar(&v.token, "token", "", "API token")
	flags.StringVar(&v.dump, "dump", "", "write every timeline that was read into this file, to be compared with another run's")
	if err := flags.Parse(args); err != nil {
		return err
	}
	v.kafka = strings.Split(kafka, ",")
	return v.verify(ctx)
}
