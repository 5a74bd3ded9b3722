package asterisk_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/phone/asterisk"
	"github.com/skein-cx/skein/services/channels/phone/asterisk/amitest"
)

// call is the begin of a call.
func call(id, number string) string {
	return "Event: Newchannel\nChannel: PJSIP/trunk-0001\nCallerIDNum: " + number + "\nExten: 4930901820\nUniqueid: " + id + "\nLinkedid: " + id + "\n\n"
}

// What stands is asked for after a gap: a call that began in it, one that ended in it, one that goes on, a caller who came
// into a queue, an agent who paused.
func TestGap(t *testing.T) {
	host, sw := channeltest.NewHost(), amitest.New(t, account())
	sw.Stand(`Event: CoreShowChannel
Channel: PJSIP/trunk-0000000a
CallerIDNum: 03011111111
CallerIDName: Goes On
Exten: 4930901820
Uniqueid: 1772355601.10
Linkedid: 1772355601.10
Application: Queue
Duration: 00:01:59

Event: CoreShowChannel
Channel: PJSIP/2001-0000001f
CallerIDNum: 2001
Uniqueid: 1772355602.11
Linkedid: 1772355601.10

Event: CoreShowChannel
Channel: PJSIP/trunk-0000001e
CallerIDNum: 03033333333
CallerIDName: Began Meanwhile
Exten: 4930901820
Uniqueid: 1772355690.30
Linkedid: 1772355690.30
Application: Queue
Duration: 00:00:30`, `Event: QueueParams
Queue: support
Calls: 2

Event: QueueMember
Queue: support
Name: Bob Miller
Location: PJSIP/2001
Paused: 1
PausedReason: Meal
Status: 1

Event: QueueEntry
Queue: support
Position: 1
Channel: PJSIP/trunk-0000000a
Uniqueid: 1772355601.10
CallerIDNum: 03011111111
Wait: 110

Event: QueueEntry
Queue: support
Position: 2
Channel: PJSIP/trunk-0000001e
Uniqueid: 1772355690.30
CallerIDNum: 03033333333
CallerIDName: Began Meanwhile
Wait: 15`)
	_, stop := run(t, config(configured(sw.Addr())), host)
	await(t, host, ofType(event.TypeAgentRoutingStatusChanged)) // what stands at first
	sw.Play(t, call("1772355601.10", "03011111111")+call("1772355602.20", "03022222222"))
	await(t, host, inThread("1772355602.20"))
	sw.Cut()
	sw.AwaitLogins(t, 2)
	await(t, host, ofType(event.TypeInteractionEnded))
	stop()
	channeltest.Golden(t, filepath.Join("testdata", "gap.txt"), strings.ReplaceAll(story(host), sw.Addr(), "pbx.example:5038"))
}

// Until when a switch was told survives a restart, and a gap begins there.
func TestRestartIsAGap(t *testing.T) {
	host, sw, cursors := channeltest.NewHost(), amitest.New(t, account()), &channeltest.Cursors{}
	cfg := config(configured(sw.Addr()))
	cfg.Cursors = cursors
	_, stop := run(t, cfg, host)
	sw.Play(t, strings.TrimSuffix(call("1772355665.10", "03011111111"), "\n")+"Timestamp: 1772355690.500000\n\n")
	await(t, host, inThread("1772355665.10"))
	stop()
	for _, e := range host.Events() {
		if e.Event.GetType() == event.TypeSourceGapDetected {
			t.Errorf("a gap before there was one: %v", e.Content)
		}
	}
	_, stop = run(t, cfg, host)
	gap := await(t, host, ofType(event.TypeSourceGapDetected)).Content.GetSourceGapDetected()
	stop()
	from, until := gap.GetFrom().AsTime(), gap.GetUntil().AsTime()
	if !from.Equal(time.Date(2026, 3, 1, 9, 1, 30, 5e8, time.UTC)) || !until.Equal(time.Date(2026, 3, 1, 9, 2, 0, 0, time.UTC)) {
		t.Errorf("a gap from %v until %v", from, until)
	}
	if gap.GetSource() != sw.Addr() {
		t.Errorf("source %q", gap.GetSource())
	}
}

