package meta_test

import (
	"encoding/json"
	"errors"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

const token = "EAAsecret"

// graph makes a client of an API that answers as handle does.
func graph(t *testing.T, handle http.HandlerFunc) (*meta.Graph, *httptest.Server) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	g, err := meta.NewGraph(meta.GraphConfig{URL: server.URL + "/", MaxMediaBytes: 16})
	if err != nil {
		t.Fatal(err)
	}
	return g, server
}

func TestACallCarriesTheTokenInItsHeaderAndTheProofOfTheApp(t *testing.T) {
	g, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		var body map[string]string
		err := json.NewDecoder(r.Body).Decode(&body)
		if r.Method != http.MethodPost || r.URL.Path != "/"+meta.DefaultVersion+"/1234/messages" || r.Header.Get("Authorization") != "Bearer "+token ||
			r.Header.Get("Content-Type") != "application/json" || err != nil || body["a"] != "b" {
			t.Errorf("%s %s %v %v", r.Method, r.URL, r.Header, body)
		}
		// HMAC-SHA-256 of the token under the secret
		if got, want := r.URL.Query().Get("appsecret_proof"), strings.TrimPrefix(meta.Sign("shh", []byte(token)), "sha256="); got != want {
			t.Errorf("proof %q, want %q", got, want)
		}
		_, _ = io.WriteString(w, `{"id":"m1"}`)
	})
	var answer struct{ ID string }
	if err := g.Post(t.Context(), meta.Access{Token: token, AppSecret: "shh"}, "/1234/messages", map[string]string{"a": "b"}, &answer); err != nil || answer.ID != "m1" {
		t.Errorf("%v, %v", answer, err)
	}
}

// The codes of https://developers.facebook.com/docs/whatsapp/cloud-api/support/error-codes and
// https://developers.facebook.com/docs/messenger-platform/error-codes.
func TestErrorsAreToldApartByMetasCodes(t *testing.T) {
	for name, c := range map[string]struct {
		status  int
		body    string
		refused string // its code
		kind    error
	}{
		"re-engagement":            {400, `{"error":{"message":"(#131047) Re-engagement message","type":"OAuthException","code":131047,"error_data":{"details":"24 hours have passed"},"fbtrace_id":"T"}}`, "131047", nil},
		"undeliverable":            {400, `{"error":{"message":"(#131026) Message undeliverable","code":131026}}`, "131026", nil},
		"unsupported type":         {400, `{"error":{"message":"(#131051) Unsupported message type","code":131051}}`, "131051", nil},
		"invalid parameter":        {400, `{"error":{"message":"(#100) Invalid parameter","code":100,"error_subcode":33}}`, "100", nil},
		"policy":                   {403, `{"error":{"message":"(#368) Temporarily blocked for policies violations","code":368}}`, "368", nil},
		"expired token":            {401, `{"error":{"message":"Error validating access token","type":"OAuthException","code":190}}`, "190", nil},
		"too many calls":           {400, `{"error":{"message":"(#4) Application request limit reached","code":4}}`, "", channel.ErrRetry},
		"pair rate limit":          {400, `{"error":{"message":"(#131056) Pair rate limit hit","code":131056}}`, "", channel.ErrRetry},
		"throughput":               {429, `{"error":{"message":"(#130429) Rate limit hit","code":130429}}`, "", channel.ErrRetry},
		"service unavailable":      {500, `{"error":{"message":"(#131016) Service unavailable","code":131016}}`, "", channel.ErrRetry},
		"temporary":                {500, `{"error":{"message":"(#1200) Temporary send message failure","code":1200}}`, "", channel.ErrRetry},
		"transient":                {500, `{"error":{"message":"hiccup","code":-1,"is_transient":true}}`, "", channel.ErrRetry},
		"overloaded, without JSON": {503, `busy`, "", channel.ErrRetry},
		"a gateway's error":        {502, `<html>`, "", channel.ErrUnknown},
		"a code that says nothing": {500, `{"error":{"message":"An error occurred","code":-1}}`, "", channel.ErrUnknown},
		"a proxy's refusal":        {407, ``, "407", nil},
		"success without JSON":     {200, `<html>`, "", channel.ErrUnknown},
		"a redirect":               {307, ``, "", channel.ErrUnknown},
	} {
		g, _ := graph(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		var answer map[string]any
		err := g.Post(t.Context(), meta.Access{Token: token}, "1/messages", map[string]string{}, &answer)
		refused, ok := errors.AsType[*channel.RefusedError](err)
		if ok != (c.refused != "") || ok && refused.Code != c.refused || c.kind != nil && !errors.Is(err, c.kind) {
			t.Errorf("%s: %v", name, err)
		}
		if c.kind != nil && errors.Is(err, channel.ErrUnknown) && errors.Is(err, channel.ErrRetry) {
			t.Errorf("%s: it is both: %v", name, err)
		}
	}
}

func TestAReasonIsInMetasWordsAndHoldsNoToken(t *testing.T) {
	g, _ := graph(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = io.WriteString(w, `{"error":{"message":"Malformed access token `+token+`","code":190,"error_data":{"details":"see `+token+`"},"fbtrace_id":"A1b2"}}`)
	})
	err := g.Post(t.Context(), meta.Access{Token: token}, "1/messages", nil, nil)
	refused, ok := errors.AsType[*channel.RefusedError](err)
	if !ok || refused.Reason != "Malformed access token ...: see ..." || strings.Contains(err.Error(), token) || !strings.Contains(err.Error(), "A1b2") {
		t.Errorf("%v", err)
	}
	unreachable, err := meta.NewGraph(meta.GraphConfig{URL: "http://127.0.0.1:1"})
	if err != nil {
		t.Fatal(err)
	}
	err = unreachable.Post(t.Context(), meta.Access{Token: token, AppSecret: "shh"}, "1/messages", nil, nil)
	if !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) || strings.Contains(err.Error(), "proof") {
		t.Errorf("unreachable: %v", err)
	}
}

