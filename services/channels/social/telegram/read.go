package telegram

import (
	"cmp"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/language"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	maxID    = 512  // of what an id of ours is made of
	maxNamed = 1000 // members, or messages, in one update
)

// reading is what one update is read with.
type reading struct {
	*account
	update
}

// all reads everything that an update tells.
func (r *reading) all() ([]*eventv1.Submission, error) {
	var all []*eventv1.Submission
	for _, kind := range slices.Sorted(r.kinds()) {
		submissions, err := r.of(kind, r.fields[kind])
		if err != nil {
			return nil, err
		}
		all = append(all, submissions...)
	}
	return all, nil
}

// of reads one kind of update.
func (r *reading) of(kind string, raw json.RawMessage) ([]*eventv1.Submission, error) {
	switch kind {
	case "message", "channel_post", "business_message", "guest_message",
		"edited_message", "edited_channel_post", "edited_business_message":
		return r.message(kind, raw)
	case "deleted_business_messages":
		return r.deleted(raw)
	case "message_reaction":
		return r.reacted(raw)
	case "callback_query":
		return r.callback(raw)
	}
	return r.other(kind, raw)
}

// unmarshal reads what an update holds. The error says where it is wrong and not what stands there.
func unmarshal(raw json.RawMessage, into any) error {
	err := json.Unmarshal(raw, into)
	if wrong, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		return fmt.Errorf("%s is of another type than expected", cmp.Or(wrong.Field, "it"))
	}
	return err
}

// customer is a party on the customer's side, by a user's or a chat's id.
func (r *reading) customer(id int64, name string, role eventv1.PartyRole) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{
		Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SOCIAL, Namespace: Provider + "/" + r.bot, Value: number(id)},
		Role:    role, Side: eventv1.Side_SIDE_CUSTOMER, DisplayName: name,
	}
}

func company(name string, role eventv1.PartyRole) *eventv1.SubmittedParty {
	return &eventv1.SubmittedParty{Role: role, Side: eventv1.Side_SIDE_COMPANY, DisplayName: name}
}

func actor(kind eventv1.ActorKind) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: kind}
}

// isBot tells whether a user is the account's own bot.
func (r *reading) isBot(u *user) bool { return u != nil && number(u.ID) == r.bot }

// locale is a user's language, where it is one.
func locale(u *user) string {
	if u == nil || u.LanguageCode == "" {
		return ""
	}
	tag, err := language.Parse(u.LanguageCode)
	if err != nil || len(tag.String()) > 35 {
		return ""
	}
	return tag.String()
}

// checkMessage tells whether a message says where it belongs.
func checkMessage(m *message) error {
	switch {
	case m.Chat == nil || m.Chat.ID == 0:
		return errors.New("it does not say in which chat")
	case len(m.BusinessConnectionID) > maxID:
		return errors.New("the id of the business connection is too long")
	}
	return nil
}

// thread is that of a message; see the package.
func thread(m *message) string {
	in := number(m.Chat.ID)
	switch {
	case m.BusinessConnectionID != "":
		return "business/" + m.BusinessConnectionID + "/" + in
	case m.DirectTopic != nil:
		return in + "/direct/" + number(m.DirectTopic.ID)
	case m.IsTopicMessage && m.ThreadID != 0 && m.Chat.Type != "private":
		return in + "/" + number(m.ThreadID)
	}
	return in
}

// nativeID is a message's id: unique beyond its chat.
func nativeID(in *chat, id int64) string { return number(in.ID) + "/" + number(id) }

