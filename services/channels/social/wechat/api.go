package wechat

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/pkg/channel/httpsend"
)

// Codes of the platforms (errcode) that mean the same on all of them
// (https://developers.weixin.qq.com/doc/oplatform/developers/errCode/errCode.html,
// https://developer.work.weixin.qq.com/document/path/90313).
const (
	// CodeBusy asks to come again.
	CodeBusy = -1
	// CodeBadToken, CodeInvalidToken and CodeExpiredToken are answered to a token that is not, or not any more, the account's; the first
	// of them to a wrong secret as well.
	CodeBadToken     = 40001
	CodeInvalidToken = 40014
	CodeExpiredToken = 42001
	// CodeMediaID is answered where a file is gone or never was.
	CodeMediaID = 40007
	// CodeQuota is answered when the day's calls are used up, and CodeRate when there are too many in a minute.
	CodeQuota = 45009
	CodeRate  = 45011
)

const (
	maxAnswer = 1 << 20
	// tokenLife is assumed where a platform does not say how long a token lives.
	tokenLife = 2 * time.Hour
	// tokenMargin is how long before its end a token is renewed: the platforms keep the old one as long when they give a new one.
	tokenMargin = 5 * time.Minute
	// busyAgain is when to come again after too many calls in a minute, and quotaAgain after those of a day.
	busyAgain  = time.Minute
	quotaAgain = time.Hour
)

// Error is an answer whose errcode is not 0: the platform did not do what it was asked for.
type Error struct {
	// Code is the errcode.
	Code int
	// Message is the errmsg, at most 500 bytes of it.
	Message string
	// Token tells that it is the answer to a request for a token, so that nothing else was asked for.
	Token bool
}

// Error is what the platform says, with its code.
func (e *Error) Error() string {
	return fmt.Sprintf("wechat: the API answers %d: %s", e.Code, e.Message)
}

// Temporary tells whether another try may help, for the codes that all platforms share; a refused token is among them, because each further try
// begins with a new one.
func (e *Error) Temporary() bool {
	switch e.Code {
	case CodeBusy, CodeBadToken, CodeInvalidToken, CodeExpiredToken, CodeQuota, CodeRate:
		return true
	}
	return false
}

// Later is the error as one of a channel.Sender or channel.Fetcher: channel.ErrRetry, with the time after which to come again where that is known.
func (e *Error) Later() error {
	err := fmt.Errorf("%w: %w", channel.ErrRetry, e)
	switch e.Code {
	case CodeQuota:
		return &laterError{err, quotaAgain}
	case CodeRate:
		return &laterError{err, busyAgain}
	}
	return err
}

type laterError struct {
	err   error
	after time.Duration
}

func (e *laterError) Error() string { return e.err.Error() }

func (e *laterError) Unwrap() error { return e.err }

// RetryAfter says when to come again.
func (e *laterError) RetryAfter() time.Duration { return e.after }

// TokenRequest makes the request for an access token at a platform's API.
type TokenRequest func(ctx context.Context, baseURL string) (*http.Request, error)

// StableToken asks api.weixin.qq.com for the token of an official account or a mini-program, and never forces a new one: so all who
// ask for the account's token have the same
// (https://developers.weixin.qq.com/doc/service/api/base/api_getstableaccesstoken).
func StableToken(appID, secret string) TokenRequest {
	return func(ctx context.Context, baseURL string) (*http.Request, error) {
		body, err := json.Marshal(map[string]string{"grant_type": "client_credential", "appid": appID, "secret": secret})
		if err != nil {
			return nil, fmt.Errorf("wechat: %w", err)
		}
		r, err := http.NewRequestWithContext(ctx, http.MethodPost, baseURL+"/cgi-bin/stable_token", bytes.NewReader(body))
		if err != nil {
			return nil, errors.New("wechat: the API's URL is none")
		}
		r.Header.Set("Content-Type", "application/json")
		return r, nil
	}
}

