package e2e_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Weibo signs with
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/channels/social/wechat"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// configured writes a configuration.
func configured(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// told is what the timeline of an address holds, of one type where there is one.
func told(s *skeintest.Site, address, typ string) []*timelinev1.Entry {
	s.T.Helper()
	at, err := event.ParseAddress(address)
	if err != nil {
		s.T.Fatal(err)
	}
	conn, err := rpc.Dial(s.GRPC, "", nil)
	if err != nil {
		s.T.Fatal(err)
	}
	defer conn.Close()
	request := &timelinev1.ListRequest{Addresses: []*eventv1.Address{at}, PageSize: 500, Order: timelinev1.Order_ORDER_OLDEST_FIRST}
	if typ != "" {
		request.Types = []string{typ}
	}
	page, err := timelinev1.NewTimelineServiceClient(conn).List(s.T.Context(), request)
	if err != nil {
		s.T.Fatal(rpc.Explain(err))
	}
	return page.GetEntries()
}

// awaitTold waits until the timeline of an address holds so many events of a type, and gives them.
func awaitTold(s *skeintest.Site, srv *skeintest.Process, address, typ string, n int) (all []*timelinev1.Entry) {
	s.T.Helper()
	srv.WaitFor(fmt.Sprintf("telling %s of %d %s", address, n, typ), func() bool {
		all = told(s, address, typ)
		return len(all) >= n
	})
	if len(all) > n {
		s.T.Errorf("%s is told of %d %s, want %d", address, len(all), typ, n)
	}
	return all
}

// texts are those of messages that came in.
func texts(all []*timelinev1.Entry) (texts []string) {
	for _, e := range all {
		texts = append(texts, e.GetContent().GetMessageReceived().GetText())
	}
	return texts
}

// provider is a provider's API, which notes each call as path and query, a blank, and the body.
type provider struct {
	*httptest.Server
	mu    sync.Mutex
	calls []string
}

// newProvider answers as a function says. It is told the body, and how many calls of the same path there were before.
func newProvider(t *testing.T, answer func(w http.ResponseWriter, r *http.Request, body string, before int)) *provider {
	t.Helper()
	p := &provider{}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the caller was killed
		}
		p.mu.Lock()
		before := 0
		for _, call := range p.calls {
			if strings.HasPrefix(call, r.URL.Path+"?") {
				before++
			}
		}
		p.calls = append(p.calls, r.URL.Path+"?"+r.URL.RawQuery+" "+string(body))
		p.mu.Unlock()
		answer(w, r, string(body), before)
	}))
	t.Cleanup(p.Close)
	return p
}

// called are the calls of paths that hold a text.
func (p *provider) called(path string) (calls []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, call := range p.calls {
		if of, _, _ := strings.Cut(call, "?"); strings.Contains(of, path) {
			calls = append(calls, call)
		}
	}
	return calls
}

// request makes a request at a path of the site's, and gives what is answered.
func request(s *skeintest.Site, method, path, body string, header http.Header) (status int, answer string) {
	s.T.Helper()
	r, err := http.NewRequestWithContext(s.T.Context(), method, "http://"+s.HTTP+path, strings.NewReader(body))
	if err != nil {
		s.T.Fatal(err)
	}
	if header != nil {
		r.Header = header
	}
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		s.T.Fatal(err)
	}
	defer resp.Body.Close()
	said, err := io.ReadAll(resp.Body)
	if err != nil {
		s.T.Fatal(err)
	}
	return resp.StatusCode, string(said)
}

// deliver hands a webhook in, which must be acknowledged.
func deliver(s *skeintest.Site, path, body string, header http.Header) {
	s.T.Helper()
	if status, said := request(s, http.MethodPost, path, body, header); status != http.StatusOK {
		s.T.Fatalf("%s answers %d %s", path, status, said)
	}
}

func hmac256(secret, body string) []byte {
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte(body))
	return mac.Sum(nil)
}

