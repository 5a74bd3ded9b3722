package telegram

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/textproto"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/skein-cx/skein/pkg/channel"
)

// What Telegram takes (https://core.telegram.org/bots/api#sendmessage, #sending-files, #sendmediagroup).
const (
	maxText    = 4096 // characters
	maxCaption = 1024
	maxFiles   = 10
	maxPhoto   = 10 << 20
	maxUpload  = 50 << 20
)

// Sender is the channel.Sender of an inbox. It needs no open Channel. A customer who has written once can be written to for ever,
// until the bot is blocked.
type Sender struct {
	channel *Channel
	key     Key
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender { return &Sender{c, account} }

// Idempotent implements channel.Sender: the Bot API knows no key of ours.
func (s *Sender) Idempotent() bool { return false }

// Send implements channel.Sender. Several files go out as one album, of which the first is the message; JPEG and PNG as pictures
// where all files are such. Telegram does not tell of what the bot itself wrote, so there is no echo.
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	a, err := s.channel.account(s.key)
	if err != nil {
		return channel.Sent{}, refused("not_configured", err.Error())
	}
	to, err := target(out.Thread)
	if err != nil {
		return channel.Sent{}, err
	}
	if err := check(out); err != nil {
		return channel.Sent{}, err
	}
	to["reply_parameters"] = replyTo(out.Message.GetInReplyTo(), to["chat_id"])
	var said *answer
	if text := out.Message.GetText(); len(out.Attachments) == 0 {
		to["text"] = text
		said, err = s.channel.post(ctx, a, "sendMessage", "application/json", strings.NewReader(to.json()), maxAnswer)
	} else {
		said, err = s.channel.upload(ctx, a, to, text, out.Attachments)
	}
	if err != nil {
		return channel.Sent{}, wrapSend(err)
	}
	return sent(said)
}

func wrapSend(err error) error {
	if _, ok := errors.AsType[*channel.RefusedError](err); ok {
		return err
	}
	return fmt.Errorf("social/telegram: send: %w", err)
}

func refused(code, reason string) error { return &channel.RefusedError{Code: code, Reason: reason} }

// parameters of a method: strings and numbers, and JSON. Those that are empty are not sent.
type parameters map[string]any

func (p parameters) json() string {
	for name, value := range p {
		if value == nil || value == "" {
			delete(p, name)
		}
	}
	text, err := json.Marshal(p)
	if err != nil {
		return "{}" // strings and numbers only: it cannot be
	}
	return string(text)
}

// target says which chat a thread is in the API's words.
func target(thread string) (parameters, error) {
	none := refused("no_message_thread", "the thread is none in which the bot can write")
	parts := strings.Split(thread, "/")
	to := parameters{}
	chat := parts[0]
	switch {
	case parts[0] == "business" && len(parts) == 3 && parts[1] != "":
		to["business_connection_id"], chat = parts[1], parts[2]
	case parts[0] == "guest":
		return nil, refused("guest", "a chat that the bot is not in can only be answered at once, and not by messages")
	case len(parts) == 1:
	case len(parts) == 2:
		topic, err := strconv.ParseInt(parts[1], 10, 64)
		if err != nil {
			return nil, none
		}
		to["message_thread_id"] = topic
	case len(parts) == 3 && parts[1] == "direct":
		topic, err := strconv.ParseInt(parts[2], 10, 64)
		if err != nil {
			return nil, none
		}
		to["direct_messages_topic_id"] = topic
	default:
		return nil, none
	}
	id, err := strconv.ParseInt(chat, 10, 64)
	if err != nil {
		return nil, none
	}
	to["chat_id"] = id
	return to, nil
}

// check refuses what Telegram would not take, or what would go out without a part of it.
func check(out channel.Outgoing) error {
	m, text := out.Message, utf8.RuneCountInString(out.Message.GetText())
	switch {
	case m.GetTemplate() != "":
		return refused("no_templates", "Telegram has no templates")
	case m.GetLocation() != nil:
		return refused("no_location", "places cannot be sent by this inbox")
	case len(out.Attachments) == 0 && strings.TrimSpace(m.GetText()) == "":
		return refused("no_text", "a message needs a text or a file")
	case len(out.Attachments) == 0 && text > maxText:
		return refused("text_too_long", fmt.Sprintf("the text has %d characters, and Telegram takes %d", text, maxText))
	case len(out.Attachments) > 0 && text > maxCaption:
		return refused("text_too_long", fmt.Sprintf("the text has %d characters, and Telegram takes %d beside files", text, maxCaption))
	case len(out.Attachments) > maxFiles:
		return refused("too_many_files", fmt.Sprintf("Telegram takes %d files in a message", maxFiles))
	}
	for _, f := range out.Attachments {
		if size := f.GetBlob().GetSize(); size > maxUpload {
			return refused("too_large", fmt.Sprintf("a file has %d bytes, and Telegram takes %d", size, maxUpload))
		}
	}
	return nil
}

