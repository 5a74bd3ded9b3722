package app

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/kv/pebblekv"
)

// storeCollector tells Prometheus how the embedded store is, when it asks.
type storeCollector struct{ store *pebblekv.Store }

var (
	storeDisk = prometheus.NewDesc("skein_store_disk_bytes", "Disk space of the store, its write-ahead log included.", nil, nil)
	storeWAL  = prometheus.NewDesc("skein_store_wal_bytes", "Disk space of the store's write-ahead log.", nil, nil)
	storeDebt = prometheus.NewDesc("skein_store_compaction_debt_bytes", "Bytes to be rewritten until the store is in order.", nil, nil)
	storeAmp  = prometheus.NewDesc("skein_store_read_amplification", "Sorted runs that a scan looks into.", nil, nil)
)

// Describe implements prometheus.Collector.
func (storeCollector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{storeDisk, storeWAL, storeDebt, storeAmp} {
		ch <- d
	}
}

// Collect implements prometheus.Collector.
func (c storeCollector) Collect(ch chan<- prometheus.Metric) {
	m := c.store.Metrics()
	for d, v := range map[*prometheus.Desc]float64{
		storeDisk: float64(m.DiskBytes), storeWAL: float64(m.WALBytes), storeDebt: float64(m.CompactionDebt), storeAmp: float64(m.ReadAmplification),
	} {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v)
	}
}
