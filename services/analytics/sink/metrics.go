package sink

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what the sink does; a nil Metrics counts nothing.
type Metrics struct {
	rows, rejections, retries, skipped *prometheus.CounterVec
	batches, bytes                     prometheus.Counter
	blocked                            prometheus.Gauge
	inserts                            *prometheus.HistogramVec
	batch                              prometheus.Histogram
	lag, complete                      *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	seconds := prometheus.ExponentialBuckets(0.002, 2, 14)
	m := &Metrics{
		rows: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_analytics_sink_rows_total", Help: "Rows that ClickHouse has taken.",
		}, []string{"table"}),
		rejections: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_analytics_sink_rejected_total", Help: "Rows that ClickHouse refused for good; rejected_events says which.",
		}, []string{"table"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_analytics_sink_retries_total", Help: "Attempts that failed and were, or will be, made again.",
		}, []string{"table"}),
		skipped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_analytics_sink_skipped_total", Help: "Records without a row: duplicate (the event was there before), invalid (no event, or misplaced).",
		}, []string{"reason"}),
		batches: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skein_analytics_sink_batches_total", Help: "Batches that ClickHouse has taken.",
		}),
		bytes: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skein_analytics_sink_bytes_total", Help: "Bytes of the records that were read.",
		}),
		blocked: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "skein_analytics_sink_blocked", Help: "1 while ClickHouse takes nothing and events wait in the log.",
		}),
		inserts: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_analytics_sink_insert_seconds", Help: "Time of an insert that succeeded.", Buckets: seconds,
		}, []string{"table"}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "skein_analytics_sink_batch_seconds", Help: "Time to send a batch to all tables, retries included.", Buckets: seconds,
		}),
		lag: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_analytics_sink_lag_records", Help: "Records of the log that ClickHouse does not have yet.",
		}, []string{"topic", "partition"}),
		complete: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_analytics_sink_complete_until_timestamp_seconds", Help: "Everything that was received before this moment is in ClickHouse.",
		}, []string{"topic", "partition"}),
	}
	r.MustRegister(m.rows, m.rejections, m.retries, m.skipped, m.batches, m.bytes, m.blocked, m.inserts, m.batch, m.lag, m.complete)
	for _, table := range []string{tableEvents, tableMessages, tableSurveys} { // an alert sees the first one only where it was 0 before
		m.rejections.WithLabelValues(table)
		m.retries.WithLabelValues(table)
	}
	return m
}

func (m *Metrics) prepared(b *batch, duplicates int) {
	if m == nil {
		return
	}
	broken := 0
	for _, c := range b.chunks {
		broken += c.broken
	}
	m.bytes.Add(float64(b.bytes))
	m.skipped.WithLabelValues("duplicate").Add(float64(duplicates))
	m.skipped.WithLabelValues("invalid").Add(float64(broken))
}

func (m *Metrics) inserted(table string, rows int) {
	if m != nil {
		m.rows.WithLabelValues(table).Add(float64(rows))
	}
}

func (m *Metrics) took(table string, d time.Duration) {
	if m != nil {
		m.inserts.WithLabelValues(table).Observe(d.Seconds())
	}
}

func (m *Metrics) sent(d time.Duration) {
	if m != nil {
		m.batches.Inc()
		m.batch.Observe(d.Seconds())
	}
}

func (m *Metrics) rejected(table string) {
	if m != nil {
		m.rejections.WithLabelValues(table).Inc()
	}
}

func (m *Metrics) retried(table string) {
	if m != nil {
		m.retries.WithLabelValues(table).Inc()
	}
}

func (m *Metrics) waiting(yes bool) {
	switch {
	case m == nil:
	case yes:
		m.blocked.Set(1)
	default:
		m.blocked.Set(0)
	}
}

func (m *Metrics) behind(partitions []PartitionStatus) {
	if m == nil {
		return
	}
	for _, p := range partitions {
		number := strconv.Itoa(int(p.Partition))
		m.lag.WithLabelValues(p.Topic, number).Set(float64(p.End - p.Next))
		m.complete.WithLabelValues(p.Topic, number).Set(float64(p.CompleteUntil.UnixMilli()) / 1000)
	}
}
