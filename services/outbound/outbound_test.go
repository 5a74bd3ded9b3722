package outbound_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/kv/memkv"
	"github.com/skein-cx/skein/pkg/live"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/outbound"
)

const (
	tenant     = "acme"
	desk       = "desk"
	partitions = 3
	// patience ends a test that hangs; nothing waits for it otherwise.
	patience = time.Minute
)

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// clock can be moved on.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time { return time.Now().Add(time.Duration(c.ahead.Load())) }

func (c *clock) pass(d time.Duration) { c.ahead.Add(int64(d)) }

// world is a log, a store and a provider, in which processes come and go.
type world struct {
	t       testing.TB
	records *memlog.Store
	log     eventlog.Log
	store   kv.Store
	blobs   *blob.Store
	clock   *clock
	groups  *groups

	keyring  *event.Keyring
	compiler *event.Compiler

	hub     *live.Hub // of the server
	stopHub func()
}

// keys are the same in every world: to make them takes its time.
func keys() (*event.Keyring, *event.Compiler, error) {
	made.once.Do(func() {
		if made.keyring, made.err = event.NewKeyring(bytes.NewReader(make([]byte, 1<<10))); made.err == nil {
			made.compiler, made.err = event.NewCompiler(made.keyring)
		}
	})
	return made.keyring, made.compiler, made.err
}

var made struct {
	once     sync.Once
	keyring  *event.Keyring
	compiler *event.Compiler
	err      error
}

func newWorld(t testing.TB) *world {
	t.Helper()
	w := &world{t: t, records: memlog.New(memlog.Config{}), store: memkv.New(), clock: &clock{}, groups: &groups{committed: map[int32]int64{}}}
	w.log = w.records.Open()
	must(t, w.log.EnsureTopics(t.Context(), eventlog.Topic{Name: event.TopicInteractions, Partitions: partitions}))
	var err error
	w.keyring, w.compiler, err = keys()
	must(t, err)
	w.blobs, err = blob.Open(t.Context(), "mem://")
	must(t, err)
	t.Cleanup(func() { _ = w.blobs.Close() })
	return w
}

// host takes events in and appends them to a log.
func (w *world) host(log eventlog.Appender) *intake.Intake {
	return intake.New(intake.Config{Compiler: w.compiler, Keyring: w.keyring, Log: log, Blobs: w.blobs, Now: w.clock.now})
}

func (w *world) config(inboxes ...outbound.Inbox) outbound.Config {
	return outbound.Config{
		Log: w.log, Store: w.store, Host: w.host(w.log), Blobs: w.blobs, Inboxes: inboxes,
		FirstRetry: time.Millisecond, LastRetry: 2 * time.Millisecond, Recheck: 2 * time.Millisecond, Drain: -1, Now: w.clock.now,
	}
}

// start starts a process, and gives what ends it.
func (w *world) start(cfg outbound.Config) (s *outbound.Service, stop func()) {
	w.t.Helper()
	s, err := outbound.New(w.t.Context(), cfg)
	must(w.t, err)
	return s, w.run(s)
}

func (w *world) run(s *outbound.Service) (stop func()) {
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

// ask asks for a message, and gives the event's id.
func (w *world) ask(thread, id, text string, change ...func(*eventv1.Submission)) string {
	w.t.Helper()
	s := &eventv1.Submission{
		Type: event.TypeMessageSendRequested, Channel: eventv1.Channel_CHANNEL_SMS, Direction: eventv1.Direction_DIRECTION_OUTBOUND,
		Provider: "pager", Inbox: desk, Thread: thread, NativeId: id, CorrelationId: "case-7",
		Parties: []*eventv1.SubmittedParty{
			{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: "+4930901820"},
				Role:    eventv1.PartyRole_PARTY_ROLE_TO, Side: eventv1.Side_SIDE_CUSTOMER,
			},
			{Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_COMPANY, DisplayName: "Ada"},
		},
		Actor:   &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "ada"},
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSendRequested{MessageSendRequested: &eventv1.Message{Text: text}}},
	}
	for _, c := range change {
		c(s)
	}
	return w.submit(s)
}

