package wecom_test

import (
	"context"
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

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/wechat"
	"github.com/skein-cx/skein/services/channels/social/wechat/wecom"
)

const (
	corp   = "ww2f6c1d0a9b8e7f55"
	token  = "QDG6eK"
	aesKey = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	secret = "the-secret-of-the-application"
)

func account(inbox, corp string) wecom.Account {
	return wecom.Account{
		Tenant: "lumen", Inbox: inbox, CorpID: corp, AgentID: 1, Token: token, EncodingAESKeys: []string{aesKey}, Secret: secret,
		APIURL: "http://127.0.0.1:9", Agents: map[string]string{"lisi": "li.si"},
	}
}

func accounts() []wecom.Account {
	internal := account("internal", corp)
	internal.Members = wecom.MembersCompany
	return []wecom.Account{account("desk", corp), internal}
}

func open(tb testing.TB, host channel.Host, kf wecom.Waker, accounts ...wecom.Account) (*wecom.Channel, http.Handler) {
	tb.Helper()
	mux := http.NewServeMux()
	c, err := wecom.New(wecom.Config{Mux: mux, Accounts: accounts, KF: kf})
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return c, mux
}

// sealed is a company's encryption, as WeCom does it.
func sealed(tb testing.TB, corp string) *wechat.Crypto {
	tb.Helper()
	c, err := wechat.NewCrypto(corp, aesKey)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

const (
	timestamp = "1772442000"
	nonce     = "1372623149"
)

func wrap(tb testing.TB, corp string, body []byte) []byte {
	tb.Helper()
	wrapped, _, err := sealed(tb, corp).Seal(body, token, timestamp, nonce)
	if err != nil {
		tb.Fatal(err)
	}
	return wrapped
}

// sign makes a request one of WeCom's.
func sign(r *http.Request, body []byte) {
	_, encrypted, _ := strings.Cut(string(body), "<Encrypt><![CDATA[")
	encrypted, _, _ = strings.Cut(encrypted, "]]>")
	r.URL.RawQuery = url.Values{
		"msg_signature": {wechat.Signature(token, timestamp, nonce, encrypted)}, "timestamp": {timestamp}, "nonce": {nonce},
	}.Encode()
}

func post(tb testing.TB, h http.Handler, inbox, corp, body string) int {
	tb.Helper()
	wrapped := wrap(tb, corp, []byte(body))
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, "https://skein.example/channels/wecom/lumen/"+inbox, strings.NewReader(string(wrapped)))
	sign(r, wrapped)
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer.Code
}

// story reads the callbacks of a file.
func story(tb testing.TB, name string) []channeltest.Delivery {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name))
	if err != nil {
		tb.Fatal(err)
	}
	var all []channeltest.Delivery
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		title, body, _ := strings.Cut(section, "\n")
		all = append(all, channeltest.Delivery{Name: title, URL: "https://skein.example/channels/wecom/lumen/desk", ContentType: "text/xml", Body: strings.TrimSpace(body)})
	}
	return all
}

// captures are the callbacks of ../shared/data/provider-payloads/wechat, by the names of their files. Without the data the test is skipped, unless the
// environment says that it must be there.
func captures(tb testing.TB) (names []string, bodies map[string]string) {
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
	files, err := filepath.Glob(filepath.Join(root, "..", "shared", "data", "provider-payloads", "wechat", "wecom-*.xml"))
	if err != nil {
		tb.Fatal(err)
	}
	if len(files) == 0 {
		if slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" }) {
			tb.Fatal("../shared/data/provider-payloads/wechat is not here")
		}
		tb.Skip("skipped: ../shared/data/provider-payloads/wechat is not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	slices.Sort(files)
	bodies = map[string]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			tb.Fatal(err)
		}
		names = append(names, filepath.Base(file))
		bodies[filepath.Base(file)] = string(raw)
	}
	return names, bodies
}