// message reads a message of any kind, new or edited.
func (r *reading) message(kind string, raw json.RawMessage) ([]*eventv1.Submission, error) {
	var m message
	if err := unmarshal(raw, &m); err != nil {
		return nil, err
	}
	if err := checkMessage(&m); err != nil {
		return nil, err
	}
	s := &eventv1.Submission{
		Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Thread: thread(&m), NativeId: nativeID(m.Chat, m.ID), OccurredAt: at(m.Date),
	}
	switch {
	case m.ID != 0:
	case m.EphemeralID != 0: // used again after the message is gone
		s.NativeId = number(m.Chat.ID) + "/ephemeral/" + number(m.EphemeralID) + "/" + number(m.Date)
	default: // a message that Telegram has put off
		s.NativeId = number(m.Chat.ID) + "/update/" + number(r.id)
	}
	if !r.parties(kind, &m, s) {
		return nil, nil
	}
	if kind == "channel_post" || kind == "edited_channel_post" {
		s.Channel, s.Thread = eventv1.Channel_CHANNEL_SOCIAL_POST, "post/"+s.GetNativeId()
	}
	if kind == "guest_message" {
		s.Thread = "guest/" + s.GetThread()
	}
	said, understood := m.read()
	if understood {
		if m.Contact != nil && m.From != nil && m.Contact.UserID == m.From.ID && s.GetDirection() == eventv1.Direction_DIRECTION_INBOUND {
			s.Parties = append(s.Parties, own(m.Contact)...)
		}
		return []*eventv1.Submission{r.said(kind, &m, s, said)}, nil
	}
	if strings.HasPrefix(kind, "edited_") {
		s.NativeId += "/edited/" + number(m.EditDate)
		s.Discriminator = digest(string(r.without(kind))) // several edits may fall into one second
		return r.extension(s, kind, kind), nil
	}
	return r.service(kind, &m, s)
}

// parties sets who wrote a message, to whom, and in which direction; false where it is the bot itself, which tells nothing new.
func (r *reading) parties(kind string, m *message, s *eventv1.Submission) bool {
	from := m.From
	if r.isBot(m.SenderBusinessBot) || m.SenderChat == nil && r.isBot(from) {
		return false
	}
	outbound := func(role eventv1.PartyRole, name string) {
		s.Direction, s.Parties = eventv1.Direction_DIRECTION_OUTBOUND, []*eventv1.SubmittedParty{company(name, role)}
		s.Actor = actor(eventv1.ActorKind_ACTOR_KIND_AGENT)
	}
	switch {
	case strings.HasSuffix(kind, "channel_post"):
		outbound(eventv1.PartyRole_PARTY_ROLE_AUTHOR, called(m.AuthorSignature, m.Chat.name()))
	case m.IsAutomaticForward && m.SenderChat != nil: // the linked channel's post, in the group where it is discussed
		outbound(eventv1.PartyRole_PARTY_ROLE_SENDER, called(m.AuthorSignature, m.SenderChat.name()))
	case m.BusinessConnectionID != "" && from != nil && from.ID != m.Chat.ID:
		outbound(eventv1.PartyRole_PARTY_ROLE_SENDER, from.name())
		if m.IsFromOffline || m.SenderBusinessBot != nil {
			s.Actor = actor(eventv1.ActorKind_ACTOR_KIND_BOT)
		}
		s.Parties = append(s.Parties, r.customer(m.Chat.ID, m.Chat.name(), eventv1.PartyRole_PARTY_ROLE_TO))
	default:
		s.Direction, s.Actor = eventv1.Direction_DIRECTION_INBOUND, actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER)
		switch {
		case m.SenderChat != nil:
			s.Parties = append(s.Parties, r.customer(m.SenderChat.ID, called(m.SenderChat.name(), m.AuthorSignature), eventv1.PartyRole_PARTY_ROLE_SENDER))
		case from != nil:
			s.Parties = append(s.Parties, r.customer(from.ID, from.name(), eventv1.PartyRole_PARTY_ROLE_SENDER))
			s.Language = locale(from)
		}
	}
	return true
}

// own is the sender's own telephone number, as shared by a button of the bot's.
func own(c *contact) []*eventv1.SubmittedParty {
	address := &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_PHONE, Value: c.PhoneNumber}
	if !strings.HasPrefix(address.GetValue(), "+") { // some apps leave it out
		address.Value = "+" + address.GetValue()
	}
	if _, err := event.Normalise(address); err != nil {
		return nil
	}
	return []*eventv1.SubmittedParty{{Address: address, Role: eventv1.PartyRole_PARTY_ROLE_SENDER, Side: eventv1.Side_SIDE_CUSTOMER}}
}

