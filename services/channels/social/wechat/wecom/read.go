package wecom

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// system is FromUserName of what WeCom itself tells.
const system = "sys"

// reading is what one callback is read with.
type reading struct {
	*account
	*document
	raw []byte
}

// read makes submissions of a callback that was decrypted.
func (c *Channel) read(a *account, raw []byte) ([]*eventv1.Submission, error) {
	d, err := parse(raw)
	if err != nil {
		return nil, fmt.Errorf("social/wechat/wecom: %w", err)
	}
	r := &reading{a, d, raw}
	submissions, err := r.callback(c.cfg.KF)
	if err != nil {
		return nil, fmt.Errorf("social/wechat/wecom: %w", err)
	}
	return submissions, nil
}

func (r *reading) callback(kf Waker) ([]*eventv1.Submission, error) {
	if to := r.get("ToUserName"); to != r.CorpID {
		return nil, fmt.Errorf("it is for the company %q, not for this inbox's", to)
	}
	if agent := r.get("AgentID"); agent != "" && agent != "0" && agent != r.agentID {
		return nil, fmt.Errorf("it is of the application %q, not of this inbox's", agent)
	}
	switch kind := r.get("MsgType"); kind {
	case "":
		return nil, errors.New("it has no MsgType")
	case "event":
		return r.event(kf)
	default:
		return r.message(kind)
	}
}

// tell makes an event of a thread.
func (r *reading) tell(typ, thread, native string, content *eventv1.Content) *eventv1.Submission {
	return &eventv1.Submission{
		Type: typ, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Provider: Provider, Inbox: r.Inbox,
		Thread: thread, NativeId: native, OccurredAt: seconds(r.get("CreateTime")), Content: content,
	}
}

// byMember puts the member who acts into an event: as the customer of an internal service desk, or as one of the company's.
func (r *reading) byMember(s *eventv1.Submission) *eventv1.Submission {
	member := r.get("FromUserName")
	theirs := &eventv1.SubmittedParty{Address: r.address(member), Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER}
	s.Direction, s.Actor = eventv1.Direction_DIRECTION_INBOUND, &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	if r.Members == MembersCompany {
		theirs.Side = eventv1.Side_SIDE_COMPANY
		s.Direction, s.Actor = eventv1.Direction_DIRECTION_INTERNAL, r.agent(member)
	}
	s.Parties = []*eventv1.SubmittedParty{theirs, r.application(eventv1.PartyRole_PARTY_ROLE_TO)}
	return s
}

// address is a member's.
func (a *account) address(member string) *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: a.namespace, Value: member}
}

// application is the company's side.
func (a *account) application(role eventv1.PartyRole) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{Address: a.address("agent/" + a.agentID), Role: role, Side: eventv1.Side_SIDE_COMPANY}
}

// agent is a member as an actor, by the name that the configuration gives, or without one where the id is not fit for an agent's.
func (a *account) agent(member string) *eventv1.SubmittedActor {
	id := cmp.Or(a.Agents[member], member)
	if len(id) > 128 || strings.Trim(id, actorLetters) != "" {
		id = ""
	}
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: id}
}

const actorLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._:/@+-"

// message reads what a member wrote to the application (https://developer.work.weixin.qq.com/document/path/90239).
func (r *reading) message(kind string) ([]*eventv1.Submission, error) {
	member, id := r.get("FromUserName"), r.get("MsgId")
	if member == "" || id == "" {
		return nil, fmt.Errorf("it does not say from whom it is, or its id (MsgType %q)", kind)
	}
	m, attachment := &eventv1.Message{}, &eventv1.Attachment{Source: r.get("MediaId")}
	switch kind {
	case "text":
		m.Text, attachment = r.get("Content"), nil
		if content := r.at("Content"); content != nil {
			m.Text = content.Text // with the space around it
		}
	case "image":
	case "voice":
		if format := strings.ToLower(r.get("Format")); format == "amr" || format == "speex" {
			attachment.MediaType = "audio/" + format
		}
	case "video":
	case "location":
		attachment = nil
		place, err := r.place("Location_X", "Location_Y")
		if err != nil {
			return nil, err
		}
		m.Location = place
	case "link":
		m.Text, attachment = wechat.Lines(r.get("Title"), r.get("Description"), r.get("Url")), nil
	default:
		s := r.byMember(r.tell(event.ForeignType(Provider, kind), member, id, r.extension()))
		return []*eventv1.Submission{s}, nil
	}
	content := &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: m}}
	typ := event.TypeMessageReceived
	if r.Members == MembersCompany {
		typ, content.Body = event.TypeMessageSent, &eventv1.Content_MessageSent{MessageSent: m}
	}
	if attachment != nil {
		if attachment.GetSource() == "" {
			return nil, fmt.Errorf("it names no file (MsgType %q)", kind)
		}
		content.Attachments = []*eventv1.Attachment{attachment}
	}
	return []*eventv1.Submission{r.byMember(r.tell(typ, member, id, content))}, nil
}

