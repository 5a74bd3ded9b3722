package files_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/files"
)

const (
	tenant = "acme"
	inbox  = "wa"
	// patience ends a test that hangs; nothing waits for it otherwise.
	patience = time.Minute
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// provider keeps files, and gives them out as its function says.
type provider struct {
	asked atomic.Int64
	give  func(ctx context.Context, attempt int64, f channel.RemoteFile) (*channel.FetchedFile, error)
}

func (p *provider) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	return p.give(ctx, p.asked.Add(1), f)
}

func picture() (*channel.FetchedFile, error) {
	return &channel.FetchedFile{Body: io.NopCloser(strings.NewReader("picture")), MediaType: "image/png", Name: "kettle.png"}, nil
}

// world is a log, a store and a blob store, in which processes come and go.
type world struct {
	t     *testing.T
	log   eventlog.Log
	store kv.Store
	blobs *blob.Store
	host  *intake.Intake
	ahead atomic.Int64 // of the clock
	claim time.Duration
	reads event.Blobs // what a process reads contents from; blobs unless set
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, log: memlog.New(memlog.Config{}).Open(), store: memkv.New()}
	must(t, w.log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicInteractions, Partitions: 1}, eventlog.Topic{Name: event.TopicDead, Partitions: 1}))
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 1<<10)))
	must(t, err)
	compiler, err := event.NewCompiler(keyring)
	must(t, err)
	w.blobs, err = blob.Open(t.Context(), "mem://")
	must(t, err)
	t.Cleanup(func() { _ = w.blobs.Close() })
	w.host = intake.New(intake.Config{Compiler: compiler, Keyring: keyring, Log: w.log, Blobs: w.blobs})
	return w
}

// start starts a process, and gives what ends it.
func (w *world) start(p *provider) (stop func()) {
	w.t.Helper()
	cfg := files.Config{
		Log: w.log, Store: w.store, Host: w.host, Blobs: w.blobs, Inboxes: []files.Inbox{{Tenant: tenant, ID: inbox, Fetcher: p}},
		FirstRetry: time.Millisecond, LastRetry: 2 * time.Millisecond, Recheck: 2 * time.Millisecond, Claim: w.claim,
		Now: func() time.Time { return time.Now().Add(time.Duration(w.ahead.Load())) },
	}
	if w.reads != nil {
		cfg.Blobs = w.reads
	}
	s, err := files.New(w.t.Context(), cfg)
	must(w.t, err)
	ctx, cancel := context.WithCancel(w.t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			must(w.t, err)
		case <-time.After(patience):
			w.t.Error("it does not stop")
		}
	})
	w.t.Cleanup(stop)
	return stop
}

// receive takes in a message with files, and gives its event's id.
func (w *world) receive(id string, sources ...string) string {
	w.t.Helper()
	s := &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Provider: "whatsapp", Inbox: inbox, Thread: "4930901820", NativeId: id,
		Parties: []*eventv1.SubmittedParty{{
			Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "+4930901820"},
			Role:    eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: "Mei",
		}},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "This one"}}},
	}
	for _, source := range sources {
		s.Content.Attachments = append(s.Content.Attachments, &eventv1.Attachment{Source: source, MediaType: "image/jpeg"})
	}
	acks, err := w.host.Submit(w.t.Context(), tenant, s)
	must(w.t, err)
	return acks[0].EventID
}

// told waits until the log tells of so many files, and gives these events' contents.
func (w *world) told(n int) (events []*eventv1.Event, contents []*eventv1.Content) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	reader, err := w.log.Open(ctx, event.TopicInteractions, 0, 0)
	must(w.t, err)
	defer reader.Close()
	for len(events) < n {
		records, err := reader.Read(ctx, 1)
		if err != nil {
			w.t.Fatalf("%d of %d files: %v", len(events), n, err)
		}
		e, err := event.Decode(records[0].Value)
		must(w.t, err)
		if e.GetType() != event.TypeAttachmentStored && e.GetType() != event.TypeAttachmentFailed {
			continue
		}
		content, err := event.DecodeContent(e)
		must(w.t, err)
		events, contents = append(events, e), append(contents, content)
	}
	return events, contents
}

