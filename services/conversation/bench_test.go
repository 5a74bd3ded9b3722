package conversation_test

import (
	"fmt"
	"testing"

	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
)

// BenchmarkList reads the first 50 of 10,000 open interactions in their usual order.
func BenchmarkList(b *testing.B) {
	for _, engine := range []string{"memory", "pebble"} {
		b.Run(engine, func(b *testing.B) {
			store := memory()
			if engine == "pebble" {
				var err error
				if store, err = pebblekv.Open(b.TempDir(), pebblekv.Options{NoSync: true}); err != nil {
					b.Fatal(err)
				}
			}
			defer func() { _ = store.Close() }()
			w := newWorld(b, store)
			for n := range 10_000 {
				w.publish(message(fmt.Sprint("t", n), "1", n%1000, fmt.Sprint(n, "@x.org")))
			}
			w.fold(2000)
			b.ReportAllocs()
			for b.Loop() {
				resp, err := w.server.List(caller(), &conversationv1.ListRequest{})
				if err != nil || len(resp.GetWork()) != 50 {
					b.Fatal(len(resp.GetWork()), err)
				}
			}
		})
	}
}

// BenchmarkWatch measures from the call that publishes a message until a watch has told of it: intake, log, fold and watch, one at a time.
func BenchmarkWatch(b *testing.B) {
	w := newWorld(b, memory())
	w.live(b)
	c := w.watching(&conversationv1.WatchRequest{})
	c.take() // the checkpoint
	n := 0
	for b.Loop() {
		n++
		w.publish(message("t", fmt.Sprint(n), n, "a@x.org"))
		told := c.told
		c.takeUntil(func() bool { return c.told > told })
	}
	_ = c.disconnect() // it was asked to end
}
