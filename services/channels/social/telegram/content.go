package telegram

import (
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// content is what a message says, with its files.
type content struct {
	message *eventv1.Message
	files   []*eventv1.Attachment
}

// digest tells apart two contents.
func (c *content) digest() []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "%q %q %q %v", c.message.GetText(), c.message.GetHtml(), c.message.GetInReplyTo(), c.message.GetDefects())
	if l := c.message.GetLocation(); l != nil {
		fmt.Fprintf(&b, " %g %g", l.GetLatitude(), l.GetLongitude())
	}
	for _, f := range c.files {
		fmt.Fprintf(&b, " %q", f.GetSource())
	}
	return digest(b.String())
}

// read gives what a message says; false where it says nothing, because it tells of something else that happened.
func (m *message) read() (*content, bool) {
	c := &content{message: &eventv1.Message{Text: cmp.Or(m.Text, m.Caption)}}
	c.message.Html = markedUp(m.Text, m.Entities)
	if m.Text == "" {
		c.message.Html = markedUp(m.Caption, m.CaptionEntities)
	}
	understood := c.message.GetText() != ""
	for _, add := range []func(*message) bool{c.addFiles, c.addPlace, c.addWords} {
		understood = add(m) || understood
	}
	if !understood {
		return nil, false
	}
	c.message.Payload = m.startPayload()
	c.addReferences(m)
	return c, true
}

// startPayload is what stands behind the link by which somebody came to the bot: t.me/bot?start=PAYLOAD
// (https://core.telegram.org/bots/features#deep-linking).
func (m *message) startPayload() string {
	if len(m.Entities) == 0 || m.Entities[0].Type != "bot_command" || m.Entities[0].Offset != 0 {
		return ""
	}
	command, payload, _ := strings.Cut(m.Text, " ")
	if command, _, _ = strings.Cut(command, "@"); command != "/start" {
		return ""
	}
	return strings.TrimSpace(payload)
}

// addReferences says which message it answers, and where it was forwarded from.
func (c *content) addReferences(m *message) {
	if re := m.ReplyTo; re != nil && re.ID != 0 && !(m.IsTopicMessage && re.ID == m.ThreadID) { // each message of a topic answers its first
		c.message.InReplyTo = nativeID(m.Chat, re.ID)
	} else if re := m.ExternalReply; re != nil && re.ID != 0 && re.Chat != nil {
		c.message.InReplyTo = nativeID(re.Chat, re.ID)
	}
	if m.Quote != nil {
		c.message.QuotedText = m.Quote.Text
	}
	if o := m.ForwardOrigin; o != nil && o.Chat != nil && o.MessageID != 0 {
		c.message.References = []string{nativeID(o.Chat, o.MessageID)}
	}
}

// addFiles names the files of a message: of a picture its largest size.
func (c *content) addFiles(m *message) bool {
	before := len(c.files)
	if m.Animation != nil {
		c.file(m.Animation, cmp.Or(m.Animation.MediaType, "video/mp4"))
	} else if m.Document != nil { // an animation is both, for old programs
		c.file(m.Document, m.Document.MediaType)
	}
	if a := m.Audio; a != nil {
		named := *a
		named.Name = called(a.Name, strings.Trim(a.Performer+" – "+a.Title, " –"))
		c.file(&named, a.MediaType)
	}
	if m.LivePhoto != nil {
		c.livePhoto(m.LivePhoto)
	} else {
		c.picture(m.Photo)
	}
	if m.Video != nil {
		c.file(m.Video, m.Video.MediaType)
	}
	if m.VideoNote != nil {
		c.file(m.VideoNote, "video/mp4")
	}
	if m.Voice != nil {
		c.file(m.Voice, cmp.Or(m.Voice.MediaType, "audio/ogg"))
	}
	if s := m.Sticker; s != nil {
		c.message.Text = cmp.Or(c.message.GetText(), s.Emoji)
		mediaType := "image/webp"
		if s.IsAnimated {
			mediaType = "application/x-tgsticker"
		} else if s.IsVideo {
			mediaType = "video/webm"
		}
		c.file(&file{ID: s.ID}, mediaType)
	}
	if m.PaidMedia != nil {
		c.paid(m.PaidMedia)
	}
	return len(c.files) > before || m.PaidMedia != nil
}

func (c *content) paid(p *paidMedia) {
	for _, one := range p.Media {
		switch {
		case one.Video != nil:
			c.file(one.Video, one.Video.MediaType)
		case one.LivePhoto != nil:
			c.livePhoto(one.LivePhoto)
		case len(one.Photo) > 0:
			c.picture(one.Photo)
		default:
			c.leftOut("a file that has to be paid for")
		}
	}
}

func (c *content) livePhoto(f *file) {
	c.picture(f.Photo)
	c.file(f, cmp.Or(f.MediaType, "video/mp4"))
}

func (c *content) picture(sizes []file) {
	if len(sizes) == 0 {
		return
	}
	largest := slices.MaxFunc(sizes, func(a, b file) int { return cmp.Or(cmp.Compare(a.Width, b.Width), cmp.Compare(a.Height, b.Height)) })
	c.file(&file{ID: largest.ID}, "image/jpeg")
}

