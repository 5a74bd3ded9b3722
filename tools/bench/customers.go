package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/rpc"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/conversation"
	"github.com/skein-cx/skein/services/customer"
	"github.com/skein-cx/skein/services/timeline"
	"github.com/skein-cx/skein/tools/watchload"
)

const (
	// mergedEvents is how many events each of two customers has who are merged, mergeTurns how often they are.
	mergedEvents = 100_000
	mergeTurns   = 10
	// openInteractions is how many interactions wait for an agent, linkedMembers how many of them make one of so many conversations.
	openInteractions    = 10_000
	linkedConversations = 100
	linkedMembers       = 4
	// watchShare is how much of the other watches' events the watches of customers see.
	watchShare = 0.2
)

func measureCustomers(ctx context.Context, b *bench) ([]*Table, error) {
	var tables []*Table
	for _, measure := range []func(context.Context, *bench) (*Table, error){
		measureCustomerReads, measureMerges, measureCustomerWatches, measureWork, measureModels, measureRoles,
	} {
		t, err := measure(ctx, b)
		if err != nil {
			return nil, err
		}
		b.say("  %s: %v", t.Title, t.Rows)
		tables = append(tables, t)
	}
	return tables, nil
}

func measureCustomerReads(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Customers: the last 50 of one",
		Text: fmt.Sprintf(`TimelineService.List of the newest %d events in a store of %s events whose endpoints are linked, %d to a customer, one random customer
a call: by the customer's id, by the address of one of its endpoints, and by the %[3]d addresses as they are. What the first two add is the look at the
links. Ceiling: the scans and the empty call of the job above.`, pageSize, count(b.Events), perCustomer),
		Columns: []string{"callers", "read by", "p50", "p99", "per second", "p50 of addresses", "p50 of ceiling", "p99 of ceiling"},
	}
	err := b.withTimeline(ctx, b.Events, func(l eventlog.Log, store kv.Store, _ func() (int64, error)) error {
		if err := b.linkAll(ctx, l); err != nil {
			return err
		}
		if err := foldSlice(ctx, l, store, linkedCustomers(), 1); err != nil {
			return err
		}
		links := timeline.Links{Customers: customer.NewCustomers(store, partitions, nil, nil, nil)}
		return b.withReader(ctx, store, links, func(r *reader) error {
			if err := r.check(ctx); err != nil {
				return err
			}
			for _, callers := range []int{1, 16} {
				if err := b.customerRows(ctx, t, r, callers); err != nil {
					return err
				}
			}
			return nil
		})
	})
	return t, err
}

// linkAll links the endpoints of each customer to the first of them.
func (b *bench) linkAll(ctx context.Context, l eventlog.Log) error {
	if err := l.EnsureTopics(ctx, eventlog.Topic{Name: event.TopicLinks, Partitions: partitions}); err != nil {
		return err
	}
	var messages []eventlog.Message
	for customer := range b.events.customers() {
		ids, err := b.events.endpointIDs(customer)
		if err != nil {
			return err
		}
		for _, id := range ids[1:] {
			m, err := b.events.link(len(messages), id, event.CustomerOf(ids[0]))
			if err != nil {
				return err
			}
			messages = append(messages, m)
		}
	}
	_, err := eventlog.AppendAll(ctx, l, messages)
	return err
}

func (b *bench) customerRows(ctx context.Context, t *Table, r *reader, callers int) error {
	var ceiling, plain delays
	for i, by := range []struct {
		name string
		read func(ctx context.Context, i int) error
	}{
		{"ceiling: scans and an empty call", r.least},
		{fmt.Sprintf("%d addresses", perCustomer), r.list},
		{"**customer_id**", r.listCustomer},
		{"**customer_address**", r.listCustomerOf},
	} {
		d, perSecond, err := b.repeat(ctx, callers, by.read)
		if err != nil {
			return err
		}
		ofPlain := none
		switch i {
		case 0:
			ceiling = d
		case 1:
			plain = d
		}
		if i > 0 {
			ofPlain = times(d.at(0.5), plain.at(0.5))
		}
		t.row(fmt.Sprint(callers), by.name, show(d.at(0.5)), show(d.at(0.99)), perSecond.String(), ofPlain,
			times(d.at(0.5), ceiling.at(0.5)), times(d.at(0.99), ceiling.at(0.99)))
	}
	return nil
}

