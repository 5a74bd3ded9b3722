package blobs_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog/memlog"
	"github.com/skein-cx/skein/pkg/intake"
	"github.com/skein-cx/skein/pkg/rpc"
	blobv1 "github.com/skein-cx/skein/proto/skein/blob/v1"
	"github.com/skein-cx/skein/services/blobs"
)

const (
	acmeToken  = "token of acme"
	otherToken = "token of other"
	maxUpload  = 1 << 20
)

// png is the begin of every PNG file, and enough to be told by.
var png = []byte("\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR")

type fixture struct {
	t     *testing.T
	store *blob.Store
	http  string
	grpc  string
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	store, err := blob.Open(t.Context(), "file://"+t.TempDir()+"?no_tmp_dir=true&metadata=skip")
	must(err)
	keyring, err := event.NewKeyring(bytes.NewReader(make([]byte, 64)))
	must(err)
	compiler, err := event.NewCompiler(keyring)
	must(err)
	host := intake.New(intake.Config{Compiler: compiler, Keyring: keyring, Log: memlog.New(memlog.Config{}).Open(), Blobs: store})
	tokens := make([]auth.Token, 0, 2)
	for tenant, token := range map[string]string{"acme": acmeToken, "other": otherToken} {
		tokens = append(tokens, auth.Token{SHA256: fmt.Sprintf("%x", sha256.Sum256([]byte(token))), Identity: auth.Identity{Tenant: tenant, Name: tenant}})
	}
	authenticator, err := auth.New(tokens, auth.Identity{})
	must(err)
	service := blobs.New(blobs.Config{Store: store, Host: host, MaxUpload: maxUpload})
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler)})
	must(err)
	blobs.NewServer(service).Register(server)
	port, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	must(err)
	go func() { _ = server.Serve(port) }()
	t.Cleanup(server.Server.Stop)
	mux := http.NewServeMux()
	service.Mount(mux, func(h http.Handler) http.Handler { return rpc.Authenticated(authenticator, h) })
	web := httptest.NewServer(mux)
	t.Cleanup(web.Close)
	return &fixture{t: t, store: store, http: web.URL, grpc: port.Addr().String()}
}

func (f *fixture) client(token string) blobv1.BlobServiceClient {
	f.t.Helper()
	conn, err := rpc.Dial(f.grpc, token, nil)
	if err != nil {
		f.t.Fatal(err)
	}
	f.t.Cleanup(func() { _ = conn.Close() })
	return blobv1.NewBlobServiceClient(conn)
}

func (f *fixture) put(data []byte) string {
	f.t.Helper()
	ref, err := f.store.Put(f.t.Context(), "acme", "thread", "text/html", bytes.NewReader(data))
	if err != nil {
		f.t.Fatal(err)
	}
	return ref.GetKey()
}

// answer is what HTTP gives.
type answer struct {
	StatusCode    int
	Header        http.Header
	ContentLength int64
}

