package app_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/app"
)

// examples are the configurations and bodies of docs/examples/mapped. The bodies are synthetic: composed after the products'
// documents, which the configurations cite.
const examples = "../../docs/examples/mapped"

// sample loads an example and its body.
func sample(t *testing.T, config, body string) (app.Config, []byte) {
	t.Helper()
	for _, name := range []string{"SHOPIFY_SECRET", "GITHUB_SECRET", "CALENDLY_KEY", "SLACK_SIGNING_SECRET"} {
		t.Setenv(name, "s3cret")
	}
	cfg, err := app.Load(filepath.Join(examples, config+".yaml"), nil)
	if err != nil {
		t.Fatal(err)
	}
	if problems := cfg.Verify(app.RoleNames()); len(problems) > 0 {
		t.Fatal(problems)
	}
	raw, err := os.ReadFile(filepath.Join(examples, body))
	if err != nil {
		t.Fatal(err)
	}
	return cfg, raw
}

func sign(text string) []byte {
	mac := hmac.New(sha256.New, []byte("s3cret"))
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

func TestTheExamplesOfMappedWebhooksGiveTheirEvents(t *testing.T) {
	now := strconv.FormatInt(time.Now().Unix(), 10)
	for _, c := range []struct {
		config, body, inbox string
		header              http.Header
		sign                func(h http.Header, body string)
	}{
		{
			"shopify", "shopify.order.synthetic.json", "shop",
			http.Header{"X-Shopify-Topic": {"orders/create"}},
			func(h http.Header, body string) {
				h.Set("X-Shopify-Hmac-Sha256", base64.StdEncoding.EncodeToString(sign(body)))
			},
		},
		{
			"github", "github.comment.synthetic.json", "issues",
			http.Header{"X-Github-Event": {"issue_comment"}},
			func(h http.Header, body string) {
				h.Set("X-Hub-Signature-256", "sha256="+hex.EncodeToString(sign(body)))
			},
		},
		{
			"calendly", "calendly.invitee.synthetic.json", "appointments",
			http.Header{},
			func(h http.Header, body string) {
				h.Set("Calendly-Webhook-Signature", "t="+now+",v1="+hex.EncodeToString(sign(now+"."+body)))
			},
		},
		{
			"slack", "slack.message.synthetic.json", "slack",
			http.Header{},
			func(h http.Header, body string) {
				h.Set("X-Slack-Request-Timestamp", now)
				h.Set("X-Slack-Signature", "v0="+hex.EncodeToString(sign("v0:"+now+":"+body)))
			},
		},
	} {
		t.Run(c.config, func(t *testing.T) {
			cfg, body := sample(t, c.config, c.body)
			trial := app.Trial{Inbox: c.inbox, Header: c.header, Body: body}
			unsigned, err := app.Try(t.Context(), cfg, trial)
			if err != nil || len(unsigned.Rejections) > 0 {
				t.Fatal(err, unsigned.Rejections)
			}
			channeltest.Golden(t, filepath.Join(examples, c.config+".transcript"), transcript(unsigned))

			trial.Verify = true
			if tried, err := app.Try(t.Context(), cfg, trial); err != nil || tried.Status != http.StatusUnauthorized || len(tried.Submissions) > 0 {
				t.Errorf("unsigned: %+v, %v", tried, err)
			}
			c.sign(trial.Header, string(body))
			signed, err := app.Try(t.Context(), cfg, trial)
			if err != nil || signed.Status != http.StatusOK || transcript(signed) != transcript(unsigned) {
				t.Errorf("signed: %+v, %v", signed, err)
			}
			trial.Body = append(trial.Body, ' ')
			if tried, err := app.Try(t.Context(), cfg, trial); err != nil || tried.Status != http.StatusUnauthorized {
				t.Errorf("signed for another body: %+v, %v", tried, err)
			}
		})
	}
}

// transcript tells what a trial gave; the data of extensions, which came as the body, is left out.
func transcript(tried app.Tried) string {
	var events []channeltest.Event
	for _, s := range tried.Submissions {
		content := s.GetContent()
		if e := content.GetExtension(); e != nil {
			e.Data = nil
		}
		events = append(events, channeltest.Event{Submission: s})
	}
	return channeltest.Transcript(events)
}

func TestCustomInboxesAreVerifiedFieldByField(t *testing.T) {
	file := write(t, `
inboxes:
  - {id: a, tenant: acme, channel: cloudevents, cloudevents: {secrets: [short], provider: "A B"}}
  - id: b
    tenant: acme
    channel: mapped
    mapped:
      provider: shop
      verify: {bearer: {secrets: [x]}}
      events:
        - {type: message.received, thread: bdy.id, native_id: body.id, text: 'body.text +'}
`)
	c, err := app.Load(file, nil)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, p := range c.Verify(app.RoleNames()) {
		told = append(told, p.String())
	}
	all := strings.Join(told, "\n")
	for _, want := range []string{
		"inboxes[0].cloudevents.secrets[0]: must have", "inboxes[0].cloudevents.provider: must",
		"inboxes[1].mapped.events[0].thread: column 1: undeclared reference to 'bdy'", "inboxes[1].mapped.events[0].text: column 12: Syntax error",
	} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not told:\n%s", want, all)
		}
	}
	for _, s := range c.Settings() {
		if strings.Contains(s.Value, "short") {
			t.Errorf("%s shows a secret", s.Key)
		}
	}
}

