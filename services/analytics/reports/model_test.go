package reports_test

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

// asked is what a report is asked for, as the model takes it.
type asked struct {
	metrics     []string
	group       []string
	filters     []*analyticsv1.Filter
	from, until time.Time
	step        analyticsv1.Step
	zone        *time.Location
	attribution analyticsv1.Attribution
	then        bool
	history     bool
	now         time.Time

	within                                       *time.Duration // nil: the target in force
	short, repeat                                time.Duration
	countShort, withoutFlows, withoutDeflections bool
	queuedOnly                                   bool
	satisfied                                    float64
}

// item is a thing that counts: when, with what, and where it belongs.
type item struct {
	at       *time.Time
	end      *time.Time // when its interaction ended
	add      float64
	who      string
	dims     map[string][]string
	backfill bool
	split    []piece // its time, where it is split by real time
	always   bool    // split whatever the attribution
}

// piece is a stretch of time that counts so many times.
type piece struct {
	from, until time.Time
	times       float64
}

// result is numerator and denominator.
type result struct{ numerator, denominator float64 }

const sep = "\x1f"

// label names the interval in which a moment lies, by the clock on the wall.
func (a asked) label(at time.Time) string {
	local := at.In(a.zone)
	switch a.step {
	case analyticsv1.Step_STEP_QUARTER:
		return local.Format("2006-01-02 15:") + strconv.Itoa(local.Minute()/15) + local.Format("-0700")
	case analyticsv1.Step_STEP_HALF_HOUR:
		return local.Format("2006-01-02 15:") + strconv.Itoa(local.Minute()/30) + local.Format("-0700")
	case analyticsv1.Step_STEP_HOUR:
		return local.Format("2006-01-02 15-0700")
	case analyticsv1.Step_STEP_DAY:
		return local.Format("2006-01-02")
	case analyticsv1.Step_STEP_WEEK:
		year, week := local.ISOWeek()
		return fmt.Sprint(year, "W", week)
	case analyticsv1.Step_STEP_MONTH:
		return local.Format("2006-01")
	default:
		return ""
	}
}

func (f *facts) lookUp(kind, provider, word string, at time.Time) string {
	for _, p := range []string{provider, ""} {
		for _, n := range f.natives {
			if n.Kind == kind && n.Provider == p && n.Native == word && !at.Before(n.ValidFrom) && at.Before(n.ValidUntil) {
				return n.ID
			}
		}
	}
	return word
}

func (f *facts) teams(agent string, at time.Time) []string {
	for _, e := range f.entries {
		if e.Kind == "agent" && e.ID == agent && !at.Before(e.ValidFrom) && at.Before(e.ValidUntil) {
			return e.Teams
		}
	}
	return nil
}

func (f *facts) customer(endpoint uuid.UUID, at time.Time) uuid.UUID {
	for _, l := range f.links {
		if l.Endpoint == endpoint && !at.Before(l.ValidFrom) && at.Before(l.ValidUntil) {
			return l.Customer
		}
	}
	return endpoint
}

func (f *facts) find(id uuid.UUID) (i interaction) {
	for _, i := range f.interactions {
		if i.Interaction == id {
			return i
		}
	}
	return i
}

// during is the interaction of a thread that had begun last.
func (f *facts) during(thread uuid.UUID, at time.Time) (found interaction) {
	for _, i := range f.interactions {
		if i.Thread == thread && !i.StartedAt.After(at) && (found.Thread == uuid.Nil || i.StartedAt.After(found.StartedAt)) {
			found = i
		}
	}
	return found
}

func known(id uuid.UUID) string {
	if id == uuid.Nil {
		return ""
	}
	return id.String()
}

func level(reason []string, n int) string {
	if len(reason) < n {
		return ""
	}
	return reason[n-1]
}

// who is an interaction's customer.
func (a asked) who(f *facts, i interaction) string {
	if a.then {
		return known(i.CustomerThen)
	}
	return known(f.customer(i.Endpoint, i.StartedAt))
}

