package whatsapp

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/channels/social/meta"
)

// maxBatch is how many events are handed in at once: a history has thousands.
const maxBatch = 100

// margin is how much time must be left after a wait.
const margin = time.Second

// payload is a webhook's body.
type payload struct {
	Object string  `json:"object"`
	Entry  []entry `json:"entry"`
}

type entry struct {
	ID      string            `json:"id"`
	Time    number            `json:"time,omitempty"`
	Changes []json.RawMessage `json:"changes"`
}

type change struct {
	Field string          `json:"field"`
	Value json.RawMessage `json:"value"`
}

// metadata says which number a change is about.
type metadata struct {
	DisplayPhoneNumber string `json:"display_phone_number"`
	PhoneNumberID      string `json:"phone_number_id"`
}

// value is what every change about a number has, with its lists of items.
type value struct {
	Metadata    json.RawMessage   `json:"metadata,omitempty"`
	Contacts    []json.RawMessage `json:"contacts,omitempty"`
	Errors      []json.RawMessage `json:"errors,omitempty"`
	Messages    []json.RawMessage `json:"messages,omitempty"`
	Echoes      []json.RawMessage `json:"message_echoes,omitempty"`
	Statuses    []json.RawMessage `json:"statuses,omitempty"`
	Calls       []json.RawMessage `json:"calls,omitempty"`
	Preferences []json.RawMessage `json:"user_preferences,omitempty"`
	History     []json.RawMessage `json:"history,omitempty"`
	StateSync   []json.RawMessage `json:"state_sync,omitempty"`
	WABA        struct {
		ID string `json:"waba_id"`
	} `json:"waba_info"`
}

// item is the least part of a webhook that is understood or not.
type item struct {
	account *account
	// raw is a body that holds this item only.
	raw         func() []byte
	submissions []*eventv1.Submission
	err         error
}

// take reads a body, hands in what is understood, and keeps the rest. An error means that the body is to be kept as it came, or
// that the provider is to come again.
func (a *account) take(ctx context.Context, host channel.Host, body []byte) error {
	items, err := a.items(body)
	if err != nil {
		return fmt.Errorf("whatsapp: %w", err)
	}
	if len(items) == 1 && items[0].err != nil {
		only := items[0]
		only.raw = func() []byte { return body } // as it came
		items = []item{only}
	}
	if err := a.submit(ctx, host, items); err != nil {
		return err
	}
	for _, it := range items {
		if it.err == nil {
			continue
		}
		to := a
		if it.account != nil {
			to = it.account
		}
		r := channel.Rejection{Tenant: to.Tenant, Provider: Provider, Inbox: to.Inbox, Reason: "whatsapp: " + it.err.Error(), Raw: it.raw()}
		if err := host.Reject(ctx, r); err != nil {
			return fmt.Errorf("%w: whatsapp: keep what was not understood: %w", channel.ErrRetry, err)
		}
		to.log.WarnContext(ctx, "a part of a delivery was not understood, and is kept", "error", it.err)
	}
	return nil
}

// submit hands the items' events in. An item that the host will never take is marked, and the others are handed in without it.
func (a *account) submit(ctx context.Context, host channel.Host, items []item) error {
	for from := 0; from < len(items); {
		var batch []*eventv1.Submission
		until := from
		for ; until < len(items) && (len(batch) == 0 || len(batch)+len(items[until].submissions) <= maxBatch); until++ {
			if items[until].err == nil {
				batch = append(batch, items[until].submissions...)
			}
		}
		if err := a.hand(ctx, host, batch); err != nil {
			if _, invalid := errors.AsType[*event.InvalidError](err); !invalid {
				return err
			}
			for i := from; i < until; i++ {
				if items[i].err != nil {
					continue
				}
				err := a.hand(ctx, host, items[i].submissions)
				if _, invalid := errors.AsType[*event.InvalidError](err); invalid {
					items[i].err = err
				} else if err != nil {
					return err
				}
			}
		}
		from = until
	}
	return nil
}

