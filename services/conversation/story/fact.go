package story

import (
	"time"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Fact is what matters of an event.
type Fact struct {
	Moment
	Kind                           Kind
	ID                             event.ID
	Interaction, Visit, Assignment event.ID // by the provider; zero where it does not say
	Channel                        eventv1.Channel
	Direction                      eventv1.Direction
	Origin                         eventv1.Origin
	Provider, Inbox, Queue         string
	Language, Correlation          string
	Backfill                       bool
	Actor                          Actor
	Parties                        []Party
	// Subject of a message or of what began.
	Subject string
	// Machine: nobody wrote the message: an automatic reply, a bulk mail, a bounce.
	Machine bool
	// Body is nil for kinds that have none.
	Body *Body
}

// Actor is who did something. A customer's id is left out: it is a party's.
type Actor struct {
	Kind eventv1.ActorKind
	ID   string
}

func (a Actor) isPerson() bool { return a.Kind == eventv1.ActorKind_ACTOR_KIND_AGENT }

// Party is who takes part.
type Party struct {
	Endpoint event.ID
	Kind     eventv1.EndpointKind
	Role     eventv1.PartyRole
	Side     eventv1.Side
}

// Body is what is read of the contents of all kinds; each uses a few of its fields.
type Body struct {
	Reason    eventv1.EndReason         // Ended, ShareEnded, BotEnded
	Window    time.Duration             // how long it can be reopened: Ended, Resolved, PolicySet
	Status    eventv1.InteractionStatus // StatusChanged
	Until     int64                     // snoozed until: StatusChanged
	Text      string                    // resolution, bot, policy, disposition; name of a timer
	Target    string                    // QueueLeft, TransferCompleted
	Outcome   eventv1.QueueOutcome      // QueueLeft
	Decline   eventv1.DeclineReason     // Declined
	Mode      eventv1.SupervisorMode    // PartyJoined
	Time      time.Duration             // SLA target of a queue, idle time-out of a policy
	Wrapup    time.Duration             // wrap-up time-out of a policy
	Priority  int32                     // QueueEntered, AttributesUpdated
	Flag      bool                      // complaint, contained, inferred
	Added     []string                  // skills, contact reason, tags added
	Removed   []string                  // tags removed
	Set       []Attribute               // AttributesUpdated, in order of the names
	Clocks    []Clock                   // PolicySet
	ArmedBy   event.ID                  // TimerFired
	About     event.ID                  // interaction, by any id that it ever had: PolicySet, TimerFired
	Continues event.ID                  // Started
}

// Attribute is a name and its value; an empty one removes it.
type Attribute struct{ Name, Value string }

// Clock is a target that begins to count.
type Clock struct {
	Metric     eventv1.SlaMetric
	Target     time.Duration
	Since, Due int64
}

// Encode appends a fact without its moment.
func (f *Fact) Encode(b []byte) []byte {
	c := &coder{b: b, base: f.Occurred}
	f.code(c)
	return c.b
}

// Decode reads what Encode wrote, at its moment.
func (f *Fact) Decode(b []byte, at Moment) error {
	*f = Fact{Moment: at}
	return decode(b, func(c *coder) {
		c.base = at.Occurred
		f.code(c)
	})
}

// Which of a fact's rarer parts there are.
const (
	hasNames = 1 << iota
	hasTexts
	hasSubject
	isMachine
	isBackfill
	hasBody
)

func (f *Fact) code(c *coder) {
	kind, has := uint64(f.Kind), f.has()
	c.uint(&kind)
	c.uint(&has)
	f.Kind = Kind(kind)
	if f.Kind >= kinds {
		c.fail()
		return
	}
	f.Machine, f.Backfill = has&isMachine != 0, has&isBackfill != 0
	c.id(&f.ID)
	enum(c, &f.Channel)
	enum(c, &f.Direction)
	c.text(&f.Provider)
	c.text(&f.Inbox)
	enum(c, &f.Actor.Kind)
	c.text(&f.Actor.ID)
	list(c, &f.Parties, func(c *coder, p *Party) {
		c.id(&p.Endpoint)
		enum(c, &p.Kind)
		enum(c, &p.Role)
		enum(c, &p.Side)
	})
	if has&hasNames != 0 {
		c.id(&f.Interaction)
		c.id(&f.Visit)
		c.id(&f.Assignment)
	}
	if has&hasTexts != 0 {
		enum(c, &f.Origin)
		c.text(&f.Queue)
		c.text(&f.Language)
		c.text(&f.Correlation)
	}
	if has&hasSubject != 0 {
		c.text(&f.Subject)
	}
	if has&hasBody != 0 {
		if f.Body == nil {
			f.Body = &Body{}
		}
		f.Body.code(c)
	}
}

func (f *Fact) has() (has uint64) {
	if !f.Interaction.IsZero() || !f.Visit.IsZero() || !f.Assignment.IsZero() {
		has |= hasNames
	}
	if f.Origin != 0 || f.Queue != "" || f.Language != "" || f.Correlation != "" {
		has |= hasTexts
	}
	if f.Subject != "" {
		has |= hasSubject
	}
	if f.Machine {
		has |= isMachine
	}
	if f.Backfill {
		has |= isBackfill
	}
	if f.Body != nil {
		has |= hasBody
	}
	return has
}

func (b *Body) code(c *coder) {
	enum(c, &b.Reason)
	c.duration(&b.Window)
	enum(c, &b.Status)
	c.time(&b.Until)
	c.text(&b.Text)
	c.text(&b.Target)
	enum(c, &b.Outcome)
	enum(c, &b.Decline)
	enum(c, &b.Mode)
	c.duration(&b.Time)
	c.duration(&b.Wrapup)
	enum(c, &b.Priority)
	c.bool(&b.Flag)
	texts(c, &b.Added)
	texts(c, &b.Removed)
	list(c, &b.Set, codeAttribute)
	list(c, &b.Clocks, func(c *coder, k *Clock) {
		enum(c, &k.Metric)
		c.duration(&k.Target)
		c.time(&k.Since)
		c.time(&k.Due)
	})
	c.id(&b.ArmedBy)
	c.id(&b.About)
	c.id(&b.Continues)
}

func codeAttribute(c *coder, a *Attribute) {
	c.text(&a.Name)
	c.text(&a.Value)
}