// of are the dimensions of an interaction; of none, all are empty.
func (a asked) of(f *facts, i interaction) map[string][]string {
	agent, queue := i.Agent, i.Queue
	if i.Interaction != uuid.Nil {
		agent, queue = f.lookUp("agent", i.Provider, i.Agent, i.LastActivityAt), f.lookUp("queue", i.Provider, i.Queue, i.LastActivityAt)
	}
	return map[string][]string{
		"channel": {i.Channel}, "provider": {i.Provider}, "inbox": {i.Inbox}, "direction": {i.Direction}, "origin": {i.Origin},
		"language": {i.Language}, "queue": {queue}, "agent": {agent}, "team": f.teams(agent, i.LastActivityAt),
		"contact_reason": {level(i.ContactReason, 1)}, "contact_reason_2": {level(i.ContactReason, 2)}, "contact_reason_3": {level(i.ContactReason, 3)},
		"tag": i.Tags, "disposition": {i.Disposition}, "end_reason": {i.EndReason}, "bot": {i.Bot}, "customer": {a.who(f, i)},
	}
}

func with(dims map[string][]string, pairs ...string) map[string][]string {
	for pair := range slices.Chunk(pairs, 2) {
		dims[pair[0]] = pair[1:]
	}
	return dims
}

func (a asked) interactions(f *facts, at func(interaction) *time.Time, where func(interaction) bool, add func(interaction) float64) (all []item) {
	for _, i := range f.interactions {
		if when := at(i); when != nil && where(i) {
			n := 1.0
			if add != nil {
				n = add(i)
			}
			all = append(all, item{at: when, end: i.EndedAt, add: n, who: a.who(f, i), dims: a.of(f, i), backfill: i.Backfill})
		}
	}
	return all
}

func (a asked) visits(f *facts, at func(visit) *time.Time, where func(visit) bool, wait bool) (all []item) {
	for _, v := range f.visits {
		when := at(v)
		if when == nil || !where(v) {
			continue
		}
		ended := v.EnteredAt
		if v.LeftAt != nil {
			ended = *v.LeftAt
		}
		agent := f.lookUp("agent", v.Provider, v.Agent, ended)
		n := 1.0
		if wait {
			n = float64(v.WaitMs)
		}
		dims := with(a.of(f, f.find(v.Interaction)), "channel", v.Channel, "provider", v.Provider, "inbox", v.Inbox, "origin", v.Origin,
			"direction", v.Direction, "language", v.Language, "agent", agent, "queue", f.lookUp("queue", v.Provider, v.Queue, v.EnteredAt))
		dims["team"] = f.teams(agent, v.EnteredAt)
		if !a.then {
			dims["customer"] = []string{known(f.customer(v.Endpoint, v.EnteredAt))}
		}
		all = append(all, item{at: when, end: v.InteractionEndedAt, add: n, dims: dims, backfill: v.Backfill})
	}
	return all
}

func (a asked) assigned(f *facts, at func(assignment) *time.Time, where func(assignment) bool, add func(assignment) float64, split func(assignment) []piece) (all []item) {
	for _, s := range f.assignments {
		when := at(s)
		if when == nil || !where(s) {
			continue
		}
		agent := f.lookUp("agent", s.Provider, s.Agent, s.BegunAt)
		i := item{at: when, end: s.InteractionEndedAt, add: 1, backfill: s.Backfill}
		if add != nil {
			i.add = add(s)
		}
		if split != nil {
			i.split = split(s)
		}
		i.dims = with(a.of(f, f.find(s.Interaction)), "channel", s.Channel, "provider", s.Provider, "inbox", s.Inbox, "origin", s.Origin,
			"direction", s.Direction, "language", s.Language, "agent", agent, "queue", f.lookUp("queue", s.Provider, s.Queue, s.BegunAt),
			"disposition", s.Disposition, "end_reason", s.EndReason)
		i.dims["team"] = f.teams(agent, s.BegunAt)
		if !a.then {
			i.dims["customer"] = []string{known(f.customer(s.Endpoint, s.BegunAt))}
		}
		all = append(all, i)
	}
	return all
}