// byMeta are the headers of what Meta signs.
func byMeta(secret, body string) http.Header {
	return http.Header{"X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(hmac256(secret, body))}}
}

const (
	metaSecret = "a1b2c3d4e5f60718293a4b5c6d7e8f90"
	waPath     = "/channels/whatsapp/default/wa"
	anna49     = "4930901820"
)

// whatsAppInbox is a line of the configuration.
func whatsAppInbox(id, phoneNumberID, api string) string {
	return `  - {id: ` + id + `, tenant: default, channel: whatsapp, whatsapp: {phone_number_id: "` + phoneNumberID + `", business_account_id: "100200300",
     app_secret: ` + metaSecret + `, verify_token: kettle-word, access_token: EAAtoken, api_url: "` + api + `"}}
`
}

// ofNumber is a webhook about a number: what is in the value beside messages or statuses.
func ofNumber(phoneNumberID, value string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"100200300","changes":[{"field":"messages","value":{"messaging_product":"whatsapp",` +
		`"metadata":{"display_phone_number":"4930200200","phone_number_id":"` + phoneNumberID + `"},` + value + `}}]}]}`
}

// fromWA is a message of a customer's.
func fromWA(waID, id string, at time.Time, content string) string {
	return `"contacts":[{"profile":{"name":"Anna Schmidt"},"wa_id":"` + waID + `"}],"messages":[{"from":"` + waID + `","id":"` + id + `","timestamp":"` +
		strconv.FormatInt(at.Unix(), 10) + `",` + content + `}]`
}

const aPicture = `"type":"image","image":{"id":"5001","mime_type":"image/jpeg","sha256":"x","caption":"Here it drips."}`

func TestAPictureComesByWhatsAppAndTheAnswerIsRead(t *testing.T) {
	var up atomic.Bool
	var api *provider
	api = newProvider(t, func(w http.ResponseWriter, r *http.Request, _ string, before int) {
		switch {
		case r.Header.Get("Authorization") != "Bearer EAAtoken":
			w.WriteHeader(http.StatusUnauthorized)
		case strings.HasSuffix(r.URL.Path, "/5001") && !up.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		case strings.HasSuffix(r.URL.Path, "/5001"):
			fmt.Fprintf(w, `{"messaging_product":"whatsapp","url":"%s/whatsapp_business/attachments/?mid=5001","mime_type":"image/jpeg","sha256":"x","file_size":11,"id":"5001"}`, api.URL)
		case r.URL.Path == "/whatsapp_business/attachments/":
			w.Header().Set("Content-Type", "image/jpeg")
			fmt.Fprint(w, "\xff\xd8\xffdripping")
		case strings.HasSuffix(r.URL.Path, "/111222333/messages"):
			fmt.Fprintf(w, `{"messaging_product":"whatsapp","contacts":[{"input":"x","wa_id":"x"}],"messages":[{"id":"wamid.sent%d"}]}`, before+1)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	sent := func() []string { return api.called("/messages") }
	s := newSite(t)
	srv := s.Up("-c", configured(t, "inboxes:\n"+whatsAppInbox("wa", "111222333", api.URL)))
	now := time.Now()

	// Meta asks whether the address is the company's.
	ask := waPath + "?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="
	if status, said := request(s, http.MethodGet, ask+"kettle-word", "", nil); status != http.StatusOK || said != "1158201444" {
		t.Errorf("the handshake answers %d %q", status, said)
	}
	if status, said := request(s, http.MethodGet, ask+"guessed", "", nil); status != http.StatusForbidden || strings.Contains(said, "1158201444") {
		t.Errorf("a wrong word is answered %d %q", status, said)
	}

	// The message is there while the API is not, though it comes twice, and forgeries do not.
	picture := ofNumber("111222333", fromWA(anna49, "wamid.001", now, aPicture))
	deliver(s, waPath, picture, byMeta(metaSecret, picture))
	deliver(s, waPath, picture, byMeta(metaSecret, picture))
	forged := ofNumber("111222333", fromWA("4915100000", "wamid.666", now, `"type":"text","text":{"body":"Pay here."}`))
	for name, header := range map[string]http.Header{"unsigned": nil, "signed by somebody else": byMeta("guessed", forged), "signed for another body": byMeta(metaSecret, picture)} {
		if status, _ := request(s, http.MethodPost, waPath, forged, header); status != http.StatusUnauthorized {
			t.Errorf("%s: %d", name, status)
		}
	}
	received := awaitTold(s, srv, "+"+anna49, "message.received", 1)[0]
	if text := received.GetContent().GetMessageReceived().GetText(); text != "Here it drips." {
		t.Errorf("the message says %q", text)
	}
	srv.WaitFor("asking for the picture", func() bool { return len(api.called("/5001")) > 0 })
	if all := told(s, "+"+anna49, "attachment.*"); len(all) > 0 {
		t.Errorf("the file is told of: %v", all)
	}

	// The API is back, and has the picture.
	up.Store(true)
	stored := awaitTold(s, srv, "+"+anna49, "attachment.stored", 1)[0].GetContent()
	blob := stored.GetAttachments()[0].GetBlob()
	data, err := os.ReadFile(filepath.Join(s.Dir, "blobs", filepath.FromSlash(blob.GetKey())))
	if sum := sha256.Sum256(data); err != nil || string(data) != "\xff\xd8\xffdripping" || !bytes.Equal(sum[:], blob.GetSha256()) || blob.GetMediaType() != "image/jpeg" {
		t.Errorf("%v holds %q, %v", blob, data, err)
	}
	if stored.GetAttachmentStored().GetEventId() != received.GetEvent().GetId() || len(api.called("/attachments/")) != 1 {
		t.Errorf("%v, fetched %d times", stored, len(api.called("/attachments/")))
	}

	// The answer, delivered and read, in whichever order Meta tells it.
	asked, _, _ := strings.Cut(s.Run("send", "--server", s.GRPC, "--thread", received.GetEvent().GetThreadId(), "--agent", "ada", "--text", "A new seal is on its way, Anna."), "\t")
	awaitTold(s, srv, "+"+anna49, "message.sent", 1)
	for _, want := range []string{`"to":"` + anna49 + `"`, `"type":"text"`, `"body":"A new seal is on its way, Anna."`, `"biz_opaque_callback_data":"skein:` + asked + `"`} {
		if out := sent(); len(out) != 1 || !strings.Contains(out[0], want) {
			t.Errorf("the API got %q, without %s", out, want)
		}
	}
	for i, word := range []string{"read", "sent", "delivered"} {
		status := ofNumber("111222333", fmt.Sprintf(`"statuses":[{"id":"wamid.sent1","status":%q,"timestamp":"%d","recipient_id":%q,"biz_opaque_callback_data":"skein:%s"}]`,
			word, now.Unix()+int64(i), anna49, asked))
		deliver(s, waPath, status, byMeta(metaSecret, status))
	}
	delivered := awaitTold(s, srv, "+"+anna49, "message.delivered", 1)[0]
	read := awaitTold(s, srv, "+"+anna49, "message.read", 1)[0]
	if delivered.GetContent().GetMessageDelivered().GetMessage() != "wamid.sent1" || read.GetContent().GetMessageRead().GetMessage() != "wamid.sent1" ||
		delivered.GetEvent().GetCausationId() != asked || read.GetEvent().GetThreadId() != received.GetEvent().GetThreadId() {
		t.Errorf("told of %v and %v", delivered, read)
	}

	// Who wrote a day ago gets templates only.
	const mei = "8613800138000"
	old := ofNumber("111222333", fromWA(mei, "wamid.002", now.Add(-25*time.Hour), `"type":"text","text":{"body":"Is it in stock?"}`))
	deliver(s, waPath, old, byMeta(metaSecret, old))
	awaitTold(s, srv, "+"+mei, "message.received", 1)
	answer := []string{"send", "--server", s.GRPC, "--inbox", "wa", "--native-thread", mei}
	s.Run(append(answer, "--text", "It is.")...)
	failed := awaitTold(s, srv, "+"+mei, "message.failed", 1)[0].GetContent().GetMessageFailed()
	if failed.GetCode() != "window_closed" || !strings.Contains(failed.GetReason(), "template") || len(sent()) != 1 {
		t.Errorf("%v, and the API got %q", failed, sent())
	}
	s.Run(append(answer, "--template", "back_in_stock", "--language", "zh_CN", "--parameter", "1=水壶, 1.5 l")...)
	awaitTold(s, srv, "+"+mei, "message.sent", 1)
	for _, want := range []string{`"to":"` + mei + `"`, `"type":"template"`, `"name":"back_in_stock"`, `"code":"zh_CN"`, `"text":"水壶, 1.5 l"`} {
		if out := sent(); len(out) != 2 || !strings.Contains(out[1], want) {
			t.Errorf("the API got %q, without %s", out, want)
		}
	}

	if all := told(s, "+4915100000", ""); len(all) > 0 {
		t.Errorf("a forgery was taken in: %v", all)
	}
	if dead := s.Run("dead", "list", "--server", s.GRPC); !strings.Contains(dead, "No dead letters.") {
		t.Errorf("there are dead letters:\n%s", dead)
	}
	quit(t, srv)
	for _, secret := range []string{metaSecret, "kettle-word", "EAAtoken"} {
		if strings.Contains(srv.Out(), secret) {
			t.Errorf("a secret was logged:\n%s", srv.Out())
		}
	}
}

const (
	weChatApp   = "wx5823bf96d3bd56c7"
	weChatToken = "QDG6eKweChat" //nolint:gosec // of the tests alone
	weChatKey   = "jWmYm7qr5nMoAUwZRjGtBxmz3KA1tkAj3ykkR6q2B2C"
	openID      = "oLumen_customer-1"
)

// sealed is a body as WeChat encrypts it for a receiver, behind the query that signs it. The key is that of Tencent's examples.
func sealed(t *testing.T, receiver, message string) (query, body string) {
	t.Helper()
	crypto, err := wechat.NewCrypto(receiver, weChatKey)
	if err != nil {
		t.Fatal(err)
	}
	at := strconv.FormatInt(time.Now().Unix(), 10)
	raw, signature, err := crypto.Seal([]byte(message), weChatToken, at, "1372623149")
	if err != nil {
		t.Fatal(err)
	}
	return "?" + url.Values{"signature": {wechat.Signature(weChatToken, at, "1372623149")}, "timestamp": {at}, "nonce": {"1372623149"}, "encrypt_type": {"aes"}, "msg_signature": {signature}}.Encode(),
		string(raw)
}

// echoed asks an address of WeChat's for its handshake, with an echostr that is encrypted.
func echoed(s *skeintest.Site, path, receiver string) {
	s.T.Helper()
	crypto, err := wechat.NewCrypto(receiver, weChatKey)
	if err != nil {
		s.T.Fatal(err)
	}
	echo, err := crypto.Encrypt([]byte("4375120948345356249"))
	if err != nil {
		s.T.Fatal(err)
	}
	q := url.Values{"timestamp": {"1772442000"}, "nonce": {"17"}, "echostr": {echo}, "msg_signature": {wechat.Signature(weChatToken, "1772442000", "17", echo)}}
	if status, said := request(s, http.MethodGet, path+"?"+q.Encode(), "", nil); status != http.StatusOK || said != "4375120948345356249" {
		s.T.Errorf("the handshake answers %d %q", status, said)
	}
	q.Set("msg_signature", wechat.Signature("guessed", "1772442000", "17", echo))
	if status, _ := request(s, http.MethodGet, path+"?"+q.Encode(), "", nil); status != http.StatusUnauthorized {
		s.T.Errorf("a wrong handshake answers %d", status)
	}
}

func TestAnOfficialAccountInSafeModeIsWrittenToAndAnswers(t *testing.T) {
	api := newProvider(t, func(w http.ResponseWriter, r *http.Request, _ string, before int) {
		switch {
		case r.URL.Path == "/cgi-bin/stable_token":
			fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":7200}`, before+1)
		case r.URL.Path == "/cgi-bin/message/custom/send" && r.URL.Query().Get("access_token") == "token-1":
			fmt.Fprint(w, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest, could get access_token by getStableAccessToken rid: 6"}`)
		case r.URL.Path == "/cgi-bin/message/custom/send":
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok"}`)
		default:
			fmt.Fprint(w, `{"errcode":40066,"errmsg":"invalid url"}`)
		}
	})
	s := newSite(t)
	srv := s.Up("-c", configured(t, `inboxes:
  - {id: service, tenant: default, channel: wechat, wechat: {app_id: `+weChatApp+`, app_secret: s3cret, token: `+weChatToken+`, encoding_aes_key: `+weChatKey+`, api_url: "`+api.URL+`"}}
`))
	const path = "/channels/wechat/default/service"
	address := "social:wechat/" + weChatApp + ":" + openID
	echoed(s, path, weChatApp)

	message := func(id, text string) string {
		return fmt.Sprintf(`<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName><FromUserName><![CDATA[%s]]></FromUserName><CreateTime>%d</CreateTime>`+
			`<MsgType><![CDATA[text]]></MsgType><Content><![CDATA[%s]]></Content><MsgId>%s</MsgId></xml>`, openID, time.Now().Unix(), text, id)
	}
	first := message("23456789012345678", "水壶漏水了，怎么办？😢")
	for range 3 { // each encrypted anew, as WeChat does that had no answer in time
		query, body := sealed(t, weChatApp, first)
		if status, said := request(s, http.MethodPost, path+query, body, nil); status != http.StatusOK || said != "success" {
			t.Errorf("answered %d %q", status, said)
		}
	}
	query, body := sealed(t, "wxSomebodyElse0001", message("23456789012345679", "给别人的"))
	if status, _ := request(s, http.MethodPost, path+query, body, nil); status != http.StatusUnauthorized {
		t.Errorf("what is for another app is answered %d", status)
	}
	query, body = sealed(t, weChatApp, message("23456789012345680", "还在吗？"))
	deliver(s, path+query, body, nil)

	all := awaitTold(s, srv, address, "message.received", 2)
	if got := texts(all); !slices.Contains(got, "水壶漏水了，怎么办？😢") || !slices.Contains(got, "还在吗？") {
		t.Errorf("told %q", got)
	}
	s.Run("send", "--server", s.GRPC, "--thread", all[0].GetEvent().GetThreadId(), "--text", "新的密封圈已寄出 <3")
	awaitTold(s, srv, address, "message.sent", 1)
	sent := api.called("/custom/send")
	if len(sent) != 2 || !strings.Contains(sent[1], "access_token=token-2") || !strings.Contains(sent[1], `"content":"新的密封圈已寄出 <3"`) ||
		!strings.Contains(sent[1], `"touser":"`+openID+`"`) || len(api.called("/stable_token")) != 2 {
		t.Errorf("the API was called %q", append(sent, api.called("/stable_token")...))
	}
	if dead := s.Run("dead", "list", "--server", s.GRPC); !strings.Contains(dead, "No dead letters.") {
		t.Errorf("there are dead letters:\n%s", dead)
	}
	quit(t, srv)
}

// Messages of WeChat customer service are pulled. The process is killed when it has the first page, and waits for the second.
func TestCustomerServicePullsEverythingOnceThoughItIsKilledBetweenPages(t *testing.T) {
	const corp, account, customer, path = "ww8f3c0d2a1b4e5f60", "wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw", "wmAJ2GCAAAme1XQRC-NI-q0_ZM9ukoAw", "/channels/wechat_kf/default/desk"
	var open atomic.Bool  // whether there is anything
	var wedge atomic.Bool // whether the second page does not come
	wedge.Store(true)
	ended := make(chan struct{})
	api := newProvider(t, func(w http.ResponseWriter, r *http.Request, body string, _ int) {
		item := func(i int) string {
			return fmt.Sprintf(`{"msgid":"msg-%d","open_kfid":%q,"external_userid":%q,"send_time":%d,"origin":3,"msgtype":"text","text":{"content":"第%d条"}}`, i, account, customer, 1772442000+i, i)
		}
		switch {
		case r.URL.Path == "/cgi-bin/gettoken":
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","access_token":"corp-token","expires_in":7200}`)
		case r.URL.Path != "/cgi-bin/kf/sync_msg" || r.URL.Query().Get("access_token") != "corp-token":
			fmt.Fprint(w, `{"errcode":40014,"errmsg":"invalid access_token"}`)
		case !open.Load():
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","next_cursor":"","has_more":0,"msg_list":[]}`)
		case strings.Contains(body, `"cursor":""`):
			fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","next_cursor":"cursor-1","has_more":1,"msg_list":[%s,%s]}`, item(1), item(2))
		case strings.Contains(body, `"cursor":"cursor-1"`) && wedge.Load():
			select {
			case <-r.Context().Done():
			case <-ended:
			}
		case strings.Contains(body, `"cursor":"cursor-1"`):
			fmt.Fprintf(w, `{"errcode":0,"errmsg":"ok","next_cursor":"cursor-2","has_more":0,"msg_list":[%s,%s]}`, item(3), item(4))
		default:
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","next_cursor":"cursor-2","has_more":0,"msg_list":[]}`)
		}
	})
	t.Cleanup(func() { close(ended) })
	pulls := func(cursor string) (n int) {
		for _, call := range api.called("/sync_msg") {
			if strings.Contains(call, `"cursor":"`+cursor+`"`) {
				n++
			}
		}
		return n
	}
	config := configured(t, `inboxes:
  - {id: desk, tenant: default, channel: wechat_kf, wechat_kf: {corp_id: `+corp+`, open_kf_id: `+account+`, token: `+weChatToken+`, encoding_aes_keys: [`+weChatKey+`], secret: s3cret, api_url: "`+api.URL+`"}}
`)
	s := newSite(t)
	srv := s.Up("-c", config)
	echoed(s, path, corp)
	srv.WaitFor("pulling at its start", func() bool { return pulls("") == 1 })

	open.Store(true)
	query, body := sealed(t, corp, `<xml><ToUserName><![CDATA[`+corp+`]]></ToUserName><CreateTime>1772442000</CreateTime><MsgType><![CDATA[event]]></MsgType>`+
		`<Event><![CDATA[kf_msg_or_event]]></Event><Token><![CDATA[ENCApHxnGDNAVNY4]]></Token><OpenKfId><![CDATA[`+account+`]]></OpenKfId></xml>`)
	deliver(s, path+query, body, nil)
	srv.WaitFor("waiting for the second page", func() bool { return pulls("cursor-1") == 1 })
	if last := api.called("/sync_msg"); !strings.Contains(last[len(last)-1], `"token":"ENCApHxnGDNAVNY4"`) {
		t.Errorf("pulled without the callback's token: %q", last)
	}
	srv.Kill()
	wedge.Store(false)
	before := pulls("")
	srv = s.Up("-c", config)

	address := "social:wechat_kf/" + account + ":" + customer
	all := awaitTold(s, srv, address, "message.received", 4)
	if got := texts(all); !slices.Equal(got, []string{"第1条", "第2条", "第3条", "第4条"}) {
		t.Errorf("told %q", got)
	}
	if again := pulls("") - before; again > 0 {
		t.Errorf("pulled from the beginning %d times after the kill", again)
	}
	quit(t, srv)
}

// untouched is a server that nobody must reach.
func untouched(t *testing.T) (server *httptest.Server, reached *atomic.Int64) {
	t.Helper()
	reached = &atomic.Int64{}
	server = httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	return server, reached
}

func TestOneSiteServesAllSocialChannels(t *testing.T) {
	inside, reached := untouched(t)
	api := newProvider(t, func(w http.ResponseWriter, r *http.Request, _ string, _ int) {
		switch r.URL.Path {
		case "/cgi-bin/gettoken":
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","access_token":"corp-token","expires_in":7200}`)
		case "/cgi-bin/kf/sync_msg":
			fmt.Fprint(w, `{"errcode":0,"errmsg":"ok","next_cursor":"","has_more":0,"msg_list":[]}`)
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	})
	const secrets = 14
	secret := func(i int) string { return fmt.Sprintf("unspeakable%02d", i) }
	config := configured(t, `inboxes:
  - {id: wa, tenant: default, channel: whatsapp, whatsapp: {phone_number_id: "111222333", business_account_id: "100200300", app_secret: `+secret(1)+`, verify_token: `+secret(2)+`, access_token: `+secret(3)+`, api_url: "`+api.URL+`"}}
  - {id: page, tenant: default, channel: messenger, messenger: {id: "1029384756", app_secret: `+secret(1)+`, verify_token: `+secret(2)+`, access_token: `+secret(3)+`, api_url: "`+api.URL+`"}}
  - {id: insta, tenant: default, channel: instagram, instagram: {id: "17841400000000001", page_id: "1029384756", app_secret: `+secret(1)+`, verify_token: `+secret(2)+`, access_token: `+secret(3)+`, api_url: "`+api.URL+`"}}
  - {id: service, tenant: default, channel: wechat, wechat: {app_id: `+weChatApp+`, app_secret: `+secret(4)+`, token: `+secret(5)+`, encoding_aes_key: `+weChatKey+`, api_url: "`+api.URL+`"}}
  - {id: staff, tenant: default, channel: wecom, wecom: {corp_id: ww8f3c0d2a1b4e5f60, agent_id: 1000002, token: `+secret(5)+`, encoding_aes_keys: [`+weChatKey+`], secret: `+secret(6)+`, members: customers, api_url: "`+api.URL+`"}}
  - {id: desk, tenant: default, channel: wechat_kf, wechat_kf: {corp_id: ww8f3c0d2a1b4e5f60, open_kf_id: wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw, token: `+secret(5)+`, encoding_aes_keys: [`+weChatKey+`], secret: `+secret(7)+`, api_url: "`+api.URL+`"}}
  - {id: bot, tenant: default, channel: telegram, telegram: {token: "700700:`+secret(8)+`", secret_token: `+secret(9)+`, api_url: "`+api.URL+`"}}
  - {id: oa, tenant: default, channel: line, line: {channel_id: "1234567890", channel_secret: `+secret(10)+`, access_token: `+secret(11)+`, api_url: "`+api.URL+`", data_url: "`+api.URL+`"}}
  - {id: twitter, tenant: default, channel: x, x: {user_id: "1000000001", consumer_key: key, consumer_secret: `+secret(12)+`, access_token: at, access_secret: `+secret(13)+`, api_url: "`+api.URL+`"}}
  - {id: sina, tenant: default, channel: weibo, weibo: {uid: "1902538057", app_secret: `+secret(14)+`, api_url: "`+api.URL+`"}}
`)
	s := newSite(t)
	verified := s.Run("config", "verify", "-c", config)
	if !strings.Contains(verified, "This works") || !strings.Contains(verified, "default/desk (wechat_kf)") {
		t.Errorf("config verify says\n%s", verified)
	}
	silent := func(what, said string) {
		t.Helper()
		for i := 1; i <= secrets; i++ {
			if strings.Contains(said, secret(i)) {
				t.Errorf("%s tells secret %d", what, i)
			}
		}
		if strings.Contains(said, weChatKey) {
			t.Errorf("%s tells the EncodingAESKey", what)
		}
	}
	silent("config verify", verified)
	srv := s.Up("-c", config)
	channels := s.Run("channels", "--server", s.GRPC)
	for _, name := range []string{"whatsapp", "messenger", "instagram", "wechat", "wecom", "wechat_kf", "telegram", "line", "x", "weibo"} {
		if !strings.Contains(channels, "social."+name+" ") || !strings.Contains(channels, " /channels/"+name+"/default/") {
			t.Errorf("%s is missing, or where it waits to be called, in\n%s", name, channels)
		}
	}

	at := strconv.FormatInt(time.Now().Unix(), 10)
	parts := []string{secret(14), at, "nonce"}
	slices.Sort(parts)
	weiboSum := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // what Weibo signs with
	for _, m := range []struct {
		path, body string
		sign       func(body string) http.Header
		sender     string
		text       string
	}{
		{
			"/channels/telegram/default/bot",
			`{"update_id":700002,"message":{"message_id":102,"from":{"id":4201,"is_bot":false,"first_name":"Ada"},"chat":{"id":4201,"first_name":"Ada","type":"private"},"date":` + at + `,"text":"Is the lamp in stock? 🌅"}}`,
			func(string) http.Header { return http.Header{"X-Telegram-Bot-Api-Secret-Token": {secret(9)}} },
			"social:telegram/700700:4201", "Is the lamp in stock? 🌅",
		},
		{
			"/channels/line/default/oa",
			`{"destination":"U00000000000000000000000000000b07","events":[{"type":"message","message":{"type":"text","id":"444573844083572737","text":"ランプはありますか"},"webhookEventId":"01FZ74A0TDDPYRVKNK77XKC002","deliveryContext":{"isRedelivery":false},"timestamp":` + at + `500,"mode":"active","source":{"type":"user","userId":"U206d25c2ea6bd87c17655609a1c37cb8"},"replyToken":"nHuyWiB7yP5Zw52FIkcQobQuGDX002"}]}`,
			func(body string) http.Header {
				return http.Header{"X-Line-Signature": {base64.StdEncoding.EncodeToString(hmac256(secret(10), body))}}
			},
			"social:line/1234567890:U206d25c2ea6bd87c17655609a1c37cb8", "ランプはありますか",
		},
		{
			"/channels/messenger/default/page",
			`{"object":"page","entry":[{"id":"1029384756","time":` + at + `200,"messaging":[{"sender":{"id":"6100000000000001"},"recipient":{"id":"1029384756"},"timestamp":` + at + `100,"message":{"mid":"m_1","text":"My lamp is broken","attachments":[{"type":"image","payload":{"url":"` + inside.URL + `/admin"}}]}}]}]}`,
			func(body string) http.Header { return byMeta(secret(1), body) },
			"social:messenger/1029384756:6100000000000001", "My lamp is broken",
		},
		{
			"/channels/instagram/default/insta",
			`{"object":"instagram","entry":[{"id":"17841400000000001","time":` + at + `200,"messaging":[{"sender":{"id":"6200000000000001"},"recipient":{"id":"17841400000000001"},"timestamp":` + at + `100,"message":{"mid":"aWd_1","text":"Do you ship to Graz?"}}]}]}`,
			func(body string) http.Header { return byMeta(secret(1), body) },
			"social:instagram/17841400000000001:6200000000000001", "Do you ship to Graz?",
		},
		{
			"/channels/x/default/twitter",
			`{"for_user_id":"1000000001","direct_message_events":[{"type":"message_create","id":"2028407463736246279","created_timestamp":"` + at + `000","message_create":{"target":{"recipient_id":"1000000001"},"sender_id":"501","source_app_id":"268278","message_data":{"text":"Where is order 17?","entities":{"hashtags":[],"symbols":[],"user_mentions":[],"urls":[]}}}}],"users":{"501":{"id":"501","name":"Mia","screen_name":"mia_k"}}}`,
			func(body string) http.Header {
				return http.Header{"X-Twitter-Webhooks-Signature": {"sha256=" + base64.StdEncoding.EncodeToString(hmac256(secret(12), body))}}
			},
			"social:x/1000000001:501", "Where is order 17?",
		},
		{
			"/channels/weibo/default/sina?" + url.Values{"signature": {hex.EncodeToString(weiboSum[:])}, "timestamp": {at}, "nonce": {"nonce"}}.Encode(),
			`{"type":"text","receiver_id":1902538057,"sender_id":2489518277,"created_at":"Mon Mar 02 17:01:00 +0800 2026","text":"我的灯什么时候到？","data":{}}`,
			func(string) http.Header { return http.Header{} },
			"social:weibo/1902538057:2489518277", "我的灯什么时候到？",
		},
	} {
		path, _, _ := strings.Cut(m.path, "?")
		if status, _ := request(s, http.MethodPost, path, m.body, nil); status != http.StatusUnauthorized {
			t.Errorf("%s answers %d to whoever comes", path, status)
		}
		deliver(s, m.path, m.body, m.sign(m.body))
		if got := texts(awaitTold(s, srv, m.sender, "message.received", 1)); got[0] != m.text {
			t.Errorf("%s wrote %q", m.sender, got)
		}
	}
	failed := awaitTold(s, srv, "social:messenger/1029384756:6100000000000001", "attachment.failed", 1)[0].GetContent().GetAttachmentFailed()
	if failed.GetCode() != "not_public" || reached.Load() > 0 {
		t.Errorf("a file inside: %v, reached %d times", failed, reached.Load())
	}
	if dead := s.Run("dead", "list", "--server", s.GRPC); !strings.Contains(dead, "No dead letters.") {
		t.Errorf("there are dead letters:\n%s", dead)
	}
	quit(t, srv)
	silent("the server", srv.Out())
}

// What is signed and not understood is kept, and holds up nothing. A message for a number that is missing in the configuration comes in when that
// is mended.
func TestWhatIsNotUnderstoodIsKeptAndRedrivenWhenItIsMended(t *testing.T) {
	api := newProvider(t, func(w http.ResponseWriter, _ *http.Request, _ string, _ int) { w.WriteHeader(http.StatusNotFound) })
	s := newSite(t)
	one := "inboxes:\n" + whatsAppInbox("wa", "111222333", api.URL)
	srv := s.Up("-c", configured(t, one))
	text := `"type":"text","text":{"body":"Hello?"}`
	foreign := ofNumber("444555666", fromWA(anna49, "wamid.101", time.Now(), text))
	for _, body := range []string{"\x1b[31mno JSON\xff", foreign, ofNumber("111222333", fromWA(anna49, "wamid.102", time.Now(), text))} {
		deliver(s, waPath, body, byMeta(metaSecret, body))
	}
	awaitTold(s, srv, "+"+anna49, "message.received", 1)
	letters := func() (ids []string) {
		for line := range strings.Lines(s.Run("dead", "list", "--reason", "rejected", "--server", s.GRPC)) {
			if fields := strings.Fields(line); strings.Contains(fields[0], "/") {
				ids = append(ids, fields[0])
			}
		}
		return ids
	}
	srv.WaitFor("keeping both", func() bool { return len(letters()) == 2 })
	var mended string
	for _, id := range letters() {
		shown := s.Run("dead", "show", id, "--server", s.GRPC)
		if strings.Contains(shown, "\x1b") || !strings.Contains(shown, "whatsapp") {
			t.Errorf("it is shown as %q", shown)
		}
		if strings.Contains(s.Run("dead", "show", id, "--raw", "--server", s.GRPC), "wamid.101") {
			mended = id
		}
	}
	if mended == "" {
		t.Fatal("the message is not kept")
	}

	quit(t, srv)
	srv = s.Up("-c", configured(t, one+whatsAppInbox("second", "444555666", api.URL)))
	if out := s.Run("dead", "redrive", mended, "--server", s.GRPC); !strings.Contains(out, "1 of 1 letters redriven.") {
		t.Errorf("redrive says\n%s", out)
	}
	inbox := map[string]bool{}
	for _, e := range awaitTold(s, srv, "+"+anna49, "message.received", 2) {
		inbox[e.GetEvent().GetInbox()] = true
	}
	refusing := s.Start("dead", "redrive", "--all", "--server", s.GRPC)
	if err := refusing.End(); err == nil || !strings.Contains(refusing.Out(), "; the adapter rejects it still: ") {
		t.Errorf("redrive of what is no webhook says %v\n%s", err, refusing.Out())
	}
	if left := letters(); !inbox["second"] || len(left) != 1 {
		t.Errorf("it came in to %v, and %v are left", inbox, left)
	}
	quit(t, srv)
}

func TestAFileIsFetchedThoughTheProcessIsKilledMeanwhile(t *testing.T) {
	t.Parallel()
	var wedge atomic.Bool
	wedge.Store(true)
	ended := make(chan struct{})
	var api *provider
	api = newProvider(t, func(w http.ResponseWriter, r *http.Request, _ string, _ int) {
		if strings.HasSuffix(r.URL.Path, "/5001") {
			fmt.Fprintf(w, `{"messaging_product":"whatsapp","url":"%s/whatsapp_business/attachments/?mid=5001","mime_type":"image/jpeg","file_size":8,"id":"5001"}`, api.URL)
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		fmt.Fprint(w, "half")
		if wedge.Load() {
			_ = http.NewResponseController(w).Flush()
			select {
			case <-r.Context().Done():
			case <-ended:
			}
			return
		}
		fmt.Fprint(w, "half")
	})
	t.Cleanup(func() { close(ended) })
	config := configured(t, "inboxes:\n"+whatsAppInbox("wa", "111222333", api.URL))
	s := newSite(t)
	srv := s.Up("-c", config)
	picture := ofNumber("111222333", fromWA(anna49, "wamid.001", time.Now(), aPicture))
	deliver(s, waPath, picture, byMeta(metaSecret, picture))
	srv.WaitFor("fetching the file", func() bool { return len(api.called("/attachments/")) == 1 })
	srv.Kill()
	wedge.Store(false)
	srv = s.Up("-c", config)
	stored := awaitTold(s, srv, "+"+anna49, "attachment.stored", 1)[0].GetContent().GetAttachments()[0].GetBlob()
	data, err := os.ReadFile(filepath.Join(s.Dir, "blobs", filepath.FromSlash(stored.GetKey())))
	if err != nil || string(data) != "halfhalf" {
		t.Errorf("it holds %q, %v", data, err)
	}
	awaitTold(s, srv, "+"+anna49, "message.received", 1)
	quit(t, srv)
}
