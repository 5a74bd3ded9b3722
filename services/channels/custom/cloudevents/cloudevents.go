// Package cloudevents takes events of any system as CloudEvents 1.0 over HTTP, in all three modes of the binding: structured, binary and
// batch (https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/http-protocol-binding.md). Each inbox has a path,
// /channels/cloudevents/{tenant}/{inbox}, and secrets, one of which a client shows as its bearer token. Another Skein signs instead.
//
// # What becomes what
//
//	type skein.event.v1.Submission,   the data is a Submission, as JSON or Protobuf. Where it leaves them out, type,
//	or a type of the registry         occurred_at, thread and native_id are the attributes type, time, subject, and source
//	                                  with id
//	source /skein/...                 an event that another Skein hands out by its webhooks (see below)
//	any other                         ext.<provider>.<type>, whose extension is the whole CloudEvent as JSON; its thread is the
//	                                  subject, else the source; its native id is source and id
//
// Attributes say of the last kind whom it is about and where it belongs; each may be missing:
//
//	skeinemail, skeinphone, skeinvisitor   the customer's addresses; several give a party each
//	skeinid, skeinidspace                  an id of the customer's, and whose it is, such as crm; the provider unless stated
//	skeinname                              the customer's name
//	skeinregion                            the country by which skeinphone is read, such as DE
//	skeinthread                            the thread
//	skeinchannel, skeindirection           as the contract calls them: sms, task, inbound
//	skeinlanguage                          a language tag
//
// The same source and id give the same event, in whatever mode it comes. What a tracer changes from one delivery to the
// next (traceparent, tracestate) is left out.
//
// # What cannot be read
//
// Who sends here reads the answer: 400 with a problem as JSON (RFC 9457) names each wrong event by its place in the batch and each
// wrong field. Nothing of the request was published then, and nothing is kept.
//
// # Another Skein's events
//
// Where its webhooks include the content, the event is rebuilt: its type, parties, body and the provider's own ids, in a thread
// that is named after its source, under the provider "skein". Without the content it becomes ext.skein.<type>. Files stay where
// they are. What only has a meaning over there is passed over: links by id, the directory, timers, requests to send, and the
// places of files. An event goes one step: one that had come in from another Skein and comes out of a webhook again is passed
// over, so that two that tell each other everything end in no circle.
package cloudevents

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider is the name of the provider in paths and metrics, and in events whose sender names none.
const Provider = "cloudevents"

const (
	// MinSecret is how many bytes a secret has at least.
	MinSecret = 16
	// maxBytes of a body.
	maxBytes = 4 << 20
	// maxEvents of a batch, as many as one call of the ingest service may bring.
	maxEvents = 5000
)

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints, all under /channels/cloudevents/, when the channel is opened.
	Mux webhook.Mux
	// Inboxes that take CloudEvents.
	Inboxes []Inbox
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
}

// Inbox is one inbox of a tenant.
type Inbox struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	// Secrets are the bearer tokens of those who may send, of 16 bytes at least each. Several are known while one takes the
	// place of another.
	Secrets []string
	// SigningSecrets are those of Standard Webhooks (whsec_ and base64), by which another Skein signs what its webhooks hand out:
	// a delivery that one of them has signed need show no token. There must be one secret at least, of either kind.
	SigningSecrets []string
	// Provider of events that name none, and of the types ext.<provider>.<name>; "cloudevents" unless set. Lower-case
	// letters, digits, "_" and "-".
	Provider string
	// TypePrefix is left out of the types of foreign events: with "com.example.", com.example.order.created is
	// ext.<provider>.order.created.
	TypePrefix string
	// Region is the country by which telephone numbers without country code are read, such as DE; an event may say another one.
	Region string
	// Origins are those that the handshake lets send, as their WebHook-Request-Origin says; all unless set.
	Origins []string
	// Rate is how many requests a minute the handshake allows; any unless set.
	Rate int
}

// Problem is one thing that is wrong with an inbox.
type Problem struct {
	// Field is empty for the whole.
	Field, Reason string
}

// Verify tells everything that is wrong with an inbox, each under the field's name in the configuration.
func (in *Inbox) Verify() []Problem {
	var problems []Problem
	check := func(ok bool, field, reason string) {
		if !ok {
			problems = append(problems, Problem{field, reason})
		}
	}
	_, err := webhook.Path(Provider, in.Tenant, in.Inbox)
	check(err == nil, "", fmt.Sprint(err))
	check(len(in.Secrets)+len(in.SigningSecrets) > 0, "secrets", "one at least is needed: openssl rand -base64 32")
	for i, s := range in.Secrets {
		check(len(s) >= MinSecret, fmt.Sprintf("secrets[%d]", i), fmt.Sprintf("must have %d bytes at least", MinSecret))
	}
	for i, s := range in.SigningSecrets {
		_, err := standardwebhooks.NewWebhook(s)
		check(err == nil && len(s) >= MinSecret, fmt.Sprintf("signing_secrets[%d]", i), "must be whsec_ and the base64 of 24 to 64 bytes, the same as in the other Skein")
	}
	_, fits := event.TopicOf("ext." + in.provider() + ".x")
	check(fits && !strings.Contains(in.provider(), ".") && len(in.provider()) <= 64, "provider", "must begin with a lower-case letter or digit and go on with those, _ and -")
	check(in.Region == "" || len(in.Region) == 2 && strings.ToUpper(in.Region) == in.Region, "region", "must be two capital letters, such as DE")
	check(in.Rate >= 0, "rate", "must not be negative")
	return problems
}