func (w *world) submit(s *eventv1.Submission) string {
	w.t.Helper()
	acks, err := w.host(w.log).Submit(w.t.Context(), tenant, s)
	must(w.t, err)
	return acks[0].EventID
}

// filed is an event of the log.
type filed struct {
	*eventv1.Event
	content *eventv1.Content
}

// filed reads the log as the read model does: each id once, and nothing under one id that differs.
func (w *world) filed() []filed {
	w.t.Helper()
	var all []filed
	digests := map[string][]byte{}
	for p := range int32(partitions) {
		first, next, err := w.log.Bounds(w.t.Context(), event.TopicInteractions, p)
		must(w.t, err)
		if first == next {
			continue
		}
		reader, err := w.log.Open(w.t.Context(), event.TopicInteractions, p, first)
		must(w.t, err)
		for at := first; at < next; {
			records, err := reader.Read(w.t.Context(), 100)
			must(w.t, err)
			for _, r := range records {
				at = r.Offset + 1
				e, err := event.Decode(r.Value)
				must(w.t, err)
				if was, again := digests[e.GetId()]; again {
					if !bytes.Equal(was, e.GetDigest()) {
						w.t.Errorf("two events %s differ: %v", e.GetType(), e)
					}
					continue
				}
				digests[e.GetId()] = e.GetDigest()
				content := &eventv1.Content{}
				must(w.t, proto.Unmarshal(e.GetContent(), content))
				all = append(all, filed{e, content})
			}
		}
		must(w.t, reader.Close())
	}
	return all
}

// outcomes are the events that tell what became of a request.
func (w *world) outcomes(request string) []filed {
	w.t.Helper()
	return slices.DeleteFunc(w.filed(), func(f filed) bool { return f.GetCausationId() != request })
}

// outcome waits until a request has an outcome.
func (w *world) outcome(request string) filed {
	w.t.Helper()
	w.until("the request has an outcome", func() bool { return len(w.outcomes(request)) > 0 })
	return w.outcomes(request)[0]
}

// until waits for a condition.
func (w *world) until(what string, holds func() bool) {
	w.t.Helper()
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.After(patience); !holds(); {
		select {
		case <-look.C:
		case <-end:
			w.t.Fatalf("in vain until %s", what)
		}
	}
}

// told says in a word what an event tells.
func told(f filed) string {
	failed := f.content.GetMessageFailed()
	switch {
	case f.GetType() != event.TypeMessageFailed:
		return strings.TrimPrefix(f.GetType(), "message.")
	case failed.GetUnknown():
		return strings.TrimSpace("unknown " + failed.GetCode())
	}
	return "failed " + failed.GetCode()
}

// groups share partitions out by number, and remember what was committed.
type groups struct {
	mu        sync.Mutex
	committed map[int32]int64
	members   int
	of        int // how many members there will be; one unless set
}

func (g *groups) Join(ctx context.Context, _, _ string, own func(context.Context, eventlog.Claim)) error {
	g.mu.Lock()
	member, of := g.members, max(g.of, 1)
	g.members++
	g.mu.Unlock()
	var all sync.WaitGroup
	for p := range int32(partitions) {
		if int(p)%of == member%of {
			all.Go(func() {
				own(ctx, eventlog.Claim{Partition: p, Next: -1, Commit: func(next int64) error {
					g.mu.Lock()
					defer g.mu.Unlock()
					g.committed[p] = next
					return nil
				}})
			})
		}
	}
	all.Wait()
	return nil
}

func (g *groups) Committed(context.Context, string, string, int) (map[int32]int64, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return maps.Clone(g.committed), nil
}

// provider is a paging service: it takes {"key":…,"to":…,"text":…} by POST, answers 201 with the message's id, and otherwise does what
// the text says, as often as it says.
type provider struct {
	*httptest.Server
	keys bool // it takes each key once only

	mu      sync.Mutex
	taken   []page // in the order in which they were accepted
	calls   map[string]int
	release chan struct{} // closed to let those go on that hang
}

type page struct{ Key, To, Text string }

func newProvider(t testing.TB) *provider {
	t.Helper()
	p := &provider{calls: map[string]int{}, release: make(chan struct{})}
	p.Server = httptest.NewServer(p)
	t.Cleanup(func() {
		p.CloseClientConnections()
		p.Close()
	})
	return p
}

