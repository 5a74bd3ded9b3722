package conversation

import (
	"bytes"
	"cmp"
	"container/heap"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	"github.com/skein-cx/skein/pkg/scope"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

const (
	defaultPageSize = 50
	// MaxSettled is how many settled interactions a list looks at, the latest of them.
	MaxSettled = 50_000
)

// filter is a Filter that was checked.
type filter struct {
	*conversationv1.Filter
	c        *Conversations
	tenant   string
	customer string // present id
}

// filter checks one. A customer is asked for by any id.
func (c *Conversations) filter(ctx context.Context, tenant string, f *conversationv1.Filter) (*filter, error) {
	for n, s := range f.GetStatuses() {
		if s == conversationv1.WorkStatus_WORK_STATUS_UNSPECIFIED {
			return nil, rpc.InvalidField(fmt.Sprintf("filter.statuses[%d]", n), errors.New("is not stated"))
		}
	}
	out := &filter{Filter: f, c: c, tenant: tenant}
	if text := f.GetCustomerId(); text != "" {
		id, err := event.ParseID(text)
		if err != nil {
			return nil, rpc.InvalidField("filter.customer_id", err)
		}
		id = event.CustomerOf(id)
		if c.cfg.CustomerScopes != nil {
			switch s, err := c.cfg.CustomerScopes.Scope(ctx, tenant, id, scope.At{}); {
			case err == nil:
				id = s.ID
			case !errors.Is(err, scope.ErrUnknown):
				return nil, fmt.Errorf("conversation: find a customer: %w", err)
			}
		}
		out.customer = id.String()
	}
	return out, nil
}

// customerOf tells whose an interaction is, and whether that matches.
func (f *filter) customerOf(ctx context.Context, b *story.Brief) (customer string, ok bool, err error) {
	if !b.Customer.IsZero() {
		if customer, err = f.c.owner(ctx, f.tenant, b.Customer, b.Started); err != nil {
			return "", false, err
		}
	}
	return customer, f.customer == "" || f.customer == customer, nil
}

// fits tells whether everything but the customer matches. A customer is looked up only where the rest fits.
func (f *filter) fits(b *story.Brief) bool {
	status := conversationv1.WorkStatus(b.Status) // the same numbers
	if statuses := f.GetStatuses(); len(statuses) > 0 && !slices.Contains(statuses, status) || len(statuses) == 0 && isSettled(status) {
		return false
	}
	if f.GetUnassigned() && b.Agent != "" || f.GetBreached() && !b.Missed {
		return false
	}
	if t := f.GetDueBefore(); t != nil && !b.Missed && due(b) >= nanosOf(t.AsTime()) {
		return false
	}
	if t := f.GetStartedBefore(); t != nil && b.Started >= nanosOf(t.AsTime()) {
		return false
	}
	return anyOf(f.GetQueues(), b.Queue) && anyOf(f.GetAgents(), b.Agent) && anyOf(f.GetInboxes(), b.Inbox) && anyOf(f.GetChannels(), b.Channel) &&
		(len(f.GetTags()) == 0 || slices.ContainsFunc(f.GetTags(), func(tag string) bool { return slices.Contains(b.Tags, tag) }))
}

func anyOf[T comparable](wanted []T, got T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, got)
}

// wantsSettled and wantsWork tell which rows may match.
func (f *filter) wantsSettled() bool { return slices.ContainsFunc(f.GetStatuses(), isSettled) }

func (f *filter) wantsWork() bool {
	return len(f.GetStatuses()) == 0 || slices.ContainsFunc(f.GetStatuses(), func(s conversationv1.WorkStatus) bool { return !isSettled(s) })
}

// each yields the interactions that fit, whoever's they are, until it returns false. A brief is good until yield returns.
func (f *filter) each(ctx context.Context, view *View, yield func(spot, *story.Brief) bool) error {
	stopped := false
	fit := func(s spot, b *story.Brief) bool {
		stopped = ctx.Err() != nil || f.fits(b) && !yield(s, b)
		return !stopped
	}
	if f.wantsWork() {
		if err := f.eachWork(ctx, view, fit); err != nil || stopped {
			return cmp.Or(err, ctx.Err())
		}
	}
	if !f.wantsSettled() {
		return nil
	}
	looked := 0
	err := view.settled(ctx, f.tenant, func(s spot, b *story.Brief) bool {
		looked++
		return fit(s, b) && looked < MaxSettled
	})
	return cmp.Or(err, ctx.Err())
}

