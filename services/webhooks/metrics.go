package webhooks

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics counts deliveries; a nil Metrics counts nothing.
type Metrics struct {
	attempts *prometheus.CounterVec
	delay    *prometheus.HistogramVec
	disabled *prometheus.GaugeVec
}

// The outcomes of an attempt.
const (
	outcomeDelivered = "delivered"
	outcomeFailed    = "failed"
	outcomeGone      = "gone"
	outcomeDead      = "dead"
)

// NewMetrics registers the metrics.
func NewMetrics(r prometheus.Registerer) *Metrics {
	m := &Metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_webhooks_attempts_total",
			Help: "Attempts to deliver an event, by outcome: delivered, failed, gone (410), dead (can never be sent).",
		}, []string{"endpoint", "outcome"}),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_webhooks_delay_seconds", Help: "Time from an event's append to the log to its delivery.",
			Buckets: prometheus.ExponentialBuckets(0.01, 4, 10),
		}, []string{"endpoint"}),
		disabled: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_webhooks_disabled", Help: "1 while the endpoint is switched off.",
		}, []string{"endpoint"}),
	}
	r.MustRegister(m.attempts, m.delay, m.disabled)
	return m
}

// endpoint shows all of an endpoint's metrics from the start.
func (m *Metrics) endpoint(id string) {
	if m == nil {
		return
	}
	for _, outcome := range []string{outcomeDelivered, outcomeFailed, outcomeGone, outcomeDead} {
		m.attempts.WithLabelValues(id, outcome)
	}
	m.delay.WithLabelValues(id)
	m.disabled.WithLabelValues(id)
}

func (m *Metrics) attempted(id, outcome string) {
	if m != nil {
		m.attempts.WithLabelValues(id, outcome).Inc()
	}
}

func (m *Metrics) delivered(id string, delay time.Duration) {
	if m != nil {
		m.delay.WithLabelValues(id).Observe(max(delay, 0).Seconds())
	}
}

func (m *Metrics) off(id string, off bool) {
	if m == nil {
		return
	}
	value := 0.0
	if off {
		value = 1
	}
	m.disabled.WithLabelValues(id).Set(value)
}
