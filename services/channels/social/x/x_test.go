package x_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"golang.org/x/oauth2"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/services/channels/social/x"
)

const (
	consumerSecret = "c0nsumer-s3cret"
	accessSecret   = "acc3ss-s3cret"
	appID          = "13090192"
	webhookURL     = "https://skein.example/channels/x/lumen/lamps"
)

func config(mux webhook.Mux, api string) x.Config {
	app := x.Account{ConsumerKey: "ckey", ConsumerSecret: consumerSecret, AccessToken: "1000000001-token", AccessSecret: accessSecret, AppID: appID, APIURL: api}
	lamps, service, other := app, app, app
	lamps.Tenant, lamps.Inbox, lamps.UserID = "lumen", "lamps", "1000000001"
	service.Tenant, service.Inbox, service.UserID = "lumen", "service", "1000000002"
	other.Tenant, other.Inbox, other.UserID, other.ConsumerSecret = "acme", "press", "1000000003", "another app's"
	return x.Config{Mux: mux, Accounts: []x.Account{lamps, service, other}}
}

// open gives the webhooks of a new channel.
func open(tb testing.TB, host channel.Host) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	c, err := x.New(config(mux, ""))
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux
}

// sign makes a request one of X's; written from the documentation, and not by what is tested.
func sign(r *http.Request, body []byte) {
	r.Header.Set("x-twitter-webhooks-signature", signed(consumerSecret, body))
}

func signed(secret string, body []byte) string {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write(body)
	return "sha256=" + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

func story(tb testing.TB) []channeltest.Delivery {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "synthetic.story"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []channeltest.Delivery
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		all = append(all, channeltest.Delivery{Name: name, URL: webhookURL, ContentType: "application/json", Body: strings.TrimSpace(body)})
	}
	return all
}

func post(h http.Handler, address, body string, sign func(*http.Request, []byte)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, address, strings.NewReader(body))
	sign(r, []byte(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// taken gives what became of one delivery that must be taken.
func taken(t *testing.T, body string) *channeltest.Host {
	t.Helper()
	host := channeltest.NewHost()
	if answer := post(open(t, host), webhookURL, body, sign); answer.Code != http.StatusOK {
		t.Fatal(answer.Code, answer.Body)
	}
	return host
}

func TestTheStoryGivesTheEventsBesideIt(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	for _, d := range story(t) {
		if answer := post(h, d.URL, d.Body, sign); answer.Code != http.StatusOK {
			t.Errorf("%s: %d %s", d.Name, answer.Code, answer.Body)
		}
	}
	for _, r := range host.Rejections() {
		t.Errorf("rejected: %s: %s", r.Reason, r.Raw)
	}
	channeltest.Fingerprint(t, host) // no conflicts
	channeltest.Golden(t, filepath.Join("testdata", "synthetic.events"), channeltest.Transcript(host.Events()))
}

// quiet tells whether a delivery is understood and of no interest. It is answered with success whatever the log does.
func quiet(t *testing.T, d channeltest.Delivery) bool {
	t.Helper()
	host := taken(t, d.Body)
	return len(host.Events())+len(host.Rejections()) == 0
}

func TestWhatIsOfNoInterestGivesNothing(t *testing.T) {
	var names []string
	for _, d := range story(t) {
		if quiet(t, d) {
			names = append(names, d.Name)
		}
	}
	want := []string{"what Skein sent itself comes back as well, and tells nothing", "Mia types", "a replay is over"}
	if !slices.Equal(names, want) {
		t.Errorf("%q", names)
	}
}

func TestTheKit(t *testing.T) {
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open:  func(t *testing.T, host channel.Host) http.Handler { t.Helper(); return open(t, host) },
		Story: slices.DeleteFunc(story(t), func(d channeltest.Delivery) bool { return quiet(t, d) }),
		Sign:  sign,
		Unsign: func(r *http.Request) {
			r.Header.Del("x-twitter-webhooks-signature")
		},
	})
}

func TestTheChallengeIsAnsweredWithTheTokensSignature(t *testing.T) {
	h := open(t, channeltest.NewHost())
	get := func(query string) *http.Response {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, webhookURL+query, http.NoBody))
		return w.Result()
	}
	answer := get("?crc_token=ZGQ3YWY2-_4/abc=")
	body, _ := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	var said map[string]string
	if err := json.Unmarshal(body, &said); err != nil || answer.StatusCode != http.StatusOK || len(said) != 1 ||
		said["response_token"] != signed(consumerSecret, []byte("ZGQ3YWY2-_4/abc=")) {
		t.Error(answer.Status, string(body), err)
	}
	// Whoever asks for the signature of a token must not get that of a webhook.
	for _, query := range []string{
		"", "?crc_token=", "?crc_token=" + url.QueryEscape(`{"for_user_id":"1000000001"}`), "?crc_token=" + url.QueryEscape(`[1]`),
		"?crc_token=a%20b", "?crc_token=%00", "?crc_token=" + strings.Repeat("a", 513),
	} {
		answer := get(query)
		if _ = answer.Body.Close(); answer.StatusCode != http.StatusBadRequest {
			t.Errorf("%.40s: answered %s", query, answer.Status)
		}
	}
}

