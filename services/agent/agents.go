package agent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/agent/state"
)

// ErrUnknown means that nothing is known of an agent.
var ErrUnknown = errors.New("nothing is known of this agent")

// Agents reads what agents do and did. It is safe for concurrent use.
type Agents struct {
	store      kv.Store
	partitions int
	progress   *projection.Progress
	books      directory.Books
	work       Work
	now        func() time.Time

	mu      sync.Mutex
	indexes map[string]*index // by tenant, of its book
}

// NewAgents reads from a store into which the topic of agents is folded, which has so many partitions. Progress, which may be nil, tells of
// what is applied in this process.
func NewAgents(store kv.Store, partitions int, progress *projection.Progress, books directory.Books, work Work) *Agents {
	return &Agents{store: store, partitions: partitions, progress: progress, books: books, work: work, now: time.Now, indexes: map[string]*index{}}
}

// index is a book, and who ever claimed which id of a connector's.
type index struct {
	*directory.Book
	claimants map[string][]string
}

func newIndex(b *directory.Book) *index {
	x := &index{Book: b, claimants: map[string][]string{}}
	for _, agent := range slices.Sorted(b.Entries(directory.Agent)) {
		for _, n := range b.Natives(directory.Agent, agent)[1:] {
			if !slices.Contains(x.claimants[n.ID], agent) {
				x.claimants[n.ID] = append(x.claimants[n.ID], agent)
			}
		}
	}
	return x
}

