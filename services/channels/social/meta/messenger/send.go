package messenger

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"mime"
	"path"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

// How long after the customer's last message the company may write
// (https://developers.facebook.com/docs/messenger-platform/policy/policy-overview).
const (
	window      = 24 * time.Hour
	humanWindow = 7 * 24 * time.Hour
)

// Limits of a message
// (https://developers.facebook.com/docs/messenger-platform/reference/send-api,
// https://developers.facebook.com/docs/instagram-platform/instagram-api-with-instagram-login/messaging-api).
const (
	maxCharacters = 2000 // of Messenger
	maxBytes      = 1000 // of Instagram
	maxImage      = 8 << 20
	maxFile       = 25 << 20
)

// The codes of what is refused before it is sent, beside channel.CodeWindowClosed.
const (
	CodeNoInbox     = "no_inbox"
	CodeNoToken     = "no_token"
	CodeNoRecipient = "no_recipient"
	CodeNoText      = "no_text"
	CodeNoTemplates = "no_templates"
	CodeNoFiles     = "no_files"
	CodeOneThing    = "one_thing"
	CodeTooLong     = "too_long"
	CodeTooLarge    = "too_large"
	CodeFileType    = "file_type"
)

func refuse(code, reason string) error { return &channel.RefusedError{Code: code, Reason: reason} }

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

// Send implements channel.Sender. In a thread of direct messages it sends a text or one file, since Meta takes only one of them in a message, within
// 24 hours after the customer's last message; for an agent, where the account has HumanAgent, within seven days. In a chain of comments it
// answers the first comment, under which Meta puts every answer; in a post's thread it comments the post.
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	a, ok := s.channel.accounts[s.key]
	said := out.Message
	switch {
	case !ok:
		return channel.Sent{}, refuse(CodeNoInbox, "the inbox is not configured")
	case a.AccessToken == "":
		return channel.Sent{}, refuse(CodeNoToken, "the inbox has no access token")
	case said.GetTemplate() != "":
		return channel.Sent{}, refuse(CodeNoTemplates, "this inbox has no templates")
	case len(out.Attachments) == 0 && strings.TrimSpace(said.GetText()) == "":
		return channel.Sent{}, refuse(CodeNoText, "there is neither a text nor a file")
	}
	var sent channel.Sent
	var err error
	if post, root, ok := a.public(out.Thread); ok {
		sent, err = s.channel.answer(ctx, a, out, post, root)
	} else {
		sent, err = s.channel.message(ctx, a, out)
	}
	if err != nil {
		return channel.Sent{}, fmt.Errorf("social/meta/messenger: send: %w", err)
	}
	sent.Echo.Provider, sent.Echo.Inbox = string(a.product), a.Inbox
	return sent, nil
}

// public tells the thread of a post or of a chain of comments. Only posts of pages have "_" in their ids.
func (a *account) public(thread string) (post, root string, ok bool) {
	if strings.HasPrefix(thread, refPrefix) {
		return "", "", false
	}
	post, root, ok = strings.Cut(thread, "/")
	return post, root, ok || a.product == Facebook && strings.Contains(thread, "_")
}

// outgoing is the body of a request to the Send API.
type outgoing struct {
	Recipient struct {
		ID string `json:"id"`
	} `json:"recipient"`
	Type    string `json:"messaging_type,omitempty"`
	Tag     string `json:"tag,omitempty"`
	Message struct {
		Text       string        `json:"text,omitempty"`
		Attachment *outgoingFile `json:"attachment,omitempty"`
		Metadata   string        `json:"metadata,omitempty"`
	} `json:"message"`
}

type outgoingFile struct {
	Type    string `json:"type"`
	Payload struct {
		ID       string `json:"attachment_id,omitempty"`
		Reusable bool   `json:"is_reusable,omitempty"`
	} `json:"payload"`
}

