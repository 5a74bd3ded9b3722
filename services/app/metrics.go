package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

// storeCollector tells Prometheus how the embedded store is, when it asks.
type storeCollector struct{ store *pebblekv.Store }

// Describe implements prometheus.Collector.
func (c storeCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c storeCollector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(name, help string, v float64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), prometheus.GaugeValue, v)
	}
	m := c.store.Metrics()
	gauge("skein_store_disk_bytes", "Disk space of the store, its write-ahead log included.", float64(m.DiskBytes))
	gauge("skein_store_wal_bytes", "Disk space of the store's write-ahead log.", float64(m.WALBytes))
	gauge("skein_store_compaction_debt_bytes", "Bytes to be rewritten until the store is in order.", float64(m.CompactionDebt))
	gauge("skein_store_read_amplification", "Sorted runs that a scan looks into.", float64(m.ReadAmplification))
}
