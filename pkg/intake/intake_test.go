package intake_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var noon = time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)

type fixture struct {
	*intake.Intake
	t     *testing.T
	log   *memlog.Log
	blobs *blob.Store
	now   time.Time
}

func newFixture(t *testing.T, change func(*fixture, *intake.Config)) *fixture {
	t.Helper()
	f := &fixture{t: t, log: memlog.New(memlog.Config{}).Open(), now: noon}
	for _, topic := range []string{event.TopicInteractions, event.TopicAgents, event.TopicDead} {
		if err := f.log.EnsureTopics(t.Context(), eventlog.Topic{Name: topic, Partitions: 1}); err != nil {
			t.Fatal(err)
		}
	}
	var err error
	if f.blobs, err = blob.Open(t.Context(), "mem://"); err != nil {
		t.Fatal(err)
	}
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1024)))
	if err != nil {
		t.Fatal(err)
	}
	compiler, err := event.NewCompiler(keyring)
	if err != nil {
		t.Fatal(err)
	}
	cfg := intake.Config{Compiler: compiler, Keyring: keyring, Log: f.log, Blobs: f.blobs, Now: func() time.Time { return f.now }}
	if change != nil {
		change(f, &cfg)
	}
	f.Intake = intake.New(cfg)
	return f
}

func (f *fixture) records(topic string) []eventlog.Record {
	f.t.Helper()
	_, next, err := f.log.Bounds(f.t.Context(), topic, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	if next == 0 {
		return nil
	}
	r, err := f.log.Open(f.t.Context(), topic, 0, 0)
	if err != nil {
		f.t.Fatal(err)
	}
	defer r.Close()
	records, err := r.Read(f.t.Context(), 1000)
	if err != nil {
		f.t.Fatal(err)
	}
	return records
}

func note(id, text string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Provider: "test", Inbox: "web", Thread: "t", NativeId: id,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: text}}},
	}
}

func TestAnAcknowledgementSaysWhereTheEventStands(t *testing.T) {
	f := newFixture(t, nil)
	acks, err := f.Submit(t.Context(), "acme", note("1", "a"), note("2", "b"))
	if err != nil {
		t.Fatal(err)
	}
	records := f.records(event.TopicInteractions)
	if len(acks) != 2 || len(records) != 2 {
		t.Fatalf("%d acknowledgements, %d records", len(acks), len(records))
	}
	for i, r := range records {
		e, err := event.Decode(r.Value)
		if err != nil {
			t.Fatal(err)
		}
		if acks[i].Position != r.Position || acks[i].EventID != e.GetId() || acks[i].ThreadID != e.GetThreadId() || string(r.Key) != e.GetThreadId() {
			t.Errorf("acknowledgement %v of record %v with key %s: %v", acks[i], r.Position, r.Key, e)
		}
		if !e.GetReceivedAt().AsTime().Equal(noon) {
			t.Errorf("received at %v", e.GetReceivedAt().AsTime())
		}
	}
}

func TestOneWrongSubmissionKeepsAllOutAndEveryWrongFieldIsNamed(t *testing.T) {
	f := newFixture(t, nil)
	wrong := note("2", "b")
	wrong.Inbox, wrong.Provider = "", "UPPER CASE"
	_, err := f.Submit(t.Context(), "acme", note("1", "a"), wrong, note("3", "\xff"))
	var invalid *event.InvalidError
	if !errors.As(err, &invalid) {
		t.Fatalf("got %v", err)
	}
	fields := map[string]bool{}
	for _, v := range invalid.Violations {
		fields[v.Field] = true
	}
	for _, want := range []string{"submissions[1].inbox", "submissions[1].provider", "submissions[2].content.message_received.text"} {
		if !fields[want] {
			t.Errorf("%s is not named in %v", want, invalid.Violations)
		}
	}
	if errors.Is(err, channel.ErrRetry) {
		t.Error("a wrong submission is said to be worth another try")
	}
	if n := len(f.records(event.TopicInteractions)); n != 0 {
		t.Errorf("%d events were published", n)
	}
}

func TestContentTooLargeForTheLogGoesToTheBlobStore(t *testing.T) {
	f := newFixture(t, nil)
	long := strings.Repeat("ten bytes ", 1<<20)
	if _, err := f.Submit(t.Context(), "acme", note("1", long)); err != nil {
		t.Fatal(err)
	}
	r := f.records(event.TopicInteractions)[0]
	if len(r.Value) > event.MaxContent+4096 {
		t.Errorf("the record has %d bytes", len(r.Value))
	}
	e, err := event.Decode(r.Value)
	if err != nil {
		t.Fatal(err)
	}
	head, err := event.DecodeContent(e)
	if err != nil {
		t.Fatal(err)
	}
	if m := head.GetMessageReceived(); !m.GetTruncated() || !strings.HasPrefix(long, m.GetText()) || m.GetText() == "" {
		t.Errorf("head: %d bytes, truncated %v", len(m.GetText()), m.GetTruncated())
	}
	if want := "acme/" + e.GetThreadId() + "/"; !strings.HasPrefix(head.GetSpilled().GetKey(), want) {
		t.Errorf("key %s does not begin with %s", head.GetSpilled().GetKey(), want)
	}
	whole, err := f.blobs.Get(t.Context(), head.GetSpilled())
	if err != nil {
		t.Fatal(err)
	}
	content := &eventv1.Content{}
	if err := proto.Unmarshal(whole, content); err != nil || content.GetMessageReceived().GetText() != long {
		t.Errorf("the blob does not hold the text: %v", err)
	}
}

