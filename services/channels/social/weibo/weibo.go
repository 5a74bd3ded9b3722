// Package weibo takes private messages by the fans service (粉丝服务平台) and comments and mentions by Weibo's API, and answers both.
//
// # Messages
//
// The fans service delivers at /channels/weibo/{tenant}/{inbox}; let it deliver JSON
// (https://open.weibo.com/wiki/消息推送服务, https://open.weibo.com/wiki/Receive_General_Message,
// https://open.weibo.com/wiki/Receive_Event_Push). It signs a time and a number used once with the app's secret, and not the body.
// So the signature proves that Weibo made a request at that time, and not that this is what it said: who gets hold of one request's
// URL can put another body behind it. For that reason a time that is further from ours than Config.Tolerance is refused; serve by
// HTTPS only, and keep queries out of the logs of proxies.
//
// A message has no id. It is told apart by its sender, its time (in seconds), its type and a hash of what it says; the same words said twice
// within a second are one message. The thread is the sender's id.
//
//	text, position, voice, image  message.received; the sound or picture by its id (tovfid)
//	event: click, view            flow.step_entered of the flow menu, with the menu's key or address as the step
//	event: scan, scan_follow      flow.step_entered of the flow scan, with the key as the step; the latter ext.weibo.scan_follow as well
//	event: follow, unfollow, subscribe, unsubscribe and any other
//	                              ext.weibo.NAME
//	mention                       nothing where Account.Posts is set: the API tells more of it; else message.received
//	any other type                ext.weibo.TYPE
//
// # Comments and mentions
//
// With Account.Posts, three lists of the API are read from a cursor on: comments/timeline (comments on the account's posts and replies to it, and what it
// wrote itself, here or elsewhere), comments/mentions and statuses/mentions (https://open.weibo.com/wiki/2/comments/timeline,
// https://open.weibo.com/wiki/2/comments/mentions, https://open.weibo.com/wiki/2/statuses/mentions). A poll goes back, by
// max_id and not by page numbers, which shift, until it meets the last comment of the one before. Where the API ends before that,
// source.gap_detected tells from when to when something may be missing. What Weibo shows later than something with a higher id, such as a comment
// that somebody had to approve, is not seen.
//
// A post's thread is post/ID; a comment chain's is post/ID/ROOT, where ROOT is the comment that began it (rootid). Where a reply does not name that, it
// is the comment that it replies to, and thread.joined puts what replies to the reply in its place. What the company comments
// on somebody's post is joined with that post's thread. A repost with a mention quotes what it reposts.
//
// A comment names its author only, so a post with many comments is filed under nobody many times.
package weibo

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/pkg/channel/webhook"
)

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "weibo"

// Where Weibo's APIs are: for comments and posts, for private messages, and for their files.
const (
	DefaultAPIURL      = "https://api.weibo.com"
	DefaultMessagesURL = "https://m.api.weibo.com"
	DefaultFilesURL    = "https://upload.api.weibo.com"
)

const (
	defaultTolerance = 5 * time.Minute
	defaultInterval  = time.Minute
	// answerTimeout is how long an answer may take: Weibo waits five seconds, and asks three times.
	answerTimeout = 4 * time.Second
)

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints, all under /channels/weibo/, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own.
	Accounts []Account
	// Cursors keep how far comments and mentions were read; needed where an account has Posts.
	Cursors channel.Cursors
	// PollInterval is the time between two readings of comments and mentions; a minute unless set. Each reading makes at least three
	// calls of an account's hourly limit. After an error it grows to the tenfold, and after too many calls it is that at once.
	PollInterval time.Duration
	// Tolerance is how far the signed time of a delivery may be from ours, in either direction; 5 minutes unless set. A negative one
	// leaves the time unchecked.
	Tolerance time.Duration
	// Client speaks to the API; one of httpfetch's unless set.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is one of Weibo's accounts, as one inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// UID is Weibo's number of the account.
	UID string
	// AppSecret signs what the fans service delivers. It is secret. Without it, nothing is delivered.
	AppSecret string
	// AccessToken is the account's own, of the fans service's developer mode or of OAuth 2.0. It is secret. Without it, nothing is sent, no
	// file is fetched, and Posts is not possible.
	AccessToken string
	// Posts tells to read comments and mentions.
	Posts bool
	// Since leaves comments and mentions alone that are older. Zero: everything that the API still has is read at the first time.
	Since time.Time
	// APIURL, MessagesURL and FilesURL are Weibo's unless set.
	APIURL, MessagesURL, FilesURL string
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	path string
	// company are the ids of the tenant's own accounts, this one included.
	company map[string]bool
}

