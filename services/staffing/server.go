package staffing

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/services/staffing/erlang"
)

const (
	// mostErlangs and mostAgents are what is counted with.
	mostErlangs = 100_000
	mostAgents  = 1_000_000

	usualWithin   = 20 * time.Second
	usualLevel    = 0.8
	usualWeeks    = 6
	usualInterval = 30 * time.Minute
	// longest is for how long a forecast is made, farthest how far ahead or back it begins.
	longest  = 14 * 24 * time.Hour
	farthest = 366 * 24 * time.Hour
)

// Server answers skein.staffing.v1.StaffingService.
type Server struct {
	staffingv1.UnimplementedStaffingServiceServer
	cfg  Config
	room chan struct{}
}

// NewServer makes a server.
func NewServer(cfg Config) *Server {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Server{cfg: cfg, room: make(chan struct{}, cmp.Or(cfg.Concurrent, 4))}
}

// Register puts the service on a gRPC server.
func (s *Server) Register(r grpc.ServiceRegistrar) { staffingv1.RegisterStaffingServiceServer(r, s) }

// Staff tells how many agents a load takes.
func (s *Server) Staff(ctx context.Context, req *staffingv1.StaffRequest) (*staffingv1.StaffResponse, error) {
	if _, err := auth.From(ctx); err != nil {
		return nil, err
	}
	load, wrong := loadOf(req.GetLoad())
	goal, wrongGoal := goalOf(req.GetGoal(), nil)
	wrong = append(wrong, wrongGoal...)
	model := req.GetModel()
	switch {
	case model == staffingv1.Model_MODEL_ERLANG_A && load.Patience == 0:
		wrong = append(wrong, event.Violation{Field: "load.patience", Reason: "Erlang A needs it"})
	case model == staffingv1.Model_MODEL_ERLANG_C:
		load.Patience = 0
	case model == staffingv1.Model_MODEL_UNSPECIFIED:
		model = modelOf(load.Patience > 0)
	}
	if len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	n := int(req.GetAgents())
	if n > 0 {
		return &staffingv1.StaffResponse{Staffing: staffing(load, n, erlang.Expect(load, n, goal.Within), goal.shrinkage), Model: model}, nil
	}
	n, expected, err := erlang.Agents(load, goal.Goal, mostAgents)
	if err != nil {
		return nil, rpc.InvalidField("goal", errors.New("it takes more than 1000000 agents"))
	}
	return &staffingv1.StaffResponse{Staffing: staffing(load, n, expected, goal.shrinkage), Model: model}, nil
}

func modelOf(patience bool) staffingv1.Model {
	if patience {
		return staffingv1.Model_MODEL_ERLANG_A
	}
	return staffingv1.Model_MODEL_ERLANG_C
}

// staffing shows what so many agents give.
func staffing(l erlang.Load, n int, e erlang.Expected, shrinkage float64) *staffingv1.Staffing {
	s := &staffingv1.Staffing{
		Agents: int32(n), Scheduled: int32(min(erlang.Scheduled(n, shrinkage), math.MaxInt32)), ServiceLevel: e.ServiceLevel, WaitProbability: e.Wait,
		Occupancy: e.Occupancy, AbandonRate: e.Abandon, Erlangs: l.Erlangs(),
	}
	if wait := e.MeanWait * float64(time.Second); wait < float64(farthest) {
		s.AverageSpeedOfAnswer = durationpb.New(time.Duration(wait).Round(time.Microsecond))
	}
	return s
}

// loadOf reads a load; its unit of time is the second.
func loadOf(of *staffingv1.Load) (l erlang.Load, wrong []event.Violation) {
	interval, handle, patience := duration(&wrong, "load.interval", of.GetInterval()), duration(&wrong, "load.average_handle_time", of.GetAverageHandleTime()), 0.0
	if of.GetPatience() != nil {
		patience = duration(&wrong, "load.patience", of.GetPatience())
	}
	if len(wrong) > 0 {
		return l, wrong
	}
	l = erlang.Load{Arrivals: of.GetArrivals() / interval, Handle: handle, Patience: patience}
	if a := l.Erlangs(); a > mostErlangs {
		wrong = append(wrong, event.Violation{Field: "load.arrivals", Reason: fmt.Sprintf("they are %.0f Erlang; at most %d are counted with", a, mostErlangs)})
	}
	return l, wrong
}

// duration reads a time above 0, in seconds.
func duration(wrong *[]event.Violation, field string, of *durationpb.Duration) float64 {
	d := of.AsDuration()
	switch err := of.CheckValid(); {
	case of == nil:
		*wrong = append(*wrong, event.Violation{Field: field, Reason: "is missing"})
	case err != nil:
		*wrong = append(*wrong, event.Violation{Field: field, Reason: err.Error()})
	case d < time.Millisecond || d > farthest:
		*wrong = append(*wrong, event.Violation{Field: field, Reason: "must be from 1 ms to 366 days"})
	}
	return d.Seconds()
}

// goal is what is aimed at.
type goal struct {
	erlang.Goal
	shrinkage float64
}

