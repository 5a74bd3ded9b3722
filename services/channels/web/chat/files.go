package chat

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/gabriel-vasile/mimetype"

	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	// maxFileName is how many characters of a file's name are kept.
	maxFileName = 200
	// leastSpeed is how fast a file must come or go, in bytes a second.
	leastSpeed = 8 << 10
	// macSize is how many bytes of the signature stand in the name of a file.
	macSize = 16
)

// fileRef is what the name of a file says of it: all that is needed to refer to it and to open it, so that nothing is looked up. It is
// signed for one thread.
type fileRef struct {
	Key       string `json:"k"`
	Size      int64  `json:"s"`
	SHA256    []byte `json:"h"`
	MediaType string `json:"m"`
	Name      string `json:"n"`
}

func (w *widget) fileMAC(who Claims, body string) string {
	mac := hmac.New(sha256.New, w.fileKey)
	_, _ = mac.Write([]byte(who.Thread + "\x00" + body)) // a hash takes everything
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:macSize])
}

// nameFile gives the name under which a visitor's thread refers to a file.
func (w *widget) nameFile(who Claims, b *eventv1.Blob, name string) string {
	raw, err := json.Marshal(fileRef{b.GetKey(), b.GetSize(), b.GetSha256(), b.GetMediaType(), name})
	if err != nil { // texts and numbers always can
		return ""
	}
	body := base64.RawURLEncoding.EncodeToString(raw)
	return body + "." + w.fileMAC(who, body)
}

// attachment is the file of a name that was given out in the visitor's thread.
func (w *widget) attachment(who Claims, name string) (*eventv1.Attachment, bool) {
	body, signature, _ := strings.Cut(name, ".")
	if !hmac.Equal([]byte(signature), []byte(w.fileMAC(who, body))) {
		return nil, false
	}
	var ref fileRef
	raw, err := base64.RawURLEncoding.DecodeString(body)
	if err != nil || json.Unmarshal(raw, &ref) != nil {
		return nil, false
	}
	return &eventv1.Attachment{Name: ref.Name, Blob: &eventv1.Blob{Key: ref.Key, Size: ref.Size, Sha256: ref.SHA256, MediaType: ref.MediaType}}, true
}

// shown is a file as the visitor gets to see it. That it is one of this tenant's was seen to when its event was taken in.
func (w *widget) shown(who Claims, a *eventv1.Attachment) shownFile {
	f := shownFile{Name: fileName(a.GetName()), MediaType: a.GetMediaType()}
	if b := a.GetBlob(); b != nil {
		f.File, f.MediaType, f.Size = w.nameFile(who, b, f.Name), b.GetMediaType(), b.GetSize()
	}
	return f
}

