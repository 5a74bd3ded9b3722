package story

import (
	"math"
	"slices"
	"time"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Interaction is one stretch of a thread, as its facts so far make it, and what the next fact needs to know. Times are nanoseconds since
// 1970; 0 is none.
type Interaction struct {
	Start  Moment   // of the fact that opened it
	Opener event.ID // that fact
	Name   event.ID // the provider's id

	Channel     eventv1.Channel
	Provider    string
	Inbox       string
	Origin      eventv1.Origin
	Direction   eventv1.Direction
	Language    string
	Backfill    bool
	LiveSince   int64 // since when it is no backfill any more
	Correlation string
	Continues   event.ID

	Stated       eventv1.InteractionStatus // explicitly, and not overtaken since
	SnoozedUntil int64
	SnoozedBy    event.ID

	StartedAt     int64
	EndedAt       int64
	EndReason     eventv1.EndReason
	ResolvedAt    int64
	Resolution    string
	ResolvedBy    Actor
	Reopened      int32
	ReopenedAt    int64
	ReopenUntil   int64
	LastActivity  int64
	ActiveBy      event.ID // fact of the last activity
	CustomerSpoke int64
	AgentSpoke    int64
	WaitingSince  int64
	FirstResponse int64
	Replies       []int64 // of persons, the last few

	MessagesIn, MessagesOut, Notes int32

	Subject     string
	Tags        []string // in order
	Priority    int32
	Reasons     []string
	Disposition string
	Complaint   bool
	Attributes  []Attribute // in order of their names

	Participants []Participant
	Visits       []Visit
	Shares       []Share
	Bot          Bot
	SLAs         []SLA

	Queue         string
	Policy        string
	PolicySetAt   int64
	IdleTimeout   time.Duration
	ReopenWindow  time.Duration
	WrapupTimeout time.Duration
}

// Participant is who takes part.
type Participant struct {
	Party
	Actor        Actor
	Joined, Left int64
	Mode         eventv1.SupervisorMode
}

// Visit is one wait in one queue.
type Visit struct {
	ID            event.ID
	Name          event.ID // the provider's id, which is the ID unless an earlier visit has it
	Begun         bool     // its begin was told
	Queue         string
	Entered, Left int64
	Outcome       eventv1.QueueOutcome
	Target        string
	SLATarget     time.Duration
	Priority      int32
	Skills        []string
	Agent         string
	Inferred      bool // it ended with its interaction, and nobody told how
}

// Share is an agent's assignment.
type Share struct {
	ID                  event.ID
	Name                event.ID // the provider's id, which is the ID unless an earlier assignment has it
	Agent               string
	Visit               event.ID
	Queue               string
	Origin              eventv1.Origin
	Offered, Declined   int64
	Decline             eventv1.DeclineReason
	Accepted, Connected int64
	Held                []Stretch // that are over, the last of them
	HoldTime            time.Duration
	Holds               int32
	HeldSince           int64
	Unheld              int64     // an end of a hold that had not begun
	Paused              []Stretch // like Held
	PauseTime           time.Duration
	PausedSince         int64
	Resumed             int64 // an end of a pause that had not begun
	Ended               int64
	Reason              eventv1.EndReason
	Inferred            bool // it ended with its interaction or by a transfer, and nobody told so
	WrapupStarted       int64
	WrapupBy            event.ID // fact that began it
	WrapupEnded         int64
	Disposition         string
	WrapupInferred      bool
}

// Stretch is a part of an assignment; none is of no length.
type Stretch struct{ From, Until int64 }

// Bot is what bots did.
type Bot struct {
	Name                      string
	Started, HandedOff, Ended int64
	Contained                 bool
}

// SLA is a target and what became of it.
type SLA struct {
	Clock
	State   SLAState
	Done    int64
	ArmedBy event.ID
}

// SLAState is what became of a target; the numbers are those of the proto.
type SLAState int32

// The states of a target.
const (
	SLAActive    SLAState = 1
	SLAHit       SLAState = 2
	SLAMissed    SLAState = 3
	SLACancelled SLAState = 4
)

// What an interaction holds of a kind at most; behind that, the oldest that are over go, and of participants the later do not come in.
const (
	maxParticipants = 128
	maxVisits       = 64
	maxShares       = 64
	maxSLAs         = 64
	maxAttributes   = 256
	maxTags         = 256
	maxReplies      = 8
	maxStretches    = 64
)

// ID is the provider's id, else that of the event that opened it.
func (i *Interaction) ID() event.ID {
	if !i.Name.IsZero() {
		return i.Name
	}
	return i.Opener
}

// Status is what is to be done.
type Status int32

// The statuses; the numbers are those of the proto.
const (
	Open           Status = 1
	Pending        Status = 2
	Snoozed        Status = 3
	ResolvedStatus Status = 4
	Closed         Status = 5
)

// Status tells it.
func (i *Interaction) Status() Status {
	switch {
	case i.ResolvedAt != 0:
		return ResolvedStatus
	case i.Stated != eventv1.InteractionStatus_INTERACTION_STATUS_UNSPECIFIED:
		return Status(i.Stated) // the same numbers
	case i.EndedAt != 0:
		return Closed
	}
	return Open
}

// SettledAt is when it was resolved or closed; 0 while it is neither.
func (i *Interaction) SettledAt() int64 {
	switch i.Status() {
	case ResolvedStatus:
		return i.ResolvedAt
	case Closed:
		return i.EndedAt
	case Open, Pending, Snoozed:
	}
	return 0
}

// Agent has it: who took it last and is not done, one who is only consulted if nobody else does.
func (i *Interaction) Agent() string {
	consulted := ""
	for at := len(i.Shares) - 1; at >= 0; at-- {
		switch s := &i.Shares[at]; {
		case !s.open() || s.Accepted == 0 && s.Connected == 0:
		case s.Origin != eventv1.Origin_ORIGIN_CONSULT:
			return s.Agent
		case consulted == "":
			consulted = s.Agent
		}
	}
	return consulted
}

// isCall tells whether its thread holds one interaction, and whatever comes behind the end belongs to that.
func (i *Interaction) isCall() bool {
	return i.Channel == eventv1.Channel_CHANNEL_VOICE || i.Channel == eventv1.Channel_CHANNEL_VIDEO
}

// responseFrom is from when the first response counts.
func (i *Interaction) responseFrom() int64 { return max(i.StartedAt, i.Bot.HandedOff) }

func (s *Share) open() bool { return s.Ended == 0 && s.Declined == 0 }

// visitNamed and shareNamed give the last one that has a name; -1 where none has it.
func (i *Interaction) visitNamed(name event.ID) int {
	n := len(i.Visits) - 1
	for n >= 0 && (name.IsZero() || i.Visits[n].Name != name) {
		n--
	}
	return n
}

func (i *Interaction) shareNamed(name event.ID) int {
	n := len(i.Shares) - 1
	for n >= 0 && (name.IsZero() || i.Shares[n].Name != name) {
		n--
	}
	return n
}

// Bears tells whether it has a name: the provider's id of its own, of a visit or of an assignment.
func (i *Interaction) Bears(name event.ID) bool {
	return i.Name == name || i.visitNamed(name) >= 0 || i.shareNamed(name) >= 0
}

// Names are the ids by which later facts may name it.
func (i *Interaction) Names() []event.ID {
	names := []event.ID{i.Name}
	for n := range i.Visits {
		names = append(names, i.Visits[n].Name)
	}
	for n := range i.Shares {
		names = append(names, i.Shares[n].Name)
	}
	return slices.DeleteFunc(names, event.ID.IsZero)
}

// Timer is what the clock has to do; the zero one is none.
type Timer struct {
	Name    TimerName
	Due     int64
	ArmedBy event.ID
}

// dueBy tells whether it fires before a fact: what happens at the moment at which it is due is in time still.
func (t Timer) dueBy(f *Fact) bool {
	return t.Name != 0 && (t.Due < f.Occurred || t.Due == f.Occurred && f.Kind == TimerFired)
}

// TimerName is one of a few.
type TimerName byte

// The timers.
const (
	TimerSnooze TimerName = 1 + iota
	TimerIdle
	TimerFirstResponse
	TimerNextResponse
	TimerResolution
	TimerWrapup
)

var timerNames = [...]string{ //nolint:gochecknoglobals // a table
	TimerSnooze: "snooze", TimerIdle: "idle", TimerFirstResponse: "sla.first_response", TimerNextResponse: "sla.next_response",
	TimerResolution: "sla.resolution", TimerWrapup: "wrapup",
}

// String is the name that timer.fired has.
func (n TimerName) String() string {
	if int(n) >= len(timerNames) {
		return ""
	}
	return timerNames[n]
}

// slaTimer is the timer of a metric; 0 for one that is not known.
func slaTimer(m eventv1.SlaMetric) TimerName {
	switch m {
	case eventv1.SlaMetric_SLA_METRIC_FIRST_RESPONSE:
		return TimerFirstResponse
	case eventv1.SlaMetric_SLA_METRIC_NEXT_RESPONSE:
		return TimerNextResponse
	case eventv1.SlaMetric_SLA_METRIC_RESOLUTION:
		return TimerResolution
	case eventv1.SlaMetric_SLA_METRIC_UNSPECIFIED:
	}
	return 0
}

// Timers are those that are armed.
func (i *Interaction) Timers() []Timer {
	if i.Backfill {
		return nil
	}
	var timers []Timer
	i.eachTimer(func(t Timer) { timers = append(timers, t) })
	return timers
}

// eachTimer yields what would be armed if it is no backfill; of what is due at the same time, in the order in which it fires.
func (i *Interaction) eachTimer(yield func(Timer)) {
	for n := range i.SLAs {
		if t := i.SLAs[n].timer(); t.Name != 0 {
			yield(t)
		}
	}
	if t := i.snooze(); t.Name != 0 {
		yield(t)
	}
	if t := i.idle(); t.Name != 0 {
		yield(t)
	}
	for n := range i.Shares {
		if t := i.Shares[n].wrapup(i.WrapupTimeout); t.Name != 0 {
			yield(t)
		}
	}
}

func (s *SLA) timer() Timer {
	if s.State != SLAActive || s.Due == 0 || slaTimer(s.Metric) == 0 {
		return Timer{}
	}
	return Timer{slaTimer(s.Metric), s.Due, s.ArmedBy}
}

func (i *Interaction) snooze() Timer {
	if i.SnoozedUntil == 0 || i.Status() != Snoozed {
		return Timer{}
	}
	return Timer{TimerSnooze, i.SnoozedUntil, i.SnoozedBy}
}

// idle is due no earlier than when the time-out was set.
func (i *Interaction) idle() Timer {
	if i.IdleTimeout == 0 || i.EndedAt != 0 || i.ResolvedAt != 0 {
		return Timer{}
	}
	return Timer{TimerIdle, max(later(i.LastActivity, i.IdleTimeout), i.PolicySetAt), i.ActiveBy}
}

// wrapup is that the after-call work has taken as long as it may. It counts from its begin, also where the time-out was set later.
func (s *Share) wrapup(timeout time.Duration) Timer {
	if timeout == 0 || s.WrapupStarted == 0 || s.WrapupEnded != 0 {
		return Timer{}
	}
	return Timer{TimerWrapup, later(s.WrapupStarted, timeout), s.WrapupBy}
}

// later is a time so much later, or the last one that there is.
func later(t int64, d time.Duration) int64 {
	if d > 0 && t > math.MaxInt64-int64(d) {
		return math.MaxInt64
	}
	return t + int64(d)
}

// Encode appends it.
func (i *Interaction) Encode(b []byte) []byte {
	c := &coder{b: b}
	i.code(c)
	return c.b
}

// DecodeInteraction reads what Encode wrote.
func DecodeInteraction(b []byte) (*Interaction, error) {
	i := &Interaction{}
	return i, decode(b, i.code)
}

func (i *Interaction) code(c *coder) {
	c.moment(&i.Start)
	c.base = i.Start.Occurred
	c.id(&i.Opener)
	c.id(&i.Name)
	enum(c, &i.Channel)
	c.text(&i.Provider)
	c.text(&i.Inbox)
	enum(c, &i.Origin)
	enum(c, &i.Direction)
	c.text(&i.Language)
	c.bool(&i.Backfill)
	c.text(&i.Correlation)
	c.id(&i.Continues)
	enum(c, &i.Stated)
	c.time(&i.SnoozedUntil)
	c.id(&i.SnoozedBy)
	for _, t := range []*int64{
		&i.LiveSince, &i.PolicySetAt, &i.StartedAt, &i.EndedAt, &i.ResolvedAt, &i.ReopenedAt, &i.ReopenUntil, &i.LastActivity, &i.CustomerSpoke, &i.AgentSpoke,
		&i.WaitingSince, &i.FirstResponse, &i.Bot.Started, &i.Bot.HandedOff, &i.Bot.Ended,
	} {
		c.time(t)
	}
	enum(c, &i.EndReason)
	c.text(&i.Resolution)
	enum(c, &i.ResolvedBy.Kind)
	c.text(&i.ResolvedBy.ID)
	c.id(&i.ActiveBy)
	list(c, &i.Replies, (*coder).time)
	for _, n := range []*int32{&i.Reopened, &i.MessagesIn, &i.MessagesOut, &i.Notes, &i.Priority} {
		enum(c, n)
	}
	c.text(&i.Subject)
	texts(c, &i.Tags)
	texts(c, &i.Reasons)
	c.text(&i.Disposition)
	c.bool(&i.Complaint)
	list(c, &i.Attributes, codeAttribute)
	list(c, &i.Participants, codeParticipant)
	list(c, &i.Visits, codeVisit)
	list(c, &i.Shares, codeShare)
	c.text(&i.Bot.Name)
	c.bool(&i.Bot.Contained)
	list(c, &i.SLAs, codeSLA)
	c.text(&i.Queue)
	c.text(&i.Policy)
	c.duration(&i.IdleTimeout)
	c.duration(&i.ReopenWindow)
	c.duration(&i.WrapupTimeout)
}

func codeParticipant(c *coder, p *Participant) {
	c.id(&p.Endpoint)
	enum(c, &p.Kind)
	enum(c, &p.Role)
	enum(c, &p.Side)
	enum(c, &p.Actor.Kind)
	c.text(&p.Actor.ID)
	c.time(&p.Joined)
	c.time(&p.Left)
	enum(c, &p.Mode)
}

func codeVisit(c *coder, v *Visit) {
	c.id(&v.ID)
	c.id(&v.Name)
	c.bool(&v.Begun)
	c.text(&v.Queue)
	c.time(&v.Entered)
	c.time(&v.Left)
	enum(c, &v.Outcome)
	c.text(&v.Target)
	c.duration(&v.SLATarget)
	enum(c, &v.Priority)
	texts(c, &v.Skills)
	c.text(&v.Agent)
	c.bool(&v.Inferred)
}

func codeShare(c *coder, s *Share) {
	c.id(&s.ID)
	c.id(&s.Name)
	c.text(&s.Agent)
	c.id(&s.Visit)
	c.text(&s.Queue)
	enum(c, &s.Origin)
	for _, t := range []*int64{
		&s.Offered, &s.Declined, &s.Accepted, &s.Connected, &s.HeldSince, &s.Unheld, &s.PausedSince, &s.Resumed, &s.Ended, &s.WrapupStarted,
		&s.WrapupEnded,
	} {
		c.time(t)
	}
	enum(c, &s.Decline)
	c.id(&s.WrapupBy)
	list(c, &s.Held, codeStretch)
	c.duration(&s.HoldTime)
	enum(c, &s.Holds)
	list(c, &s.Paused, codeStretch)
	c.duration(&s.PauseTime)
	enum(c, &s.Reason)
	c.bool(&s.Inferred)
	c.text(&s.Disposition)
	c.bool(&s.WrapupInferred)
}

func codeStretch(c *coder, s *Stretch) {
	c.time(&s.From)
	c.time(&s.Until)
}

func codeSLA(c *coder, s *SLA) {
	enum(c, &s.Metric)
	enum(c, &s.State)
	c.duration(&s.Target)
	c.time(&s.Since)
	c.time(&s.Due)
	c.time(&s.Done)
	c.id(&s.ArmedBy)
}
