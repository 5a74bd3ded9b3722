package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/chromedp/chromedp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

const (
	// pageEvents is how many events the customer has whose page is measured.
	pageEvents = 100_000
	// paints is how often the page is opened in a browser, seenEvents how many events are published while it is open, seenRate how many a second.
	paints, seenEvents, seenRate = 50, 400, 10
)

func measureConsole(ctx context.Context, b *bench) (tables []*Table, err error) {
	roles := []string{"ingest", "projector", "timeline", "customers", "conversations", "console"}
	name, err := b.withSiteOf(ctx, roles, func(log *broker, s *site) error {
		b.say("  filling the timeline of a customer with %s events ...", count(min(pageEvents, b.Events)))
		two, err := s.pair(ctx, b, min(pageEvents, b.Events)/2)
		if err != nil {
			return err
		}
		if _, err := two.client.Merge(ctx, &customerv1.MergeRequest{Into: two.ids[0], Merged: two.ids[1]}); err != nil {
			return fmt.Errorf("merge: %s", rpc.Explain(err))
		}
		d := &desk{bench: b, site: s, customer: two.ids[0]}
		for _, measure := range []func(context.Context, string) (*Table, error){d.page, d.seen} {
			t, err := measure(ctx, log.name)
			if errors.Is(err, errLeftOut) {
				b.say("  %v", err)
				continue
			}
			if err != nil {
				return err
			}
			b.say("  %s: %v", t.Title, t.Rows)
			tables = append(tables, t)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("the console on %s: %w", name, err)
	}
	return tables, nil
}

// desk is a console and the customer who is looked at.
type desk struct {
	bench    *bench
	site     *site
	customer string
}

func (d *desk) path() string { return "/console/customers/" + d.customer }

// page measures how fast the page of the customer comes.
func (d *desk) page(ctx context.Context, log string) (*Table, error) {
	t := &Table{
		Title: "Console: the page of a customer",
		Text: fmt.Sprintf(`The page of a customer with %s events, the newest %d of them on it, over HTTP until its last byte, compressed as browsers ask for it; and until
Chromium has painted it for the first time, with its styles and scripts in the browser's cache, %d times in one tab. Ceiling: the calls that
the page makes, made at once over gRPC by as many callers: CustomerService.Get, TimelineService.List and ConversationService.List. Bytes are those on the wire; of the calls,
those of their answers.`,
			count(min(pageEvents, d.bench.Events)), pageSize, paints),
		Columns: []string{"log", "callers", "what", "p50", "p99", "per second", "bytes", "p50 of ceiling"},
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 16, DisableCompression: true}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var bytes atomic.Int64
	for _, callers := range []int{1, 16} {
		ceiling, perSecond, err := d.bench.repeat(ctx, callers, func(ctx context.Context, i int) error {
			n, err := d.calls(ctx, i)
			bytes.Store(n)
			return err
		})
		if err != nil {
			return nil, err
		}
		t.row(log, fmt.Sprint(callers), "ceiling: the calls", show(ceiling.at(0.5)), show(ceiling.at(0.99)), perSecond.String(), count(int(bytes.Load())), times(1, 1))
		pages, perSecond, err := d.bench.repeat(ctx, callers, func(ctx context.Context, _ int) error {
			n, err := d.fetch(ctx, client)
			bytes.Store(n)
			return err
		})
		if err != nil {
			return nil, err
		}
		t.row(log, fmt.Sprint(callers), "**the page**", show(pages.at(0.5)), show(pages.at(0.99)), perSecond.String(), count(int(bytes.Load())), times(pages.at(0.5), ceiling.at(0.5)))
	}
	painted, err := d.painted(ctx)
	if errors.Is(err, errLeftOut) {
		d.bench.say("  %v", err)
		return t, nil
	}
	if err != nil {
		return nil, err
	}
	t.row(log, "1", "**the page, painted**", show(painted.at(0.5)), show(painted.at(0.99)), none, none, none)
	return t, nil
}

// calls makes the page's calls, and gives the bytes of their answers.
func (d *desk) calls(ctx context.Context, i int) (int64, error) {
	conn := d.site.conns[i%len(d.site.conns)]
	var bytes atomic.Int64
	g, ctx := errgroup.WithContext(ctx)
	call := func(do func() (proto.Message, error)) {
		g.Go(func() error {
			answer, err := do()
			if err != nil {
				return fmt.Errorf("ask what the page asks: %s", rpc.Explain(err))
			}
			bytes.Add(int64(proto.Size(answer)))
			return nil
		})
	}
	call(func() (proto.Message, error) {
		return customerv1.NewCustomerServiceClient(conn).Get(ctx, &customerv1.GetRequest{CustomerId: d.customer})
	})
	call(func() (proto.Message, error) {
		return timelinev1.NewTimelineServiceClient(conn).List(ctx, &timelinev1.ListRequest{CustomerId: d.customer, PageSize: pageSize})
	})
	call(func() (proto.Message, error) {
		return conversationv1.NewConversationServiceClient(conn).List(ctx, &conversationv1.ListRequest{
			Filter: &conversationv1.Filter{CustomerId: d.customer}, Order: conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY, PageSize: pageSize,
		})
	})
	err := g.Wait()
	return bytes.Load(), err
}

// fetch gets the page, and gives its bytes as they came.
func (d *desk) fetch(ctx context.Context, client *http.Client) (int64, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+d.site.http+d.path(), http.NoBody)
	if err != nil {
		return 0, err
	}
	request.Header.Set("Accept-Encoding", "gzip, deflate, br, zstd")
	answer, err := client.Do(request)
	if err != nil {
		return 0, err
	}
	defer answer.Body.Close()
	n, err := io.Copy(io.Discard, answer.Body)
	if err == nil && answer.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %s", d.path(), answer.Status)
	}
	return n, err
}