// CorpToken asks qyapi.weixin.qq.com for the token of one of a company's applications
// (https://developer.work.weixin.qq.com/document/path/91039).
func CorpToken(corpID, secret string) TokenRequest {
	return func(ctx context.Context, baseURL string) (*http.Request, error) {
		q := url.Values{"corpid": {corpID}, "corpsecret": {secret}}
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, baseURL+"/cgi-bin/gettoken?"+q.Encode(), http.NoBody)
		if err != nil {
			return nil, errors.New("wechat: the API's URL is none")
		}
		return r, nil
	}
}

// APIConfig says where an API is, and who asks.
type APIConfig struct {
	// BaseURL of the API: scheme and host, without a slash behind them.
	BaseURL string
	// Token asks for the token.
	Token TokenRequest
	// Client makes the calls; one that follows no redirects unless set. Its requests last as long as their contexts.
	Client *http.Client
	// Files fetches what the API says lies elsewhere; one that reaches public addresses only unless set.
	Files *http.Client
	// MaxAnswer is how many bytes of an answer are read; 1 MiB unless set.
	MaxAnswer int64
	// Now is the clock; time.Now unless set.
	Now func() time.Time
}

// API calls one of Tencent's APIs for one account. It keeps the account's token in memory, renews it before its end, one renewal at a
// time, and once more when a call is answered that the token is not valid. It is safe for concurrent use.
//
// Errors of a call: an *Error where the platform refuses; channel.ErrRetry where the call certainly did not arrive (no connection, no token);
// channel.ErrUnknown where it may have. They hold no token and no secret.
type API struct {
	cfg APIConfig
	// renewing holds one element while a token is being asked for.
	renewing chan struct{}

	mu    sync.Mutex
	token string
	until time.Time // when to renew it
}

// NewAPI checks the configuration.
func NewAPI(cfg APIConfig) (*API, error) {
	u, err := url.Parse(cfg.BaseURL)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" || u.Scheme != "https" && u.Scheme != "http" {
		return nil, errors.New("wechat: the API's URL is http or https and a host")
	}
	cfg.BaseURL = strings.TrimSuffix(cfg.BaseURL, "/")
	if cfg.Token == nil {
		return nil, errors.New("wechat: the API needs a token")
	}
	if cfg.Client == nil {
		cfg.Client = httpsend.Client(nil)
	}
	if cfg.Files == nil {
		cfg.Files = httpfetch.Client(false)
	}
	if cfg.MaxAnswer == 0 {
		cfg.MaxAnswer = maxAnswer
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &API{cfg: cfg, renewing: make(chan struct{}, 1)}, nil
}

// Post calls the API with a JSON object and reads the JSON object that it answers; answer may be nil. No character stands as \uXXXX in the call where
// JSON does not demand it: the platforms refuse those.
func (a *API) Post(ctx context.Context, path string, query url.Values, body, answer any) error {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(body); err != nil {
		return fmt.Errorf("wechat: write a call: %w", err)
	}
	return a.call(ctx, http.MethodPost, path, query, "application/json", b.Bytes(), answer)
}

// Get calls the API and reads the JSON object that it answers.
func (a *API) Get(ctx context.Context, path string, query url.Values, answer any) error {
	return a.call(ctx, http.MethodGet, path, query, "", nil, answer)
}

// Upload hands a file to the API, as the field media of a form, and reads the JSON object that it answers.
func (a *API) Upload(ctx context.Context, path string, query url.Values, name, mediaType string, data []byte, answer any) error {
	var b bytes.Buffer
	form := multipart.NewWriter(&b)
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '_'
		}
		return r
	}, name)
	part, err := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {fmt.Sprintf(`form-data; name="media"; filename=%q; filelength=%d`, name, len(data))}, "Content-Type": {mediaType},
	})
	if err == nil {
		_, err = part.Write(data)
	}
	if err == nil {
		err = form.Close()
	}
	if err != nil {
		return fmt.Errorf("wechat: write a form: %w", err)
	}
	return a.call(ctx, http.MethodPost, path, query, form.FormDataContentType(), b.Bytes(), answer)
}

