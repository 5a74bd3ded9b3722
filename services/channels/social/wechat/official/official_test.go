package official_test

import (
	"bytes"
	"context"
	"crypto/sha1" //nolint:gosec // what WeChat signs with
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/services/channels/social/wechat"
	"github.com/skein-cx/skein/services/channels/social/wechat/official"
)

const (
	appID     = "wx00000000000000a1"
	miniID    = "wx00000000000000a2"
	token     = "lumen-token"
	secret    = "s3cret"
	aesKey    = "kWxPEV2UEDyxWpmPdKC3F4dgPDmOvfKX1HGnEUDS1aR"
	newAESKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	base      = "https://skein.example"
)

// accounts are a service account in clear mode and in safe mode, and a mini-program in both.
func accounts() []official.Account {
	agents := map[string]string{"ada@lumen": "ada"}
	return []official.Account{
		{Tenant: "lumen", Inbox: "service", AppID: appID, AppSecret: secret, Token: token, OriginalID: "gh_lumen", Agents: agents},
		{Tenant: "lumen", Inbox: "safe", AppID: appID, AppSecret: secret, Token: token, OriginalID: "gh_lumen", Agents: agents, EncodingAESKey: newAESKey, OldEncodingAESKey: aesKey},
		{Tenant: "lumen", Inbox: "mini", AppID: miniID, AppSecret: secret, Token: token, MiniProgram: true},
		{Tenant: "lumen", Inbox: "safe-mini", AppID: miniID, Token: token, MiniProgram: true, EncodingAESKey: aesKey},
	}
}

func newChannel(tb testing.TB, cfg official.Config) *official.Channel {
	tb.Helper()
	if cfg.Mux == nil {
		cfg.Mux = http.NewServeMux()
	}
	if cfg.Accounts == nil {
		cfg.Accounts = accounts()
	}
	c, err := official.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	c.SetPatience(time.Hour)
	return c
}

// open gives the webhooks of a new channel.
func open(tb testing.TB, host channel.Host) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	if err := newChannel(tb, official.Config{Mux: mux}).Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux
}

// story reads the deliveries of a story, which come in at an inbox.
func story(tb testing.TB, file, inbox string) []channeltest.Delivery {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	var all []channeltest.Delivery
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		name, body, _ := strings.Cut(section, "\n")
		all = append(all, delivery(name, inbox, strings.TrimSpace(body)))
	}
	return all
}

func delivery(name, inbox, body string) channeltest.Delivery {
	d := channeltest.Delivery{Name: name, URL: base + "/channels/wechat/lumen/" + inbox, ContentType: "text/xml", Body: body}
	if strings.HasPrefix(body, "{") {
		d.ContentType = "application/json"
	}
	return d
}

// sign makes a request one of WeChat's: in clear by the token, else by what is encrypted as well. It is written from the documents, and not by
// what is tested.
func sign(r *http.Request, body []byte) {
	const timestamp, nonce = "1772442000", "1372623149"
	signature := func(parts ...string) string {
		slices.Sort(parts)
		return fmt.Sprintf("%x", sha1.Sum([]byte(strings.Join(parts, "")))) //nolint:gosec // what WeChat signs with
	}
	q := url.Values{"timestamp": {timestamp}, "nonce": {nonce}, "openid": {"oLumen"}, "signature": {signature(token, timestamp, nonce)}}
	for _, quotes := range [][2]string{{"<Encrypt><![CDATA[", "]]>"}, {`"Encrypt":"`, `"`}} {
		if _, after, ok := strings.Cut(string(body), quotes[0]); ok {
			encrypted, _, _ := strings.Cut(after, quotes[1])
			q.Set("encrypt_type", "aes")
			q.Set("msg_signature", signature(token, timestamp, nonce, encrypted))
		}
	}
	r.URL.RawQuery = q.Encode()
}

func unsign(r *http.Request) {
	q := r.URL.Query()
	q.Del("signature")
	q.Del("msg_signature")
	r.URL.RawQuery = q.Encode()
}

