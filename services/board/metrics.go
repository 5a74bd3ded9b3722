package board

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	boards, watches prometheus.Gauge
	sent            [kinds]prometheus.Counter
}

// newMetrics registers the metrics. shown counts the rows of all boards by their kinds.
func newMetrics(registerer prometheus.Registerer, shown func(kind) int) (*metrics, error) {
	m := &metrics{
		boards: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "skein_board_boards", Help: "Boards that are kept in memory, one for each tenant who looks at one or did so a few minutes ago.",
		}),
		watches: prometheus.NewGauge(prometheus.GaugeOpts{Name: "skein_board_watches", Help: "Watches of boards that go on."}),
	}
	all := []prometheus.Collector{m.boards, m.watches}
	sent := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "skein_board_rows_sent_total", Help: "Rows that were sent, removed ones included, by what they are of.",
	}, []string{"of"})
	all = append(all, sent)
	for k, name := range [...]string{queueKind: "queue", teamKind: "team", agentKind: "agent"} {
		if name == "" {
			continue
		}
		m.sent[k] = sent.WithLabelValues(name)
		all = append(all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "skein_board_rows", Help: "Rows of the boards that are kept in memory, by what they are of.", ConstLabels: prometheus.Labels{"of": name},
		}, func() float64 { return float64(shown(kind(k))) }))
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range all {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("board: register metrics: %w", err)
		}
	}
	return m, nil
}
