package work

import (
	"context"
	"sync"

	"github.com/a-h/templ"

	"github.com/skein-cx/skein/pkg/channel"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/content"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// fate is what became of a message on its way to the customer.
type fate struct {
	// Tone is good, warn, bad or empty.
	Tone string
	Text string
}

// fates are what became of messages. That somebody asks for one to be sent is an event, and so is its outcome, which names the request; receipts name
// the message by the provider's id.
type fates struct {
	requests map[string]*timelinev1.Entry // outcome, by the id of the request
	messages map[string]*timelinev1.Entry // latest receipt, by the provider's id
	// closed says why the channel takes no free text any more; empty where it does.
	closed string
}

// fatesOf reads entries, the oldest first.
func fatesOf(entries []*timelinev1.Entry) fates {
	f := fates{requests: map[string]*timelinev1.Entry{}, messages: map[string]*timelinev1.Entry{}}
	for _, e := range entries {
		c := e.GetContent()
		switch {
		case c.GetMessageSent() != nil:
			f.closed = ""
			if id := e.GetEvent().GetCausationId(); id != "" {
				f.requests[id] = e
			}
		case c.GetMessageReceived() != nil:
			f.closed = ""
		case c.GetMessageFailed() != nil:
			if c.GetMessageFailed().GetCode() == channel.CodeWindowClosed {
				f.closed = c.GetMessageFailed().GetReason()
			}
			if id := e.GetEvent().GetCausationId(); id != "" {
				f.requests[id] = e
			}
			f.receipt(c.GetMessageFailed().GetMessage(), e)
		case c.GetMessageDelivered() != nil:
			f.receipt(c.GetMessageDelivered().GetMessage(), e)
		case c.GetMessageRead() != nil:
			f.receipt(c.GetMessageRead().GetMessage(), e)
		}
	}
	return f
}

func (f fates) receipt(message string, e *timelinev1.Entry) {
	if message == "" {
		return
	}
	if known := f.messages[message]; known.GetContent().GetMessageRead() != nil && e.GetContent().GetMessageDelivered() != nil {
		return // a callback overtook another one
	}
	f.messages[message] = e
}

// shown leaves out the requests that stand there as messages, or whose outcome came later than these entries: unless these are the latest, and they are
// on their way. What was not sent stays, with its text.
func (f fates) shown(entries []*timelinev1.Entry, latest bool) (shown []*timelinev1.Entry) {
	for _, e := range entries {
		if e.GetContent().GetMessageSendRequested() != nil {
			outcome := f.requests[e.GetEvent().GetId()]
			if outcome == nil && !latest || outcome.GetContent().GetMessageSent() != nil {
				continue
			}
		}
		shown = append(shown, e)
	}
	return shown
}

// fateID is the id of the part of a page that says what became of a message: by the event of a request, by the provider's id of what was sent.
func fateID(e *timelinev1.Entry) string {
	if e.GetContent().GetMessageSendRequested() != nil {
		return "fate-" + e.GetEvent().GetId()
	}
	return "fate-" + e.GetContent().GetNativeId()
}

// of a message of the company's; empty of any other entry.
func (f fates) of(ctx context.Context, e *timelinev1.Entry) fate {
	switch {
	case e.GetContent().GetMessageSendRequested() != nil:
		if outcome := f.requests[e.GetEvent().GetId()]; outcome != nil {
			return failed(ctx, outcome)
		}
		return fate{"warn", lang.T(ctx, "Is being sent")}
	case e.GetContent().GetMessageSent() != nil:
		if receipt := f.messages[e.GetContent().GetNativeId()]; receipt != nil {
			return received(ctx, receipt)
		}
		return fate{"", lang.T(ctx, "Sent")}
	}
	return fate{}
}

// received is what a receipt says.
func received(ctx context.Context, receipt *timelinev1.Entry) fate {
	switch {
	case receipt.GetContent().GetMessageFailed() != nil:
		return failed(ctx, receipt)
	case receipt.GetContent().GetMessageRead() != nil:
		return fate{"good", lang.T(ctx, "Read")}
	}
	return fate{"good", lang.T(ctx, "Delivered")}
}

func failed(ctx context.Context, outcome *timelinev1.Entry) fate {
	if outcome.GetContent().GetMessageFailed().GetUnknown() {
		return fate{"warn", lang.T(ctx, "Perhaps not sent")}
	}
	return fate{"bad", lang.T(ctx, "Not sent")}
}

// files are where what belongs to entries is, and how their messages stand.
func files(f fates, names view.Names, people map[string]string) view.Files {
	files := content.Files()
	files.Names, files.People = names, people
	files.OldestFirst = true
	files.State = func(e *timelinev1.Entry) templ.Component { return fateMark(fateID(e), f, e) }
	return files
}

// latestKnown is how many events a stream remembers.
const latestKnown = 500

// teller tells a page what happens. It hears of an event by two watches, one of which may be late: so it remembers what became of a message, lest what
// was asked for be shown as on its way once more. It is safe for concurrent use.
type teller struct {
	names  view.Names
	people map[string]string // by their endpoints

	mu     sync.Mutex
	latest []*timelinev1.Entry
}

// tell sends what changes by an event.
func (t *teller) tell(e *timelinev1.Entry, news web.News, send func(web.News) error) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.latest = append(t.latest, e)
	t.latest = t.latest[max(0, len(t.latest)-latestKnown):]
	news.Parts = told(e, fatesOf(t.latest), t.names, t.people)
	return send(news)
}

// told are the parts of the page that change by an event that was filed just now.
func told(e *timelinev1.Entry, f fates, names view.Names, people map[string]string) []templ.Component {
	if f.requests[e.GetEvent().GetId()].GetContent().GetMessageSent() != nil {
		return nil // it stands there as the message that it became
	}
	changed := parts(view.NewEntry(entriesID, e, files(f, names, people)))
	c := e.GetContent()
	switch {
	case c.GetMessageSent() != nil, c.GetMessageReceived() != nil:
		if id := e.GetEvent().GetCausationId(); id != "" && c.GetMessageSent() != nil {
			changed = append(parts(view.Gone("e-"+id)), changed...)
		}
		changed = append(changed, window(""))
	case c.GetMessageFailed() != nil:
		changed = append(changed, receiptMark("fate-"+e.GetEvent().GetCausationId(), e), receiptMark("fate-"+c.GetMessageFailed().GetMessage(), e))
		if f.closed != "" {
			changed = append(changed, window(f.closed))
		}
	case c.GetMessageDelivered() != nil:
		changed = append(changed, receiptMark("fate-"+c.GetMessageDelivered().GetMessage(), e))
	case c.GetMessageRead() != nil:
		changed = append(changed, receiptMark("fate-"+c.GetMessageRead().GetMessage(), e))
	}
	return changed
}
