package live

import (
	"time"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

// pace lets the same through once in Every. It remembers what it let through for twice as long at most.
type pace struct {
	turned       time.Time
	newer, older map[same]time.Time
}

// same is what two signals have in common of which one is left out.
type same struct {
	tenant, thread, actor string
	kind                  eventv1.ActorKind
	activity              livev1.Activity
}

// allow tells whether a signal may be published now.
func (p *pace) allow(s *livev1.Signal, now time.Time) bool {
	if p.newer == nil || now.Sub(p.turned) >= Every {
		if p.older = p.newer; now.Sub(p.turned) >= 2*Every {
			p.older = nil
		}
		p.newer, p.turned = map[same]time.Time{}, now
	}
	key := same{s.GetTenant(), s.GetThreadId(), s.GetActorId(), s.GetActorKind(), s.GetActivity()}
	last, ok := p.newer[key]
	if !ok {
		last, ok = p.older[key]
	}
	if ok && now.Sub(last) < Every {
		return false
	}
	p.newer[key] = now
	return true
}
