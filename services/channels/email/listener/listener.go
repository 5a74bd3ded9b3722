// Package listener takes mails in over SMTP (RFC 5321) and LMTP (RFC 2033) and hands them in as events. The recipient
// chooses tenant and inbox. A mail is answered with success only after the log has acknowledged its event.
//
// It never relays, never authenticates anybody and never sends: put it behind the mail server that faces the world.
// Nothing of a mail, no address among it, is logged above the debug level.
package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"syscall"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/semaphore"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/email"
)

// Protocol is the one that a listener speaks.
type Protocol string

// The protocols. With LMTP each recipient gets an answer of its own.
const (
	SMTP Protocol = "smtp"
	LMTP Protocol = "lmtp"
)

// Inbox is a mailbox of the company's.
type Inbox struct {
	Tenant, ID string
	// Addresses are mail addresses, or "*@domain" for all of a domain that nothing else names. "jo+orders@example.com"
	// belongs to the inbox of "jo@example.com" unless it is named itself.
	Addresses []string
	// Trusted are the mail servers before this listener whose Authentication-Results are believed: email.Inbox says how.
	Trusted []string
}

// Config says what a Listener does. Zero values mean the defaults that stand beside the fields.
type Config struct {
	Protocol Protocol
	// Addr is where to listen, such as "127.0.0.1:7025".
	Addr string
	// Hostname is how the listener calls itself; "localhost".
	Hostname string
	// Inboxes of all tenants. No address may stand in two.
	Inboxes []Inbox
	// Company are, by tenant, the company's own addresses beside those of its inboxes, in the same form: parties that are
	// never customers.
	Company map[string][]string
	// MessageIDs read the thread from what was sent; it may be nil.
	MessageIDs *email.MessageIDs
	// CertFile and KeyFile, in PEM, offer STARTTLS; without them there is none.
	CertFile, KeyFile string
	// MaxMessageBytes is how long a mail may be; 35 MiB, which is a file of 25 MB in base64. A longer one gets 552.
	MaxMessageBytes int64
	// MaxMemory is how many bytes of mails may be under way at once; 256 MiB. Beyond that clients get 452 and try again.
	// Reading a mail takes up to three times as much again for a moment.
	MaxMemory int64
	// MaxRecipients of one mail; 1,000.
	MaxRecipients int
	// MaxConnections at once; 100. Further ones wait.
	MaxConnections int
	// ReadTimeout is how long a client may take for a command or for a whole mail; 10 minutes.
	ReadTimeout time.Duration
	// WriteTimeout is how long an answer may take; 1 minute.
	WriteTimeout time.Duration
	// StopTimeout is how long mails under way may take once the listener shall stop; 10 seconds.
	StopTimeout time.Duration
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer takes the metrics; it may be nil.
	Registerer prometheus.Registerer
}

// Listener is a channel.Channel.
type Listener struct {
	cfg     Config
	routes  email.Routes[email.Inbox]
	inboxes map[inboxKey]email.Inbox
	log     *slog.Logger
	metrics *metrics
	memory  *semaphore.Weighted
	host    channel.Host
	server  *smtp.Server
	socket  net.Listener
	work    context.Context //nolint:containedctx // go-smtp hands no context to its sessions

	mu       sync.Mutex
	conns    map[*conn]struct{}
	stopping bool
	sessions sync.WaitGroup // one for each of conns
}

