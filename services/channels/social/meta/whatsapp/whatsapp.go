// Package whatsapp takes what the WhatsApp Business Platform (Cloud API) tells by webhooks: messages in both directions, their
// statuses, calls, consent, and what becomes of the account; and it sends messages over the Graph API.
//
// # Numbers and paths
//
// An Account is one business phone number, and one inbox: metadata.phone_number_id says which one a webhook is about. An app of
// Meta's has one webhook URL, however many numbers it serves. So each account has a path, /channels/whatsapp/{tenant}/{inbox}, and
// what comes in on any of them is given to whichever account of the same tenant and the same app secret its number belongs to:
// enter the path of any account in the app's settings. What is about a business account (WABA) and no number goes to the first
// account that has it. What belongs to no account here is kept among the dead letters of the inbox on whose path it came.
//
// # Threads
//
// A message's thread is the customer's wa_id, the phone number in digits. People who have a username may hide their number: then
// it is their business-scoped user id (BSUID). While both are told of somebody who has a username, thread.joined puts the BSUID's
// thread under the number's, so that statuses and messages of either kind are read as one. The messages of a group are the group's
// thread; a call's thread is its id; what is told of the account itself has account/{WABA id} as thread.
//
// Each customer is named as a phone number, where it is known, as the social address whatsapp/{phone_number_id}, and by the BSUID and
// the parent BSUID as identifiers.
//
// # Batches
//
// A webhook holds any number of entries, changes and items. Those that are understood are handed in; each of the others is kept
// alone, in a body of its own that can be redriven.
//
// # What comes of what
//
//	messages                     message.received; media are attachments without a blob (Fetch)
//	  interactive, button        message.received with payload; a flow's form also form.submitted
//	  call_permission_reply      consent.changed (purpose calls)
//	  reaction, edit, revoke     message.reacted, message.edited, message.deleted
//	  order                      message.received, and ext.whatsapp.order
//	  referral, forwarded and product contexts    also ext.whatsapp.referral, ext.whatsapp.context
//	  system, request_welcome    ext.whatsapp.<type>
//	  unsupported                message.received, with what was wrong as a defect
//	  any other type             ext.whatsapp.message_<type>
//	message_echoes               the same as message.sent, edited, deleted, reacted
//	history                      the same of both sides, as backfill
//	statuses                     message.delivered, read (played, too), failed; sent only if it was not sent by this channel's
//	                             Sender, as ext.whatsapp.status_sent; any other status is ext.whatsapp.status_<status>
//	calls, and their statuses    interaction.started, interaction.ended, call.dialed, call.answered, call.failed
//	user_preferences             consent.changed (purpose marketing)
//	state_sync                   ext.whatsapp.contact_<action>
//	any other field              ext.whatsapp.<field>: account_update, message_template_status_update and their like
//
// Sources: https://developers.facebook.com/documentation/business-messaging/whatsapp/webhooks/reference, and for users without a number
// https://developers.facebook.com/documentation/business-messaging/whatsapp/business-scoped-user-ids.
package whatsapp

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

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "whatsapp"

const (
	// maxBytes of a webhook: Meta sends up to 3 MB.
	maxBytes = 4 << 20
	// answerTimeout is how long an answer may take: a history has thousands of messages.
	answerTimeout = 20 * time.Second
)

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints, all under /channels/whatsapp/, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox and a phone number of its own.
	Accounts []Account
	// APIURL of the Graph API is meta.DefaultURL unless set; APIVersion is meta.DefaultVersion unless set.
	APIURL, APIVersion string
	// MaxMediaBytes is how large a file may be that Fetch fetches; httpfetch.MaxBytes unless set.
	MaxMediaBytes int64
	// Client speaks to the API; one that follows no redirects unless set.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is one business phone number, as one inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// PhoneNumberID is Meta's id of the number: digits, not the number itself.
	PhoneNumberID string
	// BusinessAccountID is Meta's id of the WhatsApp Business Account (WABA) that the number belongs to.
	BusinessAccountID string
	// AppSecret of the app signs the webhooks. It is secret.
	AppSecret string
	// VerifyToken is what the company has chosen and entered beside the webhook's URL in the app's settings. It is secret.
	VerifyToken string
	// AccessToken opens the API, to send messages and to fetch files; one that does not end (of a system user). Without one, the
	// account receives only. It is secret.
	AccessToken string
	// AppSecretProof sends the proof of the app secret with each call, which an app can demand in its settings.
	AppSecretProof bool
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	path string
	app  *app
	log  *slog.Logger
}

