package corpora

import (
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Plan is when dialogues are had. The zero value is five days from 2 March 2026, a Monday, with seed 0.
type Plan struct {
	// Seed decides everything that the corpora do not tell: when a dialogue was had, how long who took for what.
	Seed uint64
	// Start is the first day, at midnight; 2 March 2026 in UTC where it is zero.
	Start time.Time
	// Days are how many; 5 where it is 0. Dialogues are had from eight to eight.
	Days int
}

// TypeHeard is the type of the events that hold everything that a recogniser may have heard: a JSON array, the best first.
const TypeHeard = "ext.evi.nbest"

// Submissions are the events of a dialogue, in order.
func (p Plan) Submissions(d *Dialogue) []*eventv1.Submission {
	const opens, hours = 8, 12
	start, days := p.Start, p.Days
	if start.IsZero() {
		start = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)
	}
	if days == 0 {
		days = 5
	}
	hash := fnv.New64a()
	_, _ = hash.Write([]byte(string(d.Corpus) + "/" + d.ID))                // it never fails
	t := &teller{d: d, random: rand.New(rand.NewPCG(p.Seed, hash.Sum64()))} //nolint:gosec // random, not secret
	t.now = start.AddDate(0, 0, t.random.IntN(days)).Add(opens*time.Hour + t.between(0, hours*time.Hour))
	if d.Corpus == EVI {
		t.call()
	} else {
		t.chat()
	}
	return t.told
}

// Contained tells whether the bot of a call settles it; else it hands it over to a person.
func (p Plan) Contained(d *Dialogue) bool {
	for _, s := range p.Submissions(d) {
		if s.GetType() == event.TypeBotEnded {
			return s.GetContent().GetBotEnded().GetContained()
		}
	}
	return false
}

// teller tells what happened.
type teller struct {
	d      *Dialogue
	random *rand.Rand
	now    time.Time
	told   []*eventv1.Submission
}

// between is any time of a span, in whole milliseconds.
func (t *teller) between(from, to time.Duration) time.Duration {
	return from + time.Duration(t.random.Int64N(int64((to-from)/time.Millisecond)))*time.Millisecond
}

// tell has something happen, so long after what happened last.
func (t *teller) tell(after time.Duration, typ string, content *eventv1.Content) *eventv1.Submission {
	t.now = t.now.Add(max(after, time.Millisecond))
	s := &eventv1.Submission{
		Type: typ, OccurredAt: timestamppb.New(t.now), Provider: string(t.d.Corpus), Inbox: string(t.d.Corpus) + "-" + t.d.Language, Thread: t.d.ID,
		NativeId: fmt.Sprintf("%d", len(t.told)), Language: t.d.Language, Content: content, Channel: eventv1.Channel_CHANNEL_WEB_CHAT,
	}
	address := &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: string(t.d.Corpus) + "-" + t.d.Customer}
	if t.d.Corpus == EVI {
		s.Channel = eventv1.Channel_CHANNEL_VOICE
		address = &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_SIP, Value: "sip:" + t.d.Customer + "@evi.example"}
	}
	s.Parties = []*eventv1.SubmittedParty{{Address: address, Role: eventv1.PartyRole_PARTY_ROLE_INITIATOR, Side: eventv1.Side_SIDE_CUSTOMER}}
	t.told = append(t.told, s)
	return s
}

func (t *teller) by(kind eventv1.ActorKind, id string) *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: kind, Id: id}
}

// answer has somebody wait in a queue and an agent answer, and gives what the events of that share are told with.
func (t *teller) answer(agent string) (share func(after time.Duration, typ string)) {
	queue := string(t.d.Corpus) + "-" + t.d.Language
	t.tell(t.between(100*time.Millisecond, 2*time.Second), event.TypeQueueEntered, nil).Queue = queue
	share = func(after time.Duration, typ string) {
		s := t.tell(after, typ, nil)
		s.Queue, s.Assignment, s.Actor = queue, t.d.ID+"-1", t.by(eventv1.ActorKind_ACTOR_KIND_AGENT, agent)
	}
	share(t.between(0, 40*time.Second), event.TypeAssignmentOffered)
	share(t.between(500*time.Millisecond, 8*time.Second), event.TypeAssignmentConnected)
	return share
}

