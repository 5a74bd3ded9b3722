package app

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
	"github.com/skein-cx/skein/services/channels/social/line"
	"github.com/skein-cx/skein/services/channels/social/meta/messenger"
	"github.com/skein-cx/skein/services/channels/social/meta/whatsapp"
	"github.com/skein-cx/skein/services/channels/social/telegram"
	"github.com/skein-cx/skein/services/channels/social/wechat/kf"
	"github.com/skein-cx/skein/services/channels/social/wechat/official"
	"github.com/skein-cx/skein/services/channels/social/wechat/wecom"
	"github.com/skein-cx/skein/services/channels/social/weibo"
	"github.com/skein-cx/skein/services/channels/social/x"
)

// WhatsAppConfig is a number on the WhatsApp Cloud API.
type WhatsAppConfig struct {
	PhoneNumberID     string `koanf:"phone_number_id" help:"Meta's id of the number"`
	BusinessAccountID string `koanf:"business_account_id" help:"id of the WhatsApp Business account, for what it is told about templates and itself; one inbox of it"`
	AppSecret         string `koanf:"app_secret" secret:"true" help:"secret of the app, which signs webhooks"`
	VerifyToken       string `koanf:"verify_token" secret:"true" help:"word that you chose for the webhook's verification"`
	AccessToken       string `koanf:"access_token" secret:"true" help:"system user's token, to send and to fetch files"`
	AppSecretProof    bool   `koanf:"app_secret_proof" help:"proves each call of the API by the app's secret, where the app demands it"`
	APIURL            string `koanf:"api_url" help:"Graph API; https://graph.facebook.com unless set"`
}

// MetaConfig is a page on Messenger, or an Instagram account.
type MetaConfig struct {
	ID          string `koanf:"id" help:"id of the page, or of the Instagram professional account"`
	PageID      string `koanf:"page_id" help:"instagram: page that it is linked to and messages are sent by; without one the account has signed in by itself"`
	AppSecret   string `koanf:"app_secret" secret:"true" help:"secret of the app, which signs webhooks"`
	VerifyToken string `koanf:"verify_token" secret:"true" help:"word that you chose for the webhook's verification"`
	AccessToken string `koanf:"access_token" secret:"true" help:"token, to send and to fetch files"`
	HumanAgent  bool   `koanf:"human_agent" help:"the app has the permission Human Agent: agents may answer for seven days instead of 24 hours"`
	APIURL      string `koanf:"api_url" help:"Graph API; https://graph.facebook.com unless set, and https://graph.instagram.com for accounts that have signed in by themselves"`
}

// WeChatConfig is an official account or a mini-program.
type WeChatConfig struct {
	AppID             string            `koanf:"app_id" help:"AppID of the account"`
	AppSecret         string            `koanf:"app_secret" secret:"true" help:"AppSecret, to send and to fetch files"`
	Token             string            `koanf:"token" secret:"true" help:"token of the server configuration, which signs callbacks"`
	EncodingAESKey    string            `koanf:"encoding_aes_key" secret:"true" help:"key of 43 characters, for compatible and safe mode"`
	OldEncodingAESKey string            `koanf:"old_encoding_aes_key" secret:"true" help:"the key before, while keys are changed"`
	OriginalID        string            `koanf:"original_id" help:"original id (gh_...), checked where it is set"`
	MiniProgram       bool              `koanf:"mini_program" help:"it is a mini-program"`
	Agents            map[string]string `koanf:"agents" help:"agents' ids by customer service account (ben@acme)"`
	APIURL            string            `koanf:"api_url" help:"https://api.weixin.qq.com unless set"`
}

