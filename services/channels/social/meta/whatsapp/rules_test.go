package whatsapp_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta/whatsapp"
)

// about makes a body about a number: what stands in its value beside the metadata.
func about(number, field, inside string) string {
	return `{"object":"whatsapp_business_account","entry":[{"id":"100200300","changes":[` + changeOf(number, field, inside) + `]}]}`
}

func changeOf(number, field, inside string) string {
	return `{"value":{"messaging_product":"whatsapp","metadata":{"display_phone_number":"4930200200","phone_number_id":"` + number + `"},` + inside + `},"field":"` + field + `"}`
}

// take delivers bodies to the desk's path.
func take(t *testing.T, bodies ...string) *channeltest.Host {
	t.Helper()
	host, mux := channeltest.NewHost(), http.NewServeMux()
	open(t, host, config(mux))
	for _, b := range bodies {
		if status := post(t, mux, deskURL, b); status != http.StatusOK {
			t.Errorf("answered %d: %.200s", status, b)
		}
	}
	for _, c := range host.Conflicts() {
		t.Errorf("a conflict: %v", c.Submission)
	}
	return host
}

// said tells events in short: inbox, type, thread, native id and the customer's addresses.
func said(host *channeltest.Host) []string {
	var all []string
	for _, e := range host.Events() {
		s := e.Submission
		line := fmt.Sprintf("%s %s %s %s", s.GetInbox(), s.GetType(), s.GetThread(), s.GetNativeId())
		for _, p := range s.GetParties() {
			if a := p.GetAddress(); p.GetSide().String() == "SIDE_CUSTOMER" {
				line += " " + strings.ToLower(strings.TrimPrefix(a.GetKind().String(), "ENDPOINT_KIND_")) + ":" + a.GetNamespace() + ":" + a.GetValue()
			}
		}
		all = append(all, line)
	}
	return all
}

func equal(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n  %s\nwant\n  %s", what, strings.Join(got, "\n  "), strings.Join(want, "\n  "))
	}
}

const hello = `"messages":[{"from":"4930901820","id":"wamid.1","timestamp":"1772355600","type":"text","text":{"body":"Hello"}}]`

func TestTheNumberDecidesTheInboxAndNotThePath(t *testing.T) {
	host := take(t, about("444555666", "messages", hello))
	equal(t, "the shop's number on the desk's path", said(host),
		"shop message.received 4930901820 wamid.1 phone::+4930901820 social:whatsapp/444555666:4930901820")

	for name, body := range map[string]string{
		"another app's number":                   about("777888999", "messages", hello),
		"a number that nobody has":               about("1", "messages", hello),
		"a business account that nobody has":     `{"object":"whatsapp_business_account","entry":[{"id":"1","changes":[{"field":"account_update","value":{"event":"ACCOUNT_DELETED"}}]}]}`,
		"the sample that Meta's dashboard sends": `{"object":"whatsapp_business_account","entry":[{"id":"0","changes":[{"field":"messages","value":{"metadata":{"phone_number_id":"123456123"},"messages":[]}}]}]}`,
	} {
		host := take(t, body)
		kept := host.Rejections()
		if len(host.Events()) > 0 || len(kept) != 1 || kept[0].Inbox != "desk" || string(kept[0].Raw) != body {
			t.Errorf("%s: %d events, kept %v", name, len(host.Events()), kept)
		}
	}

	host = take(t, `{"object":"whatsapp_business_account","entry":[{"id":"9","time":1772355600,"changes":[{"field":"account_update","value":{"event":"PARTNER_REMOVED","waba_info":{"waba_id":"100200300","owner_business_id":"5"}}}]}]}`)
	if all := host.Events(); len(all) != 1 || all[0].Submission.GetThread() != "account/100200300" || all[0].Submission.GetInbox() != "desk" {
		t.Errorf("what a partner is told: %v", said(host))
	}
}

