package weibo_test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha1" //nolint:gosec // what Weibo signs with
	"encoding/hex"
	"encoding/json"
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
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/weibo"
)

const (
	appSecret   = "xyz123xyz"
	accessToken = "2.00-the-t0ken"
	uid         = "1902538057"
	webhookURL  = "https://skein.example/channels/weibo/lumen/lamps"
)

var lamps = weibo.Key{Tenant: "lumen", Inbox: "lamps"}

// messages is an account that takes messages only.
func messages() weibo.Account {
	return weibo.Account{Tenant: "lumen", Inbox: "lamps", UID: uid, AppSecret: appSecret, AccessToken: accessToken}
}

func made(tb testing.TB, cfg weibo.Config) *weibo.Channel {
	tb.Helper()
	c, err := weibo.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// open gives the webhooks of a new channel.
func open(tb testing.TB, host channel.Host, change func(*weibo.Config)) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	cfg := weibo.Config{Mux: mux, Accounts: []weibo.Account{messages()}, Cursors: &channeltest.Cursors{}}
	if change != nil {
		change(&cfg)
	}
	if err := made(tb, cfg).Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux
}

var nonces atomic.Int64

// sign makes a request one of Weibo's; written from the documentation, and not by what is tested.
func sign(r *http.Request, _ []byte) {
	signAt(r, appSecret, strconv.FormatInt(time.Now().UnixMilli(), 10))
}

func signAt(r *http.Request, secret, timestamp string) {
	nonce := strconv.FormatInt(57155157+nonces.Add(1), 10)
	parts := []string{secret, timestamp, nonce}
	slices.Sort(parts)
	sum := sha1.Sum([]byte(parts[0] + parts[1] + parts[2])) //nolint:gosec // what Weibo signs with
	query := r.URL.Query()
	query.Set("signature", hex.EncodeToString(sum[:]))
	query.Set("timestamp", timestamp)
	query.Set("nonce", nonce)
	r.URL.RawQuery = query.Encode()
}

type section struct{ name, text string }

func sections(tb testing.TB, file string) []section {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", file))
	if err != nil {
		tb.Fatal(err)
	}
	var all []section
	for _, part := range strings.Split(string(raw), "\n== ")[1:] {
		name, text, _ := strings.Cut(part, "\n")
		all = append(all, section{name, strings.TrimSpace(text)})
	}
	return all
}

func story(tb testing.TB) []channeltest.Delivery {
	tb.Helper()
	var all []channeltest.Delivery
	for _, s := range sections(tb, "synthetic.story") {
		all = append(all, channeltest.Delivery{Name: s.name, URL: webhookURL, ContentType: "application/json", Body: s.text})
	}
	return all
}

func post(h http.Handler, address, body string, sign func(*http.Request, []byte)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, address, strings.NewReader(body))
	sign(r, []byte(body))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// taken gives what became of one delivery.
func taken(t *testing.T, body string) *channeltest.Host {
	t.Helper()
	host := channeltest.NewHost()
	if answer := post(open(t, host, nil), webhookURL, body, sign); answer.Code != http.StatusOK {
		t.Fatal(answer.Code, answer.Body)
	}
	return host
}

func TestTheStoryGivesTheEventsBesideIt(t *testing.T) {
	host := channeltest.NewHost()
	h := open(t, host, nil)
	for _, d := range story(t) {
		if answer := post(h, d.URL, d.Body, sign); answer.Code != http.StatusOK || answer.Body.Len() > 0 { // no reply here and now
			t.Errorf("%s: %d %s", d.Name, answer.Code, answer.Body)
		}
	}
	for _, r := range host.Rejections() {
		t.Errorf("rejected: %s: %s", r.Reason, r.Raw)
	}
	channeltest.Fingerprint(t, host) // no conflicts
	channeltest.Golden(t, filepath.Join("testdata", "synthetic.events"), channeltest.Transcript(host.Events()))
}

func TestTheKitForMessages(t *testing.T) {
	channeltest.TestWebhook(t, channeltest.Webhook{
		Open:         func(t *testing.T, host channel.Host) http.Handler { t.Helper(); return open(t, host, nil) },
		Story:        story(t),
		Sign:         sign,
		Unsign:       func(r *http.Request) { r.URL.RawQuery = "" },
		BodyUnsigned: true,
	})
}

func TestTheVectorOfTheDocuments(t *testing.T) {
	if got := weibo.Signature("xyz123xyz", "1397022061823", "57155157"); got != "90e4c22c90a58f26526c2dd5b6c56c8822edeaa1" {
		t.Error(got)
	}
}

