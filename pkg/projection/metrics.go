package projection

import (
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what runners do. One Metrics serves all runners of a process; a nil Metrics counts nothing.
type Metrics struct {
	records, dead *prometheus.CounterVec
	batch         *prometheus.HistogramVec
	next, at      *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		records: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_projection_records_total", Help: "Records that were folded.",
		}, []string{"slice", "topic"}),
		dead: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_projection_dead_total", Help: "Records that went to the dead letters.",
		}, []string{"slice", "topic"}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_projection_batch_seconds", Help: "Time to fold and apply a batch.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}, []string{"slice", "topic"}),
		next: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_projection_next_offset", Help: "Offset of the record to fold next.",
		}, []string{"slice", "topic", "partition"}),
		at: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_projection_last_record_timestamp_seconds", Help: "When the record that was folded last was appended.",
		}, []string{"slice", "topic", "partition"}),
	}
	r.MustRegister(m.records, m.dead, m.batch, m.next, m.at)
	return m
}

func (m *Metrics) opened(p *partition, end int64) {
	p.cfg.Logger.Debug("partition opened", "slice", p.cfg.Namespace.Slice, "topic", p.cfg.Topic, "partition", p.number,
		"next", p.next, "behind", end-p.next)
	if m != nil {
		m.next.WithLabelValues(p.cfg.Namespace.Slice, p.cfg.Topic, strconv.Itoa(int(p.number))).Set(float64(p.next))
	}
}

func (m *Metrics) applied(p *partition, records, dead int, last time.Time, took time.Duration) {
	if m == nil {
		return
	}
	slice, topic, number := p.cfg.Namespace.Slice, p.cfg.Topic, strconv.Itoa(int(p.number))
	m.records.WithLabelValues(slice, topic).Add(float64(records))
	m.dead.WithLabelValues(slice, topic).Add(float64(dead))
	m.batch.WithLabelValues(slice, topic).Observe(took.Seconds())
	m.next.WithLabelValues(slice, topic, number).Set(float64(p.next))
	m.at.WithLabelValues(slice, topic, number).Set(float64(last.UnixMilli()) / 1000)
}
