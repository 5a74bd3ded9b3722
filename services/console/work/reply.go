package work

import (
	"context"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strings"

	blobv1 "github.com/skein-cx/skein/proto/skein/blob/v1"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/web"
)

const (
	// largestReply is how much a reply may have with its files, in bytes: what a mail may have. inMemory of it is kept in memory.
	largestReply, inMemory = 30 << 20, 1 << 20
	// piece is how much of a file goes up at once, in bytes.
	piece = 256 << 10
)

// reply asks to send a message in a thread of the conversation. That it is being sent, and what becomes of it, comes as news.
func (p *Pages) reply(c *web.Call) error {
	c.R.Body = http.MaxBytesReader(c.W, c.R.Body, largestReply)
	if err := c.R.ParseMultipartForm(inMemory); err != nil && !errors.Is(err, http.ErrNotMultipart) {
		return web.Bad(lang.T(c.Context(), "The message is too large: with its files it can have %d MB.", largestReply>>20))
	}
	if c.R.MultipartForm != nil {
		defer func() { _ = c.R.MultipartForm.RemoveAll() }() // what stays is the system's to clean
	}
	by, err := actor(c)
	if err != nil {
		return err
	}
	parameters, err := templateParameters(c)
	if err != nil {
		return err
	}
	line, err := p.line(c)
	if err != nil {
		return err
	}
	attachments, err := p.upload(c, line)
	if err != nil {
		return err
	}
	message := &channelv1.OutgoingMessage{
		Text: c.Form("text"), Attachments: attachments, Template: c.Form("template"), TemplateLanguage: c.Form("template_language"), TemplateParameters: parameters,
	}
	if line.GetChannel() == eventv1.Channel_CHANNEL_EMAIL {
		message.Subject = c.Form("subject")
	}
	if message.GetText() == "" && len(attachments) == 0 && message.GetTemplate() == "" {
		return web.Bad(lang.T(c.Context(), "Write something first."))
	}
	_, err = p.channels.Send(c.Context(), &channelv1.SendRequest{
		ThreadId: line.GetThreadId(), RequestId: c.Form("request"), Message: message, Actor: by, Author: p.shownAs(c.Context(), by.GetId()),
	})
	if err != nil {
		return err
	}
	return c.Done(at(c.R.PathValue("conversation")))
}

// line is the thread in which the reply goes: the one that was chosen, of those of the conversation.
func (p *Pages) line(c *web.Call) (line, error) {
	answer, err := p.conversations.Get(c.Context(), &conversationv1.GetRequest{ConversationId: c.R.PathValue("conversation")})
	if err != nil {
		return line{}, err
	}
	t := talk{Conversation: answer.GetConversation()}
	for _, l := range t.lines() {
		if thread := c.Form("thread"); thread == l.GetThreadId() || thread == "" && l.Chosen {
			return l, nil
		}
	}
	return line{}, web.Bad(lang.T(c.Context(), "This conversation has no such thread to reply in."))
}

// shownAs is the name that the customer sees; empty where the directory tells none.
func (p *Pages) shownAs(ctx context.Context, agent string) string {
	answer, err := p.directory.Get(ctx, &directoryv1.GetRequest{Kind: "agent", Id: agent})
	if err != nil {
		return "" // the message is of use without
	}
	return answer.GetEntry().GetStated().GetAgent().GetName()
}

// templateParameters reads a line for each: name = value.
func templateParameters(c *web.Call) (map[string]string, error) {
	all := map[string]string{}
	for text := range strings.Lines(c.Form("template_parameters")) {
		if text = strings.TrimSpace(text); text == "" {
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, web.Bad(lang.T(c.Context(), "Write each parameter of the template as NAME=VALUE, one a line: %q is none.", text))
		}
		all[name] = strings.TrimSpace(value)
	}
	return all, nil
}

// upload stores the files of a reply where those of the thread are.
func (p *Pages) upload(c *web.Call, l line) (all []*eventv1.Attachment, err error) {
	if c.R.MultipartForm == nil {
		return nil, nil
	}
	for _, file := range c.R.MultipartForm.File["files"] {
		if file.Size == 0 && file.Filename == "" {
			continue
		}
		if l.GetNativeThread() == "" {
			return nil, web.Bad(lang.T(c.Context(), "No file can be sent in this thread: its id at the provider cannot be read."))
		}
		blob, err := p.uploadOne(c.Context(), l, file)
		if err != nil {
			return nil, err
		}
		all = append(all, &eventv1.Attachment{Blob: blob, Name: file.Filename, MediaType: blob.GetMediaType()})
	}
	return all, nil
}

func (p *Pages) uploadOne(ctx context.Context, l line, file *multipart.FileHeader) (*eventv1.Blob, error) {
	f, err := file.Open()
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // it was only read
	up, err := p.blobs.Upload(ctx)
	if err != nil {
		return nil, err
	}
	info := &blobv1.UploadInfo{Inbox: l.GetInbox(), Thread: l.GetNativeThread(), MediaType: file.Header.Get("Content-Type"), Size: file.Size}
	if err := up.Send(&blobv1.UploadRequest{Piece: &blobv1.UploadRequest_Info{Info: info}}); err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	buffer := make([]byte, piece)
	for {
		n, err := f.Read(buffer)
		if n > 0 {
			if err := up.Send(&blobv1.UploadRequest{Piece: &blobv1.UploadRequest_Data{Data: buffer[:n]}}); err != nil {
				break // CloseAndRecv says why
			}
		}
		if err != nil {
			break // its size is checked
		}
	}
	answer, err := up.CloseAndRecv()
	return answer.GetBlob(), err
}

// typing lets the customer see that somebody writes. It may get lost.
func (p *Pages) typing(c *web.Call) error {
	if c.Actor() != nil && c.Form("thread") != "" {
		_, err := p.channels.Signal(c.Context(), &channelv1.SignalRequest{
			ThreadId: c.Form("thread"), Actor: c.Actor(), Author: p.shownAs(c.Context(), c.User.Agent), Activity: livev1.Activity_ACTIVITY_TYPING,
		})
		if err != nil {
			return err
		}
	}
	return c.Done(at(c.R.PathValue("conversation")))
}
