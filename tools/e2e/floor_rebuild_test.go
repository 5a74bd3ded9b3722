package e2e_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	directoryv1 "github.com/skein-cx/skein/proto/skein/directory/v1"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

// told is what the API tells of a stretch of time that is over, byte for byte.
func (f *floor) told(ctx context.Context, from, until time.Time, agents ...string) (all []byte, err error) {
	add := func(m proto.Message, of error) {
		if err == nil {
			err = of
		}
		if err == nil {
			var raw []byte
			raw, err = proto.MarshalOptions{Deterministic: true}.Marshal(m)
			all = append(all, raw...)
		}
	}
	a, b := timestamppb.New(from), timestamppb.New(until)
	for _, id := range agents {
		for at := from; !at.After(until); at = at.Add(5 * time.Minute) {
			add(f.agents.At(ctx, &agentv1.AtRequest{AgentId: id, At: timestamppb.New(at)}))
		}
		add(f.agents.Intervals(ctx, &agentv1.IntervalsRequest{AgentId: id, From: a, Until: b}))
		add(f.agents.Contacts(ctx, &agentv1.ContactsRequest{AgentId: id, From: a, Until: b}))
	}
	for _, id := range []string{"support", "temporary"} {
		add(f.directory.History(ctx, &directoryv1.HistoryRequest{Kind: "queue", Id: id}))
	}
	add(f.directory.List(ctx, &directoryv1.ListRequest{At: b}))
	add(f.alerts.Active(ctx, &boardv1.ActiveRequest{}))
	return all, err
}

// present is what the board shows, byte for byte, and what Lena does.
func (f *floor) present(since time.Time, after ...*eventv1.Position) []byte {
	f.t.Helper()
	rows := got(f.desk, f.board.Get, &boardv1.GetRequest{Since: timestamppb.New(since), MinPositions: after}).GetRows()
	lena := f.state("lena", after...)
	return append(encoded(f.t, rows), doing(lena)+room(lena)+by(lena)...)
}

