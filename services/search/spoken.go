package search

import (
	"maps"
	"slices"
	"strings"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// spoken is what was said in an event, as one text; false where it is of a type of which nothing can be found.
func spoken(content *eventv1.Content) (text string, ok bool) {
	var parts []string
	switch body := content.GetBody().(type) {
	case *eventv1.Content_MessageReceived:
		parts = said(body.MessageReceived)
	case *eventv1.Content_MessageSent:
		parts = said(body.MessageSent)
	case *eventv1.Content_MessageEdited:
		parts = said(body.MessageEdited.GetEdited())
	case *eventv1.Content_InteractionStarted:
		parts = []string{body.InteractionStarted.GetSubject()}
	case *eventv1.Content_NoteAdded:
		parts = []string{body.NoteAdded.GetText()}
	case *eventv1.Content_TranscriptAvailable:
		for _, s := range body.TranscriptAvailable.GetSegments() {
			parts = append(parts, s.GetText())
		}
	case *eventv1.Content_VoicemailLeft:
		parts = []string{body.VoicemailLeft.GetTranscript()}
	case *eventv1.Content_SurveyAnswered:
		parts = []string{body.SurveyAnswered.GetComment()}
	case *eventv1.Content_FormSubmitted:
		fields := body.FormSubmitted.GetFields()
		for _, name := range slices.Sorted(maps.Keys(fields)) {
			parts = append(parts, name+": "+fields[name])
		}
	case *eventv1.Content_BotHandedOff:
		parts = []string{body.BotHandedOff.GetReason(), body.BotHandedOff.GetSummary()}
	default:
		return "", false
	}
	var b strings.Builder
	for _, p := range parts {
		if p = strings.TrimSpace(p); p == "" || b.Len() > maxText {
			continue
		}
		if b.Len() > 0 {
			b.WriteRune(partEnd)
		}
		b.WriteString(clean(p))
	}
	return b.String(), true
}

// said is what a message says; what it quotes was said in another one.
func said(m *eventv1.Message) []string {
	return []string{m.GetSubject(), m.GetText(), m.GetLocation().GetLabel()}
}

// speaks tells whether the content of events of a type must be looked into.
func speaks(typ string) bool {
	switch typ {
	case event.TypeMessageReceived, event.TypeMessageSent, event.TypeMessageEdited, event.TypeMessageDeleted, event.TypeInteractionStarted,
		event.TypeNoteAdded, event.TypeTranscriptAvailable, event.TypeVoicemailLeft, event.TypeSurveyAnswered, event.TypeFormSubmitted,
		event.TypeBotHandedOff:
		return true
	}
	return false
}
