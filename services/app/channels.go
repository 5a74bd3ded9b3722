package app

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/services/channels/web/chat"
	"github.com/skein-cx/skein/services/timeline"
)

// openChat mounts the web chats that are configured on the HTTP server.
func (a *App) openChat(ctx context.Context) error {
	secret, err := a.keyring.Secret("web chat")
	if err != nil {
		return err
	}
	cfg := chat.Config{
		Mux: a.mux, Follower: timeline.NewFollower(a.hub, a.keyring), Files: a.blobs, Live: live.NewVisitors(a.live, a.keyring), Secret: secret, Logger: a.logger, Registerer: a.registry,
	}
	for _, in := range a.cfg.Inboxes {
		if in.Channel == channelWebChat {
			cfg.Widgets = append(cfg.Widgets, chat.Widget{
				ID: in.ID, Tenant: in.Tenant, Name: in.Name, Origins: in.Origins, Secret: []byte(in.Secret), MaxFile: in.MaxFileBytes,
			})
		}
	}
	if len(cfg.Widgets) == 0 {
		return nil
	}
	a.chat, err = chat.New(cfg)
	if err != nil {
		return err
	}
	return a.open(ctx, roleChat, "", a.chat)
}

// VisitorToken signs a token for a visitor of a widget, once the process is ready.
func (a *App) VisitorToken(widget, visitor, thread string) (string, error) {
	if a.chat == nil {
		return "", errors.New("this process serves no web chat")
	}
	return a.chat.Token(widget, visitor, thread)
}

// open opens a channel of a role. The provider is the one whose rejected payloads it can take in again.
func (a *App) open(ctx context.Context, role, provider string, c channel.Channel) error {
	var host channel.Host = a.intake
	if a.trial != nil {
		host = a.trial
	}
	if err := c.Open(ctx, host); err != nil {
		return err
	}
	a.channels[role] = append(a.channels[role], c)
	if r, ok := c.(channel.Redriver); ok {
		a.redrivers[provider] = r
	}
	return nil
}

// openChannels are the channels of this process, by role.
func (a *App) openChannels() []channel.Channel {
	var open []channel.Channel
	for _, role := range RoleNames() {
		open = append(open, a.channels[role]...)
	}
	return open
}

// runChannels runs every channel of a role until ctx ends.
func (a *App) runChannels(role string) func(context.Context) error {
	return func(ctx context.Context) error {
		g, gctx := errgroup.WithContext(ctx)
		g.Go(func() error { <-gctx.Done(); return nil }) // a role without a channel runs, too
		for _, c := range a.channels[role] {
			g.Go(func() error {
				if err := c.Run(gctx); err != nil {
					return fmt.Errorf("%s: %w", c.Name(), err)
				}
				return nil
			})
		}
		return g.Wait()
	}
}

// webhookMetrics are those of every adapter whose provider delivers by HTTP: a process registers them once.
func (a *App) webhookMetrics() (*webhook.Metrics, error) {
	if a.deliveries == nil {
		metrics, err := webhook.NewMetrics(a.registry)
		if err != nil {
			return nil, err
		}
		a.deliveries = metrics
	}
	return a.deliveries, nil
}
