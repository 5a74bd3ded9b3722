package projection

import (
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
	"github.com/skein-cx/skein/pkg/eventlog"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// Decode gives the event of a record; a *DeadError where there is none.
func Decode(r eventlog.Record) (*eventv1.Event, error) {
	e, err := event.Decode(r.Value)
	var broken *event.InvalidError
	switch {
	case errors.As(err, &broken):
		return nil, &DeadError{Reason: eventv1.DeadReason_DEAD_REASON_INVALID, Detail: err.Error()}
	case err != nil:
		return nil, &DeadError{Reason: eventv1.DeadReason_DEAD_REASON_UNDECODABLE, Detail: err.Error()}
	}
	return e, nil
}

// Invalid is that an event of a tenant's says what it must not say.
func Invalid(tenant, format string, args ...any) *DeadError {
	return &DeadError{Reason: eventv1.DeadReason_DEAD_REASON_INVALID, Detail: fmt.Sprintf(format, args...), Tenant: tenant}
}
