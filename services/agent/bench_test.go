package agent_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	"github.com/skein-cx/skein/services/agent"
)

// A floor of 10,000 agents: what it takes to load it, and from a statement to who follows it.
func BenchmarkFloor(b *testing.B) {
	const agents = 10_000
	w := newWorld(b)
	disk, err := pebblekv.Open(b.TempDir(), pebblekv.Options{NoSync: true})
	must(b, err)
	defer func() { must(b, disk.Close()) }()
	w.store, w.agents = disk, w.reads(disk)
	who := func(n int) string { return fmt.Sprint("agent", n) }
	for n := range agents {
		w.append(eventOf(fmt.Sprint("presence", n), who(n), "desk", at(0), at(0), presenceOf("Available", 1)))
		w.append(eventOf(fmt.Sprint("beat", n), who(n), "desk", at(1), at(1), heartbeatOf(time.Hour)))
	}
	begin := time.Now()
	w.fold(w.store, 0)
	folded := time.Since(begin)
	w.setClock(at(2))
	w.shares = append(w.shares, share(0, &conversationv1.Assignment{Id: hashed("share").String(), Agent: who(0), ConnectedAt: stamp(at(1))}))

	floor := agent.NewFloor(w.agents, nil)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 2)
	go func() { ended <- floor.Run(ctx) }()
	r := w.runner(w.store, 0)
	go func() { ended <- r.Run(ctx) }()
	defer r.Close()
	defer func() {
		cancel()
		for range 2 {
			must(b, <-ended)
		}
	}()
	w.opens()
	begin = time.Now()
	x, stop := w.follow(b, floor)
	defer stop()
	x.until("all are told", func() bool { return x.last.Complete })
	loaded := time.Since(begin)
	b.ResetTimer()
	for n := range b.N {
		pos := w.append(eventOf(fmt.Sprint("more", n), who(n%agents), "desk", at(2), at(2), presenceOf(fmt.Sprint(n), 2)))
		x.until("it is contained", func() bool { return x.last.Agents.Includes(pos.Partition, pos.Offset) })
	}
	b.ReportMetric(2*agents/folded.Seconds(), "folded/s")
	b.ReportMetric(agents/loaded.Seconds(), "loaded/s")
}
