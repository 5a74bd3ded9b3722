package line_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/line"
)

const (
	secret  = "8c570fa6dd201bb328f1c1eac23a96d8" //nolint:gosec // nobody's
	token   = "long-lived/token+of=the=account"
	address = "https://skein.example/channels/line/lumen/shop"
)

func config(mux *http.ServeMux) line.Config {
	return line.Config{Mux: mux, Accounts: []line.Account{
		{Tenant: "lumen", Inbox: "shop", ChannelID: "1234567890", ChannelSecret: secret, AccessToken: token},
		{Tenant: "lumen", Inbox: "checked", ChannelID: "1234567891", ChannelSecret: secret, AccessToken: token, BotUserID: "U00000000000000000000000000000b07"},
	}}
}

// open gives the webhook of a new channel.
func open(tb testing.TB, host channel.Host) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	c, err := line.New(config(mux))
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux
}

// signature is LINE's; written from the documentation, and not by what is tested.
func signature(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func sign(r *http.Request, body []byte) { r.Header.Set("x-line-signature", signature(secret, body)) }

// deliver posts a body to an inbox and gives the status of the answer.
func deliver(tb testing.TB, h http.Handler, url, body string) int {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, url, strings.NewReader(body))
	sign(r, []byte(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// story reads the deliveries of the synthetic story.
func story(tb testing.TB) []channeltest.Delivery {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "synthetic.story"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []channeltest.Delivery
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		all = append(all, channeltest.Delivery{Name: name, URL: address, ContentType: "application/json; charset=utf-8", Body: strings.TrimSpace(body)})
	}
	return all
}

func TestTheWebhookPassesTheKit(t *testing.T) {
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open:   func(t *testing.T, host channel.Host) http.Handler { t.Helper(); return open(t, host) },
		Story:  story(t),
		Sign:   sign,
		Unsign: func(r *http.Request) { r.Header.Del("x-line-signature") },
	})
}

func TestTheStoryIsTold(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	var told strings.Builder
	for _, d := range story(t) {
		before := len(host.Events())
		if code := deliver(t, h, d.URL, d.Body); code != http.StatusOK {
			t.Fatalf("%s: answered %d", d.Name, code)
		}
		told.WriteString("== " + d.Name + "\n" + channeltest.Transcript(host.Events()[before:]))
	}
	for _, r := range host.Rejections() {
		t.Errorf("%s: %s", r.Reason, r.Raw)
	}
	channeltest.Golden(t, filepath.Join("testdata", "synthetic.transcript"), told.String())
}

// data reads a file of the shared data. Without it the test is skipped, unless the environment says that it must be there.
func data(tb testing.TB, path ...string) []byte {
	tb.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		tb.Fatal(err)
	}
	for !exists(filepath.Join(root, "go.work")) && root != filepath.Dir(root) {
		root = filepath.Dir(root)
	}
	raw, err := os.ReadFile(filepath.Join(append([]string{root, "..", "shared", "data"}, path...)...))
	if errors.Is(err, os.ErrNotExist) && !slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" }) {
		tb.Skipf("skipped: ../shared/data/%s is not here (SKEIN_REQUIRE=data makes this a failure)", filepath.Join(path...))
	}
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// The deliveries that LINE's own library for Python is tested with. All their events have one id, so each is told to a host of its own.
func TestTheEventsOfLINEsOwnLibraryAreTold(t *testing.T) {
	var delivery struct {
		Destination string            `json:"destination"`
		Events      []json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(data(t, "provider-payloads", "line", "webhook.json"), &delivery); err != nil {
		t.Fatal(err)
	}
	var told strings.Builder
	for i, e := range delivery.Events {
		host := channeltest.NewHost()
		body := fmt.Sprintf(`{"destination":%q,"events":[%s]}`, delivery.Destination, e)
		if code := deliver(t, open(t, host), address, body); code != http.StatusOK || len(host.Rejections()) > 0 || len(host.Events()) == 0 {
			t.Errorf("event %d: answered %d, %d events, kept %v", i, code, len(host.Events()), host.Rejections())
		}
		var what struct {
			Type            string
			Message, Source struct{ Type string }
		}
		if err := json.Unmarshal(e, &what); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&told, "== %d: %s from a %s\n%s", i, strings.TrimSpace(what.Type+" "+what.Message.Type), what.Source.Type, channeltest.Transcript(host.Events()))
	}
	if len(delivery.Events) != 27 {
		t.Errorf("%d events", len(delivery.Events))
	}
	channeltest.Golden(t, filepath.Join("testdata", "line-bot-sdk-python.transcript"), told.String())
}

// The whole delivery at once is taken, too: of what has one id, the first stands.
func TestAWholeDeliveryOfLINEsOwnLibraryIsTaken(t *testing.T) {
	host := channeltest.NewHost()
	if code := deliver(t, open(t, host), address, string(data(t, "provider-payloads", "line", "webhook.json"))); code != http.StatusOK || len(host.Rejections()) > 0 {
		t.Error(code, host.Rejections())
	}
}

func TestTheSignatureIsThatOfTheVector(t *testing.T) {
	var vectors []struct {
		Provider, Body, Signature string
		Secret                    string `json:"channel_secret"`
	}
	if err := json.Unmarshal(data(t, "signature-vectors", "vectors.json"), &vectors); err != nil {
		t.Fatal(err)
	}
	tried := 0
	for _, v := range vectors {
		if v.Provider != "line" {
			continue
		}
		tried++
		for body, want := range map[string]int{v.Body: http.StatusOK, v.Body + "x": http.StatusUnauthorized} {
			mux := http.NewServeMux()
			cfg := config(mux)
			cfg.Accounts[0].ChannelSecret = v.Secret
			c, err := line.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Open(t.Context(), channeltest.NewHost()); err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(body))
			r.Header.Set("X-Line-Signature", v.Signature)
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("%q: answered %d", body, w.Code)
			}
		}
	}
	if tried == 0 {
		t.Error("there is no vector of LINE's")
	}
}
