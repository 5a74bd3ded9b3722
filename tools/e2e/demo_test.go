package e2e_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/services/demo"
)

// demo starts a server that plays the story, and waits until it has.
func (s *site) demo(extra ...string) *server {
	s.t.Helper()
	srv := s.start(append(s.args("up", "--demo"), extra...)...)
	srv.waitFor("done with its story", func() bool { return strings.Contains(srv.out.String(), "Ctrl-C stops;") })
	return srv
}

// quit stops a server, which must end well.
func (s *site) quit(srv *server) {
	s.t.Helper()
	if err := srv.stop(); err != nil {
		s.t.Errorf("%v\n%s", err, srv.out)
	}
}

// story is what the timeline holds of the story, by native id.
func (s *site) story() (ids []string) {
	s.t.Helper()
	for line := range strings.Lines(s.run(append([]string{"timeline", "--json", "--server", s.grpc}, demo.Addresses()...)...)) {
		var e struct{ Content struct{ NativeID string } }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("%v in %s", err, line)
		}
		ids = append(ids, e.Content.NativeID)
	}
	return ids
}

// records are the event ids in the log, each as often as it stands there.
func (s *site) records() (ids []string) {
	s.t.Helper()
	for line := range strings.Lines(s.run("tail", "--from-beginning", "--end", "--json", "--kafka", s.kafka)) {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.t.Fatalf("%v in %s", err, line)
		}
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	return ids
}

// scenes are the native ids of the story, in its order.
func scenes(which func(demo.Scene) bool) (ids []string) {
	for _, s := range demo.Story() {
		if which(s) {
			ids = append(ids, s.ID)
		}
	}
	return ids
}

func everyScene(demo.Scene) bool { return true }

func TestTheDemoTellsOfBothCustomersByMailAndChatAndTheNextStartAddsNothing(t *testing.T) {
	s := newSite(t)
	want := scenes(everyScene)
	told := []string{
		"Anna Weber", "李娜 to Skein Home Support", "包裹显示已签收", "[kettle.svg, 175 bytes]", "(quotes earlier text)",
		"web_chat  anna-weber", "web_chat  Tom to anna-weber", "limescale", "web_chat  li-na", "web_chat  智能助手 to li-na", "小林 to li-na", "公司抬头",
		"timeline anna.weber@example.com visitor:anna-weber --follow", "http://" + s.http + "/chat/v1/web/",
	}
	var first []string
	for _, start := range []struct{ name, says string }{
		{"first", "A story of 13 events"}, {"second", "The story is there already"}, {"third", "The story is there already"},
	} {
		srv := s.demo()
		for _, text := range append(told, start.says) {
			if !strings.Contains(srv.out.String(), text) {
				t.Errorf("%s start: %q is missing in\n%s", start.name, text, srv.out)
			}
		}
		if got := s.story(); !slices.Equal(got, want) {
			t.Errorf("%s start: the timeline holds %q", start.name, got)
		}
		got := s.records()
		if first == nil {
			first = got
		}
		if len(got) != len(want) || !slices.Equal(got, first) {
			t.Errorf("%s start: the log holds %d records instead of %d", start.name, len(got), len(want))
		}
		s.quit(srv)
	}
}

func TestADemoThatIsPlayedAgainAddsOnlyWhatIsMissing(t *testing.T) {
	noChat := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(noChat, []byte("inboxes: [{id: support, tenant: default, channel: email, addresses: [support@skein.example]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		first   []string // arguments
		leftOut string
		played  func(demo.Scene) bool
		twice   int // in the log, when all is played again
	}{
		"the mails are left out": {[]string{"--smtp", ""}, "The mails are left out: email.smtp", func(s demo.Scene) bool { return s.Line != nil }, 7},
		"the chats are left out": {[]string{"-c", noChat}, "The chats are left out: no inbox", func(s demo.Scene) bool { return s.Mail != nil }, 6},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			srv := s.demo(c.first...)
			if !strings.Contains(srv.out.String(), c.leftOut) {
				t.Errorf("%q is missing in\n%s", c.leftOut, srv.out)
			}
			if got := s.story(); !slices.Equal(got, scenes(c.played)) {
				t.Errorf("at first the timeline holds %q", got)
			}
			s.quit(srv)
			s.quit(s.demo()) // the rest, and once more what is there
			srv = s.up()
			if got := s.story(); !slices.Equal(got, scenes(everyScene)) {
				t.Errorf("then the timeline holds %q", got)
			}
			all := s.records()
			if distinct := slices.Compact(slices.Clone(all)); len(distinct) != 13 || len(all) != 13+c.twice {
				t.Errorf("the log holds %d events in %d records", len(distinct), len(all))
			}
			if dead := s.run("tail", "--topic", event.TopicDead, "--from-beginning", "--end", "--kafka", s.kafka); dead != "" {
				t.Errorf("dead letters: %s", dead)
			}
			s.quit(srv)
		})
	}
}

func TestCtrlCInTheMiddleOfTheDemoEndsItWellAndTheNextStartTellsTheRest(t *testing.T) {
	s := newSite(t)
	srv := s.start(s.args("up", "--demo")...)
	srv.waitFor("telling its story", func() bool { return strings.Contains(srv.out.String(), "Kettle leaks at the handle") })
	s.quit(srv)
	if strings.Contains(srv.out.String(), "skein:") {
		t.Errorf("an error is told:\n%s", srv.out)
	}
	srv = s.demo()
	if got := s.story(); !slices.Equal(got, scenes(everyScene)) {
		t.Errorf("the timeline holds %q in\n%s", got, srv.out)
	}
	s.quit(srv)
}

func TestATimelineThatIsFollowedShowsTheStoryGrow(t *testing.T) {
	s := newSite(t)
	srv := s.up()
	follower := s.start(append([]string{"timeline", "--follow", "--server", s.grpc}, demo.Addresses()...)...)
	follower.waitFor("waiting", func() bool { return strings.Contains(follower.out.String(), "Nothing is known") })
	s.quit(srv)
	srv = s.demo()
	for _, text := range []string{"Kettle leaks at the handle", "(quotes earlier text)", "Tom to anna-weber", "小林 to li-na", "the kettle shines again"} {
		follower.waitFor("showing "+text, func() bool { return strings.Contains(follower.out.String(), text) })
	}
	follower.waitFor("showing each once", func() bool {
		return strings.Count(follower.out.String(), "→")+strings.Count(follower.out.String(), "←") == len(demo.Story())
	})
	if err := follower.stop(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	s.quit(srv)
}

func TestTheDemoSaysAtOnceThatItNeedsAServerWithoutTokens(t *testing.T) {
	s := newSite(t)
	config := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(config, []byte("auth: {tokens: [{name: desk, tenant: default, sha256: "+sha256Of("desk")+"}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := s.start(s.args("up", "--demo", "-c", config)...)
	if err := srv.end(); err == nil || !strings.Contains(srv.out.String(), "auth.tokens") {
		t.Errorf("%v\n%s", err, srv.out)
	}
	if _, err := os.Stat(s.dir); err == nil {
		t.Error("something was started before")
	}
}
