package kf_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/wechat"
	"github.com/skein-cx/skein/services/channels/social/wechat/kf"
)

// storyEvents is how many events the story gives.
const storyEvents = 41

func TestTheStoryGivesTheEventsBesideIt(t *testing.T) {
	a, host := newAPI(t), channeltest.NewHost()
	items := story(t)
	a.tell(items...)
	run(t, host, a.patient(http.NewServeMux(), &channeltest.Cursors{}))
	all := events(t, host, storyEvents)
	if len(host.Rejections()) > 0 {
		t.Error(host.Rejections())
	}
	channeltest.Fingerprint(t, host) // no conflicts
	channeltest.Golden(t, filepath.Join("testdata", "synthetic-sync.events"), told(all))
}

// source is the API as the kit wants it. Half of what it tells, it calls back for.
type source struct {
	*api
	host    channel.Host
	cursors channel.Cursors
	items   []string
	mux     *http.ServeMux
}

func (s *source) Channel() channel.Channel {
	s.mux = http.NewServeMux()
	cfg := s.patient(s.mux, s.cursors)
	cfg.PollInterval = 5 * time.Millisecond
	c, err := kf.New(cfg)
	if err != nil {
		panic(err)
	}
	return c
}

func (s *source) Tell(t *testing.T, i int) {
	t.Helper()
	s.tell(s.items[i])
	if i%2 == 0 {
		post(t, s.mux, callback(openKfID, "ENCAp"+s.items[i][10:14])) // one that comes too late is lost
	}
}

func (s *source) Cut(t *testing.T) {
	t.Helper()
	s.mu.Lock()
	s.cut = true
	s.mu.Unlock()
	s.CloseClientConnections()
}

func TestAnAccountPassesTheKit(t *testing.T) {
	items := story(t)
	channeltest.TestSource(t, channeltest.Source{
		New: func(t *testing.T, host channel.Host, cursors channel.Cursors) channeltest.SourceUnderTest {
			t.Helper()
			return &source{api: newAPI(t), host: host, cursors: cursors, items: items}
		},
		Story: len(items), Events: storyEvents, Repeats: true,
	})
}

func TestACallbackWakesWhoPulls(t *testing.T) {
	a, host, mux := newAPI(t), channeltest.NewHost(), http.NewServeMux()
	items := story(t)
	a.tokens = map[string]bool{"ENCApHxnGDNAVNY4": true}
	run(t, host, a.patient(mux, &channeltest.Cursors{}))
	isPull := func(call string) bool { return strings.HasPrefix(call, "/cgi-bin/kf/sync_msg ") }
	a.await(t, 0, isPull) // at the start
	a.tell(items[1])
	if code := post(t, mux, callback(openKfID, "ENCApHxnGDNAVNY4")); code != http.StatusOK {
		t.Errorf("answered %d", code)
	}
	events(t, host, 1)
	a.await(t, 1, func(call string) bool { return strings.Contains(call, `"token":"ENCApHxnGDNAVNY4"`) })

	a.tell(items[2]) // of all accounts, with a token that is not valid
	post(t, mux, callback("", "ENCApOLD"))
	events(t, host, 2)

	n := len(a.calls())
	post(t, mux, callback("wkAnother", "ENCApHxnGDNAVNY4")) // which is nobody's here
	if calls := a.calls(); len(calls) != n || len(host.Rejections()) > 0 {
		t.Errorf("asked %v, rejected %v", calls[n:], host.Rejections())
	}
}

func TestTheCallbacksPassTheKit(t *testing.T) {
	a := newAPI(t)
	change := func(id string) string {
		return `<xml><ToUserName><![CDATA[` + corp + `]]></ToUserName><FromUserName><![CDATA[sys]]></FromUserName><CreateTime>1472442000</CreateTime><MsgType><![CDATA[event]]></MsgType>` +
			`<Event><![CDATA[kf_account_auth_change]]></Event><AuthAddOpenKfId><![CDATA[` + id + `]]></AuthAddOpenKfId></xml>`
	}
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open: func(t *testing.T, host channel.Host) http.Handler {
			t.Helper()
			mux := http.NewServeMux()
			c, err := kf.New(a.patient(mux, &channeltest.Cursors{}))
			if err != nil {
				t.Fatal(err)
			}
			if err := c.Open(t.Context(), host); err != nil {
				t.Fatal(err)
			}
			return mux
		},
		Story: []channeltest.Delivery{
			{Name: "an account may be used", URL: path, Body: change("wk1")}, {Name: "another one, in the same second", URL: path, Body: change("wk2")},
		},
		Sign:   sign,
		Unsign: func(r *http.Request) { r.URL.RawQuery = "" },
		Wrap:   func(body []byte) []byte { return wrap(t, body) },
	})
}

