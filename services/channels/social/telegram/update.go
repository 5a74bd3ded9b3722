package telegram

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strconv"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
)

// update is an Update of the Bot API: its id, and one thing that happened
// (https://core.telegram.org/bots/api#update).
type update struct {
	id     int64
	fields map[string]json.RawMessage
}

func parse(body []byte) (update, error) {
	u := update{}
	if err := json.Unmarshal(body, &u.fields); err != nil {
		return update{}, fmt.Errorf("the body is no update: %w", err)
	}
	if err := json.Unmarshal(u.fields["update_id"], &u.id); err != nil || u.id <= 0 {
		return update{}, errors.New("the body is no update: there is no update_id")
	}
	delete(u.fields, "update_id")
	if len(u.fields) == 0 {
		return update{}, errors.New("the update tells nothing")
	}
	return u, nil
}

// without gives what an update tells by a kind, as an update without its id: another one may tell the same.
func (u update) without(kind string) []byte {
	name, err := json.Marshal(kind)
	if err != nil {
		name = []byte(`""`) // a string: it cannot be
	}
	b := bytes.NewBufferString("{" + string(name) + ":")
	if json.Compact(b, u.fields[kind]) != nil {
		return u.fields[kind] // it was read before: it cannot be
	}
	b.WriteByte('}')
	return b.Bytes()
}

// kinds are the names of what the update tells; Telegram tells one thing at a time.
func (u update) kinds() iter.Seq[string] { return maps.Keys(u.fields) }

// user is a User (https://core.telegram.org/bots/api#user).
type user struct {
	ID           int64  `json:"id"`
	IsBot        bool   `json:"is_bot"`
	FirstName    string `json:"first_name"`
	LastName     string `json:"last_name"`
	Username     string `json:"username"`
	LanguageCode string `json:"language_code"`
}

// chat is a Chat (https://core.telegram.org/bots/api#chat).
type chat struct {
	ID        int64  `json:"id"`
	Type      string `json:"type"`
	Title     string `json:"title"`
	Username  string `json:"username"`
	FirstName string `json:"first_name"`
	LastName  string `json:"last_name"`
}

func (u *user) name() string { return called(u.FirstName+" "+u.LastName, u.Username) }

func (c *chat) name() string { return called(c.Title, c.FirstName+" "+c.LastName, c.Username) }

// called is the first name that says something, in a length that may stand in an event.
func called(names ...string) string {
	for _, n := range names {
		if n = strings.TrimSpace(n); n != "" {
			return event.Clip(n, 512)
		}
	}
	return ""
}

// message is a Message, as far as it is used (https://core.telegram.org/bots/api#message).
type message struct {
	ID                   int64      `json:"message_id"`
	ThreadID             int64      `json:"message_thread_id"`
	EphemeralID          int64      `json:"ephemeral_message_id"`
	DirectTopic          *topic     `json:"direct_messages_topic"`
	From                 *user      `json:"from"`
	SenderChat           *chat      `json:"sender_chat"`
	SenderBusinessBot    *user      `json:"sender_business_bot"`
	Date                 int64      `json:"date"`
	EditDate             int64      `json:"edit_date"`
	BusinessConnectionID string     `json:"business_connection_id"`
	Chat                 *chat      `json:"chat"`
	ForwardOrigin        *origin    `json:"forward_origin"`
	IsTopicMessage       bool       `json:"is_topic_message"`
	IsAutomaticForward   bool       `json:"is_automatic_forward"`
	IsFromOffline        bool       `json:"is_from_offline"`
	ReplyTo              *reference `json:"reply_to_message"`
	ExternalReply        *reference `json:"external_reply"`
	Quote                *quote     `json:"quote"`
	AuthorSignature      string     `json:"author_signature"`
	ReplyMarkup          *markup    `json:"reply_markup"`

	Text            string          `json:"text"`
	Entities        []entity        `json:"entities"`
	Caption         string          `json:"caption"`
	CaptionEntities []entity        `json:"caption_entities"`
	Rich            json.RawMessage `json:"rich_message"`

	Animation *file        `json:"animation"`
	Audio     *file        `json:"audio"`
	Document  *file        `json:"document"`
	LivePhoto *file        `json:"live_photo"`
	Photo     []file       `json:"photo"`
	Sticker   *sticker     `json:"sticker"`
	Video     *file        `json:"video"`
	VideoNote *file        `json:"video_note"`
	Voice     *file        `json:"voice"`
	PaidMedia *paidMedia   `json:"paid_media"`
	Story     *struct{}    `json:"story"`
	Contact   *contact     `json:"contact"`
	Dice      *dice        `json:"dice"`
	Game      *game        `json:"game"`
	Poll      *poll        `json:"poll"`
	Venue     *venue       `json:"venue"`
	Location  *geolocation `json:"location"`
	Checklist *checklist   `json:"checklist"`

	NewChatMembers    []user      `json:"new_chat_members"`
	LeftChatMember    *user       `json:"left_chat_member"`
	MigrateToChatID   int64       `json:"migrate_to_chat_id"`
	MigrateFromChatID int64       `json:"migrate_from_chat_id"`
	WebAppData        *webAppData `json:"web_app_data"`
}

