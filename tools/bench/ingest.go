package bench

import (
	"context"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
)

// distinct is how many events the load of ingest has.
const distinct = 50_000

// topics are those that the program makes.
func topics() []string {
	return []string{event.TopicInteractions, event.TopicAgents, event.TopicLinks, event.TopicDirectory, event.TopicDead}
}

// contender is one that does a job.
type contender struct {
	name string
	// run measures one turn on a log that holds none of the contenders' topics, and leaves none behind.
	run func(ctx context.Context, log *broker) (outcome, error)
}

// outcome is what a turn gave. Of what it took, nothing is known of a contender without a server.
type outcome struct {
	rate   rate
	events int
	used   used
}

func measureIngest(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Ingest: gRPC to the log's acknowledgement",
		Text: fmt.Sprintf(`How many events per second are acknowledged as durable. Clients on %d connections send requests that were encoded
beforehand: calls of Publish with %s events, %d at a time on each connection, or a Stream on each connection with up to %s
events unanswered. Ceilings: kafka-go alone appends the records that Skein makes of these events, acks=all, in batches of
nearly a megabyte to all %d partitions at once (and, as the bound of any client, the same batches encoded beforehand, so
that network and broker alone are left). Peer: the same gRPC service on Watermill's publisher for Kafka, which keeps the submission
as it came, without ids, hashes or checks. The contenders take turns (%d each, the median counts). Allocations and CPU time
are those of the server's process per event; the clients and the broker share the machine with it.`,
			connections, count(perCall), calls, count(streamWindow), partitions, b.Turns),
		Columns: []string{"log", "contender", "events", "of kafka-go", "of its bound", "allocations per event", "CPU per event"},
	}
	load, err := b.newLoad(distinct)
	if err != nil {
		return nil, err
	}
	batches, err := b.rawBatches(distinct)
	if err != nil {
		return nil, err
	}
	for _, e := range b.engines() {
		contenders := b.ingestContenders(load, batches)
		outcomes := make([][]outcome, len(contenders))
		err := b.withBroker(ctx, e, func(log *broker) error {
			for turn := range b.Turns {
				for i, c := range contenders {
					o, err := c.run(ctx, log)
					if err != nil {
						return fmt.Errorf("%s on %s: %w", c.name, e.name, err)
					}
					b.say("  %s, turn %d: %s: %s", e.name, turn+1, c.name, o.rate)
					outcomes[i] = append(outcomes[i], o)
				}
			}
			p, err := b.profileIngest(ctx, log, load)
			if err == nil {
				t.profile("the server under Publish, on "+e.name, p)
			}
			return err
		})
		if err != nil {
			return nil, err
		}
		var ceiling, bound rate
		for i, c := range contenders {
			r, allocations, cpu := medians(outcomes[i])
			switch i {
			case 0:
				ceiling = r
			case 1:
				bound = r
			}
			ofBound := none
			if i > 0 {
				ofBound = r.of(bound)
			}
			t.row(e.name, c.name, r.String(), r.of(ceiling), ofBound, allocations, cpu)
		}
	}
	return t, nil
}

func medians(turns []outcome) (r rate, allocations, cpu string) {
	var rates []rate
	var allocated, seconds []float64
	for _, o := range turns {
		rates = append(rates, o.rate)
		allocated = append(allocated, o.used.allocations/float64(max(o.events, 1)))
		seconds = append(seconds, o.used.cpuSeconds/float64(max(o.events, 1)))
	}
	if turns[0].used == (used{}) {
		return median(rates), none, none
	}
	return median(rates), fmt.Sprintf("%.1f", median(allocated)), fmt.Sprintf("%.1f µs", 1e6*median(seconds))
}

func (b *bench) ingestContenders(l *load, batches [partitions][][]rawRecord) []contender {
	raw := func(sender func(*broker) (sender, error)) func(context.Context, *broker) (outcome, error) {
		return func(ctx context.Context, log *broker) (o outcome, err error) {
			if err := createTopics(ctx, log, rawTopic); err != nil {
				return outcome{}, err
			}
			send, err := sender(log)
			if err != nil {
				return outcome{}, err
			}
			o.rate, o.events, err = b.turn(ctx, send, nil)
			return o, errors.Join(err, dropTopics(ctx, log, rawTopic))
		}
	}
	skein := func(send func(addr string) sender) func(context.Context, *broker) (outcome, error) {
		return func(ctx context.Context, log *broker) (outcome, error) {
			s, err := b.startSkein(ctx, log, "ingest")
			if err != nil {
				return outcome{}, err
			}
			o, err := b.serverTurn(ctx, s, send(s.grpc))
			return o, errors.Join(err, s.close(ctx), dropTopics(ctx, log, topics()...))
		}
	}
	peer := func(send func(addr string) sender) func(context.Context, *broker) (outcome, error) {
		return func(ctx context.Context, log *broker) (outcome, error) {
			if err := createTopics(ctx, log, peerTopic); err != nil {
				return outcome{}, err
			}
			s, err := b.startPeer(ctx, log)
			if err != nil {
				return outcome{}, err
			}
			o, err := b.serverTurn(ctx, s, send(s.grpc))
			return o, errors.Join(err, s.close(ctx), dropTopics(ctx, log, peerTopic))
		}
	}
	return []contender{
		{"ceiling: kafka-go", raw(func(log *broker) (sender, error) { return produceTo(log, batches), nil })},
		{"bound: encoded beforehand", raw(func(log *broker) (sender, error) { return resendTo(log, batches) })},
		{"**Skein, Publish**", skein(l.publishTo)},
		{"**Skein, Stream**", skein(l.streamTo)},
		{"peer: Watermill, Publish", peer(l.publishTo)},
		{"peer: Watermill, Stream", peer(l.streamTo)},
	}
}

func (b *bench) serverTurn(ctx context.Context, s *server, send sender) (outcome, error) {
	var o outcome
	var before used
	var err error
	o.rate, o.events, err = b.turn(ctx, send, func(end bool) error {
		now, err := s.used(ctx)
		if end {
			o.used = now.since(before)
		}
		before = now
		return err
	})
	return o, err
}

// profileIngest is a turn that does not count.
func (b *bench) profileIngest(ctx context.Context, log *broker, l *load) (p *breakdown, err error) {
	s, err := b.startSkein(ctx, log, "ingest")
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sent := make(chan error, 1)
	go func() { sent <- l.publishTo(s.grpc)(ctx, &counter{}) }()
	p, err = s.profile(ctx, b.Each)
	cancel()
	return p, errors.Join(err, <-sent, s.close(ctx), dropTopics(context.WithoutCancel(ctx), log, topics()...))
}
