package directory

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/hours"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	maxID = 128
	// maxEntry is how many bytes an entry may have that is put: far less than a record of the log holds.
	maxEntry = 128 << 10
	// minYear and maxYear are what nanoseconds in 64 bits can tell.
	minYear = 1970
	maxYear = 2261
)

// Kinds are the kinds of entries, in their order.
func Kinds() []string {
	return []string{directory.Agent, directory.Hours, directory.Queue, directory.Setting, directory.Team}
}

// said is the kind that the entry itself tells; empty where it has none.
func said(e *eventv1.DirectoryUpdated) string {
	switch e.GetEntry().(type) {
	case *eventv1.DirectoryUpdated_Agent:
		return directory.Agent
	case *eventv1.DirectoryUpdated_Team:
		return directory.Team
	case *eventv1.DirectoryUpdated_Queue:
		return directory.Queue
	case *eventv1.DirectoryUpdated_Hours:
		return directory.Hours
	}
	return ""
}

// usual gives a statement the form in which two can be compared: its kind is stated, it says something of that kind, it holds from a
// moment on, and one that removes says nothing else. The violation, whose field is within the statement, tells why there is none.
func usual(e *eventv1.DirectoryUpdated, now *timestamppb.Timestamp) (*eventv1.DirectoryUpdated, event.Violation) {
	kind := e.GetKind()
	if kind == "" {
		kind = said(e)
	}
	switch {
	case kind == "":
		return nil, event.Violation{Field: "kind", Reason: "is missing"}
	case !slices.Contains(Kinds(), kind):
		return nil, event.Violation{Field: "kind", Reason: fmt.Sprintf("%q is none; there are %s", kind, strings.Join(Kinds(), ", "))}
	case said(e) != "" && said(e) != kind:
		return nil, event.Violation{Field: said(e), Reason: fmt.Sprintf("stands in an entry of the kind %q", kind)}
	}
	if err := checkID(e.GetId()); err != nil {
		return nil, event.Violation{Field: "id", Reason: err.Error()}
	}
	from := e.GetValidFrom()
	if from == nil {
		from = now
	}
	if err := from.CheckValid(); err != nil {
		return nil, event.Violation{Field: "valid_from", Reason: "is no valid time"}
	}
	if y := from.AsTime().Year(); y < minYear || y > maxYear {
		return nil, event.Violation{Field: "valid_from", Reason: fmt.Sprintf("is in the year %d: it must be in %d to %d", y, minYear, maxYear)}
	}
	if e.GetRemoved() {
		return &eventv1.DirectoryUpdated{Kind: kind, Id: e.GetId(), ValidFrom: from, Removed: true}, event.Violation{}
	}
	e = proto.CloneOf(e)
	e.Kind, e.ValidFrom = kind, from
	if e.GetEntry() == nil {
		switch kind {
		case directory.Agent:
			e.Entry = &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{}}
		case directory.Team:
			e.Entry = &eventv1.DirectoryUpdated_Team{Team: &eventv1.DirectoryTeam{}}
		case directory.Queue:
			e.Entry = &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{}}
		case directory.Hours:
			e.Entry = &eventv1.DirectoryUpdated_Hours{Hours: &eventv1.DirectoryHours{}}
		}
	}
	return e, event.Violation{}
}

func checkID(id string) error {
	switch {
	case id == "":
		return errors.New("is missing")
	case len(id) > maxID:
		return fmt.Errorf("is longer than %d bytes", maxID)
	case strings.TrimSpace(id) != id:
		return errors.New("begins or ends with a space")
	case strings.ContainsFunc(id, unicode.IsControl):
		return errors.New("has a control character")
	}
	return nil
}

// check tells what is wrong with what an entry says, whatever else there is. Fields are within the statement.
func check(e *eventv1.DirectoryUpdated) []event.Violation {
	var wrong []event.Violation
	add := func(field, reason string) { wrong = append(wrong, event.Violation{Field: field, Reason: reason}) }
	if size := proto.Size(e); size > maxEntry {
		add("", fmt.Sprintf("has %d bytes: %d is the most", size, maxEntry))
	}
	ids := func(field string, all []*eventv1.NativeId) {
		for i, n := range all {
			if err := checkID(n.GetId()); err != nil {
				add(fmt.Sprintf("%s[%d].id", field, i), err.Error())
			}
			for _, other := range all[:i] {
				if n.GetId() == other.GetId() && n.GetProvider() == other.GetProvider() {
					add(fmt.Sprintf("%s[%d]", field, i), "stands twice")
				}
			}
		}
	}
	ids("agent.ids", e.GetAgent().GetIds())
	ids("queue.ids", e.GetQueue().GetIds())
	for _, d := range durations(e.GetQueue()) {
		switch {
		case d.value == nil:
		case !d.value.IsValid() || d.value.AsDuration() != time.Duration(d.value.GetSeconds())*time.Second+time.Duration(d.value.GetNanos()):
			add(d.field, "is no valid duration")
		case d.value.AsDuration() < 0:
			add(d.field, "is negative")
		}
	}
	if h := e.GetHours(); h != nil {
		_, err := hours.New(h.GetTimeZone(), h.GetOpen(), h.GetExcept())
		for _, one := range flatten(err) {
			field, reason, _ := strings.Cut(one.Error(), ": ")
			add("hours."+field, reason)
		}
	}
	return wrong
}

func flatten(err error) []error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	if err == nil {
		return nil
	}
	return []error{err}
}

type named struct {
	field string
	value *durationpb.Duration
}

func durations(q *eventv1.DirectoryQueue) []named {
	level, targets := q.GetServiceLevel(), q.GetTargets()
	return []named{
		{"queue.service_level.within", level.GetWithin()},
		{"queue.service_level.short_abandon", level.GetShortAbandon()},
		{"queue.targets.first_response", targets.GetFirstResponse()},
		{"queue.targets.next_response", targets.GetNextResponse()},
		{"queue.targets.resolution", targets.GetResolution()},
	}
}

// reference is another entry that one refers to.
type reference struct{ field, kind, id string }

func references(e *eventv1.DirectoryUpdated) []reference {
	var all []reference
	list := func(field, kind string, ids []string) {
		for i, id := range ids {
			all = append(all, reference{fmt.Sprintf("%s[%d]", field, i), kind, id})
		}
	}
	list("agent.teams", directory.Team, e.GetAgent().GetTeams())
	list("team.supervisors", directory.Agent, e.GetTeam().GetSupervisors())
	list("queue.teams", directory.Team, e.GetQueue().GetTeams())
	if id := e.GetTeam().GetQueue(); id != "" {
		all = append(all, reference{"team.queue", directory.Queue, id})
	}
	if id := e.GetQueue().GetHours(); id != "" {
		all = append(all, reference{"queue.hours", directory.Hours, id})
	}
	return all
}

// same tells whether two statements in their usual form say the same, whenever they hold.
func same(a, b *eventv1.DirectoryUpdated) bool {
	if a == nil || b == nil {
		return a == b
	}
	x, y := proto.CloneOf(a), proto.CloneOf(b)
	x.ValidFrom, y.ValidFrom = nil, nil
	return proto.Equal(x, y)
}
