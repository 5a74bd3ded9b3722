package sink_test

import (
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/protobuf/encoding/prototext"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/skein-cx/skein/pkg/event"
	eventv1 "github.com/skein-cx/skein/proto/skein/event/v1"
)

// filling is what an event with a body gives: reason, detail, value, length of text, kind of the row of messages, row of surveys.
type filling struct {
	body           string // in the text format of Protobuf
	reason, detail string
	value          any // nil for none
	length         uint32
	message        string
	survey         bool
}

// fillings are one for each type. A type that fills nothing is here with all that it might have said.
var fillings = map[string]filling{
	event.TypeInteractionStarted:       {body: `subject: "My bank account" continues: "call-7"`}, // what a customer wrote, a provider's id
	event.TypeInteractionEnded:         {body: `reason: END_REASON_CUSTOMER provider_reason: "BYE" reopen_window {seconds: 60}`, reason: "customer", detail: "BYE"},
	event.TypeInteractionStatusChanged: {body: `status: INTERACTION_STATUS_SNOOZED snoozed_until {seconds: 1}`, reason: "snoozed"},
	event.TypeInteractionResolved:      {body: `resolution: "refunded"`, detail: "refunded"},
	event.TypeInteractionReopened:      {body: `reason: "not refunded"`, detail: "not refunded"},
	event.TypeInteractionCategorized: {
		body:   `contact_reason: "billing" contact_reason: "refund" disposition: "promised" complaint: true`,
		reason: "billing / refund", detail: "promised", value: 1.0,
	},
	event.TypeInteractionAttributesUpdated: {
		body: `tags_added: "vip" tags_added: "late" tags_removed: "new" priority: 2 attributes {key: "order" value: "7"}`, detail: "vip, late", value: 2.0,
	},
	event.TypeInteractionPolicySet: {body: `policy: "gold" idle_timeout {seconds: 60}`, detail: "gold"},
	event.TypeNoteAdded:            {body: `text: "Calls back on 周一"`, length: 16, message: "note"},
	event.TypePartyJoined:          {body: `supervisor_mode: SUPERVISOR_MODE_WHISPER`, reason: "whisper"},
	event.TypePartyLeft:            {body: `reason: END_REASON_AGENT`, reason: "agent"},

	event.TypeCallDialed:         {body: `dialed: "+4930123456"`}, // an address
	event.TypeCallAnswered:       {body: `answered_by: ANSWERED_BY_MACHINE`, reason: "machine"},
	event.TypeCallFailed:         {body: `failure: CALL_FAILURE_NO_ANSWER provider_reason: "SIP 480"`, reason: "no_answer", detail: "SIP 480"},
	event.TypeRecordingPaused:    {body: `recording: "r1" reason: "card number"`, detail: "card number"},
	event.TypeRecordingResumed:   {body: `recording: "r1"`}, // a provider's id
	event.TypeRecordingAvailable: {body: `recording: "r1" duration {seconds: 90 nanos: 500000000} sound_channels: 2`, value: 90.5},
	event.TypeTranscriptAvailable: {
		body:   `recording: "r1" segments {text: "Hello"} segments {party: 1} segments {party: 1 text: "Hi"} source: "whisper-3"`,
		detail: "whisper-3", length: 8, message: "transcript",
	},
	event.TypeVoicemailLeft: {body: `duration {seconds: 12} transcript: "Call me"`, value: 12.0, length: 7, message: "transcript"},

	event.TypeBotStarted:      {body: `bot: "billing" version: "7"`, detail: "billing"},
	event.TypeBotHandedOff:    {body: `reason: "asked for a person" summary: "Ada wants her money"`, detail: "asked for a person"},
	event.TypeBotEnded:        {body: `contained: true reason: END_REASON_BOT`, reason: "bot", value: 1.0},
	event.TypeFlowStepEntered: {body: `flow: "main menu" step: "billing" input: "4111111111111111"`, detail: "main menu/billing"},
	event.TypePageViewed: {
		body:   `url: "https://ada@shop.example/cart/7?mail=ada@example.com#pay" title: "Ada's cart" referrer: "https://x.example"`,
		detail: "https://shop.example/cart/7",
	},
	event.TypeFormSubmitted: {body: `form: "refund" fields {key: "iban" value: "DE00"}`, detail: "refund"},

	event.TypeQueueEntered: {body: `sla_target {seconds: 20} skills: "german" skills: "billing" priority: 1 place: 3`, detail: "german, billing", value: 20.0},
	event.TypeQueueLeft:    {body: `outcome: QUEUE_OUTCOME_OVERFLOWED target: "billing 2"`, reason: "overflowed", detail: "billing 2"},

	event.TypeAssignmentOffered:   {body: `timeout {seconds: 15}`, value: 15.0},
	event.TypeAssignmentDeclined:  {body: `reason: DECLINE_REASON_TIMED_OUT detail: "RONA"`, reason: "timed_out", detail: "RONA"},
	event.TypeAssignmentAccepted:  {},
	event.TypeAssignmentConnected: {},
	event.TypeAssignmentHeld:      {},
	event.TypeAssignmentUnheld:    {},
	event.TypeAssignmentPaused:    {body: `reason: "asks a colleague"`, detail: "asks a colleague"},
	event.TypeAssignmentResumed:   {},
	event.TypeAssignmentEnded:     {body: `reason: END_REASON_TRANSFER`, reason: "transfer"},
	event.TypeWrapupStarted:       {},
	event.TypeWrapupEnded:         {body: `disposition: "promised" inferred: true`, reason: "inferred", detail: "promised"},

	event.TypeTransferStarted:   {body: `kind: TRANSFER_KIND_CONSULT target: "bob"`, reason: "consult", detail: "bob"},
	event.TypeTransferCompleted: {body: `kind: TRANSFER_KIND_BLIND target: "+49 (30) 1234-567"`, reason: "blind"}, // an address
	event.TypeTransferFailed:    {body: `kind: TRANSFER_KIND_QUEUE target: "billing 2" reason: "closed"`, reason: "queue", detail: "billing 2"},
	event.TypeCallbackRequested: {body: `not_before {seconds: 1} number: "+4930123456"`}, // an address
	event.TypeCallbackAttempted: {body: `attempt: 2 reached: true`, reason: "reached", value: 2.0},
	event.TypeCallbackEnded:     {body: `reason: "gave up"`, reason: "not_reached", detail: "gave up"},

	event.TypeMessageReceived:      {body: `subject: "Help" text: "Grüße" html: "<p>" template: "no"`, detail: "no", length: 5, message: "message"},
	event.TypeMessageSendRequested: {body: `text: "Hi" template: "greeting"`, detail: "greeting", length: 2}, // the row comes with what was sent
	event.TypeMessageSent:          {body: `text: "Hi" template: "greeting" bulk: true auto_reply: true`, detail: "greeting", length: 2, message: "message"},
	event.TypeMessageDelivered:     {body: `message: "m1"`}, // a provider's id
	event.TypeMessageRead:          {body: `message: "m1"`},
	event.TypeMessageFailed:        {body: `message: "m1" code: "5.1.1" reason: "no user ada@example.com"`, reason: "5.1.1"},
	event.TypeMessageEdited:        {body: `message: "m1" edited {text: "Hello"}`, length: 5, message: "edit"},
	event.TypeMessageDeleted:       {body: `message: "m1"`},
	event.TypeMessageReacted:       {body: `message: "m1" reaction: "angry"`}, // what a customer said
	event.TypeAttachmentStored:     {body: `event_id: "e" index: 1`},
	event.TypeAttachmentFailed:     {body: `event_id: "e" code: "expired" reason: "https://x.example/ada is gone"`, reason: "expired"},

	event.TypeSurveySent: {body: `survey: "after call"`, detail: "after call", survey: true},
	event.TypeSurveyAnswered: {
		body:   `survey: "after call" metric: SURVEY_METRIC_CSAT score: 4 scale_min: 1 scale_max: 5 drivers: "speed" comment: "nice"`,
		reason: "csat", detail: "after call", value: 4.0, length: 4, message: "comment", survey: true,
	},
	event.TypeInsightInferred: {body: `kind: "sentiment" value: "negative" score: -0.5 confidence: 0.9 source: "m"`, reason: "sentiment", detail: "negative", value: -0.5},
	event.TypeTimerFired:      {body: `timer: "idle" due_at {seconds: 1}`, reason: "idle"},
	event.TypeSourceGapDetected: {
		body: `source: "imap" from {seconds: 100} until {seconds: 160} reason: "UIDVALIDITY changed"`, detail: "imap", value: 60.0,
	},

	event.TypeAgentPresenceChanged:      {body: `presence: "Break" type: PRESENCE_TYPE_CUSTOM reason: "lunch"`, reason: "Break", detail: "lunch"},
	event.TypeAgentRoutingStatusChanged: {body: `status: ROUTING_STATUS_NOT_RESPONDING`, reason: "not_responding"},
	event.TypeAgentCapacityChanged:      {body: `channels {key: "voice" value {maximum: 1}} next_presence: "Break"`, detail: "Break"},
	event.TypeAgentHeartbeat:            {body: `timeout {seconds: 30}`, value: 30.0},

	event.TypeAlertRaised:  {body: `rule: "long waits" kind: ALERT_KIND_OLDEST_WAITING value: 90 threshold: 60`, reason: "oldest_waiting", detail: "long waits", value: 90.0},
	event.TypeAlertCleared: {body: `rule: "long waits" kind: ALERT_KIND_OLDEST_WAITING value: 10`, reason: "oldest_waiting", detail: "long waits", value: 10.0},

	// Links say who is who; what they join is not for events, and why is somebody's free words.
	event.TypeThreadJoined:              {body: `parent_thread: "t1"`},
	event.TypeEndpointLinked:            {body: `endpoint_id: "e" customer_id: "c" reason: "said so" rule: "same login"`, detail: "same login"},
	event.TypeInteractionAttributed:     {body: `interaction_id: "i" customer_id: "c" reason: "his wife"`},
	event.TypeConversationLinked:        {body: `members: "i" reason: "same order" rule: "reply"`, detail: "reply"},
	event.TypeLinkUndone:                {body: `event_id: "e" reason: "wrong"`},
	event.TypeCustomerMerged:            {body: `into: "a" merged: "b" reason: "same"`},
	event.TypeCustomerSplit:             {body: `customer_id: "a" reason: "other"`},
	event.TypeConsentChanged:            {body: `purpose: "recording" granted: true evidence: "said yes"`, reason: "granted", detail: "recording"},
	event.TypeSubjectErased:             {body: `key_id: "k" request: "r"`},
	event.TypeIdentityAsserted:          {body: `evidence: IDENTITY_EVIDENCE_SIGNED_IN source: "shop" reason: "login"`, reason: "signed_in", detail: "shop"},
	event.TypeCustomerAttributesUpdated: {body: `source: "crm" attributes {key: "plan" value: "gold"}`, detail: "crm"},
	event.TypeCustomerFactRecorded:      {body: `source: "shop" kind: "order" id: "7" title: "A gift" amount: 12 currency: "EUR"`, reason: "order", detail: "shop"},
	event.TypeDirectoryUpdated:          {body: `kind: "agent" id: "ann"`, reason: "agent", detail: "ann"},
	"ext.twilio.something":              {body: `media_type: "text/plain" data: "Ada"`},
}

