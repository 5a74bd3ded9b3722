package kafkagroup

import (
	"context"
	"net"
	"time"

	"github.com/segmentio/kafka-go"
)

// member is one membership in a group.
type member struct {
	*Groups
	group, topic string
	clientID     string          // of this member alone, so that the group's list shows which one it is
	life         context.Context // of connections
	kill         context.CancelFunc
}

func (m *member) join() (*kafka.ConsumerGroup, error) {
	return kafka.NewConsumerGroup(kafka.ConsumerGroupConfig{
		ID: m.group, Topics: []string{m.topic}, Brokers: m.cfg.Brokers, StartOffset: kafka.FirstOffset,
		HeartbeatInterval: m.cfg.Heartbeat, SessionTimeout: m.cfg.SessionTimeout, RebalanceTimeout: m.cfg.SessionTimeout,
		JoinGroupBackoff: joinPause, Timeout: dialTimeout,
		Dialer: &kafka.Dialer{ClientID: m.clientID, TLS: m.cfg.TLS, SASLMechanism: m.mechanism, Timeout: dialTimeout, DialFunc: m.dial},
	})
}

// leave ends the member's work and tells the group.
func (m *member) leave(ctx context.Context, driver *kafka.ConsumerGroup) error {
	timeout := time.AfterFunc(m.cfg.LeaveTimeout, m.kill) // without connections it ends soon
	defer timeout.Stop()
	if err := driver.Close(); err != nil {
		return err
	}
	return m.remove(ctx)
}

// remove takes the member out of the group where the driver has left it there: closed while partitions are shared out
// anew, it goes without a word, and the other members wait for this one until its session times out.
func (m *member) remove(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, m.cfg.LeaveTimeout)
	defer cancel()
	transport := &kafka.Transport{
		ClientID: m.cfg.ClientID, TLS: m.cfg.TLS, SASL: m.mechanism, DialTimeout: dialTimeout, MetadataTopics: []string{m.topic}, Context: ctx,
	}
	defer transport.CloseIdleConnections()
	client := &kafka.Client{Addr: kafka.TCP(m.cfg.Brokers...), Transport: transport}
	groups, err := client.DescribeGroups(ctx, &kafka.DescribeGroupsRequest{GroupIDs: []string{m.group}})
	if err != nil {
		return err
	}
	for _, g := range groups.Groups {
		for _, other := range g.Members {
			if other.ClientID != m.clientID {
				continue
			}
			left, err := client.LeaveGroup(ctx, &kafka.LeaveGroupRequest{
				GroupID: m.group, Members: []kafka.LeaveGroupRequestMember{{ID: other.MemberID}},
			})
			if err == nil {
				err = left.Error
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// dial connects; the connection ends with the member's life.
func (m *member) dial(ctx context.Context, network, address string) (net.Conn, error) {
	if err := m.life.Err(); err != nil {
		return nil, err
	}
	var dialer net.Dialer
	c, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	forget := context.AfterFunc(m.life, func() { _ = c.Close() }) //nolint:contextcheck // a connection outlives its dialling
	return &conn{Conn: c, forget: forget}, nil
}

type conn struct {
	net.Conn
	forget func() bool
}

func (c *conn) Close() error {
	c.forget()
	return c.Conn.Close()
}
