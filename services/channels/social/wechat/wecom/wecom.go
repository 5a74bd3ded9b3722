// Package wecom takes what members write to an application of WeCom (企业微信), and what WeCom tells an application of members, external contacts,
// meetings, calendars and the like; and sends messages to members over its API.
//
// Each application has a path, /channels/wecom/{tenant}/{inbox}, which is its address for callbacks (接收消息). They are always encrypted.
//
// # Who is a customer
//
// Those who write to an application are members of the company. For an internal service desk they are its customers, which is how they are taken
// unless Account.Members says otherwise; then they are the company's side, and nobody's timeline grows. The thread is the member's id.
//
// External contacts do not write to applications: WeCom tells only that members have them. They are named as identifiers, in the name space wecom/{corp id}, as
// customers of customer service are (package kf), so that both are one person. The thread is the contact's id.
//
// # What gives which event
//
//	text, image, voice, video, location, link        message.received; message.sent (internal) where members are the company's side
//	click, view, view_miniprogram, scancode_*,       flow.step_entered, flow menu, step EventKey, with what was scanned or the place
//	pic_*, location_select
//	template_card_event, template_card_menu_event    flow.step_entered, flow template_card, with what was chosen
//	taskcard_click                                   flow.step_entered, flow taskcard
//	change_external_contact, and all other events    ext.wecom.<event>.<ChangeType>, with the contact as a customer
//	of an external contact
//	change_external_contact, msg_audit_approved      consent.changed: recording
//	kf_msg_or_event                                  nothing: it wakes Config.KF
//	everything else                                  ext.wecom.<event>, ext.wecom.<event>.<ChangeType>, ext.wecom.<MsgType>
//
// An ext event carries the whole callback. What is of the application and of a member stands in the member's thread: subscribe, unsubscribe, enter_agent,
// LOCATION. What is of the company (batch_job_result, change_contact, approvals, calendars, meetings, live streams, group chats) has a thread named by what it is
// about, such as MeetingId/mt17, and names no customer.
//
// WeCom gives events no id. An event's id is made of who, when, what and the key; that of an ext event of all its bytes as well, because WeCom
// tells several such of one second.
package wecom

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "wecom"

// answerTimeout is how long an answer may take: WeCom waits 5 seconds, and comes three times.
const answerTimeout = 4 * time.Second

// Members says on whose side those are who write to an application.
type Members string

// The sides.
const (
	// MembersCustomers are the customers of an internal service desk.
	MembersCustomers Members = "customers"
	// MembersCompany are the company's side.
	MembersCompany Members = "company"
)

// Waker is told that customer service has messages: package kf's Channel. It returns at once.
type Waker interface {
	Wake(corpID, openKfID, token string)
}

// Config says what a Channel does. Zero values mean the defaults that stand beside the fields.
type Config struct {
	// Mux gets the endpoints, all under /channels/wecom/, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own.
	Accounts []Account
	// KF is told of customer service's callbacks, where an application serves both; nobody.
	KF Waker
	// MaxMediaBytes is how large a file may be; 100 MiB.
	MaxMediaBytes int64
	// Client speaks to the API; one that follows no redirects.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is an application, as one inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// CorpID is the company's id (ww...).
	CorpID string
	// AgentID is the application's id (1000002). What comes from another one is rejected.
	AgentID int64
	// Token signs the callbacks. It is secret.
	Token string
	// EncodingAESKeys encrypt them; during a change the new one first, the old one behind it. They are secret.
	EncodingAESKeys []string
	// Secret of the application opens the API. It is secret.
	Secret string
	// APIURL is https://qyapi.weixin.qq.com unless set.
	APIURL string
	// Members are customers unless it says company.
	Members Members
	// Agents are the company's names for members, by their userid; one that is not here goes by the userid.
	Agents map[string]string
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	path, namespace, agentID string
	crypto                   *wechat.Crypto
	api                      *wechat.API
}

