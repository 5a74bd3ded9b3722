package twilio_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what Twilio signs with
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
)

const (
	accountSID = "AC00000000000000000000000000000001"
	authToken  = "12345678901234567890123456789012"
	baseURL    = "https://skein.example"
)

// api is Twilio's API: it answers whatever host is asked for, over TCP.
type api struct {
	*httptest.Server
	answer http.HandlerFunc
	asked  atomic.Int64
}

// newAPI serves recordings and files, unless answer says otherwise.
func newAPI(tb testing.TB, answer http.HandlerFunc) *api {
	tb.Helper()
	a := &api{answer: answer}
	if a.answer == nil {
		a.answer = func(w http.ResponseWriter, r *http.Request) {
			switch last := r.URL.Path[strings.LastIndex(r.URL.Path, "/")+1:]; {
			case !authorised(r):
				w.WriteHeader(http.StatusUnauthorized)
			case len(last) == 34 && strings.HasPrefix(last, "RE"):
				w.Header().Set("Content-Type", "audio/x-wav")
				_, _ = io.WriteString(w, "RIFF: the sound of "+last) //nolint:gosec // no page
			case len(last) == 34 && strings.HasPrefix(last, "ME"):
				w.Header().Set("Content-Type", "image/jpeg")
				_, _ = io.WriteString(w, "the picture "+last) //nolint:gosec // no page
			default:
				w.WriteHeader(http.StatusNotFound)
			}
		}
	}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a.asked.Add(1)
		a.answer(w, r)
	}))
	a.Config.ErrorLog = log.New(io.Discard, "", 0) // clients that go away while they connect
	a.StartTLS()
	tb.Cleanup(a.Close)
	return a
}

func authorised(r *http.Request) bool {
	user, password, _ := r.BasicAuth()
	return user == accountSID && password == authToken
}

// client reaches the server under every name.
func (a *api) client(tb testing.TB) *http.Client {
	tb.Helper()
	transport, ok := a.Client().Transport.(*http.Transport)
	if !ok {
		tb.Fatal("no transport")
	}
	transport = transport.Clone()
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, a.Listener.Addr().String())
	}
	transport.TLSClientConfig.InsecureSkipVerify = true
	tb.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func config(mux webhook.Mux, client *http.Client) twilio.Config {
	return twilio.Config{Mux: mux, Client: client, Accounts: []twilio.Account{
		{
			Tenant: "lumen", Inbox: "hotline", AccountSID: accountSID, AuthToken: authToken, BaseURLs: []string{"https://old.example", baseURL},
			Numbers: []string{"+4930200100"}, TaskRouter: true,
		},
		{
			Tenant: "lumen", Inbox: "shop", AccountSID: accountSID, AuthToken: authToken, BaseURLs: []string{baseURL + "/"},
			Numbers: []string{"+4930200200"},
		},
	}}
}

// open gives the webhooks of a new channel.
func open(tb testing.TB, host channel.Host, client *http.Client) http.Handler {
	tb.Helper()
	mux := http.NewServeMux()
	c, err := twilio.New(config(mux, client))
	if err != nil {
		tb.Fatal(err)
	}
	if err := c.Open(tb.Context(), host); err != nil {
		tb.Fatal(err)
	}
	return mux
}

