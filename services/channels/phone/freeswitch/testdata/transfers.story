# A caller is passed on blindly from agent 1000 to 1001, who answers, and then to 1002, who does not. Another caller is
# passed on after a consultation: by the telephone (REFER with Replaces), then by the dialplan's att_xfer, once in vain.
# Synthetic: composed from the pages
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Introduction/Event-System/Event-List_7143557
#   https://developer.signalwire.com/freeswitch/FreeSWITCH-Explained/Modules (mod_dptools: att_xfer)
# and from switch_ivr.c and sofia.c, which write transfer_history.
core: 3f0c1a4e-0000-4000-8000-000000000003

@caller Unique-ID: 11111111-cccc-4000-8000-000000000001
@caller Channel-Call-UUID: 11111111-cccc-4000-8000-000000000001
@caller Call-Direction: inbound
@caller Caller-Caller-ID-Name: Ada
@caller Caller-Caller-ID-Number: +442079460000
@caller Caller-Channel-Created-Time: 1770033600000000
@caller variable_originated_legs: ARRAY::22222222-cccc-4000-8000-000000000001;Anna;1000|:22222222-cccc-4000-8000-000000000002;Bo;1001

@anna Unique-ID: 22222222-cccc-4000-8000-000000000001
@anna Channel-Call-UUID: 11111111-cccc-4000-8000-000000000001
@anna Other-Type: originator
@anna Other-Leg-Unique-ID: 11111111-cccc-4000-8000-000000000001
@anna Call-Direction: outbound
@anna Caller-Caller-ID-Number: +442079460000
@anna Caller-Destination-Number: 1000

@bo Unique-ID: 22222222-cccc-4000-8000-000000000002
@bo Channel-Call-UUID: 11111111-cccc-4000-8000-000000000001
@bo Other-Type: originator
@bo Other-Leg-Unique-ID: 11111111-cccc-4000-8000-000000000001
@bo Call-Direction: outbound
@bo Caller-Caller-ID-Number: +442079460000
@bo Caller-Destination-Number: 1001

== 2026-02-02T12:00:00Z CHANNEL_CREATE
Caller-Destination-Number: 08912345
@caller
== 2026-02-02T12:00:01Z CHANNEL_CREATE
@anna
== 2026-02-02T12:00:04Z CHANNEL_ANSWER
@anna
== 2026-02-02T12:00:04.1Z CHANNEL_BRIDGE
Bridge-A-Unique-ID: 11111111-cccc-4000-8000-000000000001
Bridge-B-Unique-ID: 22222222-cccc-4000-8000-000000000001
Caller-Destination-Number: 08912345
@caller
== 2026-02-02T12:01:00.2Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: BLIND_TRANSFER
Caller-Channel-Answered-Time: 1770033604000000
@anna
== 2026-02-02T12:01:00.5Z CHANNEL_CREATE
@bo
== 2026-02-02T12:01:06Z CHANNEL_ANSWER
@bo
== 2026-02-02T12:01:06.1Z CHANNEL_BRIDGE
Bridge-A-Unique-ID: 11111111-cccc-4000-8000-000000000001
Bridge-B-Unique-ID: 22222222-cccc-4000-8000-000000000002
Caller-Destination-Number: 1001
Caller-Transfer-Source: 1770033660:99999999-cccc-4000-8000-000000000001:bl_xfer:1001/default/XML
Caller-Channel-Bridged-Time: 1770033666100000
variable_transfer_history: 1770033660:99999999-cccc-4000-8000-000000000001:bl_xfer:1001/default/XML
@caller
== 2026-02-02T12:03:00Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NO_ANSWER
Caller-Destination-Number: 1002
Caller-Channel-Answered-Time: 1770033604000000
Caller-Channel-Bridged-Time: 0
variable_originate_disposition: NO_ANSWER
variable_sip_hangup_disposition: send_bye
variable_transfer_history: ARRAY::1770033660:99999999-cccc-4000-8000-000000000001:bl_xfer:1001/default/XML|:1770033720:99999999-cccc-4000-8000-000000000002:bl_xfer:1002/default/XML
@caller

@caller2 Unique-ID: 11111111-cccc-4000-8000-000000000003
@caller2 Channel-Call-UUID: 11111111-cccc-4000-8000-000000000003
@caller2 Call-Direction: inbound
@caller2 Caller-Caller-ID-Number: +442079460111
@caller2 Caller-Destination-Number: 08912345
@caller2 Caller-Channel-Created-Time: 1770037200000000
@caller2 variable_originated_legs: 22222222-cccc-4000-8000-000000000003;Anna;1000

