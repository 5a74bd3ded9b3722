package deadletters_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/deadletter"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/projection"
	"github.com/skein-cx/skein/pkg/pubsub"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/deadletters"
)

const partitions = 3

// world is a log with a read model that understands some records, an intake, and the service.
type world struct {
	t       *testing.T
	log     *memlog.Log
	fold    *pickyFold
	model   *projection.Runner
	intake  *intake.Intake
	adapter *pickyAdapter
	cfg     deadletters.Config
	service *deadletters.Service
}

// pickyFold understands what it was taught. What begins with "twice" is in conflict.
type pickyFold struct{ knows, folded []string }

func (f *pickyFold) Apply(_ context.Context, _ *projection.Tx, r eventlog.Record) error {
	switch value := string(r.Value); {
	case strings.HasPrefix(value, "twice"):
		return &projection.DeadError{Reason: eventv1.DeadReason_DEAD_REASON_CONFLICT, Detail: "other content", Tenant: "acme"}
	case !slices.Contains(f.knows, value):
		return &projection.DeadError{Reason: eventv1.DeadReason_DEAD_REASON_UNDECODABLE, Detail: "never heard of " + value, Tenant: "acme"}
	default:
		f.folded = append(f.folded, value)
		return nil
	}
}

// pickyAdapter makes a note of a payload once it was mended.
type pickyAdapter struct {
	mended bool
	err    error // comes once
	calls  int
}

func (a *pickyAdapter) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a.calls++
	if err := a.err; err != nil {
		a.err = nil
		return err
	}
	if !a.mended {
		return host.Reject(ctx, r)
	}
	_, err := host.Submit(ctx, r.Tenant, &eventv1.Submission{
		Type: event.TypeNoteAdded, Provider: r.Provider, Inbox: r.Inbox, Thread: "t", NativeId: fmt.Sprint(len(r.Raw)),
		Content: &eventv1.Content{Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: fmt.Sprint(len(r.Raw), " bytes")}}},
	})
	return err
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: memlog.New(memlog.Config{}).Open(), fold: &pickyFold{}, adapter: &pickyAdapter{}}
	for _, topic := range []string{event.TopicInteractions, event.TopicDead} {
		w.must(w.log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: partitions}))
	}
	blobs, err := blob.Open(t.Context(), "mem://")
	w.must(err)
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1024)))
	w.must(err)
	compiler, err := event.NewCompiler(keyring)
	w.must(err)
	w.intake = intake.New(intake.Config{Compiler: compiler, Keyring: keyring, Log: w.log, Blobs: blobs})
	w.model, err = projection.NewRunner(t.Context(), projection.Config{
		Log: w.log, Store: memkv.New(), Namespace: kv.Namespace{Slice: "words"}, Topic: event.TopicInteractions, Fold: w.fold,
		DeadLetters: deadletter.NewPublisher(w.log),
	})
	w.must(err)
	w.cfg = deadletters.Config{
		Log: w.log, Publisher: pubsub.NewPublisher(w.log), Host: w.intake, Blobs: blobs,
		Redrivers: map[string]channel.Redriver{"pager": w.adapter},
	}
	w.service = deadletters.New(w.cfg)
	return w
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// append puts words into the log and lets the read model fold them.
func (w *world) append(words ...string) {
	w.t.Helper()
	for _, word := range words {
		_, err := eventlog.AppendAll(w.t.Context(), w.log, []eventlog.Message{{
			Topic: event.TopicInteractions, Key: []byte("key of " + word), Value: []byte(word), Headers: []eventlog.Header{{Key: "h", Value: []byte("v")}},
		}})
		w.must(err)
	}
	w.must(w.model.RunToEnd(w.t.Context()))
}

func (w *world) reject(raw []byte) {
	w.t.Helper()
	w.must(w.intake.Reject(w.t.Context(), channel.Rejection{Tenant: "acme", Provider: "pager", Inbox: "desk", Reason: "gibberish", Raw: raw}))
}

// list gives all letters of a query.
func (w *world) list(q deadletters.Query) []deadletters.Letter {
	w.t.Helper()
	page, err := w.service.List(w.t.Context(), q, 0, "")
	w.must(err)
	if page.Next != "" {
		w.t.Fatal("there is another page")
	}
	return page.Letters
}

