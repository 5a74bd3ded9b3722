package messenger

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// reading reads the items of one account.
type reading struct{ *account }

// person is who sends or gets something. UserRef stands for somebody of a plugin on a web page, of whom there is no id yet.
type person struct {
	ID      word   `json:"id"`
	UserRef string `json:"user_ref"`
}

func (p person) key() string {
	if p.ID == "" && p.UserRef != "" {
		return refPrefix + p.UserRef
	}
	return string(p.ID)
}

// refPrefix begins the thread of somebody who has no id yet.
const refPrefix = "user_ref/"

// messaging is an item of messaging and standby, and the value of a change of the same fields
// (https://developers.facebook.com/docs/messenger-platform/reference/webhook-events,
// https://developers.facebook.com/docs/instagram-platform/webhooks/examples).
type messaging struct {
	Sender    person `json:"sender"`
	Recipient person `json:"recipient"`
	Timestamp word   `json:"timestamp"`

	Message  *message        `json:"message"`
	Edit     *edit           `json:"message_edit"`
	Read     *read           `json:"read"`
	Delivery *delivery       `json:"delivery"`
	Reaction *reaction       `json:"reaction"`
	Postback *postback       `json:"postback"`
	Referral json.RawMessage `json:"referral"`
	Optin    *optin          `json:"optin"`
	Feedback *feedback       `json:"messaging_feedback"`
	Response *response       `json:"response_feedback"`
}

type edit struct {
	MID     string `json:"mid"`
	Text    string `json:"text"`
	NumEdit word   `json:"num_edit"`
}

type read struct {
	MID       string `json:"mid"`
	Watermark word   `json:"watermark"`
}

type delivery struct {
	MIDs      []string `json:"mids"`
	Watermark word     `json:"watermark"`
}

type reaction struct {
	MID      string `json:"mid"`
	Action   string `json:"action"`
	Reaction string `json:"reaction"`
	Emoji    string `json:"emoji"`
}

type postback struct {
	MID      string          `json:"mid"`
	Title    string          `json:"title"`
	Payload  string          `json:"payload"`
	Referral json.RawMessage `json:"referral"`
}

// referral says by which link or ad somebody came.
type referral struct {
	Ref     string          `json:"ref"`
	Source  string          `json:"source"`
	Type    string          `json:"type"`
	AdID    word            `json:"ad_id"`
	Ads     json.RawMessage `json:"ads_context_data"`
	Product json.RawMessage `json:"product"`
}

type optin struct {
	Type    string `json:"type"`
	Ref     string `json:"ref"`
	Payload string `json:"payload"`
	Title   string `json:"title"`
	Status  string `json:"notification_messages_status"`
}

type feedback struct {
	Screens []struct {
		ID        word                `json:"screen_id"`
		Questions map[string]question `json:"questions"`
	} `json:"feedback_screens"`
}

type question struct {
	Type     string `json:"type"`
	Payload  word   `json:"payload"`
	FollowUp *struct {
		Payload string `json:"payload"`
	} `json:"follow_up"`
}

type response struct {
	MID      string `json:"mid"`
	Feedback string `json:"feedback"`
}

// exchange is an item between the customer and the company.
type exchange struct {
	*reading
	messaging
	customer string
	ours     bool // the company did it
	known    bool // that the company did it is told beforehand, or may be: there is no time
}

// between reads an item.
func (r *reading) between(raw json.RawMessage) ([]*eventv1.Submission, error) {
	x := &exchange{reading: r}
	if err := json.Unmarshal(raw, &x.messaging); err != nil {
		return nil, fmt.Errorf("an item is not what Meta documents: %w", err)
	}
	x.ours = x.Sender.key() == r.ID || x.Message != nil && x.Message.IsEcho
	if x.customer = x.Sender.key(); x.ours {
		x.customer = x.Recipient.key()
	}
	name, err := kindOf(raw)
	if err != nil {
		return nil, err
	}
	if x.Message != nil && x.Message.IsSelf { // the company tries out how it is to write to itself
		return r.other("", "self_message", raw, stamp(x.Timestamp)), nil
	}
	if x.customer == "" || x.customer == r.ID { // about the account
		return r.other(x.customer, name, raw, stamp(x.Timestamp)), nil
	}
	return x.of(name, raw)
}

