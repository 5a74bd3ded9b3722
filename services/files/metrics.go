package files

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts attempts; a nil Metrics counts nothing.
type Metrics struct{ attempts *prometheus.CounterVec }

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_files_attempts_total",
		Help: "Attempts to fetch a file that a provider keeps, by what came of them: stored, retry, failed (for good).",
	}, []string{"tenant", "inbox", "result"})}
	r.MustRegister(m.attempts)
	return m
}

func (m *Metrics) attempted(in Inbox, result string) {
	if m != nil {
		m.attempts.WithLabelValues(in.Tenant, in.ID, result).Inc()
	}
}
