package twilio_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
)

const soundURL = "https://api.twilio.com/2010-04-01/Accounts/" + accountSID + "/Recordings/RE00000000000000000000000000000001"

// recording tells of a sound that is at a URL.
func recording(address string) channeltest.Delivery {
	return webhookOf(twilio.KindRecording, "RecordingSid", "RE00000000000000000000000000000001", "RecordingStatus", "completed",
		"CallSid", "CA00000000000000000000000000000001", "RecordingUrl", address)
}

// The token opens the account's own part of the API, so it goes nowhere else, whatever a webhook says.
func TestASoundIsFetchedFromTheAccountsOwnPartOfTheAPIOnly(t *testing.T) {
	server := newAPI(t, nil)
	for _, address := range []string{
		"", "sound.wav", "http://api.twilio.com/2010-04-01/Accounts/" + accountSID + "/Recordings/RE00000000000000000000000000000001",
		"https://evil.example/2010-04-01/Accounts/" + accountSID + "/Recordings/RE00000000000000000000000000000001",
		"https://api.twilio.com.evil.example/2010-04-01/Accounts/" + accountSID + "/x", "https://api.twilio.com@evil.example/2010-04-01/Accounts/" + accountSID + "/x",
		"https://user@api.twilio.com/2010-04-01/Accounts/" + accountSID + "/x", "https://api.twilio.com:8443/2010-04-01/Accounts/" + accountSID + "/x",
		"https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000002/Recordings/RE00000000000000000000000000000001",
		"https://api.twilio.com/2010-04-01/Accounts/" + accountSID + "/../AC00000000000000000000000000000002/x", "https://169.254.169.254/latest", "file:///etc/passwd", "%zz",
	} {
		host := channeltest.NewHost()
		answer := post(open(t, host, server.client(t)), recording(address), sign)
		if answer.Code != http.StatusOK || len(host.Rejections()) != 1 || len(host.Events()) != 0 {
			t.Errorf("%s: %d, %d events", address, answer.Code, len(host.Events()))
		}
	}
	if n := server.asked.Load(); n != 0 {
		t.Errorf("the API was asked %d times", n)
	}
}

// What the API answers decides whether Twilio comes again, or whether the webhook is kept.
func TestWhatTheAPIAnswersDecidesWhatBecomesOfARecording(t *testing.T) {
	for name, c := range map[string]struct {
		answer        http.HandlerFunc
		status, kept  int
		events        int
		reason, token string
	}{
		"there":       {func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "sound") }, http.StatusOK, 0, 1, "", ""},
		"not there":   {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) }, http.StatusOK, 1, 0, "404", ""},
		"not allowed": {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusUnauthorized) }, http.StatusOK, 1, 0, "401", ""},
		"too much":    {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusTooManyRequests) }, http.StatusServiceUnavailable, 0, 0, "", ""},
		"down":        {func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }, http.StatusServiceUnavailable, 0, 0, "", ""},
		"too large as stated": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", strconv.Itoa(maxMedia+1))
			_, _ = io.WriteString(w, strings.Repeat("x", maxMedia+1))
		}, http.StatusOK, 1, 0, "larger", ""},
		"too large as it comes": {func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = io.WriteString(w, strings.Repeat("x", maxMedia/2))
				_ = http.NewResponseController(w).Flush()
			}
		}, http.StatusOK, 1, 0, "larger", ""},
		"as large as may be": {func(w http.ResponseWriter, _ *http.Request) {
			_, _ = io.WriteString(w, strings.Repeat("x", maxMedia))
		}, http.StatusOK, 0, 1, "", ""},
		"broken off": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "sou")
		}, http.StatusServiceUnavailable, 0, 0, "", ""},
		"elsewhere for ever": {func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, soundURL+"/again", http.StatusFound) }, http.StatusServiceUnavailable, 0, 0, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			host, mux := channeltest.NewHost(), http.NewServeMux()
			cfg := config(mux, newAPI(t, c.answer).client(t))
			cfg.MaxMediaBytes = maxMedia
			channel, err := twilio.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			if err := channel.Open(t.Context(), host); err != nil {
				t.Fatal(err)
			}
			answer := post(mux, recording(soundURL), sign)
			if answer.Code != c.status || len(host.Rejections()) != c.kept || len(host.Events()) != c.events {
				t.Fatalf("%d, kept %v, %d events", answer.Code, host.Rejections(), len(host.Events()))
			}
			if c.kept > 0 && (!strings.Contains(host.Rejections()[0].Reason, c.reason) || strings.Contains(host.Rejections()[0].Reason, authToken)) {
				t.Error(host.Rejections()[0].Reason)
			}
		})
	}
}

const maxMedia = 1000

// Twilio keeps files of messages elsewhere and leads there; the token stays behind.
func TestTheTokenDoesNotFollowARedirect(t *testing.T) {
	var followed bool
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.Host == "api.twilio.com" && authorised(r):
			http.Redirect(w, r, "https://media.example/file?signature=x", http.StatusTemporaryRedirect)
		case r.Host == "media.example":
			followed = true
			if r.Header.Get("Authorization") != "" {
				t.Error("the token came along")
			}
			w.Header().Set("Content-Type", "image/png")
			_, _ = io.WriteString(w, "picture")
		}
	})
	host := channeltest.NewHost()
	answer := post(open(t, host, server.client(t)), story(t, "message", "hotline", twilio.KindMessage)[1], sign)
	if answer.Code != http.StatusOK || len(host.Events()) != 1 || !followed {
		t.Fatal(answer.Code, host.Rejections())
	}
	if a := host.Events()[0].Content.GetAttachments(); len(a) != 1 || a[0].GetBlob().GetMediaType() != "image/jpeg" || a[0].GetBlob().GetSize() != 7 {
		t.Error(a)
	}
}

func TestARedirectDoesNotLeaveHTTPS(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("asked in clear") }))
	defer plain.Close()
	server := newAPI(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, plain.URL, http.StatusFound) })
	host := channeltest.NewHost()
	if answer := post(open(t, host, server.client(t)), recording(soundURL), sign); answer.Code != http.StatusServiceUnavailable || len(host.Events()) != 0 {
		t.Error(answer.Code, host.Events())
	}
}

// A recording that takes longer than Twilio waits is kept, since it would take as long the next time; redriven, it has its time.
func TestASoundThatTakesTooLongIsKeptAndRedriven(t *testing.T) {
	host, mux := channeltest.NewHost(), http.NewServeMux()
	c, err := twilio.New(config(mux, newAPI(t, nil).client(t)))
	if err != nil {
		t.Fatal(err)
	}
	twilio.LimitFetching(t, c, 1) // a nanosecond, which is over
	if err := c.Open(t.Context(), host); err != nil {
		t.Fatal(err)
	}
	if answer := post(mux, recording(soundURL), sign); answer.Code != http.StatusOK || len(host.Rejections()) != 1 || !strings.Contains(host.Rejections()[0].Reason, "too long") {
		t.Fatal(answer.Code, host.Rejections())
	}
	if err := c.Redrive(t.Context(), host, host.Rejections()[0]); err != nil || len(host.Events()) != 1 {
		t.Error(err, host.Rejections())
	}
}
