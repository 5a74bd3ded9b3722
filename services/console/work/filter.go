package work

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// What an address says instead of an agent's id.
const (
	me     = "me"
	nobody = "none"
)

// selection is which work is listed and in which order, as the address of the page says it.
type selection struct {
	// Status is that of the work, or settled for resolved and closed; empty for all that is not settled.
	Status string
	// Agent is an id, or me or none.
	Agent                              string
	Queue, Inbox, Channel, Tag, Person string
	// Due is missed, or a duration within which a target is due.
	Due   string
	Order string
}

func selected(q url.Values) selection {
	text := func(name string) string { return strings.TrimSpace(q.Get(name)) }
	return selection{
		Status: text("status"), Agent: text("agent"), Queue: text("queue"), Inbox: text("inbox"), Channel: text("channel"), Tag: text("tag"),
		Person: text("customer"), Due: text("due"), Order: text("order"),
	}
}

// at is the address of the list with the selection.
func (s selection) at() string { return view.With(view.Work.Path(), s.pairs()...) }

// pairs are the selection as parameters of an address.
func (s selection) pairs() []string {
	return []string{
		"status", s.Status, "agent", s.Agent, "queue", s.Queue, "inbox", s.Inbox, "channel", s.Channel, "tag", s.Tag, "customer", s.Person,
		"due", s.Due, "order", s.Order,
	}
}

// unordered is the same work in no order.
func (s selection) unordered() selection {
	all := s
	all.Order = ""
	return all
}

// plain tells that nothing but the order was chosen.
func (s selection) plain() bool {
	return s.unordered() == selection{}
}

func statuses() map[string][]conversationv1.WorkStatus {
	return map[string][]conversationv1.WorkStatus{
		"":         nil,
		"open":     {conversationv1.WorkStatus_WORK_STATUS_OPEN},
		"pending":  {conversationv1.WorkStatus_WORK_STATUS_PENDING},
		"snoozed":  {conversationv1.WorkStatus_WORK_STATUS_SNOOZED},
		"resolved": {conversationv1.WorkStatus_WORK_STATUS_RESOLVED},
		"closed":   {conversationv1.WorkStatus_WORK_STATUS_CLOSED},
		"settled":  {conversationv1.WorkStatus_WORK_STATUS_RESOLVED, conversationv1.WorkStatus_WORK_STATUS_CLOSED},
	}
}

func orders() map[string]conversationv1.WorkOrder {
	return map[string]conversationv1.WorkOrder{
		"":        conversationv1.WorkOrder_WORK_ORDER_UNSPECIFIED,
		"due":     conversationv1.WorkOrder_WORK_ORDER_DUE,
		"oldest":  conversationv1.WorkOrder_WORK_ORDER_OLDEST,
		"latest":  conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY,
		"waiting": conversationv1.WorkOrder_WORK_ORDER_WAITING,
	}
}

// channels are those that work comes on, by their names in an address, in the order of the menu.
func channels() []eventv1.Channel {
	return []eventv1.Channel{
		eventv1.Channel_CHANNEL_VOICE, eventv1.Channel_CHANNEL_VIDEO, eventv1.Channel_CHANNEL_WEB_CHAT, eventv1.Channel_CHANNEL_IN_APP,
		eventv1.Channel_CHANNEL_EMAIL, eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, eventv1.Channel_CHANNEL_SOCIAL_POST, eventv1.Channel_CHANNEL_SMS,
		eventv1.Channel_CHANNEL_TASK,
	}
}

// dueMoment is the moment before which a target must be due: times are told to the minute, so that the pages of a list ask for the same.
func (s selection) dueMoment(now time.Time) (*timestamppb.Timestamp, error) {
	within, err := time.ParseDuration(s.Due)
	if err != nil || within < 0 {
		return nil, fmt.Errorf("due %q is no duration", s.Due)
	}
	return timestamppb.New(now.Add(within).Truncate(time.Minute)), nil
}

