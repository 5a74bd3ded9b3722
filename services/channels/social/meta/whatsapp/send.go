package whatsapp

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

// Window is how long after the customer's last message a company may write what it likes. Later it may send a template
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/messages/send-messages#customer-service-windows).
const Window = 24 * time.Hour

const (
	maxText    = 4096 // characters
	maxCaption = 1024
)

// Sender is the channel.Sender of an inbox. It needs no open Channel.
type Sender struct {
	channel *Channel
	key     Key
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender { return &Sender{c, account} }

// Idempotent implements channel.Sender: the API knows no key of ours.
func (s *Sender) Idempotent() bool { return false }

// outgoing is the body of a request to send
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/reference/whatsapp-business-phone-number/message-api).
type outgoing struct {
	Product       string     `json:"messaging_product"`
	RecipientType string     `json:"recipient_type"`
	To            string     `json:"to,omitempty"`        // a number
	Recipient     string     `json:"recipient,omitempty"` // a business-scoped user id
	Type          string     `json:"type"`
	Context       *answered  `json:"context,omitempty"`
	Tracker       string     `json:"biz_opaque_callback_data,omitempty"`
	Text          *sentText  `json:"text,omitempty"`
	Template      *template  `json:"template,omitempty"`
	Image         *sentMedia `json:"image,omitempty"`
	Audio         *sentMedia `json:"audio,omitempty"`
	Video         *sentMedia `json:"video,omitempty"`
	Document      *sentMedia `json:"document,omitempty"`
	Sticker       *sentMedia `json:"sticker,omitempty"`
}

type answered struct {
	MessageID string `json:"message_id"`
}

type sentText struct {
	PreviewURL bool   `json:"preview_url"`
	Body       string `json:"body"`
}

type sentMedia struct {
	ID       string `json:"id"`
	Caption  string `json:"caption,omitempty"`
	Filename string `json:"filename,omitempty"`
}

type template struct {
	Name       string      `json:"name"`
	Language   language    `json:"language"`
	Components []component `json:"components,omitempty"`
}

type language struct {
	Code string `json:"code"`
}

type component struct {
	Type       string      `json:"type"`
	Parameters []parameter `json:"parameters"`
}

type parameter struct {
	Type     string     `json:"type"`
	Name     string     `json:"parameter_name,omitempty"`
	Text     string     `json:"text,omitempty"`
	Image    *sentMedia `json:"image,omitempty"`
	Video    *sentMedia `json:"video,omitempty"`
	Document *sentMedia `json:"document,omitempty"`
}

// Send implements channel.Sender: a text; a file of a kind and size that WhatsApp takes, with the text below it; or a template, with
// what stands in the places of its body, by their names or by their numbers from 1, and perhaps a file as its header. All but a
// template needs a message of the customer's within the Window. The request's id goes along, so that the statuses of the message have
// it as their causation.
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	a, ok := s.channel.accounts[s.key]
	if !ok {
		return channel.Sent{}, refused("no_account", "the inbox is not configured")
	}
	if a.AccessToken == "" {
		return channel.Sent{}, refused("no_access_token", "the inbox has no access token: it receives only")
	}
	o, kind, err := compose(out)
	if err != nil {
		return channel.Sent{}, err
	}
	if o.Template == nil {
		if err := out.Within(Window, time.Now(), "send a template"); err != nil {
			return channel.Sent{}, err //nolint:wrapcheck // it is the answer
		}
	}
	if kind != nil {
		id, err := s.channel.upload(ctx, a, out.Attachments[0], kind)
		if err != nil {
			return channel.Sent{}, err
		}
		o.attach(kind, id, out)
	}
	var answer struct {
		Messages []struct {
			ID string `json:"id"`
		} `json:"messages"`
	}
	if err := s.channel.graph.Post(ctx, a.access(), a.PhoneNumberID+"/messages", o, &answer); err != nil {
		return channel.Sent{}, fmt.Errorf("whatsapp: send: %w", err)
	}
	if len(answer.Messages) != 1 || answer.Messages[0].ID == "" {
		return channel.Sent{}, fmt.Errorf("whatsapp: send: %w: the API answered without a message's id", channel.ErrUnknown)
	}
	return channel.Sent{NativeID: answer.Messages[0].ID}, nil
}

