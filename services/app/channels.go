package app

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/listener"
	"github.com/skein-cx/skein/services/channels/web/chat"
	"github.com/skein-cx/skein/services/timeline"
)

// openEmail opens the listeners that are configured.
func (a *App) openEmail(ctx context.Context) error {
	addrs := map[listener.Protocol]string{listener.SMTP: a.cfg.Email.SMTP, listener.LMTP: a.cfg.Email.LMTP}
	if addrs[listener.SMTP] == "" && addrs[listener.LMTP] == "" {
		return errors.New("the role email needs email.smtp or email.lmtp")
	}
	for _, protocol := range []listener.Protocol{listener.SMTP, listener.LMTP} {
		if addrs[protocol] == "" {
			continue
		}
		l, err := listener.New(listener.Config{
			Protocol: protocol, Addr: addrs[protocol], Hostname: a.cfg.Email.Hostname, Inboxes: a.emailInboxes(),
			CertFile: a.cfg.Email.TLSCert, KeyFile: a.cfg.Email.TLSKey, MaxMessageBytes: a.cfg.Email.MaxMessageBytes,
			Logger: a.logger, Registerer: a.registry,
		})
		if err != nil {
			return err
		}
		if err := l.Open(ctx, a.intake); err != nil {
			return err
		}
		a.listeners = append(a.listeners, l)
	}
	return nil
}

func (a *App) emailInboxes() []listener.Inbox {
	var inboxes []listener.Inbox
	for _, in := range a.cfg.Inboxes {
		if in.Channel == channelEmail {
			inboxes = append(inboxes, listener.Inbox{Tenant: in.Tenant, ID: in.ID, Addresses: in.Addresses})
		}
	}
	return inboxes
}

// openChat mounts the web chats that are configured on the HTTP server.
func (a *App) openChat(ctx context.Context) error {
	secret, err := a.keyring.Secret("web chat")
	if err != nil {
		return err
	}
	cfg := chat.Config{
		Mux: a.mux, Follower: timeline.NewFollower(a.hub, a.keyring), Secret: secret, Logger: a.logger, Registerer: a.registry,
	}
	for _, in := range a.cfg.Inboxes {
		if in.Channel == channelWebChat {
			cfg.Widgets = append(cfg.Widgets, chat.Widget{
				ID: in.ID, Tenant: in.Tenant, Name: in.Name, Origins: in.Origins, Secret: []byte(in.Secret),
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
	return a.chat.Open(ctx, a.intake)
}

// VisitorToken signs a token for a visitor of a widget, once the process is ready.
func (a *App) VisitorToken(widget, visitor, thread string) (string, error) {
	if a.chat == nil {
		return "", errors.New("this process serves no web chat")
	}
	return a.chat.Token(widget, visitor, thread)
}

func (a *App) runChat(ctx context.Context) error {
	if a.chat == nil {
		<-ctx.Done()
		return nil
	}
	return a.chat.Run(ctx)
}

// redrivers are the adapters of this process that take rejected payloads in again, by provider.
func (a *App) redrivers() map[string]channel.Redriver {
	redrivers := make(map[string]channel.Redriver)
	for _, l := range a.listeners {
		redrivers[email.Provider] = l // whichever: they read mails alike
	}
	return redrivers
}

// runEmail runs every listener until ctx ends.
func (a *App) runEmail(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range a.listeners {
		g.Go(func() error {
			if err := c.Run(ctx); err != nil {
				return fmt.Errorf("%s: %w", c.Name(), err)
			}
			return nil
		})
	}
	return g.Wait()
}
