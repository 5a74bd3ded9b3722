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
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/klauspost/compress/gzip"
)

// Version is the one of the shared library that this package is written for and tested with. Others are refused.
const Version = "26.7.3-stable.1"

// LibraryVariable names the environment variable that holds the file of the shared library, where it is not to be searched for.
const LibraryVariable = "SKEIN_CLICKHOUSE_LIBRARY"

// ErrMissing means that the shared library is not on this machine. Fetch gets it.
var ErrMissing = errors.New("the ClickHouse library is not on this machine")

const libraryFile = "libchdb.so" // on darwin too

// packages of npm hold the library, by system and processor, and are known by the hash of their archive where it could be seen.
var packages = map[string]struct{ name, integrity string }{ //nolint:gochecknoglobals // read only
	"linux/amd64":  {"@chdb/lib-linux-x64-gnu", "sha512-XP97mMqnc5tZpKQywR8N7cLTsHNiTmHr30pC5mzo3jWmukjKn2IBa60c2B/gWUNcuFjOMjWoorQICCqBVj5wpw=="},
	"linux/arm64":  {"@chdb/lib-linux-arm64-gnu", ""},
	"darwin/amd64": {"@chdb/lib-darwin-x64", ""},
	"darwin/arm64": {"@chdb/lib-darwin-arm64", ""},
}

// CacheDir is where the library is kept for the user of this process.
func CacheDir() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("chdb: no cache directory for the library: %w", err)
	}
	return filepath.Join(cache, "skein", "chdb-"+Version), nil
}

// Find gives the path of the shared library: the file that LibraryVariable names, else the one in dir, or in CacheDir if dir is empty.
// It is ErrMissing where there is none.
func Find(dir string) (string, error) {
	if path := os.Getenv(LibraryVariable); path != "" {
		if info, err := os.Stat(path); err != nil || info.IsDir() { //nolint:gosec // the operator says which file
			return "", fmt.Errorf("chdb: %s names %s, which is not a file: %w", LibraryVariable, path, errors.Join(ErrMissing, err))
		}
		return path, nil
	}
	dir, err := cacheDir(dir)
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, libraryFile)
	if info, err := os.Stat(path); err != nil || !info.Mode().IsRegular() {
		return "", fmt.Errorf("chdb: %w: there is no %s; skein fetches it from npm, or set %s to a copy of the file of npm package %s", ErrMissing, path, LibraryVariable, packageName())
	}
	return path, nil
}

func cacheDir(dir string) (string, error) {
	if dir != "" {
		return filepath.Abs(dir)
	}
	return CacheDir()
}

func packageName() string {
	if p, ok := packages[runtime.GOOS+"/"+runtime.GOARCH]; ok {
		return p.name + "@" + Version
	}
	return "@chdb/lib-<system>-<processor>@" + Version
}

// Fetch gets the shared library through npm, which knows the registry and the proxies of the user, into dir, or CacheDir if dir is empty, and
// gives its path. Nothing is fetched where it is there. About 180 MB come over the network and 570 MB are stored. progress is told the bytes
// that are there and those there will be, if not nil. Several processes may fetch at once: one does, the others wait. A download that was
// broken off is resumed.
func Fetch(ctx context.Context, dir string, progress func(done, total int64)) (string, error) {
	path, err := Find(dir)
	if err == nil || os.Getenv(LibraryVariable) != "" {
		return path, err
	}
	p, ok := packages[runtime.GOOS+"/"+runtime.GOARCH]
	if !ok {
		return "", fmt.Errorf("chdb: there is no ClickHouse library for %s on %s, only for Linux and macOS on x86-64 and ARM64: use a ClickHouse server instead", runtime.GOOS, runtime.GOARCH)
	}
	dir, err = cacheDir(dir)
	if err != nil {
		return "", err
	}
	f := fetcher{dir: dir, name: p.name, integrity: p.integrity, progress: progress, npm: npm}
	return f.fetch(ctx)
}

// fetcher gets one package.
type fetcher struct {
	dir, name, integrity string
	progress             func(done, total int64)
	npm                  func(ctx context.Context, args ...string) ([]byte, error)
}