func TestWhoACustomerIs(t *testing.T) {
	message := func(inside string) string {
		return `"messages":[{` + inside + `,"id":"wamid.1","timestamp":"1772355600","type":"text","text":{"body":"Hello"}}]`
	}
	status := func(inside string) string {
		return `"statuses":[{` + inside + `,"id":"wamid.1","status":"delivered","timestamp":"1772355600"}]`
	}
	for name, c := range map[string]struct {
		inside string
		want   []string
	}{
		"a number only": {
			message(`"from":"4930901820"`),
			[]string{"desk message.received 4930901820 wamid.1 phone::+4930901820 social:whatsapp/111222333:4930901820"},
		},
		"a number, and a user id in the contact": {
			`"contacts":[{"profile":{"name":"A"},"wa_id":"4930901820","user_id":"DE.1"}],` + message(`"from":"4930901820"`),
			[]string{"desk message.received 4930901820 wamid.1 phone::+4930901820 social:whatsapp/111222333:4930901820 identifier:whatsapp:DE.1"},
		},
		"a user id only": {
			`"contacts":[{"profile":{"name":"A","username":"@a"},"user_id":"DE.1","parent_user_id":"DE.ENT.1"}],` + message(`"from_user_id":"DE.1"`),
			[]string{"desk message.received DE.1 wamid.1 social:whatsapp/111222333:DE.1 identifier:whatsapp:DE.1 identifier:whatsapp:DE.ENT.1"},
		},
		"a user id in the place of the number": {
			message(`"from":"DE.1"`),
			[]string{"desk message.received DE.1 wamid.1 social:whatsapp/111222333:DE.1 identifier:whatsapp:DE.1"},
		},
		"nobody but the only contact": {
			`"contacts":[{"profile":{"name":"A"},"user_id":"DE.1"}],` + message(`"from":""`),
			[]string{"desk message.received DE.1 wamid.1 social:whatsapp/111222333:DE.1 identifier:whatsapp:DE.1"},
		},
		"a username, while the number is told: the threads are one": {
			`"contacts":[{"profile":{"name":"A","username":"@a"},"wa_id":"4930901820","user_id":"DE.1"}],` + message(`"from":"4930901820","from_user_id":"DE.1"`),
			[]string{
				"desk message.received 4930901820 wamid.1 phone::+4930901820 social:whatsapp/111222333:4930901820 identifier:whatsapp:DE.1",
				"desk thread.joined DE.1 joined/4930901820",
			},
		},
		"another's contact tells nothing": {
			`"contacts":[{"profile":{"name":"B"},"wa_id":"4930901821","user_id":"DE.2"}],` + message(`"from":"4930901820"`),
			[]string{"desk message.received 4930901820 wamid.1 phone::+4930901820 social:whatsapp/111222333:4930901820"},
		},
		"what is no number is no telephone": {
			message(`"from":"abc"`),
			[]string{"desk message.received abc wamid.1 social:whatsapp/111222333:abc"},
		},
		"a status of a number": {
			status(`"recipient_id":"4930901820"`),
			[]string{"desk message.delivered 4930901820 wamid.1/delivered phone::+4930901820 social:whatsapp/111222333:4930901820"},
		},
		"a status of a user id": {
			status(`"recipient_user_id":"DE.1"`),
			[]string{"desk message.delivered DE.1 wamid.1/delivered social:whatsapp/111222333:DE.1 identifier:whatsapp:DE.1"},
		},
		"a status of a user id in the place of the number": {
			status(`"recipient_id":"DE.1"`),
			[]string{"desk message.delivered DE.1 wamid.1/delivered social:whatsapp/111222333:DE.1 identifier:whatsapp:DE.1"},
		},
		"a status of the only contact": {
			`"contacts":[{"profile":{},"user_id":"DE.1","wa_id":"4930901820"}],` + status(`"x":1`),
			[]string{"desk message.delivered 4930901820 wamid.1/delivered phone::+4930901820 social:whatsapp/111222333:4930901820 identifier:whatsapp:DE.1"},
		},
		"a changed user id without any number": {
			`"messages":[{"id":"wamid.1","timestamp":"1772355600","type":"system","system":{"type":"user_changed_user_id","previous_user_id":"DE.1","user_id":"DE.2"}}]`,
			[]string{"desk ext.whatsapp.user_changed_user_id DE.1 wamid.1 social:whatsapp/111222333:DE.1 identifier:whatsapp:DE.1 social:whatsapp/111222333:DE.2 identifier:whatsapp:DE.2"},
		},
	} {
		host := take(t, about("111222333", "messages", c.inside))
		equal(t, name, said(host), c.want...)
		for _, r := range host.Rejections() {
			t.Errorf("%s: %s", name, r.Reason)
		}
	}
}

