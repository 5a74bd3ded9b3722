package bench

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio and Weibo sign with
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"hash"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
	"github.com/skein-cx/skein/services/channels/social/line"
	"github.com/skein-cx/skein/services/channels/social/meta"
	"github.com/skein-cx/skein/services/channels/social/meta/messenger"
	"github.com/skein-cx/skein/services/channels/social/meta/whatsapp"
	"github.com/skein-cx/skein/services/channels/social/telegram"
	"github.com/skein-cx/skein/services/channels/social/wechat"
	"github.com/skein-cx/skein/services/channels/social/wechat/kf"
	"github.com/skein-cx/skein/services/channels/social/wechat/official"
	"github.com/skein-cx/skein/services/channels/social/wechat/wecom"
	"github.com/skein-cx/skein/services/channels/social/weibo"
	"github.com/skein-cx/skein/services/channels/social/x"
	"github.com/skein-cx/skein/services/channels/web/chat"
)

const (
	// secret signs what the providers deliver.
	secret = "0123456789abcdef0123456789abcdef"
	// aesKey encrypts what WeChat delivers.
	aesKey = "abcdefghijklmnopqrstuvwxyz0123456789ABCDEFG"
	// customers take turns to write.
	customers = 1000
	// wroteAt is when the first does, in Unix seconds.
	wroteAt = 1772442000

	question     = "Could you tell me when my order will leave the warehouse?"
	questionInZh = "请问我的订单什么时候从仓库发货？"
)

// hooks are the channels whose providers deliver by HTTP.
func hooks() ([]hook, error) {
	wechatHooks, err := wechatHooks()
	if err != nil {
		return nil, err
	}
	webChat, err := webChatHook()
	if err != nil {
		return nil, err
	}
	return slices.Concat([]hook{
		twilioHook(), whatsappHook(1), whatsappHook(20), messengerHook(messenger.Facebook), messengerHook(messenger.Instagram),
	}, wechatHooks, []hook{telegramHook(), lineHook(), xHook(), weiboHook(), webChat}, cloudHooks(), []hook{mappedHook()}), nil
}

func path(provider, inbox string) string { return "/channels/" + provider + "/" + tenant + "/" + inbox }

// sum is what the secret signs a text with.
func sum(h func() hash.Hash, text []byte) []byte {
	mac := hmac.New(h, []byte(secret))
	mac.Write(text)
	return mac.Sum(nil)
}

// checked tells whether a text in a header is the one that it should be.
func checked(got, want string) error {
	if subtle.ConstantTimeCompare([]byte(got), []byte(want)) != 1 {
		return errSignature
	}
	return nil
}

// decoded is the least of deliveries in JSON: the check, and the few fields of T.
func decoded[T any](check func(delivery) error) func(delivery) error {
	return func(d delivery) error {
		return errors.Join(check(d), json.Unmarshal(d.body, new(T)))
	}
}

