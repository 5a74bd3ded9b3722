package outbound_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/outbound"
)

// fault makes the n-th call of a process fail, and with crash every later one. A call that fails may have been done.
type fault struct {
	at          int
	done, crash bool

	mu   sync.Mutex
	n    int
	hit  chan struct{} // closed when the n-th call was made
	once sync.Once
}

func newFault(at int, done, crash bool) *fault {
	return &fault{at: at, done: done, crash: crash, hit: make(chan struct{})}
}

// call makes a call, unless it is to fail.
func (f *fault) call(do func() error, failure error) error {
	f.mu.Lock()
	f.n++
	n := f.n
	f.mu.Unlock()
	switch {
	case n == f.at:
		defer f.once.Do(func() { close(f.hit) })
		if f.done {
			if err := do(); err != nil {
				return err
			}
		}
		return failure
	case n > f.at && f.crash:
		return failure
	}
	return do()
}

func (f *fault) struck() bool {
	select {
	case <-f.hit:
		return true
	default:
		return false
	}
}

type faultyStore struct {
	kv.Store
	*fault
}

var errDown = fmt.Errorf("%w, says the test", kv.ErrUnavailable)

func (s faultyStore) Snapshot(ctx context.Context, ns kv.Namespace) (snap kv.Snapshot, err error) {
	// Reading does nothing, so that it is all the same whether it was done.
	failed := s.call(func() error { snap, err = s.Store.Snapshot(ctx, ns); return err }, errDown)
	if failed != nil && snap != nil {
		_ = snap.Close()
	}
	return snap, failed
}

func (s faultyStore) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	return s.call(func() error { return s.Store.Apply(ctx, ns, b) }, errDown)
}

// faultyLog is the log to which outcomes are appended.
type faultyLog struct {
	eventlog.Log
	*fault
}

func (l faultyLog) Append(ctx context.Context, m eventlog.Message, done func(eventlog.Position, error)) error {
	return l.call(func() error {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		appended := make(chan error, 1)
		err := l.Log.Append(ctx, m, func(p eventlog.Position, err error) { appended <- err; done(p, err) })
		if err != nil {
			return err
		}
		return <-appended
	}, eventlog.ErrUnavailable)
}

// append of a faultyLog calls done and returns an error where it was done and is to fail: whoever waits has an answer already.

// crashes runs two messages of a thread through a process whose n-th call of store or log fails, for every n.
func crashes(t *testing.T, keys bool, check func(t *testing.T, w *world, p *provider, requests []string), done, crash bool) {
	t.Helper()
	for n := 1; ; n++ {
		w := newWorld(t)
		p := newProvider(t)
		p.keys = keys
		f := newFault(n, done, crash)
		requests := []string{w.ask("t", "r1", "first"), w.ask("t", "r2", "second")}

		cfg := w.config(w.pager(p))
		cfg.Store, cfg.Host = faultyStore{w.store, f}, w.host(faultyLog{w.log, f})
		ctx, kill := context.WithCancel(context.Background())
		ended := make(chan struct{})
		s, err := outbound.New(ctx, cfg)
		if err != nil && !f.struck() {
			t.Fatal(err)
		}
		if err == nil {
			go func() { defer close(ended); _ = s.Run(ctx) }()
			settled := func() bool { return len(w.outcomes(requests[0])) > 0 && len(w.outcomes(requests[1])) > 0 }
			w.until("it fails or all is told", func() bool { return f.struck() || settled() })
			if !crash {
				w.until("all is told", settled)
			}
		} else {
			close(ended)
		}
		if crash || err != nil { // its process is gone, and its claims run out
			kill()
			w.clock.pass(5 * time.Minute)
			_, stop := w.start(w.config(w.pager(p)))
			for _, request := range requests {
				w.outcome(request)
			}
			stop()
		}
		kill()
		t.Run(fmt.Sprintf("call %d", n), func(t *testing.T) { check(t, w, p, requests) })
		if !f.struck() {
			t.Logf("a process makes %d calls", n-1)
			return
		}
	}
}

