package view

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"google.golang.org/protobuf/reflect/protoreflect"

	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
	timelinev1 "github.com/skein-cx/skein/proto/skein/timeline/v1"
	"github.com/skein-cx/skein/services/console/lang"
)

// Shape is how an event is drawn.
type Shape int

const (
	// Step is a line: something happened on the way.
	Step Shape = iota
	// Bubble is a message of a chat or messenger.
	Bubble
	// Letter is a mail.
	Letter
	// Remark is a note for colleagues.
	Remark
)

// Happening is an event in words.
type Happening struct {
	Entry *timelinev1.Entry
	Shape Shape
	// Icon of the sprite, for a step.
	Icon string
	// Title says what happened, Detail what more is known.
	Title, Detail string
	// Who did it, as people know them.
	Who string
	// Ours tells what the company did from what the customer did.
	Ours bool
	// Minor leaves it out unless every step is asked for.
	Minor bool
	// Tone is good, bad or empty.
	Tone string
	// Message of a bubble or letter.
	Message *eventv1.Message
}

// body is what an event says; of one that says nothing beside its type, the empty body of that.
func body(e *timelinev1.Entry) any {
	if b := e.GetContent().GetBody(); b != nil {
		return b
	}
	said := (&eventv1.Content{}).ProtoReflect()
	name := protoreflect.Name(strings.ReplaceAll(e.GetEvent().GetType(), ".", "_"))
	field := said.Descriptor().Oneofs().ByName("body").Fields().ByName(name)
	if field == nil {
		return nil
	}
	said.Set(field, said.NewField(field))
	empty, _ := said.Interface().(*eventv1.Content)
	return empty.GetBody()
}

// Describe puts an event into words.
func Describe(ctx context.Context, e *timelinev1.Entry, files Files) Happening {
	h := Happening{Entry: e, Who: files.who(ctx, e), Ours: ours(e.GetEvent()), Icon: channelMark(e.GetEvent().GetChannel())}
	t := func(english string, args ...any) string { return lang.T(ctx, english, args...) }
	switch b := body(e).(type) {
	case *eventv1.Content_MessageReceived:
		h.message(b.MessageReceived, t("Message"))
	case *eventv1.Content_MessageSent:
		h.message(b.MessageSent, t("Message"))
	case *eventv1.Content_MessageSendRequested:
		h.message(b.MessageSendRequested, t("Message"))
		h.Minor = true
	case *eventv1.Content_NoteAdded:
		h.Shape, h.Icon, h.Title, h.Detail = Remark, "note", t("Note"), b.NoteAdded.GetText()
	case *eventv1.Content_InteractionStarted:
		h.Title, h.Detail = h.began(ctx), b.InteractionStarted.GetSubject()
	case *eventv1.Content_InteractionEnded:
		h.Icon, h.Title, h.Detail = "end", t("Ended"), EndReason(ctx, b.InteractionEnded.GetReason())
	case *eventv1.Content_InteractionStatusChanged:
		h.Icon, h.Title, h.Detail = "clock", statusChanged(ctx, b.InteractionStatusChanged), ""
	case *eventv1.Content_InteractionResolved:
		h.Icon, h.Title, h.Detail, h.Tone = "check", t("Resolved"), b.InteractionResolved.GetResolution(), "good"
	case *eventv1.Content_InteractionReopened:
		h.Icon, h.Title, h.Detail = "undo", t("Reopened"), b.InteractionReopened.GetReason()
	case *eventv1.Content_InteractionCategorized:
		c := b.InteractionCategorized
		h.Icon, h.Title, h.Detail = "tag", t("Categorized"), dots(strings.Join(c.GetContactReason(), " › "), c.GetDisposition())
		if c.GetComplaint() {
			h.Title, h.Tone = t("Complaint"), "bad"
		}
	case *eventv1.Content_InteractionAttributesUpdated:
		u := b.InteractionAttributesUpdated
		h.Icon, h.Title, h.Detail, h.Minor = "tag", t("Marked"), attributes(u), len(u.GetTagsAdded())+len(u.GetTagsRemoved()) == 0
	case *eventv1.Content_InteractionPolicySet:
		h.Icon, h.Title, h.Detail, h.Minor = "clock", t("Targets set"), b.InteractionPolicySet.GetPolicy(), true
	case *eventv1.Content_PartyJoined:
		h.Icon, h.Title, h.Minor = "agent", t("Came in"), b.PartyJoined.GetSupervisorMode() == 0
	case *eventv1.Content_PartyLeft:
		h.Icon, h.Title, h.Minor = "agent", t("Left"), true
	default:
		if !h.assignment(ctx, files) {
			h.step(ctx, e)
		}
	}
	return h
}

