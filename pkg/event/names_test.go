package event_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/skein-cx/skein/pkg/event"
)

func TestAProvidersNameBecomesAWordOfAType(t *testing.T) {
	for name, want := range map[string]string{
		"subscribe": "subscribe", "MASSSENDJOBFINISH": "masssendjobfinish", "user enter.session": "user_enter_session", "__Üb-er": "b_er",
		"关注": "unnamed", "": "unnamed", strings.Repeat("a", 100): strings.Repeat("a", 48),
	} {
		if got := event.ForeignType("wechat", name); got != "ext.wechat."+want {
			t.Errorf("%q becomes %s", name, got)
		}
	}
	if got := event.ForeignType("wecom", "change_contact", "create_user"); got != "ext.wecom.change_contact.create_user" {
		t.Error(got)
	}
}

func FuzzForeignType(f *testing.F) {
	f.Add("user.enter", "创建")
	f.Fuzz(func(t *testing.T, a, b string) {
		typ := event.ForeignType("wechat_kf", a, b)
		if topic, ok := event.TopicOf(typ); !ok || topic != event.TopicInteractions || len(typ) > 128 {
			t.Errorf("%q and %q become %q", a, b, typ)
		}
	})
}

func TestAClippedTextIsValidAndNotLonger(t *testing.T) {
	for _, text := range []string{"", "short", "水壶漏水了", "\xff\xfe broken", "👍👍👍"} {
		for most := range 12 {
			got := event.Clip(text, most)
			if len(got) > most || !utf8.ValidString(got) || len(text) <= most && utf8.ValidString(text) && got != text {
				t.Errorf("%q in %d bytes is %q", text, most, got)
			}
		}
	}
}
