package search

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics tells of the index; a nil Metrics tells nothing.
type Metrics struct {
	documents, lag prometheus.Gauge
	written        prometheus.Counter
	batches        prometheus.Histogram
	searches       prometheus.Histogram
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		documents: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "skein_search_documents", Help: "Documents of this process's search index: one for each event that says something, and one for each thread.",
		}),
		lag: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "skein_search_lag_records", Help: "Records of the log that this process's search index does not hold yet.",
		}),
		written: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skein_search_documents_written_total", Help: "Documents written to this process's search index.",
		}),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "skein_search_batch_seconds", Help: "How long it takes to write a batch to the search index durably.",
			Buckets: prometheus.ExponentialBuckets(.001, 2, 14),
		}),
		searches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "skein_search_seconds", Help: "How long a search takes in the index.",
			Buckets: prometheus.ExponentialBuckets(.0005, 2, 14),
		}),
	}
	r.MustRegister(m.documents, m.lag, m.written, m.batches, m.searches)
	return m
}

func (m *Metrics) wrote(rows int, took time.Duration) {
	if m != nil {
		m.written.Add(float64(rows))
		m.batches.Observe(took.Seconds())
	}
}

func (m *Metrics) stands(documents uint64, lag int64) {
	if m != nil {
		m.documents.Set(float64(documents))
		m.lag.Set(float64(lag))
	}
}

func (m *Metrics) searched(took time.Duration) {
	if m != nil {
		m.searches.Observe(took.Seconds())
	}
}
