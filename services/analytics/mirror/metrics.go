package mirror

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what mirrors do. A nil Metrics counts nothing.
type Metrics struct {
	rows                      *prometheus.CounterVec
	batches, entities         *prometheus.CounterVec
	retries, aside            *prometheus.CounterVec
	pending, until, lastBatch *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "skein_mirror_" + name, Help: help}, labels)
	}
	gauge := func(name, help string) *prometheus.GaugeVec {
		return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "skein_mirror_" + name, Help: help}, []string{"source"})
	}
	m := &Metrics{
		rows:      counter("rows_total", "Rows that were written into ClickHouse, those that take others back included.", "source", "table"),
		batches:   counter("batches_total", "Batches that were recorded.", "source"),
		entities:  counter("entities_total", "Entities of which something was sent.", "source"),
		retries:   counter("retries_total", "Attempts that failed and were made again.", "source"),
		aside:     counter("refused_total", "Entities that were put aside because ClickHouse cannot take their rows.", "source"),
		pending:   gauge("pending_rows", "Rows that are recorded and not yet known to have been written."),
		until:     gauge("complete_until_timestamp_seconds", "Moment of receipt up to which the tables contain everything. Lag is the time since."),
		lastBatch: gauge("last_batch_timestamp_seconds", "When the last batch was recorded."),
	}
	r.MustRegister(m.rows, m.batches, m.entities, m.retries, m.aside, m.pending, m.until, m.lastBatch)
	return m
}

// follows begins the counts of a source: an alert sees the first failure only where there was a 0 before.
func (m *Metrics) follows(source string) {
	if m != nil {
		m.retries.WithLabelValues(source)
		m.aside.WithLabelValues(source)
	}
}

func (m *Metrics) sent(source, table string, rows int) {
	if m != nil {
		m.rows.WithLabelValues(source, table).Add(float64(rows))
	}
}

func (m *Metrics) batch(source string, entities int) {
	if m != nil {
		m.batches.WithLabelValues(source).Inc()
		m.entities.WithLabelValues(source).Add(float64(entities))
		m.lastBatch.WithLabelValues(source).SetToCurrentTime()
	}
}

func (m *Metrics) retried(source string) {
	if m != nil {
		m.retries.WithLabelValues(source).Inc()
	}
}

func (m *Metrics) refused(source string) {
	if m != nil {
		m.aside.WithLabelValues(source).Inc()
	}
}

func (m *Metrics) waiting(source string, rows int) {
	if m != nil {
		m.pending.WithLabelValues(source).Set(float64(rows))
	}
}

func (m *Metrics) contains(source string, until time.Time) {
	if m != nil && !until.IsZero() {
		m.until.WithLabelValues(source).Set(float64(until.UnixMilli()) / 1000)
	}
}
