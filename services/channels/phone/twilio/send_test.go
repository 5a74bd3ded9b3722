package twilio_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
)

// sender sends over an API at a URL.
func sender(t *testing.T, apiURL string, client *http.Client) *twilio.Channel {
	t.Helper()
	cfg := config(http.NewServeMux(), client)
	for i := range cfg.Accounts {
		cfg.Accounts[i].APIURL = apiURL
	}
	c, err := twilio.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAMessageIsSent(t *testing.T) {
	var form url.Values
	var path string
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		if !authorised(r) {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = r.ParseForm()
		form, path = r.PostForm, r.URL.Path
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"SM00000000000000000000000000000001","status":"queued","error_code":null}`)
	})
	c := sender(t, "https://api.twilio.com/", server.client(t))
	shop := twilio.Key{Tenant: "lumen", Inbox: "shop"}
	sid, err := c.SendMessage(t.Context(), shop, "+4930901820", "+4930200200", "Your lamp & shade", []string{"https://lumen.example/1.jpg", "https://lumen.example/2.jpg"}, "")
	if err != nil || sid != "SM00000000000000000000000000000001" || path != "/2010-04-01/Accounts/"+accountSID+"/Messages.json" {
		t.Fatal(sid, err, path)
	}
	want := url.Values{
		"To": {"+4930901820"}, "From": {"+4930200200"}, "Body": {"Your lamp & shade"},
		"MediaUrl": {"https://lumen.example/1.jpg", "https://lumen.example/2.jpg"}, "StatusCallback": {baseURL + "/channels/twilio/lumen/shop/status"},
	}
	if form.Encode() != want.Encode() {
		t.Errorf("%v", form)
	}
	if _, err := c.SendMessage(t.Context(), shop, "+4930901820", "MG00000000000000000000000000000001", "", nil, "https://lumen.example/x"); err != nil {
		t.Fatal(err)
	}
	if form.Get("MessagingServiceSid") == "" || form.Has("From") || form.Has("Body") || form.Get("StatusCallback") != "https://lumen.example/x" {
		t.Errorf("%v", form)
	}
	if _, err := c.SendMessage(t.Context(), twilio.Key{Tenant: "lumen", Inbox: "gone"}, "+4930901820", "+4930200200", "x", nil, ""); err == nil {
		t.Error("sent from nowhere")
	}
}

func TestAnErrorTellsWhetherToSendAgain(t *testing.T) {
	for name, c := range map[string]struct {
		status int
		body   string
		retry  bool
		code   int // refused for good
	}{
		"a number that does not exist":            {http.StatusBadRequest, `{"code":21211,"message":"The 'To' number +1 is not valid","status":400}`, false, 21211},
		"a recipient that has opted out":          {http.StatusBadRequest, `{"code":21610,"message":"unsubscribed","status":400}`, false, 21610},
		"a wrong token":                           {http.StatusUnauthorized, `{"code":20003,"message":"Authenticate","status":401}`, false, 20003},
		"too many messages":                       {http.StatusTooManyRequests, `{"code":20429,"message":"Too Many Requests","status":429}`, true, 0},
		"an API that is down":                     {http.StatusServiceUnavailable, `<html>`, true, 0},
		"an API that says that it failed":         {http.StatusInternalServerError, `{"code":20500,"message":"Internal Server Error","status":500}`, true, 0},
		"a proxy that does not know what became":  {http.StatusGatewayTimeout, `<html>`, false, 0},
		"an answer that cannot be read":           {http.StatusCreated, `{"sid":`, false, 0},
		"an answer without id":                    {http.StatusCreated, `{}`, false, 0},
		"an answer that leads elsewhere":          {http.StatusTemporaryRedirect, ``, false, 0},
		"a refusal that is not Twilio's language": {http.StatusForbidden, `no`, false, -1},
	} {
		t.Run(name, func(t *testing.T) {
			server := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "/elsewhere")
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			})
			_, err := sender(t, "https://api.twilio.com", server.client(t)).
				SendMessage(t.Context(), twilio.Key{Tenant: "lumen", Inbox: "shop"}, "+4930901820", "+4930200200", "Hello", nil, "")
			refused, isRefused := errors.AsType[*channel.RefusedError](err)
			switch {
			case errors.Is(err, channel.ErrRetry) != c.retry, isRefused != (c.code != 0), errors.Is(err, channel.ErrUnknown) != (!c.retry && c.code == 0):
				t.Errorf("%v", err)
			case c.code > 0 && refused.Code != strconv.Itoa(c.code):
				t.Errorf("%+v", refused)
			case strings.Contains(err.Error(), authToken):
				t.Errorf("%v tells too much", err)
			}
			if server.asked.Load() != 1 {
				t.Errorf("sent %d times", server.asked.Load())
			}
		})
	}
}

func TestWithoutAConnectionNothingWasSent(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := "http://" + socket.Addr().String()
	_ = socket.Close()
	key := twilio.Key{Tenant: "lumen", Inbox: "shop"}
	if _, err := sender(t, address, nil).SendMessage(t.Context(), key, "+4930901820", "+4930200200", "Hello", nil, ""); !errors.Is(err, channel.ErrRetry) || errors.Is(err, channel.ErrUnknown) {
		t.Error(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := sender(t, address, nil).SendMessage(ended, key, "+4930901820", "+4930200200", "Hello", nil, ""); !errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
}

// A connection that breaks after the request went out leaves it open whether the message was taken.
func TestAConnectionThatBreaksLeavesItUnknown(t *testing.T) {
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer socket.Close()
	requests := make(chan string, 8)
	go func() {
		for {
			c, err := socket.Accept()
			if err != nil {
				return
			}
			if r, err := http.ReadRequest(bufio.NewReader(c)); err == nil {
				_, _ = io.Copy(io.Discard, r.Body)
				requests <- r.Method
			}
			_ = c.Close()
		}
	}()
	_, err = sender(t, "http://"+socket.Addr().String(), nil).
		SendMessage(t.Context(), twilio.Key{Tenant: "lumen", Inbox: "shop"}, "+4930901820", "+4930200200", "Hello", nil, "")
	if !errors.Is(err, channel.ErrUnknown) || errors.Is(err, channel.ErrRetry) {
		t.Error(err)
	}
	if <-requests; len(requests) > 0 {
		t.Error("sent twice")
	}
}

func TestAnAnswerGoesToTheNumberOfItsThread(t *testing.T) {
	var asked url.Values
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		asked = r.PostForm
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"SM00000000000000000000000000000009"}`)
	})
	s := sender(t, "https://api.twilio.com", server.client(t)).NewSender(twilio.Key{Tenant: "lumen", Inbox: "shop"})
	out := channel.Outgoing{Tenant: "lumen", Inbox: "shop", Thread: "+4930901820/+4930200200", Message: &eventv1.Message{Text: "At your door."}}
	sent, err := s.Send(t.Context(), out)
	if err != nil || sent.NativeID != "SM00000000000000000000000000000009" {
		t.Fatalf("%+v, %v", sent, err)
	}
	if asked.Get("To") != "+4930901820" || asked.Get("From") != "+4930200200" || asked.Get("Body") != "At your door." {
		t.Errorf("asked for %v", asked)
	}
	for code, change := range map[string]func(*channel.Outgoing){
		"no_message_thread": func(o *channel.Outgoing) { o.Thread = "CA00000000000000000000000000000001" },
		"no_text":           func(o *channel.Outgoing) { o.Message = &eventv1.Message{} },
		"no_files":          func(o *channel.Outgoing) { o.Attachments = []channel.OutgoingFile{{}} },
	} {
		refused := out
		change(&refused)
		_, err := s.Send(t.Context(), refused)
		if e, ok := errors.AsType[*channel.RefusedError](err); !ok || e.Code != code {
			t.Errorf("%s: %v", code, err)
		}
	}
}

