// Package imap fetches mails from mailboxes over IMAP (RFC 3501, RFC 9051) and hands them in as events. It waits for new ones by
// IDLE (RFC 2177) where the server offers it, and looks from time to time elsewhere.
//
// It only reads: folders are opened by EXAMINE and mails taken by BODY.PEEK, so that no flag changes. A cursor for each folder,
// UIDVALIDITY and the last UID, moves once the log has every mail before it. A mail that comes again, by the same way or by SMTP
// or LMTP, is the same event. Nothing of a mail, no address among it, is logged above the debug level.
//
// The client is github.com/emersion/go-imap/v2, by the author of go-smtp. Version 2 is a beta, and version 1 is not maintained any
// more; this package uses little of it, gives it a deadline for everything, and believes no literal that is shorter than announced.
package imap

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/oauth2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/email"
)

// TLS says how a connection is protected.
type TLS string

// The ways.
const (
	Implicit TLS = email.ImplicitTLS // from the first byte, on port 993
	StartTLS TLS = email.StartTLS    // after a greeting in clear, on port 143
	None     TLS = email.NoTLS       // not at all: only to this machine
)

// Config says what a Puller does. Zero values mean the defaults that stand beside the fields.
type Config struct {
	Accounts []Account
	// Cursors keep how far each folder was read.
	Cursors channel.Cursors
	// PollInterval is how often folders are looked at where nobody waits by IDLE; 1 minute.
	PollInterval time.Duration
	// IdleTime is how long IDLE lasts before it begins anew; 25 minutes. Servers may hang up after 29.
	IdleTime time.Duration
	// StallTimeout is how long a server may send nothing while it has a command to answer; 2 minutes.
	StallTimeout time.Duration
	// MaxMessageBytes is how long a mail may be; 35 MiB, which is a file of 25 MB in base64. Of a longer one the beginning is
	// kept among the dead letters.
	MaxMessageBytes int64
	// MaxMemory is how many bytes of mails may be under way at once, of all accounts; 256 MiB. Reading a mail takes up to three
	// times as much again for a moment.
	MaxMemory int64
	// Backoff is how long an account waits after a failure before it connects anew.
	Backoff Backoff
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer takes the metrics; it may be nil.
	Registerer prometheus.Registerer
}

// Backoff grows from First to Most, half as much again each time, by chance a little more or less.
type Backoff struct {
	First, Most time.Duration // 1 second and 1 minute
}

// Account is a mail account, which belongs to an inbox.
type Account struct {
	// Inbox that the mails come in on, with the company's own addresses, the trusted servers and the reader of Message-IDs. Its
	// Sent is set for folders of sent mails by the puller.
	Inbox email.Inbox
	// Addr is host:port of the server; the certificate must be the host's.
	Addr string
	// TLS protects the connection; Implicit.
	TLS TLS
	// CAFile are the authorities, in PEM, that the server's certificate is checked with; those of the system.
	CAFile string
	// Username and Password log in. Instead of the password, OAuth or TokenSource may give a token.
	Username, Password string
	OAuth              *email.OAuth
	TokenSource        oauth2.TokenSource
	// Folders to read; INBOX. The first is waited for by IDLE, the others are looked at every PollInterval.
	Folders []Folder
	// Since leaves out what the server received before that day.
	Since time.Time
}

// Folder is one or several folders of an account.
type Folder struct {
	// Name as the server has it, or a pattern: "*" stands for anything, "%" for anything within a level (RFC 3501, section
	// 6.3.8). Patterns find no folders for all mails, drafts, spam, flagged or deleted mails, where the server marks them so.
	Name string
	// Sent says that it holds what the company sent. Folders that the server marks so (RFC 6154) need no saying.
	Sent bool
	// FromUID leaves out mails with lower UIDs, of a folder without a cursor.
	FromUID uint32
}

// Puller is a channel.Channel.
type Puller struct {
	cfg      Config
	log      *slog.Logger
	metrics  *metrics
	memory   *semaphore.Weighted
	inboxes  map[inboxKey]email.Inbox
	accounts []*account
	host     channel.Host
}

var (
	_ channel.Channel  = (*Puller)(nil)
	_ channel.Reporter = (*Puller)(nil)
	_ channel.Redriver = (*Puller)(nil)
)

type inboxKey struct{ tenant, id string }

// account is one at work.
type account struct {
	Account
	p      *Puller
	log    *slog.Logger
	tls    *tls.Config // nil without
	tokens oauth2.TokenSource
	// trials count how often a server refused to give a mail. Only the account's own goroutine reads and writes them.
	trials map[trialKey]int
	// suspect is a mail that the connection broke off at, of each folder: it is fetched alone next time.
	suspect map[string]bool

	mu     sync.Mutex
	status channel.Status
}

