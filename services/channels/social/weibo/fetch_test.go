package weibo_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/social/weibo"
)

func fetch(t *testing.T, c *weibo.Channel, source string) (string, error) {
	t.Helper()
	f, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "lamps", Thread: "2489518277", Source: source})
	if err != nil {
		return "", err
	}
	defer f.Body.Close()
	data, err := io.ReadAll(f.Body)
	if err != nil {
		t.Fatal(err)
	}
	return f.MediaType + " " + string(data), nil
}

func TestThePictureOfAMessageIsGotByItsId(t *testing.T) {
	e := newEndpoint(t, func(w http.ResponseWriter, r *http.Request) {
		fail := func(status int, body string) {
			w.Header().Set("Content-Type", "application/json;charset=UTF-8")
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
		switch q := r.URL.Query(); {
		case r.URL.Path != "/2/mss/msget" || q.Get("access_token") != accessToken:
			fail(http.StatusForbidden, `{"error":"invalid_access_token","error_code":21332,"request":"/2/mss/msget"}`)
		case q.Get("fid") == "1":
			fail(http.StatusOK, `{"error":"file not exist","error_code":20303,"request":"/2/mss/msget"}`)
		case q.Get("fid") == "2":
			fail(http.StatusOK, `{"error":"User requests out of rate limit!","error_code":10023,"request":"/2/mss/msget"}`)
		case q.Get("fid") == "3":
			fail(http.StatusOK, `{}`)
		case q.Get("fid") == "4":
			fail(http.StatusNotFound, `{}`)
		default:
			w.Header().Set("Content-Type", "image/jpeg")
			_, _ = io.WriteString(w, "the picture "+q.Get("fid")) //nolint:gosec // no page
		}
	})
	c := made(t, posts(e.URL, &channeltest.Cursors{}))
	if got, err := fetch(t, c, "821804469"); err != nil || got != "image/jpeg the picture 821804469" {
		t.Error(got, err)
	}
	if got, err := fetch(t, c, "a&access_token=x"); err != nil || got != "image/jpeg the picture a&access_token=x" {
		t.Error("an id is an id, whatever it looks like", got, err)
	}
	for fid, code := range map[string]string{"1": "20303", "2": "", "3": "", "4": "404"} {
		_, err := fetch(t, c, fid)
		if r, ok := errors.AsType[*channel.RefusedError](err); err == nil || ok != (code != "") || ok && r.Code != code || strings.Contains(err.Error(), accessToken) {
			t.Errorf("%s: %v", fid, err)
		}
	}
	without := posts(e.URL, &channeltest.Cursors{})
	without.Accounts[0].AccessToken, without.Accounts[0].Posts = "", false
	_, err := fetch(t, made(t, without), "821804469")
	if r, ok := errors.AsType[*channel.RefusedError](err); !ok || r.Code != weibo.CodeNoToken {
		t.Error(err)
	}
	if _, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "gone", Source: "1"}); err == nil {
		t.Error("fetched for nobody")
	}
}

// Nobody else is asked for a file.
func TestNothingIsFetchedFromElsewhere(t *testing.T) {
	e := newEndpoint(t, saying(http.StatusOK, "secret"))
	c := made(t, posts(e.URL, &channeltest.Cursors{}))
	for _, source := range []string{
		"", e.URL + "/a.jpg", "http://169.254.169.254/latest", "https://sinaimg.cn.evil.example/a.jpg", "https://evil.example/ww1.sinaimg.cn", "https://evilsinaimg.cn/a.jpg",
		"https://ww1.sinaimg.cn:8443/a.jpg", "https://u:p@ww1.sinaimg.cn/a.jpg", "ftp://ww1.sinaimg.cn/a.jpg", "file:///etc/passwd", "//ww1.sinaimg.cn/a.jpg", "https://%zz/",
	} {
		_, err := fetch(t, c, source)
		if r, ok := errors.AsType[*channel.RefusedError](err); !ok || r.Code != weibo.CodeNotAtWeibo {
			t.Errorf("%s: %v", source, err)
		}
	}
	if e.asked.Load() > 0 {
		t.Error("somebody was asked")
	}
}

func TestThePictureOfAPostIsPublic(t *testing.T) {
	var asked []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Host+r.URL.String()+r.Header.Get("Authorization"))
		_, _ = io.WriteString(w, "the picture")
	}))
	defer server.Close()
	transport, ok := server.Client().Transport.(*http.Transport)
	if !ok {
		t.Fatal("no transport")
	}
	transport = transport.Clone()
	transport.TLSClientConfig.InsecureSkipVerify = true
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, server.Listener.Addr().String())
	}
	defer transport.CloseIdleConnections()
	c := made(t, posts("", &channeltest.Cursors{}))
	weibo.FetchBy(c, &http.Client{Transport: transport})
	for _, source := range []string{"http://ww1.sinaimg.cn/large/a.jpg", "https://wx2.sinaimg.cn/large/b.jpg"} {
		if _, err := fetch(t, c, source); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(asked, " "); got != "ww1.sinaimg.cn/large/a.jpg wx2.sinaimg.cn/large/b.jpg" {
		t.Error(got)
	}
}
