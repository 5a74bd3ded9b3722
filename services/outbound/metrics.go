package outbound

import "github.com/prometheus/client_golang/prometheus"

// Metrics counts attempts and outcomes; a nil Metrics counts nothing.
type Metrics struct {
	attempts *prometheus.CounterVec
	outcomes *prometheus.CounterVec
	pending  *prometheus.GaugeVec
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_outbound_attempts_total",
			Help: "Attempts to send a message, by what came of them: sent, refused, retry (certainly not sent), unknown.",
		}, []string{"tenant", "inbox", "result"}),
		outcomes: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_outbound_outcomes_total",
			Help: "Requests to send that got their outcome in this process: sent, failed, unknown; lost where no event could tell of it.",
		}, []string{"tenant", "inbox", "outcome"}),
		pending: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_outbound_pending", Help: "Requests to send without an outcome, 1024 threads at most.",
		}, []string{"tenant", "inbox"}),
	}
	r.MustRegister(m.attempts, m.outcomes, m.pending)
	return m
}

func (m *Metrics) attempted(in inboxKey, result string) {
	if m != nil {
		m.attempts.WithLabelValues(in.tenant, in.id, result).Inc()
	}
}

func (m *Metrics) settled(in inboxKey, outcome string) {
	if m != nil {
		m.outcomes.WithLabelValues(in.tenant, in.id, outcome).Inc()
	}
}

func (m *Metrics) waiting(in inboxKey, n int) {
	if m != nil {
		m.pending.WithLabelValues(in.tenant, in.id).Set(float64(n))
	}
}
