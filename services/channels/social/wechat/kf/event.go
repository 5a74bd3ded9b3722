package kf

import (
	"cmp"
	"errors"
	"fmt"
	"strconv"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// event reads what happened otherwise.
func (r *reading) event() error {
	e := r.Event
	switch e.EventType {
	case "enter_session", "msg_send_fail", "session_status_change", "user_recall_msg", "servicer_recall_msg":
		if r.customer() == "" {
			return errors.New("it names no customer")
		}
	case "":
		return errors.New("it has no event_type")
	}
	switch e.EventType {
	case "enter_session":
		r.entered()
	case "msg_send_fail":
		return r.sendFailed()
	case "servicer_status_change":
		return r.servicerChanged()
	case "session_status_change":
		return r.sessionChanged()
	case "user_recall_msg":
		return r.recalled(actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER))
	case "servicer_recall_msg":
		return r.recalled(r.agent(cmp.Or(e.ServicerUserID, r.ServicerUserID)))
	default:
		s := r.extension(e.EventType)
		if servicer := cmp.Or(e.ServicerUserID, r.ServicerUserID); servicer != "" {
			s.Actor = r.agent(servicer)
		}
	}
	return nil
}

// entered is a customer who opened the chat: by a link of the company's, which the scene names, or from a page of Channels.
func (r *reading) entered() {
	e := r.Event
	step, input := e.Scene, e.SceneParam
	if c := e.WechatChannels; c.Scene != "" {
		step, input = cmp.Or(step, "channels/"+string(c.Scene)), cmp.Or(input, c.Nickname, c.ShopNickname)
	}
	r.add(event.TypeFlowStepEntered, &eventv1.Content{Body: &eventv1.Content_FlowStepEntered{
		FlowStepEntered: &eventv1.FlowStepEntered{Flow: "session", Step: step, Input: input},
	}}).Actor = actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER)
	r.answerable(e.WelcomeCode)
}

// answerable carries an event that a bot can answer by a code.
func (r *reading) answerable(code string) {
	if code != "" {
		r.extension(r.Event.EventType)
	}
}

// failures are the reasons of msg_send_fail.
func failure(typ int) string {
	switch typ {
	case 1:
		return "the customer service account was deleted"
	case 2:
		return "the application was closed"
	case 4:
		return "the session has expired: the customer last wrote more than 48 hours ago"
	case 5:
		return "the session was closed"
	case 6:
		return "more than 5 messages since the customer last wrote"
	case 7:
		return "no Channels account is bound"
	case 8:
		return "the company is not verified"
	case 9:
		return "no Channels account is bound and the company is not verified"
	case 10:
		return "the customer refuses messages"
	case 11:
		return "no member of the company has signed in to WeCom"
	case 12:
		return "messages of this kind are forbidden for the customer service component"
	case 13:
		return "refused for reasons of security"
	}
	return "the reason is not known"
}

func (r *reading) sendFailed() error {
	e := r.Event
	if e.FailMsgID == "" {
		return errors.New("it does not say which message failed")
	}
	s := r.add(event.TypeMessageFailed, &eventv1.Content{Body: &eventv1.Content_MessageFailed{MessageFailed: &eventv1.MessageFailed{
		Message: e.FailMsgID, Code: strconv.Itoa(e.FailType), Reason: failure(e.FailType),
	}}})
	s.NativeId, s.Direction, s.Parties = e.FailMsgID+"/failed", eventv1.Direction_DIRECTION_OUTBOUND, r.parties(eventv1.Direction_DIRECTION_OUTBOUND)
	s.Actor = actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM)
	return nil
}

