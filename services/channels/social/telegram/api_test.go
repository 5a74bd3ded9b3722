package telegram_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/telegram"
)

// api is the Bot API over HTTP: it answers as https://core.telegram.org/bots/api says.
type api struct {
	*httptest.Server
	asked atomic.Int64
}

// newAPI answers what is asked by its method, or its file path.
func newAPI(tb testing.TB, answer func(w http.ResponseWriter, r *http.Request, what string)) *api {
	tb.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		for _, prefix := range []string{"/bot" + token + "/", "/file/bot" + token + "/"} {
			if what, ok := strings.CutPrefix(r.URL.EscapedPath(), prefix); ok {
				answer(w, r, what)
				return
			}
		}
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, `{"ok":false,"error_code":404,"description":"Not Found"}`)
	}))
	tb.Cleanup(a.Close)
	return a
}

// bot is a channel that speaks to an API.
func bot(tb testing.TB, apiURL string) *telegram.Channel {
	tb.Helper()
	cfg := config(http.NewServeMux())
	cfg.Accounts[0].APIURL = apiURL
	c, err := telegram.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var key = telegram.Key{Tenant: "lumen", Inbox: "bot"}

const taken = `{"ok":true,"result":{"message_id":77,"chat":{"id":4201,"type":"private"},"date":1772442000,"text":"At your door."}}`

func outgoing(thread, text string) channel.Outgoing {
	return channel.Outgoing{Tenant: "lumen", Inbox: "bot", Thread: thread, Message: &eventv1.Message{Text: text}}
}

func TestATextGoesToItsThread(t *testing.T) {
	for thread, want := range map[string]string{
		"4201":                   `{"chat_id":4201,"reply_parameters":{"allow_sending_without_reply":true,"message_id":102},"text":"At your door."}`,
		"-1002200/12":            `{"chat_id":-1002200,"message_thread_id":12,"text":"At your door."}`,
		"-1003300/direct/4201":   `{"chat_id":-1003300,"direct_messages_topic_id":4201,"text":"At your door."}`,
		"business/BQADAgAD/4201": `{"business_connection_id":"BQADAgAD","chat_id":4201,"reply_parameters":{"allow_sending_without_reply":true,"message_id":102},"text":"At your door."}`,
	} {
		var body string
		server := newAPI(t, func(w http.ResponseWriter, r *http.Request, what string) {
			raw, _ := io.ReadAll(r.Body)
			body = what + " " + string(raw)
			_, _ = io.WriteString(w, taken)
		})
		out := outgoing(thread, "At your door.")
		out.Message.InReplyTo = "4201/102"
		s := bot(t, server.URL).NewSender(key)
		sent, err := s.Send(t.Context(), out)
		if err != nil || sent.NativeID != "4201/77" || !sent.At.Equal(time.Unix(1772442000, 0)) || sent.Echo != nil || s.Idempotent() {
			t.Errorf("%s: %+v, %v", thread, sent, err)
		}
		if body != "sendMessage "+want {
			t.Errorf("%s: asked for %s", thread, body)
		}
	}
}

func file(name, mediaType, content string, size int64) channel.OutgoingFile {
	return channel.OutgoingFile{
		Attachment: &eventv1.Attachment{Name: name, Blob: &eventv1.Blob{MediaType: mediaType, Size: size}},
		Open:       func(context.Context) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(content)), nil },
	}
}