// message sends a direct message.
func (c *Channel) message(ctx context.Context, a *account, out channel.Outgoing) (channel.Sent, error) {
	var body outgoing
	body.Recipient.ID = out.Thread
	body.Message.Text = strings.TrimSpace(out.Message.GetText())
	switch {
	case !isNumber(out.Thread):
		return channel.Sent{}, refuse(CodeNoRecipient, "the thread is none of a customer's who can be written to")
	case len(out.Attachments) > 1 || len(out.Attachments) == 1 && body.Message.Text != "":
		return channel.Sent{}, refuse(CodeOneThing, "Meta takes a text or one file in a message: send each by itself")
	case a.product == Facebook && utf8.RuneCountInString(body.Message.Text) > maxCharacters:
		return channel.Sent{}, refuse(CodeTooLong, "a text may have 2000 characters")
	case a.product == Instagram && len(body.Message.Text) > maxBytes:
		return channel.Sent{}, refuse(CodeTooLong, "a text may have 1000 bytes of UTF-8")
	}
	if a.product == Facebook {
		body.Type = "RESPONSE"
		if out.RequestID != "" {
			body.Message.Metadata = ownMetadata + out.RequestID
		}
	}
	now := c.now()
	person := a.HumanAgent && out.Actor.GetKind() == eventv1.ActorKind_ACTOR_KIND_AGENT
	instead := "wait until the customer writes again"
	if err := out.Within(window, now, instead); err != nil {
		if !person {
			return channel.Sent{}, err
		}
		if err := out.Within(humanWindow, now, instead); err != nil {
			return channel.Sent{}, err
		}
		body.Type, body.Tag = "MESSAGE_TAG", "HUMAN_AGENT"
	}
	by := cmp.Or(a.PageID, a.ID)
	for _, f := range out.Attachments {
		file, err := c.upload(ctx, a, by, f)
		if err != nil {
			return channel.Sent{}, err
		}
		body.Message.Attachment = file
	}
	var answer struct {
		MID string `json:"message_id"`
	}
	if err := c.graph.Post(ctx, a.access(), by+"/messages", body, &answer); err != nil {
		return channel.Sent{}, err
	}
	if answer.MID == "" {
		return channel.Sent{}, fmt.Errorf("%w: the API named no message", channel.ErrUnknown)
	}
	return channel.Sent{NativeID: answer.MID, Echo: a.echo(out.Thread, answer.MID, &body)}, nil
}

// echo is what exchange.message makes of the echo of a message.
func (a *account) echo(to, mid string, body *outgoing) *eventv1.Submission {
	x := &exchange{reading: &reading{account: a}, customer: to, ours: true, known: true}
	s := x.event(event.TypeMessageSent, mid)
	m := message{MID: mid, Text: body.Message.Text, Metadata: body.Message.Metadata}
	s.CausationId = m.request()
	s.Content = &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: m.Text}}}
	if body.Message.Attachment != nil {
		s.Content.Attachments = []*eventv1.Attachment{{Source: mid + "/0"}}
	}
	return s
}