// book gives a tenant's directory as it is now.
func (x *Agents) book(ctx context.Context, tenant string) (*index, error) {
	b, err := x.books.Book(ctx, tenant)
	if err != nil {
		return nil, fmt.Errorf("agent: read the directory: %w", err)
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if of := x.indexes[tenant]; of != nil && of.Book == b {
		return of, nil
	}
	of := newIndex(b)
	x.indexes[tenant] = of
	return of, nil
}

// resolve gives the agent whom an id means at a moment: the one who has claimed it for all connectors, else the entry of that name, else the
// one who has claimed it for some connector, else the id itself.
func (x *index) resolve(id string, nanos int64) string {
	if owner := x.Owner(directory.Agent, "", id, nanos); owner != id || len(x.Versions(directory.Agent, id)) > 0 {
		return owner
	}
	for _, agent := range x.claimants[id] {
		for _, n := range x.Natives(directory.Agent, agent) {
			if n.ID == id && n.From <= nanos && nanos < n.Until && x.Owner(directory.Agent, n.Provider, id, nanos) == agent {
				return agent
			}
		}
	}
	return id
}

// concerned are the agents who may have events under an id.
func (x *index) concerned(id string) []string {
	return append([]string{id}, x.claimants[id]...)
}

// ids are those under which events of an agent may stand.
func (x *index) ids(agent string) []string {
	var all []string
	for _, n := range x.Natives(directory.Agent, agent) {
		if !slices.Contains(all, n.ID) {
			all = append(all, n.ID)
		}
	}
	return all
}

// Wait returns once positions were applied to all that is read, or when ctx ends. Those of topics that are not read here count as applied.
func (x *Agents) Wait(ctx context.Context, positions ...eventlog.Position) error {
	if len(positions) == 0 {
		return nil
	}
	if err := x.work.Await(ctx, positions...); err != nil {
		return err
	}
	return projection.Await(ctx, x.store, Slice, event.TopicAgents, positions, x.progress)
}

// Resolve gives the agent whom an id means now.
func (x *Agents) Resolve(ctx context.Context, tenant, id string) (string, error) {
	book, err := x.book(ctx, tenant)
	if err != nil {
		return "", err
	}
	return book.resolve(id, x.now().UnixNano()), nil
}

// Present gives the state of the agent whom an id means now. ErrUnknown where nothing is known.
func (x *Agents) Present(ctx context.Context, tenant, id string) (*agentv1.AgentState, error) {
	v, err := x.view(ctx, tenant)
	if err != nil {
		return nil, err
	}
	defer v.close()
	now := x.now().UnixNano()
	agent := v.book.resolve(id, now)
	h, err := v.present(ctx, agent, now)
	if err == nil {
		err = v.known(ctx, h)
	}
	if err != nil {
		return nil, wrap(err, "read the state of %q", agent)
	}
	out := h.Present(now)
	out.Positions = v.positions(agent, h, out)
	return out, nil
}

// At gives the state at a moment of the agent whom an id means now. ErrUnknown where nothing is known.
func (x *Agents) At(ctx context.Context, tenant, id string, at time.Time) (*agentv1.AgentState, error) {
	v, err := x.view(ctx, tenant)
	if err != nil {
		return nil, err
	}
	defer v.close()
	nanos := nanosOf(at)
	agent := v.book.resolve(id, x.now().UnixNano())
	h, err := v.between(ctx, agent, nanos, nanos)
	if err == nil {
		err = v.known(ctx, h)
	}
	if err != nil {
		return nil, wrap(err, "read a past state of %q", agent)
	}
	return h.At(nanos), nil
}

// Intervals gives what the agent whom an id means now did from one moment (included) to another (excluded). ErrUnknown where nothing is known.
func (x *Agents) Intervals(ctx context.Context, tenant, id string, from, until time.Time) ([]*agentv1.Interval, *agentv1.Totals, error) {
	v, err := x.view(ctx, tenant)
	if err != nil {
		return nil, nil, err
	}
	defer v.close()
	agent := v.book.resolve(id, x.now().UnixNano())
	h, err := v.between(ctx, agent, nanosOf(from), nanosOf(until)-1)
	if err == nil {
		err = v.known(ctx, h)
	}
	if err != nil {
		return nil, nil, wrap(err, "read the intervals of %q", agent)
	}
	all, totals := h.Intervals(nanosOf(from), nanosOf(until))
	return all, totals, nil
}

func wrap(err error, format string, args ...any) error {
	return fmt.Errorf("agent: "+format+": %w", append(args, err)...)
}

// Times that are too far off count as the first or last there is.
const minYear = 1970

func nanosOf(t time.Time) int64 {
	switch y := t.Year(); {
	case y < minYear:
		return 0
	case y > maxYear:
		return endOfTime
	}
	return t.UnixNano()
}

// endOfTime is behind whatever happens.
const endOfTime = math.MaxInt64 - 1

// view is what can be read of a tenant at one moment.
type view struct {
	*Agents
	snap    kv.Snapshot
	ns      kv.Namespace
	tenant  string
	book    *index
	applied projection.Vector
}

func (x *Agents) view(ctx context.Context, tenant string) (*view, error) {
	book, err := x.book(ctx, tenant)
	if err != nil {
		return nil, err
	}
	ns, err := projection.Serving(ctx, x.store, Slice)
	if err != nil {
		return nil, err
	}
	snap, err := x.store.Snapshot(ctx, ns)
	if err != nil {
		return nil, fmt.Errorf("agent: read the statements: %w", err)
	}
	v := &view{Agents: x, snap: snap, ns: ns, tenant: tenant, book: book}
	if v.applied, err = projection.Applied(ctx, snap, event.TopicAgents, x.partitions); err != nil {
		v.close()
		return nil, err
	}
	return v, nil
}

func (v *view) close() { _ = v.snap.Close() } // nothing is written through a snapshot

// scan yields the rows of a range until it returns false or an error. Keys and values are lent.
func (v *view) scan(ctx context.Context, r kv.Range, yield func(key, value []byte) (bool, error)) error {
	it, err := v.snap.Scan(ctx, r)
	if err != nil {
		return err
	}
	defer it.Close()
	for it.Next() {
		if more, err := yield(it.Key(), it.Value()); err != nil || !more {
			return err
		}
	}
	return it.Err()
}

// ids yields the ids under which anything was stated.
func (v *view) ids(ctx context.Context, yield func(id string)) error {
	prefix := tenantPrefix(v.tenant, subHead)
	return v.scan(ctx, kv.Prefix(prefix), func(key, _ []byte) (bool, error) {
		if len(key) < len(prefix)+1 {
			return false, errDamaged
		}
		yield(string(key[len(prefix)+1:]))
		return true, nil
	})
}

// present gives what the present state is made of.
func (v *view) present(ctx context.Context, agent string, now int64) (*state.History, error) {
	h, from, err := v.presentFacts(ctx, agent, now)
	if err != nil {
		return nil, err
	}
	return h, v.addShares(ctx, h, from, endOfTime)
}

// presentFacts gives what the present state is made of, without shares: those from a moment on are needed.
func (v *view) presentFacts(ctx context.Context, agent string, now int64) (h *state.History, from int64, err error) {
	if h, err = v.facts(ctx, agent, endOfTime, endOfTime); err != nil {
		return nil, 0, err
	}
	if from = h.PresentWindow(now); len(h.Connectors) == 0 {
		return h, from, nil
	}
	h, err = v.facts(ctx, agent, from, endOfTime)
	return h, from, err
}

// between gives what the states are made of from one moment to another, both included, with what shows from before.
func (v *view) between(ctx context.Context, agent string, from, until int64) (*state.History, error) {
	h, err := v.facts(ctx, agent, from, from)
	if err != nil {
		return nil, err
	}
	return v.history(ctx, agent, min(from, h.Window(from)), until)
}

// history gives what the states are made of from one moment to another, both included.
func (v *view) history(ctx context.Context, agent string, from, until int64) (*state.History, error) {
	h, err := v.facts(ctx, agent, from, until)
	if err != nil {
		return nil, err
	}
	return h, v.addShares(ctx, h, from, until)
}

// addShares adds the shares from one moment to another to a history.
func (v *view) addShares(ctx context.Context, h *state.History, from, until int64) error {
	for _, id := range v.book.ids(h.Agent) {
		err := v.work.Shares(ctx, v.tenant, id, time.Unix(0, max(from, 0)), time.Unix(0, until+1), func(i *conversationv1.Interaction, a *conversationv1.Assignment) bool {
			if s := (state.Share{Interaction: i, Assignment: a}); s.Owner(v.book.Book) == h.Agent {
				h.Shares = append(h.Shares, s)
			}
			return true
		})
		if err != nil {
			return fmt.Errorf("agent: read shares of %q: %w", id, err)
		}
	}
	return nil
}

// known gives ErrUnknown where nothing is known of an agent.
func (v *view) known(ctx context.Context, h *state.History) error {
	if len(h.Connectors) > 0 || len(h.Shares) > 0 || len(v.book.Versions(directory.Agent, h.Agent)) > 0 {
		return nil
	}
	found := false
	for _, id := range v.book.ids(h.Agent) {
		err := v.work.Shares(ctx, v.tenant, id, time.Unix(0, 0), time.Unix(0, math.MaxInt64), func(i *conversationv1.Interaction, a *conversationv1.Assignment) bool {
			found = state.Share{Interaction: i, Assignment: a}.Owner(v.book.Book) == h.Agent
			return !found
		})
		if err != nil || found {
			return err
		}
	}
	return ErrUnknown
}

// source is a connector's events under one of an agent's ids, while that was the agent's.
type source struct {
	id     string
	span   directory.Span
	known  known
	latest state.Standing // of the connector's series
	always state.Standing // of the series of what holds everywhere
	head   int            // index of the connector
}

// facts gives what was stated of an agent from one moment to another, both included, and what the statements before come to.
func (v *view) facts(ctx context.Context, agent string, from, until int64) (*state.History, error) {
	h := &state.History{Agent: agent, Book: v.book.Book}
	sources, err := v.sources(ctx, agent, h)
	if err != nil {
		return nil, err
	}
	var always []state.Standing
	for i := range sources {
		s := &sources[i]
		c := &h.Connectors[s.head]
		if err := v.stated(ctx, s, h, from, until); err != nil {
			return nil, err
		}
		if s.always.Type != 0 {
			behind := s.always
			if behind.Last.Occurred >= min(from, s.span.Until) {
				if behind, err = v.before(ctx, s, from); err != nil {
					return nil, err
				}
			}
			behind.Since(s.span.From)
			always = append(always, behind)
		}
		alive, signs, err := v.alive(ctx, s, c.Name, from, until)
		if err != nil {
			return nil, err
		}
		c.Alive, c.Signs = state.Union(c.Alive, alive), append(c.Signs, signs...)
	}
	for i := range h.Connectors {
		for _, all := range always {
			h.Connectors[i].Standing.Everywhere(&all, h.Connectors[i].First)
		}
	}
	h.Sort()
	return h, nil
}

// sources finds out where events of an agent stand, and adds the connectors to a history.
func (v *view) sources(ctx context.Context, agent string, h *state.History) ([]source, error) {
	ids := v.book.ids(agent)
	keys := make([][]byte, len(ids))
	for i, id := range ids {
		keys[i] = agentKey(v.tenant, subHead, id)
	}
	heads, err := v.snap.GetMany(ctx, keys)
	if err != nil {
		return nil, err
	}
	var sources []source
	var rows [][]byte
	for i, id := range ids {
		if heads[i] == nil {
			continue
		}
		of, err := decodeHead(heads[i])
		if err != nil {
			return nil, err
		}
		for _, k := range of {
			for _, span := range v.book.Spans(directory.Agent, k.connector, id, agent) {
				s := source{id: id, span: span, known: k}
				if s.known.first < span.From {
					at, found, err := v.first(ctx, &s)
					if err != nil {
						return nil, err
					}
					if !found {
						continue
					}
					s.known.first = at
				}
				if s.known.first >= span.Until {
					continue
				}
				sources = append(sources, s)
				rows = append(rows, seriesKey(v.tenant, subLatest, id, k.connector), seriesKey(v.tenant, subLatest, id, everywhere+k.connector))
			}
		}
	}
	values, err := v.snap.GetMany(ctx, rows)
	if err != nil {
		return nil, err
	}
	for i := range sources {
		s := &sources[i]
		for n, into := range []*state.Standing{&s.latest, &s.always} {
			if value := values[2*i+n]; value != nil {
				if *into, err = decodeStanding(value); err != nil {
					return nil, err
				}
				into.Stand(v.partition(s.id))
			}
		}
		s.head = slices.IndexFunc(h.Connectors, func(c state.Connector) bool { return c.Name == s.known.connector })
		if s.head < 0 {
			s.head = len(h.Connectors)
			h.Connectors = append(h.Connectors, state.Connector{Name: s.known.connector, First: s.known.first})
		}
		c := &h.Connectors[s.head]
		c.First = min(c.First, s.known.first)
	}
	return sources, nil
}

func (v *view) partition(id string) int32 { return eventlog.Partition([]byte(id), v.partitions) }

// first finds when anything was known first of a source, where its id was somebody else's before.
func (v *view) first(ctx context.Context, s *source) (at int64, found bool, err error) {
	r := kv.Prefix(seriesKey(v.tenant, subStatement, s.id, s.known.connector))
	r.End, r.Reverse = statementKey(v.tenant, s.id, s.known.connector, state.Moment{Occurred: s.span.From - 1, Received: math.MaxInt64, Offset: math.MaxInt64}), true
	err = v.scan(ctx, r, func(key, _ []byte) (bool, error) {
		if len(key) < momentSize {
			return false, errDamaged
		}
		at, found = inverted(key[len(key)-momentSize:]).Occurred, true
		return false, nil
	})
	if err != nil {
		return 0, false, err
	}
	r = kv.Prefix(seriesKey(v.tenant, subBeats, s.id, s.known.connector))
	r.Reverse = true
	if day := s.span.From / dayNanos; day > 0 {
		r.End = beatsKey(v.tenant, s.id, s.known.connector, day-1)
	}
	err = v.scan(ctx, r, func(key, value []byte) (bool, error) {
		alive, signs, _, err := decodeDay(key, value)
		if err != nil {
			return false, err
		}
		in := state.Within(alive, state.Stretch(s.span))
		for _, sign := range signs {
			if sign >= s.span.From {
				in = append(in, state.Stretch{From: sign})
			}
		}
		for _, x := range in {
			if !found || x.From < at {
				at, found = x.From, true
			}
		}
		return len(in) == 0, nil
	})
	return at, found, err
}

// decodeDay reads a row of heartbeats, in moments.
func decodeDay(key, value []byte) (alive []state.Stretch, signs []int64, day int64, err error) {
	const size = 4
	b, err := decodeBeats(value)
	if err != nil || len(key) < size {
		return nil, nil, 0, errDamaged
	}
	for _, x := range key[len(key)-size:] {
		day = day<<8 | int64(^x)
	}
	for _, s := range b.alive {
		alive = append(alive, state.Stretch{From: s.From + day*dayNanos, Until: s.Until + day*dayNanos})
	}
	for _, at := range b.signs {
		signs = append(signs, at+day*dayNanos)
	}
	return alive, signs, day, nil
}

// stated adds the statements of a source to a history.
func (v *view) stated(ctx context.Context, s *source, h *state.History, from, until int64) error {
	behind := s.latest
	if behind.Last.Occurred >= min(from, s.span.Until) {
		behind = state.Standing{}
		last := min(until, s.span.Until-1)
		r := kv.Prefix(seriesKey(v.tenant, subStatement, s.id, s.known.connector))
		r.Start = statementKey(v.tenant, s.id, s.known.connector, state.Moment{Occurred: last, Received: math.MaxInt64, Offset: math.MaxInt64})
		err := v.scan(ctx, r, func(key, value []byte) (bool, error) {
			row, err := decodeStated(key, value, s.known.connector)
			if err != nil {
				return false, err
			}
			row.Partition = v.partition(s.id)
			if row.Occurred < s.span.From {
				return false, nil
			}
			if row.Occurred < from {
				behind = row.behind
				behind.Stand(row.Partition)
				return false, nil
			}
			h.Statements = append(h.Statements, row.Statement)
			return true, nil
		})
		if err != nil {
			return err
		}
	}
	behind.Since(s.span.From)
	h.Connectors[s.head].Standing.Merge(&behind)
	return nil
}

// before gives what the statements come to that hold everywhere, before a moment.
func (v *view) before(ctx context.Context, s *source, from int64) (behind state.Standing, err error) {
	series := everywhere + s.known.connector
	last := min(from, s.span.Until) - 1
	r := kv.Prefix(seriesKey(v.tenant, subStatement, s.id, series))
	r.Start = statementKey(v.tenant, s.id, series, state.Moment{Occurred: last, Received: math.MaxInt64, Offset: math.MaxInt64})
	err = v.scan(ctx, r, func(key, value []byte) (bool, error) {
		row, err := decodeStated(key, value, s.known.connector)
		behind = row.behind
		behind.Stand(v.partition(s.id))
		return false, err
	})
	return behind, err
}

// alive gives when a source was alive from one moment to another, both included, and what tells whether it was at the first one.
func (v *view) alive(ctx context.Context, s *source, connector string, from, until int64) (alive []state.Stretch, signs []int64, err error) {
	last := min(until, s.span.Until-1)
	if last < 0 {
		return nil, nil, nil
	}
	r := kv.Prefix(seriesKey(v.tenant, subBeats, s.id, connector))
	r.Start = beatsKey(v.tenant, s.id, connector, min(last/dayNanos, math.MaxUint32))
	err = v.scan(ctx, r, func(key, value []byte) (bool, error) {
		stretches, moments, day, err := decodeDay(key, value)
		if err != nil {
			return false, err
		}
		if (day+1)*dayNanos <= s.span.From {
			return false, nil
		}
		stretches = state.Within(stretches, state.Stretch(s.span))
		moments = slices.DeleteFunc(moments, func(at int64) bool { return at < s.span.From || at >= s.span.Until })
		alive, signs = state.Union(alive, stretches), append(signs, moments...)
		begun := len(stretches) > 0 && stretches[0].From <= from || len(moments) > 0 && moments[0] <= from
		return !begun, nil
	})
	return alive, signs, err
}

// positions are how far the log was applied that a present state is made of.
func (v *view) positions(agent string, h *state.History, out *agentv1.AgentState) []*eventv1.Position {
	last := map[eventlog.Position]int64{}
	for _, id := range v.book.ids(agent) {
		if p := v.partition(id); v.applied[p] > 0 {
			last[eventlog.Position{Topic: event.TopicAgents, Partition: p}] = v.applied[p] - 1
		}
	}
	for _, s := range h.Shares {
		if p := s.GetPosition(); p != nil && slices.ContainsFunc(out.GetContacts(), func(c *agentv1.Contact) bool { return c.GetAssignmentId() == s.Assignment.GetId() }) {
			at := eventlog.Position{Topic: p.GetTopic(), Partition: p.GetPartition()}
			last[at] = max(last[at], p.GetOffset())
		}
	}
	all := make([]*eventv1.Position, 0, len(last))
	for at, offset := range last {
		all = append(all, &eventv1.Position{Topic: at.Topic, Partition: at.Partition, Offset: offset})
	}
	slices.SortFunc(all, func(a, b *eventv1.Position) int {
		if c := strings.Compare(a.GetTopic(), b.GetTopic()); c != 0 {
			return c
		}
		return int(a.GetPartition() - b.GetPartition())
	})
	return all
}
