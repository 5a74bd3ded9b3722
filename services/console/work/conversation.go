package work

import (
	"context"
	"maps"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/skein-cx/skein/pkg/event"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	customerv1 "github.com/skein-cx/skein/proto/skein/customer/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// talk is what the page of a conversation shows.
type talk struct {
	*conversationv1.Conversation
	view.Names
	me     string
	people map[string]*customerv1.Customer
	// entries are the last ones, the oldest first, and older is the token of those before.
	entries []*timelinev1.Entry
	older   string
	watch   string // cursor
	// fates is what became of the messages among the entries.
	fates fates
	// others are the latest conversations of the same customer.
	others []*conversationv1.Work
}

// Name is what the customers of the conversation are called.
func (t *talk) name(ctx context.Context) string {
	var c *customerv1.Customer
	if ids := t.GetCustomerIds(); len(ids) > 0 {
		c = t.people[ids[0]]
	}
	return view.CustomerName(ctx, c)
}

func (p *Pages) conversation(c *web.Call) error {
	t, err := p.talk(c)
	if err != nil {
		return err
	}
	if t.GetId() != c.R.PathValue("conversation") {
		return c.GoTo(at(t.GetId())) // it goes by another id
	}
	name := t.name(c.Context())
	if t.GetSubject() != "" {
		name = t.GetSubject() + " · " + name
	}
	return c.Show(view.Page{Title: name, Section: view.Work}, talkPage(t))
}

// talk asks for all that the page shows, as much as possible at once.
func (p *Pages) talk(c *web.Call) (*talk, error) {
	id := c.R.PathValue("conversation")
	t := &talk{me: c.User.Agent}
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() error {
		answer, err := p.conversations.Get(ctx, &conversationv1.GetRequest{ConversationId: id})
		if err != nil {
			return err
		}
		t.Conversation, t.people = answer.GetConversation(), p.site.People(ctx, answer.GetConversation().GetCustomerIds())
		if len(t.GetCustomerIds()) == 0 {
			return nil
		}
		others, err := p.conversations.List(ctx, &conversationv1.ListRequest{
			Filter: &conversationv1.Filter{CustomerId: t.GetCustomerIds()[0], Statuses: append(statuses()["settled"], unsettled()...)},
			Order:  conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY, PageSize: onPage,
		})
		t.others = apart(others.GetWork(), t.GetId())
		return err
	})
	g.Go(func() error {
		answer, err := p.timelines.List(ctx, &timelinev1.ListRequest{ConversationId: id, PageSize: onPage})
		t.entries, t.older, t.watch = answer.GetEntries(), answer.GetNextPageToken(), answer.GetWatchCursor()
		return err
	})
	g.Go(func() error {
		t.Names = c.Names()
		return nil
	})
	if err := g.Wait(); err != nil {
		return nil, err
	}
	slices.Reverse(t.entries)
	unsent, err := p.outbox(c.Context(), t.Conversation)
	if err != nil {
		return nil, err
	}
	t.entries = withUnsent(t.entries, unsent.GetEntries())
	t.fates = fatesOf(t.entries)
	t.entries = t.fates.shown(t.entries, true)
	return t, nil
}

// outbox are the messages that somebody asked to send in the threads of a conversation behind its end. What is settled takes none of them in until one was
// sent, which begins an interaction of its own; whoever asked must see what became of it nevertheless.
func (p *Pages) outbox(ctx context.Context, c *conversationv1.Conversation) (*timelinev1.ListResponse, error) {
	t := talk{Conversation: c}
	req := &timelinev1.ListRequest{Types: outgoing(), From: c.GetLastActivityAt(), PageSize: onPage}
	for _, l := range t.lines() {
		req.ThreadIds = append(req.ThreadIds, l.GetThreadId())
	}
	if !t.isSettled() || len(req.GetThreadIds()) == 0 || len(req.GetThreadIds()) > mostThreads {
		return nil, nil //nolint:nilnil // there is none
	}
	return p.timelines.List(ctx, req)
}

// mostThreads is how many threads the API reads at once.
const mostThreads = 64

func outgoing() []string {
	return []string{event.TypeMessageSendRequested, event.TypeMessageSent, event.TypeMessageFailed}
}

