// Package mapped takes the webhooks of any product: the configuration says, by expressions of CEL (https://cel.dev), what a body in
// JSON or a form tells. Each inbox has a path, /channels/mapped/{tenant}/{inbox}.
//
// Expressions are compiled and type-checked when the channel is made, so that a mistake shows at start, with its field and
// column. They see the variables body, item (where the body is split), headers and query, and no clock and nothing else: the same
// delivery gives the same events, whenever it is read. The work of an evaluation is bounded. Beside CEL's own functions there
// are its extensions for texts, lists, sets, mathematics, regular expressions, base64, optional values (body.?a.?b.orValue("")) and
// cel.bind; and parse_json(text) and to_json(value). Whole numbers of JSON stay whole; a map is gone through in the order of its keys.
//
// # What is kept
//
// A delivery that is authentic and not understood is rejected, with the expression, the column in it and the reason, and can be
// taken in again after the mapping was mended. Of the headers and the query, those are kept with it that expressions
// name, and only those; a header that may hold a secret cannot be named. Where a mapping names none, the body is kept as it came;
// else {"skein":"mapped/1","headers":{…},"query":{…},"body":…} (form in the place of body for a form, as a text).
//
// Of a body that is split, what is understood is handed in; where an item is not understood, the whole body is rejected
// afterwards, so that taking it in again brings the rest: what was handed in before is the same event.
package mapped

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"cel.dev/cel-go/cel"
	"cel.dev/cel-go/common/types"
	"cel.dev/cel-go/common/types/ref"
	"cel.dev/cel-go/common/types/traits"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/httpfetch"
	"github.com/skein-cx/skein/pkg/channel/webhook"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Provider is the name in paths, rejections and metrics. Events name the mapping's own.
const Provider = "mapped"

// maxErrors is how many of a payload's errors are told.
const maxErrors = 5

// Config says what a Channel does.
type Config struct {
	// Mux gets the endpoints, all under /channels/mapped/, when the channel is opened.
	Mux webhook.Mux
	// Inboxes and their mappings.
	Inboxes []Inbox
	// Client fetches files; one that reaches the public Internet only unless set.
	Client *http.Client
	// Metrics may be nil.
	Metrics *webhook.Metrics
	// Logger may be nil.
	Logger *slog.Logger
	// Now is the clock that signatures are compared with, and nothing else; time.Now unless set.
	Now func() time.Time
}

// Inbox is an inbox of a tenant.
type Inbox struct {
	// Tenant and Inbox stand in the path: letters, digits and any of . _ - ~.
	Tenant, Inbox string
	Mapping       Mapping
}

// Key names an inbox.
type Key struct{ Tenant, Inbox string }

// Problem is one thing that is wrong with a mapping.
type Problem struct {
	// Field is its place in the configuration, below the mapping; empty for the inbox.
	Field, Reason string
}

// inbox is an Inbox, compiled.
type inbox struct {
	Inbox
	path           string
	verify         verifier
	split          *expression
	rules          []rule
	asks, answer   *expression
	get            *expression
	asked          []string // parameters that get reads
	headers, query []string
}

// Verify tells everything that is wrong with an inbox.
func (in Inbox) Verify() []Problem {
	_, problems := compile(in)
	return problems
}

func compile(in Inbox) (*inbox, []Problem) {
	m := in.Mapping
	compiled := &inbox{Inbox: in}
	c, err := newCompiler(m.Split != "")
	if err != nil {
		return nil, []Problem{{"", err.Error()}}
	}
	if compiled.path, err = webhook.Path(Provider, in.Tenant, in.Inbox); err != nil {
		c.fail("", err.Error())
	}
	if _, ok := event.TopicOf("ext." + m.Provider + ".x"); !ok || strings.Contains(m.Provider, ".") || len(m.Provider) > 64 {
		c.fail("provider", "is needed: a lower-case letter or digit, and those, _ and -")
	}
	if m.Format != "" && m.Format != "json" && m.Format != "form" {
		c.fail("format", "must be json or form")
	}
	if m.Unmatched != "" && m.Unmatched != "ignore" && m.Unmatched != "keep" {
		c.fail("unmatched", "must be ignore or keep")
	}
	compiled.verify = c.verifier(m.Verify)
	c.handshake(m, compiled)
	compiled.split = c.compile("split", m.Split, "a list", cel.ListType(cel.DynType))
	if len(m.Events) == 0 {
		c.fail("events", "one at least is needed")
	}
	for i, e := range m.Events {
		compiled.rules = append(compiled.rules, c.rule(fmt.Sprintf("events[%d]", i), e))
	}
	compiled.headers, compiled.query = sorted(c.headers), sorted(c.query)
	return compiled, c.problems
}