// with makes a content whose body of a type says something.
func with(t *testing.T, typ, body string) func(*eventv1.Content) {
	t.Helper()
	field := strings.ReplaceAll(typ, ".", "_")
	if strings.HasPrefix(typ, "ext.") {
		field = "extension"
	}
	return func(c *eventv1.Content) {
		said := &eventv1.Content{}
		if err := prototext.Unmarshal([]byte(field+" {"+body+"}"), said); err != nil {
			t.Fatalf("%s: %v", typ, err)
		}
		proto.Merge(c, said)
	}
}

func TestEachTypeFillsWhatTheColumnsSay(t *testing.T) {
	for _, typ := range event.Types() {
		if _, ok := fillings[typ.Name]; !ok {
			t.Errorf("%s: decide what it fills", typ.Name)
		}
	}
	w := newWorld(t)
	for typ, f := range fillings {
		w.publish(happened("thread", typ, typ, with(t, typ, f.body)))
		sealed := happened("thread", "sealed "+typ, typ, with(t, typ, f.body))
		sealed.Seal = "key-1"
		w.publish(sealed)
		broken := happened("thread", "broken "+typ, typ, nil)
		broken.Content = []byte{0xff, 0xff, 0xff}
		w.publish(broken)
	}
	w.run(w.config())

	messages, surveys := map[any]record{}, map[any]record{}
	for _, r := range w.shelf.rows("messages") {
		messages[r["event_id"]] = r
	}
	for _, r := range w.shelf.rows("surveys") {
		surveys[r["event_id"]] = r
	}
	seen := 0
	for _, r := range w.shelf.rows("events") {
		typ := is[string](r, "type")
		want := filling{}
		if said(r["event_id"]) == name("thread/"+typ) {
			want = fillings[typ]
			seen++
		}
		value := any(nil)
		if v, ok := r["value"].(*float64); ok && v != nil {
			value = *v
		}
		if r["reason"] != want.reason || r["detail"] != want.detail || value != want.value || r["text_length"] != want.length {
			t.Errorf("%s: reason %q, detail %q, value %v, text_length %v; wanted %+v", typ, r["reason"], r["detail"], value, r["text_length"], want)
		}
		m := messages[r["event_id"]]
		if (m == nil) != (want.message == "") || m != nil && m["kind"] != want.message {
			t.Errorf("%s: in messages it is %v; wanted %q", typ, m, want.message)
		}
		if s := surveys[r["event_id"]]; (s != nil) != want.survey {
			t.Errorf("%s: in surveys it is %v", typ, s)
		}
		if sealed := said(r["event_id"]) == name("thread/sealed "+typ); r["sealed"] != sealed {
			t.Errorf("%s: sealed is %v", typ, r["sealed"])
		}
	}
	if seen != len(fillings) {
		t.Errorf("%d of %d types came", seen, len(fillings))
	}
}

