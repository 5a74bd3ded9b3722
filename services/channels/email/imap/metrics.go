package imap

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	mails              *prometheus.CounterVec
	bytes, connections prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		mails: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "skein_email_imap_mails_total", Help: "Mails that were fetched, by outcome: accepted or dead (kept among the dead letters).",
		}, []string{"outcome"}),
		bytes:       prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_email_imap_received_bytes_total", Help: "Bytes of mails that were fetched."}),
		connections: prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_email_imap_connections_total", Help: "Connections to mail servers that were logged in."}),
	}
	for _, outcome := range []string{"accepted", "dead"} {
		m.mails.WithLabelValues(outcome) // so that each shows from the start
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.mails, m.bytes, m.connections} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}
