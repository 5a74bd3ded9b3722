package messenger_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/meta/messenger"
)

const (
	appSecret   = "0123456789abcdef0123456789abcdef"
	otherSecret = "fedcba9876543210fedcba9876543210"
	verifyToken = "chosen"
	accessToken = "EAAsecret"
	baseURL     = "https://skein.example"
	page        = "1029384756"
	instagram   = "17841400000000001"
)

// products are the two, with their stories.
var products = []struct {
	product messenger.Product
	story   string
	account string
}{{messenger.Facebook, "page", page}, {messenger.Instagram, "instagram", instagram}}

// config has a page (or an account) of one tenant, others of the same app in another one, and one of another app.
func config(product messenger.Product) messenger.Config {
	cfg := messenger.Config{Product: product, Mux: http.NewServeMux(), Accounts: []messenger.Account{
		{Tenant: "lumen", Inbox: "social", ID: page, AccessToken: accessToken},
		{Tenant: "nox", Inbox: "social", ID: "2000000000", AccessToken: accessToken},
		{Tenant: "rival", Inbox: "social", ID: "3000000000", AppSecret: otherSecret},
	}}
	if product == messenger.Instagram {
		cfg.Accounts[0].ID, cfg.Accounts[0].PageID = instagram, page
	}
	for i := range cfg.Accounts {
		a := &cfg.Accounts[i]
		a.VerifyToken = verifyToken
		if a.AppSecret == "" {
			a.AppSecret = appSecret
		}
	}
	return cfg
}

// open gives the webhooks of a new channel.
func open(tb testing.TB, product messenger.Product, host channel.Host) http.Handler {
	tb.Helper()
	cfg := config(product)
	mux := http.NewServeMux()
	cfg.Mux = mux
	c, err := messenger.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux
}

// sign makes a request one of Meta's; written from the documentation, and not by what is tested.
func sign(r *http.Request, body []byte) {
	mac := hmac.New(sha256.New, []byte(appSecret))
	mac.Write(body)
	r.Header.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(mac.Sum(nil)))
}

// story reads the deliveries of a file.
func story(tb testing.TB, name string, product messenger.Product) []channeltest.Delivery {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".story"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []channeltest.Delivery
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		all = append(all, delivery(product, title, strings.TrimSpace(body)))
	}
	return all
}

// delivery is a webhook at Lumen's path.
func delivery(product messenger.Product, name, body string) channeltest.Delivery {
	return channeltest.Delivery{Name: name, URL: baseURL + "/channels/" + string(product) + "/lumen/social", ContentType: "application/json", Body: body}
}

func post(h http.Handler, d channeltest.Delivery) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, d.URL, strings.NewReader(d.Body))
	sign(r, []byte(d.Body))
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer
}

func TestEachStoryGivesTheEventsBesideIt(t *testing.T) {
	for _, p := range products {
		t.Run(p.story, func(t *testing.T) {
			host := channeltest.NewHost()
			h := open(t, p.product, host)
			for _, d := range story(t, p.story, p.product) {
				before := len(host.Events())
				if answer := post(h, d); answer.Code != http.StatusOK || len(host.Events()) == before {
					t.Errorf("%s: %d, %d events", d.Name, answer.Code, len(host.Events())-before)
				}
			}
			for _, r := range host.Rejections() {
				t.Errorf("rejected: %s: %s", r.Reason, r.Raw)
			}
			channeltest.Fingerprint(t, host) // no conflicts
			channeltest.Golden(t, filepath.Join("testdata", p.story+".events"), channeltest.Transcript(host.Events()))
		})
	}
}

func TestWebhooks(t *testing.T) {
	for _, p := range products {
		t.Run(p.story, func(t *testing.T) {
			channeltest.TestWebhook(t, channeltest.Webhook{
				Open: func(t *testing.T, host channel.Host) http.Handler {
					t.Helper()
					return open(t, p.product, host)
				},
				Story: story(t, p.story, p.product), Sign: sign,
				Unsign: func(r *http.Request) { r.Header.Del("X-Hub-Signature-256") },
			})
		})
	}
}

func TestTheHandshakeIsAnswered(t *testing.T) {
	for _, p := range products {
		h := open(t, p.product, channeltest.NewHost())
		for token, want := range map[string]int{verifyToken: http.StatusOK, "guessed": http.StatusForbidden} {
			answer := httptest.NewRecorder()
			h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, baseURL+"/channels/"+string(p.product)+"/lumen/social?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="+token, http.NoBody))
			if answer.Code != want || want == http.StatusOK && answer.Body.String() != "1158201444" {
				t.Errorf("%s: %d %s", token, answer.Code, answer.Body)
			}
		}
	}
}

func TestAChannelThatStopsTakesNoMore(t *testing.T) {
	cfg, mux := config(messenger.Facebook), http.NewServeMux()
	cfg.Mux = mux
	c, err := messenger.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), channeltest.NewHost()); err != nil || c.Name() != "social.messenger" {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	if answer := post(mux, story(t, "page", messenger.Facebook)[0]); answer.Code != http.StatusServiceUnavailable {
		t.Error(answer.Code)
	}
}

func TestAConfigurationThatCannotWorkIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	_, err := messenger.New(messenger.Config{Product: "whatsapp", GraphURL: "ftp://x", Accounts: []messenger.Account{
		{Tenant: "a/b", Inbox: "x", ID: "lumen", PageID: "17"},
		{Tenant: "lumen", Inbox: "shop", ID: "1", AppSecret: appSecret, VerifyToken: verifyToken},
		{Tenant: "lumen", Inbox: "shop", ID: "2", AppSecret: appSecret, VerifyToken: verifyToken},
		{Tenant: "lumen", Inbox: "desk", ID: "1", AppSecret: appSecret, VerifyToken: verifyToken},
	}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"the product is", "a mux", "API's URL", "in a path", "id is a number", "only Instagram", "app secret is missing", "verify token is missing", "stands twice", "has the same id"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), appSecret) {
		t.Error("the error holds the secret")
	}
}
