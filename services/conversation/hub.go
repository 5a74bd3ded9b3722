package conversation

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"sync"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

const (
	// queueLength is how many passes wait for a watch before it is sent back to read for itself.
	queueLength = 256
	// maxWatches of one process.
	maxWatches = 20_000
)

var (
	// ErrTooManyWatches means that this process watches enough already.
	ErrTooManyWatches = errors.New("conversation: too many watches on this process: try another one, or later")
	// ErrStopping means that this process is about to end: go on from the last cursor on another one.
	ErrStopping = errors.New("conversation: this process is stopping: go on from the last cursor")
)

// hub follows what is applied to both slices, once for all of a process who wait for it: those who want to know that something has
// changed, and those who watch work.
type hub struct {
	*Conversations
	work, links projection.Follower

	pass sync.Mutex // held while following, so that nobody joins in the middle

	mu       sync.Mutex
	stopped  bool
	followed place
	alarms   map[name]map[*alarm]struct{}
	alarmed  map[string]int                   // how many alarms there are of a tenant
	feeds    map[string]map[*feed]struct{}    // by tenant
	workers  map[string]map[*pending]struct{} // likewise
	watches  int

	maxPending int // threads that may wait for one who follows work
}

// name is an id of a tenant's.
type name struct {
	tenant string
	id     event.ID
}

// alarm tells once that something has changed.
type alarm struct {
	tenant  string
	changed chan struct{}
	ids     []event.ID // nil once it is over
}

// feed is one who watches work. Its queue is closed when it has to read for itself again.
type feed struct {
	tenant string
	queue  chan *news
	// from is what was followed when it joined: everything behind it comes through the queue.
	from place
}

// news are the threads of a tenant in which something changed, as they are now, and what was followed then. All who watch share them.
type news struct {
	threads []threadNews
	at      place
}

// threadNews are all interactions of a thread.
type threadNews struct {
	thread event.ID
	items  []*item
}

// item is an interaction as it is now.
type item struct {
	*part
	conversation event.ID
	brief        story.Brief
	once         sync.Once
	digest       uint64
	err          error
}

func newItem(p *part, conversation event.ID) (*item, error) {
	brief, err := briefOf(p)
	return &item{part: p, conversation: conversation, brief: brief}, err
}

// place is how far both slices were followed.
type place struct{ work, links sliceAt }

// sliceAt is how far a generation of a slice was followed.
type sliceAt struct {
	generation uint32
	next       projection.Vector
}

func (p place) clone() place {
	p.work.next, p.links.next = maps.Clone(p.work.next), maps.Clone(p.links.next)
	return p
}

func newHub(c *Conversations) *hub {
	x := c.cfg.Interactions
	return &hub{
		Conversations: c,
		work: projection.Follower{
			Store: x.store, Slice: Slice, Topic: event.TopicInteractions, Partitions: x.partitions, Progress: x.progress, Logger: c.cfg.Logger,
		},
		links: projection.Follower{
			Store: c.cfg.Store, Slice: LinksSlice, Topic: event.TopicLinks, Partitions: c.cfg.Partitions, Progress: c.cfg.Progress, Logger: c.cfg.Logger,
		},
		alarms: map[name]map[*alarm]struct{}{}, alarmed: map[string]int{}, feeds: map[string]map[*feed]struct{}{}, workers: map[string]map[*pending]struct{}{},
		maxPending: maxPending,
	}
}

// run follows until ctx ends. What keeps it from reading it tries again.
func (h *hub) run(ctx context.Context) error {
	projection.Poll(ctx, h.cfg.Logger, LinksSlice, h.follow, h.work.Progress, h.links.Progress)
	h.stop()
	return nil
}

// follow hands out everything that was applied since the last call.
func (h *hub) follow(ctx context.Context) error {
	h.pass.Lock()
	defer h.pass.Unlock()
	return h.catchUp(ctx)
}

func (h *hub) catchUp(ctx context.Context) error {
	return errors.Join(h.work.Once(ctx, h.workPass), h.links.Once(ctx, h.linksPass))
}

func (h *hub) workPass(ctx context.Context, p projection.Pass) error {
	changed := changes{}
	var work map[string][]ThreadWork
	if !p.Reset {
		view := h.cfg.Interactions.Of(p.Snapshot, p.Namespace)
		err := changed.readWork(ctx, view, p.From, p.Until)
		if err == nil {
			work, err = h.readWork(ctx, view, changed)
		}
		if err != nil {
			return err
		}
	}
	at := sliceAt{p.Namespace.Generation, p.Until}
	if err := h.handOut(ctx, changed, p.Reset, func(followed *place) { followed.work = at }); err != nil {
		return err
	}
	h.handOutWork(work, p.Until)
	return nil
}

func (h *hub) linksPass(ctx context.Context, p projection.Pass) error {
	changed := changes{}
	if !p.Reset {
		for partition, until := range p.Until {
			if err := changed.readLinks(ctx, p, partition, p.From[partition], until); err != nil {
				return err
			}
		}
	}
	at := sliceAt{p.Namespace.Generation, p.Until}
	return h.handOut(ctx, changed, p.Reset, func(followed *place) { followed.links = at })
}

