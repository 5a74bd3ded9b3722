package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"os"
	"sync/atomic"
	"time"

	"github.com/IBM/sarama"
	"github.com/lovoo/goka"
	"github.com/lovoo/goka/codec"
	"github.com/lovoo/goka/storage"
)

// gokaTable has a goka processor keep the last event of each thread.
func (b *bench) gokaTable(ctx context.Context, log *broker) (f folded, err error) {
	dir := b.newDir()
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	group := goka.Group(fmt.Sprintf("bench.goka.%d", b.dirs))
	var folded atomic.Int64
	done := make(chan struct{})
	graph := goka.DefineGroup(group,
		goka.Input(foldTopic, new(codec.Bytes), func(ctx goka.Context, message any) {
			ctx.SetValue(message)
			if folded.Add(1) == int64(b.Events) {
				close(done)
			}
		}),
		goka.Persist(new(codec.Bytes)),
	)
	cfg := goka.DefaultConfig()
	cfg.Version = sarama.V2_1_0_0
	cfg.Consumer.Offsets.Initial = sarama.OffsetOldest
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	topics := goka.NewTopicManagerConfig()
	topics.Table.Replication, topics.Stream.Replication = 1, 1
	silent := stdlog.New(io.Discard, "", 0)
	processor, err := goka.NewProcessor([]string{log.addr}, graph,
		goka.WithLogger(silent),
		goka.WithStorageBuilder(storage.DefaultBuilder(dir)),
		goka.WithTopicManagerBuilder(goka.TopicManagerBuilderWithConfig(cfg, topics)),
		goka.WithConsumerGroupBuilder(goka.ConsumerGroupBuilderWithConfig(cfg)),
		goka.WithProducerBuilder(goka.ProducerBuilderWithConfig(cfg)),
		goka.WithConsumerSaramaBuilder(goka.SaramaConsumerBuilderWithConfig(cfg)),
	)
	if err != nil {
		return f, fmt.Errorf("goka: %w", err)
	}
	rctx, stop := context.WithCancel(ctx)
	defer stop()
	f, err = timed(func() error {
		ran := make(chan error, 1)
		go func() { ran <- processor.Run(rctx) }()
		var err error
		select {
		case <-done:
			stop()
			err = <-ran // with what it had to write
		case err = <-ran:
			if err == nil {
				err = errors.New("it ended early")
			}
		case <-time.After(10 * time.Minute):
			stop()
			err = errors.Join(fmt.Errorf("%d of %d events in ten minutes", folded.Load(), b.Events), <-ran)
		}
		return err
	})
	if err != nil {
		return f, fmt.Errorf("goka: %w", err)
	}
	f.events = b.Events
	f.disk, err = diskBytes(dir)
	return f, errors.Join(err, dropTopics(ctx, log, string(goka.GroupTable(group))))
}