func (p *provider) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(r.Body)
	var m page
	if err != nil || json.Unmarshal(raw, &m) != nil {
		return // the caller was cut off
	}
	what, times, _ := strings.Cut(strings.TrimRight(m.Text, " "), "*")
	p.mu.Lock()
	p.calls[m.Text]++
	again := times != "" && p.calls[m.Text] > len(times) // "429***" does it twice
	p.mu.Unlock()
	if again {
		what = ""
	}
	switch what {
	case "400":
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"code":"21610","message":"the recipient has unsubscribed"}`)
		return
	case "429", "503":
		if what == "429" {
			w.Header().Set("Retry-After", "0")
		}
		w.WriteHeader(map[string]int{"429": http.StatusTooManyRequests, "503": http.StatusServiceUnavailable}[what])
		return
	case "500":
		w.WriteHeader(http.StatusInternalServerError)
		return
	case "cut":
		panic(http.ErrAbortHandler)
	case "hang":
		select {
		case <-p.release:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}
	id := p.accept(m)
	if what == "taken and cut" {
		panic(http.ErrAbortHandler)
	}
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"id":%q}`, id)
}

func (p *provider) accept(m page) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.IndexFunc(p.taken, func(other page) bool { return p.keys && other.Key == m.Key }); i >= 0 {
		return fmt.Sprintf("P%d", i)
	}
	p.taken = append(p.taken, m)
	return fmt.Sprintf("P%d", len(p.taken)-1)
}

func (p *provider) texts() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	texts := make([]string, 0, len(p.taken))
	for _, m := range p.taken {
		texts = append(texts, m.Text)
	}
	return texts
}

// pager is the channel's sender, as its author would write it.
type pager struct {
	url        string
	client     *http.Client
	idempotent bool
	echo       func(channel.Outgoing, string) *eventv1.Submission
}

func newPager(p *provider) *pager {
	return &pager{url: p.URL, client: httpsend.Client(&http.Transport{DisableKeepAlives: true}), idempotent: p.keys}
}

func (p *pager) Idempotent() bool { return p.idempotent }

func (p *pager) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	if len(out.To) == 0 {
		return channel.Sent{}, &channel.RefusedError{Code: "no_recipient", Reason: "there is no number to send to"}
	}
	body, err := json.Marshal(page{Key: out.RequestID, To: out.To[0].GetValue(), Text: out.Message.GetText()})
	if err != nil {
		return channel.Sent{}, &channel.RefusedError{Code: "invalid", Reason: err.Error()}
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(body))
	if err != nil {
		return channel.Sent{}, &channel.RefusedError{Code: "invalid", Reason: err.Error()}
	}
	resp, err := httpsend.Do(p.client, r)
	if err != nil {
		return channel.Sent{}, err
	}
	defer resp.Body.Close()
	var answer struct{ ID, Code, Message string }
	err = json.NewDecoder(io.LimitReader(resp.Body, 1<<16)).Decode(&answer)
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		return channel.Sent{}, httpsend.Later(resp, time.Now())
	case resp.StatusCode/100 == 4:
		return channel.Sent{}, &channel.RefusedError{Code: answer.Code, Reason: answer.Message}
	case resp.StatusCode/100 != 2 || err != nil:
		return channel.Sent{}, fmt.Errorf("%w: the provider answered %s", channel.ErrUnknown, resp.Status)
	}
	sent := channel.Sent{NativeID: answer.ID}
	if p.echo != nil {
		sent.Echo = p.echo(out, answer.ID)
	}
	return sent, nil
}

func (w *world) pager(p *provider) outbound.Inbox {
	return outbound.Inbox{Tenant: tenant, ID: desk, Sender: newPager(p)}
}

