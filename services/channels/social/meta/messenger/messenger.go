// Package messenger takes what Meta tells of a company's Facebook pages and Instagram accounts by webhooks, direct messages as
// well as comments, and sends messages and answers to comments over the Graph API. Both products are here because they speak one
// messaging format; Product says which of them a Channel is for.
//
// An inbox is one page, or one Instagram account. An app has one address for the webhooks of all its pages, and one for those of its
// Instagram accounts: give it the path of any of them, /channels/messenger/{tenant}/{inbox} or /channels/instagram/{tenant}/{inbox}. Whatever
// comes is given to the inbox whose account it is of (entry.id), among those with the same app secret. What belongs to none of them, and each item
// that is not understood, is kept by itself among the dead letters of the inbox whose path it came by, in an envelope of its own, so that it
// can be redriven; the rest is taken.
//
// Everything is derived from one webhook; nothing is looked up. Files are fetched later (Fetch), from the address that the webhook names.
//
// # Threads
//
// Direct messages: the customer's id for the page (PSID) or the account (IGSID). A chain of comments: the post's id, "/" and the id of its
// first comment. A post: its id alone. What is about the account and nobody else: the account's id.
//
// Facebook: a comment is the first of its chain if parent_id is its post, in either of Facebook's spellings (the post's id, or what stands
// before "_" in the comment's own id); else its chain is parent_id's. So chains are two deep, as Facebook's are. Instagram: parent_id is
// always the first comment; a comment without one is the first.
//
// # Events
//
//	message                       message.received; an echo is message.sent; is_deleted is message.deleted; a quick reply has Message.payload
//	message_edit                  message.edited
//	read, delivery                message.read, message.delivered
//	reaction                      message.reacted
//	postback                      flow.step_entered (flow postback, step the payload, input the button's text)
//	referral, in itself or in a   flow.step_entered (flow referral, step the ref or the ad, input the source); with an ad or a product also
//	message or a postback         ext.messenger.referral with all of it
//	optin                         consent.changed (marketing or one_time_notification) where it is one, and ext.messenger.optin with the token;
//	                              of a plugin flow.step_entered (flow optin, step the ref)
//	messaging_feedback            survey.answered, one for each question; response_feedback: survey.answered (1 is good, 0 bad)
//	feed: comment                 message.received or, by the page, message.sent; edited: message.edited; remove: message.deleted
//	feed: post, status, photo,    the same, in the thread of the post
//	video, share, link
//	mention                       message.received in the other's post; of the page's own posts feed tells
//	comments, live_comments       message.received, message.sent
//	mentions                      message.received without text, which Instagram does not tell
//	everything else               ext.messenger.NAME or ext.instagram.NAME with the item as it came: handovers (pass_thread_control, ...),
//	                              account_linking, policy_enforcement, reactions in feed, hidden comments, story_insights, and what
//	                              comes tomorrow
//
// Events of standby are those of messaging: another app has the word, and they happen all the same.
//
// # Read and delivered up to a time
//
// Messenger says up to which time everything was read or delivered (watermark), and of read messages no id. message.read then has no
// message, its native id is "read/" and the watermark in milliseconds, and it occurred at the watermark: the last message that was read
// is the last one sent until then. Deliveries mostly name their messages, each of which gives an event.
//
// # Times
//
// Comments of Instagram have no time of their own; entry.time is that of the delivery, and not the same the next time, so it is not used:
// they occurred when they were received.
//
// # What the company itself wrote
//
// The webhook tells of it too, also of what Sender sends, and each is told once: Sender gives the event as it will come (Sent.Echo). On
// Facebook a message of Sender's is known by its metadata, which hold the request's id. Messages on Instagram have no such thing, and
// comments have neither. So the events of these three have no time, which no answer of the API tells beforehand, and their files are named by
// message and number (MID/0) in the place of an address; Fetch asks the API for them.
//
// Sources: https://developers.facebook.com/docs/messenger-platform/webhooks,
// https://developers.facebook.com/docs/instagram-platform/webhooks, https://developers.facebook.com/docs/graph-api/webhooks/reference/page.
package messenger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

// Product is what a Channel is for. Its name is the provider's in events, rejections, metrics and paths.
type Product string

// The products.
const (
	// Facebook is Messenger, and the comments on a page's posts (object "page").
	Facebook Product = "messenger"
	// Instagram is the direct messages and comments of an Instagram account (object "instagram").
	Instagram Product = "instagram"
)

// maxBody is how large a delivery may be: up to a thousand items come at once
// (https://developers.facebook.com/docs/graph-api/webhooks/getting-started#event-notifications).
const maxBody = 4 << 20

// object is what the product's webhooks say that they are about.
func (p Product) object() string {
	if p == Instagram {
		return "instagram"
	}
	return "page"
}

