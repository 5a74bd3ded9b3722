package operation

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

const (
	// behindFrom is from which delay on something counts as behind: what comes in this moment is always on its way.
	behindFrom = 10 * time.Second
	// farBehind is from which delay on that is bad.
	farBehind = time.Minute
	// staleFrom is from which delay on ClickHouse counts as behind.
	staleFrom = 2 * time.Minute
)

// The tones of chips and tiles.
const (
	good = "good"
	warn = "warn"
	bad  = "bad"
)

// lag is how far a read model is behind: the events of all partitions, and the oldest of them.
func lag(s *adminv1.Slice) (events int64, age time.Duration) {
	for _, p := range s.GetPartitions() {
		events += p.GetLagEvents()
		age = max(age, p.GetLag().AsDuration())
	}
	return events, age
}

// tone of a delay.
func tone(age time.Duration) string {
	switch {
	case age >= farBehind:
		return bad
	case age >= behindFrom:
		return warn
	}
	return good
}

func lagWord(ctx context.Context, age time.Duration) string {
	if age < behindFrom {
		return lang.T(ctx, "Caught up")
	}
	return lang.T(ctx, "Behind")
}

// problem is something that a person should look at.
type problem struct{ tone, text, href string }

// problems are what is wrong, the worst first.
func problems(ctx context.Context, o state) (all []problem) {
	here := view.At(view.Operation)
	add := func(tone, href, text string) { all = append(all, problem{tone, text, href}) }
	failed := func(what string, err error) {
		if err != nil && !web.Unserved(err) {
			add(bad, here, what+": "+web.Explain(ctx, err))
		}
	}
	failed(lang.T(ctx, "Read models"), o.err)
	failed(lang.T(ctx, "Topics"), o.topicsErr)
	failed(lang.T(ctx, "Channels"), o.channelsErr)
	failed(lang.T(ctx, "Webhooks"), o.webhooksErr)
	failed(lang.T(ctx, "Dead letters"), o.lettersErr)
	failed("ClickHouse", o.statusErr)
	for _, s := range o.slices {
		if events, age := lag(s); age >= behindFrom {
			add(tone(age), here+"#"+line(s), lang.T(ctx, "%s is behind by %s and %s", s.GetName(), lang.T(ctx, "%d events", events), lang.Stopwatch(age)))
		}
	}
	for _, t := range o.topics {
		if len(t.GetLagging()) > 0 {
			add(bad, here+"#topics", lang.T(ctx, "%s has too few copies of partition %s", t.GetName(), numbers(t.GetLagging())))
		}
	}
	if o.status != nil && !o.status.GetAvailable() {
		add(bad, here+"#clickhouse", lang.T(ctx, "ClickHouse does not answer: %s", o.status.GetProblem()))
	}
	for _, s := range stale(o.status, time.Now()) {
		add(warn, here+"#clickhouse", lang.T(ctx, "ClickHouse lacks the %s of the last %s", streamName(ctx, s.GetStream()), lang.Stopwatch(time.Since(s.GetCompleteUntil().AsTime()))))
	}
	for _, c := range o.channels {
		for _, s := range broken(c) {
			add(bad, view.At(view.Operation, "channels"), lang.T(ctx, "%s of %s does not work: %s", c.GetName(), s.GetTenant()+"/"+s.GetInbox(), s.GetError()))
		}
	}
	for _, w := range o.webhooks {
		switch {
		case w.GetOff() != nil:
			add(warn, view.At(view.Operation, "channels"), lang.T(ctx, "The webhook %s is off: %s", w.GetId(), w.GetOff().GetReason()))
		case len(w.GetFailing()) > 0:
			add(warn, view.At(view.Operation, "channels"), lang.T(ctx, "The webhook %s cannot be delivered to: %s", w.GetId(), w.GetFailing()[0].GetError()))
		}
	}
	if o.letters > 0 {
		add(warn, view.At(view.Operation, "dead-letters"), lettersOpen(ctx, o.surroundings))
	}
	slices.SortStableFunc(all, func(a, b problem) int { return strings.Compare(a.tone, b.tone) }) // bad before warn
	return all
}

func lettersOpen(ctx context.Context, s surroundings) string {
	if s.more {
		return lang.T(ctx, "more than %d dead letters wait", s.letters)
	}
	return lang.T(ctx, "%d dead letters wait", s.letters)
}

// stale are the streams that ClickHouse does not have up to now.
func stale(s *analyticsv1.StatusResponse, now time.Time) (all []*analyticsv1.StreamStatus) {
	for _, stream := range s.GetStreams() {
		if s.GetAvailable() && stream.GetCompleteUntil() != nil && now.Sub(stream.GetCompleteUntil().AsTime()) > staleFrom {
			all = append(all, stream)
		}
	}
	return all
}

func streamName(ctx context.Context, name string) string {
	switch name {
	case "events":
		return lang.T(ctx, "events")
	case "facts":
		return lang.T(ctx, "facts")
	}
	return name
}

// purpose is what a read model or tables are for.
func purpose(ctx context.Context, name string) string {
	switch name {
	case "timeline":
		return lang.T(ctx, "Timelines of customers")
	case "interactions":
		return lang.T(ctx, "Interactions, waits, shares of agents, open work")
	case "customers":
		return lang.T(ctx, "Who is who: links, merges, consents")
	case "conversations":
		return lang.T(ctx, "Which interactions make one conversation")
	case "directory":
		return lang.T(ctx, "Agents, teams, queues, settings")
	case "agents":
		return lang.T(ctx, "Presence and states of agents")
	case "alerts":
		return lang.T(ctx, "Alerts of the live board")
	case "clickhouse-events":
		return lang.T(ctx, "Tables of events in ClickHouse")
	case "clickhouse-facts":
		return lang.T(ctx, "Tables of facts and dimensions in ClickHouse")
	}
	return ""
}

