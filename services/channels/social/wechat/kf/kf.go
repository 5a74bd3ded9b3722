// Package kf takes what customers write to WeChat customer service (微信客服), what the company's servicers answer in WeCom, and how
// sessions go from hand to hand; and sends messages over its API.
//
// WeChat's callback, kf_msg_or_event, brings no message: it says that an account has some. Messages are pulled, by sync_msg
// (https://developer.work.weixin.qq.com/document/path/94670), from a cursor that moves only behind what was submitted. They are pulled at the start, after each
// callback, and from time to time without one, so a callback that is lost costs time and no message. WeChat keeps them for three days.
//
// # Accounts
//
// Each customer service account (open_kfid) is an inbox, and has a path for callbacks, /channels/wechat_kf/{tenant}/{inbox}. WeChat knows
// one address for all accounts of an application: give it the path of any of them, and it wakes all of the same tenant's. Where the
// application's callbacks go to package wecom, because it is a WeCom application as well, give that one this Channel as its Waker.
//
// # Threads, people
//
// The thread is the customer's external_userid. The customer is reached as that id in the name space wechat_kf/{open_kfid}, and is known by
// the identifier of the same id in the name space wecom/{corp id}, by which package wecom names external contacts as well.
//
// # What gives which event
//
//	text, image, voice, video, file, location, link,        message.received (origin 3), message.sent (origin 4 and 5, by the servicer); the choice
//	business_card, miniprogram, msgmenu, merged_msg,        from a menu has menu_id as its payload; cards are told as text, a line for each part
//	channels, channels_shop_product, channels_shop_order,
//	meeting, schedule, note
//	enter_session                                           flow.step_entered: flow session, step scene, input scene_param
//	msg_send_fail                                           message.failed
//	user_recall_msg, servicer_recall_msg                    message.deleted
//	servicer_status_change                                  agent.presence_changed
//	session_status_change 1, from the pool                  assignment.connected, with queue and visit
//	session_status_change 2, handed over                    assignment.ended, transfer.completed, assignment.connected
//	session_status_change 3, ended                          assignment.ended, interaction.ended
//	session_status_change 4, taken back                     interaction.reopened if the same servicer takes it, else assignment.ended; assignment.connected
//	everything else                                         ext.wechat_kf.<msgtype or event_type>, with the whole item
//
// An enter_session with a welcome_code and a session_status_change with a msg_code give ext.wechat_kf.<event_type> as well, so that a bot can
// answer by the code. What was sent by the API is not told by sync_msg. When somebody enters the pool is not told either. An assignment goes by the
// customer and the servicer, so one that the same servicer has again later with the same customer has the same id.
package kf

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "wechat_kf"

// answerTimeout is how long an answer may take: WeChat waits 5 seconds.
const answerTimeout = 4 * time.Second

// Config says what a Channel does. Zero values mean the defaults that stand beside the fields.
type Config struct {
	// Mux gets the endpoints, all under /channels/wechat_kf/, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own.
	Accounts []Account
	// Cursors keep how far each account was pulled.
	Cursors channel.Cursors
	// PollInterval is how often accounts are pulled without a callback; 3 minutes. Without one, WeChat allows few calls.
	PollInterval time.Duration
	// Backoff is how long an account waits after a failure before it is pulled again.
	Backoff Backoff
	// MaxMediaBytes is how large a file may be; 100 MiB.
	MaxMediaBytes int64
	// Client speaks to the API; one that follows no redirects.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Backoff grows from First to Most, half as much again each time, by chance a little more or less.
type Backoff struct {
	First, Most time.Duration // 1 second and 1 minute
}

// Account is a customer service account, as one inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// CorpID is the company's id (ww...).
	CorpID string
	// OpenKfID is the account's id (wk...).
	OpenKfID string
	// Token signs the callbacks of the application that may call the account's API. It is secret.
	Token string
	// EncodingAESKeys encrypt them; during a change the new one first, the old one behind it. They are secret.
	EncodingAESKeys []string
	// Secret of that application opens the API. It is secret.
	Secret string
	// APIURL is https://qyapi.weixin.qq.com unless set.
	APIURL string
	// Agents are the company's names for servicers, by their userid; one that is not here goes by the userid.
	Agents map[string]string
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	path   string
	crypto *wechat.Crypto
	api    *wechat.API
	log    *slog.Logger
	wakeup chan struct{} // holds one element while there is a reason to pull

	mu      sync.Mutex
	token   string    // of the last callback
	tokenAt time.Time // when it came
	status  channel.Status
}

