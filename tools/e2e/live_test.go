package e2e_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/rpc"
	adminv1 "github.com/skein-cx/skein/proto/skein/admin/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

func note(i int) *eventv1.Submission {
	return &eventv1.Submission{
		Type: event.TypeNoteAdded, Provider: "test", Inbox: "desk", Thread: fmt.Sprint("t", i%20), NativeId: fmt.Sprint(i),
		Parties: []*eventv1.SubmittedParty{{Address: anna(), Side: eventv1.Side_SIDE_CUSTOMER}},
		Content: &eventv1.Content{Body: &eventv1.Content_NoteAdded{NoteAdded: &eventv1.NoteAdded{Text: fmt.Sprint(i)}}},
	}
}

func anna() *eventv1.Address {
	return &eventv1.Address{Kind: eventv1.EndpointKind_ENDPOINT_KIND_EMAIL, Value: "anna@example.com"}
}

// watchAll watches through restarts and rebuilds until it has seen n different events, and lists again where it is told
// to. It fails on an event that comes twice without a reset between.
func watchAll(ctx context.Context, addr string, n int) error {
	conn, err := rpc.Dial(addr, "", nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	service := timelinev1.NewTimelineServiceClient(conn)
	var cursor string
	seen := map[string]bool{}
	see := func(e *timelinev1.Entry) error {
		if seen[e.GetEvent().GetId()] {
			return fmt.Errorf("event %s came twice", e.GetEvent().GetId())
		}
		seen[e.GetEvent().GetId()] = true
		return nil
	}
	again := func(err error) error { // the server is away for a moment, or wants a new list
		if c := status.Code(err); c != codes.Unavailable && c != codes.OutOfRange {
			return err
		} else if c == codes.OutOfRange {
			cursor = ""
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
			return nil
		}
	}
	for len(seen) < n {
		if cursor == "" {
			clear(seen)
			req := &timelinev1.ListRequest{Addresses: []*eventv1.Address{anna()}, PageSize: 1000}
			page, err := service.List(ctx, req)
			if err != nil {
				if err := again(err); err != nil {
					return err
				}
				continue
			}
			first := page.GetWatchCursor()
			for err == nil {
				for _, e := range page.GetEntries() {
					if err := see(e); err != nil {
						return err
					}
				}
				if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
					break
				}
				page, err = service.List(ctx, req)
			}
			if err != nil {
				if err := again(err); err != nil {
					return err
				}
				continue
			}
			cursor = first
		}
		wctx, cut := context.WithTimeout(ctx, 300*time.Millisecond) // disconnects now and then
		stream, err := service.Watch(wctx, &timelinev1.WatchRequest{Addresses: []*eventv1.Address{anna()}, Cursor: cursor})
		for err == nil && len(seen) < n {
			var m *timelinev1.WatchResponse
			if m, err = stream.Recv(); err != nil {
				break
			}
			cursor = m.GetCursor() // empty with a reset
			if e := m.GetEntry(); e != nil {
				if err := see(e); err != nil {
					cut()
					return err
				}
			}
			if m.GetReset_() != nil {
				break
			}
		}
		cut()
		if err != nil && status.Code(err) != codes.DeadlineExceeded {
			if err := again(err); err != nil {
				return err
			}
		}
	}
	return nil
}

// servesTimeline3 is what skein lag says of the third generation of timelines.
var servesTimeline3 = regexp.MustCompile(`(?m)^timeline +3 `)

