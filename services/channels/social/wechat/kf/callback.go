package kf

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// endpoint is where callbacks come in.
func (c *Channel) endpoint(a *account) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Timeout: answerTimeout,
		Authentic: func(r *http.Request, body []byte) error { return wechat.SealedAuthentic(a.Token, r, body) },
		Unwrap:    func(_ *http.Request, body []byte) ([]byte, error) { return a.crypto.Unwrap(body) },
		Read: func(_ context.Context, _ channel.Host, body []byte) ([]*eventv1.Submission, error) {
			return c.readCallback(a, body)
		},
		Handshake: wechat.Handshake(a.Token, a.crypto),
	}
}

// callback is what WeChat delivers.
type callback struct {
	ToUserName string
	CreateTime string
	MsgType    string
	Event      string
	Token      string
	OpenKfID   string `xml:"OpenKfId"`
}

// readCallback wakes who is to pull. The wake cannot be lost: it holds until the account is pulled, and who dies before that pulls at the next
// start.
func (c *Channel) readCallback(a *account, raw []byte) ([]*eventv1.Submission, error) {
	var cb callback
	if err := wechat.DecodeXML(raw, &cb); err != nil {
		return nil, fmt.Errorf("social/wechat/kf: %w", err)
	}
	switch {
	case cb.ToUserName != a.CorpID:
		return nil, fmt.Errorf("social/wechat/kf: it is for the company %q, not for this inbox's", cb.ToUserName)
	case cb.Event == "kf_msg_or_event":
		c.wake(a.Tenant, a.CorpID, cb.OpenKfID, cb.Token)
		return nil, nil
	case cb.Event == "":
		return nil, errors.New("social/wechat/kf: it is no event: what members write to an application is for a WeCom inbox")
	}
	s := &eventv1.Submission{
		Type: event.ForeignType(Provider, cb.Event), Channel: eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, Provider: Provider, Inbox: a.Inbox,
		Thread: "callback", NativeId: cb.CreateTime + "/" + cb.Event, OccurredAt: stated(cb.CreateTime),
		Actor: actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM),
		Content: &eventv1.Content{Body: &eventv1.Content_Extension{
			Extension: &eventv1.Extension{MediaType: "application/xml", Data: raw},
		}},
	}
	sum := sha256.Sum256(raw)
	s.Discriminator = sum[:]
	return []*eventv1.Submission{s}, nil
}

func stated(text string) *timestamppb.Timestamp {
	unix, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return nil
	}
	return seconds(unix)
}

// Wake has an account pulled, of whichever tenant, or all of the company's where the id is empty. It returns at once. The token is that of the
// callback; without one, WeChat allows few calls.
func (c *Channel) Wake(corpID, openKfID, token string) { c.wake("", corpID, openKfID, token) }

func (c *Channel) wake(tenant, corpID, openKfID, token string) {
	for _, a := range c.order {
		if a.CorpID != corpID || openKfID != "" && a.OpenKfID != openKfID || tenant != "" && a.Tenant != tenant {
			continue
		}
		if token != "" {
			a.mu.Lock()
			a.token, a.tokenAt = token, c.now()
			a.mu.Unlock()
		}
		select {
		case a.wakeup <- struct{}{}:
		default: // it is awake
		}
	}
}

// tokenLife is how long the token of a callback is valid, less a little.
const tokenLife = 9 * time.Minute

// pullToken is the token to pull with; empty where there is none that is valid.
func (c *Channel) pullToken(a *account) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	if c.now().Sub(a.tokenAt) > tokenLife {
		a.token = ""
	}
	return a.token
}

// dropToken forgets a token that was refused.
func (a *account) dropToken(token string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.token == token {
		a.token = ""
	}
}

// Redrive implements channel.Redriver, for items and for callbacks.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, ok := c.accounts[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("social/wechat/kf: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	endpoint, raw := c.endpoint(a), r.Raw
	if trimmed := bytes.TrimSpace(raw); len(trimmed) > 0 && trimmed[0] == '{' {
		endpoint.Read = func(_ context.Context, _ channel.Host, body []byte) ([]*eventv1.Submission, error) {
			return a.readItem(body)
		}
	} else if opened, err := a.crypto.Unwrap(raw); err == nil { // kept as it came, because the key was not the right one
		raw = opened
	}
	outcome, err := webhook.Deliver(ctx, host, endpoint, raw)
	if outcome == "retried" {
		return fmt.Errorf("social/wechat/kf: redrive: %w", err)
	}
	return nil
}