func said(id any) string { return fmt.Sprint(id) }

func TestTheEnvelopeFillsItsColumns(t *testing.T) {
	w := newWorld(t)
	e := happened("thread", "m1", event.TypeMessageReceived, func(c *eventv1.Content) {
		text("Where is it?")(c)
		c.GetMessageReceived().Subject = "Order"
		c.Attachments = []*eventv1.Attachment{{Name: "a"}, {Name: "b"}}
	})
	e.OccurredAt = timestamppb.New(time.Date(2261, 12, 31, 23, 59, 59, 123456789, time.UTC))
	e.Channel, e.Direction, e.Origin = eventv1.Channel_CHANNEL_SOCIAL_MESSAGE, eventv1.Direction_DIRECTION_INBOUND, eventv1.Origin_ORIGIN_CALLBACK
	e.Actor = &eventv1.Actor{Kind: eventv1.ActorKind_ACTOR_KIND_CUSTOMER, Id: name("c1")}
	e.Parties = []*eventv1.Party{
		{EndpointId: name("site"), Side: eventv1.Side_SIDE_COMPANY},
		{EndpointId: name("c1"), Side: eventv1.Side_SIDE_CUSTOMER},
		{Side: eventv1.Side_SIDE_CUSTOMER},
		{EndpointId: name("c2"), Side: eventv1.Side_SIDE_CUSTOMER},
		{EndpointId: name("c1"), Side: eventv1.Side_SIDE_CUSTOMER},
	}
	e.InteractionId, e.VisitId, e.AssignmentId, e.CausationId = name("i"), name("v"), name("a"), name("x")
	e.Queue, e.Language, e.CorrelationId, e.Backfill, e.SchemaVersion = "billing", "de-CH", "chain", true, math.MaxUint32
	at := w.publish(e)
	w.run(w.config())

	got := w.shelf.rows("events")[0]
	for column, want := range map[string]any{
		"tenant": "acme", "event_id": e.GetId(), "type": "message.received", "channel": "social_message", "direction": "inbound", "origin": "callback",
		"provider": "chat", "inbox": "site", "thread": e.GetThreadId(), "interaction": name("i"), "endpoint": name("c1"),
		"actor_kind": "customer", "actor": name("c1"), "queue": "billing", "visit": name("v"), "assignment": name("a"), "language": "de-CH",
		"text_length": uint32(12), "attachments": uint16(2), "causation": name("x"), "correlation": "chain", "backfill": true, "sealed": false,
		"schema_version": uint8(255), "topic": at.Topic, "partition": at.Partition, "offset": at.Offset,
	} {
		have := got[column]
		if id, ok := have.(interface{ String() string }); ok {
			have = id.String()
		}
		if have != want {
			t.Errorf("%s is %v instead of %v", column, have, want)
		}
	}
	if when := is[time.Time](got, "occurred_at"); !when.Equal(e.GetOccurredAt().AsTime().Truncate(time.Microsecond)) {
		t.Errorf("occurred_at is %s", when)
	}
	if all := is[[]uuid.UUID](got, "endpoints"); len(all) != 2 || said(all[0]) != name("c1") || said(all[1]) != name("c2") {
		t.Errorf("endpoints are %v", all)
	}
	if m := w.shelf.rows("messages")[0]; m["subject"] != "Order" || m["text"] != "Where is it?" || said(m["endpoint"]) != name("c1") {
		t.Errorf("the message is %v", m)
	}
}