func TestListAndWatchSeeEveryEventOnceThroughKillsAndRebuilds(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	srv := s.Up()
	const n = 4000
	watched := make(chan error, 3)
	for range cap(watched) {
		go func() { watched <- watchAll(t.Context(), s.GRPC, n) }()
	}
	conn, err := rpc.Dial(s.GRPC, "", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	publish := func(from, to int) {
		t.Helper()
		for i := from; i < to; i += 20 {
			req := &ingestv1.PublishRequest{}
			for j := i; j < i+20; j++ {
				req.Submissions = append(req.Submissions, note(j))
			}
			for {
				_, err := ingestv1.NewIngestServiceClient(conn).Publish(t.Context(), req)
				if err == nil {
					break
				}
				wait, again := rpc.RetryAfter(err)
				if !again {
					t.Fatal(rpc.Explain(err))
				}
				<-time.After(min(wait, 50*time.Millisecond))
			}
		}
	}
	publish(0, n/4)
	if out := s.Run("rebuild", "timeline", "--server", s.GRPC); !strings.Contains(out, "Generation 2 of timeline serves.") {
		t.Errorf("rebuild says:\n%s", out)
	}
	publish(n/4, n/2)
	srv.Kill()
	srv = s.Up()
	publish(n/2, 3*n/4)
	building := make(chan string, 1)
	go func() { building <- s.Run("rebuild", "timeline", "--server", s.GRPC) }()
	publish(3*n/4, n)
	if out := <-building; !strings.Contains(out, "Generation 3") {
		t.Errorf("rebuild says:\n%s", out)
	}
	for range cap(watched) {
		if err := <-watched; err != nil {
			t.Error(err)
		}
	}
	if out := s.Run("lag", "--server", s.GRPC); !servesTimeline3.MatchString(out) {
		t.Errorf("lag says:\n%s", out)
	}
	if err := srv.Stop(); err != nil {
		t.Errorf("%v\n%s", err, srv.Out())
	}
	// All generations were folded from one log: those that are left hash alike.
	hashes := map[string]bool{}
	for line := range strings.Lines(s.Run("store", "hash", "--data", s.Dir)) {
		if name, hash, ok := strings.Cut(line, "\t"); ok && strings.HasPrefix(name, "timeline/3") {
			hashes[hash] = true
		}
	}
	if len(hashes) != 1 {
		t.Errorf("hashes: %v", slices.Collect(maps.Keys(hashes)))
	}
}

func TestTheTimelineCommandFollowsThroughARestart(t *testing.T) {
	s := newSite(t)
	first := s.Up()
	file := filepath.Join(t.TempDir(), "events.jsonl")
	say := func(id, text string) {
		t.Helper()
		line := fmt.Sprintf(`{"type":"message.received","provider":"demo","inbox":"web","thread":"t","nativeId":%q,"parties":[{"address":{"kind":"ENDPOINT_KIND_EMAIL",`+
			`"value":"anna@example.com"},"side":"SIDE_CUSTOMER"}],"content":{"messageReceived":{"text":%q}}}`, id, text)
		if err := os.WriteFile(file, []byte(line+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		s.Run("publish", file, "--server", s.GRPC)
	}
	say("1", "before")
	follower := s.Start("timeline", "anna@example.com", "--follow", "--server", s.GRPC)
	shows := func(text string) {
		t.Helper()
		follower.WaitFor("showing "+text, func() bool { return strings.Contains(follower.Out(), text) })
	}
	shows("before")
	say("2", "while it follows")
	shows("while it follows")
	if err := first.Stop(); err != nil {
		t.Errorf("%v\n%s", err, first.Out())
	}
	s.Up()
	say("3", "after a restart")
	shows("after a restart")
	if n := strings.Count(follower.Out(), "while it follows"); n != 1 {
		t.Errorf("shown %d times", n)
	}
	if err := follower.Stop(); err != nil {
		t.Errorf("Ctrl-C: %v", err)
	}
}

func TestOperatingNeedsTheAdminRight(t *testing.T) {
	s := newSite(t)
	config := filepath.Join(t.TempDir(), "skein.yaml")
	// The tokens are "desk" and "operator".
	if err := os.WriteFile(config, []byte(`auth: {tokens: [
  {name: desk, tenant: acme, sha256: `+sha256Of("desk")+`},
  {name: operator, tenant: acme, sha256: `+sha256Of("operator")+`, admin: true}]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Up("-c", config)
	for token, want := range map[string]codes.Code{"": codes.Unauthenticated, "desk": codes.PermissionDenied, "operator": codes.OK} {
		conn, err := rpc.Dial(s.GRPC, token, nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := adminv1.NewAdminServiceClient(conn).ListSlices(t.Context(), &adminv1.ListSlicesRequest{}); status.Code(err) != want {
			t.Errorf("token %q: %v", token, err)
		}
		conn.Close()
	}
}
