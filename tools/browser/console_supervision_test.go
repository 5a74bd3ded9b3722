package browser_test

import (
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	staffingv1 "github.com/skein-cx/skein/proto/skein/staffing/v1"
	"github.com/skein-cx/skein/tools/e2e/skeintest"
)

// floorAlerts are raised by what the tests of the supervision do.
const floorAlerts = `
alerts:
  - {tenant: default, name: long meal, kind: state_too_long, states: ["presence:Meal"], above: 1s}
  - {tenant: default, name: crowded, kind: waiting, queues: [kettles], above: 1}
`

// centre is the demonstration's contact centre, seen by its API.
type centre struct {
	site     *skeintest.Site
	server   *skeintest.Process
	agents   agentv1.AgentServiceClient
	board    boardv1.BoardServiceClient
	ingest   ingestv1.IngestServiceClient
	staffing staffingv1.StaffingServiceClient
}

func openCentre(t *testing.T) *centre {
	t.Helper()
	skeintest.Require(t, "browser", chromium != "", "no chromium is found: make chromium, or apt-get install chromium")
	config := filepath.Join(t.TempDir(), "skein.yaml")
	if err := os.WriteFile(config, []byte(floorAlerts), 0o600); err != nil {
		t.Fatal(err)
	}
	site := skeintest.NewSite(t, binary)
	server := site.Up("--demo", "-c", config)
	server.WaitFor("the end of the story", func() bool { return strings.Contains(server.Out(), "Ctrl-C stops; the data") })
	conn, err := rpc.Dial(site.GRPC, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return &centre{
		site, server, agentv1.NewAgentServiceClient(conn), boardv1.NewBoardServiceClient(conn), ingestv1.NewIngestServiceClient(conn),
		staffingv1.NewStaffingServiceClient(conn),
	}
}

// sit opens a browser of somebody who supervises.
func (c *centre) sit(t *testing.T, language string) consoleTab {
	t.Helper()
	d := consoleTab{newBrowser(t, c.site, language)}
	d.screen(1400, 900, "light")
	return d
}

// chooses has an agent choose a presence, as a desktop tells it.
func (c *centre) chooses(t *testing.T, agent, presence string) {
	t.Helper()
	request := fmt.Sprintf("%s %s %d", agent, presence, time.Now().UnixNano())
	if _, err := c.agents.SetPresence(t.Context(), &agentv1.SetPresenceRequest{AgentId: agent, Presence: presence, RequestId: request}); err != nil {
		t.Fatal(err)
	}
}

// call is a call in the queue, or Tom's, of which steps are told.
func (c *centre) call(t *testing.T, thread string, begin time.Time, steps map[string]time.Duration) {
	t.Helper()
	var all []*eventv1.Submission
	for typ, after := range steps {
		e := &eventv1.Submission{
			Type: typ, OccurredAt: timestamppb.New(begin.Add(after)), Channel: eventv1.Channel_CHANNEL_VOICE, Direction: eventv1.Direction_DIRECTION_INBOUND,
			Provider: "pbx", Inbox: "hotline", Thread: thread, NativeId: thread + typ, Queue: "kettles",
			Parties: []*eventv1.SubmittedParty{{
				Address: &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: thread}, Role: eventv1.PartyRole_PARTY_ROLE_INITIATOR,
				Side: eventv1.Side_SIDE_CUSTOMER,
			}},
		}
		if strings.HasPrefix(typ, "assignment.") {
			e.Actor, e.Assignment = &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "tom"}, thread+" with tom"
		}
		all = append(all, e)
	}
	if _, err := c.ingest.Publish(t.Context(), &ingestv1.PublishRequest{Submissions: all}); err != nil {
		t.Fatal(err)
	}
}

// marked marks a page, to see that it was not loaded anew.
func (d consoleTab) marked() { evaluate[bool](d.tab, `window.marked = true`) }

func (d consoleTab) stillMarked() {
	d.t.Helper()
	if !evaluate[bool](d.tab, `window.marked === true`) {
		d.t.Error("the page was loaded anew")
	}
}

