package wechat_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

const (
	key    = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
	newKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
)

// vector is one of ../shared/data/signature-vectors: what other libraries sign and encrypt.
type vector struct {
	Provider, Scheme, Source, Token, Timestamp, Nonce, Echostr, Encrypt, Random, Plaintext, SHA1 string
	Key                                                                                          string `json:"encoding_aes_key"`
	Receiver                                                                                     string `json:"receive_id"`
	Signature                                                                                    string `json:"msg_signature"`
	Parts                                                                                        []string
}

func vectors(tb testing.TB) []vector {
	tb.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		tb.Fatal(err)
	}
	for root != filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.work")); err == nil {
			break
		}
		root = filepath.Dir(root)
	}
	raw, err := os.ReadFile(filepath.Join(root, "..", "shared", "data", "signature-vectors", "vectors.json"))
	if errors.Is(err, os.ErrNotExist) && !slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" }) {
		tb.Skip("skipped: ../shared/data/signature-vectors is not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	var all []vector
	if err == nil {
		err = json.Unmarshal(raw, &all)
	}
	if err != nil {
		tb.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(v vector) bool { return !strings.HasPrefix(v.Provider, "wechat") })
	if len(all) < 7 {
		tb.Fatalf("there are %d vectors of WeChat", len(all))
	}
	return all
}

func TestWhatOtherLibrariesSignAndEncrypt(t *testing.T) {
	for _, v := range vectors(t) {
		t.Run(v.Source+" "+v.Scheme, func(t *testing.T) {
			if len(v.Parts) > 0 {
				if got := wechat.Signature(v.Parts...); got != v.SHA1 {
					t.Errorf("signature %s, want %s", got, v.SHA1)
				}
				return
			}
			encrypted := v.Encrypt + v.Echostr
			if v.Signature != "" && !wechat.Signed(v.Signature, v.Token, v.Timestamp, v.Nonce, encrypted) {
				t.Error("the signature is not taken")
			}
			c := crypto(t, v.Receiver, v.Key)
			message, err := c.Decrypt(encrypted)
			if err != nil || string(message) != v.Plaintext {
				t.Errorf("decrypted %q, %v", message, err)
			}
			if v.Random == "" {
				return
			}
			if again, err := c.SealWith([]byte(v.Random), []byte(v.Plaintext)); err != nil || again != encrypted {
				t.Errorf("encrypted %s, %v", again, err)
			}
		})
	}
}