var (
	_ channel.Channel  = (*Listener)(nil)
	_ channel.Redriver = (*Listener)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Listener, error) {
	l := &Listener{cfg: cfg, log: cfg.Logger, inboxes: map[inboxKey]email.Inbox{}, conns: map[*conn]struct{}{}}
	if l.log == nil {
		l.log = slog.New(slog.DiscardHandler)
	}
	l.log = l.log.With("channel", l.Name())
	defaults(&l.cfg)
	l.memory = semaphore.NewWeighted(l.cfg.MaxMemory)
	err := errors.Join(l.check(), l.route())
	if err == nil {
		l.metrics, err = newMetrics(cfg.Registerer, cfg.Protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("email/listener: %s: %w", cfg.Protocol, err)
	}
	return l, nil
}

func defaults(cfg *Config) {
	def := func(p *time.Duration, d time.Duration) {
		if *p == 0 {
			*p = d
		}
	}
	def(&cfg.ReadTimeout, 10*time.Minute)
	def(&cfg.WriteTimeout, time.Minute)
	def(&cfg.StopTimeout, 10*time.Second)
	if cfg.Hostname == "" {
		cfg.Hostname = "localhost"
	}
	if cfg.MaxMessageBytes == 0 {
		cfg.MaxMessageBytes = 35 << 20
	}
	if cfg.MaxMemory == 0 {
		cfg.MaxMemory = max(256<<20, 2*cfg.MaxMessageBytes)
	}
	if cfg.MaxRecipients == 0 {
		cfg.MaxRecipients = 1000
	}
	if cfg.MaxConnections == 0 {
		cfg.MaxConnections = 100
	}
}

func (l *Listener) check() error {
	var errs []error
	if l.cfg.Protocol != SMTP && l.cfg.Protocol != LMTP {
		errs = append(errs, fmt.Errorf("unknown protocol %q: it is smtp or lmtp", l.cfg.Protocol))
	}
	if _, _, err := net.SplitHostPort(l.cfg.Addr); err != nil {
		errs = append(errs, fmt.Errorf("the address to listen on must be host:port: %w", err))
	}
	if l.cfg.MaxMessageBytes < 0 || l.cfg.MaxMemory < l.cfg.MaxMessageBytes+1 {
		errs = append(errs, errors.New("the memory for mails must have room for the longest mail"))
	}
	if l.cfg.MaxRecipients < 0 || l.cfg.MaxConnections < 0 {
		errs = append(errs, errors.New("the numbers of recipients and connections must not be negative"))
	}
	if (l.cfg.CertFile == "") != (l.cfg.KeyFile == "") {
		errs = append(errs, errors.New("STARTTLS needs both a certificate and its key"))
	}
	return errors.Join(errs...)
}

// route finds inboxes by address, and the company's own addresses by tenant.
func (l *Listener) route() error {
	var errs []error
	own := map[string]*email.Routes[struct{}]{}
	ownOf := func(tenant string) *email.Routes[struct{}] {
		if own[tenant] == nil {
			own[tenant] = &email.Routes[struct{}]{}
		}
		return own[tenant]
	}
	for _, in := range l.cfg.Inboxes {
		if in.Tenant == "" || in.ID == "" || len(in.ID) > 128 || len(in.Addresses) == 0 {
			errs = append(errs, fmt.Errorf("inbox %q of tenant %q: it needs a tenant, an id of at most 128 bytes and an address", in.ID, in.Tenant))
		}
		inbox := email.Inbox{Tenant: in.Tenant, ID: in.ID, Own: ownOf(in.Tenant), Trusted: in.Trusted, MessageIDs: l.cfg.MessageIDs}
		l.inboxes[inboxKey{in.Tenant, in.ID}] = inbox
		for _, pattern := range in.Addresses {
			err := l.routes.Add(pattern, inbox)
			if err != nil {
				errs = append(errs, fmt.Errorf("inbox %q of tenant %q: %w", in.ID, in.Tenant, err))
				continue
			}
			if err = ownOf(in.Tenant).Add(pattern, struct{}{}); err != nil {
				errs = append(errs, err)
			}
		}
	}
	for tenant, patterns := range l.cfg.Company {
		for _, pattern := range patterns {
			if in, known := l.routes.Find(pattern); known && in.Tenant == tenant {
				continue
			}
			if err := ownOf(tenant).Add(pattern, struct{}{}); err != nil {
				errs = append(errs, fmt.Errorf("the company's addresses of tenant %q: %w", tenant, err))
			}
		}
	}
	return errors.Join(errs...)
}

// Name implements channel.Channel.
func (l *Listener) Name() string { return "email." + string(l.cfg.Protocol) }

// Open implements channel.Channel: it loads the certificate and takes the port.
func (l *Listener) Open(ctx context.Context, host channel.Host) error {
	l.host = host
	l.server = smtp.NewServer(smtp.BackendFunc(l.newSession))
	l.server.LMTP = l.cfg.Protocol == LMTP
	l.server.Domain = l.cfg.Hostname
	l.server.MaxMessageBytes = l.cfg.MaxMessageBytes
	l.server.MaxRecipients = l.cfg.MaxRecipients
	l.server.MaxLineLength = 0 // a mail's lines may be as long as the mail; conn limits those of commands
	l.server.ReadTimeout, l.server.WriteTimeout = l.cfg.ReadTimeout, l.cfg.WriteTimeout
	l.server.EnableSMTPUTF8 = true
	l.server.ErrorLog = serverLog{l.log}
	if l.cfg.CertFile != "" {
		certificate, err := tls.LoadX509KeyPair(l.cfg.CertFile, l.cfg.KeyFile)
		if err != nil {
			return fmt.Errorf("email/listener: load the certificate for STARTTLS: %w", err)
		}
		l.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: tls.VersionTLS12}
	}
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.cfg.Addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return fmt.Errorf("email/listener: %s address %s is in use by another program, perhaps another Skein: stop that one, "+
			"or set another address for the %s listener", l.cfg.Protocol, l.cfg.Addr, l.cfg.Protocol)
	}
	if err != nil {
		return fmt.Errorf("email/listener: listen for %s on %s: %w", l.cfg.Protocol, l.cfg.Addr, err)
	}
	l.socket = socket
	return nil
}

// Addr is where the listener listens, once it is open: with the port that was chosen where the configuration says 0.
func (l *Listener) Addr() net.Addr { return l.socket.Addr() }

// Run implements channel.Channel. When ctx ends, it accepts nothing more, sends idle clients away with 421 and lets mails
// under way finish, for StopTimeout at most; what is cut off then was not answered with success.
func (l *Listener) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	l.work = work
	accept := &acceptor{netutil.LimitListener(l.socket, l.cfg.MaxConnections), l}
	served := make(chan error, 1)
	go func() { served <- l.server.Serve(accept) }()
	l.log.Info("listening", "addr", l.socket.Addr().String(), "inboxes", len(l.cfg.Inboxes))
	select {
	case err := <-served:
		l.closeConns()
		return fmt.Errorf("email/listener: serve %s on %s: %w", l.cfg.Protocol, l.cfg.Addr, err)
	case <-ctx.Done():
	}
	_ = accept.Close() // closing a port fails only where it is closed
	if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
		l.log.Debug("accepting ended", "error", err)
	}
	l.stop()
	ended := make(chan struct{})
	go func() { l.sessions.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(l.cfg.StopTimeout):
		l.log.Warn("mails were still under way when the listener had to stop: their senders will try again")
		cancel()
		l.closeConns()
		<-ended
	}
	return nil
}

// serverLog takes what go-smtp reports. Broken connections are no news; panics are.
type serverLog struct{ log *slog.Logger }

func (s serverLog) Printf(format string, v ...any) {
	level := slog.LevelDebug
	if len(format) >= 5 && format[:5] == "panic" {
		level = slog.LevelError
	}
	s.log.Log(context.Background(), level, "session failed", "error", fmt.Sprintf(format, v...))
}

func (s serverLog) Println(v ...any) { s.Printf("%s", fmt.Sprintln(v...)) }
