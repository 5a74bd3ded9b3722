package kafkalog_test

import (
	"context"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/embedded"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkatest"
	"github.com/skein-cx/skein/pkg/eventlog/logtest"
)

func TestKafkalogOverTheEmbeddedBrokerPassesTheSuite(t *testing.T) {
	broker := embeddedBroker(t)
	logtest.Run(t, func(t *testing.T) eventlog.Log {
		t.Helper()
		return opened(t, kafkalog.Config{Brokers: []string{broker.Addr()}, MaxMessageBytes: logtest.MaxMessageBytes})
	})
}

func TestKafkalogOverARealClusterPassesTheSuite(t *testing.T) {
	brokers := kafkatest.Brokers(t)
	logtest.Run(t, func(t *testing.T) eventlog.Log {
		t.Helper()
		return opened(t, kafkalog.Config{Brokers: brokers, MaxMessageBytes: logtest.MaxMessageBytes})
	})
}

func embeddedBroker(t testing.TB) *embedded.Broker {
	t.Helper()
	broker, err := embedded.Start(context.Background(), embedded.Config{Dir: t.TempDir(), Addr: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(func() { must(t, broker.Close()) })
	return broker
}

// opened opens a log that the caller closes.
func opened(t testing.TB, cfg kafkalog.Config) *kafkalog.Log {
	t.Helper()
	if cfg.Timeout == 0 && cfg.Patience == 0 {
		cfg.Patience = time.Minute
	}
	log, err := kafkalog.Open(context.Background(), cfg)
	must(t, err)
	return log
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
