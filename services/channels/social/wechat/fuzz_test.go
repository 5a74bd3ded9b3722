package wechat_test

import (
	"testing"

	"github.com/skein-cx/skein/services/channels/social/wechat"
)

func FuzzDecrypt(f *testing.F) {
	c := crypto(f, "wx1", key, newKey)
	for _, message := range []string{"", "hello", "<xml>你好</xml>"} {
		encrypted, err := c.Encrypt([]byte(message))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(encrypted)
	}
	f.Fuzz(func(t *testing.T, encrypted string) {
		message, err := c.Decrypt(encrypted)
		if err == nil {
			if _, err := c.Encrypt(message); err != nil {
				t.Error(err)
			}
		}
	})
}

func FuzzEnvelope(f *testing.F) {
	for _, body := range []string{"<xml><Encrypt><![CDATA[abc]]></Encrypt></xml>", `{"Encrypt":"abc"}`, `<!DOCTYPE x [<!ENTITY a "a">]><xml><Encrypt>&a;</Encrypt></xml>`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		once, err := wechat.Envelope(body)
		again, errAgain := wechat.Envelope(body)
		if once != again || (err == nil) != (errAgain == nil) {
			t.Errorf("%q, %v and then %q, %v", once, err, again, errAgain)
		}
	})
}
