package kafkalog_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/freeport"
)

func TestOpenNamesBrokersThatDoNotAnswer(t *testing.T) {
	t.Parallel()
	c := fake(t)
	addr := c.ListenAddrs()[0]
	c.Close()
	_, err := kafkalog.Open(background(t), kafkalog.Config{Brokers: []string{addr}, Timeout: time.Second})
	if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), addr) || !strings.Contains(err.Error(), "refused") {
		t.Errorf("%v, want ErrUnavailable with %s and the reason", err, addr)
	}
}

func TestOpenWaitsForBrokersThatStart(t *testing.T) {
	t.Parallel()
	port, release, err := freeport.Reserve(t.Context())
	must(t, err)
	t.Cleanup(release)
	addr := fmt.Sprint("127.0.0.1:", port)
	tried, opened := make(chan struct{}, 1), make(chan error, 1)
	go func() {
		log, err := kafkalog.Open(background(t), kafkalog.Config{Brokers: []string{addr}, Patience: patience, Logger: slog.New(tells(tried))})
		if err == nil {
			err = log.Close()
		}
		opened <- err
	}()
	<-tried
	fake(t, kfake.Ports(port))
	must(t, <-opened)
}

// tells is a log handler that tells of whatever is logged.
type tells chan<- struct{}

func (h tells) Enabled(context.Context, slog.Level) bool { return true }
func (h tells) WithAttrs([]slog.Attr) slog.Handler       { return h }
func (h tells) WithGroup(string) slog.Handler            { return h }

func (h tells) Handle(context.Context, slog.Record) error {
	select {
	case h <- struct{}{}:
	default:
	}
	return nil
}

func TestOpenRefusesAConfigurationThatCannotWork(t *testing.T) {
	for _, cfg := range []kafkalog.Config{
		{},
		{Brokers: []string{"127.0.0.1:1"}, SASL: &kafkalog.SASL{Mechanism: "GSSAPI"}},
	} {
		if _, err := kafkalog.Open(background(t), cfg); err == nil || errors.Is(err, eventlog.ErrUnavailable) {
			t.Errorf("%+v gave %v", cfg, err)
		}
	}
}

func TestAuthenticationAndEncryption(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(nil) // for its certificate of 127.0.0.1
	defer server.Close()
	c := fake(t, kfake.EnableSASL(), kfake.TLS(&tls.Config{Certificates: server.TLS.Certificates}),
		kfake.Superuser("PLAIN", "plain", "p"), kfake.Superuser("SCRAM-SHA-256", "s256", "q"), kfake.Superuser("SCRAM-SHA-512", "s512", "r"))
	authorities := x509.NewCertPool()
	authorities.AddCert(server.Certificate())
	trust := &tls.Config{RootCAs: authorities}
	for _, test := range []struct {
		sasl    kafkalog.SASL
		refused bool
	}{
		{sasl: kafkalog.SASL{Mechanism: "PLAIN", Username: "plain", Password: "p"}},
		{sasl: kafkalog.SASL{Mechanism: "SCRAM-SHA-256", Username: "s256", Password: "q"}},
		{sasl: kafkalog.SASL{Mechanism: "SCRAM-SHA-512", Username: "s512", Password: "r"}},
		{sasl: kafkalog.SASL{Mechanism: "PLAIN", Username: "plain", Password: "wrong"}, refused: true},
		{sasl: kafkalog.SASL{Mechanism: "SCRAM-SHA-256", Username: "s256", Password: "wrong"}, refused: true},
	} {
		cfg := kafkalog.Config{Brokers: c.ListenAddrs(), TLS: trust, SASL: &test.sasl, Patience: patience}
		if test.refused {
			cfg.Patience = time.Second
		}
		log, err := kafkalog.Open(background(t), cfg)
		if test.refused {
			if !errors.Is(err, eventlog.ErrUnavailable) {
				t.Errorf("%+v: %v, want ErrUnavailable", test.sasl, err)
			}
			continue
		}
		must(t, err)
		must(t, log.EnsureTopics(background(t), eventlog.Topic{Name: "topic", Partitions: 1}))
		_, err = eventlog.AppendAll(background(t), log, empty("topic", 1))
		must(t, err)
		must(t, log.Close())
	}
}
