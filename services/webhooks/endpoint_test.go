package webhooks_test

import (
	"strings"
	"testing"

	"github.com/skein-cx/skein/services/webhooks"
)

func TestVerifySaysWhatIsWrongWithAnEndpoint(t *testing.T) {
	fine := webhooks.Endpoint{ID: "crm", Tenant: tenant, URL: "https://crm.example/hook", Secret: secret, Types: []string{"message.*"}}
	for name, x := range map[string]struct {
		change func(*webhooks.Endpoint)
		field  string // none where it is fine
	}{
		"as it should be":            {func(*webhooks.Endpoint) {}, ""},
		"every type":                 {func(e *webhooks.Endpoint) { e.Types = []string{"*"} }, ""},
		"a foreign type":             {func(e *webhooks.Endpoint) { e.Types = []string{"ext.acme.order", "ext.acme.*", "ext.*"} }, ""},
		"a public address":           {func(e *webhooks.Endpoint) { e.URL = "https://93.184.215.14:8443/" }, ""},
		"no id":                      {func(e *webhooks.Endpoint) { e.ID = "" }, "id"},
		"a slash in the id":          {func(e *webhooks.Endpoint) { e.ID = "a/b" }, "id"},
		"no tenant":                  {func(e *webhooks.Endpoint) { e.Tenant = "" }, "tenant"},
		"plain HTTP":                 {func(e *webhooks.Endpoint) { e.URL = "http://crm.example/" }, "url"},
		"no URL":                     {func(e *webhooks.Endpoint) { e.URL = "" }, "url"},
		"another scheme":             {func(e *webhooks.Endpoint) { e.URL = "file:///etc/passwd" }, "url"},
		"no host":                    {func(e *webhooks.Endpoint) { e.URL = "https:///hook" }, "url"},
		"a password":                 {func(e *webhooks.Endpoint) { e.URL = "https://user:pass@crm.example/" }, "url"},
		"a fragment":                 {func(e *webhooks.Endpoint) { e.URL = "https://crm.example/#a" }, "url"},
		"a control character":        {func(e *webhooks.Endpoint) { e.URL = "https://crm.example/\n" }, "url"},
		"this machine":               {func(e *webhooks.Endpoint) { e.URL = "https://127.0.0.1/" }, "url"},
		"this machine in IPv6":       {func(e *webhooks.Endpoint) { e.URL = "https://[::ffff:127.0.0.1]/" }, "url"},
		"the cloud's metadata":       {func(e *webhooks.Endpoint) { e.URL = "https://169.254.169.254/latest/" }, "url"},
		"no secret":                  {func(e *webhooks.Endpoint) { e.Secret = "" }, "secret"},
		"a secret that is no Base64": {func(e *webhooks.Endpoint) { e.Secret = "whsec_" + strings.Repeat("!", 40) }, "secret"},
		"a short secret":             {func(e *webhooks.Endpoint) { e.Secret = "whsec_c2VjcmV0" }, "secret"},
		"no types":                   {func(e *webhooks.Endpoint) { e.Types = nil }, "types"},
		"a type that does not exist": {func(e *webhooks.Endpoint) { e.Types = []string{"message.recieved"} }, "types"},
		"a group that has no types":  {func(e *webhooks.Endpoint) { e.Types = []string{"mesage.*"} }, "types"},
		"half a group":               {func(e *webhooks.Endpoint) { e.Types = []string{"mess*"} }, "types"},
		"a negative rate":            {func(e *webhooks.Endpoint) { e.PerSecond = -1 }, "per_second"},
	} {
		e := fine
		x.change(&e)
		problems := webhooks.Verify([]webhooks.Endpoint{e}, false)
		switch {
		case x.field == "" && len(problems) > 0:
			t.Errorf("%s: %v", name, problems)
		case x.field != "" && (len(problems) != 1 || problems[0].Field != x.field):
			t.Errorf("%s: %v, want one problem with %s", name, problems, x.field)
		}
	}
	if problems := webhooks.Verify([]webhooks.Endpoint{fine, fine}, false); len(problems) != 1 || problems[0].Endpoint != 1 {
		t.Errorf("an id twice: %v", problems)
	}
	fine.URL = "http://127.0.0.1:8080/"
	if problems := webhooks.Verify([]webhooks.Endpoint{fine}, true); len(problems) > 0 {
		t.Errorf("plain HTTP at home, where it is allowed: %v", problems)
	}
}

func TestVerifyTellsNoSecrets(t *testing.T) {
	e := webhooks.Endpoint{ID: "crm", Tenant: tenant, URL: "https://user:hunter2@[/", Secret: "hunter2", Types: []string{"*"}}
	for _, p := range webhooks.Verify([]webhooks.Endpoint{e}, false) {
		if strings.Contains(p.String(), "hunter2") {
			t.Errorf("it says %s", p)
		}
	}
}
