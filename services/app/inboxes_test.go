package app_test

import (
	"testing"

	"github.com/skein-cx/skein/services/app"
)

func TestMailsAndChatsReachTheTenantOfCallersWithoutToken(t *testing.T) {
	inbox := func(tenant, channel string, addresses ...string) app.InboxConfig {
		return app.InboxConfig{ID: "web", Tenant: tenant, Channel: channel, Addresses: addresses}
	}
	for name, c := range map[string]struct {
		change     func(*app.Config)
		mail, chat bool
	}{
		"as it is":               {func(*app.Config) {}, true, true},
		"no SMTP":                {func(c *app.Config) { c.Email.SMTP = "" }, false, true},
		"another tenant":         {func(c *app.Config) { c.Tenant = "acme" }, false, false},
		"no inboxes":             {func(c *app.Config) { c.Inboxes = nil }, false, false},
		"a whole domain":         {func(c *app.Config) { c.Inboxes = []app.InboxConfig{inbox("default", "email", "*@skein.example")} }, true, false},
		"the chat only":          {func(c *app.Config) { c.Inboxes = []app.InboxConfig{inbox("default", "web_chat")} }, false, true},
		"the address is foreign": {func(c *app.Config) { c.Inboxes[0].Tenant = "acme" }, false, true},
	} {
		cfg := app.Default()
		c.change(&cfg)
		if mail, chat := cfg.TakesMail("Support@skein.example"), cfg.HasWidget("web"); mail != c.mail || chat != c.chat {
			t.Errorf("%s: mail %t, chat %t", name, mail, chat)
		}
	}
}
