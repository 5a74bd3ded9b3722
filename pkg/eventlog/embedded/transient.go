package embedded

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// forget deletes the records of a topic that are older than a time, twice as old at most, until ctx ends. A partition that is empty when
// the broker stops begins at offset 0 again.
func forget(ctx context.Context, cluster *kfake.Cluster, topic string, after time.Duration) {
	tick := time.NewTicker(after)
	defer tick.Stop()
	old := map[int32]int64{} // what is before was there at the last tick
	for _, p := range cluster.PartitionInfos(topic) {
		old[p.Partition] = p.HighWatermark
	}
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		for _, p := range cluster.PartitionInfos(topic) {
			if old[p.Partition] > p.LogStartOffset {
				_ = cluster.DeleteRecords(topic, p.Partition, old[p.Partition]) // it fails only where the topic is gone
			}
			old[p.Partition] = p.HighWatermark
		}
	}
}