// goalOf reads a goal. What it leaves open is the queue's, or as usual.
func goalOf(of *staffingv1.Goal, queue *eventv1.ServiceLevel) (g goal, wrong []event.Violation) {
	within := usualWithin
	if queue.GetWithin() != nil {
		within = queue.GetWithin().AsDuration()
	}
	if of.GetWithin() != nil {
		within = of.GetWithin().AsDuration()
		if err := of.GetWithin().CheckValid(); err != nil || within < 0 || within > farthest {
			wrong = append(wrong, event.Violation{Field: "goal.within", Reason: "must be from 0 s to 366 days"})
		}
	}
	level := cmp.Or(of.GetServiceLevel(), queue.GetGoal(), usualLevel)
	const nearly = 0.9999 // no number of agents answers all
	g.Goal = erlang.Goal{Within: within.Seconds(), ServiceLevel: min(level, nearly), MaxOccupancy: of.GetMaxOccupancy()}
	if of.GetServiceLevel() > nearly {
		wrong = append(wrong, event.Violation{Field: "goal.service_level", Reason: "must be 0.9999 at most"})
	}
	g.shrinkage = of.GetShrinkage()
	if g.shrinkage > 0.99 {
		wrong = append(wrong, event.Violation{Field: "goal.shrinkage", Reason: "must be 0.99 at most"})
	}
	return g, wrong
}

// asked is a request for a forecast that was checked.
type asked struct {
	slots
	tenant, queue    string
	book             *directory.Book
	entry            *eventv1.DirectoryQueue
	now, from, until time.Time
	weeks            int
	goal             goal
	model            staffingv1.Model
}

// Forecast tells what is expected to come to a queue, and how many agents that takes.
func (s *Server) Forecast(ctx context.Context, req *staffingv1.ForecastRequest) (*staffingv1.ForecastResponse, error) {
	caller, err := auth.From(ctx)
	if err != nil {
		return nil, err
	}
	book, err := s.cfg.Books.Book(ctx, caller.Tenant)
	if err != nil {
		return nil, err
	}
	q, err := ask(caller.Tenant, book, req, s.cfg.Now())
	if err != nil {
		return nil, err
	}
	h, came, err := s.read(ctx, q)
	if err != nil {
		return nil, err
	}
	made := h.forecast(0)
	resp := &staffingv1.ForecastResponse{Weeks: int32(h.busy()), Model: q.model}
	if share, ok := h.wrong(); ok {
		resp.Error = &share
	}
	known := slices.ContainsFunc(made.patience, func(d time.Duration) bool { return d > 0 })
	if q.model == staffingv1.Model_MODEL_UNSPECIFIED {
		resp.Model = modelOf(known)
	}
	open := s.opening(q)
	for t := q.from; t.Before(q.until); {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		end := q.end(t)
		i, err := q.expect(made, t, end, resp.GetModel() == staffingv1.Model_MODEL_ERLANG_A)
		if err != nil {
			return nil, err
		}
		if i.Open, err = open(t, end); err != nil {
			return nil, err
		}
		if !end.After(q.now) {
			n := came[t.UnixNano()]
			i.Came = &n
		}
		resp.Intervals = append(resp.Intervals, i)
		t = end
	}
	have, err := s.cfg.Agents.SignedIn(ctx, q.tenant, q.queue)
	if err != nil {
		return nil, err
	}
	resp.Have = int32(have)
	return resp, nil
}

// ask checks a request.
func ask(tenant string, book *directory.Book, req *staffingv1.ForecastRequest, now time.Time) (*asked, error) {
	var wrong []event.Violation
	fail := func(field, reason string) { wrong = append(wrong, event.Violation{Field: field, Reason: reason}) }
	entry := book.At(directory.Queue, req.GetQueue(), now.UnixNano()).GetQueue()
	q := &asked{
		tenant: tenant, queue: req.GetQueue(), book: book, entry: entry, now: now, weeks: cmp.Or(int(req.GetWeeks()), usualWeeks), model: req.GetModel(),
		slots: slots{zone: book.Location(req.GetQueue(), now.UnixNano()), interval: usualInterval},
	}
	if req.GetTimeZone() != "" {
		zone, err := time.LoadLocation(req.GetTimeZone())
		if err != nil || req.GetTimeZone() == "Local" {
			fail("time_zone", "is none of the IANA data base, such as Europe/Berlin")
		} else {
			q.zone = zone
		}
	}
	if req.GetInterval() != nil {
		switch d := req.GetInterval().AsDuration(); d {
		case 15 * time.Minute, 30 * time.Minute, time.Hour:
			q.interval = d
		default:
			fail("interval", "must be 15, 30 or 60 minutes")
		}
	}
	q.from = now
	if at := req.GetFrom(); at != nil {
		q.from = at.AsTime()
		if at.CheckValid() != nil || q.from.Sub(now).Abs() > farthest {
			fail("from", "must be within 366 days of now")
			q.from = now
		}
	}
	q.from = q.begin(q.from)
	q.until = q.midnight(q.from, 1)
	if at := req.GetUntil(); at != nil {
		q.until = at.AsTime()
		switch {
		case at.CheckValid() != nil:
			fail("until", "is no valid time")
		case !q.until.After(q.from):
			fail("until", "must be behind from")
		case q.until.Sub(q.from) > longest+time.Hour: // days on which the clock is put back are longer
			fail("until", "must be 14 days behind from at most")
		}
		if begin := q.begin(q.until); begin.Before(q.until) {
			q.until = q.end(begin)
		}
	}
	var violations []event.Violation
	q.goal, violations = goalOf(req.GetGoal(), entry.GetServiceLevel())
	if wrong = append(wrong, violations...); len(wrong) > 0 {
		return nil, rpc.Invalid(wrong...)
	}
	return q, nil
}

