package app

import (
	"fmt"
	"net"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/blob"
	"github.com/skein-cx/skein/pkg/kv/pgkv"
	"github.com/skein-cx/skein/services/alerts"
	"github.com/skein-cx/skein/services/channels/custom/mapped"
	"github.com/skein-cx/skein/services/linker"
	"github.com/skein-cx/skein/services/timers"
	"github.com/skein-cx/skein/services/webhooks"
)

// Config is everything that can be set. Sources, each over the one before: Default, a YAML file, the environment
// (SKEIN_GRPC_ADDR for grpc.addr), flags. In the place of a secret may stand where it is: env:NAME or file:PATH.
type Config struct {
	Data      string          `koanf:"data" help:"directory of everything that is kept: log, store, blobs, keyring"`
	Tenant    string          `koanf:"tenant" help:"tenant of callers without a token, where no tokens are configured"`
	Log       LogConfig       `koanf:"log"`
	Store     StoreConfig     `koanf:"store"`
	Blobs     BlobConfig      `koanf:"blobs"`
	GRPC      ListenConfig    `koanf:"grpc"`
	HTTP      ListenConfig    `koanf:"http"`
	Auth      AuthConfig      `koanf:"auth"`
	Limits    LimitConfig     `koanf:"limits"`
	Disk      DiskConfig      `koanf:"disk"`
	Email     EmailConfig     `koanf:"email"`
	Inboxes   []InboxConfig   `koanf:"inboxes" help:"the company's accounts"`
	Webhooks  WebhooksConfig  `koanf:"webhooks"`
	Outbound  OutboundConfig  `koanf:"outbound"`
	Hours     []timers.Hours  `koanf:"hours" help:"business hours, by name"`
	Policies  []timers.Policy `koanf:"policies" help:"targets and windows of interactions: the first that fits holds"`
	Alerts    []alerts.Rule   `koanf:"alerts" help:"what of the live board needs a supervisor"`
	Linking   []LinkingConfig `koanf:"linking" help:"rules by which links are asked for, where they are not the usual ones"`
	Search    SearchConfig    `koanf:"search"`
	Analytics AnalyticsConfig `koanf:"analytics"`
	VCon      VConConfig      `koanf:"vcon"`
	Console   ConsoleConfig   `koanf:"console"`
	Logging   LoggingConfig   `koanf:"logging"`
	Debug     DebugConfig     `koanf:"debug"`
	Stop      time.Duration   `koanf:"stop_timeout" help:"how long a shutdown may take"`

	// Version of the program, for whoever asks the server.
	Version string `koanf:"-"`
}

// LogConfig says where the log is.
type LogConfig struct {
	Kafka      []string `koanf:"kafka" help:"addresses of Kafka brokers; none starts the embedded log"`
	Partitions int      `koanf:"partitions" help:"partitions of topics that are created; never changes afterwards"`
	Addr       string   `koanf:"addr" help:"address of the embedded log, which speaks Kafka's protocol"`
	Sync       bool     `koanf:"sync" help:"the embedded log waits for the disk on each append"`

	TLS  TLSConfig  `koanf:"tls"`
	SASL SASLConfig `koanf:"sasl"`
}

// StoreConfig says how the read models are kept.
type StoreConfig struct {
	DSN        string `koanf:"dsn" secret:"true" help:"PostgreSQL database for the store, for several processes: postgres://user:password@host/database; embedded unless set"`
	Dir        string `koanf:"dir" help:"directory of the embedded store; DATA/store unless set"`
	CacheBytes int64  `koanf:"cache_bytes" help:"memory for the store's block cache"`
}

// BlobConfig says where attachments and original mails are kept.
type BlobConfig struct {
	URL string `koanf:"url" help:"bucket; a folder DATA/blobs unless set"`
}

// AnalyticsConfig says where ClickHouse is, and how long it keeps what.
type AnalyticsConfig struct {
	Off        bool   `koanf:"off" help:"no ClickHouse: no tables, no reports"`
	ClickHouse string `koanf:"clickhouse" secret:"true" help:"DSN of a ClickHouse server, clickhouse://user:password@host:9000/skein or http://host:8123/skein; embedded unless set"`
	Addr       string `koanf:"addr" help:"address of the embedded ClickHouse, which speaks its HTTP interface"`
	Dir        string `koanf:"dir" help:"directory of the embedded ClickHouse; DATA/clickhouse unless set"`
	Cluster    string `koanf:"cluster" help:"name of the cluster of servers on which the tables are made"`
	Sharded    bool   `koanf:"sharded" help:"tables are spread over the shards of the cluster"`
	Replicated bool   `koanf:"replicated" help:"tables are held by every replica of their shard"`

	Retention map[string]time.Duration `koanf:"retention" help:"how long rows are kept, by table or tenant/table; for ever unless set"`

	BatchRows int           `koanf:"batch_rows" help:"rows that an insert has at most"`
	BatchTime time.Duration `koanf:"batch_time" help:"how long events wait for others to be inserted with"`
}