// New checks the configuration and reads the certificate authorities; the error names everything that is wrong with it.
func New(cfg Config) (*Puller, error) {
	p := &Puller{cfg: cfg, log: cfg.Logger, inboxes: map[inboxKey]email.Inbox{}}
	if p.log == nil {
		p.log = slog.New(slog.DiscardHandler)
	}
	p.log = p.log.With("channel", p.Name())
	defaults(&p.cfg)
	p.memory = semaphore.NewWeighted(p.cfg.MaxMemory)
	var errs []error
	if cfg.Cursors == nil {
		errs = append(errs, errors.New("it needs cursors"))
	}
	if p.cfg.MaxMessageBytes < 0 || p.cfg.MaxMemory < p.cfg.MaxMessageBytes {
		errs = append(errs, errors.New("the memory for mails must have room for the longest mail"))
	}
	if p.cfg.IdleTime < 0 || p.cfg.IdleTime > 29*time.Minute {
		errs = append(errs, errors.New("IDLE must begin anew before 29 minutes"))
	}
	sources := map[string]bool{}
	for i, a := range cfg.Accounts {
		made, err := p.newAccount(a)
		if err != nil {
			errs = append(errs, fmt.Errorf("account %d, inbox %q of tenant %q: %w", i+1, a.Inbox.ID, a.Inbox.Tenant, err))
			continue
		}
		for _, f := range made.Folders {
			if name := made.cursor(f.Name); sources[name] {
				errs = append(errs, fmt.Errorf("account %d, inbox %q of tenant %q: folder %q is there twice", i+1, a.Inbox.ID, a.Inbox.Tenant, f.Name))
			} else {
				sources[name] = true
			}
		}
		p.accounts = append(p.accounts, made)
		p.inboxes[inboxKey{a.Inbox.Tenant, a.Inbox.ID}] = a.Inbox
	}
	var err error
	if p.metrics, err = newMetrics(cfg.Registerer); err != nil {
		errs = append(errs, err)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("email/imap: %w", err)
	}
	return p, nil
}

func defaults(cfg *Config) {
	cfg.PollInterval = cmp.Or(cfg.PollInterval, time.Minute)
	cfg.IdleTime = cmp.Or(cfg.IdleTime, 25*time.Minute)
	cfg.StallTimeout = cmp.Or(cfg.StallTimeout, 2*time.Minute)
	cfg.Backoff.First = cmp.Or(cfg.Backoff.First, time.Second)
	cfg.Backoff.Most = cmp.Or(cfg.Backoff.Most, time.Minute)
	cfg.MaxMessageBytes = cmp.Or(cfg.MaxMessageBytes, 35<<20)
	cfg.MaxMemory = cmp.Or(cfg.MaxMemory, max(256<<20, 2*cfg.MaxMessageBytes))
}

func (p *Puller) newAccount(cfg Account) (*account, error) {
	a := &account{Account: cfg, p: p, trials: map[trialKey]int{}, suspect: map[string]bool{}}
	a.TLS = cmp.Or(a.TLS, Implicit)
	if len(a.Folders) == 0 {
		a.Folders = []Folder{{Name: "INBOX"}}
	}
	var errs []error
	if a.Inbox.Tenant == "" || a.Inbox.ID == "" || len(a.Inbox.ID) > 128 {
		errs = append(errs, errors.New("it needs a tenant and an inbox of at most 128 bytes"))
	}
	var err error
	if a.tls, err = email.ServerTLS(a.Addr, string(a.TLS), a.CAFile); err != nil {
		errs = append(errs, err)
	}
	credentials := 0
	for _, given := range []bool{a.Password != "", a.OAuth != nil, a.TokenSource != nil} {
		if given {
			credentials++
		}
	}
	if a.Username == "" || credentials != 1 {
		errs = append(errs, errors.New("it needs a user name and either a password or one source of tokens"))
	}
	a.tokens = a.TokenSource
	if a.OAuth != nil {
		if a.tokens, err = a.OAuth.Source(); err != nil {
			errs = append(errs, err)
		}
	}
	for _, f := range a.Folders {
		if f.Name == "" || strings.ContainsAny(f.Name, "\r\n\x00") {
			errs = append(errs, fmt.Errorf("%q is no folder", f.Name))
		}
	}
	a.log = p.log.With("tenant", a.Inbox.Tenant, "inbox", a.Inbox.ID, "server", a.Addr)
	a.status = channel.Status{Tenant: a.Inbox.Tenant, Inbox: a.Inbox.ID, Source: a.Username + " at " + a.Addr, Err: errNotYet, Since: time.Now()}
	return a, errors.Join(errs...)
}

// errNotYet is why an account does not work that was never connected.
var errNotYet = errors.New("email/imap: not connected yet")

// cursor names the cursor of a folder.
func (a *account) cursor(folder string) string {
	return strings.Join([]string{"email.imap", a.Inbox.Tenant, a.Inbox.ID, a.Addr, a.Username, folder}, "/")
}

// Name implements channel.Channel.
func (p *Puller) Name() string { return "email.imap" }

// Open implements channel.Channel. It connects to nobody: a mail server that is away keeps nothing from starting.
func (p *Puller) Open(_ context.Context, host channel.Host) error {
	p.host = host
	return nil
}

// Run implements channel.Channel. When ctx ends, it hangs up: what was not acknowledged is fetched again next time.
func (p *Puller) Run(ctx context.Context) error {
	var all errgroup.Group
	for _, a := range p.accounts {
		all.Go(func() error {
			a.run(ctx)
			return nil
		})
	}
	return all.Wait()
}

// Statuses implements channel.Reporter: one for each account.
func (p *Puller) Statuses() []channel.Status {
	all := make([]channel.Status, len(p.accounts))
	for i, a := range p.accounts {
		a.mu.Lock()
		all[i] = a.status
		a.mu.Unlock()
	}
	return all
}

// Redrive implements channel.Redriver: it reads a mail anew that was rejected, for the inbox that it was for.
func (p *Puller) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	in, ok := p.inboxes[inboxKey{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("email/imap: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	_, err := email.Parse(r.Raw).Deliver(ctx, host, in)
	return err
}
