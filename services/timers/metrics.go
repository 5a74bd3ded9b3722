package timers

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts what is published; a nil Metrics counts nothing.
type Metrics struct {
	fired    *prometheus.CounterVec
	lateness prometheus.Histogram
	policies *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		fired: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_timers_fired_total",
			Help: "Timers that this process has published as fired, by name. Of several processes that publish one, the first counts.",
		}, []string{"timer"}),
		lateness: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "skein_timers_lateness_seconds",
			Help:    "Time from when a timer was due until it stood in the log.",
			Buckets: []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 60, 600, 3600, 86400},
		}),
		policies: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_timers_policies_set_total",
			Help: "Policies that were set, and clocks that were begun later, by the name of the policy.",
		}, []string{"tenant", "policy"}),
	}
	r.MustRegister(m.fired, m.lateness, m.policies)
	return m
}

func (m *Metrics) timerFired(name string, late time.Duration) {
	if m != nil {
		m.fired.WithLabelValues(name).Inc()
		m.lateness.Observe(late.Seconds())
	}
}

func (m *Metrics) policySet(tenant, policy string) {
	if m != nil {
		m.policies.WithLabelValues(tenant, policy).Inc()
	}
}
