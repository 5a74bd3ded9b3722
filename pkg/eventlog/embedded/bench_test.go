package embedded_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

// BenchmarkAppend is what waiting for the disk costs, for a stream of messages and for one at a time.
func BenchmarkAppend(b *testing.B) {
	for _, sync := range []bool{false, true} {
		for _, together := range []int{1, 1000} {
			b.Run(fmt.Sprintf("SyncWrites=%t/together=%d", sync, together), func(b *testing.B) {
				ctx := context.Background()
				broker, err := embedded.Start(ctx, embedded.Config{Dir: b.TempDir(), Addr: "127.0.0.1:0", SyncWrites: sync})
				check(b, err)
				log, err := kafkalog.Open(ctx, kafkalog.Config{Brokers: []string{broker.Addr()}})
				check(b, err)
				check(b, log.EnsureTopics(ctx, eventlog.Topic{Name: topic, Partitions: 8}))
				messages := make([]eventlog.Message, together)
				for i := range messages {
					messages[i] = eventlog.Message{Topic: topic, Key: fmt.Appendf(nil, "%d", i), Value: make([]byte, 350)}
				}
				b.ResetTimer()
				for range b.N {
					_, err := eventlog.AppendAll(ctx, log, messages)
					check(b, err)
				}
				b.StopTimer()
				check(b, log.Close())
				check(b, broker.Close())
			})
		}
	}
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}
