package messenger

import (
	"cmp"
	"encoding/json"
	"errors"
	"net/url"
	"path"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// message is what a customer or the company wrote
// (https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/messages,
// https://developers.facebook.com/docs/messenger-platform/reference/webhook-events/message-echoes).
type message struct {
	MID           string `json:"mid"`
	Text          string `json:"text"`
	IsEcho        bool   `json:"is_echo"`
	IsSelf        bool   `json:"is_self"`
	IsDeleted     bool   `json:"is_deleted"`
	IsUnsupported bool   `json:"is_unsupported"`
	Metadata      string `json:"metadata"`
	QuickReply    *struct {
		Payload string `json:"payload"`
	} `json:"quick_reply"`
	ReplyTo *struct {
		MID   string `json:"mid"`
		Story *struct {
			ID  word   `json:"id"`
			URL string `json:"url"`
		} `json:"story"`
	} `json:"reply_to"`
	Attachments []attachment    `json:"attachments"`
	Referral    json.RawMessage `json:"referral"`
}

// attachment is what comes with a message. What a fallback's payload is, and a template's, is not always the same.
type attachment struct {
	Type    string         `json:"type"`
	Title   string         `json:"title"`
	URL     string         `json:"url"`
	Payload loose[payload] `json:"payload"`
}

type payload struct {
	URL         string `json:"url"`
	Title       string `json:"title"`
	StickerID   word   `json:"sticker_id"`
	Coordinates *struct {
		Lat  float64 `json:"lat"`
		Long float64 `json:"long"`
	} `json:"coordinates"`
	Text     string `json:"text"`
	Elements []struct {
		Title    string `json:"title"`
		Subtitle string `json:"subtitle"`
	} `json:"elements"`
	Product struct {
		Elements []struct {
			Title    string `json:"title"`
			Subtitle string `json:"subtitle"`
		} `json:"elements"`
	} `json:"product"`
}

// ownMetadata begins the metadata of what Sender sends; the request's id follows.
const ownMetadata = "skein:"

// request is the id of the request that a message of Sender's was sent for; empty for all others.
func (m *message) request() string {
	id, ok := strings.CutPrefix(m.Metadata, ownMetadata)
	if !ok || len(id) != 36 || uuid.Validate(id) != nil {
		return ""
	}
	return id
}

func (x *exchange) message() ([]*eventv1.Submission, error) {
	m := x.Message
	switch {
	case m.MID == "":
		return nil, errors.New("a message has no id")
	case m.IsDeleted:
		s := x.event(event.TypeMessageDeleted, m.MID+"/deleted")
		s.Content = &eventv1.Content{Body: &eventv1.Content_MessageDeleted{MessageDeleted: &eventv1.MessageDeleted{Message: m.MID}}}
		return []*eventv1.Submission{s}, nil
	}
	request := m.request()
	x.known = x.ours && (x.product == Instagram || request != "")
	said, files := m.said(x.known)
	s := x.event(event.TypeMessageReceived, m.MID)
	s.Content = &eventv1.Content{Attachments: files, Body: &eventv1.Content_MessageReceived{MessageReceived: said}}
	if x.ours {
		s.Type, s.CausationId = event.TypeMessageSent, request
		s.Content.Body = &eventv1.Content_MessageSent{MessageSent: said}
	}
	all := []*eventv1.Submission{s}
	if is(m.Referral) && !x.ours {
		all = append(all, x.referred(m.MID+"/referral", m.Referral)...)
	}
	return all, nil
}

// said gives what a message says, and its files: by their addresses, or named by message and number.
func (m *message) said(named bool) (*eventv1.Message, []*eventv1.Attachment) {
	said := &eventv1.Message{Text: m.Text}
	var files []*eventv1.Attachment
	if m.QuickReply != nil {
		said.Payload = m.QuickReply.Payload
	}
	if m.ReplyTo != nil {
		said.InReplyTo = m.ReplyTo.MID
		if story := m.ReplyTo.Story; story != nil {
			said.InReplyTo = cmp.Or(said.GetInReplyTo(), string(story.ID))
			files = addFile(said, files, story.URL, "")
		}
	}
	if m.IsUnsupported {
		said.Defects = append(said.Defects, "Meta does not give out this kind of message")
	}
	stickers := map[word]bool{}
	for _, a := range m.Attachments {
		if a.Type == "sticker" {
			stickers[a.Payload.value.StickerID] = true
		}
	}
	for i, a := range m.Attachments {
		p := a.Payload.value
		address := cmp.Or(p.URL, a.URL)
		switch a.Type {
		case "location":
			if c := p.Coordinates; c != nil && c.Lat >= -90 && c.Lat <= 90 && c.Long >= -180 && c.Long <= 180 {
				said.Location = &eventv1.Location{Latitude: c.Lat, Longitude: c.Long, Label: a.Title}
				continue
			}
		case "fallback": // a link, to any page
			if said.GetText() == "" || !strings.Contains(said.GetText(), "://") {
				said.Text = lines(said.GetText(), cmp.Or(a.Title, p.Title), address)
			}
			continue
		case "template":
			said.Text = lines(said.GetText(), p.lines()...)
			continue
		case "image":
			if p.StickerID != "" && stickers[p.StickerID] {
				continue // told twice until August 2026
			}
			fallthrough
		case "video", "audio", "file":
			if named && address != "" {
				files = append(files, &eventv1.Attachment{Source: m.MID + "/" + strconv.Itoa(i)})
				continue
			}
		}
		if address == "" {
			said.Text = lines(said.GetText(), p.lines()...)
			said.Defects = append(said.Defects, "an attachment without an address: "+event.Clip(a.Type, maxName))
			continue
		}
		files = addFile(said, files, address, cmp.Or(a.Title, p.Title))
	}
	return said, files
}

// lines are what a template says.
func (p payload) lines() []string {
	all := []string{p.Text}
	for _, e := range append(p.Elements, p.Product.Elements...) {
		all = append(all, e.Title, e.Subtitle)
	}
	return all
}

// lines joins what is not empty.
func lines(first string, more ...string) string {
	for _, s := range more {
		switch {
		case s == "":
		case first == "":
			first = s
		default:
			first += "\n" + s
		}
	}
	return first
}

// Limits of the event model.
const (
	maxSource   = 4096
	maxFileName = 1024
	maxDisplay  = 512
)

// addFile adds a file by its address. One whose address is too long is a defect.
func addFile(said *eventv1.Message, files []*eventv1.Attachment, address, title string) []*eventv1.Attachment {
	switch {
	case address == "":
		return files
	case len(address) > maxSource:
		said.Defects = append(said.Defects, "a file's address is longer than 4096 bytes")
		return files
	}
	return append(files, &eventv1.Attachment{Source: address, Name: event.Clip(cmp.Or(title, nameIn(address)), maxFileName)})
}

// nameIn is the name of a file in its address; empty where it has none.
func nameIn(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	name := path.Base(u.Path)
	if ext := path.Ext(name); len(ext) < 2 || len(ext) > 6 || ext == name || strings.ToValidUTF8(name, "") != name {
		return ""
	}
	return name
}
