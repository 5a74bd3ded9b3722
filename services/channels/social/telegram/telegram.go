// Package telegram takes what Telegram tells of a bot by webhook, or pulls it, sends messages as the bot, and fetches files
// (https://core.telegram.org/bots/api, version 10).
//
// # Webhook or pull
//
// An account has a path, /channels/telegram/{tenant}/{inbox}, to be given to setWebhook together with the account's secret
// token, which comes back in a header of each delivery. A company that cannot be reached from outside sets Account.Pull: updates
// are then asked for by getUpdates, which Telegram answers only while no webhook is set. Both bring the same updates, and the same
// events. Reactions and changes of members come only if they are asked for: allowed_updates of setWebhook, or
// Account.AllowedUpdates.
//
// # Threads
//
//	{chat}                      a private chat, whose id is the customer's; or a group
//	{chat}/{topic}              a topic of a group
//	{chat}/direct/{topic}       a customer's direct messages to a channel
//	business/{connection}/{user}  a chat of the business account that the bot is connected to
//	post/{chat}/{message}       a post in a channel that the bot is in
//	guest/{chat}                a chat that the bot is not in, where it was called by name; it cannot be answered by messages
//	inline                      what is typed and chosen in inline mode, {kind} other updates of no chat and no user
//
// # Ids
//
// A message's id is {chat}/{message}: Telegram's own are unique in a chat only. No id hangs on the update's, but for what Telegram
// gives no other one, since one message may be told by several updates.
//
// # Who acts
//
// The author is the user or, for what is written as a chat, that chat: an anonymous administrator of a group, a channel. The
// bot's own messages are not told again. In business chats the one whom the chat does not belong to is the company. A post in a channel
// is the company's: a bot is an administrator of those that it hears.
//
// # Unknown updates
//
// Whatever has no type in Skein's registry is ext.telegram.{kind of update, or field of the message}, with all that
// the update holds. That holds for what Telegram adds tomorrow as well: own types decode only what is used, since the Go libraries for
// the API lag behind it (no guest messages) and refuse whole updates for a kind that they do not know.
package telegram

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "telegram"

const (
	defaultAPIURL = "https://api.telegram.org"
	secretHeader  = "X-Telegram-Bot-Api-Secret-Token" //nolint:gosec // its name
	maxSecret     = 256
)

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints of the accounts that are not pulled, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own.
	Accounts []Account
	// Cursors keep how far the accounts that are pulled have come. Needed where there is one.
	Cursors channel.Cursors
	// Backoff makes the pauses between failing pulls; exponential unless set.
	Backoff func() backoff.BackOff
	// Client speaks to the Bot API; one that follows no redirects unless set. It must bear requests of half a minute.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is a bot, as an inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// Token is the bot's, such as 123456:ABC-DEF. It is secret. What stands before the colon is the bot's id.
	Token string
	// SecretToken is what setWebhook was given as secret_token: 1 to 256 letters, digits, _ and -. It is secret. Not needed for an
	// account that is pulled.
	SecretToken string
	// Pull asks for updates by getUpdates instead of waiting for webhooks.
	Pull bool
	// AllowedUpdates are the kinds of updates to be pulled, such as message or message_reaction. Without any, it stays as it was: at
	// first, all but chat_member, message_reaction and message_reaction_count.
	AllowedUpdates []string
	// APIURL is https://api.telegram.org unless set. A local Bot API server must not run in local mode, in which it gives no files out.
	APIURL string
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	path string
	bot  string // its id
	api  string // where methods are called, with the token
	file string // where files lie, with the token

	mu     sync.Mutex
	status channel.Status
}

// Channel is a channel.Channel, a channel.Redriver, a channel.Fetcher, and a channel.Reporter for the accounts that are pulled.
type Channel struct {
	cfg      Config
	accounts map[Key]*account
	keys     []Key // in their order
	log      *slog.Logger
	files    *http.Client
	gate     webhook.Gate
	host     channel.Host
	now      func() time.Time
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
	_ channel.Fetcher  = (*Channel)(nil)
	_ channel.Reporter = (*Channel)(nil)
)

