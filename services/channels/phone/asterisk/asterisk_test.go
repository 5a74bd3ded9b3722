package asterisk_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cenkalti/backoff/v5"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/services/channels/phone/asterisk"
	"github.com/skein-cx/skein/services/channels/phone/asterisk/amitest"
)

const (
	username = "skein"
	secret   = "s3cr3t-of-ours"
)

// account is the only one of every switch here.
func account() amitest.Options { return amitest.Options{Username: username, Secret: secret} }

// configured is a switch as it is configured here.
func configured(addr string) asterisk.Switch {
	return asterisk.Switch{
		Tenant: "acme", Inbox: "hotline", Addr: addr, Username: username, Secret: secret, Region: "DE",
		OwnNumbers: []string{"20XX", "810", "555", "+4930901820*"},
		Agents:     map[string]string{"PJSIP/2001": "bob", "Agent/1001": "bob", "Carol Smith": "carol"},
	}
}

func config(switches ...asterisk.Switch) asterisk.Config {
	return asterisk.Config{
		Switches: switches, KeepAlive: 10 * time.Second,
		Backoff: func() backoff.BackOff { return backoff.NewConstantBackOff(time.Millisecond) },
	}
}

// run runs a channel until the test or the returned function ends it.
func run(t *testing.T, cfg asterisk.Config, host channel.Host) (c *asterisk.Channel, stop func()) {
	t.Helper()
	c, err := asterisk.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func(c channel.Channel) { ended <- c.Run(ctx) }(c)
	stopped := false
	stop = func() {
		if stopped {
			return
		}
		stopped = true
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("ended with %v", err)
		}
	}
	t.Cleanup(stop)
	return c, stop
}

// await waits until the host has an event that is one.
func await(t *testing.T, host *channeltest.Host, is func(channeltest.Event) bool) channeltest.Event {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for n := 0; ; n++ {
		events, err := host.WaitEvents(ctx, n+1)
		if err != nil {
			t.Fatal(err)
		}
		if is(events[n]) {
			return events[n]
		}
	}
}

func ofType(typ string) func(channeltest.Event) bool {
	return func(e channeltest.Event) bool { return e.Event.GetType() == typ }
}

func inThread(thread string) func(channeltest.Event) bool {
	return func(e channeltest.Event) bool { return e.Submission.GetThread() == thread }
}

// theMark is the thread of mark, a call that tells that everything before it was taken.
const (
	theMark = "1772400000.9999"
	mark    = "Event: Newchannel\nChannel: PJSIP/mark-0001\nCallerIDNum: 03099999999\nExten: s\nUniqueid: " + theMark +
		"\nLinkedid: " + theMark + "\nTimestamp: 1772400000.000000\n\n"
)

// told lets a new channel take a transcript from a switch, and gives what it told.
func told(t *testing.T, transcript string, options amitest.Options) *channeltest.Host {
	t.Helper()
	host, sw := channeltest.NewHost(), amitest.New(t, options)
	_, stop := run(t, config(configured(sw.Addr())), host)
	sw.Play(t, transcript)
	sw.Play(t, mark)
	await(t, host, inThread(theMark))
	stop()
	for _, c := range host.Conflicts() {
		t.Errorf("a conflict: %v", c.Submission)
	}
	return host
}

// story is what a host was told, without the mark.
func story(host *channeltest.Host) string {
	text := channeltest.Transcript(slices.DeleteFunc(host.Events(), inThread(theMark)))
	for _, r := range host.Rejections() {
		text += fmt.Sprintf("rejected: %s\n", r.Reason)
	}
	return text
}

// Every capture of a real switch goes through a real connection and gives the events that stand beside it. They are of Asterisk
// 11, whose events name no Linkedid.
func TestCaptures(t *testing.T) {
	files := captures(t)
	if len(files) != 17 {
		t.Fatalf("%d captures, want 17", len(files))
	}
	for name, capture := range files {
		t.Run(name, func(t *testing.T) {
			host := told(t, capture, account())
			channeltest.Golden(t, filepath.Join("testdata", "captures", name+".txt"), story(host))
		})
	}
}

// captures reads the recordings of panoramisk. Without them the test is skipped, unless the environment says that they must
// be there.
func captures(t *testing.T) map[string]string {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for !exists(filepath.Join(root, "go.work")) && root != filepath.Dir(root) {
		root = filepath.Dir(root)
	}
	folder := filepath.Join(root, "..", "shared", "data", "provider-payloads", "asterisk-ami-panoramisk", "tests", "fixtures")
	entries, err := os.ReadDir(folder)
	if errors.Is(err, os.ErrNotExist) && !slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" }) {
		t.Skip("skipped: the captures of ../shared/data/provider-payloads are not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for _, e := range entries {
		raw, err := os.ReadFile(filepath.Join(folder, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimSuffix(e.Name(), ".yaml")] = string(raw)
	}
	return files
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// stories are synthetic: composed from the pages of the events that they name.
func stories(t *testing.T) map[string]string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", "stories", "*.ami"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	all := map[string]string{}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(file), ".ami")] = string(raw)
	}
	return all
}

func TestStories(t *testing.T) {
	for name, s := range stories(t) {
		t.Run(name, func(t *testing.T) {
			host := told(t, s, account())
			if len(host.Rejections()) > 0 {
				t.Errorf("rejected: %v", host.Rejections())
			}
			channeltest.Golden(t, filepath.Join("testdata", "stories", name+".txt"), story(host))
		})
	}
}