// seal encrypts a delivery as safe mode does.
func seal(tb testing.TB, app, key string) func(body []byte) []byte {
	tb.Helper()
	c, err := wechat.NewCrypto(app, key)
	if err != nil {
		tb.Fatal(err)
	}
	return func(body []byte) []byte {
		encrypted, err := c.Encrypt(body)
		if err != nil {
			tb.Error(err)
		}
		if strings.HasPrefix(string(body), "{") {
			return []byte(`{"ToUserName":"gh_mini","Encrypt":"` + encrypted + `"}`)
		}
		return []byte("<xml>\n    <ToUserName><![CDATA[gh_lumen]]></ToUserName>\n    <Encrypt><![CDATA[" + encrypted + "]]></Encrypt>\n</xml>")
	}
}

func TestAsEveryWebhook(t *testing.T) {
	for name, w := range map[string]channeltest.Webhook{
		"a service account, in clear":    {Story: story(t, "service.story", "service"), BodyUnsigned: true},
		"a service account, safe":        {Story: story(t, "service.story", "safe"), Wrap: seal(t, appID, newAESKey)},
		"a service account, the old key": {Story: story(t, "service.story", "safe")[:1], Wrap: seal(t, appID, aesKey)},
		"a mini-program, in clear":       {Story: story(t, "mini.story", "mini"), BodyUnsigned: true},
		"a mini-program, safe":           {Story: story(t, "mini.story", "safe-mini"), Wrap: seal(t, miniID, aesKey)},
	} {
		t.Run(name, func(t *testing.T) {
			w.Open = func(t *testing.T, host channel.Host) http.Handler { t.Helper(); return open(t, host) }
			w.Sign, w.Unsign = sign, unsign
			channeltest.TestWebhook(t, w)
		})
	}
}

func serve(h http.Handler, d channeltest.Delivery, body []byte) *http.Response {
	r := httptest.NewRequestWithContext(context.Background(), http.MethodPost, d.URL, strings.NewReader(string(body)))
	r.Header.Set("Content-Type", d.ContentType)
	sign(r, body)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

// told gives the events of deliveries.
func told(tb testing.TB, deliveries ...channeltest.Delivery) []channeltest.Event {
	tb.Helper()
	host := channeltest.NewHost()
	h := open(tb, host)
	for _, d := range deliveries {
		answer := serve(h, d, []byte(d.Body))
		said, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if err != nil || answer.StatusCode != http.StatusOK || string(said) != "success" {
			tb.Errorf("%s: answered %s %q, %v", d.Name, answer.Status, said, err)
		}
	}
	for _, r := range host.Rejections() {
		tb.Errorf("rejected: %s: %q", r.Reason, r.Raw)
	}
	for _, c := range host.Conflicts() {
		tb.Errorf("in conflict: %v", c.Submission)
	}
	return host.Events()
}

// readable shows what extensions carry as the text that it is.
func readable(transcript string) string {
	return regexp.MustCompile(`"data":"([^"]*)"`).ReplaceAllStringFunc(transcript, func(data string) string {
		raw, err := base64.StdEncoding.DecodeString(strings.Split(data, `"`)[3])
		if err != nil {
			return data
		}
		return `"data":` + strings.Join(strings.Fields(string(raw)), " ")
	})
}

func TestTheStoriesAreTold(t *testing.T) {
	for file, inbox := range map[string]string{"service": "service", "mini": "mini"} {
		t.Run(file, func(t *testing.T) {
			channeltest.Golden(t, filepath.Join("testdata", file+".events"), readable(channeltest.Transcript(told(t, story(t, file+".story", inbox)...))))
		})
	}
}

// TestWhatOtherLibrariesTestWith reads the payloads that wechatpy tests its own reading with. Several have the same ids and say other things, so that each is
// read on its own, by the account that it is meant for.
func TestWhatOtherLibrariesTestWith(t *testing.T) {
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
	files, err := filepath.Glob(filepath.Join(root, "..", "shared", "data", "provider-payloads", "wechat", "mp-*.xml"))
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 && !slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" }) {
		t.Skip("skipped: ../shared/data/provider-payloads/wechat is not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	if len(files) != 21 {
		t.Fatalf("there are %d payloads", len(files))
	}
	var b strings.Builder
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		_, to, _ := strings.Cut(string(raw), "<ToUserName><![CDATA[")
		to, _, _ = strings.Cut(to, "]]>")
		mux, host := http.NewServeMux(), channeltest.NewHost()
		account := official.Account{Tenant: "lumen", Inbox: to, AppID: appID, Token: token, OriginalID: to}
		if err := newChannel(t, official.Config{Mux: mux, Accounts: []official.Account{account}}).Open(t.Context(), host); err != nil {
			t.Fatal(err)
		}
		answer := serve(mux, delivery(file, to, string(raw)), raw)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusOK || len(host.Rejections()) > 0 {
			t.Errorf("%s: %s, %v", file, answer.Status, host.Rejections())
		}
		b.WriteString("== " + strings.TrimSuffix(filepath.Base(file), ".xml") + ", to " + to + "\n")
		for _, e := range host.Events() {
			if x := e.Submission.GetContent().GetExtension(); x != nil {
				if !bytes.Equal(x.GetData(), raw) {
					t.Errorf("%s: carried %q", file, x.GetData())
				}
				x.Data = []byte("(as it was delivered)") // the payloads stay where they are
			}
		}
		b.WriteString(readable(channeltest.Transcript(host.Events())))
	}
	channeltest.Golden(t, filepath.Join("testdata", "payloads.events"), b.String())
}