func (a *account) access() meta.Access {
	access := meta.Access{Token: a.AccessToken}
	if a.AppSecretProof {
		access.AppSecret = a.AppSecret
	}
	return access
}

// app is the accounts of one tenant that one app's secret signs for.
type app struct {
	byNumber, byBusiness map[string]*account
}

// Channel is a channel.Channel, a channel.Redriver and a channel.Fetcher.
type Channel struct {
	cfg      Config
	graph    *meta.Graph
	accounts map[Key]*account
	log      *slog.Logger
	gate     webhook.Gate
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
	_ channel.Fetcher  = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, accounts: map[Key]*account{}, log: cfg.Logger}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	var err error
	c.graph, err = meta.NewGraph(meta.GraphConfig{URL: cfg.APIURL, Version: cfg.APIVersion, Client: cfg.Client, MaxMediaBytes: cfg.MaxMediaBytes})
	errs = append(errs, err)
	type secret struct{ tenant, app string }
	apps, numbers := map[secret]*app{}, map[string]bool{}
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := newAccount(in)
		if _, twice := c.accounts[key]; twice {
			err = errors.Join(err, errors.New("it stands twice"))
		}
		if number := in.Tenant + "/" + in.PhoneNumberID; numbers[number] {
			err = errors.Join(err, errors.New("another inbox has its phone number id"))
		} else {
			numbers[number] = true
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		s := secret{in.Tenant, in.AppSecret}
		if apps[s] == nil {
			apps[s] = &app{byNumber: map[string]*account{}, byBusiness: map[string]*account{}}
		}
		a.app, a.log = apps[s], c.log.With("inbox", a.Inbox)
		a.app.byNumber[a.PhoneNumberID] = a
		if a.app.byBusiness[a.BusinessAccountID] == nil {
			a.app.byBusiness[a.BusinessAccountID] = a
		}
		c.accounts[key] = a
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("whatsapp: %w", err)
	}
	return c, nil
}

func newAccount(in Account) (*account, error) {
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	errs := []error{err}
	for _, id := range []struct{ name, value string }{{"phone number id", in.PhoneNumberID}, {"business account's id", in.BusinessAccountID}} {
		if !isDigits(id.value) {
			errs = append(errs, fmt.Errorf("the %s is digits, as Meta shows it beside the number", id.name))
		}
	}
	if in.AppSecret == "" {
		errs = append(errs, errors.New("the app secret is missing"))
	}
	if in.VerifyToken == "" {
		errs = append(errs, errors.New("the verify token is missing"))
	}
	return &account{Account: in, path: path}, errors.Join(errs...)
}

// isDigits tells an id or a number as Meta writes it.
func isDigits(s string) bool { return s != "" && len(s) <= 32 && strings.Trim(s, "0123456789") == "" }

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social.whatsapp" }

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
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, MaxBytes: maxBytes, Timeout: answerTimeout,
		Authentic: meta.Authentic(a.AppSecret),
		Handshake: meta.Handshake(a.VerifyToken),
		Read: func(ctx context.Context, host channel.Host, body []byte) ([]*eventv1.Submission, error) {
			return nil, a.take(ctx, host, body)
		},
	}
}

// Redrive implements channel.Redriver.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, ok := c.accounts[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("whatsapp: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	outcome, err := webhook.Deliver(ctx, host, c.endpoint(a), r.Raw)
	if outcome == "retried" {
		return fmt.Errorf("whatsapp: redrive: %w", err)
	}
	return nil
}

// Fetch implements channel.Fetcher: a file's source is Meta's id of it, which is good for some days
// (https://developers.facebook.com/documentation/business-messaging/whatsapp/business-phone-numbers/media).
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, ok := c.accounts[Key{f.Tenant, f.Inbox}]
	if !ok {
		return nil, &channel.RefusedError{Code: "no_account", Reason: "the inbox is not configured any more"}
	}
	if a.AccessToken == "" {
		return nil, fmt.Errorf("whatsapp: %w: the inbox has no access token", channel.ErrRetry)
	}
	return c.graph.Media(ctx, a.access(), f.Source)
}
