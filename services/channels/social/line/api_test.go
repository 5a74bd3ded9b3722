package line_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/line"
)

const (
	user      = "U206d25c2ea6bd87c17655609a1c37cb8"
	requestID = "123e4567-e89b-12d3-a456-426614174000"
)

// api is the Messaging API over HTTP: it answers as https://developers.line.biz/en/reference/messaging-api/ says.
type api struct {
	*httptest.Server
	asked atomic.Int64
}

func newAPI(tb testing.TB, answer http.HandlerFunc) *api {
	tb.Helper()
	a := &api{}
	a.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		answer(w, r)
	}))
	tb.Cleanup(a.Close)
	return a
}

// account is a channel that speaks to an API; without a long-lived token where it is to get its own.
func account(tb testing.TB, apiURL, token string) *line.Channel {
	tb.Helper()
	cfg := config(http.NewServeMux())
	cfg.Accounts[0].APIURL, cfg.Accounts[0].DataURL, cfg.Accounts[0].AccessToken = apiURL, apiURL, token
	c, err := line.New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

var key = line.Key{Tenant: "lumen", Inbox: "shop"}

func outgoing(text string) channel.Outgoing {
	return channel.Outgoing{
		Tenant: "lumen", Inbox: "shop", Thread: user, RequestID: requestID, Message: &eventv1.Message{Text: text}, RequestedAt: time.Now(), Attempt: 1,
	}
}

const taken = `{"sentMessages":[{"id":"461230966842064897","quoteToken":"IStG5h1Tz7b..."}]}`

func TestATextIsPushedUnderItsKey(t *testing.T) {
	var body struct {
		To       string          `json:"to"`
		Messages json.RawMessage `json:"messages"`
	}
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/v2/bot/message/push" || r.Header.Get("Authorization") != "Bearer "+token || r.Header.Get("X-Line-Retry-Key") != requestID {
			t.Error(r.URL, r.Header)
		}
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, taken)
	})
	s := account(t, server.URL, token).NewSender(key)
	sent, err := s.Send(t.Context(), outgoing("At your <door> & 👍"))
	if err != nil || sent.NativeID != "461230966842064897" || sent.Echo != nil || !s.Idempotent() {
		t.Errorf("%+v, %v", sent, err)
	}
	if body.To != user || string(body.Messages) != `[{"text":"At your \u003cdoor\u003e \u0026 👍","type":"text"}]` {
		t.Errorf("%s %s", body.To, body.Messages)
	}
}

// LINE takes a key once: whoever sends again after a break learns that the first attempt was taken.
func TestASecondAttemptFindsTheFirst(t *testing.T) {
	keys := map[string]bool{}
	var mu sync.Mutex
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		_, _ = io.ReadAll(r.Body)
		if !keys[r.Header.Get("X-Line-Retry-Key")] {
			keys[r.Header.Get("X-Line-Retry-Key")] = true
			panic(http.ErrAbortHandler) // it was taken, and nobody learns so
		}
		w.Header().Set("X-Line-Accepted-Request-Id", "bc6e4f48-2d0e-4d7c-9d5c-93e1a8d3a2c3")
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, `{"message":"The retry key is already accepted","sentMessages":[{"id":"461230966842064897","quoteToken":"x"}]}`)
	})
	s := account(t, server.URL, token).NewSender(key)
	if _, err := s.Send(t.Context(), outgoing("Hello")); !errors.Is(err, channel.ErrUnknown) {
		t.Fatal(err)
	}
	again := outgoing("Hello")
	again.Attempt = 2
	if sent, err := s.Send(t.Context(), again); err != nil || sent.NativeID != "461230966842064897" {
		t.Error(sent, err)
	}
	again.RequestedAt = time.Now().Add(-25 * time.Hour) // LINE has forgotten the key
	if _, err := s.Send(t.Context(), again); !strings.Contains(err.Error(), "too_late") {
		t.Error(err)
	}
}

