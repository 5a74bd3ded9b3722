package conversation

import (
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/conversation/story"
)

// What a fact keeps of a text, in bytes: as much as lists show.
const (
	keptText  = 1024
	keptName  = 256
	keptValue = 4096
	keptList  = 64
)

// maxYear is the last one that nanoseconds in 64 bits hold.
const maxYear = 2261

// incoming is one record, understood.
type incoming struct {
	record eventlog.Record
	tenant string
	thread event.ID
	fact   story.Fact
	event  *eventv1.Event
}

// read understands a record. It is false for one that is of no interest here: a broken one, of which the timeline tells, or an event that
// changes no interaction.
func (f *Fold) read(r eventlog.Record, in *incoming) bool {
	kind := kindOf(r.Value)
	if kind == story.Silent {
		return false
	}
	e, err := event.Decode(r.Value)
	if err != nil || story.KindOf(e.GetType()) != kind {
		return false
	}
	occurred, received := e.GetOccurredAt().AsTime(), e.GetReceivedAt().AsTime()
	thread, err := event.ParseID(e.GetThreadId())
	// One writer per key rests on the record's key, and on its partition.
	if err != nil || len(e.GetTenant()) > maxTenant || occurred.Year() > maxYear || received.Year() > maxYear ||
		strings.ToLower(e.GetThreadId()) != e.GetThreadId() || string(r.Key) != e.GetThreadId() ||
		eventlog.Partition(r.Key, f.partitions) != r.Partition {
		return false
	}
	*in = incoming{record: r, tenant: e.GetTenant(), thread: thread, event: e, fact: story.Fact{
		Moment: story.Moment{Occurred: occurred.UnixNano(), Received: received.UnixNano(), Offset: r.Offset},
		Kind:   kind, ID: id(e.GetId()),
		Interaction: id(e.GetInteractionId()), Visit: id(e.GetVisitId()), Assignment: id(e.GetAssignmentId()),
		Channel: e.GetChannel(), Direction: e.GetDirection(), Origin: e.GetOrigin(), Provider: event.Clip(e.GetProvider(), keptName),
		Inbox: event.Clip(e.GetInbox(), keptName), Queue: event.Clip(e.GetQueue(), keptName), Language: event.Clip(e.GetLanguage(), keptName),
		Correlation: event.Clip(e.GetCorrelationId(), keptName), Backfill: e.GetBackfill(),
	}}
	if a := e.GetActor(); a != nil {
		in.fact.Actor.Kind = a.GetKind()
		if a.GetKind() != eventv1.ActorKind_ACTOR_KIND_CUSTOMER {
			in.fact.Actor.ID = event.Clip(a.GetId(), keptName)
		}
	}
	if parties := e.GetParties(); len(parties) > 0 {
		in.fact.Parties = make([]story.Party, len(parties))
		for n, p := range parties {
			in.fact.Parties[n] = story.Party{Endpoint: id(p.GetEndpointId()), Kind: p.GetKind(), Role: p.GetRole(), Side: p.GetSide()}
		}
	}
	if kind == story.TimerFired && !e.GetBackfill() {
		in.fact.Received = math.MaxInt64 // behind all else that happened when it was due, whenever it was published
	}
	if e.GetSeal() == "" {
		f.readContent(in)
	}
	return true
}

// kindOf looks what an event is, without decoding it: many change nothing.
func kindOf(record []byte) (kind story.Kind) {
	fields(record, func(num protowire.Number, typ protowire.Type, value []byte) bool {
		if num != fieldType || typ != protowire.BytesType {
			return true
		}
		kind = story.KindOf(string(value))
		return false
	})
	return kind
}

// id is one that event.Decode has checked, or none.
func id(s string) event.ID {
	id, err := event.ParseID(s)
	if err != nil {
		return event.ID{}
	}
	return id
}