func TestTheFloorBuiltAnewWhileItServesTellsTheSame(t *testing.T) {
	t.Parallel()
	models := []string{"directory", "agents", "interactions", "alerts"}
	config := configured(t, alertRules)
	s := newSite(t)
	f := open(s, s.Up("-c", config))
	began := time.Now().Truncate(time.Second)
	ago := func(minutes int) time.Time { return began.Add(-time.Duration(minutes) * time.Minute) }
	since := ago(60)
	f.describe("queues:\n  - {id: temporary, name: For a while, valid_from: 2020-01-01}\n  - {id: temporary, removed: true, valid_from: 2021-01-01}\n")

	// An hour: two calls, a chat that goes on, a supervisor, a late statement, and somebody who waits too long.
	first, chat, second, waiting := call201("first"), chatOf("u-lena", "chat"), call201("second"), call201("waiting")
	second.worker = "202"
	f.publish(
		presence("asterisk", "201", "Available", ago(55)), presence("chatapp", "u-lena", "Available", ago(54)), presence("asterisk", "202", "Available", ago(50)),
		first.told(event.TypeQueueEntered, ago(50)), first.told(event.TypeAssignmentConnected, ago(49)), chat.told(event.TypeQueueEntered, ago(48)),
		chat.told(event.TypeAssignmentConnected, ago(47)), first.told(event.TypeAssignmentEnded, ago(40)), first.told(event.TypeInteractionEnded, ago(40)),
		second.told(event.TypeQueueEntered, ago(39)), second.told(event.TypeAssignmentOffered, ago(38)), second.told(event.TypeAssignmentConnected, ago(37)),
		second.told(event.TypeAssignmentEnded, ago(30)), second.told(event.TypeWrapupStarted, ago(30)), second.told(event.TypeWrapupEnded, ago(28)),
		second.told(event.TypeInteractionEnded, ago(28)), presence("asterisk", "202", "Meal", ago(25)), presence("asterisk", "202", "Break", ago(35)),
		waiting.told(event.TypeQueueEntered, ago(20)),
	)
	f.until("1", func() string {
		if alerts := got(f.desk, f.alerts.Active, &boardv1.ActiveRequest{}).GetAlerts(); len(alerts) == 1 {
			return "1"
		}
		return "none"
	})
	said := func() []byte {
		t.Helper()
		all, err := f.told(t.Context(), since, began, "lena", "omar")
		must(t, err)
		return all
	}
	before, now := said(), f.present(since)
	quit(t, f.srv)
	hash := hashes(s, models...)

	// Nothing happens meanwhile: the same state, under whoever reads and watches.
	rebuild := func(generation string) {
		t.Helper()
		ctx, cancel := context.WithCancel(t.Context())
		var readers errgroup.Group
		readers.Go(func() error {
			return again(ctx, func() error {
				all, err := f.told(t.Context(), since, began, "lena", "omar")
				if err == nil && !bytes.Equal(all, before) {
					err = errors.New("while it is built anew, the past is told in another way")
				}
				return err
			})
		})
		for _, slice := range models {
			if out := s.Run("rebuild", slice, "--server", s.GRPC); !strings.Contains(out, "Generation "+generation+" of "+slice+" serves.") {
				t.Errorf("rebuild says:\n%s", out)
			}
			if !bytes.Equal(said(), before) {
				t.Errorf("with %s built anew, the past is told in another way", slice)
			}
		}
		cancel()
		must(t, readers.Wait())
	}
	f = open(s, s.Up("-c", config))
	w := f.watch(since, "")
	const board = "Support: 1 wait, 0 offered, 1 in contact, 0 in wrap-up, 0 of 2 available; 4 entered, 3 answered, 0 abandoned, 2 handled"
	w.shows("support", board)
	rebuild("2")
	w.shows("support", board)
	if !bytes.Equal(f.present(since), now) {
		t.Error("built anew, the present is told in another way")
	}
	quit(t, f.srv)
	if anew := hashes(s, models...); len(hash) != len(models) || !maps.Equal(hash, anew) {
		t.Errorf("state hash before %v, built anew %v", hash, anew)
	}

	// The work goes on meanwhile, and whoever watches misses nothing of it.
	f = open(s, s.Up("-c", config))
	w = f.watch(since, "")
	ctx, cancel := context.WithCancel(t.Context())
	var worker errgroup.Group
	var end []*eventv1.Position
	worker.Go(func() error {
		return again(ctx, func() error {
			c := chatOf("u-carla", "while it is built anew")
			resp, err := f.ingest.Publish(t.Context(), &ingestv1.PublishRequest{Submissions: []*eventv1.Submission{
				presence("chatapp", "u-carla", "Available", time.Now()), c.told(event.TypeAssignmentOffered, time.Now()),
				c.told(event.TypeAssignmentConnected, time.Now()), c.told(event.TypeAssignmentHeld, time.Now()), c.told(event.TypeAssignmentUnheld, time.Now()),
			}})
			for _, ack := range resp.GetAcknowledgements() {
				end = append(end, ack.GetPosition())
			}
			return err
		})
	})
	rebuild("3")
	cancel()
	must(t, worker.Wait())
	f.publish(waiting.told(event.TypeInteractionEnded, time.Now()))
	w.shows("carla", "Available, interacting; connected web_chat from support")
	w.shows("support", "Support: 0 wait, 0 offered, 2 in contact, 0 in wrap-up, 0 of 2 available; 4 entered, 3 answered, 1 abandoned, 2 handled")
	f.until("0", func() string {
		if alerts := got(f.desk, f.alerts.Active, &boardv1.ActiveRequest{}).GetAlerts(); len(alerts) == 0 {
			return "0"
		}
		return "some"
	})
	last := lastOf(end)
	before, now = said(), f.present(since, last...)
	quit(t, f.srv)
	hash = hashes(s, models...)
	s.Run("store", "drop", "--data", s.Dir)
	srv := s.Up("-c", config)
	srv.WaitFor("folding everything again", func() bool { return foldedAll(s) })
	f = open(s, srv)
	if !bytes.Equal(said(), before) || !bytes.Equal(f.present(since, last...), now) {
		t.Error("folded again, the answers are others")
	}
	quit(t, f.srv)
	if dropped := hashes(s, models...); len(hash) != len(models) || !maps.Equal(hash, dropped) {
		t.Errorf("state hash before the drop %v, after it %v", hash, dropped)
	}
}

// again does something again and again until it fails or the context is done.
func again(ctx context.Context, do func() error) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if err := do(); err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// lastOf is the last position of each partition.
func lastOf(all []*eventv1.Position) (last []*eventv1.Position) {
	for _, p := range all {
		n := 0
		for n < len(last) && (last[n].GetTopic() != p.GetTopic() || last[n].GetPartition() != p.GetPartition()) {
			n++
		}
		if n == len(last) {
			last = append(last, p)
		} else if last[n].GetOffset() < p.GetOffset() {
			last[n] = p
		}
	}
	return last
}
