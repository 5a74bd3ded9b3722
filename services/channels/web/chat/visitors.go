package chat

import (
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

// sweepEvery is how often visitors are forgotten who have gone and whose rate has recovered.
const sweepEvery = 10 * time.Second

// transfersPerVisitor is how many files a visitor may send and get at once.
const transfersPerVisitor = 3

// visitors counts what each visitor of this process does.
type visitors struct {
	limits *Limits

	mu          sync.Mutex
	connections int
	transfers   int
	known       map[visitorKey]*visitor
}

type visitorKey struct{ tenant, widget, visitor string }

// visitor is one of them.
type visitor struct {
	limiter     *rate.Limiter
	connections int
	transfers   int
}

func newVisitors(limits *Limits) *visitors {
	return &visitors{limits: limits, known: map[visitorKey]*visitor{}}
}

func (v *visitors) get(who Claims) *visitor {
	key := visitorKey{who.Tenant, who.Widget, who.Visitor}
	if v.known[key] == nil {
		v.known[key] = &visitor{limiter: rate.NewLimiter(rate.Limit(v.limits.Rate), v.limits.Burst)}
	}
	return v.known[key]
}

// connect lets a visitor in for a WebSocket or a poll. Call leave at its end.
func (v *visitors) connect(who Claims) (one *visitor, leave func(), p *problem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	one = v.get(who)
	switch {
	case v.connections >= v.limits.Connections:
		return nil, nil, unavailable("this server has as many connections as it takes: come again after retry_after seconds", retryAfter)
	case one.connections >= v.limits.PerVisitor:
		p = newProblem(http.StatusTooManyRequests, "too_many_connections", "too many connections of one visitor: close one, or come again after retry_after seconds")
		p.RetryAfter = seconds(retryAfter)
		return nil, nil, p
	}
	v.connections++
	one.connections++
	return one, func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.connections--
		one.connections--
	}, nil
}

// transfer lets a visitor send or get a file, which takes memory meanwhile. Call leave at its end.
func (v *visitors) transfer(who Claims) (leave func(), p *problem) {
	v.mu.Lock()
	defer v.mu.Unlock()
	one := v.get(who)
	switch {
	case v.transfers >= v.limits.Transfers:
		return nil, unavailable("this server sends and takes as many files as it can: come again after retry_after seconds", retryAfter)
	case one.transfers >= transfersPerVisitor:
		return nil, limited(retryAfter)
	}
	v.transfers++
	one.transfers++
	return func() {
		v.mu.Lock()
		defer v.mu.Unlock()
		v.transfers--
		one.transfers--
	}, nil
}

// allow counts a frame or request of a visitor's, or tells when to try again.
func (v *visitors) allow(who Claims) *problem {
	v.mu.Lock()
	one := v.get(who)
	v.mu.Unlock()
	return one.allow()
}

func (one *visitor) allow() *problem {
	now := time.Now()
	reservation := one.limiter.ReserveN(now, 1)
	if after := reservation.DelayFrom(now); after > 0 {
		reservation.CancelAt(now)
		return limited(after)
	}
	return nil
}

func (v *visitors) sweep(now time.Time) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for key, one := range v.known {
		if one.connections == 0 && one.transfers == 0 && one.limiter.TokensAt(now) >= float64(v.limits.Burst) {
			delete(v.known, key)
		}
	}
}