// withUnsent adds what was asked for and not sent, the newest first, behind the entries of a conversation.
func withUnsent(entries, unsent []*timelinev1.Entry) []*timelinev1.Entry {
	known := map[string]bool{}
	for _, e := range entries {
		known[e.GetEvent().GetId()] = true
	}
	unsent = slices.Clone(unsent)
	slices.Reverse(unsent)
	f := fatesOf(unsent)
	for _, e := range f.shown(unsent, true) {
		if !known[e.GetEvent().GetId()] && e.GetContent().GetMessageSent() == nil {
			entries = append(entries, e)
		}
	}
	return entries
}

// followOutbox sends what becomes of messages in the threads of a conversation that is settled.
func (p *Pages) followOutbox(ctx context.Context, c *conversationv1.Conversation, told *teller, send func(web.News) error) error {
	unsent, err := p.outbox(ctx, c)
	if err != nil || unsent == nil {
		return err
	}
	for _, e := range withUnsent(nil, unsent.GetEntries()) {
		if err := told.tell(e, web.News{}, send); err != nil {
			return err
		}
	}
	t := talk{Conversation: c}
	req := &timelinev1.WatchRequest{Types: outgoing(), Cursor: unsent.GetWatchCursor()}
	for _, l := range t.lines() {
		req.ThreadIds = append(req.ThreadIds, l.GetThreadId())
	}
	watch, err := p.timelines.Watch(ctx, req)
	if err != nil {
		return err
	}
	return web.Each(watch, func(m *timelinev1.WatchResponse) error {
		if m.GetEntry() == nil {
			return nil
		}
		return told.tell(m.GetEntry(), web.News{}, send)
	})
}

func unsettled() []conversationv1.WorkStatus {
	return slices.Concat(statuses()["open"], statuses()["pending"], statuses()["snoozed"])
}

// apart are the conversations but for one, each once.
func apart(work []*conversationv1.Work, from string) []*conversationv1.Work {
	seen := map[string]bool{from: true}
	return slices.DeleteFunc(work, func(w *conversationv1.Work) bool {
		twice := seen[w.GetConversationId()]
		seen[w.GetConversationId()] = true
		return twice
	})
}

// voices are what the customers of a conversation are called, by their endpoints.
func (p *Pages) voices(ctx context.Context, c *conversationv1.Conversation) map[string]string {
	return view.ByEndpoint(ctx, maps.Values(p.site.People(ctx, c.GetCustomerIds())))
}

// older are the entries before those that the page shows.
func (p *Pages) older(c *web.Call) error {
	id := c.R.PathValue("conversation")
	answer, err := p.timelines.List(c.Context(), &timelinev1.ListRequest{ConversationId: id, PageSize: onPage, PageToken: c.Form("page")})
	if err != nil {
		return err
	}
	entries := answer.GetEntries()
	slices.Reverse(entries)
	now, err := p.conversations.Get(c.Context(), &conversationv1.GetRequest{ConversationId: id})
	if err != nil {
		return err
	}
	f := fatesOf(entries)
	drawn := files(f, c.Names(), p.voices(c.Context(), now.GetConversation()))
	return c.Parts(earlier(id, answer.GetNextPageToken()), view.Entries(f.shown(entries, false), drawn))
}

// conversationStream sends what happens in a conversation, and the conversation as it is then.
func (p *Pages) conversationStream(c *web.Call) error {
	id := c.R.PathValue("conversation")
	answer, err := p.conversations.Get(c.Context(), &conversationv1.GetRequest{ConversationId: id})
	if err != nil {
		return err
	}
	t := &talk{Names: c.Names(), me: c.User.Agent, people: map[string]*customerv1.Customer{}}
	told := &teller{names: t.Names, people: p.voices(c.Context(), answer.GetConversation())}
	return c.Stream(func(ctx context.Context, cursor string, send func(web.News) error) error {
		return together(ctx, send,
			func(ctx context.Context, send func(web.News) error) error {
				return p.followEntries(ctx, id, cursor, told, send)
			},
			func(ctx context.Context, send func(web.News) error) error { return p.followMatter(ctx, id, t, send) },
			func(ctx context.Context, send func(web.News) error) error {
				return p.followOutbox(ctx, answer.GetConversation(), told, send)
			},
		)
	})
}

