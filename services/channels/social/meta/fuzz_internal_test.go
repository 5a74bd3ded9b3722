package meta

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/skein-cx/skein/pkg/channel"
)

// FuzzFailure reads whatever the API answers: it is refused for good, for another try, or unknown, and one of these only; what goes into
// an event is short, has a code, and holds no token.
func FuzzFailure(f *testing.F) {
	f.Add(400, `{"error":{"message":"(#131047) Re-engagement message","type":"OAuthException","code":131047,"error_data":{"messaging_product":"whatsapp","details":"24 hours"},"fbtrace_id":"T"}}`, "")
	f.Add(429, `{"error":{"message":"(#80007) limit","code":80007,"error_subcode":2494055}}`, `{"1":[{"estimated_time_to_regain_access":5}]}`)
	f.Add(500, `{"error":{"message":"hiccup","code":-1,"is_transient":true}}`, "")
	f.Add(401, `{"error":{"message":"Malformed access token EAAsecret","code":190}}`, "")
	f.Add(400, `{"error":{"message":"x","code":100,"error_data":"EAAsecret","error_user_msg":"y"}}`, "")
	f.Add(502, `<html>`, "{")
	f.Add(404, ``, `{"1":[{"estimated_time_to_regain_access":-9223372036854775808}]}`)
	f.Fuzz(func(t *testing.T, status int, body, usage string) {
		if status < 300 || status > 599 {
			return
		}
		answer := &http.Response{StatusCode: status, Status: http.StatusText(status), Header: http.Header{"X-Business-Use-Case-Usage": {usage}}}
		err := failure(answer, []byte(body), Access{Token: "EAAsecret", AppSecret: "shh, a secret"})
		kinds := 0
		refused, ok := errors.AsType[*channel.RefusedError](err)
		for _, is := range []bool{ok, errors.Is(err, channel.ErrRetry), errors.Is(err, channel.ErrUnknown)} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("it is of %d kinds: %v", kinds, err)
		}
		if ok && (refused.Code == "" || refused.Reason == "" || len(refused.Reason) > 2*maxReason+2 || !utf8.ValidString(refused.Reason)) {
			t.Errorf("%+v", refused)
		}
		if strings.Contains(err.Error(), "EAAsecret") || strings.Contains(err.Error(), "shh, a secret") {
			t.Errorf("%v tells too much", err)
		}
	})
}
