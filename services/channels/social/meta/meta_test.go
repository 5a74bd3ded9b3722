package meta_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

// vector is a signature that somebody else has made.
type vector struct{ Provider, Secret, Body, Signature string }

func vectors(t *testing.T) []vector {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for root != filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.work")); err == nil {
			break
		}
		root = filepath.Dir(root)
	}
	raw, err := os.ReadFile(filepath.Join(root, "..", "shared", "data", "signature-vectors", "vectors.json"))
	required := slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" })
	if errors.Is(err, os.ErrNotExist) && !required {
		t.Skip("skipped: the vectors of ../shared/data/signature-vectors are not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(v vector) bool { return !strings.HasPrefix(v.Provider, "meta") })
}

func signed(t *testing.T, signatures ...string) *http.Request {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/", http.NoBody)
	for _, s := range signatures {
		r.Header.Add(meta.SignatureHeader, s)
	}
	return r
}

func TestSignaturesMadeByOthersAreAuthentic(t *testing.T) {
	all := vectors(t)
	if len(all) == 0 {
		t.Fatal("there is no vector")
	}
	for _, v := range all {
		if err := meta.Authentic(v.Secret)(signed(t, v.Signature), []byte(v.Body)); err != nil {
			t.Error(err)
		}
		if got := meta.Sign(v.Secret, []byte(v.Body)); got != v.Signature {
			t.Errorf("signed %s", got)
		}
	}
}

func TestWhatTheAppsSecretDidNotSignIsNotAuthentic(t *testing.T) {
	const secret, body = "app secret", `{"object":"page"}`
	good := meta.Sign(secret, []byte(body))
	if err := meta.Authentic(secret)(signed(t, good), []byte(body)); err != nil {
		t.Fatal(err)
	}
	for name, signatures := range map[string][]string{
		"none": nil, "empty": {""}, "no prefix": {strings.TrimPrefix(good, "sha256=")}, "sha1": {strings.Replace(good, "sha256", "sha1", 1)}, "short": {good[:len(good)-2]},
		"no digits": {"sha256=" + strings.Repeat("z", 64)}, "another's": {meta.Sign("other", []byte(body))}, "another body's": {meta.Sign(secret, []byte(body+" "))},
		"two of them": {good, good},
	} {
		err := meta.Authentic(secret)(signed(t, signatures...), []byte(body))
		if !errors.Is(err, webhook.ErrNotAuthentic) || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), good) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := meta.Authentic("")(signed(t, meta.Sign("", []byte(body))), []byte(body)); !errors.Is(err, webhook.ErrNotAuthentic) {
		t.Errorf("without a secret: %v", err)
	}
}

func TestTheHandshakeEchoesAChallengeToWhoKnowsTheToken(t *testing.T) {
	ask := func(query url.Values) *http.Response {
		recorder := httptest.NewRecorder()
		meta.Handshake("t0ken")(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?"+query.Encode(), http.NoBody))
		return recorder.Result()
	}
	for name, c := range map[string]struct {
		mode, token, challenge string
		status                 int
	}{
		"as Meta asks":   {"subscribe", "t0ken", "1158201444", http.StatusOK},
		"a wrong token":  {"subscribe", "token", "1158201444", http.StatusForbidden},
		"no token":       {"subscribe", "", "1158201444", http.StatusForbidden},
		"another mode":   {"unsubscribe", "t0ken", "1158201444", http.StatusBadRequest},
		"no challenge":   {"subscribe", "t0ken", "", http.StatusBadRequest},
		"markup":         {"subscribe", "t0ken", "<script>alert(1)</script>", http.StatusBadRequest},
		"a long one":     {"subscribe", "t0ken", strings.Repeat("1", 257), http.StatusBadRequest},
		"several lines":  {"subscribe", "t0ken", "1\r\nSet-Cookie: a=b", http.StatusBadRequest},
		"nothing at all": {"", "", "", http.StatusForbidden},
	} {
		answer := ask(url.Values{"hub.mode": {c.mode}, "hub.verify_token": {c.token}, "hub.challenge": {c.challenge}})
		body := make([]byte, 512)
		n, _ := answer.Body.Read(body)
		_ = answer.Body.Close()
		if answer.StatusCode != c.status || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s: answered %s, %s", name, answer.Status, answer.Header.Get("Content-Type"))
		}
		if c.status == http.StatusOK && string(body[:n]) != c.challenge {
			t.Errorf("%s: answered %q", name, body[:n])
		}
	}
	recorder := httptest.NewRecorder()
	meta.Handshake("")(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/?hub.mode=subscribe&hub.challenge=1", http.NoBody))
	if recorder.Code != http.StatusForbidden {
		t.Errorf("without a token: answered %d", recorder.Code)
	}
}

func FuzzSignature(f *testing.F) {
	f.Add("sha256=4864d2759938a15468b5df9ade20bf161da9b4f737ea61794142f3484236bda3", "mysecret", []byte(`{"foo":"bar"}`))
	f.Add("sha256=", "mysecret", []byte(nil))
	f.Add("sha256=ZZ", "", []byte("\xff"))
	f.Fuzz(func(t *testing.T, signature, secret string, body []byte) {
		err := meta.Authentic(secret)(signed(t, signature), body)
		if right := secret != "" && strings.EqualFold(signature, meta.Sign(secret, body)) && strings.HasPrefix(signature, "sha256="); right != (err == nil) {
			t.Errorf("%q: %v", signature, err)
		}
	})
}
