package e2e_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/kv/pgkv/pgtest"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/eventload"
)

// processes are servers on one log and one PostgreSQL store.
type processes struct {
	sites   []*skeintest.Site
	servers []*skeintest.Process
	flags   []string
}

func startProcesses(t *testing.T, n int, brokers []string, dsn string) *processes {
	t.Helper()
	p := &processes{flags: []string{"--kafka", strings.Join(brokers, ","), "--store", dsn}}
	for i := range n {
		s := newSite(t)
		if i > 0 {
			s.Dir = p.sites[0].Dir // the keyring and the blobs, as on a shared disk
		}
		p.sites = append(p.sites, s)
		p.servers = append(p.servers, s.Up(p.flags...))
	}
	return p
}

func (p *processes) addrs() []string {
	var addrs []string
	for _, s := range p.sites {
		addrs = append(addrs, s.GRPC)
	}
	return addrs
}

// replace kills a process and starts it again.
func (p *processes) replace(i int) {
	p.servers[i].Kill()
	p.servers[i] = p.sites[i].Up(p.flags...)
}

func (p *processes) stop(t *testing.T) {
	t.Helper()
	for _, s := range p.servers {
		if err := s.Stop(); err != nil {
			t.Errorf("%v\n%s", err, s.Out())
		}
	}
}

// The long run: SKEIN_SECONDS=300 go test ./tools/e2e -run TwoProcesses -v
//
// Watchers on both processes see every event once, too, from cursor to cursor through the kills.
func TestTwoProcessesShareAStoreThoughOneIsKilledEveryTenSeconds(t *testing.T) {
	t.Parallel()
	postgres := pgtest.New(t, pgtest.Options{})
	brokers := cluster(t, 1).Addrs()
	p := startProcesses(t, 2, brokers, postgres.DSN())
	seconds, rate := setting(t, "SKEIN_SECONDS", 25), setting(t, "SKEIN_RATE", 1000)
	sender := &eventload.Sender{Load: eventload.Load{Name: "two", Events: seconds * rate, Customers: 100}, Rate: rate, RepeatOneIn: 100}
	watching, end := context.WithCancel(t.Context())
	defer end()
	var watches sync.WaitGroup
	for i := range 8 {
		w := &eventload.Watcher{Load: sender.Load, Customer: i, Servers: p.addrs()}
		watches.Go(func() {
			if err := w.Watch(watching); err != nil {
				t.Errorf("watcher %d: %v", i, err)
			}
			t.Logf("watcher %d: longest stall %.2f s", i, w.Longest.Seconds())
		})
	}
	streamed(t, sender, p.addrs(), func(acknowledged func(int)) {
		for i := range seconds / 10 {
			acknowledged((i + 1) * 10 * rate)
			p.replace(i % 2)
		}
	})
	watches.Wait()
	p.stop(t)
}

// A rebuild that one process is asked for switches both; each sees the same, and the state is that of a fold from the start.
func TestARebuildSwitchesAllProcesses(t *testing.T) {
	t.Parallel()
	postgres := pgtest.New(t, pgtest.Options{Fast: true})
	brokers := cluster(t, 1).Addrs()
	p := startProcesses(t, 2, brokers, postgres.DSN())
	sender := &eventload.Sender{Load: eventload.Load{Name: "rebuild", Events: 10_000, Customers: 50}, Rate: 2000}
	streamed(t, sender, p.addrs(), func(acknowledged func(int)) {
		acknowledged(3000)
		if out := p.sites[0].Run("rebuild", "timeline", "--server", p.sites[0].GRPC); !strings.Contains(out, "Generation 2 of timeline serves.") {
			t.Errorf("rebuild says:\n%s", out)
		}
		acknowledged(6000)
		if out := p.sites[1].Run("rebuild", "timeline", "--server", p.sites[1].GRPC); !strings.Contains(out, "Generation 3 of timeline serves.") {
			t.Errorf("rebuild says:\n%s", out)
		}
	})
	for _, s := range p.sites {
		p.servers[0].WaitFor("serving generation 3", func() bool {
			return servesTimeline3.MatchString(s.Run("lag", "--server", s.GRPC))
		})
	}
	p.stop(t)
}

// The database goes away and comes back under load: clients wait or are told to, and nothing is lost.
func TestAcknowledgedEventsStandOnceThoughPostgreSQLIsKilled(t *testing.T) {
	t.Parallel()
	postgres := pgtest.New(t, pgtest.Options{})
	s := newSite(t)
	server := s.Up("--store", postgres.DSN())
	sender := &eventload.Sender{Load: eventload.Load{Name: "database", Events: 20_000, Customers: 100}, Rate: 3000}
	streamed(t, sender, []string{s.GRPC}, func(acknowledged func(int)) {
		for i := range 2 {
			acknowledged((i + 1) * 6000)
			postgres.Kill()
			<-time.After(500 * time.Millisecond) // away for a while
			if err := postgres.Up(); err != nil {
				t.Error(err)
			}
		}
	})
	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
}
