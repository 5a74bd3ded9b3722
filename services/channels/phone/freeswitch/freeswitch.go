// Package freeswitch follows the calls of FreeSWITCH over its event socket (inbound, port 8021) and hands them in as events: calls
// and their legs, mod_callcenter's queues and agents, conferences, transfers, recordings, voicemail. It only listens.
//
// The socket knows no replay: what happens while nobody is connected is lost. After each interruption the channel publishes
// source.gap_detected, and what the switch's own lists tell for certain of the time in between.
//
// Events come as text/event-plain: a line can be read without the rest, names and values are what the switch holds, and broken
// UTF-8 in a caller's name spoils one value. As JSON the same bytes would spoil the whole event.
//
// Nothing of a call, no number among it, is logged.
package freeswitch

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch/esl"
)

const (
	name = "phone.freeswitch"

	// Provider is the name of the provider in events and rejections.
	Provider = "freeswitch"
)

// Switch is a FreeSWITCH and the inbox that its calls belong to.
type Switch struct {
	Tenant, Inbox string
	// Addr is the event socket's host:port.
	Addr string
	// TLS is for an event socket behind a TLS proxy; FreeSWITCH itself speaks none.
	TLS bool
	// Password of the event socket.
	Password string
	// Region is the country (ISO 3166-1 alpha-2) by which numbers without country code are read.
	Region string
	// OwnNumbers are the company's: never a customer's, and calls from them go out.
	OwnNumbers []string
	// Agents gives the directory's id by an agent's name in mod_callcenter ("1000@default") or extension ("1000"). An agent of
	// mod_callcenter that is not named goes by the name there.
	Agents map[string]string
	// Dialplan also follows each application that the dialplan runs, to see transfers by att_xfer. That may double the traffic.
	Dialplan bool
}

// Config says what a Channel does. Zero values mean the defaults that stand beside the fields.
type Config struct {
	Switches []Switch
	// Cursors keep the last moment that is known to be complete, so that the gap of a restart is told; without them it is not.
	Cursors channel.Cursors
	// TLSConfig for the switches with TLS; the system's roots.
	TLSConfig *tls.Config
	// MaxFrame is how long a body may be that the switch sends; 16 MiB. A longer one ends the connection.
	MaxFrame int
	// ReadTimeout is how long the switch may be silent; 1 minute. It sends a heartbeat each 20 seconds.
	ReadTimeout time.Duration
	// StopTimeout is how long what was read may take to be submitted once the channel shall stop; 5 seconds.
	StopTimeout time.Duration
	// Backoff makes the waits between connections, and between tries to submit; half a second and longer up to a minute.
	Backoff func() backoff.BackOff
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer takes the metrics; it may be nil.
	Registerer prometheus.Registerer
}

// Channel is a channel.Channel that follows switches, each over one connection. It reads no further than the log has taken what
// was read, so that a log that does not answer makes the switch wait, and in the end drop the connection.
type Channel struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	sources []*source
	host    channel.Host
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Reporter = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, log: cfg.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", name)
	c.cfg.MaxFrame = cmp.Or(cfg.MaxFrame, 16<<20)
	c.cfg.ReadTimeout = cmp.Or(cfg.ReadTimeout, time.Minute)
	c.cfg.StopTimeout = cmp.Or(cfg.StopTimeout, 5*time.Second)
	if cfg.Backoff == nil {
		c.cfg.Backoff = func() backoff.BackOff {
			b := backoff.NewExponentialBackOff()
			b.InitialInterval, b.MaxInterval = 500*time.Millisecond, time.Minute
			return b
		}
	}
	var errs []error
	if len(cfg.Switches) == 0 {
		errs = append(errs, errors.New("there is no switch"))
	}
	seen := map[string]bool{}
	for _, sw := range cfg.Switches {
		s, err := c.newSource(sw)
		if seen[s.name] {
			err = errors.Join(err, errors.New("it is there twice"))
		}
		seen[s.name] = true
		if err != nil {
			errs = append(errs, fmt.Errorf("switch %q of tenant %q, inbox %q: %w", sw.Addr, sw.Tenant, sw.Inbox, err))
		}
		c.sources = append(c.sources, s)
	}
	err := errors.Join(errs...)
	if err == nil {
		c.metrics, err = newMetrics(cfg.Registerer)
	}
	if err != nil {
		return nil, fmt.Errorf("freeswitch: %w", err)
	}
	return c, nil
}