// WeComConfig is a WeCom application, or an account of WeChat customer service.
type WeComConfig struct {
	CorpID          string            `koanf:"corp_id" help:"id of the company"`
	AgentID         int64             `koanf:"agent_id" help:"wecom: id of the application"`
	OpenKfID        string            `koanf:"open_kf_id" help:"wechat_kf: id of the customer service account"`
	Token           string            `koanf:"token" secret:"true" help:"token of the callback"`
	EncodingAESKeys []string          `koanf:"encoding_aes_keys" secret:"true" help:"keys of 43 characters: the one in force, and perhaps the one before"`
	Secret          string            `koanf:"secret" secret:"true" help:"secret, to send, to pull messages and to fetch files"`
	Members         string            `koanf:"members" help:"wecom: members who write are customers, for an inner service desk, or of the company"`
	Agents          map[string]string `koanf:"agents" help:"agents' ids by member"`
	APIURL          string            `koanf:"api_url" help:"https://qyapi.weixin.qq.com unless set"`
}

// TelegramConfig is a bot.
type TelegramConfig struct {
	Token          string   `koanf:"token" secret:"true" help:"token of the bot"`
	SecretToken    string   `koanf:"secret_token" secret:"true" help:"secret_token of setWebhook"`
	Pull           bool     `koanf:"pull" help:"asks for updates instead of being called, where Telegram cannot reach this machine"`
	AllowedUpdates []string `koanf:"allowed_updates" help:"pull: kinds of updates; as they were unless set"`
	APIURL         string   `koanf:"api_url" help:"https://api.telegram.org unless set"`
}

// LineConfig is a channel of LINE's Messaging API.
type LineConfig struct {
	ChannelID     string `koanf:"channel_id" help:"id of the channel"`
	ChannelSecret string `koanf:"channel_secret" secret:"true" help:"secret of the channel, which signs webhooks"`
	AccessToken   string `koanf:"access_token" secret:"true" help:"long-lived token; by id and secret unless set"`
	BotUserID     string `koanf:"bot_user_id" help:"destination of the webhooks, checked where it is set"`
	APIURL        string `koanf:"api_url" help:"https://api.line.me unless set"`
	DataURL       string `koanf:"data_url" help:"https://api-data.line.me unless set"`
}

// XConfig is an account on X.
type XConfig struct {
	UserID         string `koanf:"user_id" help:"id of the account"`
	ConsumerKey    string `koanf:"consumer_key" help:"API key of the app"`
	ConsumerSecret string `koanf:"consumer_secret" secret:"true" help:"API secret of the app, which signs webhooks"`
	ClientSecret   string `koanf:"client_secret" secret:"true" help:"OAuth 2 client secret, where webhooks are signed by it"`
	AccessToken    string `koanf:"access_token" secret:"true" help:"the account's token, to send"`
	AccessSecret   string `koanf:"access_secret" secret:"true" help:"the token's secret"`
	AppID          string `koanf:"app_id" help:"id of the app, to tell what it sent itself"`
	APIURL         string `koanf:"api_url" help:"https://api.x.com unless set"`
}

// WeiboConfig is an account on Weibo.
type WeiboConfig struct {
	UID         string        `koanf:"uid" help:"id of the account"`
	AppSecret   string        `koanf:"app_secret" secret:"true" help:"secret of the app, which signs what the fans service delivers"`
	AccessToken string        `koanf:"access_token" secret:"true" help:"the account's token, to send, and to ask for comments and mentions"`
	Posts       bool          `koanf:"posts" help:"asks for comments and mentions"`
	Poll        time.Duration `koanf:"poll" help:"how often to ask for them; 1m unless set"`
	Since       string        `koanf:"since" help:"the first time, leaves out what is older than this day, such as 2026-01-31"`
	APIURL      string        `koanf:"api_url" help:"https://api.weibo.com unless set"`
}

// The social channels.
const (
	channelWhatsApp  = "whatsapp"
	channelMessenger = "messenger"
	channelInstagram = "instagram"
	channelWeChat    = "wechat"
	channelWeCom     = "wecom"
	channelWeChatKF  = "wechat_kf"
	channelTelegram  = "telegram"
	channelLine      = "line"
	channelX         = "x"
	channelWeibo     = "weibo"
)

