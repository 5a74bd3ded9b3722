// Package x takes what X tells of an account by the Account Activity API, version 2, and answers: direct messages and posts.
// (https://docs.x.com/x-api/account-activity/introduction, https://docs.x.com/x-api/webhooks/introduction.)
//
// X knows one webhook of an app, and tells on it of all accounts that are subscribed: for_user_id says which one. So each account
// has a path, /channels/x/{tenant}/{inbox}, any of which may be registered as the webhook; what comes there goes to the inbox of the
// account that it is about, if that account has the same app. What is about no account of the app's is kept among the dead letters.
//
// What the newer X Activity API delivers, {"data": {"event_uuid": ...}}, is not read yet; it is kept likewise.
//
// # Threads
//
// A direct message's thread is the other user's id. A post's is post/ID, where ID is the conversation that the payload names
// (conversation_id); else the post that it replies to; else the post itself. X's posts seldom name the conversation, and nothing is looked
// up; so each reply also tells, by thread.joined, that what replies to it belongs to what it replies to. A conversation is whole
// where X told of every post in it: of those that mention the account, reply to it or are its own. A reply by one stranger to
// another that does not mention the account is not told, and what hangs on it stands alone. The chain of one customer below a
// post of the company cannot be told from that of another without conversation_id: all of them are read in the post's thread.
//
// # What gives what
//
//	tweet_create_events      message.received, or message.sent of an account of the company's; message.edited of a post's later version;
//	                         ext.x.retweet; thread.joined of a reply
//	tweet_delete_events      message.deleted, in the thread of the post's own id, which its thread.joined puts in its place
//	favorite_events          ext.x.favorite
//	follow_events, block_events, mute_events
//	                         ext.x.follow, .unfollow, .block, .unblock, .mute, .unmute, in the thread with the other user
//	direct_message_events    message.received, message.sent; the metadata of a chosen quick reply are the payload
//	direct_message_mark_read_events
//	                         message.read, of the last one that the customer read; nothing where the company read
//	direct_message_indicate_typing_events, replay_job_status
//	                         nothing
//	user_event               ext.x.revoke: the account has taken its authorisation back, and X tells nothing any more
//	anything else            ext.x.NAME, in the thread "account"
//
// Links are shown as they were before X shortened them, and a reply without the names that X puts in front of it. user_has_blocked
// and is_blocked_by are no part of an event: they depend on when X tells of it.
//
// # Echoes
//
// What the company writes comes by the webhook, too, what a Sender of this package sends included. It is told once: Sent.Echo is the event
// that the webhook gives, made of the id, its time (X's ids hold it), the thread, the customer and the text. Where X tells the text of
// a message otherwise than it was sent (a link without its scheme), the first one stands and the other is kept among the dead letters. With
// Account.AppID, a direct message of this app is told by the Sender alone, however it looks; so files can be sent only with that.
package x

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"golang.org/x/oauth2"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "x"

// DefaultAPIURL is where X's API is.
const DefaultAPIURL = "https://api.x.com"

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints, all under /channels/x/, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own.
	Accounts []Account
	// Client speaks to the API; one of httpfetch's unless set. It sends no credentials of its own.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is one of X's accounts, as one inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// UserID is X's number of the account, as for_user_id has it; not its name.
	UserID string
	// ConsumerKey and ConsumerSecret are the app's (API key and secret). The secret signs webhooks and is needed, unless ClientSecret is
	// there. Both are needed for OAuth 1.0a. The secret is secret.
	ConsumerKey, ConsumerSecret string
	// ClientSecret is the app's OAuth 2.0 client secret, with which X signs newer apps' webhooks. Secret; may be empty.
	ClientSecret string
	// AccessToken and AccessSecret are the account's own (OAuth 1.0a user context); they do not end. Both are secret. They, or
	// Tokens, are needed to send and to fetch the files of direct messages.
	AccessToken, AccessSecret string
	// Tokens gives OAuth 2.0 user tokens instead, with the scopes dm.read, dm.write, tweet.read, tweet.write, users.read and media.write. It
	// renews them by itself; oauth2.ReuseTokenSource does it once at a time. May be nil.
	Tokens oauth2.TokenSource
	// AppID is X's number of the app. With it, direct messages that this app sent are told by who sends them and not by the webhook; without
	// it, no files are sent.
	AppID string
	// APIURL is DefaultAPIURL unless set.
	APIURL string
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	path string
	// company are the ids of the tenant's own accounts, this one included.
	company map[string]bool
	// siblings are the accounts of the same app, by their ids, this one included.
	siblings map[string]*account
}

// Channel is a channel.Channel, a channel.Redriver and a channel.Fetcher.
type Channel struct {
	cfg      Config
	accounts map[Key]*account
	log      *slog.Logger
	public   *http.Client // for files that lie where a message says
	gate     webhook.Gate
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
	_ channel.Fetcher  = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, accounts: map[Key]*account{}, log: cfg.Logger, public: httpfetch.Client(false)}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	if c.cfg.Client == nil {
		c.cfg.Client = httpfetch.Client(true)
	}
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := newAccount(in)
		if _, twice := c.accounts[key]; twice {
			err = errors.Join(err, errors.New("it stands twice"))
		}
		if err == nil {
			err = c.join(a)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		c.accounts[key] = a
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("social/x: %w", err)
	}
	return c, nil
}