// sign makes a request one of Twilio's; written from the documentation, and not by what is tested.
func sign(r *http.Request, body []byte) {
	form, _ := url.ParseQuery(string(body))
	var names []string
	for name := range form {
		names = append(names, name)
	}
	slices.Sort(names)
	mac := hmac.New(sha1.New, []byte(authToken))
	_, _ = io.WriteString(mac, r.URL.String())
	for _, name := range names {
		values := slices.Clone(form[name])
		slices.Sort(values)
		for _, value := range slices.Compact(values) {
			_, _ = io.WriteString(mac, name+value)
		}
	}
	r.Header.Set("X-Twilio-Signature", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}

// story reads the webhooks of a file, and of one kind only where that is given.
func story(tb testing.TB, name, inbox, kind string) []channeltest.Delivery {
	tb.Helper()
	raw, err := os.ReadFile(filepath.Join("testdata", name+".story"))
	if err != nil {
		tb.Fatal(err)
	}
	var all []channeltest.Delivery
	for _, section := range strings.Split(string(raw), "\n== ")[1:] {
		head, rest, _ := strings.Cut(section, "\n")
		of, title, ok := strings.Cut(head, ": ")
		if !ok {
			tb.Fatalf("%s: %q has no kind", name, head)
		}
		if kind != "" && of != kind {
			continue
		}
		form := url.Values{"AccountSid": {accountSID}, "ApiVersion": {"2010-04-01"}}
		if of == twilio.KindTaskRouter {
			form.Set("WorkspaceSid", "WS00000000000000000000000000000001")
		}
		for line := range strings.Lines(rest) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), ":"); ok {
				form.Set(key, strings.TrimSpace(value))
			}
		}
		all = append(all, channeltest.Delivery{
			Name: title, URL: baseURL + "/channels/twilio/lumen/" + inbox + "/" + of,
			ContentType: "application/x-www-form-urlencoded", Body: form.Encode(),
		})
	}
	return all
}

var stories = []struct{ name, inbox string }{{"call", "hotline"}, {"queue", "shop"}, {"message", "hotline"}}

func TestEachStoryGivesTheEventsBesideIt(t *testing.T) {
	for _, s := range stories {
		t.Run(s.name, func(t *testing.T) {
			host := channeltest.NewHost()
			h := open(t, host, newAPI(t, nil).client(t))
			for _, d := range story(t, s.name, s.inbox, "") {
				want, body := http.StatusOK, "<Response/>"
				if strings.HasSuffix(d.URL, twilio.KindTaskRouter) {
					want, body = http.StatusNoContent, ""
				}
				if answer := post(h, d, sign); answer.Code != want || answer.Body.String() != body {
					t.Errorf("%s: %d %s", d.Name, answer.Code, answer.Body)
				}
			}
			for _, r := range host.Rejections() {
				t.Errorf("rejected: %s: %s", r.Reason, r.Raw)
			}
			channeltest.Fingerprint(t, host) // no conflicts
			for _, e := range host.Events() {
				for _, a := range e.Content.GetAttachments() {
					if sound, ok := host.Blob(a.GetBlob()); !ok || len(sound) == 0 {
						t.Errorf("%s has no file", e.Submission.GetNativeId())
					}
				}
			}
			channeltest.Golden(t, filepath.Join("testdata", s.name+".events"), channeltest.Transcript(host.Events()))
		})
	}
}

// What a story marks as such gives none, and everything else gives one.
func TestWhatIsOfNoInterestGivesNoEvent(t *testing.T) {
	client := newAPI(t, nil).client(t)
	for _, s := range stories {
		for _, d := range story(t, s.name, s.inbox, "") {
			host := channeltest.NewHost()
			if answer := post(open(t, host, client), d, sign); answer.Code/100 != 2 || len(host.Rejections()) != 0 {
				t.Errorf("%s: %d, %v", d.Name, answer.Code, host.Rejections())
			}
			if silent(d) != (len(host.Events()) == 0) {
				t.Errorf("%s: %d events", d.Name, len(host.Events()))
			}
		}
	}
}

// silent tells of a webhook that gives no event.
func silent(d channeltest.Delivery) bool { return strings.HasSuffix(d.Name, " (no event)") }