// said makes the event of a message that says something.
func (r *reading) said(kind string, m *message, s *eventv1.Submission, c *content) *eventv1.Submission {
	s.Content = &eventv1.Content{Attachments: c.files}
	switch {
	case strings.HasPrefix(kind, "edited_"):
		s.Type = event.TypeMessageEdited
		s.Content.Body = &eventv1.Content_MessageEdited{MessageEdited: &eventv1.MessageEdited{Message: s.GetNativeId(), Edited: c.message}}
		s.NativeId += "/edited/" + number(m.EditDate)
		if edited := at(m.EditDate); edited != nil {
			s.OccurredAt = edited
		}
		s.Discriminator = c.digest() // several edits may fall into one second
	case s.GetDirection() == eventv1.Direction_DIRECTION_OUTBOUND:
		s.Type = event.TypeMessageSent
		s.Content.Body = &eventv1.Content_MessageSent{MessageSent: c.message}
	default:
		s.Type = event.TypeMessageReceived
		s.Content.Body = &eventv1.Content_MessageReceived{MessageReceived: c.message}
	}
	return s
}

// service reads a message that says nothing and tells of something that happened in the chat.
func (r *reading) service(kind string, m *message, s *eventv1.Submission) ([]*eventv1.Submission, error) {
	switch {
	case m.MigrateToChatID != 0:
		return joined(number(m.Chat.ID), number(m.MigrateToChatID)), nil
	case m.MigrateFromChatID != 0:
		return joined(number(m.MigrateFromChatID), number(m.Chat.ID)), nil
	case m.NewChatMembers != nil:
		return r.members(m.NewChatMembers, s, func() *eventv1.Submission {
			return &eventv1.Submission{Type: event.TypePartyJoined, Content: &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{}}}}
		})
	case m.LeftChatMember != nil:
		return r.members([]user{*m.LeftChatMember}, s, func() *eventv1.Submission {
			return &eventv1.Submission{Type: event.TypePartyLeft, Content: &eventv1.Content{Body: &eventv1.Content_PartyLeft{PartyLeft: &eventv1.PartyLeft{}}}}
		})
	case m.WebAppData != nil:
		s.Type = event.TypeFormSubmitted
		s.Content = &eventv1.Content{Body: &eventv1.Content_FormSubmitted{FormSubmitted: &eventv1.FormSubmitted{
			Form: m.WebAppData.ButtonText, Fields: formFields(m.WebAppData.Data),
		}}}
		return []*eventv1.Submission{s}, nil
	}
	return r.extension(s, kind, serviceName(r.fields[kind])), nil
}

// formFields are what a web app sent: its fields where it is an object, else all of it as data.
func formFields(data string) map[string]string {
	var object map[string]any
	if json.Unmarshal([]byte(data), &object) != nil || len(object) == 0 {
		return map[string]string{"data": data}
	}
	fields := make(map[string]string, len(object))
	var raw map[string]json.RawMessage
	_ = json.Unmarshal([]byte(data), &raw) // it was read above
	for name, value := range object {
		if text, ok := value.(string); ok {
			fields[name] = text
		} else {
			fields[name] = strings.ToValidUTF8(string(raw[name]), "\uFFFD")
		}
	}
	return fields
}

// members tells of each of those who came or went, but for bots: what becomes of our own is another update.
func (r *reading) members(users []user, s *eventv1.Submission, one func() *eventv1.Submission) ([]*eventv1.Submission, error) {
	if len(users) > maxNamed {
		return nil, errors.New("it names too many members")
	}
	var all []*eventv1.Submission
	for i, u := range users {
		if u.IsBot {
			continue
		}
		e := one()
		e.Channel, e.Direction, e.Thread, e.NativeId, e.OccurredAt = s.GetChannel(), s.GetDirection(), s.GetThread(), s.GetNativeId(), s.GetOccurredAt()
		e.Ordinal = uint32(i)
		e.Actor = actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER)
		e.Parties = []*eventv1.SubmittedParty{r.customer(u.ID, u.name(), eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)}
		all = append(all, e)
	}
	return all, nil
}