func crypto(tb testing.TB, receiver string, keys ...string) *wechat.Crypto {
	tb.Helper()
	c, err := wechat.NewCrypto(receiver, keys...)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestAKeyIsChecked(t *testing.T) {
	for name, keys := range map[string][]string{
		"none": {}, "short": {key[1:]}, "long": {key + "A"}, "a sign": {key[:42] + "+"}, "a space": {key[:42] + " "}, "the second": {key, ""}, "not ASCII": {key[:41] + "é"},
	} {
		if _, err := wechat.NewCrypto("wx1", keys...); err == nil || strings.Contains(err.Error(), key[:8]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := wechat.NewCrypto("", key); err == nil {
		t.Error("no receiver is needed")
	}
}

func TestBothKeysOpenDuringAChange(t *testing.T) {
	was, is, both := crypto(t, "wx1", key), crypto(t, "wx1", newKey), crypto(t, "wx1", newKey, key)
	for _, from := range []*wechat.Crypto{was, is} {
		encrypted, err := from.Encrypt([]byte("hello"))
		if err != nil {
			t.Fatal(err)
		}
		if message, err := both.Decrypt(encrypted); err != nil || string(message) != "hello" {
			t.Errorf("%q, %v", message, err)
		}
	}
	encrypted, err := both.Encrypt([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	if message, err := is.Decrypt(encrypted); err != nil || string(message) != "hello" {
		t.Errorf("not by the new key: %q, %v", message, err)
	}
	if _, err := was.Decrypt(encrypted); err == nil || errors.Is(err, wechat.ErrForeign) {
		t.Errorf("by the old key: %v", err)
	}
}

func TestAMessageForAnotherIsForeign(t *testing.T) {
	encrypted, err := crypto(t, "wx1", key).Encrypt([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for _, other := range []string{"wx2", "wx", "wx11", "hellowx1"} {
		if _, err := crypto(t, other, newKey, key).Decrypt(encrypted); !errors.Is(err, wechat.ErrForeign) {
			t.Errorf("%s: %v", other, err)
		}
	}
}

func TestWhatIsNotEncryptedWell(t *testing.T) {
	c := crypto(t, "wx1", key)
	good, err := c.Encrypt([]byte("hello"))
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"nothing": "", "no base64": "?" + good, "cut": good[:len(good)-4], "half": "AAAAAAAAAAAAAAAAAAAAAA==", "noise": strings.Repeat("A", 128), "another block's": good[:4] + "AAAA" + good[8:],
	} {
		if message, err := c.Decrypt(text); err == nil && name != "another block's" {
			t.Errorf("%s: %q", name, message)
		}
	}
}

func TestAHandshake(t *testing.T) {
	const token, timestamp, nonce = "tok", "1411443780", "437374425"
	c := crypto(t, "wx1", key)
	sealed, err := c.Encrypt([]byte("5927782489442352469"))
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		query  url.Values
		crypto *wechat.Crypto
		answer string
	}{
		"clear":              {url.Values{"signature": {wechat.Signature(token, timestamp, nonce)}, "echostr": {"<b>1</b>"}}, nil, "<b>1</b>"},
		"clear, with a key":  {url.Values{"signature": {wechat.Signature(token, timestamp, nonce)}, "echostr": {"17"}}, c, "17"},
		"encrypted":          {url.Values{"msg_signature": {wechat.Signature(token, timestamp, nonce, sealed)}, "echostr": {sealed}}, c, "5927782489442352469"},
		"wrong":              {url.Values{"signature": {wechat.Signature("other", timestamp, nonce)}, "echostr": {"17"}}, nil, ""},
		"missing":            {url.Values{"echostr": {"17"}}, nil, ""},
		"encrypted, no key":  {url.Values{"msg_signature": {wechat.Signature(token, timestamp, nonce, sealed)}, "echostr": {sealed}}, nil, ""},
		"signed, not sealed": {url.Values{"msg_signature": {wechat.Signature(token, timestamp, nonce, "17")}, "echostr": {"17"}}, c, ""},
	} {
		t.Run(name, func(t *testing.T) {
			tc.query.Set("timestamp", timestamp)
			tc.query.Set("nonce", nonce)
			w := httptest.NewRecorder()
			wechat.Handshake(token, tc.crypto)(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+tc.query.Encode(), http.NoBody))
			answer := w.Result()
			defer answer.Body.Close()
			body, err := io.ReadAll(answer.Body)
			switch {
			case err != nil:
				t.Fatal(err)
			case tc.answer == "" && answer.StatusCode != http.StatusUnauthorized:
				t.Errorf("answered %s", answer.Status)
			case tc.answer != "" && (answer.StatusCode != http.StatusOK || string(body) != tc.answer || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain")):
				t.Errorf("answered %s %q", answer.Status, body)
			}
		})
	}
}

func TestAnEncryptedDelivery(t *testing.T) {
	const token, timestamp, nonce = "tok", "1411525903", "461056294"
	c := crypto(t, "wx1", key)
	body, signature, err := c.Seal([]byte("<xml/>"), token, timestamp, nonce)
	if err != nil {
		t.Fatal(err)
	}
	request := func(signature string) *http.Request {
		q := url.Values{"msg_signature": {signature}, "timestamp": {timestamp}, "nonce": {nonce}, "encrypt_type": {"aes"}}
		return httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/?"+q.Encode(), http.NoBody)
	}
	if err := wechat.SealedAuthentic(token, request(signature), body); err != nil {
		t.Error(err)
	}
	if message, err := c.Unwrap(body); err != nil || string(message) != "<xml/>" {
		t.Errorf("%q, %v", message, err)
	}
	for name, err := range map[string]error{
		"another token":     wechat.SealedAuthentic("other", request(signature), body),
		"no signature":      wechat.SealedAuthentic(token, request(""), body),
		"half of the body":  wechat.SealedAuthentic(token, request(signature), body[:len(body)/2]),
		"nothing encrypted": wechat.SealedAuthentic(token, request(wechat.Signature(token, timestamp, nonce)), []byte("<xml/>")),
	} {
		if !errors.Is(err, webhook.ErrNotAuthentic) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := crypto(t, "wx2", key).Unwrap(body); !errors.Is(err, webhook.ErrNotAuthentic) {
		t.Errorf("for another: %v", err)
	}
	if _, err := crypto(t, "wx1", newKey).Unwrap(body); err == nil || errors.Is(err, webhook.ErrNotAuthentic) {
		t.Errorf("with another key: %v", err)
	}
	for _, text := range []string{`{"ToUserName":"gh_1","Encrypt":"abc"}`, "<xml><Encrypt><![CDATA[abc]]></Encrypt></xml>", "<?xml version=\"1.0\"?>\n<xml><AgentID>1</AgentID><Encrypt>abc</Encrypt></xml>\n"} {
		if got, err := wechat.Envelope([]byte(text)); err != nil || got != "abc" {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
}

func TestXMLThatIsRefused(t *testing.T) {
	for name, text := range map[string]string{
		"a bomb":             `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;&a;">]><xml><Encrypt>&b;</Encrypt></xml>`,
		"a file":             `<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><xml><Encrypt>&a;</Encrypt></xml>`,
		"a declaration":      `<!DOCTYPE xml><xml><Encrypt>a</Encrypt></xml>`,
		"an unknown entity":  `<xml><Encrypt>&a;</Encrypt></xml>`,
		"depth":              strings.Repeat("<xml>", 10_000) + strings.Repeat("</xml>", 10_000),
		"open":               "<xml><Encrypt>a</Encrypt>",
		"two":                "<xml/><xml/>",
		"text behind":        "<xml/>a",
		"another encoding":   `<?xml version="1.0" encoding="utf-16"?><xml/>`,
		"not UTF-8":          "<xml><Encrypt>\xff</Encrypt></xml>",
		"nothing":            "",
		"a half of a CDATA":  "<xml><Encrypt><![CDATA[a]]</Encrypt></xml>",
		"a closing element":  "</xml>",
		"nothing but spaces": "  ",
	} {
		if got, err := wechat.Envelope([]byte(text)); err == nil {
			t.Errorf("%s: %q", name, got)
		}
	}
}
