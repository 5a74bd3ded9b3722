package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

// rawTopic is where the ceilings append.
const rawTopic = "bench.raw.v1"

// openLog connects as Skein does and creates topics.
func openLog(ctx context.Context, log *broker, topics ...string) (*kafkalog.Log, error) {
	l, err := kafkalog.Open(ctx, kafkalog.Config{Brokers: []string{log.addr}})
	if err != nil {
		return nil, err
	}
	var wanted []eventlog.Topic
	for _, name := range topics {
		wanted = append(wanted, eventlog.Topic{Name: name, Partitions: partitions})
	}
	err = l.EnsureTopics(ctx, wanted...)
	for i := 0; i < len(topics)*partitions && err == nil; i++ { // until every partition has its leader
		_, _, err = l.Bounds(ctx, topics[i/partitions], int32(i%partitions))
	}
	if err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// createTopics creates topics as Skein does.
func createTopics(ctx context.Context, log *broker, topics ...string) error {
	l, err := openLog(ctx, log, topics...)
	if err != nil {
		return err
	}
	return l.Close()
}

// dropTopics deletes topics, so that a log holds no more than one turn.
func dropTopics(ctx context.Context, log *broker, topics ...string) error {
	client, release := newClient(log)
	defer release()
	answer, err := client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: topics})
	if err != nil {
		return fmt.Errorf("delete topics: %w", err)
	}
	for name, err := range answer.Errors {
		if err != nil {
			return fmt.Errorf("delete %s: %w", name, err)
		}
	}
	return nil
}

// newClient is kafka-go's client of Kafka's requests. Each request under way has a connection of its own.
func newClient(log *broker) (client *kafka.Client, release func()) {
	transport := &kafka.Transport{}
	return &kafka.Client{Addr: kafka.TCP(log.addr), Timeout: patience, Transport: transport}, transport.CloseIdleConnections
}

// rawRecord is what a record is made of.
type rawRecord struct{ key, value []byte }

// rawBatches are the records of each partition in batches of nearly a megabyte.
func (b *bench) rawBatches(n int) ([partitions][][]rawRecord, error) {
	const most = 1000 << 10
	const overhead = 16 // of a record
	var all [partitions][][]rawRecord
	var size [partitions]int
	for i := range n {
		m, err := b.events.message(rawTopic, i)
		if err != nil {
			return all, err
		}
		p := eventlog.Partition(m.Key, partitions)
		bigger := overhead + len(m.Key) + len(m.Value)
		if len(all[p]) == 0 || size[p]+bigger > most {
			all[p], size[p] = append(all[p], nil), 0
		}
		last := len(all[p]) - 1
		all[p][last] = append(all[p][last], rawRecord{m.Key, m.Value})
		size[p] += bigger
	}
	return all, nil
}

func readerOf(records []rawRecord) kafka.RecordReader {
	now := time.Now()
	list := make([]kafka.Record, len(records))
	for i, r := range records {
		list[i] = kafka.Record{Time: now, Key: kafka.NewBytes(r.key), Value: kafka.NewBytes(r.value)}
	}
	return kafka.NewRecordReader(list...)
}

// produceTo appends batches by kafka-go alone, to all partitions at once.
func produceTo(log *broker, batches [partitions][][]rawRecord) sender {
	return func(ctx context.Context, done *counter) error {
		client, release := newClient(log)
		defer release()
		return eachPartition(ctx, func(ctx context.Context, p int) error {
			for i := 0; ctx.Err() == nil; i++ {
				batch := batches[p][i%len(batches[p])]
				answer, err := client.Produce(ctx, &kafka.ProduceRequest{
					Topic: rawTopic, Partition: p, RequiredAcks: kafka.RequireAll, Records: readerOf(batch),
				})
				if err := produced(ctx, answer, err); err != nil {
					return err
				}
				done.Add(int64(len(batch)))
			}
			return nil
		})
	}
}

// resendTo appends batches that were encoded beforehand: what is left is the network and the broker.
func resendTo(log *broker, batches [partitions][][]rawRecord) (sender, error) {
	type encoded struct {
		bytes []byte
		n     int
	}
	var all [partitions][]encoded
	for p := range batches {
		for _, batch := range batches[p] {
			var buf bytes.Buffer
			set := protocol.RecordSet{Version: 2, Records: readerOf(batch)}
			if _, err := set.WriteTo(&buf); err != nil {
				return nil, fmt.Errorf("encode a batch: %w", err)
			}
			all[p] = append(all[p], encoded{buf.Bytes(), len(batch)})
		}
	}
	return func(ctx context.Context, done *counter) error {
		client, release := newClient(log)
		defer release()
		return eachPartition(ctx, func(ctx context.Context, p int) error {
			for i := 0; ctx.Err() == nil; i++ {
				batch := all[p][i%len(all[p])]
				answer, err := client.RawProduce(ctx, &kafka.RawProduceRequest{
					Topic: rawTopic, Partition: p, RequiredAcks: kafka.RequireAll,
					RawRecords: protocol.RawRecordSet{Reader: bytes.NewReader(batch.bytes)},
				})
				if err := produced(ctx, answer, err); err != nil {
					return err
				}
				done.Add(int64(batch.n))
			}
			return nil
		})
	}, nil
}

func eachPartition(ctx context.Context, run func(ctx context.Context, p int) error) error {
	g, gctx := errgroup.WithContext(ctx)
	for p := range partitions {
		g.Go(func() error { return run(gctx, p) })
	}
	err := g.Wait()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end
	}
	return err
}

// produced is what came of a request; nothing where it was cut off.
func produced(ctx context.Context, answer *kafka.ProduceResponse, err error) error {
	if err == nil {
		err = answer.Error
	}
	if err != nil && ctx.Err() == nil {
		return fmt.Errorf("produce: %w", err)
	}
	return nil
}

// rawPacer appends events by kafka-go alone, as soon as it may: one request at a time to each partition, with all that has come
// meanwhile.
type rawPacer struct {
	client  *kafka.Client
	pending [partitions]chan pacedRecord
}

type pacedRecord struct {
	rawRecord
	done func(error)
}

func newRawPacer(client *kafka.Client, window int) *rawPacer {
	p := &rawPacer{client: client}
	for i := range p.pending {
		p.pending[i] = make(chan pacedRecord, window)
	}
	return p
}

func (p *rawPacer) send(m eventlog.Message, done func(error)) {
	p.pending[eventlog.Partition(m.Key, partitions)] <- pacedRecord{rawRecord{m.Key, m.Value}, done}
}

func (p *rawPacer) close() {
	for _, c := range p.pending {
		close(c)
	}
}

// run sends until it is closed.
func (p *rawPacer) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range p.pending {
		all.Go(func() {
			const most = 2000
			for first := range p.pending[i] {
				batch, records := []pacedRecord{first}, []rawRecord{first.rawRecord}
				for len(batch) < most && len(p.pending[i]) > 0 {
					r, ok := <-p.pending[i]
					if !ok {
						break
					}
					batch, records = append(batch, r), append(records, r.rawRecord)
				}
				answer, err := p.client.Produce(ctx, &kafka.ProduceRequest{
					Topic: rawTopic, Partition: i, RequiredAcks: kafka.RequireAll, Records: readerOf(records),
				})
				if err == nil {
					err = answer.Error
				}
				for _, r := range batch {
					r.done(err)
				}
			}
		})
	}
	all.Wait()
}