// Channel is a channel.Channel, Redriver, Reporter and Fetcher.
type Channel struct {
	cfg      Config
	accounts map[Key]*account
	order    []*account
	log      *slog.Logger
	gate     webhook.Gate
	host     channel.Host
	now      func() time.Time
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
	_ channel.Reporter = (*Channel)(nil)
	_ channel.Fetcher  = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, accounts: map[Key]*account{}, log: cfg.Logger, now: time.Now}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	c.cfg.PollInterval = cmp.Or(cfg.PollInterval, 3*time.Minute)
	c.cfg.Backoff.First = cmp.Or(cfg.Backoff.First, time.Second)
	c.cfg.Backoff.Most = cmp.Or(cfg.Backoff.Most, time.Minute)
	c.cfg.MaxMediaBytes = cmp.Or(cfg.MaxMediaBytes, 100<<20)
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	if cfg.Cursors == nil {
		errs = append(errs, errors.New("it needs cursors"))
	}
	apis, ids := map[[3]string]*wechat.API{}, map[[2]string]bool{}
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := c.newAccount(in, apis)
		if _, twice := c.accounts[key]; twice || ids[[2]string{in.CorpID, in.OpenKfID}] {
			err = errors.Join(err, errors.New("it stands twice"))
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		ids[[2]string{in.CorpID, in.OpenKfID}] = true
		c.accounts[key] = a
		c.order = append(c.order, a)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("social/wechat/kf: %w", err)
	}
	return c, nil
}

func (c *Channel) newAccount(in Account, apis map[[3]string]*wechat.API) (*account, error) {
	a := &account{Account: in, wakeup: make(chan struct{}, 1)}
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	a.path = path
	errs := []error{err}
	if !isID(in.CorpID) || !isID(in.OpenKfID) {
		errs = append(errs, errors.New("the corp id and the id of the account (open_kfid) are letters, digits and any of _ -"))
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
	of := [3]string{cmp.Or(in.APIURL, wechat.CorpURL), in.CorpID, in.Secret} // accounts of one application have one token
	if a.api = apis[of]; a.api == nil {
		if a.api, err = wechat.NewAPI(wechat.APIConfig{
			BaseURL: of[0], Token: wechat.CorpToken(in.CorpID, in.Secret), Client: c.cfg.Client, MaxAnswer: maxAnswer,
		}); err != nil {
			errs = append(errs, err)
		}
		apis[of] = a.api
	}
	a.log = c.log.With("tenant", in.Tenant, "inbox", in.Inbox)
	a.status = channel.Status{Tenant: in.Tenant, Inbox: in.Inbox, Source: in.OpenKfID, Err: errNotYet, Since: time.Now()}
	return a, errors.Join(errs...)
}

// isID tells whether an id may stand in a name space.
func isID(id string) bool {
	return id != "" && len(id) <= 128 && strings.Trim(id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") == ""
}

// errNotYet is why an account does not work that was never pulled.
var errNotYet = errors.New("social/wechat/kf: not pulled yet")

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social.wechat_kf" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	c.host = host
	for _, a := range c.order {
		c.cfg.Mux.Handle(a.path, c.gate.Serve(webhook.Handler(host, c.endpoint(a), c.cfg.Metrics, c.log)))
	}
	return nil
}

// Run implements channel.Channel: it pulls. When ctx ends, it takes no more callbacks and stops pulling: what was not acknowledged is pulled again next
// time.
func (c *Channel) Run(ctx context.Context) error {
	var all errgroup.Group
	all.Go(func() error { return c.gate.Run(ctx) })
	for _, a := range c.order {
		all.Go(func() error {
			c.pulls(ctx, a)
			return nil
		})
	}
	return all.Wait()
}

// Statuses implements channel.Reporter: one for each account.
func (c *Channel) Statuses() []channel.Status {
	all := make([]channel.Status, len(c.order))
	for i, a := range c.order {
		a.mu.Lock()
		all[i] = a.status
		a.mu.Unlock()
	}
	return all
}