func (f fetcher) fetch(ctx context.Context) (string, error) {
	if err := os.MkdirAll(filepath.Dir(f.dir), 0o750); err != nil {
		return "", f.failed("make its directory", err)
	}
	unlock, err := lockFile(ctx, f.dir+".lock")
	if err != nil {
		return "", f.failed("wait for another process that fetches it", err)
	}
	defer unlock()
	path := filepath.Join(f.dir, libraryFile)
	if _, err := os.Stat(path); err == nil {
		return path, nil
	}
	dist, err := f.dist(ctx)
	if err != nil {
		return "", err
	}
	archive := f.dir + ".tgz"
	for try := 0; ; try++ {
		err = f.download(ctx, dist.Tarball, archive)
		if err != nil && ctx.Err() == nil && !errors.Is(err, syscall.ENOSPC) {
			err = f.pack(ctx, archive, err)
		}
		if err != nil {
			return "", f.failed("download "+dist.Tarball, err)
		}
		err = verify(archive, dist.Integrity)
		if err == nil {
			break
		}
		if removal := os.Remove(archive); removal != nil || try > 0 {
			return "", f.failed("download "+dist.Tarball, errors.Join(err, removal))
		}
	}
	if err := unpack(archive, f.dir); err != nil {
		return "", f.failed("unpack "+archive, err)
	}
	if err := os.Remove(archive); err != nil {
		return "", f.failed("tidy up", err)
	}
	return path, nil
}

// failed says what could not be done and what helps.
func (f fetcher) failed(what string, err error) error {
	hint := ""
	if errors.Is(err, syscall.ENOSPC) {
		hint = ". The disk is full: 750 MB are needed in " + filepath.Dir(f.dir)
	}
	return fmt.Errorf("chdb: fetch the ClickHouse library: %s: %w%s", what, err, hint)
}

type dist struct{ Tarball, Integrity string }

// dist asks npm for the address and the hash of the package.
func (f fetcher) dist(ctx context.Context) (dist, error) {
	var d dist
	out, err := f.npm(ctx, "view", f.name+"@"+Version, "dist", "--json")
	if errors.Is(err, exec.ErrNotFound) {
		return d, f.failed("ask npm", fmt.Errorf("%w: install Node.js with npm, or set %s to the file %s of npm package %s", err, LibraryVariable, libraryFile, packageName()))
	}
	if err != nil {
		return d, f.failed("ask npm for "+f.name+"@"+Version, fmt.Errorf("%w. Is the network there, and does npm know the registry and the proxy?", err))
	}
	if err := json.Unmarshal(out, &d); err != nil || d.Tarball == "" || d.Integrity == "" {
		return d, f.failed("ask npm for "+f.name+"@"+Version, fmt.Errorf("npm said %.200q", out))
	}
	if f.integrity != "" && d.Integrity != f.integrity {
		return d, f.failed("ask npm for "+f.name+"@"+Version, fmt.Errorf("the registry has other content (%s) than was published (%s)", d.Integrity, f.integrity))
	}
	// The metadata name the public registry; npm asks the one that is configured, and so does this.
	const public = "https://registry.npmjs.org/"
	if rest, ok := strings.CutPrefix(d.Tarball, public); ok {
		if registry := f.config(ctx, "registry"); strings.HasPrefix(registry, "http") {
			d.Tarball = strings.TrimSuffix(registry, "/") + "/" + rest
		}
	}
	return d, nil
}

// config gives a setting of npm, or "".
func (f fetcher) config(ctx context.Context, name string) string {
	out, err := f.npm(ctx, "config", "get", name)
	value := strings.TrimSpace(string(out))
	if err != nil || value == "null" || value == "undefined" {
		return ""
	}
	return value
}

func npm(ctx context.Context, args ...string) ([]byte, error) {
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, "npm", args...) //nolint:gosec // the arguments are this file's
	cmd.Stderr = &stderr
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return out, fmt.Errorf("npm %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return out, nil
}

