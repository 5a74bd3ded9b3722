package chat_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/web/chat"
)

// png is as much of a picture as shows what it is.
const png = "\x89PNG\r\n\x1a\n\x00\x00\x00\x0dIHDR\x00\x00\x00\x01\x00\x00\x00\x01\x08\x06\x00\x00\x00"

// upload sends a file.
func (s *site) upload(token, name, data string) (file, frame, answer) {
	s.t.Helper()
	var got struct {
		file
		frame
	}
	raw := ""
	a := s.request("POST", s.url+"files?name="+url.QueryEscape(name), token, data, nil, &raw)
	decode(s.t, raw, &got.file)
	decode(s.t, raw, &got.frame)
	return got.file, got.frame, a
}

// download opens one.
func (s *site) download(token, name string) (string, answer) {
	s.t.Helper()
	body := ""
	a := s.request("GET", s.url+"files/"+name, token, nil, nil, &body)
	return body, a
}

func TestAFileIsUploadedThenNamedAndOpensForItsThreadOnly(t *testing.T) {
	s := start(t)
	visitor, other := s.session(""), s.session("")
	f, _, a := s.upload(visitor.Token, "kettle.png", png)
	if a.status != http.StatusOK || f.Name != "kettle.png" || f.MediaType != "image/png" || f.Size != int64(len(png)) {
		t.Fatalf("%d %+v", a.status, f)
	}
	if n := len(s.host.Events()); n != 0 {
		t.Errorf("%d events of a file that no message names", n)
	}
	c := s.dial(visitor.Token)
	c.resume("")
	c.next("ready")
	c.send(`{"type":"message","id":"m1","files":["` + f.File + `"]}`)
	var shown []file
	for range 2 { // acknowledged and shown, in either order
		got, err := c.read()
		if err != nil {
			t.Fatal(err)
		}
		shown = append(shown, got.Files...)
	}
	attached := s.host.Events()[0].Content.GetAttachments()
	if len(attached) != 1 || attached[0].GetName() != "kettle.png" || attached[0].GetBlob().GetMediaType() != "image/png" {
		t.Fatalf("attached %v", attached)
	}
	if data, ok := s.host.Blob(attached[0].GetBlob()); !ok || string(data) != png {
		t.Errorf("stored %q", data)
	}
	if len(shown) != 1 || shown[0] != f {
		t.Errorf("shown %+v", shown)
	}
	body, a := s.download(visitor.Token, f.File)
	if a.status != http.StatusOK || body != png || a.header.Get("Content-Type") != "image/png" || a.header.Get("Content-Disposition") != "inline; filename=kettle.png" ||
		a.header.Get("X-Content-Type-Options") != "nosniff" || !strings.Contains(a.header.Get("Content-Security-Policy"), "sandbox") || a.header.Get("Cache-Control") != "private, no-store" {
		t.Errorf("%d %q %v", a.status, body, a.header)
	}

	// Nobody else opens or names it, though somebody has the name.
	if _, a := s.download(other.Token, f.File); a.status != http.StatusNotFound {
		t.Errorf("another visitor: %d", a.status)
	}
	if _, a := s.download("", f.File); a.status != http.StatusUnauthorized {
		t.Errorf("nobody: %d", a.status)
	}
	if got, status := s.post(other.Token, map[string]any{"id": "m1", "text": "mine", "files": []string{f.File}}); status != http.StatusBadRequest || got.Field != "files" {
		t.Errorf("named by another visitor: %d %+v", status, got)
	}
	for _, forged := range []string{f.File[:len(f.File)-1], f.File + "A", "x" + f.File, "e30." + strings.SplitN(f.File, ".", 2)[1], "..%2f..%2fsecrets", strings.Repeat("A", 9000)} {
		if _, a := s.download(visitor.Token, forged); a.status != http.StatusNotFound {
			t.Errorf("%.40s: %d", forged, a.status)
		}
	}
	if n := len(s.host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
	s.served()
}

func TestAnAgentsFilesOpenForTheVisitorWhateverKindTheyAre(t *testing.T) {
	s := start(t)
	visitor := s.session("")
	put := func(mediaType, data string) *eventv1.Blob {
		t.Helper()
		b, err := s.host.PutBlob(t.Context(), channel.BlobInfo{Tenant: "acme", Inbox: "shop", Thread: visitor.Thread, MediaType: mediaType}, strings.NewReader(data))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	s.publish(visitor.Thread, "a1", "Here", func(sub *eventv1.Submission) {
		sub.Content.Attachments = []*eventv1.Attachment{
			{Name: "发票 1.pdf", Blob: put("application/pdf", "%PDF-1.7")},
			{Name: "page.html", Blob: put("text/html", "<script>alert(1)</script>")},
			{Name: "logo.svg", Blob: put("image/svg+xml", "<svg onload='alert(1)'/>")},
			{Name: "../../photo\u202egpj.exe\n", Blob: put("image/jpeg", "\xff\xd8\xff")},
			{Name: "still there", Source: "https://cdn.example/1", MediaType: "image/png"},
		}
	})
	c := s.dial(visitor.Token)
	c.resume("")
	files := c.next("event").Files
	if len(files) != 5 {
		t.Fatalf("%+v", files)
	}
	for i, want := range []struct{ name, mediaType, disposition string }{
		{"发票 1.pdf", "application/octet-stream", "attachment"},
		{"page.html", "application/octet-stream", "attachment"},
		{"logo.svg", "application/octet-stream", "attachment"},
		{".._.._photogpj.exe", "image/jpeg", "inline"},
	} {
		_, a := s.download(visitor.Token, files[i].File)
		disposition, _, _ := strings.Cut(a.header.Get("Content-Disposition"), ";")
		if files[i].Name != want.name || a.status != http.StatusOK || a.header.Get("Content-Type") != want.mediaType || disposition != want.disposition {
			t.Errorf("%+v: %d %v", files[i], a.status, a.header)
		}
	}
	for _, f := range files[4:] {
		if f.File != "" || f.Name == "" {
			t.Errorf("%+v can be opened", f)
		}
	}
}

// endless is a body of a size, which it does not tell.
type endless struct {
	size int64
	read atomic.Int64 // by the transport, which may go on after the answer
}

func (e *endless) Read(p []byte) (int, error) {
	read := e.read.Load()
	if read >= e.size {
		return 0, io.EOF
	}
	n := min(int64(len(p)), e.size-read)
	e.read.Add(n)
	return int(n), nil
}

func TestFilesHaveALimitAndTakeNobodyElsesRoom(t *testing.T) {
	s := start(t, unhurried, func(cfg *chat.Config, _ *channel.Host) { cfg.Widgets[0].MaxFile, cfg.Widgets[1].MaxFile = 1<<20, -1 })
	visitor := s.session("")
	if _, f, a := s.upload(visitor.Token, "large", strings.Repeat("x", 1<<20+1)); a.status != http.StatusRequestEntityTooLarge || f.Code != "too_large" {
		t.Errorf("a byte too many: %d %+v", a.status, f)
	}
	if _, _, a := s.upload(visitor.Token, "fits", strings.Repeat("x", 1<<20)); a.status != http.StatusOK {
		t.Errorf("as large as may be: %d", a.status)
	}
	if _, f, a := s.upload(visitor.Token, "empty", ""); a.status != http.StatusBadRequest || f.Code != "invalid" {
		t.Errorf("empty: %d %+v", a.status, f)
	}
	for _, told := range []int64{-1, 1 << 30} { // a gigabyte that says so, and one that does not
		body := &endless{size: 1 << 30}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"files?name=huge", io.NopCloser(body))
		if err != nil {
			t.Fatal(err)
		}
		r.ContentLength = told
		r.Header.Set("Authorization", "Bearer "+visitor.Token)
		got, err := http.DefaultClient.Do(r)
		if err == nil { // the server may have hung up while the file still came
			_ = got.Body.Close()
			if got.StatusCode != http.StatusRequestEntityTooLarge {
				t.Errorf("a gigabyte: %s", got.Status)
			}
		}
		if n := body.read.Load(); n > 64<<20 {
			t.Errorf("%d bytes were taken", n)
		}
	}
	var blog session
	s.request("POST", s.root+"/chat/v1/blog/session", "", nil, nil, &blog)
	var f frame
	if a := s.request("POST", s.root+"/chat/v1/blog/files", blog.Token, "x", nil, &f); a.status != http.StatusRequestEntityTooLarge || !strings.Contains(f.Message, "no files") {
		t.Errorf("a widget without files: %d %+v", a.status, f)
	}
	s.served()
}

// slow is a store that answers when it is let.
type slow struct {
	chat.Files
	reached chan struct{}
	open    chan struct{}
}

func (s slow) Get(ctx context.Context, ref *eventv1.Blob) ([]byte, error) {
	s.reached <- struct{}{}
	<-s.open
	return s.Files.Get(ctx, ref)
}

func TestAVisitorTransfersAFewFilesAtOnceAndAllTogetherNoMoreThanThereIsRoomFor(t *testing.T) {
	gate := slow{reached: make(chan struct{}, 10), open: make(chan struct{})}
	s := start(t, unhurried, limits(func(l *chat.Limits) { l.Transfers = 4 }), func(cfg *chat.Config, _ *channel.Host) { gate.Files = cfg.Files; cfg.Files = gate })
	a, b := s.session(""), s.session("")
	names := map[string]string{}
	for _, v := range []session{a, b} {
		f, _, _ := s.upload(v.Token, "x.png", png)
		names[v.Token] = f.File
	}
	done := make(chan int)
	fetch := func(token string) {
		go func() {
			_, answer := s.download(token, names[token])
			done <- answer.status
		}()
		<-gate.reached
	}
	for range 3 {
		fetch(a.Token)
	}
	if _, answer := s.download(a.Token, names[a.Token]); answer.status != http.StatusTooManyRequests || answer.header.Get("Retry-After") == "" {
		t.Errorf("a fourth of one visitor: %v", answer)
	}
	fetch(b.Token)
	if _, answer := s.download(b.Token, names[b.Token]); answer.status != http.StatusServiceUnavailable || answer.header.Get("Retry-After") == "" {
		t.Errorf("a fifth: %v", answer)
	}
	close(gate.open)
	for range 4 {
		if status := <-done; status != http.StatusOK {
			t.Error(status)
		}
	}
	if _, answer := s.download(b.Token, names[b.Token]); answer.status != http.StatusOK {
		t.Errorf("afterwards: %v", answer)
	}
}

func TestAFileThatStopsOnItsWayIsCutOffAndLeavesItsPlace(t *testing.T) {
	s := start(t, limits(func(l *chat.Limits) { l.File, l.Transfers = 50*time.Millisecond, 1 }))
	token := s.session("").Token
	conn := s.tcp()
	_, err := io.WriteString(conn, "POST /chat/v1/shop/files?name=x HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\nAuthorization: Bearer "+token+"\r\n\r\nhalf of")
	if err != nil {
		t.Fatal(err)
	}
	answer, err := io.ReadAll(conn) // until it is cut off
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 400 ") {
		t.Errorf("%q, %v", answer, err)
	}
	if _, _, a := s.upload(token, "x.png", png); a.status != http.StatusOK {
		t.Errorf("the next one: %d", a.status)
	}
}