func TestAFileIsFetchedAndToldInItsMessagesThread(t *testing.T) {
	w := newWorld(t)
	p := &provider{give: func(_ context.Context, _ int64, f channel.RemoteFile) (*channel.FetchedFile, error) {
		if f != (channel.RemoteFile{Tenant: tenant, Inbox: inbox, Thread: "4930901820", Source: "media-1", MediaType: "image/jpeg"}) {
			t.Errorf("asked for %+v", f)
		}
		return picture()
	}}
	w.start(p)
	id := w.receive("wamid.1", "media-1")
	events, contents := w.told(1)
	e, content := events[0], contents[0]
	stored := content.GetAttachmentStored()
	if e.GetType() != event.TypeAttachmentStored || stored.GetEventId() != id || stored.GetIndex() != 0 || e.GetCausationId() != id {
		t.Fatalf("%v %v", e, content)
	}
	if len(e.GetParties()) != 1 || content.GetParties()[0].GetAddress() != "+4930901820" || content.GetNativeThread() != "4930901820" {
		t.Errorf("filed under %v %v", e.GetParties(), content.GetParties())
	}
	file := content.GetAttachments()[0]
	if file.GetName() != "kettle.png" || file.GetBlob().GetMediaType() != "image/jpeg" || file.GetSource() != "" {
		t.Errorf("the file is %v", file)
	}
	if data, err := w.blobs.Get(t.Context(), file.GetBlob()); err != nil || string(data) != "picture" {
		t.Errorf("it holds %q, %v", data, err)
	}
}

func TestAProviderThatFailsIsAskedAgain(t *testing.T) {
	w := newWorld(t)
	p := &provider{give: func(_ context.Context, attempt int64, _ channel.RemoteFile) (*channel.FetchedFile, error) {
		switch attempt {
		case 1:
			return nil, fmt.Errorf("%w: 503", channel.ErrRetry)
		case 2:
			return nil, errors.New("the token has expired")
		case 3:
			panic("a bug")
		case 4:
			broken := io.MultiReader(strings.NewReader("half"), brokenReader{})
			return &channel.FetchedFile{Body: io.NopCloser(broken)}, nil
		}
		return picture()
	}}
	w.start(p)
	w.receive("wamid.1", "media-1")
	if events, _ := w.told(1); events[0].GetType() != event.TypeAttachmentStored || p.asked.Load() != 5 {
		t.Errorf("%s after %d attempts", events[0].GetType(), p.asked.Load())
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func TestWhatCannotBeHadIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		give func() (*channel.FetchedFile, error)
		code string
	}{
		"gone": {func() (*channel.FetchedFile, error) {
			return nil, &channel.RefusedError{Code: "404", Reason: "the provider answered 404 Not Found"}
		}, "404"},
		"refused in the middle": {func() (*channel.FetchedFile, error) {
			return &channel.FetchedFile{Body: io.NopCloser(io.MultiReader(strings.NewReader("half"), refusing{}))}, nil
		}, "too_large"},
		"larger than the blob store takes": {func() (*channel.FetchedFile, error) {
			return &channel.FetchedFile{Body: io.NopCloser(io.LimitReader(zeros{}, blob.MaxSize+1))}, nil
		}, "not_stored"},
		"described so that no event can tell of it": {func() (*channel.FetchedFile, error) {
			return &channel.FetchedFile{Body: io.NopCloser(strings.NewReader("picture")), Name: "K\xfcche.png"}, nil
		}, "not_stored"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			p := &provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) { return c.give() }}
			w.start(p)
			id := w.receive("wamid.1", "media-1")
			events, contents := w.told(1)
			failed := contents[0].GetAttachmentFailed()
			if events[0].GetType() != event.TypeAttachmentFailed || failed.GetEventId() != id || failed.GetCode() != c.code || failed.GetReason() == "" || p.asked.Load() != 1 {
				t.Errorf("%s %v after %d attempts", events[0].GetType(), failed, p.asked.Load())
			}
		})
	}
}

type refusing struct{}