func TestANewerAppSignsWithItsClientSecret(t *testing.T) {
	const body = `{"for_user_id":"1000000001","spaces_events":[{"a":1}]}`
	for name, c := range map[string]struct {
		consumer, client string
		headers          map[string]string
		want             int
	}{
		"both secrets, both headers": {"c", "o", map[string]string{"X-Twitter-Webhooks-Signature": signed("c", []byte(body)), "X-Twitter-Webhooks-Signature-OAuth2": signed("o", []byte(body))}, 200},
		"both secrets, the old one":  {"c", "o", map[string]string{"X-Twitter-Webhooks-Signature": signed("c", []byte(body))}, 200},
		"both secrets, the new one":  {"c", "o", map[string]string{"X-Twitter-Webhooks-Signature-OAuth2": signed("o", []byte(body))}, 200},
		"a wrong new one":            {"c", "o", map[string]string{"X-Twitter-Webhooks-Signature": signed("c", []byte(body)), "X-Twitter-Webhooks-Signature-OAuth2": "sha256="}, 401},
		"the new one only":           {"", "o", map[string]string{"X-Twitter-Webhooks-Signature-OAuth2": signed("o", []byte(body))}, 200},
		"no consumer secret, and the old header signed with nothing": {"", "o", map[string]string{"X-Twitter-Webhooks-Signature": signed("", []byte(body))}, 401},
		"no client secret, and the new header signed with nothing":   {"c", "", map[string]string{"X-Twitter-Webhooks-Signature-OAuth2": signed("", []byte(body))}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			mux := http.NewServeMux()
			ch, err := x.New(x.Config{Mux: mux, Accounts: []x.Account{{Tenant: "lumen", Inbox: "lamps", UserID: "1000000001", ConsumerSecret: c.consumer, ClientSecret: c.client}}})
			if err != nil {
				t.Fatal(err)
			}
			if err := ch.Open(t.Context(), channeltest.NewHost()); err != nil {
				t.Fatal(err)
			}
			got := post(mux, webhookURL, body, func(r *http.Request, _ []byte) {
				for k, v := range c.headers {
					r.Header.Set(k, v)
				}
			})
			if got.Code != c.want {
				t.Errorf("answered %d", got.Code)
			}
		})
	}
}

func TestNewNamesEverythingThatIsWrong(t *testing.T) {
	if _, err := x.New(x.Config{}); err == nil {
		t.Error("no mux")
	}
	for want, change := range map[string]func(*x.Config){
		"stand in a path":                   func(c *x.Config) { c.Accounts[0].Tenant = "a/b" },
		"number of the account":             func(c *x.Config) { c.Accounts[0].UserID = "@lumen" },
		"webhooks are signed":               func(c *x.Config) { c.Accounts[0].ConsumerSecret = "" },
		"an access token has a secret":      func(c *x.Config) { c.Accounts[0].AccessSecret = "" },
		"the app's consumer key":            func(c *x.Config) { c.Accounts[0].ConsumerKey = "" },
		"either an access token":            func(c *x.Config) { c.Accounts[0].Tokens = oauth2.StaticTokenSource(&oauth2.Token{}) },
		"the app's id is a number":          func(c *x.Config) { c.Accounts[0].AppID = "Skein" },
		"the API's URL":                     func(c *x.Config) { c.Accounts[0].APIURL = "ftp://x" },
		"it stands twice":                   func(c *x.Config) { c.Accounts[1].Inbox = c.Accounts[0].Inbox },
		"the same app has an inbox already": func(c *x.Config) { c.Accounts[1].UserID = c.Accounts[0].UserID },
	} {
		cfg := config(http.NewServeMux(), "")
		change(&cfg)
		if _, err := x.New(cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), accessSecret) || strings.Contains(err.Error(), consumerSecret) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

func TestAtTheEndNothingIsTaken(t *testing.T) {
	mux := http.NewServeMux()
	c, err := x.New(config(mux, ""))
	if err != nil {
		t.Fatal(err)
	}
	if c.Name() != "social.x" {
		t.Error(c.Name())
	}
	if err := c.Open(t.Context(), channeltest.NewHost()); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := c.Run(ended); err != nil {
		t.Error(err)
	}
	if got := post(mux, webhookURL, "{}", sign); got.Code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", got.Code)
	}
}