func TestAMessageGoesOutAndIsToldWithTheProvidersID(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	w.start(w.config(w.pager(p)))
	request := w.ask("t1", "r1", "你好")
	got := w.outcome(request)
	if told(got) != "sent" || got.content.GetNativeId() != "P0" || got.content.GetNativeThread() != "t1" || got.content.GetMessageSent().GetText() != "你好" {
		t.Errorf("it is told as %v %v", got.Event, got.content)
	}
	if got.GetActor().GetId() != "ada" || got.GetCorrelationId() != "case-7" || len(got.GetParties()) != 2 || got.content.GetParties()[1].GetDisplayName() != "Ada" ||
		got.GetInbox() != desk || got.GetChannel() != eventv1.Channel_CHANNEL_SMS || got.GetDirection() != eventv1.Direction_DIRECTION_OUTBOUND {
		t.Errorf("it is told as %v", got.Event)
	}
	if len(p.taken) != 1 || p.taken[0] != (page{Key: request, To: "+4930901820", Text: "你好"}) {
		t.Errorf("the provider has %v", p.taken)
	}
}

func TestWhatTheProviderAnswersDecidesWhatIsTold(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	cfg := w.config(w.pager(p))
	cfg.Timeout = 3 * time.Second // for the one that hangs
	w.start(cfg)
	for text, want := range map[string]string{
		"fine": "sent", "400": "failed 21610", "500": "unknown", "cut": "unknown", "taken and cut": "unknown", "hang": "unknown",
		"429***": "sent", "503***": "sent",
	} {
		request := w.ask("thread "+text, "r", text)
		if got := told(w.outcome(request)); got != want {
			t.Errorf("%q is told as %s, want %s", text, got, want)
		}
	}
	want := []string{"429***", "503***", "fine", "taken and cut"}
	if got := slices.Sorted(slices.Values(p.texts())); !slices.Equal(got, want) {
		t.Errorf("the provider has %q, want %q", got, want)
	}
}

func TestWhatIsUnknownIsTriedAgainWhereTheProviderTakesAKeyOnce(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	p.keys = true
	cfg := w.config(w.pager(p))
	cfg.Timeout = 100 * time.Millisecond
	w.start(cfg)
	for _, text := range []string{"500**", "cut**", "hang**"} {
		if got := told(w.outcome(w.ask(text, "r", text))); got != "sent" {
			t.Errorf("%q is told as %s", text, got)
		}
	}
	// It has the message each time, and answers at last.
	request := w.ask("t", "r", "taken and cut**")
	if got := told(w.outcome(request)); got != "sent" {
		t.Errorf("it is told as %s", got)
	}
	if n := len(p.texts()); n != 4 {
		t.Errorf("the provider has %q", p.texts())
	}
}

func TestARequestThatCannotBeSentInTimeFails(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	w.start(w.config(w.pager(p)))
	request := w.ask("t", "r", "503")
	w.until("it was tried", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.calls["503"] > 2 })
	w.clock.pass(time.Hour)
	got := w.outcome(request)
	if told(got) != "failed expired" || !strings.Contains(got.content.GetMessageFailed().GetReason(), "503 Service Unavailable") {
		t.Errorf("it is told as %v", got.content)
	}
}

// slow is a sender whose provider may take a quarter of an hour to answer.
type slow struct{ senderFunc }

func (slow) AttemptTime() time.Duration { return 15 * time.Minute }

func TestASenderThatMayTakeLongerHasItsTime(t *testing.T) {
	w := newWorld(t)
	begun, release := make(chan time.Duration, 1), make(chan struct{})
	defer close(release)
	in := outbound.Inbox{Tenant: tenant, ID: desk, Sender: slow{func(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
		if out.Message.GetText() == "slow" {
			deadline, _ := ctx.Deadline()
			begun <- time.Until(deadline)
			<-release
		}
		return channel.Sent{}, nil
	}}}
	cfg := w.config(in)
	cfg.Concurrency = 1 // so that the other process sends what comes meanwhile
	w.start(cfg)
	request := w.ask("t", "r", "slow")
	if left := <-begun; left < 14*time.Minute || left > 15*time.Minute {
		t.Errorf("an attempt has %v", left)
	}
	w.start(w.config(in))
	w.clock.pass(5 * time.Minute)
	for i := range 3 {
		w.outcome(w.ask(fmt.Sprint("other ", i), "r", "quick"))
	}
	if all := w.outcomes(request); len(all) > 0 {
		t.Errorf("while it is under way it is told as %s", told(all[0]))
	}
	w.clock.pass(11 * time.Minute)
	if got := told(w.outcome(request)); got != "unknown interrupted" {
		t.Errorf("when its time is over it is told as %s", got)
	}
}

