package app

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/services/admin"
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
		Mux: &a.endpoints, Follower: timeline.NewFollower(a.hub, a.keyring), Files: a.blobs, Live: live.NewVisitors(a.live, a.keyring), Secret: secret, Logger: a.logger, Registerer: a.registry,
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
	before := len(a.endpoints.paths)
	if err := c.Open(ctx, host); err != nil {
		return err
	}
	a.channels[role] = append(a.channels[role], admin.Channel{Channel: c, Paths: slices.Clone(a.endpoints.paths[before:])})
	if r, ok := c.(channel.Redriver); ok {
		a.redrivers[provider] = r
	}
	return nil
}

// endpoints is where channels mount what their providers call.
type endpoints struct {
	mux   *http.ServeMux
	paths []string // in the order in which they were mounted
}

// Handle implements webhook.Mux.
func (e *endpoints) Handle(pattern string, handler http.Handler) {
	e.mux.Handle(pattern, handler)
	_, path, _ := strings.Cut(pattern, "/") // a method may stand before it
	e.paths = append(e.paths, "/"+path)
}

// openChannels are the channels of this process, by role.
func (a *App) openChannels() []admin.Channel {
	var open []admin.Channel
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
