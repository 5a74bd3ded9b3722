package agent

import (
	"context"
	"time"

	agentv1 "github.com/skein-cx/skein/proto/skein/agent/v1"
)

// SetNow gives the clock that counts. Call it before all else.
func (x *Agents) SetNow(now func() time.Time) { x.now = now }

// PresentOf is Present of the agent who has an id by its name, whoever has claimed it.
func (x *Agents) PresentOf(ctx context.Context, tenant, agent string) (*agentv1.AgentState, error) {
	v, err := x.view(ctx, tenant)
	if err != nil {
		return nil, err
	}
	defer v.close()
	now := x.now().UnixNano()
	h, err := v.present(ctx, agent, now)
	if err == nil {
		err = v.known(ctx, h)
	}
	if err != nil {
		return nil, err
	}
	return h.Present(now), nil
}
