package kf_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/wechat"
	"github.com/skein-cx/skein/services/channels/social/wechat/kf"
)

const (
	corp     = "ww2f6c1d0a9b8e7f55"
	openKfID = "wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw"
	customer = "wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw"
	token    = "QDG6eK"
	aesKey   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	secret   = "the-secret-of-the-application"

	timestamp = "1772442000"
	nonce     = "1372623149"
	path      = "https://skein.example/channels/wechat_kf/lumen/shop"
)

// story reads the items of the story.
func story(tb testing.TB) (items []string) {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", "synthetic-sync.story"))
	if err != nil {
		tb.Fatal(err)
	}
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		_, body, _ := strings.Cut(section, "\n") // behind what it tells
		items = append(items, strings.TrimSpace(body))
	}
	return items
}

// api is WeCom's API: it answers over HTTP as the documents say.
type api struct {
	*httptest.Server

	mu       sync.Mutex
	items    []string          // what it has to tell
	pageSize int               // how many it gives at once
	cut      bool              // the next answer breaks off in the middle
	answers  map[string]string // by path, in the place of what it would answer
	tokens   map[string]bool   // callbacks' tokens that are valid; all where it is nil
	asked    []string          // path and body
	change   chan struct{}     // closed at the next call
}

func newAPI(tb testing.TB) *api {
	tb.Helper()
	a := &api{pageSize: 2, answers: map[string]string{}, change: make(chan struct{})}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	tb.Cleanup(a.Close)
	return a
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // who asks has gone away
	}
	var answer string
	switch {
	case r.URL.Path == "/cgi-bin/gettoken" && q.Get("corpid") == corp && q.Get("corpsecret") == secret:
		answer = `{"errcode":0,"errmsg":"ok","access_token":"accesstoken000001","expires_in":7200}`
	case r.URL.Path == "/cgi-bin/gettoken":
		answer = `{"errcode":40001,"errmsg":"invalid credential"}`
	case q.Get("access_token") != "accesstoken000001":
		answer = `{"errcode":40014,"errmsg":"invalid access_token"}`
	default:
		answer = a.answer(r.URL.Path, string(body))
	}
	a.mu.Lock()
	cut := a.cut && strings.Contains(answer, "msg_list")
	a.cut = a.cut && !cut
	a.mu.Unlock()
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(answer)))
	if cut {
		answer = answer[:len(answer)/2] // less than was announced: the connection is closed
	}
	_, _ = io.WriteString(w, answer)
}

func (a *api) answer(path, body string) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, path+" "+strings.TrimSpace(body))
	close(a.change)
	a.change = make(chan struct{})
	if answer, ok := a.answers[path]; ok {
		return answer
	}
	if path != "/cgi-bin/kf/sync_msg" {
		return `{"errcode":0,"errmsg":"ok"}`
	}
	var ask struct {
		Cursor   string `json:"cursor"`
		Token    string `json:"token"`
		Limit    int    `json:"limit"`
		OpenKfID string `json:"open_kfid"`
	}
	if err := json.Unmarshal([]byte(body), &ask); err != nil || ask.OpenKfID != openKfID {
		return `{"errcode":95000,"errmsg":"invalid open_kfid"}`
	}
	if ask.Token != "" && a.tokens != nil && !a.tokens[ask.Token] {
		return `{"errcode":95007,"errmsg":"invalid msg token"}`
	}
	from, _ := strconv.Atoi(strings.TrimPrefix(ask.Cursor, "4gw7MepFLfgF2VC5np"))
	from = min(from, len(a.items))
	to := min(from+min(a.pageSize, ask.Limit), len(a.items))
	more := 0
	if to < len(a.items) {
		more = 1
	}
	return `{"errcode":0,"errmsg":"ok","next_cursor":"4gw7MepFLfgF2VC5np` + strconv.Itoa(to) + `","has_more":` + strconv.Itoa(more) + `,"msg_list":[` + strings.Join(a.items[from:to], ",") + `]}`
}

// set makes the API answer something, by path; empty as it would by itself.
func (a *api) set(path, answer string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answers[path] = answer; answer == "" {
		delete(a.answers, path)
	}
}