func (refusing) Read([]byte) (int, error) {
	return 0, &channel.RefusedError{Code: "too_large", Reason: "the file is larger than 4 bytes"}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

func TestAFileIsAskedForUntilItIsTooOld(t *testing.T) {
	w := newWorld(t)
	p := &provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) {
		w.ahead.Store(int64(73 * time.Hour))
		return nil, fmt.Errorf("%w: 503", channel.ErrRetry)
	}}
	w.start(p)
	w.receive("wamid.1", "media-1")
	_, contents := w.told(1)
	if failed := contents[0].GetAttachmentFailed(); failed.GetCode() != "expired" || !strings.Contains(failed.GetReason(), "503") {
		t.Error(failed)
	}
}

// A provider delivers its webhooks more than once; a file is fetched once all the same.
func TestAMessageThatComesAgainHasItsFilesAlready(t *testing.T) {
	w := newWorld(t)
	p := &provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) { return picture() }}
	stop := w.start(p)
	w.receive("wamid.1", "media-1", "media-2")
	w.receive("wamid.1", "media-1", "media-2")
	w.receive("wamid.2", "media-3")
	w.told(3)
	stop()
	w.start(p)
	w.receive("wamid.1", "media-1", "media-2")
	w.receive("wamid.3", "media-4")
	w.told(4)
	if n := p.asked.Load(); n != 4 {
		t.Errorf("asked %d times", n)
	}
}

// The store holds nothing that the log does not tell: without it, what was told stays told, and the rest is fetched.
func TestALostStoreMakesNothingBeFetchedAgain(t *testing.T) {
	w := newWorld(t)
	p := &provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) { return picture() }}
	stop := w.start(p)
	for i := range 20 {
		w.receive(fmt.Sprint("wamid.", i), "media")
	}
	w.told(20)
	stop()
	w.receive("wamid.new", "media")
	w.store = memkv.New()
	w.start(p)
	w.told(21)
	if n := p.asked.Load(); n != 21 {
		t.Errorf("asked %d times", n)
	}
}

// hang is a provider that gives nothing until a process ends.
func hang() (p *provider, begun <-chan struct{}) {
	began := make(chan struct{})
	return &provider{give: func(ctx context.Context, _ int64, _ channel.RemoteFile) (*channel.FetchedFile, error) {
		close(began)
		<-ctx.Done()
		return nil, ctx.Err()
	}}, began
}

// What a process was at when it stopped, another one does at once.
func TestAnInterruptedFetchIsBegunAnew(t *testing.T) {
	w := newWorld(t)
	hanging, begun := hang()
	w.claim = 24 * time.Hour
	stop := w.start(hanging)
	w.receive("wamid.1", "media-1")
	<-begun
	stop()
	p := &provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) { return picture() }}
	w.start(p)
	w.told(1)
}

// mortal is a store to which nothing comes through any more once its process is dead. It counts what is written.
type mortal struct {
	kv.Store
	dead   atomic.Bool
	writes atomic.Int64
}

func (m *mortal) Apply(ctx context.Context, ns kv.Namespace, b *kv.Batch) error {
	if m.dead.Load() {
		return errors.New("the process is dead")
	}
	m.writes.Add(1)
	return m.Store.Apply(ctx, ns, b)
}

// A process that was killed can give nothing back: its claim ends soon, because it is not renewed.
func TestWhatAKilledProcessWasAtIsBegunAnew(t *testing.T) {
	w := newWorld(t)
	w.claim = 10 * time.Millisecond
	alive, process := w.store, &mortal{Store: w.store}
	w.store = process
	hanging, begun := hang()
	w.start(hanging)
	w.receive("wamid.1", "media-1")
	<-begun
	process.dead.Store(true)
	w.store = alive
	w.start(&provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) { return picture() }})
	w.told(1)
}

func TestAClaimIsRenewedWhileAFileIsFetched(t *testing.T) {
	w := newWorld(t)
	w.claim = 10 * time.Millisecond
	store := &mortal{Store: w.store}
	w.store = store
	w.start(&provider{give: func(ctx context.Context, _ int64, _ channel.RemoteFile) (*channel.FetchedFile, error) {
		for before := store.writes.Load(); store.writes.Load() < before+10 && ctx.Err() == nil; {
			runtime.Gosched()
		}
		return picture()
	}})
	w.receive("wamid.1", "media-1")
	w.told(1)
}