func TestTheConfigurationIsChecked(t *testing.T) {
	good := accounts()[1]
	for name, change := range map[string]func(a *official.Account){
		"no tenant":          func(a *official.Account) { a.Tenant = "" },
		"a slash":            func(a *official.Account) { a.Inbox = "a/b" },
		"no app id":          func(a *official.Account) { a.AppID = "" },
		"a foreign app id":   func(a *official.Account) { a.AppID = "wx 1" },
		"no token":           func(a *official.Account) { a.Token = "" },
		"a short key":        func(a *official.Account) { a.EncodingAESKey = "abc" },
		"a wrong old key":    func(a *official.Account) { a.OldEncodingAESKey = aesKey + "=" },
		"an old key alone":   func(a *official.Account) { a.EncodingAESKey = "" },
		"an agent":           func(a *official.Account) { a.Agents = map[string]string{"ada@lumen": "Ada Lovelace"} },
		"an address no URL":  func(a *official.Account) { a.APIURL = "api.weixin.qq.com" },
		"an address with ?":  func(a *official.Account) { a.APIURL = "https://api.weixin.qq.com?a" },
		"an address of file": func(a *official.Account) { a.APIURL = "file:///etc" },
	} {
		a := good
		change(&a)
		if _, err := official.New(official.Config{Mux: http.NewServeMux(), Accounts: []official.Account{a}}); err == nil || strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), newAESKey) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := official.New(official.Config{Mux: http.NewServeMux(), Accounts: []official.Account{good, good}}); err == nil {
		t.Error("an account stands twice")
	}
	if _, err := official.New(official.Config{Accounts: []official.Account{good}}); err == nil {
		t.Error("no mux is needed")
	}
}

func TestWeChatFindsOutWhoseTheEndpointIs(t *testing.T) {
	h := open(t, channeltest.NewHost())
	for _, inbox := range []string{"service", "safe", "mini", "safe-mini"} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, base+"/channels/wechat/lumen/"+inbox, http.NoBody)
		sign(r, nil)
		r.URL.RawQuery += "&echostr=5927782489442352469"
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusOK || w.Body.String() != "5927782489442352469" {
			t.Errorf("%s: answered %d %q", inbox, w.Code, w.Body)
		}
		unsign(r)
		w = httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code != http.StatusUnauthorized {
			t.Errorf("%s, unsigned: answered %d", inbox, w.Code)
		}
	}
}