func (a *api) tell(items ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.items = append(a.items, items...)
}

func (a *api) calls() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.asked...)
}

// await waits for a call that is as wanted, behind the first so many.
func (a *api) await(tb testing.TB, behind int, wanted func(call string) bool) {
	tb.Helper()
	for {
		a.mu.Lock()
		calls, change := a.asked, a.change
		a.mu.Unlock()
		if slices.ContainsFunc(calls[min(behind, len(calls)):], wanted) {
			return
		}
		select {
		case <-change:
		case <-time.After(time.Minute):
			tb.Fatalf("no such call: %v", calls)
		}
	}
}

func (a *api) account() kf.Account {
	return kf.Account{
		Tenant: "lumen", Inbox: "shop", CorpID: corp, OpenKfID: openKfID, Token: token, EncodingAESKeys: []string{aesKey}, Secret: secret,
		APIURL: a.URL, Agents: map[string]string{"lisi": "li.si"},
	}
}

// patient pulls when it is woken only.
func (a *api) patient(mux *http.ServeMux, cursors channel.Cursors) kf.Config {
	return kf.Config{
		Mux: mux, Accounts: []kf.Account{a.account()}, Cursors: cursors, PollInterval: time.Hour,
		Backoff: kf.Backoff{First: time.Millisecond, Most: 10 * time.Millisecond},
	}
}

// run opens a channel and lets it run for as long as the test.
func run(tb testing.TB, host channel.Host, cfg kf.Config) *kf.Channel {
	tb.Helper()
	c, err := kf.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(tb.Context()) }()
	tb.Cleanup(func() {
		if err := <-ended; err != nil {
			tb.Error(err)
		}
	})
	return c
}

// sealed is the encryption, as WeChat does it.
func sealed(tb testing.TB) *wechat.Crypto {
	tb.Helper()
	c, err := wechat.NewCrypto(corp, aesKey)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func wrap(tb testing.TB, body []byte) []byte {
	tb.Helper()
	wrapped, _, err := sealed(tb).Seal(body, token, timestamp, nonce)
	if err != nil {
		tb.Fatal(err)
	}
	return wrapped
}

// sign makes a request one of WeChat's.
func sign(r *http.Request, body []byte) {
	_, encrypted, _ := strings.Cut(string(body), "<Encrypt><![CDATA[")
	encrypted, _, _ = strings.Cut(encrypted, "]]>")
	r.URL.RawQuery = url.Values{
		"msg_signature": {wechat.Signature(token, timestamp, nonce, encrypted)}, "timestamp": {timestamp}, "nonce": {nonce},
	}.Encode()
}

func post(tb testing.TB, h http.Handler, body string) int {
	tb.Helper()
	wrapped := wrap(tb, []byte(body))
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, path, strings.NewReader(string(wrapped)))
	sign(r, wrapped)
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer.Code
}

// callback says that an account has messages.
func callback(account, token string) string {
	return `<xml><ToUserName><![CDATA[` + corp + `]]></ToUserName><CreateTime>1348831860</CreateTime><MsgType><![CDATA[event]]></MsgType>` +
		`<Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[` + token + `]]></Token><OpenKfId><![CDATA[` + account + `]]></OpenKfId></xml>`
}

// told tells events, with what they carry from WeChat in clear.
func told(events []channeltest.Event) string {
	return regexp.MustCompile(`"data":"[^"]*"`).ReplaceAllStringFunc(channeltest.Transcript(events), func(data string) string {
		raw, err := base64.StdEncoding.DecodeString(strings.Trim(strings.TrimPrefix(data, `"data":`), `"`))
		if err != nil {
			return err.Error()
		}
		return `"data":` + string(raw)
	})
}

// events waits for so many.
func events(tb testing.TB, host *channeltest.Host, n int) []channeltest.Event {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), time.Minute)
	defer cancel()
	all, err := host.WaitEvents(ctx, n)
	if err != nil {
		tb.Fatal(err, told(all), host.Rejections())
	}
	return all
}
