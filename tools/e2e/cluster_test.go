package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/freeport"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/eventload"
	"github.com/skein-cx/skein/tools/kafka"
)

// cluster starts brokers that end with the test.
func cluster(t *testing.T, brokers int) *kafka.Cluster {
	t.Helper()
	c := newCluster(t, brokers)
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	return c
}

func newCluster(t *testing.T, brokers int) *kafka.Cluster {
	t.Helper()
	err := kafka.Check(t.Context())
	skeintest.Require(t, "kafka", err == nil, "Java and Maven are needed: "+errorText(err))
	c, err := kafka.Make(t.Context(), kafka.Config{Dir: filepath.Join(t.TempDir(), "kafka"), Brokers: brokers, Frugal: true, Owned: true, Progress: os.Stderr})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Down(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	})
	return c
}

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// streamed sends a load while something happens, and verifies at last, on each of the servers, that every event stands once.
func streamed(t *testing.T, sender *eventload.Sender, servers []string, meanwhile func(acknowledged func(n int))) {
	t.Helper()
	sender.Servers = servers
	sent, done := eventload.Sent{}, make(chan error, 1)
	go func() {
		var err error
		sent, err = sender.Send(t.Context())
		done <- err
	}()
	var early error
	ended := false
	meanwhile(func(n int) {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for !ended && sender.Acknowledged() < n {
			select {
			case <-tick.C:
			case early = <-done:
				ended = true
			case <-t.Context().Done():
				t.Fatal(t.Context().Err())
			}
		}
	})
	if !ended {
		early = <-done
	}
	if early != nil {
		t.Fatal(early)
	}
	t.Log(sent)
	for _, server := range servers {
		report, err := eventload.Verify(t.Context(), sender.Load, server, "", sent)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("%s: %v", server, report)
		if !report.Good() || report.Events != sender.Events {
			t.Errorf("%s: %v", server, report.Wrong)
		}
	}
}

// boundedMemory is what a server may take at most, whatever the brokers do.
const boundedMemory = 1 << 30

// inBounds looks at a server's memory after a load.
func inBounds(t *testing.T, s *skeintest.Site) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+s.HTTP+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	metrics, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(metrics)) {
		var bytes float64
		if _, err := fmt.Sscanf(line, "process_resident_memory_bytes %g", &bytes); err == nil {
			t.Logf("memory %.0f MiB", bytes/(1<<20))
			if bytes > boundedMemory {
				t.Errorf("%.0f bytes of memory", bytes)
			}
			return
		}
	}
	t.Error("the server tells nothing of its memory")
}

// The long run: SKEIN_EVENTS=300000 go test ./tools/e2e -run ABrokerOfThree -v
func TestAcknowledgedEventsStandOnceThoughABrokerOfThreeIsKilledAndReplaced(t *testing.T) {
	t.Parallel()
	events := setting(t, "SKEIN_EVENTS", 40_000)
	c := cluster(t, 3)
	s := newSite(t)
	server := s.Up("--kafka", strings.Join(c.Addrs(), ","))
	sender := &eventload.Sender{Load: eventload.Load{Name: "broker", Events: events, Customers: 300}, Rate: 5000, RepeatOneIn: 100}
	streamed(t, sender, []string{s.GRPC}, func(acknowledged func(int)) {
		for n := range 2 {
			acknowledged((n + 1) * events / 4)
			if err := c.Kill(t.Context(), n+1); err != nil {
				t.Error(err)
			}
			acknowledged((n+1)*events/4 + events/8)
			if err := c.Start(t.Context(), n+1); err != nil {
				t.Error(err)
			}
		}
	})
	inBounds(t, s)
	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
}

func TestAcknowledgedEventsStandOnceThoughTheOnlyBrokerIsKilled(t *testing.T) {
	t.Parallel()
	events := setting(t, "SKEIN_EVENTS", 30_000)
	c := cluster(t, 1)
	s := newSite(t)
	server := s.Up("--kafka", strings.Join(c.Addrs(), ","))
	sender := &eventload.Sender{Load: eventload.Load{Name: "broker", Events: events, Customers: 300}, Rate: 5000}
	streamed(t, sender, []string{s.GRPC}, func(acknowledged func(int)) {
		acknowledged(events / 3)
		if err := c.Restart(t.Context(), 1); err != nil {
			t.Error(err)
		}
	})
	inBounds(t, s)
	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
}

