package wechat_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

// platform is one of Tencent's APIs as the documents describe it: it gives out tokens that are numbered, and takes the last one only.
type platform struct {
	*httptest.Server
	asked atomic.Int64 // how often a token was asked for

	mu sync.Mutex
	// handlers by path; they are called with a valid token only.
	handlers map[string]http.HandlerFunc
	token    func(w http.ResponseWriter, r *http.Request)
	expires  int
	valid    string
}

func newPlatform(t *testing.T) *platform {
	t.Helper()
	p := &platform{handlers: map[string]http.HandlerFunc{}, expires: 7200}
	p.token = p.giveToken
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *platform) giveToken(w http.ResponseWriter, r *http.Request) {
	var by struct {
		GrantType, AppID, Secret string
		Grant                    string `json:"grant_type"`
	}
	if r.Method == http.MethodPost {
		_ = json.NewDecoder(r.Body).Decode(&by)
	} else {
		by.Grant, by.AppID, by.Secret = "client_credential", r.URL.Query().Get("corpid"), r.URL.Query().Get("corpsecret")
	}
	if by.Grant != "client_credential" || by.AppID != "wx1" || by.Secret != "s3cret" {
		_, _ = io.WriteString(w, `{"errcode":40125,"errmsg":"invalid appsecret rid: 1"}`)
		return
	}
	p.mu.Lock()
	p.valid = fmt.Sprintf("token-%d", p.asked.Load())
	valid, expires := p.valid, p.expires
	p.mu.Unlock()
	_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":%d}`, valid, expires)
}

func (p *platform) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/cgi-bin/stable_token", "/cgi-bin/gettoken":
		p.asked.Add(1)
		p.token(w, r)
		return
	}
	p.mu.Lock()
	h, ok := p.handlers[r.URL.Path], r.URL.Query().Get("access_token") == p.valid
	p.mu.Unlock()
	switch {
	case !ok:
		_, _ = io.WriteString(w, `{"errcode":40001,"errmsg":"invalid credential, access_token is invalid or not latest"}`)
	case h == nil:
		http.NotFound(w, r)
	default:
		h(w, r)
	}
}

// revoke makes the token that was given out invalid.
func (p *platform) revoke() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.valid = "another's"
}

func (p *platform) api(t *testing.T, change func(*wechat.APIConfig)) *wechat.API {
	t.Helper()
	cfg := wechat.APIConfig{BaseURL: p.URL, Token: wechat.StableToken("wx1", "s3cret"), Files: httpfetch.Client(true)}
	if change != nil {
		change(&cfg)
	}
	a, err := wechat.NewAPI(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func ok(w http.ResponseWriter, _ *http.Request) {
	_, _ = io.WriteString(w, `{"errcode":0,"errmsg":"ok","n":17}`)
}

func TestATokenIsAskedForOnceAndKept(t *testing.T) {
	p := newPlatform(t)
	p.handlers["/x"] = ok
	a := p.api(t, nil)
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			var answer struct{ N int }
			if err := a.Post(t.Context(), "/x", nil, map[string]string{"a": "b"}, &answer); err != nil || answer.N != 17 {
				t.Errorf("%+v, %v", answer, err)
			}
		})
	}
	wg.Wait()
	if n := p.asked.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

func TestATokenIsRenewedBeforeItsEnd(t *testing.T) {
	p := newPlatform(t)
	p.handlers["/x"] = ok
	var now atomic.Int64
	a := p.api(t, func(cfg *wechat.APIConfig) {
		cfg.Now = func() time.Time { return time.Unix(now.Load(), 0) }
		cfg.Token = wechat.CorpToken("wx1", "s3cret")
	})
	for _, step := range []struct{ at, asked int64 }{{0, 1}, {6899, 1}, {6900, 2}, {13799, 2}, {13801, 3}} {
		now.Store(step.at)
		if err := a.Get(t.Context(), "/x", nil, nil); err != nil || p.asked.Load() != step.asked {
			t.Errorf("after %d s: asked %d times, %v", step.at, p.asked.Load(), err)
		}
	}
}

