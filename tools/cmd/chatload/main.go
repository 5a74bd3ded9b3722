// Command chatload has real chats through the web chat's WebSocket, on connections that break and with messages that are
// sent again, and checks that each message stands once in its visitor's timeline. With -patience it goes on through
// restarts of the server.
//
//	chatload -url http://127.0.0.1:7080/chat/v1/web/ -grpc 127.0.0.1:7070 -messages 10000 multidogo.tar.xz
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"

	"github.com/skein-cx/skein/tools/chatload"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "chatload:", err)
		os.Exit(1)
	}
}

func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	messages := flag.Int("messages", 10_000, "how many messages to send")
	s := chatload.Sender{Progress: func(n int) { fmt.Fprintf(os.Stderr, "%d of %d messages acknowledged\n", n, *messages) }}
	v := chatload.Verifier{}
	flag.StringVar(&s.URL, "url", "http://127.0.0.1:7080/chat/v1/web/", "address of the widget")
	flag.Uint64Var(&s.Seed, "seed", 1, "decides where connections break and what is sent twice")
	flag.IntVar(&s.Connections, "connections", 64, "conversations at once")
	flag.DurationVar(&s.Patience, "patience", 0, "how long a conversation goes on without an acknowledgement; 0 gives up at once")
	flag.StringVar(&v.GRPC, "grpc", "127.0.0.1:7070", "address of the gRPC server, for the check")
	flag.StringVar(&v.Token, "token", "", "API token, for the check")
	flag.Parse()
	if flag.NArg() != 1 {
		return errors.New("name one archive, such as multidogo.tar.xz")
	}
	conversations, err := chatload.Read(flag.Arg(0), *messages)
	if err != nil {
		return err
	}
	sent, err := s.Send(ctx, conversations)
	fmt.Println(sent)
	if err != nil {
		return err
	}
	report, err := v.Verify(ctx, sent)
	if err != nil {
		return err
	}
	fmt.Println(report)
	for _, wrong := range report.Wrong {
		fmt.Fprintln(os.Stderr, wrong)
	}
	if len(report.Wrong) > 0 {
		return fmt.Errorf("%d timelines or messages are wrong", len(report.Wrong))
	}
	return nil
}