// chat is a web chat with an agent.
func (t *teller) chat() {
	const perRune = 250 * time.Millisecond // a slow typist
	agent := string(t.d.Corpus) + "-" + t.d.Agent
	var share func(time.Duration, string)
	for n, turn := range t.d.Turns {
		takes := t.between(time.Second, 6*time.Second) + perRune*time.Duration(len([]rune(turn.Text)))
		if n == 0 {
			takes = 0
		}
		if turn.Customer {
			s := t.tell(takes, event.TypeMessageReceived, &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: turn.Text}}})
			s.Direction, s.Actor = eventv1.Direction_DIRECTION_INBOUND, t.by(eventv1.ActorKind_ACTOR_KIND_CUSTOMER, "")
			s.Parties[0].Role = eventv1.PartyRole_PARTY_ROLE_SENDER
		} else {
			s := t.tell(takes, event.TypeMessageSent, &eventv1.Content{Body: &eventv1.Content_MessageSent{MessageSent: &eventv1.Message{Text: turn.Text}}})
			s.Direction, s.Actor = eventv1.Direction_DIRECTION_OUTBOUND, t.by(eventv1.ActorKind_ACTOR_KIND_AGENT, agent)
			s.Parties[0].Role = eventv1.PartyRole_PARTY_ROLE_TO
		}
		if share == nil {
			share = t.answer(agent)
		}
	}
	if share != nil {
		share(t.between(time.Second, 10*time.Second), event.TypeAssignmentEnded)
	}
	t.end(eventv1.EndReason_END_REASON_CUSTOMER)
}

func (t *teller) end(reason eventv1.EndReason) {
	t.tell(0, event.TypeInteractionEnded, &eventv1.Content{Body: &eventv1.Content_InteractionEnded{InteractionEnded: &eventv1.InteractionEnded{Reason: reason}}})
}

// call is a call that a bot takes. It hands one of five over to a person.
func (t *teller) call() {
	const bot, share, agents, perRune = "evi", 0.2, 12, 70 * time.Millisecond
	began := t.now
	t.tell(0, event.TypeInteractionStarted, nil).Direction = eventv1.Direction_DIRECTION_INBOUND
	bots := func(after time.Duration, typ string, content *eventv1.Content) {
		t.tell(after, typ, content).Actor = t.by(eventv1.ActorKind_ACTOR_KIND_BOT, bot)
	}
	bots(t.between(time.Second, 3*time.Second), event.TypeBotStarted, &eventv1.Content{Body: &eventv1.Content_BotStarted{BotStarted: &eventv1.BotStarted{Bot: bot}}})
	for _, turn := range t.d.Turns {
		bots(t.between(500*time.Millisecond, 2*time.Second), event.TypeFlowStepEntered, &eventv1.Content{Body: &eventv1.Content_FlowStepEntered{
			FlowStepEntered: &eventv1.FlowStepEntered{Flow: bot, Step: fmt.Sprintf("%s.%d", turn.Item, turn.Attempt)},
		}})
		asks, says := t.between(2*time.Second, 5*time.Second), t.between(300*time.Millisecond, time.Second)+perRune*time.Duration(len([]rune(turn.Text)))
		if turn.Text == "" { // nothing was understood
			t.now = t.now.Add(asks + says)
			continue
		}
		said := t.now.Add(asks)
		t.tell(asks+says, event.TypeTranscriptAvailable, &eventv1.Content{Body: &eventv1.Content_TranscriptAvailable{
			TranscriptAvailable: &eventv1.TranscriptAvailable{Segments: []*eventv1.TranscriptSegment{{
				Start: durationpb.New(said.Sub(began)), Duration: durationpb.New(says), Text: turn.Text,
			}}},
		}}).Actor = t.by(eventv1.ActorKind_ACTOR_KIND_CUSTOMER, "")
		if len(turn.Heard) < 2 {
			continue
		}
		data, _ := json.Marshal(turn.Heard) //nolint:errchkjson // strings always can
		bots(0, TypeHeard, &eventv1.Content{Body: &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/json", Data: data}}})
	}
	if t.random.Float64() >= share {
		bots(time.Second, event.TypeBotEnded, &eventv1.Content{Body: &eventv1.Content_BotEnded{BotEnded: &eventv1.BotEnded{
			Contained: true, Reason: eventv1.EndReason_END_REASON_BOT,
		}}})
		t.end(eventv1.EndReason_END_REASON_BOT)
		return
	}
	bots(time.Second, event.TypeBotHandedOff, nil)
	bots(0, event.TypeBotEnded, nil)
	talk := t.answer(fmt.Sprintf("%s-%s-%d", t.d.Corpus, t.d.Language, t.random.IntN(agents)))
	talk(t.between(30*time.Second, 5*time.Minute), event.TypeAssignmentEnded)
	t.end(eventv1.EndReason_END_REASON_CUSTOMER)
}
