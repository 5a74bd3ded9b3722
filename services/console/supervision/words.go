package supervision

import (
	"cmp"
	"context"
	"maps"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/a-h/templ"
	"google.golang.org/protobuf/types/known/durationpb"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
)

func count(n int32) string { return strconv.Itoa(int(n)) }

// key is an id as a part of the id of an element.
func key(id string) string { return url.PathEscape(id) }

// marksOnTile is how many contacts of a channel a tile shows: who has more shows them on a page.
const marksOnTile = 3

// room is what is in hand on a channel, and how much fits there.
type room struct {
	channel  eventv1.Channel
	text     string // used/maximum
	contacts []*agentv1.Contact
}

// roomList are the channels on which an agent has something in hand.
func (a agentRow) roomList() (all []room) {
	for field := range strings.FieldsSeq(a.rooms) {
		channel, text, _ := strings.Cut(field, "=")
		r := room{channel: view.ChannelOf(channel), text: text}
		for _, c := range a.GetContacts() {
			if c.GetChannel() == r.channel {
				r.contacts = append(r.contacts, c)
			}
		}
		if len(r.contacts) > 0 {
			all = append(all, r)
		}
	}
	return all
}

// roomText is what is in hand on every channel, and how much fits.
func (a agentRow) roomText(ctx context.Context) string {
	var all []string
	for field := range strings.FieldsSeq(a.rooms) {
		channel, text, _ := strings.Cut(field, "=")
		all = append(all, view.ChannelName(ctx, view.ChannelOf(channel))+" "+text)
	}
	return strings.Join(all, " · ")
}

// counts are how many of a group do what.
func (g groupHead) counts(ctx context.Context) string {
	var all []string
	for _, c := range []struct {
		n    int
		text string
	}{
		{g.available, lang.T(ctx, "%d available", g.available)},
		{g.busy, lang.T(ctx, "%d busy", g.busy)},
		{g.wrapUp, lang.T(ctx, "%d in after-call work", g.wrapUp)},
		{g.away, lang.T(ctx, "%d away", g.away)},
		{g.off, lang.T(ctx, "%d signed out", g.off)},
	} {
		if c.n > 0 {
			all = append(all, c.text)
		}
	}
	return strings.Join(all, " · ")
}

// address is that of the page with a choice, in which a parameter is another.
func (c choice) address(name, value string) string {
	params := map[string]string{
		"queue": c.queue, "team": c.team, "state": string(c.states), "words": c.words, "by": c.by, "sort": c.sort, "order": c.order,
	}
	if c.ofQueue {
		delete(params, "queue") // it stands in the path
	}
	if name != "" {
		params[name] = value
	}
	var pairs []string
	for name, value := range params {
		pairs = append(pairs, name, value)
	}
	return view.With(c.path, pairs...)
}

// stream is the address of the news of a choice.
func (c choice) stream() string {
	stream := c
	stream.path += "/stream"
	return stream.address("", "")
}

// alertName is what an alert looks at.
func alertName(ctx context.Context, k eventv1.AlertKind) string {
	switch k {
	case eventv1.AlertKind_ALERT_KIND_OLDEST_WAITING:
		return lang.T(ctx, "Somebody waits too long")
	case eventv1.AlertKind_ALERT_KIND_WAITING:
		return lang.T(ctx, "Too many wait")
	case eventv1.AlertKind_ALERT_KIND_SERVICE_LEVEL:
		return lang.T(ctx, "Service level is too low")
	case eventv1.AlertKind_ALERT_KIND_NOBODY_AVAILABLE:
		return lang.T(ctx, "Nobody is available")
	case eventv1.AlertKind_ALERT_KIND_NOT_RESPONDING:
		return lang.T(ctx, "Does not respond")
	case eventv1.AlertKind_ALERT_KIND_VANISHED:
		return lang.T(ctx, "Connection lost")
	case eventv1.AlertKind_ALERT_KIND_STATE_TOO_LONG:
		return lang.T(ctx, "Too long in one state")
	case eventv1.AlertKind_ALERT_KIND_UNSPECIFIED:
	}
	return lang.T(ctx, "Alert")
}