// engineName is what an engine keeps, in words.
func engineName(ctx context.Context, keeps string) string {
	switch keeps {
	case "log":
		return lang.T(ctx, "Log")
	case "store":
		return lang.T(ctx, "Store")
	case "blobs":
		return lang.T(ctx, "Files")
	case "analytics":
		return lang.T(ctx, "Analytics")
	}
	return keeps
}

func engineKind(ctx context.Context, kind string) string {
	switch kind {
	case "":
		return lang.T(ctx, "none")
	case "embedded":
		return lang.T(ctx, "embedded")
	case "folder":
		return lang.T(ctx, "folder")
	case "bucket":
		return lang.T(ctx, "bucket")
	}
	return kind
}

// reasons are those that a letter can have.
func reasons() []eventv1.DeadReason {
	var all []eventv1.DeadReason
	for _, n := range slices.Sorted(maps.Keys(eventv1.DeadReason_name)) {
		if n != 0 {
			all = append(all, eventv1.DeadReason(n))
		}
	}
	return all
}

// reasonName is why something is a dead letter, in words.
func reasonName(ctx context.Context, r eventv1.DeadReason) string {
	switch r {
	case eventv1.DeadReason_DEAD_REASON_UNDECODABLE:
		return lang.T(ctx, "No event")
	case eventv1.DeadReason_DEAD_REASON_INVALID:
		return lang.T(ctx, "Breaks a rule")
	case eventv1.DeadReason_DEAD_REASON_CONFLICT:
		return lang.T(ctx, "In conflict")
	case eventv1.DeadReason_DEAD_REASON_REJECTED:
		return lang.T(ctx, "Not understood")
	case eventv1.DeadReason_DEAD_REASON_UNSPECIFIED:
	}
	return lang.T(ctx, "Unknown")
}

// reasonHelp is what that means, and what to do.
func reasonHelp(ctx context.Context, r eventv1.DeadReason) string {
	switch r {
	case eventv1.DeadReason_DEAD_REASON_UNDECODABLE:
		return lang.T(ctx, "A record of the log that is no event. Somebody else wrote into the topic, or a newer version did.")
	case eventv1.DeadReason_DEAD_REASON_INVALID:
		return lang.T(ctx, "An event that breaks a rule of the contract. Mend what sends it, then redrive the letter.")
	case eventv1.DeadReason_DEAD_REASON_CONFLICT:
		return lang.T(ctx, "An event under the id of an earlier one, with other content. The earlier one counts; mend what gives the ids.")
	case eventv1.DeadReason_DEAD_REASON_REJECTED:
		return lang.T(ctx, "What a provider sent, and its channel could make no event of. Update Skein, then redrive the letter.")
	case eventv1.DeadReason_DEAD_REASON_UNSPECIFIED:
	}
	return ""
}

// origin says in a few words where a letter comes from.
func origin(l *eventv1.DeadLetter) string {
	if s := l.GetSource(); s != nil {
		return l.GetSlice() + " · " + position(s)
	}
	return strings.TrimSuffix(l.GetProvider()+" · "+l.GetInbox(), " · ")
}

func position(p *eventv1.Position) string {
	return fmt.Sprintf("%s/%d/%d", p.GetTopic(), p.GetPartition(), p.GetOffset())
}

func positions(all []*eventv1.Position) string {
	var texts []string
	for _, p := range all {
		texts = append(texts, position(p))
	}
	return strings.Join(texts, ", ")
}

func numbers(all []int32) string {
	var texts []string
	for _, n := range all {
		texts = append(texts, strconv.Itoa(int(n)))
	}
	return strings.Join(texts, ", ")
}

// kept is how long a topic keeps its records.
func kept(ctx context.Context, retention *durationpb.Duration) string {
	const day = 24 * time.Hour
	d := retention.AsDuration()
	switch {
	case retention == nil:
		return lang.T(ctx, "for ever")
	case d >= day && d%day == 0:
		return lang.T(ctx, "%d days", int(d/day))
	}
	return d.String()
}

func records(t *adminv1.Topic) (n int64) {
	for _, p := range t.GetPartitions() {
		n += p.GetNextOffset() - p.GetFirstOffset()
	}
	return n
}

func setting(t *adminv1.Topic) (all []string) {
	for _, name := range slices.Sorted(maps.Keys(t.GetSettings())) {
		all = append(all, name+" = "+t.GetSettings()[name])
	}
	return all
}

// share is a part of a whole, from 0 to 1.
func share[N int | int64](part, whole N) float64 {
	if whole <= 0 {
		return 0
	}
	return min(float64(part)/float64(whole), 1)
}

// option is one that a person can choose.
type option struct{ value, title string }

func reasonOptions(ctx context.Context) []option {
	all := []option{{"", lang.T(ctx, "any")}}
	for _, r := range reasons() {
		all = append(all, option{reasonValue(r), reasonName(ctx, r)})
	}
	return all
}

func topicOptions(ctx context.Context, topics []*adminv1.Topic) []option {
	all := []option{{"", lang.T(ctx, "any")}}
	for _, t := range topics {
		all = append(all, option{t.GetName(), t.GetName()})
	}
	return all
}
