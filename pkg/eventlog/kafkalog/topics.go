package kafkalog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/skein-cx/skein/pkg/eventlog"
)

// The settings of a topic on which the log depends.
const (
	cleanupPolicy  = "cleanup.policy"
	retentionMS    = "retention.ms"
	retentionBytes = "retention.bytes"
	segmentMS      = "segment.ms"
	maxMessage     = "max.message.bytes"
	minInSync      = "min.insync.replicas"
	unlimited      = "-1"
)

// longestSegment is how long a broker writes to a segment unless told otherwise. It deletes whole segments only, and none to which it writes.
const longestSegment = 7 * 24 * time.Hour

// EnsureTopics implements eventlog.Log. It creates topics with the brokers' default replication, and waits until the leader of each
// partition answers.
func (l *Log) EnsureTopics(ctx context.Context, topics ...eventlog.Topic) error {
	if len(topics) == 0 {
		return nil
	}
	names := make([]string, len(topics))
	for i, t := range topics {
		if t.Name == "" || t.Partitions < 1 {
			return fmt.Errorf("kafkalog: topic %q with %d partitions: a name and at least 1 partition are needed", t.Name, t.Partitions)
		}
		names[i] = t.Name
	}
	l.mu.RLock()
	closed := l.closed
	l.mu.RUnlock()
	if closed {
		return fmt.Errorf("kafkalog: ensure topics: %w", eventlog.ErrClosed)
	}
	deadline := time.Now().Add(l.cfg.Patience)
	found, err := l.describe(ctx, deadline, names...)
	if err != nil {
		return err
	}
	var missing []kafka.TopicConfig
	for _, t := range topics {
		if found[t.Name] == 0 {
			missing = append(missing, l.config(t))
		}
	}
	if len(missing) > 0 {
		if found, err = l.create(ctx, deadline, missing, names); err != nil {
			return err
		}
	}
	if err := l.check(ctx, deadline, topics, found); err != nil {
		return err
	}
	return l.settle(ctx, deadline, topics)
}

// settle waits until the leader of each partition answers: a broker learns later than it tells that it leads one.
func (l *Log) settle(ctx context.Context, deadline time.Time, topics []eventlog.Topic) error {
	for _, t := range topics {
		for p := range int32(t.Partitions) {
			if _, _, err := l.bounds(ctx, deadline, fmt.Sprintf("wait for the leader of %s/%d", t.Name, p), t.Name, p); err != nil {
				return err
			}
		}
	}
	return nil
}

// config is how a topic is created.
func (l *Log) config(t eventlog.Topic) kafka.TopicConfig {
	config := kafka.TopicConfig{
		Topic:             t.Name,
		NumPartitions:     t.Partitions,
		ReplicationFactor: -1, // the brokers' default
		ConfigEntries: []kafka.ConfigEntry{
			{ConfigName: cleanupPolicy, ConfigValue: "delete"},
			{ConfigName: retentionMS, ConfigValue: milliseconds(t.Retention)},
			{ConfigName: retentionBytes, ConfigValue: unlimited},
			{ConfigName: maxMessage, ConfigValue: strconv.Itoa(l.cfg.MaxMessageBytes)},
		},
	}
	if t.Retention > 0 && t.Retention < longestSegment { // or records would stay for a week
		config.ConfigEntries = append(config.ConfigEntries, kafka.ConfigEntry{ConfigName: segmentMS, ConfigValue: milliseconds(t.Retention)})
	}
	return config
}

func milliseconds(retention time.Duration) string {
	if retention == 0 {
		return unlimited
	}
	return strconv.FormatInt(retention.Milliseconds(), 10)
}