// A lost or foreign cursor, or a store that does not answer for a while, hinders nothing.
func TestCursorsMayFail(t *testing.T) {
	host, sw, cursors := channeltest.NewHost(), amitest.New(t, account()), &channeltest.Cursors{}
	cfg := config(configured(sw.Addr()))
	cfg.Cursors = cursors
	cursors.Fail(fmt.Errorf("no store: %w", channel.ErrRetry))
	c, _ := run(t, cfg, host)
	for c.Statuses()[0].Err == nil || !strings.Contains(c.Statuses()[0].Err.Error(), "no store") {
		if t.Context().Err() != nil {
			t.Fatal("never said that there is no store")
		}
	}
	cursors.Fail(nil)
	sw.Play(t, mark)
	await(t, host, inThread(theMark))
}

// One switch is away, another is of an unknown kind, a third refuses the login: the fourth is told.
func TestSwitchesDoNotHinderEachOther(t *testing.T) {
	closed, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	away := closed.Addr().String()
	_ = closed.Close()
	strange, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer strange.Close()
	go func() {
		for {
			conn, err := strange.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte("SSH-2.0-OpenSSH_9.9\r\n"))
		}
	}()
	good, refusing := amitest.New(t, account()), amitest.New(t, amitest.Options{Username: username, Secret: "another"})
	host := channeltest.NewHost()
	c, stop := run(t, config(configured(away), configured(strange.Addr().String()), configured(refusing.Addr()), configured(good.Addr())), host)
	good.Play(t, mark)
	await(t, host, inThread(theMark))
	refusing.AwaitRefusals(t, 2)
	stop()
	statuses := c.Statuses()
	for i, s := range statuses {
		if (s.Err == nil) != (i == 3) || s.Since.IsZero() {
			t.Errorf("status %d is %+v", i, s)
		}
	}
}

// Who does not take what is told in time is dropped by the switch, comes back, and tells of the gap. Nothing that was read is
// passed over, and what is not read stays in the switch.
func TestSlowListenerIsDropped(t *testing.T) {
	options := account()
	options.WriteTimeout = time.Second
	host, sw := channeltest.NewHost(), amitest.New(t, options)
	run(t, config(configured(sw.Addr())), host)
	sw.Listeners(t, 1)
	host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	sw.Play(t, call("1772355601.10", "03011111111"))
	noise := strings.Repeat("Event: VarSet\r\nUniqueid: 1772355601.10\r\nVariable: X\r\nValue: "+strings.Repeat("x", 1000)+"\r\n\r\n", 60)
	sent := 0
	for sent < 4096 && sw.Send(noise) == nil { // some buffers of the system take a few megabytes
		sent++
	}
	if sent == 4096 {
		t.Fatal("it takes more than it can hand in")
	}
	host.Fail(nil)
	sw.AwaitLogins(t, 2)
	sw.Listeners(t, 1)
	sw.Play(t, mark)
	await(t, host, ofType(event.TypeSourceGapDetected))
	await(t, host, inThread(theMark))
	if first := host.Events()[0]; first.Submission.GetThread() != "1772355601.10" || len(host.Conflicts()) > 0 {
		t.Errorf("the first event is %v", first.Submission)
	}
}

// While the log does not answer, what is told waits.
func TestNothingIsPassedOver(t *testing.T) {
	s := stories(t)["queue-answered"]
	alone := told(t, s, account())
	host, sw := channeltest.NewHost(), amitest.New(t, account())
	_, stop := run(t, config(configured(sw.Addr())), host)
	sw.Listeners(t, 1)
	host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	sw.Play(t, s)
	sw.Play(t, mark)
	host.Fail(nil)
	await(t, host, inThread(theMark))
	stop()
	same(t, channeltest.Fingerprint(t, alone), channeltest.Fingerprint(t, host))
}

// What was read when the channel shall stop is still handed in.
func TestStopHandsInWhatWasRead(t *testing.T) {
	host, sw := channeltest.NewHost(), amitest.New(t, account())
	slow := &slowHost{Host: host, begun: make(chan struct{}, 16), go1: make(chan struct{})}
	_, stop := run(t, config(configured(sw.Addr())), slow)
	sw.Play(t, mark)
	<-slow.begun
	ended := make(chan struct{})
	go func() { defer close(ended); stop() }()
	close(slow.go1)
	<-ended
	if n := len(host.Events()); n != 1 {
		t.Errorf("%d events", n)
	}
}

// slowHost takes nothing before it may.
type slowHost struct {
	channel.Host
	begun, go1 chan struct{}
}

func (s *slowHost) Submit(ctx context.Context, tenant string, subs ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	s.begun <- struct{}{}
	<-s.go1
	return s.Host.Submit(ctx, tenant, subs...)
}

