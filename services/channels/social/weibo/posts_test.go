package weibo_test

import (
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/services/channels/social/weibo"
)

func TestCommentsAndMentionsGiveTheEventsBesideThem(t *testing.T) {
	server := newAPI(t)
	for _, s := range sections(t, "synthetic.lists") {
		list, _, _ := strings.Cut(s.name, ":")
		server.add(list, s.text)
	}
	host := channeltest.NewHost()
	stop := run(t, made(t, posts(server.URL, &channeltest.Cursors{})), host)
	events := await(t, host, 10)
	until(t, "a second reading", func() bool { return len(server.calls()) > 12 })
	stop()
	if got := len(host.Events()); got != 10 || len(host.Rejections()) > 0 {
		t.Errorf("%d events, %v", got, host.Rejections())
	}
	channeltest.Fingerprint(t, host) // no conflicts
	channeltest.Golden(t, filepath.Join("testdata", "synthetic.lists.events"), channeltest.Transcript(events))
}

// source is a list of comments, for the kit.
type source struct {
	server *api
	cfg    weibo.Config
	tb     testing.TB
}

func (s *source) Channel() channel.Channel {
	s.cfg.Mux = http.NewServeMux()
	return made(s.tb, s.cfg)
}

func (s *source) Tell(t *testing.T, i int) {
	t.Helper()
	if i%3 == 2 {
		s.server.add("statuses/mentions", strings.Replace(comment(i+1), `"status"`, `"was"`, 1))
		return
	}
	s.server.add("comments/timeline", comment(i+1))
}

func (s *source) Cut(t *testing.T) {
	t.Helper()
	s.server.CloseClientConnections()
}

func TestTheKitForPosts(t *testing.T) {
	channeltest.TestSource(t, channeltest.Source{
		Story: 6, Events: 6, Repeats: true,
		New: func(t *testing.T, _ channel.Host, cursors channel.Cursors) channeltest.SourceUnderTest {
			t.Helper()
			server := newAPI(t)
			return &source{server, posts(server.URL, cursors), t}
		},
	})
}

// A burst between two readings is complete, in its order, and nothing is told again.
func TestABurstIsReadToItsEnd(t *testing.T) {
	server, host, cursors := newAPI(t), channeltest.NewHost(), &channeltest.Cursors{}
	server.add("comments/timeline", comment(1))
	run(t, made(t, posts(server.URL, cursors)), host)
	await(t, host, 1)
	for i := 2; i <= 1501; i++ {
		server.add("comments/timeline", comment(i))
	}
	events := await(t, host, 1501)
	for i, e := range events {
		if e.Submission.GetNativeId() != fmt.Sprint(i+1) {
			t.Fatalf("%d: %s", i, e.Submission.GetNativeId())
		}
		if len(e.Submission.GetParties()) != 2 || e.Submission.GetParties()[1].GetAddress().GetValue() != uid {
			t.Fatalf("a comment names others than its author: %v", e.Submission.GetParties())
		}
	}
	until(t, "the cursor", func() bool {
		at, err := cursors.Cursor(t.Context(), "social.weibo/lumen/lamps/"+uid+"/comments/timeline")
		return err == nil && strings.HasPrefix(at, "1501 ")
	})
	asked := len(server.calls())
	until(t, "another reading", func() bool { return len(server.calls()) > asked+3 })
	if n := len(host.Events()); n != 1501 {
		t.Errorf("%d events", n)
	}
}