func TestAMessageThatMayHaveBeenSentIsUnknownWhenItsTimeIsOver(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	p.keys = true
	w.start(w.config(w.pager(p)))
	request := w.ask("t", "r", "500")
	w.until("it was tried", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.calls["500"] > 2 })
	w.clock.pass(time.Hour)
	if got := told(w.outcome(request)); got != "unknown expired" {
		t.Errorf("it is told as %s", got)
	}
}

// losing is a blob store that cannot give out what it had, and says why.
type losing struct{ err error }

func (l losing) Get(context.Context, *eventv1.Blob) ([]byte, error) { return nil, l.err }

// tooLong is more than the log holds of a content.
func tooLong(text string) string { return text + strings.Repeat(" ", event.MaxContent) }

func TestARequestWhoseContentIsLostFailsAndWhatWaitsBehindItGoesOut(t *testing.T) {
	for _, lost := range []error{blob.ErrNotFound, blob.ErrDamaged} {
		t.Run(lost.Error(), func(t *testing.T) {
			w := newWorld(t)
			p := newProvider(t)
			cfg := w.config(w.pager(p))
			cfg.Blobs = losing{fmt.Errorf("%w: a key", lost)}
			w.start(cfg)
			request, next := w.ask("t", "r1", tooLong("first")), w.ask("t", "r2", "second")
			if got := w.outcome(request); told(got) != "failed content_lost" || got.content.GetMessageFailed().GetReason() == "" || len(got.GetParties()) != 2 {
				t.Errorf("it is told as %v %v", got.Event, got.content)
			}
			if got := told(w.outcome(next)); got != "sent" {
				t.Errorf("what waited is told as %s", got)
			}
			if got := p.texts(); !slices.Equal(got, []string{"second"}) {
				t.Errorf("the provider has %q", got)
			}
		})
	}
}

func TestAMessageWhoseFileIsGoneFailsAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		file  *eventv1.Attachment
		blobs error
	}{
		"not found":   {&eventv1.Attachment{Name: "a.pdf", Blob: &eventv1.Blob{Key: tenant + "/t/gone", Sha256: make([]byte, 32), Size: 1}}, blob.ErrNotFound},
		"damaged":     {&eventv1.Attachment{Name: "a.pdf", Blob: &eventv1.Blob{Key: tenant + "/t/torn", Sha256: make([]byte, 32), Size: 1}}, blob.ErrDamaged},
		"without one": {&eventv1.Attachment{Name: "a.pdf", Source: "https://example.com/a.pdf"}, errors.New("the disk does not answer")},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			cfg := w.config(outbound.Inbox{Tenant: tenant, ID: desk, Sender: senderFunc(func(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
				for _, f := range out.Attachments {
					if _, err := f.Open(ctx); err != nil {
						return channel.Sent{}, err
					}
				}
				return channel.Sent{}, nil
			})})
			cfg.Blobs = losing{c.blobs}
			w.start(cfg)
			request := w.ask("t", "r1", "here it is", func(s *eventv1.Submission) { s.Content.Attachments = []*eventv1.Attachment{c.file} })
			next := w.ask("t", "r2", "and good-bye")
			got := w.outcome(request)
			if told(got) != "failed file_gone" || !strings.Contains(got.content.GetMessageFailed().GetReason(), "a.pdf") {
				t.Errorf("it is told as %v", got.content)
			}
			if got := told(w.outcome(next)); got != "sent" {
				t.Errorf("what waited is told as %s", got)
			}
		})
	}
}

func TestAMessageThatMayHaveBeenSentIsUnknownWhenItsContentIsLost(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	p.keys = true
	_, stop := w.start(w.config(w.pager(p)))
	text := tooLong("500")
	request := w.ask("t", "r", text)
	w.until("it was tried", func() bool { p.mu.Lock(); defer p.mu.Unlock(); return p.calls[text] > 0 })
	stop()
	cfg := w.config(w.pager(p))
	cfg.Blobs = losing{blob.ErrNotFound}
	w.start(cfg)
	w.clock.pass(time.Minute + time.Second) // the attempt under way when its process ended counts as interrupted
	if got := told(w.outcome(request)); got != "unknown content_lost" {
		t.Errorf("it is told as %s", got)
	}
}