func TestTheAddressIsVerifiedByDecryptingWhatItSends(t *testing.T) {
	mux := http.NewServeMux()
	run(t, channeltest.NewHost(), newAPI(t).patient(mux, &channeltest.Cursors{}))
	echo, err := sealed(t).Encrypt([]byte("1616140317555161061"))
	if err != nil {
		t.Fatal(err)
	}
	q := url.Values{"msg_signature": {wechat.Signature(token, timestamp, nonce, echo)}, "timestamp": {timestamp}, "nonce": {nonce}, "echostr": {echo}}
	answer := httptest.NewRecorder()
	mux.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path+"?"+q.Encode(), http.NoBody))
	if answer.Code != http.StatusOK || answer.Body.String() != "1616140317555161061" {
		t.Errorf("%d %q", answer.Code, answer.Body)
	}
}

func TestWhatIsNoEventIsForAnotherInbox(t *testing.T) {
	host, mux := channeltest.NewHost(), http.NewServeMux()
	run(t, host, newAPI(t).patient(mux, &channeltest.Cursors{}))
	post(t, mux, `<xml><ToUserName>`+corp+`</ToUserName><FromUserName>lisi</FromUserName><MsgType>text</MsgType><Content>hi</Content></xml>`)
	post(t, mux, strings.Replace(callback(openKfID, "x"), corp, "ww1", 1))
	if len(host.Rejections()) != 2 || !strings.Contains(host.Rejections()[0].Reason, "WeCom inbox") {
		t.Error(host.Rejections())
	}
}