func (w *world) only(q deadletters.Query) deadletters.Letter {
	w.t.Helper()
	letters := w.list(q)
	if len(letters) != 1 {
		w.t.Fatalf("%d letters", len(letters))
	}
	return letters[0]
}

func (w *world) show(at eventlog.Position) deadletters.Details {
	w.t.Helper()
	d, err := w.service.Show(w.t.Context(), at)
	w.must(err)
	return d
}

func (w *world) redrive(force bool, letters ...eventlog.Position) []deadletters.Outcome {
	w.t.Helper()
	var outcomes []deadletters.Outcome
	w.must(w.service.Redrive(w.t.Context(), force, letters, func(o deadletters.Outcome) error {
		outcomes = append(outcomes, o)
		return nil
	}))
	w.must(w.model.RunToEnd(w.t.Context()))
	return outcomes
}

func (w *world) redriven(force bool, letter eventlog.Position) []eventlog.Position {
	w.t.Helper()
	o := w.redrive(force, letter)[0]
	w.must(o.Err)
	return o.As
}

func (w *world) refused(force bool, letter eventlog.Position, want error) {
	w.t.Helper()
	if o := w.redrive(force, letter)[0]; !errors.Is(o.Err, want) || len(o.As) != 0 {
		w.t.Errorf("got %v, want %v", o, want)
	}
}

var open = deadletters.Query{Open: true}

func TestARecordIsTakenInAgainWhenTheSoftwareWasMended(t *testing.T) {
	w := newWorld(t)
	w.fold.knows = []string{"tea"}
	w.append("tea", "mate")
	letter := w.only(open)
	if letter.GetDetail() != "never heard of mate" || letter.GetSlice() != "words" {
		t.Errorf("letter: %v", letter)
	}
	d := w.show(letter.Position)
	if string(d.Whole) != "mate" || d.Event != nil || d.RedriveOf != nil {
		t.Errorf("details: %+v", d)
	}

	w.fold.knows = append(w.fold.knows, "mate")
	as := w.redriven(false, letter.Position)
	if !slices.Equal(w.fold.folded, []string{"tea", "mate"}) {
		t.Errorf("folded: %v", w.fold.folded)
	}
	if len(w.list(open)) != 0 {
		t.Error("the letter is still open")
	}
	redriven := w.only(deadletters.Query{})
	if len(redriven.Redrives) != 1 || !slices.Equal(redriven.Redrives[0].As, as) {
		t.Errorf("redrives: %v", redriven.Redrives)
	}
	if again := w.show(letter.Position).Redrives[0].Again; again != nil {
		t.Errorf("a new letter at %s", again)
	}
	reader, err := w.log.Open(t.Context(), as[0].Topic, as[0].Partition, as[0].Offset)
	w.must(err)
	records, err := reader.Read(t.Context(), 1)
	w.must(err)
	r := records[0]
	if string(r.Key) != "key of mate" || string(r.Value) != "mate" || !slices.ContainsFunc(r.Headers, func(h eventlog.Header) bool { return h.Key == "h" && string(h.Value) == "v" }) {
		t.Errorf("appended again as %v", r)
	}
}

func TestALetterIsRedrivenOnceUnlessForced(t *testing.T) {
	w := newWorld(t)
	w.append("mate")
	letter := w.only(open).Position
	w.fold.knows = []string{"mate"}
	outcomes := w.redrive(false, letter, letter)
	if outcomes[0].Err != nil || !errors.Is(outcomes[1].Err, deadletters.ErrRedriven) {
		t.Errorf("twice in one call: %v", outcomes)
	}
	w.service = deadletters.New(w.cfg) // another process
	w.refused(false, letter, deadletters.ErrRedriven)
	w.redriven(true, letter)
	if n := len(w.only(deadletters.Query{}).Redrives); n != 2 {
		t.Errorf("%d redrives", n)
	}
}

func TestWhatIsStillNotUnderstoodIsANewLetterThatTheOldOneNames(t *testing.T) {
	w := newWorld(t)
	w.append("mate")
	old := w.only(open).Position
	w.redriven(false, old)
	again := w.only(open).Position
	if d := w.show(old); d.Redrives[0].Again == nil || *d.Redrives[0].Again != again {
		t.Errorf("the old letter names %v", d.Redrives[0].Again)
	}
	if d := w.show(again); d.RedriveOf == nil || *d.RedriveOf != old {
		t.Errorf("the new letter names %v", d.RedriveOf)
	}
	w.fold.knows = []string{"mate"}
	w.redriven(false, again)
	if d := w.show(again); d.Redrives[0].Again != nil || len(w.fold.folded) != 1 {
		t.Errorf("%+v, folded %v", d, w.fold.folded)
	}
}

