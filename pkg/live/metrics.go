package live

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	published, limited, dropped, failed, missed, unreadable prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	signals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_live_signals_total",
		Help: "Signals of typing, by outcome: published; limited, since the same came just before; dropped, since too many waited or for too long; " +
			"failed, since the log did not take them; missed by a follower that was too slow; unreadable in the topic.",
	}, []string{"outcome"})
	m := &metrics{
		published: signals.WithLabelValues("published"), limited: signals.WithLabelValues("limited"), dropped: signals.WithLabelValues("dropped"),
		failed: signals.WithLabelValues("failed"), missed: signals.WithLabelValues("missed"), unreadable: signals.WithLabelValues("unreadable"),
	}
	if registerer != nil {
		if err := registerer.Register(signals); err != nil {
			return nil, fmt.Errorf("live: register metrics: %w", err)
		}
	}
	return m, nil
}