// socialKit is what social channels are made with.
type socialKit struct {
	mux     webhook.Mux
	cursors channel.Cursors
	metrics *webhook.Metrics
	logger  *slog.Logger
	kf      wecom.Waker // where there is one
}

// social is a channel of one provider's, for all inboxes that have it.
type social struct {
	channel.Channel
	provider string
	fetcher  channel.Fetcher
	sender   func(tenant, inbox string) channel.Sender
}

// socialProvider makes a channel of a provider's for inboxes.
type socialProvider struct {
	name string // of the inboxes' channel
	make func(k *socialKit, inboxes []InboxConfig) (*social, error)
}

// socialProviders are all of them, customer service before the applications that wake it.
func socialProviders() []socialProvider {
	return []socialProvider{
		{channelWhatsApp, (*socialKit).whatsapp},
		{channelMessenger, (*socialKit).messenger},
		{channelInstagram, (*socialKit).instagram},
		{channelWeChat, (*socialKit).wechat},
		{channelWeChatKF, (*socialKit).wechatKF},
		{channelWeCom, (*socialKit).wecom},
		{channelTelegram, (*socialKit).telegram},
		{channelLine, (*socialKit).line},
		{channelX, (*socialKit).x},
		{channelWeibo, (*socialKit).weibo},
	}
}

func (c *Config) inboxesOf(name string) (inboxes []InboxConfig) {
	for _, in := range c.Inboxes {
		if in.Channel == name {
			inboxes = append(inboxes, in)
		}
	}
	return inboxes
}

// social makes the channels of all providers that have an inbox, by the name of the inboxes' channel.
func (k *socialKit) social(c *Config) (map[string]*social, error) {
	all := map[string]*social{}
	for _, p := range socialProviders() {
		inboxes := c.inboxesOf(p.name)
		if len(inboxes) == 0 {
			continue
		}
		s, err := p.make(k, inboxes)
		if err != nil {
			return nil, err
		}
		all[p.name] = s
	}
	return all, nil
}

// social checks the inboxes of social channels: each by itself, and then together.
func (v *verifier) social(c *Config) {
	k := func() *socialKit { return &socialKit{mux: http.NewServeMux(), cursors: noCursors{}} }
	for _, p := range socialProviders() {
		fine := true
		for i, in := range c.Inboxes {
			if in.Channel != p.name {
				continue
			}
			if _, err := p.make(k(), []InboxConfig{in}); err != nil {
				fine = false
				_, wrong, ok := strings.Cut(err.Error(), fmt.Sprintf("the inbox %q of tenant %q: ", in.ID, in.Tenant))
				if !ok {
					wrong = err.Error()
				}
				for line := range strings.SplitSeq(wrong, "\n") {
					v.add(fmt.Sprintf("inboxes[%d].%s", i, p.name), line)
				}
			}
		}
		if inboxes := c.inboxesOf(p.name); fine && len(inboxes) > 1 {
			v.reports("inboxes", func() error { _, err := p.make(k(), inboxes); return err })
		}
	}
}

// errOneURL means that an inbox would send to another one's API, with its token.
var errOneURL = errors.New("api_url must be the same in all inboxes of the channel")

func (k *socialKit) whatsapp(inboxes []InboxConfig) (*social, error) {
	cfg := whatsapp.Config{Mux: k.mux, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		w := in.WhatsApp
		if w.APIURL != inboxes[0].WhatsApp.APIURL {
			return nil, errOneURL
		}
		cfg.APIURL = w.APIURL
		cfg.Accounts = append(cfg.Accounts, whatsapp.Account{
			Tenant: in.Tenant, Inbox: in.ID, PhoneNumberID: w.PhoneNumberID, BusinessAccountID: w.BusinessAccountID,
			AppSecret: w.AppSecret, VerifyToken: w.VerifyToken, AccessToken: w.AccessToken, AppSecretProof: w.AppSecretProof,
		})
	}
	c, err := whatsapp.New(cfg)
	return &social{c, whatsapp.Provider, c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(whatsapp.Key{Tenant: tenant, Inbox: inbox})
	}}, err
}

