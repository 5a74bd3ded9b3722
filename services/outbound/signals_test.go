package outbound_test

import (
	"testing"

	"google.golang.org/grpc"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/live"
	"github.com/skein-cx/skein/pkg/rpc"
	channelv1 "github.com/skein-cx/skein/proto/skein/channel/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

const typing, stopped = livev1.Activity_ACTIVITY_TYPING, livev1.Activity_ACTIVITY_STOPPED

// mei is an agent.
func mei() *eventv1.SubmittedActor {
	return &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_AGENT, Id: "mei"}
}

// signalling serves a service that sends nothing.
func (w *world) signalling() channelv1.ChannelServiceClient {
	w.t.Helper()
	service, _ := w.start(w.remote())
	return w.serve(service)
}

// visitor is what a chat signals.
func (w *world) visitor(owner, inbox string, thread event.ID, does livev1.Activity) *livev1.Signal {
	return &livev1.Signal{Tenant: owner, ThreadId: thread.String(), Inbox: inbox, ActorKind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER, Activity: does}
}

func TestASignalGoesToItsThreadHoweverThatIsNamed(t *testing.T) {
	w := newWorld(t)
	client := w.signalling()
	thread := w.keyring.Tenant(tenant).Thread(desk, "t1")
	follower, err := w.hub.Follow(live.Selection{Tenant: tenant, Threads: []event.ID{thread}})
	must(t, err)
	defer follower.Close()
	for _, req := range []*channelv1.SignalRequest{
		{Inbox: desk, Thread: "t1", Actor: mei(), Author: "Mei", Activity: typing},
		{ThreadId: thread.String(), Actor: mei(), Activity: stopped},
		{ThreadId: thread.String(), Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_BOT}, Author: "Bo", Activity: typing},
	} {
		_, err := client.Signal(t.Context(), req)
		must(t, err)
		got := <-follower.Signals()
		if got.GetTenant() != tenant || got.GetThreadId() != thread.String() || got.GetActorKind() != req.GetActor().GetKind() || got.GetActorId() != req.GetActor().GetId() ||
			got.GetAuthor() != req.GetAuthor() || got.GetActivity() != req.GetActivity() {
			t.Errorf("%v became %v", req, got)
		}
	}
}

func TestWhatIsWrongWithASignalIsTold(t *testing.T) {
	w := newWorld(t)
	client := w.signalling()
	thread := w.keyring.Tenant(tenant).Thread(desk, "t1").String()
	customer := &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER}
	for name, req := range map[string]*channelv1.SignalRequest{
		"no thread":    {Actor: mei(), Activity: typing},
		"two threads":  {ThreadId: thread, Inbox: desk, Thread: "t1", Actor: mei(), Activity: typing},
		"no UUID":      {ThreadId: "t1", Actor: mei(), Activity: typing},
		"no actor":     {ThreadId: thread, Activity: typing},
		"a customer":   {ThreadId: thread, Actor: customer, Activity: typing},
		"no activity":  {ThreadId: thread, Actor: mei()},
		"unknown":      {ThreadId: thread, Actor: mei(), Activity: 99},
		"a wrong name": {ThreadId: thread, Actor: &eventv1.SubmittedActor{Kind: eventv1.ActorKind_ACTOR_KIND_BOT, Id: "a b"}, Activity: typing},
	} {
		if _, err := client.Signal(t.Context(), req); len(rpc.Violations(err)) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, req := range map[string]*channelv1.SignalsRequest{
		"nothing": {}, "both": {ThreadIds: []string{thread}, Inbox: desk}, "no UUID": {ThreadIds: []string{"t1"}},
	} {
		stream, err := client.Signals(t.Context(), req)
		must(t, err)
		if _, err := stream.Recv(); len(rpc.Violations(err)) == 0 {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSignalsTellWhatVisitorsDoAndNothingElse(t *testing.T) {
	w := newWorld(t)
	client := w.signalling()
	one, two := w.keyring.Tenant(tenant).Thread(desk, "t1"), w.keyring.Tenant(tenant).Thread(desk, "t2")
	begin := func(req *channelv1.SignalsRequest) grpc.ServerStreamingClient[channelv1.SignalsResponse] {
		stream, err := client.Signals(t.Context(), req)
		must(t, err)
		first, err := stream.Recv()
		must(t, err)
		if first.GetSignal() != nil {
			t.Errorf("%v", first)
		}
		return stream
	}
	ofThread, ofInbox := begin(&channelv1.SignalsRequest{ThreadIds: []string{one.String()}}), begin(&channelv1.SignalsRequest{Inbox: desk})
	w.hub.Publish(w.visitor("another tenant", desk, one, typing))
	w.hub.Publish(w.visitor(tenant, "another inbox", w.keyring.Tenant(tenant).Thread("another inbox", "t1"), typing))
	_, err := client.Signal(t.Context(), &channelv1.SignalRequest{Inbox: desk, Thread: "t1", Actor: mei(), Activity: typing})
	must(t, err)
	w.hub.Publish(w.visitor(tenant, desk, two, typing))
	w.hub.Publish(w.visitor(tenant, desk, one, stopped))
	want := func(stream grpc.ServerStreamingClient[channelv1.SignalsResponse], thread event.ID, does livev1.Activity) {
		t.Helper()
		got, err := stream.Recv()
		must(t, err)
		if s := got.GetSignal(); s.GetThreadId() != thread.String() || s.GetInbox() != desk || s.GetActivity() != does || !s.GetAt().IsValid() {
			t.Errorf("instead of %s, %s: %v", thread, does, s)
		}
	}
	want(ofThread, one, stopped)
	want(ofInbox, two, typing)
	want(ofInbox, one, stopped)
	if n := len(w.filed()); n != 0 {
		t.Errorf("the log of truth holds %d events", n)
	}

	w.stopHub()
	for _, stream := range []grpc.ServerStreamingClient[channelv1.SignalsResponse]{ofThread, ofInbox} {
		if _, err := stream.Recv(); err == nil {
			t.Error("it goes on")
		} else if _, again := rpc.RetryAfter(err); !again {
			t.Errorf("nobody is told to come again: %v", err)
		}
	}
}
