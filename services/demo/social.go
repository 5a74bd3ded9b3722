package demo

import (
	"bytes"
	"context"
	"errors"
	"net/http"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

const (
	// WhatsApp is the company's number on WhatsApp in the story.
	WhatsApp = "whatsapp"
	// WhatsAppNumberID is Meta's id of the number.
	WhatsAppNumberID = "106540352242922"
	// WhatsAppBusinessID is Meta's id of the account that the number belongs to.
	WhatsAppBusinessID = "102290129340398"
	// WeChat is the company's official account.
	WeChat = "wechat"
	// WeChatApp is its AppID.
	WeChatApp = "wx4711000000000000"
)

// Delivery is a scene that a provider tells by a webhook: Inbox is WhatsApp or WeChat.
type Delivery struct {
	Inbox string
	Body  string
}

// Signer makes of a body the request's body and its query and header, signed, and encrypted where the provider does so.
type Signer func(body []byte) (delivered []byte, query string, header http.Header, err error)

// deliver delivers a webhook as its provider does. The answer comes once the log has what it tells.
func (p *Player) deliver(ctx context.Context, d *Delivery) error {
	body, query, header, err := p.Sign[d.Inbox]([]byte(d.Body))
	if err != nil {
		return err
	}
	address := p.HTTP + "/channels/" + d.Inbox + "/" + p.Tenant + "/" + d.Inbox + "?" + query
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return err
	}
	if header != nil {
		req.Header = header
	}
	return taken(req)
}

// publish hands in what the company says by a program of its own.
func (p *Player) publish(ctx context.Context, s *eventv1.Submission) error {
	if _, err := p.Ingest.Publish(ctx, &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{s}}); err != nil {
		return errors.New(rpc.Explain(err))
	}
	return nil
}
