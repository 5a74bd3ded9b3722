package app

import (
	"slices"

	"github.com/skein-cx/skein/services/channels/email"
)

// TakesMail reports whether a mail that is sent to an address by SMTP reaches the tenant of callers without a token.
func (c *Config) TakesMail(address string) bool {
	if c.Email.SMTP == "" {
		return false
	}
	var tenants email.Routes[string]
	for _, in := range c.Inboxes {
		if in.Channel != channelEmail {
			continue
		}
		for _, pattern := range in.Addresses {
			if tenants.Add(pattern, in.Tenant) != nil {
				return false // the listener refuses it, too
			}
		}
	}
	tenant, ok := tenants.Find(address)
	return ok && tenant == c.Tenant
}

// TwilioToken gives the token of a twilio inbox of the tenant of callers without a token; empty where there is none.
func (c *Config) TwilioToken(id string) string {
	for _, in := range c.Inboxes {
		if in.Channel == channelTwilio && in.ID == id && in.Tenant == c.Tenant {
			return in.Twilio.AuthToken
		}
	}
	return ""
}

// HasWidget reports whether the tenant of callers without a token has a web chat of this id.
func (c *Config) HasWidget(id string) bool {
	return slices.ContainsFunc(c.Inboxes, func(in InboxConfig) bool {
		return in.Channel == channelWebChat && in.ID == id && in.Tenant == c.Tenant
	})
}