func TestSecretsThatAreSeveralAreFetchedEach(t *testing.T) {
	t.Setenv("NEW_SECRET", "of this year, and long enough")
	c, err := app.Load(write(t, `inboxes: [{id: a, tenant: acme, channel: cloudevents, cloudevents: {secrets: ["env:NEW_SECRET", "of last year, and long enough"]}}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	if s := c.Inboxes[0].CloudEvents.Secrets; len(s) != 2 || s[0] != "of this year, and long enough" || s[1] != "of last year, and long enough" {
		t.Error(s)
	}
	_, err = app.Load(write(t, `inboxes: [{id: a, channel: mapped, mapped: {verify: {hmac: {secrets: [x, "env:NOT_THERE"]}}}}]`), nil)
	if err == nil || !strings.Contains(err.Error(), "inboxes[0].mapped.verify.hmac.secrets[1]: ") {
		t.Error(err)
	}
}

func TestATrialSaysWhatIsWrong(t *testing.T) {
	cfg, body := sample(t, "calendly", "calendly.invitee.synthetic.json")
	tried, err := app.Try(t.Context(), cfg, app.Trial{Inbox: "appointments", Body: []byte(`{"event":"invitee.created","payload":{}}`)})
	if err != nil || len(tried.Rejections) != 1 || !strings.Contains(tried.Rejections[0].Reason, "events[0].thread: column ") {
		t.Errorf("%+v, %v", tried, err)
	}
	if _, err := app.Try(t.Context(), cfg, app.Trial{Inbox: "meetings", Body: body}); err == nil || !strings.Contains(err.Error(), "acme/appointments") {
		t.Error(err)
	}
	if _, err := app.Try(t.Context(), app.Default(), app.Trial{Inbox: "support"}); err == nil || !strings.Contains(err.Error(), "email") {
		t.Error(err)
	}
	cfg.Inboxes = append(cfg.Inboxes, cfg.Inboxes[0])
	cfg.Inboxes[1].Tenant = "beta"
	if _, err := app.Try(t.Context(), cfg, app.Trial{Inbox: "appointments", Body: body}); err == nil || !strings.Contains(err.Error(), "--tenant") {
		t.Error(err)
	}
	if tried, err := app.Try(t.Context(), cfg, app.Trial{Tenant: "beta", Inbox: "appointments", Body: body}); err != nil || len(tried.Submissions) != 2 {
		t.Errorf("%+v, %v", tried, err)
	}
	cfg.Inboxes[0].Mapped.Events = nil
	if _, err := app.Try(t.Context(), cfg, app.Trial{Tenant: "acme", Inbox: "appointments", Body: body}); err == nil || !strings.Contains(err.Error(), "events") {
		t.Error(err)
	}
}

func TestACloudEventIsTried(t *testing.T) {
	c, err := app.Load(write(t, `inboxes: [{id: orders, tenant: acme, channel: cloudevents, cloudevents: {secrets: [long enough for a secret], provider: shop}}]`), nil)
	if err != nil {
		t.Fatal(err)
	}
	trial := app.Trial{Inbox: "orders", Header: http.Header{"Content-Type": {"application/cloudevents+json"}}, Body: []byte(`{"specversion":"1.0","id":"1","source":"/shop","type":"order.sent"}`)}
	if tried, err := app.Try(t.Context(), c, trial); err != nil || tried.Status != http.StatusOK || len(tried.Submissions) != 1 || tried.Submissions[0].GetType() != "ext.shop.order.sent" {
		t.Errorf("%+v, %v", tried, err)
	}
	trial.Body = []byte(`{"specversion":"1.0","id":"1","source":"/shop"}`)
	if tried, err := app.Try(t.Context(), c, trial); err != nil || tried.Status != http.StatusBadRequest || !strings.Contains(tried.Answer, `"field":"type"`) {
		t.Errorf("%+v, %v", tried, err)
	}
	trial.Verify = true
	if tried, err := app.Try(t.Context(), c, trial); err != nil || tried.Status != http.StatusUnauthorized {
		t.Errorf("%+v, %v", tried, err)
	}
}

func TestATwilioWebhookIsTried(t *testing.T) {
	c, err := app.Load(write(t, `
inboxes:
  - {id: hotline, tenant: acme, channel: twilio, twilio: {account_sid: AC00000000000000000000000000000001, auth_token: x, base_urls: ["https://skein.example"], numbers: ["+4930200100"]}}
`), nil)
	if err != nil {
		t.Fatal(err)
	}
	tried, err := app.Try(t.Context(), c, app.Trial{Inbox: "hotline", Body: []byte("AccountSid=AC00000000000000000000000000000001&MessageSid=SM00000000000000000000000000000001&From=%2B4930901820&To=%2B4930200100&Body=Hi")})
	if err != nil || len(tried.Submissions) != 1 || tried.Submissions[0].GetContent().GetMessageReceived().GetText() != "Hi" {
		t.Errorf("%+v, %v", tried, err)
	}
}
