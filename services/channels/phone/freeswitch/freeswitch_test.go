package freeswitch_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch"
	"github.com/skein-cx/skein/services/channels/phone/freeswitch/esltest"
)

const password = "ClueCon!"

func config(sw *esltest.Switch) freeswitch.Config {
	return freeswitch.Config{
		Switches: []freeswitch.Switch{{
			Tenant: "lumen", Inbox: "hotline", Addr: sw.Addr(), Password: password, Region: "DE", Dialplan: true,
			OwnNumbers: []string{"+498912345"}, Agents: map[string]string{"1000@default": "anna", "1001": "bo"},
		}},
		Backoff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) },
	}
}

// running is a channel at work.
type running struct {
	t    *testing.T
	sw   *esltest.Switch
	host *channeltest.Host
	*freeswitch.Channel
	stop  func()
	ended chan error
	ends  int
}

func run(t *testing.T, sw *esltest.Switch, host channel.Host, cfg freeswitch.Config) *running {
	t.Helper()
	c, err := freeswitch.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, sw: sw, Channel: c, ended: make(chan error, 1)}
	r.host, _ = host.(*channeltest.Host)
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	if err := c.Open(ctx, host); err != nil {
		t.Fatal(err)
	}
	go func() { r.ended <- c.Run(ctx) }()
	stopped := false
	r.stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		select {
		case err := <-r.ended:
			if err != nil {
				t.Errorf("stopped with %v", err)
			}
		case <-time.After(esltest.Patience):
			t.Error("it does not stop")
		}
	}
	t.Cleanup(r.stop)
	return r
}

func start(t *testing.T) *running {
	t.Helper()
	sw := esltest.New(t, password)
	return run(t, sw, channeltest.NewHost(), config(sw))
}

// settled waits until everything that was told so far was read, and gives what came of it.
func (r *running) settled() []channeltest.Event {
	r.t.Helper()
	r.ends++
	end := esltest.Make(time.Date(2026, 2, 3, 0, 0, r.ends, 0, time.UTC), "end-of-story", r.ends, "CUSTOM",
		"Event-Subclass", "callcenter::info", "CC-Action", "agent-status-change", "CC-Agent", fmt.Sprint("end", r.ends), "CC-Agent-Status", "Available")
	r.sw.Tell(r.t, end)
	r.await("the end", func(e channeltest.Event) bool { return e.Submission.GetThread() == fmt.Sprint("agent/end", r.ends) })
	return slices.DeleteFunc(r.host.Events(), func(e channeltest.Event) bool { return strings.HasPrefix(e.Submission.GetThread(), "agent/end") })
}

// await waits for an event.
func (r *running) await(what string, is func(channeltest.Event) bool) channeltest.Event {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), esltest.Patience)
	defer cancel()
	for n := 0; ; {
		events, err := r.host.WaitEvents(ctx, n+1)
		if err != nil {
			r.t.Fatalf("%s did not come: %v", what, err)
		}
		if i := slices.IndexFunc(events[n:], is); i >= 0 {
			return events[n+i]
		}
		n = len(events)
	}
}

func ofType(typ string) func(channeltest.Event) bool {
	return func(e channeltest.Event) bool { return e.Submission.GetType() == typ }
}

func (r *running) count(typ string) int {
	n := 0
	for _, e := range r.host.Events() {
		if e.Submission.GetType() == typ {
			n++
		}
	}
	return n
}

// status waits until the switch's status is so.
func (r *running) status(what string, is func(error) bool) channel.Status {
	r.t.Helper()
	late := time.After(esltest.Patience)
	for {
		if s := r.Statuses()[0]; is(s.Err) {
			return s
		}
		select {
		case <-time.After(time.Millisecond):
		case <-late:
			r.t.Fatalf("the status is %v, want %s", r.Statuses()[0].Err, what)
		}
	}
}

func stories(t *testing.T) map[string][]esltest.Event {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "*.story"))
	if err != nil || len(files) == 0 {
		t.Fatal(err, "no stories")
	}
	all := map[string][]esltest.Event{}
	for _, f := range files {
		all[strings.TrimSuffix(filepath.Base(f), ".story")] = esltest.Story(t, f)
	}
	return all
}

