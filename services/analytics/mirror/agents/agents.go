// Package agents mirrors what agents did: their intervals of each day (UTC), as the read model of agents tells them.
package agents

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/skein-cx/skein/pkg/directory"
	"github.com/skein-cx/skein/pkg/projection"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	"github.com/skein-cx/skein/services/analytics/mirror"
)

// Change is that something is known of an agent that was not known before.
type Change struct {
	Tenant string
	// ID is the agent's by a connector, as events carry it.
	ID string
	// Since is the moment from whose day on states may be others than before, in nanoseconds since 1970.
	Since int64
}

// Told is a part of what is known of agents: what connectors state, or their shares of the work. It is safe for concurrent use.
type Told interface {
	// View is what is applied by now.
	View(ctx context.Context) (View, error)
}

// View is a part of what is known, at one moment. Close it.
type View interface {
	// Generation is that of the read model, Topic the topic that it is made of, and Applied how far that is contained.
	Generation() uint32
	Topic() string
	Applied() projection.Vector
	// Window is of how many records of a partition back Changes tells.
	Window() int64
	// Tenants are those of whose agents anything is known.
	Tenants(ctx context.Context) ([]string, error)
	// IDs yields the ids of agents, by connectors, of whom anything is known, until yield fails.
	IDs(ctx context.Context, tenant string, yield func(id string) error) error
	// Since is when the first thing that is known of an id happened, in nanoseconds since 1970; false where nothing is known.
	Since(ctx context.Context, tenant, id string) (nanos int64, known bool, err error)
	// Changes yields what the records of a partition from one offset to before another have changed, until yield fails.
	Changes(ctx context.Context, partition int32, from, until int64, yield func(Change) error) error
	Close() error
}

// Agents tells what agents did. It is safe for concurrent use.
type Agents interface {
	// Did gives what an agent did from one moment (included) to another (excluded), one interval behind the other, as far as it is known now;
	// how it is now it remains until the end. Next is when that may be another though nothing happens; zero where it stays. The id is that of an agent
	// by the directory, or one of which the directory knows nothing.
	Did(ctx context.Context, tenant, id string, from, until, now time.Time) (all []*agentv1.Interval, next time.Time, err error)
}

// Config is what a Source reads.
type Config struct {
	Agents Agents
	// Statements and Work are what Agents tells from.
	Statements, Work Told
	// Books tell whose ids are.
	Books directory.Books
	// Now is the clock; nil for that of the machine.
	Now func() time.Time
	// Wait is how long Next waits for a change at most; 0 for a second.
	Wait time.Duration
	// Page is about how many days of agents are named at once; 0 for 2048.
	Page int
}

// Source gives the intervals of agents, by the day. An entity is a day of an agent. A day on which the agent was offline throughout, and had
// no contact, has no rows.
type Source struct {
	cfg    Config
	table  *mirror.Table
	latest map[string]*book // by tenant
	memory
}

var _ mirror.Source = (*Source)(nil)