// The signature does not cover the body; so it holds for a short time only.
func TestASignatureIsRightAndRecent(t *testing.T) {
	const body = `{"type":"text","receiver_id":1902538057,"sender_id":5,"created_at":"Mon Mar 02 17:01:00 +0800 2026","text":"hi"}`
	in := func(d time.Duration) time.Time { return time.Now().Add(d) }
	ms := func(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }
	for name, c := range map[string]struct {
		sign func(r *http.Request)
		want int
	}{
		"now":                         {func(r *http.Request) { signAt(r, appSecret, ms(in(0))) }, 200},
		"now, in seconds":             {func(r *http.Request) { signAt(r, appSecret, strconv.FormatInt(in(0).Unix(), 10)) }, 200},
		"a moment ago":                {func(r *http.Request) { signAt(r, appSecret, ms(in(-4*time.Minute))) }, 200},
		"by a clock that is ahead":    {func(r *http.Request) { signAt(r, appSecret, ms(in(4*time.Minute))) }, 200},
		"long ago":                    {func(r *http.Request) { signAt(r, appSecret, ms(in(-6*time.Minute))) }, 401},
		"tomorrow":                    {func(r *http.Request) { signAt(r, appSecret, ms(in(24*time.Hour))) }, 401},
		"never":                       {func(r *http.Request) { signAt(r, appSecret, "0") }, 401},
		"at a time that is none":      {func(r *http.Request) { signAt(r, appSecret, "now") }, 401},
		"at a time that does not fit": {func(r *http.Request) { signAt(r, appSecret, "99999999999999999999") }, 401},
		"by somebody else":            {func(r *http.Request) { signAt(r, "another", ms(in(0))) }, 401},
		"with another number":         {func(r *http.Request) { signAt(r, appSecret, ms(in(0))); r.URL.RawQuery += "1" }, 401},
		"with a query that is broken": {func(r *http.Request) { signAt(r, appSecret, ms(in(0))); r.URL.RawQuery += "&a=%zz" }, 401},
		"not at all":                  {func(*http.Request) {}, 401},
		"with an empty secret's":      {func(r *http.Request) { signAt(r, "", ms(in(0))) }, 401},
		"in the body, not in the path": {func(r *http.Request) {
			signAt(r, appSecret, ms(in(0)))
			r.Header.Set("X", r.URL.RawQuery)
			r.URL.RawQuery = ""
		}, 401},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			host := channeltest.NewHost()
			r := httptest.NewRequest(method, webhookURL, strings.NewReader(body))
			c.sign(r)
			w := httptest.NewRecorder()
			open(t, host, nil).ServeHTTP(w, r)
			if w.Code != c.want || len(host.Events()) > 0 != (c.want == 200 && method == http.MethodPost) {
				t.Errorf("%s %s: answered %d, %d events", method, name, w.Code, len(host.Events()))
			}
		}
	}
	old := func(r *http.Request, _ []byte) { signAt(r, appSecret, ms(in(-24*time.Hour))) }
	if w := post(open(t, channeltest.NewHost(), func(c *weibo.Config) { c.Tolerance = -1 }), webhookURL, body, old); w.Code != http.StatusOK {
		t.Errorf("answered %d although the time is not to be checked", w.Code)
	}
}

func TestTheHandshakeShowsWhatWeiboWantsToSee(t *testing.T) {
	h := open(t, channeltest.NewHost(), nil)
	get := func(echo string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, webhookURL+"?echostr="+url.QueryEscape(echo), http.NoBody)
		sign(r, nil)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	if w := get("8769843<b>"); w.Code != http.StatusOK || w.Body.String() != "8769843<b>" || !strings.HasPrefix(w.Header().Get("Content-Type"), "text/plain") {
		t.Error(w.Code, w.Body, w.Header())
	}
	if w := get(strings.Repeat("a", 2000)); w.Code != http.StatusBadRequest {
		t.Errorf("answered %d", w.Code)
	}
}

func TestNewNamesEverythingThatIsWrong(t *testing.T) {
	if _, err := weibo.New(weibo.Config{}); err == nil {
		t.Error("no mux")
	}
	for want, change := range map[string]func(*weibo.Config){
		"stand in a path":          func(c *weibo.Config) { c.Accounts[0].Tenant = "a/b" },
		"number of the account":    func(c *weibo.Config) { c.Accounts[0].UID = "卢门灯具" },
		"nothing else to do":       func(c *weibo.Config) { c.Accounts[0].AppSecret = "" },
		"need an access token":     func(c *weibo.Config) { c.Accounts[0].AccessToken, c.Accounts[0].Posts = "", true },
		"need cursors":             func(c *weibo.Config) { c.Cursors, c.Accounts[0].Posts = nil, true },
		"it stands twice":          func(c *weibo.Config) { c.Accounts = append(c.Accounts, c.Accounts[0]) },
		"the API's URL":            func(c *weibo.Config) { c.Accounts[0].APIURL = "ftp://x" },
		"the messages API's URL":   func(c *weibo.Config) { c.Accounts[0].MessagesURL = "https://u@x" },
		"the files API's URL":      func(c *weibo.Config) { c.Accounts[0].FilesURL = "x" },
		"the interval is negative": func(c *weibo.Config) { c.PollInterval = -1 },
	} {
		cfg := weibo.Config{Mux: http.NewServeMux(), Accounts: []weibo.Account{messages()}, Cursors: &channeltest.Cursors{}}
		change(&cfg)
		want = strings.Replace(want, "the interval", "the poll interval", 1)
		if _, err := weibo.New(cfg); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), accessToken) || strings.Contains(err.Error(), appSecret) {
			t.Errorf("%s: %v", want, err)
		}
	}
}