// browse runs something with a tab of a browser.
func browse(ctx context.Context, run func(tab context.Context) error) error {
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil && program == "" {
			program = path
		}
	}
	if program == "" {
		return fmt.Errorf("what a browser shows is %w: no chromium is found", errLeftOut)
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WindowSize(1400, 900))
	ctx, closeBrowser := chromedp.NewExecAllocator(ctx, options...)
	defer closeBrowser()
	tab, closeTab := chromedp.NewContext(ctx)
	defer closeTab()
	if err := chromedp.Do(tab, chromedp.Navigate("about:blank")); err != nil {
		return fmt.Errorf("start %s: %w", program, err)
	}
	return run(tab)
}

// painted are the times of the first contentful paint, from when the page was asked for.
func (d *desk) painted(ctx context.Context) (all delays, err error) {
	err = browse(ctx, func(tab context.Context) error {
		for i := range paints + 2 { // the first two fill the browser's cache, and tell the time zone
			if err := chromedp.Do(tab, chromedp.Navigate("http://"+d.site.http+d.path())); err != nil {
				return fmt.Errorf("open the page: %w", err)
			}
			ms, err := chromedp.Run(tab, chromedp.Evaluate[float64](`new Promise((told) => new PerformanceObserver((list) => {
				const paint = list.getEntriesByName("first-contentful-paint")[0];
				if (paint) told(paint.startTime);
			}).observe({ type: "paint", buffered: true }))`, chromedp.EvalAwaitPromise))
			if err != nil {
				return fmt.Errorf("wait for the first paint: %w", err)
			}
			if i >= 2 {
				all = append(all, time.Duration(ms*float64(time.Millisecond)))
			}
		}
		return nil
	})
	return all.sort(), err
}

// watchPixels notes when the browser shows a message: with the frame that follows its part of the page.
const watchPixels = `window.seen = {};
	new MutationObserver((changes) => {
		for (const change of changes) for (const part of change.addedNodes) {
			const n = part.textContent?.match(/measured message (\d+)\b/)?.[1];
			if (n !== undefined && !(n in seen)) {
				seen[n] = 0;
				requestAnimationFrame(() => { const channel = new MessageChannel(); channel.port1.onmessage = () => { seen[n] = Date.now(); }; channel.port2.postMessage(0); });
			}
		}
	}).observe(document.getElementById("timeline"), { childList: true, subtree: true }); true`