const text = `<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName><FromUserName><![CDATA[o1]]></FromUserName><CreateTime>1772442100</CreateTime>` +
	`<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[hello]]></Content><MsgId>1</MsgId>%</xml>`

func TestCompatibleMode(t *testing.T) {
	odd := strings.Replace(strings.Replace(text, "[text]", "[odd]", 1), "%", "", 1)
	jsonOdd := `{"ToUserName":"gh_lumen","FromUserName":"o1","CreateTime":1,"MsgType":"odd","MsgId":2}`
	deliver := func(h http.Handler, inbox, message string) int {
		encrypted, err := wechat.Envelope(seal(t, appID, aesKey)([]byte(message)))
		if err != nil {
			t.Fatal(err)
		}
		body := strings.Replace(message, "</xml>", "<Encrypt><![CDATA["+encrypted+"]]></Encrypt></xml>", 1)
		if strings.HasPrefix(message, "{") {
			body = strings.Replace(message, "{", `{"Encrypt":"`+encrypted+`",`, 1)
		}
		answer := serve(h, delivery("", inbox, body), []byte(body))
		_ = answer.Body.Close()
		return answer.StatusCode
	}
	for _, inbox := range []string{"service", "safe"} {
		host := channeltest.NewHost()
		h := open(t, host)
		for range 3 { // each time encrypted anew
			for _, message := range []string{odd, jsonOdd} {
				if status := deliver(h, inbox, message); status != http.StatusOK {
					t.Errorf("%s: answered %d", inbox, status)
				}
			}
		}
		if len(host.Events()) != 2 || len(host.Conflicts())+len(host.Rejections()) > 0 {
			t.Fatalf("%s: %d events, %d conflicts, %v", inbox, len(host.Events()), len(host.Conflicts()), host.Rejections())
		}
		if data := host.Events()[0].Content.GetExtension().GetData(); string(data) != odd {
			t.Errorf("%s: carried %q", inbox, data)
		}
	}
}

func TestWithAKeyNothingIsTakenInClear(t *testing.T) {
	host := channeltest.NewHost()
	body := strings.Replace(text, "%", "", 1)
	answer := serve(open(t, host), delivery("", "safe", body), []byte(body))
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusUnauthorized || len(host.Events()) > 0 {
		t.Errorf("answered %s", answer.Status)
	}
	for name, body := range map[string][]byte{"another app": seal(t, "wx2", newAESKey)([]byte(body)), "the app of another name": seal(t, appID+"1", newAESKey)([]byte(body))} {
		answer := serve(open(t, host), delivery("", "safe", string(body)), body)
		_ = answer.Body.Close()
		if answer.StatusCode != http.StatusUnauthorized || len(host.Events())+len(host.Rejections()) > 0 {
			t.Errorf("%s: answered %s", name, answer.Status)
		}
	}
}

