package meta

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
)

// The Graph API's default address and version. Versions live for two years (https://developers.facebook.com/docs/graph-api/changelog).
const (
	DefaultURL     = "https://graph.facebook.com"
	DefaultVersion = "v25.0"
)

const (
	maxAnswer = 1 << 20          // bytes of an answer that are read
	patience  = 30 * time.Second // for an answer, and for the upload of a small file
)

// Access is with what an app speaks to the Graph API for an account.
type Access struct {
	// Token is sent as Authorization: Bearer. It is secret.
	Token string
	// AppSecret proves that it is the app itself that has the token (appsecret_proof), which an app can demand. May be empty. It
	// is secret.
	AppSecret string
}

// GraphConfig says how to reach the Graph API.
type GraphConfig struct {
	// URL is DefaultURL unless set: https://graph.instagram.com, a proxy, or a test's.
	URL string
	// Version such as "v25.0"; DefaultVersion unless set.
	Version string
	// Client speaks to the API at URL, and follows no redirects; one that may reach private addresses as well unless set.
	Client *http.Client
	// Files fetches files that lie elsewhere than at URL; httpfetch.Client(false) unless set.
	Files *http.Client
	// MaxMediaBytes is how large a file may be; httpfetch.MaxBytes unless set.
	MaxMediaBytes int64
}

// Graph is a client of the Graph API. It is safe for concurrent use.
type Graph struct {
	base    *url.URL // with the version
	client  *http.Client
	inside  *http.Client // fetches what lies at the API's own address
	files   *http.Client
	maxFile int64
}

// NewGraph checks the configuration.
func NewGraph(cfg GraphConfig) (*Graph, error) {
	if cfg.URL == "" {
		cfg.URL = DefaultURL
	}
	if cfg.Version == "" {
		cfg.Version = DefaultVersion
	}
	base, err := url.Parse(strings.TrimSuffix(cfg.URL, "/"))
	if err != nil || base.Host == "" || base.Scheme != "https" && base.Scheme != "http" || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("meta: the API's URL is http or https, a host and perhaps a path")
	}
	if !isVersion(cfg.Version) {
		return nil, fmt.Errorf("meta: the API's version is such as %s", DefaultVersion)
	}
	g := &Graph{
		base: base.JoinPath(cfg.Version), client: httpsend.Client(httpfetch.Client(true).Transport), inside: httpfetch.Client(true), files: cfg.Files, maxFile: cfg.MaxMediaBytes,
	}
	if cfg.Client != nil {
		client := *cfg.Client
		client.CheckRedirect = g.client.CheckRedirect
		g.client = &client
	}
	if g.files == nil {
		g.files = httpfetch.Client(false)
	}
	if g.maxFile == 0 {
		g.maxFile = httpfetch.MaxBytes
	}
	return g, nil
}

func isVersion(v string) bool {
	major, minor, ok := strings.Cut(strings.TrimPrefix(v, "v"), ".")
	_, err1 := strconv.ParseUint(major, 10, 16)
	_, err2 := strconv.ParseUint(minor, 10, 16)
	return ok && v[0] == 'v' && err1 == nil && err2 == nil
}

// Get asks for an object, such as "/1234", and decodes the answer into a value. Its errors are those of Post, and asking again
// never does harm.
func (g *Graph) Get(ctx context.Context, access Access, path string, query url.Values, into any) error {
	r, err := g.request(ctx, access, http.MethodGet, path, query, http.NoBody)
	if err != nil {
		return err
	}
	return harmless(g.do(r, access, into))
}

