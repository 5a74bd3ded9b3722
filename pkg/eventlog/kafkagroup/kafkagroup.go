// Package kafkagroup shares partitions among the members of Kafka's consumer groups. It assigns partitions and keeps
// committed offsets; it never reads or writes a record.
package kafkagroup

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"

	"github.com/skein-cx/skein/pkg/eventlog"
)

const (
	dialTimeout = 5 * time.Second
	// joinPause is how long a member waits after a failure until it joins again; so does one that finds no coordinator,
	// which a fresh cluster takes seconds to have.
	joinPause = 500 * time.Millisecond
)

// Config says where the cluster is. Only Brokers must be set.
type Config struct {
	// Brokers are addresses (host:port) of some of the cluster's brokers.
	Brokers []string
	// ClientID names this process in the brokers' logs. "skein" unless set.
	ClientID string
	// TLS turns encryption on.
	TLS *tls.Config
	// SASL turns authentication on.
	SASL *SASL
	// Heartbeat is how often a member tells that it is alive, and so how soon it learns that partitions are to be shared
	// out again. 1 s unless set.
	Heartbeat time.Duration
	// SessionTimeout is how long a member may be silent until its partitions go to others, and how long the others wait
	// for it when partitions are shared out again. Brokers allow 6 s at least, which it is unless set.
	SessionTimeout time.Duration
	// LeaveTimeout is how long a member tries to leave the group when its work has ended. 10 s unless set.
	LeaveTimeout time.Duration
	// Logger is told of failures that are tried again. Nothing is logged unless it is set.
	Logger *slog.Logger
}

// SASL is how to authenticate.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism          string
	Username, Password string
}

// Groups are the consumer groups of a cluster. It is safe for concurrent use.
type Groups struct {
	cfg       Config
	mechanism sasl.Mechanism
}

var _ eventlog.Groups = (*Groups)(nil)

// New prepares membership in a cluster's groups. It does not connect.
func New(cfg Config) (*Groups, error) {
	if len(cfg.Brokers) == 0 {
		return nil, errors.New("kafkagroup: no brokers are configured")
	}
	if cfg.ClientID == "" {
		cfg.ClientID = "skein"
	}
	if cfg.Heartbeat == 0 {
		cfg.Heartbeat = time.Second
	}
	if cfg.SessionTimeout == 0 {
		cfg.SessionTimeout = 6 * time.Second
	}
	if cfg.LeaveTimeout == 0 {
		cfg.LeaveTimeout = 10 * time.Second
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	mechanism, err := cfg.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	return &Groups{cfg: cfg, mechanism: mechanism}, nil
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // the driver takes no mechanism for no authentication
	}
	algorithm := scram.SHA512
	switch s.Mechanism {
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
	case "SCRAM-SHA-256":
		algorithm = scram.SHA256
	case "SCRAM-SHA-512":
	default:
		return nil, fmt.Errorf("kafkagroup: SASL mechanism %q: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are known", s.Mechanism)
	}
	m, err := scram.Mechanism(algorithm, s.Username, s.Password)
	if err != nil {
		return nil, fmt.Errorf("kafkagroup: SASL: %w", err)
	}
	return m, nil
}

// Join implements eventlog.Groups. The topic must exist, else the group stays without partitions.
func (g *Groups) Join(ctx context.Context, group, topic string, own func(context.Context, eventlog.Claim)) error {
	life, kill := context.WithCancel(context.Background())
	defer kill()
	m := &member{Groups: g, group: group, topic: topic, clientID: g.cfg.ClientID + "-" + rand.Text(), life: life, kill: kill}
	driver, err := m.join()
	if err != nil {
		return fmt.Errorf("kafkagroup: join %q: %w", group, err)
	}
	log := g.cfg.Logger.With("group", group, "topic", topic)
	for {
		generation, err := driver.Next(ctx)
		switch {
		case ctx.Err() != nil:
			if err := m.leave(context.WithoutCancel(ctx), driver); err != nil {
				return fmt.Errorf("kafkagroup: leave %q: %w", group, err)
			}
			return nil
		case errors.Is(err, kafka.RebalanceInProgress): // another member has just come or gone
			log.DebugContext(ctx, "the group is sharing out its partitions, joining again")
			continue
		case err != nil:
			log.WarnContext(ctx, "the group cannot be joined, trying again", "error", err)
			continue
		}
		assigned := generation.Assignments[topic]
		log.DebugContext(ctx, "joined the group", "generation", generation.ID, "partitions", len(assigned))
		for _, a := range assigned {
			generation.Start(func(ctx context.Context) { own(ctx, claim(generation, topic, a)) })
		}
	}
}

// Committed tells how far a group has come in each of a topic's partitions; those are missing in which it has committed
// nothing. It waits for a coordinator until ctx ends.
func (g *Groups) Committed(ctx context.Context, group, topic string, partitions int) (map[int32]int64, error) {
	transport := &kafka.Transport{
		ClientID: g.cfg.ClientID, TLS: g.cfg.TLS, SASL: g.mechanism, DialTimeout: dialTimeout, MetadataTopics: []string{topic}, Context: ctx,
	}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(g.cfg.Brokers...), Transport: transport}
	req := &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{topic: nil}}
	for p := range partitions {
		req.Topics[topic] = append(req.Topics[topic], p)
	}
	for {
		committed, err := fetch(ctx, client, req, topic)
		if err == nil {
			return committed, nil
		}
		if failure, ok := errors.AsType[kafka.Error](err); ok && failure.Temporary() {
			g.cfg.Logger.WarnContext(ctx, "the group's offsets cannot be read, trying again", "group", group, "topic", topic, "error", err)
			timer := time.NewTimer(joinPause)
			select {
			case <-timer.C:
				continue
			case <-ctx.Done():
				timer.Stop()
			}
		}
		return nil, fmt.Errorf("kafkagroup: how far %q has come: %w", group, err)
	}
}

func fetch(ctx context.Context, client *kafka.Client, req *kafka.OffsetFetchRequest, topic string) (map[int32]int64, error) {
	resp, err := client.OffsetFetch(ctx, req)
	if err == nil {
		err = resp.Error
	}
	committed := make(map[int32]int64)
	if errors.Is(err, kafka.GroupIdNotFound) {
		return committed, nil
	}
	if err != nil {
		return nil, err
	}
	for _, p := range resp.Topics[topic] {
		if p.Error != nil {
			return nil, p.Error
		}
		if p.CommittedOffset >= 0 {
			committed[int32(p.Partition)] = p.CommittedOffset
		}
	}
	return committed, nil
}

func claim(generation *kafka.Generation, topic string, a kafka.PartitionAssignment) eventlog.Claim {
	return eventlog.Claim{
		Partition: int32(a.ID),
		Next:      a.Offset, // a negative one stands for the first record
		Commit: func(next int64) error {
			if err := generation.CommitOffsets(map[string]map[int]int64{topic: {a.ID: next}}); err != nil {
				return fmt.Errorf("kafkagroup: commit %s/%d/%d: %w", topic, a.ID, next, err)
			}
			return nil
		},
	}
}
