package app

import (
	"context"
	"errors"
	"fmt"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/services/channels/email/listener"
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
		a.channels = append(a.channels, l)
	}
	return nil
}

func (a *App) emailInboxes() []listener.Inbox {
	var inboxes []listener.Inbox
	for _, in := range a.cfg.Inboxes {
		if in.Channel == "email" {
			inboxes = append(inboxes, listener.Inbox{Tenant: in.Tenant, ID: in.ID, Addresses: in.Addresses})
		}
	}
	return inboxes
}

// runEmail runs every channel until ctx ends.
func (a *App) runEmail(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, c := range a.channels {
		g.Go(func() error {
			if err := c.Run(ctx); err != nil {
				return fmt.Errorf("%s: %w", c.Name(), err)
			}
			return nil
		})
	}
	return g.Wait()
}
