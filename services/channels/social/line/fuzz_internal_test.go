package line

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
)

// Whatever is delivered, each event of it is kept, or gives events that differ from one another, all of which Skein takes.
func FuzzDelivery(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "synthetic.story"))
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
		a := &account{Account: Account{Tenant: "lumen", Inbox: strconv.Itoa(n), ChannelID: "1"}} // so that executions never meet
		events, err := a.split(body)
		if err != nil {
			return
		}
		for _, e := range events {
			submissions, err := a.event(e)
			if err != nil {
				continue
			}
			ids := map[string]bool{}
			for _, s := range submissions {
				id := s.GetThread() + "\x00" + s.GetType() + "\x00" + s.GetNativeId() + "\x00" + strconv.Itoa(int(s.GetOrdinal()))
				if ids[id] {
					t.Fatalf("two events are one: %v", submissions)
				}
				ids[id] = true
			}
			if _, err := host.Submit(t.Context(), "lumen", submissions...); err != nil {
				t.Fatal(err)
			}
		}
		conflicts := len(host.Conflicts()) // two events of one delivery may have one id
		if _, err := a.read(t.Context(), host, body); err != nil && !errors.Is(err, channel.ErrRetry) && len(events) > 1 {
			t.Fatal(err)
		}
		if len(host.Conflicts()) > 2*conflicts {
			t.Fatal(host.Conflicts())
		}
	})
}

// Whatever the API answers, a message was taken, was not, or nobody knows.
func FuzzAnswer(f *testing.F) {
	f.Add(200, `{"sentMessages":[{"id":"461230966842064897","quoteToken":"IStG5h1Tz7b..."}]}`, "")
	f.Add(409, `{"message":"The retry key is already accepted","sentMessages":[{"id":"461230966842064897"}]}`, "")
	f.Add(409, `{"message":"The retry key is already accepted"}`, "123e4567")
	f.Add(400, `{"message":"The request body has 1 error(s)","details":[{"message":"May not be empty","property":"messages[0].text"}]}`, "")
	f.Add(429, `{"message":"You have reached your monthly limit."}`, "")
	f.Add(429, `{"message":"The API rate limit has been exceeded. Try again later."}`, "")
	f.Add(500, "", "")
	f.Fuzz(func(t *testing.T, status int, body, accepted string) {
		answer := &http.Response{StatusCode: status, Status: strconv.Itoa(status), Header: http.Header{"X-Line-Accepted-Request-Id": {accepted}}}
		was, err := sent(answer, []byte(body), nil, time.Unix(1772442000, 0))
		_, refused := errors.AsType[*channel.RefusedError](err)
		n := 0
		for _, is := range []bool{was.NativeID != "", errors.Is(err, channel.ErrRetry), errors.Is(err, channel.ErrUnknown), refused} {
			if is {
				n++
			}
		}
		if n != 1 || (was.NativeID == "") == (err == nil) {
			t.Errorf("%d %q: %v, %v", status, body, was, err)
		}
	})
}
