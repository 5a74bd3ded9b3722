package kafkalog_test

import (
	"errors"
	"maps"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

func TestTopicsAreCreatedToKeepEverything(t *testing.T) {
	c := fake(t)
	log, _ := onTopic(t, c, kafkalog.Config{MaxMessageBytes: 2 << 20})
	must(t, log.EnsureTopics(background(t), eventlog.Topic{Name: "bounded", Partitions: 2, Retention: 48 * time.Hour}))
	req := kmsg.NewPtrDescribeConfigsRequest()
	for _, name := range []string{"topic", "bounded"} {
		resource := kmsg.NewDescribeConfigsRequestResource()
		resource.ResourceType, resource.ResourceName = kmsg.ConfigResourceTypeTopic, name
		req.Resources = append(req.Resources, resource)
	}
	resp, err := req.RequestWith(background(t), client(t, c))
	must(t, err)
	for i, retention := range []string{"-1", "172800000"} {
		settings := make(map[string]string)
		for _, s := range resp.Resources[i].Configs {
			if s.Value != nil && s.Source == kmsg.ConfigSourceDynamicTopicConfig {
				settings[s.Name] = *s.Value
			}
		}
		want := map[string]string{
			"retention.ms": retention, "retention.bytes": "-1", "cleanup.policy": "delete", "max.message.bytes": "2097152",
		}
		if retention != "-1" { // so that what is older is really deleted
			want["segment.ms"] = retention
		}
		if !maps.Equal(settings, want) {
			t.Errorf("%s was created with %v, want %v", resp.Resources[i].ResourceName, settings, want)
		}
	}
}

// A broker tells that it leads a new partition before it has learnt so itself.
func TestEnsureTopicsWaitsUntilTheLeaderOfEachPartitionAnswers(t *testing.T) {
	const notLeader = 6
	for name, test := range map[string]struct {
		refused int64
		cfg     kafkalog.Config
	}{
		"in time": {refused: 8, cfg: kafkalog.Config{Patience: patience}},
		"late":    {refused: 1000, cfg: kafkalog.Config{Patience: 5 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			var left atomic.Int64
			left.Store(test.refused)
			c.ControlKey(kmsg.ListOffsets.Int16(), func(r kmsg.Request) (kmsg.Response, error, bool) {
				c.KeepControl()
				req, ok := r.(*kmsg.ListOffsetsRequest)
				if !ok || req.Topics[0].Partitions[0].Partition != 1 || left.Add(-1) < 0 {
					return nil, nil, false
				}
				resp := kmsg.NewPtrListOffsetsResponse()
				resp.Version = req.Version
				topic, partition := kmsg.NewListOffsetsResponseTopic(), kmsg.NewListOffsetsResponseTopicPartition()
				partition.Partition, partition.ErrorCode = 1, notLeader
				topic.Topic, topic.Partitions = req.Topics[0].Topic, append(topic.Partitions, partition)
				resp.Topics = append(resp.Topics, topic)
				return resp, nil, true
			})
			test.cfg.Brokers = c.ListenAddrs()
			log := opened(t, test.cfg)
			t.Cleanup(func() { must(t, log.Close()) })
			err := log.EnsureTopics(background(t), eventlog.Topic{Name: "topic", Partitions: 3})
			if name == "in time" {
				must(t, err)
				if n := left.Load(); n >= 0 {
					t.Errorf("it came back with %d refusals to come", n)
				}
				return
			}
			if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), "topic/1") || !strings.Contains(err.Error(), "Not Leader") {
				t.Errorf("%v, want ErrUnavailable with the partition and the reason", err)
			}
		})
	}
}

func TestATopicThatWouldLoseEventsIsRefused(t *testing.T) {
	for _, test := range []struct{ setting, found, wanted string }{
		{"retention.ms", "604800000", "-1"},
		{"retention.bytes", "1000000", "-1"},
		{"cleanup.policy", "compact", "delete"},
		{"cleanup.policy", "compact,delete", "delete"},
		{"max.message.bytes", "1000", "1048576"},
	} {
		t.Run(test.setting+"="+test.found, func(t *testing.T) {
			t.Parallel()
			c := fake(t)
			settings := map[string]string{"retention.ms": "-1", test.setting: test.found}
			req := kmsg.NewPtrCreateTopicsRequest()
			rt := kmsg.NewCreateTopicsRequestTopic()
			rt.Topic, rt.NumPartitions, rt.ReplicationFactor = "foreign", 1, 1
			for name, value := range settings {
				setting := kmsg.NewCreateTopicsRequestTopicConfig()
				setting.Name, setting.Value = name, new(value)
				rt.Configs = append(rt.Configs, setting)
			}
			req.Topics = append(req.Topics, rt)
			_, err := req.RequestWith(background(t), client(t, c))
			must(t, err)
			log, _ := onTopic(t, c, kafkalog.Config{})
			err = log.EnsureTopics(background(t), eventlog.Topic{Name: "foreign", Partitions: 1})
			if !errors.Is(err, eventlog.ErrTopicMismatch) {
				t.Fatalf("%v, want ErrTopicMismatch", err)
			}
			for _, part := range []string{"foreign", test.setting + "=" + test.found, test.setting + "=" + test.wanted, "--alter"} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the error does not tell %q: %v", part, err)
				}
			}
		})
	}
}
