package intake

import (
	"errors"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
)

// Metrics counts what comes in; a nil Metrics counts nothing.
type Metrics struct {
	events  *prometheus.CounterVec
	rejects *prometheus.CounterVec
}

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		events: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_intake_events_total", Help: "Events handed in, by outcome: accepted, invalid, limited, retry, failed.",
		}, []string{"tenant", "outcome"}),
		rejects: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_intake_rejected_total", Help: "Payloads of channels that went to the dead letters.",
		}, []string{"provider"}),
	}
	r.MustRegister(m.events, m.rejects)
	return m
}

func (m *Metrics) submitted(tenant string, n int, err error) {
	if m == nil {
		return
	}
	var (
		invalid *event.InvalidError
		limited *LimitedError
		outcome string
	)
	switch {
	case err == nil:
		outcome = "accepted"
	case errors.As(err, &invalid):
		outcome = "invalid"
	case errors.As(err, &limited):
		outcome = "limited"
	case errors.Is(err, channel.ErrRetry):
		outcome = "retry"
	default:
		outcome = "failed"
	}
	m.events.WithLabelValues(tenant, outcome).Add(float64(n))
}

func (m *Metrics) rejected(provider string) {
	if m != nil {
		m.rejects.WithLabelValues(provider).Inc()
	}
}