func (a asked) answers(f *facts, where func(survey) bool, add func(share float64) float64) (all []item) {
	for _, s := range f.surveys {
		if !where(s) {
			continue
		}
		i := f.find(s.Interaction)
		if s.Interaction == uuid.Nil {
			i = f.during(s.Thread, s.OccurredAt)
		}
		dims := with(a.of(f, i), "channel", s.Channel, "provider", s.Provider, "inbox", s.Inbox, "survey", s.Survey)
		dims["driver"] = s.Drivers
		for _, rated := range f.assignments {
			if rated.Assignment == s.Assignment {
				agent := f.lookUp("agent", rated.Provider, rated.Agent, rated.BegunAt)
				with(dims, "agent", agent, "queue", f.lookUp("queue", rated.Provider, rated.Queue, rated.BegunAt))
				dims["team"] = f.teams(agent, rated.BegunAt)
			}
		}
		n := 1.0
		if add != nil {
			n = add((s.Score - s.ScaleMin) / (s.ScaleMax - s.ScaleMin))
		}
		all = append(all, item{at: &s.OccurredAt, end: i.EndedAt, add: n, dims: dims, backfill: s.Backfill})
	}
	return all
}

func (a asked) spent(f *facts, where func(s agentState, busy bool) bool) (all []item) {
	for _, s := range f.states {
		if !where(s, s.OnContact && s.PresenceType != "offline") {
			continue
		}
		end := s.EndedAt
		if end.After(a.now) {
			end = a.now
		}
		all = append(all, item{
			split: []piece{{s.StartedAt, end, 1}}, always: true,
			dims: map[string][]string{
				"agent": {s.Agent}, "team": f.teams(s.Agent, s.StartedAt), "presence": {s.Presence}, "presence_type": {s.PresenceType},
			},
		})
	}
	return all
}

func (a asked) targets(f *facts, metric string, hitOnly bool) (all []item) {
	for _, s := range f.targets {
		at := s.DoneAt
		if s.State == "missed" {
			at = s.DueAt
		}
		if s.Metric != metric || s.State != "hit" && (s.State != "missed" || hitOnly) {
			continue
		}
		i := f.find(s.Interaction)
		all = append(all, item{
			at: at, end: i.EndedAt, add: 1, backfill: s.Backfill,
			dims: with(a.of(f, i), "channel", s.Channel, "provider", s.Provider, "inbox", s.Inbox, "queue", f.lookUp("queue", s.Provider, s.Queue, s.Since)),
		})
	}
	return all
}

// contacts are the inbound interactions of customers, with the time since the one before and to the one behind of the same matter.
func (a asked) contacts(f *facts, where func(i interaction, since, to *time.Duration) bool) []item {
	return a.interactions(f, func(i interaction) *time.Time { return &i.StartedAt }, func(i interaction) bool {
		if i.Direction != "inbound" || i.Endpoint == uuid.Nil {
			return false
		}
		var since, to *time.Duration
		for _, o := range f.interactions {
			if o.Interaction == i.Interaction || o.Direction != "inbound" || o.Endpoint == uuid.Nil || o.Backfill && !a.history ||
				a.who(f, o) != a.who(f, i) || level(o.ContactReason, 1) != level(i.ContactReason, 1) {
				continue
			}
			if d := i.StartedAt.Sub(o.StartedAt); d > 0 && (since == nil || d < *since) {
				since = &d
			}
			if d := o.StartedAt.Sub(i.StartedAt); d > 0 && (to == nil || d < *to) {
				to = &d
			}
		}
		return where(i, since, to)
	}, nil)
}

