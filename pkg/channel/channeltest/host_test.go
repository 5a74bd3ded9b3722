package channeltest_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func submission(id, text string) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeMessageReceived, Provider: "pager", Inbox: "desk", Thread: "t", NativeId: id,
		Content: &eventv1.Content{Body: &eventv1.Content_MessageReceived{MessageReceived: &eventv1.Message{Text: text}}},
	}
}

func TestASubmissionHandedInAgainIsOneEventAndEachTimeAcknowledged(t *testing.T) {
	host := channeltest.NewHost()
	first, err := host.Submit(t.Context(), "acme", submission("1", "a"), submission("2", "b"))
	if err != nil {
		t.Fatal(err)
	}
	again, err := host.Submit(t.Context(), "acme", submission("1", "a"))
	if err != nil {
		t.Fatal(err)
	}
	if again[0].EventID != first[0].EventID || again[0].ThreadID != first[1].ThreadID || again[0].Position.Offset != 2 {
		t.Errorf("acknowledged as %+v, then as %+v", first, again)
	}
	if n := len(host.Events()); n != 2 || len(host.Conflicts()) != 0 {
		t.Errorf("%d events, %d conflicts", n, len(host.Conflicts()))
	}
}

func TestOneIDWithOtherContentIsAConflict(t *testing.T) {
	host := channeltest.NewHost()
	for _, text := range []string{"a", "b"} {
		if _, err := host.Submit(t.Context(), "acme", submission("1", text)); err != nil {
			t.Fatal(err)
		}
	}
	if len(host.Events()) != 1 || len(host.Conflicts()) != 1 || host.Events()[0].Content.GetMessageReceived().GetText() != "a" {
		t.Errorf("events %v, conflicts %v", host.Events(), host.Conflicts())
	}
}

func TestWhatSkeinRefusesIsRefused(t *testing.T) {
	host, wrong := channeltest.NewHost(), submission("1", "a")
	wrong.Inbox = ""
	_, err := host.Submit(t.Context(), "acme", submission("2", "b"), wrong)
	var invalid *event.InvalidError
	if !errors.As(err, &invalid) || invalid.Violations[0].Field != "inbox" {
		t.Errorf("error %v", err)
	}
	if n := len(host.Events()); n != 0 {
		t.Errorf("%d events, although one submission of the call is wrong", n)
	}
}

func TestAHostThatFailsTakesNothing(t *testing.T) {
	host := channeltest.NewHost()
	host.Fail(channel.ErrRetry)
	_, submitted := host.Submit(t.Context(), "acme", submission("1", "a"))
	_, stored := host.PutBlob(t.Context(), channel.BlobInfo{Tenant: "acme", Inbox: "desk", Thread: "t"}, strings.NewReader("x"))
	rejected := host.Reject(t.Context(), channel.Rejection{})
	for _, err := range []error{submitted, stored, rejected} {
		if !errors.Is(err, channel.ErrRetry) {
			t.Errorf("error %v", err)
		}
	}
	if len(host.Events())+len(host.Rejections()) != 0 {
		t.Error("something was taken")
	}
}

func TestABlobIsKeptUnderTheHashOfItsContentInItsThread(t *testing.T) {
	host := channeltest.NewHost()
	put := func(thread string) *eventv1.Blob {
		ref, err := host.PutBlob(t.Context(), channel.BlobInfo{Tenant: "acme", Inbox: "desk", Thread: thread}, strings.NewReader("<p>x</p>"))
		if err != nil {
			t.Fatal(err)
		}
		return ref
	}
	a, again, elsewhere := put("t"), put("t"), put("u")
	if !proto.Equal(a, again) || a.GetKey() == elsewhere.GetKey() || a.GetSize() != 8 || !strings.HasPrefix(a.GetMediaType(), "text/html") {
		t.Errorf("references %v, %v, %v", a, again, elsewhere)
	}
	if data, ok := host.Blob(a); !ok || string(data) != "<p>x</p>" {
		t.Errorf("kept %q", data)
	}
	s := submission("1", "a")
	s.Content.Original = a
	if _, err := host.Submit(t.Context(), "acme", s); err != nil {
		t.Error(err)
	}
}

func TestWaitEventsWaitsForThem(t *testing.T) {
	host := channeltest.NewHost()
	go func() { _, _ = host.Submit(context.WithoutCancel(t.Context()), "acme", submission("1", "a")) }() // the wait tells
	events, err := host.WaitEvents(t.Context(), 1)
	if err != nil || len(events) != 1 {
		t.Errorf("%d events, %v", len(events), err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := host.WaitEvents(ended, 2); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
