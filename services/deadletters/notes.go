package deadletters

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/ThreeDotsLabs/watermill/message"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/pubsub"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// What a redrive leaves in the log. The record that it appends says of which letter it is. Behind the letter, under the same
// key, a note tells what became of it: a dead letter without reason, for those who know no notes.
const (
	headerOf = "skein_redrive_of" // on both: the letter's position
	headerAs = "skein_redrive_as" // on the note: the positions of what came of it, with commas between them
)

// note is what a redrive leaves behind a letter.
type note struct {
	of eventlog.Position
	Redrive
}

func noteOf(r eventlog.Record) (n note, ok bool) {
	of := redriveOf(r)
	if of == nil {
		return note{}, false
	}
	n = note{of: *of, Redrive: Redrive{At: r.Time}}
	for _, h := range r.Headers {
		if h.Key != headerAs {
			continue
		}
		ok = true
		for text := range strings.SplitSeq(string(h.Value), ",") {
			if p, err := eventlog.ParsePosition(text); err == nil {
				n.As = append(n.As, p)
			}
		}
	}
	return n, ok
}

// redriveOf is the letter whose redrive gave a record; nil where none did.
func redriveOf(r eventlog.Record) *eventlog.Position {
	for _, h := range r.Headers {
		if h.Key == headerOf {
			if p, err := eventlog.ParsePosition(string(h.Value)); err == nil {
				return &p
			}
		}
	}
	return nil
}

// note appends the note about a redrive.
func (s *Service) note(ctx context.Context, l Letter, as []eventlog.Position) error {
	texts := make([]string, len(as))
	for i, p := range as {
		texts[i] = p.String()
	}
	now := s.cfg.Now()
	value, err := proto.Marshal(&eventv1.DeadLetter{
		Detail: fmt.Sprintf("the letter at %s was redriven as %s", l.Position, strings.Join(texts, ", ")),
		Tenant: l.GetTenant(), Source: l.GetSource(), Slice: l.GetSlice(), Provider: l.GetProvider(), Inbox: l.GetInbox(), At: timestamppb.New(now),
	})
	if err != nil {
		return fmt.Errorf("deadletters: write the note about %s: %w", l.Position, err)
	}
	m := message.NewMessageWithContext(ctx, "redrive of "+l.Position.String(), value)
	m.Metadata = message.Metadata{pubsub.KeyMetadata: string(l.key), headerOf: l.Position.String(), headerAs: strings.Join(texts, ",")}
	if err := s.cfg.Publisher.Publish(event.TopicDead, m); err != nil {
		return fmt.Errorf("deadletters: note that %s was redriven: %w", l.Position, err)
	}
	return nil
}

// notes are all notes of the topic, read as far as next.
type notes struct {
	of   map[eventlog.Position][]Redrive
	next map[int32]int64
}

// redrives reads the notes that are new, and gives those about a letter. The first call reads the whole topic.
func (s *Service) redrives(ctx context.Context) (func(eventlog.Position) []Redrive, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, err := s.cfg.Log.Partitions(ctx, event.TopicDead)
	if err != nil {
		return nil, fmt.Errorf("deadletters: %w", err)
	}
	for p := range int32(n) {
		if err := s.notes.follow(ctx, s, p); err != nil {
			return nil, fmt.Errorf("deadletters: look for redrives: %w", err)
		}
	}
	of := maps.Clone(s.notes.of)
	return func(p eventlog.Position) []Redrive { return slices.Clone(of[p]) }, nil
}

// follow reads a partition's new records, and forgets letters that retention took.
func (n *notes) follow(ctx context.Context, s *Service, partition int32) error {
	first, end, err := s.cfg.Log.Bounds(ctx, event.TopicDead, partition)
	if err != nil {
		return err
	}
	maps.DeleteFunc(n.of, func(p eventlog.Position, _ []Redrive) bool { return p.Partition == partition && p.Offset < first })
	from := eventlog.Position{Topic: event.TopicDead, Partition: partition, Offset: max(first, n.next[partition])}
	return s.each(ctx, from, end, func(r eventlog.Record) {
		if found, ok := noteOf(r); ok {
			n.of[found.of] = append(n.of[found.of], found.Redrive)
		}
		n.next[partition] = r.Offset + 1
	})
}

// again finds the letter about what a redrive gave. It stands under its source's key.
func (s *Service) again(ctx context.Context, redrive Redrive) (*eventlog.Position, error) {
	n, err := s.cfg.Log.Partitions(ctx, event.TopicDead)
	if err != nil {
		return nil, fmt.Errorf("deadletters: %w", err)
	}
	for _, as := range redrive.As {
		partition := eventlog.Partition([]byte(as.String()), n)
		first, end, err := s.cfg.Log.Bounds(ctx, event.TopicDead, partition)
		if err != nil {
			return nil, fmt.Errorf("deadletters: %w", err)
		}
		newest := &backward{Service: s, topic: event.TopicDead, partition: partition, first: first, end: end}
		for {
			r, err := newest.peek(ctx)
			if err != nil {
				return nil, fmt.Errorf("deadletters: %w", err)
			}
			if r == nil || r.Time.Before(redrive.At.Add(-slack)) {
				break
			}
			if l, ok := letterOf(*r); ok && fromProto(l.GetSource()) == as {
				return &l.Position, nil
			}
			newest.take()
		}
	}
	return nil, nil //nolint:nilnil // there need not be one
}
