package kafkalog_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

func TestReadTriesAgainWhatMaySucceedLater(t *testing.T) {
	c := fake(t)
	log, topic := onTopic(t, c, kafkalog.Config{})
	_, err := eventlog.AppendAll(background(t), log, empty(topic, 3))
	must(t, err)
	refuseReads(c, kerr.NotLeaderForPartition.Code, kerr.UnknownServerError.Code, kerr.UnknownTopicOrPartition.Code)
	for i, r := range read(t, log, topic, 0, 3) {
		if r.Offset != int64(i) {
			t.Errorf("record %d stands at %s", i, r.Position)
		}
	}
}

func TestReadNeverGoesOnElsewhereThanItStood(t *testing.T) {
	c := fake(t)
	log, topic := onTopic(t, c, kafkalog.Config{})
	r, err := log.Open(background(t), topic, 0, 0)
	must(t, err)
	refuseReads(c, kerr.OffsetOutOfRange.Code)
	_, err = eventlog.AppendAll(background(t), log, empty(topic, 1))
	must(t, err)
	for {
		// The request that waits already gives the record; the one after it is refused.
		if _, err = r.Read(background(t), 1); err != nil {
			break
		}
	}
	for range 2 {
		if !errors.Is(err, eventlog.ErrOffsetOutOfRange) {
			t.Errorf("%v, want ErrOffsetOutOfRange", err)
		}
		_, err = r.Read(background(t), 1)
	}
	must(t, r.Close())
}

func TestHundredsThatAskAtOnceShareAFewConnections(t *testing.T) {
	var connections atomic.Int64
	c := fake(t, kfake.ListenFn(func(network, address string) (net.Listener, error) {
		l, err := net.Listen(network, address)
		return counting{l, &connections}, err
	}))
	log, topic := onTopic(t, c, kafkalog.Config{})
	before := connections.Load()
	var all errgroup.Group
	for range 400 {
		all.Go(func() error {
			_, _, err := log.Bounds(background(t), topic, 0)
			return err
		})
	}
	must(t, all.Wait())
	if n := connections.Load() - before; n > 50 {
		t.Errorf("%d connections", n)
	}
}

// counting counts the connections that come.
type counting struct {
	net.Listener
	n *atomic.Int64
}

func (l counting) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	l.n.Add(1)
	return c, err
}

func TestARecordThatRetentionTookIsOutOfRange(t *testing.T) {
	c := fake(t)
	log, topic := onTopic(t, c, kafkalog.Config{})
	_, err := eventlog.AppendAll(background(t), log, empty(topic, 5))
	must(t, err)
	req := kmsg.NewPtrDeleteRecordsRequest()
	rt, rp := kmsg.NewDeleteRecordsRequestTopic(), kmsg.NewDeleteRecordsRequestTopicPartition()
	rp.Offset = 3
	rt.Topic, rt.Partitions = topic, append(rt.Partitions, rp)
	req.Topics = append(req.Topics, rt)
	_, err = req.RequestWith(background(t), client(t, c))
	must(t, err)
	first, next, err := log.Bounds(background(t), topic, 0)
	must(t, err)
	if first != 3 || next != 5 {
		t.Errorf("bounds are %d and %d, want 3 and 5", first, next)
	}
	if _, err := log.Open(background(t), topic, 0, 2); !errors.Is(err, eventlog.ErrOffsetOutOfRange) {
		t.Errorf("%v, want ErrOffsetOutOfRange", err)
	}
	if r := read(t, log, topic, 3, 2); r[0].Offset != 3 || r[1].Offset != 4 {
		t.Errorf("read %v", r)
	}
}

func TestReadUnderstandsWhatOtherClientsWrite(t *testing.T) {
	c := fake(t)
	log, topic := onTopic(t, c, kafkalog.Config{})
	var want []string
	for i, codec := range []kgo.CompressionCodec{
		kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression(),
	} {
		other := client(t, c, kgo.ProducerBatchCompression(codec))
		for j := range 50 {
			want = append(want, fmt.Sprintf("codec %d, record %d", i, j))
			must(t, other.ProduceSync(background(t), &kgo.Record{Topic: topic, Value: []byte(want[len(want)-1])}).FirstErr())
		}
	}
	for i, r := range read(t, log, topic, 0, len(want)) {
		if string(r.Value) != want[i] {
			t.Errorf("record %d is %q, want %q", i, r.Value, want[i])
		}
	}
}

// The end of a transaction takes an offset, which no record ever has.
func TestReadPassesTheEndsOfTransactions(t *testing.T) {
	c := fake(t)
	log, topic := onTopic(t, c, kafkalog.Config{})
	other := client(t, c, kgo.TransactionalID("other"))
	r, err := log.Open(background(t), topic, 0, 0)
	must(t, err)
	for i := range 3 {
		must(t, other.BeginTransaction())
		must(t, other.ProduceSync(background(t), &kgo.Record{Topic: topic, Value: fmt.Appendf(nil, "%d", i)}).FirstErr())
		must(t, other.EndTransaction(background(t), kgo.TryCommit))
		if got := readOn(t, r, 1)[0]; string(got.Value) != strconv.Itoa(i) || got.Offset != int64(2*i) {
			t.Errorf("read %s at %s, want %d at %d", got.Value, got.Position, i, 2*i)
		}
	}
	must(t, r.Close())
	_, next, err := log.Bounds(background(t), topic, 0)
	must(t, err)
	if next != 6 {
		t.Errorf("the next offset is %d, want 6", next)
	}
	last := read1(t, log, topic, next)
	_, err = eventlog.AppendAll(background(t), log, []eventlog.Message{{Topic: topic, Value: []byte("after")}})
	must(t, err)
	if got := <-last; string(got.Value) != "after" {
		t.Errorf("read %s behind the transactions", got.Value)
	}
}

// read1 reads one record from an offset, in the background.
func read1(t *testing.T, log eventlog.Log, topic string, offset int64) <-chan eventlog.Record {
	t.Helper()
	r, err := log.Open(background(t), topic, 0, offset)
	must(t, err)
	got := make(chan eventlog.Record, 1)
	go func() {
		defer close(got)
		records, err := r.Read(context.Background(), 1)
		if err = errors.Join(err, r.Close()); err != nil {
			t.Error(err)
			return
		}
		got <- records[0]
	}()
	return got
}
