package chatload_test

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/skein-cx/skein/tools/chatload"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

const (
	messages = 10_000
	kills    = 5
	seed     = 20260301
)

func Test10000RealMessagesStandOnceThoughConnectionsBreakAndTheServerIsKilled(t *testing.T) {
	path := filepath.Join("..", "..", "..", "shared", "data", "multidogo", "multidogo.tar.xz")
	_, err := os.Stat(path)
	skeintest.Require(t, "data", err == nil, path+" is not there")
	conversations, err := chatload.Read(path, messages)
	if err != nil {
		t.Fatal(err)
	}
	binary, err := skeintest.Build(filepath.Join("..", ".."), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	site := skeintest.NewSite(t, binary)
	server := site.Up()
	sender := chatload.Sender{URL: "http://" + site.HTTP + "/chat/v1/web/", Seed: seed, Connections: 64, Patience: time.Minute}
	var sent chatload.Sent
	done := make(chan error, 1)
	go func() {
		var err error
		sent, err = sender.Send(t.Context(), conversations)
		done <- err
	}()
	for i := 1; i <= kills; i++ {
		server.WaitFor("at the next kill", func() bool { return sender.Acknowledged() >= i*messages/(kills+1) })
		server.Kill()
		server = site.Up()
	}
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, server.Out())
	}
	t.Logf("seed %d, %d kills: %v", seed, kills, sent)
	v := chatload.Verifier{GRPC: site.GRPC}
	report, err := v.Verify(t.Context(), sent)
	if err != nil {
		t.Fatalf("%v\n%s", err, server.Out())
	}
	t.Log(report)
	for _, wrong := range report.Wrong {
		t.Error(wrong)
	}
	if report.Messages != messages {
		t.Errorf("%d messages", report.Messages)
	}
	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
}
