package twilio

import (
	"cmp"
	"context"
	"errors"
	"fmt"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// recording reads a recording status callback, and fetches the sound once it is complete
// (https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback). A recording of <Record> is a voicemail.
func (r *reading) recording(ctx context.Context) ([]*eventv1.Submission, error) {
	sid, err := r.sid("RecordingSid", "RE")
	if err != nil {
		return nil, err
	}
	s := &eventv1.Submission{
		Channel: eventv1.Channel_CHANNEL_VOICE, Actor: actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, ""), Content: &eventv1.Content{},
	}
	switch {
	case r.has("CallSid"):
		s.Thread, err = r.sid("CallSid", "CA")
	case r.has("ConferenceSid"):
		s.Thread, err = r.sid("ConferenceSid", "CF")
	default:
		err = errors.New("it names neither a call nor a conference")
	}
	if err != nil {
		return nil, err
	}
	status := r.get("RecordingStatus")
	s.NativeId = sid + "/" + status
	switch status {
	case inProgress: // there is no event for a recording's begin: the complete one tells it
		return nil, nil
	case "paused", "resumed":
		s.OccurredAt = r.at("Timestamp")
		s.NativeId += "/" + cmp.Or(r.get("SequenceNumber"), r.get("Timestamp")) // may happen several times
		if status == "paused" {
			s.Type = event.TypeRecordingPaused
			s.Content.Body = &eventv1.Content_RecordingPaused{RecordingPaused: &eventv1.RecordingPaused{Recording: sid}}
		} else {
			s.Type = event.TypeRecordingResumed
			s.Content.Body = &eventv1.Content_RecordingResumed{RecordingResumed: &eventv1.RecordingResumed{Recording: sid}}
		}
		return []*eventv1.Submission{s}, nil
	case "absent", failed: // someone may have to know that there is nothing to listen to
		s.Type = "ext.twilio.recording." + status
		s.Content.Body = &eventv1.Content_Extension{Extension: &eventv1.Extension{MediaType: "application/x-www-form-urlencoded", Data: r.raw}}
		return []*eventv1.Submission{s}, nil
	case completed:
	default:
		return nil, fmt.Errorf("%q is no status of a recording", status)
	}
	sound, err := r.fetch(ctx, s.GetThread(), r.get("RecordingUrl"))
	if err != nil {
		return nil, err
	}
	s.Content.Attachments = []*eventv1.Attachment{{Blob: sound, Name: sid}}
	if r.get("RecordingSource") == "RecordVerb" {
		s.Type = event.TypeVoicemailLeft
		s.Actor = nil // whoever is on the line
		s.Content.Body = &eventv1.Content_VoicemailLeft{VoicemailLeft: &eventv1.VoicemailLeft{Duration: r.seconds("RecordingDuration")}}
		return []*eventv1.Submission{s}, nil
	}
	channels, _ := r.number("RecordingChannels")
	s.Type = event.TypeRecordingAvailable
	s.Content.Body = &eventv1.Content_RecordingAvailable{RecordingAvailable: &eventv1.RecordingAvailable{
		Recording: sid, StartedAt: r.at("RecordingStartTime"), Duration: r.seconds("RecordingDuration"), SoundChannels: channels,
	}}
	return []*eventv1.Submission{s}, nil
}
