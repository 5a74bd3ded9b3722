package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/IBM/sarama"
	"github.com/ThreeDotsLabs/watermill"
	wkafka "github.com/ThreeDotsLabs/watermill-kafka/v3/pkg/kafka"
	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/auth"
	"github.com/skein-cx/skein/pkg/rpc"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

// peerTopic is where the peer of ingest appends.
const peerTopic = "bench.peer.v1"

// peerWindow is how many events of one call are under way.
const peerWindow = 10_000

// peer is ingest as one would write it with Watermill's publisher for Kafka: the same gRPC service behind the same
// interceptors, which appends what was submitted as it came, without ids, hashes or checks. The publisher waits for
// each message, so every event has a goroutine of its own; the client below it joins them into batches.
type peer struct {
	ingestv1.UnimplementedIngestServiceServer
	publisher message.Publisher
}

func servePeer(ctx context.Context, brokers, addr, metrics string) error {
	cfg := wkafka.DefaultSaramaSyncPublisherConfig()
	cfg.Producer.RequiredAcks = sarama.WaitForAll
	cfg.Producer.Partitioner = sarama.NewHashPartitioner
	cfg.Version = sarama.V2_1_0_0
	publisher, err := wkafka.NewPublisher(wkafka.PublisherConfig{
		Brokers: []string{brokers}, OverwriteSaramaConfig: cfg,
		Marshaler: wkafka.NewWithPartitioningMarshaler(func(_ string, m *message.Message) (string, error) {
			return m.Metadata.Get("thread"), nil
		}),
	}, watermill.NopLogger{})
	if err != nil {
		return fmt.Errorf("bench: peer: %w", err)
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	authenticator, err := auth.New(nil, auth.Identity{Tenant: tenant})
	if err != nil {
		return err
	}
	server, err := rpc.NewServer(rpc.Config{Authenticator: authenticator, Registerer: registry, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ingestv1.RegisterIngestServiceServer(server, &peer{publisher: publisher})
	grpcPort, err := (&net.ListenConfig{}).Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("bench: peer: %w", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	web := &http.Server{Addr: metrics, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error { return server.Serve(grpcPort) })
	g.Go(func() error {
		if err := web.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	})
	g.Go(func() error {
		<-gctx.Done()
		server.Server.Stop()
		return web.Close()
	})
	return errors.Join(g.Wait(), publisher.Close())
}

func (p *peer) append(s *eventv1.Submission) error {
	value, err := proto.Marshal(s)
	if err != nil {
		return err
	}
	m := message.NewMessage(s.GetNativeId(), value)
	m.Metadata.Set("thread", s.GetThread())
	return p.publisher.Publish(peerTopic, m)
}

// Publish implements ingestv1.IngestServiceServer.
func (p *peer) Publish(_ context.Context, req *ingestv1.PublishRequest) (*ingestv1.PublishResponse, error) {
	var g errgroup.Group
	resp := &ingestv1.PublishResponse{Acknowledgements: make([]*ingestv1.Acknowledgement, len(req.GetSubmissions()))}
	for i, s := range req.GetSubmissions() {
		g.Go(func() error {
			resp.Acknowledgements[i] = &ingestv1.Acknowledgement{EventId: s.GetNativeId(), ThreadId: s.GetThread()}
			return p.append(s)
		})
	}
	return resp, g.Wait()
}

// Stream implements ingestv1.IngestServiceServer.
func (p *peer) Stream(stream grpc.BidiStreamingServer[ingestv1.StreamRequest, ingestv1.StreamResponse]) error {
	results := make(chan *ingestv1.StreamResult, peerWindow)
	var g errgroup.Group
	g.Go(func() error { return sendResults(results, stream.Send) })
	places := make(chan struct{}, peerWindow)
	var all sync.WaitGroup
	err := func() error {
		for {
			req, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return nil
			}
			if err != nil {
				return err
			}
			for _, item := range req.GetItems() {
				places <- struct{}{}
				all.Go(func() {
					r := &ingestv1.StreamResult{Id: item.GetId()}
					r.Outcome = &ingestv1.StreamResult_Acknowledgement{Acknowledgement: &ingestv1.Acknowledgement{
						EventId: item.GetSubmission().GetNativeId(), ThreadId: item.GetSubmission().GetThread(),
					}}
					if err := p.append(item.GetSubmission()); err != nil {
						r.Outcome = &ingestv1.StreamResult_Refusal{Refusal: &ingestv1.Refusal{Reason: err.Error()}}
					}
					results <- r
					<-places
				})
			}
		}
	}()
	all.Wait()
	close(results)
	return errors.Join(err, g.Wait())
}

// sendResults sends what is at hand, many at once.
func sendResults(results <-chan *ingestv1.StreamResult, send func(*ingestv1.StreamResponse) error) error {
	var failed error
	for r := range results {
		resp := &ingestv1.StreamResponse{Results: []*ingestv1.StreamResult{r}}
		for len(resp.GetResults()) < 1000 && len(results) > 0 {
			resp.Results = append(resp.Results, <-results)
		}
		if failed == nil {
			failed = send(resp)
		}
	}
	return failed
}
