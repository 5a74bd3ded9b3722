package timeline

import (
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
)

func TestTheFieldsWrittenByHandAreThoseOfTheProto(t *testing.T) {
	for _, f := range []struct {
		message proto.Message
		name    protoreflect.Name
		number  protoreflect.FieldNumber
	}{
		{&timelinev1.Entry{}, "event", fieldEvent},
		{&timelinev1.Entry{}, "content", fieldContent},
		{&timelinev1.Entry{}, "position", fieldPosition},
		{&eventv1.Position{}, "topic", fieldTopic},
		{&eventv1.Position{}, "partition", fieldPartition},
		{&eventv1.Position{}, "offset", fieldOffset},
		{&timelinev1.ListResponse{}, "entries", fieldListEntry},
		{&timelinev1.WatchResponse{}, "entry", fieldWatchedEntry},
	} {
		if fd := f.message.ProtoReflect().Descriptor().Fields().ByName(f.name); fd == nil || fd.Number() != f.number {
			t.Errorf("%s of %T is not field %d", f.name, f.message, f.number)
		}
	}
}
