package operation

import (
	"context"
	"net/url"
	"strings"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

func (p *Pages) channels(c *web.Call) error {
	around, err := p.around.now(c.Context())
	if err != nil {
		return err
	}
	return show(c, view.At(view.Operation, "channels"), lang.T(c.Context(), "Channels"), channels(around))
}

func (p *Pages) channelParts(ctx context.Context, _ *web.Call) ([]part, error) {
	around, err := p.around.now(ctx)
	return []part{{"channels", channelCards(around)}, {"webhooks", webhookCards(around)}}, err
}

// switchWebhook switches a webhook off or on.
func (p *Pages) switchWebhook(c *web.Call) error {
	id := c.Form("id")
	var err error
	if c.Form("to") == "on" {
		_, err = p.webhooks.EnableWebhook(c.Context(), &adminv1.EnableWebhookRequest{Id: id})
	} else {
		_, err = p.webhooks.DisableWebhook(c.Context(), &adminv1.DisableWebhookRequest{Id: id})
	}
	if err != nil {
		return err
	}
	p.around.forget()
	return c.GoTo(view.At(view.Operation, "channels"))
}

// inboxOf is the tenant and the inbox in the path of a webhook (/channels/PROVIDER/TENANT/INBOX/...); empty for other paths.
func inboxOf(path string) string {
	parts := strings.Split(path, "/")
	if len(parts) < 5 || parts[1] != "channels" {
		return ""
	}
	return parts[3] + "/" + parts[4]
}

// place is where a webhook posts to, without what may be secret about it.
func place(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// behind is how many events of the log a webhook has not looked at.
func behind(w *adminv1.Webhook) (events int64) {
	for _, p := range w.GetPartitions() {
		events += p.GetLagEvents()
	}
	return events
}

// broken are the sources of a channel that do not work.
func broken(c *adminv1.Channel) (all []*adminv1.ChannelSource) {
	for _, s := range c.GetSources() {
		if s.GetError() != "" {
			all = append(all, s)
		}
	}
	return all
}

func (p *Pages) configuration(c *web.Call) error {
	config, err := p.admin.GetConfig(c.Context(), &adminv1.GetConfigRequest{})
	if err != nil {
		return err
	}
	process, err := p.admin.GetProcess(c.Context(), &adminv1.GetProcessRequest{})
	if err != nil {
		return err
	}
	return show(c, view.At(view.Operation, "configuration"), lang.T(c.Context(), "Configuration"), configuration(process, settings(config, c.Form("q"), c.Form("changed") != ""), c.Form("q"), c.Form("changed") != ""))
}

// settings are those that a person looks for.
func settings(config *adminv1.GetConfigResponse, query string, changed bool) (all []*adminv1.Setting) {
	query = strings.ToLower(query)
	for _, s := range config.GetSettings() {
		if (!changed || !s.GetDefault()) && strings.Contains(strings.ToLower(s.GetKey()+" "+s.GetHelp()), query) {
			all = append(all, s)
		}
	}
	return all
}
