package timeline

import (
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Selection says which events of whom.
type Selection struct {
	Tenant      string
	Endpoints   []event.ID
	Threads     []event.ID
	Channels    []eventv1.Channel // none means all
	Types       []string          // names, or groups as "message.*"; none means all
	OmitContent bool
}

// matches reports whether the filters leave an event in.
func (s *Selection) matches(e *eventv1.Event) bool {
	return (len(s.Channels) == 0 || slices.Contains(s.Channels, e.GetChannel())) &&
		(len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(t string) bool { return matchesType(t, e.GetType()) }))
}

func matchesType(pattern, name string) bool {
	if group, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasSuffix(group, ".") {
		return strings.HasPrefix(name, group)
	}
	return pattern == name
}

// Row is one event of a timeline.
type Row struct {
	Event     *eventv1.Event
	Content   *eventv1.Content // nil where it is sealed, left out or cannot be read
	Partition int32
	Offset    int64
}

func decode(record []byte) (*eventv1.Event, error) {
	e := &eventv1.Event{}
	if err := proto.Unmarshal(record, e); err != nil {
		return nil, fmt.Errorf("decode: %w", err)
	}
	return e, nil
}

// newRow takes the content out of an event. Where it cannot be read, the event's ids, kinds and times still can.
func newRow(e *eventv1.Event, at moment, omitContent bool) *Row {
	row := &Row{Event: e, Partition: at.partition, Offset: at.offset}
	if !omitContent && e.GetSeal() == "" {
		if content, err := event.DecodeContent(e); err == nil {
			row.Content = content
		}
	}
	e.Content = nil
	return row
}
