# Synthetic: nobody's call. Composed from what Twilio documents:
#   https://www.twilio.com/docs/voice/twiml#request-parameters
#   https://www.twilio.com/docs/voice/api/call-resource#statuscallback
#   https://www.twilio.com/docs/voice/twiml/conference#attributes-status-callback
#   https://www.twilio.com/docs/voice/api/recording#recordingstatuscallback
#   https://www.twilio.com/docs/voice/twiml/transcription
#   https://www.twilio.com/docs/taskrouter/api/event/reference
#   https://www.twilio.com/docs/taskrouter/twiml-queue-calls
# A customer calls Lumen's hotline, which TaskRouter routes. Ada does not react, Ben takes the call, holds it to consult Cleo,
# while a supervisor whispers; then the customer hangs up. The number tells of the call itself only when it is over.

== taskrouter: the call becomes a task
EventType: task.created
Sid: EV00000000000000000000000000000001
TimestampMs: 1772442003100
Timestamp: 1772442003
ResourceSid: WT000000000000000000000000000000a1
TaskSid: WT000000000000000000000000000000a1
TaskChannelUniqueName: voice
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound","selected_language":"de"}

== taskrouter: it waits in the queue
EventType: task-queue.entered
Sid: EV00000000000000000000000000000002
TimestampMs: 1772442003200
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
TaskChannelUniqueName: voice
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== queue: the waiting caller hears music (no event)
CallSid: CA000000000000000000000000000000c1
From: +4930901820
To: +4930200100
Direction: inbound
CallStatus: in-progress
QueueSid: QU0000000000000000000000000000000e
QueuePosition: 1
QueueTime: 0

== taskrouter: it is offered to Ada
EventType: reservation.created
Sid: EV00000000000000000000000000000003
TimestampMs: 1772442003900
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000001
WorkerSid: WK0000000000000000000000000000000a
WorkerName: Ada
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== taskrouter: Ada does not react
EventType: reservation.timeout
Sid: EV00000000000000000000000000000004
TimestampMs: 1772442018900
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000001
WorkerSid: WK0000000000000000000000000000000a
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== taskrouter: and is taken out of the rotation
EventType: worker.activity.update
Sid: EV00000000000000000000000000000005
TimestampMs: 1772442019000
ResourceSid: WK0000000000000000000000000000000a
WorkerSid: WK0000000000000000000000000000000a
WorkerName: Ada
WorkerActivityName: Break
WorkerPreviousActivityName: Available
WorkerTimeInPreviousActivity: 900

== taskrouter: it is offered to Ben
EventType: reservation.created
Sid: EV00000000000000000000000000000006
TimestampMs: 1772442019500
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000002
WorkerSid: WK0000000000000000000000000000000b
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== call: Ben's telephone rings
CallSid: CA000000000000000000000000000000b1
From: +4930200100
To: client:ben
Direction: outbound-api
CallStatus: ringing
SequenceNumber: 1
CallbackSource: call-progress-events
Timestamp: Mon, 02 Mar 2026 09:00:20 +0000

== call: Ben picks up
CallSid: CA000000000000000000000000000000b1
From: +4930200100
To: client:ben
Direction: outbound-api
CallStatus: in-progress
SequenceNumber: 2
CallbackSource: call-progress-events
Timestamp: Mon, 02 Mar 2026 09:00:24 +0000

== taskrouter: Ben takes the call
EventType: reservation.accepted
Sid: EV00000000000000000000000000000007
TimestampMs: 1772442024600
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000002
WorkerSid: WK0000000000000000000000000000000b
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== conference: the conference, which TaskRouter names by the task, begins
ConferenceSid: CF00000000000000000000000000000001
FriendlyName: WT000000000000000000000000000000a1
StatusCallbackEvent: conference-start
SequenceNumber: 3
Timestamp: Mon, 02 Mar 2026 09:00:25 +0000

== conference: Ben is in it
ConferenceSid: CF00000000000000000000000000000001
FriendlyName: WT000000000000000000000000000000a1
StatusCallbackEvent: participant-join
SequenceNumber: 1
CallSid: CA000000000000000000000000000000b1
ParticipantLabel: WK0000000000000000000000000000000b
Muted: false
Hold: false
Coaching: false
Timestamp: Mon, 02 Mar 2026 09:00:24 +0000

