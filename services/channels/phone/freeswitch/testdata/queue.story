# A caller waits in a queue; one agent declines, another answers, puts the caller on hold, and hangs up. Synthetic: composed from
# the pages
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules/mod_callcenter_1049389 (callcenter::info)
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Introduction/Event-System/Event-List_7143557 (channel events, RECORD_STOP)
# and from where mod_callcenter.c fires each event.
core: 3f0c1a4e-0000-4000-8000-000000000001

@caller Unique-ID: 11111111-aaaa-4000-8000-000000000001
@caller Channel-Call-UUID: 11111111-aaaa-4000-8000-000000000001
@caller Call-Direction: inbound
@caller Caller-Direction: inbound
@caller Caller-Caller-ID-Name: Jörg Müller
@caller Caller-Caller-ID-Number: +4930901820
@caller Caller-Destination-Number: 08912345
@caller Caller-Channel-Created-Time: 1770026400000001
@caller variable_sip_from_user: +4930901820

@member CC-Queue: support@default
@member CC-Member-UUID: 77777777-aaaa-4000-8000-000000000001
@member CC-Member-Session-UUID: 11111111-aaaa-4000-8000-000000000001
@member CC-Member-CID-Name: Jörg Müller
@member CC-Member-CID-Number: +4930901820

@anna Unique-ID: 22222222-aaaa-4000-8000-000000000001
@anna Channel-Call-UUID: 22222222-aaaa-4000-8000-000000000001
@anna Call-Direction: outbound
@anna Caller-Caller-ID-Number: +4930901820
@anna Caller-Destination-Number: 1000
@anna Caller-Channel-Created-Time: 1770026412000001
@anna variable_cc_side: agent
@anna variable_cc_queue: support@default
@anna variable_cc_agent: 1000@default
@anna variable_cc_member_uuid: 77777777-aaaa-4000-8000-000000000001
@anna variable_cc_member_session_uuid: 11111111-aaaa-4000-8000-000000000001

@bo Unique-ID: 22222222-aaaa-4000-8000-000000000002
@bo Channel-Call-UUID: 22222222-aaaa-4000-8000-000000000002
@bo Call-Direction: outbound
@bo Caller-Caller-ID-Number: +4930901820
@bo Caller-Destination-Number: 1001
@bo Caller-Channel-Created-Time: 1770026425000001
@bo variable_cc_side: agent
@bo variable_cc_queue: support@default
@bo variable_cc_agent: 1001@default
@bo variable_cc_member_uuid: 77777777-aaaa-4000-8000-000000000001
@bo variable_cc_member_session_uuid: 11111111-aaaa-4000-8000-000000000001

== 2026-02-02T10:00:00.000001Z CHANNEL_CREATE
@caller
== 2026-02-02T10:00:01.25Z CHANNEL_ANSWER
Answer-State: answered
@caller
== 2026-02-02T10:00:02Z CUSTOM callcenter::info
CC-Action: member-queue-start
@member
@caller
== 2026-02-02T10:00:02.1Z CUSTOM callcenter::info
CC-Action: members-count
CC-Queue: support@default
CC-Count: 1
CC-Selection: Single-Queue
== 2026-02-02T10:00:12Z CUSTOM callcenter::info
CC-Action: agent-offering
CC-Agent: 1000@default
CC-Agent-System: single_box
@member
== 2026-02-02T10:00:12.000001Z CHANNEL_CREATE
@anna
== 2026-02-02T10:00:20Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: CALL_REJECTED
Caller-Channel-Answered-Time: 0
variable_proto_specific_hangup_cause: sip:603
variable_sip_hangup_disposition: recv_refuse
@anna
== 2026-02-02T10:00:20.1Z CUSTOM callcenter::info
CC-Action: bridge-agent-fail
CC-Hangup-Cause: CALL_REJECTED
CC-Agent: 1000@default
CC-Agent-System: single_box
@member
== 2026-02-02T10:00:25Z CUSTOM callcenter::info
CC-Action: agent-offering
CC-Agent: 1001@default
CC-Agent-System: single_box
@member
== 2026-02-02T10:00:25.000001Z CHANNEL_CREATE
@bo
== 2026-02-02T10:00:31Z CHANNEL_ANSWER
@bo
== 2026-02-02T10:00:31.1Z CUSTOM callcenter::info
CC-Action: bridge-agent-start
CC-Agent: 1001@default
CC-Agent-System: single_box
CC-Agent-UUID: 22222222-aaaa-4000-8000-000000000002
CC-Agent-Called-Time: 1770026425
CC-Agent-Answered-Time: 1770026431
CC-Member-Joined-Time: 1770026402
@member
@bo
== 2026-02-02T10:00:31.2Z CHANNEL_BRIDGE
Bridge-A-Unique-ID: 11111111-aaaa-4000-8000-000000000001
Bridge-B-Unique-ID: 22222222-aaaa-4000-8000-000000000002
Other-Type: originatee
Other-Leg-Unique-ID: 22222222-aaaa-4000-8000-000000000002
Other-Leg-Channel-Created-Time: 1770026425000001
variable_transfer_history: 1770026431:99999999-aaaa-4000-8000-000000000001:uuid_br:22222222-aaaa-4000-8000-000000000002
@caller
== 2026-02-02T10:01:00Z CHANNEL_HOLD
@bo
== 2026-02-02T10:01:30.5Z CHANNEL_UNHOLD
@bo
== 2026-02-02T10:02:00Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
Caller-Channel-Answered-Time: 1770026431000000
variable_sip_hangup_disposition: recv_bye
@bo
== 2026-02-02T10:02:00.1Z CUSTOM callcenter::info
CC-Action: bridge-agent-end
CC-Hangup-Cause: SUCCESS
CC-Agent: 1001@default
CC-Agent-System: single_box
CC-Agent-UUID: 22222222-aaaa-4000-8000-000000000002
CC-Bridge-Terminated-Time: 1770026520
Hangup-Cause: NORMAL_CLEARING
variable_sip_hangup_disposition: recv_bye
@member
@bo
== 2026-02-02T10:02:00.2Z CUSTOM callcenter::info
CC-Action: member-queue-end
CC-Cause: Terminated
CC-Hangup-Cause: SUCCESS
CC-Agent: 1001@default
@member
@caller
== 2026-02-02T10:02:00.3Z RECORD_STOP
Record-File-Path: /var/lib/freeswitch/recordings/2026-02-02-10-00-31.wav
Record-Completion-Cause: success-silence
variable_record_ms: 88900
variable_record_seconds: 88
@caller
== 2026-02-02T10:02:00.4Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
Caller-Channel-Answered-Time: 1770026401250000
Caller-Channel-Bridged-Time: 1770026431200000
variable_sip_hangup_disposition: send_bye
variable_cc_agent_uuid: 22222222-aaaa-4000-8000-000000000002
@caller