// of reads an item of one kind.
func (x *exchange) of(name string, raw json.RawMessage) ([]*eventv1.Submission, error) {
	switch {
	case x.Message != nil:
		return x.message()
	case x.Edit != nil:
		return x.edited()
	case x.Read != nil:
		return x.read()
	case x.Delivery != nil:
		return x.delivered()
	case x.Reaction != nil:
		return x.reacted()
	case x.Postback != nil:
		return x.postback()
	case is(x.Referral):
		return x.referred("referral/"+string(x.Timestamp), x.Referral), nil
	case x.Optin != nil:
		return x.optin(raw), nil
	case x.Feedback != nil:
		return x.surveyed()
	case x.Response != nil:
		return x.rated()
	}
	return x.other(x.customer, name, raw, stamp(x.Timestamp)), nil
}

// kindOf finds what an item is: its first field in the order of names that belongs not to every item and is not null.
func kindOf(raw json.RawMessage) (string, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return "", errors.New("an item is no object")
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		switch name {
		case "sender", "recipient", "timestamp", "prior_message", "hop_context", "is_standby":
			continue
		}
		if is(fields[name]) {
			return name, nil
		}
	}
	return "", errors.New("an item says nothing")
}

// is tells whether a value is there.
func is(raw json.RawMessage) bool { return len(raw) > 0 && string(raw) != "null" }

// event makes an event of the exchange.
func (x *exchange) event(typ, native string) *eventv1.Submission {
	theirs := x.party(x.customer, eventv1.PartyRole_PARTY_ROLE_SENDER)
	own := x.self(eventv1.PartyRole_PARTY_ROLE_TO)
	s := &eventv1.Submission{
		Type: typ, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Thread: x.customer, NativeId: native, OccurredAt: stamp(x.Timestamp), Parties: []*eventv1.SubmittedParty{theirs, own},
	}
	if x.ours {
		theirs.Role, own.Role = own.GetRole(), theirs.GetRole()
		s.Direction, s.Parties = eventv1.Direction_DIRECTION_OUTBOUND, []*eventv1.SubmittedParty{own, theirs}
	} else {
		s.Actor = customer()
	}
	if x.known {
		s.OccurredAt = nil
	}
	return s
}

// status makes an event about a message of the company's.
func (x *exchange) status(typ, native string, by *eventv1.SubmittedActor) *eventv1.Submission {
	x.ours = true
	s := x.event(typ, native)
	s.Actor = by
	return s
}

// party is a customer.
func (a *account) party(id string, role eventv1.PartyRole) *eventv1.SubmittedParty {
	p := &eventv1.SubmittedParty{Role: role, Side: eventv1.Side_SIDE_CUSTOMER}
	if id != "" {
		p.Address = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: a.namespace(), Value: id}
	}
	if len(id) > len(refPrefix) && id[:len(refPrefix)] == refPrefix {
		p.Address.Kind = eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER // nobody can be reached by it
	}
	return p
}

// self is the company.
func (a *account) self(role eventv1.PartyRole) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Role: role, Side: eventv1.Side_SIDE_COMPANY,
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: a.namespace(), Value: a.ID},
	}
}

func (a *account) namespace() string { return string(a.product) + "/" + a.ID }

func customer() *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
}

func system() *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
}

// other carries what no type fits, in the thread of a customer, or else in the account's.
func (r *reading) other(who, name string, raw json.RawMessage, at *timestamppb.Timestamp) []*eventv1.Submission {
	s := &eventv1.Submission{
		Type: event.ForeignType(string(r.product), name), Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, OccurredAt: at,
		Thread: cmp.Or(who, r.ID), NativeId: event.Word(name) + "/" + hash(raw), Actor: system(),
		Content: &eventv1.Content{Body: &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/json", Data: raw}}},
	}
	if who != "" && who != r.ID {
		s.Parties = []*eventv1.SubmittedParty{r.party(who, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)}
	}
	return []*eventv1.Submission{s}
}

func (x *exchange) edited() ([]*eventv1.Submission, error) {
	if x.Edit.MID == "" {
		return nil, errors.New("an edited message has no id")
	}
	s := x.event(event.TypeMessageEdited, x.Edit.MID+"/edited/"+string(cmp.Or(x.Edit.NumEdit, x.Timestamp)))
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{
		Message: x.Edit.MID, Edited: &eventv1.Message{Text: x.Edit.Text},
	}}}
	return []*eventv1.Submission{s}, nil
}