// ListenConfig is an address to listen on.
type ListenConfig struct {
	Addr string `koanf:"addr" help:"address to listen on"`
}

// AuthConfig holds the API tokens.
type AuthConfig struct {
	Tokens []TokenConfig `koanf:"tokens" help:"API tokens; without any, only loopback addresses are allowed"`
}

// TokenConfig is one API token.
type TokenConfig struct {
	Name   string `koanf:"name" help:"who uses it"`
	Tenant string `koanf:"tenant" help:"tenant that it speaks for"`
	SHA256 string `koanf:"sha256" help:"hash of the token: printf %s TOKEN | sha256sum"`
	Admin  bool   `koanf:"admin" help:"may operate the whole installation"`

	Directory bool `koanf:"directory" help:"may change the tenant's directory; whoever may operate the installation may, too"`
}

// LimitConfig bounds what one tenant may hand in.
type LimitConfig struct {
	EventsPerSecond float64 `koanf:"events_per_second" help:"events per second of each tenant; 0 means no limit"`
	Burst           int     `koanf:"burst" help:"events of a tenant that may come at once; at least 5000"`
}

// LinkingConfig are the rules by which links of a tenant are asked for.
type LinkingConfig struct {
	Tenant   string         `koanf:"tenant" help:"tenant whose rules they are"`
	Topics   []linker.Topic `koanf:"topics" help:"link interactions of one customer about one topic"`
	Identity linker.Policy  `koanf:"identity"`
}

// SearchConfig says where the index is.
type SearchConfig struct {
	Dir string `koanf:"dir" help:"directory of this process's index; DATA/search unless set"`
}

// DiskConfig says when the disk counts as full.
type DiskConfig struct {
	MinFreeBytes int64 `koanf:"min_free_bytes" help:"below this free space nothing is taken in"`
}

// EmailConfig is the mail channel.
type EmailConfig struct {
	SMTP            string `koanf:"smtp" help:"address of the SMTP listener; empty for none"`
	LMTP            string `koanf:"lmtp" help:"address of the LMTP listener; empty for none"`
	Hostname        string `koanf:"hostname" help:"name by which the listeners greet"`
	MaxMessageBytes int64  `koanf:"max_message_bytes" help:"greatest mail"`
	TLSCert         string `koanf:"tls_cert" help:"certificate file for STARTTLS"`
	TLSKey          string `koanf:"tls_key" help:"key file for STARTTLS"`
}

// InboxConfig is one of the company's accounts.
type InboxConfig struct {
	ID           string   `koanf:"id" help:"name of the inbox, as events carry it"`
	Tenant       string   `koanf:"tenant" help:"tenant that it belongs to"`
	Channel      string   `koanf:"channel" help:"email, web_chat, twilio, asterisk, freeswitch, whatsapp, messenger, instagram, wechat, wecom, wechat_kf, telegram, line, x, weibo, cloudevents, mapped, or connector for one that a connector of yours serves over gRPC"`
	Addresses    []string `koanf:"addresses" help:"email: its addresses; *@example.com for a whole domain"`
	Trusted      []string `koanf:"trusted" help:"email: mail servers of yours whose Authentication-Results are believed, by the name that they call themselves there"`
	From         string   `koanf:"from" help:"email: the address in whose name mails are sent; one of its own"`
	Name         string   `koanf:"name" help:"web_chat: what stands above the chat; email: what stands before from"`
	Origins      []string `koanf:"origins" help:"web_chat: sites whose pages may use it, such as https://shop.example; any alone for all"`
	Secret       string   `koanf:"secret" secret:"true" help:"web_chat: lets the site sign tokens of its own; 32 bytes at least"`
	MaxFileBytes int64    `koanf:"max_file_bytes" help:"web_chat: greatest file that a visitor may send; 25 MiB where it is 0, no files where it is negative"`

	IMAP   MailServerConfig `koanf:"imap" help:"email: fetches mails from a mailbox"`
	SMTP   MailServerConfig `koanf:"smtp" help:"email: hands mails that are sent to a server"`
	Twilio TwilioConfig     `koanf:"twilio"`
	Switch SwitchConfig     `koanf:"switch"`

	WhatsApp  WhatsAppConfig `koanf:"whatsapp"`
	Messenger MetaConfig     `koanf:"messenger"`
	Instagram MetaConfig     `koanf:"instagram"`
	WeChat    WeChatConfig   `koanf:"wechat"`
	WeCom     WeComConfig    `koanf:"wecom"`
	WeChatKF  WeComConfig    `koanf:"wechat_kf"`
	Telegram  TelegramConfig `koanf:"telegram"`
	Line      LineConfig     `koanf:"line"`
	X         XConfig        `koanf:"x"`
	Weibo     WeiboConfig    `koanf:"weibo"`

	CloudEvents CloudEventsConfig `koanf:"cloudevents"`
	Mapped      mapped.Mapping    `koanf:"mapped"`
}