func TestAnErrorTellsWhetherToSendAgain(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		after  string // Retry-After
		kind   error  // nil for refused
		code   string
		reason string
	}{
		"a wrong request":       {400, `{"message":"The request body has 1 error(s)","details":[{"message":"May not be empty","property":"messages[0].text"}]}`, "", nil, "400", "messages[0].text: May not be empty"},
		"a wrong token":         {401, `{"message":"Authentication failed. Confirm that the access token in the authorization header is valid."}`, "", nil, "401", "Authentication failed"},
		"not allowed":           {403, `{"message":"Access to this API is not available for your account"}`, "", nil, "403", "not available"},
		"no more this month":    {429, `{"message":"You have reached your monthly limit."}`, "", nil, "monthly_limit", "monthly limit"},
		"too fast":              {429, `{"message":"The API rate limit has been exceeded. Try again later."}`, "7", channel.ErrRetry, "", ""},
		"an error inside":       {500, `{"message":"Internal server error"}`, "", channel.ErrUnknown, "", ""},
		"a proxy's error":       {502, `<html>`, "", channel.ErrUnknown, "", ""},
		"a cut answer":          {200, `{"sentMess`, "", channel.ErrUnknown, "", ""},
		"an answer without ids": {200, `{}`, "", channel.ErrUnknown, "", ""},
		"taken, without ids":    {409, `{"message":"The retry key is already accepted"}`, "", channel.ErrUnknown, "", ""},
		"a way elsewhere":       {302, ``, "", channel.ErrUnknown, "", ""},
		"a refusal of others":   {403, `no`, "", nil, "403", "403"},
	} {
		t.Run(name, func(t *testing.T) {
			server := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				if c.after != "" {
					w.Header().Set("Retry-After", c.after)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := account(t, server.URL, token).NewSender(key).Send(t.Context(), outgoing("Hello"))
			refused, isRefused := errors.AsType[*channel.RefusedError](err)
			if isRefused != (c.kind == nil) || c.kind != nil && !errors.Is(err, c.kind) || isRefused && (refused.Code != c.code || !strings.Contains(refused.Reason, c.reason)) {
				t.Error(err)
			}
			if strings.Contains(err.Error(), token) || server.asked.Load() != 1 {
				t.Error(err, server.asked.Load())
			}
		})
	}
}

func TestWithoutAConnectionNothingWasSent(t *testing.T) {
	server := newAPI(t, nil)
	server.Close()
	for _, with := range []string{token, ""} {
		_, err := account(t, server.URL, with).NewSender(key).Send(t.Context(), outgoing("Hello"))
		if !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) {
			t.Error(err)
		}
	}
}

func TestWhatCannotBeSentIsRefusedBefore(t *testing.T) {
	server := newAPI(t, func(http.ResponseWriter, *http.Request) {})
	for code, change := range map[string]func(*channel.Outgoing){
		"no_message_thread": func(o *channel.Outgoing) { o.Thread = "channel" },
		"no_files":          func(o *channel.Outgoing) { o.Attachments = []channel.OutgoingFile{{}} },
		"no_templates":      func(o *channel.Outgoing) { o.Message.Template = "order" },
		"no_location":       func(o *channel.Outgoing) { o.Message.Location = &eventv1.Location{} },
		"no_text":           func(o *channel.Outgoing) { o.Message.Text = " \n" },
		"text_too_long":     func(o *channel.Outgoing) { o.Message.Text = strings.Repeat("👍", 2501) },
		"no_request_id":     func(o *channel.Outgoing) { o.RequestID = "17" },
	} {
		out := outgoing("Hello")
		change(&out)
		_, err := account(t, server.URL, token).NewSender(key).Send(t.Context(), out)
		if e, ok := errors.AsType[*channel.RefusedError](err); !ok || e.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
	if _, err := account(t, server.URL, token).NewSender(line.Key{}).Send(t.Context(), outgoing("x")); !strings.Contains(err.Error(), "not configured") {
		t.Error(err)
	}
	if n := server.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
}

// Without a long-lived token, one is got by the channel's id and secret, once for many messages.
func TestAStatelessTokenIsGotOnce(t *testing.T) {
	var tokens atomic.Int64
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/oauth2/v3/token":
			tokens.Add(1)
			if r.PostFormValue("grant_type") != "client_credentials" || r.PostFormValue("client_id") != "1234567890" || r.PostFormValue("client_secret") != secret {
				t.Error(r.PostForm)
			}
			w.Header().Set("Content-Type", "application/json")
			_, _ = io.WriteString(w, `{"token_type":"Bearer","access_token":"ey.stateless","expires_in":900}`)
		case "/v2/bot/message/push":
			if r.Header.Get("Authorization") != "Bearer ey.stateless" {
				t.Error(r.Header)
			}
			_, _ = io.WriteString(w, taken)
		}
	})
	s := account(t, server.URL, "").NewSender(key)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if _, err := s.Send(context.Background(), outgoing("Hello")); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if n := tokens.Load(); n != 1 {
		t.Errorf("%d tokens", n)
	}
}

