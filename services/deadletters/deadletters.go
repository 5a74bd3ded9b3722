// Package deadletters is the operator's view of the dead-letter topic: what could not be understood, why, and to take it
// in again when the software was mended. A redrive never changes what was stored: it appends the same bytes again, or
// hands a payload to its adapter again.
package deadletters

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var (
	// ErrNotFound means that no letter stands at the position, or not any more.
	ErrNotFound = errors.New("deadletters: no such letter")
	// ErrBadToken means that a page token is none, or one of another query.
	ErrBadToken = errors.New("deadletters: not a page token of this query")
)

// Blobs reads what was too large for the log.
type Blobs interface {
	// Get reads a whole blob.
	Get(ctx context.Context, ref *eventv1.Blob) ([]byte, error)
}

// Config is what a Service works with. All but Redrivers and Now must be set.
type Config struct {
	Log eventlog.Log
	// Publisher publishes to that log; it is a pubsub.Publisher, whose messages then know their position.
	Publisher message.Publisher
	// Host takes in what adapters make of rejected payloads.
	Host  channel.Host
	Blobs Blobs
	// Redrivers are the adapters of this process, by provider.
	Redrivers map[string]channel.Redriver
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Service looks at dead letters and redrives them. It is safe for concurrent use.
type Service struct {
	cfg   Config
	wraps []message.HandlerMiddleware // around a redrive, the innermost first

	mu    sync.Mutex
	notes notes
}

// New makes a service.
func New(cfg Config) *Service {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Service{cfg: cfg, wraps: middlewares(), notes: notes{of: make(map[eventlog.Position][]Redrive), next: make(map[int32]int64)}}
}

// Letter is a dead letter.
type Letter struct {
	// Position is where the letter itself stands.
	Position eventlog.Position
	// DeadLetter is what it says. A record of the topic that is none has no reason, and its bytes are the raw bytes.
	*eventv1.DeadLetter
	// Redrives are the attempts that took it in again, oldest first.
	Redrives []Redrive

	key []byte // of its record
}

// Redrive is an attempt that took a letter in again.
type Redrive struct {
	// At is when.
	At time.Time
	// As is where the records stand that it gave.
	As []eventlog.Position
	// Again is the newer letter that came of it, where the software is still not mended. Only Show looks for it.
	Again *eventlog.Position
}

// letterOf reads a record of the topic. It is false for a note about a redrive.
func letterOf(r eventlog.Record) (Letter, bool) {
	if _, isNote := noteOf(r); isNote {
		return Letter{}, false
	}
	l := &eventv1.DeadLetter{}
	if err := proto.Unmarshal(r.Value, l); err != nil {
		l = &eventv1.DeadLetter{Detail: "this record of the topic is no dead letter: " + err.Error(), Raw: r.Value, RawSize: int64(len(r.Value))}
	}
	return Letter{Position: r.Position, DeadLetter: l, key: r.Key}, true
}

// Details are all that is known of a letter.
type Details struct {
	Letter
	// Whole are its raw bytes, as far as the log and the blob store still have them.
	Whole []byte
	// Event is what those bytes are, as far as they are an event.
	Event *eventv1.Event
	// RedriveOf is the older letter whose redrive gave the source.
	RedriveOf *eventlog.Position
}

// Show tells all that is known of the letter at a position. ErrNotFound where there is none.
func (s *Service) Show(ctx context.Context, at eventlog.Position) (Details, error) {
	letter, err := s.letter(ctx, at)
	if err != nil {
		return Details{}, err
	}
	redrives, err := s.redrives(ctx)
	if err != nil {
		return Details{}, err
	}
	letter.Redrives = redrives(at)
	for i := range letter.Redrives {
		if letter.Redrives[i].Again, err = s.again(ctx, letter.Redrives[i]); err != nil {
			return Details{}, err
		}
	}
	d := Details{Letter: letter, Whole: letter.GetRaw()}
	switch source, err := s.source(ctx, letter); {
	case err == nil:
		d.Whole, d.RedriveOf = source.Value, redriveOf(source)
	case !errors.Is(err, ErrNoSource):
		return Details{}, err
	case letter.GetRawBlob() != nil:
		if whole, err := s.payload(ctx, letter); err == nil { // else its beginning is better than nothing
			d.Whole = whole
		}
	}
	e := &eventv1.Event{}
	if proto.Unmarshal(d.Whole, e) == nil && e.GetId() != "" {
		d.Event = e
	}
	return d, nil
}

// letter reads the letter at a position.
func (s *Service) letter(ctx context.Context, at eventlog.Position) (Letter, error) {
	if at.Topic != event.TopicDead {
		return Letter{}, fmt.Errorf("%w: %s is in another topic than %s", ErrNotFound, at, event.TopicDead)
	}
	r, found, err := s.record(ctx, at)
	if err != nil {
		return Letter{}, fmt.Errorf("deadletters: read %s: %w", at, err)
	}
	if !found {
		return Letter{}, fmt.Errorf("%w: the log holds nothing at %s (any more)", ErrNotFound, at)
	}
	letter, ok := letterOf(r)
	if !ok {
		return Letter{}, fmt.Errorf("%w: at %s stands the note of a redrive", ErrNotFound, at)
	}
	return letter, nil
}
