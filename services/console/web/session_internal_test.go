package web

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"
)

func TestASessionEndsWithTheWorkingDayWhateverTheBrowserKeeps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newSessions(bytes.Repeat([]byte("k"), 64))
		w := httptest.NewRecorder()
		if err := s.begin(w, httptest.NewRequest(http.MethodPost, "/", http.NoBody), "secret"); err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.AddCookie(w.Result().Cookies()[0])
		others := newSessions(nil)
		if s.token(r) != "secret" || newSessions(bytes.Repeat([]byte("k"), 64)).token(r) != "secret" || others.token(r) != "" {
			t.Errorf("the session is of %q; of another process %q", s.token(r), others.token(r))
		}
		time.Sleep(sessionAge) //nolint:forbidigo // the clock of synctest
		if s.token(r) != "secret" {
			t.Error("it ends too early")
		}
		time.Sleep(2 * time.Second) //nolint:forbidigo // the clock of synctest
		if s.token(r) != "" {
			t.Error("it does not end")
		}
	})
}