// readContent reads what matters of the content. What cannot be read says nothing.
func (f *Fold) readContent(in *incoming) {
	switch in.fact.Kind {
	case story.Received, story.SendRequested, story.Sent:
		readMessage(in.event.GetContent(), &in.fact)
	case story.Started, story.Ended, story.StatusChanged, story.Resolved, story.Categorized, story.AttributesUpdated, story.PolicySet,
		story.PartyJoined, story.BotStarted, story.BotEnded, story.QueueEntered, story.QueueLeft, story.Declined, story.ShareEnded,
		story.WrapupEnded, story.TransferCompleted, story.TimerFired:
		content, err := event.DecodeContent(in.event)
		if err != nil {
			return
		}
		in.fact.Body = &story.Body{}
		if started := content.GetInteractionStarted(); started != nil {
			in.fact.Subject = event.Clip(started.GetSubject(), keptText)
			in.fact.Body.Continues = f.continues(in, started.GetContinues())
			return
		}
		fill(in.fact.Body, content)
	default: // the envelope says it all
	}
}

// continues is the thread that the provider's id of an interaction names: where interactions have no ids of their own, it is the thread's.
func (f *Fold) continues(in *incoming, native string) event.ID {
	if native == "" || f.keyring == nil {
		return event.ID{}
	}
	ids := f.keyring.TenantAt(in.tenant, in.thread.KeyVersion())
	if ids == nil {
		return event.ID{}
	}
	return ids.Thread(in.event.GetInbox(), native)
}

func fill(b *story.Body, content *eventv1.Content) {
	switch x := content.GetBody().(type) {
	case *eventv1.Content_InteractionEnded:
		b.Reason, b.Window = x.InteractionEnded.GetReason(), span(x.InteractionEnded.GetReopenWindow())
	case *eventv1.Content_InteractionStatusChanged:
		b.Status, b.Until = x.InteractionStatusChanged.GetStatus(), nanos(x.InteractionStatusChanged.GetSnoozedUntil())
	case *eventv1.Content_InteractionResolved:
		b.Text, b.Window = event.Clip(x.InteractionResolved.GetResolution(), keptText), span(x.InteractionResolved.GetReopenWindow())
	case *eventv1.Content_InteractionCategorized:
		b.Added, b.Flag = clip(x.InteractionCategorized.GetContactReason()), x.InteractionCategorized.GetComplaint()
		b.Text = event.Clip(x.InteractionCategorized.GetDisposition(), keptName)
	case *eventv1.Content_InteractionAttributesUpdated:
		u := x.InteractionAttributesUpdated
		b.Added, b.Removed, b.Priority = clip(u.GetTagsAdded()), clip(u.GetTagsRemoved()), u.GetPriority()
		for _, name := range slices.Sorted(maps.Keys(u.GetAttributes())) {
			b.Set = append(b.Set, story.Attribute{Name: event.Clip(name, keptName), Value: event.Clip(u.GetAttributes()[name], keptValue)})
		}
	case *eventv1.Content_InteractionPolicySet:
		p := x.InteractionPolicySet
		b.Text, b.Time, b.Window = event.Clip(p.GetPolicy(), keptName), span(p.GetIdleTimeout()), span(p.GetReopenWindow())
		b.Wrapup, b.About = span(p.GetWrapupTimeout()), id(p.GetInteractionId())
		for _, k := range p.GetClocks()[:min(len(p.GetClocks()), keptList)] {
			b.Clocks = append(b.Clocks, story.Clock{
				Metric: k.GetMetric(), Target: span(k.GetTarget()), Since: nanos(k.GetSince()), Due: nanos(k.GetDueAt()),
			})
		}
	case *eventv1.Content_PartyJoined:
		b.Mode = x.PartyJoined.GetSupervisorMode()
	case *eventv1.Content_BotStarted:
		b.Text = event.Clip(x.BotStarted.GetBot(), keptName)
	case *eventv1.Content_BotEnded:
		b.Flag, b.Reason = x.BotEnded.GetContained(), x.BotEnded.GetReason()
	case *eventv1.Content_QueueEntered:
		q := x.QueueEntered
		b.Time, b.Added, b.Priority = span(q.GetSlaTarget()), clip(q.GetSkills()), q.GetPriority()
	case *eventv1.Content_QueueLeft:
		b.Outcome, b.Target = x.QueueLeft.GetOutcome(), event.Clip(x.QueueLeft.GetTarget(), keptName)
	case *eventv1.Content_AssignmentDeclined:
		b.Decline = x.AssignmentDeclined.GetReason()
	case *eventv1.Content_AssignmentEnded:
		b.Reason = x.AssignmentEnded.GetReason()
	case *eventv1.Content_WrapupEnded:
		b.Text, b.Flag = event.Clip(x.WrapupEnded.GetDisposition(), keptName), x.WrapupEnded.GetInferred()
	case *eventv1.Content_TransferCompleted:
		b.Target = event.Clip(x.TransferCompleted.GetTarget(), keptName)
	case *eventv1.Content_TimerFired:
		b.Text, b.ArmedBy = event.Clip(x.TimerFired.GetTimer(), keptName), id(x.TimerFired.GetArmedBy())
		b.About = id(x.TimerFired.GetInteractionId())
	}
}