func (x *exchange) read() ([]*eventv1.Submission, error) {
	if x.ours {
		return nil, nil // what the company reads is of no interest
	}
	native := x.Read.MID + "/read"
	at := stamp(x.Timestamp)
	if x.Read.MID == "" {
		if at = stamp(x.Read.Watermark); at == nil {
			return nil, errors.New("it does not say which messages were read")
		}
		native = "read/" + string(x.Read.Watermark)
	}
	s := x.status(event.TypeMessageRead, native, customer())
	s.OccurredAt = at
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageRead{MessageRead: &eventv1.MessageRead{Message: x.Read.MID}}}
	return []*eventv1.Submission{s}, nil
}

func (x *exchange) delivered() ([]*eventv1.Submission, error) {
	if x.ours {
		return nil, nil
	}
	at := stamp(x.Delivery.Watermark)
	mids := x.Delivery.MIDs
	if len(mids) == 0 {
		if at == nil {
			return nil, errors.New("it does not say which messages were delivered")
		}
		mids = []string{""}
	}
	mids = slices.Compact(slices.Sorted(slices.Values(mids)))
	all := make([]*eventv1.Submission, 0, len(mids))
	for _, mid := range mids {
		native := mid + "/delivered"
		if mid == "" {
			native = "delivered/" + string(x.Delivery.Watermark)
		}
		s := x.status(event.TypeMessageDelivered, native, system())
		s.OccurredAt = at
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageDelivered{MessageDelivered: &eventv1.MessageDelivered{Message: mid}}}
		all = append(all, s)
	}
	return all, nil
}

func (x *exchange) reacted() ([]*eventv1.Submission, error) {
	if x.Reaction.MID == "" {
		return nil, errors.New("it does not say to which message somebody reacted")
	}
	body := &eventv1.MessageReacted{Message: x.Reaction.MID}
	switch x.Reaction.Action {
	case "react":
		body.Reaction = cmp.Or(x.Reaction.Emoji, x.Reaction.Reaction, "other")
	case "unreact":
	default:
		return nil, fmt.Errorf("%.40q is nothing that is done with a reaction", x.Reaction.Action)
	}
	s := x.event(event.TypeMessageReacted, x.Reaction.MID+"/"+x.Reaction.Action+"/"+string(x.Timestamp))
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageReacted{MessageReacted: body}}
	return []*eventv1.Submission{s}, nil
}

// step makes a step of self-service.
func (x *exchange) step(native, flow, step, input string) *eventv1.Submission {
	s := x.event(event.TypeFlowStepEntered, native)
	s.Content = &eventv1.Content{Body: &eventv1.Content_FlowStepEntered{FlowStepEntered: &eventv1.FlowStepEntered{Flow: flow, Step: step, Input: input}}}
	return s
}

func (x *exchange) postback() ([]*eventv1.Submission, error) {
	p := x.Postback
	native := cmp.Or(p.MID, "postback/"+string(x.Timestamp)+"/"+hash([]byte(p.Payload)))
	all := []*eventv1.Submission{x.step(native, "postback", p.Payload, p.Title)}
	if is(p.Referral) {
		all = append(all, x.referred(native+"/referral", p.Referral)...)
	}
	return all, nil
}

// referred tells by which link or ad a customer came.
func (x *exchange) referred(native string, raw json.RawMessage) []*eventv1.Submission {
	var r loose[referral]
	_ = json.Unmarshal(raw, &r) // loose takes everything
	f := r.value
	all := []*eventv1.Submission{x.step(native, "referral", cmp.Or(f.Ref, string(f.AdID)), cmp.Or(f.Source, f.Type))}
	if f.AdID != "" || is(f.Ads) || is(f.Product) {
		s := x.other(x.customer, "referral", raw, all[0].GetOccurredAt())[0]
		s.NativeId = native
		all = append(all, s)
	}
	return all
}

