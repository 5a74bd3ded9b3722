package live

import (
	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	livev1 "github.com/skein-cx/skein/proto/skein/live/v1"
)

// Visitors is a Hub for a channel that names threads as it does itself.
type Visitors struct {
	hub     *Hub
	keyring *event.Keyring
}

// NewVisitors publishes and follows through a hub, which must be running.
func NewVisitors(hub *Hub, keyring *event.Keyring) *Visitors {
	return &Visitors{hub: hub, keyring: keyring}
}

// Typing signals that the customer of a thread types, or has stopped.
func (v *Visitors) Typing(t channel.Thread, on bool) {
	activity := livev1.Activity_ACTIVITY_STOPPED
	if on {
		activity = livev1.Activity_ACTIVITY_TYPING
	}
	v.hub.Publish(&livev1.Signal{
		Tenant: t.Tenant, ThreadId: v.keyring.Tenant(t.Tenant).Thread(t.Inbox, t.Thread).String(), Inbox: t.Inbox,
		ActorKind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER, Activity: activity,
	})
}

// Follow follows a thread, whatever key its id was made under.
func (v *Visitors) Follow(t channel.Thread) (*Follower, error) {
	sel := Selection{Tenant: t.Tenant}
	for _, ids := range v.keyring.TenantAll(t.Tenant) {
		sel.Threads = append(sel.Threads, ids.Thread(t.Inbox, t.Thread))
	}
	return v.hub.Follow(sel)
}