// hand submits a batch. Where too many events came at once (a history), it waits as long as the host says, if there is time: a
// provider that came again would begin from the start.
func (a *account) hand(ctx context.Context, host channel.Host, batch []*eventv1.Submission) error {
	if len(batch) == 0 {
		return nil
	}
	for {
		_, err := host.Submit(ctx, a.Tenant, batch...)
		var later interface{ RetryAfter() time.Duration }
		if !errors.As(err, &later) {
			return err //nolint:wrapcheck // webhook.Deliver tells it apart
		}
		if until, ok := ctx.Deadline(); !ok || time.Until(until) < later.RetryAfter()+margin {
			return err //nolint:wrapcheck // the same
		}
		timer := time.NewTimer(later.RetryAfter())
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return err //nolint:wrapcheck // the same
		}
	}
}

// items takes a body apart.
func (a *account) items(body []byte) ([]item, error) {
	var p payload
	if err := json.Unmarshal(body, &p); err != nil {
		return nil, err
	}
	if p.Object != "whatsapp_business_account" {
		return nil, fmt.Errorf("it is about %.64q, not about a WhatsApp Business Account", p.Object)
	}
	if len(p.Entry) == 0 {
		return nil, errors.New("it has no entry")
	}
	var all []item
	for _, e := range p.Entry {
		for _, raw := range e.Changes {
			all = append(all, a.change(e, raw)...)
		}
	}
	if len(all) == 0 {
		return nil, errors.New("it has no change")
	}
	return all, nil
}

// change takes a change apart.
func (a *account) change(e entry, raw json.RawMessage) []item {
	whole := item{raw: func() []byte { return wrap(e, raw) }}
	fail := func(err error) []item {
		whole.err = err
		return []item{whole}
	}
	var c change
	if err := json.Unmarshal(raw, &c); err != nil {
		return fail(err)
	}
	if c.Field == "" || len(c.Value) == 0 || c.Value[0] != '{' {
		return fail(errors.New("a change has no field or no value"))
	}
	var v value
	if err := json.Unmarshal(c.Value, &v); err != nil {
		return fail(fmt.Errorf("%s: %w", c.Field, err))
	}
	var about metadata
	if len(v.Metadata) > 0 {
		if err := json.Unmarshal(v.Metadata, &about); err != nil {
			return fail(fmt.Errorf("%s: metadata: %w", c.Field, err))
		}
	}
	if about.PhoneNumberID == "" {
		business := e.ID
		if v.WABA.ID != "" { // what is told to a partner stands under the partner's id
			business = v.WABA.ID
		}
		if whole.account = a.app.byBusiness[business]; whole.account == nil {
			return fail(fmt.Errorf("%s: it is about the business account %.64q, which no inbox here has", c.Field, business))
		}
	} else if whole.account = a.app.byNumber[about.PhoneNumberID]; whole.account == nil {
		return fail(fmt.Errorf("%s: it is about the phone number id %.64q, which no inbox here has", c.Field, about.PhoneNumberID))
	}
	r := &reading{account: whole.account, entry: e, field: c.Field, value: v, about: about, backfill: c.Field == "history"}
	if err := r.prepare(); err != nil {
		return fail(fmt.Errorf("%s: %w", c.Field, err))
	}
	var all []item
	each := func(name string, list []json.RawMessage, read func(json.RawMessage) ([]*eventv1.Submission, error)) {
		for _, one := range list {
			it := item{account: whole.account, raw: func() []byte { return wrapItem(e, c.Field, v, name, one) }}
			if it.submissions, it.err = r.finish(read(one)); it.err != nil {
				it.err = fmt.Errorf("%s: %w", name, it.err)
			}
			all = append(all, it)
		}
	}
	each("messages", v.Messages, r.message)
	each("message_echoes", v.Echoes, r.echo)
	each("statuses", v.Statuses, r.status)
	each("calls", v.Calls, r.call)
	each("user_preferences", v.Preferences, r.preference)
	each("state_sync", v.StateSync, r.stateSync)
	for _, h := range v.History {
		all = append(all, r.history(h)...)
	}
	// What goes wrong stands beside the messages and calls that it is about; alone, it is about the account.
	if len(all) == 0 || len(v.Errors) > 0 && len(v.Messages)+len(v.Calls) == 0 {
		whole.submissions, whole.err = r.finish(r.other(c.Value))
		all = append(all, whole)
	}
	return all
}

