package e2e_test

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// takesPart has a supervisor come into a contact, or change how.
func (c contact) takesPart(supervisor string, mode eventv1.SupervisorMode) *eventv1.Submission {
	s := c.told(event.TypePartyJoined, time.Now())
	s.Parties, s.Actor = nil, agent(supervisor)
	s.Content = &eventv1.Content{Body: &eventv1.Content_PartyJoined{PartyJoined: &eventv1.PartyJoined{SupervisorMode: mode}}}
	return s
}

func TestContactHistoryIsFoundFromTheAgentAndFromTheCustomerAndATeamTakesOver(t *testing.T) {
	s := newSite(t)
	f := open(s, s.Up())
	began := time.Now()
	w := f.watch(began.Add(-time.Hour), "")
	for _, id := range []string{"lena", "carla", "sam"} {
		f.be(id, "Available")
	}
	chat := chatOf("u-lena", "broken lid")
	asked := chat.told(event.TypeMessageReceived, time.Now())
	asked.Direction, asked.Parties[0].Role = eventv1.Direction_DIRECTION_INBOUND, eventv1.PartyRole_PARTY_ROLE_SENDER
	asked.Content = &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: "The lid is broken."}}}
	f.publish(asked)
	f.now(chat, event.TypeQueueEntered, event.TypeAssignmentOffered, event.TypeAssignmentConnected)

	// A supervisor listens, whispers and barges in, and goes.
	for _, mode := range []struct {
		is   eventv1.SupervisorMode
		told string
	}{
		{eventv1.SupervisorMode_SUPERVISOR_MODE_MONITOR, "monitor"},
		{eventv1.SupervisorMode_SUPERVISOR_MODE_WHISPER, "whisper"},
		{eventv1.SupervisorMode_SUPERVISOR_MODE_BARGE, "barge"},
	} {
		at := f.publish(chat.takesPart("u-sam", mode.is))[0].GetPosition()
		want := "Available, interacting; connected web_chat from support with sam by " + mode.told
		f.is(want, doing(f.state("lena", at)))
		w.shows("lena", want)
	}
	f.shows(regexp.MustCompile(`in hand CONNECTED web_chat from support .*; sam barge `), f.says("agent", "lena"))
	left := chat.takesPart("u-sam", 0)
	left.Type, left.Content = event.TypePartyLeft, nil
	end := f.publish(left)[0].GetPosition()
	f.is("Available, interacting; connected web_chat from support", doing(f.state("lena", end)))
	f.is("Available, idle", doing(f.state("sam", end)))

	// From the agent to the customer, and from the customer to the agent.
	contacts := func(id string) []*agentv1.HandledContact {
		t.Helper()
		return got(f.desk, f.agents.Contacts, &agentv1.ContactsRequest{AgentId: id, CustomerId: f.customerOf("of broken lid").GetId()}).GetContacts()
	}
	by := func(list *timelinev1.ListRequest) (told []string) {
		t.Helper()
		list.Order, list.PageSize = timelinev1.Order_ORDER_OLDEST_FIRST, 1000
		for _, e := range got(f.desk, f.timeline.List, list).GetEntries() {
			if id := e.GetEvent().GetActor().GetId(); id != "" {
				told = append(told, e.GetEvent().GetType()+" by "+id)
			}
		}
		return told
	}
	hers := contacts("lena")
	if len(hers) != 1 || hers[0].GetCustomerId() != f.customerOf("of broken lid").GetId() || hers[0].GetChannel() != chat.channel {
		t.Fatalf("Lena's contacts with the customer are %v", hers)
	}
	talk := f.conversation(hers[0].GetConversationId())
	if len(talk.GetInteractions()) != 1 || talk.GetInteractions()[0].GetId() != hers[0].GetInteractionId() || talk.GetAgent() != "u-lena" {
		t.Errorf("the conversation is %v", talk)
	}
	if told := by(&timelinev1.ListRequest{CustomerId: hers[0].GetCustomerId()}); !slices.Contains(told, "assignment.connected by u-lena") {
		t.Errorf("the customer's timeline tells %v", told)
	}

	// Into another team's hands.
	command := func(request, by string) *conversationv1.Command {
		return &conversationv1.Command{ConversationId: talk.GetId(), RequestId: request, Actor: agent(by)}
	}
	for _, team := range []string{"leads", "no team"} {
		err := errorOf(f.conversations.Transfer(t.Context(), &conversationv1.TransferRequest{Command: command("0", "lena"), Team: team}))
		if rpc.Violations(err)["team"] == "" {
			t.Errorf("to %s: %v", team, err)
		}
	}
	moved := got(f.desk, f.conversations.Transfer, &conversationv1.TransferRequest{Command: command("1", "lena"), Team: "claims", Note: "send a lid"}).GetConversation()
	if moved.GetQueue() != "claims" || moved.GetAgent() != "" {
		t.Errorf("transferred, it is %v", moved)
	}
	w.shows("lena", "Available, idle")
	w.shows("claims", "Claims: 1 wait, 0 offered, 0 in contact, 0 in wrap-up, 1 of 1 available; 1 entered, 0 answered, 0 abandoned, 0 handled")
	w.shows("support", "Support: 0 wait, 0 offered, 0 in contact, 0 in wrap-up, 1 of 1 available; 1 entered, 1 answered, 0 abandoned, 1 handled")
	got(f.desk, f.conversations.Assign, &conversationv1.AssignRequest{Command: command("2", "carla"), Agent: "carla"})
	w.shows("carla", "Available, interacting; connected web_chat from claims")
	w.shows("claims", "Claims: 0 wait, 0 offered, 1 in contact, 0 in wrap-up, 0 of 1 available; 1 entered, 1 answered, 0 abandoned, 0 handled")
	theirs := contacts("carla")
	if len(theirs) != 1 || theirs[0].GetConversationId() != talk.GetId() || theirs[0].GetAssignment().GetQueue() != "claims" {
		t.Errorf("Carla's contacts with the customer are %v", theirs)
	}
	if ended := contacts("lena")[0].GetAssignment(); ended.GetEndReason() != eventv1.EndReason_END_REASON_TRANSFER || ended.GetEndedAt() == nil {
		t.Errorf("Lena's share is %v", ended)
	}
	told := by(&timelinev1.ListRequest{ConversationId: talk.GetId()})
	for _, want := range []string{"transfer.completed by lena", "queue.entered by lena", "note.added by lena", "assignment.connected by carla", "party.joined by u-sam"} {
		if !slices.Contains(told, want) {
			t.Errorf("%s is missing in the conversation's timeline: %v", want, told)
		}
	}
	quit(t, f.srv)
}

