// Package e2e_test runs the real program as its users do.
package e2e_test

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/mailload"
)

func TestPublishTailAndTimelineFromTheCommandLine(t *testing.T) {
	s := newSite(t)
	server := s.Up()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	line := `{"type":"message.received","channel":"CHANNEL_WEB_CHAT","direction":"DIRECTION_INBOUND","provider":"demo","inbox":"web","thread":"t","nativeId":"m1",` +
		`"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"Anna@Example.COM"},"side":"SIDE_CUSTOMER"}],"content":{"messageReceived":{"text":"Is it back in stock?"}}}`
	wrong := strings.Replace(strings.Replace(line, "message.received", "message.invented", 1), "Anna@", "Anna ", 1)
	if err := os.WriteFile(file, []byte(line+"\nnot JSON\n"+wrong+"\n"+line+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	srv := s.Start("publish", file, "--server", s.GRPC)
	if err := srv.End(); err == nil {
		t.Error("publish says that all was well")
	}
	for _, want := range []string{"line 2:", "line 3:", "submissions[0].type", "submissions[0].parties[0].address", "2 published, 2 wrong"} {
		if !strings.Contains(srv.Out(), want) {
			t.Errorf("%q is missing in\n%s", want, srv.Out())
		}
	}
	server.WaitFor("filing it", func() bool {
		return strings.Contains(s.Run("timeline", "anna@example.com", "--server", s.GRPC), "Is it back in stock?")
	})
	if tail := s.Run("tail", "--from-beginning", "--end", "--kafka", s.Kafka); strings.Count(tail, "message.received") != 2 {
		t.Errorf("tail:\n%s", tail)
	}
}

func TestMistakesAtStartGetAnAnswerThatSaysWhatToDo(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.Up()
	other := newSite(t)
	sameDir := *other
	sameDir.Dir = s.Dir
	samePort := *other
	samePort.GRPC = s.GRPC
	sameSMTP := *newSite(t)
	sameSMTP.SMTP = s.SMTP
	config := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(config, []byte("grpc:\n  adr: x\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		args []string
		want []string
	}{
		"a second process on the same data": {sameDir.Args("up"), []string{"in use by another process", s.Dir}},
		"a used gRPC port":                  {samePort.Args("up"), []string{s.GRPC, "in use", "grpc.addr"}},
		"a used SMTP port":                  {sameSMTP.Args("up"), []string{s.SMTP, "in use"}},
		"a setting that does not exist":     {append(other.Args("up"), "-c", config), []string{"adr"}},
		"an address for all, no tokens":     {append(other.Args("up"), "--grpc", "0.0.0.0:7070"), []string{"grpc.addr", "auth.tokens"}},
		"a role that does not exist":        {other.Args("run", "ingress"), []string{`no role "ingress"`, "projector"}},
		"one of two that share a store":     {other.Args("config", "verify", "timeline"), []string{"timeline", "projector", "one process"}},
		"no server to ask":                  {[]string{"timeline", "a@b.c", "--server", other.GRPC}, []string{"skein up"}},
		"no log to follow":                  {[]string{"tail", "--kafka", other.Kafka}, []string{"skein up"}},
	} {
		t.Run(name, func(t *testing.T) {
			at := other
			if name == "a used SMTP port" {
				at = &sameSMTP
			}
			srv := at.Start(c.args...)
			if err := srv.End(); err == nil {
				t.Fatalf("no error:\n%s", srv.Out())
			}
			for _, want := range c.want {
				if !strings.Contains(srv.Out(), want) {
					t.Errorf("%q is missing in:\n%s", want, srv.Out())
				}
			}
		})
	}
}

// What tools/mailcount.py counts in the corpus, by rules of its own.
const (
	corpusMails   = 6046
	corpusThreads = 4787
)

func TestRealMailsKilledTenTimesSentAgainAndFoldedAgain(t *testing.T) {
	t.Parallel()
	archive := filepath.Join("..", "..", "..", "shared", "data", "spamassassin-public-corpus", "spamassassin-public-corpus.tar.xz")
	_, err := os.Stat(archive)
	skeintest.Require(t, "data", err == nil, "it is not there: "+archive)
	mails, err := mailload.Read(archive)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t)
	up := func() *skeintest.Process {
		return s.Serve([]string{"run", "email", "ingest", "projector", "timeline", "admin"}) // what the mails pass on their way into timelines
	}
	srv := up()
	send := func() *mailload.Sender {
		return &mailload.Sender{Addr: s.SMTP, To: "support@skein.example", Connections: 4, Patience: 60e9}
	}
	verify := func() (mailload.Report, []byte) {
		var dump bytes.Buffer
		v := mailload.Verifier{GRPC: s.GRPC, Kafka: []string{s.Kafka}, Dump: &dump}
		report, err := v.Verify(t.Context())
		if err != nil {
			t.Fatalf("%v\n%s", err, srv.Out())
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
		srv.WaitFor("at the next kill", func() bool { return sender.Accepted() >= i*len(mails)/(kills+1) })
		srv.Kill()
		srv = up()
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

	if err := srv.Stop(); err != nil {
		t.Fatalf("%v\n%s", err, srv.Out())
	}
	hash := foldedFromInteractions(s.Run("store", "hash", "--data", s.Dir))
	s.Run("store", "drop", "--data", s.Dir)
	if left := s.Run("store", "hash", "--data", s.Dir); left != "" {
		t.Fatalf("after the drop there is still %s", left)
	}
	srv = up()
	_, folded := verify()
	if !bytes.Equal(timelines, folded) {
		t.Error("folding the log again changed a timeline")
	}
	if err := srv.Stop(); err != nil {
		t.Fatalf("%v\n%s", err, srv.Out())
	}
	if refolded := foldedFromInteractions(s.Run("store", "hash", "--data", s.Dir)); refolded != hash || !regexp.MustCompile(`timeline/1\tsha256:`).MatchString(hash) {
		t.Errorf("state hash before\n%s\nand after\n%s", hash, refolded)
	}
	t.Logf("state hash, before and after:\n%s", hash)
}

// foldedFromInteractions leaves the hashes of what is folded from links out: rules that were behind ask for more of them meanwhile.
func foldedFromInteractions(hashes string) string {
	var kept []string
	for line := range strings.Lines(hashes) {
		if strings.HasPrefix(line, "timeline/") || strings.HasPrefix(line, "interactions/") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}