func TestATokenThatIsRefusedIsRenewedOnce(t *testing.T) {
	p := newPlatform(t)
	p.handlers["/x"] = ok
	a := p.api(t, nil)
	if err := a.Get(t.Context(), "/x", nil, nil); err != nil {
		t.Fatal(err)
	}
	p.revoke()
	if err := a.Get(t.Context(), "/x", nil, nil); err != nil || p.asked.Load() != 2 {
		t.Errorf("asked %d times, %v", p.asked.Load(), err)
	}
	for _, code := range []int{40001, 40014, 42001} {
		before := p.asked.Load()
		p.handlers["/never"] = func(w http.ResponseWriter, _ *http.Request) {
			_, _ = fmt.Fprintf(w, `{"errcode":%d,"errmsg":"no"}`, code)
		}
		err := a.Get(t.Context(), "/never", nil, nil)
		refused, ok := errors.AsType[*wechat.Error](err)
		if !ok || refused.Code != code || refused.Token || !refused.Temporary() || p.asked.Load() != before+1 {
			t.Errorf("%d: asked %d times more, %v", code, p.asked.Load()-before, err)
		}
	}
}

func TestWhatTheAPIAnswersInTheWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		token, call http.HandlerFunc
		code        int
		ofToken     bool
		is          error
	}{
		"a wrong secret":           {token: say(`{"errcode":40125,"errmsg":"invalid appsecret"}`), code: 40125, ofToken: true},
		"an address not listed":    {token: say(`{"errcode":40164,"errmsg":"invalid ip 192.0.2.1, not in whitelist"}`), code: 40164, ofToken: true},
		"no token in the answer":   {token: say(`{}`), is: channel.ErrRetry},
		"a token as no JSON":       {token: say(`<html>`), is: channel.ErrRetry},
		"a token with status 500":  {token: status(500), is: channel.ErrRetry},
		"refused":                  {call: say(`{"errcode":45015,"errmsg":"response out of time limit"}`), code: 45015},
		"busy":                     {call: say(`{"errcode":-1,"errmsg":"system error"}`), code: -1},
		"no JSON":                  {call: say(`<html>`), is: channel.ErrUnknown},
		"nothing":                  {call: say(``), is: channel.ErrUnknown},
		"another kind of JSON":     {call: say(`{"errcode":0,"N":"many"}`), is: channel.ErrUnknown},
		"a gateway's mistake":      {call: status(502), is: channel.ErrUnknown},
		"too much":                 {call: status(429), is: channel.ErrRetry},
		"a redirect":               {call: status(302), is: channel.ErrUnknown},
		"a connection that breaks": {call: hangUp, is: channel.ErrUnknown},
		"a token that breaks":      {token: hangUp, is: channel.ErrRetry},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			if tc.token != nil {
				p.token = tc.token
			}
			p.handlers["/x"] = tc.call
			var answer struct{ N int }
			err := p.api(t, nil).Post(t.Context(), "/x", nil, struct{}{}, &answer)
			refused, isRefused := errors.AsType[*wechat.Error](err)
			switch {
			case err == nil:
				t.Error("no error")
			case strings.Contains(err.Error(), "token-") || strings.Contains(err.Error(), "s3cret"):
				t.Errorf("it holds a secret: %v", err)
			case tc.is != nil && (!errors.Is(err, tc.is) || isRefused):
				t.Errorf("%v", err)
			case tc.is == nil && (!isRefused || refused.Code != tc.code || refused.Token != tc.ofToken):
				t.Errorf("%v", err)
			}
			if harmless := wechat.Harmless(err); tc.is != nil && (!errors.Is(harmless, channel.ErrRetry) || errors.Is(harmless, channel.ErrUnknown)) {
				t.Errorf("of a harmless call: %v", harmless)
			}
		})
	}
}

