package x_test

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
	"github.com/skein-cx/skein/services/channels/social/x"
)

func fetch(t *testing.T, c *x.Channel, source string) (string, error) {
	t.Helper()
	f, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "lamps", Thread: "501", Source: source})
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

func TestAPictureOfADirectMessageIsGotByTheAPI(t *testing.T) {
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !signedByOAuth(r):
			w.WriteHeader(http.StatusUnauthorized)
		case r.URL.Path != "/2/dm_conversations/media/1218168691763924998/1218168684226711552/7WY9gUyS.jpg":
			w.WriteHeader(http.StatusNotFound)
		default:
			w.Header().Set("Content-Type", "image/jpeg")
			_, _ = io.WriteString(w, "the picture")
		}
	})
	c := channelAt(t, server.URL, nil)
	const source = "https://ton.twitter.com/1.1/ton/data/dm/1218168691763924998/1218168684226711552/7WY9gUyS.jpg"
	if got, err := fetch(t, c, source); err != nil || got != "image/jpeg the picture" {
		t.Error(got, err)
	}
	_, err := fetch(t, c, strings.Replace(source, "7WY9gUyS", "gone", 1))
	if e, ok := errors.AsType[*channel.RefusedError](err); !ok || e.Code != "404" {
		t.Error(err)
	}
	_, err = fetch(t, channelAt(t, server.URL, func(a *x.Account) { a.AccessToken, a.AccessSecret = "", "" }), source)
	if e, ok := errors.AsType[*channel.RefusedError](err); !ok || e.Code != x.CodeNoToken {
		t.Error(err)
	}
	_, err = fetch(t, channelAt(t, server.URL, func(a *x.Account) { a.AccessToken = "revoked" }), source)
	if _, ok := errors.AsType[*channel.RefusedError](err); err == nil || ok {
		t.Errorf("a token that does not work may be mended: %v", err)
	}
	if _, err := c.Fetch(t.Context(), channel.RemoteFile{Tenant: "lumen", Inbox: "gone", Source: source}); err == nil {
		t.Error("fetched for nobody")
	}
}

// Nobody else is asked for a file, and nobody else sees the account's credentials.
func TestNothingIsFetchedFromElsewhere(t *testing.T) {
	server := newAPI(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "secret") })
	c := channelAt(t, server.URL, nil)
	for _, source := range []string{
		"", "media/1", "http://pbs.twimg.com/media/a.jpg", "https://pbs.twimg.com:444/a.jpg", "https://u:p@pbs.twimg.com/a.jpg", server.URL + "/a.jpg", "https://169.254.169.254/latest",
		"https://pbs.twimg.com.evil.example/a.jpg", "https://evil.example/pbs.twimg.com", "https://ton.twitter.com/1.1/ton/data/dm/1/2/../../../../2/users/me",
		"https://ton.twitter.com/1.1/ton/data/dm/1/2/..", "https://ton.twitter.com/1.1/account/settings.json", "https://ton.twitter.com/1.1/ton/data/dm/1/2/a%2fb", "file:///etc/passwd", "https://[::1]/a.jpg", "%zz",
	} {
		_, err := fetch(t, c, source)
		if e, ok := errors.AsType[*channel.RefusedError](err); !ok || e.Code != x.CodeNotAtX {
			t.Errorf("%s: %v", source, err)
		}
	}
	if server.asked.Load() > 0 {
		t.Error("somebody was asked")
	}
}

func TestAPublicFileIsGotWithoutCredentials(t *testing.T) {
	var credentials []string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		scheme, _, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		credentials = append(credentials, r.Host+" "+scheme)
		_, _ = io.WriteString(w, "the file")
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
	c := channelAt(t, "", nil)
	x.FetchBy(c, &http.Client{Transport: transport})
	for _, source := range []string{"https://pbs.twimg.com/media/Lamp17.jpg", "https://video.twimg.com/ext_tw_video/1/hi.mp4?tag=1", "https://video.twimg.com/dm_video/1/hi.mp4"} {
		if _, err := fetch(t, c, source); err != nil {
			t.Error(err)
		}
	}
	if got := strings.Join(credentials, ", "); got != "pbs.twimg.com , video.twimg.com , video.twimg.com OAuth" {
		t.Error(got)
	}
}
