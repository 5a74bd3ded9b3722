package web

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	streams  prometheus.Gauge
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_console_requests_total", Help: "Requests that the console answered, by page and code.",
		}, []string{"page", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_console_request_seconds", Help: "How long the console's answers took, without streams.",
			Buckets: []float64{0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5},
		}, []string{"page"}),
		streams: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "skein_console_streams", Help: "Open streams of news: one or a few for each page of the console that somebody sees.",
		}),
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds, m.streams} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("web: register the metrics of the console: %w", err)
		}
	}
	return m, nil
}