// eachWork reads the rows of the agents or queues that are asked for, where there are any.
func (f *filter) eachWork(ctx context.Context, view *View, yield func(spot, *story.Brief) bool) error {
	narrow, by := []string{""}, func(string) (queue, agent string) { return "", "" }
	switch agents, queues := distinct(f.GetAgents()), distinct(f.GetQueues()); {
	case len(agents) > 0:
		narrow, by = agents, func(name string) (string, string) { return "", name }
	case len(queues) > 0:
		narrow, by = queues, func(name string) (string, string) { return name, "" }
	}
	more := true
	for _, name := range narrow {
		queue, agent := by(name)
		err := view.work(ctx, f.tenant, queue, agent, func(s spot, b *story.Brief) bool {
			if more = queue != "" && b.Queue != queue || agent != "" && b.Agent != agent || yield(s, b); !more {
				return false
			}
			return true
		})
		if err != nil || !more {
			return err
		}
	}
	return nil
}

// distinct gives names once each; none where one of them is empty, which no row is filed under.
func distinct(names []string) []string {
	if slices.Contains(names, "") {
		return nil
	}
	names = slices.Clone(names)
	slices.Sort(names)
	return slices.Compact(names)
}

// due is when the first target that is not done was or is missed; the end of time where there is none.
func due(b *story.Brief) int64 {
	if b.Due == 0 {
		return math.MaxInt64
	}
	return b.Due
}

// briefOf is the brief of an interaction that was read.
func briefOf(p *part) (story.Brief, error) {
	i := p.Interaction
	b := story.Brief{
		ID: p.id, Status: story.Status(i.GetStatus()), Queue: i.GetQueue(), Agent: i.GetAgent(), Inbox: i.GetInbox(), Channel: i.GetChannel(),
		Tags: i.GetTags(), Priority: i.GetPriority(), Started: p.started, LastActivity: nanos(i.GetLastActivityAt()), WaitingSince: nanos(i.GetWaitingSince()),
	}
	for _, s := range i.GetSlas() {
		isMissed := s.GetState() == conversationv1.SlaState_SLA_STATE_MISSED
		b.Missed = b.Missed || isMissed
		open := s.GetState() == conversationv1.SlaState_SLA_STATE_ACTIVE || isMissed && s.GetDoneAt() == nil && !settled(i)
		if at := nanos(s.GetDueAt()); at != 0 && open && (b.Due == 0 || at < b.Due) {
			b.Due = at
		}
	}
	if c := opener(i); c != nil {
		var err error
		if b.Customer, err = event.ParseID(c.GetEndpointId()); err != nil {
			return b, fmt.Errorf("conversation: read a participant: %w", err)
		}
	}
	return b, nil
}

// rank is where an interaction stands in an order: by numbers, then by its id.
type rank struct {
	by [3]int64
	id event.ID
}

func (r rank) compare(o rank) int {
	return cmp.Or(slices.Compare(r.by[:], o.by[:]), bytes.Compare(r.id[:], o.id[:]))
}

func rankOf(b *story.Brief, order conversationv1.WorkOrder) rank {
	r := rank{id: b.ID}
	waiting := b.WaitingSince
	if waiting == 0 {
		waiting = math.MaxInt64
	}
	switch order {
	case conversationv1.WorkOrder_WORK_ORDER_UNSPECIFIED:
		urgency := int64(b.Priority)
		if urgency == 0 {
			urgency = math.MaxInt64
		}
		r.by = [3]int64{due(b), urgency, waiting}
	case conversationv1.WorkOrder_WORK_ORDER_DUE:
		r.by[0] = due(b)
	case conversationv1.WorkOrder_WORK_ORDER_OLDEST:
		r.by[0] = b.Started
	case conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY:
		r.by[0] = -b.LastActivity
	case conversationv1.WorkOrder_WORK_ORDER_WAITING:
		r.by[0] = waiting
	}
	return r
}

// ranked is an interaction in its place.
type ranked struct {
	rank
	spot
	interaction *conversationv1.Interaction
	customer    string
}

// first keeps the first few in an order; it is a heap with the last of them on top.
type first []ranked

func (f *first) Len() int           { return len(*f) }
func (f *first) Less(a, b int) bool { return (*f)[a].compare((*f)[b].rank) > 0 }
func (f *first) Swap(a, b int)      { (*f)[a], (*f)[b] = (*f)[b], (*f)[a] }
func (f *first) Push(x any)         { *f = append(*f, x.(ranked)) } //nolint:errcheck,forcetypeassert // heap's contract
func (f *first) Pop() any {
	last := (*f)[len(*f)-1]
	*f = (*f)[:len(*f)-1]
	return last
}