// replyTo names the message that is answered, where it is one of the same chat.
func replyTo(message string, chat any) any {
	in, id, ok := strings.Cut(message, "/")
	n, err := strconv.ParseInt(id, 10, 64)
	if !ok || err != nil || in != fmt.Sprint(chat) {
		return nil
	}
	return map[string]any{"message_id": n, "allow_sending_without_reply": true}
}

// upload sends files with a text below the first.
func (c *Channel) upload(ctx context.Context, a *account, to parameters, text string, files []channel.OutgoingFile) (*answer, error) {
	kind := "photo"
	for _, f := range files {
		if t := f.GetBlob().GetMediaType(); t != "image/jpeg" && t != "image/png" || f.GetBlob().GetSize() > maxPhoto {
			kind = "document"
		}
	}
	method, fields := "sendDocument", []string{kind}
	if kind == "photo" {
		method = "sendPhoto"
	}
	if len(files) > 1 {
		media := make([]map[string]string, len(files))
		fields = fields[:0]
		for i := range files {
			field := "file" + strconv.Itoa(i)
			fields = append(fields, field)
			media[i] = map[string]string{"type": kind, "media": "attach://" + field}
		}
		if text != "" {
			media[0]["caption"] = text
		}
		method, to["media"] = "sendMediaGroup", media
	} else {
		to["caption"] = text
	}
	var opened []io.Closer
	defer func() {
		for _, f := range opened {
			_ = f.Close() // it was read, or nobody will
		}
	}()
	readers := make([]io.Reader, len(files))
	for i, f := range files {
		r, err := f.Open(ctx)
		if err != nil {
			return nil, err
		}
		opened, readers[i] = append(opened, r), r
	}
	body, w := io.Pipe()
	form := multipart.NewWriter(w)
	written := make(chan struct{})
	go func() {
		defer close(written)
		err := write(form, to, fields, files, readers)
		_ = w.CloseWithError(err) // it never fails
	}()
	said, err := c.post(ctx, a, method, form.FormDataContentType(), body, maxAnswer)
	_ = body.Close() // nobody reads on
	<-written
	return said, err
}

func write(form *multipart.Writer, to parameters, fields []string, files []channel.OutgoingFile, readers []io.Reader) error {
	var plain map[string]json.RawMessage
	if err := json.Unmarshal([]byte(to.json()), &plain); err != nil {
		return err
	}
	for name, raw := range plain {
		value := string(raw)
		if text, ok := to[name].(string); ok {
			value = text
		}
		if err := form.WriteField(name, value); err != nil {
			return err
		}
	}
	for i, f := range files {
		name := f.GetName()
		if name == "" {
			name = "file" + strconv.Itoa(i+1)
		}
		header := textproto.MIMEHeader{}
		header.Set("Content-Disposition", multipart.FileContentDisposition(fields[i], name))
		header.Set("Content-Type", "application/octet-stream")
		if t := f.GetBlob().GetMediaType(); t != "" && !strings.ContainsAny(t, "\r\n") {
			header.Set("Content-Type", t)
		}
		part, err := form.CreatePart(header)
		if err != nil {
			return err
		}
		if _, err := io.Copy(part, readers[i]); err != nil {
			return err
		}
	}
	return form.Close()
}

// sent reads what the API answered to a message.
func sent(said *answer) (channel.Sent, error) {
	if said.later != nil {
		return channel.Sent{}, wrapSend(said.later)
	}
	if !said.OK {
		if code, reason := said.refusal(); said.status/100 == 4 {
			return channel.Sent{}, refused(code, reason)
		}
		return channel.Sent{}, wrapSend(fmt.Errorf("%w: the API answered %d", channel.ErrUnknown, said.status))
	}
	var one message
	var many []message
	err := json.Unmarshal(said.Result, &one)
	if err != nil {
		if err = json.Unmarshal(said.Result, &many); err == nil && len(many) > 0 {
			one = many[0]
		}
	}
	if err != nil || one.Chat == nil || one.ID == 0 {
		return channel.Sent{}, wrapSend(fmt.Errorf("%w: the answer has no message", channel.ErrUnknown))
	}
	result := channel.Sent{NativeID: nativeID(one.Chat, one.ID)}
	if t := at(one.Date); t != nil {
		result.At = t.AsTime()
	}
	return result, nil
}
