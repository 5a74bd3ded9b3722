package telegram_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/telegram"
)

// deliver posts an update and gives the status of the answer.
func deliver(tb testing.TB, h http.Handler, body string) int {
	tb.Helper()
	r := httptest.NewRequestWithContext(tb.Context(), http.MethodPost, address, strings.NewReader(body))
	sign(r, []byte(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Code
}

// told delivers updates and gives the events.
func told(t *testing.T, updates ...string) []channeltest.Event {
	t.Helper()
	host := channeltest.NewHost()
	h := open(t, host)
	for _, u := range updates {
		if code := deliver(t, h, u); code != http.StatusOK {
			t.Fatalf("%s: answered %d", u, code)
		}
	}
	for _, r := range host.Rejections() {
		t.Fatalf("rejected: %s", r.Reason)
	}
	if n := len(host.Conflicts()); n > 0 {
		t.Fatalf("%d conflicts", n)
	}
	return host.Events()
}

const ada = `"from":{"id":4201,"is_bot":false,"first_name":"Ada"},"chat":{"id":4201,"type":"private"},"date":1772442000`

func TestAMessageToldByTwoUpdatesIsOne(t *testing.T) {
	events := told(t, `{"update_id":1,"message":{"message_id":7,`+ada+`,"text":"hi"}}`, `{"update_id":2,"message":{"message_id":7,`+ada+`,"text":"hi"}}`)
	if len(events) != 1 {
		t.Errorf("%d events", len(events))
	}
}

func TestMessagesOfTwoChatsWithOneNumberAreTwo(t *testing.T) {
	events := told(t, `{"update_id":1,"message":{"message_id":7,`+ada+`,"text":"hi"}}`,
		`{"update_id":2,"message":{"message_id":7,"from":{"id":4201,"first_name":"Ada"},"chat":{"id":-5,"type":"group"},"date":1772442000,"text":"hi"}}`)
	if len(events) != 2 || events[0].Submission.GetNativeId() != "4201/7" || events[1].Submission.GetNativeId() != "-5/7" {
		t.Errorf("%v", events)
	}
}

func TestTwoEditsInOneSecondAreTwoAndOneToldTwiceIsOne(t *testing.T) {
	edit := func(text string) string {
		return `{"update_id":2,"edited_message":{"message_id":7,` + ada + `,"edit_date":1772442010,"text":"` + text + `"}}`
	}
	if events := told(t, edit("one"), edit("two"), edit("one"), edit("two")); len(events) != 2 {
		t.Errorf("%d events", len(events))
	}
}

func TestEditsOfWhatIsNotUnderstoodAreCarriedEachByItself(t *testing.T) {
	edit := func(more string) string {
		return `{"update_id":2,"edited_message":{"message_id":7,` + ada + `,"edit_date":1772442010,"hologram":{"depth":` + more + `}}}`
	}
	if events := told(t, edit("1"), edit("2"), edit("1")); len(events) != 2 || events[0].Submission.GetType() != "ext.telegram.edited_message" {
		t.Errorf("%v", events)
	}
}

func TestALiveLocationMovesByEdits(t *testing.T) {
	at := func(date, longitude string) string {
		return `{"update_id":2,"edited_message":{"message_id":7,` + ada + `,"edit_date":` + date + `,"location":{"latitude":1,"longitude":` + longitude + `}}}`
	}
	events := told(t, at("1772442010", "2"), at("1772442020", "3"))
	if len(events) != 2 || events[1].Content.GetMessageEdited().GetEdited().GetLocation().GetLongitude() != 3 {
		t.Errorf("%v", events)
	}
}

func TestOnlyStartHasAPayload(t *testing.T) {
	for text, want := range map[string]string{
		"/start": "", "/start promo-17": "promo-17", "/start@lumen_bot promo-17": "promo-17", "/started x": "", "/help me": "",
	} {
		length := len(strings.Split(text, " ")[0])
		entity := `"entities":[{"type":"bot_command","offset":0,"length":` + string(rune('0'+length/10)) + string(rune('0'+length%10)) + `}]`
		entity = strings.Replace(entity, `"length":0`, `"length":`, 1)
		events := told(t, `{"update_id":1,"message":{"message_id":7,`+ada+`,"text":"`+text+`",`+entity+`}}`)
		if got := events[0].Content.GetMessageReceived(); got.GetPayload() != want || got.GetText() != text {
			t.Errorf("%s: payload %q, text %q", text, got.GetPayload(), got.GetText())
		}
	}
	events := told(t, `{"update_id":1,"message":{"message_id":7,`+ada+`,"text":"/start me up"}}`) // no command: nobody marked it
	if got := events[0].Content.GetMessageReceived().GetPayload(); got != "" {
		t.Errorf("payload %q", got)
	}
}

func TestFormattingIsShownAsHTML(t *testing.T) {
	for _, c := range []struct{ name, text, entities, want string }{
		{"nothing to show", "see #lamp", `{"type":"hashtag","offset":4,"length":5}`, ""},
		{"nested", "a b c", `{"type":"bold","offset":0,"length":5},{"type":"italic","offset":2,"length":1}`, "<b>a <i>b</i> c</b>"},
		{"places count in UTF-16", "👍👍 ok", `{"type":"bold","offset":5,"length":2}`, "👍👍 <b>ok</b>"},
		{"dangerous text", "<x> & y", `{"type":"code","offset":0,"length":3}`, "<code>&lt;x&gt;</code> &amp; y"},
		{"a dangerous link", "go", `{"type":"text_link","offset":0,"length":2,"url":"javascript:\"<>"}`, `<a href="javascript:&#34;&lt;&gt;">go</a>`},
		{"lines", "a\nb", `{"type":"pre","offset":0,"length":3}`, "<pre>a<br>b</pre>"},
		{"beyond the end", "ab", `{"type":"bold","offset":1,"length":9}`, ""},
		{"far beyond", "ab", `{"type":"bold","offset":9223372036854775807,"length":9223372036854775807}`, ""},
		{"overlapping", "abcd", `{"type":"bold","offset":0,"length":3},{"type":"italic","offset":2,"length":2}`, "<b>abc</b>d"},
		{"a person without a name", "you", `{"type":"text_mention","offset":0,"length":3,"user":{"id":5,"first_name":"X"}}`, `<a href="tg://user?id=5">you</a>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := strings.ReplaceAll(c.text, "\n", `\n`)
			events := told(t, `{"update_id":1,"message":{"message_id":7,`+ada+`,"text":"`+text+`","entities":[`+c.entities+`]}}`)
			if got := events[0].Content.GetMessageReceived().GetHtml(); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// Each line is the content of a message, and what of it is carried: type, text, files as source name type, defects.
func TestEachContentIsCarried(t *testing.T) {
	for content, want := range map[string]string{
		`"audio":{"file_id":"A","performer":"Ada","title":"Song","mime_type":"audio/mpeg"}`:    "message.received ||A Ada – Song audio/mpeg|",
		`"video":{"file_id":"V","file_name":"v.mp4","mime_type":"video/mp4"},"caption":"look"`: "message.received |look|V v.mp4 video/mp4|",
		`"video_note":{"file_id":"N"}`:                          "message.received ||N  video/mp4|",
		`"voice":{"file_id":"O"}`:                               "message.received ||O  audio/ogg|",
		`"sticker":{"file_id":"S","is_video":true,"emoji":"x"}`: "message.received |x|S  video/webm|",
		`"sticker":{"file_id":"S"}`:                             "message.received ||S  image/webp|",
		`"live_photo":{"file_id":"L","photo":[{"file_id":"P"}]},"photo":[{"file_id":"P"}]`:            "message.received ||P  image/jpeg,L  video/mp4|",
		`"paid_media":{"paid_media":[{"type":"preview"},{"type":"photo","photo":[{"file_id":"P"}]}]}`: "message.received ||P  image/jpeg|a file that has to be paid for is left out",
		`"story":{"id":1}`: "message.received |||a story is left out",
		`"game":{"title":"Chess","photo":[{"file_id":"G"}]}`:                           "message.received |Chess|G  image/jpeg|",
		`"poll":{"id":"1","question":"Tea?","options":[{"text":"Yes"},{"text":"No"}]}`: "message.received |Tea?\n- Yes\n- No||",
		`"checklist":{"title":"Buy","tasks":[{"text":"Lamp"}]}`:                        "message.received |Buy\n- Lamp||",
		`"location":{"latitude":91,"longitude":0}`:                                     "message.received |||a place that is not on the earth is left out",
		`"document":{"file_id":""}`:                                                    "ext.telegram.document |||",
		`"gift":{"gift":{}}`:                                                           "ext.telegram.gift |||",
		`"users_shared":{"request_id":1,"users":[]}`:                                   "ext.telegram.users_shared |||",
		`"Neu-Es":{}`:                  "ext.telegram.neu_es |||",
		`"has_protected_content":true`: "ext.telegram.message |||",
	} {
		events := told(t, `{"update_id":1,"message":{"message_id":7,`+ada+`,`+content+`}}`)
		if len(events) != 1 {
			t.Errorf("%s: %d events", content, len(events))
			continue
		}
		m := events[0].Content.GetMessageReceived()
		var files []string
		for _, f := range events[0].Content.GetAttachments() {
			files = append(files, f.GetSource()+" "+f.GetName()+" "+f.GetMediaType())
		}
		got := strings.Join([]string{events[0].Submission.GetType() + " ", m.GetText(), strings.Join(files, ","), strings.Join(m.GetDefects(), ",")}, "|")
		if got != want {
			t.Errorf("%s:\n got %s\nwant %s", content, got, want)
		}
	}
}

func TestEphemeralMessagesHaveIdsOfTheirOwn(t *testing.T) {
	events := told(t, `{"update_id":1,"message":{"message_id":0,"ephemeral_message_id":3,`+ada+`,"text":"a"}}`,
		`{"update_id":2,"message":{"message_id":0,"ephemeral_message_id":4,`+ada+`,"text":"b"}}`, `{"update_id":3,"message":{"message_id":0,`+ada+`,"text":"c"}}`)
	var ids []string
	for _, e := range events {
		ids = append(ids, e.Submission.GetNativeId())
	}
	if !slices.Equal(ids, []string{"4201/ephemeral/3/1772442000", "4201/ephemeral/4/1772442000", "4201/update/3"}) {
		t.Error(ids)
	}
}

func TestWhatTheBotItselfWroteTellsNothingNew(t *testing.T) {
	const bot = `{"id":110201543,"is_bot":true,"first_name":"Lumen"}`
	events := told(t, `{"update_id":1,"business_message":{"business_connection_id":"B","message_id":44,"from":{"id":8800,"first_name":"Dora"},"sender_business_bot":`+bot+`,`+
		`"chat":{"id":4303,"type":"private"},"date":1772442000,"text":"See you."}}`,
		`{"update_id":2,"message":{"message_id":45,"from":`+bot+`,"chat":{"id":-5,"type":"group"},"date":1772442000,"text":"See you."}}`)
	if len(events) != 0 {
		t.Errorf("%d events", len(events))
	}
}

// What is no update, or one that says too little, is kept with the reason.
func TestWhatIsNotUnderstoodIsKept(t *testing.T) {
	for body, reason := range map[string]string{
		`{}`:                             "no update_id",
		`[]`:                             "no update",
		`null`:                           "no update_id",
		`{"update_id":"1"}`:              "no update_id",
		`{"update_id":1e99}`:             "no update_id",
		`{"update_id":-1,"message":{}}`:  "no update_id",
		`{"update_id":1}`:                "tells nothing",
		`{"update_id":1,"message":null}`: "in which chat",
		`{"update_id":1,"message":{"message_id":"x"}}`:           "message_id is of another type",
		`{"update_id":1,"message":{"message_id":1e30}}`:          "message_id is of another type",
		`{"update_id":1,"message":{"chat":{"id":0}}}`:            "in which chat",
		`{"update_id":1,"message":7}`:                            "another type",
		`{"update_id":1,"callback_query":{"id":"1","data":"x"}}`: "who pressed",
		`{"update_id":1,"callback_query":{"from":{"id":1}}}`:     "id is missing",
		`{"update_id":1,"message_reaction":{"chat":{"id":1}}}`:   "whose reaction",
		`{"update_id":1,"deleted_business_messages":{}}`:         "in which chat",
		`{"update_id":1,"business_message":{"chat":{"id":1},"business_connection_id":"` + strings.Repeat("x", 10_000) + `"}}`: "too long",
		`{"update_id":1,"x":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}`:                               "depth",
	} {
		host := channeltest.NewHost()
		if code := deliver(t, open(t, host), body); code != http.StatusOK {
			t.Errorf("%.60s: answered %d", body, code)
		}
		kept := host.Rejections()
		if len(kept) != 1 || !strings.Contains(kept[0].Reason, reason) || string(kept[0].Raw) != body || len(host.Events()) > 0 {
			t.Errorf("%.60s: kept %.300v, %d events", body, kept, len(host.Events()))
		}
	}
}

// What is rejected today and understood tomorrow is taken in then.
func TestARejectedUpdateIsRedriven(t *testing.T) {
	c, err := telegram.New(config(http.NewServeMux()))
	if err != nil {
		t.Fatal(err)
	}
	host := channeltest.NewHost()
	r := channel.Rejection{Tenant: "lumen", Inbox: "bot", Provider: "telegram", Raw: []byte(`{"update_id":1,"message":{"message_id":7,` + ada + `,"text":"hi"}}`)}
	if err := c.Redrive(t.Context(), host, r); err != nil || len(host.Events()) != 1 {
		t.Errorf("%v, %d events", err, len(host.Events()))
	}
	host.Fail(channel.ErrRetry)
	if err := c.Redrive(t.Context(), host, r); err == nil {
		t.Error("redriven while the log was away")
	}
	r.Inbox = "gone"
	if err := c.Redrive(t.Context(), host, r); err == nil {
		t.Error("redriven to nowhere")
	}
}

func TestAConfigurationIsChecked(t *testing.T) {
	good := telegram.Account{Tenant: "lumen", Inbox: "bot", Token: token, SecretToken: secret}
	for name, change := range map[string]func(*telegram.Config){
		"path":               func(c *telegram.Config) { c.Accounts[0].Inbox = "a/b" },
		"a bot's token":      func(c *telegram.Config) { c.Accounts[0].Token = "4711" },
		"bot's token":        func(c *telegram.Config) { c.Accounts[0].Token = "4711:a/../b" },
		"1 to 256":           func(c *telegram.Config) { c.Accounts[0].SecretToken = "" },
		"letters, digits, _": func(c *telegram.Config) { c.Accounts[0].SecretToken = "ü" },
		"API's URL":          func(c *telegram.Config) { c.Accounts[0].APIURL = "ftp://x" },
		"stands twice":       func(c *telegram.Config) { c.Accounts = append(c.Accounts, good) },
		"a mux":              func(c *telegram.Config) { c.Mux = nil },
		"needs cursors":      func(c *telegram.Config) { c.Accounts[0].Pull, c.Accounts[0].SecretToken = true, "" },
		"either pulled":      func(c *telegram.Config) { c.Accounts[0].Pull, c.Cursors = true, &channeltest.Cursors{} },
	} {
		cfg := config(http.NewServeMux())
		change(&cfg)
		if _, err := telegram.New(cfg); err == nil || !strings.Contains(err.Error(), name) || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestTwoTokensAreNone(t *testing.T) {
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, address, strings.NewReader(`{}`))
	r.Header.Add("X-Telegram-Bot-Api-Secret-Token", secret)
	r.Header.Add("X-Telegram-Bot-Api-Secret-Token", "other")
	w := httptest.NewRecorder()
	open(t, channeltest.NewHost()).ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized || strings.Contains(w.Body.String(), secret) {
		t.Error(w.Code, w.Body)
	}
}
