//go:build kafka

package kafkalog_test

import (
	"os"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/eventlog/logtest"
)

// SKEIN_TEST_KAFKA holds the addresses of a cluster's brokers, with commas between them. The test leaves its topics there.
func TestKafkalogOverAClusterPassesTheSuite(t *testing.T) {
	brokers := os.Getenv("SKEIN_TEST_KAFKA")
	if brokers == "" {
		t.Fatal("SKEIN_TEST_KAFKA names no brokers")
	}
	logtest.Run(t, func(t *testing.T) eventlog.Log {
		return opened(t, kafkalog.Config{Brokers: strings.Split(brokers, ","), MaxMessageBytes: logtest.MaxMessageBytes})
	})
}