func TestAProviderThatHangsHoldsUpNobodyElse(t *testing.T) {
	w := newWorld(t)
	stuck, fine := newProvider(t), newProvider(t)
	other := outbound.Inbox{Tenant: tenant, ID: "other", Sender: newPager(fine)}
	cfg := w.config(w.pager(stuck), other)
	cfg.Concurrency = 2
	w.start(cfg)
	for i := range 20 { // in every partition, more than the inbox works on at a time
		w.ask(fmt.Sprint("stuck", i), "r", "hang")
	}
	w.until("the provider hangs", func() bool { stuck.mu.Lock(); defer stuck.mu.Unlock(); return stuck.calls["hang"] == 2 })
	for i := range 20 {
		request := w.ask(fmt.Sprint("fine", i), "r", "fine", func(s *eventv1.Submission) { s.Inbox = "other" })
		if got := told(w.outcome(request)); got != "sent" {
			t.Errorf("it is told as %s", got)
		}
	}
	if stuck.calls["hang"] != 2 {
		t.Errorf("%d calls hang", stuck.calls["hang"])
	}
}

func TestMessagesOfAThreadKeepTheirOrderThroughRetries(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	w.start(w.config(w.pager(p)))
	var last []string
	want := map[string][]string{}
	for i := range 6 {
		for _, thread := range []string{"a", "b", "c", "d"} {
			text := thread + fmt.Sprint(i)
			if i%2 == 0 {
				text = "503*" + strings.Repeat("*", i) + thread // how often it fails, and whose it is
			}
			want[thread] = append(want[thread], text)
			request := w.ask(thread, fmt.Sprint(i), text)
			if i == 5 {
				last = append(last, request)
			}
		}
	}
	for _, request := range last {
		w.outcome(request)
	}
	got := map[string][]string{}
	for _, text := range p.texts() {
		thread := text[:1]
		if strings.HasPrefix(text, "503") {
			thread = text[len(text)-1:]
		}
		got[thread] = append(got[thread], text)
	}
	for thread := range want {
		if !slices.Equal(got[thread], want[thread]) {
			t.Errorf("thread %s: the provider has %q, want %q", thread, got[thread], want[thread])
		}
	}
}

func TestOnlyRequestsOfConfiguredInboxesAreLookedAt(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	w.start(w.config(w.pager(p), outbound.Inbox{Tenant: tenant, ID: "silent"}))
	foreign := w.ask("t", "r1", "fine", func(s *eventv1.Submission) { s.Inbox = "elsewhere" })
	imported := w.ask("t", "r2", "fine", func(s *eventv1.Submission) { s.Backfill = true })
	silent := w.ask("t", "r3", "fine", func(s *eventv1.Submission) { s.Inbox = "silent" })
	nobody := w.ask("t", "r4", "fine", func(s *eventv1.Submission) { s.Parties = nil })
	if got := told(w.outcome(silent)); got != "failed cannot_send" {
		t.Errorf("the inbox that cannot send: %s", got)
	}
	if got := told(w.outcome(nobody)); got != "failed no_recipient" {
		t.Errorf("the request to nobody: %s", got)
	}
	if n := len(w.outcomes(foreign)) + len(w.outcomes(imported)) + len(p.texts()); n != 0 {
		t.Errorf("%d of the others were sent or told", n)
	}
}

func TestTheSameRequestComesTwiceAndIsSentOnce(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	w.start(w.config(w.pager(p)))
	request := w.ask("t", "r", "once")
	w.outcome(request)
	w.ask("t", "r", "once")
	w.outcome(w.ask("t", "r2", "last"))
	if got := p.texts(); !slices.Equal(got, []string{"once", "last"}) {
		t.Errorf("the provider has %q", got)
	}
}

func TestASenderThatPanicsLeavesTheMessageUnknown(t *testing.T) {
	w := newWorld(t)
	w.start(w.config(outbound.Inbox{Tenant: tenant, ID: desk, Sender: panicking{}}))
	if got := told(w.outcome(w.ask("t", "r", "x"))); got != "unknown" {
		t.Errorf("it is told as %s", got)
	}
}

