package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protowire"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/rpc"
	ingestv1 "github.com/skein-cx/skein/proto/skein/ingest/v1"
)

const (
	connections = 4
	// calls are how many Publish calls each connection has under way, streams how many streams.
	calls   = 2
	streams = 1
	// perCall is how many events a Publish call has, perMessage a message of a stream.
	perCall    = 1000
	perMessage = 200
	// streamWindow is how many events a stream has unanswered at most.
	streamWindow = 10_000
)

// frame is a message that is encoded already, so that the load generator, which runs on the machine that it measures, takes
// little of it.
type frame struct{ encoded []byte }

// frames is a gRPC codec for them.
type frames struct{}

// Name implements encoding.Codec.
func (frames) Name() string { return "proto" }

// Marshal implements encoding.Codec.
func (frames) Marshal(v any) ([]byte, error) {
	f, ok := v.(*frame)
	if !ok {
		return nil, fmt.Errorf("%T is no frame", v)
	}
	return f.encoded, nil
}

// Unmarshal implements encoding.Codec.
func (frames) Unmarshal(data []byte, v any) error {
	f, ok := v.(*frame)
	if !ok {
		return fmt.Errorf("%T is no frame", v)
	}
	f.encoded = append(f.encoded[:0], data...)
	return nil
}

// load is what clients send, encoded beforehand.
type load struct {
	publish, stream []*frame // each with perCall or perMessage events
}

// newLoad encodes some events, which are sent over and over. The log takes them as it takes any.
func (b *bench) newLoad(n int) (*load, error) {
	l := &load{}
	for from := 0; from < n; from += perCall {
		req := &ingestv1.PublishRequest{}
		for i := from; i < from+perCall; i++ {
			req.Submissions = append(req.Submissions, b.events.submission(i))
		}
		encoded, err := proto.Marshal(req)
		if err != nil {
			return nil, err
		}
		l.publish = append(l.publish, &frame{encoded})
		for at := 0; at < perCall; at += perMessage {
			req := &ingestv1.StreamRequest{}
			for i := from + at; i < from+at+perMessage; i++ {
				req.Items = append(req.Items, &ingestv1.StreamItem{Id: uint64(i), Submission: b.events.submission(i)})
			}
			encoded, err := proto.Marshal(req)
			if err != nil {
				return nil, err
			}
			l.stream = append(l.stream, &frame{encoded})
		}
	}
	return l, nil
}

// counter counts what was acknowledged.
type counter struct{ atomic.Int64 }

// sender makes load until ctx ends, and counts.
type sender func(ctx context.Context, done *counter) error

// dialled runs something on several connections until all have ended.
func dialled(ctx context.Context, addr string, run func(ctx context.Context, g *errgroup.Group, i int, conn *grpc.ClientConn)) error {
	conns, hangUp, err := dial(addr)
	if err != nil {
		return err
	}
	defer hangUp()
	g, gctx := errgroup.WithContext(ctx)
	for i, conn := range conns {
		run(gctx, g, i, conn)
	}
	return g.Wait()
}

// dial prepares the connections to a server.
func dial(addr string) (conns []*grpc.ClientConn, hangUp func(), err error) {
	hangUp = func() {
		for _, c := range conns {
			_ = c.Close() // every call has ended
		}
	}
	for range connections {
		conn, err := rpc.Dial(addr, "", nil)
		if err != nil {
			hangUp()
			return nil, nil, err
		}
		conns = append(conns, conn)
	}
	return conns, hangUp, nil
}

// publishTo makes calls of IngestService.Publish, several at a time.
func (l *load) publishTo(addr string) sender {
	return func(ctx context.Context, done *counter) error {
		var next atomic.Int64
		return dialled(ctx, addr, func(gctx context.Context, g *errgroup.Group, _ int, conn *grpc.ClientConn) {
			for range calls {
				g.Go(func() error {
					answer := &frame{}
					for ctx.Err() == nil {
						request := l.publish[int(next.Add(1))%len(l.publish)]
						err := conn.Invoke(gctx, ingestv1.IngestService_Publish_FullMethodName, request, answer, grpc.ForceCodec(frames{}))
						if err != nil && ctx.Err() == nil {
							return fmt.Errorf("publish: %s", rpc.Explain(err))
						}
						done.Add(perCall)
					}
					return nil
				})
			}
		})
	}
}