== conference: and so is the customer
ConferenceSid: CF00000000000000000000000000000001
FriendlyName: WT000000000000000000000000000000a1
StatusCallbackEvent: participant-join
SequenceNumber: 2
CallSid: CA000000000000000000000000000000c1
ParticipantLabel: customer
Muted: false
Hold: false
Coaching: false
Timestamp: Mon, 02 Mar 2026 09:00:25 +0000

== recording: the recording begins (no event)
RecordingSid: RE00000000000000000000000000000001
RecordingStatus: in-progress
RecordingSource: StartCallRecordingAPI
CallSid: CA000000000000000000000000000000c1
RecordingStartTime: Mon, 02 Mar 2026 09:00:26 +0000

== taskrouter: TaskRouter notes the conference
EventType: task.updated
Sid: EV00000000000000000000000000000008
TimestampMs: 1772442025400
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound","selected_language":"de","vip":true,"conference":{"sid":"CF00000000000000000000000000000001","participants":{"worker":"CA000000000000000000000000000000b1","customer":"CA000000000000000000000000000000c1"}}}

== transcription: speech is written down (no event)
TranscriptionEvent: transcription-started
TranscriptionSid: GT00000000000000000000000000000001
CallSid: CA000000000000000000000000000000c1
LanguageCode: en-US
SequenceId: 1
Timestamp: 2026-03-02T09:00:26.000Z

== transcription: the customer is heard in part (no event)
TranscriptionEvent: transcription-content
TranscriptionSid: GT00000000000000000000000000000001
CallSid: CA000000000000000000000000000000c1
LanguageCode: en-US
Track: inbound_track
SequenceId: 2
Final: false
TranscriptionData: {"transcript":"My lamp","stability":0.5}
Timestamp: 2026-03-02T09:00:29.200Z

== transcription: and to the end of the sentence
TranscriptionEvent: transcription-content
TranscriptionSid: GT00000000000000000000000000000001
CallSid: CA000000000000000000000000000000c1
LanguageCode: en-US
Track: inbound_track
SequenceId: 3
Final: true
TranscriptionData: {"transcript":"My lamp was charged twice.","confidence":0.96}
Timestamp: 2026-03-02T09:00:31.500Z

== conference: a supervisor whispers
ConferenceSid: CF00000000000000000000000000000001
FriendlyName: WT000000000000000000000000000000a1
StatusCallbackEvent: participant-join
SequenceNumber: 4
CallSid: CA000000000000000000000000000000d1
ParticipantLabel: supervisor:WK0000000000000000000000000000000d
Muted: false
Hold: false
Coaching: true
CallSidToCoach: CA000000000000000000000000000000b1
Timestamp: Mon, 02 Mar 2026 09:00:50 +0000

== taskrouter: Ben asks Cleo
EventType: task.transfer-initiated
Sid: EV00000000000000000000000000000009
TimestampMs: 1772442070000
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
TransferMode: WARM
TransferType: WORKER
TransferTo: WK0000000000000000000000000000000c
TransferInitiatingWorkerSid: WK0000000000000000000000000000000b
TransferInitiatingReservationSid: WR00000000000000000000000000000002
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound","conference":{"sid":"CF00000000000000000000000000000001","participants":{"worker":"CA000000000000000000000000000000b1","customer":"CA000000000000000000000000000000c1"}}}

== conference: the customer waits meanwhile
ConferenceSid: CF00000000000000000000000000000001
FriendlyName: WT000000000000000000000000000000a1
StatusCallbackEvent: participant-hold
SequenceNumber: 5
CallSid: CA000000000000000000000000000000c1
ParticipantLabel: customer
Muted: false
Hold: true
Coaching: false
Timestamp: Mon, 02 Mar 2026 09:01:11 +0000