// OutboundConfig says how messages are sent.
type OutboundConfig struct {
	MaxAge  time.Duration `koanf:"max_age" help:"how old a request to send may become until it fails"`
	Timeout time.Duration `koanf:"timeout" help:"how long one attempt to send may take; one by mail may take 15m"`
}

// WebhooksConfig says who gets events by HTTP.
type WebhooksConfig struct {
	AllowPrivate bool            `koanf:"allow_private" help:"plain HTTP and addresses that are not public; for tests and closed networks only"`
	Endpoints    []WebhookConfig `koanf:"endpoints" help:"where tenants want their events"`
}

// WebhookConfig is an endpoint that gets a tenant's events.
type WebhookConfig struct {
	ID             string   `koanf:"id" help:"name of the endpoint; its place in the log is kept under it"`
	Tenant         string   `koanf:"tenant" help:"tenant whose events it gets"`
	URL            string   `koanf:"url" help:"takes the events by POST; begins with https://"`
	Secret         string   `koanf:"secret" secret:"true" help:"signs each delivery: whsec_ and the base64 of 24 to 64 random bytes"`
	Types          []string `koanf:"types" help:"events that it gets: names, groups such as message.*, or * for all"`
	IncludeContent bool     `koanf:"include_content" help:"sends what events hold of persons, too; otherwise the envelope only"`
	Backfill       bool     `koanf:"backfill" help:"sends imported history, too"`
	FromStart      bool     `koanf:"from_start" help:"a new endpoint begins with all that the log holds, not with what comes"`
	PerSecond      int      `koanf:"per_second" help:"deliveries per second at most; 100 unless set"`
}

// LoggingConfig says what the process tells.
type LoggingConfig struct {
	Level  string `koanf:"level" help:"debug, info, warn or error"`
	Format string `koanf:"format" help:"text or json"`
}

// DebugConfig shows what goes on inside the process.
type DebugConfig struct {
	Profiles bool `koanf:"profiles" help:"answer with profiles of the process under /debug/pprof/ of http.addr, which must be a loopback address"`
}

// The channels that an inbox can have.
const (
	channelEmail      = "email"
	channelWebChat    = "web_chat"
	channelTwilio     = "twilio"
	channelAsterisk   = "asterisk"
	channelFreeSwitch = "freeswitch"
	// channelConnector is an inbox whose channel is a program outside of Skein.
	channelConnector = "connector"
)

func channels() []string {
	names := []string{channelEmail, channelWebChat, channelTwilio, channelAsterisk, channelFreeSwitch, channelCloudEvents, channelMapped, channelConnector}
	for _, p := range socialProviders() {
		names = append(names, p.name)
	}
	return names
}

