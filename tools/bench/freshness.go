package bench

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

const (
	// probeEvery is how often an event is handed in that is looked for, and lookEvery how often it is.
	probeEvery, probeLook = 100 * time.Millisecond, 20 * time.Millisecond
	// stale is how late the last hundredth may be that still counts as kept up.
	stale = 10 * time.Second
)

func (b *bench) freshness(ctx context.Context) (*Table, error) {
	t := &Table{
		Title: "Analytics: acknowledged to visible",
		Text: fmt.Sprintf(`One process takes events in over Stream at a steady pace, folds them, and fills ClickHouse, as skein up does. Every %s another
client hands one message of a new thread in: the time from its acknowledgement until a SELECT on events finds it, and until one on the view interactions
finds the interaction that it opened, by looks %s apart. Both writers collect for a second. Not seen is what did not come within %s after the end; a pace
with which some is not seen, or a hundredth is later than %s, is halved.`, probeEvery, probeLook, patience, stale),
		Columns: []string{"pace", "table", "p50", "p90", "p99", "max", "not seen", "CPU of skein per event", "CPU of the engine per event"},
	}
	before := 0
	for _, wanted := range []int{b.Rate / 10, b.Rate} {
		for perSecond := wanted; perSecond != before; perSecond /= 2 {
			p, err := b.freshAt(ctx, perSecond)
			if err != nil {
				return nil, err
			}
			good := p.kept && p.missing() == 0 && max(p.events.delays.at(0.99), p.interactions.delays.at(0.99)) < stale
			if !good && perSecond > b.Rate/16 {
				b.say("  %s is not sustained: p99 %s and %s, %d not seen", rate(perSecond), show(p.events.delays.at(0.99)), show(p.interactions.delays.at(0.99)), p.missing())
				continue
			}
			for _, side := range []*seeing{&p.events, &p.interactions} {
				d := side.delays
				t.row(rate(perSecond).String(), side.table, show(d.at(0.5)), show(d.at(0.9)), show(d.at(0.99)), show(d.at(1)),
					fmt.Sprintf("%d of %d", len(side.waiting), len(side.waiting)+len(d)), micros(p.own), micros(p.engine))
			}
			before = perSecond
			break
		}
	}
	return t, nil
}

// probing is what a pace gave.
type probing struct {
	kept                 bool
	events, interactions seeing
	own, engine          time.Duration // CPU for an event
}

func (p *probing) missing() int { return len(p.events.waiting) + len(p.interactions.waiting) }

// seeing looks for probes in a table.
type seeing struct {
	table, query string
	waiting      map[string]time.Time // acknowledgements by thread
	delays       delays
}

func (s *seeing) look(ctx context.Context, c *clickHouse, mu *sync.Mutex) error {
	mu.Lock()
	var threads []string
	for thread := range s.waiting {
		threads = append(threads, "'"+thread+"'")
	}
	mu.Unlock()
	if len(threads) == 0 {
		return nil
	}
	rows, err := c.Query(ctx, fmt.Sprintf(s.query, strings.Join(threads, ", ")))
	if err != nil {
		return fmt.Errorf("look for probes: %w", err)
	}
	defer rows.Close() //nolint:errcheck // only read
	now := time.Now()
	mu.Lock()
	defer mu.Unlock()
	for rows.Next() {
		var thread string
		if err := rows.Scan(&thread); err != nil {
			return err
		}
		if since, there := s.waiting[thread]; there {
			s.delays = append(s.delays, now.Sub(since))
			delete(s.waiting, thread)
		}
	}
	return rows.Err()
}

// freshAt measures a pace on a site of its own.
func (b *bench) freshAt(ctx context.Context, perSecond int) (p *probing, err error) {
	b.say("  freshness at %s ...", rate(perSecond))
	p = &probing{
		events: seeing{table: "events", waiting: map[string]time.Time{}, query: `SELECT toString(thread) FROM events
			WHERE tenant = '` + tenant + `' AND type = 'message.received' AND occurred_at > now() - INTERVAL 1 HOUR AND thread IN (%s)`},
		interactions: seeing{table: "interactions", waiting: map[string]time.Time{}, query: `SELECT toString(thread) FROM interactions
			WHERE tenant = '` + tenant + `' AND started_at > now() - INTERVAL 1 HOUR AND thread IN (%s)`},
	}
	err = b.withBroker(ctx, b.engines()[0], func(log *broker) error {
		return b.withClickHouse(ctx, func(c *clickHouse) (err error) {
			s := &server{dir: b.newDir()}
			if err := b.launchSkein(ctx, s, log, append(factRoles(), "ingest"), "SKEIN_ANALYTICS_CLICKHOUSE="+c.dsn()); err != nil {
				return err
			}
			defer func() { err = errors.Join(err, s.close(ctx)) }()
			conns, hangUp, err := dial(s.grpc)
			if err != nil {
				return err
			}
			defer hangUp()
			before, engine := cpuOf(s.cmd.Process.Pid), cpuOf(c.PID())
			var mu sync.Mutex // of what waits
			lctx, enough := context.WithCancel(ctx)
			defer enough()
			var looks errgroup.Group
			for _, side := range []*seeing{&p.events, &p.interactions} {
				looks.Go(func() error {
					for lctx.Err() == nil {
						if err := side.look(lctx, c, &mu); err != nil && lctx.Err() == nil {
							return err
						}
						select {
						case <-lctx.Done():
						case <-time.After(probeLook):
						}
					}
					return nil
				})
			}
			var all delays
			g, gctx := errgroup.WithContext(ctx)
			g.Go(func() (err error) {
				p.kept, all, err = b.pacedStream(gctx, s.grpc, perSecond)
				return err
			})
			g.Go(func() error { return b.probe(gctx, conns[0], p, &mu) })
			err = g.Wait()
			for until := time.Now().Add(patience); err == nil && time.Now().Before(until); {
				mu.Lock()
				left := p.missing()
				mu.Unlock()
				if left == 0 {
					break
				}
				select {
				case <-time.After(probeLook):
				case <-s.done:
					err = fmt.Errorf("skein ended: %s", s.out.text())
				}
			}
			enough()
			err = errors.Join(err, looks.Wait())
			per := time.Duration(max(1, len(all)))
			p.own, p.engine = (cpuOf(s.cmd.Process.Pid)-before)/per, (cpuOf(c.PID())-engine)/per
			p.events.delays.sort()
			p.interactions.delays.sort()
			return err
		})
	})
	return p, err
}

// probe hands in events that are looked for.
func (b *bench) probe(ctx context.Context, conn *grpc.ClientConn, p *probing, mu *sync.Mutex) error {
	client := ingestv1.NewIngestServiceClient(conn)
	tick := time.NewTicker(probeEvery)
	defer tick.Stop()
	for began, n := time.Now(), 0; time.Since(began) < b.Each; n++ {
		s := b.events.submission(0)
		s.OccurredAt = timestamppb.Now()
		s.Thread, s.NativeId = fmt.Sprint("probe-", n), fmt.Sprint("probe-", n)
		answer, err := client.Publish(ctx, &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{s}})
		if err != nil {
			return fmt.Errorf("publish: %s", rpc.Explain(err))
		}
		now, thread := time.Now(), answer.GetAcknowledgements()[0].GetThreadId()
		mu.Lock()
		p.events.waiting[thread], p.interactions.waiting[thread] = now, now
		mu.Unlock()
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}