// halves are what the metric divides, by the definitions.
func (a asked) halves(f *facts, metric string) (numerator, denominator []item) { //nolint:gocyclo,maintidx // one case a metric
	started := func(i interaction) *time.Time { return &i.StartedAt }
	every := func(interaction) bool { return true }
	left := func(v visit) *time.Time { return v.LeftAt }
	entered := func(v visit) *time.Time { return &v.EnteredAt }
	outcome := func(of ...string) func(visit) bool {
		return func(v visit) bool { return slices.Contains(of, v.Outcome) }
	}
	all := func(visit) bool { return true }
	over := func(s assignment) *time.Time {
		if s.EndedAt == nil {
			return nil
		}
		if s.WrapupEndedAt != nil && s.WrapupEndedAt.After(*s.EndedAt) {
			return s.WrapupEndedAt
		}
		return s.EndedAt
	}
	handled := func(s assignment) bool { return s.Handled }
	handledItems := func(add func(assignment) float64, talk, hold, acw float64) []item {
		return a.assigned(f, over, handled, add, func(s assignment) (all []piece) {
			all = append(all, piece{*s.ConnectedAt, *s.EndedAt, talk})
			for _, h := range s.held {
				all = append(all, piece{h[0], h[1], hold - talk})
			}
			for _, p := range s.paused {
				all = append(all, piece{p[0], p[1], -talk})
			}
			if s.WrapupStartedAt != nil {
				all = append(all, piece{*s.WrapupStartedAt, *s.WrapupEndedAt, acw})
			}
			return all
		})
	}
	counted := a.assigned(f, over, handled, nil, nil)
	offered := func(s assignment) *time.Time { return s.OfferedAt }
	declined := func(s assignment) *time.Time { return s.DeclinedAt }
	each := func(assignment) bool { return true }
	timedOut := func(s assignment) bool { return s.DeclineReason == "timed_out" }
	signedIn := func(s agentState) bool { return s.PresenceType == "routable" || s.PresenceType == "custom" }
	idle := func(s agentState, busy bool) bool { return s.RoutingStatus == "idle" && !busy }
	ever := func(i interaction) *time.Time {
		if i.ResolvedAt != nil {
			return i.ResolvedAt
		}
		return i.ReopenedAt
	}
	resolved := func(i interaction) *time.Time { return i.ResolvedAt }
	near := func(d *time.Duration) bool { return d != nil && *d <= a.repeat }
	scored := func(metric string) func(survey) bool {
		return func(s survey) bool { return s.Answered && s.Metric == metric && s.ScaleMax > s.ScaleMin }
	}
	switch metric {
	case "interactions":
		return a.interactions(f, started, every, nil), nil
	case "messages_in", "messages_out":
		for _, m := range f.messages {
			if m.Type != map[string]string{"messages_in": "message.received", "messages_out": "message.sent"}[metric] {
				continue
			}
			i := f.during(m.Thread, m.OccurredAt)
			numerator = append(numerator, item{
				at: &m.OccurredAt, end: i.EndedAt, add: 1, backfill: m.Backfill,
				dims: with(a.of(f, i), "channel", m.Channel, "provider", m.Provider, "inbox", m.Inbox),
			})
		}
		return numerator, nil
	case "customers":
		return a.interactions(f, started, func(i interaction) bool { return i.Endpoint != uuid.Nil }, nil), nil
	case "complaints":
		return a.interactions(f, started, func(i interaction) bool { return i.Complaint }, nil), nil
	case "complaint_rate":
		return a.interactions(f, started, func(i interaction) bool { return i.Complaint }, nil), a.interactions(f, started, every, nil)
	case "offered":
		return a.visits(f, entered, all, false), nil
	case "answered":
		return a.visits(f, left, outcome("answered"), false), nil
	case "abandoned":
		return a.visits(f, left, outcome("abandoned"), false), nil
	case "short_abandoned":
		return a.visits(f, left, func(v visit) bool { return v.Outcome == "abandoned" && v.WaitMs <= a.short.Milliseconds() }, false), nil
	case "abandon_rate":
		return a.visits(f, left, outcome("abandoned"), false), a.visits(f, entered, func(v visit) bool { return !a.queuedOnly || v.Outcome != "callback" }, false)
	case "service_level":
		queued := func(v visit) bool {
			switch v.Outcome {
			case "abandoned":
				return a.countShort || v.WaitMs > a.short.Milliseconds()
			case "overflowed", "transferred":
				return !a.withoutFlows
			case "voicemail", "callback":
				return !a.withoutDeflections
			}
			return true
		}
		return a.visits(f, left, func(v visit) bool {
			within := int64(20_000)
			if v.SLATargetMs > 0 {
				within = v.SLATargetMs
			}
			if a.within != nil {
				within = a.within.Milliseconds()
			}
			return v.Outcome == "answered" && v.WaitMs <= within
		}, false), a.visits(f, left, queued, false)
	case "asa":
		return a.visits(f, left, outcome("answered"), true), a.visits(f, left, outcome("answered"), false)
	case "average_abandon_time":
		return a.visits(f, left, outcome("abandoned"), true), a.visits(f, left, outcome("abandoned"), false)
	case "longest_wait":
		return a.visits(f, left, all, true), nil
	case "handled":
		return counted, nil
	case "aht":
		return handledItems(func(s assignment) float64 { return float64(s.HandleMs) }, 1, 1, 1), counted
	case "handle_time":
		return handledItems(func(s assignment) float64 { return float64(s.HandleMs) }, 1, 1, 1), nil
	case "average_talk_time":
		return handledItems(func(s assignment) float64 { return float64(s.TalkMs) }, 1, 0, 0), counted
	case "talk_time":
		return handledItems(func(s assignment) float64 { return float64(s.TalkMs) }, 1, 0, 0), nil
	case "average_hold_time":
		return handledItems(func(s assignment) float64 { return float64(s.HoldMs) }, 0, 1, 0), counted
	case "hold_time":
		return handledItems(func(s assignment) float64 { return float64(s.HoldMs) }, 0, 1, 0), nil
	case "average_acw_time":
		return handledItems(func(s assignment) float64 { return float64(s.WrapupMs) }, 0, 0, 1), counted
	case "acw_time":
		return handledItems(func(s assignment) float64 { return float64(s.WrapupMs) }, 0, 0, 1), nil
	case "average_holds":
		return a.assigned(f, over, handled, func(s assignment) float64 { return float64(s.Holds) }, nil), counted
	case "agent_offers":
		return a.assigned(f, offered, each, nil, nil), nil
	case "declined":
		return a.assigned(f, declined, each, nil, nil), nil
	case "decline_rate":
		return a.assigned(f, declined, each, nil, nil), a.assigned(f, offered, each, nil, nil)
	case "not_answered":
		return a.assigned(f, declined, timedOut, nil, nil), nil
	case "not_answered_rate":
		return a.assigned(f, declined, timedOut, nil, nil), a.assigned(f, offered, each, nil, nil)
	case "transfers":
		return a.interactions(f, started, every, func(i interaction) float64 { return float64(i.Transfers) }), nil
	case "transfer_rate":
		return a.interactions(f, started, func(i interaction) bool { return i.Connected > 0 && i.Transfers > 0 }, nil),
			a.interactions(f, started, func(i interaction) bool { return i.Connected > 0 }, nil)
	case "occupancy":
		return a.spent(f, func(_ agentState, busy bool) bool { return busy }), a.spent(f, func(s agentState, busy bool) bool { return busy || idle(s, busy) })
	case "utilisation":
		return a.spent(f, func(s agentState, busy bool) bool { return busy && signedIn(s) }), a.spent(f, func(s agentState, _ bool) bool { return signedIn(s) })
	case "on_contact_time":
		return a.spent(f, func(_ agentState, busy bool) bool { return busy }), nil
	case "idle_time":
		return a.spent(f, idle), nil
	case "signed_in_time":
		return a.spent(f, func(s agentState, _ bool) bool { return signedIn(s) }), nil
	case "available_time":
		return a.spent(f, func(s agentState, _ bool) bool { return s.PresenceType == "routable" }), nil
	case "break_time":
		return a.spent(f, func(s agentState, _ bool) bool { return s.PresenceType == "custom" }), nil
	case "first_response_time":
		has := func(i interaction) bool { return i.FirstResponseMs != nil }
		at := func(i interaction) *time.Time { return i.FirstResponseAt }
		return a.interactions(f, at, has, func(i interaction) float64 { return float64(*i.FirstResponseMs) }), a.interactions(f, at, has, nil)
	case "resolution_time":
		has := func(i interaction) bool { return i.ResolutionMs != nil }
		return a.interactions(f, resolved, has, func(i interaction) float64 { return float64(*i.ResolutionMs) }), a.interactions(f, resolved, has, nil)
	case "resolved":
		return a.interactions(f, resolved, every, nil), nil
	case "reopened":
		return a.interactions(f, func(i interaction) *time.Time { return i.ReopenedAt }, func(i interaction) bool { return i.Reopened > 0 }, nil), nil
	case "reopened_rate":
		return a.interactions(f, ever, func(i interaction) bool { return i.Reopened > 0 }, nil), a.interactions(f, ever, every, nil)
	case "sla_first_response":
		return a.targets(f, "first_response", true), a.targets(f, "first_response", false)
	case "sla_next_response":
		return a.targets(f, "next_response", true), a.targets(f, "next_response", false)
	case "sla_resolution":
		return a.targets(f, "resolution", true), a.targets(f, "resolution", false)
	case "fcr":
		return a.contacts(f, func(i interaction, since, to *time.Duration) bool {
			return !near(since) && !near(to) && i.ResolvedAt != nil && i.Reopened == 0
		}), a.contacts(f, func(_ interaction, since, _ *time.Duration) bool { return !near(since) })
	case "repeat_contacts":
		return a.contacts(f, func(_ interaction, since, _ *time.Duration) bool { return near(since) }), nil
	case "repeat_rate":
		return a.contacts(f, func(_ interaction, since, _ *time.Duration) bool { return near(since) }),
			a.contacts(f, func(interaction, *time.Duration, *time.Duration) bool { return true })
	case "containment":
		return a.interactions(f, func(i interaction) *time.Time { return i.BotEndedAt }, func(i interaction) bool { return i.Contained }, nil),
			a.interactions(f, func(i interaction) *time.Time { return i.BotStartedAt }, every, nil)
	case "surveys_sent":
		return a.answers(f, func(s survey) bool { return !s.Answered }, nil), nil
	case "surveys_answered":
		return a.answers(f, func(s survey) bool { return s.Answered }, nil), nil
	case "response_rate":
		return a.answers(f, func(s survey) bool { return s.Answered }, nil), a.answers(f, func(s survey) bool { return !s.Answered }, nil)
	case "csat":
		return a.answers(f, func(s survey) bool {
			return scored("csat")(s) && (s.Score-s.ScaleMin)/(s.ScaleMax-s.ScaleMin) >= a.satisfied
		}, nil), a.answers(f, scored("csat"), nil)
	case "csat_score", "ces":
		of, _, _ := strings.Cut(metric, "_")
		return a.answers(f, scored(of), func(share float64) float64 { return share }), a.answers(f, scored(of), nil)
	case "nps":
		return a.answers(f, scored("nps"), func(share float64) float64 {
			switch {
			case share >= 0.9:
				return 100
			case share < 0.7:
				return -100
			default:
				return 0
			}
		}), a.answers(f, scored("nps"), nil)
	}
	panic("the model has no metric " + metric)
}

