# Callers whom no agent answers: one hangs up, one waits for too long, one finds no agent there, one is taken out of the queue by
# somebody, one hangs up before any queue. Synthetic: composed from the pages
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_callcenter_1049389 (CC-Cancel-Reason: NONE, TIMEOUT, NO_AGENT_TIMEOUT, BREAK_OUT)
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Introduction/Event-System/Event-List_7143557
core: 3f0c1a4e-0000-4000-8000-000000000002

@one Unique-ID: 11111111-bbbb-4000-8000-000000000001
@one Channel-Call-UUID: 11111111-bbbb-4000-8000-000000000001
@one Call-Direction: inbound
@one Caller-Caller-ID-Name: anonymous
@one Caller-Caller-ID-Number: anonymous
@one Caller-Destination-Number: 08912345

@waits1 CC-Queue: support@default
@waits1 CC-Member-UUID: 77777777-bbbb-4000-8000-000000000001
@waits1 CC-Member-Session-UUID: 11111111-bbbb-4000-8000-000000000001
@waits1 CC-Member-CID-Name: anonymous
@waits1 CC-Member-CID-Number: anonymous

@waits2 CC-Queue: sales@default
@waits2 CC-Member-UUID: 77777777-bbbb-4000-8000-000000000002
@waits2 CC-Member-Session-UUID: 11111111-bbbb-4000-8000-000000000002
@waits2 CC-Member-CID-Name: 王芳
@waits2 CC-Member-CID-Number: +8613800138000

@waits3 CC-Queue: support@default
@waits3 CC-Member-UUID: 77777777-bbbb-4000-8000-000000000003
@waits3 CC-Member-Session-UUID: 11111111-bbbb-4000-8000-000000000003
@waits3 CC-Member-CID-Name: 0301234567
@waits3 CC-Member-CID-Number: 0301234567

== 2026-02-02T11:00:00Z CHANNEL_CREATE
@one
== 2026-02-02T11:00:01Z CUSTOM callcenter::info
CC-Action: member-queue-start
@waits1
== 2026-02-02T11:00:40Z CUSTOM callcenter::info
CC-Action: member-queue-end
CC-Cause: Cancel
CC-Cancel-Reason: BREAK_OUT
Answer-State: hangup
@waits1
== 2026-02-02T11:00:40.2Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
variable_sip_hangup_disposition: recv_bye
@one
== 2026-02-02T11:01:00Z CUSTOM callcenter::info
CC-Action: member-queue-start
@waits2
== 2026-02-02T11:01:10Z CUSTOM callcenter::info
CC-Action: agent-offering
CC-Agent: 1000@default
@waits2
== 2026-02-02T11:01:30Z CUSTOM callcenter::info
CC-Action: bridge-agent-fail
CC-Hangup-Cause: NO_ANSWER
CC-Agent: 1000@default
@waits2
== 2026-02-02T11:02:00Z CUSTOM callcenter::info
CC-Action: member-queue-end
CC-Cause: Cancel
CC-Cancel-Reason: TIMEOUT
Answer-State: answered
@waits2
== 2026-02-02T11:03:00Z CUSTOM callcenter::info
CC-Action: member-queue-start
@waits3
== 2026-02-02T11:03:05Z CUSTOM callcenter::info
CC-Action: member-queue-end
CC-Cause: Cancel
CC-Cancel-Reason: NO_AGENT_TIMEOUT
@waits3
== 2026-02-02T11:04:00Z CUSTOM callcenter::info
CC-Action: member-queue-resume
@waits3
== 2026-02-02T11:04:20Z CUSTOM callcenter::info
CC-Action: member-queue-end
CC-Cause: Cancel
CC-Cancel-Reason: BREAK_OUT
Answer-State: answered
variable_transfer_history: 1770030260:99999999-bbbb-4000-8000-000000000001:bl_xfer:5000/default/XML
@waits3
== 2026-02-02T11:05:00Z CHANNEL_CREATE
Unique-ID: 11111111-bbbb-4000-8000-000000000004
Channel-Call-UUID: 11111111-bbbb-4000-8000-000000000004
Call-Direction: inbound
Caller-Caller-ID-Number: +390612345678
Caller-Destination-Number: 08912345
== 2026-02-02T11:05:01Z CHANNEL_CREATE
Unique-ID: 22222222-bbbb-4000-8000-000000000004
Channel-Call-UUID: 11111111-bbbb-4000-8000-000000000004
Other-Type: originator
Other-Leg-Unique-ID: 11111111-bbbb-4000-8000-000000000004
Call-Direction: outbound
Caller-Caller-ID-Number: +390612345678
Caller-Destination-Number: 1001
== 2026-02-02T11:05:09Z CHANNEL_HANGUP_COMPLETE
Unique-ID: 22222222-bbbb-4000-8000-000000000004
Channel-Call-UUID: 11111111-bbbb-4000-8000-000000000004
Other-Type: originator
Other-Leg-Unique-ID: 11111111-bbbb-4000-8000-000000000004
Call-Direction: outbound
Caller-Caller-ID-Number: +390612345678
Caller-Destination-Number: 1001
Caller-Channel-Answered-Time: 0
Hangup-Cause: ORIGINATOR_CANCEL
variable_sip_term_status: 487
== 2026-02-02T11:05:09.1Z CHANNEL_HANGUP_COMPLETE
Unique-ID: 11111111-bbbb-4000-8000-000000000004
Channel-Call-UUID: 11111111-bbbb-4000-8000-000000000004
Call-Direction: inbound
Caller-Caller-ID-Number: +390612345678
Caller-Destination-Number: 08912345
Hangup-Cause: ORIGINATOR_CANCEL
variable_sip_hangup_disposition: recv_cancel
