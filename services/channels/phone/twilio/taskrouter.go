package twilio

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// uninteresting tells of TaskRouter's events that give no event: they are about its configuration, or told by another one.
func uninteresting(what string) bool {
	switch what {
	case "task.wrapup", "task.deleted", "task.system-deleted", "task.transfer-attempt-failed",
		"task-queue.created", "task-queue.deleted", "task-queue.timeout", "task-queue.expression.updated",
		"worker.created", "worker.attributes.update", "worker.deleted",
		"activity.created", "activity.updated", "activity.deleted",
		"task-channel.created", "task-channel.updated", "task-channel.deleted",
		"workflow.created", "workflow.updated", "workflow.deleted", "workflow.target-matched",
		"workflow.entered", "workflow.timeout", "workflow.skipped",
		"workspace.created", "workspace.updated", "workspace.deleted":
		return true
	}
	return false
}

// taskRouter reads an event callback of a TaskRouter workspace
// (https://www.twilio.com/docs/taskrouter/api/event/reference).
func (r *reading) taskRouter() ([]*eventv1.Submission, error) {
	if !r.TaskRouter { // else queues and assignments might be told twice
		return nil, errors.New("the inbox is not configured to be told by TaskRouter")
	}
	what := r.get("EventType")
	if uninteresting(what) {
		return nil, nil
	}
	e := taskEvent{reading: r, native: r.get("Sid"), at: cmp.Or(r.at("TimestampMs"), r.at("Timestamp"))}
	if e.native == "" {
		e.native = r.get("ResourceSid") + "/" + what + "/" + cmp.Or(r.get("TimestampMs"), r.get("Timestamp"))
	}
	switch {
	case strings.HasPrefix(what, "worker."):
		return e.worker(what)
	case strings.HasPrefix(what, "task.") || strings.HasPrefix(what, "task-queue.") || strings.HasPrefix(what, "reservation."):
	default:
		return nil, fmt.Errorf("%q is no event of TaskRouter's that is known", what)
	}
	if err := e.readTask(); err != nil {
		return nil, err
	}
	var err error
	switch {
	case strings.HasPrefix(what, "reservation."):
		err = e.reservation(what)
	case strings.HasPrefix(what, "task.transfer-"):
		err = e.transfer(what)
	default:
		err = e.taskOrQueue(what)
	}
	if err != nil {
		return nil, err
	}
	return e.all, nil
}

// taskEvent is an event of TaskRouter's.
type taskEvent struct {
	*reading
	native string
	at     *timestamppb.Timestamp
	all    []*eventv1.Submission

	task, thread string
	call         string // the call that the task is about; empty where there is none
	attributes   taskAttributes
	scalars      map[string]string // the tenant's own attributes that are texts, numbers or booleans
	medium       eventv1.Channel
	direction    eventv1.Direction
	origin       eventv1.Origin
	parties      []*eventv1.SubmittedParty
}

// taskAttributes are those that <Enqueue> and the conference instruction set
// (https://www.twilio.com/docs/taskrouter/twiml-queue-calls, https://www.twilio.com/docs/taskrouter/api/reservations).
type taskAttributes struct {
	CallSID    string `json:"call_sid"`
	From       string `json:"from"`
	To         string `json:"to"`
	Direction  string `json:"direction"`
	Conference struct {
		SID          string `json:"sid"`
		Participants struct {
			Worker   string `json:"worker"`
			Customer string `json:"customer"`
		} `json:"participants"`
	} `json:"conference"`
	Conversations struct {
		Outcome string `json:"outcome"`
	} `json:"conversations"`
}

// ofCall tells of an attribute that says of the call itself what its own webhooks say.
func ofCall(name string) bool {
	switch name {
	case "call_sid", "call_status", "account_sid", "api_version", "direction", "from", "to", "caller", "called":
		return true
	}
	end, place, ok := strings.Cut(name, "_")
	return ok && (end == "from" || end == "to" || end == "caller" || end == "called") &&
		(place == "country" || place == "state" || place == "city" || place == "zip")
}

// lenient decodes what has the type that is expected, member by member: a tenant may put anything into the attributes.
func lenient(raw json.RawMessage, into map[string]any) {
	var members map[string]json.RawMessage
	if json.Unmarshal(raw, &members) != nil {
		return
	}
	for name, field := range into {
		value, ok := members[name]
		if !ok {
			continue
		}
		switch field := field.(type) {
		case map[string]any:
			lenient(value, field)
		case *string:
			var s string
			if json.Unmarshal(value, &s) == nil {
				*field = s
			}
		}
	}
}

