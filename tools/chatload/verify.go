package chatload

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Verifier compares the visitors' timelines with what was said.
type Verifier struct {
	// GRPC is the server's address.
	GRPC string
	// Token is an API token, where one is needed.
	Token string
}

// Report counts what the timelines hold, and tells what is wrong.
type Report struct {
	Timelines, Messages int
	Wrong               []string
}

func (r *Report) String() string {
	return fmt.Sprintf("timelines %d, messages %d, wrong %d", r.Timelines, r.Messages, len(r.Wrong))
}

// Verify lists the timeline of every visitor: it must hold each message once, in its order, under the acknowledged event id.
func (v *Verifier) Verify(ctx context.Context, sent Sent) (*Report, error) {
	conn, err := rpc.Dial(v.GRPC, v.Token, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	service := timelinev1.NewTimelineServiceClient(conn)
	after := slices.Collect(maps.Values(sent.Last))
	r := &Report{}
	for _, t := range sent.Talks {
		if err := r.check(ctx, service, t, after); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func (r *Report) check(ctx context.Context, service timelinev1.TimelineServiceClient, t Talk, after []*eventv1.Position) error {
	r.Timelines++
	wrong := func(format string, args ...any) {
		r.Wrong = append(r.Wrong, fmt.Sprintf("conversation %s of visitor %s: ", t.ID, t.Visitor)+fmt.Sprintf(format, args...))
	}
	var entries []*timelinev1.Entry
	request := &timelinev1.ListRequest{
		Addresses: []*eventv1.Address{{Kind: eventv1.EndpointKind_ENDPOINT_KIND_VISITOR, Value: t.Visitor}},
		Order:     timelinev1.Order_ORDER_OLDEST_FIRST, PageSize: 500, MinPositions: after,
	}
	for {
		page, err := service.List(ctx, request)
		if err != nil {
			return fmt.Errorf("list the timeline of visitor %s: %w", t.Visitor, err)
		}
		entries = append(entries, page.GetEntries()...)
		if page.GetNextPageToken() == "" {
			break
		}
		request.PageToken = page.GetNextPageToken()
	}
	r.Messages += len(entries)
	if len(entries) != len(t.Messages) {
		wrong("%d messages were said, and the timeline holds %d", len(t.Messages), len(entries))
	}
	for i, m := range t.Messages[:min(len(entries), len(t.Messages))] {
		e := entries[i]
		if e.GetContent().GetNativeId() != m.ID || e.GetContent().GetMessageReceived().GetText() != m.Text || e.GetEvent().GetId() != t.Events[m.ID] {
			wrong("instead of message %s %q, event %s, its place %d holds %s %q, event %s", m.ID, m.Text, t.Events[m.ID], i,
				e.GetContent().GetNativeId(), e.GetContent().GetMessageReceived().GetText(), e.GetEvent().GetId())
		}
	}
	return nil
}
