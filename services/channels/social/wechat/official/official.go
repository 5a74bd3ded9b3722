// Package official takes what WeChat's Official Accounts (service accounts and subscription accounts) and mini-programs tell by
// webhooks, gives out the files of messages, and sends customer service and template messages.
//
// Each account has a path, /channels/wechat/{tenant}/{inbox}: the URL of the account's server configuration
// (https://developers.weixin.qq.com/doc/service/guide/dev/push/). XML and JSON are both understood.
//
// # Clear, compatible and safe mode
//
// Without an EncodingAESKey the deliveries are taken in clear: WeChat then signs the token, a time and a nonce, and nothing of
// what it says, so that who sees one request can forge another. With one, only what is encrypted is taken, as it comes in
// compatible and in safe mode: prefer it. To change from clear to safe: set the account to compatible, configure the key
// here, set the account to safe.
//
// # Threads and parties
//
// A thread is the open id of the customer (FromUserName); it never ends. The customer's address is the open id in the name space
// wechat/{app id}; a union id, where one is told, is an identifier of the same person in [wechat.UnionNamespace]. What WeChat tells
// of the account itself (a mass message is done, a card was approved, the account was verified) names no customer, and is a thread of its own.
//
// # What makes which event
//
//	text, image, voice, video,      message.received; its native id is MsgId
//	shortvideo, location, link,
//	miniprogrampage
//	CLICK, VIEW, view_miniprogram,  flow.step_entered of the flow menu; the step is the EventKey, the input what was scanned, or
//	scancode_*, pic_*,              the place that was chosen
//	location_select
//	SCAN, and subscribe by a code   flow.step_entered of the flow qrcode; the step is the scene
//	user_enter_tempsession          flow.step_entered of the flow session; the step is SessionFrom
//	kf_create_session               assignment.connected
//	kf_close_session                assignment.ended
//	kf_switch_session               assignment.ended, transfer.completed, assignment.connected
//	TEMPLATESENDJOBFINISH,          message.delivered or message.failed of the message that was sent; its native id is
//	subscribe_msg_sent_event        MsgID + "/" + status
//	everything else                 ext.wechat.{event or type}, with what was delivered: subscribe, unsubscribe, location,
//	                                masssendjobfinish, subscribe_msg_popup_event, cards, devices, and what is yet to come
//
// The native id of an event is what WeChat says to tell repetitions by, CreateTime and the event (FromUserName is the thread), with
// those of its fields that say what it is about: EventKey, MsgID, KfAccount and the like.
// A session of WeChat's customer service has no id: the assignment goes by the agent's account, so one that the same agent has again
// later with the same customer has the same id.
//
// # Files
//
// An attachment's source is the MediaId, behind it, after a space, the PicUrl of pictures. A file is fetched by its MediaId, which
// lives for three days and takes an account that may use the API; where that does not give it, a picture is fetched from its PicUrl,
// which takes no rights. The thumbnails of videos are left out, and so is MediaId16K, the same voice in another sampling.
// Voice is Recognition in the text where the account has it recognised.
package official

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// Provider is the name of the provider in events, rejections and metrics.
const Provider = "wechat"

const (
	defaultAPIURL = "https://api.weixin.qq.com"
	// answerTimeout is how long an answer may take: WeChat waits for 5 seconds, and comes three times.
	answerTimeout = 4 * time.Second
)

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints, all under /channels/wechat/, when the channel is opened.
	Mux webhook.Mux
	// Accounts, each with an inbox of its own.
	Accounts []Account
	// Client speaks to WeChat's API; one that follows no redirects, and waits for the head of an answer for so long only, unless set.
	Client *http.Client
	// Files fetches what lies at an address, pictures and videos; one that reaches public addresses only unless set.
	Files *http.Client
	// MaxMediaBytes is how large a file may be; httpfetch.MaxBytes unless set.
	MaxMediaBytes int64
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Account is an official account or a mini-program, as one inbox of a tenant.
type Account struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// AppID is WeChat's id of the account (wx…).
	AppID string
	// AppSecret opens the API. Without it nothing is sent, and of files only pictures are fetched. It is secret.
	AppSecret string
	// Token is that of the server configuration, by which deliveries are signed. It is secret.
	Token string
	// EncodingAESKey is that of the server configuration, 43 letters and digits; empty in clear mode. It is secret.
	EncodingAESKey string
	// OldEncodingAESKey is the one before, during a change. It is secret.
	OldEncodingAESKey string
	// OriginalID is the account's own name (gh_…): what is meant for another one is then rejected. May be empty.
	OriginalID string
	// MiniProgram tells that it is a mini-program: templates are then those of subscription messages, and voice and video cannot be sent.
	MiniProgram bool
	// Agents maps the accounts of WeChat's own customer service (name@account) to the ids of agents. One that is missing goes by its own name.
	Agents map[string]string
	// APIURL is https://api.weixin.qq.com unless set.
	APIURL string
}

// Key names an account.
type Key struct{ Tenant, Inbox string }

// account is an Account, ready for work.
type account struct {
	Account
	path   string
	crypto *wechat.Crypto // nil in clear mode
	api    *wechat.API    // nil without a secret
}

