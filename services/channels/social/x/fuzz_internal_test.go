package x

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
)

// Whatever X tells, it gives an error, or events that Skein takes, each once, and each time the same.
func FuzzDelivery(f *testing.F) {
	raw, err := os.ReadFile("testdata/synthetic.story")
	if err != nil {
		f.Fatal(err)
	}
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		_, body, _ := strings.Cut(section, "\n")
		f.Add([]byte(strings.TrimSpace(body)))
	}
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, body []byte) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		a := &account{Account: Account{Tenant: "lumen", Inbox: strconv.Itoa(n), UserID: "1000000001", AppID: "13090192"}, company: map[string]bool{"1000000001": true}}
		d, err := parse(body)
		if err != nil {
			return
		}
		submissions, misfits := a.events(d)
		again, _ := a.events(d)
		for i, s := range submissions {
			if !proto.Equal(s, again[i]) {
				t.Fatalf("%v, and then %v", s, again[i])
			}
		}
		for _, m := range misfits { // each is a body by itself, and no better
			alone, err := parse(m.raw)
			if err != nil {
				t.Fatalf("%q: %v", m.raw, err)
			}
			if got, still := a.events(alone); len(got) > 0 || len(still) != 1 {
				t.Fatalf("%q gives %v", m.raw, got)
			}
		}
		if len(submissions) == 0 {
			return
		}
		if _, err := host.Submit(t.Context(), "lumen", submissions...); err != nil {
			t.Fatalf("%v: %v", err, submissions)
		}
	})
}

// Whatever a text is like, it shows without its signs, and no more than was said.
func FuzzShown(f *testing.F) {
	f.Add("@a see https://t.co/abc &amp; &lt;", 3, 24, "https://t.co/abc", "https://lumen.example")
	f.Add("灯", 0, 1, "", "")
	f.Fuzz(func(t *testing.T, raw string, from, to int, link, by string) {
		var e entities
		e.URLs = append(e.URLs, struct {
			URL         text `json:"url"`
			ExpandedURL text `json:"expanded_url"`
		}{text(link), text(by)})
		got := shown(raw, []int{from, to}, e)
		if len(got) > 3*len(raw)+len(by) { // what is no UTF-8 grows
			t.Errorf("%q", got)
		}
	})
}

// Whatever the API answers, a message was taken, was not, or nobody knows.
func FuzzVerdict(f *testing.F) {
	f.Add(403, "", `{"detail":"You do not have permission to DM one or more participants.","type":"about:blank"}`)
	f.Add(429, "1772443860", `{"errors":[{"code":88,"message":"Rate limit exceeded"}]}`)
	f.Add(500, "x", "<html>")
	f.Fuzz(func(t *testing.T, status int, reset, body string) {
		answer := &http.Response{StatusCode: status, Header: http.Header{"X-Rate-Limit-Reset": {reset}}}
		err := verdict(answer, []byte(body), time.Unix(1772443800, 0))
		if err == nil {
			t.Error("no error")
		}
	})
}

// Whatever the token of a challenge, nothing that could be a delivery is signed.
func FuzzChallenge(f *testing.F) {
	f.Add("crc_token=ZGQ3YWY2")
	f.Add("crc_token=%7B%22for_user_id%22:%221%22%7D")
	a := &account{Account: Account{ConsumerSecret: "s"}}
	f.Fuzz(func(t *testing.T, query string) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/", http.NoBody)
		r.URL.RawQuery = query
		a.challenge(w, r)
		if token := r.URL.Query().Get("crc_token"); w.Code == http.StatusOK {
			if _, err := parse([]byte(token)); err == nil {
				t.Errorf("%q is signed", token)
			}
		}
	})
}