func TestTwoProcessesShareTheWork(t *testing.T) {
	w := newWorld(t)
	p := &provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) { return picture() }}
	w.start(p)
	w.start(p)
	const n = 50
	for i := range n {
		w.receive(fmt.Sprint("wamid.", i), "media")
	}
	events, _ := w.told(n)
	ids := map[string]bool{}
	for _, e := range events {
		ids[e.GetId()] = true
	}
	if len(ids) != n || p.asked.Load() != n {
		t.Errorf("%d files told, asked %d times", len(ids), p.asked.Load())
	}
}

// What a connector attached itself, or names without a source, is nobody's to fetch; and a content too large for the log is looked into.
func TestOnlyWhatAProviderKeepsIsFetched(t *testing.T) {
	w := newWorld(t)
	p := &provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) { return picture() }}
	ref, err := w.host.PutBlob(t.Context(), channel.BlobInfo{Tenant: tenant, Inbox: inbox, Thread: "t"}, strings.NewReader("here"))
	must(t, err)
	s := &eventv1.Submission{
		Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Provider: "whatsapp", Inbox: inbox, Thread: "t", NativeId: "1",
		Content: &eventv1.Content{
			Attachments: []*eventv1.Attachment{{Blob: ref, Source: "x"}, {Name: "only a name"}, {Source: "media-1"}},
			Body:        &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: strings.Repeat("long ", 100_000)}},
		},
	}
	other := proto.CloneOf(s)
	other.Inbox = "elsewhere"
	_, err = w.host.Submit(t.Context(), tenant, s, other)
	must(t, err)
	w.start(p)
	_, contents := w.told(1)
	if i := contents[0].GetAttachmentStored().GetIndex(); i != 2 || p.asked.Load() != 1 {
		t.Errorf("fetched attachment %d, asked %d times", i, p.asked.Load())
	}
}

// losing is a blob store that cannot give out what it had, and says why.
type losing struct{ err error }

func (l losing) Get(context.Context, *eventv1.Blob) ([]byte, error) { return nil, l.err }

// many name more files than the beginning of a content has room for.
func many() (sources []string) {
	for i := range 100 {
		sources = append(sources, fmt.Sprintf("%02d%s", i, strings.Repeat("x", 4000)))
	}
	return sources
}

// Of a content that is gone for good, the log has the beginning: the files that it names are fetched, and what is behind it waits for nothing.
func TestAContentThatIsLostHoldsUpNothing(t *testing.T) {
	for _, lost := range []error{blob.ErrNotFound, blob.ErrDamaged} {
		t.Run(lost.Error(), func(t *testing.T) {
			w := newWorld(t)
			w.reads = losing{fmt.Errorf("%w: a key", lost)}
			p := &provider{give: func(context.Context, int64, channel.RemoteFile) (*channel.FetchedFile, error) { return picture() }}
			w.start(p)
			long := w.receive("wamid.1", many()...)
			next := w.receive("wamid.2", "media-2")
			_, contents := w.told(10)
			told := map[string]bool{}
			for _, content := range contents {
				told[content.GetAttachmentStored().GetEventId()] = true
			}
			for n := 11; !told[next]; n++ {
				_, contents = w.told(n)
				told[contents[n-1].GetAttachmentStored().GetEventId()] = true
			}
			if !told[long] {
				t.Error("nothing of the beginning is fetched")
			}
		})
	}
}

// A file that is named behind the beginning was noted while the content was whole: nobody can tell any more where it lies.
func TestAFileThatOnlyALostContentNamesIsToldAsFailed(t *testing.T) {
	w := newWorld(t)
	var behind atomic.Bool
	p := &provider{give: func(_ context.Context, _ int64, f channel.RemoteFile) (*channel.FetchedFile, error) {
		if f.Source > "50" {
			behind.Store(true)
		}
		return nil, fmt.Errorf("%w: 503", channel.ErrRetry)
	}}
	stop := w.start(p)
	long := w.receive("wamid.1", many()...)
	for end := time.Now().Add(patience); !behind.Load() && time.Now().Before(end); {
		runtime.Gosched()
	}
	stop()
	w.reads = losing{blob.ErrNotFound}
	w.start(p)
	events, contents := w.told(1)
	if failed := contents[0].GetAttachmentFailed(); events[0].GetType() != event.TypeAttachmentFailed || failed.GetEventId() != long || failed.GetCode() != "content_lost" {
		t.Errorf("%s %v", events[0].GetType(), failed)
	}
}
