package customers

import (
	"context"
	"net/url"
	"strings"
	"time"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	searchv1 "github.com/skein-cx/skein/proto/skein/search/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
)

// target is where a row of work leads: to its customer, else to the conversation.
func target(w *conversationv1.Work) string {
	if w.GetCustomerId() != "" {
		return view.At(view.Customers, w.GetCustomerId())
	}
	return view.At(view.Work, w.GetConversationId())
}

// hitTarget is where a hit stands: in the timeline of whose it is, opened around its moment.
func hitTarget(h *searchv1.Hit, people map[string]*customerv1.Customer) string {
	id := firstOf(h.GetEndpointIds())
	if c := people[id]; c != nil {
		id = c.GetId()
	}
	return view.With(view.At(view.Customers, id), "at", h.GetOccurredAt().AsTime().Format(time.RFC3339Nano)) + "#e-" + h.GetEventId()
}

// The search puts these around what matched (see skein.search.v1.Hit).
const (
	matchBegin = "\uE000"
	matchEnd   = "\uE001"
)

type fragmentPart struct {
	text string
	mark bool
}

// marked cuts a fragment where what matched begins and ends.
func marked(fragment string) (parts []fragmentPart) {
	for fragment != "" {
		before, rest, found := strings.Cut(fragment, matchBegin)
		if before != "" {
			parts = append(parts, fragmentPart{text: before})
		}
		if !found {
			break
		}
		match, after, _ := strings.Cut(rest, matchEnd)
		parts = append(parts, fragmentPart{text: match, mark: true})
		fragment = after
	}
	return parts
}

func endpointText(ctx context.Context, e *customerv1.Endpoint) string {
	switch {
	case e.GetValue() != "":
		return e.GetValue()
	case e.GetDisplayName() != "":
		return e.GetDisplayName()
	}
	return lang.T(ctx, "Address not known")
}

func validity(ctx context.Context, v *customerv1.Validity) string {
	switch {
	case v.GetFrom() == nil:
		return lang.T(ctx, "until %s", lang.Date(ctx, v.GetUntil().AsTime()))
	case v.GetUntil() == nil:
		return lang.T(ctx, "since %s", lang.Date(ctx, v.GetFrom().AsTime()))
	}
	return lang.Date(ctx, v.GetFrom().AsTime()) + " – " + lang.Date(ctx, v.GetUntil().AsTime())
}

func factTitle(f *customerv1.Fact) string {
	if f.GetTitle() != "" {
		return f.GetTitle()
	}
	return f.GetKind() + " " + f.GetId()
}

func factDetail(ctx context.Context, f *customerv1.Fact) string {
	var known []string
	if f.GetAmount() != 0 {
		const cents = 2
		known = append(known, strings.TrimSpace(lang.Number(ctx, f.GetAmount(), cents)+" "+f.GetCurrency()))
	}
	for _, text := range []string{f.GetStatus(), f.GetSource()} {
		if text != "" {
			known = append(known, text)
		}
	}
	return strings.Join(known, " · ")
}

// webLink is an address that a browser may follow; others, such as scripts, are none.
func webLink(address string) string {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" {
		return ""
	}
	return address
}

func asOfText(ctx context.Context, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(lang.Zone(ctx)).Format("2006-01-02T15:04:05")
}

func atText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339Nano)
}

// path is an address of the page: a view of it, at the past moment that is shown.
func (s story) path(ctx context.Context, which string) string {
	return view.With(view.At(view.Customers, s.customer.GetId()), "view", which, "as_of", asOfText(ctx, s.asOf))
}

func interactions(ctx context.Context, s side) string {
	if s.more {
		return lang.T(ctx, "more than %d interactions", s.interactions)
	}
	return lang.T(ctx, "%d interactions", s.interactions)
}