func TestFilesAreUploaded(t *testing.T) {
	jpeg, pdf := file("corner.jpg", "image/jpeg", "JPEG", 4), file("Rechnung \"17\".pdf", "application/pdf", "PDF", 3)
	for name, c := range map[string]struct {
		files []channel.OutgoingFile
		want  string
	}{
		"a picture":          {[]channel.OutgoingFile{jpeg}, `sendPhoto caption=Here chat_id=4201 photo="corner.jpg" image/jpeg JPEG`},
		"a document":         {[]channel.OutgoingFile{pdf}, `sendDocument caption=Here chat_id=4201 document="Rechnung \"17\".pdf" application/pdf PDF`},
		"a large picture":    {[]channel.OutgoingFile{file("", "image/png", "PNG", 11<<20)}, `sendDocument caption=Here chat_id=4201 document="file1" image/png PNG`},
		"two pictures":       {[]channel.OutgoingFile{jpeg, jpeg}, `sendMediaGroup chat_id=4201 media=[{"caption":"Here","media":"attach://file0","type":"photo"},{"media":"attach://file1","type":"photo"}] file0="corner.jpg" image/jpeg JPEG file1="corner.jpg" image/jpeg JPEG`},
		"files of two kinds": {[]channel.OutgoingFile{jpeg, pdf}, `sendMediaGroup chat_id=4201 media=[{"caption":"Here","media":"attach://file0","type":"document"},{"media":"attach://file1","type":"document"}] file0="corner.jpg" image/jpeg JPEG file1="Rechnung \"17\".pdf" application/pdf PDF`},
	} {
		t.Run(name, func(t *testing.T) {
			var got string
			server := newAPI(t, func(w http.ResponseWriter, r *http.Request, what string) {
				got = what + " " + formOf(t, r)
				if what == "sendMediaGroup" {
					_, _ = io.WriteString(w, strings.NewReplacer(`"result":`, `"result":[`, `door."}}`, `door."}]}`).Replace(taken))
					return
				}
				_, _ = io.WriteString(w, taken)
			})
			out := outgoing("4201", "Here")
			out.Attachments = c.files
			sent, err := bot(t, server.URL).NewSender(key).Send(t.Context(), out)
			if err != nil || sent.NativeID != "4201/77" {
				t.Errorf("%+v, %v", sent, err)
			}
			if got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// formOf writes down the parts of a form: fields by their names, then files.
func formOf(t *testing.T, r *http.Request) string {
	t.Helper()
	_, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil {
		t.Error(err)
		return ""
	}
	fields := map[string]string{}
	var files []string
	reader := multipart.NewReader(r.Body, params["boundary"])
	for {
		part, err := reader.NextPart()
		if err != nil {
			break
		}
		content, _ := io.ReadAll(part)
		if part.FileName() == "" {
			fields[part.FormName()] = string(content)
			continue
		}
		files = append(files, fmt.Sprintf("%s=%q %s %s", part.FormName(), part.FileName(), part.Header.Get("Content-Type"), content))
	}
	var all []string
	for _, name := range []string{"caption", "chat_id", "media"} {
		if value, ok := fields[name]; ok {
			all = append(all, name+"="+value)
		}
	}
	return strings.Join(append(all, files...), " ")
}

// What Telegram answers says whether to send again. The errors are those that it is known for.
func TestAnErrorTellsWhetherToSendAgain(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		kind   error         // nil for refused
		code   string        // of a refusal
		after  time.Duration // of channel.ErrRetry
	}{
		"blocked":              {403, `{"ok":false,"error_code":403,"description":"Forbidden: bot was blocked by the user"}`, nil, "403", 0},
		"no such chat":         {400, `{"ok":false,"error_code":400,"description":"Bad Request: chat not found"}`, nil, "400", 0},
		"a changed token":      {401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`, nil, "401", 0},
		"a group that moved":   {400, `{"ok":false,"error_code":400,"description":"Bad Request: group chat was upgraded to a supergroup chat","parameters":{"migrate_to_chat_id":-1002201}}`, nil, "400", 0},
		"too large":            {413, `<html>`, nil, "413", 0},
		"too many":             {429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 12","parameters":{"retry_after":12}}`, channel.ErrRetry, "", 12 * time.Second},
		"too many, by a proxy": {429, `<html>`, channel.ErrRetry, "", 0},
		"an error inside":      {500, `{"ok":false,"error_code":500,"description":"Internal Server Error"}`, channel.ErrUnknown, "", 0},
		"a proxy's error":      {502, `<html>`, channel.ErrUnknown, "", 0},
		"a cut answer":         {200, `{"ok":true,"result":{"mess`, channel.ErrUnknown, "", 0},
		"no message":           {200, `{"ok":true,"result":true}`, channel.ErrUnknown, "", 0},
		"a way elsewhere":      {302, ``, channel.ErrUnknown, "", 0},
	} {
		t.Run(name, func(t *testing.T) {
			server := newAPI(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := bot(t, server.URL).NewSender(key).Send(t.Context(), outgoing("4201", "Hello"))
			refused, isRefused := errors.AsType[*channel.RefusedError](err)
			if isRefused != (c.kind == nil) || c.kind != nil && !errors.Is(err, c.kind) || isRefused && refused.Code != c.code {
				t.Errorf("%v", err)
			}
			if strings.Contains(err.Error(), token) || name == "a group that moved" && !strings.Contains(err.Error(), "-1002201") {
				t.Error(err)
			}
			if later, ok := errors.AsType[interface {
				error
				RetryAfter() time.Duration
			}](err); ok != (c.after > 0) || ok && later.RetryAfter() != c.after {
				t.Error(err)
			}
			if server.asked.Load() != 1 {
				t.Errorf("sent %d times", server.asked.Load())
			}
		})
	}
}

func TestWithoutAConnectionNothingWasSent(t *testing.T) {
	server := newAPI(t, nil)
	server.Close()
	_, err := bot(t, server.URL).NewSender(key).Send(t.Context(), outgoing("4201", "Hello"))
	if !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) || strings.Contains(err.Error(), token) {
		t.Error(err)
	}
}

func TestAConnectionThatBreaksLeavesItUnknown(t *testing.T) {
	server := newAPI(t, func(_ http.ResponseWriter, r *http.Request, _ string) {
		_, _ = io.ReadAll(r.Body)
		panic(http.ErrAbortHandler)
	})
	for _, files := range [][]channel.OutgoingFile{nil, {file("a.jpg", "image/jpeg", "JPEG", 4)}} {
		before := server.asked.Load()
		out := outgoing("4201", "Hello")
		out.Attachments = files
		_, err := bot(t, server.URL).NewSender(key).Send(t.Context(), out)
		if !errors.Is(err, channel.ErrUnknown) || errors.Is(err, channel.ErrRetry) || strings.Contains(err.Error(), token) || server.asked.Load() != before+1 {
			t.Error(err, server.asked.Load())
		}
	}
}

func TestWhatCannotBeSentIsRefusedBefore(t *testing.T) {
	server := newAPI(t, func(http.ResponseWriter, *http.Request, string) {})
	many := make([]channel.OutgoingFile, 11)
	for i := range many {
		many[i] = file("a", "image/jpeg", "", 1)
	}
	for code, change := range map[string]func(*channel.Outgoing){
		"no_message_thread": func(o *channel.Outgoing) { o.Thread = "post/-1001900/31" },
		"guest":             func(o *channel.Outgoing) { o.Thread = "guest/-1009" },
		"no_templates":      func(o *channel.Outgoing) { o.Message.Template = "order" },
		"no_location":       func(o *channel.Outgoing) { o.Message.Location = &eventv1.Location{} },
		"no_text":           func(o *channel.Outgoing) { o.Message.Text = " \n" },
		"text_too_long":     func(o *channel.Outgoing) { o.Message.Text = strings.Repeat("ü", 4097) },
		"too_many_files":    func(o *channel.Outgoing) { o.Attachments = many },
		"too_large":         func(o *channel.Outgoing) { o.Attachments = []channel.OutgoingFile{file("a", "video/mp4", "", 51<<20)} },
	} {
		out := outgoing("4201", "Hello")
		change(&out)
		_, err := bot(t, server.URL).NewSender(key).Send(t.Context(), out)
		if e, ok := errors.AsType[*channel.RefusedError](err); !ok || e.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
	caption := outgoing("4201", strings.Repeat("x", 1025))
	caption.Attachments = many[:1]
	if _, err := bot(t, server.URL).NewSender(key).Send(t.Context(), caption); !strings.Contains(err.Error(), "beside files") {
		t.Error(err)
	}
	if _, err := bot(t, server.URL).NewSender(telegram.Key{}).Send(t.Context(), outgoing("4201", "x")); !strings.Contains(err.Error(), "not configured") {
		t.Error(err)
	}
	if n := server.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// A file that cannot be opened is what stops the message, before anything goes out.
func TestAFileThatCannotBeOpenedSendsNothing(t *testing.T) {
	server := newAPI(t, func(http.ResponseWriter, *http.Request, string) {})
	broken := file("a", "image/jpeg", "", 1)
	broken.Open = func(context.Context) (io.ReadCloser, error) { return nil, channel.ErrRetry }
	out := outgoing("4201", "Hello")
	out.Attachments = []channel.OutgoingFile{file("b", "image/jpeg", "", 1), broken}
	if _, err := bot(t, server.URL).NewSender(key).Send(t.Context(), out); !errors.Is(err, channel.ErrRetry) || server.asked.Load() != 0 {
		t.Error(err, server.asked.Load())
	}
}

// Each line is what the API answers to getFile and to the file itself, and what becomes of it.
func TestAFileIsFetchedFromWhereTelegramSaysItLies(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		place  string
		file   http.HandlerFunc
		want   string // the bytes, or the code of a refusal, or "retry"
	}{
		"there":            {200, `{"ok":true,"result":{"file_id":"AgAC","file_unique_id":"u","file_size":4,"file_path":"photos/file 1.jpg"}}`, nil, "JPEG"},
		"too large, said":  {400, `{"ok":false,"error_code":400,"description":"Bad Request: file is too big"}`, nil, "too_large"},
		"too large, told":  {200, `{"ok":true,"result":{"file_size":20971521,"file_path":"x"}}`, nil, "too_large"},
		"gone":             {400, `{"ok":false,"error_code":400,"description":"Bad Request: invalid file_id"}`, nil, "400"},
		"away for a while": {400, `{"ok":false,"error_code":400,"description":"Bad Request: wrong file_id or the file is temporarily unavailable"}`, nil, "retry"},
		"a changed token":  {401, `{"ok":false,"error_code":401,"description":"Unauthorized"}`, nil, "retry"},
		"too many":         {429, `{"ok":false,"error_code":429,"description":"Too Many Requests: retry after 3","parameters":{"retry_after":3}}`, nil, "retry"},
		"down":             {502, `<html>`, nil, "retry"},
		"no path":          {200, `{"ok":true,"result":{}}`, nil, "retry"},
		"a path elsewhere": {200, `{"ok":true,"result":{"file_path":"../../../getMe"}}`, nil, "bad_path"},
		"a local server":   {200, `{"ok":true,"result":{"file_path":"/var/lib/x"}}`, nil, "bad_path"},
		"the file is gone": {200, `{"ok":true,"result":{"file_path":"x"}}`, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, "404"},
		"larger than told": {200, `{"ok":true,"result":{"file_path":"x"}}`, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "20971521")
		}, "too_large"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newAPI(t, func(w http.ResponseWriter, r *http.Request, what string) {
				switch {
				case what == "getFile":
					var asked struct {
						FileID string `json:"file_id"`
					}
					if json.NewDecoder(r.Body).Decode(&asked) != nil || asked.FileID != "AgAC" {
						t.Error(asked)
					}
					w.WriteHeader(c.status)
					_, _ = io.WriteString(w, c.place)
				case c.file != nil:
					c.file(w, r)
				case what == "photos/file%201.jpg":
					w.Header().Set("Content-Type", "application/octet-stream")
					_, _ = io.WriteString(w, "JPEG")
				default:
					t.Error(what)
				}
			})
			f, err := bot(t, server.URL).Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "bot", Source: "AgAC"})
			got := "retry"
			if err == nil {
				raw, _ := io.ReadAll(f.Body)
				_ = f.Body.Close()
				got = string(raw)
				if f.MediaType != "" {
					t.Error(f.MediaType)
				}
			} else if refused, ok := errors.AsType[*channel.RefusedError](err); ok {
				got = refused.Code
			}
			if got != c.want || err != nil && strings.Contains(err.Error(), token) {
				t.Errorf("got %s, want %s: %v", got, c.want, err)
			}
		})
	}
	if _, err := bot(t, "http://127.0.0.1:1").Fetch(t.Context(), channel.RemoteFile{}); err == nil {
		t.Error("fetched for nobody")
	}
	if _, err := bot(t, "http://127.0.0.1:1").Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "bot", Source: "x"}); err == nil || strings.Contains(err.Error(), token) {
		t.Error(err)
	}
}