// Where the API ends before what was read, it is told that something may be missing, and between when.
func TestAGapIsTold(t *testing.T) {
	gap := func(t *testing.T, change func(*api, *weibo.Channel)) *channeltest.Event {
		t.Helper()
		server, host := newAPI(t), channeltest.NewHost()
		server.add("comments/timeline", comment(1))
		c := made(t, posts(server.URL, &channeltest.Cursors{}))
		weibo.Depth(c, 250)
		run(t, c, host)
		await(t, host, 1)
		change(server, c)
		events := await(t, host, 200)
		for _, e := range events {
			if e.Event.GetType() == event.TypeSourceGapDetected {
				return &e
			}
		}
		return nil
	}
	burst := func(server *api, depth, n int) {
		unlock := server.lock()
		server.depth = depth
		unlock()
		defer server.lock()() // all at once
		for i := range n {
			server.put("comments/timeline", comment(i+2))
		}
	}
	e := gap(t, func(a *api, _ *weibo.Channel) { burst(a, 300, 400) })
	if e == nil {
		t.Fatal("no gap is told")
	}
	g := e.Content.GetSourceGapDetected()
	if g.GetSource() != "comments/timeline" || g.GetFrom().AsTime().Second() != 1 || g.GetUntil().AsTime() != time.Date(2026, 3, 1, 0, 0, 102, 0, time.UTC) || e.Submission.GetNativeId() != "1/102" {
		t.Error(e.Submission)
	}
	if e := gap(t, func(a *api, _ *weibo.Channel) { burst(a, 0, 400) }); e != nil {
		t.Error("a gap although nothing is missing", e.Submission)
	}
	// The comment that was the last one was deleted: that alone is no gap.
	if e := gap(t, func(a *api, _ *weibo.Channel) { burst(a, 210, 210) }); e != nil {
		t.Error("a gap although all was there", e.Submission)
	}
	// An API that does not go back by max_id gives the latest only.
	if e := gap(t, func(a *api, _ *weibo.Channel) {
		unlock := a.lock()
		a.deafness = true
		unlock()
		burst(a, 0, 400)
	}); e == nil {
		t.Error("no gap is told although the API gives the latest only")
	}
}

// An error holds the cursor where it is, and shows; after it, nothing is missing.
func TestErrorsPass(t *testing.T) {
	for name, wrong := range map[string]func(http.ResponseWriter){
		"too many calls of the user": answer(http.StatusForbidden, `{"error":"User requests out of rate limit!","error_code":10023,"request":"/2/comments/timeline.json"}`),
		"too many calls, as a text":  answer(http.StatusForbidden, `{"request":"/2/x","error_code":"10024","error":"User requests for (comments/timeline) out of rate limit!"}`),
		"a token that has ended":     answer(http.StatusForbidden, `{"error":"expired_token","error_code":21327,"request":"/2/x"}`),
		"a failure with status 200":  answer(http.StatusOK, `{"error":"system error!","error_code":10001,"request":"/2/x"}`),
		"a proxy's page":             answer(http.StatusBadGateway, `<html>`),
		"gibberish":                  answer(http.StatusOK, `{"comments":`),
		"another list":               answer(http.StatusOK, `{"users":[]}`),
		"no list":                    answer(http.StatusOK, `{"comments":7}`),
		"a broken connection": func(w http.ResponseWriter) {
			if c, _, err := http.NewResponseController(w).Hijack(); err == nil {
				_ = c.Close()
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			server, host := newAPI(t), channeltest.NewHost()
			server.add("comments/timeline", comment(1))
			server.next(wrong)
			server.next(wrong)
			c := made(t, posts(server.URL, &channeltest.Cursors{}))
			before := c.Statuses()
			run(t, c, host)
			if len(before) != 3 || before[0].Err == nil || !strings.Contains(before[0].Source, "comments/timeline") {
				t.Error(before)
			}
			if got := await(t, host, 1)[0].Submission.GetNativeId(); got != "1" {
				t.Error(got)
			}
			until(t, "everything to work", func() bool {
				return !slices.ContainsFunc(c.Statuses(), func(s channel.Status) bool { return s.Err != nil })
			})
			if len(host.Rejections()) > 0 {
				t.Error(host.Rejections())
			}
		})
	}
}

func TestAStatusSaysWhatIsWrongAndNothingSecret(t *testing.T) {
	server := newAPI(t)
	cfg := posts(server.URL, &channeltest.Cursors{})
	cfg.Accounts[0].AccessToken = "revoked-t0ken"
	cfg.PollInterval = time.Hour
	c := made(t, cfg)
	run(t, c, channeltest.NewHost())
	until(t, "the error", func() bool { s := c.Statuses()[2]; return s.Err != nil && strings.Contains(s.Err.Error(), "21332") })
	for _, s := range c.Statuses() {
		if s.Tenant != "lumen" || s.Inbox != "lamps" || s.Since.IsZero() || strings.Contains(s.Source+s.Err.Error(), "t0ken") {
			t.Error(s)
		}
	}
	if s := made(t, weibo.Config{Mux: http.NewServeMux(), Accounts: []weibo.Account{messages()}}).Statuses(); len(s) > 0 {
		t.Error("nothing is read, and it has a status", s)
	}
}