func TestStatusesOfWhatTheSenderSentHaveTheRequestAsTheirCause(t *testing.T) {
	const request = "0192f0c1-2b3c-8d4e-9f50-617283940a1b"
	status := func(word, tracker string) string {
		return about("111222333", "messages", `"statuses":[{"id":"wamid.1","status":"`+word+`","timestamp":"1772355600","recipient_id":"4930901820","biz_opaque_callback_data":"`+tracker+`"}]`)
	}
	for _, c := range []struct{ word, tracker, typ, cause string }{
		{"sent", "skein:" + request, "", ""},
		{"delivered", "skein:" + request, "message.delivered", request},
		{"read", "skein:" + request, "message.read", request},
		{"played", "skein:" + request, "message.read", request},
		{"failed", "skein:" + request, "message.failed", request},
		{"sent", request, "ext.whatsapp.status_sent", ""}, // somebody else's
		{"sent", "skein:7", "ext.whatsapp.status_sent", ""},
		{"sent", "", "ext.whatsapp.status_sent", ""},
		{"delivered", "order 7", "message.delivered", ""},
		{"DELIVERED", "", "message.delivered", ""},
		{"deleted", "", "ext.whatsapp.status_deleted", ""},
	} {
		host := take(t, status(c.word, c.tracker))
		typ, cause := "", ""
		if all := host.Events(); len(all) > 0 {
			typ, cause = all[0].Submission.GetType(), all[0].Submission.GetCausationId()
		}
		if typ != c.typ || cause != c.cause || len(host.Rejections()) > 0 {
			t.Errorf("%s, %q: %s, caused by %q", c.word, c.tracker, typ, cause)
		}
	}
}

// Whatever is wrong with one item, the others are taken, and it is kept in a body that can be redriven by itself.
func TestOneItemThatIsNotUnderstoodDoesNotCostTheOthers(t *testing.T) {
	long := strings.Repeat("x", 2000)
	body := `{"object":"whatsapp_business_account","entry":[{"id":"100200300","changes":[` + strings.Join([]string{
		changeOf("111222333", "messages", `"contacts":[{"profile":{"name":"A"},"wa_id":"4930901820"}],"messages":[`+
			`{"from":"4930901820","id":"wamid.1","timestamp":"1772355600","type":"text","text":{"body":"one"}},`+
			`{"from":"4930901820","timestamp":"1772355601","type":"text","text":{"body":"no id"}},`+
			`{"from":"4930901820","id":"wamid.`+long+`","timestamp":"1772355602","type":"text","text":{"body":"a long id"}},`+
			`{"from":"4930901820","id":"wamid.2","timestamp":"soon","type":"text","text":{"body":"no time"}},`+
			`{"id":"wamid.3","timestamp":"1772355603","type":"text","text":"no text"},`+
			`17,`+
			`{"from":"4930901820","id":"wamid.4","timestamp":"1772355604","type":"text","text":{"body":"two"}}]`),
		`{"field":"messages"}`,
		`"nothing"`,
		changeOf("1", "messages", hello),
		changeOf("444555666", "messages", `"statuses":[{"id":"wamid.9","status":"read","timestamp":"1772355605","recipient_id":"4930901820"},{"status":"read"}]`),
		changeOf("111222333", "history", `"history":[{"metadata":{"phase":1},"threads":[{"id":"4930901820","messages":[{"from":"4930901820","id":"wamid.h","timestamp":"1700000000","type":"text","text":{"body":"old"}},{"from":"4930901820","timestamp":"1"}]},{"messages":[]}]},7]`),
	}, ",") + `]}]}`
	host := take(t, body)
	var told []string
	for _, e := range host.Events() {
		told = append(told, e.Submission.GetInbox()+" "+e.Submission.GetType()+" "+e.Submission.GetNativeId())
	}
	equal(t, "told", told, "desk message.received wamid.1", "desk message.received wamid.4", "shop message.read wamid.9/read", "desk message.received wamid.h")
	kept := host.Rejections()
	if len(kept) != 12 {
		for _, r := range kept {
			t.Logf("%s: %s", r.Reason, r.Raw)
		}
		t.Fatalf("kept %d", len(kept))
	}
	c := open(t, channeltest.NewHost(), config(http.NewServeMux()))
	for _, r := range kept {
		again := channeltest.NewHost()
		if err := c.Redrive(t.Context(), again, r); err != nil {
			t.Error(err)
		}
		if twice := again.Rejections(); len(again.Events()) > 0 || len(twice) != 1 || !bytes.Equal(twice[0].Raw, r.Raw) || twice[0].Inbox != r.Inbox {
			t.Errorf("%s: redriven: %d events, kept %q", r.Reason, len(again.Events()), twice)
		}
		if strings.Contains(string(r.Raw), "wamid.4") || strings.Contains(string(r.Raw), `"old"`) {
			t.Errorf("%s: more was kept than was not understood: %s", r.Reason, r.Raw)
		}
	}

	// What was kept because its number was not configured yet is taken once it is.
	cfg := config(http.NewServeMux())
	cfg.Accounts[1].PhoneNumberID = "1"
	mended, again := open(t, channeltest.NewHost(), cfg), channeltest.NewHost()
	for _, r := range kept {
		if err := mended.Redrive(t.Context(), again, r); err != nil {
			t.Error(err)
		}
	}
	if told := said(again); len(told) != 1 || !strings.HasPrefix(told[0], "shop message.received 4930901820 wamid.1 ") {
		t.Errorf("redriven: %v", told)
	}
	if err := mended.Redrive(t.Context(), again, channel.Rejection{Tenant: "lumen", Inbox: "gone"}); err == nil {
		t.Error("an inbox that is gone was redriven")
	}
}

