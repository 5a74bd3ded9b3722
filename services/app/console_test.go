package app_test

import (
	"strings"
	"testing"

	"github.com/skein-cx/skein/services/app"
)

func TestWhatTheConsoleNeedsIsVerified(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text, roles, want string
	}{
		{"", strings.Join(app.RoleNames(), " "), ""},
		{"console: {api: 'skein.internal:7070', home: /console/work}", "console", ""},
		{"", "console", "console.api: the console asks roles that this process has not: name an address at which all of the gRPC API is answered"},
		{"", "console timeline", "console.api: the console asks roles"},
		{"console: {api: skein.internal}", "console", `console.api: "skein.internal" is no host:port`},
		{"console: {api: skein.internal}", "ingest", ""},
		{"console: {home: 'https://elsewhere.example'}", strings.Join(app.RoleNames(), " "), "console.home: must be a page of the console: /console/..."},
	} {
		cfg, err := app.Load(write(t, c.text), nil)
		if err != nil {
			t.Fatal(err)
		}
		var said []string
		for _, p := range cfg.Verify(strings.Fields(c.roles)) {
			said = append(said, p.String())
		}
		if got := strings.Join(said, "\n"); c.want == "" && got != "" || !strings.Contains(got, c.want) {
			t.Errorf("%s with %q: %q", c.roles, c.text, got)
		}
	}
}
