package bench

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	healthv1 "google.golang.org/grpc/health/grpc_health_v1"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	"github.com/skein-cx/skein/pkg/kv"
	"github.com/skein-cx/skein/pkg/rpc"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/timeline"
)

// pageSize is how many events a read asks for.
const pageSize = 50

func measureReads(ctx context.Context, b *bench) (*Table, error) {
	t := &Table{
		Title: "Read: the last 50 of a customer",
		Text: fmt.Sprintf(`TimelineService.List over gRPC in a store of %s events: the newest %d events of one customer, merged from %d endpoints with about
%d events each, one random customer a call. Ceiling, by as many callers in the same process: the raw scans that such a read needs at
most, %[2]d rows in reverse from each of the %[3]d endpoints on one snapshot, and then an empty call of the same server (its health check). The
answer is decoded by Go's Protobuf in this process, or kept as the bytes that came, as if the client were elsewhere.`,
			count(b.Events), pageSize, perCustomer, perEndpoint),
		Columns: []string{"callers", "answer", "read p50", "p99", "per second", "ceiling p50", "p99", "per second", "p50 of ceiling", "p99 of ceiling", "per second of ceiling"},
	}
	err := b.withTimeline(ctx, b.Events, func(_ eventlog.Log, store kv.Store, _ func() (int64, error)) error {
		return b.withReader(ctx, store, timeline.Links{}, func(r *reader) error {
			for _, callers := range []int{1, 16} {
				if err := b.readRows(ctx, t, r, callers); err != nil {
					return err
				}
			}
			p, err := profiled(func() error {
				_, _, err := b.repeat(ctx, 16, r.list)
				return err
			})
			if err == nil {
				t.profile("reads by 16 callers, client and server in one process", p)
			}
			return err
		})
	})
	return t, err
}

// withTimeline runs something on a log of so many events and a store that has them.
func (b *bench) withTimeline(ctx context.Context, n int, run func(l eventlog.Log, store kv.Store, disk func() (int64, error)) error) error {
	_, err := b.onMain(ctx, func(log *broker) (err error) {
		l, err := openLog(ctx, log, foldTopic)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.Close()) }()
		store, disk, remove, err := onPebble().open(ctx, b)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, remove()) }()
		b.say("  filling a store with %s events ...", count(n))
		if err := b.events.fill(ctx, l, 0, n); err != nil {
			return err
		}
		if err := foldAll(ctx, l, store, 1); err != nil {
			return err
		}
		return run(l, store, disk)
	})
	return err
}

func (b *bench) readRows(ctx context.Context, t *Table, r *reader, callers int) error {
	ceiling, most, err := b.repeat(ctx, callers, r.least)
	if err != nil {
		return err
	}
	for _, answer := range []struct {
		name string
		read func(ctx context.Context, i int) error
	}{{"decoded", r.list}, {"as bytes", r.listBytes}} {
		reads, perSecond, err := b.repeat(ctx, callers, answer.read)
		if err != nil {
			return err
		}
		t.row(fmt.Sprint(callers), answer.name, show(reads.at(0.5)), show(reads.at(0.99)), perSecond.String(), show(ceiling.at(0.5)), show(ceiling.at(0.99)), most.String(),
			times(reads.at(0.5), ceiling.at(0.5)), times(reads.at(0.99), ceiling.at(0.99)), perSecond.of(most))
	}
	return nil
}

// reader reads over gRPC, within this process.
type reader struct {
	bench *bench
	store kv.Store
	*inside
	// endpoints are those of each customer, found beforehand.
	endpoints [][]event.ID
}

// withReader runs something with a reader of a store.
func (b *bench) withReader(ctx context.Context, store kv.Store, links timeline.Links, run func(*reader) error) error {
	r, err := b.newReader(ctx, store, links)
	if err != nil {
		return err
	}
	return errors.Join(run(r), r.close())
}

func (b *bench) newReader(ctx context.Context, store kv.Store, links timeline.Links) (*reader, error) {
	r := &reader{bench: b, store: store}
	for customer := range b.events.customers() {
		ids, err := b.events.endpointIDs(customer)
		if err != nil {
			return nil, err
		}
		r.endpoints = append(r.endpoints, ids)
	}
	hub := timeline.NewHub(store, foldTopic, partitions, nil, slog.New(slog.DiscardHandler)) // nobody watches
	var err error
	r.inside, err = serveInside(ctx, timeline.NewServer(store, b.events.keyring, nil, hub, links))
	return r, err
}

// inside is a gRPC server in this process, and connections to it.
type inside struct {
	server *rpc.Server
	served chan error
	conns  []*grpc.ClientConn
	hangUp func()
}

