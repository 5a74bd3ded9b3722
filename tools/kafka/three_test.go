package kafka_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/eventlog/logtest"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
	"github.com/skein-cx/skein/tools/kafka"
)

func TestThreeBrokersThatKnowTheirClients(t *testing.T) {
	cfg := config(t)
	cfg.Brokers, cfg.Secure = 3, true
	c := up(t, cfg)
	for _, test := range []struct {
		name string
		run  func(*testing.T, *kafka.Cluster)
	}{
		{"who may come in comes in", comesIn},
		{"who may not is told why", staysOut},
		{"the log passes the suite", suite},
		{"appends go on while leaders move", leadersMove},
		{"Skein serves while a broker is gone, and buries what is no event", skein},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, c) })
	}
}

func comesIn(t *testing.T, c *kafka.Cluster) {
	t.Helper()
	for _, mechanism := range []string{"PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"} {
		cfg := access(t, c)
		cfg.SASL.Mechanism = mechanism
		log := connect(t, cfg)
		ensure(t, log, "who", 1)
		appendAll(t, log, eventlog.Message{Topic: "who", Value: []byte(mechanism)})
	}
	cfg := access(t, c)
	cert, err := tls.LoadX509KeyPair(c.ClientFiles())
	must(t, err)
	cfg.TLS.Certificates = []tls.Certificate{cert}
	if records := readAll(t, connect(t, cfg), "who"); len(records) != 3 {
		t.Errorf("read %d records, want 3", len(records))
	}
}

func staysOut(t *testing.T, c *kafka.Cluster) {
	t.Helper()
	for name, test := range map[string]struct {
		change func(*kafkalog.Config)
		tells  string
	}{
		"a wrong password by PLAIN":  {func(cfg *kafkalog.Config) { cfg.SASL.Mechanism, cfg.SASL.Password = "PLAIN", "wrong" }, "SASL"},
		"a wrong password by SCRAM":  {func(cfg *kafkalog.Config) { cfg.SASL.Password = "wrong" }, "SASL"},
		"a stranger":                 {func(cfg *kafkalog.Config) { cfg.SASL.Username = "stranger" }, "SASL"},
		"nobody":                     {func(cfg *kafkalog.Config) { cfg.SASL = nil }, ""},
		"no encryption":              {func(cfg *kafkalog.Config) { cfg.TLS = nil }, ""},
		"an authority nobody trusts": {func(cfg *kafkalog.Config) { cfg.TLS = &tls.Config{MinVersion: tls.VersionTLS12} }, "unknown authority"},
		"another host's name":        {func(cfg *kafkalog.Config) { cfg.TLS.ServerName = "kafka.example" }, "kafka.example"},
	} {
		cfg := access(t, c)
		cfg.Timeout, cfg.Patience = 2*time.Second, 2*time.Second
		test.change(&cfg)
		log, err := kafkalog.Open(t.Context(), cfg)
		if err == nil {
			must(t, log.Close())
		}
		if !errors.Is(err, eventlog.ErrUnavailable) || !strings.Contains(err.Error(), test.tells) {
			t.Errorf("%s: %v; want ErrUnavailable, %q", name, err, test.tells)
		}
	}
}

func suite(t *testing.T, c *kafka.Cluster) {
	t.Helper()
	cfg := access(t, c)
	cfg.MaxMessageBytes = logtest.MaxMessageBytes
	logtest.Run(t, func(t *testing.T) eventlog.Log {
		t.Helper()
		log, err := kafkalog.Open(context.Background(), cfg)
		must(t, err)
		return log
	})
}

func leadersMove(t *testing.T, c *kafka.Cluster) {
	t.Helper()
	log := connect(t, access(t, c))
	ensure(t, log, "moves", 6)
	l := startLoad(t, log, "moves")
	for i, end := range []func(context.Context, int) error{c.Kill, c.Stop} {
		l.goesOn(t, 1000)
		must(t, end(t.Context(), i+1))
		l.goesOn(t, 5000)
		must(t, c.Start(t.Context(), i+1))
	}
	l.goesOn(t, 1000)
	l.end(t)
}

// skein is the program, reached and reaching as in production.
func skein(t *testing.T, c *kafka.Cluster) {
	t.Helper()
	binary, err := skeintest.Build(filepath.Join("..", ".."), t.TempDir())
	must(t, err)
	username, password := c.Credentials()
	for key, value := range map[string]string{
		"KAFKA": strings.Join(c.Addrs(), ","), "TLS_ENABLED": "true", "TLS_CA": c.CAFile(),
		"SASL_MECHANISM": "SCRAM-SHA-512", "SASL_USERNAME": username, "SASL_PASSWORD": password,
	} {
		t.Setenv("SKEIN_LOG_"+key, value)
	}
	s := skeintest.NewSite(t, binary)
	srv := s.Up()
	publish := func(text string) {
		t.Helper()
		file := filepath.Join(t.TempDir(), "events.jsonl")
		line := fmt.Sprintf(`{"type":"note.added","provider":"test","inbox":"desk","thread":"t","nativeId":%q,`+
			`"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"anna@example.com"},"side":"SIDE_CUSTOMER"}],"content":{"noteAdded":{"text":%q}}}`, text, text)
		must(t, os.WriteFile(file, []byte(line+"\n"), 0o600))
		s.Run("publish", file, "--server", s.GRPC)
	}
	shows := func(want ...string) {
		t.Helper()
		srv.WaitFor(fmt.Sprintf("showing %q", want), func() bool {
			out := s.Run("timeline", "anna@example.com", "--json", "--server", s.GRPC)
			for _, text := range want {
				if !strings.Contains(out, text) {
					return false
				}
			}
			return true
		})
	}
	notInSync := func(want string) {
		t.Helper()
		row := regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(event.TopicInteractions) + ` .* 3 +` + want + ` `)
		srv.WaitFor("telling that replicas not in sync are "+want, func() bool {
			return row.MatchString(s.Run("topics", "--server", s.GRPC))
		})
	}
	publish("while all are there")
	notInSync("0")
	must(t, c.Kill(t.Context(), 1))
	publish("while one is gone")
	shows("while all are there", "while one is gone")
	notInSync("[1-9]")

	log := connect(t, access(t, c))
	whole := readAll(t, log, event.TopicInteractions)[0].Value
	for _, value := range [][]byte{nil, []byte("garbage"), whole[:len(whole)/2], append(slices.Clip(whole), 0xff)} {
		appendAll(t, log, eventlog.Message{Topic: event.TopicInteractions, Key: []byte("k"), Value: value})
	}
	srv.WaitFor("burying four records", func() bool {
		out := s.Run("dead", "list", "--server", s.GRPC)
		return strings.Count(out, event.TopicInteractions+"/") == 4
	})
	must(t, c.Start(t.Context(), 1))
	publish("while all are back")
	shows("while all are there", "while one is gone", "while all are back")
	notInSync("0")
	if out := s.Run("tail", "--from-beginning", "--end"); strings.Count(out, "note.added") < 3 {
		t.Errorf("tail says:\n%s", out)
	}
	if out := s.Run("config", "verify"); strings.Contains(out, password) || !strings.Contains(out, "set, not shown") {
		t.Errorf("config verify says:\n%s", out)
	}
	must(t, srv.Stop())
}