func TestAConflictIsRedrivenByForceOnly(t *testing.T) {
	w := newWorld(t)
	w.append("twice told")
	letter := w.only(open).Position
	w.refused(false, letter, deadletters.ErrConflict)
	if len(w.list(open)) != 1 {
		t.Error("it counts as redriven")
	}
	w.redriven(true, letter)
	w.only(open) // in conflict again
}

func TestARecordThatTheLogDoesNotHoldIsNotRedriven(t *testing.T) {
	w := newWorld(t)
	w.append("tea")
	for name, source := range map[string]*eventv1.Position{
		"another record": {Topic: event.TopicInteractions, Partition: eventlog.Partition([]byte("key of tea"), partitions)},
		"no record":      {Topic: event.TopicInteractions, Offset: 1000},
		"no partition":   {Topic: event.TopicInteractions, Partition: partitions},
		"no topic":       {Topic: "gone"},
	} {
		w.must(deadletter.NewPublisher(w.log).Publish(t.Context(), &eventv1.DeadLetter{
			Reason: eventv1.DeadReason_DEAD_REASON_INVALID, Slice: name, Source: source, Raw: []byte("mate"), RawSize: 4,
		}))
		letter := w.only(deadletters.Query{Slice: name})
		w.refused(true, letter.Position, deadletters.ErrNoSource)
		if d := w.show(letter.Position); string(d.Whole) != "mate" {
			t.Errorf("%s: shows %q", name, d.Whole)
		}
	}
}

func TestARejectedPayloadGoesThroughItsAdapterAgain(t *testing.T) {
	for _, size := range []int{10, 300 << 10} { // one that the letter holds, one that the blob store holds
		w := newWorld(t)
		w.reject(bytes.Repeat([]byte{'x'}, size))
		letter := w.only(deadletters.Query{Provider: "pager"})
		if d := w.show(letter.Position); len(d.Whole) != size {
			t.Errorf("%d of %d bytes are shown", len(d.Whole), size)
		}
		w.refused(false, letter.Position, deadletters.ErrRejected)
		if n := len(w.list(deadletters.Query{Open: true, Provider: "pager"})); n != 1 {
			t.Errorf("%d open letters after a redrive in vain", n)
		}
		w.adapter.mended = true
		w.adapter.err = fmt.Errorf("the log is away: %w", channel.ErrRetry)
		as := w.redriven(false, letter.Position)
		if len(as) != 1 || as[0].Topic != event.TopicInteractions || w.adapter.calls != 3 {
			t.Errorf("events at %v after %d calls", as, w.adapter.calls)
		}
		if n := len(w.list(deadletters.Query{Open: true, Provider: "pager"})); n != 0 {
			t.Errorf("%d open letters", n)
		}
	}
}

func TestAPayloadWithoutAdapterOrBytesIsNotRedriven(t *testing.T) {
	w := newWorld(t)
	publish := func(l *eventv1.DeadLetter) eventlog.Position {
		l.Reason = eventv1.DeadReason_DEAD_REASON_REJECTED
		w.must(deadletter.NewPublisher(w.log).Publish(t.Context(), l))
		return w.only(deadletters.Query{Provider: l.GetProvider()}).Position
	}
	w.refused(false, publish(&eventv1.DeadLetter{Provider: "pigeon"}), deadletters.ErrNoRedriver)
	w.refused(false, publish(&eventv1.DeadLetter{Provider: "pager", Raw: []byte("x"), RawSize: 2}), deadletters.ErrCut)
}

func TestWhatIsNoLetterIsShownAsItIs(t *testing.T) {
	w := newWorld(t)
	_, err := eventlog.AppendAll(t.Context(), w.log, []eventlog.Message{{Topic: event.TopicDead, Value: []byte("\xff\xff")}})
	w.must(err)
	letter := w.only(open)
	if !strings.Contains(letter.GetDetail(), "no dead letter") || string(w.show(letter.Position).Whole) != "\xff\xff" {
		t.Errorf("%v", letter)
	}
	w.refused(true, letter.Position, deadletters.ErrNoReason)
}