func TestTheSupervisionOfTheConsole(t *testing.T) {
	t.Parallel()
	c := openCentre(t)
	c.history(t)
	t.Run("the board shows what happens without being loaded anew", func(t *testing.T) { c.showsTheBoard(t, c.sit(t, "en-US")) })
	t.Run("the board shows what is chosen", func(t *testing.T) { c.sit(t, "en-US").showsWhatIsChosenOfTheBoard() })
	t.Run("an agent's day is that of the API", func(t *testing.T) { c.showsTheDay(t, c.sit(t, "en-US")) })
	t.Run("a supervisor sets what an agent does", func(t *testing.T) { c.setsAnAgent(t, c.sit(t, "en-US")) })
	t.Run("a queue shows the staff that it needs", func(t *testing.T) { c.showsTheStaff(t, c.sit(t, "en-US")) })
	t.Run("the directory is read as of any moment", func(t *testing.T) { c.sit(t, "en-US").readsTheDirectory() })
	t.Run("a supervisor reads it in Chinese", func(t *testing.T) { c.sit(t, "zh-CN").supervisesInChinese() })
}

// history is what came to the queue on this day of the week before, and on the next one, since it may be midnight before all is seen.
func (c *centre) history(t *testing.T) {
	t.Helper()
	const day = 24 * time.Hour
	today := time.Now().UTC().Truncate(day)
	for week := 1; week <= 3; week++ {
		for n := range 48 {
			begin := today.Add(-time.Duration(week)*7*day + time.Duration(n/24)*day + 9*time.Hour + time.Duration(n%24)*10*time.Minute)
			c.call(t, fmt.Sprintf("call %d of week %d", n, week), begin, map[string]time.Duration{
				event.TypeQueueEntered: 0, event.TypeAssignmentConnected: 10 * time.Second, event.TypeAssignmentEnded: 250 * time.Second,
				event.TypeInteractionEnded: 250 * time.Second,
			})
		}
	}
	c.server.WaitFor("folding the weeks", func() bool {
		f, err := c.staffing.Forecast(t.Context(), &staffingv1.ForecastRequest{Queue: "kettles"})
		return err == nil && f.GetWeeks() == 3
	})
}

func (c *centre) showsTheBoard(t *testing.T, d consoleTab) {
	t.Helper()
	d.visit("supervision")
	d.shows("#queues", "Kettles")
	d.until("the agents in their teams", `text("#g-support").includes("Tom") && text("#g-shanghai").includes("小林")`)
	d.until("needed staff, which comes later", `text("#q-kettles td:last-child").includes(" of ")`)
	d.marked()

	was := evaluate[string](d.tab, `document.querySelector("#a-support-tom .since").textContent`)
	d.until("a second more", `text("#a-support-tom .since") !== `+quoted(was))

	evaluate[bool](d.tab, `document.querySelector("#a-support-mia a.name").focus(), true`)
	c.chooses(t, "mia", "Meal")
	d.shows("#a-support-mia .state", "Meal")
	d.until("the alert", `text("#alerts").includes("Too long in one state") && text("#alerts").includes("Mia") && text("#alerts").includes("long meal: allowed 0:01")`)
	d.until("the mark of the agent", `$("#a-support-mia").classList.contains("alarmed")`)
	d.until("the count of who needs attention", `text("#states [href*=attention] .count") === "1"`)
	d.looksGood("board with an alert")
	d.until("the focus is where it was", `document.activeElement?.closest("#a-support-mia")`)
	c.chooses(t, "mia", "Available")
	d.until("no alert", `$("#alerts").classList.contains("none") && !$("#a-support-mia").classList.contains("alarmed")`)

	// Two calls wait; one is taken.
	now := time.Now()
	c.call(t, "first", now.Add(-30*time.Second), map[string]time.Duration{event.TypeQueueEntered: 0})
	c.call(t, "second", now.Add(-25*time.Second), map[string]time.Duration{event.TypeQueueEntered: 0})
	d.until("two who wait, too long", `text("#q-kettles td:nth-child(2)") === "2" && $("#q-kettles td:nth-child(3)").classList.contains("late")`)
	d.until("an alert of the queue", `text("#alerts").includes("Too many wait") && $("#q-kettles").classList.contains("alarmed")`)
	c.call(t, "first", now, map[string]time.Duration{event.TypeAssignmentConnected: 0})
	d.until("the call in hand", `text("#a-support-tom .state") === "On contact" && text("#a-support-tom .room").includes("1/1") && text("#q-kettles td:nth-child(2)") === "1"`)
	d.screenshot("board")
	d.until("the way to the conversation", `/\/console\/work\/[0-9a-f-]{36}$/.test($("#a-support-tom .in-hand").href)`)
	c.call(t, "first", time.Now(), map[string]time.Duration{event.TypeAssignmentEnded: 0, event.TypeInteractionEnded: 0})
	c.call(t, "second", time.Now(), map[string]time.Duration{event.TypeQueueLeft: 0, event.TypeInteractionEnded: 0})
	d.until("nothing in hand", `text("#a-support-tom .state") === "Available" && text("#q-kettles td:nth-child(2)") === "0"`)
	d.stillMarked()
}