// readTask reads what the events of a task hold.
func (e *taskEvent) readTask() error {
	var err error
	if e.task, err = e.sid("TaskSid", "WT"); err != nil {
		return err
	}
	if raw := e.get("TaskAttributes"); raw != "" {
		var all map[string]any
		decoder := json.NewDecoder(strings.NewReader(raw))
		decoder.UseNumber()
		if err := decoder.Decode(&all); err != nil {
			return errors.New("TaskAttributes is no JSON of an object")
		}
		e.scalars = make(map[string]string, len(all))
		for name, value := range all {
			switch value := value.(type) {
			case string, json.Number, bool:
				if !ofCall(name) {
					e.scalars[name] = fmt.Sprint(value)
				}
			}
		}
		a := &e.attributes
		lenient(json.RawMessage(raw), map[string]any{
			"call_sid": &a.CallSID, "from": &a.From, "to": &a.To, "direction": &a.Direction,
			"conference": map[string]any{
				"sid": &a.Conference.SID, "participants": map[string]any{
					"worker": &a.Conference.Participants.Worker, "customer": &a.Conference.Participants.Customer,
				},
			},
			"conversations": map[string]any{"outcome": &a.Conversations.Outcome},
		})
	}
	e.medium = mediumOf(e.get("TaskChannelUniqueName"))
	e.thread = e.task
	if isSID(e.attributes.CallSID, "CA") {
		e.call, e.thread, e.medium = e.attributes.CallSID, e.attributes.CallSID, eventv1.Channel_CHANNEL_VOICE
	} else if customer := e.attributes.Conference.Participants.Customer; isSID(customer, "CA") {
		e.call = customer // an outgoing call, which was dialled after its task was made
	}
	e.people()
	return nil
}

// people reads who takes part, and how it came about.
func (e *taskEvent) people() {
	customer, company := e.attributes.From, e.attributes.To
	e.direction, e.origin = eventv1.Direction_DIRECTION_INBOUND, eventv1.Origin_ORIGIN_INBOUND
	if strings.HasPrefix(e.attributes.Direction, "outbound") {
		customer, company = company, customer
		e.direction, e.origin = eventv1.Direction_DIRECTION_OUTBOUND, eventv1.Origin_ORIGIN_OUTBOUND
	}
	for _, p := range []struct {
		address string
		side    eventv1.Side
	}{{customer, eventv1.Side_SIDE_CUSTOMER}, {company, eventv1.Side_SIDE_COMPANY}} {
		if p.address == "" || p.side == eventv1.Side_SIDE_CUSTOMER && e.side(p.address) != eventv1.Side_SIDE_CUSTOMER {
			continue
		}
		role := eventv1.PartyRole_PARTY_ROLE_RECIPIENT
		if p.address == e.attributes.From {
			role = eventv1.PartyRole_PARTY_ROLE_INITIATOR
		}
		e.parties = append(e.parties, party(p.address, role, p.side))
	}
	switch strings.ToUpper(e.get("TransferMode")) {
	case "WARM":
		e.origin = eventv1.Origin_ORIGIN_CONSULT
	case "COLD":
		e.origin = eventv1.Origin_ORIGIN_TRANSFER
	}
}

func mediumOf(taskChannel string) eventv1.Channel {
	switch taskChannel {
	case "voice":
		return eventv1.Channel_CHANNEL_VOICE
	case "sms":
		return eventv1.Channel_CHANNEL_SMS
	case "chat":
		return eventv1.Channel_CHANNEL_WEB_CHAT
	case "video":
		return eventv1.Channel_CHANNEL_VIDEO
	case "email":
		return eventv1.Channel_CHANNEL_EMAIL
	}
	return eventv1.Channel_CHANNEL_TASK
}

func (e *taskEvent) add(typ string, who *eventv1.SubmittedActor, content *eventv1.Content) *eventv1.Submission {
	s := &eventv1.Submission{
		Type: typ, Channel: e.medium, Direction: e.direction, Origin: e.origin, Thread: e.thread, NativeId: e.native, OccurredAt: e.at,
		Parties: e.parties, Actor: who, Content: content,
	}
	if queue := e.get("TaskQueueSid"); queue != "" && !strings.HasPrefix(typ, "interaction.") {
		s.Queue, s.Visit = cmp.Or(e.get("TaskQueueName"), queue), queue+"/"+e.thread
	}
	e.all = append(e.all, s)
	return s
}