// fits tells whether something with these dimensions passes the filters.
func (a asked) fits(dims map[string][]string) bool {
	for _, filter := range a.filters {
		of := dims[filter.GetDimension()]
		if len(of) == 0 {
			of = []string{""}
		}
		if slices.ContainsFunc(of, func(v string) bool { return slices.Contains(filter.GetValues(), v) }) == filter.GetExclude() {
			return false
		}
	}
	return true
}

// keys are the groups in which something counts.
func (a asked) keys(dims map[string][]string) []string {
	all := []string{""}
	for _, name := range a.group {
		of := dims[name]
		if len(of) == 0 {
			of = []string{""}
		}
		var next []string
		for _, prefix := range all {
			for _, v := range of {
				next = append(next, prefix+sep+v)
			}
		}
		all = next
	}
	return all
}

// totalKey is the key of the total.
const totalKey = "total"

// each yields what counts, by its key: those of its rows and that of the total.
func (a asked) each(items []item, yield func(key string, add float64, who string)) {
	count := func(at time.Time, add float64, i item) {
		if at.Before(a.from) || !at.Before(a.until) {
			return
		}
		local := at.In(a.zone)
		dims := map[string][]string{"weekday": {strconv.Itoa((int(local.Weekday())+6)%7 + 1)}, "hour": {strconv.Itoa(local.Hour())}}
		maps.Copy(dims, i.dims)
		if !a.fits(dims) {
			return
		}
		yield(totalKey, add, i.who)
		for _, key := range a.keys(dims) {
			yield(a.label(at)+key, add, i.who)
		}
	}
	for _, i := range items {
		switch {
		case i.backfill && !a.history:
		case i.always, i.split != nil && a.attribution == analyticsv1.Attribution_ATTRIBUTION_REAL_TIME:
			for _, p := range i.split {
				a.quarters(p, func(from, until time.Time) { count(from, p.times*float64(until.Sub(from).Milliseconds()), i) })
			}
		case a.attribution == analyticsv1.Attribution_ATTRIBUTION_DISCONNECT:
			if i.end != nil {
				count(*i.end, i.add, i)
			}
		default:
			count(*i.at, i.add, i)
		}
	}
}

