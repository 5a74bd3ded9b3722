package conversation

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

// checkpointEvery is how often a watch that has nothing to tell moves the cursor on, so that it does not grow too old.
const checkpointEvery = 10 * time.Second

var (
	// ErrForeignCursor means that a cursor belongs to another watch.
	ErrForeignCursor = errors.New("conversation: the cursor belongs to a watch of something else")
	// ErrExpiredCursor means that the read model cannot go on from a cursor.
	ErrExpiredCursor = errors.New("conversation: the read model cannot go on from this cursor: list again, and watch from there")

	errBadCursor = errors.New("conversation: not a cursor")
	errReset     = errors.New("conversation: the read model was built anew: list again")
)

// A watchCursor says where a watch goes on: behind what was applied, and for one conversation, what was told of it last.
type watchCursor struct {
	query  [8]byte
	digest uint64
	at     place
}

const cursorVersion = 1

func (c watchCursor) encode() string {
	b := append([]byte{cursorVersion}, c.query[:]...)
	b = binary.BigEndian.AppendUint64(b, c.digest)
	for _, s := range []sliceAt{c.at.work, c.at.links} {
		b = binary.AppendUvarint(b, uint64(s.generation))
		b = binary.AppendUvarint(b, uint64(len(s.next)))
		for _, p := range slices.Sorted(maps.Keys(s.next)) {
			b = binary.AppendUvarint(b, uint64(p))
			b = binary.AppendUvarint(b, uint64(s.next[p]))
		}
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

func decodeCursor(text string) (c watchCursor, err error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(text)
	if err != nil || len(b) < 1+8+8 || b[0] != cursorVersion {
		return c, errBadCursor
	}
	b = b[1+copy(c.query[:], b[1:]):]
	c.digest = binary.BigEndian.Uint64(b)
	b = b[8:]
	number := func(limit uint64) uint64 {
		v, n := binary.Uvarint(b)
		if n <= 0 || v > limit {
			err, b = errBadCursor, nil
			return 0
		}
		b = b[n:]
		return v
	}
	for _, s := range []*sliceAt{&c.at.work, &c.at.links} {
		s.generation, s.next = uint32(number(1<<32-1)), projection.Vector{}
		for n := number(1 << 16); n > 0 && err == nil; n-- {
			partition := int32(number(1<<31 - 1))
			s.next[partition] = int64(number(1<<63 - 1))
		}
	}
	if err == nil && len(b) > 0 {
		err = errBadCursor
	}
	return c, err
}

// watchDigest tells one watch from another, and is the same for a list and a watch of one filter.
func watchDigest(tenant, conversation string, f *conversationv1.Filter) ([8]byte, error) {
	if f == nil {
		f = &conversationv1.Filter{}
	}
	return queryDigest(tenant, &conversationv1.WatchRequest{ConversationId: conversation, Filter: f})
}

// place is how far both slices are applied in what is read.
func (r *reading) place(ctx context.Context) (p place, err error) {
	x := r.cfg.Interactions
	p.work.generation, p.links.generation = r.view.Namespace.Generation, r.namespace.Generation
	if p.work.next, err = projection.Applied(ctx, r.view.snap, event.TopicInteractions, x.partitions); err != nil {
		return p, err
	}
	p.links.next, err = projection.Applied(ctx, r.links, event.TopicLinks, r.cfg.Partitions)
	return p, err
}

// workWatch is one caller's watch of work.
type workWatch struct {
	*filter
	hub    *hub
	cursor watchCursor
	// fresh: the caller brought no cursor, and begins with what matches now.
	fresh bool
	// told is what the caller knows, by thread: what was told of an interaction that matches, and 0 for one that does not. Where whole is
	// set, what is not there is not known to match.
	told  map[event.ID]map[event.ID]uint64
	whole bool
	// met are the threads of which news came, where whole is not set.
	met  map[event.ID]struct{}
	send func(*conversationv1.WatchResponse) error
}

// run sends what changes until ctx ends. Each turn joins the hub, reads for itself what was followed before it joined, and then takes what
// the hub hands out, until the hub sends it away because it is too slow or everything has changed.
func (w *workWatch) run(ctx context.Context) error {
	w.told, w.met = map[event.ID]map[event.ID]uint64{}, map[event.ID]struct{}{}
	for {
		f, err := w.hub.join(ctx, w.tenant)
		if err != nil {
			return err
		}
		ended, err := w.turn(ctx, f)
		w.hub.leave(f)
		if ended || err != nil {
			return err
		}
	}
}

func (w *workWatch) turn(ctx context.Context, f *feed) (ended bool, err error) {
	if w.fresh {
		err = w.begin(ctx, f)
	} else {
		err = w.catchUp(ctx, f)
	}
	if err != nil {
		return true, err
	}
	return w.live(ctx, f)
}

// begin sends what matches now. Nothing is read while the caller takes it.
func (w *workWatch) begin(ctx context.Context, f *feed) error {
	items, err := w.matching(ctx)
	if err != nil {
		return err
	}
	w.whole, w.cursor.at = true, f.from // what was applied since is told twice, or not if it is the same
	for _, i := range items {
		if _, err := w.update(ctx, i, ""); err != nil { // whoever goes on from the middle begins again
			return err
		}
	}
	w.fresh = false
	return w.checkpoint()
}

// matching reads what matches now.
func (w *workWatch) matching(ctx context.Context) (items []*item, err error) {
	r, err := w.c.read(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	var spots []spot
	if err := w.each(ctx, r.view, func(s spot, _ *story.Brief) bool { spots = append(spots, s); return true }); err != nil {
		return nil, err
	}
	all, err := r.view.whole(ctx, w.tenant, spots)
	if err != nil {
		return nil, err
	}
	walk := r.walk(w.tenant, present)
	for _, i := range all {
		p, err := walk.part(i)
		if err != nil {
			return nil, err
		}
		id, err := walk.conversation(ctx, p)
		if err != nil {
			return nil, err
		}
		one, err := newItem(p, id)
		if err != nil {
			return nil, err
		}
		items = append(items, one)
	}
	return items, nil
}

// catchUp sends what lies between the cursor and what was followed when the feed began.
func (w *workWatch) catchUp(ctx context.Context, f *feed) error {
	missed, err := w.missed(ctx, f)
	if err != nil {
		return err
	}
	return w.news(ctx, &news{threads: missed, at: f.from})
}

// missed reads what lies between the cursor and what was followed when the feed began.
func (w *workWatch) missed(ctx context.Context, f *feed) ([]threadNews, error) {
	if w.cursor.at.work.generation != f.from.work.generation || w.cursor.at.links.generation != f.from.links.generation {
		return nil, errReset
	}
	r, err := w.c.read(ctx)
	if err != nil {
		return nil, err
	}
	defer r.close()
	if r.view.Namespace.Generation != f.from.work.generation || r.namespace.Generation != f.from.links.generation {
		return nil, errReset
	}
	if !canGoOn(w.cursor.at.work.next, f.from.work.next, changeWindow) || !canGoOn(w.cursor.at.links.next, f.from.links.next, linksWindow) {
		return nil, ErrExpiredCursor
	}
	changed := changes{}
	if err := changed.readWork(ctx, r.view, w.cursor.at.work.next, f.from.work.next); err != nil {
		return nil, err
	}
	partition := w.c.partition(w.tenant)
	if err := changed.readLinks(ctx, r.links, partition, w.cursor.at.links.next[partition], f.from.links.next[partition]); err != nil {
		return nil, err
	}
	c := changed.of(w.tenant)
	if err := c.resolve(ctx, r.walk(w.tenant, present)); err != nil {
		return nil, err
	}
	return c.news, nil
}

// canGoOn tells whether the changes behind a place are there.
func canGoOn(from, until projection.Vector, window int64) bool {
	for p, next := range from {
		if until[p] < next {
			return false // it has seen more than there is
		}
	}
	for p, next := range until {
		if from[p] < next-window {
			return false
		}
	}
	return true
}

// live sends what the hub hands out, and reports whether the watch has ended.
func (w *workWatch) live(ctx context.Context, f *feed) (ended bool, err error) {
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return true, ctx.Err()
		case n, waits := <-f.queue:
			if !waits {
				return false, nil
			}
			if err := w.news(ctx, n); err != nil {
				return true, err
			}
		case <-tick.C:
			at, ok := w.hub.position(f)
			if !ok {
				continue
			}
			w.cursor.at = at
			if err := w.checkpoint(); err != nil {
				return true, err
			}
		}
	}
}

// news sends what is new to the caller. All messages but the last have the cursor from before: who goes on from there is told the rest,
// and something twice rather than nothing.
func (w *workWatch) news(ctx context.Context, n *news) error {
	before := w.cursor.encode()
	sent := false
	for _, t := range n.threads {
		here := make(map[event.ID]struct{}, len(t.items))
		for _, i := range t.items {
			here[i.id] = struct{}{}
			told, err := w.update(ctx, i, before)
			if err != nil {
				return err
			}
			sent = sent || told
		}
		former, err := w.former(ctx, t.thread)
		if err != nil {
			return err
		}
		for _, id := range former {
			if _, is := here[id]; is {
				continue
			}
			if err := w.gone(id, before); err != nil {
				return err
			}
			sent = true
		}
		for id, digest := range w.told[t.thread] {
			if _, is := here[id]; is {
				continue
			}
			delete(w.told[t.thread], id)
			if digest == 0 {
				continue
			}
			if err := w.gone(id, before); err != nil {
				return err
			}
			sent = true
		}
		if len(w.told[t.thread]) == 0 {
			delete(w.told, t.thread)
		}
	}
	if w.cursor.at = n.at; sent {
		return w.checkpoint()
	}
	return nil
}

// former are the ids that interactions of a thread had before: who goes on may know them by those. It is asked for once a thread.
func (w *workWatch) former(ctx context.Context, thread event.ID) ([]event.ID, error) {
	if _, met := w.met[thread]; met || w.whole {
		return nil, nil
	}
	w.met[thread] = struct{}{}
	view, err := w.c.cfg.Interactions.View(ctx)
	if err != nil {
		return nil, err
	}
	ids, err := view.everIDs(ctx, w.tenant, thread)
	return ids, errors.Join(err, view.Close())
}

// everIDs are all ids that interactions of a thread have or had: of the events that ever opened one, and those that providers gave.
func (v *View) everIDs(ctx context.Context, tenant string, thread event.ID) ([]event.ID, error) {
	var ids []event.ID
	var keys [][]byte
	seen := map[event.ID]struct{}{{}: {}}
	candidate := func(id event.ID) {
		if _, is := seen[id]; !is {
			seen[id] = struct{}{}
			ids, keys = append(ids, id), append(keys, appendPair(nil, tenant, subID, id, thread))
		}
	}
	err := v.facts(ctx, tenant, thread, func(f *story.Fact) {
		if f.Kind != story.Silent {
			candidate(f.ID)
			candidate(f.Interaction)
		}
	})
	if err != nil || len(keys) == 0 {
		return nil, wrap("read former ids", err)
	}
	rows, err := v.snap.GetMany(ctx, keys)
	if err != nil {
		return nil, wrap("read former ids", err)
	}
	n := 0
	return slices.DeleteFunc(ids, func(event.ID) bool { n++; return rows[n-1] == nil }), nil
}

// facts yields those of a thread in their order.
func (v *View) facts(ctx context.Context, tenant string, thread event.ID, yield func(*story.Fact)) error {
	prefix := appendThread(nil, tenant, subFact, thread)
	return v.scan(ctx, kv.Prefix(prefix), func(key, value []byte) (bool, error) {
		at, err := story.DecodeMoment(key[len(prefix):])
		if err != nil {
			return false, err
		}
		var f story.Fact
		if err := f.Decode(value, at); err != nil {
			return false, err
		}
		yield(&f)
		return true, nil
	})
}

// update tells what is new of an interaction, if anything.
func (w *workWatch) update(ctx context.Context, i *item, cursor string) (told bool, err error) {
	digest, known := w.told[i.thread][i.id]
	if w.fits(&i.brief) {
		sum, err := i.sum()
		if err != nil || known && digest == sum {
			return false, err
		}
		customer, ok, err := w.customerOf(ctx, &i.brief)
		if err != nil {
			return false, err
		}
		if ok {
			w.knows(i, sum)
			return true, w.send(&conversationv1.WatchResponse{News: &conversationv1.WatchResponse_Work{Work: i.asWork(customer)}, Cursor: cursor})
		}
	}
	if known && digest == 0 || !known && w.whole {
		return false, nil
	}
	if w.whole {
		delete(w.told[i.thread], i.id)
	} else {
		w.knows(i, 0)
	}
	return true, w.gone(i.id, cursor)
}

func (w *workWatch) knows(i *item, digest uint64) {
	if w.told[i.thread] == nil {
		w.told[i.thread] = map[event.ID]uint64{}
	}
	w.told[i.thread][i.id] = digest
}

func (w *workWatch) gone(id event.ID, cursor string) error {
	return w.send(&conversationv1.WatchResponse{News: &conversationv1.WatchResponse_Gone{Gone: id.String()}, Cursor: cursor})
}

func (w *workWatch) checkpoint() error {
	return w.send(&conversationv1.WatchResponse{Cursor: w.cursor.encode()})
}

// matterWatch is one caller's watch of a conversation.
type matterWatch struct {
	*Conversations
	tenant string
	id     event.ID
	cursor watchCursor
	fresh  bool
	send   func(*conversationv1.WatchResponse) error
}

// run sends the conversation each time that it is another one, until ctx ends. It reads again behind each alarm, so nothing is missed,
// and what changes while it reads is told once.
func (w *matterWatch) run(ctx context.Context) error {
	ids := []event.ID{w.id}
	tick := time.NewTicker(checkpointEvery)
	defer tick.Stop()
	for {
		a := w.hub.await(w.tenant, ids)
		touched, grown, err := w.tell(ctx, ids)
		if err == nil && !grown {
			select {
			case <-ctx.Done():
				err = ctx.Err()
			case <-a.changed:
			case <-tick.C:
				err = w.send(&conversationv1.WatchResponse{Cursor: w.cursor.encode()})
			}
		}
		w.hub.forget(a)
		if err != nil {
			return err
		}
		if w.hub.isStopped() {
			return ErrStopping
		}
		ids = touched
	}
}

func compareIDs(a, b event.ID) int { return bytes.Compare(a[:], b[:]) }

// tell sends the conversation if it is another one. Grown tells that it was read without an alarm for all of it. Both lists of ids are in
// order.
func (w *matterWatch) tell(ctx context.Context, awaited []event.ID) (touched []event.ID, grown bool, err error) {
	other, touched, grown, err := w.look(ctx, awaited)
	if other == nil || err != nil {
		return touched, grown, err
	}
	return touched, false, w.send(&conversationv1.WatchResponse{
		News: &conversationv1.WatchResponse_Conversation{Conversation: other}, Cursor: w.cursor.encode(),
	})
}

// look reads the conversation; nil where it is the one that was told.
func (w *matterWatch) look(ctx context.Context, awaited []event.ID) (other *conversationv1.Conversation, touched []event.ID, grown bool, err error) {
	r, err := w.read(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	defer r.close()
	at, err := r.place(ctx)
	if err != nil {
		return nil, nil, false, err
	}
	if !w.fresh && (at.work.generation != w.cursor.at.work.generation || at.links.generation != w.cursor.at.links.generation) {
		return nil, nil, false, errReset
	}
	walk := r.walk(w.tenant, present)
	_, m, err := walk.named(ctx, w.id)
	if err != nil {
		return nil, nil, false, err
	}
	touched = slices.SortedFunc(maps.Keys(m.touched), compareIDs)
	for _, id := range touched {
		if _, is := slices.BinarySearchFunc(awaited, id, compareIDs); !is {
			return nil, touched, true, nil
		}
	}
	conversation, err := r.conversation(ctx, w.tenant, m)
	if err != nil {
		return nil, nil, false, err
	}
	sum, err := matterDigest(conversation)
	if err != nil {
		return nil, nil, false, err
	}
	w.cursor.at = place{work: sliceAt{generation: at.work.generation}, links: sliceAt{generation: at.links.generation}}
	if !w.fresh && sum == w.cursor.digest {
		return nil, touched, false, nil
	}
	w.fresh, w.cursor.digest = false, sum
	return conversation, touched, false, nil
}
