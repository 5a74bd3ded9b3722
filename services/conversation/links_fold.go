package conversation

import (
	"context"
	"slices"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/projection"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Changes of links older than linksWindow records of their partition are dropped, every linksTrim records.
const (
	linksWindow = 1 << 20
	linksTrim   = 1 << 12
)

// What keys can hold: a tenant's length is one byte, a time is nanoseconds in 64 bits.
const (
	linksMaxTenant = 63
	linksMaxYear   = 2261
)

// LinksFold decides about what joins interactions and threads, in the order of the log. What is not its own it passes over: what is broken
// among the links is reported by the slice of the customers.
type LinksFold struct {
	partitions int
	keyring    *event.Keyring
}

// NewLinksFold makes the fold for a topic of links with so many partitions.
func NewLinksFold(partitions int, keyring *event.Keyring) *LinksFold {
	return &LinksFold{partitions: partitions, keyring: keyring}
}

// Apply folds one record.
func (f *LinksFold) Apply(ctx context.Context, tx *projection.Tx, r eventlog.Record) error {
	_, apply := f.Prefetch(r)
	return apply(ctx, tx)
}

// Prefetch tells which keys are read for a record.
func (f *LinksFold) Prefetch(r eventlog.Record) (reads [][]byte, apply func(context.Context, *projection.Tx) error) {
	in := f.read(r)
	if in != nil {
		reads = in.reads()
	}
	return reads, func(ctx context.Context, tx *projection.Tx) error {
		if in != nil {
			if err := in.apply(ctx, tx); err != nil {
				return err
			}
		}
		if r.Offset%linksTrim == 0 && r.Offset > linksWindow {
			tx.Trim(linksChangeKey(r.Partition, 0), linksChangeKey(r.Partition, r.Offset-linksWindow))
		}
		return nil
	}
}

// incomingLink is one record of the slice, understood. What it asks for is malformed where it has no members.
type incomingLink struct {
	record   eventlog.Record
	tenant   string
	id       event.ID
	received int64
	kind     linkKind
	link     *conversationv1.ConversationLink
	members  []event.ID
	near     []event.ID // threads of members
	undoes   event.ID
}

// read understands a record; nil where it is none of the slice's.
func (f *LinksFold) read(r eventlog.Record) *incomingLink {
	e, err := event.Decode(r.Value)
	if err != nil || len(e.GetTenant()) > linksMaxTenant || e.GetReceivedAt().AsTime().Year() > linksMaxYear {
		return nil
	}
	in := &incomingLink{record: r, tenant: e.GetTenant(), received: e.GetReceivedAt().AsTime().UnixNano()}
	switch e.GetType() {
	case event.TypeConversationLinked:
		in.kind = kindLink
	case event.TypeThreadJoined:
		in.kind = kindJoin
	case event.TypeLinkUndone:
		in.kind = kindUndo
	default:
		return nil
	}
	if string(r.Key) != in.tenant || eventlog.Partition(r.Key, f.partitions) != r.Partition { // one writer per key rests on it
		return nil
	}
	if in.id, err = event.ParseID(e.GetId()); err != nil {
		return nil
	}
	in.link = &conversationv1.ConversationLink{
		EventId: in.id.String(), Actor: e.GetActor(), At: timestamppb.New(e.GetOccurredAt().AsTime()),
	}
	f.body(e, in)
	for _, id := range in.members {
		in.link.Members = append(in.link.Members, id.String())
	}
	return in
}

// body reads what an event asks for.
func (f *LinksFold) body(e *eventv1.Event, in *incomingLink) {
	content, err := event.DecodeContent(e)
	if err != nil {
		return
	}
	switch in.kind {
	case kindLink:
		body := content.GetConversationLinked()
		in.link.Reason, in.link.Rule = body.GetReason(), body.GetRule()
		for _, text := range body.GetMembers() {
			id, err := event.ParseID(text)
			if err != nil || id.IsZero() {
				in.members = nil
				return
			}
			if !slices.Contains(in.members, id) {
				in.members = append(in.members, id)
			}
		}
		for _, text := range body.GetThreadIds() {
			if id, err := event.ParseID(text); err == nil && !slices.Contains(in.near, id) {
				in.near = append(in.near, id)
			}
		}
	case kindJoin:
		native := content.GetThreadJoined().GetParentThread()
		child, err := event.ParseID(e.GetThreadId())
		if err != nil || native == "" {
			return
		}
		ids := f.keyring.TenantAt(in.tenant, child.KeyVersion())
		if ids == nil {
			return
		}
		if parent := ids.Thread(e.GetInbox(), native); parent != child {
			in.members = []event.ID{child, parent}
		}
	case kindUndo:
		body := content.GetLinkUndone()
		in.link.Reason = body.GetReason()
		in.undoes, _ = event.ParseID(body.GetEventId()) // zero where it is none
	}
}

func (in *incomingLink) reads() [][]byte {
	keys := [][]byte{linksClockKey(in.tenant), linksKey(in.tenant, linksEvent, in.id)}
	if in.kind == kindUndo {
		return append(keys, linksKey(in.tenant, linksEvent, in.undoes))
	}
	for _, id := range in.members {
		keys = append(keys, linksKey(in.tenant, linksEdges, id))
	}
	for _, id := range in.near {
		keys = append(keys, linksKey(in.tenant, linksEdges, id))
	}
	return keys
}

func (in *incomingLink) apply(ctx context.Context, tx *projection.Tx) error {
	key := linksKey(in.tenant, linksEvent, in.id)
	if _, found, err := tx.Get(ctx, key); found || err != nil {
		return err // the first in the log keeps an id
	}
	now, err := in.clock(ctx, tx)
	if err != nil {
		return err
	}
	d := &decision{kind: in.kind, outcome: outcomeDone, made: now, undone: stamp{offset: never}, link: in.link, members: in.members, near: in.near}
	switch {
	case in.kind == kindUndo:
		err = in.undo(ctx, tx, d)
	case len(in.members) == 0:
		d.outcome = outcomeMalformed
	default:
		err = in.join(ctx, tx, d)
	}
	if err != nil {
		return err
	}
	return setDecision(tx, key, d)
}

// clock moves the tenant's clock on.
func (in *incomingLink) clock(ctx context.Context, tx *projection.Tx) (stamp, error) {
	key := linksClockKey(in.tenant)
	now := stamp{offset: in.record.Offset, clock: in.received}
	raw, found, err := tx.Get(ctx, key)
	switch {
	case err != nil:
		return now, err
	case found && len(raw) != 2*8:
		return now, errLinksDamaged
	case found:
		now.clock = max(now.clock, decodeStamp(raw).clock)
	}
	tx.Set(key, now.append(nil))
	return now, nil
}

// join notes a link with all that it is about.
func (in *incomingLink) join(ctx context.Context, tx *projection.Tx, d *decision) error {
	for n, id := range d.members {
		role := roleMember
		if d.kind == kindJoin {
			role = [...]edgeRole{joinChild: roleChild, joinParent: roleParent}[n]
		}
		if err := in.note(ctx, tx, id, role); err != nil {
			return err
		}
	}
	for _, id := range d.near {
		if err := in.note(ctx, tx, id, roleNear); err != nil {
			return err
		}
	}
	in.change(tx, d)
	return nil
}

func (in *incomingLink) note(ctx context.Context, tx *projection.Tx, id event.ID, role edgeRole) error {
	key := linksKey(in.tenant, linksEdges, id)
	row, _, err := tx.Get(ctx, key)
	if err != nil {
		return err
	}
	tx.Set(key, edge{role, in.id}.append(slices.Clip(row)))
	return nil
}

func (in *incomingLink) undo(ctx context.Context, tx *projection.Tx, d *decision) error {
	if in.undoes.IsZero() {
		d.outcome = outcomeMalformed
		return nil
	}
	d.link.Members = []string{in.undoes.String()}
	key := linksKey(in.tenant, linksEvent, in.undoes)
	raw, found, err := tx.Get(ctx, key)
	if err != nil {
		return err
	}
	if !found {
		d.outcome = outcomeUnknownEvent
		return nil
	}
	undone, err := decodeDecision(raw)
	switch {
	case err != nil:
		return err
	case undone.kind == kindUndo || undone.outcome != outcomeDone:
		d.outcome = outcomeUnknownEvent
	case undone.undone.offset != never:
		d.outcome = outcomeAlreadyUndone
	default:
		undone.undone = d.made
		if err := setDecision(tx, key, undone); err != nil {
			return err
		}
		in.change(tx, undone)
	}
	return nil
}

func (in *incomingLink) change(tx *projection.Tx, d *decision) {
	tx.SetUnread(linksChangeKey(in.record.Partition, in.record.Offset), linkChange{in.tenant, d.named()}.append(nil))
}

func setDecision(tx *projection.Tx, key []byte, d *decision) error {
	b, err := d.encode()
	if err != nil {
		return err
	}
	tx.Set(key, b)
	return nil
}

var _ projection.Prefetcher = (*LinksFold)(nil)
