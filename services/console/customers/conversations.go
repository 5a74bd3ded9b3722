package customers

import (
	"context"
	"time"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// matter is a conversation: what is known of it from its interactions, the one that was active last first.
type matter struct {
	id           string
	interactions []*conversationv1.Interaction
}

// matters puts interactions together to conversations, in their order. Of a past moment it leaves out what had not begun.
func matters(work []*conversationv1.Work, asOf time.Time) (all []matter) {
	at := map[string]int{}
	for _, w := range work {
		if !asOf.IsZero() && w.GetInteraction().GetStartedAt().AsTime().After(asOf) {
			continue
		}
		i, seen := at[w.GetConversationId()]
		if !seen {
			i = len(all)
			at[w.GetConversationId()] = i
			all = append(all, matter{id: w.GetConversationId()})
		}
		all[i].interactions = append(all[i].interactions, w.GetInteraction())
	}
	return all
}

// latest is the interaction that says how things stand: one that is not settled, else the last.
func (m matter) latest() *conversationv1.Interaction {
	for _, i := range m.interactions {
		if s := i.GetStatus(); s != conversationv1.WorkStatus_WORK_STATUS_RESOLVED && s != conversationv1.WorkStatus_WORK_STATUS_CLOSED {
			return i
		}
	}
	return m.interactions[0]
}

func (m matter) channels() (all []eventv1.Channel) {
	for _, i := range m.interactions {
		all = withChannel(all, i.GetChannel())
	}
	return all
}

func (m matter) title(ctx context.Context) string {
	for _, i := range m.interactions {
		if i.GetSubject() != "" {
			return i.GetSubject()
		}
	}
	return view.ChannelName(ctx, m.interactions[0].GetChannel())
}

func (m matter) began() time.Time {
	first := m.interactions[0].GetStartedAt().AsTime()
	for _, i := range m.interactions {
		if t := i.GetStartedAt().AsTime(); t.Before(first) {
			first = t
		}
	}
	return first
}

func (m matter) active() time.Time { return m.interactions[0].GetLastActivityAt().AsTime() }

// whoHasIt is the agent who has it, or had it last, and the queue.
func (m matter) whoHasIt(names view.Names) string {
	i := m.latest()
	agent, said := i.GetAgent(), ""
	if all := i.GetAssignments(); agent == "" && len(all) > 0 {
		agent = all[len(all)-1].GetAgent()
	}
	if agent != "" {
		said = " · " + names.Agents.Name(i.GetProvider(), agent)
	}
	if i.GetQueue() != "" {
		said += " · " + names.Queues.Name(i.GetProvider(), i.GetQueue())
	}
	return said
}

func sameDay(ctx context.Context, a, b time.Time) bool { return lang.Date(ctx, a) == lang.Date(ctx, b) }

// target is the one that is looked at: the next that counts, else one that was missed; nil for none.
func (m matter) target() (next *conversationv1.Sla) {
	for _, i := range m.interactions {
		for _, s := range i.GetSlas() {
			switch {
			case s.GetState() == conversationv1.SlaState_SLA_STATE_ACTIVE:
				if next.GetState() != conversationv1.SlaState_SLA_STATE_ACTIVE || s.GetDueAt().AsTime().Before(next.GetDueAt().AsTime()) {
					next = s
				}
			case s.GetState() == conversationv1.SlaState_SLA_STATE_MISSED && next == nil:
				next = s
			}
		}
	}
	return next
}

// moreConversations are those behind the ones that the page shows.
func (p *Pages) moreConversations(c *web.Call) error {
	asOf, err := c.Moment("as_of")
	if err != nil {
		return err
	}
	work, err := p.worked(c.Context(), c.R.PathValue("customer"), c.Form("page"), onPage)
	if err != nil {
		return err
	}
	files := view.Files{Names: c.Names()}
	return c.Parts(cards(matterPage{
		customer: c.R.PathValue("customer"), matters: matters(work.GetWork(), asOf), names: files.Names, asOf: asOf, next: work.GetNextPageToken(),
	}))
}

// conversation are the entries of one, as they happened.
func (p *Pages) conversation(c *web.Call) error {
	answer, files, err := p.further(c, &timelinev1.ListRequest{
		ConversationId: c.R.PathValue("conversation"), PageSize: onPage, Order: timelinev1.Order_ORDER_OLDEST_FIRST,
	})
	if err != nil {
		return err
	}
	files.OldestFirst = true
	return c.Parts(conversationEntries(c.R.PathValue("customer"), c.R.PathValue("conversation"), c.Form("as_of"), answer, files, c.Form("page") == ""))
}

type matterPage struct {
	customer, next, open string
	matters              []matter
	names                view.Names
	asOf                 time.Time
}