func (c *compiler) handshake(m Mapping, in *inbox) {
	h := m.Handshake
	if (h.When == "") != (h.Answer == "") {
		c.fail("handshake.answer", "when and answer go together")
	}
	answers := append(textTypes(), cel.MapType(cel.DynType, cel.DynType))
	in.asks = c.condition("handshake.when", h.When)
	in.answer = c.compile("handshake.answer", h.Answer, "a text or a map", answers...)
	if h.Get.Token != "" || len(h.Get.Secrets) > 0 {
		c.named("handshake.get.token", h.Get.Token)
		c.secrets("handshake.get.secrets", h.Get.Secrets)
		c.secret[varQuery+" "+h.Get.Token] = true
		if h.Get.Answer == "" {
			c.fail("handshake.get.answer", "is missing")
		}
	}
	of := c.query
	c.query = map[string]bool{} // of a GET nothing is kept
	in.get = c.text("handshake.get.answer", h.Get.Answer)
	in.asked, c.query = sorted(c.query), of
}

// Channel is a channel.Channel and a channel.Redriver.
type Channel struct {
	cfg     Config
	inboxes map[Key]*inbox
	gate    webhook.Gate
}

var (
	_ channel.Channel  = (*Channel)(nil)
	_ channel.Redriver = (*Channel)(nil)
)

// New checks the configuration and compiles the mappings; the error names everything that is wrong.
func New(cfg Config) (*Channel, error) {
	c := &Channel{cfg: cfg, inboxes: map[Key]*inbox{}}
	if c.cfg.Logger == nil {
		c.cfg.Logger = slog.New(slog.DiscardHandler)
	}
	c.cfg.Logger = c.cfg.Logger.With("channel", c.Name())
	if c.cfg.Client == nil {
		c.cfg.Client = httpfetch.Client(false)
	}
	if c.cfg.Now == nil {
		c.cfg.Now = time.Now
	}
	var errs []error
	if cfg.Mux == nil {
		errs = append(errs, errors.New("a mux is needed"))
	}
	for _, in := range cfg.Inboxes {
		compiled, problems := compile(in)
		var wrong []error
		for _, p := range problems {
			wrong = append(wrong, errors.New(strings.TrimPrefix(p.Field+": "+p.Reason, ": ")))
		}
		key := Key{in.Tenant, in.Inbox}
		if c.inboxes[key] != nil {
			wrong = append(wrong, errors.New("it stands twice"))
		}
		if err := errors.Join(wrong...); err != nil {
			errs = append(errs, fmt.Errorf("the inbox %q of tenant %q: %w", in.Inbox, in.Tenant, err))
			continue
		}
		c.inboxes[key] = compiled
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("custom/mapped: %w", err)
	}
	return c, nil
}

// Name implements channel.Channel.
func (c *Channel) Name() string { return "custom.mapped" }

// Open implements channel.Channel: it mounts the endpoints.
func (c *Channel) Open(_ context.Context, host channel.Host) error {
	for _, in := range c.inboxes {
		c.cfg.Mux.Handle(in.path, c.gate.Serve(webhook.Handler(host, c.endpoint(in), c.cfg.Metrics, c.cfg.Logger)))
	}
	return nil
}

// Run implements channel.Channel: when ctx ends, it takes no more deliveries and lets those under way finish.
func (c *Channel) Run(ctx context.Context) error { return c.gate.Run(ctx) }