// upload gives a file to the API (https://developers.facebook.com/docs/messenger-platform/reference/attachment-upload-api,
// https://developers.facebook.com/docs/messenger-platform/instagram/features/attachment-upload).
func (c *Channel) upload(ctx context.Context, a *account, by string, f channel.OutgoingFile) (*outgoingFile, error) {
	if a.product == Instagram && a.PageID == "" {
		return nil, refuse(CodeNoFiles, "files are sent by the page that an Instagram account is linked to, and this one has none")
	}
	size := f.GetBlob().GetSize()
	mediaType, _, err := mime.ParseMediaType(cmp.Or(f.GetBlob().GetMediaType(), f.GetMediaType()))
	if err != nil {
		mediaType = "application/octet-stream"
	}
	file := &outgoingFile{}
	if file.Type, err = a.fileType(mediaType); err != nil {
		return nil, err
	}
	switch {
	case file.Type == "image" && size > maxImage:
		return nil, refuse(CodeTooLarge, "an image may have 8 MB")
	case size > maxFile:
		return nil, refuse(CodeTooLarge, "a file may have 25 MB")
	}
	file.Payload.Reusable = true
	description, err := json.Marshal(map[string]any{"attachment": file})
	if err != nil {
		return nil, refuse("invalid", "the file cannot be described as JSON")
	}
	fields := map[string]string{"message": string(description)}
	if a.product == Instagram {
		fields["platform"] = "instagram"
	}
	body, err := f.Open(ctx)
	if err != nil {
		return nil, err
	}
	defer body.Close()
	var answer struct {
		ID word `json:"attachment_id"`
	}
	name := path.Base(strings.ReplaceAll(f.GetName(), "\\", "/"))
	if strings.Trim(name, "./") == "" {
		name = "file"
	}
	err = c.graph.Upload(ctx, a.access(), by+"/message_attachments", fields,
		meta.File{Field: "filedata", Name: name, MediaType: mediaType, Size: size, Body: body}, &answer)
	if err != nil {
		return nil, err
	}
	if answer.ID == "" {
		return nil, fmt.Errorf("%w: the API named no attachment", channel.ErrRetry) // nothing was sent yet
	}
	file.Payload.ID, file.Payload.Reusable = string(answer.ID), false
	return file, nil
}

// fileType is what Meta calls a file of a media type. Instagram takes those that it documents.
func (a *account) fileType(mediaType string) (string, error) {
	kind, _, _ := strings.Cut(mediaType, "/")
	if a.product == Facebook {
		switch kind {
		case "image", "video", "audio":
			return kind, nil
		}
		return "file", nil
	}
	switch mediaType {
	case "image/png", "image/jpeg", "image/gif":
		return "image", nil
	case "audio/aac", "audio/mp4", "audio/x-m4a", "audio/m4a", "audio/wav", "audio/x-wav", "audio/vnd.wave":
		return "audio", nil
	case "video/mp4", "video/ogg", "video/x-msvideo", "video/quicktime", "video/webm":
		return "video", nil
	case "application/pdf":
		return "file", nil
	}
	return "", refuse(CodeFileType, "Instagram does not take files of the type "+event.Clip(mediaType, maxName))
}

// answer comments: the first comment of a chain, or a post
// (https://developers.facebook.com/docs/graph-api/reference/object/comments,
// https://developers.facebook.com/docs/instagram-platform/instagram-graph-api/reference/ig-comment/replies).
func (c *Channel) answer(ctx context.Context, a *account, out channel.Outgoing, onPost, root string) (channel.Sent, error) {
	text := strings.TrimSpace(out.Message.GetText())
	under := cmp.Or(root, onPost)
	switch {
	case len(out.Attachments) > 0:
		return channel.Sent{}, refuse(CodeNoFiles, "a comment is a text")
	case !isObject(under):
		return channel.Sent{}, refuse(CodeNoRecipient, "the thread is none of a post or of comments")
	case a.product == Instagram && root == onPost:
		return channel.Sent{}, refuse(CodeNoRecipient, "a post of others that names the account is not answered here")
	}
	edge := "/comments"
	if a.product == Instagram && root != "" {
		edge = "/replies"
	}
	var answer struct {
		ID word `json:"id"`
	}
	if err := c.graph.Post(ctx, a.access(), under+edge, map[string]string{"message": text}, &answer); err != nil {
		return channel.Sent{}, err
	}
	if answer.ID == "" {
		return channel.Sent{}, fmt.Errorf("%w: the API named no comment", channel.ErrUnknown)
	}
	id := string(answer.ID)
	echo := (&reading{account: a}).wrote(written{
		thread: onPost + "/" + cmp.Or(root, id), id: id, parent: under, ours: true, text: text,
	})
	return channel.Sent{NativeID: id, Echo: echo}, nil
}

// isObject tells an id of a post or comment.
func isObject(id string) bool {
	return id != "" && strings.Trim(id, "0123456789_") == "" && strings.Trim(id, "_") != ""
}
