package app

import (
	"context"
	"net/http"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/cursorkv"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/services/channels/email/sender"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
	"github.com/skein-cx/skein/services/channels/web/chat"
	"github.com/skein-cx/skein/services/outbound"
	"github.com/skein-cx/skein/services/timeline"
)

// Cursors are where channels of this process that pull keep how far they have come, once its store is open: the role of such a
// channel needs partStore.
func (a *App) Cursors() channel.Cursors { return cursorkv.New(a.store) }

// openSender takes requests from where the store says.
func (a *App) openSender(ctx context.Context) error {
	partitions, err := a.log.Partitions(ctx, event.TopicInteractions)
	if err != nil {
		return err
	}
	groups, err := a.groups()
	if err != nil {
		return err
	}
	inboxes, err := a.outboundInboxes() //nolint:contextcheck // its senders' tokens outlive the start
	if err != nil {
		return err
	}
	threads := timeline.NewThreads(a.store, partitions, a.slices.progress(timeline.Slice))
	a.outbound, err = outbound.New(ctx, outbound.Config{
		Log: a.log, Groups: groups, Store: a.store, Host: a.intake, Blobs: a.blobs, Threads: threads, Inboxes: inboxes,
		MaxAge: a.cfg.Outbound.MaxAge, Timeout: a.cfg.Outbound.Timeout,
		Metrics: outbound.NewMetrics(a.registry), Logger: a.logger,
	})
	if err != nil {
		return err
	}
	outbound.NewServer(a.outbound, threads, a.keyring, a.live).Register(a.grpc)
	return nil
}

var _ outbound.Patient = (*sender.Outbox)(nil)

// outboundInboxes are all inboxes, with the sender of each that can send.
func (a *App) outboundInboxes() ([]outbound.Inbox, error) {
	ids, err := a.messageIDs()
	if err != nil {
		return nil, err
	}
	socials, err := a.connectSocial()
	if err != nil {
		return nil, err
	}
	inboxes := make([]outbound.Inbox, 0, len(a.cfg.Inboxes))
	for _, in := range a.cfg.Inboxes {
		out := outbound.Inbox{Tenant: in.Tenant, ID: in.ID}
		switch in.Channel {
		case channelWebChat:
			out.Sender = chat.NewSender(chat.Widget{ID: in.ID, Tenant: in.Tenant})
		case channelTwilio:
			c, err := twilio.New(twilio.Config{Mux: http.NewServeMux(), Accounts: []twilio.Account{in.twilio()}}) // which nobody opens
			if err != nil {
				return nil, err
			}
			out.Sender = c.NewSender(twilio.Key{Tenant: in.Tenant, Inbox: in.ID})
		case channelEmail:
			if in.SMTP.Addr == "" {
				break
			}
			inbox, err := a.cfg.emailInbox(in, ids)
			if err != nil {
				return nil, err
			}
			if out.Sender, err = in.SMTP.smtp(&in, inbox, a.cfg.Email.Hostname); err != nil {
				return nil, err
			}
		case channelConnector:
			out.Remote = true
		default:
			if s := socials[in.Channel]; s != nil {
				out.Sender = s.sender(in.Tenant, in.ID)
			}
		}
		inboxes = append(inboxes, out)
	}
	return inboxes, nil
}

func (a *App) runSender(ctx context.Context) error { return a.outbound.Run(ctx) }
