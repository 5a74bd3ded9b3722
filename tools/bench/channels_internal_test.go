package bench

import (
	"context"
	"sync/atomic"
	"testing"

	"github.com/skein-cx/skein/pkg/channel"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

func TestEveryDeliveryGivesItsEventsAndPassesTheLeast(t *testing.T) {
	all, err := hooks()
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range all {
		t.Run(h.channel+" "+h.message, func(t *testing.T) {
			host := &countingHost{Host: idleHost{}}
			handler, err := h.mounted(t.Context(), host)
			if err != nil {
				t.Fatal(err)
			}
			const few = 3
			for n := range int64(few) {
				d, err := h.next(n)
				if err != nil {
					t.Fatal(err)
				}
				if err := post(handler, d.request(t.Context()), d.body); err != nil {
					t.Error(err)
				}
				if err := h.least(d); err != nil {
					t.Error("the least:", err)
				}
			}
			if got := host.durable.Load(); got != int64(few*h.events) {
				t.Errorf("%d deliveries with %d events each give %d", few, h.events, got)
			}
		})
	}
}

// BenchmarkAdapter is for profiles of one adapter: go test -bench Adapter/social.line -cpuprofile cpu.out.
func BenchmarkAdapter(b *testing.B) {
	all, err := sources()
	if err != nil {
		b.Fatal(err)
	}
	for _, s := range all {
		if s.alone == nil {
			continue
		}
		b.Run(s.channel+"/"+s.message, func(b *testing.B) {
			b.ReportAllocs()
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			host := &stoppingHost{stop: stop}
			host.left.Store(int64(b.N))
			if err := s.alone(ctx, &countingHost{Host: host}); err != nil {
				b.Fatal(err)
			}
		})
	}
}

// stoppingHost stops after so many events.
type stoppingHost struct {
	idleHost
	left atomic.Int64
	stop func()
}

func (h *stoppingHost) Submit(ctx context.Context, tenant string, submissions ...*eventv1.Submission) ([]channel.Acknowledgement, error) {
	if h.left.Add(-int64(len(submissions))) <= 0 {
		h.stop()
	}
	return h.idleHost.Submit(ctx, tenant, submissions...)
}