func TestWhatCannotBeReadIsKept(t *testing.T) {
	for name, body := range map[string]string{
		"a bomb":             `<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>` + strings.Replace(text, "%", "<Label>&b;</Label>", 1),
		"a declaration":      `<!DOCTYPE xml>` + strings.Replace(text, "%", "", 1),
		"depth":              strings.Replace(text, "%", strings.Repeat("<a>", 10_000)+strings.Repeat("</a>", 10_000), 1),
		"depth in JSON":      `{"MsgType":` + strings.Repeat(`{"a":`, 100_000) + "1" + strings.Repeat("}", 100_001),
		"some depth in JSON": `{"MsgType":` + strings.Repeat(`{"a":`, 100) + "1" + strings.Repeat("}", 101),
		"two objects":        `{"MsgType":"text"}{"MsgType":"text"}`,
		"not UTF-8":          strings.Replace(text, "%", "<Label>\xff</Label>", 1),
		"a long customer":    strings.Replace(strings.Replace(text, "[o1]", "["+strings.Repeat("o", 10_000)+"]", 1), "%", "", 1),
		"a long id":          strings.Replace(strings.Replace(text, "<MsgId>1<", "<MsgId>"+strings.Repeat("1", 10_000)+"<", 1), "%", "", 1),
		"no customer":        strings.Replace(strings.Replace(text, "[o1]", "[]", 1), "%", "", 1),
		"no id":              strings.Replace(strings.Replace(text, "<MsgId>1</MsgId>", "", 1), "%", "", 1),
		"no kind":            strings.Replace(strings.Replace(text, "[text]", "[]", 1), "%", "", 1),
		"no time":            strings.Replace(strings.Replace(text, "1772442100", "", 1), "%", "", 1),
		"a time too large":   strings.Replace(strings.Replace(text, "1772442100", "99999999999999999999", 1), "%", "", 1),
		"a time far away":    strings.Replace(strings.Replace(text, "1772442100", "9999999999999999", 1), "%", "", 1),
		"another account":    strings.Replace(strings.Replace(text, "[gh_lumen]", "[gh_other]", 1), "%", "", 1),
		"no place":           strings.Replace(strings.Replace(text, "[text]", "[location]", 1), "%", "<Location_X>NaN</Location_X><Location_Y>181</Location_Y>", 1),
		"no file":            strings.Replace(strings.Replace(text, "[text]", "[video]", 1), "%", "", 1),
		"no event":           strings.Replace(strings.Replace(text, "[text]", "[event]", 1), "%", "", 1),
		"no agent":           strings.Replace(strings.Replace(text, "[text]", "[event]", 1), "%", "<Event>kf_create_session</Event>", 1),
		"no next agent":      strings.Replace(strings.Replace(text, "[text]", "[event]", 1), "%", "<Event>kf_switch_session</Event><FromKfAccount>a</FromKfAccount>", 1),
		"no message":         strings.Replace(strings.Replace(text, "[text]", "[event]", 1), "%", "<Event>TEMPLATESENDJOBFINISH</Event><Status>success</Status>", 1),
		"no key":             `<xml><ToUserName>gh_lumen</ToUserName><Encrypt>AAAA</Encrypt></xml>`,
	} {
		t.Run(name, func(t *testing.T) {
			host := channeltest.NewHost()
			answer := serve(open(t, host), delivery("", "service", body), []byte(body))
			_ = answer.Body.Close()
			if answer.StatusCode != http.StatusOK || len(host.Events()) > 0 {
				t.Errorf("answered %s, %d events", answer.Status, len(host.Events()))
			}
			if kept := host.Rejections(); len(kept) != 1 || string(kept[0].Raw) != body || kept[0].Inbox != "service" || len(kept[0].Reason) > 1000 {
				t.Errorf("kept %.300v", kept)
			}
		})
	}
}