// fileName makes a name that is shown to people one line, without characters that turn others around or cannot be seen.
func fileName(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '/' || r == '\\' {
			return '_'
		}
		if !unicode.IsPrint(r) { // what turns the text around is none of these, either
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	if s = strings.TrimSpace(s); strings.Trim(s, ".") == "" {
		return "file"
	}
	if runes := []rune(s); len(runes) > maxFileName { // the end tells what kind of file it is
		s = string(runes[:maxFileName/2]) + "…" + string(runes[len(runes)-maxFileName/2+1:])
	}
	return s
}

// uploaded is what POST files answers: a file that the blob store has, and that messages of this thread may name.
type uploaded struct {
	File      string `json:"file"`
	Name      string `json:"name"`
	MediaType string `json:"media_type"`
	Size      int64  `json:"size"`
}

// upload answers POST files.
func (c *Channel) upload(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
	who, p := c.authenticate(wd, r)
	if p != nil {
		return p
	}
	if r.ContentLength > wd.MaxFile {
		return c.fileTooLarge(wd)
	}
	if p := c.visitors.allow(who); p != nil {
		return p
	}
	leave, p := c.visitors.transfer(who)
	if p != nil {
		return p
	}
	defer leave()
	data, err := io.ReadAll(http.MaxBytesReader(w, &hurried{ReadCloser: r.Body, conn: http.NewResponseController(w), until: time.Now().Add(c.limits.File)}, wd.MaxFile))
	var large *http.MaxBytesError
	switch {
	case errors.As(err, &large):
		return c.fileTooLarge(wd)
	case err != nil:
		return badFrame("the file broke off, or came too slowly")
	case len(data) == 0:
		return invalid("", "the file is empty: its bytes are the body of the request")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // every server of net/http can
	mediaType, _, _ := strings.Cut(mimetype.Detect(data).String(), ";")
	b, err := c.host.PutBlob(r.Context(), channel.BlobInfo{Tenant: who.Tenant, Inbox: wd.ID, Thread: who.Thread, MediaType: mediaType}, bytes.NewReader(data))
	if errors.Is(err, blob.ErrTooLarge) {
		return c.fileTooLarge(wd)
	}
	if err != nil {
		return c.refusal(r.Context(), err)
	}
	name := fileName(r.URL.Query().Get("name"))
	writeJSON(w, http.StatusOK, uploaded{File: wd.nameFile(who, b, name), Name: name, MediaType: b.GetMediaType(), Size: b.GetSize()})
	return nil
}

func (c *Channel) fileTooLarge(wd *widget) *problem {
	if wd.MaxFile < 0 {
		return tooLarge("this widget takes no files")
	}
	return tooLarge(fmt.Sprintf("a file may have %d bytes at most", wd.MaxFile))
}

// hurried is a body that must come at leastSpeed, but for a time of grace in all.
type hurried struct {
	io.ReadCloser
	conn  *http.ResponseController
	until time.Time
}

// Read implements io.Reader.
func (h *hurried) Read(p []byte) (int, error) {
	_ = h.conn.SetReadDeadline(h.until) // every server of net/http can
	n, err := h.ReadCloser.Read(p)
	h.until = h.until.Add(atLeastSpeed(n))
	return n, err
}

// atLeastSpeed is how long so many bytes may take.
func atLeastSpeed(n int) time.Duration { return time.Duration(n) * time.Second / leastSpeed }

// download answers GET files/{file}, for the visitor whose thread the file stands in.
func (c *Channel) download(w http.ResponseWriter, r *http.Request, wd *widget) *problem {
	who, p := c.authenticate(wd, r)
	if p != nil {
		return p
	}
	a, ok := wd.attachment(who, r.PathValue("file"))
	if !ok || c.cfg.Files == nil {
		return unknownFile()
	}
	if p := c.visitors.allow(who); p != nil {
		return p
	}
	leave, p := c.visitors.transfer(who)
	if p != nil {
		return p
	}
	defer leave()
	data, err := c.cfg.Files.Get(r.Context(), a.GetBlob())
	switch {
	case errors.Is(err, blob.ErrNotFound):
		return unknownFile()
	case err != nil:
		c.log.Error("a file cannot be read", "error", err)
		return unavailable("the file cannot be read now: try again after retry_after seconds", retryAfter)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(c.limits.File + atLeastSpeed(len(data)))) // every server of net/http can
	mediaType, disposition := "application/octet-stream", "attachment"
	if isPicture(a.GetBlob().GetMediaType()) {
		mediaType, disposition = a.GetBlob().GetMediaType(), "inline"
	}
	h := w.Header()
	h.Set("Content-Type", mediaType)
	h.Set("Content-Disposition", mime.FormatMediaType(disposition, map[string]string{"filename": a.GetName()}))
	h.Set("Content-Security-Policy", "default-src 'none'; sandbox; frame-ancestors 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "private, no-store")
	h.Set("Referrer-Policy", "no-referrer")
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(data))
	return nil
}

func unknownFile() *problem {
	return newProblem(http.StatusNotFound, "unknown_file", "there is no such file in this thread")
}

// isPicture tells what a browser may show at once: pictures that can hold no script.
func isPicture(mediaType string) bool {
	return slices.Contains([]string{"image/png", "image/jpeg", "image/gif", "image/webp"}, mediaType)
}
