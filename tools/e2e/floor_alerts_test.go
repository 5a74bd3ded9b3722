package e2e_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/event"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// pager is a receiver of alerts as its author would write it: it checks the signature, and passes over what it has by its id.
type pager struct {
	*httptest.Server
	mu     sync.Mutex
	seen   map[string]bool
	raised map[string]string   // what each alert is about, by the id of its event
	said   map[string][]string // of each rule, in the order in which it came
	wrong  []string
}

func newPager(t *testing.T) *pager {
	t.Helper()
	checker, err := standardwebhooks.NewWebhook(hookSecret)
	must(t, err)
	p := &pager{seen: map[string]bool{}, raised: map[string]string{}, said: map[string][]string{}}
	p.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return // the sender was killed
		}
		p.mu.Lock()
		defer p.mu.Unlock()
		id := r.Header.Get("Webhook-Id")
		if err := checker.Verify(body, r.Header); err != nil {
			p.wrong = append(p.wrong, fmt.Sprintf("%s: %v", id, err))
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if !p.seen[id] {
			p.seen[id] = true
			p.take(body)
		}
	}))
	t.Cleanup(p.Close)
	return p
}

// take notes an alert. The lock is held.
func (p *pager) take(body []byte) {
	var ce struct {
		ID, Type string
		Data     json.RawMessage
	}
	content := &eventv1.Content{}
	err := json.Unmarshal(body, &ce)
	if err == nil {
		err = protojson.Unmarshal(ce.Data, content)
	}
	up, down := content.GetAlertRaised(), content.GetAlertCleared()
	about := up.GetRule() + down.GetRule() + " of " + up.GetQueue() + up.GetAgent() + down.GetQueue() + down.GetAgent()
	switch {
	case err == nil && ce.Type == "skein.alert.raised" && up.GetText() != "":
		p.raised[ce.ID] = about
		p.said[up.GetRule()] = append(p.said[up.GetRule()], "raised of "+up.GetQueue()+up.GetAgent())
	case err == nil && ce.Type == "skein.alert.cleared" && p.raised[down.GetRaisedEventId()] == about:
		p.said[down.GetRule()] = append(p.said[down.GetRule()], "cleared")
	default:
		p.wrong = append(p.wrong, string(body))
	}
}

// of is what was said by a rule.
func (p *pager) of(rule string) string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.said[rule], ", ")
}

func idsOf(alerts []*boardv1.Alert) (ids []string) {
	for _, a := range alerts {
		ids = append(ids, a.GetEventId())
	}
	return ids
}

const alertRules = `
alerts:
  - {tenant: default, name: long wait, kind: oldest_waiting, queues: [support], above: 1s}
  - {tenant: default, name: asleep, kind: not_responding}
  - {tenant: default, name: lost, kind: vanished}
`

func TestAlertsAreRaisedAndClearedOnceThoughTheServerIsKilled(t *testing.T) {
	t.Parallel()
	p := newPager(t)
	config := configured(t, alertRules+fmt.Sprintf(`
webhooks:
  allow_private: true
  endpoints:
    - {id: pager, tenant: default, url: %q, secret: %q, types: ["alert.*"], include_content: true}
`, p.URL, hookSecret))
	s := newSite(t)
	f := open(s, s.Up("-c", config))
	hears := func(rule, want string) {
		t.Helper()
		f.until(want, func() string { return p.of(rule) })
	}
	f.be("lena", "Available")
	call := call201("first")
	f.now(call, event.TypeQueueEntered)
	hears("long wait", "raised of support")
	active := func() []*boardv1.Alert {
		t.Helper()
		return got(f.desk, f.alerts.Active, &boardv1.ActiveRequest{}).GetAlerts()
	}
	f.until("1", func() string { return fmt.Sprint(len(active())) }) // the board of alerts may be behind the webhooks, here and below
	before := active()
	p.mu.Lock()
	if len(before) != 1 || before[0].GetRaised().GetThreshold() != 1 || p.raised[before[0].GetEventId()] == "" {
		t.Errorf("raised is %v", before)
	}
	p.mu.Unlock()
	f.shows(regexp.MustCompile(`(?m)^\S+ \S+ long wait Queue Support \(support\): a contact has waited for `), f.says("alerts"))

	// Killed, it is still raised, and nothing is told again; then an offer is missed, and at last the call is taken.
	f.srv.Kill()
	f = open(s, s.Up("-c", config))
	f.until("1", func() string { return fmt.Sprint(len(active())) })
	if after := active(); len(after) != 1 || !slices.Equal(idsOf(after), idsOf(before)) {
		t.Errorf("behind the kill raised is %v, not %v", after, before)
	}
	offered, missed := call.told(event.TypeAssignmentOffered, time.Now()), call.told(event.TypeAssignmentDeclined, time.Now())
	missed.Content = &eventv1.Content{Body: &eventv1.Content_AssignmentDeclined{
		AssignmentDeclined: &eventv1.AssignmentDeclined{Reason: eventv1.DeclineReason_DECLINE_REASON_TIMED_OUT},
	}}
	end := f.publish(offered, missed)
	f.is("Available, not_responding; missed voice from support", doing(f.state("lena", end[1].GetPosition())))
	hears("asleep", "raised of lena")
	hears("long wait", "raised of support")
	f.now(call, event.TypeAssignmentOffered, event.TypeAssignmentConnected)
	hears("asleep", "raised of lena, cleared")
	hears("long wait", "raised of support, cleared")

	f.be("carla", "Available")
	got(f.desk, f.agents.Heartbeat, &agentv1.HeartbeatRequest{AgentId: "carla", Timeout: durationpb.New(200 * time.Millisecond)})
	hears("lost", "raised of carla")
	f.until("ALERT_KIND_VANISHED of carla", func() string {
		rest := &boardv1.ActiveResponse{}
		f.fetch(http.MethodGet, "/v1/alerts", "", rest)
		var raised []string
		for _, a := range rest.GetAlerts() {
			raised = append(raised, fmt.Sprint(a.GetRaised().GetKind(), " of ", a.GetRaised().GetAgent()))
		}
		return strings.Join(raised, ", ")
	})
	got(f.desk, f.agents.Heartbeat, &agentv1.HeartbeatRequest{AgentId: "carla"})
	hears("lost", "raised of carla, cleared")

	// Killed before it can be noticed that somebody waits too long, and again while nobody waits any more.
	second := call201("second")
	f.now(second, event.TypeQueueEntered)
	f.srv.Kill()
	f = open(s, s.Up("-c", config))
	hears("long wait", "raised of support, cleared, raised of support")
	f.now(second, event.TypeInteractionEnded)
	f.srv.Kill()
	f = open(s, s.Up("-c", config))
	hears("long wait", "raised of support, cleared, raised of support, cleared")
	hears("asleep", "raised of lena, cleared")
	hears("lost", "raised of carla, cleared")
	f.until("[]", func() string { return fmt.Sprint(active()) })
	p.mu.Lock()
	for _, w := range p.wrong {
		t.Error(w)
	}
	p.mu.Unlock()
	quit(t, f.srv)
}