func say(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, text) }
}

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/x")
		w.WriteHeader(code)
	}
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestWithoutAConnectionACallMayBeTriedAgain(t *testing.T) {
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + l.Addr().String()
	_ = l.Close()
	a, err := wechat.NewAPI(wechat.APIConfig{BaseURL: address, Token: wechat.StableToken("wx1", "s3cret")})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.Get(t.Context(), "/x", nil, nil); !errors.Is(err, channel.ErrRetry) || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("%v", err)
	}
}

func TestWhoWaitsForATokenGivesUpWithItsContext(t *testing.T) {
	p := newPlatform(t)
	inside, release := make(chan struct{}), make(chan struct{})
	p.token = func(w http.ResponseWriter, r *http.Request) {
		close(inside)
		<-release
		p.giveToken(w, r)
	}
	p.handlers["/x"] = ok
	a := p.api(t, nil)
	done := make(chan error, 1)
	go func() { done <- a.Get(t.Context(), "/x", nil, nil) }()
	<-inside
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Get(ctx, "/x", nil, nil); !errors.Is(err, channel.ErrRetry) {
		t.Errorf("%v", err)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestACallIsWrittenAsThePlatformsReadIt(t *testing.T) {
	p := newPlatform(t)
	var body, query, contentType string
	p.handlers["/x"] = func(w http.ResponseWriter, r *http.Request) {
		raw, _ := io.ReadAll(r.Body)
		body, query, contentType = string(raw), r.URL.Query().Get("type"), r.Header.Get("Content-Type")
		ok(w, r)
	}
	a := p.api(t, nil)
	if err := a.Post(t.Context(), "/x", url.Values{"type": {"image"}}, map[string]string{"content": "<你好> & 再见"}, nil); err != nil {
		t.Fatal(err)
	}
	if body != `{"content":"<你好> & 再见"}`+"\n" || query != "image" || contentType != "application/json" {
		t.Errorf("%q, %q, %q", body, query, contentType)
	}
	p.handlers["/upload"] = func(w http.ResponseWriter, r *http.Request) {
		f, header, err := r.FormFile("media")
		if err != nil {
			t.Error(err)
			return
		}
		raw, _ := io.ReadAll(f)
		if string(raw) != "picture" || header.Filename != "a___.jpg" || header.Header.Get("Content-Type") != "image/jpeg" {
			t.Errorf("uploaded %q, %s, %v", raw, header.Filename, header.Header)
		}
		say(`{"type":"image","media_id":"M1","created_at":1672500000}`)(w, r)
	}
	var answer struct {
		MediaID string `json:"media_id"`
	}
	if err := a.Upload(t.Context(), "/upload", url.Values{"type": {"image"}}, "a\"\r\n.jpg", "image/jpeg", []byte("picture"), &answer); err != nil || answer.MediaID != "M1" {
		t.Errorf("%+v, %v", answer, err)
	}
}

func TestFilesAreFetched(t *testing.T) {
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			t.Error("the token went elsewhere")
		}
		w.Header().Set("Content-Type", "video/mp4")
		_, _ = io.WriteString(w, "a video")
	}))
	t.Cleanup(elsewhere.Close)
	file := func(contentType, name, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", contentType)
			if name != "" {
				w.Header().Set("Content-Disposition", `attachment; filename="`+name+`"`)
			}
			_, _ = io.WriteString(w, body)
		}
	}
	for name, tc := range map[string]struct {
		answer          http.HandlerFunc
		body, mediaType string
		code            int
		refused         string
		retry           bool
	}{
		"a picture":                     {answer: file("image/jpeg", "a.jpg", "a picture"), body: "a picture", mediaType: "image/jpeg"},
		"a picture without a name":      {answer: file("image/jpeg", "", `{"errcode":1}`), body: `{"errcode":1}`, mediaType: "image/jpeg"},
		"a file that is JSON":           {answer: file("application/json", "a.json", `{"errcode":40007}`), body: `{"errcode":40007}`, mediaType: "application/json"},
		"a text without a name":         {answer: file("text/plain", "", "hello"), body: "hello", mediaType: "text/plain"},
		"a long text without a name":    {answer: file("text/plain", "", strings.Repeat("hello", 100_000)), body: strings.Repeat("hello", 100_000), mediaType: "text/plain"},
		"a video that lies elsewhere":   {answer: file("text/plain", "", `{"video_url":"`+elsewhere.URL+`/v"}`), body: "a video", mediaType: "video/mp4"},
		"a video that lies nowhere":     {answer: file("text/plain", "", `{"video_url":"file:///etc/passwd"}`), refused: "no_address"},
		"gone":                          {answer: file("text/plain", "", `{"errcode":40007,"errmsg":"invalid media_id"}`), code: 40007},
		"gone, as another type":         {answer: file("application/json; charset=UTF-8", "", `{"errcode":40007,"errmsg":"invalid media_id"}`), code: 40007},
		"neither a file nor an error":   {answer: file("application/json", "", `{"errcode":0}`), retry: true},
		"too large":                     {answer: file("image/jpeg", "a.jpg", strings.Repeat("x", 600_000)), refused: httpfetch.CodeTooLarge},
		"not there":                     {answer: http.NotFound, refused: "404"},
		"a server that does not answer": {answer: status(502), retry: true},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPlatform(t)
			p.handlers["/cgi-bin/media/get"] = func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Query().Get("media_id") != "M1" {
					t.Errorf("asked for %s", r.URL.Query().Get("media_id"))
				}
				tc.answer(w, r)
			}
			a := p.api(t, nil)
			if err := a.Get(t.Context(), "/none", nil, nil); err == nil { // it has a token now, which ends
				t.Error("no error")
			}
			p.revoke()
			f, err := a.Media(t.Context(), "/cgi-bin/media/get", url.Values{"media_id": {"M1"}}, 512<<10)
			if said, ok := errors.AsType[*wechat.Error](err); tc.code != 0 && (!ok || said.Code != tc.code) {
				t.Errorf("%v", err)
			}
			if refused, ok := errors.AsType[*channel.RefusedError](err); tc.refused != "" && (!ok || refused.Code != tc.refused) {
				if f == nil {
					t.Fatalf("%v", err)
				}
				_, err = io.ReadAll(f.Body) // it shows in the middle
				if refused, ok = errors.AsType[*channel.RefusedError](err); !ok || refused.Code != tc.refused {
					t.Errorf("%v", err)
				}
			}
			if tc.retry && !errors.Is(err, channel.ErrRetry) {
				t.Errorf("%v", err)
			}
			if tc.body == "" {
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			defer f.Body.Close()
			if raw, err := io.ReadAll(f.Body); err != nil || string(raw) != tc.body || f.MediaType != tc.mediaType {
				t.Errorf("%.40q, %s, %v", raw, f.MediaType, err)
			}
		})
	}
}

func TestAnAPIsConfigurationIsChecked(t *testing.T) {
	token := wechat.StableToken("wx1", "s3cret")
	for _, base := range []string{"", "api.weixin.qq.com", "ftp://api.weixin.qq.com", "https://", "https://u:p@api.weixin.qq.com", "https://api.weixin.qq.com/?a=b"} {
		if _, err := wechat.NewAPI(wechat.APIConfig{BaseURL: base, Token: token}); err == nil {
			t.Errorf("%q is taken", base)
		}
	}
	if _, err := wechat.NewAPI(wechat.APIConfig{BaseURL: "https://api.weixin.qq.com"}); err == nil {
		t.Error("no token is needed")
	}
}

func TestAnErrorSaysWhenToComeAgain(t *testing.T) {
	for code, after := range map[int]time.Duration{wechat.CodeRate: time.Minute, wechat.CodeQuota: time.Hour, wechat.CodeBusy: 0} {
		err := (&wechat.Error{Code: code}).Later()
		later, ok := errors.AsType[interface {
			error
			RetryAfter() time.Duration
		}](err)
		if !errors.Is(err, channel.ErrRetry) || ok != (after > 0) || ok && later.RetryAfter() != after {
			t.Errorf("%d: %v", code, err)
		}
	}
}