// New makes the source.
func New(cfg Config) *Source {
	if cfg.Wait == 0 {
		cfg.Wait = waits
	}
	if cfg.Page == 0 {
		cfg.Page = together
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Source{cfg: cfg, table: table(), latest: map[string]*book{}}
}

// Name implements mirror.Source.
func (s *Source) Name() string { return "agents" }

// Tables implements mirror.Source.
func (s *Source) Tables() []*mirror.Table { return []*mirror.Table{s.table} }

// who is an agent: by the directory, or by a connector where the directory knows nothing of the id.
type who struct{ Tenant, Agent string }

func (w who) compare(o who) int {
	if c := strings.Compare(w.Tenant, o.Tenant); c != 0 {
		return c
	}
	return strings.Compare(w.Agent, o.Agent)
}

// secondsOfDay is the length of a day.
const secondsOfDay = 24 * 60 * 60

// dayOf is the day of a moment: how many there were since 1970.
func dayOf(t time.Time) int64 {
	s := t.Unix()
	if s < 0 {
		s -= secondsOfDay - 1
	}
	return s / secondsOfDay
}

func begin(day int64) time.Time { return time.Unix(day*secondsOfDay, 0).UTC() }

// separator stands between the parts of an entity's name. No tenant has one, and a day has none.
const separator = "\x00"

func entity(w who, day int64) string {
	return w.Tenant + separator + strconv.FormatInt(day, 10) + separator + w.Agent
}

func parseEntity(text string) (w who, day int64, err error) {
	tenant, rest, _ := strings.Cut(text, separator)
	number, agent, found := strings.Cut(rest, separator)
	day, err = strconv.ParseInt(number, 10, 64)
	if err != nil || !found {
		return w, 0, fmt.Errorf("agents: %q is no day of an agent", text)
	}
	return who{tenant, agent}, day, nil
}

// Rows implements mirror.Source.
func (s *Source) Rows(ctx context.Context, text string) ([]mirror.Row, error) {
	w, day, err := parseEntity(text)
	if err != nil {
		return nil, err
	}
	now := s.cfg.Now()
	all, next, err := s.cfg.Agents.Did(ctx, w.Tenant, w.Agent, begin(day), begin(day+1), now)
	if err != nil {
		return nil, fmt.Errorf("agents: read a day of %q: %w", w.Agent, err)
	}
	if day == dayOf(now) {
		s.expect(w, next)
	}
	intervals := merged(all)
	if !present(intervals) {
		return nil, nil
	}
	rows := make([]mirror.Row, len(intervals))
	for n, i := range intervals {
		rows[n] = mirror.Row{
			Table: s.table, Key: strconv.FormatInt(i.from%(secondsOfDay*1000), 10),
			Data: i.encode(w, day),
		}
	}
	return rows, nil
}

// interval is a row, but for whose it is. Its times are milliseconds since 1970.
type interval struct {
	from, until int64
	state
}

type state struct {
	presence, reason    string
	typ                 eventv1.PresenceType
	routing             eventv1.RoutingStatus
	vanished, onContact bool
	contacts            int
}

// merged makes one interval of neighbours that the table does not tell apart, and leaves out what is shorter than it can tell.
func merged(all []*agentv1.Interval) []interval {
	var out []interval
	for _, i := range all {
		next := interval{from: i.GetFrom().AsTime().UnixMilli(), until: i.GetUntil().AsTime().UnixMilli(), state: stateOf(i)}
		switch n := len(out) - 1; {
		case next.from == next.until:
		case n >= 0 && out[n].state == next.state:
			out[n].until = next.until
		default:
			out = append(out, next)
		}
	}
	return out
}

func stateOf(i *agentv1.Interval) state {
	s := state{
		presence: i.GetPresence(), reason: i.GetReason(), typ: i.GetPresenceType(), routing: i.GetRoutingStatus(), vanished: i.GetVanished(),
	}
	for _, c := range i.GetContacts() {
		switch c.GetState() {
		case agentv1.ContactState_CONTACT_STATE_MISSED, agentv1.ContactState_CONTACT_STATE_REJECTED, agentv1.ContactState_CONTACT_STATE_ERROR:
			continue // it shows, and is in nobody's hand
		case agentv1.ContactState_CONTACT_STATE_CONNECTED, agentv1.ContactState_CONTACT_STATE_CONNECTED_ONHOLD, agentv1.ContactState_CONTACT_STATE_ENDED:
			s.onContact = s.typ != eventv1.PresenceType_PRESENCE_TYPE_OFFLINE // as skein.agent.v1.Totals counts it
		default:
		}
		s.contacts++
	}
	return s
}

// present tells whether the agent was there at all.
func present(all []interval) bool {
	for _, i := range all {
		if i.typ != eventv1.PresenceType_PRESENCE_TYPE_OFFLINE || i.contacts > 0 {
			return true
		}
	}
	return false
}

// table is agent_state_facts.
func table() *mirror.Table {
	return &mirror.Table{
		Name: "agent_state_facts",
		Columns: []string{
			"tenant", "agent", "day", "started_at", "ended_at", "presence", "presence_type", "presence_reason", "routing_status", "vanished",
			"contacts", "on_contact",
		},
		Signed: true,
		Append: mirror.AppendValues,
	}
}

func (i *interval) encode(w who, day int64) []byte {
	var v mirror.Values
	v.Text(w.Tenant)
	v.Text(w.Agent)
	v.Millis(begin(day).UnixMilli())
	v.Millis(i.from)
	v.Millis(i.until)
	v.Text(i.presence)
	v.Text(word(i.typ, "PRESENCE_TYPE_"))
	v.Text(i.reason)
	v.Text(word(i.routing, "ROUTING_STATUS_"))
	v.Bool(i.vanished)
	v.Uint16(i.contacts)
	v.Bool(i.onContact)
	return v.Encoded()
}

// word is the name of a number in lower case, without what all of its kind have in front; empty where nothing is stated.
func word(e interface {
	protoreflect.Enum
	fmt.Stringer
}, prefix string,
) string {
	if e.Number() == 0 {
		return ""
	}
	return strings.ToLower(strings.TrimPrefix(e.String(), prefix))
}
