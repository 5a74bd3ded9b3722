package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/rpc"
	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
	boardv1 "github.com/skein-cx/skein/proto/skein/board/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

const (
	// perConnection is how many watches share a connection.
	perConnection = 100
	// readers is how many of the watches that see everything, and of the others, have a look at what they get. The rest counts bytes, so that
	// the clients, which run on the machine that they measure, take little of it.
	readers = 20
	// watchEvery is how often a second a watch of the board is told something at most.
	watchEvery = 50
	// belated is how long after the last acknowledgement something may still come.
	belated = 5 * time.Second
)

// watching is a kind of watch.
type watching struct {
	name, method string
	// request asks for one team and its quiet queue, or for everything where they are empty.
	request func(team, queue, cursor string) proto.Message
	// read tells the moments that an answer shows, and whether everything that was so at the begin has been told.
	read func(encoded []byte, see func(*timestamppb.Timestamp)) (complete bool, cursor string, err error)
	// queues: it shows what happens in queues.
	queues bool
}

func boardWatch() watching {
	return watching{
		name: "**BoardService.Watch**", method: boardv1.BoardService_Watch_FullMethodName, queues: true,
		request: func(team, queue, cursor string) proto.Message {
			r := &boardv1.WatchRequest{MaxPerSecond: watchEvery, Cursor: cursor}
			if team != "" {
				r.Filter = &boardv1.BoardFilter{Teams: []string{team}, Queues: []string{queue}}
			}
			return r
		},
		read: func(encoded []byte, see func(*timestamppb.Timestamp)) (complete bool, cursor string, err error) {
			m := &boardv1.WatchResponse{}
			if err := proto.Unmarshal(encoded, m); err != nil {
				return false, "", err
			}
			for _, a := range m.GetRows().GetAgents() {
				see(a.GetPresenceSince())
				see(a.GetRoutingStatusSince())
				seeContacts(a.GetContacts(), see)
			}
			for _, q := range m.GetRows().GetQueues() {
				see(q.GetOldestEnteredAt())
			}
			return m.GetComplete(), m.GetCursor(), nil
		},
	}
}

func agentWatch() watching {
	return watching{
		name: "ceiling: AgentService.Watch", method: agentv1.AgentService_Watch_FullMethodName,
		request: func(team, _, cursor string) proto.Message {
			r := &agentv1.WatchRequest{Cursor: cursor}
			if team != "" {
				r.Filter = &agentv1.AgentFilter{Teams: []string{team}}
			}
			return r
		},
		read: func(encoded []byte, see func(*timestamppb.Timestamp)) (complete bool, cursor string, err error) {
			m := &agentv1.WatchResponse{}
			if err := proto.Unmarshal(encoded, m); err != nil {
				return false, "", err
			}
			if a := m.GetState(); a != nil {
				see(a.GetPresence().GetSince())
				see(a.GetRoutingStatusSince())
				seeContacts(a.GetContacts(), see)
			}
			return m.GetComplete(), m.GetCursor(), nil
		},
	}
}

func seeContacts(contacts []*agentv1.Contact, see func(*timestamppb.Timestamp)) {
	for _, c := range contacts {
		see(c.GetSince())
	}
}

// watcher is one watch.
type watcher struct {
	kind            watching
	team            string // empty where it sees everything
	reads           bool
	messages, bytes atomic.Int64

	mu   sync.Mutex
	seen map[int64]time.Time // moments, and when they were first shown
}

// run watches until ctx ends; told is called with a cursor when everything that was so at the begin has been told.
func (w *watcher) run(ctx context.Context, conn *grpc.ClientConn, request proto.Message, told func(cursor string)) error {
	err := w.watch(ctx, conn, request, told)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // it was asked to end
	}
	return fmt.Errorf("watch: %s", rpc.Explain(err))
}

