package kafkalog_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

var benchValue = bytes.Repeat([]byte("0123456789abcdef"), 22) // 352 bytes, as most events

func benchKey(i int) []byte { return binary.BigEndian.AppendUint64(make([]byte, 0, 16), uint64(i)) }

// benchBroker is one of the brokers of SKEIN_TEST_KAFKA, or an embedded one.
func benchBroker(b *testing.B) string {
	b.Helper()
	if brokers := os.Getenv("SKEIN_TEST_KAFKA"); brokers != "" {
		return strings.Split(brokers, ",")[0]
	}
	return embeddedBroker(b).Addr()
}

func benchLog(b *testing.B, addr string) *kafkalog.Log {
	b.Helper()
	return opened(b, kafkalog.Config{Brokers: []string{addr}})
}

func benchTopic(b *testing.B, log *kafkalog.Log, partitions int) string {
	b.Helper()
	name := "bench." + rand.Text()
	must(b, log.EnsureTopics(context.Background(), eventlog.Topic{Name: name, Partitions: partitions}))
	return name
}

// BenchmarkAppend and BenchmarkDriversWriter append the same messages to the same broker: the second is the ceiling that
// the first is measured against.
func BenchmarkAppend(b *testing.B) {
	log := benchLog(b, benchBroker(b))
	topic := benchTopic(b, log, 8)
	b.SetBytes(int64(len(benchValue)))
	b.ResetTimer()
	appendMany(b, log, topic, b.N)
	must(b, log.Close())
}

func appendMany(b *testing.B, log *kafkalog.Log, topic string, n int) {
	b.Helper()
	done := func(_ eventlog.Position, err error) {
		if err != nil {
			b.Error(err)
		}
	}
	for i := range n {
		m := eventlog.Message{Topic: topic, Key: benchKey(i), Value: benchValue}
		if err := log.Append(context.Background(), m, done); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkDriversWriter(b *testing.B) {
	addr := benchBroker(b)
	log := benchLog(b, addr)
	topic := benchTopic(b, log, 8)
	must(b, log.Close())
	w := &kafka.Writer{
		Addr: kafka.TCP(addr), Topic: topic, Balancer: kafka.Murmur2Balancer{}, RequiredAcks: kafka.RequireAll,
		BatchSize: 10_000, BatchBytes: 1 << 20, BatchTimeout: 2 * time.Millisecond, Async: true, Transport: new(kafka.Transport),
		Completion: func(_ []kafka.Message, err error) {
			if err != nil {
				b.Error(err)
			}
		},
	}
	b.SetBytes(int64(len(benchValue)))
	b.ResetTimer()
	const together = 1000 // one at a time it is slower still
	messages := make([]kafka.Message, 0, together)
	for i := range b.N {
		messages = append(messages, kafka.Message{Key: benchKey(i), Value: benchValue})
		if len(messages) == together || i == b.N-1 {
			must(b, w.WriteMessages(context.Background(), messages...))
			messages = messages[:0]
		}
	}
	must(b, w.Close())
}

// BenchmarkAppendOne is what a single event takes from hand-over to acknowledgement.
func BenchmarkAppendOne(b *testing.B) {
	log := benchLog(b, benchBroker(b))
	topic := benchTopic(b, log, 8)
	for i := range b.N {
		_, err := eventlog.AppendAll(context.Background(), log, []eventlog.Message{{Topic: topic, Key: benchKey(i), Value: benchValue}})
		must(b, err)
	}
	must(b, log.Close())
}

// filled is a broker with a topic whose first partition holds n records.
func filled(b *testing.B, n int) (addr, topic string) {
	b.Helper()
	addr = benchBroker(b)
	log := benchLog(b, addr)
	topic = benchTopic(b, log, 1)
	appendMany(b, log, topic, n)
	must(b, log.Close())
	return addr, topic
}

func BenchmarkRead(b *testing.B) {
	addr, topic := filled(b, b.N)
	log := benchLog(b, addr)
	r, err := log.Open(context.Background(), topic, 0, 0)
	must(b, err)
	b.SetBytes(int64(len(benchValue)))
	b.ResetTimer()
	for read := 0; read < b.N; {
		records, err := r.Read(context.Background(), 1000)
		must(b, err)
		read += len(records)
	}
	b.StopTimer()
	must(b, r.Close())
	must(b, log.Close())
}

func BenchmarkDriversReader(b *testing.B) {
	addr, topic := filled(b, b.N)
	r := kafka.NewReader(kafka.ReaderConfig{
		Brokers: []string{addr}, Topic: topic, MinBytes: 1, MaxBytes: 1 << 20, MaxWait: 100 * time.Millisecond, QueueCapacity: 10_000,
	})
	b.SetBytes(int64(len(benchValue)))
	b.ResetTimer()
	for range b.N {
		if _, err := r.ReadMessage(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	must(b, r.Close())
}
