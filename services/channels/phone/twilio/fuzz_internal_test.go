package twilio

import (
	"context"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// fuzz reads whatever comes as webhooks of one kind: it gives an error, or events that differ from one another, twice the
// same, and each is accepted or refused for good by Skein's own rules.
func fuzz(f *testing.F, kind string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.story"))
	if err != nil || len(files) == 0 {
		f.Fatal(err, "no stories")
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, section := range strings.Split(string(raw), "\n== ")[1:] {
			head, rest, _ := strings.Cut(section, "\n")
			form := url.Values{}
			for line := range strings.Lines(rest) {
				if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
					form.Set(key, strings.TrimSpace(value))
				}
			}
			if strings.HasPrefix(head, kind+":") {
				f.Add(form.Encode(), kind == KindTaskRouter)
			}
		}
	}
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, body string, taskRouter bool) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		inbox := strconv.Itoa(n) // so that webhooks of different executions never meet
		for range 2 {
			submissions, err := fuzzed(t.Context(), host, inbox, kind, body, taskRouter)
			if err != nil {
				continue
			}
			ids := map[string]bool{}
			for _, s := range submissions {
				id := s.GetThread() + "\x00" + s.GetType() + "\x00" + s.GetNativeId()
				if ids[id] {
					t.Fatalf("two events are one: %v", submissions)
				}
				ids[id] = true
			}
			var invalid *event.InvalidError
			if _, err := host.Submit(t.Context(), "lumen", submissions...); err != nil && !errors.As(err, &invalid) {
				t.Fatal(err)
			}
		}
		if len(host.Conflicts()) > 0 {
			t.Fatal(host.Conflicts())
		}
	})
}

func fuzzed(ctx context.Context, host channel.Host, inbox, kind, body string, taskRouter bool) ([]*eventv1.Submission, error) {
	form, err := parse([]byte(body))
	if err != nil {
		return nil, err
	}
	r := &reading{account: &account{
		Account: Account{Tenant: "lumen", Inbox: inbox, TaskRouter: taskRouter, Routable: []string{"Available"}}, own: map[string]bool{"+4930200200": true},
	}, form: form}
	r.fetch = func(ctx context.Context, thread, address string) (*eventv1.Blob, error) {
		info := channel.BlobInfo{Tenant: "lumen", Inbox: inbox, Thread: thread, MediaType: "audio/x-wav"}
		return host.PutBlob(ctx, info, strings.NewReader(address))
	}
	submissions, err := r.of(ctx, kind)
	for _, s := range submissions {
		s.Provider, s.Inbox = Provider, inbox
	}
	return submissions, err
}

func FuzzCall(f *testing.F)          { fuzz(f, KindCall) }
func FuzzQueue(f *testing.F)         { fuzz(f, KindQueue) }
func FuzzConference(f *testing.F)    { fuzz(f, KindConference) }
func FuzzRecording(f *testing.F)     { fuzz(f, KindRecording) }
func FuzzTranscription(f *testing.F) { fuzz(f, KindTranscription) }
func FuzzTaskRouter(f *testing.F)    { fuzz(f, KindTaskRouter) }
func FuzzMessage(f *testing.F)       { fuzz(f, KindMessage) }
func FuzzStatus(f *testing.F)        { fuzz(f, KindStatus) }

// Whatever a time is written like, it is none or one that can be stored.
func FuzzTime(f *testing.F) {
	for _, seed := range []string{
		"", "0", "1772442003", "1772442003100", "99999999999999999999", "-1", "Mon, 02 Mar 2026 09:03:20 +0000", "Thu, 1 Jun 2017 20:48:32 +0000",
		"2026-03-02T09:00:31.500Z", "9999-12-31T23:59:59Z", "Mon, 02 Mar 99999 09:03:20 +0000",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		at := stamp(s)
		if at != nil && !at.IsValid() {
			t.Error(at)
		}
		if !proto.Equal(at, stamp(s)) {
			t.Error("another time")
		}
	})
}

// Whatever Twilio answers, a message was taken, was not, or nobody knows.
func FuzzAnswer(f *testing.F) {
	f.Add(201, `{"sid":"SM00000000000000000000000000000001"}`)
	f.Add(400, `{"code":21211,"message":"no"}`)
	f.Add(500, `{"code":20500}`)
	f.Add(503, "")
	f.Fuzz(func(t *testing.T, status int, body string) {
		sid, err := sent(status, []byte(body), nil)
		var refused *channel.RefusedError
		n := 0
		for _, is := range []bool{sid != "", errors.Is(err, channel.ErrRetry), errors.Is(err, channel.ErrUnknown), errors.As(err, &refused)} {
			if is {
				n++
			}
		}
		if n != 1 || (sid == "") == (err == nil) {
			t.Errorf("%d %q: %q, %v", status, body, sid, err)
		}
	})
}
