package twilio_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/services/channels/phone/twilio"
)

// vector is a signature that Twilio's own libraries test with.
type vector struct {
	Provider, Scheme, Signature, Body, BodySHA256 string
	AuthToken                                     string `json:"auth_token"`
	URL                                           string
	Params                                        json.RawMessage
}

// vectors are Twilio's. Without the data the test is skipped, unless the environment says that it must be there.
func vectors(t *testing.T) []vector {
	t.Helper()
	root, err := filepath.Abs(".")
	if err != nil {
		t.Fatal(err)
	}
	for root != filepath.Dir(root) {
		if _, err := os.Stat(filepath.Join(root, "go.work")); err == nil {
			break
		}
		root = filepath.Dir(root)
	}
	raw, err := os.ReadFile(filepath.Join(root, "..", "shared", "data", "signature-vectors", "vectors.json"))
	required := slices.ContainsFunc(strings.Split(os.Getenv("SKEIN_REQUIRE"), ","), func(what string) bool { return what == "all" || what == "data" })
	if errors.Is(err, os.ErrNotExist) && !required {
		t.Skip("skipped: the vectors of ../shared/data/signature-vectors are not here (SKEIN_REQUIRE=data makes this a failure)")
	}
	if err != nil {
		t.Fatal(err)
	}
	var all []vector
	if err := json.Unmarshal(raw, &all); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all, func(v vector) bool { return v.Provider != "twilio" })
}

// form gives the parameters of a vector, which are an object, or pairs where one is repeated.
func (v vector) form(t *testing.T) url.Values {
	t.Helper()
	form := url.Values{}
	var object map[string]string
	if json.Unmarshal(v.Params, &object) == nil {
		for name, value := range object {
			form.Set(name, value)
		}
		return form
	}
	var pairs [][2]string
	if err := json.Unmarshal(v.Params, &pairs); err != nil {
		t.Fatal(err)
	}
	for _, p := range pairs {
		form.Add(p[0], p[1])
	}
	return form
}

func TestTheVectorsOfTwiliosOwnLibrariesAreAuthentic(t *testing.T) {
	seen := 0
	for _, v := range vectors(t) {
		if v.Signature == "" {
			continue // that of a body alone: below
		}
		seen++
		authentic := func(base, signature, body string) error {
			u, err := url.Parse(v.URL)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodPost, u.RequestURI(), strings.NewReader(body))
			r.Header.Set("X-Twilio-Signature", signature)
			return twilio.Authentic(t, v.AuthToken, base, r, []byte(body))
		}
		body := v.form(t).Encode()
		for _, base := range []string{"https://mycompany.com", "https://mycompany.com/", "https://mycompany.com:443", "https://mycompany.com:8443"} {
			if err := authentic(base, v.Signature, body); err != nil {
				t.Errorf("%s at %s: %v", v.Scheme, base, err)
			}
		}
		for name, err := range map[string]error{
			"another host":           authentic("https://theircompany.com", v.Signature, body),
			"http instead of https":  authentic("http://mycompany.com", v.Signature, body),
			"one more parameter":     authentic("https://mycompany.com", v.Signature, body+"&Digits=0"),
			"no parameter":           authentic("https://mycompany.com", v.Signature, ""),
			"a shorter signature":    authentic("https://mycompany.com", v.Signature[1:], body),
			"no signature":           authentic("https://mycompany.com", "", body),
			"a signature in letters": authentic("https://mycompany.com", "?", body),
		} {
			if err == nil {
				t.Errorf("%s: authentic with %s", v.Scheme, name)
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d vectors", seen)
	}
}

// A body that is no form has its hash in the query, which is signed.
func TestABodyIsAuthenticByItsHash(t *testing.T) {
	seen := 0
	for _, v := range vectors(t) {
		if v.BodySHA256 == "" {
			continue
		}
		seen++
		for name, c := range map[string]struct {
			hash, body string
			status     int
			kept       int
		}{
			"as it came":             {v.BodySHA256, v.Body, http.StatusOK, 1}, // authentic, and not understood
			"changed":                {v.BodySHA256, v.Body + " ", http.StatusUnauthorized, 0},
			"with the hash of other": {strings.Repeat("0", 64), v.Body, http.StatusUnauthorized, 0},
			"without hash":           {"", v.Body, http.StatusUnauthorized, 0},
		} {
			host := channeltest.NewHost()
			d := channeltest.Delivery{URL: baseURL + "/channels/twilio/lumen/shop/call?bodySHA256=" + c.hash, ContentType: "application/json", Body: c.body}
			answer := post(open(t, host, nil), d, func(r *http.Request, _ []byte) { sign(r, nil) })
			if answer.Code != c.status || len(host.Rejections()) != c.kept {
				t.Errorf("%s: %d, %d kept", name, answer.Code, len(host.Rejections()))
			}
		}
	}
	if seen != 1 {
		t.Errorf("%d vectors", seen)
	}
}

// An account may be reached under several URLs, and Twilio may or may not sign the port of https.
func TestASignatureFitsOneOfTheBaseURLs(t *testing.T) {
	call := story(t, "queue", "shop", twilio.KindCall)[1]
	for base, want := range map[string]int{
		"https://old.example": http.StatusOK, baseURL: http.StatusOK, baseURL + ":443": http.StatusOK,
		"https://new.example": http.StatusUnauthorized, "http://skein.example": http.StatusUnauthorized,
	} {
		host := channeltest.NewHost()
		call.URL = baseURL + "/channels/twilio/lumen/hotline/call?x=a%2Fb+c"
		answer := post(open(t, host, nil), call, func(r *http.Request, body []byte) {
			was := r.URL
			r.URL, _ = url.Parse(strings.Replace(call.URL, baseURL, base, 1))
			sign(r, body)
			r.URL = was
		})
		if answer.Code != want {
			t.Errorf("%s: %d, want %d", base, answer.Code, want)
		}
	}
}