// do calls over HTTP, with a header where one is named.
func (f *fixture) do(method, path, token string, body io.Reader, header ...string) (*answer, []byte) {
	f.t.Helper()
	req, err := http.NewRequestWithContext(f.t.Context(), method, f.http+path, body)
	if err != nil {
		f.t.Fatal(err)
	}
	if token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	if len(header) == 2 {
		req.Header.Set(header[0], header[1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		f.t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return &answer{resp.StatusCode, resp.Header, resp.ContentLength}, data
}

func (f *fixture) download(client blobv1.BlobServiceClient, req *blobv1.DownloadRequest) (*blobv1.FileInfo, []byte, error) {
	stream, err := client.Download(f.t.Context(), req)
	if err != nil {
		return nil, nil, err
	}
	first, err := stream.Recv()
	if err != nil {
		return nil, nil, err
	}
	var data []byte
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return first.GetInfo(), data, nil
		}
		if err != nil {
			return nil, nil, err
		}
		data = append(data, m.GetData()...)
	}
}

func upload(stream grpc.ClientStreamingClient[blobv1.UploadRequest, blobv1.UploadResponse], info *blobv1.UploadInfo, data []byte) (*blobv1.UploadResponse, error) {
	if info != nil {
		_ = stream.Send(&blobv1.UploadRequest{Piece: &blobv1.UploadRequest_Info{Info: info}}) // CloseAndRecv tells what went wrong
	}
	for len(data) > 0 {
		n := min(len(data), 100_000)
		_ = stream.Send(&blobv1.UploadRequest{Piece: &blobv1.UploadRequest_Data{Data: data[:n]}})
		data = data[n:]
	}
	return stream.CloseAndRecv()
}

func TestAFileComesBackAsItWasHandedIn(t *testing.T) {
	f := newFixture(t)
	client := f.client(acmeToken)
	data := bytes.Repeat([]byte("0123456789"), 70_000)
	hash := sha256.Sum256(data)
	stream, err := client.Upload(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	up, err := upload(stream, &blobv1.UploadInfo{Inbox: "web", Thread: "visit-1", Size: int64(len(data)), Sha256: hash[:]}, data)
	if err != nil {
		t.Fatal(err)
	}
	info, got, err := f.download(client, &blobv1.DownloadRequest{Key: up.GetBlob().GetKey()})
	if err != nil || !bytes.Equal(got, data) || info.GetSize() != int64(len(data)) || info.GetMediaType() != "text/plain; charset=utf-8" {
		t.Errorf("%d bytes, %v, %v", len(got), info, err)
	}
	info, got, err = f.download(client, &blobv1.DownloadRequest{Key: up.GetBlob().GetKey(), Offset: 12, Length: 5})
	if err != nil || string(got) != "23456" || info.GetOffset() != 12 || info.GetLength() != 5 {
		t.Errorf("a part: %q, %v, %v", got, info, err)
	}
	resp, got := f.do(http.MethodGet, blobs.Path+"/"+up.GetBlob().GetKey(), acmeToken, nil)
	if resp.StatusCode != http.StatusOK || !bytes.Equal(got, data) || resp.Header.Get("Content-Security-Policy") == "" {
		t.Errorf("over HTTP: %d, %d bytes, %v", resp.StatusCode, len(got), resp.Header)
	}
}

func TestHTTPGivesRangesAndKnowsWhatACallerHasAlready(t *testing.T) {
	f := newFixture(t)
	path := blobs.Path + "/" + f.put([]byte("0123456789"))
	resp, got := f.do(http.MethodGet, path, acmeToken, nil, "Range", "bytes=-3")
	if resp.StatusCode != http.StatusPartialContent || string(got) != "789" || resp.Header.Get("Content-Range") != "bytes 7-9/10" {
		t.Errorf("a range: %d %q %q", resp.StatusCode, got, resp.Header.Get("Content-Range"))
	}
	etag := resp.Header.Get("ETag")
	if resp, got = f.do(http.MethodGet, path, acmeToken, nil, "Range", "bytes=1-2,4-4"); resp.StatusCode != http.StatusPartialContent || !strings.Contains(string(got), "\r\n\r\n12\r\n") {
		t.Errorf("two ranges: %d %q", resp.StatusCode, got)
	}
	if resp, _ = f.do(http.MethodGet, path, acmeToken, nil, "Range", "bytes=10-"); resp.StatusCode != http.StatusRequestedRangeNotSatisfiable {
		t.Errorf("behind the end: %d", resp.StatusCode)
	}
	if resp, got = f.do(http.MethodGet, path, acmeToken, nil, "If-None-Match", etag); resp.StatusCode != http.StatusNotModified || len(got) > 0 {
		t.Errorf("known already: %d", resp.StatusCode)
	}
	if resp, got = f.do(http.MethodHead, path, acmeToken, nil); resp.StatusCode != http.StatusOK || resp.ContentLength != 10 || len(got) > 0 {
		t.Errorf("head: %d, %d bytes", resp.StatusCode, resp.ContentLength)
	}
}

func TestWhatAFileIsItsContentTells(t *testing.T) {
	f := newFixture(t)
	for name, c := range map[string]struct {
		data   []byte
		mime   string
		inline bool
	}{
		"a picture that was stated to be a page": {png, "image/png", true},
		"a page":                                 {[]byte("<!DOCTYPE html><script>alert(1)</script>"), "text/html; charset=utf-8", false},
		"a drawing, which may hold code":         {[]byte(`<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"></svg>`), "image/svg+xml", false},
		"nothing":                                {nil, "text/plain", true},
	} {
		resp, _ := f.do(http.MethodGet, blobs.Path+"/"+f.put(c.data), acmeToken, nil)
		if got := resp.Header.Get("Content-Type"); got != c.mime || (resp.Header.Get("Content-Disposition") == "") != c.inline {
			t.Errorf("%s: %q, %q", name, got, resp.Header.Get("Content-Disposition"))
		}
	}
}

func TestNobodySeesTheFilesOfAnotherTenant(t *testing.T) {
	f := newFixture(t)
	key := f.put([]byte("secret"))
	for _, c := range []struct {
		token, key string
		want       int
	}{
		{"", key, http.StatusUnauthorized},
		{"unknown", key, http.StatusUnauthorized},
		{otherToken, key, http.StatusNotFound},
		{otherToken, "other%2F..%2F" + key, http.StatusNotFound},
		{acmeToken, key + "0", http.StatusNotFound},
		{acmeToken, "acme", http.StatusNotFound},
	} {
		if resp, got := f.do(http.MethodGet, blobs.Path+"/"+c.key, c.token, nil); resp.StatusCode != c.want || strings.Contains(string(got), "secret") {
			t.Errorf("%q by %q: %d %s", c.key, c.token, resp.StatusCode, got)
		}
	}
	for _, k := range []string{key, "other/../" + key, "../acme/thread", "/" + key} {
		if _, _, err := f.download(f.client(otherToken), &blobv1.DownloadRequest{Key: k}); err == nil || !strings.Contains(err.Error(), "no such file") {
			t.Errorf("%q: %v", k, err)
		}
	}
}

func TestAWrongUploadIsRefusedWithTheReason(t *testing.T) {
	f := newFixture(t)
	client := f.client(acmeToken)
	good := &blobv1.UploadInfo{Inbox: "web", Thread: "visit-1"}
	for want, c := range map[string]struct {
		info *blobv1.UploadInfo
		data []byte
	}{
		"the first message says": {nil, []byte("x")},
		"inbox":                  {&blobv1.UploadInfo{Thread: "visit-1"}, []byte("x")},
		"larger than the limit":  {good, make([]byte, maxUpload+1)},
		"3 bytes instead of 4":   {&blobv1.UploadInfo{Inbox: "web", Thread: "visit-1", Size: 4}, []byte("abc")},
		"another SHA-256":        {&blobv1.UploadInfo{Inbox: "web", Thread: "visit-1", Sha256: make([]byte, 32)}, []byte("abc")},
	} {
		stream, err := client.Upload(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := upload(stream, c.info, c.data); err == nil || !strings.Contains(rpc.Explain(err), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
	if resp, got := f.do(http.MethodPost, blobs.Path+"?inbox=web", acmeToken, strings.NewReader("x")); resp.StatusCode != http.StatusBadRequest || !strings.Contains(string(got), "thread") {
		t.Errorf("without a thread: %d %s", resp.StatusCode, got)
	}
	if resp, _ := f.do(http.MethodPost, blobs.Path+"?inbox=web&thread=t", acmeToken, bytes.NewReader(make([]byte, maxUpload+1))); resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", resp.StatusCode)
	}
}

func TestAFileThatIsPostedCanBeReferredTo(t *testing.T) {
	f := newFixture(t)
	resp, body := f.do(http.MethodPost, blobs.Path+"?inbox=web&thread=visit-1", acmeToken, bytes.NewReader(png), "Content-Type", "image/png")
	up := &blobv1.UploadResponse{}
	if err := protojson.Unmarshal(body, up); resp.StatusCode != http.StatusCreated || err != nil {
		t.Fatalf("%d %s %v", resp.StatusCode, body, err)
	}
	if up.GetBlob().GetMediaType() != "image/png" || !strings.HasPrefix(up.GetBlob().GetKey(), "acme/") {
		t.Errorf("%v", up)
	}
	if _, got := f.do(http.MethodGet, resp.Header.Get("Location"), acmeToken, nil); !bytes.Equal(got, png) {
		t.Errorf("it comes back as %d bytes", len(got))
	}
}