// The kit holds for each kind.
func TestWebhooks(t *testing.T) {
	client := newAPI(t, nil).client(t)
	kit := func(t *testing.T, deliveries []channeltest.Delivery) {
		t.Helper()
		channeltest.TestWebhook(t, channeltest.Webhook{
			Open: func(t *testing.T, host channel.Host) http.Handler {
				t.Helper()
				return open(t, host, client)
			},
			Story: slices.DeleteFunc(deliveries, silent), Sign: sign, // the kit wants an event of each
			Unsign: func(r *http.Request) { r.Header.Del("X-Twilio-Signature") },
		})
	}
	for kind, from := range map[string]struct{ name, inbox string }{
		twilio.KindCall: {"queue", "shop"}, twilio.KindQueue: {"queue", "shop"}, twilio.KindConference: {"queue", "shop"},
		twilio.KindRecording: {"queue", "shop"}, twilio.KindTranscription: {"call", "hotline"}, twilio.KindTaskRouter: {"call", "hotline"},
		twilio.KindMessage: {"message", "hotline"}, twilio.KindStatus: {"message", "hotline"},
	} {
		t.Run(kind, func(t *testing.T) { kit(t, story(t, from.name, from.inbox, kind)) })
	}
	t.Run("all of a call", func(t *testing.T) { kit(t, story(t, "call", "hotline", "")) })
}

func post(h http.Handler, d channeltest.Delivery, sign func(*http.Request, []byte)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(http.MethodPost, d.URL, strings.NewReader(d.Body))
	r.Header.Set("Content-Type", d.ContentType)
	if sign != nil {
		sign(r, []byte(d.Body))
	}
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, r)
	return answer
}

// webhookOf is a webhook of the shop, or of the hotline if TaskRouter sends it.
func webhookOf(kind string, parameters ...string) channeltest.Delivery {
	form, inbox := url.Values{"AccountSid": {accountSID}}, "shop"
	if kind == twilio.KindTaskRouter {
		inbox = "hotline"
	}
	for pair := range slices.Chunk(parameters, 2) {
		form.Set(pair[0], pair[1])
	}
	return channeltest.Delivery{
		Name: kind, URL: baseURL + "/channels/twilio/lumen/" + inbox + "/" + kind, ContentType: "application/x-www-form-urlencoded", Body: form.Encode(),
	}
}

func TestAConfigurationThatCannotWorkIsRefusedWithEverythingThatIsWrong(t *testing.T) {
	_, err := twilio.New(twilio.Config{Accounts: []twilio.Account{
		{Tenant: "a/b", Inbox: "x", AccountSID: "AC1", APIURL: "ftp://x", BaseURLs: []string{"skein.example"}},
		{Tenant: "lumen", Inbox: "shop", AccountSID: accountSID, AuthToken: authToken, BaseURLs: []string{baseURL}},
		{Tenant: "lumen", Inbox: "shop", AccountSID: accountSID, AuthToken: authToken, BaseURLs: []string{baseURL}},
		{Tenant: "lumen", Inbox: "desk", AccountSID: accountSID, AuthToken: authToken},
	}})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{"a mux", "in a path", "sid is AC", "auth token", "base URL is http", "API's URL", "twice", "base URL is needed"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not named in %v", want, err)
		}
	}
	if strings.Contains(err.Error(), authToken) {
		t.Error("the error holds the token")
	}
}

func TestOnlyPOSTIsTaken(t *testing.T) {
	h := open(t, channeltest.NewHost(), nil)
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, baseURL+"/channels/twilio/lumen/shop/call", http.NoBody))
	if answer.Code != http.StatusMethodNotAllowed || answer.Header().Get("Allow") != http.MethodPost {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
}

