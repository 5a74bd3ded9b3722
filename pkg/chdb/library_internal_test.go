package chdb

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/klauspost/compress/gzip"
)

// registry serves one package and counts what it is asked.
type registry struct {
	archive   []byte
	integrity string
	downloads atomic.Int32
	ranges    atomic.Int32
	// cut breaks so many downloads off in the middle; spoil changes so many.
	cut, spoil atomic.Int32
	status     int
	url        string
}

func newRegistry(t *testing.T, content string) *registry {
	t.Helper()
	var b bytes.Buffer
	zip := gzip.NewWriter(&b)
	files := tar.NewWriter(zip)
	for name, text := range map[string]string{"package/index.js": "x", "package/" + libraryFile: content} {
		if err := errors.Join(files.WriteHeader(&tar.Header{Name: name, Mode: 0o755, Size: int64(len(text)), Typeflag: tar.TypeReg}), second(files.Write([]byte(text)))); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(files.Close(), zip.Close()); err != nil {
		t.Fatal(err)
	}
	sum := sha512.Sum512(b.Bytes())
	r := &registry{archive: b.Bytes(), integrity: "sha512-" + base64.StdEncoding.EncodeToString(sum[:])}
	server := httptest.NewServer(r)
	t.Cleanup(server.Close)
	r.url = server.URL
	return r
}

func second(_ int, err error) error { return err }

func (r *registry) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.downloads.Add(1)
	if r.status != 0 {
		w.WriteHeader(r.status)
		return
	}
	from := 0
	if text := req.Header.Get("Range"); text != "" {
		r.ranges.Add(1)
		if _, err := fmt.Sscanf(text, "bytes=%d-", &from); err != nil || from >= len(r.archive) {
			w.WriteHeader(http.StatusRequestedRangeNotSatisfiable)
			return
		}
		w.WriteHeader(http.StatusPartialContent)
	}
	content := bytes.Clone(r.archive[from:])
	if r.spoil.Add(-1) >= 0 {
		content[len(content)/2] ^= 1
	}
	if r.cut.Add(-1) >= 0 {
		_, _ = w.Write(content[:len(content)/2])
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	_, _ = w.Write(content)
}

// npm stands for the program; pack fails unless it is given an archive.
func (r *registry) npm(pack []byte) func(context.Context, ...string) ([]byte, error) {
	return func(_ context.Context, args ...string) ([]byte, error) {
		switch args[0] {
		case "view":
			return json.Marshal(map[string]string{"tarball": "https://registry.npmjs.org/@chdb/x/-/x.tgz", "integrity": r.integrity})
		case "config":
			return []byte(map[string]string{"registry": r.url + "/", "proxy": "null", "https-proxy": "null"}[args[2]] + "\n"), nil
		case "pack":
			if pack == nil {
				return nil, errors.New("npm pack: no")
			}
			return nil, os.WriteFile(filepath.Join(args[3], "x.tgz"), pack, 0o600)
		}
		return nil, errors.New(args[0])
	}
}

func (r *registry) fetcher(dir string) fetcher {
	return fetcher{dir: dir, name: "@chdb/x", npm: r.npm(nil)}
}

func wantLibrary(t *testing.T, path string, err error, content string) {
	t.Helper()
	got, failed := os.ReadFile(path)
	if err != nil || failed != nil || string(got) != content {
		t.Fatalf("%v %v %q", err, failed, got)
	}
	left, err := filepath.Glob(filepath.Join(filepath.Dir(filepath.Dir(path)), "*"))
	if err != nil || len(left) != 2 { // the directory and the lock
		t.Fatal(left, err)
	}
}

func wantError(t *testing.T, err error, texts ...string) {
	t.Helper()
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			t.Fatalf("error %v, want one with %q", err, text)
		}
	}
}

