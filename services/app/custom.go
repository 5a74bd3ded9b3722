package app

import (
	"context"

	"github.com/skein-cx/skein/services/channels/custom/cloudevents"
	"github.com/skein-cx/skein/services/channels/custom/mapped"
)

// The channels of any other source.
const (
	channelCloudEvents = "cloudevents"
	channelMapped      = "mapped"
)

// CloudEventsConfig is an inbox that takes CloudEvents over HTTP.
type CloudEventsConfig struct {
	Secrets        []string `koanf:"secrets" secret:"true" help:"bearer tokens of those who may send, 16 bytes at least each"`
	SigningSecrets []string `koanf:"signing_secrets" secret:"true" help:"secrets of another Skein's webhooks: whsec_ and base64"`
	Provider       string   `koanf:"provider" help:"provider of events that name none; cloudevents unless set"`
	TypePrefix     string   `koanf:"type_prefix" help:"beginning of types that is left out, such as com.example."`
	Region         string   `koanf:"region" help:"country by which telephone numbers without country code are read, such as DE"`
	Origins        []string `koanf:"origins" help:"who may send, as the handshake asks; all unless set"`
	Rate           int      `koanf:"rate" help:"requests a minute that the handshake allows; any unless set"`
}

// custom checks an inbox of any other source.
func (v *verifier) custom(field string, in InboxConfig) {
	switch in.Channel {
	case channelCloudEvents:
		c := in.cloudEvents()
		for _, p := range c.Verify() {
			v.add(below(field+".cloudevents", p.Field), p.Reason)
		}
	case channelMapped:
		for _, p := range in.mapped().Verify() {
			v.add(below(field+".mapped", p.Field), p.Reason)
		}
	}
}

func below(field, name string) string {
	if name == "" {
		return field
	}
	return field + "." + name
}

func (in *InboxConfig) cloudEvents() cloudevents.Inbox {
	c := in.CloudEvents
	return cloudevents.Inbox{
		Tenant: in.Tenant, Inbox: in.ID, Secrets: c.Secrets, SigningSecrets: c.SigningSecrets, Provider: c.Provider, TypePrefix: c.TypePrefix,
		Region: c.Region, Origins: c.Origins, Rate: c.Rate,
	}
}

func (in *InboxConfig) mapped() mapped.Inbox {
	return mapped.Inbox{Tenant: in.Tenant, Inbox: in.ID, Mapping: in.Mapped}
}

// openCustom opens what serves the inboxes of any other source.
func (a *App) openCustom(ctx context.Context) error {
	var events []cloudevents.Inbox
	var mappings []mapped.Inbox
	for _, in := range a.cfg.Inboxes {
		switch in.Channel {
		case channelCloudEvents:
			events = append(events, in.cloudEvents())
		case channelMapped:
			mappings = append(mappings, in.mapped())
		}
	}
	if len(events)+len(mappings) == 0 {
		return nil
	}
	metrics, err := a.webhookMetrics()
	if err != nil {
		return err
	}
	if len(events) > 0 {
		c, err := cloudevents.New(cloudevents.Config{Mux: &a.endpoints, Inboxes: events, Metrics: metrics, Logger: a.logger})
		if err != nil {
			return err
		}
		if err := a.open(ctx, roleCustom, cloudevents.Provider, c); err != nil {
			return err
		}
	}
	if len(mappings) > 0 {
		c, err := mapped.New(mapped.Config{Mux: &a.endpoints, Inboxes: mappings, Metrics: metrics, Logger: a.logger})
		if err != nil {
			return err
		}
		if err := a.open(ctx, roleCustom, mapped.Provider, c); err != nil {
			return err
		}
	}
	return nil
}
