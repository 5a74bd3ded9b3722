package official_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/services/channels/social/wechat/official"
)

// pictures is where PicUrl points to.
func pictures(tb testing.TB) *httptest.Server {
	tb.Helper()
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.RawQuery != "" {
			tb.Error("the token went to where pictures lie")
		}
		if r.URL.Path != "/lamp" {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Type", "image/jpeg")
		say(w, "the picture of "+r.URL.Path)
	}))
	tb.Cleanup(s.Close)
	return s
}

// media answers as documented: a file with its name, or an error in words, both with status 200.
func media(w http.ResponseWriter, r *http.Request) {
	switch id := r.URL.Query().Get("media_id"); id {
	case "voice":
		w.Header().Set("Content-Type", "audio/amr")
		w.Header().Set("Content-Disposition", `attachment; filename="voice.amr"`)
		say(w, "#!AMR")
	case "busy":
		say(w, `{"errcode":-1,"errmsg":"system error"}`)
	case "quota":
		w.Header().Set("Content-Type", "application/json; encoding=utf-8")
		say(w, `{"errcode":45009,"errmsg":"reach max api daily quota limit"}`)
	case "unauthorised":
		w.Header().Set("Content-Type", "text/plain")
		say(w, `{"errcode":48001,"errmsg":"api unauthorized"}`)
	default:
		w.Header().Set("Content-Type", "text/plain")
		say(w, `{"errcode":40007,"errmsg":"invalid media_id rid: 6"}`)
	}
}

func TestFilesAreFetched(t *testing.T) {
	p := pictures(t)
	for name, tc := range map[string]struct{ inbox, source, body, code string }{
		"voice":                                {"service", "voice", "#!AMR", ""},
		"a picture that is there":              {"service", "voice " + p.URL + "/gone", "#!AMR", ""},
		"a picture that WeChat has no more":    {"service", "old " + p.URL + "/lamp", "the picture of /lamp", ""},
		"an account without the right":         {"service", "unauthorised " + p.URL + "/lamp", "the picture of /lamp", ""},
		"an account without a secret":          {"safe-mini", "voice " + p.URL + "/lamp", "the picture of /lamp", ""},
		"an address alone":                     {"service", p.URL + "/lamp", "the picture of /lamp", ""},
		"a file that is gone":                  {"service", "old", "", "40007"},
		"a picture that is gone everywhere":    {"service", "old " + p.URL + "/gone", "", "404"},
		"an account without a secret, a voice": {"safe-mini", "voice", "", "no_secret"},
		"nothing":                              {"service", "", "", "no_source"},
		"a busy platform":                      {"service", "busy " + p.URL + "/lamp", "", "retry"},
		"a quota":                              {"service", "quota " + p.URL + "/lamp", "", "retry"},
		"an inbox that is not there":           {"gone", "voice", "", "other"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWeChat(t)
			w.answered("/cgi-bin/media/get", media)
			f, err := w.channel(t).Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: tc.inbox, Thread: "o1", Source: tc.source})
			refused, isRefused := errors.AsType[*channel.RefusedError](err)
			switch {
			case tc.code == "retry":
				if isRefused || !errors.Is(err, channel.ErrRetry) {
					t.Errorf("%v", err)
				}
				return
			case tc.code == "other":
				if err == nil || isRefused {
					t.Errorf("%v", err)
				}
				return
			case tc.code != "":
				if !isRefused || refused.Code != tc.code {
					t.Errorf("%v", err)
				}
				return
			case err != nil:
				t.Fatal(err)
			}
			defer f.Body.Close()
			if raw, err := io.ReadAll(f.Body); err != nil || string(raw) != tc.body || f.MediaType == "" {
				t.Errorf("%q, %s, %v", raw, f.MediaType, err)
			}
		})
	}
}

func TestAWrongSecretIsNoReasonToGiveAFileUp(t *testing.T) {
	w := newWeChat(t)
	w.answered("/cgi-bin/stable_token", answer(`{"errcode":40125,"errmsg":"invalid appsecret"}`))
	_, err := w.channel(t).Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "service", Source: "voice"})
	if _, refused := errors.AsType[*channel.RefusedError](err); refused || !errors.Is(err, channel.ErrRetry) || strings.Contains(err.Error(), secret) {
		t.Errorf("%v", err)
	}
}

func TestPicturesAreFetchedFromPublicAddressesOnly(t *testing.T) {
	p := pictures(t)
	c := newChannel(t, official.Config{})
	_, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "safe-mini", Source: "old " + p.URL + "/lamp"})
	if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != httpfetch.CodeNotPublic {
		t.Errorf("%v", err)
	}
}