// seen measures how long it takes until a person sees what was published.
func (d *desk) seen(ctx context.Context, log string) (*Table, error) {
	t := &Table{
		Title: "Console: published to seen",
		Text: fmt.Sprintf(`%d messages of a customer with %s events, %d a second, while Chromium shows the customer's page: the time from the call of Publish until the browser has drawn the
frame with the message, to the millisecond. Beside it the acknowledgement, and the ceiling: the same message's arrival at a client of TimelineService.Watch.`,
			seenEvents, count(min(pageEvents, d.bench.Events)), seenRate),
		Columns: []string{"log", "until", "events", "p50", "p90", "p99", "max", "p50 of ceiling", "p99 of ceiling"},
	}
	var m *messages
	err := browse(ctx, func(tab context.Context) error {
		for range 2 { // the first time, the page learns the time zone
			if err := chromedp.Do(tab, chromedp.Navigate("http://"+d.site.http+d.path()), chromedp.WaitVisible("#timeline")); err != nil {
				return fmt.Errorf("open the page: %w", err)
			}
		}
		if _, err := chromedp.Run(tab, chromedp.Evaluate[bool](watchPixels)); err != nil {
			return fmt.Errorf("watch the page: %w", err)
		}
		var err error
		if m, err = d.tell(ctx); err != nil {
			return err
		}
		all := fmt.Sprintf(`Object.values(seen).filter((at) => at > 0).length === %d`, seenEvents)
		if _, err := chromedp.Run(tab, chromedp.Poll[chromedp.Void](all, chromedp.WithPollingTimeout(patience))); err != nil {
			return fmt.Errorf("wait until the page shows all: %w", err)
		}
		seen, err := chromedp.Run(tab, chromedp.Evaluate[map[string]float64](`seen`))
		if err != nil {
			return fmt.Errorf("read when the page showed what: %w", err)
		}
		return m.pixels(seen)
	})
	if err != nil {
		return nil, err
	}
	arrived := m.arrived.sort()
	row := func(until string, all delays) {
		all = all.sort()
		t.row(log, until, fmt.Sprint(len(all)), show(all.at(0.5)), show(all.at(0.9)), show(all.at(0.99)), show(all.at(1)),
			times(all.at(0.5), arrived.at(0.5)), times(all.at(0.99), arrived.at(0.99)))
	}
	row("acknowledged", m.acknowledged)
	row("ceiling: at a client of Watch", m.arrived)
	row("**on the screen**", m.shown)
	return t, nil
}

// messages are those that were published, and how long each took to get where.
type messages struct {
	mu                           sync.Mutex
	published                    map[string]time.Time // by the number of the message
	acknowledged, arrived, shown delays
}

func (m *messages) pixels(seen map[string]float64) error {
	for n, ms := range seen {
		at, ok := m.published[n]
		if !ok {
			return fmt.Errorf("the page shows the message %s, which was never published", n)
		}
		m.shown = append(m.shown, time.UnixMilli(int64(ms)).Sub(at.Round(0))) // by the wall clock, as in the browser
	}
	return nil
}

// tell publishes the messages at their pace, while a client watches.
func (d *desk) tell(ctx context.Context) (*messages, error) {
	m := &messages{published: map[string]time.Time{}}
	timeline := timelinev1.NewTimelineServiceClient(d.site.conns[1])
	now, err := timeline.List(ctx, &timelinev1.ListRequest{CustomerId: d.customer, PageSize: 1})
	if err != nil {
		return nil, fmt.Errorf("list: %s", rpc.Explain(err))
	}
	ctx, cancel := context.WithTimeout(ctx, patience+seenEvents*time.Second/seenRate)
	defer cancel()
	watch, err := timeline.Watch(ctx, &timelinev1.WatchRequest{CustomerId: d.customer, Cursor: now.GetWatchCursor()})
	if err != nil {
		return nil, fmt.Errorf("watch: %s", rpc.Explain(err))
	}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return m.watch(watch) })
	g.Go(func() error { return m.publish(gctx, d) })
	return m, g.Wait()
}

func (m *messages) watch(watch grpc.ServerStreamingClient[timelinev1.WatchResponse]) error {
	for len(m.arrived) < seenEvents {
		news, err := watch.Recv()
		if err != nil {
			return fmt.Errorf("watch: %s", rpc.Explain(err))
		}
		now, native := time.Now(), news.GetEntry().GetContent().GetNativeId()
		m.mu.Lock()
		if at, ok := m.published[native]; ok {
			m.arrived = append(m.arrived, now.Sub(at))
		}
		m.mu.Unlock()
	}
	return nil
}

func (m *messages) publish(ctx context.Context, d *desk) error {
	two := *d.bench.events
	two.endpoints = 2 * perCustomer
	ingest := ingestv1.NewIngestServiceClient(d.site.conns[0])
	ticker := time.NewTicker(time.Second / seenRate)
	defer ticker.Stop()
	for i := range seenEvents {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		native, began := strconv.Itoa(i), time.Now()
		m.mu.Lock()
		m.published[native] = began
		m.mu.Unlock()
		_, err := ingest.Publish(ctx, &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{{
			Type: event.TypeMessageReceived, Channel: eventv1.Channel_CHANNEL_WEB_CHAT, Direction: eventv1.Direction_DIRECTION_INBOUND,
			Provider: "bench", Inbox: "console", Thread: "measured", NativeId: native,
			Parties: []*eventv1.SubmittedParty{{Address: two.address(0, 0), Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER}},
			Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "measured message " + native}}},
		}}})
		if err != nil {
			return fmt.Errorf("publish: %s", rpc.Explain(err))
		}
		m.acknowledged = append(m.acknowledged, time.Since(began))
	}
	return nil
}
