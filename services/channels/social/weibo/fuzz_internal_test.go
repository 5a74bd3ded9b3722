package weibo

import (
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func seeds(f *testing.F, file string) []string {
	f.Helper()
	raw, err := os.ReadFile("testdata/" + file)
	if err != nil {
		f.Fatal(err)
	}
	var all []string
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		_, body, _ := strings.Cut(section, "\n")
		all = append(all, strings.TrimSpace(body))
	}
	return all
}

// hosts gives each execution an inbox of its own, so that no two of them meet.
func hosts() func() (*channeltest.Host, *account) {
	host, n := channeltest.NewHost(), 0
	return func() (*channeltest.Host, *account) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		return host, &account{Account: Account{Tenant: "lumen", Inbox: strconv.Itoa(n), UID: "1902538057"}, company: map[string]bool{"1902538057": true}}
	}
}

// same reads twice, and checks that the same events come, and that Skein takes them.
func same(t *testing.T, host *channeltest.Host, read func() ([]*eventv1.Submission, error)) {
	t.Helper()
	first, err := read()
	if err != nil || len(first) == 0 {
		return
	}
	second, _ := read()
	for i, s := range first {
		if !proto.Equal(s, second[i]) {
			t.Fatalf("%v, and then %v", s, second[i])
		}
	}
	if _, err := host.Submit(t.Context(), "lumen", first...); err != nil {
		t.Fatalf("%v: %v", err, first)
	}
	if len(host.Conflicts()) > 0 {
		t.Fatal(host.Conflicts())
	}
}

// Whatever the fans service delivers, it gives an error, or events that Skein takes.
func FuzzMessage(f *testing.F) {
	for _, s := range seeds(f, "synthetic.story") {
		f.Add([]byte(s))
	}
	next := hosts()
	f.Fuzz(func(t *testing.T, body []byte) {
		host, a := next()
		same(t, host, func() ([]*eventv1.Submission, error) { return a.message(body) })
	})
}

// Whatever stands in a list of comments or of posts, likewise.
func FuzzItem(f *testing.F) {
	for _, s := range seeds(f, "synthetic.lists") {
		f.Add([]byte(s))
	}
	next := hosts()
	f.Fuzz(func(t *testing.T, raw []byte) {
		if !json.Valid(raw) { // an item was decoded already
			return
		}
		host, a := next()
		same(t, host, func() ([]*eventv1.Submission, error) { return a.comment(raw) })
		_, b := next()
		same(t, host, func() ([]*eventv1.Submission, error) { return b.status(raw) })
		if at, ok := place(raw); ok {
			if got := parseCursor(at.String()); got != at {
				t.Errorf("%v becomes %v", at, got)
			}
		}
	})
}

// Whatever the API answers, it is a list, or a failure that is of one kind.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"comments":[{"id":1}],"total_number":1}`)
	f.Add(403, `{"error":"User requests out of rate limit!","error_code":10023}`)
	f.Add(200, `[]`)
	f.Add(502, `<html>`)
	f.Fuzz(func(t *testing.T, code int, body string) {
		l := lists()[0]
		if _, err := l.items(code, []byte(body)); err == nil && code != http.StatusOK {
			t.Errorf("%d is taken for a list", code)
		}
		if failed := failureOf(code, []byte(body)); failed != nil {
			if failed.isPassing() && failed.isOpen() {
				t.Errorf("%v: was it done, or not?", failed)
			}
			if failed.verdict(&http.Response{StatusCode: code, Header: http.Header{}}, time.Unix(0, 0)) == nil {
				t.Error("no error")
			}
		}
	})
}

// Whatever a cursor is, it is one, or none.
func FuzzCursor(f *testing.F) {
	for _, s := range []string{"", "1 2", "5140100000000001 1772442000", "x", "1", "99999999999999999999 1", "1 -5", "0 0"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c := parseCursor(s)
		if again := parseCursor(c.String()); again != c {
			t.Errorf("%v becomes %v", c, again)
		}
	})
}

// Whatever a signed time is, it is none or one that can be compared.
func FuzzMoment(f *testing.F) {
	for _, s := range []string{"1397022061823", "1397022061", "0", "-1", "99999999999999999999", "now"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if at, ok := moment(s); ok && (at.Year() < 1970 || at.Year() > 9999) {
			t.Error(at)
		}
	})
}