func TestALimitSaysWhenToComeAgain(t *testing.T) {
	for name, c := range map[string]struct {
		header, value string
		want          time.Duration
	}{
		"Retry-After": {"Retry-After", "7", 7 * time.Second},
		"a business's use": {
			"X-Business-Use-Case-Usage",
			`{"112130216863063":[{"type":"pages","call_count":100,"estimated_time_to_regain_access":19},{"type":"x"}]}`, 19 * time.Minute,
		},
	} {
		g, _ := graph(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set(c.header, c.value)
			w.WriteHeader(http.StatusBadRequest)
			_, _ = io.WriteString(w, `{"error":{"message":"limit","code":80007}}`)
		})
		err := g.Post(t.Context(), meta.Access{Token: token}, "1/messages", nil, nil)
		var later interface{ RetryAfter() time.Duration }
		if !errors.As(err, &later) || later.RetryAfter() != c.want || !errors.Is(err, channel.ErrRetry) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAFileIsUploadedAsAForm(t *testing.T) {
	g, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			t.Error(err)
			return
		}
		file, header, err := r.FormFile("file")
		if err != nil {
			t.Error(err)
			return
		}
		defer file.Close()
		body, _ := io.ReadAll(file)
		if string(body) != "picture" || header.Filename != `kettle "1".png` || header.Header.Get("Content-Type") != "image/png" || r.FormValue("messaging_product") != "whatsapp" {
			t.Errorf("%q %v %v", body, header, r.Form)
		}
		_, _ = io.WriteString(w, `{"id":"77"}`)
	})
	for _, size := range []int64{0, 7} {
		var answer struct{ ID string }
		err := g.Upload(t.Context(), meta.Access{Token: token}, "1/media", map[string]string{"messaging_product": "whatsapp", "type": "image/png"},
			meta.File{Field: "file", Name: `kettle "1".png`, MediaType: "image/png", Size: size, Body: strings.NewReader("picture")}, &answer)
		if err != nil || answer.ID != "77" {
			t.Errorf("%d: %v, %v", size, answer, err)
		}
	}
}

func TestAnUploadOfWhichNothingIsKnownCanBeMadeAgain(t *testing.T) {
	g, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusBadGateway)
	})
	err := g.Upload(t.Context(), meta.Access{Token: token}, "1/media", nil, meta.File{Field: "file", Name: "a", MediaType: "image/png", Body: strings.NewReader("x")}, nil)
	if !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) {
		t.Errorf("%v", err)
	}
	if said, ok := errors.AsType[*meta.Error](err); !ok || said.Status != http.StatusBadGateway {
		t.Errorf("%v", err)
	}
}