func (k *socialKit) messenger(inboxes []InboxConfig) (*social, error) {
	return k.meta(messenger.Facebook, inboxes, func(in *InboxConfig) *MetaConfig { return &in.Messenger })
}

func (k *socialKit) instagram(inboxes []InboxConfig) (*social, error) {
	return k.meta(messenger.Instagram, inboxes, func(in *InboxConfig) *MetaConfig { return &in.Instagram })
}

func (k *socialKit) meta(product messenger.Product, inboxes []InboxConfig, of func(*InboxConfig) *MetaConfig) (*social, error) {
	cfg := messenger.Config{Product: product, Mux: k.mux, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		m := of(&in)
		if m.APIURL != of(&inboxes[0]).APIURL {
			return nil, errOneURL
		}
		cfg.GraphURL = m.APIURL
		cfg.Accounts = append(cfg.Accounts, messenger.Account{
			Tenant: in.Tenant, Inbox: in.ID, ID: m.ID, PageID: m.PageID, AppSecret: m.AppSecret, VerifyToken: m.VerifyToken,
			AccessToken: m.AccessToken, HumanAgent: m.HumanAgent,
		})
	}
	c, err := messenger.New(cfg)
	return &social{c, string(product), c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(messenger.Key{Tenant: tenant, Inbox: inbox})
	}}, err
}

func (k *socialKit) wechat(inboxes []InboxConfig) (*social, error) {
	cfg := official.Config{Mux: k.mux, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		w := in.WeChat
		cfg.Accounts = append(cfg.Accounts, official.Account{
			Tenant: in.Tenant, Inbox: in.ID, AppID: w.AppID, AppSecret: w.AppSecret, Token: w.Token, EncodingAESKey: w.EncodingAESKey,
			OldEncodingAESKey: w.OldEncodingAESKey, OriginalID: w.OriginalID, MiniProgram: w.MiniProgram, Agents: w.Agents, APIURL: w.APIURL,
		})
	}
	c, err := official.New(cfg)
	return &social{c, official.Provider, c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(official.Key{Tenant: tenant, Inbox: inbox})
	}}, err
}

func (k *socialKit) wechatKF(inboxes []InboxConfig) (*social, error) {
	cfg := kf.Config{Mux: k.mux, Cursors: k.cursors, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		w := in.WeChatKF
		cfg.Accounts = append(cfg.Accounts, kf.Account{
			Tenant: in.Tenant, Inbox: in.ID, CorpID: w.CorpID, OpenKfID: w.OpenKfID, Token: w.Token, EncodingAESKeys: w.EncodingAESKeys,
			Secret: w.Secret, APIURL: w.APIURL, Agents: w.Agents,
		})
	}
	c, err := kf.New(cfg)
	if err != nil {
		return nil, err
	}
	k.kf = c
	return &social{c, kf.Provider, c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(kf.Key{Tenant: tenant, Inbox: inbox})
	}}, nil
}

func (k *socialKit) wecom(inboxes []InboxConfig) (*social, error) {
	cfg := wecom.Config{Mux: k.mux, KF: k.kf, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		w := in.WeCom
		cfg.Accounts = append(cfg.Accounts, wecom.Account{
			Tenant: in.Tenant, Inbox: in.ID, CorpID: w.CorpID, AgentID: w.AgentID, Token: w.Token, EncodingAESKeys: w.EncodingAESKeys,
			Secret: w.Secret, APIURL: w.APIURL, Members: wecom.Members(w.Members), Agents: w.Agents,
		})
	}
	c, err := wecom.New(cfg)
	return &social{c, wecom.Provider, c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(wecom.Key{Tenant: tenant, Inbox: inbox})
	}}, err
}

