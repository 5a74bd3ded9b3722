package pubsub

import (
	"context"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/eventlog"
)

const (
	// readLimit is how many records are taken from a reader at once.
	readLimit = 64
	// saveTimeout is how long noting an offset may take.
	saveTimeout = 10 * time.Second
	// failurePause is how long a partition rests whose progress could not be noted.
	failurePause = time.Second
)

// own delivers a partition's records, one after the other, until ctx ends or progress cannot be noted.
func (s *subscription) own(ctx context.Context, claim eventlog.Claim) {
	p := &partition{subscription: s, claim: claim, next: claim.Next, done: make(chan int64, 1)}
	noting, cancel := context.WithCancel(ctx)
	noted := make(chan bool, 1)
	go func() {
		defer cancel()
		noted <- p.note(noting)
	}()
	p.run(noting)
	close(p.done)
	if failed := <-noted; failed {
		sleep(ctx, failurePause)
	}
}

// partition is a claimed partition.
type partition struct {
	*subscription
	claim eventlog.Claim
	next  int64      // to deliver; negative for the first one that the log holds
	done  chan int64 // the newest offset to note
}

// run delivers until ctx ends, and begins anew where the log fails.
func (p *partition) run(ctx context.Context) {
	pause := p.pauses(5 * time.Second)
	for loaded := false; ctx.Err() == nil; {
		err := error(nil)
		if !loaded {
			err = p.load(ctx)
			loaded = err == nil
		}
		if err == nil {
			err = p.read(ctx, pause)
		}
		if err != nil && ctx.Err() == nil {
			p.Logger.WarnContext(ctx, "a partition cannot be read, trying again", "topic", p.topic, "partition", p.claim.Partition, "error", err)
			sleep(ctx, pause.NextBackOff())
		}
	}
}

// load finds out where to begin.
func (p *partition) load(ctx context.Context) error {
	if p.Offsets == nil {
		return nil
	}
	next, found, err := p.Offsets.Load(ctx, p.topic, p.claim.Partition)
	if found {
		p.next = next
	}
	return err
}

// read delivers from the next offset on until ctx ends or reading fails.
func (p *partition) read(ctx context.Context, pause *backoff.ExponentialBackOff) error {
	first, end, err := p.Log.Bounds(ctx, p.topic, p.claim.Partition)
	if err != nil {
		return err
	}
	if p.next >= 0 && (p.next < first || p.next > end) {
		p.Logger.ErrorContext(ctx, "the log does not hold the message to deliver next: retention took it, or the topic was made anew; "+
			"going on with the first message that there is", "topic", p.topic, "partition", p.claim.Partition, "next", p.next, "first", first, "end", end)
		p.next = -1
	}
	if p.next < 0 {
		p.next = first
	}
	reader, err := p.Log.Open(ctx, p.topic, p.claim.Partition, p.next)
	if err != nil {
		return err
	}
	defer reader.Close()
	for {
		records, err := reader.Read(ctx, readLimit)
		if err != nil {
			return err
		}
		pause.Reset()
		for _, r := range records {
			if !p.deliver(ctx, r) {
				return ctx.Err()
			}
			p.next = r.Offset + 1
			p.finished()
		}
	}
}

// deliver hands a record out until it is acknowledged. It returns false when ctx has ended before.
func (p *partition) deliver(ctx context.Context, r eventlog.Record) bool {
	if p.Want != nil && !p.Want(r) {
		return ctx.Err() == nil
	}
	pause := p.pauses(p.LastPause)
	for !p.attempt(ctx, r) {
		if !sleep(ctx, pause.NextBackOff()) {
			return false
		}
	}
	return true
}

// attempt hands a record out once and says whether it was acknowledged.
func (p *partition) attempt(ctx context.Context, r eventlog.Record) bool {
	m := FromRecord(r)
	life, cancel := context.WithCancel(context.WithValue(p.values, recordKey{}, r))
	defer cancel()
	m.SetContext(life) //nolint:contextcheck // a message may outlive the claim that it came under
	select {
	case p.out <- m:
	case <-ctx.Done():
		return false
	}
	select {
	case <-m.Acked():
		return true
	case <-m.Nacked():
		return false
	case <-ctx.Done():
	}
	for range 2 { // before its context ends, and after that
		select {
		case <-m.Acked():
			return true
		case <-m.Nacked():
			return false
		case <-time.After(p.Drain):
			cancel()
		}
	}
	p.Logger.WarnContext(ctx, "a message was left to itself: its handler goes on although its context has ended", "record", r.Position)
	return false
}

// finished says that everything before the next offset is done.
func (p *partition) finished() {
	select {
	case <-p.done: // the newest one is enough
	default:
	}
	p.done <- p.next
}

// note notes what is done, always the newest, until run has ended and all is noted, or that fails.
func (p *partition) note(ctx context.Context) (failed bool) {
	for next := range p.done {
		if err := p.save(ctx, next); err != nil {
			p.Logger.WarnContext(ctx, "how far a partition was delivered cannot be noted; giving it up", "topic", p.topic,
				"partition", p.claim.Partition, "next", next, "error", err)
			return true
		}
	}
	return false
}

func (p *partition) save(ctx context.Context, next int64) error {
	if p.Offsets != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveTimeout)
		defer cancel()
		if err := p.Offsets.Save(ctx, p.topic, p.claim.Partition, next); err != nil {
			return err
		}
	}
	if p.claim.Commit == nil {
		return nil
	}
	return p.claim.Commit(next)
}

// pauses double from the first one on, each a little longer or shorter than that.
func (p *partition) pauses(last time.Duration) *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.Multiplier, b.RandomizationFactor = p.FirstPause, max(last, p.FirstPause), 2, 0.2
	b.Reset()
	return b
}

// sleep waits; it returns false when ctx has ended.
func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}