// The captures are of two companies, and use one message id for all: so each has a host of its own.
func TestTheCapturesGiveTheEventsBesideThem(t *testing.T) {
	names, bodies := captures(t)
	if len(names) != 23 {
		t.Errorf("there are %d captures", len(names))
	}
	var transcript strings.Builder
	for _, name := range names {
		of := "toUser"
		if strings.Contains(bodies[name], "wx28dbb14e3720FAKE") {
			of = "wx28dbb14e3720FAKE"
		}
		host := channeltest.NewHost()
		_, h := open(t, host, nil, account("desk", of))
		for range 2 {
			if code := post(t, h, "desk", of, bodies[name]); code != http.StatusOK {
				t.Errorf("%s: answered %d", name, code)
			}
		}
		for _, r := range host.Rejections() {
			t.Errorf("%s: rejected: %s", name, r.Reason)
		}
		if n := len(channeltest.Fingerprint(t, host)); n != 1 {
			t.Errorf("%s: %d events", name, n)
		}
		// The callback itself need not stand here as well.
		fmt.Fprintf(&transcript, "== %s\n%s\n", name, regexp.MustCompile(`"data":"[^"]*"`).ReplaceAllString(channeltest.Transcript(host.Events()), `"data":…`))
	}
	channeltest.Golden(t, filepath.Join("testdata", "captures.events"), transcript.String())
}

// told tells events, with what they carry from WeCom in clear.
func told(events []channeltest.Event) string {
	return regexp.MustCompile(`"data":"[^"]*"`).ReplaceAllStringFunc(channeltest.Transcript(events), func(data string) string {
		raw, err := base64.StdEncoding.DecodeString(strings.Trim(strings.TrimPrefix(data, `"data":`), `"`))
		if err != nil {
			return err.Error()
		}
		return `"data":` + strings.Join(strings.Fields(string(raw)), " ")
	})
}

func TestEachStoryGivesTheEventsBesideIt(t *testing.T) {
	for _, inbox := range []string{"desk", "internal"} {
		host := channeltest.NewHost()
		_, h := open(t, host, nil, accounts()...)
		for _, d := range story(t, "synthetic-desk.story") {
			if code := post(t, h, inbox, corp, d.Body); code != http.StatusOK {
				t.Errorf("%s: answered %d", d.Name, code)
			}
		}
		for _, r := range host.Rejections() {
			t.Errorf("rejected: %s: %s", r.Reason, r.Raw)
		}
		channeltest.Fingerprint(t, host) // no conflicts
		channeltest.Golden(t, filepath.Join("testdata", "synthetic-"+inbox+".events"), told(host.Events()))
	}
}

func TestTheCallbacksPassTheKit(t *testing.T) {
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open: func(t *testing.T, host channel.Host) http.Handler {
			t.Helper()
			_, h := open(t, host, nil, accounts()...)
			return h
		},
		Story:  story(t, "synthetic-desk.story"),
		Sign:   sign,
		Unsign: func(r *http.Request) { r.URL.RawQuery = "" },
		Wrap:   func(body []byte) []byte { return wrap(t, corp, body) },
	})
}

func TestTheAddressIsVerifiedByDecryptingWhatItSends(t *testing.T) {
	_, h := open(t, channeltest.NewHost(), nil, accounts()...)
	echo, err := sealed(t, corp).Encrypt([]byte("1616140317555161061"))
	if err != nil {
		t.Fatal(err)
	}
	ask := func(signature string) *httptest.ResponseRecorder {
		q := url.Values{"msg_signature": {signature}, "timestamp": {timestamp}, "nonce": {nonce}, "echostr": {echo}}
		answer := httptest.NewRecorder()
		h.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "https://skein.example/channels/wecom/lumen/desk?"+q.Encode(), http.NoBody))
		return answer
	}
	if answer := ask(wechat.Signature(token, timestamp, nonce, echo)); answer.Code != http.StatusOK || answer.Body.String() != "1616140317555161061" {
		t.Errorf("%d %q", answer.Code, answer.Body)
	}
	if answer := ask(wechat.Signature("other", timestamp, nonce, echo)); answer.Code != http.StatusUnauthorized {
		t.Errorf("%d %q", answer.Code, answer.Body)
	}
}

type woken struct{ calls []string }

func (w *woken) Wake(corpID, openKfID, token string) {
	w.calls = append(w.calls, corpID+" "+openKfID+" "+token)
}

func TestCustomerServiceIsWoken(t *testing.T) {
	host, kf := channeltest.NewHost(), &woken{}
	_, h := open(t, host, kf, accounts()...)
	post(t, h, "desk", corp, `<xml><ToUserName><![CDATA[`+corp+`]]></ToUserName><CreateTime>1348831860</CreateTime><MsgType><![CDATA[event]]></MsgType>
		<Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[ENCApHxnGDNAVNY4AaSJKj4Tb5mwsEMzxhFmHVGcra996NR]]></Token><OpenKfId><![CDATA[wkxxxxxxx]]></OpenKfId></xml>`)
	if want := []string{corp + " wkxxxxxxx ENCApHxnGDNAVNY4AaSJKj4Tb5mwsEMzxhFmHVGcra996NR"}; !slices.Equal(kf.calls, want) || len(host.Events())+len(host.Rejections()) > 0 {
		t.Error(kf.calls, host.Events(), host.Rejections())
	}
}

func TestAConfigurationThatCannotWorkIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	_, err := wecom.New(wecom.Config{Accounts: []wecom.Account{
		{Tenant: "a/b", Inbox: "x", CorpID: "ww/1", APIURL: "ftp://x", Members: "friends", EncodingAESKeys: []string{aesKey[1:]}},
		account("desk", corp), account("desk", corp),
	}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"a mux", "in a path", "corp id", "AgentID", "token is missing", "EncodingAESKey", "secret of the application", `"company"`, "API's URL", "twice"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), aesKey[5:20]) || strings.Contains(err.Error(), secret) {
		t.Error("the error holds a secret")
	}
}

// callbackOf is a callback of the desk's.
func callbackOf(fields string) string {
	return "<xml><ToUserName>" + corp + "</ToUserName><FromUserName>lisi</FromUserName><CreateTime>1772442000</CreateTime><AgentID>1</AgentID>" + fields + "</xml>"
}

func TestWhatIsNotUnderstoodIsRejected(t *testing.T) {
	for name, body := range map[string]string{
		"another company's":       strings.Replace(callbackOf("<MsgType>text</MsgType><MsgId>1</MsgId>"), corp, "ww1", 1),
		"another application's":   strings.Replace(callbackOf("<MsgType>text</MsgType><MsgId>1</MsgId>"), "<AgentID>1<", "<AgentID>2<", 1),
		"of no kind":              callbackOf(""),
		"of nobody":               strings.Replace(callbackOf("<MsgType>text</MsgType><MsgId>1</MsgId>"), "lisi", "", 1),
		"a message without id":    callbackOf("<MsgType>text</MsgType>"),
		"a picture without file":  callbackOf("<MsgType>image</MsgType><MsgId>1</MsgId>"),
		"an event without name":   callbackOf("<MsgType>event</MsgType>"),
		"a place beyond the pole": callbackOf("<MsgType>location</MsgType><MsgId>1</MsgId><Location_X>91</Location_X><Location_Y>1</Location_Y>"),
		"a place that is none":    callbackOf("<MsgType>location</MsgType><MsgId>1</MsgId><Location_X>NaN</Location_X><Location_Y>1</Location_Y>"),
		"an id of 10 kB":          callbackOf("<MsgType>text</MsgType><MsgId>" + strings.Repeat("1", 10_000) + "</MsgId>"),
		"a member of 10 kB":       strings.Replace(callbackOf("<MsgType>text</MsgType><MsgId>1</MsgId>"), "lisi", strings.Repeat("l", 10_000), 1),
		"a contact of 10 kB":      callbackOf("<MsgType>event</MsgType><Event>change_external_contact</Event><ExternalUserID>" + strings.Repeat("l", 10_000) + "</ExternalUserID>"),
		"a bomb":                  `<!DOCTYPE x [<!ENTITY a "aaaa">]>` + callbackOf("<MsgType>text</MsgType><MsgId>1</MsgId><Content>&a;</Content>"),
		"depth":                   strings.Repeat("<xml>", 10_000) + strings.Repeat("</xml>", 10_000),
		"letters that are none":   callbackOf("<MsgType>text</MsgType><MsgId>1</MsgId><Content>\xff</Content>"),
	} {
		t.Run(name, func(t *testing.T) {
			host := channeltest.NewHost()
			_, h := open(t, host, nil, accounts()...)
			if code := post(t, h, "desk", corp, body); code != http.StatusOK || len(host.Events()) != 0 || len(host.Rejections()) != 1 {
				t.Fatal(code, len(host.Events()), host.Rejections())
			}
			if r := host.Rejections()[0]; string(r.Raw) != body || r.Inbox != "desk" || r.Provider != wecom.Provider || r.Reason == "" {
				t.Error(r.Reason)
			}
		})
	}
}