func (k *socialKit) telegram(inboxes []InboxConfig) (*social, error) {
	cfg := telegram.Config{Mux: k.mux, Cursors: k.cursors, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		t := in.Telegram
		cfg.Accounts = append(cfg.Accounts, telegram.Account{
			Tenant: in.Tenant, Inbox: in.ID, Token: t.Token, SecretToken: t.SecretToken, Pull: t.Pull, AllowedUpdates: t.AllowedUpdates, APIURL: t.APIURL,
		})
	}
	c, err := telegram.New(cfg)
	return &social{c, telegram.Provider, c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(telegram.Key{Tenant: tenant, Inbox: inbox})
	}}, err
}

func (k *socialKit) line(inboxes []InboxConfig) (*social, error) {
	cfg := line.Config{Mux: k.mux, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		l := in.Line
		cfg.Accounts = append(cfg.Accounts, line.Account{
			Tenant: in.Tenant, Inbox: in.ID, ChannelID: l.ChannelID, ChannelSecret: l.ChannelSecret, AccessToken: l.AccessToken,
			BotUserID: l.BotUserID, APIURL: l.APIURL, DataURL: l.DataURL,
		})
	}
	c, err := line.New(cfg)
	return &social{c, line.Provider, c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(line.Key{Tenant: tenant, Inbox: inbox})
	}}, err
}

func (k *socialKit) x(inboxes []InboxConfig) (*social, error) {
	cfg := x.Config{Mux: k.mux, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		a := in.X
		cfg.Accounts = append(cfg.Accounts, x.Account{
			Tenant: in.Tenant, Inbox: in.ID, UserID: a.UserID, ConsumerKey: a.ConsumerKey, ConsumerSecret: a.ConsumerSecret, ClientSecret: a.ClientSecret,
			AccessToken: a.AccessToken, AccessSecret: a.AccessSecret, AppID: a.AppID, APIURL: a.APIURL,
		})
	}
	c, err := x.New(cfg)
	return &social{c, x.Provider, c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(x.Key{Tenant: tenant, Inbox: inbox})
	}}, err
}

func (k *socialKit) weibo(inboxes []InboxConfig) (*social, error) {
	cfg := weibo.Config{Mux: k.mux, Cursors: k.cursors, Metrics: k.metrics, Logger: k.logger}
	for _, in := range inboxes {
		w := in.Weibo
		a := weibo.Account{Tenant: in.Tenant, Inbox: in.ID, UID: w.UID, AppSecret: w.AppSecret, AccessToken: w.AccessToken, Posts: w.Posts, APIURL: w.APIURL}
		if w.Since != "" {
			var err error
			if a.Since, err = time.Parse(day, w.Since); err != nil {
				return nil, errors.New("since is a day, such as 2026-01-31")
			}
		}
		if w.Poll != 0 && (cfg.PollInterval == 0 || w.Poll < cfg.PollInterval) {
			cfg.PollInterval = w.Poll
		}
		cfg.Accounts = append(cfg.Accounts, a)
	}
	c, err := weibo.New(cfg)
	return &social{c, weibo.Provider, c, func(tenant, inbox string) channel.Sender {
		return c.NewSender(weibo.Key{Tenant: tenant, Inbox: inbox})
	}}, err
}

// connectSocial makes the social channels of this process, whether it serves them, sends through them, or fetches their files.
func (a *App) connectSocial() (map[string]*social, error) {
	if a.socials != nil {
		return a.socials, nil
	}
	metrics, err := a.webhookMetrics()
	if err != nil {
		return nil, err
	}
	k := &socialKit{mux: &a.endpoints, cursors: noCursors{}, metrics: metrics, logger: a.logger}
	if a.store != nil {
		k.cursors = a.Cursors()
	}
	a.socials, err = k.social(&a.cfg)
	return a.socials, err
}

// openSocial opens what serves the social inboxes.
func (a *App) openSocial(ctx context.Context) error {
	all, err := a.connectSocial()
	if err != nil {
		return err
	}
	for _, p := range socialProviders() {
		if s := all[p.name]; s != nil {
			if err := a.open(ctx, roleSocial, s.provider, s.Channel); err != nil {
				return err
			}
		}
	}
	return nil
}
