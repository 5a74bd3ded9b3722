package kafkalog_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

// patience ends a test that hangs; nothing waits for it otherwise.
const patience = time.Minute

func background(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// fake is a broker that can be told how to answer.
func fake(t *testing.T, options ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, options...)...)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// onTopic opens a log on a broker and makes a topic of one partition.
func onTopic(t *testing.T, c *kfake.Cluster, cfg kafkalog.Config) (log *kafkalog.Log, topic string) {
	t.Helper()
	cfg.Brokers = c.ListenAddrs()
	log = opened(t, cfg)
	t.Cleanup(func() { must(t, log.Close()) })
	must(t, log.EnsureTopics(background(t), eventlog.Topic{Name: "topic", Partitions: 1}))
	return log, "topic"
}

// client is another client of the broker.
func client(t *testing.T, c *kfake.Cluster, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	other, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner())}, options...)...)
	must(t, err)
	t.Cleanup(other.Close)
	return other
}

// refuseAppends has the broker answer the first requests to append with error codes; 0 lets one pass. It says how many came.
func refuseAppends(c *kfake.Cluster, codes ...int16) (requests func() int) {
	n := make(chan int, 1)
	n <- 0
	c.ControlKey(kmsg.Produce.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		i := <-n
		n <- i + 1
		if i >= len(codes) || codes[i] == 0 {
			return nil, nil, false
		}
		req, ok := r.(*kmsg.ProduceRequest)
		if !ok {
			return nil, nil, false
		}
		resp := kmsg.NewPtrProduceResponse()
		resp.Version = req.Version
		topic, partition := kmsg.NewProduceResponseTopic(), kmsg.NewProduceResponseTopicPartition()
		partition.ErrorCode = codes[i]
		topic.Topic, topic.Partitions = req.Topics[0].Topic, append(topic.Partitions, partition)
		resp.Topics = append(resp.Topics, topic)
		return resp, nil, true
	})
	return func() int {
		i := <-n
		n <- i
		return i
	}
}

// refuseReads has the broker answer the next requests to read with error codes.
func refuseReads(c *kfake.Cluster, codes ...int16) {
	codes = slices.Clone(codes)
	c.ControlKey(kmsg.Fetch.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
		c.KeepControl()
		if len(codes) == 0 {
			return nil, nil, false
		}
		req, ok := r.(*kmsg.FetchRequest)
		if !ok {
			return nil, nil, false
		}
		resp := kmsg.NewPtrFetchResponse()
		resp.Version = req.Version
		topic, partition := kmsg.NewFetchResponseTopic(), kmsg.NewFetchResponseTopicPartition()
		partition.ErrorCode, partition.RecordBatches = codes[0], []byte{}
		topic.Topic, topic.Partitions = req.Topics[0].Topic, append(topic.Partitions, partition)
		resp.Topics = append(resp.Topics, topic)
		codes = codes[1:]
		return resp, nil, true
	})
}

// read reads n records from an offset.
func read(t *testing.T, log eventlog.Log, topic string, offset int64, n int) []eventlog.Record {
	t.Helper()
	r, err := log.Open(background(t), topic, 0, offset)
	must(t, err)
	records := readOn(t, r, n)
	must(t, r.Close())
	return records
}

func readOn(t *testing.T, r eventlog.Reader, n int) []eventlog.Record {
	t.Helper()
	var records []eventlog.Record
	for len(records) < n {
		more, err := r.Read(background(t), n-len(records))
		must(t, err)
		records = append(records, more...)
	}
	return records
}