// An item that is not understood is kept by itself, and can be taken in later; the others are taken.
func TestWhatIsNotUnderstoodIsKeptByItself(t *testing.T) {
	a, host := newAPI(t), channeltest.NewHost()
	a.pageSize = 1000
	items := story(t)
	bad := []string{
		`17`, `"x"`, `[]`, `{"msgid":5}`,
		`{"msgid":"","open_kfid":"` + openKfID + `"}`,
		`{"msgid":"a","open_kfid":"wkAnother","external_userid":"wm1","origin":3,"msgtype":"text","text":{"content":"hi"}}`,
		`{"msgid":"b","external_userid":"wm1","origin":3,"msgtype":"text"}`,
		`{"msgid":"c","external_userid":"wm1","origin":3}`,
		`{"msgid":"d","origin":3,"msgtype":"text","text":{"content":"hi"}}`,
		`{"msgid":"e","external_userid":"wm1","origin":3,"msgtype":"image","image":{}}`,
		`{"msgid":"f","external_userid":"wm1","origin":3,"msgtype":"location","location":{"latitude":91,"longitude":1}}`,
		`{"msgid":"g","external_userid":"wm1","origin":3,"msgtype":"location","location":{"latitude":"north","longitude":1}}`,
		`{"msgid":"h","external_userid":"wm1","origin":3,"msgtype":"text","text":{"content":"hi"},"send_time":1e99}`,
		`{"msgid":"i","external_userid":"` + strings.Repeat("w", 10_000) + `","origin":3,"msgtype":"text","text":{"content":"hi"}}`,
		`{"msgid":"j","origin":4,"msgtype":"event"}`,
		`{"msgid":"k","origin":4,"msgtype":"event","event":{"event_type":"enter_session"}}`,
		`{"msgid":"l","origin":4,"msgtype":"event","event":{"event_type":"msg_send_fail","external_userid":"wm1"}}`,
		`{"msgid":"m","origin":4,"msgtype":"event","event":{"event_type":"user_recall_msg","external_userid":"wm1"}}`,
		`{"msgid":"n","origin":4,"msgtype":"event","event":{"event_type":"servicer_status_change","status":1}}`,
		`{"msgid":"o","origin":4,"msgtype":"event","event":{"event_type":"session_status_change","external_userid":"wm1","change_type":1}}`,
		`{"msgid":"p","origin":4,"msgtype":"event","event":{"event_type":"session_status_change","external_userid":"wm1","change_type":2,"new_servicer_userid":"x"}}`,
		`{"msgid":"q","origin":4,"msgtype":"event","event":{"event_type":"session_status_change","external_userid":"wm1","change_type":3}}`,
		`{"msgid":"r","origin":4,"msgtype":"event","event":{"event_type":"session_status_change","external_userid":"wm1","change_type":4}}`,
	}
	a.tell(items[1])
	a.tell(bad...)
	a.tell(items[2])
	c := run(t, host, a.patient(http.NewServeMux(), &channeltest.Cursors{}))
	events(t, host, 2)
	if len(host.Rejections()) != len(bad) || len(host.Events()) != 2 {
		t.Fatalf("%d rejections, %d events", len(host.Rejections()), len(host.Events()))
	}
	for i, r := range host.Rejections() {
		if string(r.Raw) != bad[i] && !slices.Contains(bad, string(r.Raw)) || r.Inbox != "shop" || r.Provider != kf.Provider || r.Reason == "" {
			t.Errorf("%s: %s", bad[i], r.Reason)
		}
	}
	again := host.Rejections()[5]
	again.Raw = []byte(strings.Replace(string(again.Raw), "wkAnother", openKfID, 1)) // as if the channel had learned it
	if err := c.Redrive(t.Context(), host, again); err != nil || len(host.Events()) != 3 {
		t.Error(err, len(host.Events()))
	}
	if err := c.Redrive(t.Context(), host, host.Rejections()[4]); err != nil || len(host.Rejections()) != len(bad)+1 {
		t.Error(err, len(host.Rejections()))
	}
	if err := c.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "gone"}); err == nil {
		t.Error("redriven for an inbox that is not there")
	}
	host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	if err := c.Redrive(t.Context(), host, again); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
}

// What is known of WeChat today is not all that there will be.
func TestWhatIsUnknownIsCarried(t *testing.T) {
	a, host := newAPI(t), channeltest.NewHost()
	for i, item := range []string{
		`{"msgid":"%d","external_userid":"wm1","origin":3,"msgtype":"Mind-Link","mind":1}`,
		`{"msgid":"%d","external_userid":"wm1","origin":9,"msgtype":"text","text":{"content":"hi"}}`,
		`{"msgid":"%d","origin":4,"msgtype":"event","event":{"event_type":"Account.Renamed"}}`,
		`{"msgid":"%d","origin":4,"msgtype":"event","event":{"event_type":"session_status_change","external_userid":"wm1","change_type":5}}`,
		`{"msgid":"%d","origin":4,"msgtype":"event","event":{"event_type":"servicer_status_change","servicer_userid":"zhangsan","status":3}}`,
		`{"msgid":"%d","external_userid":"wm1","origin":4,"msgtype":"text","text":{"content":"of the system's"}}`,
		`{"msgid":"%d","external_userid":"wm1","origin":5,"servicer_userid":"张三","msgtype":"text","text":{"content":"by an agent with a strange id"}}`,
	} {
		a.tell(fmt.Sprintf(item, i))
	}
	run(t, host, a.patient(http.NewServeMux(), &channeltest.Cursors{}))
	var got []string
	for _, e := range events(t, host, 7) {
		got = append(got, strings.TrimSpace(e.Submission.GetType()+" "+e.Submission.GetThread()+" "+e.Submission.GetActor().GetId()))
	}
	want := []string{
		"ext.wechat_kf.mind_link wm1", "ext.wechat_kf.text wm1", "ext.wechat_kf.account_renamed account/" + openKfID, "ext.wechat_kf.session_status_change wm1",
		"ext.wechat_kf.servicer_status_change account/" + openKfID + " zhangsan", "message.sent wm1", "message.sent wm1",
	}
	if !slices.Equal(got, want) || len(host.Rejections()) > 0 {
		t.Errorf("got\n  %s\n%v", strings.Join(got, "\n  "), host.Rejections())
	}
}