// read reads what came: the history as of from, where that is past, else of now; and what came in the intervals that are asked for.
func (s *Server) read(ctx context.Context, q *asked) (h *history, came map[int64]int32, err error) {
	select {
	case s.room <- struct{}{}:
		defer func() { <-s.room }()
	case <-ctx.Done():
		return nil, nil, ctx.Err()
	}
	asOf := q.now
	if q.from.Before(asOf) {
		asOf = q.from
	}
	h, came = newHistory(q.slots, asOf, q.weeks), map[int64]int32{}
	until := q.now
	if q.until.Before(until) {
		until = q.until
	}
	anything := false
	take := func(v Visit) {
		anything = true
		if v.Entered.Before(asOf) {
			h.add(v, q.now)
		}
		if !v.Entered.Before(q.from) {
			came[q.begin(v.Entered).UnixNano()]++
		}
	}
	if until.Before(asOf) {
		until = asOf
	}
	for _, name := range names(q.book, q.queue, h.from(), until) {
		err := s.cfg.Visits.Visits(ctx, q.tenant, name, h.from(), until, func(v Visit) bool {
			if q.book.Owner(directory.Queue, v.Provider, name, v.Entered.UnixNano()) == q.queue {
				take(v)
			}
			return ctx.Err() == nil
		})
		if err = cmp.Or(err, ctx.Err()); err != nil {
			return nil, nil, fmt.Errorf("staffing: read the visits of %q: %w", q.queue, err)
		}
	}
	switch {
	case h.first > 0:
		h.expose()
		return h, came, nil
	case q.entry == nil && !anything:
		return nil, nil, rpc.NotFound(fmt.Errorf("staffing: there is no queue %q, and nothing came to one", q.queue))
	}
	return nil, nil, rpc.Refused("NO_HISTORY", fmt.Errorf("staffing: nothing came to the queue %q in the %d weeks before %s", q.queue, q.weeks, h.day.Format(time.DateOnly)))
}

// names are what events call a queue that happened from a moment to before another.
func names(book *directory.Book, queue string, from, until time.Time) []string {
	var all []string
	for _, n := range book.Natives(directory.Queue, queue) {
		if n.From < until.UnixNano() && n.Until > from.UnixNano() && !slices.Contains(all, n.ID) {
			all = append(all, n.ID)
		}
	}
	return all
}

// expect is what is expected in an interval.
func (q *asked) expect(o outlook, from, until time.Time, impatient bool) (*staffingv1.ForecastInterval, error) {
	slot, share := q.of(from), q.share(from, until)
	i := &staffingv1.ForecastInterval{From: timestamppb.New(from), Until: timestamppb.New(until), Arrivals: o.arrivals[slot] * share}
	if o.patience[slot] > 0 {
		i.Patience = durationpb.New(o.patience[slot])
	}
	if o.handle[slot] <= 0 {
		return i, nil
	}
	i.AverageHandleTime = durationpb.New(o.handle[slot])
	load := erlang.Load{Arrivals: i.GetArrivals() / until.Sub(from).Seconds(), Handle: o.handle[slot].Seconds()}
	if impatient {
		load.Patience = o.patience[slot].Seconds()
	}
	if load.Erlangs() > mostErlangs {
		return i, nil
	}
	n, expected, err := erlang.Agents(load, q.goal.Goal, mostAgents)
	if err != nil {
		return nil, rpc.InvalidField("goal", errors.New("it takes more than 1000000 agents"))
	}
	i.Needed = staffing(load, n, expected, q.goal.shrinkage)
	return i, nil
}

// opening tells whether the queue is open at some time of an interval, by the business hours that hold then.
func (s *Server) opening(q *asked) func(from, until time.Time) (bool, error) {
	read := map[*eventv1.DirectoryHours]func(from, until time.Time) bool{}
	return func(from, until time.Time) (bool, error) {
		at := from.UnixNano()
		id := q.book.At(directory.Queue, q.queue, at).GetQueue().GetHours()
		if id == "" {
			return true, nil
		}
		hours := q.book.At(directory.Hours, id, at).GetHours()
		if hours == nil {
			return true, nil
		}
		if read[hours] == nil {
			open, err := s.cfg.Hours(hours)
			if err != nil {
				return false, rpc.Refused("WRONG_HOURS", fmt.Errorf("staffing: the business hours %q: %w", id, err))
			}
			read[hours] = open
		}
		return read[hours](from, until), nil
	}
}