// optin reads the consent to be written to, or the click on a plugin
// (https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/messaging_optins).
func (x *exchange) optin(raw json.RawMessage) []*eventv1.Submission {
	native := "optin/" + hash(raw)
	consent := &eventv1.ConsentChanged{Granted: true, Evidence: cmp.Or(x.Optin.Title, x.Optin.Payload)}
	switch x.Optin.Type {
	case "notification_messages":
		consent.Purpose, consent.Granted = "marketing", !isStop(x.Optin.Status)
	case "one_time_notif_req":
		consent.Purpose = "one_time_notification"
	default:
		return append([]*eventv1.Submission{x.step(native, "optin", x.Optin.Ref, "")}, x.other(x.customer, "optin", raw, stamp(x.Timestamp))...)
	}
	s := x.event(event.TypeConsentChanged, native)
	s.Content = &eventv1.Content{Body: &eventv1.Content_ConsentChanged{ConsentChanged: consent}}
	return append([]*eventv1.Submission{s}, x.other(x.customer, "optin", raw, stamp(x.Timestamp))...)
}

// isStop reads a status that Meta's own pages write in two ways.
func isStop(status string) bool {
	return status == "STOP_NOTIFICATIONS" || status == "STOP NOTIFICATIONS"
}

// surveyed reads the answers to a customer feedback template
// (https://developers.facebook.com/docs/messenger-platform/send-messages/templates/customer-feedback-template).
func (x *exchange) surveyed() ([]*eventv1.Submission, error) {
	var all []*eventv1.Submission
	for i, screen := range x.Feedback.Screens {
		for _, name := range slices.Sorted(maps.Keys(screen.Questions)) {
			q := screen.Questions[name]
			native := "feedback/" + string(x.Timestamp) + "/" + cmp.Or(string(screen.ID), strconv.Itoa(i)) + "/" + name
			s := x.event(event.TypeSurveyAnswered, native)
			answer := &eventv1.SurveyAnswered{Survey: name}
			switch q.Type {
			case "csat":
				answer.Metric, answer.ScaleMin, answer.ScaleMax = eventv1.SurveyMetric_SURVEY_METRIC_CSAT, 1, 5
			case "nps":
				answer.Metric, answer.ScaleMin, answer.ScaleMax = eventv1.SurveyMetric_SURVEY_METRIC_NPS, 0, 10
			case "ces":
				answer.Metric, answer.ScaleMin, answer.ScaleMax = eventv1.SurveyMetric_SURVEY_METRIC_CES, 1, 7
			default:
				answer.Comment = string(q.Payload)
			}
			if answer.GetMetric() != 0 {
				score, err := strconv.ParseFloat(string(q.Payload), 64)
				if err != nil || score < answer.GetScaleMin() || score > answer.GetScaleMax() {
					return nil, fmt.Errorf("%.40q is no answer to a question of %s", q.Payload, q.Type)
				}
				answer.Score = score
			}
			if q.FollowUp != nil {
				answer.Comment = q.FollowUp.Payload
			}
			s.Content = &eventv1.Content{Body: &eventv1.Content_SurveyAnswered{SurveyAnswered: answer}}
			all = append(all, s)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("there is no answer in a feedback")
	}
	return all, nil
}

// rated reads the thumb that a customer gave to one message
// (https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/response_feedback).
func (x *exchange) rated() ([]*eventv1.Submission, error) {
	answer := &eventv1.SurveyAnswered{Survey: "response_feedback", Metric: eventv1.SurveyMetric_SURVEY_METRIC_CSAT, ScaleMax: 1}
	switch x.Response.Feedback {
	case "Good response":
		answer.Score = 1
	case "Bad response":
	default:
		return nil, fmt.Errorf("%.40q is no feedback to a message", x.Response.Feedback)
	}
	if x.Response.MID == "" {
		return nil, errors.New("it does not say to which message a feedback is")
	}
	s := x.event(event.TypeSurveyAnswered, x.Response.MID+"/feedback/"+string(x.Timestamp))
	s.Content = &eventv1.Content{Body: &eventv1.Content_SurveyAnswered{SurveyAnswered: answer}}
	return []*eventv1.Submission{s}, nil
}
