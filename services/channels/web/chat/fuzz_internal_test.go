package chat

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// FuzzFrame checks that whatever is let through becomes an event, and that what is refused says why.
func FuzzFrame(f *testing.F) {
	host := channeltest.NewHost()
	w, err := newWidget(Widget{ID: "shop", Tenant: "acme"}, []byte(strings.Repeat("s", minSecret)))
	if err != nil {
		f.Fatal(err)
	}
	who := Claims{Visitor: "v", Thread: "t", Customer: "4711"}
	f.Fuzz(func(t *testing.T, raw []byte) {
		in, p := decodeFrame(raw, "")
		if p == nil && in.told == nil {
			return
		}
		if p == nil {
			p = in.check(w, who)
		}
		if p != nil {
			if p.Code == "" || p.Message == "" {
				t.Errorf("refused as %+v", p)
			}
			return
		}
		s := in.submission(w, who)
		if s.GetThread() != "t" && !strings.HasPrefix(s.GetThread(), "t/") {
			t.Errorf("%q writes in thread %q", raw, s.GetThread())
		}
		if _, err := host.Submit(t.Context(), w.Tenant, s); err != nil {
			t.Errorf("%q was let through, and is refused: %v", raw, err)
		}
	})
}

// FuzzFile checks that no name of a file opens anything but what it was given for.
func FuzzFile(f *testing.F) {
	w, err := newWidget(Widget{ID: "shop", Tenant: "acme"}, []byte(strings.Repeat("s", minSecret)))
	if err != nil {
		f.Fatal(err)
	}
	who := Claims{Visitor: "v", Thread: "t"}
	good := w.nameFile(who, &eventv1.Blob{Key: "acme/t/0", Size: 1}, "a.png")
	foreign := w.nameFile(Claims{Visitor: "v", Thread: "u"}, &eventv1.Blob{Key: "acme/u/0", Size: 1}, "a.png")
	for _, seed := range []string{good, foreign, "", ".", good[:len(good)-1], good + "A", strings.Replace(good, ".", "", 1)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if a, ok := w.attachment(who, name); ok && name != good {
			t.Errorf("%q opens %v", name, a)
		}
	})
}

// FuzzFileName checks that a name is always one line that can be shown, and never a path.
func FuzzFileName(f *testing.F) {
	for _, seed := range []string{"a.png", "../../etc/passwd", "C:\\boot.ini", "", "...", "photo\u202egnp.exe", "发票.pdf", "a\x00b\nc", "\xff\xfe", strings.Repeat("长", 1000) + ".pdf"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		name := fileName(s)
		if name == "" || !utf8.ValidString(name) || strings.ContainsAny(name, "/\\\n\r\x00\u202e") || utf8.RuneCountInString(name) > maxFileName {
			t.Errorf("%q became %q", s, name)
		}
		if fileName(name) != name {
			t.Errorf("%q became %q, and then %q", s, name, fileName(name))
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
	good, _, err := c.issue(w, "v", "t", Web)
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
