package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/rpc"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/app"
	"github.com/skein-cx/skein/services/demo"
)

// storyTimeout is how long the story may take to appear in the timeline.
const storyTimeout = time.Minute

// playDemo sends the story's mails through the SMTP listener, waits until the timeline has them all, and draws it.
func playDemo(ctx context.Context, out io.Writer, a *app.App, cfg app.Config) error {
	ctx, cancel := context.WithTimeout(ctx, storyTimeout)
	defer cancel()
	mails, err := demo.Story()
	if err != nil {
		return err
	}
	fmt.Fprintf(out, "\nSending a story of %d mails to %s ...\n", len(mails), cfg.Email.SMTP)
	for _, m := range mails {
		if err := m.Send(ctx, cfg.Email.SMTP); err != nil {
			return err
		}
	}
	conn, err := rpc.Dial(a.GRPCAddr(), "", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	addresses := demo.Addresses()
	var entries []*timelinev1.Entry
	for len(entries) < len(mails) {
		req, err := listRequest(addresses, nil, "")
		if err != nil {
			return err
		}
		entries = entries[:0]
		if _, _, err := eachEntry(ctx, conn, req, 0, func(e *timelinev1.Entry) error {
			entries = append(entries, e)
			return nil
		}); err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("after %s the timeline has %d of %d mails", storyTimeout, len(entries), len(mails))
		case <-time.After(20 * time.Millisecond):
		}
	}
	fmt.Fprintf(out, "\nThe timeline of %s:\n", strings.Join(addresses, " and "))
	d := newDrawing(out, terminalWidth(), useColor())
	for _, e := range entries {
		if err := d.entry(e); err != nil {
			return err
		}
	}
	fmt.Fprintf(out, "\nTry next, in another terminal:\n")
	skein := os.Args[0]
	for _, try := range [][2]string{
		{skein + " timeline " + addresses[0] + " --json", "the same as JSON, one entry a line"},
		{skein + " tail --from-beginning", "the log, event by event"},
		{skein + " publish --help", "how to hand in an event of your own"},
		{"curl -s http://" + a.HTTPAddr() + "/metrics", "what Prometheus sees"},
		{"http://" + a.HTTPAddr() + "/chat/v1/web/", "in a browser: chat as a visitor"},
	} {
		fmt.Fprintf(out, "  %-58s %s\n", try[0], try[1])
	}
	fmt.Fprintf(out, "Or write a mail to %s through SMTP at %s and look again.\nCtrl-C stops; the data stay in %s.\n",
		demo.Inbox, cfg.Email.SMTP, cfg.Data)
	return nil
}
