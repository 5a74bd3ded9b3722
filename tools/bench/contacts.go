package bench

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// perContact is how many events a contact has, atOnce how many go on at the same time, and perCaller about how many a customer has.
	perContact, atOnce, perCaller = 10, 10, 4
	// shiftContacts is how many contacts an agent has on a day, and lines how many queues there are.
	shiftContacts, lines = 30, 20
	// year is how long it takes until all have come.
	year = 365 * 24 * time.Hour
)

// contacts are a year of a contact centre: calls, and conversations by short message, from the same numbers; one in ten gives up in the queue.
// Event n is always the same.
type contacts struct {
	events *events
	n      int // contacts
	staff  int // agents
	began  time.Time
}

func newContacts(e *events, n int) *contacts {
	c := &contacts{events: e, n: max(1, n/perContact), began: time.Now().Truncate(time.Hour).Add(-year)}
	c.staff = max(10, c.n/365/shiftContacts)
	return c
}

// reason is what a contact is about.
func reason(contact int) []string {
	return [][]string{{"delivery", "late"}, {"delivery", "damaged"}, {"billing", "refund"}, {"account", "sign in"}, {"product"}}[contact%5]
}

// order is a number that no other contact's messages name.
func order(contact int) string { return fmt.Sprintf("SK-%08d", contact) }

// caller is who a contact is with. One in six reaches out again soon after, on the other channel.
func (c *contacts) caller(contact int) int {
	const some = 5
	if contact/some%6 == 1 {
		contact -= some
	}
	return scatter(contact) % max(1, c.n/perCaller)
}

// scatter makes a number that looks like any.
func scatter(n int) int { return int(uint64(n) * 2654435761 % (1 << 32)) }

// submission is event n as connectors hand it in.
func (c *contacts) submission(n int) *eventv1.Submission {
	round, within := n/(atOnce*perContact), n%(atOnce*perContact)
	contact, step := round*atOnce+within%atOnce, within/atOnce
	hash := scatter(contact)
	wait, talk := time.Duration(5+hash%40)*time.Second, time.Duration(90+hash%300)*time.Second
	at := c.began.Add(year / time.Duration(c.n) * time.Duration(contact))
	queue, agent := queueID(contact%lines), agentID(hash%c.staff)
	over, inbox, texts := eventv1.Channel_CHANNEL_VOICE, "hotline", false
	if contact%2 == 1 {
		over, inbox, texts = eventv1.Channel_CHANNEL_SMS, "texts", true
	}
	s := &eventv1.Submission{
		Channel: over, Direction: eventv1.Direction_DIRECTION_INBOUND, Provider: "bench", Inbox: inbox,
		Thread: fmt.Sprintf("contact-%09d", contact), NativeId: fmt.Sprint(step), Queue: queue, Content: &eventv1.Content{},
		Parties: []*eventv1.SubmittedParty{{
			Address: c.events.address(c.caller(contact), 3), Role: eventv1.PartyRole_PARTY_ROLE_INITIATOR, Side: eventv1.Side_SIDE_CUSTOMER,
		}},
	}
	by := func() { s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: agent} }
	say := func() *eventv1.Message {
		return &eventv1.Message{Text: c.events.texts[hash/7%len(c.events.texts)] + " " + order(contact)}
	}
	entered := &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{SlaTarget: durationpb.New(20 * time.Second)}}
	ended := &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{Reason: eventv1.EndReason_END_REASON_CUSTOMER}}
	if hash/11%10 == 0 { // it goes through the menu, waits and gives up
		switch step {
		case perContact - 3:
			s.Type, s.Content.Body = event.TypeQueueEntered, entered
		case perContact - 2:
			at = at.Add(wait)
			s.Type, s.Content.Body = event.TypeQueueLeft, &eventv1.Content_QueueLeft{
				QueueLeft: &eventv1.QueueLeft{Outcome: eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED},
			}
		case perContact - 1:
			at = at.Add(wait)
			s.Type, s.Content.Body = event.TypeInteractionEnded, ended
		default:
			at = at.Add(time.Duration(step-perContact) * time.Second)
			s.Type, s.Queue = event.TypeFlowStepEntered, ""
			s.Content.Body = &eventv1.Content_FlowStepEntered{FlowStepEntered: &eventv1.FlowStepEntered{Flow: "menu", Step: fmt.Sprint("step ", step)}}
		}
		s.OccurredAt = timestamppb.New(at)
		return s
	}
	switch step {
	case 0:
		s.Type, s.Content.Body = event.TypeQueueEntered, entered
	case 1:
		at = at.Add(wait - 2*time.Second)
		by()
		s.Type, s.Content.Body = event.TypeAssignmentOffered, &eventv1.Content_AssignmentOffered{AssignmentOffered: &eventv1.AssignmentOffered{}}
	case 2:
		at = at.Add(wait)
		by()
		s.Type, s.Content.Body = event.TypeAssignmentConnected, &eventv1.Content_AssignmentConnected{AssignmentConnected: &eventv1.AssignmentConnected{}}
	case 3:
		at = at.Add(wait + talk/4)
		if texts {
			s.Type, s.Content.Body = event.TypeMessageReceived, &eventv1.Content_MessageReceived{MessageReceived: say()}
			break
		}
		by()
		s.Type, s.Content.Body = event.TypeAssignmentHeld, &eventv1.Content_AssignmentHeld{AssignmentHeld: &eventv1.AssignmentHeld{}}
	case 4:
		at = at.Add(wait + talk/2)
		by()
		if texts {
			s.Direction = eventv1.Direction_DIRECTION_OUTBOUND
			s.Type, s.Content.Body = event.TypeMessageSent, &eventv1.Content_MessageSent{MessageSent: say()}
			break
		}
		s.Type, s.Content.Body = event.TypeAssignmentUnheld, &eventv1.Content_AssignmentUnheld{AssignmentUnheld: &eventv1.AssignmentUnheld{}}
	case 5:
		at = at.Add(wait + talk - time.Second)
		by()
		s.Type, s.Content.Body = event.TypeInteractionCategorized, &eventv1.Content_InteractionCategorized{
			InteractionCategorized: &eventv1.InteractionCategorized{ContactReason: reason(hash), Disposition: "done"},
		}
	case 6:
		at = at.Add(wait + talk)
		by()
		s.Type, s.Content.Body = event.TypeAssignmentEnded, &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{}}
	case 7:
		at = at.Add(wait + talk)
		s.Type, s.Content.Body = event.TypeInteractionEnded, ended
	case 8:
		at = at.Add(wait + talk)
		by()
		s.Type, s.Content.Body = event.TypeWrapupStarted, &eventv1.Content_WrapupStarted{WrapupStarted: &eventv1.WrapupStarted{}}
	default:
		at = at.Add(wait + talk + 30*time.Second)
		by()
		s.Type, s.Content.Body = event.TypeWrapupEnded, &eventv1.Content_WrapupEnded{WrapupEnded: &eventv1.WrapupEnded{}}
	}
	s.OccurredAt = timestamppb.New(at)
	return s
}

// message is event n as it stands in the log.
func (c *contacts) message(topic string, n int) (eventlog.Message, error) {
	return c.events.compile(topic, c.submission(n))
}
