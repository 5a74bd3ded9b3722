package app_test

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"

	"github.com/skein-cx/skein/services/app"
)

func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestTheDefaultsWorkForEveryRole(t *testing.T) {
	c, err := app.Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if problems := c.Verify(app.RoleNames()); len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
	if c.Stop != 30*time.Second || len(c.Inboxes) != 2 || c.Inboxes[0].Addresses[0] != "support@skein.example" {
		t.Errorf("defaults were lost on loading: %+v", c)
	}
}

func TestFlagsGoOverEnvironmentOverFileOverDefaults(t *testing.T) {
	path := write(t, "grpc: {addr: '127.0.0.1:1'}\nhttp: {addr: '127.0.0.1:1'}\ndata: from-file\nstop_timeout: 5s\nlog: {kafka: [a:1, b:2]}\n"+
		"inboxes: [{id: sales, tenant: acme, channel: email, addresses: [sales@acme.example]}]\n")
	t.Setenv("SKEIN_HTTP_ADDR", "127.0.0.1:2")
	t.Setenv("SKEIN_DATA", "from-environment")
	t.Setenv("SKEIN_LIMITS_EVENTS_PER_SECOND", "12.5")
	t.Setenv("SKEIN_TOKEN", "of a client command")
	flags := pflag.NewFlagSet("test", pflag.ContinueOnError)
	flags.String("data", "default of the flag", "")
	flags.String("http", "default of the flag", "")
	for flag, key := range map[string]string{"data": "data", "http": "http.addr"} {
		if err := app.BindFlag(flags, flag, key); err != nil {
			t.Fatal(err)
		}
	}
	if err := flags.Parse([]string{"--data", "from-flag"}); err != nil {
		t.Fatal(err)
	}
	c, err := app.Load(path, flags)
	if err != nil {
		t.Fatal(err)
	}
	if c.Data != "from-flag" || c.HTTP.Addr != "127.0.0.1:2" || c.GRPC.Addr != "127.0.0.1:1" || c.Stop != 5*time.Second ||
		c.Limits.EventsPerSecond != 12.5 || len(c.Log.Kafka) != 2 || c.Inboxes[0].ID != "sales" || c.Log.Partitions != 8 {
		t.Errorf("got %+v", c)
	}
}