// Each story of testdata gives the transcript beside it, told once, or again backwards.
func TestStoriesGiveTheTranscriptsBesideThem(t *testing.T) {
	for name, story := range stories(t) {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			r.sw.Tell(t, story...)
			told := r.settled()
			if rejected := r.host.Rejections(); len(rejected) > 0 {
				t.Fatalf("rejected: %s: %q", rejected[0].Reason, rejected[0].Raw)
			}
			channeltest.Golden(t, filepath.Join("testdata", name+".txt"), channeltest.Transcript(told))
			want := channeltest.Fingerprint(t, r.host)

			slices.Reverse(story)
			r.sw.Tell(t, story...)
			if again := r.settled(); len(again) != len(told) {
				t.Errorf("told again, it gives %d events instead of %d", len(again), len(told))
			}
			again := start(t)
			again.sw.Tell(t, story...)
			again.settled()
			if got := channeltest.Fingerprint(t, again.host); !slices.Equal(got, want) {
				t.Errorf("backwards it gives other events:\n%s", channeltest.Transcript(again.host.Events()))
			}
		})
	}
}

// Two connections to one switch, of two processes, give each event once.
func TestTwoListenersGiveTheSameEvents(t *testing.T) {
	sw, host := esltest.New(t, password), channeltest.NewHost()
	one, two := run(t, sw, host, config(sw)), run(t, sw, host, config(sw))
	sw.Await(t, "second listener", func() bool { return sw.Subscribed() == 2 })
	sw.Tell(t, stories(t)["queue"]...)
	n := len(one.settled())
	two.stop()
	if len(host.Conflicts()) > 0 || n == 0 || len(one.settled()) != n {
		t.Errorf("%d events, then %d, %d conflicts", n, len(one.settled()), len(host.Conflicts()))
	}
}

type underTest struct {
	*esltest.Switch
	cfg   freeswitch.Config
	story [][]esltest.Event
}

func (u *underTest) Channel() channel.Channel {
	c, err := freeswitch.New(u.cfg)
	if err != nil {
		panic(err)
	}
	return c
}

func (u *underTest) Tell(t *testing.T, i int) {
	t.Helper()
	u.Switch.Tell(t, u.story[i]...)
}

func (u *underTest) Cut(t *testing.T) {
	t.Helper()
	u.Switch.Cut(t)
}

func TestKit(t *testing.T) {
	all := stories(t)
	parts := [][]esltest.Event{all["agents"], all["queue"], all["unanswered"]}
	r := start(t)
	for _, part := range parts {
		r.sw.Tell(t, part...)
	}
	channeltest.TestSource(t, channeltest.Source{
		New: func(t *testing.T, _ channel.Host, cursors channel.Cursors) channeltest.SourceUnderTest {
			t.Helper()
			sw := esltest.New(t, password)
			cfg := config(sw)
			cfg.Cursors = cursors
			return &underTest{sw, cfg, parts}
		},
		Story: len(parts), Events: len(r.settled()), Gap: event.TypeSourceGapDetected,
	})
}

func TestABadConfigurationNamesAllThatIsWrong(t *testing.T) {
	_, err := freeswitch.New(freeswitch.Config{Switches: []freeswitch.Switch{
		{Addr: "nowhere", Password: "two\nlines", OwnNumbers: []string{"no number at all"}, Agents: map[string]string{"1000": ""}},
		{Tenant: "a", Inbox: "b", Addr: "pbx:8021", Password: "x"},
		{Tenant: "a", Inbox: "b", Addr: "pbx:8021", Password: "x"},
	}})
	for _, want := range []string{"tenant and an inbox", "host:port", "password", "own numbers", `agent "1000"`, "twice"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v does not name %q", err, want)
		}
	}
	if strings.Contains(err.Error(), "lines") {
		t.Error("the error shows the password")
	}
	if _, err := freeswitch.New(freeswitch.Config{}); err == nil {
		t.Error("no switch is well")
	}
	registry := prometheus.NewRegistry()
	good := freeswitch.Config{Switches: []freeswitch.Switch{{Tenant: "a", Inbox: "b", Addr: "pbx:8021", Password: "x"}}, Registerer: registry}
	if _, err := freeswitch.New(good); err != nil {
		t.Error(err)
	}
	if _, err := freeswitch.New(good); err == nil {
		t.Error("metrics were registered twice")
	}
}

