package freeswitch

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch/esl"
)

const (
	blind   = eventv1.TransferKind_TRANSFER_KIND_BLIND
	consult = eventv1.TransferKind_TRANSFER_KIND_CONSULT
)

// transfer is an entry of a channel's transfer_history.
type transfer struct {
	entry  string
	at     time.Time // in seconds
	kind   eventv1.TransferKind
	target string
}

// transfersOf reads transfer_history, which every later event of the channel holds: "1436280728:<uuid>:bl_xfer:1003/default/XML",
// "...:att_xfer:10@host/1003@host". An entry of the kind uuid_br is any connection of two legs and no transfer by itself:
// mod_callcenter makes one for each answer.
func transfersOf(o occurrence) []transfer {
	var all []transfer
	for _, entry := range esl.List(o.Get("variable_transfer_history")) {
		parts := strings.SplitN(entry, ":", 4)
		if len(parts) != 4 || len(entry) > 1024 {
			continue
		}
		t := transfer{entry: entry}
		var ok bool
		if t.at, ok = seconds(parts[0]); !ok {
			continue
		}
		switch parts[2] {
		case "bl_xfer":
			t.kind = blind
			t.target, _, _ = strings.Cut(parts[3], "/")
		case "att_xfer":
			t.kind = consult
			t.target, _, _ = strings.Cut(parts[3][strings.LastIndexByte(parts[3], '/')+1:], "@")
		default:
			continue
		}
		all = append(all, t)
	}
	return all
}

// transferred tells of the transfers in a channel's history. The entry alone makes the events, so that the same ones come of each
// event that holds it: they have the second of the entry as their time, and neither actor nor direction.
//
// An attended transfer gets its entry when it is done. A blind one is done once the channel was connected with the target; it
// has failed where the last thing that was dialled for it did not answer and the channel hung up.
func (b *book) transferred(o occurrence) []*eventv1.Submission {
	var all []*eventv1.Submission
	history := transfersOf(o)
	for i, t := range history {
		target := t.target
		if id := b.agent(target); id != "" {
			target = id
		}
		one := func(typ string, content *eventv1.Content) *eventv1.Submission {
			s := o.submission(typ, o.call(), eventv1.Direction_DIRECTION_UNSPECIFIED)
			s.NativeId, s.OccurredAt, s.Content = t.entry, timestamppb.New(t.at), content
			return s
		}
		all = append(all, one(event.TypeTransferStarted, &eventv1.Content{Body: &eventv1.Content_TransferStarted{
			TransferStarted: &eventv1.TransferStarted{Kind: t.kind, Target: target},
		}}))
		bridged, _ := micros(o.Get("Caller-Channel-Bridged-Time"))
		last, hungUp := i == len(history)-1, o.Get("Event-Name") == "CHANNEL_HANGUP_COMPLETE"
		switch disposition := o.Get("variable_originate_disposition"); {
		case t.kind == consult, last && (!hungUp || !bridged.Before(t.at)):
			all = append(all, one(event.TypeTransferCompleted, &eventv1.Content{Body: &eventv1.Content_TransferCompleted{
				TransferCompleted: &eventv1.TransferCompleted{Kind: t.kind, Target: target},
			}}))
		case last && disposition != "" && disposition != "SUCCESS":
			failed := one(event.TypeTransferFailed, &eventv1.Content{Body: &eventv1.Content_TransferFailed{
				TransferFailed: &eventv1.TransferFailed{Kind: t.kind, Target: target, Reason: disposition},
			}})
			failed.OccurredAt = timestamppb.New(o.at)
			all = append(all, failed)
		}
	}
	return all
}

// executed reads what the dialplan runs: att_xfer, an attended transfer that leaves no entry in the history.
func (b *book) executed(o occurrence) []*eventv1.Submission {
	if o.Get("Application") != "att_xfer" {
		return nil
	}
	data := o.Get("Application-Data")
	target, _, _ := strings.Cut(data[strings.LastIndexByte(data, '/')+1:], "@")
	actor := b.agent(o.Get("variable_cc_agent"), o.Get("Caller-Username"), o.Get("variable_dialed_user"), o.Get("Caller-Destination-Number"))
	if id := b.agent(target); id != "" {
		target = id
	}
	s := o.submission(event.TypeTransferStarted, o.call(), b.sides(o).direction)
	if execution := o.Get("Application-UUID"); execution != "" {
		s.NativeId = execution
	}
	if actor != "" {
		s.Actor = agent(actor)
	}
	s.Content = &eventv1.Content{Body: &eventv1.Content_TransferStarted{TransferStarted: &eventv1.TransferStarted{Kind: consult, Target: target}}}
	if o.Get("Event-Name") == "CHANNEL_EXECUTE_COMPLETE" {
		switch o.Get("variable_att_xfer_result") {
		case "success":
			s.Type = event.TypeTransferCompleted
			s.Content = &eventv1.Content{Body: &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{Kind: consult, Target: target}}}
		case "failure":
			s.Type = event.TypeTransferFailed
			s.Content = &eventv1.Content{Body: &eventv1.Content_TransferFailed{TransferFailed: &eventv1.TransferFailed{
				Kind: consult, Target: target, Reason: o.Get("variable_originate_disposition"),
			}}}
		default:
			return nil
		}
	}
	return []*eventv1.Submission{s}
}