type (
	topic struct {
		ID int64 `json:"topic_id"`
	}
	origin struct {
		Type      string `json:"type"`
		Chat      *chat  `json:"chat"`
		MessageID int64  `json:"message_id"`
	}
	reference struct {
		ID   int64 `json:"message_id"`
		Chat *chat `json:"chat"`
	}
	quote struct {
		Text string `json:"text"`
	}
	markup struct {
		InlineKeyboard [][]button `json:"inline_keyboard"`
	}
	button struct {
		Text         string  `json:"text"`
		CallbackData *string `json:"callback_data"`
	}
	entity struct {
		Type   string `json:"type"`
		Offset int    `json:"offset"` // in units of UTF-16
		Length int    `json:"length"`
		URL    string `json:"url"`
		User   *user  `json:"user"`
	}
	file struct {
		ID        string `json:"file_id"`
		Width     int64  `json:"width"`
		Height    int64  `json:"height"`
		Performer string `json:"performer"`
		Title     string `json:"title"`
		Name      string `json:"file_name"`
		MediaType string `json:"mime_type"`
		Photo     []file `json:"photo"` // of a live photo
	}
	sticker struct {
		ID         string `json:"file_id"`
		IsAnimated bool   `json:"is_animated"`
		IsVideo    bool   `json:"is_video"`
		Emoji      string `json:"emoji"`
	}
	paidMedia struct {
		Media []struct {
			Type      string `json:"type"`
			Photo     []file `json:"photo"`
			Video     *file  `json:"video"`
			LivePhoto *file  `json:"live_photo"`
		} `json:"paid_media"`
	}
	contact struct {
		PhoneNumber string `json:"phone_number"`
		FirstName   string `json:"first_name"`
		LastName    string `json:"last_name"`
		UserID      int64  `json:"user_id"`
	}
	dice struct {
		Emoji string `json:"emoji"`
		Value int64  `json:"value"`
	}
	game struct {
		Title       string `json:"title"`
		Description string `json:"description"`
		Photo       []file `json:"photo"`
	}
	poll struct {
		ID       string `json:"id"`
		Question string `json:"question"`
		Options  []struct {
			Text string `json:"text"`
		} `json:"options"`
	}
	checklist struct {
		Title string `json:"title"`
		Tasks []struct {
			Text string `json:"text"`
		} `json:"tasks"`
	}
	venue struct {
		Location *geolocation `json:"location"`
		Title    string       `json:"title"`
		Address  string       `json:"address"`
	}
	geolocation struct {
		Latitude  float64 `json:"latitude"`
		Longitude float64 `json:"longitude"`
	}
	webAppData struct {
		Data       string `json:"data"`
		ButtonText string `json:"button_text"`
	}
	callbackQuery struct {
		ID              string   `json:"id"`
		From            *user    `json:"from"`
		Message         *message `json:"message"` // of date 0 where it cannot be had any more
		InlineMessageID string   `json:"inline_message_id"`
		Data            *string  `json:"data"`
	}
	reaction struct {
		Chat        *chat          `json:"chat"`
		MessageID   int64          `json:"message_id"`
		User        *user          `json:"user"`
		ActorChat   *chat          `json:"actor_chat"`
		Date        int64          `json:"date"`
		NewReaction []reactionType `json:"new_reaction"`
	}
	reactionType struct {
		Type          string `json:"type"`
		Emoji         string `json:"emoji"`
		CustomEmojiID string `json:"custom_emoji_id"`
	}
	deletedMessages struct {
		BusinessConnectionID string  `json:"business_connection_id"`
		Chat                 *chat   `json:"chat"`
		MessageIDs           []int64 `json:"message_ids"`
	}
)

// anything is what most other updates have in common: what has another form than expected is left out.
type anything struct {
	chat      *chat
	by        *user
	voter     *chat
	date      int64
	newMember struct {
		Status string `json:"status"`
	}
}

func readAnything(raw json.RawMessage) anything {
	var a anything
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return a
	}
	for name, into := range map[string]any{
		"chat": &a.chat, "voter_chat": &a.voter, "date": &a.date, "remove_date": &a.date, "new_chat_member": &a.newMember,
	} {
		if json.Unmarshal(fields[name], into) != nil && name == "chat" {
			a.chat = nil
		}
	}
	for _, name := range []string{"from", "user"} {
		if a.by == nil && json.Unmarshal(fields[name], &a.by) != nil {
			a.by = nil
		}
	}
	return a
}

// at is a time in seconds since 1970; nil for none, or one that cannot be stored, so that the time of receipt counts.
func at(seconds int64) *timestamppb.Timestamp {
	t := &timestamppb.Timestamp{Seconds: seconds}
	if seconds <= 0 || !t.IsValid() {
		return nil
	}
	return t
}

func number(n int64) string { return strconv.FormatInt(n, 10) }