type panicking struct{}

func (panicking) Send(context.Context, channel.Outgoing) (channel.Sent, error) { panic("no") }

func (panicking) Idempotent() bool { return false }

func TestAttachmentsAndLongMessagesAreReadFromTheBlobs(t *testing.T) {
	w := newWorld(t)
	got := make(chan string, 1)
	w.start(w.config(outbound.Inbox{Tenant: tenant, ID: desk, Sender: senderFunc(func(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
		r, err := out.Attachments[0].Open(ctx)
		if err != nil {
			return channel.Sent{}, err
		}
		defer r.Close()
		data, err := io.ReadAll(r)
		got <- fmt.Sprint(out.Attachments[0].GetName(), " ", string(data), " ", len(out.Message.GetText()))
		return channel.Sent{}, err
	})}))
	ref, err := w.host(w.log).PutBlob(t.Context(), channel.BlobInfo{Tenant: tenant, Inbox: desk, Thread: "t"}, strings.NewReader("offer"))
	must(t, err)
	request := w.ask("t", "r", strings.Repeat("x", 300<<10), func(s *eventv1.Submission) {
		s.Content.Attachments = []*eventv1.Attachment{{Blob: ref, Name: "a.txt"}}
	})
	if f := w.outcome(request); told(f) != "sent" || f.content.GetNativeId() != request || len(f.content.GetAttachments()) != 1 {
		t.Errorf("it is told as %v", f.Event)
	}
	if text := <-got; text != "a.txt offer 307200" {
		t.Errorf("the sender got %s", text)
	}
}

type senderFunc func(context.Context, channel.Outgoing) (channel.Sent, error)

func (f senderFunc) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	return f(ctx, out)
}

func (senderFunc) Idempotent() bool { return false }

// The provider's echo: message.sent as the channel makes it of what the provider tells, which knows nothing of requests.
func echoOf(out channel.Outgoing, id string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageSent, Channel: eventv1.Channel_CHANNEL_SMS, Direction: eventv1.Direction_DIRECTION_OUTBOUND, Provider: "pager",
		Inbox: out.Inbox, Thread: out.Thread, NativeId: id,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: out.Message.GetText()}}},
	}
}

func TestTheProvidersEchoIsTheSameEventWheneverItComes(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	in := w.pager(p)
	sender := newPager(p)
	sender.echo = func(out channel.Outgoing, id string) *eventv1.Submission {
		if out.Message.GetText() == "echo first" {
			w.submit(echoOf(out, id))
		}
		return echoOf(out, id)
	}
	in.Sender = sender
	_, stop := w.start(w.config(in))
	for i, text := range []string{"echo first", "echo last"} {
		request := w.ask("t", text, text)
		if got := told(w.outcome(request)); got != "ext.skein.sent" {
			t.Errorf("it is told as %s", got)
		}
		w.submit(echoOf(channel.Outgoing{Inbox: desk, Thread: "t", Message: &eventv1.Message{Text: text}}, fmt.Sprint("P", i)))
	}
	sent := slices.DeleteFunc(w.filed(), func(f filed) bool { return f.GetType() != event.TypeMessageSent })
	if len(sent) != 2 {
		t.Errorf("%d messages are told as sent", len(sent))
	}
	// Even where the store is lost, the log tells that they were sent.
	stop()
	w.store = memkv.New()
	w.start(w.config(in))
	w.outcome(w.ask("t", "r9", "more"))
	if got := p.texts(); len(got) != 3 || len(w.filed()) != 3+3+3 {
		t.Errorf("the provider has %q, the log %d events", got, len(w.filed()))
	}
}

// receipt is what a provider tells later of its message P0, of the thread t, which it knows by the request that it was sent for.
func (w *world) receipt(request, typ string) {
	w.t.Helper()
	s := &eventv1.Submission{
		Type: typ, Channel: eventv1.Channel_CHANNEL_SMS, Direction: eventv1.Direction_DIRECTION_OUTBOUND, Provider: "pager",
		Inbox: desk, Thread: "t", NativeId: "P0" + typ, CausationId: request,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: "P0"}}},
	}
	if typ == event.TypeMessageRead {
		s.Content.Body = &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: "P0"}}
	}
	w.submit(s)
}