// Redrive implements channel.Redriver.
func (c *Channel) Redrive(ctx context.Context, host channel.Host, r channel.Rejection) error {
	in, ok := c.inboxes[Key{r.Tenant, r.Inbox}]
	if !ok {
		return fmt.Errorf("custom/mapped: the inbox %q of tenant %q is not configured any more", r.Inbox, r.Tenant)
	}
	outcome, err := webhook.Deliver(ctx, host, c.endpoint(in), r.Raw)
	if outcome == "retried" {
		return fmt.Errorf("custom/mapped: redrive: %w", err)
	}
	return nil
}

// Payload gives what would be read of a request, and kept where it is not understood, without asking who made it: so a mapping can be
// tried.
func (c *Channel) Payload(key Key, r *http.Request, body []byte) ([]byte, error) {
	in, ok := c.inboxes[key]
	if !ok {
		return nil, fmt.Errorf("custom/mapped: there is no inbox %q of tenant %q", key.Inbox, key.Tenant)
	}
	return in.unwrap(r, body)
}

func (c *Channel) endpoint(in *inbox) webhook.Endpoint {
	e := webhook.Endpoint{
		Tenant: in.Tenant, Provider: Provider, Inbox: in.Inbox.Inbox, Unwrap: in.unwrap, Read: in.read,
		Authentic: func(r *http.Request, body []byte) error {
			if err := in.verify(r, body, c.cfg.Now()); err != nil {
				return fmt.Errorf("custom/mapped: %w: %w", webhook.ErrNotAuthentic, err)
			}
			return nil
		},
	}
	if in.asks != nil {
		e.Challenge = in.challenge
	}
	if in.get != nil {
		e.Handshake = in.handshake
	}
	return e
}

func (in *inbox) form() bool { return in.Mapping.Format == "form" }

// parse reads a body.
func (in *inbox) parse(body []byte) (ref.Val, error) {
	if in.form() {
		return parseForm(body)
	}
	return parseJSON(body)
}

// variables are what expressions see of a payload.
func (in *inbox) variables(payload []byte) (vars map[string]any, body []byte, err error) {
	d, body, err := readDelivery(payload)
	if err != nil {
		return nil, nil, err
	}
	value, err := in.parse(body)
	if err != nil {
		return nil, nil, err
	}
	return map[string]any{varBody: value, varHeaders: texts(d.Headers), varQuery: texts(d.Query)}, body, nil
}

// handshake answers a GET. The answer is a text and nothing that a browser would run.
func (in *inbox) handshake(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if h := in.Mapping.Handshake.Get; h.Token != "" && !webhook.KnownSecret(query.Get(h.Token), h.Secrets...) {
		http.Error(w, "the token is missing or wrong", http.StatusForbidden)
		return
	}
	answer, err := in.get.text(r.Context(), map[string]any{varBody: types.NullValue, varHeaders: texts(nil), varQuery: texts(named(query, in.asked))})
	if err != nil {
		http.Error(w, "this is no question that is known here", http.StatusBadRequest)
		return
	}
	respond(w, "text/plain; charset=utf-8", []byte(answer))
}

// challenge answers a delivery that only asks.
func (in *inbox) challenge(w http.ResponseWriter, payload []byte) bool {
	ctx := context.Background() // the work is bounded
	vars, _, err := in.variables(payload)
	if err != nil {
		return false // told when it is read
	}
	if asks, err := in.asks.holds(ctx, vars); err != nil || !asks {
		return false
	}
	answer, ok, err := in.answer.eval(ctx, vars)
	if err != nil || !ok {
		return false
	}
	if _, isMap := answer.(traits.Mapper); isMap {
		text, err := toJSON(answer)
		if err != nil {
			return false
		}
		respond(w, "application/json", text)
		return true
	}
	s, err := text(answer)
	if err != nil {
		return false
	}
	respond(w, "text/plain; charset=utf-8", []byte(s))
	return true
}

