package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/kv/pebblekv"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
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

// poolCollector tells Prometheus of the connections to the store's database.
type poolCollector struct{ store *pgkv.Store }

// Describe implements prometheus.Collector.
func (c poolCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements prometheus.Collector.
func (c poolCollector) Collect(ch chan<- prometheus.Metric) {
	tell := func(name, help string, kind prometheus.ValueType, v float64) {
		ch <- prometheus.MustNewConstMetric(prometheus.NewDesc(name, help, nil, nil), kind, v)
	}
	m := c.store.Metrics()
	tell("skein_store_connections", "Open connections to the store's database.", prometheus.GaugeValue, float64(m.Connections))
	tell("skein_store_connections_in_use", "Connections that a call or a snapshot holds.", prometheus.GaugeValue, float64(m.InUse))
	tell("skein_store_connections_max", "How many connections are opened at most.", prometheus.GaugeValue, float64(m.Max))
	tell("skein_store_snapshots", "Snapshots that hold a connection.", prometheus.GaugeValue, float64(m.Snapshots))
	tell("skein_store_snapshots_max", "How many snapshots there can be at a time; more have to wait.", prometheus.GaugeValue, float64(m.MaxSnapshots))
	tell("skein_store_connection_waits_total", "Calls that waited for a connection.", prometheus.CounterValue, float64(m.Waits))
	tell("skein_store_connection_wait_seconds_total", "How long calls waited for a connection.", prometheus.CounterValue, m.Waited.Seconds())
	tell("skein_store_connections_opened_total", "Connections that were opened; many of them tell of a database that ends them.", prometheus.CounterValue, float64(m.Opened))
}
