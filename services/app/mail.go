package app

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/skein-cx/skein/services/channels/email"
	"github.com/skein-cx/skein/services/channels/email/imap"
	"github.com/skein-cx/skein/services/channels/email/listener"
	"github.com/skein-cx/skein/services/channels/email/sender"
)

// MailServerConfig is a server that mails are fetched from, or handed to.
type MailServerConfig struct {
	Addr     string      `koanf:"addr" help:"host:port of the server"`
	TLS      string      `koanf:"tls" help:"implicit, starttls, or none for a server on this machine"`
	CAFile   string      `koanf:"ca_file" help:"authorities, in PEM, that the server's certificate is checked with; the system's unless set"`
	Username string      `koanf:"username" help:"account"`
	Password string      `koanf:"password" secret:"true" help:"password of the account"`
	OAuth    OAuthConfig `koanf:"oauth" help:"logs in by tokens instead of a password"`
	Folders  []string    `koanf:"folders" help:"imap: folders to read; INBOX unless set; * stands for any characters"`
	Sent     []string    `koanf:"sent" help:"imap: folders of sent mails, where the server does not say which those are"`
	Since    string      `koanf:"since" help:"imap: leaves out what the server received before this day, such as 2026-01-31"`
}

// OAuthConfig gets tokens for a mail server.
type OAuthConfig struct {
	TokenURL     string   `koanf:"token_url" help:"token endpoint"`
	ClientID     string   `koanf:"client_id" help:"id of this client"`
	ClientSecret string   `koanf:"client_secret" secret:"true" help:"secret of this client"`
	RefreshToken string   `koanf:"refresh_token" secret:"true" help:"token that others are made with; by the client's secret alone unless set"`
	Scopes       []string `koanf:"scopes" help:"what the tokens are for"`
}

func (c *OAuthConfig) oauth() *email.OAuth {
	if c.TokenURL == "" {
		return nil
	}
	return &email.OAuth{TokenURL: c.TokenURL, ClientID: c.ClientID, ClientSecret: c.ClientSecret, RefreshToken: c.RefreshToken, Scopes: c.Scopes}
}

const day = "2006-01-02"

// imap is the mail account of an inbox.
func (c *MailServerConfig) imap(in email.Inbox) (imap.Account, error) {
	a := imap.Account{
		Inbox: in, Addr: c.Addr, TLS: imap.TLS(c.TLS), CAFile: c.CAFile, Username: c.Username, Password: c.Password, OAuth: c.OAuth.oauth(),
	}
	for _, name := range c.Folders {
		a.Folders = append(a.Folders, imap.Folder{Name: name})
	}
	for _, name := range c.Sent {
		a.Folders = append(a.Folders, imap.Folder{Name: name, Sent: true})
	}
	var err error
	if c.Since != "" {
		a.Since, err = time.Parse(day, c.Since)
	}
	return a, err
}

// smtp makes the sender of an inbox.
func (c *MailServerConfig) smtp(in *InboxConfig, inbox email.Inbox, hostname string) (*sender.Outbox, error) {
	s, err := sender.New(sender.Config{
		Addr: c.Addr, TLS: sender.TLS(c.TLS), CAFile: c.CAFile, Username: c.Username, Password: c.Password, OAuth: c.OAuth.oauth(), Hostname: hostname,
	})
	if err != nil {
		return nil, err
	}
	if in.From == "" {
		return nil, errors.New("from is missing: the address in whose name mails are sent")
	}
	return sender.NewOutbox(s, inbox, email.Address{Name: in.Name, Mailbox: in.From})
}

// mailServers checks the servers of a mail inbox.
func (v *verifier) mailServers(field string, c *Config, in InboxConfig) {
	if in.Channel != channelEmail || in.IMAP.Addr == "" && in.SMTP.Addr == "" {
		return
	}
	ids, err := email.NewMessageIDs(make([]byte, 32)) // any will do
	if err != nil {
		v.add(field, err.Error())
		return
	}
	inbox, err := c.emailInbox(in, ids)
	if err != nil {
		return // told elsewhere
	}
	if in.IMAP.Addr != "" {
		v.reports(field+".imap", func() error {
			account, err := in.IMAP.imap(inbox)
			if err == nil {
				_, err = imap.New(imap.Config{Accounts: []imap.Account{account}, Cursors: noCursors{}})
			}
			return err
		})
	}
	if in.SMTP.Addr != "" {
		v.reports(field+".smtp", func() error {
			_, err := in.SMTP.smtp(&in, inbox, c.Email.Hostname)
			return err
		})
	}
}