// updates is Telegram's queue of updates: it gives out those from an offset on, and forgets those before it.
type updates struct {
	*api
	mu      sync.Mutex
	queue   []json.RawMessage
	first   int64 // id of the first in the queue
	changed chan struct{}
	cut     chan struct{} // closed to break what is under way
}

func newUpdates(t *testing.T) *updates {
	t.Helper()
	u := &updates{first: 1, changed: make(chan struct{}), cut: make(chan struct{})}
	u.api = newAPI(t, func(w http.ResponseWriter, r *http.Request, what string) {
		var asked struct {
			Offset  int64 `json:"offset"`
			Limit   int   `json:"limit"`
			Timeout int   `json:"timeout"`
		}
		if err := json.NewDecoder(r.Body).Decode(&asked); what != "getUpdates" || err != nil || asked.Timeout == 0 || asked.Limit == 0 {
			t.Error(what, asked, err)
		}
		for {
			u.mu.Lock()
			for asked.Offset > u.first && len(u.queue) > 0 {
				u.queue, u.first = u.queue[1:], u.first+1
			}
			n := min(len(u.queue), 2)
			answer, err := json.Marshal(map[string]any{"ok": true, "result": u.queue[:n]})
			changed, cut := u.changed, u.cut
			u.mu.Unlock()
			if n > 0 && err == nil {
				_, _ = w.Write(answer)
				return
			}
			select {
			case <-changed:
			case <-cut:
				panic(http.ErrAbortHandler)
			case <-r.Context().Done():
				return
			}
		}
	})
	t.Cleanup(func() { u.Cut(t) })
	return u
}

