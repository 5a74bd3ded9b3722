package whatsapp_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/meta"
	"github.com/skein-cx/skein/services/channels/social/meta/whatsapp"
)

const (
	appSecret   = "the app's secret"
	verifyToken = "t0ken"
	accessToken = "EAAsecret"
	deskURL     = "https://skein.example/channels/whatsapp/lumen/desk"
)

// config has two numbers of one app, and a third of another one.
func config(mux *http.ServeMux) whatsapp.Config {
	account := whatsapp.Account{
		Tenant: "lumen", Inbox: "desk", PhoneNumberID: "111222333", BusinessAccountID: "100200300",
		AppSecret: appSecret, VerifyToken: verifyToken, AccessToken: accessToken,
	}
	second, other := account, account
	second.Inbox, second.PhoneNumberID = "shop", "444555666"
	other.Inbox, other.PhoneNumberID, other.AppSecret = "elsewhere", "777888999", "another app's"
	return whatsapp.Config{Mux: mux, Accounts: []whatsapp.Account{account, second, other}}
}

func open(t *testing.T, host channel.Host, cfg whatsapp.Config) *whatsapp.Channel {
	t.Helper()
	c, err := whatsapp.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	return c
}

func sign(r *http.Request, body []byte) {
	r.Header.Set(meta.SignatureHeader, meta.Sign(appSecret, body))
}

// post delivers a body, signed.
func post(t *testing.T, h http.Handler, url, body string) int {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	sign(r, []byte(body))
	recorder := httptest.NewRecorder()
	h.ServeHTTP(recorder, r)
	return recorder.Code
}

// story is synthetic: what one company's customers do, in the forms of Meta's reference of webhooks.
func story(tb testing.TB) []channeltest.Delivery {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "kettle.synthetic.json"))
	if err != nil {
		tb.Fatal(err)
	}
	var told []struct {
		Name string
		Body json.RawMessage
	}
	if err := json.Unmarshal(raw, &told); err != nil {
		tb.Fatal(err)
	}
	var all []channeltest.Delivery
	for _, d := range told {
		all = append(all, channeltest.Delivery{Name: d.Name, URL: deskURL, ContentType: "application/json", Body: string(d.Body)})
	}
	return all
}

func TestTheKit(t *testing.T) {
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open: func(t *testing.T, host channel.Host) http.Handler {
			t.Helper()
			mux := http.NewServeMux()
			open(t, host, config(mux))
			return mux
		},
		Story:  story(t),
		Sign:   sign,
		Unsign: func(r *http.Request) { r.Header.Del(meta.SignatureHeader) },
	})
}

func TestTheStory(t *testing.T) {
	var told strings.Builder
	host, mux := channeltest.NewHost(), http.NewServeMux()
	open(t, host, config(mux))
	for _, d := range story(t) {
		before := len(host.Events())
		if status := post(t, mux, d.URL, d.Body); status != http.StatusOK {
			t.Errorf("%s: answered %d", d.Name, status)
		}
		told.WriteString("== " + d.Name + "\n" + channeltest.Transcript(host.Events()[before:]))
	}
	for _, r := range host.Rejections() {
		t.Errorf("rejected: %s: %s", r.Reason, r.Raw)
	}
	channeltest.Golden(t, filepath.Join("testdata", "kettle.events"), told.String())
}

// payloads are the updates of pywa's tests, by file and name.
func payloads(t *testing.T) (files []string, updates map[string]map[string]json.RawMessage, order map[string][]string) {
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
	folder := filepath.Join(root, "..", "shared", "data", "provider-payloads", "whatsapp-cloud-pywa", "tests", "data", "updates")
	_, err = os.Stat(folder)
	required := slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" })
	if errors.Is(err, os.ErrNotExist) && !required {
		t.Skip("skipped: the payloads of ../shared/data/provider-payloads/whatsapp-cloud-pywa are not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	files, err = filepath.Glob(filepath.Join(folder, "*.json"))
	if err != nil {
		t.Fatal(err)
	}
	updates, order = map[string]map[string]json.RawMessage{}, map[string][]string{}
	for i, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// what the documentation leaves to the reader to fill in
		raw = []byte(strings.NewReplacer("<BUSINESS_PHONE_NUMBER_ID>", "1122334455667", "<WHATSAPP_BUSINESS_ACCOUNT_ID>", "1234567890987654321").Replace(string(raw)))
		files[i] = filepath.Base(file)
		var all map[string]json.RawMessage
		if err := json.Unmarshal(raw, &all); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
		updates[files[i]] = all
		for name := range all {
			order[files[i]] = append(order[files[i]], name)
		}
		slices.SortFunc(order[files[i]], func(a, b string) int { // as they stand in the file
			return bytes.Index(raw, []byte(`"`+a+`": {`)) - bytes.Index(raw, []byte(`"`+b+`": {`))
		})
	}
	return files, updates, order
}

// accountOf makes the account that an update is about.
func accountOf(t *testing.T, update json.RawMessage) whatsapp.Account {
	t.Helper()
	var u struct {
		Entry []struct {
			ID      string
			Changes []struct {
				Value struct {
					Metadata struct {
						PhoneNumberID string `json:"phone_number_id"`
					}
					WABA struct {
						ID string `json:"waba_id"`
					} `json:"waba_info"`
				}
			}
		}
	}
	if err := json.Unmarshal(update, &u); err != nil || len(u.Entry) != 1 || len(u.Entry[0].Changes) != 1 {
		t.Fatalf("%v: %s", err, update)
	}
	account := whatsapp.Account{
		Tenant: "lumen", Inbox: "desk", PhoneNumberID: u.Entry[0].Changes[0].Value.Metadata.PhoneNumberID,
		BusinessAccountID: cmp.Or(u.Entry[0].Changes[0].Value.WABA.ID, u.Entry[0].ID), AppSecret: appSecret, VerifyToken: verifyToken,
	}
	if account.PhoneNumberID == "" {
		account.PhoneNumberID = "1122334455667"
	}
	return account
}

// Each update is one of its own: their ids are the same, although they tell of different messages.
func TestWhatAnotherLibraryIsTestedWithIsUnderstood(t *testing.T) {
	files, updates, order := payloads(t)
	if len(files) != 19 {
		t.Errorf("%d files", len(files))
	}
	var told strings.Builder
	for _, file := range files {
		told.WriteString("==== " + file + "\n")
		for _, name := range order[file] {
			host, mux := channeltest.NewHost(), http.NewServeMux()
			open(t, host, whatsapp.Config{Mux: mux, Accounts: []whatsapp.Account{accountOf(t, updates[file][name])}})
			if status := post(t, mux, deskURL, string(updates[file][name])); status != http.StatusOK {
				t.Errorf("%s: %s: answered %d", file, name, status)
			}
			for _, r := range host.Rejections() {
				t.Errorf("%s: %s: rejected: %s", file, name, r.Reason)
			}
			if len(host.Events()) == 0 {
				t.Errorf("%s: %s: nothing is told", file, name)
			}
			told.WriteString("== " + name + "\n" + channeltest.Transcript(host.Events()))
		}
	}
	channeltest.Golden(t, filepath.Join("testdata", "pywa.events"), told.String())
}