func (c *content) file(f *file, mediaType string) {
	switch {
	case f.ID == "" || len(f.ID) > 4096 || len(c.files) >= maxNamed:
		c.leftOut("a file that has no usable id")
		return
	case len(mediaType) > 255:
		mediaType = ""
	}
	c.files = append(c.files, &eventv1.Attachment{Source: f.ID, Name: event.Clip(f.Name, 1024), MediaType: mediaType})
}

// leftOut says in words what is missing.
func (c *content) leftOut(what string) {
	if len(c.message.GetDefects()) < 10 {
		c.message.Defects = append(c.message.Defects, what+" is left out")
	}
}

func (c *content) addPlace(m *message) bool {
	place, label := m.Location, ""
	if m.Venue != nil && m.Venue.Location != nil {
		place, label = m.Venue.Location, strings.Trim(m.Venue.Title+", "+m.Venue.Address, ", ")
	}
	if place == nil {
		return false
	}
	if place.Latitude < -90 || place.Latitude > 90 || place.Longitude < -180 || place.Longitude > 180 {
		c.leftOut("a place that is not on the earth")
		return true
	}
	c.message.Location = &eventv1.Location{Latitude: place.Latitude, Longitude: place.Longitude, Label: label}
	return true
}

// addWords says in words what has no field of its own.
func (c *content) addWords(m *message) bool {
	var lines []string
	if m.Rich != nil {
		lines = append(lines, richText(m.Rich))
	}
	if p := m.Contact; p != nil {
		lines = append(lines, called(p.FirstName+" "+p.LastName)+", "+p.PhoneNumber)
	}
	if m.Dice != nil {
		lines = append(lines, m.Dice.Emoji+" "+number(m.Dice.Value))
	}
	if m.Game != nil {
		lines = append(lines, m.Game.Title, m.Game.Description)
		c.picture(m.Game.Photo)
	}
	if m.Poll != nil {
		lines = append(lines, m.Poll.Question)
		for _, o := range m.Poll.Options {
			lines = append(lines, "- "+o.Text)
		}
	}
	if m.Checklist != nil {
		lines = append(lines, m.Checklist.Title)
		for _, t := range m.Checklist.Tasks {
			lines = append(lines, "- "+t.Text)
		}
	}
	if m.Story != nil {
		c.leftOut("a story")
	}
	if len(lines) > 0 {
		text := strings.TrimSpace(strings.Join(lines, "\n"))
		c.message.Text = strings.TrimPrefix(c.message.GetText()+"\n"+text, "\n")
	}
	return len(lines) > 0 || m.Story != nil
}

// richText is the text in the blocks of a rich message, without its formatting (https://core.telegram.org/bots/api#richmessage).
func richText(raw json.RawMessage) string {
	var rich struct {
		Blocks []any `json:"blocks"`
	}
	if json.Unmarshal(raw, &rich) != nil {
		return ""
	}
	var lines []string
	for _, block := range rich.Blocks {
		var b strings.Builder
		textIn(&b, block)
		if b.Len() > 0 {
			lines = append(lines, b.String())
		}
	}
	return strings.Join(lines, "\n")
}

// textIn gathers the texts in a block. What stands beside a type, a URL or an id is no text.
func textIn(b *strings.Builder, v any) {
	switch v := v.(type) {
	case string:
		b.WriteString(v)
	case []any:
		for _, one := range v {
			textIn(b, one)
		}
	case map[string]any:
		for _, name := range slices.Sorted(maps.Keys(v)) {
			switch text, isText := v[name].(string); {
			case name == "text" || !isText:
				textIn(b, v[name])
			case name == "alternative_text":
				b.WriteString(text)
			}
		}
	}
}

// serviceName is the field of a message that tells what happened: the first, by name, that not every message has.
func serviceName(raw json.RawMessage) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) != nil {
		return "message"
	}
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if !slices.Contains(common(), name) {
			return name
		}
	}
	return "message"
}

// common are the fields of messages that say who, where, when and how, and not what.
func common() []string {
	return []string{
		"author_signature", "business_connection_id", "caption", "caption_entities", "chat", "date", "direct_messages_topic", "edit_date", "effect_id", "entities",
		"ephemeral_message_id", "external_reply", "forward_origin", "from", "guest_bot_caller_chat", "guest_bot_caller_user", "guest_query_id", "has_media_spoiler",
		"has_protected_content", "is_automatic_forward", "is_from_offline", "is_paid_post", "is_topic_message", "link_preview_options", "media_group_id",
		"message_id", "message_thread_id", "paid_star_count", "quote", "receiver_user", "reply_markup", "reply_to_checklist_task_id", "reply_to_message",
		"reply_to_poll_option_id", "reply_to_story", "sender_boost_count", "sender_business_bot", "sender_chat", "sender_tag", "show_caption_above_media",
		"suggested_post_info", "text", "via_bot",
	}
}