// known checks what holds whatever happened: each request has one outcome, none was sent twice, and what is told is true.
func known(t *testing.T, w *world, p *provider, requests []string, all bool) {
	t.Helper()
	for i, request := range requests {
		text := []string{"first", "second"}[i]
		times := 0
		for _, taken := range p.texts() {
			if taken == text {
				times++
			}
		}
		var words []string
		for _, f := range w.outcomes(request) {
			words = append(words, told(f))
		}
		word := strings.Join(words, " and ")
		switch {
		case times > 1:
			t.Errorf("%s was sent %d times", text, times)
		case all && (word != "sent" || times != 1):
			t.Errorf("%s is told as %s, and was sent %d times", text, word, times)
		case word == "sent" && times != 1, word != "sent" && !strings.HasPrefix(word, "unknown"), len(words) != 1:
			t.Errorf("%s is told as %s, and was sent %d times", text, word, times)
		}
	}
}

func allSent(t *testing.T, w *world, p *provider, requests []string) {
	t.Helper()
	known(t, w, p, requests, true)
}

func TestAProcessThatEndsAnywhereSendsNothingTwiceAndTellsWhatIsUnknown(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("done %t", done), func(t *testing.T) {
			unknown := 0
			crashes(t, false, func(t *testing.T, w *world, p *provider, requests []string) {
				t.Helper()
				known(t, w, p, requests, false)
				for _, request := range requests {
					if strings.HasPrefix(told(w.outcomes(request)[0]), "unknown") {
						unknown++
					}
				}
			}, done, true)
			t.Logf("%d were unknown", unknown)
			if unknown == 0 {
				t.Error("no crash hit an attempt")
			}
		})
	}
}

func TestAProcessThatEndsAnywhereLosesNothingWhereTheProviderTakesAKeyOnce(t *testing.T) {
	for _, done := range []bool{false, true} {
		t.Run(fmt.Sprintf("done %t", done), func(t *testing.T) {
			crashes(t, true, allSent, done, true)
		})
	}
}

func TestAStoreOrLogThatFailsOnceChangesNothing(t *testing.T) {
	for _, keys := range []bool{false, true} {
		for _, done := range []bool{false, true} {
			t.Run(fmt.Sprintf("keys %t, done %t", keys, done), func(t *testing.T) {
				crashes(t, keys, allSent, done, false)
			})
		}
	}
}

func TestTwoProcessesOnOneStoreSendEachMessageOnce(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	w.groups.of = 2
	for range 2 {
		cfg := w.config(w.pager(p))
		cfg.Groups = w.groups
		w.start(cfg)
	}
	var requests []string
	for i := range 60 {
		requests = append(requests, w.ask(fmt.Sprint("thread", i%15), fmt.Sprint(i), fmt.Sprintf("%02d", i)))
	}
	for _, request := range requests {
		if got := told(w.outcome(request)); got != "sent" {
			t.Errorf("it is told as %s", got)
		}
	}
	texts := p.texts()
	if len(texts) != 60 {
		t.Errorf("the provider has %d messages", len(texts))
	}
	for thread := range 15 {
		var own []string
		for _, text := range texts {
			var i int
			if _, err := fmt.Sscan(strings.TrimLeft(text, "0")+" ", &i); err == nil && i%15 == thread || i == 0 && thread == 0 && text == "00" {
				own = append(own, text)
			}
		}
		if !slices.IsSorted(own) || len(own) != 4 {
			t.Errorf("thread %d was sent as %v", thread, own)
		}
	}
}

func TestAProcessThatComesLateTellsTheTruthAboutWhatAnotherHasGivenUp(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	entered, proceed := make(chan struct{}), make(chan struct{})
	slow := newPager(p)
	slow.echo = nil
	held := senderGate{slow, entered, proceed}
	w.start(w.config(outbound.Inbox{Tenant: tenant, ID: desk, Sender: held}))
	request := w.ask("t", "r", "slow")
	<-entered
	w.clock.pass(5 * time.Minute) // its claim runs out while its clock stands still
	w.start(w.config(w.pager(p)))
	if got := told(w.outcome(request)); got != "unknown interrupted" {
		t.Errorf("it is told as %s", got)
	}
	close(proceed)
	w.until("the truth is told, too", func() bool { return len(w.outcomes(request)) == 2 })
	if got := told(w.outcomes(request)[1]); got != "sent" || len(p.texts()) != 1 {
		t.Errorf("it is told as %s, the provider has %q", got, p.texts())
	}
}

