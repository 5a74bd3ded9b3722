package webhooks

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"regexp"
	"slices"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/publicnet"
)

// Endpoint is where a tenant wants its events.
type Endpoint struct {
	// ID names the endpoint: 1 to 63 of a-z, 0-9 and "-". What is known of it is kept under this name.
	ID string
	// Tenant whose events it gets.
	Tenant string
	// URL takes the events by POST. It begins with https.
	URL string
	// Secret signs: "whsec_" and the base64 of 24 to 64 random bytes, as Standard Webhooks has it.
	Secret string
	// Types are the events that it gets: names ("message.received"), groups ("message.*", "ext.acme.*"), or "*" for all.
	Types []string
	// IncludeContent puts the content into the data, as JSON. Sealed content is never sent.
	IncludeContent bool
	// Backfill delivers imported history, too.
	Backfill bool
	// FromStart begins with all that the log holds, where the endpoint is new; otherwise it begins with what comes.
	FromStart bool
	// PerSecond is how many attempts are made a second at most. 100 unless set.
	PerSecond int
}

// Problem is one thing that is wrong with an endpoint, and what to do.
type Problem struct {
	// Endpoint is its index.
	Endpoint      int
	Field, Reason string
}

// String is field: reason.
func (p Problem) String() string { return p.Field + ": " + p.Reason }

var (
	idForm   = regexp.MustCompile(`^[a-z0-9-]{1,63}$`)
	typeForm = regexp.MustCompile(`^[a-z0-9_-]+(\.[a-z0-9_-]+)*(\.\*)?$`)
)

// Verify tells everything that is wrong with endpoints. With allowPrivate, plain HTTP and any address are fine.
func Verify(endpoints []Endpoint, allowPrivate bool) []Problem {
	var problems []Problem
	seen := make(map[string]int)
	for i, e := range endpoints {
		check := func(ok bool, field, format string, args ...any) {
			if !ok {
				problems = append(problems, Problem{i, field, fmt.Sprintf(format, args...)})
			}
		}
		check(idForm.MatchString(e.ID), "id", "%q: 1 to 63 of a-z, 0-9 and - are needed", e.ID)
		first, again := seen[e.ID]
		check(!again, "id", "%q is endpoint %d already", e.ID, first)
		seen[e.ID] = i
		check(e.Tenant != "", "tenant", "is missing")
		if err := checkURL(e.URL, allowPrivate); err != nil {
			check(false, "url", "%v", err)
		}
		if _, err := signer(e.Secret); err != nil {
			check(false, "secret", "%v", err)
		}
		check(len(e.Types) > 0, "types", `name the events to deliver; "*" for all`)
		for _, t := range e.Types {
			check(len(topicsOf(t)) > 0, "types", `%q is neither an event's name nor a group such as "message.*"`, t)
		}
		check(e.PerSecond >= 0, "per_second", "must not be negative")
	}
	return problems
}

func checkURL(text string, allowPrivate bool) error {
	u, err := url.Parse(text)
	switch {
	case err != nil:
		return errors.New("is no URL") // the error would repeat the text, which may hold a password
	case u.Scheme != "https" && (u.Scheme != "http" || !allowPrivate):
		return errors.New("must begin with https://")
	case u.Hostname() == "":
		return errors.New("names no host")
	case u.User != nil:
		return errors.New("must not hold a user or password; deliveries are signed")
	case u.Fragment != "":
		return errors.New("must not have a fragment")
	}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && !allowPrivate && !publicnet.Contains(ip) {
		return fmt.Errorf("%s is no public address", ip)
	}
	return nil
}

// signer reads a secret.
func signer(secret string) (*standardwebhooks.Webhook, error) {
	const form = `"whsec_" and the base64 of 24 to 64 random bytes are needed: printf 'whsec_%s\n' "$(openssl rand -base64 32)"`
	encoded, ok := strings.CutPrefix(secret, "whsec_")
	if n := len(encoded) / 4 * 3; !ok || n < 24 || n > 66 {
		return nil, errors.New(form)
	}
	s, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, errors.New(form) // the error would tell of the secret
	}
	return s, nil
}

// wants tells whether a type matches one of the patterns.
func wants(patterns []string, typ string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		group, isGroup := strings.CutSuffix(p, "*")
		return p == typ || isGroup && strings.HasPrefix(typ, group)
	})
}

// topicsOf are the topics that hold events which match a pattern.
func topicsOf(pattern string) []string {
	var topics []string
	if pattern != "*" && !typeForm.MatchString(pattern) {
		return nil
	}
	for _, t := range event.Types() {
		if wants([]string{pattern}, t.Name) && !slices.Contains(topics, t.Topic) {
			topics = append(topics, t.Topic)
		}
	}
	if topic, ok := event.TopicOf(strings.Replace(pattern, ".*", ".x.x", 1)); ok && len(topics) == 0 && strings.HasPrefix(pattern, "ext.") {
		topics = append(topics, topic)
	}
	return topics
}

// topics are those that hold what the endpoint wants.
func (e Endpoint) topics() []string {
	var topics []string
	for _, t := range e.Types {
		topics = append(topics, topicsOf(t)...)
	}
	slices.Sort(topics)
	return slices.Compact(topics)
}