// alertValue is a value of an alert in its unit.
func alertValue(ctx context.Context, k eventv1.AlertKind, v float64) string {
	switch k {
	case eventv1.AlertKind_ALERT_KIND_WAITING:
		return lang.Count(ctx, int64(v))
	case eventv1.AlertKind_ALERT_KIND_SERVICE_LEVEL:
		return lang.Percent(ctx, v, 0)
	case eventv1.AlertKind_ALERT_KIND_OLDEST_WAITING, eventv1.AlertKind_ALERT_KIND_NOBODY_AVAILABLE, eventv1.AlertKind_ALERT_KIND_NOT_RESPONDING,
		eventv1.AlertKind_ALERT_KIND_VANISHED, eventv1.AlertKind_ALERT_KIND_STATE_TOO_LONG, eventv1.AlertKind_ALERT_KIND_UNSPECIFIED:
	}
	return lang.Stopwatch(time.Duration(v * float64(time.Second)))
}

// byRule puts alerts of one rule together, in the order in which they come.
func byRule(alerts []alertRow) (groups [][]alertRow) {
	for _, a := range alerts {
		same := func(g []alertRow) bool { return g[0].GetRaised().GetRule() == a.GetRaised().GetRule() }
		if i := slices.IndexFunc(groups, same); i >= 0 {
			groups[i] = append(groups[i], a)
		} else {
			groups = append(groups, []alertRow{a})
		}
	}
	return groups
}

// ruleText is the rule that raised an alert, and what it allows.
func ruleText(ctx context.Context, a alertRow) string {
	r := a.GetRaised()
	if r.GetThreshold() == 0 {
		return r.GetRule()
	}
	return lang.T(ctx, "%s: allowed %s", r.GetRule(), alertValue(ctx, r.GetKind(), r.GetThreshold()))
}

// alertTarget is the page of what an alert is about.
func alertTarget(r *eventv1.AlertRaised) string {
	if r.GetAgent() != "" {
		return view.At(view.Supervision, "agents", r.GetAgent())
	}
	return view.At(view.Supervision, "queues", r.GetQueue())
}

func groupName(ctx context.Context, g groupHead) string {
	switch {
	case g.id != "":
		return g.title
	case g.queue:
		return lang.T(ctx, "Takes from no queue")
	}
	return lang.T(ctx, "Without a team")
}

func levelText(ctx context.Context, c *boardv1.QueueCounts) string {
	if c.ServiceLevel == nil {
		return "–"
	}
	return lang.Percent(ctx, c.GetServiceLevel(), 0)
}

// share is a part of a whole, in percent; a dash where there is no whole.
func share(ctx context.Context, part, whole int32) string {
	if whole <= 0 {
		return "–"
	}
	return lang.Percent(ctx, float64(part)/float64(whole), 0)
}

func tone(bad bool) string {
	if bad {
		return "bad"
	}
	return ""
}

func compareTitles(a, b string) int {
	return cmp.Or(cmp.Compare(strings.ToLower(a), strings.ToLower(b)), cmp.Compare(a, b))
}

// The sizes of what is drawn, in pixels: a strip and its lanes, and a chart of bars.
const (
	stripHigh  = 40.0
	laneHigh   = 11.0
	chartFloor = 126.0 // from above, where the bars stand
	chartHigh  = 108.0
)

func pixels(n float64) string { return strconv.FormatFloat(n, 'f', -1, 32) }

func clocks(ctx context.Context, s stretch) string {
	return lang.Clock(ctx, s.from) + "–" + lang.Clock(ctx, s.until)
}

func spanTitle(ctx context.Context, s span) string {
	return strings.Join([]string{clocks(ctx, s.stretch), stateText(ctx, s.state, s.presence, s.reason), lang.Stopwatch(s.length())}, " · ")
}

func partTitle(ctx context.Context, p part) string {
	return strings.Join([]string{clocks(ctx, p.stretch), view.ChannelName(ctx, p.contact.GetChannel()), lang.Stopwatch(p.length())}, " · ")
}

func barTitle(ctx context.Context, b bar) string {
	all := []string{clocks(ctx, stretch{b.GetFrom().AsTime(), b.GetUntil().AsTime()})}
	if b.GetNeeded() != nil {
		all = append(all, lang.T(ctx, "%d agents needed", b.GetNeeded().GetAgents()))
	}
	all = append(all, lang.T(ctx, "%s contacts expected", lang.Number(ctx, b.GetArrivals(), 1)))
	if b.Came != nil {
		all = append(all, lang.T(ctx, "%d came", b.GetCame()))
	}
	return strings.Join(all, " · ")
}

// modelName is what a model of queues is called in every language.
func modelName(m staffingv1.Model) string {
	if m == staffingv1.Model_MODEL_ERLANG_A {
		return "Erlang A"
	}
	return "Erlang C"
}

