package weibo_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/weibo"
)

const head = `"receiver_id":1902538057,"sender_id":5,"created_at":"Mon Mar 02 17:01:00 +0800 2026"`

// A message without an id is told apart by what it says, in whatever order that stands.
func TestTheSameMessageOfTwoDeliveriesIsOneEvent(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host, nil)
	for _, body := range []string{
		`{"type":"position","text":"here","data":{"longitude":"1","latitude":"2"},` + head + `}`,
		`{` + head + `,"data":{"latitude":"2","longitude":"1"},"text":"here","type":"position"}`,
	} {
		post(h, webhookURL, body, sign)
	}
	if told := channeltest.Fingerprint(t, host); len(told) != 1 {
		t.Error(told)
	}
	post(h, webhookURL, `{"type":"position","text":"here","data":{"longitude":"1","latitude":"3"},`+head+`}`, sign)
	if told := channeltest.Fingerprint(t, host); len(told) != 2 {
		t.Error(told)
	}
}

func TestWhatIsNotUnderstoodIsKept(t *testing.T) {
	for name, body := range map[string]string{
		"for another account":         strings.Replace(`{"type":"text",`+head+`}`, "1902538057", "7", 1),
		"of nobody":                   strings.Replace(`{"type":"text",`+head+`}`, `"sender_id":5`, `"sender_id":0`, 1),
		"of a name":                   strings.Replace(`{"type":"text",`+head+`}`, `"sender_id":5`, `"sender_id":"`+strings.Repeat("9", 10_000)+`"`, 1),
		"of no type":                  `{` + head + `}`,
		"at no time":                  strings.Replace(`{"type":"text",`+head+`}`, "Mon Mar 02", "yesterday", 1),
		"of a number that has no end": strings.Replace(`{"type":"text",`+head+`}`, `"sender_id":5`, `"sender_id":1e999`, 1),
		"a picture without an id":     `{"type":"image","data":{},` + head + `}`,
		"a picture of a long id":      `{"type":"image","data":{"tovfid":"` + strings.Repeat("9", 5000) + `"},` + head + `}`,
		"data that are none":          `{"type":"image","data":{"tovfid":[]},` + head + `}`,
		"a mention of nothing":        `{"type":"mention","data":{"subtype":"status"},` + head + `}`,
		"the form of WeChat":          `<xml><MsgType>text</MsgType></xml>`,
		"a list":                      `[]`,
	} {
		host := taken(t, body)
		if kept := host.Rejections(); len(kept) != 1 || string(kept[0].Raw) != body || len(host.Events()) > 0 {
			t.Errorf("%s: kept %v, %d events", name, kept, len(host.Events()))
		}
	}
}

func TestWhatIsNotKnownIsCarried(t *testing.T) {
	for body, want := range map[string]string{
		`{"type":"Voice Call",` + head + `}`:                             "ext.weibo.voice_call",
		`{"type":"event","data":{"subtype":"Gift"},` + head + `}`:        "ext.weibo.gift",
		`{"type":"event","data":{},` + head + `}`:                        "ext.weibo.event",
		`{"type":"event","data":"",` + head + `}`:                        "ext.weibo.event",
		`{"type":"赞",` + head + `}`:                                      "ext.weibo.unnamed",
		`{"type":"` + strings.Repeat("a", 2000) + `",` + head + `}`:      "ext.weibo." + strings.Repeat("a", 48),
		`{"type":"event","data":{"subtype":"unsubscribe"},` + head + `}`: "ext.weibo.unsubscribe",
	} {
		host := taken(t, body)
		e := host.Events()
		if len(e) != 1 || e[0].Event.GetType() != want || string(e[0].Content.GetExtension().GetData()) != body {
			t.Errorf("%.60s: %v %v", body, e, host.Rejections())
		}
	}
}

// A place that is nowhere does not cost the message.
func TestAPlaceIsOnTheEarth(t *testing.T) {
	for _, data := range []string{`{"longitude":"200","latitude":"2"}`, `{"longitude":"NaN","latitude":"NaN"}`, `{"longitude":"here"}`, `{}`, `""`, `null`} {
		host := taken(t, `{"type":"position","text":"here","data":`+data+`,`+head+`}`)
		if e := host.Events(); len(e) != 1 || e[0].Content.GetMessageReceived().GetLocation() != nil {
			t.Errorf("%s: %v %v", data, e, host.Rejections())
		}
	}
}

// Of a mention the list of the API tells more; so it alone tells of it, where it is read.
func TestAMentionIsToldByOneSourceOnly(t *testing.T) {
	for _, subtype := range []string{"status", "comment"} {
		host := channeltest.NewHost()
		h := open(t, host, func(c *weibo.Config) { c.Accounts[0].Posts = true })
		w := post(h, webhookURL, `{"type":"mention","text":"@us","data":{"subtype":"`+subtype+`","key":"17"},`+head+`}`, sign)
		if w.Code != http.StatusOK || len(host.Events())+len(host.Rejections()) > 0 {
			t.Error(w.Code, host.Events(), host.Rejections())
		}
	}
}

// An account that only reads posts takes no deliveries.
func TestWithoutASecretNothingIsDelivered(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host, func(c *weibo.Config) { c.Accounts[0].AppSecret, c.Accounts[0].Posts = "", true })
	if w := post(h, webhookURL, `{"type":"text",`+head+`}`, sign); w.Code != http.StatusNotFound {
		t.Errorf("answered %d", w.Code)
	}
}
