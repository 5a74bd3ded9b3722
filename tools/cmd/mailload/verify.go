package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// verifier reads the whole log and compares the timelines with it.
type verifier struct {
	grpc, token, dump string
	kafka             []string

	records   int
	events    map[string]bool            // by event id
	threads   map[string]bool            // by thread id
	endpoints map[string]map[string]bool // events by endpoint
	alone     map[string]map[string]bool // events that name no customer, by thread
	last      []*eventv1.Position
}

func (v *verifier) verify(ctx context.Context) error {
	log, err := kafkalog.Open(ctx, kafkalog.Config{Brokers: v.kafka, ClientID: "mailload"})
	if err != nil {
		return err
	}
	defer log.Close()
	v.events, v.threads = map[string]bool{}, map[string]bool{}
	v.endpoints, v.alone = map[string]map[string]bool{}, map[string]map[string]bool{}
	if err := each(ctx, log, event.TopicInteractions, v.note); err != nil {
		return err
	}
	dead := 0
	if err := each(ctx, log, event.TopicDead, func(eventlog.Record) error { dead++; return nil }); err != nil {
		return err
	}
	fmt.Printf("records %d, events %d, threads %d, endpoints %d, events without a customer %d, dead letters %d\n",
		v.records, len(v.events), len(v.threads), len(v.endpoints), count(v.alone), dead)
	wrong, err := v.compare(ctx)
	if err != nil {
		return err
	}
	if wrong > 0 {
		return fmt.Errorf("%d timelines do not hold what the log holds", wrong)
	}
	fmt.Printf("each event stands once in each of the %d timelines that it belongs to\n", len(v.endpoints)+len(v.alone))
	return nil
}

func count(m map[string]map[string]bool) (n int) {
	for _, events := range m {
		n += len(events)
	}
	return n
}

func each(ctx context.Context, log eventlog.Log, topic string, yield func(eventlog.Record) error) error {
	partitions, err := log.Partitions(ctx, topic)
	if err != nil {
		return err
	}
	for p := range int32(partitions) {
		first, next, err := log.Bounds(ctx, topic, p)
		if err != nil {
			return err
		}
		if first == next {
			continue
		}
		r, err := log.Open(ctx, topic, p, first)
		if err != nil {
			return err
		}
		for at := first; at < next; {
			records, err := r.Read(ctx, 1000)
			if err != nil {
				return err
			}
			for _, record := range records {
				if err := yield(record); err != nil {
					return err
				}
				at = record.Offset + 1
			}
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (v *verifier) note(r eventlog.Record) error {
	v.records++
	e, err := event.Decode(r.Value)
	if err != nil {
		return nil //nolint:nilerr // it is among the dead letters, which are counted
	}
	v.events[e.GetId()], v.threads[e.GetThreadId()] = true, true
	v.last = append(slices.DeleteFunc(v.last, func(p *eventv1.Position) bool { return p.GetPartition() == r.Partition }),
		&eventv1.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset})
	named := false
	for _, p := range e.GetParties() {
		if p.GetSide() == eventv1.Side_SIDE_CUSTOMER && p.GetEndpointId() != "" {
			named = true
			put(v.endpoints, p.GetEndpointId(), e.GetId())
		}
	}
	if !named {
		put(v.alone, e.GetThreadId(), e.GetId())
	}
	return nil
}

func put(m map[string]map[string]bool, key, id string) {
	if m[key] == nil {
		m[key] = map[string]bool{}
	}
	m[key][id] = true
}

// compare lists every timeline and counts those in which an event is missing or stands twice.
func (v *verifier) compare(ctx context.Context) (wrong int, err error) {
	conn, err := rpc.Dial(v.grpc, v.token, nil)
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	out := bufio.NewWriter(io.Discard)
	if v.dump != "" {
		f, err := os.Create(v.dump)
		if err != nil {
			return 0, err
		}
		defer f.Close()
		out = bufio.NewWriter(f)
	}
	service := timelinev1.NewTimelineServiceClient(conn)
	check := func(what, id string, want map[string]bool, req *timelinev1.ListRequest) error {
		seen := map[string]int{}
		for {
			req.PageSize, req.Order, req.MinPositions = 500, timelinev1.Order_ORDER_OLDEST_FIRST, v.last
			page, err := service.List(ctx, req)
			if err != nil {
				return fmt.Errorf("list %s %s: %w", what, id, err)
			}
			for _, e := range page.GetEntries() {
				seen[e.GetEvent().GetId()]++
				line, err := protojson.MarshalOptions{}.Marshal(e)
				if err != nil {
					return err
				}
				fmt.Fprintf(out, "%s %s %s\n", what, id, line)
			}
			if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		bad := false
		for event := range want {
			bad = bad || seen[event] != 1
		}
		for _, n := range seen {
			bad = bad || n != 1
		}
		if bad {
			wrong++
			fmt.Fprintf(os.Stderr, "%s %s: %d events belong into it, %d stand in it\n", what, id, len(want), len(seen))
		}
		return nil
	}
	for _, id := range slices.Sorted(maps.Keys(v.endpoints)) {
		if err := check("endpoint", id, v.endpoints[id], &timelinev1.ListRequest{EndpointIds: []string{id}}); err != nil {
			return wrong, err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.alone)) {
		if err := check("thread", id, v.alone[id], &timelinev1.ListRequest{ThreadIds: []string{id}}); err != nil {
			return wrong, err
		}
	}
	return wrong, out.Flush()
}