// Who asks too often is left alone for a while, by all lists.
func TestALimitStopsTheOtherListsAsWell(t *testing.T) {
	server := newAPI(t)
	server.next(answer(http.StatusForbidden, `{"error":"IP requests out of rate limit!","error_code":10022,"request":"/2/x"}`))
	cfg := posts(server.URL, &channeltest.Cursors{})
	cfg.PollInterval = time.Hour
	c := made(t, cfg)
	stop := run(t, c, channeltest.NewHost())
	until(t, "the limit", func() bool { s := c.Statuses()[0]; return s.Err != nil && strings.Contains(s.Err.Error(), "10022") })
	stop()
	if n := len(server.calls()); n != 1 {
		t.Errorf("asked %d times", n)
	}
}

// An item that is not understood is kept by itself, once, and costs none of the others; then it can be taken in again.
func TestAnItemThatIsNotUnderstoodIsKept(t *testing.T) {
	server, host := newAPI(t), channeltest.NewHost()
	server.add("comments/timeline", comment(1))
	server.add("comments/timeline", `{"id":2,"text":"of nobody"}`)
	server.add("comments/timeline", comment(3))
	server.add("statuses/mentions", `{"id":9,"created_at":"yesterday","user":{"id":5}}`)
	c := made(t, posts(server.URL, &channeltest.Cursors{}))
	stop := run(t, c, host)
	await(t, host, 2)
	until(t, "some readings", func() bool { return len(server.calls()) > 12 && len(host.Rejections()) >= 2 })
	stop()
	kept := host.Rejections()
	if len(kept) != 2 || string(kept[0].Raw) != `{"comments":[{"id":2,"text":"of nobody"}]}` || kept[0].Inbox != "lamps" || !strings.Contains(kept[0].Reason, "comments/timeline") {
		t.Fatal(kept)
	}
	if err := c.Redrive(t.Context(), host, kept[0]); err != nil || len(host.Rejections()) != 3 {
		t.Error(err, host.Rejections())
	}
	mended := kept[1]
	mended.Raw = []byte(strings.Replace(string(mended.Raw), "yesterday", "Mon Mar 02 18:20:00 +0800 2026", 1))
	if err := c.Redrive(t.Context(), host, mended); err != nil || len(host.Events()) != 3 {
		t.Error(err, host.Events())
	}
	message := channel.Rejection{Tenant: "lumen", Inbox: "lamps", Raw: []byte(story(t)[4].Body)}
	if err := c.Redrive(t.Context(), host, message); err != nil || len(host.Events()) != 4 {
		t.Error(err, host.Events())
	}
	host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	if err := c.Redrive(t.Context(), host, message); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	if err := c.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "gone"}); err == nil {
		t.Error("redriven into an inbox that is gone")
	}
}

// An item without an id comes with each reading, and is kept once.
func TestAnItemWithoutAnIdIsKeptOnce(t *testing.T) {
	server, host := newAPI(t), channeltest.NewHost()
	for range 20 {
		server.next(answer(http.StatusOK, `{"comments":[{"text":"?"}],"statuses":[]}`))
	}
	run(t, made(t, posts(server.URL, &channeltest.Cursors{})), host)
	until(t, "some readings", func() bool { return len(server.calls()) > 24 })
	if n := len(host.Rejections()); n != 2 { // by each of the two lists of comments
		t.Errorf("kept %d times", n)
	}
}

func TestWhatIsOlderIsLeftAlone(t *testing.T) {
	server, host := newAPI(t), channeltest.NewHost()
	for i := range 1000 {
		server.add("comments/timeline", comment(i+1))
	}
	cfg := posts(server.URL, &channeltest.Cursors{})
	cfg.Accounts[0].Since = time.Date(2026, 3, 1, 0, 0, 990, 0, time.UTC)
	stop := run(t, made(t, cfg), host)
	await(t, host, 11)
	until(t, "the next list", func() bool { return len(server.calls()) > 3 })
	stop()
	if e := host.Events(); len(e) != 11 || e[0].Submission.GetNativeId() != "990" {
		t.Error(len(e))
	}
	first := slices.IndexFunc(server.calls(), func(s string) bool { return strings.HasPrefix(s, "comments/mentions") })
	if first != 2 {
		t.Errorf("asked %d times for what is older", first)
	}
}