func (w *watcher) watch(ctx context.Context, conn *grpc.ClientConn, request proto.Message, told func(cursor string)) error {
	encoded, err := proto.Marshal(request)
	if err != nil {
		return err
	}
	stream, err := conn.NewStream(ctx, &grpc.StreamDesc{ServerStreams: true}, w.kind.method, grpc.ForceCodec(frames{}))
	if err != nil {
		return err
	}
	if err := errors.Join(stream.SendMsg(&frame{encoded}), stream.CloseSend()); err != nil {
		return err
	}
	answer := &frame{}
	for complete := false; ; {
		if err := stream.RecvMsg(answer); err != nil {
			return err
		}
		w.messages.Add(1)
		w.bytes.Add(int64(len(answer.encoded)))
		if complete && !w.reads {
			continue
		}
		now := time.Now()
		w.mu.Lock()
		whole, cursor, err := w.kind.read(answer.encoded, func(t *timestamppb.Timestamp) {
			if t == nil || !complete {
				return
			}
			at := t.AsTime().UnixNano()
			if _, ok := w.seen[at]; !ok {
				w.seen[at] = now
			}
		})
		w.mu.Unlock()
		if err != nil {
			return err
		}
		if whole && !complete {
			complete = true
			told(cursor)
		}
	}
}

// wants tells whether an event shows in what is watched.
func (w *watcher) wants(h *happening) bool {
	return (w.kind.queues || h.queue == "") && (w.team == "" || w.team == h.team)
}

// delays are those of the events that are to show, and how many have not been seen.
func (w *watcher) delays(all []*happening) (d delays, missing int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range all {
		if !w.wants(h) {
			continue
		}
		at, ok := w.seen[h.at]
		if !ok {
			missing++
			continue
		}
		d = append(d, max(0, at.Sub(h.acknowledged)))
	}
	return d, missing
}

// crowd is many who watch.
type crowd struct {
	watchers []*watcher
	// whole is how long it took until the first of them had everything, in so many bytes.
	whole      time.Duration
	wholeBytes int64
	end        func() error
}

// gather has so many watch: the first all of the floor, the second one team and one queue, and so on. Whoever sees everything goes on behind
// the first, so that a thousand do not fetch the same at the same time.
func (f *floor) gather(ctx context.Context, s *site, kind watching, n int) (_ *crowd, err error) {
	g, gctx := errgroup.WithContext(ctx)
	wctx, cancel := context.WithCancel(gctx)
	var conns []*grpc.ClientConn
	c := &crowd{end: sync.OnceValue(func() error {
		cancel()
		err := g.Wait()
		for _, conn := range conns {
			_ = conn.Close() // its streams have ended
		}
		return err
	})}
	defer func() {
		if err != nil {
			err = errors.Join(err, c.end())
		}
	}()
	cursor := ""
	every := max(1, n/2/readers)
	for i := range n {
		if i%perConnection == 0 {
			conn, err := rpc.Dial(s.grpc, "", nil)
			if err != nil {
				return nil, err
			}
			conns = append(conns, conn)
		}
		w := &watcher{kind: kind, reads: i/2%every == 0, seen: map[int64]time.Time{}}
		request := kind.request("", "", cursor)
		if i%2 == 1 {
			team := i / 2 % f.teams
			w.team = teamID(team)
			request = kind.request(w.team, f.quiet(team), "")
		}
		told := make(chan string, 1)
		began, conn := time.Now(), conns[len(conns)-1]
		g.Go(func() error { return w.run(wctx, conn, request, func(cursor string) { told <- cursor }) })
		c.watchers = append(c.watchers, w)
		select {
		case behind := <-told:
			if i == 0 {
				cursor, c.whole, c.wholeBytes = behind, time.Since(began), w.bytes.Load()
			}
		case <-gctx.Done():
			return nil, gctx.Err()
		}
	}
	return c, nil
}

// sums are the messages and bytes that those who see everything, and the others, have got.
func (c *crowd) sums() (messages, bytes, watchers [2]float64) {
	for i, w := range c.watchers {
		messages[i%2] += float64(w.messages.Load())
		bytes[i%2] += float64(w.bytes.Load())
		watchers[i%2]++
	}
	return messages, bytes, watchers
}

