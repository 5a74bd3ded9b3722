package chat

import (
	"slices"
	"strings"
	"time"

	"github.com/skein-cx/skein/pkg/channel"
	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// visible is what a visitor gets to see of an event; false where it is not meant for visitors, or sealed. Types that are
// not named here stay among colleagues.
func visible(filed channel.Filed, w *widget, who Claims) (eventFrame, bool) {
	e, content := filed.Event, filed.Content
	if e == nil || content == nil || e.GetDirection() == eventv1.Direction_DIRECTION_INTERNAL {
		return eventFrame{}, false
	}
	f := eventFrame{
		Type: "event", Event: e.GetId(), Cursor: filed.Cursor, Name: e.GetType(), From: from(e), ID: content.GetNativeId(),
		At: e.GetOccurredAt().AsTime().Format(time.RFC3339Nano),
	}
	switch e.GetType() {
	case event.TypeMessageReceived:
		f.Text = content.GetMessageReceived().GetText()
	case event.TypeMessageSent:
		f.Text = content.GetMessageSent().GetText()
	case event.TypeMessageEdited:
		f.Refers, f.Text = content.GetMessageEdited().GetMessage(), content.GetMessageEdited().GetEdited().GetText()
	case event.TypeMessageDeleted:
		f.Refers = content.GetMessageDeleted().GetMessage()
	case event.TypeMessageReacted:
		reaction := content.GetMessageReacted().GetReaction()
		f.Refers, f.Reaction = content.GetMessageReacted().GetMessage(), &reaction
	case event.TypeMessageRead:
		f.Refers = content.GetMessageRead().GetMessage()
	case event.TypeMessageDelivered:
		f.Refers = content.GetMessageDelivered().GetMessage()
	case event.TypeSurveySent:
		f.Survey = content.GetSurveySent().GetSurvey()
	case event.TypeSurveyAnswered:
		f.Survey = content.GetSurveyAnswered().GetSurvey()
	case event.TypePartyJoined, event.TypePartyLeft:
		if supervised(e, content) || f.From == fromVisitor {
			return eventFrame{}, false
		}
	case event.TypeInteractionEnded:
	default:
		return eventFrame{}, false
	}
	if f.From != fromVisitor {
		f.Author = author(e, content)
	}
	for _, a := range content.GetAttachments() {
		f.Files = append(f.Files, w.shown(who, a))
	}
	return f, true
}

// Who does what a visitor sees.
const (
	fromVisitor = "visitor"
	fromAgent   = "agent"
	fromBot     = "bot"
	fromSystem  = "system"
)

func from(e *eventv1.Event) string {
	switch e.GetActor().GetKind() {
	case eventv1.ActorKind_ACTOR_KIND_CUSTOMER:
		return fromVisitor
	case eventv1.ActorKind_ACTOR_KIND_AGENT:
		return fromAgent
	case eventv1.ActorKind_ACTOR_KIND_BOT:
		return fromBot
	case eventv1.ActorKind_ACTOR_KIND_SYSTEM:
		return fromSystem
	case eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED:
	}
	switch { // nobody says who
	case e.GetType() == event.TypeMessageReceived, strings.HasPrefix(e.GetType(), "message.") && e.GetDirection() == eventv1.Direction_DIRECTION_INBOUND:
		return fromVisitor
	case strings.HasPrefix(e.GetType(), "message."):
		return fromAgent
	}
	return fromSystem
}

// supervised tells whether a supervisor comes or goes, of whom the visitor knows nothing.
func supervised(e *eventv1.Event, content *eventv1.Content) bool {
	if content.GetPartyJoined().GetSupervisorMode() != eventv1.SupervisorMode_SUPERVISOR_MODE_UNSPECIFIED {
		return true
	}
	return slices.ContainsFunc(e.GetParties(), func(p *eventv1.Party) bool {
		return p.GetRole() == eventv1.PartyRole_PARTY_ROLE_SUPERVISOR
	})
}

// author is the name under which the company's first party shows itself.
func author(e *eventv1.Event, content *eventv1.Content) string {
	for i, p := range e.GetParties() {
		if p.GetSide() == eventv1.Side_SIDE_COMPANY && i < len(content.GetParties()) {
			if name := content.GetParties()[i].GetDisplayName(); name != "" {
				return name
			}
		}
	}
	return ""
}
