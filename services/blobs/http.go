package blobs

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	blobv1 "github.com/skein-cx/skein/proto/skein/blob/v1"
)

// Path is where the HTTP server has the files.
const Path = "/v1/blobs"

// Mount puts the handlers on a mux: GET Path/KEY, which takes ranges and conditions, and POST Path with inbox and thread in the query and
// the bytes as its body. Wrap tells them who calls.
func (s *Service) Mount(mux *http.ServeMux, wrap func(http.Handler) http.Handler) {
	mux.Handle("GET "+Path+"/{key...}", wrap(http.HandlerFunc(s.download)))
	mux.Handle("POST "+Path, wrap(http.HandlerFunc(s.upload)))
}

// shown are the kinds of media that a browser may show by itself: none of them runs anything.
func shown(mime string) bool {
	kind, _, _ := strings.Cut(mime, "/")
	switch base, _, _ := strings.Cut(mime, ";"); {
	case base == "image/svg+xml":
		return false
	case kind == "image", kind == "audio", kind == "video", base == "text/plain", base == "application/pdf":
		return true
	}
	return false
}

func (s *Service) download(w http.ResponseWriter, r *http.Request) {
	f, err := s.find(r.Context(), r.PathValue("key"))
	switch {
	case errors.Is(err, errNotFound):
		http.Error(w, err.Error(), http.StatusNotFound)
		return
	case err != nil:
		http.Error(w, "the file cannot be read now, try again", http.StatusServiceUnavailable)
		return
	}
	h := w.Header()
	h.Set("Content-Type", f.mime)
	h.Set("ETag", f.etag())
	h.Set("Cache-Control", "private, max-age=31536000, immutable") // the key names the content
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox") // whoever sent it must not run anything in a page of ours
	if !shown(f.mime) {
		h.Set("Content-Disposition", "attachment")
	}
	content := &seeker{ctx: r.Context(), service: s, file: f}
	defer content.close()
	http.ServeContent(w, r, "", time.Time{}, content)
}

func (s *Service) upload(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	info := &blobv1.UploadInfo{Inbox: q.Get("inbox"), Thread: q.Get("thread"), MediaType: r.Header.Get("Content-Type"), Size: max(r.ContentLength, 0)}
	for _, field := range []struct {
		name, value string
		most        int
	}{{"inbox", info.GetInbox(), 128}, {"thread", info.GetThread(), 1024}} {
		if field.value == "" || len(field.value) > field.most {
			http.Error(w, fmt.Sprintf("%s must be given in the query, with at most %d bytes", field.name, field.most), http.StatusBadRequest)
			return
		}
	}
	ref, err := s.put(r.Context(), info, r.Body)
	switch {
	case errors.Is(err, blob.ErrTooLarge):
		http.Error(w, fmt.Sprintf("the file is larger than the limit of %d bytes", s.cfg.MaxUpload), http.StatusRequestEntityTooLarge)
	case errors.Is(err, errMismatch):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case errors.Is(err, channel.ErrRetry):
		w.Header().Set("Retry-After", "1")
		http.Error(w, "the file cannot be stored now, try again", http.StatusServiceUnavailable)
	case err != nil:
		http.Error(w, "the file broke off, or cannot be stored", http.StatusBadRequest)
	default:
		body, err := protojson.MarshalOptions{UseProtoNames: true}.Marshal(&blobv1.UploadResponse{Blob: ref})
		if err != nil { // a reference always can
			http.Error(w, "the answer cannot be written", http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", path.Join(Path, ref.GetKey()))
		w.WriteHeader(http.StatusCreated)
		_, _ = w.Write(body) // the caller may be gone
	}
}

// seeker reads a file from anywhere: each seek that moves opens it anew at the next read.
type seeker struct {
	ctx     context.Context
	service *Service
	file    *file
	at      int64
	r       io.ReadCloser
}

func (s *seeker) Seek(offset int64, whence int) (int64, error) {
	to := offset
	switch whence {
	case io.SeekCurrent:
		to += s.at
	case io.SeekEnd:
		to += s.file.size
	}
	if to < 0 {
		return 0, errors.New("blobs: before the begin of the file")
	}
	if to != s.at {
		s.close()
	}
	s.at = to
	return to, nil
}

func (s *seeker) Read(p []byte) (int, error) {
	if s.at >= s.file.size {
		return 0, io.EOF
	}
	if s.r == nil {
		r, err := s.service.cfg.Store.Open(s.ctx, s.file.key, s.at, -1)
		if err != nil {
			return 0, err
		}
		s.r = r
	}
	n, err := s.r.Read(p)
	s.at += int64(n)
	return n, err
}

func (s *seeker) close() {
	if s.r != nil {
		_ = s.r.Close() // nothing was written
		s.r = nil
	}
}