// seen waits until all events have been, or for some seconds.
func (c *crowd) seen(ctx context.Context, all []*happening) {
	until := time.Now().Add(belated)
	for time.Now().Before(until) && ctx.Err() == nil {
		if !slices.ContainsFunc(c.watchers, func(w *watcher) bool {
			if !w.reads {
				return false
			}
			_, missing := w.delays(all)
			return missing > 0
		}) {
			return
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// goOn has events happen at a steady pace.
func (f *floor) goOn(ctx context.Context, b *bench, s *site) ([]*happening, bool, error) {
	stream, err := ingestv1.NewIngestServiceClient(s.conns[0]).Stream(ctx)
	if err != nil {
		return nil, false, err
	}
	var all []*happening
	var mu sync.Mutex // of all
	answered := make(chan error, 1)
	go func() {
		for {
			m, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				answered <- nil
				return
			}
			if err != nil {
				answered <- fmt.Errorf("stream: %s", rpc.Explain(err))
				return
			}
			now := time.Now()
			mu.Lock()
			for _, r := range m.GetResults() {
				if r.GetRefusal() != nil {
					mu.Unlock()
					answered <- fmt.Errorf("refused: %v", r.GetRefusal())
					return
				}
				all[r.GetId()].acknowledged = now
			}
			mu.Unlock()
		}
	}()
	kept, err := pace(ctx, b.BoardRate, b.Each, func(from, to int, _ time.Time) error {
		req := &ingestv1.StreamRequest{}
		mu.Lock()
		for ; from < to; from++ {
			submission, h := f.happen()
			req.Items = append(req.Items, &ingestv1.StreamItem{Id: uint64(len(all)), Submission: submission})
			all = append(all, h)
		}
		mu.Unlock()
		if err := stream.Send(req); err != nil {
			return errors.Join(err, <-answered)
		}
		return nil
	})
	if err != nil {
		return nil, false, err
	}
	if err := stream.CloseSend(); err != nil {
		return nil, false, err
	}
	return all, kept, <-answered
}

// watched is what a run with a crowd gave.
type watched struct {
	events          int
	kept            bool
	cpu             time.Duration // of the server, for an event
	delays          [2]delays     // of those who see everything, and of the others
	missing         [2]int
	messages, bytes [2]float64 // for a watch and an event that happened
	whole           time.Duration
	wholeBytes      int64
	profile         *breakdown
}

// watch has so many watch while events happen. The profile is of a second run.
func (f *floor) watch(ctx context.Context, b *bench, s *site, kind watching, n int, profile bool) (r *watched, err error) {
	c, err := f.gather(ctx, s, kind, n)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, c.end()) }()
	messages, bytes, watchers := c.sums()
	before, err := s.used(ctx)
	if err != nil {
		return nil, err
	}
	all, kept, err := f.goOn(ctx, b, s)
	if err != nil {
		return nil, err
	}
	c.seen(ctx, all)
	after, err := s.used(ctx)
	if err != nil {
		return nil, err
	}
	r = &watched{events: len(all), kept: kept, whole: c.whole, wholeBytes: c.wholeBytes}
	r.cpu = time.Duration(1e9 * after.since(before).cpuSeconds / float64(max(1, len(all))))
	nowMessages, nowBytes, _ := c.sums()
	for i := range watchers {
		per := max(1, watchers[i]) * float64(max(1, len(all)))
		r.messages[i], r.bytes[i] = (nowMessages[i]-messages[i])/per, (nowBytes[i]-bytes[i])/per
	}
	for i, w := range c.watchers {
		if w.reads {
			d, missing := w.delays(all)
			r.delays[i%2], r.missing[i%2] = append(r.delays[i%2], d...), r.missing[i%2]+missing
		}
	}
	for i := range r.delays {
		r.delays[i].sort()
	}
	if profile {
		r.profile, err = s.profiledWhile(ctx, b, func(ctx context.Context) error {
			_, _, err := f.goOn(ctx, b, s)
			return err
		})
	}
	return r, err
}