func TestARefusedPasswordAndARefusedAddressShowInTheStatus(t *testing.T) {
	sw := esltest.New(t, "another")
	r := run(t, sw, channeltest.NewHost(), config(sw))
	s := r.status("a refused password", func(err error) bool { return err != nil && strings.Contains(err.Error(), "password") })
	if s.Tenant != "lumen" || s.Inbox != "hotline" || s.Source != sw.Addr() || strings.Contains(s.Err.Error(), password) {
		t.Errorf("%+v", s)
	}
	sw.SetRude(true)
	r.status("a refused address", func(err error) bool { return err != nil && strings.Contains(err.Error(), "acl") })
	sw.SetPassword(password)
	sw.SetRude(false)
	r.status("well", func(err error) bool { return err == nil })
	sw.Tell(t, stories(t)["agents"]...)
	if n := len(r.settled()); n == 0 || r.count(event.TypeSourceGapDetected) != 0 {
		t.Errorf("%d events, %d gaps", n, r.count(event.TypeSourceGapDetected))
	}
}

func TestASwitchThatDoesNotAnswerIsNoReasonNotToStart(t *testing.T) {
	sw := esltest.New(t, password)
	cfg := config(sw)
	cfg.Switches[0].Addr = "127.0.0.1:1"
	r := run(t, sw, channeltest.NewHost(), cfg)
	r.status("no connection", func(err error) bool { return err != nil && strings.Contains(err.Error(), "connect") })
	r.stop()
}

func TestASwitchBehindTLSMustShowItsCertificate(t *testing.T) {
	web := httptest.NewTLSServer(nil)
	defer web.Close()
	sw := esltest.NewTLS(t, password, &tls.Config{Certificates: web.TLS.Certificates, MinVersion: tls.VersionTLS12})
	cfg := config(sw)
	cfg.Switches[0].TLS = true
	stranger := run(t, sw, channeltest.NewHost(), cfg)
	stranger.status("an unknown certificate", func(err error) bool { return err != nil && strings.Contains(err.Error(), "certificate") })
	stranger.stop()
	roots := x509.NewCertPool()
	roots.AddCert(web.Certificate())
	cfg.TLSConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
	r := run(t, sw, channeltest.NewHost(), cfg)
	sw.Tell(t, stories(t)["agents"]...)
	if len(r.settled()) == 0 {
		t.Error("nothing came")
	}
}

// An agent who stays on the line has a call that is joined to none of those that come to it, and that ends by itself.
func TestAnAgentOnStandbyHasACallOfItsOwn(t *testing.T) {
	r := start(t)
	at := time.Date(2026, 2, 2, 10, 0, 0, 0, time.UTC)
	agent := []string{"Unique-ID", "standby", "Channel-Call-UUID", "standby", "Call-Direction", "inbound", "Caller-Caller-ID-Number", "1000", "Caller-Destination-Number", "1001"}
	serving := append(slices.Clone(agent), "variable_cc_side", "agent", "variable_cc_agent_type", "uuid-standby", "variable_cc_agent", "1000@default",
		"variable_cc_member_uuid", "m", "variable_cc_member_session_uuid", "caller")
	r.sw.Tell(t, esltest.Make(at, "core", 1, "CHANNEL_CREATE", agent...),
		esltest.Make(at, "core", 2, "CUSTOM", append([]string{
			"Event-Subclass", "callcenter::info", "CC-Action", "bridge-agent-start", "CC-Queue", "q", "CC-Agent", "1000@default",
			"CC-Agent-UUID", "standby", "CC-Member-UUID", "m", "CC-Member-Session-UUID", "caller",
		}, serving...)...),
		esltest.Make(at, "core", 3, "CHANNEL_HANGUP_COMPLETE", append([]string{"Hangup-Cause", "NORMAL_CLEARING"}, serving...)...))
	var got []string
	for _, e := range r.settled() {
		got = append(got, e.Submission.GetType()+" "+e.Submission.GetThread())
	}
	if want := "[interaction.started standby assignment.connected caller interaction.ended standby]"; fmt.Sprint(got) != want {
		t.Errorf("%v, want %s", got, want)
	}
}

