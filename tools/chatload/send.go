package chatload

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"
	"golang.org/x/sync/errgroup"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Sender has conversations, each as a visitor of its own.
type Sender struct {
	// URL is the widget's address, such as http://127.0.0.1:7080/chat/v1/web/.
	URL string
	// Seed decides where connections break and what is sent twice.
	Seed uint64
	// Connections at once.
	Connections int
	// Patience is how long a conversation goes on without any acknowledgement, while the server is away or busy; 0 gives
	// up at once.
	Patience time.Duration
	// Progress is told now and then how many messages are acknowledged; may be nil.
	Progress func(acknowledged int)

	acknowledged, frames, connections, refused atomic.Int64
}

// Talk is a conversation that was had.
type Talk struct {
	Conversation
	Visitor, Thread string
	// Events are the acknowledged event ids, by message id.
	Events map[string]string
}

// Sent is what became of the conversations.
type Sent struct {
	Talks []Talk
	// Last is the last acknowledged position of each partition.
	Last map[int32]*eventv1.Position
	// Acknowledged messages, the Frames in which they were sent, the Connections that it took, and the frames that were
	// Refused, to be sent again.
	Acknowledged, Frames, Connections, Refused int64
	Took                                       time.Duration
}

func (s Sent) String() string {
	return fmt.Sprintf("conversations %d, messages acknowledged %d, frames %d, connections %d, refused for a while %d, %.1f s, %.0f messages/s",
		len(s.Talks), s.Acknowledged, s.Frames, s.Connections, s.Refused, s.Took.Seconds(), float64(s.Acknowledged)/s.Took.Seconds())
}

const (
	pause        = 100 * time.Millisecond
	progressTick = 2 * time.Second
	answerTime   = 30 * time.Second
	// One in so many acknowledgements is the last of its connection; one in so many messages is sent twice.
	breakOneIn  = 10
	repeatOneIn = 10
)

// Send returns when every message is acknowledged.
func (s *Sender) Send(ctx context.Context, conversations []Conversation) (Sent, error) {
	began := time.Now()
	sent := Sent{Talks: make([]Talk, len(conversations)), Last: map[int32]*eventv1.Position{}}
	var mu sync.Mutex
	acknowledged := func(a answer) {
		mu.Lock()
		defer mu.Unlock()
		if last := sent.Last[a.Position.Partition]; last.GetOffset() <= a.Position.Offset {
			sent.Last[a.Position.Partition] = &eventv1.Position{Topic: a.Position.Topic, Partition: a.Position.Partition, Offset: a.Position.Offset}
		}
	}
	stop := s.report()
	defer stop()
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(s.Connections)
	for i, c := range conversations {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			t := talker{Sender: s, random: rand.New(rand.NewPCG(s.Seed, uint64(i))), acknowledged: acknowledged, Talk: Talk{Conversation: c, Events: map[string]string{}}} //nolint:gosec // random, not secret
			err := t.converse(ctx)
			sent.Talks[i] = t.Talk
			return err
		})
	}
	err := g.Wait()
	sent.Acknowledged, sent.Frames, sent.Connections, sent.Refused = s.acknowledged.Load(), s.frames.Load(), s.connections.Load(), s.refused.Load()
	sent.Took = time.Since(began)
	return sent, err
}

// Acknowledged is how many messages are acknowledged so far. It may be called while Send runs.
func (s *Sender) Acknowledged() int { return int(s.acknowledged.Load()) }

func (s *Sender) report() (stop func()) {
	tick, ended := time.NewTicker(progressTick), make(chan struct{})
	go func() {
		for {
			select {
			case <-tick.C:
				if s.Progress != nil {
					s.Progress(s.Acknowledged())
				}
			case <-ended:
				return
			}
		}
	}()
	return func() { tick.Stop(); close(ended) }
}

// talker has one conversation.
type talker struct {
	*Sender
	Talk
	random       *rand.Rand
	acknowledged func(answer)
	token        string
}

// answer is a frame of the server's.
type answer struct {
	Type, ID, Event, Code, Message string
	RetryAfter                     float64 `json:"retry_after"`
	Position                       struct {
		Topic     string
		Partition int32
		Offset    int64
	}
}

// errForGood is an answer after which another try would not help.
var errForGood = errors.New("refused for good")