func twilioHook() hook {
	const account, base = "AC00000000000000000000000000000000", "https://skein.example"
	at := path("twilio", "sms") + "/message"
	signature := func(form url.Values) string {
		text := []byte(base + at)
		for _, name := range slices.Sorted(maps.Keys(form)) {
			text = append(append(text, name...), form.Get(name)...)
		}
		return base64.StdEncoding.EncodeToString(sum(sha1.New, text))
	}
	return hook{
		channel: "phone.twilio", message: "a short message", events: 1,
		open: func(mux *http.ServeMux) (channel.Channel, error) {
			return twilio.New(twilio.Config{Mux: mux, Accounts: []twilio.Account{{
				Tenant: tenant, Inbox: "sms", AccountSID: account, AuthToken: secret, Numbers: []string{"+4930200100"}, BaseURLs: []string{base},
			}}})
		},
		next: func(n int64) (delivery, error) {
			form := url.Values{
				"AccountSid": {account}, "MessageSid": {fmt.Sprintf("SM%032x", n)}, "SmsStatus": {"received"}, "From": {fmt.Sprintf("+4930901%05d", n%customers)},
				"To": {"+4930200100"}, "Body": {question}, "NumMedia": {"0"},
			}
			return delivery{at, map[string]string{"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature(form)}, []byte(form.Encode())}, nil
		},
		least: func(d delivery) error {
			form, err := url.ParseQuery(string(d.body))
			return errors.Join(err, checked(d.header["X-Twilio-Signature"], signature(form)))
		},
	}
}

// byMeta is a delivery that Meta has signed.
func byMeta(at string, body []byte) delivery {
	return delivery{at, map[string]string{meta.SignatureHeader: meta.Sign(secret, body)}, body}
}

func checkMeta(d delivery) error {
	return checked(d.header[meta.SignatureHeader], "sha256="+hex.EncodeToString(sum(sha256.New, d.body)))
}

func whatsappHook(messages int) hook {
	h := hook{channel: "social.whatsapp", message: "a text", events: messages}
	if messages > 1 {
		h.message = fmt.Sprintf("%d texts in one body", messages)
	}
	h.open = func(mux *http.ServeMux) (channel.Channel, error) {
		return whatsapp.New(whatsapp.Config{Mux: mux, Accounts: []whatsapp.Account{{
			Tenant: tenant, Inbox: "wa", PhoneNumberID: "111222333", BusinessAccountID: "100200300", AppSecret: secret, VerifyToken: secret,
		}}})
	}
	h.next = func(n int64) (delivery, error) {
		body := []byte(`{"object":"whatsapp_business_account","entry":[{"id":"100200300","changes":[`)
		for i := range int64(messages) {
			if i > 0 {
				body = append(body, ',')
			}
			id := n*int64(messages) + i
			body = fmt.Appendf(body, `{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"4930200200","phone_number_id":"111222333"},`+
				`"contacts":[{"profile":{"name":"Anna Schmidt"},"wa_id":"4930901%05d"}],"messages":[{"from":"4930901%05[1]d",`+
				`"id":"wamid.HBgNNDkzMDkwMTgyMDAwFQIAEhgU%032X","timestamp":"%d","text":{"body":%q},"type":"text"}]},"field":"messages"}`,
				id%customers, id, wroteAt+id/customers, question)
		}
		return byMeta(path("whatsapp", "wa"), append(body, `]}]}`...)), nil
	}
	h.least = decoded[struct {
		Entry []struct {
			Changes []struct {
				Value struct {
					Metadata struct {
						PhoneNumberID string `json:"phone_number_id"`
					}
					Contacts []struct {
						Profile struct{ Name string }
					}
					Messages []struct {
						From, ID, Timestamp, Type string
						Text                      struct{ Body string }
					}
				}
			}
		}
	}](checkMeta)
	return h
}

func messengerHook(product messenger.Product) hook {
	object := "instagram"
	if product == messenger.Facebook {
		object = "page"
	}
	return hook{
		channel: "social." + string(product), message: "a text", events: 1,
		open: func(mux *http.ServeMux) (channel.Channel, error) {
			return messenger.New(messenger.Config{Product: product, Mux: mux, Accounts: []messenger.Account{{
				Tenant: tenant, Inbox: "m", ID: "17841400000000001", AppSecret: secret, VerifyToken: secret,
			}}})
		},
		next: func(n int64) (delivery, error) {
			at := wroteAt*1000 + n
			return byMeta(path(string(product), "m"), fmt.Appendf(nil, `{"object":%q,"entry":[{"time":%d,"id":"17841400000000001","messaging":[{"sender":{"id":"6200000000%06d"},`+
				`"recipient":{"id":"17841400000000001"},"timestamp":%d,"message":{"mid":"m_AG5Hz2Uq7tuwNEhXfYYKj8mJEM_QPpz5jdCK48PnKAjSdjfipqxqMvK8ma%032x","text":%q}}]}]}`,
				object, at+100, n%customers, at, n, question)), nil
		},
		least: decoded[struct {
			Entry []struct {
				ID        string
				Messaging []struct {
					Sender, Recipient struct{ ID string }
					Timestamp         int64
					Message           struct{ MID, Text string }
				}
			}
		}](checkMeta),
	}
}

// tencents is the least of what Tencent delivers in XML.
type tencents struct {
	ToUserName, FromUserName, MsgType, Content, MsgID string
	CreateTime                                        int64
}

// wechatHooks are official accounts, in clear and encrypted, and WeCom, which always is.
func wechatHooks() ([]hook, error) {
	const app, nonce = "wx4711081511110815", "1372623149"
	signedAt := strconv.Itoa(wroteAt)
	crypto, err := wechat.NewCrypto(app, aesKey)
	if err != nil {
		return nil, err
	}
	query := func(name, signature string) string {
		return "?" + url.Values{name: {signature}, "timestamp": {signedAt}, "nonce": {nonce}, "openid": {"oLumen_customer_000000000001"}}.Encode()
	}
	text := func(n int64, more string) []byte {
		return fmt.Appendf(nil, "<xml><ToUserName><![CDATA[gh_lumen]]></ToUserName>\n<FromUserName><![CDATA[oLumen_customer_%012d]]></FromUserName>\n<CreateTime>%d</CreateTime>\n"+
			"<MsgType><![CDATA[text]]></MsgType>\n<Content><![CDATA[%s]]></Content>\n<MsgId>%d</MsgId>\n%s</xml>", n%customers, wroteAt+n/customers, questionInZh, 24000000000000000+n, more)
	}
	sealed := func(at string, text []byte) (delivery, error) {
		body, signature, err := crypto.Seal(text, secret, signedAt, nonce)
		return delivery{at + query("msg_signature", signature), nil, body}, err
	}
	openLeast := func(d delivery) error {
		u, err := url.Parse(d.url)
		if err != nil {
			return err
		}
		q := u.Query()
		var envelope struct{ Encrypt string }
		if err := xml.Unmarshal(d.body, &envelope); err != nil {
			return err
		}
		if !wechat.Signed(q.Get("msg_signature"), secret, q.Get("timestamp"), q.Get("nonce"), envelope.Encrypt) {
			return errSignature
		}
		text, err := crypto.Decrypt(envelope.Encrypt)
		if err != nil {
			return err
		}
		return xml.Unmarshal(text, new(tencents))
	}
	account := func(key string) func(*http.ServeMux) (channel.Channel, error) {
		return func(mux *http.ServeMux) (channel.Channel, error) {
			return official.New(official.Config{Mux: mux, Accounts: []official.Account{{Tenant: tenant, Inbox: "oa", AppID: app, Token: secret, EncodingAESKey: key}}})
		}
	}
	return []hook{
		{
			channel: "social.wechat", message: "a text, in clear", events: 1, open: account(""),
			next: func(n int64) (delivery, error) {
				return delivery{path("wechat", "oa") + query("signature", wechat.Signature(secret, signedAt, nonce)), nil, text(n, "")}, nil
			},
			least: func(d delivery) error {
				u, err := url.Parse(d.url)
				if err != nil {
					return err
				}
				if q := u.Query(); !wechat.Signed(q.Get("signature"), secret, q.Get("timestamp"), q.Get("nonce")) {
					return errSignature
				}
				return xml.Unmarshal(d.body, new(tencents))
			},
		},
		{
			channel: "social.wechat", message: "a text, encrypted", events: 1, open: account(aesKey),
			next:  func(n int64) (delivery, error) { return sealed(path("wechat", "oa"), text(n, "")) },
			least: openLeast,
		},
		{
			channel: "social.wecom", message: "a text, encrypted", events: 1,
			open: func(mux *http.ServeMux) (channel.Channel, error) {
				return wecom.New(wecom.Config{Mux: mux, Accounts: []wecom.Account{{
					Tenant: tenant, Inbox: "wc", CorpID: app, AgentID: 1, Token: secret, EncodingAESKeys: []string{aesKey}, Secret: secret,
				}}})
			},
			next: func(n int64) (delivery, error) {
				return sealed(path("wecom", "wc"), bytes.ReplaceAll(text(n, "<AgentID>1</AgentID>"), []byte("gh_lumen"), []byte(app)))
			},
			least: openLeast,
		},
	}, nil
}

func telegramHook() hook {
	const header = "X-Telegram-Bot-Api-Secret-Token"
	return hook{
		channel: "social.telegram", message: "a text", events: 1,
		open: func(mux *http.ServeMux) (channel.Channel, error) {
			return telegram.New(telegram.Config{Mux: mux, Accounts: []telegram.Account{{Tenant: tenant, Inbox: "tg", Token: "4711:" + secret, SecretToken: secret}}})
		},
		next: func(n int64) (delivery, error) {
			user := 4200000 + n%customers
			return delivery{path("telegram", "tg"), map[string]string{header: secret}, fmt.Appendf(nil,
				`{"update_id":%d,"message":{"message_id":%d,"from":{"id":%d,"is_bot":false,"first_name":"Ada","last_name":"Wong","username":"adaw","language_code":"de"},`+
					`"chat":{"id":%[3]d,"first_name":"Ada","last_name":"Wong","username":"adaw","type":"private"},"date":%d,"text":%q}}`, 700000+n, 1+n, user, wroteAt+n/customers, question)}, nil
		},
		least: decoded[struct {
			UpdateID int64 `json:"update_id"`
			Message  struct {
				MessageID int64 `json:"message_id"`
				From      struct {
					ID        int64
					FirstName string `json:"first_name"`
					LastName  string `json:"last_name"`
				}
				Chat struct {
					ID   int64
					Type string
				}
				Date int64
				Text string
			}
		}](func(d delivery) error { return checked(d.header[header], secret) }),
	}
}

func lineHook() hook {
	const header = "X-Line-Signature"
	signature := func(body []byte) string { return base64.StdEncoding.EncodeToString(sum(sha256.New, body)) }
	return hook{
		channel: "social.line", message: "a text", events: 1,
		open: func(mux *http.ServeMux) (channel.Channel, error) {
			return line.New(line.Config{Mux: mux, Accounts: []line.Account{{Tenant: tenant, Inbox: "ln", ChannelID: "1655000000", ChannelSecret: secret, AccessToken: secret}}})
		},
		next: func(n int64) (delivery, error) {
			body := fmt.Appendf(nil, `{"destination":"U00000000000000000000000000000b07","events":[{"type":"message","message":{"type":"text","id":"%d","quoteToken":"q3Plxr4AgKd%032x",`+
				`"text":%q},"webhookEventId":"01FZ74A0TD%016X","deliveryContext":{"isRedelivery":false},"timestamp":%d,"source":{"type":"user","userId":"U%032x"},`+
				`"replyToken":"nHuyWiB7yP5Zw52FIkcQ%012x","mode":"active"}]}`, 444573844083572737+n, n, question, n, wroteAt*1000+n, n%customers, n)
			return delivery{path("line", "ln"), map[string]string{header: signature(body)}, body}, nil
		},
		least: decoded[struct {
			Destination string
			Events      []struct {
				Type, WebhookEventID string
				Timestamp            int64
				Source               struct{ Type, UserID string }
				Message              struct{ Type, ID, Text string }
			}
		}](func(d delivery) error { return checked(d.header[header], signature(d.body)) }),
	}
}

func xHook() hook {
	const header = "X-Twitter-Webhooks-Signature"
	signature := func(body []byte) string {
		return "sha256=" + base64.StdEncoding.EncodeToString(sum(sha256.New, body))
	}
	return hook{
		channel: "social.x", message: "a direct message", events: 1,
		open: func(mux *http.ServeMux) (channel.Channel, error) {
			return x.New(x.Config{Mux: mux, Accounts: []x.Account{{Tenant: tenant, Inbox: "x", UserID: "1000000001", ConsumerKey: "key", ConsumerSecret: secret}}})
		},
		next: func(n int64) (delivery, error) {
			user := 501000 + n%customers
			body := fmt.Appendf(nil, `{"for_user_id":"1000000001","direct_message_events":[{"type":"message_create","id":"%d","created_timestamp":"%d","message_create":`+
				`{"target":{"recipient_id":"1000000001"},"sender_id":"%d","source_app_id":"268278","message_data":{"text":%q,"entities":{"hashtags":[],"symbols":[],"user_mentions":[],"urls":[]}}}}],`+
				`"apps":{"268278":{"id":"268278","name":"Twitter Web Client","url":"http:\/\/twitter.com"}},"users":{"%[3]d":{"id":"%[3]d","created_timestamp":"1422556069340","name":"Mia",`+
				`"screen_name":"mia_k","location":"Graz","description":"Likes lamps.","protected":false,"verified":false,"followers_count":27,"friends_count":140,"statuses_count":1302,`+
				`"profile_image_url":"http:\/\/pbs.twimg.com\/profile_images\/1\/mia_normal.jpg","profile_image_url_https":"https:\/\/pbs.twimg.com\/profile_images\/1\/mia_normal.jpg"},`+
				`"1000000001":{"id":"1000000001","created_timestamp":"1322556069340","name":"Lumen","screen_name":"LumenLamps","description":"Lamps that last.","protected":false,"verified":true,`+
				`"followers_count":88000,"friends_count":12,"statuses_count":20010,"profile_image_url":"http:\/\/pbs.twimg.com\/profile_images\/2\/lumen_normal.jpg",`+
				`"profile_image_url_https":"https:\/\/pbs.twimg.com\/profile_images\/2\/lumen_normal.jpg"}}}`, 2028407463736246279+n, wroteAt*1000+n, user, question)
			return delivery{path("x", "x"), map[string]string{header: signature(body)}, body}, nil
		},
		least: decoded[struct {
			ForUserID string `json:"for_user_id"`
			Messages  []struct {
				Type, ID string
				Created  string `json:"created_timestamp"`
				Create   struct {
					Target struct {
						RecipientID string `json:"recipient_id"`
					}
					SenderID string                `json:"sender_id"`
					Data     struct{ Text string } `json:"message_data"`
				} `json:"message_create"`
			} `json:"direct_message_events"`
			Users map[string]struct{ Name string }
		}](func(d delivery) error { return checked(d.header[header], signature(d.body)) }),
	}
}

func weiboHook() hook {
	signature := func(timestamp, nonce string) string {
		parts := []string{secret, timestamp, nonce}
		slices.Sort(parts)
		s := sha1.Sum([]byte(strings.Join(parts, ""))) //nolint:gosec // what Weibo signs with
		return hex.EncodeToString(s[:])
	}
	return hook{
		channel: "social.weibo", message: "a private message", events: 1,
		open: func(mux *http.ServeMux) (channel.Channel, error) {
			return weibo.New(weibo.Config{Mux: mux, Tolerance: time.Hour, Accounts: []weibo.Account{{Tenant: tenant, Inbox: "wb", UID: "1902538057", AppSecret: secret}}})
		},
		next: func(n int64) (delivery, error) {
			timestamp, nonce := strconv.FormatInt(time.Now().UnixMilli(), 10), strconv.FormatInt(57155157+n, 10)
			query := url.Values{"signature": {signature(timestamp, nonce)}, "timestamp": {timestamp}, "nonce": {nonce}}
			return delivery{path("weibo", "wb") + "?" + query.Encode(), nil, fmt.Appendf(nil,
				`{"type":"text","receiver_id":1902538057,"sender_id":%d,"created_at":%q,"text":"%s（%d）","data":{}}`,
				2489518000+n%customers, time.Unix(wroteAt+n/customers, 0).UTC().Format(time.RubyDate), questionInZh, n)}, nil
		},
		least: decoded[struct {
			Type, Text string
			ReceiverID int64  `json:"receiver_id"`
			SenderID   int64  `json:"sender_id"`
			CreatedAt  string `json:"created_at"`
		}](func(d delivery) error {
			u, err := url.Parse(d.url)
			if err != nil {
				return err
			}
			q := u.Query()
			return checked(q.Get("signature"), signature(q.Get("timestamp"), q.Get("nonce")))
		}),
	}
}

// webChatHook posts what its WebSocket would bring as well, with visitors' tokens.
func webChatHook() (hook, error) {
	open := func(mux *http.ServeMux) (*chat.Channel, error) {
		return chat.New(chat.Config{
			Mux: mux, Widgets: []chat.Widget{{ID: "shop", Tenant: tenant, Origins: []string{chat.AnyOrigin}}}, Follower: noFollower{}, Secret: []byte(secret),
			Limits: chat.Limits{Rate: 1e9, Burst: 1e9},
		})
	}
	c, err := open(http.NewServeMux())
	if err != nil {
		return hook{}, err
	}
	tokens := make([]string, customers)
	for i := range tokens {
		if tokens[i], err = c.Token("shop", fmt.Sprintf("visitor-%d", i), fmt.Sprintf("thread-%d", i)); err != nil {
			return hook{}, err
		}
	}
	return hook{
		channel: "web.chat", message: "a message, posted", events: 1,
		open: func(mux *http.ServeMux) (channel.Channel, error) { return open(mux) },
		next: func(n int64) (delivery, error) {
			return delivery{"/chat/v1/shop/messages", map[string]string{"Authorization": "Bearer " + tokens[n%customers]}, fmt.Appendf(nil, `{"id":"m-%d","text":%q}`, n, question)}, nil
		},
		least: decoded[struct{ ID, Text string }](checkToken),
	}, nil
}

// checkToken does what is the least with a JSON Web Token; the key is derived, and whether it is the right one does not matter here.
func checkToken(d delivery) error {
	parts := strings.Split(strings.TrimPrefix(d.header["Authorization"], "Bearer "), ".")
	if len(parts) != 3 {
		return errSignature
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || hmac.Equal(signature, sum(sha256.New, []byte(parts[0]+"."+parts[1]))) {
		return errors.Join(err, errors.New("the channel's own secret is not to sign tokens"))
	}
	for _, part := range parts[:2] {
		text, err := base64.RawURLEncoding.DecodeString(part)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(text, &struct {
			Alg, Tenant, Widget, Visitor, Thread string
			Exp                                  int64
		}{}); err != nil {
			return err
		}
	}
	return nil
}

// noFollower has nothing to follow.
type noFollower struct{ channel.Follower }

const (
	kfAccount = "wkAJ2GCAAAZSfhHCt7IFSvLKtMPxyJTw"
	// perPage is how many messages WeChat customer service gives at once.
	perPage = 1000
)

// kfPage is the nth page of messages.
func kfPage(n int64) []byte {
	var page bytes.Buffer
	fmt.Fprintf(&page, `{"errcode":0,"errmsg":"ok","next_cursor":"%d","has_more":1,"msg_list":[`, n+1)
	for i := range int64(perPage) {
		if i > 0 {
			page.WriteByte(',')
		}
		id := n*perPage + i
		fmt.Fprintf(&page, `{"msgid":"5Ry%028d","open_kfid":"%s","external_userid":"wmAJ2GCAAAme1XQRC-NI-q0_%08d","send_time":%d,"origin":3,"msgtype":"text","text":{"content":"%s"}}`,
			id, kfAccount, id%customers, wroteAt+n, questionInZh)
	}
	page.WriteString("]}")
	return page.Bytes()
}

// kfSource is WeChat customer service, whose API is asked for pages; here, it answers in memory.
func kfSource() source {
	const few = 4 // pages, where making them is not to be measured
	pages := func() [][]byte {
		all := make([][]byte, few)
		for i := range all {
			all[i] = kfPage(int64(i))
		}
		return all
	}
	pull := func(ctx context.Context, host channel.Host, page func(n int64) []byte) error {
		c, err := kf.New(kf.Config{
			Mux: http.NewServeMux(), Cursors: &memoryCursors{}, Client: &http.Client{Transport: &kfAPI{page: page}},
			Accounts: []kf.Account{{Tenant: tenant, Inbox: "kf", CorpID: "ww4711081511110815", OpenKfID: kfAccount, Token: secret, EncodingAESKeys: []string{aesKey}, Secret: secret}},
		})
		if err != nil {
			return err
		}
		if err := c.Open(ctx, host); err != nil {
			return err
		}
		return c.Run(ctx)
	}
	return source{
		channel: "social.wechat_kf", message: fmt.Sprintf("pages of %d texts", perPage),
		run: func(ctx context.Context, host *countingHost) error { return pull(ctx, host, kfPage) },
		alone: func(ctx context.Context, host *countingHost) error {
			all := pages()
			return pull(ctx, host, func(n int64) []byte { return all[n%few] })
		},
		least: func(ctx context.Context, host *countingHost) error {
			for all, i := pages(), 0; ctx.Err() == nil; i++ {
				var page struct {
					Items []struct {
						MsgID, MsgType string
						OpenKfID       string `json:"open_kfid"`
						ExternalUserID string `json:"external_userid"`
						SendTime       int64  `json:"send_time"`
						Text           struct{ Content string }
					} `json:"msg_list"`
				}
				if err := json.Unmarshal(all[i%few], &page); err != nil {
					return err
				}
				host.durable.Add(int64(len(page.Items)))
			}
			return nil
		},
	}
}

// kfAPI answers for a token, and then for one page after another, whatever the cursor.
type kfAPI struct {
	page func(n int64) []byte
	next atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (a *kfAPI) RoundTrip(r *http.Request) (*http.Response, error) {
	answer := []byte(`{"errcode":0,"errmsg":"ok","access_token":"token","expires_in":7200}`)
	if r.Method == http.MethodPost {
		answer = a.page(a.next.Add(1) - 1)
	}
	if r.Body != nil {
		_ = r.Body.Close()
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	return &http.Response{
		Status: "200 OK", StatusCode: http.StatusOK, ProtoMajor: 1, ProtoMinor: 1, Header: http.Header{"Content-Type": {"application/json"}},
		Body: io.NopCloser(bytes.NewReader(answer)), ContentLength: int64(len(answer)), Request: r,
	}, nil
}

// memoryCursors are channel.Cursors that do not last.
type memoryCursors struct{ all sync.Map }

// Cursor implements channel.Cursors.
func (c *memoryCursors) Cursor(_ context.Context, name string) (string, error) {
	cursor, _ := c.all.Load(name)
	text, _ := cursor.(string)
	return text, nil
}

// MoveCursor implements channel.Cursors.
func (c *memoryCursors) MoveCursor(_ context.Context, name, _, is string) error {
	c.all.Store(name, is)
	return nil
}