// Lines that end with LF alone give the same.
func TestLinesMayEndWithLF(t *testing.T) {
	s := stories(t)["queue-answered"]
	options := account()
	options.LF = true
	if crlf, lf := story(told(t, s, account())), story(told(t, s, options)); crlf != lf {
		t.Errorf("with LF:\n%s\nwith CRLF:\n%s", lf, crlf)
	}
}

// Two processes at one switch tell each event once, and without conflict.
func TestTwoConnectionsTellTheSame(t *testing.T) {
	for name, s := range stories(t) {
		t.Run(name, func(t *testing.T) {
			alone := told(t, s, account())
			host, sw := channeltest.NewHost(), amitest.New(t, account())
			_, stop1 := run(t, config(configured(sw.Addr())), host)
			_, stop2 := run(t, config(configured(sw.Addr())), host)
			sw.Listeners(t, 2)
			sw.Play(t, s)
			sw.Play(t, mark)
			await(t, host, inThread(theMark))
			stop1()
			stop2()
			same(t, channeltest.Fingerprint(t, alone), channeltest.Fingerprint(t, host))
		})
	}
}

func same(t *testing.T, want, got []string) {
	t.Helper()
	if !slices.Equal(want, got) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// The blocks of each story in reverse order give the same events: each follows from its block alone.
func TestOrderDoesNotMatter(t *testing.T) {
	for name, s := range stories(t) {
		t.Run(name, func(t *testing.T) {
			blocks := strings.Split(strings.TrimSpace(s), "\n\n")
			slices.Reverse(blocks)
			same(t, channeltest.Fingerprint(t, told(t, s, account())), channeltest.Fingerprint(t, told(t, strings.Join(blocks, "\n\n"), account())))
		})
	}
}

func TestKit(t *testing.T) {
	blocks := strings.Split(strings.TrimSpace(stories(t)["attended-transfer"]), "\n\n")
	parts := [][]string{blocks[:len(blocks)/2], blocks[len(blocks)/2:]}
	channeltest.TestSource(t, channeltest.Source{
		New: func(t *testing.T, _ channel.Host, cursors channel.Cursors) channeltest.SourceUnderTest {
			t.Helper()
			return &underTest{sw: amitest.New(t, account()), cursors: cursors, parts: parts}
		},
		Story: len(parts), Events: 19, Gap: event.TypeSourceGapDetected,
	})
}

type underTest struct {
	sw      *amitest.Switch
	cursors channel.Cursors
	parts   [][]string
}

func (u *underTest) Channel() channel.Channel {
	cfg := config(configured(u.sw.Addr()))
	cfg.Cursors = u.cursors
	c, err := asterisk.New(cfg)
	if err != nil {
		panic(err) // the configuration is ours
	}
	return c
}

func (u *underTest) Tell(t *testing.T, i int) {
	t.Helper()
	u.sw.Play(t, strings.Join(u.parts[i], "\n\n"))
}

func (u *underTest) Cut(t *testing.T) {
	t.Helper()
	u.sw.Cut()
}

func TestLogin(t *testing.T) {
	for name, c := range map[string]struct {
		auth   asterisk.AuthType
		secret string
		good   bool
	}{
		"plain":                     {asterisk.Plain, secret, true},
		"md5":                       {asterisk.MD5, secret, true},
		"plain with a wrong secret": {asterisk.Plain, "wr0ng-0ne", false},
		"md5 with a wrong secret":   {asterisk.MD5, "wr0ng-0ne", false},
	} {
		t.Run(name, func(t *testing.T) {
			host, sw := channeltest.NewHost(), amitest.New(t, account())
			at := configured(sw.Addr())
			at.AuthType, at.Secret = c.auth, c.secret
			ch, stop := run(t, config(at), host)
			if c.good {
				sw.Play(t, mark)
				await(t, host, inThread(theMark))
				if s := ch.Statuses()[0]; s.Err != nil || s.Source != sw.Addr() || s.Inbox != "hotline" || s.Tenant != "acme" {
					t.Errorf("status %+v", s)
				}
				return
			}
			sw.AwaitRefusals(t, 3) // it tries again
			stop()
			err := ch.Statuses()[0].Err
			if err == nil || !strings.Contains(err.Error(), "Authentication failed") || strings.Contains(err.Error(), c.secret) {
				t.Errorf("status %v", err)
			}
		})
	}
}

func TestTLS(t *testing.T) {
	certified := httptest.NewTLSServer(nil) // for its certificate
	defer certified.Close()
	options := account()
	options.TLS = &tls.Config{Certificates: certified.TLS.Certificates, MinVersion: tls.VersionTLS12}
	host, sw := channeltest.NewHost(), amitest.New(t, options)
	trusted := x509.NewCertPool()
	trusted.AddCert(certified.Certificate())
	at := configured(sw.Addr())
	at.TLS, at.TLSConfig = true, &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}
	run(t, config(at), host)
	sw.Play(t, mark)
	await(t, host, inThread(theMark))

	stranger := configured(sw.Addr())
	stranger.TLS = true // and trusts the system's authorities only
	c, _ := run(t, config(stranger), host)
	for c.Statuses()[0].Err == nil || !strings.Contains(c.Statuses()[0].Err.Error(), "certificate") {
		if t.Context().Err() != nil {
			t.Fatal("never refused the certificate")
		}
	}
}