// Default is a single machine with everything embedded, reachable from itself only.
func Default() Config {
	return Config{
		Data:   "data",
		Tenant: "default",
		Log:    LogConfig{Partitions: 8, Addr: "127.0.0.1:7092"},
		Store:  StoreConfig{CacheBytes: 256 << 20},
		GRPC:   ListenConfig{Addr: "127.0.0.1:7070"},
		HTTP:   ListenConfig{Addr: "127.0.0.1:7080"},
		Limits: LimitConfig{Burst: 100_000},
		Disk:   DiskConfig{MinFreeBytes: 512 << 20},
		Email: EmailConfig{
			SMTP: "127.0.0.1:7025", LMTP: "127.0.0.1:7024", Hostname: "localhost", MaxMessageBytes: 35 << 20,
		},
		Inboxes: []InboxConfig{
			{ID: "support", Tenant: "default", Channel: channelEmail, Addresses: []string{"support@skein.example"}},
			{ID: "web", Tenant: "default", Channel: channelWebChat, Name: "Skein Home"},
		},
		Outbound:  OutboundConfig{MaxAge: time.Hour, Timeout: 30 * time.Second},
		Analytics: AnalyticsConfig{Addr: "127.0.0.1:7123", BatchRows: 50_000, BatchTime: time.Second},
		Logging:   LoggingConfig{Level: "info", Format: "text"},
		Stop:      30 * time.Second,
	}
}

func (c *Config) storeDir() string {
	if c.Store.Dir != "" {
		return c.Store.Dir
	}
	return filepath.Join(c.Data, "store")
}

func (c *Config) searchDir() string {
	if c.Search.Dir != "" {
		return c.Search.Dir
	}
	return filepath.Join(c.Data, "search")
}

func (c *Config) clickhouseDir() string {
	if c.Analytics.Dir != "" {
		return c.Analytics.Dir
	}
	return filepath.Join(c.Data, "clickhouse")
}

func (c *Config) embeddedClickHouse() bool { return c.Analytics.ClickHouse == "" }

func (c *Config) timers() timers.Settings {
	return timers.Settings{Hours: c.Hours, Policies: c.Policies}
}

func (c *Config) embeddedLog() bool { return len(c.Log.Kafka) == 0 }

func (c *Config) tokens() []auth.Token {
	tokens := make([]auth.Token, 0, len(c.Auth.Tokens))
	for _, t := range c.Auth.Tokens {
		tokens = append(tokens, auth.Token{SHA256: t.SHA256, Identity: auth.Identity{Tenant: t.Tenant, Name: t.Name, Admin: t.Admin, Directory: t.Directory}})
	}
	return tokens
}

func (c *WebhooksConfig) endpoints() []webhooks.Endpoint {
	endpoints := make([]webhooks.Endpoint, 0, len(c.Endpoints))
	for _, e := range c.Endpoints {
		endpoints = append(endpoints, webhooks.Endpoint(e))
	}
	return endpoints
}

// Problem is one thing that is wrong with a configuration, and what to do.
type Problem struct {
	Field, Reason string
}

func (p Problem) String() string { return p.Field + ": " + p.Reason }

// Verify tells everything that is wrong with the configuration for a process of these roles.
func (c *Config) Verify(roles []string) []Problem {
	v := &verifier{}
	v.tenant("tenant", c.Tenant)
	v.check(c.Data != "", "data", "a directory is needed")
	v.check(c.Log.Partitions >= 1 && c.Log.Partitions <= 1024, "log.partitions", "must be 1 to 1024, and never changes once topics exist")
	v.kafka(&c.Log)
	if c.embeddedLog() {
		v.address("log.addr", c.Log.Addr)
		v.check(!v.foreign(c.Log.Addr), "log.addr", "the embedded log has no access control: listen on a loopback address, or use a Kafka cluster (log.kafka)")
	}
	if c.sharedStore() {
		if err := pgkv.Check(c.Store.DSN); err != nil {
			v.add("store.dsn", err.Error())
		}
	}
	v.check(c.Store.CacheBytes >= 1<<20, "store.cache_bytes", "must be 1 MiB at least")
	v.address("grpc.addr", c.GRPC.Addr)
	v.address("http.addr", c.HTTP.Addr)
	if len(c.Auth.Tokens) == 0 {
		v.check(!v.foreign(c.GRPC.Addr), "grpc.addr", "without auth.tokens everybody who reaches it reads all: listen on a loopback address, or configure tokens")
	} else if _, err := auth.New(c.tokens(), auth.Identity{}); err != nil {
		v.add("auth.tokens", err.Error())
	}
	for i, t := range c.Auth.Tokens {
		v.tenant(fmt.Sprintf("auth.tokens[%d].tenant", i), t.Tenant)
	}
	v.check(!c.Debug.Profiles || !v.foreign(c.HTTP.Addr), "debug.profiles", "profiles slow the process down and show its inside: listen for HTTP on a loopback address")
	v.check(c.Limits.EventsPerSecond >= 0, "limits.events_per_second", "must not be negative; 0 means no limit")
	v.check(c.Limits.EventsPerSecond == 0 || c.Limits.Burst >= 5000, "limits.burst", "must be 5000 at least, the greatest batch")
	v.check(c.Disk.MinFreeBytes >= 0, "disk.min_free_bytes", "must not be negative")
	v.check((c.Email.TLSCert == "") == (c.Email.TLSKey == ""), "email.tls_cert", "certificate and key go together")
	v.check(c.Email.MaxMessageBytes >= 1<<10, "email.max_message_bytes", "must be 1 KiB at least")
	if c.Email.SMTP != "" {
		v.address("email.smtp", c.Email.SMTP)
	}
	if c.Email.LMTP != "" {
		v.address("email.lmtp", c.Email.LMTP)
	}
	v.inboxes(c)
	v.social(c)
	v.webhooks(c.Webhooks)
	v.work(c)
	v.analytics(roles, c)
	v.console(roles, c)
	v.check(c.Outbound.MaxAge >= time.Minute && c.Outbound.MaxAge <= maxOutboundAge, "outbound.max_age", "must be 1m to 72h: nobody expects an answer later")
	v.check(c.Outbound.Timeout >= time.Second && c.Outbound.Timeout <= 5*time.Minute, "outbound.timeout", "must be 1s to 5m")
	v.check(slices.Contains([]string{"debug", "info", "warn", "error"}, c.Logging.Level), "logging.level", "must be debug, info, warn or error")
	v.check(c.Logging.Format == "text" || c.Logging.Format == "json", "logging.format", "must be text or json")
	v.check(c.Stop > 0, "stop_timeout", "must be more than zero")
	v.roles(roles, c)
	return v.problems
}

