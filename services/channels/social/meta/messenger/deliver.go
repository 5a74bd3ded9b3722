package messenger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// envelope is the body of a webhook.
type envelope struct {
	Object string  `json:"object"`
	Entry  []entry `json:"entry"`
}

// entry is what happened at one account. Field and Value stand in it directly in some of Instagram's.
type entry struct {
	ID        word              `json:"id"`
	Time      json.RawMessage   `json:"time,omitempty"`
	Messaging []json.RawMessage `json:"messaging,omitempty"`
	Standby   []json.RawMessage `json:"standby,omitempty"`
	Changes   []json.RawMessage `json:"changes,omitempty"`
	Field     string            `json:"field,omitempty"`
	Value     json.RawMessage   `json:"value,omitempty"`
}

// item is one thing that happened.
type item struct {
	account     word
	raw         json.RawMessage // of the item itself
	alone       entry           // an entry with nothing but the item
	change      bool
	err         error // why it is not understood
	tenant      string
	submissions []*eventv1.Submission
}

// open reads a body, which is an envelope or a list of them, down to its items.
func (p Product) open(body []byte) ([]item, error) {
	var all []envelope
	if trimmed := bytes.TrimLeft(body, " \t\r\n"); len(trimmed) > 0 && trimmed[0] == '[' {
		if err := json.Unmarshal(body, &all); err != nil {
			return nil, fmt.Errorf("the body is not what Meta documents: %w", err)
		}
	} else {
		all = make([]envelope, 1)
		if err := json.Unmarshal(body, &all[0]); err != nil {
			return nil, fmt.Errorf("the body is not what Meta documents: %w", err)
		}
	}
	var items []item
	for _, v := range all {
		if v.Object != p.object() {
			return nil, fmt.Errorf("it is about %q, not about %q", v.Object, p.object())
		}
		for _, e := range v.Entry {
			items = append(items, e.items()...)
		}
	}
	if len(items) == 0 {
		return nil, errors.New("there is nothing in it")
	}
	return items, nil
}

func (e entry) items() []item {
	var items []item
	for _, raw := range e.Messaging {
		items = append(items, item{account: e.ID, raw: raw, alone: entry{ID: e.ID, Time: e.Time, Messaging: []json.RawMessage{raw}}})
	}
	for _, raw := range e.Standby {
		items = append(items, item{account: e.ID, raw: raw, alone: entry{ID: e.ID, Time: e.Time, Standby: []json.RawMessage{raw}}})
	}
	changes := e.Changes
	if e.Field != "" {
		raw, err := json.Marshal(change{Field: e.Field, Value: e.Value})
		if err == nil { // it came out of a body
			changes = append(slices.Clip(changes), raw)
		}
	}
	for _, raw := range changes {
		items = append(items, item{account: e.ID, raw: raw, change: true, alone: entry{ID: e.ID, Time: e.Time, Changes: []json.RawMessage{raw}}})
	}
	return items
}

// enclose makes a body of an entry, in which the item is as it came, but for white space.
func (p Product) enclose(e entry) ([]byte, error) {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(envelope{Object: p.object(), Entry: []entry{e}}); err != nil {
		return nil, fmt.Errorf("write an envelope: %w", err)
	}
	return bytes.TrimSuffix(body.Bytes(), []byte("\n")), nil
}

// deliver hands a body in, and keeps what is not understood. It returns nil when all of it is durable; the error of a body of which nothing is
// understood is for whoever keeps the whole.
func (c *Channel) deliver(ctx context.Context, host channel.Host, by *account, body []byte) error {
	items, err := c.cfg.Product.open(body)
	if err != nil {
		return fmt.Errorf("social/meta/messenger: %w", err)
	}
	for i := range items {
		c.read(by, &items[i])
	}
	if err := submit(ctx, host, items); err != nil {
		return fmt.Errorf("social/meta/messenger: %w", err)
	}
	var kept []item
	for _, it := range items {
		if it.err != nil {
			kept = append(kept, it)
		}
	}
	if len(kept) == len(items) && len(items) == 1 {
		return fmt.Errorf("social/meta/messenger: %w", items[0].err)
	}
	for _, it := range kept {
		raw, err := c.cfg.Product.enclose(it.alone)
		if err != nil {
			return fmt.Errorf("social/meta/messenger: %w", err)
		}
		c.log.WarnContext(ctx, "an item of a delivery was not understood", "inbox", by.Inbox, "error", it.err)
		r := channel.Rejection{Tenant: by.Tenant, Provider: string(c.cfg.Product), Inbox: by.Inbox, Reason: "social/meta/messenger: " + it.err.Error(), Raw: raw}
		if err := host.Reject(ctx, r); err != nil {
			return fmt.Errorf("social/meta/messenger: keep an item: %w: %w", channel.ErrRetry, err)
		}
	}
	return nil
}

// read makes an item's events. Whose account it is of, must have the app's secret, by which the body is signed.
func (c *Channel) read(by *account, it *item) {
	a, ok := c.byID[string(it.account)]
	if !ok || a.AppSecret != by.AppSecret {
		it.err = fmt.Errorf("it is of the account %.40q, which is no inbox of this app's", it.account)
		return
	}
	it.tenant = a.Tenant
	r := &reading{account: a}
	if it.change {
		it.submissions, it.err = r.change(it.raw)
	} else {
		it.submissions, it.err = r.between(it.raw)
	}
	for _, s := range it.submissions {
		s.Provider, s.Inbox = string(c.cfg.Product), a.Inbox
	}
}

// submit hands in what is understood, each tenant's at once; where one of them is refused, each item by itself.
func submit(ctx context.Context, host channel.Host, items []item) error {
	var tenants []string
	all := map[string][]*eventv1.Submission{}
	for _, it := range items {
		if it.err != nil || len(it.submissions) == 0 {
			continue
		}
		if _, known := all[it.tenant]; !known {
			tenants = append(tenants, it.tenant)
		}
		all[it.tenant] = append(all[it.tenant], it.submissions...)
	}
	var invalid *event.InvalidError
	for _, tenant := range tenants {
		_, err := host.Submit(ctx, tenant, all[tenant]...)
		switch {
		case err == nil:
			continue
		case !errors.As(err, &invalid):
			return err
		}
		for i := range items {
			it := &items[i]
			if it.tenant != tenant || it.err != nil || len(it.submissions) == 0 {
				continue
			}
			_, err := host.Submit(ctx, tenant, it.submissions...)
			switch {
			case errors.As(err, &invalid):
				it.err = err
			case err != nil:
				return err
			}
		}
	}
	return nil
}
