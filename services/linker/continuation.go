package linker

import (
	"context"
	"strings"

	"github.com/skein-cx/skein/pkg/continuation"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// RuleContinuation is the rule that joins contacts by a token, RuleContinues the one that does by a provider's word.
const (
	RuleContinuation = "continuation"
	RuleContinues    = "continues"
)

// tokenHolders joins the interaction that a continuation token names and the one that brings it.
type tokenHolders struct {
	tokens       *continuation.Tokens
	interactions Interactions
}

func (*tokenHolders) wants(e *eventv1.Event) bool {
	return strings.HasPrefix(e.GetCorrelationId(), continuation.Prefix) && happened(e)
}

func (x *tokenHolders) find(ctx context.Context, r *record) ([]request, error) {
	named, err := x.tokens.Read(r.GetTenant(), r.GetCorrelationId(), r.GetOccurredAt().AsTime())
	if err != nil {
		return nil, nil //nolint:nilerr // anybody can send anything
	}
	id, found, err := x.interactions.At(ctx, r.GetTenant(), r.thread(), r.nanos(), r.position)
	if err != nil || !found || id == named {
		return nil, err
	}
	return []request{conversation(RuleContinuation, "the customer brought a token from one to the other", named, id)}, nil
}

// continued joins the interaction that a provider says is continued and the one that continues it.
type continued struct {
	keyring      *event.Keyring
	interactions Interactions
}

func (*continued) wants(e *eventv1.Event) bool { return e.GetType() == event.TypeInteractionStarted }

func (x *continued) find(ctx context.Context, r *record) ([]request, error) {
	native := r.content.GetInteractionStarted().GetContinues()
	if native == "" {
		return nil, nil
	}
	before := x.before(r, native)
	id, found, err := x.interactions.At(ctx, r.GetTenant(), r.thread(), r.nanos(), r.position)
	if err != nil || !found || id == before {
		return nil, err
	}
	return []request{conversation(RuleContinues, "the provider says that one continues the other", before, id)}, nil
}

// before is what is continued. A provider that gives its interactions ids means one of them, in the same thread. For any other, an interaction and its
// thread are one: a call that another call continues.
func (x *continued) before(r *record, native string) event.ID {
	ids := x.keyring.TenantAt(r.GetTenant(), r.thread().KeyVersion())
	if ids == nil {
		ids = x.keyring.Tenant(r.GetTenant())
	}
	if r.GetInteractionId() != "" {
		return ids.Interaction(r.thread(), native)
	}
	return ids.Thread(r.GetInbox(), native)
}
