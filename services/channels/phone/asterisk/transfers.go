package asterisk

import (
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// transfer is what both kinds of transfer tell.
type transfer struct {
	thread     string
	by         leg
	assignment string
	kind       eventv1.TransferKind
	target     string
	parties    []*eventv1.SubmittedParty
}

// blindTransfer tells start and completion at once: Asterisk tells of it when the other one stands at the new place in the
// dialplan. Whether somebody answers there is told by what follows.
func (r *reading) blindTransfer() {
	by := r.leg("Transferer") //nolint:misspell // Asterisk's word
	t := transfer{thread: by.thread, by: by, kind: eventv1.TransferKind_TRANSFER_KIND_BLIND, target: r.need("Extension")}
	if !by.root {
		t.assignment = by.id
	}
	if r.get("TransfereeUniqueid") != "" {
		other := r.leg("Transferee")
		r.join(by.thread, other.thread)
		t.thread = oldest(by.thread, other.thread)
		t.parties = append(t.parties, r.legParty(other, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, other.side()))
	}
	t.parties = append(t.parties, r.target(t.target)...)
	r.begun(t)
	r.done(t)
}

// attendedTransfer tells the end of a consult transfer; the consultation was a call by itself, and its thread is joined to
// the older one.
func (r *reading) attendedTransfer() {
	first, second := r.leg("OrigTransferer"), r.leg("SecondTransferer")
	threads := []string{first.thread, second.thread, r.get("TransfereeLinkedid"), r.get("LocalOneLinkedid"), r.get("LocalTwoLinkedid")}
	r.merge(threads...)
	t := transfer{thread: oldest(threads...), by: first, kind: eventv1.TransferKind_TRANSFER_KIND_CONSULT}
	if !first.root {
		t.assignment = first.id
	}
	t.target = r.get("SecondTransfererConnectedLineNum")
	if app := r.get("DestApp"); app != "" && !dialable(t.target) {
		t.target = app
	}
	if r.get("TransfereeUniqueid") != "" {
		other := r.leg("Transferee")
		t.parties = append(t.parties, r.legParty(other, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, other.side()))
	}
	t.parties = append(t.parties, r.target(t.target)...)
	r.done(t)
}

// target is who gets a call, where that is a number. A number that is nowhere configured may be anybody's.
func (r *reading) target(number string) []*eventv1.SubmittedParty {
	if !dialable(number) {
		return nil
	}
	side := eventv1.Side_SIDE_UNSPECIFIED
	if r.sw.numbers.own(number) {
		side = eventv1.Side_SIDE_COMPANY
	}
	return []*eventv1.SubmittedParty{r.party(number, "", eventv1.PartyRole_PARTY_ROLE_TRANSFER_TARGET, side)}
}

func (r *reading) begun(t transfer) {
	r.transferred(t, r.tell(event.TypeTransferStarted, t.thread, t.by.id, &eventv1.Content{
		Body: &eventv1.Content_TransferStarted{TransferStarted: &eventv1.TransferStarted{Kind: t.kind, Target: t.target}},
	}))
}

func (r *reading) done(t transfer) {
	if result := r.need("Result"); !strings.EqualFold(result, "Success") {
		r.transferred(t, r.tell(event.TypeTransferFailed, t.thread, t.by.id, &eventv1.Content{
			Body: &eventv1.Content_TransferFailed{TransferFailed: &eventv1.TransferFailed{Kind: t.kind, Target: t.target, Reason: result}},
		}))
		return
	}
	r.transferred(t, r.tell(event.TypeTransferCompleted, t.thread, t.by.id, &eventv1.Content{
		Body: &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{Kind: t.kind, Target: t.target}},
	}))
}

func (r *reading) transferred(t transfer, s *eventv1.Submission) {
	s.Actor, s.Assignment, s.Parties = r.actor(t.by), t.assignment, t.parties
}
