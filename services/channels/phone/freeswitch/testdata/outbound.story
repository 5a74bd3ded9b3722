# An agent calls a customer from the telephone; the switch itself calls a customer, who does not answer, and another, whose
# mailbox does; agents call one another. Synthetic: composed from the page
# https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Introduction/Event-System/Event-List_7143557.
core: 3f0c1a4e-0000-4000-8000-000000000007

@anna Unique-ID: 11111111-ffff-4000-8000-000000000001
@anna Channel-Call-UUID: 11111111-ffff-4000-8000-000000000001
@anna Call-Direction: inbound
@anna Caller-Username: 1000
@anna Caller-Caller-ID-Number: 1000
@anna Caller-Destination-Number: 00442079460000

@ada Unique-ID: 22222222-ffff-4000-8000-000000000001
@ada Channel-Call-UUID: 11111111-ffff-4000-8000-000000000001
@ada Other-Type: originator
@ada Other-Leg-Unique-ID: 11111111-ffff-4000-8000-000000000001
@ada Call-Direction: outbound
@ada Caller-Caller-ID-Number: 08912345
@ada Caller-Destination-Number: 00442079460000

@campaign Unique-ID: 11111111-ffff-4000-8000-000000000002
@campaign Channel-Call-UUID: 11111111-ffff-4000-8000-000000000002
@campaign Call-Direction: outbound
@campaign Caller-Caller-ID-Number: 08912345
@campaign Caller-Destination-Number: +442079460222

@mailbox Unique-ID: 11111111-ffff-4000-8000-000000000003
@mailbox Channel-Call-UUID: 11111111-ffff-4000-8000-000000000003
@mailbox Call-Direction: outbound
@mailbox Caller-Caller-ID-Number: 08912345
@mailbox Caller-Destination-Number: +442079460333

== 2026-02-02T16:00:00Z CHANNEL_CREATE
@anna
== 2026-02-02T16:00:00.5Z CHANNEL_CREATE
@ada
== 2026-02-02T16:00:09Z CHANNEL_ANSWER
@ada
== 2026-02-02T16:00:09.1Z CHANNEL_ANSWER
@anna
== 2026-02-02T16:00:10Z CHANNEL_BRIDGE
Bridge-A-Unique-ID: 11111111-ffff-4000-8000-000000000001
Bridge-B-Unique-ID: 22222222-ffff-4000-8000-000000000001
variable_originated_legs: 22222222-ffff-4000-8000-000000000001;Outbound Call;00442079460000
@anna
== 2026-02-02T16:00:20Z CHANNEL_HOLD
@ada
== 2026-02-02T16:00:30Z CHANNEL_HOLD
@anna
== 2026-02-02T16:00:40Z CHANNEL_UNHOLD
@anna
== 2026-02-02T16:01:00Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
Caller-Channel-Answered-Time: 1770048009000000
variable_sip_hangup_disposition: recv_bye
@ada
== 2026-02-02T16:01:00.1Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
Caller-Channel-Answered-Time: 1770048009100000
Caller-Channel-Bridged-Time: 1770048010000000
variable_sip_hangup_disposition: send_bye
@anna
== 2026-02-02T16:10:00Z CHANNEL_CREATE
@campaign
== 2026-02-02T16:10:30Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NO_ANSWER
variable_sip_hangup_disposition: send_cancel
@campaign
== 2026-02-02T16:20:00Z CHANNEL_CREATE
@mailbox
== 2026-02-02T16:20:08Z CHANNEL_ANSWER
variable_amd_result: MACHINE
@mailbox
== 2026-02-02T16:20:15Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
Caller-Channel-Answered-Time: 1770049208000000
variable_sip_hangup_disposition: send_bye
@mailbox
== 2026-02-02T16:30:00Z CHANNEL_CREATE
Unique-ID: 11111111-ffff-4000-8000-000000000004
Channel-Call-UUID: 11111111-ffff-4000-8000-000000000004
Call-Direction: inbound
Caller-Username: 1000
Caller-Caller-ID-Number: 1000
Caller-Destination-Number: 1001