// quarters cuts a stretch at every quarter of an hour, and at the ends of the period: no clock on a wall is off by less.
func (a asked) quarters(p piece, yield func(from, until time.Time)) {
	from, until := p.from, p.until
	if from.Before(a.from) {
		from = a.from
	}
	if until.After(a.until) {
		until = a.until
	}
	for from.Before(until) {
		next := from.Truncate(15 * time.Minute).Add(15 * time.Minute)
		if next.After(until) {
			next = until
		}
		yield(from, next)
		from = next
	}
}

// compute gives what a metric is, by keys.
func (a asked) compute(f *facts, metric string) map[string]result {
	out := map[string]result{}
	if metric == "backlog" {
		a.backlog(f, out)
		return out
	}
	numerator, denominator := a.halves(f, metric)
	seen := map[string]map[string]bool{}
	a.each(numerator, func(key string, add float64, who string) {
		r := out[key]
		switch metric {
		case "longest_wait":
			r.numerator, r.denominator = max(r.numerator, add), 1
		case "customers":
			if seen[key] == nil {
				seen[key] = map[string]bool{}
			}
			seen[key][who] = true
			r.numerator = float64(len(seen[key]))
		default:
			r.numerator += add
		}
		out[key] = r
	})
	a.each(denominator, func(key string, add float64, _ string) {
		r := out[key]
		r.denominator += add
		out[key] = r
	})
	for key, r := range out {
		if r == (result{}) {
			delete(out, key)
		}
	}
	return out
}

