package official

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// The flows that customers walk in WeChat.
const (
	flowMenu    = "menu"
	flowQRCode  = "qrcode"
	flowSession = "session"
)

// sceneOfSubscription stands before the scene of a code by which somebody subscribed.
const sceneOfSubscription = "qrscene_"

// maxKey is how long a part of a native id may be; a longer one is hashed.
const maxKey = 256

// event reads what is no message.
func (r *reading) event() ([]*eventv1.Submission, error) {
	name := r.get("Event")
	if name == "" {
		return nil, errors.New("event: Event is missing")
	}
	var submissions []*eventv1.Submission
	var err error
	switch strings.ToLower(name) {
	case "click", "view", "view_miniprogram", "pic_sysphoto", "pic_photo_or_album", "pic_weixin":
		submissions = r.step(name, flowMenu, r.get("EventKey"), "")
	case "scancode_push", "scancode_waitmsg":
		submissions = r.step(name, flowMenu, r.get("EventKey"), r.get("ScanCodeInfo", "ScanResult"))
	case "location_select":
		submissions = r.step(name, flowMenu, r.get("EventKey"), r.chosenPlace())
	case "scan":
		submissions = r.step(name, flowQRCode, r.get("EventKey"), "")
	case "user_enter_tempsession":
		submissions = r.step(name, flowSession, r.get("SessionFrom"), "")
	case "subscribe":
		submissions, err = r.extension(name, r.customers(eventv1.Direction_DIRECTION_INBOUND))
		if scene, ok := strings.CutPrefix(r.get("EventKey"), sceneOfSubscription); ok {
			submissions = append(submissions, r.step(name, flowQRCode, scene, "")...)
		}
	case "kf_create_session", "kf_close_session", "kf_switch_session":
		submissions, err = r.session(strings.ToLower(name))
	case "templatesendjobfinish":
		status := r.get("Status")
		submissions, err = r.status(r.get("MsgID"), strings.EqualFold(status, "success"), status, status)
	case "subscribe_msg_sent_event":
		submissions, err = r.statuses()
	default:
		s := r.customers(eventv1.Direction_DIRECTION_INBOUND)
		if ofAccount(name) {
			s = r.between(eventv1.Direction_DIRECTION_INTERNAL)
			s.Thread, s.Parties = event.Word(name)+"/"+r.nativeID(name), []*eventv1.SubmittedParty{r.own(eventv1.PartyRole_PARTY_ROLE_UNSPECIFIED)}
			s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
		}
		submissions, err = r.extension(name, s)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return submissions, nil
}

// ofAccount tells whether an event is about the account itself. FromUserName is then none of a customer's.
func ofAccount(name string) bool {
	switch name = strings.ToLower(name); name {
	case "masssendjobfinish", "publishjobfinish", "card_pass_check", "card_not_pass_check", "card_sku_remind", "poi_check_notify",
		"annual_renew", "verify_expired", "wxa_nickname_audit", "wxa_media_check", "wxa_illegal_record", "guide_invite_result_event":
		return true
	}
	return strings.HasPrefix(name, "qualification_verify_") || strings.HasPrefix(name, "naming_verify_") || strings.HasPrefix(name, "weapp_audit_")
}

// nativeID is that of an event: what WeChat says to tell repetitions by, with what the event is about. Its fields come in a
// fixed order, and a missing one leaves nothing behind.
func (r *reading) nativeID(name string) string {
	parts := []string{r.created, name}
	for _, field := range []string{
		"EventKey", "MsgID", "MsgId", "SessionFrom", "KfAccount", "FromKfAccount", "ToKfAccount", "CardId", "UserCardCode", "Code", "OrderId",
		"SuccOrderId", "FailOrderId", "DeviceID", "SessionID",
	} {
		if value := r.get(field); value != "" {
			parts = append(parts, value)
		}
	}
	for i, part := range parts {
		if len(part) > maxKey {
			sum := sha256.Sum256([]byte(part))
			parts[i] = hex.EncodeToString(sum[:])
		}
	}
	id := strings.Join(parts, "/")
	if len(id) <= 4*maxKey {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// step is one that a customer took without writing.
func (r *reading) step(name, flow, step, input string) []*eventv1.Submission {
	s := r.customers(eventv1.Direction_DIRECTION_INBOUND)
	s.Type, s.NativeId = event.TypeFlowStepEntered, r.nativeID(name)
	s.Content = &eventv1.Content{Body: &eventv1.Content_FlowStepEntered{FlowStepEntered: &eventv1.FlowStepEntered{Flow: flow, Step: step, Input: input}}}
	return []*eventv1.Submission{s}
}

// chosenPlace is what a customer chose on a map.
func (r *reading) chosenPlace() string {
	const info = "SendLocationInfo"
	x, y := r.get(info, "Location_X"), r.get(info, "Location_Y")
	if x != "" || y != "" {
		x += "," + y
	}
	return lines(r.get(info, "Poiname"), r.get(info, "Label"), x)
}

// session reads what WeChat's own customer service tells: an agent has a customer, or has one no more
// (https://developers.weixin.qq.com/doc/service/guide/product/customer/).
func (r *reading) session(name string) ([]*eventv1.Submission, error) {
	agent := r.get("KfAccount")
	if name == "kf_switch_session" {
		agent = r.get("FromKfAccount")
	}
	if !isAgent(agent) {
		return nil, fmt.Errorf("%.40q is no account of an agent", agent)
	}
	of := func(kind, account string, content *eventv1.Content) *eventv1.Submission {
		s := r.customers(eventv1.Direction_DIRECTION_INBOUND)
		s.Type, s.NativeId, s.Content = kind, r.nativeID(name), content
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: r.agent(account)}
		if kind != event.TypeTransferCompleted {
			s.Assignment = account
		}
		return s
	}
	connected := &eventv1.Content{Body: &eventv1.Content_AssignmentConnected{AssignmentConnected: &eventv1.AssignmentConnected{}}}
	ended := func(reason eventv1.EndReason) *eventv1.Content {
		return &eventv1.Content{Body: &eventv1.Content_AssignmentEnded{AssignmentEnded: &eventv1.AssignmentEnded{Reason: reason}}}
	}
	switch name {
	case "kf_create_session":
		return []*eventv1.Submission{of(event.TypeAssignmentConnected, agent, connected)}, nil
	case "kf_close_session":
		return []*eventv1.Submission{of(event.TypeAssignmentEnded, agent, ended(eventv1.EndReason_END_REASON_UNSPECIFIED))}, nil
	}
	next := r.get("ToKfAccount")
	if !isAgent(next) {
		return nil, fmt.Errorf("%.40q is no account of an agent", next)
	}
	transfer := &eventv1.Content{Body: &eventv1.Content_TransferCompleted{TransferCompleted: &eventv1.TransferCompleted{Target: r.agent(next)}}}
	return []*eventv1.Submission{
		of(event.TypeAssignmentEnded, agent, ended(eventv1.EndReason_END_REASON_TRANSFER)),
		of(event.TypeTransferCompleted, agent, transfer),
		of(event.TypeAssignmentConnected, next, connected),
	}, nil
}

// agent is the id of the agent whom an account of WeChat's customer service belongs to.
func (a *account) agent(account string) string {
	if id, ok := a.Agents[account]; ok {
		return id
	}
	return account
}

// isAgent tells whether an account can stand as the id of an agent.
func isAgent(s string) bool {
	return s != "" && len(s) <= 128 && strings.Trim(s, idLetters+".:/@+") == ""
}

// status reads what became of a message that was sent by a template.
func (r *reading) status(message string, delivered bool, code, reason string) ([]*eventv1.Submission, error) {
	if message == "" {
		return nil, errors.New("MsgID is missing")
	}
	s := r.customers(eventv1.Direction_DIRECTION_OUTBOUND)
	if delivered {
		s.Type, s.NativeId = event.TypeMessageDelivered, message+"/delivered"
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: message}}}
		return []*eventv1.Submission{s}, nil
	}
	s.Type, s.NativeId = event.TypeMessageFailed, message+"/failed"
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageFailed{MessageFailed: &eventv1.MessageFailed{Message: message, Code: code, Reason: reason}}}
	return []*eventv1.Submission{s}, nil
}

// statuses reads what became of subscription messages; each entry is one. An entry without the message's id is kept with the whole.
func (r *reading) statuses() ([]*eventv1.Submission, error) {
	var all []*eventv1.Submission
	odd := false
	for _, entry := range r.list("SubscribeMsgSentEvent") {
		code := entry.get("ErrorCode")
		one, err := r.status(entry.get("MsgID"), code == "0" || code == "" && entry.get("ErrorStatus") == "success", code, entry.get("ErrorStatus"))
		if err != nil {
			odd = true
			continue
		}
		if !slices.ContainsFunc(all, func(s *eventv1.Submission) bool { return s.GetNativeId() == one[0].GetNativeId() }) {
			all = append(all, one...)
		}
	}
	if !odd && len(all) > 0 {
		return all, nil
	}
	whole, err := r.extension(r.get("Event"), r.customers(eventv1.Direction_DIRECTION_INBOUND))
	return append(all, whole...), err
}