// After a disconnect-notice the connection is over at once, unless the switch lingers: then it tells the rest before.
func TestAGoodbyeIsFollowedByANewConnection(t *testing.T) {
	for _, linger := range []bool{false, true} {
		t.Run(fmt.Sprint("linger ", linger), func(t *testing.T) {
			r := start(t)
			story := stories(t)["agents"]
			r.sw.Tell(t, story[:3]...)
			r.settled()
			before := r.sw.Connections()
			r.sw.Goodbye(linger)
			if linger {
				r.sw.Tell(t, story...)
				r.settled()
				if r.sw.Connections() != before {
					t.Error("it did not wait for the rest")
				}
				return
			}
			r.await("the gap", ofType(event.TypeSourceGapDetected))
			r.sw.Tell(t, story...)
			r.settled()
		})
	}
}

// What was lost is told from the last event to the first moment of the new connection, both by the switch's clock; and what its
// lists say for certain: a call that it does not know any more is over, one that it has began.
func TestAGapIsToldWithWhatIsCertain(t *testing.T) {
	r := start(t)
	at := func(seconds int) time.Time { return time.Date(2026, 2, 2, 10, 0, seconds, 0, time.UTC) }
	call := func(seconds, n int, name, leg string, more ...string) esltest.Event {
		return esltest.Make(at(seconds), "core", n, name, append([]string{
			"Unique-ID", leg, "Channel-Call-UUID", leg, "Call-Direction", "inbound",
			"Caller-Caller-ID-Number", "+4930901820", "Caller-Destination-Number", "08912345",
		}, more...)...)
	}
	joins := func(seconds, n int, member, leg string) esltest.Event {
		return esltest.Make(at(seconds), "core", n, "CUSTOM", "Event-Subclass", "callcenter::info", "CC-Action", "member-queue-start",
			"CC-Queue", "support@default", "CC-Member-UUID", member, "CC-Member-Session-UUID", leg, "CC-Member-CID-Number", "+4930901820")
	}
	r.sw.Tell(t, call(0, 1, "CHANNEL_CREATE", "ends"), call(1, 2, "CHANNEL_CREATE", "stays"), joins(2, 3, "waits", "stays"))
	r.settled() // sets the clock to the end of the story
	last := time.Date(2026, 2, 3, 0, 0, 1, 0, time.UTC)
	later := last.Add(time.Hour)
	new1 := call(0, 5, "CHANNEL_CREATE", "new")
	new1.At = last.Add(time.Minute)
	leg := esltest.Make(last.Add(time.Minute), "core", 6, "CHANNEL_CREATE", "Unique-ID", "leg", "Channel-Call-UUID", "leg", "Call-Direction", "outbound")
	r.sw.Answer("callcenter_config queue list", "name|strategy|moh_sound\nsupport@default|longest-idle-agent|x\n+OK\n")
	r.sw.Answer("callcenter_config queue list members support@default", fmt.Sprintf(
		"queue|instance_id|uuid|session_uuid|cid_number|cid_name|system_epoch|joined_epoch|rejoined_epoch|bridge_epoch|abandoned_epoch|base_score|skill_score|serving_agent|serving_system|state|score\n"+
			"support@default|single_box|waits|stays|+4930901820||0|%d|0|0|0|0|0|||Waiting|1\n"+
			"support@default|single_box|joined|new|+4930901821|Mia|0|%d|0|0|0|0|0|||Trying|1\n"+
			"support@default|single_box|talks|x|+4930901822||0|%d|0|0|0|0|0|||Answered|1\n+OK\n",
		at(2).Unix(), last.Add(2*time.Minute).Unix(), last.Add(2*time.Minute).Unix()))
	r.sw.Happen(call(30, 4, "CHANNEL_HANGUP_COMPLETE", "ends"), new1, leg)
	r.sw.SetClock(later)
	r.sw.Cut(t)
	gap := r.await("the gap", ofType(event.TypeSourceGapDetected))
	body := gap.Content.GetSourceGapDetected()
	if !body.GetFrom().AsTime().Equal(last) || !body.GetUntil().AsTime().Equal(later) || !gap.Event.GetOccurredAt().AsTime().Equal(later) {
		t.Errorf("%v", body)
	}
	r.sw.Await(t, "answered list", func() bool {
		list := slices.Index(r.sw.Commands(), "api show channels as json")
		return list >= 0 && slices.Contains(r.sw.Commands()[list:], "api strmicroepoch")
	})
	r.sw.Tell(t, esltest.Make(later.Add(20*time.Second), "core", 9, "HEARTBEAT")) // all that was on its way has come
	ended := r.await("the end of the call", ofType(event.TypeInteractionEnded))
	if ended.Submission.GetThread() != "ends" || !ended.Submission.GetOccurredAt().AsTime().Equal(later) {
		t.Errorf("%v", ended.Submission)
	}
	r.await("the wait that began", func(e channeltest.Event) bool {
		return e.Submission.GetType() == event.TypeQueueEntered && e.Submission.GetVisit() == "joined" && e.Submission.GetQueue() == "support@default"
	})
	for i := range 2 { // a further gap finds nothing new
		told := slices.DeleteFunc(r.settled(), ofType(event.TypeSourceGapDetected))
		slices.SortFunc(told, func(a, b channeltest.Event) int {
			return a.Submission.GetOccurredAt().AsTime().Compare(b.Submission.GetOccurredAt().AsTime())
		})
		channeltest.Golden(t, filepath.Join("testdata", "gap.txt"), channeltest.Transcript(told))
		again := later.Add(time.Duration(i+1) * time.Hour)
		r.sw.SetClock(again)
		r.sw.Cut(t)
		r.await("another gap", func(e channeltest.Event) bool {
			return e.Content.GetSourceGapDetected().GetUntil().AsTime().Equal(again)
		})
	}
}