// maxOutboundAge is far below the week for which Kafka keeps the places of a group: they tell that a store was lost.
const maxOutboundAge = 72 * time.Hour

type verifier struct{ problems []Problem }

func (v *verifier) add(field, reason string) { v.problems = append(v.problems, Problem{field, reason}) }

func (v *verifier) check(ok bool, field, reason string) {
	if !ok {
		v.add(field, reason)
	}
}

func (v *verifier) tenant(field, name string) {
	ok := len(name) >= 1 && len(name) <= 63
	for _, r := range name {
		ok = ok && (r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || r == '-' || r == '_')
	}
	v.check(ok, field, "a tenant's name is 1 to 63 of a-z, 0-9, \"-\" and \"_\"")
}

// addNamed adds a problem that begins with the name of a setting; otherwise stands where it has none.
func (v *verifier) addNamed(otherwise string, err error) {
	field, reason, found := strings.Cut(err.Error(), ": ")
	if !found {
		field, reason = otherwise, err.Error()
	}
	v.add(field, reason)
}

func (v *verifier) address(field, addr string) {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		v.add(field, fmt.Sprintf("%q is no host:port", addr))
	}
}

// foreign reports whether others than this machine can reach an address.
func (v *verifier) foreign(addr string) bool {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return false // told elsewhere
	}
	if host == "localhost" {
		return false
	}
	ip := net.ParseIP(host)
	return ip == nil || !ip.IsLoopback()
}

func (v *verifier) inboxes(c *Config) {
	ids, addresses := map[string]int{}, map[string]int{}
	for i, in := range c.Inboxes {
		field := fmt.Sprintf("inboxes[%d]", i)
		v.check(in.MaxFileBytes <= blob.MaxSize, field+".max_file_bytes", fmt.Sprintf("the blob store takes %d bytes at most", blob.MaxSize))
		v.tenant(field+".tenant", in.Tenant)
		v.check(in.ID != "" && len(in.ID) <= 128, field+".id", "1 to 128 characters are needed")
		v.check(slices.Contains(channels(), in.Channel), field+".channel", "must be one of "+strings.Join(channels(), ", "))
		v.foreignSettings(field, in)
		v.phone(field, in)
		v.custom(field, in)
		v.mailServers(field, c, in)
		v.check(in.Channel != channelEmail || len(in.Addresses) > 0, field+".addresses", "one address at least is needed")
		if first, ok := ids[in.Tenant+"/"+in.ID]; ok {
			v.add(field+".id", fmt.Sprintf("%q is inboxes[%d] already", in.ID, first))
		}
		ids[in.Tenant+"/"+in.ID] = i
		for j, a := range in.Addresses {
			a = strings.ToLower(a)
			if first, ok := addresses[a]; ok {
				v.add(fmt.Sprintf("%s.addresses[%d]", field, j), fmt.Sprintf("%q belongs to inboxes[%d]: a recipient decides tenant and inbox", a, first))
			}
			v.check(strings.Contains(a, "@"), fmt.Sprintf("%s.addresses[%d]", field, j), fmt.Sprintf("%q is no mail address", a))
			addresses[a] = i
		}
	}
}

