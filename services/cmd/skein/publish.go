package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

func publishCommand() *cobra.Command {
	var (
		to    client
		batch int
		quiet bool
	)
	cmd := &cobra.Command{
		Use:   "publish FILE | -",
		Short: "Hand in events: submissions as JSON, one a line",
		Long: `Hand in events: one skein.event.v1.Submission as JSON a line, from a file or the standard input ("-").

Prints event id and position of each, once the log has acknowledged it. A line that is wrong is told with its number and
its wrong fields, and the others go on. The same file handed in again changes nothing.`,
		Example: `  echo '{"type":"message.received","channel":"CHANNEL_WEB_CHAT","direction":"DIRECTION_INBOUND","provider":"demo","inbox":"web",
    "thread":"t1","nativeId":"m1","parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"anna@example.com"},
    "side":"SIDE_CUSTOMER"}],"content":{"messageReceived":{"text":"Hello"}}}' | tr -d '\n' | skein publish -`,
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			in := cmd.InOrStdin()
			if args[0] != "-" {
				f, err := os.Open(args[0])
				if err != nil {
					return err
				}
				defer func() { _ = f.Close() }() // nothing was written
				in = f
			}
			conn, err := to.dial()
			if err != nil {
				return err
			}
			defer conn.Close()
			out := cmd.OutOrStdout()
			if quiet {
				out = io.Discard
			}
			p := &publisher{service: ingestv1.NewIngestServiceClient(conn), out: out, errors: cmd.ErrOrStderr(), max: batch}
			if err := p.run(cmd.Context(), in); err != nil {
				return to.explain(err)
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d published, %d wrong\n", p.published, p.wrong)
			if p.wrong > 0 {
				return errors.New("some lines were wrong")
			}
			return nil
		},
	}
	to.flags(cmd.Flags())
	cmd.Flags().IntVar(&batch, "batch", 500, "events in one call")
	cmd.Flags().BoolVarP(&quiet, "quiet", "q", false, "print no acknowledgements")
	return cmd
}

// publisher sends lines in batches.
type publisher struct {
	service          ingestv1.IngestServiceClient
	out, errors      io.Writer
	max              int
	lines            []int
	pending          []*eventv1.Submission
	published, wrong int
}

const maxLine = 16 << 20

func (p *publisher) run(ctx context.Context, in io.Reader) error {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(nil, maxLine)
	for n := 1; scanner.Scan(); n++ {
		if len(scanner.Bytes()) == 0 {
			continue
		}
		s := &eventv1.Submission{}
		if err := protojson.Unmarshal(scanner.Bytes(), s); err != nil {
			p.complain(n, err.Error())
			continue
		}
		p.lines, p.pending = append(p.lines, n), append(p.pending, s)
		if len(p.pending) == p.max {
			if err := p.flush(ctx); err != nil {
				return err
			}
		}
	}
	if err := scanner.Err(); err != nil {
		return fmt.Errorf("read the submissions: %w", err)
	}
	return p.flush(ctx)
}

func (p *publisher) complain(line int, what string) {
	p.wrong++
	fmt.Fprintf(p.errors, "line %d: %s\n", line, what)
}

// flush sends what is pending. Where one is wrong the call publishes none, so then each is sent alone.
func (p *publisher) flush(ctx context.Context) error {
	lines, pending := p.lines, p.pending
	p.lines, p.pending = nil, nil
	if len(pending) == 0 {
		return nil
	}
	err := p.send(ctx, pending)
	switch {
	case err == nil:
		return nil
	case len(rpc.Violations(err)) == 0:
		return err
	case len(pending) == 1:
		p.complain(lines[0], rpc.Explain(err))
		return nil
	}
	for i := range pending {
		p.lines, p.pending = lines[i:i+1], pending[i:i+1]
		if err := p.flush(ctx); err != nil {
			return err
		}
	}
	return nil
}

// tries is how often a call is made while the server says that it may succeed later.
const tries = 8

func (p *publisher) send(ctx context.Context, submissions []*eventv1.Submission) error {
	for try := 1; ; try++ {
		resp, err := p.service.Publish(ctx, &ingestv1.PublishRequest{Submissions: submissions})
		if err == nil {
			for _, a := range resp.GetAcknowledgements() {
				fmt.Fprintf(p.out, "%s\t%s/%d/%d\n", a.GetEventId(), a.GetPosition().GetTopic(), a.GetPosition().GetPartition(), a.GetPosition().GetOffset())
			}
			p.published += len(submissions)
			return nil
		}
		wait, again := rpc.RetryAfter(err)
		if !again || try == tries {
			return err
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-timer.C:
		}
	}
}