func TestFetchingTheLibrary(t *testing.T) {
	ctx := t.Context()
	t.Run("unpacks what npm's registry has, and tells the progress", func(t *testing.T) {
		r, dir := newRegistry(t, "the library"), filepath.Join(t.TempDir(), "v")
		f := r.fetcher(dir)
		var done, total int64
		f.progress = func(d, n int64) { done, total = d, n }
		path, err := f.fetch(ctx)
		wantLibrary(t, path, err, "the library")
		if done != int64(len(r.archive)) || total != done {
			t.Fatal(done, total)
		}
		path, err = f.fetch(ctx)
		wantLibrary(t, path, err, "the library")
		if r.downloads.Load() != 1 {
			t.Fatal(r.downloads.Load())
		}
	})
	t.Run("several at once download once", func(t *testing.T) {
		r, dir := newRegistry(t, "the library"), filepath.Join(t.TempDir(), "v")
		var all sync.WaitGroup
		for range 4 {
			all.Go(func() {
				if _, err := r.fetcher(dir).fetch(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if r.downloads.Load() != 1 {
			t.Fatal(r.downloads.Load())
		}
	})
	t.Run("resumes a download that was broken off", func(t *testing.T) {
		r, dir := newRegistry(t, strings.Repeat("the library", 1000)), filepath.Join(t.TempDir(), "v")
		r.cut.Store(1)
		_, err := r.fetcher(dir).fetch(ctx)
		wantError(t, err, "download http", "unexpected EOF")
		path, err := r.fetcher(dir).fetch(ctx)
		wantLibrary(t, path, err, strings.Repeat("the library", 1000))
		if r.ranges.Load() != 1 {
			t.Fatal(r.ranges.Load())
		}
	})
	t.Run("starts again where the part that is there is wrong", func(t *testing.T) {
		r, dir := newRegistry(t, "the library"), filepath.Join(t.TempDir(), "v")
		if err := os.WriteFile(dir+".tgz", bytes.Repeat([]byte("x"), 10), 0o600); err != nil {
			t.Fatal(err)
		}
		path, err := r.fetcher(dir).fetch(ctx)
		wantLibrary(t, path, err, "the library")
	})
	t.Run("refuses what has another hash", func(t *testing.T) {
		r, dir := newRegistry(t, "the library"), filepath.Join(t.TempDir(), "v")
		r.spoil.Store(2)
		_, err := r.fetcher(dir).fetch(ctx)
		wantError(t, err, "has the hash", r.integrity)
		if _, err := os.Stat(dir + ".tgz"); err == nil {
			t.Fatal("it is kept")
		}
		f := r.fetcher(dir)
		f.integrity = "sha512-other"
		_, err = f.fetch(ctx)
		wantError(t, err, "other content", "sha512-other")
	})
	t.Run("lets npm download where only npm may", func(t *testing.T) {
		r, dir := newRegistry(t, "the library"), filepath.Join(t.TempDir(), "v")
		r.status = http.StatusUnauthorized
		_, err := r.fetcher(dir).fetch(ctx)
		wantError(t, err, "401", "npm pack")
		f := r.fetcher(dir)
		f.npm = r.npm(r.archive)
		path, err := f.fetch(ctx)
		wantLibrary(t, path, err, "the library")
	})
	t.Run("says what helps", func(t *testing.T) {
		r := newRegistry(t, "the library")
		f := r.fetcher(filepath.Join(t.TempDir(), "v"))
		f.npm = func(context.Context, ...string) ([]byte, error) { return nil, exec.ErrNotFound }
		_, err := f.fetch(ctx)
		wantError(t, err, "install Node.js", LibraryVariable)
		f.npm = func(context.Context, ...string) ([]byte, error) { return nil, errors.New("npm view: ENOTFOUND") }
		_, err = f.fetch(ctx)
		wantError(t, err, "ENOTFOUND", "network", "proxy")
		f.npm = func(context.Context, ...string) ([]byte, error) { return []byte("{}"), nil }
		_, err = f.fetch(ctx)
		wantError(t, err, "npm said")
		wantError(t, f.failed("unpack", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}), "disk is full", "750 MB")
		ended, cancel := context.WithCancel(ctx)
		cancel()
		_, err = r.fetcher(filepath.Join(t.TempDir(), "v")).fetch(ended)
		wantError(t, err, "context canceled")
	})
}

func TestFindingTheLibrary(t *testing.T) {
	dir := t.TempDir()
	t.Setenv(LibraryVariable, "")
	_, err := Find(dir)
	if !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	wantError(t, err, dir, LibraryVariable, "npm")
	if err := os.WriteFile(filepath.Join(dir, libraryFile), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	path, err := Find(dir)
	if err != nil || path != filepath.Join(dir, libraryFile) {
		t.Fatal(path, err)
	}
	t.Setenv(LibraryVariable, filepath.Join(dir, "other"))
	if _, err = Find(dir); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	if _, err := Fetch(t.Context(), dir, nil); !errors.Is(err, ErrMissing) {
		t.Fatal(err)
	}
	t.Setenv(LibraryVariable, path)
	if got, err := Find(t.TempDir()); err != nil || got != path {
		t.Fatal(got, err)
	}
}