// The gap of a restart is told where cursors are kept.
func TestARestartTellsItsGap(t *testing.T) {
	sw, host, cursors := esltest.New(t, password), channeltest.NewHost(), &channeltest.Cursors{}
	cfg := config(sw)
	cfg.Cursors = cursors
	r := run(t, sw, host, cfg)
	sw.Tell(t, stories(t)["agents"]...)
	sw.Tell(t, esltest.Make(time.Date(2026, 2, 2, 12, 0, 0, 0, time.UTC), "core", 1, "HEARTBEAT"))
	r.settled()
	gone := func() {
		r.stop()
		sw.Await(t, "end of the connection", func() bool { return sw.Subscribed() == 0 })
	}
	gone()
	sw.SetClock(time.Date(2026, 2, 4, 0, 0, 0, 0, time.UTC))
	r = run(t, sw, host, cfg)
	gap := r.await("the gap", ofType(event.TypeSourceGapDetected)).Content.GetSourceGapDetected()
	if from := gap.GetFrom().AsTime(); !from.Equal(time.Date(2026, 2, 3, 0, 0, 1, 0, time.UTC)) {
		t.Errorf("the gap begins at %v", from)
	}
	gone()
	cursors.Fail(fmt.Errorf("no store: %w", channel.ErrRetry)) // costs the cursor, nothing else
	r = run(t, sw, host, cfg)
	r.ends = 10
	r.settled()
}

// While the log does not answer, nothing more is read than was read; afterwards nothing is missing.
func TestALogThatDoesNotAnswerStopsTheReading(t *testing.T) {
	r := start(t)
	r.sw.Await(t, "listener", func() bool { return r.sw.Subscribed() > 0 })
	r.host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	const n = 30_000
	var flood strings.Builder
	for i := range n {
		flood.WriteString(esltest.Make(time.Date(2026, 2, 2, 10, 0, 0, i*1000, time.UTC), "flood", i, "CUSTOM",
			"Event-Subclass", "callcenter::info", "CC-Action", "agent-state-change", "CC-Agent", "flood@default", "CC-Agent-State", "Waiting",
			"Padding", strings.Repeat("x", 1500)).Frame())
	}
	rest := r.sw.Send(t, flood.String(), time.Second)
	if rest == "" {
		t.Fatal("it read 50 MB although nothing of it was taken")
	}
	r.host.Fail(nil)
	if rest = r.sw.Send(t, rest, esltest.Patience); rest != "" {
		t.Fatal("it reads no further")
	}
	if got := len(r.settled()); got != n {
		t.Errorf("%d events of %d", got, n)
	}
}

