package e2e_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// annaWeber is who she is on five channels.
const annaWeber = "anna.weber@example.com visitor:anna-weber +4930901820 social:wechat/wx4711000000000000:oAnna0000000000000000000000"

// customers are the addresses of the story's customers.
func customers() []string {
	return append(strings.Fields(annaWeber), "li.na@example.cn", "visitor:li-na")
}

// What the story consists of, by native id, in order of time.
func mails() []string {
	return []string{
		"kettle-1@mail.example.com", "parcel-1@mail.example.cn", "kettle-2@skein.example", "parcel-2@skein.example",
		"parcel-3@mail.example.cn", "kettle-3@mail.example.com",
	}
}

func chats() []string {
	return []string{"invoice-1", "invoice-2", "invoice-3", "invoice-4", "descaling-1", "descaling-2", "descaling-3"}
}

func call() []string {
	told := func(n int) string { return fmt.Sprintf("EV%032d", n) }
	const status = "CA00000000000000000000000000004711/completed" // tells the call's begin and its end
	return []string{told(1), status, told(2), told(3), told(3), told(4), told(5), told(5), told(6), status}
}

func social() []string {
	return []string{"wamid.lid-1", "wamid.lid-2", "wamid.lid-3", "24471100000000001", "shop-2", "24471100000000003"}
}

func everything() []string { return slices.Concat(mails(), chats(), call(), social()) }

// playDemo starts a server that plays the story, and waits until it has.
func playDemo(s *skeintest.Site, extra ...string) *skeintest.Process {
	s.T.Helper()
	srv := s.Start(append(s.Args("up", "--demo"), extra...)...)
	srv.WaitFor("done with its story", func() bool { return strings.Contains(srv.Out(), "Ctrl-C stops;") })
	return srv
}

// quit stops a server, which must end well.
func quit(t *testing.T, srv *skeintest.Process) {
	t.Helper()
	if err := srv.Stop(); err != nil {
		t.Errorf("%v\n%s", err, srv.Out())
	}
}

// story is what the timeline holds of the story, by native id.
func story(s *skeintest.Site) (ids []string) {
	s.T.Helper()
	for line := range strings.Lines(s.Run(append([]string{"timeline", "--json", "--server", s.GRPC}, customers()...)...)) {
		var e struct{ Content struct{ NativeID string } }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.T.Fatalf("%v in %s", err, line)
		}
		ids = append(ids, e.Content.NativeID)
	}
	return ids
}

// records are the event ids in the log, each as often as it stands there: in the topic of interactions, or in another.
func records(s *skeintest.Site, topic ...string) (ids []string) {
	s.T.Helper()
	args := []string{"tail", "--from-beginning", "--end", "--json", "--kafka", s.Kafka}
	for _, name := range topic {
		args = append(args, "--topic", name)
	}
	for line := range strings.Lines(s.Run(args...)) {
		var e struct{ ID string }
		if err := json.Unmarshal([]byte(line), &e); err != nil {
			s.T.Fatalf("%v in %s", err, line)
		}
		ids = append(ids, e.ID)
	}
	slices.Sort(ids)
	return ids
}

func TestTheDemoTellsOfBothCustomersOnEveryChannelAndTheNextStartAddsNothing(t *testing.T) {
	s := newSite(t)
	want := everything()
	told := []string{
		"Anna Weber", "李娜 to Skein Home Support", "包裹显示已签收", "[kettle.svg, 175 bytes]", "(quotes earlier text)",
		"web_chat  anna-weber", "web_chat  Tom to anna-weber", "limescale", "web_chat  li-na", "web_chat  智能助手 to li-na", "小林 to li-na", "公司抬头", "queue.entered  in Kettles", "transfer.completed", "interaction.ended",
		"whatsapp  Anna Weber to 106540352242922\n", "spare lid", "wechat    小林 to oAnna", "太好了",
		"timeline --customer +4930901820 --follow", "http://" + s.HTTP + "/chat/v1/web/",
		" board --server", " agent tom --server", " agent tom --contacts --server", " agent tom --day 2026-03-16 --server",
	}
	var first, firstStaff []string
	for _, start := range []struct{ name, says string }{
		{"first", "A story of 26 moments"}, {"second", "The story is there already"}, {"third", "The story is there already"},
	} {
		srv := playDemo(s)
		for _, text := range append(told, start.says) {
			if !strings.Contains(srv.Out(), text) {
				t.Errorf("%s start: %q is missing in\n%s", start.name, text, srv.Out())
			}
		}
		if got := story(s); !slices.Equal(got, want) {
			t.Errorf("%s start: the timeline holds %q", start.name, got)
		}
		got := records(s)
		if first == nil {
			first = got
		}
		if len(got) != len(want) || !slices.Equal(got, first) {
			t.Errorf("%s start: the log holds %d records instead of %d", start.name, len(got), len(want))
		}
		staff := slices.Concat(records(s, event.TopicDirectory), records(s, event.TopicAgents))
		if firstStaff == nil {
			firstStaff = staff
		}
		if len(staff) == 0 || !slices.Equal(staff, firstStaff) {
			t.Errorf("%s start: of who works there, the log holds %d records, and %d at first", start.name, len(staff), len(firstStaff))
		}
		quit(t, srv)
	}
}

