package reports

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/event"
	analyticsv1 "github.com/skein-cx/skein/proto/skein/analytics/v1"
)

const (
	usualTarget    = -1 // the one in force
	usualShort     = 5 * time.Second
	usualRepeat    = 7 * 24 * time.Hour
	usualSatisfied = 0.75
	longest        = 366 * 24 * time.Hour
	// mostFilter is how many bytes the values of all filters have: they go to ClickHouse with every statement.
	mostFilter = 96 << 10
)

// earliest and latest bound what periods can be: no event is before the one, and ClickHouse counts seconds up to the other.
func earliest() time.Time { return time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) }
func latest() time.Time   { return time.Date(2100, 1, 1, 0, 0, 0, 0, time.UTC) }

// wrongs are wrong fields of a request.
type wrongs []event.Violation

func (w *wrongs) add(field, format string, args ...any) {
	*w = append(*w, event.Violation{Field: field, Reason: fmt.Sprintf(format, args...)})
}

// ask checks a scope. The intervals and groups are those of the caller to set.
func (s *Server) ask(tenant string, of *analyticsv1.Scope, step analyticsv1.Step, wrong *wrongs) *query {
	now := s.cfg.Now()
	q := &query{step: step, attribution: of.GetAttribution(), identity: of.GetIdentity(), history: of.GetWithBackfill(), zone: time.UTC}
	if zone, err := zoneOf(of.GetTimeZone()); err != nil {
		wrong.add("scope.time_zone", "%v", err)
	} else {
		q.zone = zone
	}
	q.from, q.until = q.period("scope.period", of.GetPeriod(), now, wrong)
	p := of.GetParameters()
	q.args = map[string]any{
		"tenant": tenant, "now": now.UnixMilli(),
		"within":         milliseconds("scope.parameters.service_level_within", p.GetServiceLevelWithin(), usualTarget, wrong),
		"short":          milliseconds("scope.parameters.short_abandon", p.GetShortAbandon(), usualShort.Milliseconds(), wrong),
		"repeat":         milliseconds("scope.parameters.repeat_within", p.GetRepeatWithin(), usualRepeat.Milliseconds(), wrong),
		"short_abandons": p.GetCountShortAbandons(), "flow_outs": !p.GetWithoutFlowOuts(), "deflections": !p.GetWithoutDeflections(),
		"callbacks": p.GetAbandonedOf() != analyticsv1.Denominator_DENOMINATOR_QUEUED,
		"satisfied": usualSatisfied,
	}
	if at := p.GetSatisfiedFrom(); at > 0 {
		q.args["satisfied"] = at
	}
	q.filters = s.filters(of.GetFilters(), wrong)
	return q
}

// period reads a period: to a millisecond, and with steps from the begin of the quarter of an hour.
func (q *query) period(field string, p *analyticsv1.Period, now time.Time, wrong *wrongs) (from, until time.Time) {
	until = now
	if err := p.GetFrom().CheckValid(); err != nil {
		wrong.add(field+".from", "%v", err)
		return earliest(), latest()
	}
	from = p.GetFrom().AsTime()
	if u := p.GetUntil(); u != nil {
		if err := u.CheckValid(); err != nil {
			wrong.add(field+".until", "%v", err)
			return earliest(), latest()
		}
		until = u.AsTime()
	}
	from, until = ceil(from), ceil(until)
	if q.step != analyticsv1.Step_STEP_UNSPECIFIED {
		from = floor(from, 15*time.Minute, q.zone)
	}
	switch {
	case from.Before(earliest()):
		wrong.add(field+".from", "is before the year 2000")
	case !from.Before(until):
		wrong.add(field+".until", "must be behind from, which is %s", from.UTC().Format(time.RFC3339))
	case until.After(latest()):
		wrong.add(field+".until", "is behind the year 2099")
	default:
		return from, until
	}
	return earliest(), latest()
}

// ceil is the first whole millisecond that is not before a moment.
func ceil(t time.Time) time.Time {
	if r := t.Truncate(time.Millisecond); !r.Equal(t) {
		return r.Add(time.Millisecond)
	}
	return t
}

func milliseconds(field string, d *durationpb.Duration, otherwise int64, wrong *wrongs) int64 {
	if d == nil {
		return otherwise
	}
	if err := d.CheckValid(); err != nil {
		wrong.add(field, "%v", err)
		return otherwise
	}
	if got := d.AsDuration(); got < 0 || got > longest {
		wrong.add(field, "must be from 0 s to %d days", longest/(24*time.Hour))
	}
	return d.AsDuration().Milliseconds()
}

func (s *Server) filters(asked []*analyticsv1.Filter, wrong *wrongs) []filter {
	var all []filter
	size := 0
	for n, f := range asked {
		field := fmt.Sprintf("scope.filters[%d]", n)
		d, err := s.dimension(f.GetDimension())
		if err != nil {
			wrong.add(field+".dimension", "%v", err)
			continue
		}
		for i, v := range f.GetValues() {
			size += len(v)
			if err := d.check(v); err != nil {
				wrong.add(fmt.Sprintf("%s.values[%d]", field, i), "%v", err)
			}
		}
		all = append(all, filter{dimension: d, field: field + ".dimension", values: f.GetValues(), exclude: f.GetExclude()})
	}
	if size > mostFilter {
		wrong.add("scope.filters", "their values have %d bytes, and may have %d in all", size, mostFilter)
	}
	return all
}

// check tells what is wrong with a value.
func (d dimension) check(value string) error {
	switch {
	case d.values != nil && !slices.Contains(d.values, value):
		return fmt.Errorf("%s is never %q", d.name, value)
	case d.name == dimCustomer && value != "":
		if _, err := event.ParseID(value); err != nil {
			return errors.New("not the id of a customer")
		}
	}
	return nil
}

func (s *Server) dimension(name string) (dimension, error) {
	d, ok := s.catalogue.dimByName[name]
	if !ok {
		return d, fmt.Errorf("there is no dimension %q", name)
	}
	return d, nil
}

// metric finds a metric, and tells what the query asks about that it does not have.
func (s *Server) metric(field, name string, q *query, wrong *wrongs) *metric {
	m, ok := s.catalogue.byName[name]
	if !ok {
		wrong.add(field, "there is no metric %q", name)
		return nil
	}
	for _, f := range q.filters {
		if !slices.Contains(m.dims, f.name) {
			wrong.add(f.field, "%s has no dimension %s", m.name, f.name)
		}
	}
	for n, d := range q.group {
		if !slices.Contains(m.dims, d.name) {
			wrong.add(fmt.Sprintf("group_by[%d]", n), "%s has no dimension %s", m.name, d.name)
		}
	}
	return m
}

func numbers(from, to int) []string {
	var all []string
	for n := from; n <= to; n++ {
		all = append(all, fmt.Sprint(n))
	}
	return all
}