// Channel is a channel.Channel, Redriver and Fetcher.
type Channel struct {
	cfg      Config
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
	c.cfg.MaxMediaBytes = cmp.Or(cfg.MaxMediaBytes, 100<<20)
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := newAccount(in, cfg.Client)
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
		return nil, fmt.Errorf("social/wechat/wecom: %w", err)
	}
	return c, nil
}

func newAccount(in Account, client *http.Client) (*account, error) {
	a := &account{Account: in, namespace: Provider + "/" + in.CorpID, agentID: strconv.FormatInt(in.AgentID, 10)}
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	a.path = path
	errs := []error{err}
	if in.CorpID == "" || len(in.CorpID) > 128 || strings.Trim(in.CorpID, idLetters) != "" {
		errs = append(errs, errors.New("the corp id is letters, digits and any of _ -"))
	}
	if in.AgentID <= 0 {
		errs = append(errs, errors.New("the application's id (AgentID) is missing"))
	}
	if in.Token == "" {
		errs = append(errs, errors.New("the token is missing"))
	}
	if a.crypto, err = wechat.NewCrypto(in.CorpID, in.EncodingAESKeys...); err != nil {
		errs = append(errs, err)
	}
	if in.Secret == "" {
		errs = append(errs, errors.New("the secret of the application is missing"))
	}
	switch a.Members = cmp.Or(in.Members, MembersCustomers); a.Members {
	case MembersCustomers, MembersCompany:
	default:
		errs = append(errs, fmt.Errorf("members are %q or %q", MembersCustomers, MembersCompany))
	}
	if a.api, err = wechat.NewAPI(wechat.APIConfig{
		BaseURL: cmp.Or(in.APIURL, wechat.CorpURL), Token: wechat.CorpToken(in.CorpID, in.Secret), Client: client,
	}); err != nil {
		errs = append(errs, err)
	}
	return a, errors.Join(errs...)
}

const idLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social.wecom" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	for _, a := range c.accounts {
		c.cfg.Mux.Handle(a.path, c.gate.Serve(webhook.Handler(host, c.endpoint(a), c.cfg.Metrics, c.log)))
	}
	return nil
}

// Run implements channel.Channel: when ctx ends, it takes no more callbacks and lets those under way finish.
func (c *Channel) Run(ctx context.Context) error { return c.gate.Run(ctx) }

func (c *Channel) endpoint(a *account) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Timeout: answerTimeout,
		Authentic: func(r *http.Request, body []byte) error { return wechat.SealedAuthentic(a.Token, r, body) },
		Unwrap:    func(_ *http.Request, body []byte) ([]byte, error) { return a.crypto.Unwrap(body) },
		Read: func(_ context.Context, _ channel.Host, body []byte) ([]*eventv1.Submission, error) {
			return c.read(a, body)
		},
		Handshake: wechat.Handshake(a.Token, a.crypto),
	}
}

// Redrive implements channel.Redriver.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, ok := c.accounts[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("social/wechat/wecom: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	raw := r.Raw
	if opened, err := a.crypto.Unwrap(raw); err == nil { // kept as it came, because the key was not the right one
		raw = opened
	}
	outcome, err := webhook.Deliver(ctx, host, c.endpoint(a), raw)
	if outcome == "retried" {
		return fmt.Errorf("social/wechat/wecom: redrive: %w", err)
	}
	return nil
}

// Fetch implements channel.Fetcher. WeCom keeps a file for three days.
func (c *Channel) Fetch(ctx context.Context, f channel.RemoteFile) (*channel.FetchedFile, error) {
	a, ok := c.accounts[Key{f.Tenant, f.Inbox}]
	if !ok {
		return nil, fmt.Errorf("social/wechat/wecom: the inbox %q of tenant %q is not configured any more", f.Inbox, f.Tenant)
	}
	return a.api.CorpMedia(ctx, f.Source, c.cfg.MaxMediaBytes)
}