// converse goes on, connection after connection, until every message is acknowledged.
func (t *talker) converse(ctx context.Context) error {
	deadline := time.Now().Add(t.Patience)
	for len(t.Events) < len(t.Messages) {
		before := len(t.Events)
		wait, err := t.connection(ctx)
		switch {
		case errors.Is(err, errForGood), ctx.Err() != nil:
			return fmt.Errorf("conversation %s: %w", t.ID, err)
		case len(t.Events) > before:
			deadline = time.Now().Add(t.Patience)
		case err != nil && time.Now().After(deadline):
			return fmt.Errorf("conversation %s: %w", t.ID, err)
		case err != nil:
			wait = max(wait, pause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
	return nil
}

// connection sends what is not acknowledged, and some of it twice, until it breaks off, and tells how long to wait.
func (t *talker) connection(ctx context.Context) (wait time.Duration, err error) {
	ctx, cancel := context.WithTimeout(ctx, answerTime)
	defer cancel()
	if t.token == "" {
		if err := t.session(ctx); err != nil {
			return 0, err
		}
	}
	conn, err := t.dial(ctx)
	if err != nil {
		return 0, err
	}
	t.connections.Add(1)
	frames := t.todo()
	t.frames.Add(int64(len(frames)))
	written := make(chan struct{})
	go func() {
		defer close(written)
		for _, f := range frames {
			if conn.Write(ctx, websocket.MessageText, f) != nil {
				return // the reader learns of it
			}
		}
	}()
	defer func() {
		_ = conn.CloseNow() // as a connection breaks
		<-written
	}()
	for range frames {
		_, raw, err := conn.Read(ctx)
		if err != nil {
			return wait, err
		}
		var a answer
		if err := json.Unmarshal(raw, &a); err != nil {
			return wait, fmt.Errorf("read a frame: %w", err)
		}
		switch {
		case a.Type == "error" && a.RetryAfter > 0:
			t.refused.Add(1)
			wait = max(wait, time.Duration(a.RetryAfter*float64(time.Second)))
		case a.Type == "error":
			return wait, fmt.Errorf("%w: %s: %s", errForGood, a.Code, a.Message)
		case a.Type == "ack":
			if err := t.note(a); err != nil {
				return wait, err
			}
		}
		if t.random.IntN(breakOneIn) == 0 {
			return wait, nil
		}
	}
	return wait, nil
}

func (t *talker) dial(ctx context.Context) (*websocket.Conn, error) {
	conn, refusal, err := websocket.Dial(ctx, t.URL+"ws", &websocket.DialOptions{Subprotocols: []string{"skein.chat.v1", "bearer." + t.token}})
	if refusal != nil && refusal.Body != nil {
		_ = refusal.Body.Close() // it was read already
	}
	if err != nil && refusal != nil && refusal.StatusCode < http.StatusInternalServerError && refusal.StatusCode != http.StatusTooManyRequests {
		err = fmt.Errorf("%w: %w", errForGood, err)
	}
	return conn, err
}

func (t *talker) note(a answer) error {
	first, again := t.Events[a.ID]
	if again && first != a.Event {
		return fmt.Errorf("%w: message %s was acknowledged as event %s, then as %s", errForGood, a.ID, first, a.Event)
	}
	t.Events[a.ID] = a.Event
	t.acknowledged(a)
	if !again {
		t.Sender.acknowledged.Add(1)
	}
	return nil
}

// todo are the frames of a connection.
func (t *talker) todo() (frames [][]byte) {
	for i, m := range t.Messages {
		_, done := t.Events[m.ID]
		times := 1
		if done {
			times = 0
		}
		if t.random.IntN(repeatOneIn) == 0 {
			times++
		}
		// A time of its own keeps each in its place, whichever connection brings it.
		at := time.Date(2026, 3, 1, 10, 0, 0, i*int(time.Millisecond), time.UTC).Format(time.RFC3339Nano)
		frame, err := json.Marshal(map[string]string{"type": "message", "id": m.ID, "text": m.Text, "at": at})
		for range times {
			if err == nil { // strings always can
				frames = append(frames, frame)
			}
		}
	}
	return frames
}

func (t *talker) session(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, t.URL+"session", http.NoBody)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		return fmt.Errorf("read a session: %w", err)
	}
	var in struct{ Token, Visitor, Thread string }
	if response.StatusCode == http.StatusOK {
		err = json.Unmarshal(raw, &in)
	} else if err = fmt.Errorf("session: %s: %s", response.Status, raw); response.StatusCode < http.StatusInternalServerError {
		err = fmt.Errorf("%w: %w", errForGood, err)
	}
	t.token, t.Visitor, t.Thread = in.Token, in.Visitor, in.Thread
	return err
}
