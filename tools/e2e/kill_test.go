package e2e_test

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/skein-cx/skein/tools/eventload"
)

// setting is a number that a long run sets in the environment.
func setting(t *testing.T, name string, otherwise int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return n
}

// The long run: SKEIN_KILLS=50 SKEIN_EVENTS=2000000 go test ./tools/e2e -run KilledWhile -v -timeout 1h
func TestEveryAcknowledgedEventStandsOnceThoughTheServerIsKilledWhileAClientStreams(t *testing.T) {
	t.Parallel()
	events, kills, seed := setting(t, "SKEIN_EVENTS", 60_000), setting(t, "SKEIN_KILLS", 4), setting(t, "SKEIN_SEED", 20260301)
	random := rand.New(rand.NewPCG(uint64(seed), 0))
	s := newSite(t)
	server := s.Up()
	sender := &eventload.Sender{
		Load: eventload.Load{Name: "kill", Events: events, Customers: 500}, Servers: []string{s.GRPC}, RepeatOneIn: 100,
	}
	sent, done := eventload.Sent{}, make(chan error, 1)
	go func() {
		var err error
		sent, err = sender.Send(t.Context())
		done <- err
	}()
	for i := range kills {
		next := int((float64(i) + random.Float64()) * float64(events) / float64(kills))
		server.WaitFor("at the next kill", func() bool { return sender.Acknowledged() >= next })
		<-time.After(time.Duration(random.IntN(100)) * time.Millisecond) // the moment is to be any
		server.Kill()
		server = s.Up()
	}
	if err := <-done; err != nil {
		t.Fatalf("%v\n%s", err, server.Out())
	}
	t.Logf("seed %d, kills %d: %v", seed, kills, sent)
	report, err := eventload.Verify(t.Context(), sender.Load, s.GRPC, "", sent)
	if err != nil {
		t.Fatalf("%v\n%s", err, server.Out())
	}
	t.Log(report)
	if !report.Good() || report.Events != events {
		t.Errorf("%v", report.Wrong)
	}
	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
}