func TestOddDeliveriesAreUnderstoodAllTheSame(t *testing.T) {
	for name, tc := range map[string]struct{ body, types string }{
		"control characters in a long menu": {strings.Replace(strings.Replace(text, "[text]", "[event]", 1), "%", "<Event>VIEW</Event><EventKey>https://lumen.example/"+strings.Repeat("x", 5000)+"</EventKey>", 1), "flow.step_entered"},
		"a status without a message's id":   {strings.Replace(strings.Replace(text, "[text]", "[event]", 1), "%", "<Event>subscribe_msg_sent_event</Event><SubscribeMsgSentEvent><List><MsgID>1</MsgID><ErrorCode>0</ErrorCode></List><List/></SubscribeMsgSentEvent>", 1), "message.delivered ext.wechat.subscribe_msg_sent_event"},
		"a list that is an object":          {`{"ToUserName":"gh_lumen","FromUserName":"o1","CreateTime":1772442100,"MsgType":"event","Event":"subscribe_msg_sent_event","SubscribeMsgSentEvent":{"List":{"MsgID":17,"ErrorCode":8,"ErrorStatus":"no"}}}`, "message.failed"},
		"a list that is bare":               {`{"ToUserName":"gh_lumen","FromUserName":"o1","CreateTime":1772442100,"MsgType":"event","Event":"subscribe_msg_sent_event","SubscribeMsgSentEvent":[{"MsgID":17,"ErrorCode":8},{"MsgID":18,"ErrorCode":0},{"MsgID":18,"ErrorCode":0}]}`, "message.failed message.delivered"},
		"a message of tomorrow":             {strings.Replace(strings.Replace(text, "[text]", "[Hologram 3D]", 1), "%", "", 1), "ext.wechat.hologram_3d"},
		"a kind without a letter":           {strings.Replace(strings.Replace(text, "[text]", "[。]", 1), "%", "", 1), "ext.wechat.unnamed"},
		"an XML declaration":                {`<?xml version="1.0" encoding="UTF-8"?>` + "\n" + strings.Replace(text, "%", "<!-- a comment -->", 1) + "\n", "message.received"},
		"a message menu in JSON with null":  {`{"ToUserName":"gh_lumen","FromUserName":"o1","CreateTime":1772442100,"MsgType":"text","Content":"a","MsgId":1,"bizmsgmenuid":null,"x":[[1]],"y":true}`, "message.received"},
	} {
		t.Run(name, func(t *testing.T) {
			var types []string
			for _, e := range told(t, delivery(name, "service", tc.body)) {
				types = append(types, e.Event.GetType())
			}
			if got := strings.Join(types, " "); got != tc.types {
				t.Errorf("got %s", got)
			}
		})
	}
}

func TestWhatWasKeptIsTakenInAgain(t *testing.T) {
	host, mux := channeltest.NewHost(), http.NewServeMux()
	first := newChannel(t, official.Config{Mux: mux, Accounts: []official.Account{{Tenant: "lumen", Inbox: "safe", AppID: appID, Token: token, EncodingAESKey: aesKey}}})
	if err := first.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	body := seal(t, appID, newAESKey)([]byte(strings.Replace(text, "%", "", 1))) // a key that is not configured yet
	answer := serve(mux, delivery("", "safe", string(body)), body)
	_ = answer.Body.Close()
	kept := host.Rejections()
	if answer.StatusCode != http.StatusOK || len(kept) != 1 || !bytes.Equal(kept[0].Raw, body) {
		t.Fatalf("answered %s, kept %v", answer.Status, kept)
	}
	if err := first.Redrive(t.Context(), host, kept[0]); err != nil || len(host.Rejections()) != 2 {
		t.Errorf("redriven with the wrong key: %v, kept %d", err, len(host.Rejections()))
	}
	mended := newChannel(t, official.Config{})
	if err := mended.Redrive(t.Context(), host, kept[0]); err != nil || len(host.Events()) != 1 {
		t.Errorf("%v, %d events", err, len(host.Events()))
	}
	inClear := channel.Rejection{Tenant: "lumen", Provider: official.Provider, Inbox: "safe", Raw: []byte(strings.Replace(text, "%", "", 1))}
	if err := mended.Redrive(t.Context(), host, inClear); err != nil || len(host.Events()) != 1 || len(host.Conflicts()) > 0 {
		t.Errorf("the same in clear: %v, %d events", err, len(host.Events()))
	}
	host.Fail(channel.ErrRetry)
	if err := mended.Redrive(t.Context(), host, kept[0]); !errors.Is(err, channel.ErrRetry) {
		t.Errorf("%v", err)
	}
	if err := mended.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "gone"}); err == nil {
		t.Error("an inbox that is gone")
	}
}

func TestAChannelThatEndsTakesNoMore(t *testing.T) {
	mux, host := http.NewServeMux(), channeltest.NewHost()
	metrics, err := webhook.NewMetrics(nil)
	if err != nil {
		t.Fatal(err)
	}
	c := newChannel(t, official.Config{Mux: mux, Metrics: metrics})
	if err := c.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	body := strings.Replace(text, "%", "", 1)
	answer := serve(mux, delivery("", "service", body), []byte(body))
	_ = answer.Body.Close()
	if answer.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("answered %s", answer.Status)
	}
}