func (h *Happening) message(m *eventv1.Message, title string) {
	h.Shape, h.Title, h.Message = Bubble, title, m
	if h.Entry.GetEvent().GetChannel() == eventv1.Channel_CHANNEL_EMAIL {
		h.Shape = Letter
	}
}

// began is how an interaction begins.
func (h *Happening) began(ctx context.Context) string {
	who := Plain(h.Who)
	h.Who = ""
	switch {
	case who == "":
		return lang.T(ctx, "Began")
	case h.Entry.GetEvent().GetChannel() != eventv1.Channel_CHANNEL_VOICE:
		return lang.T(ctx, "%s begins", who)
	}
	return lang.T(ctx, "%s calls", who)
}

// assignment describes what is done with a customer by whom: the sentence names the agent, and the queue.
func (h *Happening) assignment(ctx context.Context, files Files) bool {
	t := func(english string, args ...any) string { return lang.T(ctx, english, args...) }
	e := h.Entry.GetEvent()
	queue, agent := files.Names.Queues.Name(e.GetProvider(), e.GetQueue()), cmp.Or(Plain(h.Who), t("An agent"))
	switch b := body(h.Entry).(type) {
	case *eventv1.Content_QueueEntered:
		h.Icon, h.Title, h.Detail = "queue", t("Waits in the queue %s", queue), target(ctx, b.QueueEntered.GetSlaTarget())
	case *eventv1.Content_QueueLeft:
		h.Icon, h.Title, h.Detail = "queue", t("Left the queue %s", queue), QueueOutcome(ctx, b.QueueLeft.GetOutcome())
		if b.QueueLeft.GetOutcome() == eventv1.QueueOutcome_QUEUE_OUTCOME_ABANDONED {
			h.Tone = "bad"
		}
	case *eventv1.Content_AssignmentOffered:
		h.Icon, h.Title, h.Minor = "agent", t("Offered to %s", agent), true
	case *eventv1.Content_AssignmentDeclined:
		h.Icon, h.Title, h.Detail = "agent", t("%s does not take it", agent), declineReason(ctx, b.AssignmentDeclined.GetReason())
	case *eventv1.Content_AssignmentAccepted:
		h.Icon, h.Title, h.Minor = "agent", t("%s accepts", agent), true
	case *eventv1.Content_AssignmentConnected:
		h.Icon, h.Title = "agent", t("%s deals with it", agent)
		if e.GetChannel() == eventv1.Channel_CHANNEL_VOICE {
			h.Title = t("%s is on the line", agent)
		}
	case *eventv1.Content_AssignmentHeld:
		h.Icon, h.Title = "clock", t("%s puts the customer on hold", agent)
	case *eventv1.Content_AssignmentUnheld:
		h.Icon, h.Title = "clock", t("%s is back on the line", agent)
	case *eventv1.Content_AssignmentPaused:
		h.Icon, h.Title, h.Detail, h.Minor = "clock", t("%s lays it aside", agent), b.AssignmentPaused.GetReason(), true
	case *eventv1.Content_AssignmentResumed:
		h.Icon, h.Title, h.Minor = "clock", t("%s takes it up again", agent), true
	case *eventv1.Content_AssignmentEnded:
		h.Icon, h.Title, h.Detail = "agent", t("%s is done with it", agent), EndReason(ctx, b.AssignmentEnded.GetReason())
	case *eventv1.Content_WrapupStarted:
		h.Icon, h.Title, h.Minor = "note", t("%s begins the wrap-up", agent), true
	case *eventv1.Content_WrapupEnded:
		h.Icon, h.Title = "note", t("%s ends the wrap-up", agent)
		h.Detail, h.Minor = b.WrapupEnded.GetDisposition(), b.WrapupEnded.GetDisposition() == ""
	case *eventv1.Content_TransferStarted:
		h.Icon, h.Title = "transfer", t("%s hands over to %s", agent, files.target(e, b.TransferStarted.GetTarget()))
	case *eventv1.Content_TransferCompleted:
		h.Icon, h.Title = "transfer", t("Handed over")
		if to := b.TransferCompleted.GetTarget(); to != "" {
			h.Title = t("Handed over to %s", files.target(e, to))
		}
	case *eventv1.Content_TransferFailed:
		h.Icon, h.Title, h.Tone = "transfer", t("The hand-over failed"), "bad"
		h.Detail = dots(files.target(e, b.TransferFailed.GetTarget()), b.TransferFailed.GetReason())
	default:
		return false
	}
	h.Who = "" // the sentence says it
	return true
}