// limited is a host that takes so many events at once, and then says when to come again.
type limited struct {
	*channeltest.Host
	after time.Duration
	left  int
}

type limitedError struct{ after time.Duration }

func (limitedError) Error() string               { return "the rate is used up" }
func (limitedError) Unwrap() error               { return channel.ErrRetry }
func (e limitedError) RetryAfter() time.Duration { return e.after }

func (l *limited) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if l.left < len(submissions) {
		l.left = 100
		return nil, fmt.Errorf("intake: %w", limitedError{l.after})
	}
	l.left -= len(submissions)
	return l.Host.Submit(ctx, tenant, submissions...)
}

func TestAHistoryThatIsTooMuchAtOnceIsTakenInPieces(t *testing.T) {
	var messages []string
	for i := range 250 {
		messages = append(messages, fmt.Sprintf(`{"from":"4930901820","id":"wamid.%d","timestamp":"%d","type":"text","text":{"body":"m"}}`, i, 1700000000+i))
	}
	body := about("111222333", "history", `"history":[{"threads":[{"id":"4930901820","messages":[`+strings.Join(messages, ",")+`]}]}]`)
	for after, status := range map[time.Duration]int{time.Millisecond: http.StatusOK, time.Hour: http.StatusServiceUnavailable} {
		host, mux := &limited{Host: channeltest.NewHost(), after: after}, http.NewServeMux()
		open(t, host, config(mux))
		if got := post(t, mux, deskURL, body); got != status || status == http.StatusOK && len(host.Events()) != len(messages) {
			t.Errorf("after %v: answered %d, %d events", after, got, len(host.Events()))
		}
	}
}

// keepsNothing is a host whose dead letters do not answer.
type keepsNothing struct{ *channeltest.Host }

func (keepsNothing) Reject(context.Context, channel.Rejection) error { return errors.New("no broker") }

func TestWhatCannotBeKeptIsAskedForAgain(t *testing.T) {
	mux := http.NewServeMux()
	open(t, keepsNothing{channeltest.NewHost()}, config(mux))
	body := about("111222333", "messages", `"messages":[{"id":"wamid.1"},{"from":"4930901820","id":"wamid.2","timestamp":"1772355600","type":"text","text":{"body":"x"}}]`)
	if status := post(t, mux, deskURL, body); status != http.StatusServiceUnavailable {
		t.Errorf("answered %d", status)
	}
}