func TestThereIsNoLetterElsewhere(t *testing.T) {
	w := newWorld(t)
	w.append("mate")
	letter := w.only(open).Position
	w.redriven(false, letter)
	behind := letter
	behind.Offset++ // the note
	for _, at := range []eventlog.Position{
		behind,
		{Topic: event.TopicDead, Partition: letter.Partition, Offset: 99},
		{Topic: event.TopicDead, Partition: 99},
		{Topic: event.TopicInteractions},
	} {
		if _, err := w.service.Show(t.Context(), at); !errors.Is(err, deadletters.ErrNotFound) {
			t.Errorf("%s: %v", at, err)
		}
		w.refused(true, at, deadletters.ErrNotFound)
	}
}

func TestPagesGiveEveryLetterOnceNewestFirst(t *testing.T) {
	w := newWorld(t)
	for i := range 250 {
		l := &eventv1.DeadLetter{Reason: eventv1.DeadReason_DEAD_REASON_INVALID, Tenant: []string{"acme", "other"}[i%2], Source: &eventv1.Position{Topic: "t", Offset: int64(i)}}
		w.must(deadletter.NewPublisher(w.log).Publish(t.Context(), l))
	}
	if letters := w.list(deadletters.Query{Topic: "another"}); len(letters) != 0 {
		t.Fatalf("%d letters are about records of another topic", len(letters))
	}
	for _, size := range []int{1, 7, 64, 249, 250, 1000} {
		for _, tenant := range []string{"", "acme"} {
			q := deadletters.Query{Tenant: tenant, Topic: "t", Reasons: []eventv1.DeadReason{eventv1.DeadReason_DEAD_REASON_INVALID}}
			seen := map[eventlog.Position]bool{}
			last := map[int32]int64{}
			for token, first := "", true; first || token != ""; first = false {
				page, err := w.service.List(t.Context(), q, size, token)
				w.must(err)
				if len(page.Letters) > size {
					t.Fatalf("a page of %d letters", len(page.Letters))
				}
				for _, l := range page.Letters {
					at := l.Position
					if before, ok := last[at.Partition]; seen[at] || ok && at.Offset > before || tenant != "" && l.GetTenant() != tenant {
						t.Fatalf("size %d: %s of %s comes behind %d", size, at, l.GetTenant(), before)
					}
					seen[at], last[at.Partition] = true, at.Offset
				}
				token = page.Next
				if first { // comes too late for the later pages
					w.must(deadletter.NewPublisher(w.log).Publish(t.Context(), &eventv1.DeadLetter{Tenant: tenant, Slice: "late"}))
				}
			}
			if want := map[string]int{"": 250, "acme": 125}[tenant]; len(seen) != want {
				t.Errorf("size %d, tenant %q: %d letters instead of %d", size, tenant, len(seen), want)
			}
		}
	}
}

func TestATokenOfAnotherQueryIsRefused(t *testing.T) {
	w := newWorld(t)
	w.append("a", "b", "c")
	page, err := w.service.List(t.Context(), open, 1, "")
	w.must(err)
	for _, token := range []string{"gibberish", "AAAA", page.Next + "A", strings.ToLower(page.Next)} {
		if _, err := w.service.List(t.Context(), open, 1, token); !errors.Is(err, deadletters.ErrBadToken) {
			t.Errorf("token %q: %v", token, err)
		}
	}
	if _, err := w.service.List(t.Context(), deadletters.Query{Tenant: "acme"}, 1, page.Next); !errors.Is(err, deadletters.ErrBadToken) {
		t.Errorf("another query: %v", err)
	}
}

func TestRedrivingEndsWithItsContextAndItsReader(t *testing.T) {
	w := newWorld(t)
	w.append("a", "b")
	var letters []eventlog.Position
	for _, l := range w.list(open) {
		letters = append(letters, l.Position)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	n := 0
	err := w.service.Redrive(ctx, false, letters, func(deadletters.Outcome) error { n++; cancel(); return nil })
	if !errors.Is(err, context.Canceled) || n != 1 {
		t.Errorf("%v after %d letters", err, n)
	}
	gone := errors.New("gone")
	if err := w.service.Redrive(t.Context(), true, letters, func(deadletters.Outcome) error { return gone }); !errors.Is(err, gone) {
		t.Errorf("%v", err)
	}
}
