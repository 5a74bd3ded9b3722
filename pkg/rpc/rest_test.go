package rpc_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
)

// maxRequest is the greatest request, in bytes.
const maxRequest = 16 << 20

// post asks for a timeline over REST as a program of this machine does.
func post(handler http.Handler, token string, body io.Reader) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, "http://127.0.0.1:7080/v1/timeline:list", body)
	r.RemoteAddr = "127.0.0.1:40000"
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w
}

// endless is a body without an end that counts what is read of it.
type endless struct{ read int }

func (e *endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = ' '
	}
	e.read += len(p)
	return len(p), nil
}

// refusal checks that an answer is an error in the form of all others.
func refusal(t *testing.T, w *httptest.ResponseRecorder, code int, want codes.Code) (message string) {
	t.Helper()
	var said struct {
		Code    codes.Code
		Message string
	}
	if err := json.Unmarshal(w.Body.Bytes(), &said); err != nil || w.Code != code || said.Code != want || said.Message == "" {
		t.Errorf("%d %s (%v); want %d and %v", w.Code, w.Body, err, code, want)
	}
	return said.Message
}

func TestNothingIsReadOfWhoHasNoToken(t *testing.T) {
	guarded := web(t, secret())
	for _, token := range []string{"", "wrong"} {
		body := &endless{}
		refusal(t, post(guarded, token, io.LimitReader(body, 2*maxRequest)), http.StatusUnauthorized, codes.Unauthenticated)
		if body.read > 0 {
			t.Errorf("token %q: %d bytes of the body were read", token, body.read)
		}
	}
	if w := post(guarded, "secret", strings.NewReader(`{"thread_ids": ["01adc27b-2a23-8c90-8bba-5a675b88a53f"]}`)); w.Code != http.StatusOK {
		t.Errorf("with the token: %d %s", w.Code, w.Body)
	}
}

func TestNoMoreIsReadThanARequestMayHave(t *testing.T) {
	for name, handler := range map[string]http.Handler{"with tokens": web(t, secret()), "without": web(t)} {
		body := &endless{}
		message := refusal(t, post(handler, "secret", io.LimitReader(body, 2*maxRequest)), http.StatusRequestEntityTooLarge, codes.ResourceExhausted)
		if body.read > maxRequest+512 || !strings.Contains(message, "16777216") {
			t.Errorf("%s: %d bytes of the body were read; %q", name, body.read, message)
		}
	}
}

func TestABodyThatBreaksOffIsToldFromAWrongOne(t *testing.T) {
	message := refusal(t, post(web(t), "", io.MultiReader(strings.NewReader(`{"thread_ids"`), broken{})), http.StatusBadRequest, codes.InvalidArgument)
	if !strings.Contains(message, "broke off") {
		t.Errorf("it is said as %q", message)
	}
}

// broken is the end of a body whose connection broke.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// patience is an answer that knows until when the server waits for the request's body.
type patience struct {
	*httptest.ResponseRecorder
	until time.Time
}

func (p *patience) SetReadDeadline(at time.Time) error {
	p.until = at
	return nil
}

// slow is a body that tells of each reading of it.
type slow struct {
	io.Reader
	read func()
}

func (s slow) Read(p []byte) (int, error) {
	s.read()
	return s.Reader.Read(p)
}

func TestABodyIsNotWaitedForAsLongAsAStrangerLikes(t *testing.T) {
	const most = time.Minute
	bounded := func(until time.Time) bool { return !until.IsZero() && time.Until(until) < most }
	guarded := web(t, secret())
	ask := func(token string, body io.Reader) (code int, during, after time.Time) {
		w := &patience{ResponseRecorder: httptest.NewRecorder()}
		r := httptest.NewRequest(http.MethodPost, "/v1/timeline:list", slow{body, func() { during = w.until }})
		r.Header.Set("Authorization", "Bearer "+token)
		guarded.ServeHTTP(w, r)
		return w.Code, during, w.until
	}
	code, during, after := ask("secret", strings.NewReader(`{"thread_ids": ["01adc27b-2a23-8c90-8bba-5a675b88a53f"]}`))
	if code != http.StatusOK || !bounded(during) || !after.IsZero() { // what is answered may last, as a watch does
		t.Errorf("a whole body: %d, waited for until %v, and then %v", code, during, after)
	}
	if code, during, after := ask("secret", broken{}); code != http.StatusBadRequest || !bounded(during) || !bounded(after) {
		t.Errorf("half a body: %d, waited for until %v, and then %v", code, during, after)
	}
	if code, _, after := ask("wrong", broken{}); code != http.StatusUnauthorized || !bounded(after) { // net/http reads the rest before it answers
		t.Errorf("a stranger's body: %d, waited for until %v", code, after)
	}
}