// Config says what a Channel does.
type Config struct {
	// Product is Facebook or Instagram.
	Product Product
	// Mux gets the endpoints, all under /channels/messenger/ or /channels/instagram/, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own.
	Accounts []Account
	// GraphURL is https://graph.facebook.com unless set: https://graph.instagram.com for accounts that signed in by Instagram, a
	// proxy, or a test's.
	GraphURL string
	// GraphVersion such as "v23.0"; meta.DefaultVersion unless set.
	GraphVersion string
	// Client speaks to the Graph API, and follows no redirects; one that may reach private addresses as well unless set.
	Client *http.Client
	// Files fetches files; httpfetch.Client(false), which reaches public addresses only, unless set.
	Files *http.Client
	// MaxMediaBytes is how large a file that is fetched may be; httpfetch.MaxBytes unless set.
	MaxMediaBytes int64
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is a page, or an Instagram account, as one inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// ID is the page's or the Instagram professional account's (digits), as entry.id has it. It stands once in a Config.
	ID string
	// PageID is the page that an Instagram account is linked to and messages are sent by (Facebook Login). Without one they are
	// sent by the account itself (Instagram Login), and no files. A page has none.
	PageID string
	// AppSecret signs the webhooks. It is secret.
	AppSecret string
	// VerifyToken is the one of the handshake, as the company has chosen it. It is secret.
	VerifyToken string
	// AccessToken opens the API: a page's that does not end, or a system user's; an Instagram user's with Instagram Login. Without
	// one, nothing is sent. It is secret.
	AccessToken string
	// HumanAgent tells that the app has the permission Human Agent: people may answer for seven days after the customer's last
	// message, not for 24 hours only.
	HumanAgent bool
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	product Product
	path    string
}

// access proves by the app's secret whose token it is, but not with Instagram Login, which does not document that.
func (a *account) access() meta.Access {
	access := meta.Access{Token: a.AccessToken, AppSecret: a.AppSecret}
	if a.product == Instagram && a.PageID == "" {
		access.AppSecret = ""
	}
	return access
}

// Channel is a channel.Channel, a channel.Redriver and a channel.Fetcher. NewSender sends.
type Channel struct {
	cfg      Config
	accounts map[Key]*account
	byID     map[string]*account
	graph    *meta.Graph
	log      *slog.Logger
	now      func() time.Time
	gate     webhook.Gate
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
	_ channel.Fetcher  = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, accounts: map[Key]*account{}, byID: map[string]*account{}, log: cfg.Logger, now: time.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	var errs []error
	if cfg.Product != Facebook && cfg.Product != Instagram {
		errs = append(errs, fmt.Errorf("the product is %s or %s", Facebook, Instagram))
	}
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	var err error
	c.graph, err = meta.NewGraph(meta.GraphConfig{URL: cfg.GraphURL, Version: cfg.GraphVersion, Client: cfg.Client, Files: cfg.Files, MaxMediaBytes: cfg.MaxMediaBytes})
	errs = append(errs, err)
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := newAccount(cfg.Product, in)
		if _, twice := c.accounts[key]; twice {
			err = errors.Join(err, errors.New("it stands twice"))
		}
		if other, twice := c.byID[in.ID]; twice {
			err = errors.Join(err, fmt.Errorf("the inbox %q of tenant %q has the same id", other.Inbox, other.Tenant))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		c.accounts[key], c.byID[in.ID] = a, a
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("social/meta/messenger: %w", err)
	}
	return c, nil
}

func newAccount(product Product, in Account) (*account, error) {
	a := &account{Account: in, product: product}
	var errs []error
	var err error
	a.path, err = webhook.Path(string(product), in.Tenant, in.Inbox)
	errs = append(errs, err)
	if !isNumber(in.ID) {
		errs = append(errs, errors.New("the account's id is a number"))
	}
	if in.PageID != "" && (product != Instagram || !isNumber(in.PageID)) {
		errs = append(errs, errors.New("the page's id is a number, and only Instagram accounts have one"))
	}
	if in.AppSecret == "" {
		errs = append(errs, errors.New("the app secret is missing"))
	}
	if in.VerifyToken == "" {
		errs = append(errs, errors.New("the verify token is missing"))
	}
	return a, errors.Join(errs...)
}

func isNumber(s string) bool {
	return s != "" && len(s) <= 32 && strings.Trim(s, "0123456789") == ""
}

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social." + string(c.cfg.Product) }

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
		Tenant: a.Tenant, Provider: string(c.cfg.Product), Inbox: a.Inbox, MaxBytes: maxBody,
		Authentic: meta.Authentic(a.AppSecret), Handshake: meta.Handshake(a.VerifyToken),
		Read: func(ctx context.Context, host channel.Host, body []byte) ([]*eventv1.Submission, error) {
			return nil, c.deliver(ctx, host, a, body)
		},
	}
}

// Redrive implements channel.Redriver.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, ok := c.accounts[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("social/meta/messenger: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	outcome, err := webhook.Deliver(ctx, host, c.endpoint(a), r.Raw)
	if outcome == "retried" {
		return fmt.Errorf("social/meta/messenger: redrive: %w", err)
	}
	return nil
}