// An unknown event of tomorrow is carried; a long key does not make an id too long; a name is made fit.
func TestWhatIsUnknownIsCarried(t *testing.T) {
	host := channeltest.NewHost()
	_, h := open(t, host, nil, accounts()...)
	for _, fields := range []string{
		"<MsgType>event</MsgType><Event>Robot.Dances!</Event>",
		"<MsgType>event</MsgType><Event>Robot.Dances!</Event><ChangeType>Waltz</ChangeType>",
		"<MsgType>event</MsgType><Event>view</Event><EventKey>https://lumen.example/" + strings.Repeat("x", 2000) + "</EventKey>",
		"<MsgType>event</MsgType><Event>view</Event>",
		"<MsgType>mind_link</MsgType><MsgId>7</MsgId>",
	} {
		post(t, h, "desk", corp, callbackOf(fields))
	}
	var got []string
	for _, e := range host.Events() {
		got = append(got, e.Submission.GetType())
	}
	want := []string{"ext.wecom.robot_dances", "ext.wecom.robot_dances.waltz", "flow.step_entered", "ext.wecom.view", "ext.wecom.mind_link"}
	if !slices.Equal(got, want) || len(host.Rejections()) > 0 {
		t.Error(got, host.Rejections())
	}
}

// Two that differ in no more than whom they are about are two.
func TestEventsOfOneSecondAreToldApart(t *testing.T) {
	host := channeltest.NewHost()
	_, h := open(t, host, nil, accounts()...)
	for _, user := range []string{"a", "b", "a"} {
		post(t, h, "desk", corp, strings.Replace(callbackOf("<MsgType>event</MsgType><Event>change_contact</Event><ChangeType>update_user</ChangeType><Extra>"+user+"</Extra>"), "lisi", "sys", 1))
	}
	if n := len(channeltest.Fingerprint(t, host)); n != 2 {
		t.Errorf("%d events", n)
	}
}

func TestWhatWasRejectedCanBeRedriven(t *testing.T) {
	host := channeltest.NewHost()
	c, h := open(t, host, nil, accounts()...)
	wrong := account("desk", corp)
	wrong.EncodingAESKeys = []string{strings.Repeat("A", 43)}
	_, mistaken := open(t, host, nil, wrong)
	post(t, mistaken, "desk", corp, callbackOf("<MsgType>text</MsgType><MsgId>1</MsgId><Content>hi</Content>")) // cannot be decrypted
	post(t, h, "desk", corp, "<xml>")
	if len(host.Rejections()) != 2 {
		t.Fatal(host.Rejections())
	}
	if err := c.Redrive(t.Context(), host, host.Rejections()[0]); err != nil || len(host.Events()) != 1 || len(host.Rejections()) != 2 {
		t.Fatal(err, host.Events(), host.Rejections())
	}
	if err := c.Redrive(t.Context(), host, host.Rejections()[1]); err != nil || len(host.Rejections()) != 3 {
		t.Fatal(err, host.Rejections())
	}
	if err := c.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "gone"}); err == nil {
		t.Error("redriven for an inbox that is not there")
	}
	host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	if err := c.Redrive(t.Context(), host, host.Rejections()[0]); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
}

func TestAChannelThatStopsTakesNoMore(t *testing.T) {
	c, h := open(t, channeltest.NewHost(), nil, accounts()...)
	ctx, stop := context.WithCancel(t.Context())
	stop()
	if err := c.Run(ctx); err != nil {
		t.Error(err)
	}
	if code := post(t, h, "desk", corp, callbackOf("")); code != http.StatusServiceUnavailable {
		t.Errorf("answered %d", code)
	}
}

// api is WeCom's API: answers of its documents, over HTTP.
type api struct {
	*httptest.Server
	answers map[string]string // by path
	asked   []string          // method, path and body, without the token
}

func newAPI(tb testing.TB, answers map[string]string) *api {
	tb.Helper()
	a := &api{answers: answers}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		q := r.URL.Query()
		if r.URL.Path == "/cgi-bin/gettoken" {
			if q.Get("corpid") != corp || q.Get("corpsecret") != secret {
				_, _ = io.WriteString(w, `{"errcode":40001,"errmsg":"invalid credential"}`)
				return
			}
			_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok","access_token":"accesstoken000001","expires_in":7200}`)
			return
		}
		if q.Get("access_token") != "accesstoken000001" {
			_, _ = io.WriteString(w, `{"errcode":40014,"errmsg":"invalid access_token"}`)
			return
		}
		q.Del("access_token")
		body, _ := io.ReadAll(r.Body)
		a.asked = append(a.asked, r.Method+" "+r.URL.Path+"?"+q.Encode()+" "+string(body))
		w.Header().Set("Content-Type", "application/json; charset=UTF-8")
		_, _ = io.WriteString(w, a.answers[r.URL.Path])
	}))
	tb.Cleanup(a.Close)
	return a
}

func (a *api) channel(tb testing.TB) *wecom.Channel {
	tb.Helper()
	desk := account("desk", corp)
	desk.APIURL = a.URL
	c, _ := open(tb, channeltest.NewHost(), nil, desk)
	return c
}