func TestWhereTheStoreIsLostTheLogTellsWhatWasSent(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	cfg := w.config(w.pager(p))
	cfg.Groups = w.groups
	_, stop := w.start(cfg)
	sent := w.ask("t", "r1", "sent")
	w.outcome(sent)
	w.until("it is committed", func() bool {
		committed, err := w.groups.Committed(t.Context(), "", "", partitions)
		return err == nil && len(committed) > 0
	})
	stop()
	open := w.ask("t", "r2", "perhaps") // as if it had been attempted by the store that is lost
	old := w.ask("t2", "r3", "old")
	w.clock.pass(30 * time.Minute)

	w.store = memkv.New()
	cfg = w.config(w.pager(p))
	cfg.Groups = w.groups
	_, stop = w.start(cfg)
	for _, request := range []string{open, old} {
		if got := told(w.outcome(request)); got != "unknown lost" {
			t.Errorf("it is told as %s", got)
		}
	}
	if got := told(w.outcome(w.ask("t", "r4", "new"))); got != "sent" {
		t.Errorf("what comes afterwards is told as %s", got)
	}
	stop()
	if n := len(w.outcomes(sent)); n != 1 || !slices.Equal(p.texts(), []string{"sent", "new"}) {
		t.Errorf("%d outcomes; the provider has %q", n, p.texts())
	}
}

func TestWhereTheStoreIsPutBackFromABackupNothingIsSentTwice(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	config := func() outbound.Config {
		cfg := w.config(w.pager(p))
		cfg.Groups = w.groups
		return cfg
	}
	committed := func(request string) {
		w.outcome(request)
		w.until("its outcome is committed", func() bool {
			ends := map[int32]int64{}
			for q := range int32(partitions) {
				_, next, err := w.log.Bounds(t.Context(), event.TopicInteractions, q)
				must(t, err)
				if next > 0 {
					ends[q] = next
				}
			}
			committed, err := w.groups.Committed(t.Context(), "", "", partitions)
			return err == nil && maps.Equal(committed, ends)
		})
	}
	_, stop := w.start(config())
	committed(w.ask("t", "r1", "before"))
	stop()
	backup := copied(t, w.store)
	_, stop = w.start(config())
	committed(w.ask("t", "r2", "since"))
	stop()
	open := w.ask("t", "r3", "perhaps")
	w.store = backup
	w.start(config())
	if got := told(w.outcome(open)); got != "unknown lost" {
		t.Errorf("it is told as %s", got)
	}
	if got := told(w.outcome(w.ask("t", "r4", "afterwards"))); got != "sent" || !slices.Equal(p.texts(), []string{"before", "since", "afterwards"}) {
		t.Errorf("it is told as %s, the provider has %q", got, p.texts())
	}
}

func copied(t *testing.T, from kv.Store) kv.Store {
	t.Helper()
	snap, err := from.Snapshot(t.Context(), outbound.Namespace)
	must(t, err)
	defer snap.Close()
	it, err := snap.Scan(t.Context(), kv.Range{})
	must(t, err)
	defer it.Close()
	var b kv.Batch
	for it.Next() {
		b.Set(bytes.Clone(it.Key()), bytes.Clone(it.Value()))
	}
	must(t, it.Err())
	to := memkv.New()
	must(t, to.Apply(t.Context(), outbound.Namespace, &b))
	return to
}

func TestARequestOfTheFirstHourIsSentAndAnOlderOneExpires(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	old := w.ask("t", "r1", "old")
	answered := w.ask("t", "r2", "answered elsewhere")
	w.submit(&eventv1.Submission{
		Type: event.TypeMessageSent, Channel: eventv1.Channel_CHANNEL_SMS, Provider: "pager", Inbox: desk, Thread: "t", NativeId: "X1", CausationId: answered,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: "answered elsewhere"}}},
	})
	w.clock.pass(2 * time.Hour)
	fresh := w.ask("t", "r3", "fresh")
	cfg := w.config(w.pager(p))
	cfg.Groups = w.groups
	w.start(cfg)
	if got := told(w.outcome(fresh)); got != "sent" {
		t.Errorf("the fresh one is told as %s", got)
	}
	if got := told(w.outcome(old)); got != "failed expired" {
		t.Errorf("the old one is told as %s", got)
	}
	if n := len(w.outcomes(answered)); n != 1 || !slices.Equal(p.texts(), []string{"fresh"}) {
		t.Errorf("%d outcomes; the provider has %q", n, p.texts())
	}
}