// check sees that all ways to read a customer give the same.
func (r *reader) check(ctx context.Context) error {
	var want []string
	for _, request := range []*timelinev1.ListRequest{r.request(0), r.byCustomer(0), r.byAddress(0)} {
		answer, err := timelinev1.NewTimelineServiceClient(r.conns[0]).List(ctx, request)
		if err != nil {
			return fmt.Errorf("list: %s", rpc.Explain(err))
		}
		var ids []string
		for _, e := range answer.GetEntries() {
			ids = append(ids, e.GetEvent().GetId())
		}
		if want == nil {
			want = ids
		}
		if len(ids) == 0 || !slices.Equal(ids, want) {
			return fmt.Errorf("%v gives %d other events than the addresses of the same customer", request, len(ids))
		}
	}
	return nil
}

func (r *reader) byCustomer(i int) *timelinev1.ListRequest {
	return &timelinev1.ListRequest{PageSize: pageSize, CustomerId: event.CustomerOf(r.endpoints[r.customer(i)][0]).String()}
}

func (r *reader) byAddress(i int) *timelinev1.ListRequest {
	return &timelinev1.ListRequest{PageSize: pageSize, CustomerAddress: r.bench.events.address(r.customer(i), i%perCustomer)}
}

func (r *reader) listCustomer(ctx context.Context, i int) error {
	return r.ask(ctx, i, r.byCustomer(i))
}

func (r *reader) listCustomerOf(ctx context.Context, i int) error {
	return r.ask(ctx, i, r.byAddress(i))
}

// site is a server with several roles, and connections to it.
type site struct {
	*server
	conns []*grpc.ClientConn
}

// withSite runs something with an empty site.
func (b *bench) withSite(ctx context.Context, run func(log *broker, s *site) error) (name string, err error) {
	return b.withSiteOf(ctx, []string{"ingest", "projector", "timeline", "customers", "conversations"}, run)
}

// withSiteOf runs something with an empty site that has some roles.
func (b *bench) withSiteOf(ctx context.Context, roles []string, run func(log *broker, s *site) error) (name string, err error) {
	return b.onMain(ctx, func(log *broker) error {
		s, err := b.startSkein(ctx, log, roles...)
		if err != nil {
			return err
		}
		conns, hangUp, err := dial(s.grpc)
		if err == nil {
			err = run(log, &site{s, conns})
			hangUp()
		}
		return errors.Join(err, s.close(ctx))
	})
}

// publish hands events in, those that a function gives, and gives the last position of each partition.
func (s *site) publish(ctx context.Context, n int, submission func(i int) *eventv1.Submission) ([]*eventv1.Position, error) {
	last := make([]*eventv1.Position, partitions)
	for from := 0; from < n; from += perCall {
		req := &ingestv1.PublishRequest{}
		for i := from; i < min(from+perCall, n); i++ {
			req.Submissions = append(req.Submissions, submission(i))
		}
		answer, err := ingestv1.NewIngestServiceClient(s.conns[0]).Publish(ctx, req)
		if err != nil {
			return nil, fmt.Errorf("publish: %s", rpc.Explain(err))
		}
		for _, a := range answer.GetAcknowledgements() {
			last[a.GetPosition().GetPartition()] = a.GetPosition()
		}
	}
	return slices.DeleteFunc(last, func(p *eventv1.Position) bool { return p == nil }), nil
}

