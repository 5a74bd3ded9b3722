package sink

import (
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// longest is how much of a word stands in reason and detail, in bytes.
const longest = 256

// meaning is what the columns of a row hold of an event's content, as far as that depends on the type.
type meaning struct {
	reason, detail string
	value          float64
	valued         bool // there is a value
	textLength     uint32

	message *message
	survey  *survey
}

// message is a row of messages, beside what stands in events.
type message struct {
	kind          string
	subject, text string
	auto, bulk    bool
}

// survey is a row of surveys, beside what stands in events.
type survey struct {
	answered           bool
	name, metric       string
	score, least, most float64
	drivers            []string
}

func (m *meaning) count(v float64) { m.value, m.valued = v, true }

func (m *meaning) flag(v bool) {
	if m.count(0); v {
		m.count(1)
	}
}

// span makes seconds of a duration that is stated.
func (m *meaning) span(d *durationpb.Duration) {
	if d.IsValid() {
		m.count(d.AsDuration().Seconds())
	}
}

// say makes a row of messages.
func (m *meaning) say(kind, text string) {
	m.textLength = uint32(utf8.RuneCountInString(text))
	m.message = &message{kind: kind, text: text}
}

// kind is a type of event whose content fills columns.
type kind struct {
	body protoreflect.FieldNumber // of Content
	fill func(body []byte, m *meaning)
}

// of fills columns from the body of a type; one that cannot be decoded fills none.
func of[B any, P interface {
	*B
	proto.Message
}](fill func(P, *meaning),
) func([]byte, *meaning) {
	return func(body []byte, m *meaning) {
		b := P(new(B))
		if proto.Unmarshal(body, b) == nil {
			fill(b, m)
		}
	}
}

// kinds says what reason, detail and value hold, for each type whose content says more than the envelope. Nothing that a customer wrote, no
// address and no id of a provider's goes there.
func kinds() map[string]*kind {
	fills := map[string]func([]byte, *meaning){
		event.TypeInteractionEnded: of(func(b *eventv1.InteractionEnded, m *meaning) {
			m.reason, m.detail = word(b.GetReason(), "END_REASON_"), b.GetProviderReason()
		}),
		event.TypeInteractionStatusChanged: of(func(b *eventv1.InteractionStatusChanged, m *meaning) {
			m.reason = word(b.GetStatus(), "INTERACTION_STATUS_")
		}),
		event.TypeInteractionResolved: of(func(b *eventv1.InteractionResolved, m *meaning) { m.detail = b.GetResolution() }),
		event.TypeInteractionReopened: of(func(b *eventv1.InteractionReopened, m *meaning) { m.detail = b.GetReason() }),
		event.TypeInteractionCategorized: of(func(b *eventv1.InteractionCategorized, m *meaning) {
			m.reason, m.detail = strings.Join(b.GetContactReason(), " / "), b.GetDisposition()
			m.flag(b.GetComplaint())
		}),
		event.TypeInteractionAttributesUpdated: of(func(b *eventv1.AttributesUpdated, m *meaning) {
			m.detail = strings.Join(b.GetTagsAdded(), ", ")
			if b.GetPriority() > 0 {
				m.count(float64(b.GetPriority()))
			}
		}),
		event.TypeInteractionPolicySet: of(func(b *eventv1.InteractionPolicySet, m *meaning) { m.detail = b.GetPolicy() }),
		event.TypeNoteAdded:            of(func(b *eventv1.NoteAdded, m *meaning) { m.say("note", b.GetText()) }),
		event.TypePartyJoined: of(func(b *eventv1.PartyJoined, m *meaning) {
			m.reason = word(b.GetSupervisorMode(), "SUPERVISOR_MODE_")
		}),
		event.TypePartyLeft: of(func(b *eventv1.PartyLeft, m *meaning) { m.reason = word(b.GetReason(), "END_REASON_") }),

		event.TypeCallAnswered: of(func(b *eventv1.CallAnswered, m *meaning) { m.reason = word(b.GetAnsweredBy(), "ANSWERED_BY_") }),
		event.TypeCallFailed: of(func(b *eventv1.CallFailed, m *meaning) {
			m.reason, m.detail = word(b.GetFailure(), "CALL_FAILURE_"), b.GetProviderReason()
		}),
		event.TypeRecordingPaused:    of(func(b *eventv1.RecordingPaused, m *meaning) { m.detail = b.GetReason() }),
		event.TypeRecordingAvailable: of(func(b *eventv1.RecordingAvailable, m *meaning) { m.span(b.GetDuration()) }),
		event.TypeTranscriptAvailable: of(func(b *eventv1.TranscriptAvailable, m *meaning) {
			m.detail = b.GetSource()
			if text := said(b.GetSegments()); text != "" {
				m.say("transcript", text)
			}
		}),
		event.TypeVoicemailLeft: of(func(b *eventv1.VoicemailLeft, m *meaning) {
			m.span(b.GetDuration())
			if b.GetTranscript() != "" {
				m.say("transcript", b.GetTranscript())
			}
		}),

		event.TypeBotStarted:   of(func(b *eventv1.BotStarted, m *meaning) { m.detail = b.GetBot() }),
		event.TypeBotHandedOff: of(func(b *eventv1.BotHandedOff, m *meaning) { m.detail = b.GetReason() }),
		event.TypeBotEnded: of(func(b *eventv1.BotEnded, m *meaning) {
			m.reason = word(b.GetReason(), "END_REASON_")
			m.flag(b.GetContained())
		}),
		event.TypeFlowStepEntered: of(func(b *eventv1.FlowStepEntered, m *meaning) {
			m.detail = strings.Trim(b.GetFlow()+"/"+b.GetStep(), "/")
		}),
		event.TypePageViewed:    of(func(b *eventv1.PageViewed, m *meaning) { m.detail = page(b.GetUrl()) }),
		event.TypeFormSubmitted: of(func(b *eventv1.FormSubmitted, m *meaning) { m.detail = b.GetForm() }),

		event.TypeQueueEntered: of(func(b *eventv1.QueueEntered, m *meaning) {
			m.detail = strings.Join(b.GetSkills(), ", ")
			m.span(b.GetSlaTarget())
		}),
		event.TypeQueueLeft: of(func(b *eventv1.QueueLeft, m *meaning) {
			m.reason, m.detail = word(b.GetOutcome(), "QUEUE_OUTCOME_"), target(b.GetTarget())
		}),

		event.TypeAssignmentOffered: of(func(b *eventv1.AssignmentOffered, m *meaning) { m.span(b.GetTimeout()) }),
		event.TypeAssignmentDeclined: of(func(b *eventv1.AssignmentDeclined, m *meaning) {
			m.reason, m.detail = word(b.GetReason(), "DECLINE_REASON_"), b.GetDetail()
		}),
		event.TypeAssignmentPaused: of(func(b *eventv1.AssignmentPaused, m *meaning) { m.detail = b.GetReason() }),
		event.TypeAssignmentEnded:  of(func(b *eventv1.AssignmentEnded, m *meaning) { m.reason = word(b.GetReason(), "END_REASON_") }),
		event.TypeWrapupEnded: of(func(b *eventv1.WrapupEnded, m *meaning) {
			if m.detail = b.GetDisposition(); b.GetInferred() {
				m.reason = "inferred"
			}
		}),

		event.TypeTransferStarted: of(func(b *eventv1.TransferStarted, m *meaning) {
			m.reason, m.detail = word(b.GetKind(), "TRANSFER_KIND_"), target(b.GetTarget())
		}),
		event.TypeTransferCompleted: of(func(b *eventv1.TransferCompleted, m *meaning) {
			m.reason, m.detail = word(b.GetKind(), "TRANSFER_KIND_"), target(b.GetTarget())
		}),
		event.TypeTransferFailed: of(func(b *eventv1.TransferFailed, m *meaning) {
			m.reason, m.detail = word(b.GetKind(), "TRANSFER_KIND_"), target(b.GetTarget())
		}),
		event.TypeCallbackAttempted: of(func(b *eventv1.CallbackAttempted, m *meaning) {
			m.reason = reached(b.GetReached())
			m.count(float64(b.GetAttempt()))
		}),
		event.TypeCallbackEnded: of(func(b *eventv1.CallbackEnded, m *meaning) {
			m.reason, m.detail = reached(b.GetReached()), b.GetReason()
		}),

		event.TypeMessageReceived:      readMessage,
		event.TypeMessageSendRequested: requested,
		event.TypeMessageSent:          readMessage,
		event.TypeMessageEdited:        readEdited,
		event.TypeMessageFailed: of(func(b *eventv1.MessageFailed, m *meaning) {
			if m.reason = b.GetCode(); b.GetUnknown() {
				m.reason = "unknown"
			}
		}),
		event.TypeAttachmentFailed: of(func(b *eventv1.AttachmentFailed, m *meaning) { m.reason = b.GetCode() }),

		event.TypeSurveySent: of(func(b *eventv1.SurveySent, m *meaning) {
			m.detail = b.GetSurvey()
			m.survey = &survey{name: m.detail}
		}),
		event.TypeSurveyAnswered: of(func(b *eventv1.SurveyAnswered, m *meaning) {
			m.reason, m.detail = word(b.GetMetric(), "SURVEY_METRIC_"), b.GetSurvey()
			m.count(b.GetScore())
			m.survey = &survey{
				answered: true, name: m.detail, metric: m.reason, score: b.GetScore(), least: b.GetScaleMin(), most: b.GetScaleMax(),
				drivers: b.GetDrivers(),
			}
			if b.GetComment() != "" {
				m.say("comment", b.GetComment())
			}
		}),
		event.TypeInsightInferred: of(func(b *eventv1.InsightInferred, m *meaning) {
			m.reason, m.detail = b.GetKind(), b.GetValue()
			m.count(b.GetScore())
		}),
		event.TypeTimerFired: of(func(b *eventv1.TimerFired, m *meaning) { m.reason = b.GetTimer() }),
		event.TypeSourceGapDetected: of(func(b *eventv1.SourceGapDetected, m *meaning) {
			if m.detail = b.GetSource(); b.GetFrom().IsValid() && b.GetUntil().IsValid() {
				m.count(b.GetUntil().AsTime().Sub(b.GetFrom().AsTime()).Seconds())
			}
		}),

		event.TypeAgentPresenceChanged: of(func(b *eventv1.AgentPresenceChanged, m *meaning) {
			m.reason, m.detail = b.GetPresence(), b.GetReason()
		}),
		event.TypeAgentRoutingStatusChanged: of(func(b *eventv1.AgentRoutingStatusChanged, m *meaning) {
			m.reason = word(b.GetStatus(), "ROUTING_STATUS_")
		}),
		event.TypeAgentCapacityChanged: of(func(b *eventv1.AgentCapacityChanged, m *meaning) { m.detail = b.GetNextPresence() }),
		event.TypeAgentHeartbeat:       of(func(b *eventv1.AgentHeartbeat, m *meaning) { m.span(b.GetTimeout()) }),

		event.TypeAlertRaised: of(func(b *eventv1.AlertRaised, m *meaning) {
			m.reason, m.detail = word(b.GetKind(), "ALERT_KIND_"), b.GetRule()
			m.count(b.GetValue())
		}),
		event.TypeAlertCleared: of(func(b *eventv1.AlertCleared, m *meaning) {
			m.reason, m.detail = word(b.GetKind(), "ALERT_KIND_"), b.GetRule()
			m.count(b.GetValue())
		}),

		event.TypeEndpointLinked:     of(func(b *eventv1.EndpointLinked, m *meaning) { m.detail = b.GetRule() }),
		event.TypeConversationLinked: of(func(b *eventv1.ConversationLinked, m *meaning) { m.detail = b.GetRule() }),
		event.TypeConsentChanged: of(func(b *eventv1.ConsentChanged, m *meaning) {
			if m.reason, m.detail = "withdrawn", b.GetPurpose(); b.GetGranted() {
				m.reason = "granted"
			}
		}),
		event.TypeIdentityAsserted: of(func(b *eventv1.IdentityAsserted, m *meaning) {
			m.reason, m.detail = word(b.GetEvidence(), "IDENTITY_EVIDENCE_"), b.GetSource()
		}),
		event.TypeCustomerAttributesUpdated: of(func(b *eventv1.CustomerAttributesUpdated, m *meaning) { m.detail = b.GetSource() }),
		event.TypeCustomerFactRecorded: of(func(b *eventv1.CustomerFactRecorded, m *meaning) {
			m.reason, m.detail = b.GetKind(), b.GetSource()
		}),
		event.TypeDirectoryUpdated: of(func(b *eventv1.DirectoryUpdated, m *meaning) { m.reason, m.detail = b.GetKind(), b.GetId() }),
	}
	fields := (&eventv1.Content{}).ProtoReflect().Descriptor().Oneofs().ByName("body").Fields()
	all := make(map[string]*kind, len(fills))
	for typ, fill := range fills {
		all[typ] = &kind{body: fields.ByName(protoreflect.Name(strings.ReplaceAll(typ, ".", "_"))).Number(), fill: fill}
	}
	return all
}

// word is the name of an enum's value in lower case; empty for the first one, which says nothing, and for one that is not known.
func word(value interface {
	protoreflect.Enum
	String() string
}, prefix string,
) string {
	if value.Number() == 0 {
		return ""
	}
	name, known := strings.CutPrefix(value.String(), prefix)
	if !known {
		return ""
	}
	return strings.ToLower(name)
}

func reached(yes bool) string {
	if yes {
		return "reached"
	}
	return "not_reached"
}

// target is where something goes: an agent, a queue. An address is somebody's own.
func target(name string) string {
	digits := 0
	for _, c := range []byte(name) {
		if '0' <= c && c <= '9' {
			digits++
		}
	}
	if strings.Contains(name, "@") || digits >= 7 && !strings.ContainsFunc(name, func(r rune) bool { return !strings.ContainsRune("+0123456789 ()-./", r) }) {
		return ""
	}
	return name
}

// page is where a page stands, without what a visitor's browser put behind it.
func page(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return (&url.URL{Scheme: u.Scheme, Host: u.Host, Path: u.Path}).String()
}

// said joins what was said, a line for each stretch of speech.
func said(segments []*eventv1.TranscriptSegment) string {
	lines := make([]string, 0, len(segments))
	for _, s := range segments {
		lines = append(lines, s.GetText())
	}
	return strings.Join(slices.DeleteFunc(lines, func(l string) bool { return l == "" }), "\n")
}
