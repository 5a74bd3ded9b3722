// Package kafkatest gives tests the real Kafka cluster that the environment names. Who runs them decides where it is: make test
// brings one for as long as the tests run, and any other does as well.
package kafkatest

import (
	"os"
	"strings"
	"testing"
)

const (
	// clusterVariable holds the addresses of a cluster's brokers, with commas between them. Tests leave their topics there.
	clusterVariable = "SKEIN_TEST_KAFKA"
	// killedVariable holds those of a cluster that tests may kill, lest it is missed by others. Without it, that is the
	// cluster above.
	killedVariable = "SKEIN_TEST_KAFKA_KILLED"
	// restartVariable holds the shell command that kills a broker of that cluster and returns when it serves again.
	restartVariable = "SKEIN_TEST_KAFKA_RESTART"
	// requireVariable says what must not be missing, or "all".
	requireVariable = "SKEIN_REQUIRE"
)

// Brokers are those of the real cluster. The test is skipped where there is none, and fails where one is required.
func Brokers(t testing.TB) []string {
	t.Helper()
	return strings.Split(need(t, clusterVariable), ",")
}

// Killed gives the brokers of a real cluster that the test may kill, and the command that kills one of them and returns when it
// serves again. The test is skipped where there is none, and fails where one is required.
func Killed(t testing.TB) (brokers, restart []string) {
	t.Helper()
	restart = []string{"sh", "-c", need(t, restartVariable)}
	if addrs := os.Getenv(killedVariable); addrs != "" {
		return strings.Split(addrs, ","), restart
	}
	return Brokers(t), restart
}

func need(t testing.TB, variable string) string {
	t.Helper()
	value := os.Getenv(variable)
	if value != "" {
		return value
	}
	if required := os.Getenv(requireVariable); required == "all" || strings.Contains(required, "kafka") {
		t.Fatalf("kafka is required: %s is not set; make test sets it, where there are Java and Maven", variable)
	}
	t.Skipf("needs a real Kafka: %s is not set; make test sets it, where there are Java and Maven", variable)
	return ""
}
