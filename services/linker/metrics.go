package linker

import (
	"github.com/prometheus/client_golang/prometheus"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Metrics counts what is asked for; a nil Metrics counts nothing.
type Metrics struct{ links, blocked *prometheus.CounterVec }

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		links: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_linker_links_total", Help: "Links asked for, by rule. The folds of the links decide on them.",
		}, []string{"tenant", "rule"}),
		blocked: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_linker_blocked_total", Help: "Addresses and identifiers that a person was not linked by, because their value is blocked.",
		}, []string{"tenant", "kind"}),
	}
	r.MustRegister(m.links, m.blocked)
	return m
}

func (m *Metrics) asked(tenant, rule string) {
	if m != nil {
		m.links.WithLabelValues(tenant, rule).Inc()
	}
}

func (m *Metrics) block(tenant string, kind eventv1.EndpointKind) {
	if m != nil {
		m.blocked.WithLabelValues(tenant, kindNames[kind]).Inc()
	}
}