// serveInside serves a service.
func serveInside(ctx context.Context, service interface{ Register(grpc.ServiceRegistrar) }) (*inside, error) {
	authenticator, err := auth.New(nil, auth.Identity{Tenant: tenant})
	if err != nil {
		return nil, err
	}
	server, err := rpc.NewServer(rpc.Config{
		Authenticator: authenticator, Registerer: prometheus.NewRegistry(), Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	service.Register(server)
	port, err := (&net.ListenConfig{}).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	in := &inside{server: server, served: make(chan error, 1)}
	go func() { in.served <- server.Serve(port) }()
	if in.conns, in.hangUp, err = dial(port.Addr().String()); err != nil {
		server.Server.Stop()
		return nil, errors.Join(err, <-in.served)
	}
	return in, nil
}

func (in *inside) close() error {
	in.hangUp()
	in.server.Server.Stop()
	return <-in.served
}

func (r *reader) customer(i int) int {
	return int(uint64(i) * 2654435761 % uint64(r.bench.events.customers())) // all in turn, in no order
}

func (r *reader) request(i int) *timelinev1.ListRequest {
	req := &timelinev1.ListRequest{PageSize: pageSize}
	customer := r.customer(i)
	for kind := range perCustomer {
		req.Addresses = append(req.Addresses, r.bench.events.address(customer, kind))
	}
	return req
}

func (r *reader) list(ctx context.Context, i int) error { return r.ask(ctx, i, r.request(i)) }

func (r *reader) ask(ctx context.Context, i int, request *timelinev1.ListRequest) error {
	answer, err := timelinev1.NewTimelineServiceClient(r.conns[i%len(r.conns)]).List(ctx, request)
	if err != nil {
		return fmt.Errorf("list: %s", rpc.Explain(err))
	}
	if len(answer.GetEntries()) != pageSize {
		return fmt.Errorf("a page of %d events of customer %d", len(answer.GetEntries()), r.customer(i))
	}
	return nil
}

// listBytes reads without decoding the answer.
func (r *reader) listBytes(ctx context.Context, i int) error {
	request, err := proto.Marshal(r.request(i))
	if err != nil {
		return err
	}
	answer := &frame{}
	if err := r.conns[i%len(r.conns)].Invoke(ctx, timelinev1.TimelineService_List_FullMethodName, &frame{request}, answer, grpc.ForceCodec(frames{})); err != nil {
		return fmt.Errorf("list: %s", rpc.Explain(err))
	}
	return nil
}

// least is the least that a read can cost: its scans and an empty call.
func (r *reader) least(ctx context.Context, i int) error {
	if err := r.scan(ctx, r.endpoints[r.customer(i)]); err != nil {
		return err
	}
	_, err := healthv1.NewHealthClient(r.conns[i%len(r.conns)]).Check(ctx, &healthv1.HealthCheckRequest{})
	return err
}

// scan reads as many rows as a read may need.
func (r *reader) scan(ctx context.Context, ids []event.ID) error {
	snap, err := r.store.Snapshot(ctx, namespace())
	if err != nil {
		return err
	}
	defer snap.Close()
	rows := 0
	for _, id := range ids {
		if err := scanEndpoint(ctx, snap, id, &rows); err != nil {
			return err
		}
	}
	if rows < pageSize {
		return fmt.Errorf("%d rows", rows)
	}
	return nil
}

func scanEndpoint(ctx context.Context, snap kv.Reader, id event.ID, rows *int) error {
	prefix := append([]byte{1, byte(len(tenant))}, tenant...) // the key of a timeline's row
	prefix = append(append(prefix, 't'), id[:]...)
	within := kv.Prefix(prefix)
	within.Reverse = true
	it, err := snap.Scan(ctx, within)
	if err != nil {
		return err
	}
	defer it.Close()
	for n := 0; n < pageSize && it.Next(); n++ {
		*rows++
	}
	return it.Err()
}

// repeat has some callers do something over and over for a while.
func (b *bench) repeat(ctx context.Context, callers int, do func(ctx context.Context, i int) error) (delays, rate, error) {
	all := make([]delays, callers)
	var next atomic.Int64
	g, gctx := errgroup.WithContext(ctx)
	began := time.Now()
	for c := range callers {
		g.Go(func() error {
			for time.Since(began) < b.Each+b.Each/4 {
				i := int(next.Add(1))
				start := time.Now()
				if err := do(gctx, i); err != nil {
					return err
				}
				if start.Sub(began) > b.Each/4 { // the rest warms up
					all[c] = append(all[c], time.Since(start))
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return nil, 0, err
	}
	var merged delays
	for _, d := range all {
		merged = append(merged, d...)
	}
	return merged.sort(), rateOf(len(merged), b.Each), nil
}
