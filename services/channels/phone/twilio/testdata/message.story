# Synthetic: nobody's messages. Composed from what Twilio documents:
#   https://www.twilio.com/docs/messaging/guides/webhook-request
#   https://www.twilio.com/docs/messaging/guides/track-outbound-message-status
# A customer writes to Lumen and is answered by a campaign tool and by Skein. The statuses come in any order.

== message: a customer writes
MessageSid: SM00000000000000000000000000000001
SmsStatus: received
From: +4930901820
To: +4930200100
Body: Where is my lamp?
NumMedia: 0
NumSegments: 1

== message: and sends a picture
MessageSid: MM00000000000000000000000000000002
SmsStatus: received
From: +4930901820
To: +4930200100
Body: 
NumMedia: 1
MediaUrl0: https://api.twilio.com/2010-04-01/Accounts/AC00000000000000000000000000000001/Messages/MM00000000000000000000000000000002/Media/ME00000000000000000000000000000001
MediaContentType0: image/jpeg

== message: an answer that some tool sends has arrived
MessageSid: SM00000000000000000000000000000003
MessageStatus: delivered
SmsStatus: delivered
From: +4930200100
To: +4930901820
RawDlrDoneDate: 2603021201

== message: it was sent before
MessageSid: SM00000000000000000000000000000003
MessageStatus: sent
From: +4930200100
To: +4930901820

== message: and queued before that (no event)
MessageSid: SM00000000000000000000000000000003
MessageStatus: queued
To: +4930901820
MessagingServiceSid: MG00000000000000000000000000000001

== status: an answer of ours is sent (no event)
MessageSid: SM00000000000000000000000000000004
MessageStatus: sent
From: +4930200100
To: +4930901820

== status: and does not arrive
MessageSid: SM00000000000000000000000000000004
MessageStatus: undelivered
ErrorCode: 30003
From: +4930200100
To: +4930901820

== message: a customer writes by WhatsApp
MessageSid: SM00000000000000000000000000000005
SmsStatus: received
From: whatsapp:+4930901820
To: whatsapp:+4930200100
ProfileName: Max
Body: 我的灯在哪里?
NumMedia: 0

== message: and shows a place
MessageSid: SM00000000000000000000000000000006
SmsStatus: received
From: whatsapp:+4930901820
To: whatsapp:+4930200100
Body:
Latitude: 52.5
Longitude: 13.4
Label: The old station
NumMedia: 0

== status: our answer was read
MessageSid: SM00000000000000000000000000000007
MessageStatus: read
From: whatsapp:+4930200100
To: whatsapp:+4930901820

== message: a sender's name instead of a number
MessageSid: SM00000000000000000000000000000008
MessageStatus: failed
ErrorCode: 30007
From: LUMEN
To: +442079460018