// Another process that reads the same lists harms nothing.
func TestTwoReadersTellEachThingOnce(t *testing.T) {
	server, host, cursors := newAPI(t), channeltest.NewHost(), &channeltest.Cursors{}
	for range 2 {
		run(t, made(t, posts(server.URL, cursors)), host)
	}
	for i := range 300 {
		server.add("comments/timeline", comment(i+1))
	}
	await(t, host, 300)
	channeltest.Fingerprint(t, host)
}

// Each is a comment and what it gives: type, thread and parties.
func TestThePayloadDecidesTheThreadOfAComment(t *testing.T) {
	const ours, theirs = `"status":{"id":7,"user":{"id":1902538057}}`, `"status":{"id":8,"user":{"id":99}}`
	for name, c := range map[string]struct {
		comment string
		want    []string
	}{
		"on the company's post":                   {`"id":1,"user":{"id":5},` + ours, []string{"message.received post/7/1 customer:5 company:" + uid}},
		"a reply":                                 {`"id":2,"user":{"id":5},"reply_comment":{"id":1},` + ours, []string{"message.received post/7/1 customer:5 company:" + uid, "thread.joined post/7/2"}},
		"a reply that names the beginning":        {`"id":3,"user":{"id":5},"rootidstr":"1","reply_comment":{"id":2},` + ours, []string{"message.received post/7/1 customer:5 company:" + uid}},
		"a root of 0 is none":                     {`"id":1,"rootid":0,"user":{"id":5},` + ours, []string{"message.received post/7/1 customer:5 company:" + uid}},
		"on a stranger's post":                    {`"id":1,"user":{"id":5},` + theirs, []string{"message.received post/8/1 customer:5 company:" + uid}},
		"the company answers a customer":          {`"id":4,"rootid":1,"user":{"id":1902538057},"reply_comment":{"id":1,"user":{"id":5}},` + ours, []string{"message.sent post/7/1 company:" + uid + " customer:5"}},
		"the company answers, whom is not told":   {`"id":4,"rootid":1,"user":{"id":1902538057},"reply_comment":{"id":1},` + ours, []string{"message.sent post/7/1 company:" + uid}},
		"the company comments on its own post":    {`"id":4,"user":{"id":1902538057},` + ours, []string{"message.sent post/7/4 company:" + uid}},
		"the company comments on a stranger's":    {`"id":4,"user":{"id":1902538057},` + theirs, []string{"message.sent post/8/4 company:" + uid + " customer:99", "thread.joined post/8/4"}},
		"the company answers itself":              {`"id":4,"rootid":3,"user":{"id":1902538057},"reply_comment":{"id":3,"user":{"id":1902538057}},` + ours, []string{"message.sent post/7/3 company:" + uid}},
		"another account of the company comments": {`"id":4,"user":{"id":1902538058},` + ours, []string{"message.sent post/7/4 company:1902538058"}},
	} {
		t.Run(name, func(t *testing.T) {
			host := channeltest.NewHost()
			cfg := posts("", &channeltest.Cursors{})
			second := cfg.Accounts[0]
			second.Inbox, second.UID = "shop", "1902538058"
			cfg.Accounts = append(cfg.Accounts, second)
			raw := `{"comments":[{"created_at":"Mon Mar 02 18:20:00 +0800 2026",` + c.comment + `}]}`
			if err := made(t, cfg).Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "lamps", Raw: []byte(raw)}); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, e := range host.Events() {
				line := e.Submission.GetType() + " " + e.Submission.GetThread()
				for _, p := range e.Submission.GetParties() {
					line += " " + strings.ToLower(strings.TrimPrefix(p.GetSide().String(), "SIDE_")) + ":" + p.GetAddress().GetValue()
				}
				got = append(got, line)
			}
			if !slices.Equal(got, c.want) || len(host.Rejections()) > 0 {
				t.Errorf("got\n  %s\nwant\n  %s\n%v", strings.Join(got, "\n  "), strings.Join(c.want, "\n  "), host.Rejections())
			}
		})
	}
}