func (in *Inbox) provider() string {
	if in.Provider == "" {
		return Provider
	}
	return in.Provider
}

// Channel is a channel.Channel.
type Channel struct {
	cfg   Config
	paths []string // of the inboxes
	gate  webhook.Gate
}

var _ channel.Channel = (*Channel)(nil)

// New checks the configuration; the error names everything that is wrong with it.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg}
	if c.cfg.Logger == nil {
		c.cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c.cfg.Logger = c.cfg.Logger.With("channel", c.Name())
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	known := map[string]bool{}
	for i := range cfg.Inboxes {
		in := &cfg.Inboxes[i]
		var wrong []error
		for _, p := range in.Verify() {
			wrong = append(wrong, errors.New(strings.TrimPrefix(p.Field+": "+p.Reason, ": ")))
		}
		path, _ := webhook.Path(Provider, in.Tenant, in.Inbox) // Verify has told
		if known[path] {
			wrong = append(wrong, errors.New("it stands twice"))
		}
		known[path] = true
		c.paths = append(c.paths, path)
		if err := errors.Join(wrong...); err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("custom/cloudevents: %w", err)
	}
	return c, nil
}

// Name implements channel.Channel.
func (c *Channel) Name() string { return "custom.cloudevents" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	for i := range c.cfg.Inboxes {
		in := &c.cfg.Inboxes[i]
		events := webhook.Handler(host, in.endpoint(), c.cfg.Metrics, c.cfg.Logger)
		c.cfg.Mux.Handle(c.paths[i], c.gate.Serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodOptions || r.Method == http.MethodGet {
				in.handshake(w, r)
				return
			}
			events.ServeHTTP(w, r)
		})))
	}
	return nil
}

// Run implements channel.Channel: when ctx ends, it takes no more events and lets requests under way finish.
func (c *Channel) Run(ctx context.Context) error { return c.gate.Run(ctx) }

func (in *Inbox) endpoint() webhook.Endpoint {
	return webhook.Endpoint{
		Tenant: in.Tenant, Provider: Provider, Inbox: in.Inbox, MaxBytes: maxBytes,
		Authentic: in.authentic, Unwrap: unwrap, Refuse: refuse,
		Read: func(ctx context.Context, host channel.Host, payload []byte) ([]*eventv1.Submission, error) {
			return nil, in.take(ctx, host, payload)
		},
	}
}

// take hands in what a payload holds, all of it or nothing. It does so itself, because it alone can tell which event a wrong
// submission was made of.
func (in *Inbox) take(ctx context.Context, host channel.Host, payload []byte) error {
	submissions, of, err := in.read(ctx, payload)
	if err != nil || len(submissions) == 0 {
		return err
	}
	_, err = host.Submit(ctx, in.Tenant, submissions...)
	if wrong, ok := errors.AsType[*event.InvalidError](err); ok {
		return submitted(wrong, of)
	}
	return err
}

// read makes submissions of a payload, and says of each which event it was made of.
func (in *Inbox) read(ctx context.Context, payload []byte) (submissions []*eventv1.Submission, of []origin, err error) {
	events, err := parse(ctx, payload)
	if err != nil {
		return nil, nil, err
	}
	var wrong invalidError
	for _, e := range events {
		if len(e.wrong) > 0 {
			wrong.of(e.origin, e.wrong)
			continue
		}
		s, violations := in.submission(e)
		switch {
		case len(violations) > 0:
			wrong.of(e.origin, violations)
		case s != nil:
			s.Inbox = in.Inbox
			submissions, of = append(submissions, s), append(of, e.origin)
		}
	}
	if len(wrong.list) > 0 {
		return nil, nil, &wrong
	}
	return submissions, of, nil
}

// submission makes one of an event; nil where the event is of no interest here.
func (in *Inbox) submission(e parsed) (*eventv1.Submission, []event.Violation) {
	_, registered := event.TopicOf(e.Type())
	switch {
	case strings.HasPrefix(e.Source(), relaySource):
		return in.relayed(e)
	case e.Type() == submissionType, registered && !strings.HasPrefix(e.Type(), foreignPrefix):
		return in.submitted(e)
	}
	return in.foreign(e)
}

// authentic tells whether a request shows one of the inbox's secrets (RFC 6750, section 2.1), or is signed by one
// (https://www.standardwebhooks.com).
func (in *Inbox) authentic(r *http.Request, body []byte) error {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	if strings.EqualFold(scheme, "Bearer") && webhook.KnownSecret(strings.TrimSpace(token), in.Secrets...) {
		return nil
	}
	for _, secret := range in.SigningSecrets {
		if w, err := standardwebhooks.NewWebhook(secret); err == nil && w.Verify(body, r.Header) == nil {
			return nil
		}
	}
	return fmt.Errorf("custom/cloudevents: neither the bearer token nor a signature is of this inbox: %w", webhook.ErrNotAuthentic)
}
