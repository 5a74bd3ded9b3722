// Package chat is the chat of sites and apps: visitors write over a WebSocket or plain HTTP, what they say and do becomes events, and
// what agents and bots answer is pushed to them from the log. docs/web-chat.md is its protocol, docs/web-chat.asyncapi.yaml the same
// for programs, and page/ the client that it serves.
//
// It holds nothing that is worth keeping: who a visitor is stands in a signed token, what was said stands in the log, and
// a cursor goes on in any process. It never acknowledges a message before the log has it, never shows a visitor what is
// meant for colleagues, and logs nothing that a visitor wrote.
package chat

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/live"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// prefix of every path.
const prefix = "/chat/v1/"

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints, all under /chat/v1/, when the channel is opened.
	Mux webhook.Mux
	// Widgets of all tenants. No id may stand in two.
	Widgets []Widget
	// Follower shows what is answered.
	Follower channel.Follower
	// Files reads what visitors and agents have sent, for visitors to see. Without it they see the names only.
	Files Files
	// Live tells who is typing, this way and that; it may be nil.
	Live Live
	// Secret signs the visitors' tokens; 32 bytes at least. Processes that share it accept one another's tokens.
	Secret []byte
	// Limits are the defaults where they are zero.
	Limits Limits
	// Logger may be nil.
	Logger *slog.Logger
	// Registerer takes the metrics; it may be nil.
	Registerer prometheus.Registerer
	// Now is the clock by which tokens expire; nil means time.Now.
	Now func() time.Time
}

// Files reads blobs, whole and checked. *blob.Store is one.
type Files interface {
	Get(ctx context.Context, ref *eventv1.Blob) ([]byte, error)
}

// Live tells who is typing. *live.Visitors is one.
type Live interface {
	// Typing tells that the visitor of a thread types, or has stopped. It never waits.
	Typing(t channel.Thread, on bool)
	// Follow tells of all who type in a thread, from now on.
	Follow(t channel.Thread) (*live.Follower, error)
}

// Limits keep one visitor from taking the room of the others. Zero values mean what stands beside the fields.
type Limits struct {
	// Connections of this process, polls among them; 10,000.
	Connections int
	// PerVisitor is how many connections one visitor may have, such as tabs; 10.
	PerVisitor int
	// Transfers is how many files are sent or taken at once, each whole in memory; 16.
	Transfers int
	// InFlight is how many frames of a connection wait for the log; 16. Further ones are not read meanwhile.
	InFlight int
	// Rate is how many frames a second a visitor may send; 5. What is beyond is refused, to be sent again later.
	Rate float64
	// Burst is how many frames of a visitor may come at once; 20.
	Burst int
	// Refusals is how many frames in a row are refused until a connection is closed; 100.
	Refusals int
	// TokenLife is how long a token is good; 30 days.
	TokenLife time.Duration
	// File is how long a file may take in all to come or go, beside a second for each 8 KiB; 30 s.
	File time.Duration
	// Submit is how long the log may take for a message; 15 s.
	Submit time.Duration
	// Write is how long a client may take to read a frame; 10 s.
	Write time.Duration
	// Ping is how often a WebSocket is pinged, and how long the answer may take; 30 s.
	Ping time.Duration
	// Idle is how long a WebSocket may stay open without a frame from its client; 1 hour.
	Idle time.Duration
	// Poll is how long a poll waits for something new; 25 s.
	Poll time.Duration
	// Typing is how long an agent or bot counts as typing without telling so again; 7 s.
	Typing time.Duration
	// Stop is how long messages under way may take once the channel shall stop; 10 s.
	Stop time.Duration
}

func (l *Limits) defaults() {
	def(&l.Connections, 10_000)
	def(&l.PerVisitor, 10)
	def(&l.Transfers, 16)
	def(&l.InFlight, 16)
	def(&l.Rate, 5)
	def(&l.Burst, 20)
	def(&l.Refusals, 100)
	def(&l.TokenLife, 30*24*time.Hour)
	def(&l.File, 30*time.Second)
	def(&l.Submit, 15*time.Second)
	def(&l.Write, 10*time.Second)
	def(&l.Ping, 30*time.Second)
	def(&l.Idle, time.Hour)
	def(&l.Poll, 25*time.Second)
	def(&l.Typing, live.Fades)
	def(&l.Stop, 10*time.Second)
}

func def[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Channel is a channel.Channel.
type Channel struct {
	cfg      Config
	limits   Limits
	widgets  map[string]*widget
	log      *slog.Logger
	metrics  *metrics
	visitors *visitors
	host     channel.Host

	work   context.Context // requests end with it at the latest
	cancel context.CancelFunc

	mu       sync.Mutex
	stopped  bool
	stopping chan struct{} // closed when stopped
	requests sync.WaitGroup
}

var _ channel.Channel = (*Channel)(nil)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, limits: cfg.Limits, log: cfg.Logger, widgets: map[string]*widget{}, stopping: make(chan struct{})}
	c.limits.defaults()
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	c.visitors = newVisitors(&c.limits)
	var errs []error
	if cfg.Mux == nil || cfg.Follower == nil {
		errs = append(errs, errors.New("a mux and a follower are needed"))
	}
	if len(cfg.Secret) < minSecret {
		errs = append(errs, fmt.Errorf("the secret must have %d bytes at least", minSecret))
	}
	for _, in := range cfg.Widgets {
		w, err := newWidget(in, cfg.Secret)
		if err != nil {
			errs = append(errs, fmt.Errorf("widget %q of tenant %q: %w", in.ID, in.Tenant, err))
			continue
		}
		if other, ok := c.widgets[w.ID]; ok {
			errs = append(errs, fmt.Errorf("widget %q stands twice, for tenants %q and %q: its address names only the widget", w.ID, other.Tenant, w.Tenant))
		}
		c.widgets[w.ID] = w
	}
	err := errors.Join(errs...)
	if err == nil {
		c.metrics, err = newMetrics(cfg.Registerer)
	}
	if err != nil {
		return nil, fmt.Errorf("web/chat: %w", err)
	}
	return c, nil
}

// Name implements channel.Channel.
func (c *Channel) Name() string { return "web.chat" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(ctx context.Context, host channel.Host) error {
	c.host = host
	c.work, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	handler, err := c.routes()
	if err != nil {
		return fmt.Errorf("web/chat: %w", err)
	}
	c.cfg.Mux.Handle(prefix, handler)
	return nil
}

// Run implements channel.Channel. When ctx ends, it takes nothing more, lets messages under way finish, for Limits.Stop at
// most, and closes the WebSockets with 1001: their clients go on elsewhere. What is cut off was not acknowledged.
func (c *Channel) Run(ctx context.Context) error {
	defer c.cancel()
	sweep := time.NewTicker(sweepEvery)
	defer sweep.Stop()
	for ctx.Err() == nil {
		select {
		case now := <-sweep.C:
			c.visitors.sweep(now)
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	c.stopped = true
	close(c.stopping)
	c.mu.Unlock()
	ended := make(chan struct{})
	go func() { c.requests.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(c.limits.Stop):
		c.log.Warn("chats were still under way when the channel had to stop: their clients will send again")
		c.cancel()
		<-ended
	}
	return nil
}

// begin tells whether a request is still taken. Call done when it is finished.
func (c *Channel) begin() (done func(), ok bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopped {
		return nil, false
	}
	c.requests.Add(1)
	return c.requests.Done, true
}