func TestAHistoryIsTakenWhole(t *testing.T) {
	var messages []string
	for i := range 250 {
		from, to := "4930901820", ""
		if i%2 == 1 {
			from, to = "4930200200", `"to":"4930901820",`
		}
		messages = append(messages, fmt.Sprintf(`{"from":%q,%s"id":"wamid.%d","timestamp":"%d","type":"text","text":{"body":"m"}}`, from, to, i, 1700000000+i))
	}
	body := about("111222333", "history", `"history":[{"metadata":{"phase":0,"chunk_order":1,"progress":10},"threads":[{"id":"4930901820","messages":[`+strings.Join(messages, ",")+`]}]}]`)
	host := take(t, body, body)
	counts := map[string]int{}
	for _, e := range host.Events() {
		counts[e.Submission.GetType()]++
		if !e.Submission.GetBackfill() || e.Submission.GetThread() != "4930901820" {
			t.Fatalf("%v", e.Submission)
		}
	}
	if counts["message.received"] != 125 || counts["message.sent"] != 125 {
		t.Errorf("%v", counts)
	}
}

func TestAHistoryThatIsNotSharedIsTold(t *testing.T) {
	host := take(t, about("111222333", "history", `"history":[{"errors":[{"code":2593109,"title":"History sharing is turned off by the business from the WhatsApp Business App","message":"x"}]}]`))
	equal(t, "declined", said(host)[:1], "desk ext.whatsapp.history account/100200300 "+host.Events()[0].Submission.GetNativeId())
}

func TestErrorsThatStandAloneAreAboutTheAccount(t *testing.T) {
	host := take(t, about("111222333", "messages", `"errors":[{"code":130429,"title":"Rate limit hit"}]`))
	if all := host.Events(); len(all) != 1 || all[0].Submission.GetType() != "ext.whatsapp.errors" || all[0].Submission.GetThread() != "account/100200300" {
		t.Errorf("%v", said(host))
	}
}

func TestACallThatNobodyAnswers(t *testing.T) {
	call := func(inside string) string {
		return about("111222333", "calls", `"calls":[{"id":"wacid.1","from":"4930901820","to":"4930200200","event":"terminate","timestamp":"1772355600",`+inside+`}]`)
	}
	for name, c := range map[string]struct {
		inside string
		want   []string
	}{
		"a customer's, missed":         {`"direction":"USER_INITIATED","status":"COMPLETED"`, []string{"call.failed", "interaction.ended"}},
		"a customer's, answered":       {`"direction":"USER_INITIATED","status":"COMPLETED","start_time":"1772355500","end_time":"1772355600"`, []string{"call.answered", "interaction.ended"}},
		"a customer's, failed":         {`"direction":"USER_INITIATED","status":"FAILED","errors":[{"code":138000}]`, []string{"call.failed", "interaction.ended"}},
		"the company's, not picked up": {`"direction":"BUSINESS_INITIATED","status":"FAILED"`, []string{"call.failed", "interaction.ended"}},
		"the company's, answered":      {`"direction":"BUSINESS_INITIATED","status":"COMPLETED","start_time":"1772355500"`, []string{"interaction.ended"}},
		"the company's, declined":      {`"direction":"BUSINESS_INITIATED","status":"COMPLETED"`, []string{"interaction.ended"}}, // a status tells
	} {
		var types []string
		for _, e := range take(t, call(c.inside)).Events() {
			types = append(types, e.Submission.GetType())
		}
		equal(t, name, types, c.want...)
	}
	host := take(t, about("111222333", "calls", `"calls":[{"id":"wacid.1","from":"4930901820","event":"Hold","timestamp":"1"}]`))
	equal(t, "an event of tomorrow", said(host)[:1], "desk ext.whatsapp.call_hold wacid.1 wacid.1/hold phone::+4930901820 social:whatsapp/111222333:4930901820")
}