// step describes what is a line of calls and what is about messages; what it does not know shows its type.
func (h *Happening) step(ctx context.Context, e *timelinev1.Entry) {
	t := func(english string) string { return lang.T(ctx, english) }
	switch b := body(e).(type) {
	case *eventv1.Content_CallDialed:
		h.Title, h.Detail = t("Rings"), b.CallDialed.GetDialed()
	case *eventv1.Content_CallAnswered:
		h.Title, h.Tone = t("Answered"), "good"
		if b.CallAnswered.GetAnsweredBy() == eventv1.AnsweredBy_ANSWERED_BY_MACHINE {
			h.Title, h.Tone = t("Answered by a machine"), ""
		}
	case *eventv1.Content_CallFailed:
		h.Title, h.Detail, h.Tone = t("Not reached"), callFailure(ctx, b.CallFailed.GetFailure()), "bad"
	case *eventv1.Content_RecordingAvailable:
		h.Icon, h.Title, h.Detail = "record", t("Recording"), length(b.RecordingAvailable.GetDuration())
	case *eventv1.Content_RecordingPaused:
		h.Icon, h.Title, h.Detail, h.Minor = "record", t("Recording paused"), b.RecordingPaused.GetReason(), true
	case *eventv1.Content_RecordingResumed:
		h.Icon, h.Title, h.Minor = "record", t("Recording goes on"), true
	case *eventv1.Content_TranscriptAvailable:
		h.Icon, h.Title, h.Detail = "note", t("Transcript"), transcript(b.TranscriptAvailable)
	case *eventv1.Content_VoicemailLeft:
		h.Icon, h.Title, h.Detail = "record", t("Voicemail"), dots(length(b.VoicemailLeft.GetDuration()), b.VoicemailLeft.GetTranscript())
	case *eventv1.Content_BotStarted:
		h.Icon, h.Title, h.Detail = "bot", t("A bot takes over"), b.BotStarted.GetBot()
	case *eventv1.Content_BotHandedOff:
		h.Icon, h.Title, h.Detail = "bot", t("The bot hands over to a person"), dots(b.BotHandedOff.GetReason(), b.BotHandedOff.GetSummary())
	case *eventv1.Content_BotEnded:
		h.Icon, h.Title = "bot", t("The bot is done")
		if b.BotEnded.GetContained() {
			h.Title, h.Tone = t("The bot settled it"), "good"
		}
	case *eventv1.Content_FlowStepEntered:
		h.Icon, h.Title, h.Detail = "bot", t("Menu"), dots(b.FlowStepEntered.GetFlow(), b.FlowStepEntered.GetStep(), b.FlowStepEntered.GetInput())
	case *eventv1.Content_PageViewed:
		h.Icon, h.Title, h.Detail, h.Minor = "page", t("Looked at a page"), cmp.Or(b.PageViewed.GetTitle(), b.PageViewed.GetUrl()), true
	case *eventv1.Content_FormSubmitted:
		h.Icon, h.Title, h.Detail = "page", t("Sent a form"), b.FormSubmitted.GetForm()
	default:
		h.rest(ctx, e)
	}
}