func (r *reading) place(latitudeField, longitudeField string) (*eventv1.Location, error) {
	latitude, errLatitude := strconv.ParseFloat(r.get(latitudeField), 64)
	longitude, errLongitude := strconv.ParseFloat(r.get(longitudeField), 64)
	if errLatitude != nil || errLongitude != nil || !(math.Abs(latitude) <= 90) || !(math.Abs(longitude) <= 180) {
		return nil, errors.New("it is a place that is none on the earth")
	}
	return &eventv1.Location{Latitude: latitude, Longitude: longitude, Label: r.get("Label")}, nil
}

// event reads what happened otherwise (https://developer.work.weixin.qq.com/document/path/90240).
func (r *reading) event(kf Waker) ([]*eventv1.Submission, error) {
	name := strings.ToLower(r.get("Event"))
	switch {
	case name == "":
		return nil, errors.New("it has no Event")
	case name == "kf_msg_or_event":
		if kf != nil { // it says that there is something to pull, and no more
			kf.Wake(r.CorpID, r.get("OpenKfId"), r.get("Token"))
		}
		return nil, nil
	case r.get("ExternalUserID") != "":
		return r.external(name)
	case r.bySomebody(name):
		if step := r.step(name); step != nil && r.Members != MembersCompany {
			content := &eventv1.Content{Body: &eventv1.Content_FlowStepEntered{FlowStepEntered: step}}
			return []*eventv1.Submission{r.byMember(r.tell(event.TypeFlowStepEntered, r.get("FromUserName"), r.native(name), content))}, nil
		}
		s := r.byMember(r.other(name))
		s.Thread = r.get("FromUserName")
		return []*eventv1.Submission{s}, nil
	}
	s := r.other(name)
	s.Direction = eventv1.Direction_DIRECTION_INTERNAL
	if member := r.get("FromUserName"); member != "" && member != system {
		s.Actor = r.agent(member)
	} else {
		s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
	}
	return []*eventv1.Submission{s}, nil
}

// bySomebody tells whether an event is of a member who uses the application. Events of the company's, such as those of its address book, of
// calendars and of meetings, name no application, or a member who acts in another one.
func (r *reading) bySomebody(name string) bool {
	if member := r.get("FromUserName"); member == "" || member == system {
		return false
	}
	switch name {
	case "sys_approval_change", "open_approval_change", "batch_job_result", "change_contact":
		return false
	}
	agent := r.get("AgentID")
	return agent != "" && agent != "0"
}

// native identifies an event: WeCom gives it no id.
func (r *reading) native(name string) string {
	parts := []string{r.get("FromUserName"), r.get("CreateTime"), name}
	for _, field := range []string{"ChangeType", "EventKey", "TaskId"} {
		switch value := r.get(field); {
		case len(value) > maxKey:
			sum := sha256.Sum256([]byte(value))
			parts = append(parts, hex.EncodeToString(sum[:]))
		case value != "":
			parts = append(parts, value)
		}
	}
	return strings.Join(parts, "/")
}

// maxKey is how long a field may be that stands in an id: the key of a menu that opens a page is the page's address.
const maxKey = 200

// step is a choice in a menu or on a card; nil where the event is none.
func (r *reading) step(name string) *eventv1.FlowStepEntered {
	s := &eventv1.FlowStepEntered{Flow: "menu", Step: r.get("EventKey")}
	switch name {
	case "click", "view", "view_miniprogram", "pic_sysphoto", "pic_photo_or_album", "pic_weixin":
	case "scancode_push", "scancode_waitmsg":
		s.Input = r.get("ScanCodeInfo", "ScanResult")
	case "location_select":
		s.Input = wechat.Lines(r.get("SendLocationInfo", "Poiname"), r.get("SendLocationInfo", "Label"))
	case "template_card_event", "template_card_menu_event":
		s.Flow, s.Input = "template_card", r.chosen()
	case "taskcard_click":
		s.Flow = "taskcard"
	default:
		return nil
	}
	if s.GetStep() == "" {
		return nil
	}
	return s
}

