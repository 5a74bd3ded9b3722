package bench

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// rolesShare is how much of the pace of other jobs comes in while it is measured what each role costs.
const rolesShare = 0.1

// measureRoles measures what the read models cost in a process that also takes events in.
func measureRoles(ctx context.Context, b *bench) (*Table, error) {
	perSecond := int(rolesShare * float64(b.Rate))
	t := &Table{
		Title: "Roles: what the read models of one process cost",
		Text: fmt.Sprintf(`Events over Stream at %s, the ordinary load of a process that has ever more roles: the time from when an event was due to its
acknowledgement, and the CPU time that the process takes for an event, all roles together. The load is as low as it must be for the process to keep up
with all of it, so that batches are small: each costs its syncs.`, rate(perSecond)),
		Columns: []string{"log", "roles", "acknowledged p50", "p99", "CPU per event", "more than above", "allocations per event"},
	}
	name, err := b.onMain(ctx, func(log *broker) error {
		var before time.Duration
		var roles []string
		for i, more := range []struct {
			name  string
			roles []string
		}{
			{"ingest", []string{"ingest"}},
			{"and the projector with its four read models, and timelines", []string{"projector", "timeline"}},
			{"and customers and conversations", []string{"customers", "conversations"}},
			{"and the linker and timers", []string{"linker", "timers"}},
			{"and search", []string{"search"}},
		} {
			roles = append(roles, more.roles...)
			o, d, err := b.underPace(ctx, log, perSecond, roles)
			if err != nil {
				return fmt.Errorf("%s: %w", more.name, err)
			}
			per := func(v float64) float64 { return v / float64(max(o.events, 1)) }
			cpu, added := time.Duration(1e9*per(o.used.cpuSeconds)), none
			if i > 0 {
				added = micros(cpu - before)
			}
			before = cpu
			t.row(log.name, more.name, show(d.at(0.5)), show(d.at(0.99)), micros(cpu), added, fmt.Sprintf("%.0f", per(o.used.allocations)))
		}
		s, err := b.startSkein(ctx, log, roles...)
		if err != nil {
			return err
		}
		p, err := s.profiledWhile(ctx, b, func(ctx context.Context) error {
			_, _, err := b.pacedStream(ctx, s.grpc, perSecond)
			return err
		})
		if err == nil {
			t.profile("the server with all of these roles", p)
		}
		return errors.Join(err, s.close(ctx), dropTopics(ctx, log, topics()...))
	})
	if err != nil {
		return nil, fmt.Errorf("roles on %s: %w", name, err)
	}
	return t, nil
}

// underPace measures a process with some roles under a steady load.
func (b *bench) underPace(ctx context.Context, log *broker, perSecond int, roles []string) (o outcome, d delays, err error) {
	s, err := b.startSkein(ctx, log, roles...)
	if err != nil {
		return outcome{}, nil, err
	}
	before, err := s.used(ctx)
	if err == nil {
		_, d, err = b.pacedStream(ctx, s.grpc, perSecond)
	}
	if err == nil {
		o.used, err = s.used(ctx)
		o.used, o.events = o.used.since(before), len(d)
	}
	return o, d, errors.Join(err, s.close(ctx), dropTopics(ctx, log, topics()...))
}
