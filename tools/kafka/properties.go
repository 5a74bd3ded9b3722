package kafka

import (
	"fmt"
	"path/filepath"
	"strings"
)

// properties are a broker's settings. Each broker is a controller as well.
func (c *Cluster) properties(n int) string {
	var voters []string
	for i, p := range c.state.Ports {
		voters = append(voters, fmt.Sprintf("%d@%s", i+1, addr(p.Controller)))
	}
	p := c.state.Ports[n-1]
	replicas := min(3, c.Brokers())
	inSync := max(1, replicas-1)
	clients := "PLAINTEXT"
	if c.Secure() {
		clients = "SASL_SSL"
	}
	settings := []string{
		"process.roles=broker,controller",
		fmt.Sprint("node.id=", n),
		"controller.quorum.voters=" + strings.Join(voters, ","),
		fmt.Sprintf("listeners=CLIENTS://%s,INTERNAL://%s,CONTROLLER://%s", addr(p.Clients), addr(p.Internal), addr(p.Controller)),
		fmt.Sprintf("advertised.listeners=CLIENTS://%s,INTERNAL://%s", addr(p.Clients), addr(p.Internal)),
		"listener.security.protocol.map=INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT,CLIENTS:" + clients,
		"inter.broker.listener.name=INTERNAL",
		"controller.listener.names=CONTROLLER",
		"log.dirs=" + c.DataDir(n),
		"# Nothing that was acknowledged by most of the replicas may be lost.",
		fmt.Sprint("default.replication.factor=", replicas),
		fmt.Sprint("min.insync.replicas=", inSync),
		fmt.Sprint("offsets.topic.replication.factor=", replicas),
		fmt.Sprint("transaction.state.log.replication.factor=", replicas),
		fmt.Sprint("transaction.state.log.min.isr=", inSync),
		fmt.Sprint("share.coordinator.state.topic.replication.factor=", replicas),
		fmt.Sprint("share.coordinator.state.topic.min.isr=", inSync),
		"unclean.leader.election.enable=false",
		"auto.create.topics.enable=false",
		"# A small machine, on which somebody waits.",
		"offsets.topic.num.partitions=8",
		"transaction.state.log.num.partitions=8",
		"share.coordinator.state.topic.num.partitions=8",
		"log.cleaner.dedupe.buffer.size=16777216",
		"group.initial.rebalance.delay.ms=0",
		"broker.heartbeat.interval.ms=500",
		"broker.session.timeout.ms=3000", // a killed broker is let in again when the session of its former life has ended
	}
	if c.Secure() {
		settings = append(settings, c.secureProperties()...)
	}
	return strings.Join(settings, "\n") + "\n"
}

func (c *Cluster) secureProperties() []string {
	const listener, module = "listener.name.clients.", "org.apache.kafka.common.security."
	return []string{
		listener + "ssl.keystore.type=PEM",
		listener + "ssl.keystore.location=" + filepath.Join(c.cfg.Dir, brokerFile),
		listener + "ssl.truststore.type=PEM",
		listener + "ssl.truststore.location=" + c.CAFile(),
		listener + "ssl.client.auth=requested",
		listener + "sasl.enabled.mechanisms=PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
		fmt.Sprintf("%splain.sasl.jaas.config=%splain.PlainLoginModule required user_%s=%q;", listener, module, c.state.Username, c.state.Password),
		listener + "scram-sha-256.sasl.jaas.config=" + module + "scram.ScramLoginModule required;",
		listener + "scram-sha-512.sasl.jaas.config=" + module + "scram.ScramLoginModule required;",
	}
}

// formatArgs are the arguments by which the storage tool prepares a broker's directory.
func (c *Cluster) formatArgs(n int) []string {
	args := []string{"format", "--cluster-id", c.state.ID, "--config", c.propertiesFile(n)}
	if c.Secure() {
		for _, mechanism := range []string{"SCRAM-SHA-256", "SCRAM-SHA-512"} {
			args = append(args, "--add-scram", fmt.Sprintf("%s=[name=%s,password=%s]", mechanism, c.state.Username, c.state.Password))
		}
	}
	return args
}
