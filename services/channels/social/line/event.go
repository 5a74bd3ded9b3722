package line

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	linewebhook "github.com/line/line-bot-sdk-go/v8/linebot/webhook"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	maxID      = 512  // of an id that ours are made of
	maxMembers = 1000 // in one event
	// channelThread is the thread of what concerns the account itself.
	channelThread = "channel"
)

// split takes a delivery apart (https://developers.line.biz/en/reference/messaging-api/#request-body). A single event, which was
// rejected apart from its delivery, is one as well. No events are fine: LINE finds out so whether anybody answers.
func (a *account) split(body []byte) ([]json.RawMessage, error) {
	var delivery map[string]json.RawMessage
	if err := json.Unmarshal(body, &delivery); err != nil {
		return nil, fmt.Errorf("the body is no delivery: %w", err)
	}
	_, single := delivery["type"]
	events, whole := delivery["events"]
	switch {
	case !whole && single:
		return []json.RawMessage{body}, nil
	case !whole:
		return nil, errors.New("the body is no delivery: it has no events")
	}
	var all []json.RawMessage
	if err := json.Unmarshal(events, &all); err != nil || all == nil {
		return nil, errors.New("the body is no delivery: its events are no list")
	}
	var destination string
	if err := json.Unmarshal(delivery["destination"], &destination); a.BotUserID != "" && (err != nil || destination != a.BotUserID) {
		return nil, errors.New("it is meant for another bot than the account's")
	}
	return all, nil
}

// envelope is what all events have in common (https://developers.line.biz/en/reference/messaging-api/#common-properties).
type envelope struct {
	Type           string          `json:"type"`
	Timestamp      int64           `json:"timestamp"` // milliseconds since 1970
	WebhookEventID string          `json:"webhookEventId"`
	Source         json.RawMessage `json:"source"`

	Message  json.RawMessage              `json:"message"`
	Unsend   *linewebhook.UnsendDetail    `json:"unsend"`
	Postback *linewebhook.PostbackContent `json:"postback"`
	Joined   *members                     `json:"joined"`
	Left     *members                     `json:"left"`
}

type members struct {
	Members []linewebhook.UserSource `json:"members"`
}

// reading is what one event is read with.
type reading struct {
	*account
	envelope
	raw    json.RawMessage
	thread string
	user   string // who did it; empty where that is not told
}

// event makes submissions of one event.
func (a *account) event(raw json.RawMessage) ([]*eventv1.Submission, error) {
	r := &reading{account: a, raw: raw}
	if err := unmarshal(raw, &r.envelope); err != nil {
		return nil, err
	}
	switch {
	case r.Type == "":
		return nil, errors.New("the event has no type")
	case r.WebhookEventID == "" || len(r.WebhookEventID) > maxID:
		return nil, errors.New("the event's id is missing or too long")
	}
	if err := r.from(); err != nil {
		return nil, fmt.Errorf("%.64q: %w", r.Type, err)
	}
	submissions, err := r.all()
	if err != nil {
		return nil, fmt.Errorf("%.64q: %w", r.Type, err)
	}
	for _, s := range submissions {
		s.Provider, s.Inbox, s.Channel, s.Thread, s.OccurredAt = Provider, a.Inbox, eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, r.thread, at(r.Timestamp)
		switch {
		case s.Parties != nil:
		case r.user != "":
			s.Parties = []*eventv1.SubmittedParty{r.customer(r.user, eventv1.PartyRole_PARTY_ROLE_SENDER)}
		case s.GetContent().GetExtension() == nil: // somebody of a group whose id is not told
			s.Parties = []*eventv1.SubmittedParty{{Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER}}
		}
		switch r.Type {
		case "activated", "deactivated", "botSuspended", "botResumed", "module", "delivery": // LINE does
			s.Actor = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}
			continue
		}
		if len(s.GetParties()) > 0 {
			s.Direction, s.Actor = eventv1.Direction_DIRECTION_INBOUND, &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
		}
	}
	return submissions, nil
}

// unmarshal reads what LINE said. The error says where it is wrong and not what stands there.
func unmarshal(raw json.RawMessage, into any) error {
	err := json.Unmarshal(raw, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s is of another type than expected", cmp.Or(wrong.Field, "it"))
	}
	return err
}

// at is a time in milliseconds; nil for none, or one that cannot be stored, so that the time of receipt counts.
func at(millis int64) *timestamppb.Timestamp {
	t := &timestamppb.Timestamp{Seconds: millis / 1000, Nanos: int32(millis%1000) * 1_000_000}
	if millis <= 0 || !t.IsValid() {
		return nil
	}
	return t
}