// Channel is a channel.Channel, a channel.Redriver, a channel.Fetcher and a channel.Reporter.
type Channel struct {
	cfg      Config
	accounts map[Key]*account
	order    []*account
	log      *slog.Logger
	public   *http.Client // for files that lie where a post says
	now      func() time.Time
	depth    int // how far back the API goes at least
	gate     webhook.Gate
	host     channel.Host

	mu     sync.Mutex
	states map[string]channel.Status
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
	_ channel.Fetcher  = (*Channel)(nil)
	_ channel.Reporter = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{
		cfg: cfg, accounts: map[Key]*account{}, log: cfg.Logger, public: httpfetch.Client(false), now: time.Now, depth: defaultDepth, states: map[string]channel.Status{},
	}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	if c.cfg.Client == nil {
		c.cfg.Client = httpfetch.Client(true)
	}
	if c.cfg.PollInterval == 0 {
		c.cfg.PollInterval = defaultInterval
	}
	if c.cfg.Tolerance == 0 {
		c.cfg.Tolerance = defaultTolerance
	}
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	if c.cfg.PollInterval < 0 {
		errs = append(errs, errors.New("the poll interval is negative"))
	}
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := newAccount(in)
		if _, twice := c.accounts[key]; twice {
			err = errors.Join(err, errors.New("it stands twice"))
		}
		if in.Posts && cfg.Cursors == nil {
			err = errors.Join(err, errors.New("comments and mentions need cursors"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		for _, other := range c.order {
			if other.Tenant == a.Tenant {
				a.company = other.company
			}
		}
		a.company[a.UID] = true
		c.accounts[key] = a
		c.order = append(c.order, a)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("social/weibo: %w", err)
	}
	return c, nil
}

func newAccount(in Account) (*account, error) {
	a := &account{Account: in, company: map[string]bool{}}
	var errs []error
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	a.path, errs = path, append(errs, err)
	if !isNumber(in.UID) {
		errs = append(errs, errors.New("the uid is Weibo's number of the account"))
	}
	if in.AppSecret == "" && !in.Posts {
		errs = append(errs, errors.New("the app's secret is missing, and there is nothing else to do"))
	}
	if in.AccessToken == "" && in.Posts {
		errs = append(errs, errors.New("comments and mentions need an access token"))
	}
	for _, u := range []struct {
		url       *string
		byDefault string
		what      string
	}{{&a.APIURL, DefaultAPIURL, "API's"}, {&a.MessagesURL, DefaultMessagesURL, "messages API's"}, {&a.FilesURL, DefaultFilesURL, "files API's"}} {
		if *u.url == "" {
			*u.url = u.byDefault
		}
		*u.url = strings.TrimSuffix(*u.url, "/")
		if at, err := url.Parse(*u.url); err != nil || at.Host == "" || at.User != nil || at.RawQuery != "" || at.Scheme != "https" && at.Scheme != "http" {
			errs = append(errs, fmt.Errorf("the %s URL is http or https and a host", u.what))
		}
	}
	return a, errors.Join(errs...)
}

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social.weibo" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	c.host = host
	for _, a := range c.order {
		if a.AppSecret != "" {
			c.cfg.Mux.Handle(a.path, c.gate.Serve(webhook.Handler(host, c.endpoint(a), c.cfg.Metrics, c.log)))
		}
	}
	return nil
}

// Run implements channel.Channel: it reads comments and mentions until ctx ends. Then it takes no more deliveries either, and lets
// those under way finish.
func (c *Channel) Run(ctx context.Context) error {
	var polls sync.WaitGroup
	defer polls.Wait()
	for _, a := range c.order {
		if a.Posts {
			polls.Go(func() { c.poll(ctx, a) })
		}
	}
	return c.gate.Run(ctx)
}

// Redrive implements channel.Redriver. What came by the API is recognised by what it holds.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, ok := c.accounts[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("social/weibo: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	e := c.endpoint(a)
	if l, items, ok := listed(r.Raw); ok {
		e = a.again(l, items)
	}
	if outcome, err := webhook.Deliver(ctx, host, e, r.Raw); outcome == retried {
		return fmt.Errorf("social/weibo: redrive: %w", err)
	}
	return nil
}

// retried is webhook.Deliver's outcome of what is to be delivered again.
const retried = "retried"