// filter is the selection as the API takes it. Someone who acts as no agent has no work of their own: none tells that.
func (s selection) filter(ctx context.Context, h view.Names, agent string, now time.Time) (f *conversationv1.Filter, none bool, err error) {
	f = &conversationv1.Filter{CustomerId: s.Person}
	var known bool
	if f.Statuses, known = statuses()[s.Status]; !known {
		return nil, false, web.Bad(lang.T(ctx, "There is no status %q.", s.Status))
	}
	if _, known = orders()[s.Order]; !known {
		return nil, false, web.Bad(lang.T(ctx, "There is no order %q.", s.Order))
	}
	switch s.Agent {
	case "":
	case nobody:
		f.Unassigned = true
	case me:
		if agent == "" {
			return f, true, nil
		}
		f.Agents = h.Agents.Aliases(agent)
	default:
		f.Agents = h.Agents.Aliases(s.Agent)
	}
	if s.Queue != "" {
		f.Queues = h.Queues.Aliases(s.Queue)
	}
	if s.Inbox != "" {
		f.Inboxes = []string{s.Inbox}
	}
	if s.Tag != "" {
		f.Tags = []string{s.Tag}
	}
	if s.Channel != "" {
		i := slices.IndexFunc(channels(), func(c eventv1.Channel) bool { return view.ChannelKey(c) == s.Channel })
		if i < 0 {
			return nil, false, web.Bad(lang.T(ctx, "There is no channel %q.", s.Channel))
		}
		f.Channels = []eventv1.Channel{channels()[i]}
	}
	switch s.Due {
	case "":
	case "missed":
		f.Breached = true
	default:
		if f.DueBefore, err = s.dueMoment(now); err != nil {
			return nil, false, web.Bad(lang.T(ctx, "Write within what time it is due as 30m or 4h."))
		}
	}
	return f, false, nil
}

// rank is where work stands in an order, as text that sorts backwards: the page's lists begin with the greatest. It is the order of the API.
func rank(i *conversationv1.Interaction, order conversationv1.WorkOrder) string {
	const last = math.MaxInt64
	moment := func(t *timestamppb.Timestamp) int64 {
		if t == nil {
			return last
		}
		return t.AsTime().UnixNano()
	}
	by := [3]int64{}
	switch order {
	case conversationv1.WorkOrder_WORK_ORDER_UNSPECIFIED:
		by = [3]int64{moment(clock(i).GetDueAt()), cmp.Or(int64(i.GetPriority()), last), moment(i.GetWaitingSince())}
	case conversationv1.WorkOrder_WORK_ORDER_DUE:
		by[0] = moment(clock(i).GetDueAt())
	case conversationv1.WorkOrder_WORK_ORDER_OLDEST:
		by[0] = moment(i.GetStartedAt())
	case conversationv1.WorkOrder_WORK_ORDER_LATEST_ACTIVITY:
		by[0] = last - moment(i.GetLastActivityAt())
	case conversationv1.WorkOrder_WORK_ORDER_WAITING:
		by[0] = moment(i.GetWaitingSince())
	}
	var text strings.Builder
	for _, n := range by {
		fmt.Fprintf(&text, "%019d", last-max(n, 0))
	}
	return text.String()
}

// clock is the target that counts, or the first that is missed and not done; nil where there is none.
func clock(i *conversationv1.Interaction) (next *conversationv1.Sla) {
	for _, s := range i.GetSlas() {
		missed := s.GetState() == conversationv1.SlaState_SLA_STATE_MISSED && s.GetDoneAt() == nil && !settled(i.GetStatus())
		if s.GetDueAt() == nil || s.GetState() != conversationv1.SlaState_SLA_STATE_ACTIVE && !missed {
			continue
		}
		if next == nil || s.GetDueAt().AsTime().Before(next.GetDueAt().AsTime()) {
			next = s
		}
	}
	return next
}

// breached tells that a target was missed.
func breached(i *conversationv1.Interaction) bool {
	return slices.ContainsFunc(i.GetSlas(), func(s *conversationv1.Sla) bool { return s.GetState() == conversationv1.SlaState_SLA_STATE_MISSED })
}

func settled(s conversationv1.WorkStatus) bool {
	return s == conversationv1.WorkStatus_WORK_STATUS_RESOLVED || s == conversationv1.WorkStatus_WORK_STATUS_CLOSED
}
