package channeltest_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/channel/channeltest"
)

var thread = channel.Thread{Tenant: "acme", Inbox: "desk", Thread: "t"}

// errEnough ends a Follow.
var errEnough = errors.New("enough")

// follow collects the texts of n events, which may be none, and the cursor behind the mark that follows them.
func follow(t *testing.T, f channel.Follower, thread channel.Thread, from string, n int, each func(text string)) (texts []string, cursor string) {
	t.Helper()
	err := f.Follow(t.Context(), thread, from, func(filed channel.Filed) error {
		if filed.Event == nil {
			if cursor = filed.Cursor; len(texts) >= n {
				return errEnough
			}
			return nil
		}
		text := filed.Content.GetMessageReceived().GetText()
		texts = append(texts, text)
		if each != nil {
			each(text)
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("Follow: %v", err)
	}
	return texts, cursor
}

func submit(t *testing.T, host *channeltest.Host, id, text string) {
	t.Helper()
	if _, err := host.Submit(t.Context(), "acme", submission(id, text)); err != nil {
		t.Fatal(err)
	}
}

func TestFollowingGivesTheHistoryAndThenWhatIsNew(t *testing.T) {
	host := channeltest.NewHost()
	f := channeltest.NewFollower(host)
	early := submission("0", "early")
	early.OccurredAt = timestamppb.New(channeltest.ReceivedAt.Add(-time.Hour))
	submit(t, host, "1", "late")
	if _, err := host.Submit(t.Context(), "acme", early); err != nil {
		t.Fatal(err)
	}
	elsewhere := submission("1", "elsewhere")
	elsewhere.Thread = "u"
	if _, err := host.Submit(t.Context(), "acme", elsewhere); err != nil {
		t.Fatal(err)
	}
	texts, _ := follow(t, f, thread, "", 3, func(text string) {
		if text == "late" {
			submit(t, host, "2", "new")
		}
	})
	if !slices.Equal(texts, []string{"early", "late", "new"}) {
		t.Errorf("followed %v", texts)
	}
}

func TestACursorGoesOnBehindWhatItHasSeenInAnyFollowerOfTheHost(t *testing.T) {
	host := channeltest.NewHost()
	_, cursor := follow(t, channeltest.NewFollower(host), thread, "", 0, nil)
	submit(t, host, "1", "a")
	texts, cursor := follow(t, channeltest.NewFollower(host), thread, cursor, 1, nil)
	submit(t, host, "2", "b")
	submit(t, host, "1", "a")
	more, _ := follow(t, channeltest.NewFollower(host), thread, cursor, 1, nil)
	if !slices.Equal(texts, []string{"a"}) || !slices.Equal(more, []string{"b"}) {
		t.Errorf("followed %v, then %v", texts, more)
	}
}

func TestCursorsOfAnotherThreadOfTheFutureAndExpiredOnesAreStale(t *testing.T) {
	host := channeltest.NewHost()
	f := channeltest.NewFollower(host)
	submit(t, host, "1", "a")
	_, cursor := follow(t, f, thread, "", 1, nil)
	stale := func(thread channel.Thread, cursor string) {
		t.Helper()
		err := f.Follow(t.Context(), thread, cursor, func(channel.Filed) error { return errEnough })
		if !errors.Is(err, channel.ErrStaleCursor) {
			t.Errorf("cursor %s: %v", cursor, err)
		}
	}
	stale(channel.Thread{Tenant: "acme", Inbox: "desk", Thread: "u"}, cursor)
	stale(thread, "2"+cursor[1:])
	stale(thread, "gibberish")
	f.Expire()
	stale(thread, cursor)
}

func TestAFollowerThatFailsEndsWhoFollows(t *testing.T) {
	host := channeltest.NewHost()
	f := channeltest.NewFollower(host)
	err := f.Follow(t.Context(), thread, "", func(channel.Filed) error { f.Fail(channel.ErrRetry); return nil })
	if !errors.Is(err, channel.ErrRetry) {
		t.Errorf("error %v", err)
	}
	f.Fail(nil)
	ctx, cancel := context.WithCancel(t.Context())
	err = f.Follow(ctx, thread, "", func(channel.Filed) error { cancel(); return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}