func (d consoleTab) showsWhatIsChosenOfTheBoard() {
	d.t.Helper()
	d.visit("supervision?team=shanghai&state=all")
	d.until("one team", `text("#agents").includes("小林") && !text("#agents").includes("Tom") && $$("#queues tr").length === 0`)
	d.looksGood("no queue")
	d.visit("supervision?words=kettles")
	d.until("the queue, and who takes from it", `$$("#queues tr").length === 1 && text("#agents").includes("Tom") && !text("#agents").includes("小林")`)
	d.visit("supervision?words=nobody+is+called+so")
	d.until("nothing", `text("#agents").includes("No agent is like this")`)
	d.visit("supervision")
	evaluate[bool](d.tab, `const by = document.querySelector("select[name=by]"); by.value = "queue"; by.dispatchEvent(new Event("change", {bubbles: true})); true`)
	d.until("groups by queue", `location.search.includes("by=queue") && text("#g-kettles h3").includes("Kettles") && text("#g-").includes("小林")`)
	d.hit(`.queues thead a[href*="sort=waiting"]`)
	d.until("sorted", `location.search.includes("sort=waiting") && location.search.includes("by=queue") && $(".queues th[aria-sort=descending]")`)
	d.hit(`#states a[href*="state=available"]`)
	d.until("only who is available", `location.search.includes("state=available") && $("#states [aria-current]").innerText.includes("Available") && $$("#agents .agent:not(.is-available)").length === 0`)

	d.keys("j")
	d.until("the first row", `document.activeElement === $("#queues a[data-row]")`)
	d.keys("j")
	d.until("the next row, an agent", `document.activeElement.closest("#agents")`)
	d.keys("k", "Enter")
	d.until("the page of the queue", `location.pathname === "/console/supervision/queues/kettles"`)
}

// shiftDay is the day on which the demonstration's agents took calls.
const shiftDay = "2026-03-16"

func (c *centre) showsTheDay(t *testing.T, d consoleTab) {
	t.Helper()
	d.visit("supervision/agents/tom?day=" + shiftDay)
	d.shows("#day-title", "Monday, 16 March 2026")
	zone, err := time.LoadLocation(evaluate[string](d.tab, `document.documentElement.dataset.zone`))
	if err != nil {
		t.Fatal(err)
	}
	begin, err := time.ParseInLocation(time.DateOnly, shiftDay, zone)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := c.agents.Intervals(t.Context(), &agentv1.IntervalsRequest{
		AgentId: "tom", From: timestamppb.New(begin), Until: timestamppb.New(begin.AddDate(0, 0, 1)),
	})
	if err != nil {
		t.Fatal(err)
	}
	want, whole := map[string]float64{}, 0.0
	for _, i := range answer.GetIntervals() {
		long := i.GetUntil().AsTime().Sub(i.GetFrom().AsTime()).Seconds()
		whole += long
		connected := false
		for _, contact := range i.GetContacts() {
			connected = connected || contact.GetState() == agentv1.ContactState_CONTACT_STATE_CONNECTED
		}
		switch {
		case connected:
			want["contact"] += long
		case i.GetPresenceType() == eventv1.PresenceType_PRESENCE_TYPE_CUSTOM:
			want["away"] += long
		case i.GetPresenceType() == eventv1.PresenceType_PRESENCE_TYPE_OFFLINE:
			want["offline"] += long
		case i.GetRoutingStatus() == eventv1.RoutingStatus_ROUTING_STATUS_IDLE && len(i.GetContacts()) == 0:
			want["available"] += long
		}
	}
	got := evaluate[map[string]float64](d.tab, `[...document.querySelectorAll("#day-table tr[data-state]")].reduce((sums, r) => (sums[r.dataset.state] = (sums[r.dataset.state] ?? 0) + Number(r.dataset.seconds), sums.all = (sums.all ?? 0) + Number(r.dataset.seconds), sums), {})`)
	want["all"] = whole
	for state, long := range maps.All(want) {
		const rounding = 20 // each row loses less than a second
		if math.Abs(got[state]-long) > rounding || want["away"] != (45*time.Minute).Seconds() || want["contact"] == 0 {
			t.Errorf("%s: %.0f s on the page, %.0f s by the API", state, got[state], long)
		}
	}
	// From eight to five, the break began after three and a half of nine hours.
	place := evaluate[[]float64](d.tab, `(() => { const r = document.querySelector("#day-strip rect.is-away.span[y]"); return [parseFloat(r.getAttribute("x")), parseFloat(r.getAttribute("width"))]; })()`)
	if math.Abs(place[0]-100*3.5/9) > 0.01 || math.Abs(place[1]-100*0.75/9) > 0.01 {
		t.Errorf("the break is drawn at %v", place)
	}
	d.until("the sums", `text("#day-sums").includes("9:00:00") && text("#day-sums").includes("45:00") && text(".legend").includes("Away")`)
	d.until("the call", `$$("#contacts a[href*='/console/work/']").length >= 1`)
	d.hit(".as-table summary")
	d.looksGood("day")

	d.visit("supervision/agents/tom?at=" + begin.In(time.UTC).Add(11*time.Hour+45*time.Minute).In(zone).Format("2006-01-02T15:04"))
	d.until("the break, at that moment", `text(".banner").includes("16 Mar 2026 ") && text("#agent-now .state-now").includes("Break") && text("#agent-now .state-now").includes("15:00")`)
	d.until("nothing to set in the past", `!$("#presence") && $("#day-strip .moment")`)
	d.screenshot("day at a moment")
	d.visit("supervision/agents/tom?day=yesterday")
	d.shows("main", "write the day as 2026-03-12")
	d.visit("supervision/agents/nobody")
	d.shows("main", "There is no such thing")
}

