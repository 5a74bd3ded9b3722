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

// matches tells whether it lets an interaction in, and whose that is. A customer is looked up only where the rest fits.
func (f *filter) matches(ctx context.Context, i *conversationv1.Interaction) (ok bool, customer string, err error) {
	if !f.fits(i) {
		return false, "", nil
	}
	if customer, err = f.c.customer(ctx, f.tenant, i, opener(i)); err != nil {
		return false, "", err
	}
	return f.customer == "" || f.customer == customer, customer, nil
}

// fits tells whether everything but the customer matches.
func (f *filter) fits(i *conversationv1.Interaction) bool {
	if statuses := f.GetStatuses(); len(statuses) > 0 && !slices.Contains(statuses, i.GetStatus()) || len(statuses) == 0 && settled(i) {
		return false
	}
	if f.GetUnassigned() && i.GetAgent() != "" || f.GetBreached() && !missed(i) {
		return false
	}
	if t := f.GetDueBefore(); t != nil && !missed(i) && due(i) >= t.AsTime().UnixNano() {
		return false
	}
	if t := f.GetStartedBefore(); t != nil && !i.GetStartedAt().AsTime().Before(t.AsTime()) {
		return false
	}
	return anyOf(f.GetQueues(), i.GetQueue()) && anyOf(f.GetAgents(), i.GetAgent()) && anyOf(f.GetInboxes(), i.GetInbox()) &&
		anyOf(f.GetChannels(), i.GetChannel()) &&
		(len(f.GetTags()) == 0 || slices.ContainsFunc(f.GetTags(), func(tag string) bool { return slices.Contains(i.GetTags(), tag) }))
}

func anyOf[T comparable](wanted []T, got T) bool {
	return len(wanted) == 0 || slices.Contains(wanted, got)
}

// wantsSettled and wantsWork tell which rows may match.
func (f *filter) wantsSettled() bool {
	return slices.ContainsFunc(f.GetStatuses(), func(s conversationv1.WorkStatus) bool {
		return s == conversationv1.WorkStatus_WORK_STATUS_RESOLVED || s == conversationv1.WorkStatus_WORK_STATUS_CLOSED
	})
}

func (f *filter) wantsWork() bool {
	return len(f.GetStatuses()) == 0 || slices.ContainsFunc(f.GetStatuses(), func(s conversationv1.WorkStatus) bool {
		return s != conversationv1.WorkStatus_WORK_STATUS_RESOLVED && s != conversationv1.WorkStatus_WORK_STATUS_CLOSED
	})
}

// each yields the interactions that fit, whoever's they are.
func (f *filter) each(ctx context.Context, view *View, yield func(*conversationv1.Interaction)) error {
	if f.wantsWork() {
		if err := f.eachWork(ctx, view, yield); err != nil {
			return err
		}
	}
	if !f.wantsSettled() {
		return nil
	}
	looked := 0
	return view.Settled(ctx, f.tenant, func(i *conversationv1.Interaction) bool {
		if f.fits(i) {
			yield(i)
		}
		looked++
		return looked < MaxSettled && ctx.Err() == nil
	})
}

// eachWork reads the rows of the agents or queues that are asked for, where there are any.
func (f *filter) eachWork(ctx context.Context, view *View, yield func(*conversationv1.Interaction)) error {
	narrow, by := []string{""}, func(string) (queue, agent string) { return "", "" }
	switch agents, queues := distinct(f.GetAgents()), distinct(f.GetQueues()); {
	case len(agents) > 0:
		narrow, by = agents, func(name string) (string, string) { return "", name }
	case len(queues) > 0:
		narrow, by = queues, func(name string) (string, string) { return name, "" }
	}
	for _, name := range narrow {
		queue, agent := by(name)
		err := view.Work(ctx, f.tenant, queue, agent, func(i *conversationv1.Interaction) bool {
			if f.fits(i) {
				yield(i)
			}
			return ctx.Err() == nil
		})
		if err != nil {
			return err
		}
	}
	return ctx.Err()
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

// missed tells whether a target is missed.
func missed(i *conversationv1.Interaction) bool {
	return slices.ContainsFunc(i.GetSlas(), func(s *conversationv1.Sla) bool { return s.GetState() == conversationv1.SlaState_SLA_STATE_MISSED })
}

// due is when the first target that is not done was or is missed; the end of time where there is none.
func due(i *conversationv1.Interaction) int64 {
	first := int64(math.MaxInt64)
	for _, s := range i.GetSlas() {
		open := s.GetState() == conversationv1.SlaState_SLA_STATE_ACTIVE ||
			s.GetState() == conversationv1.SlaState_SLA_STATE_MISSED && s.GetDoneAt() == nil && !settled(i)
		if open && s.GetDueAt() != nil {
			first = min(first, s.GetDueAt().AsTime().UnixNano())
		}
	}
	return first
}

// rank is where an interaction stands in an order: by numbers, then by its id.
type rank struct {
	by [3]int64
	id event.ID
}

func (r rank) compare(o rank) int {
	return cmp.Or(slices.Compare(r.by[:], o.by[:]), bytes.Compare(r.id[:], o.id[:]))
}

func rankOf(i *conversationv1.Interaction, order conversationv1.WorkOrder) (r rank, err error) {
	waiting := int64(math.MaxInt64)
	if t := i.GetWaitingSince(); t != nil {
		waiting = t.AsTime().UnixNano()
	}
	switch order {
	case conversationv1.WorkOrder_WORK_ORDER_UNSPECIFIED:
		urgency := int64(i.GetPriority())
		if urgency == 0 {
			urgency = math.MaxInt64
		}
		r.by = [3]int64{due(i), urgency, waiting}
	case conversationv1.WorkOrder_WORK_ORDER_DUE:
		r.by[0] = due(i)
	case conversationv1.WorkOrder_WORK_ORDER_OLDEST:
		r.by[0] = i.GetStartedAt().AsTime().UnixNano()
	case conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY:
		r.by[0] = -i.GetLastActivityAt().AsTime().UnixNano()
	case conversationv1.WorkOrder_WORK_ORDER_WAITING:
		r.by[0] = waiting
	}
	r.id, err = event.ParseID(i.GetId())
	return r, err
}

// ranked is an interaction in its place.
type ranked struct {
	rank
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

// page reads the first so many that match behind a rank, in order.
func (f *filter) page(ctx context.Context, view *View, order conversationv1.WorkOrder, after *rank, size int) ([]ranked, error) {
	var found first
	var failed error
	err := f.each(ctx, view, func(i *conversationv1.Interaction) {
		if failed != nil {
			return
		}
		r, err := rankOf(i, order)
		if err != nil {
			failed = err
			return
		}
		if after != nil && r.compare(*after) <= 0 || len(found) == size && r.compare(found[0].rank) >= 0 {
			return
		}
		ok, customer, err := f.matches(ctx, i)
		if err != nil || !ok {
			failed = err
			return
		}
		heap.Push(&found, ranked{r, i, customer})
		if len(found) > size {
			heap.Pop(&found)
		}
	})
	if err := cmp.Or(err, failed); err != nil {
		return nil, fmt.Errorf("conversation: list: %w", err)
	}
	slices.SortFunc(found, func(a, b ranked) int { return a.compare(b.rank) })
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