// wrap makes a body of one change.
func wrap(e entry, change json.RawMessage) []byte {
	e.Changes = []json.RawMessage{change}
	return encode(payload{Object: "whatsapp_business_account", Entry: []entry{e}})
}

// wrapItem makes a body of one item of a change, with the contacts and errors that tell of it.
func wrapItem(e entry, field string, v value, list string, one json.RawMessage) []byte {
	alone := map[string]any{list: []json.RawMessage{one}}
	for name, with := range map[string][]json.RawMessage{"contacts": v.Contacts, "errors": v.Errors} {
		if len(with) > 0 {
			alone[name] = with
		}
	}
	if len(v.Metadata) > 0 {
		alone["metadata"] = v.Metadata
	}
	return wrap(e, encode(map[string]any{"field": field, "value": alone}))
}

// encode writes what was read as JSON.
func encode(v any) json.RawMessage {
	var b bytes.Buffer
	encoder := json.NewEncoder(&b)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(v) //nolint:errchkjson // it is made of what was read as JSON
	return bytes.TrimSpace(b.Bytes())
}

// reading is what one change is read with.
type reading struct {
	*account
	entry    entry
	field    string
	value    value
	about    metadata
	contacts []contact
	errors   []meta.Problem
	backfill bool
}

// contact is what a webhook says of a customer.
type contact struct {
	Profile struct {
		Name     string `json:"name"`
		Username string `json:"username"`
	} `json:"profile"`
	WaID         string `json:"wa_id"`
	UserID       string `json:"user_id"`
	ParentUserID string `json:"parent_user_id"`
}

func (r *reading) prepare() error {
	for _, raw := range r.value.Contacts {
		var c contact
		if err := json.Unmarshal(raw, &c); err != nil {
			return fmt.Errorf("contacts: %w", err)
		}
		r.contacts = append(r.contacts, c)
	}
	for _, raw := range r.value.Errors {
		var p meta.Problem
		if err := json.Unmarshal(raw, &p); err != nil {
			return fmt.Errorf("errors: %w", err)
		}
		r.errors = append(r.errors, p)
	}
	return nil
}

// finish puts into all submissions what they have in common.
func (r *reading) finish(submissions []*eventv1.Submission, err error) ([]*eventv1.Submission, error) {
	for _, s := range submissions {
		s.Provider, s.Inbox, s.Backfill = Provider, r.Inbox, s.GetBackfill() || r.backfill
		if s.GetChannel() == 0 {
			s.Channel = eventv1.Channel_CHANNEL_SOCIAL_MESSAGE
		}
	}
	return submissions, err
}

// number is a number that Meta writes as a text here and as a number there. Empty is 0.
type number int64

// UnmarshalJSON implements json.Unmarshaler.
func (n *number) UnmarshalJSON(raw []byte) error {
	text := strings.Trim(string(raw), `"`)
	if text == "" || text == "null" {
		return nil
	}
	whole, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return fmt.Errorf("%.32q is no whole number", text)
	}
	*n = number(whole)
	return nil
}

// at is the time that a number of seconds means; nil for 0. Some of Meta's times are milliseconds.
func at(n number) *timestamppb.Timestamp {
	switch {
	case n == 0:
		return nil
	case n > 1e11:
		return timestamppb.New(time.UnixMilli(int64(n)))
	}
	return &timestamppb.Timestamp{Seconds: int64(n)}
}

// extension is an event of a foreign type, with what Meta said.
func extension(name string, raw json.RawMessage) (typ string, content *eventv1.Content) {
	return event.ForeignType(Provider, name), &eventv1.Content{Body: &eventv1.Content_Extension{
		Extension: &eventv1.Extension{MediaType: "application/json", Data: compact(raw)},
	}}
}

// compact leaves out what says nothing, so that an item is the same in its own body as among others.
func compact(raw json.RawMessage) []byte {
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil {
		return raw
	}
	return b.Bytes()
}
