// Package asterisk takes what happens on Asterisk switches from their manager interface (AMI, docs.asterisk.org) and hands it
// in as events. It needs AMI 2.0 (Asterisk 12) or later; of older switches it understands calls and queue members, no more.
//
// Set timestampevents=yes in manager.conf: the switch's time is then the time of the events, and tells apart those that are
// otherwise alike. The manager's account needs read=call,agent,dialplan and write=reporting, by which it may ask for the
// channels that there are; eventfilter=!Event: Newexten keeps away the most of what is of no interest here.
//
// # Threads and ids
//
// A call's thread is its Linkedid, its interaction begins with the channel whose Uniqueid that is. Everything about an event
// follows from its block alone, so that two connections to one switch tell the same events. Where a block holds two ids of one call,
// a thread.joined puts the younger one under the older, as Asterisk itself does on every bridge.
//
// A queue visit is caller and queue, an assignment the leg to the agent. QueueCallerAbandon alone ends a visit without an answer:
// QueueCallerLeave comes with every way out and says of none which it was.
//
// # Gaps
//
// A switch tells only what happens while somebody listens, and drops a listener who is slow. Whenever a connection stands
// again, the channel asks the switch for its time, publishes source.gap_detected from the last moment that it has taken in
// to this one, and asks for what stands: calls that began meanwhile are told as begun, known calls that are gone as ended,
// callers who came into a queue meanwhile as such, and the state of every queue member as it is now. Both ends of a gap
// are by the switch's clock. The last moment is kept in the cursors, so that a restart is a gap too.
package asterisk

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/channel"
)

// AuthType is how a channel logs in.
type AuthType string

// The ways to log in. MD5 does not show the secret to whoever listens on the line; TLS hides everything.
const (
	Plain AuthType = "plain"
	MD5   AuthType = "md5"
)

// Switch is an Asterisk.
type Switch struct {
	Tenant, Inbox string
	// Addr is host:port of the manager interface; 5038 as Asterisk comes, 5039 with TLS.
	Addr string
	// TLS connects by TLS, with TLSConfig where it is given, else with the system's certificate authorities.
	TLS       bool
	TLSConfig *tls.Config
	// Username and Secret of the manager's account.
	Username, Secret string
	// AuthType is how to log in; plain unless set.
	AuthType AuthType
	// Region (ISO 3166-1, such as DE) is how a number without country code is read.
	Region string
	// OwnNumbers are the company's numbers and extensions, as the switch shows them or in international form: digits, X for any digit,
	// "+" before and "*" behind them. Such a caller is no customer, and makes a call outbound or internal.
	OwnNumbers []string
	// Agents are the agents' ids by interface (PJSIP/2001) or name of the queue member. Who is not among them has the
	// interface as an id.
	Agents map[string]string
}

// Config says what a Channel does. Zero values mean the defaults that stand beside the fields.
type Config struct {
	// Switches of all tenants. No address may stand in two of one inbox.
	Switches []Switch
	// Cursors keep until when each switch is told over restarts; without them a restart shows no gap.
	Cursors channel.Cursors
	// KeepAlive is how often a switch is asked whether it lives; 20 s. One that is silent for three times as long is left.
	KeepAlive time.Duration
	// StopTimeout is how long the log may take for what was read once the channel shall stop; 5 s.
	StopTimeout time.Duration
	// Backoff makes the pauses between the tries to connect to a switch; from half a second to a minute.
	Backoff func() backoff.BackOff
	// Now is the clock of statuses, and of gaps where a switch does not tell its time; time.Now.
	Now func() time.Time
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer takes the metrics; it may be nil.
	Registerer prometheus.Registerer
}

// Channel is a channel.Channel for any number of switches. One that is away does not hinder the others.
type Channel struct {
	cfg   Config
	lines []*line
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Reporter = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	if cfg.KeepAlive == 0 {
		cfg.KeepAlive = 20 * time.Second
	}
	if cfg.StopTimeout == 0 {
		cfg.StopTimeout = 5 * time.Second
	}
	if cfg.Backoff == nil {
		cfg.Backoff = func() backoff.BackOff { return backoff.NewExponentialBackOff() }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c := &Channel{cfg: cfg}
	var errs []error
	if cfg.KeepAlive < 0 || cfg.StopTimeout < 0 {
		errs = append(errs, errors.New("times must not be negative"))
	}
	m, err := newMetrics(cfg.Registerer)
	if err != nil {
		errs = append(errs, err)
	}
	names := map[string]bool{}
	for i, sw := range cfg.Switches {
		l, err := newLine(&c.cfg, sw, m)
		if err == nil && names[l.name()] {
			err = errors.New("it is there twice")
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("switch %d (%s, inbox %q of tenant %q): %w", i+1, sw.Addr, sw.Inbox, sw.Tenant, err))
			continue
		}
		names[l.name()] = true
		c.lines = append(c.lines, l)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("asterisk: %w", err)
	}
	return c, nil
}