func TestWithoutATokenNothingIsSent(t *testing.T) {
	for status, want := range map[int]string{400: "refused", 401: "refused", 429: "retry", 500: "retry"} {
		server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/oauth2/v3/token" {
				t.Error(r.URL)
			}
			w.WriteHeader(status)
			_, _ = io.WriteString(w, `{"error":"invalid_client","error_description":"`+secret+`"}`)
		})
		_, err := account(t, server.URL, "").NewSender(key).Send(t.Context(), outgoing("Hello"))
		_, refused := errors.AsType[*channel.RefusedError](err)
		if refused != (want == "refused") || errors.Is(err, channel.ErrRetry) != (want == "retry") || strings.Contains(err.Error(), secret) {
			t.Errorf("%d: %v", status, err)
		}
		_, err = account(t, server.URL, "").Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "shop", Source: "1"})
		if !errors.Is(err, channel.ErrRetry) || strings.Contains(err.Error(), secret) {
			t.Errorf("%d: %v", status, err)
		}
	}
}

// Each line is what LINE answers when a file is asked for, and what becomes of it.
func TestAFileIsFetchedByTheIDOfItsMessage(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		want   string // the bytes, or the code of a refusal, or "retry"
	}{
		"there": {200, "FILM"}, "not ready": {202, "retry"}, "gone": {404, "404"}, "gone for good": {410, "410"}, "a wrong token": {401, "retry"}, "too fast": {429, "retry"}, "down": {500, "retry"},
	} {
		server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path != "/v2/bot/message/354718705033693871/content" || r.Header.Get("Authorization") != "Bearer "+token {
				t.Error(r.URL, r.Header)
			}
			w.Header().Set("Content-Type", "video/mp4")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, "FILM")
		})
		if got := fetched(t, account(t, server.URL, token), "354718705033693871"); got != c.want {
			t.Errorf("%s: got %s, want %s", name, got, c.want)
		}
	}
}

func fetched(t *testing.T, c *line.Channel, source string) string {
	t.Helper()
	f, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "shop", Source: source})
	if err != nil {
		if strings.Contains(err.Error(), token) {
			t.Error(err)
		}
		if refused, ok := errors.AsType[*channel.RefusedError](err); ok {
			return refused.Code
		}
		if errors.Is(err, channel.ErrRetry) {
			return "retry"
		}
		return err.Error()
	}
	defer f.Body.Close()
	raw, _ := io.ReadAll(f.Body)
	return string(raw)
}

// An address that another bot's message holds is somebody's choice: only public ones are asked, and never with the token.
func TestAFileElsewhereIsFetchedFromPublicAddressesOnly(t *testing.T) {
	inside := newAPI(t, func(http.ResponseWriter, *http.Request) {})
	c := account(t, inside.URL, token)
	for source, want := range map[string]string{
		inside.URL + "/secret": "not_public", "http://169.254.169.254/latest": "not_public", "file:///etc/passwd": "bad_address", "https:": "bad_address", "%zz:": "bad_address",
	} {
		if got := fetched(t, c, source); got != want {
			t.Errorf("%s: got %s, want %s", source, got, want)
		}
	}
	if n := inside.asked.Load(); n != 0 {
		t.Errorf("asked %d times", n)
	}
	if _, err := c.Fetch(t.Context(), channel.RemoteFile{}); err == nil {
		t.Error("fetched for nobody")
	}
	if got := fetched(t, c, "../../oauth"); strings.Contains(got, "retry") || inside.asked.Load() != 1 {
		t.Error(got)
	}
}