// api is a fake of Weibo's lists: it gives the highest ids above since_id and up to max_id, and goes no further back than it can.
type api struct {
	*httptest.Server
	mu       chan struct{} // one at a time
	lists    map[string][]listed
	depth    int // 0: all the way
	answers  []func(http.ResponseWriter)
	asked    []string
	deafness bool // to max_id
}

func newAPI(tb testing.TB) *api {
	tb.Helper()
	a := &api{mu: make(chan struct{}, 1), lists: map[string][]listed{}}
	a.Server = httptest.NewServer(http.HandlerFunc(a.serve))
	tb.Cleanup(a.Close)
	return a
}

func (a *api) lock() func() { a.mu <- struct{}{}; return func() { <-a.mu } }

// add puts an item into a list.
func (a *api) add(list, item string) {
	defer a.lock()()
	a.put(list, item)
}

func (a *api) put(list, item string) {
	i := listed{raw: json.RawMessage(item)}
	var id struct{ ID uint64 }
	if json.Unmarshal(i.raw, &id) == nil {
		i.id = id.ID
	}
	at, _ := slices.BinarySearchFunc(a.lists[list], i, func(x, y listed) int { return cmp.Compare(y.id, x.id) })
	a.lists[list] = slices.Insert(a.lists[list], at, i)
}

// listed is an item of a list, the highest id first.
type listed struct {
	id  uint64
	raw json.RawMessage
}

// next makes the API answer the next calls otherwise.
func (a *api) next(answers ...func(http.ResponseWriter)) {
	defer a.lock()()
	a.answers = append(a.answers, answers...)
}

func (a *api) calls() []string {
	defer a.lock()()
	return slices.Clone(a.asked)
}

func (a *api) serve(w http.ResponseWriter, r *http.Request) {
	defer a.lock()()
	list := strings.TrimSuffix(strings.TrimPrefix(r.URL.Path, "/2/"), ".json")
	a.asked = append(a.asked, list+" "+r.URL.RawQuery)
	if len(a.answers) > 0 {
		answer := a.answers[0]
		a.answers = a.answers[1:]
		answer(w)
		return
	}
	if r.Header.Get("Authorization") != "OAuth2 "+accessToken {
		w.WriteHeader(http.StatusForbidden)
		_, _ = io.WriteString(w, `{"error":"invalid_access_token","error_code":21332,"request":"/2/`+list+`.json"}`)
		return
	}
	number := func(name string) uint64 { n, _ := strconv.ParseUint(r.URL.Query().Get(name), 10, 64); return n }
	items := slices.Clone(a.lists[list])
	if a.depth > 0 && len(items) > a.depth {
		items = items[:a.depth]
	}
	since, most := number("since_id"), number("max_id")
	items = slices.DeleteFunc(items, func(i listed) bool { return i.id <= since || !a.deafness && most != 0 && i.id > most })
	items = items[:min(len(items), int(number("count")))]
	if len(items) == 0 {
		_, _ = io.WriteString(w, "[]")
		return
	}
	field, _, _ := strings.Cut(list, "/")
	var raws [][]byte
	for _, i := range items {
		raws = append(raws, i.raw)
	}
	total := []byte(strconv.Itoa(len(a.lists[list])))
	_ = json.NewEncoder(w).Encode(map[string]json.RawMessage{field: slices.Concat([]byte("["), bytes.Join(raws, []byte(",")), []byte("]")), "total_number": total}) //nolint:errchkjson // of what was decoded
}

// answer is one of the API's.
func answer(status int, body string) func(http.ResponseWriter) {
	return func(w http.ResponseWriter) {
		w.WriteHeader(status)
		_, _ = io.WriteString(w, body)
	}
}

// posts is a configuration that reads comments and mentions of an API.
func posts(apiURL string, cursors channel.Cursors) weibo.Config {
	a := messages()
	a.Posts, a.APIURL, a.MessagesURL, a.FilesURL = true, apiURL, apiURL, apiURL
	return weibo.Config{Mux: http.NewServeMux(), Accounts: []weibo.Account{a}, Cursors: cursors, PollInterval: time.Millisecond}
}

// run runs a channel until the test ends, or stop is called.
func run(t *testing.T, c *weibo.Channel, host channel.Host) (stop func()) {
	t.Helper()
	if err := c.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- c.Run(ctx) }()
	stopped := false
	stop = func() {
		if cancel(); !stopped {
			stopped = true
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	}
	t.Cleanup(stop)
	return stop
}

// until waits for a condition.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func await(t *testing.T, host *channeltest.Host, n int) []channeltest.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	events, err := host.WaitEvents(ctx, n)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func comment(id int) string {
	return fmt.Sprintf(`{"created_at":%q,"id":%d,"idstr":"%[2]d","rootid":%[2]d,"text":"comment %[2]d","user":{"id":%d},"status":{"id":5140090000000001,"user":{"id":1902538057}}}`,
		time.Date(2026, 3, 1, 0, 0, id, 0, time.UTC).Format(time.RubyDate), id, 2489518277+id)
}