// joined tells that the thread of a group is read under that of the supergroup that it became. Two messages tell it, the
// same way.
func joined(child, parent string) []*eventv1.Submission {
	return []*eventv1.Submission{{
		Type: event.TypeThreadJoined, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Thread: child, NativeId: "joined/" + parent,
		Actor:   actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM),
		Content: &eventv1.Content{Body: &eventv1.Content_ThreadJoined{ThreadJoined: &eventv1.ThreadJoined{ParentThread: parent}}},
	}}
}

// extension makes a foreign event, of what an update tells by a kind; s says when, where and of whom.
func (r *reading) extension(s *eventv1.Submission, kind, name string) []*eventv1.Submission {
	s.Type = event.ForeignType(Provider, name)
	s.Content = &eventv1.Content{Body: &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/json", Data: r.without(kind)}}}
	return []*eventv1.Submission{s}
}

// deleted reads which messages of a business chat were deleted; by whom and when, Telegram does not say.
func (r *reading) deleted(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var d deletedMessages
	if err := unmarshal(raw, &d); err != nil {
		return nil, err
	}
	m := message{Chat: d.Chat, BusinessConnectionID: d.BusinessConnectionID}
	if err := checkMessage(&m); err != nil {
		return nil, err
	}
	if len(d.MessageIDs) > maxNamed {
		return nil, errors.New("it names too many messages")
	}
	slices.Sort(d.MessageIDs)
	var all []*eventv1.Submission
	for _, id := range slices.Compact(d.MessageIDs) {
		of := nativeID(d.Chat, id)
		all = append(all, &eventv1.Submission{
			Type: event.TypeMessageDeleted, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Thread: thread(&m), NativeId: of + "/deleted",
			Parties: []*eventv1.SubmittedParty{r.customer(d.Chat.ID, d.Chat.name(), eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)},
			Content: &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: of}}},
		})
	}
	return all, nil
}

// reacted reads how a user reacts to a message now: all reactions of that user, none where they were taken back.
func (r *reading) reacted(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var u reaction
	if err := unmarshal(raw, &u); err != nil {
		return nil, err
	}
	m := message{Chat: u.Chat}
	if err := checkMessage(&m); err != nil {
		return nil, err
	}
	var now []string
	for _, t := range u.NewReaction {
		now = append(now, cmp.Or(t.Emoji, t.CustomEmojiID, t.Type))
	}
	of, with := nativeID(u.Chat, u.MessageID), strings.Join(now, " ")
	s := &eventv1.Submission{
		Type: event.TypeMessageReacted, Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND,
		Thread: thread(&m), OccurredAt: at(u.Date), Actor: actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER),
		Discriminator: digest(with), // several may fall into one second
		Content:       &eventv1.Content{Body: &eventv1.Content_MessageReacted{MessageReacted: &eventv1.MessageReacted{Message: of, Reaction: with}}},
	}
	var by int64
	switch {
	case u.User != nil:
		by, s.Language = u.User.ID, locale(u.User)
		s.Parties = []*eventv1.SubmittedParty{r.customer(by, u.User.name(), eventv1.PartyRole_PARTY_ROLE_SENDER)}
	case u.ActorChat != nil:
		by = u.ActorChat.ID
		s.Parties = []*eventv1.SubmittedParty{r.customer(by, u.ActorChat.name(), eventv1.PartyRole_PARTY_ROLE_SENDER)}
	default:
		return nil, errors.New("it does not say whose reaction it is")
	}
	s.NativeId = of + "/reaction/" + number(by) + "/" + number(u.Date)
	return []*eventv1.Submission{s}, nil
}