func (h *Happening) rest(ctx context.Context, e *timelinev1.Entry) {
	t := func(english string, args ...any) string { return lang.T(ctx, english, args...) }
	switch b := body(e).(type) {
	case *eventv1.Content_CallbackRequested:
		h.Icon, h.Title, h.Detail = "voice", t("Wants to be called back"), b.CallbackRequested.GetNumber()
	case *eventv1.Content_CallbackAttempted:
		h.Icon, h.Title = "voice", t("Call-back, attempt %d", b.CallbackAttempted.GetAttempt())
	case *eventv1.Content_CallbackEnded:
		h.Icon, h.Title = "voice", t("Call-back given up")
		if b.CallbackEnded.GetReached() {
			h.Title, h.Tone = t("Called back"), "good"
		}
	case *eventv1.Content_MessageDelivered:
		h.Icon, h.Title, h.Minor = "check", t("Delivered"), true
	case *eventv1.Content_MessageRead:
		h.Icon, h.Title, h.Minor = "check", t("Read"), true
	case *eventv1.Content_MessageFailed:
		h.Icon, h.Title, h.Detail, h.Tone = "alert", t("Not delivered"), cmp.Or(b.MessageFailed.GetReason(), b.MessageFailed.GetCode()), "bad"
	case *eventv1.Content_MessageEdited:
		h.message(b.MessageEdited.GetEdited(), t("Edited"))
	case *eventv1.Content_MessageDeleted:
		h.Icon, h.Title = "close", t("Took a message back")
	case *eventv1.Content_MessageReacted:
		h.Title = t("Reacted %s", b.MessageReacted.GetReaction())
	case *eventv1.Content_AttachmentStored:
		h.Icon, h.Title, h.Minor = "file", t("File fetched"), true
	case *eventv1.Content_AttachmentFailed:
		h.Icon, h.Title, h.Detail, h.Tone = "file", t("A file cannot be fetched"), b.AttachmentFailed.GetReason(), "bad"
	case *eventv1.Content_SurveySent:
		h.Icon, h.Title, h.Detail, h.Minor = "star", t("Survey sent"), b.SurveySent.GetSurvey(), true
	case *eventv1.Content_SurveyAnswered:
		h.survey(ctx, b.SurveyAnswered)
	case *eventv1.Content_InsightInferred:
		i := b.InsightInferred
		h.Icon, h.Title, h.Detail, h.Minor = "insight", t("Concluded: %s", i.GetKind()), dots(i.GetValue(), i.GetSource()), true
	case *eventv1.Content_TimerFired:
		h.Icon, h.Title, h.Detail, h.Minor = "clock", t("Time is up"), b.TimerFired.GetTimer(), true
	case *eventv1.Content_SourceGapDetected:
		h.Icon, h.Title, h.Detail, h.Tone = "alert", t("Events may be missing here"), b.SourceGapDetected.GetReason(), "bad"
	case *eventv1.Content_CustomerFactRecorded:
		h.Icon, h.Title, h.Detail = "file", b.CustomerFactRecorded.GetTitle(), dots(b.CustomerFactRecorded.GetStatus(), b.CustomerFactRecorded.GetSource())
	case *eventv1.Content_CustomerAttributesUpdated:
		h.Icon, h.Title, h.Detail, h.Minor = "id", t("Attributes told"), b.CustomerAttributesUpdated.GetSource(), true
	case *eventv1.Content_IdentityAsserted:
		h.Icon, h.Title, h.Detail, h.Minor = "id", t("Told who this is"), dots(b.IdentityAsserted.GetReason(), b.IdentityAsserted.GetSource()), true
	case *eventv1.Content_ConsentChanged:
		h.Icon, h.Title, h.Detail = "check", t("Consent withdrawn"), b.ConsentChanged.GetPurpose()
		if b.ConsentChanged.GetGranted() {
			h.Title = t("Consent given")
		}
	case *eventv1.Content_ThreadJoined:
		h.Icon, h.Title, h.Minor = "link", t("Joined with another thread"), true
	default:
		h.Title = e.GetEvent().GetType()
		h.Minor = !strings.HasPrefix(h.Title, "ext.")
	}
}