== taskrouter: Cleo is asked
EventType: reservation.created
Sid: EV0000000000000000000000000000000a
TimestampMs: 1772442072000
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000003
WorkerSid: WK0000000000000000000000000000000c
TransferMode: WARM
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== taskrouter: Cleo takes it
EventType: reservation.accepted
Sid: EV0000000000000000000000000000000b
TimestampMs: 1772442078000
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000003
WorkerSid: WK0000000000000000000000000000000c
TransferMode: WARM
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== conference: the customer waits no longer
ConferenceSid: CF00000000000000000000000000000001
FriendlyName: WT000000000000000000000000000000a1
StatusCallbackEvent: participant-unhold
SequenceNumber: 6
CallSid: CA000000000000000000000000000000c1
ParticipantLabel: customer
Muted: false
Hold: false
Coaching: false
Timestamp: Mon, 02 Mar 2026 09:01:40 +0000

== taskrouter: the transfer is complete
EventType: task.transfer-completed
Sid: EV0000000000000000000000000000000c
TimestampMs: 1772442101000
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
TransferMode: WARM
TransferType: WORKER
TransferTo: WK0000000000000000000000000000000c
TransferInitiatingWorkerSid: WK0000000000000000000000000000000b
TransferInitiatingReservationSid: WR00000000000000000000000000000002
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== taskrouter: Ben writes his notes
EventType: reservation.wrapup
Sid: EV0000000000000000000000000000000d
TimestampMs: 1772442102000
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000002
WorkerSid: WK0000000000000000000000000000000b
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== conference: the customer hangs up
ConferenceSid: CF00000000000000000000000000000001
FriendlyName: WT000000000000000000000000000000a1
StatusCallbackEvent: participant-leave
SequenceNumber: 7
CallSid: CA000000000000000000000000000000c1
ParticipantLabel: customer
ReasonParticipantLeft: participant_hung_up
ParticipantCallStatus: completed
Timestamp: Mon, 02 Mar 2026 09:03:20 +0000

== conference: and the conference is over
ConferenceSid: CF00000000000000000000000000000001
FriendlyName: WT000000000000000000000000000000a1
StatusCallbackEvent: conference-end
SequenceNumber: 8
CallSidEndingConference: CA000000000000000000000000000000c1
ReasonConferenceEnded: participant-with-end-conference-on-exit-left
Timestamp: Mon, 02 Mar 2026 09:03:20 +0000

== call: the call is over
CallSid: CA000000000000000000000000000000c1
From: +4930901820
To: +4930200100
CallerName: M MUSTERMANN
Direction: inbound
CallStatus: completed
CallDuration: 200
SequenceNumber: 0
CallbackSource: call-progress-events
Timestamp: Mon, 02 Mar 2026 09:03:20 +0000

== taskrouter: Cleo writes her notes
EventType: reservation.wrapup
Sid: EV0000000000000000000000000000000e
TimestampMs: 1772442200500
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000003
WorkerSid: WK0000000000000000000000000000000c
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== taskrouter: and is done
EventType: reservation.completed
Sid: EV0000000000000000000000000000000f
TimestampMs: 1772442245000
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskQueueName: Billing
ReservationSid: WR00000000000000000000000000000003
WorkerSid: WK0000000000000000000000000000000c
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound","conversations":{"outcome":"refund"}}

== taskrouter: so is the task
EventType: task.completed
Sid: EV00000000000000000000000000000010
TimestampMs: 1772442245100
TaskSid: WT000000000000000000000000000000a1
TaskQueueSid: WQ0000000000000000000000000000000b
TaskCompletedReason: resolved
TaskAttributes: {"call_sid":"CA000000000000000000000000000000c1","from":"+4930901820","to":"+4930200100","direction":"inbound"}

== recording: the recording can be heard
RecordingSid: RE00000000000000000000000000000001
RecordingStatus: completed
RecordingSource: StartCallRecordingAPI
RecordingUrl: https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001/Recordings/RE00000000000000000000000000000001
RecordingDuration: 174
RecordingChannels: 2
RecordingStartTime: Mon, 02 Mar 2026 09:00:26 +0000
CallSid: CA000000000000000000000000000000c1

== taskrouter: Cleo takes one call more at a time
EventType: worker.capacity.update
Sid: EV00000000000000000000000000000011
TimestampMs: 1772442300000
WorkerSid: WK0000000000000000000000000000000c
TaskChannelUniqueName: chat
WorkerChannelAvailable: true
WorkerChannelCapacity: 3
WorkerChannelPreviousCapacity: 2
WorkerChannelTaskCount: 1
