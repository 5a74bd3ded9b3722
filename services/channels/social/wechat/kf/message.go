package kf

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// Where an item comes from.
const (
	originCustomer = 3
	originSystem   = 4
	originServicer = 5
)

const (
	// maxMerged is how deep forwarded conversations are read.
	maxMerged = 4
	// maxAttachments of a message; the envelope allows 1,000.
	maxAttachments = 500
)

// message reads what somebody wrote.
func (r *reading) message() error {
	m, err := r.body()
	switch {
	case err != nil:
		return err
	case r.customer() == "":
		return errors.New("it names no customer")
	case m == nil || r.Origin != originCustomer && r.Origin != originSystem && r.Origin != originServicer:
		r.extension(r.MsgType)
		return nil
	}
	content := &eventv1.Content{Attachments: m.attachments}
	if r.Origin == originCustomer {
		content.Body = &eventv1.Content_MessageReceived{MessageReceived: &m.Message}
		r.add(event.TypeMessageReceived, content).Actor = actor(eventv1.ActorKind_ACTOR_KIND_CUSTOMER)
		return nil
	}
	content.Body = &eventv1.Content_MessageSent{MessageSent: &m.Message}
	s := r.add(event.TypeMessageSent, content)
	s.Direction, s.Parties = eventv1.Direction_DIRECTION_OUTBOUND, r.parties(eventv1.Direction_DIRECTION_OUTBOUND)
	s.Actor = actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM)
	if r.Origin == originServicer {
		s.Actor = r.agent(r.ServicerUserID)
	}
	return nil
}

// said is a message with its files.
type said struct {
	eventv1.Message
	attachments []*eventv1.Attachment
}

// errEmpty is what an item has that lacks the field of its type.
var errEmpty = errors.New("the field of its type is missing")

// body reads what a message says; nil where its type is not known. What of a card is for people to read becomes the text, a line for
// each part.
func (i *item) body() (*said, error) { return i.bodyAt(0) }

func (i *item) bodyAt(depth int) (*said, error) {
	m := &said{}
	var err error
	switch {
	case i.MsgType == "text" && i.Text != nil:
		m.Text, m.Payload = i.Text.Content, i.Text.MenuID
	case i.MsgType == "image" && i.Image != nil:
		err = m.attach(i.Image, "", false)
	case i.MsgType == "voice" && i.Voice != nil:
		err = m.attach(i.Voice, "audio/amr", false) // which is asked for
	case i.MsgType == "video" && i.Video != nil:
		err = m.attach(i.Video, "", false)
	case i.MsgType == "file" && i.File != nil:
		err = m.attach(i.File, "", false)
	case i.MsgType == "location" && i.Location != nil:
		err = m.at(i.Location)
	case i.MsgType == "link" && i.Link != nil:
		m.Text = wechat.Lines(i.Link.Title, i.Link.Desc, i.Link.URL)
	case i.MsgType == "business_card" && i.BusinessCard != nil:
		m.Text = i.BusinessCard.UserID
	case i.MsgType == "miniprogram" && i.MiniProgram != nil:
		m.Text = wechat.Lines(i.MiniProgram.Title, i.MiniProgram.AppID, i.MiniProgram.PagePath)
		if i.MiniProgram.ThumbMediaID != "" {
			err = m.attach(&mediaItem{MediaID: i.MiniProgram.ThumbMediaID}, "", true)
		}
	case i.MsgType == "msgmenu" && i.Menu != nil:
		m.Text = i.Menu.text()
	case i.MsgType == "channels_shop_product" && i.Product != nil:
		m.Text = wechat.Lines(i.Product.Title, yuan(i.Product.SalesPrice), i.Product.ShopNickname, i.Product.ProductID)
	case i.MsgType == "channels_shop_order" && i.Order != nil:
		m.Text = wechat.Lines(i.Order.ProductTitles, i.Order.PriceWording, i.Order.State, i.Order.ShopNickname, i.Order.OrderID)
	case i.MsgType == "channels" && i.Channels != nil:
		m.Text = wechat.Lines(i.Channels.Nickname, i.Channels.Title)
	case i.MsgType == "merged_msg" && i.Merged != nil:
		m.merge(i.Merged, depth)
	case i.MsgType == "meeting":
		m.card(i.MsgType, i.Meeting)
	case i.MsgType == "schedule":
		m.card(i.MsgType, i.Schedule)
	case i.MsgType == "note":
		m.card(i.MsgType, i.Note)
	case i.MsgType == "":
		return nil, errors.New("it has no msgtype")
	case slices.Contains([]string{
		"text", "image", "voice", "video", "file", "location", "link", "business_card", "miniprogram", "msgmenu",
		"channels_shop_product", "channels_shop_order", "channels", "merged_msg",
	}, i.MsgType):
		return nil, errEmpty
	default:
		return nil, nil
	}
	return m, err
}

