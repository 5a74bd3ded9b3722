package wecom

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// maxText is how long a text may be, in bytes. WeCom cuts what is longer.
const maxText = 2048

// Sender is the channel.Sender of an application. It needs no open Channel.
type Sender struct {
	channel *Channel
	key     Key
}

var _ channel.Sender = (*Sender)(nil)

// NewSender sends for one of a channel's accounts.
func (c *Channel) NewSender(account Key) *Sender { return &Sender{c, account} }

// Send implements channel.Sender: to the member whose thread it is (https://developer.work.weixin.qq.com/document/path/90236). A message is a text, or a file;
// with both it would be two messages, which could go out by halves, and is refused. So are external contacts, whom an application cannot write
// to; and members are written to at any time.
func (s *Sender) Send(ctx context.Context, out channel.Outgoing) (channel.Sent, error) {
	a, ok := s.channel.accounts[s.key]
	if !ok {
		return channel.Sent{}, fmt.Errorf("social/wechat/wecom: the inbox %q of tenant %q is not configured: %w", s.key.Inbox, s.key.Tenant, channel.ErrRetry)
	}
	text, files := out.Message.GetText(), out.Attachments
	switch {
	case !isMember(out):
		return channel.Sent{}, &channel.RefusedError{Code: "no_member", Reason: "the thread is none of a member's: an application writes to members only"}
	case out.Message.GetLocation() != nil:
		return channel.Sent{}, &channel.RefusedError{Code: "no_places", Reason: "an application cannot send places"}
	case out.Message.GetTemplate() != "":
		return channel.Sent{}, &channel.RefusedError{Code: "no_templates", Reason: "there are no templates here"}
	case len(files) > 1 || len(files) == 1 && text != "":
		return channel.Sent{}, &channel.RefusedError{Code: "one_at_a_time", Reason: "a message is one text or one file: send them one after the other"}
	case len(files) == 0 && text == "":
		return channel.Sent{}, &channel.RefusedError{Code: "no_content", Reason: "there is nothing to send"}
	case len(text) > maxText:
		return channel.Sent{}, &channel.RefusedError{Code: "too_long", Reason: fmt.Sprintf("the text has %d bytes, and WeCom takes %d", len(text), maxText)}
	}
	call := map[string]any{"touser": out.Thread, "agentid": a.AgentID, "msgtype": "text", "text": map[string]any{"content": text}}
	if len(files) == 1 {
		kind, id, err := a.api.CorpUpload(ctx, files[0])
		if err != nil {
			return channel.Sent{}, err
		}
		delete(call, "text")
		call["msgtype"], call[kind] = kind, map[string]any{"media_id": id}
	}
	var answer struct {
		MsgID      string `json:"msgid"`
		Invalid    string `json:"invaliduser"`
		Unlicensed string `json:"unlicenseduser"`
	}
	if err := a.api.Post(ctx, "/cgi-bin/message/send", nil, call, &answer); err != nil {
		return channel.Sent{}, fmt.Errorf("social/wechat/wecom: send: %w", wechat.CorpSendError(err))
	}
	switch {
	case isAmong(answer.Invalid, out.Thread):
		return channel.Sent{}, &channel.RefusedError{Code: "invaliduser", Reason: "there is no such member, or the application may not see them"}
	case isAmong(answer.Unlicensed, out.Thread):
		return channel.Sent{}, &channel.RefusedError{Code: "unlicenseduser", Reason: "the member has no licence for the API"}
	}
	return channel.Sent{NativeID: answer.MsgID}, nil
}

// Idempotent implements channel.Sender. WeCom can leave out what is the same as a message before it, but knows no key by which one request tells itself
// from another of the same words.
func (s *Sender) Idempotent() bool { return false }

// isMember tells whether a thread is one of a member's. "|" would name several, and "@all" all of them.
func isMember(out channel.Outgoing) bool {
	if out.Thread == "" || len(out.Thread) > 64 || strings.ContainsAny(out.Thread, "|/") || out.Thread[0] == '@' {
		return false
	}
	return !slices.ContainsFunc(out.Parties, func(p *eventv1.SubmittedParty) bool {
		return p.GetAddress().GetValue() == out.Thread && p.GetAddress().GetKind() == eventv1.EndpointKind_ENDPOINT_KIND_IDENTIFIER
	})
}

// isAmong tells whether a member is in a list, which WeCom writes in lower case.
func isAmong(users, member string) bool {
	return slices.ContainsFunc(strings.Split(users, "|"), func(user string) bool { return strings.EqualFold(strings.TrimSpace(user), member) })
}
