package app

import (
	"context"
	"net/http"

	"github.com/skein-cx/skein/services/channels/phone/asterisk"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
)

// TwilioConfig is an inbox whose calls and short messages Twilio serves.
type TwilioConfig struct {
	AccountSID string   `koanf:"account_sid" help:"Twilio's id of the account: AC and 32 hexadecimal digits"`
	AuthToken  string   `koanf:"auth_token" secret:"true" help:"the account's token, which signs webhooks"`
	Numbers    []string `koanf:"numbers" help:"the company's own numbers, its agents' among them, such as +4930200100"`
	BaseURLs   []string `koanf:"base_urls" help:"where Twilio reaches http.addr, such as https://skein.example"`
	APIURL     string   `koanf:"api_url" help:"Twilio's API; https://api.twilio.com unless set"`
	TaskRouter bool     `koanf:"taskrouter" help:"TaskRouter routes the calls, and its events come here: queues and assignments are told by these alone"`
	Routable   []string `koanf:"routable" help:"activities in which TaskRouter offers work; Available and Idle unless set"`
}

// SwitchConfig is an inbox whose calls a switch of the company's serves.
type SwitchConfig struct {
	Addr     string            `koanf:"addr" help:"host:port of the manager interface (5038), or of the event socket (8021)"`
	TLS      bool              `koanf:"tls" help:"connects by TLS"`
	Username string            `koanf:"username" help:"asterisk: the manager's account"`
	Password string            `koanf:"password" secret:"true" help:"the account's, or the event socket's"`
	Auth     string            `koanf:"auth" help:"asterisk: how to log in, plain or md5"`
	Region   string            `koanf:"region" help:"country by which numbers without country code are read, such as DE"`
	Numbers  []string          `koanf:"numbers" help:"the company's own numbers and extensions: such a caller is no customer"`
	Agents   map[string]string `koanf:"agents" help:"agents' ids by interface (PJSIP/2001), name or extension on the switch"`
	Dialplan bool              `koanf:"dialplan" help:"freeswitch: follows each step of the dialplan, too, to see consult transfers; may double the traffic"`
}

// phone checks an inbox of a telephone channel.
func (v *verifier) phone(field string, in InboxConfig) {
	switch in.Channel {
	case channelTwilio:
		v.reports(field+".twilio", func() error {
			_, err := twilio.New(twilio.Config{Mux: http.NewServeMux(), Accounts: []twilio.Account{in.twilio()}})
			return err
		})
	case channelAsterisk:
		v.reports(field+".switch", func() error {
			_, err := asterisk.New(asterisk.Config{Switches: []asterisk.Switch{in.asterisk()}})
			return err
		})
	case channelFreeSwitch:
		v.reports(field+".switch", func() error {
			_, err := freeswitch.New(freeswitch.Config{Switches: []freeswitch.Switch{in.freeSwitch()}})
			return err
		})
	}
}

// reports adds what a constructor finds wrong.
func (v *verifier) reports(field string, construct func() error) {
	if err := construct(); err != nil {
		v.add(field, err.Error())
	}
}

func (in *InboxConfig) twilio() twilio.Account {
	t := in.Twilio
	return twilio.Account{
		Tenant: in.Tenant, Inbox: in.ID, AccountSID: t.AccountSID, AuthToken: t.AuthToken, Numbers: t.Numbers, BaseURLs: t.BaseURLs,
		APIURL: t.APIURL, TaskRouter: t.TaskRouter, Routable: t.Routable,
	}
}

func (in *InboxConfig) asterisk() asterisk.Switch {
	s := in.Switch
	return asterisk.Switch{
		Tenant: in.Tenant, Inbox: in.ID, Addr: s.Addr, TLS: s.TLS, Username: s.Username, Secret: s.Password, AuthType: asterisk.AuthType(s.Auth),
		Region: s.Region, OwnNumbers: s.Numbers, Agents: s.Agents,
	}
}

func (in *InboxConfig) freeSwitch() freeswitch.Switch {
	s := in.Switch
	return freeswitch.Switch{
		Tenant: in.Tenant, Inbox: in.ID, Addr: s.Addr, TLS: s.TLS, Password: s.Password, Region: s.Region, OwnNumbers: s.Numbers,
		Agents: s.Agents, Dialplan: s.Dialplan,
	}
}

// openPhone opens what serves the telephone inboxes.
func (a *App) openPhone(ctx context.Context) error {
	var accounts []twilio.Account
	var asterisks []asterisk.Switch
	var freeSwitches []freeswitch.Switch
	for _, in := range a.cfg.Inboxes {
		switch in.Channel {
		case channelTwilio:
			accounts = append(accounts, in.twilio())
		case channelAsterisk:
			asterisks = append(asterisks, in.asterisk())
		case channelFreeSwitch:
			freeSwitches = append(freeSwitches, in.freeSwitch())
		}
	}
	if len(accounts) > 0 {
		metrics, err := a.webhookMetrics()
		if err != nil {
			return err
		}
		c, err := twilio.New(twilio.Config{Mux: &a.endpoints, Accounts: accounts, Metrics: metrics, Logger: a.logger})
		if err != nil {
			return err
		}
		if err := a.open(ctx, rolePhone, twilio.Provider, c); err != nil {
			return err
		}
	}
	if len(asterisks) > 0 {
		c, err := asterisk.New(asterisk.Config{Switches: asterisks, Cursors: a.Cursors(), Logger: a.logger, Registerer: a.registry})
		if err != nil {
			return err
		}
		if err := a.open(ctx, rolePhone, asterisk.Provider, c); err != nil {
			return err
		}
	}
	if len(freeSwitches) > 0 {
		c, err := freeswitch.New(freeswitch.Config{Switches: freeSwitches, Cursors: a.Cursors(), Logger: a.logger, Registerer: a.registry})
		if err != nil {
			return err
		}
		if err := a.open(ctx, rolePhone, freeswitch.Provider, c); err != nil {
			return err
		}
	}
	return nil
}