// However a network cuts what is told into pieces, it is the same.
func TestPieces(t *testing.T) {
	_, s, _ := strings.Cut(stories(t)["voicemail"], "\n\n") // behind the remarks
	s = strings.ReplaceAll(s, "\n", "\r\n") + "\r\n"
	alone := told(t, stories(t)["voicemail"], account())
	for _, size := range []int{1, 7, 1000} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			host, sw := channeltest.NewHost(), amitest.New(t, account())
			_, stop := run(t, config(configured(sw.Addr())), host)
			sw.AwaitLists(t, 1) // so that nothing comes between the pieces
			for piece := range slices.Chunk([]byte(s), size) {
				if err := sw.Send(string(piece)); err != nil {
					t.Fatal(err)
				}
			}
			sw.Play(t, mark)
			await(t, host, inThread(theMark))
			stop()
			same(t, channeltest.Fingerprint(t, alone), channeltest.Fingerprint(t, host))
		})
	}
}

// A line of megabytes, a block without end and a wrong alphabet hinder nobody. What was understood and is too large is kept
// as far as it was read.
func TestTooMuch(t *testing.T) {
	host, sw := channeltest.NewHost(), amitest.New(t, account())
	_, stop := run(t, config(configured(sw.Addr())), host)
	sw.Listeners(t, 1)
	for _, text := range []string{
		"Event: SomethingNew\r\nValue: " + strings.Repeat("x", 3<<20) + "\r\n\r\n",
		"Event: Newchannel\r\nUniqueid: 1772355601.1\r\nLinkedid: 1772355601.1\r\nCallerIDName: " + strings.Repeat("x", 1<<20) + "\r\n\r\n",
		"Event: Newchannel\r\nUniqueid: 1772355602.1\r\nLinkedid: 1772355602.1\r\n" + strings.Repeat("ChanVariable: a=b\r\n", 100_000) + "\r\n",
		"Event: Newchannel\r\nUniqueid: 1772355603.1\r\nLinkedid: 1772355603.1\r\nCallerIDNum: 03044444444\r\nCallerIDName: J\xfcrgen\r\n\r\n",
	} {
		if err := sw.Send(text); err != nil {
			t.Fatal(err)
		}
	}
	sw.Play(t, mark)
	await(t, host, inThread(theMark))
	stop()
	if events := host.Events(); len(events) != 2 || events[0].Content.GetParties()[0].GetDisplayName() != "J\uFFFDrgen" {
		t.Errorf("%d events:\n%s", len(events), channeltest.Transcript(events))
	}
	kept := host.Rejections()
	if len(kept) != 2 {
		t.Fatalf("kept %d", len(kept))
	}
	for _, r := range kept {
		if !strings.Contains(r.Reason, "too large") || len(r.Raw) > 256<<10 || !bytes.HasPrefix(r.Raw, []byte("Event: Newchannel\r\n")) {
			t.Errorf("kept %d bytes: %s", len(r.Raw), r.Reason)
		}
	}
}