// A short message may go out at any time; on WhatsApp only while the customer's last message is fresh.
func TestOnWhatsAppAnAnswerGoesOutWithinADay(t *testing.T) {
	server := newAPI(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"SM00000000000000000000000000000009"}`)
	})
	s := sender(t, "https://api.twilio.com", server.client(t)).NewSender(twilio.Key{Tenant: "lumen", Inbox: "shop"})
	for _, c := range []struct {
		thread string
		wrote  time.Time
		sent   bool
	}{
		{"whatsapp:+4930901820/whatsapp:+4930200200", time.Now().Add(-23 * time.Hour), true},
		{"whatsapp:+4930901820/whatsapp:+4930200200", time.Now().Add(-25 * time.Hour), false},
		{"whatsapp:+4930901820/whatsapp:+4930200200", time.Time{}, false},
		{"+4930901820/+4930200200", time.Time{}, true},
	} {
		before := server.asked.Load()
		_, err := s.Send(t.Context(), channel.Outgoing{Tenant: "lumen", Inbox: "shop", Thread: c.thread, Message: &eventv1.Message{Text: "At your door."}, LastReceived: c.wrote})
		refused, isRefused := errors.AsType[*channel.RefusedError](err)
		switch {
		case c.sent && (err != nil || server.asked.Load() == before):
			t.Errorf("%s, %v: %v", c.thread, c.wrote, err)
		case !c.sent && (!isRefused || refused.Code != channel.CodeWindowClosed || server.asked.Load() != before):
			t.Errorf("%s, %v: %v", c.thread, c.wrote, err)
		}
	}
}

// A template needs no window: it is what WhatsApp has approved.
func TestATemplateGoesOutAtAnyTime(t *testing.T) {
	forms := make(chan url.Values, 1)
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		_ = r.ParseForm()
		forms <- r.PostForm
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"sid":"SM00000000000000000000000000000009"}`)
	})
	s := sender(t, "https://api.twilio.com", server.client(t)).NewSender(twilio.Key{Tenant: "lumen", Inbox: "shop"})
	out := channel.Outgoing{Tenant: "lumen", Inbox: "shop", Thread: "whatsapp:+4930901820/whatsapp:+4930200200", Message: &eventv1.Message{
		Template: "HX0123456789abcdef0123456789abcdef", TemplateParameters: map[string]string{"2": "Monday", "1": "4711"},
	}}
	sent, err := s.Send(t.Context(), out)
	if err != nil || sent.NativeID != "SM00000000000000000000000000000009" {
		t.Fatal(sent, err)
	}
	got := <-forms
	if got.Get("ContentSid") != out.Message.GetTemplate() || got.Get("ContentVariables") != `{"1":"4711","2":"Monday"}` || got.Has("Body") || got.Get("To") != "whatsapp:+4930901820" || got.Get("StatusCallback") == "" {
		t.Errorf("asked for %v", got)
	}
	for name, m := range map[string]*eventv1.Message{
		"no_template": {Template: "order_shipped"}, "template_and_text": {Template: out.Message.GetTemplate(), Text: "Hello"},
	} {
		out.Message = m
		_, err := s.Send(t.Context(), out)
		if refused, ok := errors.AsType[*channel.RefusedError](err); !ok || refused.Code != name {
			t.Errorf("%s: %v", name, err)
		}
	}
}