func (c *centre) setsAnAgent(t *testing.T, d consoleTab) {
	t.Helper()
	d.visit("supervision/agents/lin")
	d.shows("#agent-now .state-now", "Available")
	d.marked()
	c.chooses(t, "lin", "Meeting")
	d.shows("#agent-now .state-now", "Meeting")
	d.until("the day follows", `text(".legend").includes("Away") && text("#day-table").includes("Meeting") || $("#day-table").textContent.includes("Meeting")`)
	d.stillMarked()

	d.keys("p")
	d.until("the dialog", `$("#presence").open`)
	d.accessible()
	evaluate[bool](d.tab, `document.querySelector("#presence-choice").value = "Training", true`)
	d.fill("#presence-reason", "新产品 <b>kettles</b>")
	d.hit("#presence .primary")
	d.until("what was set, and by whom", `text("#agent-now .state-now").includes("Training · 新产品 <b>kettles</b>") && text("#agent-now .pairs").includes("local")`)
	d.closed() // with the page that it was open in

	d.hit("[data-opens='#capacity']")
	d.fill("#max-web_chat", "7")
	d.hit("#capacity .primary")
	d.until("the room", `text("#agent-now .pairs").includes("0 of 7 in hand")`)
	d.closed()
	d.hit("[data-opens='#capacity']")
	evaluate[bool](d.tab, `document.querySelector("#max-voice").type = "text", true`)
	d.fill("#max-voice", "many")
	d.hit("#capacity .primary")
	d.shows("#capacity .wrong", "Telephone: write a whole number")
	d.screenshot("capacity")
	d.hit("#capacity [data-closes]")

	d.hit("[data-opens='#sign-out']")
	d.fill("#sign-out-reason", "went home")
	d.hit("#sign-out .danger")
	d.until("signed out", `text("#agent-now .state-now").includes("Signed out · went home")`)
	d.closed()
	answer, err := c.agents.Get(t.Context(), &agentv1.GetRequest{AgentId: "lin"})
	if err != nil || answer.GetState().GetPresence().GetType() != eventv1.PresenceType_PRESENCE_TYPE_OFFLINE {
		t.Errorf("%v, %v", answer, err)
	}
	d.visit("supervision")
	d.until("who has gone home is counted, and not shown", `text("#g-shanghai").includes("1 signed out") && !text("#agents").includes("小林")`)
}

