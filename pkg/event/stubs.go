package event

import (
	"errors"

	cloudevents "github.com/cloudevents/sdk-go/v2/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

var errTODO = errors.New("event: not written yet")

func ToCloudEvent(e *eventv1.Event) (cloudevents.Event, error)    { return cloudevents.Event{}, errTODO }
func FromCloudEvent(ce cloudevents.Event) (*eventv1.Event, error) { return nil, errTODO }