// fetchesMail tells whether an inbox has a mailbox.
func (c *Config) fetchesMail() bool {
	return slices.ContainsFunc(c.Inboxes, func(in InboxConfig) bool { return in.Channel == channelEmail && in.IMAP.Addr != "" })
}

// noCursors stand where cursors are asked for and not used.
type noCursors struct{}

func (noCursors) Cursor(context.Context, string) (string, error) { return "", nil }

func (noCursors) MoveCursor(context.Context, string, string, string) error { return nil }

// emailInbox is a mail inbox with all addresses of its tenant.
func (c *Config) emailInbox(in InboxConfig, ids *email.MessageIDs) (email.Inbox, error) {
	own := &email.Routes[struct{}]{}
	for _, other := range c.Inboxes {
		if other.Channel != channelEmail || other.Tenant != in.Tenant {
			continue
		}
		for _, pattern := range other.Addresses {
			if err := own.Add(strings.ToLower(pattern), struct{}{}); err != nil {
				return email.Inbox{}, err
			}
		}
	}
	return email.Inbox{Tenant: in.Tenant, ID: in.ID, Own: own, Trusted: in.Trusted, MessageIDs: ids}, nil
}

// messageIDs makes and reads the Message-IDs of what is sent.
func (a *App) messageIDs() (*email.MessageIDs, error) {
	secret, err := a.keyring.Secret("email message-ids")
	if err != nil {
		return nil, err
	}
	return email.NewMessageIDs(secret)
}

// openEmail opens the listeners that are configured, and what fetches mails.
func (a *App) openEmail(ctx context.Context) error {
	ids, err := a.messageIDs()
	if err != nil {
		return err
	}
	if err := a.openIMAP(ctx, ids); err != nil {
		return err
	}
	for _, l := range []struct {
		protocol listener.Protocol
		addr     string
	}{{listener.SMTP, a.cfg.Email.SMTP}, {listener.LMTP, a.cfg.Email.LMTP}} {
		if l.addr == "" {
			continue
		}
		c, err := listener.New(listener.Config{
			Protocol: l.protocol, Addr: l.addr, Hostname: a.cfg.Email.Hostname, Inboxes: a.listenerInboxes(), MessageIDs: ids,
			CertFile: a.cfg.Email.TLSCert, KeyFile: a.cfg.Email.TLSKey, MaxMessageBytes: a.cfg.Email.MaxMessageBytes,
			Logger: a.logger, Registerer: a.registry,
		})
		if err != nil {
			return err
		}
		if err := a.open(ctx, roleEmail, email.Provider, c); err != nil {
			return err
		}
	}
	if len(a.channels[roleEmail]) == 0 {
		return errors.New("the role email needs email.smtp, email.lmtp or an inbox with imap")
	}
	return nil
}

func (a *App) openIMAP(ctx context.Context, ids *email.MessageIDs) error {
	var accounts []imap.Account
	for _, in := range a.cfg.Inboxes {
		if in.Channel != channelEmail || in.IMAP.Addr == "" {
			continue
		}
		inbox, err := a.cfg.emailInbox(in, ids)
		if err != nil {
			return err
		}
		account, err := in.IMAP.imap(inbox)
		if err != nil {
			return err
		}
		accounts = append(accounts, account)
	}
	if len(accounts) == 0 {
		return nil
	}
	c, err := imap.New(imap.Config{ //nolint:contextcheck // its tokens outlive the start
		Accounts: accounts, Cursors: a.Cursors(), MaxMessageBytes: a.cfg.Email.MaxMessageBytes, Logger: a.logger, Registerer: a.registry,
	})
	if err != nil {
		return err
	}
	return a.open(ctx, roleEmail, email.Provider, c)
}

func (a *App) listenerInboxes() []listener.Inbox {
	var inboxes []listener.Inbox
	for _, in := range a.cfg.Inboxes {
		if in.Channel == channelEmail {
			inboxes = append(inboxes, listener.Inbox{Tenant: in.Tenant, ID: in.ID, Addresses: in.Addresses, Trusted: in.Trusted})
		}
	}
	return inboxes
}
