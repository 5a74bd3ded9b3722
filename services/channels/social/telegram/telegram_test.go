package telegram_test

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/telegram"
)

const (
	token   = "110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw" //nolint:gosec // the one of the documents
	secret  = "s3cret_of-the_hook"
	address = "https://skein.example/channels/telegram/lumen/bot"
)

func config(mux *http.ServeMux) telegram.Config {
	return telegram.Config{Mux: mux, Accounts: []telegram.Account{{Tenant: "lumen", Inbox: "bot", Token: token, SecretToken: secret}}}
}

// open gives the webhook of a new channel.
func open(tb testing.TB, host channel.Host) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	c, err := telegram.New(config(mux))
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux
}

// sign makes a request one of Telegram's. Its token is the same for every body; so that the kit, which thinks of signatures over
// bodies, sees another one for another body, that one gets another token.
func sign(r *http.Request, body []byte) {
	r.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret)
	if r.GetBody == nil {
		return
	}
	again, err := r.GetBody()
	if err != nil {
		return
	}
	if own, err := io.ReadAll(again); err == nil && !bytes.Equal(own, body) {
		r.Header.Set("X-Telegram-Bot-Api-Secret-Token", secret+"_of_another_bot")
	}
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
		all = append(all, channeltest.Delivery{Name: name, URL: address, ContentType: "application/json", Body: strings.TrimSpace(body)})
	}
	return all
}

func TestTheWebhookPassesTheKit(t *testing.T) {
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open:   func(t *testing.T, host channel.Host) http.Handler { t.Helper(); return open(t, host) },
		Story:  story(t),
		Sign:   sign,
		Unsign: func(r *http.Request) { r.Header.Del("X-Telegram-Bot-Api-Secret-Token") },
	})
}

func TestTheStoryIsTold(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host)
	var told strings.Builder
	for _, d := range story(t) {
		before := len(host.Events())
		if answer := deliver(t, h, d.Body); answer != http.StatusOK {
			t.Fatalf("%s: answered %d", d.Name, answer)
		}
		told.WriteString("== " + d.Name + "\n" + channeltest.Transcript(host.Events()[before:]))
	}
	for _, r := range host.Rejections() {
		t.Errorf("%s: %s", r.Reason, r.Raw)
	}
	channeltest.Golden(t, filepath.Join("testdata", "synthetic.transcript"), told.String())
}