// handOut tells everybody who waits what has changed. After a reset nobody knows what has.
func (h *hub) handOut(ctx context.Context, changed changes, reset bool, move func(*place)) error {
	if reset {
		h.mu.Lock()
		defer h.mu.Unlock()
		move(&h.followed)
		h.expel()
		return nil
	}
	for tenant, c := range changed {
		if !h.awaited(tenant) {
			delete(changed, tenant)
			continue
		}
		if err := h.resolve(ctx, tenant, c); err != nil {
			return err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	followed := h.followed.clone()
	move(&followed)
	h.followed = followed
	for tenant, c := range changed {
		for id := range c.alarming {
			h.ring(name{tenant, id})
		}
		n := &news{threads: c.news, at: followed}
		for f := range h.feeds[tenant] {
			select {
			case f.queue <- n:
			default:
				h.remove(f)
			}
		}
	}
	return nil
}

// awaited tells whether anybody of a tenant waits. Nobody joins during a pass, but those who wait for alarms: they read again.
func (h *hub) awaited(tenant string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.feeds[tenant]) > 0 || h.alarmed[tenant] > 0
}

// resolve reads what changes mean to those who wait.
func (h *hub) resolve(ctx context.Context, tenant string, c *change) error {
	r, err := h.read(ctx)
	if err != nil {
		return err
	}
	defer r.close()
	return c.resolve(ctx, r.walk(tenant, present))
}

// await makes an alarm for what may change.
func (h *hub) await(tenant string, ids []event.ID) *alarm {
	a := &alarm{tenant: tenant, changed: make(chan struct{}), ids: ids}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.alarmed[tenant]++
	for _, id := range ids {
		n := name{tenant, id}
		if h.alarms[n] == nil {
			h.alarms[n] = map[*alarm]struct{}{}
		}
		h.alarms[n][a] = struct{}{}
	}
	if h.stopped {
		h.sound(a)
	}
	return a
}

// forget ends the waiting for an alarm; a second call does nothing.
func (h *hub) forget(a *alarm) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.drop(a)
}

func (h *hub) drop(a *alarm) {
	if a.ids == nil {
		return
	}
	for _, id := range a.ids {
		n := name{a.tenant, id}
		delete(h.alarms[n], a)
		if len(h.alarms[n]) == 0 {
			delete(h.alarms, n)
		}
	}
	a.ids = nil
	if h.alarmed[a.tenant]--; h.alarmed[a.tenant] == 0 {
		delete(h.alarmed, a.tenant)
	}
}

func (h *hub) sound(a *alarm) {
	h.drop(a)
	close(a.changed)
}

func (h *hub) ring(n name) {
	for a := range h.alarms[n] {
		h.sound(a)
	}
}

// admit counts one more who watches.
func (h *hub) admit() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return ErrStopping
	}
	if h.watches >= maxWatches {
		return ErrTooManyWatches
	}
	h.watches++
	return nil
}

func (h *hub) dismiss() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.watches--
}

// join makes a feed of everything that is applied from now on.
func (h *hub) join(ctx context.Context, tenant string) (*feed, error) {
	h.pass.Lock()
	defer h.pass.Unlock()
	if err := h.catchUp(ctx); err != nil { // a cursor may be ahead of the last pass
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.stopped {
		return nil, ErrStopping
	}
	f := &feed{tenant: tenant, queue: make(chan *news, queueLength), from: h.followed}
	if h.feeds[tenant] == nil {
		h.feeds[tenant] = map[*feed]struct{}{}
	}
	h.feeds[tenant][f] = struct{}{}
	return f, nil
}

// position is what was followed, where nothing waits in the queue of a feed: a place to go on from.
func (h *hub) position(f *feed) (place, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, waits := h.feeds[f.tenant][f]; !waits || len(f.queue) > 0 {
		return place{}, false
	}
	return h.followed, true
}

// leave ends a feed; a second call does nothing.
func (h *hub) leave(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.remove(f)
}

func (h *hub) remove(f *feed) {
	if _, waits := h.feeds[f.tenant][f]; !waits {
		return
	}
	delete(h.feeds[f.tenant], f)
	if len(h.feeds[f.tenant]) == 0 {
		delete(h.feeds, f.tenant)
	}
	close(f.queue)
}

func (h *hub) isStopped() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.stopped
}

func (h *hub) stop() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.stopped = true
	h.expel()
}

// expel sends everybody back to read for themselves.
func (h *hub) expel() {
	for _, feeds := range h.feeds {
		for f := range feeds {
			h.remove(f)
		}
	}
	for _, all := range h.workers {
		for p := range all {
			h.dropWork(p)
		}
	}
	for n := range h.alarms {
		h.ring(n)
	}
}

// changes are what was changed, by tenant.
type changes map[string]*change

