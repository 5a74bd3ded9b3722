package asterisk

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	blocks, gaps *prometheus.CounterVec
	connected    *prometheus.GaugeVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	labels := []string{"inbox", "switch"}
	m := &metrics{
		blocks: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_asterisk_blocks_total",
			Help: "Events of switches by outcome: told (they gave events), ignored (of no interest), rejected (kept among the dead letters).",
		}, append(labels, "outcome")),
		gaps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_asterisk_gaps_total", Help: "Times without a connection that were told as gaps.",
		}, labels),
		connected: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "skein_asterisk_connected", Help: "1 while a switch is connected and logged in to.",
		}, labels),
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.blocks, m.gaps, m.connected} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// lineMetrics are those of one switch.
type lineMetrics struct {
	told, ignored, rejected, gaps prometheus.Counter
	connected                     prometheus.Gauge
}

func (m *metrics) of(l *line) lineMetrics {
	if m == nil { // they could not be registered, which is an error already
		return lineMetrics{}
	}
	return lineMetrics{
		told:      m.blocks.WithLabelValues(l.Inbox, l.Addr, "told"),
		ignored:   m.blocks.WithLabelValues(l.Inbox, l.Addr, "ignored"),
		rejected:  m.blocks.WithLabelValues(l.Inbox, l.Addr, "rejected"),
		gaps:      m.gaps.WithLabelValues(l.Inbox, l.Addr),
		connected: m.connected.WithLabelValues(l.Inbox, l.Addr),
	}
}