// Tell puts an update into the queue, under the queue's next id.
func (u *updates) Tell(t *testing.T, i int) {
	t.Helper()
	var fields map[string]json.RawMessage
	if err := json.Unmarshal([]byte(story(t)[i].Body), &fields); err != nil {
		t.Fatal(err)
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	fields["update_id"] = json.RawMessage(fmt.Sprint(u.first + int64(len(u.queue))))
	raw, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	u.queue = append(u.queue, raw)
	close(u.changed)
	u.changed = make(chan struct{})
}

// Cut breaks the connections.
func (u *updates) Cut(*testing.T) {
	u.mu.Lock()
	defer u.mu.Unlock()
	close(u.cut)
	u.cut = make(chan struct{})
}

func pulled(tb testing.TB, apiURL string, cursors channel.Cursors) *telegram.Channel {
	tb.Helper()
	c, err := telegram.New(telegram.Config{
		Cursors: cursors, Backoff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) },
		Accounts: []telegram.Account{{Tenant: "lumen", Inbox: "bot", Token: token, Pull: true, APIURL: apiURL}},
	})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func TestPullingPassesTheKit(t *testing.T) {
	const parts = 12 // of the story; each gives one event
	channeltest.TestSource(t, channeltest.Source{
		New: func(t *testing.T, _ channel.Host, cursors channel.Cursors) channeltest.SourceUnderTest {
			t.Helper()
			u := newUpdates(t)
			return source{u, func() channel.Channel { return pulled(t, u.URL, cursors) }}
		},
		Story: parts, Events: parts, Repeats: true,
	})
}