func newLine(cfg *Config, sw Switch, m *metrics) (*line, error) {
	var errs []error
	if sw.Tenant == "" || sw.Inbox == "" || len(sw.Inbox) > 128 {
		errs = append(errs, errors.New("it needs a tenant and an inbox of at most 128 bytes"))
	}
	host, _, err := net.SplitHostPort(sw.Addr)
	if err != nil {
		errs = append(errs, fmt.Errorf("the address must be host:port: %w", err))
	}
	if sw.Username == "" || sw.Secret == "" {
		errs = append(errs, errors.New("it needs a username and a secret"))
	}
	if strings.ContainsAny(sw.Username+sw.Secret, "\r\n") {
		errs = append(errs, errors.New("username and secret must be of one line"))
	}
	switch sw.AuthType {
	case "":
		sw.AuthType = Plain
	case Plain, MD5:
	default:
		errs = append(errs, fmt.Errorf("unknown way to log in %q: it is plain or md5", sw.AuthType))
	}
	own, err := newNumbers(sw.Region, sw.OwnNumbers)
	if err != nil {
		errs = append(errs, err)
	}
	agents := make(map[string]string, len(sw.Agents))
	for name, id := range sw.Agents {
		if id == "" || asID(id) != id {
			errs = append(errs, fmt.Errorf("agent %q: the id must be letters, digits and any of . _ : / @ + -, at most 128", name))
		}
		agents[strings.TrimSuffix(name, "/n")] = id
	}
	if sw.TLS {
		if sw.TLSConfig == nil {
			sw.TLSConfig = &tls.Config{MinVersion: tls.VersionTLS12}
		}
		sw.TLSConfig = sw.TLSConfig.Clone()
		if sw.TLSConfig.ServerName == "" {
			sw.TLSConfig.ServerName = host
		}
	}
	l := &line{
		Switch: sw, cfg: cfg, numbers: own, agents: agents, open: map[string]bool{},
		log: cfg.Logger.With("channel", name, "tenant", sw.Tenant, "inbox", sw.Inbox, "switch", sw.Addr),
	}
	l.metrics = m.of(l)
	l.status = channel.Status{Tenant: sw.Tenant, Inbox: sw.Inbox, Source: sw.Addr, Err: errNotYet, Since: cfg.Now()}
	return l, errors.Join(errs...)
}

// name of the channel.
const name = "phone.asterisk"

var errNotYet = errors.New("asterisk: not connected yet")

// Name implements channel.Channel.
func (c *Channel) Name() string { return name }

// Open implements channel.Channel. It connects to no switch: one that is away must not keep Skein from starting.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	for _, l := range c.lines {
		l.host = host
	}
	return nil
}

// Run implements channel.Channel. When ctx ends, what was read is still handed in, for StopTimeout at most.
func (c *Channel) Run(ctx context.Context) error {
	var all sync.WaitGroup
	for _, l := range c.lines {
		all.Go(func() { l.run(ctx) })
	}
	all.Wait()
	return nil
}

// Statuses implements channel.Reporter.
func (c *Channel) Statuses() []channel.Status {
	statuses := make([]channel.Status, len(c.lines))
	for i, l := range c.lines {
		statuses[i] = l.now()
	}
	return statuses
}

// Redrive implements channel.Redriver: it reads a rejected block anew, by the configuration of its inbox's first switch.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	for _, l := range c.lines {
		if l.Tenant != r.Tenant || l.Inbox != r.Inbox {
			continue
		}
		b, err := newReader(strings.NewReader(string(r.Raw) + "\r\n")).next()
		if err != nil {
			return fmt.Errorf("asterisk: the payload is no block: %w", err)
		}
		it := l.item(b)
		if it.reason == nil && len(it.submissions) > 0 {
			_, it.reason = host.Submit(ctx, l.Tenant, it.submissions...)
		}
		if it.reason == nil || errors.Is(it.reason, channel.ErrRetry) || ctx.Err() != nil {
			return it.reason
		}
		return host.Reject(ctx, l.rejection(it))
	}
	return fmt.Errorf("asterisk: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
}
