package cloudevents_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/binding"
	"github.com/cloudevents/sdk-go/v2/client"
	ce "github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/protocol"
	cehttp "github.com/cloudevents/sdk-go/v2/protocol/http"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
)

// serve reaches the inbox over HTTP.
func serve(t *testing.T) (host *channeltest.Host, address string) {
	t.Helper()
	host = channeltest.NewHost()
	server := httptest.NewServer(open(t, host))
	t.Cleanup(server.Close)
	return host, server.URL + path
}

// types are those of a host's events.
func types(host *channeltest.Host) string {
	var all []string
	for _, e := range host.Events() {
		all = append(all, e.Event.GetType()+" "+e.Submission.GetThread())
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

const whatTheClientsTell = `ext.shop.order.created order/1 für Anna
ext.shop.order.paid order/1 für Anna
ext.shop.order.sent order/1 für Anna
ext.shop.order.sent order/2`

func TestTheGoSDKPublishesInAllModes(t *testing.T) {
	host, address := serve(t)
	p, err := cehttp.New(cehttp.WithTarget(address), cehttp.WithHeader("Authorization", "Bearer "+secret))
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(p, client.WithTimeNow(), client.WithUUIDs())
	if err != nil {
		t.Fatal(err)
	}
	event := func(typ, subject string) ce.Event {
		e := ce.New()
		e.SetID(typ + subject)
		e.SetSource("https://shop.lumen.example/de")
		e.SetType("com.lumen." + typ)
		e.SetSubject(subject)
		e.SetTime(time.Date(2026, 2, 27, 9, 0, 0, 0, time.UTC))
		e.SetExtension("skeinemail", "anna@example.com")
		if err := e.SetData("application/json", map[string]int{"order": 1}); err != nil {
			t.Fatal(err)
		}
		return e
	}
	ctx := cehttp.WithCustomHeader(t.Context(), http.Header{"X-Request": {"1"}})
	if result := c.Send(ctx, event("order.created", "order/1 für Anna")); protocol.IsUndelivered(result) || !protocol.IsACK(result) {
		t.Fatal(result)
	}
	if result := c.Send(binding.WithForceStructured(ctx), event("order.paid", "order/1 für Anna")); !protocol.IsACK(result) {
		t.Fatal(result)
	}
	r, err := cehttp.NewHTTPRequestFromEvents(t.Context(), address, []ce.Event{event("order.sent", "order/1 für Anna"), event("order.sent", "order/2")})
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+secret)
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	if _ = answer.Body.Close(); answer.StatusCode != http.StatusOK {
		t.Fatal(answer.Status)
	}
	if got := types(host); got != whatTheClientsTell {
		t.Errorf("got\n%s", got)
	}
	bad := event("order.created", "order/1")
	bad.SetExtension("skeinchannel", "fax")
	var result *cehttp.Result
	if err := c.Send(ctx, bad); !protocol.ResultAs(err, &result) || result.StatusCode != http.StatusBadRequest {
		t.Error(err)
	}
}

// pythonSDK is the one of PyPI that the test asks for.
const pythonSDK = "cloudevents==2.2.0"

func TestThePythonSDKPublishesInAllModes(t *testing.T) {
	missing := func(why string) {
		t.Helper()
		if slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "python" }) {
			t.Fatal(why)
		}
		t.Skip("skipped: " + why + " (SKEIN_REQUIRE=python makes this a failure)")
	}
	python, err := exec.LookPath("python3")
	if err != nil {
		missing("there is no python3")
	}
	packages := t.TempDir()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	if said, err := exec.CommandContext(ctx, python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-input", "--target", packages, pythonSDK).CombinedOutput(); err != nil {
		lines := strings.Split(strings.TrimSpace(string(said)), "\n")
		missing("pip cannot install " + pythonSDK + ": " + lines[len(lines)-1])
	}
	host, address := serve(t)
	publish := exec.CommandContext(ctx, python, filepath.FromSlash("../../../../docs/examples/publish_cloudevents.py"), address)
	publish.Env = append(os.Environ(), "PYTHONPATH="+packages, "SKEIN_SECRET="+secret)
	if said, err := publish.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	if got := types(host); got != whatTheClientsTell {
		t.Errorf("got\n%s", got)
	}
}
