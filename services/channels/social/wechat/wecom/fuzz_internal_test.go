package wecom

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
)

// Whatever comes gives an error, or events that differ from one another, twice the same, and each is accepted or refused for good by Skein's own
// rules.
func FuzzCallback(f *testing.F) {
	raw, err := os.ReadFile(filepath.Join("testdata", "synthetic-desk.story"))
	if err != nil {
		f.Fatal(err)
	}
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		_, body, _ := strings.Cut(section, "\n")
		f.Add([]byte(strings.TrimSpace(body)), false)
		f.Add([]byte(strings.TrimSpace(body)), true)
	}
	host, n := channeltest.NewHost(), 0
	f.Fuzz(func(t *testing.T, body []byte, company bool) {
		if n++; n%1000 == 0 {
			host = channeltest.NewHost() // an old one holds much
		}
		in := Account{
			Tenant: "lumen", Inbox: strconv.Itoa(n), // so that callbacks of different executions never meet
			CorpID: "ww2f6c1d0a9b8e7f55", AgentID: 1, Token: "t", EncodingAESKeys: []string{strings.Repeat("A", 43)}, Secret: "s",
		}
		if company {
			in.Members = MembersCompany
		}
		c, err := New(Config{Mux: http.NewServeMux(), Accounts: []Account{in}})
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			submissions, err := c.read(c.accounts[Key{in.Tenant, in.Inbox}], body)
			if err != nil {
				continue
			}
			if len(submissions) > 1 {
				t.Fatal("a callback tells one thing")
			}
			var invalid *event.InvalidError
			if _, err := host.Submit(t.Context(), "lumen", submissions...); err != nil && !errors.As(err, &invalid) {
				t.Fatal(err)
			}
		}
		if len(host.Conflicts()) > 0 {
			t.Fatal(host.Conflicts())
		}
	})
}
