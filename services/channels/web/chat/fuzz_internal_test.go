package chat

import (
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
)

// FuzzFrame checks that whatever is let through becomes an event, and that what is refused says why.
func FuzzFrame(f *testing.F) {
	host := channeltest.NewHost()
	w := &widget{Widget: Widget{ID: "shop", Tenant: "acme", Logins: "login"}}
	f.Fuzz(func(t *testing.T, raw []byte) {
		var in incoming
		p := decode(raw, &in)
		if p == nil {
			p = in.check()
		}
		if p != nil {
			if p.Code == "" || p.Message == "" {
				t.Errorf("refused as %+v", p)
			}
			return
		}
		if _, err := host.Submit(t.Context(), w.Tenant, in.submission(w, Claims{Visitor: "v", Thread: "t", Customer: "4711"})); err != nil {
			t.Errorf("%q was let through, and is refused: %v", raw, err)
		}
	})
}

// FuzzToken checks that no token is taken but those that were signed.
func FuzzToken(f *testing.F) {
	secret := []byte(strings.Repeat("s", minSecret))
	w, err := newWidget(Widget{ID: "shop", Tenant: "acme"}, secret)
	if err != nil {
		f.Fatal(err)
	}
	now := func() time.Time { return time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC) }
	c := &Channel{cfg: Config{Now: now}}
	c.limits.defaults()
	good, _, err := c.issue(w, "v", "t")
	if err != nil {
		f.Fatal(err)
	}
	foreign, err := Sign(Claims{RegisteredClaims: jwt.RegisteredClaims{ExpiresAt: jwt.NewNumericDate(now().Add(time.Hour))}, Tenant: "acme"}, secret)
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{good, foreign, "", "a.b.c", "eyJhbGciOiJub25lIn0.e30.", good + "=", good[:len(good)-1]} {
		f.Add(seed)
	}
	signed := good[:strings.LastIndex(good, ".")]
	f.Fuzz(func(t *testing.T, token string) {
		if claims, err := c.verify(w, token); err == nil && !strings.HasPrefix(token, signed+".") {
			t.Errorf("%q was taken for %+v", token, claims)
		}
	})
}
