package app_test

import (
	"encoding/pem"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/services/app"
)

// authority writes a certificate file.
func authority(t *testing.T) string {
	t.Helper()
	server := httptest.NewTLSServer(nil)
	defer server.Close()
	path := filepath.Join(t.TempDir(), "ca.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWaysToReachAClusterThatWork(t *testing.T) {
	ca := authority(t)
	for name, cfg := range map[string]app.LogConfig{
		"TLS by the system's authorities": {TLS: app.TLSConfig{Enabled: true}},
		"TLS by one's own authority":      {TLS: app.TLSConfig{Enabled: true, CA: ca, ServerName: "kafka.internal"}},
		"PLAIN over TLS":                  {TLS: app.TLSConfig{Enabled: true}, SASL: app.SASLConfig{Mechanism: "PLAIN", Username: "u", Password: "p"}},
		"SCRAM in clear":                  {SASL: app.SASLConfig{Mechanism: "SCRAM-SHA-512", Username: "u", Password: "p"}},
	} {
		c := app.Default()
		c.Log.Kafka, c.Log.TLS, c.Log.SASL = []string{"broker-1:9092"}, cfg.TLS, cfg.SASL
		if problems := c.Verify(app.RoleNames()); len(problems) != 0 {
			t.Errorf("%s: %v", name, problems)
		}
	}
	c := app.Default()
	c.Log.Kafka, c.Log.SASL = []string{"127.0.0.1:9092"}, app.SASLConfig{Mechanism: "PLAIN", Username: "u", Password: "p"}
	if problems := c.Verify(app.RoleNames()); len(problems) != 0 {
		t.Errorf("PLAIN in clear on this machine: %v", problems)
	}
}

func TestWaysToReachAClusterThatCannotWorkAreNamed(t *testing.T) {
	ca := authority(t)
	garbage := write(t, "this is no certificate")
	user := app.SASLConfig{Mechanism: "SCRAM-SHA-256", Username: "u", Password: "p"}
	for _, test := range []struct {
		field, tells string
		cfg          app.LogConfig
	}{
		{"log.tls.enabled", "log.kafka", app.LogConfig{TLS: app.TLSConfig{Enabled: true}}},
		{"log.sasl.mechanism", "log.kafka", app.LogConfig{SASL: user}},
		{"log.tls.ca", "log.tls.enabled", app.LogConfig{Kafka: []string{"a:1"}, TLS: app.TLSConfig{CA: ca}}},
		{"log.tls.server_name", "log.tls.enabled", app.LogConfig{Kafka: []string{"a:1"}, TLS: app.TLSConfig{ServerName: "a"}}},
		{"log.tls.ca", "/nowhere/ca.pem", app.LogConfig{Kafka: []string{"a:1"}, TLS: app.TLSConfig{Enabled: true, CA: "/nowhere/ca.pem"}}},
		{"log.tls.ca", "no certificate", app.LogConfig{Kafka: []string{"a:1"}, TLS: app.TLSConfig{Enabled: true, CA: garbage}}},
		{"log.tls.cert", "together", app.LogConfig{Kafka: []string{"a:1"}, TLS: app.TLSConfig{Enabled: true, Cert: ca}}},
		{"log.tls.cert", "private key", app.LogConfig{Kafka: []string{"a:1"}, TLS: app.TLSConfig{Enabled: true, Cert: ca, Key: ca}}},
		{"log.sasl.mechanism", "GSSAPI", app.LogConfig{Kafka: []string{"a:1"}, SASL: app.SASLConfig{Mechanism: "GSSAPI"}}},
		{"log.sasl.mechanism", "no effect", app.LogConfig{Kafka: []string{"a:1"}, SASL: app.SASLConfig{Username: "u"}}},
		{"log.sasl.username", "SCRAM-SHA-512", app.LogConfig{Kafka: []string{"a:1"}, SASL: app.SASLConfig{Mechanism: "SCRAM-SHA-512", Password: "p"}}},
		{"log.sasl.password", "SKEIN_LOG_SASL_PASSWORD", app.LogConfig{Kafka: []string{"a:1"}, SASL: app.SASLConfig{Mechanism: "PLAIN", Username: "u"}}},
		{"log.sasl.mechanism", "log.tls.enabled", app.LogConfig{Kafka: []string{"a:1"}, SASL: app.SASLConfig{Mechanism: "PLAIN", Username: "u", Password: "p"}}},
	} {
		c := app.Default()
		c.Log.Kafka, c.Log.TLS, c.Log.SASL = test.cfg.Kafka, test.cfg.TLS, test.cfg.SASL
		problems := c.Verify(app.RoleNames())
		named := slices.ContainsFunc(problems, func(p app.Problem) bool { return p.Field == test.field && strings.Contains(p.Reason, test.tells) })
		if !named {
			t.Errorf("%s (%s) is not named in %v", test.field, test.tells, problems)
		}
	}
}

func TestThePasswordComesFromTheEnvironmentAndIsNeverShown(t *testing.T) {
	t.Setenv("SKEIN_LOG_KAFKA", "broker-1:9092,broker-2:9092")
	t.Setenv("SKEIN_LOG_TLS_ENABLED", "true")
	t.Setenv("SKEIN_LOG_SASL_MECHANISM", "PLAIN")
	t.Setenv("SKEIN_LOG_SASL_USERNAME", "u")
	t.Setenv("SKEIN_LOG_SASL_PASSWORD", "hunter2")
	c, err := app.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if !c.Log.TLS.Enabled || c.Log.SASL != (app.SASLConfig{Mechanism: "PLAIN", Username: "u", Password: "hunter2"}) {
		t.Errorf("got %+v", c.Log)
	}
	shown := false
	for _, s := range c.Settings() {
		if strings.Contains(s.Value, "hunter2") {
			t.Errorf("%s shows the password", s.Key)
		}
		shown = shown || s.Key == "log.sasl.password" && s.Value == "set, not shown"
	}
	if !shown {
		t.Error("it is not told that a password is set")
	}
	for _, p := range c.Verify(app.RoleNames()) {
		t.Error(p)
	}
}