func newAccount(in Account) (*account, error) {
	a := &account{Account: in}
	var errs []error
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	a.path, errs = path, append(errs, err)
	if !isNumber(in.UserID) {
		errs = append(errs, errors.New("the user id is X's number of the account"))
	}
	if in.ConsumerSecret == "" && in.ClientSecret == "" {
		errs = append(errs, errors.New("the app's consumer secret or client secret is missing: webhooks are signed with it"))
	}
	if (in.AccessToken == "") != (in.AccessSecret == "") {
		errs = append(errs, errors.New("an access token has a secret"))
	}
	if in.AccessToken != "" && (in.ConsumerKey == "" || in.ConsumerSecret == "") {
		errs = append(errs, errors.New("an access token needs the app's consumer key and secret"))
	}
	if in.AccessToken != "" && in.Tokens != nil {
		errs = append(errs, errors.New("it has either an access token or OAuth 2.0 tokens"))
	}
	if in.AppID != "" && !isNumber(in.AppID) {
		errs = append(errs, errors.New("the app's id is a number"))
	}
	if a.APIURL == "" {
		a.APIURL = DefaultAPIURL
	}
	a.APIURL = strings.TrimSuffix(a.APIURL, "/")
	api, err := url.Parse(a.APIURL)
	if err != nil || api.Host == "" || api.User != nil || api.RawQuery != "" || api.Scheme != "https" && api.Scheme != "http" {
		errs = append(errs, errors.New("the API's URL is http or https and a host"))
	}
	return a, errors.Join(errs...)
}

// join makes an account known to those of the same app and of the same tenant.
func (c *Channel) join(a *account) error {
	a.company, a.siblings = map[string]bool{a.UserID: true}, map[string]*account{a.UserID: a}
	for _, other := range c.accounts {
		if other.Tenant == a.Tenant {
			a.company = other.company
			a.company[a.UserID] = true
		}
		if other.ConsumerSecret == a.ConsumerSecret && other.ClientSecret == a.ClientSecret {
			if _, twice := other.siblings[a.UserID]; twice {
				return fmt.Errorf("the account %s of the same app has an inbox already", a.UserID)
			}
			a.siblings = other.siblings
			a.siblings[a.UserID] = a
		}
	}
	return nil
}

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social.x" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	for _, a := range c.accounts {
		c.cfg.Mux.Handle(a.path, c.gate.Serve(webhook.Handler(host, c.endpoint(a), c.cfg.Metrics, c.log)))
	}
	return nil
}

// Run implements channel.Channel: when ctx ends, it takes no more webhooks and lets those under way finish.
func (c *Channel) Run(ctx context.Context) error { return c.gate.Run(ctx) }

func (c *Channel) endpoint(a *account) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox,
		Authentic: a.authentic, Handshake: a.challenge,
		Read: func(ctx context.Context, host channel.Host, body []byte) ([]*eventv1.Submission, error) {
			return c.read(ctx, host, a, body)
		},
	}
}

// Redrive implements channel.Redriver.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, ok := c.accounts[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("social/x: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	if outcome, err := webhook.Deliver(ctx, host, c.endpoint(a), r.Raw); outcome == retried {
		return fmt.Errorf("social/x: redrive: %w", err)
	}
	return nil
}

// retried is webhook.Deliver's outcome of what is to be delivered again.
const retried = "retried"

// read makes submissions of what X delivered at one of its app's paths.
func (c *Channel) read(ctx context.Context, host channel.Host, at *account, body []byte) ([]*eventv1.Submission, error) {
	d, err := parse(body)
	if err != nil {
		return nil, fmt.Errorf("social/x: %w", err)
	}
	if d.done() {
		return nil, nil
	}
	a, ok := at.siblings[d.user]
	switch {
	case !ok:
		return nil, fmt.Errorf("social/x: it is about the account %.32q, which has no inbox", d.user)
	case a != at: // in the name of the inbox that it is about, its rejections included
		if outcome, err := webhook.Deliver(ctx, host, c.endpoint(a), body); outcome == retried {
			return nil, fmt.Errorf("%w: %w", channel.ErrRetry, err)
		}
		return nil, nil
	}
	submissions, misfits := a.events(d)
	switch {
	case len(misfits) == 0:
		return submissions, nil
	case d.count() == 1:
		return nil, fmt.Errorf("social/x: %w", misfits[0].err)
	}
	// The others of the batch are taken, and each that is not understood is kept by itself.
	if len(submissions) > 0 {
		if _, err := host.Submit(ctx, a.Tenant, submissions...); err != nil {
			return nil, fmt.Errorf("social/x: %w", err)
		}
	}
	for _, m := range misfits {
		r := channel.Rejection{Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Reason: "social/x: " + m.err.Error(), Raw: m.raw}
		if err := host.Reject(ctx, r); err != nil {
			return nil, fmt.Errorf("social/x: keep what was not understood: %w: %w", channel.ErrRetry, err)
		}
		c.log.WarnContext(ctx, "a part of a delivery was not understood", "inbox", a.Inbox, "error", m.err)
	}
	return nil, nil
}
