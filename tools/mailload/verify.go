package mailload

import (
	"context"
	"fmt"
	"io"
	"maps"
	"slices"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/eventlog/kafkalog"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

// Verifier reads the whole log and compares the timelines with it.
type Verifier struct {
	// GRPC is the server's address, Kafka the log's.
	GRPC  string
	Kafka []string
	// Token is an API token, where one is needed.
	Token string
	// Dump gets every entry of every timeline, one a line, to be compared with another run's; may be nil.
	Dump io.Writer

	events    map[string]bool            // by event id
	threads   map[string]bool            // by thread id
	endpoints map[string]map[string]bool // events by endpoint
	alone     map[string]map[string]bool // events that name no customer, by thread
	last      map[int32]*eventv1.Position
	report    Report
}

// Report counts what the log holds, and the timelines that do not hold what belongs into them.
type Report struct {
	Records, Events, Threads, Endpoints, WithoutCustomer, DeadLetters int
	Wrong                                                             []string
}

func (r Report) String() string {
	return fmt.Sprintf("records %d, events %d, threads %d, endpoints %d, events without a customer %d, dead letters %d, wrong timelines %d",
		r.Records, r.Events, r.Threads, r.Endpoints, r.WithoutCustomer, r.DeadLetters, len(r.Wrong))
}

// Verify lists the timeline of every endpoint, and of every thread that has events without a customer.
func (v *Verifier) Verify(ctx context.Context) (Report, error) {
	log, err := kafkalog.Open(ctx, kafkalog.Config{Brokers: v.Kafka, ClientID: "mailload"})
	if err != nil {
		return Report{}, err
	}
	defer func() { _ = log.Close() }() // nothing was written
	v.report, v.last = Report{}, map[int32]*eventv1.Position{}
	v.events, v.threads = map[string]bool{}, map[string]bool{}
	v.endpoints, v.alone = map[string]map[string]bool{}, map[string]map[string]bool{}
	if err := each(ctx, log, event.TopicInteractions, v.note); err != nil {
		return Report{}, err
	}
	if err := each(ctx, log, event.TopicDead, func(eventlog.Record) { v.report.DeadLetters++ }); err != nil {
		return Report{}, err
	}
	v.report.Events, v.report.Threads, v.report.Endpoints, v.report.WithoutCustomer = len(v.events), len(v.threads), len(v.endpoints), count(v.alone)
	err = v.compare(ctx)
	return v.report, err
}

func count(m map[string]map[string]bool) (n int) {
	for _, events := range m {
		n += len(events)
	}
	return n
}

func each(ctx context.Context, log eventlog.Log, topic string, yield func(eventlog.Record)) error {
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
				yield(record)
				at = record.Offset + 1
			}
		}
		if err := r.Close(); err != nil {
			return err
		}
	}
	return nil
}

func (v *Verifier) note(r eventlog.Record) {
	v.report.Records++
	v.last[r.Partition] = &eventv1.Position{Topic: r.Topic, Partition: r.Partition, Offset: r.Offset}
	e, err := event.Decode(r.Value)
	if err != nil {
		return // it is among the dead letters
	}
	v.events[e.GetId()], v.threads[e.GetThreadId()] = true, true
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
}

func put(m map[string]map[string]bool, key, id string) {
	if m[key] == nil {
		m[key] = map[string]bool{}
	}
	m[key][id] = true
}

func (v *Verifier) compare(ctx context.Context) error {
	conn, err := rpc.Dial(v.GRPC, v.Token, nil)
	if err != nil {
		return err
	}
	defer conn.Close()
	service := timelinev1.NewTimelineServiceClient(conn)
	for _, id := range slices.Sorted(maps.Keys(v.endpoints)) {
		if err := v.check(ctx, service, id, v.endpoints[id], &timelinev1.ListRequest{EndpointIds: []string{id}}); err != nil {
			return err
		}
	}
	for _, id := range slices.Sorted(maps.Keys(v.alone)) {
		if err := v.check(ctx, service, id, v.alone[id], &timelinev1.ListRequest{ThreadIds: []string{id}}); err != nil {
			return err
		}
	}
	return nil
}

// check lists one timeline and notes whether an event is missing or stands in it twice.
func (v *Verifier) check(ctx context.Context, service timelinev1.TimelineServiceClient, id string, want map[string]bool, req *timelinev1.ListRequest) error {
	seen := map[string]int{}
	req.PageSize, req.Order = 500, timelinev1.Order_ORDER_OLDEST_FIRST
	req.MinPositions = slices.Collect(maps.Values(v.last))
	for {
		page, err := service.List(ctx, req)
		if err != nil {
			return fmt.Errorf("list the timeline of %s: %w", id, err)
		}
		for _, e := range page.GetEntries() {
			seen[e.GetEvent().GetId()]++
			if err := v.dump(id, e); err != nil {
				return err
			}
		}
		if req.PageToken = page.GetNextPageToken(); req.GetPageToken() == "" {
			break
		}
	}
	for event := range want {
		if seen[event] != 1 {
			v.report.Wrong = append(v.report.Wrong, fmt.Sprintf("event %s stands %d times in the timeline of %s", event, seen[event], id))
		}
	}
	return nil
}

func (v *Verifier) dump(id string, e *timelinev1.Entry) error {
	if v.Dump == nil {
		return nil
	}
	line, err := protojson.Marshal(e)
	if err != nil {
		return fmt.Errorf("dump: %w", err)
	}
	_, err = fmt.Fprintf(v.Dump, "%s %s\n", id, line)
	return err
}
