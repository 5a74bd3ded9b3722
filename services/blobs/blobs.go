// Package blobs gives files out and takes them in, over gRPC (skein.blob.v1) and HTTP: attachments, recordings, original mails. Whoever
// calls sees the files of its tenant, and no others.
package blobs

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"

	"github.com/gabriel-vasile/mimetype"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	blobv1 "github.com/skein-cx/skein/proto/skein/blob/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// DefaultMaxUpload is the greatest file that is taken in, unless the configuration says otherwise, in bytes: what the store takes.
const DefaultMaxUpload = blob.MaxSize

// sniffed is how many of the first bytes tell what a file is.
const sniffed = 3072

// Store is where files are kept.
type Store interface {
	// Size is how many bytes a file has; blob.ErrNotFound where there is none.
	Size(ctx context.Context, key string) (int64, error)
	// Open reads a file from an offset, so many bytes or all that follow where length is negative.
	Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error)
}

// Host takes files in.
type Host interface {
	PutBlob(ctx context.Context, info channel.BlobInfo, r io.Reader) (*eventv1.Blob, error)
}

// Config is what a Service works with.
type Config struct {
	Store Store
	Host  Host
	// MaxUpload is the greatest file that is taken in, in bytes; 0 means DefaultMaxUpload.
	MaxUpload int64
}

// Service moves files. It is safe for concurrent use.
type Service struct {
	cfg Config
}

// New makes a service.
func New(cfg Config) *Service {
	if cfg.MaxUpload == 0 {
		cfg.MaxUpload = DefaultMaxUpload
	}
	return &Service{cfg: cfg}
}

var (
	errNotFound = errors.New("blobs: there is no such file")
	errMismatch = errors.New("blobs: the bytes are not those that were announced")
)

// file is one that the caller may see.
type file struct {
	key  string
	size int64
	mime string
}

// etag names the content of a file: its key ends with the hash.
func (f *file) etag() string { return `"` + path.Base(f.key) + `"` }

// find looks a file of the caller's tenant up. Another tenant's is not found, as one that is not there.
func (s *Service) find(ctx context.Context, key string) (*file, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	if path.Clean(key) != key || !strings.HasPrefix(key, caller.Tenant+"/") {
		return nil, errNotFound
	}
	size, err := s.cfg.Store.Size(ctx, key)
	if errors.Is(err, blob.ErrNotFound) {
		return nil, errNotFound
	}
	if err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	f := &file{key: key, size: size}
	head, err := s.read(ctx, f, 0, min(size, sniffed))
	if err != nil {
		return nil, err
	}
	f.mime = mimetype.Detect(head).String()
	return f, nil
}

func (s *Service) read(ctx context.Context, f *file, offset, length int64) ([]byte, error) {
	r, err := s.cfg.Store.Open(ctx, f.key, offset, length)
	if err != nil {
		return nil, fmt.Errorf("blobs: %w", err)
	}
	defer func() { _ = r.Close() }() // nothing was written
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, fmt.Errorf("blobs: read %s: %w", f.key, err)
	}
	return data, nil
}

// put takes a file of the caller's tenant in. What info announces must be so.
func (s *Service) put(ctx context.Context, info *blobv1.UploadInfo, r io.Reader) (*eventv1.Blob, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	return s.cfg.Host.PutBlob(ctx, channel.BlobInfo{
		Tenant: caller.Tenant, Inbox: info.GetInbox(), Thread: info.GetThread(), MediaType: info.GetMediaType(),
	}, &announced{r: r, info: info, most: s.cfg.MaxUpload, hash: sha256.New()})
}

// announced is a reader that fails at its end, where nothing is stored yet, unless it held what was announced.
type announced struct {
	r    io.Reader
	info *blobv1.UploadInfo
	most int64
	size int64
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
}

func (a *announced) Read(p []byte) (int, error) {
	n, err := a.r.Read(p)
	a.size += int64(n)
	_, _ = a.hash.Write(p[:n]) // a hash takes everything
	switch {
	case a.size > a.most:
		return n, blob.ErrTooLarge
	case !errors.Is(err, io.EOF):
		return n, err
	case a.info.GetSize() != 0 && a.info.GetSize() != a.size:
		return n, fmt.Errorf("%w: %d bytes instead of %d", errMismatch, a.size, a.info.GetSize())
	case len(a.info.GetSha256()) > 0 && !bytes.Equal(a.info.GetSha256(), a.hash.Sum(nil)):
		return n, fmt.Errorf("%w: another SHA-256", errMismatch)
	}
	return n, err
}
