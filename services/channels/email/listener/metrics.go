package listener

import (
	"errors"
	"fmt"
	"time"

	"github.com/emersion/go-smtp"
	"github.com/prometheus/client_golang/prometheus"
)

// metrics are those of one listener, labelled with its protocol.
type metrics struct {
	seconds                         *prometheus.HistogramVec
	bytes, defective, dead, unknown prometheus.Counter
}

func newMetrics(registerer prometheus.Registerer, protocol Protocol) (*metrics, error) {
	labels := prometheus.Labels{"protocol": string(protocol)}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "skein_email_" + name, Help: help, ConstLabels: labels})
	}
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "skein_email_mail_seconds", ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(0.001, 4, 9),
			Help: "Mails and how long each took for one inbox, by outcome: accepted, retried (4xx) or rejected (5xx).",
		}, []string{"outcome"}),
		bytes:     counter("received_bytes_total", "Bytes of mails that were read whole."),
		defective: counter("defective_mails_total", "Mails in which something was mended or left out."),
		dead:      counter("dead_letters_total", "Mails that could not become events and were kept among the dead letters."),
		unknown:   counter("unknown_recipients_total", "Recipients that belong to no inbox."),
	}
	for _, outcome := range []string{"accepted", "retried", "rejected"} {
		m.seconds.WithLabelValues(outcome) // so that each shows from the start
	}
	if registerer == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.seconds, m.bytes, m.defective, m.dead, m.unknown} {
		if err := registerer.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

func (m *metrics) done(outcome string, begin time.Time) {
	m.seconds.WithLabelValues(outcome).Observe(time.Since(begin).Seconds())
}

func outcomeOf(answer error) string {
	var refused *smtp.SMTPError
	switch {
	case answer == nil:
		return "accepted"
	case errors.As(answer, &refused) && !refused.Temporary():
		return "rejected"
	}
	return "retried"
}
