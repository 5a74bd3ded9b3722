package timers

import (
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var monday = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

func after(d time.Duration) *timestamppb.Timestamp { return timestamppb.New(monday.Add(d)) }

func policiesOf(t testing.TB, policies ...Policy) *Policies {
	t.Helper()
	for i := range policies {
		policies[i].Tenant = "acme"
	}
	p, err := NewPolicies(Settings{
		Hours:    []Hours{{Tenant: "acme", Name: "office", Open: []string{"mon-fri 09:00-17:00"}}},
		Policies: policies,
	})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheFirstPolicyThatFitsHolds(t *testing.T) {
	p := policiesOf(t,
		Policy{Name: "urgent", Priorities: []int32{1, 2}, Channels: []string{"email", "web_chat"}},
		Policy{Name: "vip", Queues: []string{"vip"}},
		Policy{Name: "support", Inboxes: []string{"support"}},
		Policy{Name: "mail", Channels: []string{"email"}},
	)
	for want, it := range map[string]*conversationv1.Interaction{
		"urgent":  {Inbox: "support", Channel: eventv1.Channel_CHANNEL_EMAIL, Priority: 2, Queue: "vip"},
		"vip":     {Inbox: "support", Channel: eventv1.Channel_CHANNEL_VOICE, Priority: 1, Queue: "vip"},
		"support": {Inbox: "support", Channel: eventv1.Channel_CHANNEL_EMAIL, Priority: 3},
		"mail":    {Inbox: "sales", Channel: eventv1.Channel_CHANNEL_EMAIL},
		"default": {Inbox: "sales", Channel: eventv1.Channel_CHANNEL_VOICE, Priority: 1},
	} {
		if got := p.choose("acme", it).Name; got != want {
			t.Errorf("%s holds, not %s", got, want)
		}
		if got := p.choose("globex", it).Name; got != "default" {
			t.Errorf("%s holds for another tenant", got)
		}
	}
}

func TestEachChannelHasItsUsualWindows(t *testing.T) {
	day := 24 * time.Hour
	var none *Policies
	for channel, want := range map[eventv1.Channel]windows{
		eventv1.Channel_CHANNEL_WEB_CHAT:       {idle: 30 * time.Minute, reopen: day},
		eventv1.Channel_CHANNEL_IN_APP:         {idle: 30 * time.Minute, reopen: day},
		eventv1.Channel_CHANNEL_SMS:            {idle: day, reopen: 3 * day},
		eventv1.Channel_CHANNEL_SOCIAL_MESSAGE: {idle: day, reopen: 3 * day},
		eventv1.Channel_CHANNEL_SOCIAL_POST:    {idle: day, reopen: 3 * day},
		eventv1.Channel_CHANNEL_EMAIL:          {idle: 0, reopen: 14 * day},
		eventv1.Channel_CHANNEL_VOICE:          {},
	} {
		it := &conversationv1.Interaction{Channel: channel, StartedAt: after(0)}
		set := none.choose("acme", it).missing(it, monday)
		if (set == nil) != (want == windows{}) || set.GetIdleTimeout().AsDuration() != want.idle || set.GetReopenWindow().AsDuration() != want.reopen {
			t.Errorf("%v: %v", channel, set)
		}
	}
	p := policiesOf(t, Policy{Name: "own", IdleTimeout: -1, ReopenWindow: time.Hour})
	it := &conversationv1.Interaction{Channel: eventv1.Channel_CHANNEL_WEB_CHAT}
	if set := p.choose("acme", it).missing(it, monday); set.GetPolicy() != "own" || set.GetWrapupTimeout() != nil || set.GetIdleTimeout().AsDuration() != 0 || set.GetReopenWindow().AsDuration() != time.Hour {
		t.Error(set)
	}
}

func TestAPolicyTellsHowLongAfterCallWorkMayTake(t *testing.T) {
	p := policiesOf(t, Policy{Name: "calls", WrapupTimeout: 2 * time.Minute})
	it := &conversationv1.Interaction{Channel: eventv1.Channel_CHANNEL_VOICE}
	set := p.choose("acme", it).missing(it, monday)
	if set.GetPolicy() != "calls" || set.GetWrapupTimeout().AsDuration() != 2*time.Minute {
		t.Error(set)
	}
	if it.Policy = "calls"; p.choose("acme", it).missing(it, monday) != nil {
		t.Error("it is told twice")
	}
}

// The clocks that a policy begins as of an event of minute 8, as metrics with when they count from and when they are due, in minutes behind the begin.
func TestAClockCountsFromWhatBeginsIt(t *testing.T) {
	const first, next, resolution = eventv1.SlaMetric_SLA_METRIC_FIRST_RESPONSE, eventv1.SlaMetric_SLA_METRIC_NEXT_RESPONSE, eventv1.SlaMetric_SLA_METRIC_RESOLUTION
	minutes := func(n int) *timestamppb.Timestamp { return after(time.Duration(n) * time.Minute) }
	type clock struct {
		metric     eventv1.SlaMetric
		since, due int
	}
	begun := &conversationv1.Sla{Metric: resolution, Since: minutes(0), DueAt: minutes(60), State: conversationv1.SlaState_SLA_STATE_ACTIVE}
	for name, c := range map[string]struct {
		it     *conversationv1.Interaction
		clocks []clock
	}{
		"at the begin": {
			&conversationv1.Interaction{}, []clock{{first, 0, 10}, {resolution, 0, 60}},
		},
		"what counts already does not begin anew": {
			&conversationv1.Interaction{Policy: "p", Slas: []*conversationv1.Sla{begun}}, []clock{{first, 0, 10}},
		},
		"what is over does not begin anew": {
			&conversationv1.Interaction{Policy: "p", Slas: []*conversationv1.Sla{begun, {Metric: first, Since: minutes(0), State: conversationv1.SlaState_SLA_STATE_MISSED}}}, nil,
		},
		"a reply from behind the event is measured": {
			&conversationv1.Interaction{Policy: "p", FirstResponseAt: minutes(9), Slas: []*conversationv1.Sla{begun}}, []clock{{first, 0, 10}},
		},
		"while the bot is at it": {
			&conversationv1.Interaction{Bot: &conversationv1.BotShare{StartedAt: minutes(0)}}, []clock{{resolution, 0, 60}},
		},
		"from the bot's hand-over": {
			&conversationv1.Interaction{Bot: &conversationv1.BotShare{StartedAt: minutes(0), HandedOffAt: minutes(5), EndedAt: minutes(5)}}, []clock{{first, 5, 15}, {resolution, 0, 60}},
		},
		"the hand-over begins the clock that counted already anew": {
			&conversationv1.Interaction{Policy: "p", Bot: &conversationv1.BotShare{StartedAt: minutes(0), HandedOffAt: minutes(5)}, Slas: []*conversationv1.Sla{
				begun, {Metric: first, Since: minutes(0), DueAt: minutes(10), State: conversationv1.SlaState_SLA_STATE_ACTIVE},
			}}, []clock{{first, 5, 15}},
		},
		"a customer whom the company called waits for nothing": {
			&conversationv1.Interaction{Direction: eventv1.Direction_DIRECTION_OUTBOUND}, []clock{{resolution, 0, 60}},
		},
		"until there is something to reply to": {
			&conversationv1.Interaction{Direction: eventv1.Direction_DIRECTION_OUTBOUND, WaitingSince: minutes(7)}, []clock{{first, 7, 17}, {resolution, 0, 60}},
		},
		"what the customer writes behind the first reply": {
			&conversationv1.Interaction{Policy: "p", FirstResponseAt: minutes(3), WaitingSince: minutes(8), Slas: []*conversationv1.Sla{begun}}, []clock{{next, 8, 28}},
		},
		"and again": {
			&conversationv1.Interaction{Policy: "p", FirstResponseAt: minutes(3), WaitingSince: minutes(30), Slas: []*conversationv1.Sla{
				begun, {Metric: next, Since: minutes(8), DueAt: minutes(28), State: conversationv1.SlaState_SLA_STATE_HIT},
			}}, []clock{{next, 30, 50}},
		},
		"the resolution from the reopening": {
			&conversationv1.Interaction{Policy: "p", FirstResponseAt: minutes(3), Reopened: 1, ReopenedAt: minutes(90), Slas: []*conversationv1.Sla{begun}}, []clock{{resolution, 90, 150}},
		},
		"the first response from the reopening, where there was none before": {
			&conversationv1.Interaction{Policy: "p", Reopened: 1, ReopenedAt: minutes(90), Slas: []*conversationv1.Sla{
				begun, {Metric: first, Since: minutes(0), DueAt: minutes(10), State: conversationv1.SlaState_SLA_STATE_CANCELLED},
			}}, []clock{{first, 90, 100}, {resolution, 90, 150}},
		},
		"of history that goes on, from when that became live": {
			&conversationv1.Interaction{LiveSince: minutes(6)}, []clock{{first, 6, 16}, {resolution, 6, 66}},
		},
		"to which somebody replied in the history": {
			&conversationv1.Interaction{LiveSince: minutes(6), FirstResponseAt: minutes(1), WaitingSince: minutes(2)}, []clock{{next, 6, 26}, {resolution, 6, 66}},
		},
		"what was cancelled and is to be done after all": {
			&conversationv1.Interaction{Policy: "p", FirstResponseAt: minutes(3), Slas: []*conversationv1.Sla{
				{Metric: resolution, Since: minutes(0), DueAt: minutes(60), State: conversationv1.SlaState_SLA_STATE_CANCELLED},
			}}, []clock{{resolution, 0, 60}},
		},
		"what took the place of another does not begin anew": {
			&conversationv1.Interaction{Policy: "p", FirstResponseAt: minutes(3), Slas: []*conversationv1.Sla{
				{Metric: resolution, Since: minutes(0), DueAt: minutes(90), State: conversationv1.SlaState_SLA_STATE_CANCELLED}, begun,
			}}, nil,
		},
		"nobody waits for a reply when the call is over": {
			&conversationv1.Interaction{State: conversationv1.InteractionState_INTERACTION_STATE_ENDED, WaitingSince: minutes(1)}, []clock{{resolution, 0, 60}},
		},
		"another policy's clocks are due when this one says": {
			&conversationv1.Interaction{Policy: "other", FirstResponseAt: minutes(3), Slas: []*conversationv1.Sla{
				{Metric: resolution, Since: minutes(0), DueAt: minutes(120), State: conversationv1.SlaState_SLA_STATE_ACTIVE},
			}}, []clock{{resolution, 0, 60}},
		},
		"but what was missed stays so": {
			&conversationv1.Interaction{Policy: "other", FirstResponseAt: minutes(3), Slas: []*conversationv1.Sla{
				{Metric: resolution, Since: minutes(0), DueAt: minutes(120), State: conversationv1.SlaState_SLA_STATE_MISSED},
			}}, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := policiesOf(t, Policy{Name: "p", FirstResponse: 10 * time.Minute, NextResponse: 20 * time.Minute, Resolution: time.Hour, Hours: "office"})
			c.it.StartedAt, c.it.Channel = minutes(0), eventv1.Channel_CHANNEL_VOICE
			set := p.choose("acme", c.it).missing(c.it, minutes(8).AsTime())
			if (set == nil) != (len(c.clocks) == 0 && c.it.GetPolicy() != "other") {
				t.Fatalf("told: %v", set)
			}
			var got []clock
			for _, k := range set.GetClocks() {
				got = append(got, clock{k.GetMetric(), int(k.GetSince().AsTime().Sub(monday).Minutes()), int(k.GetDueAt().AsTime().Sub(monday).Minutes())})
			}
			if len(got) != len(c.clocks) {
				t.Fatalf("clocks %v, not %v", got, c.clocks)
			}
			for i := range got {
				if got[i] != c.clocks[i] {
					t.Errorf("clock %v, not %v", got[i], c.clocks[i])
				}
			}
		})
	}
}

func TestATargetIsDueInTheBusinessHoursOfItsPolicy(t *testing.T) {
	p := policiesOf(t, Policy{Name: "p", Resolution: 9 * time.Hour, Hours: "office"})
	it := &conversationv1.Interaction{StartedAt: after(0), Channel: eventv1.Channel_CHANNEL_EMAIL}
	set := p.choose("acme", it).missing(it, monday)
	if len(set.GetClocks()) != 1 || !set.GetClocks()[0].GetDueAt().AsTime().Equal(monday.Add(25*time.Hour)) || set.GetClocks()[0].GetTarget().AsDuration() != 9*time.Hour {
		t.Error(set)
	}
}