// create creates topics and waits until the cluster knows all that are named.
func (l *Log) create(
	ctx context.Context, deadline time.Time, missing []kafka.TopicConfig, names []string,
) (found map[string]int, err error) {
	err = l.retry(ctx, fmt.Sprintf("create %d topics", len(missing)), deadline, func(ctx context.Context, client *kafka.Client) error {
		res, err := client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: missing})
		if err != nil {
			return err
		}
		for topic, err := range res.Errors {
			if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
				return fmt.Errorf("topic %q: %w", topic, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = l.retry(ctx, fmt.Sprintf("wait for %v", names), deadline, func(ctx context.Context, _ *kafka.Client) error {
		if found, err = l.describe(ctx, deadline, names...); err != nil {
			return err
		}
		if len(found) < len(names) {
			return kafka.LeaderNotAvailable
		}
		return nil
	})
	return found, err
}

// check compares topics with what is wanted, and learns them.
func (l *Log) check(ctx context.Context, deadline time.Time, topics []eventlog.Topic, found map[string]int) error {
	for _, want := range topics {
		if n := found[want.Name]; n != want.Partitions {
			return fmt.Errorf("kafkalog: %w: %q has %d partitions, %d are wanted: configure the number that it has, "+
				"or go over to a new topic; a topic's number of partitions must never change",
				eventlog.ErrTopicMismatch, want.Name, n, want.Partitions)
		}
	}
	names := make([]string, len(topics))
	for i, t := range topics {
		names[i] = t.Name
	}
	settings, err := l.settings(ctx, deadline, names...)
	if err != nil {
		return err
	}
	for _, want := range topics {
		if err := l.checkSettings(want, settings[want.Name]); err != nil {
			return err
		}
		if _, err := l.learn(want.Name, want.Partitions); err != nil {
			return err
		}
	}
	return nil
}

// Describe implements eventlog.Log.
func (l *Log) Describe(ctx context.Context, topic string) (eventlog.Description, error) {
	if _, err := l.partitions(ctx, topic); err != nil {
		return eventlog.Description{}, err
	}
	d := eventlog.Description{Topic: topic}
	err := l.retry(ctx, fmt.Sprintf("describe %q", topic), l.soon(), func(ctx context.Context, client *kafka.Client) error {
		res, err := client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
		if err != nil {
			return err
		}
		if len(res.Topics) != 1 || len(res.Topics[0].Partitions) == 0 {
			return kafka.UnknownTopicOrPartition
		}
		d.Replicas, d.Lagging = 0, nil
		for _, p := range res.Topics[0].Partitions {
			d.Replicas = max(d.Replicas, len(p.Replicas))
			if len(p.Isr) < len(p.Replicas) {
				d.Lagging = append(d.Lagging, int32(p.ID))
			}
		}
		slices.Sort(d.Lagging)
		return nil
	})
	if err != nil {
		return eventlog.Description{}, err
	}
	settings, err := l.settings(ctx, l.soon(), topic)
	if err != nil {
		return eventlog.Description{}, err
	}
	d.Settings = settings[topic]
	if ms, err := strconv.ParseInt(d.Settings[retentionMS], 10, 64); err == nil && ms > 0 {
		d.Retention = time.Duration(ms) * time.Millisecond
	}
	return d, nil
}

// settings reads the topics' settings, by topic and name.
func (l *Log) settings(ctx context.Context, deadline time.Time, topics ...string) (map[string]map[string]string, error) {
	var req kafka.DescribeConfigsRequest
	for _, t := range topics {
		req.Resources = append(req.Resources, kafka.DescribeConfigRequestResource{
			ResourceType: kafka.ResourceTypeTopic, ResourceName: t,
			ConfigNames: []string{cleanupPolicy, retentionMS, retentionBytes, maxMessage, minInSync},
		})
	}
	settings := make(map[string]map[string]string)
	err := l.retry(ctx, "read the topics' settings", deadline, func(ctx context.Context, client *kafka.Client) error {
		res, err := client.DescribeConfigs(ctx, &req)
		if err != nil {
			return err
		}
		for _, r := range res.Resources {
			if r.Error != nil {
				return fmt.Errorf("topic %q: %w", r.ResourceName, r.Error)
			}
			of := make(map[string]string)
			for _, e := range r.ConfigEntries {
				of[e.ConfigName] = e.ConfigValue
			}
			settings[r.ResourceName] = of
		}
		return nil
	})
	return settings, err
}

func (l *Log) checkSettings(want eventlog.Topic, found map[string]string) error {
	wrong := func(setting, must, why string) error {
		return fmt.Errorf("kafkalog: %w: %q has %s=%s, but %s is wanted: %s; change it with kafka-configs.sh --alter "+
			"--topic %s --add-config %s=%s", eventlog.ErrTopicMismatch, want.Name, setting, found[setting], must, why, want.Name, setting, must)
	}
	if strings.Contains(found[cleanupPolicy], "compact") {
		return wrong(cleanupPolicy, "delete", "compaction deletes events of the same key")
	}
	if must := milliseconds(want.Retention); shorter(found[retentionMS], must) {
		return wrong(retentionMS, must, "events would be deleted too early")
	}
	if found[retentionBytes] != unlimited {
		return wrong(retentionBytes, unlimited, "events would be deleted too early")
	}
	if must := strconv.Itoa(l.cfg.MaxMessageBytes); shorter(found[maxMessage], must) {
		return wrong(maxMessage, must, "larger messages would be refused")
	}
	return nil
}

// shorter says whether a number is less than another one, where -1 is without limit. What is no number is less.
func shorter(found, want string) bool {
	if found == want || found == unlimited {
		return false
	}
	f, err := strconv.ParseInt(found, 10, 64)
	if err != nil || want == unlimited {
		return true
	}
	w, err := strconv.ParseInt(want, 10, 64)
	return err != nil || f < w
}
