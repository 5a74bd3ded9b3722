package search

import (
	"context"
	"slices"
	"strings"

	"github.com/blevesearch/bleve/v2/search/query"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// maxThreads is how many threads the fold remembers who opened them.
const maxThreads = 100_000

// maxYear is the last one whose times fit into 64 bits of nanoseconds.
const maxYear = 2261

// item is a record, and what there is to index of it; event is nil where there is nothing.
type item struct {
	at        place
	partition int32
	offset    int64
	event     *eventv1.Event
	id        event.ID
	thread    event.ID
	endpoints []event.ID // of the customers that it names
	text      string
	spoken    bool // text can be found
	// message is the provider's id of the message that it edits or takes back.
	message string
}

// understand reads what a record is about, without its content. What the timeline refuses is nothing.
func understand(r eventlog.Record, partitions int) item {
	in := item{at: placeOf(r), partition: r.Partition, offset: r.Offset}
	e, err := event.Decode(r.Value)
	if err != nil {
		return in
	}
	if string(r.Key) != e.GetThreadId() || strings.ToLower(e.GetThreadId()) != e.GetThreadId() ||
		eventlog.Partition(r.Key, partitions) != r.Partition || e.GetOccurredAt().AsTime().Year() > maxYear || len(e.GetType()) > 255 {
		return in
	}
	if in.id, err = event.ParseID(e.GetId()); err != nil {
		return in
	}
	if in.thread, err = event.ParseID(e.GetThreadId()); err != nil {
		return in
	}
	for _, p := range e.GetParties() {
		if p.GetSide() != eventv1.Side_SIDE_CUSTOMER || p.GetEndpointId() == "" {
			continue
		}
		if id, err := event.ParseID(p.GetEndpointId()); err == nil && !slices.Contains(in.endpoints, id) {
			in.endpoints = append(in.endpoints, id)
		}
	}
	in.event = e
	return in
}

// fold makes rows of records. The rows follow from the records of each partition in their order alone, whatever the batches.
type fold struct {
	table   *table
	keyring *event.Keyring
	openers map[key]event.ID // of threads of late
}

// apply takes in one record.
func (f *fold) apply(ctx context.Context, in item) error {
	if in.event != nil {
		if err := f.take(ctx, &in); err != nil {
			return err
		}
	}
	f.table.places[in.partition] = in.at
	return nil
}

func (f *fold) take(ctx context.Context, in *item) error {
	tenant := in.event.GetTenant()
	k := key{kindEvent, tenant, in.id}
	if in.spoken {
		if seen, err := f.table.get(k); err != nil {
			return err
		} else if seen != nil && seen.state != stateEdited { // the first in the log keeps an id
			return nil
		}
	}
	opener, err := f.opener(ctx, in)
	if err != nil {
		return err
	}
	switch {
	case in.event.GetType() == event.TypeMessageDeleted && in.message != "":
		return f.takeBack(in)
	case !in.spoken:
		return nil
	}
	r := &row{
		state: stateShown, channel: in.event.GetChannel(), direction: in.event.GetDirection(), partition: in.partition, offset: in.offset,
		occurred: in.event.GetOccurredAt().AsTime().UnixNano(), thread: in.thread, named: len(in.endpoints) > 0, endpoints: in.endpoints,
		typ: in.event.GetType(), text: in.text,
	}
	r.edited, r.editedOffset = r.occurred, r.offset
	if !r.named && !opener.IsZero() {
		r.endpoints = []event.ID{opener}
	}
	switch {
	case r.typ == event.TypeMessageEdited && in.message != "":
		return f.edit(in, k, r)
	case r.text != "" || r.typ == event.TypeMessageReceived || r.typ == event.TypeMessageSent: // one without text may get some
		return f.show(k, r)
	}
	return nil
}

// show puts in an event. Where it is a message that was edited already, it says what the edit says.
func (f *fold) show(k key, r *row) error {
	seen, err := f.table.get(k)
	if err != nil {
		return err
	}
	if seen == nil {
		f.table.set(k, r)
		return nil
	}
	byKey := key{kindEvent, k.tenant, seen.by}
	by, err := f.table.get(byKey)
	if err != nil {
		return err
	}
	r.by, r.text, r.edited, r.editedOffset = seen.by, "", seen.edited, seen.editedOffset
	if by != nil && by.state == stateShown {
		r.text = by.text
	}
	f.table.set(k, r)
	f.table.set(byKey, &row{state: stateGone})
	return nil
}

// edit gives a message the text of an edit; the last edit is in force. One whose message is not known stands for it.
func (f *fold) edit(in *item, k key, r *row) error {
	mine := func(seen *row) bool { // the edit is later than the one in force
		return r.occurred > seen.edited || r.occurred == seen.edited && r.offset > seen.editedOffset
	}
	messages := f.messages(in)
	late := false
	for _, m := range messages {
		seen, err := f.table.get(m)
		switch {
		case err != nil:
			return err
		case seen == nil:
			continue
		case seen.state == stateShown:
			if seen.by.IsZero() || mine(seen) {
				changed := *seen
				changed.by, changed.text, changed.edited, changed.editedOffset = in.id, r.text, r.occurred, r.offset
				f.table.set(m, &changed)
			}
			f.table.set(k, &row{state: stateGone})
			return nil
		case seen.state == stateGone:
			f.table.set(k, &row{state: stateGone})
			return nil
		case mine(seen):
			f.table.set(key{kindEvent, k.tenant, seen.by}, &row{state: stateGone})
		default:
			late = true
		}
	}
	if late {
		f.table.set(k, &row{state: stateGone})
		return nil
	}
	for _, m := range messages {
		f.table.set(m, &row{state: stateEdited, by: in.id, edited: r.occurred, editedOffset: r.offset})
	}
	f.table.set(k, r)
	return nil
}

// takeBack makes a message one that cannot be found, whether it was seen yet or not.
func (f *fold) takeBack(in *item) error {
	for _, m := range f.messages(in) {
		seen, err := f.table.get(m)
		if err != nil {
			return err
		}
		if seen != nil && seen.state == stateEdited {
			f.table.set(key{kindEvent, m.tenant, seen.by}, &row{state: stateGone})
		}
		f.table.set(m, &row{state: stateGone})
	}
	return nil
}

// messages are the ids that the message may have which an edit or a deletion is about: it follows from the provider's id, and from who
// wrote it. None where the key of its thread is not known.
func (f *fold) messages(in *item) []key {
	ids := f.keyring.TenantAt(in.event.GetTenant(), in.thread.KeyVersion())
	if ids == nil {
		return nil
	}
	var all []key
	for _, typ := range []string{event.TypeMessageReceived, event.TypeMessageSent} {
		all = append(all, key{kindEvent, in.event.GetTenant(), ids.Event(in.thread, in.message, typ, 0, nil)})
	}
	return all
}

// opener gives who opened the thread of an event: the first customer that an event in it has named. If that is this one, then what waited
// for it is filed under that customer, too. Zero where nobody has.
func (f *fold) opener(ctx context.Context, in *item) (event.ID, error) {
	k := key{kindThread, in.event.GetTenant(), in.thread}
	if id, ok := f.openers[k]; ok {
		return id, nil
	}
	seen, err := f.table.get(k)
	switch {
	case err != nil:
		return event.ID{}, err
	case seen != nil && seen.state == stateOpened && len(seen.endpoints) == 1:
		f.remember(k, seen.endpoints[0])
		return seen.endpoints[0], nil
	case len(in.endpoints) == 0:
		if seen == nil && in.spoken {
			f.table.set(k, &row{state: stateWaiting})
		}
		return event.ID{}, nil
	}
	opener := in.endpoints[0]
	if seen != nil {
		waiting, err := f.table.waitingIn(ctx, k.tenant, in.thread)
		if err != nil {
			return event.ID{}, err
		}
		for _, w := range waiting {
			r, err := f.table.get(w)
			if err != nil {
				return event.ID{}, err
			}
			if r != nil && r.state == stateShown && len(r.endpoints) == 0 {
				filed := *r
				filed.endpoints = []event.ID{opener}
				f.table.set(w, &filed)
			}
		}
	}
	f.table.set(k, &row{state: stateOpened, endpoints: []event.ID{opener}})
	f.remember(k, opener)
	return opener, nil
}

func (f *fold) remember(k key, opener event.ID) {
	if len(f.openers) >= maxThreads {
		clear(f.openers)
	}
	f.openers[k] = opener
}

// forget takes everything from a tenant's index that names an endpoint. It gives how much that is.
func (f *fold) forget(ctx context.Context, tenant string, endpoint event.ID) (int, error) {
	found, err := f.table.matching(ctx, every{filter: []query.Query{term(fieldTenant, tenant), term(fieldEndpoint, idTerm(endpoint))}})
	if err != nil {
		return 0, err
	}
	for _, k := range found {
		f.table.set(k, &row{state: stateGone})
	}
	return len(found), nil
}

// read takes from a content what there is to index.
func (in *item) read(content *eventv1.Content) {
	in.message = content.GetMessageEdited().GetMessage()
	if deleted := content.GetMessageDeleted(); deleted != nil {
		in.message = deleted.GetMessage()
		return
	}
	in.text, in.spoken = spoken(content)
}
