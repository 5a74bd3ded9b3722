package view_test

import (
	"strings"
	"testing"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/view"
)

func names() view.Names {
	agent := func(id, name, native string) *eventv1.DirectoryUpdated {
		return &eventv1.DirectoryUpdated{Id: id, Entry: &eventv1.DirectoryUpdated_Agent{Agent: &eventv1.DirectoryAgent{
			Name: name, Ids: []*eventv1.NativeId{{Provider: "twilio", Id: native}},
		}}}
	}
	queue := &eventv1.DirectoryUpdated{Id: "k", Entry: &eventv1.DirectoryUpdated_Queue{Queue: &eventv1.DirectoryQueue{Name: "Kettles"}}}
	return view.NewNames(
		[]*eventv1.DirectoryUpdated{agent("tom", "Tom", "WK1"), agent("mia", "Mia \u202eevil", "WK2"), {Id: "gone"}}, []*eventv1.DirectoryUpdated{queue}, nil,
	)
}

func TestAgentsAndQueuesGoByTheirNamesElseByTheirIds(t *testing.T) {
	t.Parallel()
	n := names()
	for got, want := range map[string]string{
		n.Agents.Name("twilio", "WK1"): "Tom", n.Agents.Name("", "tom"): "Tom", n.Agents.Name("desktop", "WK1"): "WK1", n.Queues.Name("twilio", "k"): "Kettles", view.Names{}.Agents.Name("", "x"): "x",
	} {
		if got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
}

func TestWhoeverCallsSomebodyHoweverMeansTheSame(t *testing.T) {
	t.Parallel()
	n := names()
	for got, want := range map[string]string{
		n.Agents.NameOf("WK1"): "Tom", n.Agents.NameOf("eve"): "eve", n.Agents.ID("WK1"): "tom", n.Agents.ID("eve"): "eve",
		strings.Join(n.Agents.Aliases("WK1"), " "): "tom WK1", strings.Join(n.Agents.Aliases("eve"), " "): "eve",
	} {
		if got != want {
			t.Errorf("%q instead of %q", got, want)
		}
	}
	if len(n.Agents.All) != 2 || n.Agents.All[0].ID != "mia" {
		t.Errorf("in order of their names, without who is gone: %v", n.Agents.All)
	}
}

func TestStepsOfACallReadAsSentences(t *testing.T) {
	t.Parallel()
	agent := &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "WK1"}
	to := &eventv1.Content{Body: &eventv1.Content_TransferStarted{TransferStarted: &eventv1.TransferStarted{Target: "WK2"}}}
	for _, c := range []struct {
		typ     string
		actor   *eventv1.Actor
		content *eventv1.Content
		want    string
	}{
		{"assignment.connected", agent, nil, "Tom is on the line"}, // says nothing beside its type
		{"assignment.connected", nil, nil, "An agent is on the line"},
		{"transfer.started", agent, to, "Tom hands over to Mia evil"},
		{"queue.entered", &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_SYSTEM}, nil, "Waits in the queue Kettles"},
		{"interaction.started", &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER, Id: "e1"}, nil, "Anna calls"},
		{"ext.own.thing", nil, nil, "ext.own.thing"},
	} {
		e := &timelinev1.Entry{Content: c.content, Event: &eventv1.Event{Type: c.typ, Provider: "twilio", Queue: "k", Actor: c.actor, Channel: eventv1.Channel_CHANNEL_VOICE}}
		h := view.Describe(t.Context(), e, view.Files{Names: names(), People: map[string]string{"e1": "Anna"}})
		if h.Title != c.want || h.Who != "" {
			t.Errorf("%s reads %q, by %q, instead of %q", c.typ, h.Title, h.Who, c.want)
		}
	}
}