func TestWhyAnAccountCannotBePulledIsToldInWords(t *testing.T) {
	for answer, want := range map[string]string{
		`{"errcode":60020,"errmsg":"not allow to access from your ip"}`:           "calls from this address are not allowed",
		`{"errcode":95017,"errmsg":"api closed"}`:                                 "switched off",
		`{"errcode":45009,"errmsg":"api freq out of limit"}`:                      "api freq out of limit",
		`{"errcode":0,"errmsg":"ok","next_cursor":"","has_more":1,"msg_list":[]}`: "no cursor leads there",
		`<html>`: "no JSON",
		`{"errcode":0,"errmsg":"ok","next_cursor":7,"has_more":0,"msg_list":[]}`: "not what was expected",
	} {
		t.Run(want, func(t *testing.T) {
			a, host := newAPI(t), channeltest.NewHost()
			items := story(t)
			a.tell(items[1])
			a.set("/cgi-bin/kf/sync_msg", answer)
			c := run(t, host, a.patient(http.NewServeMux(), &channeltest.Cursors{}))
			isPull := func(call string) bool { return strings.HasPrefix(call, "/cgi-bin/kf/sync_msg ") }
			for n := range 3 { // it comes again by itself
				a.await(t, n, isPull)
			}
			status := c.Statuses()[0]
			if status.Err == nil || !strings.Contains(status.Err.Error(), want) || status.Source != openKfID || strings.Contains(status.Err.Error(), "accesstoken") {
				t.Error(status)
			}
			a.set("/cgi-bin/kf/sync_msg", "")
			events(t, host, 1)
		})
	}
}

// moved are cursors that another process moves before this one does, a few times.
type moved struct {
	channeltest.Cursors
	mu   sync.Mutex
	left int
}

func (m *moved) MoveCursor(ctx context.Context, name, was, is string) error {
	m.mu.Lock()
	other := m.left > 0
	m.left--
	m.mu.Unlock()
	if other {
		if err := m.Cursors.MoveCursor(ctx, name, was, is); err != nil {
			return err
		}
	}
	return m.Cursors.MoveCursor(ctx, name, was, is)
}

func TestAnotherProcessThatPullsDoesNoHarm(t *testing.T) {
	a, host := newAPI(t), channeltest.NewHost()
	items := story(t)
	a.tell(items...)
	run(t, host, a.patient(http.NewServeMux(), &moved{left: 3}))
	events(t, host, storyEvents)
	if len(channeltest.Fingerprint(t, host)) != storyEvents || len(host.Rejections()) > 0 {
		t.Error(host.Rejections())
	}
}

// An empty page does not mean that there is no more.
func TestAnEmptyPageIsNotTheEnd(t *testing.T) {
	a, host := newAPI(t), channeltest.NewHost()
	items := story(t)
	a.tell(items[1])
	empty := true
	inner := a.Config.Handler
	a.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/cgi-bin/kf/sync_msg" && empty {
			empty = false
			_, _ = w.Write([]byte(`{"errcode":0,"errmsg":"ok","next_cursor":"4gw7MepFLfgF2VC5np0","has_more":1,"msg_list":[]}`))
			return
		}
		inner.ServeHTTP(w, r)
	})
	run(t, host, a.patient(http.NewServeMux(), &channeltest.Cursors{}))
	events(t, host, 1)
}

func TestAConfigurationThatCannotWorkIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	a := newAPI(t)
	_, err := kf.New(kf.Config{Accounts: []kf.Account{
		{Tenant: "a/b", Inbox: "x", CorpID: "ww/1", OpenKfID: "wk 1", APIURL: "ftp://x", EncodingAESKeys: []string{aesKey[1:]}},
		a.account(), a.account(),
	}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"a mux", "cursors", "in a path", "open_kfid", "token is missing", "EncodingAESKey", "secret of the application", "API's URL", "twice"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), aesKey[5:20]) || strings.Contains(err.Error(), secret) {
		t.Error("the error holds a secret")
	}
}
