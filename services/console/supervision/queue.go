package supervision

import (
	"context"
	"math"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/services/console/lang"
	"github.com/skein-cx/skein/services/console/view"
	"github.com/skein-cx/skein/services/console/web"
)

// queueNow is what the page of a queue shows.
type queueNow struct {
	id       string
	sight    *sight
	known    *book
	forecast *staffingv1.ForecastResponse // nil where there is none
	day      stretch
	now      time.Time
}

func (p *Pages) queue(c *web.Call) error {
	id := c.R.PathValue("queue")
	q := &queueNow{id: id, now: time.Now()}
	q.day = dayOf(c.Context(), q.now)
	var f *floor
	g, ctx := errgroup.WithContext(c.Context())
	g.Go(func() (err error) {
		f, err = p.now(ctx)
		return err
	})
	g.Go(func() (err error) {
		q.forecast, err = p.forecast(ctx, id, q.day)
		return err
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if f.queues[id] == nil {
		return web.Missing(id)
	}
	q.known, q.sight = f.known, f.seen(queueChoice(c), q.now)
	return c.Show(view.Page{Title: f.known.queueName(id), Section: view.Supervision}, queuePage(q))
}

func queueChoice(c *web.Call) choice {
	id := c.R.PathValue("queue")
	return choice{path: view.At(view.Supervision, "queues", id), ofQueue: true, queue: id, states: filterOf(c), order: c.Form("order")}
}

func (p *Pages) queueStream(c *web.Call) error { return p.follow(c, queueChoice(c)) }

// forecast is that of a day; nil where there is nothing to forecast from, or nobody here who does.
func (p *Pages) forecast(ctx context.Context, queue string, day stretch) (*staffingv1.ForecastResponse, error) {
	answer, err := p.staffing.Forecast(ctx, &staffingv1.ForecastRequest{
		Queue: queue, From: timestamppb.New(day.from), Until: timestamppb.New(day.until), TimeZone: lang.Zone(ctx).String(),
	})
	if web.Unserved(err) || web.Absent(err) || web.Impossible(err) {
		return nil, nil //nolint:nilnil // there is none, and that is no error
	}
	return answer, err
}

// bar is an interval in a chart of the day.
type bar struct {
	*staffingv1.ForecastInterval
	x, width float64 // percent
	now      bool
}

// chart is the part of the day that charts show: when the queue is open, or anything comes.
type chart struct {
	stretch
	bars []bar
	// staff and contacts are the tops of the scales.
	staff, contacts float64
}

// chartOf places the intervals of a forecast. Times outside in which nothing comes are left out.
func chartOf(intervals []*staffingv1.ForecastInterval, have int32, now time.Time) (c chart) {
	const some = 0.05 // contacts that are worth a bar
	const air = 1.1   // above the highest
	for _, i := range intervals {
		if !i.GetOpen() && i.GetArrivals() < some && i.GetCame() == 0 {
			continue
		}
		if c.from.IsZero() {
			c.from = i.GetFrom().AsTime()
		}
		c.until = i.GetUntil().AsTime()
	}
	staff, contacts := float64(have), 0.0
	for _, i := range intervals {
		s := stretch{i.GetFrom().AsTime(), i.GetUntil().AsTime()}
		x, width, shown := c.place(s)
		if !shown {
			continue
		}
		c.bars = append(c.bars, bar{ForecastInterval: i, x: x, width: width, now: !now.Before(s.from) && now.Before(s.until)})
		staff = max(staff, float64(i.GetNeeded().GetAgents()))
		contacts = max(contacts, i.GetArrivals(), float64(i.GetCame()))
	}
	c.staff, c.contacts = roof(staff*air), roof(contacts*air)
	return c
}

// roof is a number of a scale that is not below n: 1, 2, 4, 6 or 10, or one of them ten times, a hundred times that.
func roof(n float64) float64 {
	const ten = 10
	scale := math.Pow(ten, math.Floor(math.Log10(max(n, 1))))
	for _, step := range []float64{1, 2, 4, 6, ten} {
		if step*scale >= n {
			return step * scale
		}
	}
	return ten * scale
}

// whatIf tells how many agents a load takes.
func (p *Pages) whatIf(c *web.Call) error {
	req, err := staffRequest(c)
	if err != nil {
		return err
	}
	answer, err := p.staffing.Staff(c.Context(), req)
	if err != nil {
		return err
	}
	around, err := p.around(c.Context(), req, answer.GetStaffing().GetAgents())
	if err != nil {
		return err
	}
	return c.Parts(staffAnswer(answer, around))
}

// around is what some agents fewer and more give.
func (p *Pages) around(ctx context.Context, req *staffingv1.StaffRequest, agents int32) ([]*staffingv1.Staffing, error) {
	const each = 2
	from := max(1, agents-each)
	all := make([]*staffingv1.Staffing, agents+each+1-from)
	g, ctx := errgroup.WithContext(ctx)
	for i := range all {
		g.Go(func() error {
			answer, err := p.staffing.Staff(ctx, &staffingv1.StaffRequest{Load: req.GetLoad(), Goal: req.GetGoal(), Agents: from + int32(i)})
			all[i] = answer.GetStaffing()
			return err
		})
	}
	return all, g.Wait()
}

// staffRequest is the load and the goal that a person wrote down.
func staffRequest(c *web.Call) (*staffingv1.StaffRequest, error) {
	var wrong error
	number := func(name, label string) float64 {
		text := c.Form(name)
		if text == "" {
			return 0
		}
		n, err := strconv.ParseFloat(text, 64)
		if err != nil && wrong == nil {
			wrong = web.Bad(lang.T(c.Context(), "%s: write a number", label))
		}
		return n
	}
	const percents = 100
	seconds := func(n float64) *durationpb.Duration { return durationpb.New(time.Duration(n * float64(time.Second))) }
	l := labels(c.Context())
	req := &staffingv1.StaffRequest{
		Load: &staffingv1.Load{
			Arrivals: number("volume", l["volume"]), Interval: seconds(60 * number("minutes", l["minutes"])), AverageHandleTime: seconds(number("handle", l["handle"])),
		},
		Goal: &staffingv1.Goal{
			Within: seconds(number("within", l["within"])), ServiceLevel: number("level", l["level"]) / percents,
			MaxOccupancy: number("occupancy", l["occupancy"]) / percents, Shrinkage: number("shrinkage", l["shrinkage"]) / percents,
		},
		Agents: int32(number("agents", l["agents"])),
	}
	if patience := number("patience", l["patience"]); patience > 0 {
		req.Load.Patience = seconds(patience)
	}
	return req, wrong
}

// labels are what the fields of the form are called.
func labels(ctx context.Context) map[string]string {
	return map[string]string{
		"volume": lang.T(ctx, "Contacts"), "minutes": lang.T(ctx, "In minutes"), "handle": lang.T(ctx, "Handle time, s"), "patience": lang.T(ctx, "Patience, s"),
		"within": lang.T(ctx, "Answer within, s"), "level": lang.T(ctx, "Service level, %%"), "occupancy": lang.T(ctx, "Occupancy at most, %%"),
		"shrinkage": lang.T(ctx, "Shrinkage, %%"), "agents": lang.T(ctx, "With so many agents"),
	}
}

// field is a field of the form, with what it says at the beginning.
type field struct {
	name, value, step, placeholder string
	required                       bool
}

// fields are those of the form: the load of the interval that goes on, and the queue's goal.
func (q *queueNow) fields() []field {
	share, within := q.known.goal(q.id)
	volume, minutes, handle, patience := "", "30", "", ""
	for _, i := range q.forecast.GetIntervals() {
		if q.now.Before(i.GetFrom().AsTime()) || !q.now.Before(i.GetUntil().AsTime()) {
			continue
		}
		volume = strconv.FormatFloat(math.Round(i.GetArrivals()), 'f', -1, 64)
		minutes = strconv.FormatFloat(i.GetUntil().AsTime().Sub(i.GetFrom().AsTime()).Minutes(), 'f', -1, 64)
		if d := i.GetAverageHandleTime(); d != nil {
			handle = strconv.FormatFloat(math.Round(d.AsDuration().Seconds()), 'f', -1, 64)
		}
		if d := i.GetPatience(); d != nil {
			patience = strconv.FormatFloat(math.Round(d.AsDuration().Seconds()), 'f', -1, 64)
		}
	}
	if d := q.row().GetCounts().GetAverageHandleTime(); handle == "" && d != nil {
		handle = strconv.FormatFloat(math.Round(d.AsDuration().Seconds()), 'f', -1, 64)
	}
	const percents = 100
	return []field{
		{"volume", volume, "any", "", true},
		{"minutes", minutes, "any", "", true},
		{"handle", handle, "any", "", true},
		{"patience", patience, "any", "∞", false},
		{"within", strconv.FormatFloat(within.Seconds(), 'f', -1, 64), "any", "", false},
		{"level", strconv.FormatFloat(share*percents, 'f', -1, 64), "any", "", false},
		{"occupancy", "", "any", "100", false},
		{"shrinkage", "", "any", "0", false},
		{"agents", "", "1", "?", false},
	}
}

// row is the queue's row of the board.
func (q *queueNow) row() queueRow {
	if len(q.sight.queues) == 0 {
		return queueRow{QueueRow: &boardv1.QueueRow{Queue: q.id}}
	}
	return q.sight.queues[0]
}