func refused(code, reason string) error { return &channel.RefusedError{Code: code, Reason: reason} }

// compose checks a message and makes the request of it, without its file, whose kind it gives.
func compose(out channel.Outgoing) (*outgoing, *mediaKind, error) {
	o := &outgoing{Product: "whatsapp", RecipientType: "individual"}
	switch to := out.Thread; {
	case isDigits(to):
		o.To = to
	case isUserID(to):
		o.Recipient = to
	default:
		return nil, nil, refused("no_message_thread", "the thread is none of a customer's messages: it is neither a number in digits nor a user id")
	}
	if _, err := uuid.Parse(out.RequestID); err == nil {
		o.Tracker = trackerPrefix + out.RequestID
	}
	m := out.Message
	if m.GetInReplyTo() != "" {
		o.Context = &answered{m.GetInReplyTo()}
	}
	kind, err := fileOf(out)
	if err != nil {
		return nil, nil, err
	}
	switch text := m.GetText(); {
	case m.GetLocation() != nil:
		return nil, nil, refused("no_location", "places cannot be sent by this inbox")
	case m.GetTemplate() != "":
		o.Type = "template"
		if o.Template, err = templateOf(m); err != nil {
			return nil, nil, err
		}
		if kind != nil && !kind.header {
			return nil, nil, refused("file_type", "the header of a template is a picture, a video or a document")
		}
	case kind != nil:
		if text != "" && !kind.caption {
			return nil, nil, refused("no_caption", "this kind of file goes without a text: send the text by itself")
		}
		if utf8.RuneCountInString(text) > maxCaption {
			return nil, nil, refused("too_long", "the text below a file has at most "+strconv.Itoa(maxCaption)+" characters")
		}
		o.Type = kind.name
	case text == "":
		return nil, nil, refused("no_text", "a message needs a text, a file or a template")
	case utf8.RuneCountInString(text) > maxText:
		return nil, nil, refused("too_long", "a text has at most "+strconv.Itoa(maxText)+" characters")
	default:
		o.Type, o.Text = "text", &sentText{Body: text}
	}
	return o, kind, nil
}

// templateOf makes the template. Its parameters are all named, or all numbered from 1 without a gap.
func templateOf(m *eventv1.Message) (*template, error) {
	if m.GetTemplateLanguage() == "" {
		return nil, refused("no_template_language", "a template needs its language, such as en_US")
	}
	t := &template{Name: m.GetTemplate(), Language: language{m.GetTemplateLanguage()}}
	values := m.GetTemplateParameters()
	if len(values) == 0 {
		return t, nil
	}
	body := component{Type: "body"}
	for n := 1; n <= len(values); n++ {
		value, ok := values[strconv.Itoa(n)]
		if !ok {
			break
		}
		body.Parameters = append(body.Parameters, parameter{Type: "text", Text: value})
	}
	switch len(body.Parameters) {
	case len(values):
	case 0:
		for _, name := range slices.Sorted(maps.Keys(values)) {
			if isDigits(name) || name == "" {
				return nil, refused("template_parameters", "the template's parameters are names, or the numbers from 1 on")
			}
			body.Parameters = append(body.Parameters, parameter{Type: "text", Name: name, Text: values[name]})
		}
	default:
		return nil, refused("template_parameters", "the template's parameters are names, or the numbers from 1 on, and not both")
	}
	t.Components = []component{body}
	return t, nil
}

// mediaKind is a kind of file
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media#supported-media-types).
type mediaKind struct {
	name            string
	most            int64 // bytes
	caption, header bool
}