func TestTheDemoTellsWhoWorksThereAndWhatTheyDo(t *testing.T) {
	s := newSite(t)
	srv := playDemo(s)
	for _, c := range []struct {
		args []string
		says string
	}{
		{[]string{"board"}, `(?s)Kettles \(kettles\) .* 2 +2 .*Support \(support\) +2 +2 ROUTABLE +2 IDLE.*小林 \(lin\) +Available .*Tom \(tom\) +Available .* IDLE`},
		{[]string{"agent", "tom"}, `(?s)Tom \(tom\).*support.*Available  ROUTABLE.*IDLE.*voice: 1 of 1 free`},
		{[]string{"agent", "tom", "--contacts"}, `2026-03-16 .* voice +kettles +7:00 `},
		{[]string{"agent", "mia", "--contacts"}, `2026-03-16 .* voice +kettles +8:00 `},
		{[]string{"agent", "tom", "--at", "2026-03-16T10:10:00Z"}, `(?s)INTERACTING.*CONNECTED voice from kettles 3:00`},
		{[]string{"agent", "tom", "--day", "2026-03-16"}, `(?s)INCOMING voice.*INTERACTING +CONNECTED voice.*Break .*on contact 7:00`},
	} {
		args := append(slices.Clone(c.args), "--server", s.GRPC)
		srv.WaitFor("telling "+strings.Join(c.args, " "), func() bool { return regexp.MustCompile(c.says).MatchString(s.Run(args...)) })
	}
	quit(t, srv)
}

func TestADemoThatIsPlayedAgainAddsOnlyWhatIsMissing(t *testing.T) {
	t.Parallel()
	noChat := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(noChat, []byte("inboxes: [{id: support, tenant: default, channel: email, addresses: [support@skein.example]}]\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		first   []string // arguments
		leftOut string
		played  []string
	}{
		"the mails are left out": {[]string{"--smtp", ""}, "The mails are left out: email.smtp", slices.Concat(chats(), call(), social())},
		"the chats are left out": {[]string{"-c", noChat}, "The chats are left out: no inbox", slices.Concat(mails(), call(), social())},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSite(t)
			srv := playDemo(s, c.first...)
			if !strings.Contains(srv.Out(), c.leftOut) {
				t.Errorf("%q is missing in\n%s", c.leftOut, srv.Out())
			}
			if got := story(s); !slices.Equal(got, c.played) {
				t.Errorf("at first the timeline holds %q", got)
			}
			quit(t, srv)
			quit(t, playDemo(s)) // the rest, and once more what is there
			srv = s.Up()
			if got := story(s); !slices.Equal(got, everything()) {
				t.Errorf("then the timeline holds %q", got)
			}
			all := records(s)
			if distinct := slices.Compact(slices.Clone(all)); len(distinct) != len(everything()) || len(all) != len(everything())+len(c.played) {
				t.Errorf("the log holds %d events in %d records", len(distinct), len(all))
			}
			if dead := s.Run("tail", "--topic", event.TopicDead, "--from-beginning", "--end", "--kafka", s.Kafka); dead != "" {
				t.Errorf("dead letters: %s", dead)
			}
			quit(t, srv)
		})
	}
}

func TestCtrlCInTheMiddleOfTheDemoEndsItWellAndTheNextStartTellsTheRest(t *testing.T) {
	s := newSite(t)
	srv := s.Start(s.Args("up", "--demo")...)
	srv.WaitFor("telling its story", func() bool { return strings.Contains(srv.Out(), "Kettle leaks at the handle") })
	quit(t, srv)
	if strings.Contains(srv.Out(), "skein:") {
		t.Errorf("an error is told:\n%s", srv.Out())
	}
	srv = playDemo(s)
	if got := story(s); !slices.Equal(got, everything()) {
		t.Errorf("the timeline holds %q in\n%s", got, srv.Out())
	}
	quit(t, srv)
}

func TestATimelineThatIsFollowedShowsTheStoryGrow(t *testing.T) {
	s := newSite(t)
	srv := s.Up()
	follower := s.Start(append([]string{"timeline", "--follow", "--server", s.GRPC}, customers()...)...)
	follower.WaitFor("waiting", func() bool { return strings.Contains(follower.Out(), "Nothing is known") })
	quit(t, srv)
	srv = playDemo(s)
	for _, text := range []string{"Kettle leaks at the handle", "(quotes earlier text)", "Tom to anna-weber", "小林 to li-na", "the kettle shines again"} {
		follower.WaitFor("showing "+text, func() bool { return strings.Contains(follower.Out(), text) })
	}
	follower.WaitFor("showing each once", func() bool {
		return strings.Count(follower.Out(), "→")+strings.Count(follower.Out(), "←") == len(everything())
	})
	if err := follower.Stop(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
	quit(t, srv)
}

func TestTheDemoSaysAtOnceThatItNeedsAServerWithoutTokens(t *testing.T) {
	s := newSite(t)
	config := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(config, []byte("auth: {tokens: [{name: desk, tenant: default, sha256: "+sha256Of("desk")+"}]}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := s.Start(s.Args("up", "--demo", "-c", config)...)
	if err := srv.End(); err == nil || !strings.Contains(srv.Out(), "auth.tokens") {
		t.Errorf("%v\n%s", err, srv.Out())
	}
	if _, err := os.Stat(s.Dir); err == nil {
		t.Error("something was started before")
	}
}