// call makes a call, and once more with a new token where the first one's is refused: then nothing was done.
func (a *API) call(ctx context.Context, method, path string, query url.Values, contentType string, body []byte, answer any) error {
	return a.withToken(ctx, func(token string) error {
		r, err := a.request(ctx, method, path, query, token, body)
		if err != nil {
			return err
		}
		if contentType != "" {
			r.Header.Set("Content-Type", contentType)
		}
		raw, err := a.do(r)
		if err != nil {
			return err
		}
		return decode(raw, answer)
	})
}

func (a *API) request(ctx context.Context, method, path string, query url.Values, token string, body []byte) (*http.Request, error) {
	q := url.Values{"access_token": {token}}
	maps.Copy(q, query)
	var reader io.Reader = http.NoBody
	if body != nil {
		reader = bytes.NewReader(body)
	}
	r, err := http.NewRequestWithContext(ctx, method, a.cfg.BaseURL+path+"?"+q.Encode(), reader)
	if err != nil {
		return nil, errors.New("wechat: the call has no valid URL")
	}
	r.GetBody = nil // nothing is sent twice
	return r, nil
}

// do makes a request once and gives the body of the answer.
func (a *API) do(r *http.Request) ([]byte, error) {
	resp, err := httpsend.Do(a.cfg.Client, r)
	if err != nil {
		return nil, fmt.Errorf("wechat: call the API: %w", err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode == http.StatusServiceUnavailable:
		return nil, fmt.Errorf("wechat: call the API: %w", httpsend.Later(resp, a.cfg.Now()))
	case resp.StatusCode != http.StatusOK:
		return nil, fmt.Errorf("wechat: the API answers %s: %w", resp.Status, channel.ErrUnknown)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, a.cfg.MaxAnswer))
	if err != nil {
		return nil, fmt.Errorf("wechat: the API's answer broke off: %w", channel.ErrUnknown)
	}
	return raw, nil
}

