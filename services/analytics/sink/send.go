package sink

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/services/analytics/warehouse"
)

const (
	// maxRejected is how many rows of a batch and table are put aside. If there are more, something is wrong with the table, and it waits
	// until somebody mends that.
	maxRejected = 100
	// firstPause and lastPause are how long an insert that failed waits for the next attempt.
	firstPause, lastPause = 100 * time.Millisecond, 5 * time.Second
)

// rejection is a row that ClickHouse refuses for good.
type rejection struct {
	row    *row
	table  string
	reason string
	at     int64
}

// sender sends batches, one after the other, and says how far it is.
func (p *pipeline) sender(ctx context.Context, batches <-chan *batch) error {
	looks := make(chan look)
	if p.serving {
		lctx, stop := context.WithCancel(ctx)
		defer stop()
		go p.look(lctx, looks)
	}
	for {
		select {
		case b, more := <-batches:
			if !more {
				return nil
			}
			if err := p.send(ctx, b); err != nil {
				return err
			}
		case l := <-looks:
			if err := p.seenEnds(ctx, l); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// send inserts a batch, until ClickHouse has it or ctx ends.
func (p *pipeline) send(ctx context.Context, b *batch) error {
	began := time.Now()
	for _, whole := range b.inserts {
		if err := p.insert(ctx, b, whole, 0, whole.Len()); err != nil {
			return err
		}
		p.cfg.Metrics.inserted(whole.table.name, whole.Len())
	}
	p.mu.Lock()
	for _, c := range b.chunks {
		at := &p.behind[c.source.number]
		at.Next, at.End = c.span.Next, max(at.End, c.span.Next)
		if c.received != 0 {
			at.received = c.received
		}
	}
	p.mu.Unlock()
	if err := p.tell(ctx); err != nil {
		return err
	}
	p.mu.Lock()
	p.sent = b.number // not before: what is not pending any more is contained, says progress
	p.mu.Unlock()
	p.cfg.Metrics.sent(time.Since(began))
	return nil
}

// token is what ClickHouse knows an insert again by. It is never used for other rows: a batch is what its recorded ranges and the seen keys
// make of it, and so is each of its pieces.
func (p *pipeline) token(b *batch, table string) string {
	return fmt.Sprintf("%d.%s/%d/%s", p.ns.Generation, p.life, b.number, table)
}

// insert inserts a piece of a batch's rows. Where ClickHouse refuses rows for good, it finds them by halving: that a piece was refused is
// recorded before its halves are sent, so that after a crash no piece is sent whole of which a half may have been taken.
func (p *pipeline) insert(ctx context.Context, b *batch, whole *insertion[*row], from, to int) error {
	if from == to {
		return nil
	}
	t := whole.table
	this := piece{Table: t.name, From: from, To: to}
	reason := "refused before"
	if !slices.Contains(b.refused, this) {
		token, rows := p.token(b, t.name), whole
		if to-from < whole.Len() {
			token += fmt.Sprintf("/%d-%d", from, to)
			rows = t.of(p.database, whole.rows[from:to])
		}
		err := p.until(ctx, token, rows, func(err error) bool {
			return warehouse.OfRow(err) && p.refusals(b, t.name) < maxRejected
		})
		rows.done()
		if !warehouse.OfRow(err) || ctx.Err() != nil {
			return err
		}
		reason = err.Error()
		if err := p.refuse(ctx, b, this); err != nil {
			return err
		}
	}
	if to-from == 1 {
		return p.putAside(ctx, b, &rejection{row: whole.rows[from], table: t.name, reason: reason, at: p.cfg.Now().UnixMicro()}, from)
	}
	middle := (from + to) / 2
	if err := p.insert(ctx, b, whole, from, middle); err != nil {
		return err
	}
	return p.insert(ctx, b, whole, middle, to)
}

// refusals counts the rows of a batch that were refused.
func (p *pipeline) refusals(b *batch, table string) int {
	n := 0
	for _, r := range b.refused {
		if r.Table == table && r.To-r.From == 1 {
			n++
		}
	}
	return n
}

// refuse records that a piece was refused.
func (p *pipeline) refuse(ctx context.Context, b *batch, this piece) error {
	refused := append(slices.Clip(b.refused), this)
	err := p.write(ctx, &kv.Batch{}, func(s *state) {
		for i := range s.Pending {
			if s.Pending[i].Batch == b.number {
				s.Pending[i].Refused = refused
			}
		}
	})
	if err == nil {
		b.refused = refused
	}
	return err
}

// putAside keeps where a row stands in the log that does not fit into its table, and why.
func (p *pipeline) putAside(ctx context.Context, b *batch, r *rejection, n int) error {
	p.cfg.Logger.ErrorContext(ctx, "ClickHouse refuses a row for good: it is put aside in "+tableRejected, "table", r.table,
		"event", r.row.id, "tenant", r.row.tenant, "topic", r.row.topic, "partition", r.row.partition, "offset", r.row.offset, "reason", r.reason)
	token := fmt.Sprintf("%s/%d", p.token(b, tableRejected+"/"+r.table), n)
	if err := p.until(ctx, token, p.tables.rejected.of(p.database, []*rejection{r}), nil); err != nil {
		return err
	}
	p.cfg.Metrics.rejected(r.table)
	return nil
}

// until inserts until ClickHouse has it, ctx ends or the error is one that final says to give back. A ClickHouse that was away may have been
// restored meanwhile: it is checked before it gets anything.
func (p *pipeline) until(ctx context.Context, token string, rows warehouse.Rows, final func(error) bool) error {
	away := false
	return p.cfg.persist(ctx, rows.Table(), func() error {
		if away {
			if err := p.compare(ctx); err != nil {
				return err
			}
		}
		began := time.Now()
		err := p.cfg.Warehouse.Insert(ctx, token, rows)
		if err == nil {
			p.cfg.Metrics.took(rows.Table(), time.Since(began))
		}
		away = errors.Is(err, warehouse.ErrUnavailable)
		return err
	}, func(err error) bool {
		return errors.Is(err, ErrWarehouseMismatch) || errors.Is(err, errFenced) || errors.Is(err, kv.ErrUnavailable) || final != nil && final(err)
	})
}

// persist asks something of ClickHouse until it is done, ctx ends or the error is one that final, which may be nil, says to give back. It tells
// once what it waits for, and once that it goes on.
func (c *Config) persist(ctx context.Context, table string, try func() error, final func(error) bool) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = firstPause, lastPause
	told := ""
	for {
		err := try()
		switch {
		case err == nil:
			c.Metrics.waiting(false)
			if told != "" {
				c.Logger.InfoContext(ctx, "ClickHouse goes on", "table", table)
			}
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case final != nil && final(err):
			return err
		}
		c.Metrics.waiting(true)
		c.Metrics.retried(table)
		if what := trouble(err); what != told {
			told = what
			c.Logger.WarnContext(ctx, "ClickHouse "+what+": events wait in the log", "table", table, "error", err)
		}
		if err := sleep(ctx, wait.NextBackOff()); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func trouble(err error) string {
	switch {
	case errors.Is(err, warehouse.ErrUnavailable):
		return "does not answer"
	case warehouse.OfRow(err):
		return "refuses too many rows, somebody must look at the table"
	default:
		return "refuses, somebody must look at the table"
	}
}
