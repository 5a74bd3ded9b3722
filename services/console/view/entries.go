package view

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/a-h/templ"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// Files is what events are drawn with: where what belongs to them can be fetched, who is who, and in which order they are listed.
type Files struct {
	// File is the address of an attachment.
	File func(*eventv1.Attachment) string
	// Written is the address of a mail as it was written.
	Written func(*timelinev1.Entry) string
	// OldestFirst says that a list begins with the oldest.
	OldestFirst bool
	// State draws how a message stands on its way to the customer; nil draws nothing.
	State func(*timelinev1.Entry) templ.Component
	// Names of agents and queues.
	Names Names
	// People are names of customers, by their endpoints.
	People map[string]string
	// Work is the interaction that an event is part of; nil, or nil for an event, where it is not known.
	Work func(*eventv1.Event) *conversationv1.Work
}

// inOrder gives events in the order of a list.
func (f Files) inOrder(entries []*timelinev1.Entry) []*timelinev1.Entry {
	return slices.SortedStableFunc(slices.Values(entries), func(a, b *timelinev1.Entry) int {
		if f.OldestFirst {
			return strings.Compare(order(a), order(b))
		}
		return strings.Compare(order(b), order(a))
	})
}

// run names what an event is a part of: its interaction, where that is known, else its thread.
func (f Files) run(e *timelinev1.Entry) string {
	if w := f.work(e); w != nil {
		return w.GetInteraction().GetId()
	}
	return e.GetEvent().GetThreadId()
}

func (f Files) work(e *timelinev1.Entry) *conversationv1.Work {
	if f.Work == nil {
		return nil
	}
	return f.Work(e.GetEvent())
}

// about is what the heading of an interaction says behind its channel.
func (f Files) about(w *conversationv1.Work) string {
	i := w.GetInteraction()
	var subject, duration string
	if i.GetChannel() != eventv1.Channel_CHANNEL_EMAIL { // mails show theirs
		subject = i.GetSubject()
	}
	if lasts(i.GetChannel()) && i.GetStartedAt() != nil && i.GetEndedAt() != nil {
		duration = lang.Stopwatch(i.GetEndedAt().AsTime().Sub(i.GetStartedAt().AsTime()))
	}
	return dots(subject, duration, f.Names.Queues.Name(i.GetProvider(), i.GetQueue()))
}

// lasts tells what people are in at the same time.
func lasts(c eventv1.Channel) bool {
	return c == eventv1.Channel_CHANNEL_VOICE || c == eventv1.Channel_CHANNEL_VIDEO
}

func day(ctx context.Context, e *timelinev1.Entry) string {
	return e.GetEvent().GetOccurredAt().AsTime().In(lang.Zone(ctx)).Format("2006-01-02")
}

func sameDay(ctx context.Context, a, b *timelinev1.Entry) bool { return day(ctx, a) == day(ctx, b) }

// dayOrder is where the heading of a day stands: before all of the day's events in a list's order.
func dayOrder(ctx context.Context, e *timelinev1.Entry, files Files) string {
	t := e.GetEvent().GetOccurredAt().AsTime().In(lang.Zone(ctx))
	year, month, day := t.Date()
	begin := time.Date(year, month, day, 0, 0, 0, 0, t.Location())
	if files.OldestFirst {
		return sortable(begin)
	}
	return sortable(begin.AddDate(0, 0, 1)) + " " // what happens at midnight is the next day's
}

func shapeClass(s Shape) string {
	return [...]string{Step: "is-step", Bubble: "is-bubble", Letter: "is-letter", Remark: "is-remark"}[s]
}

func sideClass(ours bool) string {
	if ours {
		return "ours"
	}
	return "theirs"
}

// pictures are what a browser shows without harm.
func pictures() []string { return []string{"image/png", "image/jpeg", "image/gif", "image/webp"} }

// MediaType is what an attachment holds, as far as is known.
func MediaType(a *eventv1.Attachment) string {
	found := a.GetBlob().GetMediaType()
	if found == "application/octet-stream" { // its bytes tell nothing
		found = ""
	}
	kind, _, _ := strings.Cut(cmp.Or(found, a.GetMediaType(), a.GetBlob().GetMediaType()), ";")
	return strings.ToLower(strings.TrimSpace(kind))
}

func picture(a *eventv1.Attachment) bool { return slices.Contains(pictures(), MediaType(a)) }

func playable(a *eventv1.Attachment) bool { return strings.HasPrefix(MediaType(a), "audio/") }

func size(ctx context.Context, bytes int64) string {
	const k, m = 1 << 10, 1 << 20
	switch {
	case bytes >= m:
		return lang.Number(ctx, float64(bytes)/m, 1) + " MB"
	case bytes >= k:
		return lang.Number(ctx, float64(bytes)/k, 0) + " kB"
	}
	return lang.Count(ctx, bytes) + " B"
}