func clip(texts []string) []string {
	var kept []string
	for _, t := range texts[:min(len(texts), keptList)] {
		kept = append(kept, event.Clip(t, keptName))
	}
	return kept
}

// nanos is a time of a content, if it is one of the times that events have; else none.
func nanos(t *timestamppb.Timestamp) int64 {
	if !t.IsValid() || t.GetSeconds() < 0 || t.AsTime().Year() > maxYear {
		return 0
	}
	return t.AsTime().UnixNano()
}

// span is a duration of a content; none for one that is negative or no duration.
func span(d *durationpb.Duration) time.Duration {
	if !d.IsValid() {
		return 0
	}
	return max(d.AsDuration(), 0)
}

// The fields of Event, Content and Message that are read without decoding all of it; a test holds them to the proto.
const (
	fieldType         = 3
	fieldNativeThread = 2
	fieldReceived     = 210
	fieldSent         = 212
	fieldSubject      = 1
	fieldAutoReply    = 7
	fieldBulk         = 8
	fieldBounce       = 9
)

// readMessage takes from the content of a message its subject, and whether a machine wrote it.
func readMessage(content []byte, f *story.Fact) {
	fields(content, func(num protowire.Number, typ protowire.Type, body []byte) bool {
		if num < fieldReceived || num > fieldSent || typ != protowire.BytesType {
			return true
		}
		fields(body, func(num protowire.Number, typ protowire.Type, value []byte) bool {
			switch {
			case num == fieldSubject && typ == protowire.BytesType:
				f.Subject = event.Clip(string(value), keptText)
			case num == fieldBounce && typ == protowire.BytesType:
				f.Machine = true
			case (num == fieldAutoReply || num == fieldBulk) && typ == protowire.VarintType:
				n, _ := protowire.ConsumeVarint(value)
				f.Machine = f.Machine || n != 0
			}
			return true
		})
		return false
	})
}

// nativeThread is the provider's id of the thread that a content names.
func nativeThread(content []byte) (native string) {
	fields(content, func(num protowire.Number, typ protowire.Type, value []byte) bool {
		if num != fieldNativeThread || typ != protowire.BytesType {
			return true
		}
		native = string(value)
		return false
	})
	return native
}

// fields yields the fields of a message, of bytes without their length, until it returns false or what comes cannot be read.
func fields(b []byte, yield func(protowire.Number, protowire.Type, []byte) bool) {
	for len(b) > 0 {
		num, typ, n := protowire.ConsumeTag(b)
		if n < 0 {
			return
		}
		b = b[n:]
		if n = protowire.ConsumeFieldValue(num, typ, b); n < 0 {
			return
		}
		value := b[:n]
		if typ == protowire.BytesType {
			value, _ = protowire.ConsumeBytes(value)
		}
		if !yield(num, typ, value) {
			return
		}
		b = b[n:]
	}
}

// wrap says what was tried.
func wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("conversation: %s: %w", what, err)
}