func (h *Happening) survey(ctx context.Context, s *eventv1.SurveyAnswered) {
	name := lang.T(ctx, "Survey")
	switch s.GetMetric() {
	case eventv1.SurveyMetric_SURVEY_METRIC_CSAT:
		name = "CSAT"
	case eventv1.SurveyMetric_SURVEY_METRIC_NPS:
		name = "NPS"
	case eventv1.SurveyMetric_SURVEY_METRIC_CES:
		name = "CES"
	case eventv1.SurveyMetric_SURVEY_METRIC_UNSPECIFIED:
	}
	h.Icon, h.Title = "star", name+" "+lang.Number(ctx, s.GetScore(), 0)
	if s.GetScaleMax() > s.GetScaleMin() {
		h.Title += " / " + lang.Number(ctx, s.GetScaleMax(), 0)
		const low, high = 0.4, 0.75
		switch share := (s.GetScore() - s.GetScaleMin()) / (s.GetScaleMax() - s.GetScaleMin()); {
		case share >= high:
			h.Tone = "good"
		case share <= low:
			h.Tone = "bad"
		}
	}
	h.Detail = dots(strings.Join(s.GetDrivers(), ", "), s.GetComment())
}

// ours tells what the company did: what its agents, bots and systems did, and what went out.
func ours(e *eventv1.Event) bool {
	switch e.GetActor().GetKind() {
	case eventv1.ActorKind_ACTOR_KIND_CUSTOMER:
		return false
	case eventv1.ActorKind_ACTOR_KIND_AGENT, eventv1.ActorKind_ACTOR_KIND_BOT:
		return true
	case eventv1.ActorKind_ACTOR_KIND_SYSTEM, eventv1.ActorKind_ACTOR_KIND_UNSPECIFIED:
	}
	return e.GetDirection() == eventv1.Direction_DIRECTION_OUTBOUND
}

// speaks tells the role of whoever does something from that of whom it is done to.
func speaks(r eventv1.PartyRole) bool {
	return r == eventv1.PartyRole_PARTY_ROLE_SENDER || r == eventv1.PartyRole_PARTY_ROLE_INITIATOR || r == eventv1.PartyRole_PARTY_ROLE_AUTHOR
}

// order is where an event stands among others: by time; of one moment a begin first and an end last; by when it was received, by its place in the log. It
// sorts as text.
func order(e *timelinev1.Entry) string {
	const begin, middle, end = 0, 1, 2
	rank := middle
	switch body(e).(type) {
	case *eventv1.Content_InteractionStarted:
		rank = begin
	case *eventv1.Content_InteractionEnded:
		rank = end
	}
	return fmt.Sprintf("%s %d %s %06d %019d", sortable(e.GetEvent().GetOccurredAt().AsTime()), rank, sortable(e.GetEvent().GetReceivedAt().AsTime()),
		e.GetPosition().GetPartition(), e.GetPosition().GetOffset())
}

func sortable(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000000000") }
