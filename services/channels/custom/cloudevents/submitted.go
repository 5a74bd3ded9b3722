package cloudevents

import (
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// submissionType is the type of an event whose data says its type itself.
const submissionType = "skein.event.v1.Submission"

// submitted reads a submission out of an event's data, and fills in what the attributes say better.
func (in *Inbox) submitted(e parsed) (*eventv1.Submission, []event.Violation) {
	var wrong []event.Violation
	fail := func(field, reason string) { wrong = append(wrong, event.Violation{Field: field, Reason: reason}) }
	s := &eventv1.Submission{}
	if reason := decode(e, s); reason != "" {
		fail("data", reason)
		return nil, wrong
	}
	if e.Type() != submissionType {
		if s.GetType() != "" && s.GetType() != e.Type() {
			fail("data.type", "is not the type that the event states")
		}
		s.Type = e.Type()
	}
	if s.GetInbox() != "" && s.GetInbox() != in.Inbox {
		fail("data.inbox", "must be "+in.Inbox+", or left out: the path says it")
	}
	if s.GetProvider() == "" {
		s.Provider = in.provider()
	}
	if s.GetOccurredAt() == nil {
		s.OccurredAt = occurredAt(e)
	}
	if s.GetThread() == "" {
		s.Thread = e.Subject()
	}
	if s.GetNativeId() == "" {
		s.NativeId = e.nativeID()
	}
	return s, wrong
}

// decode reads a message out of an event's data; otherwise it says what is wrong.
func decode(e parsed, m proto.Message) string {
	data := e.Data()
	if len(data) == 0 {
		return "is missing"
	}
	var err error
	switch t := e.DataMediaType(); {
	case t == "", isJSON(t):
		err = protojson.Unmarshal(data, m)
	case t == "application/protobuf", t == "application/x-protobuf":
		err = proto.Unmarshal(data, m)
	default:
		return "must be of the type application/json or application/protobuf"
	}
	if err != nil { // the library writes one of two spaces, so that nobody compares its errors
		return "is no " + string(m.ProtoReflect().Descriptor().FullName()) + ": " + strings.TrimPrefix(strings.ReplaceAll(err.Error(), "\u00a0", " "), "proto: ")
	}
	return ""
}