// Post sends a value as JSON, once, and decodes the answer into another one, which may be nil. Its errors are a
// channel.Sender's: an *Error is what the API said, and wraps a *channel.RefusedError, channel.ErrRetry or channel.ErrUnknown.
func (g *Graph) Post(ctx context.Context, access Access, path string, body, into any) error {
	raw, err := json.Marshal(body)
	if err != nil {
		return &channel.RefusedError{Code: "invalid", Reason: "the message cannot be written as JSON"}
	}
	r, err := g.request(ctx, access, http.MethodPost, path, nil, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	r.GetBody = nil // what is sent is not sent twice
	r.Header.Set("Content-Type", "application/json")
	return g.do(r, access, into)
}

// File is what Upload uploads.
type File struct {
	// Field is the name in the form: "file" for WhatsApp, "filedata" for Messenger.
	Field string
	// Name of the file.
	Name string
	// MediaType of the file.
	MediaType string
	// Size in bytes; 0 where it is not known.
	Size int64
	// Body is read to its end, and not closed.
	Body io.Reader
}

// Upload sends fields and a file as a form (multipart/form-data), and decodes the answer. A file that is uploaded is not yet a message: what
// is not known to have arrived may be uploaded again, so that channel.ErrUnknown does not occur.
func (g *Graph) Upload(ctx context.Context, access Access, path string, fields map[string]string, file File, into any) error {
	var head bytes.Buffer
	form := multipart.NewWriter(&head)
	for _, name := range slices.Sorted(maps.Keys(fields)) {
		if err := form.WriteField(name, fields[name]); err != nil {
			return fmt.Errorf("meta: %w", err)
		}
	}
	part := textproto.MIMEHeader{}
	part.Set("Content-Disposition", multipart.FileContentDisposition(file.Field, file.Name))
	part.Set("Content-Type", file.MediaType)
	if _, err := form.CreatePart(part); err != nil {
		return fmt.Errorf("meta: %w", err)
	}
	tail := "\r\n--" + form.Boundary() + "--\r\n"
	length := int64(head.Len() + len(tail))
	r, err := g.request(ctx, access, http.MethodPost, path, nil, io.MultiReader(&head, file.Body, strings.NewReader(tail)))
	if err != nil {
		return err
	}
	if file.Size > 0 {
		r.ContentLength = length + file.Size
	}
	r.Header.Set("Content-Type", form.FormDataContentType())
	return harmless(g.do(r, access, into))
}

func (g *Graph) request(ctx context.Context, access Access, method, path string, query url.Values, body io.Reader) (*http.Request, error) {
	u := g.base.JoinPath(path)
	query = maps.Clone(query)
	if access.AppSecret != "" {
		if query == nil {
			query = url.Values{}
		}
		query.Set("appsecret_proof", hex.EncodeToString(digest(access.AppSecret, []byte(access.Token))))
	}
	u.RawQuery = query.Encode()
	r, err := http.NewRequestWithContext(ctx, method, u.String(), body)
	if err != nil {
		return nil, errors.New("meta: the path is none")
	}
	r.Header.Set("Authorization", "Bearer "+access.Token)
	return r, nil
}

func (g *Graph) do(r *http.Request, access Access, into any) error {
	ctx, cancel := context.WithTimeout(r.Context(), patience+time.Duration(max(r.ContentLength, 0)>>10)*time.Millisecond*8) // 128 KiB/s
	defer cancel()
	answer, err := httpsend.Do(g.client, r.WithContext(ctx))
	if err != nil {
		return fmt.Errorf("meta: %w", err)
	}
	defer answer.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer))
	if err != nil && answer.StatusCode/100 == 2 {
		return fmt.Errorf("meta: %w: the answer broke off", channel.ErrUnknown)
	}
	if answer.StatusCode/100 != 2 {
		return failure(answer, raw, access)
	}
	if into == nil {
		return nil
	}
	if err := json.Unmarshal(raw, into); err != nil {
		return fmt.Errorf("meta: %w: the API answered %s and something else than was expected", channel.ErrUnknown, answer.Status)
	}
	return nil
}

// harmless tells of a call that can be made again whatever became of it.
func harmless(err error) error {
	if errors.Is(err, channel.ErrUnknown) {
		return &againError{err}
	}
	return err
}

// againError is an error after which to try again although what it wraps says that nothing is known.
type againError struct{ err error }

func (e *againError) Error() string { return e.err.Error() }

// Unwrap gives what was said, without what it was taken for.
func (e *againError) Unwrap() []error {
	if said, ok := errors.AsType[*Error](e.err); ok {
		again := *said
		again.kind = channel.ErrRetry
		return []error{&again}
	}
	return []error{channel.ErrRetry}
}
