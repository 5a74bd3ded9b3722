package supervision

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// entriesOnPage is how many entries of the directory a page shows at first.
const entriesOnPage = 100

func kinds() []string { return []string{"agent", "team", "queue", "hours", "setting"} }

func kindName(ctx context.Context, kind string) string {
	switch kind {
	case "agent":
		return lang.T(ctx, "Agents")
	case "team":
		return lang.T(ctx, "Teams")
	case "queue":
		return lang.T(ctx, "Queues")
	case "hours":
		return lang.T(ctx, "Business hours")
	}
	return lang.T(ctx, "Settings")
}

// listing is a page of the directory.
type listing struct {
	kind    string
	at      time.Time // zero for now
	known   *book
	entries []*directoryv1.Entry
	next    string
}

func (l *listing) path(kind string) string {
	return view.At(view.Supervision, "directory", kind)
}

// listing reads what the directory says of a kind, now or at a moment, which may lie ahead.
func (p *Pages) listing(c *web.Call) (*listing, error) {
	l := &listing{kind: cmp.Or(c.R.PathValue("kind"), kinds()[0])}
	var err error
	if l.at, err = c.Moment("at"); err != nil {
		return nil, err
	}
	req := &directoryv1.ListRequest{Kind: l.kind, PageSize: entriesOnPage, PageToken: c.Form("page")}
	if !l.at.IsZero() {
		req.At = timestamppb.New(l.at)
	}
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() (err error) {
		l.known, err = p.names(ctx)
		return err
	})
	g.Go(func() error {
		answer, err := p.directory.List(ctx, req)
		l.entries, l.next = answer.GetEntries(), answer.GetNextPageToken()
		return err
	})
	return l, g.Wait()
}

func (p *Pages) directoryPage(c *web.Call) error {
	l, err := p.listing(c)
	if err != nil {
		return err
	}
	if c.Form("page") != "" {
		return c.Parts(entryLines(l))
	}
	return c.Show(view.Page{Title: lang.T(c.Context(), "Directory"), Section: view.Supervision}, listingPage(l))
}

// entryHistory is everything that was stated of an entry.
func (p *Pages) entryHistory(c *web.Call) error {
	kind, id := c.R.PathValue("kind"), c.R.PathValue("id")
	answer, err := p.directory.History(c.Context(), &directoryv1.HistoryRequest{Kind: kind, Id: id})
	if err != nil {
		return err
	}
	if len(answer.GetEntries()) == 0 {
		return web.Missing(id)
	}
	known, err := p.names(c.Context())
	if err != nil {
		return err
	}
	return c.Show(view.Page{Title: entryName(answer.GetEntries()[0].GetStated()), Section: view.Supervision}, historyPage(kind, id, known, answer.GetEntries()))
}

// entryName is what an entry is called; its id, where it is called nothing.
func entryName(e *eventv1.DirectoryUpdated) string {
	return cmp.Or(e.GetAgent().GetName(), e.GetTeam().GetName(), e.GetQueue().GetName(), e.GetHours().GetName(), e.GetId())
}

// fact is something that an entry says.
type fact struct{ name, text string }

// facts are what an entry says, without what it does not.
func facts(ctx context.Context, b *book, e *eventv1.DirectoryUpdated) []fact {
	var all []fact
	switch {
	case e.GetAgent() != nil:
		a := e.GetAgent()
		all = []fact{
			{lang.T(ctx, "Teams"), teamNames(b, a.GetTeams())},
			{lang.T(ctx, "Skills"), numbers(a.GetSkills())},
			{lang.T(ctx, "Capacity"), capacities(ctx, a.GetCapacity())},
			{lang.T(ctx, "Ids"), natives(a.GetIds())},
		}
	case e.GetTeam() != nil:
		t := e.GetTeam()
		all = []fact{{lang.T(ctx, "Supervisors"), strings.Join(t.GetSupervisors(), ", ")}, {lang.T(ctx, "Queue"), named(t.GetQueue(), b.queueName)}}
	case e.GetQueue() != nil:
		q := e.GetQueue()
		all = []fact{
			{lang.T(ctx, "Teams"), teamNames(b, q.GetTeams())},
			{lang.T(ctx, "Skills"), strings.Join(q.GetSkills(), ", ")},
			{lang.T(ctx, "Service level"), goalText(ctx, q.GetServiceLevel())},
			{lang.T(ctx, "Business hours"), q.GetHours()},
			{lang.T(ctx, "First reply within"), long(q.GetTargets().GetFirstResponse())},
			{lang.T(ctx, "Next reply within"), long(q.GetTargets().GetNextResponse())},
			{lang.T(ctx, "Resolved within"), long(q.GetTargets().GetResolution())},
			{lang.T(ctx, "Ids"), natives(q.GetIds())},
		}
	case e.GetHours() != nil:
		h := e.GetHours()
		all = []fact{
			{lang.T(ctx, "Time zone"), h.GetTimeZone()},
			{lang.T(ctx, "Open at"), strings.Join(h.GetOpen(), ", ")},
			{lang.T(ctx, "Otherwise"), strings.Join(h.GetExcept(), ", ")},
		}
	}
	for _, name := range slices.Sorted(maps.Keys(e.GetAttributes())) {
		all = append(all, fact{name, e.GetAttributes()[name]})
	}
	return slices.DeleteFunc(all, func(f fact) bool { return f.text == "" })
}

func named(id string, name func(string) string) string {
	if id == "" {
		return ""
	}
	return name(id)
}

func numbers(of map[string]int32) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d", name, of[name]))
	}
	return strings.Join(all, ", ")
}

func capacities(ctx context.Context, of map[string]*eventv1.ChannelCapacity) string {
	var all []string
	for _, name := range slices.Sorted(maps.Keys(of)) {
		all = append(all, fmt.Sprintf("%s %d", view.ChannelName(ctx, view.ChannelOf(name)), of[name].GetMaximum()))
	}
	return strings.Join(all, ", ")
}

func natives(ids []*eventv1.NativeId) string {
	all := make([]string, len(ids))
	for i, id := range ids {
		all[i] = strings.TrimSpace(id.GetProvider() + " " + id.GetId())
	}
	return strings.Join(all, ", ")
}

func goalText(ctx context.Context, l *eventv1.ServiceLevel) string {
	if l == nil {
		return ""
	}
	return lang.T(ctx, "%s in %s", lang.Percent(ctx, l.GetGoal(), 0), lang.Stopwatch(l.GetWithin().AsDuration()))
}

func long(d *durationpb.Duration) string {
	if d == nil {
		return ""
	}
	return lang.Stopwatch(d.AsDuration())
}

// holds is from when until when a statement holds.
func holds(ctx context.Context, e *directoryv1.Entry) string {
	from := lang.Moment(ctx, e.GetStated().GetValidFrom().AsTime())
	switch until := e.GetValidUntil(); {
	case until == nil:
		return lang.T(ctx, "from %s on", from)
	case !until.AsTime().After(e.GetStated().GetValidFrom().AsTime()):
		return lang.T(ctx, "replaced from its beginning, %s", from)
	default:
		return lang.T(ctx, "from %s until %s", from, lang.Moment(ctx, until.AsTime()))
	}
}

// holdsNow tells whether a statement is the one that holds.
func holdsNow(e *directoryv1.Entry) bool {
	now := time.Now()
	return !e.GetStated().GetValidFrom().AsTime().After(now) && (e.GetValidUntil() == nil || e.GetValidUntil().AsTime().After(now))
}
