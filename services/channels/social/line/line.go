// Package line takes what LINE tells a company's official account by webhook, sends messages, and fetches files
// (https://developers.line.biz/en/reference/messaging-api/).
//
// An account has a path, /channels/line/{tenant}/{inbox}, to be set as the webhook URL of its Messaging API channel. Switch on
// "Webhook redelivery" there: else LINE does not come again for what was not taken.
//
// # Threads
//
// A thread is what an event comes from: the user, the group or the room, by its id. An event without a source (an account that
// is suspended) stands in the thread "channel".
//
// # Ids
//
// A message's id is LINE's; that of any other event is its webhookEventId, which is the same when it is delivered again. Nothing of how it
// was delivered gets into an event: not isRedelivery, and no reply token.
//
// # What tells what
//
//	message            message.received; files are attachments that are fetched afterwards
//	messageEdited      message.edited (in groups only)
//	unsend             message.deleted
//	postback           flow.step_entered of the flow "postback": the step is the data, the input what was picked or switched to
//	memberJoined, Left party.joined and party.left, one for each member
//	everything else    ext.line.{type in lower case}, what is not known yet among it
//
// What a sticker is called and shows is not told, but for its text; its keywords are another choice each time. Both modes are taken:
// an event in standby is of a chat that somebody else's module answers.
//
// # Answers
//
// Messages go out as push messages, under a retry key, so that LINE sends each once. Reply tokens, which are free of charge,
// are not used: they live for a minute, and a person takes longer.
//
// The types of messages and sources are those of LINE's own library, which needs nothing else; events are read one by one, so that one
// that it cannot read does not cost the others, and one that it does not know (messageEdited) keeps its bytes.
package line

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	linewebhook "github.com/line/line-bot-sdk-go/v8/linebot/webhook"
	"golang.org/x/oauth2"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "line"

const (
	defaultAPIURL  = "https://api.line.me"
	defaultDataURL = "https://api-data.line.me"
)

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own.
	Accounts []Account
	// Client speaks to LINE's API; one that follows no redirects unless set. Files that LINE does not keep itself are got by another
	// one, which goes to public addresses only.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is a Messaging API channel of LINE's, as an inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// ChannelID is LINE's id of the channel, a number. Addresses of users stand in its name space.
	ChannelID string
	// ChannelSecret signs the webhooks, and gets access tokens where none is given. It is secret.
	ChannelSecret string
	// AccessToken is a long-lived channel access token. It is secret. Without one, stateless tokens are got by the channel's id and
	// secret, each for a quarter of an hour (https://developers.line.biz/en/docs/basics/channel-access-token/).
	AccessToken string
	// BotUserID is the account's own user id, U and 32 hexadecimal digits. Where it is given, what is meant for another one is rejected.
	BotUserID string
	// APIURL is https://api.line.me unless set, and DataURL, where files are, https://api-data.line.me.
	APIURL, DataURL string
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	path   string
	tokens oauth2.TokenSource
}

