package wechat_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/services/channels/social/wechat"
)

func TestErrorsOfWeComAreASendersErrors(t *testing.T) {
	for code, want := range map[int]string{
		-1: "later", 6000: "later", 45033: "later", 45009: "later", 42001: "later",
		95001: "wait until the customer writes again", 60020: "trusted addresses", 81013: "no such member", 40008: "as WeCom says",
	} {
		err := wechat.CorpSendError(fmt.Errorf("send: %w", &wechat.Error{Code: code, Message: "as WeCom says"}))
		refused, ok := errors.AsType[*channel.RefusedError](err)
		switch {
		case want == "later" && errors.Is(err, channel.ErrRetry):
		case ok && strings.Contains(refused.Reason, want):
		default:
			t.Errorf("%d: %v", code, err)
		}
	}
	if err := wechat.CorpSendError(channel.ErrUnknown); !errors.Is(err, channel.ErrUnknown) || wechat.CorpSendError(nil) != nil {
		t.Error(err)
	}
	var later interface{ RetryAfter() time.Duration }
	if err := wechat.CorpSendError(&wechat.Error{Code: wechat.CodeQuota}); !errors.As(err, &later) || later.RetryAfter() == 0 {
		t.Error(err)
	}
}

// An answer that is larger than what is read is none, and no part of one.
func TestHowLargeAnAnswerMayBe(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "gettoken") {
			_, _ = io.WriteString(w, `{"errcode":0,"access_token":"t","expires_in":7200}`)
			return
		}
		_, _ = io.WriteString(w, `{"errcode":0,"text":"`+strings.Repeat("x", 1<<20)+`"}`)
	}))
	defer server.Close()
	for most, fits := range map[int64]bool{0: false, 2 << 20: true} {
		api, err := wechat.NewAPI(wechat.APIConfig{BaseURL: server.URL, Token: wechat.CorpToken("ww1", "s"), MaxAnswer: most})
		if err != nil {
			t.Fatal(err)
		}
		var answer struct{ Text string }
		err = api.Get(t.Context(), "/cgi-bin/x", nil, &answer)
		if fits != (err == nil && len(answer.Text) == 1<<20) || !fits && !errors.Is(err, channel.ErrUnknown) {
			t.Errorf("%d: %d, %v", most, len(answer.Text), err)
		}
	}
}