// waitText is a mean wait, to a tenth of a second where it is short; an endless one where it cannot be told.
func waitText(d *durationpb.Duration) string {
	if d == nil {
		return "∞"
	}
	if d.AsDuration() < time.Minute {
		return strconv.FormatFloat(d.AsDuration().Seconds(), 'f', 1, 64) + " s"
	}
	return lang.Stopwatch(d.AsDuration())
}

// minute is a moment as a field for one has it.
func minute(ctx context.Context, t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(lang.Zone(ctx)).Format("2006-01-02T15:04:05")
}

// dayPath leads to the day that lies so many days later.
func (d *agentDay) dayPath(ctx context.Context, later int) string {
	return view.With(d.path(), "day", d.day.from.In(lang.Zone(ctx)).AddDate(0, 0, later).Format(dayLayout))
}

func teamNames(b *book, teams []string) string {
	names := make([]string, len(teams))
	for i, t := range teams {
		names[i] = b.teamName(t)
	}
	return strings.Join(names, ", ")
}

func presenceText(ctx context.Context, p *agentv1.Presence) string {
	text := presenceName(ctx, p.GetPresence())
	if text == "" {
		return lang.T(ctx, "Unknown")
	}
	if p.GetReason() != "" {
		text += " · " + p.GetReason()
	}
	return text
}

func nowOf(d *agentDay) state { s, _ := rowState(rowOf(d.state)); return s }

func sinceOf(d *agentDay) time.Time { _, t := rowState(rowOf(d.state)); return t }

// roomsOf are the channels on which an agent has room, in the order of channels.
func roomsOf(s *agentv1.AgentState) []string {
	return slices.SortedFunc(maps.Keys(s.GetCapacity()), func(a, b string) int { return int(view.ChannelOf(a)) - int(view.ChannelOf(b)) })
}

func maximumOf(s *agentv1.AgentState, channel string) string {
	if r := s.GetCapacity()[channel]; r != nil {
		return count(r.GetMaximum())
	}
	return ""
}

// signedInFor is how long an agent was there.
func signedInFor(t *agentv1.Totals) time.Duration {
	return t.GetPresenceType()["ROUTABLE"].AsDuration() + t.GetPresenceType()["CUSTOM"].AsDuration()
}

func latestFirst(parts []part) []part {
	all := slices.Clone(parts)
	slices.Reverse(all)
	return all
}

// order sorts contacts by when they began.
func (p part) order() string {
	return p.from.UTC().Format("20060102150405.000000000") + p.contact.GetAssignment().GetId()
}

func contactTitle(ctx context.Context, b *book, c *agentv1.HandledContact) string {
	switch {
	case c.GetSubject() != "":
		return c.GetSubject()
	case c.GetQueue() != "":
		return b.queueName(c.GetQueue())
	}
	return view.ChannelName(ctx, c.GetChannel())
}

// contactDetail is what else there is to say of a contact.
func contactDetail(ctx context.Context, b *book, c *agentv1.HandledContact) string {
	var all []string
	if c.GetSubject() != "" && c.GetQueue() != "" {
		all = append(all, b.queueName(c.GetQueue()))
	}
	a := c.GetAssignment()
	if a.GetDeclinedAt() != nil {
		all = append(all, lang.T(ctx, "Not taken"))
	}
	if a.GetConnectedAt() != nil && a.GetEndedAt() != nil {
		all = append(all, lang.T(ctx, "talk %s", lang.Stopwatch(a.GetEndedAt().AsTime().Sub(a.GetConnectedAt().AsTime()))))
	}
	if a.GetHoldTime().AsDuration() > 0 {
		all = append(all, lang.T(ctx, "hold %s", lang.Stopwatch(a.GetHoldTime().AsDuration())))
	}
	if a.GetWrapupStartedAt() != nil && a.GetWrapupEndedAt() != nil {
		all = append(all, lang.T(ctx, "after-call work %s", lang.Stopwatch(a.GetWrapupEndedAt().AsTime().Sub(a.GetWrapupStartedAt().AsTime()))))
	}
	if a.GetDisposition() != "" {
		all = append(all, a.GetDisposition())
	}
	return strings.Join(all, " · ")
}

// dayParts are what a page shows of an agent that may be otherwise by now.
func dayParts(d *agentDay) []templ.Component {
	parts := []templ.Component{agentNow(d), dayStrip(d), daySums(d), dayTable(d)}
	for _, p := range d.parts {
		parts = append(parts, newContact(d, p))
	}
	return parts
}