// download gets the archive, or what is missing of it.
func (f fetcher) download(ctx context.Context, address, archive string) error {
	file, err := os.OpenFile(archive, os.O_CREATE|os.O_RDWR, 0o640) //nolint:gosec // in the cache
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // closed below where it matters
	have, err := file.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	if have > 0 {
		request.Header.Set("Range", "bytes="+strconv.FormatInt(have, 10)+"-")
	}
	transport := &http.Transport{Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSHandshakeTimeout: 30 * time.Second, ResponseHeaderTimeout: time.Minute}
	for _, name := range []string{"https-proxy", "proxy"} {
		if proxy, err := url.Parse(f.config(ctx, name)); err == nil && proxy.Host != "" {
			transport.Proxy = http.ProxyURL(proxy)
			break
		}
	}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	switch {
	case response.StatusCode == http.StatusRequestedRangeNotSatisfiable:
		return nil // all there, or too much: the hash tells
	case response.StatusCode == http.StatusOK:
		have = 0
		if err := file.Truncate(0); err != nil {
			return err
		}
		if _, err := file.Seek(0, io.SeekStart); err != nil {
			return err
		}
	case response.StatusCode != http.StatusPartialContent:
		return fmt.Errorf("%s answered %s", address, response.Status)
	}
	counter := &counter{done: have, total: have + max(response.ContentLength, 0), tell: f.progress}
	if _, err := io.Copy(io.MultiWriter(file, counter), response.Body); err != nil {
		return err
	}
	return file.Close()
}

// counter tells the progress.
type counter struct {
	done, total int64
	tell        func(done, total int64)
}

func (c *counter) Write(p []byte) (int, error) {
	c.done += int64(len(p))
	if c.tell != nil {
		c.tell(c.done, c.total)
	}
	return len(p), nil
}

// pack lets npm download the archive itself, as where a registry wants a password that only npm knows.
func (f fetcher) pack(ctx context.Context, archive string, cause error) error {
	dir, err := os.MkdirTemp(filepath.Dir(archive), "npm-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir) //nolint:errcheck // a leftover does no harm
	if _, err := f.npm(ctx, "pack", f.name+"@"+Version, "--pack-destination", dir); err != nil {
		return errors.Join(cause, err)
	}
	packed, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
	if err != nil || len(packed) != 1 {
		return errors.Join(cause, err)
	}
	return os.Rename(packed[0], archive)
}

// verify compares a file with a hash as npm writes it.
func verify(path, integrity string) error {
	want, ok := strings.CutPrefix(integrity, "sha512-")
	if !ok {
		return fmt.Errorf("npm gives %q, not a SHA-512 hash", integrity)
	}
	file, err := os.Open(path) //nolint:gosec // in the cache
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	hash := sha512.New()
	if _, err := io.Copy(hash, file); err != nil {
		return err
	}
	if got := base64.StdEncoding.EncodeToString(hash.Sum(nil)); got != want {
		return fmt.Errorf("what was downloaded has the hash sha512-%s, not %s", got, integrity)
	}
	return nil
}

// unpack takes the library out of the archive. The directory appears when it is complete.
func unpack(archive, dir string) error {
	file, err := os.Open(archive) //nolint:gosec // in the cache
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // only read
	zip, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "chdb-new-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(fresh) //nolint:errcheck // gone when all went well, else a leftover that does no harm
	for entries := tar.NewReader(zip); ; {
		entry, err := entries.Next()
		if errors.Is(err, io.EOF) {
			return fmt.Errorf("there is no %s in it", libraryFile)
		}
		if err != nil {
			return err
		}
		if entry.Name != "package/"+libraryFile || entry.Typeflag != tar.TypeReg {
			continue
		}
		if err := writeLibrary(filepath.Join(fresh, libraryFile), entries, entry.Size); err != nil {
			return err
		}
		if err := os.Chmod(fresh, 0o755); err != nil { //nolint:gosec // programs of other users may share it
			return err
		}
		if err := os.RemoveAll(dir); err != nil {
			return err
		}
		return os.Rename(fresh, dir)
	}
}

func writeLibrary(path string, content io.Reader, size int64) error {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o755) //nolint:gosec // a shared library is executable
	if err != nil {
		return err
	}
	defer file.Close() //nolint:errcheck // closed below where it matters
	if _, err := io.CopyN(file, content, size); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	return file.Close()
}

// lockFile takes a lock that ends with the process, however it ends.
func lockFile(ctx context.Context, path string) (unlock func(), err error) {
	for {
		file, err := tryLock(path)
		if err == nil {
			return func() { _ = file.Close() }, nil // which gives the lock back
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// tryLock takes the lock or fails with EWOULDBLOCK.
func tryLock(path string) (*os.File, error) {
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o640) //nolint:gosec // beside what it guards
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		return nil, errors.Join(&fs.PathError{Op: "lock", Path: path, Err: err}, file.Close())
	}
	return file, nil
}
