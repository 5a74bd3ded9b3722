package mapped

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // what some products sign with
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/skein-cx/skein/pkg/channel/webhook"
)

// defaultTolerance is how old a signature may be.
const defaultTolerance = 5 * time.Minute

// verifier tells whether the product made a request; the error says what is wrong with it.
type verifier func(r *http.Request, body []byte, now time.Time) error

// verifier compiles the way to verify.
func (c *compiler) verifier(v Verify) verifier {
	var found []verifier
	add := func(set any, compile func() verifier) {
		if !reflect.ValueOf(set).IsZero() {
			found = append(found, compile())
		}
	}
	add(v.HMAC, func() verifier { return c.hmac(v.HMAC) })
	add(v.StandardWebhooks, func() verifier { return c.standardWebhooks(v.StandardWebhooks) })
	add(v.Header, func() verifier {
		c.secrets("verify.header.secrets", v.Header.Secrets)
		c.named("verify.header.name", v.Header.Name)
		c.secret[varHeaders+" "+strings.ToLower(v.Header.Name)] = true
		return func(r *http.Request, _ []byte, _ time.Time) error {
			return known(r.Header.Get(v.Header.Name), v.Header.Secrets, "the header "+v.Header.Name)
		}
	})
	add(v.Query, func() verifier {
		c.secrets("verify.query.secrets", v.Query.Secrets)
		c.named("verify.query.name", v.Query.Name)
		c.secret[varQuery+" "+v.Query.Name] = true
		return func(r *http.Request, _ []byte, _ time.Time) error {
			return known(r.URL.Query().Get(v.Query.Name), v.Query.Secrets, "the parameter "+v.Query.Name)
		}
	})
	add(v.Bearer, func() verifier {
		c.secrets("verify.bearer.secrets", v.Bearer.Secrets)
		return func(r *http.Request, _ []byte, _ time.Time) error {
			scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
			if !strings.EqualFold(scheme, "Bearer") {
				token = ""
			}
			return known(strings.TrimSpace(token), v.Bearer.Secrets, "the bearer token")
		}
	})
	add(v.Basic, func() verifier {
		c.secrets("verify.basic.passwords", v.Basic.Passwords)
		c.named("verify.basic.username", v.Basic.Username)
		return func(r *http.Request, _ []byte, _ time.Time) error {
			user, password, _ := r.BasicAuth()
			err := known(password, v.Basic.Passwords, "the password")
			return errors.Join(known(user, []string{v.Basic.Username}, "the user"), err)
		}
	})
	if len(found) != 1 {
		c.fail("verify", "exactly one way is needed: hmac, standard_webhooks, header, query, bearer or basic")
		return nil
	}
	return found[0]
}

func known(given string, secrets []string, what string) error {
	if !webhook.KnownSecret(given, secrets...) {
		return errors.New(what + " is missing or wrong")
	}
	return nil
}

func (c *compiler) secrets(field string, secrets []string) {
	if len(secrets) == 0 {
		c.fail(field, "one at least is needed")
	}
	for i, s := range secrets {
		if s == "" {
			c.fail(fmt.Sprintf("%s[%d]", field, i), "is empty")
		}
	}
}

func (c *compiler) named(field, name string) {
	if name == "" {
		c.fail(field, "is missing")
	}
}

func (c *compiler) standardWebhooks(v StandardWebhooks) verifier {
	c.secrets("verify.standard_webhooks.secrets", v.Secrets)
	var hooks []*standardwebhooks.Webhook
	for i, s := range v.Secrets {
		w, err := standardwebhooks.NewWebhook(s)
		if err != nil {
			c.fail(fmt.Sprintf("verify.standard_webhooks.secrets[%d]", i), "must be whsec_ and base64")
			continue
		}
		hooks = append(hooks, w)
	}
	tolerance := c.tolerance("verify.standard_webhooks.tolerance", v.Tolerance)
	return func(r *http.Request, body []byte, now time.Time) error {
		if err := fresh(r.Header.Get(standardwebhooks.HeaderWebhookTimestamp), now, tolerance); err != nil {
			return err
		}
		for _, w := range hooks {
			if w.VerifyIgnoringTimestamp(body, r.Header) == nil {
				return nil
			}
		}
		return errors.New("the signature in Webhook-Signature is missing or wrong")
	}
}

func (c *compiler) tolerance(field string, d time.Duration) time.Duration {
	if d < 0 {
		c.fail(field, "must not be negative")
	}
	if d == 0 {
		return defaultTolerance
	}
	return d
}