func TestAForecastFromFourWeeksTellsHowManyAreNeededAndHowManyThereAre(t *testing.T) {
	s := newSite(t)
	f := open(s, s.Up())
	f.be("lena", "Available")
	f.be("omar", "Break")
	// Each week at that time, six calls within half an hour: each takes four minutes, and one afterwards. Half of it is imported.
	const day = 24 * time.Hour
	from := time.Now().UTC().Truncate(day).Add(day + 10*time.Hour)
	var all []*eventv1.Submission
	for week := 1; week <= 4; week++ {
		for n := range 6 {
			call := call201(fmt.Sprintf("call %d of week %d", n, week))
			begin := from.Add(-time.Duration(week)*7*day + time.Duration(n)*4*time.Minute)
			for _, step := range []struct {
				typ   string
				after time.Duration
			}{
				{event.TypeQueueEntered, 0},
				{event.TypeAssignmentConnected, 10 * time.Second},
				{event.TypeAssignmentEnded, 250 * time.Second},
				{event.TypeWrapupStarted, 250 * time.Second},
				{event.TypeWrapupEnded, 310 * time.Second},
				{event.TypeInteractionEnded, 310 * time.Second},
			} {
				e := call.told(step.typ, begin.Add(step.after))
				e.Backfill = week > 2
				all = append(all, e)
			}
		}
	}
	f.publish(all...)
	f.srv.WaitFor("folding the weeks", func() bool { return foldedAll(s) })
	resp := got(f.desk, f.staffing.Forecast, &staffingv1.ForecastRequest{Queue: "support", From: timestamppb.New(from), Until: timestamppb.New(from.Add(time.Hour))})
	if i := resp.GetIntervals(); len(i) != 2 || i[0].GetArrivals() != 6 || i[0].GetAverageHandleTime().AsDuration() != 5*time.Minute || i[0].GetNeeded().GetAgents() != 3 ||
		i[0].GetNeeded().GetErlangs() != 1 || i[1].GetArrivals() != 0 || resp.GetHave() != 2 || resp.GetWeeks() != 4 || resp.GetError() != 0 {
		t.Errorf("the forecast is %v", resp)
	}
	said := f.says("forecast", "support", "--from", from.Format(time.RFC3339), "--until", from.Add(time.Hour).Format(time.RFC3339))
	f.shows(regexp.MustCompile(`^needed 3, have 2 \(from 4 weeks of history\)\n`), said)
	f.shows(regexp.MustCompile(`(?m)^\S+ \S+ 6\.0 5:00 3 3 92 % 33 % 0:14$`), said)
	if err := errorOf(f.staffing.Forecast(t.Context(), &staffingv1.ForecastRequest{Queue: "claims"})); !refusedFor(err, "NO_HISTORY") {
		t.Errorf("of a queue to which nothing came: %v", err)
	}
	staff := &staffingv1.StaffResponse{}
	f.fetch(http.MethodPost, "/v1/staffing:staff", `{"load":{"arrivals":100,"interval":"1800s","averageHandleTime":"180s"},`+
		`"goal":{"within":"20s","serviceLevel":0.8,"maxOccupancy":0.85,"shrinkage":0.3}}`, staff)
	if n := staff.GetStaffing(); n.GetAgents() != 14 || n.GetScheduled() != 20 {
		t.Errorf("a load of its own takes %v", staff)
	}
	quit(t, f.srv)
}
