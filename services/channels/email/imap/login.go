package imap

import (
	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapclient"
	"github.com/emersion/go-sasl"

	"github.com/skein-cx/skein/services/channels/email"
)

// login authenticates: by a token or by a password.
func (a *account) login(c *imapclient.Client) error {
	caps := c.Caps()
	supports := func(mechanism string) bool { return caps.Has(imap.AuthCap(mechanism)) }
	if a.tokens == nil {
		if supports(sasl.Plain) {
			return c.Authenticate(sasl.NewPlainClient("", a.Username, a.Password))
		}
		return c.Login(a.Username, a.Password).Wait()
	}
	auth, err := email.TokenAuth(a.Username, a.tokens, supports)
	if err != nil {
		return err
	}
	return c.Authenticate(auth)
}