// from says in which thread it happened, and who did it
// (https://developers.line.biz/en/reference/messaging-api/#source-user).
func (r *reading) from() error {
	r.thread = channelThread
	if len(r.Source) == 0 || string(r.Source) == "null" {
		return nil
	}
	source, err := linewebhook.UnmarshalSource(r.Source)
	if err != nil {
		return errors.New("its source cannot be read")
	}
	switch s := source.(type) {
	case linewebhook.UserSource:
		r.thread, r.user = s.UserId, s.UserId
	case linewebhook.GroupSource:
		r.thread, r.user = s.GroupId, s.UserId
	case linewebhook.RoomSource:
		r.thread, r.user = s.RoomId, s.UserId
	default:
		return fmt.Errorf("a source of the kind %.64q is not known", source.GetType())
	}
	if r.thread == "" || len(r.thread) > maxID || len(r.user) > maxID {
		return errors.New("the id of its source is missing or too long")
	}
	return nil
}

func (r *reading) customer(id string, role eventv1.PartyRole) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: Provider + "/" + r.ChannelID, Value: id},
		Role:    role, Side: eventv1.Side_SIDE_CUSTOMER,
	}
}

// all reads what an event tells.
func (r *reading) all() ([]*eventv1.Submission, error) {
	switch r.Type {
	case "message", "messageEdited":
		return r.message()
	case "unsend":
		if r.Unsend == nil || r.Unsend.MessageId == "" || len(r.Unsend.MessageId) > maxID {
			return nil, errors.New("it does not say which message")
		}
		return one(event.TypeMessageDeleted, r.Unsend.MessageId+"/unsent", &eventv1.Content{Body: &eventv1.Content_MessageDeleted{
			MessageDeleted: &eventv1.MessageDeleted{Message: r.Unsend.MessageId},
		}}), nil
	case "postback":
		return r.postback()
	case "memberJoined":
		return r.members(r.Joined, event.TypePartyJoined, func() *eventv1.Content {
			return &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{}}}
		})
	case "memberLeft":
		return r.members(r.Left, event.TypePartyLeft, func() *eventv1.Content {
			return &eventv1.Content{Body: &eventv1.Content_PartyLeft{PartyLeft: &eventv1.PartyLeft{}}}
		})
	}
	return r.extension(r.Type)
}

func one(eventType, nativeID string, c *eventv1.Content) []*eventv1.Submission {
	return []*eventv1.Submission{{Type: eventType, NativeId: nativeID, Content: c}}
}

// message reads a message, new or edited.
func (r *reading) message() ([]*eventv1.Submission, error) {
	var head linewebhook.MessageContent
	if err := unmarshal(r.Message, &head); err != nil {
		return nil, fmt.Errorf("the message: %w", err)
	}
	if head.Id == "" || len(head.Id) > maxID {
		return nil, errors.New("the message's id is missing or too long")
	}
	said, err := linewebhook.UnmarshalMessageContent(r.Message)
	if err != nil {
		return nil, fmt.Errorf("what is in a message of the type %.64q cannot be read", head.Type) // err holds what was said
	}
	c, known, err := content(said, head.Id)
	if err != nil {
		return nil, err
	}
	var all []*eventv1.Submission
	if r.Type == "messageEdited" {
		all = one(event.TypeMessageEdited, r.WebhookEventID, &eventv1.Content{Attachments: c.files, Body: &eventv1.Content_MessageEdited{
			MessageEdited: &eventv1.MessageEdited{Message: head.Id, Edited: c.message},
		}})
	} else {
		all = one(event.TypeMessageReceived, head.Id, &eventv1.Content{Attachments: c.files, Body: &eventv1.Content_MessageReceived{MessageReceived: c.message}})
	}
	if known {
		return all, nil
	}
	more, err := r.extension(head.Type + "_message")
	return append(all, more...), err
}

// said is what a message says, with its files.
type said struct {
	message *eventv1.Message
	files   []*eventv1.Attachment
}