func measureMerges(ctx context.Context, b *bench) (*Table, error) {
	events := min(mergedEvents, b.Events/2)
	t := &Table{
		Title: "Customers: two become one, and two again",
		Text: fmt.Sprintf(`Two customers of %d endpoints and %s events each are merged, and the merge is undone, %d times: the time of the call, and the time from its
begin until a List by the customer's id that follows the answer shows what it ought to: both, or the one. Nothing is copied, so that it does
not depend on how much there is.`, perCustomer, count(events), mergeTurns),
		Columns: []string{"log", "call", "events of the two", "answered p50", "max", "shown p50", "max", "lists until shown"},
	}
	name, err := b.withSite(ctx, func(log *broker, s *site) error {
		pair, err := s.pair(ctx, b, events)
		if err != nil {
			return err
		}
		var merges, undos turnsOfChange
		for range mergeTurns {
			merged, err := merges.measure(ctx, pair, true, func() (*customerv1.ChangeResponse, error) {
				return pair.client.Merge(ctx, &customerv1.MergeRequest{Into: pair.ids[0], Merged: pair.ids[1]})
			})
			if err != nil {
				return err
			}
			_, err = undos.measure(ctx, pair, false, func() (*customerv1.ChangeResponse, error) {
				return pair.client.Undo(ctx, &customerv1.UndoRequest{EventId: merged.GetEventId()})
			})
			if err != nil {
				return err
			}
		}
		merges.row(t, log.name, "**Merge**", 2*events)
		undos.row(t, log.name, "**Undo**", 2*events)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("merge on %s: %w", name, err)
	}
	return t, nil
}

// pair is two customers of a site.
type pair struct {
	client   customerv1.CustomerServiceClient
	timeline timelinev1.TimelineServiceClient
	ids      [2]string
	// second are the endpoints of the second one.
	second map[string]bool
}

// pair makes two customers of several endpoints, with so many events each.
func (s *site) pair(ctx context.Context, b *bench, each int) (*pair, error) {
	two := *b.events
	two.endpoints = 2 * perCustomer
	positions, err := s.publish(ctx, 2*each, two.submission)
	if err != nil {
		return nil, err
	}
	p := &pair{client: customerv1.NewCustomerServiceClient(s.conns[1]), timeline: timelinev1.NewTimelineServiceClient(s.conns[2]), second: map[string]bool{}}
	for c := range p.ids {
		for kind := range perCustomer {
			resolved, err := p.client.Resolve(ctx, &customerv1.ResolveRequest{Addresses: []*eventv1.Address{two.address(c, kind)}})
			if err != nil {
				return nil, fmt.Errorf("resolve: %s", rpc.Explain(err))
			}
			found := resolved.GetCustomers()[0]
			if c == 1 {
				p.second[found.GetEndpoints()[0].GetId()] = true
			}
			if kind == 0 {
				p.ids[c] = found.GetId()
				continue
			}
			_, err = p.client.Link(ctx, &customerv1.LinkRequest{
				Endpoint:   &customerv1.Target{Address: two.address(c, kind)},
				CustomerId: p.ids[c],
			})
			if err != nil {
				return nil, fmt.Errorf("link: %s", rpc.Explain(err))
			}
		}
	}
	_, err = p.timeline.List(ctx, &timelinev1.ListRequest{CustomerId: p.ids[0], MinPositions: positions})
	if err != nil {
		return nil, fmt.Errorf("list: %s", rpc.Explain(err))
	}
	return p, nil
}

// shows tells whether the first customer's timeline shows the second one's events.
func (p *pair) shows(ctx context.Context) (bool, error) {
	answer, err := p.timeline.List(ctx, &timelinev1.ListRequest{CustomerId: p.ids[0], PageSize: pageSize})
	if err != nil {
		return false, fmt.Errorf("list: %s", rpc.Explain(err))
	}
	if len(answer.GetEntries()) != pageSize {
		return false, fmt.Errorf("a page of %d events", len(answer.GetEntries()))
	}
	for _, e := range answer.GetEntries() {
		for _, party := range e.GetEvent().GetParties() {
			if p.second[party.GetEndpointId()] {
				return true, nil
			}
		}
	}
	return false, nil
}

// turnsOfChange are the delays of one kind of change.
type turnsOfChange struct {
	answered, shown delays
	lists           int // at most
}

// measure makes a change, and waits until the first customer's timeline shows the second one's events, or does not.
func (c *turnsOfChange) measure(ctx context.Context, p *pair, both bool, change func() (*customerv1.ChangeResponse, error)) (*customerv1.ChangeResponse, error) {
	began := time.Now()
	answer, err := change()
	if err != nil {
		return nil, fmt.Errorf("change: %s", rpc.Explain(err))
	}
	c.answered = append(c.answered, time.Since(began))
	for lists := 1; ; lists++ {
		seen, err := p.shows(ctx)
		if err != nil {
			return nil, err
		}
		if seen == both {
			c.shown, c.lists = append(c.shown, time.Since(began)), max(c.lists, lists)
			return answer, nil
		}
		if time.Since(began) > patience {
			return nil, errors.New("a change does not show in time")
		}
	}
}

func (c *turnsOfChange) row(t *Table, log, call string, events int) {
	answered, shown := c.answered.sort(), c.shown.sort()
	t.row(log, call, count(events), show(answered.at(0.5)), show(answered.at(1)), show(shown.at(0.5)), show(shown.at(1)), fmt.Sprint(c.lists))
}

func measureCustomerWatches(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Customers: acknowledged to delivered",
		Text: fmt.Sprintf(`%s watches on one process, which also takes the events in and folds them, once by address and once by the id of the customer behind it, at a
moderate pace; the time from an event's acknowledgement to its delivery.`, count(b.Watchers)),
		Columns: []string{"log", "watched by", "pace", "events", "p50", "p90", "p99", "max", "missing", "doubled"},
	}
	name, err := b.withSite(ctx, func(log *broker, s *site) error {
		for _, by := range []struct {
			name      string
			customers bool
		}{{"address", false}, {"**customer_id**", true}} {
			r, err := watchload.Run(ctx, watchload.Config{
				Addr: s.grpc, Watchers: b.Watchers, Rate: int(watchShare * float64(b.WatchRate)), For: b.Each, Customers: by.customers,
			})
			if err != nil {
				return err
			}
			t.row(log.name, by.name, rateOf(r.Sent, r.Took).String(), count(r.Acknowledged),
				show(r.Delay(0.5)), show(r.Delay(0.9)), show(r.Delay(0.99)), show(r.Delay(1)), fmt.Sprint(r.Missing), fmt.Sprint(r.Doubled))
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("watch on %s: %w", name, err)
	}
	return t, nil
}

func measureWork(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Conversations: a list of work, and one of it",
		Text: fmt.Sprintf(`ConversationService.List of %d out of %s open interactions, which wait for an agent, and Get of a conversation of %d interactions, one of %d.
Ceiling: an empty call of the same server.`, pageSize, count(openInteractions), linkedMembers, linkedConversations),
		Columns: []string{"callers", "call", "p50", "p99", "per second", "p50 of ceiling"},
	}
	name, err := b.withSite(ctx, func(_ *broker, s *site) error {
		w, err := s.work(ctx, b)
		if err != nil {
			return err
		}
		for _, callers := range []int{1, 16} {
			var ceiling delays
			for i, call := range []struct {
				name string
				do   func(ctx context.Context, i int) error
			}{
				{"ceiling: an empty call", w.empty},
				{"**List, what is due first**", w.lister(conversationv1.WorkOrder_WORK_ORDER_DUE)},
				{"**List, what was active last**", w.lister(conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY)},
				{"**Get**", w.get},
			} {
				d, perSecond, err := b.repeat(ctx, callers, call.do)
				if err != nil {
					return err
				}
				if i == 0 {
					ceiling = d
				}
				t.row(fmt.Sprint(callers), call.name, show(d.at(0.5)), show(d.at(0.99)), perSecond.String(), times(d.at(0.5), ceiling.at(0.5)))
			}
		}
		p, err := s.profiledWhile(ctx, b, func(ctx context.Context) error {
			_, _, err := b.repeat(ctx, 4, w.lister(conversationv1.WorkOrder_WORK_ORDER_DUE))
			return err
		})
		if err == nil {
			t.profile("the server under List by 4 callers", p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("conversations on %s: %w", name, err)
	}
	return t, nil
}

// profiledWhile samples where the server spends its time while something runs.
func (s *server) profiledWhile(ctx context.Context, b *bench, run func(context.Context) error) (p *breakdown, err error) {
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return run(gctx) })
	g.Go(func() error {
		p, err = s.profile(gctx, b.Each)
		return err
	})
	return p, g.Wait()
}

// work is what waits on a site.
type work struct {
	conns []*grpc.ClientConn
	// linked are ids of conversations that have several interactions.
	linked []string
}

// work opens interactions, and links some of them.
func (s *site) work(ctx context.Context, b *bench) (*work, error) {
	positions, err := s.publish(ctx, openInteractions, func(i int) *eventv1.Submission {
		return b.events.submission(i/open*open*perThread + i%open) // the first of each thread
	})
	if err != nil {
		return nil, err
	}
	w := &work{conns: s.conns}
	client := conversationv1.NewConversationServiceClient(s.conns[0])
	list := &conversationv1.ListRequest{PageSize: linkedMembers, MinPositions: positions}
	for range linkedConversations {
		page, err := client.List(ctx, list)
		if err != nil {
			return nil, fmt.Errorf("list: %s", rpc.Explain(err))
		}
		link := &conversationv1.LinkRequest{RequestId: "bench-" + fmt.Sprint(len(w.linked))}
		for _, one := range page.GetWork() {
			link.Members = append(link.Members, one.GetInteraction().GetId())
		}
		linked, err := client.Link(ctx, link)
		if err != nil {
			return nil, fmt.Errorf("link: %s", rpc.Explain(err))
		}
		w.linked = append(w.linked, linked.GetConversation().GetId())
		list.PageToken = page.GetNextPageToken()
	}
	return w, nil
}

func (w *work) conn(i int) *grpc.ClientConn { return w.conns[i%len(w.conns)] }

func (w *work) empty(ctx context.Context, i int) error {
	_, err := healthv1.NewHealthClient(w.conn(i)).Check(ctx, &healthv1.HealthCheckRequest{})
	return err
}

func (w *work) lister(order conversationv1.WorkOrder) func(ctx context.Context, i int) error {
	return func(ctx context.Context, i int) error {
		page, err := conversationv1.NewConversationServiceClient(w.conn(i)).List(ctx, &conversationv1.ListRequest{PageSize: pageSize, Order: order})
		if err != nil {
			return fmt.Errorf("list: %s", rpc.Explain(err))
		}
		if len(page.GetWork()) != pageSize {
			return fmt.Errorf("a page of %d interactions", len(page.GetWork()))
		}
		return nil
	}
}

func (w *work) get(ctx context.Context, i int) error {
	id := w.linked[i%len(w.linked)]
	answer, err := conversationv1.NewConversationServiceClient(w.conn(i)).Get(ctx, &conversationv1.GetRequest{ConversationId: id})
	if err != nil {
		return fmt.Errorf("get: %s", rpc.Explain(err))
	}
	if n := len(answer.GetConversation().GetInteractions()); n != linkedMembers {
		return fmt.Errorf("a conversation of %d interactions", n)
	}
	return nil
}

func measureModels(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Interactions: their fold beside the timeline's",
		Text: fmt.Sprintf(`How fast a log of %s events becomes each read model of it, alone in a store as in the job that measures the fold, and how fast it becomes both at
once in one store, as in a process that projects. The contenders take turns (%d each, the median counts).`, count(b.Events), b.Turns),
		Columns: []string{"log", "read model", "events", "of the timeline's", "allocations per event", "store bytes per event"},
	}
	name, err := b.onMain(ctx, func(log *broker) error {
		if err := b.fillNew(ctx, log, b.Events); err != nil {
			return err
		}
		contenders := []struct {
			name   string
			models []slice
		}{
			{"timeline", []slice{timelines()}},
			{"**interactions**", []slice{b.interactions()}},
			{"**both at once**", []slice{timelines(), b.interactions()}},
		}
		rates, last := make([][]rate, len(contenders)), make([]folded, len(contenders))
		for turn := range b.Turns {
			for i, c := range contenders {
				f, err := b.fold(ctx, log, onPebble(), c.models...)
				if err != nil {
					return fmt.Errorf("%s: %w", c.name, err)
				}
				r := rateOf(f.events, f.took)
				b.say("  turn %d: %s: %s", turn+1, c.name, r)
				rates[i], last[i] = append(rates[i], r), f
			}
		}
		for i, c := range contenders {
			t.row(log.name, c.name, median(rates[i]).String(), median(rates[i]).of(median(rates[0])),
				last[i].perEvent(float64(last[i].allocations)), last[i].perEvent(float64(last[i].disk)))
		}
		p, err := profiled(func() error {
			_, err := b.fold(ctx, log, onPebble(), b.interactions())
			return err
		})
		if err == nil {
			t.profile("the fold of interactions", p)
		}
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("fold on %s: %w", name, err)
	}
	return t, nil
}

// interactions is the read model of interactions.
func (b *bench) interactions() slice {
	return slice{conversation.Slice, foldTopic, conversation.NewFold(partitions, b.events.keyring)}
}

// linkedCustomers is the read model of customers.
func linkedCustomers() slice {
	return slice{customer.Slice, event.TopicLinks, customer.NewFold(partitions)}
}
