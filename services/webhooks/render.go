package webhooks

import (
	"encoding/json"
	"fmt"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// render writes an event as a CloudEvent in JSON's structured mode. Its data is the content as JSON, or missing.
func render(e *eventv1.Event, includeContent bool) ([]byte, error) {
	ce, err := event.ToCloudEvent(e)
	if err != nil {
		return nil, err
	}
	ce.DataEncoded, ce.DataBase64 = nil, false
	ce.SetDataContentType("")
	if includeContent && e.GetSeal() == "" && len(e.GetContent()) > 0 {
		content, err := event.DecodeContent(e)
		if err != nil {
			return nil, err
		}
		data, err := protojson.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("write the content as JSON: %w", err)
		}
		if err := ce.SetData("application/json", json.RawMessage(data)); err != nil {
			return nil, err
		}
	}
	body, err := json.Marshal(ce)
	if err != nil {
		return nil, fmt.Errorf("write the event as JSON: %w", err)
	}
	return body, nil
}