// Channel is a channel.Channel, a channel.Redriver and a channel.Fetcher.
type Channel struct {
	cfg      Config
	accounts map[Key]*account
	log      *slog.Logger
	now      func() time.Time
	patience time.Duration // of an answer
	gate     webhook.Gate
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
	_ channel.Fetcher  = (*Channel)(nil)
)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, accounts: map[Key]*account{}, log: cfg.Logger, now: time.Now, patience: answerTimeout}
	if c.log == nil {
		c.log = slog.New(slog.DiscardHandler)
	}
	c.log = c.log.With("channel", c.Name())
	c.cfg.MaxMediaBytes = cmp.Or(cfg.MaxMediaBytes, httpfetch.MaxBytes)
	if c.cfg.Client == nil {
		c.cfg.Client = httpsend.Client(httpfetch.Client(true).Transport)
	}
	if c.cfg.Files == nil {
		c.cfg.Files = httpfetch.Client(false)
	}
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	for _, in := range cfg.Accounts {
		key := Key{in.Tenant, in.Inbox}
		a, err := c.newAccount(in)
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
		return nil, fmt.Errorf("wechat/official: %w", err)
	}
	return c, nil
}

func (c *Channel) newAccount(in Account) (*account, error) {
	a := &account{Account: in}
	path, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	a.path = path
	errs := []error{err}
	if in.AppID == "" || len(in.AppID) > 64 || strings.Trim(in.AppID, idLetters) != "" {
		errs = append(errs, errors.New("the app id is wx and digits"))
	}
	if in.Token == "" {
		errs = append(errs, errors.New("the token is missing"))
	}
	switch {
	case in.EncodingAESKey == "" && in.OldEncodingAESKey != "":
		errs = append(errs, errors.New("an old EncodingAESKey needs a new one"))
	case in.EncodingAESKey != "" && in.AppID != "":
		keys := []string{in.EncodingAESKey}
		if in.OldEncodingAESKey != "" {
			keys = append(keys, in.OldEncodingAESKey)
		}
		a.crypto, err = wechat.NewCrypto(in.AppID, keys...)
		errs = append(errs, err)
	}
	for theirs, ours := range in.Agents {
		if !isAgent(theirs) || !isAgent(ours) {
			errs = append(errs, fmt.Errorf("the agent %q is mapped to %q: letters, digits and any of . _ : / @ + -", theirs, ours))
		}
	}
	a.APIURL = cmp.Or(in.APIURL, defaultAPIURL)
	api, err := wechat.NewAPI(wechat.APIConfig{
		BaseURL: a.APIURL, Token: wechat.StableToken(in.AppID, in.AppSecret), Client: c.cfg.Client, Files: c.cfg.Files,
	})
	errs = append(errs, err)
	if in.AppSecret != "" {
		a.api = api
	}
	return a, errors.Join(errs...)
}

const idLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-"

// Name implements channel.Channel.
func (c *Channel) Name() string { return "social.wechat" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	for _, a := range c.accounts {
		c.cfg.Mux.Handle(a.path, c.gate.Serve(webhook.Handler(host, c.endpoint(a), c.cfg.Metrics, c.log)))
	}
	return nil
}

// Run implements channel.Channel: when ctx ends, it takes no more webhooks and lets those under way finish.
func (c *Channel) Run(ctx context.Context) error { return c.gate.Run(ctx) }

// endpoint is where an account's deliveries come in.
func (c *Channel) endpoint(a *account) webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: a.Tenant, Provider: Provider, Inbox: a.Inbox, Timeout: c.patience,
		Authentic: a.authentic,
		Unwrap:    func(_ *http.Request, body []byte) ([]byte, error) { return a.unwrap(body) },
		Read: func(_ context.Context, _ channel.Host, body []byte) ([]*eventv1.Submission, error) {
			submissions, err := a.read(body)
			if err != nil {
				return nil, fmt.Errorf("wechat/official: %w", err)
			}
			return submissions, nil
		},
		Answer:    answer,
		Handshake: wechat.Handshake(a.Token, a.crypto),
	}
}

// answer tells WeChat that nothing is to be said to the customer at once. It stands in clear in safe mode as well.
func answer(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/plain")
	_, _ = io.WriteString(w, "success") // whoever is gone will come again
}

// authentic tells whether WeChat made a request.
func (a *account) authentic(r *http.Request, body []byte) error {
	if a.crypto != nil {
		return wechat.SealedAuthentic(a.Token, r, body)
	}
	q := r.URL.Query()
	if !wechat.Signed(q.Get("signature"), a.Token, q.Get("timestamp"), q.Get("nonce")) {
		return fmt.Errorf("wechat/official: the signature is missing or wrong: %w", webhook.ErrNotAuthentic)
	}
	return nil
}

// unwrap gives what a delivery says: decrypted, or without what compatible mode adds to it.
func (a *account) unwrap(body []byte) ([]byte, error) {
	if a.crypto != nil {
		return a.crypto.Unwrap(body)
	}
	return withoutEncrypted(body), nil
}

// Redrive implements channel.Redriver. What could not be decrypted is tried again, for the key may have been mended.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	a, ok := c.accounts[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("wechat/official: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	raw := r.Raw
	if said, err := a.unwrap(raw); err == nil {
		raw = said
	}
	if outcome, err := webhook.Deliver(ctx, host, c.endpoint(a), raw); outcome == "retried" {
		return fmt.Errorf("wechat/official: redrive: %w", err)
	}
	return nil
}