// join puts the task under its call, and its conference and the worker's leg under the task, as the conference does.
func (e *taskEvent) join() {
	if e.call == "" {
		return
	}
	c := e.attributes.Conference
	e.all = append(e.all, joined(e.task, e.call))
	if isSID(c.SID, "CF") {
		e.all = append(e.all, joined(c.SID, e.task))
	}
	if worker := c.Participants.Worker; isSID(worker, "CA") && worker != e.call {
		e.all = append(e.all, joined(worker, e.task))
	}
}

func (e *taskEvent) system() *eventv1.SubmittedActor {
	return actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, "")
}

func (e *taskEvent) taskOrQueue(what string) error {
	left := func(who *eventv1.SubmittedActor, outcome eventv1.QueueOutcome) {
		e.add(event.TypeQueueLeft, who, &eventv1.Content{Body: &eventv1.Content_QueueLeft{QueueLeft: &eventv1.QueueLeft{Outcome: outcome}}})
	}
	ended := func(reason eventv1.EndReason, why string) {
		if e.call == "" { // a call's own status tells its end
			e.add(event.TypeInteractionEnded, e.system(), &eventv1.Content{Body: &eventv1.Content_InteractionEnded{
				InteractionEnded: &eventv1.InteractionEnded{Reason: reason, ProviderReason: why},
			}})
		}
	}
	switch what {
	case "task.created":
		e.join()
		if e.call == "" {
			e.add(event.TypeInteractionStarted, nil, &eventv1.Content{Body: &eventv1.Content_InteractionStarted{InteractionStarted: &eventv1.InteractionStarted{}}})
		}
	case "task-queue.entered":
		e.join()
		e.add(event.TypeQueueEntered, e.system(), &eventv1.Content{Body: &eventv1.Content_QueueEntered{QueueEntered: &eventv1.QueueEntered{}}})
	case "task-queue.moved": // a time-out alone keeps the task in its queue, or cancels it
		left(e.system(), eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED)
	case "task.canceled":
		why := e.get("TaskCanceledReason")
		reason := eventv1.EndReason_END_REASON_SYSTEM
		if why == "" || strings.Contains(strings.ToLower(why), "hangup") || strings.Contains(strings.ToLower(why), "hung up") {
			reason = eventv1.EndReason_END_REASON_CUSTOMER
		}
		if e.has("TaskQueueSid") {
			if reason == eventv1.EndReason_END_REASON_CUSTOMER {
				left(actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER, ""), eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED)
			} else {
				left(e.system(), eventv1.QueueOutcome_QUEUE_OUTCOME_OVERFLOWED)
			}
		}
		ended(reason, why)
	case "task.completed":
		e.join()
		ended(eventv1.EndReason_END_REASON_SYSTEM, e.get("TaskCompletedReason"))
	case "task.updated":
		e.join()
		if len(e.scalars) == 0 {
			break
		}
		e.add(event.TypeInteractionAttributesUpdated, e.system(), &eventv1.Content{Body: &eventv1.Content_InteractionAttributesUpdated{
			InteractionAttributesUpdated: &eventv1.AttributesUpdated{Attributes: e.scalars},
		}})
	default:
		return fmt.Errorf("%q is no event of TaskRouter's that is known", what)
	}
	return nil
}

// reservation reads what happens with an offer: a reservation is an assignment, from offer to wrap-up.
func (e *taskEvent) reservation(what string) error {
	reservation, err := e.sid("ReservationSid", "WR")
	if err != nil {
		return err
	}
	add := func(typ string, content *eventv1.Content) {
		e.add(typ, agent(e.get("WorkerSid")), content).Assignment = reservation
	}
	declined := func(reason eventv1.DeclineReason) {
		add(event.TypeAssignmentDeclined, &eventv1.Content{Body: &eventv1.Content_AssignmentDeclined{
			AssignmentDeclined: &eventv1.AssignmentDeclined{Reason: reason, Detail: strings.TrimPrefix(what, "reservation.")},
		}})
	}
	switch what {
	case "reservation.created":
		add(event.TypeAssignmentOffered, nil)
	case "reservation.accepted": // TaskRouter tells it once the worker is connected
		add(event.TypeAssignmentAccepted, nil)
		add(event.TypeAssignmentConnected, nil)
	case "reservation.rejected":
		declined(eventv1.DeclineReason_DECLINE_REASON_REJECTED)
	case "reservation.timeout":
		declined(eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT)
	case "reservation.canceled", "reservation.rescinded", "reservation.failed":
		declined(eventv1.DeclineReason_DECLINE_REASON_CANCELLED)
	case "reservation.wrapup":
		e.join()
		add(event.TypeAssignmentEnded, nil)
		add(event.TypeWrapupStarted, nil)
	case "reservation.completed":
		add(event.TypeWrapupEnded, &eventv1.Content{Body: &eventv1.Content_WrapupEnded{
			WrapupEnded: &eventv1.WrapupEnded{Disposition: e.attributes.Conversations.Outcome},
		}})
	default:
		return fmt.Errorf("%q is no event of TaskRouter's that is known", what)
	}
	return nil
}