// change is what was changed of a tenant.
type change struct {
	threads map[event.ID]struct{} // of interactions
	linked  map[event.ID]struct{} // what links name

	alarming map[event.ID]struct{} // everything that may mean something else now
	news     []threadNews
}

func (c changes) of(tenant string) *change {
	if c[tenant] == nil {
		c[tenant] = &change{threads: map[event.ID]struct{}{}, linked: map[event.ID]struct{}{}, alarming: map[event.ID]struct{}{}}
	}
	return c[tenant]
}

func (c changes) readWork(ctx context.Context, view *View, from, until projection.Vector) error {
	for partition, end := range until {
		if from[partition] == end {
			continue
		}
		err := view.Changes(ctx, partition, from[partition], end, func(_ int64, ch Change) error {
			c.of(ch.Tenant).threads[ch.Thread] = struct{}{}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (c changes) readLinks(ctx context.Context, links kv.Reader, partition int32, from, until int64) error {
	if from == until {
		return nil
	}
	return eachLinkChange(ctx, links, partition, from, until, func(ch linkChange) {
		for _, id := range ch.ids {
			c.of(ch.tenant).linked[id] = struct{}{}
		}
	})
}

// resolve reads the threads to which something happened: those that changed, and those of conversations that did. What takes too long to
// walk is taken as it is.
func (c *change) resolve(ctx context.Context, w *walk) error {
	threads := map[event.ID]struct{}{}
	for thread := range c.threads {
		threads[thread] = struct{}{}
		for _, role := range []edgeRole{roleChild, roleParent} { // who is read with it
			joined, err := w.joined(ctx, thread, role)
			if err != nil && !errors.Is(err, ErrTooLarge) {
				return err
			}
			for _, id := range append(joined, thread) {
				c.alarming[id] = struct{}{}
			}
		}
		parts, err := w.thread(ctx, thread)
		if err != nil {
			return err
		}
		for _, p := range parts {
			c.alarming[p.id] = struct{}{}
			if err := w.alsoOf(ctx, p, threads); err != nil {
				return err
			}
		}
	}
	for id := range c.linked {
		if err := c.resolveLinked(ctx, w, id, threads); err != nil {
			return err
		}
	}
	for thread := range threads {
		n := threadNews{thread: thread}
		parts, err := w.thread(ctx, thread)
		if err != nil {
			return err
		}
		for _, p := range parts {
			id, err := w.conversation(ctx, p)
			if err != nil {
				return err
			}
			i, err := newItem(p, id)
			if err != nil {
				return err
			}
			n.items = append(n.items, i)
		}
		c.news = append(c.news, n)
	}
	return nil
}

func (c *change) resolveLinked(ctx context.Context, w *walk, id event.ID, threads map[event.ID]struct{}) error {
	p, err := w.find(ctx, id)
	if err != nil {
		return err
	}
	if p != nil {
		c.alarming[id], c.alarming[p.id], c.alarming[p.thread] = struct{}{}, struct{}{}, struct{}{}
		return w.alsoOf(ctx, p, threads)
	}
	below, err := w.joined(ctx, id, roleParent)
	if err != nil && !errors.Is(err, ErrTooLarge) {
		return err
	}
	for _, thread := range append(below, id) {
		c.alarming[thread] = struct{}{}
		parts, err := w.thread(ctx, thread)
		if err != nil {
			return err
		}
		for _, p := range parts {
			if err := w.alsoOf(ctx, p, threads); err != nil {
				return err
			}
		}
	}
	return nil
}

// alsoOf adds the threads of the conversation of an interaction.
func (w *walk) alsoOf(ctx context.Context, p *part, threads map[event.ID]struct{}) error {
	threads[p.thread] = struct{}{}
	m, err := w.matter(ctx, p)
	if errors.Is(err, ErrTooLarge) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, other := range m.parts {
		threads[other.thread] = struct{}{}
	}
	return nil
}

// conversation is the id of an interaction's, or its own where that is too large to be walked: it names it as well.
func (w *walk) conversation(ctx context.Context, p *part) (event.ID, error) {
	m, err := w.matter(ctx, p)
	if errors.Is(err, ErrTooLarge) {
		return p.id, nil
	}
	if err != nil {
		return event.ID{}, err
	}
	return m.id(), nil
}

// digest tells one message from another.
func digest(m proto.Message, more []byte) (uint64, error) {
	b, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(bytes.Clone(more), m)
	if err != nil {
		return 0, fmt.Errorf("conversation: encode: %w", err)
	}
	sum := sha256.Sum256(b)
	return binary.BigEndian.Uint64(sum[:]), nil
}

// sum tells one state of an interaction from another, whatever else happened in its thread.
func (i *item) sum() (uint64, error) {
	i.once.Do(func() {
		bare := proto.CloneOf(i.Interaction)
		bare.Position = nil
		i.digest, i.err = digest(bare, i.conversation[:])
	})
	return i.digest, i.err
}

// asWork is it as an answer.
func (i *item) asWork(customer string) *conversationv1.Work {
	return &conversationv1.Work{ConversationId: i.conversation.String(), Interaction: i.Interaction, CustomerId: customer}
}
