package story

import "github.com/skein-cx/skein/pkg/event"

// Kind is what a type of event means for interactions.
type Kind uint8

// The kinds. What is Silent changes nothing: it belongs to the interaction in whose stretch it stands.
const (
	Silent Kind = iota
	Started
	Ended
	StatusChanged
	Resolved
	Reopened
	Categorized
	AttributesUpdated
	PolicySet
	NoteAdded
	PartyJoined
	PartyLeft
	Called
	VoicemailLeft
	BotStarted
	BotHandedOff
	BotEnded
	FlowStep
	FormSubmitted
	QueueEntered
	QueueLeft
	Offered
	Declined
	Accepted
	Connected
	Held
	Unheld
	Paused
	Resumed
	ShareEnded
	WrapupStarted
	WrapupEnded
	TransferTried
	TransferCompleted
	CallbackRequested
	CallbackTold
	Received
	SendRequested
	Sent
	MessageChanged
	SurveyAnswered
	TimerFired
	kinds
)

// rule is a line of the table in docs/interactions.md.
type rule struct {
	types []string
	// opens: it begins an interaction where none is open.
	opens bool
	// acts: somebody does something by it, so that the interaction is not idle.
	acts bool
}

// rules is the table. A test holds it and the documentation together.
var rules = [kinds]rule{ //nolint:gochecknoglobals // a table
	Silent: {types: []string{
		event.TypeRecordingPaused, event.TypeRecordingResumed, event.TypeRecordingAvailable, event.TypeTranscriptAvailable,
		event.TypePageViewed, event.TypeMessageDelivered, event.TypeMessageRead, event.TypeMessageFailed, event.TypeAttachmentStored,
		event.TypeAttachmentFailed, event.TypeSurveySent, event.TypeInsightInferred, event.TypeSourceGapDetected,
	}},
	Started:           {types: []string{event.TypeInteractionStarted}, opens: true, acts: true},
	Ended:             {types: []string{event.TypeInteractionEnded}, acts: true},
	StatusChanged:     {types: []string{event.TypeInteractionStatusChanged}, acts: true},
	Resolved:          {types: []string{event.TypeInteractionResolved}, acts: true},
	Reopened:          {types: []string{event.TypeInteractionReopened}, acts: true},
	Categorized:       {types: []string{event.TypeInteractionCategorized}, acts: true},
	AttributesUpdated: {types: []string{event.TypeInteractionAttributesUpdated}, acts: true},
	PolicySet:         {types: []string{event.TypeInteractionPolicySet}},
	NoteAdded:         {types: []string{event.TypeNoteAdded}, acts: true},
	PartyJoined:       {types: []string{event.TypePartyJoined}, acts: true},
	PartyLeft:         {types: []string{event.TypePartyLeft}, acts: true},
	Called:            {types: []string{event.TypeCallDialed, event.TypeCallAnswered, event.TypeCallFailed}, opens: true, acts: true},
	VoicemailLeft:     {types: []string{event.TypeVoicemailLeft}, opens: true, acts: true},
	BotStarted:        {types: []string{event.TypeBotStarted}, opens: true, acts: true},
	BotHandedOff:      {types: []string{event.TypeBotHandedOff}, acts: true},
	BotEnded:          {types: []string{event.TypeBotEnded}, acts: true},
	FlowStep:          {types: []string{event.TypeFlowStepEntered}, acts: true},
	FormSubmitted:     {types: []string{event.TypeFormSubmitted}, opens: true, acts: true},
	QueueEntered:      {types: []string{event.TypeQueueEntered}, opens: true, acts: true},
	QueueLeft:         {types: []string{event.TypeQueueLeft}, acts: true},
	Offered:           {types: []string{event.TypeAssignmentOffered}, opens: true, acts: true},
	Declined:          {types: []string{event.TypeAssignmentDeclined}, acts: true},
	Accepted:          {types: []string{event.TypeAssignmentAccepted}, opens: true, acts: true},
	Connected:         {types: []string{event.TypeAssignmentConnected}, opens: true, acts: true},
	Held:              {types: []string{event.TypeAssignmentHeld}, acts: true},
	Unheld:            {types: []string{event.TypeAssignmentUnheld}, acts: true},
	Paused:            {types: []string{event.TypeAssignmentPaused}, acts: true},
	Resumed:           {types: []string{event.TypeAssignmentResumed}, acts: true},
	ShareEnded:        {types: []string{event.TypeAssignmentEnded}, acts: true},
	WrapupStarted:     {types: []string{event.TypeWrapupStarted}, acts: true},
	WrapupEnded:       {types: []string{event.TypeWrapupEnded}, acts: true},
	TransferTried:     {types: []string{event.TypeTransferStarted, event.TypeTransferFailed}, acts: true},
	TransferCompleted: {types: []string{event.TypeTransferCompleted}, acts: true},
	CallbackRequested: {types: []string{event.TypeCallbackRequested}, opens: true, acts: true},
	CallbackTold:      {types: []string{event.TypeCallbackAttempted, event.TypeCallbackEnded}, acts: true},
	Received:          {types: []string{event.TypeMessageReceived}, opens: true, acts: true},
	SendRequested:     {types: []string{event.TypeMessageSendRequested}, opens: true, acts: true},
	Sent:              {types: []string{event.TypeMessageSent}, opens: true, acts: true},
	MessageChanged:    {types: []string{event.TypeMessageEdited, event.TypeMessageDeleted, event.TypeMessageReacted}, acts: true},
	SurveyAnswered:    {types: []string{event.TypeSurveyAnswered}, acts: true},
	TimerFired:        {types: []string{event.TypeTimerFired}},
}

var byType = func() map[string]Kind { //nolint:gochecknoglobals // read only
	m := map[string]Kind{}
	for k, r := range rules {
		for _, t := range r.types {
			m[t] = Kind(k)
		}
	}
	return m
}()

// KindOf is what a type of event means. A foreign or unknown one is silent.
func KindOf(typ string) Kind { return byType[typ] }

func (k Kind) opens() bool { return rules[k].opens }
func (k Kind) acts() bool  { return rules[k].acts }
