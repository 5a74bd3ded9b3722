// Package blob keeps what is too large for the log: attachments, recordings, original mails. Bytes are stored under
// tenant/thread/hash of content, once, and before the event that refers to them.
package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"

	"gocloud.dev/blob"
	_ "gocloud.dev/blob/fileblob" // file://
	_ "gocloud.dev/blob/memblob"  // mem://
	"gocloud.dev/gcerrors"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// MaxSize is the greatest blob, in bytes.
const MaxSize = 64 << 20

var (
	// ErrTooLarge means that a blob is larger than MaxSize.
	ErrTooLarge = errors.New("blob: larger than 64 MiB")
	// ErrNotFound means that there is no blob under a key.
	ErrNotFound = errors.New("blob: not found")
	// ErrDamaged means that the bytes under a key are not those that were put there.
	ErrDamaged = errors.New("blob: damaged: its bytes have another hash")
)

// Lost tells whether an error of Get means that there is nothing to wait for: asking again gives the same, unless the bytes are put once more.
func Lost(err error) bool { return errors.Is(err, ErrNotFound) || errors.Is(err, ErrDamaged) }

// Store keeps blobs in a bucket. It is safe for concurrent use.
type Store struct {
	bucket *blob.Bucket
}

// Open opens a bucket by its URL, such as file:///var/lib/skein/blobs, as gocloud.dev/blob describes.
func Open(ctx context.Context, url string) (*Store, error) {
	bucket, err := blob.OpenBucket(ctx, url)
	if err != nil {
		return nil, fmt.Errorf("blob: open %s: %w", url, err)
	}
	return &Store{bucket: bucket}, nil
}

// Put stores what r holds for a thread of a tenant and returns the reference for the event. Bytes that the thread has
// already are not written again, unless a write was torn: then they have another size. Reader errors come back wrapped.
func (s *Store) Put(ctx context.Context, tenant, thread, mediaType string, r io.Reader) (*eventv1.Blob, error) {
	data, err := io.ReadAll(io.LimitReader(r, MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("blob: read what is to be stored: %w", err)
	}
	if len(data) > MaxSize {
		return nil, ErrTooLarge
	}
	hash := sha256.Sum256(data)
	if mediaType == "" {
		mediaType = http.DetectContentType(data)
	}
	ref := &eventv1.Blob{
		Key:       tenant + "/" + thread + "/" + hex.EncodeToString(hash[:]),
		Size:      int64(len(data)),
		Sha256:    hash[:],
		MediaType: mediaType,
	}
	size, err := s.Size(ctx, ref.GetKey())
	if missing := errors.Is(err, ErrNotFound); missing || err == nil && size != ref.GetSize() {
		err = s.bucket.WriteAll(ctx, ref.GetKey(), data, &blob.WriterOptions{ContentType: mediaType, DisableContentTypeDetection: true})
	}
	if err != nil {
		return nil, fmt.Errorf("blob: store %d bytes: %w", len(data), err)
	}
	return ref, nil
}

// Get reads a whole blob and checks its hash.
func (s *Store) Get(ctx context.Context, ref *eventv1.Blob) ([]byte, error) {
	data, err := s.bucket.ReadAll(ctx, ref.GetKey())
	if err != nil {
		return nil, notFound("read", ref.GetKey(), err)
	}
	if hash := sha256.Sum256(data); !bytes.Equal(hash[:], ref.GetSha256()) {
		return nil, fmt.Errorf("%w: %s", ErrDamaged, ref.GetKey())
	}
	return data, nil
}

// Close lets go of the bucket.
func (s *Store) Close() error { return s.bucket.Close() }

// Size is how many bytes the blob under a key has.
func (s *Store) Size(ctx context.Context, key string) (int64, error) {
	attributes, err := s.bucket.Attributes(ctx, key)
	if err != nil {
		return 0, notFound("look at", key, err)
	}
	return attributes.Size, nil
}

// Open reads the blob under a key from an offset, so many bytes or, where length is negative, all that follow. What it reads is not held
// against its hash. Close the reader.
func (s *Store) Open(ctx context.Context, key string, offset, length int64) (io.ReadCloser, error) {
	r, err := s.bucket.NewRangeReader(ctx, key, offset, length, nil)
	if err != nil {
		return nil, notFound("read", key, err)
	}
	return r, nil
}

// notFound says what could not be done with a key, and whether there is no such blob.
func notFound(what, key string, err error) error {
	if code := gcerrors.Code(err); code == gcerrors.NotFound || code == gcerrors.InvalidArgument { // a key that no blob can have
		return fmt.Errorf("%w: %s", ErrNotFound, key)
	}
	return fmt.Errorf("blob: %s %s: %w", what, key, err)
}
