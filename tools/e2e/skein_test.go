// Package e2e_test runs the real program as its users do.
package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/skein-cx/skein/tools/mailload"
)

func TestPublishTailAndTimelineFromTheCommandLine(t *testing.T) {
	s := newSite(t)
	server := s.up()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	line := `{"type":"message.received","channel":"CHANNEL_WEB_CHAT","direction":"DIRECTION_INBOUND","provider":"demo","inbox":"web","thread":"t","nativeId":"m1",` +
		`"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"Anna@Example.COM"},"side":"SIDE_CUSTOMER"}],"content":{"messageReceived":{"text":"Is it back in stock?"}}}`
	wrong := strings.Replace(strings.Replace(line, "message.received", "message.invented", 1), "Anna@", "Anna ", 1)
	if err := os.WriteFile(file, []byte(line+"\nnot JSON\n"+wrong+"\n"+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := s.start("publish", file, "--server", s.grpc)
	if err := srv.end(); err == nil {
		t.Error("publish says that all was well")
	}
	for _, want := range []string{"line 2:", "line 3:", "submissions[0].type", "submissions[0].parties[0].address", "2 published, 2 wrong"} {
		if !strings.Contains(srv.out.String(), want) {
			t.Errorf("%q is missing in\n%s", want, srv.out)
		}
	}
	server.waitFor("filing it", func() bool {
		return strings.Contains(s.run("timeline", "anna@example.com", "--server", s.grpc), "Is it back in stock?")
	})
	if tail := s.run("tail", "--from-beginning", "--end", "--kafka", s.kafka); strings.Count(tail, "message.received") != 2 {
		t.Errorf("tail:\n%s", tail)
	}
}

func TestMistakesAtStartGetAnAnswerThatSaysWhatToDo(t *testing.T) {
	s := newSite(t)
	s.up()
	other := newSite(t)
	sameDir := *other
	sameDir.dir = s.dir
	samePort := *other
	samePort.grpc = s.grpc
	sameSMTP := *newSite(t)
	sameSMTP.smtp = s.smtp
	config := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(config, []byte("grpc:\n  adr: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a second process on the same data": {sameDir.args("up"), []string{"in use by another process", s.dir}},
		"a used gRPC port":                  {samePort.args("up"), []string{s.grpc, "in use", "grpc.addr"}},
		"a used SMTP port":                  {sameSMTP.args("up"), []string{s.smtp, "in use"}},
		"a setting that does not exist":     {append(other.args("up"), "-c", config), []string{"adr"}},
		"an address for all, no tokens":     {append(other.args("up"), "--grpc", "0.0.0.0:7070"), []string{"grpc.addr", "auth.tokens"}},
		"a role that does not exist":        {other.args("run", "ingress"), []string{`no role "ingress"`, "projector"}},
		"one of two that share a store":     {other.args("config", "verify", "timeline"), []string{"timeline", "projector", "one process"}},
		"no server to ask":                  {[]string{"timeline", "a@b.c", "--server", other.grpc}, []string{"skein up"}},
		"no log to follow":                  {[]string{"tail", "--kafka", other.kafka}, []string{"skein up"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := other
			if name == "a used SMTP port" {
				at = &sameSMTP
			}
			srv := at.start(c.args...)
			if err := srv.end(); err == nil {
				t.Fatalf("no error:\n%s", srv.out)
			}
			for _, want := range c.want {
				if !strings.Contains(srv.out.String(), want) {
					t.Errorf("%q is missing in:\n%s", want, srv.out)
				}
			}
		})
	}
}

// What tools/mailcount.py counts in the corpus, by rules of its own.
const (
	corpusMails   = 6046
	corpusThreads = 4788
)

func TestRealMailsKilledTenTimesSentAgainAndFoldedAgain(t *testing.T) {
	archive := filepath.Join("..", "..", "..", "shared", "data", "spamassassin-public-corpus", "spamassassin-public-corpus.tar.xz")
	require(t, "data", archive)
	mails, err := mailload.Read(archive)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	srv := s.up()
	send := func() *mailload.Sender {
		return &mailload.Sender{Addr: s.smtp, To: "support@skein.example", Connections: 4, Patience: 60e9}
	}
	verify := func() (mailload.Report, []byte) {
		var dump bytes.Buffer
		v := mailload.Verifier{GRPC: s.grpc, Kafka: []string{s.kafka}, Dump: &dump}
		report, err := v.Verify(t.Context())
		if err != nil {
			t.Fatalf("%v\n%s", err, srv.out)
		}
		for _, w := range report.Wrong {
			t.Error(w)
		}
		if report.Events != corpusMails || report.Threads != corpusThreads || report.DeadLetters != 0 {
			t.Errorf("%v; want %d events in %d threads and no dead letters", report, corpusMails, corpusThreads)
		}
		return report, dump.Bytes()
	}

	sender := send()
	sent := make(chan error, 1)
	go func() {
		result, err := sender.Send(t.Context(), mails)
		t.Log(result)
		sent <- err
	}()
	const kills = 10
	for i := 1; i <= kills; i++ {
		srv.waitFor("at the next kill", func() bool { return sender.Accepted() >= i*len(mails)/(kills+1) })
		srv.kill()
		srv = s.up()
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	first, timelines := verify()
	t.Logf("after %d kills: %v", kills, first)

	if _, err := send().Send(t.Context(), mails); err != nil {
		t.Fatal(err)
	}
	again, same := verify()
	if !bytes.Equal(timelines, same) {
		t.Error("sending all mails again changed a timeline")
	}
	if again.Records != first.Records+corpusMails {
		t.Errorf("%d records after sending again, %d before", again.Records, first.Records)
	}

	if err := srv.stop(); err != nil {
		t.Fatalf("%v\n%s", err, srv.out)
	}
	hash := s.run("store", "hash", "--data", s.dir)
	s.run("store", "drop", "--data", s.dir)
	if left := s.run("store", "hash", "--data", s.dir); left != "" {
		t.Fatalf("after the drop there is still %s", left)
	}
	srv = s.up()
	_, folded := verify()
	if !bytes.Equal(timelines, folded) {
		t.Error("folding the log again changed a timeline")
	}
	if err := srv.stop(); err != nil {
		t.Fatalf("%v\n%s", err, srv.out)
	}
	if refolded := s.run("store", "hash", "--data", s.dir); refolded != hash || !regexp.MustCompile(`timeline/1\tsha256:`).MatchString(hash) {
		t.Errorf("state hash before\n%s\nand after\n%s", hash, refolded)
	}
	t.Logf("state hash, before and after:\n%s", hash)
}