func TestWhatTheFileHoldsTooMuchOrInAWrongFormIsNamed(t *testing.T) {
	for text, want := range map[string]string{
		"grpc: {adr: x}":            "adr",
		"stop_timeout: soon":        "stop_timeout",
		"log: {partitions: many}":   "partitions",
		"data: [":                   "skein.yaml",
		"inboxes: [{adresses: []}]": "adresses",
	} {
		if _, err := app.Load(write(t, text), nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
	if _, err := app.Load("/nowhere/skein.yaml", nil); err == nil || !strings.Contains(err.Error(), "/nowhere/skein.yaml") {
		t.Errorf("a file that is not there: %v", err)
	}
}

func TestEveryProblemNamesItsSettingAndSaysWhatToDo(t *testing.T) {
	for field, change := range map[string]func(*app.Config){
		"tenant":                    func(c *app.Config) { c.Tenant = "Acme Inc." },
		"data":                      func(c *app.Config) { c.Data = "" },
		"log.partitions":            func(c *app.Config) { c.Log.Partitions = 0 },
		"log.kafka[1]":              func(c *app.Config) { c.Log.Kafka = []string{"a:1", "b"} },
		"log.addr":                  func(c *app.Config) { c.Log.Addr = "0.0.0.0:7092" },
		"store.dsn":                 func(c *app.Config) { c.Store.DSN = "postgres://skein:secret@db:port/skein" },
		"store.cache_bytes":         func(c *app.Config) { c.Store.CacheBytes = 1 },
		"grpc.addr":                 func(c *app.Config) { c.GRPC.Addr = ":7070" },
		"http.addr":                 func(c *app.Config) { c.HTTP.Addr = "7080" },
		"auth.tokens":               func(c *app.Config) { c.Auth.Tokens = []app.TokenConfig{{Name: "x", Tenant: "acme", SHA256: "clear"}} },
		"auth.tokens[0].tenant":     func(c *app.Config) { c.Auth.Tokens = []app.TokenConfig{{Name: "x", SHA256: strings.Repeat("0", 64)}} },
		"limits.burst":              func(c *app.Config) { c.Limits = app.LimitConfig{EventsPerSecond: 1, Burst: 10} },
		"email.smtp":                func(c *app.Config) { c.Email.SMTP = "25" },
		"email.tls_cert":            func(c *app.Config) { c.Email.TLSCert = "cert.pem" },
		"inboxes[2].id":             func(c *app.Config) { c.Inboxes = append(c.Inboxes, c.Inboxes[0]) },
		"inboxes[2].addresses[0]":   func(c *app.Config) { c.Inboxes = append(c.Inboxes, c.Inboxes[0]) },
		"inboxes[1].max_file_bytes": func(c *app.Config) { c.Inboxes[1].MaxFileBytes = 65 << 20 },
		"inboxes[0].channel":        func(c *app.Config) { c.Inboxes[0].Channel = "fax" },
		"inboxes[1].telegram":       func(c *app.Config) { c.Inboxes[1].Telegram.Token = "1:x" },
		"webhooks.endpoints[0].url": func(c *app.Config) {
			c.Webhooks.Endpoints = []app.WebhookConfig{{ID: "crm", Tenant: "acme", URL: "https://127.0.0.1/hook"}}
		},
		"webhooks.endpoints[0].secret": func(c *app.Config) { c.Webhooks.Endpoints = []app.WebhookConfig{{ID: "crm"}} },
		"webhooks.endpoints[0].tenant": func(c *app.Config) { c.Webhooks.Endpoints = []app.WebhookConfig{{ID: "crm", Tenant: "Acme"}} },
		"webhooks.endpoints[1].id":     func(c *app.Config) { c.Webhooks.Endpoints = []app.WebhookConfig{{ID: "crm"}, {ID: "crm"}} },
		"logging.level":                func(c *app.Config) { c.Logging.Level = "loud" },
		"debug.profiles":               func(c *app.Config) { c.Debug.Profiles, c.HTTP.Addr = true, "0.0.0.0:7080" },
		"stop_timeout":                 func(c *app.Config) { c.Stop = 0 },
		"outbound.max_age":             func(c *app.Config) { c.Outbound.MaxAge = 100 * time.Hour },
		"outbound.timeout":             func(c *app.Config) { c.Outbound.Timeout = 0 },
	} {
		c := app.Default()
		change(&c)
		found := false
		for _, p := range c.Verify(app.RoleNames()) {
			found = found || p.Field == field && p.Reason != ""
		}
		if !found {
			t.Errorf("%s is not named in %v", field, c.Verify(app.RoleNames()))
		}
	}
}

func TestEveryProblemOfASocialInboxStandsOnALineOfItsOwn(t *testing.T) {
	number := func(id, number string) app.InboxConfig {
		return app.InboxConfig{ID: id, Tenant: "default", Channel: "whatsapp", WhatsApp: app.WhatsAppConfig{PhoneNumberID: number, BusinessAccountID: "1", AppSecret: "x"}}
	}
	problems := func(inboxes ...app.InboxConfig) string {
		c := app.Default()
		c.Inboxes = inboxes
		return (&app.ConfigError{Problems: c.Verify(app.RoleNames())}).Error()
	}
	wrong := number("wa", "+49 30")
	want := "the configuration cannot work:\n  inboxes[0].whatsapp: the phone number id is digits, as Meta shows it beside the number\n  inboxes[0].whatsapp: the verify token is missing"
	if got := problems(wrong); got != want {
		t.Errorf("got\n%s", got)
	}
	here, there := number("here", "1"), number("there", "2")
	here.WhatsApp.VerifyToken, there.WhatsApp.VerifyToken, there.WhatsApp.APIURL = "y", "y", "http://127.0.0.1:9"
	if got := problems(here, there); !strings.Contains(got, "\n  inboxes: api_url must be the same") {
		t.Errorf("got\n%s", got)
	}
}

func TestRolesThatShareTheEmbeddedStoreStayTogether(t *testing.T) {
	c := app.Default()
	for _, apart := range []string{"timeline", "projector", "admin", "chat", "webhooks", "sender"} {
		if problems := c.Verify([]string{apart}); len(problems) != 1 || !strings.Contains(problems[0].Reason, "one process") {
			t.Errorf("%s alone: %v", apart, problems)
		}
	}
	for _, together := range [][]string{{"timeline", "projector"}, {"timeline", "projector", "admin"}, {"timeline", "projector", "webhooks"}, {"timeline", "projector", "sender"}, {"ingest"}, {"email"}, {"ingest", "email"}} {
		if problems := c.Verify(together); len(problems) != 0 {
			t.Errorf("%v: %v", together, problems)
		}
	}
}

func TestRolesOfAnalyticsHaveNothingToDoWithoutClickHouse(t *testing.T) {
	c := app.Default()
	c.Analytics.Off = true
	for _, role := range []string{"analytics", "reports"} {
		problems := c.Verify([]string{"projector", "timeline", role})
		if len(problems) != 1 || problems[0].Field != "analytics.off" {
			t.Errorf("%s: %v", role, problems)
		}
	}
	if problems := c.Verify(app.RoleNames()); len(problems) != 0 {
		t.Errorf("all roles, and no ClickHouse: %v", problems)
	}
}

func TestWebhooksAreReadFromTheFileAndTheirSecretsAreShownNowhere(t *testing.T) {
	const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw" //nolint:gosec // of the tests alone
	file := `webhooks:
  endpoints:
    - {id: crm, tenant: acme, url: "https://crm.example/hook?key=hunter2", secret: ` + secret + `, types: [message.*, call.answered],
       include_content: true, backfill: true, from_start: true, per_second: 7}
`
	c, err := app.Load(write(t, file), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := app.WebhookConfig{
		ID: "crm", Tenant: "acme", URL: "https://crm.example/hook?key=hunter2", Secret: secret, Types: []string{"message.*", "call.answered"},
		IncludeContent: true, Backfill: true, FromStart: true, PerSecond: 7,
	}
	if c.Webhooks.AllowPrivate || len(c.Webhooks.Endpoints) != 1 || !reflect.DeepEqual(c.Webhooks.Endpoints[0], want) {
		t.Errorf("read %+v", c.Webhooks)
	}
	if problems := c.Verify(app.RoleNames()); len(problems) != 0 {
		t.Errorf("problems: %v", problems)
	}
	shown := ""
	for _, s := range c.Settings() {
		shown += s.Key + ": " + s.Value + "\n"
	}
	if !strings.Contains(shown, "webhooks.endpoints: acme/crm\n") || !strings.Contains(shown, "webhooks.allow_private: false\n") ||
		strings.Contains(shown, secret) || strings.Contains(shown, "hunter2") {
		t.Errorf("shown are\n%s", shown)
	}
	c.Webhooks.Endpoints[0].Secret, c.Webhooks.Endpoints[0].URL = "hunter2", "https://user:hunter2@crm.example/"
	for _, p := range c.Verify(app.RoleNames()) {
		if strings.Contains(p.String(), "hunter2") {
			t.Errorf("it says %s", p)
		}
	}
	t.Setenv("SKEIN_WEBHOOKS_ALLOW_PRIVATE", "true")
	if c, err = app.Load("", nil); err != nil || !c.Webhooks.AllowPrivate {
		t.Errorf("from the environment: %v, %v", c.Webhooks, err)
	}
}

func TestRolesThatShareADatabaseRunApart(t *testing.T) {
	c := app.Default()
	c.Store.DSN = "postgres://skein:secret@db.example:6432/customers?sslmode=require"
	c.Analytics.ClickHouse = "http://skein:secret@clickhouse.example:8123/skein"
	c.Console.API = "api.example:7070"
	for _, role := range app.RoleNames() {
		if problems := c.Verify([]string{role}); len(problems) != 0 {
			t.Errorf("%s alone: %v", role, problems)
		}
	}
	for _, s := range c.Settings() {
		if strings.Contains(s.Value, "secret") {
			t.Errorf("%s shows the password: %s", s.Key, s.Value)
		}
		if s.Key == "store.dsn" && s.Value != "postgres://db.example:6432/customers" {
			t.Errorf("the database is shown as %s", s.Value)
		}
	}
	c.Store.DSN = "host=db password='secret"
	for _, p := range c.Verify(app.RoleNames()) {
		if strings.Contains(p.Reason, "secret") {
			t.Errorf("%s shows the password", p)
		}
	}
}

func TestAWorldWideServerNeedsTokens(t *testing.T) {
	c := app.Default()
	c.GRPC.Addr = "0.0.0.0:7070"
	c.Auth.Tokens = []app.TokenConfig{{Name: "desk", Tenant: "acme", SHA256: strings.Repeat("0", 64)}}
	if problems := c.Verify(app.RoleNames()); len(problems) != 0 {
		t.Errorf("with tokens: %v", problems)
	}
	for _, s := range c.Settings() {
		if strings.Contains(s.Value, strings.Repeat("0", 64)) {
			t.Errorf("%s shows a token's hash", s.Key)
		}
	}
}

func TestSecretsAreFetchedFromWhereTheyAre(t *testing.T) {
	t.Setenv("HOOK_SECRET", "from the environment")
	held := write(t, "from a file\n")
	file := `log: {sasl: {password: "env:HOOK_SECRET"}}
inboxes: [{id: web, tenant: acme, channel: web_chat, secret: "file:` + held + `"}]
webhooks: {endpoints: [{id: a, tenant: acme, secret: as it stands}]}
`
	c, err := app.Load(write(t, file), nil)
	if err != nil {
		t.Fatal(err)
	}
	if c.Log.SASL.Password != "from the environment" || c.Inboxes[0].Secret != "from a file" || c.Webhooks.Endpoints[0].Secret != "as it stands" {
		t.Errorf("got %+v, %+v, %+v", c.Log.SASL, c.Inboxes, c.Webhooks)
	}
	_, err = app.Load(write(t, `{webhooks: {endpoints: [{id: a}, {id: b, secret: "env:NOT_THERE"}]}, store: {dsn: "file:/not/there"}}`), nil)
	if err == nil || !strings.Contains(err.Error(), "webhooks.endpoints[1].secret: ") || !strings.Contains(err.Error(), "store.dsn: ") {
		t.Errorf("what is missing: %v", err)
	}
}