// foreignSettings tells of settings that belong to another channel than the inbox has: they would have no effect.
func (v *verifier) foreignSettings(field string, in InboxConfig) {
	own := map[string][]string{channelEmail: {"imap", "smtp"}, channelAsterisk: {"switch"}, channelFreeSwitch: {"switch"}}[in.Channel]
	settings := reflect.ValueOf(in)
	for i := range settings.NumField() {
		name := settings.Type().Field(i).Tag.Get("koanf")
		if settings.Field(i).Kind() == reflect.Struct && !unset(settings.Field(i)) && name != in.Channel && !slices.Contains(own, name) {
			v.add(field+"."+name, "belongs to another channel: this inbox has "+in.Channel)
		}
	}
}

// unset tells whether nothing of a setting is set.
func unset(v reflect.Value) bool {
	switch v.Kind() { //nolint:exhaustive // the others are themselves
	case reflect.Struct:
		for _, field := range v.Fields() {
			if !unset(field) {
				return false
			}
		}
		return true
	case reflect.Slice, reflect.Map:
		return v.Len() == 0
	case reflect.Pointer:
		return v.IsNil() || unset(v.Elem())
	}
	return v.IsZero()
}

func (v *verifier) webhooks(c WebhooksConfig) {
	for i, e := range c.Endpoints {
		if e.Tenant != "" { // told below
			v.tenant(fmt.Sprintf("webhooks.endpoints[%d].tenant", i), e.Tenant)
		}
	}
	for _, p := range webhooks.Verify(c.endpoints(), c.AllowPrivate) {
		v.add(fmt.Sprintf("webhooks.endpoints[%d].%s", p.Endpoint, p.Field), p.Reason)
	}
}

// work verifies what is said about interactions, customers and conversations.
func (v *verifier) work(c *Config) {
	if _, err := timers.NewPolicies(c.timers()); err != nil {
		v.addNamed("policies", err)
	}
	if _, err := alerts.NewRules(alerts.Settings{Alerts: c.Alerts}); err != nil {
		v.addNamed("alerts", err)
	}
	tenants := map[string]bool{}
	for i, l := range c.Linking {
		field := fmt.Sprintf("linking[%d]", i)
		v.tenant(field+".tenant", l.Tenant)
		v.check(!tenants[l.Tenant], field+".tenant", fmt.Sprintf("%q has rules already", l.Tenant))
		tenants[l.Tenant] = true
		if err := (linker.Settings{Topics: l.Topics, Identity: l.Identity}).Verify(); err != nil {
			v.add(field, err.Error())
		}
	}
	v.check((c.VCon.Certificate == "") == (c.VCon.Key == ""), "vcon.certificate", "certificate and key go together")
	v.check(c.VCon.BaseURL == "" || strings.HasPrefix(c.VCon.BaseURL, "https://"), "vcon.base_url", "must begin with https://, as vCons demand")
}

// roles refuses to spread over processes what shares an embedded engine.
func (v *verifier) roles(roles []string, c *Config) {
	for _, r := range roles {
		if !slices.Contains(RoleNames(), r) {
			v.add("roles", fmt.Sprintf("there is no role %q; there are: %s", r, strings.Join(RoleNames(), ", ")))
		}
	}
	if c.sharedStore() {
		return
	}
	has := func(role string) bool { return slices.Contains(roles, role) }
	sharing := []string{roleProjector, roleTimeline, roleAdmin, rolePhone, roleChat, roleSocial, roleFiles, roleWebhooks, roleSender, roleCustomers, roleConversations, roleSearch, roleTimers, roleLinker, roleAgents, roleAlerts, roleAnalytics}
	if c.fetchesMail() {
		sharing = append(sharing, roleEmail)
	}
	if has(roleTimeline) != has(roleProjector) || slices.ContainsFunc(sharing, has) && !has(roleProjector) {
		v.add("roles", strings.Join(sharing, ", ")+" share the embedded store, which one process can open: run them in one, or use a database (store.dsn)")
	}
}
