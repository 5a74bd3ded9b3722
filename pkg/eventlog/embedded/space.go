package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// space refuses appends and new topics while the disk is nearly full. The broker itself answers an append that it could
// not write with an error, but acknowledges a topic whose existence it could not write down, and takes no notice of an
// fsync that failed.
type space struct {
	cfg     Config
	cluster *kfake.Cluster
	full    atomic.Bool
	produce atomic.Bool // the broker asks here before it handles a request of this kind
	create  atomic.Bool
}

// watch looks at the disk until ctx ends.
func (s *space) watch(ctx context.Context) {
	tick := time.NewTicker(200 * time.Millisecond)
	defer tick.Stop()
	for {
		s.look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

func (s *space) look(ctx context.Context) {
	left, err := free(s.cfg.Dir)
	full := err == nil && left < s.cfg.MinFreeBytes
	if full != s.full.Swap(full) {
		level, message := slog.LevelInfo, "the disk has room again"
		if full {
			level, message = slog.LevelError, "the disk is nearly full: the log takes nothing until space is freed"
		}
		s.cfg.Logger.Log(ctx, level, message, "dir", s.cfg.Dir, "free", left, "needed", s.cfg.MinFreeBytes)
	}
	if full {
		s.intercept(kmsg.Produce, &s.produce)
		s.intercept(kmsg.CreateTopics, &s.create)
	}
}

// intercept has the broker refuse requests of a kind while the disk is full. It does not stay longer, because the broker
// then holds the last request of each connection.
func (s *space) intercept(kind kmsg.Key, installed *atomic.Bool) {
	if installed.Swap(true) {
		return
	}
	s.cluster.ControlKey(kind.Int16(), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if !s.full.Load() {
			s.cluster.DropControl()
			installed.Store(false)
			return nil, nil, false // the broker handles it
		}
		s.cluster.KeepControl()
		return refuse(req, fmt.Sprintf("the disk of %s is nearly full", s.cfg.Dir)), nil, true
	})
}

// refuse answers a request to produce or to create topics with a storage error for each of its parts.
func refuse(req kmsg.Request, why string) kmsg.Response {
	code := kerr.KafkaStorageError.Code
	switch req := req.(type) {
	case *kmsg.ProduceRequest:
		resp := kmsg.NewPtrProduceResponse()
		resp.Version = req.Version
		for _, t := range req.Topics {
			topic := kmsg.NewProduceResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				partition := kmsg.NewProduceResponseTopicPartition()
				partition.Partition, partition.ErrorCode, partition.ErrorMessage = p.Partition, code, &why
				topic.Partitions = append(topic.Partitions, partition)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	case *kmsg.CreateTopicsRequest:
		resp := kmsg.NewPtrCreateTopicsResponse()
		resp.Version = req.Version
		for _, t := range req.Topics {
			topic := kmsg.NewCreateTopicsResponseTopic()
			topic.Topic, topic.ErrorCode, topic.ErrorMessage = t.Topic, code, &why
			resp.Topics = append(resp.Topics, topic)
		}
		return resp
	}
	return req.ResponseKind()
}