func TestBodiesOfStrangeShapesAreKept(t *testing.T) {
	deep := `{"object":"whatsapp_business_account","entry":[{"id":"100200300","changes":[{"field":"x","value":{"a":` + strings.Repeat("[", 10_001) + strings.Repeat("]", 10_001) + `}}]}]}`
	for name, body := range map[string]string{
		"deep":                 deep,
		"another object":       `{"object":"page","entry":[{"id":"1","changes":[]}]}`,
		"no entry":             `{"object":"whatsapp_business_account","entry":[]}`,
		"no change":            `{"object":"whatsapp_business_account","entry":[{"id":"100200300"}]}`,
		"a number that is one": `{"object":"whatsapp_business_account","entry":[{"id":"100200300","time":1e400,"changes":[]}]}`,
		"an id that is none":   `{"object":"whatsapp_business_account","entry":[{"id":7,"changes":[]}]}`,
		"places off the earth": about("111222333", "messages", `"messages":[{"from":"4930901820","id":"wamid.1","type":"location","location":{"latitude":1e400,"longitude":0}}]`),
	} {
		host := take(t, body)
		if kept := host.Rejections(); len(kept) != 1 || string(kept[0].Raw) != body || len(host.Events()) > 0 {
			t.Errorf("%s: %d events, kept %.200v", name, len(host.Events()), kept)
		}
	}
	host := take(t, about("111222333", "messages", "\"messages\":[{\"from\":\"4930901820\",\"id\":\"wamid.1\",\"type\":\"text\",\"text\":{\"body\":\"caf\xe9 \\ud800\"}}]"))
	if all := host.Events(); len(all) != 1 || all[0].Content.GetMessageReceived().GetText() != "caf\uFFFD \uFFFD" {
		t.Errorf("wrong UTF-8: %v", host.Rejections())
	}
	host = take(t, about("111222333", "messages", `"messages":[{"from":"4930901820","id":"wamid.1","type":"document","document":{"id":"5","filename":"`+strings.Repeat("ü", 2000)+`"}}]`))
	if all := host.Events(); len(all) != 1 || len(all[0].Content.GetAttachments()[0].GetName()) != 1024 {
		t.Errorf("a long name: %v", host.Rejections())
	}
}

func TestTheHandshakeIsAnsweredOnEachPath(t *testing.T) {
	cfg := config(http.NewServeMux())
	mux := http.NewServeMux()
	cfg.Mux, cfg.Accounts[1].VerifyToken = mux, "0ther"
	open(t, channeltest.NewHost(), cfg)
	for _, c := range []struct {
		inbox, token string
		status       int
	}{{"desk", verifyToken, 200}, {"shop", "0ther", 200}, {"shop", verifyToken, 403}, {"desk", "", 403}} {
		recorder := httptest.NewRecorder()
		mux.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet,
			"/channels/whatsapp/lumen/"+c.inbox+"?hub.mode=subscribe&hub.challenge=1158201444&hub.verify_token="+c.token, http.NoBody))
		body, _ := io.ReadAll(recorder.Body)
		if recorder.Code != c.status || c.status == 200 && string(body) != "1158201444" {
			t.Errorf("%s, %q: answered %d %q", c.inbox, c.token, recorder.Code, body)
		}
	}
}

func TestAConfigurationThatCannotWorkIsNamedInFull(t *testing.T) {
	cfg := config(http.NewServeMux())
	cfg.Mux = nil
	cfg.APIURL = "graph.facebook.com"
	cfg.Accounts[0].Tenant = "lu/men"
	cfg.Accounts[0].AppSecret = ""
	cfg.Accounts[1].PhoneNumberID = "+49 30"
	cfg.Accounts[2].VerifyToken = ""
	cfg.Accounts = append(cfg.Accounts, config(nil).Accounts...)
	_, err := whatsapp.New(cfg)
	if err == nil {
		t.Fatal("it is taken")
	}
	for _, want := range []string{
		"a mux is needed", "the API's URL", "letters, digits", "app secret is missing", "phone number id is digits", "verify token is missing", "another inbox has its phone number id",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), appSecret) || strings.Contains(err.Error(), accessToken) {
		t.Errorf("%v tells too much", err)
	}
	twice := config(http.NewServeMux())
	twice.Accounts = append(twice.Accounts, twice.Accounts[0])
	if _, err := whatsapp.New(twice); err == nil || !strings.Contains(err.Error(), "stands twice") {
		t.Errorf("%v", err)
	}
}
