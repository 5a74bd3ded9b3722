package kafkalog

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/sasl"
	"github.com/segmentio/kafka-go/sasl/plain"
	"github.com/segmentio/kafka-go/sasl/scram"
)

// Config says where the cluster is and how to use it. Only Brokers must be set.
type Config struct {
	// Brokers are addresses (host:port) of some of the cluster's brokers; the others are learnt from them.
	Brokers []string
	// ClientID names this process in the brokers' logs and quotas. "skein" unless set.
	ClientID string
	// TLS turns encryption on.
	TLS *tls.Config
	// SASL turns authentication on.
	SASL *SASL
	// MaxMessageBytes is the greatest message, framing included, and the greatest request to a partition. Topics are
	// created to take it and checked whether they do. 1 MiB unless set.
	MaxMessageBytes int
	// MaxInFlightBytes bounds the messages that were handed over and not yet acknowledged; beyond it Append blocks. It is
	// at least MaxMessageBytes, and 64 MiB unless set.
	MaxInFlightBytes int64
	// BatchTimeout is how long a message waits for others to share its request. 2 ms unless set; negative for not at all.
	BatchTimeout time.Duration
	// Timeout is how long an append or a read is tried again while the cluster does not answer, until it fails with
	// ErrUnavailable. Calls that only ask are given up after 5 s at most. 30 s unless set.
	Timeout time.Duration
	// Patience is how long Open and EnsureTopics wait for a cluster that is not ready yet: its brokers start, or its partitions
	// have no leaders. 5 s or Timeout unless set, whichever is shorter.
	Patience time.Duration
	// Logger is told of failures that are tried again. Nothing is logged unless it is set.
	Logger *slog.Logger
}

// SASL is how to authenticate.
type SASL struct {
	// Mechanism is PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512.
	Mechanism          string
	Username, Password string
}

func (c Config) withDefaults() (Config, error) {
	if len(c.Brokers) == 0 {
		return c, errors.New("kafkalog: no brokers are configured")
	}
	if c.ClientID == "" {
		c.ClientID = "skein"
	}
	if c.MaxMessageBytes == 0 {
		c.MaxMessageBytes = 1 << 20
	}
	if c.MaxInFlightBytes == 0 {
		c.MaxInFlightBytes = 64 << 20
	}
	c.MaxInFlightBytes = max(c.MaxInFlightBytes, int64(c.MaxMessageBytes))
	if c.BatchTimeout == 0 {
		c.BatchTimeout = 2 * time.Millisecond
	}
	if c.Timeout == 0 {
		c.Timeout = 30 * time.Second
	}
	if c.Patience == 0 {
		c.Patience = min(askTimeout, c.Timeout)
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c, nil
}

func (s *SASL) mechanism() (sasl.Mechanism, error) {
	if s == nil {
		return nil, nil // the driver takes no mechanism for no authentication
	}
	switch s.Mechanism {
	case "PLAIN":
		return plain.Mechanism{Username: s.Username, Password: s.Password}, nil
	case "SCRAM-SHA-256", "SCRAM-SHA-512":
		algorithm := scram.SHA256
		if s.Mechanism == "SCRAM-SHA-512" {
			algorithm = scram.SHA512
		}
		m, err := scram.Mechanism(algorithm, s.Username, s.Password)
		if err != nil {
			return nil, fmt.Errorf("kafkalog: SASL: %w", err)
		}
		return m, nil
	}
	return nil, fmt.Errorf("kafkalog: SASL mechanism %q: PLAIN, SCRAM-SHA-256 and SCRAM-SHA-512 are known", s.Mechanism)
}

// dialer gives new connection pools, which end with life; each learns the cluster's layout anew. Without topics it learns
// all of them.
func (c Config) dialer(life context.Context) (func(topics ...string) *kafka.Client, error) {
	mechanism, err := c.SASL.mechanism()
	if err != nil {
		return nil, err
	}
	return func(topics ...string) *kafka.Client {
		return &kafka.Client{
			Addr:    kafka.TCP(c.Brokers...),
			Timeout: requestTimeout,
			Transport: &kafka.Transport{
				ClientID: c.ClientID, TLS: c.TLS, SASL: mechanism, MetadataTopics: topics, Context: life,
			},
		}
	}, nil
}
