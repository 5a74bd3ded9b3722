# Synthetic: nobody's call. Composed from what Twilio documents:
#   https://www.twilio.com/docs/voice/twiml/enqueue
#   https://www.twilio.com/docs/voice/twiml/queue
#   https://www.twilio.com/docs/voice/twiml/dial, https://www.twilio.com/docs/voice/twiml/number
#   https://www.twilio.com/docs/voice/twiml/record
#   https://www.twilio.com/docs/voice/twiml/conference#attributes-status-callback
#   https://www.twilio.com/docs/voice/answering-machine-detection
# Lumen's shop works without TaskRouter.

== queue: a caller waits
CallSid: CA00000000000000000000000000000001
From: +4930901820
To: +4930200200
Direction: inbound
CallStatus: in-progress
QueueSid: QU00000000000000000000000000000001
QueuePosition: 3
QueueTime: 0

== queue: and waits
CallSid: CA00000000000000000000000000000001
From: +4930901820
To: +4930200200
Direction: inbound
CallStatus: in-progress
QueueSid: QU00000000000000000000000000000001
QueuePosition: 1
QueueTime: 40

== queue: until somebody takes the call
CallSid: CA00000000000000000000000000000001
From: +4930901820
To: +4930200200
Direction: inbound
CallStatus: in-progress
QueueSid: QU00000000000000000000000000000001
QueueTime: 61
DequeingCallSid: CA00000000000000000000000000000002

== queue: they have talked
CallSid: CA00000000000000000000000000000001
From: +4930901820
To: +4930200200
Direction: inbound
CallStatus: completed
QueueSid: QU00000000000000000000000000000001
QueueResult: bridged
QueueTime: 61

== queue: another one gives up
CallSid: CA00000000000000000000000000000003
From: +442079460018
To: +4930200200
Direction: inbound
CallStatus: completed
QueueSid: QU00000000000000000000000000000001
QueueResult: hangup
QueueTime: 12

== queue: a third one is sent to the voicemail
CallSid: CA00000000000000000000000000000004
From: anonymous
To: +4930200200
Direction: inbound
CallStatus: in-progress
QueueSid: QU00000000000000000000000000000001
QueueResult: leave
QueueTime: 300

== call: where something is said (no event)
CallSid: CA00000000000000000000000000000004
From: anonymous
To: +4930200200
Direction: inbound
CallStatus: in-progress
RecordingUrl: https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001/Recordings/RE00000000000000000000000000000002
RecordingDuration: 9
Digits: hangup

== recording: that can be heard
RecordingSid: RE00000000000000000000000000000002
RecordingStatus: completed
RecordingSource: RecordVerb
RecordingUrl: https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001/Recordings/RE00000000000000000000000000000002
RecordingDuration: 9
CallSid: CA00000000000000000000000000000004

== transcription: and read
TranscriptionSid: TR00000000000000000000000000000001
TranscriptionStatus: completed
TranscriptionText: Please call me back about the lamp.
RecordingSid: RE00000000000000000000000000000002
CallSid: CA00000000000000000000000000000004
From: anonymous
To: +4930200200
Direction: inbound
CallStatus: completed

== call: a fourth caller's call is passed to Dora, who does not answer
CallSid: CA00000000000000000000000000000006
ParentCallSid: CA00000000000000000000000000000005
From: +4930901821
To: client:dora
Direction: outbound-dial
CallStatus: ringing
SequenceNumber: 1
Timestamp: Mon, 02 Mar 2026 10:00:02 +0000

== call: Dora's telephone stops
CallSid: CA00000000000000000000000000000006
ParentCallSid: CA00000000000000000000000000000005
From: +4930901821
To: client:dora
Direction: outbound-dial
CallStatus: no-answer
SequenceNumber: 2
Timestamp: Mon, 02 Mar 2026 10:00:22 +0000

== call: then to Emil, who does
CallSid: CA00000000000000000000000000000007
ParentCallSid: CA00000000000000000000000000000005
From: +4930901821
To: sip:emil@lumen.sip.twilio.com
Direction: outbound-dial
CallStatus: in-progress
SequenceNumber: 2
Timestamp: Mon, 02 Mar 2026 10:00:30 +0000

== call: Emil hears who calls
CallSid: CA00000000000000000000000000000007
ParentCallSid: CA00000000000000000000000000000005
From: +4930901821
To: sip:emil@lumen.sip.twilio.com
Direction: outbound-dial
CallStatus: in-progress

== call: Emil's leg ends
CallSid: CA00000000000000000000000000000007
ParentCallSid: CA00000000000000000000000000000005
From: +4930901821
To: sip:emil@lumen.sip.twilio.com
Direction: outbound-dial
CallStatus: completed
CallDuration: 90
SequenceNumber: 3
Timestamp: Mon, 02 Mar 2026 10:02:00 +0000

== call: the call's flow asks what to do next
CallSid: CA00000000000000000000000000000005
From: +4930901821
To: +4930200200
Direction: inbound
CallStatus: in-progress
DialCallSid: CA00000000000000000000000000000007
DialCallStatus: completed

== call: the caller is passed to a workshop outside
CallSid: CA00000000000000000000000000000008
ParentCallSid: CA00000000000000000000000000000005
From: +4930901821
To: +4930555123
Direction: outbound-dial
CallStatus: busy
SipResponseCode: 486
SequenceNumber: 1
Timestamp: Mon, 02 Mar 2026 10:02:20 +0000