type source struct {
	*updates
	open func() channel.Channel
}

func (s source) Channel() channel.Channel { return s.open() }

// running is a channel at work until the test ends.
func running(t *testing.T, c *telegram.Channel, host channel.Host) {
	t.Helper()
	if err := c.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Run(t.Context()) }()
	t.Cleanup(func() { // the test's context has ended
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// While a webhook is set, or somebody else pulls, the status says so; afterwards it goes on.
func TestAConflictIsReported(t *testing.T) {
	var free atomic.Bool
	asked := make(chan struct{}, 1000)
	server := newAPI(t, func(w http.ResponseWriter, _ *http.Request, _ string) {
		select {
		case asked <- struct{}{}:
		default:
		}
		if !free.Load() {
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"ok":false,"error_code":409,"description":"Conflict: can't use getUpdates method while webhook is active; use deleteWebhook to delete the webhook first"}`)
			return
		}
		_, _ = io.WriteString(w, `{"ok":true,"result":[]}`)
	})
	c := pulled(t, server.URL, &channeltest.Cursors{})
	if s := c.Statuses(); len(s) != 1 || s[0].Err == nil || strings.Contains(s[0].Source, token) {
		t.Fatal(s)
	}
	running(t, c, channeltest.NewHost())
	for range 3 { // the first two are over when the third comes
		<-asked
	}
	if s := c.Statuses()[0]; s.Err == nil || !strings.Contains(s.Err.Error(), "deleteWebhook") || strings.Contains(s.Err.Error(), token) {
		t.Error(s.Err)
	}
	free.Store(true)
	for c.Statuses()[0].Err != nil {
		<-asked
	}
}

// An update that is not understood is kept, and the others come in.
func TestAnOddUpdateDoesNotStopThePulling(t *testing.T) {
	u := newUpdates(t)
	u.mu.Lock()
	u.queue = append(u.queue, json.RawMessage(`{"update_id":1,"message":7}`))
	u.mu.Unlock()
	u.Tell(t, 0)
	host, cursors := channeltest.NewHost(), &channeltest.Cursors{}
	running(t, pulled(t, u.URL, cursors), host)
	if _, err := host.WaitEvents(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	if kept := host.Rejections(); len(kept) != 1 || string(kept[0].Raw) != `{"update_id":1,"message":7}` {
		t.Error(kept)
	}
}

// Only what is asked for comes; without a list, what was asked for before.
func TestTheKindsOfUpdatesAreAskedFor(t *testing.T) {
	for _, kinds := range [][]string{nil, {"message", "message_reaction"}} {
		asked := make(chan string, 1)
		server := newAPI(t, func(w http.ResponseWriter, r *http.Request, _ string) {
			raw, _ := io.ReadAll(r.Body)
			select {
			case asked <- string(raw):
			default:
			}
			_, _ = io.WriteString(w, `{"ok":true,"result":[]}`)
		})
		c, err := telegram.New(telegram.Config{Cursors: &channeltest.Cursors{}, Accounts: []telegram.Account{
			{Tenant: "lumen", Inbox: "bot", Token: token, Pull: true, APIURL: server.URL, AllowedUpdates: kinds},
		}})
		if err != nil {
			t.Fatal(err)
		}
		want := `{"limit":100,"timeout":25}`
		if kinds != nil {
			want = `{"limit":100,"timeout":25,"allowed_updates":["message","message_reaction"]}`
		}
		running(t, c, channeltest.NewHost())
		if got := <-asked; got != want {
			t.Errorf("asked for %s", got)
		}
	}
}

// The webhook of an account that is pulled is not there.
func TestAPulledAccountHasNoWebhook(t *testing.T) {
	mux := http.NewServeMux()
	c, err := telegram.New(telegram.Config{Mux: mux, Cursors: &channeltest.Cursors{}, Accounts: []telegram.Account{{Tenant: "lumen", Inbox: "bot", Token: token, Pull: true}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), channeltest.NewHost()); err != nil {
		t.Fatal(err)
	}
	if code := deliver(t, mux, `{"update_id":1}`); code != http.StatusNotFound {
		t.Error(code)
	}
}
