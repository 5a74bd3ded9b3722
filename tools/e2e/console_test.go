package e2e_test

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// patron is a person at a console that is reached over HTTP.
type patron struct {
	t       *testing.T
	site    *skeintest.Site
	browser *http.Client
}

func (v *patron) do(method, path string, form url.Values, accept string) *http.Response {
	v.t.Helper()
	r, err := http.NewRequestWithContext(v.t.Context(), method, "http://"+v.site.HTTP+path, strings.NewReader(form.Encode()))
	if err != nil {
		v.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Accept", accept)
	answer, err := v.browser.Do(r)
	if err != nil {
		v.t.Fatal(err)
	}
	v.t.Cleanup(func() { _ = answer.Body.Close() })
	return answer
}

func (v *patron) page(path string) (code int, text string) {
	v.t.Helper()
	answer := v.do(http.MethodGet, path, nil, "text/html") //nolint:bodyclose // at the end of the test
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		v.t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

func TestTheConsoleRunsInAProcessOfItsOwnBeforeThoseThatAnswer(t *testing.T) {
	t.Parallel()
	write := func(name, text string) string {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	api, front := newSite(t), newSite(t)
	tokens := "auth: {tokens: [{name: desk, tenant: default, sha256: " + sha256Of("desk") + "}]}\n"
	rest := strings.Fields("run email phone chat social custom ingest projector timeline webhooks sender files customers conversations search timers linker agents alerts blobs admin")
	server := api.Serve(rest, "-c", write("api.yaml", tokens))
	say := func(id, text string) {
		t.Helper()
		api.Run("publish", write(id+".json", `{"type":"message.received","channel":"CHANNEL_WEB_CHAT","direction":"DIRECTION_INBOUND","provider":"test","inbox":"web",`+
			`"thread":"t1","native_id":"`+id+`","parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL","value":"anna.weber@example.com"},"role":"PARTY_ROLE_SENDER",`+
			`"side":"SIDE_CUSTOMER"}],"content":{"message_received":{"text":"`+text+`"}}}`+"\n"), "--server", api.GRPC, "--token", "desk")
	}
	say("m1", "Is anybody there?")
	console := front.Serve([]string{"run", "console"}, "-c", write("console.yaml", "console: {api: '"+api.GRPC+"'}\n"))
	console.WaitFor("the address of the console", func() bool { return strings.Contains(console.Out(), "http://"+front.HTTP+"/") })

	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	v := &patron{t: t, site: front, browser: &http.Client{Jar: jar}}
	if code, text := v.page("/"); code != http.StatusOK || !strings.Contains(text, `name="token"`) {
		t.Fatalf("%d %s", code, text)
	}
	v.do(http.MethodPost, "/console/sign-in", url.Values{"token": {"desk"}}, "text/html") //nolint:bodyclose // at the end of the test
	const anna = "/console/customers?q=anna.weber%40example.com"
	code, text := v.page(anna)
	if code != http.StatusOK || !strings.Contains(text, "Is anybody there?") {
		t.Fatalf("%d %s", code, text)
	}
	_, text, _ = strings.Cut(text, `data-stream="`)
	stream, text, _ := strings.Cut(text, `"`)
	_, text, _ = strings.Cut(text, `data-cursor="`)
	cursor, _, _ := strings.Cut(text, `"`)
	news := v.do(http.MethodGet, stream+"?cursor="+url.QueryEscape(cursor), nil, "text/event-stream") //nolint:bodyclose // at the end of the test
	say("m2", "It grows.")
	lines := bufio.NewScanner(news.Body)
	for lines.Scan() && !strings.Contains(lines.Text(), "It grows.") {
		continue
	}
	if !strings.Contains(lines.Text(), "It grows.") {
		t.Errorf("the stream ends: %v", lines.Err())
	}

	if err := server.Stop(); err != nil {
		t.Errorf("%v\n%s", err, server.Out())
	}
	if code, text := v.page("/console/session"); code == http.StatusOK {
		t.Errorf("without what answers it says %d %s", code, text)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- console.Stop() }()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // less than the time that it has to stop
	defer cancel()
	select {
	case err := <-stopped:
		if err != nil {
			t.Errorf("%v\n%s", err, console.Out())
		}
	case <-ctx.Done():
		t.Errorf("it waits for a stream that is open:\n%s", console.Out())
	}
}
