package twilio

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// transcription reads a callback of <Transcription>, one for each piece of speech, or of <Record transcribe>, one for all
// (https://www.twilio.com/docs/voice/twiml/transcription, https://www.twilio.com/docs/voice/twiml/record).
func (r *reading) transcription() ([]*eventv1.Submission, error) {
	sid := r.get("TranscriptionSid")
	if !isSID(sid, "GT") && !isSID(sid, "TR") {
		return nil, errors.New("TranscriptionSid is no sid that begins with GT or TR")
	}
	if !r.has("TranscriptionEvent") {
		return r.recordTranscribed(sid)
	}
	switch what := r.get("TranscriptionEvent"); what {
	case "transcription-started", "transcription-stopped", "transcription-error":
		return nil, nil
	case "transcription-content":
	default:
		return nil, fmt.Errorf("%q is no event of a transcription", what)
	}
	if !r.is("Final") { // what is heard so far will come again
		return nil, nil
	}
	var piece struct {
		Transcript string  `json:"transcript"`
		Confidence float64 `json:"confidence"`
	}
	if err := json.Unmarshal([]byte(r.get("TranscriptionData")), &piece); err != nil {
		return nil, errors.New("TranscriptionData is no JSON of a piece of speech")
	}
	call, err := r.sid("CallSid", "CA")
	if err != nil {
		return nil, err
	}
	if strings.TrimSpace(piece.Transcript) == "" {
		return nil, nil
	}
	// A track is what comes in or goes out on that leg. Who that is depends on whose leg it is, so the track is only named.
	track := r.get("Track")
	return []*eventv1.Submission{{
		Type: event.TypeTranscriptAvailable, Channel: eventv1.Channel_CHANNEL_VOICE, Thread: call,
		NativeId: sid + "/" + track + "/" + r.get("SequenceId"), OccurredAt: r.at("Timestamp"), Language: language(r.get("LanguageCode")),
		Actor:   actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, ""),
		Parties: []*eventv1.SubmittedParty{{Role: eventv1.PartyRole_PARTY_ROLE_PARTICIPANT, DisplayName: track}},
		Content: &eventv1.Content{Body: &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{
			Source:   "twilio real-time transcription",
			Segments: []*eventv1.TranscriptSegment{{Party: 0, Text: piece.Transcript, Confidence: piece.Confidence}},
		}}},
	}}, nil
}

// recordTranscribed reads the callback of <Record transcribe>: the caller spoke.
func (r *reading) recordTranscribed(sid string) ([]*eventv1.Submission, error) {
	l, err := r.leg()
	if err != nil {
		return nil, err
	}
	switch status := r.get("TranscriptionStatus"); status {
	case completed:
	case failed:
		return nil, nil
	default:
		return nil, fmt.Errorf("%q is no status of a transcription", status)
	}
	speaker := int32(-1)
	if l.fromSide == eventv1.Side_SIDE_CUSTOMER {
		speaker = 0
	}
	s := l.submission(event.TypeTranscriptAvailable, sid, actor(eventv1.ActorKind_ACTOR_KIND_SYSTEM, ""), &eventv1.Content{
		Body: &eventv1.Content_TranscriptAvailable{TranscriptAvailable: &eventv1.TranscriptAvailable{
			Recording: r.get("RecordingSid"), Source: "twilio <Record transcribe>",
			Segments: []*eventv1.TranscriptSegment{{Party: speaker, Text: r.get("TranscriptionText")}},
		}},
	})
	return []*eventv1.Submission{s}, nil
}

// language gives a language tag, or nothing where it is none.
func language(tag string) string {
	first, rest, _ := strings.Cut(tag, "-")
	if len(tag) > 35 || len(first) < 2 || len(first) > 8 || strings.Trim(first, letters) != "" {
		return ""
	}
	for part := range strings.SplitSeq(rest, "-") {
		if rest != "" && (part == "" || len(part) > 8 || strings.Trim(part, letters+"0123456789") != "") {
			return ""
		}
	}
	return strings.TrimSuffix(tag, "-")
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