@anna2 Unique-ID: 22222222-cccc-4000-8000-000000000003
@anna2 Channel-Call-UUID: 11111111-cccc-4000-8000-000000000003
@anna2 Other-Type: originator
@anna2 Other-Leg-Unique-ID: 11111111-cccc-4000-8000-000000000003
@anna2 Call-Direction: outbound
@anna2 Caller-Caller-ID-Number: +442079460111
@anna2 Caller-Destination-Number: 1000

@consult Unique-ID: 11111111-cccc-4000-8000-000000000004
@consult Channel-Call-UUID: 11111111-cccc-4000-8000-000000000004
@consult Call-Direction: inbound
@consult Caller-Username: 1000
@consult Caller-Caller-ID-Number: 1000
@consult Caller-Destination-Number: 1001
@consult Caller-Channel-Created-Time: 1770037240000000

@target Unique-ID: 22222222-cccc-4000-8000-000000000004
@target Channel-Call-UUID: 11111111-cccc-4000-8000-000000000004
@target Call-Direction: outbound
@target Caller-Caller-ID-Number: 1000
@target Caller-Destination-Number: 1001
@target Caller-Channel-Created-Time: 1770037241000000

== 2026-02-02T13:00:00Z CHANNEL_CREATE
@caller2
== 2026-02-02T13:00:02Z CHANNEL_CREATE
@anna2
== 2026-02-02T13:00:05Z CHANNEL_ANSWER
@anna2
== 2026-02-02T13:00:20Z CHANNEL_EXECUTE
Application: att_xfer
Application-Data: user/1002@default
Application-UUID: 88888888-cccc-4000-8000-000000000001
@anna2
== 2026-02-02T13:00:35Z CHANNEL_EXECUTE_COMPLETE
Application: att_xfer
Application-Data: user/1002@default
Application-UUID: 88888888-cccc-4000-8000-000000000001
variable_att_xfer_result: failure
variable_originate_disposition: USER_BUSY
@anna2
== 2026-02-02T13:00:36Z CHANNEL_HOLD
@anna2
== 2026-02-02T13:00:40Z CHANNEL_CREATE
@consult
== 2026-02-02T13:00:41Z CHANNEL_CREATE
Other-Type: originator
Other-Leg-Unique-ID: 11111111-cccc-4000-8000-000000000004
@target
== 2026-02-02T13:00:44Z CHANNEL_ANSWER
Other-Type: originator
Other-Leg-Unique-ID: 11111111-cccc-4000-8000-000000000004
@target
== 2026-02-02T13:01:00.1Z CHANNEL_BRIDGE
Bridge-A-Unique-ID: 11111111-cccc-4000-8000-000000000003
Bridge-B-Unique-ID: 22222222-cccc-4000-8000-000000000004
Other-Leg-Unique-ID: 22222222-cccc-4000-8000-000000000004
Other-Leg-Channel-Created-Time: 1770037241000000
variable_transfer_history: ARRAY::1770037260:99999999-cccc-4000-8000-000000000003:att_xfer:1000@pbx.example/1001@pbx.example|:1770037260:99999999-cccc-4000-8000-000000000004:uuid_br:22222222-cccc-4000-8000-000000000004
@caller2
== 2026-02-02T13:01:00.2Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: ATTENDED_TRANSFER
Caller-Channel-Answered-Time: 1770037205000000
@anna2
== 2026-02-02T13:01:00.3Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: ATTENDED_TRANSFER
Caller-Channel-Answered-Time: 1770037244000000
@consult
== 2026-02-02T13:04:00Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
Caller-Channel-Answered-Time: 1770037244000000
Other-Leg-Unique-ID: 11111111-cccc-4000-8000-000000000003
Other-Leg-Channel-Created-Time: 1770037200000000
variable_signal_bond: 11111111-cccc-4000-8000-000000000003
@target
== 2026-02-02T13:04:00.1Z CHANNEL_HANGUP_COMPLETE
Hangup-Cause: NORMAL_CLEARING
Caller-Channel-Answered-Time: 1770037205000000
Caller-Channel-Bridged-Time: 1770037260100000
variable_sip_hangup_disposition: recv_bye
variable_transfer_history: ARRAY::1770037260:99999999-cccc-4000-8000-000000000003:att_xfer:1000@pbx.example/1001@pbx.example|:1770037260:99999999-cccc-4000-8000-000000000004:uuid_br:22222222-cccc-4000-8000-000000000004
@caller2