// backlog counts what is open at the last moment of every interval, which it finds by looking at every quarter of an hour.
func (a asked) backlog(f *facts, out map[string]result) {
	open := func(key func([]string) []string, at time.Time) {
		for _, i := range f.interactions {
			gone := i.ResolvedAt
			if gone == nil {
				gone = i.EndedAt
			}
			if gone == nil {
				gone = &i.LastActivityAt
			}
			if gone.Before(i.StartedAt) {
				gone = &i.StartedAt
			}
			if i.Backfill && !a.history || !i.StartedAt.Before(at) || (i.Status == "resolved" || i.Status == "closed") && gone.Before(at) {
				continue
			}
			if dims := a.of(f, i); a.fits(dims) {
				for _, k := range key(a.keys(dims)) {
					r := out[k]
					r.numerator++
					out[k] = r
				}
			}
		}
	}
	open(func([]string) []string { return []string{totalKey} }, a.until)
	label := a.label(a.from)
	for at := a.from; ; {
		next := at.Truncate(15 * time.Minute).Add(15 * time.Minute)
		if next.After(a.until) || a.step == analyticsv1.Step_STEP_UNSPECIFIED {
			next = a.until
		}
		begins := ""
		if next.Before(a.until) {
			begins = a.label(next)
		}
		if !next.Before(a.until) || begins != label {
			of := label
			open(func(keys []string) (all []string) {
				for _, k := range keys {
					all = append(all, of+k)
				}
				return all
			}, next)
			label = begins
			if !next.Before(a.until) || !next.Before(a.now) { // what has not begun does not stand anywhere
				return
			}
		}
		at = next
	}
}
