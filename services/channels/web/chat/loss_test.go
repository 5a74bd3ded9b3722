package chat_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/coder/websocket"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

const (
	lossSeed     = 20260301
	lossVisitors = 8
	lossMessages = 250 // of each visitor
)

// unsure is a log that now and then does not answer: before it has taken anything, or after.
type unsure struct {
	channel.Host
	mu     sync.Mutex
	random *rand.Rand
}

func (u *unsure) roll() int {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.random.IntN(20)
}

func (u *unsure) Submit(ctx context.Context, tenant string, s ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	roll := u.roll()
	if roll == 0 {
		return nil, channel.ErrRetry
	}
	acks, err := u.Host.Submit(ctx, tenant, s...)
	if roll == 1 {
		return nil, channel.ErrRetry
	}
	return acks, err
}

func TestEachOf2000MessagesStandsOnceWhateverConnectionsAndLogDo(t *testing.T) {
	t.Logf("seed %d", lossSeed)
	s := start(t, unhurried, wrap(func(h channel.Host) channel.Host {
		return &unsure{Host: h, random: rand.New(rand.NewPCG(lossSeed, 0))}
	}))
	var g sync.WaitGroup
	for i := range uint64(lossVisitors) {
		visitor := s.session("")
		g.Go(func() { s.sendAll(visitor, rand.New(rand.NewPCG(lossSeed, 2*i+1))) })
		g.Go(func() { s.seeAll(visitor, rand.New(rand.NewPCG(lossSeed, 2*i+2))) })
	}
	g.Wait()
	if n := len(s.host.Events()); n != lossVisitors*lossMessages {
		t.Errorf("%d events", n)
	}
	if n := len(s.host.Conflicts()); n != 0 {
		t.Errorf("%d conflicts", n)
	}
}

// sendAll sends until every message is acknowledged, on connections that break at any moment; some it sends again though
// they were.
func (s *site) sendAll(visitor session, random *rand.Rand) {
	acked := map[string]string{}
	connections, frames := 0, 0
	for len(acked) < lossMessages && !s.t.Failed() {
		connections++
		c := s.dial(visitor.Token)
		var todo []string
		for i := range lossMessages {
			id := fmt.Sprint("m", i)
			if _, done := acked[id]; !done || random.IntN(20) == 0 {
				todo = append(todo, id)
			}
		}
		frames += len(todo)
		written := make(chan struct{})
		go func() {
			defer close(written)
			for _, id := range todo {
				frame := `{"type":"message","id":"` + id + `","text":"message ` + id + ` of ` + visitor.Visitor + `","at":"2026-03-01T10:00:00Z"}`
				if c.Write(s.t.Context(), websocket.MessageText, []byte(frame)) != nil {
					return
				}
			}
		}()
		for range todo {
			if random.IntN(100) == 0 {
				break
			}
			f, err := c.read()
			if err != nil {
				s.t.Errorf("the server hung up: %v", err)
				break
			}
			if before, ok := acked[f.ID]; f.Type == "ack" && ok && before != f.Event {
				s.t.Errorf("%s was acknowledged as %s, then as %s", f.ID, before, f.Event)
			}
			if f.Type == "ack" {
				acked[f.ID] = f.Event
			}
		}
		_ = c.CloseNow()
		<-written
	}
	s.t.Logf("%d messages in %d frames on %d connections", lossMessages, frames, connections)
}

// seeAll follows the thread until every message was seen, on connections that break at any moment: it forgets what came
// without a cursor since the last one, and goes on from that.
func (s *site) seeAll(visitor session, random *rand.Rand) {
	var seen []string
	cursor, sure := "", 0
	for sure < lossMessages {
		seen = seen[:sure]
		c := s.dial(visitor.Token)
		c.resume(cursor)
		for sure < lossMessages && random.IntN(50) > 0 {
			f, err := c.read()
			if err != nil {
				s.t.Errorf("the server hung up: %v", err)
				return
			}
			if f.Type == "event" {
				seen = append(seen, f.ID)
			}
			if f.Cursor != "" {
				cursor, sure = f.Cursor, len(seen)
			}
		}
		_ = c.CloseNow()
	}
	once := map[string]bool{}
	for _, id := range seen {
		if once[id] {
			s.t.Errorf("%s was shown twice", id)
		}
		once[id] = true
	}
}