// streamTo sends over IngestService.Stream.
func (l *load) streamTo(addr string) sender {
	return func(ctx context.Context, done *counter) error {
		return dialled(ctx, addr, func(gctx context.Context, g *errgroup.Group, i int, conn *grpc.ClientConn) {
			for s := range streams {
				g.Go(func() error {
					err := l.stream1(gctx, conn, (i*streams+s)*len(l.stream)/(connections*streams), done)
					if ctx.Err() != nil {
						return nil //nolint:nilerr // it was asked to end
					}
					return err
				})
			}
		})
	}
}

// stream1 is one stream.
func (l *load) stream1(ctx context.Context, conn *grpc.ClientConn, at int, done *counter) error {
	desc := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	stream, err := conn.NewStream(ctx, desc, ingestv1.IngestService_Stream_FullMethodName, grpc.ForceCodec(frames{}))
	if err != nil {
		return err
	}
	answered := make(chan int, streamWindow) // events
	var g errgroup.Group
	g.Go(func() error {
		defer close(answered)
		answer := &frame{}
		for {
			if err := stream.RecvMsg(answer); err != nil {
				return err
			}
			n, err := acknowledgements(answer.encoded)
			if err != nil {
				return err
			}
			done.Add(int64(n))
			answered <- n
		}
	})
	for open := 0; ; at++ {
		for open+perMessage > streamWindow {
			n, ok := <-answered
			if !ok {
				return g.Wait()
			}
			open -= n
		}
		if err := stream.SendMsg(l.stream[at%len(l.stream)]); err != nil {
			return errors.Join(err, g.Wait())
		}
		open += perMessage
	drain:
		for {
			select {
			case n, ok := <-answered:
				if !ok {
					return g.Wait()
				}
				open -= n
			default:
				break drain
			}
		}
	}
}

// acknowledgements counts the results of an encoded StreamResponse, all of which must be good.
func acknowledgements(encoded []byte) (n int, err error) {
	for len(encoded) > 0 {
		field, kind, tag := protowire.ConsumeTag(encoded)
		if tag < 0 || field != 1 || kind != protowire.BytesType {
			return 0, errors.New("the answer is no StreamResponse")
		}
		result, size := protowire.ConsumeBytes(encoded[tag:])
		if size < 0 {
			return 0, io.ErrUnexpectedEOF
		}
		encoded = encoded[tag+size:]
		n++
		for len(result) > 0 {
			field, kind, tag := protowire.ConsumeTag(result)
			if tag < 0 {
				return 0, protowire.ParseError(tag)
			}
			if field == 3 {
				var refused ingestv1.StreamResponse
				_ = proto.Unmarshal(encoded, &refused) // what can be read of it is shown
				return 0, fmt.Errorf("refused: %v", &refused)
			}
			size := protowire.ConsumeFieldValue(field, kind, result[tag:])
			if size < 0 {
				return 0, protowire.ParseError(size)
			}
			result = result[tag+size:]
		}
	}
	return n, nil
}

// turn runs a sender for a while and tells its rate once it is under way. during is called at the beginning and at the end of
// what counts; may be nil.
func (b *bench) turn(ctx context.Context, send sender, during func(end bool) error) (r rate, n int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var done counter
	ended := make(chan error, 1)
	go func() { ended <- send(ctx, &done) }()
	if during == nil {
		during = func(bool) error { return nil }
	}
	wait := func(d time.Duration) error {
		select {
		case err := <-ended:
			if err == nil {
				err = ctx.Err()
			}
			return err
		case <-time.After(d):
			return nil
		}
	}
	if err := wait(b.Each / 4); err != nil {
		return 0, 0, err
	}
	if err := during(false); err != nil {
		return 0, 0, err
	}
	began, before := time.Now(), done.Load()
	if err := wait(b.Each); err != nil {
		return 0, 0, err
	}
	n = int(done.Load() - before)
	r = rateOf(n, time.Since(began))
	if err := during(true); err != nil {
		return 0, 0, err
	}
	cancel()
	return r, n, <-ended
}