func (c *Channel) newSource(sw Switch) (*source, error) {
	var errs []error
	if sw.Tenant == "" || sw.Inbox == "" || len(sw.Inbox) > 128 {
		errs = append(errs, errors.New("it needs a tenant and an inbox of at most 128 bytes"))
	}
	if _, _, err := net.SplitHostPort(sw.Addr); err != nil {
		errs = append(errs, fmt.Errorf("the address must be host:port: %w", err))
	}
	if sw.Password == "" || strings.ContainsAny(sw.Password, "\r\n") {
		errs = append(errs, errors.New("it needs a password, of one line"))
	}
	for agent, id := range sw.Agents {
		if agent == "" || id == "" || len(id) > 128 {
			errs = append(errs, fmt.Errorf("agent %q needs an id of at most 128 bytes", agent))
		}
	}
	b, err := newBook(sw)
	if err != nil {
		errs = append(errs, fmt.Errorf("the company's own numbers: %w", err))
	}
	return &source{
		channel: c, sw: sw, book: b, name: sw.Tenant + "/" + sw.Inbox + "/" + sw.Addr,
		log:  c.log.With("tenant", sw.Tenant, "inbox", sw.Inbox, "addr", sw.Addr),
		live: map[string]bool{}, waiting: map[string]bool{},
		status: channel.Status{Tenant: sw.Tenant, Inbox: sw.Inbox, Source: sw.Addr, Err: errNotYet},
	}, errors.Join(errs...)
}

var errNotYet = errors.New("freeswitch: not connected yet")

// Name implements channel.Channel.
func (c *Channel) Name() string { return name }

// Open implements channel.Channel. A switch that does not answer is no reason not to start: Statuses tells.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	c.host = host
	return nil
}

// Run implements channel.Channel.
func (c *Channel) Run(ctx context.Context) error {
	work, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	defer context.AfterFunc(ctx, func() {
		late := time.AfterFunc(c.cfg.StopTimeout, cancel)
		context.AfterFunc(work, func() { late.Stop() })
	})()
	var all errgroup.Group
	for _, s := range c.sources {
		all.Go(func() error {
			s.run(ctx, work)
			return nil
		})
	}
	return all.Wait()
}

// Statuses implements channel.Reporter.
func (c *Channel) Statuses() []channel.Status {
	all := make([]channel.Status, 0, len(c.sources))
	for _, s := range c.sources {
		all = append(all, s.statusNow())
	}
	return all
}

// Redrive implements channel.Redriver: it reads an event anew that was rejected, for the inbox that it was for.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	i := slices.IndexFunc(c.sources, func(s *source) bool { return s.sw.Tenant == r.Tenant && s.sw.Inbox == r.Inbox })
	if i < 0 {
		return fmt.Errorf("freeswitch: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	s := c.sources[i]
	e, err := esl.ParseEvent(r.Raw)
	if err == nil {
		subs, wrong := s.book.submissions(e)
		if err = wrong; err == nil && len(subs) > 0 {
			_, err = host.Submit(ctx, s.sw.Tenant, s.stamp(subs)...)
		}
	}
	if err != nil && !errors.Is(err, channel.ErrRetry) && ctx.Err() == nil {
		r.Reason = err.Error()
		err = host.Reject(ctx, r)
	}
	if err != nil {
		return fmt.Errorf("freeswitch: take an event in again: %w", err)
	}
	return nil
}

// source is one switch.
type source struct {
	channel *Channel
	sw      Switch
	book    *book
	name    string
	log     *slog.Logger

	mu     sync.Mutex
	status channel.Status

	// The rest belongs to the goroutine that runs.
	last, gapFrom time.Time       // the last moment that is complete, and that before the gap that has to be told
	live, waiting map[string]bool // first legs and queue visits that are under way, as far as was told
	began         time.Time       // since when all is told, but for the gaps
	cursor        string          // as stored
	cursorRead    bool
}

func (s *source) statusNow() channel.Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.status
}

// report sets the status; nil is well.
func (s *source) report(err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	was := s.status.Err
	s.status.Err = err
	if (was == nil) == (err == nil) && !s.status.Since.IsZero() {
		return
	}
	s.status.Since = time.Now()
	if err == nil {
		s.log.Info("connected")
		return
	}
	s.log.Warn("not connected: trying again", "error", err)
}

// run keeps a connection until ctx ends; work outlives it for as long as what was read may take to be submitted.
func (s *source) run(ctx, work context.Context) {
	wait := s.channel.cfg.Backoff()
	for ctx.Err() == nil {
		began := time.Now()
		err := s.follow(ctx, work)
		if s.gapFrom.IsZero() {
			s.gapFrom = s.last
		}
		if ctx.Err() != nil {
			break
		}
		s.report(err)
		if s.statusNow().Since.Before(began) {
			s.log.Debug("still not connected", "error", err)
		} else {
			wait.Reset() // it had worked
		}
		delay := wait.NextBackOff()
		if delay == backoff.Stop {
			delay = time.Minute
		}
		select {
		case <-ctx.Done():
		case <-time.After(delay):
		}
	}
	s.keepCursor(work)
}
