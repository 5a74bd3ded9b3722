package mapped_test

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what some products sign with
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/custom/mapped"
)

// signHeaders puts a signature in the place of each @ALGORITHM:ENCODING[:TEXT] in a header; it signs the body unless there is a text.
func signHeaders(r *http.Request, body string) {
	for name, values := range r.Header {
		before, order, ok := strings.Cut(values[0], "@")
		if !ok {
			continue
		}
		parts := strings.SplitN(order, ":", 3)
		if len(parts) < 3 {
			parts = append(parts, body)
		}
		mac := hmac.New(map[string]func() hash.Hash{"sha1": sha1.New, "sha256": sha256.New, "sha512": sha512.New}[parts[0]], []byte(secret))
		mac.Write([]byte(parts[2]))
		encode := hex.EncodeToString
		if parts[1] == "base64" {
			encode = base64.StdEncoding.EncodeToString
		}
		r.Header.Set(name, before+encode(mac.Sum(nil)))
	}
}

// vector is one of ../shared/data/signature-vectors.
type vector struct {
	Provider, Source, Body, Signature, Timestamp string
	SigningSecret                                string `json:"signing_secret"`
	Secret                                       string `json:"secret"`
	ChannelSecret                                string `json:"channel_secret"`
}

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
	return all
}

// Signatures that the products' own libraries test with are verified by configuration alone.
func TestTheProductsOwnVectorsAreVerified(t *testing.T) {
	found := 0
	for _, v := range vectors(t) {
		header, now := http.Header{}, noon
		var verify mapped.HMAC
		switch v.Provider {
		case "slack":
			verify = mapped.HMAC{Header: "X-Slack-Signature", Prefix: "v0=", Signed: "v0:{timestamp}:{body}", TimestampHeader: "X-Slack-Request-Timestamp", Secrets: []string{v.SigningSecret}}
			header.Set("X-Slack-Request-Timestamp", v.Timestamp)
			seconds, err := strconv.ParseInt(v.Timestamp, 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			now = time.Unix(seconds+60, 0)
		case "meta/github":
			verify = mapped.HMAC{Header: "X-Hub-Signature-256", Prefix: "sha256=", Secrets: []string{v.Secret}}
		case "line":
			verify = mapped.HMAC{Header: "X-Line-Signature", Encoding: "base64", Secrets: []string{v.ChannelSecret}}
		default:
			continue // signed by an adapter's own scheme
		}
		found++
		header.Set(verify.Header, v.Signature)
		m := one(mapped.Event{Type: "ext.shop.x"})
		m.Verify = mapped.Verify{HMAC: verify}
		for late, want := range map[time.Duration]int{0: http.StatusOK, time.Hour: http.StatusUnauthorized} {
			if verify.TimestampHeader == "" {
				want = http.StatusOK
			}
			mux := http.NewServeMux()
			c, err := mapped.New(mapped.Config{Mux: mux, Inboxes: []mapped.Inbox{{Tenant: "lumen", Inbox: "shop", Mapping: m}}, Now: func() time.Time { return now.Add(late) }})
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Open(t.Context(), channeltest.NewHost()); err != nil {
				t.Fatal(err)
			}
			for body, want := range map[string]int{v.Body: want, v.Body + " ": http.StatusUnauthorized} {
				r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, path, strings.NewReader(body))
				r.Header = header.Clone()
				w := httptest.NewRecorder()
				if mux.ServeHTTP(w, r); w.Code != want {
					t.Errorf("%s, %s later: %d, want %d", v.Source, late, w.Code, want)
				}
			}
		}
	}
	if found < 3 {
		t.Errorf("only %d vectors", found)
	}
}