// fresh tells whether a time is near now: in seconds or milliseconds since 1970, or as RFC 3339.
func fresh(text string, now time.Time, tolerance time.Duration) error {
	const milliseconds = 100_000_000_000 // as seconds, this is the year 5138
	at, err := time.Parse(time.RFC3339Nano, text)
	if n, notNumber := strconv.ParseInt(text, 10, 64); notNumber == nil {
		if at, err = time.Unix(n, 0), nil; n > milliseconds {
			at = time.UnixMilli(n)
		}
	}
	if err != nil {
		return errors.New("the time of the signature is missing or none")
	}
	if age := now.Sub(at); age > tolerance || age < -tolerance {
		return errors.New("the time of the signature is too far from now: an old delivery, or clocks that differ")
	}
	return nil
}

// placeholder is what stands for something in what is signed.
var placeholder = regexp.MustCompile(`\{[^{}]*\}`)

func (c *compiler) hmac(v HMAC) verifier {
	const field = "verify.hmac."
	c.named(field+"header", v.Header)
	c.secrets(field+"secrets", v.Secrets)
	c.secret[varHeaders+" "+strings.ToLower(v.Header)] = true
	algorithm := algorithms()[v.Algorithm]
	if algorithm == nil {
		c.fail(field+"algorithm", "must be sha256, sha1 or sha512")
	}
	decode := map[string]func(string) ([]byte, error){"": hex.DecodeString, "hex": hex.DecodeString, "base64": base64.StdEncoding.DecodeString}[v.Encoding]
	if decode == nil {
		c.fail(field+"encoding", "must be hex or base64")
	}
	if v.Signed == "" {
		v.Signed = "{body}"
	}
	timed := v.TimestampHeader != "" || v.TimestampPart != ""
	for _, p := range placeholder.FindAllString(v.Signed, -1) {
		switch {
		case p == "{timestamp}" && !timed:
			c.fail(field+"signed", "{timestamp} needs timestamp_header or timestamp_part")
		case p == "{url}" && v.URL == "":
			c.fail(field+"url", "is missing, because {url} is signed")
		case p != "{body}" && p != "{timestamp}" && p != "{url}" && p != "{method}":
			c.fail(field+"signed", p+" is none of {body}, {timestamp}, {url}, {method}")
		}
	}
	if !strings.Contains(v.Signed, "{body}") {
		c.fail(field+"signed", "{body} must be signed")
	}
	if timed && !strings.Contains(v.Signed, "{timestamp}") {
		c.fail(field+"signed", "{timestamp} is not signed, so that anybody could change it")
	}
	if v.TimestampHeader != "" && v.TimestampPart != "" {
		c.fail(field+"timestamp_part", "the time stands in one place: timestamp_header says another one")
	}
	if v.TimestampPart != "" && v.Part == "" {
		c.fail(field+"part", "is missing: a header that holds the time holds the signature under a name")
	}
	tolerance := c.tolerance(field+"tolerance", v.Tolerance)
	return func(r *http.Request, body []byte, now time.Time) error {
		signatures, timestamp := []string{r.Header.Get(v.Header)}, r.Header.Get(v.TimestampHeader)
		if v.Part != "" {
			var times []string
			signatures, times = partsOf(signatures[0], v.Part), partsOf(signatures[0], v.TimestampPart)
			if len(times) > 0 {
				timestamp = times[0]
			}
		}
		if timed {
			if err := fresh(timestamp, now, tolerance); err != nil {
				return err
			}
		}
		signed := placeholder.ReplaceAllStringFunc(v.Signed, func(p string) string {
			switch p {
			case "{timestamp}":
				return timestamp
			case "{url}":
				return strings.TrimSuffix(v.URL, "/") + r.URL.RequestURI()
			case "{method}":
				return r.Method
			}
			return string(body)
		})
		for _, s := range signatures {
			encoded, ok := strings.CutPrefix(s, v.Prefix)
			if !ok {
				continue
			}
			given, err := decode(encoded)
			if err != nil {
				continue
			}
			for _, secret := range v.Secrets {
				mac := hmac.New(algorithm, []byte(secret))
				mac.Write([]byte(signed))
				if hmac.Equal(mac.Sum(nil), given) {
					return nil
				}
			}
		}
		return errors.New("the signature in " + v.Header + " is missing or wrong")
	}
}

func algorithms() map[string]func() hash.Hash {
	return map[string]func() hash.Hash{"": sha256.New, "sha256": sha256.New, "sha1": sha1.New, "sha512": sha512.New}
}

// partsOf are the values of a name in a list such as t=1,v1=a,v1=b.
func partsOf(list, name string) []string {
	var values []string
	for part := range strings.SplitSeq(list, ",") {
		if n, value, ok := strings.Cut(strings.TrimSpace(part), "="); ok && n == name && name != "" {
			values = append(values, value)
		}
	}
	return values
}