// kindOf gives the kind of a file of a media type; nil where WhatsApp does not take it.
func kindOf(mediaType string) *mediaKind {
	switch mediaType {
	case "image/jpeg", "image/png":
		return &mediaKind{name: "image", most: 5 << 20, caption: true, header: true}
	case "image/webp":
		return &mediaKind{name: "sticker", most: 500 << 10}
	case "audio/aac", "audio/amr", "audio/mpeg", "audio/mp4", "audio/ogg":
		return &mediaKind{name: "audio", most: 16 << 20}
	case "video/mp4", "video/3gpp":
		return &mediaKind{name: "video", most: 16 << 20, caption: true, header: true}
	case "text/plain", "application/pdf", "application/msword", "application/vnd.ms-excel", "application/vnd.ms-powerpoint",
		"application/vnd.openxmlformats-officedocument.wordprocessingml.document",
		"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
		"application/vnd.openxmlformats-officedocument.presentationml.presentation":
		return &mediaKind{name: "document", most: 100 << 20, caption: true, header: true}
	}
	return nil
}

// mediaTypeOf is the media type of a file, without parameters.
func mediaTypeOf(f channel.OutgoingFile) string {
	mediaType, _, _ := strings.Cut(cmp.Or(f.GetBlob().GetMediaType(), f.GetMediaType()), ";")
	return strings.ToLower(strings.TrimSpace(mediaType))
}

// fileOf gives the kind of the file that a message has, nil where it has none.
func fileOf(out channel.Outgoing) (*mediaKind, error) {
	switch len(out.Attachments) {
	case 0:
		return nil, nil //nolint:nilnil // there is no file
	case 1:
	default:
		return nil, refused("too_many_files", "a message takes one file: send each by itself")
	}
	f := out.Attachments[0]
	kind := kindOf(mediaTypeOf(f))
	switch {
	case kind == nil:
		return nil, refused("file_type", fmt.Sprintf("WhatsApp takes no file of the type %.64q", mediaTypeOf(f)))
	case f.GetBlob().GetSize() > kind.most:
		return nil, refused("file_too_large", fmt.Sprintf("the file has %d bytes; WhatsApp takes at most %d of a file of this kind (%s)", f.GetBlob().GetSize(), kind.most, kind.name))
	}
	return kind, nil
}

// upload gives a file to WhatsApp, and its id back.
func (c *Channel) upload(ctx context.Context, a *account, f channel.OutgoingFile, kind *mediaKind) (string, error) {
	body, err := f.Open(ctx)
	if err != nil {
		return "", err
	}
	defer body.Close()
	var answer struct {
		ID string `json:"id"`
	}
	mediaType := mediaTypeOf(f)
	err = c.graph.Upload(ctx, a.access(), a.PhoneNumberID+"/media", map[string]string{"messaging_product": "whatsapp", "type": mediaType},
		meta.File{Field: "file", Name: cmp.Or(f.GetName(), kind.name), MediaType: mediaType, Size: f.GetBlob().GetSize(), Body: body}, &answer)
	if err != nil {
		return "", fmt.Errorf("whatsapp: upload: %w", err)
	}
	if answer.ID == "" {
		return "", fmt.Errorf("whatsapp: upload: %w: the API answered without a file's id", channel.ErrRetry)
	}
	return answer.ID, nil
}

// attach puts an uploaded file into a request.
func (o *outgoing) attach(kind *mediaKind, id string, out channel.Outgoing) {
	file := &sentMedia{ID: id}
	if kind.name == "document" {
		file.Filename = out.Attachments[0].GetName()
	}
	if o.Template != nil {
		header := parameter{Type: kind.name}
		switch kind.name {
		case "image":
			header.Image = file
		case "video":
			header.Video = file
		default:
			header.Document = file
		}
		o.Template.Components = append([]component{{Type: "header", Parameters: []parameter{header}}}, o.Template.Components...)
		return
	}
	file.Caption = out.Message.GetText()
	switch kind.name {
	case "image":
		o.Image = file
	case "audio":
		o.Audio = file
	case "video":
		o.Video = file
	case "sticker":
		o.Sticker = file
	default:
		o.Document = file
	}
}