// Skein reaches each of three brokers through a proxy: the network is slow, then one broker is silent for a while, which its
// peers do not notice, then its connections break.
func TestAcknowledgedEventsStandOnceThoughTheNetworkToABrokerIsSlowSilentAndBroken(t *testing.T) {
	t.Parallel()
	c := newCluster(t, 3)
	var addrs []string
	var proxies []*toxiproxy.Proxy
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	for i, upstream := range c.Addrs() {
		p := toxiproxy.NewProxy(server, fmt.Sprint("broker-", i+1), freeport.Addr(t), upstream)
		if err := p.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(p.Stop)
		addrs, proxies = append(addrs, p.Listen), append(proxies, p)
	}
	if err := c.Advertise(addrs...); err != nil {
		t.Fatal(err)
	}
	if err := c.Up(t.Context()); err != nil {
		t.Fatal(err)
	}
	poison := func(p *toxiproxy.Proxy, toxic string) {
		t.Helper()
		if _, err := p.Toxics.AddToxicJson(strings.NewReader(toxic)); err != nil {
			t.Error(err)
		}
	}
	s := newSite(t)
	srv := s.Up("--kafka", strings.Join(addrs, ","))
	events := setting(t, "SKEIN_EVENTS", 30_000)
	sender := &eventload.Sender{Load: eventload.Load{Name: "proxy", Events: events, Customers: 300}, Rate: 5000}
	streamed(t, sender, []string{s.GRPC}, func(acknowledged func(int)) {
		acknowledged(events / 6)
		for _, p := range proxies {
			poison(p, `{"name":"slow","type":"latency","stream":"downstream","attributes":{"latency":40,"jitter":20}}`)
		}
		acknowledged(2 * events / 6)
		for _, p := range proxies {
			p.Toxics.ResetToxics(t.Context())
		}
		poison(proxies[1], `{"name":"silent","type":"timeout","stream":"downstream","attributes":{"timeout":0}}`)
		<-time.After(8 * time.Second) // as long as nothing comes from it
		proxies[1].Toxics.ResetToxics(t.Context())
		acknowledged(4 * events / 6)
		poison(proxies[2], `{"name":"broken","type":"reset_peer","stream":"downstream","attributes":{"timeout":0}}`)
		<-time.After(3 * time.Second)
		proxies[2].Toxics.ResetToxics(t.Context())
	})
	inBounds(t, s)
	if err := srv.Stop(); err != nil {
		t.Errorf("%v\n%s", err, srv.Out())
	}
}

// A topic that was deleted and made anew holds other events than those that the read model was built from: whoever starts on
// it is told so, and what to do.
func TestATopicThatWasMadeAnewIsRefused(t *testing.T) {
	t.Parallel()
	c := cluster(t, 1)
	s := newSite(t)
	server := s.Up("--kafka", c.Addrs()[0])
	sender := &eventload.Sender{Load: eventload.Load{Name: "old", Events: 500, Customers: 50}}
	streamed(t, sender, []string{s.GRPC}, func(func(int)) {})
	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
	remove := c.Java(t.Context(), "org.apache.kafka.tools.TopicCommand", "--bootstrap-server", c.Addrs()[0], "--delete", "--topic", event.TopicInteractions)
	if out, err := remove.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	again := s.Start(append(s.Args("up"), "--kafka", c.Addrs()[0])...)
	if err := again.End(); err == nil || !strings.Contains(again.Out(), "the log is not the one that this read model was built from") || !strings.Contains(again.Out(), "drop the read model") {
		t.Errorf("it ends with %v and says:\n%s", err, again.Out())
	}
	s.Run("store", "drop", "--data", s.Dir)
	server = s.Up("--kafka", c.Addrs()[0])
	sender = &eventload.Sender{Load: eventload.Load{Name: "new", Events: 500, Customers: 50}}
	streamed(t, sender, []string{s.GRPC}, func(func(int)) {})
	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
}