// fates are what is told of a request, in the order in which it is.
func (w *world) fates(request string) string {
	w.t.Helper()
	var list []string
	for _, f := range w.outcomes(request) {
		list = append(list, told(f))
	}
	return strings.Join(list, ", ")
}

// The provider's answer was lost. What arrives was sent, and is told so in full.
func TestAReceiptTellsThatWhatWasUnknownWasSent(t *testing.T) {
	for _, typ := range []string{event.TypeMessageDelivered, event.TypeMessageRead} {
		t.Run(typ, func(t *testing.T) {
			w := newWorld(t)
			p := newProvider(t)
			s, _ := w.start(w.config(w.pager(p)))
			service := w.serve(s)
			request := w.ask("t", "r", "taken and cut")
			if got := told(w.outcome(request)); got != "unknown" {
				t.Fatalf("it is told as %s", got)
			}
			w.receipt(request, typ)
			want := "unknown, " + strings.TrimPrefix(typ, "message.") + ", sent"
			w.until("it is told as sent", func() bool { return w.fates(request) == want })
			if sent := w.outcomes(request)[2]; sent.content.GetNativeId() != "P0" || sent.content.GetMessageSent().GetText() != "taken and cut" {
				t.Errorf("it is told as %v", sent.content)
			}
			w.until("nothing is listed as unknown", func() bool {
				list, err := service.ListRequests(t.Context(), &channelv1.ListRequestsRequest{})
				must(t, err)
				return len(list.GetRequests()) == 0
			})
		})
	}
}

// A receipt may be quicker than the answer, and than the end of the time that the answer had.
func TestAReceiptThatComesBeforeTheAnswerMakesNothingUnknown(t *testing.T) {
	for name, answer := range map[string]error{"the answer comes": nil, "the answer is lost": channel.ErrUnknown} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			in := outbound.Inbox{Tenant: tenant, ID: desk, Sender: senderFunc(func(_ context.Context, out channel.Outgoing) (channel.Sent, error) {
				if out.Message.GetText() != "quick" {
					return channel.Sent{}, nil
				}
				w.receipt(out.RequestID, event.TypeMessageDelivered)
				w.until("it is told as sent", func() bool { return w.fates(out.RequestID) == "delivered, sent" })
				return channel.Sent{NativeID: "P0"}, answer
			})}
			w.start(w.config(in))
			request := w.ask("t", "r", "quick")
			w.outcome(w.ask("t", "r2", "the next one"))
			if got := w.fates(request); got != "delivered, sent" { // filed checks that the same id tells the same
				t.Errorf("it is told as %s", got)
			}
		})
	}
}

func TestAReceiptOfWhatIsToldAsSentTellsNothingMore(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	w.start(w.config(w.pager(p)))
	request := w.ask("t", "r", "fine")
	w.outcome(request)
	w.receipt(request, event.TypeMessageDelivered)
	w.receipt(request, event.TypeMessageRead)
	w.outcome(w.ask("t", "r2", "the next one")) // behind them in the log
	if got := w.fates(request); got != "sent, delivered, read" {
		t.Errorf("it is told as %s", got)
	}
}

func TestAnEchoThatIsNoEventIsToldAllTheSame(t *testing.T) {
	w := newWorld(t)
	p := newProvider(t)
	sender := newPager(p)
	sender.echo = func(out channel.Outgoing, _ string) *eventv1.Submission { return echoOf(out, "") }
	in := w.pager(p)
	in.Sender = sender
	w.start(w.config(in))
	if got := w.outcome(w.ask("t", "r", "fine")); told(got) != "sent" || got.content.GetNativeId() != "P0" {
		t.Errorf("it is told as %v", got.Event)
	}
}

// senderGate holds a sender up before it sends.
type senderGate struct {
	channel.Sender
	entered, proceed chan struct{}
}

func (g senderGate) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	close(g.entered)
	<-g.proceed
	return g.Sender.Send(ctx, out)
}