// content reads what a message says (https://developers.line.biz/en/reference/messaging-api/#message-event); not known where it is of a
// type that is newer than this.
func content(of linewebhook.MessageContentInterface, id string) (c said, known bool, err error) {
	c = said{message: &eventv1.Message{}}
	switch m := of.(type) {
	case linewebhook.TextMessageContent:
		c.message.Text, c.message.InReplyTo = m.Text, m.QuotedMessageId
	case linewebhook.ImageMessageContent:
		err = c.file(id, m.ContentProvider)
	case linewebhook.VideoMessageContent:
		err = c.file(id, m.ContentProvider)
	case linewebhook.AudioMessageContent:
		err = c.file(id, m.ContentProvider)
	case linewebhook.FileMessageContent:
		err = c.file(id, nil)
		c.files[0].Name = event.Clip(m.FileName, 1024)
	case linewebhook.LocationMessageContent:
		c.place(m)
	case linewebhook.StickerMessageContent:
		c.message.Text, c.message.InReplyTo = m.Text, m.QuotedMessageId
		if m.Text == "" {
			c.leftOut(fmt.Sprintf("a sticker (package %.64s, sticker %.64s)", m.PackageId, m.StickerId))
		}
	default:
		c.leftOut(fmt.Sprintf("a message of the type %.64q", of.GetType()))
		return c, false, nil
	}
	return c, true, err
}

func (c *said) leftOut(what string) {
	c.message.Defects = append(c.message.Defects, strings.ToValidUTF8(what, "\uFFFD")+" is left out")
}

// file names a file: by the message's id where LINE keeps it, else by its address.
func (c *said) file(id string, provider *linewebhook.ContentProvider) error {
	source := id
	if provider != nil && provider.Type == linewebhook.ContentProviderTYPE_EXTERNAL {
		source = provider.OriginalContentUrl
		if source == "" || len(source) > 4096 {
			return errors.New("the address of a file is missing or too long")
		}
	}
	c.files = append(c.files, &eventv1.Attachment{Source: source})
	return nil
}

func (c *said) place(m linewebhook.LocationMessageContent) {
	if m.Latitude < -90 || m.Latitude > 90 || m.Longitude < -180 || m.Longitude > 180 {
		c.leftOut("a place that is not on the earth")
		return
	}
	c.message.Location = &eventv1.Location{Latitude: m.Latitude, Longitude: m.Longitude, Label: strings.Trim(m.Title+", "+m.Address, ", ")}
}

// postback reads that somebody pressed a button, with the date that was picked or the rich menu that was switched to.
func (r *reading) postback() ([]*eventv1.Submission, error) {
	if r.Postback == nil {
		return nil, errors.New("it has no data")
	}
	var picked []string
	params := r.Postback.Params
	for _, name := range slices.Sorted(maps.Keys(params)) {
		picked = append(picked, name+"="+params[name])
	}
	if len(params) == 1 && params["date"]+params["time"]+params["datetime"] != "" {
		picked = slices.Collect(maps.Values(params)) // what the customer saw
	}
	return one(event.TypeFlowStepEntered, r.WebhookEventID, &eventv1.Content{Body: &eventv1.Content_FlowStepEntered{FlowStepEntered: &eventv1.FlowStepEntered{
		Flow: "postback", Step: r.Postback.Data, Input: strings.Join(picked, " "),
	}}}), nil
}

// members tells of each of those who came or went.
func (r *reading) members(who *members, eventType string, body func() *eventv1.Content) ([]*eventv1.Submission, error) {
	if who == nil || len(who.Members) > maxMembers {
		return nil, errors.New("it names no members, or too many")
	}
	var all []*eventv1.Submission
	for i, m := range who.Members {
		if m.UserId == "" || len(m.UserId) > maxID {
			return nil, errors.New("a member's id is missing or too long")
		}
		all = append(all, &eventv1.Submission{
			Type: eventType, NativeId: r.WebhookEventID, Ordinal: uint32(i), Content: body(),
			Parties: []*eventv1.SubmittedParty{r.customer(m.UserId, eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)},
		})
	}
	return all, nil
}

// extension carries an event of LINE's as it came, but for how it was delivered, which changes from time to time.
func (r *reading) extension(name string) ([]*eventv1.Submission, error) {
	var fields map[string]json.RawMessage
	if err := unmarshal(r.raw, &fields); err != nil {
		return nil, err
	}
	delete(fields, "deliveryContext")
	delete(fields, "replyToken")
	var data bytes.Buffer
	encoder := json.NewEncoder(&data)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(fields); err != nil {
		return nil, err
	}
	return one(event.ForeignType(Provider, name), r.WebhookEventID, &eventv1.Content{Body: &eventv1.Content_Extension{
		Extension: &eventv1.Extension{MediaType: "application/json", Data: bytes.TrimSpace(data.Bytes())},
	}}), nil
}