// broken is a store that has a fault.
type broken struct{ err error }

func (b broken) Get(context.Context, *eventv1.Blob) ([]byte, error) { return nil, b.err }

func TestWhileFilesCannotBeStoredOrReadTheClientComesAgain(t *testing.T) {
	s := start(t)
	token := s.session("").Token
	s.host.Fail(channel.ErrRetry)
	if _, f, a := s.upload(token, "x.png", png); a.status != http.StatusServiceUnavailable || f.RetryAfter == 0 {
		t.Errorf("stored: %d %+v", a.status, f)
	}
	s.host.Fail(nil)
	f, _, _ := s.upload(token, "x.png", png)
	for status, files := range map[int]chat.Files{
		http.StatusServiceUnavailable: broken{io.ErrUnexpectedEOF}, http.StatusNotFound: broken{fmt.Errorf("%w: gone", blob.ErrNotFound)},
	} {
		again := startOn(t, s.host, channeltest.NewFollower(s.host), func(cfg *chat.Config, _ *channel.Host) { cfg.Files = files })
		if _, a := again.download(token, f.File); a.status != status {
			t.Errorf("%d instead of %d", a.status, status)
		}
	}
}

func TestPagesOfOtherSitesGetAtNoFile(t *testing.T) {
	s := start(t)
	token := s.session("").Token
	f, _, _ := s.upload(token, "x.png", png)
	for _, path := range []string{"files", "files/" + f.File, "widget.js"} {
		for _, method := range []string{"GET", "POST", "OPTIONS"} {
			if path == "files" == (method == "GET") && method != "OPTIONS" || path == "widget.js" && method == "POST" {
				continue
			}
			a := s.request(method, s.url+path, token, "x", http.Header{"Origin": {"https://evil.example"}}, new(string))
			if a.status != http.StatusForbidden || a.header.Get("Access-Control-Allow-Origin") != "" {
				t.Errorf("%s %s: %d", method, path, a.status)
			}
		}
	}
	a := s.request("OPTIONS", s.url+"files/"+f.File, "", nil, http.Header{"Origin": {shop}}, nil)
	if a.status != http.StatusNoContent || !slices.Contains(a.header.Values("Access-Control-Allow-Origin"), shop) {
		t.Errorf("the shop's page: %d", a.status)
	}
}
