package embedded

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

func TestTheLogTakesMessagesAgainWhenThereIsRoom(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	log, err := kafkalog.Open(context.Background(), kafkalog.Config{Brokers: cluster.ListenAddrs(), Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	s := &space{cfg: Config{Dir: t.TempDir(), Logger: slog.New(slog.DiscardHandler)}, cluster: cluster}
	for i, full := range []bool{false, true, true, false, false, true, false} {
		s.cfg.MinFreeBytes = 0
		if full {
			s.cfg.MinFreeBytes = 1 << 60
		}
		s.look(t.Context())
		_, err := eventlog.AppendAll(context.Background(), log, []eventlog.Message{{Topic: "topic"}})
		if full && !errors.Is(err, eventlog.ErrUnavailable) || !full && err != nil {
			t.Errorf("look %d, full %t: %v", i, full, err)
		}
	}
	if s.produce.Load() {
		t.Error("requests are still intercepted")
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}