func TestAChannelThatStopsLetsWebhooksUnderWayFinishAndTakesNoMore(t *testing.T) {
	asked, goOn := make(chan struct{}), make(chan struct{})
	server := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-goOn
		_, _ = io.WriteString(w, "sound")
	})
	host, mux := channeltest.NewHost(), http.NewServeMux()
	c, err := twilio.New(config(mux, server.client(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	stopped, answered := make(chan error), make(chan int)
	go func() { stopped <- c.Run(ctx) }()
	recording := story(t, "queue", "shop", twilio.KindRecording)[0]
	go func() { answered <- post(mux, recording, sign).Code }()
	<-asked
	stop()
	call := story(t, "queue", "shop", twilio.KindCall)[1]
	for post(mux, call, sign).Code != http.StatusServiceUnavailable { // until the channel has noticed
		if t.Context().Err() != nil {
			t.Fatal("it takes webhooks still")
		}
	}
	select {
	case err := <-stopped:
		t.Fatal("it did not wait", err)
	default:
	}
	close(goOn)
	if code, err := <-answered, <-stopped; code != http.StatusOK || err != nil {
		t.Error(code, err)
	}
}

func TestWhatIsOfAnotherAccountIsRejected(t *testing.T) {
	host := channeltest.NewHost()
	answer := post(open(t, host, nil), webhookOf(twilio.KindCall, "AccountSid", "AC00000000000000000000000000000002", "CallSid", "CA00000000000000000000000000000001", "CallStatus", "completed"), sign)
	if answer.Code != http.StatusOK || len(host.Rejections()) != 1 || len(host.Events()) != 0 {
		t.Error(answer.Code, host.Rejections(), host.Events())
	}
}

func TestWhatIsNotUnderstoodIsRejected(t *testing.T) {
	const call, conference = "CA00000000000000000000000000000001", "CF00000000000000000000000000000001"
	for name, d := range map[string]channeltest.Delivery{
		"a status of a call that nobody knows":  webhookOf(twilio.KindCall, "CallSid", call, "CallStatus", "teleported"),
		"a call without sid":                    webhookOf(twilio.KindCall, "CallSid", "17", "CallStatus", "completed"),
		"a parent that is no call":              webhookOf(twilio.KindCall, "CallSid", call, "ParentCallSid", "17", "CallStatus", "completed"),
		"a queue's result that nobody knows":    webhookOf(twilio.KindQueue, "CallSid", call, "QueueSid", "QU00000000000000000000000000000001", "QueueResult", "eaten"),
		"a queue's request without queue":       webhookOf(twilio.KindQueue, "CallSid", call),
		"a conference's event nobody knows":     webhookOf(twilio.KindConference, "ConferenceSid", conference, "CallSid", call, "StatusCallbackEvent", "participant-sing"),
		"a conference without sid":              webhookOf(twilio.KindConference, "CallSid", call, "StatusCallbackEvent", "participant-join"),
		"a recording of nothing":                webhookOf(twilio.KindRecording, "RecordingSid", "RE00000000000000000000000000000001", "RecordingStatus", "completed"),
		"a recording's status that none knows":  webhookOf(twilio.KindRecording, "RecordingSid", "RE00000000000000000000000000000001", "CallSid", call, "RecordingStatus", "melted"),
		"a transcription that is no JSON":       webhookOf(twilio.KindTranscription, "TranscriptionSid", "GT00000000000000000000000000000001", "CallSid", call, "TranscriptionEvent", "transcription-content", "Final", "true", "TranscriptionData", "{"),
		"a TaskRouter event that nobody knows":  webhookOf(twilio.KindTaskRouter, "EventType", "worker.promoted", "WorkerSid", "WK00000000000000000000000000000001"),
		"a kind of resource that nobody knows":  webhookOf(twilio.KindTaskRouter, "EventType", "robot.created"),
		"a task with attributes that are none":  webhookOf(twilio.KindTaskRouter, "EventType", "task.created", "TaskSid", "WT00000000000000000000000000000001", "TaskAttributes", "[1"),
		"a reservation without sid":             webhookOf(twilio.KindTaskRouter, "EventType", "reservation.created", "TaskSid", "WT00000000000000000000000000000001"),
		"a capacity that is not stated":         webhookOf(twilio.KindTaskRouter, "EventType", "worker.capacity.update", "WorkerSid", "WK00000000000000000000000000000001"),
		"a TaskRouter that is not configured":   {Name: "taskrouter", URL: baseURL + "/channels/twilio/lumen/shop/taskrouter", Body: webhookOf(twilio.KindTaskRouter, "EventType", "workspace.updated").Body},
		"a message's status that nobody knows":  webhookOf(twilio.KindMessage, "MessageSid", "SM00000000000000000000000000000001", "MessageStatus", "lost"),
		"an incoming message among the status":  webhookOf(twilio.KindStatus, "MessageSid", "SM00000000000000000000000000000001", "From", "+4930901820", "To", "+4930200200"),
		"a message with too many files":         webhookOf(twilio.KindMessage, "MessageSid", "SM00000000000000000000000000000001", "From", "+4930901820", "To", "+4930200200", "NumMedia", "1000000"),
		"a message from nobody":                 webhookOf(twilio.KindMessage, "MessageSid", "SM00000000000000000000000000000001", "To", "+4930200200"),
		"a call with letters that are no UTF-8": webhookOf(twilio.KindCall, "CallSid", call, "CallStatus", "completed", "SequenceNumber", "0", "From", "+49\xff", "To", "+4930200200", "Direction", "inbound", "CallerName", "\xff"),
	} {
		t.Run(name, func(t *testing.T) {
			host := channeltest.NewHost()
			answer := post(open(t, host, nil), d, sign)
			if answer.Code/100 != 2 || len(host.Events()) != 0 || len(host.Rejections()) != 1 {
				t.Fatal(answer.Code, len(host.Events()), host.Rejections())
			}
			if r := host.Rejections()[0]; string(r.Raw) != d.Body || !strings.Contains(d.URL, "/"+r.Inbox+"/") || r.Provider != twilio.Provider {
				t.Error(r)
			}
		})
	}
}

// A recording whose sound is not there yet is kept, and taken in once an operator has it redriven.
func TestWhatWasRejectedCanBeRedriven(t *testing.T) {
	var there atomic.Bool
	server := newAPI(t, nil)
	serve := server.answer
	server.answer = func(w http.ResponseWriter, r *http.Request) {
		if !there.Load() {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		serve(w, r)
	}
	host, mux := channeltest.NewHost(), http.NewServeMux()
	c, err := twilio.New(config(mux, server.client(t)))
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	recording := story(t, "queue", "shop", twilio.KindRecording)[0]
	if answer := post(mux, recording, sign); answer.Code != http.StatusOK || len(host.Rejections()) != 1 {
		t.Fatal(answer.Code, host.Rejections())
	}
	there.Store(true)
	if err := c.Redrive(t.Context(), host, host.Rejections()[0]); err != nil || len(host.Events()) != 1 {
		t.Fatal(err, host.Events())
	}
	if err := c.Redrive(t.Context(), host, channel.Rejection{Tenant: "lumen", Inbox: "gone"}); err == nil {
		t.Error("redriven for an inbox that is not there")
	}
	host.Fail(fmt.Errorf("no broker: %w", channel.ErrRetry))
	if err := c.Redrive(t.Context(), host, host.Rejections()[0]); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
}

// Redriven, every webhook of the stories gives what it gives when it comes, but for the message that somebody else has sent.
func TestAWebhookIsRecognisedWhenItIsRedriven(t *testing.T) {
	server := newAPI(t, nil)
	for _, s := range stories {
		came, redriven := channeltest.NewHost(), channeltest.NewHost()
		mux := http.NewServeMux()
		c, err := twilio.New(config(mux, server.client(t)))
		if err != nil {
			t.Fatal(err)
		}
		if err := c.Open(t.Context(), came); err != nil {
			t.Fatal(err)
		}
		for _, d := range story(t, s.name, s.inbox, "") {
			post(mux, d, sign)
			if err := c.Redrive(t.Context(), redriven, channel.Rejection{Tenant: "lumen", Inbox: s.inbox, Raw: []byte(d.Body)}); err != nil {
				t.Errorf("%s: %v", d.Name, err)
			}
		}
		want := slices.DeleteFunc(channeltest.Fingerprint(t, came), func(e string) bool { return strings.HasPrefix(e, "message.sent ") })
		if got := channeltest.Fingerprint(t, redriven); !slices.Equal(want, got) {
			t.Errorf("%s: got %d events, want %d", s.name, len(got), len(want))
		}
	}
}