var errNotYet = errors.New("social/telegram: not asked yet")

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, accounts: map[Key]*account{}, log: cfg.Logger, files: cfg.Client, now: time.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	if c.cfg.Client == nil {
		c.cfg.Client, c.files = httpsend.Client(nil), httpfetch.Client(true) // both go where the API is configured to be
	}
	if c.cfg.Backoff == nil {
		c.cfg.Backoff = func() backoff.BackOff { return backoff.NewExponentialBackOff() }
	}
	var errs []error
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := newAccount(in, c.now())
		switch _, twice := c.accounts[key]; {
		case twice:
			err = errors.Join(err, errors.New("it stands twice"))
		case in.Pull && cfg.Cursors == nil:
			err = errors.Join(err, errors.New("pulling needs cursors"))
		case !in.Pull && cfg.Mux == nil:
			err = errors.Join(err, errors.New("a mux is needed"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		c.accounts[key] = a
		c.keys = append(c.keys, key)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("social/telegram: %w", err)
	}
	return c, nil
}

func newAccount(in Account, now time.Time) (*account, error) {
	a := &account{Account: in}
	var errs []error
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	a.path, errs = path, append(errs, err)
	bot, secret, ok := strings.Cut(in.Token, ":")
	if !ok || bot == "" || len(bot) > 19 || strings.Trim(bot, digits) != "" || secret == "" || strings.Trim(secret, secretLetters) != "" {
		errs = append(errs, errors.New("a bot's token is its id, a colon, and letters, digits, _ and -"))
	}
	a.bot = bot
	if !in.Pull && (in.SecretToken == "" || len(in.SecretToken) > maxSecret || strings.Trim(in.SecretToken, secretLetters) != "") {
		errs = append(errs, errors.New("the secret token is 1 to 256 letters, digits, _ and -"))
	}
	if in.Pull && in.SecretToken != "" {
		errs = append(errs, errors.New("it is either pulled, or has a secret token for its webhook"))
	}
	if a.APIURL == "" {
		a.APIURL = defaultAPIURL
	}
	a.APIURL = strings.TrimSuffix(a.APIURL, "/")
	if api, err := url.Parse(a.APIURL); err != nil || api.Host == "" || api.User != nil || api.RawQuery != "" || api.Fragment != "" || api.Scheme != "https" && api.Scheme != "http" {
		errs = append(errs, errors.New("the API's URL is http or https, a host and perhaps a path"))
	}
	a.api, a.file = a.APIURL+"/bot"+in.Token+"/", a.APIURL+"/file/bot"+in.Token+"/"
	a.status = channel.Status{Tenant: in.Tenant, Inbox: in.Inbox, Source: "the updates of bot " + bot, Err: errNotYet, Since: now}
	return a, errors.Join(errs...)
}

const (
	digits        = "0123456789"
	secretLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"
)

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social.telegram" }

// Open implements channel.Channel: it mounts the endpoints. What is pulled is asked for when it runs.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	c.host = host
	for _, key := range c.keys {
		if a := c.accounts[key]; !a.Pull {
			c.cfg.Mux.Handle(a.path, c.gate.Serve(webhook.Handler(host, a.endpoint(), c.cfg.Metrics, c.log)))
		}
	}
	return nil
}

// Run implements channel.Channel: it pulls until ctx ends. Then it takes no more webhooks and lets those under way finish.
func (c *Channel) Run(ctx context.Context) error {
	var all errgroup.Group
	all.Go(func() error { return c.gate.Run(ctx) })
	for _, key := range c.keys {
		if a := c.accounts[key]; a.Pull {
			all.Go(func() error { c.pull(ctx, a); return nil })
		}
	}
	return all.Wait()
}

// Statuses implements channel.Reporter: one for each account that is pulled.
func (c *Channel) Statuses() []channel.Status {
	var all []channel.Status
	for _, key := range c.keys {
		if a := c.accounts[key]; a.Pull {
			a.mu.Lock()
			all = append(all, a.status)
			a.mu.Unlock()
		}
	}
	return all
}

// Redrive implements channel.Redriver.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, err := c.account(Key{r.Tenant, r.Inbox})
	if err != nil {
		return err
	}
	if outcome, err := webhook.Deliver(ctx, host, a.endpoint(), r.Raw); outcome == retried {
		return fmt.Errorf("social/telegram: redrive: %w", err)
	}
	return nil
}

// retried is the outcome of webhook.Deliver after which to come again.
const retried = "retried"

func (c *Channel) account(key Key) (*account, error) {
	a, ok := c.accounts[key]
	if !ok {
		return nil, fmt.Errorf("social/telegram: the inbox %q of tenant %q is not configured", key.Inbox, key.Tenant)
	}
	return a, nil
}

func (a *account) endpoint() webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Authentic: a.authentic,
		Read: func(_ context.Context, _ channel.Host, body []byte) ([]*eventv1.Submission, error) {
			return a.read(body)
		},
	}
}

// authentic tells whether Telegram made a request, by the token that setWebhook was given
// (https://core.telegram.org/bots/api#setwebhook). It is compared in constant time.
func (a *account) authentic(r *http.Request, _ []byte) error {
	got := r.Header.Values(secretHeader)
	if len(got) != 1 || subtle.ConstantTimeCompare([]byte(got[0]), []byte(a.SecretToken)) != 1 {
		return fmt.Errorf("social/telegram: %s is missing or another one: %w", secretHeader, webhook.ErrNotAuthentic)
	}
	return nil
}

// read makes submissions of an update.
func (a *account) read(body []byte) ([]*eventv1.Submission, error) {
	u, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("social/telegram: %w", err)
	}
	r := &reading{account: a, update: u}
	submissions, err := r.all()
	if err != nil {
		return nil, fmt.Errorf("social/telegram: %s: %w", strings.Join(slices.Sorted(u.kinds()), ", "), err)
	}
	for _, s := range submissions {
		s.Provider, s.Inbox = Provider, a.Inbox
	}
	return submissions, nil
}
