package freeswitch

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	events, connections, gaps, dead *prometheus.CounterVec
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	counter := func(name, help string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: "skein_freeswitch_" + name, Help: help}, []string{"addr"})
	}
	m := &metrics{
		events:      counter("events_total", "Events that a switch sent, of interest or not."),
		connections: counter("connections_total", "Connections to a switch that came about."),
		gaps:        counter("gaps_total", "Interruptions in which a switch's events may have been lost."),
		dead:        counter("dead_letters_total", "Events that could not be understood and were kept among the dead letters."),
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.events, m.connections, m.gaps, m.dead} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