func respond(w http.ResponseWriter, contentType string, body []byte) {
	w.Header().Set("Content-Type", contentType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	_, _ = w.Write(body) // whoever is gone will ask again
}

// read makes events of a payload. Where it tells several things and some are not understood, the others are handed in here, before
// its error has the payload rejected.
func (in *inbox) read(ctx context.Context, host channel.Host, payload []byte) ([]*eventv1.Submission, error) {
	made, errs := in.made(ctx, payload)
	submissions := make([]*eventv1.Submission, len(made))
	for i, m := range made {
		submissions[i] = m.Submission
	}
	if len(errs) == 0 && len(made) <= 1 {
		return submissions, nil
	}
	if len(made) > 0 {
		_, err := host.Submit(ctx, in.Tenant, submissions...)
		if _, wrong := errors.AsType[*event.InvalidError](err); wrong { // which costs nobody but itself
			err = nil
			for i, s := range submissions {
				_, one := host.Submit(ctx, in.Tenant, s)
				if wrong, ok := errors.AsType[*event.InvalidError](one); ok {
					errs = append(errs, fmt.Errorf("%s: %w", made[i].place, wrong))
				} else if one != nil {
					return nil, fmt.Errorf("custom/mapped: %w", one)
				}
			}
		}
		if err != nil {
			return nil, fmt.Errorf("custom/mapped: %w", err)
		}
	}
	return nil, together(errs)
}

// together is one error of many.
func together(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	var b strings.Builder
	for i, err := range errs {
		if i == maxErrors {
			fmt.Fprintf(&b, "; and %d more", len(errs)-maxErrors)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(err.Error())
	}
	return errors.New("custom/mapped: " + b.String())
}

// made is an event, and the rule that made it.
type made struct {
	*eventv1.Submission
	place string
}

// made makes the events of a payload, and tells what could not be made.
func (in *inbox) made(ctx context.Context, payload []byte) (all []made, errs []error) {
	vars, raw, err := in.variables(payload)
	if err != nil {
		return nil, []error{err}
	}
	items, err := in.items(ctx, vars, raw)
	if err != nil {
		return nil, []error{err}
	}
	first := map[string]made{}
	for i, it := range items {
		prefix := ""
		if in.split != nil {
			vars[varItem], prefix = it.value, fmt.Sprintf("item %d: ", i)
		}
		matched := false
		for j := range in.rules {
			s, err := in.rules[j].submission(ctx, in, vars, it)
			if err != nil {
				errs = append(errs, fmt.Errorf("%s%w", prefix, err))
				matched = true
				continue
			}
			if s == nil {
				continue
			}
			matched = true
			place := prefix + in.rules[j].field
			id := s.GetType() + "\x00" + s.GetThread() + "\x00" + s.GetNativeId()
			if other, twice := first[id]; twice {
				if !proto.Equal(other.Submission, s) {
					errs = append(errs, fmt.Errorf("%s gives another event than %s, of the same type, thread and native_id", place, other.place))
				}
				continue
			}
			first[id] = made{s, place}
			all = append(all, made{s, place})
		}
		if !matched && in.Mapping.Unmatched == "keep" {
			errs = append(errs, errors.New(prefix+"no event's when is true of it"))
		}
	}
	return all, errs
}

// items are what is read by itself.
func (in *inbox) items(ctx context.Context, vars map[string]any, raw []byte) ([]item, error) {
	if in.split == nil {
		mediaType := "application/json"
		if in.form() {
			mediaType = "application/x-www-form-urlencoded"
		}
		return []item{{raw: raw, mediaType: mediaType}}, nil
	}
	value, ok, err := in.split.eval(ctx, vars)
	if err != nil || !ok {
		return nil, err
	}
	list, isList := value.(traits.Lister)
	if !isList {
		return nil, in.split.wrong(fmt.Errorf("it gives %s and must give a list", shown(value)))
	}
	var items []item
	for it := list.Iterator(); it.HasNext() == types.True; {
		value := it.Next()
		raw, err := rawOf(value)
		if err != nil {
			return nil, in.split.wrong(err)
		}
		items = append(items, item{value, raw, "application/json"})
	}
	return items, nil
}