== call: the call is over
CallSid: CA00000000000000000000000000000005
From: +4930901821
To: +4930200200
Direction: inbound
CallStatus: completed
CallDuration: 150
SequenceNumber: 0
Timestamp: Mon, 02 Mar 2026 10:02:30 +0000

== call: the shop dials a customer
CallSid: CA00000000000000000000000000000009
From: +4930200200
To: +442079460018
Direction: outbound-api
CallStatus: initiated
SequenceNumber: 0
Timestamp: Mon, 02 Mar 2026 11:00:00 +0000

== call: it rings
CallSid: CA00000000000000000000000000000009
From: +4930200200
To: +442079460018
Direction: outbound-api
CallStatus: ringing
SequenceNumber: 1
Timestamp: Mon, 02 Mar 2026 11:00:02 +0000

== call: it is picked up
CallSid: CA00000000000000000000000000000009
From: +4930200200
To: +442079460018
Direction: outbound-api
CallStatus: in-progress
SequenceNumber: 2
Timestamp: Mon, 02 Mar 2026 11:00:09 +0000

== call: by a machine
CallSid: CA00000000000000000000000000000009
AnsweredBy: machine_end_beep
MachineDetectionDuration: 3200

== call: it is over
CallSid: CA00000000000000000000000000000009
From: +4930200200
To: +442079460018
Direction: outbound-api
CallStatus: completed
CallDuration: 11
SequenceNumber: 3
Timestamp: Mon, 02 Mar 2026 11:00:20 +0000

== call: a number that does not exist
CallSid: CA0000000000000000000000000000000a
From: +4930200200
To: +15005550001
Direction: outbound-api
CallStatus: failed
SipResponseCode: 404
SequenceNumber: 0
Timestamp: Mon, 02 Mar 2026 11:05:00 +0000

== call: a colleague is called (no event)
CallSid: CA0000000000000000000000000000000b
From: client:dora
To: client:emil
Direction: inbound
CallStatus: completed
SequenceNumber: 0
Timestamp: Mon, 02 Mar 2026 11:06:00 +0000

== conference: a conference that is named by the customer's call: Emil comes
ConferenceSid: CF00000000000000000000000000000002
FriendlyName: CA00000000000000000000000000000001
StatusCallbackEvent: participant-join
SequenceNumber: 1
CallSid: CA0000000000000000000000000000000c
ParticipantLabel: agent:emil
Muted: false
Coaching: false
Timestamp: Mon, 02 Mar 2026 12:00:00 +0000

== conference: somebody listens
ConferenceSid: CF00000000000000000000000000000002
FriendlyName: CA00000000000000000000000000000001
StatusCallbackEvent: participant-join
SequenceNumber: 2
CallSid: CA0000000000000000000000000000000d
Muted: true
Coaching: false
Timestamp: Mon, 02 Mar 2026 12:00:05 +0000

== conference: then barges in, by a label of another conference
ConferenceSid: CF00000000000000000000000000000003
FriendlyName: Room 12
StatusCallbackEvent: participant-unmute
SequenceNumber: 9
CallSid: CA0000000000000000000000000000000e
ParticipantLabel: supervisor:fritz
Muted: false
Coaching: false
Timestamp: Mon, 02 Mar 2026 12:00:50 +0000

== conference: the customer of that room
ConferenceSid: CF00000000000000000000000000000003
FriendlyName: Room 12
StatusCallbackEvent: participant-join
SequenceNumber: 2
CallSid: CA0000000000000000000000000000000f
ParticipantLabel: customer
Muted: false
Coaching: false
Timestamp: Mon, 02 Mar 2026 12:00:51 +0000

== conference: the one it is transferred to
ConferenceSid: CF00000000000000000000000000000003
FriendlyName: Room 12
StatusCallbackEvent: participant-join
SequenceNumber: 3
CallSid: CA00000000000000000000000000000010
ParticipantLabel: transfer:workshop
Muted: false
Coaching: false
Timestamp: Mon, 02 Mar 2026 12:00:52 +0000

== conference: somebody speaks (no event)
ConferenceSid: CF00000000000000000000000000000003
FriendlyName: Room 12
StatusCallbackEvent: participant-speech-start
SequenceNumber: 4
CallSid: CA00000000000000000000000000000010
Timestamp: Mon, 02 Mar 2026 12:00:53 +0000

== conference: Emil goes
ConferenceSid: CF00000000000000000000000000000002
FriendlyName: CA00000000000000000000000000000001
StatusCallbackEvent: participant-leave
SequenceNumber: 3
CallSid: CA0000000000000000000000000000000c
ParticipantLabel: agent:emil
ReasonParticipantLeft: participant_hung_up
Timestamp: Mon, 02 Mar 2026 12:05:00 +0000

== recording: the card number is not recorded
RecordingSid: RE00000000000000000000000000000003
RecordingStatus: paused
CallSid: CA00000000000000000000000000000001
Timestamp: Mon, 02 Mar 2026 12:01:00 +0000

== recording: what follows is
RecordingSid: RE00000000000000000000000000000003
RecordingStatus: resumed
CallSid: CA00000000000000000000000000000001
Timestamp: Mon, 02 Mar 2026 12:01:20 +0000

== recording: a recording holds nothing
RecordingSid: RE00000000000000000000000000000003
RecordingStatus: absent
CallSid: CA00000000000000000000000000000001