// chosen is what was chosen on a card, question by question.
func (r *reading) chosen() string {
	var answers []string
	for _, item := range r.all("SelectedItem", "SelectedItems") {
		var options []string
		for _, id := range item.all("OptionId", "OptionIds") {
			options = append(options, strings.TrimSpace(id.Text))
		}
		answers = append(answers, item.get("QuestionKey")+"="+strings.Join(options, ","))
	}
	return wechat.Lines(answers...)
}

// extension carries the whole callback.
func (r *reading) extension() *eventv1.Content {
	return &eventv1.Content{Body: &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/xml", Data: r.raw}}}
}

// other is an event of what no type of the registry fits. As WeCom tells several things of the same second alike, the event's id depends on all
// that it says.
func (r *reading) other(name string) *eventv1.Submission {
	names := []string{name}
	if change := r.get("ChangeType"); change != "" {
		names = append(names, change)
	}
	s := r.tell(event.ForeignType(Provider, names...), r.subject(name), r.native(name), r.extension())
	sum := sha256.Sum256(r.raw)
	s.Discriminator = sum[:]
	return s
}

// subject is what an event of the company's is about: the first of the ids that it has, else the event itself.
func (r *reading) subject(name string) string {
	for _, path := range [][]string{
		{"ScheduleId"},
		{"CalId"},
		{"MeetingId"},
		{"MeetingRoomId"},
		{"LivingId"},
		{"ChatId"},
		{"BatchJob", "JobId"},
		{"JobId"},
		{"ApprovalInfo", "SpNo"},
		{"ApprovalInfo", "ThirdNo"},
		{"DocId"},
		{"FormId"},
		{"UserID"},
		{"Id"},
		{"TagId"},
		{"LinkId"},
	} {
		if id := r.get(path...); id != "" {
			return path[len(path)-1] + "/" + id
		}
	}
	return name
}

// external is about an external contact, whom a member knows (https://developer.work.weixin.qq.com/document/path/92130). The application cannot write to them,
// so their id is an identifier; customer service (package kf) names them by the same one.
func (r *reading) external(name string) ([]*eventv1.Submission, error) {
	contact, member, change := r.get("ExternalUserID"), r.get("UserID"), r.get("ChangeType")
	s := r.other(name)
	s.Thread = contact
	s.Parties = []*eventv1.SubmittedParty{{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER, Namespace: r.namespace, Value: contact},
		Role:    eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, Side: eventv1.Side_SIDE_CUSTOMER,
	}}
	if member != "" {
		s.Parties = append(s.Parties, &eventv1.SubmittedParty{
			Address: r.address(member), Role: eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, Side: eventv1.Side_SIDE_COMPANY,
		})
	}
	switch change {
	case "del_follow_user", "msg_audit_approved":
		s.Direction, s.Actor = eventv1.Direction_DIRECTION_INBOUND, &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	case "edit_external_contact", "del_external_contact":
		s.Direction = eventv1.Direction_DIRECTION_INTERNAL
		if member != "" {
			s.Actor = r.agent(member)
		}
	}
	if change == "msg_audit_approved" { // the contact allows that the company keeps what they write to each other
		s.Type, s.Discriminator = event.TypeConsentChanged, nil
		s.NativeId += "/" + member
		s.Content = &eventv1.Content{Body: &eventv1.Content_ConsentChanged{ConsentChanged: &eventv1.ConsentChanged{
			Purpose: "recording", Granted: true, Evidence: change,
		}}}
	}
	return []*eventv1.Submission{s}, nil
}

// seconds is a time; nil where it is none.
func seconds(text string) *timestamppb.Timestamp {
	unix, err := strconv.ParseInt(text, 10, 64)
	if at := timestamppb.New(time.Unix(unix, 0)); err == nil && unix > 0 && at.IsValid() {
		return at
	}
	return nil
}
