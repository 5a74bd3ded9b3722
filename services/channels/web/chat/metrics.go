package chat

import (
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	connections    prometheus.Gauge
	seconds        *prometheus.HistogramVec
	refusals       *prometheus.CounterVec
	events, resets prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		connections: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_chat_connections", Help: "WebSockets that are open."}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_chat_message_seconds", Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
			Help: "Messages and how long the log took for each, by outcome: accepted, retried (the client sends again) or rejected.",
		}, []string{"outcome"}),
		refusals: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_chat_refusals_total",
			Help: "Requests, frames and connections that were refused or cut, by the code that the client was told, or why it was cut.",
		}, []string{"reason"}),
		events: prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_chat_events_total", Help: "Events that were shown to visitors."}),
		resets: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "skein_chat_resets_total", Help: "Cursors that were too old, so that a history began again.",
		}),
	}
	for _, outcome := range []string{"accepted", "retried", "rejected"} {
		m.seconds.WithLabelValues(outcome) // so that each shows from the start
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.connections, m.seconds, m.refusals, m.events, m.resets} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) message(o outcome, begin time.Time) {
	label := "accepted"
	switch {
	case o.problem != nil && o.problem.RetryAfter > 0:
		label = "retried"
	case o.problem != nil:
		label = "rejected"
	}
	m.seconds.WithLabelValues(label).Observe(time.Since(begin).Seconds())
}

func (m *metrics) refused(reason string) { m.refusals.WithLabelValues(reason).Inc() }