// transfer reads what happens with a transfer; warm is by consult, cold is blind.
func (e *taskEvent) transfer(what string) error {
	kind := eventv1.TransferKind_TRANSFER_KIND_UNSPECIFIED
	target := e.get("TransferTo")
	switch {
	case strings.EqualFold(e.get("TransferType"), "QUEUE") || isSID(target, "WQ"):
		kind = eventv1.TransferKind_TRANSFER_KIND_QUEUE
	case strings.EqualFold(e.get("TransferMode"), "WARM"):
		kind = eventv1.TransferKind_TRANSFER_KIND_CONSULT
	case strings.EqualFold(e.get("TransferMode"), "COLD"):
		kind = eventv1.TransferKind_TRANSFER_KIND_BLIND
	}
	who := agent(cmp.Or(e.get("TransferInitiatingWorkerSid"), e.get("WorkerSid")))
	var s *eventv1.Submission
	switch what {
	case "task.transfer-initiated":
		e.join()
		s = e.add(event.TypeTransferStarted, who, &eventv1.Content{Body: &eventv1.Content_TransferStarted{
			TransferStarted: &eventv1.TransferStarted{Kind: kind, Target: target},
		}})
	case "task.transfer-completed":
		e.join()
		s = e.add(event.TypeTransferCompleted, who, &eventv1.Content{Body: &eventv1.Content_TransferCompleted{
			TransferCompleted: &eventv1.TransferCompleted{Kind: kind, Target: target},
		}})
	case "task.transfer-failed", "task.transfer-canceled":
		reason := cmp.Or(e.get("TransferFailedReason"), strings.TrimPrefix(what, "task.transfer-"))
		s = e.add(event.TypeTransferFailed, who, &eventv1.Content{Body: &eventv1.Content_TransferFailed{
			TransferFailed: &eventv1.TransferFailed{Kind: kind, Target: target, Reason: reason},
		}})
	default:
		return fmt.Errorf("%q is no event of TaskRouter's that is known", what)
	}
	s.Assignment = e.get("TransferInitiatingReservationSid")
	return nil
}

// worker reads what happens with an agent.
func (e *taskEvent) worker(what string) ([]*eventv1.Submission, error) {
	worker, err := e.sid("WorkerSid", "WK")
	if err != nil {
		return nil, err
	}
	s := &eventv1.Submission{Thread: worker, NativeId: e.native, OccurredAt: e.at, Actor: agent(worker)}
	switch what {
	case "worker.activity.update":
		activity := e.get("WorkerActivityName")
		kind := eventv1.PresenceType_PRESENCE_TYPE_CUSTOM
		switch {
		case activity == "":
			return nil, errors.New("it names no activity")
		case strings.EqualFold(activity, "Offline"):
			kind = eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
		case slices.ContainsFunc(e.Routable, func(name string) bool { return strings.EqualFold(name, activity) }):
			kind = eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE
		}
		s.Type = event.TypeAgentPresenceChanged
		s.Content = &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{
			AgentPresenceChanged: &eventv1.AgentPresenceChanged{Presence: activity, Type: kind},
		}}
	case "worker.capacity.update", "worker.channel.availability.update":
		maximum, ok := e.number("WorkerChannelCapacity")
		if !ok || maximum < 0 {
			return nil, errors.New("it states no capacity")
		}
		tasks, _ := e.number("WorkerChannelTaskCount")
		available := max(0, maximum-max(0, tasks))
		if e.has("WorkerChannelAvailable") && !e.is("WorkerChannelAvailable") {
			available = 0
		}
		name := strings.ToLower(strings.TrimPrefix(mediumOf(e.get("TaskChannelUniqueName")).String(), "CHANNEL_"))
		s.Type = event.TypeAgentCapacityChanged
		s.Content = &eventv1.Content{Body: &eventv1.Content_AgentCapacityChanged{AgentCapacityChanged: &eventv1.AgentCapacityChanged{
			Channels: map[string]*eventv1.Capacity{name: {Maximum: maximum, Available: available}},
		}}}
	default:
		return nil, fmt.Errorf("%q is no event of TaskRouter's that is known", what)
	}
	return []*eventv1.Submission{s}, nil
}