func (c *centre) showsTheStaff(t *testing.T, d consoleTab) {
	t.Helper()
	d.visit("supervision/queues/kettles")
	d.shows("h1", "Kettles")
	zone, err := time.LoadLocation(evaluate[string](d.tab, `document.documentElement.dataset.zone`))
	if err != nil {
		t.Fatal(err)
	}
	year, month, day := time.Now().In(zone).Date()
	answer, err := c.staffing.Forecast(t.Context(), &staffingv1.ForecastRequest{
		Queue: "kettles", From: timestamppb.New(time.Date(year, month, day, 0, 0, 0, 0, zone)), Until: timestamppb.New(time.Date(year, month, day+1, 0, 0, 0, 0, zone)),
		TimeZone: zone.String(),
	})
	if err != nil {
		t.Fatal(err)
	}
	rows, some := evaluate[map[string]string](d.tab, `Object.fromEntries([...document.querySelectorAll(".staffing .as-table tbody tr")].map((r) => [r.cells[0].textContent.slice(0, 5), r.cells[1].textContent]))`), 0
	for _, i := range answer.GetIntervals() {
		if i.GetArrivals() < 1 {
			continue
		}
		some++
		if at, want := i.GetFrom().AsTime().In(zone).Format("15:04"), strconv.Itoa(int(i.GetNeeded().GetAgents())); rows[at] != want {
			t.Errorf("at %s: %q agents are needed on the page, %s by the API", at, rows[at], want)
		}
	}
	if bars := evaluate[int](d.tab, `document.querySelectorAll(".staff-chart .needed").length`); some == 0 || bars < some {
		t.Errorf("%d bars for %d intervals", bars, some)
	}
	// The example of docs/staffing.md.
	for name, value := range map[string]string{
		"volume": "100", "minutes": "30", "handle": "180", "within": "20", "level": "80", "occupancy": "85", "shrinkage": "30", "patience": "",
	} {
		d.fill("#if-"+name, value)
	}
	evaluate[bool](d.tab, `document.querySelector("#if-patience").value = "", true`)
	d.hit(".what-if .primary")
	d.until("the answer", `text("#staff-answer").includes("14 agents") && text("#staff-answer").includes("20 to be scheduled") && text("#staff-answer tr.chosen").includes("88.8%")`)
	d.looksGood("queue")
	d.fill("#if-level", "100")
	d.hit(".what-if .primary")
	d.until("what is wrong", `$("#staff-answer .wrong")?.innerText.includes("service_level")`)
	if s, err := c.staffing.Staff(t.Context(), &staffingv1.StaffRequest{
		Load: &staffingv1.Load{Arrivals: 100, Interval: durationpb.New(30 * time.Minute), AverageHandleTime: durationpb.New(3 * time.Minute)}, Agents: 14,
	}); err != nil || math.Round(1000*s.GetStaffing().GetServiceLevel()) != 888 {
		t.Errorf("%v, %v", s, err)
	}
	d.visit("supervision/queues/nobodys")
	d.shows("main", "There is no such thing")
}

func (d consoleTab) supervisesInChinese() {
	d.t.Helper()
	d.visit("supervision?state=all")
	d.until("the board", `text("h1").includes("监控") && text(".queues thead").includes("服务水平") && text("#states").includes("需关注") && text("#agents").includes("小林")`)
	d.looksGood("board in Chinese")
	d.visit("supervision/agents/tom?day=" + shiftDay)
	d.until("the day", `text("#day-title").includes("2026年3月16日 星期一") && text(".legend").includes("空闲") && text("#day-sums").includes("占用率")`)
	d.screenshot("day in Chinese")
	d.visit("supervision/queues/kettles")
	d.until("the queue", `text("main").includes("假设测算") && text("main").includes("全天人力")`)
	d.screenshot("queue in Chinese")
}

func (d consoleTab) readsTheDirectory() {
	d.t.Helper()
	d.visit("supervision")
	d.hit("a[href$='/supervision/directory']")
	d.until("the agents", `text(".rows").includes("Tom") && text(".rows").includes("Teams: Support") && text(".rows").includes("german 10")`)
	d.looksGood("directory")
	d.hit(".tabs a[href$='/queue']")
	d.until("the queue", `text(".rows").includes("Kettles") && text(".rows").includes("80% in 0:20")`)
	d.keys("j", "Enter")
	d.until("what was stated of it", `text("h1") === "Kettles" && text(".card").includes("from 1 Mar 2026") && text(".card").includes("Holds now") && text(".card").includes("twilio Kettles")`)
	d.accessible()
	d.screenshot("entry")
	d.visit("supervision/directory/agent?at=2026-02-01T00:00")
	d.shows("main", "The directory has none")
	d.visit("supervision/directory/shoes")
	d.shows("main", "This did not work")
}