// An event that lacks what it needs is kept as it came, and so is one that Skein's own rules refuse; those before and behind
// them are told.
func TestWhatIsNotUnderstoodIsKept(t *testing.T) {
	host, sw := channeltest.NewHost(), amitest.New(t, account())
	c, stop := run(t, config(configured(sw.Addr())), host)
	sw.Listeners(t, 1)
	long := strings.Repeat("9", 2000)
	wrong := []string{
		"Event: Newchannel\nChannel: PJSIP/trunk-0001\n\n",
		"Event: QueueCallerJoin\nUniqueid: 1772355601.10\nLinkedid: 1772355601.10\n\n",
		"Event: AgentConnect\nUniqueid: 1772355601.10\nLinkedid: 1772355601.10\nQueue: support\nInterface: PJSIP/2001\n\n",
		"Event: AgentLogin\n\n",
		"Event: QueueMemberPause\nQueue: support\nPaused: 1\n\n",
		"Event: DialEnd\nDestUniqueid: 1772355601.11\nDestLinkedid: 1772355601.10\n\n",
		"Event: Hangup\nUniqueid: 1772355601.10\nLinkedid: 1772355601.10\n\n",
		"Event: BlindTransfer\nTransfererUniqueid: 1772355601.11\nTransfererLinkedid: 1772355601.10\nExtension: 2001\n\n",
		"Event: Newchannel\nUniqueid: " + long + "\nLinkedid: " + long + "\n\n",
	}
	sw.Play(t, call("1772355601.10", "03011111111")+strings.Join(wrong, "")+mark)
	await(t, host, inThread(theMark))
	stop()
	if n := len(host.Events()); n != 2 {
		t.Errorf("%d events", n)
	}
	kept := host.Rejections()
	if len(kept) != len(wrong) {
		t.Fatalf("kept %d of %d", len(kept), len(wrong))
	}
	for i, r := range kept {
		if want := strings.ReplaceAll(strings.TrimSuffix(wrong[i], "\n"), "\n", "\r\n"); string(r.Raw) != want || r.Reason == "" || r.Inbox != "hotline" || r.Tenant != "acme" {
			t.Errorf("kept %q: %s", r.Raw, r.Reason)
		}
	}
	again := channeltest.NewHost()
	for _, r := range kept { // nothing was mended
		if err := c.Redrive(t.Context(), again, r); err != nil {
			t.Error(err)
		}
	}
	good := kept[0]
	good.Raw = []byte(strings.TrimSuffix(strings.ReplaceAll(call("1772355601.12", "03011111111"), "\n", "\r\n"), "\r\n"))
	if err := c.Redrive(t.Context(), again, good); err != nil {
		t.Error(err)
	}
	if n, m := len(again.Events()), len(again.Rejections()); n != 1 || m != len(wrong) {
		t.Errorf("taken in again: %d events, %d rejections", n, m)
	}
	good.Inbox = "another"
	if err := c.Redrive(t.Context(), again, good); err == nil {
		t.Error("took in what belongs to an inbox that is not configured")
	}
}

// Even what can neither be handed in nor rejected is not lost: it waits.
func TestHostThatTakesNothing(t *testing.T) {
	host, sw := channeltest.NewHost(), amitest.New(t, account())
	run(t, config(configured(sw.Addr())), host)
	sw.Listeners(t, 1)
	host.Fail(errors.New("never"))
	sw.Play(t, call("1772355601.10", "03011111111")+mark)
	host.Fail(nil)
	sw.Play(t, call("1772355601.11", "03011111111"))
	await(t, host, inThread("1772355601.11"))
	if n := len(host.Events()) + len(host.Rejections()); n != 3 {
		t.Errorf("%d of 3 calls", n)
	}
}

// A switch that says nothing any more is left, and found again.
func TestSilence(t *testing.T) {
	host, sw := channeltest.NewHost(), amitest.New(t, account())
	cfg := config(configured(sw.Addr()))
	cfg.KeepAlive = 50 * time.Millisecond
	run(t, cfg, host)
	sw.AwaitPings(t, 3)
	sw.Mute(true)
	sw.Listeners(t, 0)
	sw.Mute(false)
	sw.AwaitLogins(t, 2)
	await(t, host, ofType(event.TypeSourceGapDetected))
}

func TestConfigurationIsChecked(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*asterisk.Switch)
		want   string
	}{
		"no tenant":      {func(s *asterisk.Switch) { s.Tenant = "" }, "tenant"},
		"no port":        {func(s *asterisk.Switch) { s.Addr = "pbx" }, "host:port"},
		"no secret":      {func(s *asterisk.Switch) { s.Secret = "" }, "secret"},
		"two lines":      {func(s *asterisk.Switch) { s.Secret = "top-hat\r\nAction: Originate" }, "one line"},
		"unknown login":  {func(s *asterisk.Switch) { s.AuthType = "sha" }, "plain or md5"},
		"unknown region": {func(s *asterisk.Switch) { s.Region = "XX" }, "region"},
		"a bad number":   {func(s *asterisk.Switch) { s.OwnNumbers = []string{"20.."} }, "own number"},
		"a bad agent":    {func(s *asterisk.Switch) { s.Agents = map[string]string{"PJSIP/1": "Bob Miller"} }, "agent"},
	} {
		t.Run(name, func(t *testing.T) {
			sw := configured("127.0.0.1:5038")
			c.change(&sw)
			_, err := asterisk.New(config(sw))
			if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "top-hat") {
				t.Errorf("%v", err)
			}
		})
	}
	twice := configured("127.0.0.1:5038")
	if _, err := asterisk.New(config(twice, twice)); err == nil || !strings.Contains(err.Error(), "twice") {
		t.Errorf("%v", err)
	}
}
