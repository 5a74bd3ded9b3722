package kf

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

const (
	// window is how long after the customer's last message the company may write, and 5 messages at most.
	window = 48 * time.Hour
	// maxText is how long a text may be, in bytes.
	maxText = 2048
	// maxID is how long an id of ours may be.
	maxID = 32
)

// Sender is the channel.Sender of an account. It needs no open Channel.
type Sender struct {
	channel *Channel
	key     Key
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender { return &Sender{c, account} }

// Send implements channel.Sender (https://developer.work.weixin.qq.com/document/path/94677). A message is a text, a place, a file, or a template; two of them
// are two messages, which could go out by halves, and are refused. The templates are the cards that WeChat knows, with template parameters by their
// names in the document:
//
//	link         title, desc, url; with a picture as attachment
//	miniprogram  appid, title, pagepath; with a picture as attachment
//	msgmenu      head_content, tail_content, and click.ID for each entry, in the order of the ids: who chooses it sends ID as the payload
//
// WeChat itself says that a message was lost later (msg_send_fail), by the id that Send returns.
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	a, ok := s.channel.accounts[s.key]
	if !ok {
		return channel.Sent{}, fmt.Errorf("social/wechat/kf: the inbox %q of tenant %q is not configured: %w", s.key.Inbox, s.key.Tenant, channel.ErrRetry)
	}
	if out.Thread == "" || strings.Contains(out.Thread, "/") || out.Thread == "callback" {
		return channel.Sent{}, &channel.RefusedError{Code: "no_message_thread", Reason: "the thread is none of a customer's"}
	}
	if err := out.Within(window, s.channel.now(), "wait until the customer writes again"); err != nil {
		return channel.Sent{}, err
	}
	kind, body, err := a.compose(ctx, out)
	if err != nil {
		return channel.Sent{}, err
	}
	call := map[string]any{"touser": out.Thread, "open_kfid": a.OpenKfID, "msgtype": kind, kind: body}
	if id := strings.ReplaceAll(out.RequestID, "-", ""); id != "" && len(id) <= maxID && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == "" {
		call["msgid"] = id
	}
	var answer struct {
		MsgID string `json:"msgid"`
	}
	if err := a.api.Post(ctx, "/cgi-bin/kf/send_msg", nil, call, &answer); err != nil {
		return channel.Sent{}, fmt.Errorf("social/wechat/kf: send: %w", wechat.CorpSendError(err))
	}
	if answer.MsgID == "" {
		answer.MsgID, _ = call["msgid"].(string) // which the answer repeats
	}
	return channel.Sent{NativeID: answer.MsgID}, nil
}

// Idempotent implements channel.Sender. The document lets the caller choose a message's id, and does not say that the same id is sent once only.
func (s *Sender) Idempotent() bool { return false }

// compose makes what is sent; it uploads the file.
func (a *account) compose(ctx context.Context, out channel.Outgoing) (kind string, body map[string]any, err error) {
	m := out.Message
	text, place, files := m.GetText(), m.GetLocation(), out.Attachments
	switch {
	case m.GetTemplate() != "":
		return a.template(ctx, m, files)
	case len(files) > 1 || len(files) == 1 && (text != "" || place != nil) || text != "" && place != nil:
		return "", nil, &channel.RefusedError{Code: "one_at_a_time", Reason: "a message is one text, one place or one file: send them one after the other"}
	case len(files) == 1:
		kind, id, err := a.api.CorpUpload(ctx, files[0])
		return kind, map[string]any{"media_id": id}, err
	case place != nil:
		return "location", map[string]any{"name": place.GetLabel(), "address": "", "latitude": place.GetLatitude(), "longitude": place.GetLongitude()}, nil
	case text == "":
		return "", nil, &channel.RefusedError{Code: "no_content", Reason: "there is nothing to send"}
	case len(text) > maxText:
		return "", nil, &channel.RefusedError{Code: "too_long", Reason: fmt.Sprintf("the text has %d bytes, and WeChat takes %d", len(text), maxText)}
	}
	return "text", map[string]any{"content": text}, nil
}

// template makes one of WeChat's cards.
func (a *account) template(ctx context.Context, m *eventv1.Message, files []channel.OutgoingFile) (kind string, body map[string]any, err error) {
	kind, body = m.GetTemplate(), map[string]any{}
	parameters := m.GetTemplateParameters()
	fields := map[string][]string{"link": {"title", "url", "desc"}, "miniprogram": {"appid", "title", "pagepath"}, "msgmenu": {"head_content", "tail_content"}}[kind]
	if fields == nil {
		return "", nil, &channel.RefusedError{Code: "no_template", Reason: "the templates are link, miniprogram and msgmenu"}
	}
	for _, name := range fields {
		if value := parameters[name]; value != "" {
			body[name] = value
		}
	}
	if kind == "msgmenu" {
		var entries []any
		var ids []string
		for name := range parameters {
			if id, ok := strings.CutPrefix(name, "click."); ok && id != "" {
				ids = append(ids, id)
			}
		}
		slices.Sort(ids)
		for _, id := range ids {
			entries = append(entries, map[string]any{"type": "click", "click": map[string]any{"id": id, "content": parameters["click."+id]}})
		}
		if len(entries) == 0 || len(entries) > 10 || len(files) > 0 {
			return "", nil, &channel.RefusedError{Code: "no_menu", Reason: "a menu has 1 to 10 entries (click.ID), and no file"}
		}
		body["list"] = entries
		return kind, body, nil
	}
	if body[fields[0]] == nil || body[fields[1]] == nil || len(files) != 1 {
		return "", nil, &channel.RefusedError{Code: "no_card", Reason: fmt.Sprintf("a %s needs %s, and a picture", kind, strings.Join(fields[:2], " and "))}
	}
	as, id, err := a.api.CorpUpload(ctx, files[0])
	if err == nil && as != "image" {
		err = &channel.RefusedError{Code: "no_picture", Reason: "the file is no picture that WeChat takes: JPEG or PNG of at most 10 MiB"}
	}
	body["thumb_media_id"] = id
	return kind, body, err
}

// inWords says what WeCom's errcode means.
func inWords(err error) error {
	if e, ok := errors.AsType[*wechat.Error](err); ok {
		if e.Temporary() {
			return fmt.Errorf("%w: %s", e.Later(), wechat.CorpReason(e))
		}
		return fmt.Errorf("%w: %s", err, wechat.CorpReason(e))
	}
	return err
}