// One event that Skein refuses takes no other with it; what cannot be understood is kept, and taken in again once it can.
func TestWhatIsNotUnderstoodIsKept(t *testing.T) {
	r := start(t)
	at := time.Date(2026, 2, 2, 10, 0, 0, 0, time.UTC)
	queue := func(n int, queue string) esltest.Event {
		return esltest.Make(at, "core", n, "CUSTOM", "Event-Subclass", "callcenter::info", "CC-Action", "member-queue-start", "CC-Queue", queue,
			"CC-Member-UUID", "m", "CC-Member-Session-UUID", "s", "CC-Member-CID-Number", "+4930901820")
	}
	const long = "Content-Type: text/event-json\nContent-Length: 2\n\n{}"
	r.sw.Send(t, queue(1, "good").Frame()+queue(2, strings.Repeat("q", 200)).Frame()+queue(3, "good").Frame()+
		queue(4, "").Frame()+esltest.Make(at, "core", 5, "CHANNEL_CREATE").Frame()+
		"Content-Type: text/event-plain\nContent-Length: 8\n\nnonsense"+
		"Content-Type: text/event-plain\nContent-Length: 17\n\nEvent-Name: NONE\n"+long, esltest.Patience)
	if got := len(r.settled()); got != 2 {
		t.Errorf("%d events, want 2", got)
	}
	rejected := r.host.Rejections()
	if len(rejected) != 6 {
		t.Fatalf("%d rejections, want 6", len(rejected))
	}
	for _, rejection := range rejected {
		if rejection.Tenant != "lumen" || rejection.Inbox != "hotline" || rejection.Provider != "freeswitch" || rejection.Reason == "" || len(rejection.Raw) == 0 {
			t.Errorf("%+v", rejection)
		}
	}
	host := channeltest.NewHost()
	again := rejected[0]
	again.Raw = []byte(queue(6, "mended").Body())
	if err := r.Redrive(t.Context(), host, again); err != nil || len(host.Events()) != 1 {
		t.Error(err, len(host.Events()))
	}
	if err := r.Redrive(t.Context(), host, rejected[0]); err != nil || len(host.Rejections()) != 1 {
		t.Error(err, len(host.Rejections()))
	}
	host.Fail(fmt.Errorf("away: %w", channel.ErrRetry))
	if err := r.Redrive(t.Context(), host, again); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	again.Inbox = "none"
	if err := r.Redrive(t.Context(), host, again); err == nil {
		t.Error("an inbox that is not there")
	}
}

// What is no frame, or one of hundreds of megabytes, ends the connection; the next one goes on, and the gap is told.
func TestABrokenStreamIsGivenUp(t *testing.T) {
	for name, stream := range map[string]string{
		"hundreds of megabytes":         "Content-Type: text/event-plain\nContent-Length: 700000000\n\n" + strings.Repeat("x", 1000),
		"no frames":                     "SIP/2.0 200 OK\r\n\r\n",
		"a line without end":            strings.Repeat("x", 1<<20),
		"an answer nobody asked":        "Content-Type: api/response\nContent-Length: 0\n\n",
		"an answer that nobody asked 2": strings.Repeat("Content-Type: command/reply\n\n", 5),
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t)
			r.settled()
			r.sw.Send(t, stream, time.Second)
			r.await("the gap", ofType(event.TypeSourceGapDetected))
			r.settled()
		})
	}
}

func TestASwitchThatIsSilentIsAskedAgain(t *testing.T) {
	sw := esltest.New(t, password)
	cfg := config(sw)
	cfg.ReadTimeout = 50 * time.Millisecond
	run(t, sw, channeltest.NewHost(), cfg)
	sw.Await(t, "third connection", func() bool { return sw.Connections() >= 3 })
}

