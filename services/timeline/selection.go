package timeline

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Selection says which events of whom.
type Selection struct {
	Tenant    string
	Endpoints []event.ID
	Threads   []event.ID
	Channels  []eventv1.Channel // none means all
	Types     []string          // names, or groups as "message.*"; none means all
}

// matches reports whether the filters leave an event in.
func (s *Selection) matches(r *row) bool {
	return (len(s.Channels) == 0 || slices.Contains(s.Channels, r.Channel)) &&
		(len(s.Types) == 0 || slices.ContainsFunc(s.Types, func(t string) bool { return matchesType(t, r.Type) }))
}

func matchesType(pattern, name string) bool {
	if group, ok := strings.CutSuffix(pattern, "*"); ok && strings.HasSuffix(group, ".") {
		return strings.HasPrefix(name, group)
	}
	return pattern == name
}

// row is one event of a timeline, not decoded: most are only handed on. It is not changed once it was read.
type row struct {
	event.Parts
	partition int32
	offset    int64
}

// newRow takes a record apart. It keeps a copy of what a store lends.
func newRow(record []byte, at moment) (*row, error) {
	parts, err := event.Split(bytes.Clone(record))
	if err != nil {
		return nil, fmt.Errorf("timeline: record %d/%d: %w", at.partition, at.offset, err)
	}
	return &row{Parts: parts, partition: at.partition, offset: at.offset}, nil
}

// entry decodes it. Content that is sealed or that cannot be read is left out: ids, kinds and times still can be.
func (r *row) entry() (*timelinev1.Entry, error) {
	e := &timelinev1.Entry{}
	if err := proto.Unmarshal(appendEntry(nil, r, false), e); err != nil {
		return nil, fmt.Errorf("timeline: record %d/%d: %w", r.partition, r.offset, err)
	}
	return e, nil
}