// Channel is a channel.Channel, a channel.Redriver and a channel.Fetcher.
type Channel struct {
	cfg      Config
	accounts map[Key]*account
	log      *slog.Logger
	files    *http.Client // of LINE
	public   *http.Client // of anybody
	gate     webhook.Gate
	now      func() time.Time
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
	_ channel.Fetcher  = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, accounts: map[Key]*account{}, log: cfg.Logger, files: cfg.Client, public: httpfetch.Client(false), now: time.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	if c.cfg.Client == nil {
		c.cfg.Client, c.files = httpsend.Client(nil), httpfetch.Client(true) // both go where the API is configured to be
	}
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := newAccount(in, c.cfg.Client)
		if _, twice := c.accounts[key]; twice {
			err = errors.Join(err, errors.New("it stands twice"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		c.accounts[key] = a
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("social/line: %w", err)
	}
	return c, nil
}

func newAccount(in Account, client *http.Client) (*account, error) {
	a := &account{Account: in}
	var errs []error
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	a.path, errs = path, append(errs, err)
	if in.ChannelID == "" || len(in.ChannelID) > 32 || strings.Trim(in.ChannelID, "0123456789") != "" {
		errs = append(errs, errors.New("the channel's id is a number"))
	}
	if in.ChannelSecret == "" {
		errs = append(errs, errors.New("the channel's secret is missing"))
	}
	if strings.ContainsAny(in.AccessToken, " \r\n") {
		errs = append(errs, errors.New("the access token has spaces"))
	}
	if in.BotUserID != "" && !isID(in.BotUserID, "U") {
		errs = append(errs, errors.New("the bot's user id is U and 32 hexadecimal digits"))
	}
	for _, of := range []struct {
		at    *string
		usual string
	}{{&a.APIURL, defaultAPIURL}, {&a.DataURL, defaultDataURL}} {
		if *of.at == "" {
			*of.at = of.usual
		}
		*of.at = strings.TrimSuffix(*of.at, "/")
		if u, err := url.Parse(*of.at); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
			errs = append(errs, errors.New("the URLs of the API are http or https, a host and perhaps a path"))
		}
	}
	a.tokens = newTokens(&a.Account, client)
	return a, errors.Join(errs...)
}

// isID tells whether s is an id of LINE's: a letter that says of what, and 32 hexadecimal digits.
func isID(s, of string) bool {
	return len(s) == 33 && strings.ContainsRune(of, rune(s[0])) && strings.Trim(s[1:], "0123456789abcdef") == ""
}

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social.line" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	for _, a := range c.accounts {
		c.cfg.Mux.Handle(a.path, c.gate.Serve(webhook.Handler(host, a.endpoint(), c.cfg.Metrics, c.log)))
	}
	return nil
}

// Run implements channel.Channel: when ctx ends, it takes no more webhooks and lets those under way finish.
func (c *Channel) Run(ctx context.Context) error { return c.gate.Run(ctx) }

// Redrive implements channel.Redriver: of a whole delivery, or of one event that was kept apart from the others.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, err := c.account(Key{r.Tenant, r.Inbox})
	if err != nil {
		return err
	}
	if outcome, err := webhook.Deliver(ctx, host, a.endpoint(), r.Raw); outcome == "retried" {
		return fmt.Errorf("social/line: redrive: %w", err)
	}
	return nil
}

func (c *Channel) account(key Key) (*account, error) {
	a, ok := c.accounts[key]
	if !ok {
		return nil, fmt.Errorf("social/line: the inbox %q of tenant %q is not configured", key.Inbox, key.Tenant)
	}
	return a, nil
}

func (a *account) endpoint() webhook.Endpoint {
	return webhook.Endpoint{Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Authentic: a.authentic, Read: a.read}
}

// authentic tells whether LINE made a request (https://developers.line.biz/en/docs/messaging-api/verify-webhook-signature/).
// The signature is compared in constant time.
func (a *account) authentic(r *http.Request, body []byte) error {
	got := r.Header.Values("X-Line-Signature")
	if len(got) != 1 || !linewebhook.ValidateSignature(a.ChannelSecret, got[0], body) {
		return fmt.Errorf("social/line: x-line-signature is missing or wrong: %w", webhook.ErrNotAuthentic)
	}
	return nil
}

// read makes submissions of a delivery. What is not understood of several events is kept apart from the others, once these are taken.
func (a *account) read(ctx context.Context, host channel.Host, body []byte) ([]*eventv1.Submission, error) {
	events, err := a.split(body)
	if err != nil {
		return nil, fmt.Errorf("social/line: %w", err)
	}
	var all []*eventv1.Submission
	var odd []channel.Rejection
	for _, raw := range events {
		submissions, err := a.event(raw)
		if err == nil {
			all = append(all, submissions...)
			continue
		}
		err = fmt.Errorf("social/line: %w", err)
		if len(events) == 1 {
			return nil, err
		}
		odd = append(odd, channel.Rejection{Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Reason: err.Error(), Raw: raw})
	}
	if len(odd) == 0 {
		return all, nil
	}
	if len(all) > 0 {
		if _, err := host.Submit(ctx, a.Tenant, all...); err != nil {
			return nil, fmt.Errorf("social/line: %w", err)
		}
	}
	for _, r := range odd {
		if err := host.Reject(ctx, r); err != nil {
			return nil, fmt.Errorf("social/line: keep what was not understood: %w", err)
		}
	}
	return nil, nil
}
