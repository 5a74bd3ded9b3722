package app

import (
	"context"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/cursorkv"
	"github.com/skein-cx/skein/pkg/event"
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
	a.outbound, err = outbound.New(ctx, outbound.Config{
		Log: a.log, Groups: groups, Store: a.store, Host: a.intake, Blobs: a.blobs, Inboxes: a.outboundInboxes(),
		MaxAge: a.cfg.Outbound.MaxAge, Timeout: a.cfg.Outbound.Timeout,
		Metrics: outbound.NewMetrics(a.registry), Logger: a.logger,
	})
	if err != nil {
		return err
	}
	outbound.NewServer(a.outbound, timeline.NewThreads(a.store, partitions, &a.progress), a.keyring).Register(a.grpc)
	return nil
}

// outboundInboxes are all inboxes, with the sender of each that can send.
func (a *App) outboundInboxes() []outbound.Inbox {
	inboxes := make([]outbound.Inbox, 0, len(a.cfg.Inboxes))
	for _, in := range a.cfg.Inboxes {
		out := outbound.Inbox{Tenant: in.Tenant, ID: in.ID}
		switch in.Channel {
		case channelWebChat:
			out.Sender = chat.NewSender(chat.Widget{ID: in.ID, Tenant: in.Tenant})
		case channelConnector:
			out.Remote = true
		}
		inboxes = append(inboxes, out)
	}
	return inboxes
}

func (a *App) runSender(ctx context.Context) error { return a.outbound.Run(ctx) }