// decode reads an answer: an *Error, or what the caller wants of it.
func decode(raw []byte, answer any) error {
	var said struct {
		Code    int    `json:"errcode"`
		Message string `json:"errmsg"`
	}
	if err := json.Unmarshal(raw, &said); err != nil {
		return fmt.Errorf("wechat: the API's answer is no JSON: %w", channel.ErrUnknown)
	}
	if said.Code != 0 {
		return &Error{Code: said.Code, Message: strings.ToValidUTF8(said.Message[:min(len(said.Message), 500)], "")}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(raw, answer); err != nil {
		return fmt.Errorf("wechat: the API's answer is not what was expected: %w: %w", channel.ErrUnknown, err)
	}
	return nil
}

// withToken makes a call with the token, and once more with a new one where the token is refused.
func (a *API) withToken(ctx context.Context, call func(token string) error) error {
	token, err := a.current(ctx, "")
	if err != nil {
		return err
	}
	err = call(token)
	if refused, ok := errors.AsType[*Error](err); !ok || refused.Code != CodeBadToken && refused.Code != CodeInvalidToken && refused.Code != CodeExpiredToken {
		return err
	}
	if token, err = a.current(ctx, token); err != nil {
		return err
	}
	return call(token)
}

// current gives a token that is valid as far as it is known, and another one than the one that was refused.
func (a *API) current(ctx context.Context, refused string) (string, error) {
	if token, ok := a.known(refused); ok {
		return token, nil
	}
	select {
	case a.renewing <- struct{}{}:
		defer func() { <-a.renewing }()
	case <-ctx.Done():
		return "", fmt.Errorf("wechat: wait for a token: %w: %w", channel.ErrRetry, ctx.Err())
	}
	if token, ok := a.known(refused); ok { // somebody else was faster
		return token, nil
	}
	r, err := a.cfg.Token(ctx, a.cfg.BaseURL)
	if err != nil {
		return "", err
	}
	var answer struct {
		Token   string `json:"access_token"`
		Expires int64  `json:"expires_in"`
	}
	asked := a.cfg.Now()
	raw, err := a.do(r)
	if err == nil {
		err = decode(raw, &answer)
	}
	if refusal, ok := errors.AsType[*Error](err); ok {
		refusal.Token = true
		return "", refusal
	}
	if err == nil && answer.Token == "" {
		err = errors.New("there is none in the answer")
	}
	if err != nil { // whatever became of it, nothing but a token was asked for
		return "", retryable("get a token", err)
	}
	life := tokenLife
	if answer.Expires > 0 && answer.Expires < int64(tokenLife/time.Second) {
		life = time.Duration(answer.Expires) * time.Second
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.token, a.until = answer.Token, asked.Add(life-min(tokenMargin, life/10))
	return a.token, nil
}

// retryable makes an error one after which nothing was done. Whatever it wraps is told in words only, but for when to come again.
func retryable(what string, err error) error {
	retry := fmt.Errorf("wechat: %s: %w: %s", what, channel.ErrRetry, strings.TrimPrefix(err.Error(), "wechat: "))
	var later interface{ RetryAfter() time.Duration }
	if errors.As(err, &later) {
		return &laterError{retry, later.RetryAfter()}
	}
	return retry
}

func (a *API) known(refused string) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.token, a.token != "" && a.token != refused && a.cfg.Now().Before(a.until)
}

// Harmless makes the error of a call that changes nothing, such as an upload, one of a call that was certainly not made: channel.ErrRetry in
// the place of channel.ErrUnknown. An *Error stays.
func Harmless(err error) error {
	if err == nil {
		return nil
	}
	if refused, ok := errors.AsType[*Error](err); ok {
		return refused
	}
	return retryable("call the API", err)
}

// Media fetches a file that the platform keeps, by the GET of a path such as /cgi-bin/media/get, with media_id in the query. The
// platform answers an error as JSON with status 200, and a video of some accounts as JSON with the address that it lies at, video_url
// (https://developers.weixin.qq.com/doc/service/api/material/temporary/api_getmedia,
// https://developer.work.weixin.qq.com/document/path/90254). The errors are those of channel.Fetcher, and *Error.
func (a *API) Media(ctx context.Context, path string, query url.Values, maxBytes int64) (*channel.FetchedFile, error) {
	var file *channel.FetchedFile
	err := a.withToken(ctx, func(token string) error {
		r, err := a.request(ctx, http.MethodGet, path, query, token, nil)
		if err != nil {
			return err
		}
		file, err = httpfetch.Do(a.cfg.Client, r, maxBytes)
		if err != nil {
			return err
		}
		if !maybeJSON(file) {
			return nil
		}
		// An answer in words: short, if it is one.
		head := bufio.NewReaderSize(file.Body, 64<<10)
		start, _ := head.Peek(64 << 10) // an error comes again when the body is read
		video, ok := inWords(start)
		if !ok {
			file.Body = rest{head, file.Body} // a file after all
			return nil
		}
		_ = file.Body.Close() // all of it was read
		if err := decode(start, nil); err != nil {
			return err
		}
		if video == "" {
			return fmt.Errorf("wechat: fetch: %w: the API answers without a file", channel.ErrRetry)
		}
		r, err = http.NewRequestWithContext(ctx, http.MethodGet, video, http.NoBody)
		if err != nil || r.URL.Scheme != "http" && r.URL.Scheme != "https" {
			return &channel.RefusedError{Code: "no_address", Reason: "the API says that the file lies at what is no web address"}
		}
		file, err = httpfetch.Do(a.cfg.Files, r, maxBytes)
		return err
	})
	if err != nil {
		return nil, err
	}
	return file, nil
}

// maybeJSON tells whether an answer may be one in words. Files come with a name, and hardly ever as text.
func maybeJSON(f *channel.FetchedFile) bool {
	if f.Name != "" {
		return false
	}
	return f.MediaType == "" || f.MediaType == "application/json" || f.MediaType == "text/plain" || f.MediaType == "text/json"
}

// inWords tells whether the API answers with an error, or with the address of a video.
func inWords(body []byte) (video string, ok bool) {
	var said struct {
		Code  *int   `json:"errcode"`
		Video string `json:"video_url"`
	}
	if err := json.Unmarshal(body, &said); err != nil {
		return "", false
	}
	return said.Video, said.Code != nil || said.Video != ""
}

// rest reads on where a head was looked at.
type rest struct {
	io.Reader
	io.Closer
}
