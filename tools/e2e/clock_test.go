package e2e_test

import (
	"testing"
	"time"

	conversationv1 "github.com/skein-cx/skein/proto/skein/conversation/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// The clock itself enters as events, once each, though the process that reads it is killed in between.
func TestATargetIsMissedAndAnIdleChatEndsOnceThoughTheServerIsKilled(t *testing.T) {
	t.Parallel()
	config := configured(t, `
policies:
  - {tenant: default, name: quick, inboxes: [web], first_response: 1s, idle_timeout: 2s}
`)
	s := newSite(t)
	srv := s.Up("-c", config)
	d := newDesk(s)
	id := d.chatIn("clock", "v-clock")
	missed := func(i *conversationv1.Interaction) bool {
		return len(i.GetSlas()) == 1 && i.GetSlas()[0].GetState() == conversationv1.SlaState_SLA_STATE_MISSED
	}
	srv.WaitFor("missing the target", func() bool { return missed(d.conversation(id).GetInteractions()[0]) })
	srv.Kill()

	srv = s.Up("-c", config)
	d = newDesk(s)
	var i *conversationv1.Interaction
	srv.WaitFor("ending it", func() bool {
		i = d.conversation(id).GetInteractions()[0]
		return i.GetState() == conversationv1.InteractionState_INTERACTION_STATE_ENDED
	})
	// It ends as of when that was due, however late the server came back.
	if i.GetEndReason() != eventv1.EndReason_END_REASON_IDLE || !missed(i) || i.GetEndedAt().AsTime().Sub(i.GetLastActivityAt().AsTime()) != 2*time.Second {
		t.Errorf("it is %v", i)
	}
	quit(t, srv)
	srv = s.Up("-c", config)
	d = newDesk(s)
	second := d.chatIn("clock 2", "v-clock") // what is done for it is done behind all that was due before
	srv.WaitFor("ending another one", func() bool {
		return d.conversation(second).GetInteractions()[0].GetState() == conversationv1.InteractionState_INTERACTION_STATE_ENDED
	})
	fired := map[string]int{}
	for _, e := range got(d, d.timeline.List, &timelinev1.ListRequest{ConversationId: id, Types: []string{"timer.fired"}}).GetEntries() {
		fired[e.GetContent().GetTimerFired().GetTimer()]++
	}
	if len(fired) != 2 || fired["idle"] != 1 || fired["sla.first_response"] != 1 {
		t.Errorf("fired: %v", fired)
	}
	quit(t, srv)
}
