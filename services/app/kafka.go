package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/eventlog/kafkagroup"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
)

// TLSConfig says how connections to Kafka are encrypted.
type TLSConfig struct {
	Enabled    bool   `koanf:"enabled" help:"encrypt connections to Kafka"`
	CA         string `koanf:"ca" help:"file of certificates that vouch for the brokers (PEM); the system's unless set"`
	Cert       string `koanf:"cert" help:"certificate file by which Skein shows itself, where brokers ask for one (PEM)"`
	Key        string `koanf:"key" help:"key file of that certificate (PEM)"`
	ServerName string `koanf:"server_name" help:"name in the brokers' certificates; the host of their address unless set"`
}

// SASLConfig says how Skein authenticates to Kafka.
type SASLConfig struct {
	Mechanism string `koanf:"mechanism" help:"PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512; empty for no authentication"`
	Username  string `koanf:"username" help:"user"`
	Password  string `koanf:"password" secret:"true" help:"the user's password; best set by SKEIN_LOG_SASL_PASSWORD"`
}

// tls is how to encrypt connections to the brokers, or nil. It reads the files that are configured.
func (c *TLSConfig) tls() (*tls.Config, error) {
	if !c.Enabled {
		return nil, nil //nolint:nilnil // nothing for no encryption, as the driver takes it
	}
	cfg := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: c.ServerName}
	if c.CA != "" {
		text, err := os.ReadFile(c.CA)
		if err != nil {
			return nil, fmt.Errorf("log.tls.ca: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("log.tls.ca: %s holds no certificate in PEM", c.CA)
		}
	}
	if c.Cert != "" || c.Key != "" {
		own, err := tls.LoadX509KeyPair(c.Cert, c.Key)
		if err != nil {
			return nil, fmt.Errorf("log.tls.cert: %w", err)
		}
		cfg.Certificates = []tls.Certificate{own}
	}
	return cfg, nil
}

// sasl is how to authenticate to the brokers, or nil.
func (c *SASLConfig) sasl() *kafkalog.SASL {
	if c.Mechanism == "" {
		return nil
	}
	return &kafkalog.SASL{Mechanism: c.Mechanism, Username: c.Username, Password: c.Password}
}

// kafkalog is how to reach the log on a cluster.
func (c *LogConfig) kafkalog(brokers []string) (kafkalog.Config, error) {
	encryption, err := c.TLS.tls()
	if err != nil {
		return kafkalog.Config{}, err
	}
	return kafkalog.Config{Brokers: brokers, ClientID: clientID, TLS: encryption, SASL: c.SASL.sasl()}, nil
}

// groups are the cluster's consumer groups.
func (a *App) groups() (*kafkagroup.Groups, error) {
	encryption, err := a.cfg.Log.TLS.tls()
	if err != nil {
		return nil, err
	}
	return kafkagroup.New(kafkagroup.Config{
		Brokers: a.KafkaAddrs(), ClientID: clientID, TLS: encryption, SASL: (*kafkagroup.SASL)(a.cfg.Log.SASL.sasl()), Logger: a.logger,
	})
}

// kafka verifies how the log on a cluster is reached.
func (v *verifier) kafka(c *LogConfig) {
	for i, a := range c.Kafka {
		v.address(fmt.Sprintf("log.kafka[%d]", i), a)
	}
	embedded := len(c.Kafka) == 0
	v.check(!embedded || !c.TLS.Enabled, "log.tls.enabled", "the embedded log speaks no TLS: name a cluster in log.kafka, or turn it off")
	v.check(!embedded || c.SASL.Mechanism == "", "log.sasl.mechanism", "the embedded log knows no users: name a cluster in log.kafka, or leave it empty")
	if !c.TLS.Enabled {
		unused := func(field, value string) { v.check(value == "", field, "has no effect unless log.tls.enabled is true") }
		unused("log.tls.ca", c.TLS.CA)
		unused("log.tls.cert", c.TLS.Cert)
		unused("log.tls.key", c.TLS.Key)
		unused("log.tls.server_name", c.TLS.ServerName)
	}
	if whole := (c.TLS.Cert == "") == (c.TLS.Key == ""); !whole {
		v.add("log.tls.cert", "log.tls.cert and log.tls.key go together")
	} else if _, err := c.TLS.tls(); err != nil {
		field, reason, _ := strings.Cut(err.Error(), ": ")
		v.add(field, reason)
	}
	v.sasl(c)
}

func (v *verifier) sasl(c *LogConfig) {
	mechanisms := []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"}
	switch s := c.SASL; {
	case s.Mechanism == "":
		v.check(s.Username == "" && s.Password == "", "log.sasl.mechanism", "username and password have no effect without one: "+strings.Join(mechanisms, ", "))
	case !slices.Contains(mechanisms, s.Mechanism):
		v.add("log.sasl.mechanism", fmt.Sprintf("%q is none of %s", s.Mechanism, strings.Join(mechanisms, ", ")))
	default:
		v.check(s.Username != "", "log.sasl.username", s.Mechanism+" needs one")
		v.check(s.Password != "", "log.sasl.password", s.Mechanism+" needs one; set SKEIN_LOG_SASL_PASSWORD")
		inClear := s.Mechanism == "PLAIN" && !c.TLS.Enabled && slices.ContainsFunc(c.Kafka, v.foreign)
		v.check(!inClear, "log.sasl.mechanism", "PLAIN without TLS shows the password to everybody on the way: set log.tls.enabled, or use SCRAM-SHA-512")
	}
}