func TestAFileIsFetchedFromWhereTheAPISaysItLies(t *testing.T) {
	g, server := graph(t, nil)
	server.Config.Handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Header.Get("Authorization") != "Bearer "+token:
			t.Errorf("%s without a token", r.URL)
		case r.URL.Path == "/"+meta.DefaultVersion+"/65463453":
			_, _ = io.WriteString(w, `{"url":"`+server.URL+`/attachments/?mid=65463453","mime_type":"image/jpeg","sha256":"x","file_size":"7","id":"65463453","messaging_product":"whatsapp"}`)
		case r.URL.Path == "/attachments/":
			w.Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": "kettle.jpg"}))
			w.Header().Set("Content-Type", "application/octet-stream")
			_, _ = io.WriteString(w, "picture")
		}
	})
	f, err := g.Media(t.Context(), meta.Access{Token: token}, "65463453")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Body.Close()
	if body, err := io.ReadAll(f.Body); err != nil || string(body) != "picture" || f.MediaType != "image/jpeg" || f.Name != "kettle.jpg" {
		t.Errorf("%q %v %+v", body, err, f)
	}
}

func TestAFileThatCannotBeHad(t *testing.T) {
	for name, c := range map[string]struct {
		id      string
		status  int
		body    string
		refused string
	}{
		"gone":               {"1", 400, `{"error":{"message":"Unsupported get request. Object with ID '1' does not exist","code":100,"error_subcode":33}}`, "100"},
		"too large":          {"1", 200, `{"url":"https://lookaside.fbsbx.com/1","file_size":17}`, "too_large"},
		"inside":             {"1", 200, `{"url":"http://169.254.169.254/latest/meta-data"}`, "not_public"},
		"no address":         {"1", 200, `{"url":"file:///etc/passwd"}`, "invalid"},
		"an id that is none": {"../me", 200, `{}`, "invalid"},
		"an expired token":   {"1", 401, `{"error":{"message":"expired","code":190}}`, ""},
		"a permission":       {"1", 403, `{"error":{"message":"(#10) permission","code":10}}`, ""},
		"an API at rest":     {"1", 502, ``, ""},
	} {
		g, _ := graph(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(c.status)
			_, _ = io.WriteString(w, c.body)
		})
		_, err := g.Media(t.Context(), meta.Access{Token: token}, c.id)
		refused, ok := errors.AsType[*channel.RefusedError](err)
		if err == nil || ok != (c.refused != "") || ok && refused.Code != c.refused || !ok && !errors.Is(err, channel.ErrRetry) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAnAddressOfAStrangersIsFetchedWithoutTheTokenAndFromThePublicInternetOnly(t *testing.T) {
	g, server := graph(t, func(http.ResponseWriter, *http.Request) { t.Error("it was reached") })
	for _, address := range []string{server.URL + "/me/accounts", "http://localhost/", "http://[::1]/", "ftp://example.com/", "", "https://user@example.com/"} {
		_, err := g.File(t.Context(), address)
		if _, ok := errors.AsType[*channel.RefusedError](err); !ok {
			t.Errorf("%s: %v", address, err)
		}
	}
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			t.Error("a stranger got the token")
		}
		_, _ = io.WriteString(w, "ok")
	}))
	defer outside.Close()
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"url":"`+outside.URL+`/x"}`)
	}))
	defer api.Close()
	g, err := meta.NewGraph(meta.GraphConfig{URL: api.URL, Files: outside.Client()})
	if err != nil {
		t.Fatal(err)
	}
	f, err := g.Media(t.Context(), meta.Access{Token: token}, "1") // the API names a host that is none of Meta's
	if err != nil {
		t.Fatal(err)
	}
	_ = f.Body.Close()
}

func TestAConfigurationThatCannotWorkIsRefused(t *testing.T) {
	for _, cfg := range []meta.GraphConfig{
		{URL: "graph.facebook.com"},
		{URL: "ftp://graph.facebook.com"},
		{URL: "https://a@graph.facebook.com"},
		{URL: "https://graph.facebook.com?x=1"},
		{Version: "23.0"},
		{Version: "v23"},
		{Version: "v23.0/../me"},
		{Version: "v"},
	} {
		if _, err := meta.NewGraph(cfg); err == nil {
			t.Errorf("%+v is taken", cfg)
		}
	}
	if _, err := meta.NewGraph(meta.GraphConfig{}); err != nil {
		t.Error(err)
	}
}

func TestGetAsksWithAQuery(t *testing.T) {
	g, _ := graph(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet || r.URL.Query().Get("fields") != "name" {
			t.Errorf("%s %s", r.Method, r.URL)
		}
		_, _ = io.WriteString(w, `{"name":"Acme"}`)
	})
	var answer struct{ Name string }
	if err := g.Get(t.Context(), meta.Access{Token: token}, "/me", url.Values{"fields": {"name"}}, &answer); err != nil || answer.Name != "Acme" {
		t.Errorf("%v, %v", answer, err)
	}
}