// page reads the first so many that match behind a rank, in order. Only those are read in full.
func (f *filter) page(ctx context.Context, view *View, order conversationv1.WorkOrder, after *rank, size int) ([]ranked, error) {
	var found first
	var failed error
	err := f.each(ctx, view, func(s spot, b *story.Brief) bool {
		r := rankOf(b, order)
		if after != nil && r.compare(*after) <= 0 || len(found) == size && r.compare(found[0].rank) >= 0 {
			return true
		}
		customer, ok, err := f.customerOf(ctx, b)
		if failed = err; err != nil || !ok {
			return err == nil
		}
		heap.Push(&found, ranked{rank: r, spot: s, customer: customer})
		if len(found) > size {
			heap.Pop(&found)
		}
		return true
	})
	if err := cmp.Or(failed, err); err != nil {
		return nil, fmt.Errorf("conversation: list: %w", err)
	}
	slices.SortFunc(found, func(a, b ranked) int { return a.compare(b.rank) })
	spots := make([]spot, len(found))
	for n := range found {
		spots[n] = found[n].spot
	}
	whole, err := view.whole(ctx, f.tenant, spots)
	if err != nil {
		return nil, fmt.Errorf("conversation: list: %w", err)
	}
	for n := range found {
		found[n].interaction = whole[n]
	}
	return found, nil
}

// A page token says behind what a list goes on.
type pageToken struct {
	query [8]byte
	after rank
}

const (
	pageTokenVersion = 1
	pageTokenSize    = 1 + 8 + 3*8 + len(event.ID{})
)

var (
	// ErrForeignToken means that a page token belongs to another list.
	ErrForeignToken = errors.New("conversation: the page token belongs to another list")

	errBadToken = errors.New("conversation: not a page token")
)

func (t pageToken) encode() string {
	b := append([]byte{pageTokenVersion}, t.query[:]...)
	for _, n := range t.after.by {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	return base64.RawURLEncoding.EncodeToString(append(b, t.after.id[:]...))
}

func decodePageToken(text string) (t pageToken, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) != pageTokenSize || b[0] != pageTokenVersion {
		return t, errBadToken
	}
	b = b[1+copy(t.query[:], b[1:]):]
	for n := range t.after.by {
		t.after.by[n] = int64(binary.BigEndian.Uint64(b))
		b = b[8:]
	}
	copy(t.after.id[:], b)
	return t, nil
}

// queryDigest tells one list or watch from another.
func queryDigest(tenant string, m proto.Message) ([8]byte, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(append([]byte(tenant), 0), m)
	if err != nil {
		return [8]byte{}, fmt.Errorf("conversation: encode a query: %w", err)
	}
	sum := sha256.Sum256(b)
	return [8]byte(sum[:8]), nil
}

// list reads a page.
func (c *Conversations) list(ctx context.Context, tenant string, req *conversationv1.ListRequest) (*conversationv1.ListResponse, error) {
	f, err := c.filter(ctx, tenant, req.GetFilter())
	if err != nil {
		return nil, err
	}
	var token pageToken
	if token.query, err = queryDigest(tenant, &conversationv1.ListRequest{Filter: req.GetFilter(), Order: req.GetOrder()}); err != nil {
		return nil, err
	}
	var after *rank
	if req.GetPageToken() != "" {
		before, err := decodePageToken(req.GetPageToken())
		if err == nil && before.query != token.query {
			err = ErrForeignToken
		}
		if err != nil {
			return nil, rpc.InvalidField("page_token", err)
		}
		after = &before.after
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPageSize
	}
	r, err := c.read(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	found, err := f.page(ctx, r.view, req.GetOrder(), after, size+1)
	if err != nil {
		return nil, err
	}
	resp := &conversationv1.ListResponse{}
	if len(found) > size {
		found = found[:size]
		token.after = found[size-1].rank
		resp.NextPageToken = token.encode()
	}
	if resp.Work, err = r.works(ctx, tenant, found); err != nil {
		return nil, err
	}
	cursor := watchCursor{}
	if cursor.query, err = watchDigest(tenant, "", req.GetFilter()); err != nil {
		return nil, err
	}
	if cursor.at, err = r.place(ctx); err != nil {
		return nil, err
	}
	resp.WatchCursor = cursor.encode()
	return resp, nil
}

// works adds the conversations.
func (r *reading) works(ctx context.Context, tenant string, found []ranked) ([]*conversationv1.Work, error) {
	w := r.walk(tenant, present)
	parts := make([]*part, len(found))
	ids := make([]event.ID, 0, 2*len(found))
	for n, f := range found {
		var err error
		if parts[n], err = w.part(f.interaction); err != nil {
			return nil, err
		}
		ids = append(ids, parts[n].id, parts[n].thread)
	}
	if err := w.load(ctx, ids...); err != nil {
		return nil, err
	}
	works := make([]*conversationv1.Work, len(found))
	for n, p := range parts {
		id, err := w.conversation(ctx, p)
		if err != nil {
			return nil, err
		}
		works[n] = &conversationv1.Work{ConversationId: id.String(), Interaction: p.Interaction, CustomerId: found[n].customer}
	}
	return works, nil
}