// servicerChanged is about an agent, and about no customer.
func (r *reading) servicerChanged() error {
	e := r.Event
	servicer := cmp.Or(e.ServicerUserID, r.ServicerUserID)
	who := r.agent(servicer)
	if who.GetId() == "" {
		return errors.New("it names no servicer, or one by an id that no agent can have")
	}
	p := &eventv1.AgentPresenceChanged{}
	switch {
	case e.Status == 1:
		p.Presence, p.Type = "Available", eventv1.PresenceType_PRESENCE_TYPE_ROUTABLE
	case e.Status == 2 && e.StopType == 1:
		p.Presence, p.Type, p.Reason = "Away", eventv1.PresenceType_PRESENCE_TYPE_CUSTOM, "suspended"
	case e.Status == 2:
		p.Presence, p.Type = "Offline", eventv1.PresenceType_PRESENCE_TYPE_OFFLINE
	default:
		r.Event.ExternalUserID = ""
		r.extension(e.EventType).Actor = who
		return nil
	}
	s := r.add(event.TypeAgentPresenceChanged, &eventv1.Content{Body: &eventv1.Content_AgentPresenceChanged{AgentPresenceChanged: p}})
	s.Thread, s.Direction, s.Parties, s.Actor = "agent/"+servicer, eventv1.Direction_DIRECTION_UNSPECIFIED, nil, who
	return nil
}

// The changes of a session, which servicers make in WeCom.
const (
	changeTaken    = 1 // from the pool
	changeHanded   = 2
	changeEnded    = 3
	changeReturned = 4 // one that was ended or handed over
)

// sessionChanged reads who has the customer from now on. An assignment's id is the customer's and the servicer's: what tells its end knows no other. What
// waits in the pool, and since when, WeChat does not tell; the visit to the pool has the id of the event that ended it.
func (r *reading) sessionChanged() error {
	e := r.Event
	was, is := e.OldServicerUserID, e.NewServicerUserID
	missing := func() error {
		return fmt.Errorf("it does not say who has it, or who had it (change_type %d)", e.ChangeType)
	}
	switch e.ChangeType {
	case changeTaken:
		if is == "" {
			return missing()
		}
		s := r.connected(is)
		s.Queue, s.Visit = r.account.OpenKfID, "pool/"+r.MsgID
	case changeHanded:
		if is == "" || was == "" {
			return missing()
		}
		r.ended(was, eventv1.EndReason_END_REASON_TRANSFER)
		r.add(event.TypeTransferCompleted, &eventv1.Content{Body: &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{
			Kind: eventv1.TransferKind_TRANSFER_KIND_BLIND, Target: cmp.Or(r.agent(is).GetId(), is),
		}}}).Actor = r.agent(was)
		r.connected(is)
	case changeEnded:
		if was == "" {
			return missing()
		}
		r.ended(was, eventv1.EndReason_END_REASON_AGENT)
		r.add(event.TypeInteractionEnded, &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{
			Reason: eventv1.EndReason_END_REASON_AGENT, ProviderReason: "session_status_change 3",
		}}}).Actor = r.agent(was)
	case changeReturned:
		if is == "" {
			return missing()
		}
		if was == "" || was == is { // else it may have been handed over, and never ended
			r.add(event.TypeInteractionReopened, &eventv1.Content{Body: &eventv1.Content_InteractionReopened{
				InteractionReopened: &eventv1.InteractionReopened{Reason: "session_status_change 4"},
			}}).Actor = r.agent(is)
		} else {
			r.ended(was, eventv1.EndReason_END_REASON_TRANSFER)
		}
		r.connected(is)
	default:
		r.extension(e.EventType)
		return nil
	}
	r.answerable(e.MsgCode)
	return nil
}

func (r *reading) assignment(typ, servicer string, content *eventv1.Content) *eventv1.Submission {
	s := r.add(typ, content)
	s.Assignment, s.Actor = r.customer()+"/"+servicer, r.agent(servicer)
	return s
}

func (r *reading) connected(servicer string) *eventv1.Submission {
	return r.assignment(event.TypeAssignmentConnected, servicer, nil)
}

func (r *reading) ended(servicer string, reason eventv1.EndReason) {
	r.assignment(event.TypeAssignmentEnded, servicer, &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{
		AssignmentEnded: &eventv1.AssignmentEnded{Reason: reason},
	}})
}

func (r *reading) recalled(who *eventv1.SubmittedActor) error {
	if r.Event.RecallMsgID == "" {
		return errors.New("it does not say which message was taken back")
	}
	s := r.add(event.TypeMessageDeleted, &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: r.Event.RecallMsgID}}})
	s.Actor = who
	if who.GetKind() == eventv1.ActorKind_ACTOR_KIND_AGENT {
		s.Direction, s.Parties = eventv1.Direction_DIRECTION_OUTBOUND, r.parties(eventv1.Direction_DIRECTION_OUTBOUND)
	}
	return nil
}
