package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/live"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
	"github.com/skein-cx/skein/services/app"
)

func tailCommand() *cobra.Command {
	var (
		topic     string
		beginning bool
		end       bool
		asJSON    bool
	)
	cmd := &cobra.Command{
		Use:   "tail",
		Short: "Follow the log",
		Long: `Follow the log, straight from Kafka: one line an event, with its position. Only envelopes are shown, which hold
nothing personal. Ends with Ctrl-C, or at the end of the log with --end. Where the log is and how to reach it say the
configuration and its environment, as for a server; by default it is the embedded log of this machine.`,
		Example: "  skein tail\n  skein tail --from-beginning --end --json | jq .type",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := load(cmd)
			if err != nil {
				return err
			}
			log, err := app.OpenLog(cmd.Context(), cfg.Log)
			if err != nil {
				return fmt.Errorf("%w\nis a server running there? start one with: skein up", err)
			}
			defer func() { _ = log.Close() }() // nothing was written
			t := &tail{log: log, out: cmd.OutOrStdout(), topic: topic, beginning: beginning, end: end, asJSON: asJSON}
			return t.run(cmd.Context())
		},
	}
	f := cmd.Flags()
	f.StringP("config", "c", "", "configuration file (YAML), which says how to reach Kafka")
	f.StringSlice("kafka", nil, "addresses of Kafka brokers, the embedded log among them")
	cobra.CheckErr(app.BindFlag(f, "kafka", "log.kafka"))
	f.StringVar(&topic, "topic", event.TopicInteractions, "topic")
	f.BoolVar(&beginning, "from-beginning", false, "begin with the first event instead of the next one")
	f.BoolVar(&end, "end", false, "stop at the end of the log")
	f.BoolVar(&asJSON, "json", false, "print one JSON object a line")
	return cmd
}

type tail struct {
	log                    eventlog.Log
	out                    io.Writer
	topic                  string
	beginning, end, asJSON bool
}

func (t *tail) run(ctx context.Context) error {
	partitions, err := t.log.Partitions(ctx, t.topic)
	if err != nil {
		return err
	}
	g, ctx := errgroup.WithContext(ctx)
	lines := make(chan string)
	readers, rctx := errgroup.WithContext(ctx)
	for p := range partitions {
		readers.Go(func() error { return t.partition(rctx, int32(p), lines) })
	}
	g.Go(func() error {
		defer close(lines)
		return readers.Wait()
	})
	g.Go(func() error {
		for line := range lines {
			if _, err := fmt.Fprintln(t.out, line); err != nil {
				return err
			}
		}
		return nil
	})
	if err := g.Wait(); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

func (t *tail) partition(ctx context.Context, partition int32, lines chan<- string) error {
	first, next, err := t.log.Bounds(ctx, t.topic, partition)
	if err != nil {
		return err
	}
	from := next
	if t.beginning {
		from = first
	}
	if t.end && from >= next {
		return nil
	}
	reader, err := t.log.Open(ctx, t.topic, partition, from)
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		records, err := reader.Read(ctx, 500)
		if err != nil {
			return err
		}
		for _, r := range records {
			select {
			case lines <- t.line(r):
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		if t.end && records[len(records)-1].Offset >= next-1 {
			return nil
		}
	}
}

func (t *tail) line(r eventlog.Record) string {
	switch r.Topic {
	case event.TopicDead:
		return t.dead(r)
	case live.Topic:
		return t.live(r)
	}
	e, err := event.Decode(r.Value)
	if err != nil {
		return fmt.Sprintf("%d/%-7d %s  %d bytes that are no event: %v", r.Partition, r.Offset, r.Time.Format(time.RFC3339), len(r.Value), err)
	}
	if t.asJSON {
		e.Content = nil
		if b, err := protojson.Marshal(e); err == nil {
			return string(b)
		}
	}
	return fmt.Sprintf("%d/%-7d %s  %-24s %-10s %s  thread %s", r.Partition, r.Offset,
		e.GetOccurredAt().AsTime().Local().Format(time.RFC3339), e.GetType(), channelName(e.GetChannel()), e.GetTenant()+"/"+e.GetInbox(), e.GetThreadId())
}

func (t *tail) live(r eventlog.Record) string {
	s := &livev1.Signal{}
	if err := proto.Unmarshal(r.Value, s); err != nil {
		return fmt.Sprintf("%d/%-7d %s  %d bytes that are no signal: %v", r.Partition, r.Offset, r.Time.Format(time.RFC3339), len(r.Value), err)
	}
	if t.asJSON {
		if b, err := protojson.Marshal(s); err == nil {
			return string(b)
		}
	}
	return fmt.Sprintf("%d/%-7d %s  %-24s %s  thread %s", r.Partition, r.Offset, s.GetAt().AsTime().Local().Format(time.RFC3339),
		strings.ToLower(strings.TrimPrefix(s.GetActorKind().String(), "ACTOR_KIND_")+" "+strings.TrimPrefix(s.GetActivity().String(), "ACTIVITY_")),
		s.GetTenant()+"/"+s.GetInbox(), s.GetThreadId())
}

func (t *tail) dead(r eventlog.Record) string {
	l := &eventv1.DeadLetter{}
	if err := proto.Unmarshal(r.Value, l); err != nil {
		return fmt.Sprintf("%d/%-7d %s  %d bytes that are no dead letter: %v", r.Partition, r.Offset, r.Time.Format(time.RFC3339), len(r.Value), err)
	}
	if t.asJSON {
		if b, err := protojson.Marshal(l); err == nil {
			return string(b)
		}
	}
	return fmt.Sprintf("%d/%-7d %s  %-24s %s  %d bytes: %s", r.Partition, r.Offset, l.GetAt().AsTime().Local().Format(time.RFC3339),
		strings.ToLower(strings.TrimPrefix(l.GetReason().String(), "DEAD_REASON_")), string(r.Key), l.GetRawSize(), printable(l.GetDetail()))
}