func (p *Pages) followEntries(ctx context.Context, id, cursor string, told *teller, send func(web.News) error) error {
	watch, err := p.timelines.Watch(ctx, &timelinev1.WatchRequest{ConversationId: id, Cursor: cursor})
	if err != nil {
		return err
	}
	return web.Each(watch, func(m *timelinev1.WatchResponse) error {
		news := web.News{Cursor: m.GetCursor(), Again: m.GetReset_() != nil || m.GetScopeChanged() != nil}
		if m.GetEntry() == nil {
			return send(news)
		}
		return told.tell(m.GetEntry(), news, send)
	})
}

// followMatter sends the conversation as it is now, and then whenever it changes: so a page that was away catches up.
func (p *Pages) followMatter(ctx context.Context, id string, t *talk, send func(web.News) error) error {
	watch, err := p.conversations.Watch(ctx, &conversationv1.WatchRequest{ConversationId: id})
	if err != nil {
		return err
	}
	return web.Each(watch, func(m *conversationv1.WatchResponse) error {
		news := web.News{Again: m.GetReset_()}
		if m.GetConversation() != nil {
			t.Conversation = m.GetConversation()
			p.meet(ctx, t)
			news.Parts = parts(head(t), matter(t))
		}
		return send(news)
	})
}

// meet fetches the customers who are not known yet.
func (p *Pages) meet(ctx context.Context, t *talk) {
	var strangers []string
	for _, id := range t.GetCustomerIds() {
		if t.people[id] == nil {
			strangers = append(strangers, id)
		}
	}
	maps.Copy(t.people, p.site.People(ctx, strangers))
}

// line is a thread of the conversation in which an answer can be written.
type line struct {
	*conversationv1.Interaction
	// Chosen is the one that was active last.
	Chosen bool
}

// lines are the threads in which an answer can be written, each once, the latest first.
func (t *talk) lines() (all []line) {
	interactions := slices.Clone(t.GetInteractions())
	slices.SortStableFunc(interactions, func(a, b *conversationv1.Interaction) int {
		return b.GetLastActivityAt().AsTime().Compare(a.GetLastActivityAt().AsTime())
	})
	seen := map[string]bool{}
	for _, i := range interactions {
		if written(i.GetChannel()) && !seen[i.GetThreadId()] {
			seen[i.GetThreadId()] = true
			all = append(all, line{i, len(all) == 0})
		}
	}
	return all
}

// written tells the channels on which people write.
func written(c eventv1.Channel) bool {
	switch c {
	case eventv1.Channel_CHANNEL_WEB_CHAT, eventv1.Channel_CHANNEL_IN_APP, eventv1.Channel_CHANNEL_EMAIL, eventv1.Channel_CHANNEL_SMS,
		eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, eventv1.Channel_CHANNEL_SOCIAL_POST:
		return true
	case eventv1.Channel_CHANNEL_VOICE, eventv1.Channel_CHANNEL_VIDEO, eventv1.Channel_CHANNEL_TASK, eventv1.Channel_CHANNEL_UNSPECIFIED:
	}
	return false
}

func (t *talk) writesMail() bool {
	return slices.ContainsFunc(t.lines(), func(l line) bool { return l.GetChannel() == eventv1.Channel_CHANNEL_EMAIL })
}

// hasTemplates tells that a provider of the conversation may demand a template.
func (t *talk) hasTemplates() bool {
	return slices.ContainsFunc(t.lines(), func(l line) bool {
		return l.GetChannel() == eventv1.Channel_CHANNEL_SOCIAL_MESSAGE || l.GetChannel() == eventv1.Channel_CHANNEL_SMS
	})
}

// isSettled tells that nothing of the conversation is to be done.
func (t *talk) isSettled() bool { return settled(t.GetStatus()) }

// current is the interaction that a command is about: the one that was active last and is not settled, else the last one.
func (t *talk) current() (latest *conversationv1.Interaction) {
	for _, i := range t.GetInteractions() {
		switch {
		case latest == nil, settled(latest.GetStatus()) && !settled(i.GetStatus()):
			latest = i
		case settled(i.GetStatus()) == settled(latest.GetStatus()) && !i.GetLastActivityAt().AsTime().Before(latest.GetLastActivityAt().AsTime()):
			latest = i
		}
	}
	return latest
}

func (l line) name(ctx context.Context) string {
	name := view.ChannelName(ctx, l.GetChannel()) + " · " + l.GetInbox()
	if l.GetSubject() != "" {
		name += " · " + l.GetSubject()
	}
	return name + " · " + lang.Moment(ctx, l.GetLastActivityAt().AsTime())
}