// away is a log that takes nothing.
type away struct{ eventlog.Appender }

func (away) Append(_ context.Context, _ eventlog.Message, done func(eventlog.Position, error)) error {
	done(eventlog.Position{}, fmt.Errorf("append: %w", eventlog.ErrUnavailable))
	return nil
}

func TestWhileLogDiskOrRateGiveNoRoomThereIsAnotherTry(t *testing.T) {
	full := errors.New("the disk is full: free some space")
	for name, change := range map[string]func(*fixture, *intake.Config){
		"log":  func(_ *fixture, c *intake.Config) { c.Log = away{} },
		"disk": func(_ *fixture, c *intake.Config) { c.Room = func() error { return full } },
		"rate": func(_ *fixture, c *intake.Config) { c.Limits = intake.Limits{EventsPerSecond: 1, Burst: 1} },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, change)
			_, err := f.Submit(t.Context(), "acme", note("1", "a"), note("2", "b"))
			if !errors.Is(err, channel.ErrRetry) {
				t.Errorf("got %v", err)
			}
			if name == "disk" {
				if !errors.Is(err, full) {
					t.Errorf("the error does not say what to do: %v", err)
				}
				_, err := f.PutBlob(t.Context(), channel.BlobInfo{Tenant: "acme", Inbox: "web", Thread: "t"}, strings.NewReader("x"))
				if !errors.Is(err, channel.ErrRetry) {
					t.Errorf("a blob: %v", err)
				}
			}
		})
	}
}

func TestATenantThatIsTooFastIsToldWhenToComeAgainAndOthersAreServed(t *testing.T) {
	f := newFixture(t, func(_ *fixture, c *intake.Config) { c.Limits = intake.Limits{EventsPerSecond: 10, Burst: 2} })
	if _, err := f.Submit(t.Context(), "fast", note("1", "a"), note("2", "b")); err != nil {
		t.Fatal(err)
	}
	_, err := f.Submit(t.Context(), "fast", note("3", "c"))
	var limited *intake.LimitedError
	if !errors.As(err, &limited) || limited.RetryAfter() != 100*time.Millisecond {
		t.Fatalf("got %v", err)
	}
	if _, err := f.Submit(t.Context(), "calm", note("1", "a")); err != nil {
		t.Errorf("another tenant: %v", err)
	}
	f.now = f.now.Add(limited.RetryAfter())
	if _, err := f.Submit(t.Context(), "fast", note("3", "c")); err != nil {
		t.Errorf("after the wait: %v", err)
	}
}

func TestARejectedPayloadIsKeptWithItsReason(t *testing.T) {
	f := newFixture(t, nil)
	raw := bytes.Repeat([]byte{0xfe}, 300<<10)
	if err := f.Reject(t.Context(), channel.Rejection{Tenant: "acme", Provider: "smtp", Inbox: "support", Reason: "no \xff mail", Raw: raw}); err != nil {
		t.Fatal(err)
	}
	letter := &eventv1.DeadLetter{}
	if err := proto.Unmarshal(f.records(event.TopicDead)[0].Value, letter); err != nil {
		t.Fatal(err)
	}
	if letter.GetReason() != eventv1.DeadReason_DEAD_REASON_REJECTED || letter.GetDetail() != "no \ufffd mail" ||
		letter.GetRawSize() != int64(len(raw)) || len(letter.GetRaw()) != 256<<10 || letter.GetInbox() != "support" {
		t.Errorf("letter of %d raw bytes: %v %q", len(letter.GetRaw()), letter.GetReason(), letter.GetDetail())
	}
	if whole, err := f.blobs.Get(t.Context(), letter.GetRawBlob()); err != nil || !bytes.Equal(whole, raw) {
		t.Errorf("the blob of the whole payload has %d bytes: %v", len(whole), err)
	}
}

func TestTheSameBlobInAThreadIsStoredOnce(t *testing.T) {
	f := newFixture(t, nil)
	info := channel.BlobInfo{Tenant: "acme", Inbox: "web", Thread: "t"}
	first, err := f.PutBlob(t.Context(), info, strings.NewReader("<html>"))
	if err != nil {
		t.Fatal(err)
	}
	second, err := f.PutBlob(t.Context(), info, strings.NewReader("<html>"))
	if err != nil || !proto.Equal(first, second) {
		t.Errorf("%v, then %v, %v", first, second, err)
	}
	if first.GetSize() != 6 || !strings.HasPrefix(first.GetMediaType(), "text/html") {
		t.Errorf("reference %v", first)
	}
}

func TestManyAtOnceEachGetItsOwnPosition(t *testing.T) {
	f := newFixture(t, nil)
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[eventlog.Position]string{}
	)
	for i := range 50 {
		wg.Go(func() {
			acks, err := f.Submit(t.Context(), "acme", note(fmt.Sprint(i), "x"), note(fmt.Sprint(i, "b"), "y"))
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for _, a := range acks {
				if other, ok := seen[a.Position]; ok {
					t.Errorf("%s and %s both stand at %v", other, a.EventID, a.Position)
				}
				seen[a.Position] = a.EventID
			}
		})
	}
	wg.Wait()
	for _, r := range f.records(event.TopicInteractions) {
		if e, err := event.Decode(r.Value); err != nil || seen[r.Position] != e.GetId() {
			t.Errorf("%v holds %s, and %s was told: %v", r.Position, e.GetId(), seen[r.Position], err)
		}
	}
}