// attach adds a file that WeChat keeps.
func (m *said) attach(f *mediaItem, mediaType string, inline bool) error {
	if f.MediaID == "" {
		return errors.New("it names no file")
	}
	if len(m.attachments) < maxAttachments {
		m.attachments = append(m.attachments, &eventv1.Attachment{Source: f.MediaID, Name: f.Filename, MediaType: mediaType, Inline: inline})
	}
	return nil
}

// at is a place.
func (m *said) at(l *locationItem) error {
	latitude, errLatitude := l.Latitude.float()
	longitude, errLongitude := l.Longitude.float()
	if errLatitude != nil || errLongitude != nil || math.Abs(latitude) > 90 || math.Abs(longitude) > 180 {
		return errors.New("it is a place that is none on the earth")
	}
	m.Location = &eventv1.Location{Latitude: latitude, Longitude: longitude, Label: strings.ReplaceAll(wechat.Lines(l.Name, l.Address), "\n", ", ")}
	return nil
}

// text is what a menu shows.
func (i *menuItem) text() string {
	parts := []string{i.HeadContent}
	for _, entry := range i.List {
		parts = append(parts, entry.Click.Content, wechat.Lines(entry.View.Content, entry.View.URL), entry.MiniProgram.Content, entry.Text.Content)
	}
	return wechat.Lines(append(parts, i.TailContent)...)
}

// yuan writes a price, which WeChat states in fen.
func yuan(fen number) string {
	n, err := strconv.ParseInt(string(fen), 10, 64)
	if err != nil {
		return string(fen)
	}
	return fmt.Sprintf("%d.%02d CNY", n/100, max(n%100, -(n%100)))
}

// merge reads a conversation that was forwarded: who said what, and the files.
func (m *said) merge(merged *mergedItem, depth int) {
	parts := []string{merged.Title}
	for _, part := range merged.Item {
		var inner item
		var sub *said
		if depth < maxMerged && json.Unmarshal([]byte(part.MsgContent), &inner) == nil {
			if inner.MsgType == "" {
				_ = json.Unmarshal(part.MsgType, &inner.MsgType) // a number says nothing
			}
			sub, _ = inner.bodyAt(depth + 1)
		}
		text := "[" + inner.MsgType + "]"
		if inner.MsgType == "" {
			text = "[" + strings.Trim(string(part.MsgType), `"`) + "]"
		}
		if sub != nil {
			if sub.Text != "" {
				text = sub.Text
			} else if label := sub.GetLocation().GetLabel(); label != "" {
				text = label
			}
			m.attachments = append(m.attachments, sub.attachments...)
		}
		parts = append(parts, part.SenderName+": "+text)
	}
	m.attachments = m.attachments[:min(len(m.attachments), maxAttachments)]
	m.Text = strings.ToValidUTF8(wechat.Lines(parts...), "\uFFFD")
}

// card reads what the document does not describe: its texts, in their order.
func (m *said) card(what string, raw json.RawMessage) {
	var parts []string
	decoder := json.NewDecoder(bytes.NewReader(raw))
	for key := false; ; {
		token, err := decoder.Token()
		if err != nil {
			break
		}
		switch t := token.(type) {
		case json.Delim:
			key = t == '{' || t == '}'
		case string:
			if !key {
				parts = append(parts, t)
			}
			key = !key
		default:
			key = true
		}
	}
	if m.Text = wechat.Lines(parts...); m.Text == "" {
		m.Defects = []string{"WeChat tells nothing of what is in this " + what}
	}
}