// Whatever an event holds, it gives events that Skein takes, or is rejected; and each time the same.
func FuzzEvents(f *testing.F) {
	files, err := filepath.Glob(filepath.Join("testdata", "*.story"))
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range files {
		for _, e := range esltest.Story(f, file) {
			f.Add([]byte(e.Body()))
		}
	}
	c, err := freeswitch.New(freeswitch.Config{Switches: []freeswitch.Switch{{
		Tenant: "lumen", Inbox: "hotline", Addr: "pbx:8021", Password: password, Region: "DE",
		OwnNumbers: []string{"+498912345"}, Agents: map[string]string{"1000@default": "anna", "1001": "bo"},
	}}})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		host := channeltest.NewHost()
		for range 2 {
			if err := c.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "hotline", Provider: "freeswitch", Raw: body}); err != nil {
				t.Fatal(err)
			}
		}
		if conflicts := host.Conflicts(); len(conflicts) > 0 {
			t.Fatalf("another time it says something else: %v", conflicts)
		}
	})
}

// Whoever calls from one of the company's numbers, or as one of its agents, is no customer.
func TestTheCompanyIsNoCustomer(t *testing.T) {
	for _, c := range []struct {
		name    string
		headers []string
		want    eventv1.Direction
		parties string
	}{
		{"a customer calls in", []string{"Call-Direction", "inbound", "Caller-Caller-ID-Number", "+4930901820", "Caller-Destination-Number", "08912345"}, 1, "customer +4930901820, company +498912345"},
		{"an own number calls out", []string{"Call-Direction", "inbound", "Caller-Caller-ID-Number", "+498912345", "Caller-Destination-Number", "030901820"}, 2, "company +498912345, customer +4930901820"},
		{"an agent calls out by an unknown extension", []string{"Call-Direction", "inbound", "Caller-Username", "1001", "Caller-Caller-ID-Number", "77", "Caller-Destination-Number", "030901820"}, 2, "company 77, customer +4930901820"},
		{"agents among themselves", []string{"Call-Direction", "inbound", "Caller-Caller-ID-Number", "1000", "Caller-Destination-Number", "1001"}, 3, "company 1000, company 1001"},
		{"the switch calls", []string{"Call-Direction", "outbound", "Caller-Caller-ID-Number", "", "Caller-Destination-Number", "030901820"}, 2, "company , customer +4930901820"},
		{"a hidden number", []string{"Call-Direction", "inbound", "Caller-Caller-ID-Number", "+4930901820", "Caller-Privacy-Hide-Number", "true", "Caller-Destination-Number", "08912345"}, 1, "customer , company +498912345"},
		{"a SIP address", []string{"Call-Direction", "inbound", "Caller-Caller-ID-Number", "eve@lumen.example", "Caller-Destination-Number", "08912345"}, 1, "customer eve@lumen.example, company +498912345"},
		{"a name", []string{"Call-Direction", "inbound", "Caller-Caller-ID-Number", "eve", "Caller-Destination-Number", "welcome"}, 1, "customer  (eve), company  (welcome)"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := start(t)
			r.sw.Tell(t, esltest.Make(time.Date(2026, 2, 2, 10, 0, 0, 0, time.UTC), "core", 1, "CHANNEL_CREATE", append([]string{"Unique-ID", "u", "Channel-Call-UUID", "u"}, c.headers...)...))
			e := r.settled()[0]
			var parties []string
			for i, p := range e.Event.GetParties() {
				detail := e.Content.GetParties()[i]
				text := strings.ToLower(strings.TrimPrefix(p.GetSide().String(), "SIDE_")) + " " + detail.GetAddress()
				if detail.GetDisplayName() != "" {
					text += " (" + detail.GetDisplayName() + ")"
				}
				parties = append(parties, text)
			}
			if got := strings.Join(parties, ", "); got != c.parties || e.Event.GetDirection() != c.want {
				t.Errorf("%s %v, want %s", got, e.Event.GetDirection(), c.parties)
			}
		})
	}
}