func digest(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// callback reads that somebody pressed a button under a message: its text, and what the company had put behind it.
func (r *reading) callback(raw json.RawMessage) ([]*eventv1.Submission, error) {
	var q callbackQuery
	if err := unmarshal(raw, &q); err != nil {
		return nil, err
	}
	switch {
	case q.From == nil || q.From.ID == 0:
		return nil, errors.New("it does not say who pressed the button")
	case q.ID == "" || len(q.ID) > maxID:
		return nil, errors.New("its id is missing or too long")
	}
	s := &eventv1.Submission{
		Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND, NativeId: "callback/" + q.ID,
		Thread: number(q.From.ID), Actor: actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER), Language: locale(q.From),
		Parties: []*eventv1.SubmittedParty{r.customer(q.From.ID, q.From.name(), eventv1.PartyRole_PARTY_ROLE_SENDER)},
	}
	said := &eventv1.Message{}
	if q.Message != nil { // else one that was sent in inline mode, in a chat that is not told
		if err := checkMessage(q.Message); err != nil {
			return nil, err
		}
		s.Thread, said.InReplyTo = thread(q.Message), nativeID(q.Message.Chat, q.Message.ID)
		if q.Message.Chat.Type == "channel" {
			s.Channel, s.Thread = eventv1.Channel_CHANNEL_SOCIAL_POST, "post/"+said.GetInReplyTo()
		}
	}
	if q.Data == nil { // it starts a game
		return r.extension(s, "callback_query", "callback_query"), nil
	}
	said.Payload, said.Text = *q.Data, q.Message.button(*q.Data)
	s.Type = event.TypeMessageReceived
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: said}}
	return []*eventv1.Submission{s}, nil
}

// button is the text of the button with some data behind it.
func (m *message) button(data string) string {
	if m == nil || m.ReplyMarkup == nil {
		return ""
	}
	for _, row := range m.ReplyMarkup.InlineKeyboard {
		for _, b := range row {
			if b.CallbackData != nil && *b.CallbackData == data {
				return b.Text
			}
		}
	}
	return ""
}

// other reads an update for which Skein's registry has no type, or that is not known yet.
func (r *reading) other(kind string, raw json.RawMessage) ([]*eventv1.Submission, error) {
	u, name := readAnything(raw), kind
	s := &eventv1.Submission{
		Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Direction: eventv1.Direction_DIRECTION_INBOUND, Thread: event.Word(kind),
		NativeId: event.Word(kind) + "/" + number(r.id), OccurredAt: at(u.date),
	}
	switch {
	case u.by != nil && u.by.ID != 0 && (kind == "business_connection" || kind == "managed_bot"): // the company's
		s.Thread, s.Direction = number(u.by.ID), eventv1.Direction_DIRECTION_UNSPECIFIED
		s.Parties = []*eventv1.SubmittedParty{company(u.by.name(), eventv1.PartyRole_PARTY_ROLE_PARTICIPANT)}
	case u.by != nil && u.by.ID != 0:
		s.Thread, s.Actor, s.Language = number(u.by.ID), actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER), locale(u.by)
		s.Parties = []*eventv1.SubmittedParty{r.customer(u.by.ID, u.by.name(), eventv1.PartyRole_PARTY_ROLE_SENDER)}
	case u.voter != nil && u.voter.ID != 0:
		s.Thread, s.Actor = number(u.voter.ID), actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER)
		s.Parties = []*eventv1.SubmittedParty{r.customer(u.voter.ID, u.voter.name(), eventv1.PartyRole_PARTY_ROLE_SENDER)}
	}
	if u.chat != nil && u.chat.ID != 0 {
		s.Thread = number(u.chat.ID)
	}
	if kind == "my_chat_member" && u.chat != nil && u.chat.Type == "private" {
		switch u.newMember.Status { // a private chat's bot is only ever blocked and unblocked
		case "kicked":
			name = "bot_blocked"
		case "member":
			name = "bot_unblocked"
		}
	}
	return r.extension(s, kind, name), nil
}
